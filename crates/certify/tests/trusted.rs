//! Files that rest on an older epoch than the trusted checkpoint: what leads to it decides nothing, and whoever holds the
//! keys of old committees gains nothing by them.

use std::path::Path;

use bls12_381::hash_to_curve::{ExpandMsgXmd, HashToCurve};
use bls12_381::{G1Affine, G1Projective, G2Affine, G2Projective, Scalar};
use sha2::Sha256;
use zerotell_certify::certificate::FILE_MAX;
use zerotell_certify::finality::namespace;
use zerotell_certify::handover::Change;
use zerotell_certify::hash::{Purpose, hash};
use zerotell_certify::map::{PathEnd, leaf, node, path, turns_right, value_digest};
use zerotell_certify::{
    Bounded, Certificate, Checkpoint, Client, Clock, Committee, Digest, Entry, Finality, Handover, Header,
    Malformed, MapProof, Refusal, Seat, Way, decode, encode,
};

const START: u64 = 1_790_000_000_000;
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
const CHAINS: [&str; 3] = ["good-n4-chain.bin", "good-n7-chain.bin", "good-n100-chain.bin"];

/// A certificate of the vectors: it rests on epoch 0 and leads over three hand-overs to epoch 3.
fn vector(name: &str) -> Certificate {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/certificate/v1").join(name);
    decode(&std::fs::read(path).expect(name)).expect(name)
}

/// The checkpoints that a file passes through, the one it rests on first.
fn points(file: &Certificate) -> Vec<Checkpoint> {
    let mut client = Client::new(&file.checkpoint, file.committee.clone().unwrap(), None).unwrap();
    let mut points = vec![client.checkpoint()];
    for step in file.handovers.iter() {
        client.follow(step).unwrap();
        points.push(client.checkpoint());
    }
    points
}

fn refusal(file: &Certificate, trusted: &Checkpoint) -> Refusal {
    file.check(trusted, None).expect_err("it is refused")
}

// ---- a network whose secrets are known ----

fn digest(name: &str) -> Digest {
    hash(Purpose("zerotell/example/1"), &[name.as_bytes()])
}

/// Four seats, and the secrets of their keys in the order of the seats.
struct Seats {
    committee: Committee,
    secrets: Vec<Scalar>,
}

/// The seats of an epoch, in one of several histories.
fn seats(epoch: u64, history: &str) -> Seats {
    let seat = |number: u8| {
        let name = format!("{history}, epoch {epoch}, seat {number}");
        let mut wide = [0; 64];
        wide[..32].copy_from_slice(&digest(&name));
        let secret = Scalar::from_bytes_wide(&wide);
        let key = G2Affine::from(G2Projective::generator() * secret).to_compressed().to_vec();
        let account = digest(&format!("the account of {name}"));
        (Seat { account, consensus: Bounded::new(key).unwrap(), stake: 5 }, secret)
    };
    let mut all: Vec<(Seat, Scalar)> = (0..4).map(seat).collect();
    all.sort_by_key(|(seat, _)| seat.account);
    let (seats, secrets): (Vec<Seat>, Vec<Scalar>) = all.into_iter().unzip();
    Seats { committee: Committee::new(epoch, Bounded::new(seats).unwrap()).unwrap(), secrets }
}

impl Seats {
    fn header(&self, height: u64, state: Digest, next: Option<&Seats>) -> Header {
        Header {
            network: digest("network"),
            height,
            epoch: self.committee.epoch,
            time: START + height * HOUR,
            proposer: self.committee.seats[0].account,
            parent: digest("parent"),
            engine: digest("engine"),
            transactions: digest("transactions"),
            state,
            outcomes: digest("outcomes"),
            committee: self.committee.digest(),
            next: next.map(|next| next.committee.digest()),
        }
    }

