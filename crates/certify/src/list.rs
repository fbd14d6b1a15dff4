//! Roots of lists `[H8]`: the transactions and outcomes of a block.
//!
//! The items' hashes are paired level by level; an odd one at the end rises as it is. The root covers the length.

use crate::hash::{Digest, Purpose, hash};
use crate::wire::{Bounded, Malformed};

/// Most levels of a list: 2^32 items.
pub const LEVELS_MAX: usize = 32;

/// That an item is at a place of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListProof {
    /// Number of items in the list.
    pub length: u32,
    /// Place of the item, from 0.
    pub index: u32,
    /// Neighbours, from the item up, where there is one.
    pub siblings: Bounded<Digest, LEVELS_MAX>,
}
crate::spell_struct!(ListProof { length, index, siblings });

/// Root of a list of at most 2^32 - 1 items.
pub fn root<T: AsRef<[u8]>>(items: &[T]) -> Digest {
    let mut level: Vec<Digest> = items.iter().map(|item| hash(Purpose::ITEM, &[item.as_ref()])).collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => hash(Purpose::PAIR, &[left, right]),
                rest => rest.first().copied().unwrap_or_default(),
            })
            .collect();
    }
    finish(u32::try_from(items.len()).unwrap_or(u32::MAX), &level.first().copied().unwrap_or_default())
}

/// The proof that the item at `index` is there; `None` beyond the end.
pub fn prove<T: AsRef<[u8]>>(items: &[T], index: usize) -> Option<ListProof> {
    items.get(index)?;
    let mut level: Vec<Digest> = items.iter().map(|item| hash(Purpose::ITEM, &[item.as_ref()])).collect();
    let (mut at, mut siblings) = (index, Vec::new());
    while level.len() > 1 {
        siblings.extend(level.get(at ^ 1).copied());
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => hash(Purpose::PAIR, &[left, right]),
                rest => rest.first().copied().unwrap_or_default(),
            })
            .collect();
        at >>= 1;
    }
    Some(ListProof {
        length: u32::try_from(items.len()).ok()?,
        index: u32::try_from(index).ok()?,
        siblings: Bounded::new(siblings).ok()?,
    })
}

/// Whether `item` is where the proof says, in the list with this root.
///
/// # Errors
/// [`Malformed::Form`] that says what does not fit.
pub fn verify(root: &Digest, item: &[u8], proof: &ListProof) -> Result<(), Malformed> {
    if proof.index >= proof.length {
        return Err(Malformed::Form { what: "the item's place is beyond the list" });
    }
    let mut siblings = proof.siblings.iter();
    let (mut at, mut length) = (proof.index, proof.length);
    let mut running = hash(Purpose::ITEM, &[item]);
    while length > 1 {
        let is_last_odd = at.saturating_add(1) == length && at & 1 == 0;
        if !is_last_odd {
            let sibling = siblings.next().ok_or(Malformed::Form { what: "a neighbour is missing" })?;
            let (left, right) = if at & 1 == 0 { (&running, sibling) } else { (sibling, &running) };
            running = hash(Purpose::PAIR, &[left, right]);
        }
        at >>= 1;
        length = length.div_ceil(2);
    }
    if siblings.next().is_some() {
        return Err(Malformed::Form { what: "there are neighbours too many" });
    }
    let is_right = finish(proof.length, &running) == *root;
    is_right.then_some(()).ok_or(Malformed::Form { what: "the item is not in the list" })
}

fn finish(length: u32, top: &Digest) -> Digest {
    hash(Purpose::LIST, &[&length.to_le_bytes(), top])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_of_every_length() {
        for length in 0..20u8 {
            let items: Vec<[u8; 1]> = (0..length).map(|i| [i]).collect();
            let root = root(&items);
            for index in 0..items.len() {
                let proof = prove(&items, index).unwrap();
                assert_eq!(verify(&root, &items[index], &proof), Ok(()));
                assert!(verify(&root, &[99], &proof).is_err());
                let elsewhere = ListProof { index: proof.index ^ 1, ..proof.clone() };
                assert!(verify(&root, &items[index], &elsewhere).is_err());
                let longer = ListProof { length: proof.length + 1, ..proof.clone() };
                assert!(verify(&root, &items[index], &longer).is_err());
                let mut more = proof.siblings.clone().into_vec();
                more.push([0; 32]);
                let more = ListProof { siblings: Bounded::new(more).unwrap(), ..proof };
                assert!(verify(&root, &items[index], &more).is_err());
            }
            assert!(prove(&items, items.len()).is_none());
        }
    }
}
