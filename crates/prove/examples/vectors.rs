//! Writes the golden vectors of proofs: `cargo run -p zerotell-prove --example vectors -- vectors/proofs/v1`.
//!
//! Seeds are fixed, so the files are the same on every machine; a test compares them.

#[path = "../tests/suite/common/mod.rs"]
mod common;

use std::path::Path;

fn main() -> std::io::Result<()> {
    let target = std::env::args().nth(1).unwrap_or_else(|| "vectors/proofs/v1".to_owned());
    for vector in common::vectors::all() {
        let folder = Path::new(&target).join(vector.name);
        std::fs::create_dir_all(&folder)?;
        for (name, bytes) in vector.files() {
            std::fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}
