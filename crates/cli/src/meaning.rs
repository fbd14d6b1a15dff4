//! What integers mean: names, units and labels from a Program's metadata.

use compile::{Metadata, OutputMeta};
use dossier::meaning::EXACT;
pub use dossier::meaning::{of_record, read};
use program::types::{Program, Reveal};
use program::wire::Statement;
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome, REVEAL};
use crate::text;

/// As [`read`], for an owner who needs it.
pub fn required(program: &Program) -> Outcome<Metadata> {
    read(program).ok_or_else(|| {
        Failure::misuse(
            crate::failure::MODEL_FILE,
            "metadata",
            "the program does not say what its numbers mean",
            "compile the model again",
        )
    })
}

/// Digest of what an input's integers mean.
pub fn input_digest(meta: &Metadata, number: usize) -> [u8; 32] {
    let tree = meta.inputs.get(number).map(|i| serde_json::to_value(i).unwrap_or_default());
    *blake3::hash(tree.unwrap_or_default().to_string().as_bytes()).as_bytes()
}

/// The real value of an output's integer.
pub fn real(output: &OutputMeta, q: i64) -> f64 {
    (q as f64 - output.zero as f64) * output.scale
}

/// Number of classes of an output with labels.
fn classes(output: &OutputMeta) -> usize {
    match output.shape.as_slice() {
        [n] => *n,
        _ => 0,
    }
}

/// Whether a label can be revealed: the output is one row of at least two scores.
pub fn has_label(output: &OutputMeta) -> bool {
    classes(output) >= 2
}

/// The name of a class.
pub fn label_name(output: Option<&OutputMeta>, label: i64) -> Option<String> {
    let names = output?.labels.as_ref()?;
    usize::try_from(label).ok().and_then(|i| names.get(i)).map(|name| text::clean(name))
}

fn bad(text: &str, why: impl std::fmt::Display) -> Failure {
    let fix = "write output, label or \"out[0]>=0.5\"; see `zerotell explain ZT210`";
    Failure::misuse(REVEAL, format!("--reveal {text}"), why, fix)
}

/// The number of an output: `out` is the first.
fn output_number(meta: &Metadata, name: &str, text: &str) -> Outcome<usize> {
    let named = meta.outputs.iter().position(|o| o.name == name);
    let numbered = name.parse::<usize>().ok().filter(|&n| n < meta.outputs.len());
    let first = (name == "out" || name.is_empty()).then_some(0);
    named.or(numbered).or(first).ok_or_else(|| {
        let names: Vec<&str> = meta.outputs.iter().map(|o| o.name.as_str()).collect();
        bad(text, format!("there is no output `{name}`, only {names:?} (`out` is the first)"))
    })
}

/// What to reveal, in the Program's terms. Without any wish: the label, or else the output.
pub fn reveals(meta: &Metadata, wishes: &[String]) -> Outcome<Vec<Reveal>> {
    if wishes.is_empty() {
        let label = meta.outputs.first().is_some_and(has_label);
        return Ok(vec![if label { Reveal::Label { output: 0 } } else { Reveal::Values { output: 0 } }]);
    }
    wishes.iter().map(|wish| reveal(meta, wish)).collect()
}

fn reveal(meta: &Metadata, wish: &str) -> Outcome<Reveal> {
    let (what, name) = wish.split_once(':').unwrap_or((wish, ""));
    match what {
        "output" => Ok(Reveal::Values { output: output_number(meta, name, wish)? as u32 }),
        "label" => {
            let number = output_number(meta, name, wish)?;
            if !meta.outputs.get(number).is_some_and(has_label) {
                let why = "the output has no label: it is not one row of at least two scores";
                let single = meta.outputs.get(number).is_some_and(|o| o.then == "sigmoid");
                let hint =
                    if single { "; \"out[0]>=0.5\" shows on which side of one half it is" } else { "" };
                return Err(bad(wish, format!("{why}{hint}")));
            }
            Ok(Reveal::Label { output: number as u32 })
        }
        _ => threshold(meta, wish),
    }
}

