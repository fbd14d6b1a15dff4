//! The tests of the explorer's page: its module in Node, the page in Chromium.

use std::path::Path;
use std::process::Command;

use crate::debian;
use crate::shell::{Tally, output, run_counting};

const CHROMIUM: &str = "/usr/bin/chromium";

/// Runs both where their programs are there or can be installed, and says so where not.
pub fn test(tally: &mut Tally) {
    let has_node = || output(Command::new("node").arg("--version")).is_some();
    if !(has_node() || debian::install("nodejs") && has_node()) {
        return tally.skip("the explorer's tests: Node is missing and apt-get could not install nodejs");
    }
    count(tally, "the explorer's module", &mut Command::new("node"), "tools/explorer/module.test.mjs");
    let chromium = std::env::var("ZEROTELL_CHROMIUM").unwrap_or_else(|_| CHROMIUM.to_string());
    if !Path::new(&chromium).is_file() && !debian::install("chromium") {
        return tally.skip(
            "the explorer's page: Chromium is missing and apt-get could not install it (ZEROTELL_CHROMIUM names another)",
        );
    }
    let mut node = Command::new("node");
    count(
        tally,
        "the explorer's page",
        node.env("ZEROTELL_CHROMIUM", chromium),
        "tools/explorer/page.test.mjs",
    );
}

fn count(tally: &mut Tally, name: &str, node: &mut Command, script: &str) {
    let (count, success) = run_counting(node.arg(script), |line| line.contains(" passed, "));
    tally.tests(name, count, success);
}
