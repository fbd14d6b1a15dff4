//! Commits, proves and verifies one small network, on one thread, stage after stage. It measures
//! nothing itself: `cargo xtask counts` runs it under callgrind, which counts the instructions up to
//! each call of `stage_ends`, and pairs them with the names printed here.

use std::error::Error;

use zerotell_bench::{Case, counted};

/// Ends a stage. The counter is read at this function's entry, found by its name.
#[inline(never)]
fn stage_ends(name: &str) {
    println!("stage {}", std::hint::black_box(name));
}

fn main() -> Result<(), Box<dyn Error>> {
    // The pool's one worker is this thread, so no thread waits for another in a loop.
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    let program = counted()?;
    stage_ends("start");
    let case = Case::new(program)?;
    stage_ends("commit model");
    let setup = case.setup()?;
    stage_ends("set up");
    let assignment = case.execute(&setup)?;
    stage_ends("execute");
    let mut running: Option<String> = None;
    let proof = case.prove(&setup, &assignment, &mut |phase| {
        stage_ends(running.as_deref().unwrap_or("begin"));
        running = Some(format!("prove: {phase}"));
    })?;
    stage_ends(running.as_deref().unwrap_or("prove"));
    if !case.accepted(&proof) {
        return Err("the verifier refuses an honest proof".into());
    }
    stage_ends("verify");
    Ok(())
}
