//! Errors of the command line: whose fault, where, why, and what to do.

use std::fmt;
use std::path::Path;

/// Whose fault it is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller asked for something that cannot be done: exit code 2.
    Misuse,
    /// The world failed (a disk, a damaged file of our own): exit code 3.
    World,
}

/// One thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Stable code; `zerotell explain CODE` tells more.
    pub code: &'static str,
    /// File, flag or node.
    pub place: String,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub fix: String,
}

/// Why a verb did not do its work. It never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whose fault.
    pub fault: Fault,
    /// Everything that was found.
    pub items: Vec<Item>,
}

/// What a verb's step gives.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    fn one(fault: Fault, code: &'static str, place: String, reason: String, fix: String) -> Self {
        Self { fault, items: vec![Item { code, place, reason, fix }] }
    }

    /// The caller's fault.
    pub fn misuse(
        code: &'static str,
        place: impl fmt::Display,
        reason: impl fmt::Display,
        fix: impl fmt::Display,
    ) -> Self {
        Self::one(Fault::Misuse, code, place.to_string(), reason.to_string(), fix.to_string())
    }

    /// The world's fault.
    pub fn world(
        code: &'static str,
        place: impl fmt::Display,
        reason: impl fmt::Display,
        fix: impl fmt::Display,
    ) -> Self {
        Self::one(Fault::World, code, place.to_string(), reason.to_string(), fix.to_string())
    }

    /// A file that cannot be read or written.
    pub fn file(path: &Path, doing: &str, why: &std::io::Error) -> Self {
        let reason = format!("cannot {doing}: {why}");
        if why.kind() == std::io::ErrorKind::NotFound && doing == "read" {
            return Self::misuse(FILE, path.display(), reason, "check the path");
        }
        Self::world(FILE, path.display(), reason, "check the path, its permissions and the space on the disk")
    }

    /// Problems of the importer.
    pub fn import(problems: &[model::Problem]) -> Self {
        let item = |p: &model::Problem| Item {
            code: p.code,
            place: place(p.operator.as_deref().unwrap_or(""), p.node.as_deref().unwrap_or("")),
            reason: p.message.clone(),
            fix: p.fix.clone(),
        };
        Self { fault: Fault::Misuse, items: problems.iter().map(item).collect() }
    }

    /// Problems of the compiler.
    pub fn compile(problems: &[compile::Problem]) -> Self {
        let item = |p: &compile::Problem| Item {
            code: p.code,
            place: place(&p.operator, &p.node),
            reason: p.reason.clone(),
            fix: p.fix.clone(),
        };
        Self { fault: Fault::Misuse, items: problems.iter().map(item).collect() }
    }

    /// 2 or 3.
    pub fn exit_code(&self) -> u8 {
        match self.fault {
            Fault::Misuse => 2,
            Fault::World => 3,
        }
    }

    /// All items as JSON.
    pub fn json(&self) -> serde_json::Value {
        let item = |i: &Item| serde_json::json!({"code": i.code, "place": i.place, "reason": i.reason, "fix": i.fix});
        serde_json::json!({ "errors": self.items.iter().map(item).collect::<Vec<_>>() })
    }
}

fn place(operator: &str, node: &str) -> String {
    match (operator, node) {
        ("", "") => String::new(),
        ("", node) => format!("`{node}`"),
        (operator, node) => format!("{operator} `{node}`"),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.items {
            write!(f, "error {}", item.code)?;
            if !item.place.is_empty() {
                write!(f, " [{}]", item.place)?;
            }
            writeln!(f, ": {}", item.reason)?;
            if !item.fix.is_empty() {
                writeln!(f, "  fix: {}", item.fix)?;
            }
        }
        Ok(())
    }
}

