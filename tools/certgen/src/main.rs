//! Makes `vectors/certificate/v1` with the engine's own code: certificates that a light client must accept, and
//! certificates with one thing wrong that it must refuse for that reason.
//!
//! `cargo run --manifest-path tools/certgen/Cargo.toml -- vectors/certificate/v1`
//!
//! Deterministic: the same bytes on every run. The engine itself verifies every finalization that is good.

use std::{error::Error, fs, path::Path};

use certify::certificate::Entry;
use certify::handover::Change;
use certify::map::{MapProof, PathEnd, leaf, node, path, turns_right, value_digest};
use certify::receipt::Receipt;
use certify::{
    Bounded, Certificate, Checkpoint, Committee, Digest, Finality, Handover, Header, Seat, decode, encode,
};
use commonware_codec::Encode as _;
use commonware_consensus::simplex::{
    scheme::bls12381_multisig::Scheme,
    types::{Finalization, Finalize, Notarize, Proposal},
};
use commonware_consensus::types::{Epoch, Round, View};
use commonware_cryptography::{
    Signer as _,
    bls12381::primitives::{group::Private, ops, variant::MinSig},
    ed25519, sha256,
};
use commonware_math::algebra::Random as _;
use commonware_parallel::Sequential;
use commonware_utils::{TryCollect as _, non_empty, ordered::BiMap};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

type Multisig = Scheme<ed25519::PublicKey, MinSig>;
type Public = <MinSig as commonware_cryptography::bls12381::primitives::variant::Variant>::Public;
type Outcome<T> = Result<T, Box<dyn Error>>;

const START: u64 = 1_790_000_000_000;
const HOUR: u64 = 3_600_000;

#[derive(Clone)]
struct Validator {
    identity: ed25519::PublicKey,
    secret: Private,
    public: Public,
    stake: u64,
}

impl Validator {
    fn new(rng: &mut StdRng) -> Self {
        let secret = Private::random(&mut *rng);
        let public = ops::compute_public::<MinSig>(&secret);
        let identity = ed25519::PrivateKey::random(&mut *rng).public_key();
        Self { identity, secret, public, stake: 1_000_000 + u64::from(rng.next_u32()) }
    }

    fn account(&self) -> Digest {
        self.identity.encode().as_ref().try_into().expect("an Ed25519 key has 32 bytes")
    }
}

fn validators(count: usize, rng: &mut StdRng) -> Vec<Validator> {
    sorted((0..count).map(|_| Validator::new(rng)).collect())
}

fn sorted(mut validators: Vec<Validator>) -> Vec<Validator> {
    validators.sort_by_key(Validator::account);
    validators
}

fn committee(epoch: u64, validators: &[Validator]) -> Outcome<Committee> {
    let seats = validators.iter().map(|validator| {
        let consensus = Bounded::new(validator.public.encode().to_vec())?;
        Ok(Seat { account: validator.account(), consensus, stake: validator.stake })
    });
    Ok(Committee::new(epoch, Bounded::new(seats.collect::<Outcome<_>>()?)?)?)
}

fn participants(validators: &[Validator]) -> BiMap<ed25519::PublicKey, Public> {
    validators.iter().map(|v| (v.identity.clone(), v.public)).try_collect().expect("keys are distinct")
}

fn scheme(namespace: &[u8], all: &[Validator], signer: usize) -> Multisig {
    let secret = all[signer].secret.clone();
    Multisig::signer(namespace, participants(all), secret).expect("the signer is a participant")
}

fn proposal(epoch: u64, view: u64, payload: Digest) -> Proposal<sha256::Digest> {
    let round = Round::new(Epoch::new(epoch), View::new(view));
    Proposal { round, parent: View::new(view - 1), payload: sha256::Digest(payload) }
}

