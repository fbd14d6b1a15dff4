//! What a proof will cost, from counts alone.
//!
//! [`estimate`] counts what each operator makes; [`Units`] weigh one way to lower an operator
//! against another. [`Estimate::with_sizes`] then predicts from the proof system's exact sizes,
//! with constants fitted to the prover as it is, scaled to the machine at hand.

use program::types::{Contraction, Form, Home, Operator, Program};
use serde::Serialize;

use crate::oracle::queries;

/// Relative costs of the ways to lower an operator, as nanoseconds on one core. They decide which
/// program is made, so they are not refitted whenever the prover becomes faster.
#[derive(Clone, Debug, PartialEq)]
pub struct Units {
    /// A committed value: encoded, hashed, opened.
    pub value: f64,
    /// A leaf of the lookup argument.
    pub lookup: f64,
    /// A row of a table: a committed multiplicity and a leaf.
    pub row: f64,
    /// A private model parameter, with its opening.
    pub weight: f64,
    /// What a private parameter beyond int8 costs more: its rows are folded byte by byte.
    pub wide_weight: f64,
    /// A public parameter, evaluated by both sides.
    pub public_weight: f64,
    /// A multiplication of the integer run.
    pub product: f64,
    /// An entry read by a sum of products in the proof.
    pub operand: f64,
    /// Milliseconds that every proof costs.
    pub fixed_ms: f64,
    /// Cores at work.
    pub cores: f64,
    /// Factor for what is not counted.
    pub overhead: f64,
}

impl Default for Units {
    fn default() -> Self {
        Self {
            value: 48.0,
            lookup: 26.0,
            row: 74.0,
            weight: 8.5,
            wide_weight: 0.1,
            public_weight: 2.0,
            product: 0.5,
            operand: 6.0,
            fixed_ms: 3.0,
            cores: 1.85,
            overhead: 1.5,
        }
    }
}

impl Units {
    /// What the wide form of a rounding costs more than a table over all quotients, per position:
    /// two columns and a lookup.
    pub(crate) fn wide(&self) -> f64 {
        2.0 * self.value + self.lookup
    }
}

/// One operator's share.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Graph node it was made for.
    pub node: String,
    /// Kind of operator.
    pub kind: &'static str,
    /// Committed values.
    pub values: u64,
    /// Lookups.
    pub lookups: u64,
    /// Parameters first read here.
    pub weights: u64,
    /// Multiplications of the integer run.
    pub products: u64,
    /// Milliseconds.
    pub ms: f64,
}

/// Predicted costs of one proof.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Milliseconds to prove, inputs and model in memory.
    pub prove_ms: f64,
    /// Peak memory of the prover.
    pub peak_ram_bytes: u64,
    /// Bytes of the proof.
    pub proof_bytes: u64,
    /// Milliseconds to verify.
    pub verify_ms: f64,
    /// Committed values in all.
    pub values: u64,
    /// Leaves of the lookup argument in all, tables included.
    pub leaves: u64,
    /// Rows of all tables in use.
    pub table_rows: u64,
    /// Model parameters.
    pub weights: u64,
    /// Per operator, in order.
    pub rows: Vec<Row>,
}

fn count(axes: &[u32], batch: u64) -> u64 {
    axes.iter().map(|&n| if n == 0 { batch } else { u64::from(n) }).product()
}

fn limbs(bits: u8, limb: u8) -> u64 {
    u64::from(bits.div_ceil(limb.max(1)))
}

/// Sizes of the range tables a number of `bits` bits needs.
fn limb_tables(bits: u8, limb: u8, into: &mut Vec<(char, u8)>) {
    let mut left = bits;
    while left > 0 {
        let size = left.min(limb);
        into.push(('u', size));
        left -= size;
    }
}

