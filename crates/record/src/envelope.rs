//! The signature around a statement: a DSSE envelope inside a bundle of Sigstore's shape, v0.3 (spec
//! V6, V7).
//!
//! What is signed are the payload's bytes as they are, with their type: PAE(type, payload). They are
//! verified before they are read.

use base64ct::{Base64, Encoding};

use crate::json::{Fields, Json, list, object, parse};
use crate::key::{PublicKey, SigningKey};
use crate::limits;
use crate::refused::{Outcome, Part, Refused};

/// What the payload is.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// What the bundle is.
pub const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A payload and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Type of the payload.
    pub payload_type: String,
    /// The signed bytes.
    pub payload: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// Which key, as the bundle says; a hint, it proves nothing.
    pub hint: String,
}

/// DSSE's pre-authentication encoding: "DSSEv1" and the type and the payload, each after its length.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

impl Envelope {
    /// Signs a payload.
    #[must_use]
    pub fn sign(key: &SigningKey, payload: Vec<u8>) -> Self {
        let signature = key.sign(&pae(PAYLOAD_TYPE, &payload));
        let hint = key.public().fingerprint();
        Self { payload_type: PAYLOAD_TYPE.into(), payload, signature, hint }
    }

    /// Bytes of the bundle.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let base64 = |bytes: &[u8]| Json::Text(Base64::encode_string(bytes));
        object([
            ("mediaType", BUNDLE_TYPE.into()),
            ("verificationMaterial", object([("publicKey", object([("hint", self.hint.as_str().into())]))])),
            (
                "dsseEnvelope",
                object([
                    ("payload", base64(&self.payload)),
                    ("payloadType", self.payload_type.as_str().into()),
                    ("signatures", list([object([("sig", base64(&self.signature))])])),
                ]),
            ),
        ])
        .canonical()
    }

    /// Reads a bundle. The signature is not checked.
    ///
    /// # Errors
    /// When the bytes are not the one spelling of a bundle with one signature by a key.
    pub fn decode(bytes: &[u8]) -> Outcome<Self> {
        if bytes.len() > limits::ENVELOPE {
            return Err(Refused::new(Part::Envelope, "it is too large"));
        }
        read(bytes).map_err(|why| Refused::new(Part::Envelope, why))
    }

    /// The payload, if the key signed it as what it is said to be.
    ///
    /// # Errors
    /// When the type is another, the bundle names another key, or the signature is not the key's.
    pub fn verify(&self, key: &PublicKey) -> Outcome<&[u8]> {
        let refuse = |why: String| Err(Refused::new(Part::Signature, why));
        if self.payload_type != PAYLOAD_TYPE {
            return refuse(format!("what is signed is no in-toto statement ({PAYLOAD_TYPE})"));
        }
        if self.hint != key.fingerprint() {
            return refuse(format!("the bundle names another key than {key}"));
        }
        if !key.verifies(&pae(&self.payload_type, &self.payload), &self.signature) {
            return refuse(format!("it is not made by {key}, or the statement was changed"));
        }
        Ok(&self.payload)
    }
}

fn read(bytes: &[u8]) -> Result<Envelope, String> {
    let mut bundle = Fields::new(parse(bytes)?, "the bundle")?;
    if bundle.text("mediaType")? != BUNDLE_TYPE {
        return Err(format!("it is no bundle of a known version ({BUNDLE_TYPE})"));
    }
    let mut material = bundle.inside("verificationMaterial")?;
    let mut key = material.inside("publicKey")?;
    let hint = key.text("hint")?;
    key.end()?;
    material.end()?;
    let mut inner = bundle.inside("dsseEnvelope")?;
    bundle.end()?;
    let (payload, payload_type) = (base64(&inner.text("payload")?)?, inner.text("payloadType")?);
    let signatures = inner.list("signatures")?;
    inner.end()?;
    let Ok([one]) = <[Json; 1]>::try_from(signatures) else {
        return Err("it has not one signature".into());
    };
    let mut one = Fields::new(one, "the signature")?;
    let signature = base64(&one.text("sig")?)?;
    one.end()?;
    Ok(Envelope { payload_type, payload, signature, hint })
}

fn base64(text: &str) -> Result<Vec<u8>, String> {
    Base64::decode_vec(text).map_err(|_| "a part of it is no base64".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Kind;

    fn key(kind: Kind, byte: u8) -> SigningKey {
        SigningKey::from_random(kind, &[byte; 32]).unwrap()
    }

    /// The example of DSSE's own specification.
    #[test]
    fn pae_is_as_specified() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
    }

    #[test]
    fn round_trip() {
        for kind in [Kind::P256, Kind::Ed25519] {
            let envelope = Envelope::sign(&key(kind, 7), b"{}".to_vec());
            let again = Envelope::decode(&envelope.encode()).unwrap();
            assert_eq!(again, envelope);
            assert_eq!(again.verify(&key(kind, 7).public()).unwrap(), b"{}");
        }
    }

    #[test]
    fn every_changed_field_is_refused() {
        for kind in [Kind::P256, Kind::Ed25519] {
            let honest = || Envelope::sign(&key(kind, 7), b"{}".to_vec());
            let Envelope { payload_type, payload, signature, hint } = honest();
            let other = Envelope::sign(&key(kind, 8), b"{}".to_vec());
            let elsewhere = key(kind, 7).sign(&pae("application/json", b"{}"));
            let changed = [
                Envelope { payload_type: format!("{payload_type}x"), ..honest() },
                Envelope { payload: [payload, vec![b' ']].concat(), ..honest() },
                Envelope { signature: other.signature.clone(), ..honest() },
                Envelope { signature: signature[1..].to_vec(), ..honest() },
                Envelope { hint: format!("{hint}0"), ..honest() },
                Envelope { signature: elsewhere.clone(), ..honest() },
                Envelope { signature: elsewhere, payload_type: "application/json".into(), ..honest() },
                other,
            ];
            for envelope in changed {
                let read = Envelope::decode(&envelope.encode()).unwrap();
                let refused = read.verify(&key(kind, 7).public()).unwrap_err();
                assert_eq!(refused.part, Part::Signature, "{envelope:?}");
            }
        }
    }

    #[test]
    fn other_bundles_are_refused() {
        let honest =
            String::from_utf8(Envelope::sign(&key(Kind::Ed25519, 7), b"{}".to_vec()).encode()).unwrap();
        for (from, to, why) in [
            ("v0.3", "v0.4", "known version"),
            ("\"signatures\":[", "\"signatures\":[{\"sig\":\"\"},", "not one signature"),
            ("{\"sig\"", "{\"keyid\":\"a\",\"sig\"", "`keyid` in the signature"),
            ("{\"publicKey\"", "{\"certificate\":{},\"publicKey\"", "`certificate` in verificationMaterial"),
            ("e30=", "e30", "base64"),
            ("{\"dsse", "{ \"dsse", "missing"),
        ] {
            let changed = honest.replacen(from, to, 1);
            assert_ne!(changed, honest);
            let refused = Envelope::decode(changed.as_bytes()).unwrap_err();
            assert!(refused.why.contains(why), "{refused}");
        }
        assert!(Envelope::decode(&vec![b' '; limits::ENVELOPE + 1]).unwrap_err().why.contains("too large"));
    }
}
