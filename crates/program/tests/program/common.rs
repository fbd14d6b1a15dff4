//! Helpers of the tests: short spellings of views, a small random generator, random programs.

use std::collections::BTreeMap;
use std::sync::Arc;

use zerotell_program::lower::{Lowered, Place};
use zerotell_program::types::{
    Contraction, Domain, Form, Map, Operator, OracleParams, Program, Round, Scale, Table, View,
};
use zerotell_program::{Assignment, Builder, form_values};

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform enough in `lo..=hi`.
    pub fn within(&mut self, lo: i64, hi: i64) -> i64 {
        lo + (self.next() % (hi - lo + 1) as u64) as i64
    }

    pub fn list(&mut self, count: usize, lo: i64, hi: i64) -> Vec<i64> {
        (0..count).map(|_| self.within(lo, hi)).collect()
    }
}

pub fn aff(axis: u8) -> Map {
    Map::Aff { axis, step: 1, off: 0 }
}

pub fn view(tensor: u32, maps: Vec<Map>) -> Form {
    Form(vec![(1, View { tensor, maps })])
}

/// The tensor read by position axes 0, 1, …
pub fn whole(tensor: u32, axes: u8) -> Form {
    view(tensor, (0..axes).map(aff).collect())
}

pub fn sum(terms: &[(i64, &Form)]) -> Form {
    let scaled = |(factor, form): &(i64, &Form)| {
        form.0.iter().map(|(coef, view)| (coef * factor, view.clone())).collect::<Vec<_>>()
    };
    Form(terms.iter().flat_map(scaled).collect())
}

pub fn narrow(axes: &[u32], contraction: Option<Contraction>, shift: u8) -> Round {
    Round {
        axes: axes.to_vec(),
        contraction,
        scale: Scale::One(1),
        extra: Form::default(),
        shift,
        half_even: false,
        domain: Domain::Narrow { lo: 0, bits: 0 },
        table: None,
    }
}

/// A one-key table `out = f(key)` for keys `lo..lo + count`.
pub fn table(builder: &mut Builder, lo: i64, count: u32, f: impl Fn(i64) -> i64) -> u32 {
    let content = (lo..lo + i64::from(count)).map(f).collect();
    let tensor = builder.constant(&[count], content).unwrap();
    builder.table(Table { keys: vec![(lo, count)], outs: vec![whole(tensor, 1)] }).unwrap()
}

/// Model oracle parameters that fit the tensors of a builder.
pub fn oracle(builder: &mut Builder) {
    let entries = builder.model_entries();
    if entries > 0 {
        let rows = u32::try_from(entries.div_ceil(64)).unwrap();
        builder.set_model_oracle(Some(OracleParams { rows, log_c: 6, log_t: Some(5), log_n: 9 }));
    }
}

pub type Given = BTreeMap<u32, Vec<i64>>;

/// Random values for the inputs and model tensors of a program.
pub fn given(program: &Program, batch: u32, random: &mut Random) -> (Given, Given) {
    use zerotell_program::types::Home;
    let (mut inputs, mut model) = (Given::new(), Given::new());
    for (number, tensor) in (0u32..).zip(&program.tensors) {
        let count = tensor.axes.iter().map(|&n| if n == 0 { batch } else { n } as usize).product();
        let values = random.list(count, tensor.lo, tensor.hi);
        match tensor.home {
            Home::Input => drop(inputs.insert(number, values)),
            Home::Model => drop(model.insert(number, values)),
            Home::Const | Home::Ones => {}
        }
    }
    (inputs, model)
}

