//! A drawing of a program: what is computed from what, as SVG inside a page.

use core::fmt::Write as _;

use program::Program;
use program::types::{Contraction, Form, Home, Operator, Round};
use program::validate::first_columns;

use crate::limits::{BOXES, EDGES};
use crate::page::escape;

const WIDTH: i64 = 216;
const HEIGHT: i64 = 46;
const BESIDE: i64 = 22;
const BELOW: i64 = 30;
const MARGIN: i64 = 8;
/// Room between lines that run side by side, and how many do.
const LANE: i64 = 12;
const LANES: i64 = 4;

/// What a box stands for; also its style.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Input,
    Work,
    Output,
}

/// A box of the drawing.
struct Node {
    role: Role,
    title: String,
    detail: String,
    /// Numbers of the boxes it reads.
    from: Vec<usize>,
    /// Row from the top.
    row: usize,
}

/// The drawing, or words why there is none. The program must be valid.
pub fn draw(program: &Program, names: &[String], outputs: &[String]) -> String {
    let checks = program.operators.iter().filter(|o| matches!(o, Operator::Check { .. })).count();
    let count = program.operators.len().saturating_sub(checks);
    let inputs = program.tensors.iter().filter(|tensor| tensor.home == Home::Input).count();
    let boxes = count.saturating_add(inputs).saturating_add(program.outputs.len());
    let drawn = if boxes > BOXES { None } else { nodes(program, names, outputs) };
    let edges = |nodes: &[Node]| nodes.iter().fold(0usize, |sum, node| sum.saturating_add(node.from.len()));
    let Some(nodes) = drawn.filter(|nodes| edges(nodes) <= EDGES) else {
        return format!("<p>The program has {count} steps, too many to draw.</p>\n");
    };
    let checked = match checks {
        0 => String::new(),
        1 => ", and one more range check that is not drawn".into(),
        many => format!(", and {many} more range checks that are not drawn"),
    };
    let steps = if count == 1 { "step" } else { "steps" };
    let caption = format!(
        "<figcaption>{count} {steps} of integers, from the input down{checked}. Hidden and public numbers are \
         parameters of the model.</figcaption>"
    );
    format!("<figure><div class=\"graph\">{}</div>{caption}</figure>\n", svg(&nodes))
}

// ---- what is drawn ----

fn forms<'a>(operator: &'a Operator, out: &mut Vec<&'a Form>) {
    let contraction = |c: &'a Contraction, out: &mut Vec<&'a Form>| out.extend([&c.a, &c.b, &c.c]);
    match operator {
        Operator::Check { form, .. } | Operator::Split { form, .. } => out.push(form),
        Operator::Table { keys, .. } => out.extend(keys),
        Operator::Commit { contraction: c, .. } => contraction(c, out),
        Operator::Round(Round { contraction: c, extra, .. }) => {
            c.iter().for_each(|c| contraction(c, out));
            out.push(extra);
        }
    }
}

fn reads(operator: &Operator) -> Vec<usize> {
    let mut all = Vec::new();
    forms(operator, &mut all);
    let terms = all.into_iter().flat_map(|form| &form.0);
    terms.filter_map(|(_, view)| usize::try_from(view.tensor).ok()).collect()
}

fn title(operator: &Operator) -> &'static str {
    match operator {
        Operator::Check { .. } => "Range check",
        Operator::Table { .. } => "Table lookup",
        Operator::Commit { .. } => "Sums of products",
        Operator::Split { .. } => "Positive and negative part",
        Operator::Round(Round { contraction: Some(_), table: Some(_), .. }) => "Sums, rounded, then a table",
        Operator::Round(Round { contraction: Some(_), table: None, .. }) => "Sums of products, rounded",
        Operator::Round(Round { table: Some(_), .. }) => "Rounding, then a table",
        Operator::Round(_) => "Rounding",
    }
}

fn axes(operator: &Operator) -> &[u32] {
    match operator {
        Operator::Check { axes, .. }
        | Operator::Table { axes, .. }
        | Operator::Commit { axes, .. }
        | Operator::Split { axes, .. }
        | Operator::Round(Round { axes, .. }) => axes,
    }
}

/// Axis lengths without the batch: `8 × 24 × 24`.
fn shape(axes: &[u32]) -> String {
    let words: Vec<String> = axes.iter().filter(|&&n| n != 0).map(u32::to_string).collect();
    match words.as_slice() {
        [] => "1 value".into(),
        [one] => format!("{one} values"),
        many => many.join(" × "),
    }
}

