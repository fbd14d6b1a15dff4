//! Dossiers without what they share: every proof of one epoch of a model has the same Program and the same links, and they
//! are more than half of it. Between validators and on the disk they are named instead `[U7]`.
//!
//! | part | bytes |
//! |---|---|
//! | name, version | `"ZTDC"`, `u16` 1 |
//! | length | `u32`, of the whole dossier |
//! | pieces, end to end, none empty | `u8` 0, `u32` length, the bytes; or `u8` 1, `u32` length, the BLAKE3 hash of the bytes |
//!
//! What is put together again has the dossier's name or is thrown away, so nothing here is believed.

use std::ops::Range;

use certify::hash::Digest;

use crate::DOSSIER_MAX;
use crate::bytes::{Reader, VERSION};

const NAME: &[u8; 4] = b"ZTDC";
/// Pieces, at most: three shared parts and what lies between.
const PIECES: usize = 7;
/// Shorter parts are left where they are.
const LEAST: usize = 1024;

/// A dossier without its shared parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compact {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The parts' names, and where they lie in the whole.
    pub parts: Vec<(Digest, Range<usize>)>,
}

/// What compact bytes come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Made {
    /// The whole, and where the parts lie in it.
    Whole(Vec<u8>, Vec<(Digest, Range<usize>)>),
    /// A part is not here.
    Lacking,
    /// They are no compact dossier.
    Malformed,
}

/// Whether bytes say that they are compact.
#[must_use]
pub fn is_compact(bytes: &[u8]) -> bool {
    bytes.starts_with(NAME)
}

fn number(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

/// A dossier without its shared parts; `None` if it has none, or is no dossier.
#[must_use]
pub fn compact(whole: &[u8]) -> Option<Compact> {
    let shared: Vec<_> = crate::shared(whole).into_iter().filter(|range| range.len() >= LEAST).collect();
    if shared.is_empty() {
        return None;
    }
    let rest = shared.iter().fold(whole.len(), |rest, range| rest.saturating_sub(range.len()));
    let mut out = Vec::with_capacity(rest.saturating_add(256));
    out.extend_from_slice(NAME);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&number(whole.len()));
    let literal = |out: &mut Vec<u8>, range: Range<usize>| {
        let bytes = whole.get(range).unwrap_or_default();
        if !bytes.is_empty() {
            out.push(0);
            out.extend_from_slice(&number(bytes.len()));
            out.extend_from_slice(bytes);
        }
    };
    let (mut parts, mut at) = (Vec::new(), 0);
    for range in shared {
        let bytes = whole.get(range.clone())?;
        let name = *blake3::hash(bytes).as_bytes();
        literal(&mut out, at..range.start);
        out.push(1);
        out.extend_from_slice(&number(bytes.len()));
        out.extend_from_slice(&name);
        at = range.end;
        parts.push((name, range));
    }
    literal(&mut out, at..whole.len());
    Some(Compact { bytes: out, parts })
}

enum Piece<'a> {
    Here(&'a [u8]),
    Named(Digest, usize),
}

fn pieces(bytes: &[u8]) -> Result<(usize, Vec<Piece<'_>>), String> {
    let mut r = Reader::new(bytes, NAME)?;
    let length = |r: &mut Reader<'_>| Ok::<_, String>(usize::try_from(r.u32()?).unwrap_or(usize::MAX));
    let (total, mut list, mut sum) = (length(&mut r)?, Vec::new(), 0usize);
    while r.left() > 0 {
        let [kind] = r.array()?;
        let length = length(&mut r)?;
        sum = sum.saturating_add(length);
        list.push(match kind {
            0 => Piece::Here(r.take(length)?),
            1 => Piece::Named(r.array()?, length),
            _ => return Err("a piece of no kind".into()),
        });
        if list.len() > PIECES || length == 0 {
            return Err("too many pieces, or an empty one".into());
        }
    }
    if list.is_empty() {
        return Err("no piece".into());
    }
    if sum == total && total <= DOSSIER_MAX { Ok((total, list)) } else { Err("another length".into()) }
}

/// The parts that a compact dossier names; `None` if it is none.
#[must_use]
pub fn names(bytes: &[u8]) -> Option<Vec<Digest>> {
    let (_, list) = pieces(bytes).ok()?;
    let named = |piece: &Piece<'_>| match piece {
        Piece::Here(_) => None,
        Piece::Named(name, _) => Some(*name),
    };
    Some(list.iter().filter_map(named).collect())
}

