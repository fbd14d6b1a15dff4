//! Prints how fast columns, nodes and nonces are hashed on one core.

use std::time::Instant;

use zerotell_algebra::arch::blake3::{WORK_PREFIX, keyed_columns, keyed_nodes, least_nonce};

/// Seconds of the fastest of 15 runs.
fn fastest(mut run: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..15).map(time).fold(f64::MAX, f64::min)
}

fn main() {
    let count = 1 << 13;
    let mut out = vec![[0; 32]; count];
    for words in [8usize, 64, 67, 256] {
        let rows: Vec<u64> = (0..count * words).map(|x| x as u64).collect();
        let seconds = fastest(|| {
            keyed_columns(&[1; 32], words, &mut out, |k, first, lanes| {
                lanes.copy_from_slice(&rows[k * count + first..][..lanes.len()]);
            });
        });
        println!("columns of {words} words: {:.2} GB/s", (count * words * 8) as f64 / seconds / 1e9);
    }
    let mut parents = vec![[0; 32]; count / 2];
    let seconds = fastest(|| keyed_nodes(&[1; 32], &out, &mut parents));
    println!("nodes: {:.1} ns each", seconds * 1e9 / parents.len() as f64);
    let mut least = 0;
    let seconds = fastest(|| least = least_nonce(&[5; WORK_PREFIX], 16));
    println!("nonces: {:.1} ns each", seconds * 1e9 / (least + 1) as f64);
}
