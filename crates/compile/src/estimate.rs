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

/// Fitted costs on the machine of `docs/benchmarks.md`, idle: nanoseconds, of the prover with both cores at work, of the
/// verifier with its one, unless said otherwise. A test compares them with the figures there.
mod cost {
    /// Encoding: per entry of a code word and level of the transform, with what hashing adds.
    pub const CODE: f64 = 0.25;
    /// Levels of the transform that hashing an entry is worth.
    pub const HASH_LEVELS: f64 = 6.0;
    /// An entry of a table that was committed before, while it is opened: 16 bits, summed by rows.
    pub const ENTRY: f64 = 2.5;
    /// A leaf of the lookup argument, padded.
    pub const LEAF: f64 = 14.0;
    /// A multiplication of the integer run, the execution and the relations.
    pub const PRODUCT: f64 = 0.19;
    /// A committed value: computed, placed, read by the relations, opened.
    pub const VALUE: f64 = 38.0;
    /// What encoding adds to a value on the average, where operators are compared.
    pub const VALUE_CODE: f64 = 30.0;
    /// Milliseconds of every proof.
    pub const FIXED_MS: f64 = 2.5;
    /// Milliseconds of every verification.
    pub const VERIFY_MS: f64 = 0.9;
    /// A proof byte, verified: hashed and folded.
    pub const PROOF_BYTE: f64 = 1.5;
    /// An entry of a public tensor or table, verified.
    pub const PUBLIC: f64 = 2.5;
    /// An operator, verified: validated, lowered, its relations walked.
    pub const OPERATOR: f64 = 50_000.0;
}

/// Fitted memory of the prover's process, in bytes; code words and trees are counted apart.
mod held {
    /// The process: program, files as they are read, what the allocator keeps.
    pub const PROCESS: u64 = 42 << 20;
    /// A weight: read, quantised, committed in 16 bits, its functional.
    pub const WEIGHT: u64 = 24;
    /// A committed value: executed, committed in 16 bits, its functional.
    pub const VALUE: u64 = 20;
    /// A leaf of the lookup argument: layers above it, coordinates of which it is made again.
    pub const LEAF: u64 = 40;
    /// What one of the first leaves takes more: small trees are held whole.
    pub const FIRST_LEAF: u64 = 150;
    /// How many are the first.
    pub const FIRST_LEAVES: u64 = 1 << 17;
    /// A position of a code: its leaf of the tree with the nodes above, its salt.
    pub const POSITION: u64 = 112;
    /// Code words of up to so many entries are kept: of a table made for one proof, and of one that serves many.
    /// The room of the latter is shared with the fresh values of a proof.
    pub const CODE_WORDS: (u64, u64) = (1 << 23, 1 << 26);
    /// What a fresh value takes of this room.
    pub const WORDS_PER_VALUE: u64 = 5;
    /// Positions that others are encoded at, at least: one coset after the other.
    pub const COSET: u64 = 1 << 17;
}

impl Oracle {
    fn code(&self) -> f64 {
        (self.rows * self.positions) as f64
    }

    /// Nanoseconds to encode and hash it.
    fn commit_ns(&self) -> f64 {
        let levels = f64::from(self.positions.trailing_zeros()) + cost::HASH_LEVELS;
        self.code() * levels * cost::CODE
    }

