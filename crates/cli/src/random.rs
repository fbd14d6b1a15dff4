//! The one place where the system is asked for random bytes.

use prove::random::Seed;
use zeroize::Zeroizing;

use crate::failure::{Failure, Outcome, RANDOM};

/// 32 fresh bytes of the system.
pub fn bytes() -> Outcome<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut bytes[..])
        .map_err(|e| Failure::world(RANDOM, "system", format!("no random bytes: {e}"), "try again later"))?;
    Ok(bytes)
}

/// A fresh seed.
pub fn seed() -> Outcome<Seed> {
    Ok(Seed::new(*bytes()?))
}
