//! What one thread has counted, and what all of them have counted together.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::fault::Faults;

/// Longer than anything that is waited for: an hour.
const LATENCY_MAX: u64 = 3_600_000_000_000;
pub(super) const SECOND: u64 = 1_000_000_000;

/// Latencies in nanoseconds, exact to this many digits.
pub(super) fn histogram(digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX, digits).expect("1 is below the maximum, and digits are 2 or 3")
}

/// When answers count: from, until, in nanoseconds of the run's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: u64,
    pub(super) until: u64,
}

impl Window {
    /// Not begun, and nobody knows when it will.
    pub(super) const AHEAD: Window = Window { from: u64::MAX, until: u64::MAX };

    pub(super) fn has(&self, time: u64) -> bool {
        (self.from..self.until).contains(&time)
    }

    pub(super) fn is_over(&self, time: u64) -> bool {
        time >= self.until
    }

    /// How long it is, in nanoseconds.
    pub(super) fn length(&self) -> u64 {
        self.until.saturating_sub(self.from)
    }

    /// Which second of it this is.
    fn second(&self, time: u64) -> Option<u64> {
        self.has(time).then(|| (time - self.from) / SECOND)
    }
}

/// Numbers of the whole run, the time before the window among it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Messages that were sent.
    pub(super) sent: u64,
    /// Of these: answered.
    pub(super) answered: u64,
    /// Not answered within the time that an answer may take.
    pub(super) timed_out: u64,
    /// Not answered before the connection ended.
    pub(super) lost_with_connection: u64,
    /// Not answered when the run was over.
    pub(super) unanswered_at_end: u64,
    /// Were due by the rate, and could not be sent before the end.
    pub(super) not_sent: u64,
    /// Messages of the server, of any kind.
    pub(super) received: u64,
    /// Of these: no answer to anything.
    pub(super) foreign: u64,
    /// Answers that came before one to an earlier message.
    pub(super) out_of_order: u64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.timed_out += other.timed_out;
        self.lost_with_connection += other.lost_with_connection;
        self.unanswered_at_end += other.unanswered_at_end;
        self.not_sent += other.not_sent;
        self.received += other.received;
        self.foreign += other.foreign;
        self.out_of_order += other.out_of_order;
    }
}

/// One second of the window.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) second: u64,
    pub(super) sent: u64,
    /// Answers; without answers what was received or sent, or connections.
    pub(super) done: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) latency: Histogram<u64>,
}

impl Row {
    fn new(second: u64) -> Row {
        Row { second, sent: 0, done: 0, bytes_sent: 0, bytes_received: 0, latency: histogram(2) }
    }
}

/// What a thread has counted.
#[derive(Debug)]
pub(super) struct Tally {
    /// Of messages that were due inside the window and were answered, whenever.
    pub(super) latency: Histogram<u64>,
    /// How much later than due the same were sent: our own delay, which is a part of the latency.
    pub(super) lateness: Histogram<u64>,
    /// How long each connect took that did not fail.
    pub(super) connecting: Histogram<u64>,
    pub(super) counts: Counts,
    pub(super) faults: Faults,
    /// The first message of the server that was no answer, escaped.
    pub(super) foreign_example: Option<String>,
    row: Row,
}

impl Tally {
    pub(super) fn new() -> Tally {
        Tally {
            latency: histogram(3),
            lateness: histogram(3),
            connecting: histogram(3),
            counts: Counts::default(),
            faults: Faults::default(),
            foreign_example: None,
            row: Row::new(0),
        }
    }

    /// Hands over each second of the window that is over by now.
    pub(super) fn roll(&mut self, window: Window, now: u64, mut over: impl FnMut(Row)) {
        let ended = match now {
            _ if window.from == u64::MAX || now < window.from => return,
            now if window.is_over(now) => window.length().div_ceil(SECOND),
            now => (now - window.from) / SECOND,
        };
        while self.row.second < ended {
            let next = Row::new(self.row.second + 1);
            over(std::mem::replace(&mut self.row, next));
        }
    }

    /// The row that counts at this time. [`roll`](Self::roll) comes before.
    fn row(&mut self, window: Window, now: u64) -> Option<&mut Row> {
        let second = window.second(now)?;
        (self.row.second == second).then_some(&mut self.row)
    }

    pub(super) fn sent(&mut self, window: Window, now: u64, due: u64, bytes: usize) {
        self.counts.sent += 1;
        if window.has(due) {
            self.lateness.saturating_record((now - due).max(1));
        }
        if let Some(row) = self.row(window, now) {
            row.sent += 1;
            row.bytes_sent += bytes as u64;
        }
    }

    /// Something was sent that nobody answers: that it was sent is what counts.
    pub(super) fn pushed(&mut self, window: Window, now: u64) {
        if let Some(row) = self.row(window, now) {
            row.done += 1;
        }
    }

    pub(super) fn answered(&mut self, window: Window, now: u64, due: u64, bytes: usize) {
        self.counts.answered += 1;
        let latency = now.saturating_sub(due).max(1);
        if window.has(due) {
            self.latency.saturating_record(latency);
        }
        if let Some(row) = self.row(window, now) {
            row.done += 1;
            row.bytes_received += bytes as u64;
            row.latency.saturating_record(latency);
        }
    }

    /// A message came that nobody had asked for, and that is what counts.
    pub(super) fn came(&mut self, window: Window, now: u64, bytes: usize) {
        if let Some(row) = self.row(window, now) {
            row.done += 1;
            row.bytes_received += bytes as u64;
        }
    }

