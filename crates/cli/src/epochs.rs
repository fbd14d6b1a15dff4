//! Epochs: fresh commitments of the same data, each linked to the identity, so that proofs never end.
//!
//! A commitment hides a fixed number of openings. A proof takes one; a link takes one of the parent
//! and one of the child. Every commitment sets openings aside for links, so that the tree of epochs
//! goes on; the parent of a new epoch is the one nearest to the identity. All counts lie in one file
//! that is replaced as a whole, under a lock, before an opening is made (spec S9, S10, K9-K12).

use std::path::{Path, PathBuf};

use oracle::Shape;
use prove::random::Seed;
use prove::{LinkAbout, Table, prove_link, recommit};
use verify::{CHAIN_MAX, Link};
use zeroize::Zeroizing;

use crate::failure::{BUDGET, Failure, Outcome, PROVER};
use crate::files::{
    decode_commitments, decode_link, encode_commitments, encode_link, read_bounded, write_whole,
};
use crate::keys::{SECRET, check_mode, damaged, lock, try_lock};
use crate::text;

const COUNTS: &str = "budget";
/// Held while the counts are read and written.
const LOCK: &str = "lock";
/// Held while a new epoch is made.
const ADVANCE: &str = "epoch.lock";
const LINK_BYTES: usize = 1 << 27;
/// Most commitments kept for nothing but links.
const PARENTS_MAX: usize = 256;

/// One commitment of the data.
#[derive(Clone)]
pub struct Commitment {
    /// 0: the identity; later epochs count up.
    pub number: u32,
    /// Root.
    pub root: [u8; 32],
    /// Root of the parent; zero for the identity.
    pub parent: [u8; 32],
    /// Seed of masks and salts. Zero when no opening is left, and for the identity, whose seed is in
    /// the key file.
    pub seed: Zeroizing<[u8; 32]>,
    /// Openings it hides.
    pub total: u64,
    /// Openings reserved so far.
    pub used: u64,
    /// Links to children among them.
    pub children: u64,
}

impl Commitment {
    fn is_identity(&self) -> bool {
        self.parent == [0; 32]
    }

    /// Openings set aside for links to children: half of the identity's, an eighth of an epoch's.
    fn set_aside(&self) -> u64 {
        match self.total {
            ..4 => 0,
            total if self.is_identity() => total / 2,
            total => (total / 8).max(2),
        }
    }

    /// Links to children that are still set aside.
    pub fn links_left(&self) -> u64 {
        self.set_aside().saturating_sub(self.children).min(self.total - self.used)
    }

    /// Proofs that may still open it.
    pub fn proofs_left(&self) -> u64 {
        self.total - self.used - self.links_left()
    }
}

/// All commitments of one model or input, the identity first.
#[derive(Clone, Default)]
pub struct Commitments {
    /// Number of the next epoch.
    pub next: u32,
    /// Those that are of use, or lead to one that is.
    pub list: Vec<Commitment>,
}

impl Commitments {
    /// A fresh identity.
    pub fn new(root: [u8; 32], total: u64) -> Self {
        let seed = Zeroizing::new([0; 32]);
        let identity = Commitment { number: 0, root, parent: [0; 32], seed, total, used: 0, children: 0 };
        Self { next: 1, list: vec![identity] }
    }

    fn position(&self, root: &[u8; 32]) -> Option<usize> {
        self.list.iter().position(|one| one.root == *root)
    }

    /// From the identity (left out) to a commitment; none if the way is broken or too long.
    fn path(&self, mut at: usize) -> Option<Vec<usize>> {
        let mut path = Vec::new();
        while !self.list[at].is_identity() {
            path.push(at);
            at = self.position(&self.list[at].parent).filter(|_| path.len() <= CHAIN_MAX)?;
        }
        path.reverse();
        Some(path)
    }

    /// Links from the identity.
    pub fn depth(&self, at: usize) -> usize {
        self.path(at).map_or(usize::MAX, |path| path.len())
    }

    /// Where the next proof, or so many together, are made.
    fn for_proofs(&self, count: u64) -> Option<usize> {
        self.list.iter().position(|one| one.proofs_left() >= count)
    }

