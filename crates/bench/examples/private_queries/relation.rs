//! What the fresh table Y holds, and the linear claims about it.
//!
//! Row p = l·t + i of Y is permutation l of query i, the last row is for hiding. A row of 128 entries: the 118
//! results of S-boxes, then up to 8 elements taken in (a leaf's part, or the node beside the path). All that an S-box
//! is applied to is a linear function of its own row and of the row before it, p − t: nothing else is committed.

use algebra::multilinear::{eq_index, eq_prefix};
use algebra::{F, K};

use crate::opening::Cheat;
use crate::poseidon::{
    DIGEST, Digest, LEAF, NODE, Poseidon, RATE, SBOXES, State, WIDTH, digest, external, seventh,
};
use crate::tree::{Form, Tree};
use crate::zerocheck::{LOG_ROW, ROW};

/// Entries of one row that its S-boxes depend on: results, then the state taken in.
const INSIDE: usize = SBOXES + WIDTH;
/// S-boxes of the last full round.
const LAST: usize = SBOXES - WIDTH;
/// Random S-boxes in the last row: two elements of F make x(ρ) uniform in K.
pub const DUMMIES: usize = 2;

/// What a row takes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    First,
    Leaf,
    /// The path comes from the left, or from the right.
    Node(usize),
    Dummy,
}

const KINDS: [Kind; 5] = [Kind::First, Kind::Leaf, Kind::Node(0), Kind::Node(1), Kind::Dummy];

impl Kind {
    fn index(self) -> usize {
        KINDS.iter().position(|&kind| kind == self).unwrap_or(0)
    }
}

/// The rows of one opening.
pub struct Rows {
    pub form: Form,
    positions: Vec<usize>,
}

impl Rows {
    pub fn new(form: Form, positions: Vec<usize>) -> Self {
        Self { form, positions }
    }

    /// Number of rows with the last.
    pub fn count(form: &Form) -> usize {
        form.permutations() + 1
    }

    fn kind(&self, p: usize) -> Kind {
        let (t, leaf) = (self.positions.len(), self.form.leaf_steps());
        match p / t {
            _ if p == t * self.form.steps() => Kind::Dummy,
            0 => Kind::First,
            l if l < leaf => Kind::Leaf,
            l => Kind::Node((self.positions[p % t] >> (l - leaf)) & 1),
        }
    }
}

/// What the prover commits after it knows the positions: results and elements taken in, and what the S-boxes
/// are applied to, which is not committed.
pub struct Trace {
    pub y: Vec<F>,
    pub x: Vec<F>,
}

impl Trace {
    /// Follows the paths up. `dummies` are random.
    pub fn new(rows: &Rows, tree: &Tree, poseidon: &Poseidon, dummies: &[F], cheat: Cheat) -> Self {
        let size = Rows::count(&rows.form) * ROW;
        let mut trace = Self { y: vec![F::ZERO; size], x: vec![F::ZERO; size] };
        let (t, leaf) = (rows.positions.len(), rows.form.leaf_steps());
        for (i, &position) in rows.positions.iter().enumerate() {
            let mut state = [F::ZERO; WIDTH];
            state[RATE..].copy_from_slice(&LEAF);
            for l in 0..rows.form.steps() {
                let mut taken: Vec<F> = match l.checked_sub(leaf) {
                    None => (0..RATE).map(|k| tree.element(position, l * RATE + k)).collect(),
                    Some(level) => tree.sibling(level, position).to_vec(),
                };
                taken[0] += if cheat == (Cheat::Taken { query: i, step: l }) { F::ONE } else { F::ZERO };
                match l.checked_sub(leaf) {
                    None => state[..RATE].copy_from_slice(&taken),
                    Some(level) => {
                        let mut pair = [digest(&state), core::array::from_fn(|k| taken[k])];
                        pair.rotate_left((position >> level) & 1);
                        state = Poseidon::node(pair);
                    }
                }
                let wrong = (cheat == Cheat::Sbox { query: i, step: l }).then_some(SBOXES / 2);
                state = trace.permute((l * t + i) * ROW, &taken, state, (poseidon, wrong));
            }
        }
        let last = size - ROW;
        for (k, &x) in dummies.iter().enumerate() {
            (trace.x[last + k], trace.y[last + k], trace.y[last + SBOXES + k]) = (x, seventh(x), x);
        }
        trace
    }

