//! `parameters`: the rules' numbers on a network, and votes for others.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use ledger::{Body, Parameters};
use serde_json::{Map, Value, json};

use crate::failure::{Failure, NODE, Outcome, USAGE};
use crate::output::OutputArgs;
use crate::sender::{Cost, NodeArg, Said, SendArgs, bad, node_failure};
use crate::text::{self, DIM, HEAD, paint};

/// Flags of `parameters`.
#[derive(Args, Clone, Debug)]
pub struct ParametersArgs {
    #[command(subcommand)]
    pub verb: ParametersVerb,
}

/// What is done with parameters.
#[derive(Subcommand, Clone, Debug)]
pub enum ParametersVerb {
    /// Show the numbers that the rules depend on at present (chapter 8 of the specification says what each means)
    Show(ShowArgs),
    /// Vote for other numbers (seats only; two thirds of stake decide, within one epoch)
    ///
    /// A vote is for all parameters together: those of now with the changes of --set. Seats must name the same changes,
    /// while the same parameters rule.
    Propose(ProposeArgs),
}

/// Flags of `parameters show`.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    #[command(flatten)]
    pub node: NodeArg,
    #[command(flatten)]
    pub form: OutputArgs,
}

/// Flags of `parameters propose`.
#[derive(Args, Clone, Debug)]
pub struct ProposeArgs {
    /// A number that shall be another: NAME=N (repeat for more)
    #[arg(long, value_name = "NAME=N", required = true)]
    pub set: Vec<String>,
    #[command(flatten)]
    pub send: SendArgs,
}

impl ParametersArgs {
    /// Whether JSON is wanted.
    pub fn json(&self) -> bool {
        match &self.verb {
            ParametersVerb::Show(args) => args.form.json(),
            ParametersVerb::Propose(args) => args.send.form.json(),
        }
    }
}

/// Sets a parameter from `NAME=N`.
pub fn set(parameters: &mut Parameters, text: &str) -> Outcome<()> {
    let done = text.split_once('=').and_then(|(name, value)| parameters.set(name, value.parse().ok()?));
    done.ok_or_else(|| bad("--set", text, "write NAME=N with a parameter of chapter 8"))
}

/// Runs the verb.
pub fn run(args: &ParametersArgs) -> Outcome<ExitCode> {
    match &args.verb {
        ParametersVerb::Show(args) => show(args),
        ParametersVerb::Propose(args) => propose(args),
    }
}

