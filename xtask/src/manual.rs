//! The parts of the manual that the program writes itself.

use std::process::Command;

use crate::root;
use crate::shell::{Tally, output};

/// Verbs whose output stands in the manual between `<!-- begin: ... -->` and `<!-- end: ... -->`.
const PARTS: [(&str, Form); 2] = [("operators --markdown", Form::Markdown), ("explain", Form::Lines)];

#[derive(Clone, Copy)]
enum Form {
    /// As it is.
    Markdown,
    /// Lines `CODE  text` become a table.
    Lines,
}

/// Writes the generated parts again.
pub fn write(tally: &mut Tally) {
    let path = root().join("docs/manual.md");
    let written = std::fs::read_to_string(&path)
        .map_err(|error| error.to_string())
        .and_then(|old| generated(&old))
        .and_then(|new| std::fs::write(&path, new).map_err(|error| error.to_string()));
    tally.findings("manual", &written.err().into_iter().collect::<Vec<_>>());
}

/// Findings when the manual says something else than the program.
pub fn findings() -> Vec<String> {
    let old = std::fs::read_to_string(root().join("docs/manual.md")).unwrap_or_default();
    match generated(&old) {
        Ok(new) if new == old => Vec::new(),
        Ok(_) => vec!["docs/manual.md is not what the program says: run `cargo xtask manual`".to_string()],
        Err(why) => vec![why],
    }
}

fn generated(manual: &str) -> Result<String, String> {
    let mut text = manual.to_string();
    for (words, form) in PARTS {
        let mut command = Command::new("cargo");
        command.args(["run", "--quiet", "-p", "zerotell", "--"]).args(words.split(' '));
        let said = output(&mut command).ok_or_else(|| format!("`zerotell {words}` failed"))?;
        let body = match form {
            Form::Markdown => said,
            Form::Lines => table(&said),
        };
        text = replaced(&text, &format!("zerotell {words}"), &body)?;
    }
    Ok(text)
}

fn table(lines: &str) -> String {
    let row = |line: &str| {
        let (code, text) = line.split_once(' ')?;
        Some(format!("| `{code}` | {} |\n", text.trim().replace('|', "\\|")))
    };
    let rows: String = lines.lines().filter_map(row).collect();
    format!("| code | about |\n|---|---|\n{rows}")
}

/// The text with a new body between the marks of `name`.
fn replaced(text: &str, name: &str, body: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
    let missing = || format!("docs/manual.md has no marks `begin: {name}` and `end: {name}`");
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}\n{}\n\n{end}{after}", body.trim()))
}

#[cfg(test)]
mod tests {
    use super::{replaced, table};

    #[test]
    fn parts_are_replaced_and_stay() {
        let old = "a\n<!-- begin: x -->\nold\n<!-- end: x -->\nb\n";
        let new = replaced(old, "x", "new\n").expect("marks");
        assert_eq!(new, "a\n<!-- begin: x -->\n\nnew\n\n<!-- end: x -->\nb\n");
        assert_eq!(replaced(&new, "x", "new\n").expect("marks"), new);
        assert!(replaced(old, "y", "").is_err());
    }

    #[test]
    fn lines_become_rows() {
        assert_eq!(table("ZT1  a | b\n"), "| code | about |\n|---|---|\n| `ZT1` | a \\| b |\n");
    }
}
