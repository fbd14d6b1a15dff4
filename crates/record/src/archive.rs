//! The evidence file's container: a ZIP archive that has one spelling (spec V18).
//!
//! Members are stored, sorted by name, dated 1 January 1980, without flags, extra fields, comments or
//! anything between or after them. A reader takes the members in order and then compares the whole file
//! with what it would have written: whatever else a ZIP archive may hold has no place to be.

use std::collections::BTreeMap;

use crate::refused::{Outcome, Part, Refused};

/// 1 January 1980, the first day a ZIP archive can name.
const DATE: u16 = 0x0021;
/// Version of the format that stored members need.
const NEEDED: u16 = 10;
const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";

/// Members by name.
pub type Members<'a> = BTreeMap<&'a str, &'a [u8]>;

/// The checksum of ZIP archives (CRC-32 of IEEE 802.3).
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut table = [0u32; 256];
    for (slot, i) in table.iter_mut().zip(0u32..) {
        *slot = (0..8).fold(i, |c, _| if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 });
    }
    let entry = |c: u32, b: u8| table.get(usize::from(c.to_le_bytes()[0] ^ b)).copied().unwrap_or(0);
    !bytes.iter().fold(!0, |c, &b| (c >> 8) ^ entry(c, b))
}

/// What both headers of a member say: from the needed version to the length of the extra field.
fn described(name: &str, content: &[u8], checksum: u32) -> Vec<u8> {
    let size = u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes();
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes();
    let (flags, method, time, extra) = ([0; 2], [0; 2], [0; 2], [0; 2]);
    [
        &NEEDED.to_le_bytes()[..],
        &flags,
        &method,
        &time,
        &DATE.to_le_bytes(),
        &checksum.to_le_bytes(),
        &size,
        &size,
        &length,
        &extra,
    ]
    .concat()
}

/// Gives an archive piece by piece. All members together have less than 4 GiB; the limits of their sizes
/// see to that.
fn write(members: &Members<'_>, mut give: impl FnMut(&[u8])) {
    let mut directory = Vec::new();
    let mut written = 0usize;
    let short = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    for (name, content) in members {
        let described = described(name, content, crc32(content));
        directory.extend_from_slice(CENTRAL);
        // Made by: the same version, on no system in particular. No comment, first disk, no attributes.
        directory.extend_from_slice(&NEEDED.to_le_bytes());
        directory.extend_from_slice(&described);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&short(written));
        directory.extend_from_slice(name.as_bytes());
        for piece in [LOCAL, described.as_slice(), name.as_bytes(), content] {
            give(piece);
            written = written.saturating_add(piece.len());
        }
    }
    let count = u16::try_from(members.len()).unwrap_or(u16::MAX).to_le_bytes();
    give(&directory);
    for piece in [END, &[0; 4][..], &count, &count, &short(directory.len()), &short(written), &[0; 2]] {
        give(piece);
    }
}

/// Writes an archive.
#[must_use]
pub fn encode(members: &Members<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(members, |piece| bytes.extend_from_slice(piece));
    bytes
}

/// Reads an archive. `limit` gives the most bytes of a member, and none for a name that may not be there.
///
/// # Errors
/// When the bytes are not the one spelling of an archive of such members.
pub fn decode<'a>(bytes: &'a [u8], limit: impl Fn(&str) -> Option<usize>) -> Outcome<Members<'a>> {
    let refuse = |why: String| Refused::new(Part::Archive, why);
    let mut members = Members::new();
    let mut rest = bytes;
    while rest.starts_with(LOCAL) {
        let (name, content, after) = member(rest, &limit).map_err(refuse)?;
        if members.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(refuse(format!("`{name}` is there twice or not in the order of names")));
        }
        members.insert(name, content);
        rest = after;
    }
    if members.is_empty() {
        return Err(refuse("it is no ZIP archive with stored members".into()));
    }
    let mut left = Some(bytes);
    write(&members, |piece| left = left.and_then(|left| left.strip_prefix(piece)));
    if left != Some(&[]) {
        let why =
            "it is not spelled the one way: a date, flag, checksum, comment, hidden or trailing part differs";
        return Err(refuse(why.into()));
    }
    Ok(members)
}

type Member<'a> = (&'a str, &'a [u8], &'a [u8]);

/// The first member, and what follows it.
fn member<'a>(bytes: &'a [u8], limit: impl Fn(&str) -> Option<usize>) -> Result<Member<'a>, String> {
    let cut = || "it is cut short".to_string();
    let (header, rest) = bytes.split_first_chunk::<30>().ok_or_else(cut)?;
    let [.., a, b, c, d, e, f, g, h, i, j, _, _] = header;
    let (packed, size) = (u32::from_le_bytes([*a, *b, *c, *d]), u32::from_le_bytes([*e, *f, *g, *h]));
    let length = usize::from(u16::from_le_bytes([*i, *j]));
    let (name, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
    let name = core::str::from_utf8(name).map_err(|_| "a name in it is not UTF-8")?;
    let shown: String = name.chars().filter(char::is_ascii_graphic).take(64).collect();
    let most = limit(name).ok_or_else(|| format!("`{shown}` has no place in it"))?;
    let size = usize::try_from(size).ok().filter(|_| packed == size).unwrap_or(usize::MAX);
    if size > most {
        return Err(format!("`{shown}` is packed or larger than {most} bytes"));
    }
    let (content, rest) = rest.split_at_checked(size).ok_or_else(cut)?;
    Ok((name, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        encode(&[("a", b"one".as_slice()), ("b", b""), ("c", b"PK\x03\x04")].into())
    }

    fn read(bytes: &[u8]) -> Outcome<Members<'_>> {
        decode(bytes, |name| ["a", "b", "c"].contains(&name).then_some(8))
    }

    #[test]
    fn known_checksum() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn round_trip() {
        let bytes = sample();
        let members = read(&bytes).unwrap();
        assert_eq!(
            members.into_iter().collect::<Vec<_>>(),
            [("a", b"one".as_slice()), ("b", b""), ("c", b"PK\x03\x04")]
        );
    }

    /// There is no byte whose value does not matter.
    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let bytes = sample();
        let contents: Vec<usize> = (0..bytes.len()).collect();
        for at in contents {
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[at] ^= 1 << bit;
                assert!(read(&other).is_err(), "bit {bit} of byte {at}");
            }
            assert!(read(&bytes[..at]).is_err(), "cut at {at}");
        }
        assert!(read(&[bytes, vec![0]].concat()).is_err(), "a byte more");
    }

    #[test]
    fn refusals_say_why() {
        let list = |names: &[&str]| -> Vec<u8> {
            // Members in an order of their own, headers only.
            names
                .iter()
                .flat_map(|n| [LOCAL, &described(n, b"x", crc32(b"x"))[..], n.as_bytes(), b"x"].concat())
                .collect()
        };
        for (bytes, why) in [
            (list(&["b", "a"]), "order of names"),
            (list(&["a", "a"]), "twice"),
            (list(&["../a"]), "`../a` has no place"),
            (list(&["d"]), "`d` has no place"),
            (list(&["a"]), "one way"),
            (b"PK\x03\x04".to_vec(), "cut short"),
            (Vec::new(), "no ZIP"),
            (encode(&[("a", b"123456789".as_slice())].into()), "larger than 8"),
            ([vec![0], sample()].concat(), "no ZIP"),
        ] {
            let refused = read(&bytes).unwrap_err();
            assert!(refused.why.contains(why), "{refused}");
        }
    }
}
