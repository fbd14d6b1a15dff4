//! Dossiers and steps made of the golden vectors: good, changed, damaged.

use std::path::PathBuf;

use program::types::Program;
use proptest::prelude::*;
use record::Evidence;

use zerotell_dossier::{
    Dossier, Kept, Step, canary, class, code, files, judge, judge_step, judge_with, work,
};

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
        // Another program than the one that was paid for is not even made ready.
        let trace = if place == 1 { [0; 32] } else { judged.trace };
        assert_eq!((other.code, other.trace), (code::NAMES, trace), "field {place}");
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

/// What is kept from one dossier decides nothing about the next.
#[test]
fn kept_programs_change_no_judgement() {
    let good = dossier();
    let changes: [&dyn Fn(&mut Dossier); 9] = [
        &|_| {},
        &|d| *d.proof.last_mut().unwrap() ^= 1,
        &|d| d.salts.push(b' '),
        // A byte of the program, one of the statement after it.
        &|d| d.proof[40] ^= 1,
        &|d| {
            let mut file = files::decode_proof(&d.proof).unwrap();
            file.program.metadata.push(b' ');
            d.proof = files::encode_proof(&file.program, &file.statement, &file.proof, &file.chains);
        },
        &|d| {
            let mut file = files::decode_proof(&d.proof).unwrap();
            file.statement.zk = !file.statement.zk;
            d.proof = files::encode_proof(&file.program, &file.statement, &file.proof, &file.chains);
        },
        // Links that are none, and the same file with its length cut.
        &|d| {
            let at = 14 + usize::try_from(u64::from_le_bytes(d.proof[6..14].try_into().unwrap())).unwrap();
            d.proof.splice(at..at + 8, [&4u64.to_le_bytes()[..], &[0; 4]].concat());
        },
        &|d| d.proof.truncate(60),
        // The program that is kept, and a statement that names another.
        &|d| {
            let mut file = files::decode_proof(&d.proof).unwrap();
            file.statement.program_digest[0] ^= 1;
            d.proof = files::encode_proof(&file.program, &file.statement, &file.proof, &file.chains);
        },
    ];
    let kept = Kept::new(1 << 24);
    for _ in 0..2 {
        for change in changes {
            let mut other = good.clone();
            change(&mut other);
            let bytes = other.encode();
            let (fresh, with) = (judge(&bytes, None), judge_with(&kept, &bytes, None));
            assert_eq!((fresh.code, fresh.trace, fresh.what), (with.code, with.trace, with.what));
        }
    }
    assert!((1..=1 << 24).contains(&kept.bytes()));
    let (none, small) = (Kept::new(0), Kept::new(kept.bytes() / 2));
    for kept in [none, small] {
        assert_eq!(judge_with(&kept, &good.encode(), None).code, code::ACCEPT);
        assert!(kept.bytes() <= 1 << 23);
    }
}

/// Links that were proved before are not proved again, and only these very bytes: else who saw another proof of the same
/// link would accept what a newcomer refuses.
#[test]
fn kept_links_change_no_judgement() {
    let read = |file: &str| vector(&format!("proofs/v1/hidden-linked/{file}"));
    let program = program::wire::decode(&read("program.bin")).unwrap();
    let statement = program::wire::decode_statement(&read("statement.bin")).unwrap();
    let chains = verify::decode_links(&read("links.bin")).unwrap();
    let linked = |chains: &[Vec<verify::Link>]| {
        let statement = program::wire::Statement { link: verify::links_digest(chains), ..statement.clone() };
        let proof = files::encode_proof(&program, &statement, &read("proof.bin"), chains);
        Dossier { proof, ..dossier() }.encode()
    };
    let good = linked(&chains);
    let mut other = chains.clone();
    let link = other.iter_mut().flatten().next_back().unwrap();
    *link.proof.last_mut().unwrap() ^= 1;
    let (bad, kept) = (linked(&other), Kept::new(1 << 24));
    // Its links and its proof are good; the signed statement is another proof's.
    assert_eq!(judge(&good, None).code, code::STATEMENT);
    for _ in 0..2 {
        for (bytes, code) in [(&good, code::STATEMENT), (&bad, code::LINKS)] {
            let (fresh, with) = (judge(bytes, None), judge_with(&kept, bytes, None));
            assert_eq!((fresh.code, fresh.trace, fresh.what), (with.code, with.trace, with.what));
            assert_eq!(with.code, code);
        }
    }
}

/// What dossiers begin with is kept within its bound, whatever comes.
#[test]
fn what_is_kept_is_bounded() {
    let good = dossier();
    let length = good.proof.len();
    let kept = Kept::new(4 * length);
    for number in 0..40u8 {
        let mut other = good.clone();
        // A byte of the program: each has a beginning of its own.
        other.proof[40] ^= number;
        let bytes = other.encode();
        assert_eq!(judge_with(&kept, &bytes, None).code, judge(&bytes, None).code, "{number}");
        assert!(kept.bytes() <= 6 * length, "{number}");
    }
    assert!(kept.bytes() > 0);
}

/// A canary is what an owner could have sent, but for the proof.
#[test]
fn canaries_are_refused_for_their_proof_alone() {
    let template = dossier().encode();
    let mut whole = 0;
    for seed in 0..12u8 {
        let mut stream = blake3::Hasher::new_keyed(&[seed; 32]).finalize_xof();
        let (bytes, names) = canary(&template, &mut |out| stream.fill(out)).unwrap();
        let judged = judge(&bytes, Some(&names));
        assert_eq!(judged.code, code::PROOF, "{}", judged.what);
        assert_ne!(judged.trace, [0; 32]);
        let (one, other) = (Dossier::decode(&bytes).unwrap(), dossier());
        assert_eq!((one.proof.len(), one.salts.len()), (other.proof.len(), other.salts.len()));
        assert!(one.statement.len().abs_diff(other.statement.len()) < 8 && one.salts != other.salts);
        assert_ne!((&one.statement, &one.signer), (&other.statement, &other.signer));
        // With the proof it was made from, only that its statement is about another file gives it away.
        let restored = Dossier { proof: other.proof.clone(), ..one.clone() };
        assert_eq!(judge(&restored.encode(), None).code, code::STATEMENT);
        let (a, b) = (files::decode_proof(&one.proof).unwrap(), files::decode_proof(&other.proof).unwrap());
        assert_eq!((&a.statement, a.program.digest()), (&b.statement, b.program.digest()));
        whole += usize::from(a.proof[2..40] != b.proof[2..40]);
    }
    assert!((1..12).contains(&whole), "both kinds are drawn");
    let mut bad = dossier();
    *bad.proof.last_mut().unwrap() ^= 1;
    assert!(canary(&bad.encode(), &mut |_| {}).is_none(), "a template must be good itself");
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
