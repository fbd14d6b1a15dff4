//! The messages of `onnx.proto` that matter, borrowed from the file's bytes.
//!
//! Field numbers are those of the ONNX standard. Own reader instead of a parser crate:
//! the importer needs functions, string tensors, attribute references, packed lists and the
//! *presence* of what it does not support (sparse tensors), so that nothing is skipped silently;
//! and subgraphs stay bytes until asked for, so that nesting cannot exhaust the stack.

use crate::wire::{Damage, Payload, fields};

/// A whole model.
#[derive(Default)]
pub(crate) struct Model<'a> {
    pub ir_version: i64,
    pub opsets: Vec<(String, i64)>,
    pub graph: Option<Graph<'a>>,
    pub functions: Vec<Function<'a>>,
}

/// A graph.
#[derive(Default)]
pub(crate) struct Graph<'a> {
    pub name: String,
    pub nodes: Vec<Node<'a>>,
    pub initializers: Vec<Tensor<'a>>,
    pub inputs: Vec<ValueInfo>,
    pub outputs: Vec<ValueInfo>,
    pub has_sparse: bool,
}

/// A model-local function.
#[derive(Default)]
pub(crate) struct Function<'a> {
    pub name: String,
    pub domain: String,
    pub overload: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: Vec<String>,
    pub defaults: Vec<Attribute<'a>>,
    pub nodes: Vec<Node<'a>>,
    pub opsets: Vec<(String, i64)>,
}

/// A node.
#[derive(Clone, Default)]
pub(crate) struct Node<'a> {
    pub name: String,
    pub op: String,
    pub domain: String,
    pub overload: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: Vec<Attribute<'a>>,
}

/// An attribute of a node.
#[derive(Clone)]
pub(crate) struct Attribute<'a> {
    pub name: String,
    pub value: Content<'a>,
}

/// Content of an attribute.
#[derive(Clone)]
pub(crate) enum Content<'a> {
    Float(f32),
    Int(i64),
    Text(&'a [u8]),
    Tensor(Box<Tensor<'a>>),
    /// Bytes of a GraphProto.
    Graph(&'a [u8]),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    Texts(Vec<&'a [u8]>),
    /// Name of an attribute of the calling function.
    Reference(String),
    /// A kind that is not supported (sparse tensor, type, lists of graphs or tensors).
    Other,
}

/// A tensor constant.
#[derive(Clone, Default)]
pub(crate) struct Tensor<'a> {
    pub name: String,
    pub dims: Vec<i64>,
    pub data_type: i64,
    pub floats: Vec<f32>,
    pub int32s: Vec<i64>,
    pub int64s: Vec<i64>,
    pub doubles: Vec<f64>,
    pub uint64s: Vec<i64>,
    pub strings: Vec<&'a [u8]>,
    pub raw: Option<&'a [u8]>,
    pub external: Vec<(String, String)>,
    pub location: i64,
    pub segmented: bool,
}

/// One axis length of a declared type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dim {
    Fixed(i64),
    Named(String),
    Unknown,
}

/// A declared type.
#[derive(Clone, Debug, Default)]
pub(crate) enum Type {
    /// Element type and, when the rank is known, axis lengths.
    Tensor(i64, Option<Vec<Dim>>),
    /// A sequence, map, optional or sparse tensor.
    Other(&'static str),
    #[default]
    Missing,
}

/// A named value with its declared type.
#[derive(Clone, Debug, Default)]
pub(crate) struct ValueInfo {
    pub name: String,
    pub kind: Type,
}

type Read<T> = Result<T, Damage>;

impl<'a> Model<'a> {
    pub fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut m = Self::default();
        let mut f = fields(bytes);
        while let Some((number, p)) = f.next()? {
            match number {
                1 => m.ir_version = p.int()?,
                7 => m.graph = Some(Graph::read(p.bytes()?)?),
                8 => m.opsets.push(opset(p.bytes()?)?),
                25 => m.functions.push(Function::read(p.bytes()?)?),
                _ => {}
            }
        }
        Ok(m)
    }
}

