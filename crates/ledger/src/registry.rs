//! Models, data sets, records: names that are taken once `[H19]`.

use certify::hash::Digest;

use crate::amount::add;
use crate::entry::{
    AccountKey, Accounts, Dataset, Datasets, Link, Links, Model, Models, Nullifiers, Program, Programs,
    Purpose, Record, Records, Status,
};
use crate::refusal::{Failure, Refusal, Stop};
use crate::store::Fault;
use crate::transaction::{Body, Step, Submission};
use crate::work::{Work, account_of};

pub(crate) fn register_model(
    work: &mut Work<'_>,
    owner: &AccountKey,
    model: &Digest,
    (program, program_bytes, most): (&Digest, u32, u64),
    weights: &Digest,
) -> Result<(), Stop> {
    let name = (*owner, *model);
    if work.state.has::<Models>(&name)? {
        return Err(Failure::Taken.into());
    }
    if !work.state.has::<Programs>(program)? {
        let facts = work.hooks.program(program, most)?.ok_or(Failure::Program)?;
        let all = facts.work.saturating_add(work.rules().transaction_work);
        if facts.bytes > program_bytes || all > work.rules().block_work {
            return Err(Failure::Program.into());
        }
        let entry = Program { owner: *owner, work: facts.work, class: facts.class, recalled: 0 };
        work.state.put::<Programs>(program, &entry);
    }
    let height = work.context.height;
    let entry = Model { program: *program, weights: *weights, links: 0, height };
    work.state.put::<Models>(&name, &entry);
    Ok(())
}

pub(crate) fn register_dataset(
    work: &mut Work<'_>,
    owner: &AccountKey,
    (root, schema, source): (&Digest, &Digest, &Digest),
) -> Result<(), Stop> {
    let name = (*owner, *root);
    if work.state.has::<Datasets>(&name)? {
        return Err(Failure::Taken.into());
    }
    let entry = Dataset { schema: *schema, source: *source, height: work.context.height };
    work.state.put::<Datasets>(&name, &entry);
    Ok(())
}

/// Orders a record. The proposers' share is set aside at once; the rest of the fee waits for the verdict.
pub(crate) fn submit(work: &mut Work<'_>, sender: &AccountKey, fee: u64, body: &Body) -> Result<(), Stop> {
    let (statement, proof, program, verifier) = match body {
        Body::SubmitRecord { submission } => {
            let Submission { statement, proof, program, verifier, nullifier, .. } = submission;
            work.state.put::<Nullifiers>(nullifier, statement);
            (*statement, *proof, *program, *verifier)
        }
        Body::AdvanceEpoch { step } => {
            let Step { model, weights, statement, proof, verifier, .. } = step;
            let name = (*sender, *model);
            let entry = work.state.must::<Models>(&name, "a model is gone")?;
            work.state.put::<Links>(
                statement,
                &Link { model: name, weights: *weights, from: entry.weights, gone: false },
            );
            (*statement, *proof, entry.program, *verifier)
        }
        _ => return Err(Fault::Broken { what: "not a record" }.into()),
    };
    if !work.judge(statement, Purpose::Order, 0) {
        return Err(Refusal::BlockFull.into());
    }
    work.ordered.push(statement);
    let held = work.for_proposers(fee)?;
    let ordered = work.context.height;
    let record = Record {
        submitter: *sender,
        program,
        proof,
        body: body.digest(),
        verifier,
        ordered,
        fee,
        held,
        status: Status::Pending,
        recalled: 0,
        voted: ordered,
        accept: 0,
        reject: 0,
    };
    work.state.put::<Records>(&statement, &record);
    let mut account = account_of(&work.state, sender)?;
    account.in_flight = u32::try_from(add(account.in_flight.into(), 1)?).unwrap_or(u32::MAX);
    work.state.put::<Accounts>(sender, &account);
    Ok(())
}
