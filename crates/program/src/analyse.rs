//! What follows from a Program alone: the columns of every operator with their intervals, and the
//! rules that make the relations sound (no wrap) and always provable (totality).

use std::sync::Arc;

use crate::interval::{Fact, Interval, axes_used, equal, form_interval, limit, power};
use crate::invalid::Reason;
use crate::limits;
use crate::types::{Contraction, Domain, Form, Home, Map, Operator, Round, Scale, Table, Tensor, View};

/// A table with its contents.
#[derive(Clone, Debug)]
pub(crate) struct TableFact {
    /// (least key, number of keys) per key axis.
    pub keys: Vec<(i64, u32)>,
    /// Contents per out, dense over the keys.
    pub outs: Vec<Arc<[i64]>>,
    /// Least and largest value per out.
    pub ends: Vec<(i64, i64)>,
}

impl TableFact {
    /// Interval of key axis `axis`; empty tables do not exist.
    pub(crate) fn key(&self, axis: usize) -> Option<Interval> {
        self.keys.get(axis).map(|&(lo, count)| key_interval(lo, count))
    }
}

/// What an operator may refer to.
pub(crate) struct Known<'a> {
    /// Tensors numbered so far.
    pub facts: &'a [Fact],
    /// Declared tables.
    pub tables: &'a [TableFact],
    /// Bits of a range limb.
    pub limb_bits: u8,
}

fn key_interval(lo: i64, count: u32) -> Interval {
    let lo = i128::from(lo);
    Interval::new(lo, lo.saturating_add(i128::from(count)).saturating_sub(1))
}

/// Sizes in bits of the limbs of a number of `bits` bits, lowest first; none for 0 bits.
pub(crate) fn limb_sizes(bits: u8, limb_bits: u8) -> Vec<u8> {
    let mut sizes = Vec::new();
    let mut rest = bits;
    while rest > 0 && limb_bits > 0 {
        let size = rest.min(limb_bits);
        sizes.push(size);
        rest = rest.saturating_sub(size);
    }
    sizes
}

/// Number of positions of `axes`, the batch counted as `batch`.
pub(crate) fn positions(axes: &[u32], batch: u64) -> u64 {
    axes.iter()
        .fold(1u64, |product, &axis| product.saturating_mul(if axis == 0 { batch } else { u64::from(axis) }))
}

fn limit_value(what: &'static str, got: u64, limit: u64) -> Result<(), Reason> {
    if got > limit {
        return Err(Reason::Limit { what, limit, got });
    }
    Ok(())
}

/// Position axes: few, at most one batch axis, and a bounded number of positions.
pub(crate) fn check_axes(axes: &[u32]) -> Result<(), Reason> {
    limit("axes", axes.len(), limits::AXES)?;
    if axes.iter().filter(|&&axis| axis == 0).count() > 1 {
        return Err(Reason::Structure("at most one axis may be the batch"));
    }
    limit_value("positions", positions(axes, 1), limits::POSITIONS)
}

/// Refuses when a relation with these largest absolute sides could wrap around the prime.
pub(crate) fn no_wrap(what: &'static str, left: u128, right: u128) -> Result<(), Reason> {
    if left.saturating_add(right) >= limits::PRIME {
        return Err(Reason::Wrap { what });
    }
    Ok(())
}

/// Refuses when the owner could not hold these values in 64 bits.
fn computable(what: &'static str, values: Interval) -> Result<(), Reason> {
    values.ends().map(|_| ()).map_err(|_| Reason::Wrap { what })
}

fn total(what: &'static str, honest: Interval, accepted: Interval) -> Result<(), Reason> {
    if !accepted.contains(honest) {
        return Err(Reason::NotTotal {
            what,
            lo: honest.lo,
            hi: honest.hi,
            least: accepted.lo,
            most: accepted.hi,
        });
    }
    Ok(())
}

/// Intervals of the limb columns of `Range(form, bits)`, and its no-wrap rule.
pub(crate) fn range_columns(form: Interval, bits: u8, limb_bits: u8) -> Result<Vec<Interval>, Reason> {
    let sizes = limb_sizes(bits, limb_bits);
    let limbs = Interval::new(power(u32::from(bits)).saturating_neg(), 0);
    no_wrap("a range check", form.plus(limbs)?.max_abs(), u128::from(u32::MAX))?;
    Ok(sizes.iter().skip(1).map(|&size| Interval::bits(u32::from(size))).collect())
}