fn opset(bytes: &[u8]) -> Read<(String, i64)> {
    let (mut domain, mut version) = (String::new(), 0);
    let mut f = fields(bytes);
    while let Some((number, p)) = f.next()? {
        match number {
            1 => domain = p.text()?,
            2 => version = p.int()?,
            _ => {}
        }
    }
    Ok((domain, version))
}

impl<'a> Graph<'a> {
    pub fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut g = Self::default();
        let mut f = fields(bytes);
        while let Some((number, p)) = f.next()? {
            match number {
                1 => g.nodes.push(Node::read(p.bytes()?)?),
                2 => g.name = p.text()?,
                5 => g.initializers.push(Tensor::read(p.bytes()?)?),
                11 => g.inputs.push(ValueInfo::read(p.bytes()?)?),
                12 => g.outputs.push(ValueInfo::read(p.bytes()?)?),
                15 => g.has_sparse = true,
                _ => {}
            }
        }
        Ok(g)
    }
}

impl<'a> Function<'a> {
    fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut u = Self::default();
        let mut f = fields(bytes);
        while let Some((number, p)) = f.next()? {
            match number {
                1 => u.name = p.text()?,
                4 => u.inputs.push(p.text()?),
                5 => u.outputs.push(p.text()?),
                6 => u.attributes.push(p.text()?),
                7 => u.nodes.push(Node::read(p.bytes()?)?),
                9 => u.opsets.push(opset(p.bytes()?)?),
                10 => u.domain = p.text()?,
                11 => u.defaults.push(Attribute::read(p.bytes()?)?),
                13 => u.overload = p.text()?,
                _ => {}
            }
        }
        Ok(u)
    }
}

impl<'a> Node<'a> {
    fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut n = Self::default();
        let mut f = fields(bytes);
        while let Some((number, p)) = f.next()? {
            match number {
                1 => n.inputs.push(p.text()?),
                2 => n.outputs.push(p.text()?),
                3 => n.name = p.text()?,
                4 => n.op = p.text()?,
                5 => n.attributes.push(Attribute::read(p.bytes()?)?),
                7 => n.domain = p.text()?,
                8 => n.overload = p.text()?,
                _ => {}
            }
        }
        Ok(n)
    }
}

/// All fields of an attribute as found, before its type is known.
#[derive(Default)]
struct RawAttribute<'a> {
    name: String,
    kind: i64,
    reference: String,
    f: Option<f32>,
    i: Option<i64>,
    s: Option<&'a [u8]>,
    t: Option<&'a [u8]>,
    g: Option<&'a [u8]>,
    floats: Vec<f32>,
    ints: Vec<i64>,
    texts: Vec<&'a [u8]>,
}

impl<'a> RawAttribute<'a> {
    fn field(&mut self, number: u64, p: Payload<'a>) -> Read<()> {
        match number {
            1 => self.name = p.text()?,
            2 => self.f = Some(p.float()?),
            3 => self.i = Some(p.int()?),
            4 => self.s = Some(p.bytes()?),
            5 => self.t = Some(p.bytes()?),
            6 => self.g = Some(p.bytes()?),
            7 => p.floats(&mut self.floats)?,
            8 => p.ints(&mut self.ints)?,
            9 => self.texts.push(p.bytes()?),
            20 => self.kind = p.int()?,
            21 => self.reference = p.text()?,
            _ => {}
        }
        Ok(())
    }

    /// Type code; files of the first format version leave it out.
    fn kind(&self) -> i64 {
        let present = [
            (self.f.is_some(), 1),
            (self.i.is_some(), 2),
            (self.s.is_some(), 3),
            (self.t.is_some(), 4),
            (self.g.is_some(), 5),
            (!self.floats.is_empty(), 6),
            (!self.ints.is_empty(), 7),
            (!self.texts.is_empty(), 8),
        ];
        let guess = present.iter().find(|(there, _)| *there).map_or(0, |(_, kind)| *kind);
        if self.kind != 0 { self.kind } else { guess }
    }

