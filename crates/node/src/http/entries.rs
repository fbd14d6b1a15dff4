//! What the ledger knows of accounts, validators, models and data sets, and what its validators decide.

use axum::response::Json;
use certify::hash::Digest;
use certify::wire::decode;
use ledger::entry::{
    AccountKey, Accounts, Ballots, Candidates, Coming, Datasets, Model, Models, Suspended, Table, Validator,
    Validators, read_value,
};
use ledger::verdict::holds;
use ledger::{Cause, Parameters, State};
use serde_json::{Map, Value, json};

use super::{Answer, App, Ask, At, Extract, PAGE, Range, Refused, Shared, digest, hex, next};
use crate::chain::Slash;
use crate::earned::Earned;
use crate::store::list;

pub(super) async fn account(Extract(app): App, At(account): At) -> Answer<Json<Value>> {
    let account = digest(&account)?;
    let (tip, snapshot, sums) = app.chain.latest_with_sums()?;
    let state = State::new(&snapshot);
    let found = state.get::<Accounts>(&account)?.unwrap_or_default();
    Ok(Json(json!({
        "account": hex(&account),
        "nonce": found.nonce,
        "nextNonce": app.chain.next_nonce(&account, found.nonce),
        "balance": found.balance.to_string(),
        "inFlight": found.in_flight,
        "earned": earned(&sums.of(&account)?, tip.epoch),
        "since": app.chain.earned_since()?,
        "validator": state.get::<Validators>(&account)?.map(|found| Value::Object(bonded(&found))),
    })))
}

/// What an account earned and lost since this node counts.
fn earned(sums: &Earned, epoch: u64) -> Value {
    json!({
        "total": sums.total.to_string(),
        "epoch": sums.of(epoch).to_string(),
        "slashed": sums.slashed.to_string(),
    })
}

