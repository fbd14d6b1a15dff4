//! Salted commitments to what could be guessed (spec V14-V16).
//!
//! A statement may be read by people who may not see the evidence. A bare hash of a label, a name or a
//! patient's record tells it to whoever tries all of them. So the statement holds
//! BLAKE3(fr("zerotell/record/" field) ‖ 32-byte salt ‖ canonical JSON), with a fresh salt per field, and
//! the evidence file holds the salts.

use program::Reveal;
use zeroize::Zeroize;

use crate::facts::Facts;
use crate::json::{Fields, Json, hex, list, object, parse};
use crate::limits;
use crate::refused::{Outcome, Part, Refused};

/// One salt per guessable field of a statement; it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Salts {
    /// Of the accuracy report's digest.
    pub accuracy: [u8; 32],
    /// Of the context.
    pub context: [u8; 32],
    /// Of the public inputs.
    pub inputs: [u8; 32],
    /// Of what is revealed.
    pub revealed: [u8; 32],
}

impl Drop for Salts {
    fn drop(&mut self) {
        [&mut self.accuracy, &mut self.context, &mut self.inputs, &mut self.revealed]
            .into_iter()
            .for_each(Zeroize::zeroize);
    }
}

/// The salted commitments of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salted {
    /// To the digest of the accuracy report that the program names.
    pub accuracy: [u8; 32],
    /// To the context.
    pub context: [u8; 32],
    /// To the values of public inputs.
    pub inputs: [u8; 32],
    /// To what is revealed: kinds, bounds and values.
    pub revealed: [u8; 32],
}

fn commit(field: &str, salt: &[u8; 32], value: &Json) -> [u8; 32] {
    let label = format!("zerotell/record/{field}");
    let mut hasher = blake3::Hasher::new();
    hasher.update(&u64::try_from(label.len()).unwrap_or(u64::MAX).to_le_bytes());
    hasher.update(label.as_bytes()).update(salt).update(&value.canonical());
    *hasher.finalize().as_bytes()
}

fn integers(slot: &[i64]) -> Json {
    list(slot.iter().map(|&value| Json::Int(value)))
}

/// Value of `inputs`: a list of integers per public input, in order.
fn inputs(facts: &Facts) -> Json {
    list(facts.slots.iter().take(facts.public_inputs()).map(|slot| integers(slot)))
}

/// Value of `revealed`: one object per reveal, in order.
fn revealed(facts: &Facts) -> Json {
    let mut slots = facts.slots.iter().skip(facts.public_inputs());
    let mut shown = |kind: &str, output: u32| {
        let values = integers(slots.next().map_or(&[], Vec::as_slice));
        object([("kind", kind.into()), ("output", output.into()), ("values", values)])
    };
    list(facts.reveals.iter().map(|reveal| match *reveal {
        Reveal::Values { output } => shown("output", output),
        Reveal::Label { output } => shown("label", output),
        Reveal::Threshold { output, index, at_least, bound } => object([
            ("kind", "threshold".into()),
            ("output", output.into()),
            ("index", index.into()),
            ("atLeast", at_least.into()),
            ("bound", Json::Int(bound)),
        ]),
    }))
}

/// Value of `context`: its bytes in hexadecimal.
fn context(facts: &Facts) -> Json {
    Json::Text(hex(&facts.context))
}

/// Value of `accuracy`: the digest in hexadecimal, an empty text without one.
fn accuracy(facts: &Facts) -> Json {
    Json::Text(facts.accuracy.map(|digest| hex(&digest)).unwrap_or_default())
}

impl Salts {
    /// The commitments to the guessable part of these facts.
    #[must_use]
    pub fn commit(&self, facts: &Facts) -> Salted {
        Salted {
            accuracy: commit("accuracy", &self.accuracy, &accuracy(facts)),
            context: commit("context", &self.context, &context(facts)),
            inputs: commit("inputs", &self.inputs, &inputs(facts)),
            revealed: commit("revealed", &self.revealed, &revealed(facts)),
        }
    }

    /// Their bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        salt_fields([&self.accuracy, &self.context, &self.inputs, &self.revealed]).canonical()
    }

    /// Reads salts.
    ///
    /// # Errors
    /// When the bytes are not the one spelling of four salts.
    pub fn decode(bytes: &[u8]) -> Outcome<Self> {
        let refuse = |why: String| Refused::new(Part::Salts, why);
        if bytes.len() > limits::SALTS {
            return Err(refuse("they are too large".into()));
        }
        let read = || {
            let mut fields = Fields::new(parse(bytes)?, "the salts")?;
            let salts = Self {
                accuracy: fields.bytes("accuracy")?,
                context: fields.bytes("context")?,
                inputs: fields.bytes("inputs")?,
                revealed: fields.bytes("revealed")?,
            };
            fields.end().map(|()| salts)
        };
        read().map_err(refuse)
    }
}

fn salt_fields([accuracy, context, inputs, revealed]: [&[u8; 32]; 4]) -> Json {
    let text = |bytes: &[u8; 32]| Json::Text(hex(bytes));
    object([
        ("accuracy", text(accuracy)),
        ("context", text(context)),
        ("inputs", text(inputs)),
        ("revealed", text(revealed)),
    ])
}

impl Salted {
    pub(crate) fn json(&self) -> Json {
        salt_fields([&self.accuracy, &self.context, &self.inputs, &self.revealed])
    }

    pub(crate) fn read(mut fields: Fields) -> Result<Self, String> {
        let salted = Self {
            accuracy: fields.bytes("accuracy")?,
            context: fields.bytes("context")?,
            inputs: fields.bytes("inputs")?,
            revealed: fields.bytes("revealed")?,
        };
        fields.end().map(|()| salted)
    }
}
