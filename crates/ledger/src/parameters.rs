//! Every number the rules depend on, with its unit and the range it must lie in `[H40]`.

use std::fmt;

use crate::admission::engine_work;

/// Parts of a whole: 10,000 basis points are all of it.
pub const WHOLE: u64 = 10_000;
/// Parts of a whole in rates that are small.
pub const MILLION: u64 = 1_000_000;

macro_rules! parameters {
    ($($(#[$doc:meta])* $name:ident : $type:ty = $default:literal, $low:literal ..= $high:literal;)*) => {
        /// The numbers that the rules of the ledger depend on. Heights and spans are in blocks, money in units,
        /// shares in basis points.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Parameters {
            $($(#[$doc])* #[doc = concat!(" From ", stringify!($low), " to ", stringify!($high), ".")]
            pub $name: $type,)*
        }
        certify::spell_struct!(Parameters { $($name),* });

        impl Default for Parameters {
            fn default() -> Self {
                Self { $($name: $default),* }
            }
        }

        impl Parameters {
            /// All of them, by name, in order.
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), u64::from(self.$name))),*]
            }

            /// Sets one by its name; `None` if there is none, or its type cannot hold the value. Whether it may be so is for
            /// [`validate`](Self::validate).
            pub fn set(&mut self, name: &str, value: u64) -> Option<()> {
                match name {
                    $(stringify!($name) => self.$name = <$type>::try_from(value).ok()?,)*
                    _ => return None,
                }
                Some(())
            }

            fn out_of_range(&self) -> Option<Unfit> {
                $(if !($low..=$high).contains(&self.$name) {
                    return Some(Unfit::Range {
                        name: stringify!($name), low: $low, high: $high, found: u64::from(self.$name),
                    });
                })*
                None
            }
        }
    };
}

parameters! {
    /// Blocks of an epoch; fixed for the life of a network, since the engine counts in it.
    epoch_blocks: u64 = 36_000, 4 ..= 10_000_000;
    /// Most bytes of a block's paid transactions and the proofs they name.
    block_bytes: u64 = 8_000_000, 100_000 ..= 1_000_000_000;
    /// Most work of a block, in units: microseconds of verifying on the reference machine.
    block_work: u64 = 100_000, 1_000 ..= 1_000_000_000;
    /// Work that every paid transaction counts for, in units.
    transaction_work: u64 = 100, 1 ..= 1_000_000;
    /// Least price of one unit of work.
    least_work_price: u64 = 1_000, 1 ..= 1_000_000_000;
    /// Least price of one byte.
    least_byte_price: u64 = 100, 1 ..= 1_000_000_000;
    /// A full or an empty block moves a price by one part in this many.
    price_inertia: u64 = 8, 2 ..= 1_000;
    /// Most records of one account that wait for their verdict.
    in_flight: u32 = 64, 1 ..= 65_535;
    /// Blocks after the ordering one in which verdicts are committed.
    commit_blocks: u64 = 8, 1 ..= 10_000;
    /// Blocks after that in which they are revealed.
    reveal_blocks: u64 = 8, 1 ..= 10_000;
    /// Blocks after that for which execution digests are kept, as evidence.
    trace_blocks: u64 = 12_000, 1 ..= 10_000_000;
    /// Rounds that a record goes through at most for want of a quorum.
    tries: u8 = 3, 1 ..= 100;
    /// Records per block that are verified again, at most.
    again_items: u32 = 16, 1 ..= 256;
    /// Blocks from `Unbond` until the money is free; until then it can be slashed.
    unbonding_blocks: u64 = 18_144_000, 16 ..= 1_000_000_000;
    /// Seats of a committee.
    seats: u32 = 64, 1 ..= 128;
    /// Least bond of a seat.
    least_bond: u64 = 1_000_000_000_000, 1 ..= 1_000_000_000_000_000_000;
    /// Share of a record's fee for seats that revealed the final bit in time.
    verifier_share: u64 = 5_000, 0 ..= 10_000;
    /// Share of every fee for the proposer of the block.
    proposer_share: u64 = 2_000, 0 ..= 9_000;
    /// Share of a record's fee for those who keep proofs.
    archive_share: u64 = 1_000, 0 ..= 10_000;
    /// Blocks for which a record's proof may be asked for.
    custody_blocks: u64 = 864_000, 1 ..= 1_000_000_000;
    /// Of so many rounds one asks for an older proof; 0: none does.
    custody_rounds: u32 = 4, 0 ..= 1_000_000;
    /// Share of a record's fee that pays for canaries of the protocol. The rest is burned.
    canary_share: u64 = 20, 0 ..= 1_000;
    /// What a first offence costs of the bond; it doubles with each further one.
    first_offence: u64 = 100, 1 ..= 10_000;
    /// Together with others an offender loses this many times the fraction that offended.
    correlation: u64 = 3, 0 ..= 100;
    /// Below this fraction of stake offenders are not counted together.
    correlation_floor: u64 = 500, 0 ..= 10_000;
    /// Blocks within which offenders are counted together.
    correlation_blocks: u64 = 864_000, 8 ..= 1_000_000_000;
    /// Share of a slash for whoever brought it about. The rest is burned.
    reporter_share: u64 = 5_000, 0 ..= 9_000;
    /// Dissent above this fraction of stake is looked at again, and there suspends the class.
    dissent: u64 = 500, 1 ..= 3_333;
    /// Part of the bond, in millionths, that a seat loses per epoch in which it was absent or owed canaries.
    leak: u64 = 100, 0 ..= 10_000;
    /// A seat was absent that missed more than this share of the rounds of an epoch.
    absence: u64 = 5_000, 0 ..= 10_000;
    /// Canaries of the protocol, per million records; lots say who owes them.
    canary_rate: u64 = 1_000, 0 ..= 100_000;
    /// Blocks from the vote on parameters until they rule.
    parameter_delay: u64 = 72_000, 1 ..= 100_000_000;
    /// The version of the verifier that verdicts are given by.
    verifier: u16 = 1, 1 ..= 65_535;
}

