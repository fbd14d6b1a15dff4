//! `demo --network`: private diagnoses go to validators, of which some are lazy and some lie.

use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ledger::Parameters;
use ledger::genesis::DISSENT_MAX;
use node::client::Client;
use node::keys::Keys;
use node::localnet::{self, Member, VALIDATORS_MAX};
use record::SigningKey;
use record::key::Kind;
use serde_json::Value;

use super::{Committed, DemoArgs, PATIENTS, Scratch, broken, commit, heading, say};
use crate::certificate::TrustArgs;
use crate::evidence::{Extras, certified, make, salts, this_verifier};
use crate::failure::{Failure, NODE, Outcome, USAGE};
use crate::files::{read_bounded, write_whole};
use crate::network::{Processes, Ready, ready};
use crate::pipeline::ms;
use crate::text::{self, BAD, DIM, GOOD, HEAD, paint};

/// Records that the demo submits.
const RECORDS: usize = 4;
/// Time in which everything must have happened.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a validator does about records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Honest,
    Lazy,
    Liar,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Lazy => "lazy",
            Self::Liar => "liar",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Lazy => "lazy: accepts without looking",
            Self::Liar => "liar: says the opposite",
        }
    }

    /// Who misbehaves has a third of what others have at stake.
    fn member(self) -> Member {
        match self {
            Self::Honest => Member { bond: localnet::BOND * 3 / 2, behaviour: "" },
            Self::Lazy | Self::Liar => Member { bond: localnet::BOND / 2, behaviour: self.name() },
        }
    }
}

/// Who does what, the honest first. More than two thirds of the stake must be theirs: without them nothing is decided, and
/// where a third contradicts the rest nobody is punished.
fn roles(validators: usize, lazy: usize, lying: usize) -> Outcome<Vec<Role>> {
    if !(1..=VALIDATORS_MAX).contains(&validators) {
        let why = format!("{validators} validators on one machine");
        return Err(Failure::misuse(USAGE, "--validators", why, format!("ask for 1 to {VALIDATORS_MAX}")));
    }
    let cheats = lazy.saturating_add(lying);
    let honest = validators.saturating_sub(cheats);
    let stake = |role: Role, count: usize| (role.member().bond as u128).saturating_mul(count as u128);
    let (theirs, others) = (stake(Role::Honest, honest), stake(Role::Lazy, cheats));
    if theirs <= others.saturating_mul(2) {
        let why = format!(
            "{lazy} lazy and {lying} lying of {validators} validators leave the honest no more than two thirds of the stake"
        );
        let fix =
            "ask for fewer of them, or for more --validators; each has a third of an honest one's stake";
        return Err(Failure::misuse(USAGE, "--lazy, --lying", why, fix));
    }
    let some = |role, count| std::iter::repeat_n(role, count);
    Ok(some(Role::Honest, honest).chain(some(Role::Lazy, lazy)).chain(some(Role::Liar, lying)).collect())
}

/// A node that does not do what it is asked.
pub fn asked(why: node::client::ClientError) -> Failure {
    Failure::world(NODE, why.place, why.why, why.fix)
}

