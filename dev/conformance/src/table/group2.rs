//! Group 2: pings, and pongs that nobody asked for.

use super::GREETING;
use crate::{Case, Cut, Expect, Frame, Payload, Seen, Step};

const UNASKED: &str = "nobody asked for this one";
const LONGEST: usize = 125;

pub(super) fn cases() -> Vec<Case> {
    let full = || Payload::repeated(b"\xfe", LONGEST);
    let too_long = Frame::ping(Payload::repeated(b"\xfe", LONGEST + 1));
    vec![
        ping(1, "a ping without payload", Frame::ping(Payload::EMPTY)),
        ping(2, "a ping with text", Frame::ping(GREETING)),
        ping(3, "a ping with bytes that are no text", Frame::ping(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")),
        ping(4, "a ping of 125 bytes, the most there may be", Frame::ping(full())),
        // RFC 6455, section 5.5.
        Case::new((2, 5), "a ping of 126 bytes", vec![too_long.into()], Expect::fails(&[1002])),
        ping(6, "a ping of 125 bytes, byte by byte", Frame::ping(full()).cut(Cut::Every(1))),
        unasked(7, "a pong out of the blue", Frame::pong(Payload::EMPTY)),
        unasked(8, "a pong out of the blue, with payload", Frame::pong(UNASKED)),
        Case::new(
            (2, 9),
            "a pong out of the blue, then a ping",
            vec![Frame::pong(UNASKED).into(), Frame::ping("and this is a ping").into()],
            Expect::answers([Seen::Pong("and this is a ping".into())]),
        ),
        ten_pings(10, "ten pings in one write", Cut::Joined),
        ten_pings(11, "ten pings, byte by byte", Cut::Every(1)),
    ]
}

fn ping(part: u8, title: &str, ping: Frame) -> Case {
    let pong = Seen::Pong(ping.payload.clone());
    Case::new((2, part), title, vec![ping.into()], Expect::answers([pong]))
}

/// RFC 6455, section 5.5.3: nobody answers a pong. The close frame comes at once, so that an answer
/// would be seen before the reply to it.
fn unasked(part: u8, title: &str, pong: Frame) -> Case {
    let script = vec![pong.into(), Frame::close(1000, b"").into()];
    Case::new((2, part), title, script, Expect::answers([]))
}

/// A peer need only answer the latest of several pings (RFC 6455, section 5.5.3). Autobahn wants all
/// of them answered, and so do we.
fn ten_pings(part: u8, title: &str, cut: Cut) -> Case {
    let payloads = (0..10).map(|number| Payload::new(format!("ping no. {number}").into_bytes()));
    let pings = payloads.clone().map(|payload| Step::from(Frame::ping(payload).cut(cut)));
    Case::new((2, part), title, pings.collect(), Expect::answers(payloads.map(Seen::Pong)))
}
