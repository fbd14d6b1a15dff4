//! The prover's side of links: commit the same data again, and show that it is the same (spec K1-K4).

use algebra::multilinear::{eq_prefix, eq_table};
use algebra::slices::scale;
use algebra::{F, K};
use oracle::{Opened, Rungs, Shape};
use tape::ProverEnd;
use verify::{Link, LinkSetup, LinkStatement, LinkWitness, OracleRecord, PROOF_VERSION};
use zeroize::Zeroizing;

use crate::ProveError;
use crate::functional::Functional;
use crate::product::Data;
use crate::random::Source;
use crate::rungs::Ladder;
use crate::table::{Rows, Table};

/// Commits a table's data again under fresh masks and salts. `shape` may have other R, C, T and n;
/// `seed` must be used for this commitment only.
///
/// # Errors
/// [`ProveError::OtherData`] if the data does not fit the shape.
pub fn recommit(table: &Table, shape: Shape, seed: &impl Source) -> Result<Table, ProveError> {
    let size = shape.rows * shape.data();
    match table.data() {
        Data::Small(_) => {
            let data = table.integers().and_then(|data| data.resized(size)).ok_or(ProveError::OtherData)?;
            Ok(Table::within(shape, Rows::Small(data), (seed, "z"), table.most_kept()))
        }
        Data::Base(data) => {
            let data = Rows::Base(Zeroizing::new(resized(data, size, F::ZERO)?));
            Ok(Table::within(shape, data, (seed, "z"), table.most_kept()))
        }
        Data::Extension(_) => Err(ProveError::OtherData),
    }
}

/// The same entries at the same addresses: both shapes lay them end to end.
fn resized<T: Copy + PartialEq>(old: &[T], size: usize, zero: T) -> Result<Vec<T>, ProveError> {
    if old.iter().skip(size).any(|&x| x != zero) {
        return Err(ProveError::OtherData);
    }
    let mut data = Vec::with_capacity(size);
    data.extend_from_slice(&old[..size.min(old.len())]);
    data.resize(size, zero);
    Ok(data)
}

/// Whether the first n entries are the same. All tables of one model hold them in the same form.
fn same(a: Data<'_>, b: Data<'_>, n: usize) -> bool {
    match (a, b) {
        (Data::Small(a), Data::Small(b)) => n <= a.len() && n <= b.len() && a.part(0, n).same(b.part(0, n)),
        (Data::Base(a), Data::Base(b)) => a.get(..n).is_some_and(|a| b.get(..n) == Some(a)),
        _ => false,
    }
}

/// What all links of one model or one committed input have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAbout {
    /// λ and g.
    pub security: [u8; 2],
    /// The model identity, or the identity of the committed input.
    pub subject: [u8; 32],
    /// Entries of the data.
    pub total: u64,
}

impl LinkAbout {
    /// The statement that parent and child hold the same data.
    pub fn statement(&self, [parent, child]: [&Table; 2]) -> LinkStatement {
        let record = |table: &Table| OracleRecord { shape: table.shape().clone(), root: table.root() };
        let [lambda, grind] = self.security;
        let Self { subject, total, .. } = *self;
        let (parent, child) = (record(parent), record(child));
        LinkStatement { lambda, grind, subject, total, parent, child, context: Vec::new() }
    }
}

/// Proves that two tables hold the same data. `source` must be fresh.
///
/// # Errors
/// [`ProveError`] if the statement is not about these tables or their data differ.
pub fn prove_link(
    statement: LinkStatement,
    [parent, child]: [&Table; 2],
    source: &impl Source,
) -> Result<Link, ProveError> {
    let setup = LinkSetup::new(&statement).map_err(ProveError::Link)?;
    for (oracle, (table, record)) in
        [parent, child].into_iter().zip([&statement.parent, &statement.child]).enumerate()
    {
        if table.root() != record.root || *table.shape() != record.shape {
            return Err(ProveError::OtherTable { oracle });
        }
    }
    let mut linker = Linker::new(&setup, [parent, child], source).ok_or(ProveError::OtherData)?;
    let mut end = ProverEnd::searching(&PROOF_VERSION.to_le_bytes(), crate::grind::least_nonce);
    verify::link(&mut end, &setup, &statement.encode(), &mut linker).map_err(|_| ProveError::Unlucky)?;
    Ok(Link { statement, proof: end.finish().0 })
}

/// What the prover of a link holds.
pub(crate) struct Linker<'a, S> {
    setup: &'a LinkSetup,
    tables: [&'a Table; 2],
    ladder: Ladder<'a, S>,
    point: Vec<K>,
    /// The tables have the same rows: all rounds of level 0 are sums of nothing but zeros, and one
    /// fold serves both.
    alike: bool,
    first: bool,
}

