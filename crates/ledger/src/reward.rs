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
    credits: BTreeMap<AccountKey, u64>,
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
            self.credit(seat.account, part)?;
        }
        self.archive = add(self.archive, archive)?;
        self.canaries = add(self.canaries, canaries)?;
        self.burned = add(self.burned, rest)?;
        Ok(())
    }

    pub fn write(self, work: &mut Work<'_>) -> Result<(), Fault> {
        for (account, amount) in &self.credits {
            work.credit(account, *amount)?;
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
        assert_eq!(payout.credits, BTreeMap::from([([0; 32], 1_250), ([1; 32], 2_500)]));
        assert_eq!((payout.archive, payout.canaries, payout.burned), (1_000, 20, 3_230));
    }

    #[test]
    fn nothing_is_made_or_lost_and_cutting_never_pays() {
        for held in [0, 1, 2, 3, 7, 10, 99, 1_001, u64::MAX] {
            let paid = |payout: &Payout| payout.credits.values().map(|&v| u128::from(v)).sum::<u128>();
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
