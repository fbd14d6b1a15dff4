//! `certify FILE.ztc`: checks a network's certificate offline, from a genesis or a pinned checkpoint on.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use certify::receipt::Receipt;
use certify::{Certificate, Checkpoint, Clock, certificate};
use clap::Args;
use ledger::Genesis;
use ledger::entry::{Record, Records, Status, Table as _};
use record::{Annexes, Statement};
use serde_json::json;

use crate::failure::{BAD_ANNEX, BAD_CERTIFICATE, Failure, NETWORK_FILE, Outcome, USAGE};
use crate::files::{read_bounded, write_whole};
use crate::output::OutputArgs;
use crate::pipeline::ms;
use crate::text::{self, BAD, DIM, GOOD, paint};

/// Bytes of a genesis file, at most.
const GENESIS_MAX: usize = 16 << 20;
/// Days that a checkpoint may be old: shorter than bonds stay slashable (spec Z7).
const TRUST_DAYS: u64 = 14;
const DAY: u64 = 24 * 3600 * 1000;
/// Milliseconds by which clocks may differ.
const DRIFT: u64 = 60_000;

/// What is trusted of a network.
#[derive(Args, Clone, Debug, Default)]
pub struct TrustArgs {
    /// The network's genesis file, from somebody you trust
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    pub genesis: Option<PathBuf>,
    /// A checkpoint that was pinned before (see --pin)
    #[arg(long, value_name = "FILE", conflicts_with = "genesis", help_heading = "Network")]
    pub checkpoint: Option<PathBuf>,
    /// Days that the checkpoint may be old; 0: do not ask
    #[arg(long, value_name = "DAYS", default_value_t = TRUST_DAYS, help_heading = "Network")]
    pub trust_days: u64,
}

impl TrustArgs {
    fn checkpoint(&self) -> Outcome<Checkpoint> {
        let refused = |path: &Path, why: &dyn std::fmt::Display| {
            let fix = "get the network's genesis, or a checkpoint, from somebody you trust";
            Failure::misuse(NETWORK_FILE, path.display(), why, fix)
        };
        if let Some(path) = &self.checkpoint {
            let bytes = read_bounded(path, 1 << 12)?;
            return certify::decode(&bytes).map_err(|why| refused(path, &why));
        }
        let Some(path) = &self.genesis else {
            let fix = "add --genesis FILE (the network's genesis file) or --checkpoint FILE";
            let why = "nothing says which network is trusted: any network could have made this certificate";
            return Err(Failure::misuse(USAGE, "--genesis", why, fix));
        };
        let bytes = read_bounded(path, GENESIS_MAX)?;
        let genesis: Genesis = certify::decode(&bytes).map_err(|why| refused(path, &why))?;
        let beginning = genesis.begin().map_err(|why| refused(path, &why))?;
        Checkpoint::genesis(&beginning.header).map_err(|why| refused(path, &why))
    }

    fn clock(&self) -> Option<Clock> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let trust = self.trust_days.saturating_mul(DAY);
        (self.trust_days > 0).then_some(Clock { now, trust, drift: DRIFT })
    }

    /// Whether anything is trusted.
    pub fn is_given(&self) -> bool {
        self.genesis.is_some() || self.checkpoint.is_some()
    }

    /// What checks the network's part of evidence.
    pub fn network(&self) -> Outcome<Network> {
        Ok(Network { trusted: self.checkpoint()?, clock: self.clock() })
    }
}

/// What else is asked of a certificate.
#[derive(Args, Clone, Debug, Default)]
pub struct AskedArgs {
    /// The certificate must be about this evidence
    #[arg(long, value_name = "FILE.zte", help_heading = "Network")]
    pub evidence: Option<PathBuf>,
    /// Write the checkpoint that the certificate leads to, to start from next time
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    pub pin: Option<PathBuf>,
    /// Write the certificate's last step as a COSE receipt (RFC 9942), if the certificate holds
    #[arg(long, value_name = "FILE.cbor", help_heading = "Network")]
    pub cose: Option<PathBuf>,
}

