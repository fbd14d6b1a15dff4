//! What a seat leaves alone, for its own sake: epochs that its key may have signed in, and rounds of another verifier.

use std::sync::Arc;

use certify::Finality;
use ledger::entry::Status;

use crate::{bare, network, plan, seeds};

/// A key whose database is new signs nothing in the epoch it may have signed in before, and takes its turn in the next.
#[test]
fn a_key_that_forgot_looks_on_until_the_next_epoch() {
    for seed in seeds() {
        let world = network(4);
        // The network began at time 0; its second epoch begins later.
        world.chain(3).store.set_silent(0).unwrap();
        plan(&world, seed, 100, &[]).run().unwrap();
        let chain = world.chain(0);
        let own = world.account(3);
        let (seat, _) = chain.first.seat(&own).unwrap();
        let took_part = |height: u64| {
            let certificate = chain.finality(height).unwrap();
            let finality = certificate.map(|bytes| certify::decode::<Finality>(&bytes).unwrap());
            let signed = finality.is_some_and(|finality| finality.signers >> seat & 1 == 1);
            signed || chain.block(height).unwrap().unwrap().header.proposer == own
        };
        assert!((1..40).all(|height| !took_part(height)));
        assert!((40..100).any(took_part));
    }
}

/// Nor does it bind itself to verdicts on rounds that it may have spoken of before.
#[test]
fn a_key_that_forgot_says_nothing_of_rounds_from_before() {
    for seed in seeds() {
        let world = network(4);
        world.chain(3).store.set_silent(u64::MAX).unwrap();
        plan(&world, seed, 60, &[]).run().unwrap();
        let view = world.view(0, Arc::new(world.chain(0)));
        let (seat, _) = view.chain.first.seat(&world.account(3)).unwrap();
        for number in world.numbers() {
            let record = view.record(number).unwrap();
            assert!((record.accept | record.reject) >> seat & 1 == 0, "{number}: {record:?}");
        }
    }
}

/// Seats say nothing of rounds that another version of the verifier is to judge: nobody is rejected, nobody punished.
#[test]
fn rounds_of_another_verifier_are_left_alone() {
    for seed in seeds() {
        let mut world = network(4);
        world.genesis.parameters.verifier = 2;
        bare(&world, seed, 100).run().unwrap();
        let view = world.view(0, Arc::new(world.chain(0)));
        view.audit();
        for number in world.numbers() {
            let record = view.record(number).unwrap();
            assert!(matches!(record.status, Status::Undecided { .. }), "{number}: {:?}", record.status);
        }
        assert!(view.slashed().is_empty());
    }
}
