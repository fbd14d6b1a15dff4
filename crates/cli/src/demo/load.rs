//! `net load`: a network on this machine under load, with real proofs: records per second, time to finality, what it costs.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use clap::Args;
use ledger::{Body, Lane, Unsigned};
use node::client::{Client, submission};
use node::keys::Keys;
use node::localnet::{self, Member};
use serde_json::json;

use super::validators::{asked, evidence};
use super::{PATIENTS, Scratch, broken, commit};
use crate::certificate::{Network, TrustArgs};
use crate::failure::{Failure, NODE, Outcome};
use crate::network::{Processes, Ready};
use crate::pipeline::ms;

/// Accounts that submit: each may have so many records under way.
const ACCOUNTS: usize = 8;
/// Records of an account that wait for their verdict: more would only stand in a queue, and their dossiers in memory.
const WINDOW: usize = 32;
/// Units that each has.
const PURSE: u64 = 10_000_000_000_000;
/// Records of an account after which it asks for the price again.
const PRICED: u64 = 16;
const PATIENCE: Duration = Duration::from_secs(120);

/// Flags of `net load`.
#[derive(Args, Clone, Debug)]
pub struct LoadArgs {
    /// Records
    #[arg(long, default_value_t = 1000)]
    pub records: usize,
    /// Records a second that are offered; 0: as fast as they are taken
    #[arg(long, default_value_t = 0)]
    pub rate: u64,
    /// Validators
    #[arg(long, default_value_t = 4)]
    pub validators: usize,
    /// First port
    #[arg(long, default_value_t = 7500)]
    pub port: u16,
}

/// Processor seconds, resident megabytes and written megabytes of a process.
fn usage(process: u32) -> (f64, u64, u64) {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<u64> =
        stat.rsplit(')').next().unwrap_or("").split_whitespace().map(|f| f.parse().unwrap_or(0)).collect();
    let at = |i: usize| fields.get(i).copied().unwrap_or(0);
    let io = fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse::<u64>().ok());
    ((at(11) + at(12)) as f64 / 100.0, (at(21) * 4096) >> 20, written.unwrap_or(0) >> 20)
}

fn directory_bytes(path: &std::path::Path) -> u64 {
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => directory_bytes(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    fs::read_dir(path).map(|list| list.flatten().map(size).sum()).unwrap_or(0)
}

/// What became of each record: when it was sent; when it was seen to be over, and whether it was accepted then.
type Times = Mutex<HashMap<String, (Instant, Option<(Instant, bool)>)>>;

/// Counts the looks at what is final; who waits for room waits for the next.
#[derive(Default)]
struct Looks(Mutex<u64>, Condvar);

impl Looks {
    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.1.notify_all();
    }

    fn wait(&self, most: Duration) {
        let looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *looks;
        drop(self.1.wait_timeout_while(looks, most, |looks| *looks == before));
    }
}

