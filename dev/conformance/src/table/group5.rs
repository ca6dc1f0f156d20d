//! Group 5: fragments, in and out of order (RFC 6455, section 5.4).

use super::{CUTS, GREETING, numbered};
use crate::{Case, Cut, Expect, Frame, Seen, Step};

const PARTS: [&str; 5] = ["fragment-", "follows a", "fragment,", " until we", " are done"];
const PINGS: [&str; 2] = ["one, two?", "three, 4?"];
const STRAY: &str = "a part of nothing at all";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        broken(1, "a ping in two fragments", [first(Frame::ping(PARTS[0])), last(PARTS[1])]),
        broken(2, "a pong in two fragments", [first(Frame::pong(PARTS[0])), last(PARTS[1])]),
    ];
    cases.extend(numbered(CUTS).map(|(index, (cut, writes))| two_fragments(2 + index, cut, writes)));
    cases.extend(numbered(CUTS).map(|(index, (cut, writes))| ping_between(5 + index, cut, writes)));
    cases.extend(numbered(CUTS).map(|(index, (cut, writes))| {
        let title = format!("a final continuation frame of nothing, then a text message, {writes}");
        broken(8 + index, title, [last(STRAY), Frame::text(GREETING)].map(|frame| frame.cut(cut)))
    }));
    cases.extend(numbered(CUTS).map(|(index, (cut, writes))| {
        let title = format!("a continuation frame of nothing, not final, then a text message, {writes}");
        broken(11 + index, title, [middle(STRAY), Frame::text(GREETING)].map(|frame| frame.cut(cut)))
    }));
    cases.extend([
        stray_after_message(),
        stray_before_message(16, "not final", middle(PARTS[0])),
        stray_before_message(17, "final", last(PARTS[0])),
        broken(
            18,
            "a text message in two fragments that both say text",
            [first(Frame::text(PARTS[0])), Frame::text(PARTS[1])],
        ),
        pings_among_five(19, "in two writes", Cut::Joined),
        pings_among_five(20, "in a write each", Cut::Alone),
    ]);
    cases
}

fn first(frame: Frame) -> Frame {
    frame.more_follows()
}

fn middle(payload: &'static str) -> Frame {
    Frame::continuation(payload).more_follows()
}

fn last(payload: &'static str) -> Frame {
    Frame::continuation(payload)
}

/// The message of the first so many parts.
fn message(parts: usize) -> Seen {
    Seen::Text(crate::Payload::new(PARTS[..parts].concat().into_bytes()))
}

fn broken(part: u8, title: impl Into<String>, frames: impl IntoIterator<Item = Frame>) -> Case {
    let script = frames.into_iter().map(Step::from).collect();
    Case::new((5, part), title, script, Expect::fails(&[1002]))
}

fn two_fragments(part: u8, cut: Cut, writes: &str) -> Case {
    let frames = [first(Frame::text(PARTS[0])), last(PARTS[1])];
    let script = frames.map(|frame| Step::from(frame.cut(cut)));
    let title = format!("a text message in two fragments, {writes}");
    Case::new((5, part), title, script.into(), Expect::answers([message(2)]))
}

fn ping_between(part: u8, cut: Cut, writes: &str) -> Case {
    let frames = [first(Frame::text(PARTS[0])), Frame::ping(PINGS[0]), last(PARTS[1])];
    let script = frames.map(|frame| Step::from(frame.cut(cut)));
    let title = format!("a ping between two fragments, {writes}");
    let pong = Seen::Pong(PINGS[0].into());
    Case::new((5, part), title, script.into(), Expect::answers([pong, message(2)]))
}

fn stray_after_message() -> Case {
    let frames = [first(Frame::text(PARTS[0])), last(PARTS[1]), middle(PARTS[2]), Frame::text(PARTS[3])];
    Case::new(
        (5, 15),
        "a text message in two fragments, a continuation frame of nothing, a text message, in one write",
        frames.map(Step::from).into(),
        Expect::fails(&[1002]).after([message(2)]).or_at_least([]),
    )
}

fn stray_before_message(part: u8, what: &str, stray: Frame) -> Case {
    let once = [stray, first(Frame::text(PARTS[1])), last(PARTS[2])];
    let title = format!("twice: a continuation frame of nothing, {what}, then a message in two fragments");
    broken(part, title, once.clone().into_iter().chain(once))
}

fn pings_among_five(part: u8, writes: &str, cut: Cut) -> Case {
    let start = [first(Frame::text(PARTS[0])), middle(PARTS[1]), Frame::ping(PINGS[0])];
    let end = [middle(PARTS[2]), middle(PARTS[3]), Frame::ping(PINGS[1]), last(PARTS[4])];
    let mut script = Vec::from(start.map(|frame| Step::from(frame.cut(cut))));
    script.push(Step::Pause);
    script.extend(end.map(|frame| Step::from(frame.cut(cut))));
    let title = format!("five fragments with two pings among them and a pause, {writes}");
    let [early, late] = PINGS.map(|ping| Seen::Pong(ping.into()));
    Case::new((5, part), title, script, Expect::answers([early, late, message(5)]))
}
