//! Same bytes, same outcome, wherever reads end (C7, C13): good streams and bad ones, split at every byte.

mod pair;

use std::collections::BTreeSet;

use pair::random::Random;
use pair::wire::{self, BINARY, CLOSE, CONTINUATION, FIN, Form, PING, PONG, TEXT};
use pair::{End, Seen};
use sotong_proto::{Config, Error, Side, Time};

struct Stream {
    name: String,
    reader: Side,
    bytes: Vec<u8>,
}

const KOREAN: &str = "가나다 소통하는 오징어 𝄞 é";

fn good(from: Side) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let f = |first, payload: &[u8]| wire::frame(first, payload, from);
    let korean = KOREAN.as_bytes();
    let long: Vec<u8> = (0..300u32).map(|index| index as u8).collect();
    vec![
        ("nothing", vec![]),
        (
            "messages",
            vec![f(FIN | TEXT, b"Hello"), f(FIN | BINARY, &long), f(FIN | TEXT, b""), f(FIN | TEXT, korean)],
        ),
        (
            "controls",
            vec![f(FIN | PING, b"p"), f(FIN | PONG, b""), f(FIN | PING, &[7; 125]), f(FIN | PONG, b"pong")],
        ),
        (
            "fragments",
            vec![
                f(TEXT, &korean[..4]),
                f(FIN | PING, b"between"),
                f(CONTINUATION, b""),
                f(CONTINUATION, &korean[4..11]),
                f(FIN | PONG, b""),
                f(FIN | PING, b""),
                f(FIN | CONTINUATION, &korean[11..]),
                f(BINARY, b""),
                f(FIN | CONTINUATION, b"\xff\xfe"),
                f(FIN | TEXT, b"next"),
            ],
        ),
        ("text byte by byte", {
            let mut frames: Vec<_> = korean.iter().map(|byte| f(CONTINUATION, &[*byte])).collect();
            frames[0] = f(TEXT, &korean[..1]);
            frames.push(f(FIN | CONTINUATION, b""));
            frames
        }),
        (
            "close with a reason",
            vec![
                f(FIN | TEXT, b"bye"),
                f(FIN | CLOSE, &wire::close_body(1001, "잘 가".as_bytes())),
                f(FIN | TEXT, b"x"),
            ],
        ),
        ("empty close", vec![f(FIN | CLOSE, b""), f(FIN | PING, b"late")]),
        (
            "close in a fragmented message",
            vec![f(TEXT, b"half"), f(FIN | CLOSE, &wire::close_body(4999, b""))],
        ),
        ("unfinished message", vec![f(FIN | TEXT, b"a"), f(TEXT, &korean[..5]), f(FIN | PING, b"p")]),
        ("unfinished frame", vec![f(FIN | TEXT, b"a"), wire::header(FIN | BINARY, 500, from), vec![1; 20]]),
        ("unfinished ping", vec![f(TEXT, b"a"), wire::header(FIN | PING, 50, from), vec![1; 20]]),
        ("unfinished header", vec![wire::header(FIN | BINARY, 65536, from)[..9].to_vec()]),
    ]
}

