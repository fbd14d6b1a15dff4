//! A certificate's last step as a COSE receipt `[Z9]`, in the shape of RFC 9942, in deterministic CBOR (RFC 8949, 4.2).
//!
//! Only the few forms of CBOR that a receipt has are written and read; a reader compares what it read with the one
//! spelling of what it understood.

use crate::certificate::{Certificate, Entry};
use crate::finality::Finality;
use crate::hash::Digest;
use crate::header::Header;
use crate::wire::{Malformed, Reader, decode, encode};

/// COSE algorithm: a finality certificate over the header in the payload. Private use, as no registered one fits.
pub const ALGORITHM: i64 = -920_101;
/// Verifiable data structure: the authenticated map. Private use.
pub const STRUCTURE: i64 = -920_102;

const ALG: i64 = 1;
const KID: i64 = 4;
const VDS: i64 = 395;
const VDP: i64 = 396;
const INCLUSION: i64 = -1;
const SIGN1: u64 = 18;
const RECEIPT_MAX: usize = 1 << 17;

const BYTES: u8 = 2;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

/// What a receipt holds. The committee is named by the key identifier; how it came to be trusted is the client's matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The header whose state holds the entry.
    pub header: Header,
    /// That it is final.
    pub finality: Finality,
    /// The entry.
    pub entry: Entry,
}

impl From<&Certificate> for Receipt {
    fn from(from: &Certificate) -> Self {
        Self { header: from.header.clone(), finality: from.finality.clone(), entry: from.entry.clone() }
    }
}

impl Receipt {
    /// The receipt as COSE_Sign1.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        head(TAG, SIGN1, &mut out);
        head(ARRAY, 4, &mut out);
        bytes(&protected(&self.header.committee), &mut out);
        head(MAP, 1, &mut out);
        int(VDP, &mut out);
        head(MAP, 1, &mut out);
        int(INCLUSION, &mut out);
        head(ARRAY, 1, &mut out);
        bytes(&encode(&self.entry), &mut out);
        bytes(&encode(&self.header), &mut out);
        bytes(&encode(&self.finality), &mut out);
        out
    }

    /// The receipt that these bytes are.
    ///
    /// # Errors
    /// [`Malformed`] for every other byte string.
    pub fn decode(all: &[u8]) -> Result<Self, Malformed> {
        if all.len() > RECEIPT_MAX {
            return Err(Malformed::TooLong { limit: RECEIPT_MAX });
        }
        let mut from = Reader::new(all);
        expect(&mut from, TAG, SIGN1)?;
        expect(&mut from, ARRAY, 4)?;
        read_bytes(&mut from)?;
        expect(&mut from, MAP, 1)?;
        read_head(&mut from)?;
        expect(&mut from, MAP, 1)?;
        read_head(&mut from)?;
        expect(&mut from, ARRAY, 1)?;
        let entry = decode(read_bytes(&mut from)?)?;
        let header = decode(read_bytes(&mut from)?)?;
        let finality = decode(read_bytes(&mut from)?)?;
        from.finish()?;
        let receipt = Self { header, finality, entry };
        // What was skipped above, and every other length of a number, is compared here.
        let is_canonical = receipt.encode() == all;
        is_canonical
            .then_some(receipt)
            .ok_or(Malformed::Form { what: "the receipt is not in its one spelling" })
    }
}

/// {1: algorithm, 4: committee, 395: structure}
fn protected(committee: &Digest) -> Vec<u8> {
    let mut out = Vec::new();
    head(MAP, 3, &mut out);
    int(ALG, &mut out);
    int(ALGORITHM, &mut out);
    int(KID, &mut out);
    bytes(committee, &mut out);
    int(VDS, &mut out);
    int(STRUCTURE, &mut out);
    out
}

/// Type in the three high bits, then the number in its shortest form.
fn head(major: u8, number: u64, out: &mut Vec<u8>) {
    let major = major.wrapping_shl(5);
    if let Ok(short) = u8::try_from(number) {
        if short < 24 {
            out.push(major | short);
        } else {
            out.extend_from_slice(&[major | 24, short]);
        }
    } else if let Ok(number) = u16::try_from(number) {
        out.push(major | 25);
        out.extend_from_slice(&number.to_be_bytes());
    } else if let Ok(number) = u32::try_from(number) {
        out.push(major | 26);
        out.extend_from_slice(&number.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn int(number: i64, out: &mut Vec<u8>) {
    // CBOR spells -1 - n as n with another type; that is the complement.
    let (major, number) = if number < 0 { (1, !number) } else { (0, number) };
    head(major, number.unsigned_abs(), out);
}

fn bytes(content: &[u8], out: &mut Vec<u8>) {
    head(BYTES, u64::try_from(content.len()).unwrap_or(u64::MAX), out);
    out.extend_from_slice(content);
}

fn read_head(from: &mut Reader<'_>) -> Result<(u8, u64), Malformed> {
    let [first] = from.array()?;
    let number = match first & 0x1f {
        short @ 0..24 => u64::from(short),
        24 => u64::from(u8::from_be_bytes(from.array()?)),
        25 => u64::from(u16::from_be_bytes(from.array()?)),
        26 => u64::from(u32::from_be_bytes(from.array()?)),
        27 => u64::from_be_bytes(from.array()?),
        found => return Err(Malformed::Choice { what: "length of a number in CBOR", found }),
    };
    Ok((first >> 5, number))
}

fn expect(from: &mut Reader<'_>, major: u8, number: u64) -> Result<(), Malformed> {
    let is_there = read_head(from)? == (major, number);
    is_there.then_some(()).ok_or(Malformed::Form { what: "this is no receipt of this network's kind" })
}

fn read_bytes<'a>(from: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    match read_head(from)? {
        (BYTES, length) => from.take(usize::try_from(length).map_err(|_| Malformed::Truncated)?),
        _ => Err(Malformed::Form { what: "a receipt has a byte string here" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of RFC 8949, appendix A.
    #[test]
    fn numbers_of_cbor() {
        let spelled = |number| {
            let mut out = Vec::new();
            int(number, &mut out);
            out
        };
        assert_eq!(spelled(0), [0x00]);
        assert_eq!(spelled(23), [0x17]);
        assert_eq!(spelled(24), [0x18, 0x18]);
        assert_eq!(spelled(1000), [0x19, 0x03, 0xe8]);
        assert_eq!(spelled(1_000_000), [0x1a, 0x00, 0x0f, 0x42, 0x40]);
        assert_eq!(spelled(1_000_000_000_000), [0x1b, 0x00, 0x00, 0x00, 0xe8, 0xd4, 0xa5, 0x10, 0x00]);
        assert_eq!(spelled(-1), [0x20]);
        assert_eq!(spelled(-100), [0x38, 0x63]);
        assert_eq!(spelled(-1000), [0x39, 0x03, 0xe7]);
    }
}
