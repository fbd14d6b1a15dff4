//! Cost of the kernels, in ns per element, at every level this processor has.
//!
//! `cargo run --release -p zerotell-algebra --example kernels [filter]`
//!
//! Batches are so short that most are not interrupted, so the lower quartile of many is the time of the
//! processor, also on a machine with other work; a thread's own clock is too coarse for them. Levels
//! take turns. The element of each kernel is said in its row. With two threads each runs the kernel on
//! its own vectors; the figure is the time per element of both together.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use zerotell_algebra::arch::{self, Level};
use zerotell_algebra::field::{F, K};
use zerotell_algebra::ntt::Ntt;
use zerotell_algebra::slices::{Halves, Quarters};

/// Elements per vector: 2^12 elements of K are 64 KiB.
const N: usize = 1 << 12;
/// Batches per figure.
const BATCHES: usize = 200;
/// Least time of a batch.
const BATCH: Duration = Duration::from_micros(150);

/// A kernel ready to run at a level: it owns its vectors.
type Run = Box<dyn FnMut(Level) + Send>;

struct Kernel {
    name: &'static str,
    element: &'static str,
    elements: usize,
    make: fn() -> Run,
}

fn words(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state ^ (state >> 29)
    })
}

fn base(seed: u64, n: usize) -> Vec<F> {
    words(seed).take(n).map(F::new).collect()
}

fn elements(seed: u64, n: usize) -> Vec<K> {
    base(seed, 2 * n).chunks_exact(2).map(|pair| K::new(pair[0], pair[1])).collect()
}

fn integers(seed: u64, n: usize) -> Vec<i64> {
    words(seed).take(n).map(|x| i64::from((x >> 48) as u16) - (1 << 15)).collect()
}

fn scalar() -> K {
    elements(99, 1)[0]
}

fn bind() -> Run {
    let (mut low, high) = (elements(1, N), elements(2, N));
    Box::new(move |level| arch::bind(level, &mut low, &high, scalar()))
}

fn bind_base() -> Run {
    let (mut out, low, high) = (elements(1, N), base(2, N), base(3, N));
    Box::new(move |level| arch::bind_base(level, &mut out, &low, &high, scalar()))
}

fn scale() -> Run {
    let mut x = elements(1, N);
    Box::new(move |level| arch::scale(level, &mut x, scalar()))
}

fn add_scaled() -> Run {
    let (mut out, x) = (elements(1, N), elements(2, N));
    Box::new(move |level| arch::add_scaled(level, &mut out, scalar(), &x))
}

fn add_scaled_base() -> Run {
    let (mut out, x) = (elements(1, N), base(2, N));
    Box::new(move |level| arch::add_scaled_base(level, &mut out, scalar(), &x))
}

fn add_scaled_integers() -> Run {
    let (mut out, x) = (elements(1, N), integers(2, N));
    Box::new(move |level| arch::add_scaled_integers(level, &mut out, scalar(), &x))
}

fn combine_integers() -> Run {
    let (mut out, rows, weights) = (elements(1, N), integers(2, 64 * N), elements(3, 64));
    Box::new(move |level| {
        let rows: Vec<&[i64]> = rows.chunks_exact(N).collect();
        arch::combine_integers(level, &mut out, &weights, &rows);
    })
}

fn small(seed: u64, n: usize) -> Vec<i16> {
    words(seed).take(n).map(|x| (x >> 48) as i16).collect()
}

fn combine_small() -> Run {
    let (mut out, rows, weights) = (elements(1, N), small(2, 64 * N), elements(3, 64));
    Box::new(move |level| {
        let rows: Vec<&[i16]> = rows.chunks_exact(N).collect();
        arch::combine_small(level, &mut out, &weights, &rows);
    })
}

fn dots_small() -> Run {
    let (a, rows, mut out) = (elements(1, N), small(2, 64 * N), elements(3, 64));
    Box::new(move |level| {
        let rows: Vec<&[i16]> = rows.chunks_exact(N).collect();
        arch::dots_small(level, &mut out, &a, &rows);
    })
}

fn dot_small() -> Run {
    let (a, x) = (elements(1, N), small(2, N));
    Box::new(move |level| {
        black_box(arch::dot_small(level, &a, &x));
    })
}

fn dot() -> Run {
    let (a, b) = (elements(1, N), elements(2, N));
    Box::new(move |level| {
        black_box(arch::dot(level, &a, &b));
    })
}

fn dot_base() -> Run {
    let (a, b) = (elements(1, N), base(2, N));
    Box::new(move |level| {
        black_box(arch::dot_base(level, &a, &b));
    })
}

fn dot_integers() -> Run {
    let (a, x) = (elements(1, N), integers(2, N));
    Box::new(move |level| {
        black_box(arch::dot_integers(level, &a, &x));
    })
}

