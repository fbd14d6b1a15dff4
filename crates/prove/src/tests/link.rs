//! Links: what they refuse, and what proofs on both sides of an epoch's end show together.

use oracle::{Role, layout_digest};
use verify::{LinkSetup, LinkStatement, verify_link_at};

use super::*;
use crate::integers::Integers;
use crate::link::{LinkAbout, Linker, recommit};

/// A statement that joins two tables of `total` entries.
fn joins(parent: &Table, child: &Table, total: usize) -> LinkStatement {
    let about = LinkAbout { security: [100, 0], subject: [9; 32], total: total as u64 };
    about.statement([parent, child])
}

fn shape(total: usize, log_c: usize, log_t: usize, log_n: usize) -> oracle::Shape {
    let layout = layout_digest([[total].as_slice()].into_iter());
    let rows = total.div_ceil(1 << log_c);
    oracle::Shape { role: Role::Model, extension: false, rows, log_c, log_t: Some(log_t), log_n, layout }
}

/// A table of `total` entries.
fn table(total: usize, shape: oracle::Shape, seed: u8) -> Table {
    let mut data: Vec<F> = (0..total as i64).map(|i| F::from_i64(i * i - 7)).collect();
    data.resize(shape.rows * shape.data(), F::ZERO);
    Table::base(shape, data, &Seed::new([seed; 32]), "z")
}

/// The link of two tables by the real prover, whatever they hold.
fn bytes(statement: &LinkStatement, tables: [&Table; 2], apart: bool) -> Vec<u8> {
    let setup = LinkSetup::with_sizing(statement, toy()).unwrap();
    let seed = Seed::new([5; 32]);
    let mut linker = Linker::unchecked(&setup, tables, &seed);
    if apart {
        linker = linker.apart();
    }
    let mut end = ProverEnd::new(&verify::PROOF_VERSION.to_le_bytes());
    verify::link(&mut end, &setup, &statement.encode(), &mut linker).unwrap();
    end.finish().0
}

fn accepts(statement: &LinkStatement, proof: &[u8]) -> Result<(), Reject> {
    let setup = LinkSetup::with_sizing(statement, toy()).unwrap();
    verify_link_at(&setup, &statement.encode(), proof)
}

const TOTALS: [usize; 7] = [1, 5, 8, 9, 21, 32, 61];

/// As [`table`], held as small integers.
fn small(total: usize, shape: oracle::Shape, seed: u8) -> Table {
    let mut data = Integers::zeros(shape.rows * shape.data());
    data.set(
        0,
        &(0..total as i64).map(|i| if i % 11 == 4 { i << 20 } else { i * i - 7 }).collect::<Vec<i64>>(),
    );
    Table::small(shape, data, &Seed::new([seed; 32]), "z")
}

#[test]
fn equal_tables_are_linked_whatever_their_shapes() {
    for (total, make) in
        TOTALS.into_iter().flat_map(|total| [(total, table as fn(_, _, _) -> _), (total, small)])
    {
        for (log_c, log_t, log_n) in [(3, 3, 5), (3, 4, 6), (2, 4, 6), (4, 3, 6), (6, 4, 8)] {
            let parent: Table = make(total, shape(total, 3, 3, 5), 1);
            let child = recommit(&parent, shape(total, log_c, log_t, log_n), &Seed::new([2; 32])).unwrap();
            assert_ne!(parent.root(), child.root());
            let statement = joins(&parent, &child, total);
            let proof = bytes(&statement, [&parent, &child], false);
            assert_eq!(accepts(&statement, &proof), Ok(()), "{total} {log_c}");
            // The short cut for equal rows says what the general way says.
            assert_eq!(bytes(&statement, [&parent, &child], true), proof, "{total} {log_c}");
        }
    }
}

