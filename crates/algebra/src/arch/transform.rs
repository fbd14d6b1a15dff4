//! The number-theoretic transform on whole vectors.
//!
//! A pass cuts every block of m elements in R parts and does log2 R layers at once: the network of R
//! points at each place, whose roots are powers of two, then a twiddle per output. The last pass works
//! on L² elements, L the lanes: the network across vectors, a transposition, the network again.

use super::lanes::{Lanes, Vector};
use crate::field::F;
use crate::ntt::{Pass, Plan};

/// Blocks up to this length go through all their passes before the next block: 32 KiB.
const NEAR: usize = 1 << 12;

/// One layer of a network of R points: blocks of 2·half. In the first layer all words are canonical.
/// The points from `present` on are 0.
#[inline(always)]
fn layer<S: Lanes, const R: usize>(unit: S, v: &mut [S::V; R], half: usize, present: usize, first: bool) {
    let mut at = 0;
    while at < R {
        // k-th power of the root of order 2·half, as a power of the root of order 8.
        if at % (2 * half) < half && at % (2 * half) < present {
            let power = at % (2 * half) * 4 / half;
            let (a, mut b) = (v[at], v[at + half]);
            if present <= half {
                v[at + half] = rotate(unit, a, unit.splat(0), power);
            } else {
                if !first {
                    b = b.canonical();
                }
                v[at] = a.add(b);
                v[at + half] = rotate(unit, a, b, power);
            }
        }
        at += 1;
    }
}

/// (a − b)·ω_8^power for power < 4, where ω_8 = −2^24; canonical words, but a is any if the power is even.
#[inline(always)]
fn rotate<S: Lanes>(_unit: S, a: S::V, b: S::V, power: usize) -> S::V {
    match power {
        0 => a.sub(b),
        1 => b.sub(a).shift_24(),
        2 => a.sub(b).shift_48(),
        _ => b.sub(a).shift_72(),
    }
}

/// The transform of R points, canonical in, any words out, bit-reversed.
#[inline(always)]
fn network<S: Lanes, const R: usize>(unit: S, mut v: [S::V; R], present: usize) -> [S::V; R] {
    if R == 8 {
        layer::<S, R>(unit, &mut v, 4, present, true);
    }
    if R >= 4 {
        layer::<S, R>(unit, &mut v, 2, present, R == 4);
    }
    layer::<S, R>(unit, &mut v, 1, present, R == 2);
    v
}

/// The network of R points at place j of parts of so many words, of which those from `PRESENT` on are 0 and not read;
/// then the factors, if there are any.
#[inline(always)]
fn place<S: Lanes, const R: usize, const PRESENT: usize>(
    unit: S,
    block: &mut [F],
    (part, j): (usize, usize),
    factors: Option<[S::V; R]>,
) {
    let mut v = [unit.splat(0); R];
    let mut k = 0;
    while k < PRESENT {
        v[k] = unit.load(block, k * part + j);
        k += 1;
    }
    let mut v = network::<S, R>(unit, v, PRESENT);
    v[0] = v[0].canonical();
    let mut k = 1;
    while k < R {
        v[k] = match factors {
            Some(factors) => v[k].times(factors[k]),
            None => v[k],
        }
        .canonical();
        k += 1;
    }
    // After all loads: a load waits for a store whose address differs by a multiple of 4096.
    let mut k = 0;
    while k < R {
        unit.store(block, k * part + j, v[k]);
        k += 1;
    }
}

/// One block of a pass; parts from `present` on are 0 and not read.
#[inline(always)]
fn block_pass<S: Lanes, const R: usize, const PRESENT: usize>(unit: S, block: &mut [F], twiddles: &[F]) {
    let part = block.len() / R;
    let mut j = 0;
    while j < part {
        let mut factors = [unit.splat(1); R];
        let mut k = 1;
        while k < R {
            factors[k] = unit.load(twiddles, (k - 1) * part + j);
            k += 1;
        }
        place::<S, R, PRESENT>(unit, block, (part, j), Some(factors));
        j += S::LANES;
    }
}

/// The last pass on blocks of R² elements, R the lanes.
#[inline(always)]
fn last_pass<S: Lanes, const R: usize>(unit: S, values: &mut [F], twiddles: &[F]) {
    let mut at = 0;
    while at < values.len() {
        let mut v = [unit.splat(0); R];
        let mut k = 0;
        while k < R {
            v[k] = unit.load(values, at + k * R);
            k += 1;
        }
        let mut v = network::<S, R>(unit, v, R);
        v[0] = v[0].canonical();
        let mut k = 1;
        while k < R {
            v[k] = v[k].times(unit.load(twiddles, (k - 1) * R)).canonical();
            k += 1;
        }
        let mut v = network::<S, R>(unit, unit.transpose(v), R);
        let mut k = 0;
        while k < R {
            v[k] = v[k].canonical();
            k += 1;
        }
        let v = unit.transpose(v);
        let mut k = 0;
        while k < R {
            unit.store(values, at + k * R, v[k]);
            k += 1;
        }
        at += R * R;
    }
}

