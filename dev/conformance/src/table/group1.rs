//! Group 1: whole messages, at every size where the length field changes its form.

use super::numbered;
use crate::{Case, Cut, Expect, Frame, Opcode, Payload, Seen};

/// RFC 6455, section 5.2: up to 125 the length takes 7 bits, up to 65,535 it takes 16 more, then 64.
const SIZES: [(usize, Cut); 8] = [
    (0, Cut::Joined),
    (125, Cut::Joined),
    (126, Cut::Joined),
    (127, Cut::Joined),
    (128, Cut::Joined),
    (65_535, Cut::Joined),
    (65_536, Cut::Joined),
    (65_536, Cut::Every(997)),
];

pub(super) fn cases() -> impl Iterator<Item = Case> {
    let parts = [(1, Opcode::TEXT, b"*"), (2, Opcode::BINARY, b"\xfe")];
    parts.into_iter().flat_map(|(part, opcode, pattern)| {
        numbered(SIZES).map(move |(item, (len, cut))| {
            let payload = Payload::repeated(pattern, len);
            let frame = Frame::new(opcode, payload.clone()).cut(cut);
            let pieces = match cut {
                Cut::Every(bytes) => format!(", in writes of {bytes} bytes"),
                _ => String::new(),
            };
            let title = format!("a {opcode} message of {len} bytes{pieces}");
            Case::new(
                (1, part, item),
                title,
                vec![frame.into()],
                Expect::answers([Seen::message(opcode, payload)]),
            )
        })
    })
}
