//! Who decides in an epoch `[H6]`.

use crate::hash::{Digest, Purpose, hash};
use crate::wire::{Bounded, Canonical, Malformed, Reader, encode};

/// Most seats of a committee: the reveals of a round are bits of a `u128`.
pub const SEATS_MAX: usize = 128;
/// Most bytes of a consensus key.
pub const CONSENSUS_KEY_MAX: usize = 128;

/// One seat: one vote in consensus, `stake` in verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The validator's account, an Ed25519 key.
    pub account: Digest,
    /// The key it signs votes of consensus with; the engine knows what it means.
    pub consensus: Bounded<u8, CONSENSUS_KEY_MAX>,
    /// Units bonded when the committee was fixed.
    pub stake: u64,
}
crate::spell_struct!(Seat { account, consensus, stake });

/// The seats of one epoch, in the order of their accounts, each account once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committee {
    /// Number of the epoch.
    pub epoch: u64,
    /// The seats.
    pub seats: Bounded<Seat, SEATS_MAX>,
}

impl Canonical for Committee {
    fn write(&self, out: &mut Vec<u8>) {
        self.epoch.write(out);
        self.seats.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::new(u64::read(from)?, Bounded::read(from)?)
    }
}

impl Committee {
    /// The committee of an epoch.
    ///
    /// # Errors
    /// [`Malformed::Form`] if the seats are not in strictly rising order of their accounts.
    pub fn new(epoch: u64, seats: Bounded<Seat, SEATS_MAX>) -> Result<Self, Malformed> {
        if seats.iter().zip(seats.iter().skip(1)).any(|(a, b)| a.account >= b.account) {
            return Err(Malformed::Form { what: "seats are not in the order of their accounts" });
        }
        Ok(Self { epoch, seats })
    }

    /// What a header names the committee by.
    pub fn digest(&self) -> Digest {
        hash(Purpose::COMMITTEE, &[&encode(self)])
    }

    /// Units bonded by all seats.
    pub fn stake(&self) -> u128 {
        self.seats.iter().map(|seat| u128::from(seat.stake)).fold(0, u128::saturating_add)
    }

    /// The seat of an account, and its number.
    pub fn seat(&self, account: &Digest) -> Option<(usize, &Seat)> {
        let number = self.seats.binary_search_by(|seat| seat.account.cmp(account)).ok()?;
        Some((number, self.seats.get(number)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode;

    fn seat(account: u8, stake: u64) -> Seat {
        Seat { account: [account; 32], consensus: Bounded::new(vec![account; 96]).unwrap(), stake }
    }

    fn committee(seats: Vec<Seat>) -> Committee {
        Committee { epoch: 7, seats: Bounded::new(seats).unwrap() }
    }

    #[test]
    fn order_is_part_of_the_spelling() {
        let good = committee(vec![seat(1, 5), seat(2, 6)]);
        assert_eq!(decode::<Committee>(&encode(&good)), Ok(good.clone()));
        for bad in [vec![seat(2, 6), seat(1, 5)], vec![seat(1, 5), seat(1, 5)]] {
            let refusal = decode::<Committee>(&encode(&committee(bad)));
            assert!(matches!(refusal, Err(Malformed::Form { .. })), "{refusal:?}");
        }
        assert_eq!(good.stake(), 11);
        assert_eq!(good.seat(&[2; 32]).map(|(number, seat)| (number, seat.stake)), Some((1, 6)));
        assert!(good.seat(&[3; 32]).is_none());
    }
}