/// (columns, lookups) per position, and the implied tables in use.
fn shape(operator: &Operator, program: &Program, tables: &mut Vec<(char, u8)>) -> (u64, u64) {
    let b = program.limb_bits;
    match operator {
        Operator::Check { bits, .. } => {
            limb_tables(*bits, b, tables);
            (limbs(*bits, b).saturating_sub(1), limbs(*bits, b))
        }
        Operator::Table { table, .. } => (program.tables[*table as usize].outs.len() as u64, 1),
        Operator::Commit { .. } => (1, 0),
        Operator::Split { bits, .. } => {
            limb_tables(*bits, b, tables);
            (2 + 2 * limbs(*bits, b).saturating_sub(1), 2 * limbs(*bits, b))
        }
        Operator::Round(r) => {
            let n = limbs(r.shift, b);
            if r.half_even {
                tables.extend([('t', b), ('t', r.shift % b)]);
            } else {
                limb_tables(r.shift, b, tables);
            }
            let rest = if r.contraction.is_some() { n } else { n.saturating_sub(1) };
            let ties = if r.half_even { n } else { 0 };
            let (q, looks) = match (&r.domain, r.table) {
                (program::types::Domain::Wide { high_bits, .. }, _) => {
                    tables.push(('c', *high_bits));
                    (4, 2)
                }
                (_, Some(_)) => (2, 1),
                (program::types::Domain::Narrow { bits, .. }, None) => {
                    limb_tables(*bits, b, tables);
                    (1 + limbs(*bits, b).saturating_sub(1), limbs(*bits, b))
                }
            };
            (q + rest + ties, n + looks)
        }
    }
}

fn axes(operator: &Operator) -> &[u32] {
    match operator {
        Operator::Check { axes, .. }
        | Operator::Table { axes, .. }
        | Operator::Commit { axes, .. }
        | Operator::Split { axes, .. } => axes,
        Operator::Round(r) => &r.axes,
    }
}

fn kind(operator: &Operator) -> &'static str {
    match operator {
        Operator::Check { .. } => "check",
        Operator::Table { .. } => "table",
        Operator::Commit { .. } => "commit",
        Operator::Split { .. } => "split",
        Operator::Round(r) if r.contraction.is_some() => "layer",
        Operator::Round(_) => "round",
    }
}

fn contraction(operator: &Operator) -> Option<&Contraction> {
    match operator {
        Operator::Commit { contraction, .. } => Some(contraction),
        Operator::Round(r) => r.contraction.as_ref(),
        _ => None,
    }
}

fn tensors(operator: &Operator) -> Vec<u32> {
    let list = |f: &Form| f.0.iter().map(|(_, v)| v.tensor).collect::<Vec<_>>();
    match operator {
        Operator::Round(r) => {
            let mut all = list(&r.extra);
            all.extend(r.contraction.iter().flat_map(|c| [list(&c.a), list(&c.b), list(&c.c)].concat()));
            all
        }
        Operator::Commit { contraction: c, .. } => [list(&c.a), list(&c.b), list(&c.c)].concat(),
        _ => vec![],
    }
}

/// Predicts the cost of proving `program` for `batch` inputs with zero knowledge.
/// `nodes` names the graph node of every operator (missing ones stay empty).
pub fn estimate(program: &Program, batch: u64, units: &Units, nodes: &[String]) -> Estimate {
    let mut implied = Vec::new();
    let mut seen = vec![false; program.tensors.len()];
    let mut rows = Vec::with_capacity(program.operators.len());
    for (i, operator) in program.operators.iter().enumerate() {
        let positions = count(axes(operator), batch);
        let (columns, looks) = shape(operator, program, &mut implied);
        let products = contraction(operator).map_or(0, |c| positions * count(&c.sum, 1));
        let (mut private, mut wide, mut public) = (0, 0, 0);
        for t in tensors(operator) {
            let Some(tensor) = program.tensors.get(t as usize) else { continue };
            if !std::mem::replace(&mut seen[t as usize], true) {
                match tensor.home {
                    Home::Model => {
                        let entries = count(&tensor.axes, 1);
                        private += entries;
                        wide += if tensor.lo < -128 || tensor.hi > 127 { entries } else { 0 };
                    }
                    Home::Const => public += count(&tensor.axes, 1),
                    Home::Ones | Home::Input => {}
                }
            }
        }
        let (values, lookups) = (positions * columns, positions * looks);
        let ns = values as f64 * units.value
            + lookups as f64 * units.lookup
            + private as f64 * units.weight
            + wide as f64 * units.wide_weight
            + public as f64 * units.public_weight
            + products as f64 * units.product
            + if products > 0 { positions as f64 * units.operand } else { 0.0 };
        rows.push(Row {
            node: nodes.get(i).cloned().unwrap_or_default(),
            kind: kind(operator),
            values,
            lookups,
            weights: private + public,
            products,
            ms: ns * 1e-6,
        });
    }
    finish(program, batch, units, rows, implied)
}

