//! Sizes of oracles: query counts and the parameters of the long-term model oracle.

use program::types::OracleParams;

/// Least t >= 1 with (n + k)^t 2^lambda <= (2n)^t, for k < n: how many positions a
/// verifier must open so that a false word of this code passes with probability
/// at most 2^-lambda. Exact, by whole-number arithmetic.
pub fn queries(n: u64, k: u64, lambda: u8) -> u64 {
    let (a, b) = (n + k, 2 * n);
    // A start just below the answer from logarithms, then exact steps.
    let guess = f64::from(lambda) / ((b as f64).log2() - (a as f64).log2());
    let mut t = (guess as u64).saturating_sub(2).max(1);
    while t > 1 && enough(a, b, t - 1, lambda) {
        t -= 1;
    }
    while !enough(a, b, t, lambda) {
        t += 1;
    }
    t
}

/// a^t 2^lambda <= b^t.
fn enough(a: u64, b: u64, t: u64, lambda: u8) -> bool {
    let mut left = power(a, t);
    shift_left(&mut left, u32::from(lambda));
    let right = power(b, t);
    compare(&left, &right) != std::cmp::Ordering::Greater
}

/// base^t as little-endian 32-bit digits.
fn power(base: u64, t: u64) -> Vec<u32> {
    let mut digits = vec![1u32];
    for _ in 0..t {
        let mut carry = 0u128;
        for d in &mut digits {
            let x = u128::from(*d) * u128::from(base) + carry;
            *d = x as u32;
            carry = x >> 32;
        }
        while carry > 0 {
            digits.push(carry as u32);
            carry >>= 32;
        }
    }
    digits
}

fn shift_left(digits: &mut Vec<u32>, bits: u32) {
    digits.splice(0..0, std::iter::repeat_n(0, (bits / 32) as usize));
    let small = bits % 32;
    let mut carry = 0u32;
    for d in digits.iter_mut() {
        let x = (u64::from(*d) << small) | u64::from(carry);
        *d = x as u32;
        carry = (x >> 32) as u32;
    }
    digits.push(carry);
}

fn compare(a: &[u32], b: &[u32]) -> std::cmp::Ordering {
    let len = a.len().max(b.len());
    let at = |v: &[u32], i: usize| v.get(i).copied().unwrap_or(0);
    (0..len).rev().map(|i| at(a, i).cmp(&at(b, i))).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
}

fn log(x: u64) -> u8 {
    x.max(1).next_power_of_two().trailing_zeros() as u8
}

/// Parameters of the oracle that holds `entries` private parameters. With zero
/// knowledge it has masks for at least 32 proofs.
pub fn model_oracle(entries: u64, lambda: u8, zk: bool) -> OracleParams {
    let target = if entries <= 1 << 17 {
        16
    } else if entries <= 1 << 22 {
        32
    } else {
        64
    };
    let log_c = log(entries.div_ceil(target)).max(8);
    let c = 1u64 << log_c;
    let rows = entries.div_ceil(c).max(1) as u32;
    if !zk {
        return OracleParams { rows, log_c, log_t: None, log_n: log_c + 2 };
    }
    let mut log_t = log((c / 4).max(128));
    loop {
        let k = c + (1 << log_t);
        let log_n = log(3 * k);
        let valid = 8 * k <= 5 << log_n;
        if valid && (1u64 << log_t) / queries(1 << log_n, k, lambda) >= 32 {
            return OracleParams { rows, log_c, log_t: Some(log_t), log_n };
        }
        log_t += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_counts_of_the_specification() {
        for (rate, t84, t100) in [(2, 203, 241), (4, 124, 148), (8, 102, 121), (16, 93, 110)] {
            assert_eq!(queries(1 << 16, (1 << 16) / rate, 84), t84);
            assert_eq!(queries(1 << 16, (1 << 16) / rate, 100), t100);
        }
    }

    #[test]
    fn long_term_parameters_of_the_specification() {
        // 62k and 260k entries, at 84 bits.
        let lenet = model_oracle(62_000, 84, true);
        assert_eq!((lenet.rows, lenet.log_c, lenet.log_t, lenet.log_n), (16, 12, Some(12), 15));
        let cnn = model_oracle(260_000, 84, true);
        assert_eq!((cnn.rows, cnn.log_c, cnn.log_t, cnn.log_n), (32, 13, Some(12), 16));
        assert_eq!(model_oracle(62_000, 84, false).log_n, 14);
    }
}
