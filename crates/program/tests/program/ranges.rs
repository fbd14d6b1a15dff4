//! The Programs of a range certificate: every entry is checked once, in every part.

use std::collections::BTreeMap;

use zerotell_program::lower::{Shape, lower};
use zerotell_program::ranges::PART_LOOKUPS;
use zerotell_program::types::{Contraction, Form, Home, Map, Operator, OracleParams, Program, Tensor};
use zerotell_program::{Disclosure, check_all, execute, range_programs, validate};

use crate::common::{Random, whole};

/// A Program that reads model tensors of these axes and intervals.
fn program(tensors: &[(&[u32], i64, i64)]) -> Program {
    let tensor =
        |home, axes: &[u32], lo, hi| Tensor { home, axes: axes.to_vec(), lo, hi, content: [].into() };
    let mut all = vec![tensor(Home::Input, &[0], 0, 1)];
    all.extend(tensors.iter().map(|(axes, lo, hi)| tensor(Home::Model, axes, *lo, *hi)));
    let operators = (1u32..).zip(tensors).map(|(number, (axes, _, _))| {
        let b = whole(number, axes.len() as u8);
        let contraction = Contraction { sum: vec![], a: Form::default(), b, c: Form::default() };
        Operator::Commit { axes: axes.to_vec(), contraction }
    });
    let entries: u64 =
        tensors.iter().map(|(axes, _, _)| axes.iter().map(|&n| u64::from(n)).product::<u64>()).sum();
    let log_c = 20;
    let program = Program {
        lambda: 100,
        grind: 0,
        limb_bits: 8,
        ladder: Default::default(),
        operators: operators.collect(),
        outputs: vec![0],
        tensors: all,
        model_oracle: Some(OracleParams {
            rows: entries.div_ceil(1 << log_c) as u32,
            log_c,
            log_t: Some(13),
            log_n: 22,
        }),
        tables: vec![],
        metadata: vec![],
    };
    validate(&program).unwrap();
    program
}

/// How often each entry of each tensor is looked at, and by how many operators.
fn coverage(parts: &[Program]) -> BTreeMap<u32, Vec<u8>> {
    let mut seen: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    for part in parts {
        let mut in_part = 0u64;
        for operator in &part.operators {
            let (axes, form) = match operator {
                Operator::Table { axes, keys, .. } => (axes, &keys[0]),
                Operator::Check { axes, form, .. } if form.0[0].0 == 1 => (axes, form),
                _ => continue,
            };
            let view = &form.0[0].1;
            let lengths = &part.tensors[view.tensor as usize].axes;
            let counts =
                seen.entry(view.tensor).or_insert_with(|| vec![0; lengths.iter().product::<u32>() as usize]);
            let positions: u64 = axes.iter().map(|&n| u64::from(n)).product();
            in_part += positions;
            for flat in 0..positions {
                let mut rest = flat;
                let mut at = vec![0; axes.len()];
                for (slot, &n) in at.iter_mut().zip(axes).rev() {
                    *slot = rest % u64::from(n);
                    rest /= u64::from(n);
                }
                let index = view.maps.iter().zip(lengths).fold(0u64, |sum, (map, &n)| {
                    let i = match map {
                        Map::Fix { at } => *at as u64,
                        Map::Aff { axis, step: 1, off } => at[usize::from(*axis)] + *off as u64,
                        other => panic!("{other:?}"),
                    };
                    assert!(i < u64::from(n));
                    sum * u64::from(n) + i
                });
                counts[index as usize] += 1;
            }
        }
        assert!(in_part <= PART_LOOKUPS);
    }
    seen
}