    fn content(self) -> Read<Content<'a>> {
        if !self.reference.is_empty() {
            return Ok(Content::Reference(self.reference));
        }
        Ok(match self.kind() {
            1 => Content::Float(self.f.unwrap_or(0.0)),
            2 => Content::Int(self.i.unwrap_or(0)),
            3 => Content::Text(self.s.unwrap_or(b"")),
            4 => Content::Tensor(Box::new(Tensor::read(self.t.unwrap_or(b""))?)),
            5 => Content::Graph(self.g.unwrap_or(b"")),
            6 => Content::Floats(self.floats),
            7 => Content::Ints(self.ints),
            8 => Content::Texts(self.texts),
            _ => Content::Other,
        })
    }
}

impl<'a> Attribute<'a> {
    fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut raw = RawAttribute::default();
        let mut f = fields(bytes);
        while let Some((number, p)) = f.next()? {
            raw.field(number, p)?;
        }
        Ok(Self { name: raw.name.clone(), value: raw.content()? })
    }
}

impl<'a> Tensor<'a> {
    pub fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut t = Self::default();
        let mut f = fields(bytes);
        while let Some((number, p)) = f.next()? {
            match number {
                1 => p.ints(&mut t.dims)?,
                2 => t.data_type = p.int()?,
                3 => t.segmented = true,
                4 => p.floats(&mut t.floats)?,
                5 => p.ints(&mut t.int32s)?,
                6 => t.strings.push(p.bytes()?),
                7 => p.ints(&mut t.int64s)?,
                8 => t.name = p.text()?,
                9 => t.raw = Some(p.bytes()?),
                10 => p.doubles(&mut t.doubles)?,
                11 => p.ints(&mut t.uint64s)?,
                13 => t.external.push(entry(p.bytes()?)?),
                14 => t.location = p.int()?,
                _ => {}
            }
        }
        Ok(t)
    }
}

/// A key and a value.
fn entry(bytes: &[u8]) -> Read<(String, String)> {
    let (mut key, mut value) = (String::new(), String::new());
    let mut f = fields(bytes);
    while let Some((number, p)) = f.next()? {
        match number {
            1 => key = p.text()?,
            2 => value = p.text()?,
            _ => {}
        }
    }
    Ok((key, value))
}

impl ValueInfo {
    fn read(bytes: &[u8]) -> Read<Self> {
        let mut v = Self::default();
        let mut f = fields(bytes);
        while let Some((number, p)) = f.next()? {
            match number {
                1 => v.name = p.text()?,
                2 => v.kind = Type::read(p.bytes()?)?,
                _ => {}
            }
        }
        Ok(v)
    }
}

impl Type {
    fn read(bytes: &[u8]) -> Read<Self> {
        let mut kind = Self::Missing;
        let mut f = fields(bytes);
        while let Some((number, p)) = f.next()? {
            kind = match number {
                1 => Self::tensor(p.bytes()?)?,
                4 => Self::Other("sequence"),
                5 => Self::Other("map"),
                8 => Self::Other("sparse tensor"),
                9 => Self::Other("optional"),
                _ => kind,
            };
        }
        Ok(kind)
    }

    fn tensor(bytes: &[u8]) -> Read<Self> {
        let (mut element, mut shape) = (0, None);
        let mut f = fields(bytes);
        while let Some((number, p)) = f.next()? {
            match number {
                1 => element = p.int()?,
                2 => shape = Some(dims(p.bytes()?)?),
                _ => {}
            }
        }
        Ok(Self::Tensor(element, shape))
    }
}

fn dims(bytes: &[u8]) -> Read<Vec<Dim>> {
    let mut out = Vec::new();
    let mut f = fields(bytes);
    while let Some((number, p)) = f.next()? {
        if number == 1 {
            out.push(dim(p.bytes()?)?);
        }
    }
    Ok(out)
}

fn dim(bytes: &[u8]) -> Read<Dim> {
    let mut out = Dim::Unknown;
    let mut f = fields(bytes);
    while let Some((number, p)) = f.next()? {
        match number {
            // Some exporters write -1 or `?` for "any length".
            1 => out = p.int().map(|n| if n < 0 { Dim::Unknown } else { Dim::Fixed(n) })?,
            2 => out = Some(p.text()?).filter(|s| !s.is_empty() && s != "?").map_or(Dim::Unknown, Dim::Named),
            _ => {}
        }
    }
    Ok(out)
}