impl AskedArgs {
    /// Whether anything is asked.
    pub fn is_given(&self) -> bool {
        self.evidence.is_some() || self.pin.is_some() || self.cose.is_some()
    }
}

/// A network that is trusted.
pub struct Network {
    trusted: Checkpoint,
    clock: Option<Clock>,
}

/// What a good certificate says.
pub struct Says {
    /// The record's name.
    pub statement: [u8; 32],
    /// What the state holds of it.
    pub record: Record,
    /// Height and time of the state.
    pub at: (u64, u64),
    /// Epoch, and how many hand-overs led to it.
    pub epoch: (u64, usize),
    /// Seats that signed, of how many.
    pub signers: (u32, u8),
    /// What may be pinned.
    pub checkpoint: Checkpoint,
}

impl Says {
    /// The verdict in words.
    pub fn words(&self) -> String {
        let seats = format!("{} of {} seats signed", self.signers.0, self.signers.1);
        let verdict = match self.record.status {
            Status::Final { code: 0, height } => format!("accepted at height {height}"),
            Status::Final { code, height } => {
                format!("rejected at height {height}: {}", dossier::code::words(code))
            }
            Status::Pending => "without a verdict yet".into(),
            Status::Undecided { .. } => "undecided".into(),
        };
        let recalled = if self.record.recalled == 0 { "" } else { ", recalled by its submitter" };
        let (at, _) = self.at;
        format!(
            "{verdict} by verifier version {}{recalled}; state of height {at}, {seats}",
            self.record.verifier
        )
    }

    /// Whether the record was accepted, and not taken back.
    pub fn is_accepted(&self) -> bool {
        matches!(self.record.status, Status::Final { code: 0, .. }) && self.record.recalled == 0
    }
}

impl Network {
    /// The network's name.
    #[cfg(feature = "network")]
    pub fn name(&self) -> [u8; 32] {
        self.trusted.network
    }

    /// Checks a certificate file.
    pub fn check(&self, bytes: &[u8]) -> Result<Says, String> {
        if bytes.len() > certificate::FILE_MAX {
            return Err("it is too large".into());
        }
        let file: Certificate = certify::decode(bytes).map_err(|why| why.to_string())?;
        let client = file.check(&self.trusted, self.clock).map_err(|why| why.to_string())?;
        let statement = about(&file)?;
        let record = certify::decode(&file.entry.value).map_err(|why| why.to_string())?;
        Ok(Says {
            statement,
            record,
            at: (file.header.height, file.header.time),
            epoch: (file.header.epoch, file.handovers.len()),
            signers: (file.finality.signers.count_ones(), file.finality.seats),
            checkpoint: client.checkpoint(),
        })
    }
}

impl Annexes for Network {
    fn check(&self, name: &str, bytes: &[u8], statement: &Statement) -> Result<String, String> {
        if name != "certificate.bin" {
            return Err("this version of zerotell cannot check it".into());
        }
        let says = Network::check(self, bytes)?;
        if says.statement != statement.digest() {
            return Err("it is about another statement".into());
        }
        if says.record.program != statement.program {
            return Err("its record is about another program".into());
        }
        if !says.is_accepted() {
            return Err(format!("the network did not accept the record: {}", says.words()));
        }
        Ok(says.words())
    }
}

/// Whether bytes look like a certificate file.
pub fn is_certificate(path: &Path) -> bool {
    let mut start = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut f| std::io::Read::read_exact(&mut f, &mut start));
    read.is_ok() && start == certificate::MAGIC
}

/// The record that a certificate file is about; nothing is checked.
#[cfg(feature = "network")]
pub fn statement(bytes: &[u8]) -> Result<[u8; 32], String> {
    about(&certify::decode(bytes).map_err(|why| why.to_string())?)
}

fn about(file: &Certificate) -> Result<[u8; 32], String> {
    if file.entry.namespace != Records::NAMESPACE {
        return Err("it is about another kind of entry than a record".into());
    }
    file.entry.key[..].try_into().map_err(|_| "its key is no record's".into())
}

