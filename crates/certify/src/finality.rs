//! A finality certificate `[Z1]`: two thirds of the seats signed one header's digest, byte for byte as the engine
//! spells it.

use crate::bls::{Key, SIGNATURE_BYTES, verify};
use crate::committee::SEATS_MAX;
use crate::hash::Digest;
use crate::refusal::Refusal;
use crate::varint;
use crate::wire::{Canonical, Malformed, Reader};

/// What the seats of a committee signed, who they are, and the sum of their signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finality {
    /// The engine's epoch: the header's.
    pub epoch: u64,
    /// The engine's view in which the block was proposed.
    pub view: u64,
    /// View of the parent.
    pub parent: u64,
    /// Digest of the header.
    pub payload: Digest,
    /// Seats of the committee, at most [`SEATS_MAX`].
    pub seats: u8,
    /// Bit i: seat i signed. No bit beyond `seats`, and at least one.
    pub signers: u128,
    /// Sum of their signatures, a compressed point of G1.
    pub signature: [u8; SIGNATURE_BYTES],
}

impl Canonical for Finality {
    fn write(&self, out: &mut Vec<u8>) {
        self.write_proposal(out);
        u64::from(self.seats).to_be_bytes().write(out);
        out.extend(self.signers.to_le_bytes().iter().take(usize::from(self.seats).div_ceil(8)));
        self.signature.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (epoch, view, parent) = (varint::read(from)?, varint::read(from)?, varint::read(from)?);
        let payload = from.array()?;
        let long = Malformed::TooLong { limit: SEATS_MAX };
        let seats = u8::try_from(u64::from_be_bytes(from.array()?)).map_err(|_| long)?;
        if usize::from(seats) > SEATS_MAX {
            return Err(long);
        }
        let mut bits = [0; 16];
        for (to, byte) in bits.iter_mut().zip(from.take(usize::from(seats).div_ceil(8))?) {
            *to = *byte;
        }
        let signers = u128::from_le_bytes(bits);
        if signers == 0 || signers.checked_shr(u32::from(seats)).unwrap_or(0) != 0 {
            return Err(Malformed::Form { what: "nobody signed, or somebody without a seat" });
        }
        Ok(Self { epoch, view, parent, payload, seats, signers, signature: from.array()? })
    }
}

impl Finality {
    /// That a quorum of the seats with these keys signed this, on this network `[Z4]`.
    ///
    /// # Errors
    /// [`Refusal`] that says what is missing.
    pub fn verify(&self, network: &Digest, keys: &[Key]) -> Result<(), Refusal> {
        if usize::from(self.seats) != keys.len() {
            return Err(Refusal::Seats { found: usize::from(self.seats), committee: keys.len() });
        }
        let (found, needed) = (self.signers.count_ones(), quorum(self.seats));
        if found < needed {
            return Err(Refusal::Quorum { found, needed });
        }
        let signed = (0u32..).zip(keys).filter(|(i, _)| self.has_signed(*i)).map(|(_, key)| key);
        let mut message = Vec::new();
        self.write_proposal(&mut message);
        let namespace = [namespace(network).as_slice(), b"_FINALIZE"].concat();
        let is_signed = verify(signed, &namespace, &message, &self.signature);
        is_signed.then_some(()).ok_or(Refusal::Signature)
    }

    /// Whether a seat is among the signers.
    pub fn has_signed(&self, seat: u32) -> bool {
        self.signers.checked_shr(seat).unwrap_or(0) & 1 == 1
    }

    fn write_proposal(&self, out: &mut Vec<u8>) {
        for number in [self.epoch, self.view, self.parent] {
            varint::write(number, out);
        }
        self.payload.write(out);
    }
}

/// Signers needed of so many seats: all but fewer than a third.
pub fn quorum(seats: u8) -> u32 {
    u32::from(seats.saturating_sub(seats.saturating_sub(1) / 3))
}

/// What the engine of a network signs for; it adds the kind of vote.
pub fn namespace(network: &Digest) -> Vec<u8> {
    [b"zerotell/consensus/1/".as_slice(), network].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};
    use proptest::prelude::*;

    #[test]
    fn quorums() {
        let found: Vec<u32> = [0, 1, 3, 4, 5, 6, 7, 10, 100, 128].into_iter().map(quorum).collect();
        assert_eq!(found, [0, 1, 3, 3, 4, 5, 5, 7, 67, 86]);
    }

    proptest! {
        #[test]
        fn one_spelling(head in proptest::collection::vec(any::<u8>(), 3..20), seats in 0u8..132,
                        tail in proptest::collection::vec(any::<u8>(), 0..70)) {
            let bytes = [&head[..], &[7; 30], &[0, 0, 0, 0, 0, 0, 0, seats], &tail].concat();
            if let Ok(value) = decode::<Finality>(&bytes) {
                prop_assert_eq!(encode(&value), bytes);
            }
        }
    }

    /// All 128 bits are used, and none beyond the seats.
    #[test]
    fn bits_of_seats() {
        for seats in [1u8, 7, 8, 9, 100, 127, 128] {
            let signers = u128::MAX >> (128 - u32::from(seats));
            let good = Finality {
                epoch: 1,
                view: 300,
                parent: 2,
                payload: [4; 32],
                seats,
                signers,
                signature: [5; 48],
            };
            assert_eq!(decode::<Finality>(&encode(&good)), Ok(good.clone()));
            assert!(good.has_signed(u32::from(seats) - 1) && !good.has_signed(u32::from(seats)));
            let none = Finality { signers: 0, ..good.clone() };
            assert!(matches!(decode::<Finality>(&encode(&none)), Err(Malformed::Form { .. })));
            if seats % 8 != 0 {
                let beyond = Finality { signers: 1 << seats, ..good };
                assert!(matches!(decode::<Finality>(&encode(&beyond)), Err(Malformed::Form { .. })));
            }
        }
    }
}
