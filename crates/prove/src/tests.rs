//! The hiding test and the attacks on the transcript, on the real prover at small parameters.

mod link;

use std::sync::Mutex;

use algebra::field::P;
use algebra::{F, K};
use oracle::{Rung, Sizing};
use program::execute::{Assignment, execute};
use program::lower::{Shape, lower};
use program::types::{
    Contraction, Disclosure, Domain, Form, Home, InputMode, Ladder, Map, Operator, OracleParams, Program,
    Reveal, Round, Scale, Tensor, View,
};
use program::wire::{Statement, encode_statement};
use tape::{End, Mark, ProverEnd, Reject, VerifierEnd};
use verify::{Setup, converse, verifier_converses, verify_at};

use crate::prover::{Prover, commit_fresh, commit_fresh_as};
use crate::random::{Seed, Source};
use crate::table::Table;
use crate::{commit_model, prove_at};

/// Small parameters: few queries, few masks.
fn toy() -> Sizing {
    Sizing {
        lambda: 2,
        grind: 0,
        fresh: Rung { rows: 16, rate: 3 },
        masks: vec![4, 8, 16],
        last_max: 24,
        inner: vec![Rung { rows: 9, rate: 3 }, Rung { rows: 9, rate: 4 }],
        end: Rung { rows: 4, rate: 3 },
        min_log_c: 3,
        pads_min_log_n: 4,
    }
}

#[test]
fn the_usual_ladder_is_said_once() {
    assert_eq!(verify::sizing(&program(true, 4)), Sizing::v1(100, 0));
}

/// y = floor((3·(w·x + c) + 2) / 4), x and y of two entries, w private, `y[0]` revealed by a bound.
struct Toy {
    setup: Setup,
    statement: Statement,
    assignment: Assignment,
    model: Table,
}

fn form(tensor: u32, axes: &[u8]) -> Form {
    let maps = axes.iter().map(|&axis| Map::Aff { axis, step: 1, off: 0 }).collect();
    Form(vec![(1, View { tensor, maps })])
}

fn program(zk: bool, log_t: u8) -> Program {
    let tensor =
        |home, axes: &[u32], lo, hi| Tensor { home, axes: axes.to_vec(), lo, hi, content: [].into() };
    let contraction = Contraction { sum: vec![2], a: form(0, &[1]), b: form(1, &[0, 1]), c: Form::default() };
    let round = Round {
        axes: vec![2],
        contraction: Some(contraction),
        scale: Scale::One(3),
        extra: Form::default(),
        shift: 2,
        half_even: false,
        domain: Domain::Narrow { lo: -32, bits: 6 },
        table: None,
    };
    Program {
        lambda: 100,
        grind: 0,
        limb_bits: 4,
        ladder: Ladder::default(),
        tensors: vec![tensor(Home::Input, &[2], 0, 3), tensor(Home::Model, &[2, 2], -3, 3)],
        model_oracle: Some(OracleParams { rows: 1, log_c: 3, log_t: zk.then_some(log_t), log_n: log_t + 2 }),
        tables: vec![],
        operators: vec![Operator::Round(round)],
        outputs: vec![2],
        metadata: vec![],
    }
}

fn make(zk: bool, x: [i64; 2], w: [i64; 4]) -> Toy {
    make_with(zk, x, w, 3)
}

/// As [`make`], with 2^log_t masks of the model's one row.
fn make_with(zk: bool, x: [i64; 2], w: [i64; 4], log_t: u8) -> Toy {
    let program = program(zk, log_t);
    let weights = [(1, w.to_vec())].into();
    let model = commit_model(&program, &weights, &Seed::new([7; 32])).unwrap().unwrap();
    let reveal = Reveal::Threshold { output: 0, index: 0, at_least: true, bound: -20 };
    let statement = Statement {
        program_digest: program.digest(),
        zk,
        batch: 1,
        disclosure: Disclosure { inputs: vec![InputMode::Private], reveals: vec![reveal] },
        identity: vec![model.id()],
        roots: vec![model.root()],
        link: [0; 32],
        slots: vec![],
        context: vec![],
    };
    let shape = Shape { batch: 1, disclosure: &statement.disclosure, slots: &[] };
    let lowered = lower(&program, &shape).unwrap();
    let assignment = execute(&lowered, &[(0, x.to_vec())].into(), &weights).unwrap();
    let setup = Setup::with_sizing(&program, &statement, toy()).unwrap();
    Toy { setup, statement, assignment, model }
}

