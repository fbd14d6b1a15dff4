//! The lists a proof is about.

use std::sync::Arc;

use crate::invalid::Site;
use crate::types::{Disclosure, Form};

/// Where a tensor's values live in one proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Public, part of the Program; carries content.
    Const,
    /// Public, all entries 1.
    Ones,
    /// Public, from the Statement; carries content.
    Slot,
    /// Committed with the proof, in Z.
    Fresh,
    /// Private parameter in M.
    Model,
    /// Private input in the committed oracle X with this number.
    Committed(u8),
}

/// A tensor of one proof.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Where its values live.
    pub place: Place,
    /// Axis lengths, the batch size substituted.
    pub axes: Vec<usize>,
    /// Least value.
    pub lo: i64,
    /// Largest value.
    pub hi: i64,
    /// Row-major content, for [`Place::Const`] and [`Place::Slot`] only.
    pub content: Option<Arc<[i64]>>,
}

/// Which table: a declared one or one of the implied families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableKind {
    /// The table with this number in the Program.
    Declared(u32),
    /// Keys `0..2^bits`, no outs.
    Range(u8),
    /// Keys `0..2^bits`, out 1 at key 0, else 0.
    Tie(u8),
    /// Keys `-2^(bits-1)..2^(bits-1)`, out 0, 1, 2 for negative, zero, positive keys.
    Code(u8),
}

/// A lookup table in use, with its contents.
#[derive(Clone, Debug)]
pub struct LookTable {
    /// (least key, number of keys) per key axis.
    pub keys: Vec<(i64, usize)>,
    /// Out columns, dense and row-major over the keys.
    pub outs: Vec<Arc<[i64]>>,
    /// Tensor number of the multiplicities; its axes are the key counts.
    pub multiplicity: u32,
    /// Which table this is.
    pub kind: TableKind,
}

/// For every position of `axes`, the coordinates (keys, then outs) form a row of the table.
#[derive(Clone, Debug)]
pub struct Look {
    /// Index into `Lowered::tables`; the tag is this plus one.
    pub table: usize,
    /// Position axes.
    pub axes: Vec<usize>,
    /// One form per coordinate.
    pub coords: Vec<Form>,
    /// The operator, input or reveal it comes from.
    pub site: Site,
}

/// The public multiplier of an inner product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Multiplier {
    /// The same for all positions.
    One(i64),
    /// One per index of this output axis.
    Axis(usize, Vec<i64>),
}

/// `multiplier * (sum of a * b over sums + c) = target` at every position of `outputs`.
/// Position axes are numbered outputs first, then sums; `c` and `target` use outputs only.
#[derive(Clone, Debug)]
pub struct Ip {
    /// Lengths of the output axes.
    pub outputs: Vec<usize>,
    /// Lengths of the sum axes.
    pub sums: Vec<usize>,
    /// Right-hand side.
    pub target: Form,
    /// Public multiplier.
    pub multiplier: Multiplier,
    /// Added term.
    pub c: Form,
    /// First factor.
    pub a: Form,
    /// Second factor.
    pub b: Form,
    /// The operator, input or reveal it comes from.
    pub site: Site,
}

/// `form = 0` at every position of `axes`.
#[derive(Clone, Debug)]
pub struct Lin {
    /// Position axes.
    pub axes: Vec<usize>,
    /// The form that is zero.
    pub form: Form,
    /// The operator, input or reveal it comes from.
    pub site: Site,
}

/// Columns of the quotient of a rounding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quotient {
    /// One column.
    Narrow {
        /// Column of q.
        q: u32,
    },
    /// `q = lo + low + 2^low_bits * high`.
    Wide {
        /// Offset.
        lo: i64,
        /// Bits of the low part.
        low_bits: u8,
        /// Column of the low part.
        low: u32,
        /// Column of the high part.
        high: u32,
        /// Column of the sign code of the high part.
        code: u32,
    },
}

/// How the owner computes the columns of one Round.
#[derive(Clone, Debug)]
pub struct RoundStep {
    /// Position axes.
    pub axes: Vec<usize>,
    /// Index into `Lowered::ips` of the accumulator's relation, if it has one.
    pub ip: Option<usize>,
    /// Added after the multiplier, without the rounding half.
    pub extra: Form,
    /// Bits shifted out.
    pub shift: u8,
    /// Bits of a limb.
    pub limb_bits: u8,
    /// Columns of the quotient.
    pub quotient: Quotient,
    /// Columns of the remainder limbs; the first is none when it is virtual.
    pub remainders: Vec<Option<u32>>,
    /// Columns of the zero flags of the limbs (half to even only).
    pub ties: Vec<u32>,
    /// Table index and result column, if a table is applied.
    pub table: Option<(usize, u32)>,
}

/// One computation of the owner. Not used by the verifier.
#[derive(Clone, Debug)]
pub enum Step {
    /// `columns[i] = floor(form / 2^(limb_bits * (i+1))) mod 2^limb_bits`.
    Limbs {
        /// Position axes.
        axes: Vec<usize>,
        /// The form that is cut.
        form: Form,
        /// Bits of a limb.
        limb_bits: u8,
        /// Columns of the limbs from the second on.
        columns: Vec<u32>,
        /// Bits the form has at most.
        bits: u8,
    },
    /// `outs = table[keys]`.
    Table {
        /// Position axes.
        axes: Vec<usize>,
        /// Index into `Lowered::tables`.
        table: usize,
        /// One form per key axis.
        keys: Vec<Form>,
        /// Columns of the outs.
        outs: Vec<u32>,
    },
    /// `column = sum of a * b + c` of the inner product with this index.
    Commit {
        /// Index into `Lowered::ips`.
        ip: usize,
        /// Result column.
        column: u32,
    },
    /// A requantisation.
    Round(RoundStep),
    /// `positive = max(form, 0)`, `negative = max(-form, 0)`.
    Split {
        /// Position axes.
        axes: Vec<usize>,
        /// The form that is split.
        form: Form,
        /// Column of the positive part.
        positive: u32,
        /// Column of the negative part.
        negative: u32,
    },
}

/// Everything a proof of one Statement is about. Statements that differ in their slots alone share all
/// but the tensors.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// All tensors, numbered as described above.
    pub tensors: Vec<Placed>,
    /// What does not depend on the slots.
    pub lists: Arc<Lists>,
}

impl core::ops::Deref for Lowered {
    type Target = Lists;

    fn deref(&self) -> &Lists {
        &self.lists
    }
}

/// The relations of a proof, and how the owner computes its columns.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    /// Tables in use, in order of tags.
    pub tables: Vec<LookTable>,
    /// Lookups, in order.
    pub looks: Vec<Look>,
    /// Inner products, in order.
    pub ips: Vec<Ip>,
    /// Linear relations, in order.
    pub lins: Vec<Lin>,
    /// How the owner computes the columns, in order.
    pub steps: Vec<Step>,
    /// Where each step comes from.
    pub step_sites: Vec<Site>,
    /// Number of declared tensors.
    pub declared: usize,
}

/// What of the Statement shapes the relations.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// Batch size, at least 1.
    pub batch: u32,
    /// What is shown.
    pub disclosure: &'a Disclosure,
    /// Slot contents, in the order of the Statement.
    pub slots: &'a [Vec<i64>],
}
