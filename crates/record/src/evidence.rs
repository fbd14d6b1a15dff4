//! The evidence file: everything that is needed to check one statement, in one file (spec
//! V19, V20).

use crate::archive::{self, Members};
use crate::envelope::Envelope;
use crate::facts::Facts;
use crate::key::PublicKey;
use crate::limits;
use crate::refused::{Outcome, Part, Refused};
use crate::salts::Salts;
use crate::statement::{Statement, Subject};

const ACCURACY: &str = "accuracy.json";
const CERTIFICATE: &str = "certificate.bin";
const MODEL: &str = "model.ztm";
const PROOF: &str = "proof.ztp";
const RANGES: &str = "ranges.ztr";
const REPORT: &str = "report.html";
const SALTS: &str = "salts.json";
const SIGNER: &str = "signer.pem";
const STATEMENT: &str = "statement.sigstore.json";

/// The members of an evidence file, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The accuracy report that the program names.
    pub accuracy: Option<Vec<u8>>,
    /// The network's certificate.
    pub certificate: Option<Vec<u8>>,
    /// The model file: the program and the identities of its commitments.
    pub model: Vec<u8>,
    /// The proof file.
    pub proof: Vec<u8>,
    /// The range certificate.
    pub ranges: Option<Vec<u8>>,
    /// The report for people.
    pub report: Vec<u8>,
    /// The salts.
    pub salts: Vec<u8>,
    /// The signer's public key.
    pub signer: Vec<u8>,
    /// The signed statement.
    pub statement: Vec<u8>,
}

/// Whether bytes look like an evidence file.
#[must_use]
pub fn is_evidence(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// Most bytes of a member; none for a name that no evidence file has.
fn limit(name: &str) -> Option<usize> {
    let most = match name {
        ACCURACY => limits::ACCURACY,
        CERTIFICATE => limits::CERTIFICATE,
        MODEL | PROOF | RANGES => limits::PART,
        REPORT => limits::REPORT,
        SALTS => limits::SALTS,
        SIGNER => limits::KEY,
        STATEMENT => limits::ENVELOPE,
        _ => return None,
    };
    Some(most)
}

impl Evidence {
    fn members(&self) -> Members<'_> {
        let Self { accuracy, certificate, model, proof, ranges, report, salts, signer, statement } = self;
        let always = [
            (MODEL, model),
            (PROOF, proof),
            (REPORT, report),
            (SALTS, salts),
            (SIGNER, signer),
            (STATEMENT, statement),
        ];
        let perhaps = [(ACCURACY, accuracy), (CERTIFICATE, certificate), (RANGES, ranges)];
        let perhaps = perhaps.into_iter().filter_map(|(name, part)| Some((name, part.as_ref()?)));
        always.into_iter().chain(perhaps).map(|(name, part)| (name, part.as_slice())).collect()
    }

    /// Its bytes.
    ///
    /// # Errors
    /// When a member is larger than a reader would take.
    pub fn encode(&self) -> Outcome<Vec<u8>> {
        let members = self.members();
        let large = members.iter().find(|(name, part)| limit(name).is_none_or(|most| part.len() > most));
        match large {
            Some((name, _)) => Err(Refused::new(Part::Archive, format!("`{name}` is too large"))),
            None => Ok(archive::encode(&members)),
        }
    }

    /// Reads an evidence file; nothing is checked but its form.
    ///
    /// # Errors
    /// When it is not the one spelling of an evidence file.
    pub fn decode(bytes: &[u8]) -> Outcome<Self> {
        let mut members = archive::decode(bytes, limit)?;
        let mut take = |name: &str| members.remove(name).map(<[u8]>::to_vec);
        let missing = |name: &str| Refused::new(Part::Archive, format!("`{name}` is missing"));
        let mut need = |name: &str| take(name).ok_or_else(|| missing(name));
        let (model, proof, report) = (need(MODEL)?, need(PROOF)?, need(REPORT)?);
        let (salts, signer, statement) = (need(SALTS)?, need(SIGNER)?, need(STATEMENT)?);
        let [accuracy, certificate, ranges] = [ACCURACY, CERTIFICATE, RANGES].map(take);
        Ok(Self { accuracy, certificate, model, proof, ranges, report, salts, signer, statement })
    }

    /// The statement, if its signature is good, and who made it. That the proof bears it out is for
    /// [`Evidence::agrees`].
    ///
    /// # Errors
    /// When the key, the envelope, the signature or the statement is refused.
    pub fn signed(&self) -> Outcome<(Statement, PublicKey)> {
        let key = PublicKey::from_pem(&self.signer)?;
        if key.to_pem().as_bytes() != self.signer {
            return Err(Refused::new(Part::Key, "its PEM is not spelled the one way"));
        }
        let envelope = Envelope::decode(&self.statement)?;
        let statement = Statement::decode(envelope.verify(&key)?)?;
        Ok((statement, key))
    }

    /// Refuses a statement, or an accuracy report, that is not about the proof. The facts must be those
    /// of `proof` as the verifier accepted it, with `ranges` checked.
    ///
    /// # Errors
    /// With the first difference.
    pub fn agrees(&self, statement: &Statement, facts: &Facts) -> Outcome<()> {
        statement.agrees(facts, Subject::of(&self.proof), &Salts::decode(&self.salts)?)?;
        let digest = self.accuracy.as_ref().map(|bytes| *blake3::hash(bytes).as_bytes());
        if digest.is_some() && digest != facts.accuracy {
            return Err(Refused::new(Part::Accuracy, "it is not the report that the program names"));
        }
        Ok(())
    }

    /// Asks a checker about the network's certificate, if there is one. Gives a line for people per annex.
    ///
    /// # Errors
    /// When the checker refuses it.
    pub fn annexes(&self, statement: &Statement, checker: &dyn Annexes) -> Outcome<Vec<(String, String)>> {
        let Some(bytes) = &self.certificate else { return Ok(Vec::new()) };
        let words = checker.check(CERTIFICATE, bytes, statement);
        let words = words.map_err(|why| Refused::new(Part::Annex, format!("`{CERTIFICATE}`: {why}")))?;
        Ok(vec![(CERTIFICATE.to_string(), words)])
    }
}

/// Checks what the network adds to an evidence file.
pub trait Annexes {
    /// What `certificate.bin` says about the statement, for people.
    ///
    /// # Errors
    /// Why it is refused.
    fn check(&self, name: &str, bytes: &[u8], statement: &Statement) -> Result<String, String>;
}

/// The checker of those who know no network: it refuses every annex, for an annex that nobody checked
/// must not lie beside one that somebody did.
pub struct NoNetwork;

impl Annexes for NoNetwork {
    fn check(&self, _: &str, _: &[u8], _: &Statement) -> Result<String, String> {
        Err("no network is trusted here, so it cannot be checked".into())
    }
}