    /// All four sign.
    fn sign(&self, header: &Header) -> Finality {
        let (epoch, payload) = (header.epoch, header.digest());
        let mut finality =
            Finality { epoch, view: 70, parent: 69, payload, seats: 4, signers: 0b1111, signature: [0; 48] };
        // A proposal is what stands before the number of seats: 8 bytes, a bitmap and the signature come after it.
        let whole = encode(&finality);
        let proposal = &whole[..whole.len() - 8 - 1 - 48];
        let space = [namespace(&header.network).as_slice(), b"_FINALIZE"].concat();
        let message = [&[u8::try_from(space.len()).unwrap()], space.as_slice(), proposal].concat();
        let purpose = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
        let point =
            <G1Projective as HashToCurve<ExpandMsgXmd<Sha256>>>::hash_to_curve([message.as_slice()], purpose);
        let sum = self.secrets.iter().fold(G1Projective::identity(), |sum, secret| sum + point * secret);
        finality.signature = G1Affine::from(sum).to_compressed();
        finality
    }
}

/// An entry with this value, and the root above it.
fn entry(value: &str) -> (Entry, Digest) {
    let (namespace, key, value) = (5, digest("statement").to_vec(), value.as_bytes().to_vec());
    let way = path(namespace, &key);
    let siblings: Vec<Digest> = (0..8).map(|level| digest(&format!("neighbour {level}"))).collect();
    let own = leaf(&way, &value_digest(&value));
    let root = siblings.iter().enumerate().rev().fold(own, |running, (depth, sibling)| {
        if turns_right(&way, depth) { node(sibling, &running) } else { node(&running, sibling) }
    });
    let proof = MapProof { end: PathEnd::Entry, siblings };
    let (key, value) = (Bounded::new(key).unwrap(), Bounded::new(value).unwrap());
    (Entry { namespace, key, value, proof }, root)
}

/// A certificate from epoch 0 to epoch 3, through these histories; heights and times are the same in all of them.
fn made(histories: [&str; 4], value: &str) -> Certificate {
    let all: Vec<Seats> = (0..4).zip(histories).map(|(epoch, history)| seats(epoch, history)).collect();
    let step = |pair: &[Seats]| {
        let (from, to) = (&pair[0], &pair[1]);
        let header = from.header(from.committee.epoch * 10 + 9, digest("state"), Some(to));
        let change = Change::between(&from.committee, &to.committee).unwrap();
        Handover { finality: from.sign(&header), header, change }
    };
    let (entry, state) = entry(value);
    let (first, last) = (&all[0].committee, &all[3]);
    let header = last.header(33, state, None);
    Certificate {
        checkpoint: Checkpoint {
            network: digest("network"),
            epoch: 0,
            height: 0,
            time: START,
            committee: first.digest(),
        },
        committee: Some(first.clone()),
        handovers: Bounded::new(all.windows(2).map(step).collect()).unwrap(),
        finality: last.sign(&header),
        header,
        entry,
    }
}

// ---- what is accepted ----

#[test]
fn any_checkpoint_on_the_way_may_be_trusted() {
    for name in CHAINS {
        let good = vector(name);
        let points = points(&good);
        assert_eq!(points.iter().map(|point| point.epoch).collect::<Vec<_>>(), [0, 1, 2, 3]);
        for trusted in &points {
            let client = good.check(trusted, None).unwrap();
            assert_eq!(client.checkpoint(), points[3], "{name} from epoch {}", trusted.epoch);
            let (committee, rest) = good.start(trusted).unwrap();
            assert_eq!((committee.epoch, rest.len() as u64), (trusted.epoch, 3 - trusted.epoch));
        }
    }
}

#[test]
fn the_committees_that_are_believed_are_shown_and_no_others() {
    let good = vector("good-n7-chain.bin");
    for (from, trusted) in points(&good).iter().enumerate() {
        let mut shown = Vec::new();
        let show = |client: &Client, height| shown.push((client.committee().epoch, height));
        good.check_along(trusted, None, show).unwrap();
        assert_eq!(shown, [(0, 9), (1, 19), (2, 29), (3, 33)][from..]);
    }
}

