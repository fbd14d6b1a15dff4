//! Parameters of oracles and how both sides compute them (spec O1-O7, Q1-Q8).

use algebra::multilinear::bits;
use tape::{frame, hash};

/// What an oracle holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Fresh columns of one proof.
    Fresh,
    /// Private model parameters.
    Model,
    /// A committed input.
    Input,
    /// Pads of the ladder, and the row that masks their reply.
    Pads,
    /// The last folded vector, and the row that masks its reply.
    End,
    /// The folded vector of this level (1, 2, ..).
    Inner(u8),
}

impl Role {
    /// The role's byte in the oracle's tag.
    pub fn byte(self) -> u8 {
        match self {
            Self::Fresh => 1,
            Self::Model => 2,
            Self::Input => 3,
            Self::Pads => 5,
            Self::End => 6,
            Self::Inner(level) => level.saturating_add(16),
        }
    }

    /// Short name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "Z",
            Self::Model => "M",
            Self::Input => "X",
            Self::Pads => "Q",
            Self::End => "E",
            Self::Inner(_) => "O",
        }
    }
}

/// Parameters of an oracle: R rows of C data and T mask coefficients, n positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// What it holds.
    pub role: Role,
    /// Rows over K (true) or F.
    pub extension: bool,
    /// R.
    pub rows: usize,
    /// lg C.
    pub log_c: usize,
    /// lg T, none without masks.
    pub log_t: Option<usize>,
    /// lg n.
    pub log_n: usize,
    /// Digest of the axes of its tensors for long-term oracles, else zero.
    pub layout: [u8; 32],
}

impl Shape {
    /// C.
    pub fn data(&self) -> usize {
        1 << self.log_c.min(40)
    }

    /// T.
    pub fn masks(&self) -> usize {
        self.log_t.map_or(0, |log| 1 << log.min(40))
    }

    /// k = C + T.
    pub fn dimension(&self) -> usize {
        self.data().saturating_add(self.masks())
    }

    /// n.
    pub fn positions(&self) -> usize {
        1 << self.log_n.min(40)
    }

    /// Rows that hold what the oracle is made from: all but the last one of E and Q, which masks a reply.
    pub fn own_rows(&self) -> usize {
        let masked = matches!(self.role, Role::End | Role::Pads);
        if masked { self.rows.saturating_sub(1) } else { self.rows }
    }

    /// Row variables: lg of [`Self::own_rows`].
    pub fn row_variables(&self) -> usize {
        bits(self.own_rows())
    }

    /// Queries per opening at λ bits.
    pub fn queries(&self, lambda: u8) -> usize {
        queries(self.positions(), self.dimension(), lambda)
    }

    /// Bytes of one opened column with its salt.
    pub fn column_bytes(&self) -> usize {
        let element = if self.extension { 16 } else { 8 };
        let salt = if self.log_t.is_some() { 16usize } else { 0 };
        self.rows.saturating_mul(element).saturating_add(salt)
    }

    /// Whether the parameters are allowed: 8(C+T) <= 5n, n <= 2^26, 1 <= R <= 1024 (spec O7).
    pub fn is_valid(&self) -> bool {
        let room = self.dimension().saturating_mul(8) <= self.positions().saturating_mul(5);
        room && self.log_n <= 26
            && self.log_c <= 26
            && self.log_t.is_none_or(|log| log <= 26)
            && (1..=1024).contains(&self.rows)
    }

    /// Role, field, R, lg C, lg T, lg n and layout, as tags and links spell them (spec O3).
    pub fn parameters(&self) -> Vec<u8> {
        let mut bytes = vec![self.role.byte(), u8::from(self.extension)];
        bytes.extend(u32::try_from(self.rows).unwrap_or(u32::MAX).to_le_bytes());
        let log = |x: usize| u8::try_from(x).unwrap_or(u8::MAX);
        bytes.extend([log(self.log_c), self.log_t.map_or(u8::MAX, log), log(self.log_n)]);
        bytes.extend(self.layout);
        bytes
    }

    /// tag (spec O3).
    pub fn tag(&self) -> [u8; 32] {
        let mut bytes = frame(b"zerotell/oracle");
        bytes.extend(self.parameters());
        hash(&bytes)
    }

    /// OracleId of a root under these parameters (spec O5).
    pub fn id(&self, root: &[u8; 32]) -> [u8; 32] {
        let mut bytes = frame(b"zerotell/oracle-id");
        bytes.extend(self.tag());
        bytes.extend(root);
        hash(&bytes)
    }
}

/// Digest of the axes of a long-term oracle's tensors (spec O4).
pub fn layout_digest<'a>(tensors: impl ExactSizeIterator<Item = &'a [usize]>) -> [u8; 32] {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = frame(b"zerotell/layout");
    bytes.extend(count(tensors.len()));
    for axes in tensors {
        bytes.extend(count(axes.len()));
        for &axis in axes {
            bytes.extend(count(axis));
        }
    }
    hash(&bytes)
}

