//! Lines on two axes, as an SVG that can be read on light and on dark pages.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 72.0;
const BOTTOM: f64 = 56.0;
/// Colours that stand out on both backgrounds, and are told apart by those who see fewer.
const COLOURS: [&str; 7] = ["#2f81f7", "#d9822b", "#3f9c61", "#b35bd6", "#c9424a", "#2aa5a5", "#8c7a2f"];

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it measures.
    pub label: &'static str,
    /// Whether steps are factors of ten.
    pub is_log: bool,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// Joined, for what a formula says.
    Dashed,
    /// Joined, for what was measured.
    Solid,
    /// Not joined.
    Dots,
}

/// A line of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// How it is drawn.
    pub stroke: Stroke,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// Name of its file, without the ending.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// Across.
    pub x: Axis,
    /// Up.
    pub y: Axis,
    /// The lines.
    pub lines: Vec<Line>,
}

impl Plot {
    /// An empty picture; both axes are linear.
    pub fn new(name: &str, title: &str, x: &'static str, y: &'static str) -> Self {
        let axis = |label| Axis { label, is_log: false };
        Self { name: name.to_string(), title: title.to_string(), x: axis(x), y: axis(y), lines: Vec::new() }
    }

    /// Makes the axes logarithmic or not.
    pub fn log(mut self, x: bool, y: bool) -> Self {
        (self.x.is_log, self.y.is_log) = (x, y);
        self
    }

    /// Adds a line.
    pub fn line(&mut self, name: &str, stroke: Stroke, points: Vec<(f64, f64)>) {
        self.lines.push(Line { name: name.to_string(), stroke, points });
    }

    /// The picture as SVG. Without points it has no lines.
    pub fn svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"13\" role=\"img\">\n<title>{0}</title>\n<style>\ntext {{ fill: #1f2328 }} \
             .grid {{ stroke: #8c959f; stroke-opacity: 0.35 }}\n\
             @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} }}\n</style>\n\
             <text x=\"{LEFT}\" y=\"20\" font-weight=\"bold\">{0}</text>\n",
            escaped(&self.title)
        );
        let (x, y) = (Scale::of(self, true), Scale::of(self, false));
        if let (Some(x), Some(y)) = (x, y) {
            self.grid(&mut svg, &x, &y);
            for (number, line) in self.lines.iter().enumerate() {
                let colour = COLOURS[number % COLOURS.len()];
                draw(&mut svg, line, colour, &x, &y);
                legend(&mut svg, number, line, colour);
            }
        }
        svg + "</svg>\n"
    }

    fn grid(&self, svg: &mut String, x: &Scale, y: &Scale) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for value in y.ticks() {
            let at = y.at(value);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                at + 4.0,
                label(value)
            );
        }
        for value in x.ticks() {
            let at = x.at(value);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                label(value)
            );
        }
        let (middle, centre) = (f64::midpoint(LEFT, right), f64::midpoint(TOP, bottom));
        let _ = writeln!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(16 {centre:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 14.0,
            escaped(self.x.label),
            escaped(self.y.label)
        );
    }
}

/// From values to places.
struct Scale {
    is_log: bool,
    values: (f64, f64),
    places: (f64, f64),
}

impl Scale {
    fn of(plot: &Plot, across: bool) -> Option<Self> {
        let axis = if across { &plot.x } else { &plot.y };
        let points = plot.lines.iter().flat_map(|line| &line.points);
        let values = points.map(|p| if across { p.0 } else { p.1 }).filter(|v| !axis.is_log || *v > 0.0);
        let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if least > most {
            return None;
        }
        let places = if across { (LEFT, WIDTH - RIGHT) } else { (HEIGHT - BOTTOM, TOP) };
        let values = if axis.is_log && across {
            (least.log10(), most.log10())
        } else if axis.is_log {
            (least.log10().floor(), most.log10().ceil())
        } else {
            (if across { least } else { least.min(0.0) }, most)
        };
        let values = if values.1 - values.0 < 1e-12 { (values.0 - 0.5, values.0 + 0.5) } else { values };
        Some(Self { is_log: axis.is_log, values, places })
    }

    /// Where a value lies; what a logarithmic axis cannot show lies at its low end.
    fn at(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        let value = if self.is_log { value.max(1e-300).log10().max(low) } else { value };
        self.places.0 + (value - low) / (high - low) * (self.places.1 - self.places.0)
    }

    fn ticks(&self) -> Vec<f64> {
        let (low, high) = self.values;
        if self.is_log {
            let step = ((high - low) / 8.0).ceil().max(1.0);
            let first = (low - 1e-9).ceil();
            let count = ((high - first + 1e-9) / step).floor() as usize;
            return (0..=count).map(|i| 10f64.powf(first + i as f64 * step)).collect();
        }
        let rough = (high - low) / 6.0;
        let power = 10f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough).unwrap_or(rough);
        let first = (low / step - 1e-9).ceil();
        let count = (high / step - first + 1e-9).floor() as usize;
        (0..=count).map(|i| (first + i as f64) * step).collect()
    }
}

fn draw(svg: &mut String, line: &Line, colour: &str, x: &Scale, y: &Scale) {
    let places: Vec<(f64, f64)> = line.points.iter().map(|p| (x.at(p.0), y.at(p.1))).collect();
    if line.stroke != Stroke::Dots {
        let joined: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let dash = if line.stroke == Stroke::Dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash} points=\"{}\"/>",
            joined.join(" ")
        );
    }
    if line.stroke != Stroke::Dashed && places.len() <= 60 {
        for (x, y) in places {
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
    }
}

fn legend(svg: &mut String, number: usize, line: &Line, colour: &str) {
    let x = LEFT + 226.0 * (number % 3) as f64;
    let y = 38.0 + 16.0 * (number / 3) as f64;
    let dash = if line.stroke == Stroke::Dashed { " stroke-dasharray=\"6 4\"" } else { "" };
    let _ = writeln!(
        svg,
        "<line x1=\"{x}\" y1=\"{y}\" x2=\"{:.1}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"3\"{dash}/>\
         <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        x + 24.0,
        x + 30.0,
        y + 4.0,
        escaped(&line.name)
    );
}

fn label(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e5).contains(&size) {
        return format!("{value:.0e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{Plot, Stroke};

    #[test]
    fn a_picture_has_its_lines_and_labels() {
        let mut plot = Plot::new("x", "a < b", "across", "up").log(true, false);
        assert!(!plot.svg().contains("polyline"));
        plot.line("measured", Stroke::Solid, vec![(1.0, 0.0), (1_000.0, 5.0)]);
        plot.line("formula", Stroke::Dashed, vec![(1.0, 0.5), (1_000.0, 5.5)]);
        let svg = plot.svg();
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("a &lt; b") && svg.contains("prefers-color-scheme: dark"));
        // Decades from 1 to 1000 across: four lines of the grid, and the last point at the right edge.
        assert_eq!(svg.matches("y1=\"72\"").count(), 4);
        assert!(svg.contains("736.0,"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