    /// Nanoseconds to open it, beyond what its values cost.
    fn open_ns(&self) -> f64 {
        if self.folded && !self.made { (self.rows * self.dimension) as f64 * cost::ENTRY } else { 0.0 }
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

    /// Bytes of its code words, or of those that are held at one time, and of its tree; beside so many fresh values.
    fn memory(&self, values: u64) -> u64 {
        let words = self.rows * self.positions;
        let beside = held::CODE_WORDS.1.saturating_sub(held::WORDS_PER_VALUE * values);
        let most = if self.made { held::CODE_WORDS.0 } else { beside };
        let data = 1 << self.dimension.saturating_sub(1).checked_ilog2().unwrap_or(0);
        let coset = data.min(held::COSET.max(data / 16));
        let at_once = if words <= most { self.positions } else { coset };
        8 * self.rows * at_once + held::POSITION * self.positions
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
            * (cost::VERIFY_MS
                + 1e-6
                    * (self.proof_bytes as f64 * cost::PROOF_BYTE
                        + sizes.public as f64 * cost::PUBLIC
                        + operators as f64 * cost::OPERATOR));
        self.peak_ram_bytes = self.memory(sizes);
        for row in &mut self.rows {
            row.ms = 1e-6
                * slowness
                * (row.values as f64 * (cost::VALUE + cost::VALUE_CODE)
                    + row.lookups as f64 * cost::LEAF
                    + row.weights as f64 * cost::ENTRY
                    + row.products as f64 * cost::PRODUCT);
        }
        self
    }

    /// Peak memory of the prover's process.
    fn memory(&self, sizes: &Sizes) -> u64 {
        held::PROCESS
            + held::WEIGHT * self.weights
            + held::VALUE * sizes.values
            + held::LEAF * sizes.leaves
            + held::FIRST_LEAF * sizes.leaves.min(held::FIRST_LEAVES)
            + sizes.oracles.iter().map(|oracle| oracle.memory(sizes.values)).sum::<u64>()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What was found for a network, on the machine of `docs/benchmarks.md` and with the commands there.
    struct Found {
        name: &'static str,
        /// Rows, dimension, positions of each oracle: the fresh one, the model's, the inner ones, the end and its pads.
        oracles: &'static [[u64; 3]],
        leaves: u64,
        values: u64,
        public: u64,
        weights: u64,
        products: u64,
        operators: usize,
        proof_bytes: u64,
        prove_ms: f64,
        verify_ms: f64,
        peak_mb: u64,
    }

    // Sizes are those of `estimate`; peaks those of a process that proves with a key that is there. The last time is half of
    // the processor time: it was not measured on an idle machine.
    const FOUND: [Found; 5] = [
        Found {
            name: "mlp4m",
            oracles: &[
                [12, 4352, 16384],
                [65, 81920, 262144],
                [44, 4352, 16384],
                [18, 640, 4096],
                [4, 1280, 4096],
                [4, 192, 2048],
            ],
            leaves: 65536,
            values: 45134,
            public: 25622,
            weights: 4206595,
            products: 4201472,
            operators: 6,
            proof_bytes: 333538,
            prove_ms: 23.8,
            verify_ms: 1.7,
            peak_mb: 339,
        },
        Found {
            name: "resnet18_cifar",
            oracles: &[
                [34, 65664, 262144],
                [86, 163840, 524288],
                [30, 16512, 65536],
                [34, 1152, 8192],
                [4, 2176, 16384],
                [4, 192, 2048],
            ],
            leaves: 2097152,
            values: 2175633,
            public: 317612,
            weights: 11169162,
            products: 555422720,
            operators: 21,
            proof_bytes: 412162,
            prove_ms: 272.0,
            verify_ms: 3.0,
            peak_mb: 961,
        },
        Found {
            name: "vgg16_cifar",
            oracles: &[
                [20, 65792, 131072],
                [113, 163840, 524288],
                [30, 16512, 65536],
                [34, 1152, 8192],
                [4, 2176, 16384],
                [4, 192, 2048],
            ],
            leaves: 1048576,
            values: 1279636,
            public: 237750,
            weights: 14719818,
            products: 313201664,
            operators: 24,
            proof_bytes: 453322,
            prove_ms: 215.0,
            verify_ms: 2.8,
            peak_mb: 1087,
        },
        Found {
            name: "mobilenetv2_cifar",
            oracles: &[
                [56, 131200, 524288],
                [34, 81920, 262144],
                [28, 16512, 131072],
                [34, 1152, 16384],
                [4, 2176, 32768],
                [4, 192, 2048],
            ],
            leaves: 8388608,
            values: 7316322,
            public: 310262,
            weights: 2219626,
            products: 87976448,
            operators: 53,
            proof_bytes: 368802,
            prove_ms: 688.0,
            verify_ms: 4.5,
            peak_mb: 1023,
        },
        Found {
            name: "resnet18_224",
            oracles: &[
                [74, 131200, 524288],
                [90, 163840, 524288],
                [38, 16512, 131072],
                [34, 1152, 16384],
                [4, 2176, 32768],
                [4, 192, 2048],
            ],
            leaves: 8388608,
            values: 9660076,
            public: 282586,
            weights: 11684712,
            products: 1814073344,
            operators: 25,
            proof_bytes: 460578,
            prove_ms: 980.0,
            verify_ms: 4.2,
            peak_mb: 1121,
        },
    ];

    fn sizes(found: &Found) -> Sizes {
        let inner = found.oracles.len() - 2;
        let oracle = |(i, &[rows, dimension, positions]): (usize, &[u64; 3])| Oracle {
            rows,
            dimension,
            positions,
            column_bytes: 8 * rows + 16,
            queries: 120,
            made: i != 1,
            folded: i < inner,
        };
        Sizes {
            oracles: found.oracles.iter().enumerate().map(oracle).collect(),
            leaves: found.leaves,
            message_bytes: 0,
            values: found.values,
            public: found.public,
        }
    }

    fn predicted(found: &Found) -> Estimate {
        let row = Row {
            node: String::new(),
            kind: "layer",
            values: found.values,
            lookups: found.leaves,
            weights: found.weights,
            products: found.products,
            ms: 0.0,
        };
        let mut sizes = sizes(found);
        // The mean of paths is tested elsewhere: here the proof has the bytes it had.
        sizes.message_bytes = found.proof_bytes - sizes.proof_bytes().min(found.proof_bytes);
        let estimate = Estimate {
            prove_ms: 0.0,
            peak_ram_bytes: 0,
            proof_bytes: 0,
            verify_ms: 0.0,
            values: found.values,
            leaves: found.leaves,
            table_rows: 0,
            weights: found.weights,
            rows: vec![row],
        };
        estimate.with_sizes(&sizes, found.operators, 1.0)
    }

    #[test]
    fn constants_are_those_of_the_benchmarks() {
        for found in &FOUND {
            let estimate = predicted(found);
            let near = |what: &str, predicted: f64, found_as: f64, within: f64| {
                let ratio = predicted / found_as;
                let name = found.name;
                assert!(
                    (1.0 / within..within).contains(&ratio),
                    "{name}: {what} predicted {predicted}, found {found_as}"
                );
            };
            near("peak", estimate.peak_ram_bytes as f64 / 1e6, found.peak_mb as f64, 1.25);
            near("verify", estimate.verify_ms, found.verify_ms, 1.25);
            near("prove", estimate.prove_ms, found.prove_ms, 1.5);
        }
    }

    #[test]
    fn code_words_beyond_what_is_kept_are_held_one_coset_at_a_time() {
        let oracle = |rows, made| Oracle {
            rows,
            dimension: (1 << 17) + 128,
            positions: 1 << 19,
            column_bytes: 0,
            queries: 1,
            made,
            folded: true,
        };
        let tree = held::POSITION << 19;
        assert_eq!(oracle(16, true).memory(0), ((8 * 16) << 19) + tree, "kept");
        assert_eq!(oracle(17, true).memory(0), ((8 * 17) << 17) + tree, "one coset");
        assert_eq!(oracle(128, false).memory(0), ((8 * 128) << 19) + tree, "kept for many proofs");
        assert_eq!(oracle(129, false).memory(0), ((8 * 129) << 17) + tree);
        let beside = |words: u64| oracle(128, false).memory(words / held::WORDS_PER_VALUE);
        assert_eq!(beside(5), ((8 * 128) << 17) + tree, "no room beside a fresh value");
    }
}
