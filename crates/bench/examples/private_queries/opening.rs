//! The conversation: one value of the weights' multilinear extension, proved without showing a column.
//!
//! | step | who      | says                                          | label        |
//! |------|----------|-----------------------------------------------|--------------|
//! | 0    | both     | sizes and the published nodes                 | `hdr`        |
//! | 1    | verifier | the point: column and row variables           | `point`      |
//! | 2    | prover   | the value; root of U, the fold of the rows    | `value`, `root.u` |
//! | 3    | both     | proof of work, then the positions             | `pow`, `query` |
//! | 4    | prover   | root of Y: columns, paths, S-boxes, pads; of Q | `root.y`, `root.pad` |
//! | 5    | verifier | the point of the S-box sum                    | `sbox`       |
//! | 6.j  | prover   | h at 0, 2, .., 7, masked                      | `sbox.round` |
//! | 6.j' | verifier | ρ_j                                           | `sbox.rho`   |
//! | 7    | prover   | x(ρ), uniform by the last row                 | `sbox.x`     |
//! | 8    | verifier | η, for the batch of all linear claims         | `eta`        |
//! | 9    | both     | the ladder over Y and U                       |              |
//!
//! In a whole proof the value would be no value but the ladder's running claim, U a part of the first inner oracle, and Y would
//! join it at the next level: what steps 3 to 8 cost is what a whole proof would pay.

use std::sync::OnceLock;

use algebra::multilinear::{bits, eq_points, eq_prefix, eq_table, power};
use algebra::slices::add_scaled_base;
use algebra::{F, K};
use oracle::{Carries, Opening, Plan, Role, Shape, Sizing, open, plan};
use prove::random::{Seed, Source};
use prove::{Functional as Given, Ladder, Table};
use tape::{End, ProverEnd, Reject, VerifierEnd};

use crate::clock::{Moment, Spent};
use crate::poseidon::{DIGEST, Digest, Poseidon};
use crate::relation::{DUMMIES, Functional, Rows, Trace, Weights, Wiring, entries_at};
use crate::tree::{Form, Tree};
use crate::zerocheck::{LOG_ROW, ROW, SAID, Zerocheck, interpolation, order};

/// All that both ends know before the first message.
pub struct Setup {
    pub form: Form,
    pub plan: Plan,
    cap: Vec<Digest>,
    wiring: Wiring,
}

impl Setup {
    /// None if the table of an opening has no valid parameters.
    pub fn new(form: Form, cap: &[Digest], sizing: &Sizing, poseidon: &Poseidon) -> Option<Self> {
        let fresh = sizing.fresh(first_pad(&form) + 2 * pads(&form), true)?;
        let folded = Shape { role: Role::Input, ..sizing.fresh(2 << form.log_c, true)? };
        let plan = plan(sizing, true, vec![fresh, folded])?;
        Some(Self { form, plan, cap: cap.to_vec(), wiring: Wiring::new(poseidon) })
    }

    fn header(&self) -> Vec<u8> {
        let Form { rows, log_c, log_n, log_cap, queries } = self.form;
        let sizes = [rows, log_c, log_n, log_cap, queries].into_iter().flat_map(|n| (n as u64).to_le_bytes());
        sizes.chain(self.cap.iter().flatten().flat_map(|x| x.to_bytes())).collect()
    }

    fn shape(&self, oracle: usize) -> &Shape {
        &self.plan.levels[0].oracles[oracle]
    }
}

/// Variables of the S-box sum.
fn variables(form: &Form) -> usize {
    LOG_ROW + bits(Rows::count(form))
}

fn pads(form: &Form) -> usize {
    SAID * variables(form)
}

/// Address of the first pad in Y, after all rows.
fn first_pad(form: &Form) -> usize {
    Rows::count(form) * ROW
}

/// const + ⟨κ, pads⟩.
struct Claim {
    constant: K,
    kappa: Vec<K>,
}

impl Claim {
    /// The next claim from h as said, with pads used up to now in `kappa`.
    fn round(&mut self, said: &[K], r: K, rho: K) -> Result<(), Reject> {
        if r == K::ZERO {
            return Err(Reject::ExceptionalChallenge { label: "sbox" });
        }
        let [zero, one, rest @ ..] = interpolation(rho);
        // h(1) = (claim − (1 − r)·h(0)) / r.
        let through = one * r.inverse();
        let weights = [&[zero - (K::ONE - r) * through], rest.as_slice()].concat();
        self.constant *= through;
        self.kappa.iter_mut().for_each(|x| *x *= through);
        self.constant += said.iter().zip(&weights).map(|(&m, &w)| m * w).sum();
        self.kappa.extend(weights);
        Ok(())
    }
}

