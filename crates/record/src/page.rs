//! Pieces of a page: text that cannot become markup, tables, and the style of it all.

use core::fmt::Write as _;

/// Whether a character can change how the text around it looks.
fn misleads(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Text from a stranger, without characters that control a terminal or reorder text.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || misleads(c) { '\u{fffd}' } else { c }).collect()
}

/// Text as part of a page: cleaned, and without markup.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for letter in clean(text).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

/// A list of names and what they are.
#[must_use]
pub fn pairs(rows: &[(String, String)]) -> String {
    let mut out = String::from("<dl>\n");
    for (name, value) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    out.push_str("</dl>\n");
    out
}

/// A list of sentences.
#[must_use]
pub fn bullets(class: &str, items: &[String]) -> String {
    let mut out = format!("<ul class=\"{class}\">\n");
    for item in items {
        let _ = writeln!(out, "<li>{}</li>", escape(item));
    }
    out.push_str("</ul>\n");
    out
}

/// A table with a head.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = String::from("<div class=\"wide\"><table>\n<thead><tr>");
    for cell in head {
        let _ = write!(out, "<th>{}</th>", escape(cell));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{}</td>", escape(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// The style of the page. No font, picture or script is fetched from anywhere.
pub const STYLE: &str = include_str!("report.css");
