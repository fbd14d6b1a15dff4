//! ai.onnx.ml: scalers, linear models and the label tails of scikit-learn exports.

use super::{Call, Entry, Label, Operator, one};
use crate::graph::{Binary, DType, Unary, ValueId};
use crate::problem::{Problem, Step, misfit, unsupported};
use crate::tensor::Data;

const fn ml(
    name: &'static str,
    attributes: &'static [&'static str],
    inputs: (usize, usize),
    import: super::Import,
    notes: &'static str,
) -> Operator {
    Operator { domain: "ai.onnx.ml", name, attributes, inputs, import, notes }
}

pub(super) const OPERATORS: &[Operator] = &[
    ml("Scaler", &["offset", "scale"], (1, 1), scaler, "as Sub and Mul with constants"),
    ml(
        "LinearClassifier",
        &[
            "classlabels_ints",
            "classlabels_strings",
            "coefficients",
            "intercepts",
            "multi_class",
            "post_transform",
        ],
        (1, 1),
        linear_classifier,
        "as MatMul, Add and Sigmoid or Softmax; the label is ArgMax",
    ),
    ml(
        "LinearRegressor",
        &["coefficients", "intercepts", "post_transform", "targets"],
        (1, 1),
        linear_regressor,
        "as MatMul and Add",
    ),
    ml("Normalizer", &["norm"], (1, 1), normalizer, "only where the scores already sum to one; removed"),
    ml(
        "ZipMap",
        &["classlabels_int64s", "classlabels_strings"],
        (1, 1),
        zip_map,
        "stripped: the scores are the output; noted",
    ),
    ml(
        "ArrayFeatureExtractor",
        &[],
        (2, 2),
        array_feature_extractor,
        "constant indices, or the look-up of a class label",
    ),
    ml(
        "LabelEncoder",
        &[
            "keys_strings",
            "keys_int64s",
            "keys_floats",
            "values_strings",
            "values_int64s",
            "values_floats",
            "default_string",
            "default_int64",
            "default_float",
            "classes_strings",
        ],
        (1, 1),
        label_encoder,
        "of class labels only",
    ),
];

/// The operand as floats.
fn real(call: &mut Call) -> Step<ValueId> {
    let x = call.value(0)?;
    call.b.cast(x, DType::F32)
}

/// (x - offset) * scale, along the last axis.
fn scaler(call: &mut Call) -> Step<Vec<Entry>> {
    let mut x = real(call)?;
    let width = call.b.shape(x).last().copied().unwrap_or(1);
    for (name, kind, nothing) in [("offset", Binary::Sub, 0.0), ("scale", Binary::Mul, 1.0)] {
        let list = call.floats(name)?.unwrap_or_default();
        if list.len() > 1 && list.len() != width {
            return Err(misfit(format!("{} numbers in `{name}` for {width} features", list.len())));
        }
        if list.iter().any(|v| *v != nothing) {
            let list = call.b.floats(&[list.len()], list);
            x = call.b.binary(kind, x, list)?;
        }
    }
    one(x)
}

/// x * coefficients' + intercepts: (N, rows).
fn linear(call: &mut Call, rows: usize) -> Step<ValueId> {
    let mut x = real(call)?;
    let shape = call.b.shape(x);
    if shape.len() == 1 {
        x = call.b.reshape(x, vec![1, shape[0]])?;
    }
    let (coefficients, intercepts) =
        (call.floats("coefficients")?.unwrap_or_default(), call.floats("intercepts")?);
    let features = call.b.shape(x).last().copied().unwrap_or(0);
    if call.rank(x) != 2 || rows == 0 || Some(coefficients.len()) != rows.checked_mul(features) {
        return Err(misfit(format!(
            "{} coefficients for {rows} rows and input {shape:?}",
            coefficients.len()
        )));
    }
    let weights = call.b.floats(&[rows, features], coefficients);
    let weights = call.b.transpose(weights, vec![1, 0])?;
    let y = call.b.matmul(x, weights)?;
    match intercepts.filter(|i| !i.is_empty()) {
        Some(i) if i.len() == rows => {
            let i = call.b.floats(&[rows], i);
            call.b.binary(Binary::Add, y, i)
        }
        Some(i) => Err(misfit(format!("{} intercepts for {rows} rows", i.len()))),
        None => Ok(y),
    }
}

fn post_transform(call: &mut Call, scores: ValueId) -> Step<ValueId> {
    match call.text("post_transform", "NONE")?.as_str() {
        "NONE" => Ok(scores),
        "LOGISTIC" => call.b.unary(Unary::Sigmoid, scores),
        "SOFTMAX" => call.b.softmax(scores, 1, false),
        other => Err(unsupported(
            format!("attribute `post_transform` is `{other}`"),
            "use NONE, LOGISTIC or SOFTMAX",
        )),
    }
}

fn class_labels(call: &Call, ints: &str) -> Step<Vec<String>> {
    let numbers = call.ints(ints)?.unwrap_or_default().iter().map(i64::to_string).collect();
    Ok(call.texts("classlabels_strings")?.filter(|t| !t.is_empty()).unwrap_or(numbers))
}