fn bits_within(what: &'static str, got: u8, least: u8, most: u8) -> Result<(), Reason> {
    if got < least || got > most {
        return Err(Reason::Range {
            what,
            lo: i128::from(least),
            hi: i128::from(most),
            got: i128::from(got),
        });
    }
    Ok(())
}

/// All Forms of an operator.
pub(crate) fn forms(operator: &Operator) -> Vec<&Form> {
    match operator {
        Operator::Check { form, .. } | Operator::Split { form, .. } => vec![form],
        Operator::Table { keys, .. } => keys.iter().collect(),
        Operator::Commit { contraction, .. } => vec![&contraction.a, &contraction.b, &contraction.c],
        Operator::Round(round) => {
            let mut list = vec![&round.extra];
            if let Some(contraction) = &round.contraction {
                list.extend([&contraction.a, &contraction.b, &contraction.c]);
            }
            list
        }
    }
}

/// All Forms of an operator, to change tensor numbers.
pub(crate) fn forms_mut(operator: &mut Operator) -> Vec<&mut Form> {
    match operator {
        Operator::Check { form, .. } | Operator::Split { form, .. } => vec![form],
        Operator::Table { keys, .. } => keys.iter_mut().collect(),
        Operator::Commit { contraction, .. } => {
            vec![&mut contraction.a, &mut contraction.b, &mut contraction.c]
        }
        Operator::Round(round) => {
            let mut list = vec![&mut round.extra];
            if let Some(contraction) = &mut round.contraction {
                list.extend([&mut contraction.a, &mut contraction.b, &mut contraction.c]);
            }
            list
        }
    }
}

/// The table an operator uses.
pub(crate) fn table_of(operator: &Operator) -> Option<u32> {
    match operator {
        Operator::Table { table, .. } => Some(*table),
        Operator::Round(round) => round.table,
        _ => None,
    }
}

/// Position axes of an operator.
pub(crate) fn axes_of_operator(operator: &Operator) -> &[u32] {
    match operator {
        Operator::Check { axes, .. }
        | Operator::Table { axes, .. }
        | Operator::Commit { axes, .. }
        | Operator::Split { axes, .. } => axes,
        Operator::Round(round) => &round.axes,
    }
}

/// Indices of the result columns among `count` columns of an operator.
pub(crate) fn results(operator: &Operator, count: usize) -> Vec<usize> {
    match operator {
        Operator::Check { .. } => Vec::new(),
        Operator::Table { .. } => (0..count).collect(),
        Operator::Commit { .. } => vec![0],
        Operator::Split { .. } => vec![0, 1],
        Operator::Round(round) if round.table.is_some() => vec![count.saturating_sub(1)],
        Operator::Round(_) => vec![0],
    }
}

/// Checks an operator and gives its columns in order.
pub(crate) fn columns(operator: &Operator, known: &Known<'_>) -> Result<Vec<Fact>, Reason> {
    let axes = axes_of_operator(operator);
    check_axes(axes)?;
    let intervals = match operator {
        Operator::Check { form, bits, .. } => {
            bits_within("bits of a check", *bits, 0, limits::CHECK_BITS)?;
            let form = form_interval(form, known.facts, axes)?;
            computable("the form of a check", form)?;
            total("the form of a check", form, Interval::bits(u32::from(*bits)))?;
            range_columns(form, *bits, known.limb_bits)?
        }
        Operator::Table { table, keys, .. } => table_columns(axes, *table, keys, known)?,
        Operator::Commit { contraction, .. } => {
            let (sum, c) = contraction_intervals(contraction, axes, known)?;
            vec![sum.plus(c)?]
        }
        Operator::Split { form, bits, .. } => {
            bits_within("bits of a split", *bits, 1, limits::SPLIT_BITS)?;
            let part = Interval::bits(u32::from(*bits));
            let form = form_interval(form, known.facts, axes)?;
            total("the form of a split", form, part.negated().union(part))?;
            let limbs = range_columns(part, *bits, known.limb_bits)?;
            [vec![part, part], limbs.clone(), limbs].concat()
        }
        Operator::Round(round) => round_columns(round, known)?,
    };
    intervals.into_iter().map(|interval| column(axes, interval)).collect()
}

fn column(axes: &[u32], interval: Interval) -> Result<Fact, Reason> {
    let (lo, hi) = interval.ends()?;
    Ok(Fact { axes: axes.to_vec(), lo, hi, public: false })
}