/// Puts the true number of lookups into all multiplicities; tuples that are no rows are left out.
pub fn recount(lowered: &Lowered, assignment: &mut Assignment) {
    let mut counts: Vec<Vec<i64>> =
        lowered.tables.iter().map(|table| vec![0; table.keys.iter().map(|&(_, n)| n).product()]).collect();
    for look in &lowered.looks {
        let table = &lowered.tables[look.table];
        let coords: Vec<Vec<i64>> =
            look.coords.iter().map(|form| form_values(form, &look.axes, lowered, assignment)).collect();
        'positions: for position in 0..look.axes.iter().product() {
            let mut row = 0usize;
            for (coord, &(lo, count)) in coords.iter().zip(&table.keys) {
                let offset = coord[position].wrapping_sub(lo);
                if offset < 0 || offset >= count as i64 {
                    continue 'positions;
                }
                row = row * count + offset as usize;
            }
            counts[look.table][row] += 1;
        }
    }
    for (table, count) in lowered.tables.iter().zip(counts) {
        assignment.values[table.multiplicity as usize] = Arc::from(count);
    }
}

/// The assignment with one entry changed and the multiplicities recounted.
pub fn changed(lowered: &Lowered, honest: &Assignment, tensor: usize, index: usize, by: i64) -> Assignment {
    let mut assignment = honest.clone();
    let mut values = assignment.values[tensor].to_vec();
    values[index] += by;
    assignment.values[tensor] = values.into();
    recount(lowered, &mut assignment);
    assignment
}

/// Numbers of the columns: fresh tensors that are neither inputs nor multiplicities.
pub fn columns(lowered: &Lowered) -> Vec<usize> {
    let counts: Vec<usize> = lowered.tables.iter().map(|table| table.multiplicity as usize).collect();
    let fresh = |&tensor: &usize| lowered.tensors[tensor].place == Place::Fresh;
    (lowered.declared..lowered.tensors.len()).filter(fresh).filter(|t| !counts.contains(t)).collect()
}

/// The least domain that holds every quotient of a Round without table.
pub fn fitting(builder: &Builder, round: &Round) -> Domain {
    let (lo, hi) = builder.quotients(round).unwrap();
    let bits = (128 - (hi - lo).leading_zeros()) as u8;
    Domain::Narrow { lo: lo as i64, bits }
}

/// Weights: private, or public constants.
fn weights(builder: &mut Builder, random: &mut Random, axes: &[u32], private: bool) -> u32 {
    if private {
        return builder.model(axes, -8, 7).unwrap();
    }
    let count = axes.iter().map(|&n| n as usize).product();
    let content = random.list(count, -8, 7);
    builder.constant(axes, content).unwrap()
}

/// A random contraction over `axes` from tensor `x`, and those axes.
fn random_contraction(builder: &mut Builder, random: &mut Random, private: bool) -> (Vec<u32>, Contraction) {
    match random.within(0, 3) {
        0 => gemm(builder, random, private),
        1 => conv(builder, random, private),
        2 => product(builder, random),
        _ => turned(builder, random, private),
    }
}

fn gemm(builder: &mut Builder, random: &mut Random, private: bool) -> (Vec<u32>, Contraction) {
    let (i, o) = (random.within(1, 6) as u32, random.within(1, 5) as u32);
    let x = builder.input(&[0, i], -9, 12).unwrap();
    let w = weights(builder, random, &[o, i], private);
    let c = weights(builder, random, &[o], private);
    let contraction = Contraction {
        sum: vec![i],
        a: view(x, vec![aff(0), aff(2)]),
        b: view(w, vec![aff(1), aff(2)]),
        c: view(c, vec![aff(1)]),
    };
    (vec![0, o], contraction)
}