/// Whatever is flipped before the trusted checkpoint, the file is refused or leads to the same point: who makes that part
/// up, with or without the keys of its committees, gets nothing believed.
#[test]
fn what_stands_before_the_trusted_checkpoint_decides_nothing() {
    let good = vector("good-n4-chain.bin");
    let trusted = points(&good)[3].clone();
    let honest = good.check(&trusted, None).unwrap();
    let mut accepted = 0;
    for (number, step) in good.handovers.iter().enumerate() {
        let bytes = encode(step);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            let Ok(changed) = decode::<Handover>(&changed) else { continue };
            let mut steps = good.handovers.to_vec();
            steps[number] = changed;
            let other = Certificate { handovers: Bounded::new(steps).unwrap(), ..good.clone() };
            let Ok(client) = other.check(&trusted, None) else { continue };
            assert_eq!(client.checkpoint(), trusted, "hand-over {number}, byte {at}");
            assert_eq!(client.committee(), honest.committee(), "hand-over {number}, byte {at}");
            accepted += 1;
        }
    }
    // Signatures by keys that may be for sale are not asked for.
    assert!(accepted >= 3 * 48, "{accepted}");
}

// ---- what is refused ----

#[test]
fn another_checkpoint_of_the_same_epoch_is_refused() {
    let good = vector("good-n7-chain.bin");
    for point in points(&good) {
        let mut committee = point.committee;
        committee[31] ^= 1;
        for other in [
            Checkpoint { height: point.height + 1, ..point.clone() },
            Checkpoint { time: point.time + 1, ..point.clone() },
            Checkpoint { committee, ..point.clone() },
        ] {
            assert_eq!(refusal(&good, &other), Refusal::Checkpoint, "{other:?}");
        }
        let mut network = point.network;
        network[0] ^= 1;
        let other = Checkpoint { network, ..point.clone() };
        assert_eq!(refusal(&good, &other), Refusal::Network, "{other:?}");
    }
    let [first, second, ..] = points(&good).try_into().map(|points: [Checkpoint; 4]| points).unwrap();
    let moved = Checkpoint { epoch: second.epoch, ..first };
    assert_eq!(refusal(&good, &moved), Refusal::Checkpoint);
}

/// Who bought the keys of epoch 0 signs another hand-over, with committees of its own from there on: every signature is
/// right, and only a checkpoint from before the fork takes it for the network's.
#[test]
fn a_fork_by_the_keys_of_an_old_committee_is_refused() {
    let honest = made(["true"; 4], "accepted");
    let forged = made(["true", "false", "false", "false"], "forged");
    let points = points(&honest);
    assert_eq!(honest.checkpoint, forged.checkpoint);
    honest.check(&points[0], None).unwrap();
    forged.check(&points[0], None).expect("from the checkpoint of epoch 0 nobody can tell");
    for trusted in &points[1..] {
        honest.check(trusted, None).unwrap();
        assert_eq!(refusal(&forged, trusted), Refusal::Checkpoint, "epoch {}", trusted.epoch);
    }
    // A way through the true checkpoint, and a fork by its own committee's keys after it: those are trusted.
    let later = made(["true", "true", "false", "false"], "forged");
    later.check(&points[1], None).expect("the committee of the trusted epoch decides");
    assert_eq!(refusal(&later, &points[2]), Refusal::Checkpoint);
    // The true way up to the trusted checkpoint, and a header of another history after it.
    let Certificate { header, finality, entry, .. } = forged;
    let spliced = Certificate { header, finality, entry, ..honest.clone() };
    for trusted in &points {
        assert_eq!(refusal(&spliced, trusted), Refusal::Committee, "epoch {}", trusted.epoch);
    }
}

/// A hand-over after the trusted checkpoint needs its signatures, whatever stands before.
#[test]
fn what_stands_after_the_trusted_checkpoint_is_checked() {
    let good = made(["true"; 4], "accepted");
    let points = points(&good);
    for (number, epoch) in [(0, 0), (1, 1), (2, 2)] {
        let mut steps = good.handovers.to_vec();
        steps[number].finality.signature = G1Affine::generator().to_compressed();
        let bent = Certificate { handovers: Bounded::new(steps).unwrap(), ..good.clone() };
        for trusted in &points {
            let found = bent.check(trusted, None).map(|client| client.checkpoint());
            let is_before = epoch < trusted.epoch;
            assert_eq!(found, if is_before { Ok(points[3].clone()) } else { Err(Refusal::Signature) });
        }
    }
}

