//! Dossiers and steps made of the golden vectors: good, changed, damaged.

use std::path::PathBuf;

use program::types::Program;
use proptest::prelude::*;
use record::Evidence;

use zerotell_dossier::{Dossier, Step, class, code, files, judge, judge_step, work};

fn vector(name: &str) -> Vec<u8> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors")).join(name);
    std::fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn dossier() -> Dossier {
    let evidence = Evidence::decode(&vector("evidence/v1/p256.zte")).unwrap();
    let Evidence { proof, salts, statement, signer, ranges, .. } = evidence;
    Dossier { proof, salts, statement, signer, ranges }
}

fn code_of(change: impl FnOnce(&mut Dossier)) -> u16 {
    let mut other = dossier();
    change(&mut other);
    judge(&other.encode(), None).code
}

#[test]
fn a_good_dossier_is_accepted_and_names_itself() {
    let bytes = dossier().encode();
    let judged = judge(&bytes, None);
    assert_eq!((judged.code, judged.what.as_str()), (code::ACCEPT, "accepted"));
    let found = judged.found.unwrap();
    assert_ne!(judged.trace, [0; 32]);
    assert_eq!(found.names.statement, found.statement.digest());
    assert_eq!(found.names.program, found.facts.program);
    assert_eq!(judge(&bytes, Some(&found.names)).code, code::ACCEPT);
    for place in 0..6 {
        let mut names = found.names;
        let fields = [
            &mut names.statement,
            &mut names.program,
            &mut names.roots,
            &mut names.revealed,
            &mut names.context,
            &mut names.nullifier,
        ];
        fields.into_iter().nth(place).unwrap()[0] ^= 1;
        let other = judge(&bytes, Some(&names));
        assert_eq!((other.code, other.trace), (code::NAMES, judged.trace), "field {place}");
        assert!(other.found.is_none());
    }
}

#[test]
fn each_step_has_its_code() {
    assert_eq!(judge(b"", None).code, code::FORM);
    assert_eq!(judge(b"ZTDO\x02\x00", None).code, code::FORM);
    assert_eq!(code_of(|d| d.proof.truncate(100)), code::FORM);
    assert_eq!(code_of(|d| d.proof.push(0)), code::FORM);
    assert_eq!(code_of(|d| d.salts.push(b' ')), code::FORM);
    assert_eq!(code_of(|d| d.signer.push(b'\n')), code::FORM);
    assert_eq!(code_of(|d| d.statement.clear()), code::FORM);
    assert_eq!(code_of(|d| *d.proof.last_mut().unwrap() ^= 1), code::PROOF);
    assert_eq!(code_of(|d| d.ranges = Some(b"no certificate".to_vec())), code::RANGES);
    // Another's key, and another's salts.
    let other = Evidence::decode(&vector("evidence/v1/ed25519.zte")).unwrap();
    assert_eq!(code_of(|d| d.signer.clone_from(&other.signer)), code::SIGNATURE);
    let salt = |d: &mut Dossier| {
        let at = d.salts.iter().position(|byte| byte.is_ascii_digit()).unwrap();
        d.salts[at] = if d.salts[at] == b'9' { b'8' } else { d.salts[at] + 1 };
    };
    assert_eq!(code_of(salt), code::STATEMENT);
}

/// A program that is not that of the statement, or none.
#[test]
fn programs_are_judged_before_proofs() {
    let change = |change: &dyn Fn(&mut Program)| {
        code_of(|d| {
            let mut file = files::decode_proof(&d.proof).unwrap();
            change(&mut file.program);
            d.proof = files::encode_proof(&file.program, &file.statement, &file.proof, &file.chains);
        })
    };
    assert_eq!(change(&|_| {}), code::ACCEPT);
    assert_eq!(change(&|program| program.metadata.push(b' ')), code::PROGRAM);
    assert_eq!(change(&|program| program.outputs.clear()), code::PROGRAM);
}

/// What a trace is for: it depends on the proof, and a proof that fails has one too.
#[test]
fn traces_differ_where_proofs_do() {
    let trace = |at: usize| {
        let mut d = dossier();
        let at = d.proof.len() - at;
        d.proof[at] ^= 1;
        judge(&d.encode(), None).trace
    };
    assert_ne!(trace(1), trace(40_000));
    assert_ne!(trace(40_000), judge(&dossier().encode(), None).trace);
    assert_eq!(trace(1), trace(1));
}

fn step() -> (Program, Step) {
    let name = "proofs/v1/hidden-linked";
    let program = program::wire::decode(&vector(&format!("{name}/program.bin"))).unwrap();
    let chains = verify::decode_links(&vector(&format!("{name}/links.bin"))).unwrap();
    let link = chains.into_iter().flatten().next().unwrap();
    (program, Step { link })
}

#[test]
fn steps_have_their_codes() {
    let (program, step) = step();
    let (bytes, names) = (step.encode(), step.names());
    assert_eq!(Step::decode(&bytes), Ok(step.clone()));
    let good = judge_step(&bytes, &program, &names);
    assert_eq!(good.code, code::ACCEPT, "{}", good.what);
    assert_ne!(good.trace, [0; 32]);
    assert_eq!(judge_step(&bytes[1..], &program, &names).code, code::FORM);
    for place in 0..4 {
        let mut other = names;
        let fields = [&mut other.statement, &mut other.model, &mut other.from, &mut other.to];
        fields.into_iter().nth(place).unwrap()[0] ^= 1;
        assert_eq!(judge_step(&bytes, &program, &other).code, code::NAMES, "field {place}");
    }
    let mut lie = step.clone();
    *lie.link.proof.last_mut().unwrap() ^= 1;
    assert_eq!(judge_step(&lie.encode(), &program, &lie.names()).code, code::PROOF);
    let mut weaker = step.clone();
    weaker.link.statement.lambda -= 1;
    assert_eq!(judge_step(&weaker.encode(), &program, &weaker.names()).code, code::LINKS);
    let public = program::wire::decode(&vector("proofs/v1/hidden-public-weights/program.bin")).unwrap();
    assert_eq!(judge_step(&bytes, &public, &names).code, code::LINKS);
}

/// Part of the protocol: a change of these numbers is a change of prices.
#[test]
fn work_and_class_of_a_program() {
    let program = files::decode_proof(&dossier().proof).unwrap().program;
    let operators = u64::try_from(program.operators.len()).unwrap();
    assert!(work(&program) >= 1_500 + 100 * operators);
    let mut empty = program.clone();
    empty.operators.clear();
    empty.tables.clear();
    empty.tensors.clear();
    empty.model_oracle = None;
    assert_eq!((work(&empty), class(&empty)), (1_500, 0));
    assert_ne!(class(&program), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any damage gets a code, nothing panics, and nothing that differs is accepted.
    #[test]
    fn damaged_dossiers_are_judged(places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let good = dossier().encode();
        let mut bytes = good.clone();
        for (place, value) in places {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        prop_assert_eq!(judge(&bytes, None).code == code::ACCEPT, bytes == good);
    }

    #[test]
    fn noise_is_judged(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        let named = [b"ZTDO\x01\x00".to_vec(), noise.clone()].concat();
        prop_assert_eq!(judge(&noise, None).code, code::FORM);
        prop_assert_eq!(judge(&named, None).code, code::FORM);
        let step = [b"ZTLN\x01\x00".to_vec(), noise].concat();
        prop_assert!(Step::decode(&step).is_err());
    }
}
