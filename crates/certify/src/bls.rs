//! Aggregate signatures over BLS12-381 `[Z2]`: keys in G2, signatures in G1, as the engine's `MinSig` has them.
//!
//! Keys and signatures are compressed points: on the curve, in the subgroup of prime order, not the identity.
//! Keys may be added only if their owners have shown that they hold the secret ([`verify_possession`]).

use core::ops::Neg;
use std::sync::LazyLock;

use bls12_381::hash_to_curve::{ExpandMsgXmd, HashToCurve};
use bls12_381::{G1Affine, G1Projective, G2Affine, G2Prepared, G2Projective, Gt, multi_miller_loop};
use sha2::Sha256;

use crate::hash::Digest;
use crate::varint;

/// Bytes of a key.
pub const KEY_BYTES: usize = 96;
/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 48;

const MESSAGE: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
const POSSESSION: &[u8] = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

/// The generator does not change, so its part of every pairing is made once.
static MINUS_GENERATOR: LazyLock<G2Prepared> = LazyLock::new(|| G2Affine::generator().neg().into());

/// A key that was checked to be in the subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(G2Affine);

impl Key {
    /// The key that these bytes spell; `None` if they spell none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; KEY_BYTES] = bytes.try_into().ok()?;
        let point = Option::<G2Affine>::from(G2Affine::from_compressed(bytes))?;
        (!bool::from(point.is_identity())).then_some(Self(point))
    }
}

/// Whether all `keys` together signed `message` for `namespace`.
pub fn verify<'a>(
    keys: impl Iterator<Item = &'a Key>,
    namespace: &[u8],
    message: &[u8],
    signature: &[u8; SIGNATURE_BYTES],
) -> bool {
    let sum = keys.fold(G2Projective::identity(), |sum, key| sum.add_mixed(&key.0));
    holds(&G2Affine::from(sum), MESSAGE, &framed(namespace, message), signature)
}

/// Whether whoever bonds `key` for `account` of `network` holds its secret `[Z3]`.
pub fn verify_possession(
    network: &Digest,
    account: &Digest,
    key: &[u8],
    proof: &[u8; SIGNATURE_BYTES],
) -> bool {
    let Some(point) = Key::read(key) else { return false };
    holds(&point.0, POSSESSION, &framed(&possession_namespace(network, account), key), proof)
}

/// What a proof of possession is signed for.
pub fn possession_namespace(network: &Digest, account: &Digest) -> Vec<u8> {
    [b"zerotell/possession/1/".as_slice(), network, account].concat()
}

/// The namespace with its length in front, then the message: no two pairs give the same bytes.
fn framed(namespace: &[u8], message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint::write(u64::try_from(namespace.len()).unwrap_or(u64::MAX), &mut out);
    out.extend_from_slice(namespace);
    out.extend_from_slice(message);
    out
}

/// e(hash, key) = e(signature, generator), as one product of pairings.
fn holds(key: &G2Affine, purpose: &[u8], message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
    let Some(signature) = Option::<G1Affine>::from(G1Affine::from_compressed(signature)) else {
        return false;
    };
    if bool::from(signature.is_identity()) || bool::from(key.is_identity()) {
        return false;
    }
    let hashed = <G1Projective as HashToCurve<ExpandMsgXmd<Sha256>>>::hash_to_curve([message], purpose);
    let (hashed, key) = (G1Affine::from(hashed), G2Prepared::from(*key));
    let terms = [(&hashed, &key), (&signature, &*MINUS_GENERATOR)];
    multi_miller_loop(&terms).final_exponentiation() == Gt::identity()
}
