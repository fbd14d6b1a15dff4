//! Everything both sides derive from Program and Statement before the first message (spec W1, Q1-Q9, P20, D4).

use core::slice;
use std::sync::Arc;

use algebra::F;
use algebra::field::batch_inverse;
use algebra::layout::{Block, Chunk, Layout, layout};
use algebra::multilinear::bits;
use oracle::{Plan, Role, Rung, Shape, Sizing, layout_digest, plan};
use program::invalid::Invalid;
use program::lower::{Ip, Lowered, Multiplier, Outline, Place, Placed, SlotPlan};
use program::types::{Disclosure, Form, Home, InputMode, Map, Program};
use program::wire::Statement;

/// Why Program and Statement do not make a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// The Program or the Statement's disclosure or slots are refused.
    Invalid(Invalid),
    /// A size exceeds the limits of this version.
    Limits(&'static str),
    /// An oracle's parameters are not allowed.
    Oracle(&'static str),
    /// The Statement names another Program.
    OtherProgram,
    /// The Statement has another batch size, disclosure or mode than what was prepared.
    OtherShape,
    /// The Statement opens another number of oracles than the Program needs.
    OracleCount {
        /// Needed.
        expected: usize,
        /// Found.
        found: usize,
    },
    /// A root does not belong to the identity the Statement gives for it.
    Identity {
        /// Index of the oracle.
        oracle: usize,
    },
}

impl core::fmt::Display for SetupError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Invalid(why) => write!(f, "{why}"),
            Self::Limits(what) => write!(f, "{what} exceeds the limits of this version"),
            Self::Oracle(what) => write!(f, "the parameters of {what} are not allowed"),
            Self::OtherProgram => write!(f, "the statement names another program"),
            Self::OtherShape => {
                write!(f, "the statement's batch size, disclosure or mode is not the prepared one")
            }
            Self::OracleCount { expected, found } => {
                write!(f, "the program opens {expected} long-term oracles, the statement names {found}")
            }
            Self::Identity { oracle } => write!(f, "root {oracle} does not belong to its identity"),
        }
    }
}

impl core::error::Error for SetupError {}

impl From<Invalid> for SetupError {
    fn from(why: Invalid) -> Self {
        Self::Invalid(why)
    }
}

/// The tensors of one oracle and where they lie.
#[derive(Clone, Debug)]
pub struct Group {
    /// Parameters.
    pub shape: Shape,
    /// Tensor numbers, in layout order.
    pub tensors: Vec<u32>,
    /// Blocks; a block's tensor is an index into `tensors`.
    pub layout: Layout,
    /// Per tensor, the numbers of its blocks.
    pub blocks: Vec<Vec<usize>>,
}

impl Group {
    pub(crate) fn new(shape: Shape, tensors: Vec<u32>, layout: Layout) -> Self {
        let mut blocks = vec![Vec::new(); tensors.len()];
        for (number, block) in layout.blocks.iter().enumerate() {
            if let Some(list) = blocks.get_mut(block.tensor) {
                list.push(number);
            }
        }
        Self { shape, tensors, layout, blocks }
    }
}

/// Everything derived from one Program and Statement.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Relations and tensors.
    pub lowered: Lowered,
    /// What Statements that differ in slots, roots and context alone share.
    pub sizes: Arc<Sizes>,
}

impl core::ops::Deref for Setup {
    type Target = Sizes;

    fn deref(&self) -> &Sizes {
        &self.sizes
    }
}

/// What follows from a Program, a batch size, a disclosure, and whether messages are masked.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Whether messages are masked.
    pub zk: bool,
    /// λ and g.
    pub sizing: Sizing,
    /// Oracles of level 0: Z, then M, then X_0, ..
    pub groups: Vec<Group>,
    /// Tensor numbers of PAD and PROD (zk).
    pub pad_tensors: Option<(u32, u32)>,
    /// Axis lengths of PAD and PROD.
    pub pad_axes: [[usize; 2]; 2],
    /// Per tensor: its oracle and its index in that oracle's layout.
    pub homes: Vec<Option<(usize, usize)>>,
    /// Layout of the LogUp leaves: lookups, then tables.
    pub leaves: Layout,
    /// ℓ.
    pub layers: usize,
    /// Per inner product, what both ends need of it.
    pub products: Vec<Product>,
    /// Variables of each inner product, and last (zk) of the pad products.
    pub dims: Vec<usize>,
    /// Whether a_l and b_l read committed data.
    pub private: Vec<(bool, bool)>,
    /// Number of pads and of pad products.
    pub sends: (usize, usize),
    /// Largest number of lookup coordinates.
    pub coordinates: usize,
    /// The ladder.
    pub plan: Plan,
}

