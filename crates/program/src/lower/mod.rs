//! From a Program to the lists a proof is about: placed tensors, lookups, inner products, linear relations.
//!
//! # Numbering of tensors
//!
//! 1. declared tensors, as in the Program;
//! 2. operator columns, in operator order (these two are the numbers a Program uses);
//! 3. columns of the checks of private and committed inputs, in tensor order;
//! 4. columns of the reveals, in order;
//! 5. multiplicities, one per table in use, in order of tags;
//! 6. extra public tensors: the scalar one first, then per reveal: the revealed values, or the
//!    one-hot label and the strict-order indicator.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::analyse::{TableFact, axes_of_operator, half, limb_sizes, range_columns};
use crate::interval::{Interval, axes_used, bit_length};
use crate::invalid::{Invalid, Site, at_most, same, structure, within};
use crate::limits;
use crate::types::{
    Contraction, Disclosure, Domain, Form, Home, InputMode, Map, Operator, Program, Reveal, Round, Scale,
    View,
};
use crate::validate::{Analysis, analyse, number};

mod lists;
mod slots;
mod weight;

pub use lists::{
    Ip, Lin, Lists, Look, LookTable, Lowered, Multiplier, Place, Placed, Quotient, RoundStep, Shape, Step,
    TableKind,
};
pub use slots::SlotPlan;
use slots::{SlotRule, Target, output_fact, slot_rules};

/// Lowers a Program for one Statement. Validates both first.
///
/// # Errors
/// [`Invalid`] names the operator, tensor, reveal or slot that is refused.
pub fn lower(program: &Program, shape: &Shape<'_>) -> Result<Lowered, Invalid> {
    let outline = Outline::new(program, shape.batch, shape.disclosure)?;
    outline.check_slots(shape.slots)?;
    let (lowered, slots) = outline.lower()?;
    slots.fill(&lowered, shape.slots)
}

/// A valid Program with a disclosure that fits it, before it is lowered.
pub struct Outline<'a> {
    program: &'a Program,
    batch: u32,
    disclosure: &'a Disclosure,
    analysis: Analysis,
    rules: Vec<SlotRule>,
}

impl<'a> Outline<'a> {
    /// Validates the Program and the disclosure.
    ///
    /// # Errors
    /// [`Invalid`] names what is refused.
    pub fn new(program: &'a Program, batch: u32, disclosure: &'a Disclosure) -> Result<Self, Invalid> {
        let analysis = analyse(program)?;
        check_shape(program, batch, disclosure)?;
        let rules = slot_rules(program, &analysis, batch, disclosure)?;
        Ok(Self { program, batch, disclosure, analysis, rules })
    }

    /// Checks a Statement's slots: number, lengths, ranges.
    ///
    /// # Errors
    /// [`Invalid`] names the slot that is refused.
    pub fn check_slots(&self, slots: &[Vec<i64>]) -> Result<(), Invalid> {
        slots::check(&self.rules, slots)
    }

    /// Everything that does not depend on what the slots hold: until they are filled, the tensors that
    /// a Statement gives are empty.
    ///
    /// # Errors
    /// [`Invalid`] names what exceeds a limit.
    pub fn lower(self) -> Result<(Lowered, SlotPlan), Invalid> {
        let Self { program, batch, disclosure, analysis, rules } = self;
        let mut work = Lowering::start(program, &analysis, batch);
        work.place_inputs(program, disclosure);
        work.input_checks(program)?;
        work.operators(program, &analysis)?;
        for (index, reveal) in disclosure.reveals.iter().enumerate() {
            work.reveal(index, reveal, (program, &analysis))?;
        }
        let targets = std::mem::take(&mut work.targets);
        let (lowered, base) = work.finish(&analysis)?;
        Ok((lowered, SlotPlan::new(rules, targets, base)))
    }
}

/// Lowers the operators alone: no disclosure, no slots. For the owner's own computations.
pub(crate) fn lower_operators(program: &Program, batch: u32) -> Result<Lowered, Invalid> {
    let analysis = analyse(program)?;
    check_batch(program, batch)?;
    let mut work = Lowering::start(program, &analysis, batch);
    work.operators(program, &analysis)?;
    work.finish(&analysis).map(|(lowered, _)| lowered)
}

