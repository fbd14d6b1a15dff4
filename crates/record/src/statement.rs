//! What is signed: an in-toto Statement (v1) whose subject is a proof file and whose predicate says what
//! the proof shows (spec V8-V13).

use program::{InputMode, Reveal};
use sha2::{Digest, Sha256};

use crate::facts::{Facts, Ranges, Role, Semantics, not_claimed};
use crate::json::{Fields, Json, hex, list, object, parse};
use crate::limits;
use crate::refused::{Outcome, Part, Refused};
use crate::salts::{Salted, Salts};

/// What a Statement of in-toto calls itself.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// Name of the subject: the proof file inside the evidence file.
pub const SUBJECT: &str = "proof.ztp";
/// Start of every predicate type: a kind and a version follow.
const PREDICATES: &str = "urn:zerotell:attestation:";
/// The version of `inference` that is written and read.
const VERSION: &str = "v1";

/// Kinds of predicates. Only the first has a version yet; the names of the others are kept for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A model gave an answer.
    Inference,
    /// Data were made from data.
    Preprocessing,
    /// A model was measured on data.
    Evaluation,
    /// A model was made from data.
    Training,
    /// A rule was kept.
    Policy,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::Inference, Self::Preprocessing, Self::Evaluation, Self::Training, Self::Policy];

    fn name(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Preprocessing => "preprocessing",
            Self::Evaluation => "evaluation",
            Self::Training => "training",
            Self::Policy => "policy",
        }
    }
}

/// The predicate type of an inference.
#[must_use]
pub fn inference_type() -> String {
    format!("{PREDICATES}{}:{VERSION}", Kind::Inference.name())
}

/// Refuses every predicate type but that of an inference, and says why.
fn check_predicate_type(found: &str) -> Result<(), String> {
    let shown: String = found.chars().filter(char::is_ascii_graphic).take(120).collect();
    let Some((name, version)) = found.strip_prefix(PREDICATES).and_then(|rest| rest.split_once(':')) else {
        return Err(format!("its predicate `{shown}` is not one of {PREDICATES}…"));
    };
    match Kind::ALL.into_iter().find(|kind| kind.name() == name) {
        Some(Kind::Inference) if version == VERSION => Ok(()),
        Some(Kind::Inference) => Err(format!(
            "its predicate `{shown}` has a version not known here: {VERSION} is. A later zerotell may know it"
        )),
        Some(_) => Err(format!("its predicate `{shown}` is not known to this version of zerotell")),
        None => Err(format!("its predicate `{shown}` is of no known kind")),
    }
}

/// Digests of the proof file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// BLAKE3.
    pub blake3: [u8; 32],
    /// SHA-256, for tools that know no other.
    pub sha256: [u8; 32],
}

impl Subject {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Begun::new(bytes).subject(&[])
    }

    fn json(&self) -> Json {
        let digest = object([("blake3", hex(&self.blake3).into()), ("sha256", hex(&self.sha256).into())]);
        object([("name", SUBJECT.into()), ("digest", digest)])
    }

    fn read(list: Vec<Json>) -> Result<Self, String> {
        let Ok([one]) = <[Json; 1]>::try_from(list) else { return Err("it has not one subject".into()) };
        let mut one = Fields::new(one, "the subject")?;
        if one.text("name")? != SUBJECT {
            return Err(format!("its subject is not named {SUBJECT}"));
        }
        let mut digest = one.inside("digest")?;
        one.end()?;
        let subject = Self { blake3: digest.bytes("blake3")?, sha256: digest.bytes("sha256")? };
        digest.end().map(|()| subject)
    }
}

/// The digests of a proof file whose first bytes many others have too.
#[derive(Clone, Debug)]
pub struct Begun {
    blake3: blake3::Hasher,
    sha256: Sha256,
}

impl Begun {
    /// Begins with these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let (mut blake3, mut sha256) = (blake3::Hasher::new(), Sha256::new());
        blake3.update(bytes);
        sha256.update(bytes);
        Self { blake3, sha256 }
    }

    /// Ends with these.
    #[must_use]
    pub fn subject(&self, rest: &[u8]) -> Subject {
        let Self { mut blake3, mut sha256 } = self.clone();
        blake3.update(rest);
        sha256.update(rest);
        Subject { blake3: *blake3.finalize().as_bytes(), sha256: sha256.finalize().into() }
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// The program that accepted the proof before it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    /// Its version.
    pub version: String,
    /// BLAKE3 of what it was built from, if it knows.
    pub build: Option<[u8; 32]>,
}

impl Verifier {
    fn json(&self) -> Json {
        let name_and_version = [("name", "zerotell".into()), ("version", self.version.clone().into())];
        with(object(name_and_version), "build", self.build.map(|digest| hex(&digest).into()))
    }