fn table<'a>(known: &Known<'a>, number: u32) -> Result<&'a TableFact, Reason> {
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    known.tables.get(index).ok_or(Reason::Structure("an operator uses a table that does not exist"))
}

fn table_columns(
    axes: &[u32],
    number: u32,
    keys: &[Form],
    known: &Known<'_>,
) -> Result<Vec<Interval>, Reason> {
    let table = table(known, number)?;
    equal("key forms", keys.len(), u32::try_from(table.keys.len()).unwrap_or(u32::MAX))?;
    for (axis, form) in keys.iter().enumerate() {
        let honest = form_interval(form, known.facts, axes)?;
        let accepted = table.key(axis).ok_or(Reason::Structure("a table lacks a key axis"))?;
        computable("a key of a table", honest)?;
        total("a key of a table", honest, accepted)?;
    }
    Ok(outs(table))
}

fn outs(table: &TableFact) -> Vec<Interval> {
    table.ends.iter().map(|&(lo, hi)| Interval::new(i128::from(lo), i128::from(hi))).collect()
}

/// Intervals of the sum of products and of the added term. Checks the rules of a contraction.
fn contraction_intervals(
    contraction: &Contraction,
    axes: &[u32],
    known: &Known<'_>,
) -> Result<(Interval, Interval), Reason> {
    let sum = &contraction.sum;
    limit("sum axes", sum.len(), limits::AXES)?;
    if sum.contains(&0) {
        return Err(Reason::Structure("a sum axis must have a fixed length of at least 1"));
    }
    let all = [axes, sum.as_slice()].concat();
    let a = form_interval(&contraction.a, known.facts, &all)?;
    let b = form_interval(&contraction.b, known.facts, &all)?;
    let c = form_interval(&contraction.c, known.facts, axes)?;
    let used_a = axes_used(&contraction.a);
    let used_b = axes_used(&contraction.b);
    let mut domain = positions(sum, 1);
    for (axis, &length) in axes.iter().enumerate() {
        let bit = u32::try_from(axis).ok().and_then(|axis| 1u32.checked_shl(axis)).unwrap_or(0);
        if (used_a | used_b) & bit == 0 {
            return Err(Reason::Structure("an output axis of a contraction is read by neither factor"));
        }
        if used_a & used_b & bit != 0 {
            domain = domain.saturating_mul(u64::from(length.max(1)));
        }
    }
    limit_value("joint and sum positions of a contraction", domain, limits::POSITIONS)?;
    for form in [a, b, c] {
        computable("a form of a contraction", form)?;
    }
    let acc = a.product(b)?.times(i128::from(positions(sum, 1)))?;
    computable("a sum of products", acc)?;
    computable("an accumulator", acc.plus(c)?)?;
    Ok((acc, c))
}

/// Least and largest multiplier.
fn multipliers(scale: &Scale, axes: &[u32]) -> Result<Interval, Reason> {
    let list = match scale {
        Scale::One(m) => std::slice::from_ref(m),
        Scale::Axis(axis, list) => {
            let length = axes.get(usize::from(*axis)).copied().unwrap_or(0);
            if length == 0 {
                return Err(Reason::Structure("a multiplier axis must be a position axis of fixed length"));
            }
            equal("multipliers", list.len(), length)?;
            list
        }
    };
    let least = list.iter().copied().min().unwrap_or(0);
    let most = list.iter().copied().max().unwrap_or(0);
    if least < 1 || most >= limits::MULTIPLIER {
        let got = i128::from(if least < 1 { least } else { most });
        let hi = i128::from(limits::MULTIPLIER).saturating_sub(1);
        return Err(Reason::Range { what: "multiplier", lo: 1, hi, got });
    }
    Ok(Interval::new(i128::from(least), i128::from(most)))
}

/// The part `m * (acc + c)` of a Round; 0 without a contraction.
fn scaled(round: &Round, known: &Known<'_>) -> Result<Interval, Reason> {
    match &round.contraction {
        Some(contraction) => {
            let m = multipliers(&round.scale, &round.axes)?;
            let (acc, c) = contraction_intervals(contraction, &round.axes, known)?;
            acc.plus(c)?.product(m)
        }
        None if round.scale == Scale::One(1) => Ok(Interval::new(0, 0)),
        None => Err(Reason::Structure("a round without contraction must have multiplier 1")),
    }
}

/// `2^(shift-1)`, or 0 when nothing is shifted out.
pub(crate) fn half(shift: u8) -> i128 {
    if shift == 0 { 0 } else { power(u32::from(shift.saturating_sub(1))) }
}

