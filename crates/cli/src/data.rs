//! Rows of data for the inputs of a model.

use std::ops::Range;

use clap::Args;
use model::graph::{DType, Graph};
use model::tensor::Tensor;

use crate::failure::{DATA_FIT, Failure, Outcome, ROWS};
use crate::npz::{Array, Arrays, Numbers};

/// Which rows of a data file are meant.
#[derive(Args, Clone, Debug, Default)]
pub struct RowArgs {
    /// Rows of the input file: `3` or `0..4` (first included, last not)
    #[arg(long, value_name = "ROWS")]
    pub rows: Option<String>,
    /// All rows of the input file, in one proof
    #[arg(long, conflicts_with = "rows")]
    pub batch: bool,
}

/// Rows of one input.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Number of rows.
    pub count: usize,
    /// Elements, row-major.
    pub data: Vec<f32>,
}

impl RowArgs {
    /// The rows meant, of `count`.
    pub fn range(&self, count: usize) -> Outcome<Range<usize>> {
        let Some(text) = &self.rows else {
            if count == 1 || self.batch {
                return Ok(0..count);
            }
            let fix = format!("add --rows 0 (one row), --rows 0..{} or --batch (all)", count.min(4));
            return Err(Failure::misuse(ROWS, "--input", format!("it holds {count} rows"), fix));
        };
        let wrong = |why: String| Failure::misuse(ROWS, "--rows", why, "write --rows 3 or --rows 0..4");
        let number =
            |t: &str| t.trim().parse::<usize>().map_err(|_| wrong(format!("`{text}` is no range of rows")));
        let range = match text.split_once("..") {
            Some((first, end)) => number(first)?..number(end)?,
            None => number(text)?..number(text)?.saturating_add(1),
        };
        if range.is_empty() || range.end > count {
            return Err(wrong(format!("rows {text} of {count}")));
        }
        Ok(range)
    }
}

/// A static shape without a leading batch axis of length 1.
pub fn element(shape: &[usize]) -> &[usize] {
    match shape {
        [1, rest @ ..] => rest,
        all => all,
    }
}

fn fit(name: &str, why: String, fix: &str) -> Failure {
    Failure::misuse(DATA_FIT, format!("input `{name}`"), why, fix)
}

/// The array of an input: by name, or the only one there is.
fn find<'a>(arrays: &'a Arrays, name: &str, inputs: usize) -> Outcome<&'a Array> {
    let named = arrays.0.iter().find(|(n, _)| n == name);
    let only = arrays.0.first().filter(|_| arrays.0.len() == 1 && inputs == 1);
    // One list per input, flattened: a habit of other provers.
    let listed = arrays.0.iter().find(|(n, _)| n == "input_data").filter(|_| inputs == 1);
    named.or(only).or(listed).map(|(_, array)| array).ok_or_else(|| {
        let names: Vec<&str> = arrays.0.iter().map(|(n, _)| n.as_str()).collect();
        let fix = format!("name the array `{name}`: numpy.savez(path, {name}=array)");
        fit(name, format!("there is no array of this name among {names:?}"), &fix)
    })
}

/// Rows of one input whose elements have the shape `element`.
pub fn rows(arrays: &Arrays, name: &str, element: &[usize], inputs: usize) -> Outcome<Rows> {
    let array = find(arrays, name, inputs)?;
    let width: usize = element.iter().product();
    let shape = array.shape.as_slice();
    let count = match shape {
        _ if shape == element => Some(1),
        [n, rest @ ..] if rest == element => Some(*n),
        [n, 1, rest @ ..] if rest == element => Some(*n),
        [n, w] if *w == width => Some(*n),
        [w] if *w == width => Some(1),
        _ => None,
    };
    let wanted = format!("shape {shape:?}; the model wants rows of shape {element:?}");
    let count = count.filter(|&n| n > 0).ok_or_else(|| fit(name, wanted, "reshape the array"))?;
    let data: Vec<f32> = match &array.data {
        Numbers::Real(v) => v.clone(),
        Numbers::Whole(v) => v.iter().map(|&x| x as f32).collect(),
    };
    if let Some(at) = data.iter().position(|x| !x.is_finite()) {
        let why = format!("row {}, entry {} is NaN or infinite", at / width.max(1), at % width.max(1));
        return Err(fit(name, why, "remove or impute missing values"));
    }
    Ok(Rows { count, data })
}

impl Rows {
    /// Some of the rows.
    pub fn pick(&self, range: &Range<usize>) -> Self {
        let width = self.data.len() / self.count.max(1);
        Self { count: range.len(), data: self.data[range.start * width..range.end * width].to_vec() }
    }

    /// One row.
    pub fn row(&self, number: usize) -> &[f32] {
        let width = self.data.len() / self.count.max(1);
        &self.data[number * width..(number + 1) * width]
    }
}

/// Rows for every input of a graph, in order; all inputs have as many.
pub fn graph_rows(arrays: &Arrays, graph: &Graph) -> Outcome<Vec<Rows>> {
    let mut all: Vec<Rows> = Vec::new();
    for &id in &graph.inputs {
        let value = graph.value(id);
        let rows = rows(arrays, &value.name, element(&value.shape), graph.inputs.len())?;
        if let Some(first) = all.first().filter(|first| first.count != rows.count) {
            let why = format!("{} rows, another input has {}", rows.count, first.count);
            return Err(fit(&value.name, why, "give as many rows for every input"));
        }
        all.push(rows);
    }
    Ok(all)
}

/// One row as tensors of the graph's static shapes.
pub fn sample(graph: &Graph, rows: &[Rows], number: usize) -> Vec<Tensor> {
    let tensor = |(&id, rows): (&model::graph::ValueId, &Rows)| {
        let value = graph.value(id);
        let row = rows.row(number);
        match value.dtype {
            DType::F32 => Tensor::f32(&value.shape, row.to_vec()),
            _ => Tensor::i64(&value.shape, row.iter().map(|&x| x as i64).collect()),
        }
    };
    graph.inputs.iter().zip(rows).map(tensor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrays(shape: &[usize]) -> Arrays {
        let n = shape.iter().product();
        Arrays(vec![("x".into(), Array { shape: shape.to_vec(), data: Numbers::Real(vec![0.5; n]) })])
    }

    #[test]
    fn shapes() {
        for (shape, count) in [(&[2, 3][..], 1), (&[5, 2, 3], 5), (&[5, 1, 2, 3], 5), (&[4, 6], 4), (&[6], 1)]
        {
            assert_eq!(rows(&arrays(shape), "x", &[2, 3], 1).unwrap().count, count, "{shape:?}");
        }
        assert!(rows(&arrays(&[3, 2]), "x", &[2, 3], 1).is_err());
        assert!(rows(&arrays(&[0, 2, 3]), "x", &[2, 3], 1).is_err());
        assert!(rows(&arrays(&[2, 3]), "y", &[2, 3], 2).is_err());
    }

    #[test]
    fn ranges() {
        let args = |rows: &str| RowArgs { rows: Some(rows.into()), batch: false };
        assert_eq!(args("3").range(5).unwrap(), 3..4);
        assert_eq!(args("0..4").range(5).unwrap(), 0..4);
        for bad in ["5", "4..4", "0..9", "a", "-1"] {
            assert!(args(bad).range(5).is_err(), "{bad}");
        }
        assert!(RowArgs::default().range(2).is_err());
        assert_eq!(RowArgs::default().range(1).unwrap(), 0..1);
    }
}
