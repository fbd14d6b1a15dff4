//! Programs small enough to check by hand.

use crate::common::{Given, Random, aff, narrow, table, view, whole};
use zerotell_program::lower::{Place, TableKind};
use zerotell_program::types::{Contraction, Domain, Map, Operator, OracleParams, Program, Scale};
use zerotell_program::{
    Builder, Disclosure, InputMode, Reveal, Runner, Shape, check_all, execute, lower, run,
};

/// x (B,5) in -8..8; relu((W1 x + c1) * m1 / 2^4); (W2 y + c2) * 3 / 2^5.
pub fn two_layers() -> Program {
    let mut b = Builder::new(84, 16, 8);
    let x = b.input(&[0, 5], -8, 7).unwrap();
    let w1 = b.model(&[7, 5], -8, 7).unwrap();
    let c1 = b.model(&[7], -8, 7).unwrap();
    let w2 = b.model(&[3, 7], -2, 1).unwrap();
    let c2 = b.model(&[3], -8, 7).unwrap();
    let relu = table(&mut b, -64, 128, |q| q.max(0) / 2);
    let layer = |x, w, c, n| Contraction {
        sum: vec![n],
        a: view(x, vec![aff(0), aff(2)]),
        b: view(w, vec![aff(1), aff(2)]),
        c: view(c, vec![aff(1)]),
    };
    let mut first = narrow(&[0, 7], Some(layer(x, w1, c1, 5)), 4);
    first.scale = Scale::Axis(1, vec![1, 2, 3, 1, 2, 3, 1]);
    first.table = Some(relu);
    let y = b.push(Operator::Round(first)).unwrap()[0];
    let mut second = narrow(&[0, 3], Some(layer(y, w2, c2, 7)), 5);
    second.scale = Scale::One(3);
    second.domain = Domain::Narrow { lo: -64, bits: 7 };
    let q = b.push(Operator::Round(second)).unwrap()[0];
    b.output(q);
    b.set_model_oracle(Some(OracleParams { rows: 3, log_c: 5, log_t: Some(4), log_n: 8 }));
    b.finish(b"two layers".to_vec()).unwrap()
}

#[test]
fn lists_of_two_layers() {
    let program = two_layers();
    let disclosure =
        Disclosure { inputs: vec![InputMode::Private], reveals: vec![Reveal::Values { output: 0 }] };
    let slots = vec![vec![0i64; 6]];
    let lowered = lower(&program, &Shape { batch: 2, disclosure: &disclosure, slots: &slots }).unwrap();
    // Builder order: x, w1, c1, w2, c2, table content; then q1, r1, y, q2, r2; then 4 multiplicities.
    let axes: Vec<&[usize]> = lowered.tensors.iter().map(|t| t.axes.as_slice()).collect();
    let want: Vec<&[usize]> = vec![
        &[2, 5],
        &[7, 5],
        &[7],
        &[3, 7],
        &[3],
        &[128],
        &[2, 7],
        &[2, 7],
        &[2, 7],
        &[2, 3],
        &[2, 3],
        &[128],
        &[16],
        &[32],
        &[128],
        &[],
        &[2, 3],
    ];
    assert_eq!(axes, want);
    let kinds: Vec<TableKind> = lowered.tables.iter().map(|t| t.kind).collect();
    assert_eq!(
        kinds,
        [TableKind::Declared(0), TableKind::Range(4), TableKind::Range(5), TableKind::Range(7)]
    );
    let looks: Vec<(usize, usize)> = lowered.looks.iter().map(|l| (l.table, l.coords.len())).collect();
    assert_eq!(looks, [(1, 1), (1, 1), (0, 2), (2, 1), (3, 1)]);
    assert_eq!(lowered.ips.len(), 2);
    assert_eq!(lowered.lins.len(), 1);
    let first: Vec<u32> = lowered.ips[0].target.0.iter().map(|(_, v)| v.tensor).collect();
    let coefs: Vec<i64> = lowered.ips[0].target.0.iter().map(|(c, _)| *c).collect();
    assert_eq!((first, coefs), (vec![6, 7, 15], vec![16, 1, -8]));
    assert_eq!(lowered.tensors[15].place, Place::Ones);
    assert_eq!(lowered.tensors[16].place, Place::Slot);
}

