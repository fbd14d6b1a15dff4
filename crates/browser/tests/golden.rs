//! The files that the module and the page are tried with, made again and compared: `vectors/browser/v1`.
//!
//! `ZEROTELL_WRITE_VECTORS=1 cargo test -p zerotell-browser --test golden` writes them.

mod network;

use std::path::PathBuf;

use certify::{Digest, encode};
use dossier::{Dossier, Names, code, judge};
use ledger::entry::{Record, Status};
use network::{certificate, checkpoint, digest, record};
use record::json::{Json, hex, list, object};
use record::key::Kind;
use record::{Envelope, Evidence, SigningKey, Statement};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors");

/// What a validator gets of a record: the proof of the golden evidence, its statement, salts and signer.
fn dossier(evidence: &Evidence) -> Vec<u8> {
    let Evidence { proof, salts, statement, signer, ranges, .. } = evidence.clone();
    Dossier { proof, salts, statement, signer, ranges }.encode()
}

/// The same evidence about another statement: one about the same proof that names another version of the verifier.
fn renamed(evidence: Evidence, key: &SigningKey) -> Evidence {
    let payload = String::from_utf8(Envelope::decode(&evidence.statement).unwrap().payload).unwrap();
    let statement = Envelope::sign(key, payload.replace("0.1.0", "0.1.1").into_bytes()).encode();
    Evidence { statement, signer: key.public().to_pem().into_bytes(), ..evidence }
}

/// One record for the page: its files, and what an honest node says of it.
struct Case {
    name: &'static str,
    dossier: Vec<u8>,
    statement: Digest,
    record: Record,
}

impl Case {
    fn new(name: &'static str, evidence: Evidence, status: Status, bend: impl FnOnce(&mut Vec<u8>)) -> Self {
        let (statement, _): (Statement, _) = evidence.signed().unwrap();
        let mut dossier = dossier(&evidence);
        bend(&mut dossier);
        let proof = *blake3::hash(&dossier).as_bytes();
        Self {
            name,
            dossier,
            statement: statement.digest(),
            record: record(statement.program, proof, status),
        }
    }

    fn json(&self) -> Json {
        let record = &self.record;
        let (status, code) = match record.status {
            Status::Final { code: 0, .. } => ("accepted", 0u32),
            Status::Final { code, .. } => ("rejected", code.into()),
            _ => ("pending", 0),
        };
        object([
            ("name", self.name.into()),
            ("statement", hex(&self.statement).into()),
            ("program", hex(&record.program).into()),
            ("proof", hex(&record.proof).into()),
            ("proofBytes", u32::try_from(self.dossier.len()).unwrap().into()),
            ("submitter", hex(&record.submitter).into()),
            ("verifier", u32::from(record.verifier).into()),
            ("ordered", u32::try_from(record.ordered).unwrap().into()),
            ("fee", record.fee.to_string().into()),
            ("status", status.into()),
            ("code", code.into()),
            ("submission", self.submission()),
        ])
    }

    /// What an honest submission says; nothing can be said of what the verifier refuses.
    fn submission(&self) -> Json {
        let Some(found) = judge(&self.dossier, None).found else { return object([]) };
        let Names { roots, revealed, context, nullifier, .. } = found.names;
        object([
            ("roots", hex(&roots).into()),
            ("revealed", hex(&revealed).into()),
            ("context", hex(&context).into()),
            ("nullifier", hex(&nullifier).into()),
        ])
    }
}

fn cases() -> [Case; 2] {
    let bytes = std::fs::read(format!("{VECTORS}/evidence/v1/p256.zte")).unwrap();
    let evidence = Evidence::decode(&bytes).unwrap();
    let other = renamed(evidence.clone(), &SigningKey::from_random(Kind::Ed25519, &[9; 32]).unwrap());
    let (good, bad) =
        (Status::Final { code: 0, height: 2_056 }, Status::Final { code: code::PROOF, height: 2_056 });
    [
        Case::new("accepted", evidence, good, |_| ()),
        // A byte in the middle of the proof was changed before it was submitted: everyone rejected it.
        Case::new("rejected", other, bad, |bytes| bytes[60_000] ^= 1),
    ]
}

#[test]
fn golden_files() {
    let folder = PathBuf::from(VECTORS).join("browser/v1");
    let mut files = vec![("checkpoint.bin".to_string(), encode(&checkpoint()))];
    for case in cases() {
        files.push((format!("{}.ztc", case.name), encode(&certificate(case.statement, &case.record))));
        files.push((format!("{}.ztdo", case.name), case.dossier));
    }
    let accounts = list((0..4).map(|seat| hex(&digest(&format!("seat {seat}"))).into()));
    let index = object([
        ("network", hex(&checkpoint().network).into()),
        ("checkpoint", hex(&encode(&checkpoint())).into()),
        ("accounts", accounts),
        ("records", list(cases().iter().map(Case::json))),
    ]);
    files.push(("index.json".to_string(), index.canonical()));
    for (name, bytes) in files {
        let path = folder.join(&name);
        if std::env::var_os("ZEROTELL_WRITE_VECTORS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        assert!(std::fs::read(&path).unwrap() == bytes, "{name}: other bytes are another format");
    }
}
