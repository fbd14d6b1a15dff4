//! Who gets which part of a fee `[H24]`. Every share is rounded down and what is left is burned, so that nothing is gained by
//! cutting money or stake in pieces.

use std::collections::BTreeMap;

use certify::Committee;

use crate::amount::{add, share, sub};
use crate::entry::AccountKey;
use crate::parameters::{Parameters, WHOLE};
use crate::store::Fault;
use crate::verdict::holds;
use crate::work::Work;

/// What a settlement pays, added up before it is written.
#[derive(Debug, Default)]
pub(crate) struct Payout {
    /// What goes back.
    credits: BTreeMap<AccountKey, u64>,
    /// What is earned.
    rewards: BTreeMap<AccountKey, u64>,
    burned: u64,
    archive: u64,
    canaries: u64,
}

impl Payout {
    pub fn credit(&mut self, account: AccountKey, amount: u64) -> Result<(), Fault> {
        let sum = self.credits.entry(account).or_default();
        *sum = add(*sum, amount)?;
        Ok(())
    }

    /// As [`credit`](Self::credit), of what is earned.
    pub fn reward(&mut self, account: AccountKey, amount: u64) -> Result<(), Fault> {
        let sum = self.rewards.entry(account).or_default();
        *sum = add(*sum, amount)?;
        Ok(())
    }

    /// Splits what is left of a fee after the proposer's share. A seat's part is by its share of *all* stake, so nobody
    /// earns more because another is absent; what absent seats would get is burned.
    pub fn fee(
        &mut self,
        rules: &Parameters,
        held: u64,
        committee: &Committee,
        correct: u128,
    ) -> Result<(), Fault> {
        let whole = WHOLE.saturating_sub(rules.proposer_share);
        let archive = share(held, rules.archive_share, whole);
        let canaries = share(held, rules.canary_share, whole);
        let verifiers = share(held, rules.verifier_share, whole);
        let (total, mut rest) = (committee.stake(), sub(sub(held, archive)?, canaries)?);
        for (_, seat) in committee.seats.iter().enumerate().filter(|(number, _)| holds(correct, *number)) {
            let part = share(verifiers, seat.stake, total);
            rest = sub(rest, part)?;
            self.reward(seat.account, part)?;
        }
        self.archive = add(self.archive, archive)?;
        self.canaries = add(self.canaries, canaries)?;
        self.burned = add(self.burned, rest)?;
        Ok(())
    }

    /// Splits a pot by weights of less than 2^96; what rounding leaves is burned, and all of it if nobody has weight.
    pub fn by_weight(&mut self, pot: u64, weights: &[(AccountKey, u128)]) -> Result<(), Fault> {
        let all = weights.iter().fold(0u128, |all, (_, weight)| all.saturating_add(*weight));
        let mut rest = pot;
        for (account, weight) in weights {
            // In parts of 2^32, rounded down: product and pot stay within 2^128.
            let part = (weight << 32u32).checked_div(all).unwrap_or_default();
            let part = share(pot, part, 1u64 << 32u32);
            rest = sub(rest, part)?;
            self.reward(*account, part)?;
        }
        self.burned = add(self.burned, rest)?;
        Ok(())
    }

    pub fn write(self, work: &mut Work<'_>) -> Result<(), Fault> {
        for (account, amount) in &self.credits {
            work.credit(account, *amount)?;
        }
        for (account, amount) in &self.rewards {
            work.reward(account, *amount)?;
        }
        work.treasury(|treasury| {
            treasury.burned = add(treasury.burned, self.burned)?;
            treasury.archive = add(treasury.archive, self.archive)?;
            treasury.canaries = add(treasury.canaries, self.canaries)?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use certify::{Bounded, Seat};

    fn committee(stakes: &[u64]) -> Committee {
        let seat = |(i, stake): (usize, &u64)| Seat {
            account: [i as u8; 32],
            consensus: Bounded::default(),
            stake: *stake,
        };
        Committee { epoch: 0, seats: Bounded::new(stakes.iter().enumerate().map(seat).collect()).unwrap() }
    }

    fn split(held: u64, stakes: &[u64], correct: u128) -> Payout {
        let mut payout = Payout::default();
        payout.fee(&Parameters::default(), held, &committee(stakes), correct).unwrap();
        payout
    }

    #[test]
    fn the_split_is_exact_and_by_stake() {
        // 8,000 are left of a fee of 10,000 after the proposer's 2,000.
        let payout = split(8_000, &[1, 2, 1], 0b011);
        assert_eq!(payout.rewards, BTreeMap::from([([0; 32], 1_250), ([1; 32], 2_500)]));
        assert_eq!((payout.archive, payout.canaries, payout.burned), (1_000, 20, 3_230));
    }

    #[test]
    fn a_pot_is_split_by_weight() {
        let split = |pot, weights: &[u128]| {
            let mut payout = Payout::default();
            let list: Vec<_> =
                weights.iter().enumerate().map(|(i, weight)| ([i as u8; 32], *weight)).collect();
            payout.by_weight(pot, &list).unwrap();
            (payout.rewards.into_values().collect::<Vec<_>>(), payout.burned)
        };
        assert_eq!(split(1_000, &[1, 3, 0]), (vec![250, 750, 0], 0));
        assert_eq!(split(10, &[1, 1, 1]), (vec![3, 3, 3], 1));
        assert_eq!(split(7, &[]), (vec![], 7));
        assert_eq!(split(7, &[0, 0]), (vec![0, 0], 7));
        // The largest bond, a proposer of every block of the longest epoch, and all the money.
        let most = 10u128.pow(18 + 7);
        let (paid, burned) = split(u64::MAX, &[most, most]);
        assert!(paid[0] == paid[1] && u128::from(paid[0]) * 2 + u128::from(burned) == u128::from(u64::MAX));
        assert!(burned < 1 << 33);
        // Of one stake on one seat or on four, which propose as often as all others do, nobody has more.
        let one = split(1 << 40, &[400 * 100, 100 * 100]);
        let many = split(1 << 40, &[100 * 40, 100 * 40, 100 * 40, 100 * 40, 100 * 40]);
        assert!(many.0[..4].iter().sum::<u64>().abs_diff(one.0[0]) < 1 << 9);
    }

    #[test]
    fn nothing_is_made_or_lost_and_cutting_never_pays() {
        for held in [0, 1, 2, 3, 7, 10, 99, 1_001, u64::MAX] {
            let paid = |payout: &Payout| payout.rewards.values().map(|&v| u128::from(v)).sum::<u128>();
            let one = split(held, &[6, 3], 0b01);
            let all =
                paid(&one) + u128::from(one.burned) + u128::from(one.archive) + u128::from(one.canaries);
            assert_eq!(all, u128::from(held));
            // The same stake on three seats, or the same fee in two records.
            assert!(paid(&split(held, &[2, 2, 2, 3], 0b0111)) <= paid(&one));
            let halves = paid(&split(held / 2, &[6, 3], 1)) + paid(&split(held - held / 2, &[6, 3], 1));
            assert!(halves <= paid(&one));
        }
    }
}
