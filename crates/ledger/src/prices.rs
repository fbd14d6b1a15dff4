//! Two prices, of work and of bytes, that move with demand `[H16]`.

use crate::amount::share;
use crate::entry::Chain;
use crate::work::Used;

/// No price rises above this.
pub const PRICE_MAX: u64 = 1 << 40;

/// Least fee for this work and these bytes; `None` if it is beyond all money.
pub fn price(chain: &Chain, work: u64, bytes: u64) -> Option<u64> {
    chain.work_price.checked_mul(work)?.checked_add(chain.byte_price.checked_mul(bytes)?)
}

/// The prices after a block: above half of a limit they rise, below they fall, by at most one part in
/// `price_inertia`.
pub fn moved(chain: &Chain, used: Used) -> (u64, u64) {
    let rules = &chain.parameters;
    let step =
        |price, used, limit, least| step(price, used, limit, rules.price_inertia).clamp(least, PRICE_MAX);
    (
        step(chain.work_price, used.work, rules.block_work, rules.least_work_price),
        step(chain.byte_price, used.bytes, rules.block_bytes, rules.least_byte_price),
    )
}

fn step(price: u64, used: u64, limit: u64, inertia: u64) -> u64 {
    let target = limit >> 1;
    let away = used.abs_diff(target).min(target);
    let part = share(price, away, u128::from(target).saturating_mul(u128::from(inertia)));
    match used.cmp(&target) {
        // At least one unit, or a low price would never move.
        std::cmp::Ordering::Greater => price.saturating_add(part.max(1)),
        std::cmp::Ordering::Less => price.saturating_sub(part.max(1)),
        std::cmp::Ordering::Equal => price,
    }
}

#[cfg(test)]
mod tests {
    use super::step;

    #[test]
    fn demand_moves_prices_within_bounds() {
        assert_eq!(step(800, 1000, 1000, 8), 900);
        assert_eq!(step(800, 0, 1000, 8), 700);
        assert_eq!(step(800, 500, 1000, 8), 800);
        assert_eq!(step(1, 501, 1000, 8), 2);
        assert_eq!(step(u64::MAX, u64::MAX, u64::MAX, 2), u64::MAX);
        // Twenty full blocks make it ten times dearer, as many empty ones bring it back about.
        let up = (0..20).fold(1_000, |price, _| step(price, 1000, 1000, 8));
        assert!((10_000..11_000).contains(&up), "{up}");
        let down = (0..20).fold(up, |price, _| step(price, 0, 1000, 8));
        assert!(down < 1_000, "{down}");
    }
}