    /// The commitment nearest to the identity that may have another child.
    fn for_parent(&self) -> Option<usize> {
        let able = |&i: &usize| self.list[i].links_left() > 0 && self.depth(i) < CHAIN_MAX;
        (0..self.list.len()).filter(able).min_by_key(|&i| self.depth(i))
    }

    /// Takes openings for proofs. False if this commitment has not so many left.
    fn take_proofs(&mut self, root: &[u8; 32], count: u64) -> bool {
        let able = |&i: &usize| self.list[i].proofs_left() >= count;
        let Some(at) = self.position(root).filter(able) else { return false };
        self.list[at].used += count;
        self.forget_seeds();
        true
    }

    /// Takes an opening of the best parent for a link.
    fn take_link(&mut self) -> Option<usize> {
        let at = self.for_parent()?;
        let parent = &mut self.list[at];
        (parent.used, parent.children) = (parent.used + 1, parent.children + 1);
        Some(at)
    }

    /// Adds an epoch. Its own side of the link counts as an opening.
    fn add(&mut self, root: [u8; 32], parent: [u8; 32], seed: Zeroizing<[u8; 32]>) {
        let total = self.list.first().map_or(0, |identity| identity.total);
        self.list.push(Commitment { number: self.next, root, parent, seed, total, used: 1, children: 0 });
        self.next += 1;
        self.prune();
    }

    /// Proofs left before a new epoch must be made.
    pub fn proofs_left(&self) -> u64 {
        self.list.iter().map(Commitment::proofs_left).sum()
    }

    /// Proofs of an epoch just made.
    fn fresh_proofs(&self) -> u64 {
        let total = self.list.first().map_or(0, |identity| identity.total);
        let (root, parent) = ([0; 32], [1; 32]);
        let seed = Zeroizing::new([0; 32]);
        Commitment { number: 1, root, parent, seed, total, used: total.min(1), children: 0 }.proofs_left()
    }

    /// Whether fewer than a tenth of an epoch's proofs are left.
    fn is_low(&self) -> bool {
        let total = self.list.first().map_or(0, |identity| identity.total);
        self.proofs_left() * 10 < total
    }

    /// Forgets seeds that open nothing more.
    fn forget_seeds(&mut self) {
        for one in self.list.iter_mut().filter(|one| one.used == one.total) {
            one.seed = Zeroizing::new([0; 32]);
        }
    }

    /// Forgets commitments that open nothing more and lead nowhere. Only the maker of epochs may: the
    /// parent of a child on its way must stay.
    fn prune(&mut self) {
        let mut parents: Vec<usize> = (1..self.list.len())
            .filter(|&i| self.list[i].proofs_left() == 0 && self.list[i].links_left() > 0)
            .collect();
        parents.sort_by_key(|&i| self.depth(i));
        for &i in parents.iter().skip(PARENTS_MAX) {
            self.list[i].used = self.list[i].total;
        }
        self.forget_seeds();
        while let Some(at) = (1..self.list.len()).rev().find(|&i| {
            let one = &self.list[i];
            one.used == one.total && self.list.iter().all(|child| child.parent != one.root)
        }) {
            self.list.remove(at);
        }
    }
}

/// Where the commitments of a key are kept.
struct Store {
    directory: PathBuf,
    /// Root of the identity.
    root: [u8; 32],
    capacity: u64,
}

impl Store {
    fn counts(&self) -> PathBuf {
        self.directory.join(COUNTS)
    }

    fn link(&self, root: &[u8; 32]) -> PathBuf {
        link_path(&self.directory, root)
    }

    fn write(&self, state: &Commitments) -> Outcome<()> {
        write_whole(&self.counts(), &encode_commitments(state), SECRET)
    }

    fn read(&self) -> Outcome<Commitments> {
        let state = read(&self.directory)?;
        let fits = |one: &Commitment| one.total == self.capacity && one.used <= one.total;
        let own = state.list.first().is_some_and(|one| one.root == self.root && one.is_identity());
        if !own || !state.list.iter().all(fits) {
            return Err(damaged(
                &self.counts(),
                "the count of openings belongs to another key: its root is another",
            ));
        }
        Ok(state)
    }