/// The least t >= 1 with ((n+k)/2n)^t <= 2^-λ, exactly, but at most n (spec Q1, Q2).
/// n must be a power of two; k < n.
pub fn queries(n: usize, k: usize, lambda: u8) -> usize {
    let factor = u64::try_from(n.saturating_add(k)).unwrap_or(u64::MAX);
    let log_2n = u64::from(n.trailing_zeros()).saturating_add(1);
    // Little-endian words of (n+k)^t.
    let mut power: Vec<u64> = vec![1];
    let mut limit = 0u64;
    for t in 1..n {
        let mut carry = 0u128;
        for word in &mut power {
            let product = u128::from(*word).wrapping_mul(u128::from(factor)).wrapping_add(carry);
            *word = low_word(product);
            carry = product >> 64;
        }
        if carry > 0 {
            power.push(low_word(carry));
        }
        limit = limit.saturating_add(log_2n);
        if limit.checked_sub(u64::from(lambda)).is_some_and(|bound| at_most_power(&power, bound)) {
            return t;
        }
    }
    n
}

fn low_word(x: u128) -> u64 {
    u64::try_from(x & u128::from(u64::MAX)).unwrap_or(0)
}

/// Whether the number is at most 2^bound.
fn at_most_power(words: &[u64], bound: u64) -> bool {
    let top = words.iter().rposition(|&word| word != 0);
    let Some((top, &word)) = top.and_then(|i| words.get(i).map(|word| (i, word))) else { return true };
    let length = u64::try_from(top)
        .unwrap_or(u64::MAX)
        .saturating_mul(64)
        .saturating_add(64u64.saturating_sub(u64::from(word.leading_zeros())));
    let is_power = word.is_power_of_two() && words.iter().take(top).all(|&word| word == 0);
    length <= bound || (is_power && length == bound.saturating_add(1))
}

/// Aimed rows and lg of positions per coefficient of one oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Most rows.
    pub rows: usize,
    /// lg(n / C).
    pub rate: usize,
}

/// What gives every per-proof oracle its parameters: a Program's own choice. Sound for any values,
/// since every oracle's queries are counted for its own code; smaller ones make the hiding test small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// λ.
    pub lambda: u8,
    /// g.
    pub grind: u8,
    /// Z.
    pub fresh: Rung,
    /// O_1, O_2, ..; the last stands for all further ones.
    pub inner: Vec<Rung>,
    /// Longest last vector.
    pub last_max: usize,
    /// E.
    pub end: Rung,
    /// Candidate mask counts, ascending, powers of two.
    pub masks: Vec<usize>,
    /// Least lg C of Z and of an inner oracle.
    pub min_log_c: usize,
    /// Least lg n of Q.
    pub pads_min_log_n: usize,
}

impl Sizing {
    /// Security parameters alone, with a ladder that fits any Program.
    pub fn v1(lambda: u8, grind: u8) -> Self {
        Self {
            lambda,
            grind,
            fresh: Rung { rows: 32, rate: 2 },
            inner: vec![Rung { rows: 17, rate: 3 }, Rung { rows: 17, rate: 4 }],
            last_max: 2560,
            end: Rung { rows: 8, rate: 3 },
            masks: vec![128, 256, 512],
            min_log_c: 8,
            pads_min_log_n: 10,
        }
    }

    fn fit(&self, mut shape: Shape, zk: bool) -> Option<Shape> {
        if zk {
            let fits = |&masks: &usize| {
                let candidate = Shape { log_t: Some(bits(masks)), ..shape.clone() };
                candidate.is_valid() && masks >= candidate.queries(self.lambda)
            };
            shape.log_t = Some(bits(*self.masks.iter().find(|&masks| fits(masks))?));
        }
        shape.is_valid().then_some(shape)
    }

    /// C and R of an oracle of this many entries: as few columns as the aimed rows allow.
    fn cut(&self, total: usize, rows: usize) -> Option<(usize, usize)> {
        let log_c = bits(total.div_ceil(rows.max(1))).max(self.min_log_c);
        let width = 1usize.checked_shl(u32::try_from(log_c).ok()?)?;
        Some((log_c, total.div_ceil(width).max(1)))
    }

    /// Z for N committed values. None if there is no valid choice.
    pub fn fresh(&self, total: usize, zk: bool) -> Option<Shape> {
        let (log_c, rows) = self.cut(total, self.fresh.rows)?;
        let log_n = log_c.checked_add(self.fresh.rate)?;
        let role = Role::Fresh;
        self.fit(Shape { role, extension: false, rows, log_c, log_t: None, log_n, layout: [0; 32] }, zk)
    }

    /// O_level for a folded vector of this length; level >= 1.
    pub fn inner(&self, level: u8, length: usize, zk: bool) -> Option<Shape> {
        let index = usize::from(level).checked_sub(1)?;
        let rung = self.inner.get(index).or(self.inner.last())?;
        let (log_c, rows) = self.cut(length, rung.rows)?;
        let log_n = log_c.checked_add(rung.rate)?;
        let role = Role::Inner(level);
        self.fit(Shape { role, extension: true, rows, log_c, log_t: None, log_n, layout: [0; 32] }, zk)
    }

