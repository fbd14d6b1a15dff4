//! A Program under construction: tensors, tables and operators with provisional
//! tensor numbers, and the contents of private tensors.

use std::collections::BTreeMap;

use program::interval::{Fact, interval_of_form};
use program::types::{Contraction, Domain, Form, Home, Map, Operator, Program, Round, Table, Tensor, View};

use crate::problem::{INTERNAL, Problem, TOO_WIDE};
use crate::round::Want;
use crate::view::Len;

/// What a provisional tensor number stands for.
#[derive(Clone, Debug)]
enum Slot {
    /// Declared tensor with this final number.
    Declared(u32),
    /// Result column `column` of operator `operator`.
    Column { operator: usize, column: usize },
}

/// The program being built.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// Bits of a range limb.
    pub(crate) limb_bits: u8,
    /// Where parameters live.
    pub(crate) weight_home: Home,
    /// Facts by provisional number.
    facts: Vec<Fact>,
    slots: Vec<Slot>,
    declared: Vec<Tensor>,
    operators: Vec<Operator>,
    /// Graph node each operator was made for.
    pub(crate) made_for: Vec<String>,
    tables: Vec<Table>,
    table_of: BTreeMap<TableKey, u32>,
    ones: BTreeMap<Vec<Len>, u32>,
    /// Contents of [`Home::Model`] tensors by declared number.
    pub(crate) weights: BTreeMap<u32, Vec<i64>>,
    /// Name of the node being lowered.
    pub(crate) node: String,
    /// Count costs only: parameters get no content, and the program is not finished.
    pub(crate) sketch: bool,
    /// Roundings that could share a table.
    pub(crate) wants: Vec<Want>,
    /// Interval of the shared table over all quotients, by the ends of its clamp.
    pub(crate) shared_tables: BTreeMap<(i64, i64), (i64, i64)>,
    /// Whether `shared_tables` is decided: what it leaves out takes the wide form.
    pub(crate) planned: bool,
    /// Whether some rounding is only near the float model's.
    pub(crate) inexact: bool,
}

/// Keys and row-major out of a table: equal tables are declared once.
type TableKey = (Vec<(i64, u32)>, Vec<i64>);

impl Draft {
    pub(crate) fn new(limb_bits: u8, weights_private: bool) -> Self {
        Self {
            limb_bits,
            weight_home: if weights_private { Home::Model } else { Home::Const },
            facts: Vec::new(),
            slots: Vec::new(),
            declared: Vec::new(),
            operators: Vec::new(),
            made_for: Vec::new(),
            tables: Vec::new(),
            table_of: BTreeMap::new(),
            ones: BTreeMap::new(),
            weights: BTreeMap::new(),
            node: String::new(),
            sketch: false,
            wants: Vec::new(),
            shared_tables: BTreeMap::new(),
            planned: false,
            inexact: false,
        }
    }

    /// Axis lengths of a tensor.
    pub(crate) fn axes(&self, tensor: u32) -> Vec<Len> {
        self.facts[tensor as usize].axes.clone()
    }

    fn declare(&mut self, tensor: Tensor) -> u32 {
        let number = self.facts.len() as u32;
        let public = matches!(tensor.home, Home::Const | Home::Ones);
        self.facts.push(Fact { axes: tensor.axes.clone(), lo: tensor.lo, hi: tensor.hi, public });
        self.slots.push(Slot::Declared(self.declared.len() as u32));
        self.declared.push(tensor);
        number
    }

    /// An input with axes (batch, `axes`).
    pub(crate) fn input(&mut self, axes: &[Len], lo: i64, hi: i64) -> u32 {
        let mut all = vec![0];
        all.extend_from_slice(axes);
        self.declare(Tensor { home: Home::Input, axes: all, lo, hi, content: [].into() })
    }

    /// A tensor of ones.
    pub(crate) fn ones(&mut self, axes: &[Len]) -> u32 {
        if let Some(&number) = self.ones.get(axes) {
            return number;
        }
        let number =
            self.declare(Tensor { home: Home::Ones, axes: axes.to_vec(), lo: 1, hi: 1, content: [].into() });
        self.ones.insert(axes.to_vec(), number);
        number
    }