/// A finalization as the engine makes and verifies it.
fn finality(
    network: &Digest,
    all: &[Validator],
    epoch: u64,
    view: u64,
    header: &Header,
    signers: &[usize],
) -> Outcome<Finality> {
    let namespace = certify::finality::namespace(network);
    let proposal = proposal(epoch, view, header.digest());
    let votes: Vec<_> = signers
        .iter()
        .map(|&i| Finalize::sign(&scheme(&namespace, all, i), proposal.clone()).expect("a signer signs"))
        .collect();
    let verifier = Multisig::verifier(&namespace, participants(all));
    let whole = Finalization::from_finalizes(&verifier, non_empty![@votes.iter()], &Sequential)?;
    assert!(whole.verify(&mut StdRng::seed_from_u64(1), &verifier, &Sequential), "the engine accepts");
    let bytes = whole.encode();
    let ours: Finality = decode(&bytes)?;
    assert_eq!(encode(&ours), bytes, "both spell alike");
    Ok(ours)
}

/// What the engine would not assemble: the sum of any votes, counted as votes to finalise.
fn sum(
    all: &[Validator],
    proposal: Proposal<sha256::Digest>,
    signers: &[usize],
    vote: impl Fn(usize) -> <MinSig as commonware_cryptography::bls12381::primitives::variant::Variant>::Signature,
) -> Outcome<Finality> {
    let votes: Vec<_> = signers.iter().map(|&i| vote(i)).collect();
    let sum = ops::aggregate::combine_signatures::<MinSig, _>(non_empty![@votes.iter()]);
    Ok(Finality {
        epoch: proposal.round.epoch().get(),
        view: proposal.round.view().get(),
        parent: proposal.parent.get(),
        payload: proposal.payload.0,
        seats: u8::try_from(all.len())?,
        signers: signers.iter().fold(0, |bits, &i| bits | 1 << i),
        signature: sum.encode().as_ref().try_into()?,
    })
}

fn bytes32(rng: &mut StdRng) -> Digest {
    let mut out = [0; 32];
    rng.fill_bytes(&mut out);
    out
}

/// An entry as large as a record among a million, and the root above it.
fn entry(rng: &mut StdRng) -> Outcome<(Entry, Digest)> {
    let (namespace, key) = (5, bytes32(rng).to_vec());
    let value: Vec<u8> = (0..8).flat_map(|_| bytes32(rng)).collect();
    let siblings: Vec<Digest> = (0..20).map(|_| bytes32(rng)).collect();
    let path = path(namespace, &key);
    let own = leaf(&path, &value_digest(&value));
    let root = siblings.iter().enumerate().rev().fold(own, |running, (depth, sibling)| {
        if turns_right(&path, depth) { node(sibling, &running) } else { node(&running, sibling) }
    });
    let proof = MapProof { end: PathEnd::Entry, siblings };
    Ok((Entry { namespace, key: Bounded::new(key)?, value: Bounded::new(value)?, proof }, root))
}

fn header(
    network: Digest,
    epoch: u64,
    height: u64,
    present: &Committee,
    state: Digest,
    rng: &mut StdRng,
) -> Header {
    Header {
        network,
        height,
        epoch,
        time: START + height * HOUR,
        proposer: present.seats[0].account,
        parent: bytes32(rng),
        engine: bytes32(rng),
        transactions: bytes32(rng),
        state,
        outcomes: bytes32(rng),
        committee: present.digest(),
        next: None,
    }
}

/// One network at one epoch: everything but the finality.
struct Scene {
    network: Digest,
    all: Vec<Validator>,
    certificate: Certificate,
}

fn scene(count: usize, seed: u64) -> Outcome<Scene> {
    let rng = &mut StdRng::seed_from_u64(seed);
    let network = bytes32(rng);
    let all = validators(count, rng);
    let present = committee(3, &all)?;
    let (entry, state) = entry(rng)?;
    let checkpoint =
        Checkpoint { network, epoch: 3, height: 30, time: START + 30 * HOUR, committee: present.digest() };
    let header = header(network, 3, 37, &present, state, rng);
    let finality = finality(&network, &all, 3, 1234, &header, &(0..count).collect::<Vec<_>>())?;
    let handovers = Bounded::new(Vec::new())?;
    let certificate =
        Certificate { checkpoint, committee: Some(present), handovers, header, finality, entry };
    Ok(Scene { network, all, certificate })
}

