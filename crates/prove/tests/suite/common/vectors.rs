//! The golden vectors: small proofs and the lies made from them.

use std::collections::BTreeMap;

use program::execute::execute;
use program::lower::{Shape, lower};
use program::range_programs;
use program::types::{Home, InputMode, Reveal};
use program::wire::{encode_statement, encode_with_contents};
use verify::{Link, encode_links, links_digest, range_statement};
use zerotell_prove::prove;
use zerotell_prove::random::Seed;

use super::{Case, Owner, owner};

/// One vector.
pub struct Vector {
    /// Folder.
    pub name: &'static str,
    program: Vec<u8>,
    statement: Vec<u8>,
    proof: Vec<u8>,
    links: Option<Vec<u8>>,
    accept: bool,
}

impl Vector {
    /// File names and contents.
    pub fn files(&self) -> Vec<(&'static str, &[u8])> {
        let expect: &[u8] = if self.accept { b"accept\n" } else { b"reject\n" };
        let mut files = vec![
            ("program.bin", self.program.as_slice()),
            ("statement.bin", &self.statement),
            ("proof.bin", &self.proof),
            ("expect.txt", expect),
        ];
        files.extend(self.links.as_deref().map(|links| ("links.bin", links)));
        files
    }
}

/// All vectors.
pub fn all() -> Vec<Vector> {
    let label = || vec![Reveal::Label { output: 0 }];
    let values = || vec![Reveal::Values { output: 0 }];
    let bound = || vec![Reveal::Threshold { output: 0, index: 1, at_least: true, bound: -60 }];
    let case = |private, input, reveals, batch, zk| Case { private, input, reveals, batch, zk };
    let cases = [
        ("plain-public", case(false, InputMode::Public, values(), 1, false)),
        ("plain-private", case(true, InputMode::Private, label(), 60, false)),
        ("hidden-public-weights", case(false, InputMode::Private, label(), 3, true)),
        ("hidden-private-weights", case(true, InputMode::Private, bound(), 2, true)),
        ("hidden-committed-input", case(true, InputMode::Committed, values(), 1, true)),
    ];
    let mut vectors = Vec::new();
    for (name, case) in cases {
        let owner = owner(&case);
        let proof = owner.prove();
        let vector = |name, statement: Vec<u8>, proof: Vec<u8>, accept| Vector {
            name,
            program: encode_with_contents(&owner.program),
            statement,
            proof,
            links: None,
            accept,
        };
        let statement = encode_statement(&owner.statement);
        if name == "plain-public" {
            let mut lie = owner.statement.clone();
            lie.slots[1][0] += 1;
            vectors.push(vector("lie-other-output", encode_statement(&lie), proof.bytes.clone(), false));
            let mark = proof.marks.iter().find(|mark| mark.label == "end.clear");
            let mut bytes = proof.bytes.clone();
            bytes[mark.map_or(0, |mark| mark.start)] ^= 1;
            vectors.push(vector("lie-last-vector", statement.clone(), bytes, false));
        }
        if name == "hidden-private-weights" {
            for (lie, label) in
                [("lie-reply", "reply"), ("lie-sibling", "siblings"), ("lie-message", "ip.out")]
            {
                let mark = proof.marks.iter().find(|mark| mark.label == label);
                let mut bytes = proof.bytes.clone();
                bytes[mark.map_or(0, |mark| mark.start)] ^= 1;
                vectors.push(vector(lie, statement.clone(), bytes, false));
            }
        }
        vectors.push(vector(name, statement, proof.bytes, true));
        if name == "hidden-private-weights" {
            vectors.push(certificate(&owner));
        }
    }
    vectors.extend(linked(case(true, InputMode::Committed, values(), 1, true)));
    vectors
}

/// A proof that opens commitments linked to the identities, and lies made from its links.
fn linked(case: Case) -> Vec<Vector> {
    let mut owner = owner(&case);
    let chains = owner.advance(&[1, 1]);
    let proof = owner.prove().bytes;
    let vector = |name, chains: Option<&[Vec<Link>]>, accept| Vector {
        name,
        program: encode_with_contents(&owner.program),
        statement: encode_statement(&owner.statement),
        proof: proof.clone(),
        links: chains.map(encode_links),
        accept,
    };
    let mut swapped = chains.clone();
    swapped.reverse();
    let mut vectors = vec![
        vector("hidden-linked", Some(&chains), true),
        vector("lie-no-links", None, false),
        vector("lie-links-swapped", Some(&swapped), false),
    ];
    // A byte of a link's proof, named by the statement.
    let mut changed = chains;
    let last = changed[1][0].proof.len() - 1;
    changed[1][0].proof[last] ^= 1;
    owner.statement.link = links_digest(&changed);
    let proof = owner.prove().bytes;
    vectors.push(Vector {
        name: "lie-link",
        program: encode_with_contents(&owner.program),
        statement: encode_statement(&owner.statement),
        proof,
        links: Some(encode_links(&changed)),
        accept: false,
    });
    vectors
}

/// The only part of the range certificate of an owner's model.
fn certificate(owner: &Owner) -> Vector {
    let part = range_programs(&owner.program).unwrap().remove(0);
    let statement = range_statement(&part, &owner.tables[0].root()).unwrap();
    let shape = Shape { batch: 1, disclosure: &statement.disclosure, slots: &[] };
    let lowered = lower(&part, &shape).unwrap();
    let numbered = owner.program.tensors.iter().zip(&owner.assignment.values);
    let hidden = numbered.filter(|(tensor, _)| tensor.home == Home::Model).map(|(_, values)| values.clone());
    let none = BTreeMap::<u32, Vec<i64>>::new();
    let assignment = execute(&lowered, &none, &(0..).zip(hidden).collect()).unwrap();
    let proof = prove(&part, &statement, &assignment, &[&owner.tables[0]], &Seed::new([4; 32])).unwrap();
    Vector {
        name: "range-certificate",
        program: encode_with_contents(&part),
        statement: encode_statement(&statement),
        proof: proof.bytes,
        links: None,
        accept: true,
    }
}