    /// E for a last folded vector of this length.
    pub fn end(&self, length: usize) -> Option<Shape> {
        let (log_c, own) = self.cut(length, self.end.rows)?;
        let (log_n, rows) = (log_c.checked_add(self.end.rate)?, own.checked_add(1)?);
        let role = Role::End;
        self.fit(Shape { role, extension: true, rows, log_c, log_t: None, log_n, layout: [0; 32] }, true)
    }

    /// Q for this many pads.
    pub fn pads(&self, count: usize) -> Option<Shape> {
        let log_c = bits(count);
        let log_n = log_c.checked_add(4)?.max(self.pads_min_log_n);
        let role = Role::Pads;
        self.fit(Shape { role, extension: true, rows: 2, log_c, log_t: None, log_n, layout: [0; 32] }, true)
    }

    /// Default parameters of a long-term oracle with N entries (spec Q8): room for at least
    /// `openings` openings.
    pub fn long_term(
        &self,
        role: Role,
        total: usize,
        layout: [u8; 32],
        openings: usize,
        zk: bool,
    ) -> Option<Shape> {
        let rows = match total {
            _ if total <= 1 << 17 => 16,
            _ if total <= 1 << 22 => 32,
            _ => 64,
        };
        self.long_term_rows(role, total, layout, (rows, openings), zk)
    }

    /// As [`Self::long_term`], cut into at most this many rows.
    pub fn long_term_rows(
        &self,
        role: Role,
        total: usize,
        layout: [u8; 32],
        (aim, openings): (usize, usize),
        zk: bool,
    ) -> Option<Shape> {
        let log_c = bits(total.div_ceil(aim.max(1))).max(8);
        let rows = total.div_ceil(1usize.checked_shl(u32::try_from(log_c).ok()?)?).max(1);
        let base = Shape { role, extension: false, rows, log_c, log_t: None, log_n: 0, layout };
        if !zk {
            return Some(Shape { log_n: log_c.checked_add(2)?, ..base }).filter(Shape::is_valid);
        }
        for log_t in log_c.saturating_sub(2).max(7)..=26 {
            let with_masks = Shape { log_t: Some(log_t), ..base.clone() };
            let log_n = bits(with_masks.dimension().checked_mul(3)?);
            let shape = Shape { log_n, ..with_masks };
            if !shape.is_valid() {
                return None;
            }
            let per_opening = shape.queries(self.lambda);
            if shape.masks().checked_div(per_opening).unwrap_or(0) >= openings {
                return Some(shape);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_counts_of_the_spec() {
        let cases =
            [(8192, 1152, 84, 104), (1 << 22, (1 << 20) + (1 << 18), 84, 139), (32768, 8192, 84, 124)];
        for (n, k, lambda, t) in cases {
            assert_eq!(queries(n, k, lambda), t);
        }
        assert_eq!(queries(1 << 20, (1 << 19) + 256, 100), 242);
        assert_eq!(queries(16, 8, 100), 16);
    }

    #[test]
    fn tag_and_id_of_the_spec() {
        let shape = Shape {
            role: Role::Fresh,
            extension: false,
            rows: 2,
            log_c: 1,
            log_t: None,
            log_n: 3,
            layout: [0; 32],
        };
        let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(shape.tag()), "e9910906f0fb40fb05c70afc1bee0b128b8ef665db7e811a803c8633603eb94c");
        let root = "1f89c3cbd2c523fdf41799bdd8c19ba6df78125925eb53e8da170dc60bbee779";
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&root[2 * i..2 * i + 2], 16).unwrap();
        }
        assert_eq!(hex(shape.id(&bytes)), "dde1236bfc6b3d6cfbdcef2c41ab159d688f930e38ffdc4e0765f07ef3bd4837");
    }

    #[test]
    fn sizes_of_the_spec() {
        let sizing = Sizing::v1(84, 16);
        for (log_total, rows, log_c, masks, log_n, t) in
            [(14, 32, 9, 256, 11, 156), (18, 32, 13, 128, 15, 125), (22, 32, 17, 128, 19, 124)]
        {
            let shape = sizing.fresh(1 << log_total, true).unwrap();
            assert_eq!((shape.rows, shape.log_c, shape.masks(), shape.log_n), (rows, log_c, masks, log_n));
            assert_eq!(shape.queries(84), t);
        }
        let wide = Sizing { fresh: Rung { rows: 32, rate: 1 }, ..sizing.clone() };
        let shape = wide.fresh(1 << 24, true).unwrap();
        assert_eq!((shape.rows, shape.log_c, shape.masks(), shape.log_n), (32, 19, 256, 20));
        assert_eq!(shape.queries(84), 203);
        let model = sizing.long_term(Role::Model, 62_000, [0; 32], 32, true).unwrap();
        assert_eq!((model.rows, model.log_c, model.log_t, model.log_n), (16, 12, Some(12), 15));
        assert_eq!(model.masks() / model.queries(84), 33);
    }
}
