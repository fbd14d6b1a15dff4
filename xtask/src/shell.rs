//! Running commands and keeping count.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};

/// What passed, what failed, what was left out.
#[derive(Default)]
pub struct Tally {
    passed: u64,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Tally {
    /// Adds the count of a test run.
    pub fn tests(&mut self, name: &str, count: Count, success: bool) {
        self.passed += count.passed;
        self.failed.extend((0..count.failed).map(|_| format!("a test of {name}")));
        if !success && count.failed == 0 {
            self.failed.push(format!("{name} (it did not run to its end)"));
        }
    }

    /// Adds one step.
    pub fn step(&mut self, name: &str, success: bool) {
        if success {
            self.passed += 1;
        } else {
            self.failed.push(name.to_string());
        }
    }

    /// Adds a step that passes when nothing was found.
    pub fn findings(&mut self, name: &str, findings: &[String]) {
        for finding in findings {
            eprintln!("{name}: {finding}");
        }
        self.step(name, findings.is_empty());
    }

    /// Notes what was left out, and why.
    pub fn skip(&mut self, what: &str) {
        eprintln!("SKIPPED: {what}");
        self.skipped.push(what.to_string());
    }

    /// Prints the last lines.
    pub fn finish(self) -> ExitCode {
        for what in &self.skipped {
            println!("skipped: {what}");
        }
        for name in &self.failed {
            println!("failed: {name}");
        }
        println!("{} passed, {} failed", self.passed, self.failed.len());
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Numbers of tests, as a test runner prints them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed, and errors.
    pub failed: u64,
}

impl Count {
    /// Reads "3 passed" and "1 failed" out of a line of words.
    pub fn read(line: &str) -> Self {
        let words: Vec<&str> =
            line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
        let mut count = Self::default();
        for pair in words.windows(2) {
            let &[number, noun] = pair else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match noun {
                "passed" => count.passed += number,
                "failed" | "error" | "errors" => count.failed += number,
                _ => {}
            }
        }
        count
    }
}

/// Runs a command in the root; false when it fails or is missing.
pub fn run(command: &mut Command) -> bool {
    announce(command);
    match command.current_dir(crate::root()).stdin(Stdio::null()).status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("cannot start {}: {error}", command.get_program().display());
            false
        }
    }
}

/// Runs a command, shows what it prints, and adds up the lines that `is_summary` picks.
pub fn run_counting(command: &mut Command, is_summary: fn(&str) -> bool) -> (Count, bool) {
    announce(command);
    let spawned = command.current_dir(crate::root()).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            eprintln!("cannot start {}: {error}", command.get_program().display());
            return (Count::default(), false);
        }
    };
    let mut total = Count::default();
    let lines = child.stdout.take().map(|pipe| BufReader::new(pipe).split(b'\n'));
    for line in lines.into_iter().flatten().map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        // A closed terminal must not stop the tests.
        let _ = writeln!(std::io::stdout(), "{line}");
        if is_summary(&line) {
            let count = Count::read(&line);
            total.passed += count.passed;
            total.failed += count.failed;
        }
    }
    (total, child.wait().is_ok_and(|status| status.success()))
}

/// What a command prints; `None` when it fails.
pub fn output(command: &mut Command) -> Option<String> {
    let out = command.current_dir(crate::root()).stdin(Stdio::null()).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

fn announce(command: &Command) {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    eprintln!("\n$ {}", words.join(" "));
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn counts_are_read_from_both_runners() {
        let rows = [
            ("test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; finished in 0.2s", 5, 0),
            ("test result: FAILED. 4 passed; 2 failed; 0 ignored", 4, 2),
            ("======= 1 failed, 37 passed, 2 errors in 3.5s =======", 37, 3),
            ("37 passed in 3.5s", 37, 0),
        ];
        for (line, passed, failed) in rows {
            assert_eq!(Count::read(line), Count { passed, failed }, "{line}");
        }
    }
}
