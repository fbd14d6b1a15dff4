//! What an experiment gives: tables, pictures, and whether what it was to show holds.

use std::fmt::Write as _;

use crate::picture::Plot;

/// One question that an experiment answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What should hold.
    pub what: String,
    /// Whether it does.
    pub holds: bool,
}

/// A table of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Names of the columns.
    pub head: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(title: &str, head: &[&str]) -> Self {
        let head = head.iter().map(ToString::to_string).collect();
        Self { title: title.to_string(), head, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut out = format!("{}:\n\n{}", self.title, line(&self.head));
        let _ = writeln!(out, "|{}", "---|".repeat(self.head.len()));
        self.rows.iter().for_each(|row| out += &line(row));
        out
    }
}

/// The result of an experiment.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its name, such as S1.
    pub id: &'static str,
    /// What it asks.
    pub title: &'static str,
    /// All of chance came from this.
    pub seed: u64,
    /// Whether the figures are those of one run on one machine, which no seed gives again.
    pub measured: bool,
    /// What must hold: the criterion of the experiment.
    pub criteria: Vec<Check>,
    /// What must hold of worlds without our rules: that the criterion would fail there, so that it says something.
    pub controls: Vec<Check>,
    /// What was found that is worse than wished; each with its numbers.
    pub findings: Vec<String>,
    /// Numbers.
    pub tables: Vec<Table>,
    /// Pictures.
    pub plots: Vec<Plot>,
}

impl Report {
    /// A report without results.
    pub fn new(id: &'static str, title: &'static str, seed: u64) -> Self {
        let (criteria, controls, findings) = Default::default();
        let (measured, tables, plots) = (false, Vec::new(), Vec::new());
        Self { id, title, seed, measured, criteria, controls, findings, tables, plots }
    }

    /// A report without results, of what is measured and not computed.
    pub fn measured(id: &'static str, title: &'static str) -> Self {
        Self { measured: true, ..Self::new(id, title, 0) }
    }

    /// Notes a part of the criterion.
    pub fn criterion(&mut self, what: impl Into<String>, holds: bool) {
        self.criteria.push(Check { what: what.into(), holds });
    }

    /// Notes what must be so without one of our rules.
    pub fn control(&mut self, what: impl Into<String>, holds: bool) {
        self.controls.push(Check { what: what.into(), holds });
    }

    /// Notes a weakness.
    pub fn finding(&mut self, what: impl Into<String>) {
        self.findings.push(what.into());
    }

    /// Whether all criteria and controls hold.
    pub fn passes(&self) -> bool {
        self.criteria.iter().chain(&self.controls).all(|check| check.holds)
    }

    /// The criteria and controls that do not hold.
    pub fn failures(&self) -> Vec<&str> {
        let all = self.criteria.iter().chain(&self.controls);
        all.filter(|check| !check.holds).map(|check| check.what.as_str()).collect()
    }

    /// The report as text, which is Markdown too.
    pub fn text(&self) -> String {
        let origin = match self.measured {
            true => "Measured: another run, and another machine, give other figures".to_string(),
            false => format!("Seed {}", self.seed),
        };
        let mut out = format!("{}: {}. {origin}.\n", self.id, self.title);
        let mut list = |name: &str, checks: &[Check]| {
            for Check { what, holds } in checks {
                let _ = write!(out, "\n- {name} {}: {what}", if *holds { "holds" } else { "FAILS" });
            }
        };
        list("criterion", &self.criteria);
        list("control", &self.controls);
        self.findings.iter().for_each(|what| {
            let _ = write!(out, "\n- found: {what}");
        });
        out.push('\n');
        self.tables.iter().for_each(|table| {
            let _ = write!(out, "\n{}", table.markdown());
        });
        out
    }
}

/// A number with as many digits as matter.
pub fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if value == 0.0 => "0".to_string(),
        _ if !(1e-3..1e6).contains(&size) => format!("{value:.2e}"),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// A share as per cent.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent != 0.0 && percent.abs() < 0.01 {
        format!("{percent:.1e} %")
    } else {
        format!("{percent:.2} %")
    }
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn a_report_says_whether_it_comes_again() {
        let mut computed = Report::new("S1", "a title", 7);
        computed.criterion("one is one", true);
        assert_eq!(computed.text(), "S1: a title. Seed 7.\n\n- criterion holds: one is one\n");
        let measured = Report { measured: true, ..computed };
        assert!(!measured.text().contains("Seed") && measured.text().contains("Measured: another run"));
    }
}
