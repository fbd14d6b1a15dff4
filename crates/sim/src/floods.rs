//! S4: ten times more than there is room for, of what costs most: who pays for it, and who waits?
//!
//! Pool, prices and blocks are the ledger's own. Blocks are smaller than the defaults, in bytes and work alike, so that ten
//! records fill one.

use ledger::entry::Records;
use ledger::pool::Pool;
use ledger::{Body, Parameters, Stop};

use certify::hash::Digest;

use crate::Grid;
use crate::chance::Chance;
use crate::picture::{Plot, Stroke};
use crate::report::{Report, Table, short};
use crate::world::{BAD, Honest, Who, World, rules};

/// Honest users, each with one record at a time, and how many records a block they have on average.
const HONEST: usize = 40;
const RATE: f64 = 3.0;
/// Transactions of the flood per block: ten blocks full.
const FLOOD: usize = 100;
/// Bytes of the pool.
const POOL: usize = 30_000;
/// Microseconds for a strict Ed25519 check on the reference machine: the dearest step before the price.
const SIGNATURE: f64 = 50.0;

/// What the flood is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flood {
    None,
    /// Signatures that are not.
    Unsigned,
    /// Proofs that are not, for which the least fee is paid.
    Invalid,
    /// The same, at thrice the least fee: the one flood that pays more than others offer.
    Outbidding,
    /// Programs that take twenty times as long to verify, at the least fee.
    Expensive,
    /// More bytes than a transaction may have.
    Oversized,
    /// One record, by many accounts, at thrice the least fee.
    Duplicate,
    /// No fee.
    Free,
    /// Accounts that offer thrice the least fee for many transactions, but give all their money away in the first.
    Drained,
}

const FLOODS: [(Flood, &str); 8] = [
    (Flood::None, "none"),
    (Flood::Unsigned, "bad signatures"),
    (Flood::Invalid, "bad proofs"),
    (Flood::Expensive, "expensive programs"),
    (Flood::Oversized, "oversized"),
    (Flood::Duplicate, "one record, many senders"),
    (Flood::Free, "no fee"),
    (Flood::Drained, "accounts that empty themselves"),
];

fn small_blocks() -> Parameters {
    Parameters { block_bytes: 2_050_000, block_work: 120_000, epoch_blocks: 100_000, ..rules() }
}

/// A record that somebody waits for.
struct Waiting {
    user: usize,
    statement: Digest,
    body: Body,
    since: u64,
    sent: u64,
    fee: u64,
}

#[derive(Default)]
struct Outcome {
    waits: Vec<u64>,
    /// Flood transactions refused at the gate, by step, and in the pool for want of room.
    refused: u64,
    entered: u64,
    /// Those in blocks, their fees, and what their work and bytes cost at least prices.
    paid: u64,
    cost: u64,
    peak: usize,
    last_price: u64,
    /// Microseconds per block spent on signatures of what was refused.
    gate: f64,
}

