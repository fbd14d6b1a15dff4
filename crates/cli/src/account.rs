//! `account`: what an account has, and moving it: to another account, into a validator's bond, and out again.

use std::path::PathBuf;
use std::process::ExitCode;

use certify::Bounded;
use certify::hash::Digest;
use clap::{Args, Subcommand};
use ledger::{Body, Parameters};
use node::client::Client;
use node::keys::Keys;
use serde_json::{Value, json};

use crate::failure::{Failure, NETWORK_FILE, NODE, Outcome, USAGE};
use crate::output::OutputArgs;
use crate::sender::{
    Cost, NodeArg, Placed, Said, SendArgs, Sender, digest, key_failure, node_failure, reached, units,
};
use crate::text::{self, DIM, paint};

/// Flags of `account`.
#[derive(Args, Clone, Debug)]
pub struct AccountArgs {
    #[command(subcommand)]
    pub verb: AccountVerb,
}

/// What is done with an account.
#[derive(Subcommand, Clone, Debug)]
pub enum AccountVerb {
    /// Show an account's money, its bond, its seat, and withdrawals with the time they become free
    Show(ShowArgs),
    /// Give units to another account
    Transfer(TransferArgs),
    /// Put units at stake, to have a seat from the next epoch on
    ///
    /// The directory of --key must hold the consensus key too (`zerotell node key DIR` makes both). That the account has
    /// that key is shown by a signature; then the key belongs to the account for good. Validators let a node in when its
    /// bond is enough for a seat, and dial it at --address when it has one.
    Bond(BondArgs),
    /// Take units out of the bond; they become free when nobody can accuse the account any more
    Unbond(UnbondArgs),
}

/// Flags of `account show`.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// The account: 64 hexadecimal digits
    #[arg(value_name = "ACCOUNT", value_parser = digest, required_unless_present = "key")]
    pub account: Option<Digest>,
    /// Or its keys' directory
    #[arg(long, value_name = "DIR", conflicts_with = "account")]
    pub key: Option<PathBuf>,
    #[command(flatten)]
    pub node: NodeArg,
    #[command(flatten)]
    pub form: OutputArgs,
}

/// Flags of `account transfer`.
#[derive(Args, Clone, Debug)]
pub struct TransferArgs {
    /// Whose it will be: 64 hexadecimal digits
    #[arg(value_name = "ACCOUNT", value_parser = digest)]
    pub to: Digest,
    /// How much
    #[arg(value_name = "UNITS", value_parser = units)]
    pub amount: u64,
    #[command(flatten)]
    pub send: SendArgs,
}

/// Flags of `account bond`.
#[derive(Args, Clone, Debug)]
pub struct BondArgs {
    /// How much; 0 only changes the consensus key or the address
    #[arg(value_name = "UNITS", value_parser = units)]
    pub amount: u64,
    /// Where other validators reach the node: its address or name, and the port of `listen` [default: as before]
    #[arg(long, value_name = "HOST:PORT", value_parser = reached)]
    pub address: Option<String>,
    #[command(flatten)]
    pub send: SendArgs,
}

/// Flags of `account unbond`.
#[derive(Args, Clone, Debug)]
pub struct UnbondArgs {
    /// How much
    #[arg(value_name = "UNITS", value_parser = units)]
    pub amount: u64,
    #[command(flatten)]
    pub send: SendArgs,
}

impl AccountArgs {
    /// Whether JSON is wanted.
    pub fn json(&self) -> bool {
        match &self.verb {
            AccountVerb::Show(args) => args.form.json(),
            AccountVerb::Transfer(args) => args.send.form.json(),
            AccountVerb::Bond(args) => args.send.form.json(),
            AccountVerb::Unbond(args) => args.send.form.json(),
        }
    }
}

/// Runs the verb.
pub fn run(args: &AccountArgs) -> Outcome<ExitCode> {
    match &args.verb {
        AccountVerb::Show(args) => show(args),
        AccountVerb::Transfer(args) => transfer(args),
        AccountVerb::Bond(args) => bond(args),
        AccountVerb::Unbond(args) => unbond(args),
    }
}

// ---- show ----

/// A validator's part of an account, as a node tells it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stake {
    bond: u64,
    slashable: u64,
    seat: Option<u64>,
    stake: u64,
    offences: u64,
    missed: u64,
    owed: u64,
    /// Height from which it is free, and units.
    unbonding: Vec<(u64, u64)>,
    consensus: String,
    /// Where others reach it, or empty.
    address: String,
}

fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok())).unwrap_or_default()
}

