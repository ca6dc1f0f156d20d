//! Events for programs: one JSON object, one line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sotong::reconnect::Ending;
use sotong::{Close, Initiator, MessageRef};

use super::escape;
use super::event::Event;

/// The line of an event, without its line end.
pub(super) fn line(event: &Event<'_>) -> String {
    // Numbers, strings and maps by strings: nothing that JSON does not know.
    harmless(serde_json::to_string(&Line::from(event)).expect("an event is always JSON"))
}

/// What is written, in the order in which it is written.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Open {
        url: &'a str,
        peer: Option<&'a str>,
        protocol: Option<&'a str>,
        headers: Headers,
    },
    Connecting {
        r#try: u32,
    },
    Waiting {
        r#try: u32,
        delay_ms: u64,
        code: Option<u16>,
        because: String,
    },
    Message(Message<'a>),
    Sent {
        r#type: &'a str,
        bytes: usize,
    },
    Ping,
    Pong {
        latency_ms: f64,
    },
    Close {
        code: u16,
        reason: &'a str,
        first: Option<&'a str>,
        clean: bool,
        sent: Option<Said<'a>>,
        received: Option<Said<'a>>,
        error: Option<String>,
    },
    Error {
        kind: &'a str,
        message: &'a str,
        #[serde(flatten)]
        answer: Option<Answer<'a>>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Message<'a> {
    Text { data: &'a str },
    Binary { base64: String },
}

/// A Close frame.
#[derive(Serialize)]
struct Said<'a> {
    code: Option<u16>,
    reason: &'a str,
}

/// The answer that refused a handshake.
#[derive(Serialize)]
struct Answer<'a> {
    status: u16,
    headers: Headers,
    body: std::borrow::Cow<'a, str>,
    body_is_whole: bool,
}

/// By name in small letters; each with the list of its values, because a name may come twice.
type Headers = BTreeMap<String, Vec<String>>;

impl<'a> From<&'a Event<'a>> for Line<'a> {
    fn from(event: &'a Event<'a>) -> Line<'a> {
        match event {
            Event::Open(opened) => Line::Open {
                url: &opened.url,
                peer: opened.peer.as_deref(),
                protocol: opened.protocol.as_deref(),
                headers: headers(&opened.headers),
            },
            Event::Connecting(number) => Line::Connecting { r#try: *number },
            Event::Waiting { number, delay, because } => Line::Waiting {
                r#try: *number,
                delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                code: match because {
                    Ending::Lost { closed, .. } => Some(closed.code()),
                    _ => None,
                },
                because: because.to_string(),
            },
            Event::Received(MessageRef::Text(text)) => Line::Message(Message::Text { data: text }),
            Event::Received(MessageRef::Binary(bytes)) => {
                Line::Message(Message::Binary { base64: STANDARD.encode(bytes) })
            }
            Event::Sent(opcode, bytes) => Line::Sent { r#type: opcode.name(), bytes: *bytes },
            Event::Ping => Line::Ping,
            Event::Pong(latency) => {
                // Microseconds are as fine as anybody needs it, and keep the number short.
                let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
                Line::Pong { latency_ms: f64::from(micros) / 1000.0 }
            }
            Event::Closed(closed) => Line::Close {
                code: closed.code(),
                reason: closed.reason(),
                first: closed.first.map(|first| match first {
                    Initiator::Local => "client",
                    Initiator::Peer => "server",
                }),
                clean: closed.clean,
                sent: closed.sent.as_ref().map(said),
                received: closed.received.as_ref().map(said),
                error: closed.error.as_ref().map(ToString::to_string),
            },
            Event::Failed(trouble) => Line::Error {
                kind: trouble.kind.name(),
                message: &trouble.line,
                answer: trouble.answer.as_ref().map(|answer| Answer {
                    status: answer.status,
                    headers: headers(&answer.headers),
                    body: String::from_utf8_lossy(&answer.body),
                    body_is_whole: answer.body_is_whole,
                }),
            },
        }
    }
}

fn said(close: &Close) -> Said<'_> {
    Said { code: close.code().map(u16::from), reason: close.reason() }
}

fn headers(headers: &[(String, Vec<u8>)]) -> Headers {
    let mut map = Headers::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value).into_owned();
        map.entry(name.to_ascii_lowercase()).or_default().push(value);
    }
    map
}

/// JSON lets characters through that command a terminal. Outside of strings there are none, and inside of strings
/// each may be written by its number.
fn harmless(json: String) -> String {
    if !json.chars().any(escape::is_dangerous) {
        return json;
    }
    let mut harmless = String::with_capacity(json.len() + 16);
    for each in json.chars() {
        match escape::is_dangerous(each) {
            true => {
                for unit in each.encode_utf16(&mut [0; 2]) {
                    let _ = write!(harmless, "\\u{unit:04x}");
                }
            }
            false => harmless.push(each),
        }
    }
    harmless
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::connect::event::{Answer, Opcode, Opened, Trouble, TroubleKind};

    #[track_caller]
    fn same(event: &Event<'_>, expected: Value) {
        let line = line(event);
        assert!(!line.chars().any(escape::is_dangerous), "{line:?}");
        assert!(line.starts_with("{\"event\":\""), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
    }

    #[test]
    fn messages_come_back_as_they_were() {
        for text in ["", "소통", "a\nb\"\\", "\x1b[2J\u{9b}\u{202e}\u{e0041}\u{7f}\0"] {
            same(
                &Event::Received(MessageRef::Text(text)),
                json!({"event": "message", "type": "text", "data": text}),
            );
        }
        same(
            &Event::Received(MessageRef::Binary(b"\0\xff\n")),
            json!({"event": "message", "type": "binary", "base64": "AP8K"}),
        );
    }

    #[test]
    fn a_header_that_comes_twice_has_two_values() {
        let headers = [("Server", "x"), ("Set-Cookie", "a=1"), ("set-cookie", "b=\x1b")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec();
        let opened = Opened { url: "ws://h/".into(), peer: None, protocol: Some("chat".into()), headers };
        same(
            &Event::Open(&opened),
            json!({"event": "open", "url": "ws://h/", "peer": null, "protocol": "chat",
                   "headers": {"server": ["x"], "set-cookie": ["a=1", "b=\x1b"]}}),
        );
    }

    #[test]
    fn small_events() {
        same(&Event::Sent(Opcode::Text, 3), json!({"event": "sent", "type": "text", "bytes": 3}));
        same(&Event::Ping, json!({"event": "ping"}));
        same(&Event::Pong(Duration::from_micros(1234)), json!({"event": "pong", "latency_ms": 1.234}));
    }

    #[test]
    fn a_refused_handshake_has_its_answer() {
        let mut trouble = Trouble::new(TroubleKind::Refused, "no");
        trouble.answer = Some(Box::new(Answer {
            status: 403,
            headers: vec![("A".into(), b"b".to_vec())],
            body: b"go \xff".to_vec(),
            body_is_whole: false,
        }));
        same(
            &Event::Failed(&trouble),
            json!({"event": "error", "kind": "refused", "message": "no", "status": 403,
                   "headers": {"a": ["b"]}, "body": "go \u{fffd}", "body_is_whole": false}),
        );
    }
}