/// `name[index]>=value`, `name[label]<=value`.
fn threshold(meta: &Metadata, wish: &str) -> Outcome<Reveal> {
    let (left, at_least, right) = match (wish.split_once(">="), wish.split_once("<=")) {
        (Some((left, right)), None) => (left, true, right),
        (None, Some((left, right))) => (left, false, right),
        _ => return Err(bad(wish, "it is neither output, label nor a bound with >= or <=")),
    };
    let left = left.trim();
    let (name, index) = match left.split_once('[') {
        Some((name, rest)) => (name, rest.strip_suffix(']').ok_or_else(|| bad(wish, "a ] is missing"))?),
        None => (left, "0"),
    };
    let number = output_number(meta, name.trim(), wish)?;
    let output = meta.outputs.get(number).ok_or_else(|| bad(wish, "there is no such output"))?;
    let entries: usize = output.shape.iter().product();
    let labelled = output.labels.as_ref().and_then(|names| names.iter().position(|n| n == index));
    let index = labelled.or_else(|| index.trim().parse().ok()).filter(|&i| i < entries);
    let index = index.ok_or_else(|| bad(wish, format!("the output has entries 0..{entries}")))?;
    let bound: f64 = right.trim().parse().map_err(|_| bad(wish, "the bound is not a number"))?;
    let bound =
        integer_bound(output, bound, at_least).ok_or_else(|| bad(wish, "the bound is out of range"))?;
    Ok(Reveal::Threshold { output: number as u32, index: index as u32, at_least, bound })
}

/// The weakest integer bound that implies the real one: the least q with real(q) >= bound, or the
/// largest with real(q) <= bound. A sigmoid's bound is meant in probability.
fn integer_bound(output: &OutputMeta, bound: f64, at_least: bool) -> Option<i64> {
    let bound = if output.then == "sigmoid" { (bound / (1.0 - bound)).ln() } else { bound };
    let units = bound / output.scale;
    if !units.is_finite() || units.abs() > (EXACT >> 1) as f64 {
        return None;
    }
    let mut q = (if at_least { units.ceil() } else { units.floor() }) as i64 + output.zero;
    let holds = |q: i64| if at_least { real(output, q) >= bound } else { real(output, q) <= bound };
    let inward = if at_least { 1 } else { -1 };
    // Division rounds: the true bound is at most a step away.
    while !holds(q) {
        q += inward;
    }
    while holds(q - inward) {
        q -= inward;
    }
    Some(q)
}

/// What a statement shows, in words and as data.
pub struct Shown {
    /// Lines for people.
    pub lines: Vec<String>,
    /// Per output values: one list of reals per row, for the first output shown so; else null.
    pub outputs: Value,
    /// Per row label name or number; else null.
    pub label: Value,
    /// Every reveal as JSON.
    pub reveals: Vec<Value>,
}

fn name_of(meta: Option<&Metadata>, output: u32) -> String {
    let found = meta.and_then(|m| m.outputs.get(output as usize));
    found.map_or_else(|| format!("output {output}"), |o| text::clean(&o.name))
}

fn single(mut list: Vec<Value>) -> Value {
    if list.len() == 1 { list.remove(0) } else { Value::Array(list) }
}

/// Reads what a statement reveals. The statement must have been accepted.
pub fn shown(meta: Option<&Metadata>, statement: &Statement) -> Shown {
    let public = statement.disclosure.inputs.iter().filter(|m| **m == program::InputMode::Public).count();
    let mut slots = statement.slots.iter().skip(public);
    let mut shown =
        Shown { lines: Vec::new(), outputs: Value::Null, label: Value::Null, reveals: Vec::new() };
    for reveal in &statement.disclosure.reveals {
        match reveal {
            Reveal::Values { output } => {
                values(&mut shown, meta, *output, slots.next().map_or(&[], Vec::as_slice), statement.batch);
            }
            Reveal::Label { output } => {
                labels(&mut shown, meta, *output, slots.next().map_or(&[], Vec::as_slice))
            }
            Reveal::Threshold { output, index, at_least, bound } => {
                bound_line(&mut shown, meta, *output, *index, *at_least, *bound);
            }
        }
    }
    shown
}

