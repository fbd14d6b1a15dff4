//! The range certificate of a model: Programs that prove the declared interval of every private
//! parameter (spec J1-J6).
//!
//! They follow from the model's Program alone and read the same long-term oracle: same tensors, same
//! order, same parameters. So a verifier makes them itself and compares digests.

use std::collections::BTreeMap;

use crate::interval::bit_length;
use crate::invalid::{Invalid, Site, at_most, structure};
use crate::limits;
use crate::types::{Contraction, Form, Home, Map, Operator, Program, Table, Tensor, View};
use crate::validate::{number, validate};

/// Lookups of one part, the rows of its tables aside.
pub const PART_LOOKUPS: u64 = (1 << 22) - (1 << 19);
/// Parts of a certificate.
pub const PARTS: u64 = 256;
/// Rows of all declared tables together.
const ROWS: u64 = 1 << 18;
/// Declared tables.
const TABLES: usize = 128;
/// Keys of one declared table.
const KEYS: u64 = 1 << 16;
/// Keys for which a table pays however few entries use it.
const FEW_KEYS: u64 = 256;
/// Limb bits of the derived Programs.
const LIMB_BITS: u8 = 8;

/// How one interval is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// One lookup in a table whose keys are the interval.
    Table { keys: u32 },
    /// One or two ranges of this many bits.
    Checks { bits: u8, both: bool },
}

impl How {
    /// Lookups per entry.
    fn lookups(self) -> u64 {
        match self {
            Self::Table { .. } => 1,
            Self::Checks { bits, both } => {
                let limbs = u64::from(bits.div_ceil(LIMB_BITS)).max(1);
                if both { limbs.saturating_mul(2) } else { limbs }
            }
        }
    }
}

/// A box of one tensor: leading indices fixed, then a run of one axis, then whole axes.
struct Piece {
    tensor: usize,
    fixed: Vec<u32>,
    start: u32,
    /// Axes of the operator; empty only for a tensor without axes.
    axes: Vec<u32>,
}

fn entries(axes: &[u32]) -> u64 {
    axes.iter().fold(1, |product: u64, &n| product.saturating_mul(u64::from(n)))
}

/// The number of values of a tensor's interval; none if there are too many for a Check.
fn width(tensor: &Tensor) -> Option<u64> {
    let width = i128::from(tensor.hi).saturating_sub(i128::from(tensor.lo)).saturating_add(1);
    u64::try_from(width).ok().filter(|&n| n <= 1 << limits::CHECK_BITS)
}

/// One interval, with all the tensors that have it.
struct Kind {
    /// Number of values.
    keys: u64,
    /// Entries of its tensors.
    entries: u64,
    table: bool,
}

impl Kind {
    fn how(&self) -> How {
        match u32::try_from(self.keys) {
            Ok(keys) if self.table => How::Table { keys },
            _ => How::Checks {
                bits: u8::try_from(bit_length(u128::from(self.keys.saturating_sub(1)))).unwrap_or(u8::MAX),
                both: !self.keys.is_power_of_two(),
            },
        }
    }
}

/// How each model tensor's interval is proved (spec J3).
fn plan(tensors: &[Tensor]) -> Result<Vec<How>, Invalid> {
    let mut kinds: Vec<Kind> = Vec::new();
    let mut places: BTreeMap<(i64, u64), usize> = BTreeMap::new();
    let mut kind_of = Vec::with_capacity(tensors.len());
    for (index, tensor) in tensors.iter().enumerate() {
        let Some(keys) = width(tensor) else {
            return structure(Site::Tensor(number(index)), "its interval is too wide to be certified");
        };
        let next = kinds.len();
        let place = *places.entry((tensor.lo, keys)).or_insert(next);
        if place == next {
            kinds.push(Kind { keys, entries: 0, table: false });
        }
        kind_of.push(place);
        if let Some(kind) = kinds.get_mut(place) {
            kind.entries = kind.entries.saturating_add(entries(&tensor.axes));
        }
    }
    let (mut rows, mut tables) = (0u64, 0usize);
    for kind in &mut kinds {
        let pays = kind.keys <= FEW_KEYS || (kind.keys <= KEYS && kind.keys <= kind.entries);
        let after = rows.saturating_add(kind.keys);
        if pays && after <= ROWS && tables < TABLES {
            kind.table = true;
            rows = after;
            tables = tables.saturating_add(1);
        }
    }
    Ok(kind_of.iter().filter_map(|&kind| kinds.get(kind)).map(Kind::how).collect())
}

