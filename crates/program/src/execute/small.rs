//! Sums of products whose factors fit 16 bits. Equal to the plain products of `contract`.

use std::borrow::Cow;

use algebra::arch::factors::{COLUMNS, columns, rows};

use crate::lower::{Ip, Lowered};
use crate::types::{Form, Map, View};

use super::contract::{Roles, Shape};
use super::hands::Hands;
use super::prepared::Small;
use super::read::{Known, Reader, Values, add_slice, is_plain, read};

/// Fewer multiplications than this are not worth two copies.
const WORTH: usize = 1 << 10;
/// Fewer columns than this leave most of a register empty.
const FEW: usize = 16;
/// Fewest products that must fit a 32-bit sum.
const LEAST_BLOCK: i64 = 64;

/// Which factor is read along the sum and which across it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Both along the sum.
    Rows,
    /// The left one along, the right one across.
    Across,
    /// The right one along, the left one across.
    Turned,
}

/// What all functions here read.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) ip: &'a Ip,
    pub(super) lowered: &'a Lowered,
    pub(super) values: &'a Values,
    pub(super) known: &'a Known,
    pub(super) roles: &'a Roles,
    /// Lengths of the position axes.
    pub(super) lengths: &'a [usize],
    pub(super) shape: Shape,
}

/// The sums at every output position; none if the factors are too large or it is not worth it.
pub(super) fn products(scene: Scene<'_>, places: &[Vec<usize>; 3], out: &mut [i64]) -> Option<()> {
    let Shape { left, right, sum } = scene.shape;
    let [joint, left_places, right_places] = places;
    let alone = left == 1 && right == 1 && sum == 1;
    if alone || left * right * sum * joint.len() < WORTH {
        return None;
    }
    let way = scene.way();
    let stride = |width: usize| width.next_multiple_of(COLUMNS);
    let (a, b) = match way {
        Way::Rows => (scene.along(true)?, scene.along(false)?),
        Way::Across => (scene.along(true)?, scene.across(false, right, stride(right))?),
        Way::Turned => (scene.across(true, left, stride(left))?, scene.along(false)?),
    };
    let block = i64::from(i32::MAX) / (a.most * b.most).max(1);
    if block < LEAST_BLOCK {
        return None;
    }
    let block = usize::try_from(block).unwrap_or(usize::MAX).min(sum.next_multiple_of(2));
    let (slow, fast) = match way {
        Way::Turned => (right_places, left_places),
        Way::Rows | Way::Across => (left_places, right_places),
    };
    let (first, second) = if way == Way::Turned { (&b, &a) } else { (&a, &b) };
    let task = Task { along: way == Way::Rows, sum, block, rows: slow.len(), width: fast.len() };
    let factors = [&*first.entries, &*second.entries];
    // The sums are made in the order of (joint, slow, fast), which often is that of the output.
    let place = |(j, (s, f)): (usize, (usize, usize))| (j * slow.len() + s) * fast.len() + f;
    let lies =
        |list: &[usize], at: &dyn Fn(usize) -> usize| list.iter().enumerate().all(|(i, &x)| x == at(i));
    let straight =
        lies(joint, &|j| place((j, (0, 0)))) && lies(slow, &|s| place((0, (s, 0)))) && lies(fast, &|f| f);
    if straight {
        task.all(factors, joint.len(), out, scene.values.hands);
        return Some(());
    }
    let mut sums = vec![0i64; joint.len() * slow.len() * fast.len()];
    task.all(factors, joint.len(), &mut sums, scene.values.hands);
    let each = joint.iter().flat_map(|&base| slow.iter().map(move |&row| base + row));
    for (sums, base) in sums.chunks_exact(fast.len()).zip(each) {
        sums.iter().zip(fast).for_each(|(&sum, &column)| out[base + column] = sum);
    }
    Some(())
}

/// Products that are worth another thread.
const TASK: usize = 1 << 18;

