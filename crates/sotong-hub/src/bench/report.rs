//! What came out: the figures that text, JSON and page show alike.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::fault::Seen;
use super::machine::Machine;
use super::tally::{Counts, Second, milliseconds};

/// The shape of the JSON. Another number when a field changes its meaning or goes.
const SHAPE: u32 = 1;
/// From which share of a wanted rate on it was kept.
const RATE_KEPT: f64 = 0.99;
/// Our own delay is told when it is more than that, in milliseconds, and this share of the latency.
const LATE_MS: f64 = 0.5;
const LATE_SHARE: f64 = 0.2;

/// The result of a run. Its JSON form is documented in `docs/bench.md`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) shape: u32,
    pub(super) version: &'static str,
    pub(super) started_unix_seconds: u64,
    pub(super) interrupted: bool,
    pub(super) machine: Machine,
    pub(super) target: Reached,
    pub(super) asked: Asked,
    pub(super) window: Measured,
    pub(super) latency: Option<Spread>,
    pub(super) lateness: Option<Spread>,
    pub(super) connections: Connections,
    pub(super) messages: Counts,
    pub(super) faults: BTreeMap<String, Seen>,
    pub(super) foreign_example: Option<String>,
    pub(super) seconds: Vec<Second>,
    pub(super) notes: Vec<String>,
}

/// Whom it was measured against.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Reached {
    /// Without query, user name and password: reports are passed on.
    pub(super) url: String,
    pub(super) address: Option<String>,
    /// What the server calls itself, escaped.
    pub(super) server: Option<String>,
    /// The extensions that were agreed on, escaped: compression, or none.
    pub(super) extensions: Option<String>,
    pub(super) protocol: Option<String>,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Asked {
    pub(super) exchange: &'static str,
    #[serde(skip)]
    pub(super) unit: &'static str,
    pub(super) connections: usize,
    pub(super) in_flight: Option<usize>,
    pub(super) rate: Option<f64>,
    pub(super) kind: &'static str,
    /// For people: `128`, `16-4096`.
    pub(super) bytes: String,
    pub(super) duration_seconds: f64,
    pub(super) warm_up_seconds: f64,
    pub(super) ramp_seconds: f64,
    pub(super) threads: usize,
}

/// The window that was measured.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Measured {
    pub(super) seconds: f64,
    pub(super) sent: u64,
    pub(super) done: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) done_per_second: f64,
    pub(super) bytes_sent_per_second: f64,
    pub(super) bytes_received_per_second: f64,
}

/// What became of the connections.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Connections {
    pub(super) opened: u64,
    pub(super) failed: u64,
    /// From the first connect to the last.
    pub(super) seconds: f64,
    pub(super) latency: Option<Spread>,
}

/// How values are spread, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) count: u64,
    pub(super) min_ms: f64,
    pub(super) mean_ms: f64,
    pub(super) stdev_ms: f64,
    pub(super) p50_ms: f64,
    pub(super) p75_ms: f64,
    pub(super) p90_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p99_9_ms: f64,
    pub(super) p99_99_ms: f64,
    pub(super) max_ms: f64,
}

impl Spread {
    /// `None` if there is nothing.
    pub(super) fn of(values: &Histogram<u64>) -> Option<Spread> {
        let at = |quantile| milliseconds(values.value_at_quantile(quantile));
        (!values.is_empty()).then(|| Spread {
            count: values.len(),
            min_ms: milliseconds(values.min()),
            mean_ms: values.mean() / 1e6,
            stdev_ms: values.stdev() / 1e6,
            p50_ms: at(0.5),
            p75_ms: at(0.75),
            p90_ms: at(0.9),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p99_9_ms: at(0.999),
            p99_99_ms: at(0.9999),
            max_ms: milliseconds(values.max()),
        })
    }