/// What an operator makes, and the parameters it uses.
fn detail(program: &Program, operator: &Operator) -> String {
    let mut words = shape(axes(operator));
    let tensors = reads(operator).into_iter().filter_map(|at| program.tensors.get(at));
    let size = |axes: &[u32]| axes.iter().fold(1u64, |n, &axis| n.saturating_mul(u64::from(axis)));
    let (mut hidden, mut public) = (0u64, 0u64);
    for tensor in tensors {
        match tensor.home {
            Home::Model => hidden = hidden.saturating_add(size(&tensor.axes)),
            Home::Const => public = public.saturating_add(size(&tensor.axes)),
            Home::Ones | Home::Input => {}
        }
    }
    for (count, kind) in [(hidden, "hidden"), (public, "public")] {
        if count > 0 {
            // Writing to a String cannot fail.
            let _ = write!(words, " · {count} {kind}");
        }
    }
    words
}

fn input_nodes(program: &Program, names: &[String]) -> (Vec<Node>, Vec<Option<usize>>) {
    let mut nodes = Vec::new();
    let mut boxes = Vec::new();
    for tensor in &program.tensors {
        let input = tensor.home == Home::Input;
        boxes.push(input.then_some(nodes.len()));
        if input {
            let title = names.get(nodes.len()).map_or_else(|| "Input".into(), |name| format!("Input {name}"));
            let detail = format!("{}, from {} to {}", shape(&tensor.axes), tensor.lo, tensor.hi);
            nodes.push(Node { role: Role::Input, title, detail, from: Vec::new(), row: 0 });
        }
    }
    (nodes, boxes)
}

fn nodes(program: &Program, names: &[String], outputs: &[String]) -> Option<Vec<Node>> {
    let first = first_columns(program).ok()?;
    let (mut nodes, declared) = input_nodes(program, names);
    let mut made: Vec<Option<usize>> = Vec::new();
    let source = |tensor: usize, made: &[Option<usize>]| match declared.get(tensor) {
        Some(input) => *input,
        None => {
            let operator = first.partition_point(|&start| start <= tensor).checked_sub(1)?;
            made.get(operator).copied().flatten()
        }
    };
    let place = |tensors: Vec<usize>, nodes: &[Node], made: &[Option<usize>]| {
        let mut from: Vec<usize> = tensors.into_iter().filter_map(|tensor| source(tensor, made)).collect();
        from.sort_unstable();
        from.dedup();
        let above = from.iter().filter_map(|&at| nodes.get(at)).map(|node| node.row.saturating_add(1));
        let row = above.max().unwrap_or(1);
        (from, row)
    };
    for operator in &program.operators {
        if matches!(operator, Operator::Check { .. }) {
            made.push(None);
            continue;
        }
        let (from, row) = place(reads(operator), &nodes, &made);
        made.push(Some(nodes.len()));
        let (title, detail) = (title(operator).to_string(), detail(program, operator));
        nodes.push(Node { role: Role::Work, title, detail, from, row });
    }
    for (at, &tensor) in program.outputs.iter().enumerate() {
        let (from, row) = place(vec![usize::try_from(tensor).ok()?], &nodes, &made);
        let title = outputs.get(at).map_or_else(|| format!("Output {at}"), |name| format!("Output {name}"));
        nodes.push(Node { role: Role::Output, title, detail: String::new(), from, row });
    }
    Some(nodes)
}

// ---- where it is drawn ----

