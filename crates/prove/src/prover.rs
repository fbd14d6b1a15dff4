//! The witness of the conversation, and the functions that start it.

use std::collections::BTreeMap;
use std::fmt;

use algebra::layout::{Block, Layout, runs};
use algebra::{F, K};
use oracle::Shape;
use program::execute::Assignment;
use program::types::{Home, Program};
use program::wire::{Statement, encode_statement};
use rayon::prelude::*;
use tape::{Mark, ProverEnd};
use verify::{
    Challenges, Functionals, LinkError, LookupChallenges, PROOF_VERSION, Setup, SetupError, Witness,
    converse, model_shape,
};
use zeroize::Zeroizing;

use crate::awake::awake;
use crate::fractions::Tree;
use crate::grind::least_nonce;
use crate::inner::Inner;
use crate::integers::{Integers, narrow};
use crate::leaves::Leaves;
use crate::memory::{Proving, recycle, zeros};
use crate::random::{Seed, Source};
use crate::rungs::Ladder;
use crate::table::{Rows, Table, kept_beside};
use crate::values::Values;

/// Why no proof was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProveError {
    /// Program and Statement do not fit.
    Setup(SetupError),
    /// A long-term table is not the one the Statement opens.
    OtherTable {
        /// Its index.
        oracle: usize,
    },
    /// The link's statement is refused.
    Link(LinkError),
    /// The tables to be linked do not hold the same data.
    OtherData,
    /// A challenge hit an exceptional value (probability < 2^-110): try again with another seed.
    Unlucky,
}

impl fmt::Display for ProveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(why) => write!(f, "{why}"),
            Self::OtherTable { oracle } => write!(f, "table {oracle} is not the one the statement opens"),
            Self::Link(why) => write!(f, "{why}"),
            Self::OtherData => write!(f, "the tables do not hold the same data"),
            Self::Unlucky => write!(f, "a challenge hit an exceptional value; prove again"),
        }
    }
}

impl std::error::Error for ProveError {}

/// A proof.
pub struct Proof {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Where its messages lie.
    pub marks: Vec<Mark>,
    /// Positions opened per long-term oracle: what it used up of each hiding budget.
    pub opened: Vec<usize>,
}

/// What the prover is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Committing all intermediate values.
    Commit,
    /// The lookup argument.
    Lookups,
    /// The inner products.
    Relations,
    /// Opening the commitments.
    Opening,
}

/// A tensor's entries, row-major.
#[derive(Clone, Copy)]
enum Entries<'a> {
    Integers(&'a [i64]),
    Elements(&'a [F]),
}

/// Tensors of an oracle: axes and entries.
type Tensors<'a> = [(Vec<usize>, Entries<'a>)];

/// Fewer fresh entries than this are committed as elements of F: their functional is short.
const SMALL_LEAST: usize = 1 << 18;

/// Of so many entries so many may be wide for the rest to pay as small integers.
fn most_wide(entries: usize) -> usize {
    entries / 32
}

/// An oracle's rows as small integers, if at most so many are wide.
fn small_rows(layout: &Layout, tensors: &Tensors<'_>, size: usize, most_wide: usize) -> Option<Integers> {
    let mut values = zeros(size);
    let fill = |(block, own): (&Block, &mut [i16])| {
        let (axes, entries) = &tensors[block.tensor];
        let Entries::Integers(entries) = entries else { return own.len() };
        let mut lost = 0;
        runs(block, axes, |address, index, n| {
            lost += narrow(&mut own[address - block.off..][..n], &entries[index..index + n], 0);
        });
        lost
    };
    let wide: Vec<usize> = by_block(layout, &mut values).into_par_iter().map(fill).collect();
    let count = wide.iter().sum();
    if count > most_wide {
        recycle(values);
        return None;
    }
    // Made at once: a list that grows leaves copies behind.
    let mut list = Zeroizing::new(Vec::with_capacity(count));
    for block in layout.blocks.iter().zip(wide).filter_map(|(block, wide)| (wide > 0).then_some(block)) {
        let (axes, entries) = &tensors[block.tensor];
        runs(block, axes, |address, index, n| match entries {
            Entries::Elements(entries) => {
                list.extend((address..).zip(entries[index..index + n].iter().copied()))
            }
            Entries::Integers(entries) => {
                for (at, &x) in (address..).zip(&entries[index..index + n]) {
                    if i64::from(values[at]) != x {
                        values[at] = 0;
                        list.push((at, F::from_i64(x)));
                    }
                }
            }
        });
    }
    Some(Integers::of(values, list))
}