/// What does not change from proof to proof of one inner product.
#[derive(Clone, Debug)]
pub struct Product {
    /// Output axes used by `a`, by `b`.
    pub used: (Vec<bool>, Vec<bool>),
    /// 1/m: one, or one per index of the multiplier's axis.
    pub inverses: Vec<F>,
}

impl Product {
    fn new(ip: &Ip) -> Self {
        let count = ip.outputs.len().saturating_add(ip.sums.len());
        let multipliers = match &ip.multiplier {
            Multiplier::One(m) => slice::from_ref(m),
            Multiplier::Axis(_, list) => list,
        };
        let multipliers: Vec<F> = multipliers.iter().map(|&m| F::from_i64(m)).collect();
        let used = (axes_used(&ip.a, count), axes_used(&ip.b, count));
        Self { used, inverses: batch_inverse(&multipliers) }
    }
}

/// A setup in the making.
struct Draft {
    lowered: Lowered,
    sizes: Sizes,
}

impl core::ops::Deref for Draft {
    type Target = Sizes;

    fn deref(&self) -> &Sizes {
        &self.sizes
    }
}

impl core::ops::DerefMut for Draft {
    fn deref_mut(&mut self) -> &mut Sizes {
        &mut self.sizes
    }
}

/// What an allocator adds to a list, about.
const LIST: usize = 16;
const LEAVES_MAX: usize = 1 << 27;
const POSITIONS_MAX: usize = 1 << 27;
const CONSTRAINTS_MAX: usize = 1 << 16;
const INNER_MAX: usize = 1 << 14;
const LONG_TERM_OPENINGS: usize = 32;
/// Most steps a verifier makes to evaluate all functionals: a few seconds.
const WORK_MAX: usize = 1 << 31;

/// Position axes a map reads.
pub(crate) fn map_axes(map: &Map) -> impl Iterator<Item = u8> {
    let (first, second) = match map {
        Map::Fix { .. } | Map::Sum => (None, None),
        Map::Aff { axis, .. } | Map::Gather { axis, .. } | Map::Mat { axis, .. } | Map::Pool { axis, .. } => {
            (Some(*axis), None)
        }
        Map::Win { a, b, .. } | Map::Join { a, b, .. } => (Some(*a), Some(*b)),
    };
    first.into_iter().chain(second)
}

/// Which position axes a form's views read.
pub(crate) fn axes_used(form: &Form, count: usize) -> Vec<bool> {
    let mut used = vec![false; count];
    for (_, view) in &form.0 {
        for map in &view.maps {
            for axis in map_axes(map) {
                if let Some(slot) = used.get_mut(usize::from(axis)) {
                    *slot = true;
                }
            }
        }
    }
    used
}

/// Parameters of M as the Program gives them, with the layout of its tensors.
pub fn model_shape(program: &Program) -> Result<Option<(Shape, Layout)>, SetupError> {
    let Some(given) = program.model_oracle else { return Ok(None) };
    let axes: Vec<Vec<usize>> = program
        .tensors
        .iter()
        .filter(|tensor| tensor.home == Home::Model)
        .map(|tensor| tensor.axes.iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect())
        .collect();
    let laid = layout(axes.iter().map(Vec::as_slice)).ok_or(SetupError::Limits("the model"))?;
    let shape = Shape {
        role: Role::Model,
        extension: false,
        rows: usize::try_from(given.rows).unwrap_or(usize::MAX),
        log_c: usize::from(given.log_c),
        log_t: given.log_t.map(usize::from),
        log_n: usize::from(given.log_n),
        layout: layout_digest(axes.iter().map(Vec::as_slice)),
    };
    if !shape.is_valid() || shape.rows != laid.total.div_ceil(shape.data()).max(1) {
        return Err(SetupError::Oracle("M"));
    }
    Ok(Some((shape, laid)))
}