    /// The links that lead to a commitment. The lock must be held.
    fn chain(&self, state: &Commitments, at: usize) -> Outcome<Vec<Link>> {
        let broken = || damaged(&self.counts(), "an epoch in it is not joined to the identity");
        let mut chain = Vec::new();
        for i in state.path(at).ok_or_else(broken)? {
            let path = self.link(&state.list[i].root);
            let bytes = read_bounded(&path, LINK_BYTES)?;
            let link = decode_link(&bytes).map_err(|why| damaged(&path, why))?;
            let [parent, child] = [&link.statement.parent.root, &link.statement.child.root];
            if *parent != state.list[i].parent || *child != state.list[i].root {
                return Err(damaged(&path, "it is the link of another epoch"));
            }
            chain.push(link);
        }
        Ok(chain)
    }

    /// Removes links of no commitment: of forgotten epochs, or left by a crash. Both locks must be held.
    fn sweep(&self, state: &Commitments) {
        let wanted: Vec<PathBuf> = state.list.iter().map(|one| self.link(&one.root)).collect();
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let link = name.starts_with("link-") && name.ends_with(".ztl");
            if link && !wanted.contains(&path) {
                // A file too many does no harm.
                let _ = std::fs::remove_file(&path);
            }
        }
    }
}

/// The commitments in a key directory.
pub fn read(directory: &Path) -> Outcome<Commitments> {
    let path = directory.join(COUNTS);
    if !path.exists() {
        return Err(damaged(&path, "the count of openings is missing"));
    }
    check_mode(&path)?;
    let bytes = read_bounded(&path, 1 << 24)?;
    decode_commitments(&bytes).map_err(|why| damaged(&path, why))
}

/// Where the link to a commitment is kept.
fn link_path(directory: &Path, root: &[u8; 32]) -> PathBuf {
    directory.join(format!("link-{}.ztl", text::hex(&root[..16])))
}

/// What leads on from a commitment that a ledger has.
#[cfg(feature = "network")]
pub enum Next {
    /// This link.
    Link(Box<Link>),
    /// Nothing: it is an epoch of this key without children.
    Newest,
    /// Nothing: no epoch of this key is it.
    Elsewhere,
}

/// The link from the commitment with the OracleId `from` towards the epoch that proofs open now; if that one is not below
/// it, towards the newest that is. `identity` is the first commitment's OracleId.
#[cfg(feature = "network")]
pub fn next_link(directory: &Path, identity: &[u8; 32], from: &[u8; 32]) -> Outcome<Next> {
    let _guard = lock(directory, LOCK)?;
    let state = read(directory)?;
    let newest_first = (0..state.list.len()).rev();
    let mut is_known = from == identity;
    for target in state.for_proofs(1).into_iter().chain(newest_first) {
        for at in state.path(target).unwrap_or_default() {
            let path = link_path(directory, &state.list[at].root);
            let bytes = read_bounded(&path, LINK_BYTES)?;
            let link = decode_link(&bytes).map_err(|why| damaged(&path, why))?;
            if link.statement.parent.id() == *from {
                return Ok(Next::Link(Box::new(link)));
            }
            is_known |= link.statement.child.id() == *from;
        }
    }
    Ok(if is_known { Next::Newest } else { Next::Elsewhere })
}

/// What a key says of its identity.
pub struct Identity {
    /// OracleId.
    pub id: [u8; 32],
    /// Root.
    pub root: [u8; 32],
    /// Seed.
    pub seed: Zeroizing<[u8; 32]>,
    /// What links are about.
    pub about: LinkAbout,
}

/// A committed table that proofs open, and the links that lead to it.
pub struct Committed {
    /// The table of the epoch in use.
    pub table: Table,
    /// The links from the identity to it.
    pub chain: Vec<Link>,
    identity: Identity,
    /// Secret that proofs' seeds are made with.
    owner: Seed,
    store: Store,
}

/// A reserved opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Whether the table is another than before: another root must be stated.
    pub moved: bool,
    /// Proofs left before a new epoch must be made.
    pub left: u64,
}

/// A child on its way: its table and link are made, nothing says yet that it is there.
struct Child {
    table: Table,
    seed: Zeroizing<[u8; 32]>,
    chain: Vec<Link>,
}

fn capacity(shape: &Shape, lambda: u8) -> u64 {
    (shape.masks() / shape.queries(lambda).max(1)) as u64
}

