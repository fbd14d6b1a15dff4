//! The report for people (spec V21-V23): one page without scripts, made from nothing but what was checked.
//!
//! The same evidence gives the same bytes, so a reader makes the page again and refuses another one. The
//! page has a form number; whoever changes a word of it raises the number.

use core::fmt::Write as _;

use program::{InputMode, Program};

use crate::facts::{Facts, Ranges, Role, Semantics, not_claimed};
use crate::graph::draw;
use crate::json::hex;
use crate::key::PublicKey;
use crate::limits;
use crate::page::{STYLE, bullets, escape, pairs, table};
use crate::refused::{Outcome, Part, Refused};
use crate::statement::Statement;

/// Number of the form of the page.
pub const FORM: u32 = 1;

/// What is known of the accuracy: texts, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accuracy {
    /// Names and values.
    pub summary: Vec<(String, String)>,
    /// Per output: name, agreement, changed labels, largest error, mean error, noise ratio.
    pub outputs: Vec<Vec<String>>,
}

/// What integers and identities are called. All of it is taken from the checked parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The model's ID.
    pub model_id: String,
    /// IDs of committed inputs.
    pub input_ids: Vec<String>,
    /// Name of the model, as its owner wrote it.
    pub model_name: Option<String>,
    /// Bits of weights and activations.
    pub precision: Option<String>,
    /// Names of the inputs.
    pub inputs: Vec<String>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// What is revealed, line by line.
    pub revealed: Vec<String>,
    /// The parts of the context.
    pub context: Vec<(String, String)>,
    /// What the range certificate says.
    pub ranges: Option<String>,
    /// The accuracy report, if it is there.
    pub accuracy: Option<Accuracy>,
}

/// Everything the page is made from.
pub struct Page<'a> {
    /// What the proof says.
    pub facts: &'a Facts,
    /// The signed statement.
    pub statement: &'a Statement,
    /// The program, which must be valid.
    pub program: &'a Program,
    /// Names.
    pub words: &'a Words,
    /// Who signed.
    pub signer: &'a PublicKey,
    /// Bytes of the proof file.
    pub proof_bytes: usize,
    /// A name and a line per annex.
    pub annexes: &'a [(String, String)],
}

fn plural(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("one {one}") } else { format!("{count} {many}") }
}