/// Matrix products of one size.
#[derive(Clone, Copy)]
struct Task {
    /// Whether the second factor is read along the sum, too.
    along: bool,
    sum: usize,
    block: usize,
    /// Rows of the first factor, and entries of a row of sums.
    rows: usize,
    width: usize,
}

impl Task {
    /// Adds the sums of `count` products of factors that lie end to end.
    fn all(self, [first, second]: [&[i16]; 2], count: usize, out: &mut [i64], hands: Hands) {
        let Self { sum, rows, width, .. } = self;
        let own = second.len() / count.max(1);
        if count == 1 && rows == 1 && self.along {
            // A single row is cut itself.
            let together = width.div_ceil(4 * hands.count).max(TASK / sum.max(1)).max(1);
            let pieces = out.chunks_mut(together).zip(second.chunks(together * sum.max(1)));
            hands.each(pieces, |(out, second)| Self { width: out.len(), ..self }.one(first, second, out));
            return;
        }
        let together = (count * rows).div_ceil(4 * hands.count).max(TASK / (sum * width).max(1));
        // The kernels take four rows at a time.
        let together = together.next_multiple_of(4);
        hands.each(out.chunks_mut(together * width).enumerate(), |(piece, out)| {
            let (mut row, end) = (piece * together, piece * together + out.len() / width);
            let mut rest = out;
            while row < end {
                let j = row / rows;
                let to = end.min((j + 1) * rows);
                let (part, other) = std::mem::take(&mut rest).split_at_mut((to - row) * width);
                self.one(&first[row * sum..to * sum], &second[j * own..][..own], part);
                (row, rest) = (to, other);
            }
        });
    }

    fn one(self, first: &[i16], second: &[i16], out: &mut [i64]) {
        if self.along {
            rows(first, second, self.sum, self.block, out);
        } else {
            columns(first, second, self.sum, self.block, out, self.width);
        }
    }
}