/// The lengths of the slots of a Statement, in order, with what each holds.
///
/// # Errors
/// When the Program or the disclosure is refused.
pub fn slot_lengths(program: &Program, batch: u32, disclosure: &Disclosure) -> Result<Vec<usize>, Invalid> {
    let analysis = analyse(program)?;
    check_shape(program, batch, disclosure)?;
    let rules = slot_rules(program, &analysis, batch, disclosure)?;
    Ok(rules.into_iter().map(|rule| rule.length).collect())
}

fn check_batch(program: &Program, batch: u32) -> Result<(), Invalid> {
    let most = i128::from(limits::BATCH);
    within(Site::Shape, "batch size", i128::from(batch), 1, most)?;
    if batch > 1 && !program.tensors.iter().any(|tensor| tensor.axes.contains(&0)) {
        return structure(Site::Shape, "the program has no batch axis, so the batch size must be 1");
    }
    Ok(())
}

fn check_shape(program: &Program, batch: u32, disclosure: &Disclosure) -> Result<(), Invalid> {
    check_batch(program, batch)?;
    let inputs = program.tensors.iter().filter(|tensor| tensor.home == Home::Input).count();
    let modes = &disclosure.inputs;
    same(Site::Shape, "input modes", wide(modes.len()), wide(inputs))?;
    let committed = modes.iter().filter(|&&mode| mode == InputMode::Committed).count();
    at_most(Site::Shape, "committed inputs", wide(committed), limits::ORACLES.saturating_sub(1))?;
    at_most(Site::Shape, "reveals", wide(disclosure.reveals.len()), limits::REVEALS)
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Axis lengths with the batch size in place of 0.
fn expand(axes: &[u32], batch: u32) -> Vec<usize> {
    let length = |&axis: &u32| if axis == 0 { batch } else { axis };
    axes.iter().map(length).map(|n| usize::try_from(n).unwrap_or(usize::MAX)).collect()
}

fn entries(axes: &[usize]) -> usize {
    axes.iter().fold(1usize, |product, &axis| product.saturating_mul(axis))
}

/// Number of the extra public tensor `index` while lowering; replaced at the end.
const EXTRA: u32 = 1 << 31;

/// The lists under construction.
struct Lowering {
    batch: u32,
    limb_bits: u8,
    tensors: Vec<Placed>,
    extras: Vec<Placed>,
    looks: Vec<(TableKind, Look)>,
    ips: Vec<Ip>,
    lins: Vec<Lin>,
    steps: Vec<Step>,
    step_sites: Vec<Site>,
    declared: usize,
    /// Where the values of the slots go, in order.
    targets: Vec<Target>,
    /// What is being lowered.
    site: Site,
}

/// Takes column numbers one after another.
struct Columns(u32);

impl Columns {
    fn next(&mut self) -> u32 {
        let column = self.0;
        self.0 = self.0.saturating_add(1);
        column
    }

    fn take(&mut self, count: usize) -> Vec<u32> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// The view that reads a tensor of `axes` axes as it lies.
fn whole(tensor: u32, axes: usize) -> View {
    let axes = u8::try_from(axes).unwrap_or(u8::MAX);
    View { tensor, maps: (0..axes).map(|axis| Map::Aff { axis, step: 1, off: 0 }).collect() }
}

/// `coef * tensor`, read as it lies.
fn term(coef: i64, tensor: u32, axes: usize) -> (i64, View) {
    (coef, whole(tensor, axes))
}

/// The constant `value`; none for 0.
fn constant(value: i64) -> Option<(i64, View)> {
    (value != 0).then(|| (value, View { tensor: EXTRA, maps: Vec::new() }))
}

/// 2^bits as a multiplier; `bits` is at most 62 in a valid Program.
fn weight(bits: usize) -> i64 {
    u32::try_from(bits).ok().and_then(|bits| 1i64.checked_shl(bits)).unwrap_or(i64::MAX)
}

/// `form` with every multiplier times `factor`.
fn times(form: &Form, factor: i64) -> Form {
    Form(form.0.iter().map(|(coef, view)| (coef.saturating_mul(factor), view.clone())).collect())
}

impl Lowering {
    fn start(program: &Program, analysis: &Analysis, batch: u32) -> Lowering {
        let one = Placed { place: Place::Ones, axes: Vec::new(), lo: 1, hi: 1, content: None };
        let homes = program.tensors.iter().map(|tensor| match tensor.home {
            Home::Const => (Place::Const, Some(Arc::clone(&tensor.content))),
            Home::Ones => (Place::Ones, None),
            Home::Model => (Place::Model, None),
            Home::Input => (Place::Fresh, None),
        });
        let columns = std::iter::repeat((Place::Fresh, None));
        let placed = analysis.facts.iter().zip(homes.chain(columns)).map(|(fact, (place, content))| Placed {
            place,
            axes: expand(&fact.axes, batch),
            lo: fact.lo,
            hi: fact.hi,
            content,
        });
        Lowering {
            batch,
            limb_bits: program.limb_bits,
            tensors: placed.collect(),
            extras: vec![one],
            looks: Vec::new(),
            ips: Vec::new(),
            lins: Vec::new(),
            steps: Vec::new(),
            step_sites: Vec::new(),
            declared: program.tensors.len(),
            targets: Vec::new(),
            site: Site::Program,
        }
    }

    fn place_inputs(&mut self, program: &Program, disclosure: &Disclosure) {
        let inputs = (0u32..).zip(program.tensors.iter().zip(&mut self.tensors));
        let inputs = inputs.filter(|(_, (tensor, _))| tensor.home == Home::Input);
        let mut committed = 0u8;
        for ((tensor, (_, placed)), mode) in inputs.zip(&disclosure.inputs) {
            match mode {
                InputMode::Private => placed.place = Place::Fresh,
                InputMode::Committed => {
                    placed.place = Place::Committed(committed);
                    committed = committed.saturating_add(1);
                }
                InputMode::Public => {
                    placed.place = Place::Slot;
                    placed.content = Some([].into());
                    self.targets.push(Target::Values { tensor });
                }
            }
        }
    }

    /// A column that the Program does not number.
    fn fresh(&mut self, axes: &[usize], lo: i64, hi: i64) -> u32 {
        let column = number(self.tensors.len());
        self.tensors.push(Placed { place: Place::Fresh, axes: axes.to_vec(), lo, hi, content: None });
        column
    }

    /// An extra public tensor, filled from a slot.
    fn extra(&mut self, axes: &[usize], lo: i64, hi: i64) -> u32 {
        let tensor = EXTRA.saturating_add(number(self.extras.len()));
        let content = Some([].into());
        self.extras.push(Placed { place: Place::Slot, axes: axes.to_vec(), lo, hi, content });
        tensor
    }

    fn step(&mut self, step: Step) {
        self.steps.push(step);
        self.step_sites.push(self.site);
    }

    fn lin(&mut self, axes: &[usize], form: Form) {
        self.lins.push(Lin { axes: axes.to_vec(), form, site: self.site });
    }

    fn look(&mut self, kind: TableKind, axes: &[usize], coords: Vec<Form>) {
        self.looks.push((kind, Look { table: 0, axes: axes.to_vec(), coords, site: self.site }));
    }

    /// `0 <= form < 2^bits`, with the given limb columns.
    fn range(&mut self, axes: &[usize], form: Form, bits: u8, limbs: Vec<u32>) {
        let sizes = limb_sizes(bits, self.limb_bits);
        let Some((&first, rest)) = sizes.split_first() else {
            self.lin(axes, form);
            return;
        };
        if !limbs.is_empty() {
            let (form, limb_bits) = (form.clone(), self.limb_bits);
            self.step(Step::Limbs { axes: axes.to_vec(), form, limb_bits, columns: limbs.clone(), bits });
        }
        let mut lowest = form;
        let mut offset = usize::from(first);
        for (&column, &size) in limbs.iter().zip(rest) {
            lowest.0.push(term(weight(offset).saturating_neg(), column, axes.len()));
            offset = offset.saturating_add(usize::from(size));
        }
        self.look(TableKind::Range(first), axes, vec![lowest]);
        for (&column, &size) in limbs.iter().zip(rest) {
            self.look(TableKind::Range(size), axes, vec![Form(vec![term(1, column, axes.len())])]);
        }
    }

    /// A range with limb columns of its own: `0 <= form < 2^bits` for honest values in `interval`.
    fn check(
        &mut self,
        site: Site,
        axes: &[usize],
        form: Form,
        interval: Interval,
        most: u128,
    ) -> Result<(), Invalid> {
        let bits = u8::try_from(bit_length(most)).unwrap_or(u8::MAX);
        let limbs =
            range_columns(interval, bits, self.limb_bits).map_err(|reason| Invalid { site, reason })?;
        let mut columns = Vec::with_capacity(limbs.len());
        for limb in limbs {
            let (lo, hi) = limb.ends().map_err(|reason| Invalid { site, reason })?;
            columns.push(self.fresh(axes, lo, hi));
        }
        self.range(axes, form, bits, columns);
        Ok(())
    }

    /// Ranges of private and committed inputs.
    fn input_checks(&mut self, program: &Program) -> Result<(), Invalid> {
        for (index, tensor) in program.tensors.iter().enumerate() {
            let Some(placed) = self.tensors.get(index) else { continue };
            if tensor.home != Home::Input || placed.place == Place::Slot {
                continue;
            }
            let axes = placed.axes.clone();
            let site = Site::Tensor(number(index));
            self.site = site;
            let width = i128::from(tensor.hi).saturating_sub(i128::from(tensor.lo));
            let interval = Interval::new(0, width);
            let most = width.unsigned_abs();
            let mut above = Form(vec![term(1, number(index), axes.len())]);
            above.0.extend(constant(tensor.lo.saturating_neg()));
            self.check(site, &axes, above, interval, most)?;
            if !most.saturating_add(1).is_power_of_two() {
                let mut below = Form(vec![term(-1, number(index), axes.len())]);
                below.0.extend(constant(tensor.hi));
                self.check(site, &axes, below, interval, most)?;
            }
        }
        Ok(())
    }

    fn operators(&mut self, program: &Program, analysis: &Analysis) -> Result<(), Invalid> {
        for (index, (operator, &first)) in program.operators.iter().zip(&analysis.first).enumerate() {
            self.site = Site::Operator(number(index));
            let columns = Columns(number(first));
            self.operator(operator, columns, &analysis.tables);
            self.within_limits(Site::Operator(number(index)))?;
        }
        Ok(())
    }

    fn operator(&mut self, operator: &Operator, mut columns: Columns, tables: &[TableFact]) {
        let axes = expand(axes_of_operator(operator), self.batch);
        let limbs = |bits: u8| limb_sizes(bits, self.limb_bits).len().saturating_sub(1);
        match operator {
            Operator::Check { form, bits, .. } => {
                let columns = columns.take(limbs(*bits));
                self.range(&axes, form.clone(), *bits, columns);
            }
            Operator::Table { table, keys, .. } => {
                let index = usize::try_from(*table).unwrap_or(usize::MAX);
                let outs = columns.take(tables.get(index).map_or(0, |table| table.outs.len()));
                let read = outs.iter().map(|&out| Form(vec![term(1, out, axes.len())]));
                let coords = keys.iter().cloned().chain(read).collect();
                self.look(TableKind::Declared(*table), &axes, coords);
                self.step(Step::Table { axes, table: index, keys: keys.clone(), outs });
            }
            Operator::Commit { contraction, .. } => {
                let column = columns.next();
                let target = Form(vec![term(1, column, axes.len())]);
                let ip = self.ip(&axes, contraction, Multiplier::One(1), target);
                self.step(Step::Commit { ip, column });
            }
            Operator::Split { form, bits, .. } => {
                let (positive, negative) = (columns.next(), columns.next());
                let lists = [columns.take(limbs(*bits)), columns.take(limbs(*bits))];
                self.split(&axes, form, *bits, [positive, negative], lists);
            }
            Operator::Round(round) => self.round(round, &axes, columns),
        }
    }

    fn ip(
        &mut self,
        axes: &[usize],
        contraction: &Contraction,
        multiplier: Multiplier,
        target: Form,
    ) -> usize {
        let Contraction { sum, a, b, c } = contraction;
        let (a, b, c) = (a.clone(), b.clone(), c.clone());
        let sums = expand(sum, self.batch);
        let (outputs, site) = (axes.to_vec(), self.site);
        self.ips.push(Ip { outputs, sums, target, multiplier, c, a, b, site });
        self.ips.len().saturating_sub(1)
    }

    fn split(&mut self, axes: &[usize], form: &Form, bits: u8, parts: [u32; 2], limbs: [Vec<u32>; 2]) {
        let [positive, negative] = parts;
        self.step(Step::Split { axes: axes.to_vec(), form: form.clone(), positive, negative });
        let mut sum = form.clone();
        sum.0.extend([term(-1, positive, axes.len()), term(1, negative, axes.len())]);
        self.lin(axes, sum);
        let [a, b] = parts.map(|part| Form(vec![term(1, part, axes.len())]));
        let product = Contraction { sum: Vec::new(), a: a.clone(), b: b.clone(), c: Form::default() };
        self.ip(axes, &product, Multiplier::One(1), Form::default());
        let [limbs_a, limbs_b] = limbs;
        self.range(axes, a, bits, limbs_a);
        self.range(axes, b, bits, limbs_b);
    }

    fn round(&mut self, round: &Round, axes: &[usize], mut columns: Columns) {
        let rank = axes.len();
        let quotient = round_quotient(round, &mut columns);
        let sizes = limb_sizes(round.shift, self.limb_bits);
        let virtual_first = round.contraction.is_none();
        let remainders: Vec<Option<u32>> =
            (0..sizes.len()).map(|i| (i > 0 || !virtual_first).then(|| columns.next())).collect();
        let ties = columns.take(if round.half_even { sizes.len() } else { 0 });
        let table = round.table.map(|table| (table, usize::try_from(table).unwrap_or(usize::MAX)));
        let step_table = table.map(|(_, index)| (index, columns.next()));
        let (parts, lowest) = round_forms(round, &quotient, &remainders, self.limb_bits, rank);
        let ip = round.contraction.as_ref().map(|contraction| {
            let multiplier = match &round.scale {
                Scale::One(m) => Multiplier::One(*m),
                Scale::Axis(axis, list) => Multiplier::Axis(usize::from(*axis), list.clone()),
            };
            self.ip(axes, contraction, multiplier, lowest.clone())
        });
        self.step(Step::Round(RoundStep {
            axes: axes.to_vec(),
            ip,
            extra: round.extra.clone(),
            shift: round.shift,
            limb_bits: self.limb_bits,
            quotient: quotient.clone(),
            remainders,
            ties: ties.clone(),
            table: step_table,
        }));
        if virtual_first && sizes.is_empty() {
            self.lin(axes, lowest);
        }
        self.remainders(axes, &sizes, parts, &ties);
        let zero_count = round.half_even.then(|| Form(ties.iter().map(|&tie| term(1, tie, rank)).collect()));
        self.quotient(round, axes, &quotient, zero_count, step_table, columns);
    }

    /// Ranges of the remainder limbs, with zero flags when there are any.
    fn remainders(&mut self, axes: &[usize], sizes: &[u8], parts: Vec<Form>, ties: &[u32]) {
        let mut ties = ties.iter();
        for (part, &size) in parts.into_iter().zip(sizes) {
            match ties.next() {
                Some(&tie) => {
                    let flag = Form(vec![term(1, tie, axes.len())]);
                    self.look(TableKind::Tie(size), axes, vec![part, flag]);
                }
                None => self.look(TableKind::Range(size), axes, vec![part]),
            }
        }
    }

    /// Range of the quotient, or its table.
    fn quotient(
        &mut self,
        round: &Round,
        axes: &[usize],
        quotient: &Quotient,
        zero_count: Option<Form>,
        table: Option<(usize, u32)>,
        mut columns: Columns,
    ) {
        let read = |column: u32| Form(vec![term(1, column, axes.len())]);
        let mut keys = Vec::new();
        let last = match *quotient {
            Quotient::Narrow { q } => q,
            Quotient::Wide { low, high, code, .. } => {
                let Domain::Wide { high_bits, .. } = round.domain else { return };
                self.look(TableKind::Code(high_bits), axes, vec![read(high), read(code)]);
                keys.push(read(code));
                low
            }
        };
        keys.extend(zero_count);
        keys.push(read(last));
        match (round.table, table, &round.domain) {
            (Some(number), Some((_, out)), _) => {
                keys.push(read(out));
                self.look(TableKind::Declared(number), axes, keys);
            }
            (_, _, Domain::Narrow { lo, bits }) => {
                let limbs = columns.take(limb_sizes(*bits, self.limb_bits).len().saturating_sub(1));
                let mut form = read(last);
                form.0.extend(constant(lo.saturating_neg()));
                self.range(axes, form, *bits, limbs);
            }
            _ => {}
        }
    }

    fn reveal(
        &mut self,
        index: usize,
        reveal: &Reveal,
        (program, analysis): (&Program, &Analysis),
    ) -> Result<(), Invalid> {
        let site = Site::Reveal(number(index));
        self.site = site;
        let (Reveal::Values { output } | Reveal::Label { output } | Reveal::Threshold { output, .. }) =
            reveal;
        let (tensor, fact) = output_fact(program, analysis, index, *output)?;
        let (axes, ends) = (expand(&fact.axes, self.batch), (fact.lo, fact.hi));
        match reveal {
            Reveal::Values { .. } => {
                let slot = self.extra(&axes, fact.lo, fact.hi);
                self.targets.push(Target::Values { tensor: slot });
                let form = Form(vec![term(1, tensor, axes.len()), term(-1, slot, axes.len())]);
                self.lin(&axes, form);
            }
            Reveal::Label { .. } => self.label(site, tensor, &axes, ends)?,
            Reveal::Threshold { index, at_least, bound, .. } => {
                let batched = fact.axes.iter().position(|&axis| axis == 0);
                let claim = Bound { index: *index, at_least: *at_least, bound: *bound };
                self.threshold(site, tensor, &axes, batched, ends, claim)?;
            }
        }
        self.within_limits(site)
    }

    /// m = x[label]; m - x[i] - [i < label] is never negative.
    fn label(
        &mut self,
        site: Site,
        tensor: u32,
        axes: &[usize],
        (lo, hi): (i64, i64),
    ) -> Result<(), Invalid> {
        let Some((&classes, lead)) = axes.split_last() else {
            return structure(site, "a label needs a last axis of classes");
        };
        let rank = axes.len();
        let one_hot = self.extra(axes, 0, 1);
        let before = self.extra(axes, 0, 1);
        self.targets.push(Target::Label { one_hot, before, classes });
        let most = self.fresh(lead, lo, hi);
        let pick = Contraction {
            sum: vec![number(classes)],
            a: Form(vec![term(1, one_hot, rank)]),
            b: Form(vec![term(1, tensor, rank)]),
            c: Form::default(),
        };
        let target = Form(vec![term(1, most, lead.len())]);
        let ip = self.ip(lead, &pick, Multiplier::One(1), target);
        self.step(Step::Commit { ip, column: most });
        let form = Form(vec![term(1, most, lead.len()), term(-1, tensor, rank), term(-1, before, rank)]);
        let width = i128::from(hi).saturating_sub(i128::from(lo));
        let interval = Interval::new(width.saturating_neg().saturating_sub(1), width);
        self.check(site, axes, form, interval, width.unsigned_abs())
    }

    fn threshold(
        &mut self,
        site: Site,
        tensor: u32,
        axes: &[usize],
        batched: Option<usize>,
        (lo, hi): (i64, i64),
        claim: Bound,
    ) -> Result<(), Invalid> {
        let bound = i128::from(claim.bound);
        within(site, "threshold", bound, i128::from(lo), i128::from(hi))?;
        let maps = entry_maps(axes, batched, claim.index);
        let Some(maps) = maps else {
            return structure(site, "a threshold's index lies outside its output");
        };
        let view = View { tensor, maps };
        let above = i128::from(hi).saturating_sub(bound);
        let below = bound.saturating_sub(i128::from(lo));
        let (sign, most, least) = if claim.at_least { (1, above, below) } else { (-1, below, above) };
        let mut form = Form(vec![(sign, view)]);
        form.0.extend(constant(claim.bound.saturating_mul(sign).saturating_neg()));
        let positions: Vec<usize> = batched.and_then(|axis| axes.get(axis)).copied().into_iter().collect();
        let interval = Interval::new(least.saturating_neg(), most);
        self.check(site, &positions, form, interval, most.unsigned_abs())
    }

    /// The limits that hold for the lists so far.
    fn within_limits(&self, site: Site) -> Result<(), Invalid> {
        at_most(site, "inner products", wide(self.ips.len()), limits::IPS)?;
        let constraints = self.ips.len().saturating_add(self.lins.len());
        at_most(site, "inner products and linear relations", wide(constraints), limits::CONSTRAINTS)
    }

    /// The lists, and the number that the first extra tensor has among all.
    fn finish(mut self, analysis: &Analysis) -> Result<(Lowered, u32), Invalid> {
        self.check_sizes()?;
        let kinds: BTreeSet<TableKind> = self.looks.iter().map(|(kind, _)| *kind).collect();
        let mut tables: Vec<LookTable> =
            kinds.iter().map(|&kind| look_table(kind, &analysis.tables)).collect();
        let first = self.tensors.len();
        let mut looks = Vec::with_capacity(self.looks.len());
        let mut counts = vec![0u64; tables.len()];
        for (kind, mut look) in std::mem::take(&mut self.looks) {
            look.table = kinds.range(..kind).count();
            if let Some(count) = counts.get_mut(look.table) {
                *count = count.saturating_add(wide(entries(&look.axes)));
            }
            looks.push(look);
        }
        for (index, (table, &count)) in tables.iter_mut().zip(&counts).enumerate() {
            table.multiplicity = number(first.saturating_add(index));
            let axes = table.keys.iter().map(|&(_, count)| count).collect();
            let hi = i64::try_from(count).unwrap_or(i64::MAX);
            self.tensors.push(Placed { place: Place::Fresh, axes, lo: 0, hi, content: None });
        }
        let rows = tables.iter().map(|table| table.keys.iter().map(|&(_, n)| n).collect::<Vec<_>>());
        let rows = rows.fold(0u64, |sum, axes| sum.saturating_add(wide(entries(&axes))));
        let leaves = counts.iter().fold(rows, |sum, &count| sum.saturating_add(count));
        at_most(Site::Program, "lookups and table rows", leaves, limits::LEAVES)?;
        let base = number(self.tensors.len());
        self.tensors.append(&mut self.extras);
        let Lowering { tensors, ips, lins, steps, step_sites, declared, .. } = self;
        let mut lists = Lists { tables, looks, ips, lins, steps, step_sites, declared };
        lists.all_forms(|form| renumber(form, base));
        Ok((Lowered { tensors, lists: Arc::new(lists) }, base))
    }

    /// Positions of every relation and entries of every tensor, the batch included.
    fn check_sizes(&self) -> Result<(), Invalid> {
        let site = Site::Program;
        let tensors = self.tensors.iter().chain(&self.extras).map(|tensor| &tensor.axes);
        let looks = self.looks.iter().map(|(_, look)| &look.axes);
        let lins = self.lins.iter().map(|lin| &lin.axes);
        let ips = self.ips.iter().map(|ip| &ip.outputs);
        for axes in tensors.chain(looks).chain(lins).chain(ips) {
            at_most(site, "entries with this batch size", wide(entries(axes)), limits::POSITIONS)?;
        }
        for ip in &self.ips {
            at_most(site, "joint positions with this batch size", joint_positions(ip), limits::POSITIONS)?;
        }
        Ok(())
    }
}

/// Positions of the axes read by both factors, and of the sum axes.
fn joint_positions(ip: &Ip) -> u64 {
    let joint = axes_used(&ip.a) & axes_used(&ip.b);
    let outputs = ip.outputs.iter().enumerate().filter(|(axis, _)| {
        u32::try_from(*axis).ok().and_then(|axis| joint.checked_shr(axis)).unwrap_or(0) & 1 == 1
    });
    let lengths: Vec<usize> = outputs.map(|(_, &length)| length).chain(ip.sums.iter().copied()).collect();
    wide(entries(&lengths))
}

/// A threshold on one entry.
struct Bound {
    index: u32,
    at_least: bool,
    bound: i64,
}

/// Maps that read entry `index` (flat, without the batch axis) of a tensor; the batch axis is read
/// by position axis 0. None when the index is too large.
fn entry_maps(axes: &[usize], batched: Option<usize>, index: u32) -> Option<Vec<Map>> {
    let mut rest = usize::try_from(index).ok()?;
    let mut maps = Vec::with_capacity(axes.len());
    for (axis, &length) in axes.iter().enumerate().rev() {
        if Some(axis) == batched {
            maps.push(Map::Aff { axis: 0, step: 1, off: 0 });
        } else {
            maps.push(Map::Fix { at: i64::try_from(rest.checked_rem(length)?).ok()? });
            rest = rest.checked_div(length)?;
        }
    }
    maps.reverse();
    (rest == 0).then_some(maps)
}

/// Columns of the quotient, which come first.
fn round_quotient(round: &Round, columns: &mut Columns) -> Quotient {
    match round.domain {
        Domain::Narrow { .. } => Quotient::Narrow { q: columns.next() },
        Domain::Wide { lo, low_bits, .. } => {
            let (low, high, code) = (columns.next(), columns.next(), columns.next());
            Quotient::Wide { lo, low_bits, low, high, code }
        }
    }
}

/// `factor` times the quotient.
fn quotient_terms(quotient: &Quotient, factor: i64, rank: usize) -> Vec<(i64, View)> {
    match *quotient {
        Quotient::Narrow { q } => vec![term(factor, q, rank)],
        Quotient::Wide { lo, low_bits, low, high, .. } => {
            let upper = factor.saturating_mul(weight(usize::from(low_bits)));
            let mut terms = vec![term(factor, low, rank), term(upper, high, rank)];
            terms.extend(constant(factor.saturating_mul(lo)));
            terms
        }
    }
}

/// The remainder limbs as Forms, and the Form the Round is about: with a contraction the right
/// side `2^s q + rem - extra - half`, without one `extra + half - 2^s q - (limbs but the first)`,
/// which is the virtual first limb (and 0 if nothing is shifted out).
fn round_forms(
    round: &Round,
    quotient: &Quotient,
    remainders: &[Option<u32>],
    limb_bits: u8,
    rank: usize,
) -> (Vec<Form>, Form) {
    let sign = if round.contraction.is_some() { 1 } else { -1i64 };
    let factor = weight(usize::from(round.shift)).saturating_mul(sign);
    let mut main = Form(quotient_terms(quotient, factor, rank));
    for (place, column) in remainders.iter().enumerate() {
        let scale = weight(place.saturating_mul(usize::from(limb_bits))).saturating_mul(sign);
        main.0.extend(column.map(|column| term(scale, column, rank)));
    }
    let half = i64::try_from(half(round.shift)).unwrap_or(i64::MAX).saturating_mul(sign);
    main.0.extend(times(&round.extra, sign.saturating_neg()).0);
    main.0.extend(constant(half.saturating_neg()));
    let part = |column: &Option<u32>| match column {
        Some(column) => Form(vec![term(1, *column, rank)]),
        None => main.clone(),
    };
    let parts = remainders.iter().map(part).collect();
    (parts, main)
}

/// A table in use; its multiplicities are numbered later.
fn look_table(kind: TableKind, tables: &[TableFact]) -> LookTable {
    let size = |bits: u8| 1usize.checked_shl(u32::from(bits)).unwrap_or(usize::MAX);
    let (keys, outs) = match kind {
        TableKind::Declared(number) => {
            let table = usize::try_from(number).ok().and_then(|index| tables.get(index));
            let keys = table.map_or_else(Vec::new, |table| {
                let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
                table.keys.iter().map(|&(lo, n)| (lo, count(n))).collect()
            });
            (keys, table.map_or_else(Vec::new, |table| table.outs.clone()))
        }
        TableKind::Range(bits) => (vec![(0, size(bits))], Vec::new()),
        TableKind::Tie(bits) => {
            let flags: Vec<i64> = (0..size(bits)).map(|key| i64::from(key == 0)).collect();
            (vec![(0, size(bits))], vec![Arc::from(flags)])
        }
        TableKind::Code(bits) => {
            let lo = weight(usize::from(bits.saturating_sub(1))).saturating_neg();
            let codes: Vec<i64> =
                (lo..lo.saturating_neg()).map(|key| key.signum().saturating_add(1)).collect();
            (vec![(lo, size(bits))], vec![Arc::from(codes)])
        }
    };
    LookTable { keys, outs, multiplicity: 0, kind }
}

/// Gives extra public tensors their final numbers.
fn renumber(form: &mut Form, base: u32) {
    for (_, view) in &mut form.0 {
        if let Some(extra) = view.tensor.checked_sub(EXTRA) {
            view.tensor = base.saturating_add(extra);
        }
    }
}

impl Lists {
    /// Applies `change` to every Form of every relation and step.
    fn all_forms(&mut self, change: impl Fn(&mut Form)) {
        self.looks.iter_mut().flat_map(|look| &mut look.coords).for_each(&change);
        self.lins.iter_mut().for_each(|lin| change(&mut lin.form));
        for ip in &mut self.ips {
            [&mut ip.target, &mut ip.a, &mut ip.b, &mut ip.c].into_iter().for_each(&change);
        }
        for step in &mut self.steps {
            match step {
                Step::Limbs { form, .. } | Step::Split { form, .. } => change(form),
                Step::Table { keys, .. } => keys.iter_mut().for_each(&change),
                Step::Round(round) => change(&mut round.extra),
                Step::Commit { .. } => {}
            }
        }
    }
}