impl<'a, S: Source> Linker<'a, S> {
    /// A witness ready for the conversation. None if the data differ.
    pub(crate) fn new(setup: &'a LinkSetup, tables: [&'a Table; 2], source: &'a S) -> Option<Self> {
        let [a, b] = tables.map(Table::data);
        same(a, b, setup.total).then(|| Self::unchecked(setup, tables, source))
    }

    /// As [`Self::new`] without a look at the data.
    pub(crate) fn unchecked(setup: &'a LinkSetup, tables: [&'a Table; 2], source: &'a S) -> Self {
        let [a, b] = tables.map(Table::shape);
        let all = a.rows * a.data();
        let alike = a.log_c == b.log_c && same(tables[0].data(), tables[1].data(), all);
        Self {
            setup,
            tables,
            ladder: Ladder::new(&setup.plan, source),
            point: Vec::new(),
            alike,
            first: true,
        }
    }

    /// Takes the general way though the tables have the same rows.
    #[cfg(test)]
    pub(crate) fn apart(mut self) -> Self {
        self.alike = false;
        self
    }

    /// +eq(r, ·) and -eq(r, ·) below N, in R·C entries.
    fn functionals(&self) -> Vec<Functional> {
        let values = eq_prefix(&self.point, self.setup.total);
        let mut negated = values.clone();
        scale(&mut negated, -K::ONE);
        let sized = |(mut values, table): (Vec<K>, &Table)| {
            values.resize(table.shape().rows * table.shape().data(), K::ZERO);
            Functional::Dense(values)
        };
        [values, negated].into_iter().zip(self.tables).map(sized).collect()
    }

    /// Both tables' rows folded at once: eq(r, ·) and the data, C entries each.
    fn fold_both(&self, weights: &[K]) -> (Vec<K>, Zeroizing<Vec<K>>) {
        let shape = self.tables[0].shape();
        let width = shape.data();
        let data = self.tables[0].fold_data(weights);
        let (low, high) = self.point.split_at(shape.log_c.min(self.point.len()));
        let rows: Vec<K> = weights.iter().zip(eq_table(high)).map(|(&e, eq)| e * eq).collect();
        // The last row may end before its width.
        let last = self.setup.total - (shape.rows - 1) * width;
        let all: K = rows.iter().copied().sum();
        let short = all - rows[shape.rows - 1];
        let mut functional = eq_table(low);
        functional.resize(width, K::ZERO);
        scale(&mut functional[..last], all);
        scale(&mut functional[last..], short);
        (functional, data)
    }
}

impl<S: Source> LinkWitness for Linker<'_, S> {
    fn commit_pads(&mut self) -> [u8; 32] {
        self.ladder.pad_root()
    }
    fn link_point(&mut self, point: &[K]) {
        self.point = point.to_vec();
        if !self.alike {
            let functionals = self.functionals();
            self.ladder.begin(self.tables.to_vec(), functionals);
        }
    }
}

impl<S: Source> Rungs for Linker<'_, S> {
    fn ladder_pad(&self, j: usize) -> K {
        self.ladder.ladder_pad(j)
    }
    fn start_level(&mut self, level: usize) {
        self.first = level == 0;
        self.ladder.start_level(level);
    }
    fn row_round(&mut self, j: usize) -> [K; 2] {
        if self.alike && self.first { [K::ZERO; 2] } else { self.ladder.row_round(j) }
    }
    fn row_fold(&mut self, j: usize, zeta: K) {
        if !(self.alike && self.first) {
            self.ladder.row_fold(j, zeta);
        }
    }
    fn fold(&mut self, weights: &[Vec<K>], factors: &[K]) {
        if self.alike && self.first {
            let (functional, data) = self.fold_both(&weights[0]);
            let mut negated = functional.clone();
            scale(&mut negated, -K::ONE);
            let rows = vec![(functional, data.clone()), (negated, data)];
            self.ladder.begin_folded(self.tables.to_vec(), rows);
        }
        self.ladder.fold(weights, factors);
    }
    fn commit_next(&mut self) -> [u8; 32] {
        self.ladder.commit_next()
    }
    fn commit_end(&mut self) -> [u8; 32] {
        self.ladder.commit_end()
    }
    fn last_vector(&mut self) -> Vec<K> {
        self.ladder.last_vector()
    }
    fn columns(&mut self, opened: Opened, positions: &[usize]) -> Vec<u8> {
        self.ladder.columns(opened, positions)
    }
    fn siblings(&mut self, opened: Opened, positions: &[usize]) -> Vec<[u8; 32]> {
        self.ladder.siblings(opened, positions)
    }
    fn queried(&mut self, positions: &[Vec<usize>], xi: K) {
        self.ladder.queried(positions, xi);
    }
    fn end_round(&mut self, j: usize) -> [K; 2] {
        self.ladder.end_round(j)
    }
    fn end_fold(&mut self, j: usize, zeta: K) {
        self.ladder.end_fold(j, zeta);
    }
    fn sigma(&mut self, kappa: &[K]) -> K {
        self.ladder.sigma(kappa)
    }
    fn reply(&mut self, theta: K) -> Vec<K> {
        self.ladder.reply(theta)
    }
}
