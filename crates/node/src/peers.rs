//! Whom this node keeps connections with `[U12]`: who decides, who may soon, and whom its operator names.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use certify::hash::Digest;
use commonware_p2p::{Address, AddressableTrackedPeers, Ingress};
use commonware_utils::ordered::Map;
use commonware_utils::{Hostname, IpAddrExt};
use ledger::address::Address as Spelled;
use ledger::entry::{AccountKey, Candidates, Committees, Validators};
use ledger::store::Fault;
use ledger::{State, epoch_of, present};

use crate::chain::{Chain, Finalised, Stuck};
use crate::scheme::{PeerKey, peer_key};

/// Blocks after which the state is looked at though nothing in it changed: rounds end without a trace in it.
const LOOK_EVERY: u64 = 16;
/// Candidates are let in whose bonds are among the largest, so many times as many as there are seats.
const NEAR: usize = 2;
/// Epochs before the present one whose seats may still have verdicts to show.
const PAST_EPOCHS: u64 = 4;
/// Of a peer that nobody knows the place of: it is let in and cannot be dialled.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At an IP address and a port.
    Ip(SocketAddr),
    /// At a name, which is looked up for every dial, and a port.
    Name(Hostname, u16),
}

impl Place {
    /// Reads what a person writes: `192.0.2.7:7100`, `[2001:db8::7]:7100` or `name:7100`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match text.parse::<SocketAddr>() {
            Ok(at) => (at.port() != 0).then_some(Self::Ip(at)),
            Err(_) => Self::of(text.to_ascii_lowercase().as_bytes()),
        }
    }

    /// What the ledger has of a validator; `None` if that is nothing.
    fn of(bytes: &[u8]) -> Option<Self> {
        match Spelled::read(bytes)? {
            Spelled::Ip(at) => Some(Self::Ip(at)),
            Spelled::Name(host, port) => Some(Self::Name(Hostname::new(host).ok()?, port)),
        }
    }

    /// Whether it is an address that means something in its own network only, such as 10.0.0.1.
    #[must_use]
    pub fn is_private(&self) -> bool {
        matches!(self, Self::Ip(at) if is_private(at.ip()))
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        matches!(self, Self::Ip(at) if at.ip().is_loopback())
    }

    fn address(&self) -> Address {
        match self {
            Self::Ip(at) => Address::Symmetric(*at),
            Self::Name(host, port) => {
                let ingress = Ingress::Dns { host: host.clone(), port: *port };
                Address::Asymmetric { ingress, egress: NOWHERE }
            }
        }
    }
}

/// Whether an address means something in its own network only. One that means all of this machine's is none.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !IpAddrExt::is_global(&ip)
}

/// What a node knows of its peers beside the state.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its own account, which is no peer.
    pub me: Digest,
    /// Whom its operator names, and where they are: that goes before what the ledger says.
    pub named: BTreeMap<Digest, Place>,
    /// Whether private addresses of the ledger are dialled. Else anybody with a bond could have this node knock at the
    /// doors of its own network.
    pub private: bool,
    /// Most peers.
    pub room: usize,
}

impl Known {
    fn may_dial(&self, place: &Place) -> bool {
        match place {
            Place::Ip(at) => {
                let ip = at.ip();
                !ip.is_unspecified() && !ip.is_multicast() && (self.private || IpAddrExt::is_global(&ip))
            }
            // What it leads to is looked at when it is dialled.
            Place::Name(..) => true,
        }
    }
}

/// Peers by account, and where they are if that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Those with a seat now or in the next epoch, and those whom the operator names. They are dialled, and let in.
    pub dialled: BTreeMap<Digest, Option<Place>>,
    /// Those who wait for a seat, and those who had one and may owe verdicts. They are let in, and have to dial: a bond
    /// alone makes nobody dial an address.
    pub let_in: BTreeMap<Digest, Option<Place>>,
    /// Whether there are more than there was room for.
    pub crowded: bool,
}

