//! Consensus keys that sign, as the engine's do: what `certify::bls` checks, made.

use bls12_381::hash_to_curve::{ExpandMsgXmd, HashToCurve};
use bls12_381::{G1Affine, G1Projective, G2Affine, G2Projective, Scalar};
use certify::finality::namespace;
use certify::hash::{Digest, Purpose, hash};
use certify::{Bounded, Committee, Finality, Header, Seat, varint};
use sha2::Sha256;

const MESSAGE: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

/// A consensus key.
#[derive(Clone, Debug)]
pub struct Signer {
    secret: Scalar,
    /// The account it has a seat by.
    pub account: Digest,
}

impl Signer {
    /// The key of this name.
    pub fn new(name: &str) -> Self {
        let half = |i: u8| hash(Purpose("zerotell/sim/consensus/1"), &[name.as_bytes(), &[i]]);
        let mut wide = [0; 64];
        wide[..32].copy_from_slice(&half(0));
        wide[32..].copy_from_slice(&half(1));
        Self { secret: Scalar::from_bytes_wide(&wide), account: half(2) }
    }

    /// Its seat.
    pub fn seat(&self, stake: u64) -> Seat {
        let point = G2Affine::from(G2Projective::generator() * self.secret);
        let consensus = Bounded::new(point.to_compressed().to_vec()).expect("96 bytes");
        Seat { account: self.account, consensus, stake }
    }
}

/// A committee of these keys, and the keys in its order.
pub fn committee(epoch: u64, mut signers: Vec<Signer>) -> (Committee, Vec<Signer>) {
    signers.sort_by_key(|signer| signer.account);
    let seats = signers.iter().map(|signer| signer.seat(1_000_000)).collect();
    let seats = Bounded::new(seats).expect("few seats");
    (Committee::new(epoch, seats).expect("in order"), signers)
}

/// The certificate that these seats sign for a header in a view.
pub fn finality(header: &Header, view: u64, signers: &[Signer], who: &[usize]) -> Finality {
    let seats = u8::try_from(signers.len()).expect("few seats");
    let mut certificate = Finality {
        epoch: header.epoch,
        view,
        parent: view.saturating_sub(1),
        payload: header.digest(),
        seats,
        signers: who.iter().fold(0, |set, seat| set | 1u128 << seat),
        signature: [0; 48],
    };
    let mut message = Vec::new();
    for number in [certificate.epoch, certificate.view, certificate.parent] {
        varint::write(number, &mut message);
    }
    message.extend(certificate.payload);
    let space = [namespace(&header.network).as_slice(), b"_FINALIZE"].concat();
    let mut framed = Vec::new();
    varint::write(space.len() as u64, &mut framed);
    framed.extend(space);
    framed.extend(message);
    let point = <G1Projective as HashToCurve<ExpandMsgXmd<Sha256>>>::hash_to_curve([framed], MESSAGE);
    // The sum of signatures of one message is the signature of the sum of keys.
    let secret = who.iter().map(|seat| signers[*seat].secret).fold(Scalar::zero(), |sum, s| sum + s);
    certificate.signature = G1Affine::from(point * secret).to_compressed();
    certificate
}
