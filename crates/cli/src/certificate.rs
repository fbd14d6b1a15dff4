//! `certify FILE.ztc`: checks a network's certificate offline, from a genesis or a pinned checkpoint on.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use certify::receipt::Receipt;
use certify::{Certificate, Checkpoint, Clock, Refusal, certificate};
use clap::Args;
use ledger::Genesis;
use ledger::entry::{Record, Records, Status, Table as _};
use record::{Annexes, Statement};
use serde_json::{Value, json};

use crate::failure::{BAD_ANNEX, BAD_CERTIFICATE, Failure, NETWORK_FILE, Outcome, USAGE};
use crate::files::{read_bounded, write_whole};
use crate::output::OutputArgs;
use crate::pipeline::ms;
use crate::text::{self, BAD, DIM, GOOD, paint};
use crate::votes::Votes;

/// Bytes of a genesis file, at most.
const GENESIS_MAX: usize = 16 << 20;
/// Days that a checkpoint may be old: shorter than bonds stay slashable (spec Z7).
const TRUST_DAYS: u64 = 14;
const DAY: u64 = 24 * 3600 * 1000;
/// Milliseconds by which clocks may differ.
const DRIFT: u64 = 60_000;
/// What to do about a checkpoint that is too old.
const STALE: &str = "keep a pin young: `zerotell fetch checkpoint PIN --node URL` once a week, and --checkpoint PIN; one \
    that is too old is replaced by a younger one from somebody you trust. --trust-days 0 leaves the age open";
// What a node gives as a certificate fits into evidence.
const _: () = assert!(record::limits::CERTIFICATE == certificate::FILE_MAX);

/// What is trusted of a network.
#[derive(Args, Clone, Debug, Default)]
pub struct TrustArgs {
    /// The network's genesis file, from somebody you trust
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    pub genesis: Option<PathBuf>,
    /// A checkpoint that was pinned before (by --pin, or `zerotell fetch checkpoint`)
    #[arg(long, value_name = "FILE", conflicts_with = "genesis", help_heading = "Network")]
    pub checkpoint: Option<PathBuf>,
    /// Days that the genesis or checkpoint may be old now, whenever the certificate was made; 0: do not ask
    #[arg(long, value_name = "DAYS", default_value_t = TRUST_DAYS, help_heading = "Network")]
    pub trust_days: u64,
}

impl TrustArgs {
    fn checkpoint(&self) -> Outcome<(Checkpoint, &Path)> {
        let refused = |path: &Path, why: &dyn fmt::Display| {
            let fix = "get the network's genesis, or a checkpoint, from somebody you trust";
            Failure::misuse(NETWORK_FILE, path.display(), why, fix)
        };
        if let Some(path) = &self.checkpoint {
            let bytes = read_bounded(path, 1 << 12)?;
            let found = certify::decode(&bytes).map_err(|why| refused(path, &why))?;
            return Ok((found, path));
        }
        let Some(path) = &self.genesis else {
            let fix = "add --genesis FILE (the network's genesis file) or --checkpoint FILE";
            let why = "nothing says which network is trusted: any network could have made this certificate";
            return Err(Failure::misuse(USAGE, "--genesis", why, fix));
        };
        let bytes = read_bounded(path, GENESIS_MAX)?;
        let genesis: Genesis = certify::decode(&bytes).map_err(|why| refused(path, &why))?;
        let beginning = genesis.begin().map_err(|why| refused(path, &why))?;
        Ok((Checkpoint::genesis(&beginning.header).map_err(|why| refused(path, &why))?, path))
    }

    fn clock(&self) -> Option<Clock> {
        let trust = self.trust_days.saturating_mul(DAY);
        (self.trust_days > 0).then_some(Clock { now: now(), trust, drift: DRIFT })
    }

    /// Whether anything is trusted.
    pub fn is_given(&self) -> bool {
        self.genesis.is_some() || self.checkpoint.is_some()
    }

    /// What checks the network's part of evidence.
    pub fn network(&self) -> Outcome<Network> {
        let (trusted, path) = self.checkpoint()?;
        Ok(Network { trusted, clock: self.clock(), place: path.display().to_string() })
    }
}

/// Milliseconds since 1970, by this machine's clock.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
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
    /// The file that says so.
    place: String,
}

/// Why a network's word is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What does not hold.
    pub why: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.why, self.fix)
    }
}

impl Refused {
    fn new(why: impl fmt::Display, fix: impl fmt::Display) -> Self {
        Self { why: why.to_string(), fix: fix.to_string() }
    }
}

/// What a good certificate says.
pub struct Says {
    /// The record's name.
    pub statement: [u8; 32],
    /// What the state holds of it.
    pub record: Record,
    /// Who voted how.
    pub votes: Votes,
    /// Height and time of the state.
    pub at: (u64, u64),
    /// Epoch, and how many hand-overs led to it from the trusted checkpoint.
    pub epoch: (u64, u64),
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