/// Each with something good before it and after it.
fn bad(from: Side) -> Vec<(String, Vec<u8>)> {
    let f = |first, payload: &[u8]| wire::frame(first, payload, from);
    let h = |first, length| wire::header(first, length, from);
    let mut streams = vec![
        ("reserved bit 1".to_owned(), f(FIN | 0x40 | TEXT, b"x")),
        ("reserved bit 2".to_owned(), f(FIN | 0x20 | BINARY, b"x")),
        ("reserved bit 3 on a ping".to_owned(), f(FIN | 0x10 | PING, b"x")),
        ("wrong mask bit".to_owned(), wire::frame(FIN | TEXT, b"x", wire::other(from))),
        ("16 bits for 125".to_owned(), wire::header_in_form(FIN | TEXT, Form::Bits16, 125, from)),
        ("64 bits for 65535".to_owned(), wire::header_in_form(FIN | TEXT, Form::Bits64, 65535, from)),
        ("length of 2^63".to_owned(), h(FIN | BINARY, 1 << 63)),
        ("ping in fragments".to_owned(), f(PING, b"x")),
        ("close in fragments".to_owned(), f(CLOSE, b"")),
        ("ping of 126 bytes".to_owned(), f(FIN | PING, &[0; 126])),
        ("pong of 70000 bytes".to_owned(), h(FIN | PONG, 70_000)),
        ("continuation of nothing".to_owned(), f(FIN | CONTINUATION, b"x")),
        (
            "message inside a message".to_owned(),
            [f(TEXT, b"x"), f(FIN | PING, b""), f(FIN | TEXT, b"y")].concat(),
        ),
        ("close of one byte".to_owned(), f(FIN | CLOSE, &[3])),
        ("close with 1005".to_owned(), f(FIN | CLOSE, &wire::close_body(1005, b"no"))),
        (
            "close reason that is no text".to_owned(),
            f(FIN | CLOSE, &wire::close_body(1000, b"ab\xed\xa0\x80")),
        ),
        ("too big at once".to_owned(), h(FIN | BINARY, 1 << 40)),
        ("too big in fragments".to_owned(), [f(BINARY, &[0; 900]), h(CONTINUATION, 101)].concat()),
        ("too many empty fragments".to_owned(), {
            let mut bytes = f(TEXT, b"");
            (0..800).for_each(|_| bytes.extend(f(CONTINUATION, b"")));
            bytes
        }),
    ];
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        streams.push((format!("opcode {opcode}"), f(FIN | opcode, b"x")));
    }
    // UTF-8, each in one frame and with the bad part in a fragment of its own.
    let texts: [&[u8]; 8] = [
        b"\x80",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xff",
        b"\xec\x86",
        b"\xec\x86\xec\x86\x8c",
        b"\xf0\x9d\x84",
    ];
    for text in texts {
        let whole = [KOREAN.as_bytes(), text].concat();
        streams.push((format!("text {text:x?}"), f(FIN | TEXT, &whole)));
        let fragments = [f(TEXT, KOREAN.as_bytes()), f(FIN | CONTINUATION, text)].concat();
        streams.push((format!("text {text:x?} in a fragment"), fragments));
    }
    streams
}

fn corpus() -> Vec<Stream> {
    let mut streams = Vec::new();
    for reader in [Side::Client, Side::Server] {
        let from = wire::other(reader);
        for (name, frames) in good(from) {
            streams.push(Stream {
                name: format!("{name}, read by the {reader:?}"),
                reader,
                bytes: frames.concat(),
            });
        }
        for (name, bytes) in bad(from) {
            let before = wire::frame(FIN | TEXT, "전".as_bytes(), from);
            let after = wire::frame(FIN | PING, b"after", from);
            let bytes = [before, bytes, after].concat();
            streams.push(Stream { name: format!("{name}, read by the {reader:?}"), reader, bytes });
        }
    }
    streams
}

/// All that can be told from outside.
#[derive(Debug, PartialEq)]
struct Outcome {
    seen: Vec<Seen>,
    replies: Vec<u8>,
    /// Of the connection: timers, ending, what is unfinished and how much of it.
    state: String,
    closed: sotong_proto::Closed,
    deadline: Option<Time>,
}

fn config() -> Config {
    // Small, so that streams that pass it are short; pongs without bound, since when they are postponed depends on
    // when the outbox is emptied.
    Config::default()
        .with_message_bytes_max(1000)
        .with_message_wire_bytes_max(1500)
        .with_pong_bytes_max(usize::MAX)
}

fn outcome<'a>(reader: Side, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut end = End::new(reader, &config());
    pieces.into_iter().for_each(|piece| end.read_at_once(piece));
    Outcome {
        state: format!("{:?}", end.connection),
        closed: end.closed(true),
        deadline: end.connection.deadline(),
        replies: end.outbox.take_bytes(),
        seen: end.seen,
    }
}

