//! Private queries: weights whose opened columns are never shown, so that one commitment serves any number of proofs.
//!
//! An experiment, not a part of the proof system: see `docs/adr/017-private-queries.md` for what it decided. The tree over
//! the weights' columns uses Poseidon2; after the positions are known the columns and all S-boxes on their paths are
//! committed in a fresh table, and one sumcheck and the ladder show that they are right.
//!
//! `cargo run --release -p zerotell-bench --example private_queries [-- MODEL]`; with
//! `RUSTFLAGS="-C target-cpu=native"` the permutation and the S-box rounds use vector units.

#[path = "private_queries/clock.rs"]
mod clock;
#[path = "private_queries/opening.rs"]
mod opening;
#[path = "private_queries/poseidon.rs"]
mod poseidon;
#[path = "private_queries/relation.rs"]
mod relation;
#[path = "private_queries/tree.rs"]
mod tree;
#[path = "private_queries/zerocheck.rs"]
mod zerocheck;

use std::time::Instant;

use algebra::F;
use oracle::{Load, Shape, Sizing, queries, sibling_count, tune};
use prove::random::Seed;

use clock::{Moment, Spent, text};
use opening::{Cheat, Setup};
use poseidon::Poseidon;
use tree::{Form, Tree};

/// Name, weights, committed values of a proof; the last is not a model that can be proved yet.
const MODELS: [(&str, usize, usize); 5] = [
    ("lenet5", 61_706, 38_592),
    ("cnn264k", 259_511, 80_300),
    ("mlp4m", 4_206_595, 32_926),
    ("resnet18_cifar", 11_173_962, 2_210_000),
    ("gpt2_124m", 124_439_808, 8_000_000),
];
/// Weights up to which everything is run, not counted only.
const RUN_MAX: usize = 12_000_000;
/// Weights of 9 bits in one element.
const PACKED: usize = 7;
/// Weights up to which they are also hashed packed.
const PACKED_MAX: usize = 300_000;
/// Nanoseconds of one core per permutation proved, and per weight of a longer folded vector: to choose sizes by.
const PROVE: usize = 8_000;
const FOLD: usize = 60;
/// lg of the number of published nodes: 4 KB.
const CAP: usize = 7;
const REPEAT: u8 = 20;

/// The shape of today's commitment with its columns kept private.
fn today(shape: &Shape, lambda: u8) -> Form {
    let Shape { rows, log_c, log_n, .. } = *shape;
    Form { rows, log_c, log_n, log_cap: CAP.min(log_n), queries: shape.queries(lambda) }
}

/// The sizes that cost least: no masks are needed, since no column is shown.
fn choose(weights: usize, lambda: u8) -> Option<Form> {
    let forms = (8..=22).flat_map(|log_c| (1..=3).map(move |rate| (log_c, log_c + rate)));
    let forms = forms.map(|(log_c, log_n)| {
        let rows = weights.div_ceil(1 << log_c);
        Form { rows, log_c, log_n, log_cap: CAP, queries: queries(1 << log_n, 1 << log_c, lambda) }
    });
    forms
        .filter(|form| form.rows <= 1024)
        .min_by_key(|form| form.permutations() * PROVE + (FOLD << form.log_c))
}

/// Sizes of the commitment, and a ladder tuned for a proof whose committed values grow by an opening's.
fn together(weights: usize, fresh: usize) -> Option<(Sizing, Form)> {
    let values = choose(weights, 88)?.permutations() << zerocheck::LOG_ROW;
    let (sizing, _) = tune(&Load { fresh: fresh + values, model: None, zk: true })?;
    let form = choose(weights, sizing.lambda)?;
    Some((sizing, form))
}

/// The other way for small models: all weights, packed, as one leaf; no queries.
fn packed(weights: usize) -> Form {
    Form { rows: weights.div_ceil(PACKED), log_c: 0, log_n: 0, log_cap: 0, queries: 1 }
}

fn weights(form: &Form) -> Vec<F> {
    (0..form.rows << form.log_c).map(|i| F::from_i64((i * 37 % 255) as i64 - 127)).collect()
}

