//! Canonical bytes `[H2]`: every value has one spelling, and every other byte string is refused.
//!
//! Numbers are little endian. A list is a `u32` count and the items, with a bound that is part of its type. An
//! optional value is a byte 0, or 1 and the value. A choice is a byte and its fields. Trailing bytes are refused.

use core::fmt;
use core::ops::Deref;

/// Why bytes are not the spelling of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The bytes end too early.
    Truncated,
    /// Bytes are left over.
    Trailing {
        /// How many.
        count: usize,
    },
    /// A list is longer than its type allows.
    TooLong {
        /// Most items.
        limit: usize,
    },
    /// A byte that stands for no choice.
    Choice {
        /// What was to be chosen.
        what: &'static str,
        /// The byte found.
        found: u8,
    },
    /// Items are not in the order, or not of the form, that their type asks for.
    Form {
        /// What is wrong.
        what: &'static str,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "the bytes end too early"),
            Self::Trailing { count } => write!(f, "{count} bytes are left over at the end"),
            Self::TooLong { limit } => write!(f, "a list is longer than {limit} items"),
            Self::Choice { what, found } => write!(f, "{found} is no known {what}"),
            Self::Form { what } => write!(f, "{what}"),
        }
    }
}

impl core::error::Error for Malformed {}

/// What is left to read.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] if there are fewer.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] if there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Malformed::Trailing`] if bytes are left.
    pub fn finish(self) -> Result<(), Malformed> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(Malformed::Trailing { count }),
        }
    }
}

/// A type with exactly one spelling per value.
pub trait Canonical: Sized {
    /// Appends the spelling.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads one value.
    ///
    /// # Errors
    /// Any spelling that [`write`](Self::write) does not make.
    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed>;
}

/// The spelling of a value.
pub fn encode<T: Canonical>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    value.write(&mut out);
    out
}

/// The value that all of `bytes` spells.
///
/// # Errors
/// [`Malformed`] for every other byte string.
pub fn decode<T: Canonical>(bytes: &[u8]) -> Result<T, Malformed> {
    let mut reader = Reader::new(bytes);
    let value = T::read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// A list with at most `MAX` items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounded<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Bounded<T, MAX> {
    /// A list, if it is not too long.
    ///
    /// # Errors
    /// [`Malformed::TooLong`].
    pub fn new(items: Vec<T>) -> Result<Self, Malformed> {
        if items.len() > MAX { Err(Malformed::TooLong { limit: MAX }) } else { Ok(Self(items)) }
    }

    /// The items.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }

    /// Changes items in place; their number stays.
    pub fn iter_mut(&mut self) -> core::slice::IterMut<'_, T> {
        self.0.iter_mut()
    }

    /// One item, to change it.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.0.get_mut(index)
    }

    /// Appends an item.
    ///
    /// # Errors
    /// [`Malformed::TooLong`] if the list is full.
    pub fn push(&mut self, item: T) -> Result<(), Malformed> {
        if self.0.len() >= MAX {
            return Err(Malformed::TooLong { limit: MAX });
        }
        self.0.push(item);
        Ok(())
    }
}

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for Bounded<T, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Canonical, const MAX: usize> Canonical for Bounded<T, MAX> {
    fn write(&self, out: &mut Vec<u8>) {
        // MAX is below 2^32 for every type there is, so the count is exact.
        u32::try_from(self.0.len()).unwrap_or(u32::MAX).write(out);
        for item in &self.0 {
            item.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = usize::try_from(u32::read(from)?).unwrap_or(usize::MAX);
        if count > MAX {
            return Err(Malformed::TooLong { limit: MAX });
        }
        // Every item is at least one byte, so nothing is allocated that was not sent.
        if count > from.left() {
            return Err(Malformed::Truncated);
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(T::read(from)?);
        }
        Ok(Self(items))
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Canonical for $number {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok(Self::from_le_bytes(from.array()?))
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64, u128);

impl<const N: usize> Canonical for [u8; N] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        from.array()
    }
}

impl Canonical for bool {
    fn write(&self, out: &mut Vec<u8>) {
        u8::from(*self).write(out);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::read(from)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(Malformed::Choice { what: "yes or no", found }),
        }
    }
}

impl<T: Canonical> Canonical for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        bool::read(from)?.then(|| T::read(from)).transpose()
    }
}

impl<A: Canonical, B: Canonical> Canonical for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok((A::read(from)?, B::read(from)?))
    }
}

impl Canonical for () {
    fn write(&self, _: &mut Vec<u8>) {}
    fn read(_: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(())
    }
}

/// Spells a struct: its fields, in the order written here.
#[macro_export]
macro_rules! spell_struct {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::wire::Canonical for $name {
            fn write(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($crate::wire::Canonical::write($field, out);)*
            }
            fn read(from: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::Malformed> {
                $(let $field = $crate::wire::Canonical::read(from)?;)*
                Ok(Self { $($field),* })
            }
        }
    };
}

/// Spells an enum: a byte, then the fields of the variant in the order written here.
#[macro_export]
macro_rules! spell_enum {
    ($name:ident, $what:literal { $($tag:literal => $variant:ident { $($field:ident),* $(,)? }),* $(,)? }) => {
        impl $crate::wire::Canonical for $name {
            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant { $($field),* } => {
                        out.push($tag);
                        $($crate::wire::Canonical::write($field, out);)*
                    })*
                }
            }
            fn read(from: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::Malformed> {
                match <u8 as $crate::wire::Canonical>::read(from)? {
                    $($tag => {
                        $(let $field = $crate::wire::Canonical::read(from)?;)*
                        Ok(Self::$variant { $($field),* })
                    })*
                    found => Err($crate::wire::Malformed::Choice { what: $what, found }),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Sample = (Bounded<(u16, Option<u64>), 5>, (bool, [u8; 3]));

    proptest! {
        /// Bytes that can be read have one spelling.
        #[test]
        fn one_spelling(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(value) = decode::<Sample>(&bytes) {
                prop_assert_eq!(encode(&value), bytes);
            }
        }
    }

    #[test]
    fn refusals() {
        type List = Bounded<u16, 2>;
        assert_eq!(decode::<List>(&[3, 0, 0, 0, 1, 0, 2, 0, 3, 0]), Err(Malformed::TooLong { limit: 2 }));
        assert_eq!(decode::<Bounded<u16, 9>>(&[9, 0, 0, 0, 1]), Err(Malformed::Truncated));
        assert_eq!(decode::<List>(&[1, 0, 0, 0, 1, 0, 7]), Err(Malformed::Trailing { count: 1 }));
        assert_eq!(decode::<bool>(&[2]), Err(Malformed::Choice { what: "yes or no", found: 2 }));
        assert_eq!(decode::<u64>(&[0; 7]), Err(Malformed::Truncated));
        let mut full = List::new(vec![1, 2]).unwrap();
        assert_eq!(full.push(3), Err(Malformed::TooLong { limit: 2 }));
        assert_eq!(List::new(vec![1, 2, 3]), Err(Malformed::TooLong { limit: 2 }));
    }
}