    /// All of it, for programs.
    pub fn json(&self) -> Value {
        let record = &self.record;
        json!({
            "verdict": if self.is_accepted() { "accepted" } else { "not accepted" },
            "says": self.words(),
            "statement": text::hex(&self.statement),
            "program": text::hex(&record.program),
            "proof": text::hex(&record.proof),
            "submitter": text::hex(&record.submitter),
            "votes": self.votes.json(),
            "network": text::hex(&self.checkpoint.network),
            "height": self.at.0,
            "time": self.at.1,
            "epoch": self.epoch.0,
            "handovers": self.epoch.1,
            "signers": self.signers.0,
            "seats": self.signers.1,
        })
    }
}

impl Network {
    /// The network's name.
    #[cfg(feature = "network")]
    pub fn name(&self) -> [u8; 32] {
        self.trusted.network
    }

    /// What is trusted.
    #[cfg(feature = "network")]
    pub fn trusted(&self) -> &Checkpoint {
        &self.trusted
    }

    /// Whether the age of what is trusted is asked for.
    #[cfg(feature = "network")]
    pub fn asks_age(&self) -> bool {
        self.clock.is_some()
    }

    /// Whether more than half of the days are over for which a checkpoint may be trusted.
    #[cfg(feature = "network")]
    pub fn is_old(&self, point: &Checkpoint) -> bool {
        self.clock.is_some_and(|clock| clock.now.saturating_sub(point.time) > clock.trust / 2)
    }

    /// Refuses what is too old to be checked from, before anything is asked or paid for.
    #[cfg(feature = "network")]
    pub fn young(&self) -> Outcome<()> {
        let admitted = self.clock.map_or(Ok(()), |clock| clock.admits(&self.trusted));
        admitted.map_err(|why| {
            let Refused { why, fix } = self.refused(why);
            Failure::misuse(NETWORK_FILE, &self.place, why, fix)
        })
    }

    /// A client that begins at what is trusted, with the committee of that epoch, wherever it comes from.
    #[cfg(feature = "network")]
    pub fn begin(&self, committee: certify::Committee) -> Result<certify::Client, Refusal> {
        certify::Client::new(&self.trusted, committee, self.clock)
    }

    /// A refusal with what to do about it.
    pub fn refused(&self, why: Refusal) -> Refused {
        match why {
            Refusal::Stale => {
                let Clock { now, trust, .. } = self.clock.unwrap_or(Clock { now: 0, trust: 0, drift: 0 });
                let (days, most) = (now.saturating_sub(self.trusted.time) / DAY, trust / DAY);
                let why = format!(
                    "the trusted checkpoint ({}) is {days} days old, {most} are allowed: those who signed then may \
                     have taken their stake away, and what was made since with their keys cannot be told apart",
                    self.place
                );
                Refused::new(why, STALE)
            }
            Refusal::Earlier { .. } => Refused::new(
                why,
                "`zerotell fetch certificate FILE --node URL --checkpoint PIN -o NEW` does so; FILE is the certificate \
                 or the evidence",
            ),
            Refusal::Later { trusted, .. } => Refused::new(
                why,
                format!(
                    "`zerotell fetch certificate FILE --node URL --from {trusted} -o NEW`, or bring the pin up to the \
                     present: `zerotell fetch checkpoint PIN --node URL`"
                ),
            ),
            Refusal::Network => {
                Refused::new(why, "give the genesis, or a checkpoint, of the certificate's network")
            }
            Refusal::Future => Refused::new(why, "set this machine's clock"),
            _ => Refused::new(why, "do not rely on it; ask for the certificate again, or ask another node"),
        }
    }

    /// Checks a certificate file.
    pub fn check(&self, bytes: &[u8]) -> Result<Says, Refused> {
        let form = |why: String| Refused::new(why, "ask for the file again");
        if bytes.len() > certificate::FILE_MAX {
            return Err(form("it is too large".into()));
        }
        let file: Certificate = certify::decode(bytes).map_err(|why| form(why.to_string()))?;
        let record = certify::decode::<Record>(&file.entry.value);
        let voted = record.as_ref().map_or(0, |record| record.voted);
        // A committee from before the trusted checkpoint is not believed, so it names nobody.
        let mut voters = None;
        let show = |client: &certify::Client, until: u64| {
            if client.checkpoint().height < voted && voted <= until {
                voters = Some(client.committee().clone());
            }
        };
        let client = file.check_along(&self.trusted, self.clock, show).map_err(|why| self.refused(why))?;
        let statement = about(&file).map_err(form)?;
        let record = record.map_err(|why| form(why.to_string()))?;
        Ok(Says {
            statement,
            votes: Votes::new(&record, voters),
            record,
            at: (file.header.height, file.header.time),
            epoch: (file.header.epoch, file.header.epoch.saturating_sub(self.trusted.epoch)),
            signers: (file.finality.signers.count_ones(), file.finality.seats),
            checkpoint: client.checkpoint(),
        })
    }

