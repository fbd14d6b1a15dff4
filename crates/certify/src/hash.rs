//! BLAKE3 with one key per purpose, so that bytes hashed for one purpose never mean anything for another `[H1]`.

/// 32 bytes that stand for something longer.
pub type Digest = [u8; 32];

/// What a hash is for. The key of the hash is the text, padded with zeros to 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose(pub &'static str);

impl Purpose {
    /// The place of an entry in the authenticated map.
    pub const PATH: Self = Self("zerotell/map/path/1");
    /// The value of an entry.
    pub const VALUE: Self = Self("zerotell/map/value/1");
    /// A leaf of the map.
    pub const LEAF: Self = Self("zerotell/map/leaf/1");
    /// An inner node of the map.
    pub const NODE: Self = Self("zerotell/map/node/1");
    /// An item of a list.
    pub const ITEM: Self = Self("zerotell/list/item/1");
    /// Two neighbours in a list.
    pub const PAIR: Self = Self("zerotell/list/pair/1");
    /// The length of a list and its items.
    pub const LIST: Self = Self("zerotell/list/whole/1");
    /// A block's header: what consensus finalises.
    pub const HEADER: Self = Self("zerotell/header/1");
    /// The seats of an epoch.
    pub const COMMITTEE: Self = Self("zerotell/committee/1");

    fn key(self) -> Digest {
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip(self.0.bytes()) {
            *to = from;
        }
        key
    }
}

/// The hash of the parts, one after the other, for a purpose. Callers give parts of fixed length, or the last one
/// alone of free length, so that no two lists of parts are the same bytes.
pub fn hash(purpose: Purpose, parts: &[&[u8]]) -> Digest {
    let mut hasher = blake3::Hasher::new_keyed(&purpose.key());
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_are_apart() {
        let all = [
            Purpose::PATH,
            Purpose::VALUE,
            Purpose::LEAF,
            Purpose::NODE,
            Purpose::ITEM,
            Purpose::PAIR,
            Purpose::LIST,
            Purpose::HEADER,
            Purpose::COMMITTEE,
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(a.0.len() <= 32, "{} is cut off", a.0);
            for b in &all[i + 1..] {
                assert_ne!(hash(*a, &[b"x"]), hash(*b, &[b"x"]));
            }
        }
    }
}