    /// Names and values, as tables show them.
    pub(super) fn table(&self) -> [(&'static str, f64); 10] {
        [
            ("min", self.min_ms),
            ("mean", self.mean_ms),
            ("p50", self.p50_ms),
            ("p75", self.p75_ms),
            ("p90", self.p90_ms),
            ("p95", self.p95_ms),
            ("p99", self.p99_ms),
            ("p99.9", self.p99_9_ms),
            ("p99.99", self.p99_99_ms),
            ("max", self.max_ms),
        ]
    }
}

impl Measured {
    /// The sum of its seconds.
    pub(super) fn of(seconds: &[Second], length: f64) -> Measured {
        let sum = |of: fn(&Second) -> u64| seconds.iter().map(of).sum::<u64>();
        let mut measured = Measured {
            seconds: length,
            sent: sum(|second| second.sent),
            done: sum(|second| second.done),
            bytes_sent: sum(|second| second.bytes_sent),
            bytes_received: sum(|second| second.bytes_received),
            ..Measured::default()
        };
        if length > 0.0 {
            measured.done_per_second = measured.done as f64 / length;
            measured.bytes_sent_per_second = measured.bytes_sent as f64 / length;
            measured.bytes_received_per_second = measured.bytes_received as f64 / length;
        }
        measured
    }
}

impl Report {
    pub(super) const SHAPE: u32 = SHAPE;

    fn has_answers(&self) -> bool {
        matches!(self.asked.exchange, "echo" | "reply")
    }

    /// Whether anything was measured.
    pub(super) fn is_empty(&self) -> bool {
        self.window.done == 0
    }

    /// Why nothing came back, in one line.
    pub(super) fn why_empty(&self) -> String {
        let first = self.faults.iter().next();
        match first {
            Some((kind, seen)) if self.connections.opened == 0 || self.messages.sent == 0 => {
                format!("nothing was measured: {kind}: {}", seen.example)
            }
            _ if self.has_answers() && self.messages.sent > 0 => self.no_echo(),
            Some((kind, seen)) => format!("nothing was measured: {kind}: {}", seen.example),
            None if self.asked.exchange == "receive" => {
                "nothing was measured: the server sent no message (--message TEXT sends a first one)"
                    .to_owned()
            }
            None => "nothing was measured: the time was too short".to_owned(),
        }
    }

    fn no_echo(&self) -> String {
        match &self.foreign_example {
            Some(example) if self.asked.exchange == "echo" => format!(
                "the server does not echo: of {} messages none came back, and it said {example}; --reply takes any \
                 message for an answer",
                grouped(self.messages.sent)
            ),
            _ if self.asked.exchange == "echo" => format!(
                "the server does not echo: of {} messages none came back; --push measures sending alone, --receive \
                 listening, --connect-only handshakes",
                grouped(self.messages.sent)
            ),
            _ => format!("the server does not answer: {} messages were sent", grouped(self.messages.sent)),
        }
    }

    /// What has to be known to read the figures.
    pub(super) fn find_notes(&mut self) {
        let mut notes = Vec::new();
        let counts = self.messages;
        if self.interrupted {
            notes.push(format!("ended early, after {:.1} s", self.window.seconds));
        }
        if self.has_answers() && counts.sent > 0 && counts.answered == 0 {
            notes.push(self.no_echo());
        } else if counts.foreign > 0 {
            let example = self.foreign_example.as_deref().unwrap_or_default();
            notes.push(format!(
                "{} messages of the server were no answer to one that waited, the first: {example}",
                grouped(counts.foreign)
            ));
        }
        if counts.out_of_order > 0 {
            notes.push(format!(
                "{} answers came before one to an earlier message",
                grouped(counts.out_of_order)
            ));
        }
        let unanswered = counts.timed_out + counts.lost_with_connection + counts.unanswered_at_end;
        if unanswered > 0 && counts.answered > 0 {
            notes.push(format!(
                "{} messages were never answered ({} too late, {} lost with their connection, {} at the end); they are \
                 not among the percentiles",
                grouped(unanswered),
                grouped(counts.timed_out),
                grouped(counts.lost_with_connection),
                grouped(counts.unanswered_at_end)
            ));
        }
        self.note_rate(&mut notes);
        if let (Some(late), Some(latency), Some(_)) = (&self.lateness, &self.latency, self.asked.rate)
            && late.p99_ms > LATE_MS
            && late.p99_ms > latency.p99_ms * LATE_SHARE
        {
            notes.push(format!(
                "messages were sent late, p99 {}: that part of the latency is this machine's or of connections that \
                 take no more",
                time(late.p99_ms)
            ));
        }
        if self.has_answers() && self.asked.in_flight.is_some() {
            notes.push(
                "closed loop: an answer brings the next message, so a server that stalls is asked less meanwhile. The \
                 percentiles are those of the messages that were sent; what users see who come unasked, --rate tells"
                    .to_owned(),
            );
        }
        self.notes = notes;
    }

