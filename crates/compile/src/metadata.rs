//! What a Program's numbers mean: names, scales, labels. Carried in the Program as
//! JSON with sorted keys; bound by its digest, not interpreted by the verifier.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version word of the metadata.
pub const FORMAT: &str = "zerotell-metadata-1";

/// One input of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputMeta {
    /// ONNX name.
    pub name: String,
    /// Shape of one element, without the batch axis.
    pub shape: Vec<usize>,
    /// Real value of one unit.
    pub scale: f64,
    /// Integer that means 0.
    pub zero: i64,
    /// Least integer.
    pub lo: i64,
    /// Largest integer.
    pub hi: i64,
}

/// One output of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputMeta {
    /// ONNX name of the value that is proved.
    pub name: String,
    /// Shape of one element, without the batch axis.
    pub shape: Vec<usize>,
    /// Real value of one unit.
    pub scale: f64,
    /// Integer that means 0.
    pub zero: i64,
    /// "logits" if the largest entry is the answer, else "values".
    pub kind: String,
    /// What the float model does next with it: "softmax", "logsoftmax", "sigmoid" or "none".
    pub then: String,
    /// Names of the classes, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
}

/// The metadata of a Program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// [`FORMAT`].
    pub format: String,
    /// Model name.
    pub model: String,
    /// "exact": the integers are those of the quantised model the user gave, wherever 32-bit floats decide
    /// its roundings;
    /// "bounded": they are near the float model, as the report measures.
    pub semantics: String,
    /// Bits of weights and activations, such as "w8a8".
    pub precision: String,
    /// Inputs in the order of their tensors.
    pub inputs: Vec<InputMeta>,
    /// Outputs in order.
    pub outputs: Vec<OutputMeta>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// BLAKE3 of the accuracy report's JSON, in hex.
    pub report_digest: String,
}

/// Why values do not fit an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeaningError {
    /// There is no such input or output.
    Missing {
        /// Its number.
        number: usize,
    },
    /// The number of entries is not a multiple of one element's.
    Length {
        /// Entries of one batch element.
        element: usize,
        /// Entries given.
        got: usize,
    },
    /// NaN or infinity.
    NotFinite {
        /// Its place.
        index: usize,
    },
}

impl std::fmt::Display for MeaningError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing { number } => write!(f, "the program has no input or output {number}"),
            Self::Length { element, got } => {
                write!(f, "{got} numbers given; the input takes {element} per inference")
            }
            Self::NotFinite { index } => write!(f, "entry {index} is NaN or infinite: remove or impute it"),
        }
    }
}

impl std::error::Error for MeaningError {}

impl Metadata {
    /// Canonical bytes: JSON with sorted keys and no spaces.
    pub fn to_bytes(&self) -> Vec<u8> {
        // A value tree sorts its keys; a struct would keep declaration order.
        let tree = serde_json::to_value(self).unwrap_or_default();
        tree.to_string().into_bytes()
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// When the bytes are not this JSON.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let meta: Self = serde_json::from_slice(bytes).map_err(|e| format!("metadata: {e}"))?;
        if meta.format == FORMAT {
            Ok(meta)
        } else {
            Err(format!("metadata format \"{}\" is not known", meta.format))
        }
    }
}

/// Integers of an input and how many had to be saturated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantised {
    /// Row-major, batch first.
    pub values: Vec<i64>,
    /// Number of values that lay outside the type and were clamped.
    pub saturated: usize,
}

/// Reals to integers: round half to even of x / scale, plus the zero point, clamped.
/// `x` holds whole batch elements, row-major.
///
/// # Errors
/// [`MeaningError`] when there is no such input, the length does not fit, or a
/// value is not finite.
pub fn quantise_input(meta: &Metadata, number: usize, x: &[f32]) -> Result<Quantised, MeaningError> {
    let input = meta.inputs.get(number).ok_or(MeaningError::Missing { number })?;
    let element: usize = input.shape.iter().product();
    if element == 0 || !x.len().is_multiple_of(element) {
        return Err(MeaningError::Length { element, got: x.len() });
    }
    let mut saturated = 0;
    let mut values = Vec::with_capacity(x.len());
    for (index, &v) in x.iter().enumerate() {
        if !v.is_finite() {
            return Err(MeaningError::NotFinite { index });
        }
        let q = (f64::from(v) / input.scale).round_ties_even() + input.zero as f64;
        let kept = q.clamp(input.lo as f64, input.hi as f64);
        saturated += usize::from(kept != q);
        values.push(kept as i64);
    }
    Ok(Quantised { values, saturated })
}