/// Notes which records are over, until all are, or it has waited for long enough; looks at most once in `pause`.
fn watch(
    client: &Client,
    (times, looks): (&Times, &Looks),
    (sent_all, failed): (&AtomicBool, &AtomicBool),
    pause: Duration,
) -> Outcome<()> {
    let began = Instant::now();
    let mut seen = None;
    // Seen in a block and without a verdict, however far back.
    let mut pending: HashSet<String> = HashSet::new();
    loop {
        // Verdicts come with blocks: asking for less would load the nodes, asking more seldom miss the moment.
        let height = client.json("/v1/status").map_err(asked)?["height"].as_u64();
        if seen == height {
            sleep(Duration::from_millis(15));
            continue;
        }
        seen = height;
        let looked = Instant::now();
        let (mut before, mut missing) = ((1u64 << 53) - 1, pending.len());
        // Newest first; as far back as something is new or was pending at the last look.
        loop {
            let list = client.json(&format!("/v1/records?before={before}&limit=100")).map_err(asked)?;
            let now = Instant::now();
            let records = list["records"].as_array().cloned().unwrap_or_default();
            let mut fresh = false;
            let mut times = times.lock().map_err(broken)?;
            for record in &records {
                let name = record["statement"].as_str().unwrap_or_default();
                let Some((_, done)) = times.get_mut(name) else { continue };
                if done.is_none() {
                    let was_pending = pending.contains(name);
                    missing = missing.saturating_sub(usize::from(was_pending));
                    fresh |= !was_pending;
                    if record["status"] == "pending" {
                        pending.insert(name.to_string());
                    } else {
                        pending.remove(name);
                        *done = Some((now, record["status"] == "accepted"));
                    }
                }
            }
            match list["next"].as_u64() {
                Some(next) if fresh || missing > 0 => before = next,
                _ => break,
            }
        }
        let open = times.lock().map_err(broken)?.values().filter(|(_, done)| done.is_none()).count();
        looks.note();
        // Who failed to send says why.
        let is_over = open == 0 && sent_all.load(Ordering::Relaxed);
        if is_over || failed.load(Ordering::Relaxed) || began.elapsed() > PATIENCE * 4 {
            return Ok(());
        }
        sleep(pause.saturating_sub(looked.elapsed()));
    }
}

fn submit(
    client: &Client,
    keys: &Keys,
    list: &[&Ready],
    (times, looks): (&Times, &Looks),
    gap: Duration,
) -> Outcome<()> {
    let (mut status, key) = (client.status().map_err(asked)?, keys.signing());
    let (mut due, mut sent) = (Instant::now(), Vec::new());
    for (nonce, ready) in (0..).zip(list) {
        let bytes = ready.dossier.len() as u64 + 2_000;
        if nonce % PRICED == PRICED - 1 {
            status = client.status().map_err(asked)?;
        }
        let seal = *crate::random::bytes()?;
        let body = Body::SubmitRecord { submission: submission(&ready.dossier, &ready.found.names, seal, 1) };
        let is_open = |name: &String| {
            let times = times.lock().unwrap_or_else(PoisonError::into_inner);
            times.get(name).is_some_and(|(_, done)| done.is_none())
        };
        let began = Instant::now();
        while sent.len() >= WINDOW && began.elapsed() < PATIENCE {
            sent.retain(is_open);
            if sent.len() >= WINDOW {
                looks.wait(Duration::from_secs(1));
            }
        }
        // Nobody looks any more, or no verdict comes: each further record would wait as long.
        if sent.len() >= WINDOW {
            return Err(broken(format!("{} records were not final in time", sent.len())));
        }
        client.upload(&ready.dossier).map_err(asked)?;
        if let Some(wait) = due.checked_duration_since(Instant::now()) {
            sleep(wait);
        }
        due += gap;
        let name = crate::text::hex(&ready.found.names.statement);
        times.lock().map_err(broken)?.insert(name.clone(), (Instant::now(), None));
        sent.push(name);
        let began = Instant::now();
        loop {
            // Prices move with the load; what is offered is paid.
            let fee = 40 * (status.work_price * (ready.work + 200) + status.byte_price * bytes);
            let unsigned = Unsigned { network: status.network, lane: Lane::Paid, nonce, fee };
            match client.send_as(&key, unsigned, &body) {
                Ok(_) => break,
                Err(why) if why.why.contains("the price is") && began.elapsed() < PATIENCE => {
                    status = client.status().map_err(asked)?;
                }
                // So many of one account may be under way.
                Err(why) if why.why.contains("wait for their verdict") && began.elapsed() < PATIENCE => {
                    looks.wait(Duration::from_secs(1));
                }
                Err(why) => return Err(asked(why)),
            }
        }
    }
    Ok(())
}

