//! Operators that are known and refused: why, and what to use instead.

use crate::problem::Problem;

const TREES: &str = "train LogisticRegression or MLPClassifier on the same data, or a small neural network";
const STATIC: &str =
    "quantise statically to QDQ: onnxruntime.quantization.quantize_static(..., quant_format=QuantFormat.QDQ)";

/// Names, code, why, fix.
const REFUSED: &[(&[&str], &str, &str, &str)] = &[
    (
        &["TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble"],
        "ZT040",
        "tree ensembles cannot be proved yet",
        TREES,
    ),
    (&["SVMClassifier", "SVMRegressor"], "ZT040", "support vector machines cannot be proved yet", TREES),
    (
        &["LpNormalization"],
        "ZT011",
        "normalisation divides by a number that depends on the input",
        "leave it out at the end of a classifier: the order of the scores, and so the label, stays the same",
    ),
    (
        &[
            "LayerNormalization",
            "RMSNormalization",
            "SimplifiedLayerNormalization",
            "GroupNormalization",
            "InstanceNormalization",
            "MeanVarianceNormalization",
            "LRN",
        ],
        "ZT011",
        "normalisation by statistics of the input needs a division and a square root that depend on the input",
        "use BatchNormalization, which is folded into constants",
    ),
    (
        &[
            "DynamicQuantizeLinear",
            "ConvInteger",
            "MatMulInteger",
            "DynamicQuantizeMatMul",
            "MatMulIntegerToFloat",
        ],
        "ZT041",
        "dynamic quantisation takes its scales from the input",
        STATIC,
    ),
    (
        &[
            "QLinearConv",
            "QLinearMatMul",
            "QGemm",
            "QLinearAdd",
            "QLinearMul",
            "QLinearSigmoid",
            "QLinearGlobalAveragePool",
            "QLinearConcat",
        ],
        "ZT011",
        "the QOperator form of a quantised model is not supported",
        STATIC,
    ),
    (
        &["Loop", "Scan", "SequenceMap"],
        "ZT030",
        "loops are not supported",
        "export with fixed shapes so that the loop is unrolled",
    ),
    (
        &["If"],
        "ZT030",
        "the condition depends on the model's input",
        "export with fixed shapes, or remove the branch",
    ),
    (
        &["LSTM", "GRU", "RNN"],
        "ZT011",
        "recurrent layers are not supported",
        "unroll the recurrence into MatMul, Sigmoid and Tanh, or use a convolutional model",
    ),
    (
        &["ConvTranspose", "DeformConv", "MaxUnpool", "MaxRoiPool", "RoiAlign", "GridSample"],
        "ZT011",
        "this kind of window is not supported",
        "use Conv, MaxPool or AveragePool",
    ),
    (
        &["TopK", "NonMaxSuppression", "NonZero", "Unique", "Compress"],
        "ZT011",
        "the result's shape or order depends on the input",
        "do this step outside the model",
    ),
    (
        &[
            "Imputer",
            "OneHotEncoder",
            "CategoryMapper",
            "DictVectorizer",
            "FeatureVectorizer",
            "Binarizer",
            "StringNormalizer",
            "TfIdfVectorizer",
        ],
        "ZT011",
        "preprocessing of categories, texts and missing values is not supported",
        "do this step outside the model and feed it numbers",
    ),
    (
        &[
            "RandomNormal",
            "RandomNormalLike",
            "RandomUniform",
            "RandomUniformLike",
            "Bernoulli",
            "Multinomial",
        ],
        "ZT011",
        "random operators have no fixed result to prove",
        "remove the node",
    ),
];

/// Why an operator is refused.
pub(super) fn problem(domain: &str, name: &str) -> Problem {
    let known = REFUSED.iter().find(|(names, ..)| names.contains(&name));
    if let Some((_, code, why, fix)) = known {
        return Problem::new(code, format!("{name}: {why}"), *fix);
    }
    let full = if domain.is_empty() { name.to_string() } else { format!("{domain}.{name}") };
    Problem::new(
        "ZT010",
        format!("operator `{full}` is not known"),
        "express it with the operators of the table in the manual, or move it out of the model",
    )
}