    /// The results alone: what else a row holds comes from no S-box.
    pub fn results(&self) -> Vec<F> {
        let mut all = self.y.clone();
        all.chunks_exact_mut(ROW).for_each(|row| row[SBOXES..].fill(F::ZERO));
        all
    }

    /// Notes a permutation; the S-box `wrong` gives a wrong result.
    fn permute(
        &mut self,
        at: usize,
        taken: &[F],
        state: State,
        (poseidon, wrong): (&Poseidon, Option<usize>),
    ) -> State {
        self.y[at + SBOXES..at + SBOXES + taken.len()].copy_from_slice(taken);
        poseidon.rounds(state, true, |j, x| {
            self.x[at + j] = x;
            self.y[at + j] = seventh(x) + if wrong == Some(j) { F::ONE } else { F::ZERO };
            self.y[at + j]
        })
    }
}

/// x of all S-boxes as an affine function of the entries inside a row.
pub struct Wiring {
    /// For each entry inside, its part in every x.
    columns: Vec<[F; SBOXES]>,
    constant: [F; SBOXES],
    /// For each result of the last round, its part in the final state.
    ends: [State; WIDTH],
}

impl Wiring {
    pub fn new(poseidon: &Poseidon) -> Self {
        let run = |entry: Option<usize>| {
            let mut x = [F::ZERO; SBOXES];
            let unit = |k: usize| if entry == Some(k) { F::ONE } else { F::ZERO };
            let start = core::array::from_fn(|k| unit(SBOXES + k));
            poseidon.rounds(start, entry.is_none(), |j, found| {
                x[j] = found;
                unit(j)
            });
            x
        };
        let end = |k: usize| {
            let mut state = [F::ZERO; WIDTH];
            state[k] = F::ONE;
            external(&mut state);
            state
        };
        Self {
            columns: (0..INSIDE).map(|k| run(Some(k))).collect(),
            constant: run(None),
            ends: core::array::from_fn(end),
        }
    }

    /// Element `which` of the final state as weights of a row.
    fn add_end(&self, row: &mut [K], which: usize, weight: K) {
        for (k, state) in self.ends.iter().enumerate() {
            row[LAST + k] += weight.scale(state[which]);
        }
    }
}

/// Weights of the claims.
pub struct Weights {
    /// Of y(ρ) and of x(ρ).
    pub sboxes: [K; 2],
    /// Of the folded column of query i.
    pub columns: Vec<K>,
    /// Of the node that query i ends in.
    pub caps: Vec<[K; DIGEST]>,
}

/// The functional on Y: per kind of row, weights of the row itself and of the row before it.
pub struct Functional<'a> {
    rows: &'a Rows,
    weights: &'a Weights,
    fold: &'a [K],
    /// eq(ρ, p).
    eq: Vec<K>,
    own: Vec<Vec<K>>,
    before: Vec<Vec<K>>,
    constant: Vec<K>,
    ends: [Vec<K>; DIGEST],
}

impl<'a> Functional<'a> {
    /// At the point ρ of the S-box rounds; `fold` are the weights that fold a column.
    pub fn new(wiring: &Wiring, rows: &'a Rows, weights: &'a Weights, fold: &'a [K], rho: &[K]) -> Self {
        let [weight, through] = weights.sboxes;
        let eq = eq_prefix(&rho[..LOG_ROW], ROW);
        let mix = |column: &[F; SBOXES]| column.iter().zip(&eq).map(|(&a, &e)| e.scale(a)).sum::<K>();
        let inside: Vec<K> = wiring.columns.iter().map(|column| mix(column) * through).collect();
        let taken = &inside[SBOXES..];
        let results: Vec<K> = (0..SBOXES).map(|k| eq[k] * weight).collect();
        let start = mix(&wiring.constant) * through;
        let fixed = |c: Digest| taken[RATE..].iter().zip(c).map(|(&a, c)| a.scale(c)).sum::<K>();
        let (mut own, mut before, mut constant) = (Vec::new(), Vec::new(), Vec::new());
        for kind in KINDS {
            let (mut row, mut back) = (vec![K::ZERO; ROW], vec![K::ZERO; ROW]);
            row[..SBOXES].copy_from_slice(&results);
            if kind != Kind::Dummy {
                row.iter_mut().zip(&inside[..SBOXES]).for_each(|(slot, &x)| *slot += x);
            }
            let mut from = |first: usize, end: usize| {
                (0..DIGEST).for_each(|q| wiring.add_end(&mut back, end + q, taken[first + q]));
            };
            match kind {
                Kind::First | Kind::Leaf => row[SBOXES..SBOXES + RATE].copy_from_slice(&taken[..RATE]),
                Kind::Node(side) => {
                    let beside = (1 - side) * DIGEST;
                    row[SBOXES..SBOXES + DIGEST].copy_from_slice(&taken[beside..beside + DIGEST]);
                    from(side * DIGEST, 0);
                }
                Kind::Dummy => (0..DUMMIES).for_each(|k| row[SBOXES + k] = eq[k] * through),
            }
            constant.push(match kind {
                Kind::First => start + fixed(LEAF),
                Kind::Leaf => start,
                Kind::Node(_) => start + fixed(NODE),
                Kind::Dummy => K::ZERO,
            });
            if kind == Kind::Leaf {
                from(RATE, RATE);
            }
            own.push(row);
            before.push(back);
        }
        let end = |q: usize| {
            let mut row = vec![K::ZERO; ROW];
            wiring.add_end(&mut row, q, K::ONE);
            row
        };
        let eq = eq_prefix(&rho[LOG_ROW..], Rows::count(&rows.form));
        Self { rows, weights, fold, eq, own, before, constant, ends: core::array::from_fn(end) }
    }

