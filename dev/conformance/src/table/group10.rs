//! Group 10: a message in fragments of a size that does not divide its length.

use crate::{Case, Expect, Opcode, Payload, Seen, Step};

pub(super) fn cases() -> [Case; 1] {
    let payload = Payload::repeated(b"*", 65_536);
    let script = vec![Step::Message { opcode: Opcode::TEXT, payload: payload.clone(), fragment: 1300 }];
    let title = "a text message of 65536 bytes in fragments of 1300 bytes";
    [Case::new((10, 1, 1), title, script, Expect::answers([Seen::Text(payload)]))]
}
