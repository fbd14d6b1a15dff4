//! How a network begins `[G11]`. The digest of its genesis is its name.

use std::fmt;

use certify::hash::{Digest, Purpose, hash};
use certify::wire::encode;
use certify::{Bounded, Committee, Header, list, spell_struct};

use crate::entry::{
    Account, AccountKey, Accounts, Candidates, Chain, Committees, ConsensusKeys, Present, Treasuries,
    Treasury, Validator, Validators,
};
use crate::parameters::{Parameters, Unfit};
use crate::stake::{elect, key_name};
use crate::state::State;
use crate::store::{Changes, Fault, MemoryStore};
use crate::work::epoch_of;

const GENESIS: Purpose = Purpose("zerotell/genesis/1");
/// Most units of money that a network begins with; sums of two never overflow.
pub const SUPPLY_MAX: u64 = 1 << 62;
/// Most accounts of a genesis.
pub const ACCOUNTS_MAX: usize = 65_536;

/// A validator from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founder {
    /// Its account.
    pub account: AccountKey,
    /// Its consensus key; whoever writes a genesis must have checked the proof of possession.
    pub consensus: Bounded<u8, 128>,
    /// Units it has bonded.
    pub bond: u64,
}
spell_struct!(Founder { account, consensus, bond });

/// What a network begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// Milliseconds since 1970.
    pub time: u64,
    /// Accounts and their units.
    pub balances: Bounded<(AccountKey, u64), ACCOUNTS_MAX>,
    /// Validators.
    pub founders: Bounded<Founder, 512>,
    /// The rules' numbers.
    pub parameters: Parameters,
}
spell_struct!(Genesis { time, balances, founders, parameters });

/// Why nothing can begin with this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenesisRefusal {
    /// The parameters.
    Parameters(Unfit),
    /// An account or a founder is named twice.
    Twice,
    /// No founder bonds enough for a seat.
    NoSeat,
    /// More money than may be.
    Supply,
    /// The machine failed.
    Fault(Fault),
}

impl fmt::Display for GenesisRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameters(unfit) => unfit.fmt(f),
            Self::Twice => write!(f, "the genesis names an account, a founder or a consensus key twice"),
            Self::NoSeat => write!(f, "no founder of the genesis bonds the minimum and has a consensus key"),
            Self::Supply => write!(f, "the genesis has more than 2^62 units of money"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for GenesisRefusal {}

impl From<Fault> for GenesisRefusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The first state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The block of height 0.
    pub header: Header,
    /// Who decides in epoch 0.
    pub committee: Committee,
    /// What to write to an empty store.
    pub changes: Changes,
}

impl Genesis {
    /// The network's name.
    pub fn network(&self) -> Digest {
        hash(GENESIS, &[&encode(self)])
    }

    /// The first state and its header.
    ///
    /// # Errors
    /// [`GenesisRefusal`].
    pub fn begin(&self) -> Result<Beginning, GenesisRefusal> {
        self.parameters.validate().map_err(GenesisRefusal::Parameters)?;
        let empty = MemoryStore::default();
        let mut state = State::new(&empty);
        let supply = self.accounts(&mut state)?.checked_add(self.validators(&mut state)?);
        let supply = supply.filter(|supply| *supply <= SUPPLY_MAX).ok_or(GenesisRefusal::Supply)?;
        let seats = elect(&state, self.parameters.seats, self.parameters.least_bond)?;
        if seats.is_empty() {
            return Err(GenesisRefusal::NoSeat);
        }
        let committee = Committee { epoch: epoch_of(&self.parameters, 0), seats };
        state.put::<Committees>(&0, &committee);
        state.put::<Treasuries>(&(), &Treasury::default());
        state.put::<Present>(&(), &self.chain(supply));
        let (root, changes) = state.finish_genesis()?;
        Ok(Beginning { header: self.header(root, &committee), committee, changes })
    }

    fn accounts(&self, state: &mut State<'_>) -> Result<u64, GenesisRefusal> {
        let mut sum = 0u64;
        for (account, balance) in self.balances.iter() {
            if state.has::<Accounts>(account)? {
                return Err(GenesisRefusal::Twice);
            }
            sum = sum.checked_add(*balance).ok_or(GenesisRefusal::Supply)?;
            state.put::<Accounts>(account, &Account { balance: *balance, ..Account::default() });
        }
        Ok(sum)
    }

    fn validators(&self, state: &mut State<'_>) -> Result<u64, GenesisRefusal> {
        let (mut sum, mut candidates) = (0u64, Bounded::default());
        for founder in self.founders.iter() {
            let name = key_name(&founder.consensus);
            if state.has::<Validators>(&founder.account)? || state.has::<ConsensusKeys>(&name)? {
                return Err(GenesisRefusal::Twice);
            }
            if founder.consensus.is_empty() {
                return Err(GenesisRefusal::NoSeat);
            }
            sum = sum.checked_add(founder.bond).ok_or(GenesisRefusal::Supply)?;
            let Founder { account, consensus, bond } = founder.clone();
            state.put::<Validators>(&account, &Validator { consensus, bond, ..Validator::default() });
            state.put::<ConsensusKeys>(&name, &account);
            candidates.push(account).map_err(|_| GenesisRefusal::Twice)?;
        }
        state.put::<Candidates>(&(), &candidates);
        Ok(sum)
    }

    fn chain(&self, supply: u64) -> Chain {
        Chain {
            network: self.network(),
            height: 0,
            time: self.time,
            supply,
            work_price: self.parameters.least_work_price,
            byte_price: self.parameters.least_byte_price,
            queue: (0, 0),
            rounds: 0,
            records: 0,
            offended: Bounded::default(),
            parameters: self.parameters.clone(),
        }
    }

    fn header(&self, state: Digest, committee: &Committee) -> Header {
        let nothing = list::root::<Vec<u8>>(&[]);
        Header {
            network: self.network(),
            height: 0,
            epoch: 0,
            time: self.time,
            proposer: [0; 32],
            parent: [0; 32],
            engine: [0; 32],
            transactions: nothing,
            state,
            outcomes: nothing,
            committee: committee.digest(),
            next: None,
        }
    }
}