fn values(shown: &mut Shown, meta: Option<&Metadata>, output: u32, slot: &[i64], batch: u32) {
    let about = meta.and_then(|m| m.outputs.get(output as usize));
    let width = slot.len() / (batch.max(1) as usize);
    let name = name_of(meta, output);
    let mut rows = Vec::new();
    for (number, row) in slot.chunks(width.max(1)).enumerate() {
        let reals: Vec<f64> = row.iter().map(|&q| about.map_or(q as f64, |o| real(o, q))).collect();
        let words: Vec<String> = reals.iter().take(16).map(|&x| text::real(x)).collect();
        let more = if reals.len() > 16 { format!(" … {} in all", reals.len()) } else { String::new() };
        let which = if batch > 1 { format!(" row {number}") } else { String::new() };
        shown.lines.push(format!("{name}{which} = {}{more}", words.join("  ")));
        rows.push(json!(reals));
    }
    if let Some(about) = about.filter(|o| o.kind == "logits" && shown.label.is_null()) {
        let all: Vec<i64> = slot.chunks(width.max(1)).filter_map(|row| label_of(about, row)).collect();
        if !all.is_empty() {
            shown.label = single(all.iter().map(|&l| named(Some(about), l)).collect());
        }
    }
    last_step(shown, about, slot);
    shown.reveals.push(json!({"kind": "output", "output": name, "integers": slot, "values": rows, "unit": about.map(|o| o.scale)}));
    if shown.outputs.is_null() {
        shown.outputs = single(rows);
    }
}

/// The label that a row of scores means: the largest of several, the sign of a single one.
fn label_of(about: &OutputMeta, row: &[i64]) -> Option<i64> {
    match (row, has_label(about)) {
        (_, true) => row.iter().enumerate().rev().max_by_key(|(_, q)| **q).map(|(i, _)| i as i64),
        ([q], false) => Some(i64::from(*q > about.zero)),
        _ => None,
    }
}

/// What the model does last with the scores is not proved: anyone can do it.
fn last_step(shown: &mut Shown, about: Option<&OutputMeta>, slot: &[i64]) {
    let Some(about) = about.filter(|o| o.then != "none") else { return };
    let step = text::clean(&about.then);
    let line = if step == "sigmoid" {
        let words = slot.iter().map(|&q| text::real(probability(real(about, q))));
        format!("(its sigmoid, a probability: {})", words.collect::<Vec<_>>().join("  "))
    } else {
        format!("(scores before the model's last step, {step}, which the reader can do)")
    };
    shown.lines.push(line);
}

fn probability(score: f64) -> f64 {
    // In pure Rust, so that a report has the same digits on every machine.
    1.0 / (1.0 + libm::exp(-score))
}

fn named(output: Option<&OutputMeta>, label: i64) -> Value {
    label_name(output, label).map_or_else(|| json!(label), |name| json!(name))
}

fn labels(shown: &mut Shown, meta: Option<&Metadata>, output: u32, slot: &[i64]) {
    let about = meta.and_then(|m| m.outputs.get(output as usize));
    let name = name_of(meta, output);
    for (row, &label) in slot.iter().enumerate() {
        let which = if slot.len() > 1 { format!(" row {row}") } else { String::new() };
        let words = label_name(about, label)
            .map_or_else(|| format!("class {label}"), |n| format!("{n} (class {label})"));
        shown.lines.push(format!("label of {name}{which} = {words}"));
    }
    shown.label = single(slot.iter().map(|&l| named(about, l)).collect());
    shown.reveals.push(json!({"kind": "label", "output": name, "integers": slot, "label": shown.label}));
}

