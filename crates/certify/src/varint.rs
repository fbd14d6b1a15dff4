//! Numbers as the engine spells them: seven bits a byte, lowest first, the top bit says that more follow `[Z1]`.

use crate::wire::{Malformed, Reader};

/// Appends a number.
pub fn write(mut number: u64, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Reads a number in its one, shortest spelling.
///
/// # Errors
/// [`Malformed`] for another spelling or a number above 64 bits.
pub fn read(from: &mut Reader<'_>) -> Result<u64, Malformed> {
    let mut number = 0u64;
    for place in 0..10u32 {
        let [byte] = from.array()?;
        if byte == 0 && place > 0 {
            return Err(Malformed::Form { what: "a number is spelled longer than it needs" });
        }
        if place == 9 && byte > 1 {
            break;
        }
        number |= u64::from(byte & 0x7f).wrapping_shl(place.saturating_mul(7));
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed::Form { what: "a number does not fit 64 bits" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> Result<u64, Malformed> {
        let mut reader = Reader::new(bytes);
        let number = read(&mut reader)?;
        reader.finish()?;
        Ok(number)
    }

    fn spelled(number: u64) -> Vec<u8> {
        let mut out = Vec::new();
        write(number, &mut out);
        out
    }

    proptest! {
        #[test]
        fn one_spelling(bytes in proptest::collection::vec(any::<u8>(), 0..12), number: u64, shift in 0u32..64) {
            if let Ok(number) = whole(&bytes) {
                prop_assert_eq!(spelled(number), bytes);
            }
            prop_assert_eq!(whole(&spelled(number >> shift)), Ok(number >> shift));
        }
    }

    #[test]
    fn ends() {
        assert_eq!(spelled(300), [0xac, 2]);
        assert_eq!(spelled(u64::MAX).len(), 10);
        assert_eq!(whole(&spelled(u64::MAX)), Ok(u64::MAX));
        for bad in [&[0x80, 0][..], &[0xff; 10], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]] {
            assert!(matches!(whole(bad), Err(Malformed::Form { .. })), "{bad:?}");
        }
        assert_eq!(whole(&[0x80]), Err(Malformed::Truncated));
    }
}
