//! `docs/plain.md` says what the server answers, word for word. Here the server is asked.
//!
//! The exchanges of the document are one script, played from top to bottom: `→` and `←` are the reader, other lines
//! name somebody else. Client ids, epochs and times are different in every run; the document's ones stand for the real
//! ones, always the same for the same.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod program;

use std::collections::BTreeMap;

use program::{Heard, Peer, Program};
use serde_json::Value;
use sotong_hub::core::{ChannelName, Limits};
use sotong_hub::serve::{MESSAGE_BYTES_MAX, OUTBOX_BYTES_MAX};
use sotong_hub::wire::{Disconnect, ErrorCode};

const DOCUMENT: &str = include_str!("../../../docs/plain.md");

/// The address that the document writes; the test's server has another port.
const WRITTEN_ADDRESS: &str = "ws://127.0.0.1:8000";

/// The blocks with exchanges.
fn blocks() -> Vec<&'static str> {
    let fenced = DOCUMENT.split("```text\n").skip(1);
    fenced.map(|rest| rest.split_once("\n```").expect("the block has an end").0).collect()
}

/// The reader, and somebody else.
struct Stage {
    program: Program,
    reader: Option<Peer>,
    /// How the last opening was refused.
    refusal: Option<String>,
    other: Option<Peer>,
    /// What stands in the document, and what the server says for it in this run.
    names: BTreeMap<String, String>,
}

impl Stage {
    fn play(&mut self, line: &str) {
        if let Some(text) = line.strip_prefix("→ ") {
            let text = self.translated(text);
            self.reader().send(&text);
        } else if let Some(expected) = line.strip_prefix("← ") {
            self.expect(line, expected);
        } else if let Some(address) = line.strip_prefix("open ") {
            let (address, headers) = match address.split_once(" from ") {
                Some((address, origin)) => (address, format!("Origin: {origin}\r\n")),
                None => (address, String::new()),
            };
            let target = address.strip_prefix(WRITTEN_ADDRESS).expect("the address of the document");
            match Peer::open(self.program.address, target, &headers) {
                Ok(peer) => self.reader = Some(peer),
                Err(answer) => self.refusal = Some(answer),
            }
        } else if let Some(address) = line.strip_prefix("Bora opens ") {
            let target = address.strip_prefix(WRITTEN_ADDRESS).expect("the address of the document");
            let mut peer = self.program.peer(target);
            assert!(peer.next()["push"]["connect"].is_object());
            self.other = Some(peer);
        } else if let Some(command) = line.strip_prefix("Bora → ") {
            let other = self.other.as_mut().expect("Bora is there");
            other.send(command);
            let id = serde_json::from_str::<Value>(command).unwrap()["id"].clone();
            let reply = std::iter::repeat_with(|| other.next()).find(|heard| heard["id"] == id).unwrap();
            assert!(reply.get("error").is_none(), "{line}: {reply}");
        } else {
            panic!("a line that is no exchange: {line}");
        }
    }

    fn reader(&mut self) -> &mut Peer {
        self.reader.as_mut().expect("a connection is open")
    }

    fn expect(&mut self, line: &str, expected: &str) {
        if let Some(answer) = self.refusal.take() {
            let (status, body) = expected.split_once(' ').unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
            assert!(answer.ends_with(&format!("\r\n\r\n{body}\n")), "{line}: {answer}");
            return;
        }
        match self.reader().hear() {
            Heard::Text(text) => {
                let mut expected: Value = serde_json::from_str(expected).unwrap();
                let heard: Value = serde_json::from_str(&text).unwrap();
                self.learn(&expected, &heard);
                self.translate(&mut expected);
                assert_eq!(expected, without_times(heard), "{line}");
            }
            Heard::Close(code, reason) => {
                assert_eq!(expected, format!("close {code} {reason}"), "{line}");
                self.reader = None;
            }
        }
    }

