//! Events for people.

use std::time::Duration;

use sotong::reconnect::Ending;
use sotong::{Close, Closed, Initiator, MessageRef, PeerError, Timeout};

use super::escape;
use super::event::{Event, Opcode, Trouble};
use super::hexdump;

/// What of a text message is shown at a terminal.
pub(super) const TEXT_BYTES_SHOWN: usize = 64 * 1024;
/// What of a binary message is dumped at a terminal: 256 lines.
pub(super) const BINARY_BYTES_SHOWN: usize = 4 * 1024;
/// What of a refusing answer's body is shown.
const BODY_BYTES_SHOWN: usize = 4 * 1024;

/// A message as a terminal may see it, with its line end.
///
/// The first line begins with `<`, others are set in: nothing that a peer sends begins a line.
pub(super) fn message(message: &MessageRef<'_>) -> String {
    match message {
        MessageRef::Text(text) => {
            let shown = &text[..text.floor_char_boundary(TEXT_BYTES_SHOWN)];
            let rest = rest(text.len() - shown.len());
            format!("< {}\n{rest}", escape::block(shown, "  "))
        }
        MessageRef::Binary(bytes) => {
            let shown = &bytes[..bytes.len().min(BINARY_BYTES_SHOWN)];
            let count = count(bytes.len());
            let dump = hexdump::dump(shown, "  ");
            let line_end = if dump.is_empty() { "" } else { "\n" };
            format!("< binary, {count}\n{dump}{line_end}{}", rest(bytes.len() - shown.len()))
        }
    }
}

fn rest(bytes: usize) -> String {
    match bytes {
        0 => String::new(),
        bytes => format!("  … {} more, which a pipe or --json would get\n", count(bytes)),
    }
}

/// A line about anything but what a message says; with `--show-frames` about that it came.
pub(super) fn notice(event: &Event<'_>) -> String {
    match event {
        Event::Open(opened) => {
            let protocol = match &opened.protocol {
                Some(protocol) => format!(", sub-protocol {}", escape::line(protocol)),
                None => String::new(),
            };
            let peer = match &opened.peer {
                Some(peer) => format!(" ({peer})"),
                None => String::new(),
            };
            format!("connected to {}{peer}{protocol}", escape::line(&opened.url))
        }
        Event::Connecting(number) => format!("connecting again, try {number}"),
        Event::Waiting { number, delay, because } => {
            let because = match because {
                Ending::Lost { closed, .. } => self::closed(closed),
                other => format!("not connected: {}", escape::line(&other.to_string())),
            };
            format!("{because}; try {number} in {:.1} s", delay.as_secs_f64())
        }
        Event::Received(message) => {
            format!("← {}, {}", Opcode::of(message).name(), count(message.as_bytes().len()))
        }
        Event::Sent(opcode, bytes) => format!("→ {}, {}", opcode.name(), count(*bytes)),
        Event::Ping => "→ ping".to_owned(),
        Event::Pong(latency) => format!("pong after {}", milliseconds(*latency)),
        Event::Closed(closed) => self::closed(closed),
        Event::Failed(trouble) => escape::line(&trouble.line),
    }
}

/// What the frames of a closing handshake said, for `--show-frames`.
pub(super) fn close_frames(closed: &Closed) -> Vec<String> {
    let sent = closed.sent.as_ref().map(|close| format!("→ close, {}", said(close)));
    let received = closed.received.as_ref().map(|close| format!("← close, {}", said(close)));
    match closed.first {
        Some(Initiator::Peer) => [received, sent],
        _ => [sent, received],
    }
    .into_iter()
    .flatten()
    .collect()
}

/// How a connection ended: who began, and why.
pub(super) fn closed(closed: &Closed) -> String {
    let sent = closed.sent.as_ref().map_or("nothing".to_owned(), said);
    let received = closed.received.as_ref().map(said);
    match (&closed.error, closed.first, received) {
        (Some(PeerError::Timeout(Timeout::Close)), _, None) => {
            format!("closed: {sent}; the server does not answer")
        }
        // It has said all; that it leaves TCP open is nobody's concern.
        (Some(PeerError::Timeout(Timeout::Close)), Some(Initiator::Peer), Some(received)) => {
            format!("closed by the server: {received}")
        }
        (Some(PeerError::Timeout(Timeout::Close)), _, Some(received)) => {
            format!("closed: {sent}; the server answered {received}")
        }
        (Some(error), _, None) if closed.sent.is_none() => {
            format!("given up: {}", escape::line(&error.to_string()))
        }
        (Some(error), _, None) => {
            format!("given up: {}; the server was told {sent}", escape::line(&error.to_string()))
        }
        (Some(error), _, Some(received)) => {
            format!("closed, {received}, not cleanly: {}", escape::line(&error.to_string()))
        }
        (None, Some(Initiator::Peer), Some(received)) => format!("closed by the server: {received}"),
        (None, _, Some(received)) => format!("closed: {sent}; the server answered {received}"),
        (None, Some(_), None) => format!("closed: {sent}; the server went away without an answer"),
        (None, None, None) => "the server vanished without a close frame (1006)".to_owned(),
    }
}

