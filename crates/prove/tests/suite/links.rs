//! Proofs of commitments that are linked to the identity.

use crate::common::{Case, Owner, owner};
use program::types::{InputMode, Reveal};
use program::wire::Statement;
use verify::{
    ChainError, Link, LinkError, Linked, Links, Refusal, Reject, SetupError, Verdict, decode_links,
    encode_links, links_digest, verify, verify_linked,
};

fn committed() -> Owner {
    let reveals = vec![Reveal::Label { output: 0 }];
    owner(&Case { private: true, input: InputMode::Committed, reveals, batch: 2, zk: true })
}

fn ask(
    owner: &Owner,
    statement: &Statement,
    proof: &[u8],
    chains: &[Vec<Link>],
) -> Result<Vec<Linked>, Refusal> {
    let links = Links { chains: &chains.to_vec().into(), known: &|_| false };
    match verify_linked(&owner.program, statement, proof, &links) {
        Verdict::Accepted(accepted) => Ok(accepted.linked().to_vec()),
        Verdict::Rejected(why) => Err(why),
    }
}

/// Why these links are refused when the statement names them.
fn chain_error(owner: &Owner, chains: &[Vec<Link>]) -> ChainError {
    let mut statement = owner.statement.clone();
    statement.link = links_digest(chains);
    match ask(owner, &statement, &[], chains) {
        Err(Refusal::Links(why)) => why,
        found => panic!("{found:?}"),
    }
}