struct Run {
    world: World,
    pool: Pool,
    chance: Chance,
    waiting: Vec<Waiting>,
    out: Outcome,
    flooders: usize,
    /// Records of the flood that are not in a block yet.
    sent: Vec<(Digest, u64, u64)>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let world = World::equal(small_blocks(), 4, 1 + HONEST + FLOOD);
        Self {
            world,
            pool: Pool::new(POOL),
            chance: Chance::new(seed, "S4"),
            waiting: Vec::new(),
            out: Outcome::default(),
            flooders: 1 + HONEST,
            sent: Vec::new(),
        }
    }

    fn nonce(&self, who: Who) -> u64 {
        let account = ledger::account_of(&self.world.state(), &self.world.account(who));
        account.expect("a sound state").nonce
    }

    fn add(&mut self, bytes: &[u8]) -> Result<Digest, Stop> {
        let added = self.pool.add(&self.world.state(), bytes);
        self.out.peak = self.out.peak.max(self.pool.size());
        added
    }

    /// Honest wallets offer a quarter more than the price; after two blocks they offer half as much again.
    fn honest(&mut self) {
        let height = self.world.tip.height;
        let price = self.world.price(1);
        let arrivals = (0..10).filter(|_| self.chance.happens(RATE / 10.0)).count();
        for _ in 0..arrivals {
            let free = (1..=HONEST).find(|user| self.waiting.iter().all(|w| w.user != *user));
            let Some(user) = free else { continue };
            let submission = self.world.submission(1, 0);
            let statement = submission.statement;
            let body = Body::SubmitRecord { submission };
            self.waiting.push(Waiting { user, statement, body, since: height, sent: 0, fee: 0 });
        }
        for i in 0..self.waiting.len() {
            let Waiting { user, sent, fee, .. } = self.waiting[i];
            if sent != 0 && height < sent + 2 {
                continue;
            }
            let fee = (price + price / 4).max(fee + fee / 2);
            let who = Who::User(user);
            let bytes = self.world.sign_at(who, self.nonce(who), fee, &self.waiting[i].body);
            (self.waiting[i].sent, self.waiting[i].fee) = (height.max(1), fee);
            // Refused for want of room or of money: it waits and tries again with more.
            let _ = self.add(&bytes);
        }
    }

    fn flood(&mut self, flood: Flood) {
        let price = self.world.price(if flood == Flood::Expensive { 2 } else { 1 });
        let one = self.world.submission(1, BAD);
        for number in 0..if flood == Flood::None { 0 } else { FLOOD } {
            let bytes = self.drop_of(flood, number, price, &one);
            match self.add(&bytes) {
                Ok(_) => self.out.entered += 1,
                Err(_) => self.out.refused += 1,
            }
        }
        // The size comes before the signature.
        let is_cheap = matches!(flood, Flood::None | Flood::Oversized);
        self.out.gate = if is_cheap { 0.0 } else { FLOOD as f64 * SIGNATURE };
    }

    fn drop_of(
        &mut self,
        flood: Flood,
        number: usize,
        price: u64,
        one: &ledger::transaction::Submission,
    ) -> Vec<u8> {
        let who = Who::User(self.flooders + number);
        let nonce = self.nonce(who);
        let class = if flood == Flood::Expensive { 2 } else { 1 };
        let submission =
            if flood == Flood::Duplicate { one.clone() } else { self.world.submission(class, BAD) };
        let statement = submission.statement;
        let body = Body::SubmitRecord { submission };
        let fee = match flood {
            Flood::Free => 0,
            Flood::Duplicate | Flood::Drained | Flood::Outbidding => 3 * price,
            _ => price,
        };
        if flood == Flood::Drained {
            return self.drained(number, fee, &body);
        }
        let mut bytes = self.world.sign_at(who, nonce, fee, &body);
        match flood {
            Flood::Unsigned => *bytes.last_mut().expect("a signature") ^= 1,
            Flood::Oversized => bytes.resize(70_000, 0),
            Flood::Invalid | Flood::Outbidding | Flood::Expensive => self.sent.push((statement, fee, price)),
            Flood::Duplicate if number == 0 => self.sent.push((statement, fee, price)),
            _ => {}
        }
        bytes
    }

    /// Twenty transactions of each of five accounts; the first gives all but its fee to the account whose turn is next.
    fn drained(&mut self, number: usize, fee: u64, record: &Body) -> Vec<u8> {
        let (group, place) = (number / 20, number % 20);
        let turn = (self.world.tip.height as usize) % 2;
        let (who, next) =
            (Who::User(self.flooders + 2 * group + turn), Who::User(self.flooders + 2 * group + 1 - turn));
        let nonce = self.nonce(who) + place as u64;
        if place == 0 {
            let amount = self.world.balance(who).saturating_sub(fee);
            let to = self.world.account(next);
            return self.world.sign_at(who, nonce, fee, &Body::Transfer { to, amount });
        }
        self.world.sign_at(who, nonce, fee, record)
    }

    fn block(&mut self) {
        let mut candidates = self.world.verdicts(&mut Honest);
        candidates.extend(self.pool.candidates(&self.world.state()).expect("a sound state"));
        self.world.choose(&candidates);
        self.pool.settle(&self.world.state(), |_| true).expect("a sound state");
        let height = self.world.tip.height;
        let state = ledger::State::new(&self.world.store);
        let is_in = |statement: &Digest| state.has::<Records>(statement).expect("a sound state");
        let waits = &mut self.out.waits;
        self.waiting.retain(|w| {
            let done = is_in(&w.statement);
            if done {
                waits.push(height - w.since);
            }
            !done
        });
        let (mut paid, mut cost) = (0, 0);
        self.sent.retain(|(statement, fee, price)| {
            let done = is_in(statement);
            if done {
                (paid, cost) = (paid + fee, cost + price);
            }
            !done
        });
        (self.out.paid, self.out.cost) = (self.out.paid + paid, self.out.cost + cost);
    }
}

