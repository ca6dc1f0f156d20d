//! The result for people.

use std::fmt::Write as _;

use super::report::{Report, Spread, bytes, grouped, time};

/// Where a line is broken.
const COLUMNS: usize = 100;

pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    heading(&mut text, report);
    let _ = writeln!(text);
    figures(&mut text, report);
    if !report.faults.is_empty() {
        let _ = writeln!(text, "\nfaults");
        for (kind, seen) in &report.faults {
            let _ = writeln!(text, "  {:>9} x  {kind}", grouped(seen.count));
            if !seen.example.is_empty() {
                let _ = writeln!(text, "               the first: {}", seen.example);
            }
        }
    }
    if !report.notes.is_empty() {
        let _ = writeln!(text);
        for note in &report.notes {
            wrapped(&mut text, note);
        }
    }
    text
}

/// What was asked, of whom, and where it was measured.
fn heading(text: &mut String, report: &Report) {
    let target = &report.target;
    let _ = write!(text, "sotong bench {}", target.url);
    if let Some(server) = &target.server {
        let _ = write!(text, " ({server})");
    }
    let _ = writeln!(text, "\n  {}", asked(report));
    if let Some(extensions) = &target.extensions {
        let _ = writeln!(text, "  {extensions}");
    }
    let machine = &report.machine;
    let _ = writeln!(
        text,
        "  sotong {}, {}, {} cores, {}",
        report.version, machine.processor, machine.cores, machine.system
    );
}

/// What was asked for, in one line.
pub(super) fn asked(report: &Report) -> String {
    let asked = &report.asked;
    let mut line = format!("{}: {} connections", asked.exchange, grouped(asked.connections as u64));
    if let Some(in_flight) = asked.in_flight {
        let _ = write!(line, ", {} in flight on each", grouped(in_flight as u64));
    }
    if let Some(rate) = asked.rate {
        let _ = write!(line, ", {rate} messages/s in all");
    }
    if !matches!(asked.exchange, "receive" | "connect") {
        let _ = write!(line, ", {} bytes of {}", asked.bytes, asked.kind);
    }
    let _ = write!(line, ", {} s", asked.duration_seconds);
    if asked.ramp_seconds > 0.0 {
        let _ = write!(line, " after {} s of ramp", asked.ramp_seconds);
    }
    if asked.warm_up_seconds > 0.0 {
        let _ = write!(line, " after {} s of warm-up", asked.warm_up_seconds);
    }
    let threads = if asked.threads == 1 { "thread" } else { "threads" };
    let _ = write!(line, ", {} {threads}", asked.threads);
    line
}

fn figures(text: &mut String, report: &Report) {
    let window = &report.window;
    let label = report.asked.unit;
    let _ = write!(
        text,
        "{label:<18} {} in {:.1} s: {} a second",
        grouped(window.done),
        window.seconds,
        grouped(window.done_per_second.round() as u64)
    );
    if report.asked.exchange != "connect" {
        let _ = write!(
            text,
            "; payload {}/s out, {}/s in",
            bytes(window.bytes_sent_per_second),
            bytes(window.bytes_received_per_second)
        );
    }
    let _ = writeln!(text);
    spread(text, "latency", report.latency.as_ref());
    if report.asked.rate.is_some() {
        spread(text, "sent late by", report.lateness.as_ref());
    }
    let connections = &report.connections;
    if report.asked.exchange != "connect" {
        let _ = write!(
            text,
            "{:<18} {} of {} in {}",
            "connected",
            grouped(connections.opened),
            grouped(report.asked.connections as u64),
            time(connections.seconds * 1e3)
        );
        if let Some(latency) = &connections.latency {
            let _ = write!(
                text,
                ": p50 {}, p99 {}, max {}",
                time(latency.p50_ms),
                time(latency.p99_ms),
                time(latency.max_ms)
            );
        }
        let _ = writeln!(text);
    }
}

fn spread(text: &mut String, label: &str, spread: Option<&Spread>) {
    let Some(spread) = spread else { return };
    for (place, row) in spread.table().chunks(5).enumerate() {
        let label = if place == 0 { label } else { "" };
        let _ = write!(text, "{label:<18}");
        for (name, value) in row {
            let _ = write!(text, " {name:>6} {:>8}", time(*value));
        }
        let _ = writeln!(text);
    }
}

/// A note, broken between words.
fn wrapped(text: &mut String, note: &str) {
    let mut line = String::from("*");
    for word in note.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS && line.len() > 2 {
            let _ = writeln!(text, "{line}");
            line = " ".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}