impl Peers {
    /// Who matters after the block of this state. Whom there is no room for is who matters least: those who wait with
    /// the smallest bonds.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub fn of(state: &State<'_>, known: &Known) -> Result<Self, Fault> {
        let chain = present(state)?;
        let rules = &chain.parameters;
        let mut peers = Self::default();
        for account in known.named.keys() {
            peers.add(state, known, account, true)?;
        }
        let epoch = |height| epoch_of(rules, height);
        let (now, next) = (epoch(chain.height), epoch(chain.height.saturating_add(1)));
        // Verdicts of a round count until it is forgotten.
        let open = [rules.commit_blocks, rules.reveal_blocks, rules.trace_blocks];
        let open = open.into_iter().fold(0, u64::saturating_add);
        let first = epoch(chain.height.saturating_sub(open)).max(now.saturating_sub(PAST_EPOCHS));
        for epoch in (first..=next).rev() {
            let Some(committee) = state.get::<Committees>(&epoch)? else { continue };
            let mut seats: Vec<_> =
                committee.seats.iter().map(|seat| (Reverse(seat.stake), seat.account)).collect();
            seats.sort_unstable();
            for (_, account) in &seats {
                peers.add(state, known, account, epoch >= now)?;
            }
        }
        let mut waiting = Vec::new();
        for account in state.get::<Candidates>(&())?.unwrap_or_default().iter() {
            let bond = state.get::<Validators>(account)?.map_or(0, |validator| validator.bond);
            if bond >= rules.least_bond {
                waiting.push((Reverse(bond), *account));
            }
        }
        waiting.sort_unstable();
        // Everybody let in is sent every block: whoever is far from a seat reads them elsewhere.
        waiting.truncate(usize::try_from(rules.seats).unwrap_or(usize::MAX).saturating_mul(NEAR));
        for (_, account) in &waiting {
            peers.add(state, known, account, false)?;
        }
        Ok(peers)
    }

    fn add(
        &mut self,
        state: &State<'_>,
        known: &Known,
        account: &AccountKey,
        dial: bool,
    ) -> Result<(), Fault> {
        if *account == known.me || self.has(account) {
            return Ok(());
        }
        if self.len() >= known.room {
            self.crowded = true;
            return Ok(());
        }
        let place = match known.named.get(account) {
            Some(place) => Some(place.clone()),
            None => {
                let validator = state.get::<Validators>(account)?;
                let place = validator.and_then(|validator| Place::of(&validator.address));
                place.filter(|place| known.may_dial(place))
            }
        };
        let list = if dial { &mut self.dialled } else { &mut self.let_in };
        list.insert(*account, place);
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dialled.len().saturating_add(self.let_in.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this account is one of them.
    #[must_use]
    pub fn has(&self, account: &Digest) -> bool {
        self.dialled.contains_key(account) || self.let_in.contains_key(account)
    }

    /// Where one of them is, if that is known.
    #[must_use]
    pub fn place(&self, account: &Digest) -> Option<&Place> {
        self.dialled.get(account).or_else(|| self.let_in.get(account))?.as_ref()
    }

    /// Where they are, as far as that is known.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.dialled.values().chain(self.let_in.values()).flatten()
    }

    /// The same, as the network is told.
    #[must_use]
    pub fn tracked(&self) -> AddressableTrackedPeers<PeerKey> {
        let told = |(account, place): (&Digest, &Option<Place>)| {
            let address = place.as_ref().map_or(Address::Symmetric(NOWHERE), Place::address);
            Some((peer_key(account)?, address))
        };
        let map = |list: &BTreeMap<Digest, Option<Place>>| {
            Map::from_iter_dedup(list.iter().filter_map(told).collect::<Vec<_>>())
        };
        AddressableTrackedPeers::new(map(&self.dialled), map(&self.let_in))
    }
}

/// Takes the peers of each number; numbers rise.
type Tell = Box<dyn FnMut(u64, AddressableTrackedPeers<PeerKey>) + Send>;

/// Tells the network who matters, whenever that changes.
pub struct Tracker {
    chain: Arc<Chain>,
    known: Known,
    tell: Tell,
    told: Option<Peers>,
    number: u64,
}

impl Tracker {
    /// Tells nobody before it is asked to look.
    pub fn new(
        chain: Arc<Chain>,
        known: Known,
        tell: impl FnMut(u64, AddressableTrackedPeers<PeerKey>) + Send + 'static,
    ) -> Self {
        Self { chain, known, tell: Box::new(tell), told: None, number: 0 }
    }

