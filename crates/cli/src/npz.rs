//! Arrays from `.npz`, `.npy`, `.json` and `.csv` files. Sizes are bounded, objects are refused.

use std::path::Path;

use serde_json::Value;

use crate::failure::{DATA_FILE, Failure, Outcome};
use crate::{files, zip};

/// Largest data file, and largest contents of an archive.
const MAX_BYTES: usize = 1 << 31;
/// Most elements of one array.
const MAX_ELEMENTS: usize = 1 << 28;

/// A dense array of numbers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Axis lengths.
    pub shape: Vec<usize>,
    /// Elements.
    pub data: Numbers,
}

/// Elements of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Real numbers.
    Real(Vec<f32>),
    /// Integers and truth values.
    Whole(Vec<i64>),
}

/// The arrays of one data file, in the file's order. A file of one nameless array has the name "".
#[derive(Clone, Debug, PartialEq)]
pub struct Arrays(pub Vec<(String, Array)>);

/// Reads a data file; its name's end says what it is.
pub fn read(path: &Path) -> Outcome<Arrays> {
    let bytes = files::read_bounded(path, MAX_BYTES)?;
    let end = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    let arrays = match end.as_str() {
        "npz" => archive(&bytes),
        "npy" => npy(&bytes).map(|array| Arrays(vec![(String::new(), array)])),
        "json" => json(&bytes),
        "csv" => csv(&bytes).map(|array| Arrays(vec![(String::new(), array)])),
        _ => Err("the name must end in .npz, .npy, .json or .csv".into()),
    };
    arrays.map_err(|why| {
        let fix = "save it with numpy.savez(path, name=array), or see `zerotell explain ZT204`";
        Failure::misuse(DATA_FILE, path.display(), why, fix)
    })
}

/// The arrays of an `.npz` archive.
pub fn archive(bytes: &[u8]) -> Result<Arrays, String> {
    let mut arrays = Vec::new();
    for (name, content) in zip::members(bytes, MAX_BYTES)? {
        let name = name.strip_suffix(".npy").unwrap_or(&name).to_string();
        let array = npy(&content).map_err(|why| format!("array `{name}`: {why}"))?;
        arrays.push((name, array));
    }
    Ok(Arrays(arrays))
}

/// The array `label` of whole numbers, if there is one: what a data set says is right.
pub fn labels(arrays: &Arrays) -> Vec<i64> {
    match arrays.0.iter().find(|(name, _)| name == "label") {
        Some((_, Array { data: Numbers::Whole(labels), .. })) => labels.clone(),
        _ => Vec::new(),
    }
}

/// One `.npy` file.
pub fn npy(bytes: &[u8]) -> Result<Array, String> {
    let cut = || "the array is cut short".to_string();
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("not a .npy file")?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let (length, rest) = match version[0] {
        1 => rest.split_first_chunk::<2>().map(|(n, r)| (usize::from(u16::from_le_bytes(*n)), r)),
        2 | 3 => rest.split_first_chunk::<4>().map(|(n, r)| (u32::from_le_bytes(*n) as usize, r)),
        other => return Err(format!("unknown .npy version {other}")),
    }
    .ok_or_else(cut)?;
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| "the header is not text")?;
    let descr = quoted(header, "'descr'").ok_or("the array has fields or no type; save plain numbers")?;
    let fortran = after(header, "'fortran_order'").ok_or("no order in the header")?.starts_with("True");
    let shape = shape(header)?;
    let count = shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
    let count = count.filter(|&n| n <= MAX_ELEMENTS).ok_or("the array has too many elements")?;
    let data = elements(descr, data, count)?;
    let array = Array { shape, data };
    Ok(if fortran { array.by_columns() } else { array })
}

fn after<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(key)?;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

fn quoted<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let rest = after(header, key)?.strip_prefix('\'')?;
    rest.split_once('\'').map(|(text, _)| text)
}

