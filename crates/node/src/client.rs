//! What a user does with a node over HTTP: register a model, submit a record, wait, take the certificate.

use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use certify::Way;
use certify::hash::Digest;
use certify::wire::{decode, encode};
use dossier::{Dossier, Found, Names, code};
use ed25519_dalek::SigningKey;
use ledger::refusal::Failure;
use ledger::transaction::Submission;
use ledger::{Body, Envelope, Lane, Parameters, Unsigned};
use serde_json::Value;

/// Bytes of an answer, at most.
const ANSWER_MAX: u64 = 128 << 20;
/// Before an upload is tried again.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];
/// How much more than the price is offered: prices move until the transaction is in a block.
const MARGIN: u64 = 2;

/// Why a node did not do what it was asked.
#[derive(Debug)]
pub struct ClientError {
    /// What was asked.
    pub place: String,
    /// Why not.
    pub why: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.why, self.fix)
    }
}

impl std::error::Error for ClientError {}

/// A result that fails when the node does.
pub type Asked<T> = Result<T, ClientError>;

/// A node that is asked.
pub struct Client {
    base: String,
    agent: ureq::Agent,
}

/// What a submission came to.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The record's name.
    pub statement: Digest,
    /// `accepted`, `rejected` or `undecided`.
    pub status: String,
    /// The code of a rejection.
    pub code: u16,
    /// In words.
    pub what: String,
    /// From sending it to the answer that it is final.
    pub took: Duration,
}

/// What a node says of its network and the newest final block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The network's name.
    pub network: Digest,
    /// Height of the newest final block.
    pub height: u64,
    /// Its epoch.
    pub epoch: u64,
    /// Units per microsecond of work.
    pub work_price: u64,
    /// Units per byte.
    pub byte_price: u64,
}

/// What a transaction of an account would be sent with at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Network, the first nonce of which nothing waits, and twice the least fee.
    pub unsigned: Unsigned,
    /// The account's transactions in final blocks: the least nonce that can be replaced.
    pub settled: u64,
    /// Units that the account has.
    pub balance: u64,
    /// The rules at present.
    pub rules: Parameters,
}

/// What became of a transaction that is in a final block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Height of the block.
    pub height: u64,
    /// 0, or the number of the failure (`[H44]`).
    pub code: u16,
    /// The failure in words.
    pub what: String,
    /// Units paid.
    pub fee: u64,
}

/// A model as the ledger has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its program.
    pub program: Digest,
    /// OracleId of its present commitment.
    pub weights: Digest,
    /// Steps that were accepted.
    pub links: u64,
}