#[test]
fn other_data_are_not_linked() {
    for total in TOTALS {
        for at in [0, total / 2, total - 1] {
            let same = shape(total, 3, 3, 5);
            let parent = table(total, same.clone(), 1);
            let mut data = parent.base_rows();
            data[at] += F::ONE;
            let child = Table::base(same, data, &Seed::new([2; 32]), "z");
            let statement = joins(&parent, &child, total);
            let setup = LinkSetup::with_sizing(&statement, toy()).unwrap();
            assert!(Linker::new(&setup, [&parent, &child], &Seed::new([5; 32])).is_none());
            for apart in [false, true] {
                let found = accepts(&statement, &bytes(&statement, [&parent, &child], apart));
                assert_eq!(found, Err(Reject::Reply), "{total} {at}");
            }
            let back = joins(&child, &parent, total);
            let found = accepts(&back, &bytes(&back, [&child, &parent], false));
            assert_eq!(found, Err(Reject::Reply), "{total} {at}");
        }
    }
}

/// What lies beyond the data is no part of it: no functional reads it.
#[test]
fn entries_beyond_the_data_do_not_count() {
    let same = shape(21, 3, 3, 5);
    let parent = table(21, same.clone(), 1);
    let mut data = parent.base_rows();
    data[21] += F::ONE;
    let child = Table::base(same, data, &Seed::new([2; 32]), "z");
    let statement = joins(&parent, &child, 21);
    assert_eq!(accepts(&statement, &bytes(&statement, [&parent, &child], true)), Ok(()));
    // One entry more would be read.
    let longer = joins(&parent, &child, 22);
    assert_eq!(accepts(&longer, &bytes(&longer, [&parent, &child], true)), Err(Reject::Reply));
}

#[test]
fn every_byte_of_a_link_counts() {
    let parent = table(21, shape(21, 3, 3, 5), 1);
    let child = recommit(&parent, shape(21, 3, 4, 6), &Seed::new([2; 32])).unwrap();
    let statement = joins(&parent, &child, 21);
    let proof = bytes(&statement, [&parent, &child], false);
    for i in 0..proof.len() {
        let mut other = proof.clone();
        other[i] ^= 1 << (i % 8);
        assert!(accepts(&statement, &other).is_err(), "byte {i}");
        assert!(accepts(&statement, &proof[..i]).is_err(), "cut at {i}");
    }
    let longer = [proof.as_slice(), &[0]].concat();
    assert_eq!(accepts(&statement, &longer), Err(Reject::TrailingBytes { count: 1 }));
    let version = [&[1], &proof[1..]].concat();
    assert_eq!(accepts(&statement, &version), Err(Reject::Version { found: 1 }));
}

#[test]
fn a_link_shows_its_own_statement_only() {
    let parent = table(21, shape(21, 3, 4, 6), 1);
    let child = recommit(&parent, shape(21, 3, 4, 6), &Seed::new([2; 32])).unwrap();
    let statement = joins(&parent, &child, 21);
    let proof = bytes(&statement, [&parent, &child], false);
    type Change = fn(&mut LinkStatement);
    let changes: [(&str, Change); 8] = [
        ("identity", |s| s.subject = [8; 32]),
        ("parent and child", |s| std::mem::swap(&mut s.parent, &mut s.child)),
        ("length", |s| s.total = 22),
        ("layout", |s| {
            s.parent.shape.layout = [1; 32];
            s.child.shape.layout = [1; 32];
        }),
        ("root", |s| s.child.root[0] ^= 1),
        ("parent twice", |s| s.child = s.parent.clone()),
        ("context", |s| s.context = vec![1]),
        ("grinding", |s| s.grind = 1),
    ];
    for (name, change) in changes {
        let mut other = statement.clone();
        change(&mut other);
        assert!(accepts(&other, &proof).is_err(), "{name}");
    }
}

// ---- hiding across epochs ----

/// What a verifier sees of one conversation, and how the coins move it.
struct Seen {
    view: Vec<F>,
    /// Movements by coins of this conversation alone.
    own: Vec<Vec<F>>,
    /// Movements by the masks of one commitment: (commitment, mask, movement).
    shared: Vec<(usize, usize, Vec<F>)>,
    /// Numbers of the view that are no coins.
    known: usize,
}