    /// Checks the certificate in evidence.
    fn annex(&self, name: &str, bytes: &[u8], statement: &Statement) -> Result<Says, String> {
        if name != "certificate.bin" {
            return Err("this version of zerotell cannot check it".into());
        }
        let says = self.check(bytes).map_err(|why| why.to_string())?;
        if says.statement != statement.digest() {
            return Err("it is about another statement".into());
        }
        if says.record.program != statement.program {
            return Err("its record is about another program".into());
        }
        if !says.is_accepted() {
            return Err(format!("the network did not accept the record: {}", says.words()));
        }
        Ok(says)
    }
}

impl Annexes for Network {
    fn check(&self, name: &str, bytes: &[u8], statement: &Statement) -> Result<String, String> {
        self.annex(name, bytes, statement).map(|says| says.words())
    }
}

/// A network that keeps what the certificate in evidence says: its words in the report are the same for every reader, so
/// they cannot tell who voted, which depends on what the reader trusts.
pub struct Witness<'a> {
    network: &'a Network,
    says: RefCell<Option<Says>>,
}

impl<'a> Witness<'a> {
    /// Of this network.
    pub fn new(network: &'a Network) -> Self {
        Self { network, says: RefCell::default() }
    }

    /// What the last good certificate said.
    pub fn says(self) -> Option<Says> {
        self.says.into_inner()
    }
}

impl Annexes for Witness<'_> {
    fn check(&self, name: &str, bytes: &[u8], statement: &Statement) -> Result<String, String> {
        let says = self.network.annex(name, bytes, statement)?;
        let words = says.words();
        self.says.replace(Some(says));
        Ok(words)
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
            let fix = "give the evidence that was submitted, or the certificate of this one";
            says = Err(Refused::new("it is about another statement than that of the evidence", fix));
        }
    }
    let says = match says {
        Ok(says) => says,
        Err(refused) => {
            deny(&refused, took, form);
            return Ok(ExitCode::from(1));
        }
    };
    if let Some(path) = &asked.pin {
        write_whole(path, &certify::encode(&says.checkpoint), 0o644)?;
    }
    let receipt = asked.cose.as_ref().map(|path| write_receipt(path, &bytes)).transpose()?;
    if form.json() {
        let mut line = says.json();
        line["file_bytes"] = json!(bytes.len());
        line["receipt_bytes"] = json!(receipt);
        line["check_ms"] = json!(took);
        println!("{line}");
    } else {
        print(&says, asked.cose.as_deref().zip(receipt));
        let age = if trust.trust_days == 0 { "; the age of the checkpoint was NOT checked" } else { "" };
        let line = format!(
            "{}, {} hand-overs, checked offline in {}{age}. It does not show that the verdict is right: who doubts it \
             runs the verifier on the proof",
            text::size(bytes.len() as u64),
            says.epoch.1,
            text::time(took)
        );
        anstream::println!("{}", paint(DIM, text::wrap(&line, 90, "  ")));
    }
    Ok(ExitCode::from(u8::from(!says.is_accepted())))
}

/// Says that a certificate is refused.
fn deny(Refused { why, fix }: &Refused, took: f64, form: OutputArgs) {
    if form.json() {
        println!("{}", json!({"verdict": "rejected", "code": BAD_CERTIFICATE, "why": why, "fix": fix}));
        return;
    }
    anstream::println!("{}  {BAD_CERTIFICATE} {why} ({})", paint(BAD, "refused"), text::time(took));
    anstream::println!("  fix: {fix}");
}

/// What a good certificate says, for people.
fn print(says: &Says, receipt: Option<(&Path, usize)>) {
    let record = &says.record;
    let style = if says.is_accepted() { GOOD } else { BAD };
    anstream::println!("{}  the record is {}", paint(style, "certificate holds"), says.words());
    anstream::println!("  statement {}", text::hex(&says.statement));
    anstream::println!("  program   {}", text::hex(&record.program));
    anstream::println!("  proof     {} (BLAKE3 of the dossier)", text::hex(&record.proof));
    anstream::println!("  network   {}", text::hex(&says.checkpoint.network));
    anstream::println!("{}", text::wrap(&format!("verdicts: {}", says.votes.words()), 90, "  "));
    if let Some((path, length)) = receipt {
        anstream::println!("  receipt   {} ({})", path.display(), text::size(length as u64));
    }
}
