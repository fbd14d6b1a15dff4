//! `fetch`: what is checked offline later: a record's certificate, and the checkpoint it is checked from.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use certify::{Checkpoint, Refusal};
use clap::{Args, Subcommand};
use node::client::Client;
use serde_json::json;

use crate::certificate::{Network, Refused, TrustArgs, now};
use crate::failure::{Failure, NODE, Outcome, USAGE};
use crate::files::{FILE_BYTES, read_bounded, write_new, write_whole};
use crate::network::{checked, from, write};
use crate::output::OutputArgs;
use crate::recall;
use crate::sender::{NodeArg, node_failure};
use crate::text::{self, BAD, DIM, GOOD, HEAD, paint};

/// Flags of `fetch`.
#[derive(Args, Clone, Debug)]
pub struct FetchArgs {
    #[command(subcommand)]
    pub verb: FetchVerb,
}

/// What is fetched.
#[derive(Subcommand, Clone, Debug)]
pub enum FetchVerb {
    /// Fetch the certificate of a record that has its verdict: records stay in the state, so an old one is renewed so
    Certificate(CertificateArgs),
    /// Bring a pinned checkpoint up to the present, by the hand-overs since; or make the first pin
    Checkpoint(CheckpointArgs),
}

/// Flags of `fetch certificate`.
#[derive(Args, Clone, Debug)]
pub struct CertificateArgs {
    /// The statement's 64 hexadecimal digits, or a file about it: a certificate (.ztc) or evidence (.zte)
    #[arg(value_name = "STATEMENT|FILE")]
    pub record: String,
    /// Where it goes (.ztc), or the evidence with the certificate in it (.zte)
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Epoch that it must rest on: readers whose checkpoint is of that epoch, or a later one up to the present, can
    /// check it [default: that of what is trusted]
    #[arg(long, value_name = "EPOCH")]
    pub from: Option<u64>,
    #[command(flatten)]
    pub node: NodeArg,
    #[command(flatten)]
    pub trust: TrustArgs,
    #[command(flatten)]
    pub form: OutputArgs,
}

/// Flags of `fetch checkpoint`.
#[derive(Args, Clone, Debug)]
pub struct CheckpointArgs {
    /// The pin: it says where to start and is written anew; with --genesis or --checkpoint it is made
    #[arg(value_name = "PIN")]
    pub pin: PathBuf,
    #[command(flatten)]
    pub node: NodeArg,
    #[command(flatten)]
    pub trust: TrustArgs,
    #[command(flatten)]
    pub form: OutputArgs,
}

impl FetchArgs {
    /// Whether JSON is wanted.
    pub fn json(&self) -> bool {
        match &self.verb {
            FetchVerb::Certificate(args) => args.form.json(),
            FetchVerb::Checkpoint(args) => args.form.json(),
        }
    }
}

/// Runs the verb.
pub fn run(args: &FetchArgs) -> Outcome<ExitCode> {
    match &args.verb {
        FetchVerb::Certificate(args) => certificate(args),
        FetchVerb::Checkpoint(args) => checkpoint(args),
    }
}

// ---- certificate ----

/// The bytes of evidence that a record was named by.
fn evidence(record: &str) -> Outcome<Option<Vec<u8>>> {
    let path = Path::new(record);
    if record::json::unhex(record).is_some() || !path.exists() {
        return Ok(None);
    }
    let bytes = read_bounded(path, FILE_BYTES)?;
    Ok(record::is_evidence(&bytes).then(|| bytes.to_vec()))
}

/// Fetches a certificate and checks it, if a network is trusted. Exit code 1: it holds, and the record is not accepted.
fn certificate(args: &CertificateArgs) -> Outcome<ExitCode> {
    let statement = recall::statement(&args.record)?;
    let evidence = evidence(&args.record)?;
    let network = args.trust.is_given().then(|| args.trust.network()).transpose()?;
    if let Some(network) = &network {
        network.young()?;
    }
    let client = args.node.client();
    args.node.network(&client, network.as_ref())?;
    let from = args.from.unwrap_or_else(|| from(network.as_ref()));
    let bytes = client.certificate(&statement, from).map_err(node_failure)?;
    let says = checked(network.as_ref(), Some(&bytes), &statement)?;
    let is_accepted = says.as_ref().is_none_or(|says| says.is_accepted());
    write(&args.output, evidence.as_deref(), &bytes, network.as_ref().map(|network| (network, is_accepted)))?;
    if args.form.json() {
        let mut line =
            says.as_ref().map_or_else(|| json!({"statement": text::hex(&statement)}), |says| says.json());
        line["checked"] = json!(says.is_some());
        line["from"] = json!(from);
        line["certificate_bytes"] = json!(bytes.len());
        line["output"] = json!(args.output.display().to_string());
        println!("{line}");
        return Ok(ExitCode::from(u8::from(!is_accepted)));
    }
    let size = text::size(bytes.len() as u64);
    anstream::println!("{}  a certificate of {size}, from epoch {from} on", paint(GOOD, "fetched"));
    anstream::println!("  record {}", text::hex(&statement));
    match &says {
        Some(says) => {
            anstream::println!("{}", text::wrap(&format!("the record is {}", says.words()), 90, "  "));
            anstream::println!("{}", text::wrap(&format!("verdicts: {}", says.votes.words()), 90, "  "));
        }
        None => {
            let word = "it was NOT checked (--genesis or --checkpoint checks it)";
            anstream::println!("  {}", paint(DIM, word));
        }
    }
    anstream::println!("  {} {}", paint(HEAD, "wrote"), args.output.display());
    Ok(ExitCode::from(u8::from(!is_accepted)))
}

