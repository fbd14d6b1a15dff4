//! Runs the verifier beside consensus: a bounded queue, some threads, and what they found.
//!
//! What is found here never enters the state but as this seat's signed verdict.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use certify::hash::Digest;
use certify::wire::decode;
use dossier::{Kept, Names, StepNames, code};
use ledger::entry::{Links, Record};
use ledger::{Body, State};

use crate::blobs::Blobs;
use crate::chain::Chain;
use crate::store::index;

/// Jobs that may wait; a block orders at most 512.
const QUEUE: usize = 4096;
/// Findings that are kept.
const KEPT: usize = 1 << 16;

/// What the proof of a record must be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// An inference.
    Inference(Names),
    /// A step of a model of this program.
    Step(StepNames, Digest),
}

/// A record to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub statement: Digest,
    /// Digest of the bytes.
    pub proof: Digest,
    /// How many were paid for.
    pub bytes: u32,
    /// What they must be about.
    pub about: About,
}

/// A code and the state of the transcript (`[H20]`, `[H46]`).
pub type Finding = (u16, Digest);

/// What looks at proofs.
pub trait Verifier: Send + Sync + 'static {
    /// The code and the trace for these bytes; nothing while something else that they are judged by is not here.
    fn judge(&self, job: &Job, bytes: &[u8]) -> Option<Finding>;

    /// The version that it is. About rounds of another it has nothing to say.
    fn version(&self) -> u16;

    /// Bytes that look like the template and are not good, and what their submission says; `random` fills with bytes
    /// that nobody can guess.
    fn canary(&self, template: &[u8], random: &mut dyn FnMut(&mut [u8])) -> Option<(Vec<u8>, Names)>;
}

/// Bytes of programs that are kept ready for the next proof.
const READY: usize = 128 << 20;

/// The verifier of this build `[U2]`.
pub struct Pinned {
    chain: Arc<Chain>,
    kept: Kept,
}

impl Pinned {
    /// The verifier for a chain, which has the programs.
    #[must_use]
    pub fn new(chain: Arc<Chain>) -> Self {
        Self { chain, kept: Kept::new(READY) }
    }
}

impl Verifier for Pinned {
    fn judge(&self, job: &Job, bytes: &[u8]) -> Option<Finding> {
        if u32::try_from(bytes.len()) != Ok(job.bytes) {
            return Some((code::LENGTH, [0; 32]));
        }
        let judged = match &job.about {
            About::Inference(names) => dossier::judge_with(&self.kept, bytes, Some(names)),
            About::Step(names, program) => {
                // That it cannot be read is this node's trouble, never a rejection `[H46]`.
                let program = self.chain.programs.get(&self.chain.blobs, program)?;
                dossier::judge_step(bytes, &program, names)
            }
        };
        Some((judged.code, judged.trace))
    }

    fn version(&self) -> u16 {
        dossier::VERIFIER
    }

    fn canary(&self, template: &[u8], random: &mut dyn FnMut(&mut [u8])) -> Option<(Vec<u8>, Names)> {
        dossier::canary(template, random)
    }
}

/// The job that a record gives; `None` if what it was submitted with is not here.
pub fn job(chain: &Chain, state: &State<'_>, statement: &Digest, record: &Record) -> Option<Job> {
    let body = chain.store.indexed(index::BODIES, statement).ok()??;
    let body: Body = decode(&body).ok()?;
    if body.digest() != record.body {
        return None;
    }
    let (bytes, about) = match body {
        Body::SubmitRecord { submission: s } => {
            let names = Names {
                statement: s.statement,
                program: s.program,
                roots: s.roots,
                revealed: s.revealed,
                context: s.context,
                nullifier: s.nullifier,
            };
            (s.proof_bytes, About::Inference(names))
        }
        Body::AdvanceEpoch { step } => {
            let link = state.get::<Links>(statement).ok()??;
            let names =
                StepNames { statement: *statement, model: step.model, from: link.from, to: step.weights };
            (step.proof_bytes, About::Step(names, record.program))
        }
        _ => return None,
    };
    Some(Job { statement: *statement, proof: record.proof, bytes, about })
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Job>,
    known: HashSet<Digest>,
    found: HashMap<Digest, Finding>,
    order: VecDeque<Digest>,
    stopped: bool,
    judged: u64,
    /// What a thread lately took for one proof, a moving average.
    pace: Duration,
}