/// Challenges that fix the functionals of the ladder.
struct Batch<'a> {
    setup: &'a Setup,
    rows: &'a Rows,
    weights: Weights,
    /// Row and column variables of the value.
    point: &'a [K],
    fold: &'a [K],
    rho: &'a [K],
    kappa: Vec<K>,
}

impl<'a> Batch<'a> {
    /// Powers of η: the value, the end of the S-box rounds, x(ρ), the columns, the published nodes.
    fn new(setup: &'a Setup, rows: &'a Rows, eta: K, parts: [&'a [K]; 3], kappa: &[K]) -> Self {
        let t = setup.form.queries;
        let powers: Vec<K> =
            core::iter::successors(Some(K::ONE), |&x| Some(x * eta)).take(3 + t + DIGEST * t).collect();
        let weights = Weights {
            sboxes: [powers[1], powers[2]],
            columns: powers[3..3 + t].to_vec(),
            caps: powers[3 + t..].as_chunks::<DIGEST>().0.to_vec(),
        };
        let [point, fold, rho] = parts;
        let kappa = kappa.iter().map(|&x| -(x * powers[1])).collect();
        Self { setup, rows, weights, point, fold, rho, kappa }
    }

    fn functional(&self) -> Functional<'_> {
        Functional::new(&self.setup.wiring, self.rows, &self.weights, self.fold, self.rho)
    }

    /// The claimed sum over Y and U.
    fn target(&self, value: K, end: K, x: K, functional: &Functional<'_>, positions: &[usize]) -> K {
        let [ends, through] = self.weights.sboxes;
        let cap =
            |position: usize| self.setup.cap[position >> (self.setup.form.log_n - self.setup.form.log_cap)];
        let nodes = positions.iter().zip(&self.weights.caps).map(|(&position, weights)| {
            weights.iter().zip(cap(position)).map(|(&weight, x)| weight.scale(x)).sum::<K>()
        });
        value + ends * (x.pow(7) + end) + through * x - functional.constant() + nodes.sum::<K>()
    }

    /// On U at an address point: entry 2c + b is part b of the fold's entry c.
    fn folded_at(&self, z: &[K], positions: &[usize]) -> K {
        let log_c = self.setup.form.log_c;
        let (part, column) = (K::ONE - z[0] + K::SQRT7 * z[0], &z[1..=log_c]);
        let above: K = z[log_c + 1..].iter().map(|&x| K::ONE - x).product();
        let omega = F::root_of_unity(self.setup.form.log_n as u32).unwrap_or(F::ONE);
        let powers = positions.iter().zip(&self.weights.columns);
        let powers = powers.map(|(&position, &weight)| weight * power(column, omega.pow(position as u64)));
        part * above * (eq_points(&self.point[..log_c], column) - powers.sum::<K>())
    }

    fn at(&self, oracle: usize, z: &[K], functional: &Functional<'_>, positions: &[usize]) -> K {
        match oracle {
            0 => functional.at(z) + entries_at(first_pad(&self.setup.form), &pairs(&self.kappa), z),
            _ => self.folded_at(z, positions),
        }
    }

    fn sized(&self, mut list: Vec<K>, oracle: usize) -> Given {
        let shape = self.setup.shape(oracle);
        list.resize(shape.rows * shape.data(), K::ZERO);
        Given::Dense(list)
    }

    /// The functional on Y, entry by entry.
    fn fresh(&self, functional: &Functional<'_>) -> Given {
        let mut fresh = functional.dense();
        fresh.extend(pairs(&self.kappa));
        self.sized(fresh, 0)
    }

    /// The functional on U, entry by entry.
    fn folded(&self, positions: &[usize], tree: &Tree) -> Given {
        let sparse = |pick: fn(K) -> F| {
            let weights = positions.iter().zip(&self.weights.columns);
            let list: Vec<(usize, F)> =
                weights.map(|(&position, &weight)| (position, pick(weight))).collect();
            tree.ntt().powers_first(&list, 1 << self.setup.form.log_c)
        };
        let powers = sparse(|x| x.c0).into_iter().zip(sparse(|x| x.c1)).map(|(c0, c1)| K::new(c0, c1));
        let eq = eq_table(&self.point[..self.setup.form.log_c]);
        let folded: Vec<K> = eq.into_iter().zip(powers).map(|(eq, power)| eq - power).collect();
        self.sized(pairs(&folded), 1)
    }
}

