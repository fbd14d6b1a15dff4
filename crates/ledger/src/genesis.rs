//! How a network begins `[H11]`. The digest of its genesis is its name.

use std::fmt;

use certify::hash::{Digest, Purpose, hash};
use certify::wire::encode;
use certify::{Bounded, Committee, Header, list, spell_struct};

use crate::address::{ADDRESS_MAX, Address};
use crate::entry::{
    Account, AccountKey, Accounts, Candidates, Chain, Committees, ConsensusKeys, Present, Treasuries,
    Treasury, Validator, Validators,
};
use crate::parameters::{Parameters, Unfit, WHOLE};
use crate::stake::{elect, key_name};
use crate::state::State;
use crate::store::{Changes, Fault, MemoryStore};
use crate::work::epoch_of;

const GENESIS: Purpose = Purpose("zerotell/genesis/1");
/// Most units of money that a network begins with; sums of two never overflow.
pub const SUPPLY_MAX: u64 = 1 << 62;
/// Most accounts of a genesis.
pub const ACCOUNTS_MAX: usize = 65_536;
/// The most that `dissent` may be: a third.
pub const DISSENT_MAX: u64 = 3_333;

/// A validator from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founder {
    /// Its account.
    pub account: AccountKey,
    /// Its consensus key; whoever writes a genesis must have checked the proof of possession.
    pub consensus: Bounded<u8, 128>,
    /// Units it has bonded.
    pub bond: u64,
    /// Where others reach it, or empty.
    pub address: Bounded<u8, ADDRESS_MAX>,
}
spell_struct!(Founder { account, consensus, bond, address });

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
    /// A founder's address is none.
    Address,
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
            Self::Address => {
                write!(f, "a founder's address is neither empty nor written as IP:port or name:port")
            }
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

impl Beginning {
    /// What the largest seat has of all stake, in basis points, rounded up.
    pub fn largest_seat(&self) -> u64 {
        let largest = self.committee.seats.iter().map(|seat| u128::from(seat.stake)).max().unwrap_or(0);
        let part = largest.saturating_mul(WHOLE.into()).div_ceil(self.committee.stake().max(1));
        u64::try_from(part).unwrap_or(WHOLE)
    }

    /// The `dissent` that suits these seats: the usual one, or so much more that no seat alone is above it and could have
    /// classes of programs suspended by itself. Never above [`DISSENT_MAX`]: of fewer than four seats one alone is.
    pub fn fitting_dissent(&self) -> u64 {
        self.largest_seat().clamp(Parameters::default().dissent, DISSENT_MAX)
    }
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
            if !founder.address.is_empty() && Address::read(&founder.address).is_none() {
                return Err(GenesisRefusal::Address);
            }
            sum = sum.checked_add(founder.bond).ok_or(GenesisRefusal::Supply)?;
            let Founder { account, consensus, bond, address } = founder.clone();
            let validator = Validator { consensus, address, bond, ..Validator::default() };
            state.put::<Validators>(&account, &validator);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::audit;
    use certify::wire::decode;

    fn genesis(balances: &[u64], bonds: &[u64]) -> Genesis {
        let account = |i: usize| [i as u8; 32];
        let founder = |(i, bond): (usize, &u64)| Founder {
            account: account(i),
            consensus: Bounded::new(vec![i as u8; 96]).unwrap(),
            bond: *bond,
            address: Bounded::default(),
        };
        Genesis {
            time: 5,
            balances: Bounded::new(balances.iter().enumerate().map(|(i, b)| (account(i), *b)).collect())
                .unwrap(),
            founders: Bounded::new(bonds.iter().enumerate().map(founder).collect()).unwrap(),
            parameters: Parameters { least_bond: 10, ..Parameters::default() },
        }
    }

    #[test]
    fn a_network_begins_with_all_its_money() {
        let genesis = genesis(&[0, 7, SUPPLY_MAX - 27], &[20, 0]);
        let beginning = genesis.begin().unwrap();
        let mut store = MemoryStore::default();
        store.apply(beginning.changes);
        assert_eq!(audit(&store), Ok(()));
        assert_eq!(beginning.committee.seats.len(), 1, "a bond below the least has no seat");
        assert_eq!(decode::<Genesis>(&encode(&genesis)), Ok(genesis));
    }