fn number(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl Page<'_> {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let name = self.words.model_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("A model");
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"generator\" content=\"zerotell report {FORM}\">\n\
             <title>{} — evidence</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
            escape(name)
        );
        self.head(&mut out, name);
        out.push_str("<div class=\"two\">\n");
        section(&mut out, "yes", "What is proved", &bullets("plain", &self.proved()));
        section(&mut out, "not", "What is not claimed", &bullets("plain", &self.unclaimed()));
        out.push_str("</div>\n");
        section(&mut out, "", "Checks", &self.checks());
        section(&mut out, "", "The model", &self.model());
        section(&mut out, "", "Accuracy", &self.accuracy());
        section(&mut out, "", "Occasion", &self.occasion());
        section(&mut out, "mono", "Digests and keys", &pairs(&self.digests()));
        self.foot(&mut out);
        out
    }

    /// Refuses another page than this.
    ///
    /// # Errors
    /// When it is of another form, or differs.
    pub fn compare(&self, found: &[u8]) -> Outcome<()> {
        let honest = self.render();
        if honest.as_bytes() == found {
            return Ok(());
        }
        let mark = format!("content=\"zerotell report {FORM}\"");
        let known = found.windows(mark.len()).take(2048).any(|part| part == mark.as_bytes());
        let why = if known {
            let at = honest.bytes().zip(found).position(|(a, b)| a != *b);
            let at = at.unwrap_or_else(|| honest.len().min(found.len()));
            format!("report.html says something else than the checked parts do (from byte {at} on)")
        } else {
            format!("report.html is not of form {FORM}, the one that this version makes")
        };
        Err(Refused::new(Part::Report, why))
    }

    fn head(&self, out: &mut String, name: &str) {
        let (facts, bits) = (self.facts, self.facts.security.bits);
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<p class=\"brand\">Zerotell evidence</p>\n<h1>{}</h1>\n<p class=\"lead\">{}</p>\n",
            escape(name),
            escape(&format!("A proof about {}.", plural(number(facts.batch), "inference", "inferences")))
        );
        let accepted = format!(
            "<p>Each check below held when this page was made. A page proves nothing by itself: \
             <code>zerotell verify</code> on the evidence file repeats every check and refuses a page that says \
             anything else.</p>\n<p>Signed by the {}.</p>\n",
            escape(&self.signer.to_string())
        );
        section(out, "verdict", &format!("Proof accepted, {bits} bits"), &accepted);
        let nothing = vec!["nothing: only that the model ran on an input".to_string()];
        let lines = if self.words.revealed.is_empty() { &nothing } else { &self.words.revealed };
        let mut shown: Vec<String> = lines.iter().take(limits::SHOWN).cloned().collect();
        if lines.len() > shown.len() {
            shown.push(format!("… {} lines in all", lines.len()));
        }
        section(out, "", "Revealed", &bullets("shown", &shown));
    }

    fn proved(&self) -> Vec<String> {
        let facts = self.facts;
        let weights = if facts.hidden_weights() { "the hidden weights" } else { "the public weights" };
        let mut all = vec![format!(
            "The program, with {weights} of the model whose ID is {}, gives what is revealed above.",
            self.words.model_id
        )];
        let modes = [
            (InputMode::Public, "The input is public: it is part of what was proved."),
            (InputMode::Private, "The prover knows an input that gives this answer. The input stays hidden."),
            (
                InputMode::Committed,
                "The input is the one committed earlier under its own ID. It stays hidden.",
            ),
        ];
        all.extend(
            modes.iter().filter(|(mode, _)| facts.inputs.contains(mode)).map(|(_, s)| (*s).to_string()),
        );
        all.push(match facts.ranges {
            Ranges::Public => "Every relation of the program holds over the integers.".into(),
            Ranges::Certified { .. } => {
                "Every relation of the program holds over the integers: a certificate shows that every hidden \
                 weight lies in its declared range."
                    .into()
            }
            Ranges::Unproved => {
                "Every relation of the program holds modulo the prime: the outputs are one fixed function of \
                 the committed numbers and the input, and all values on the way are in their ranges."
                    .into()
            }
        });
        if facts.zero_knowledge {
            all.push("The proof is zero-knowledge: it shows nothing else of what is hidden.".into());
        }
        let links = self.links();
        if links > 0 {
            all.push(format!(
                "What was opened is what the ID stands for: {} from one to the other.",
                plural(links, "proved link leads", "proved links lead")
            ));
        }
        if !facts.context.is_empty() {
            all.push("The proof is bound to the occasion below, and to no other.".into());
        }
        all
    }

    fn links(&self) -> usize {
        self.facts.commitments.iter().fold(0, |sum, one| sum.saturating_add(number(one.links)))
    }

    fn unclaimed(&self) -> Vec<String> {
        let absent = not_claimed(self.facts, self.statement.claims.model_signing.is_some());
        absent.iter().map(|one| format!("{}.", capital(one.words))).collect()
    }

    fn checks(&self) -> String {
        let facts = self.facts;
        let weights = if facts.hidden_weights() { "weights hidden" } else { "weights public" };
        let held = |name: &'static str, words: String| (name, true, words);
        let mut rows = vec![
            held("evidence file", "one spelling, nothing added, nothing left out".into()),
            held("signature", self.signer.to_string()),
            held("statement", "says what the proof says, in every field".into()),
            held(
                "program",
                format!("valid, {}", plural(self.program.operators.len(), "operator", "operators")),
            ),
            (
                "model identity",
                false,
                format!("{} ({weights}); compare it with the owner's", self.words.model_id),
            ),
            ("input", facts.inputs == [InputMode::Public], self.input_words()),
            ("context", false, self.context_words()),
        ];
        if self.links() > 0 {
            rows.push(held("links", format!("{} from the identity to what is opened", self.links())));
        }
        let zk = if facts.zero_knowledge { "zero knowledge" } else { "NOT zero knowledge" };
        rows.push(("relations", facts.zero_knowledge, format!("proved, {zk}")));
        rows.push(match facts.ranges {
            Ranges::Public => held("weight ranges", "public weights, compared with their ranges".into()),
            Ranges::Certified { .. } => {
                held("weight ranges", self.words.ranges.clone().unwrap_or_else(|| "proved".into()))
            }
            Ranges::Unproved => {
                ("weight ranges", false, "not proved: a function mod p of what is committed".into())
            }
        });
        let security = &facts.security;
        let bits = format!(
            "{} proven, weakest term: {}; {} for the union of all rounds",
            security.bits, security.weakest, security.union_bits
        );
        rows.push(held("security bits", bits));
        rows.extend(self.annexes.iter().map(|(_, words)| held("network", words.clone())));
        let mut out = String::from(
            "<table class=\"checks\">\n<thead><tr><th>state</th><th>check</th><th>what was found</th></tr></thead>\n<tbody>\n",
        );
        for (name, holds, words) in rows {
            let (class, state) = if holds { ("ok", "held") } else { ("open", "for you to judge") };
            let cells = (escape(name), escape(&words));
            let _ = writeln!(
                out,
                "<tr><td class=\"{class}\">{state}</td><td>{}</td><td>{}</td></tr>",
                cells.0, cells.1
            );
        }
        out.push_str("</tbody></table>\n");
        out
    }

    fn input_words(&self) -> String {
        let word = |mode: &InputMode| match mode {
            InputMode::Public => "public, part of the statement",
            InputMode::Private => "private: some input that the prover knows",
            InputMode::Committed => "private, committed",
        };
        let mut words: Vec<&str> = self.facts.inputs.iter().map(word).collect();
        words.dedup();
        let ids = self.words.input_ids.join(", ");
        let joined = words.join("; ");
        if ids.is_empty() { joined } else { format!("{joined}: {ids}") }
    }

    fn context_words(&self) -> String {
        if self.facts.context.is_empty() {
            return "none: the proof is bound to no occasion".into();
        }
        "bound to the occasion below; compare it with what you asked for".into()
    }

    fn model(&self) -> String {
        let facts = self.facts;
        let meaning = match facts.semantics {
            Semantics::Exact => "exact: the integers are those of the quantised model that was given",
            Semantics::ServedInt => "served-int: the integers are the answer itself",
            Semantics::Bounded => {
                "bounded: a quantised form of a float model, near it as the accuracy report says"
            }
        };
        let mut rows = vec![("ID".to_string(), self.words.model_id.clone())];
        if let Some(precision) = &self.words.precision {
            rows.push(("precision".into(), precision.clone()));
        }
        rows.push(("meaning".into(), meaning.into()));
        let weights = if facts.hidden_weights() { "hidden, committed" } else { "public, in the program" };
        rows.push(("weights".into(), weights.into()));
        if let Some(digest) = self.statement.claims.model_signing {
            rows.push(("model signing".into(), format!("sha256:{} (the signer says so)", hex(&digest))));
        }
        format!("{}{}", pairs(&rows), draw(self.program, &self.words.inputs, &self.words.outputs))
    }

    fn accuracy(&self) -> String {
        let digest = self.facts.accuracy.map(|digest| hex(&digest));
        match (&self.words.accuracy, digest) {
            (Some(accuracy), _) => {
                let head =
                    ["output", "agreement", "changed labels", "largest error", "mean error", "noise ratio"];
                let rows = table(&head, &accuracy.outputs);
                let note = "<p>Measured by the owner on samples when the model was compiled, against the float \
                            model. The program names this report by its digest; the figures are not proved.</p>\n";
                format!(
                    "{note}{}<div class=\"numbers\"><h3>By output</h3>{rows}</div>",
                    pairs(&accuracy.summary)
                )
            }
            (None, Some(digest)) => format!(
                "<p>The program names an accuracy report, which is not in this file. Ask the owner for the one \
                 with this digest:</p>\n<p><code>{digest}</code></p>\n"
            ),
            (None, None) => "<p>The program names no accuracy report.</p>\n".into(),
        }
    }

    fn occasion(&self) -> String {
        if self.words.context.is_empty() {
            let words = if self.facts.context.is_empty() {
                "None. The proof is bound to no asker, nonce or date, and may be shown again.".to_string()
            } else {
                format!("In a form not known here: {}", hex(&self.facts.context))
            };
            return format!("<p>{}</p>\n", escape(&words));
        }
        pairs(&self.words.context)
    }

    fn digests(&self) -> Vec<(String, String)> {
        let (facts, subject) = (self.facts, self.statement.subject);
        let mut rows = vec![
            ("program".to_string(), format!("blake3:{}", hex(&facts.program))),
            ("model identity".into(), hex(&facts.model)),
            ("proof file".into(), format!("{} bytes", self.proof_bytes)),
            (String::new(), format!("blake3:{}", hex(&subject.blake3))),
            (String::new(), format!("sha256:{}", hex(&subject.sha256))),
        ];
        for one in &facts.commitments {
            let role = if one.role == Role::Model { "weights" } else { "input" };
            rows.push((format!("committed {role}"), hex(&one.identity)));
            rows.push((
                format!("opened root, {}", plural(number(one.links), "link", "links")),
                hex(&one.root),
            ));
        }
        if let Ranges::Certified { blake3, .. } = facts.ranges {
            rows.push(("range certificate".into(), format!("blake3:{}", hex(&blake3))));
        }
        rows.push(("statement signed by".into(), self.signer.to_string()));
        let verifier = &self.statement.claims.verifier;
        let build = verifier.build.map(|digest| format!(", build blake3:{}", hex(&digest)));
        rows.push((
            "verified with".into(),
            format!("zerotell {}{}", verifier.version, build.unwrap_or_default()),
        ));
        rows
    }

    fn foot(&self, out: &mut String) {
        let _ = write!(
            out,
            "<footer>\n<p>To check all of it again, offline: <code>zerotell verify evidence.zte --model {} --key \
             signer.pem</code>, with the ID and the key that you have from elsewhere.</p>\n</footer>\n\
             </main>\n</body>\n</html>\n",
            escape(&self.words.model_id)
        );
    }
}

fn section(out: &mut String, class: &str, title: &str, body: &str) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let _ = write!(out, "<section{class}>\n<h2>{}</h2>\n{body}</section>\n", escape(title));
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