/// A prover's end that changes messages before they are sent and bound, and goes on as if nothing were.
struct Lying<C> {
    inner: ProverEnd,
    /// Changes a message, given its label and the challenges of the end rounds so far.
    change: C,
    ends: Vec<K>,
}

impl<C> Lying<C> {
    fn new(change: C) -> Self {
        Self { inner: ProverEnd::new(&[]), change, ends: Vec::new() }
    }
}

impl<C: FnMut(&str, &[K], &mut [K])> End for Lying<C> {
    type Knows<W> = W;
    const CHECKS: bool = false;
    fn bind(&mut self, label: &'static str, public: &[u8]) {
        self.inner.bind(label, public);
    }
    fn say<W>(
        &mut self,
        label: &'static str,
        count: usize,
        knows: &mut W,
        compute: impl FnOnce(&mut W) -> Vec<K>,
    ) -> Result<Vec<K>, Reject> {
        let (change, ends) = (&mut self.change, &self.ends);
        self.inner.say(label, count, knows, |witness| {
            let mut values = compute(witness);
            if count > 0 {
                change(label, ends, &mut values);
            }
            values
        })
    }
    fn say_bytes<W>(
        &mut self,
        label: &'static str,
        length: usize,
        knows: &mut W,
        compute: impl FnOnce(&mut W) -> Vec<u8>,
    ) -> Result<Vec<u8>, Reject> {
        self.inner.say_bytes(label, length, knows, compute)
    }
    fn siblings<W>(
        &mut self,
        count: usize,
        knows: &mut W,
        compute: impl FnOnce(&mut W) -> Vec<[u8; 32]>,
    ) -> Result<Vec<[u8; 32]>, Reject> {
        self.inner.siblings(count, knows, compute)
    }
    fn draw(&mut self, label: &'static str) -> K {
        let drawn = self.inner.draw(label);
        self.ends.extend((label == "end.zeta").then_some(drawn));
        drawn
    }
    fn indices(&mut self, log_n: u32, count: usize) -> Vec<usize> {
        self.inner.indices(log_n, count)
    }
    fn grind(&mut self, bits: u8) -> Result<(), Reject> {
        self.inner.grind(bits)
    }
    fn act<W>(&mut self, knows: &mut W, update: impl FnOnce(&mut W)) {
        self.inner.act(knows, update);
    }
}

/// A prover that lies in any one message and is consistent in everything else is refused by the
/// relations, not by a hash: one of several claims about a tensor, a round, a sum, an output.
#[test]
fn a_lie_in_any_message_is_refused() {
    for zk in [false, true] {
        let toy = make(zk, [1, 3], [2, -1, 0, 3]);
        let header = encode_statement(&toy.statement);
        let honest = run(&toy, &Seed::new([5; 32]), &toy.model, None, None);
        let spoken =
            |mark: &&Mark| !mark.label.starts_with("root") && !["siblings", "cols"].contains(&mark.label);
        let messages: Vec<&str> = honest.marks.iter().filter(spoken).map(|mark| mark.label).collect();
        for (number, label) in messages.iter().enumerate() {
            let mut said = 0;
            let found = lie(&toy, &header, |_, _, values| {
                if said == number {
                    values[values.len() / 2] += K::ONE;
                }
                said += 1;
            });
            let relations =
                matches!(found, Err(Reject::Reply | Reject::LastVector | Reject::Codeword { .. }));
            assert!(relations, "zk {zk} message {number} {label}: {found:?}");
        }
        assert!(messages.len() > 20);
    }
}

/// What the verifier says to a prover that changes its messages so.
fn lie(toy: &Toy, header: &[u8], change: impl FnMut(&str, &[K], &mut [K])) -> Result<(), Reject> {
    let (seed, mut observe) = (Seed::new([5; 32]), |_| {});
    let fresh = commit_fresh(&toy.setup, &toy.assignment, &seed);
    let mut prover = Prover::new(&toy.setup, &toy.assignment, &fresh, &[&toy.model], &seed, &mut observe);
    let mut end = Lying::new(change);
    converse(&mut end, &toy.setup, header, &toy.statement.roots, &mut prover).unwrap();
    check(toy, &end.inner.finish().0, header, None)
}

