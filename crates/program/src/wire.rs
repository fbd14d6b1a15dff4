//! Canonical bytes: one spelling for every Program and Statement.
//!
//! All numbers are little endian, `i64` is two's complement. `list` is a `u32` count and the items;
//! `fr` is a `u64` length and the bytes; `opt` is a `u8` 0, or 1 and the item; `form`, `view`, `map`
//! are below. Trailing bytes are refused, and so is every other spelling.
//!
//! | Program | bytes |
//! |---|---|
//! | start | `"ZTPG"`, `u16` 2 |
//! | parameters | `u8` lambda, `u8` grind, `u8` limb bits, rung of Z, list rung of inner oracles, `u16` longest last vector, `u8` rate of E |
//! | tensors | list: `u8` home (0 const, 1 ones, 2 input, 3 model), list `u32` axes, `i64` lo, `i64` hi, 32-byte content digest (const; else zero) |
//! | model oracle | opt: `u32` rows, `u8` log c, opt `u8` log t, `u8` log n |
//! | tables | list: list (`i64` lo, `u32` count) keys, list form outs |
//! | operators | list: `u8` code, list `u32` axes, fields below |
//! | outputs | list `u32` |
//! | metadata | fr |
//!
//! | operator | fields |
//! |---|---|
//! | 1 check | form, `u8` bits |
//! | 2 table | `u32` table, list form keys |
//! | 3 commit | contraction |
//! | 4 round | opt contraction, scale, form extra, `u8` shift, `u8` half to even, domain, opt `u32` table |
//! | 5 split | form, `u8` bits |
//!
//! rung: `u8` rows, `u8` rate. contraction: list `u32` sum axes, form a, form b, form c. scale: `u8` 0, `i64`; or `u8` 1,
//! `u8` axis, list `i64`. domain: `u8` 0, `i64` lo, `u8` bits; or `u8` 1, `i64` lo, `u8` low bits,
//! `u8` high bits. form: list (`i64` multiplier, view). view: `u32` tensor, list map.
//!
//! | map | fields |
//! |---|---|
//! | 0 fix | `i64` at |
//! | 1 aff | `u8` axis, `i64` step, `i64` off |
//! | 2 win | `u8` a, `u8` b, `i64` step, `i64` dil, `i64` off |
//! | 3 join | `u8` a, `u8` b, `u32` m |
//! | 5 gather | `u8` axis, list `u32` |
//! | 6 sum | |
//! | 7 mat | `u8` axis, `u32` rows, `u32` cols, rows * cols `i64` |
//! | 8 pool | `u8` axis, `i64` step, `i64` dil, `i64` off, `u32` m |
//!
//! Contents follow the Program where they travel with it: per const tensor a `u8` width (1, 2, 4
//! or 8, the least that holds all entries) and the entries in that width, two's complement.
//!
//! | Statement | bytes |
//! |---|---|
//! | start | `"ZTST"`, `u16` 1 |
//! | program | 32-byte digest |
//! | mode | `u8` zero knowledge, `u32` batch |
//! | inputs | list `u8` mode (0 public, 1 private, 2 committed) |
//! | reveals | list: `u8` 0, `u32` output (values); `u8` 1, `u32` output (label); `u8` 2, `u32` output, `u32` index, `u8` at least, `i64` bound (threshold) |
//! | oracles | list of 32-byte identities, list of 32-byte roots, as many |
//! | link | 32-byte digest of the links, zero if there are none |
//! | slots | list of list `i64` |
//! | context | fr |

use std::fmt;

use crate::limits;
use crate::types::{
    Contraction, Disclosure, Domain, Form, Home, InputMode, Ladder, Map, Operator, OracleParams, Program,
    Reveal, Round, Rung, Scale, Table, Tensor, View,
};

const PROGRAM_MAGIC: &[u8; 4] = b"ZTPG";
const STATEMENT_MAGIC: &[u8; 4] = b"ZTST";
/// Version of a Program's bytes; others are refused.
pub const PROGRAM_VERSION: u16 = 3;
/// Version of a Statement's bytes; others are refused.
pub const STATEMENT_VERSION: u16 = 1;