/// The parameters a Program gives its proofs.
pub fn sizing(program: &Program) -> Sizing {
    let rung = |rung: &program::types::Rung| Rung { rows: rung.rows.into(), rate: rung.rate.into() };
    Sizing {
        fresh: rung(&program.ladder.fresh),
        inner: program.ladder.inner.iter().map(rung).collect(),
        last_max: program.ladder.last_max.into(),
        end: rung(&program.ladder.end),
        ..Sizing::v1(program.lambda, program.grind)
    }
}

/// Parameters of a committed input with these (batch-expanded) axes.
pub fn input_shape(sizing: &Sizing, axes: &[usize], zk: bool) -> Result<(Shape, Layout), SetupError> {
    let laid = layout([axes]).ok_or(SetupError::Limits("an input"))?;
    let shape = sizing
        .long_term(Role::Input, laid.total, layout_digest([axes].into_iter()), LONG_TERM_OPENINGS, zk)
        .ok_or(SetupError::Oracle("X"))?;
    Ok((shape, laid))
}

/// The batch size, the disclosure and whether messages are masked: all of a Statement that decides how
/// its proof is made and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofShape {
    /// Number of inferences.
    pub batch: u32,
    /// Whether messages are masked.
    pub zk: bool,
    /// What is shown.
    pub disclosure: Disclosure,
}

impl From<&Statement> for ProofShape {
    fn from(statement: &Statement) -> Self {
        Self { batch: statement.batch, zk: statement.zk, disclosure: statement.disclosure.clone() }
    }
}

impl Setup {
    /// Derives everything, and checks that the Statement fits the Program.
    pub fn new(program: &Program, statement: &Statement) -> Result<Self, SetupError> {
        if program.digest() != statement.program_digest {
            return Err(SetupError::OtherProgram);
        }
        Self::with_sizing(program, statement, sizing(program))
    }

    /// As [`Self::new`] with other per-proof parameters. For tests at small parameters only.
    pub fn with_sizing(program: &Program, statement: &Statement, sizing: Sizing) -> Result<Self, SetupError> {
        let (unfilled, slots) = Self::build(program, &statement.into(), sizing, Some(statement))?;
        unfilled.filled(&slots, statement)
    }

    /// Everything but the contents of slots. A Statement that is known already is checked on the way,
    /// so that the first reason to refuse it does not depend on what is prepared.
    pub(crate) fn build(
        program: &Program,
        shape: &ProofShape,
        sizing: Sizing,
        statement: Option<&Statement>,
    ) -> Result<(Self, SlotPlan), SetupError> {
        let outline = Outline::new(program, shape.batch, &shape.disclosure)?;
        if let Some(statement) = statement {
            outline.check_slots(&statement.slots)?;
        }
        let (lowered, slots) = outline.lower()?;
        let mut draft = Draft::count(lowered, shape.zk, sizing)?;
        draft.group_tensors(program)?;
        draft.check_work()?;
        if let Some(statement) = statement {
            draft.check_roots(statement)?;
        }
        let shapes = draft.groups.iter().map(|group| group.shape.clone()).collect();
        draft.plan = plan(&draft.sizing, draft.zk, shapes).ok_or(SetupError::Oracle("the ladder"))?;
        let positions = draft.groups.iter().map(|group| group.shape.positions());
        if positions.fold(0usize, usize::saturating_add) > POSITIONS_MAX {
            return Err(SetupError::Limits("the number of code positions"));
        }
        Ok((Self { lowered: draft.lowered, sizes: Arc::new(draft.sizes) }, slots))
    }

    /// The setup of a Statement: its slots and roots are checked, and the slots filled in.
    pub(crate) fn filled(&self, slots: &SlotPlan, statement: &Statement) -> Result<Self, SetupError> {
        let lowered = slots.fill(&self.lowered, &statement.slots)?;
        self.check_roots(statement)?;
        Ok(Self { lowered, sizes: Arc::clone(&self.sizes) })
    }

