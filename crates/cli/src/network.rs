//! `node`, `net`, `submit`: a validator, a network of them on one machine, and handing evidence to one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use certify::wire::Bounded;
use clap::{Args, Subcommand};
use ledger::genesis::{Beginning, Founder};
use ledger::{Genesis, Parameters};
use node::client::{Client, Verdict, dossier_of};
use node::config::{Config, ConfigError, Peer, unhex};
use node::keys::Keys;
use node::localnet::{self, LocalNet, Member};
use node::peers::Place;
use record::Evidence;
use serde_json::json;

use crate::certificate::{Network, Refused, Says, TrustArgs};
use crate::evidence::certified;
use crate::failure::{EVIDENCE, Failure, NETWORK_FILE, NODE, Outcome, USAGE};
use crate::files::{FILE_BYTES, decode_proof, read_bounded, write_new, write_whole};
use crate::here;
use crate::output::OutputArgs;
use crate::pipeline::ms;
use crate::sender::{bad, key_failure, node_failure, spelled};
use crate::text::{self, BAD, DIM, GOOD, HEAD, paint};

/// Time in which a node must come up.
const UP: Duration = Duration::from_secs(60);

fn config_failure(why: ConfigError) -> Failure {
    Failure::misuse(NETWORK_FILE, why.place, why.why, why.fix)
}

// ---- node ----

/// Flags of `node`.
#[derive(Args, Clone, Debug)]
pub struct NodeArgs {
    #[command(subcommand)]
    verb: NodeVerb,
}

#[derive(Subcommand, Clone, Debug)]
enum NodeVerb {
    /// Make the keys of an account, and of a validator, in a new directory
    Key(KeyArgs),
    /// Write the genesis of a new network, which all its nodes and users need
    Genesis(GenesisArgs),
    /// Write a node's configuration
    Config(ConfigArgs),
    /// Run a node until it is told to stop
    Run(RunArgs),
}

#[derive(Args, Clone, Debug)]
struct KeyArgs {
    /// The directory, made for the keys alone
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Only an account, to submit with
    #[arg(long)]
    account_only: bool,
}

#[derive(Args, Clone, Debug)]
struct GenesisArgs {
    /// A first validator, as `node key` printed it, its bond, and where others reach it, if that is known:
    /// ACCOUNT,CONSENSUS,UNITS or ACCOUNT,CONSENSUS,UNITS,HOST:PORT (repeat for more)
    #[arg(long, value_name = "A,C,N[,HOST:PORT]", required = true)]
    founder: Vec<String>,
    /// An account with money: ACCOUNT,UNITS (repeat for more)
    #[arg(long, value_name = "A,N")]
    balance: Vec<String>,
    /// A parameter that is not the usual one: NAME=N (repeat for more; chapter 8 of the specification lists them). Without
    /// one, `dissent` is what suits the founders' bonds
    #[arg(long, value_name = "NAME=N")]
    set: Vec<String>,
    /// Where it goes
    #[arg(short, long, value_name = "FILE", default_value = "genesis.bin")]
    output: PathBuf,
}

#[derive(Args, Clone, Debug)]
struct ConfigArgs {
    /// The network's genesis file
    #[arg(long, value_name = "FILE", default_value = "genesis.bin")]
    genesis: PathBuf,
    /// Directory of the node's keys
    #[arg(long, value_name = "DIR", default_value = "keys")]
    keys: PathBuf,
    /// Address for other nodes, which must reach it; 0.0.0.0 is all of this machine's
    #[arg(long, value_name = "IP:PORT")]
    listen: std::net::SocketAddr,
    /// Address for HTTP
    #[arg(long, value_name = "IP:PORT")]
    http: Option<std::net::SocketAddr>,
    /// Another node: ACCOUNT@HOST:PORT (repeat for more); those that the ledger knows the address of need not be named
    #[arg(long, value_name = "A@HOST:PORT")]
    peer: Vec<String>,
    /// HTTP address of a node whose state this one begins with, instead of executing all blocks
    #[arg(long, value_name = "URL")]
    sync: Option<String>,
    /// A checkpoint that the history of that state must pass, from somebody trusted
    #[arg(long, value_name = "HEX", requires = "sync")]
    checkpoint: Option<String>,
    /// Where it goes
    #[arg(short, long, value_name = "FILE", default_value = "node.toml")]
    output: PathBuf,
}