/// A reply that fits the claim, but is not the masked fold that E committed to, is refused by E's columns: one whose value
/// at the point of the end rounds is the right one, one with other masks, and one with other pads.
#[test]
fn a_reply_that_fits_the_claim_must_be_the_committed_fold() {
    let toy = make(true, [1, 3], [2, -1, 0, 3]);
    let header = encode_statement(&toy.statement);
    let (end, pads) = toy.setup.plan.closing.clone().unwrap();
    assert_eq!(lie(&toy, &header, |_, _, _| {}), Ok(()));
    let other_fold = lie(&toy, &header, |label, ends, values| {
        if label == "reply" {
            // The challenges come from the highest variable down; those of E's rows first.
            assert_eq!(ends.len(), end.log_c + end.row_variables());
            let zeta = ends[ends.len() - 1];
            values[0] += zeta;
            values[1] += zeta - K::ONE;
        }
    });
    assert_eq!(other_fold, Err(Reject::Codeword { oracle: "E" }));
    let other_masks = lie(&toy, &header, |label, _, values| {
        if label == "reply" {
            values[end.data()] += K::ONE;
        }
    });
    assert_eq!(other_masks, Err(Reject::Codeword { oracle: "E" }));
    let other_pads = lie(&toy, &header, |label, _, values| {
        if label == "reply" {
            values[end.dimension() + toy.setup.plan.pads + pads.masks() - 1] += K::ONE;
        }
    });
    assert_eq!(other_pads, Err(Reject::Codeword { oracle: "Q" }));
}

/// How the prover holds its fresh columns shows in no byte.
#[test]
fn columns_held_as_integers_give_the_same_proof() {
    for zk in [false, true] {
        let toy = make(zk, [2, 1], [-3, 1, 2, 0]);
        let header = encode_statement(&toy.statement);
        let proofs = [None, Some(usize::MAX)].map(|most_wide| {
            let seed = Seed::new([9; 32]);
            let fresh = commit_fresh_as(most_wide, &toy.setup, &toy.assignment, &seed);
            assert_eq!(fresh.table.integers().is_some(), most_wide.is_some());
            let mut observe = |_| {};
            let mut prover =
                Prover::new(&toy.setup, &toy.assignment, &fresh, &[&toy.model], &seed, &mut observe);
            let mut end = ProverEnd::new(&[]);
            converse(&mut end, &toy.setup, &header, &toy.statement.roots, &mut prover).unwrap();
            end.finish().0
        });
        assert_eq!(proofs[0], proofs[1]);
        assert_eq!(check(&toy, &proofs[1], &header, None), Ok(()));
    }
}

/// Draws replayed from an earlier conversation: what the verifier would be if it did not hash.
#[derive(Clone, Default)]
struct Coins {
    challenges: Vec<K>,
    positions: Vec<Vec<usize>>,
}

struct Frozen<'a, E> {
    inner: E,
    coins: Option<&'a Coins>,
    seen: Coins,
}

impl<'a, E> Frozen<'a, E> {
    fn new(inner: E, coins: Option<&'a Coins>) -> Self {
        Self { inner, coins, seen: Coins::default() }
    }
}

impl<E: End> End for Frozen<'_, E> {
    type Knows<W> = E::Knows<W>;
    const CHECKS: bool = E::CHECKS;
    fn bind(&mut self, label: &'static str, public: &[u8]) {
        self.inner.bind(label, public);
    }
    fn say<W>(
        &mut self,
        label: &'static str,
        count: usize,
        knows: &mut Self::Knows<W>,
        compute: impl FnOnce(&mut W) -> Vec<K>,
    ) -> Result<Vec<K>, Reject> {
        self.inner.say(label, count, knows, compute)
    }
    fn say_bytes<W>(
        &mut self,
        label: &'static str,
        length: usize,
        knows: &mut Self::Knows<W>,
        compute: impl FnOnce(&mut W) -> Vec<u8>,
    ) -> Result<Vec<u8>, Reject> {
        self.inner.say_bytes(label, length, knows, compute)
    }
    fn siblings<W>(
        &mut self,
        count: usize,
        knows: &mut Self::Knows<W>,
        compute: impl FnOnce(&mut W) -> Vec<[u8; 32]>,
    ) -> Result<Vec<[u8; 32]>, Reject> {
        self.inner.siblings(count, knows, compute)
    }
    fn draw(&mut self, label: &'static str) -> K {
        let drawn = self.inner.draw(label);
        let next = self.coins.map(|coins| coins.challenges[self.seen.challenges.len()]);
        self.seen.challenges.push(next.unwrap_or(drawn));
        next.unwrap_or(drawn)
    }
    fn indices(&mut self, log_n: u32, count: usize) -> Vec<usize> {
        let drawn = self.inner.indices(log_n, count);
        let next = self.coins.map(|coins| coins.positions[self.seen.positions.len()].clone());
        self.seen.positions.push(next.clone().unwrap_or(drawn.clone()));
        next.unwrap_or(drawn)
    }
    fn grind(&mut self, bits: u8) -> Result<(), Reject> {
        self.inner.grind(bits)
    }
    fn act<W>(&mut self, knows: &mut Self::Knows<W>, update: impl FnOnce(&mut W)) {
        self.inner.act(knows, update);
    }
}