#[test]
fn values_of_two_layers() {
    let program = two_layers();
    let mut random = Random(7);
    let x = random.list(10, -8, 7);
    let (w1, c1) = (random.list(35, -8, 7), random.list(7, -8, 7));
    let (w2, c2) = (random.list(21, -2, 1), random.list(3, -8, 7));
    let mut want = Vec::new();
    for n in 0..2 {
        let y: Vec<i64> = (0..7)
            .map(|o| {
                let acc: i64 = (0..5).map(|i| x[n * 5 + i] * w1[o * 5 + i]).sum::<i64>() + c1[o];
                ((acc * [1, 2, 3, 1, 2, 3, 1][o] + 8) >> 4).max(0) / 2
            })
            .collect();
        for o in 0..3 {
            let acc: i64 = (0..7).map(|i| y[i] * w2[o * 7 + i]).sum::<i64>() + c2[o];
            want.push((3 * acc + 16) >> 5);
        }
    }
    let inputs = Given::from([(0, x)]);
    let model = Given::from([(1, w1), (2, c1), (3, w2), (4, c2)]);
    assert_eq!(run(&program, 2, &inputs, &model).unwrap(), [want.clone()]);
    let disclosure =
        Disclosure { inputs: vec![InputMode::Committed], reveals: vec![Reveal::Values { output: 0 }] };
    let slots = [want];
    let shape = Shape { batch: 2, disclosure: &disclosure, slots: &slots };
    let lowered = lower(&program, &shape).unwrap();
    assert_eq!(lowered.tensors[0].place, Place::Committed(0));
    let assignment = execute(&lowered, &inputs, &model).unwrap();
    assert_eq!(check_all(&lowered, &assignment), Ok(()));
}

/// The same model under a public input: the input carries its content and has no check.
#[test]
fn public_input() {
    let program = two_layers();
    let mut random = Random(9);
    let (_, model) = crate::common::given(&program, 1, &mut random);
    let x = random.list(5, -8, 7);
    let disclosure =
        Disclosure { inputs: vec![InputMode::Public], reveals: vec![Reveal::Label { output: 0 }] };
    let scores = run(&program, 1, &Given::from([(0, x.clone())]), &model).unwrap().remove(0);
    let label = (0..3).rev().max_by_key(|&i| scores[i]).unwrap() as i64;
    let slots = [x, vec![label]];
    let lowered = lower(&program, &Shape { batch: 1, disclosure: &disclosure, slots: &slots }).unwrap();
    assert_eq!(lowered.tensors[0].place, Place::Slot);
    assert_eq!(lowered.looks.iter().filter(|look| look.axes == [1, 5]).count(), 0);
    let assignment = execute(&lowered, &Given::new(), &model).unwrap();
    assert_eq!(check_all(&lowered, &assignment), Ok(()));
}

/// A padded, strided, dilated convolution with a zero point against plain loops.
#[test]
fn convolution() {
    let (h, w, k, step, dil, pad) = (7i64, 6i64, 3i64, 2i64, 2i64, 1i64);
    let size = |n: i64| (n + 2 * pad - dil * (k - 1) - 1) / step + 1;
    let (oh, ow) = (size(h), size(w));
    let mut b = Builder::new(84, 16, 8);
    let x = b.input(&[0, 2, h as u32, w as u32], 0, 15).unwrap();
    let weight = b.model(&[3, 2, 3, 3], -8, 7).unwrap();
    let ones = b.ones(&[0, 2, h as u32, w as u32]).unwrap();
    let window = |a, b| Map::Win { a, b, step, dil, off: -pad };
    let mut a = view(x, vec![aff(0), aff(4), window(2, 5), window(3, 6)]);
    a.0.extend(
        view(ones, vec![aff(0), aff(4), window(2, 5), window(3, 6)]).0.into_iter().map(|(_, v)| (-4, v)),
    );
    let contraction = Contraction {
        sum: vec![2, 3, 3],
        a,
        b: view(weight, vec![aff(1), aff(4), aff(5), aff(6)]),
        c: Default::default(),
    };
    let y = b.push(Operator::Commit { axes: vec![0, 3, oh as u32, ow as u32], contraction }).unwrap()[0];
    b.output(y);
    crate::common::oracle(&mut b);
    // 15 - 4 and 0 - 4 times 8, 18 products.
    assert_eq!(b.interval(y), Some((-88 * 18, 77 * 18)));
    let program = b.finish(vec![]).unwrap();
    let mut random = Random(3);
    let (inputs, model) = crate::common::given(&program, 2, &mut random);
    let (data, weights) = (&inputs[&0], &model[&1]);
    let mut want = Vec::new();
    for (n, o) in (0..2).flat_map(|n| (0..3).map(move |o| (n, o))) {
        for (y, x) in (0..oh).flat_map(|y| (0..ow).map(move |x| (y, x))) {
            let mut acc = 0;
            for (c, (ky, kx)) in
                (0..2).flat_map(|c| (0..k).flat_map(move |a| (0..k).map(move |b| (c, (a, b)))))
            {
                let (iy, ix) = (step * y + dil * ky - pad, step * x + dil * kx - pad);
                if (0..h).contains(&iy) && (0..w).contains(&ix) {
                    let pixel = data[(((n * 2 + c) * h + iy) * w + ix) as usize];
                    acc += (pixel - 4) * weights[(((o * 2 + c) * k + ky) * k + kx) as usize];
                }
            }
            want.push(acc);
        }
    }
    assert_eq!(run(&program, 2, &inputs, &model).unwrap(), [want]);
}