impl Committed {
    fn at(directory: &Path, identity: Identity, owner: Seed, table: Table, chain: Vec<Link>) -> Self {
        let capacity = capacity(table.shape(), identity.about.security[0]);
        let store = Store { directory: directory.to_path_buf(), root: identity.root, capacity };
        Self { table, chain, identity, owner, store }
    }

    /// A new identity, whose table this is. Writes its count.
    pub fn create(directory: &Path, identity: Identity, owner: Seed, table: Table) -> Outcome<Self> {
        let made = Self::at(directory, identity, owner, table, Vec::new());
        made.store.write(&Commitments::new(made.store.root, made.store.capacity))?;
        Ok(made)
    }

    /// Opens the epoch that the next proof opens. `build` makes the table of a seed.
    pub fn open(
        directory: &Path,
        identity: Identity,
        owner: Seed,
        shape: &Shape,
        build: impl FnOnce(&[u8; 32]) -> Outcome<Table>,
    ) -> Outcome<Self> {
        let capacity = capacity(shape, identity.about.security[0]);
        let store = Store { directory: directory.to_path_buf(), root: identity.root, capacity };
        let guard = lock(directory, LOCK)?;
        let state = store.read()?;
        let at = state.for_proofs(1).or(state.for_parent()).unwrap_or(0);
        let chain = store.chain(&state, at)?;
        drop(guard);
        let own = &state.list[at];
        let table = build(if own.is_identity() { &identity.seed } else { &own.seed })?;
        if table.root() != own.root {
            return Err(damaged(directory, "the key's values do not give the root they were committed with"));
        }
        Ok(Self { table, chain, identity, owner, store })
    }

    /// OracleId of the identity.
    pub fn id(&self) -> [u8; 32] {
        self.identity.id
    }

    /// The state on the disk.
    pub fn commitments(&self) -> Outcome<Commitments> {
        self.store.read()
    }

    /// Reserves one opening: the count is on the disk when this returns. Goes on to the next epoch
    /// if the table in use has no opening left.
    pub fn reserve(&mut self) -> Outcome<Reserved> {
        self.reserve_many(1)
    }

    /// As [`Self::reserve`], for proofs that must all open the same commitment.
    pub fn reserve_many(&mut self, count: u64) -> Outcome<Reserved> {
        let mut moved = false;
        loop {
            let guard = lock(&self.store.directory, LOCK)?;
            let mut state = self.store.read()?;
            if state.take_proofs(&self.table.root(), count) {
                self.store.write(&state)?;
                return Ok(Reserved { moved, left: state.proofs_left() });
            }
            drop(guard);
            // What no fresh epoch has room for is refused, not looked for in one epoch after the other.
            if state.for_proofs(count).is_none() && state.fresh_proofs() < count {
                return Err(self.exhausted());
            }
            self.advance(count)?;
            moved = true;
        }
    }

    /// Makes the next epoch if few openings are left and nobody else is making one. To be called when
    /// there is time: after a proof was written.
    pub fn prepare_next(&mut self) -> Outcome<bool> {
        if !self.store.read()?.is_low() {
            return Ok(false);
        }
        let Some(_guard) = try_lock(&self.store.directory, ADVANCE)? else { return Ok(false) };
        if !self.store.read()?.is_low() {
            return Ok(false);
        }
        let Some(child) = self.make()? else { return Ok(false) };
        self.adopt(&child)?;
        Ok(true)
    }

    /// Goes on to an epoch with openings left; makes one if there is none.
    fn advance(&mut self, count: u64) -> Outcome<()> {
        let _guard = lock(&self.store.directory, ADVANCE)?;
        let reading = lock(&self.store.directory, LOCK)?;
        let state = self.store.read()?;
        if let Some(at) = state.for_proofs(count) {
            let chain = self.store.chain(&state, at)?;
            drop(reading);
            self.table = self.rebuild(&state.list[at])?;
            self.chain = chain;
            return Ok(());
        }
        drop(reading);
        let child = self.make()?.ok_or_else(|| self.exhausted())?;
        self.adopt(&child)?;
        (self.table, self.chain) = (child.table, child.chain);
        Ok(())
    }