/// What one proof says in public, besides the Program itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// [`Program::digest`] of the Program.
    pub program_digest: [u8; 32],
    /// Whether the proof hides its secrets.
    pub zk: bool,
    /// Number of inferences, at least 1.
    pub batch: u32,
    /// What is shown.
    pub disclosure: Disclosure,
    /// Identities of the long-term oracles opened: M, then X_0, X_1, …
    pub identity: Vec<[u8; 32]>,
    /// Roots opened, in the same order.
    pub roots: Vec<[u8; 32]>,
    /// Digest of the links from identities to roots; zero if all roots are the identities' own.
    pub link: [u8; 32],
    /// Slot contents: public inputs in tensor order, then values and labels in order of reveals.
    pub slots: Vec<Vec<i64>>,
    /// Free bytes the proof is bound to.
    pub context: Vec<u8>,
}

/// Bytes that spell no Program or Statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Where reading stopped.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.offset, self.what)
    }
}

impl std::error::Error for DecodeError {}

// ---- digests ----

fn frame(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
    hasher.update(bytes);
}

fn count_bytes(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes()
}

/// Digest of a const tensor: H(fr("zerotell/public") ‖ list u32 axes ‖ i64 entries, row-major).
#[must_use]
pub fn content_digest(axes: &[u32], content: &[i64]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    frame(&mut hasher, b"zerotell/public");
    hasher.update(&count_bytes(axes.len()));
    axes.iter().for_each(|axis| {
        hasher.update(&axis.to_le_bytes());
    });
    let mut buffer = vec![[0; 8]; content.len().min(1 << 12)];
    for part in content.chunks(1 << 12) {
        buffer.iter_mut().zip(part).for_each(|(bytes, entry)| *bytes = entry.to_le_bytes());
        hasher.update(buffer.get(..part.len()).unwrap_or_default().as_flattened());
    }
    *hasher.finalize().as_bytes()
}

impl Program {
    /// The Program's name: H(fr("zerotell/program") ‖ canonical bytes without contents).
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        frame(&mut hasher, b"zerotell/program");
        hasher.update(&encode(self));
        *hasher.finalize().as_bytes()
    }
}

