//! Poseidon2 of width 12 over F, with what a proof needs of it: every S-box, and the linear map between them.

use algebra::F;
use p3_field::{Field, PrimeField64};
use p3_goldilocks::{
    GOLDILOCKS_POSEIDON2_RC_12_EXTERNAL_FINAL as LAST, GOLDILOCKS_POSEIDON2_RC_12_EXTERNAL_INITIAL as FIRST,
    GOLDILOCKS_POSEIDON2_RC_12_INTERNAL as MIDDLE, Goldilocks, MATRIX_DIAG_12_GOLDILOCKS as DIAGONAL,
    Poseidon2Goldilocks, default_goldilocks_poseidon2_12,
};
use p3_symmetric::Permutation;

/// Elements of a state.
pub const WIDTH: usize = 12;
/// Elements a permutation takes in; the others are the capacity.
pub const RATE: usize = 8;
/// Elements of a hash: 256 bits, so 128 bits against collisions.
pub const DIGEST: usize = 4;
/// S-boxes of one permutation: 8 full rounds and 22 partial ones.
pub const SBOXES: usize = 8 * WIDTH + 22;

/// A state.
pub type State = [F; WIDTH];
/// A hash.
pub type Digest = [F; DIGEST];
/// As many elements as a vector register holds.
pub type Packed = <Goldilocks as Field>::Packing;

/// Capacity at the start of a leaf, and of a node: hashes of one kind are none of the other.
pub const LEAF: Digest = [F::ONE, F::ZERO, F::ZERO, F::ZERO];
/// See [`LEAF`].
pub const NODE: Digest = [F::ZERO, F::ONE, F::ZERO, F::ZERO];

/// The permutation.
pub struct Poseidon {
    vectors: Poseidon2Goldilocks<WIDTH>,
}

pub fn ours(x: Goldilocks) -> F {
    F::new(x.as_canonical_u64())
}

pub fn theirs(x: F) -> Goldilocks {
    Goldilocks::new(x.value())
}

/// The matrix of full rounds.
pub fn external(state: &mut State) {
    for part in state.as_chunks_mut::<4>().0 {
        let [a, b, c, d] = *part;
        let all = a + b + c + d;
        *part = [all + a + b + b, all + b + c + c, all + c + d + d, all + d + a + a];
    }
    let sums: Digest = core::array::from_fn(|k| state[k] + state[k + 4] + state[k + 8]);
    state.iter_mut().zip(sums.iter().cycle()).for_each(|(x, &sum)| *x += sum);
}

/// The matrix of partial rounds.
fn internal(state: &mut State) {
    let sum: F = state.iter().copied().sum();
    state.iter_mut().zip(DIAGONAL).for_each(|(x, d)| *x = *x * ours(d) + sum);
}

/// x^7.
pub fn seventh(x: F) -> F {
    let cube = x * x * x;
    cube * cube * x
}

impl Poseidon {
    /// With Plonky3's constants.
    pub fn new() -> Self {
        Self { vectors: default_goldilocks_poseidon2_12() }
    }

    /// All rounds, with `sbox(j, x)` for the result of S-box j on x. Without `constants`, the linear part alone.
    pub fn rounds(&self, mut state: State, constants: bool, mut sbox: impl FnMut(usize, F) -> F) -> State {
        let constant = |c: Goldilocks| if constants { ours(c) } else { F::ZERO };
        let mut next = 0;
        let mut through = |x: &mut F, c: Goldilocks| {
            *x = sbox(next, *x + constant(c));
            next += 1;
        };
        external(&mut state);
        for round in FIRST {
            state.iter_mut().zip(round).for_each(|(x, c)| through(x, c));
            external(&mut state);
        }
        for c in MIDDLE {
            through(&mut state[0], c);
            internal(&mut state);
        }
        for round in LAST {
            state.iter_mut().zip(round).for_each(|(x, c)| through(x, c));
            external(&mut state);
        }
        state
    }

    /// The permutation.
    pub fn permute(&self, state: State) -> State {
        self.rounds(state, true, |_, x| seventh(x))
    }

    /// The permutation of many states.
    pub fn permute_all(&self, states: &mut [State]) {
        use p3_field::PackedValue;
        for part in states.chunks_mut(Packed::WIDTH) {
            let lane = |lane: usize, k: usize| part.get(lane).map_or(F::ZERO, |state| state[k]);
            let mut packed: [Packed; WIDTH] =
                core::array::from_fn(|k| Packed::from_fn(|i| theirs(lane(i, k))));
            self.vectors.permute_mut(&mut packed);
            for (i, state) in part.iter_mut().enumerate() {
                state.iter_mut().zip(&packed).for_each(|(x, lanes)| *x = ours(lanes.as_slice()[i]));
            }
        }
    }

    /// A node from its children.
    pub fn node([left, right]: [Digest; 2]) -> State {
        let mut state = [F::ZERO; WIDTH];
        state[..DIGEST].copy_from_slice(&left);
        state[DIGEST..RATE].copy_from_slice(&right);
        state[RATE..].copy_from_slice(&NODE);
        state
    }
}

/// States permuted at once.
pub fn lanes() -> usize {
    use p3_field::PackedValue;
    Packed::WIDTH
}

/// The hash in a permuted state.
pub fn digest(state: &State) -> Digest {
    core::array::from_fn(|k| state[k])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_known_permutation() {
        let poseidon = Poseidon::new();
        let state = |i: u64| core::array::from_fn(|k| F::new(i * 1000 + k as u64).pow(5));
        let mut many: Vec<State> = (0..19).map(state).collect();
        poseidon.permute_all(&mut many);
        for (i, found) in (0..).zip(&many) {
            let known = default_goldilocks_poseidon2_12().permute(state(i).map(theirs)).map(ours);
            assert_eq!(*found, known);
            assert_eq!(poseidon.permute(state(i)), known);
        }
    }
}
