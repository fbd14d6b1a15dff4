//! A stranger that fills every validator's pool as fast as it can.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use certify::hash::Digest;
use certify::wire::encode;
use commonware_runtime::Clock;
use ed25519_dalek::SigningKey;
use ledger::entry::Accounts;
use ledger::{Body, Envelope, Lane, Refusal, State, Stop, Unsigned};
use zerotell_node::chain::Chain;

/// How often it comes.
const TIMES: u64 = 20;
/// Between two times.
const EVERY: Duration = Duration::from_millis(100);
/// Transactions of each kind, each time.
const MANY: u64 = 150;
/// What a transfer costs, and half as much again.
const ENOUGH: u64 = 200_000;

/// What became of a flood, over all validators.
#[derive(Clone, Debug, Default)]
pub struct Flooded {
    /// Transactions that were taken.
    pub taken: u64,
    /// Those for which there was no room.
    pub full: u64,
    /// Those that were refused for what they are.
    pub refused: u64,
    /// Most transactions that waited at one validator.
    pub count: usize,
    /// Most bytes of them.
    pub bytes: usize,
    /// Length of one.
    pub length: usize,
}

impl Flooded {
    fn send(&mut self, chain: &Chain, bytes: &[u8]) {
        match chain.admit(bytes) {
            Ok(_) => self.taken += 1,
            Err(Stop::Refused(Refusal::PoolFull)) => self.full += 1,
            Err(_) => self.refused += 1,
        }
        let (count, bytes) = chain.waiting();
        self.count = self.count.max(count);
        self.bytes = self.bytes.max(bytes);
    }
}

/// Brings good transfers, the same again, such as pay too little, and nonsense, to one validator.
pub async fn flood(
    key: &SigningKey,
    network: Digest,
    clock: impl Clock,
    chain: &Chain,
    seen: &Arc<Mutex<Flooded>>,
) {
    let account = key.verifying_key().to_bytes();
    let transfer = |nonce: u64, fee: u64| {
        let unsigned = Unsigned { network, lane: Lane::Paid, nonce, fee };
        encode(&Envelope::sign(key, unsigned, &Body::Transfer { to: [1; 32], amount: 1 }).unwrap())
    };
    for _ in 0..TIMES {
        clock.sleep(EVERY).await;
        let (_, snapshot) = chain.latest().unwrap();
        let settled = State::new(&snapshot).get::<Accounts>(&account).unwrap().unwrap_or_default().nonce;
        let mut seen = seen.lock().unwrap();
        for number in 0..MANY {
            let next = chain.next_nonce(&account, settled);
            let good = transfer(next, ENOUGH);
            seen.length = good.len();
            seen.send(chain, &good);
            seen.send(chain, &good);
            seen.send(chain, &transfer(next + 1, 1));
            let nonsense = blake3::hash(&number.to_le_bytes());
            seen.send(chain, nonsense.as_bytes());
        }
    }
}