/// One run of the real prover.
struct Run {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
    coins: Coins,
    functionals: Vec<Vec<K>>,
}

/// Runs the real prover, with frozen coins and other rows of Z if given.
fn run(toy: &Toy, source: &impl Source, model: &Table, coins: Option<&Coins>, rows: Option<Vec<F>>) -> Run {
    let mut fresh = commit_fresh(&toy.setup, &toy.assignment, source);
    if let Some(rows) = rows {
        fresh.table = Table::base(fresh.table.shape().clone(), rows, source, "z");
    }
    let mut observe = |_| {};
    let mut prover = Prover::new(&toy.setup, &toy.assignment, &fresh, &[model], source, &mut observe);
    let mut end = Frozen::new(ProverEnd::new(&[]), coins);
    let header = encode_statement(&toy.statement);
    converse(&mut end, &toy.setup, &header, &toy.statement.roots, &mut prover).unwrap();
    let (bytes, marks) = end.inner.finish();
    Run { bytes, marks, coins: end.seen, functionals: prover.seen }
}

/// Rows of Z changed at three addresses so that their product with the functional stays.
fn invisible_change(toy: &Toy, source: &impl Source, functional: &[K]) -> Vec<F> {
    let fresh = commit_fresh(&toy.setup, &toy.assignment, source);
    let mut rows = fresh.table.base_rows();
    let used: Vec<usize> = (0..rows.len()).filter(|&i| functional[i] != K::ZERO).take(3).collect();
    let [a, b, c] = [0, 1, 2].map(|i| functional[used[i]]);
    // The cross product of the two coordinate vectors is orthogonal to both.
    let change = [b.c0 * c.c1 - b.c1 * c.c0, c.c0 * a.c1 - c.c1 * a.c0, a.c0 * b.c1 - a.c1 * b.c0];
    assert!(change.iter().all(|&x| x != F::ZERO));
    used.iter().zip(change).for_each(|(&i, x)| rows[i] += x);
    rows
}

fn check(toy: &Toy, proof: &[u8], header: &[u8], coins: Option<&Coins>) -> Result<(), Reject> {
    let mut end = Frozen::new(VerifierEnd::new(proof), coins);
    verifier_converses(&mut end, &toy.setup, header, &toy.statement.roots)?;
    end.inner.finish()
}

/// The numbers a verifier sees: all messages and columns, without salts, roots and siblings.
fn view(run: &Run) -> Vec<F> {
    let mut numbers = Vec::new();
    for mark in &run.marks {
        let mut words = &run.bytes[mark.start..mark.start + mark.length];
        let kind = mark.label;
        if kind == "siblings" || kind.starts_with("root") {
            continue;
        }
        while let Some((word, rest)) = words.split_first_chunk::<8>() {
            words = rest;
            // Salts do not depend on any number that is nudged: they stay 0 in every difference.
            numbers.push(F::new(u64::from_le_bytes(*word)));
        }
    }
    numbers
}

/// A seed with one random number changed.
struct Nudged<'a> {
    seed: &'a Seed,
    name: &'a str,
    index: usize,
    by: F,
}

impl Source for Nudged<'_> {
    fn base(&self, name: &str, count: usize) -> Vec<F> {
        let mut values = self.seed.base(name, count);
        if name == self.name {
            values[self.index] += self.by;
        }
        values
    }
    fn salts(&self, name: &str, count: usize) -> Vec<[u8; 16]> {
        self.seed.salts(name, count)
    }
}