impl Scene<'_> {
    fn form(&self, left: bool) -> &Form {
        if left { &self.ip.a } else { &self.ip.b }
    }

    fn own(&self, left: bool) -> &[usize] {
        if left { &self.roles.left } else { &self.roles.right }
    }

    /// Whether a factor lies in memory along the sum as it is.
    fn lies_along(&self, left: bool) -> bool {
        let order = [self.roles.joint.as_slice(), self.own(left), &self.roles.sum].concat();
        match self.one_view(self.form(left)) {
            Some(view) => {
                is_plain(view, &self.lowered.tensors[view.tensor as usize].axes, &order, self.lengths)
            }
            None => false,
        }
    }

    fn way(&self) -> Way {
        let Shape { left, right, sum } = self.shape;
        match (self.lies_along(true), self.lies_along(false)) {
            _ if left.max(right) < FEW => Way::Rows,
            (true, true) if sum >= FEW || left.min(right) < FEW => Way::Rows,
            (false, true) => {
                if left >= FEW {
                    Way::Turned
                } else {
                    Way::Rows
                }
            }
            (true, false) => {
                if right >= FEW {
                    Way::Across
                } else {
                    Way::Rows
                }
            }
            _ if left >= right => Way::Turned,
            _ => Way::Across,
        }
    }

    /// A factor as (joint, own, sum).
    fn along(&self, left: bool) -> Option<Small<'_>> {
        let order = [self.roles.joint.as_slice(), self.own(left), &self.roles.sum].concat();
        self.factor(self.form(left), &order, None)
    }

    /// A factor as (joint, sum, own) with `width` own entries every `stride`.
    fn across(&self, left: bool, width: usize, stride: usize) -> Option<Small<'_>> {
        let order = [self.roles.joint.as_slice(), &self.roles.sum, self.own(left)].concat();
        let outer = self.roles.joint.len() + self.roles.sum.len();
        self.factor(self.form(left), &order, Some(Padding { outer, width, stride }))
    }

    /// Values of a Form in this order of axes.
    fn factor(&self, form: &Form, order: &[usize], padding: Option<Padding>) -> Option<Small<'_>> {
        let padding = padding.filter(|padding| padding.stride != padding.width);
        let Some(view) = self.one_view(form) else {
            let all = read(form, order, self.lengths, self.lowered, self.values);
            let all = Small::of(&all, self.values.hands)?;
            return Some(match padding {
                Some(padding) => Small { entries: padding.spread(&all.entries).into(), most: all.most },
                None => all,
            });
        };
        let whole = self.entries(form)?;
        let dims = &self.lowered.tensors[view.tensor as usize].axes;
        let plain = is_plain(view, dims, order, self.lengths);
        let entries = match padding {
            None if plain => return Some(whole),
            Some(padding) if plain => padding.spread(&whole.entries),
            _ => {
                let reader = Reader::new(&view.maps, dims, order, self.lengths);
                let count: usize = order.iter().map(|&axis| self.lengths[axis]).product();
                let hands = self.values.hands;
                let (outer, width, stride) =
                    padding.map_or((reader.outer(hands), count, count), |p| (p.outer, p.width, p.stride));
                let mut entries = vec![0i16; count / width.max(1) * stride];
                reader.copy(&whole.entries, &mut entries, (outer, width), hands);
                entries
            }
        };
        Some(Small { entries: entries.into(), most: whole.most })
    }

    /// The first view of a Form whose terms are all read through the same maps of tensors of one
    /// shape, none of which adds up entries: the terms can be added before they are read.
    fn one_view<'f>(&self, form: &'f Form) -> Option<&'f View> {
        let (_, first) = form.0.first()?;
        let dims = |view: &View| self.lowered.tensors[view.tensor as usize].axes.as_slice();
        let same = |view: &View| view.maps == first.maps && dims(view) == dims(first);
        let moves = |map: &Map| !matches!(map, Map::Sum | Map::Mat { .. } | Map::Pool { .. });
        (form.0.iter().all(|(_, view)| same(view)) && first.maps.iter().all(moves)).then_some(first)
    }

    /// The entries that the maps of a Form with [`Self::one_view`] read.
    fn entries(&self, form: &Form) -> Option<Small<'_>> {
        let known = |view: &View| self.values[view.tensor as usize].as_deref().unwrap_or(&[]);
        if let [(1, view)] = form.0.as_slice() {
            if let Some(facts) = self.known.get(&view.tensor) {
                let small = facts.small.as_ref()?;
                return Some(Small { entries: Cow::Borrowed(&small.entries), most: small.most });
            }
            return Small::of(known(view), self.values.hands);
        }
        let mut sum = vec![0i64; form.0.first().map_or(0, |(_, view)| known(view).len())];
        form.0.iter().for_each(|(coef, view)| add_slice(&mut sum, *coef, known(view)));
        Small::of(&sum, self.values.hands)
    }
}

/// Rows of `width` entries every `stride`, below the first `outer` axes.
#[derive(Clone, Copy)]
struct Padding {
    outer: usize,
    width: usize,
    stride: usize,
}

impl Padding {
    fn spread(&self, dense: &[i16]) -> Vec<i16> {
        let mut spread = vec![0; dense.len() / self.width.max(1) * self.stride];
        let rows = spread.chunks_exact_mut(self.stride).zip(dense.chunks_exact(self.width.max(1)));
        rows.for_each(|(to, from)| to[..self.width].copy_from_slice(from));
        spread
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use crate::execute::Prepared;
    use crate::execute::contract::{contract, offsets, plain};
    use crate::execute::hands::Job;
    use crate::invalid::Site;
    use crate::lower::{Multiplier, Place, Placed};

    use super::*;

    /// Random numbers from a seed.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 33) as usize) % bound.max(1)
        }

        fn chance(&mut self, percent: usize) -> bool {
            self.below(100) < percent
        }

