//! What verbs that send a transaction share: whose account, at which node, for which fee, and whether to wait.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use certify::hash::Digest;
use clap::Args;
use ed25519_dalek::SigningKey;
use ledger::address::Address;
use ledger::{Body, Failure as LedgerFailure, Parameters};
use node::client::{Client, ClientError, Quote, Settled};
use node::keys::{KeyError, Keys};
use serde_json::{Map, Value, json};

use crate::certificate::{Network, TrustArgs};
use crate::failure::{Failure, NETWORK_FILE, NODE, Outcome, USAGE};
use crate::here;
use crate::output::OutputArgs;
use crate::text::{self, DIM, GOOD, paint};

/// Which node is asked.
#[derive(Args, Clone, Debug)]
pub struct NodeArg {
    /// HTTP address of a node
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7101")]
    pub node: String,
}

impl NodeArg {
    /// The node.
    pub fn client(&self) -> Client {
        Client::new(&self.node)
    }

    /// The network that the node names; it must be the one that is trusted, if one is.
    pub fn network(&self, client: &Client, trusted: Option<&Network>) -> Outcome<Digest> {
        let network = client.network().map_err(node_failure)?;
        let Some(trusted) = trusted.filter(|trusted| trusted.name() != network) else { return Ok(network) };
        let why = format!("its network is {}, not {}", text::hex(&network), text::hex(&trusted.name()));
        let fix = "ask a node of the network whose genesis or checkpoint you gave";
        Err(Failure::misuse(NODE, &self.node, why, fix))
    }
}

/// Flags of everything that an account pays for.
#[derive(Args, Clone, Debug)]
pub struct SendArgs {
    #[command(flatten)]
    pub node: NodeArg,
    /// Keys of the account that pays: its directory (`zerotell node key DIR` makes one) [default: zerotell-net/owner, if
    /// `net up` made the node's network there]
    #[arg(long, value_name = "DIR")]
    pub key: Option<PathBuf>,
    /// Wait until it is in a final block, and say what became of it
    #[arg(long)]
    pub wait: bool,
    /// Seconds to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub timeout: u64,
    /// Units to pay, all of which are spent [default: twice the present price]
    #[arg(long, value_name = "UNITS", value_parser = units)]
    pub fee: Option<u64>,
    /// Number of the account's transaction, to replace one that waits [default: the next]
    #[arg(long, value_name = "N")]
    pub nonce: Option<u64>,
    #[command(flatten)]
    pub trust: TrustArgs,
    #[command(flatten)]
    pub form: OutputArgs,
}

/// Units of money: digits, which `_` may group.
pub fn units(text: &str) -> Result<u64, String> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let is_number = digits.chars().all(|c| c.is_ascii_digit()) && text.starts_with(|c| c != '_');
    let why = "units are whole numbers, such as 2_000_000";
    if is_number { digits.parse().map_err(|_| why.to_string()) } else { Err(why.into()) }
}

/// 64 lower-case hexadecimal digits: an account, a statement, a program.
pub fn digest(text: &str) -> Result<Digest, String> {
    record::json::unhex(text)
        .ok_or_else(|| format!("it has 64 digits of 0-9 and a-f; this has {}", text.len()))
}

/// Where others reach a validator, as the ledger spells it.
pub fn spelled(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let leads_somewhere = match Address::read(text.as_bytes())? {
        Address::Ip(at) => !at.ip().is_unspecified(),
        Address::Name(..) => true,
    };
    leads_somewhere.then_some(text)
}

/// The same, as a flag's value.
pub fn reached(text: &str) -> Result<String, String> {
    spelled(text).ok_or_else(|| {
        "it is what others dial: 192.0.2.7:7100, [2001:db8::7]:7100 or validator.example.org:7100".into()
    })
}

/// A node's refusal.
pub fn node_failure(why: ClientError) -> Failure {
    Failure::misuse(NODE, why.place, why.why, why.fix)
}

/// Keys that cannot be had.
pub fn key_failure(why: KeyError) -> Failure {
    Failure::misuse(NETWORK_FILE, why.place.display(), why.why, why.fix)
}

/// What a transaction takes beside its own bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Microseconds of verifying.
    pub work: u64,
    /// Bytes of the proof or program it names.
    pub bytes: u64,
    /// Units that leave the account beside the fee.
    pub spends: u64,
}

/// A transaction that a node took.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Its name.
    pub id: Digest,
    /// Its number.
    pub nonce: u64,
    /// Units paid.
    pub fee: u64,
}

/// Where a transaction is final.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// Height of the block.
    pub height: u64,
    /// Its epoch.
    pub epoch: u64,
}

