//! `demo --network`: private diagnoses go to four validators, of which one is lazy and one lies.

use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use node::client::Client;
use node::keys::Keys;
use node::localnet::{self, Member};
use record::SigningKey;
use record::key::Kind;
use serde_json::Value;

use super::{Committed, DemoArgs, PATIENTS, Scratch, broken, commit, heading, say};
use crate::certificate::TrustArgs;
use crate::evidence::{Extras, certified, make, salts, this_verifier};
use crate::failure::{Failure, NODE, Outcome};
use crate::files::{read_bounded, write_whole};
use crate::network::{Processes, Ready, ready};
use crate::pipeline::ms;
use crate::text::{self, BAD, DIM, GOOD, HEAD, paint};

/// Records that the demo submits.
const RECORDS: usize = 4;
/// Time in which everything must have happened.
const PATIENCE: Duration = Duration::from_secs(60);
const LAZY: usize = 2;
const LIAR: usize = 3;
const NAMES: [&str; 4] = ["honest", "honest", "lazy: accepts without looking", "liar: says the opposite"];

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

fn punished(client: &Client, accounts: &[String]) -> Outcome<()> {
    let began = Instant::now();
    let mut seen: Vec<u64> = Vec::new();
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
            let Some(place) = place else { continue };
            let name = NAMES.get(place).copied().unwrap_or_default();
            anstream::println!(
                "   {}  validator {place} ({name}) loses {} units at height {}",
                paint(BAD, "slashed"),
                units(amount(&slash["lost"])),
                slash["height"]
            );
            if place != LAZY && place != LIAR {
                return Err(broken("an honest validator was slashed"));
            }
        }
        let hit = |which: usize| {
            list.iter().any(|s| accounts.get(which).map(String::as_str) == s["account"].as_str())
        };
        if hit(LAZY) && hit(LIAR) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(broken("those who cheated were not both slashed in time"));
        }
        sleep(Duration::from_millis(100));
    }
}

fn table(client: &Client, accounts: &[String]) -> Outcome<()> {
    let found = client.json("/v1/validators").map_err(asked)?;
    let list = found["validators"].as_array().cloned().unwrap_or_default();
    anstream::println!("   {:<32} {:>21} {:>22}", "", "bond", "to spend");
    for (place, account) in accounts.iter().enumerate() {
        let Some(found) = list.iter().find(|v| v["account"].as_str() == Some(account)) else { continue };
        anstream::println!(
            "   {place} {:<30} {:>21} {:>22}",
            NAMES.get(place).copied().unwrap_or_default(),
            units(amount(&found["bond"])),
            units(amount(&found["balance"]))
        );
    }
    Ok(())
}

/// The demonstration.
pub fn run(args: &DemoArgs) -> Outcome<ExitCode> {
    let started = Instant::now();
    anstream::println!("{}", paint(HEAD, "zerotell: private diagnoses, checked by validators"));
    let scratch = Scratch::new()?;
    heading(1, "The owner proves");
    let mut patients = commit(&PATIENTS, &scratch.path().join("patients"))?;
    let numbers = (0..RECORDS).map(|i| (args.patient + i) % 143);
    let ready: Vec<Ready> =
        numbers.map(|number| prove(&mut patients, number, scratch.path())).collect::<Outcome<_>>()?;

    heading(2, "Four validators begin");
    let member = |i: usize| match i {
        LAZY => Member { bond: localnet::BOND / 2, behaviour: "lazy" },
        LIAR => Member { bond: localnet::BOND / 2, behaviour: "liar" },
        _ => Member { bond: localnet::BOND * 3 / 2, behaviour: "" },
    };
    let directory = scratch.path().join("network");
    let net = localnet::create(&directory, 4, args.port, localnet::parameters(), member);
    let net = net.map_err(|why| Failure::misuse(NODE, why.place, why.why, why.fix))?;
    let processes = Processes::start(&net)?;
    for (number, (address, name)) in net.http.iter().zip(NAMES).enumerate() {
        anstream::println!("   {number}  http://{address}  {name}");
    }
    let accounts = accounts(&net)?;
    let first = net.http.first().map(ToString::to_string).unwrap_or_default();
    let client = Client::new(&format!("http://{first}"));

    heading(3, "The owner submits, they look, they agree");
    let keys = Keys::read(&net.owner).map_err(broken)?;
    let statements: Vec<[u8; 32]> =
        ready.iter().map(|one| one.send(&client, &keys, PATIENCE)).collect::<Outcome<_>>()?;
    say(
        "Each validator binds itself to its verdicts before it sees the others'; two thirds of stake decide.",
    );
    verdicts(&client, &statements, &accounts)?;

    heading(4, "Those who cheated pay");
    say(
        "An honest validator accuses, everyone looks again, and the stake of who was wrong is taken; half goes to who \
         reported or paid for the proof, half is burned.",
    );
    punished(&client, &accounts)?;
    table(&client, &accounts)?;

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
