//! Files of a network on one machine: a genesis, a directory per validator, and an account with money.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use certify::hash::Digest;
use certify::wire::{Bounded, encode};
use ledger::genesis::Founder;
use ledger::{Genesis, Parameters};

use crate::config::{Config, ConfigError, Peer};
use crate::keys::Keys;

/// Units usually bonded by each validator.
pub const BOND: u64 = 2_000_000_000_000;
/// Units that each validator has to spend, for accusations.
const PURSE: u64 = 1_000_000_000_000;
/// Units of the account that submits.
const OWNER: u64 = 1_000_000_000_000_000;
/// Most validators on one machine.
pub const VALIDATORS_MAX: usize = 32;

/// What a validator of such a network is.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Units it bonds.
    pub bond: u64,
    /// How it misbehaves, for tests; empty: it does not.
    pub behaviour: &'static str,
}

impl Default for Member {
    fn default() -> Self {
        Self { bond: BOND, behaviour: "" }
    }
}

/// A network on one machine.
#[derive(Clone, Debug)]
pub struct LocalNet {
    /// Its genesis file.
    pub genesis: PathBuf,
    /// Keys of the account with money.
    pub owner: PathBuf,
    /// Each node's configuration.
    pub nodes: Vec<PathBuf>,
    /// Each node's HTTP address.
    pub http: Vec<SocketAddr>,
}

/// Parameters of a network on one machine: short windows, short epochs, the rest as usual.
#[must_use]
pub fn parameters() -> Parameters {
    Parameters {
        epoch_blocks: 2400,
        commit_blocks: 8,
        reveal_blocks: 6,
        trace_blocks: 1200,
        // Nobody has to fetch these bytes over a wide network, so blocks hold more than usual and are fewer under load, which leaves
        // more of the one machine's cores for proofs. How much of it can be judged in time, each proposer looks at itself.
        block_bytes: 24_000_000,
        block_work: 300_000,
        ..Parameters::default()
    }
}

fn fails(place: &Path, why: impl ToString, fix: &'static str) -> ConfigError {
    ConfigError { place: place.display().to_string(), why: why.to_string(), fix }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ConfigError> {
    fs::write(path, bytes).map_err(|why| fails(path, why, "choose a directory that can be written"))
}

/// Makes the files of a network in an empty directory. Validator i listens at `port` + 2i, its HTTP interface at the next
/// port. `dissent` is at least what suits the bonds.
///
/// # Errors
/// A directory that is in use, ports that do not exist.
// Long because it is a list of files and what is in each.
pub fn create(
    directory: &Path,
    validators: usize,
    port: u16,
    parameters: Parameters,
    member: impl Fn(usize) -> Member,
) -> Result<LocalNet, ConfigError> {
    let last = u16::try_from(2 * validators).ok().and_then(|more| port.checked_add(more));
    if !(1..=VALIDATORS_MAX).contains(&validators) || last.is_none() {
        let why = format!("{validators} validators from port {port}");
        return Err(fails(directory, why, "ask for 1 to 32 validators and a lower port"));
    }
    let genesis_path = directory.join("genesis.bin");
    if genesis_path.exists() {
        return Err(fails(&genesis_path, "there is a network already", "choose an empty directory"));
    }
    fs::create_dir_all(directory)
        .map_err(|why| fails(directory, why, "choose a directory that can be written"))?;
    let keyed = |why: crate::keys::KeyError| fails(&why.place, why.why, why.fix);
    let name = |i: usize| directory.join(format!("validator-{i}"));
    let keys: Result<Vec<Keys>, _> =
        (0..validators).map(|i| Keys::create(&name(i).join("keys"), true).map_err(keyed)).collect();
    let keys = keys?;
    let owner = directory.join("owner");
    let rich = Keys::create(&owner, false).map_err(keyed)?;
    let address = |i: usize, more: u16| {
        let offset = u16::try_from(2 * i).unwrap_or(0).saturating_add(more);
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.saturating_add(offset))
    };
    let founder = |(i, keys): (usize, &Keys)| Founder {
        account: keys.account(),
        consensus: Bounded::new(keys.consensus_public().unwrap_or_default()).unwrap_or_default(),
        bond: member(i).bond,
        address: Bounded::new(address(i, 0).to_string().into_bytes()).unwrap_or_default(),
    };
    let mut balances: Vec<(Digest, u64)> = keys.iter().map(|keys| (keys.account(), PURSE)).collect();
    balances.push((rich.account(), OWNER));
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let large = |_| fails(directory, "too many validators", "ask for fewer");
    let mut genesis = Genesis {
        time: u64::try_from(time.as_millis()).unwrap_or(0),
        balances: Bounded::new(balances).map_err(large)?,
        founders: Bounded::new(keys.iter().enumerate().map(founder).collect()).map_err(large)?,
        parameters,
    };
    let beginning = genesis.begin().map_err(|why| fails(directory, why, "report it"))?;
    genesis.parameters.dissent = genesis.parameters.dissent.max(beginning.fitting_dissent());
    let peer = |(i, keys): (usize, &Keys)| Peer {
        account: record::json::hex(&keys.account()),
        address: address(i, 0).to_string(),
    };
    let peers: Vec<Peer> = keys.iter().enumerate().map(peer).collect();
    let mut net = LocalNet { genesis: genesis_path.clone(), owner, nodes: Vec::new(), http: Vec::new() };
    for (i, own) in peers.iter().enumerate() {
        let config = Config {
            genesis: "../genesis.bin".into(),
            keys: "keys".into(),
            data: "data".into(),
            listen: address(i, 0),
            http: Some(address(i, 1)),
            verifiers: 1,
            accuse: member(i).behaviour.is_empty(),
            block_ms: 100,
            idle_ms: 500,
            sync: None,
            checkpoint: None,
            keep_proofs: None,
            behaviour: member(i).behaviour.into(),
            private: None,
            known_ips_only: false,
            peers_max: None,
            peers: peers.iter().filter(|peer| peer.account != own.account).cloned().collect(),
        };
        let path = name(i).join("node.toml");
        write(&path, config.text()?.as_bytes())?;
        net.nodes.push(path);
        net.http.push(address(i, 1));
    }
    // Last: a directory with a genesis is a network that is complete.
    write(&genesis_path, &encode(&genesis))?;
    Ok(net)
}

/// Reads the network that [`create`] made in a directory.
///
/// # Errors
/// A directory without one.
pub fn open(directory: &Path) -> Result<LocalNet, ConfigError> {
    let genesis = directory.join("genesis.bin");
    if !genesis.exists() {
        return Err(fails(&genesis, "there is no network", "make one with `zerotell net up`"));
    }
    let mut net = LocalNet { genesis, owner: directory.join("owner"), nodes: Vec::new(), http: Vec::new() };
    for i in 0..VALIDATORS_MAX {
        let path = directory.join(format!("validator-{i}")).join("node.toml");
        if !path.exists() {
            break;
        }
        net.http.extend(Config::read(&path)?.http);
        net.nodes.push(path);
    }
    Ok(net)
}
