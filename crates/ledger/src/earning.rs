//! What a block pays and takes, for those who keep accounts of it. None of it is in the state, which has balances and bonds.

use certify::spell_enum;

use crate::entry::AccountKey;

/// What somebody earned: a part of a fee, or of what an offender lost. Money that goes back to whoever paid it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reward {
    /// Whose.
    pub account: AccountKey,
    /// Units, not 0.
    pub amount: u64,
}

/// Why stake was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It signed two messages on one round that contradict each other.
    Equivocation,
    /// It showed its verdicts while others could still commit.
    EarlyReveal,
    /// A case found the opposite of its verdict.
    WrongVerdict,
    /// Its execution digest comes from no run.
    WrongExecution,
    /// What the engine's evidence shows.
    Engine,
    /// In a case, where everyone looks, it said the opposite of what was found.
    Error,
    /// It committed, never showed to what, and something was rejected in that round.
    Withheld,
    /// It said that it has an older proof, and its digest comes from other bytes.
    WrongCustody,
}
spell_enum!(Cause, "cause" {
    1 => Equivocation {},
    2 => EarlyReveal {},
    3 => WrongVerdict {},
    4 => WrongExecution {},
    5 => Engine {},
    6 => Error {},
    7 => Withheld {},
    8 => WrongCustody {},
});

impl Cause {
    /// Its name, as interfaces spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Equivocation => "equivocation",
            Self::EarlyReveal => "early-reveal",
            Self::WrongVerdict => "wrong-verdict",
            Self::WrongExecution => "wrong-execution",
            Self::Engine => "engine",
            Self::Error => "error",
            Self::Withheld => "withheld",
            Self::WrongCustody => "wrong-custody",
        }
    }
}

/// Stake that was taken from a validator. What leaks at the end of an epoch from those who were absent is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Penalty {
    /// Whose.
    pub account: AccountKey,
    /// Units, not 0.
    pub lost: u64,
    /// Why.
    pub cause: Cause,
    /// Its offences until then, this one too if it counts as one.
    pub offences: u32,
}
