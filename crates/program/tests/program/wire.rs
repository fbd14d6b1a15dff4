//! Bytes: round trips, one spelling, no panic on anything.

use proptest::prelude::*;

use crate::common::{Random, random_program};
use crate::worked::two_layers;
use zerotell_program::types::Home;
use zerotell_program::wire::{
    Statement, content_digest, decode, decode_statement, encode, encode_statement, encode_with_contents,
};
use zerotell_program::{Disclosure, InputMode, Reveal, Shape, lower, model_id, validate};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn statement() -> Statement {
    Statement {
        program_digest: [7; 32],
        zk: true,
        batch: 3,
        disclosure: Disclosure {
            inputs: vec![InputMode::Public, InputMode::Private, InputMode::Committed],
            reveals: vec![
                Reveal::Values { output: 1 },
                Reveal::Label { output: 0 },
                Reveal::Threshold { output: 2, index: 5, at_least: true, bound: -9 },
            ],
        },
        identity: vec![[1; 32], [2; 32]],
        roots: vec![[3; 32], [4; 32]],
        link: [0; 32],
        slots: vec![vec![1, -2, 3], vec![], vec![i64::MIN, i64::MAX]],
        context: b"for a test".to_vec(),
    }
}

#[test]
fn programs_round_trip() {
    for seed in 0..200 {
        let program = random_program(&mut Random(seed));
        let bytes = encode_with_contents(&program);
        let read = decode(&bytes).unwrap();
        assert_eq!(read, program);
        assert_eq!(read.digest(), program.digest());
        assert!(bytes.starts_with(&encode(&program)));
        assert_eq!(validate(&read), Ok(()));
    }
}

#[test]
fn golden_digests() {
    let program = two_layers();
    assert_eq!(hex(&program.digest()), "0b24264413115a8b78d7182a903599644b35ad0b4ef5ba99f44f00a9e84d217e");
    assert_eq!(
        hex(&model_id(&program.digest(), &[[5; 32]])),
        "6a4337b87dfa301aabe58295efc4a2dc80ef268a024d3eb9b054240b3826793c"
    );
    assert_eq!(
        hex(&content_digest(&[2, 2], &[1, -1, 300, 0])),
        "2a7b84a8020485aab77f9ca50317c3b300be083a8c424a890498a6527537db4f"
    );
    assert_eq!(
        hex(blake3::hash(&encode_statement(&statement())).as_bytes()),
        "678c350dee97e0f00c1342fd0a912d469ec3a94374ec207941fa16656c387d5d"
    );
}

#[test]
fn every_part_changes_the_digest() {
    let program = two_layers();
    let digest = program.digest();
    let mut other = program.clone();
    other.metadata.push(b'x');
    assert_ne!(other.digest(), digest);
    let mut other = program.clone();
    let constant = other.tensors.iter_mut().find(|t| t.home == Home::Const).unwrap();
    std::sync::Arc::make_mut(&mut constant.content)[3] += 1;
    assert_ne!(other.digest(), digest);
}

#[test]
fn contents_must_match() {
    let program = two_layers();
    let bytes = encode_with_contents(&program);
    let start = encode(&program).len();
    // The only const tensor is the table's: one byte of width, then 128 bytes.
    assert_eq!(bytes.len(), start + 129);
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut other = bytes.clone();
        change(&mut other);
        decode(&other).unwrap_err().what
    };
    assert_eq!(refused(&|b| b[start + 5] ^= 1), "a content does not match its digest");
    assert_eq!(refused(&|b| b[start] = 3), "the width of a content is not 1, 2, 4 or 8");
    assert_eq!(refused(&|b| b.push(0)), "bytes follow the end");
    assert_eq!(refused(&|b| b.truncate(start + 9)), "the bytes end too early");
    let wide = |b: &mut Vec<u8>| {
        let entries: Vec<u8> =
            b.split_off(start)[1..].iter().flat_map(|&e| i16::from(e as i8).to_le_bytes()).collect();
        b.push(2);
        b.extend(entries);
    };
    assert_eq!(refused(&wide), "a content is wider than it needs to be");
}

#[test]
fn statements_round_trip() {
    let bytes = encode_statement(&statement());
    assert_eq!(decode_statement(&bytes), Ok(statement()));
    for end in 0..bytes.len() {
        assert!(decode_statement(&bytes[..end]).is_err());
    }
    let refused = |change: &dyn Fn(&mut Statement)| {
        let mut other = statement();
        change(&mut other);
        decode_statement(&encode_statement(&other)).unwrap_err().what
    };
    assert_eq!(refused(&|s| s.batch = 0), "the batch size is 0 or too large");
    assert_eq!(refused(&|s| s.context = vec![0; 4097]), "a byte string is longer than its limit");
    assert_eq!(refused(&|s| s.roots.truncate(1)), "there must be as many roots as identities");
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(decode_statement(&longer).unwrap_err().what, "bytes follow the end");
}

#[test]
fn long_lists_are_refused_before_memory_is_taken() {
    let mut bytes = encode(&two_layers());
    bytes.truncate(11);
    bytes.extend(u32::MAX.to_le_bytes());
    assert_eq!(decode(&bytes).unwrap_err().what, "a list is longer than its limit");
    let mut bytes = encode_statement(&Statement { slots: vec![], context: vec![], ..statement() });
    bytes.truncate(bytes.len() - 12);
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(u32::MAX.to_le_bytes());
    assert_eq!(decode_statement(&bytes).unwrap_err().what, "the Statement has too many slot values");
}

/// Changes a few bytes.
fn mutate(bytes: &mut Vec<u8>, edits: &[(usize, u8, u8)]) {
    for &(place, value, kind) in edits {
        let place = place % bytes.len().max(1);
        match kind % 4 {
            0 => bytes[place] = value,
            1 => bytes[place] ^= 1 << (value % 8),
            2 => bytes.insert(place, value),
            _ => drop(bytes.remove(place)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Damaged programs are refused or are canonical spellings of other programs; validation and
    /// lowering of those never panic.
    #[test]
    fn damaged_programs(seed in 0u64..20, edits in prop::collection::vec(any::<(usize, u8, u8)>(), 1..4)) {
        let mut bytes = encode_with_contents(&random_program(&mut Random(seed)));
        mutate(&mut bytes, &edits);
        if let Ok(program) = decode(&bytes) {
            prop_assert_eq!(encode_with_contents(&program), bytes);
            let inputs = program.tensors.iter().filter(|t| t.home == Home::Input).count();
            let disclosure = Disclosure { inputs: vec![InputMode::Private; inputs], reveals: vec![Reveal::Threshold { output: 0, index: 0, at_least: true, bound: 0 }] };
            let valid = validate(&program);
            let lowered = lower(&program, &Shape { batch: 1, disclosure: &disclosure, slots: &[] });
            prop_assert!(valid.is_ok() || lowered.is_err());
        }
    }

    #[test]
    fn damaged_statements(edits in prop::collection::vec(any::<(usize, u8, u8)>(), 1..4)) {
        let mut bytes = encode_statement(&statement());
        mutate(&mut bytes, &edits);
        if let Ok(read) = decode_statement(&bytes) {
            prop_assert_eq!(encode_statement(&read), bytes);
        }
    }

    #[test]
    fn noise(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut named = b"ZTPG\x01\x00".to_vec();
        named.extend(&bytes);
        prop_assert!(decode(&bytes).is_err());
        let _ = decode(&named);
        let mut named = b"ZTST\x01\x00".to_vec();
        named.extend(&bytes);
        let _ = decode_statement(&named);
    }
}