/// A flag or its value.
pub const USAGE: &str = "ZT200";
/// Reading or writing a file.
pub const FILE: &str = "ZT201";
/// A proof file.
pub const PROOF_FILE: &str = "ZT202";
/// A model file.
pub const MODEL_FILE: &str = "ZT203";
/// An input or calibration file.
pub const DATA_FILE: &str = "ZT204";
/// Data that do not fit the model.
pub const DATA_FIT: &str = "ZT205";
/// A key directory.
pub const KEY: &str = "ZT206";
/// The hiding budget.
pub const BUDGET: &str = "ZT207";
/// A key of something else.
pub const OTHER_KEY: &str = "ZT209";
/// A reveal.
pub const REVEAL: &str = "ZT210";
/// A claim that is not true.
pub const FALSE_CLAIM: &str = "ZT211";
/// Float and integer answers differ.
pub const DISAGREEMENT: &str = "ZT212";
/// Randomness.
pub const RANDOM: &str = "ZT213";
/// An identity.
pub const IDENTITY: &str = "ZT214";
/// Memory.
pub const MEMORY: &str = "ZT215";
/// `verify` without a model.
pub const NO_MODEL: &str = "ZT216";
/// The prover refused.
pub const PROVER: &str = "ZT217";
/// Rows.
pub const ROWS: &str = "ZT218";
/// Context.
pub const CONTEXT: &str = "ZT219";
/// A signing key.
pub const SIGNING_KEY: &str = "ZT220";
/// Evidence that cannot be made.
pub const EVIDENCE: &str = "ZT221";
/// A genesis, a checkpoint, a node's configuration or its keys.
pub const NETWORK_FILE: &str = "ZT222";
/// A node that does not run, or does not do what it is asked.
#[cfg(feature = "network")]
pub const NODE: &str = "ZT223";
/// Verdict: the file is not a proof file.
pub const BAD_BYTES: &str = "ZT300";
/// Verdict: the program is refused.
pub const BAD_PROGRAM: &str = "ZT301";
/// Verdict: another model.
pub const BAD_MODEL: &str = "ZT302";
/// Verdict: another input.
pub const BAD_INPUT: &str = "ZT303";
/// Verdict: another context.
pub const BAD_CONTEXT: &str = "ZT304";
/// Verdict: the proof does not show the statement.
pub const BAD_RELATIONS: &str = "ZT305";
/// Verdict: too few bits.
pub const BAD_SECURITY: &str = "ZT306";
/// Verdict: the range certificate is refused.
pub const BAD_RANGES: &str = "ZT307";
/// Verdict: the manifest is refused.
pub const BAD_MANIFEST: &str = "ZT308";

/// Verdict: no links from the identity to what the proof opens.
pub const BAD_LINKS: &str = "ZT309";

/// Verdict: the evidence file is not well formed.
pub const BAD_EVIDENCE: &str = "ZT310";
/// Verdict: the signature is refused.
pub const BAD_SIGNATURE: &str = "ZT311";
/// Verdict: the signed statement is refused.
pub const BAD_STATEMENT: &str = "ZT312";
/// Verdict: the report is refused.
pub const BAD_REPORT: &str = "ZT313";
/// Verdict: an annex of the network is refused.
pub const BAD_ANNEX: &str = "ZT314";
/// Verdict: a network's certificate is refused.
pub const BAD_CERTIFICATE: &str = "ZT315";

