//! Every level against the plain text.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::field::P;

/// Words around which carries and borrows happen.
const EDGES: [u64; 12] = [
    0,
    1,
    7,
    (1 << 31) - 1,
    (1 << 32) - 1,
    1 << 32,
    (1 << 32) + 1,
    (1 << 52) - 1,
    1 << 52,
    P - (1 << 32),
    P - 2,
    P - 1,
];

fn base() -> impl Strategy<Value = F> {
    prop_oneof![any::<u64>(), prop::sample::select(EDGES.to_vec())].prop_map(F::new)
}

fn element() -> impl Strategy<Value = K> {
    (base(), base()).prop_map(|(c0, c1)| K::new(c0, c1))
}

fn integer() -> impl Strategy<Value = i64> {
    let edges = [0, 1, -1, i64::MIN, i64::MAX, 1 << 31, (1 << 31) - 1, -(1 << 31), -(1 << 31) - 1, 1 << 32];
    prop_oneof![8 => -128i64..128, 1 => any::<i64>(), 1 => prop::sample::select(edges.to_vec())]
}

/// Integers that are mostly small, so that whole vectors are.
fn integers(n: usize) -> impl Strategy<Value = Vec<i64>> {
    prop_oneof![vec(-1000i64..1000, n), vec(integer(), n)]
}

/// `count` vectors of the same length below 41, sometimes one a little longer.
fn vectors(count: usize) -> impl Strategy<Value = Vec<Vec<K>>> {
    (0usize..41, 0usize..3).prop_flat_map(move |(n, more)| {
        (0..count).map(|i| vec(element(), n + if i == 1 { more } else { 0 })).collect::<Vec<_>>()
    })
}

fn halves<T>(low: &[T], high: &[T]) -> Halves<'static, T>
where
    T: Copy + 'static,
{
    Halves { low: low.to_vec().leak(), high: high.to_vec().leak() }
}

/// What a kernel made: vectors it wrote and elements it gave.
type Made = (Vec<Vec<K>>, Vec<K>);

/// Runs `run` at every level and compares with the first, the plain text.
fn same(run: impl Fn(Level) -> Made) -> Result<(), TestCaseError> {
    let expected = run(Level::PORTABLE);
    for level in Level::available() {
        prop_assert_eq!(&run(level), &expected, "{}", level.name());
    }
    Ok(())
}