    /// Entries of Z of a proof with all inputs private and nothing shown: what a ladder is chosen for.
    pub fn fresh_entries(program: &Program, batch: u32, zk: bool) -> Result<usize, SetupError> {
        let inputs = program.tensors.iter().filter(|tensor| tensor.home == Home::Input).count();
        let disclosure = Disclosure { inputs: vec![InputMode::Private; inputs], reveals: Vec::new() };
        let (lowered, _) = Outline::new(program, batch, &disclosure)?.lower()?;
        let draft = Draft::count(lowered, zk, sizing(program))?;
        let columns = draft.lowered.tensors.iter().filter(|tensor| tensor.place == Place::Fresh);
        let entries =
            columns.map(|tensor| tensor.axes.iter().fold(1usize, |n, &axis| n.saturating_mul(axis)));
        let (pads, products) = if zk { draft.sends } else { (0, 0) };
        let pairs = pads.saturating_add(products).saturating_mul(2);
        Ok(entries.fold(pairs, usize::saturating_add))
    }

    /// Axis lengths of any tensor, PAD and PROD included.
    pub fn axes(&self, tensor: u32) -> &[usize] {
        self.sizes.axes(&self.lowered, tensor)
    }

    /// A tensor of the lowered Program.
    pub(crate) fn placed(&self, tensor: u32) -> Option<&Placed> {
        usize::try_from(tensor).ok().and_then(|t| self.lowered.tensors.get(t))
    }
}

impl Sizes {
    /// About how many bytes of memory this takes.
    pub fn bytes(&self) -> usize {
        let times = |count: usize, one: usize| count.saturating_mul(one);
        let layout = |layout: &Layout| {
            let chunks: usize = layout.blocks.iter().map(|block| block.chunks.len()).sum();
            times(layout.blocks.len(), size_of::<Block>().saturating_add(LIST))
                .saturating_add(times(chunks, size_of::<Chunk>()))
        };
        let group = |group: &Group| {
            let lists = times(group.tensors.len(), size_of::<u32>().saturating_add(size_of::<Vec<usize>>()));
            let numbers = times(group.layout.blocks.len(), size_of::<usize>());
            lists.saturating_add(numbers).saturating_add(layout(&group.layout))
        };
        let product = |Product { used: (a, b), inverses }: &Product| {
            let flags = a.len().saturating_add(b.len());
            flags.saturating_add(times(inverses.len(), size_of::<F>())).saturating_add(size_of::<Product>())
        };
        let relations = times(self.dims.len(), size_of::<usize>().saturating_add(2));
        let homes = times(self.homes.len(), size_of::<Option<(usize, usize)>>());
        let groups = self.groups.iter().map(group);
        let products = self.products.iter().map(product);
        let rest = [layout(&self.leaves), relations, homes, size_of::<Self>()];
        groups.chain(products).chain(rest).fold(0, usize::saturating_add)
    }

    fn axes<'a>(&'a self, lowered: &'a Lowered, tensor: u32) -> &'a [usize] {
        let [pads, products] = &self.pad_axes;
        match self.pad_tensors {
            Some((pad, _)) if tensor == pad => pads,
            Some((_, product)) if tensor == product => products,
            _ => {
                let placed = usize::try_from(tensor).ok().and_then(|t| lowered.tensors.get(t));
                placed.map_or(&[], |placed| &placed.axes)
            }
        }
    }

    pub(crate) fn check_roots(&self, statement: &Statement) -> Result<(), SetupError> {
        let expected = self.groups.len().saturating_sub(1);
        for found in [statement.roots.len(), statement.identity.len()] {
            if found != expected {
                return Err(SetupError::OracleCount { expected, found });
            }
        }
        let opened = self.groups.iter().skip(1).zip(&statement.roots).zip(&statement.identity);
        for (oracle, ((group, root), identity)) in opened.enumerate() {
            // A root that is not the identity's own needs links, which are checked apart.
            if statement.link == [0; 32] && group.shape.id(root) != *identity {
                return Err(SetupError::Identity { oracle });
            }
        }
        Ok(())
    }
}

