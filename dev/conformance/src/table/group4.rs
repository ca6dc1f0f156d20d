//! Group 4: opcodes that RFC 6455 (section 5.2) keeps for later.

use super::{GREETING, numbered};
use crate::{Case, Cut, Expect, Frame, Opcode, Payload, Seen};

pub(super) fn cases() -> impl Iterator<Item = Case> {
    let parts = [(1, 3..=7), (2, 11..=15)];
    parts.into_iter().flat_map(|(part, opcodes)| {
        numbered(opcodes.map(Opcode)).map(move |(item, opcode)| match item {
            1 => alone(part, item, "empty", Frame::new(opcode, Payload::EMPTY)),
            2 => alone(part, item, "with payload", Frame::new(opcode, "no opcode for a payload")),
            3 => between(part, item, Frame::new(opcode, Payload::EMPTY), Cut::Joined),
            4 => between(part, item, Frame::new(opcode, GREETING), Cut::Joined),
            _ => between(part, item, Frame::new(opcode, GREETING), Cut::Every(1)),
        })
    })
}

fn alone(part: u8, item: u8, what: &str, frame: Frame) -> Case {
    let title = format!("a frame with {}, {what}", frame.opcode);
    Case::new((4, part, item), title, vec![frame.into()], Expect::fails(&[1002]))
}

fn between(part: u8, item: u8, frame: Frame, cut: Cut) -> Case {
    let what = if frame.payload.is_empty() { "empty" } else { "with payload" };
    let writes = if cut == Cut::Joined { "in one write" } else { "byte by byte" };
    let title = format!("a good text message, a frame with {}, {what}, a ping, {writes}", frame.opcode);
    let script = vec![
        Frame::text(GREETING).cut(cut).into(),
        frame.cut(cut).into(),
        Frame::ping(Payload::EMPTY).cut(cut).into(),
    ];
    let echo = Seen::Text(GREETING.into());
    Case::new((4, part, item), title, script, Expect::fails(&[1002]).after([echo]).or_at_least([]))
}
