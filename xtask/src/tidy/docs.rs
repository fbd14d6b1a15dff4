//! Rules about documents: one title, no dead links.

use std::path::Path;

use super::File;

/// Findings in one document.
pub fn findings(root: &Path, file: &File) -> Vec<String> {
    if !file.is("md") {
        return Vec::new();
    }
    let prose = prose(&file.text);
    let titles = prose.iter().filter(|(_, line)| line.starts_with("# ")).count();
    let mut found = Vec::new();
    if titles != 1 {
        found.push(format!("{}: {titles} titles (`# ...`), a document has one", file.name));
    }
    let folder = root.join(&file.name).parent().map(Path::to_path_buf).unwrap_or_default();
    for (number, line) in prose {
        for target in links(line).filter(|target| is_local(target)) {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !folder.join(path).exists() {
                found.push(format!("{}:{number}: the link `{target}` leads nowhere", file.name));
            }
        }
    }
    found
}

/// Tests that `docs/lessons.md` names in its last column, but that do not exist.
pub fn missing_tests(files: &[File]) -> Vec<String> {
    let lessons = files.iter().find(|file| file.name == "docs/lessons.md");
    let last_cells = lessons.iter().flat_map(|file| file.text.lines()).filter_map(|line| {
        line.strip_prefix("| ")?.strip_suffix(" |")?.rsplit_once(" | ").map(|(_, cell)| cell)
    });
    let names = last_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let exists = |name: &str| {
        let (rust, python) = (format!("fn {name}("), format!("def {name}("));
        files.iter().any(|file| {
            (file.is("rs") && file.text.contains(&rust)) || (file.is("py") && file.text.contains(&python))
        })
    };
    names
        .filter(|name| !exists(name))
        .map(|name| format!("docs/lessons.md: there is no test `{name}`"))
        .collect()
}

/// Numbered lines outside code fences.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    let mut out = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            out.push((number + 1, line));
        }
    }
    out
}

/// Targets of `[text](target)`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

fn is_local(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:") && !target.contains([' ', '('])
}

#[cfg(test)]
mod tests {
    use super::{File, findings, missing_tests};

    fn found(text: &str) -> usize {
        findings(&crate::root(), &File { name: "docs/x.md".to_string(), text: text.to_string() }).len()
    }

    #[test]
    fn titles_and_links_are_checked() {
        assert_eq!(found("# One\n\n```sh\n# not a title\n```\n[spec](spec/00-overview.md#x)\n"), 0);
        assert_eq!(found("no title\n"), 1);
        assert_eq!(found("# One\n# Two\n"), 1);
        assert_eq!(found("# One\n[gone](nowhere.md)\n"), 1);
        assert_eq!(found("# One\n[far](https://example.com/nowhere.md)\n"), 0);
    }

    #[test]
    fn tests_that_are_gone_are_found() {
        let file = |name: &str, text: &str| File { name: name.to_string(), text: text.to_string() };
        let lessons = file("docs/lessons.md", "| a | `b` | `here`, `gone` |\n");
        let found = missing_tests(&[lessons, file("x.rs", "fn here() {}")]);
        assert_eq!(found, ["docs/lessons.md: there is no test `gone`"]);
    }
}