/// Intervals of `m * (acc + c)`, of the extra term, and of their sum with the half.
fn round_value(round: &Round, known: &Known<'_>) -> Result<(Interval, Interval, Interval), Reason> {
    let scaled = scaled(round, known)?;
    let extra = form_interval(&round.extra, known.facts, &round.axes)?;
    computable("the extra term of a round", extra)?;
    let half = half(round.shift);
    let value = scaled.plus(extra)?.plus(Interval::new(half, half))?;
    Ok((scaled, extra, value))
}

/// Interval of the quotients of a Round, whatever its domain and table are.
pub(crate) fn quotient_interval(round: &Round, known: &Known<'_>) -> Result<Interval, Reason> {
    bits_within("shift", round.shift, 0, limits::SHIFT)?;
    check_axes(&round.axes)?;
    let (_, _, value) = round_value(round, known)?;
    Ok(value.shifted(u32::from(round.shift)))
}

fn round_columns(round: &Round, known: &Known<'_>) -> Result<Vec<Interval>, Reason> {
    bits_within("shift", round.shift, 0, limits::SHIFT)?;
    if round.half_even && (round.shift == 0 || round.table.is_none()) {
        return Err(Reason::Structure("half to even needs a table and a shift of at least 1"));
    }
    let (scaled, extra, value) = round_value(round, known)?;
    let quotient = value.shifted(u32::from(round.shift));
    let domain = quotient_domain(round, known)?;
    total("the quotient of a round", quotient, domain)?;
    round_wraps(round, scaled, extra, value, domain, known)?;
    round_intervals(round, known)
}

/// The relations of a Round stay below the prime, and so does the map (q, rem) -> 2^s q + rem on
/// the proved ranges: one value has one quotient.
fn round_wraps(
    round: &Round,
    scaled: Interval,
    extra: Interval,
    value: Interval,
    domain: Interval,
    known: &Known<'_>,
) -> Result<(), Reason> {
    let shift = u32::from(round.shift);
    let count = domain.hi.saturating_sub(domain.lo).saturating_add(1);
    let pairs = count.saturating_mul(power(shift)).unsigned_abs();
    no_wrap("quotients and remainders of a round", pairs, 0)?;
    let whole = domain.times(power(shift))?;
    computable("quotient times 2^shift of a round", whole)?;
    let rest = Interval::bits(shift);
    if round.contraction.is_some() {
        let half = half(round.shift).saturating_neg();
        let target = whole.plus(rest)?.plus(extra.negated())?.plus(Interval::new(half, half))?;
        no_wrap("the relation of a round", scaled.max_abs(), target.max_abs())
    } else {
        let limb = power(u32::from(known.limb_bits)).unsigned_abs();
        let low = value.plus(whole.negated())?.plus(rest.negated())?;
        no_wrap("the remainder of a round", low.max_abs(), limb)
    }
}

/// Quotients a Round accepts. Checks the key axes of its table.
fn quotient_domain(round: &Round, known: &Known<'_>) -> Result<Interval, Reason> {
    let keys = match round.table {
        None => None,
        Some(number) => Some(round_table(round, table(known, number)?, known.limb_bits)?),
    };
    match (&round.domain, keys) {
        (Domain::Narrow { lo, bits }, None) => {
            bits_within("bits of a quotient", *bits, 0, limits::CHECK_BITS)?;
            crate::interval::range("least quotient", *lo, limits::VALUE)?;
            let lo = i128::from(*lo);
            let domain = Interval::bits(u32::from(*bits)).plus(Interval::new(lo, lo))?;
            range_columns(Interval::bits(u32::from(*bits)), *bits, known.limb_bits)?;
            Ok(domain)
        }
        (Domain::Narrow { lo: 0, bits: 0 }, Some(keys)) => Ok(keys),
        (Domain::Narrow { .. }, Some(_)) => {
            Err(Reason::Structure("a narrow round with a table must have domain lo = 0, bits = 0"))
        }
        (Domain::Wide { .. }, None) => Err(Reason::Structure("a wide round needs a table")),
        (Domain::Wide { lo, low_bits, high_bits }, Some(keys)) => {
            bits_within("low bits of a quotient", *low_bits, 1, limits::WIDE_BITS)?;
            bits_within("high bits of a quotient", *high_bits, 1, limits::WIDE_BITS)?;
            crate::interval::range("offset of a quotient", *lo, limits::VALUE)?;
            if round.half_even && lo.rem_euclid(2) != 0 {
                return Err(Reason::Structure("the offset of a wide half-to-even round must be even"));
            }
            if keys != Interval::bits(u32::from(*low_bits)) {
                return Err(Reason::Structure("the last key axis of a wide round must be its low part"));
            }
            let lo = i128::from(*lo);
            let reach = power(u32::from(low_bits.saturating_add(high_bits.saturating_sub(1))));
            let most = reach.saturating_sub(1);
            Interval::new(reach.saturating_neg(), most).plus(Interval::new(lo, lo))
        }
    }
}