impl Stake {
    fn of(value: &Value) -> Self {
        let waits = value["unbonding"].as_array().into_iter().flatten();
        Self {
            bond: number(&value["bond"]),
            slashable: number(&value["slashable"]),
            seat: value["seat"].as_u64(),
            stake: number(&value["stake"]),
            offences: number(&value["offences"]),
            missed: number(&value["missed"]),
            owed: number(&value["owed"]),
            unbonding: waits.map(|one| (number(&one["height"]), number(&one["amount"]))).collect(),
            consensus: value["consensus"].as_str().unwrap_or_default().to_string(),
            address: value["address"].as_str().unwrap_or_default().to_string(),
        }
    }
}

fn stake(client: &Client, account: &Digest) -> Outcome<Option<Stake>> {
    let Some(bonded) = client.bonded(account).map_err(node_failure)? else { return Ok(None) };
    let mut stake = Stake::of(&bonded);
    // Only the list of those who have seats, or could, tells of seats.
    if let Some(seated) = client.validator(account).map_err(node_failure)?.as_ref().map(Stake::of) {
        (stake.seat, stake.stake) = (seated.seat, seated.stake);
    }
    Ok(Some(stake))
}

/// Milliseconds between the newest blocks, on the average.
fn pace(client: &Client) -> Outcome<Option<f64>> {
    let found = client.json("/v1/blocks?limit=100").map_err(node_failure)?;
    let list = found["blocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (Some(newest), Some(oldest)) = (list.first(), list.last()) else { return Ok(None) };
    let between = |name: &str| number(&newest[name]).saturating_sub(number(&oldest[name]));
    let (blocks, time) = (between("height"), between("time"));
    Ok((blocks > 0).then(|| time as f64 / blocks as f64))
}

/// Blocks as a time at the present pace: ` (about 3.2 days at the present pace)`, or nothing.
fn about(blocks: u64, pace: Option<f64>) -> String {
    pace.map(|ms| format!(" (about {} at the present pace)", text::time(blocks as f64 * ms)))
        .unwrap_or_default()
}

fn show(args: &ShowArgs) -> Outcome<ExitCode> {
    let account = match (&args.account, &args.key) {
        (Some(account), _) => *account,
        (None, Some(directory)) => Keys::read(directory).map_err(key_failure)?.account(),
        (None, None) => {
            return Err(Failure::misuse(USAGE, "account", "no account is named", "name one, or --key"));
        }
    };
    let client = args.node.client();
    let found = client.json(&format!("/v1/accounts/{}", text::hex(&account))).map_err(node_failure)?;
    let status = client.status().map_err(node_failure)?;
    let stake = stake(&client, &account)?;
    let [nonce, next, balance, waiting] =
        ["nonce", "nextNonce", "balance", "inFlight"].map(|name| number(&found[name]));
    let pace = pace(&client)?;
    if args.form.json() {
        let line = json!({
            "account": text::hex(&account),
            "balance": balance,
            "nonce": nonce,
            "next_nonce": next,
            "in_flight": waiting,
            "height": status.height,
            "epoch": status.epoch,
            "validator": stake.as_ref().map(|stake| stake_json(stake, status.height, pace)),
        });
        println!("{line}");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("account   {}", text::hex(&account));
    anstream::println!("balance   {balance} units");
    anstream::println!("sent      {nonce} transactions final, {} waiting", next.saturating_sub(nonce));
    anstream::println!("records   {waiting} wait for their verdict");
    match &stake {
        Some(stake) => print_stake(stake, status.height, status.epoch, pace),
        None => anstream::println!("bond      none"),
    }
    anstream::println!("{}", paint(DIM, format!("as of block {}, epoch {}", status.height, status.epoch)));
    Ok(ExitCode::SUCCESS)
}

fn stake_json(stake: &Stake, height: u64, pace: Option<f64>) -> Value {
    let one = |(free, units): &(u64, u64)| {
        let left = free.saturating_sub(height);
        json!({"units": units, "free_from": free, "about_ms": pace.map(|ms| (left as f64 * ms).round())})
    };
    json!({
        "bond": stake.bond,
        "slashable": stake.slashable,
        "seat": stake.seat,
        "stake": stake.seat.map(|_| stake.stake),
        "offences": stake.offences,
        "missed": stake.missed,
        "owed": stake.owed,
        "unbonding": stake.unbonding.iter().map(one).collect::<Vec<_>>(),
        "consensus": stake.consensus,
        "address": stake.address,
    })
}

fn print_stake(stake: &Stake, height: u64, epoch: u64, pace: Option<f64>) {
    let Stake { bond, slashable, offences, missed, owed, .. } = stake;
    anstream::println!("bond      {bond} units; {slashable} can be lost");
    match stake.seat {
        Some(seat) => {
            anstream::println!("seat      number {seat} of epoch {epoch}, with {} units", stake.stake)
        }
        None => anstream::println!("seat      none in epoch {epoch}"),
    }
    anstream::println!(
        "conduct   {offences} offences; this epoch {missed} rounds missed, {owed} canaries owed"
    );
    if !stake.address.is_empty() {
        anstream::println!("reached   at {}", stake.address);
    }
    for (free, units) in &stake.unbonding {
        let left = about(free.saturating_sub(height), pace);
        anstream::println!("waiting   {units} units are free from block {free} on{left}");
    }
}

// ---- moving money ----

fn transfer(args: &TransferArgs) -> Outcome<ExitCode> {
    let TransferArgs { to, amount, send } = args;
    refuse_nothing(*amount, "there is nothing to give")?;
    let sender = send.open()?;
    let body = Body::Transfer { to: *to, amount: *amount };
    let cost = Cost { spends: *amount, ..Cost::default() };
    sender.run(&body, cost, |_| {
        let json = json!({"from": text::hex(&sender.account()), "to": text::hex(to), "units": amount});
        Ok(Said { what: format!("{amount} units to {}", text::hex(to)), lines: Vec::new(), json })
    })
}

fn refuse_nothing(amount: u64, why: &str) -> Outcome<()> {
    if amount > 0 {
        return Ok(());
    }
    Err(Failure::misuse(USAGE, "UNITS", why, "name a number of units above 0"))
}

/// The consensus key to show, and that the account has it; empty if the ledger has this very key already.
fn consensus(sender: &Sender<'_>, known: Option<&Stake>, args: &BondArgs) -> Outcome<(Vec<u8>, Vec<u8>)> {
    // Else there is nothing to do but to show the key.
    let does_more = args.amount > 0 || args.address.is_some();
    let known = known.map(|stake| stake.consensus.as_str()).filter(|key| !key.is_empty());
    match sender.keys.possession(&sender.network) {
        Some((key, _)) if known == Some(text::hex(&key).as_str()) && does_more => Ok(Default::default()),
        Some(shown) => Ok(shown),
        None if known.is_some() && does_more => Ok(Default::default()),
        None => {
            let fix = "make an account with both keys: `zerotell node key DIR`, without --account-only";
            Err(Failure::misuse(NETWORK_FILE, "--key", "there is no consensus key beside the account's", fix))
        }
    }
}

/// When a bond begins to count: with the epoch after the one whose block it is in.
fn counts_from(rules: &Parameters, epoch: u64) -> (u64, u64) {
    let next = epoch.saturating_add(1);
    (next, next.saturating_mul(rules.epoch_blocks))
}

fn bond(args: &BondArgs) -> Outcome<ExitCode> {
    let (amount, sender) = (args.amount, args.send.open()?);
    let known = stake(&sender.client, &sender.account())?;
    let (key, possession) = consensus(&sender, known.as_ref(), args)?;
    let large = |_| Failure::misuse(NETWORK_FILE, "--key", "the consensus key is too long", "make new keys");
    let shows_key = !key.is_empty();
    let key = Bounded::new(key).map_err(large)?;
    let long = |_| Failure::misuse(USAGE, "--address", "it is too long", "name a shorter one");
    let address = Bounded::new(args.address.clone().unwrap_or_default().into_bytes()).map_err(long)?;
    let possession = Bounded::new(possession).map_err(large)?;
    let body = Body::Bond { amount, consensus: key, possession, address };
    let before = known.as_ref().map(|stake| stake.address.clone()).unwrap_or_default();
    let reached = args.address.clone().unwrap_or(before);
    let work = if shows_key { ledger::admission::POSSESSION_WORK } else { 0 };
    sender.run(&body, Cost { work, spends: amount, ..Cost::default() }, |placed| {
        // What the node tells after it, if it is final; else what it told before.
        let after = match placed {
            Some(_) => stake(&sender.client, &sender.account())?.map(|stake| stake.bond),
            None => known.map(|stake| stake.bond.saturating_add(amount)),
        };
        let least = sender.rules.least_bond;
        let (epoch, height) = counts_from(&sender.rules, epoch_of(&sender, placed)?);
        let begins = match placed {
            Some(_) => format!("counts from epoch {epoch} on, which begins with block {height}"),
            None => format!("counts from epoch {epoch} on (block {height}) if it is final before"),
        };
        let enough = match after {
            Some(bond) if bond >= least => {
                format!("{bond} units are bonded; a seat goes to the largest bonds")
            }
            Some(bond) => format!("{bond} units are bonded; a seat needs at least {least}"),
            None => format!("a seat needs at least {least} bonded"),
        };
        let json = json!({
            "units": amount,
            "bond": after,
            "least_bond": least,
            "counts_from_epoch": epoch,
            "counts_from_block": height,
            "shows_consensus_key": shows_key,
            "address": reached,
        });
        let keyed =
            if shows_key { "the consensus key of --key is the account's" } else { "the consensus key stays" };
        let reached = match reached.as_str() {
            "" => "the ledger does not say where others reach it: name that with --address".into(),
            address => format!("others reach it at {address}"),
        };
        let lines = vec![begins, enough, keyed.into(), reached];
        Ok(Said { what: format!("{amount} units bonded"), lines, json })
    })
}

/// The epoch of the block it is in; that of now if it is in none yet.
fn epoch_of(sender: &Sender<'_>, placed: Option<&Placed>) -> Outcome<u64> {
    match placed {
        Some(placed) => Ok(placed.epoch),
        None => Ok(sender.client.status().map_err(node_failure)?.epoch),
    }
}

fn unbond(args: &UnbondArgs) -> Outcome<ExitCode> {
    let amount = args.amount;
    refuse_nothing(amount, "there is nothing to take out")?;
    let sender = args.send.open()?;
    let bond = stake(&sender.client, &sender.account())?.map_or(0, |known| known.bond);
    if bond < amount {
        let why = format!("{bond} units are bonded, {amount} are asked for");
        return Err(Failure::misuse(NODE, "UNITS", why, "ask for at most what is bonded"));
    }
    sender.run(&Body::Unbond { amount }, Cost::default(), |placed| {
        let wait = sender.rules.unbonding_blocks;
        let free = placed.map(|placed| placed.height.saturating_add(wait));
        let left = about(wait, pace(&sender.client)?);
        let when = match free {
            Some(free) => format!("free from block {free} on, {wait} blocks later{left}"),
            None => format!("free {wait} blocks after the block it gets into{left}"),
        };
        let (epoch, _) = counts_from(&sender.rules, epoch_of(&sender, placed)?);
        let stakes =
            format!("until then it can be lost to offences; a seat has less stake from epoch {epoch} on");
        let json =
            json!({"units": amount, "free_from": free, "unbonding_blocks": wait, "counts_from_epoch": epoch});
        Ok(Said { what: format!("{amount} units taken out of the bond"), lines: vec![when, stakes], json })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validator_is_read_as_a_node_tells_it() {
        let told = json!({
            "bond": "7", "slashable": "12", "seat": 3, "stake": "6", "offences": 1, "missed": 2, "owed": 0,
            "unbonding": [{"height": 90, "amount": "5"}], "consensus": "ab", "address": "v:1",
        });
        let stake = Stake::of(&told);
        let wanted = Stake {
            bond: 7,
            slashable: 12,
            seat: Some(3),
            stake: 6,
            offences: 1,
            missed: 2,
            owed: 0,
            unbonding: vec![(90, 5)],
            consensus: "ab".into(),
            address: "v:1".into(),
        };
        assert_eq!(stake, wanted);
        assert_eq!(Stake::of(&json!({"seat": null})), Stake::default());
        let said = stake_json(&stake, 80, Some(500.0));
        assert_eq!(said["unbonding"][0], json!({"units": 5, "free_from": 90, "about_ms": 5000.0}));
        assert_eq!(stake_json(&stake, 80, None)["unbonding"][0]["about_ms"], Value::Null);
    }

    #[test]
    fn a_bond_counts_from_the_next_epoch_on() {
        let rules = Parameters { epoch_blocks: 12, ..Parameters::default() };
        assert_eq!(counts_from(&rules, 0), (1, 12));
        assert_eq!(counts_from(&rules, 4), (5, 60));
    }

    #[test]
    fn blocks_are_told_as_times_only_where_the_pace_is_known() {
        assert_eq!(about(3, None), "");
        assert_eq!(about(4, Some(500.0)), " (about 2.0 s at the present pace)");
        assert_eq!(about(36_288_000, Some(50.0)), " (about 21.0 days at the present pace)");
        assert!(refuse_nothing(0, "x").is_err() && refuse_nothing(1, "x").is_ok());
    }
}