#[derive(Args, Clone, Debug)]
struct RunArgs {
    /// The node's configuration
    #[arg(long, value_name = "FILE", default_value = "node.toml")]
    config: PathBuf,
    /// Write the log as JSON
    #[arg(long)]
    json_log: bool,
    /// What is logged, such as info or zerotell_node=debug
    #[arg(long, value_name = "FILTER", default_value = "info,commonware_p2p=warn,commonware_consensus=warn")]
    log: String,
    /// End when the process with this number is not the parent any more
    #[arg(long, hide = true)]
    with_parent: Option<u32>,
}

/// Runs the verb.
pub fn node_verb(args: &NodeArgs) -> Outcome<ExitCode> {
    match &args.verb {
        NodeVerb::Key(args) => key(args),
        NodeVerb::Genesis(args) => genesis(args),
        NodeVerb::Config(args) => config(args),
        NodeVerb::Run(args) => run(args),
    }
}

fn key(args: &KeyArgs) -> Outcome<ExitCode> {
    let keys = Keys::create(&args.directory, !args.account_only).map_err(key_failure)?;
    println!("account    {}", text::hex(&keys.account()));
    if let Some(public) = keys.consensus_public() {
        println!("consensus  {}", text::hex(&public));
        let pair = format!("{},{}", text::hex(&keys.account()), text::hex(&public));
        println!("founder    zerotell node genesis --founder {pair},2000000000000");
    }
    Ok(ExitCode::SUCCESS)
}

fn founder(text: &str) -> Outcome<Founder> {
    let read = || {
        let mut parts = text.splitn(4, ',');
        let [account, consensus, bond] = [parts.next()?, parts.next()?, parts.next()?];
        let address = parts.next().map_or(Some(String::new()), spelled)?;
        let consensus = unhex(consensus)?;
        certify::bls::Key::read(&consensus)?;
        Some(Founder {
            account: record::json::unhex(account)?,
            consensus: Bounded::new(consensus).ok()?,
            bond: bond.parse().ok()?,
            address: Bounded::new(address.into_bytes()).ok()?,
        })
    };
    let fix = "write ACCOUNT,CONSENSUS,UNITS as `node key` printed them, perhaps with ,HOST:PORT";
    read().ok_or_else(|| bad("--founder", text, fix))
}

fn genesis(args: &GenesisArgs) -> Outcome<ExitCode> {
    let founders: Outcome<Vec<Founder>> = args.founder.iter().map(|text| founder(text)).collect();
    let balance = |text: &String| {
        let read = || {
            let (account, units) = text.split_once(',')?;
            Some((record::json::unhex(account)?, units.parse().ok()?))
        };
        read().ok_or_else(|| bad("--balance", text, "write ACCOUNT,UNITS"))
    };
    let balances: Outcome<Vec<([u8; 32], u64)>> = args.balance.iter().map(balance).collect();
    let mut parameters = Parameters::default();
    for text in &args.set {
        crate::parameters::set(&mut parameters, text)?;
    }
    let many = |_| Failure::misuse(USAGE, "--founder", "there are too many", "name fewer");
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut genesis = Genesis {
        time: u64::try_from(time.as_millis()).unwrap_or(0),
        balances: Bounded::new(balances?).map_err(many)?,
        founders: Bounded::new(founders?).map_err(many)?,
        parameters,
    };
    let fix = "see `zerotell node genesis --help`";
    let beginning = genesis.begin().map_err(|why| Failure::misuse(NETWORK_FILE, "genesis", why, fix))?;
    let is_set = args.set.iter().any(|text| text.starts_with("dissent="));
    let said = if is_set { None } else { suit(&mut genesis.parameters, &beginning) };
    write_new(&args.output, &certify::encode(&genesis), 0o644)?;
    println!("network  {}", text::hex(&genesis.network()));
    println!("wrote    {}; give it to every node and user", args.output.display());
    said.iter().for_each(|line| println!("dissent  {line}"));
    Ok(ExitCode::SUCCESS)
}