fn linear_classifier(call: &mut Call) -> Step<Vec<Entry>> {
    let names = class_labels(call, "classlabels_ints")?;
    let features = {
        let x = call.value(0)?;
        call.b.shape(x).last().copied().unwrap_or(0)
    };
    let count = call.floats("coefficients")?.unwrap_or_default().len();
    let single = names.len() == 2 && count == features;
    let mut raw = linear(call, if single { 1 } else { names.len() })?;
    if single {
        // One row for two classes: the other class has the negated score.
        if call.text("post_transform", "NONE")? != "LOGISTIC" {
            return Err(unsupported(
                "one row of coefficients for two classes without the LOGISTIC transform",
                "give one row per class",
            ));
        }
        let negative = call.b.unary(Unary::Neg, raw)?;
        raw = call.b.concat(&[negative, raw], 1)?;
    }
    let scores = post_transform(call, raw)?;
    let transform = call.text("post_transform", "NONE")?;
    if transform == "SOFTMAX" || (transform == "LOGISTIC" && (single || opposite(call)?)) {
        call.b.distributions.insert(scores);
    }
    let index = call.b.arg_max(raw, 1, false, false)?;
    Ok(vec![Entry::Label(Label { index, names }), Entry::Value(scores)])
}

/// Whether there are two rows and each is the other one negated: sigmoid(-z) = 1 - sigmoid(z).
fn opposite(call: &Call) -> Step<bool> {
    let mirrored = |v: Vec<f32>| {
        let (a, b) = v.split_at(v.len() / 2);
        v.len().is_multiple_of(2) && a.iter().zip(b).all(|(a, b)| *a == -*b)
    };
    let two = class_labels(call, "classlabels_ints")?.len() == 2;
    let (rows, shifts) = (call.floats("coefficients")?, call.floats("intercepts")?);
    Ok(two && mirrored(rows.unwrap_or_default()) && mirrored(shifts.unwrap_or_default()))
}

/// Division by the sum changes nothing when the sum is one; else it is refused.
fn normalizer(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let norm = call.text("norm", "MAX")?;
    if norm == "L1" && call.b.distributions.contains(&x) {
        call.b.note("Normalizer was removed: the scores already sum to one");
        return one(x);
    }
    Err(Problem::new(
        "ZT011",
        format!("Normalizer ({norm}) divides by a number that depends on the input"),
        "leave out the normalisation: the order of the scores, and so the label, stays the same",
    ))
}

fn linear_regressor(call: &mut Call) -> Step<Vec<Entry>> {
    let rows = usize::try_from(call.int("targets", 1)?).unwrap_or(0);
    let y = linear(call, rows)?;
    one(post_transform(call, y)?)
}

fn zip_map(call: &mut Call) -> Step<Vec<Entry>> {
    let scores = call.value(0)?;
    let names = class_labels(call, "classlabels_int64s")?;
    call.b.note("ZipMap was stripped: the output is the tensor of scores, in the order of the class labels");
    call.b.labels = Some(names);
    one(scores)
}

/// Constant classes as texts.
fn texts(call: &Call) -> Option<Vec<String>> {
    match call.inputs.first() {
        Some(Some(Entry::Texts(v))) => Some(v.clone()),
        Some(Some(Entry::Value(id))) => match &call.b.constant_of(*id)?.data {
            Data::I64(v) => Some(v.iter().map(i64::to_string).collect()),
            Data::F32(v) => Some(v.iter().map(f32::to_string).collect()),
            Data::Bool(_) => None,
        },
        _ => None,
    }
}

fn array_feature_extractor(call: &mut Call) -> Step<Vec<Entry>> {
    let index = call.value(1)?;
    if let (Some(names), None) = (texts(call), call.b.constant_of(index)) {
        return Ok(vec![Entry::Label(Label { index, names })]);
    }
    let x = call.value(0)?;
    let list = call.constant_ints(1, "indices")?.unwrap_or_default();
    let shape = call.b.shape(x);
    let width = shape.last().copied().unwrap_or(0);
    let place = |i: &i64| usize::try_from(*i).ok().filter(|i| *i < width);
    let list: Option<Vec<usize>> = list.iter().map(place).collect();
    let list = list.ok_or_else(|| misfit(format!("an index is outside the last axis of {shape:?}")))?;
    let count = list.len();
    let picked = call.b.gather(x, shape.len() - 1, list, &[count])?;
    let shape = if shape.len() == 1 { vec![1, count] } else { call.b.shape(picked) };
    one(call.b.reshape(picked, shape)?)
}

/// Keys or values of a LabelEncoder as texts.
fn column(call: &Call, name: &str) -> Step<Option<Vec<String>>> {
    if let Some(v) = call.texts(&format!("{name}_strings"))? {
        return Ok(Some(v));
    }
    if let Some(v) = call.ints(&format!("{name}_int64s"))? {
        return Ok(Some(v.iter().map(i64::to_string).collect()));
    }
    Ok(call.floats(&format!("{name}_floats"))?.map(|v| v.iter().map(f32::to_string).collect()))
}

fn label_encoder(call: &mut Call) -> Step<Vec<Entry>> {
    let refused = |why: &str| {
        Problem::new(
            "ZT011",
            format!("LabelEncoder {why}"),
            "encode categories before the model, or leave the node out",
        )
    };
    let Some(mut label) = call.label(0) else { return Err(refused("of model data is not supported")) };
    let (Some(keys), Some(values)) = (column(call, "keys")?, column(call, "values")?) else {
        return Err(refused("without explicit keys and values is not supported"));
    };
    for name in &mut label.names {
        let at = keys.iter().position(|k| k == name).filter(|at| *at < values.len());
        name.clone_from(&values[at.ok_or_else(|| refused("has no entry for a class label"))?]);
    }
    Ok(vec![Entry::Label(label)])
}