/// Notes which numbers are drawn.
struct Noted<'a> {
    seed: &'a Seed,
    drawn: Mutex<Vec<(String, usize)>>,
}

impl Source for Noted<'_> {
    fn base(&self, name: &str, count: usize) -> Vec<F> {
        self.drawn.lock().unwrap().push((name.to_owned(), count));
        self.seed.base(name, count)
    }
    fn salts(&self, name: &str, count: usize) -> Vec<[u8; 16]> {
        self.seed.salts(name, count)
    }
}

/// Row-reduced basis of the rows seen so far.
#[derive(Clone, Default)]
struct Basis(Vec<(usize, Vec<F>)>);

impl Basis {
    /// Whether the row is new.
    fn insert(&mut self, mut row: Vec<F>) -> bool {
        for (pivot, own) in &self.0 {
            let factor = row[*pivot];
            if factor != F::ZERO {
                row.iter_mut().zip(own).for_each(|(x, &y)| *x -= factor * y);
            }
        }
        let Some(pivot) = row.iter().position(|&x| x != F::ZERO) else { return false };
        let inverse = row[pivot].inverse();
        row.iter_mut().for_each(|x| *x *= inverse);
        self.0.push((pivot, row));
        true
    }

    fn rank(rows: impl Iterator<Item = Vec<F>>) -> usize {
        let mut basis = Self::default();
        rows.filter(|row| basis.insert(row.clone())).count()
    }
}

/// How the view moves with each random number: (name, index, movement).
fn jacobian(toy: &Toy, seed: &Seed, model_seed: &Seed, coins: &Coins) -> Vec<(String, usize, Vec<F>)> {
    let weights = |source: &dyn Fn() -> Table| source();
    let noted = Noted { seed, drawn: Mutex::new(Vec::new()) };
    run(toy, &noted, &toy.model, Some(coins), None);
    let half = F::new(2).inverse();
    let look = |source: &Nudged<'_>, model: &Table| view(&run(toy, source, model, Some(coins), None));
    let mut rows = Vec::new();
    for (name, count) in noted.drawn.into_inner().unwrap() {
        for index in 0..count {
            // The products of pads are quadratic: the central difference is the exact derivative.
            let [up, down] =
                [F::ONE, F::new(P - 1)].map(|by| look(&Nudged { seed, name: &name, index, by }, &toy.model));
            let row = up.iter().zip(&down).map(|(&a, &b)| (a - b) * half).collect();
            rows.push((name.clone(), index, row));
        }
    }
    // The model's masks: its columns are the only part of the view they move directly.
    let count = toy.model.shape().rows * toy.model.shape().masks();
    for index in 0..count {
        let rebuilt = |by| {
            weights(&|| {
                let nudged = Nudged { seed: model_seed, name: "z.mask", index, by };
                Table::base(toy.model.shape().clone(), toy.model.base_rows(), &nudged, "z")
            })
        };
        let plain = Nudged { seed, name: "", index: 0, by: F::ZERO };
        let [up, down] = [F::ONE, F::new(P - 1)].map(|by| look(&plain, &rebuilt(by)));
        let row = up.iter().zip(&down).map(|(&a, &b)| (a - b) * half).collect();
        rows.push(("m.mask".to_owned(), index, row));
    }
    rows
}

/// A seed with pads moved.
struct Moved<'a> {
    seed: &'a Seed,
    pads: Vec<F>,
}

impl Source for Moved<'_> {
    fn base(&self, name: &str, count: usize) -> Vec<F> {
        let mut values = self.seed.base(name, count);
        if name == "z.pad" {
            values.iter_mut().zip(&self.pads).for_each(|(x, &y)| *x += y);
        }
        values
    }
    fn salts(&self, name: &str, count: usize) -> Vec<[u8; 16]> {
        self.seed.salts(name, count)
    }
}

/// Words of the messages with these labels, in order.
fn words(run: &Run, labels: &[&str]) -> Vec<F> {
    let marks = run.marks.iter().filter(|mark| labels.contains(&mark.label));
    let bytes: Vec<u8> =
        marks.flat_map(|mark| run.bytes[mark.start..mark.start + mark.length].to_vec()).collect();
    bytes.as_chunks::<8>().0.iter().map(|word| F::new(u64::from_le_bytes(*word))).collect()
}

