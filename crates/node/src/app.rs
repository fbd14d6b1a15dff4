//! What the engine asks of the ledger: make a block, check a block, take what is final.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use certify::hash::Digest;
use commonware_consensus::marshal::ancestry::Ancestry;
use commonware_consensus::simplex::types::Context;
use commonware_cryptography::Digested;
use commonware_runtime::{Clock, Spawner};
use futures::StreamExt as _;

use crate::blobs::program_name;
use crate::block::{Block, EngineDigest, engine_digest};
use crate::chain::{Chain, Stuck};
use crate::judge::Judges;
use crate::scheme::{Multisig, PeerKey, account_of};

/// Shortest wait before something is looked at again.
const POLL: Duration = Duration::from_millis(5);
/// Transactions that may wait before blocks are made half as often, unless more wait than fit into one.
const CROWD: usize = 64;

/// When blocks are made.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Least time between blocks.
    pub least: Duration,
    /// Time between blocks when there is nothing to do. Shorter than the engine waits for a leader.
    pub idle: Duration,
    /// How far a block's time may be ahead of the clock.
    pub drift: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self { least: ms(100), idle: ms(500), drift: ms(500) }
    }
}

/// Asked for bytes that are not here.
pub type Want = Arc<dyn Fn(Digest) + Send + Sync>;

/// The ledger, as the engine sees it.
#[derive(Clone)]
pub struct App {
    /// The chain.
    pub chain: Arc<Chain>,
    /// When blocks are made.
    pub pace: Pace,
    /// Fetches a program.
    pub want: Want,
    /// What is ordered must be judged in time: here is how much of that waits.
    pub judges: Judges,
}

/// Milliseconds since 1970.
pub fn now(clock: &impl Clock) -> u64 {
    let since = clock.current().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What became of executing a chain of blocks.
enum Tried {
    Known,
    Refused,
}

impl App {
    /// Executes a block, waiting for the bytes of programs as long as they do not come.
    async fn execute(&self, clock: &impl Clock, block: &Block) -> Tried {
        loop {
            match self.chain.execute(block) {
                Ok(()) => return Tried::Known,
                Err(Stuck::Program(program)) => (self.want)(program_name(&program)),
                Err(Stuck::Refused(why)) => {
                    tracing::warn!(height = block.header.height, why, "a block was refused");
                    return Tried::Refused;
                }
                Err(why) => tracing::warn!(height = block.header.height, %why, "a block must wait"),
            }
            clock.sleep(POLL * 4).await;
        }
    }

    /// Time for which a block may keep the verifier busy. More than can be judged in half of the window for commitments, as
    /// it is now, would only make seats abstain.
    fn window(&self) -> Result<Duration, Stuck> {
        let blocks = self.chain.rules()?.commit_blocks.min(1 << 16);
        Ok(self.pace.least * u32::try_from(blocks).unwrap_or(u32::MAX) / 2)
    }

    /// Executes what is not known yet of a list of blocks, the newest first, each the parent of the one before it.
    async fn catch_up(&self, clock: &impl Clock, mut ancestry: impl Ancestry<Block>) -> Option<()> {
        let mut list: Vec<Digested<Block>> = Vec::new();
        loop {
            let block = ancestry.next().await?;
            if self.chain.knows(&block.inner().id()) {
                break;
            }
            let parent = block.inner().header.parent;
            list.push(block);
            if self.chain.knows(&parent) {
                break;
            }
        }
        for block in list.iter().rev() {
            if let Tried::Refused = self.execute(clock, block.inner()).await {
                return None;
            }
        }
        Some(())
    }
}

impl<E: Clock + Spawner> commonware_consensus::Application<E> for App {
    type SigningScheme = Multisig;
    type Context = Context<EngineDigest, PeerKey>;
    type Block = Block;
    type Input = ();

    async fn propose(
        &mut self,
        (clock, context): (E, Self::Context),
        ancestry: impl Ancestry<Block>,
        (): (),
    ) -> Option<Digested<Block>> {
        let parent = ancestry.peek()?.inner().header.clone();
        self.catch_up(&clock, ancestry).await?;
        let id = parent.digest();
        let (least, idle) = (millis(self.pace.least), millis(self.pace.idle));
        loop {
            let waited = now(&clock).saturating_sub(parent.time);
            // A block costs every validator some milliseconds whatever is in it: where many wait, fewer and larger ones
            // leave more for proofs. Not where it is full already: to wait would only take time from those who wait.
            let crowded = self.chain.waiting().0 > CROWD && !self.chain.fills_a_block().unwrap_or(true);
            let least = if crowded { least.saturating_mul(2).min(idle) } else { least };
            if waited >= idle || (waited >= least && self.chain.is_busy(&id)) {
                break;
            }
            clock.sleep(POLL).await;
        }
        let proposer = account_of(&context.leader);
        let block = self
            .window()
            .and_then(|window| self.chain.propose(&parent, proposer, now(&clock), self.judges.room(window)));
        match block {
            Ok(block) => {
                let digest = engine_digest(block.id());
                Some(Digested::precomputed(block, digest))
            }
            Err(why) => {
                tracing::warn!(%why, "no block was made");
                None
            }
        }
    }

    async fn verify(&mut self, (clock, context): (E, Self::Context), ancestry: impl Ancestry<Block>) -> bool {
        let Some(block) = ancestry.peek().cloned() else { return false };
        let header = &block.inner().header;
        if header.proposer != account_of(&context.leader) {
            return false;
        }
        // A clock that is behind makes the vote late, not the block wrong.
        while header.time > now(&clock).saturating_add(millis(self.pace.drift)) {
            clock.sleep(POLL * 4).await;
        }
        self.catch_up(&clock, ancestry).await.is_some()
    }
}
