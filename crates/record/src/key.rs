//! Keys that sign statements (spec V4, V5): ECDSA on P-256 with SHA-256, or Ed25519. Both sign without randomness, so
//! the same statement always gets the same signature.

use core::fmt;

use ed25519_dalek::pkcs8::{KeypairBytes, spki::der::pem::LineEnding};
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::ecdsa;
use crate::json::hex;
use crate::limits;
use crate::refused::{Outcome, Part, Refused};

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ECDSA on P-256 with SHA-256.
    P256,
    /// Ed25519.
    Ed25519,
}

impl Kind {
    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::Ed25519 => "Ed25519",
        }
    }
}

/// A secret key. It has no `Debug`; both kinds wipe themselves when they are dropped.
pub enum SigningKey {
    /// P-256.
    P256(p256::ecdsa::SigningKey),
    /// Ed25519.
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// P-256.
    P256(p256::ecdsa::VerifyingKey),
    /// Ed25519.
    Ed25519(ed25519_dalek::VerifyingKey),
}

fn refuse(why: &str) -> Refused {
    Refused::new(Part::Key, why)
}

fn text(pem: &[u8]) -> Outcome<&str> {
    if pem.len() > limits::KEY {
        return Err(refuse("it is too large for a key"));
    }
    core::str::from_utf8(pem).map_err(|_| refuse("it is not PEM"))
}

impl SigningKey {
    /// A key of 32 random bytes.
    ///
    /// # Errors
    /// Once in 2^32 times for P-256, when the bytes are no number below the group's order: draw again.
    pub fn from_random(kind: Kind, bytes: &[u8; 32]) -> Outcome<Self> {
        match kind {
            Kind::P256 => p256::ecdsa::SigningKey::from_slice(bytes)
                .map(Self::P256)
                .map_err(|_| refuse("the random bytes are no P-256 key")),
            Kind::Ed25519 => Ok(Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(bytes)))),
        }
    }

    /// Reads PKCS#8 PEM.
    ///
    /// # Errors
    /// When it is no such key. The error does not say what the file holds.
    pub fn from_pem(pem: &[u8]) -> Outcome<Self> {
        let text = text(pem)?;
        if let Ok(key) = p256::ecdsa::SigningKey::from_pkcs8_pem(text) {
            return Ok(Self::P256(key));
        }
        let key = ed25519_dalek::SigningKey::from_pkcs8_pem(text);
        key.map(|key| Self::Ed25519(Box::new(key)))
            .map_err(|_| refuse("it is no secret P-256 or Ed25519 key in PKCS#8 PEM (BEGIN PRIVATE KEY)"))
    }

    /// PKCS#8 PEM, in the first version of the format, which every tool reads.
    ///
    /// # Errors
    /// Never for a key that was made or read here.
    pub fn to_pem(&self) -> Outcome<Zeroizing<String>> {
        let written = match self {
            Self::P256(key) => key.to_pkcs8_pem(LineEnding::LF),
            Self::Ed25519(key) => {
                KeypairBytes { secret_key: key.to_bytes(), public_key: None }.to_pkcs8_pem(LineEnding::LF)
            }
        };
        written.map_err(|_| refuse("it cannot be written"))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        match self {
            Self::P256(key) => PublicKey::P256(*key.verifying_key()),
            Self::Ed25519(key) => PublicKey::Ed25519(key.verifying_key()),
        }
    }

    /// Signs. P-256: DER, with the lower of the two values that would do for s.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = p256::ecdsa::signature::Signer::sign(key, message);
                signature.normalize_s().to_der().as_bytes().to_vec()
            }
            Self::Ed25519(key) => ed25519_dalek::Signer::sign(key.as_ref(), message).to_bytes().to_vec(),
        }
    }
}

impl PublicKey {
    /// Reads SubjectPublicKeyInfo PEM.
    ///
    /// # Errors
    /// When it is no such key.
    pub fn from_pem(pem: &[u8]) -> Outcome<Self> {
        let text = text(pem)?;
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_pem(text) {
            return Ok(Self::P256(key));
        }
        ed25519_dalek::VerifyingKey::from_public_key_pem(text)
            .map(Self::Ed25519)
            .map_err(|_| refuse("it is no public P-256 or Ed25519 key in PEM (BEGIN PUBLIC KEY)"))
    }