/// Cuts a tensor into boxes of at most `most` entries, in row-major order (spec J4).
fn cut(tensor: usize, axes: &[u32], most: u64, into: &mut Vec<Piece>) {
    let inner = |axis: usize| entries(axes.get(axis.saturating_add(1)..).unwrap_or_default());
    let whole = entries(axes) <= most;
    let axis = (0..axes.len()).find(|&axis| whole || inner(axis) <= most);
    let Some((axis, &length)) = axis.and_then(|axis| Some((axis, axes.get(axis)?))) else {
        into.push(Piece { tensor, fixed: Vec::new(), start: 0, axes: Vec::new() });
        return;
    };
    let run = if whole { u64::from(length) } else { most.checked_div(inner(axis)).unwrap_or(1) };
    let run = usize::try_from(run.clamp(1, u64::from(length))).unwrap_or(usize::MAX);
    let outer = axes.get(..axis).unwrap_or_default();
    for index in 0..entries(outer) {
        let mut fixed: Vec<u32> = Vec::with_capacity(outer.len());
        let mut rest = index;
        for &n in outer.iter().rev() {
            fixed.push(rest.checked_rem(u64::from(n)).and_then(|i| u32::try_from(i).ok()).unwrap_or(0));
            rest = rest.checked_div(u64::from(n)).unwrap_or(0);
        }
        fixed.reverse();
        for start in (0..length).step_by(run) {
            let left = length.saturating_sub(start);
            let mut boxed = vec![left.min(u32::try_from(run).unwrap_or(u32::MAX))];
            boxed.extend(axes.get(axis.saturating_add(1)..).unwrap_or_default());
            into.push(Piece { tensor, fixed: fixed.clone(), start, axes: boxed });
        }
    }
}

/// Boxes of all tensors, packed into parts in order.
fn parts(tensors: &[Tensor], how: &[How]) -> Result<Vec<Vec<Piece>>, Invalid> {
    let lookups = |tensor: usize| how.get(tensor).map_or(1, |how| how.lookups());
    let each = tensors.iter().enumerate();
    let total = each.fold(0u64, |sum, (index, tensor)| {
        sum.saturating_add(entries(&tensor.axes).saturating_mul(lookups(index)))
    });
    // Boxes are at least half full but for the last of each run, so this bounds their number as well.
    at_most(Site::Program, "lookups of a certificate", total, PARTS.saturating_mul(PART_LOOKUPS / 2))?;
    let mut pieces = Vec::new();
    for (index, tensor) in tensors.iter().enumerate() {
        let most = PART_LOOKUPS.checked_div(lookups(index)).unwrap_or(1);
        cut(index, &tensor.axes, most, &mut pieces);
    }
    let mut parts: Vec<Vec<Piece>> = Vec::new();
    let mut room = 0u64;
    for piece in pieces {
        let need = entries(&piece.axes).saturating_mul(lookups(piece.tensor));
        if need > room || parts.is_empty() {
            parts.push(Vec::new());
            room = PART_LOOKUPS;
        }
        room = room.saturating_sub(need);
        if let Some(part) = parts.last_mut() {
            part.push(piece);
        }
    }
    at_most(Site::Program, "parts of a certificate", u64::try_from(parts.len()).unwrap_or(u64::MAX), PARTS)?;
    Ok(parts)
}

/// `coef` times the scalar one; none for 0.
fn constant(coef: i64, one: u32) -> Option<(i64, View)> {
    (coef != 0).then(|| (coef, View { tensor: one, maps: Vec::new() }))
}

/// The view of a piece's entries.
fn view(piece: &Piece) -> View {
    let fixed = piece.fixed.iter().map(|&at| Map::Fix { at: i64::from(at) });
    let axes = (0u8..).zip(&piece.axes).map(|(axis, _)| {
        let off = if axis == 0 { i64::from(piece.start) } else { 0 };
        Map::Aff { axis, step: 1, off }
    });
    View { tensor: number(piece.tensor), maps: fixed.chain(axes).collect() }
}