/// Puts a dossier together again. The caller compares it with its name.
pub fn whole<T: AsRef<[u8]>>(bytes: &[u8], part: impl Fn(&Digest) -> Option<T>) -> Made {
    let Ok((total, list)) = pieces(bytes) else { return Made::Malformed };
    let mut found = Vec::new();
    for piece in &list {
        if let Piece::Named(name, length) = piece {
            match part(name) {
                Some(bytes) if bytes.as_ref().len() == *length => found.push(bytes),
                Some(_) => return Made::Malformed,
                None => return Made::Lacking,
            }
        }
    }
    let (mut whole, mut parts, mut found) = (Vec::with_capacity(total), Vec::new(), found.iter());
    for piece in list {
        match piece {
            Piece::Here(bytes) => whole.extend_from_slice(bytes),
            Piece::Named(name, length) => {
                parts.push((name, whole.len()..whole.len().saturating_add(length)));
                whole.extend_from_slice(found.next().map(AsRef::as_ref).unwrap_or_default());
            }
        }
    }
    Made::Whole(whole, parts)
}

/// Whether these bytes are a compact form of this dossier.
#[must_use]
pub fn is_of(bytes: &[u8], dossier: &[u8]) -> bool {
    let Ok((total, list)) = pieces(bytes) else { return false };
    let mut rest = dossier;
    let mut next = |length: usize| {
        let (head, tail) = rest.split_at_checked(length)?;
        rest = tail;
        Some(head)
    };
    total == dossier.len()
        && list.iter().all(|piece| match piece {
            Piece::Here(bytes) => next(bytes.len()) == Some(bytes),
            Piece::Named(name, length) => {
                next(*length).is_some_and(|part| blake3::hash(part).as_bytes() == name)
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Writer;

    /// A dossier in form: the program and the links are long, the proof is what changes.
    fn dossier(proof: u8, links: usize) -> Vec<u8> {
        let mut file = Writer::versioned(b"ZTPF", 3);
        for part in [vec![1; 3000], vec![3; links], vec![2; 100], vec![proof; 5000]] {
            file.framed(&part);
        }
        let part = |byte: u8| vec![byte; 40];
        let proof = file.done().to_vec();
        crate::Dossier {
            proof,
            salts: part(4),
            statement: part(5),
            signer: part(6),
            ranges: Some(vec![7; 2000]),
        }
        .encode()
    }

    fn parts<'a>(whole: &'a [u8], compact: &'a Compact) -> impl Fn(&Digest) -> Option<Vec<u8>> + 'a {
        |name| {
            let (_, range) = compact.parts.iter().find(|(found, _)| found == name)?;
            Some(whole[range.clone()].to_vec())
        }
    }

    #[test]
    fn parts_are_named_and_put_back() {
        let (one, other) = (dossier(8, 4000), dossier(9, 4000));
        let small = compact(&one).unwrap();
        assert_eq!(small.parts.len(), 3, "program, links, range certificate");
        assert!(small.bytes.len() < one.len() - 9000 + 200 && is_compact(&small.bytes) && !is_compact(&one));
        assert_eq!(compact(&other).unwrap().parts, small.parts, "another proof of the epoch has the same");
        let made = whole(&small.bytes, parts(&one, &small));
        assert!(made == Made::Whole(one.clone(), small.parts.clone()));
        assert!(is_of(&small.bytes, &one) && !is_of(&small.bytes, &other) && !is_of(&one, &one));
        assert!(whole(&small.bytes, |_| None::<Vec<u8>>) == Made::Lacking);
        assert!(whole(&small.bytes, |_| Some(b"short")) == Made::Malformed);
        // Short links stay where they are; bytes that are no dossier are left alone.
        assert_eq!(compact(&dossier(8, 100)).unwrap().parts.len(), 2);
        assert_eq!(compact(b"anything"), None);
        assert_eq!(compact(&one[..one.len() - 1]), None);
    }

    #[test]
    fn other_bytes_are_refused_or_come_to_something_else() {
        let one = dossier(8, 4000);
        let small = compact(&one).unwrap();
        for at in 0..small.bytes.len() {
            let mut bent = small.bytes.clone();
            bent[at] ^= 1;
            if let Made::Whole(made, _) = whole(&bent, parts(&one, &small)) {
                assert!(made != one, "byte {at}");
            }
            assert!(!is_of(&bent, &one) && !is_of(&small.bytes[..at], &one), "byte {at}");
            assert!(whole(&small.bytes[..at], parts(&one, &small)) == Made::Malformed, "cut at {at}");
        }
        // Nothing, which would be a dossier of nothing.
        let nothing = [&NAME[..], &[1, 0], &[0; 4]].concat();
        assert!(is_compact(&nothing) && whole(&nothing, |_| None::<Vec<u8>>) == Made::Malformed);
        // A few bytes that ask for much.
        let mut greedy = [&NAME[..], &[1, 0], &u32::MAX.to_le_bytes()].concat();
        greedy.extend([&[1][..], &u32::MAX.to_le_bytes(), &[0; 32]].concat());
        assert!(whole(&greedy, |_| -> Option<Vec<u8>> { panic!("not asked for") }) == Made::Malformed);
    }
}