/// A grouped convolution with stride, padding, dilation and a zero point.
fn conv(builder: &mut Builder, random: &mut Random, private: bool) -> (Vec<u32>, Contraction) {
    let (groups, per_in, per_out) =
        (random.within(1, 2) as u32, random.within(1, 2) as u32, random.within(1, 2) as u32);
    let (h, w, k) = (random.within(3, 6) as u32, random.within(3, 6) as u32, random.within(1, 3) as u32);
    let (step, dil, pad) = (random.within(1, 2), random.within(1, 2), random.within(0, 1));
    let out = |n: u32| ((i64::from(n) + 2 * pad - dil * i64::from(k - 1) - 1) / step + 1).max(1) as u32;
    let x = builder.input(&[0, groups * per_in, h, w], 0, 15).unwrap();
    let ones = builder.ones(&[groups * per_in, h, w]).unwrap();
    let weight = weights(builder, random, &[groups, per_out, per_in, k, k], private);
    // Outputs: batch, group, out channel, y, x. Sums: in channel, ky, kx.
    let axes = vec![0, groups, per_out, out(h), out(w)];
    let window = |a: u8, b: u8| Map::Win { a, b, step, dil, off: -pad };
    let channel = Map::Join { a: 1, b: 5, m: per_in };
    let pixels = view(x, vec![aff(0), channel.clone(), window(3, 6), window(4, 7)]);
    let zero = view(ones, vec![channel, window(3, 6), window(4, 7)]);
    let contraction = Contraction {
        sum: vec![per_in, k, k],
        a: sum(&[(1, &pixels), (-7, &zero)]),
        b: view(weight, vec![aff(1), aff(2), aff(5), aff(6), aff(7)]),
        c: Form::default(),
    };
    (axes, contraction)
}

/// Elementwise product with a broadcast factor and a reversed, gathered one.
fn product(builder: &mut Builder, random: &mut Random) -> (Vec<u32>, Contraction) {
    let n = random.within(2, 5) as u32;
    let x = builder.input(&[0, n], -5, 5).unwrap();
    let y = builder.input(&[0, n], 0, 9).unwrap();
    let reversed = Map::Aff { axis: 1, step: -1, off: i64::from(n) - 1 };
    let gathered = Map::Gather { axis: 1, indices: (0..n).map(|i| (i * 3) % n).collect() };
    let b = sum(&[(1, &view(y, vec![aff(0), reversed])), (2, &view(y, vec![aff(0), gathered]))]);
    (vec![0, n], Contraction { sum: vec![], a: whole(x, 2), b, c: whole(y, 2) })
}

/// Weights stored (in, out), pooled and mixed inputs, an unread sum axis.
fn turned(builder: &mut Builder, random: &mut Random, private: bool) -> (Vec<u32>, Contraction) {
    let (i, o) = (random.within(1, 4) as u32, random.within(2, 5) as u32);
    let x = builder.input(&[0, 2 * i, 3], -9, 9).unwrap();
    let w = weights(builder, random, &[i, o], private);
    let pool = Map::Pool { axis: 2, step: 2, dil: 1, off: 0, m: 2 };
    let mix = Map::Mat { axis: 3, rows: 2, cols: 3, weights: vec![1, -2, 3, 0, 1, 1] };
    let contraction = Contraction {
        sum: vec![i, 2, 2],
        a: sum(&[
            (1, &view(x, vec![aff(0), pool.clone(), mix])),
            (1, &view(x, vec![aff(0), pool, Map::Sum])),
        ]),
        b: view(w, vec![aff(2), aff(1)]),
        c: Form::default(),
    };
    (vec![0, o], contraction)
}

