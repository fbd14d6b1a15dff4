//! Building a Program step by step, with intervals known at once.
//!
//! A Program numbers its declared tensors before all columns. While it is built, tensors get
//! provisional numbers in the order they appear; [`Builder::finish`] puts the final ones in place.

use crate::analyse::{
    Known, TableFact, columns, forms_mut, positions, quotient_interval, results, table_fact,
};
use crate::interval::{Fact, interval_of_form};
use crate::invalid::{Invalid, Reason, Site};
use crate::types::{Domain, Form, Home, Ladder, Operator, OracleParams, Program, Round, Table, Tensor};
use crate::validate::{declared_fact, number, validate};

/// What a provisional number stands for.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// Declared tensor with this number.
    Declared(u32),
    /// Column with this number among all columns.
    Column(u32),
}

/// A Program under construction. All numbers of tensors it takes and gives are provisional.
#[derive(Clone, Debug)]
pub struct Builder {
    program: Program,
    facts: Vec<Fact>,
    origins: Vec<Origin>,
    tables: Vec<TableFact>,
    columns: u32,
}

impl Builder {
    /// An empty Program with query bits `lambda`, grinding bits `grind` and limbs of `limb_bits`.
    #[must_use]
    pub fn new(lambda: u8, grind: u8, limb_bits: u8) -> Builder {
        let program = Program {
            lambda,
            grind,
            limb_bits,
            ladder: Ladder::default(),
            tensors: Vec::new(),
            model_oracle: None,
            tables: Vec::new(),
            operators: Vec::new(),
            outputs: Vec::new(),
            metadata: Vec::new(),
        };
        let (facts, origins, tables) = (Vec::new(), Vec::new(), Vec::new());
        Builder { program, facts, origins, tables, columns: 0 }
    }

    fn declare(&mut self, tensor: Tensor) -> Result<u32, Invalid> {
        let site = Site::Tensor(number(self.program.tensors.len()));
        let fact = declared_fact(&tensor).map_err(|reason| Invalid { site, reason })?;
        let id = number(self.facts.len());
        self.origins.push(Origin::Declared(number(self.program.tensors.len())));
        self.facts.push(fact);
        self.program.tensors.push(tensor);
        Ok(id)
    }

    /// The provisional number of a declared tensor equal to this one.
    fn find(&self, tensor: &Tensor) -> Option<u32> {
        let same = |origin: &Origin| match origin {
            Origin::Declared(declared) => self.declared(*declared) == Some(tensor),
            Origin::Column(_) => false,
        };
        self.origins.iter().position(same).map(number)
    }

    fn declared(&self, index: u32) -> Option<&Tensor> {
        usize::try_from(index).ok().and_then(|index| self.program.tensors.get(index))
    }

    /// A public tensor with row-major content; its interval is that of the content. The same
    /// content is declared once.
    ///
    /// # Errors
    /// When the content does not fit the axes, or a limit is exceeded.
    pub fn constant(&mut self, axes: &[u32], content: Vec<i64>) -> Result<u32, Invalid> {
        let lo = content.iter().copied().min().unwrap_or(0);
        let hi = content.iter().copied().max().unwrap_or(0);
        let tensor = Tensor { home: Home::Const, axes: axes.to_vec(), lo, hi, content: content.into() };
        self.find(&tensor).map_or_else(|| self.declare(tensor), Ok)
    }

    /// The public tensor of ones with these axes; 0 stands for the batch.
    ///
    /// # Errors
    /// When a limit is exceeded.
    pub fn ones(&mut self, axes: &[u32]) -> Result<u32, Invalid> {
        let tensor = Tensor { home: Home::Ones, axes: axes.to_vec(), lo: 1, hi: 1, content: [].into() };
        self.find(&tensor).map_or_else(|| self.declare(tensor), Ok)
    }

    /// An input with values in `lo..=hi`.
    ///
    /// # Errors
    /// When the interval is empty or a limit is exceeded.
    pub fn input(&mut self, axes: &[u32], lo: i64, hi: i64) -> Result<u32, Invalid> {
        self.declare(Tensor { home: Home::Input, axes: axes.to_vec(), lo, hi, content: [].into() })
    }

    /// A private parameter with values in `lo..=hi`.
    ///
    /// # Errors
    /// When the interval is empty or a limit is exceeded.
    pub fn model(&mut self, axes: &[u32], lo: i64, hi: i64) -> Result<u32, Invalid> {
        self.declare(Tensor { home: Home::Model, axes: axes.to_vec(), lo, hi, content: [].into() })
    }

    /// Number of entries of all model tensors so far.
    #[must_use]
    pub fn model_entries(&self) -> u64 {
        let model = self.program.tensors.iter().filter(|tensor| tensor.home == Home::Model);
        model.fold(0, |sum, tensor| sum.saturating_add(positions(&tensor.axes, 1)))
    }

    /// Bits of a range limb.
    #[must_use]
    pub fn limb_bits(&self) -> u8 {
        self.program.limb_bits
    }

    /// Sets the parameters of the model oracle, needed if there are model tensors.
    pub fn set_model_oracle(&mut self, params: Option<OracleParams>) {
        self.program.model_oracle = params;
    }