type Case<'a> = &'a [(&'a [u32], i64, i64)];

/// Tensors with the number of parts they take and the first bytes of the hash of the parts' digests;
/// the second implementation knows the same.
const CASES: [(Case<'_>, usize, &str); 5] = [
    (&[(&[3, 4], -127, 127), (&[], 0, 5), (&[7], -1000, 1000)], 1, "4904bc911aca99c7"),
    // More than one part: long and flat, cut along the first axis; then along a later one.
    (&[(&[2, 3, 1_800_000], -8, 7), (&[5], -5, 5)], 4, "5b23eef84a3e0644"),
    (&[(&[9_000_001], -128, 127), (&[3, 1_300_000], -127, 127)], 5, "82b550dc2f4b5cd3"),
    (&[(&[2, 1, 4_100_000], -3, 3)], 4, "3f6c450637d248d0"),
    // Two checks of three limbs each: six lookups per entry.
    (&[(&[1_000_000], -300_000, 300_000)], 2, "6d3ff074b7b19f6d"),
];

#[test]
fn every_entry_is_checked_exactly_once() {
    for (case, parts, digest) in CASES {
        let program = program(case);
        let derived = range_programs(&program).unwrap();
        assert_eq!(derived.len(), parts, "{case:?}");
        let mut hasher = blake3::Hasher::new();
        for part in &derived {
            hasher.update(&part.digest());
        }
        assert_eq!(&hasher.finalize().to_hex()[..16], digest, "{case:?}");
        let seen = coverage(&derived);
        assert_eq!(seen.len(), case.len());
        for (tensor, counts) in seen {
            assert!(counts.iter().all(|&count| count == 1), "tensor {tensor} of {case:?}");
        }
        for (part, derived) in derived.iter().enumerate() {
            let layout = |p: &Program| {
                let model = p.tensors.iter().filter(|t| t.home == Home::Model);
                model.map(|t| (t.axes.clone(), t.lo, t.hi)).collect::<Vec<_>>()
            };
            assert_eq!(layout(derived), layout(&program));
            assert_eq!(derived.model_oracle, program.model_oracle);
            let said = String::from_utf8(derived.metadata.clone()).unwrap();
            assert!(said.starts_with(&format!("{{\"part\":{part},\"parts\":{parts},")), "{said}");
        }
    }
}

/// The relations hold for all values of the interval, and for none beside it.
#[test]
fn exactly_the_interval_is_allowed() {
    let mut random = Random(5);
    for (lo, hi) in
        [(-127, 127), (-128, 127), (0, 0), (3, 3), (-511, 511), (-70_000, 5), (1 << 40, (1 << 41) - 1)]
    {
        let program = program(&[(&[300], lo, hi), (&[2], lo, hi)]);
        let part = range_programs(&program).unwrap().remove(0);
        let lowered =
            lower(&part, &Shape { batch: 1, disclosure: &Disclosure::default(), slots: &[] }).unwrap();
        let mut values = random.list(300, lo, hi);
        (values[0], values[299]) = (lo, hi);
        let weights = BTreeMap::from([(0u32, values.clone()), (1, vec![hi, lo])]);
        let assignment = execute(&lowered, &BTreeMap::<u32, Vec<i64>>::new(), &weights).unwrap();
        check_all(&lowered, &assignment).unwrap();
        for value in [lo - 1, hi + 1, lo + (1 << 62), i64::MIN / 4] {
            let mut lie =
                zerotell_program::Assignment { values: assignment.values.clone(), prepared: Vec::new() };
            values[7] = value;
            lie.values[0] = values.clone().into();
            assert!(check_all(&lowered, &lie).is_err(), "{value} in {lo}..={hi}");
        }
    }
}

#[test]
fn what_cannot_be_certified_is_refused() {
    let wide = program(&[(&[3], -(1 << 61), 1 << 61)]);
    let why = range_programs(&wide).unwrap_err().to_string();
    assert!(why.contains("too wide"), "{why}");
    let mut broken = program(&[(&[3], 0, 1)]);
    broken.outputs.clear();
    assert!(range_programs(&broken).is_err());
    let mut public = program(&[(&[3], 0, 1)]);
    (public.tensors[1].home, public.tensors[1].content) = (Home::Const, [0, 1, 1].into());
    public.model_oracle = None;
    assert!(range_programs(&public).unwrap().is_empty());
}
