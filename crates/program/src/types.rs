//! The data of a Program and a Statement. See `docs/spec/`.

use std::sync::Arc;

/// Where a tensor's values live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// Public content that travels with the Program.
    Const,
    /// Public, all entries 1.
    Ones,
    /// Input of the program. The Statement's disclosure says whether it is a
    /// public slot, private (fresh in Z) or private in a committed oracle X.
    Input,
    /// Private model parameter, in the long-term oracle M.
    Model,
}

/// A declared tensor. Axis length 0 stands for the batch size B.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Where its values live.
    pub home: Home,
    /// Axis lengths; no axes means one entry.
    pub axes: Vec<u32>,
    /// Least value.
    pub lo: i64,
    /// Largest value.
    pub hi: i64,
    /// Row-major content, for [`Home::Const`] only, else empty.
    pub content: Arc<[i64]>,
}

/// How one axis of a tensor is indexed by position axes. Position axes are
/// numbered: the position axes of the relation, then (in a contraction) the sum
/// axes. An index outside the axis reads 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Map {
    /// index = at
    Fix {
        /// The index.
        at: i64,
    },
    /// `index = step * x[axis] + off`
    Aff {
        /// Position axis.
        axis: u8,
        /// Step.
        step: i64,
        /// Offset.
        off: i64,
    },
    /// `index = step * x[a] + dil * x[b] + off`
    Win {
        /// First position axis.
        a: u8,
        /// Second position axis.
        b: u8,
        /// Step of a.
        step: i64,
        /// Step of b.
        dil: i64,
        /// Offset.
        off: i64,
    },
    /// `index = m * x[a] + x[b]`, where `0 <= x[b] < m`
    Join {
        /// Slow position axis.
        a: u8,
        /// Fast position axis; its length is m.
        b: u8,
        /// Length of the fast axis.
        m: u32,
    },
    /// `index = indices[x[axis]]`
    Gather {
        /// Position axis.
        axis: u8,
        /// Public index list, one entry per position.
        indices: Vec<u32>,
    },
    /// the sum over all indices
    Sum,
    /// sum over i of `weights[x[axis]][i] * entry i`; weights is row-major, rows = length of the position axis, cols = length of the tensor axis
    Mat {
        /// Position axis.
        axis: u8,
        /// Number of rows.
        rows: u32,
        /// Number of columns.
        cols: u32,
        /// Row-major weights.
        weights: Vec<i64>,
    },
    /// sum over k < m of entry `step * x[axis] + dil * k + off`
    Pool {
        /// Position axis.
        axis: u8,
        /// Step.
        step: i64,
        /// Dilation.
        dil: i64,
        /// Offset.
        off: i64,
        /// Window length.
        m: u32,
    },
}

/// A tensor read as an array over position axes: one map per tensor axis.
/// A position axis occurs in at most one map of a view. One that occurs in none
/// is a broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Tensor number.
    pub tensor: u32,
    /// One map per axis of the tensor.
    pub maps: Vec<Map>,
}

/// A sum of integer multiples of views; empty is 0.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Form(pub Vec<(i64, View)>);

/// A lookup table: public enumerated keys, outs over the key axes. Outs read
/// public tensors only in this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// (least key, number of keys) per key axis.
    pub keys: Vec<(i64, u32)>,
    /// Out columns: Forms over the key axes.
    pub outs: Vec<Form>,
}

/// sum over the sum axes of a * b, plus c. In `a`, `b` the sum axes are numbered
/// after the operator's position axes. `c` has no sum axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contraction {
    /// Lengths of the sum axes (0 = batch is not allowed here).
    pub sum: Vec<u32>,
    /// First factor.
    pub a: Form,
    /// Second factor.
    pub b: Form,
    /// Added term.
    pub c: Form,
}

/// Multiplier of an accumulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scale {
    /// One for all.
    One(i64),
    /// One per index of a position axis.
    Axis(u8, Vec<i64>),
}

/// Where the quotient of a Round lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Domain {
    /// q in [lo, lo + 2^bits) when there is no table; else the table's last key axis is the domain.
    Narrow {
        /// Least quotient.
        lo: i64,
        /// Bits, when there is no table.
        bits: u8,
    },
    /// q = lo + low + 2^low_bits * high, high in [-2^(high_bits-1), 2^(high_bits-1)); needs a table.
    Wide {
        /// Offset.
        lo: i64,
        /// Bits of the low part.
        low_bits: u8,
        /// Bits of the high part.
        high_bits: u8,
    },
}