/// What a network did with its load.
pub struct Measured {
    /// Records that were offered.
    pub records: usize,
    /// Of them, those that were accepted, as all deserve.
    pub accepted: usize,
    /// Those that were rejected or undecided in the end.
    pub refused: usize,
    /// From the first record to the last verdict.
    pub seconds: f64,
    /// Milliseconds from sending a record to seeing its verdict, rising.
    latencies: Vec<f64>,
    /// Blocks made final meanwhile.
    pub blocks: Option<u64>,
    /// Processor milliseconds that all validators spent on a record.
    pub cpu_ms: f64,
    /// Resident megabytes of each validator at the end.
    pub memory_mb: Vec<u64>,
    /// Megabytes that all wrote.
    pub written_mb: u64,
    /// Bytes on a validator's disk for a record.
    pub disk_bytes: f64,
    /// Bytes of a dossier.
    pub dossier_bytes: Option<usize>,
    /// Milliseconds to prove and sign one.
    pub prove_ms: f64,
    /// A record's certificate.
    pub certificate: Option<Vec<u8>>,
    /// What a stranger trusts to check it.
    pub network: Network,
    /// Its files, which are deleted with this: right after many were, a file system may be slow to make others.
    _files: Scratch,
}

impl Measured {
    /// Records a second.
    pub fn pace(&self) -> f64 {
        (self.accepted + self.refused) as f64 / self.seconds
    }

    /// Milliseconds within which such a share of the records had their verdict; nothing if none had.
    pub fn final_ms(&self, share: f64) -> Option<f64> {
        let last = self.latencies.len().checked_sub(1)?;
        self.latencies.get((last as f64 * share).round() as usize).copied()
    }
}

/// Runs the verb.
pub fn run(args: &LoadArgs) -> Outcome<ExitCode> {
    let found = measure(args)?;
    if found.accepted < found.records {
        let (accepted, refused) = (found.accepted, found.refused);
        let why =
            format!("of {} records {accepted} were accepted and {refused} refused in time", found.records);
        return Err(broken(why));
    }
    let finality = |share| found.final_ms(share).unwrap_or(0.0);
    let line = json!({
        "records": found.records,
        "validators": args.validators,
        "seconds": found.seconds,
        "records_per_second": found.pace(),
        "finality_ms": {
            "p50": finality(0.5),
            "p95": finality(0.95),
            "p99": finality(0.99),
            "most": finality(1.0),
        },
        "blocks": found.blocks,
        "validator_cpu_ms_per_record": found.cpu_ms / args.validators as f64,
        "all_cpu_ms_per_record": found.cpu_ms,
        "memory_mb": found.memory_mb,
        "written_mb": found.written_mb,
        "disk_bytes_per_record": found.disk_bytes,
        "dossier_bytes": found.dossier_bytes,
        "prove_and_sign_ms": found.prove_ms,
        "certificate_bytes": found.certificate.as_ref().map(Vec::len),
    });
    println!("{line:#}");
    Ok(ExitCode::SUCCESS)
}