    /// A connect is through; `counts` if connecting is what is measured.
    pub(super) fn connected(&mut self, window: Window, began: u64, now: u64, counts: bool) {
        let latency = (now - began).max(1);
        self.connecting.saturating_record(latency);
        if counts {
            if window.has(began) {
                self.latency.saturating_record(latency);
            }
            if let Some(row) = self.row(window, now) {
                row.done += 1;
                row.latency.saturating_record(latency);
            }
        }
    }

    pub(super) fn add(&mut self, other: Tally) {
        for (mine, theirs) in [
            (&mut self.latency, &other.latency),
            (&mut self.lateness, &other.lateness),
            (&mut self.connecting, &other.connecting),
        ] {
            mine.add(theirs).expect("both have the same bounds");
        }
        self.counts.add(&other.counts);
        self.faults.add(other.faults);
        self.foreign_example = self.foreign_example.take().or(other.foreign_example);
    }
}

/// One second of the window, all threads together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Second {
    /// Which, from 0.
    pub(super) second: u64,
    /// How long it was: the last one may be cut off.
    pub(super) seconds: f64,
    pub(super) sent: u64,
    pub(super) done: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    /// Of what came in this second; `None` if nothing did.
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) max_ms: Option<f64>,
}

/// Puts the rows of all threads together.
#[derive(Debug)]
pub(super) struct Timeline {
    threads: usize,
    /// Rows that not all threads have told yet, with how many have.
    open: BTreeMap<u64, (usize, Row)>,
    seconds: Vec<Second>,
}

impl Timeline {
    pub(super) fn new(threads: usize) -> Timeline {
        Timeline { threads, open: BTreeMap::new(), seconds: Vec::new() }
    }

    pub(super) fn add(&mut self, row: Row) {
        let second = row.second;
        let told = match self.open.get_mut(&second) {
            None => {
                self.open.insert(second, (1, row));
                1
            }
            Some((told, all)) => {
                all.sent += row.sent;
                all.done += row.done;
                all.bytes_sent += row.bytes_sent;
                all.bytes_received += row.bytes_received;
                all.latency.add(&row.latency).expect("both have the same bounds");
                *told += 1;
                *told
            }
        };
        // Each thread tells its seconds in order, so the first one is complete before the next.
        if told == self.threads
            && let Some((_, row)) = self.open.remove(&second)
        {
            self.seconds.push(summary(&row));
        }
    }

    pub(super) fn last(&self) -> Option<&Second> {
        self.seconds.last()
    }

    /// All seconds of a window that was so long (nanoseconds).
    pub(super) fn finish(mut self, length: u64) -> Vec<Second> {
        self.seconds.extend(self.open.values().map(|(_, row)| summary(row)));
        for second in &mut self.seconds {
            let rest = length.saturating_sub(second.second * SECOND);
            second.seconds = rest.min(SECOND) as f64 / SECOND as f64;
        }
        self.seconds
    }
}

fn summary(row: &Row) -> Second {
    let ms = |value: u64| (!row.latency.is_empty()).then(|| milliseconds(value));
    Second {
        second: row.second,
        seconds: 1.0,
        sent: row.sent,
        done: row.done,
        bytes_sent: row.bytes_sent,
        bytes_received: row.bytes_received,
        p50_ms: ms(row.latency.value_at_quantile(0.5)),
        p99_ms: ms(row.latency.value_at_quantile(0.99)),
        max_ms: ms(row.latency.max()),
    }
}

pub(super) fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { from: 10 * SECOND, until: 12 * SECOND + SECOND / 2 };

    fn at(seconds: f64) -> u64 {
        ((10.0 + seconds) * 1e9) as u64
    }

    #[test]
    fn what_is_due_in_the_window_has_its_latency_counted_whenever_it_comes() {
        let mut tally = Tally::new();
        tally.answered(WINDOW, at(0.5), at(-0.5), 1);
        assert_eq!((tally.latency.len(), tally.row.done), (0, 1), "due before, came inside");
        tally.answered(WINDOW, at(4.0), at(2.4), 1);
        assert_eq!((tally.latency.len(), tally.row.done), (1, 1), "due inside, came after");
        assert!(tally.latency.max().abs_diff(1_600_000_000) < 2_000_000);
        tally.answered(WINDOW, at(4.0), at(2.5), 1);
        assert_eq!(tally.latency.len(), 1, "due at the end");
        assert_eq!(tally.counts.answered, 3);
    }

    #[test]
    fn seconds_add_up_and_the_last_may_be_short() {
        let mut timeline = Timeline::new(2);
        for _ in 0..2 {
            let mut tally = Tally::new();
            for (time, due) in [(-1.0, -1.0), (0.0, 0.0), (0.9, 0.1), (2.0, 1.9), (2.4, 2.4), (2.5, 2.5)] {
                tally.roll(WINDOW, at(time), |row| timeline.add(row));
                tally.answered(WINDOW, at(time), at(due), 10);
            }
            tally.roll(WINDOW, at(3.0), |row| timeline.add(row));
        }
        let seconds = timeline.finish(WINDOW.until - WINDOW.from);
        let told: Vec<_> = seconds.iter().map(|each| (each.second, each.seconds, each.done)).collect();
        assert_eq!(told, [(0, 1.0, 4), (1, 1.0, 0), (2, 0.5, 4)]);
        assert_eq!(seconds[1].p50_ms, None);
        assert!(seconds[0].max_ms.is_some_and(|max| (790.0..810.0).contains(&max)), "{seconds:?}");
        assert_eq!(seconds[0].bytes_received, 40);
    }

    #[test]
    fn nothing_is_handed_over_before_the_window() {
        let mut tally = Tally::new();
        tally.roll(Window::AHEAD, at(5.0), |row| panic!("{row:?}"));
        tally.roll(WINDOW, at(-1.0), |row| panic!("{row:?}"));
        tally.roll(WINDOW, at(0.5), |row| panic!("{row:?}"));
    }
}
