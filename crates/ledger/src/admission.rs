//! Whether a transaction may enter: seven steps, each dearer than the one before, in an order that must not change
//! `[H15]`. A stranger who fails a step has cost us no more than the steps before it.

use certify::hash::Digest;
use certify::wire::decode;

use crate::address::Address;
use crate::entry::{
    AccountKey, Chain, Commitments, Committees, ITEMS_MAX, Model, Models, Nullifiers, Program, Programs,
    RecalledVersions, Record, Records, Reveals, Round, Rounds, Status, Suspended,
};
use crate::prices::price;
use crate::refusal::{Refusal, Stop};
use crate::state::State;
use crate::store::Fault;
use crate::transaction::{Accusation, Body, Envelope, Lane, PROOF_MAX, Step, Submission, TRANSACTION_MAX};
use crate::verdict;
use crate::work::account_of;

/// What of the same account is before this transaction and not yet in the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Transactions.
    pub count: u64,
    /// Their fees.
    pub fees: u64,
    /// Records among them.
    pub records: u32,
}

/// A transaction that may be in the next block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its name.
    pub id: Digest,
    /// As it travels.
    pub envelope: Envelope,
    /// What it asks.
    pub body: Body,
    /// Work it is priced for.
    pub work: u64,
    /// Bytes it is priced for: its own and those of proofs and programs it names.
    pub bytes: u64,
}

/// Where a transaction is looked at.
#[derive(Clone, Copy)]
pub struct Gate<'a> {
    /// The state before it.
    pub state: &'a State<'a>,
    /// What there is once.
    pub chain: &'a Chain,
    /// The block it would be in.
    pub height: u64,
}

/// Decides, for the block of the gate's height.
///
/// # Errors
/// [`Stop::Refused`] with the step that it failed; [`Stop::Fault`] if the state cannot be read.
pub fn admit(
    gate: Gate<'_>,
    bytes: &[u8],
    ahead: &Ahead,
    is_signed: impl Fn(&Envelope) -> bool,
) -> Result<Admitted, Stop> {
    // Steps 1 and 2: size, signature. The body is not looked at yet.
    let envelope = signed(bytes, &gate.chain.network, is_signed)?;
    admit_signed(gate, envelope, bytes.len(), ahead)
}

/// The steps after the second.
pub(crate) fn admit_signed(
    gate: Gate<'_>,
    envelope: Envelope,
    length: usize,
    ahead: &Ahead,
) -> Result<Admitted, Stop> {
    // Step 3: nonce.  Step 4: the fee can be held.
    let round = match envelope.lane {
        Lane::Paid => gate.is_next_and_funded(&envelope, ahead).map(|()| None)?,
        Lane::Seat => Some(gate.has_seat(&envelope)?),
    };
    // Step 5: the body.
    let body = parsed(&envelope)?;
    // Step 6: the price, by the program and never by the proof.
    let (work, priced_bytes) = gate.priced(&envelope, &body, length)?;
    // Step 7: what the state says to this kind.
    gate.check(&envelope, &body, round.as_ref(), ahead)?;
    Ok(Admitted { id: envelope.id(), envelope, body, work, bytes: priced_bytes })
}

/// An envelope for this network, not too large, signed by its sender.
pub(crate) fn signed(
    bytes: &[u8],
    network: &Digest,
    is_signed: impl Fn(&Envelope) -> bool,
) -> Result<Envelope, Refusal> {
    if bytes.len() > TRANSACTION_MAX {
        return Err(Refusal::Size { limit: TRANSACTION_MAX, found: bytes.len() });
    }
    let envelope: Envelope = decode(bytes).map_err(Refusal::Envelope)?;
    if envelope.network != *network {
        return Err(Refusal::Network);
    }
    if !is_signed(&envelope) {
        return Err(Refusal::Signature);
    }
    Ok(envelope)
}

/// A body whose fields lie in their ranges, in the right lane.
pub(crate) fn parsed(envelope: &Envelope) -> Result<Body, Refusal> {
    let body: Body = decode(&envelope.body).map_err(Refusal::Body)?;
    if body.lane() != envelope.lane {
        return Err(Refusal::Lane);
    }
    let field = |holds: bool, what| if holds { Ok(()) } else { Err(Refusal::Field { what }) };
    let proof = |bytes: u32| field((1..=PROOF_MAX).contains(&bytes), "a proof has from 1 to 2^26 bytes");
    match &body {
        Body::SubmitRecord { submission } => proof(submission.proof_bytes)?,
        Body::AdvanceEpoch { step } => proof(step.proof_bytes)?,
        Body::RegisterModel { program_bytes, .. } => {
            field((1..=PROOF_MAX).contains(program_bytes), "a program has from 1 to 2^26 bytes")?;
        }
        Body::Bond { address, .. } => {
            let is_address = address.is_empty() || Address::read(address).is_some();
            field(
                is_address,
                "a validator's address is written 192.0.2.7:7100, [2001:db8::7]:7100 or name:7100",
            )?;
        }
        Body::Recall { reason, .. } => field(*reason != 0, "a recall has a reason that is not 0")?,
        Body::CommitVerdicts { round, .. } | Body::RevealVerdicts { round, .. } => {
            field(*round == envelope.nonce, "the nonce of verdicts is the height of their round")?;
        }
        _ => {}
    }
    Ok(body)
}