    fn note_rate(&self, notes: &mut Vec<String>) {
        let Some(rate) = self.asked.rate else { return };
        let real = if self.has_answers() {
            self.window.done_per_second
        } else {
            self.window.sent as f64 / self.window.seconds
        };
        if self.interrupted
            || self.window.seconds <= 0.0
            || self.messages.sent == 0
            || real >= rate * RATE_KEPT
        {
            return;
        }
        let why = if self.connections.opened < self.asked.connections as u64 {
            "connections are missing"
        } else {
            "the server, or this machine, is too slow for it, and latency grows as long as it lasts"
        };
        notes.push(format!(
            "{} a second were asked for, {} a second were reached ({} due messages could not be sent): {why}",
            grouped(rate.round() as u64),
            grouped(real.round() as u64),
            grouped(self.messages.not_sent)
        ));
    }
}

/// A time with three digits and the unit that fits.
pub(super) fn time(ms: f64) -> String {
    let (value, unit) = match ms {
        ms if ms < 0.9995 => (ms * 1e3, "µs"),
        ms if ms < 999.5 => (ms, "ms"),
        ms => (ms / 1e3, "s"),
    };
    format!("{} {unit}", three(value))
}

/// A number of bytes, likewise.
pub(super) fn bytes(bytes: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1e3;
        unit += 1;
    }
    match unit {
        0 => format!("{value:.0} B"),
        unit => format!("{} {}", three(value), units[unit]),
    }
}

fn three(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// 1234567 as 1 234 567.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A time of the system's clock, in UTC: `2026-11-27 12:00 UTC`.
pub(super) fn date(unix_seconds: u64) -> String {
    let (mut days, rest) = (unix_seconds / 86_400, unix_seconds % 86_400);
    let length_of_year =
        |year: u64| match (year.is_multiple_of(4), year.is_multiple_of(100), year.is_multiple_of(400)) {
            (true, false, _) | (_, _, true) => 366,
            _ => 365,
        };
    let mut year = 1970;
    while days >= length_of_year(year) {
        days -= length_of_year(year);
        year += 1;
    }
    let february = length_of_year(year) - 337;
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02} {:02}:{:02} UTC", days + 1, rest / 3600, rest % 3600 / 60)
}

/// The URL without what may be a secret: user name and password, query.
pub(super) fn shown_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (place, query) = match rest.split_once('?') {
        Some((place, _)) => (place, "?…"),
        None => (rest, ""),
    };
    let authority = place.find('/').unwrap_or(place.len());
    let host = place[..authority].rfind('@').map_or(0, |at| at + 1);
    crate::connect::escape::line(&format!("{scheme}://{}{query}", &place[host..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_for_people() {
        assert_eq!(
            ["0.001", "0.9994", "0.9996", "1", "12.34", "123.4", "999.6", "61000"]
                .map(|ms| time(ms.parse().unwrap())),
            ["1.00 µs", "999 µs", "1.00 ms", "1.00 ms", "12.3 ms", "123 ms", "1.00 s", "61.0 s"]
        );
        assert_eq!([0.0, 999.0, 1000.0, 1_234_567.0].map(bytes), ["0 B", "999 B", "1.00 kB", "1.23 MB"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
    }

    #[test]
    fn dates_of_all_sorts_of_years() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_795_781_209, "2026-11-27 12:06 UTC"),
            (1_798_761_599, "2026-12-31 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn secrets_of_a_url_are_not_shown() {
        assert_eq!(shown_url("wss://me:secret@example.com:1/a?token=x"), "wss://example.com:1/a?…");
        assert_eq!(shown_url("ws://[::1]:9001"), "ws://[::1]:9001");
        assert_eq!(shown_url("ws://h?a@b/c"), "ws://h?…");
        assert_eq!(shown_url("ws://h/a@b"), "ws://h/a@b");
    }
}