/// The three kernels (few rows, 64-bit blocks, 16-bit blocks) agree with plain sums.
#[test]
fn matrix_kernels() {
    for (batch, lo, hi) in
        [(1u32, -9, 9), (4, -9, 9), (9, -9, 9), (9, -(1 << 20), 1 << 20), (6, -32767, 32767)]
    {
        for turned in [false, true] {
            let mut b = Builder::new(84, 16, 8);
            let x = b.input(&[0, 33], lo, hi).unwrap();
            let w = b.model(if turned { &[33, 6] } else { &[6, 33] }, lo, hi).unwrap();
            let maps = if turned { vec![aff(2), aff(1)] } else { vec![aff(1), aff(2)] };
            let contraction = Contraction {
                sum: vec![33],
                a: view(x, vec![aff(0), aff(2)]),
                b: view(w, maps),
                c: Default::default(),
            };
            let y = b.push(Operator::Commit { axes: vec![0, 6], contraction }).unwrap()[0];
            b.output(y);
            crate::common::oracle(&mut b);
            let program = b.finish(vec![]).unwrap();
            let (inputs, model) = crate::common::given(&program, batch, &mut Random(u64::from(batch)));
            let at = |o: usize, i: usize| if turned { i * 6 + o } else { o * 33 + i };
            let entry =
                |n: usize, o: usize| (0..33).map(|i| inputs[&0][n * 33 + i] * model[&1][at(o, i)]).sum();
            let want: Vec<i64> = (0..batch as usize)
                .flat_map(|n| (0..6).map(move |o| (n, o)))
                .map(|(n, o)| entry(n, o))
                .collect();
            assert_eq!(Runner::new(&program, batch).unwrap().run(&inputs, &model).unwrap(), [want]);
        }
    }
}

/// Maximum by tables: y = x1 + relu(x0 - x1).
#[test]
fn maximum() {
    let mut b = Builder::new(84, 16, 8);
    let x = b.input(&[0, 2], -50, 50).unwrap();
    let relu = table(&mut b, -100, 201, |key| key.max(0));
    let column = |at| view(x, vec![aff(0), Map::Fix { at }]);
    let keys = vec![crate::common::sum(&[(1, &column(0)), (-1, &column(1))])];
    let r = b.push(Operator::Table { axes: vec![0], table: relu, keys }).unwrap()[0];
    let form = crate::common::sum(&[(1, &column(1)), (1, &whole(r, 1))]);
    let mut round = narrow(&[0], None, 0);
    round.extra = form;
    round.domain = Domain::Narrow { lo: -50, bits: 8 };
    let y = b.push(Operator::Round(round)).unwrap()[0];
    b.output(y);
    let program = b.finish(vec![]).unwrap();
    let inputs = Given::from([(0, vec![3, 9, -50, 50, 7, -8, -1, -1])]);
    assert_eq!(run(&program, 4, &inputs, &Given::new()).unwrap(), [vec![9, 50, 7, -1]]);
}
