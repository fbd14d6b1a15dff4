//! The engine's signatures: BLS multisignatures of a ledger committee (`[Z1]`, `[Z2]`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use certify::hash::Digest;
use certify::{Committee, finality};
use commonware_codec::DecodeExt as _;
use commonware_consensus::simplex::scheme::bls12381_multisig::Scheme;
use commonware_consensus::types::Epoch;
use commonware_cryptography::bls12381::primitives::group::Private;
use commonware_cryptography::bls12381::primitives::variant::{MinSig, Variant};
use commonware_cryptography::certificate::{Provider, Scoped};
use commonware_cryptography::ed25519;
use commonware_utils::TryCollect as _;
use commonware_utils::ordered::BiMap;

/// An account, as the engine and its network know it.
pub type PeerKey = ed25519::PublicKey;
/// The scheme of votes and certificates.
pub type Multisig = Scheme<PeerKey, MinSig>;
type Public = <MinSig as Variant>::Public;

/// Epochs whose schemes are kept; older ones are made anew when somebody asks.
const KEPT: usize = 16;

/// The engine's key of an account.
#[must_use]
pub fn peer_key(account: &Digest) -> Option<PeerKey> {
    PeerKey::decode(Bytes::copy_from_slice(account)).ok()
}

/// The account behind a key.
#[must_use]
pub fn account_of(key: &PeerKey) -> Digest {
    let mut account = [0; 32];
    account.copy_from_slice(key.as_ref());
    account
}

fn participants(committee: &Committee) -> Option<BiMap<PeerKey, Public>> {
    let seat = |seat: &certify::Seat| {
        Some((peer_key(&seat.account)?, Public::decode(Bytes::copy_from_slice(&seat.consensus)).ok()?))
    };
    let seats: Option<Vec<_>> = committee.seats.iter().map(seat).collect();
    seats?.into_iter().try_collect().ok()
}

/// What checks the votes of a committee; `None` if a key in it is none.
#[must_use]
pub fn verifier(network: &Digest, committee: &Committee) -> Option<Multisig> {
    Some(Multisig::verifier(&finality::namespace(network), participants(committee)?))
}

/// What signs for a seat of a committee, if this key has one there.
#[must_use]
pub fn signer(network: &Digest, committee: &Committee, secret: Private) -> Option<Multisig> {
    Multisig::signer(&finality::namespace(network), participants(committee)?, secret)
}

/// Where committees come from: the state that this node executed.
pub trait Committees: Send + Sync + 'static {
    /// The committee of an epoch, once it is known.
    fn committee(&self, epoch: u64) -> Option<Committee>;
}

/// The scheme of each epoch.
#[derive(Clone)]
pub struct Schemes {
    network: Digest,
    committees: Arc<dyn Committees>,
    secret: Option<Private>,
    made: Arc<Mutex<HashMap<Epoch, Arc<Multisig>>>>,
}

impl Schemes {
    /// Signs with `secret` wherever it has a seat.
    pub fn new(network: Digest, committees: Arc<dyn Committees>, secret: Option<Private>) -> Self {
        Self { network, committees, secret, made: Arc::default() }
    }

    /// The committee of an epoch, once it is known.
    pub fn ledger_committee(&self, epoch: u64) -> Option<Committee> {
        self.committees.committee(epoch)
    }
}

impl Provider for Schemes {
    type Scope = Epoch;
    type Scheme = Multisig;

    fn scoped(&self, epoch: Epoch) -> Option<Scoped<Multisig>> {
        Some(Scoped::scheme(self.scheme(epoch)?))
    }

    fn scheme(&self, epoch: Epoch) -> Option<Arc<Multisig>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scheme) = made.get(&epoch) {
            return Some(scheme.clone());
        }
        let committee = self.committees.committee(epoch.get())?;
        let own = self.secret.clone().and_then(|secret| signer(&self.network, &committee, secret));
        let scheme = Arc::new(own.or_else(|| verifier(&self.network, &committee))?);
        if made.len() >= KEPT {
            made.clear();
        }
        made.insert(epoch, scheme.clone());
        Some(scheme)
    }
}
