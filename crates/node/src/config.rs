//! The file that says what a node is: its network, keys, addresses, peers.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use certify::Checkpoint;
use certify::hash::Digest;
use certify::wire::decode;
use ledger::Genesis;
use serde::{Deserialize, Serialize};

use crate::app::Pace;
use crate::peers::Place;
use crate::seat::Behaviour;

/// Bytes of a genesis file, at most.
const GENESIS_MAX: u64 = 16 << 20;
/// Bytes of a configuration, at most.
const CONFIG_MAX: u64 = 1 << 20;
/// Peers that a node may have room for, at most.
const PEERS_MOST: usize = 2048;
/// Least blocks for which proofs are kept: a case needs them.
const KEEP_LEAST: u64 = 1000;

/// Why a node cannot be started: where, why, and what to do.
#[derive(Debug)]
pub struct ConfigError {
    /// Where.
    pub place: String,
    /// Why.
    pub why: String,
    /// What to do.
    pub fix: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.why, self.fix)
    }
}

impl std::error::Error for ConfigError {}

/// The file's contents. Paths are relative to the file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The network's genesis file.
    pub genesis: PathBuf,
    /// Directory of the keys.
    pub keys: PathBuf,
    /// Directory of the chain.
    pub data: PathBuf,
    /// Address for other nodes.
    pub listen: SocketAddr,
    /// Address for HTTP; without it there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
    /// Threads that run the verifier.
    #[serde(default = "one")]
    pub verifiers: usize,
    /// Whether this seat accuses those who showed something false, at its own cost and for the reward.
    #[serde(default = "yes")]
    pub accuse: bool,
    /// Least milliseconds between blocks.
    #[serde(default = "least_ms")]
    pub block_ms: u64,
    /// Milliseconds between blocks when there is nothing to do.
    #[serde(default = "idle_ms")]
    pub idle_ms: u64,
    /// HTTP address of a node, such as `http://192.0.2.7:7101`, whose state an empty node begins with; without it, it
    /// executes all blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// A checkpoint (hexadecimal, as `/v1/checkpoint` gives it) that this state's history must pass. Whoever joins long
    /// after genesis takes one from somebody trusted: old committees may have sold their keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// Blocks for which a proof is kept and served; without it, for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_proofs: Option<u64>,
    /// How it is made to misbehave, for tests: honest, lazy, liar, silent or copier.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub behaviour: String,
    /// Whether peers with private addresses, such as 10.0.0.1, are dialled and let in; without it, if `listen`, an entry of
    /// `peers` or this node's own address in the ledger is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
    /// Whether peers are let in only from the IP address that they are known by. Names stand for none, so peers with names
    /// are then dialled and not let in.
    #[serde(default, skip_serializing_if = "is_not")]
    pub known_ips_only: bool,
    /// Peers that there is room for, about a megabyte of memory each; without it, twice as many as there are at the start,
    /// and some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers_max: Option<usize>,
    /// Other nodes to begin with, and those that are elsewhere than the ledger says.
    #[serde(default)]
    pub peers: Vec<Peer>,
}

/// Another node.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its account, hexadecimal.
    pub account: String,
    /// Where it is reached: `IP:PORT` or `NAME:PORT`.
    pub address: String,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

fn is_not(flag: &bool) -> bool {
    !*flag
}

fn least_ms() -> u64 {
    100
}

fn idle_ms() -> u64 {
    500
}

/// Bytes of hexadecimal digits.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: &u8| char::from(*c).to_digit(16);
    let pair = |two: &[u8]| Some((digit(two.first()?)? * 16 + digit(two.get(1)?)?) as u8);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks(2).map(pair).collect()
}

fn fails(place: impl fmt::Display, why: impl fmt::Display, fix: &'static str) -> ConfigError {
    ConfigError { place: place.to_string(), why: why.to_string(), fix }
}

fn read_bounded(path: &Path, most: u64, fix: &'static str) -> Result<Vec<u8>, ConfigError> {
    let length = fs::metadata(path).map_err(|why| fails(path.display(), why, fix))?.len();
    if length > most {
        return Err(fails(path.display(), format!("it has more than {most} bytes"), fix));
    }
    fs::read(path).map_err(|why| fails(path.display(), why, fix))
}

/// Reads a genesis file.
///
/// # Errors
/// A file that is no genesis.
pub fn read_genesis(path: &Path) -> Result<Genesis, ConfigError> {
    let fix = "get the network's genesis file from somebody you trust";
    let bytes = read_bounded(path, GENESIS_MAX, fix)?;
    let genesis: Genesis = decode(&bytes).map_err(|why| fails(path.display(), why, fix))?;
    genesis.begin().map_err(|why| fails(path.display(), why, fix))?;
    Ok(genesis)
}

impl Config {
    /// Reads a configuration; its paths are made absolute.
    ///
    /// # Errors
    /// A file that cannot be read, or says what it may not.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let fix = "compare it with the manual's example of node.toml";
        let bytes = read_bounded(path, CONFIG_MAX, fix)?;
        let text = String::from_utf8(bytes).map_err(|why| fails(path.display(), why, fix))?;
        let mut config: Self = toml::from_str(&text).map_err(|why| fails(path.display(), why, fix))?;
        let base = path.parent().unwrap_or(Path::new("."));
        for own in [&mut config.genesis, &mut config.keys, &mut config.data] {
            *own = base.join(&own);
        }
        config.check(path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let place = path.display();
        self.behaviour()?;
        let named = self.peers()?.len();
        if self.peers_max.is_some_and(|most| most > PEERS_MOST || most < named) {
            let why = format!("peers_max is above {PEERS_MOST}, or below the number of peers");
            return Err(fails(place, why, "leave it out, or set it between them"));
        }
        if !(1..=64).contains(&self.verifiers) {
            return Err(fails(place, "verifiers is not between 1 and 64", "set it to the cores to spare"));
        }
        if self.keep_proofs.is_some_and(|blocks| blocks < KEEP_LEAST) {
            let fix = "keep proofs for longer than a verdict can be doubted, or leave it out";
            return Err(fails(place, format!("keep_proofs is below {KEEP_LEAST} blocks"), fix));
        }
        if self.block_ms == 0 || self.idle_ms < self.block_ms || self.idle_ms > 1000 {
            let fix = "keep 1 <= block_ms <= idle_ms <= 1000";
            return Err(fails(place, "block_ms and idle_ms do not fit", fix));
        }
        Ok(())
    }