impl Gate<'_> {
    fn is_next_and_funded(&self, envelope: &Envelope, ahead: &Ahead) -> Result<(), Stop> {
        let account = account_of(self.state, &envelope.sender)?;
        let expected = account.nonce.saturating_add(ahead.count);
        if envelope.nonce != expected {
            return Err(Refusal::Nonce { expected, found: envelope.nonce }.into());
        }
        let balance = account.balance.saturating_sub(ahead.fees);
        if envelope.fee > balance {
            return Err(Refusal::Funds { balance, fee: envelope.fee }.into());
        }
        Ok(())
    }

    fn has_seat(&self, envelope: &Envelope) -> Result<(Round, u8), Stop> {
        let unknown = Refusal::Round { round: envelope.nonce };
        let round = self.state.get::<Rounds>(&envelope.nonce)?.ok_or(unknown)?;
        let committee = self.state.must::<Committees>(&round.epoch, "a round has no committee")?;
        let (number, _) = committee.seat(&envelope.sender).ok_or(Refusal::Seat)?;
        if envelope.fee != 0 {
            return Err(Refusal::FeeOnVerdict.into());
        }
        let number =
            u8::try_from(number).map_err(|_| Fault::Broken { what: "more seats than there may be" })?;
        Ok((round, number))
    }

    fn priced(&self, envelope: &Envelope, body: &Body, length: usize) -> Result<(u64, u64), Stop> {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        if envelope.lane == Lane::Seat {
            return Ok((0, length));
        }
        let (more_work, more_bytes) = match body {
            Body::SubmitRecord { submission } => {
                (self.program(&submission.program)?.work, u64::from(submission.proof_bytes))
            }
            Body::AdvanceEpoch { step } => {
                let model = self.model(&envelope.sender, &step.model)?;
                (self.program(&model.program)?.work, u64::from(step.proof_bytes))
            }
            Body::RegisterModel { program_bytes, work, .. } => (*work, u64::from(*program_bytes)),
            Body::Evidence { accusation: Accusation::WrongVerdict { statement } } => {
                match self.state.get::<Records>(statement)? {
                    Some(record) => (self.program(&record.program)?.work, 0),
                    None => (0, 0),
                }
            }
            _ => (own_work(self.state, body)?, 0),
        };
        let work = self.chain.parameters.transaction_work.saturating_add(more_work);
        let bytes = length.saturating_add(more_bytes);
        // What fits no block would wait for ever, and never pay.
        if work > self.chain.parameters.block_work || bytes > self.chain.parameters.block_bytes {
            return Err(Refusal::BlockFull.into());
        }
        let price = price(self.chain, work, bytes).unwrap_or(u64::MAX);
        if envelope.fee < price {
            return Err(Refusal::Price { price, fee: envelope.fee }.into());
        }
        Ok((work, bytes))
    }

    fn model(&self, owner: &AccountKey, model: &Digest) -> Result<Model, Stop> {
        Ok(self.state.get::<Models>(&(*owner, *model))?.ok_or(Refusal::Model)?)
    }

    fn program(&self, program: &Digest) -> Result<Program, Stop> {
        Ok(self.state.get::<Programs>(program)?.ok_or(Refusal::UnknownProgram)?)
    }

    fn check(
        &self,
        envelope: &Envelope,
        body: &Body,
        round: Option<&(Round, u8)>,
        ahead: &Ahead,
    ) -> Result<(), Stop> {
        match (body, round) {
            (Body::SubmitRecord { submission }, _) => {
                self.check_submission(&envelope.sender, submission, ahead)
            }
            (Body::AdvanceEpoch { step }, _) => self.check_step(&envelope.sender, step, ahead),
            (Body::CommitVerdicts { round: height, .. }, Some((round, seat))) => {
                if self.height > round.commit_until {
                    return Err(Refusal::Late.into());
                }
                let said = self.state.has::<Commitments>(&(*height, *seat))?;
                if said { Err(Refusal::Repeated.into()) } else { Ok(()) }
            }
            (Body::RevealVerdicts { round: height, verdicts, salt }, Some((round, seat))) => {
                if self.height <= round.commit_until {
                    return Err(Refusal::Early.into());
                }
                // After its time it earns nothing, but a seat that was away can still keep its word.
                if self.state.has::<Reveals>(&(*height, *seat))? {
                    return Err(Refusal::Repeated.into());
                }
                let said = self.state.get::<Commitments>(&(*height, *seat))?;
                let shown =
                    verdict::commitment(&self.chain.network, *height, &envelope.sender, verdicts, salt);
                let fits = said == Some(shown) && verdicts.len() == round.items.len();
                if fits { Ok(()) } else { Err(Refusal::Commitment.into()) }
            }
            _ => Ok(()),
        }
    }

    fn check_submission(
        &self,
        sender: &AccountKey,
        submission: &Submission,
        ahead: &Ahead,
    ) -> Result<(), Stop> {
        self.check_in_flight(sender, ahead)?;
        if self.state.has::<Records>(&submission.statement)? {
            return Err(Refusal::DuplicateStatement.into());
        }
        if let Some(statement) = self.state.get::<Nullifiers>(&submission.nullifier)? {
            // What was rejected or not decided uses nothing up: else a stranger could spoil an owner's nullifier by
            // sending it first, with a bad proof.
            let record: Record = self.state.must::<Records>(&statement, "a nullifier leads nowhere")?;
            if matches!(record.status, Status::Pending | Status::Final { code: 0, .. }) {
                return Err(Refusal::DuplicateNullifier.into());
            }
        }
        self.check_program(&submission.program, submission.verifier)
    }

    fn check_step(&self, sender: &AccountKey, step: &Step, ahead: &Ahead) -> Result<(), Stop> {
        self.check_in_flight(sender, ahead)?;
        let model = self.model(sender, &step.model)?;
        if model.weights == step.weights {
            return Err(Refusal::Field {
                what: "a step leads to other weights than the model's present ones",
            }
            .into());
        }
        if self.state.has::<Records>(&step.statement)? {
            return Err(Refusal::DuplicateStatement.into());
        }
        self.check_program(&model.program, step.verifier)
    }

    fn check_in_flight(&self, sender: &AccountKey, ahead: &Ahead) -> Result<(), Stop> {
        let limit = self.chain.parameters.in_flight;
        let waiting = account_of(self.state, sender)?.in_flight.saturating_add(ahead.records);
        if waiting >= limit { Err(Refusal::InFlight { limit }.into()) } else { Ok(()) }
    }

    fn check_program(&self, program: &Digest, verifier: u16) -> Result<(), Stop> {
        let entry = self.program(program)?;
        let expected = self.chain.parameters.verifier;
        if verifier != expected {
            return Err(Refusal::Verifier { expected }.into());
        }
        if entry.recalled != 0 || self.state.has::<RecalledVersions>(&verifier)? {
            return Err(Refusal::Recalled.into());
        }
        if self.state.has::<Suspended>(&entry.class)? {
            return Err(Refusal::Suspended.into());
        }
        Ok(())
    }
}

