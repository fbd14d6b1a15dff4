//! A commitment whose columns are never shown: code words of the weights under an algebraic tree.

use algebra::F;
use algebra::ntt::Ntt;
use prove::random::{Seed, Source};
use rayon::prelude::*;
use std::sync::Arc;

use crate::poseidon::{DIGEST, Digest, LEAF, Poseidon, RATE, State, WIDTH, digest};

/// Sizes of a commitment and of its opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// R.
    pub rows: usize,
    /// lg C.
    pub log_c: usize,
    /// lg n.
    pub log_n: usize,
    /// lg of the number of nodes that are published.
    pub log_cap: usize,
    /// t: positions of one opening.
    pub queries: usize,
}

impl Form {
    /// Permutations of a leaf: a salt, then the column.
    pub fn leaf_steps(&self) -> usize {
        (DIGEST + self.rows).div_ceil(RATE)
    }

    /// Permutations of one opened position.
    pub fn steps(&self) -> usize {
        self.leaf_steps() + self.log_n - self.log_cap
    }

    /// Permutations of one opening.
    pub fn permutations(&self) -> usize {
        self.queries * self.steps()
    }

    /// Permutations of the whole tree.
    pub fn committing(&self) -> usize {
        let n = 1 << self.log_n;
        n * self.leaf_steps() + n - (1 << self.log_cap)
    }
}

/// What the owner keeps.
pub struct Tree {
    /// Sizes.
    pub form: Form,
    /// The weights, row by row.
    pub data: Vec<F>,
    /// Code words, in the transform's order.
    code: Vec<F>,
    salts: Vec<F>,
    /// Leaves first; the last level is what is published.
    levels: Vec<Vec<Digest>>,
    ntt: Arc<Ntt>,
}

/// Leaves hashed by one task.
const TASK: usize = 256;

impl Tree {
    /// Commits R·C weights.
    pub fn new(form: Form, data: Vec<F>, poseidon: &Poseidon, seed: &Seed) -> Self {
        let (n, width) = (1 << form.log_n, 1 << form.log_c);
        let ntt = Ntt::shared(form.log_n as u32);
        let mut code = vec![F::ZERO; form.rows * n];
        code.par_chunks_exact_mut(n).zip(data.par_chunks_exact(width)).for_each(|(word, row)| {
            word[..width].copy_from_slice(row);
            ntt.forward_padded(word, width);
        });
        let salts = seed.base("m.salt", DIGEST * n);
        let mut tree = Self { form, data, code, salts, levels: Vec::new(), ntt };
        let mut leaves = vec![Digest::default(); n];
        leaves.par_chunks_mut(TASK).enumerate().for_each(|(i, out)| tree.leaves(i * TASK, out, poseidon));
        tree.levels = vec![leaves];
        for _ in form.log_cap..form.log_n {
            let parents = parents(&tree.levels[tree.levels.len() - 1], poseidon);
            tree.levels.push(parents);
        }
        tree
    }

    fn leaves(&self, first: usize, out: &mut [Digest], poseidon: &Poseidon) {
        let mut states = vec![[F::ZERO; WIDTH]; out.len()];
        states.iter_mut().for_each(|state| state[RATE..].copy_from_slice(&LEAF));
        for step in 0..self.form.leaf_steps() {
            for (state, position) in states.iter_mut().zip(first..) {
                (0..RATE).for_each(|k| state[k] = self.element(position, step * RATE + k));
            }
            poseidon.permute_all(&mut states);
        }
        out.iter_mut().zip(&states).for_each(|(slot, state)| *slot = digest(state));
    }

    /// Element i of what the leaf at a position hashes: salt, column, zeros.
    pub fn element(&self, position: usize, i: usize) -> F {
        match i.checked_sub(DIGEST) {
            None => self.salts[position * DIGEST + i],
            Some(row) if row < self.form.rows => self.code[row * self.ntt.len() + self.ntt.slot(position)],
            Some(_) => F::ZERO,
        }
    }

    /// The node beside the one on a position's path, at this level.
    pub fn sibling(&self, level: usize, position: usize) -> Digest {
        self.levels[level][(position >> level) ^ 1]
    }

    /// What is published.
    pub fn cap(&self) -> &[Digest] {
        &self.levels[self.levels.len() - 1]
    }

    /// Of the length of the code.
    pub fn ntt(&self) -> &Ntt {
        &self.ntt
    }
}

fn parents(children: &[Digest], poseidon: &Poseidon) -> Vec<Digest> {
    let mut parents = vec![Digest::default(); children.len() / 2];
    let pairs = children.as_chunks::<2>().0;
    parents.par_chunks_mut(TASK).zip(pairs.par_chunks(TASK)).for_each(|(out, pairs)| {
        let mut states: Vec<State> = pairs.iter().map(|&pair| Poseidon::node(pair)).collect();
        poseidon.permute_all(&mut states);
        out.iter_mut().zip(&states).for_each(|(slot, state)| *slot = digest(state));
    });
    parents
}
