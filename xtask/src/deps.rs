//! How many packages the verifier stands on.

use std::collections::BTreeSet;
use std::process::Command;

use crate::shell::output;

/// Most packages, ours and others', in the closure of `verify`.
const MOST: usize = 25;

/// A finding when the closure of `verify` is larger than [`MOST`].
pub fn findings() -> Vec<String> {
    let words =
        ["tree", "-p", "zerotell-verify", "-e", "normal,build", "--target", "all", "--prefix", "none"];
    let Some(tree) = output(Command::new("cargo").args(words).args(["--format", "{p}"])) else {
        return vec!["`cargo tree -p zerotell-verify` failed".to_string()];
    };
    let closure = packages(&tree);
    let names: Vec<&str> = closure.iter().map(String::as_str).collect();
    eprintln!("verify depends on {} packages: {}", closure.len(), names.join(", "));
    let too_many = closure.len() > MOST;
    too_many
        .then(|| format!("verify depends on {} packages, {MOST} are allowed", closure.len()))
        .into_iter()
        .collect()
}

/// Distinct "name version" of a tree, but for the first: that is `verify` itself.
fn packages(tree: &str) -> BTreeSet<String> {
    let name = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let all = tree.lines().map(name).filter(|name| !name.is_empty());
    all.filter(|name| !name.starts_with("zerotell-verify ")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn packages_are_counted_once() {
        let tree = "zerotell-verify v0.1.0 (/x)\nblake3 v1.8.7\ncc v1.0.0\nblake3 v1.8.7 (*)\n";
        assert_eq!(super::packages(tree).len(), 2);
    }
}