/// The commitments of one model: the first and a second epoch. Their seeds are [7; 32] and [8; 32].
struct Epochs {
    seeds: [Seed; 2],
    tables: [Table; 2],
}

impl Epochs {
    fn nudged(&self, epoch: usize, index: usize, by: F) -> Table {
        let nudged = Nudged { seed: &self.seeds[epoch], name: "z.mask", index, by };
        let table = &self.tables[epoch];
        Table::base(table.shape().clone(), table.base_rows(), &nudged, "z")
    }

    fn masks(&self) -> usize {
        self.tables[0].shape().rows * self.tables[0].shape().masks()
    }
}

/// Runs the real prover of the link with frozen coins.
fn run_link(
    statement: &LinkStatement,
    tables: [&Table; 2],
    source: &impl Source,
    coins: Option<&Coins>,
) -> Run {
    let setup = LinkSetup::with_sizing(statement, toy()).unwrap();
    let mut linker = Linker::new(&setup, tables, source).unwrap();
    let mut end = Frozen::new(ProverEnd::new(&[]), coins);
    verify::link(&mut end, &setup, &statement.encode(), &mut linker).unwrap();
    let (bytes, marks) = end.inner.finish();
    Run { bytes, marks, coins: end.seen, functionals: Vec::new() }
}

/// Positions opened of a long-term oracle, all different between its openings.
fn spread(coins: &mut Coins, oracle: usize, opening: usize, count: usize) {
    coins.positions[oracle] = (0..count).map(|i| 1 + opening * count + i).collect();
}

fn difference(up: &[F], base: &[F]) -> Vec<F> {
    up.iter().zip(base).map(|(&a, &b)| a - b).collect()
}

/// Everything in a link is linear in its coins, so that one step gives the derivative.
fn see_link(epochs: &Epochs, openings: [usize; 2], count: usize) -> Seen {
    let [parent, child] = &epochs.tables;
    let statement = joins(parent, child, 4);
    let seed = Seed::new([3; 32]);
    let mut coins = run_link(&statement, [parent, child], &seed, None).coins;
    (0..2).for_each(|oracle| spread(&mut coins, oracle, openings[oracle], count));
    let noted = Noted { seed: &seed, drawn: Mutex::new(Vec::new()) };
    let base = view(&run_link(&statement, [parent, child], &noted, Some(&coins)));
    let mut own = Vec::new();
    for (name, count) in noted.drawn.into_inner().unwrap() {
        for index in 0..count {
            let nudged = Nudged { seed: &seed, name: &name, index, by: F::ONE };
            own.push(difference(&view(&run_link(&statement, [parent, child], &nudged, Some(&coins))), &base));
        }
    }
    let mut shared = Vec::new();
    for epoch in 0..2 {
        for index in 0..epochs.masks() {
            let moved = epochs.nudged(epoch, index, F::ONE);
            let tables = if epoch == 0 { [&moved, child] } else { [parent, &moved] };
            let up = view(&run_link(&statement, tables, &seed, Some(&coins)));
            shared.push((epoch, index, difference(&up, &base)));
        }
    }
    let setup = LinkSetup::with_sizing(&statement, toy()).unwrap();
    Seen { view: base, own, shared, known: known(&setup.plan) }
}

/// As `determined` of a proof.
fn known(plan: &oracle::Plan) -> usize {
    let (end, pads) = plan.closing.as_ref().unwrap();
    let levels = plan.levels.iter().flat_map(|level| &level.oracles);
    let lambda = plan.sizing.lambda;
    let opened: usize = levels.chain([end, pads]).map(|shape| shape.queries(lambda)).sum();
    2 * (1 + end.queries(lambda) + pads.queries(lambda)) + 2 * opened
}