/// One block of a pass on columns: rows of `width` elements, of which the first `whole` are done; parts from
/// `present` on are 0 and not read. The last pass has no twiddles.
#[inline(always)]
fn column_block<S: Lanes, const R: usize, const PRESENT: usize>(
    unit: S,
    block: &mut [F],
    (width, whole): (usize, usize),
    twiddles: &[F],
) {
    let part = block.len() / R;
    let rows = part / width;
    let mut row = 0;
    while row < rows {
        let mut factors = [unit.splat(1); R];
        let mut k = 1;
        while k < R && !twiddles.is_empty() {
            factors[k] = unit.splat(twiddles[(k - 1) * rows + row].value());
            k += 1;
        }
        let mut j = row * width;
        while j < row * width + whole {
            place::<S, R, PRESENT>(unit, block, (part, j), (!twiddles.is_empty()).then_some(factors));
            j += S::LANES;
        }
        row += 1;
    }
}

/// A pass on columns over all blocks of so many rows; parts from `parts` on are 0.
#[inline(always)]
fn column_pass<S: Lanes>(
    unit: S,
    values: &mut [F],
    widths: (usize, usize),
    (rows, radix, twiddles): (usize, usize, &[F]),
    parts: usize,
) {
    let mut at = 0;
    while at < values.len() {
        let block = &mut values[at..at + rows * widths.0];
        match (radix, parts) {
            (8, 1) => column_block::<S, 8, 1>(unit, block, widths, twiddles),
            (8, 2) => column_block::<S, 8, 2>(unit, block, widths, twiddles),
            (8, 4) => column_block::<S, 8, 4>(unit, block, widths, twiddles),
            (8, _) => column_block::<S, 8, 8>(unit, block, widths, twiddles),
            (4, 1) => column_block::<S, 4, 1>(unit, block, widths, twiddles),
            (4, 2) => column_block::<S, 4, 2>(unit, block, widths, twiddles),
            (4, _) => column_block::<S, 4, 4>(unit, block, widths, twiddles),
            (_, 1) => column_block::<S, 2, 1>(unit, block, widths, twiddles),
            _ => column_block::<S, 2, 2>(unit, block, widths, twiddles),
        }
        at += rows * widths.0;
    }
}

/// Transforms the columns of rows of `width` elements in place, those that fill whole vectors; rows from
/// `present` on are taken as 0. How many columns are done.
#[inline(always)]
pub(super) fn forward_columns<S: Lanes>(
    unit: S,
    plan: &Plan,
    values: &mut [F],
    width: usize,
    present: usize,
) -> usize {
    let whole = width - width % S::LANES;
    let mut present = present;
    let mut pass = 0;
    while pass < plan.passes.len() {
        let Pass { block, radix, twiddles } = &plan.passes[pass];
        let part = block / radix;
        let parts = present.div_ceil(part).next_power_of_two().min(*radix);
        if pass == 0 {
            values[present * width..parts * part * width].fill(F::ZERO);
        }
        column_pass(unit, values, (width, whole), (*block, *radix, twiddles), parts);
        present = values.len() / width;
        pass += 1;
    }
    column_pass(unit, values, (width, whole), (S::LANES, S::LANES, &[]), S::LANES);
    whole
}

/// One pass over all blocks, every part present.
#[inline(always)]
fn whole_pass<S: Lanes>(unit: S, values: &mut [F], pass: &Pass) {
    let mut at = 0;
    while at < values.len() {
        let block = &mut values[at..at + pass.block];
        match pass.radix {
            2 => block_pass::<S, 2, 2>(unit, block, &pass.twiddles),
            4 => block_pass::<S, 4, 4>(unit, block, &pass.twiddles),
            _ => block_pass::<S, 8, 8>(unit, block, &pass.twiddles),
        }
        at += pass.block;
    }
}

/// The first pass, where what follows the first parts is 0.
#[inline(always)]
fn padded_pass<S: Lanes>(unit: S, values: &mut [F], pass: &Pass, parts: usize) {
    let twiddles = &pass.twiddles;
    match (pass.radix, parts) {
        (8, 1) => block_pass::<S, 8, 1>(unit, values, twiddles),
        (8, 2) => block_pass::<S, 8, 2>(unit, values, twiddles),
        (8, 4) => block_pass::<S, 8, 4>(unit, values, twiddles),
        (4, 1) => block_pass::<S, 4, 1>(unit, values, twiddles),
        (4, 2) => block_pass::<S, 4, 2>(unit, values, twiddles),
        (2, 1) => block_pass::<S, 2, 1>(unit, values, twiddles),
        _ => whole_pass(unit, values, pass),
    }
}

/// Transforms in place; the last pass of the plan is the one of [`last_pass`]. Coefficients from
/// `present` on are taken as 0.
#[inline(always)]
pub(super) fn forward<S: Lanes>(unit: S, plan: &Plan, values: &mut [F], present: usize) {
    let plan = &plan.passes;
    let (mut from, last) = (0, plan.len() - 1);
    if last > 0 {
        let part = values.len() / plan[0].radix;
        let parts = present.div_ceil(part).next_power_of_two();
        values[present..parts * part].fill(F::ZERO);
        padded_pass(unit, values, &plan[0], parts);
        from = 1;
    } else {
        values[present..].fill(F::ZERO);
    }
    while from < last && plan[from].block > NEAR {
        whole_pass(unit, values, &plan[from]);
        from += 1;
    }
    let near = plan[from].block;
    let mut at = 0;
    while at < values.len() {
        let block = &mut values[at..at + near];
        let mut pass = from;
        while pass < last {
            whole_pass(unit, block, &plan[pass]);
            pass += 1;
        }
        if S::LANES == 8 {
            last_pass::<S, 8>(unit, block, &plan[last].twiddles);
        } else {
            last_pass::<S, 4>(unit, block, &plan[last].twiddles);
        }
        at += near;
    }
}