fn flooded(seed: u64, flood: Flood, blocks: u64) -> Outcome {
    let mut run = Run::new(seed);
    for _ in 0..blocks {
        run.honest();
        run.flood(flood);
        run.block();
    }
    let height = run.world.tip.height;
    // Who still waits has waited for at least so long.
    run.out.waits.extend(run.waiting.iter().map(|w| height - w.since + 1));
    run.out.last_price = run.world.price(1);
    run.world.audit();
    run.out
}

fn quantile(waits: &[u64], part: f64) -> u64 {
    let mut sorted = waits.to_vec();
    sorted.sort_unstable();
    sorted
        .get(((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0)
}

/// How long which share of records waits at most.
fn spread(waits: &[u64]) -> Vec<(f64, f64)> {
    [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0].map(|part| (part, quantile(waits, part) as f64)).to_vec()
}

/// Runs S4.
pub fn run(seed: u64, grid: Grid) -> Report {
    let mut report = Report::new("S4", "floods of ten times the room", seed);
    let blocks = if grid == Grid::Small { 25 } else { 150 };
    let mut table = Table::new(
        "A hundred transactions a block where ten records fit: what became of them, what was paid for those in blocks against their price, how long honest records waited (blocks), most bytes in a pool of 30,000, price at the end in least prices",
        &[
            "flood",
            "refused",
            "entered",
            "paid",
            "price of what it used",
            "p50",
            "p99",
            "longest",
            "pool",
            "price",
            "unpaid µs a block",
        ],
    );
    let least = World::equal(small_blocks(), 4, 1).price(1);
    let base = flooded(seed, Flood::None, blocks);
    let limit = 2 * quantile(&base.waits, 0.99);
    let (mut pays, mut waits, mut bounded, mut worst) = (true, true, true, 0);
    let mut lines = Vec::new();
    for (flood, name) in FLOODS {
        let out = flooded(seed, flood, blocks);
        let p99 = quantile(&out.waits, 0.99);
        pays &= out.paid >= out.cost;
        waits &= p99 < limit || flood == Flood::None;
        worst = worst.max(p99);
        bounded &= out.peak <= POOL;
        let times = |units: u64| short(units as f64 / least as f64);
        table.row(vec![
            name.into(),
            out.refused.to_string(),
            out.entered.to_string(),
            times(out.paid),
            times(out.cost),
            quantile(&out.waits, 0.5).to_string(),
            p99.to_string(),
            quantile(&out.waits, 1.0).to_string(),
            out.peak.to_string(),
            times(out.last_price),
            short(out.gate),
        ]);
        if matches!(flood, Flood::None | Flood::Invalid) {
            lines.push((name, spread(&out.waits)));
        }
    }
    lines.push(("bad proofs at thrice the price", outbid(&mut report, limit, least, blocks)));
    report.criterion("what is in blocks pays for what it costs", pays);
    report.criterion(
        format!("honest records wait less than twice as long at p99 ({worst} blocks at most, limit {limit})"),
        waits,
    );
    report.criterion("the pool stays within its bytes", bounded);
    report.tables.push(table);
    let mut plot =
        Plot::new("s4-floods", "How long honest records wait under floods", "share of records", "blocks");
    lines.into_iter().for_each(|(name, points)| plot.line(name, Stroke::Solid, points));
    report.plots.push(plot);
    report
}

/// A flood that outpays everyone is not held up by any rule, only by what it costs.
fn outbid(report: &mut Report, limit: u64, least: u64, blocks: u64) -> Vec<(f64, f64)> {
    let rich = flooded(report.seed, Flood::Outbidding, blocks);
    report.control(
        format!(
            "records that offer more are taken first: bad proofs at thrice the price delay others to {} blocks at p99, and pay {} least prices a block for it",
            quantile(&rich.waits, 0.99),
            short(rich.paid as f64 / least as f64 / blocks as f64)
        ),
        quantile(&rich.waits, 0.99) >= limit && rich.paid >= 3 * rich.cost,
    );
    spread(&rich.waits)
}
