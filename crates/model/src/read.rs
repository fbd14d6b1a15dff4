//! Constant tensors: every ONNX storage form becomes a [`Tensor`].

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use crate::graph::DType;
use crate::problem::{Problem, Step, too_large};
use crate::proto;
use crate::tensor::{Data, Tensor};

/// Most elements of one tensor.
pub(crate) const MAX_ELEMENTS: usize = 1 << 28;
/// Most axes of one tensor.
pub(crate) const MAX_AXES: usize = 8;

/// ONNX element types that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Element {
    F32,
    U8,
    I8,
    U16,
    I16,
    I32,
    I64,
    Bool,
    F16,
    F64,
    U32,
    U64,
    BF16,
}

impl Element {
    /// From the number in the file; the error is the type's name.
    pub fn from_code(code: i64) -> Result<Self, &'static str> {
        Ok(match code {
            1 => Self::F32,
            2 => Self::U8,
            3 => Self::I8,
            4 => Self::U16,
            5 => Self::I16,
            6 => Self::I32,
            7 => Self::I64,
            9 => Self::Bool,
            10 => Self::F16,
            11 => Self::F64,
            12 => Self::U32,
            13 => Self::U64,
            16 => Self::BF16,
            8 => return Err("string"),
            14 | 15 => return Err("complex"),
            17..=20 => return Err("8-bit float"),
            21..=23 => return Err("4-bit"),
            _ => return Err("unknown"),
        })
    }

    /// Type in the graph.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 | Self::F16 | Self::F64 | Self::BF16 => DType::F32,
            Self::U8 => DType::U8,
            Self::I8 => DType::I8,
            Self::U16 => DType::U16,
            Self::I16 => DType::I16,
            Self::I32 => DType::I32,
            Self::I64 | Self::U32 | Self::U64 => DType::I64,
            Self::Bool => DType::Bool,
        }
    }

    /// Bytes per element in raw data.
    fn width(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }
}

/// A constant with its type and whether precision was dropped.
pub(crate) struct Constant {
    pub tensor: Tensor,
    pub dtype: DType,
    /// The file held float64 values.
    pub narrowed: bool,
}

/// Number of elements of a shape within the limits.
pub(crate) fn elements(shape: &[usize]) -> Step<usize> {
    if shape.len() > MAX_AXES {
        return Err(too_large(format!("a tensor has {} axes", shape.len())));
    }
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    match count {
        // A zero length must not hide huge other lengths from later arithmetic.
        Some(n) if n <= MAX_ELEMENTS && shape.iter().all(|d| *d <= MAX_ELEMENTS) => Ok(n),
        _ => Err(too_large(format!("a tensor has shape {shape:?}"))),
    }
}

fn shape_of(dims: &[i64]) -> Step<Vec<usize>> {
    let shape: Option<Vec<usize>> = dims.iter().map(|d| usize::try_from(*d).ok()).collect();
    shape.ok_or_else(|| damaged(format!("negative length in shape {dims:?}")))
}

fn damaged(message: String) -> Problem {
    Problem::new("ZT007", message, "export the model again")
}

/// Reads one constant. `base` is the directory that external data must lie in.
pub(crate) fn constant(t: &proto::Tensor, base: Option<&Path>, files: &mut Vec<PathBuf>) -> Step<Constant> {
    let element = Element::from_code(t.data_type).map_err(|name| {
        let message = format!("constant `{}` has element type {name} (code {})", t.name, t.data_type);
        Problem::new("ZT008", message, "use float32 or an integer type")
    })?;
    if t.segmented {
        return Err(damaged(format!("constant `{}` is stored in segments", t.name)));
    }
    let shape = shape_of(&t.dims)?;
    let count = elements(&shape)?;
    let data = if t.location == 1 {
        let bytes = external(t, count * element.width(), base, files)?;
        from_raw(element, &bytes)?
    } else if let Some(raw) = t.raw {
        check_count(&t.name, raw.len(), count * element.width(), "bytes")?;
        from_raw(element, raw)?
    } else {
        from_fields(element, t, count)?
    };
    Ok(Constant { tensor: Tensor { shape, data }, dtype: element.dtype(), narrowed: element == Element::F64 })
}

/// A tensor stored on its own, as in the ONNX test suites (`TensorProto` bytes).
///
/// # Errors
/// `ZT002`, `ZT007` or `ZT008` when the bytes are damaged or the type is not supported.
pub fn tensor_from_bytes(bytes: &[u8]) -> Result<(Tensor, DType), Problem> {
    let damage = |d: crate::wire::Damage| {
        Problem::new("ZT002", format!("damaged tensor: {}", d.0), "write the file again")
    };
    let t = proto::Tensor::read(bytes).map_err(damage)?;
    constant(&t, None, &mut Vec::new()).map(|c| (c.tensor, c.dtype))
}