/// An oracle's rows over F.
fn base_rows(layout: &Layout, tensors: &Tensors<'_>, size: usize) -> Vec<F> {
    let mut rows = zeros(size);
    by_block(layout, &mut rows).into_par_iter().for_each(|(block, own)| {
        let (axes, entries) = &tensors[block.tensor];
        runs(block, axes, |address, index, n| {
            let slots = &mut own[address - block.off..][..n];
            match entries {
                Entries::Elements(entries) => slots.copy_from_slice(&entries[index..index + n]),
                Entries::Integers(entries) => {
                    slots.iter_mut().zip(&entries[index..]).for_each(|(slot, &x)| *slot = F::from_i64(x));
                }
            }
        });
    });
    rows
}

/// The blocks of a layout with their entries: they lie end to end from address 0.
fn by_block<'a, 'b, T>(layout: &'a Layout, mut entries: &'b mut [T]) -> Vec<(&'a Block, &'b mut [T])> {
    let mut cut = |block: &Block| {
        let (own, rest) = std::mem::take(&mut entries).split_at_mut(1 << block.log);
        entries = rest;
        own
    };
    layout.blocks.iter().map(|block| (block, cut(block))).collect()
}

/// An oracle's rows, laid out from its tensors; as small integers if at most so many are wide.
fn rows(shape: &Shape, layout: &Layout, tensors: &Tensors<'_>, most_wide: Option<usize>) -> Rows {
    let size = shape.rows * shape.data();
    match most_wide.and_then(|most_wide| small_rows(layout, tensors, size, most_wide)) {
        Some(rows) => Rows::Small(rows),
        None => Rows::Base(Zeroizing::new(base_rows(layout, tensors, size))),
    }
}

/// Commits a model's private parameters. `seed` must be used for these parameters only.
/// None if the program has no private parameters.
pub fn commit_model(
    program: &Program,
    weights: &BTreeMap<u32, Vec<i64>>,
    seed: &Seed,
) -> Result<Option<Table>, SetupError> {
    let Some((shape, layout)) = model_shape(program)? else { return Ok(None) };
    let mut tensors = Vec::new();
    for (tensor, number) in program.tensors.iter().zip(0u32..) {
        if tensor.home == Home::Model {
            let axes: Vec<usize> = tensor.axes.iter().map(|&n| n as usize).collect();
            let values = weights.get(&number).ok_or(SetupError::Oracle("M: parameters are missing"))?;
            if values.len() != axes.iter().product::<usize>() {
                return Err(SetupError::Oracle("M: a parameter tensor has another size"));
            }
            tensors.push((axes, Entries::Integers(values)));
        }
    }
    let most = kept_beside(Setup::fresh_entries(program, 1, true).unwrap_or(0));
    Ok(Some(rayon::scope(|_| {
        let rows = rows(&shape, &layout, &tensors, Some(most_wide(layout.total)));
        Table::within(shape, rows, (seed, "z"), most)
    })))
}

/// Commits an input of these (batch-expanded) axes. `seed` must be used for this input only.
pub fn commit_input(
    program: &Program,
    axes: &[usize],
    values: &[i64],
    zk: bool,
    seed: &Seed,
) -> Result<Table, SetupError> {
    let sizing = oracle::Sizing::v1(program.lambda, program.grind);
    let (shape, layout) = verify::input_shape(&sizing, axes, zk)?;
    if values.len() != axes.iter().product::<usize>() {
        return Err(SetupError::Oracle("X: the input has another size"));
    }
    let tensors = [(axes.to_vec(), Entries::Integers(values))];
    let rows = rows(&shape, &layout, &tensors, Some(most_wide(layout.total)));
    Ok(Table::commit(shape, rows, seed, "z"))
}

/// Proves a Statement. `long_term` are the tables it opens, in its order; `seed` must be fresh.
pub fn prove(
    program: &Program,
    statement: &Statement,
    assignment: &Assignment,
    long_term: &[&Table],
    seed: &Seed,
) -> Result<Proof, ProveError> {
    let setup = Setup::new(program, statement).map_err(ProveError::Setup)?;
    prove_at(&setup, statement, assignment, long_term, seed)
}

/// As [`prove`], with a setup made before.
pub fn prove_at(
    setup: &Setup,
    statement: &Statement,
    assignment: &Assignment,
    long_term: &[&Table],
    source: &impl Source,
) -> Result<Proof, ProveError> {
    prove_observed(setup, statement, assignment, long_term, source, &mut |_| {})
}

