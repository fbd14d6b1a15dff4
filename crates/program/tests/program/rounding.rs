//! Rounding, exhaustively at small parameters: every input has exactly one accepted output.

use std::sync::Arc;

use crate::common::{Given, aff, changed, columns, multi_table, narrow, recount, view, whole};
use zerotell_program::lower::Lowered;
use zerotell_program::types::{Contraction, Domain, Operator, Program, Round, Scale};
use zerotell_program::{Assignment, Builder, Disclosure, InputMode, Shape, check_all, execute, lower};

/// A program of one input in -40..=40 and one Round of `3 * x + 1` (with a contraction) or `x`.
fn program(contraction: bool, shift: u8, finish: impl Fn(&mut Builder, &mut Round)) -> Program {
    let mut builder = Builder::new(84, 16, 4);
    let x = builder.input(&[1], -40, 40).unwrap();
    let one = builder.ones(&[1]).unwrap();
    let product = Contraction { sum: vec![], a: whole(x, 1), b: whole(one, 1), c: view(one, vec![aff(0)]) };
    let mut round = narrow(&[1], contraction.then_some(product), shift);
    if contraction {
        round.scale = Scale::One(3);
    } else {
        round.extra = whole(x, 1);
    }
    finish(&mut builder, &mut round);
    let out = builder.push(Operator::Round(round)).unwrap();
    builder.output(out[0]);
    builder.finish(Vec::new()).unwrap()
}

fn lowered(program: &Program) -> Lowered {
    let disclosure = Disclosure { inputs: vec![InputMode::Private], reveals: vec![] };
    lower(program, &Shape { batch: 1, disclosure: &disclosure, slots: &[] }).unwrap()
}

/// The value that is rounded, before the half is added.
fn value(contraction: bool, x: i64) -> i64 {
    if contraction { 3 * (x + 1) } else { x }
}

/// Half up.
fn half_up(value: i64, shift: u8) -> i64 {
    (value + if shift == 0 { 0 } else { 1 << (shift - 1) }) >> shift
}

/// Half to even, from its definition: the nearest integer, the even one of two.
fn half_even(value: i64, shift: u8) -> i64 {
    let (floor, rest) = (value >> shift, value & ((1 << shift) - 1));
    let half = 1 << (shift - 1);
    if rest > half || (rest == half && floor & 1 == 1) { floor + 1 } else { floor }
}

/// Runs the program on every input; compares with `want`; then tries every value of every column
/// one at a time, and (where it has at most three columns besides limbs) all their combinations.
fn exhaust(program: &Program, contraction: bool, want: impl Fn(i64) -> i64) {
    let lowered = lowered(program);
    let output = program.outputs[0] as usize;
    for x in -40..=40 {
        let inputs = Given::from([(0, vec![x])]);
        let honest = execute(&lowered, &inputs, &Given::new()).unwrap();
        assert_eq!(check_all(&lowered, &honest), Ok(()));
        assert_eq!(honest.values[output][0], want(value(contraction, x)), "x = {x}");
        for tensor in columns(&lowered) {
            for by in -3..=3 {
                let other = changed(&lowered, &honest, tensor, 0, by);
                assert_eq!(check_all(&lowered, &other).is_ok(), by == 0, "x = {x}, tensor {tensor}, by {by}");
            }
        }
    }
}

/// Sets scalar columns.
fn with(lowered: &Lowered, honest: &Assignment, set: &[(usize, i64)]) -> Assignment {
    let mut other = honest.clone();
    for &(tensor, value) in set {
        other.values[tensor] = Arc::from(vec![value]);
    }
    recount(lowered, &mut other);
    other
}

/// Number of accepted settings of `names`, over all combinations of their full ranges.
fn accepted(lowered: &Lowered, honest: &Assignment, names: &[usize], set: &mut Vec<(usize, i64)>) -> usize {
    let Some((&first, rest)) = names.split_first() else {
        return usize::from(check_all(lowered, &with(lowered, honest, set)).is_ok());
    };
    let mut count = 0;
    for value in lowered.tensors[first].lo..=lowered.tensors[first].hi {
        set.push((first, value));
        count += accepted(lowered, honest, rest, set);
        set.pop();
    }
    count
}

/// For some inputs, all combinations of all columns in their ranges: one is accepted.
fn combine(program: &Program, inputs: impl Iterator<Item = i64>) {
    let lowered = lowered(program);
    let first = program.tensors.len();
    let own: Vec<usize> = (first..zerotell_program::validate::facts(program).unwrap().len()).collect();
    for x in inputs {
        let honest = execute(&lowered, &Given::from([(0, vec![x])]), &Given::new()).unwrap();
        assert_eq!(accepted(&lowered, &honest, &own, &mut Vec::new()), 1, "x = {x}");
    }
}