/// The name of a model: H(fr("zerotell/model") ‖ program digest ‖ list of oracle identities).
#[must_use]
pub fn model_id(program_digest: &[u8; 32], oracle_ids: &[[u8; 32]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    frame(&mut hasher, b"zerotell/model");
    hasher.update(program_digest);
    hasher.update(&count_bytes(oracle_ids.len()));
    oracle_ids.iter().for_each(|id| {
        hasher.update(id);
    });
    *hasher.finalize().as_bytes()
}

// ---- writing ----

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn i64s(&mut self, values: &[i64]) {
        values.iter().for_each(|&value| self.i64(value));
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Writer, &T)) {
        self.0.extend_from_slice(&count_bytes(items.len()));
        items.iter().for_each(|item| write(self, item));
    }

    fn option<T>(&mut self, item: Option<&T>, write: impl FnOnce(&mut Writer, &T)) {
        self.u8(u8::from(item.is_some()));
        if let Some(item) = item {
            write(self, item);
        }
    }

    fn framed(&mut self, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn u32s(&mut self, values: &[u32]) {
        self.list(values, |w, value| w.u32(*value));
    }

    fn tensor(&mut self, tensor: &Tensor) {
        self.u8(match tensor.home {
            Home::Const => 0,
            Home::Ones => 1,
            Home::Input => 2,
            Home::Model => 3,
        });
        self.u32s(&tensor.axes);
        self.i64(tensor.lo);
        self.i64(tensor.hi);
        let digest = match tensor.home {
            Home::Const => content_digest(&tensor.axes, &tensor.content),
            _ => [0; 32],
        };
        self.0.extend_from_slice(&digest);
    }

    fn rung(&mut self, rung: &Rung) {
        self.u8(rung.rows);
        self.u8(rung.rate);
    }

    fn ladder(&mut self, ladder: &Ladder) {
        self.rung(&ladder.fresh);
        self.list(&ladder.inner, Writer::rung);
        self.0.extend_from_slice(&ladder.last_max.to_le_bytes());
        self.rung(&ladder.end);
    }

    fn params(&mut self, params: &OracleParams) {
        self.u32(params.rows);
        self.u8(params.log_c);
        self.option(params.log_t.as_ref(), |w, t| w.u8(*t));
        self.u8(params.log_n);
    }

    fn map(&mut self, map: &Map) {
        match map {
            Map::Fix { at } => {
                self.u8(0);
                self.i64(*at);
            }
            Map::Aff { axis, step, off } => {
                self.0.extend_from_slice(&[1, *axis]);
                self.i64s(&[*step, *off]);
            }
            Map::Win { a, b, step, dil, off } => {
                self.0.extend_from_slice(&[2, *a, *b]);
                self.i64s(&[*step, *dil, *off]);
            }
            Map::Join { a, b, m } => {
                self.0.extend_from_slice(&[3, *a, *b]);
                self.u32(*m);
            }
            Map::Gather { axis, indices } => {
                self.0.extend_from_slice(&[5, *axis]);
                self.u32s(indices);
            }
            Map::Sum => self.u8(6),
            Map::Mat { axis, rows, cols, weights } => {
                self.0.extend_from_slice(&[7, *axis]);
                self.u32(*rows);
                self.u32(*cols);
                self.i64s(weights);
            }
            Map::Pool { axis, step, dil, off, m } => {
                self.0.extend_from_slice(&[8, *axis]);
                self.i64s(&[*step, *dil, *off]);
                self.u32(*m);
            }
        }
    }

    fn form(&mut self, form: &Form) {
        self.list(&form.0, |w, (coef, view)| {
            w.i64(*coef);
            w.u32(view.tensor);
            w.list(&view.maps, Writer::map);
        });
    }

    fn table(&mut self, table: &Table) {
        self.list(&table.keys, |w, (lo, count)| {
            w.i64(*lo);
            w.u32(*count);
        });
        self.list(&table.outs, Writer::form);
    }

    fn contraction(&mut self, contraction: &Contraction) {
        self.u32s(&contraction.sum);
        self.form(&contraction.a);
        self.form(&contraction.b);
        self.form(&contraction.c);
    }

    fn operator(&mut self, operator: &Operator) {
        let code = match operator {
            Operator::Check { .. } => 1,
            Operator::Table { .. } => 2,
            Operator::Commit { .. } => 3,
            Operator::Round(_) => 4,
            Operator::Split { .. } => 5,
        };
        self.u8(code);
        self.u32s(crate::analyse::axes_of_operator(operator));
        match operator {
            Operator::Check { form, bits, .. } | Operator::Split { form, bits, .. } => {
                self.form(form);
                self.u8(*bits);
            }
            Operator::Table { table, keys, .. } => {
                self.u32(*table);
                self.list(keys, Writer::form);
            }
            Operator::Commit { contraction, .. } => self.contraction(contraction),
            Operator::Round(round) => self.round(round),
        }
    }

    fn round(&mut self, round: &Round) {
        self.option(round.contraction.as_ref(), Writer::contraction);
        match &round.scale {
            Scale::One(m) => {
                self.u8(0);
                self.i64(*m);
            }
            Scale::Axis(axis, list) => {
                self.0.extend_from_slice(&[1, *axis]);
                self.list(list, |w, m| w.i64(*m));
            }
        }
        self.form(&round.extra);
        self.u8(round.shift);
        self.u8(u8::from(round.half_even));
        match &round.domain {
            Domain::Narrow { lo, bits } => {
                self.u8(0);
                self.i64(*lo);
                self.u8(*bits);
            }
            Domain::Wide { lo, low_bits, high_bits } => {
                self.u8(1);
                self.i64(*lo);
                self.0.extend_from_slice(&[*low_bits, *high_bits]);
            }
        }
        self.option(round.table.as_ref(), |w, table| w.u32(*table));
    }

    fn content(&mut self, content: &[i64]) {
        let width = width_of(content);
        self.u8(u8::try_from(width).unwrap_or(8));
        for entry in content {
            let bytes = entry.to_le_bytes();
            self.0.extend_from_slice(bytes.get(..width).unwrap_or(&bytes));
        }
    }

    fn reveal(&mut self, reveal: &Reveal) {
        match reveal {
            Reveal::Values { output } => {
                self.u8(0);
                self.u32(*output);
            }
            Reveal::Label { output } => {
                self.u8(1);
                self.u32(*output);
            }
            Reveal::Threshold { output, index, at_least, bound } => {
                self.u8(2);
                self.u32(*output);
                self.u32(*index);
                self.u8(u8::from(*at_least));
                self.i64(*bound);
            }
        }
    }
}