    /// Whether the random S-boxes make x(ρ) uniform: their weights span K over F, but for 1 in 2^64 of all ρ.
    pub fn hides(&self) -> bool {
        let last = self.eq.last().copied().unwrap_or_default();
        let dummy = &self.own[Kind::Dummy.index()];
        let [a, b] = [SBOXES, SBOXES + 1].map(|k| dummy[k] * last);
        a.c0 * b.c1 != a.c1 * b.c0
    }

    /// What the functional lacks to x(ρ): the part that is no committed value.
    pub fn constant(&self) -> K {
        self.eq.iter().enumerate().map(|(p, &e)| e * self.constant[self.rows.kind(p).index()]).sum()
    }

    /// The weight of the row after p, and its kind.
    fn after(&self, p: usize) -> Option<(K, usize)> {
        let next = p + self.rows.positions.len();
        (next + 1 < self.eq.len()).then(|| (self.eq[next], self.rows.kind(next).index()))
    }

    /// All weights: the prover's side.
    pub fn dense(&self) -> Vec<K> {
        use algebra::slices::add_scaled;
        use rayon::prelude::*;
        let t = self.rows.positions.len();
        let mut all = vec![K::ZERO; self.eq.len() * ROW];
        all.par_chunks_exact_mut(ROW).with_min_len(16).enumerate().for_each(|(p, row)| {
            add_scaled(row, self.eq[p], &self.own[self.rows.kind(p).index()]);
            if let Some((weight, kind)) = self.after(p) {
                add_scaled(&mut row[LAST..SBOXES], weight, &self.before[kind][LAST..SBOXES]);
            }
            for (k, slot) in row[SBOXES..].iter_mut().enumerate().take(RATE) {
                *slot += self.column_weight(p, k);
            }
            if p / t + 1 == self.rows.form.steps() {
                let caps = self.weights.caps[p % t].iter().zip(&self.ends);
                caps.for_each(|(&weight, end)| add_scaled(row, weight, end));
            }
        });
        all
    }

    /// Weight of element k that row p takes in, as a part of a column.
    fn column_weight(&self, p: usize, k: usize) -> K {
        let t = self.rows.positions.len();
        let element = (p / t * RATE + k).checked_sub(DIGEST);
        let fold = element.filter(|_| p / t < self.rows.form.leaf_steps()).and_then(|r| self.fold.get(r));
        fold.map_or(K::ZERO, |&fold| fold * self.weights.columns[p % t])
    }

