//! A validator's two secrets: of its account (Ed25519, also its identity in the network) and of its votes (BLS). A file
//! each, mode 0600, in a directory of mode 0700.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use certify::bls::possession_namespace;
use certify::hash::Digest;
use commonware_codec::{DecodeExt as _, Encode as _};
use commonware_cryptography::bls12381::primitives::group::Private;
use commonware_cryptography::bls12381::primitives::{ops, variant::MinSig};
use commonware_cryptography::ed25519;
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

const ACCOUNT: &str = "account.key";
const CONSENSUS: &str = "consensus.key";

/// Why keys cannot be had: where, why, and what to do.
#[derive(Debug)]
pub struct KeyError {
    /// Where.
    pub place: PathBuf,
    /// Why.
    pub why: String,
    /// What to do.
    pub fix: &'static str,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place.display(), self.why, self.fix)
    }
}

impl std::error::Error for KeyError {}

/// The secrets of an account, and of a validator if it is one. No `Debug`.
pub struct Keys {
    account: Zeroizing<[u8; 32]>,
    consensus: Option<Private>,
}

fn fails(place: &Path, why: impl fmt::Display, fix: &'static str) -> KeyError {
    KeyError { place: place.to_path_buf(), why: why.to_string(), fix }
}

fn random() -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut bytes = Zeroizing::new([0; 32]);
    let fix = "the system gives no randomness; try another machine";
    getrandom::fill(&mut bytes[..]).map_err(|why| fails(Path::new("randomness"), why, fix))?;
    Ok(bytes)
}

impl Keys {
    /// New keys in a directory that is made for them. Nothing is overwritten.
    ///
    /// # Errors
    /// A directory that has keys, a disk or a system that fails.
    pub fn create(directory: &Path, is_validator: bool) -> Result<Self, KeyError> {
        let fix = "choose another directory";
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|e| fails(directory, e, fix))?;
        let keys = Self::generate(is_validator)?;
        let write = |name: &str, secret: &[u8; 32]| {
            let path = directory.join(name);
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let mut file = file.map_err(|e| fails(&path, e, fix))?;
            let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(record::json::hex(secret))));
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| fails(&path, e, fix))
        };
        write(ACCOUNT, &keys.account)?;
        if let Some(consensus) = &keys.consensus {
            let mut secret = Zeroizing::new([0; 32]);
            secret.copy_from_slice(&consensus.encode());
            write(CONSENSUS, &secret)?;
        }
        Ok(keys)
    }

    /// New keys that are written nowhere.
    ///
    /// # Errors
    /// A system without randomness.
    pub fn generate(is_validator: bool) -> Result<Self, KeyError> {
        let account = random()?;
        let mut consensus = None;
        while is_validator && consensus.is_none() {
            // A scalar is below the group's order, which a half of all strings are not.
            let bytes = random()?;
            consensus = Private::decode(Bytes::copy_from_slice(&bytes[..])).ok();
        }
        Ok(Self { account, consensus })
    }

    /// Reads the keys of a directory.
    ///
    /// # Errors
    /// A directory without keys, or one that others may read.
    pub fn read(directory: &Path) -> Result<Self, KeyError> {
        let fix = "make keys with `zerotell node key DIR`";
        let open = "take the rights of others away: chmod 700 of the directory, 600 of its files";
        let read = |name: &str| -> Result<Option<Zeroizing<[u8; 32]>>, KeyError> {
            let path = directory.join(name);
            let found = match fs::metadata(&path) {
                Ok(found) => found,
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(why) => return Err(fails(&path, why, fix)),
            };
            for place in [directory, &path] {
                let mode = fs::metadata(place).map_err(|e| fails(place, e, fix))?.permissions().mode();
                if mode & 0o077 != 0 {
                    return Err(fails(place, format!("others may use it (mode {:o})", mode & 0o777), open));
                }
            }
            if found.len() > 256 {
                return Err(fails(&path, "it is no key", fix));
            }
            let text = Zeroizing::new(fs::read_to_string(&path).map_err(|e| fails(&path, e, fix))?);
            let secret = record::json::unhex(text.trim_end()).map(Zeroizing::new);
            secret.map(Some).ok_or_else(|| fails(&path, "it is not 64 hexadecimal digits", fix))
        };
        let account =
            read(ACCOUNT)?.ok_or_else(|| fails(&directory.join(ACCOUNT), "it is not there", fix))?;
        let consensus = match read(CONSENSUS)? {
            None => None,
            Some(secret) => {
                let key = Private::decode(Bytes::copy_from_slice(&secret[..]));
                Some(key.map_err(|_| fails(&directory.join(CONSENSUS), "it is no consensus key", fix))?)
            }
        };
        Ok(Self { account, consensus })
    }

    /// Signs transactions.
    #[must_use]
    pub fn signing(&self) -> SigningKey {
        SigningKey::from_bytes(&self.account)
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> Digest {
        self.signing().verifying_key().to_bytes()
    }

    /// The identity in the network.
    ///
    /// # Errors
    /// None is expected: every 32 bytes are a key.
    pub fn peer(&self) -> Result<ed25519::PrivateKey, KeyError> {
        let key = ed25519::PrivateKey::decode(Bytes::copy_from_slice(&self.account[..]));
        key.map_err(|why| fails(Path::new(ACCOUNT), why, "make new keys"))
    }

    /// The secret of votes, if there is one.
    #[must_use]
    pub fn consensus(&self) -> Option<Private> {
        self.consensus.clone()
    }

    /// The public key of votes, and the proof that this account holds its secret on a network (`[Z3]`).
    #[must_use]
    pub fn possession(&self, network: &Digest) -> Option<(Vec<u8>, Vec<u8>)> {
        let secret = self.consensus.as_ref()?;
        let public = ops::compute_public::<MinSig>(secret).encode().to_vec();
        let namespace = possession_namespace(network, &self.account());
        let proof = ops::sign_proof_of_possession::<MinSig>(secret, &namespace);
        Some((public, proof.encode().to_vec()))
    }

    /// The public key of votes.
    #[must_use]
    pub fn consensus_public(&self) -> Option<Vec<u8>> {
        self.consensus.as_ref().map(|secret| ops::compute_public::<MinSig>(secret).encode().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_were_made_and_not_if_others_may() {
        let directory = std::env::temp_dir().join(format!("zerotell-keys-{}", std::process::id()));
        let made = Keys::create(&directory, true).unwrap();
        let read = Keys::read(&directory).unwrap();
        assert_eq!(made.account(), read.account());
        assert_eq!(made.consensus_public(), read.consensus_public());
        let (public, proof) = read.possession(&[7; 32]).unwrap();
        let proof: &[u8; 48] = proof.as_slice().try_into().unwrap();
        assert!(certify::bls::verify_possession(&[7; 32], &read.account(), &public, proof));
        assert!(!certify::bls::verify_possession(&[8; 32], &read.account(), &public, proof));
        assert!(Keys::create(&directory, true).is_err(), "nothing is overwritten");
        fs::set_permissions(directory.join(ACCOUNT), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Keys::read(&directory).is_err());
        fs::remove_dir_all(&directory).unwrap();
        assert!(Keys::read(&directory).is_err());
    }
}