/// Work of looking at a proof of possession: two pairings, and points that must be in their groups.
pub const POSSESSION_WORK: u64 = 4_000;
/// Work of looking at the engine's evidence: two signatures.
const ENGINE_WORK: u64 = 5_000;
/// And one key of the committee, of which all are read.
const KEY_WORK: u64 = 500;
/// Work of a signature in evidence.
const SIGNED_WORK: u64 = 100;

/// What a transaction costs beside [`transaction_work`](crate::Parameters::transaction_work) where it names no program: the
/// dear kinds of cryptography.
///
/// # Errors
/// A store that fails.
pub fn own_work(state: &State<'_>, body: &Body) -> Result<u64, Fault> {
    Ok(match body {
        Body::Bond { consensus, .. } if !consensus.is_empty() => POSSESSION_WORK,
        Body::Evidence { accusation: Accusation::Engine { epoch, .. } } => {
            let committee = state.get::<Committees>(epoch)?;
            engine_work(committee.map_or(0, |committee| committee.seats.len()))
        }
        Body::Evidence { accusation: Accusation::Equivocation { .. } } => SIGNED_WORK.saturating_mul(2),
        Body::Evidence { accusation: Accusation::EarlyReveal { .. } } => SIGNED_WORK,
        _ => 0,
    })
}

/// Work of looking at the engine's evidence against a committee of so many seats.
pub(crate) fn engine_work(seats: usize) -> u64 {
    let seats = u64::try_from(seats).unwrap_or(u64::MAX);
    ENGINE_WORK.saturating_add(KEY_WORK.saturating_mul(seats))
}

const _: () = assert!(ITEMS_MAX * 34 + 512 < crate::transaction::INNER_MAX, "evidence holds a full reveal");