/// What is bonded, and what became of it.
fn bonded(validator: &Validator) -> Map<String, Value> {
    let unbonding = validator.unbonding.iter();
    let unbonding = unbonding.map(|(height, amount)| json!({"height": height, "amount": amount.to_string()}));
    let fields = [
        ("bond", json!(validator.bond.to_string())),
        ("slashable", json!(validator.slashable().to_string())),
        ("offences", json!(validator.offences)),
        ("missed", json!(validator.missed)),
        ("owed", json!(validator.owed)),
        ("unbonding", unbonding.collect()),
        ("consensus", json!(hex(&validator.consensus))),
        ("address", json!(String::from_utf8_lossy(&validator.address))),
    ];
    fields.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

pub(super) async fn validators(Extract(app): App) -> Answer<Json<Value>> {
    let (tip, snapshot, sums) = app.chain.latest_with_sums()?;
    let state = State::new(&snapshot);
    let epoch = tip.height / app.chain.genesis.parameters.epoch_blocks;
    let committee = app.chain_committee(epoch);
    let mut answer = Vec::new();
    let seated = committee.iter().flat_map(|c| c.seats.iter().map(|seat| seat.account));
    let mut accounts: Vec<Digest> =
        seated.chain(state.get::<Candidates>(&())?.unwrap_or_default().iter().copied()).collect();
    accounts.sort_unstable();
    accounts.dedup();
    for account in accounts {
        let Some(found) = state.get::<Validators>(&account)? else { continue };
        let seat = committee.as_ref().and_then(|c| c.seat(&account));
        let balance = state.get::<Accounts>(&account)?.unwrap_or_default().balance;
        let mut one = bonded(&found);
        one.insert("account".into(), json!(hex(&account)));
        one.insert("stake".into(), json!(seat.map(|(_, seat)| seat.stake.to_string())));
        one.insert("seat".into(), json!(seat.map(|(number, _)| number)));
        one.insert("balance".into(), json!(balance.to_string()));
        one.insert("earned".into(), earned(&sums.of(&account)?, epoch));
        answer.push(Value::Object(one));
    }
    let since = app.chain.earned_since()?;
    Ok(Json(json!({"epoch": epoch, "since": since, "validators": answer})))
}

pub(super) async fn slashes(Extract(app): App, Ask(range): Ask<Range>) -> Answer<Json<Value>> {
    let (before, limit) = range.bounds()?;
    let found = app.chain.store.newest(list::SLASHES, before, limit)?;
    let one = |(number, bytes): &(u64, Vec<u8>)| {
        let slash = Slash::read(bytes)?;
        Some(json!({
            "sequence": number,
            "height": slash.height,
            "account": hex(&slash.account),
            "lost": slash.lost.to_string(),
            "offences": slash.offences,
            "cause": slash.cause.map(Cause::name),
        }))
    };
    let answer: Vec<Value> = found.iter().filter_map(one).collect();
    Ok(Json(json!({"slashes": answer, "next": next(&found, limit)})))
}

pub(super) async fn models(Extract(app): App, Ask(range): Ask<Range>) -> Answer<Json<Value>> {
    let (before, limit) = range.bounds()?;
    let (_, snapshot) = app.chain.latest()?;
    let state = State::new(&snapshot);
    let found = app.chain.store.newest(list::MODELS, before, limit)?;
    let mut answer = Vec::new();
    for (_, value) in &found {
        let Some((owner, model)) = value.split_at_checked(32) else { continue };
        let (Ok(owner), Ok(name)) = (Digest::try_from(owner), Digest::try_from(model)) else { continue };
        let Some(model) = state.get::<Models>(&(owner, name))? else { continue };
        answer.push(model_json(&owner, &name, &model));
    }
    Ok(Json(json!({"models": answer, "next": next(&found, limit)})))
}

fn model_json(owner: &Digest, name: &Digest, model: &Model) -> Value {
    json!({
        "owner": hex(owner),
        "model": hex(name),
        "program": hex(&model.program),
        "weights": hex(&model.weights),
        "links": model.links,
        "height": model.height,
    })
}

/// What an account registered under a name, with both.
fn registered<T: Table<Key = (AccountKey, Digest)>>(
    app: &Shared,
    (owner, name): (String, String),
    what: &str,
) -> Answer<(AccountKey, Digest, T::Value)> {
    let (owner, name) = (digest(&owner)?, digest(&name)?);
    let (_, snapshot) = app.chain.latest()?;
    let found = State::new(&snapshot).get::<T>(&(owner, name))?;
    let missing = || Refused::missing(&format!("this account has registered no such {what}"));
    Ok((owner, name, found.ok_or_else(missing)?))
}

pub(super) async fn model(Extract(app): App, At(names): At<(String, String)>) -> Answer<Json<Value>> {
    let (owner, name, found) = registered::<Models>(&app, names, "model")?;
    Ok(Json(model_json(&owner, &name, &found)))
}

pub(super) async fn dataset(Extract(app): App, At(names): At<(String, String)>) -> Answer<Json<Value>> {
    let (owner, root, found) = registered::<Datasets>(&app, names, "data set")?;
    Ok(Json(json!({
        "owner": hex(&owner),
        "root": hex(&root),
        "schema": hex(&found.schema),
        "source": hex(&found.source),
        "height": found.height,
    })))
}

/// The ledger's parameters by name.
pub(super) fn named(parameters: &Parameters) -> Value {
    let list = parameters.named().into_iter();
    Value::Object(list.map(|(name, value)| (name.to_string(), json!(value.to_string()))).collect())
}

/// What validators decided that does not rule yet, what they vote on now, and the classes of programs that are suspended.
pub(super) async fn decisions(Extract(app): App) -> Answer<Json<Value>> {
    let (tip, snapshot) = app.chain.latest()?;
    let state = State::new(&snapshot);
    let coming = state.get::<Coming>(&())?;
    let coming =
        coming.map(|(height, parameters)| json!({"height": height, "parameters": named(&parameters)}));
    let epoch = tip.height / app.chain.genesis.parameters.epoch_blocks;
    let committee = app.chain_committee(epoch);
    let mut ballots = Vec::new();
    for (key, value) in snapshot.namespace(Ballots::NAMESPACE)? {
        let (Some(subject), Ok(ballot)) = (key.get(1..), read_value::<Ballots>(&value)) else { continue };
        if ballot.epoch != epoch || ballots.len() == PAGE {
            continue;
        }
        let seated = committee.iter().flat_map(|c| c.seats.iter().enumerate());
        let (mut seats, mut stake) = (Vec::new(), 0u128);
        for (number, seat) in seated.filter(|(number, _)| holds(ballot.seats, *number)) {
            seats.push(number);
            stake = stake.saturating_add(seat.stake.into());
        }
        ballots.push(json!({"subject": hex(subject), "seats": seats, "stake": stake.to_string()}));
    }
    let mut suspended = Vec::new();
    for (key, value) in snapshot.namespace(Suspended::NAMESPACE)?.into_iter().take(PAGE) {
        let class = key.get(1..).and_then(|key| decode::<u32>(key).ok());
        if let (Some(class), Ok(since)) = (class, read_value::<Suspended>(&value)) {
            suspended.push(json!({"class": class, "since": since}));
        }
    }
    Ok(Json(json!({"epoch": epoch, "coming": coming, "ballots": ballots, "suspended": suspended})))
}