impl Draft {
    /// Relations, leaves and messages: all but the oracles.
    fn count(lowered: Lowered, zk: bool, sizing: Sizing) -> Result<Self, SetupError> {
        let plan = Plan { sizing: sizing.clone(), zk, levels: Vec::new(), closing: None, pads: 0 };
        let sizes = Sizes {
            zk,
            sizing,
            groups: Vec::new(),
            pad_tensors: None,
            pad_axes: [[0; 2]; 2],
            homes: Vec::new(),
            leaves: Layout::default(),
            layers: 0,
            products: lowered.ips.iter().map(Product::new).collect(),
            dims: Vec::new(),
            private: Vec::new(),
            sends: (0, 0),
            coordinates: 0,
            plan,
        };
        let mut draft = Self { lowered, sizes };
        draft.lay_leaves()?;
        draft.count_messages()?;
        Ok(draft)
    }

    fn lay_leaves(&mut self) -> Result<(), SetupError> {
        let looks = self.lowered.looks.iter().map(|look| look.axes.clone());
        let tables =
            self.lowered.tables.iter().map(|table| table.keys.iter().map(|&(_, count)| count).collect());
        let axes: Vec<Vec<usize>> = looks.chain(tables).collect();
        self.leaves = layout(axes.iter().map(Vec::as_slice)).ok_or(SetupError::Limits("the lookups"))?;
        if self.leaves.total > LEAVES_MAX {
            return Err(SetupError::Limits("the number of lookups"));
        }
        if !self.lowered.looks.is_empty() {
            self.layers = bits(self.leaves.total).max(1);
        }
        self.coordinates = self.lowered.looks.iter().map(|look| look.coords.len()).max().unwrap_or(0);
        Ok(())
    }

    /// Whether a form reads committed data.
    fn is_private(&self, form: &Form) -> bool {
        form.0.iter().any(|(_, view)| {
            let tensor = usize::try_from(view.tensor).ok().and_then(|t| self.lowered.tensors.get(t));
            tensor.is_some_and(|placed| {
                matches!(placed.place, Place::Fresh | Place::Model | Place::Committed(_))
            })
        })
    }

    fn count_messages(&mut self) -> Result<(), SetupError> {
        if self.lowered.ips.len() > INNER_MAX {
            return Err(SetupError::Limits("the number of inner products"));
        }
        let lists = Arc::clone(&self.lowered.lists);
        for (number, ip) in lists.ips.iter().enumerate() {
            let Some(Product { used: (a, b), .. }) = self.products.get(number) else { continue };
            let shared = ip.outputs.iter().zip(a.iter().zip(b)).filter(|(_, (a, b))| **a && **b);
            let joint: usize = shared.map(|(&n, _)| bits(n)).sum();
            let sums: usize = ip.sums.iter().map(|&n| bits(n)).sum();
            self.dims.push(joint.saturating_add(sums));
            let private = (self.is_private(&ip.a), self.is_private(&ip.b));
            self.private.push(private);
        }
        let (mut pads, mut products) = if self.layers > 0 { lookup::counts(self.layers) } else { (0, 0) };
        for &(a, b) in &self.private {
            pads = pads.saturating_add(usize::from(a)).saturating_add(usize::from(b));
            products = products.saturating_add(usize::from(a && b));
        }
        if self.zk {
            self.dims.push(bits(products.saturating_add(1)));
        }
        let rounds = self.dims.iter().copied().max().unwrap_or(0);
        self.sends = (pads.saturating_add(rounds.saturating_mul(2)), products);
        self.pad_axes = [[self.sends.0.saturating_add(2), 2], [products.saturating_add(1), 2]];
        let constraints = self
            .layers
            .saturating_add(self.lowered.lins.len())
            .saturating_add(self.private.len().saturating_mul(2))
            .saturating_add(5);
        if constraints > CONSTRAINTS_MAX {
            return Err(SetupError::Limits("the number of constraints"));
        }
        Ok(())
    }