    /// The constant `value` at every position.
    pub(crate) fn constant(&mut self, value: i64) -> Form {
        if value == 0 {
            return Form::default();
        }
        let tensor = self.ones(&[]);
        Form(vec![(value, View { tensor, maps: vec![] })])
    }

    /// A public tensor.
    pub(crate) fn public(&mut self, axes: &[Len], content: Vec<i64>) -> u32 {
        let lo = content.iter().copied().min().unwrap_or(0);
        let hi = content.iter().copied().max().unwrap_or(0);
        self.declare(Tensor { home: Home::Const, axes: axes.to_vec(), lo, hi, content: content.into() })
    }

    /// A model parameter: public or private as the draft says. `bound` is the
    /// declared range of a private one; public ones get their true range.
    pub(crate) fn parameter(&mut self, axes: &[Len], content: Vec<i64>, bound: (i64, i64)) -> u32 {
        if self.weight_home == Home::Const && !self.sketch {
            return self.public(axes, content);
        }
        debug_assert!(content.iter().all(|v| (bound.0..=bound.1).contains(v)));
        let number = self.declare(Tensor {
            home: Home::Model,
            axes: axes.to_vec(),
            lo: bound.0,
            hi: bound.1,
            content: [].into(),
        });
        if let (Slot::Declared(declared), false) = (&self.slots[number as usize], self.sketch) {
            self.weights.insert(*declared, content);
        }
        number
    }

    /// A table with one out column, given row-major over the keys.
    pub(crate) fn table(&mut self, keys: Vec<(i64, u32)>, out: Vec<i64>) -> u32 {
        let key = (keys, out);
        if let Some(&number) = self.table_of.get(&key) {
            return number;
        }
        let (keys, out) = key.clone();
        let axes: Vec<Len> = keys.iter().map(|k| k.1).collect();
        let tensor = self.public(&axes, out);
        let maps = (0..axes.len()).map(crate::view::axis).collect();
        let number = self.tables.len() as u32;
        self.tables.push(Table { keys, outs: vec![Form(vec![(1, View { tensor, maps })])] });
        self.table_of.insert(key, number);
        number
    }

    /// Interval of a form over position axes.
    pub(crate) fn interval(&self, form: &Form, axes: &[Len]) -> Result<(i128, i128), Problem> {
        interval_of_form(form, &self.facts, axes).map_err(|reason| {
            Problem::global(
                INTERNAL,
                format!("a form of the program is not valid: {reason}"),
                "Report this model.",
            )
        })
    }

    /// Interval of `sum a * b + c`.
    pub(crate) fn contraction_interval(
        &self,
        axes: &[Len],
        c: &Contraction,
    ) -> Result<(i128, i128), Problem> {
        let mut inner = axes.to_vec();
        inner.extend_from_slice(&c.sum);
        let (a, b) = (self.interval(&c.a, &inner)?, self.interval(&c.b, &inner)?);
        let ends = [a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1];
        let count: i128 = c.sum.iter().map(|&n| i128::from(n)).product();
        let (lo, hi) = (ends.iter().min().copied().unwrap_or(0), ends.iter().max().copied().unwrap_or(0));
        let extra = self.interval(&c.c, axes)?;
        Ok((lo * count + extra.0, hi * count + extra.1))
    }

    fn push(&mut self, operator: Operator) -> usize {
        self.operators.push(operator);
        self.made_for.push(self.node.clone());
        self.operators.len() - 1
    }

    fn column(&mut self, operator: usize, column: usize, axes: &[Len], (lo, hi): (i64, i64)) -> u32 {
        self.facts.push(Fact { axes: axes.to_vec(), lo, hi, public: false });
        self.slots.push(Slot::Column { operator, column });
        self.facts.len() as u32 - 1
    }