/// Commits, proves, verifies and tries to cheat; prints least wall time (mean processor time) in milliseconds.
fn run(name: &str, form: Form, sizing: &Sizing, poseidon: &Poseidon) -> Option<()> {
    let start = Moment::now();
    let tree = Tree::new(form, weights(&form), poseidon, &Seed::new([1; 32]));
    let spent = text(&[Moment::now().since(&start)]);
    println!("{name}: {form:?}\n    commit {spent}, {} permutations", form.committing());
    let setup = Setup::new(form, tree.cap(), sizing, poseidon)?;
    let mut steps: Vec<(&str, Vec<Spent>)> = Vec::new();
    let (mut whole, mut checks, mut bare, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for i in 0..REPEAT {
        let made = opening::prove(&setup, &tree, poseidon, &Seed::new([i + 2; 32]), Cheat::Honest).ok()?;
        for (k, pair) in made.times.windows(2).enumerate() {
            if i == 0 {
                steps.push((pair[1].0, Vec::new()));
            }
            steps[k].1.push(pair[1].1.since(&pair[0].1));
        }
        whole.push(made.times.last()?.1.since(&made.times.first()?.1));
        let start = Moment::now();
        opening::verify(&setup, &made.bytes).expect("an honest proof is accepted");
        checks.push(Moment::now().since(&start));
        bytes = made.bytes.len();
        bare.push(opening::bare(&setup, &tree, poseidon, &Seed::new([i + 80; 32]))?);
    }
    let cheat = Cheat::Taken { query: form.queries - 1, step: form.steps() - 1 };
    let forged = opening::prove(&setup, &tree, poseidon, &Seed::new([99; 32]), cheat).ok()?;
    let refused = opening::verify(&setup, &forged.bytes).expect_err("a false path is refused");
    println!(
        "    {} permutations: prove {}, verify {}, {bytes} bytes",
        form.permutations(),
        text(&whole),
        text(&checks)
    );
    let steps: Vec<String> = steps.iter().map(|(step, spent)| format!("{step} {}", text(spent))).collect();
    println!("    of which {}", steps.join(", "));
    let proving: Vec<Spent> = bare.iter().map(|one| one.proving).collect();
    let verifying: Vec<Spent> = bare.iter().map(|one| one.verifying).collect();
    let alone = bare.last().map_or(0, |one| one.bytes);
    println!("    the fold's ladder alone {}, verify {}, {alone} bytes", text(&proving), text(&verifying));
    println!("    a false path: {refused}");
    Some(())
}

/// Nanoseconds of one core per permutation: with vectors, and one at a time.
fn permutations(poseidon: &Poseidon) {
    let mut states = vec![[F::ONE; 12]; 1 << 14];
    let mut best = [f64::MAX; 2];
    for _ in 0..20 {
        let start = Instant::now();
        poseidon.permute_all(&mut states);
        best[0] = best[0].min(start.elapsed().as_secs_f64() / states.len() as f64 * 1e9);
        let start = Instant::now();
        states[..1 << 10].iter_mut().for_each(|state| *state = poseidon.permute(*state));
        best[1] = best[1].min(start.elapsed().as_secs_f64() / (1 << 10) as f64 * 1e9);
    }
    println!(
        "a permutation: {:.0} ns with vectors of {}, {:.0} ns alone",
        best[0],
        poseidon::lanes(),
        best[1]
    );
}

/// Bytes a proof shows of today's commitment: salted columns and the nodes beside their paths.
fn shown(shape: &Shape, queries: usize) -> usize {
    let scattered = |i: usize| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (usize::BITS as usize - shape.log_n);
    let mut positions: Vec<usize> = (1..=queries).map(scattered).collect();
    positions.sort_unstable();
    positions.dedup();
    queries * shape.column_bytes() + 32 * sibling_count(shape.log_n, &positions)
}

fn main() {
    let only = std::env::args().nth(1);
    let poseidon = Poseidon::new();
    permutations(&poseidon);
    for (name, count, fresh) in
        MODELS.into_iter().filter(|model| only.as_deref().is_none_or(|only| only == model.0))
    {
        let load = Load { fresh, model: Some((count, 32)), zk: true };
        let Some((sizing, Some(shape))) = tune(&load) else { continue };
        let (kept, own) = (today(&shape, sizing.lambda), together(count, fresh));
        println!("{name}: {count} weights; λ {}; today's T 2^{:?}", sizing.lambda, shape.log_t);
        println!("    today {} bytes are shown of {kept:?}", shown(&shape, kept.queries));
        println!(
            "    with these sizes {} permutations, {} to commit",
            kept.permutations(),
            kept.committing()
        );
        let Some((sizing, own)) = own else { continue };
        let wide = Form { log_cap: 10, ..own };
        println!(
            "    with its own sizes {} permutations, with 2^10 published nodes {}; {} to commit: {own:?}",
            own.permutations(),
            wide.permutations(),
            own.committing()
        );
        if count <= RUN_MAX {
            run(name, own, &sizing, &poseidon);
        }
        if count <= PACKED_MAX {
            run("packed", packed(count), &sizing, &poseidon);
        }
    }
}