/// Interval of the last key axis of a Round's table, after the shape of the table is checked.
fn round_table(round: &Round, table: &TableFact, limb_bits: u8) -> Result<Interval, Reason> {
    let mut want = Vec::new();
    if matches!(round.domain, Domain::Wide { .. }) {
        want.push((0i64, 3u32));
    }
    if round.half_even {
        let limbs = limb_sizes(round.shift, limb_bits).len();
        want.push((0, u32::try_from(limbs.saturating_add(1)).unwrap_or(u32::MAX)));
    }
    if table.outs.len() != 1 || table.keys.len() != want.len().saturating_add(1) {
        return Err(Reason::Structure("a round's table has the wrong number of key axes or outs"));
    }
    if !table.keys.starts_with(&want) {
        return Err(Reason::Structure("a round's table must start with the code and zero-count axes"));
    }
    table.key(want.len()).ok_or(Reason::Structure("a table lacks a key axis"))
}

/// Columns of a Round in order, with their proved ranges.
fn round_intervals(round: &Round, known: &Known<'_>) -> Result<Vec<Interval>, Reason> {
    let mut list = Vec::new();
    match &round.domain {
        Domain::Wide { low_bits, high_bits, .. } => {
            let reach = power(u32::from(high_bits.saturating_sub(1)));
            list.push(Interval::bits(u32::from(*low_bits)));
            list.push(Interval::new(reach.saturating_neg(), reach.saturating_sub(1)));
            list.push(Interval::new(0, 2));
        }
        Domain::Narrow { .. } => list.push(quotient_domain(round, known)?),
    }
    let sizes = limb_sizes(round.shift, known.limb_bits);
    let skip = usize::from(round.contraction.is_none());
    list.extend(sizes.iter().skip(skip).map(|&size| Interval::bits(u32::from(size))));
    if round.half_even {
        list.extend(sizes.iter().map(|_| Interval::new(0, 1)));
    }
    match (round.table, &round.domain) {
        (Some(number), _) => list.extend(outs(table(known, number)?)),
        (None, Domain::Narrow { bits, .. }) => {
            let part = Interval::bits(u32::from(*bits));
            list.extend(range_columns(part, *bits, known.limb_bits)?);
        }
        (None, Domain::Wide { .. }) => {}
    }
    Ok(list)
}

/// Checks a table and evaluates its outs. `tensor` gives a declared tensor by number; `facts`
/// describes the tensors numbered so far.
pub(crate) fn table_fact<'a>(
    table: &Table,
    facts: &[Fact],
    tensor: &dyn Fn(u32) -> Option<&'a Tensor>,
) -> Result<TableFact, Reason> {
    limit("coordinates of a table", table.keys.len().saturating_add(table.outs.len()), limits::COORDINATES)?;
    let counts: Vec<u32> = table.keys.iter().map(|&(_, count)| count).collect();
    if counts.is_empty() || counts.contains(&0) {
        return Err(Reason::Structure("a table needs a key axis, and every key axis a key"));
    }
    limit_value("rows of a table", positions(&counts, 1), limits::TABLE_ROWS)?;
    for &(lo, _) in &table.keys {
        crate::interval::range("least key of a table", lo, limits::VALUE)?;
    }
    let mut outs = Vec::new();
    let mut ends = Vec::new();
    for form in &table.outs {
        let values = public_values(form, facts, &counts, tensor)?;
        let first = values.first().copied().unwrap_or(0);
        let (lo, hi) = values.iter().fold((first, first), |(lo, hi), &x| (lo.min(x), hi.max(x)));
        Interval::new(i128::from(lo), i128::from(hi)).ends()?;
        outs.push(values);
        ends.push((lo, hi));
    }
    Ok(TableFact { keys: table.keys.clone(), outs, ends })
}