/// The queue, its threads, and what was found.
#[derive(Clone)]
pub struct Judges {
    inner: Arc<(Mutex<Inner>, Condvar)>,
    verifier: Arc<dyn Verifier>,
    blobs: Arc<Blobs>,
    threads: usize,
}

impl Judges {
    /// Starts so many threads; none: proofs are judged by whoever brings them, before the call returns.
    pub fn start(verifier: Arc<dyn Verifier>, blobs: Arc<Blobs>, threads: usize) -> Self {
        let judges = Self { inner: Arc::default(), verifier, blobs, threads };
        for number in 0..threads {
            let judges = judges.clone();
            let name = format!("judge-{number}");
            // Without the thread the others do its work; with none, proofs are never judged and the seat abstains.
            drop(thread::Builder::new().name(name).spawn(move || judges.work()));
        }
        judges
    }

    /// What looks at proofs.
    pub fn verifier(&self) -> &dyn Verifier {
        &*self.verifier
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings a job whose bytes are here. One that is known already, or does not fit, is left out.
    pub fn bring(&self, job: Job) {
        if self.threads == 0 {
            if !self.lock().found.contains_key(&job.statement)
                && let Some(bytes) = self.blobs.get(&job.proof)
                && let Some(finding) = self.verifier.judge(&job, &bytes)
            {
                self.note(job.statement, finding, Duration::ZERO);
            }
            return;
        }
        let mut inner = self.lock();
        if inner.queue.len() < QUEUE && inner.known.insert(job.statement) {
            inner.queue.push_back(job);
            self.inner.1.notify_one();
        }
    }

    fn note(&self, statement: Digest, finding: Finding, took: Duration) {
        let mut inner = self.lock();
        inner.judged += 1;
        inner.pace = (inner.pace * 7 + took) / 8;
        if inner.found.insert(statement, finding).is_none() {
            inner.order.push_back(statement);
        }
        if inner.order.len() > KEPT
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.found.remove(&oldest);
            inner.known.remove(&oldest);
        }
    }

    fn work(&self) {
        loop {
            let job = {
                let mut inner = self.lock();
                loop {
                    if inner.stopped {
                        return;
                    }
                    if let Some(job) = inner.queue.pop_front() {
                        break job;
                    }
                    inner = self.inner.1.wait(inner).unwrap_or_else(PoisonError::into_inner);
                }
            };
            let began = Instant::now();
            let found = self.blobs.get(&job.proof).and_then(|bytes| self.verifier.judge(&job, &bytes));
            match found {
                Some(finding) => self.note(job.statement, finding, began.elapsed()),
                // It comes again when the bytes are here.
                None => drop(self.lock().known.remove(&job.statement)),
            }
        }
    }

    /// What was found about a record.
    pub fn found(&self, statement: &Digest) -> Option<Finding> {
        self.lock().found.get(statement).copied()
    }

    /// How many more proofs can be judged in this time, at the present pace and after those that wait. Without threads
    /// nothing waits, and there is no limit.
    pub fn room(&self, time: Duration) -> usize {
        let inner = self.lock();
        let threads = u32::try_from(self.threads).unwrap_or(u32::MAX);
        let all = (time * threads).as_micros().checked_div(inner.pace.as_micros());
        match all {
            Some(all) if threads > 0 => {
                usize::try_from(all).unwrap_or(usize::MAX).saturating_sub(inner.queue.len())
            }
            _ => usize::MAX,
        }
    }

    /// Jobs that wait, and proofs judged since the start.
    pub fn load(&self) -> (usize, u64) {
        let inner = self.lock();
        (inner.queue.len(), inner.judged)
    }

    /// Lets the threads end after what they do now.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.inner.1.notify_all();
    }
}
