//! A median with the least and the most beside it: what a handful of runs can honestly say.

/// Of at least one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` without values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let upper = values[values.len() / 2];
        let median = if values.len() % 2 == 1 { upper } else { (values[values.len() / 2 - 1] + upper) / 2.0 };
        Some(Self { median, least, most })
    }

    fn digits(&self) -> usize {
        match self.median {
            median if median >= 100.0 => 0,
            median if median >= 10.0 => 1,
            median if median >= 1.0 => 2,
            _ => 3,
        }
    }

    /// `4.78`.
    pub(crate) fn show_median(&self) -> String {
        let digits = self.digits();
        format!("{:.digits$}", self.median)
    }

    /// `4.78 (4.70–4.91)`, with digits as fit the size.
    pub(crate) fn show(&self) -> String {
        let digits = self.digits();
        format!("{:.digits$} ({:.digits$}–{:.digits$})", self.median, self.least, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0]), Some(Spread { median: 3.0, least: 3.0, most: 3.0 }));
        assert_eq!(Spread::of([9.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, most: 9.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 9.0]), Some(Spread { median: 3.0, least: 1.0, most: 9.0 }));
    }

    #[test]
    fn digits_fit_the_size() {
        let show = |median| Spread { median, least: median, most: median }.show();
        assert_eq!(show(0.15623), "0.156 (0.156–0.156)");
        assert_eq!(show(4.7833), "4.78 (4.78–4.78)");
        assert_eq!(show(13.52), "13.5 (13.5–13.5)");
        assert_eq!(show(1234.5), "1234 (1234–1234)");
    }
}