fn long(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Left upper corners, and the size of all.
fn places(nodes: &[Node]) -> (Vec<(i64, i64)>, (i64, i64)) {
    let rows = nodes.iter().map(|node| node.row).max().map_or(0, |row| row.saturating_add(1));
    let mut filled = vec![0usize; rows];
    let mut columns = Vec::new();
    for node in nodes {
        if let Some(count) = filled.get_mut(node.row) {
            columns.push(*count);
            *count = count.saturating_add(1);
        }
    }
    let step = WIDTH.saturating_add(BESIDE);
    let wide = |count: usize| long(count).saturating_mul(step).saturating_sub(BESIDE);
    let width = filled.iter().copied().map(wide).max().unwrap_or(WIDTH);
    let corner = |(node, column): (&Node, usize)| {
        let own = filled.get(node.row).copied().map_or(0, wide);
        // Half of what is free lies on the left.
        let left = width.saturating_sub(own) >> 1;
        let x = MARGIN.saturating_add(left).saturating_add(long(column).saturating_mul(step));
        let y = long(node.row).saturating_mul(HEIGHT.saturating_add(BELOW));
        (x, MARGIN.saturating_add(y))
    };
    let height = long(rows).saturating_mul(HEIGHT.saturating_add(BELOW)).saturating_sub(BELOW);
    let both = MARGIN.saturating_mul(2);
    (
        nodes.iter().zip(columns).map(corner).collect(),
        (width.saturating_add(both), height.saturating_add(both)),
    )
}

fn svg(nodes: &[Node]) -> String {
    let (corners, (mut width, height)) = places(nodes);
    let mut lines = String::new();
    let mut long_edges = 0;
    for (node, &to) in nodes.iter().zip(&corners) {
        for &from in &node.from {
            let (Some(above), Some(&start)) = (nodes.get(from), corners.get(from)) else { continue };
            if above.row.saturating_add(1) == node.row {
                edge(&mut lines, start, to);
                continue;
            }
            let lane = lane(nodes, &corners, above.row..node.row, long_edges);
            long_edges = long_edges.saturating_add(1);
            width = width.max(lane.saturating_add(MARGIN));
            detour(&mut lines, start, to, lane);
        }
    }
    let mut out = format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"The steps of the program\">\n{lines}"
    );
    for (node, &corner) in nodes.iter().zip(&corners) {
        box_of(&mut out, node, corner);
    }
    out.push_str("</svg>");
    out
}

/// From the middle of a box's foot to the middle of another's head.
fn ends((ax, ay): (i64, i64), (bx, by): (i64, i64)) -> ((i64, i64), (i64, i64)) {
    let half = WIDTH >> 1;
    ((ax.saturating_add(half), ay.saturating_add(HEIGHT)), (bx.saturating_add(half), by))
}

/// A curve to a box in the next row.
fn edge(out: &mut String, from: (i64, i64), to: (i64, i64)) {
    let ((x0, y0), (x1, y1)) = ends(from, to);
    let bend = BELOW >> 1;
    let (low, high) = (y0.saturating_add(bend), y1.saturating_sub(bend));
    // Writing to a String cannot fail.
    let _ = writeln!(out, "<path class=\"edge\" d=\"M{x0} {y0}C{x0} {low} {x1} {high} {x1} {y1}\"/>");
}

/// Where a long edge runs down: right of all boxes of the rows it passes, beside other long ones.
fn lane(nodes: &[Node], corners: &[(i64, i64)], rows: core::ops::Range<usize>, number: i64) -> i64 {
    let passed = nodes.iter().zip(corners).filter(|(node, _)| rows.contains(&node.row));
    let right = passed.map(|(_, &(x, _))| x.saturating_add(WIDTH)).max().unwrap_or(WIDTH);
    let beside = number.checked_rem(LANES).unwrap_or(0).saturating_mul(LANE);
    right.saturating_add(LANE).saturating_add(beside)
}

/// A line to a box further down, past the boxes between.
fn detour(out: &mut String, from: (i64, i64), to: (i64, i64), lane: i64) {
    let ((x0, y0), (x1, y1)) = ends(from, to);
    let (down, up) = (y0.saturating_add(BELOW), y1.saturating_sub(BELOW));
    let (low, high) = (y0.saturating_add(BELOW >> 1), y1.saturating_sub(BELOW >> 1));
    let _ = writeln!(
        out,
        "<path class=\"edge\" d=\"M{x0} {y0}C{x0} {low} {lane} {low} {lane} {down}L{lane} {up}C{lane} {high} {x1} {high} {x1} {y1}\"/>"
    );
}

fn box_of(out: &mut String, node: &Node, (x, y): (i64, i64)) {
    let class = match node.role {
        Role::Input => "in",
        Role::Work => "work",
        Role::Output => "out",
    };
    let middle = x.saturating_add(WIDTH >> 1);
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\"/>"
    );
    let first = if node.detail.is_empty() { 28 } else { 19 };
    for (text, class, down, letters) in [(&node.title, "t", first, 30), (&node.detail, "d", 35, 38)] {
        if !text.is_empty() {
            let short = shorten(text, letters);
            let y = y.saturating_add(down);
            let _ =
                writeln!(out, "<text class=\"{class}\" x=\"{middle}\" y=\"{y}\">{}</text>", escape(&short));
        }
    }
}

/// As many letters as fit a box.
fn shorten(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_string();
    }
    let kept: String = text.chars().take(letters.saturating_sub(1)).collect();
    format!("{kept}…")
}