/// The view of `toy` under pads that give the messages of the honest run.
fn same_messages(toy: &Toy, seed: &Seed, honest: &Run) -> Vec<F> {
    const MASKED: [&str; 4] = ["gkr.out", "gkr.round", "ip.round", "ip.out"];
    let count = 2 * (toy.setup.sends.0 + 2);
    let mut pads = vec![F::ZERO; count];
    let go = |pads: &[F]| {
        let source = Moved { seed, pads: pads.to_vec() };
        run(toy, &source, &toy.model, Some(&honest.coins), None)
    };
    // A sent value is m - pad; messages are numbered as their pads are.
    let correct = |pads: &mut [F]| {
        let now = words(&go(pads), &MASKED);
        let wanted = words(honest, &MASKED);
        assert_eq!(now.len() + 4, pads.len());
        now.iter().zip(&wanted).zip(pads.iter_mut()).for_each(|((&now, &wanted), pad)| *pad += now - wanted);
    };
    correct(&mut pads);
    // A and B are linear in the dummy pair: found by their derivatives.
    for part in [0, 1] {
        let pair = |pads: &[F]| {
            let clear = words(&go(pads), &["ip.clear"]);
            K::new(clear[2 * part], clear[2 * part + 1])
        };
        let at = count - 4 + 2 * part;
        let start = pair(&pads);
        pads[at] += F::ONE;
        let slope = pair(&pads) - start;
        pads[at] -= F::ONE;
        let clear = words(honest, &["ip.clear"]);
        let step = (K::new(clear[2 * part], clear[2 * part + 1]) - start) * slope.inverse();
        pads[at] += step.c0;
        pads[at + 1] += step.c1;
    }
    // The rounds of the inner products see the pads, and their own pads see nothing else.
    correct(&mut pads);
    let last = go(&pads);
    assert_eq!(words(&last, &MASKED), words(honest, &MASKED));
    assert_eq!(words(&last, &["ip.clear"]), words(honest, &["ip.clear"]));
    view(&last)
}

/// A family of masks.
struct Masks {
    name: String,
    /// Numbers per row.
    masks: usize,
    /// Numbers that the queries of a row use up.
    queries: usize,
    /// Numbers of the rows that are not replied in full.
    hidden: usize,
}

impl Masks {
    fn of(name: String, shape: &oracle::Shape, lambda: u8) -> Self {
        let words = if shape.extension { 2 } else { 1 };
        let masks = words * shape.masks();
        Self { name, masks, queries: words * shape.queries(lambda), hidden: masks * shape.own_rows() }
    }

    /// Whether a number is among the first `keep` of its row, or of the row that masks a reply: it is replied in full, so
    /// all of its numbers count.
    fn counts(&self, index: usize, keep: usize) -> bool {
        index >= self.hidden || index % self.masks < keep
    }
}

fn mask_families(setup: &Setup) -> Vec<Masks> {
    let own = |name: &str, shape: &oracle::Shape| Masks::of(name.to_owned(), shape, setup.sizing.lambda);
    let (end, pads) = setup.plan.closing.as_ref().unwrap();
    let mut families = vec![own("z.mask", &setup.groups[0].shape), own("m.mask", &setup.groups[1].shape)];
    for (number, level) in setup.plan.levels.iter().enumerate().skip(1) {
        families.push(own(&format!("o{number}.mask"), &level.oracles[0]));
    }
    families.extend([own("e.mask", end), own("q.mask", pads)]);
    families
}

