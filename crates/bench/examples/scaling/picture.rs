//! Lines on two logarithmic axes, as an SVG that can be read on light and on dark pages.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 56.0;
/// Colours that stand out on both backgrounds.
const COLOURS: [&str; 2] = ["#2f81f7", "#d9822b"];

/// Ends of both axes: binary logarithms of sizes, decimal ones of milliseconds.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    fn around(lines: &[(&str, Vec<(u32, f64)>)]) -> Self {
        let points = || lines.iter().flat_map(|(_, points)| points);
        let xs = || points().map(|p| f64::from(p.0));
        let ys = || points().map(|p| p.1.max(1e-3).log10());
        let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::NEG_INFINITY, f64::max);
        let y = (least(&mut ys()).floor(), most(&mut ys()).ceil());
        Self { x: (least(&mut xs()), most(&mut xs())), y }
    }

    fn at(&self, log: f64, ms: f64) -> (f64, f64) {
        let share = |v: f64, (a, b): (f64, f64)| (v - a) / (b - a).max(1e-9);
        let x = LEFT + share(log, self.x) * (WIDTH - LEFT - RIGHT);
        let y = HEIGHT - BOTTOM - share(ms.max(1e-3).log10(), self.y) * (HEIGHT - TOP - BOTTOM);
        (x, y)
    }
}

/// The picture: one line per row of (lg size, milliseconds).
pub fn draw(lines: &[(&str, Vec<(u32, f64)>)]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\" role=\"img\">\n<title>Milliseconds to prove against size</title>\n<style>\n\
         text {{ fill: #1f2328 }} .grid {{ stroke: #8c959f; stroke-opacity: 0.35 }} \
         .linear {{ stroke: #8c959f; stroke-dasharray: 5 5 }}\n\
         @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} }}\n</style>\n"
    );
    if lines.iter().any(|(_, points)| points.len() > 1) {
        let frame = Frame::around(lines);
        grid(&mut svg, &frame);
        for (number, (name, points)) in lines.iter().enumerate() {
            line(&mut svg, &frame, COLOURS[number % COLOURS.len()], points);
            legend(&mut svg, number, name);
        }
    }
    svg + "</svg>\n"
}

fn grid(svg: &mut String, frame: &Frame) {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let mut decade = frame.y.0;
    while decade <= frame.y.1 + 1e-9 {
        let ms = 10f64.powf(decade);
        let (_, y) = frame.at(frame.x.0, ms);
        let label = if ms < 1000.0 { format!("{ms} ms") } else { format!("{} s", ms / 1000.0) };
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 8.0,
            y + 4.0
        );
        decade += 1.0;
    }
    let mut log = frame.x.0;
    while log <= frame.x.1 + 1e-9 {
        let (x, _) = frame.at(log, 1.0);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">2<tspan dy=\"-5\" font-size=\"10\">{log}</tspan></text>",
            bottom + 20.0
        );
        log += 2.0;
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">size</text>",
        f64::midpoint(LEFT, right),
        HEIGHT - 12.0
    );
}

/// Points joined, and the slope of a cost that is proportional to size through the last point.
fn line(svg: &mut String, frame: &Frame, colour: &str, points: &[(u32, f64)]) {
    let at = |&(log, ms): &(u32, f64)| frame.at(f64::from(log), ms);
    let joined: Vec<String> = points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\" points=\"{}\"/>",
        joined.join(" ")
    );
    for (x, y) in points.iter().map(at) {
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>");
    }
    if let Some(&(log, ms)) = points.last() {
        // Back to where the line leaves the frame.
        let steps = (ms.log10() - frame.y.0) / 2f64.log10();
        let back = steps.min(f64::from(log) - frame.x.0).max(0.0);
        let ((x1, y1), (x2, y2)) =
            (frame.at(f64::from(log) - back, ms / back.exp2()), frame.at(f64::from(log), ms));
        let _ = writeln!(
            svg,
            "<line class=\"linear\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }
}

fn legend(svg: &mut String, number: usize, name: &str) {
    let x = LEFT + 10.0 + 170.0 * number as f64;
    let colour = COLOURS[number % COLOURS.len()];
    let _ = writeln!(
        svg,
        "<line x1=\"{x}\" y1=\"24\" x2=\"{:.1}\" y2=\"24\" stroke=\"{colour}\" stroke-width=\"2.5\"/>\
         <text x=\"{:.1}\" y=\"28\">more {name}</text>",
        x + 26.0,
        x + 34.0
    );
    if number == 0 {
        let x = LEFT + 10.0 + 340.0;
        let _ = writeln!(
            svg,
            "<line class=\"linear\" x1=\"{x}\" y1=\"24\" x2=\"{:.1}\" y2=\"24\"/><text x=\"{:.1}\" y=\"28\">proportional to size</text>",
            x + 26.0,
            x + 34.0
        );
    }
}
