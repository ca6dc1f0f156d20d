//! Lines over the seconds of a run, as SVG that stands inside a page. Pure.

use std::fmt::Write as _;

/// The drawing's own units; it is shown as wide as there is room.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 24.0;
/// More points than that cannot be told apart.
const POINTS_MAX: usize = 200;

/// One line: its class in the style sheet, and its values, `None` where there are none.
pub(super) struct Series<'a> {
    pub(super) class: &'a str,
    pub(super) values: Vec<Option<f64>>,
}

/// Draws them over `seconds`; `label` says a value of the axis.
pub(super) fn chart(
    title: &str,
    seconds: f64,
    series: &[Series<'_>],
    label: impl Fn(f64) -> String,
) -> String {
    let most = series.iter().flat_map(|each| each.values.iter().flatten()).copied().fold(0.0, f64::max);
    let step = nice_step(most);
    let top = step * (most / step).ceil().max(1.0);
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / top);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        super::page::escaped(title)
    );
    let mut value = 0.0;
    while value <= top * 1.0001 {
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {0:.1}H{1}\"/><text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
            y(value),
            WIDTH - RIGHT,
            LEFT - 6.0,
            y(value) + 4.0,
            super::page::escaped(&label(value))
        );
        value += step;
    }
    for (text, x, anchor) in
        [("0 s".to_owned(), LEFT, "start"), (format!("{seconds:.0} s"), WIDTH - RIGHT, "end")]
    {
        let _ =
            writeln!(svg, "<text x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{text}</text>", HEIGHT - 8.0);
    }
    for each in series {
        let _ =
            writeln!(svg, "<path class=\"line {}\" d=\"{}\"/>", each.class, line(&thinned(&each.values), y));
    }
    svg.push_str("</svg>\n");
    svg
}

/// A value stands in the middle of its second; where there is none the line is broken.
fn line(values: &[Option<f64>], y: impl Fn(f64) -> f64) -> String {
    let width = (WIDTH - LEFT - RIGHT) / values.len().max(1) as f64;
    let mut path = String::new();
    let mut is_broken = true;
    for (place, value) in values.iter().enumerate() {
        let Some(value) = value else {
            is_broken = true;
            continue;
        };
        let command = if is_broken { 'M' } else { 'L' };
        // A lone second is a dot, by the round end of a short line.
        let is_alone = is_broken && values.get(place + 1).copied().flatten().is_none();
        let _ = write!(path, "{command}{:.1} {:.1}", LEFT + width * (place as f64 + 0.5), y(*value));
        if is_alone {
            path.push_str("h0.1");
        }
        is_broken = false;
    }
    path
}

/// Puts neighbours together until there are few enough: the largest of them stays, which is what must not be lost.
fn thinned(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let together = values.len().div_ceil(POINTS_MAX).max(1);
    values.chunks(together).map(|chunk| chunk.iter().flatten().copied().reduce(f64::max)).collect()
}

/// 1, 2 or 5 times a power of ten, so that two to five of them reach this value.
fn nice_step(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let rough = most / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|each| each * power)
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_nice_and_neither_many_nor_few() {
        for (most, step) in
            [(0.0, 1.0), (0.9, 0.5), (1.0, 0.5), (4.0, 1.0), (48_211.0, 20_000.0), (7.5e-3, 2e-3)]
        {
            assert!((nice_step(most) - step).abs() < step * 1e-9, "{most}: {}", nice_step(most));
        }
        for exponent in -30..70 {
            let most = 1.3_f64.powi(exponent);
            let steps = (most / nice_step(most)).ceil();
            assert!((2.0..=5.0).contains(&steps), "{most}: {steps}");
        }
    }

    #[test]
    fn seconds_without_a_value_break_the_line() {
        let path = line(&[Some(1.0), Some(1.0), None, Some(1.0), None], |_| 0.0);
        assert_eq!(path.matches('M').count(), 2);
        assert_eq!(path.matches('L').count(), 1);
        assert_eq!(path.matches("h0.1").count(), 1);
        assert_eq!(line(&[], |_| 0.0), "");
    }

    #[test]
    fn a_long_run_keeps_its_peaks() {
        let mut values = vec![Some(1.0); 86_400];
        values[50_000] = Some(9.0);
        let thinned = thinned(&values);
        assert_eq!(thinned.len(), POINTS_MAX);
        assert_eq!(thinned.iter().filter(|value| **value == Some(9.0)).count(), 1);
        assert_eq!(super::thinned(&values[..POINTS_MAX]).len(), POINTS_MAX);
        assert_eq!(super::thinned(&values[..=POINTS_MAX]).len(), POINTS_MAX / 2 + 1);
    }
}