/// A random program of a contraction with rounding (of any form), then a pool and a ReLU.
pub fn random_program(random: &mut Random) -> Program {
    let limb_bits = random.within(4, 9) as u8;
    let mut builder = Builder::new(84, 16, limb_bits);
    let private = random.within(0, 1) == 1;
    let (axes, contraction) = random_contraction(&mut builder, random, private);
    let rank = axes.len() as u8;
    builder.push(Operator::Commit { axes: axes.clone(), contraction: contraction.clone() }).unwrap();
    let shift = random.within(0, 6) as u8;
    let m = random.within(1, 5);
    let mut round = narrow(&axes, Some(contraction), shift);
    round.scale = match axes.last() {
        Some(&last) if random.within(0, 1) == 1 => Scale::Axis(rank - 1, random.list(last as usize, 1, m)),
        _ => Scale::One(m),
    };
    round.domain = fitting(&builder, &round);
    let y = builder.push(Operator::Round(round.clone())).unwrap()[0];
    let wide = clamp_round(&mut builder, random, &axes, y);
    let split = Operator::Split { axes: axes.clone(), form: whole(wide, rank), bits: 6 };
    let parts = builder.push(split).unwrap();
    let form = sum(&[(1, &whole(parts[0], rank)), (1, &whole(parts[1], rank))]);
    builder.push(Operator::Check { axes: axes.clone(), form: form.clone(), bits: 7 }).unwrap();
    let relu = table(&mut builder, -20, 190, |key| (key - 3).max(0));
    let last = builder.push(Operator::Table { axes, table: relu, keys: vec![form] }).unwrap();
    builder.output(wide);
    builder.output(last[0]);
    oracle(&mut builder);
    builder.finish(b"{}".to_vec()).unwrap()
}

/// A second rounding of column `y` without contraction, wide or narrow, half up or half even.
fn clamp_round(builder: &mut Builder, random: &mut Random, axes: &[u32], y: u32) -> u32 {
    let rank = axes.len() as u8;
    let (lo, hi) = builder.interval(y).unwrap();
    let half_even = random.within(0, 1) == 1;
    let shift = random.within(i64::from(half_even), 9) as u8;
    let mut round = narrow(axes, None, shift);
    round.extra = whole(y, rank);
    round.half_even = half_even;
    let limb_bits = builder.limb_bits();
    let limbs = i64::from(shift.div_ceil(limb_bits));
    let bits = (64 - lo.abs().max(hi.abs()).leading_zeros() + 1) as u8;
    let narrow_width = (1i64 << bits) >> shift;
    let clamp = |q: i64| q.clamp(-32, 31);
    let even = |zeros: i64, q: i64| if half_even && zeros == limbs && q & 1 == 1 { q - 1 } else { q };
    let zero_axis = (0i64, limbs as u32 + 1);
    if narrow_width < 2000 && random.within(0, 1) == 1 {
        let (first, count) = (-narrow_width - 2, 2 * narrow_width + 5);
        let zeros = 0..if half_even { limbs + 1 } else { 1 };
        let rows = zeros.flat_map(|z| (first..first + count).map(move |q| clamp(even(z, q)))).collect();
        let mut keys = vec![(first, count as u32)];
        if half_even {
            keys.insert(0, zero_axis);
        }
        round.table = Some(multi_table(builder, keys, rows));
    } else {
        let low = -32i64;
        let high_bits = bits.saturating_sub(shift).saturating_sub(6).max(1) + 2;
        let mut rows = Vec::new();
        for code in 0..3 {
            for z in 0..if half_even { limbs + 1 } else { 1 } {
                let row = |part: i64| match code {
                    0 => -32,
                    1 => clamp(even(z, low + part)),
                    _ => clamp(even(z, i64::MAX / 4 * 2 + part)),
                };
                rows.extend((0..64).map(row));
            }
        }
        let mut keys = vec![(0, 3), (0, 64)];
        if half_even {
            keys.insert(1, zero_axis);
        }
        round.table = Some(multi_table(builder, keys, rows));
        round.domain = Domain::Wide { lo: low, low_bits: 6, high_bits };
    }
    builder.push(Operator::Round(round)).unwrap()[0]
}

/// A table with several key axes.
pub fn multi_table(builder: &mut Builder, keys: Vec<(i64, u32)>, rows: Vec<i64>) -> u32 {
    let axes: Vec<u32> = keys.iter().map(|&(_, count)| count).collect();
    let tensor = builder.constant(&axes, rows).unwrap();
    let outs = vec![whole(tensor, axes.len() as u8)];
    builder.table(Table { keys, outs }).unwrap()
}