/// Three epochs end: some seats go, come, change their key or stake.
fn chain(count: usize, seed: u64) -> Outcome<Certificate> {
    let rng = &mut StdRng::seed_from_u64(seed);
    let network = bytes32(rng);
    let mut all = validators(count, rng);
    let mut present = committee(0, &all)?;
    let checkpoint = Checkpoint { network, epoch: 0, height: 0, time: START, committee: present.digest() };
    let first = present.clone();
    let mut steps = Vec::new();
    for epoch in 0..3u64 {
        let mut next = all.clone();
        match epoch {
            0 => {
                next[0] = Validator::new(rng);
                next[1].stake += 5;
            }
            1 => {
                let other = Validator::new(rng);
                (next[1].secret, next[1].public) = (other.secret, other.public);
                next.push(Validator::new(rng));
            }
            _ => next = validators(count.min(7), rng),
        }
        let next = sorted(next);
        let following = committee(epoch + 1, &next)?;
        let mut header = header(network, epoch, epoch * 10 + 9, &present, bytes32(rng), rng);
        header.next = Some(following.digest());
        let quorum = usize::try_from(certify::finality::quorum(u8::try_from(all.len())?))?;
        let signers: Vec<usize> = (all.len() - quorum..all.len()).collect();
        let finality = finality(&network, &all, epoch, epoch * 10 + 12, &header, &signers)?;
        steps.push(Handover { header, finality, change: Change::between(&present, &following)? });
        (all, present) = (next, following);
    }
    let (entry, state) = entry(rng)?;
    let header = header(network, 3, 33, &present, state, rng);
    let finality = finality(&network, &all, 3, 40, &header, &(0..all.len()).collect::<Vec<_>>())?;
    Ok(Certificate {
        checkpoint,
        committee: Some(first),
        handovers: Bounded::new(steps)?,
        header,
        finality,
        entry,
    })
}

/// Collects files and the index.
struct Writer<'a> {
    folder: &'a Path,
    lines: Vec<String>,
}

impl Writer<'_> {
    fn file(&mut self, name: &str, verdict: &str, certificate: &Certificate) -> Outcome<()> {
        let bytes = encode(certificate);
        let trusted: String =
            encode(&certificate.checkpoint).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(self.folder.join(name), &bytes)?;
        self.lines.push(format!(
            r#"  {{"file": "{name}", "verdict": "{verdict}", "bytes": {}, "seats": {}, "signers": {}, "handovers": {}, "checkpoint": "{trusted}"}}"#,
            bytes.len(),
            certificate.finality.seats,
            certificate.finality.signers.count_ones(),
            certificate.handovers.len(),
        ));
        Ok(())
    }
}

fn good(out: &mut Writer<'_>) -> Outcome<()> {
    for count in [4usize, 7, 100] {
        let Scene { network, all, certificate } = scene(count, count as u64)?;
        let quorum = count - (count - 1) / 3;
        let sets: [(&str, Vec<usize>); 4] = [
            ("first", (0..quorum).collect()),
            ("last", (count - quorum..count).collect()),
            ("all", (0..count).collect()),
            ("gap", (0..count).filter(|&i| i != count / 2).collect()),
        ];
        for (i, (name, signers)) in sets.into_iter().enumerate() {
            // Views of one, two, three and ten bytes.
            let view = [5, 300, 70_000, u64::MAX][i];
            let finality = finality(&network, &all, 3, view, &certificate.header, &signers)?;
            out.file(
                &format!("good-n{count}-{name}.bin"),
                "good",
                &Certificate { finality, ..certificate.clone() },
            )?;
        }
        out.file(&format!("good-n{count}-chain.bin"), "good", &chain(count, 1000 + count as u64)?)?;
    }
    Ok(())
}

