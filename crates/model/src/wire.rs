//! Protocol Buffers wire format: fields of a message, borrowed from the bytes.
//!
//! Nothing is allocated from a length: a length that exceeds the bytes is damage.

/// The bytes are not a valid message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage(pub &'static str);

/// Payload of one field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64([u8; 8]),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32([u8; 4]),
}

/// Reads fields one after the other.
pub(crate) struct Fields<'a>(&'a [u8]);

/// The fields of a message.
pub(crate) fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields(bytes)
}

impl<'a> Fields<'a> {
    /// The next field's number and payload; `None` at the end.
    pub fn next(&mut self) -> Result<Option<(u64, Payload<'a>)>, Damage> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = varint(&mut self.0)?;
        let payload = match key & 7 {
            0 => Payload::Varint(varint(&mut self.0)?),
            1 => Payload::Fixed64(array(take(&mut self.0, 8)?)),
            2 => {
                let len = varint(&mut self.0)?;
                let len = usize::try_from(len).map_err(|_| Damage("length too large"))?;
                Payload::Bytes(take(&mut self.0, len)?)
            }
            5 => Payload::Fixed32(array(take(&mut self.0, 4)?)),
            _ => return Err(Damage("unknown wire type")),
        };
        match key >> 3 {
            0 => Err(Damage("field number 0")),
            number => Ok(Some((number, payload))),
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], Damage> {
    let (head, tail) = bytes.split_at_checked(len).ok_or(Damage("the bytes end too early"))?;
    *bytes = tail;
    Ok(head)
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Damage> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = take(bytes, 1)?[0];
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            break;
        }
        value |= part << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Damage("a number is longer than 64 bits"))
}

impl<'a> Payload<'a> {
    /// An integer field.
    pub fn int(self) -> Result<i64, Damage> {
        if let Self::Varint(v) = self { Ok(v as i64) } else { Err(Damage("expected an integer field")) }
    }

    /// A 32-bit float field.
    pub fn float(self) -> Result<f32, Damage> {
        if let Self::Fixed32(v) = self {
            Ok(f32::from_le_bytes(v))
        } else {
            Err(Damage("expected a float field"))
        }
    }

    /// Bytes of a string, message or bytes field.
    pub fn bytes(self) -> Result<&'a [u8], Damage> {
        if let Self::Bytes(v) = self { Ok(v) } else { Err(Damage("expected a length-delimited field")) }
    }

    /// A text field.
    pub fn text(self) -> Result<String, Damage> {
        let text = std::str::from_utf8(self.bytes()?).map_err(|_| Damage("a name is not UTF-8"))?;
        Ok(text.to_string())
    }

    /// Appends one integer or a packed run of integers.
    pub fn ints(self, out: &mut Vec<i64>) -> Result<(), Damage> {
        match self {
            Self::Varint(v) => out.push(v as i64),
            Self::Bytes(mut run) => {
                while !run.is_empty() {
                    out.push(varint(&mut run)? as i64);
                }
            }
            _ => return Err(Damage("expected integers")),
        }
        Ok(())
    }

    /// Appends one 32-bit float or a packed run of them.
    pub fn floats(self, out: &mut Vec<f32>) -> Result<(), Damage> {
        match self {
            Self::Fixed32(v) => out.push(f32::from_le_bytes(v)),
            Self::Bytes(run) if run.len().is_multiple_of(4) => {
                out.extend(run.chunks_exact(4).map(|c| f32::from_le_bytes(array(c))));
            }
            _ => return Err(Damage("expected floats")),
        }
        Ok(())
    }

    /// Appends one 64-bit float or a packed run of them.
    pub fn doubles(self, out: &mut Vec<f64>) -> Result<(), Damage> {
        match self {
            Self::Fixed64(v) => out.push(f64::from_le_bytes(v)),
            Self::Bytes(run) if run.len().is_multiple_of(8) => {
                out.extend(run.chunks_exact(8).map(|c| f64::from_le_bytes(array(c))));
            }
            _ => return Err(Damage("expected doubles")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_wire_type() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1d, 0, 0, 0x80, 0x3f];
        let mut f = fields(&bytes);
        assert!(matches!(f.next(), Ok(Some((1, Payload::Varint(150))))));
        let (number, text) = f.next().unwrap().unwrap();
        assert_eq!((number, text.text().unwrap().as_str()), (2, "hi"));
        let (number, one) = f.next().unwrap().unwrap();
        assert_eq!((number, one.float().unwrap()), (3, 1.0));
        assert!(f.next().unwrap().is_none());
    }

    #[test]
    fn refuses_damage() {
        for bytes in [
            &[0x08][..],
            &[0x12, 0x05, 1],
            &[0x0b],
            &[0x00, 0x00],
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ] {
            assert!(fields(bytes).next().is_err(), "{bytes:?}");
        }
    }
}