/// Dense values of a Form of const and ones tensors over `counts`.
fn public_values<'a>(
    form: &Form,
    facts: &[Fact],
    counts: &[u32],
    tensor: &dyn Fn(u32) -> Option<&'a Tensor>,
) -> Result<Arc<[i64]>, Reason> {
    form_interval(form, facts, counts)?;
    let unknown = Reason::Structure("an out of a table must read const or ones tensors");
    let rows = usize::try_from(positions(counts, 1)).map_err(|_| unknown)?;
    // Most tables are a tensor as it lies.
    if let [(1, view)] = form.0.as_slice()
        && let Some(source) = tensor(view.tensor).filter(|source| source.home == Home::Const)
        && is_identity(view, &source.axes, counts)
        && source.content.len() == rows
    {
        return Ok(Arc::clone(&source.content));
    }
    let mut sums = vec![0i128; rows];
    for (coef, view) in &form.0 {
        let source = tensor(view.tensor).ok_or(unknown)?;
        if !matches!(source.home, Home::Const | Home::Ones) {
            return Err(unknown);
        }
        add_view(&mut sums, i128::from(*coef), view, source, counts)?;
    }
    let too_large = Reason::Wrap { what: "an out of a table" };
    let values: Result<Vec<i64>, Reason> =
        sums.into_iter().map(|sum| i64::try_from(sum).map_err(|_| too_large)).collect();
    Ok(Arc::from(values?))
}

/// Whether a view reads the whole tensor as it lies.
fn is_identity(view: &View, lengths: &[u32], counts: &[u32]) -> bool {
    lengths == counts
        && view.maps.iter().enumerate().all(
            |(place, map)| matches!(map, Map::Aff { axis, step: 1, off: 0 } if usize::from(*axis) == place),
        )
}

fn add_view(
    sums: &mut [i128],
    coef: i128,
    view: &View,
    source: &Tensor,
    counts: &[u32],
) -> Result<(), Reason> {
    let add = |sum: &mut i128, entry: i64| *sum = sum.saturating_add(coef.saturating_mul(i128::from(entry)));
    if source.home == Home::Const && is_identity(view, &source.axes, counts) {
        sums.iter_mut().zip(source.content.iter()).for_each(|(sum, &entry)| add(sum, entry));
        return Ok(());
    }
    let mut position = vec![0i64; counts.len()];
    for sum in sums.iter_mut() {
        let entry = match flat_index(view, &source.axes, &position, counts)? {
            None => 0,
            Some(_) if source.home == Home::Ones => 1,
            Some(index) => source.content.get(index).copied().unwrap_or(0),
        };
        add(sum, entry);
        advance(&mut position, counts);
    }
    Ok(())
}

/// Next position in row-major order.
fn advance(position: &mut [i64], counts: &[u32]) {
    for (index, &count) in position.iter_mut().zip(counts).rev() {
        *index = index.saturating_add(1);
        if *index < i64::from(count) {
            return;
        }
        *index = 0;
    }
}

/// Row-major index a view reads at a position; none outside the tensor. Steps and offsets are
/// bounded, so saturation never happens.
fn flat_index(
    view: &View,
    lengths: &[u32],
    position: &[i64],
    counts: &[u32],
) -> Result<Option<usize>, Reason> {
    let at = |axis: u8| position.get(usize::from(axis)).copied().unwrap_or(0);
    let mut flat = 0i64;
    for (map, &length) in view.maps.iter().zip(lengths) {
        let index = match map {
            Map::Fix { at } => *at,
            Map::Aff { axis, step, off } => step.saturating_mul(at(*axis)).saturating_add(*off),
            Map::Win { a, b, step, dil, off } => {
                let window = dil.saturating_mul(at(*b)).saturating_add(*off);
                step.saturating_mul(at(*a)).saturating_add(window)
            }
            Map::Join { a, b, .. } => {
                let m = counts.get(usize::from(*b)).copied().unwrap_or(0);
                i64::from(m).saturating_mul(at(*a)).saturating_add(at(*b))
            }
            Map::Gather { axis, indices } => {
                let place = usize::try_from(at(*axis)).unwrap_or(usize::MAX);
                i64::from(indices.get(place).copied().unwrap_or(0))
            }
            Map::Sum | Map::Mat { .. } | Map::Pool { .. } => {
                return Err(Reason::Structure("an out of a table may not use sum, mat or pool maps"));
            }
        };
        if index < 0 || index >= i64::from(length) {
            return Ok(None);
        }
        flat = flat.saturating_mul(i64::from(length)).saturating_add(index);
    }
    Ok(usize::try_from(flat).ok())
}
