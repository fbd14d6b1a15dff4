//! Sizes and times of certificates and hand-overs, from the vectors: `cargo run --release -p zerotell-certify --example check`.

use std::error::Error;
use std::time::{Duration, Instant};

use zerotell_certify::receipt::Receipt;
use zerotell_certify::{Certificate, Client, decode, encode};

/// The least and the median of 31 runs, in microseconds.
fn time(mut run: impl FnMut()) -> String {
    let mut times: Vec<Duration> = (0..31)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    format!("{:>6} / {:>6}", times[0].as_micros(), times[15].as_micros())
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/certificate/v1");
    println!("seats  what                                 bytes   least / median us");
    for seats in [4, 7, 100] {
        let bytes = std::fs::read(format!("{folder}/good-n{seats}-chain.bin"))?;
        let whole: Certificate = decode(&bytes)?;
        let start = Client::new(&whole.checkpoint, whole.committee.clone().ok_or("no committee")?, None)?;
        let line =
            |what: &str, bytes: usize, times: String| println!("{seats:>5}  {what:<34} {bytes:>7}   {times}");

        let committee = whole.committee.clone();
        let load = time(|| {
            assert!(
                Client::new(&whole.checkpoint, committee.clone().unwrap_or_else(|| unreachable!()), None)
                    .is_ok()
            )
        });
        line("first committee, keys read", encode(&committee).len(), load);
        let mut client = start;
        for step in whole.handovers.iter() {
            let joined = step.change.joined.len();
            let follow = time(|| assert!(client.clone().follow(step).is_ok()));
            line(&format!("hand-over, {joined} keys new"), encode(step).len(), follow);
            client.follow(step)?;
        }
        let alone = Certificate { committee: None, handovers: Default::default(), ..whole.clone() };
        line(
            "certificate at a known epoch",
            encode(&alone).len(),
            time(|| assert!(alone.check_with(&client).is_ok())),
        );
        line(
            "the same as a receipt",
            Receipt::from(&alone).encode().len(),
            time(|| assert!(Receipt::decode(&Receipt::from(&alone).encode()).is_ok())),
        );
        let all = time(|| {
            assert!(decode::<Certificate>(&bytes).is_ok_and(|it| it.check(&whole.checkpoint, None).is_ok()))
        });
        line("file with committee and 3 epochs", bytes.len(), all);
    }
    Ok(())
}