fn bound_line(
    shown: &mut Shown,
    meta: Option<&Metadata>,
    output: u32,
    index: u32,
    at_least: bool,
    bound: i64,
) {
    let about = meta.and_then(|m| m.outputs.get(output as usize));
    let sign = if at_least { ">=" } else { "<=" };
    let name = name_of(meta, output);
    let value = about.map(|o| real(o, bound));
    let label = about.filter(|o| has_label(o)).and_then(|o| label_name(Some(o), i64::from(index)));
    let who = label.map(|l| format!(" ({l})")).unwrap_or_default();
    let words = value.map_or_else(|| bound.to_string(), text::real);
    shown.lines.push(format!("{name}[{index}]{who} {sign} {words}   (integer {sign} {bound})"));
    if about.is_some_and(|o| o.then == "sigmoid") {
        let p = probability(value.unwrap_or(0.0));
        shown.lines.push(format!("(that is: probability {sign} {})", text::real(p)));
    }
    shown.reveals.push(json!({"kind": "threshold", "output": name, "index": index, "at_least": at_least, "integer": bound, "value": value}));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(then: &str) -> OutputMeta {
        OutputMeta {
            name: "y".into(),
            shape: vec![2],
            scale: 0.1,
            zero: 3,
            kind: "logits".into(),
            then: then.into(),
            labels: Some(vec!["no".into(), "yes".into()]),
        }
    }

    /// A program with one input and one output, both of two entries.
    fn program(meta: &Metadata) -> Program {
        let tensor = program::types::Tensor {
            home: program::types::Home::Input,
            axes: vec![0, 2],
            lo: -8,
            hi: 7,
            content: [].into(),
        };
        Program {
            lambda: 100,
            grind: 0,
            limb_bits: 8,
            tensors: vec![tensor],
            ladder: program::types::Ladder::default(),
            model_oracle: None,
            tables: vec![],
            operators: vec![],
            outputs: vec![0],
            metadata: meta.to_bytes(),
        }
    }

    fn metadata() -> Metadata {
        let input =
            serde_json::json!({"name": "x", "shape": [2], "scale": 0.5, "zero": 0, "lo": -8, "hi": 7});
        Metadata {
            format: compile::FORMAT.into(),
            model: "m".into(),
            semantics: "bounded".into(),
            precision: "w8a8".into(),
            inputs: vec![serde_json::from_value(input).unwrap()],
            outputs: vec![output("none")],
            notes: vec![],
            report_digest: String::new(),
        }
    }

    #[test]
    fn metadata_that_does_not_fit_is_not_believed() {
        assert!(read(&program(&metadata())).is_some());
        let wrong: [fn(&mut Metadata); 8] = [
            |m| m.inputs[0].shape = vec![usize::MAX, usize::MAX],
            |m| m.inputs[0].shape = vec![3],
            |m| m.inputs[0].zero = i64::MIN,
            |m| m.inputs[0].lo = 9,
            |m| m.inputs[0].scale = 0.0,
            |m| m.outputs[0].scale = -1.0,
            |m| m.outputs[0].zero = i64::MIN,
            |m| m.outputs.clear(),
        ];
        for change in wrong {
            let mut meta = metadata();
            change(&mut meta);
            let program = program(&meta);
            assert!(read(&program).is_none(), "{meta:?}");
            // Integers are shown as they are.
            let statement = Statement {
                program_digest: [0; 32],
                zk: true,
                batch: 1,
                disclosure: program::Disclosure {
                    inputs: vec![program::InputMode::Private],
                    reveals: vec![
                        Reveal::Values { output: 0 },
                        Reveal::Label { output: 9 },
                        Reveal::Threshold { output: 0, index: 7, at_least: true, bound: i64::MIN },
                    ],
                },
                identity: vec![],
                roots: vec![],
                link: [0; 32],
                slots: vec![vec![i64::MIN, i64::MAX], vec![-1]],
                context: vec![],
            };
            let shown = shown(None, &statement);
            assert_eq!(shown.outputs, json!([i64::MIN as f64, i64::MAX as f64]));
            assert_eq!(shown.label, json!(-1));
        }
    }

    #[test]
    fn bounds_are_the_weakest_that_imply_the_real_one() {
        let o = output("none");
        for at_least in [false, true] {
            for i in -200..200 {
                let bound = f64::from(i) * 0.037;
                let q = integer_bound(&o, bound, at_least).unwrap();
                let holds = |q| if at_least { real(&o, q) >= bound } else { real(&o, q) <= bound };
                assert!(holds(q) && !holds(if at_least { q - 1 } else { q + 1 }), "{bound} {q}");
            }
        }
        assert_eq!(integer_bound(&o, f64::NAN, true), None);
        assert_eq!(integer_bound(&output("sigmoid"), 0.5, true), Some(3));
        assert_eq!(integer_bound(&output("sigmoid"), 1.5, true), None);
    }
}
