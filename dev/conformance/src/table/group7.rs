//! Group 7: the closing handshake (RFC 6455, sections 5.5.1 and 7).

use super::group6::{BROKEN_TEXT, GREEK};
use super::{GREETING, numbered};
use crate::expect::Reply::{OrDrop, Required};
use crate::{Case, Expect, Frame, Opcode, Payload, Seen, Step};

const MIB: usize = 1 << 20;

/// Section 7.4: codes that a close frame may carry.
const GOOD_CODES: [u16; 13] = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
/// Codes that it may not carry: below the range, reserved, for local use, not assigned.
const BAD_CODES: [u16; 9] = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];
/// Above the range, of which the RFC says nothing. Autobahn calls the second one 65536, but it sends
/// what fits into the field.
const HIGH_CODES: [u16; 2] = [5000, 65_535];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(after_close());
    cases.extend(bodies());
    cases.extend(numbered(GOOD_CODES).map(|(item, code)| {
        let title = format!("a close frame with code {code}");
        Case::new(
            (7, 7, item),
            title,
            vec![Frame::close(code, b"").into()],
            Expect::closes(&[1000, code], Required),
        )
    }));
    cases.extend(numbered(BAD_CODES).map(|(item, code)| {
        let title = format!("a close frame with code {code}, which nobody may send");
        Case::new((7, 9, item), title, vec![Frame::close(code, b"").into()], Expect::closes(&[1002], OrDrop))
    }));
    cases.extend(numbered(HIGH_CODES).map(|(item, code)| {
        let title = format!("a close frame with code {code}, of which the RFC says nothing");
        Case::new((7, 13, item), title, vec![Frame::close(code, b"").into()], Expect::anything())
    }));
    cases
}

/// 7.1: frames around a close frame.
fn after_close() -> Vec<Case> {
    let close = || Step::from(Frame::close(1000, b""));
    let again = Frame::new(Opcode::CLOSE, Payload::EMPTY);
    let ping = || Step::from(Frame::ping(Payload::EMPTY));
    let text = || Step::from(Frame::text(GREETING));
    let ignored = || Expect::closes(&[1000], Required);
    let large = Frame::text(Payload::repeated(b"sotong-ink", MIB / 4));
    vec![
        Case::new(
            (7, 1, 1),
            "a text message, then a close frame",
            vec![text()],
            Expect::answers([Seen::Text(GREETING.into())]),
        ),
        Case::new((7, 1, 2), "two close frames", vec![close(), again.into()], ignored()),
        Case::new((7, 1, 3), "a ping after the close frame", vec![close(), ping()], ignored()),
        Case::new((7, 1, 4), "a text message after the close frame", vec![close(), text()], ignored()),
        Case::new(
            (7, 1, 5),
            "a close frame between two fragments",
            vec![
                Frame::text("fragment-").more_follows().into(),
                close(),
                Frame::continuation("goes on.").into(),
            ],
            ignored(),
        ),
        Case::new(
            (7, 1, 6),
            "256 KiB of text, a short text, a close frame, a ping, in one write",
            vec![large.into(), text(), close(), ping()],
            Expect::anything(),
        ),
    ]
}

/// 7.3 and 7.5: what a close frame may carry.
fn bodies() -> Vec<Case> {
    let body = |payload: Payload| vec![Frame::new(Opcode::CLOSE, payload).into()];
    let reason = |reason: &[u8]| vec![Frame::close(1000, reason).into()];
    vec![
        Case::new((7, 3, 1), "an empty close frame", body(Payload::EMPTY), Expect::closes(&[1000], Required)),
        Case::new((7, 3, 2), "a close frame of one byte", body("a".into()), Expect::closes(&[1002], OrDrop)),
        Case::new((7, 3, 3), "a close frame with a code", reason(b""), Expect::closes(&[1000], Required)),
        Case::new(
            (7, 3, 4),
            "a close frame with code and reason",
            reason(b"Hello World!"),
            Expect::closes(&[1000], Required),
        ),
        Case::new(
            (7, 3, 5),
            "a close frame with a reason of 123 bytes, the most there may be",
            reason(&[b'*'; 123]),
            Expect::closes(&[1000], Required),
        ),
        Case::new(
            (7, 3, 6),
            "a close frame with a reason of 124 bytes",
            reason(&[b'*'; 124]),
            Expect::closes(&[1002], OrDrop),
        ),
        Case::new(
            (7, 5, 1),
            "a close frame with a reason that is not UTF-8",
            reason(&[GREEK, BROKEN_TEXT].concat()),
            Expect::closes(&[1002, 1007], OrDrop),
        ),
    ]
}