        fn shuffle<T>(&mut self, list: &mut [T]) {
            (1..list.len()).rev().for_each(|i| list.swap(i, self.below(i + 1)));
        }

        /// A map of these axes, and the length of the tensor axis it reads.
        fn map(&mut self, axes: &[usize], lengths: &[usize]) -> (Map, usize) {
            let axis = axes[0] as u8;
            let length = lengths[axes[0]];
            if let [a, b] = *axes {
                let (m, long) = (lengths[b], lengths[a] * lengths[b]);
                let (a, b) = (a as u8, b as u8);
                if self.chance(30) {
                    return (Map::Join { a, b, m: m as u32 }, long);
                }
                let (step, dil, off) =
                    (1 + self.below(2) as i64, 1 + self.below(2) as i64, -(self.below(3) as i64));
                return (Map::Win { a, b, step, dil, off }, length + self.below(m + 2));
            }
            match self.below(10) {
                0 => {
                    let dim = 1 + self.below(9);
                    let indices = (0..length).map(|_| self.below(dim) as u32).collect();
                    (Map::Gather { axis, indices }, dim)
                }
                1 => {
                    let (step, off) = (self.below(4) as i64 - 2, self.below(9) as i64 - 3);
                    (Map::Aff { axis, step, off }, 1 + self.below(length + 3))
                }
                _ => (Map::Aff { axis, step: 1, off: 0 }, length),
            }
        }