/// Name of a tensor stored on its own; `None` when the bytes are damaged.
pub fn tensor_name_from_bytes(bytes: &[u8]) -> Option<String> {
    proto::Tensor::read(bytes).ok().map(|t| t.name)
}

fn check_count(name: &str, found: usize, expected: usize, what: &str) -> Step<()> {
    if found == expected {
        return Ok(());
    }
    Err(damaged(format!("constant `{name}` holds {found} {what}, its shape needs {expected}")))
}

fn words<const N: usize, T>(raw: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.chunks_exact(N)
        .map(|chunk| {
            let mut word = [0; N];
            word.copy_from_slice(chunk);
            convert(word)
        })
        .collect()
}

fn from_raw(element: Element, raw: &[u8]) -> Step<Data> {
    Ok(match element {
        Element::F32 => Data::F32(words(raw, f32::from_le_bytes)),
        Element::F16 => Data::F32(words(raw, |b| half(u16::from_le_bytes(b)))),
        Element::BF16 => Data::F32(words(raw, |b| brain(u16::from_le_bytes(b)))),
        Element::F64 => Data::F32(words(raw, |b| f64::from_le_bytes(b) as f32)),
        Element::U8 => Data::I64(raw.iter().map(|b| i64::from(*b)).collect()),
        Element::I8 => Data::I64(raw.iter().map(|b| i64::from(*b as i8)).collect()),
        Element::Bool => Data::Bool(raw.iter().map(|b| *b != 0).collect()),
        Element::U16 => Data::I64(words(raw, |b| i64::from(u16::from_le_bytes(b)))),
        Element::I16 => Data::I64(words(raw, |b| i64::from(i16::from_le_bytes(b)))),
        Element::I32 => Data::I64(words(raw, |b| i64::from(i32::from_le_bytes(b)))),
        Element::U32 => Data::I64(words(raw, |b| i64::from(u32::from_le_bytes(b)))),
        Element::I64 => Data::I64(words(raw, i64::from_le_bytes)),
        Element::U64 => Data::I64(fits_i64(words(raw, i64::from_le_bytes))?),
    })
}

fn fits_i64(values: Vec<i64>) -> Step<Vec<i64>> {
    if values.iter().any(|v| *v < 0) {
        return Err(Problem::new("ZT008", "a uint64 constant exceeds 2^63", "use int64"));
    }
    Ok(values)
}

fn from_fields(element: Element, t: &proto::Tensor, count: usize) -> Step<Data> {
    let ints = |values: &[i64], keep: fn(i64) -> i64| -> Step<Data> {
        check_count(&t.name, values.len(), count, "elements")?;
        Ok(Data::I64(values.iter().map(|v| keep(*v)).collect()))
    };
    let bits = |convert: fn(u16) -> f32| -> Step<Data> {
        check_count(&t.name, t.int32s.len(), count, "elements")?;
        Ok(Data::F32(t.int32s.iter().map(|v| convert(*v as u16)).collect()))
    };
    match element {
        Element::F32 => {
            check_count(&t.name, t.floats.len(), count, "elements").map(|()| Data::F32(t.floats.clone()))
        }
        Element::F64 => {
            check_count(&t.name, t.doubles.len(), count, "elements")?;
            Ok(Data::F32(t.doubles.iter().map(|v| *v as f32).collect()))
        }
        Element::F16 => bits(half),
        Element::BF16 => bits(brain),
        Element::Bool => {
            check_count(&t.name, t.int32s.len(), count, "elements")?;
            Ok(Data::Bool(t.int32s.iter().map(|v| *v != 0).collect()))
        }
        Element::U8 => ints(&t.int32s, |v| i64::from(v as u8)),
        Element::I8 => ints(&t.int32s, |v| i64::from(v as i8)),
        Element::U16 => ints(&t.int32s, |v| i64::from(v as u16)),
        Element::I16 => ints(&t.int32s, |v| i64::from(v as i16)),
        Element::I32 => ints(&t.int32s, |v| i64::from(v as i32)),
        Element::I64 => ints(&t.int64s, |v| v),
        Element::U32 => ints(&t.uint64s, |v| i64::from(v as u32)),
        Element::U64 => {
            check_count(&t.name, t.uint64s.len(), count, "elements")?;
            fits_i64(t.uint64s.clone()).map(Data::I64)
        }
    }
}

/// IEEE binary16 to binary32, exact.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

