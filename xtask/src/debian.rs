//! Debian packages that the tests and checks need.

use std::process::Command;

use crate::shell::{output, run};

/// Installs a package, as root or by `sudo` without a password; false when that fails.
pub fn install(package: &str) -> bool {
    let as_root = output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let apt = |words: &[&str]| {
        let mut command = if as_root { Command::new("apt-get") } else { Command::new("sudo") };
        if !as_root {
            command.args(["-n", "apt-get"]);
        }
        run(command.args(words).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let install = ["install", "--yes", "--no-install-recommends", package];
    apt(&install) || (apt(&["update"]) && apt(&install))
}
