//! Networks of layers with a rounding and a ReLU, built straight as Programs.

use program::types::{
    Contraction, Domain, Form, Map, Operator, OracleParams, Program, Round, Scale, Table, View,
};
use program::{Builder, Invalid};

/// Sizes of the tables that every layer uses.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Bits of a range limb.
    pub limb_bits: u8,
    /// Bits of the quotient above its low 8: the sign table has this many.
    pub high_bits: u8,
    /// Bits a layer's sum is shifted by.
    pub shift: u8,
}

impl Style {
    /// Tables of 2^16 rows: right for large networks.
    pub const LARGE: Self = Self { limb_bits: 16, high_bits: 16, shift: 9 };
    /// Tables of at most 2^12 rows: right for small networks.
    pub const SMALL: Self = Self { limb_bits: 8, high_bits: 12, shift: 8 };
}

/// A network under construction: its last layer's result, with the axes of one element.
pub struct Net {
    builder: Builder,
    style: Style,
    last: u32,
    axes: Vec<u32>,
}

fn along(axis: usize) -> Map {
    Map::Aff { axis: u8::try_from(axis).unwrap_or(u8::MAX), step: 1, off: 0 }
}

fn view(tensor: u32, maps: Vec<Map>) -> Form {
    Form(vec![(1, View { tensor, maps })])
}

impl Net {
    /// A network that reads int8 tensors with these axes.
    ///
    /// # Errors
    /// When a limit of Programs is exceeded, as in all functions here.
    pub fn new(axes: &[u32], style: Style) -> Result<Self, Invalid> {
        let mut builder = Builder::new(100, 0, style.limb_bits);
        let last = builder.input(&[&[0], axes].concat(), -128, 127)?;
        Ok(Self { builder, style, last, axes: axes.to_vec() })
    }

    /// A layer in which each of `next` neurons reads everything, then a ReLU.
    ///
    /// # Errors
    /// As [`Net::new`].
    pub fn dense(&mut self, next: u32) -> Result<(), Invalid> {
        let weights = self.builder.model(&[&[next], self.axes.as_slice()].concat(), -127, 127)?;
        let inner = || (0..self.axes.len()).map(|i| along(i + 2));
        let a = view(self.last, std::iter::once(along(0)).chain(inner()).collect());
        let b = view(weights, std::iter::once(along(1)).chain(inner()).collect());
        self.round(&[next], Contraction { sum: self.axes.clone(), a, b, c: Form::default() })
    }

    /// A 3×3 convolution of [channels, height, width] to `next` channels, then a ReLU.
    ///
    /// # Errors
    /// As [`Net::new`]; also when the last result has other than three axes.
    pub fn conv(&mut self, next: u32) -> Result<(), Invalid> {
        let (channels, height, width) = match self.axes.as_slice() {
            [c, h, w] => (*c, *h, *w),
            // One row of one channel: the validator refuses it where it does not fit.
            _ => (1, 1, 1),
        };
        let weights = self.builder.model(&[next, channels, 3, 3], -127, 127)?;
        let window = |a, b| Map::Win { a, b, step: 1, dil: 1, off: -1 };
        let a = view(self.last, vec![along(0), along(4), window(2, 5), window(3, 6)]);
        let b = view(weights, vec![along(1), along(4), along(5), along(6)]);
        let sum = vec![channels, 3, 3];
        self.round(&[next, height, width], Contraction { sum, a, b, c: Form::default() })
    }

    fn round(&mut self, axes: &[u32], contraction: Contraction) -> Result<(), Invalid> {
        let table = Some(self.relu()?);
        let domain = Domain::Wide { lo: -128, low_bits: 8, high_bits: self.style.high_bits };
        let round = Round {
            axes: [&[0], axes].concat(),
            contraction: Some(contraction),
            scale: Scale::One(1),
            extra: Form::default(),
            shift: self.style.shift,
            half_even: false,
            domain,
            table,
        };
        self.last = self.builder.push(Operator::Round(round))?.remove(0);
        self.axes = axes.to_vec();
        Ok(())
    }

    fn relu(&mut self) -> Result<u32, Invalid> {
        let row = |code: usize, low: i64| [0, (low - 128).max(0), 127][code];
        let rows = (0..3).flat_map(|code| (0..256).map(move |low| row(code, low)));
        let content = self.builder.constant(&[3, 256], rows.collect())?;
        let outs = vec![view(content, vec![along(0), along(1)])];
        self.builder.table(Table { keys: vec![(0, 3), (0, 256)], outs })
    }

    /// The Program, its last result an output, its weights in a model oracle that hides.
    ///
    /// # Errors
    /// As [`Net::new`].
    pub fn finish(mut self) -> Result<Program, Invalid> {
        self.builder.output(self.last);
        let total = usize::try_from(self.builder.model_entries()).unwrap_or(usize::MAX);
        let shape = oracle::Sizing::v1(100, 0).long_term(oracle::Role::Model, total, [0; 32], 32, true);
        let log = |log: usize| u8::try_from(log).unwrap_or(u8::MAX);
        self.builder.set_model_oracle(shape.map(|shape| OracleParams {
            rows: u32::try_from(shape.rows).unwrap_or(u32::MAX),
            log_c: log(shape.log_c),
            log_t: shape.log_t.map(log),
            log_n: log(shape.log_n),
        }));
        self.builder.finish(Vec::new())
    }
}

/// So many weights, in dense layers of at most `side` by `side`, the last one of what is left.
///
/// # Errors
/// As [`Net::new`].
pub fn layers(weights: u64, side: u32) -> Result<Program, Invalid> {
    let mut net = Net::new(&[side], Style::SMALL)?;
    let mut left = weights;
    while left > 0 {
        let next = u32::try_from(left / u64::from(side)).unwrap_or(u32::MAX).clamp(1, side);
        net.dense(next)?;
        left = left.saturating_sub(u64::from(next) * u64::from(side));
    }
    net.finish()
}

/// A perceptron of 4.2 million weights.
///
/// # Errors
/// As [`Net::new`].
pub fn perceptron() -> Result<Program, Invalid> {
    let mut net = Net::new(&[1024], Style::LARGE)?;
    net.dense(2048)?;
    net.dense(1024)?;
    net.finish()
}

/// Two convolutions, 10 million multiplications.
///
/// # Errors
/// As [`Net::new`].
pub fn convolution() -> Result<Program, Invalid> {
    let mut net = Net::new(&[3, 32, 32], Style::LARGE)?;
    net.conv(32)?;
    net.conv(32)?;
    net.finish()
}

/// Two small convolutions and two dense layers, 160 thousand multiplications: what `counts` runs.
///
/// # Errors
/// As [`Net::new`].
pub fn counted() -> Result<Program, Invalid> {
    let mut net = Net::new(&[1, 12, 12], Style::SMALL)?;
    net.conv(6)?;
    net.conv(6)?;
    net.dense(64)?;
    net.dense(10)?;
    net.finish()
}