fn shape(header: &str) -> Result<Vec<usize>, String> {
    let inside = after(header, "'shape'").and_then(|s| s.strip_prefix('(')).and_then(|s| s.split_once(')'));
    let (inside, _) = inside.ok_or("no shape in the header")?;
    let axes: Result<Vec<usize>, _> =
        inside.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::parse).collect();
    let axes = axes.map_err(|_| "the shape is not understood")?;
    if axes.len() > 8 { Err("more than 8 axes".into()) } else { Ok(axes) }
}

fn elements(descr: &str, data: &[u8], count: usize) -> Result<Numbers, String> {
    let (order, kind) = descr.split_at_checked(1).ok_or("no element type")?;
    let big = match order {
        "<" | "|" => false,
        ">" => true,
        _ => return Err(format!("element type `{descr}` is not understood")),
    };
    let width: usize = kind.get(1..).and_then(|n| n.parse().ok()).unwrap_or(0);
    if kind.starts_with('O') {
        return Err("the array holds Python objects, which are never loaded; save numbers".into());
    }
    if !matches!(width, 1 | 2 | 4 | 8) || data.len() != count * width {
        return Err(format!("{} bytes do not hold {count} elements of type `{descr}`", data.len()));
    }
    let words = data.chunks_exact(width).map(|part| {
        let mut word = [0u8; 8];
        if big {
            word.iter_mut().zip(part.iter().rev()).for_each(|(to, &from)| *to = from);
        } else {
            word.iter_mut().zip(part).for_each(|(to, &from)| *to = from);
        }
        u64::from_le_bytes(word)
    });
    let sign = |w: u64| ((w << (64 - 8 * width)) as i64) >> (64 - 8 * width);
    match kind {
        "f4" => Ok(Numbers::Real(words.map(|w| f32::from_bits(w as u32)).collect())),
        "f8" => Ok(Numbers::Real(words.map(|w| f64::from_bits(w) as f32).collect())),
        "f2" => Ok(Numbers::Real(words.map(|w| half(w as u16)).collect())),
        "i1" | "i2" | "i4" | "i8" => Ok(Numbers::Whole(words.map(sign).collect())),
        "u1" | "u2" | "u4" => Ok(Numbers::Whole(words.map(|w| w as i64).collect())),
        "u8" => {
            let whole: Result<Vec<i64>, _> = words.map(i64::try_from).collect();
            whole.map(Numbers::Whole).map_err(|_| "an integer is 2^63 or more".into())
        }
        "b1" => Ok(Numbers::Whole(words.map(|w| i64::from(w != 0)).collect())),
        _ => Err(format!("element type `{descr}` is not supported; save float32")),
    }
}

/// A 16-bit float.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = ((bits >> 10) & 31, f32::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        e => (1.0 + fraction / 1024.0) * 2f32.powi(i32::from(e) - 15),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

/// Nested lists of numbers, or an object of them.
fn json(bytes: &[u8]) -> Result<Arrays, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|e| format!("not JSON: {e}"))?;
    let named = |(name, value): (&String, &Value)| {
        nested(value).map(|a| (name.clone(), a)).map_err(|why| format!("`{name}`: {why}"))
    };
    match &value {
        Value::Object(map) if !map.is_empty() => Ok(Arrays(map.iter().map(named).collect::<Result<_, _>>()?)),
        Value::Array(_) => Ok(Arrays(vec![(String::new(), nested(&value)?)])),
        _ => Err("expected lists of numbers, or an object of them".into()),
    }
}

fn nested(value: &Value) -> Result<Array, String> {
    let mut shape = Vec::new();
    let mut inner = value;
    while let Value::Array(list) = inner {
        shape.push(list.len());
        if shape.len() > 8 {
            return Err("more than 8 axes".into());
        }
        match list.first() {
            Some(first) => inner = first,
            None => return Err("an empty list".into()),
        }
    }
    let mut flat = Vec::new();
    flatten(value, &shape, &mut flat)?;
    Ok(Array { shape, data: Numbers::Real(flat) })
}