/// Integers of an output to reals: (q - zero) * scale.
///
/// # Errors
/// [`MeaningError::Missing`] when there is no such output.
pub fn dequantise_output(meta: &Metadata, number: usize, q: &[i64]) -> Result<Vec<f64>, MeaningError> {
    let output = meta.outputs.get(number).ok_or(MeaningError::Missing { number })?;
    Ok(q.iter().map(|&v| (v - output.zero) as f64 * output.scale).collect())
}

/// The threshold in integer units that a real bound means: q >= result exactly when
/// the output's real value is >= `bound`. For an output that the float model sends
/// through a sigmoid, `bound` is a probability.
///
/// # Errors
/// [`MeaningError`] when there is no such output or the bound is not finite.
pub fn threshold(meta: &Metadata, number: usize, bound: f64) -> Result<i64, MeaningError> {
    let output = meta.outputs.get(number).ok_or(MeaningError::Missing { number })?;
    if !bound.is_finite() {
        return Err(MeaningError::NotFinite { index: 0 });
    }
    let logit = if output.then == "sigmoid" { libm::log(bound / (1.0 - bound)) } else { bound };
    let q = (logit / output.scale).ceil();
    // A probability of 0 or 1, or a bound beyond all integers, has no threshold.
    if q.is_finite() && q.abs() < 1e18 {
        Ok(q as i64 + output.zero)
    } else {
        Err(MeaningError::NotFinite { index: 0 })
    }
}

/// Extra facts a caller may add to the outputs: class names by output number.
pub type Labels = BTreeMap<usize, Vec<String>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Metadata {
        Metadata {
            format: FORMAT.into(),
            model: "m".into(),
            semantics: "bounded".into(),
            precision: "w8a8".into(),
            inputs: vec![InputMeta { name: "x".into(), shape: vec![2], scale: 0.5, zero: 3, lo: -8, hi: 7 }],
            outputs: vec![],
            notes: vec![],
            report_digest: String::new(),
        }
    }

    #[test]
    fn rounding_is_half_to_even_and_saturation_is_counted() {
        let q = quantise_input(&meta(), 0, &[0.25, 0.75, -100.0, 2.0]).unwrap();
        assert_eq!(q, Quantised { values: vec![3, 5, -8, 7], saturated: 1 });
        assert_eq!(quantise_input(&meta(), 0, &[f32::NAN, 0.0]), Err(MeaningError::NotFinite { index: 0 }));
        assert_eq!(quantise_input(&meta(), 0, &[0.0]), Err(MeaningError::Length { element: 2, got: 1 }));
        assert_eq!(quantise_input(&meta(), 1, &[0.0]), Err(MeaningError::Missing { number: 1 }));
    }

    #[test]
    fn thresholds_are_rounded_up() {
        let mut meta = meta();
        let output = OutputMeta {
            name: "y".into(),
            shape: vec![],
            scale: 0.25,
            zero: 0,
            kind: "logits".into(),
            then: "none".into(),
            labels: None,
        };
        meta.outputs = vec![output.clone(), OutputMeta { then: "sigmoid".into(), ..output }];
        assert_eq!(threshold(&meta, 0, 0.3), Ok(2));
        assert_eq!(threshold(&meta, 0, -0.3), Ok(-1));
        assert_eq!(threshold(&meta, 1, 0.5), Ok(0));
        assert_eq!(threshold(&meta, 1, 1.0), Err(MeaningError::NotFinite { index: 0 }));
        assert_eq!(threshold(&meta, 2, 0.5), Err(MeaningError::Missing { number: 2 }));
        assert_eq!(dequantise_output(&meta, 0, &[-2, 4]), Ok(vec![-0.5, 1.0]));
    }

    #[test]
    fn bytes_are_canonical() {
        let bytes = meta().to_bytes();
        assert_eq!(Metadata::from_bytes(&bytes).unwrap(), meta());
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("{\"format\""), "{text}");
        assert!(text.find("\"inputs\"") < text.find("\"model\""));
    }
}
