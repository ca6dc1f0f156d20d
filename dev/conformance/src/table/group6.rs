//! Group 6: text that is UTF-8 and text that is not (RFC 3629; RFC 6455, section 8.1).
//!
//! The byte sequences are those of Markus Kuhn's stress test for UTF-8 decoders, as Autobahn numbers
//! them.

use super::numbered;
use crate::{Case, Cut, Expect, Frame, Opcode, Payload, Seen, Step};

/// The Greek word "kosme" with an accent that takes three bytes.
pub(super) const GREEK: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
/// A surrogate, which is no character, and good text after it.
pub(super) const BROKEN_TEXT: &[u8] = b"\xed\xa0\x80edited";
/// A code point above the last one, U+110000, and good text after it. It is wrong from its second
/// byte on.
const TOO_HIGH: &[u8] = b"\xf4\x90\x80\x80edited";
/// Characters of one and two bytes.
const MIXED: &str = "Hello-µ@ßöäüàá-UTF-8!!";
/// Where 6.2.2 cuts it, between two characters.
const MIXED_CUT: usize = 15;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(empty_fragments());
    cases.extend(good_text());
    cases.extend(broken_text());
    cases.extend(broken_early());
    for (part, (what, texts)) in (5..).zip(sequences()) {
        cases.extend(numbered(texts).map(|(item, text)| one_frame(part, item, what, text)));
    }
    cases
}

/// 6.1: fragments may be empty.
fn empty_fragments() -> [Case; 3] {
    let fragments = |middle: Payload| {
        vec![
            Frame::text(Payload::EMPTY).more_follows().into(),
            Frame::continuation(middle).more_follows().into(),
            Frame::continuation(Payload::EMPTY).into(),
        ]
    };
    let nothing = || Expect::answers([Seen::Text(Payload::EMPTY)]);
    let middle = "all in the middle...";
    [
        Case::new((6, 1, 1), "an empty text message", vec![Frame::text(Payload::EMPTY).into()], nothing()),
        Case::new((6, 1, 2), "three empty fragments", fragments(Payload::EMPTY), nothing()),
        Case::new(
            (6, 1, 3),
            "an empty fragment, one with text, an empty one",
            fragments(middle.into()),
            Expect::answers([Seen::Text(middle.into())]),
        ),
    ]
}

/// 6.2: good text, whole and in fragments that cut characters.
fn good_text() -> [Case; 4] {
    let mixed = || Payload::new(MIXED.as_bytes());
    let two = vec![
        Frame::text(mixed().slice(0..MIXED_CUT)).more_follows().into(),
        Frame::continuation(mixed().slice(MIXED_CUT..MIXED.len())).into(),
    ];
    let echo = |payload| Expect::answers([Seen::Text(payload)]);
    [
        Case::new((6, 2, 1), "good text in one frame", vec![Frame::text(mixed()).into()], echo(mixed())),
        Case::new((6, 2, 2), "good text in two fragments, cut between characters", two, echo(mixed())),
        Case::new(
            (6, 2, 3),
            "good text in fragments of one byte",
            vec![byte_fragments(mixed())],
            echo(mixed()),
        ),
        Case::new(
            (6, 2, 4),
            "good Greek text in fragments of one byte",
            vec![byte_fragments(Payload::new(GREEK))],
            echo(Payload::new(GREEK)),
        ),
    ]
}

/// 6.3: broken text, whole and in fragments.
fn broken_text() -> [Case; 2] {
    let payload = || Payload::new([GREEK, BROKEN_TEXT].concat());
    [
        Case::new(
            (6, 3, 1),
            "text with a surrogate in one frame",
            vec![Frame::text(payload()).into()],
            Expect::fails(&[1007]),
        ),
        Case::new(
            (6, 3, 2),
            "text with a surrogate in fragments of one byte",
            vec![byte_fragments(payload())],
            Expect::fails(&[1007]),
        ),
    ]
}