    /// v = contraction.
    pub(crate) fn commit(&mut self, axes: &[Len], contraction: Contraction) -> Result<u32, Problem> {
        let range = bounded(self.contraction_interval(axes, &contraction)?)?;
        let operator = self.push(Operator::Commit { axes: axes.to_vec(), contraction });
        Ok(self.column(operator, 0, axes, range))
    }

    /// A copy of a form in a column of its own.
    pub(crate) fn copy(&mut self, axes: &[Len], form: Form) -> Result<u32, Problem> {
        let used: Vec<usize> =
            form.0.iter().flat_map(|(_, v)| v.maps.iter().flat_map(crate::view::axes_of)).collect();
        let free: Vec<usize> = (0..axes.len()).filter(|a| !used.contains(a)).collect();
        // Every output axis must be read by a factor: the ones read what the form does not.
        let lens: Vec<Len> = free.iter().map(|&a| axes[a]).collect();
        let tensor = self.ones(&lens);
        let maps = free.iter().map(|&a| crate::view::axis(a)).collect();
        let b = Form(vec![(1, View { tensor, maps })]);
        let contraction = Contraction { sum: vec![], a: form, b, c: Form::default() };
        self.commit(axes, contraction)
    }

    /// out = `table[key]`, one key.
    pub(crate) fn lookup(&mut self, axes: &[Len], table: u32, key: Form) -> u32 {
        let range = self.table_range(table);
        let operator = self.push(Operator::Table { axes: axes.to_vec(), table, keys: vec![key] });
        self.column(operator, 0, axes, range)
    }

    /// Positive part of a form, by sign split.
    pub(crate) fn positive_part(&mut self, axes: &[Len], form: Form, bits: u8) -> u32 {
        let operator = self.push(Operator::Split { axes: axes.to_vec(), form, bits });
        self.column(operator, 0, axes, (0, (1i64 << bits) - 1))
    }

    /// A Round; its result is the table's out, or the quotient.
    pub(crate) fn round(&mut self, round: Round) -> u32 {
        let range = match (round.table, &round.domain) {
            (Some(table), _) => self.table_range(table),
            (None, Domain::Narrow { lo, bits }) => (*lo, lo + (1i64 << bits) - 1),
            (None, Domain::Wide { .. }) => (0, 0),
        };
        let axes = round.axes.clone();
        let result = self.round_columns(&round) - 1;
        let column = if round.table.is_some() { result } else { 0 };
        let operator = self.push(Operator::Round(round));
        self.column(operator, column, &axes, range)
    }

    fn table_range(&self, table: u32) -> (i64, i64) {
        let tensor = self.tables[table as usize].outs[0].0[0].1.tensor;
        let fact = &self.facts[tensor as usize];
        (fact.lo, fact.hi)
    }

    /// Number of limbs of `bits` bits.
    pub(crate) fn limbs(&self, bits: u8) -> usize {
        usize::from(bits).div_ceil(usize::from(self.limb_bits))
    }

    /// Columns of a Round: quotient, remainder limbs, zero flags, range limbs, out.
    fn round_columns(&self, round: &Round) -> usize {
        let limbs = self.limbs(round.shift);
        let rest = if round.contraction.is_some() { limbs } else { limbs.saturating_sub(1) };
        let ties = if round.half_even { limbs } else { 0 };
        let quotient = match (&round.domain, round.table) {
            (Domain::Wide { .. }, _) => 3,
            (Domain::Narrow { .. }, Some(_)) => 1,
            (Domain::Narrow { bits, .. }, None) => 1 + self.limbs(*bits).saturating_sub(1),
        };
        quotient + rest + ties + usize::from(round.table.is_some())
    }

    /// Columns of an operator, in all.
    fn columns(&self, operator: &Operator) -> usize {
        match operator {
            Operator::Check { bits, .. } => self.limbs(*bits).saturating_sub(1),
            Operator::Table { table, .. } => self.tables[*table as usize].outs.len(),
            Operator::Commit { .. } => 1,
            Operator::Round(round) => self.round_columns(round),
            Operator::Split { bits, .. } => 2 + 2 * self.limbs(*bits).saturating_sub(1),
        }
    }