    fn exhausted(&self) -> Failure {
        let total = self.store.capacity;
        let reason = format!(
            "too few of the {total} openings of this commitment are left; another proof could show parts of what it hides"
        );
        let fix = "commit the model again with a fresh key and more room: this makes a new model ID \
                   (`--openings N` at commit, at least 4). For an input: commit the input again";
        Failure::misuse(BUDGET, self.store.counts().display(), reason, fix)
    }

    /// The table of a commitment: the same data under its seed.
    fn rebuild(&self, one: &Commitment) -> Outcome<Table> {
        let seed = if one.is_identity() { &self.identity.seed } else { &one.seed };
        let table = recommit(&self.table, self.table.shape().clone(), &Seed::new(**seed)).map_err(prover)?;
        if table.root() != one.root {
            let path = self.store.counts();
            return Err(damaged(&path, "the seed of an epoch does not give its root"));
        }
        Ok(table)
    }

    /// Takes an opening of the best parent and links a fresh commitment to it. The parent's count is on
    /// the disk before the link is made, and the link before this returns. None if no parent is left.
    fn make(&self) -> Outcome<Option<Child>> {
        let guard = lock(&self.store.directory, LOCK)?;
        let mut state = self.store.read()?;
        let Some(at) = state.take_link() else { return Ok(None) };
        let mut chain = self.store.chain(&state, at)?;
        self.store.write(&state)?;
        let parent = state.list[at].clone();
        drop(guard);
        let rebuilt;
        let old = if parent.root == self.table.root() {
            &self.table
        } else {
            rebuilt = self.rebuild(&parent)?;
            &rebuilt
        };
        let seed = crate::random::bytes()?;
        let table = recommit(old, old.shape().clone(), &Seed::new(*seed)).map_err(prover)?;
        let statement = self.identity.about.statement([old, &table]);
        let system = crate::random::bytes()?;
        let coins = Seed::for_proof(&self.owner, &system, &statement.encode(), &table.root());
        let link = prove_link(statement, [old, &table], &coins).map_err(prover)?;
        verify::verify_link(&link.statement, &link.proof).map_err(prover)?;
        write_whole(&self.store.link(&table.root()), &encode_link(&link), SECRET)?;
        chain.push(link);
        Ok(Some(Child { table, seed, chain }))
    }

    /// The switch: with the count of the new epoch on the disk it is there.
    fn adopt(&self, child: &Child) -> Outcome<()> {
        let _guard = lock(&self.store.directory, LOCK)?;
        let mut state = self.store.read()?;
        let parent = child.chain.last().map_or([0; 32], |link| link.statement.parent.root);
        state.add(child.table.root(), parent, child.seed.clone());
        self.store.write(&state)?;
        self.store.sweep(&state);
        Ok(())
    }
}

fn prover(why: impl std::fmt::Display) -> Failure {
    Failure::world(PROVER, "epoch", why, "report this model")
}

#[cfg(test)]
mod tests {
    use super::*;
    use program::Program;

    fn root(number: u32) -> [u8; 32] {
        *blake3::hash(&number.to_le_bytes()).as_bytes()
    }

    /// Proves and makes epochs as the owner does, without tables. Gives the proofs per epoch.
    fn play(total: u64, proofs: u64) -> Commitments {
        let mut state = Commitments::new(root(0), total);
        for _ in 0..proofs {
            let at = state.for_proofs(1).unwrap();
            let own = state.list[at].root;
            assert!(state.take_proofs(&own, 1));
            if state.is_low() {
                let parent = state.take_link().unwrap();
                let (number, parent) = (state.next, state.list[parent].root);
                state.add(root(number), parent, Zeroizing::new([1; 32]));
            }
            assert!(state.list.iter().all(|one| one.used <= one.total && one.children <= one.used));
            assert!((0..state.list.len()).all(|i| state.path(i).is_some()));
        }
        state
    }