fn whole(stream: &Stream) -> Outcome {
    outcome(stream.reader, [&stream.bytes[..]])
}

#[test]
fn c7_split_in_two_at_every_byte() {
    for stream in corpus() {
        let expected = whole(&stream);
        // The long streams are the same few bytes over and over.
        let step = if stream.bytes.len() > 1500 { 7 } else { 1 };
        for at in (0..=stream.bytes.len()).step_by(step) {
            let (first, second) = stream.bytes.split_at(at);
            assert_eq!(outcome(stream.reader, [first, second]), expected, "{}, split at {at}", stream.name);
        }
    }
}

#[test]
fn c7_byte_by_byte() {
    for stream in corpus() {
        assert_eq!(outcome(stream.reader, stream.bytes.chunks(1)), whole(&stream), "{}", stream.name);
    }
}

#[test]
fn c7_in_random_pieces() {
    for stream in corpus() {
        let expected = whole(&stream);
        for seed in 0..30 {
            let mut random = Random(seed);
            let piece_bytes_max = 1 + random.below(40);
            let pieces = random.cut(&stream.bytes, piece_bytes_max);
            let outcome = outcome(stream.reader, pieces.iter().map(|piece| &piece[..]));
            assert_eq!(outcome, expected, "{}, seed {seed}", stream.name);
        }
    }
}

/// The corpus is what it says: the good is good, the bad is bad, and no way to be bad is missing.
#[test]
fn the_corpus_covers_every_error() {
    let mut found = BTreeSet::new();
    for stream in corpus() {
        let outcome = whole(&stream);
        let failed = outcome.seen.iter().find_map(|seen| match seen {
            Seen::Failed(error) => Some(error.clone()),
            _ => None,
        });
        let is_good =
            good(Side::Client).iter().any(|(name, _)| stream.name.starts_with(&format!("{name}, ")));
        assert_eq!(failed.is_none(), is_good, "{}: {failed:?}", stream.name);
        let name = |error: &dyn std::fmt::Debug| {
            format!("{error:?}").split(['(', ' ']).next().expect("an error has a name").to_owned()
        };
        match failed {
            Some(Error::Protocol(error)) => found.insert(name(&error)),
            Some(Error::Limit(error)) => found.insert(name(&error)),
            _ => false,
        };
    }
    let expected = [
        "CloseBodyOfOneByte",
        "CloseCode",
        "CloseReasonUtf8",
        "ContinuationExpected",
        "ContinuationUnexpected",
        "ControlFragmented",
        "ControlTooLong",
        "LengthNotMinimal",
        "LengthTopBit",
        "MaskMissing",
        "MaskUnexpected",
        "MessageBytes",
        "MessageWireBytes",
        "ReservedBits",
        "ReservedOpcode",
        "TextUtf8",
    ];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

/// The good streams as events, so that "identical" does not mean "identically wrong".
#[test]
fn c10_c13_what_the_good_streams_say() {
    for reader in [Side::Client, Side::Server] {
        let streams = good(wire::other(reader));
        let seen = |name: &str| {
            let (_, frames) =
                streams.iter().find(|(stream, _)| *stream == name).expect("it is in the corpus");
            outcome(reader, [&frames.concat()[..]]).seen
        };
        let long: Vec<u8> = (0..300u32).map(|index| index as u8).collect();
        let text = |text: &str| Seen::Text(text.to_owned());
        assert_eq!(seen("messages"), [text("Hello"), Seen::Binary(long), text(""), text(KOREAN)]);
        assert_eq!(
            seen("fragments"),
            [
                Seen::Ping(b"between".to_vec()),
                Seen::Pong(vec![]),
                Seen::Ping(vec![]),
                text(KOREAN),
                Seen::Binary(b"\xff\xfe".to_vec()),
                text("next"),
            ]
        );
        assert_eq!(seen("text byte by byte"), [text(KOREAN)]);
    }
}