/// A proof that opens one epoch.
fn see_proof(epochs: &Epochs, x: [i64; 2], seed: u8, (epoch, opening): (usize, usize), count: usize) -> Seen {
    let mut toy = make_with(true, x, WEIGHTS, LOG_T);
    let model_seed = &epochs.seeds[epoch];
    // The second epoch's root is opened in the name of the first.
    toy.statement.roots = vec![epochs.tables[epoch].root()];
    toy.statement.link = [u8::from(epoch > 0); 32];
    let plain = Nudged { seed: model_seed, name: "", index: 0, by: F::ZERO };
    let data = epochs.tables[epoch].base_rows();
    toy.model = Table::base(toy.model.shape().clone(), data, &plain, "z");
    assert_eq!(toy.model.root(), epochs.tables[epoch].root());
    let seed = Seed::new([seed; 32]);
    let mut coins = run(&toy, &seed, &toy.model, None, None).coins;
    spread(&mut coins, 1, opening, count);
    let base = view(&run(&toy, &seed, &toy.model, Some(&coins), None));
    let rows = jacobian(&toy, &seed, model_seed, &coins);
    let (shared, own): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.0 == "m.mask");
    Seen {
        view: base,
        own: own.into_iter().map(|row| row.2).collect(),
        shared: shared.into_iter().map(|row| (epoch, row.1, row.2)).collect(),
        known: determined(&toy.setup),
    }
}

const WEIGHTS: [i64; 4] = [2, -1, 0, 3];
/// 32 masks: more than any test uses.
const LOG_T: u8 = 5;

/// Rank of the joint view when only the first `masks` masks of each commitment are there.
fn joint_rank(seen: &[Seen], masks: usize) -> usize {
    let total: usize = seen.iter().map(|one| one.view.len()).sum();
    let mut basis = Basis::default();
    let mut rank = 0;
    let mut start = 0;
    let mut common = std::collections::BTreeMap::new();
    for one in seen {
        let placed = |row: &[F]| {
            let mut whole = vec![F::ZERO; total];
            whole[start..start + row.len()].copy_from_slice(row);
            whole
        };
        rank += one.own.iter().filter(|row| basis.insert(placed(row))).count();
        for (epoch, index, row) in one.shared.iter().filter(|row| row.1 < masks) {
            let whole = common.entry((*epoch, *index)).or_insert_with(|| vec![F::ZERO; total]);
            whole[start..start + row.len()].copy_from_slice(row);
        }
        start += one.view.len();
    }
    rank + common.into_values().filter(|row| basis.insert(row.clone())).count()
}

/// With room for three openings per commitment, four proofs and the link between two epochs hide
/// together: one commitment alone would have to hide four. One opening more than the counter allows
/// is seen, on either side of the link.
#[test]
fn hiding_holds_across_epochs_and_fails_without_the_counter() {
    let first = make_with(true, [1, 3], WEIGHTS, LOG_T).model;
    let first = Table::base(first.shape().clone(), first.base_rows(), &Seed::new([7; 32]), "z");
    let second = recommit(&first, first.shape().clone(), &Seed::new([8; 32])).unwrap();
    let epochs = Epochs { seeds: [Seed::new([7; 32]), Seed::new([8; 32])], tables: [first, second] };
    let opened = epochs.tables[0].shape().queries(toy().lambda);
    let full = |seen: &[Seen]| -> usize { seen.iter().map(|one| one.view.len() - one.known).sum() };
    // Per epoch two proofs and its side of the link.
    let budget = 3 * opened;
    assert!(budget < epochs.masks());
    let mut seen = vec![
        see_proof(&epochs, [1, 3], 21, (0, 0), opened),
        see_proof(&epochs, [3, 0], 22, (0, 1), opened),
        see_link(&epochs, [2, 2], opened),
        see_proof(&epochs, [2, 2], 23, (1, 0), opened),
        see_proof(&epochs, [0, 1], 24, (1, 1), opened),
    ];
    assert_eq!(joint_rank(&seen, budget), full(&seen), "four proofs and a link hide");
    assert!(joint_rank(&seen, budget - 1) < full(&seen), "every mask is needed");
    // The counter is bypassed: a third proof on the second epoch, then on the first.
    for epoch in [1, 0] {
        seen.push(see_proof(&epochs, [1, 1], 25, (epoch, 3), opened));
        assert!(joint_rank(&seen, budget) < full(&seen), "epoch {epoch} shows more than it hides");
        seen.pop();
    }
}