fn product_round() -> Run {
    let v = elements(1, 4 * N);
    Box::new(move |level| {
        let a = Halves { low: &v[..N], high: &v[N..2 * N] };
        let b = Halves { low: &v[2 * N..3 * N], high: &v[3 * N..] };
        black_box(arch::product_round(level, a, b));
    })
}

fn product_round_base() -> Run {
    let (v, x) = (elements(1, 2 * N), base(2, 2 * N));
    Box::new(move |level| {
        let a = Halves { low: &v[..N], high: &v[N..] };
        black_box(arch::product_round_base(level, a, Halves { low: &x[..N], high: &x[N..] }));
    })
}

/// Four quarters of N elements.
fn quarters(v: &mut [K]) -> Quarters<'_> {
    let (low, high) = v.split_at_mut(2 * N);
    let (q0, q1) = low.split_at_mut(N);
    let (q2, q3) = high.split_at(N);
    Quarters { q0, q1, q2, q3 }
}

fn product_bind_round() -> Run {
    let (mut a, mut b) = (elements(1, 4 * N), elements(2, 4 * N));
    Box::new(move |level| {
        black_box(arch::product_bind_round(level, quarters(&mut a), quarters(&mut b), scalar()));
    })
}

fn fraction_round() -> Run {
    let (eq, v) = (elements(1, N), elements(2, 8 * N));
    Box::new(move |level| {
        let half = |i: usize| &v[i * N..(i + 1) * N];
        let parts = [0, 2, 4, 6].map(|i| Halves { low: half(i), high: half(i + 1) });
        black_box(arch::fraction_round(level, &eq, parts, scalar()));
    })
}

fn fraction_bind_round() -> Run {
    let (eq, mut v) = (elements(1, N), [2, 3, 4, 5].map(|seed| elements(seed, 4 * N)));
    Box::new(move |level| {
        let parts = v.each_mut().map(|part| quarters(part));
        black_box(arch::fraction_bind_round(level, &eq, parts, scalar(), scalar()));
    })
}

fn fraction_layer() -> Run {
    let (mut p, mut q, v) = (elements(1, N), elements(2, N), [3, 4, 5, 6].map(|seed| elements(seed, N)));
    Box::new(move |level| arch::fraction_layer(level, &mut p, &mut q, (&v[0], &v[1]), (&v[2], &v[3])))
}

fn split_eq() -> Run {
    let (mut low, mut high) = (elements(1, N), elements(2, N));
    Box::new(move |level| arch::split_eq(level, &mut low, &mut high, scalar()))
}

fn dot_elements() -> Run {
    let (a, b) = (base(1, N), base(2, N));
    Box::new(move |level| {
        black_box(arch::dot_elements(level, &a, &b));
    })
}

fn products_small() -> Run {
    let (mut out, x, y) = (base(1, N), small(2, N), base(3, N));
    Box::new(move |level| arch::products_small(level, &mut out, &x, &y))
}

fn combine_products() -> Run {
    let (mut out, rows, weights, factors) = (base(1, N), small(2, 8 * N), base(3, 8), base(4, N));
    Box::new(move |level| {
        let rows: Vec<&[i16]> = rows.chunks_exact(N).collect();
        arch::combine_products(level, &mut out, &weights, &rows, &factors);
    })
}

/// Transforms of length 64 side by side, a quarter of the coefficients present.
fn columns() -> Run {
    let mut table = base(1, 64 * 128);
    let ntts: Vec<(&str, Ntt)> = Level::available().iter().map(|&l| (l.name(), Ntt::at(l, 6))).collect();
    Box::new(move |level| {
        let ntt = ntts.iter().find(|(name, _)| *name == level.name());
        ntt.expect("every level is there").1.forward_columns(&mut table, 128, 16);
    })
}

/// Row of a code of rate 1 / 2^log_rate.
fn encode(log_n: u32, log_rate: u32) -> Run {
    let row = base(1, 1 << (log_n - log_rate));
    let mut word = base(2, 1 << log_n);
    let ntts: Vec<(&str, Ntt)> = Level::available().iter().map(|&l| (l.name(), Ntt::at(l, log_n))).collect();
    Box::new(move |level| {
        word[..row.len()].copy_from_slice(&row);
        let ntt = ntts.iter().find(|(name, _)| *name == level.name());
        ntt.expect("every level is there").1.forward_padded(&mut word, row.len());
    })
}