/// A network of its own, and what it does with so many records.
///
/// # Errors
/// What keeps the network from starting, or the records from being made and sent.
// Long because it is the whole experiment, in order.
pub fn measure(args: &LoadArgs) -> Outcome<Measured> {
    let scratch = Scratch::new()?;
    let mut patients = commit(&PATIENTS, &scratch.path().join("patients"))?;
    let path = scratch.path().join("evidence.zte");
    let started = Instant::now();
    let ready: Vec<Ready> = (0..args.records)
        .map(|i| evidence(&mut patients, i % 143, &path).map(|(ready, _)| ready))
        .collect::<Outcome<_>>()?;
    let prove_ms = ms(started) / args.records.max(1) as f64;
    let directory = scratch.path().join("network");
    let member = |_| Member::default();
    let net = localnet::create(&directory, args.validators, args.port, localnet::parameters(), member)
        .map_err(|why| Failure::misuse(NODE, why.place, why.why, why.fix))?;
    let processes = Processes::start(&net)?;
    let clients: Vec<Client> = net.http.iter().map(|a| Client::new(&format!("http://{a}"))).collect();
    let first = clients.first().ok_or_else(|| broken("no validator"))?;
    let owner = Keys::read(&net.owner).map_err(broken)?;
    if let Some(one) = ready.first() {
        first.register(&owner.signing(), &one.found, (&one.program, one.work), PATIENCE).map_err(asked)?;
    }
    let accounts: Vec<Keys> =
        (0..ACCOUNTS).map(|_| Keys::generate(false).map_err(broken)).collect::<Outcome<_>>()?;
    for keys in &accounts {
        let body = Body::Transfer { to: keys.account(), amount: PURSE };
        let id = first.send(&owner.signing(), &body, 0, 0).map_err(asked)?;
        first.wait(&id, PATIENCE).map_err(asked)?;
    }
    let processor = || processes.0.iter().map(|p| usage(p.id()).0).sum::<f64>();
    let (before, height) = (processor(), first.json("/v1/status").map_err(asked)?["height"].as_u64());
    let (times, sent_all, failed): (Times, _, _) =
        (Mutex::default(), AtomicBool::new(false), AtomicBool::new(false));
    let looks = Looks::default();
    let (seen, flags) = ((&times, &looks), (&sent_all, &failed));
    let began = Instant::now();
    scope(|threads| {
        // Where a queue stands, when a verdict was seen says nothing, and looking costs the nodes time.
        let pause = Duration::from_millis(if args.rate == 0 { 200 } else { 0 });
        let watching = threads.spawn(move || watch(first, seen, flags, pause));
        let gap = match args.rate {
            0 => Duration::ZERO,
            rate => Duration::from_secs_f64(ACCOUNTS as f64 / rate as f64),
        };
        let submitting: Vec<_> = accounts
            .iter()
            .enumerate()
            .map(|(i, keys)| {
                let share: Vec<&Ready> = ready.iter().skip(i).step_by(ACCOUNTS).collect();
                let client = &clients[i % clients.len()];
                threads.spawn(move || {
                    let sent = submit(client, keys, &share, seen, gap);
                    flags.1.fetch_or(sent.is_err(), Ordering::Relaxed);
                    sent
                })
            })
            .collect();
        let ended = |why| broken(format!("a thread ended: {why:?}"));
        submitting.into_iter().try_for_each(|thread| thread.join().map_err(ended)?)?;
        sent_all.store(true, Ordering::Relaxed);
        watching.join().map_err(ended)?
    })?;
    let took = began.elapsed().as_secs_f64();
    let spent = processor() - before;
    let blocks = first.json("/v1/status").map_err(asked)?["height"].as_u64().zip(height).map(|(a, b)| a - b);
    let times = times.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut latencies: Vec<f64> = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    for (sent, done) in times.into_values() {
        let Some((done, is_accepted)) = done else { continue };
        latencies.push(done.duration_since(sent).as_secs_f64() * 1e3);
        *(if is_accepted { &mut accepted } else { &mut refused }) += 1;
    }
    latencies.sort_by(f64::total_cmp);
    let one = ready.first();
    let certificate =
        one.map(|one| first.certificate(&one.found.names.statement, 0).map_err(asked)).transpose()?;
    let trust = TrustArgs { genesis: Some(net.genesis.clone()), trust_days: 14, ..Default::default() };
    let data = net.nodes.first().map(|path| directory_bytes(&path.with_file_name("data"))).unwrap_or(0);
    let count = args.records.max(1) as f64;
    Ok(Measured {
        records: args.records,
        accepted,
        refused,
        seconds: took,
        latencies,
        blocks,
        cpu_ms: 1e3 * spent / count,
        memory_mb: processes.0.iter().map(|p| usage(p.id()).1).collect(),
        written_mb: processes.0.iter().map(|p| usage(p.id()).2).sum(),
        disk_bytes: data as f64 / count,
        dossier_bytes: one.map(|one| one.dossier.len()),
        prove_ms,
        certificate,
        network: trust.network()?,
        _files: scratch,
    })
}