    #[test]
    fn no_seat_alone_is_above_the_fitting_dissent() {
        let fitting = |bonds: &[u64]| {
            let mut genesis = genesis(&[], bonds);
            let beginning = genesis.begin().unwrap();
            genesis.parameters.dissent = beginning.fitting_dissent();
            assert!(genesis.begin().is_ok(), "it is a dissent that may be");
            // As a settlement counts it.
            let of = beginning.committee.stake() * u128::from(genesis.parameters.dissent);
            let largest = beginning.committee.seats.iter().map(|seat| seat.stake).max().unwrap();
            (genesis.parameters.dissent, u128::from(largest) * u128::from(WHOLE) > of)
        };
        assert_eq!(fitting(&[10; 20]), (500, false));
        assert_eq!(fitting(&[10; 64]), (500, false));
        assert_eq!(fitting(&[10; 19]), (527, false));
        assert_eq!(fitting(&[10; 7]), (1_429, false));
        assert_eq!(fitting(&[10; 4]), (2_500, false));
        assert_eq!(fitting(&[30, 20, 20, 20]), (3_333, true), "a third and no more");
        assert_eq!(fitting(&[10; 3]), (DISSENT_MAX, true));
        assert_eq!(fitting(&[10]), (DISSENT_MAX, true));
        // Who has no seat does not count.
        assert_eq!(fitting(&[10, 10, 10, 10, 9]), (2_500, false));
        let unfit = Parameters { dissent: DISSENT_MAX + 1, ..Parameters::default() };
        assert!(unfit.validate().is_err());
    }

    #[test]
    fn refusals() {
        let refuse = |genesis: &Genesis| genesis.begin().unwrap_err();
        assert_eq!(refuse(&genesis(&[u64::MAX, 1], &[10])), GenesisRefusal::Supply);
        assert_eq!(refuse(&genesis(&[SUPPLY_MAX], &[10])), GenesisRefusal::Supply);
        assert_eq!(refuse(&genesis(&[], &[u64::MAX, u64::MAX])), GenesisRefusal::Supply);
        assert_eq!(refuse(&genesis(&[1], &[9])), GenesisRefusal::NoSeat);
        let mut twice = genesis(&[1, 2], &[10, 20]);
        twice.balances.get_mut(1).unwrap().0 = [0; 32];
        assert_eq!(refuse(&twice), GenesisRefusal::Twice);
        let mut twice = genesis(&[1], &[10, 20]);
        twice.founders.get_mut(1).unwrap().consensus = Bounded::new(vec![0; 96]).unwrap();
        assert_eq!(refuse(&twice), GenesisRefusal::Twice);
        let mut lost = genesis(&[1], &[10]);
        lost.founders.get_mut(0).unwrap().address = Bounded::new(b"nowhere".to_vec()).unwrap();
        assert_eq!(refuse(&lost), GenesisRefusal::Address);
        lost.founders.get_mut(0).unwrap().address = Bounded::new(b"nowhere:1".to_vec()).unwrap();
        assert!(lost.begin().is_ok());
        let mut unfit = genesis(&[1], &[10]);
        unfit.parameters.seats = 0;
        assert!(matches!(refuse(&unfit), GenesisRefusal::Parameters(_)));
    }

    /// A state that was tampered with is found.
    #[test]
    fn the_audit_finds_what_does_not_hold() {
        let beginning = genesis(&[5, 7], &[20]).begin().unwrap();
        let good = {
            let mut store = MemoryStore::default();
            store.apply(beginning.changes);
            store
        };
        let tampered = |key: Vec<u8>, value: Option<Vec<u8>>| {
            let mut store = good.clone();
            store.apply(Changes::from([(key, value)]));
            audit(&store).unwrap_err().to_string()
        };
        let account = crate::entry::key_of::<Accounts>(&[1; 32]);
        let richer = encode(&Account { balance: 8, ..Account::default() });
        assert!(tampered(account.clone(), Some(richer)).contains("units of money"));
        let busier = encode(&Account { balance: 7, nonce: 1, ..Account::default() });
        assert!(tampered(account.clone(), Some(busier)).contains("root"));
        assert!(tampered(account, Some(vec![1])).contains("table 1"));
        assert!(tampered(vec![99], Some(vec![])).contains("table 99"));
        assert!(tampered(vec![crate::tree::NODES, 9], Some(vec![0, 0, 0, 0, 0])).contains("nodes"));
        let committee = crate::entry::key_of::<Committees>(&0);
        assert!(!tampered(committee, None).is_empty());
    }
}