/// As [`prove_at`]; `observe` is told when each phase starts.
pub fn prove_observed(
    setup: &Setup,
    statement: &Statement,
    assignment: &Assignment,
    long_term: &[&Table],
    source: &impl Source,
    observe: &mut (dyn FnMut(Phase) + Send),
) -> Result<Proof, ProveError> {
    awake(|| prove_here(setup, statement, assignment, long_term, source, observe))
}

fn prove_here(
    setup: &Setup,
    statement: &Statement,
    assignment: &Assignment,
    long_term: &[&Table],
    source: &impl Source,
    observe: &mut (dyn FnMut(Phase) + Send),
) -> Result<Proof, ProveError> {
    for (oracle, (table, root)) in long_term.iter().zip(&statement.roots).enumerate() {
        if table.root() != *root {
            return Err(ProveError::OtherTable { oracle });
        }
    }
    if long_term.len() != statement.roots.len() {
        return Err(ProveError::OtherTable { oracle: long_term.len() });
    }
    observe(Phase::Commit);
    let _proving = Proving::begin();
    let fresh = commit_fresh(setup, assignment, source);
    let mut prover = Prover::new(setup, assignment, &fresh, long_term, source, observe);
    let mut end = ProverEnd::searching(&PROOF_VERSION.to_le_bytes(), least_nonce);
    let header = encode_statement(statement);
    converse(&mut end, setup, &header, &statement.roots, &mut prover).map_err(|_| ProveError::Unlucky)?;
    let (bytes, marks) = end.finish();
    let opened = setup.groups.iter().skip(1).map(|group| group.shape.queries(setup.sizing.lambda)).collect();
    Ok(Proof { bytes, marks, opened })
}

/// Z with what is known of its pads.
pub(crate) struct Fresh {
    pub(crate) table: Table,
    pads: Zeroizing<Vec<K>>,
    /// Numbers of the pads that are multiplied, in order, the dummy pair last.
    pairs: Vec<(usize, usize)>,
}

/// Which pads are multiplied: derived from the setup alone (spec G9, I8, E5).
fn pad_pairs(setup: &Setup) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let mut next = 0;
    for k in 0..setup.layers {
        next += 2 * k;
        let [p0, p1, q0, q1] = [next, next + 1, next + 2, next + 3];
        pairs.extend([(p0, q1), (p1, q0)]);
        if k > 0 {
            pairs.push((q0, q1));
        }
        next += 4;
    }
    next += 2 * setup.dims.iter().copied().max().unwrap_or(0);
    for &(a, b) in &setup.private {
        if a && b {
            pairs.push((next, next + 1));
        }
        next += usize::from(a) + usize::from(b);
    }
    debug_assert_eq!((next, pairs.len()), setup.sends);
    pairs.push((next, next + 1));
    pairs
}

pub(crate) fn commit_fresh(setup: &Setup, assignment: &Assignment, source: &impl Source) -> Fresh {
    let entries = setup.groups[0].layout.total;
    commit_fresh_as((entries >= SMALL_LEAST).then(|| most_wide(entries)), setup, assignment, source)
}

/// As [`commit_fresh`]; as small integers if at most so many are wide.
pub(crate) fn commit_fresh_as(
    most_wide: Option<usize>,
    setup: &Setup,
    assignment: &Assignment,
    source: &impl Source,
) -> Fresh {
    let group = &setup.groups[0];
    let (mut pads, mut pairs, mut words) = (Vec::new(), Vec::new(), Vec::new());
    if setup.zk {
        words = source.base("z.pad", 2 * (setup.sends.0 + 2));
        pads = words.as_chunks::<2>().0.iter().map(|&[c0, c1]| K::new(c0, c1)).collect();
        pairs = pad_pairs(setup);
    }
    let products = pairs.iter().map(|&(i, j)| pads[i] * pads[j]).flat_map(|product| [product.c0, product.c1]);
    let products = Zeroizing::new(products.collect::<Vec<F>>());
    let entries = |tensor: u32| match setup.pad_tensors {
        Some((pad, _)) if pad == tensor => Entries::Elements(&words),
        Some((_, product)) if product == tensor => Entries::Elements(&products),
        _ => Entries::Integers(&assignment.values[tensor as usize]),
    };
    let tensors: Vec<_> =
        group.tensors.iter().map(|&tensor| (setup.axes(tensor).to_vec(), entries(tensor))).collect();
    let rows = rows(&group.shape, &group.layout, &tensors, most_wide);
    let table = Table::commit(group.shape.clone(), rows, source, "z");
    Fresh { table, pads: Zeroizing::new(pads), pairs }
}