#[test]
fn every_epoch_is_accepted_with_its_links() {
    for depths in [[0, 0], [1, 0], [0, 1], [2, 1]] {
        let mut owner = committed();
        let first = owner.statement.clone();
        let old = owner.prove().bytes;
        let chains = owner.advance(&depths);
        let proof = owner.prove().bytes;
        let linked = ask(&owner, &owner.statement, &proof, &chains).unwrap();
        assert_eq!(linked.len(), depths.iter().sum::<usize>());
        assert_eq!(owner.statement.identity, first.identity);
        // Proofs made before still hold.
        assert!(matches!(verify(&owner.program, &first, &old), Verdict::Accepted(_)));
        // What was accepted once need not be proved again.
        let known = |one: &Linked| linked.contains(one);
        let mut stripped = chains.clone();
        stripped.iter_mut().flatten().for_each(|link| link.proof.clear());
        for chains in [&chains, &stripped] {
            let mut statement = owner.statement.clone();
            statement.link = links_digest(chains);
            let verdict = verify_linked(
                &owner.program,
                &statement,
                &proof,
                &Links { chains: &chains.to_vec().into(), known: &known },
            );
            let same = statement == owner.statement;
            match verdict {
                Verdict::Accepted(accepted) => assert!(same && accepted.linked().is_empty()),
                // Other links are another statement, whatever is known.
                Verdict::Rejected(why) => assert!(!same && matches!(why, Refusal::Proof(_)), "{why:?}"),
            }
        }
        let bytes = encode_links(&chains);
        assert_eq!(decode_links(&bytes).unwrap(), chains);
        for cut in (0..bytes.len()).step_by(17) {
            assert!(decode_links(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(decode_links(&[bytes, vec![0]].concat()).is_err());
    }
}

#[test]
fn links_that_are_missing_or_not_named_are_refused() {
    let mut owner = committed();
    let plain = owner.prove().bytes;
    let honest = owner.statement.clone();
    let chains = owner.advance(&[1, 1]);
    let proof = owner.prove().bytes;
    let none = Refusal::Links(ChainError::Missing { oracle: 0 });
    assert_eq!(ask(&owner, &owner.statement, &proof, &[]), Err(none.clone()));
    let Verdict::Rejected(found) = verify(&owner.program, &owner.statement, &proof) else { panic!() };
    assert_eq!(found, none);
    // The root without any word of links.
    let mut silent = owner.statement.clone();
    silent.link = [0; 32];
    assert_eq!(
        ask(&owner, &silent, &proof, &chains),
        Err(Refusal::Setup(SetupError::Identity { oracle: 0 }))
    );
    // Links the statement does not name.
    let digest = Refusal::Links(ChainError::Digest);
    assert_eq!(ask(&owner, &honest, &plain, &chains), Err(digest.clone()));
    let mut other = owner.statement.clone();
    other.link[0] ^= 1;
    assert_eq!(ask(&owner, &other, &proof, &chains), Err(digest.clone()));
    let mut tampered = chains.clone();
    tampered[0][0].proof[99] ^= 1;
    assert_eq!(ask(&owner, &owner.statement, &proof, &tampered), Err(digest));
    // The digest of the links is bound to the proof.
    let mut named = owner.statement.clone();
    named.link = links_digest(&tampered);
    let Err(Refusal::Links(ChainError::Link { oracle: 0, link: 0, .. })) =
        ask(&owner, &named, &proof, &tampered)
    else {
        panic!()
    };
}

#[test]
fn chains_must_lead_from_the_identity_to_the_root() {
    let mut owner = committed();
    let chains = owner.advance(&[2, 1]);
    let change = |change: &dyn Fn(&mut Vec<Vec<Link>>)| {
        let mut other = chains.clone();
        change(&mut other);
        chain_error(&owner, &other)
    };
    assert_eq!(change(&|c| drop(c.pop())), ChainError::Count { expected: 2, found: 1 });
    assert_eq!(change(&|c| c[1].clear()), ChainError::Missing { oracle: 1 });
    // Not from the identity, not to the root, with a hole, in the wrong order, for the other oracle.
    assert_eq!(change(&|c| drop(c[0].remove(0))), ChainError::Broken { oracle: 0, link: 0 });
    assert_eq!(change(&|c| drop(c[0].pop())), ChainError::Broken { oracle: 0, link: 0 });
    assert_eq!(change(&|c| c[0].reverse()), ChainError::Broken { oracle: 0, link: 0 });
    assert_eq!(change(&|c| c[0][1] = c[0][0].clone()), ChainError::Broken { oracle: 0, link: 1 });
    assert!(matches!(change(&|c| c.reverse()), ChainError::Other { oracle: 0, link: 0, .. }));
    let long = change(&|c| c[0] = vec![c[0][0].clone(); 65]);
    assert_eq!(long, ChainError::Long { oracle: 0 });
    let other = |change: &dyn Fn(&mut Link)| {
        let mut chains = chains.clone();
        change(&mut chains[0][1]);
        match chain_error(&owner, &chains) {
            ChainError::Other { oracle: 0, link: 1, what } => what,
            found => panic!("{found:?}"),
        }
    };
    assert_eq!(other(&|l| l.statement.subject[0] ^= 1), "another model or input");
    assert_eq!(other(&|l| l.statement.lambda = 101), "another security level");
    assert_eq!(other(&|l| l.statement.total = 65), "other tensors");
    assert_eq!(other(&|l| l.statement.child.shape.layout[0] ^= 1), "other tensors");
    // A link whose statement was changed after it was proved.
    let context = change(&|c| c[0][1].statement.context = b"later".to_vec());
    let ChainError::Link { oracle: 0, link: 1, why: LinkError::Proof(_) } = context else {
        panic!("{context:?}")
    };
    let forged = change(&|c| c[0][0].proof = c[0][1].proof.clone());
    let ChainError::Link { oracle: 0, link: 0, why: LinkError::Proof(Reject::Root { .. }) } = forged else {
        panic!("{forged:?}")
    };
}

#[test]
fn links_of_one_identity_serve_no_other() {
    let mut owner = committed();
    let honest = committed();
    let chains = owner.advance(&[1, 0]);
    // Links to a root that is the identity's own.
    let mut needless = honest.statement.clone();
    needless.link = links_digest(&chains);
    let found = ask(&honest, &needless, &[], &chains);
    assert_eq!(found, Err(Refusal::Links(ChainError::Needless { oracle: 0 })));
    // Somebody else's identity, reached by a link of ours.
    let mut stolen = owner.statement.clone();
    stolen.identity[0] = [7; 32];
    let found = ask(&owner, &stolen, &[], &chains);
    assert!(matches!(found, Err(Refusal::Links(ChainError::Other { oracle: 0, link: 0, .. }))), "{found:?}");
    let mut renamed = chains.clone();
    renamed[0][0].statement.subject = verify::model_identity(&owner.program, &stolen);
    stolen.link = links_digest(&renamed);
    let found = ask(&owner, &stolen, &[], &renamed);
    assert_eq!(found, Err(Refusal::Links(ChainError::Broken { oracle: 0, link: 0 })));
    // The identity written over the link's parent: the columns do not lie under that root.
    let other = committed();
    assert_eq!(other.statement, honest.statement);
    let mut forged = chains.clone();
    forged[0][0].statement.parent.root[0] ^= 1;
    let mut statement = owner.statement.clone();
    statement.identity[0] = forged[0][0].statement.parent.id();
    forged[0][0].statement.subject = verify::model_identity(&owner.program, &statement);
    statement.link = links_digest(&forged);
    let found = ask(&owner, &statement, &[], &forged);
    assert!(matches!(found, Err(Refusal::Links(ChainError::Link { oracle: 0, link: 0, .. }))), "{found:?}");
}