fn flatten(value: &Value, shape: &[usize], into: &mut Vec<f32>) -> Result<(), String> {
    match (value, shape.split_first()) {
        (Value::Array(list), Some((&n, rest))) if list.len() == n => {
            list.iter().try_for_each(|item| flatten(item, rest, into))
        }
        (Value::Number(n), None) => {
            into.push(n.as_f64().ok_or("a number is out of range")? as f32);
            Ok(())
        }
        (Value::Bool(b), None) => {
            into.push(f32::from(u8::from(*b)));
            Ok(())
        }
        _ => Err("the lists are ragged or hold something else than numbers".into()),
    }
}

/// Rows of numbers; a first line of names is skipped.
fn csv(bytes: &[u8]) -> Result<Array, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8 text")?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let mut flat: Vec<f32> = Vec::new();
    let (mut columns, mut rows) = (0, 0);
    for (number, line) in lines {
        let row: Result<Vec<f32>, _> = line.split([',', ';', '\t']).map(|cell| cell.trim().parse()).collect();
        match row {
            Ok(row) if rows == 0 || row.len() == columns => {
                columns = row.len();
                rows += 1;
                flat.extend(row);
            }
            Ok(row) => return Err(format!("line {}: {} columns, not {columns}", number + 1, row.len())),
            Err(_) if rows == 0 && number == 0 => {}
            Err(_) => return Err(format!("line {}: not all cells are numbers", number + 1)),
        }
    }
    if rows == 0 {
        Err("no rows".into())
    } else {
        Ok(Array { shape: vec![rows, columns], data: Numbers::Real(flat) })
    }
}

impl Array {
    /// The same array, read as column-major.
    fn by_columns(self) -> Self {
        let n: usize = self.shape.iter().product();
        let order: Vec<usize> = (0..n)
            .map(|flat| {
                let (mut rest, mut index) = (flat, vec![0; self.shape.len()]);
                for (slot, &axis) in index.iter_mut().zip(&self.shape).rev() {
                    *slot = rest % axis;
                    rest /= axis;
                }
                index.iter().zip(&self.shape).rev().fold(0, |at, (&i, &axis)| at * axis + i)
            })
            .collect();
        let data = match &self.data {
            Numbers::Real(v) => Numbers::Real(order.iter().map(|&i| v[i]).collect()),
            Numbers::Whole(v) => Numbers::Whole(order.iter().map(|&i| v[i]).collect()),
        };
        Self { shape: self.shape, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn column_order_and_types() {
        let header = "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }";
        let data: Vec<u8> = [0i16, 3, 1, 4, 2, -5].iter().flat_map(|x| x.to_le_bytes()).collect();
        let array = npy(&build(header, &data)).unwrap();
        assert_eq!(array.data, Numbers::Whole(vec![0, 1, 2, 3, 4, -5]));
        let header = "{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }";
        assert_eq!(npy(&build(header, &[0, 0x3c, 0, 0xc1])).unwrap().data, Numbers::Real(vec![1.0, -2.5]));
    }

    #[test]
    fn objects_and_huge_shapes_are_refused() {
        let header = "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }";
        assert!(npy(&build(header, &[0; 16])).unwrap_err().contains("objects"));
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }";
        assert!(npy(&build(header, &[])).unwrap_err().contains("too many"));
        let header = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }";
        assert!(npy(&build(header, &[0; 4])).is_err());
    }

    #[test]
    fn json_and_csv() {
        let arrays = json(br#"{"x": [[1, 2], [3, 4.5]]}"#).unwrap();
        assert_eq!(arrays.0[0].1, Array { shape: vec![2, 2], data: Numbers::Real(vec![1.0, 2.0, 3.0, 4.5]) });
        assert!(json(b"[[1], [2, 3]]").unwrap_err().contains("ragged"));
        let array = csv(b"a,b\n1,2\n3,4\n").unwrap();
        assert_eq!((array.shape, array.data), (vec![2, 2], Numbers::Real(vec![1.0, 2.0, 3.0, 4.0])));
        assert!(csv(b"1,2\n3\n").is_err());
        assert!(csv(b"1,2\n3,x\n").is_err());
    }
}