/// Writes the receipt of a certificate that was checked; gives its length.
fn write_receipt(path: &Path, certificate: &[u8]) -> Outcome<usize> {
    let file: Certificate = certify::decode(certificate)
        .map_err(|why| Failure::misuse(NETWORK_FILE, path.display(), why, "report this"))?;
    let receipt = Receipt::from(&file).encode();
    write_whole(path, &receipt, 0o644)?;
    Ok(receipt.len())
}

/// Checks a certificate file for `certify`. Exit code 1: refused.
// Long because it says the same thing twice, to programs and to people.
pub fn run(path: &Path, trust: &TrustArgs, asked: &AskedArgs, form: OutputArgs) -> Outcome<ExitCode> {
    let network = trust.network()?;
    let bytes = read_bounded(path, certificate::FILE_MAX)?;
    let started = Instant::now();
    let mut says = network.check(&bytes);
    let took = ms(started);
    if let (Ok(found), Some(path)) = (&says, &asked.evidence) {
        let bytes = read_bounded(path, crate::files::FILE_BYTES)?;
        let signed = record::Evidence::decode(&bytes).and_then(|evidence| evidence.signed());
        let (statement, _) = signed.map_err(|why| Failure::misuse(BAD_ANNEX, path.display(), why, ""))?;
        if statement.digest() != found.statement {
            says = Err("it is about another statement than that of the evidence".into());
        }
    }
    let says = match says {
        Ok(says) => says,
        Err(why) => {
            if form.json() {
                println!("{}", json!({"verdict": "rejected", "code": BAD_CERTIFICATE, "why": why}));
            } else {
                anstream::println!(
                    "{}  {BAD_CERTIFICATE} {why} ({})",
                    paint(BAD, "refused"),
                    text::time(took)
                );
            }
            return Ok(ExitCode::from(1));
        }
    };
    if let Some(path) = &asked.pin {
        write_whole(path, &certify::encode(&says.checkpoint), 0o644)?;
    }
    let receipt = asked.cose.as_ref().map(|path| write_receipt(path, &bytes)).transpose()?;
    let record = &says.record;
    if form.json() {
        let line = json!({
            "verdict": if says.is_accepted() { "accepted" } else { "not accepted" },
            "says": says.words(),
            "statement": text::hex(&says.statement),
            "program": text::hex(&record.program),
            "proof": text::hex(&record.proof),
            "submitter": text::hex(&record.submitter),
            "network": text::hex(&says.checkpoint.network),
            "height": says.at.0,
            "time": says.at.1,
            "epoch": says.epoch.0,
            "handovers": says.epoch.1,
            "signers": says.signers.0,
            "seats": says.signers.1,
            "file_bytes": bytes.len(),
            "receipt_bytes": receipt,
            "check_ms": took,
        });
        println!("{line}");
        return Ok(ExitCode::from(u8::from(!says.is_accepted())));
    }
    let style = if says.is_accepted() { GOOD } else { BAD };
    anstream::println!("{}  the record is {}", paint(style, "certificate holds"), says.words());
    anstream::println!("  statement {}", text::hex(&says.statement));
    anstream::println!("  program   {}", text::hex(&record.program));
    anstream::println!("  proof     {} (BLAKE3 of the dossier)", text::hex(&record.proof));
    anstream::println!("  network   {}", text::hex(&says.checkpoint.network));
    if let (Some(path), Some(length)) = (&asked.cose, receipt) {
        anstream::println!("  receipt   {} ({})", path.display(), text::size(length as u64));
    }
    let age = if trust.trust_days == 0 { "; the age of the checkpoint was NOT checked" } else { "" };
    let hops = says.epoch.1;
    let size = text::size(bytes.len() as u64);
    let line = format!(
        "{size}, {hops} hand-overs, checked offline in {}{age}. It does not show that the verdict is right: \
         who doubts it runs the verifier on the proof",
        text::time(took)
    );
    anstream::println!("{}", paint(DIM, text::wrap(&line, 90, "  ")));
    Ok(ExitCode::from(u8::from(!says.is_accepted())))
}
