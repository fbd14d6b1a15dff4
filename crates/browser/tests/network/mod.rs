//! A network of four seats, made up on the spot: real signatures over a real header, whose state holds one record.

use bls12_381::hash_to_curve::{ExpandMsgXmd, HashToCurve};
use bls12_381::{G1Affine, G1Projective, G2Affine, G2Projective, Scalar};
use certify::certificate::Entry;
use certify::finality::namespace;
use certify::hash::{Digest, Purpose, hash};
use certify::map::{MapProof, PathEnd, leaf, node, path, turns_right, value_digest};
use certify::wire::Bounded;
use certify::{Certificate, Checkpoint, Committee, Finality, Header, Seat, encode};
use ledger::entry::{Record, Records, Status, Table};
use sha2::Sha256;

/// Time of the checkpoint.
pub const START: u64 = 1_790_000_000_000;
const SEATS: u8 = 4;
const EPOCH: u64 = 2;

/// Digest that stands for a name.
pub fn digest(name: &str) -> Digest {
    hash(Purpose("zerotell/example/1"), &[name.as_bytes()])
}

/// The secret of a seat. Its keys sign made-up blocks and nothing else.
fn secret(seat: u8) -> Scalar {
    let mut wide = [0; 64];
    wide[..32].copy_from_slice(&digest(&format!("secret of seat {seat}")));
    Scalar::from_bytes_wide(&wide)
}

fn committee() -> Committee {
    let seat = |seat: u8| Seat {
        account: digest(&format!("seat {seat}")),
        consensus: Bounded::new(
            G2Affine::from(G2Projective::generator() * secret(seat)).to_compressed().to_vec(),
        )
        .unwrap(),
        stake: 1_000_000_000_000 + u64::from(seat) * 250_000_000_000,
    };
    let mut seats: Vec<Seat> = (0..SEATS).map(seat).collect();
    seats.sort_by_key(|seat| seat.account);
    Committee::new(EPOCH, Bounded::new(seats).unwrap()).unwrap()
}

/// Which secret belongs to which place of the committee.
fn order(committee: &Committee) -> Vec<u8> {
    let place = |seat: &Seat| (0..SEATS).find(|n| digest(&format!("seat {n}")) == seat.account).unwrap();
    committee.seats.iter().map(place).collect()
}

/// A final record, accepted or refused with a code, about this statement, program and proof.
pub fn record(program: Digest, proof: Digest, status: Status) -> Record {
    Record {
        submitter: digest("submitter"),
        program,
        proof,
        body: digest("body"),
        verifier: 1,
        ordered: 2_040,
        fee: 48_210_000,
        held: 0,
        status,
        recalled: 0,
        voted: 2_040,
        accept: if matches!(status, Status::Final { code: 0, .. }) { 0b1111 } else { 0 },
        reject: if matches!(status, Status::Final { code: 1.., .. }) { 0b0111 } else { 0 },
    }
}

/// The checkpoint that a reader would have pinned.
pub fn checkpoint() -> Checkpoint {
    let (network, committee) = (digest("network"), committee().digest());
    Checkpoint { network, epoch: EPOCH, height: 1_999, time: START, committee }
}

/// A certificate that the record is in the state, signed by three of the four.
pub fn certificate(statement: Digest, record: &Record) -> Certificate {
    let (committee, checkpoint) = (committee(), checkpoint());
    let (namespace_of_records, key, value) = (Records::NAMESPACE, statement.to_vec(), encode(record));
    let way = path(namespace_of_records, &key);
    let siblings: Vec<Digest> = (0..12).map(|level| digest(&format!("neighbour {level}"))).collect();
    let own = leaf(&way, &value_digest(&value));
    let state = siblings.iter().enumerate().rev().fold(own, |running, (depth, sibling)| {
        if turns_right(&way, depth) { node(sibling, &running) } else { node(&running, sibling) }
    });
    let header = Header {
        network: checkpoint.network,
        height: 2_061,
        epoch: EPOCH,
        time: START + 61_000,
        proposer: committee.seats[1].account,
        parent: digest("parent"),
        engine: digest("engine"),
        transactions: digest("transactions"),
        state,
        outcomes: digest("outcomes"),
        committee: committee.digest(),
        next: None,
    };
    let finality = sign(&committee, &header, &[0, 1, 3]);
    Certificate {
        checkpoint,
        committee: Some(committee),
        handovers: Bounded::default(),
        header,
        finality,
        entry: Entry {
            namespace: namespace_of_records,
            key: Bounded::new(key).unwrap(),
            value: Bounded::new(value).unwrap(),
            proof: MapProof { end: PathEnd::Entry, siblings },
        },
    }
}

/// The sum of the signatures of these places.
fn sign(committee: &Committee, header: &Header, places: &[usize]) -> Finality {
    let mut finality = Finality {
        epoch: EPOCH,
        view: 70,
        parent: 69,
        payload: header.digest(),
        seats: SEATS,
        signers: places.iter().fold(0, |bits, place| bits | 1 << place),
        signature: [0; 48],
    };
    // A proposal is what stands before the number of seats: eight bytes, a bitmap and the signature come after it.
    let whole = encode(&finality);
    let proposal = &whole[..whole.len() - 8 - 1 - 48];
    let space = [namespace(&header.network).as_slice(), b"_FINALIZE"].concat();
    let message = [&[u8::try_from(space.len()).unwrap()], space.as_slice(), proposal].concat();
    let purpose = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    let point =
        <G1Projective as HashToCurve<ExpandMsgXmd<Sha256>>>::hash_to_curve([message.as_slice()], purpose);
    let order = order(committee);
    let sum = places.iter().fold(G1Projective::identity(), |sum, place| sum + point * secret(order[*place]));
    finality.signature = G1Affine::from(sum).to_compressed();
    finality
}