/// The view of a proof is uniform but for what the verifier can compute itself; so it tells nothing
/// about the witness. Without any one family of masks or pads that is no longer so.
#[test]
fn the_view_hides_the_witness() {
    let toy = make(true, [1, 3], [2, -1, 0, 3]);
    let seed = Seed::new([5; 32]);
    let honest = run(&toy, &seed, &toy.model, None, None);
    let base = view(&honest);
    let rows = jacobian(&toy, &seed, &Seed::new([7; 32]), &honest.coins);
    let known = determined(&toy.setup);
    let all = || rows.iter().map(|(_, _, row)| row.clone());
    let rank = Basis::rank(all());
    assert_eq!(rank, base.len() - known, "view {} known {known} randomness {}", base.len(), rows.len());

    // Another witness, with pads that give the same masked messages: what is left of the difference
    // lies in the space that masks alone reach, so some masks give the very same view.
    let other = make(true, [3, 0], [2, -1, 0, 3]);
    let moved = same_messages(&other, &seed, &honest);
    let linear = |name: &str| name != "z.pad";
    let mut basis = Basis::default();
    for (_, _, row) in rows.iter().filter(|row| linear(&row.0)) {
        basis.insert(row.clone());
    }
    let moved: Vec<F> = moved.iter().zip(&base).map(|(&a, &b)| a - b).collect();
    assert!(moved.iter().any(|&x| x != F::ZERO));
    assert!(!basis.insert(moved), "another witness leaves the space of views");

    // Fewer masks than queries in any oracle, or one pad less, and the space shrinks.
    let families = mask_families(&toy.setup);
    assert!(families.len() >= 5, "the ladder has no inner level: {:?}", toy.setup.plan);
    assert!(toy.setup.plan.closing.as_ref().unwrap().0.own_rows() > 1, "E folds no rows");
    // As many masks as queries suffice; every one of them, and every pad, is needed.
    let masks_of = |name: &str| families.iter().find(|masks| masks.name == name);
    let tight: Vec<_> = rows
        .iter()
        .filter(|row| masks_of(&row.0).is_none_or(|masks| masks.counts(row.1, masks.queries)))
        .collect();
    let rank_of = |keep: &dyn Fn(&str, usize) -> bool| {
        Basis::rank(tight.iter().filter(|row| keep(&row.0, row.1)).map(|row| row.2.clone()))
    };
    assert_eq!(rank_of(&|_, _| true), rank);
    for masks in &families {
        let Masks { name, queries, .. } = masks;
        assert!(tight.iter().any(|row| row.0 == *name), "{name}");
        let fewer = rank_of(&|own, index| own != name || masks.counts(index, queries - 1));
        assert!(fewer < rank, "{name} with {queries} queries hides with a mask less");
    }
    for name in ["z.pad", "q.value", "e.value"] {
        let count = tight.iter().filter(|row| row.0 == name).count();
        for at in [0, count / 3, count / 2, count - 1] {
            assert!(rank_of(&|own, index| own != name || index != at) < rank, "{name} {at} is not needed");
        }
    }
}

/// Numbers of a view that are not random: the closing check, one per opened position of E and Q, and
/// the salts, two words for each opened column, which are the same in every run.
fn determined(setup: &Setup) -> usize {
    let lambda = setup.sizing.lambda;
    let (end, pads) = setup.plan.closing.as_ref().unwrap();
    let levels = setup.plan.levels.iter().flat_map(|level| &level.oracles);
    let opened: usize = levels.chain([end, pads]).map(|shape| shape.queries(lambda)).sum();
    2 * (1 + end.queries(lambda) + pads.queries(lambda)) + 2 * opened
}

/// Two proofs under one commitment hide together while its masks cover both openings (the hiding
/// budget); with one mask less they do not.
#[test]
fn the_budget_covers_two_proofs_and_not_more() {
    let seeds = [Seed::new([5; 32]), Seed::new([6; 32])];
    let toys = [make_with(true, [1, 3], [2, -1, 0, 3], 4), make_with(true, [3, 0], [2, -1, 0, 3], 4)];
    let opened = toys[0].setup.groups[1].shape.queries(toys[0].setup.sizing.lambda);
    let runs: Vec<Run> =
        toys.iter().zip(&seeds).map(|(toy, seed)| run(toy, seed, &toy.model, None, None)).collect();
    let views: Vec<Vec<F>> = runs.iter().map(view).collect();
    let parts: Vec<_> = toys
        .iter()
        .zip(&seeds)
        .zip(&runs)
        .map(|((toy, seed), run)| jacobian(toy, seed, &Seed::new([7; 32]), &run.coins))
        .collect();
    let zeros = |of: usize| vec![F::ZERO; views[of].len()];
    let rank = |masks: usize| {
        let mut basis = Basis::default();
        let mut rank = 0;
        for (a, b) in parts[0].iter().zip(&parts[1]) {
            // The model's masks move both views, everything else its own.
            let rows = if a.0 == "m.mask" {
                if a.1 >= masks {
                    continue;
                }
                vec![[a.2.clone(), b.2.clone()].concat()]
            } else {
                vec![[a.2.clone(), zeros(1)].concat(), [zeros(0), b.2.clone()].concat()]
            };
            rank += rows.into_iter().filter(|row| basis.insert(row.clone())).count();
        }
        rank
    };
    let positions = |run: &Run| run.coins.positions[1].clone();
    let mut all = [positions(&runs[0]), positions(&runs[1])].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 2 * opened, "the two proofs open other columns");
    let full = views.iter().map(Vec::len).sum::<usize>()
        - toys.iter().map(|toy| determined(&toy.setup)).sum::<usize>();
    assert_eq!(rank(2 * opened), full);
    assert!(rank(2 * opened - 1) < full, "two openings hide behind {} masks", 2 * opened - 1);
}