/// 6.4: broken text that can be refused before it is complete. The peer has time at each checkpoint:
/// at the first one there is no fault yet, at the second one there is.
fn broken_early() -> [Case; 4] {
    let payload = || Payload::new([GREEK, TOO_HIGH].concat());
    let end = payload().len();
    let frames = |first: usize, second: usize| {
        vec![
            Frame::text(payload().slice(0..first)).more_follows().into(),
            Step::Checkpoint,
            Frame::continuation(payload().slice(first..second)).more_follows().into(),
            Step::Checkpoint,
            Frame::continuation(payload().slice(second..end)).into(),
        ]
    };
    let one_frame = |places| {
        vec![
            Frame::text(payload()).more_follows().cut(Cut::Checkpoints(places)).into(),
            Frame::continuation(Payload::EMPTY).into(),
        ]
    };
    let early = || {
        let late = [Seen::Checkpoint, Seen::Checkpoint];
        Expect::fails(&[1007]).after([Seen::Checkpoint]).or_at_least(late)
    };
    [
        Case::new((6, 4, 1), "text broken by its second fragment of three", frames(11, 15), early()),
        Case::new((6, 4, 2), "text broken by the one byte of its second fragment", frames(12, 13), early()),
        Case::new(
            (6, 4, 3),
            "text broken by the second part of a frame that is not complete",
            one_frame(&[11, 15]),
            early(),
        ),
        Case::new(
            (6, 4, 4),
            "text broken by one byte within a frame that is not complete",
            one_frame(&[12, 13]),
            early(),
        ),
    ]
}

fn byte_fragments(payload: Payload) -> Step {
    Step::Message { opcode: Opcode::TEXT, payload, fragment: 1 }
}

/// 6.5 to 6.23: a sequence in one frame.
fn one_frame(part: u8, item: u8, what: &str, text: Text) -> Case {
    let (bytes, quality) = match text {
        Text::Good(bytes) => (bytes, "good"),
        Text::Broken(bytes) => (bytes, "broken"),
    };
    let hex = bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let title = format!("{what}, {quality}: {hex}");
    let payload = Payload::new(bytes);
    let expect = match quality {
        "good" => Expect::answers([Seen::Text(payload.clone())]),
        _ => Expect::fails(&[1007]),
    };
    Case::new((6, part, item), title, vec![Frame::text(payload).into()], expect)
}

/// What a sequence is, as the standard has it; a test holds it against the standard library.
enum Text {
    Good(Vec<u8>),
    Broken(Vec<u8>),
}

fn good<const N: usize>(sequences: [&[u8]; N]) -> Vec<Text> {
    sequences.into_iter().map(|bytes| Text::Good(bytes.to_vec())).collect()
}

fn broken<const N: usize>(sequences: [&[u8]; N]) -> Vec<Text> {
    sequences.into_iter().map(|bytes| Text::Broken(bytes.to_vec())).collect()
}

