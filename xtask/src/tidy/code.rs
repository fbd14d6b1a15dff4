//! Rules about code: short functions, files of a bearable length, no banned words.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::File;

/// Longest function, in lines.
const FUNCTION_LINES: usize = 70;
/// Longest file, in lines.
const FILE_LINES: usize = 1000;
/// A comment with these words and a reason, just above a function or in the head of a file, excuses its length.
const EXCUSE: &str = "Long because";

/// Words that must not stand in the repository, and why. Split, so that this file passes.
const WORDS: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "do it, or write it down as a limit in the documents"),
    (concat!("FIX", "ME"), "fix it, or assert the wrong behaviour with a note"),
    (concat!("issue", " #"), "say what the code does, not who asked"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("index.", "crates.io"), "a registry's host name"),
    (concat!("static.", "crates.io"), "a registry's host name"),
    (concat!("python", "hosted.org"), "a registry's host name"),
    (concat!("pypi", ".org"), "a registry's host name"),
    (concat!("registry.", "npmjs"), "a registry's host name"),
    (concat!("deb.", "debian.org"), "a registry's host name"),
    (concat!("arti", "factory"), "a registry's host name"),
];

/// Findings in one file.
pub fn findings(file: &File) -> Vec<String> {
    let mut found = banned(file);
    if file.is("rs") {
        found.extend(long_functions(file));
        found.extend(code_to_run(file));
    }
    if file.is("rs") || file.is("py") {
        found.extend(long_file(file));
    }
    found
}

fn banned(file: &File) -> Vec<String> {
    if file.name.ends_with(".lock") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let place = format!("{}:{}", file.name, number + 1);
        for (word, why) in WORDS.iter().filter(|(word, _)| line.contains(word)) {
            found.push(format!("{place}: `{word}`: {why}"));
        }
        // onnxruntime's Python calls its handle so; elsewhere the word is about how the code was made.
        if !file.is("py") && has_word(line, concat!("sess", "ion")) {
            found.push(format!("{place}: the documents speak of the project, not of how it was made"));
        }
    }
    found
}

/// Code in documentation that `cargo test` would build one by one, each as a program of its own; it is not asked to.
fn code_to_run(file: &File) -> Vec<String> {
    let (mut found, mut is_open) = (Vec::new(), false);
    for (number, line) in file.text.lines().enumerate() {
        let line = line.trim_start();
        let Some(text) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            is_open = false;
            continue;
        };
        let Some(kind) = text.trim_start().strip_prefix("```") else { continue };
        if !is_open && !["text", "sh", "json", "toml"].contains(&kind.trim()) {
            let fix = "make it a test, or say what it is (`text`, `sh`, `json`, `toml`)";
            found.push(format!("{}:{}: code in documentation is not run: {fix}", file.name, number + 1));
        }
        is_open = !is_open;
    }
    found
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric()).any(|w| w.eq_ignore_ascii_case(word))
}

fn long_file(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    let excused = file.text.lines().take(30).any(|line| line.contains(EXCUSE));
    (lines > FILE_LINES && !excused)
        .then(|| format!("{}: {lines} lines, at most {FILE_LINES}: cut it along its subjects", file.name))
}

fn long_functions(file: &File) -> Vec<String> {
    let Ok(syntax) = syn::parse_file(&file.text) else {
        return vec![format!("{}: it is not Rust that can be read", file.name)];
    };
    let mut spans = Functions::default();
    spans.visit_file(&syntax);
    let lines: Vec<&str> = file.text.lines().collect();
    let long = spans.0.into_iter().filter(|function| function.lines() > FUNCTION_LINES);
    let not_excused = long.filter(|function| !function.is_excused(&lines));
    let line = |function: Function| {
        format!(
            "{}:{}: `{}` has {} lines, at most {FUNCTION_LINES}: cut it, or say `// {EXCUSE} ...` above it",
            file.name,
            function.first,
            function.name,
            function.lines()
        )
    };
    not_excused.map(line).collect()
}

/// Where a function begins (its signature) and ends.
struct Function {
    name: String,
    first: usize,
    last: usize,
}

impl Function {
    fn lines(&self) -> usize {
        self.last + 1 - self.first
    }

    /// The comment block above the function, or its first line, holds the excuse.
    fn is_excused(&self, lines: &[&str]) -> bool {
        let above = lines.get(..self.first.saturating_sub(1)).unwrap_or_default();
        let head = above.iter().rev().take_while(|line| {
            let line = line.trim_start();
            line.starts_with("//") || line.starts_with('#')
        });
        head.chain(lines.get(self.first)).any(|line| line.contains(EXCUSE))
    }
}

#[derive(Default)]
struct Functions(Vec<Function>);

impl Functions {
    fn note(&mut self, signature: &syn::Signature, whole: proc_macro2::Span) {
        let first = signature.span().start().line;
        self.0.push(Function { name: signature.ident.to_string(), first, last: whole.end().line });
    }
}

impl<'a> Visit<'a> for Functions {
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.note(&item.sig, item.span());
        visit::visit_item_fn(self, item);
    }
    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.note(&item.sig, item.span());
        visit::visit_impl_item_fn(self, item);
    }
    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        self.note(&item.sig, item.span());
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::{File, findings};

    fn file(name: &str, text: String) -> File {
        File { name: name.to_string(), text }
    }

    fn function(lines: usize, above: &str) -> String {
        format!("{above}\nfn long() {{\n{}}}\n", "    work();\n".repeat(lines - 2))
    }

    #[test]
    fn long_functions_are_found_and_excused() {
        let rows = [(70, "", 0), (71, "", 1), (71, "// Long because it is a table.", 0)];
        for (lines, above, expected) in rows {
            let found = findings(&file("a.rs", function(lines, above)));
            assert_eq!(found.len(), expected, "{lines} lines: {found:?}");
        }
    }

    #[test]
    fn long_files_are_found() {
        assert_eq!(findings(&file("a.rs", "// x\n".repeat(1001))).len(), 1);
        assert!(findings(&file("a.rs", "// x\n".repeat(1000))).is_empty());
    }

    #[test]
    fn code_to_run_is_found() {
        let rows = [("", 1), ("rust", 1), ("no_run", 1), ("text", 0), ("sh", 0)];
        for (kind, expected) in rows {
            let text = format!("/// Says:\n/// ```{kind}\n/// x\n/// ```\nfn f() {{}}\n");
            assert_eq!(findings(&file("a.rs", text)).len(), expected, "{kind}");
        }
    }

    #[test]
    fn banned_words_are_found() {
        for text in [concat!("// TO", "DO"), concat!("a Sess", "ion began"), concat!("see /wo", "rk/x")] {
            assert_eq!(findings(&file("a.md", text.to_string())).len(), 1, "{text}");
        }
        assert!(findings(&file("a.md", "obsession".to_string())).is_empty());
    }
}
