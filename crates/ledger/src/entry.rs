//! What the state holds: one table per kind of entry `[H9]`.

use certify::hash::Digest;
use certify::wire::{Bounded, Canonical, Malformed, Reader};
use certify::{Committee, spell_enum, spell_struct};

use crate::address::ADDRESS_MAX;
use crate::parameters::Parameters;

/// Most records and repetitions of one block: the items of one round.
pub const ITEMS_MAX: usize = 512;
/// Most validators that compete for seats.
pub const CANDIDATES_MAX: usize = 512;
/// Most withdrawals of one validator that wait.
pub const UNBONDINGS_MAX: usize = 32;
/// Most things that fall due in one block.
pub const DUE_MAX: usize = 65_536;
/// From so many on no withdrawal and no vote is added, so that the ledger's own always fit.
pub const RELEASES_MAX: usize = 1_024;
/// Most bytes of a proof of possession.
pub const POSSESSION_MAX: usize = 256;

/// An account: the bytes of an Ed25519 key.
pub type AccountKey = Digest;

/// A table of the state.
pub trait Table {
    /// First byte of its keys.
    const NAMESPACE: u8;
    /// What its entries are found by.
    type Key: Canonical;
    /// What they say.
    type Value: Canonical;
    /// Units of money that an entry holds.
    fn money(_: &Self::Value) -> u128 {
        0
    }
}

macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident = $namespace:literal, $key:ty => $value:ty $(, $holds:expr)?;)*) => {
        $($(#[$doc])* pub enum $name {}
        impl Table for $name {
            const NAMESPACE: u8 = $namespace;
            type Key = $key;
            type Value = $value;
            $(fn money(value: &$value) -> u128 {
                let holds: fn(&$value) -> u128 = $holds;
                holds(value)
            })?
        })*

        /// Units of money in an entry, whatever table it is of.
        ///
        /// # Errors
        /// Bytes that are no entry, or of no table.
        pub fn money(namespace: u8, value: &[u8]) -> Result<u128, Malformed> {
            match namespace {
                $($namespace => Ok($name::money(&certify::decode(value)?)),)*
                found => Err(Malformed::Choice { what: "table", found }),
            }
        }
    };
}

tables! {
    /// Accounts by key.
    Accounts = 1, AccountKey => Account, |account| u128::from(account.balance);
    /// Validators by account.
    Validators = 2, AccountKey => Validator, |validator| validator.slashable();
    /// Who competes for seats.
    Candidates = 3, () => Bounded<AccountKey, CANDIDATES_MAX>;
    /// Committees by epoch.
    Committees = 4, u64 => Committee;
    /// Records by the digest of their statement.
    Records = 5, Digest => Record, |record| u128::from(record.held);
    /// Statements by nullifier.
    Nullifiers = 6, Digest => Digest;
    /// Rounds of verdicts by the height that ordered them.
    Rounds = 7, u64 => Round;
    /// Commitments to verdicts by height and seat.
    Commitments = 8, (u64, u8) => Digest;
    /// Revealed verdicts by height and seat.
    Reveals = 9, (u64, u8) => Bounded<Shown, ITEMS_MAX>;
    /// Models by owner and identity, so that nobody can take another's name.
    Models = 10, (AccountKey, Digest) => Model;
    /// Data sets by owner and root.
    Datasets = 11, (AccountKey, Digest) => Dataset;
    /// Programs by digest.
    Programs = 12, Digest => Program;
    /// Classes of programs that are suspended, and since when.
    Suspended = 13, u32 => u64;
    /// The parameters that rule, and what else there is once.
    Present = 14, () => Chain;
    /// What falls due at a height.
    Dues = 15, u64 => Bounded<Due, DUE_MAX>;
    /// Open votes by what they are about.
    Ballots = 16, Digest => Ballot;
    /// Offences that were punished.
    Offences = 17, Digest => u64;
    /// Open cases by statement.
    Cases = 18, Digest => Case, |case| u128::from(case.held);
    /// What an epoch link says.
    Links = 19, Digest => Link;
    /// Records that were revealed as canaries of the protocol, and by whom.
    Canaries = 20, Digest => AccountKey;
    /// Versions of the verifier that were recalled, with the reason.
    RecalledVersions = 21, u16 => u16;
    /// Where money is that is nobody's.
    Treasuries = 22, () => Treasury, |treasury| treasury.all();
    /// What waits to be verified again.
    Queue = 23, u64 => Waiting;
    /// Statements by the height that ordered them, for good.
    Ordered = 24, u64 => Bounded<Digest, ITEMS_MAX>;
    /// Parameters that will rule.
    Coming = 25, () => (u64, Parameters);
    /// The recall that is being worked through.
    Sweeps = 26, () => Sweep;
    /// Accounts by the digest of a consensus key they once had.
    ConsensusKeys = 27, Digest => AccountKey;
}

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Transactions it has paid for.
    pub nonce: u64,
    /// Units it may spend.
    pub balance: u64,
    /// Its records that wait for their verdict.
    pub in_flight: u32,
}
spell_struct!(Account { nonce, balance, in_flight });