/// A code, what it means, and the reason.
fn said(close: &Close) -> String {
    let Some(code) = close.code().map(u16::from) else { return "no code (1005)".to_owned() };
    let meaning = match code {
        1000 => " (normal)",
        1001 => " (going away)",
        1002 => " (protocol error)",
        1003 => " (unsupported data)",
        1007 => " (invalid payload)",
        1008 => " (policy violation)",
        1009 => " (message too big)",
        1010 => " (extension missing)",
        1011 => " (internal error)",
        1012 => " (service restart)",
        1013 => " (try again later)",
        1014 => " (bad gateway)",
        _ => "",
    };
    match close.reason() {
        "" => format!("{code}{meaning}"),
        reason => format!("{code}{meaning} \"{}\"", escape::line(reason)),
    }
}

/// Headers of an answer, in a line each.
pub(super) fn headers(headers: &[(String, Vec<u8>)]) -> Vec<String> {
    headers.iter().map(|(name, value)| format!("{}: {}", escape::line(name), escape::bytes(value))).collect()
}

/// The answer that refused a handshake: headers and the beginning of the body, each line set in.
pub(super) fn details(trouble: &Trouble) -> String {
    let Some(answer) = &trouble.answer else { return String::new() };
    let mut text = String::new();
    for line in headers(&answer.headers) {
        text.push_str(&format!("  {line}\n"));
    }
    if !answer.body.is_empty() {
        let shown = &answer.body[..answer.body.len().min(BODY_BYTES_SHOWN)];
        let body = String::from_utf8_lossy(shown);
        text.push_str(&format!("\n  {}\n", escape::block(body.trim_end(), "  ")));
        let is_cut = shown.len() < answer.body.len() || !answer.body_is_whole;
        if is_cut {
            text.push_str("  …\n");
        }
    }
    text
}

fn count(bytes: usize) -> String {
    if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") }
}

fn milliseconds(latency: Duration) -> String {
    format!("{:.3} ms", latency.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use sotong::CloseCode;

    use super::*;
    use crate::connect::event::{Answer, TroubleKind};

    #[test]
    fn no_line_of_a_peer_looks_like_ours() {
        let shown = message(&MessageRef::Text("hi\n* closed by the server\x1b[2J\r\n< x"));
        assert_eq!(shown, "< hi\n  * closed by the server\\e[2J\n  < x\n");
    }

    #[test]
    fn binary_is_dumped_and_large_ones_are_cut() {
        let shown = message(&MessageRef::Binary(b"\0hi"));
        assert!(shown.starts_with("< binary, 3 bytes\n  00000000  00 68 69 "), "{shown}");
        assert_eq!(message(&MessageRef::Binary(b"")), "< binary, 0 bytes\n");
        let shown = message(&MessageRef::Binary(&[0; BINARY_BYTES_SHOWN + 1]));
        assert_eq!(shown.lines().count(), 1 + 256 + 1);
        assert!(shown.ends_with("  … 1 byte more, which a pipe or --json would get\n"));
        let shown = message(&MessageRef::Text(&"소".repeat(TEXT_BYTES_SHOWN)));
        assert!(shown.len() < TEXT_BYTES_SHOWN + 100 && shown.contains("more"), "{}", shown.len());
    }

    #[test]
    fn who_closed_and_why() {
        let mut how = Closed::vanished();
        assert_eq!(closed(&how), "the server vanished without a close frame (1006)");
        how.first = Some(Initiator::Peer);
        how.received = Some(Close::new(CloseCode::POLICY_VIOLATION, "bad\x1b"));
        how.sent = how.received.clone();
        assert_eq!(closed(&how), "closed by the server: 1008 (policy violation) \"bad\\e\"");
        assert_eq!(close_frames(&how)[0], "← close, 1008 (policy violation) \"bad\\e\"");
        how.first = Some(Initiator::Local);
        how.sent = Some(CloseCode::NORMAL.into());
        how.received = Some(Close::empty());
        assert_eq!(closed(&how), "closed: 1000 (normal); the server answered no code (1005)");
        how.received = None;
        assert_eq!(closed(&how), "closed: 1000 (normal); the server went away without an answer");
        how.error = Some(PeerError::Timeout(Timeout::Close));
        assert_eq!(closed(&how), "closed: 1000 (normal); the server does not answer");
        how.error = Some(PeerError::Timeout(Timeout::Pong));
        assert_eq!(
            closed(&how),
            "given up: no sign of life within pong_timeout after a ping; the server was told 1000 (normal)"
        );
    }

    #[test]
    fn a_refusing_answer_is_escaped_and_cut() {
        let mut trouble = Trouble::new(TroubleKind::Refused, "no");
        trouble.answer = Some(Box::new(Answer {
            status: 403,
            headers: vec![("Server".into(), b"x\x1b[31m".to_vec())],
            body: b"line\x07\nnext\n".to_vec(),
            body_is_whole: true,
        }));
        assert_eq!(details(&trouble), "  Server: x\\e[31m\n\n  line\\u{7}\n  next\n");
        trouble.answer.as_mut().unwrap().body = vec![b'a'; BODY_BYTES_SHOWN + 1];
        assert!(details(&trouble).ends_with("a\n  …\n"));
    }
}
