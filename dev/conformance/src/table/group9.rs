//! Group 9: large messages, messages in many fragments or writes, many messages in a row.

use super::numbered;
use crate::{Case, Cut, Expect, Frame, Opcode, Payload, Seen, Step};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

const SIZES: [usize; 6] = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB];
const FRAGMENTS: [usize; 9] = [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, FRAGMENTED];
/// The size of a message in fragments.
const FRAGMENTED: usize = 4 * MIB;
const PIECES: [usize; 6] = [64, 128, 256, 512, KIB, 2 * KIB];
const SMALL_SIZES: [usize; 6] = [0, 16, 64, 256, KIB, 4 * KIB];
/// How many small messages go back and forth.
const MESSAGES: usize = 1000;

/// The odd parts send text, the even ones binary.
const KINDS: [(u8, Opcode); 2] = [(0, Opcode::TEXT), (1, Opcode::BINARY)];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (part, opcode) in KINDS {
        cases.extend(numbered(SIZES).map(|(item, len)| {
            let payload = filling(opcode, len);
            let title = format!("a {opcode} message of {}", size(len));
            let script = vec![Frame::new(opcode, payload.clone()).into()];
            Case::new((9, 1 + part, item), title, script, echo(opcode, payload))
        }));
    }
    for (part, opcode) in KINDS {
        cases.extend(numbered(FRAGMENTS).map(|(item, fragment)| {
            let payload = filling(opcode, FRAGMENTED);
            let title =
                format!("a {opcode} message of {} in fragments of {}", size(FRAGMENTED), size(fragment));
            let script = vec![Step::Message { opcode, payload: payload.clone(), fragment }];
            Case::new((9, 3 + part, item), title, script, echo(opcode, payload))
        }));
    }
    for (part, opcode) in KINDS {
        cases.extend(numbered(PIECES).map(|(item, bytes)| {
            let payload = filling(opcode, MIB);
            let title = format!("a {opcode} message of {} in writes of {}", size(MIB), size(bytes));
            let script = vec![Frame::new(opcode, payload.clone()).cut(Cut::Every(bytes)).into()];
            Case::new((9, 5 + part, item), title, script, echo(opcode, payload))
        }));
    }
    for (part, opcode) in KINDS {
        cases.extend(numbered(SMALL_SIZES).map(|(item, len)| {
            let payload = filling(opcode, len);
            let title = format!("{MESSAGES} {opcode} messages of {} back and forth", size(len));
            let frame = Frame::new(opcode, payload.clone());
            let script = vec![Step::Exchange { frame, times: MESSAGES }];
            Case::new(
                (9, 7 + part, item),
                title,
                script,
                Expect::repeated(Seen::message(opcode, payload), MESSAGES),
            )
        }));
    }
    cases
}

/// A pattern whose length has nothing in common with those of masks, fragments and pieces, so that
/// a part that is lost or comes twice is noticed.
fn filling(opcode: Opcode, len: usize) -> Payload {
    match opcode {
        Opcode::TEXT => Payload::repeated(b"squid and its ink", len),
        _ => Payload::repeated(b"\x00\xfe\x80\x7f\xc3", len),
    }
}

fn echo(opcode: Opcode, payload: Payload) -> Expect {
    Expect::answers([Seen::message(opcode, payload)])
}

fn size(bytes: usize) -> String {
    match bytes {
        _ if bytes >= MIB => format!("{} MiB", bytes / MIB),
        _ if bytes >= KIB => format!("{} KiB", bytes / KIB),
        _ => format!("{bytes} bytes"),
    }
}