proptest! {
    #[test]
    fn powers_of_points(x in vec(base(), 0..41), z in vec(element(), 0..20)) {
        same(|level| {
            let mut made = vec![K::ZERO; x.len()];
            powers(level, &mut made, &z, &x);
            (vec![made], vec![])
        })?;
    }

    #[test]
    fn linear_kernels(v in vectors(2), s in element()) {
        same(|level| {
            let mut made = vec![v[0].clone(); 4];
            bind(level, &mut made[0], &v[1], s);
            add_scaled(level, &mut made[1], s, &v[1]);
            scale(level, &mut made[2], s);
            let mut high = v[1].clone();
            split_eq(level, &mut made[3], &mut high, s);
            made.push(high);
            (made, vec![dot(level, &v[0], &v[1])])
        })?;
    }

    #[test]
    fn sums_of_rows(
        (out, rows, weights) in (0usize..80, 0usize..11).prop_flat_map(|(n, r)| {
            (vec(element(), n), vec(vec(element(), n), r), vec(element(), r))
        }),
        short in 0usize..80,
    ) {
        let cut = |(r, row): (usize, &Vec<K>)| if r == 1 { row[..short.min(row.len())].to_vec() } else { row.clone() };
        let rows: Vec<Vec<K>> = rows.iter().enumerate().map(cut).collect();
        let rows: Vec<&[K]> = rows.iter().map(Vec::as_slice).collect();
        same(|level| {
            let mut made = out.clone();
            add_combined(level, &mut made, &weights, &rows);
            (vec![made], vec![])
        })?;
    }

    #[test]
    fn base_kernels(
        (v, x, y) in (0usize..41).prop_flat_map(|n| (vec(element(), n), vec(base(), n), vec(base(), n))),
        s in element(),
    ) {
        same(|level| {
            let mut made = vec![v.clone(); 3];
            combine_base(level, &mut made[2], &v, &[&x[..], &y, &y[..y.len() / 2], &x]);
            bind_base(level, &mut made[0], &x, &y, s);
            add_scaled_base(level, &mut made[1], s, &x);
            let mut sums = y.clone();
            add_products(level, &mut sums, &x, &y);
            made.push(sums.into_iter().map(K::from).collect());
            (made, vec![dot_base(level, &v, &x), dot_elements(level, &x, &y).into()])
        })?;
    }

    #[test]
    fn integer_kernels(
        (v, rows, weights) in (0usize..80, 0usize..6).prop_flat_map(|(n, r)| {
            (vec(element(), n), vec(integers(n), r..=r), vec(element(), r))
        }),
        x in integers(41),
        s in element(),
        small in vec(vec(prop_oneof![any::<i16>(), Just(i16::MIN), Just(i16::MAX)], 80), 6),
    ) {
        let small: Vec<&[i16]> = small.iter().map(Vec::as_slice).collect();
        let rows: Vec<&[i64]> = rows.iter().map(Vec::as_slice).collect();
        same(|level| {
            let mut made = vec![v.clone(); 3];
            add_scaled_integers(level, &mut made[0], s, &x);
            combine_integers(level, &mut made[1], &weights, &rows);
            combine_small(level, &mut made[2], &weights, &small);
            let mut words = vec![vec![F::ONE; 80 - v.len() / 2]; 2];
            let factors: Vec<F> = v.iter().map(|factor| factor.c1).collect();
            products_small(level, &mut words[0], small[1], &factors);
            let few: Vec<F> = weights.iter().map(|weight| weight.c0).collect();
            words.push(vec![F::ONE; 80 - v.len() / 3]);
            combine_products(level, &mut words[2], &few, &small, &factors);
            residues_small(level, &mut words[1], small[2]);
            made.extend(words.into_iter().map(|words| words.into_iter().map(K::from).collect()));
            let mut dots = vec![K::ZERO; small.len()];
            dots_small(level, &mut dots, &v, &small);
            dots.extend([dot_integers(level, &v, &x), dot_small(level, &v, small[0])]);
            (made, dots)
        })?;
    }

    #[test]
    fn product_rounds(
        v in vectors(8),
        x in vec(base(), 40),
        y in vec(base(), 40),
        rho in element(),
    ) {
        same(|level| {
            let mut sums = product_round(level, halves(&v[0], &v[1]), halves(&v[2], &v[3])).to_vec();
            sums.extend(product_round_base(level, halves(&v[0], &v[1]), halves(&x, &y)));
            let mut made = v.clone();
            let [a0, a1, b0, b1, a2, a3, b2, b3] = &mut made[..] else { unreachable!() };
            let a = Quarters { q0: a0, q1: a1, q2: a2, q3: a3 };
            let b = Quarters { q0: b0, q1: b1, q2: b2, q3: b3 };
            sums.extend(product_bind_round(level, a, b, rho));
            (made, sums)
        })?;
    }

    #[test]
    fn fraction_rounds(v in vectors(17), rho in element(), nu in element()) {
        same(|level| {
            let halves = [0, 2, 4, 6].map(|i| halves(&v[i], &v[i + 1]));
            let mut sums = fraction_round(level, &v[16], halves, nu).to_vec();
            let mut made = v.clone();
            let mut parts = made[..16].chunks_mut(4).map(|part| {
                let [q0, q1, q2, q3] = part else { unreachable!() };
                Quarters { q0, q1, q2, q3 }
            });
            let parts = [(); 4].map(|()| parts.next().unwrap());
            sums.extend(fraction_bind_round(level, &v[16], parts, rho, nu));
            (made, sums)
        })?;
    }

    #[test]
    fn fraction_layers(v in vectors(6)) {
        same(|level| {
            let (mut p, mut q) = (v[0].clone(), v[1].clone());
            fraction_layer(level, &mut p, &mut q, (&v[2], &v[3]), (&v[4], &v[5]));
            (vec![p, q], vec![])
        })?;
    }
}