/// One committed table of the proof system.
#[derive(Clone, Debug, PartialEq)]
pub struct Oracle {
    /// Rows over the base field; a row over the extension counts as two.
    pub rows: u64,
    /// Coefficients of a row, masks included.
    pub dimension: u64,
    /// Positions of the code, a power of two.
    pub positions: u64,
    /// Bytes of an opened column.
    pub column_bytes: u64,
    /// Columns opened.
    pub queries: u64,
    /// Committed while proving, not before.
    pub made: bool,
    /// Its rows are summed against a functional; without: it only closes the proof.
    pub folded: bool,
}

/// Exact sizes of one proof.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizes {
    /// All tables that are opened.
    pub oracles: Vec<Oracle>,
    /// Leaves of the lookup argument, padded to a power of two.
    pub leaves: u64,
    /// Bytes of all messages but opened columns and their paths.
    pub message_bytes: u64,
    /// Committed values of this proof.
    pub values: u64,
    /// Entries of all public tensors and tables.
    pub public: u64,
}

/// Fitted costs of the prover on the machine of `docs/benchmarks.md`: nanoseconds with both cores at
/// work, unless said otherwise.
mod cost {
    /// Encoding: per entry of a code word and level of the transform, with what hashing adds.
    pub const CODE: f64 = 0.5;
    /// Levels of the transform that hashing an entry is worth.
    pub const HASH_LEVELS: f64 = 6.0;
    /// A leaf of a tree, with its path's share.
    pub const COLUMN: f64 = 46.0;
    /// The functional of opened positions, per position and level.
    pub const QUERY: f64 = 1.0;
    /// An entry of a committed table while it is opened.
    pub const ENTRY: f64 = 53.0;
    /// A leaf of the lookup argument, padded.
    pub const LEAF: f64 = 80.0;
    /// A multiplication of the integer run, the execution and the relations.
    pub const PRODUCT: f64 = 2.0;
    /// A committed value: computed, placed, read by the relations.
    pub const VALUE: f64 = 116.0;
    /// Milliseconds of every proof.
    pub const FIXED_MS: f64 = 2.0;
    /// A proof byte, verified: hashed and folded.
    pub const PROOF_BYTE: f64 = 12.0;
    /// An entry of a public tensor or table, verified.
    pub const PUBLIC: f64 = 15.0;
    /// An operator, verified.
    pub const OPERATOR: f64 = 20_000.0;
}

impl Oracle {
    fn code(&self) -> f64 {
        (self.rows * self.positions) as f64
    }

    /// Nanoseconds to encode and hash it.
    fn commit_ns(&self) -> f64 {
        let levels = f64::from(self.positions.trailing_zeros()) + cost::HASH_LEVELS;
        self.code() * levels * cost::CODE + self.positions as f64 * cost::COLUMN
    }

    /// Nanoseconds to fold and open it.
    fn open_ns(&self) -> f64 {
        if !self.folded {
            return 0.0;
        }
        let levels = f64::from(self.positions.trailing_zeros());
        (self.rows * self.dimension) as f64 * cost::ENTRY + self.positions as f64 * levels * cost::QUERY
    }