impl Client {
    /// Of the node at this address, such as `http://127.0.0.1:7101`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(120)))
            .http_status_as_error(false)
            .build();
        Self { base: base.trim_end_matches('/').to_string(), agent: config.into() }
    }

    fn fails(&self, path: &str, why: impl fmt::Display) -> ClientError {
        let fix = "see that the node runs and the address is its HTTP address".to_string();
        ClientError { place: format!("{}{path}", self.base), why: why.to_string(), fix }
    }

    fn answer(
        &self,
        path: &str,
        sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Asked<Vec<u8>> {
        let mut response = sent.map_err(|why| self.fails(path, why))?;
        let status = response.status();
        let bytes = response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
        let bytes = bytes.map_err(|why| self.fails(path, why))?;
        if status.is_success() {
            return Ok(bytes);
        }
        let error: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let part = |name: &str| error["error"][name].as_str().map(str::to_string);
        let why = part("what").unwrap_or_else(|| format!("status {status}"));
        let fix = part("fix").unwrap_or_else(|| "see that the address is a node's HTTP address".into());
        Err(ClientError { place: format!("{}{path}", self.base), why, fix })
    }

    /// Bytes at an address.
    ///
    /// # Errors
    /// What the node says, or that it does not answer.
    pub fn get(&self, path: &str) -> Asked<Vec<u8>> {
        self.answer(path, self.agent.get(format!("{}{path}", self.base)).call())
    }

    /// JSON at an address.
    ///
    /// # Errors
    /// As [`Client::get`], and an answer that is none.
    pub fn json(&self, path: &str) -> Asked<Value> {
        serde_json::from_slice(&self.get(path)?).map_err(|why| self.fails(path, why))
    }

    /// A snapshot of the state, to be read as it comes: it may be large, and take long.
    ///
    /// # Errors
    /// What the node says, or that it does not answer.
    pub fn snapshot(&self) -> Asked<impl std::io::Read + use<>> {
        let path = "/v1/snapshot";
        let asked = self.agent.get(format!("{}{path}", self.base)).config();
        let asked = asked
            .timeout_global(None)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .timeout_recv_body(Some(Duration::from_secs(3600)))
            .build();
        let sent = asked.call().map_err(|why| self.fails(path, why))?;
        if sent.status().is_success() {
            return Ok(std::io::BufReader::new(sent.into_body().into_reader()));
        }
        Err(self.answer(path, Ok(sent)).err().unwrap_or_else(|| self.fails(path, "no snapshot")))
    }

    /// Uploads bytes. A node that has too much under way says so, or ends the connection: then it is asked again.
    fn put(&self, path: &str, bytes: &[u8]) -> Asked<Value> {
        let mut pauses = PAUSES.iter();
        loop {
            // What is too large is refused before it is sent.
            let put = self.agent.put(format!("{}{path}", self.base)).header("expect", "100-continue");
            let sent = put.send(bytes);
            let is_full = match &sent {
                Ok(response) => response.status() == ureq::http::StatusCode::TOO_MANY_REQUESTS,
                Err(ureq::Error::Io(why)) => {
                    matches!(why.kind(), std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset)
                }
                Err(_) => false,
            };
            match pauses.next().filter(|_| is_full) {
                Some(pause) => sleep(*pause),
                None => {
                    let answer = self.answer(path, sent)?;
                    return serde_json::from_slice(&answer).map_err(|why| self.fails(path, why));
                }
            }
        }
    }

    fn post(&self, path: &str, bytes: &[u8]) -> Asked<Value> {
        let sent = self.agent.post(format!("{}{path}", self.base)).send(bytes);
        serde_json::from_slice(&self.answer(path, sent)?).map_err(|why| self.fails(path, why))
    }

    fn number(&self, path: &str, value: &Value) -> Asked<u64> {
        let found = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        found.ok_or_else(|| self.fails(path, "the answer is not as expected"))
    }

    fn digest(&self, path: &str, value: &Value) -> Asked<Digest> {
        let found = value.as_str().and_then(record::json::unhex);
        found.ok_or_else(|| self.fails(path, "the answer is not as expected"))
    }

    /// The network's name.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub fn network(&self) -> Asked<Digest> {
        Ok(self.status()?.network)
    }

    /// What the node says of its network and the newest block.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub fn status(&self) -> Asked<Status> {
        let path = "/v1/status";
        let found = self.json(path)?;
        let number = |name: &str| self.number(path, &found[name]);
        Ok(Status {
            network: self.digest(path, &found["network"])?,
            height: number("height")?,
            epoch: number("epoch")?,
            work_price: number("workPrice")?,
            byte_price: number("bytePrice")?,
        })
    }

    /// The rules at present.
    ///
    /// # Errors
    /// As [`Client::json`], and rules of another version.
    pub fn parameters(&self) -> Asked<Parameters> {
        let path = "/v1/parameters";
        let found = self.json(path)?;
        let mut rules = Parameters::default();
        for (name, _) in Parameters::default().named() {
            let value = self.number(path, &found[name])?;
            rules.set(name, value).ok_or_else(|| self.fails(path, format!("{name} is out of range")))?;
        }
        Ok(rules)
    }

    /// As [`Client::json`]; `None` if there is no such thing.
    fn found(&self, path: &str) -> Asked<Option<Value>> {
        let sent = self.agent.get(format!("{}{path}", self.base)).call();
        if sent.as_ref().is_ok_and(|response| response.status() == ureq::http::StatusCode::NOT_FOUND) {
            return Ok(None);
        }
        serde_json::from_slice(&self.answer(path, sent)?).map(Some).map_err(|why| self.fails(path, why))
    }

    /// A model by its owner and identity; `None` if the ledger has none.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub fn model(&self, owner: &Digest, model: &Digest) -> Asked<Option<Model>> {
        let path = format!("/v1/models/{}/{}", record::json::hex(owner), record::json::hex(model));
        let Some(found) = self.found(&path)? else { return Ok(None) };
        Ok(Some(Model {
            program: self.digest(&path, &found["program"])?,
            weights: self.digest(&path, &found["weights"])?,
            links: self.number(&path, &found["links"])?,
        }))
    }

    /// What the node says of an account's bond; `None` if it never had one.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub fn bonded(&self, account: &Digest) -> Asked<Option<Value>> {
        let mut found = self.json(&format!("/v1/accounts/{}", record::json::hex(account)))?;
        Ok(Some(found["validator"].take()).filter(|found| !found.is_null()))
    }

    /// What the node says of an account's stake; `None` if it has neither a seat nor the least bond.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub fn validator(&self, account: &Digest) -> Asked<Option<Value>> {
        let mut found = self.json("/v1/validators")?;
        let name = record::json::hex(account);
        let list = found["validators"].as_array_mut().map(std::mem::take).unwrap_or_default();
        Ok(list.into_iter().find(|one| one["account"] == name.as_str()))
    }

    /// Waits until the node answers.
    ///
    /// # Errors
    /// That it does not, in this time.
    pub fn wait_until_up(&self, patience: Duration) -> Asked<Value> {
        let began = Instant::now();
        loop {
            match self.json("/v1/status") {
                Ok(status) => return Ok(status),
                Err(why) if began.elapsed() > patience => return Err(why),
                Err(_) => sleep(Duration::from_millis(50)),
            }
        }
    }

    /// What a transaction of this account would be sent with, for this work and these bytes beside its own.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub fn quote(&self, account: &Digest, body: &Body, work: u64, bytes: u64) -> Asked<Quote> {
        let (status, rules) = (self.status()?, self.parameters()?);
        let path = format!("/v1/accounts/{}", record::json::hex(account));
        let found = self.json(&path)?;
        let number = |name: &str| self.number(&path, &found[name]);
        let own = u64::try_from(encode(body).len()).unwrap_or(u64::MAX).saturating_add(256);
        let work = status.work_price.saturating_mul(work.saturating_add(rules.transaction_work));
        let bytes = status.byte_price.saturating_mul(own.saturating_add(bytes));
        let fee = work.saturating_add(bytes).saturating_mul(MARGIN);
        let unsigned =
            Unsigned { network: status.network, lane: Lane::Paid, nonce: number("nextNonce")?, fee };
        Ok(Quote { unsigned, settled: number("nonce")?, balance: number("balance")?, rules })
    }

    /// Sends a paid transaction at the present price for this work and these bytes beside its own.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub fn send(&self, key: &SigningKey, body: &Body, work: u64, bytes: u64) -> Asked<Digest> {
        let quote = self.quote(&key.verifying_key().to_bytes(), body, work, bytes)?;
        self.send_as(key, quote.unsigned, body)
    }

    /// Sends a paid transaction with this nonce and fee, asking nothing first.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub fn send_as(&self, key: &SigningKey, unsigned: Unsigned, body: &Body) -> Asked<Digest> {
        let envelope =
            Envelope::sign(key, unsigned, body).map_err(|why| self.fails("/v1/transactions", why))?;
        self.post("/v1/transactions", &encode(&envelope))?;
        Ok(envelope.id())
    }

    /// Uploads a dossier.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub fn upload(&self, dossier: &[u8]) -> Asked<Digest> {
        let proof = *blake3::hash(dossier).as_bytes();
        self.put(&format!("/v1/proofs/{}", record::json::hex(&proof)), dossier)?;
        Ok(proof)
    }

    /// Waits until a transaction is in a final block, and tells what became of it.
    ///
    /// # Errors
    /// That it is in none in this time.
    pub fn outcome(&self, id: &Digest, patience: Duration) -> Asked<Settled> {
        let path = format!("/v1/transactions/{}", record::json::hex(id));
        let began = Instant::now();
        loop {
            match self.json(&path) {
                Ok(found) => {
                    let number = |name: &str| self.number(&path, &found[name]);
                    return Ok(Settled {
                        height: number("height")?,
                        code: u16::try_from(number("code")?).unwrap_or(u16::MAX),
                        what: found["what"].as_str().unwrap_or("it failed").to_string(),
                        fee: number("fee")?,
                    });
                }
                Err(why) if began.elapsed() > patience => return Err(why),
                Err(_) => sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Waits until a transaction is final, and gives its height.
    ///
    /// # Errors
    /// That it failed, or is not final in this time.
    pub fn wait(&self, id: &Digest, patience: Duration) -> Asked<u64> {
        let settled = self.outcome(id, patience)?;
        if settled.code == 0 { Ok(settled.height) } else { Err(failed(id, settled)) }
    }

    /// Uploads a program, with its contents, under its digest.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub fn upload_program(&self, digest: &Digest, program: &[u8]) -> Asked<()> {
        self.put(&format!("/v1/programs/{}", record::json::hex(digest)), program).map(drop)
    }

    /// Registers the model of a dossier, unless its program is, and waits for it.
    ///
    /// # Errors
    /// As [`Client::send`] and [`Client::outcome`]; that the registration failed.
    pub fn register(
        &self,
        key: &SigningKey,
        found: &Found,
        (program, work): (&[u8], u64),
        patience: Duration,
    ) -> Asked<()> {
        let digest = found.names.program;
        if self.get(&format!("/v1/programs/{}", record::json::hex(&digest))).is_ok() {
            return Ok(());
        }
        self.upload_program(&digest, program)?;
        let weights = found.facts.commitments.first().map_or(found.facts.model, |one| one.identity);
        let length = u32::try_from(program.len()).unwrap_or(u32::MAX);
        let body = Body::RegisterModel {
            model: found.facts.model,
            program: digest,
            program_bytes: length,
            work,
            weights,
        };
        let id = self.send(key, &body, work, length.into())?;
        let settled = self.outcome(&id, patience)?;
        // Taken: somebody was faster, and that it is registered is all that is needed.
        if settled.code == 0 || settled.code == Failure::Taken.code() {
            return Ok(());
        }
        Err(failed(&id, settled))
    }

    /// Uploads a dossier and submits its record.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn submit(
        &self,
        key: &SigningKey,
        dossier: &[u8],
        names: &Names,
        work: u64,
        seal: Digest,
        verifier: u16,
    ) -> Asked<Digest> {
        self.upload(dossier)?;
        let submission = submission(dossier, names, seal, verifier);
        let proof_bytes = submission.proof_bytes;
        self.send(key, &Body::SubmitRecord { submission }, work, proof_bytes.into())
    }

    /// Waits until a record has its verdict.
    ///
    /// # Errors
    /// That it has none in this time.
    pub fn verdict(&self, statement: &Digest, patience: Duration) -> Asked<Verdict> {
        let path = format!("/v1/records/{}", record::json::hex(statement));
        let began = Instant::now();
        loop {
            let found = self.json(&path);
            if let Ok(found) = &found
                && let Some(status) = found["status"].as_str().filter(|status| *status != "pending")
            {
                let code = u16::try_from(self.number(&path, &found["code"])?).unwrap_or(u16::MAX);
                let what = code::words(code).to_string();
                let (statement, status) = (*statement, status.to_string());
                return Ok(Verdict { statement, status, code, what, took: began.elapsed() });
            }
            if began.elapsed() > patience {
                return Err(found.err().unwrap_or_else(|| self.fails(&path, "there is no verdict yet")));
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// The certificate file of a record, resting on the checkpoint of an epoch.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn certificate(&self, statement: &Digest, from: u64) -> Asked<Vec<u8>> {
        self.get(&format!("/v1/records/{}/certificate?from={from}", record::json::hex(statement)))
    }

    /// The committee of an epoch and hand-overs from it on, as many as the node gives at once; none when the epoch
    /// lasts. Nothing of it is checked.
    ///
    /// # Errors
    /// As [`Client::get`], and an answer that is none.
    pub fn handovers(&self, from: u64) -> Asked<Way> {
        let path = format!("/v1/handovers?from={from}");
        decode(&self.get(&path)?).map_err(|why| self.fails(&path, why))
    }
}

fn failed(id: &Digest, settled: Settled) -> ClientError {
    let fix = "see chapter 8 of the specification".to_string();
    ClientError { place: format!("transaction {}", record::json::hex(id)), why: settled.what, fix }
}

/// What is submitted with a dossier.
#[must_use]
pub fn submission(dossier: &[u8], names: &Names, seal: Digest, verifier: u16) -> Submission {
    Submission {
        statement: names.statement,
        proof: *blake3::hash(dossier).as_bytes(),
        proof_bytes: u32::try_from(dossier.len()).unwrap_or(u32::MAX),
        program: names.program,
        roots: names.roots,
        revealed: names.revealed,
        policy: [0; 32],
        context: names.context,
        nullifier: names.nullifier,
        seal,
        verifier,
    }
}

/// The dossier of an evidence file.
#[must_use]
pub fn dossier_of(evidence: &record::Evidence) -> Dossier {
    Dossier {
        proof: evidence.proof.clone(),
        salts: evidence.salts.clone(),
        statement: evidence.statement.clone(),
        signer: evidence.signer.clone(),
        ranges: evidence.ranges.clone(),
    }
}