/// An account at a node.
pub struct Sender<'a> {
    args: &'a SendArgs,
    /// The node.
    pub client: Client,
    /// The account's keys.
    pub keys: Keys,
    /// What is trusted of the network, if anything.
    pub trusted: Option<Network>,
    /// The network's name.
    pub network: Digest,
    /// The rules at present.
    pub rules: Parameters,
}

impl SendArgs {
    /// Reads the keys, and asks the node for its network and rules.
    pub fn open(&self) -> Outcome<Sender<'_>> {
        let client = self.node.client();
        let (keys, trusted) = here::settle(self.key.as_deref(), &self.trust, &client, false)?;
        // A signature is good on the network it names: a node that names another would get one for there.
        let network = self.node.network(&client, trusted.as_ref())?;
        let rules = client.parameters().map_err(node_failure)?;
        Ok(Sender { args: self, client, keys, trusted, network, rules })
    }

    /// How long to wait.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

impl Sender<'_> {
    /// The account.
    pub fn account(&self) -> Digest {
        self.keys.account()
    }

    /// Sends a body. What cannot succeed is refused before it costs anything.
    pub fn send(&self, body: &Body, cost: Cost) -> Outcome<Sent> {
        let key: SigningKey = self.keys.signing();
        let account = self.account();
        let quote = self.client.quote(&account, body, cost.work, cost.bytes).map_err(node_failure)?;
        let mut unsigned = quote.unsigned;
        unsigned.fee = self.args.fee.unwrap_or(unsigned.fee);
        unsigned.nonce = self.nonce(&quote)?;
        affordable(&account, quote.balance, unsigned.fee, cost.spends)?;
        let id = self.client.send_as(&key, unsigned, body).map_err(node_failure)?;
        Ok(Sent { id, nonce: unsigned.nonce, fee: unsigned.fee })
    }

    fn nonce(&self, quote: &Quote) -> Outcome<u64> {
        let (settled, next) = (quote.settled, quote.unsigned.nonce);
        let Some(asked) = self.args.nonce else { return Ok(next) };
        if (settled..=next).contains(&asked) {
            return Ok(asked);
        }
        let why = if asked < settled {
            format!("transaction {asked} of this account is final; the next one is {next}")
        } else {
            format!("transaction {asked} would leave a gap; the next one is {next}")
        };
        Err(Failure::misuse(NODE, "--nonce", why, "leave --nonce out"))
    }

    /// With `--wait`, waits until it is final; a failure in the ledger is one here.
    pub fn settle(&self, sent: &Sent) -> Outcome<Option<Placed>> {
        if !self.args.wait {
            return Ok(None);
        }
        self.outcome(sent).map(Some)
    }

    /// Waits until it is final; a failure in the ledger is one here.
    pub fn outcome(&self, sent: &Sent) -> Outcome<Placed> {
        let settled = self.client.outcome(&sent.id, self.args.patience()).map_err(|why| {
            let fix = "ask again, or give the same --nonce and a --fee a tenth higher to replace it";
            let reason = format!("not final after {} s: {}", self.args.timeout, why.why);
            Failure::world(NODE, format!("transaction {}", text::hex(&sent.id)), reason, fix)
        })?;
        match settled.code {
            0 => Ok(Placed { height: settled.height, epoch: self.epoch(settled.height) }),
            _ => Err(failed(&sent.id, &settled)),
        }
    }

    /// The epoch of a height.
    pub fn epoch(&self, height: u64) -> u64 {
        height.checked_div(self.rules.epoch_blocks).unwrap_or_default()
    }

    /// Sends, waits if that is wanted, and says what it came to.
    pub fn run(
        &self,
        body: &Body,
        cost: Cost,
        say: impl FnOnce(Option<&Placed>) -> Outcome<Said>,
    ) -> Outcome<ExitCode> {
        let sent = self.send(body, cost)?;
        let placed = self.settle(&sent)?;
        let said = say(placed.as_ref())?;
        self.print(&sent, placed.as_ref(), said);
        Ok(ExitCode::SUCCESS)
    }

    /// The JSON line of a transaction, with further members.
    pub fn line(&self, sent: &Sent, placed: Option<&Placed>, more: Value) -> Map<String, Value> {
        let mut line = Map::new();
        line.insert("transaction".into(), json!(text::hex(&sent.id)));
        line.insert("nonce".into(), json!(sent.nonce));
        line.insert("fee".into(), json!(sent.fee));
        line.insert("final".into(), json!(placed.is_some()));
        line.insert("height".into(), json!(placed.map(|placed| placed.height)));
        line.insert("epoch".into(), json!(placed.map(|placed| placed.epoch)));
        if let Value::Object(more) = more {
            line.extend(more);
        }
        line
    }

    /// Says what a transaction came to.
    pub fn print(&self, sent: &Sent, placed: Option<&Placed>, said: Said) {
        if self.args.form.json() {
            println!("{}", Value::Object(self.line(sent, placed, said.json)));
            return;
        }
        let word = if placed.is_some() { "done" } else { "sent" };
        anstream::println!("{}  {}", paint(GOOD, word), said.what);
        said.lines.iter().for_each(|line| anstream::println!("  {line}"));
        let place = match placed {
            Some(Placed { height, epoch }) => format!("final in block {height} (epoch {epoch})"),
            None => "not final yet: --wait waits for it".into(),
        };
        let line = format!(
            "transaction {}, number {}, fee {} units; {place}",
            text::hex(&sent.id),
            sent.nonce,
            sent.fee
        );
        anstream::println!("  {}", paint(DIM, line));
    }
}