fn show(args: &ShowArgs) -> Outcome<ExitCode> {
    let client = args.node.client();
    let (status, rules) =
        (client.status().map_err(node_failure)?, client.parameters().map_err(node_failure)?);
    let decisions = client.json("/v1/decisions").map_err(node_failure)?;
    if args.form.json() {
        let list = rules.named().into_iter().map(|(name, value)| (name.to_string(), json!(value)));
        let line = json!({
            "network": text::hex(&status.network),
            "height": status.height,
            "parameters": list.collect::<Map<_, _>>(),
            "coming": decisions["coming"],
            "ballots": decisions["ballots"],
            "suspended": decisions["suspended"],
        });
        println!("{line}");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("{}", paint(HEAD, format!("{:<20} {:>20}  {}", "parameter", "value", "usual")));
    for ((name, value), (_, usual)) in rules.named().into_iter().zip(Parameters::default().named()) {
        let usual = if value == usual { String::new() } else { usual.to_string() };
        anstream::println!("{name:<20} {value:>20}  {}", paint(DIM, usual));
    }
    decided(&decisions, &rules).iter().for_each(|line| anstream::println!("{line}"));
    let line = format!("network {}, as of block {}", text::hex(&status.network), status.height);
    anstream::println!("{}", paint(DIM, line));
    Ok(ExitCode::SUCCESS)
}

/// What will rule, what is voted on, and what is suspended, a line each.
fn decided(decisions: &Value, rules: &Parameters) -> Vec<String> {
    let list = |name: &str| decisions[name].as_array().cloned().unwrap_or_default();
    let mut lines = Vec::new();
    let coming = &decisions["coming"];
    for (name, old) in rules.named() {
        let new = coming["parameters"][name].as_str().and_then(|text| text.parse::<u64>().ok());
        if let Some(new) = new.filter(|new| *new != old) {
            lines.push(format!("{name} becomes {new} with block {}", coming["height"]));
        }
    }
    for ballot in list("ballots") {
        let (seats, stake) = (ballot["seats"].as_array().map_or(0, Vec::len), text_of(&ballot["stake"]));
        let subject = text::short(text_of(&ballot["subject"]));
        lines.push(format!("open vote {subject}: {seats} seats in favour, {stake} units of stake"));
    }
    for class in list("suspended") {
        lines.push(format!(
            "programs of class {} are suspended since block {}",
            class["class"], class["since"]
        ));
    }
    lines
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A parameter's name, what it is, what it becomes.
type Change = (&'static str, u64, u64);

/// The parameters that are proposed, and what changes.
fn proposed(rules: &Parameters, sets: &[String]) -> Outcome<(Parameters, Vec<Change>)> {
    let mut new = rules.clone();
    sets.iter().try_for_each(|text| set(&mut new, text))?;
    let refused = |why: &dyn std::fmt::Display, fix: &str| Failure::misuse(USAGE, "--set", why, fix);
    new.validate().map_err(|why| refused(&why, "chapter 8 of the specification has the ranges"))?;
    if new.epoch_blocks != rules.epoch_blocks {
        let why = "epoch_blocks cannot change in the life of a network";
        return Err(refused(&why, "leave it out"));
    }
    let both = rules.named().into_iter().zip(new.named());
    let changes: Vec<_> = both
        .filter(|((_, old), (_, new))| old != new)
        .map(|((name, old), (_, new))| (name, old, new))
        .collect();
    if changes.is_empty() {
        return Err(refused(&"it is so already", "name a number that is another"));
    }
    Ok((new, changes))
}

fn propose(args: &ProposeArgs) -> Outcome<ExitCode> {
    let sender = args.send.open()?;
    let (parameters, changes) = proposed(&sender.rules, &args.set)?;
    let known = sender.client.validator(&sender.account()).map_err(node_failure)?;
    if known.is_none_or(|known| known["seat"].is_null()) {
        let why = format!("the account {} has no seat in this epoch", text::hex(&sender.account()));
        let fix = "only seats vote; `zerotell account bond` makes a validator";
        return Err(Failure::misuse(NODE, "--key", why, fix));
    }
    sender.run(&Body::UpdateParameters { parameters }, Cost::default(), |_| {
        let one = |(name, old, new): &Change| format!("{name}: {old} becomes {new}");
        let mut lines: Vec<String> = changes.iter().map(one).collect();
        let blocks = sender.rules.parameter_delay;
        lines.push(format!(
            "if seats with two thirds of the stake vote for the same within this epoch; {blocks} blocks after that"
        ));
        let change = |(name, old, new): &Change| json!({"name": name, "from": old, "to": new});
        let json = json!({
            "changes": changes.iter().map(change).collect::<Vec<_>>(),
            "delay_blocks": blocks,
        });
        Ok(Said { what: "a vote for other parameters".into(), lines, json })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_are_checked_before_they_cost_anything() {
        let rules = Parameters::default();
        let propose = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
            proposed(&rules, &sets).map_err(|why| why.items[0].reason.clone())
        };
        let (new, changes) = propose(&["seats=32", "tries=4"]).unwrap();
        assert_eq!((new.seats, new.tries), (32, 4));
        assert_eq!(changes, [("tries", 3, 4), ("seats", 64, 32)]);
        let refused = |sets: &[&str], word: &str| {
            let why = propose(sets).unwrap_err();
            assert!(why.contains(word), "{why}");
        };
        refused(&["seats=32", "seats"], "cannot be read");
        refused(&["colour=1"], "cannot be read");
        refused(&["seats=-1"], "cannot be read");
        refused(&["seats=129"], "from 1 to 128");
        refused(&["verifier_share=9999"], "shares of a fee");
        refused(&["epoch_blocks=40000"], "cannot change");
        refused(&["seats=64"], "already");
    }
}
