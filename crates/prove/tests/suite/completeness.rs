//! Honest proofs are accepted, in every mode and at every depth of the ladder.

use crate::common::{Case, owner};
use program::types::{InputMode, Reveal};
use verify::{Setup, Verdict, verify};

fn accept(case: &Case) -> Setup {
    let owner = owner(case);
    let proof = owner.prove();
    let verdict = verify(&owner.program, &owner.statement, &proof.bytes);
    assert!(matches!(verdict, Verdict::Accepted(_)), "{case:?}: {verdict:?}");
    Setup::new(&owner.program, &owner.statement).unwrap()
}

#[test]
fn every_mode_is_accepted() {
    let reveals = [
        vec![],
        vec![Reveal::Values { output: 0 }],
        vec![Reveal::Label { output: 0 }],
        vec![Reveal::Threshold { output: 0, index: 1, at_least: true, bound: -60 }],
        vec![
            Reveal::Label { output: 0 },
            Reveal::Threshold { output: 0, index: 0, at_least: false, bound: 60 },
        ],
    ];
    for zk in [false, true] {
        for private in [false, true] {
            for input in [InputMode::Public, InputMode::Private, InputMode::Committed] {
                for reveals in &reveals {
                    for batch in [1, 3] {
                        accept(&Case { private, input, reveals: reveals.clone(), batch, zk });
                    }
                }
            }
        }
    }
}

#[test]
fn every_depth_is_accepted() {
    let reveals = vec![Reveal::Label { output: 0 }];
    for zk in [false, true] {
        let mut depths = Vec::new();
        for batch in [1, 6000, 45000] {
            let case = Case { private: true, input: InputMode::Private, reveals: reveals.clone(), batch, zk };
            depths.push(accept(&case).plan.levels.len());
        }
        assert_eq!(depths, [1, 2, 3], "zk {zk}");
    }
}

/// The relations are the same with and without zero knowledge, up to the pads.
#[test]
fn the_same_relations_with_and_without_zero_knowledge() {
    for input in [InputMode::Public, InputMode::Private, InputMode::Committed] {
        let setups = [false, true].map(|zk| {
            accept(&Case { private: true, input, reveals: vec![Reveal::Values { output: 0 }], batch: 2, zk })
        });
        let [plain, hiding] = &setups;
        assert_eq!(format!("{:?}", plain.lowered), format!("{:?}", hiding.lowered));
        assert_eq!((plain.layers, &plain.private), (hiding.layers, &hiding.private));
        assert_eq!(plain.dims[..], hiding.dims[..hiding.dims.len() - 1]);
    }
}