/// Least number of bytes that holds every entry.
fn width_of(content: &[i64]) -> usize {
    let (lo, hi) = content.iter().fold((0i64, 0i64), |(lo, hi), &e| (lo.min(e), hi.max(e)));
    if i8::try_from(lo).is_ok() && i8::try_from(hi).is_ok() {
        1
    } else if i16::try_from(lo).is_ok() && i16::try_from(hi).is_ok() {
        2
    } else if i32::try_from(lo).is_ok() && i32::try_from(hi).is_ok() {
        4
    } else {
        8
    }
}

/// Canonical bytes of a Program without the contents of const tensors. Its digest is taken of these.
#[must_use]
pub fn encode(program: &Program) -> Vec<u8> {
    let mut w = Writer::default();
    w.0.extend_from_slice(PROGRAM_MAGIC);
    w.0.extend_from_slice(&PROGRAM_VERSION.to_le_bytes());
    w.0.extend_from_slice(&[program.lambda, program.grind, program.limb_bits]);
    w.ladder(&program.ladder);
    w.list(&program.tensors, Writer::tensor);
    w.option(program.model_oracle.as_ref(), Writer::params);
    w.list(&program.tables, Writer::table);
    w.list(&program.operators, Writer::operator);
    w.u32s(&program.outputs);
    w.framed(&program.metadata);
    w.0
}

/// Canonical bytes of a Program, then the contents of its const tensors.
#[must_use]
pub fn encode_with_contents(program: &Program) -> Vec<u8> {
    let mut w = Writer(encode(program));
    let constants = program.tensors.iter().filter(|tensor| tensor.home == Home::Const);
    constants.for_each(|tensor| w.content(&tensor.content));
    w.0
}

/// Canonical bytes of a Statement.
#[must_use]
pub fn encode_statement(statement: &Statement) -> Vec<u8> {
    let mut w = Writer::default();
    w.0.extend_from_slice(STATEMENT_MAGIC);
    w.0.extend_from_slice(&STATEMENT_VERSION.to_le_bytes());
    w.0.extend_from_slice(&statement.program_digest);
    w.u8(u8::from(statement.zk));
    w.u32(statement.batch);
    w.list(&statement.disclosure.inputs, |w, mode| {
        w.u8(match mode {
            InputMode::Public => 0,
            InputMode::Private => 1,
            InputMode::Committed => 2,
        });
    });
    w.list(&statement.disclosure.reveals, Writer::reveal);
    w.list(&statement.identity, |w, id| w.0.extend_from_slice(id));
    w.list(&statement.roots, |w, root| w.0.extend_from_slice(root));
    w.0.extend_from_slice(&statement.link);
    w.list(&statement.slots, |w, slot| w.list(slot, |w, value| w.i64(*value)));
    w.framed(&statement.context);
    w.0
}

// ---- reading ----

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
    /// Entries of contents, gather lists, matrices and multipliers read so far.
    entries: u64,
}