    #[test]
    fn proofs_never_end_and_chains_stay_short() {
        for (total, proofs, links) in [(4, 3_000, 14), (6, 3_000, 9), (61, 20_000, 3), (200, 40_000, 2)] {
            let state = play(total, proofs);
            let deepest = (0..state.list.len()).map(|i| state.depth(i)).max().unwrap();
            assert!(deepest <= links, "{total}: {deepest} links");
            // Parents, and what leads to them.
            assert!(state.list.len() <= (PARENTS_MAX + 2) * (deepest + 1), "{total}: {}", state.list.len());
            assert!(u64::from(state.next) * total >= proofs, "{total}: {} epochs", state.next);
            // Seeds that open nothing more are gone.
            let spent = |one: &&Commitment| one.used == one.total;
            assert!(state.list.iter().filter(spent).all(|one| *one.seed == [0; 32]));
        }
        // With less there is no room for a link and a proof and a child.
        let mut small = Commitments::new(root(0), 3);
        assert_eq!((small.proofs_left(), small.take_link()), (3, None));
    }

    fn program() -> Program {
        let (bytes, _) = crate::demo::sample().expect("the demo's proof");
        crate::files::decode_proof(&bytes).expect("a proof file").program
    }

    /// A key of eight numbers with room for six openings per epoch.
    struct Key {
        scratch: crate::demo::Scratch,
        program: Program,
    }

    const SEED: [u8; 32] = [5; 32];

    impl Key {
        fn table(&self, seed: [u8; 32]) -> Table {
            let values = [3, 1, 4, 1, 5, 9, 2, 6];
            let table =
                prove::commit_input(&self.program, &[1, 8], &values, true, &Seed::new([9; 32])).unwrap();
            let shape = Shape { log_t: Some(10), log_n: 12, ..table.shape().clone() };
            recommit(&table, shape, &Seed::new(seed)).unwrap()
        }

        fn identity(&self) -> Identity {
            let table = self.table(SEED);
            let about = LinkAbout { security: [100, 0], subject: table.id(), total: 8 };
            Identity { id: table.id(), root: table.root(), seed: Zeroizing::new(SEED), about }
        }

        fn new() -> Self {
            let key = Self { scratch: crate::demo::Scratch::new().unwrap(), program: program() };
            let owner = Seed::new([6; 32]);
            let made = Committed::create(key.scratch.path(), key.identity(), owner, key.table(SEED)).unwrap();
            assert_eq!(made.store.capacity, 6);
            key
        }

        fn open(&self) -> Committed {
            let shape = self.table(SEED).shape().clone();
            let build = |seed: &[u8; 32]| Ok(self.table(*seed));
            Committed::open(self.scratch.path(), self.identity(), Seed::new([6; 32]), &shape, build).unwrap()
        }