#[test]
fn a_file_that_begins_later_or_ends_earlier_says_so() {
    let good = vector("good-n4-chain.bin");
    let points = points(&good);
    let (committee, rest) = good.start(&points[2]).unwrap();
    let short = Certificate {
        checkpoint: points[2].clone(),
        committee: Some(committee),
        handovers: Bounded::new(rest.to_vec()).unwrap(),
        ..good.clone()
    };
    short.check(&points[2], None).unwrap();
    short.check(&points[3], None).unwrap();
    assert_eq!(refusal(&short, &points[1]), Refusal::Later { begins: 2, trusted: 1 });

    let fewer = Bounded::new(good.handovers[..1].to_vec()).unwrap();
    let old = Certificate { handovers: fewer, ..good.clone() };
    assert_eq!(refusal(&old, &points[2]), Refusal::Earlier { ends: 1, trusted: 2 });
    let last = Checkpoint { epoch: u64::MAX, ..points[3].clone() };
    assert_eq!(refusal(&good, &last), Refusal::Earlier { ends: 3, trusted: u64::MAX });
    let beyond = Certificate { checkpoint: last.clone(), ..good.clone() };
    assert_eq!(refusal(&beyond, &points[3]), Refusal::Later { begins: u64::MAX, trusted: 3 });
    assert_eq!(refusal(&beyond, &last), Refusal::Committee);
}

#[test]
fn a_file_without_its_committee_is_refused() {
    let good = vector("good-n4-chain.bin");
    let without = Certificate { committee: None, ..good.clone() };
    for trusted in points(&good) {
        assert_eq!(refusal(&without, &trusted), Refusal::Committee, "epoch {}", trusted.epoch);
    }
}

/// The age is that of the checkpoint that is trusted: an old beginning of the file makes nothing stale, and a young header
/// nothing fresh.
#[test]
fn age_is_that_of_the_trusted_checkpoint() {
    let good = vector("good-n4-chain.bin");
    for trusted in points(&good) {
        let at = |now| {
            let clock = Clock { now, trust: 14 * DAY, drift: 10_000 };
            good.check(&trusted, Some(clock)).map(|_| ())
        };
        let epoch = trusted.epoch;
        assert_eq!(at(trusted.time + 14 * DAY), Ok(()), "epoch {epoch}");
        assert_eq!(at(trusted.time + 14 * DAY + 1), Err(Refusal::Stale), "epoch {epoch}");
        assert_eq!(at(good.header.time - 10_001), Err(Refusal::Future), "epoch {epoch}");
    }
    assert!(points(&good)[3].time > good.checkpoint.time, "the clock has moved on the way");
}

// ---- a way ----

#[test]
fn a_way_leads_on_and_has_one_spelling() {
    let good = vector("good-n7-chain.bin");
    let points = points(&good);
    for trusted in &points {
        let (committee, rest) = good.start(trusted).unwrap();
        let way = Way { committee, handovers: Bounded::new(rest.to_vec()).unwrap() };
        let bytes = encode(&way);
        let read: Way = decode(&bytes).unwrap();
        assert_eq!(read, way);
        let mut client = Client::new(trusted, read.committee, None).unwrap();
        read.handovers.iter().try_for_each(|step| client.follow(step)).unwrap();
        assert_eq!(client.checkpoint(), points[3]);
        assert_eq!(decode::<Way>(&[&bytes[..], &[0]].concat()), Err(Malformed::Trailing { count: 1 }));
        assert_eq!(decode::<Way>(&bytes[..bytes.len() - 1]), Err(Malformed::Truncated));
    }
    assert_eq!(decode::<Way>(&vec![0; FILE_MAX + 1]), Err(Malformed::TooLong { limit: FILE_MAX }));
}