/// A validator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validator {
    /// Key for consensus, opaque.
    pub consensus: Bounded<u8, 128>,
    /// Where others reach it, or empty; see [`Address`](crate::address::Address).
    pub address: Bounded<u8, ADDRESS_MAX>,
    /// Units bonded.
    pub bond: u64,
    /// Units on their way out, by the height when they are free. They can still be slashed.
    pub unbonding: Bounded<(u64, u64), UNBONDINGS_MAX>,
    /// How often it was punished.
    pub offences: u32,
    /// Span of time, from 1, in which its stake was last counted among offenders'; 0 if never.
    pub counted: u64,
    /// Epoch, from 1, in which it last paid for an error; 0 if never.
    pub erred: u64,
    /// Rounds missed in this epoch.
    pub missed: u32,
    /// Canaries of the protocol that it still owes in this epoch.
    pub owed: u32,
    /// Blocks that it proposed in this epoch.
    pub proposed: u32,
    /// Height at which it was last punished for a trace; 0 if never.
    pub traced: u64,
}
spell_struct!(Validator {
    consensus,
    address,
    bond,
    unbonding,
    offences,
    counted,
    erred,
    missed,
    owed,
    proposed,
    traced
});

impl Validator {
    /// All that can be slashed.
    pub fn slashable(&self) -> u128 {
        let leaving = self.unbonding.iter().map(|(_, amount)| u128::from(*amount));
        leaving.fold(u128::from(self.bond), u128::saturating_add)
    }
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Ordered, without a verdict.
    Pending,
    /// Two thirds of stake said the same.
    Final {
        /// 0 accepted, else why it was rejected.
        code: u16,
        /// Height of the verdict.
        height: u64,
    },
    /// No quorum, however often asked; the fee was given back.
    Undecided {
        /// Height of giving up.
        height: u64,
    },
}
spell_enum!(Status, "status" { 0 => Pending {}, 1 => Final { code, height }, 2 => Undecided { height } });

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who pays.
    pub submitter: AccountKey,
    /// Program it is about.
    pub program: Digest,
    /// Digest of the proof's bytes.
    pub proof: Digest,
    /// Digest of the transaction's body, which says the rest.
    pub body: Digest,
    /// Version of the verifier its verdict is by.
    pub verifier: u16,
    /// Block that ordered it.
    pub ordered: u64,
    /// Fee that was offered.
    pub fee: u64,
    /// Part of it that waits for the verdict.
    pub held: u64,
    /// Where it stands.
    pub status: Status,
    /// Reason of a recall by its submitter, 0 if there is none.
    pub recalled: u16,
    /// Height of the round the two sets below are of.
    pub voted: u64,
    /// Seats that revealed accept, by number.
    pub accept: u128,
    /// Seats that revealed reject.
    pub reject: u128,
}
spell_struct!(Record {
    submitter,
    program,
    proof,
    body,
    verifier,
    ordered,
    fee,
    held,
    status,
    recalled,
    voted,
    accept,
    reject,
});

/// Why an item is in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It was just ordered.
    Order,
    /// Its verdict is in doubt.
    Case,
    /// The verifier that judged it was recalled.
    Again,
    /// It was settled, and who still has its proof is paid.
    Custody,
}
spell_enum!(Purpose, "purpose" { 0 => Order {}, 1 => Case {}, 2 => Again {}, 3 => Custody {} });

/// A record in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which.
    pub statement: Digest,
    /// Why.
    pub purpose: Purpose,
    /// How often before for want of a quorum.
    pub tries: u8,
    /// Seats that revealed accept.
    pub accept: u128,
    /// Seats that revealed reject.
    pub reject: u128,
    /// Stake of the former.
    pub accept_stake: u64,
    /// Stake of the latter.
    pub reject_stake: u64,
    /// Stake of seats that revealed that they do not have the proof.
    pub abstain_stake: u64,
    /// The verdict, as soon as there is one.
    pub verdict: Option<u16>,
}
spell_struct!(Item {
    statement,
    purpose,
    tries,
    accept,
    reject,
    accept_stake,
    reject_stake,
    abstain_stake,
    verdict
});

/// What one block ordered, and what the seats say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Epoch whose committee decides.
    pub epoch: u64,
    /// Digest of the ordering block; zero until the next block.
    pub beacon: Digest,
    /// Last height for commitments.
    pub commit_until: u64,
    /// Last height for reveals.
    pub reveal_until: u64,
    /// Version of the verifier to use.
    pub verifier: u16,
    /// What is judged.
    pub items: Bounded<Item, ITEMS_MAX>,
}
spell_struct!(Round { epoch, beacon, commit_until, reveal_until, verifier, items });

/// Code of a rejection: the proof has another length than was paid for.
pub const WRONG_LENGTH: u16 = 1;
/// Code of a rejection: the statement is not what the submission says of it.
pub const WRONG_STATEMENT: u16 = 2;
/// First code that the verifier's own refusals take.
pub const REFUSED: u16 = 16;
/// Not a verdict: the seat does not have the proof.
pub const ABSTAIN: u16 = u16::MAX;

