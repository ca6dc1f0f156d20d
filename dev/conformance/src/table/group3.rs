//! Group 3: reserved bits that no extension has given a meaning (RFC 6455, section 5.2).

use super::{CUTS, GREETING, numbered};
use crate::{Case, Expect, Frame, Opcode, Payload, Seen};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![alone(1, "a text message", Frame::text(GREETING))];
    cases.extend(numbered(CUTS).map(|(index, (cut, writes))| {
        let rsv = index + 1;
        let script = vec![
            Frame::text(GREETING).cut(cut).into(),
            Frame::text(GREETING).with_rsv(rsv).cut(cut).into(),
            Frame::ping(Payload::EMPTY).cut(cut).into(),
        ];
        let title = format!("a good text message, one with reserved bits {rsv}, a ping, {writes}");
        let echo = Seen::Text(GREETING.into());
        Case::new((3, rsv), title, script, Expect::fails(&[1002]).after([echo]).or_at_least([]))
    }));
    cases.extend([
        alone(5, "a binary message", Frame::binary(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")),
        alone(6, "a binary message of letters", Frame::binary(GREETING)),
        alone(7, "a close frame", Frame::new(Opcode::CLOSE, Payload::EMPTY)),
    ]);
    cases
}

/// The number of the case is the value of the reserved bits.
fn alone(rsv: u8, what: &str, frame: Frame) -> Case {
    let title = format!("{what} with reserved bits {rsv}");
    Case::new((3, rsv), title, vec![frame.with_rsv(rsv).into()], Expect::fails(&[1002]))
}
