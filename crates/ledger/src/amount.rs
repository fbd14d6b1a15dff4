//! Arithmetic on money: exact, checked, rounded down where it must be.

use crate::store::Fault;

/// `a + b`.
///
/// # Errors
/// [`Fault::Broken`] beyond 2^64: there is less money than that.
pub fn add(a: u64, b: u64) -> Result<u64, Fault> {
    a.checked_add(b).ok_or(Fault::Broken { what: "an amount above 2^64" })
}

/// `a - b`.
///
/// # Errors
/// [`Fault::Broken`] below zero: callers compare first.
pub fn sub(a: u64, b: u64) -> Result<u64, Fault> {
    a.checked_sub(b).ok_or(Fault::Broken { what: "an amount below zero" })
}

/// `amount * part / whole`, rounded down; 0 of nothing. At most `u64::MAX`.
pub fn share(amount: u64, part: impl Into<u128>, whole: impl Into<u128>) -> u64 {
    let product = u128::from(amount).saturating_mul(part.into());
    u64::try_from(product.checked_div(whole.into()).unwrap_or_default()).unwrap_or(u64::MAX)
}

/// The same, rounded up.
pub fn share_up(amount: u64, part: impl Into<u128>, whole: impl Into<u128>) -> u64 {
    let (product, whole) = (u128::from(amount).saturating_mul(part.into()), whole.into());
    let up = product.saturating_add(whole.saturating_sub(1));
    u64::try_from(up.checked_div(whole).unwrap_or_default()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_the_range() {
        assert!(add(u64::MAX, 1).is_err() && sub(0, 1).is_err());
        assert_eq!(share(u64::MAX, 10_000u64, 10_000u64), u64::MAX);
        assert_eq!(share(7, 1u64, 2u64), 3);
        assert_eq!(share_up(7, 1u64, 2u64), 4);
        assert_eq!(share(u64::MAX, u64::MAX, 1u64), u64::MAX);
        assert_eq!((share(5, 1u64, 0u64), share_up(5, 1u64, 0u64)), (0, 0));
    }

    /// However an amount is cut in pieces, the pieces' shares are not more than the whole's.
    #[test]
    fn splitting_never_pays() {
        for amount in 0..200u64 {
            for piece in 0..=amount {
                let parts = share(piece, 3_333u64, 10_000u64) + share(amount - piece, 3_333u64, 10_000u64);
                assert!(parts <= share(amount, 3_333u64, 10_000u64));
            }
        }
    }
}