/// The operations of a unit on any words, also those of p and above.
#[cfg(target_arch = "x86_64")]
fn operations<S: lanes::Lanes>(unit: S, [a, b]: [u64; 2]) -> Result<(), TestCaseError> {
    use lanes::Vector;
    let (x, y, w) = (F::new(a), F::new(b), F::new(b).value());
    let (v, any, word) = (unit.splat(a), unit.splat(b), unit.splat(w));
    let [mut low, mut high] = [vec![F::ZERO; S::LANES], vec![F::ZERO; S::LANES]];
    let mut is = |made: S::V, expected: F| {
        unit.store(&mut low, 0, made.canonical());
        prop_assert_eq!(&low, &vec![expected; S::LANES], "{:#x} {:#x}", a, b);
        Ok(())
    };
    is(v.add(word), x + y)?;
    is(v.sub(word), x - y)?;
    is(v.times(word), x * y)?;
    is(v.shift_24(), x * F::new(1 << 24))?;
    is(v.shift_48(), x * F::new(1 << 48))?;
    is(v.shift_72(), x * F::new(1 << 24) * F::new(1 << 48))?;
    is(v.residue(), F::from_i64(a.cast_signed()))?;
    let sum = Vector::add_product(v.widen(), v.split(), any.split());
    is(Vector::reduce(sum), x + x * y)?;
    is(Vector::reduce(Vector::add_product(sum, v.split_seven(), any.split())), x + F::new(8) * x * y)?;
    let short = b >> 32;
    let sum = Vector::add_short_product(Vector::add_word(sum, any), v.split(), unit.splat(short));
    is(Vector::reduce(sum), x + x * y + y + x * F::new(short))?;
    let sum = Vector::add_small_product(v.widen(), any.split(), unit.splat(b >> 48));
    is(Vector::reduce(sum), x + y * F::new(b >> 48))?;
    high.fill(x);
    prop_assert_eq!(v.sum_lanes(), high.into_iter().sum());
    prop_assert_eq!(any.all_short(), short == 0);
    Ok(())
}

#[cfg(target_arch = "x86_64")]
proptest! {
    #[test]
    fn operations_of_units(
        a in prop_oneof![any::<u64>(), (0..=40u64).prop_map(|x| u64::MAX - x), prop::sample::select(EDGES.to_vec())],
        b in prop_oneof![any::<u64>(), Just(u64::MAX), Just(P), Just(P + 1), prop::sample::select(EDGES.to_vec())],
    ) {
        for level in Level::available() {
            match level.0 {
                Unit::Portable => {}
                Unit::Avx2(unit) => operations(unit, [a, b])?,
                Unit::Avx512(unit) => operations(unit, [a, b])?,
            }
        }
    }
}

/// Sums longer than what the units add without reducing, of the largest words.
#[test]
fn long_sums() {
    let top = K::new(F::new(P - 1), F::new(P - 1));
    let n = 8 * 2 * lanes::MOST_PRODUCTS + 5;
    let (a, x) = (vec![top; n], vec![-(1i64 << 31); n]);
    let base = vec![F::new(P - 1); n];
    let small = vec![i16::MIN; n];
    let zero = vec![K::ZERO; n];
    let rows: Vec<&[i64]> = vec![&x[..41]; 2 * lanes::MOST_PRODUCTS + 3];
    let weights = vec![top; rows.len()];
    same(|level| {
        let mut out = vec![K::ZERO; 41];
        combine_integers(level, &mut out, &weights, &rows);
        let mut sums = vec![dot(level, &a, &a), dot_base(level, &a, &base), dot_integers(level, &a, &x)];
        sums.push(dot_small(level, &a, &small));
        sums.extend(product_round(level, halves(&a, &zero), halves(&a, &zero)));
        sums.extend(fraction_round(level, &a, [0; 4].map(|_| halves(&a, &zero)), top));
        let mut from_small = vec![K::ZERO; 41];
        combine_small(level, &mut from_small, &weights, &vec![&small[..41]; weights.len()]);
        let mut from_base = vec![K::ZERO; 41];
        combine_base(level, &mut from_base, &weights, &vec![&base[..41]; weights.len()]);
        (vec![out, from_small, from_base], sums)
    })
    .unwrap();
}
