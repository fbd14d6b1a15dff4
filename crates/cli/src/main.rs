//! The zerotell command line.
fn main() {}