    /// Opened columns and the expected number of siblings of their paths, in bytes.
    fn opened_bytes(&self) -> f64 {
        let queries = self.queries.min(self.positions) as i32;
        // Of 2^j leaves below a node, none is opened with this probability.
        let known = |j: u32| {
            let nodes = (self.positions >> j) as f64;
            nodes * (1.0 - (1.0 - 1.0 / nodes).max(0.0).powi(queries))
        };
        let levels = self.positions.trailing_zeros();
        let first = f64::from(queries);
        let siblings: f64 =
            (0..levels).map(|j| 2.0 * known(j + 1) - if j == 0 { first } else { known(j) }).sum();
        f64::from(queries) * self.column_bytes as f64 + 32.0 * siblings.max(0.0)
    }

    /// Bytes it occupies: coefficients, code words, salts, tree.
    fn memory(&self) -> u64 {
        8 * self.rows * (self.dimension + self.positions) + 112 * self.positions
    }
}

impl Sizes {
    /// Milliseconds to prove on a machine `slowness` times as slow as the reference, with this many
    /// multiplications in the integer run.
    pub fn prove_ms(&self, products: u64, slowness: f64) -> f64 {
        let oracles: f64 =
            self.oracles.iter().map(|o| o.open_ns() + if o.made { o.commit_ns() } else { 0.0 }).sum();
        let ns = oracles
            + self.leaves as f64 * cost::LEAF
            + products as f64 * cost::PRODUCT
            + self.values as f64 * cost::VALUE;
        (cost::FIXED_MS + ns * 1e-6) * slowness
    }

    /// Bytes of the proof. Paths share nodes by chance; this is the mean.
    pub fn proof_bytes(&self) -> u64 {
        self.message_bytes + self.oracles.iter().map(Oracle::opened_bytes).sum::<f64>() as u64
    }
}

impl Estimate {
    /// Replaces the predictions by those that follow from exact sizes. `slowness` is the time of a
    /// small proof on this machine over its predicted time.
    pub fn with_sizes(mut self, sizes: &Sizes, operators: usize, slowness: f64) -> Self {
        let products = self.rows.iter().map(|r| r.products).sum();
        self.prove_ms = sizes.prove_ms(products, slowness);
        self.proof_bytes = sizes.proof_bytes();
        self.verify_ms = slowness
            * 1e-6
            * (self.proof_bytes as f64 * cost::PROOF_BYTE
                + sizes.public as f64 * cost::PUBLIC
                + operators as f64 * cost::OPERATOR);
        self.peak_ram_bytes = self.memory(sizes);
        for row in &mut self.rows {
            row.ms = 1e-6
                * slowness
                * (row.values as f64 * (cost::VALUE + cost::ENTRY)
                    + row.lookups as f64 * cost::LEAF
                    + row.weights as f64 * cost::ENTRY
                    + row.products as f64 * cost::PRODUCT);
        }
        self
    }

    /// Peak memory: the process, the weights as they are read, quantised and kept, all tables, the
    /// values, and the larger of the lookup tree and the functionals.
    fn memory(&self, sizes: &Sizes) -> u64 {
        let tables: u64 = sizes.oracles.iter().map(Oracle::memory).sum();
        let opened: u64 = sizes.oracles.iter().filter(|o| o.folded).map(|o| 24 * o.rows * o.dimension).sum();
        let lookups = 96 * sizes.leaves;
        (16 << 20) + 24 * self.weights + tables + 16 * sizes.values + opened.max(lookups)
    }
}