    /// The number of a table; the same table is declared once.
    ///
    /// # Errors
    /// When the table is refused.
    pub fn table(&mut self, table: Table) -> Result<u32, Invalid> {
        if let Some(index) = self.program.tables.iter().position(|known| *known == table) {
            return Ok(number(index));
        }
        let index = number(self.program.tables.len());
        let tensor = |id: u32| match usize::try_from(id).ok().and_then(|id| self.origins.get(id)) {
            Some(Origin::Declared(declared)) => self.declared(*declared),
            _ => None,
        };
        let fact = table_fact(&table, &self.facts, &tensor);
        self.tables.push(fact.map_err(|reason| Invalid { site: Site::Table(index), reason })?);
        self.program.tables.push(table);
        Ok(index)
    }

    /// Appends an operator and gives its result columns (see [`Operator`]). A narrow Round with a
    /// table may carry any domain; the table's keys count.
    ///
    /// # Errors
    /// When the operator is refused; nothing is appended then.
    pub fn push(&mut self, mut operator: Operator) -> Result<Vec<u32>, Invalid> {
        if let Operator::Round(round) = &mut operator
            && round.table.is_some()
            && matches!(round.domain, Domain::Narrow { .. })
        {
            round.domain = Domain::Narrow { lo: 0, bits: 0 };
        }
        let site = Site::Operator(number(self.program.operators.len()));
        let known = Known { facts: &self.facts, tables: &self.tables, limb_bits: self.program.limb_bits };
        let new = columns(&operator, &known).map_err(|reason| Invalid { site, reason })?;
        let first = self.facts.len();
        let result = results(&operator, new.len());
        for fact in new {
            self.facts.push(fact);
            self.origins.push(Origin::Column(self.columns));
            self.columns = self.columns.saturating_add(1);
        }
        self.program.operators.push(operator);
        Ok(result.into_iter().map(|index| number(first.saturating_add(index))).collect())
    }

    /// Least and largest value of a tensor; none if there is no such tensor.
    #[must_use]
    pub fn interval(&self, id: u32) -> Option<(i64, i64)> {
        self.fact(id).map(|fact| (fact.lo, fact.hi))
    }

    /// Axis lengths of a tensor (0 = batch); none if there is no such tensor.
    #[must_use]
    pub fn axes(&self, id: u32) -> Option<&[u32]> {
        self.fact(id).map(|fact| fact.axes.as_slice())
    }

    fn fact(&self, id: u32) -> Option<&Fact> {
        usize::try_from(id).ok().and_then(|id| self.facts.get(id))
    }

    /// Interval of a Form over position axes (in a contraction: then the sum axes).
    ///
    /// # Errors
    /// The rule of structure the Form breaks.
    pub fn form_interval(&self, form: &Form, axes: &[u32]) -> Result<(i128, i128), Reason> {
        interval_of_form(form, &self.facts, axes)
    }

    /// Least and largest quotient of a Round, whatever its domain and table are: what the domain
    /// must hold.
    ///
    /// # Errors
    /// The rule the Round's forms, multiplier or shift break.
    pub fn quotients(&self, round: &Round) -> Result<(i128, i128), Reason> {
        let known = Known { facts: &self.facts, tables: &self.tables, limb_bits: self.program.limb_bits };
        quotient_interval(round, &known).map(|interval| (interval.lo, interval.hi))
    }

    /// Appends an output and gives its output number.
    pub fn output(&mut self, id: u32) -> u32 {
        self.program.outputs.push(id);
        number(self.program.outputs.len().saturating_sub(1))
    }

    /// Final number of a declared tensor, known at once; none for a column.
    #[must_use]
    pub fn declared_number(&self, id: u32) -> Option<u32> {
        match usize::try_from(id).ok().and_then(|id| self.origins.get(id)) {
            Some(Origin::Declared(declared)) => Some(*declared),
            _ => None,
        }
    }

    /// The Program with final numbers, validated.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn finish(self, metadata: Vec<u8>) -> Result<Program, Invalid> {
        self.finish_numbered(metadata).map(|(program, _)| program)
    }

    /// The validated Program, and the final number of every provisional one.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn finish_numbered(self, metadata: Vec<u8>) -> Result<(Program, Vec<u32>), Invalid> {
        let declared = number(self.program.tensors.len());
        let last = |origin: &Origin| match origin {
            Origin::Declared(index) => *index,
            Origin::Column(index) => declared.saturating_add(*index),
        };
        let numbers: Vec<u32> = self.origins.iter().map(last).collect();
        let translate = |id: u32| {
            let known = usize::try_from(id).ok().and_then(|id| numbers.get(id));
            known.copied().unwrap_or(u32::MAX)
        };
        let change = |form: &mut Form| {
            form.0.iter_mut().for_each(|(_, view)| view.tensor = translate(view.tensor));
        };
        let mut program = self.program;
        program.operators.iter_mut().flat_map(forms_mut).for_each(change);
        program.tables.iter_mut().flat_map(|table| &mut table.outs).for_each(change);
        program.outputs.iter_mut().for_each(|output| *output = translate(*output));
        program.metadata = metadata;
        validate(&program)?;
        Ok((program, numbers))
    }
}