/// bfloat16 to binary32, exact.
fn brain(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

fn refused(t: &proto::Tensor, why: impl std::fmt::Display) -> Problem {
    let message = format!("external data of `{}` refused: {why}", t.name);
    Problem::new(
        "ZT006",
        message,
        "keep the data file in the model's directory, or save the weights inside the model",
    )
}

/// Path of an external file, confined to `base`.
fn confined(t: &proto::Tensor, base: Option<&Path>, location: &str) -> Step<PathBuf> {
    let base = base.ok_or_else(|| refused(t, "the model was given as bytes, without a directory"))?;
    let relative = Path::new(location);
    let plain = relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if location.is_empty() || !plain || location.contains('\\') || location.contains('\0') {
        return Err(refused(t, format!("`{location}` is not a plain relative path")));
    }
    let base = base.canonicalize().map_err(|e| refused(t, e))?;
    let path = base.join(relative).canonicalize().map_err(|e| refused(t, format!("`{location}`: {e}")))?;
    if !path.starts_with(&base) {
        return Err(refused(t, format!("`{location}` is a link that leaves the directory")));
    }
    Ok(path)
}

/// Bytes of a constant kept outside the model; `expected` is known from its shape.
fn external(
    t: &proto::Tensor,
    expected: usize,
    base: Option<&Path>,
    files: &mut Vec<PathBuf>,
) -> Step<Vec<u8>> {
    let (mut location, mut offset, mut length) = ("", 0u64, None);
    for (key, value) in &t.external {
        let number =
            || value.parse::<u64>().map_err(|_| refused(t, format!("{key} `{value}` is not a number")));
        match key.as_str() {
            "location" => location = value,
            "offset" => offset = number()?,
            "length" => length = Some(number()?),
            "checksum" => {}
            _ => return Err(refused(t, format!("unknown key `{key}`"))),
        }
    }
    if length.is_some_and(|l| l != expected as u64) {
        return Err(refused(
            t,
            format!("length {} does not match the shape ({expected} bytes)", length.unwrap_or(0)),
        ));
    }
    let path = confined(t, base, location)?;
    let io = |e: std::io::Error| refused(t, format!("`{location}`: {e}"));
    let meta = std::fs::metadata(&path).map_err(io)?;
    let end = offset.checked_add(expected as u64);
    if !meta.is_file() || end.is_none_or(|end| end > meta.len()) {
        return Err(refused(
            t,
            format!("`{location}` has {} bytes, {expected} are needed from {offset}", meta.len()),
        ));
    }
    let mut file = File::open(&path).map_err(io)?;
    file.seek(SeekFrom::Start(offset)).map_err(io)?;
    let mut bytes = vec![0; expected];
    file.read_exact(&mut bytes).map_err(io)?;
    if !files.contains(&path) {
        files.push(path);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_floats() {
        assert_eq!(half(0x3c00), 1.0);
        assert_eq!(half(0xc000), -2.0);
        assert_eq!(half(0x0001), 2f32.powi(-24));
        assert_eq!(half(0x7bff), 65504.0);
        assert_eq!(half(0xfc00), f32::NEG_INFINITY);
        assert!(half(0x7e00).is_nan());
        assert_eq!(brain(0x3fc0), 1.5);
    }

    fn outside(location: &str, extra: &[(&str, &str)]) -> proto::Tensor<'static> {
        let mut external = vec![("location".to_string(), location.to_string())];
        external.extend(extra.iter().map(|(k, v)| (k.to_string(), v.to_string())));
        proto::Tensor {
            name: "w".into(),
            dims: vec![2],
            data_type: 1,
            location: 1,
            external,
            ..Default::default()
        }
    }

    #[test]
    fn external_data_stays_in_its_directory() {
        let dir = std::env::temp_dir().join(format!("zerotell-model-{}", std::process::id()));
        let inner = dir.join("inner");
        std::fs::create_dir_all(&inner).unwrap();
        let bytes: Vec<u8> = [0.0f32, 1.5, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(inner.join("w.bin"), &bytes).unwrap();
        std::fs::write(dir.join("secret.bin"), &bytes).unwrap();
        std::os::unix::fs::symlink(dir.join("secret.bin"), inner.join("link.bin")).unwrap();
        let get = |t: proto::Tensor| constant(&t, Some(&inner), &mut Vec::new()).map(|c| c.tensor);
        let good = get(outside("w.bin", &[("offset", "4"), ("length", "8")])).unwrap();
        assert_eq!(good.as_f32(), Some(&[1.5, -2.0][..]));
        for location in ["../secret.bin", "link.bin", "/etc/hostname", "", "missing.bin", "a\\b"] {
            assert_eq!(get(outside(location, &[])).unwrap_err().code, "ZT006", "{location}");
        }
        for lie in [("length", "12"), ("offset", "8"), ("offset", "18446744073709551615"), ("what", "1")] {
            assert_eq!(get(outside("w.bin", &[lie])).unwrap_err().code, "ZT006", "{lie:?}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
