//! Rules about the repository as a whole. Each finding is one line: place, what, what to do.

mod code;
mod docs;
mod map;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A crate and all of ours that it stands on, by their folders.
pub fn closure(of: &str) -> BTreeSet<String> {
    map::closure(of)
}

/// All findings; none is good.
pub fn findings(root: &Path) -> Vec<String> {
    let files = files(root);
    let mut found = Vec::new();
    for file in &files {
        found.extend(code::findings(file));
        found.extend(docs::findings(root, file));
    }
    found.extend(docs::missing_tests(&files));
    found.extend(map::findings(root));
    found
}

/// One text file of the repository.
struct File {
    /// From the root, with `/`.
    name: String,
    text: String,
}

impl File {
    fn is(&self, extension: &str) -> bool {
        Path::new(&self.name).extension().is_some_and(|e| e == extension)
    }
}

/// Folders that are made, not written.
fn is_made(name: &str) -> bool {
    let hidden = name.starts_with('.') && ![".ci", ".cargo"].contains(&name);
    hidden || name.starts_with("target") || ["__pycache__", "corpus", "artifacts", "coverage"].contains(&name)
}

/// Every text file, in order of name. Files that are not UTF-8 are data.
fn files(root: &Path) -> Vec<File> {
    let mut out = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !is_made(&name) {
                folders.push(path);
            } else if path.is_file()
                && !is_made(&name)
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                out.push(File { name, text });
            }
        }
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    out
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(Result::ok).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    /// The repository is tidy.
    #[test]
    fn nothing_is_found() {
        let found = super::findings(&crate::root());
        assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
    }

    /// The walk sees the files it is meant to see.
    #[test]
    fn the_walk_sees_code_and_documents() {
        let files = super::files(&crate::root());
        for name in ["README.md", "crates/verify/src/lib.rs", ".ci/run", "docs/spec/00-overview.md"] {
            assert!(files.iter().any(|file| file.name == name), "{name} is not seen");
        }
        assert!(!files.iter().any(|file| file.name.starts_with("target")));
    }
}