type Read<T> = Result<T, DecodeError>;

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, offset: 0, entries: 0 }
    }

    fn fail<T>(&self, what: &'static str) -> Read<T> {
        Err(DecodeError { offset: self.offset, what })
    }

    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let end = self.offset.checked_add(count);
        match end.and_then(|end| self.bytes.get(self.offset..end)) {
            Some(bytes) => {
                self.offset = self.offset.saturating_add(count);
                Ok(bytes)
            }
            None => self.fail("the bytes end too early"),
        }
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let offset = self.offset;
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| DecodeError { offset, what: "the bytes end too early" })
    }

    fn u8(&mut self) -> Read<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn i64(&mut self) -> Read<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    fn flag(&mut self) -> Read<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => self.fail("a flag is neither 0 nor 1"),
        }
    }

    /// A list of items. Nothing is allocated ahead: every item takes at least one byte.
    fn list<T>(&mut self, most: u64, mut read: impl FnMut(&mut Reader<'a>) -> Read<T>) -> Read<Vec<T>> {
        let count = self.u32()?;
        if u64::from(count) > most {
            return self.fail("a list is longer than its limit");
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Reader<'a>) -> Read<T>) -> Read<Option<T>> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    fn framed(&mut self, most: u64) -> Read<Vec<u8>> {
        let length = u64::from_le_bytes(self.array()?);
        match usize::try_from(length) {
            Ok(length) if u64::try_from(length).is_ok_and(|l| l <= most) => Ok(self.take(length)?.to_vec()),
            _ => self.fail("a byte string is longer than its limit"),
        }
    }

    fn magic(&mut self, magic: &[u8; 4], version: u16) -> Read<()> {
        if self.array::<4>()? != *magic {
            return self.fail("these bytes do not start with the right name");
        }
        if u16::from_le_bytes(self.array()?) != version {
            return self.fail("this version is not known: another release of Zerotell wrote it");
        }
        Ok(())
    }

    fn end(&self) -> Read<()> {
        if self.offset == self.bytes.len() { Ok(()) } else { self.fail("bytes follow the end") }
    }

    /// Counts entries of long lists against their common limit.
    fn spend(&mut self, count: u64) -> Read<usize> {
        self.entries = self.entries.saturating_add(count);
        match usize::try_from(count) {
            Ok(count) if self.entries <= limits::ENTRIES => Ok(count),
            _ => self.fail("the Program has too many entries"),
        }
    }

    /// `count` entries of `width` bytes, two's complement.
    fn entries(&mut self, count: u64, width: usize) -> Read<Vec<i64>> {
        let count = self.spend(count)?;
        let bytes = self.take(count.saturating_mul(width))?;
        let entry = |part: &[u8]| {
            let negative = part.last().is_some_and(|&top| top >= 0x80);
            let mut full = [if negative { 0xff } else { 0 }; 8];
            full.iter_mut().zip(part).for_each(|(to, &from)| *to = from);
            i64::from_le_bytes(full)
        };
        Ok(bytes.chunks_exact(width.max(1)).map(entry).collect())
    }

    fn u32s(&mut self, most: u64) -> Read<Vec<u32>> {
        self.list(most, Reader::u32)
    }

    fn axes(&mut self) -> Read<Vec<u32>> {
        self.u32s(limits::AXES)
    }

    /// A tensor without content, and the digest of its content.
    fn tensor(&mut self) -> Read<(Tensor, [u8; 32])> {
        let home = match self.u8()? {
            0 => Home::Const,
            1 => Home::Ones,
            2 => Home::Input,
            3 => Home::Model,
            _ => return self.fail("unknown home of a tensor"),
        };
        let (axes, lo, hi) = (self.axes()?, self.i64()?, self.i64()?);
        let digest = self.array::<32>()?;
        if home != Home::Const && digest != [0; 32] {
            return self.fail("only const tensors have a content digest");
        }
        Ok((Tensor { home, axes, lo, hi, content: [].into() }, digest))
    }

    fn params(&mut self) -> Read<OracleParams> {
        let (rows, log_c) = (self.u32()?, self.u8()?);
        let log_t = self.option(Reader::u8)?;
        Ok(OracleParams { rows, log_c, log_t, log_n: self.u8()? })
    }

    fn map(&mut self) -> Read<Map> {
        Ok(match self.u8()? {
            0 => Map::Fix { at: self.i64()? },
            1 => Map::Aff { axis: self.u8()?, step: self.i64()?, off: self.i64()? },
            2 => {
                let (a, b) = (self.u8()?, self.u8()?);
                Map::Win { a, b, step: self.i64()?, dil: self.i64()?, off: self.i64()? }
            }
            3 => Map::Join { a: self.u8()?, b: self.u8()?, m: self.u32()? },
            5 => {
                let axis = self.u8()?;
                let indices = self.u32s(limits::POSITIONS)?;
                self.spend(u64::try_from(indices.len()).unwrap_or(u64::MAX))?;
                Map::Gather { axis, indices }
            }
            6 => Map::Sum,
            7 => {
                let (axis, rows, cols) = (self.u8()?, self.u32()?, self.u32()?);
                let weights = self.entries(u64::from(rows).saturating_mul(u64::from(cols)), 8)?;
                Map::Mat { axis, rows, cols, weights }
            }
            8 => {
                let (axis, step, dil, off) = (self.u8()?, self.i64()?, self.i64()?, self.i64()?);
                Map::Pool { axis, step, dil, off, m: self.u32()? }
            }
            _ => return self.fail("unknown kind of a map"),
        })
    }

    fn form(&mut self) -> Read<Form> {
        let term = |r: &mut Reader<'a>| {
            let coef = r.i64()?;
            let tensor = r.u32()?;
            Ok((coef, View { tensor, maps: r.list(limits::AXES, Reader::map)? }))
        };
        Ok(Form(self.list(limits::TERMS, term)?))
    }

    fn table(&mut self) -> Read<Table> {
        let keys = self.list(limits::COORDINATES, |r| Ok((r.i64()?, r.u32()?)))?;
        Ok(Table { keys, outs: self.list(limits::COORDINATES, Reader::form)? })
    }

    fn contraction(&mut self) -> Read<Contraction> {
        Ok(Contraction { sum: self.axes()?, a: self.form()?, b: self.form()?, c: self.form()? })
    }

    fn operator(&mut self) -> Read<Operator> {
        let code = self.u8()?;
        let axes = self.axes()?;
        Ok(match code {
            1 => Operator::Check { axes, form: self.form()?, bits: self.u8()? },
            2 => {
                let table = self.u32()?;
                Operator::Table { axes, table, keys: self.list(limits::COORDINATES, Reader::form)? }
            }
            3 => Operator::Commit { axes, contraction: self.contraction()? },
            4 => Operator::Round(self.round(axes)?),
            5 => Operator::Split { axes, form: self.form()?, bits: self.u8()? },
            _ => return self.fail("unknown code of an operator"),
        })
    }

    fn round(&mut self, axes: Vec<u32>) -> Read<Round> {
        let contraction = self.option(Reader::contraction)?;
        let scale = match self.u8()? {
            0 => Scale::One(self.i64()?),
            1 => {
                let axis = self.u8()?;
                let list = self.list(limits::POSITIONS, Reader::i64)?;
                self.spend(u64::try_from(list.len()).unwrap_or(u64::MAX))?;
                Scale::Axis(axis, list)
            }
            _ => return self.fail("unknown kind of a multiplier"),
        };
        let (extra, shift, half_even) = (self.form()?, self.u8()?, self.flag()?);
        let domain = match self.u8()? {
            0 => Domain::Narrow { lo: self.i64()?, bits: self.u8()? },
            1 => Domain::Wide { lo: self.i64()?, low_bits: self.u8()?, high_bits: self.u8()? },
            _ => return self.fail("unknown kind of a domain"),
        };
        let table = self.option(Reader::u32)?;
        Ok(Round { axes, contraction, scale, extra, shift, half_even, domain, table })
    }

    fn rung(&mut self) -> Read<Rung> {
        Ok(Rung { rows: self.u8()?, rate: self.u8()? })
    }

    fn ladder(&mut self) -> Read<Ladder> {
        let (fresh, inner) = (self.rung()?, self.list(limits::RUNGS, Reader::rung)?);
        Ok(Ladder { fresh, inner, last_max: u16::from_le_bytes(self.array()?), end: self.rung()? })
    }

    fn program(&mut self) -> Read<(Program, Vec<[u8; 32]>)> {
        self.magic(PROGRAM_MAGIC, PROGRAM_VERSION)?;
        let (lambda, grind, limb_bits) = (self.u8()?, self.u8()?, self.u8()?);
        let ladder = self.ladder()?;
        let (tensors, digests) = self.list(limits::TENSORS, Reader::tensor)?.into_iter().unzip();
        let model_oracle = self.option(Reader::params)?;
        let tables = self.list(limits::TABLES, Reader::table)?;
        let operators = self.list(limits::OPERATORS, Reader::operator)?;
        let outputs = self.u32s(limits::OUTPUTS)?;
        let metadata = self.framed(limits::METADATA)?;
        let program = Program {
            lambda,
            grind,
            limb_bits,
            ladder,
            tensors,
            model_oracle,
            tables,
            operators,
            outputs,
            metadata,
        };
        Ok((program, digests))
    }

    fn content(&mut self, axes: &[u32], digest: &[u8; 32]) -> Read<Vec<i64>> {
        let count = axes.iter().fold(1u64, |product, &axis| product.saturating_mul(u64::from(axis)));
        let width = match self.u8()? {
            width @ (1 | 2 | 4 | 8) => usize::from(width),
            _ => return self.fail("the width of a content is not 1, 2, 4 or 8"),
        };
        let content = self.entries(count, width)?;
        if width_of(&content) != width {
            return self.fail("a content is wider than it needs to be");
        }
        if content_digest(axes, &content) != *digest {
            return self.fail("a content does not match its digest");
        }
        Ok(content)
    }

    fn reveal(&mut self) -> Read<Reveal> {
        Ok(match self.u8()? {
            0 => Reveal::Values { output: self.u32()? },
            1 => Reveal::Label { output: self.u32()? },
            2 => {
                let (output, index) = (self.u32()?, self.u32()?);
                Reveal::Threshold { output, index, at_least: self.flag()?, bound: self.i64()? }
            }
            _ => return self.fail("unknown kind of a reveal"),
        })
    }

    fn input_mode(&mut self) -> Read<InputMode> {
        Ok(match self.u8()? {
            0 => InputMode::Public,
            1 => InputMode::Private,
            2 => InputMode::Committed,
            _ => return self.fail("unknown mode of an input"),
        })
    }

    fn slot(&mut self) -> Read<Vec<i64>> {
        let count = u64::from(self.u32()?);
        self.entries = self.entries.saturating_add(count);
        if self.entries > limits::SLOT_VALUES {
            return self.fail("the Statement has too many slot values");
        }
        let length = usize::try_from(count).ok().and_then(|count| count.checked_mul(8));
        let bytes = self.take(length.unwrap_or(usize::MAX))?;
        let value = |part: &[u8]| part.try_into().map_or(0, i64::from_le_bytes);
        Ok(bytes.chunks_exact(8).map(value).collect())
    }
}

