//! ONNX in, a small typed float graph out, with a reference interpreter.

pub mod graph;
pub mod tensor;
