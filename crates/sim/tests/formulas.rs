//! The formulas of the mean field say what the real ledger does: one record, forty seats, every mix of habits.

use ledger::Parameters;
use ledger::entry::Status;
use zerotell_sim::economy::{ACTS, Act, Economy, Shares};
use zerotell_sim::world::{BAD, Conduct, Say, Seen, Trace, Who, World};

const SEATS: usize = 40;

/// No epoch ends, so that nothing leaks.
fn rules() -> Parameters {
    Parameters { epoch_blocks: 10_000, ..zerotell_sim::world::rules() }
}

struct Mix(Vec<Act>);

impl Conduct for Mix {
    fn say(&mut self, seat: usize, seen: &Seen) -> Say {
        match self.0[seat] {
            Act::Accept if !seen.is_case => Say::Code(0, Trace::Guess),
            Act::Reject if !seen.is_case => Say::Code(BAD, Trace::Guess),
            Act::Insist => Say::Code(0, Trace::Guess),
            _ => seen.look(),
        }
    }

    fn commits(&mut self, seat: usize, _: u64) -> bool {
        self.0[seat] != Act::Nothing
    }

    fn reveals(&mut self, seat: usize, _: u64, _: bool) -> bool {
        self.0[seat] != Act::Copy
    }
}

/// What each act brought in the real ledger, proposing aside; and the same by formula.
fn compare(mix: &[(Act, usize)], is_valid: bool) -> Vec<(Act, i128, f64)> {
    let mut acts: Vec<Act> = mix.iter().flat_map(|(act, count)| vec![*act; *count]).collect();
    acts.resize(SEATS, Act::Look);
    let shares: Shares = ACTS.map(|act| acts.iter().filter(|a| **a == act).count() as f64 / SEATS as f64);
    let mut world = World::equal(rules(), SEATS, 3);
    let fee = world.price(1);
    let economy = Economy {
        rules: rules(),
        seats: SEATS as f64,
        stake: rules().least_bond as f64,
        fee: fee as f64,
        accusing: world.accusing_price() as f64,
        cost: 0.0,
        bad: 0.0,
        records: f64::INFINITY,
        dissent_costs: false,
    };
    let before: Vec<i128> = (0..SEATS).map(|seat| world.voted(seat)).collect();
    let mut conduct = Mix(acts.clone());
    let hunter = Who::User(1);
    let statement = world.submit(hunter, if is_valid { 0 } else { BAD }, fee);
    world.go(5, &mut conduct);
    let Status::Final { code, .. } = world.record(&statement).status else {
        world.rest(&mut conduct);
        return finish(&world, &acts, &before, &economy, &shares, is_valid);
    };
    let wrong = acts.iter().any(|act| match act {
        Act::Accept | Act::Insist => !is_valid,
        Act::Reject => is_valid,
        _ => false,
    });
    if wrong && world.record(&statement).held == 0 {
        world.accuse(hunter, statement);
    }
    world.rest(&mut conduct);
    let _ = code;
    if matches!(world.record(&statement).status, Status::Final { .. }) {
        world.accuse_execution(hunter, statement);
    }
    world.go(45, &mut conduct);
    finish(&world, &acts, &before, &economy, &shares, is_valid)
}

fn finish(
    world: &World,
    acts: &[Act],
    before: &[i128],
    economy: &Economy,
    shares: &Shares,
    is_valid: bool,
) -> Vec<(Act, i128, f64)> {
    world.audit();
    let values = economy.values(shares, is_valid);
    acts.iter()
        .enumerate()
        .map(|(seat, act)| {
            let place = ACTS.iter().position(|a| a == act).unwrap();
            (*act, world.voted(seat) - before[seat], values[place])
        })
        .collect()
}

#[test]
fn payoffs_of_the_mean_field_are_those_of_the_ledger() {
    use Act::{Accept, Copy, Insist, Nothing, Reject};
    let mixes: &[&[(Act, usize)]] = &[
        &[],
        &[(Accept, 1)],
        &[(Accept, 2)],
        &[(Accept, 4)],
        &[(Accept, 13)],
        &[(Accept, 20)],
        &[(Accept, 36)],
        &[(Accept, 39)],
        &[(Accept, 40)],
        &[(Reject, 1)],
        &[(Reject, 4)],
        &[(Reject, 30)],
        &[(Reject, 40)],
        &[(Insist, 1)],
        &[(Insist, 2)],
        &[(Insist, 4)],
        &[(Insist, 20)],
        &[(Insist, 39)],
        &[(Copy, 2), (Nothing, 3)],
        &[(Nothing, 20)],
        &[(Accept, 3), (Reject, 3), (Insist, 2)],
    ];
    for mix in mixes {
        for is_valid in [true, false] {
            for (act, found, said) in compare(mix, is_valid) {
                let off = (found as f64 - said).abs();
                // Money is whole: shares are rounded down, penalties up.
                assert!(off < 4.0, "{mix:?}, valid {is_valid}: {act:?} got {found}, formula {said}");
            }
        }
    }
}