// ---- checkpoint ----

/// What a pin became.
struct Reached {
    /// The new one.
    point: Checkpoint,
    /// Hand-overs that led there.
    steps: usize,
}

/// Follows a network's committees from what is trusted to the present, as far as a node tells of it.
fn follow(network: &Network, client: &Client, place: &str) -> Outcome<Reached> {
    let refused = |why: Refusal| {
        let Refused { why, fix } = network.refused(why);
        let fix = format!("the node does not belong to the network that is trusted, or lies; {fix}");
        Failure::misuse(NODE, place, why, fix)
    };
    let way = client.handovers(network.trusted().epoch).map_err(node_failure)?;
    let mut at = network.begin(way.committee).map_err(refused)?;
    let (mut handovers, mut steps) = (way.handovers, 0);
    // Every round goes on by an epoch at least, and each took the signatures of a committee that is believed.
    while !handovers.is_empty() {
        handovers.iter().try_for_each(|step| at.follow(step)).map_err(refused)?;
        steps += handovers.len();
        handovers = client.handovers(at.committee().epoch).map_err(node_failure)?.handovers;
    }
    Ok(Reached { point: at.checkpoint(), steps })
}

/// Brings a pin up to the present. It is written only when all of the way was good, whole or not at all.
fn checkpoint(args: &CheckpointArgs) -> Outcome<ExitCode> {
    let is_first = args.trust.is_given();
    if is_first && args.pin.exists() {
        let why = format!("{} is there already, and says where to start", args.pin.display());
        let fix = "leave --genesis and --checkpoint out, or name another file";
        return Err(Failure::misuse(USAGE, "PIN", why, fix));
    }
    if !is_first && !args.pin.exists() {
        let why = "there is no such pin yet, and nothing says which network is trusted";
        let fix = "add --genesis FILE, or --checkpoint FILE, to make the first one";
        return Err(Failure::misuse(USAGE, args.pin.display(), why, fix));
    }
    let mut trust = args.trust.clone();
    if !is_first {
        trust.checkpoint = Some(args.pin.clone());
    }
    let network = trust.network()?;
    network.young()?;
    let client = args.node.client();
    args.node.network(&client, Some(&network))?;
    let reached = follow(&network, &client, &args.node.node)?;
    let bytes = certify::encode(&reached.point);
    let is_moved = reached.point != *network.trusted();
    if is_first {
        write_new(&args.pin, &bytes, 0o644)?;
    } else if is_moved {
        write_whole(&args.pin, &bytes, 0o644)?;
    }
    tell(args, &network, &reached, is_first || is_moved);
    Ok(ExitCode::SUCCESS)
}

fn tell(args: &CheckpointArgs, network: &Network, Reached { point, steps }: &Reached, is_written: bool) {
    let digest = blake3::hash(&certify::encode(point)).to_hex().to_string();
    let age = now().saturating_sub(point.time);
    if args.form.json() {
        let line = json!({
            "pin": args.pin.display().to_string(),
            "network": text::hex(&point.network),
            "from_epoch": network.trusted().epoch,
            "epoch": point.epoch,
            "height": point.height,
            "time": point.time,
            "digest": digest,
            "handovers": steps,
            "age_ms": age,
            "age_checked": network.asks_age(),
            "written": is_written,
        });
        println!("{line}");
        return;
    }
    let (word, old) = (if is_written { "pinned" } else { "unchanged" }, network.trusted().epoch);
    let (height, old_now) = (point.height, text::time(age as f64));
    anstream::println!(
        "{}  epoch {}, from epoch {old} over {steps} hand-overs; its block {height} is {old_now} old",
        paint(GOOD, word),
        point.epoch
    );
    anstream::println!("  digest {digest}");
    if !network.asks_age() {
        let why = "The age of the checkpoint it began at was NOT checked: whoever got hold of an old committee's keys \
                   could have led here. Compare the digest with that of somebody you trust.";
        anstream::println!("{}", paint(BAD, text::wrap(why, 90, "  ")));
    } else if network.is_old(point) {
        let why = "More than half of the days that it may be old are over, and this node knows of no later epoch: ask \
                   another node.";
        anstream::println!("{}", paint(BAD, text::wrap(why, 90, "  ")));
    }
    anstream::println!("  {}", paint(DIM, format!("certify FILE.ztc --checkpoint {}", args.pin.display())));
}