        fn links(&self) -> usize {
            let entries = std::fs::read_dir(self.scratch.path()).unwrap();
            entries.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "ztl")).count()
        }
    }

    fn used(committed: &Committed) -> Vec<u64> {
        committed.commitments().unwrap().list.iter().map(|one| one.used).collect()
    }

    /// The chain is good for a verifier, link by link.
    fn check(committed: &Committed) {
        let mut at = committed.id();
        for link in &committed.chain {
            verify::verify_link(&link.statement, &link.proof).unwrap();
            assert_eq!(link.statement.parent.id(), at);
            at = link.statement.child.id();
        }
        assert_eq!(at, committed.table.id());
    }

    #[test]
    fn epochs_follow_each_other() {
        let key = Key::new();
        let mut roots = std::collections::BTreeMap::new();
        let mut committed = key.open();
        for number in 0..20 {
            committed.reserve().unwrap();
            check(&committed);
            *roots.entry(committed.table.root()).or_insert(0) += 1;
            if number % 3 == 0 {
                committed.prepare_next().unwrap();
            }
            if number % 4 == 0 {
                committed = key.open();
            }
        }
        // Half of the identity's six openings are for links; of an epoch's, one is its own link and two
        // are for links.
        assert!(roots.values().all(|&proofs| proofs <= 3) && roots.len() >= 7, "{roots:?}");
    }

    /// A crash after the parent's opening was taken: it is lost, and not given to another child.
    #[test]
    fn a_crash_while_an_epoch_is_made_loses_an_opening() {
        let key = Key::new();
        let committed = key.open();
        let mut state = committed.commitments().unwrap();
        state.take_link().unwrap();
        committed.store.write(&state).unwrap();
        assert_eq!((used(&committed), key.links()), (vec![1], 0));
        // After the link was written and before the switch.
        let child = committed.make().unwrap().unwrap();
        drop(committed);
        let mut committed = key.open();
        assert_eq!((used(&committed), key.links()), (vec![2], 1));
        assert_ne!(committed.table.root(), child.table.root());
        // The next epoch is another one, and what the crash left is swept away.
        for _ in 0..3 {
            committed.reserve().unwrap();
        }
        assert!(committed.chain.is_empty());
        committed.reserve().unwrap();
        assert_eq!((committed.chain.len(), key.links()), (1, 1));
        assert_ne!(committed.table.root(), child.table.root());
        assert_eq!(used(&committed), [6, 2]);
        check(&committed);
        // Nothing of a half-written count is read.
        std::fs::write(key.scratch.path().join(".budget.00.tmp"), b"half").unwrap();
        assert_eq!(used(&key.open()), [6, 2]);
    }

    #[test]
    fn a_reservation_without_a_proof_is_not_used_again() {
        let key = Key::new();
        key.open().reserve().unwrap();
        let mut committed = key.open();
        assert_eq!(committed.reserve().unwrap(), Reserved { moved: false, left: 1 });
        assert_eq!(used(&committed), [2]);
    }

    #[test]
    fn proofs_that_belong_together_open_one_commitment() {
        let key = Key::new();
        let mut committed = key.open();
        committed.reserve().unwrap();
        // Two of the identity's three are left; an epoch has three.
        assert_eq!(committed.reserve_many(3).unwrap(), Reserved { moved: true, left: 2 });
        assert_eq!((committed.chain.len(), used(&committed)), (1, vec![2, 4]));
        let refused = committed.reserve_many(4).unwrap_err();
        assert_eq!(refused.items[0].code, BUDGET);
        assert_eq!(used(&committed), [2, 4]);
        // Single proofs go back to what is left.
        assert_eq!(key.open().reserve().unwrap(), Reserved { moved: false, left: 1 });
    }

    /// Owners side by side: no commitment is opened more often than it hides.
    #[test]
    fn writers_in_parallel_share_no_opening() {
        let key = Key::new();
        let opened = std::sync::Mutex::new(std::collections::BTreeMap::<[u8; 32], u64>::new());
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let (key, opened) = (&key, &opened);
                scope.spawn(move || {
                    let mut committed = key.open();
                    for _ in 0..6 {
                        committed.reserve().unwrap();
                        *opened.lock().unwrap().entry(committed.table.root()).or_insert(0) += 1;
                        if worker == 0 {
                            committed.prepare_next().unwrap();
                        }
                    }
                });
            }
        });
        let opened = opened.into_inner().unwrap();
        assert_eq!(opened.values().sum::<u64>(), 24);
        assert!(opened.values().all(|&proofs| proofs <= 3), "{opened:?}");
        let committed = key.open();
        for one in committed.commitments().unwrap().list {
            let proofs = opened.get(&one.root).copied().unwrap_or(0);
            assert_eq!(one.used, proofs + one.children + u64::from(!one.is_identity()));
        }
    }

    #[test]
    fn damaged_links_and_counts_are_refused() {
        let key = Key::new();
        let mut committed = key.open();
        for _ in 0..4 {
            committed.reserve().unwrap();
        }
        let state = committed.commitments().unwrap();
        let path = committed.store.link(&state.list[1].root);
        let whole = std::fs::read(&path).unwrap();
        let open = || {
            let shape = key.table(SEED).shape().clone();
            let build = |seed: &[u8; 32]| Ok(key.table(*seed));
            Committed::open(key.scratch.path(), key.identity(), Seed::new([6; 32]), &shape, build).err()
        };
        for at in [0, 9, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(open().is_some(), "byte {at}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(open().is_some());
        std::fs::write(&path, &whole).unwrap();
        assert!(open().is_none());
        // Another seed, another root, another key's count.
        type Change = fn(&mut Commitments);
        let changes: [Change; 4] = [
            |state| state.list[1].seed[0] ^= 1,
            |state| state.list[1].root[0] ^= 1,
            |state| state.list[1].parent[0] ^= 1,
            |state| state.list[0].root[0] ^= 1,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut other = state.clone();
            change(&mut other);
            committed.store.write(&other).unwrap();
            assert!(open().is_some(), "change {number}");
        }
    }
}
