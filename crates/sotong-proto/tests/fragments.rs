//! Messages in fragments, and what may stand between them (RFC 6455, section 5.4).

mod pair;

use pair::wire::{self, BINARY, CONTINUATION, FIN, PING, PONG, TEXT};
use pair::{End, Pair, Seen};
use sotong_proto::{Config, Error, MessageRef, ProtocolError, Side};

const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// What an end that is on `side` makes of these frames of its peer.
fn seen(side: Side, frames: &[(u8, &[u8])]) -> Vec<Seen> {
    read(side, frames).seen
}

fn read(side: Side, frames: &[(u8, &[u8])]) -> End {
    let mut end = End::new(side, &Config::default());
    for (first, payload) in frames {
        end.read_at_once(&wire::frame(*first, payload, wire::other(side)));
    }
    end
}

fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

fn protocol(error: ProtocolError) -> Seen {
    Seen::Failed(Error::Protocol(error))
}

#[test]
fn c10_fragments_become_one_message_of_the_first_ones_kind() {
    for side in SIDES {
        let as_text = seen(
            side,
            &[(TEXT, b"a"), (CONTINUATION, b"b"), (CONTINUATION, b""), (FIN | CONTINUATION, b"c")],
        );
        assert_eq!(as_text, [text("abc")]);
        let as_binary =
            seen(side, &[(BINARY, b"\xff"), (FIN | CONTINUATION, b"\xfe"), (FIN | TEXT, b"next")]);
        assert_eq!(as_binary, [Seen::Binary(vec![0xff, 0xfe]), text("next")]);
    }
}

#[test]
fn c10_continuation_with_nothing_open() {
    for side in SIDES {
        for first in [CONTINUATION, FIN | CONTINUATION] {
            let failed = [protocol(ProtocolError::ContinuationUnexpected)];
            assert_eq!(seen(side, &[(first, b"x")]), failed);
            // A message that is complete is not open any more, whether it came in one frame or in two.
            let after_one = seen(side, &[(FIN | TEXT, b"a"), (first, b"x")]);
            assert_eq!(after_one[1..], failed);
            let after_two = seen(side, &[(TEXT, b"a"), (FIN | CONTINUATION, b"b"), (first, b"x")]);
            assert_eq!(after_two[1..], failed);
        }
    }
}

#[test]
fn c10_new_message_inside_a_fragmented_one() {
    for side in SIDES {
        for first in [TEXT, BINARY, FIN | TEXT, FIN | BINARY] {
            let failed = [protocol(ProtocolError::ContinuationExpected)];
            assert_eq!(seen(side, &[(TEXT, b"a"), (first, b"x")]), failed);
            assert_eq!(seen(side, &[(BINARY, b""), (CONTINUATION, b"a"), (first, b"x")]), failed);
        }
    }
}

#[test]
fn c11_control_frames_between_fragments_are_handled_at_once() {
    for side in SIDES {
        let mut end = read(side, &[(TEXT, b"first "), (FIN | PING, b"now")]);
        assert_eq!(end.seen, [Seen::Ping(b"now".to_vec())]);
        let replies = wire::read_frames(&end.outbox.take_bytes(), side);
        assert_eq!((replies[0].first, &replies[0].payload[..]), (FIN | PONG, &b"now"[..]));

        end.read_at_once(&wire::frame(FIN | PONG, b"unasked", wire::other(side)));
        end.read_at_once(&wire::frame(FIN | CONTINUATION, b"last", wire::other(side)));
        assert_eq!(end.seen[1..], [Seen::Pong(b"unasked".to_vec()), text("first last")]);
        assert!(end.outbox.is_empty(), "an unasked pong is not answered");
    }
}

/// A control frame cannot stand inside a frame: what looks like one there is payload.
#[test]
fn c11_payload_that_looks_like_a_ping() {
    let payload = wire::frame(FIN | PING, b"hi", Side::Client);
    for cut in 0..=payload.len() {
        let mut end = End::new(Side::Server, &Config::default());
        let bytes = wire::frame(FIN | BINARY, &payload, Side::Client);
        let header = bytes.len() - payload.len();
        end.read_at_once(&bytes[..header + cut]);
        end.read_at_once(&bytes[header + cut..]);
        assert_eq!(end.seen, [Seen::Binary(payload.clone())]);
    }
}