/// What a verb says at its end.
pub struct Said {
    /// What was done, in a few words.
    pub what: String,
    /// Further lines.
    pub lines: Vec<String>,
    /// Further members of the JSON line.
    pub json: Value,
}

/// Refuses what the account cannot pay: the ledger would keep the fee all the same.
fn affordable(account: &Digest, balance: u64, fee: u64, spends: u64) -> Outcome<()> {
    if u128::from(fee) + u128::from(spends) <= u128::from(balance) {
        return Ok(());
    }
    let what = if spends == 0 { String::new() } else { format!("{spends} units and ") };
    let why = format!("the account has {balance} units; this takes {what}a fee of {fee}");
    let fix = "transfer units to the account first: `zerotell account transfer`";
    Err(Failure::misuse(NODE, format!("account {}", text::hex(account)), why, fix))
}

/// What the ledger says of a transaction that was paid for and had no effect.
fn failed(id: &Digest, settled: &Settled) -> Failure {
    let fix = match LedgerFailure::of(settled.code) {
        Some(LedgerFailure::Funds | LedgerFailure::Bond | LedgerFailure::Unbondings) => {
            "`zerotell account show` says what there is"
        }
        Some(LedgerFailure::NotAllowed) => "give the --key of the account that may",
        Some(LedgerFailure::Missing) => "compare the name; it may not be final yet",
        Some(LedgerFailure::Known | LedgerFailure::Taken) => "nothing more is needed, or choose another name",
        _ => "see chapter 8 of the specification",
    };
    let why =
        format!("{} (block {}; the fee of {} units is spent)", settled.what, settled.height, settled.fee);
    Failure::misuse(NODE, format!("transaction {}", text::hex(id)), why, fix)
}

/// A flag's value that cannot be used.
pub fn bad(flag: &str, value: &str, fix: &str) -> Failure {
    Failure::misuse(USAGE, flag, format!("`{}` cannot be read", value.escape_debug()), fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_digests_are_read_or_refused() {
        assert_eq!(units("2_000_000"), Ok(2_000_000));
        assert_eq!(units("18446744073709551615"), Ok(u64::MAX));
        for bad in ["", "_", "_1", "-1", "+1", "1.5", "1e6", "18446744073709551616", "ten"] {
            assert!(units(bad).is_err(), "{bad}");
        }
        assert_eq!(digest(&"0a".repeat(32)), Ok([10; 32]));
        for bad in [String::new(), "0A".repeat(32), "0a".repeat(31), "0a".repeat(33), "zz".repeat(32)] {
            assert!(digest(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_paid_costs_nothing() {
        let check = |balance, fee, spends| affordable(&[1; 32], balance, fee, spends);
        assert!(check(10, 4, 6).is_ok() && check(10, 10, 0).is_ok());
        let refused = check(10, 5, 6).unwrap_err();
        let why = &refused.items[0].reason;
        assert_eq!(why, "the account has 10 units; this takes 6 units and a fee of 5");
        assert!(check(u64::MAX, u64::MAX, u64::MAX).is_err(), "no overflow");
    }

    #[test]
    fn failures_of_the_ledger_say_what_was_lost() {
        let settled = |code| Settled { height: 9, code, what: "no".into(), fee: 7 };
        for code in [1, 13, 12, 10, 2, 999] {
            let failure = failed(&[2; 32], &settled(code));
            let item = &failure.items[0];
            assert_eq!(item.reason, "no (block 9; the fee of 7 units is spent)");
            assert!(!item.fix.is_empty());
        }
        assert!(failed(&[2; 32], &settled(13)).items[0].fix.contains("--key"));
    }
}
