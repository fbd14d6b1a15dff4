//! Chance from a seed: the same seed and purpose give the same draws on every machine.

use certify::hash::{Purpose, hash};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of draws.
#[derive(Clone, Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of a seed for one purpose; streams of different purposes have nothing in common.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let key = hash(Purpose("zerotell/sim/chance/1"), &[&seed.to_le_bytes(), purpose.as_bytes()]);
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A number from 0 up to and without 1.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A number below `end`, which is not 0. The bias, below 2^-40 for what is drawn here, does not matter.
    pub fn below(&mut self, end: usize) -> usize {
        (self.0.next_u64() % end.max(1) as u64) as usize
    }

    /// Puts items in an order that is as likely as any other.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn seeds_and_purposes_part_streams() {
        let draws = |seed, purpose| {
            let mut chance = Chance::new(seed, purpose);
            [chance.below(1 << 30), chance.below(1 << 30)]
        };
        assert_eq!(draws(7, "a"), draws(7, "a"));
        assert_ne!(draws(7, "a"), draws(8, "a"));
        assert_ne!(draws(7, "a"), draws(7, "b"));
        let mut chance = Chance::new(1, "mean");
        let mean = (0..10_000).map(|_| chance.unit()).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        let mut order: Vec<usize> = (0..50).collect();
        chance.shuffle(&mut order);
        assert!(order.iter().enumerate().any(|(i, x)| i != *x));
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(i, x)| i == *x));
    }
}