/// One thing wrong in each; the signatures are right for what they are made of.
fn bad(out: &mut Writer<'_>) -> Outcome<()> {
    let Scene { network, all, certificate } = scene(7, 7)?;
    let namespace = certify::finality::namespace(&network);
    let everybody: Vec<usize> = (0..7).collect();
    let right = proposal(3, 9, certificate.header.digest());
    let finalize = |namespace: &[u8], proposal: &Proposal<sha256::Digest>, i: usize| {
        let vote = Finalize::sign(&scheme(namespace, &all, i), proposal.clone()).expect("a signer signs");
        vote.attestation.signature.get().copied().expect("a signature is a point")
    };
    let few = sum(&all, right.clone(), &[0, 2, 4, 6], |i| finalize(&namespace, &right, i))?;
    out.file("bad-quorum.bin", "Quorum", &Certificate { finality: few, ..certificate.clone() })?;

    let elsewhere = certify::finality::namespace(&[9; 32]);
    let other = sum(&all, right.clone(), &everybody, |i| finalize(&elsewhere, &right, i))?;
    out.file("bad-namespace.bin", "Signature", &Certificate { finality: other, ..certificate.clone() })?;

    let notarized = sum(&all, right.clone(), &everybody, |i| {
        let vote = Notarize::sign(&scheme(&namespace, &all, i), right.clone()).expect("a signer signs");
        vote.attestation.signature.get().copied().expect("a signature is a point")
    })?;
    out.file(
        "bad-notarized-only.bin",
        "Signature",
        &Certificate { finality: notarized, ..certificate.clone() },
    )?;

    let epoch = finality(&network, &all, 4, 9, &certificate.header, &everybody)?;
    out.file("bad-epoch-of-finality.bin", "Epoch", &Certificate { finality: epoch, ..certificate.clone() })?;

    let mut changed: Vec<(&str, &str, Header)> = Vec::new();
    changed.push(("bad-epoch-of-both.bin", "Epoch", Header { epoch: 4, ..certificate.header.clone() }));
    changed.push((
        "bad-committee.bin",
        "Committee",
        Header { committee: [7; 32], ..certificate.header.clone() },
    ));
    changed.push(("bad-network.bin", "Network", Header { network: [7; 32], ..certificate.header.clone() }));
    changed.push(("bad-state.bin", "Entry", Header { state: [7; 32], ..certificate.header.clone() }));
    for (name, why, header) in changed {
        let finality = finality(&network, &all, header.epoch, 9, &header, &everybody)?;
        out.file(name, why, &Certificate { header, finality, ..certificate.clone() })?;
    }
    let header = Header { height: 38, ..certificate.header.clone() };
    out.file("bad-header.bin", "Header", &Certificate { header, ..certificate.clone() })?;

    let eight = scene(8, 8)?;
    let finality = finality(&network, &eight.all, 3, 9, &certificate.header, &everybody)?;
    out.file("bad-seats.bin", "Seats", &Certificate { finality, ..certificate })?;
    Ok(())
}

/// Keys and proofs that their owners hold the secrets: u32 count, then network, account, key, proof.
fn possessions(folder: &Path) -> Outcome<()> {
    let rng = &mut StdRng::seed_from_u64(77);
    let mut bytes = 3u32.to_le_bytes().to_vec();
    for validator in validators(3, rng) {
        let (network, account) = (bytes32(rng), validator.account());
        let namespace = certify::bls::possession_namespace(&network, &account);
        let proof = ops::sign_proof_of_possession::<MinSig>(&validator.secret, &namespace);
        ops::verify_proof_of_possession::<MinSig>(&validator.public, &namespace, &proof)?;
        bytes.extend([&network[..], &account, &validator.public.encode(), &proof.encode()].concat());
    }
    Ok(fs::write(folder.join("possession.bin"), bytes)?)
}

fn main() -> Outcome<()> {
    let folder = std::env::args().nth(1).ok_or("name the folder to write to")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    let mut out = Writer { folder, lines: Vec::new() };
    good(&mut out)?;
    bad(&mut out)?;
    possessions(folder)?;
    let receipt = Receipt::from(&scene(4, 4)?.certificate);
    fs::write(folder.join("receipt.bin"), receipt.encode())?;
    fs::write(folder.join("index.json"), format!("[\n{}\n]\n", out.lines.join(",\n")))?;
    Ok(())
}
