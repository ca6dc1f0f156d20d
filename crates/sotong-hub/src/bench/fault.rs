//! What went wrong, counted by kind.

use std::collections::BTreeMap;

use serde::Serialize;
use sotong::{Closed, ConnectError, ConnectStep, Error};

use crate::connect::escape;

/// More kinds than a run has; what comes after them is counted together. Some kinds hold words of the server.
const KINDS_MAX: usize = 32;
/// How much of an example is kept.
const EXAMPLE_CHARS_MAX: usize = 200;

/// How often each kind of fault was seen, with the first one in full.
#[derive(Debug, Default)]
pub(super) struct Faults(BTreeMap<String, Seen>);

/// One kind of fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Seen {
    pub(super) count: u64,
    /// The first of them, escaped.
    pub(super) example: String,
}

impl Faults {
    fn note(&mut self, kind: String, count: u64, example: String) {
        let is_known = self.0.contains_key(&kind);
        let kind = if is_known || self.0.len() < KINDS_MAX { kind } else { "of other kinds".to_owned() };
        self.0.entry(kind).or_insert(Seen { count: 0, example }).count += count;
    }

    pub(super) fn connect(&mut self, error: &ConnectError) {
        self.note(connect_kind(error), 1, shortened(&error.to_string()));
    }

    /// A connection ended that was not to end.
    pub(super) fn closed(&mut self, closed: &Closed, error: Option<&Error>) {
        let example = error.map_or_else(|| closed.to_string(), Error::to_string);
        self.note(closed_kind(closed, error), 1, shortened(&example));
    }

    pub(super) fn add(&mut self, other: Faults) {
        for (kind, seen) in other.0 {
            self.note(kind, seen.count, seen.example);
        }
    }

    pub(super) fn into_kinds(self) -> BTreeMap<String, Seen> {
        self.0
    }
}

fn connect_kind(error: &ConnectError) -> String {
    match error {
        ConnectError::Resolve { .. } => "connect: the name cannot be resolved".to_owned(),
        ConnectError::Tcp { attempts, .. } => match attempts.last() {
            Some((_, error)) => format!("connect: TCP: {}", error.kind()),
            None => "connect: TCP: no address".to_owned(),
        },
        ConnectError::Tls { .. } => "connect: TLS".to_owned(),
        ConnectError::Timeout { step, .. } => match step {
            ConnectStep::Resolve => "connect: timed out: resolving",
            ConnectStep::Tcp => "connect: timed out: TCP",
            ConnectStep::Tls => "connect: timed out: TLS",
            ConnectStep::Handshake => "connect: timed out: WebSocket handshake",
            _ => "connect: timed out",
        }
        .to_owned(),
        ConnectError::Refused(refused) => format!("connect: refused with status {}", refused.status()),
        ConnectError::Handshake(_) => "connect: wrong answer to the handshake".to_owned(),
        ConnectError::Io(error) => format!("connect: lost during the handshake: {}", error.kind()),
        _ => "connect: other".to_owned(),
    }
}

fn closed_kind(closed: &Closed, error: Option<&Error>) -> String {
    if let Some(received) = &closed.received {
        return match received.code() {
            Some(code) => format!("closed by the server with {}", u16::from(code)),
            None => "closed by the server without a code".to_owned(),
        };
    }
    match (error, &closed.error) {
        (Some(Error::Io(error)), _) => format!("lost: {}", error.kind()),
        (_, Some(sotong::PeerError::Protocol(_))) => "the server broke the protocol".to_owned(),
        (_, Some(sotong::PeerError::Limit(_))) => "the server passed a limit of ours".to_owned(),
        (_, Some(sotong::PeerError::Timeout(timeout))) => format!("too slow: {timeout}"),
        _ => "lost: ended without a Close".to_owned(),
    }
}

/// Safe to be shown, and not too long.
pub(super) fn shortened(text: &str) -> String {
    let mut short = escape::line(&text.chars().take(EXAMPLE_CHARS_MAX).collect::<String>());
    if text.chars().nth(EXAMPLE_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_at_the_limit_and_past_it() {
        let mut faults = Faults::default();
        for kind in 0..KINDS_MAX {
            faults.note(kind.to_string(), 1, String::new());
        }
        assert_eq!(faults.0.len(), KINDS_MAX);
        faults.note("0".to_owned(), 1, "second".to_owned());
        for kind in ["x", "y"] {
            faults.note(kind.to_owned(), 1, kind.to_owned());
        }
        assert_eq!(faults.0["0"], Seen { count: 2, example: String::new() });
        assert_eq!(faults.0["of other kinds"], Seen { count: 2, example: "x".to_owned() });
        assert_eq!(faults.0.len(), KINDS_MAX + 1);
    }

    #[test]
    fn examples_are_escaped_and_cut() {
        assert_eq!(shortened("a\x1b[2J"), "a\\e[2J");
        assert_eq!(shortened(&"x".repeat(EXAMPLE_CHARS_MAX)), "x".repeat(EXAMPLE_CHARS_MAX));
        assert!(shortened(&"x".repeat(EXAMPLE_CHARS_MAX + 1)).ends_with("x…"));
    }
}