    fn read(mut fields: Fields) -> Result<Self, String> {
        if fields.text("name")? != "zerotell" {
            return Err("its verifier is not zerotell".into());
        }
        let version = fields.text("version")?;
        let plain = version.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b));
        if !plain || version.is_empty() || version.len() > limits::VERSION {
            return Err("the version of its verifier is none".into());
        }
        let build = optional_bytes(&mut fields, "build")?;
        fields.end().map(|()| Self { version, build })
    }
}

/// What the signer adds to the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The program that accepted the proof.
    pub verifier: Verifier,
    /// The model's root digest by OpenSSF Model Signing (SHA-256), if the signer names one.
    pub model_signing: Option<[u8; 32]>,
}

/// A statement about one inference proof, with the JSON it is spelled as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The proof file.
    pub subject: Subject,
    /// Digest of the program.
    pub program: [u8; 32],
    /// Identity of the model.
    pub model: [u8; 32],
    /// Salted commitments to what could be guessed.
    pub salted: Salted,
    /// How integers and served numbers relate.
    pub semantics: Semantics,
    /// What the signer adds.
    pub claims: Claims,
    tree: Json,
}

fn with(mut object: Json, key: &str, value: Option<Json>) -> Json {
    if let (Json::Map(map), Some(value)) = (&mut object, value) {
        map.insert(key.to_string(), value);
    }
    object
}

fn optional_bytes(fields: &mut Fields, key: &str) -> Result<Option<[u8; 32]>, String> {
    match fields.maybe(key) {
        None => Ok(None),
        Some(Json::Text(text)) => {
            let wrong = || format!("`{key}` is not 64 lower-case hexadecimal digits");
            crate::json::unhex(&text).map(Some).ok_or_else(wrong)
        }
        Some(_) => Err(format!("`{key}` is no text")),
    }
}

/// The word for how an input is shown.
#[must_use]
pub fn input_word(mode: InputMode) -> &'static str {
    match mode {
        InputMode::Public => "public",
        InputMode::Private => "private",
        InputMode::Committed => "committed",
    }
}

/// The word for a kind of reveal.
#[must_use]
pub fn reveal_word(reveal: &Reveal) -> &'static str {
    match reveal {
        Reveal::Values { .. } => "output",
        Reveal::Label { .. } => "label",
        Reveal::Threshold { .. } => "threshold",
    }
}

fn commitments(facts: &Facts) -> Json {
    list(facts.commitments.iter().map(|one| {
        object([
            ("role", if one.role == Role::Model { "model" } else { "input" }.into()),
            ("identity", hex(&one.identity).into()),
            ("root", hex(&one.root).into()),
            ("links", one.links.into()),
        ])
    }))
}

fn disclosure(facts: &Facts) -> Json {
    object([
        ("inferences", facts.batch.into()),
        ("inputs", list(facts.inputs.iter().map(|mode| input_word(*mode).into()))),
        ("reveals", list(facts.reveals.iter().map(|reveal| reveal_word(reveal).into()))),
        ("zeroKnowledge", facts.zero_knowledge.into()),
    ])
}

fn ranges(facts: &Facts) -> Json {
    match facts.ranges {
        Ranges::Public => object([("state", "public".into())]),
        Ranges::Unproved => object([("state", "unproved".into())]),
        Ranges::Certified { blake3, .. } => {
            object([("state", "certified".into()), ("blake3", hex(&blake3).into())])
        }
    }
}

fn predicate(facts: &Facts, salted: &Salted, claims: &Claims) -> Json {
    let signing = claims.model_signing.map(|digest| object([("sha256", hex(&digest).into())]));
    let weights = if facts.hidden_weights() { "hidden" } else { "public" };
    let model = object([("identity", hex(&facts.model).into()), ("weights", weights.into())]);
    let security = object([
        ("bits", facts.security.bits.into()),
        ("unionBits", facts.security.union_bits.into()),
        ("weakest", facts.security.weakest.into()),
    ]);
    let absent = not_claimed(facts, claims.model_signing.is_some());
    let fields = object([
        ("program", object([("blake3", hex(&facts.program).into())])),
        ("model", with(model, "signing", signing)),
        ("commitments", commitments(facts)),
        ("disclosure", disclosure(facts)),
        ("ranges", ranges(facts)),
        ("salted", salted.json()),
        ("security", security),
        ("semantics", facts.semantics.word().into()),
        ("verifier", claims.verifier.json()),
        (
            "notClaimed",
            list(absent.iter().map(|one| object([("code", one.code.into()), ("text", one.words.into())]))),
        ),
    ]);
    with(fields, "links", facts.links.map(|digest| hex(&digest).into()))
}

impl Statement {
    /// The statement about a proof file with these facts.
    #[must_use]
    pub fn new(facts: &Facts, subject: Subject, salts: &Salts, claims: Claims) -> Self {
        let salted = salts.commit(facts);
        let tree = object([
            ("_type", STATEMENT_TYPE.into()),
            ("predicateType", inference_type().into()),
            ("subject", list([subject.json()])),
            ("predicate", predicate(facts, &salted, &claims)),
        ]);
        let (program, model, semantics) = (facts.program, facts.model, facts.semantics);
        Self { subject, program, model, salted, semantics, claims, tree }
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.tree.canonical()
    }