/// Sets the dissent that suits the first seats; says so if it is not the usual one.
fn suit(parameters: &mut Parameters, beginning: &Beginning) -> Option<String> {
    let (usual, largest) = (parameters.dissent, beginning.largest_seat());
    parameters.dissent = beginning.fitting_dissent();
    if parameters.dissent == usual {
        return None;
    }
    let part = format!("{}.{:02} % of the stake", largest / 100, largest % 100);
    let why = if largest > parameters.dissent {
        format!(
            "the most there may be, and a seat with {part} is above it alone: it can have programs suspended by itself, \
             so found the network with more seats"
        )
    } else {
        format!("one seat has {part} and must not be above it alone")
    };
    Some(format!(
        "{} of 10,000 instead of {usual}: {why}; --set dissent=N chooses another",
        parameters.dissent
    ))
}

fn config(args: &ConfigArgs) -> Outcome<ExitCode> {
    let peer = |text: &String| {
        let read = || {
            let (account, address) = text.split_once('@')?;
            let account = record::json::unhex(account).map(|account| text::hex(&account))?;
            Place::read(address)?;
            Some(Peer { account, address: address.to_string() })
        };
        read().ok_or_else(|| bad("--peer", text, "write ACCOUNT@HOST:PORT"))
    };
    let config = Config {
        genesis: args.genesis.clone(),
        keys: args.keys.clone(),
        data: "data".into(),
        listen: args.listen,
        http: args.http,
        verifiers: 1,
        accuse: true,
        block_ms: 100,
        sync: args.sync.clone(),
        checkpoint: args.checkpoint.clone(),
        keep_proofs: None,
        idle_ms: 500,
        behaviour: String::new(),
        private: None,
        known_ips_only: false,
        peers_max: None,
        peers: args.peer.iter().map(peer).collect::<Outcome<_>>()?,
    };
    config.checkpoint().map_err(config_failure)?;
    write_new(&args.output, config.text().map_err(config_failure)?.as_bytes(), 0o644)?;
    println!("wrote  {}", args.output.display());
    Ok(ExitCode::SUCCESS)
}