    /// The peers.
    ///
    /// # Errors
    /// An account or an address that is none.
    pub fn peers(&self) -> Result<Vec<(Digest, Place)>, ConfigError> {
        let peer = |peer: &Peer| {
            let fix = "write the 64 hexadecimal digits that `zerotell node key` printed";
            let account = record::json::unhex(&peer.account);
            let account = account.filter(|account| crate::scheme::peer_key(account).is_some());
            let why = format!("`{}` is no account", peer.account.escape_debug());
            let account = account.ok_or_else(|| fails("peers", why, fix))?;
            let place = Place::read(&peer.address).ok_or_else(|| {
                let why = format!("`{}` is no address", peer.address.escape_debug());
                fails("peers", why, "write IP:PORT or NAME:PORT")
            })?;
            Ok((account, place))
        };
        self.peers.iter().map(peer).collect()
    }

    /// How it behaves.
    ///
    /// # Errors
    /// An unknown word.
    pub fn behaviour(&self) -> Result<Behaviour, ConfigError> {
        match self.behaviour.as_str() {
            "" | "honest" => Ok(Behaviour::None),
            "lazy" => Ok(Behaviour::Lazy),
            "liar" => Ok(Behaviour::Liar),
            "silent" => Ok(Behaviour::Silent),
            "copier" => Ok(Behaviour::Copier),
            other => {
                let why = format!("`{}` is not known", other.escape_debug());
                Err(fails("behaviour", why, "leave it out, or write honest, lazy, liar, silent or copier"))
            }
        }
    }

    /// The checkpoint that a snapshot's history must pass.
    ///
    /// # Errors
    /// Text that is none.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, ConfigError> {
        let Some(text) = &self.checkpoint else { return Ok(None) };
        let found = unhex(text).and_then(|bytes| certify::decode(&bytes).ok());
        let fix = "copy `checkpoint` of a node's /v1/checkpoint?latest=true";
        found.map(Some).ok_or_else(|| fails("checkpoint", "it is no checkpoint", fix))
    }

    /// When it makes blocks.
    #[must_use]
    pub fn pace(&self) -> Pace {
        let ms = Duration::from_millis;
        Pace { least: ms(self.block_ms), idle: ms(self.idle_ms), ..Pace::default() }
    }

    /// The file's text.
    ///
    /// # Errors
    /// None is expected.
    pub fn text(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|why| fails("node.toml", why, "report it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "genesis = \"g\"\nkeys = \"k\"\ndata = \"d\"\nlisten = \"127.0.0.1:1\"\n";

    fn read(text: &str) -> Result<Config, ConfigError> {
        let path =
            std::env::temp_dir().join(format!("zerotell-config-{}-{}", std::process::id(), text.len()));
        std::fs::write(&path, text).unwrap();
        let found = Config::read(&path);
        std::fs::remove_file(path).unwrap();
        found
    }

    #[test]
    fn what_is_wrong_is_named() {
        let config = read(GOOD).unwrap();
        assert!(config.keys.is_absolute() && config.accuse && config.verifiers == 1);
        let refused = |more: &str, word: &str| {
            let why = read(&format!("{GOOD}{more}")).unwrap_err().to_string();
            assert!(why.contains(word), "{why}");
        };
        refused("verifiers = 0\n", "verifiers");
        refused("keep_proofs = 5\n", "keep_proofs");
        refused("block_ms = 600\n", "block_ms");
        refused("idle_ms = 6000\n", "idle_ms");
        refused("behaviour = \"kind\"\n", "kind");
        let copier = read(&format!("{GOOD}behaviour = \"copier\"\n")).unwrap();
        assert_eq!(copier.behaviour().unwrap(), Behaviour::Copier);
        refused("colour = 3\n", "colour");
        refused("peers_max = 4000\n", "peers_max");
        let peer = |account: &str, address: &str| {
            format!("[[peers]]\naccount = \"{account}\"\naddress = \"{address}\"\n")
        };
        refused(&peer("12", "127.0.0.1:2"), "no account");
        let account = record::json::hex(&crate::keys::Keys::generate(false).unwrap().account());
        refused(&peer(&account, "127.0.0.1"), "no address");
        refused(&peer(&account, "127.0.0.1:0"), "no address");
        refused(&format!("peers_max = 0\n{}", peer(&account, "127.0.0.1:2")), "peers_max");
        for good in ["127.0.0.1:2", "[2001:DB8::7]:2", "Validator-2.example.org:2"] {
            let read = read(&format!("{GOOD}{}", peer(&account, good))).unwrap();
            assert_eq!(read.peers().unwrap().len(), 1, "{good}");
            let again: Config = toml::from_str(&read.text().unwrap()).unwrap();
            assert_eq!(again.peers().unwrap(), read.peers().unwrap());
        }
        assert!(read("genesis = ").is_err());
    }
}