fn bits(lo: i64, bits: u8) -> impl Fn(&mut Builder, &mut Round) {
    move |_, round| round.domain = Domain::Narrow { lo, bits }
}

/// Rows of a half-to-even table with clamping to -4..=3: zero counts by quotients.
fn even_rows(limbs: i64, quotients: std::ops::Range<i64>) -> Vec<i64> {
    let row = |z: i64, q: i64| (q - i64::from(z == limbs && q & 1 == 1)).clamp(-4, 3);
    (0..=limbs).flat_map(|z| quotients.clone().map(move |q| row(z, q))).collect()
}

#[test]
fn narrow_without_table() {
    for shift in 0..=6 {
        for contraction in [false, true] {
            let program = program(contraction, shift, bits(-128, 8));
            exhaust(&program, contraction, |v| half_up(v, shift));
        }
    }
    // One limb of remainder, quotients of 5 bits: all combinations.
    combine(&program(true, 4, bits(-8, 5)), -40..=40);
    combine(&program(false, 2, bits(-16, 5)), -40..=40);
    combine(&program(false, 0, bits(-40, 7)), -40..=40);
}

#[test]
fn narrow_with_table() {
    let finish = |builder: &mut Builder, round: &mut Round| {
        let rows = (-20..=20).map(|q: i64| q.max(0)).collect();
        round.table = Some(multi_table(builder, vec![(-20, 41)], rows));
    };
    for contraction in [false, true] {
        exhaust(&program(contraction, 3, finish), contraction, |v| half_up(v, 3).max(0));
    }
    combine(&program(false, 3, finish), (-40..=40).step_by(7));
}

#[test]
fn narrow_half_even() {
    for shift in [1u8, 4, 5] {
        let limbs = i64::from(shift.div_ceil(4));
        let finish = |builder: &mut Builder, round: &mut Round| {
            let (lo, hi) = if shift == 1 { (-70, 70) } else { (-10, 10) };
            let keys = vec![(0, limbs as u32 + 1), (lo, (hi - lo) as u32)];
            round.half_even = true;
            round.table = Some(multi_table(builder, keys, even_rows(limbs, lo..hi)));
        };
        for contraction in [false, true] {
            let want = |v| half_even(v, shift).clamp(-4, 3);
            exhaust(&program(contraction, shift, finish), contraction, want);
        }
    }
}

#[test]
fn narrow_half_even_has_one_output() {
    let finish = |builder: &mut Builder, round: &mut Round| {
        round.half_even = true;
        let keys = vec![(0, 3), (-2, 5)];
        round.table = Some(multi_table(builder, keys, even_rows(2, -2..3)));
    };
    combine(&program(false, 5, finish), [-40, -17, -16, -15, 15, 16, 17, 40].into_iter());
}

fn wide(even: bool) -> impl Fn(&mut Builder, &mut Round) {
    move |builder, round| {
        let limbs = i64::from(round.shift.div_ceil(4));
        let mut keys = vec![(0, 3), (0, 8)];
        let mut rows = Vec::new();
        for code in 0..3 {
            let inner = |q: i64| {
                if code == 0 {
                    -4
                } else if code == 2 {
                    3
                } else {
                    q
                }
            };
            if even {
                rows.extend(even_rows(limbs, -4..4).into_iter().map(inner));
            } else {
                rows.extend((-4..4).map(inner));
            }
        }
        if even {
            round.half_even = true;
            keys.insert(1, (0, limbs as u32 + 1));
        }
        round.table = Some(multi_table(builder, keys, rows));
        round.domain = Domain::Wide { lo: -4, low_bits: 3, high_bits: 6 };
    }
}

#[test]
fn wide_saturates() {
    for shift in 0..=5 {
        for contraction in [false, true] {
            let want = |v| half_up(v, shift).clamp(-4, 3);
            exhaust(&program(contraction, shift, wide(false)), contraction, want);
            if shift > 0 {
                let want = |v| half_even(v, shift).clamp(-4, 3);
                exhaust(&program(contraction, shift, wide(true)), contraction, want);
            }
        }
    }
}

#[test]
fn wide_has_one_output() {
    let small = |builder: &mut Builder, round: &mut Round| {
        wide(false)(builder, round);
        round.domain = Domain::Wide { lo: -4, low_bits: 3, high_bits: 2 };
    };
    combine(&program(false, 2, small), (-40..=40).step_by(9));
}
