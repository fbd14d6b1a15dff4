//! A hand-over `[Z6]`: the last header of an epoch, finalised by its committee, names the next committee.
//!
//! The next committee travels as what changed, so that seats which stay cost a bit.

use crate::committee::{Committee, SEATS_MAX, Seat};
use crate::finality::Finality;
use crate::header::Header;
use crate::wire::{Bounded, Malformed};

/// From the committee of one epoch to that of the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The last header of the epoch.
    pub header: Header,
    /// That its committee finalised it.
    pub finality: Finality,
    /// What is other in the next committee.
    pub change: Change,
}
crate::spell_struct!(Handover { header, finality, change });

/// What differs between two committees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Bit i: seat i keeps its account and key.
    pub kept: u128,
    /// Bit i: seat i is kept with another stake.
    pub restaked: u128,
    /// Those stakes, in the order of the seats.
    pub stakes: Bounded<u64, SEATS_MAX>,
    /// Seats that are new or have another key, in the order of their accounts.
    pub joined: Bounded<Seat, SEATS_MAX>,
}
crate::spell_struct!(Change { kept, restaked, stakes, joined });

impl Change {
    /// What `to` changes in `from`.
    ///
    /// # Errors
    /// Never for two committees of at most [`SEATS_MAX`] seats.
    pub fn between(from: &Committee, to: &Committee) -> Result<Self, Malformed> {
        let mut change =
            Self { kept: 0, restaked: 0, stakes: Bounded::default(), joined: Bounded::default() };
        for (bit, old) in bits().zip(from.seats.iter()) {
            let Some((_, new)) = to.seat(&old.account) else { continue };
            if new.consensus != old.consensus {
                continue;
            }
            change.kept |= bit;
            if new.stake != old.stake {
                change.restaked |= bit;
                change.stakes.push(new.stake)?;
            }
        }
        for new in to.seats.iter() {
            let stays = from.seat(&new.account).is_some_and(|(_, old)| old.consensus == new.consensus);
            if !stays {
                change.joined.push(new.clone())?;
            }
        }
        Ok(change)
    }

    /// The committee after `from`.
    ///
    /// # Errors
    /// [`Malformed`] for every change that [`between`](Self::between) does not make.
    pub fn apply(&self, from: &Committee) -> Result<Committee, Malformed> {
        let mut stakes = self.stakes.iter();
        let mut seats = Vec::new();
        for (bit, old) in bits().zip(from.seats.iter()).filter(|(bit, _)| self.kept & bit != 0) {
            let mut seat = old.clone();
            if self.restaked & bit != 0 {
                seat.stake = *stakes.next().ok_or(Malformed::Form { what: "a changed stake is missing" })?;
            }
            seats.push(seat);
        }
        seats.extend(self.joined.iter().cloned());
        seats.sort_by_key(|seat| seat.account);
        let epoch = from.epoch.checked_add(1).ok_or(Malformed::Form { what: "there is no next epoch" })?;
        let to = Committee::new(epoch, Bounded::new(seats)?)?;
        // The comparison refuses seats named in another way than the one there is, and bits without a seat.
        let is_canonical = Self::between(from, &to)? == *self;
        is_canonical
            .then_some(to)
            .ok_or(Malformed::Form { what: "the change of seats is not in its one spelling" })
    }
}

/// One bit per seat, in their order.
fn bits() -> impl Iterator<Item = u128> {
    (0..128u32).map(|i| 1u128.wrapping_shl(i))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seat((account, key, stake): (u8, u8, u8)) -> Seat {
        Seat { account: [account; 32], consensus: Bounded::new(vec![key]).unwrap(), stake: u64::from(stake) }
    }

    fn committee(epoch: u64, mut seats: Vec<(u8, u8, u8)>) -> Committee {
        seats.sort();
        seats.dedup_by_key(|seat| seat.0);
        Committee::new(epoch, Bounded::new(seats.into_iter().map(seat).collect()).unwrap()).unwrap()
    }

    fn seats() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
        proptest::collection::vec((0u8..12, 0u8..3, 0u8..3), 0..10)
    }

    proptest! {
        /// Any committee follows any other, and only one change leads there.
        #[test]
        fn there_and_only_there(a in seats(), b in seats(), kept: u8, restaked: u8, spare in 0u8..3) {
            let (from, to) = (committee(4, a), committee(5, b));
            let change = Change::between(&from, &to).unwrap();
            prop_assert_eq!(change.apply(&from), Ok(to.clone()));
            let other = Change {
                kept: change.kept ^ u128::from(kept), restaked: change.restaked ^ u128::from(restaked), ..change.clone()
            };
            if let Ok(reached) = other.apply(&from) {
                prop_assert_eq!(reached == to, other == change);
            }
            let mut more = change.clone();
            more.stakes.push(u64::from(spare)).unwrap();
            prop_assert!(more.apply(&from).is_err());
        }
    }

    #[test]
    fn a_seat_that_stays_is_a_bit() {
        let (from, to) = (
            committee(0, vec![(1, 1, 1), (2, 1, 1), (3, 1, 1)]),
            committee(1, vec![(1, 1, 1), (3, 2, 1), (4, 1, 1)]),
        );
        let change = Change::between(&from, &to).unwrap();
        assert_eq!((change.kept, change.restaked, change.joined.len()), (1, 0, 2));
        let beyond = Change { kept: change.kept | 1 << 100, ..change.clone() };
        assert!(beyond.apply(&from).is_err());
        let last = Committee { epoch: u64::MAX, ..from };
        assert!(change.apply(&last).is_err());
    }
}
