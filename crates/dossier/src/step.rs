//! A step: the link from a model's present commitment to the next one of the same weights `[U6]`.

use certify::hash::Digest;
use program::types::Program;
use verify::{Link, LinkError, LinkStatement};

use crate::bytes::{Parsed, Reader, Writer};
use crate::{Judged, code};

/// A link as validators fetch it: `"ZTLN"`, `u16` 1, fr(statement), fr(proof).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The link.
    pub link: Link,
}

/// What a step must be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepNames {
    /// Digest of the link.
    pub statement: Digest,
    /// The model's identity.
    pub model: Digest,
    /// OracleId of the present commitment.
    pub from: Digest,
    /// OracleId of the next one.
    pub to: Digest,
}

impl Step {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new(b"ZTLN");
        w.framed(&self.link.statement.encode());
        w.framed(&self.link.proof);
        w.done().to_vec()
    }

    /// Reads a step; nothing is checked but its form.
    ///
    /// # Errors
    /// Bytes that are not the one spelling of a step.
    pub fn decode(bytes: &[u8]) -> Parsed<Self> {
        let mut r = Reader::new(bytes, b"ZTLN")?;
        let statement = LinkStatement::decode(r.framed()?).map_err(|why| why.to_string())?;
        let link = Link { statement, proof: r.framed()?.to_vec() };
        r.end()?;
        Ok(Self { link })
    }

    /// What its submission must say.
    #[must_use]
    pub fn names(&self) -> StepNames {
        let statement = &self.link.statement;
        StepNames {
            statement: self.link.digest(),
            model: statement.subject,
            from: statement.parent.id(),
            to: statement.child.id(),
        }
    }
}

/// Runs the verifier on a step of a model of this program.
#[must_use]
pub fn judge_step(bytes: &[u8], program: &Program, names: &StepNames) -> Judged {
    let (code, trace, what) = match Step::decode(bytes) {
        Err(why) => (code::FORM, [0; 32], why),
        Ok(step) if step.names() != *names => {
            (code::NAMES, [0; 32], "the submission names another step".into())
        }
        Ok(step) => {
            let (checked, trace) = verify::verify_step(program, &step.link.statement, &step.link.proof);
            match checked {
                Ok(()) => (code::ACCEPT, trace, code::words(code::ACCEPT).into()),
                Err(why) => (refusal(&why), trace, why.to_string()),
            }
        }
    };
    Judged { code, trace, what, found: None }
}

fn refusal(why: &LinkError) -> u16 {
    match why {
        LinkError::Malformed(_) => code::FORM,
        LinkError::Parameters(_) => code::LINKS,
        LinkError::Weak { .. } => code::WEAK,
        LinkError::Proof(_) => code::PROOF,
    }
}