fn run(args: &RunArgs) -> Outcome<ExitCode> {
    let config = Config::read(&args.config).map_err(config_failure)?;
    let filter = tracing_subscriber::EnvFilter::try_new(&args.log);
    let filter = filter.map_err(|why| Failure::misuse(USAGE, "--log", why, "write info, warn or debug"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second run in one process would find a log already; there is none.
    let _ = if args.json_log { log.json().try_init() } else { log.try_init() };
    if let Some(parent) = args.with_parent {
        std::thread::spawn(move || {
            while std::os::unix::process::parent_id() == parent {
                std::thread::sleep(Duration::from_millis(200));
            }
            std::process::exit(0);
        });
    }
    node::run::run(&config).map_err(config_failure)?;
    Ok(ExitCode::SUCCESS)
}

// ---- net ----

/// Flags of `net`.
#[derive(Args, Clone, Debug)]
pub struct NetArgs {
    #[command(subcommand)]
    verb: NetVerb,
}

#[derive(Subcommand, Clone, Debug)]
enum NetVerb {
    /// Make a network in a directory, or start the one that is there, and run it until Ctrl-C
    Up(UpArgs),
    /// Make the files of a network, and start nothing
    New(UpArgs),
    /// Measure a network on this machine under load, with real proofs
    Load(crate::demo::load::LoadArgs),
}

#[derive(Args, Clone, Debug)]
struct UpArgs {
    /// Number of validators
    #[arg(long, default_value_t = 4)]
    validators: usize,
    /// Where its files are
    #[arg(long, value_name = "DIR", default_value = here::DIRECTORY)]
    directory: PathBuf,
    /// First port; each validator takes two
    #[arg(long, default_value_t = 7100)]
    port: u16,
    /// This validator accepts everything without looking (a new network only)
    #[arg(long, value_name = "NUMBER", help_heading = "Faults")]
    lazy: Option<usize>,
    /// This validator says the opposite of what it finds (a new network only)
    #[arg(long, value_name = "NUMBER", help_heading = "Faults")]
    liar: Option<usize>,
}

/// Validators that run as processes; they end with this value.
pub struct Processes(pub Vec<Child>);

impl Drop for Processes {
    fn drop(&mut self) {
        // They are told by the end of this process too.
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Processes {
    /// Starts a process per node; logs go to files beside the configurations.
    pub fn start(net: &LocalNet) -> Outcome<Self> {
        let program =
            std::env::current_exe().map_err(|e| Failure::file(Path::new("zerotell"), "find", &e))?;
        let mut processes = Self(Vec::new());
        for path in &net.nodes {
            let log = path.with_file_name("log.txt");
            let file = std::fs::OpenOptions::new().create(true).append(true).open(&log);
            let file = file.map_err(|e| Failure::file(&log, "write", &e))?;
            let child = Command::new(&program)
                .args(["node", "run", "--with-parent", &std::process::id().to_string(), "--config"])
                .arg(path)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(file)
                .spawn();
            processes.0.push(child.map_err(|e| Failure::file(&program, "start", &e))?);
        }
        for (address, path) in net.http.iter().zip(&net.nodes) {
            let client = Client::new(&format!("http://{address}"));
            client.wait_until_up(UP).map_err(|why| {
                let log = path.with_file_name("log.txt");
                let fix = format!("see {}; is the port free?", log.display());
                Failure::world(NODE, why.place, why.why, fix)
            })?;
        }
        Ok(processes)
    }

    /// Waits until all have ended; tells of each.
    fn wait(&mut self, mut ended: impl FnMut(usize)) {
        let mut running: Vec<usize> = (0..self.0.len()).collect();
        while !running.is_empty() {
            running.retain(|&number| {
                let runs = self.0.get_mut(number).is_some_and(|child| matches!(child.try_wait(), Ok(None)));
                if !runs {
                    ended(number);
                }
                runs
            });
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// The last line of a validator's log.
fn last_words(net: &LocalNet, number: usize) -> String {
    let log = net.nodes.get(number).map(|path| path.with_file_name("log.txt")).unwrap_or_default();
    let file = std::fs::File::open(log).ok();
    file.and_then(|file| BufReader::new(file).lines().map_while(Result::ok).last()).unwrap_or_default()
}

fn create(args: &UpArgs) -> Result<LocalNet, ConfigError> {
    let member = |i| {
        let is = |which: Option<usize>| which == Some(i);
        let behaviour = if is(args.lazy) {
            "lazy"
        } else if is(args.liar) {
            "liar"
        } else {
            ""
        };
        // Those who misbehave have less at stake, so that two thirds are left to the others.
        let bond = if behaviour.is_empty() { localnet::BOND } else { localnet::BOND / 2 };
        Member { bond, behaviour }
    };
    localnet::create(&args.directory, args.validators, args.port, localnet::parameters(), member)
}

/// Runs the verb.
pub fn net(args: &NetArgs) -> Outcome<ExitCode> {
    let (args, only_files) = match &args.verb {
        NetVerb::Up(args) => (args, false),
        NetVerb::New(args) => (args, true),
        NetVerb::Load(args) => return crate::demo::load::run(args),
    };
    let is_new = only_files || !args.directory.join("genesis.bin").exists();
    let net = if is_new { create(args) } else { localnet::open(&args.directory) };
    let net = net.map_err(config_failure)?;
    if only_files {
        anstream::println!(
            "{}  {} validators in {}",
            paint(GOOD, "made"),
            net.nodes.len(),
            args.directory.display()
        );
        return Ok(ExitCode::SUCCESS);
    }
    let mut processes = Processes::start(&net)?;
    anstream::println!("{}  {} validators", paint(GOOD, "up"), net.nodes.len());
    for (number, address) in net.http.iter().enumerate() {
        anstream::println!("  validator {number}  http://{address}");
    }
    let first = net.http.first().map(ToString::to_string).unwrap_or_default();
    anstream::println!("  genesis      {}", net.genesis.display());
    anstream::println!("  owner's keys {}", net.owner.display());
    let words = format!(
        "submit  zerotell submit evidence.zte --node http://{first} --key {} --genesis {} --wait",
        net.owner.display(),
        net.genesis.display()
    );
    anstream::println!("{words}\n{}", paint(DIM, "Ctrl-C stops it; the same command starts it again"));
    std::io::stdout().flush().ok();
    processes.wait(|number| {
        anstream::println!("{}  validator {number} ended: {}", paint(BAD, "down"), last_words(&net, number));
    });
    let fix = "their logs say why; start the network again";
    Err(Failure::world(NODE, args.directory.display(), "all validators have ended", fix))
}

// ---- submit ----

/// Flags of `submit`.
#[derive(Args, Clone, Debug)]
pub struct SubmitArgs {
    /// The evidence file (`zerotell evidence` makes one)
    #[arg(value_name = "EVIDENCE.zte")]
    pub evidence: PathBuf,
    /// HTTP address of a node
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7101")]
    pub node: String,
    /// Keys of the account that pays: its directory (`zerotell node key DIR` makes one) [default: zerotell-net/owner, if
    /// `net up` made the node's network there]
    #[arg(long, value_name = "DIR")]
    pub key: Option<PathBuf>,
    /// Wait for the verdict, and take the certificate
    #[arg(long)]
    pub wait: bool,
    /// Where the certificate goes (.ztc), or the evidence with the certificate in it (.zte)
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Seconds to wait
    #[arg(long, default_value_t = 120)]
    pub timeout: u64,
    #[command(flatten)]
    pub trust: TrustArgs,
    #[command(flatten)]
    pub form: OutputArgs,
}

/// Evidence that can be submitted.
pub struct Ready {
    bytes: Vec<u8>,
    /// The dossier.
    pub dossier: Vec<u8>,
    /// What it says.
    pub found: dossier::Found,
    /// The program's bytes.
    pub program: Vec<u8>,
    /// What verifying it costs at most.
    pub work: u64,
}

/// Reads evidence and judges it as a validator will.
pub fn ready(path: &Path) -> Outcome<Ready> {
    let bytes = read_bounded(path, FILE_BYTES)?.to_vec();
    let refuse = |why: &dyn std::fmt::Display| {
        let fix = "`zerotell verify` says what is wrong with it; what is refused costs its fee all the same";
        Failure::misuse(EVIDENCE, path.display(), why, fix)
    };
    let evidence = Evidence::decode(&bytes).map_err(|why| refuse(&why))?;
    let dossier = dossier_of(&evidence).encode();
    let judged = dossier::judge(&dossier, None);
    let Some(found) = judged.found else { return Err(refuse(&judged.what)) };
    let file = decode_proof(&evidence.proof).map_err(|why| refuse(&why))?;
    let program = program::wire::encode_with_contents(&file.program);
    Ok(Ready { bytes, dossier, found, program, work: dossier::work(&file.program) })
}

/// The version of the verifier that rules in a node's network, which must be the one that judged here before anything is paid.
fn verifier_of(client: &Client) -> Outcome<u16> {
    let rules = client.parameters().map_err(node_failure)?;
    same_verifier(&rules)
}

/// The version that rules, if it is this program's.
pub fn same_verifier(rules: &Parameters) -> Outcome<u16> {
    let (theirs, ours) = (rules.verifier, dossier::VERIFIER);
    if theirs == ours {
        return Ok(ours);
    }
    let why = format!("its validators judge by version {theirs} of the verifier, this program by {ours}");
    Err(Failure::misuse(NODE, "verifier", why, "use a release with that version of the verifier"))
}

impl Ready {
    /// Registers the model if it is not, and submits the record.
    pub fn send(&self, client: &Client, keys: &Keys, patience: Duration) -> Outcome<[u8; 32]> {
        let key = keys.signing();
        client.register(&key, &self.found, (&self.program, self.work), patience).map_err(node_failure)?;
        let seal = *crate::random::bytes()?;
        let (names, verifier) = (&self.found.names, verifier_of(client)?);
        let sent = client.submit(&key, &self.dossier, names, self.work, seal, verifier);
        sent.map_err(node_failure)?;
        Ok(names.statement)
    }
}

/// Runs the verb.
pub fn submit(args: &SubmitArgs) -> Outcome<ExitCode> {
    let ready = ready(&args.evidence)?;
    let client = Client::new(&args.node);
    let (keys, network) = here::settle(args.key.as_deref(), &args.trust, &client, args.wait)?;
    if let Some(network) = network.as_ref().filter(|_| args.wait) {
        network.young()?;
    }
    let patience = Duration::from_secs(args.timeout);
    let started = Instant::now();
    let statement = ready.send(&client, &keys, patience)?;
    let name = text::hex(&statement);
    if !args.wait {
        if args.form.json() {
            println!("{}", json!({"statement": name}));
        } else {
            anstream::println!("{}  record {name}", paint(GOOD, "submitted"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let verdict = client.verdict(&statement, patience).map_err(node_failure)?;
    let took = ms(started);
    let accepted = verdict.status == "accepted";
    let certificate = match verdict.status.as_str() {
        "undecided" => None,
        _ => Some(client.certificate(&statement, from(network.as_ref())).map_err(node_failure)?),
    };
    let checked = checked(network.as_ref(), certificate.as_deref(), &statement)?.is_some();
    let written = match (&args.output, certificate.as_deref()) {
        (Some(path), Some(bytes)) => {
            write(path, Some(&ready.bytes), bytes, network.as_ref().map(|network| (network, accepted)))?;
            Some(path.display().to_string())
        }
        _ => None,
    };
    if args.form.json() {
        let line = json!({
            "statement": name,
            "verdict": verdict.status,
            "code": verdict.code,
            "what": verdict.what,
            "certificate_bytes": certificate.as_ref().map(Vec::len),
            "checked": checked,
            "output": written,
            "took_ms": took,
        });
        println!("{line}");
        return Ok(ExitCode::from(u8::from(!accepted)));
    }
    print(&verdict, took, checked, written.as_deref());
    Ok(ExitCode::from(u8::from(!accepted)))
}

/// The epoch that a certificate must rest on for whoever trusts this; a genesis, or nothing, is of the first.
pub fn from(network: Option<&Network>) -> u64 {
    network.map_or(0, |network| network.trusted().epoch)
}

/// What a certificate says, if a network is trusted; one that does not hold, or is about another record, is a failure.
pub fn checked(
    network: Option<&Network>,
    certificate: Option<&[u8]>,
    statement: &[u8; 32],
) -> Outcome<Option<Says>> {
    let (Some(network), Some(bytes)) = (network, certificate) else { return Ok(None) };
    let says = network.check(bytes).map_err(|Refused { why, fix }| {
        let fix = format!("the node does not belong to the network that is trusted, or lies; {fix}");
        Failure::misuse(NODE, "certificate", why, fix)
    })?;
    if says.statement != *statement {
        let fix = "the node lies; ask another";
        return Err(Failure::misuse(NODE, "certificate", "it is about another record", fix));
    }
    Ok(Some(says))
}

/// Writes a certificate, or the evidence with the certificate in it: then the network that checks it, and whether the
/// record is accepted, must be known.
pub fn write(
    path: &Path,
    evidence: Option<&[u8]>,
    certificate: &[u8],
    network: Option<(&Network, bool)>,
) -> Outcome<()> {
    if path.extension().is_none_or(|ending| ending != "zte") {
        return write_whole(path, certificate, 0o644);
    }
    let refuse = |why, fix| Failure::misuse(USAGE, "--output", why, fix);
    let Some(evidence) = evidence else {
        return Err(refuse("there is no evidence to put the certificate into", "write it to a .ztc file"));
    };
    let Some((network, is_accepted)) = network else {
        let why = "the certificate must be checked before it goes into evidence";
        return Err(refuse(why, "add --genesis FILE or --checkpoint FILE"));
    };
    if !is_accepted {
        return Err(refuse("evidence holds no certificate of a refusal", "write it to a .ztc file"));
    }
    let whole = certified(path, evidence, certificate.to_vec(), network)?;
    write_whole(path, &whole, 0o644)
}

fn print(verdict: &Verdict, took: f64, checked: bool, written: Option<&str>) {
    let style = if verdict.status == "accepted" { GOOD } else { BAD };
    anstream::println!(
        "{}  record {}, {}",
        paint(style, &verdict.status),
        text::hex(&verdict.statement),
        text::time(took)
    );
    if verdict.code != 0 {
        anstream::println!("  {}", verdict.what);
    }
    let word = if checked {
        "the certificate was checked against the genesis or checkpoint"
    } else {
        "the certificate was NOT checked (--genesis or --checkpoint checks it)"
    };
    anstream::println!("  {}", paint(DIM, word));
    if let Some(path) = written {
        anstream::println!("  {} {path}", paint(HEAD, "wrote"));
    }
}