    /// Looks at the final state, and tells the network if others matter than it was told. Gives how many do.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub fn look(&mut self) -> Result<usize, Stuck> {
        let (tip, snapshot) = self.chain.latest()?;
        let peers = Peers::of(&State::new(&snapshot), &self.known)?;
        let count = peers.len();
        if self.told.as_ref() == Some(&peers) {
            return Ok(count);
        }
        let (dialled, let_in) = (peers.dialled.len(), peers.let_in.len());
        tracing::info!(height = tip.height, dialled, let_in, "other peers matter");
        if peers.crowded {
            tracing::warn!(
                room = self.known.room,
                "there are more peers than there is room for: start the node again, or set `peers_max`"
            );
        }
        self.number = self.number.saturating_add(1);
        (self.tell)(self.number, peers.tracked());
        self.told = Some(peers);
        Ok(count)
    }

    /// The same after a final block, if that may have changed something.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub fn after(&mut self, block: &Finalised) -> Result<Option<usize>, Stuck> {
        let is_due = block.seats || block.header.height.is_multiple_of(LOOK_EVERY);
        if is_due { self.look().map(Some) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use certify::wire::{Bounded, encode};
    use certify::{Committee, Seat};
    use ed25519_dalek::SigningKey;
    use ledger::entry::{Present, Table, Validator, key_of};
    use ledger::genesis::Founder;
    use ledger::{Body, Changes, Envelope, Genesis, Lane, MemoryStore, Parameters, Unsigned};

    use super::*;
    use crate::blobs::Blobs;
    use crate::keys::Keys;
    use crate::store::NodeStore;

    fn account(i: u8) -> Digest {
        SigningKey::from_bytes(&[i + 1; 32]).verifying_key().to_bytes()
    }

    fn bytes<const N: usize>(text: &str) -> Bounded<u8, N> {
        Bounded::new(text.as_bytes().to_vec()).unwrap()
    }

    fn rules() -> Parameters {
        Parameters {
            epoch_blocks: 40,
            commit_blocks: 4,
            reveal_blocks: 4,
            trace_blocks: 30,
            least_bond: 100,
            ..Parameters::default()
        }
    }

    /// Founders 0, 1 and 2 at public addresses, with 300, 200 and 100 units.
    fn genesis() -> Genesis {
        let founder = |(i, at): (u8, &str)| Founder {
            account: account(i),
            consensus: Bounded::new(vec![i; 96]).unwrap(),
            bond: 300 - u64::from(i) * 100,
            address: bytes(at),
        };
        let founders = [(0, "1.1.1.1:1"), (1, "8.8.8.8:1"), (2, "[2606:4700::1]:1")].map(founder).to_vec();
        Genesis {
            time: 0,
            balances: Bounded::default(),
            founders: Bounded::new(founders).unwrap(),
            parameters: rules(),
        }
    }

    fn beginning() -> MemoryStore {
        let mut store = MemoryStore::default();
        store.apply(genesis().begin().unwrap().changes);
        store
    }

    fn put<T: Table>(store: &mut MemoryStore, key: &T::Key, value: &T::Value) {
        store.apply(Changes::from([(key_of::<T>(key), Some(encode(value)))]));
    }

    fn validator(store: &mut MemoryStore, i: u8, bond: u64, at: &str) {
        put::<Validators>(
            store,
            &account(i),
            &Validator { bond, address: bytes(at), ..Validator::default() },
        );
    }

    fn candidates(store: &mut MemoryStore, list: &[u8]) {
        let list = Bounded::new(list.iter().map(|i| account(*i)).collect()).unwrap();
        put::<Candidates>(store, &(), &list);
    }

    fn at_height(store: &mut MemoryStore, height: u64) {
        let mut chain = State::new(store).get::<Present>(&()).unwrap().unwrap();
        chain.height = height;
        put::<Present>(store, &(), &chain);
    }

    /// Of founder 0, with room for all.
    fn known() -> Known {
        Known { me: account(0), named: BTreeMap::new(), private: false, room: 100 }
    }

    fn peers(store: &MemoryStore, known: &Known) -> Peers {
        Peers::of(&State::new(store), known).unwrap()
    }

    fn who(list: &BTreeMap<Digest, Option<Place>>) -> Vec<u8> {
        (0..20).filter(|i| list.contains_key(&account(*i))).collect()
    }

    #[test]
    fn seats_are_dialled_and_those_who_wait_are_let_in() {
        let mut store = beginning();
        validator(&mut store, 3, 150, "validator.example.org:7100");
        validator(&mut store, 4, 99, "9.9.9.9:1");
        validator(&mut store, 5, 100, "");
        candidates(&mut store, &[0, 1, 2, 3, 4, 5]);
        let found = peers(&store, &known());
        assert_eq!((who(&found.dialled), who(&found.let_in)), (vec![1, 2], vec![3, 5]));
        assert!(!found.crowded && found.len() == 4 && !found.has(&account(0)));
        assert_eq!(found.dialled[&account(1)], Place::read("8.8.8.8:1"));
        assert_eq!(found.dialled[&account(2)], Place::read("[2606:4700::1]:1"));
        assert_eq!(found.let_in[&account(3)], Place::read("Validator.example.org:7100"));
        assert_eq!(found.let_in[&account(5)], None);
        // As the network is told: each once, also who can only dial.
        let AddressableTrackedPeers { primary, secondary } = found.tracked();
        let key = |i| peer_key(&account(i)).unwrap();
        assert_eq!((primary.keys().len(), secondary.keys().len()), (2, 2));
        assert_eq!(primary.get_value(&key(1)), Some(&Address::Symmetric("8.8.8.8:1".parse().unwrap())));
        let named = secondary.get_value(&key(3)).unwrap().ingress();
        assert_eq!(named, Ingress::Dns { host: Hostname::new("validator.example.org").unwrap(), port: 7100 });
        assert_eq!(secondary.get_value(&key(5)), Some(&Address::Symmetric(NOWHERE)));
    }

    #[test]
    fn the_operator_goes_before_the_ledger() {
        let store = beginning();
        let place = |text| Place::read(text).unwrap();
        let named = BTreeMap::from([(account(1), place("10.0.0.1:5")), (account(9), place("elsewhere:7"))]);
        let found = peers(&store, &Known { named, ..known() });
        assert_eq!((who(&found.dialled), who(&found.let_in)), (vec![1, 2, 9], vec![]));
        assert_eq!(found.dialled[&account(1)], Some(place("10.0.0.1:5")));
        assert_eq!(found.dialled[&account(9)], Some(place("elsewhere:7")));
    }

    /// No bond makes a node knock at doors of its own network, or at all doors.
    #[test]
    fn private_addresses_of_the_ledger_are_dialled_in_private_networks_only() {
        let open = Known { private: true, ..known() };
        for (at, publicly, privately) in [
            ("8.8.4.4:1", true, true),
            ("10.0.0.1:1", false, true),
            ("127.0.0.1:1", false, true),
            ("169.254.169.254:80", false, true),
            ("[fd00::1]:1", false, true),
            ("0.0.0.0:1", false, false),
            ("[::]:1", false, false),
            ("224.0.0.1:1", false, false),
            ("[ff02::1]:1", false, false),
        ] {
            let mut store = beginning();
            validator(&mut store, 1, 200, at);
            let is_known = |known: &Known| peers(&store, known).dialled[&account(1)].is_some();
            assert_eq!((is_known(&known()), is_known(&open)), (publicly, privately), "{at}");
        }
    }

    /// Both committees at the turn of an epoch; whoever left is let in while rounds are open in which it has a seat.
    #[test]
    fn seats_stay_until_their_rounds_are_forgotten() {
        let mut store = beginning();
        let seat = |i: u8| Seat { account: account(i), consensus: Bounded::default(), stake: 100 };
        let next = Committee { epoch: 1, seats: Bounded::new(vec![seat(1), seat(3)]).unwrap() };
        put::<Committees>(&mut store, &1, &next);
        validator(&mut store, 3, 150, "9.9.9.9:1");
        validator(&mut store, 2, 0, "[2606:4700::1]:1");
        candidates(&mut store, &[0, 1, 3]);
        let mut at = |height| {
            at_height(&mut store, height);
            let found = peers(&store, &known());
            (who(&found.dialled), who(&found.let_in))
        };
        // The committee of the next epoch is known with the last block only.
        assert_eq!(at(38), (vec![1, 2], vec![3]));
        assert_eq!(at(39), (vec![1, 2, 3], vec![]));
        assert_eq!(at(40), (vec![1, 3], vec![2]));
        assert_eq!(at(77), (vec![1, 3], vec![2]));
        assert_eq!(at(78), (vec![1, 3], vec![]));
    }

    #[test]
    fn without_room_the_smallest_bonds_wait_outside() {
        let mut store = beginning();
        for i in 3..9 {
            validator(&mut store, i, 100 + u64::from(i), "");
        }
        candidates(&mut store, &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let found = peers(&store, &Known { room: 4, ..known() });
        assert_eq!((who(&found.dialled), who(&found.let_in)), (vec![1, 2], vec![7, 8]));
        assert!(found.crowded);
        let found = peers(&store, &Known { room: 1, ..known() });
        assert_eq!((who(&found.dialled), who(&found.let_in)), (vec![1], vec![]));
        let found = peers(&store, &Known { room: 8, ..known() });
        assert!(found.len() == 8 && !found.crowded);
        // Nor are those let in who are far from a seat.
        let mut chain = State::new(&store).get::<Present>(&()).unwrap().unwrap();
        chain.parameters.seats = 2;
        put::<Present>(&mut store, &(), &chain);
        let found = peers(&store, &known());
        assert_eq!((who(&found.dialled), who(&found.let_in)), (vec![1, 2], vec![7, 8]));
        assert!(!found.crowded);
    }

    /// A bond through the pool and a block: the network is told of who bonded, once, and of the new address when it moves.
    #[test]
    fn the_network_is_told_when_others_matter() {
        let newcomer = Keys::generate(true).unwrap();
        let mut genesis = genesis();
        genesis.balances = Bounded::new(vec![(newcomer.account(), 1 << 50)]).unwrap();
        let network = genesis.network();
        let blobs = Arc::new(Blobs::memory());
        let chain = Arc::new(Chain::open(genesis, NodeStore::memory().unwrap(), blobs).unwrap());
        let told = Arc::new(Mutex::new(Vec::new()));
        let mut tracker = {
            let told = told.clone();
            Tracker::new(chain.clone(), known(), move |number, peers| {
                told.lock().unwrap().push((number, peers))
            })
        };
        assert_eq!(tracker.look().unwrap(), 2);
        assert_eq!(tracker.look().unwrap(), 2);
        let numbers = || told.lock().unwrap().iter().map(|(number, _)| *number).collect::<Vec<_>>();
        assert_eq!(numbers(), [1]);

        let mut block = |bodies: &[Body]| {
            let tip = chain.tip();
            let first = State::new(&chain.latest().unwrap().1)
                .get::<ledger::entry::Accounts>(&newcomer.account())
                .unwrap()
                .map_or(0, |found| found.nonce);
            for (nonce, body) in (first..).zip(bodies) {
                let unsigned = Unsigned { network, lane: Lane::Paid, nonce, fee: 1_000_000_000 };
                let signed = Envelope::sign(&newcomer.signing(), unsigned, body).unwrap();
                chain.admit(&encode(&signed)).unwrap();
            }
            let block = chain.propose(&tip, account(0), tip.time + 1, 0).unwrap();
            let done = chain.finalise(&block, false).unwrap().unwrap();
            assert_eq!(done.transactions, bodies.len());
            (done.seats, tracker.after(&done).unwrap())
        };
        assert_eq!(block(&[]), (false, None));
        let (consensus, possession) = newcomer.possession(&network).unwrap();
        let bond = |amount, first: bool, at: &str| Body::Bond {
            amount,
            consensus: if first { Bounded::new(consensus.clone()).unwrap() } else { Bounded::default() },
            possession: if first { Bounded::new(possession.clone()).unwrap() } else { Bounded::default() },
            address: bytes(at),
        };
        // Too little for a seat: nobody has to let it in.
        assert_eq!(block(&[bond(99, true, "9.9.9.9:1")]), (true, Some(2)));
        assert_eq!(numbers(), [1]);
        assert_eq!(block(&[bond(1, false, "")]), (true, Some(3)));
        assert_eq!(numbers(), [1, 2]);
        assert_eq!(block(&[bond(0, false, "9.9.9.9:2")]), (true, Some(3)));
        assert_eq!(block(&[Body::Unbond { amount: 100 }]), (true, Some(2)));
        assert_eq!(numbers(), [1, 2, 3, 4]);
        let key = peer_key(&newcomer.account()).unwrap();
        let told = told.lock().unwrap();
        let at = |i: usize| told[i].1.secondary.get_value(&key).cloned();
        let place = |text: &str| Some(Address::Symmetric(text.parse().unwrap()));
        assert_eq!([at(0), at(1), at(2), at(3)], [None, place("9.9.9.9:1"), place("9.9.9.9:2"), None]);
    }
}