    /// Final number of every provisional number.
    pub(crate) fn numbering(&self) -> Vec<u32> {
        let mut first = Vec::with_capacity(self.operators.len());
        let mut next = self.declared.len();
        for operator in &self.operators {
            first.push(next);
            next += self.columns(operator);
        }
        let number = |slot: &Slot| match slot {
            Slot::Declared(n) => *n,
            Slot::Column { operator, column } => (first[*operator] + column) as u32,
        };
        self.slots.iter().map(number).collect()
    }

    /// The finished program (without oracle parameters and metadata) and the
    /// contents of its private tensors.
    pub(crate) fn finish(self, outputs: &[u32]) -> (Program, BTreeMap<u32, Vec<i64>>) {
        let numbers = self.numbering();
        let form = |f: &Form| renumber(f, &numbers);
        let tables = self
            .tables
            .iter()
            .map(|t| Table { keys: t.keys.clone(), outs: t.outs.iter().map(form).collect() })
            .collect();
        let operators = self.operators.iter().map(|op| renumber_operator(op, &form)).collect();
        let program = Program {
            lambda: 100,
            ladder: program::types::Ladder::default(),
            grind: 0,
            limb_bits: self.limb_bits,
            tensors: self.declared,
            model_oracle: None,
            tables,
            operators,
            outputs: outputs.iter().map(|&o| numbers[o as usize]).collect(),
            metadata: Vec::new(),
        };
        (program, self.weights)
    }
}

/// An interval as the range of a column.
pub(crate) fn bounded((lo, hi): (i128, i128)) -> Result<(i64, i64), Problem> {
    let most = i128::from(i64::MAX) / 4;
    if lo < -most || hi > most {
        return Err(Problem::global(
            TOO_WIDE,
            format!(
                "values could reach {} (2^{:.0}), more than the proof system's integers hold",
                lo.abs().max(hi),
                (lo.abs().max(hi) as f64).log2()
            ),
            "Use fewer weight or activation bits (--precision 8), or split the layer.",
        ));
    }
    Ok((lo as i64, hi as i64))
}

fn renumber(form: &Form, numbers: &[u32]) -> Form {
    let view = |v: &View| View { tensor: numbers[v.tensor as usize], maps: v.maps.clone() };
    Form(form.0.iter().map(|(c, v)| (*c, view(v))).collect())
}

fn renumber_contraction(c: &Contraction, form: &impl Fn(&Form) -> Form) -> Contraction {
    Contraction { sum: c.sum.clone(), a: form(&c.a), b: form(&c.b), c: form(&c.c) }
}

fn renumber_operator(operator: &Operator, form: &impl Fn(&Form) -> Form) -> Operator {
    match operator {
        Operator::Check { axes, form: f, bits } => {
            Operator::Check { axes: axes.clone(), form: form(f), bits: *bits }
        }
        Operator::Table { axes, table, keys } => {
            Operator::Table { axes: axes.clone(), table: *table, keys: keys.iter().map(form).collect() }
        }
        Operator::Commit { axes, contraction } => {
            Operator::Commit { axes: axes.clone(), contraction: renumber_contraction(contraction, form) }
        }
        Operator::Round(r) => Operator::Round(Round {
            contraction: r.contraction.as_ref().map(|c| renumber_contraction(c, form)),
            extra: form(&r.extra),
            ..r.clone()
        }),
        Operator::Split { axes, form: f, bits } => {
            Operator::Split { axes: axes.clone(), form: form(f), bits: *bits }
        }
    }
}

/// The identity maps of the position axes `0..count`.
pub(crate) fn identity(count: usize) -> Vec<Map> {
    (0..count).map(crate::view::axis).collect()
}

impl Draft {
    /// Whether this very table is declared already.
    pub(crate) fn has_table(&self, keys: &[(i64, u32)], out: &[i64]) -> bool {
        self.table_of.contains_key(&(keys.to_vec(), out.to_vec()))
    }

    /// Whether a tensor is a column of an operator.
    pub(crate) fn is_column(&self, tensor: u32) -> bool {
        matches!(self.slots[tensor as usize], Slot::Column { .. })
    }
}