const KERNELS: &[Kernel] = &[
    Kernel { name: "scale", element: "product in K", elements: N, make: scale },
    Kernel { name: "bind", element: "bound element", elements: N, make: bind },
    Kernel { name: "bind_base", element: "bound element", elements: N, make: bind_base },
    Kernel { name: "add_scaled", element: "element", elements: N, make: add_scaled },
    Kernel { name: "add_scaled_base", element: "element", elements: N, make: add_scaled_base },
    Kernel { name: "add_scaled_integers", element: "element", elements: N, make: add_scaled_integers },
    Kernel { name: "combine_integers", element: "integer", elements: 64 * N, make: combine_integers },
    Kernel { name: "dot", element: "product", elements: N, make: dot },
    Kernel { name: "dot_base", element: "product", elements: N, make: dot_base },
    Kernel { name: "dot_integers", element: "product", elements: N, make: dot_integers },
    Kernel { name: "combine_small", element: "16-bit integer", elements: 64 * N, make: combine_small },
    Kernel { name: "dot_small", element: "16-bit product", elements: N, make: dot_small },
    Kernel { name: "dots_small", element: "16-bit product", elements: 64 * N, make: dots_small },
    Kernel { name: "dot_elements", element: "product", elements: N, make: dot_elements },
    Kernel { name: "products_small", element: "16-bit product", elements: N, make: products_small },
    Kernel { name: "combine_products", element: "16-bit integer", elements: 8 * N, make: combine_products },
    Kernel { name: "columns 64 of 16", element: "value", elements: 64 * 128, make: columns },
    Kernel { name: "product_round", element: "pair of a, pair of b", elements: N, make: product_round },
    Kernel {
        name: "product_round_base",
        element: "pair of a, pair of b",
        elements: N,
        make: product_round_base,
    },
    Kernel {
        name: "product_bind_round",
        element: "four of a, four of b",
        elements: N,
        make: product_bind_round,
    },
    Kernel { name: "fraction_round", element: "fraction summed", elements: 2 * N, make: fraction_round },
    Kernel {
        name: "fraction_bind_round",
        element: "fraction summed",
        elements: 2 * N,
        make: fraction_bind_round,
    },
    Kernel { name: "fraction_layer", element: "sum of two fractions", elements: N, make: fraction_layer },
    Kernel { name: "split_eq", element: "element split", elements: N, make: split_eq },
    Kernel { name: "encode 2^10 rate 1/2", element: "value", elements: 1 << 10, make: || encode(10, 1) },
    Kernel { name: "encode 2^12 rate 1/1", element: "value", elements: 1 << 12, make: || encode(12, 0) },
    Kernel { name: "encode 2^12 rate 1/2", element: "value", elements: 1 << 12, make: || encode(12, 1) },
    Kernel { name: "encode 2^12 rate 1/4", element: "value", elements: 1 << 12, make: || encode(12, 2) },
    Kernel { name: "encode 2^12 rate 1/8", element: "value", elements: 1 << 12, make: || encode(12, 3) },
    Kernel { name: "encode 2^14 rate 1/2", element: "value", elements: 1 << 14, make: || encode(14, 1) },
    Kernel { name: "encode 2^16 rate 1/2", element: "value", elements: 1 << 16, make: || encode(16, 1) },
    Kernel { name: "encode 2^16 rate 1/8", element: "value", elements: 1 << 16, make: || encode(16, 3) },
    Kernel { name: "encode 2^18 rate 1/2", element: "value", elements: 1 << 18, make: || encode(18, 1) },
    Kernel { name: "encode 2^18 rate 1/8", element: "value", elements: 1 << 18, make: || encode(18, 3) },
];

/// Nanoseconds per element of one batch. The clock is read at the ends of a batch alone.
fn batch(run: &mut Run, level: Level, elements: usize) -> f64 {
    let mut runs = 1u32;
    loop {
        let start = Instant::now();
        (0..runs).for_each(|_| run(level));
        let spent = start.elapsed();
        if spent >= BATCH {
            return spent.as_nanos() as f64 / (f64::from(runs) * elements as f64);
        }
        runs *= 2;
    }
}

fn lower_quartile(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 4]
}

/// One thread, levels in turn.
fn alone(kernel: &Kernel, levels: &[Level]) -> Vec<f64> {
    let mut run = (kernel.make)();
    let mut figures = vec![Vec::new(); levels.len()];
    for _ in 0..BATCHES {
        for (figures, &level) in figures.iter_mut().zip(levels) {
            figures.push(batch(&mut run, level, kernel.elements));
        }
    }
    figures.into_iter().map(lower_quartile).collect()
}

/// Two threads at once at the best level: wall time per element of both.
fn together(kernel: &Kernel) -> f64 {
    let figure = || {
        let mut run = (kernel.make)();
        lower_quartile((0..BATCHES).map(|_| batch(&mut run, Level::best(), kernel.elements)).collect())
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(figure), scope.spawn(figure)];
        let figures = threads.map(|thread| thread.join().expect("a kernel does not panic"));
        (figures[0] + figures[1]) / 4.0
    })
}

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let levels = Level::available();
    let mut header = format!("{:<24}{:<24}", "kernel", "element");
    for level in &levels {
        let _ = write!(header, "{:>10}", level.name());
    }
    println!("{header}{:>12}", "2 threads");
    for kernel in KERNELS.iter().filter(|kernel| kernel.name.contains(&filter)) {
        let mut row = format!("{:<24}{:<24}", kernel.name, kernel.element);
        for figure in alone(kernel, &levels) {
            let _ = write!(row, "{figure:>10.2}");
        }
        println!("{row}{:>12.2}", together(kernel));
    }
}