#[test]
fn c12_empty_messages_and_empty_fragments() {
    for side in SIDES {
        assert_eq!(seen(side, &[(FIN | TEXT, b"")]), [text("")]);
        assert_eq!(seen(side, &[(FIN | BINARY, b"")]), [Seen::Binary(vec![])]);
        assert_eq!(seen(side, &[(TEXT, b""), (CONTINUATION, b""), (FIN | CONTINUATION, b"")]), [text("")]);
        let around = [(BINARY, &b""[..]), (CONTINUATION, b"x"), (FIN | CONTINUATION, b"")];
        assert_eq!(seen(side, &around), [Seen::Binary(b"x".to_vec())]);
    }
}

#[test]
fn c13_frame_boundaries_carry_no_meaning() {
    let whole = "물감으로 그린 소통, two tongues";
    for side in SIDES {
        for size in 1..=whole.len() {
            let mut frames: Vec<(u8, &[u8])> =
                whole.as_bytes().chunks(size).map(|piece| (CONTINUATION, piece)).collect();
            frames[0].0 = TEXT;
            frames.last_mut().expect("there is one").0 |= FIN;
            assert_eq!(seen(side, &frames), [text(whole)], "fragments of {size} bytes");
        }
    }
}

#[test]
fn c28_bad_text_fails_in_the_fragment_that_makes_it_bad() {
    let failed = || [protocol(ProtocolError::TextUtf8)];
    for side in SIDES {
        // A surrogate: its second byte is impossible, though the message is not over.
        assert_eq!(seen(side, &[(TEXT, b"a\xed"), (CONTINUATION, b"\xa0")]), failed());
        // A message that ends inside a character, in its last fragment or in an empty one after it.
        assert_eq!(seen(side, &[(TEXT, b"a"), (FIN | CONTINUATION, b"\xec\x86")]), failed());
        assert_eq!(seen(side, &[(TEXT, b"\xec\x86"), (FIN | CONTINUATION, b"")]), failed());
        assert_eq!(seen(side, &[(FIN | TEXT, b"\xec\x86")]), failed());
        // The same bytes are fine as long as more may come, and in a binary message.
        assert_eq!(seen(side, &[(TEXT, b"a"), (CONTINUATION, b"\xec\x86")]), []);
        assert_eq!(seen(side, &[(FIN | BINARY, b"\xec\x86")]), [Seen::Binary(b"\xec\x86".to_vec())]);
    }
}

/// What is impossible is found before the frame that holds it is complete.
#[test]
fn c28_bad_text_fails_before_its_frame_is_complete() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default());
        let bytes = wire::frame(FIN | TEXT, b"good, good, \xf8 and much more", wire::other(side));
        let bad = bytes.len() - b"\xf8 and much more".len();
        end.read_at_once(&bytes[..bad]);
        assert_eq!(end.seen, []);
        end.read_at_once(&bytes[bad..=bad]);
        assert_eq!(end.seen, [protocol(ProtocolError::TextUtf8)]);
    }
}

#[test]
fn c28_text_of_one_message_does_not_leak_into_the_next() {
    for side in SIDES {
        let mut end = read(side, &[(TEXT, "가".as_bytes()), (FIN | CONTINUATION, "나".as_bytes())]);
        end.read_at_once(&wire::frame(TEXT, b"\xeb", wire::other(side)));
        end.read_at_once(&wire::frame(FIN | CONTINUATION, b"\x8b\xa4", wire::other(side)));
        assert_eq!(end.seen, [text("가나"), text("다")]);
    }
}

/// Everything through a network that cuts writes anywhere.
#[test]
fn messages_of_many_sizes_through_a_network_that_cuts() {
    for seed in 0..20 {
        let mut pair = Pair::with_seed(&Config::default(), seed);
        for link in pair.links() {
            link.piece_bytes_max = 1 + seed as usize * 7;
            link.in_flight_bytes_max = 5000;
        }
        let mut expected = Vec::new();
        for length in [0, 1, 125, 126, 3000, 20_000] {
            let message = "소".repeat(length / 3) + &"x".repeat(length % 3);
            for side in SIDES {
                pair.end(side).outbox.send(MessageRef::Text(&message)).expect("there is room");
                pair.end(side).outbox.send(MessageRef::Binary(message.as_bytes())).expect("there is room");
            }
            expected.push(Seen::Text(message.clone()));
            expected.push(Seen::Binary(message.into_bytes()));
        }
        pair.settle();
        assert!(pair.client.seen == expected, "seed {seed}: the client saw something else");
        assert!(pair.server.seen == expected, "seed {seed}: the server saw something else");
    }
}
