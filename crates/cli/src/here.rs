//! The network that `net up` makes in this directory: who pays and what is trusted, where a command names neither.

use std::path::{Path, PathBuf};

use node::client::Client;
use node::keys::Keys;

use crate::certificate::{Network, TrustArgs};
use crate::failure::{Failure, Outcome, USAGE};
use crate::sender::{key_failure, node_failure};

/// Where `net up` makes a network unless it is told another place.
pub const DIRECTORY: &str = "zerotell-net";

/// Files of a network: the keys of the account with money, and the genesis.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    owner: PathBuf,
    genesis: PathBuf,
}

impl Files {
    fn find(directory: &Path) -> Option<Self> {
        let files = Self { owner: directory.join("owner"), genesis: directory.join("genesis.bin") };
        (files.owner.is_dir() && files.genesis.is_file()).then_some(files)
    }
}

/// The network here, if the node belongs to it: a signature, and a check, would be for another otherwise.
fn here(client: &Client, trust: &TrustArgs) -> Outcome<(Files, Network)> {
    let refused = |why: String| {
        let fix =
            "add --key DIR (`zerotell node key DIR` makes one), or make a network with `zerotell net up`";
        Failure::misuse(USAGE, "--key", format!("nothing says which account pays; {why}"), fix)
    };
    let files = Files::find(Path::new(DIRECTORY));
    let files = files.ok_or_else(|| refused(format!("there is no network in {DIRECTORY}")))?;
    let network = TrustArgs { genesis: Some(files.genesis.clone()), checkpoint: None, ..*trust }.network()?;
    if client.network().map_err(node_failure)? != network.name() {
        return Err(refused(format!("the network in {DIRECTORY} is not the node's")));
    }
    Ok((files, network))
}

/// The account that pays, and the network that is trusted, if any is: what was given, else what is here. `checks`: whether
/// the network is wanted although the account was given.
pub fn settle(
    key: Option<&Path>,
    trust: &TrustArgs,
    client: &Client,
    checks: bool,
) -> Outcome<(Keys, Option<Network>)> {
    let read = |path: &Path| Keys::read(path).map_err(key_failure);
    let keys = key.map(read).transpose()?;
    let trusted = trust.is_given().then(|| trust.network()).transpose()?;
    let Some(keys) = keys else {
        let (files, network) = here(client, trust)?;
        let keys = read(&files.owner)?;
        if trusted.is_some() {
            eprintln!("using --key {}", files.owner.display());
            return Ok((keys, trusted));
        }
        eprintln!("using --key {} --genesis {}", files.owner.display(), files.genesis.display());
        return Ok((keys, Some(network)));
    };
    // Nobody named the network: if it is another one, or none, nothing is checked, as without it.
    if checks
        && trusted.is_none()
        && let Ok((files, network)) = here(client, trust)
    {
        eprintln!("using --genesis {}", files.genesis.display());
        return Ok((keys, Some(network)));
    }
    Ok((keys, trusted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_here_when_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!(Files::find(path), None);
        std::fs::create_dir(path.join("owner")).unwrap();
        assert_eq!(Files::find(path), None, "its genesis is written last");
        std::fs::write(path.join("genesis.bin"), b"x").unwrap();
        let found = Files::find(path).unwrap();
        assert_eq!((found.owner, found.genesis), (path.join("owner"), path.join("genesis.bin")));
    }
}