/// `q = floor((m * (acc + c) + extra + 2^(shift-1)[shift>0]) / 2^shift)`, then an optional table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Position axes (0 = batch).
    pub axes: Vec<u32>,
    /// The contraction, or none: then v = extra + half.
    pub contraction: Option<Contraction>,
    /// Multiplier of the contraction; 1 <= m < 2^31.
    pub scale: Scale,
    /// E.
    pub extra: Form,
    /// s.
    pub shift: u8,
    /// Half to even instead of half up; needs a table and shift > 0.
    pub half_even: bool,
    /// Domain of the quotient.
    pub domain: Domain,
    /// Table applied to the quotient. Key axes, in order: wide: code (0,1,2);
    /// half_even: zero-limb count (0..=limbs); then q (narrow) or low (wide).
    /// One out column.
    pub table: Option<u32>,
}

/// One integer operator. Columns (result tensors) have the operator's position axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    /// assert 0 <= form < 2^bits
    Check {
        /// Position axes.
        axes: Vec<u32>,
        /// The form.
        form: Form,
        /// Bits.
        bits: u8,
    },
    /// `outs = table[keys]`; result columns: the outs.
    Table {
        /// Position axes.
        axes: Vec<u32>,
        /// Table number.
        table: u32,
        /// One form per key axis.
        keys: Vec<Form>,
    },
    /// v = contraction; result column: v.
    Commit {
        /// Position axes.
        axes: Vec<u32>,
        /// What is computed.
        contraction: Contraction,
    },
    /// Requantisation; the result column is `out` if there is a table, else `q`.
    Round(Round),
    /// p = max(form, 0), n = max(-form, 0), both < 2^bits; result columns: p, n.
    Split {
        /// Position axes.
        axes: Vec<u32>,
        /// The form.
        form: Form,
        /// Bits.
        bits: u8,
    },
}

/// Parameters of a long-term oracle: R rows, 2^log_c data and T mask coefficients, 2^log_n positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OracleParams {
    /// Rows R.
    pub rows: u32,
    /// lg C.
    pub log_c: u8,
    /// lg T; none: no masks (only without zero knowledge).
    pub log_t: Option<u8>,
    /// lg n.
    pub log_n: u8,
}

/// How long and how redundant one oracle of a proof is, whatever its number of entries (spec Q4, Q5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Most rows: the entries are cut into rows of the least power of two that allows it.
    pub rows: u8,
    /// lg of positions per data coefficient.
    pub rate: u8,
}

/// Parameters of the oracles a proof makes (spec Q3-Q6). Any choice within the limits is sound: it
/// decides time and size alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// Z.
    pub fresh: Rung,
    /// O_1, O_2, ..; the last one stands for all further ones.
    pub inner: Vec<Rung>,
    /// Longest last vector.
    pub last_max: u16,
    /// E.
    pub end: Rung,
}

impl Default for Ladder {
    /// A choice that fits any Program.
    fn default() -> Self {
        Self {
            fresh: Rung { rows: 32, rate: 2 },
            inner: vec![Rung { rows: 17, rate: 3 }, Rung { rows: 17, rate: 4 }],
            last_max: 2560,
            end: Rung { rows: 8, rate: 3 },
        }
    }
}

/// An integer program: what a model computes, exactly. Its digest is its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Query security bits (lambda).
    pub lambda: u8,
    /// Grinding bits (g); lambda + grind >= 100.
    pub grind: u8,
    /// Bits of a range limb (b), 4..=16.
    pub limb_bits: u8,
    /// Parameters of the oracles of each proof.
    pub ladder: Ladder,
    /// Declared tensors.
    pub tensors: Vec<Tensor>,
    /// Parameters of M, if any tensor has [`Home::Model`].
    pub model_oracle: Option<OracleParams>,
    /// Lookup tables.
    pub tables: Vec<Table>,
    /// Operators in order.
    pub operators: Vec<Operator>,
    /// Tensor numbers of the outputs (columns or inputs), in order.
    pub outputs: Vec<u32>,
    /// Not interpreted by the verifier: canonical JSON with names, scales, labels, report digest.
    pub metadata: Vec<u8>,
}

/// How an input is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputMode {
    /// A public slot: its values are in the Statement.
    Public,
    /// Private: committed with the proof.
    Private,
    /// Private, in a long-term oracle committed earlier.
    Committed,
}

/// What is shown of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reveal {
    /// All values of output `output`.
    Values {
        /// Output number.
        output: u32,
    },
    /// For each row, the least index of a maximum along the last axis. The output has axes (batch, classes).
    Label {
        /// Output number.
        output: u32,
    },
    /// For each batch element, entry `index` (flat, without the batch axis) of output `output` is
    /// >= bound (`at_least`) or <= bound.
    Threshold {
        /// Output number.
        output: u32,
        /// Flat index inside one batch element.
        index: u32,
        /// >= if true, else <=.
        at_least: bool,
        /// The bound, in the output's integer units.
        bound: i64,
    },
}

/// What one proof shows: bound into the Statement, not into the model's identity.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Disclosure {
    /// One mode per tensor with [`Home::Input`], in order of tensor number.
    pub inputs: Vec<InputMode>,
    /// What is revealed, in order.
    pub reveals: Vec<Reveal>,
}