/// Every byte of a small proof is checked: flipped or cut off, the proof is refused.
#[test]
fn every_byte_of_a_small_proof_counts() {
    for zk in [false, true] {
        let toy = make(zk, [1, 3], [2, -1, 0, 3]);
        let proof = prove_at(&toy.setup, &toy.statement, &toy.assignment, &[&toy.model], &Seed::new([5; 32]))
            .unwrap();
        assert_eq!(verify_at(&toy.setup, &toy.statement, &proof.bytes), Ok(()));
        for i in 0..proof.bytes.len() {
            let mut bytes = proof.bytes.clone();
            bytes[i] ^= 1 << (i % 8);
            assert!(verify_at(&toy.setup, &toy.statement, &bytes).is_err(), "zk {zk} byte {i}");
        }
        for cut in 0..proof.bytes.len() {
            assert!(verify_at(&toy.setup, &toy.statement, &proof.bytes[..cut]).is_err(), "zk {zk} cut {cut}");
        }
    }
}

/// With replayed challenges a forgery passes; the transcript is what refuses it.
#[test]
fn frozen_challenges_let_forgeries_pass() {
    for zk in [false, true] {
        let toy = make(zk, [1, 3], [2, -1, 0, 3]);
        let seed = Seed::new([5; 32]);
        let Run { bytes: proof, coins, functionals, .. } = run(&toy, &seed, &toy.model, None, None);
        let header = encode_statement(&toy.statement);
        // Another statement under the old challenges.
        let mut other = toy.statement.clone();
        other.context = b"for somebody else".to_vec();
        let swapped = encode_statement(&other);
        assert_eq!(check(&toy, &proof, &swapped, Some(&coins)), Ok(()));
        assert!(check(&toy, &proof, &swapped, None).is_err());
        // Another Z, chosen so that the known functional does not see the change.
        let rows = invisible_change(&toy, &seed, &functionals[0]);
        let forged = run(&toy, &seed, &toy.model, Some(&coins), Some(rows)).bytes;
        assert_ne!(forged, proof);
        assert_eq!(check(&toy, &forged, &header, Some(&coins)), Ok(()));
        assert!(check(&toy, &forged, &header, None).is_err());
    }
}

/// Proofs of one statement under two witnesses look alike: every bit of every masked number is a coin.
#[test]
fn two_witnesses_give_the_same_statistics() {
    let toys = [make(true, [1, 3], [2, -1, 0, 3]), make(true, [3, 0], [2, -1, 0, 3])];
    let mut ones = [[0u32; 8]; 2];
    let mut total = 0;
    for round in 0..64u8 {
        for (toy, ones) in toys.iter().zip(&mut ones) {
            let Run { bytes, marks, .. } = run(toy, &Seed::new([round ^ 0xa5; 32]), &toy.model, None, None);
            for mark in
                marks.iter().filter(|mark| !mark.label.starts_with("root") && mark.label != "siblings")
            {
                for byte in bytes[mark.start..mark.start + mark.length].iter().step_by(8) {
                    for (bit, count) in ones.iter_mut().enumerate() {
                        *count += u32::from(byte >> bit & 1);
                    }
                    total += 1;
                }
            }
        }
    }
    let expected = f64::from(total) / 4.0;
    for counts in ones {
        for count in counts {
            // Six standard deviations of a fair coin.
            let off = (f64::from(count) - expected).abs();
            assert!(off < 6.0 * (expected / 2.0).sqrt(), "{count} of {expected}");
        }
    }
}

/// Secrets cannot be printed.
#[test]
fn secrets_have_no_debug() {
    static_assertions::assert_not_impl_any!(Seed: std::fmt::Debug, std::fmt::Display);
    static_assertions::assert_not_impl_any!(Table: std::fmt::Debug, std::fmt::Display);
    static_assertions::assert_not_impl_any!(crate::Proof: std::fmt::Debug);
}
