//! Prints the ladders chosen for some loads.
use zerotell_oracle::{Load, Role, Shape, Sizing, cost, plan, tune};

fn show(name: &str, sizing: &Sizing, oracles: Vec<Shape>) {
    let Some(plan) = plan(sizing, true, oracles) else { return println!("{name}: nothing fits") };
    println!("{name}: {:?}", cost(&plan));
    let line = |s: &Shape| {
        println!(
            "    {} R {} C 2^{} T {:?} n 2^{} t {}",
            s.role.name(),
            s.rows,
            s.log_c,
            s.log_t,
            s.log_n,
            s.queries(sizing.lambda)
        );
    };
    plan.levels.iter().flat_map(|level| &level.oracles).for_each(line);
    println!("    |w| {}", plan.last_length());
    if let Some((end, pads)) = &plan.closing {
        line(end);
        line(pads);
    }
}

fn main() {
    {
        let (lambda, grind) = (84, 16);
        for (fresh, model) in [
            (8_000, None),
            (30_000, Some(62_000)),
            (170_000, Some(260_000)),
            (20_000, Some(4_206_595)),
            (11_300_000, Some(11_700_000)),
        ] {
            let load = Load { fresh, model: model.map(|n| (n, 32)), zk: true };
            let usual = Sizing::v1(lambda, grind);
            let mut oracles = vec![usual.fresh(fresh, true).unwrap()];
            oracles.extend(model.map(|n| usual.long_term(Role::Model, n, [0; 32], 32, true).unwrap()));
            show(&format!("{lambda}+{grind} {fresh} {model:?} usual"), &usual, oracles);
            let start = std::time::Instant::now();
            let (sizing, shape) = tune(&load).unwrap();
            let took = start.elapsed();
            let mut oracles = vec![sizing.fresh(fresh, true).unwrap()];
            oracles.extend(shape);
            show(
                &format!("{}+{} {fresh} {model:?} tuned in {took:?}", sizing.lambda, sizing.grind),
                &sizing,
                oracles,
            );
        }
    }
}