    /// Reads a payload. What the proof must bear out is compared by [`Statement::agrees`].
    ///
    /// # Errors
    /// When the bytes are not the one spelling of a statement of a known version.
    pub fn decode(payload: &[u8]) -> Outcome<Self> {
        if payload.len() > limits::ENVELOPE {
            return Err(Refused::new(Part::Statement, "it is too large"));
        }
        read(payload).map_err(|why| Refused::new(Part::Statement, why))
    }

    /// Refuses a statement that says anything else than these facts of a proof file with these digests.
    ///
    /// # Errors
    /// With the first field that differs.
    pub fn agrees(&self, facts: &Facts, subject: Subject, salts: &Salts) -> Outcome<()> {
        let honest = Self::new(facts, subject, salts, self.claims.clone());
        match differs(&self.tree, &honest.tree, "") {
            None => Ok(()),
            Some(place) => {
                let why = format!("`{place}` is not what the proof, the salts and the verifier say");
                Err(Refused::new(Part::Statement, why))
            }
        }
    }

    /// The statement's name: BLAKE3(fr("zerotell/record/statement") ‖ fr(payload)). It hides the statement
    /// from who has neither payload nor salts, for it rests on four secrets of 32 bytes.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for part in [b"zerotell/record/statement".as_slice(), &self.encode()] {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            hasher.update(&length.to_le_bytes()).update(part);
        }
        *hasher.finalize().as_bytes()
    }

    /// All of it, as JSON.
    #[must_use]
    pub fn json(&self) -> &Json {
        &self.tree
    }
}

/// The first place where two trees differ.
fn differs(a: &Json, b: &Json, place: &str) -> Option<String> {
    match (a, b) {
        (Json::Map(left), Json::Map(right)) => {
            let keys = left.keys().chain(right.keys().filter(|key| !left.contains_key(*key)));
            keys.filter_map(|key| {
                let dot = if place.is_empty() { "" } else { "." };
                let inner = format!("{place}{dot}{key}");
                match (left.get(key), right.get(key)) {
                    (Some(x), Some(y)) => differs(x, y, &inner),
                    _ => Some(inner),
                }
            })
            .next()
        }
        _ => (a != b).then(|| place.to_string()),
    }
}

fn read(payload: &[u8]) -> Result<Statement, String> {
    let tree = parse(payload)?;
    let mut outer = Fields::new(tree.clone(), "the statement")?;
    if outer.text("_type")? != STATEMENT_TYPE {
        return Err("it is no in-toto Statement of version 1".into());
    }
    check_predicate_type(&outer.text("predicateType")?)?;
    let subject = Subject::read(outer.list("subject")?)?;
    let mut fields = outer.inside("predicate")?;
    outer.end()?;
    let mut program = fields.inside("program")?;
    let digest = program.bytes("blake3")?;
    program.end()?;
    let (model, model_signing) = read_model(fields.inside("model")?)?;
    let word = fields.text("semantics")?;
    let semantics = Semantics::of(&word).ok_or("its semantics is neither exact, served-int nor bounded")?;
    let salted = Salted::read(fields.inside("salted")?)?;
    let verifier = Verifier::read(fields.inside("verifier")?)?;
    read_rest(fields)?;
    let claims = Claims { verifier, model_signing };
    Ok(Statement { subject, program: digest, model, salted, semantics, claims, tree })
}

fn read_model(mut model: Fields) -> Result<([u8; 32], Option<[u8; 32]>), String> {
    let identity = model.bytes("identity")?;
    model.text("weights")?;
    let signing = match model.maybe("signing") {
        None => None,
        Some(value) => {
            let mut signing = Fields::new(value, "signing")?;
            let digest = signing.bytes("sha256")?;
            signing.end()?;
            Some(digest)
        }
    };
    model.end().map(|()| (identity, signing))
}

/// The kinds of the fields that only the proof can bear out.
fn read_rest(mut fields: Fields) -> Result<(), String> {
    for mut one in fields.list("commitments")?.into_iter().map(|one| Fields::new(one, "a commitment")) {
        let one = one.as_mut().map_err(|why| why.clone())?;
        one.text("role")?;
        one.bytes("identity")?;
        one.bytes("root")?;
        one.count("links")?;
    }
    optional_bytes(&mut fields, "links")?;
    let mut disclosure = fields.inside("disclosure")?;
    disclosure.count("inferences")?;
    disclosure.list("inputs")?;
    disclosure.list("reveals")?;
    disclosure.flag("zeroKnowledge")?;
    disclosure.end()?;
    let mut ranges = fields.inside("ranges")?;
    ranges.text("state")?;
    optional_bytes(&mut ranges, "blake3")?;
    ranges.end()?;
    let mut security = fields.inside("security")?;
    security.count("bits")?;
    security.count("unionBits")?;
    security.text("weakest")?;
    security.end()?;
    fields.list("notClaimed")?;
    fields.end()
}