    fn group_tensors(&mut self, program: &Program) -> Result<(), SetupError> {
        let pick = |wanted: Place| -> Vec<u32> {
            let placed = self.lowered.tensors.iter().zip(0u32..);
            placed.filter(|(tensor, _)| tensor.place == wanted).map(|(_, number)| number).collect()
        };
        let mut fresh = pick(Place::Fresh);
        let model = pick(Place::Model);
        let mut inputs = Vec::new();
        for number in 0..=u8::MAX {
            match pick(Place::Committed(number)) {
                tensors if tensors.is_empty() => break,
                tensors => inputs.push(tensors),
            }
        }
        if self.zk {
            let next = u32::try_from(self.lowered.tensors.len()).unwrap_or(u32::MAX);
            self.pad_tensors = Some((next, next.saturating_add(1)));
            fresh.extend([next, next.saturating_add(1)]);
        }
        self.homes = vec![None; self.lowered.tensors.len().saturating_add(2)];
        let axes = fresh.iter().map(|&tensor| self.sizes.axes(&self.lowered, tensor));
        let laid = layout(axes).ok_or(SetupError::Limits("the program"))?;
        let shape = self.sizing.fresh(laid.total, self.zk).ok_or(SetupError::Limits("the program"))?;
        self.add_group(Group::new(shape, fresh, laid));
        if let Some((shape, laid)) = model_shape(program)? {
            let room = shape.masks() >= shape.queries(self.sizing.lambda);
            if model.is_empty() || (self.zk && !room) {
                return Err(SetupError::Oracle("M"));
            }
            self.add_group(Group::new(shape, model, laid));
        } else if !model.is_empty() {
            return Err(SetupError::Oracle("M"));
        }
        for tensors in inputs {
            let axes = tensors.first().map(|&tensor| self.sizes.axes(&self.lowered, tensor));
            let axes = axes.unwrap_or_default();
            let (shape, laid) = input_shape(&self.sizing, axes, self.zk)?;
            self.add_group(Group::new(shape, tensors, laid));
        }
        Ok(())
    }

    /// Bounds the verifier's work: every view meets every block of its tensor, in lookups once for
    /// each block of positions; public tensors are read whole.
    fn check_work(&self) -> Result<(), SetupError> {
        let mut costs = vec![0usize; self.homes.len()];
        for group in &self.groups {
            for block in &group.layout.blocks {
                let tensor = group.tensors.get(block.tensor).and_then(|&t| usize::try_from(t).ok());
                if let Some(cost) = tensor.and_then(|t| costs.get_mut(t)) {
                    *cost = cost.saturating_add(1);
                }
            }
        }
        for (cost, placed) in costs.iter_mut().zip(&self.lowered.tensors) {
            let entries = match placed.place {
                Place::Const | Place::Slot => {
                    placed.axes.iter().fold(1, |n: usize, &axis| n.saturating_mul(axis))
                }
                _ => 1,
            };
            *cost = cost.saturating_add(entries);
        }
        let cost = |form: &Form| {
            let views = form.0.iter().filter_map(|(_, view)| usize::try_from(view.tensor).ok());
            views.filter_map(|t| costs.get(t)).fold(0usize, |sum, &cost| sum.saturating_add(cost))
        };
        let mut work = 0usize;
        let looks = self.lowered.looks.len();
        for block in &self.leaves.blocks {
            let one = match block.tensor.checked_sub(looks) {
                None => {
                    self.lowered.looks.get(block.tensor).map_or(0, |look| look.coords.iter().map(cost).sum())
                }
                Some(table) => self.lowered.tables.get(table).map_or(0, |table| {
                    let contents: usize = table.outs.iter().map(|out| out.len()).sum();
                    contents.saturating_add(table.keys.len())
                }),
            };
            work = work.saturating_add(one);
        }
        for ip in &self.lowered.ips {
            for form in [&ip.a, &ip.b, &ip.c, &ip.target] {
                work = work.saturating_add(cost(form));
            }
        }
        for lin in &self.lowered.lins {
            work = work.saturating_add(cost(&lin.form));
        }
        if work > WORK_MAX { Err(SetupError::Limits("the verifier's work")) } else { Ok(()) }
    }

    fn add_group(&mut self, group: Group) {
        let number = self.groups.len();
        for (index, &tensor) in group.tensors.iter().enumerate() {
            let slot = usize::try_from(tensor).ok().and_then(|t| self.homes.get_mut(t));
            if let Some(slot) = slot {
                *slot = Some((number, index));
            }
        }
        self.groups.push(group);
    }
}
