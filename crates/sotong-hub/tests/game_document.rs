//! `docs/game.md` says what the frames mean, byte by byte. Here they are read.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

use serde_json::{Value, json};
use sotong_hub::arena::{
    ClientFrame, Figure, GEMS, Malformed, NAME_BYTES_MAX, PLAYERS_MAX, Place, SILENCE_TICKS, ServerFrame,
};
use sotong_hub::serve::{GAME_DELTAS_WAITING_MAX, MESSAGE_BYTES_MAX};

const DOCUMENT: &str = include_str!("../../../docs/game.md");

/// The examples: bytes, and what they mean.
fn examples() -> Vec<(Vec<u8>, Value)> {
    let blocks = DOCUMENT.split("```hex\n").skip(1);
    blocks
        .map(|block| {
            let (hex, rest) = block.split_once("```").unwrap();
            let json = rest.trim_start().strip_prefix("```json\n").expect("its meaning follows");
            let (json, _) = json.split_once("```").unwrap();
            let digits = hex.lines().flat_map(|line| line.split('#').next().unwrap().split_whitespace());
            let bytes = digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
            (bytes, serde_json::from_str(json).unwrap())
        })
        .collect()
}

fn place(place: Place) -> Value {
    json!({"x": place.x, "y": place.y})
}

/// An object with one more field before the others.
fn with(key: &str, value: impl Into<Value>, mut object: Value) -> Value {
    object[key] = value.into();
    object
}

fn figure(figure: &Figure) -> Value {
    json!({"id": figure.id.number(), "x": figure.place.x, "y": figure.place.y,
           "score": figure.score, "name": figure.name.as_str()})
}

fn meaning_of_client(frame: &ClientFrame) -> Value {
    match frame {
        ClientFrame::Name(name) => json!({"kind": "name", "name": name.as_str()}),
        ClientFrame::Steer(direction) => json!({"kind": "steer", "keys": direction.bits()}),
        ClientFrame::Ping(number) => json!({"kind": "ping", "number": number}),
        ClientFrame::Resync => json!({"kind": "resync"}),
    }
}

/// What the frame says; the measures of the arena are not read, and taken from `bytes`.
fn meaning(frame: &ServerFrame, bytes: &[u8]) -> Value {
    match frame {
        ServerFrame::Pong(number) => json!({"kind": "pong", "number": number}),
        ServerFrame::Welcome(welcome) => {
            let u16_at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            json!({
                "kind": "welcome", "tick": welcome.tick,
                "you": welcome.you.map_or(255, |id| id.number()), "tickMs": bytes[6],
                "width": u16_at(7), "height": u16_at(9), "playerRadius": u16_at(11), "gemRadius": u16_at(13),
                "gems": welcome.gems.iter().copied().map(place).collect::<Vec<_>>(),
                "players": welcome.players.iter().map(figure).collect::<Vec<_>>(),
            })
        }
        ServerFrame::Delta(delta) => json!({
            "kind": "delta", "tick": delta.tick,
            "gone": delta.gone.iter().map(|id| id.number()).collect::<Vec<_>>(),
            "came": delta.came.iter().map(figure).collect::<Vec<_>>(),
            "moved": delta.moved.iter().map(|(id, at)| with("id", id.number(), place(*at))).collect::<Vec<_>>(),
            "scored": delta.scored.iter().map(|(id, score)| json!({"id": id.number(), "score": score})).collect::<Vec<_>>(),
            "named": delta.named.iter().map(|(id, name)| json!({"id": id.number(), "name": name.as_str()})).collect::<Vec<_>>(),
            "gems": delta.gems.iter().map(|(gem, at)| with("gem", *gem, place(*at))).collect::<Vec<_>>(),
        }),
    }
}

#[test]
fn the_examples_mean_what_the_document_says() {
    let mut kinds = Vec::new();
    for (bytes, expected) in examples() {
        let (seen, again) = match ClientFrame::decode(&bytes) {
            Ok(frame) => (meaning_of_client(&frame), frame.encode()),
            Err(_) => {
                let frame = ServerFrame::decode(&bytes).unwrap_or_else(|| panic!("{bytes:02x?}"));
                let again = match &frame {
                    ServerFrame::Welcome(welcome) => welcome.encode(),
                    ServerFrame::Delta(delta) => delta.encode(),
                    ServerFrame::Pong(_) => bytes.clone(),
                };
                (meaning(&frame, &bytes), again)
            }
        };
        assert_eq!(seen, expected);
        assert_eq!(again, bytes, "it is written as it is read: {expected}");
        kinds.push(bytes[0]);
    }
    assert_eq!(kinds, [0x11, 0x12, 0x13, 0x14, 0x18, 0x19, 0x1a], "every kind has an example");
}

/// The rows of the table that begins with this head, cell by cell.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let (_, table) = DOCUMENT.split_once(head).expect("the table is there");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn every_mistake_has_its_code_and_its_reason() {
    let rows = table("| code | reason | why |");
    for malformed in Malformed::ALL {
        let code = malformed.code().to_string();
        assert!(rows.iter().any(|row| row[0] == code && row[1] == malformed.reason()), "{malformed:?}");
    }
}

#[test]
fn limits_have_their_values() {
    let expected = [
        ("players at a time", PLAYERS_MAX),
        ("a name", NAME_BYTES_MAX),
        ("gems", GEMS),
        ("Deltas that wait", GAME_DELTAS_WAITING_MAX),
        ("ticks without a word", SILENCE_TICKS as usize),
        ("a message to the server", usize::try_from(MESSAGE_BYTES_MAX).unwrap()),
        ("Welcomes for one client", 1),
    ];
    let rows = table("| limit | value | past it |");
    assert_eq!(rows.len(), expected.len());
    for (row, (name, value)) in rows.iter().zip(expected) {
        assert!(row[0].starts_with(name), "{row:?}");
        assert_eq!(row[1].split(' ').next().unwrap(), value.to_string(), "{row:?}");
    }
}