/// Weights of both parts of elements of K.
fn pairs(weights: &[K]) -> Vec<K> {
    weights.iter().flat_map(|&x| [x, x * K::SQRT7]).collect()
}

/// Both ends.
pub fn converse<'a, E: End>(
    end: &mut E,
    setup: &Setup,
    knows: &mut E::Knows<Prover<'a>>,
) -> Result<(), Reject> {
    let form = &setup.form;
    end.bind("hdr", &setup.header());
    let point = end.draws("point", form.log_c + bits(form.rows));
    let fold = eq_prefix(&point[form.log_c..], form.rows);
    let value = end.say("value", 1, knows, |w: &mut Prover<'a>| vec![w.fold_rows(&fold, &point)])?[0];
    let mut roots = [[0; 32]; 2];
    roots[1] = end.say_root("root.u", knows, |w: &mut Prover<'a>| w.commit_fold())?;
    end.grind(setup.plan.sizing.grind)?;
    let positions = end.indices(form.log_n as u32, form.queries);
    let rows = Rows::new(*form, positions.clone());
    roots[0] = end.say_root("root.y", knows, |w: &mut Prover<'a>| w.commit_fresh(&rows))?;
    let pad_root = Some(end.say_root("root.pad", knows, |w: &mut Prover<'a>| w.ladder.pad_root())?);
    let (rho, claim) = sboxes(end, setup, knows)?;
    let x = end.say("sbox.x", 1, knows, |w: &mut Prover<'a>| vec![w.check_end()])?[0];
    let eta = end.draw("eta");
    let batch = Batch::new(setup, &rows, eta, [&point, &fold, &rho], &claim.kappa);
    let functional = batch.functional();
    if !functional.hides() {
        return Err(Reject::ExceptionalChallenge { label: "sbox.rho" });
    }
    let target = batch.target(value, claim.constant, x, &functional, &positions);
    end.act(knows, |w: &mut Prover<'a>| {
        let fresh = batch.fresh(&functional);
        w.now("functional of Y");
        w.begin(vec![fresh, batch.folded(&positions, w.tree)]);
    });
    let opening = Opening { plan: &setup.plan, roots: &roots, pad_root, target };
    let result = open(end, &opening, |a, z| batch.at(a, z, &functional, &positions), knows);
    end.act(knows, |w: &mut Prover<'a>| w.now("ladder"));
    result
}

/// The S-box rounds: their point and what they leave.
fn sboxes<'a, E: End>(
    end: &mut E,
    setup: &Setup,
    knows: &mut E::Knows<Prover<'a>>,
) -> Result<(Vec<K>, Claim), Reject> {
    let count = variables(&setup.form);
    let point = end.draws("sbox", count);
    end.act(knows, |w: &mut Prover<'a>| w.start_check(&point));
    let mut claim = Claim { constant: K::ZERO, kappa: Vec::new() };
    let mut rho = vec![K::ZERO; count];
    for j in order(count) {
        let said = end.say("sbox.round", SAID, knows, |w: &mut Prover<'a>| w.check_round(j))?;
        rho[j] = end.draw("sbox.rho");
        claim.round(&said, point[j], rho[j])?;
        end.act(knows, |w: &mut Prover<'a>| w.check_fold(j, rho[j]));
    }
    Ok((rho, claim))
}

/// What a cheating prover does otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cheat {
    /// Nothing.
    Honest,
    /// Folds other rows than it has committed.
    Fold,
    /// One S-box gives a wrong result, all else follows.
    Sbox { query: usize, step: usize },
    /// An element of a column, or of a node beside a path, with all that follows from it.
    Taken { query: usize, step: usize },
}

/// Tables that are made on the way.
#[derive(Default)]
pub struct Tables([OnceLock<Table>; 2]);

/// What the prover holds.
pub struct Prover<'a> {
    setup: &'a Setup,
    tree: &'a Tree,
    poseidon: &'a Poseidon,
    tables: &'a Tables,
    seed: &'a Seed,
    ladder: Ladder<'a, Seed>,
    cheat: Cheat,
    folded: Vec<K>,
    trace: Trace,
    check: Option<Zerocheck>,
    pads: Vec<K>,
    used: usize,
    times: Vec<(&'static str, Moment)>,
}

impl<'a> Prover<'a> {
    fn new(
        setup: &'a Setup,
        tree: &'a Tree,
        poseidon: &'a Poseidon,
        tables: &'a Tables,
        ladder: Ladder<'a, Seed>,
        seed: &'a Seed,
    ) -> Self {
        let trace = Trace { y: Vec::new(), x: Vec::new() };
        let (folded, pads, check, times, used) = (Vec::new(), Vec::new(), None, Vec::new(), 0);
        let cheat = Cheat::Honest;
        Self { setup, tree, poseidon, tables, seed, ladder, cheat, folded, trace, check, pads, used, times }
    }

    fn now(&mut self, step: &'static str) {
        self.times.push((step, Moment::now()));
    }

    fn fold_rows(&mut self, fold: &[K], point: &[K]) -> K {
        self.now("start");
        let width = 1 << self.setup.form.log_c;
        self.folded = vec![K::ZERO; width];
        for (&weight, row) in fold.iter().zip(self.tree.data.chunks_exact(width)) {
            add_scaled_base(&mut self.folded, weight, row);
        }
        if self.cheat == Cheat::Fold {
            self.folded[width / 2] += K::ONE;
        }
        let eq = eq_table(&point[..self.setup.form.log_c]);
        algebra::slices::dot(&eq, &self.folded)
    }

    fn commit(&self, oracle: usize, mut rows: Vec<F>, name: &str) -> [u8; 32] {
        let shape = self.setup.shape(oracle).clone();
        rows.resize(shape.rows * shape.data(), F::ZERO);
        self.tables.0[oracle].get_or_init(|| Table::base(shape, rows, self.seed, name)).root()
    }

    fn commit_fold(&mut self) -> [u8; 32] {
        let root = self.commit(1, self.folded.iter().flat_map(|x| [x.c0, x.c1]).collect(), "u");
        self.now("fold");
        root
    }

    fn commit_fresh(&mut self, rows: &Rows) -> [u8; 32] {
        self.now("positions");
        let dummies = self.seed.base("y.dummy", DUMMIES);
        self.trace = Trace::new(rows, self.tree, self.poseidon, &dummies, self.cheat);
        self.now("trace");
        let words = self.seed.base("y.pad", 2 * pads(&self.setup.form));
        self.pads = words.as_chunks::<2>().0.iter().map(|&[c0, c1]| K::new(c0, c1)).collect();
        let root = self.commit(0, [self.trace.y.as_slice(), &words].concat(), "y");
        self.now("commit");
        root
    }

    fn start_check(&mut self, point: &[K]) {
        self.check = Some(Zerocheck::new([&self.trace.x, &self.trace.results()], point));
    }

    fn check_round(&mut self, j: usize) -> Vec<K> {
        let said = self.check.as_ref().map(|check| check.round(j)).unwrap_or_default();
        let pads = &self.pads[self.used..];
        self.used += SAID;
        said.into_iter().zip(pads).map(|(h, &pad)| h - pad).collect()
    }

    fn check_fold(&mut self, j: usize, rho: K) {
        self.check.iter_mut().for_each(|check| check.fold(j, rho));
    }

    fn check_end(&mut self) -> K {
        self.now("S-boxes");
        self.check.take().map_or(K::ZERO, |check| check.end())
    }

    fn begin(&mut self, functionals: Vec<Given>) {
        self.now("functional of U");
        self.ladder.begin(self.tables.0.iter().filter_map(OnceLock::get).collect(), functionals);
    }
}

impl<'a> Carries for Prover<'a> {
    type Part = Ladder<'a, Seed>;
    fn carried(&self) -> &Self::Part {
        &self.ladder
    }
    fn carried_mut(&mut self) -> &mut Self::Part {
        &mut self.ladder
    }
}

/// What opening U alone takes, as the ladder would do it anyway: to subtract.
pub struct Bare {
    pub proving: Spent,
    pub verifying: Spent,
    pub bytes: usize,
}

/// Opens U alone, one entry of it.
pub fn bare(setup: &Setup, tree: &Tree, poseidon: &Poseidon, seed: &Seed) -> Option<Bare> {
    let shape = setup.shape(1).clone();
    let alone = plan(&setup.plan.sizing, true, vec![shape.clone()])?;
    let table = Table::base(shape.clone(), vec![F::ONE; shape.rows * shape.data()], seed, "u");
    let (tables, roots) = (Tables::default(), [table.root()]);
    rayon::scope(|_| {
        let start = Moment::now();
        let mut prover = Prover::new(setup, tree, poseidon, &tables, Ladder::new(&alone, seed), seed);
        let mut functional = vec![K::ZERO; shape.rows * shape.data()];
        functional[0] = K::ONE;
        prover.ladder.begin(vec![&table], vec![Given::Dense(functional)]);
        let pad_root = Some(prover.ladder.pad_root());
        let opening = Opening { plan: &alone, roots: &roots, pad_root, target: K::ONE };
        let at = |_: usize, z: &[K]| z.iter().map(|&x| K::ONE - x).product();
        let mut end = ProverEnd::new(&[]);
        open(&mut end, &opening, at, &mut prover).ok()?;
        let (bytes, middle) = (end.finish().0, Moment::now());
        open::<_, Prover<'_>>(&mut VerifierEnd::new(&bytes), &opening, at, &mut ()).ok()?;
        let verifying = Moment::now().since(&middle);
        Some(Bare { proving: middle.since(&start), verifying, bytes: bytes.len() })
    })
}

/// A proof.
pub struct Made {
    pub bytes: Vec<u8>,
    /// When each step of the prover ended.
    pub times: Vec<(&'static str, Moment)>,
}

/// Proves; `seed` must be fresh.
pub fn prove(
    setup: &Setup,
    tree: &Tree,
    poseidon: &Poseidon,
    seed: &Seed,
    cheat: Cheat,
) -> Result<Made, Reject> {
    let tables = Tables::default();
    rayon::scope(|_| {
        let ladder = Ladder::new(&setup.plan, seed);
        let mut prover = Prover { cheat, ..Prover::new(setup, tree, poseidon, &tables, ladder, seed) };
        let mut end = ProverEnd::new(&[]);
        converse(&mut end, setup, &mut prover)?;
        Ok(Made { bytes: end.finish().0, times: std::mem::take(&mut prover.times) })
    })
}

/// Verifies.
pub fn verify(setup: &Setup, proof: &[u8]) -> Result<(), Reject> {
    let mut end = VerifierEnd::new(proof);
    converse(&mut end, setup, &mut ())?;
    end.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> (Poseidon, Tree, Setup) {
        let form = Form { rows: 9, log_c: 4, log_n: 7, log_cap: 2, queries: 24 };
        let poseidon = Poseidon::new();
        let data = (0..form.rows as u64 * 16).map(|i| F::new(i * i)).collect();
        let tree = Tree::new(form, data, &poseidon, &Seed::new([1; 32]));
        let setup = Setup::new(form, tree.cap(), &Sizing::v1(84, 4), &poseidon).unwrap();
        (poseidon, tree, setup)
    }

    #[test]
    fn honest_proofs_are_accepted_and_false_ones_refused() {
        let (poseidon, tree, setup) = small();
        let proof = |seed: u8, cheat| opening_bytes(&setup, &tree, &poseidon, seed, cheat);
        for seed in 2..6 {
            assert_eq!(verify(&setup, &proof(seed, Cheat::Honest)), Ok(()));
        }
        let last = setup.form.steps() - 1;
        let mut cheats = vec![Cheat::Fold];
        // A part of a column, a node beside the path, an S-box: of the first and the last query.
        for (query, step) in [(0, 0), (23, 1), (0, 2), (23, last)] {
            cheats.extend([Cheat::Taken { query, step }, Cheat::Sbox { query, step }]);
        }
        for cheat in cheats {
            assert_eq!(verify(&setup, &proof(7, cheat)), Err(Reject::Reply), "{cheat:?}");
        }
    }

    fn opening_bytes(setup: &Setup, tree: &Tree, poseidon: &Poseidon, seed: u8, cheat: Cheat) -> Vec<u8> {
        prove(setup, tree, poseidon, &Seed::new([seed; 32]), cheat).unwrap().bytes
    }

    #[test]
    fn changed_bytes_and_other_commitments_are_refused() {
        let (poseidon, tree, mut setup) = small();
        let proof = opening_bytes(&setup, &tree, &poseidon, 2, Cheat::Honest);
        for at in (0..proof.len()).step_by(997).chain([proof.len() - 1]) {
            let mut other = proof.clone();
            other[at] ^= 1;
            assert!(verify(&setup, &other).is_err(), "byte {at}");
        }
        assert!(verify(&setup, &proof[..proof.len() - 1]).is_err());
        setup.cap[0][0] += F::ONE;
        assert!(verify(&setup, &proof).is_err());
    }
}
