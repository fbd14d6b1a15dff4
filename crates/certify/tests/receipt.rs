//! Receipts, read by a COSE library that knows nothing of this crate: what RFC 9942 wants is where it wants it, and root,
//! proof and signatures are those of the certificate.

use std::path::Path;

use coset::cbor::value::Value;
use coset::{
    CborSerializable as _, CoseSign1, Label, RegisteredLabelWithPrivate, TaggedCborSerializable as _,
};
use zerotell_certify::receipt::{ALGORITHM, Receipt, STRUCTURE};
use zerotell_certify::{Certificate, Entry, Finality, Header, MapProof, decode, encode, verify_present};

/// Labels of RFC 9942: the verifiable data structure, its proofs, and among these inclusion.
const VDS: i64 = 395;
const VDP: i64 = 396;
const INCLUSION: i64 = -1;

fn certificate(name: &str) -> Certificate {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/certificate/v1").join(name);
    decode(&std::fs::read(path).expect(name)).expect(name)
}

fn bytes(value: &Value) -> &[u8] {
    value.as_bytes().unwrap_or_else(|| panic!("{value:?} is no byte string"))
}

/// The one proof of inclusion in a receipt.
fn inclusion(receipt: &CoseSign1) -> &[u8] {
    let [(Label::Int(VDP), Value::Map(proofs))] = receipt.unprotected.rest.as_slice() else {
        panic!("{:?}", receipt.unprotected)
    };
    let [(label, Value::Array(list))] = proofs.as_slice() else { panic!("{proofs:?}") };
    assert_eq!(label, &Value::from(INCLUSION));
    let [proof] = list.as_slice() else { panic!("{list:?}") };
    bytes(proof)
}

#[test]
fn a_cose_library_finds_root_proof_and_signatures() {
    for name in ["good-n4-first.bin", "good-n7-all.bin", "good-n100-chain.bin"] {
        let good = certificate(name);
        let written = Receipt::from(&good).encode();
        let receipt = CoseSign1::from_tagged_slice(&written).expect("COSE_Sign1 with its tag");
        let protected = &receipt.protected.header;
        assert_eq!(protected.alg, Some(RegisteredLabelWithPrivate::PrivateUse(ALGORITHM)), "{name}");
        assert_eq!(protected.key_id, good.header.committee, "{name}");
        assert_eq!(protected.rest, [(Label::Int(VDS), Value::from(STRUCTURE))], "{name}");
        assert!(protected.crit.is_empty() && receipt.unprotected.alg.is_none());

        // The parts, by themselves, show what the certificate showed.
        let header: Header = decode(receipt.payload.as_deref().expect("a payload")).unwrap();
        let finality: Finality = decode(&receipt.signature).unwrap();
        let entry: Entry = decode(inclusion(&receipt)).unwrap();
        assert_eq!((&header, &finality, &entry), (&good.header, &good.finality, &good.entry), "{name}");
        let client = good.check(&good.checkpoint, None).unwrap();
        client.accept(&header, &finality).unwrap();
        let Entry { namespace, key, value, proof } = &entry;
        assert_eq!(verify_present(&header.state, *namespace, key, value, proof), Ok(()), "{name}");
        let mut other = header.state;
        other[7] ^= 1;
        assert!(verify_present(&other, *namespace, key, value, proof).is_err(), "another root");
        let short: Result<MapProof, _> = decode(&encode(proof)[1..]);
        assert!(
            short.is_err() || verify_present(&header.state, *namespace, key, value, &short.unwrap()).is_err()
        );
    }
}

/// Another writer of deterministic CBOR (RFC 8949, 4.2.1) spells it in the same way.
#[test]
fn the_spelling_is_the_deterministic_one() {
    let written = Receipt::from(&certificate("good-n100-all.bin")).encode();
    let receipt = CoseSign1::from_tagged_slice(&written).unwrap();
    assert_eq!(receipt.clone().to_tagged_vec().unwrap(), written);
    // The protected header anew, from what was understood: keys in order, every number in its shortest form.
    let protected = Value::Map(vec![
        (Value::from(1), Value::from(ALGORITHM)),
        (Value::from(4), Value::Bytes(receipt.protected.header.key_id.clone())),
        (Value::from(VDS), Value::from(STRUCTURE)),
    ]);
    assert_eq!(receipt.protected.original_data, Some(protected.to_vec().unwrap()));
}
