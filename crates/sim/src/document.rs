//! The parts of a document that experiments write themselves: what stands between two comments that name them.

use crate::report::Report;

/// The document with a report in its place, and the pictures it refers to: names of files and what is in them. `folder`
/// is where the pictures lie, as seen from the document.
///
/// # Errors
/// A document without the two comments.
pub fn replaced(
    document: &str,
    report: &Report,
    folder: &str,
) -> Result<(String, Vec<(String, String)>), String> {
    let (begin, end) = (
        format!("<!-- begin: zerotell sim {} -->\n", report.id),
        format!("<!-- end: zerotell sim {} -->", report.id),
    );
    let place = document.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) =
        place.ok_or_else(|| format!("there is no part between `{}` and `{end}`", begin.trim()))?;
    let mut body = report.text();
    let mut files = Vec::new();
    for plot in &report.plots {
        body += &format!("\n![{}]({folder}/{}.svg)\n", plot.title, plot.name);
        files.push((format!("{}.svg", plot.name), plot.svg()));
    }
    Ok((format!("{before}{begin}\n{body}\n{end}{after}"), files))
}

#[cfg(test)]
mod tests {
    use super::replaced;
    use crate::picture::Plot;
    use crate::report::Report;

    #[test]
    fn a_part_is_written_again() {
        let mut report = Report::new("S1", "a title", 7);
        report.plots.push(Plot::new("s1-x", "a picture", "x", "y"));
        let old = "above\n<!-- begin: zerotell sim S1 -->\nold\n<!-- end: zerotell sim S1 -->\nbelow\n";
        let (new, files) = replaced(old, &report, "there").unwrap();
        assert!(new.starts_with("above\n") && new.ends_with("\nbelow\n") && !new.contains("old"));
        assert!(new.contains("Seed 7") && new.contains("![a picture](there/s1-x.svg)"));
        assert_eq!(files.len(), 1);
        let (again, _) = replaced(&new, &report, "there").unwrap();
        assert_eq!(again, new);
        assert!(replaced("nothing", &report, "there").is_err());
    }
}