    /// The multilinear extension of [`Self::dense`] at a point: the verifier's side.
    pub fn at(&self, z: &[K]) -> K {
        let t = self.rows.positions.len();
        let inner = eq_prefix(&z[..LOG_ROW], ROW);
        let outer = eq_prefix(&z[LOG_ROW..], self.eq.len());
        let dot = |row: &[K]| row.iter().zip(&inner).map(|(&a, &b)| a * b).sum::<K>();
        let (mut own, mut before) = ([K::ZERO; KINDS.len()], [K::ZERO; KINDS.len()]);
        for (p, &there) in outer.iter().enumerate() {
            own[self.rows.kind(p).index()] += there * self.eq[p];
            if let Some((weight, kind)) = self.after(p) {
                before[kind] += there * weight;
            }
        }
        let rows = self.own.iter().zip(own).chain(self.before.iter().zip(before));
        let mut value: K = rows.map(|(row, sum)| dot(row) * sum).sum();
        for l in 0..self.rows.form.leaf_steps() {
            let queries = self.weights.columns.iter().zip(&outer[l * t..]);
            let sum: K = queries.map(|(&weight, &there)| weight * there).sum();
            let folds =
                (0..RATE).filter_map(|k| Some((k, *self.fold.get((l * RATE + k).checked_sub(DIGEST)?)?)));
            value += sum * folds.map(|(k, fold)| fold * inner[SBOXES + k]).sum::<K>();
        }
        for (q, end) in self.ends.iter().enumerate() {
            let queries = self.weights.caps.iter().zip(&outer[(self.rows.form.steps() - 1) * t..]);
            value += dot(end) * queries.map(|(weight, &there)| weight[q] * there).sum::<K>();
        }
        value
    }
}

/// Weights of single entries from an address on, at a point.
pub fn entries_at(first: usize, weights: &[K], z: &[K]) -> K {
    weights.iter().zip(first..).map(|(&weight, address)| weight * eq_index(z, address)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use algebra::multilinear::evaluate;
    use prove::random::Seed;

    fn k(i: usize) -> K {
        let word = |i: usize| F::new((i as u64 + 3).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        K::new(word(i), word(i + 1000))
    }

    fn some(first: usize, count: usize) -> Vec<K> {
        (first..first + count).map(k).collect()
    }

    /// Rows, their trace, and the published nodes on their paths.
    fn small() -> (Rows, Trace, Vec<Digest>) {
        let form = Form { rows: 9, log_c: 2, log_n: 5, log_cap: 2, queries: 3 };
        let (data, poseidon) = ((0..36).map(F::new).collect(), Poseidon::new());
        let tree = Tree::new(form, data, &poseidon, &Seed::new([1; 32]));
        let rows = Rows::new(form, vec![2, 13, 31]);
        let dummies = [F::new(5), F::new(6)];
        let trace = Trace::new(&rows, &tree, &poseidon, &dummies, Cheat::Honest);
        let caps = rows.positions.iter().map(|&position| tree.cap()[position >> 3]).collect();
        (rows, trace, caps)
    }

    fn weights(only: usize) -> Weights {
        let pick = |which: usize, list: Vec<K>| if which == only { list } else { vec![K::ZERO; list.len()] };
        Weights {
            sboxes: [pick(0, some(1, 1))[0], pick(1, some(2, 1))[0]],
            columns: pick(2, some(3, 3)),
            caps: pick(3, some(10, 12)).as_chunks::<DIGEST>().0.to_vec(),
        }
    }

    /// Each claim's functional, on an honest table, gives what it is about.
    #[test]
    fn functionals_say_what_they_mean() {
        let (rows, trace, caps) = small();
        let (wiring, fold) = (Wiring::new(&Poseidon::new()), some(30, 9));
        let rho = some(50, LOG_ROW + 4);
        let lift = |list: &[F]| list.iter().map(|&x| K::from(x)).collect::<Vec<K>>();
        let column = |i: usize| {
            let entry =
                |r: usize| trace.y[((DIGEST + r) / RATE * 3 + i) * ROW + SBOXES + (DIGEST + r) % RATE];
            fold.iter().enumerate().map(|(r, &e)| e.scale(entry(r))).sum::<K>()
        };
        for only in 0..4 {
            let weights = weights(only);
            let expected = match only {
                0 => evaluate(&lift(&trace.results()), &rho) * k(1),
                1 => evaluate(&lift(&trace.x), &rho) * k(2),
                2 => (0..3).map(|i| weights.columns[i] * column(i)).sum(),
                _ => (0..12).map(|i| k(10 + i).scale(caps[i / 4][i % 4])).sum(),
            };
            let functional = Functional::new(&wiring, &rows, &weights, &fold, &rho);
            let dense = functional.dense();
            let sum: K = dense.iter().zip(&trace.y).map(|(&v, &y)| v.scale(y)).sum();
            let constant = if only == 1 { functional.constant() } else { K::ZERO };
            assert_eq!(sum + constant, expected, "{only}");
            let z = some(70, LOG_ROW + 6);
            assert_eq!(functional.at(&z), evaluate(&dense, &z), "{only}");
        }
    }
}