    fn der(&self) -> Vec<u8> {
        // A key that was read or made here can always be written.
        let der = match self {
            Self::P256(key) => key.to_public_key_der(),
            Self::Ed25519(key) => key.to_public_key_der(),
        };
        der.map(|document| document.as_bytes().to_vec()).unwrap_or_default()
    }

    /// SubjectPublicKeyInfo PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let pem = match self {
            Self::P256(key) => key.to_public_key_pem(LineEnding::LF),
            Self::Ed25519(key) => key.to_public_key_pem(LineEnding::LF),
        };
        pem.unwrap_or_default()
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::P256(_) => Kind::P256,
            Self::Ed25519(_) => Kind::Ed25519,
        }
    }

    /// `sha256:` and the SHA-256 of the key in DER (SubjectPublicKeyInfo), as OpenSSL computes it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("sha256:{}", hex(&Sha256::digest(self.der())))
    }

    /// Whether this is the key's signature of the message. There is one spelling of a signature: DER with
    /// the lower s for P-256; strict rules for Ed25519.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::P256(key) => {
                let Ok(signature) = p256::ecdsa::Signature::from_der(signature) else { return false };
                signature == signature.normalize_s() && ecdsa::verifies(key, message, &signature)
            }
            Self::Ed25519(key) => {
                let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
                key.verify_strict(message, &signature).is_ok()
            }
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} key {}", self.kind().name(), self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 2] = [Kind::P256, Kind::Ed25519];

    #[test]
    fn keys_go_through_pem_and_back() {
        for kind in KINDS {
            let key = SigningKey::from_random(kind, &[7; 32]).unwrap();
            let pem = key.to_pem().unwrap();
            assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
            let again = SigningKey::from_pem(pem.as_bytes()).unwrap();
            let public = PublicKey::from_pem(again.public().to_pem().as_bytes()).unwrap();
            assert_eq!((public.kind(), &public), (kind, &key.public()));
            assert_eq!(key.sign(b"x"), again.sign(b"x"), "signing draws no randomness");
            assert!(public.verifies(b"x", &key.sign(b"x")));
        }
    }

    #[test]
    fn bad_keys_are_refused() {
        assert!(SigningKey::from_random(Kind::P256, &[0xff; 32]).is_err());
        assert!(SigningKey::from_random(Kind::P256, &[0; 32]).is_err());
        for pem in ["", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"] {
            assert!(SigningKey::from_pem(pem.as_bytes()).is_err());
            assert!(PublicKey::from_pem(pem.as_bytes()).is_err());
        }
        assert!(PublicKey::from_pem(&vec![b' '; limits::KEY + 1]).unwrap_err().why.contains("too large"));
        let secret = SigningKey::from_random(Kind::Ed25519, &[7; 32]).unwrap().to_pem().unwrap();
        assert!(PublicKey::from_pem(secret.as_bytes()).is_err(), "a secret key is no public key");
    }

    #[test]
    fn signatures_of_others_and_other_spellings_are_refused() {
        for kind in KINDS {
            let key = SigningKey::from_random(kind, &[7; 32]).unwrap();
            let other = SigningKey::from_random(kind, &[8; 32]).unwrap();
            let signature = key.sign(b"x");
            assert!(!key.public().verifies(b"y", &signature));
            assert!(!other.public().verifies(b"x", &signature));
            for at in 0..signature.len() {
                let mut changed = signature.clone();
                changed[at] ^= 1;
                assert!(!key.public().verifies(b"x", &changed), "{kind:?} byte {at}");
                assert!(!key.public().verifies(b"x", &signature[..at]));
            }
        }
    }

    #[test]
    fn the_other_s_is_refused() {
        let key = SigningKey::from_random(Kind::P256, &[7; 32]).unwrap();
        let low = p256::ecdsa::Signature::from_der(&key.sign(b"x")).unwrap();
        let (r, s) = low.split_scalars();
        let high = p256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
        let public = p256::ecdsa::signature::Verifier::verify(
            &match key.public() {
                PublicKey::P256(key) => key,
                PublicKey::Ed25519(_) => unreachable!(),
            },
            b"x",
            &high,
        );
        assert!(public.is_ok(), "the algorithm alone takes both");
        assert!(!key.public().verifies(b"x", high.to_der().as_bytes()));
    }
}