/// A column that equals a tensor's first entry: it gives the Program its output, and a reader to
/// tensors of which this part checks nothing (spec J5).
fn first_entry(index: usize, tensor: &Tensor, one: u32) -> Operator {
    let maps = tensor.axes.iter().map(|_| Map::Fix { at: 0 }).collect();
    let read = |view| Form(vec![(1, view)]);
    let contraction = Contraction {
        sum: Vec::new(),
        a: read(View { tensor: one, maps: Vec::new() }),
        b: read(View { tensor: number(index), maps }),
        c: Form::default(),
    };
    Operator::Commit { axes: Vec::new(), contraction }
}

/// The Program of one part.
fn part_program(
    base: &Program,
    tensors: &[Tensor],
    how: &[How],
    pieces: &[Piece],
    metadata: Vec<u8>,
) -> Program {
    let one = number(tensors.len());
    let mut declared = tensors.to_vec();
    declared.push(Tensor { home: Home::Ones, axes: Vec::new(), lo: 1, hi: 1, content: [].into() });
    let first = tensors.iter().enumerate().map(|(index, tensor)| first_entry(index, tensor, one));
    let mut operators: Vec<Operator> = first.collect();
    let mut tables: Vec<Table> = Vec::new();
    for piece in pieces {
        let (Some(tensor), Some(how)) = (tensors.get(piece.tensor), how.get(piece.tensor)) else { continue };
        let axes = piece.axes.clone();
        match *how {
            How::Table { keys } => {
                let table = Table { keys: vec![(tensor.lo, keys)], outs: Vec::new() };
                let known = tables.iter().position(|other| *other == table);
                let index = known.unwrap_or(tables.len());
                if known.is_none() {
                    tables.push(table);
                }
                let keys = vec![Form(vec![(1, view(piece))])];
                operators.push(Operator::Table { axes, table: number(index), keys });
            }
            How::Checks { bits, both } => {
                let mut above = Form(vec![(1, view(piece))]);
                above.0.extend(constant(tensor.lo.saturating_neg(), one));
                operators.push(Operator::Check { axes: axes.clone(), form: above, bits });
                if both {
                    let mut below = Form(vec![(-1, view(piece))]);
                    below.0.extend(constant(tensor.hi, one));
                    operators.push(Operator::Check { axes, form: below, bits });
                }
            }
        }
    }
    Program {
        lambda: base.lambda,
        grind: base.grind,
        limb_bits: LIMB_BITS,
        ladder: base.ladder.clone(),
        outputs: vec![number(declared.len())],
        tensors: declared,
        model_oracle: base.model_oracle,
        tables,
        operators,
        metadata,
    }
}

/// Metadata of a part: which model's Program it is derived from, and which part it is.
fn metadata(digest: &[u8; 32], part: usize, parts: usize) -> Vec<u8> {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{\"part\":{part},\"parts\":{parts},\"program\":\"{hex}\",\"proves\":\"ranges\"}}").into_bytes()
}

/// The Programs whose proofs, taken together, certify that every private parameter of `program`
/// lies in its declared interval; none if it has no private parameters.
///
/// # Errors
/// When the Program is not valid, has too many private parameters, or one with an interval of more
/// than 2^62 values.
pub fn range_programs(program: &Program) -> Result<Vec<Program>, Invalid> {
    validate(program)?;
    let model = program.tensors.iter().filter(|tensor| tensor.home == Home::Model);
    let tensors: Vec<Tensor> = model.cloned().collect();
    if tensors.is_empty() {
        return Ok(Vec::new());
    }
    let how = plan(&tensors)?;
    let parts = parts(&tensors, &how)?;
    let digest = program.digest();
    let derived = parts.iter().enumerate().map(|(part, pieces)| {
        let program = part_program(program, &tensors, &how, pieces, metadata(&digest, part, parts.len()));
        validate(&program)?;
        Ok(program)
    });
    derived.collect()
}
