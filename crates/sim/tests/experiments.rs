//! Every experiment on its small grid: its criterion holds, and so do the controls, which say that it would fail without the
//! rule that carries it.

use zerotell_sim::report::Report;
use zerotell_sim::{Grid, names, run};

fn passes(id: &str) -> Report {
    let report = run(id, 7, Grid::Small).unwrap();
    assert!(report.passes(), "{id}, seed {}: {:?}", report.seed, report.failures());
    assert!(!report.criteria.is_empty() && !report.controls.is_empty(), "{id} could not fail");
    report
}

#[test]
fn s1_verifying_is_the_only_stable_habit() {
    passes("S1");
}

#[test]
fn s2_copying_brings_nothing() {
    passes("S2");
}

#[test]
fn s3_lazy_seats_and_hunters_meet_at_the_formula() {
    passes("S3");
}

#[test]
fn s4_floods_pay_for_themselves() {
    passes("S4");
}

#[test]
fn s5_bribes_cost_what_the_formula_says() {
    passes("S5");
}

#[test]
fn s6_rewards_are_linear_in_stake() {
    passes("S6");
}

#[test]
fn s7_censors_delay_as_rarely_as_they_should() {
    passes("S7");
}

#[test]
fn s8_no_two_blocks_are_final() {
    passes("S8");
}

#[test]
fn s9_honest_disagreement_costs_little() {
    passes("S9");
}

#[test]
fn s10_washing_loses() {
    passes("S10");
}

#[test]
fn s11_a_small_machine_earns_its_share() {
    passes("S11");
}

#[test]
fn a_seed_gives_one_report() {
    for id in ["S3", "S7", "S11"] {
        let text = |seed| run(id, seed, Grid::Small).unwrap().text();
        assert_eq!(text(7), text(7), "{id}");
        assert_ne!(text(7), text(8), "{id}: the seed does nothing");
    }
    assert_eq!(names().count(), 11);
    assert_eq!(run("s6", 7, Grid::Small).unwrap().id, "S6");
}

#[test]
fn unknown_experiments_are_named() {
    let said = |id| run(id, 7, Grid::Small).unwrap_err().to_string();
    assert!(said("S12").contains("real processes"), "{}", said("S12"));
    assert!(said("S13").contains("S1 to S11"));
}