    /// Nothing came that the document does not show: the next thing is the answer to a ping.
    fn nothing_else_came(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        reader.send(r#"{"id":4294967295,"ping":{}}"#);
        assert_eq!(reader.hear(), Heard::Text(r#"{"id":4294967295,"ping":{}}"#.to_owned()));
    }

    /// Pairs the ids and epochs of the document with those of this run.
    fn learn(&mut self, expected: &Value, heard: &Value) {
        let (Value::Object(expected), Value::Object(heard)) = (expected, heard) else { return };
        for (key, expected) in expected {
            let Some(heard) = heard.get(key) else { continue };
            match (expected, heard) {
                (Value::String(expected), Value::String(heard))
                    if matches!(&**key, "client" | "epoch" | "version") =>
                {
                    self.names.entry(expected.clone()).or_insert_with(|| heard.clone());
                }
                _ => self.learn(expected, heard),
            }
        }
    }

    /// Puts what is known of this run in the place of what the document has.
    fn translate(&self, value: &mut Value) {
        *value = without_times(serde_json::from_str(&self.translated(&value.to_string())).unwrap());
    }

    fn translated(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (written, real)| {
            text.replace(&format!("\"{written}\""), &format!("\"{real}\""))
        })
    }
}

/// Times become `true` where there is one, so that a document without one differs.
fn without_times(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (key, field) in fields {
                *field = match field.take() {
                    Value::Number(time) if key == "time" => {
                        Value::Bool(time.as_i64() > Some(1_700_000_000_000))
                    }
                    other => without_times(other),
                };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_times(item.take())),
        _ => {}
    }
    value
}

#[test]
fn the_server_answers_what_the_document_says() {
    let program = Program::serve(&[]);
    let names = BTreeMap::new();
    let mut stage = Stage { program, reader: None, refusal: None, other: None, names };
    let mut answers = 0;
    for block in blocks() {
        for line in block.lines() {
            stage.play(line);
            answers += usize::from(line.starts_with("← "));
        }
        stage.nothing_else_came();
    }
    assert!(answers >= 20, "the document has lost its exchanges: {answers} are left");
}

/// The rows of the table that begins with this head, cell by cell.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let (_, table) = DOCUMENT.split_once(head).expect("the table is there");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn errors_have_their_numbers_and_words() {
    let rows = table("## Errors").into_iter().chain(table("| code | message | what to do |"));
    let mut seen = Vec::new();
    for row in rows {
        let code = ErrorCode::ALL.into_iter().find(|code| code.number().to_string() == row[0]).unwrap();
        assert_eq!(row[1], code.message());
        assert_eq!(row[2].contains("temporary"), code.is_temporary(), "{row:?}");
        seen.push(code.number());
    }
    assert_eq!(seen, [100, 102, 103, 105, 106, 107, 108, 110, 112]);
}

#[test]
fn close_codes_have_their_words_and_their_advice() {
    let rows = table("| code | reason | what to do |");
    for disconnect in [
        Disconnect::Slow,
        Disconnect::BadRequest,
        Disconnect::ChannelLimit,
        Disconnect::PermissionDenied,
        Disconnect::NotAvailable,
    ] {
        let number = disconnect.code().to_string();
        let row = rows.iter().find(|row| row[0] == number).unwrap_or_else(|| panic!("{number} is missing"));
        assert_eq!(row[1], disconnect.reason());
        let advice = if disconnect.invites_back() { "come back" } else { "stay away" };
        assert!(row[2].starts_with(advice), "{row:?}");
    }
}

#[test]
fn limits_have_their_values() {
    let limits = Limits::default();
    let expected = [
        ("a message to the server", usize::try_from(MESSAGE_BYTES_MAX).unwrap()),
        ("`data_bytes_max`", limits.data_bytes_max),
        ("`name_bytes_max`", limits.name_bytes_max),
        ("a channel name", ChannelName::BYTES_MAX),
        ("`subscriptions_max`", limits.subscriptions_max),
        ("`presence_clients_max`", limits.presence_clients_max),
        ("`history_publications_max`", limits.history_publications_max),
        ("`history_bytes_max`", limits.history_bytes_max),
        ("what waits for one client", OUTBOX_BYTES_MAX),
        ("the URL", sotong::Config::default().request_line_bytes_max),
    ];
    let rows = table("| limit | value | past it |");
    assert_eq!(rows.len(), expected.len());
    for (row, (name, value)) in rows.iter().zip(expected) {
        assert!(row[0].starts_with(name), "{row:?}");
        assert_eq!(row[1].split(' ').next().unwrap(), value.to_string(), "{row:?}");
    }
}