        /// Maps that read these axes, and the shape of the tensor.
        fn maps(&mut self, axes: &[usize], lengths: &[usize], simple: bool) -> (Vec<Map>, Vec<usize>) {
            let mut axes = axes.to_vec();
            if !simple {
                self.shuffle(&mut axes);
            }
            let (mut maps, mut dims, mut rest) = (Vec::new(), Vec::new(), axes.as_slice());
            while !rest.is_empty() {
                let count = if !simple && rest.len() > 1 && self.chance(40) { 2 } else { 1 };
                let (map, dim) = if simple {
                    (Map::Aff { axis: rest[0] as u8, step: 1, off: 0 }, lengths[rest[0]])
                } else {
                    self.map(&rest[..count], lengths)
                };
                maps.push(map);
                dims.push(dim);
                rest = &rest[count..];
            }
            if !simple && self.chance(20) {
                let dim = 1 + self.below(3);
                maps.push(if self.chance(50) { Map::Fix { at: self.below(dim) as i64 } } else { Map::Sum });
                dims.push(dim);
            }
            (maps, dims)
        }
    }

    /// A contraction of random views over random values.
    struct Case {
        lowered: Lowered,
        values: Values,
        known: Known,
        ip: Ip,
    }

    impl Case {
        fn new(seed: u64) -> Case {
            let mut random = Random(seed);
            // All pieces at once, the last first.
            let backwards = |jobs: Vec<Job<'_>>| jobs.into_iter().rev().for_each(|job| job());
            let hands = [Hands::ALONE, Hands { count: 3, all: backwards }][random.below(2)];
            let most = [1, 127, 255, 2000, 32_767, 32_768, 1 << 20][random.below(7)];
            let (outputs, sums) = (1 + random.below(3), 1 + random.below(2));
            let mut length = |_| 1 + if random.chance(30) { random.below(40) } else { random.below(8) };
            let lengths: Vec<usize> = (0..outputs + sums).map(&mut length).collect();
            let lowered = Lowered { tensors: Vec::new(), lists: Arc::default() };
            let ip = Ip {
                outputs: lengths[..outputs].to_vec(),
                sums: lengths[outputs..].to_vec(),
                target: Form::default(),
                multiplier: Multiplier::One(1),
                c: Form::default(),
                a: Form::default(),
                b: Form::default(),
                site: Site::Operator(0),
            };
            let mut case =
                Case { lowered, values: Values::new(Vec::new(), hands), known: BTreeMap::new(), ip };
            case.ip.a = case.form(&mut random, &lengths, most);
            case.ip.b = case.form(&mut random, &lengths, most.min(255));
            case
        }

        fn tensor(&mut self, random: &mut Random, dims: &[usize], most: i64) -> u32 {
            let tensor = self.values.len() as u32;
            let mut entry = |_| match random.below(4) {
                0 => most - 1,
                1 => -most,
                _ => random.below(2 * most as usize) as i64 - most,
            };
            let values: Arc<[i64]> = (0..dims.iter().product::<usize>()).map(&mut entry).collect();
            if random.chance(50) {
                let facts = Prepared::new(Arc::clone(&values)).facts.clone();
                self.known.extend(facts.map(|facts| (tensor, facts)));
            }
            self.values.push(Some(values));
            let axes = dims.to_vec();
            self.lowered.tensors.push(Placed {
                place: Place::Fresh,
                axes,
                lo: -most,
                hi: most,
                content: None,
            });
            tensor
        }

        fn form(&mut self, random: &mut Random, lengths: &[usize], most: i64) -> Form {
            let simple = random.chance(40);
            let mut axes: Vec<usize> = (0..lengths.len()).filter(|_| random.chance(70)).collect();
            if axes.is_empty() {
                axes.push(random.below(lengths.len()));
            }
            let (maps, dims) = random.maps(&axes, lengths, simple);
            let terms = 1 + random.below(8).saturating_sub(5);
            let mut form = Form::default();
            for _ in 0..terms {
                let (maps, dims) = match random.below(5) {
                    0 => random.maps(&axes, lengths, false),
                    // The same maps of a longer tensor.
                    1 => (maps.clone(), dims.iter().map(|dim| dim + random.below(2)).collect()),
                    _ => (maps.clone(), dims.clone()),
                };
                let tensor = self.tensor(random, &dims, most);
                let coef = if terms == 1 && random.chance(80) { 1 } else { random.below(7) as i64 - 9 };
                form.0.push((coef, View { tensor, maps }));
            }
            form
        }

        /// The sums by 16-bit products, if they were made, and by definition.
        fn both(&self) -> (Option<(Way, Vec<i64>)>, Vec<i64>) {
            let lengths: Vec<usize> = self.ip.outputs.iter().chain(&self.ip.sums).copied().collect();
            let roles = Roles::of(&self.ip);
            let size = |axes: &[usize]| axes.iter().map(|&axis| lengths[axis]).product::<usize>();
            let shape = Shape { left: size(&roles.left), right: size(&roles.right), sum: size(&roles.sum) };
            let places =
                [&roles.joint, &roles.left, &roles.right].map(|axes| offsets(axes, &self.ip.outputs));
            let Case { lowered, values, known, ip } = self;
            let scene = Scene { ip, lowered, values, known, roles: &roles, lengths: &lengths, shape };
            let empty = vec![0; ip.outputs.iter().product()];
            let (mut fast, mut slow) = (empty.clone(), empty);
            let made = products(scene, &places, &mut fast);
            plain(scene, &places, &mut slow);
            (made.map(|()| (scene.way(), fast)), slow)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn products_are_the_plain_products(seed: u64) {
            let case = Case::new(seed);
            let (fast, slow) = case.both();
            if let Some((way, fast)) = fast {
                prop_assert_eq!(&fast, &slow, "{}", way as u8);
            }
            let sums = contract(&case.ip, &case.lowered, &case.values, &case.known);
            let repeat = Roles::of(&case.ip).repeat;
            prop_assert!(sums.iter().zip(&slow).all(|(&sum, slow)| sum == slow * repeat));
        }
    }

    #[test]
    fn every_way_is_taken() {
        let mut counts = [0; 3];
        for seed in 0..1000u64 {
            if let (Some((way, _)), _) = Case::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).both() {
                counts[way as usize] += 1;
            }
        }
        assert!(counts.iter().all(|&count| count > 20), "{counts:?}");
    }
}