/// Long texts of the codes made here.
pub const CODES: &[(&str, &str)] = &[
    (
        USAGE,
        "A flag is missing, unknown, or has a value that cannot be used. The message names it. `zerotell VERB --help` lists all flags of a verb.",
    ),
    (FILE, "A file or directory could not be read or written. The message gives the system's reason."),
    (
        PROOF_FILE,
        "The file is not a proof file (.ztp): it does not start with the right name, has an unknown version, or its length is wrong. Ask for the file again; compare sizes.",
    ),
    (
        MODEL_FILE,
        "The file is not a model file (.ztm). `zerotell commit` writes one (`model.ztm`) for verifiers; an ONNX file is something else.",
    ),
    (
        DATA_FILE,
        "The data file could not be understood. Accepted: .npz and .npy (numbers and truth values, no pickled objects), .json (nested lists, or an object of them by input name), .csv (one row per line).",
    ),
    (
        DATA_FIT,
        "The data do not have the shape the model wants. An array may have one leading axis of rows before or in place of the model's batch axis of length 1.",
    ),
    (
        KEY,
        "The key directory is missing a file, is damaged, or is open to other users. Nothing is ever proved with a damaged key. Restore it from a copy made AFTER the last proof, or commit the model again with a fresh key, which makes a new model ID. A copy made before the last proof must not be used: openings counted since then would be used twice.",
    ),
    (
        BUDGET,
        "A committed model or input hides its values for a fixed number of openings only; each proof uses up one. The count is written before proving, so a proof that was started counts. Normally `prove` goes on by itself: it commits the same values afresh and links the new commitment to the ID. A commitment with room for fewer than 4 openings cannot do that: commit again with a fresh key (this makes a new ID) and `--openings N`.",
    ),
    (
        OTHER_KEY,
        "The key directory was made for another model, other options or other calibration data than those given. Use the directory that belongs to the model, or another empty one.",
    ),
    (
        REVEAL,
        "What to reveal was not understood. `--reveal output` shows all output values, `--reveal label` only the index and name of the largest, `--reveal \"out[0]>=0.5\"` only that this is so. Several may be given.",
    ),
    (FALSE_CLAIM, "The statement asked for is not true of this input, so there is no proof of it."),
    (
        DISAGREEMENT,
        "The integer program, which is what gets proved, gives another answer here than the float model. A proof would be sound, but it would show the integer program's answer. More precision (`--precision 16`) usually cures it; `--allow-disagreement` proves the integer answer anyway.",
    ),
    (RANDOM, "The system gave no random bytes. Nothing is proved without them."),
    (
        IDENTITY,
        "An ID has a checksum; a mistyped one is refused. Model IDs start with zt1, input IDs with zti1.",
    ),
    (MEMORY, "The proof would need more memory than this machine has. Fewer rows per proof need less."),
    (
        NO_MODEL,
        "A proof is about a model, and anyone can make a model. Without the identity of the model you have in mind, an accepted proof says nothing. Give the ID that the model's owner published (`--model zt1…`) or the owner's model file (`--model file.ztm`). `--any-model` accepts any model and says so in the verdict.",
    ),
    (PROVER, "The prover refused the program or the values. The message says what."),
    (
        ROWS,
        "The data hold several rows. Say which to prove: `--rows 3`, `--rows 0..4` (four rows, in one proof), or `--batch` for all.",
    ),
    (CONTEXT, "The context of a proof is at most 4096 bytes, quotes included."),
    (
        SIGNING_KEY,
        "The signing key could not be read or written. `zerotell key new DIR` makes one: a PKCS#8 PEM file of mode 0600 in a directory of mode 0700, never over another one. Keys are P-256 or Ed25519. `verify --key` takes the public half.",
    ),
    (
        NETWORK_FILE,
        "The file is no genesis of a network, no checkpoint, or one that is too old, no configuration of a node, or its keys cannot be used. A genesis says who the first validators are: take it only from somebody you trust. `zerotell fetch checkpoint PIN`, once a week, keeps a pinned checkpoint young.",
    ),
    (
        "ZT223",
        "The node does not answer, does not start, or refuses what it was asked; the message gives its words. `zerotell node run` starts one, `zerotell net up` a whole network on this machine.",
    ),
    (
        BAD_CERTIFICATE,
        "Verdict: the certificate is damaged, neither rests on the trusted checkpoint nor passes through it, was not signed by the network's validators, or the checkpoint is too old. The line says which, and what to do: `zerotell fetch certificate` fetches one anew, `zerotell fetch checkpoint` keeps a pinned checkpoint young.",
    ),
    (
        EVIDENCE,
        "No evidence is made of a proof that is refused, or of parts that do not belong to it: the message names the check. `zerotell verify PROOF` says the same.",
    ),
    (BAD_BYTES, "Verdict: the file is not a well-formed proof file; it is damaged, cut short or extended."),
    (
        BAD_PROGRAM,
        "Verdict: the program in the file breaks a rule of the format, or the statement is about another program.",
    ),
    (BAD_MODEL, "Verdict: the proof is about another model than the one asked for."),
    (
        BAD_INPUT,
        "Verdict: the proof is not about the input asked for, or it keeps its input private so that this cannot be told.",
    ),
    (
        BAD_CONTEXT,
        "Verdict: the proof was made for another occasion: another asker, nonce, end of validity or text.",
    ),
    (
        BAD_RELATIONS,
        "Verdict: the proof does not show its statement. The statement or the proof was changed, or the claim is false.",
    ),
    (BAD_SECURITY, "Verdict: the parameters of the program prove fewer than 100 bits."),
    (
        BAD_MANIFEST,
        "Verdict: the manifest of a split batch is damaged or incomplete, a file it lists is missing or another one, or a proof is not about the rows it is listed for. All proofs must lie beside the manifest under their own names.",
    ),
    (
        BAD_RANGES,
        "Verdict: the range certificate is damaged, about another model, incomplete, or does not show that the hidden weights lie in their declared intervals. It is the file of --ranges, or a .ztr file beside the model file. Without it the proof may still hold over F_p: leave --ranges out to see.",
    ),
    (
        BAD_EVIDENCE,
        "Verdict: the evidence file is damaged, or not spelled the one way that evidence files are: a member is missing, added, renamed, out of order or too large, or something is hidden between members. Unpacking and packing it again breaks it; ask for the file as it was made.",
    ),
    (
        BAD_SIGNATURE,
        "Verdict: the signature in the evidence is not good, is by another key than the one of --key, or the key in the file is damaged. Nothing else in the file was looked at.",
    ),
    (
        BAD_STATEMENT,
        "Verdict: what was signed is not what the proof in the file shows, or is of a version not known here. The line names the field.",
    ),
    (
        BAD_REPORT,
        "Verdict: report.html in the evidence says something else than the checked parts do, or was made by another version of zerotell. The proof and the statement were checked and hold; `--report FILE` writes a true page.",
    ),
    (
        BAD_ANNEX,
        "Verdict: the network's certificate in the evidence is refused, or no network was named to check it with. `zerotell fetch certificate EVIDENCE.zte -o NEW.zte` puts a new one in the place of one that is older than your checkpoint.",
    ),
    (
        BAD_LINKS,
        "Verdict: the proof opens a later commitment of the model or input, and the links in the file do not lead to it from the identity: they are missing, changed, about something else, or not proved.",
    ),
];
