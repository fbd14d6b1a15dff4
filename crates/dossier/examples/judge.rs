//! What judging costs: `cargo run --release -p zerotell-dossier --example judge DIRECTORY [ROUNDS]`; the directory holds
//! dossiers, whole, as `zerotell submit` uploads them. One thread, programs and links known after the
//! first round.

use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let directory = args.next().ok_or("usage: judge DIRECTORY [ROUNDS]")?;
    let rounds: usize = args.next().map_or(Ok(5), |text| text.parse())?;
    let mut list = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        list.push(std::fs::read(entry?.path())?);
    }
    let bytes: usize = list.iter().map(Vec::len).sum();
    println!("{} dossiers, {} bytes each", list.len(), bytes / list.len().max(1));
    let kept = zerotell_dossier::Kept::new(128 << 20);
    for round in 0..rounds {
        let (began, mut good) = (Instant::now(), 0);
        for bytes in &list {
            good += usize::from(
                zerotell_dossier::judge_with(&kept, bytes, None).code == zerotell_dossier::code::ACCEPT,
            );
        }
        let each = began.elapsed().as_secs_f64() * 1e3 / list.len().max(1) as f64;
        println!("round {round}: {each:.3} ms each, {good} accepted");
    }
    Ok(())
}