/// Why parameters are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// A number lies outside its range.
    Range {
        /// The parameter.
        name: &'static str,
        /// Least.
        low: u64,
        /// Most.
        high: u64,
        /// Found.
        found: u64,
    },
    /// Two numbers do not fit each other.
    Relation {
        /// What should hold.
        what: &'static str,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { name, low, high, found } => {
                write!(f, "parameter {name} is {found}, it must be from {low} to {high}")
            }
            Self::Relation { what } => write!(f, "parameters do not fit: {what}"),
        }
    }
}

impl std::error::Error for Unfit {}

impl Parameters {
    /// Blocks from ordering to settlement.
    pub fn round_blocks(&self) -> u64 {
        self.commit_blocks.saturating_add(self.reveal_blocks)
    }

    /// Whether the rules hold together under these numbers.
    ///
    /// # Errors
    /// The first range or relation that does not hold.
    pub fn validate(&self) -> Result<(), Unfit> {
        if let Some(unfit) = self.out_of_range() {
            return Err(unfit);
        }
        let shares = [self.verifier_share, self.proposer_share, self.archive_share, self.canary_share];
        let relations = [
            (
                shares.into_iter().fold(0, u64::saturating_add) < WHOLE,
                "shares of a fee are less than all of it",
            ),
            (
                self.unbonding_blocks
                    > self.round_blocks().saturating_mul(u64::from(self.tries)).saturating_mul(4),
                "unbonding takes longer than four times all rounds of a record",
            ),
            (
                self.unbonding_blocks > self.trace_blocks.saturating_add(self.round_blocks()),
                "unbonding takes longer than reveals are kept",
            ),
            (self.transaction_work <= self.block_work, "one transaction fits a block"),
            (
                engine_work(usize::try_from(self.seats).unwrap_or(usize::MAX))
                    .saturating_add(self.transaction_work)
                    <= self.block_work,
                "evidence of the engine fits a block",
            ),
        ];
        match relations.into_iter().find(|(holds, _)| !holds) {
            Some((_, what)) => Err(Unfit::Relation { what }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_fit_and_others_do_not() {
        assert_eq!(Parameters::default().validate(), Ok(()));
        let bad = [
            (Parameters { seats: 129, ..Parameters::default() }, "seats"),
            (Parameters { verifier: 0, ..Parameters::default() }, "verifier"),
            (Parameters { verifier_share: 7_000, ..Parameters::default() }, "shares"),
            (Parameters { unbonding_blocks: 100, ..Parameters::default() }, "all rounds"),
            (Parameters { unbonding_blocks: 12_000, ..Parameters::default() }, "kept"),
            (
                Parameters { transaction_work: 5_000, block_work: 1_000, ..Parameters::default() },
                "one transaction",
            ),
            (Parameters { block_work: 30_000, ..Parameters::default() }, "the engine"),
        ];
        for (parameters, word) in bad {
            let text = parameters.validate().unwrap_err().to_string();
            assert!(text.contains(word), "{text}");
        }
    }
}