/// What the prover holds during the conversation.
pub(crate) struct Prover<'a, S> {
    setup: &'a Setup,
    values: Values<'a>,
    tables: Vec<&'a Table>,
    pads: &'a [K],
    pairs: &'a [(usize, usize)],
    tree: Tree,
    inner: Inner,
    ladder: Ladder<'a, S>,
    observe: &'a mut (dyn FnMut(Phase) + Send),
    /// The functionals of level 0, for the attacks.
    #[cfg(test)]
    pub(crate) seen: Vec<Vec<K>>,
}

impl<'a, S: Source> Prover<'a, S> {
    /// A witness ready for the conversation.
    pub(crate) fn new(
        setup: &'a Setup,
        assignment: &'a Assignment,
        fresh: &'a Fresh,
        long_term: &[&'a Table],
        source: &'a S,
        observe: &'a mut (dyn FnMut(Phase) + Send),
    ) -> Self {
        Self {
            setup,
            observe,
            values: Values { lowered: &setup.lowered, assignment },
            tables: std::iter::once(&fresh.table).chain(long_term.iter().copied()).collect(),
            pads: &fresh.pads,
            pairs: &fresh.pairs,
            tree: Tree::default(),
            inner: Inner::default(),
            ladder: Ladder::new(&setup.plan, source),
            #[cfg(test)]
            seen: Vec::new(),
        }
    }
}

impl<S> sumcheck::Pads for Prover<'_, S> {
    fn pad(&self, j: usize) -> K {
        self.pads[j]
    }
}

impl<S> sumcheck::InnerProducts for Prover<'_, S> {
    fn weigh(&mut self, gammas: &[K]) {
        self.inner.weigh(gammas);
    }
    fn inner_round(&mut self, j: usize) -> [K; 2] {
        self.inner.round(j)
    }
    fn inner_fold(&mut self, j: usize, rho: K) {
        self.inner.fold(j, rho);
    }
}

impl<S> lookup::Fractions for Prover<'_, S> {
    fn root_fractions(&mut self) -> [K; 4] {
        self.tree.root_fractions()
    }
    fn start_layer(&mut self, k: usize, point: &[K], nu: K) {
        self.tree.start(k, point, nu);
    }
    fn layer_round(&mut self, j: usize) -> [K; 2] {
        self.tree.round(j)
    }
    fn layer_fold(&mut self, _: usize, rho: K) {
        self.tree.fold(rho);
    }
    fn layer_end(&mut self) -> [K; 4] {
        let ends = self.tree.end();
        if self.tree.is_last(self.setup.layers) {
            // What it held serves the relations and the opening.
            self.tree = Tree::default();
        }
        ends
    }
}

impl<'a, S: Source> oracle::Carries for Prover<'a, S> {
    type Part = Ladder<'a, S>;
    fn carried(&self) -> &Self::Part {
        &self.ladder
    }
    fn carried_mut(&mut self) -> &mut Self::Part {
        &mut self.ladder
    }
}

impl<S: Source> Witness for Prover<'_, S> {
    fn commit_fresh(&mut self) -> [u8; 32] {
        self.tables[0].root()
    }
    fn commit_pads(&mut self) -> [u8; 32] {
        self.ladder.pad_root()
    }
    fn lookup_challenges(&mut self, challenges: &LookupChallenges) {
        (self.observe)(Phase::Lookups);
        self.tree = Tree::build(Leaves::new(self.setup, &self.values, challenges), self.setup.layers);
    }
    fn relation_points(&mut self, challenges: Challenges) {
        (self.observe)(Phase::Relations);
        let pads = self.setup.zk.then(|| {
            let eq = algebra::multilinear::eq_table(&challenges.tau);
            let first = self.pairs.iter().zip(&eq).map(|(&(i, _), &e)| e * self.pads[i]).collect();
            (first, self.pairs.iter().map(|&(_, j)| self.pads[j]).collect())
        });
        self.inner = Inner::build(&self.values, &challenges.points, &self.setup.dims, pads);
    }
    fn inner_values(&mut self) -> Vec<K> {
        let ends = self.inner.ends();
        let mut values = Vec::new();
        for (&(a, b), end) in self.setup.private.iter().zip(&ends) {
            values.extend(a.then_some(end[0]));
            values.extend(b.then_some(end[1]));
        }
        values
    }
    fn clear_values(&mut self) -> [K; 2] {
        self.inner.ends().pop().unwrap_or_default()
    }
    fn functionals(&mut self, functionals: &Functionals<'_>) {
        (self.observe)(Phase::Opening);
        #[cfg(test)]
        self.seen.clone_from(&crate::functional::dense(self.setup, functionals));
        let functionals = crate::functional::functionals(self.setup, functionals, &self.tables);
        self.ladder.begin(self.tables.clone(), functionals);
    }
}
