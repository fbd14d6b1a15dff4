//! Whether a Program keeps every rule, so that lowering, proving and verifying it cannot fail.

use crate::analyse::{Known, TableFact, check_axes, columns, forms, positions, table_fact, table_of};
use crate::interval::Fact;
use crate::invalid::{Invalid, Reason, Site, at_most, same, structure, within};
use crate::limits;
use crate::types::{Form, Home, Ladder, OracleParams, Program, Table, Tensor};

/// What validation learns: all tensors of the Program and its tables.
#[derive(Clone, Debug)]
pub(crate) struct Analysis {
    /// Declared tensors, then operator columns.
    pub facts: Vec<Fact>,
    /// Number of the first column of each operator.
    pub first: Vec<usize>,
    /// Declared tables with contents.
    pub tables: Vec<TableFact>,
}

/// Checks a Program.
///
/// # Errors
/// The first rule that is broken, with the tensor, table, operator or output.
pub fn validate(program: &Program) -> Result<(), Invalid> {
    analyse(program).map(|_| ())
}

/// The facts of every tensor of a valid Program, by number: declared tensors, then columns.
///
/// # Errors
/// As [`validate`].
pub fn facts(program: &Program) -> Result<Vec<Fact>, Invalid> {
    analyse(program).map(|analysis| analysis.facts)
}