fn amount(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Units with thousands apart.
fn units(amount: u64) -> String {
    let digits = amount.to_string();
    let apart: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    apart.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>().join(" ")
}

/// Evidence about a patient's diagnosis, ready to be submitted.
pub fn evidence(patients: &mut Committed, number: usize, path: &Path) -> Outcome<(Ready, String)> {
    let sent = patients.prove(number, false)?;
    let key = loop {
        if let Ok(key) = SigningKey::from_random(Kind::P256, &*crate::random::bytes()?) {
            break key;
        }
    };
    let (bytes, e) = make(path, sent.bytes, Extras::default(), &key, (&salts()?, this_verifier()))?;
    write_whole(path, &bytes, 0o644)?;
    Ok((ready(path)?, e.shown.map(|shown| shown.lines.join("; ")).unwrap_or_default()))
}

fn prove(patients: &mut Committed, number: usize, scratch: &Path) -> Outcome<Ready> {
    let started = Instant::now();
    let path = scratch.join(format!("patient-{number}.zte"));
    let (ready, label) = evidence(patients, number, &path)?;
    let (size, took) = (text::size(ready.dossier.len() as u64), text::time(ms(started)));
    anstream::println!("   patient {number}: {label}; dossier of {size}, proved and signed in {took}");
    Ok(ready)
}

/// Validators by account, in the order of the network's directories.
fn accounts(net: &localnet::LocalNet) -> Outcome<Vec<String>> {
    let account = |path: &std::path::PathBuf| {
        let keys = path.with_file_name("keys");
        let keys = Keys::read(&keys).map_err(broken)?;
        Ok(text::hex(&keys.account()))
    };
    net.nodes.iter().map(account).collect()
}

fn verdicts(client: &Client, statements: &[[u8; 32]], accounts: &[String]) -> Outcome<()> {
    for statement in statements {
        let verdict = client.verdict(statement, PATIENCE).map_err(asked)?;
        let path = format!("/v1/records/{}", text::hex(statement));
        // All have revealed a few blocks after the verdict is final.
        sleep(Duration::from_millis(600));
        let record = client.json(&path).map_err(asked)?;
        let who = |side: &str| {
            let list = record[side].as_array().cloned().unwrap_or_default();
            let place = |name: &Value| accounts.iter().position(|a| Some(a.as_str()) == name.as_str());
            let mut found: Vec<usize> = list.iter().filter_map(place).collect();
            found.sort_unstable();
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        let (accept, reject) = (who("accept"), who("reject"));
        let reject = if reject.is_empty() { String::new() } else { format!("; reject by {reject}") };
        anstream::println!(
            "   {} {}  accept by {accept}{reject}",
            text::short(&text::hex(statement)),
            paint(GOOD, &verdict.status)
        );
        if verdict.status != "accepted" {
            return Err(broken(format!("an honest record was {}: {}", verdict.status, verdict.what)));
        }
    }
    Ok(())
}

/// Tells of punishments until all who cheat have theirs; one of an honest validator is an error.
fn punished(client: &Client, accounts: &[String], roles: &[Role]) -> Outcome<()> {
    let began = Instant::now();
    let mut seen: Vec<u64> = Vec::new();
    let mut open: Vec<usize> = (0..roles.len()).filter(|i| roles[*i] != Role::Honest).collect();
    loop {
        let slashes = client.json("/v1/slashes?limit=100").map_err(asked)?;
        let list = slashes["slashes"].as_array().cloned().unwrap_or_default();
        for slash in list.iter().rev() {
            let number = slash["sequence"].as_u64().unwrap_or(0);
            if seen.contains(&number) {
                continue;
            }
            seen.push(number);
            let place = accounts.iter().position(|a| Some(a.as_str()) == slash["account"].as_str());
            let Some((place, role)) = place.and_then(|place| Some((place, roles.get(place)?))) else {
                continue;
            };
            anstream::println!(
                "   {}  validator {place} ({}) loses {} units at height {}: {}",
                paint(BAD, "slashed"),
                role.name(),
                units(amount(&slash["lost"])),
                slash["height"],
                slash["cause"].as_str().unwrap_or("for nothing that is known").replace('-', " ")
            );
            if *role == Role::Honest {
                return Err(broken("an honest validator was slashed"));
            }
            open.retain(|cheat| *cheat != place);
        }
        if open.is_empty() {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(broken(format!("validators {open:?}, who cheated, were not slashed in time")));
        }
        sleep(Duration::from_millis(100));
    }
}

/// What a validator has, and what it got and lost since the network began.
#[derive(Clone, Copy, Debug)]
struct Purse {
    /// Bonded and to spend.
    all: u64,
    earned: u64,
    slashed: u64,
}

/// In the order of the accounts.
fn purses(client: &Client, accounts: &[String]) -> Outcome<Vec<Purse>> {
    let found = client.json("/v1/validators").map_err(asked)?;
    let list = found["validators"].as_array().cloned().unwrap_or_default();
    let purse = |account: &String| {
        let one = list.iter().find(|v| v["account"].as_str() == Some(account));
        let one = one.ok_or_else(|| broken("a validator is not listed"))?;
        Ok(Purse {
            all: amount(&one["slashable"]).saturating_add(amount(&one["balance"])),
            earned: amount(&one["earned"]["total"]),
            slashed: amount(&one["earned"]["slashed"]),
        })
    };
    accounts.iter().map(purse).collect()
}

/// Waits until the honest were paid: a record's fee is split some blocks after its verdict.
fn paid(client: &Client, accounts: &[String], roles: &[Role]) -> Outcome<Vec<Purse>> {
    let began = Instant::now();
    loop {
        let found = purses(client, accounts)?;
        if found.iter().zip(roles).all(|(purse, role)| *role != Role::Honest || purse.earned > 0) {
            return Ok(found);
        }
        if began.elapsed() > PATIENCE {
            return Err(broken("an honest validator was not paid in time"));
        }
        sleep(Duration::from_millis(100));
    }
}

fn table(roles: &[Role], before: &[Purse], after: &[Purse]) {
    let line = |name: &str, cells: [&str; 4]| {
        let [before, after, earned, slashed] = cells;
        anstream::println!("   {name:<9} {before:>17} {after:>17} {earned:>15} {slashed:>15}");
    };
    line("", ["before", "after", "earned", "slashed"]);
    for (place, ((role, before), after)) in roles.iter().zip(before).zip(after).enumerate() {
        let cells = [before.all, after.all, after.earned, after.slashed].map(units);
        line(&format!("{place} {}", role.name()), cells.each_ref().map(String::as_str));
    }
    say(
        "Units, bonded and to spend. What is earned are parts of fees, and of what cheats lose; who accuses pays a fee.",
    );
}

/// The demonstration.
// Long because it tells a story, in order.
pub fn run(args: &DemoArgs) -> Outcome<ExitCode> {
    let started = Instant::now();
    let roles = roles(args.validators, args.lazy, args.lying)?;
    anstream::println!("{}", paint(HEAD, "zerotell: private diagnoses, checked by validators"));
    let scratch = Scratch::new()?;
    heading(1, "The owner proves");
    let mut patients = commit(&PATIENTS, &scratch.path().join("patients"))?;
    let numbers = (0..RECORDS).map(|i| (args.patient + i) % 143);
    let ready: Vec<Ready> =
        numbers.map(|number| prove(&mut patients, number, scratch.path())).collect::<Outcome<_>>()?;

    heading(2, &format!("{} validators begin", roles.len()));
    let directory = scratch.path().join("network");
    // Several may be lazy together: they are punished as long as they are no more than may dissent.
    let parameters = Parameters { dissent: DISSENT_MAX, ..localnet::parameters() };
    let member = |i: usize| roles.get(i).map_or_else(Member::default, |role| role.member());
    let net = localnet::create(&directory, roles.len(), args.port, parameters, member);
    let net = net.map_err(|why| Failure::misuse(NODE, why.place, why.why, why.fix))?;
    let processes = Processes::start(&net)?;
    for (number, (address, role)) in net.http.iter().zip(&roles).enumerate() {
        anstream::println!("   {number}  http://{address}  {}", role.words());
    }
    let accounts = accounts(&net)?;
    let first = net.http.first().map(ToString::to_string).unwrap_or_default();
    let client = Client::new(&format!("http://{first}"));
    let before = purses(&client, &accounts)?;

    heading(3, "The owner submits, they look, they agree");
    let keys = Keys::read(&net.owner).map_err(broken)?;
    let statements: Vec<[u8; 32]> =
        ready.iter().map(|one| one.send(&client, &keys, PATIENCE)).collect::<Outcome<_>>()?;
    say(
        "Each validator binds itself to its verdicts before it sees the others'; two thirds of stake decide.",
    );
    verdicts(&client, &statements, &accounts)?;

    heading(4, "Those who looked are paid, those who cheated pay");
    if roles.iter().any(|role| *role != Role::Honest) {
        say(
            "An honest validator accuses, everyone looks again, and the stake of who was wrong is taken; half goes to who \
             reported or paid for the proof, half is burned.",
        );
    }
    punished(&client, &accounts, &roles)?;
    table(&roles, &before, &paid(&client, &accounts, &roles)?);

    heading(5, "A stranger checks offline");
    let trust = TrustArgs { genesis: Some(net.genesis.clone()), trust_days: 14, ..Default::default() };
    let network = trust.network()?;
    let certificate = client.certificate(&statements[0], 0).map_err(asked)?;
    drop(processes);
    let checking = Instant::now();
    let says = network.check(&certificate).map_err(broken)?;
    let took = text::time(ms(checking));
    say("The network is switched off. From the genesis file alone:");
    anstream::println!("   {}  {}", paint(GOOD, "certificate holds:"), says.words());
    say(&format!("Verdicts: {}.", says.votes.words()));
    anstream::println!("   {}", paint(DIM, format!("{} bytes, checked in {took}", certificate.len())));
    let path = scratch.path().join(format!("patient-{}.zte", args.patient));
    let evidence = read_bounded(&path, crate::files::FILE_BYTES)?;
    let whole = certified(&path, &evidence, certificate.clone(), &network)?;
    anstream::println!("   with the certificate in it the evidence has {}", text::size(whole.len() as u64));
    let mut forged = certificate;
    let middle = forged.len() / 2;
    forged[middle] ^= 1;
    match network.check(&forged) {
        Err(why) => anstream::println!("   one bit changed: {} {why}", paint(BAD, "refused:")),
        Ok(_) => return Err(broken("a changed certificate was accepted")),
    }
    let time = text::time(ms(started));
    anstream::println!("\nDone in {time}. `zerotell net up` runs such a network to play with.");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_honest_have_more_than_two_thirds_or_nothing_begins() {
        use Role::{Honest, Lazy, Liar};
        assert_eq!(roles(4, 1, 1).unwrap(), [Honest, Honest, Lazy, Liar]);
        assert_eq!(roles(4, 0, 0).unwrap(), [Honest; 4]);
        assert_eq!(roles(4, 2, 0).unwrap(), [Honest, Honest, Lazy, Lazy]);
        assert_eq!(roles(7, 2, 2).unwrap(), [Honest, Honest, Honest, Lazy, Lazy, Liar, Liar]);
        assert_eq!(roles(1, 0, 0).unwrap(), [Honest]);
        let refused = |validators, lazy, lying, word: &str| {
            let why = roles(validators, lazy, lying).unwrap_err();
            assert_eq!(why.exit_code(), 2);
            assert!(format!("{why}").contains(word), "{why}");
        };
        refused(4, 2, 1, "2 lazy and 1 lying of 4");
        // Exactly two thirds are too few.
        refused(5, 3, 0, "two thirds");
        refused(4, 4, 0, "two thirds");
        refused(2, usize::MAX, 1, "two thirds");
        refused(0, 0, 0, "0 validators");
        refused(33, 1, 1, "33 validators");
    }

    #[test]
    fn units_are_grouped() {
        assert_eq!([0, 999, 1_000, 12_345_678].map(units), ["0", "999", "1 000", "12 345 678"]);
    }
}