/// The sequences of the parts from 6.5 on, in order.
fn sequences() -> Vec<(&'static str, Vec<Text>)> {
    vec![
        (
            "text",
            good([
                b"hello$world",
                b"hello\xc2\xa2world",
                b"hello\xe2\x82\xacworld",
                b"hello\xf0\xa4\xad\xa2world",
                GREEK,
            ]),
        ),
        ("start of a Greek word", greek_starts()),
        (
            "the first character of a length",
            good([b"\x00", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80"]),
        ),
        (
            "the first number of five and of six bytes",
            broken([b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"]),
        ),
        (
            "the last character of a length",
            good([b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"]),
        ),
        (
            "the last number of four, five and six bytes",
            broken([b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"]),
        ),
        ("a border of a range", range_borders()),
        ("continuation bytes without a start", stray_continuations()),
        ("start bytes with a space after each", lonely_starts()),
        ("the last continuation byte missing", CUT_OFF.map(|bytes| Text::Broken(bytes.to_vec())).into()),
        ("many cut off characters", vec![Text::Broken(CUT_OFF.concat())]),
        ("bytes that never occur", broken([b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"])),
        (
            "a slash in too many bytes",
            broken([
                b"\xc0\xaf",
                b"\xe0\x80\xaf",
                b"\xf0\x80\x80\xaf",
                b"\xf8\x80\x80\x80\xaf",
                b"\xfc\x80\x80\x80\x80\xaf",
            ]),
        ),
        (
            "the last number that is written in too many bytes",
            broken([
                b"\xc1\xbf",
                b"\xe0\x9f\xbf",
                b"\xf0\x8f\xbf\xbf",
                b"\xf8\x87\xbf\xbf\xbf",
                b"\xfc\x83\xbf\xbf\xbf\xbf",
            ]),
        ),
        (
            "NUL in too many bytes",
            broken([
                b"\xc0\x80",
                b"\xe0\x80\x80",
                b"\xf0\x80\x80\x80",
                b"\xf8\x80\x80\x80\x80",
                b"\xfc\x80\x80\x80\x80\x80",
            ]),
        ),
        (
            "one surrogate",
            broken([
                b"\xed\xa0\x80",
                b"\xed\xad\xbf",
                b"\xed\xae\x80",
                b"\xed\xaf\xbf",
                b"\xed\xb0\x80",
                b"\xed\xbe\x80",
                b"\xed\xbf\xbf",
            ]),
        ),
        ("a pair of surrogates", surrogate_pairs()),
        ("a noncharacter", noncharacters()),
        (
            "one of the specials",
            good([
                b"\xef\xbf\xb9",
                b"\xef\xbf\xba",
                b"\xef\xbf\xbb",
                b"\xef\xbf\xbc",
                b"\xef\xbf\xbd",
                b"\xef\xbf\xbe",
                b"\xef\xbf\xbf",
            ]),
        ),
    ]
}

/// Characters that lack their last byte: the first and the last number of each length from two to six.
const CUT_OFF: [&[u8]; 10] = [
    b"\xc0",
    b"\xe0\x80",
    b"\xf0\x80\x80",
    b"\xf8\x80\x80\x80",
    b"\xfc\x80\x80\x80\x80",
    b"\xdf",
    b"\xef\xbf",
    b"\xf7\xbf\xbf",
    b"\xfb\xbf\xbf\xbf",
    b"\xfd\xbf\xbf\xbf\xbf",
];

/// 6.6: every start of the word. Only those that end with a character are good.
fn greek_starts() -> Vec<Text> {
    const CHARACTER_ENDS: [usize; 5] = [2, 5, 7, 9, 11];
    let starts = (1..=GREEK.len()).map(|len| match CHARACTER_ENDS.contains(&len) {
        true => Text::Good(GREEK[..len].to_vec()),
        false => Text::Broken(GREEK[..len].to_vec()),
    });
    starts.collect()
}

/// 6.11: around the surrogates, before the end of the basic plane, at the end of everything.
fn range_borders() -> Vec<Text> {
    let mut texts = good([b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x8f\xbf\xbf"]);
    texts.extend(broken([b"\xf4\x90\x80\x80"]));
    texts
}

/// 6.12: the first and the last continuation byte, up to six of them by turns, and then all but the
/// last (Autobahn leaves it out).
fn stray_continuations() -> Vec<Text> {
    let mut texts = broken([b"\x80", b"\xbf"]);
    texts.extend((2..=6).map(|len| Text::Broken(b"\x80\xbf".iter().copied().cycle().take(len).collect())));
    texts.push(Text::Broken((0x80..0xbf).collect()));
    texts
}

/// 6.13: the start bytes of each length but the last one (Autobahn leaves it out).
fn lonely_starts() -> Vec<Text> {
    let starts = [0xc0..0xdf, 0xe0..0xef, 0xf0..0xf7, 0xf8..0xfb, 0xfc..0xfd];
    starts
        .map(|starts: std::ops::Range<u8>| Text::Broken(starts.flat_map(|byte| [byte, b' ']).collect()))
        .into()
}

/// 6.21: some high surrogates, each with the first and the last low one.
fn surrogate_pairs() -> Vec<Text> {
    let high: [&[u8]; 4] = [b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xaf\xbf"];
    let low: [&[u8]; 2] = [b"\xed\xb0\x80", b"\xed\xbf\xbf"];
    high.iter().flat_map(|high| low.map(|low| Text::Broken([high, low].concat()))).collect()
}

/// 6.22: the last two code points of each plane, and of each quarter that ends so in UTF-8. They are
/// no characters, but they are good UTF-8.
fn noncharacters() -> Vec<Text> {
    let mut texts = good([b"\xef\xbf\xbe", b"\xef\xbf\xbf"]);
    for first in 0xf0..=0xf4_u8 {
        for second in [0x8f, 0x9f, 0xaf, 0xbf] {
            // The first one would be written in too many bytes; the others lie above U+10FFFF.
            if (first, second) == (0xf0, 0x8f) || (first == 0xf4 && second != 0x8f) {
                continue;
            }
            texts.extend([0xbe, 0xbf].map(|last| Text::Good(vec![first, second, 0xbf, last])));
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_what_the_table_says() {
        for (what, texts) in sequences() {
            for text in texts {
                match text {
                    Text::Good(bytes) => assert!(std::str::from_utf8(&bytes).is_ok(), "{what}: {bytes:x?}"),
                    Text::Broken(bytes) => {
                        assert!(std::str::from_utf8(&bytes).is_err(), "{what}: {bytes:x?}")
                    }
                }
            }
        }
    }

    #[test]
    fn text_breaks_between_the_checkpoints() {
        let text = [GREEK, TOO_HIGH].concat();
        for (first, second) in [(11, 15), (12, 13)] {
            // No error length: what is there may still become a character.
            let so_far = |end: usize| std::str::from_utf8(&text[..end]).err().map(|error| error.error_len());
            assert!(matches!(so_far(first), None | Some(None)));
            assert!(matches!(so_far(second), Some(Some(_))));
        }
    }
}