/// Number of the first column of every operator of a valid Program: the others follow it.
///
/// # Errors
/// As [`validate`].
pub fn first_columns(program: &Program) -> Result<Vec<usize>, Invalid> {
    analyse(program).map(|analysis| analysis.first)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Index of an item as it is numbered in errors.
pub(crate) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn at(site: Site) -> impl Fn(Reason) -> Invalid {
    move |reason| Invalid { site, reason }
}

/// Checks a Program and keeps what was learned.
pub(crate) fn analyse(program: &Program) -> Result<Analysis, Invalid> {
    check_parameters(program)?;
    let mut facts = declared(&program.tensors)?;
    let tables = check_tables(program, &facts)?;
    let mut first = Vec::with_capacity(program.operators.len());
    for (index, operator) in program.operators.iter().enumerate() {
        let known = Known { facts: &facts, tables: &tables, limb_bits: program.limb_bits };
        let new = columns(operator, &known).map_err(at(Site::Operator(number(index))))?;
        first.push(facts.len());
        facts.extend(new);
        at_most(Site::Program, "columns", count(facts.len()), limits::COLUMNS)?;
    }
    check_outputs(program, facts.len())?;
    check_used(program)?;
    check_oracle(program)?;
    Ok(Analysis { facts, first, tables })
}

fn check_parameters(program: &Program) -> Result<(), Invalid> {
    let site = Site::Program;
    let least = i128::from(limits::LIMB_LEAST);
    let most = i128::from(limits::LIMB_MOST);
    within(site, "limb bits", i128::from(program.limb_bits), least, most)?;
    at_most(site, "grinding bits", u64::from(program.grind), limits::GRIND)?;
    let security = i128::from(program.lambda).saturating_add(i128::from(program.grind));
    within(site, "lambda + grind", security, i128::from(limits::SECURITY), 255)?;
    check_ladder(&program.ladder)?;
    at_most(site, "tensors", count(program.tensors.len()), limits::TENSORS)?;
    at_most(site, "tables", count(program.tables.len()), limits::TABLES)?;
    at_most(site, "operators", count(program.operators.len()), limits::OPERATORS)?;
    at_most(site, "outputs", count(program.outputs.len()), limits::OUTPUTS)?;
    at_most(site, "metadata bytes", count(program.metadata.len()), limits::METADATA)?;
    if program.outputs.is_empty() {
        return structure(site, "a program needs an output");
    }
    Ok(())
}

/// What is known of a declared tensor. Used by the builder as well.
pub(crate) fn declared_fact(tensor: &Tensor) -> Result<Fact, Reason> {
    check_axes(&tensor.axes)?;
    let entries = positions(&tensor.axes, 1);
    if tensor.lo > tensor.hi {
        return Err(Reason::Structure("the least value exceeds the largest"));
    }
    crate::interval::range("least value", tensor.lo, limits::VALUE)?;
    crate::interval::range("largest value", tensor.hi, limits::VALUE)?;
    let batched = tensor.axes.contains(&0);
    if batched && matches!(tensor.home, Home::Const | Home::Model) {
        return Err(Reason::Structure("a const or model tensor may not have a batch axis"));
    }
    if tensor.home == Home::Ones && (tensor.lo, tensor.hi) != (1, 1) {
        return Err(Reason::Structure("a ones tensor must be declared with the interval 1..=1"));
    }
    let stored = if tensor.home == Home::Const { entries } else { 0 };
    let got = count(tensor.content.len());
    if got != stored {
        return Err(Reason::Count { what: "content entries", want: stored, got });
    }
    if let Some(&entry) = tensor.content.iter().find(|&&e| e < tensor.lo || e > tensor.hi) {
        return Err(Reason::Range {
            what: "content entry",
            lo: i128::from(tensor.lo),
            hi: i128::from(tensor.hi),
            got: i128::from(entry),
        });
    }
    Ok(Fact {
        axes: tensor.axes.clone(),
        lo: tensor.lo,
        hi: tensor.hi,
        public: matches!(tensor.home, Home::Const | Home::Ones),
    })
}

fn declared(tensors: &[Tensor]) -> Result<Vec<Fact>, Invalid> {
    let mut facts = Vec::with_capacity(tensors.len());
    let mut entries = 0u64;
    for (index, tensor) in tensors.iter().enumerate() {
        let site = Site::Tensor(number(index));
        facts.push(declared_fact(tensor).map_err(at(site))?);
        entries = entries.saturating_add(count(tensor.content.len()));
        at_most(site, "const entries up to here", entries, limits::ENTRIES)?;
    }
    Ok(facts)
}

fn check_tables(program: &Program, facts: &[Fact]) -> Result<Vec<TableFact>, Invalid> {
    let tensor = |number: u32| usize::try_from(number).ok().and_then(|n| program.tensors.get(n));
    let mut tables = Vec::with_capacity(program.tables.len());
    let mut work = 0u64;
    for (index, table) in program.tables.iter().enumerate() {
        let site = Site::Table(number(index));
        work = work.saturating_add(table_work(table));
        at_most(site, "values and terms of tables up to here", work, limits::TABLE_WORK)?;
        tables.push(table_fact(table, facts, &tensor).map_err(at(site))?);
    }
    Ok(tables)
}

/// What filling a table costs: for each row and out one value, and the terms it is the sum of.
pub fn table_work(table: &Table) -> u64 {
    let rows = table.keys.iter().fold(1u64, |rows, &(_, n)| rows.saturating_mul(u64::from(n)));
    let terms =
        table.outs.iter().fold(0u64, |sum, out| sum.saturating_add(count(out.0.len())).saturating_add(1));
    rows.saturating_mul(terms.max(1))
}

fn check_outputs(program: &Program, tensors: usize) -> Result<(), Invalid> {
    for (index, &output) in program.outputs.iter().enumerate() {
        let site = Site::Output(number(index));
        let tensor = usize::try_from(output).unwrap_or(usize::MAX);
        match program.tensors.get(tensor) {
            Some(declared) if declared.home != Home::Input => {
                return structure(site, "an output must be an input or a column");
            }
            None if tensor >= tensors => return structure(site, "an output's tensor does not exist"),
            _ => {}
        }
    }
    Ok(())
}

fn check_used(program: &Program) -> Result<(), Invalid> {
    let mut read = vec![false; program.tensors.len()];
    let mut mark = |tensor: u32| {
        let slot = usize::try_from(tensor).ok().and_then(|index| read.get_mut(index));
        slot.into_iter().for_each(|slot| *slot = true);
    };
    let tensors = |form: &Form| form.0.iter().map(|(_, view)| view.tensor).collect::<Vec<_>>();
    program.operators.iter().flat_map(forms).flat_map(tensors).for_each(&mut mark);
    program.outputs.iter().copied().for_each(&mut mark);
    for (index, (tensor, read)) in program.tensors.iter().zip(&read).enumerate() {
        if matches!(tensor.home, Home::Input | Home::Model) && !read {
            return structure(Site::Tensor(number(index)), "an input or model tensor is never read");
        }
    }
    let used: Vec<u32> = program.operators.iter().filter_map(table_of).collect();
    for index in 0..program.tables.len() {
        if !used.contains(&number(index)) {
            return structure(Site::Table(number(index)), "a table is never used");
        }
    }
    Ok(())
}

fn check_ladder(ladder: &Ladder) -> Result<(), Invalid> {
    let site = Site::Program;
    let between = |what, found: u8, (least, most): (u8, u8)| {
        within(site, what, i128::from(found), i128::from(least), i128::from(most))
    };
    for rung in ladder.inner.iter().chain([&ladder.fresh, &ladder.end]) {
        between("rows of a rung", rung.rows, limits::RUNG_ROWS)?;
        between("lg of positions per coefficient", rung.rate, limits::RUNG_RATE)?;
    }
    let (least, most) = limits::LAST_VECTOR;
    within(site, "the last vector", ladder.last_max.into(), least.into(), most.into())?;
    let rungs = count(ladder.inner.len());
    within(site, "rungs of the ladder", rungs.into(), 1, limits::RUNGS.into())
}

fn check_oracle(program: &Program) -> Result<(), Invalid> {
    let model = program.tensors.iter().filter(|tensor| tensor.home == Home::Model);
    let entries = model.fold(0u64, |sum, t| sum.saturating_add(positions(&t.axes, 1)));
    match &program.model_oracle {
        None if entries == 0 => Ok(()),
        None => structure(Site::Program, "model tensors need the parameters of the model oracle"),
        Some(_) if entries == 0 => structure(Site::Program, "a model oracle needs a model tensor"),
        Some(params) => check_params(params, entries),
    }
}

fn check_params(params: &OracleParams, entries: u64) -> Result<(), Invalid> {
    let site = Site::Program;
    let most = u64::from(limits::ORACLE_LOG);
    at_most(site, "lg of data coefficients", u64::from(params.log_c), most)?;
    at_most(site, "lg of mask coefficients", u64::from(params.log_t.unwrap_or(0)), most)?;
    at_most(site, "lg of positions", u64::from(params.log_n), most)?;
    if params.log_n <= params.log_c || params.log_t.is_some_and(|t| t >= params.log_n) {
        return structure(site, "the model oracle's code is too short for its coefficients");
    }
    let columns = 1u64.checked_shl(u32::from(params.log_c)).unwrap_or(u64::MAX);
    let rows = entries.div_ceil(columns.max(1));
    same(site, "rows of the model oracle", u64::from(params.rows), rows)
}
