//! One line on stderr that tells how it goes, if that is a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::Ordering;

use super::crew::Gauges;
use super::report::{grouped, time};
use super::tally::{SECOND, Second, Window};

/// A line that is written again and again.
#[derive(Debug)]
pub(super) struct Progress {
    is_shown: bool,
    last: Option<(u64, u64)>,
}

impl Progress {
    pub(super) fn new(is_quiet: bool) -> Progress {
        Progress { is_shown: !is_quiet && io::stderr().is_terminal(), last: None }
    }

    pub(super) fn show(
        &mut self,
        gauges: &Gauges,
        window: Window,
        now: u64,
        last: Option<&Second>,
        unit: &str,
    ) {
        if !self.is_shown {
            return;
        }
        let done = gauges.done.load(Ordering::Relaxed);
        let per_second = match self.last.replace((now, done)) {
            Some((then, before)) if now > then => {
                (done.saturating_sub(before)) as f64 * SECOND as f64 / (now - then) as f64
            }
            _ => 0.0,
        };
        let line = line(gauges, window, now, per_second, last, unit);
        // A terminal that is gone is no reason to stop.
        let _ = write!(io::stderr(), "\r\x1b[K{line}");
    }

    /// Takes the line away.
    pub(super) fn end(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
            self.is_shown = false;
        }
    }
}

fn line(
    gauges: &Gauges,
    window: Window,
    now: u64,
    per_second: f64,
    last: Option<&Second>,
    unit: &str,
) -> String {
    let when = match window {
        Window::AHEAD => "connecting".to_owned(),
        window if now < window.from => "warming up".to_owned(),
        window if window.is_over(now) => "last answers".to_owned(),
        window => format!(
            "{:.0} of {:.0} s",
            (now - window.from) as f64 / SECOND as f64,
            window.length() as f64 / SECOND as f64
        ),
    };
    let open = gauges.open.load(Ordering::Relaxed);
    let mut line = format!("{when}: {} open, {} {unit}/s", grouped(open), grouped(per_second as u64));
    let failed = gauges.failed.load(Ordering::Relaxed);
    if failed > 0 {
        line += &format!(", {} failed", grouped(failed));
    }
    if let Some(Second { p50_ms: Some(p50), p99_ms: Some(p99), .. }) = last {
        line += &format!(", p50 {}, p99 {}", time(*p50), time(*p99));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_has_its_words() {
        let gauges = Gauges::default();
        gauges.open.store(50, Ordering::Relaxed);
        let window = Window { from: 2 * SECOND, until: 12 * SECOND };
        let line = |window, now| line(&gauges, window, now, 1234.0, None, "answers");
        assert_eq!(line(Window::AHEAD, 0), "connecting: 50 open, 1 234 answers/s");
        assert!(line(window, SECOND).starts_with("warming up"));
        assert!(line(window, 5 * SECOND).starts_with("3 of 10 s"));
        assert!(line(window, 12 * SECOND).starts_with("last answers"));
    }
}
