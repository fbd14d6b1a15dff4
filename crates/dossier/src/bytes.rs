//! Framed bytes: a name of four letters, a version, parts with their lengths before them. Little endian.

use program::types::Program;
use zeroize::Zeroizing;

/// Longest framed part of any file.
pub const PART: u64 = 1 << 31;
/// First version of every file.
pub const VERSION: u16 = 1;

/// A result whose error is words for people.
pub type Parsed<T> = Result<T, String>;

/// Writes a file; what it holds is wiped when it is dropped.
pub struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// Begins a file of the first version.
    #[must_use]
    pub fn new(magic: &[u8; 4]) -> Self {
        Self::versioned(magic, VERSION)
    }

    /// Begins a file of any version.
    #[must_use]
    pub fn versioned(magic: &[u8; 4], version: u16) -> Self {
        let mut w = Self(Zeroizing::new(magic.to_vec()));
        w.put(&version.to_le_bytes());
        w
    }

    /// Appends; a buffer that grows leaves no copy behind.
    pub fn put(&mut self, bytes: &[u8]) {
        let needed = self.0.len().saturating_add(bytes.len());
        if needed > self.0.capacity() {
            let mut next = Zeroizing::new(Vec::with_capacity(needed.saturating_mul(2)));
            next.extend_from_slice(&self.0);
            self.0 = next;
        }
        self.0.extend_from_slice(bytes);
    }

    /// Appends a length (`u64`) and the bytes.
    pub fn framed(&mut self, bytes: &[u8]) {
        self.put(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        self.put(bytes);
    }

    /// The bytes.
    #[must_use]
    pub fn done(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// The bytes, with their BLAKE3 hash behind them: it finds damage.
    #[must_use]
    pub fn sealed(mut self) -> Zeroizing<Vec<u8>> {
        let checksum = blake3::hash(&self.0);
        self.put(checksum.as_bytes());
        self.0
    }
}

/// Reads what [`Writer`] writes. Every length is compared with what is left before memory is taken.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Begins to read a file of the first version.
    ///
    /// # Errors
    /// Another name, or another version.
    pub fn new(bytes: &'a [u8], magic: &[u8; 4]) -> Parsed<Self> {
        Self::versioned(bytes, magic, VERSION).map(|(r, _)| r)
    }

    /// Also later versions, up to `latest`.
    ///
    /// # Errors
    /// As [`Reader::new`].
    pub fn versioned(bytes: &'a [u8], magic: &[u8; 4], latest: u16) -> Parsed<(Self, u16)> {
        let mut r = Self(bytes);
        if bytes.len() < 6 || r.take(4)? != magic {
            return Err("it does not start with the right name".into());
        }
        match u16::from_le_bytes(r.array()?) {
            version if (VERSION..=latest).contains(&version) => Ok((r, version)),
            other => Err(format!("version {other} is not known")),
        }
    }

    /// As [`Reader::new`], after comparing the checksum at the end.
    ///
    /// # Errors
    /// As [`Reader::new`], and another checksum.
    pub fn sealed(bytes: &'a [u8], magic: &[u8; 4]) -> Parsed<Self> {
        let (body, checksum) = bytes.split_last_chunk::<32>().ok_or("it is cut short")?;
        let r = Self::new(body, magic)?;
        if blake3::hash(body) == *checksum {
            Ok(r)
        } else {
            Err("its checksum differs: it is damaged".into())
        }
    }

    /// Bytes that are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// So many bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn take(&mut self, count: usize) -> Parsed<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(count).ok_or("it is cut short")?;
        self.0 = rest;
        Ok(part)
    }

    /// N bytes.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| "it is cut short".into())
    }

    /// A number of 32 bits.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u32(&mut self) -> Parsed<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A number of 64 bits.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u64(&mut self) -> Parsed<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A count of things of this width, bounded by the limit and by what is left.
    ///
    /// # Errors
    /// A count that cannot be true.
    pub fn length(&mut self, width: u64) -> Parsed<usize> {
        let count = self.u64()?;
        let left = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        let bytes = count.checked_mul(width).filter(|&bytes| bytes <= PART && bytes <= left);
        bytes.ok_or("a length in it is larger than the file")?;
        usize::try_from(count).map_err(|_| "a length in it is larger than the file".into())
    }

    /// A part with its length before it.
    ///
    /// # Errors
    /// As [`Reader::length`].
    pub fn framed(&mut self) -> Parsed<&'a [u8]> {
        let length = self.length(1)?;
        self.take(length)
    }

    /// A program with contents.
    ///
    /// # Errors
    /// Bytes that are no program.
    pub fn program(&mut self) -> Parsed<Program> {
        crate::files::program(self.framed()?)
    }

    /// Text.
    ///
    /// # Errors
    /// Bytes that are no UTF-8.
    pub fn text(&mut self) -> Parsed<String> {
        String::from_utf8(self.framed()?.to_vec()).map_err(|_| "a text in it is not UTF-8".into())
    }

    /// Refuses what is left over.
    ///
    /// # Errors
    /// Bytes that follow.
    pub fn end(&self) -> Parsed<()> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("{} bytes follow its end", self.0.len())) }
    }
}
