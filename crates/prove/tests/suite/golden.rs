//! The golden vectors are what the prover makes today, and the verifier says what they expect.

use std::path::Path;

use program::wire::{decode, decode_statement};
use verify::{Links, Verdict, decode_links, verify_linked};

#[test]
fn golden_vectors_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/proofs/v1");
    let vectors = crate::common::vectors::all();
    let folders = std::fs::read_dir(&root).unwrap().count();
    assert_eq!(folders, vectors.len(), "folders of {}", root.display());
    for vector in vectors {
        let folder = root.join(vector.name);
        for (name, bytes) in vector.files() {
            let golden = std::fs::read(folder.join(name)).unwrap();
            assert!(
                golden == bytes,
                "{}/{name} changed: a new format needs a new version (`cargo xtask vectors` rewrites them)",
                vector.name
            );
        }
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let program = decode(&read("program.bin")).unwrap();
        let statement = decode_statement(&read("statement.bin")).unwrap();
        let chains = if folder.join("links.bin").exists() {
            decode_links(&read("links.bin")).unwrap()
        } else {
            Vec::new()
        };
        let links = Links { chains: &chains.into(), known: &|_| false };
        let verdict = verify_linked(&program, &statement, &read("proof.bin"), &links);
        let accepted = matches!(verdict, Verdict::Accepted(_));
        assert_eq!(accepted, read("expect.txt") == b"accept\n", "{}", vector.name);
    }
}