/// What one seat says of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// 0 accept, [`ABSTAIN`], else why not.
    pub code: u16,
    /// That the seat ran the verifier: see [`execution_digest`](crate::verdict::execution_digest).
    pub execution: Digest,
}
spell_struct!(Shown { code, execution });

impl Shown {
    /// Whether it accepts; `None` if it abstains.
    pub fn accepts(&self) -> Option<bool> {
        (self.code != ABSTAIN).then_some(self.code == 0)
    }
}

/// A registered model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its program.
    pub program: Digest,
    /// Root of the hidden weights, or digest of public ones.
    pub weights: Digest,
    /// Links from the identity to `weights`.
    pub links: u32,
    /// Block of the last change.
    pub height: u64,
}
spell_struct!(Model { program, weights, links, height });

/// A registered data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Digest of its schema.
    pub schema: Digest,
    /// Digest of its source's signature.
    pub source: Digest,
    /// Block of registration.
    pub height: u64,
}
spell_struct!(Dataset { schema, source, height });

/// What a program costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Who registered it first.
    pub owner: AccountKey,
    /// Worst-case work of verifying one proof.
    pub work: u64,
    /// Its class.
    pub class: u32,
    /// Reason of a recall by its owner, 0 if there is none.
    pub recalled: u16,
}
spell_struct!(Program { owner, work, class, recalled });

/// What there is once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Digest of genesis.
    pub network: Digest,
    /// Last block.
    pub height: u64,
    /// Its time.
    pub time: u64,
    /// Units of money, all of them, for ever.
    pub supply: u64,
    /// Price of a unit of work.
    pub work_price: u64,
    /// Price of a byte.
    pub byte_price: u64,
    /// First and one past the last number of [`Queue`].
    pub queue: (u64, u64),
    /// Rounds settled in this epoch.
    pub rounds: u32,
    /// Records settled for which no canary is owed yet.
    pub records: u64,
    /// Stake that offended, by span of time.
    pub offended: Bounded<(u64, u64), 16>,
    /// The parameters.
    pub parameters: Parameters,
}
spell_struct!(Chain {
    network,
    height,
    time,
    supply,
    work_price,
    byte_price,
    queue,
    rounds,
    records,
    offended,
    parameters,
});

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The reveals of a round end.
    Settle {
        /// Its height.
        round: u64,
    },
    /// Nobody needs the reveals of a round any more.
    Forget {
        /// Its height.
        round: u64,
    },
    /// A validator's money is free.
    Release {
        /// Whose.
        account: AccountKey,
    },
    /// The epoch of a vote is over.
    Close {
        /// What it was about.
        subject: Digest,
    },
}
spell_enum!(Due, "due" {
    0 => Settle { round },
    1 => Forget { round },
    2 => Release { account },
    3 => Close { subject },
});

/// An open vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// Epoch whose seats vote; a later epoch begins anew.
    pub epoch: u64,
    /// Seats in favour.
    pub seats: u128,
}
spell_struct!(Ballot { epoch, seats });

/// A verdict in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Who doubts; nobody if the round itself gave reason to.
    pub reporter: Option<AccountKey>,
    /// What the reporter pays for verifying again.
    pub held: u64,
}
spell_struct!(Case { reporter, held });

/// What a link would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The model: its owner and identity.
    pub model: (AccountKey, Digest),
    /// The weights it leads to.
    pub weights: Digest,
    /// The weights it starts from.
    pub from: Digest,
    /// Whether the model went this step.
    pub gone: bool,
}
spell_struct!(Link { model, weights, from, gone });

/// Money that is nobody's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Treasury {
    /// Gone for good.
    pub burned: u64,
    /// For those who keep proofs.
    pub archive: u64,
    /// For canaries of the protocol.
    pub canaries: u64,
    /// For those who proposed this epoch's blocks.
    pub proposers: u64,
}
spell_struct!(Treasury { burned, archive, canaries, proposers });

impl Treasury {
    fn all(&self) -> u128 {
        [self.burned, self.archive, self.canaries, self.proposers]
            .into_iter()
            .map(u128::from)
            .fold(0, u128::saturating_add)
    }
}

/// What waits to be verified again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which record.
    pub statement: Digest,
    /// Why.
    pub purpose: Purpose,
    /// How often before.
    pub tries: u8,
}
spell_struct!(Waiting { statement, purpose, tries });

/// A recall that is being worked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The version recalled.
    pub version: u16,
    /// Next height to look at.
    pub next: u64,
    /// Last height.
    pub last: u64,
}
spell_struct!(Sweep { version, next, last });

/// The key of an entry.
pub fn key_of<T: Table>(key: &T::Key) -> Vec<u8> {
    let mut bytes = vec![T::NAMESPACE];
    key.write(&mut bytes);
    bytes
}

/// The value of an entry.
///
/// # Errors
/// Bytes that are no entry of this table.
pub fn read_value<T: Table>(bytes: &[u8]) -> Result<T::Value, Malformed> {
    let mut reader = Reader::new(bytes);
    let value = T::Value::read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}