fn finish(
    program: &Program,
    batch: u64,
    units: &Units,
    rows: Vec<Row>,
    mut implied: Vec<(char, u8)>,
) -> Estimate {
    let inputs: u64 =
        program.tensors.iter().filter(|t| t.home == Home::Input).map(|t| count(&t.axes, batch)).sum();
    let private: u64 =
        program.tensors.iter().filter(|t| t.home == Home::Model).map(|t| count(&t.axes, 1)).sum();
    for t in program.tensors.iter().filter(|t| t.home == Home::Input) {
        limb_tables((64 - (t.hi - t.lo).leading_zeros()) as u8, program.limb_bits, &mut implied);
    }
    // A label is shown by comparing outputs, which are wide: whole limbs.
    if !program.outputs.is_empty() {
        implied.push(('u', program.limb_bits));
    }
    implied.retain(|t| t.1 > 0);
    implied.sort_unstable();
    implied.dedup();
    let declared: u64 =
        program.tables.iter().map(|t| t.keys.iter().map(|k| u64::from(k.1)).product::<u64>()).sum();
    let table_rows = declared + implied.iter().map(|t| 1u64 << t.1).sum::<u64>();
    let lookups: u64 = rows.iter().map(|r| r.lookups).sum::<u64>() + 2 * inputs;
    let values: u64 = rows.iter().map(|r| r.values).sum::<u64>() + 2 * inputs + table_rows;
    let leaves = lookups + table_rows;
    let work: f64 = rows.iter().map(|r| r.ms).sum::<f64>()
        + (table_rows as f64 * units.row + inputs as f64 * 2.0 * (units.value + units.lookup)) * 1e-6;
    let public: u64 = program.tensors.iter().map(|t| t.content.len() as u64).sum();
    Estimate {
        prove_ms: units.fixed_ms + work * units.overhead / units.cores,
        peak_ram_bytes: 8 * values * 5 + 70 * leaves + private * 40 + public * 16 + (16 << 20),
        proof_bytes: proof_bytes(program, values, leaves),
        verify_ms: 2.0 + (declared as f64 * 4.0 + public as f64 * 6.0 + rows.len() as f64 * 20_000.0) * 1e-6,
        values,
        leaves,
        table_rows,
        weights: private + rows.iter().map(|r| r.weights).sum::<u64>().saturating_sub(private),
        rows,
    }
}

fn log(x: u64) -> u64 {
    u64::from(x.max(1).next_power_of_two().trailing_zeros())
}

/// Opened columns with salts and paths of one oracle.
fn opened(rows: u64, bytes: u64, n: u64, k: u64, lambda: u8) -> u64 {
    let t = queries(n, k, lambda).min(n);
    t * (rows * bytes + 16) + t * 32 * (log(n).saturating_sub(log(t)) + 1)
}

/// The ladder and the messages of the sumchecks.
fn proof_bytes(program: &Program, values: u64, leaves: u64) -> u64 {
    let lambda = program.lambda;
    let rows = if values <= 1 << 17 { 16 } else { 32 };
    let c = 1u64 << log(values.div_ceil(rows)).max(10);
    let n = if c == 1024 {
        8 * c
    } else if values <= 1 << 22 {
        4 * c
    } else {
        2 * c
    };
    let mut total = opened(values.div_ceil(c), 8, n, c + 128, lambda);
    let mut width = c + 128;
    if let Some(m) = program.model_oracle {
        let (mc, mt) = (1u64 << m.log_c, m.log_t.map_or(0, |t| 1u64 << t));
        total += opened(u64::from(m.rows), 8, 1 << m.log_n, mc + mt, lambda);
        width += mc + mt;
    }
    while width > 2560 {
        let c = 1u64 << log(width.div_ceil(17)).max(8);
        let n = 8 * c;
        total += opened(width.div_ceil(c), 16, n, c + 128, lambda);
        width = c + 128;
    }
    total += opened(2, 16, 8 << log(width), (1 << log(width)) + 128, lambda) + width * 16;
    total += opened(2, 16, 2048, 256, lambda) + 2048;
    let depth = log(leaves);
    total + 16 * (depth * depth + 3 * depth + 2 * 32 + 3 * program.operators.len() as u64)
}