/// Reads a Program with the contents of its const tensors. The rules of [`mod@crate::validate`] are
/// not checked here.
///
/// # Errors
/// [`DecodeError`] at the first byte that cannot be part of the canonical spelling of a Program.
pub fn decode(bytes: &[u8]) -> Result<Program, DecodeError> {
    let mut reader = Reader::new(bytes);
    let (mut program, digests) = reader.program()?;
    for (tensor, digest) in program.tensors.iter_mut().zip(&digests) {
        if tensor.home == Home::Const {
            tensor.content = reader.content(&tensor.axes, digest)?.into();
        }
    }
    reader.end()?;
    Ok(program)
}

/// Reads a Statement.
///
/// # Errors
/// [`DecodeError`] at the first byte that cannot be part of the canonical spelling of a Statement.
pub fn decode_statement(bytes: &[u8]) -> Result<Statement, DecodeError> {
    let mut r = Reader::new(bytes);
    r.magic(STATEMENT_MAGIC, STATEMENT_VERSION)?;
    let (program_digest, zk, batch) = (r.array()?, r.flag()?, r.u32()?);
    if batch == 0 || u64::from(batch) > limits::BATCH {
        return r.fail("the batch size is 0 or too large");
    }
    let inputs = r.list(limits::TENSORS, Reader::input_mode)?;
    let reveals = r.list(limits::REVEALS, Reader::reveal)?;
    let identity = r.list(limits::ORACLES, Reader::array)?;
    let roots = r.list(limits::ORACLES, Reader::array)?;
    if roots.len() != identity.len() {
        return r.fail("there must be as many roots as identities");
    }
    let link = r.array()?;
    let most = limits::TENSORS.saturating_add(limits::REVEALS);
    let slots = r.list(most, Reader::slot)?;
    let context = r.framed(limits::CONTEXT)?;
    r.end()?;
    let disclosure = Disclosure { inputs, reveals };
    Ok(Statement { program_digest, zk, batch, disclosure, identity, roots, link, slots, context })
}
