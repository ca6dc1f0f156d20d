//! Bars as an SVG that needs nothing else: read on a light page and on a dark one, at any width.

use std::fmt::Write as _;

use crate::spread::Spread;

/// One picture.
#[derive(Debug)]
pub(crate) struct Plot {
    /// What the file is called, without `.svg`.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
}

/// One bar: its median, with a line from the least to the most.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) spread: Spread,
    pub(crate) is_ours: bool,
}

const WIDTH: f64 = 720.0;
const LABEL_WIDTH: f64 = 250.0;
/// Room for the figure behind the bar.
const FIGURE_WIDTH: f64 = 70.0;
const ROW_HEIGHT: f64 = 26.0;
const TOP: f64 = 40.0;

/// Colours for both kinds of page. Ours are not told by colour alone: their labels are bold.
const STYLE: &str = "text{font:14px sans-serif;fill:#222}.title{font-weight:bold;font-size:10.5px}.figure{font-size:12px}\
.ours{font-weight:bold}.bar{fill:#9aa7b4}.bar.ours{fill:#1769aa}.range{stroke:#444;stroke-width:1.5}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.bar{fill:#66727e}.bar.ours{fill:#4aa3e0}.range{stroke:#bbb}}";

impl Plot {
    pub(crate) fn svg(&self) -> String {
        let height = TOP + ROW_HEIGHT * self.bars.len() as f64 + 10.0;
        let scale = Scale::of(&self.bars);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
             <title>{0}</title>\n<style>{STYLE}</style>\n<text class=\"title\" x=\"0\" y=\"20\">{0}</text>\n",
            escaped(&self.title)
        );
        for (row, bar) in self.bars.iter().enumerate() {
            bar.draw(&mut svg, TOP + ROW_HEIGHT * row as f64, &scale);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// From figures to places. Where one bar would be a hundred times another, the long ones are cut, and say so.
struct Scale {
    most: f64,
}

impl Scale {
    /// How many times the least median the scale goes to.
    const RANGE: f64 = 12.0;

    fn of(bars: &[Bar]) -> Scale {
        let medians = || bars.iter().map(|bar| bar.spread.median);
        let least = medians().fold(f64::INFINITY, f64::min);
        let most = medians().fold(0.0, f64::max);
        Scale { most: most.min(least * Self::RANGE).max(f64::MIN_POSITIVE) }
    }

    fn length(&self, figure: f64) -> f64 {
        (figure / self.most).min(1.0) * (WIDTH - LABEL_WIDTH - FIGURE_WIDTH)
    }
}

impl Bar {
    fn draw(&self, svg: &mut String, top: f64, scale: &Scale) {
        let class = if self.is_ours { " ours" } else { "" };
        let (middle, text) = (top + 9.0, top + 14.0);
        let end = LABEL_WIDTH + scale.length(self.spread.median);
        let [least, most] =
            [self.spread.least, self.spread.most].map(|figure| LABEL_WIDTH + scale.length(figure));
        let cut = if self.spread.median > scale.most { " →" } else { "" };
        // Writing to a String does not fail.
        let _ = writeln!(
            svg,
            "<text class=\"label{class}\" x=\"0\" y=\"{text:.1}\">{}</text>\
             <rect class=\"bar{class}\" x=\"{LABEL_WIDTH}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"18\"/>\
             <line class=\"range\" x1=\"{least:.1}\" x2=\"{most:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\
             <text class=\"figure\" x=\"{:.1}\" y=\"{text:.1}\">{}{cut}</text>",
            escaped(&self.label),
            end - LABEL_WIDTH,
            end.max(most) + 6.0,
            self.spread.show_median()
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(medians: &[f64]) -> Plot {
        let bar = |median: &f64| Bar {
            label: "a <b>".into(),
            spread: Spread { median: *median, least: median * 0.9, most: median * 1.1 },
            is_ours: *median == 1.0,
        };
        Plot { name: "p".into(), title: "us & them".into(), bars: medians.iter().map(bar).collect() }
    }

    #[test]
    fn bars_are_as_long_as_their_figures() {
        let svg = plot(&[1.0, 2.0]).svg();
        let widths: Vec<f64> = svg
            .split("<rect ")
            .skip(1)
            .filter_map(|rect| rect.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(widths.len(), 2);
        assert!((widths[1] / widths[0] - 2.0).abs() < 0.01, "{widths:?}");
    }

    #[test]
    fn names_are_escaped_and_ours_stand_out() {
        let svg = plot(&[1.0, 3.0]).svg();
        assert!(svg.contains("us &amp; them") && svg.contains("a &lt;b&gt;") && !svg.contains("<b>"));
        assert_eq!(svg.matches("bar ours\"").count(), 1);
    }

    #[test]
    fn what_is_out_of_all_proportion_is_cut_and_says_so() {
        let svg = plot(&[1.0, 300.0]).svg();
        assert_eq!(svg.matches('→').count(), 1);
        assert_eq!(plot(&[1.0, 11.0]).svg().matches('→').count(), 0);
    }
}
