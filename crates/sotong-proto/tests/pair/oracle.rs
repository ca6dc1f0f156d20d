//! A second decoder: slow, plain, written from the prose of RFC 6455 and nothing else.
//!
//! It has all bytes before it begins, looks at them with slices and `std::str::from_utf8`, and knows no state but the
//! message that is open. [`core`] tells what the core makes of the same bytes, in pieces.

use sotong_proto::{Close, Config, Side};

use super::wire::{self, CLOSE, FIN, PING, PONG};
use super::{End, Seen};

/// What the core does, with errors as their codes: which of two broken rules is named is not the oracle's affair.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Failed(u16),
}

pub(crate) const MESSAGE_BYTES_MAX: u64 = 300;

/// Decodes all of it. `Err` ends the connection with a code; running out of bytes is no error.
pub(crate) fn oracle(bytes: &[u8], reader: Side) -> Vec<Told> {
    let mut told = Vec::new();
    if let Err(end) = decode(bytes, reader, &mut told) {
        told.push(end);
    }
    told
}

fn decode(mut bytes: &[u8], reader: Side, told: &mut Vec<Told>) -> Result<(), Told> {
    // Section 5.4: the opcode of the first fragment, and all payload so far.
    let mut open: Option<(u8, Vec<u8>)> = None;
    loop {
        // Section 5.2, byte by byte.
        let Some(&first) = bytes.first() else { return Ok(()) };
        let (fin, reserved, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0f);
        let is_control = opcode & 8 != 0;
        if reserved != 0 || ![0, 1, 2, 8, 9, 10].contains(&opcode) || (is_control && !fin) {
            return Err(Told::Failed(1002));
        }
        let Some(&second) = bytes.get(1) else { return Ok(()) };
        let is_masked = second & 0x80 != 0;
        if is_masked != (reader == Side::Server) || (is_control && second & 0x7f > 125) {
            return Err(Told::Failed(1002));
        }
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(extended) = bytes.get(2..2 + extended) else { return Ok(()) };
        let length = match extended.len() {
            0 => u64::from(second & 0x7f),
            _ => extended.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let shortest = [0, 2, 8][[126, 0x1_0000].iter().filter(|form| length >= **form).count()];
        if length >= 1 << 63 || extended.len() != shortest {
            return Err(Told::Failed(1002));
        }
        let key_at = 2 + extended.len();
        let payload_at = key_at + if is_masked { 4 } else { 0 };
        let Some(key) = bytes.get(key_at..payload_at) else { return Ok(()) };

        let there = &bytes[payload_at..];
        let is_whole = there.len() as u64 >= length;
        let there = &there[..there.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
        // Section 5.3.
        let payload: Vec<u8> = match key {
            [] => there.to_vec(),
            key => there.iter().enumerate().map(|(index, byte)| byte ^ key[index % 4]).collect(),
        };

        if is_control {
            if !is_whole {
                return Ok(());
            }
            match opcode {
                PING => told.push(Told::Ping(payload)),
                PONG => told.push(Told::Pong(payload)),
                _ => return Err(close(&payload)),
            }
        } else {
            let (kind, mut message) = match (open.take(), opcode) {
                (Some(open), 0) => open,
                (None, 1 | 2) => (opcode, Vec::new()),
                _ => return Err(Told::Failed(1002)),
            };
            if message.len() as u64 + length > MESSAGE_BYTES_MAX {
                return Err(Told::Failed(1009));
            }
            message.extend(payload);
            let is_last = fin && is_whole;
            // Section 8.1, at the level of the whole message.
            let text = match (kind, std::str::from_utf8(&message)) {
                (1, Ok(text)) => Some(text.to_owned()),
                // Nothing that may still come can mend it, or nothing more will come.
                (1, Err(error)) if error.error_len().is_some() || is_last => return Err(Told::Failed(1007)),
                _ => None,
            };
            if !is_whole {
                return Ok(());
            }
            match (fin, text) {
                (false, _) => open = Some((kind, message)),
                (true, Some(text)) => told.push(Told::Text(text)),
                (true, None) => told.push(Told::Binary(message)),
            }
        }
        bytes = &bytes[payload_at + length as usize..];
    }
}

/// Sections 5.5.1 and 7.4: what the body of a Close says.
fn close(body: &[u8]) -> Told {
    if body.is_empty() {
        return Told::Close(None, String::new());
    }
    if body.len() == 1 {
        return Told::Failed(1002);
    }
    let code = u16::from(body[0]) * 256 + u16::from(body[1]);
    let may_travel = [1000..=1003, 1007..=1014, 3000..=4999].iter().any(|codes| codes.contains(&code));
    match (may_travel, String::from_utf8(body[2..].to_vec())) {
        (false, _) => Told::Failed(1002),
        (true, Err(_)) => Told::Failed(1007),
        (true, Ok(reason)) => Told::Close(Some(code), reason),
    }
}

/// Section 5.5: what has to be sent in answer, as first bytes, and payloads (of a failure, the code only).
pub(crate) fn expected_replies(told: &[Told]) -> Vec<(u8, Vec<u8>)> {
    let reply = |told: &Told| match told {
        Told::Ping(payload) => Some((FIN | PONG, payload.clone())),
        Told::Close(code, _) => {
            Some((FIN | CLOSE, code.map_or(Vec::new(), |code| code.to_be_bytes().to_vec())))
        }
        Told::Failed(code) => Some((FIN | CLOSE, code.to_be_bytes().to_vec())),
        _ => None,
    };
    told.iter().filter_map(reply).collect()
}

/// What the core makes of it, and what it answers.
pub(crate) fn core(pieces: &[Vec<u8>], reader: Side) -> (Vec<Told>, Vec<(u8, Vec<u8>)>) {
    let config = Config::default().with_message_bytes_max(MESSAGE_BYTES_MAX).with_pong_bytes_max(usize::MAX);
    let mut end = End::new(reader, &config);
    for piece in pieces {
        end.read_at_once(piece);
    }
    let is_failed = end.failure().is_some();
    let code = |close: &Close| close.code().map(u16::from);
    let told = end
        .seen
        .drain(..)
        .map(|seen| match seen {
            Seen::Text(text) => Told::Text(text),
            Seen::Binary(bytes) => Told::Binary(bytes),
            Seen::Ping(payload) => Told::Ping(payload),
            Seen::Pong(payload) => Told::Pong(payload),
            Seen::Close(close) => Told::Close(code(&close), close.reason().to_owned()),
            Seen::Failed(error) => Told::Failed(error.close_code().map_or(0, u16::from)),
        })
        .collect();
    let bytes = end.outbox.take_bytes();
    let replies = wire::read_frames(&bytes, reader)
        .into_iter()
        .map(|frame| {
            let ends_it = frame.first == FIN | CLOSE && is_failed;
            (frame.first, if ends_it { frame.payload[..2].to_vec() } else { frame.payload })
        })
        .collect();
    (told, replies)
}
