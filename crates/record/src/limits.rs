//! Bounds of everything a stranger can choose.

/// Bytes of a proof file, a model file or a range certificate in an evidence file.
pub const PART: usize = 1 << 30;
/// Bytes of a statement's envelope.
pub const ENVELOPE: usize = 1 << 20;
/// Bytes of a key's file.
pub const KEY: usize = 1 << 12;
/// Bytes of the salts.
pub const SALTS: usize = 1 << 12;
/// Bytes of the report for people.
pub const REPORT: usize = 1 << 26;
/// Bytes of the accuracy report.
pub const ACCURACY: usize = 1 << 26;
/// Bytes of a certificate of the network: those of its largest file.
pub const CERTIFICATE: usize = 1 << 22;
/// Depth of nested JSON.
pub const DEPTH: usize = 12;
/// Largest absolute integer in JSON: beyond it other readers round.
pub const INTEGER: i64 = (1 << 53) - 1;
/// Letters of a version.
pub const VERSION: usize = 64;
/// Boxes of a drawing in a report.
pub const BOXES: usize = 600;
/// Lines of a drawing in a report.
pub const EDGES: usize = 4000;
/// Lines of revealed values in a report.
pub const SHOWN: usize = 256;
