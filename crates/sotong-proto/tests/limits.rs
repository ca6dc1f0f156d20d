//! Every limit at its value and one past it, and lengths at every boundary (C5, C6, C12, C30).

mod pair;

use pair::wire::{self, BINARY, CONTINUATION, FIN, Form, PING, TEXT};
use pair::{End, Seen};
use sotong_proto::{
    CloseCode, Config, Error, LimitError, Message, MessageRef, NonMinimalLengths, ProtocolError, Refused,
    Side,
};

const SIDES: [Side; 2] = [Side::Client, Side::Server];

fn unlimited() -> Config {
    Config::default().with_message_bytes_max(u64::MAX)
}

fn too_big(seen: u64, max: u64) -> Seen {
    Seen::Failed(Error::Limit(LimitError::MessageBytes { seen, max }))
}

fn sent_code(end: &End) -> Option<CloseCode> {
    end.outbox.sent_close().and_then(|(close, _)| close.code())
}

#[test]
fn c30_a_message_in_one_frame_at_the_limit_and_one_past() {
    for side in SIDES {
        for max in [0, 1, 125, 126, 1000, 65535, 65536] {
            let config = Config::default().with_message_bytes_max(max);
            for first in [TEXT, BINARY] {
                let mut end = End::new(side, &config);
                end.read_at_once(&wire::frame(FIN | first, &vec![b'x'; max as usize], wire::other(side)));
                assert!(matches!(end.seen[..], [Seen::Text(_) | Seen::Binary(_)]), "limit {max}");
                end.take_seen();
                let one_past = vec![b'x'; max as usize + 1];
                end.read_at_once(&wire::frame(FIN | first, &one_past, wire::other(side)));
                assert_eq!(end.seen, [too_big(max + 1, max)]);
                assert_eq!(sent_code(&end), Some(CloseCode::MESSAGE_TOO_BIG));
            }
        }
    }
}

#[test]
fn c30_c12_fragments_count_together() {
    for side in SIDES {
        let config = Config::default().with_message_bytes_max(10);
        let from = wire::other(side);
        for first in [TEXT, BINARY] {
            let mut end = End::new(side, &config);
            // Ten bytes, then as many empty fragments as one likes, then one byte more.
            for (first, payload) in [(first, &b"four"[..]), (CONTINUATION, b"six___"), (CONTINUATION, b"")] {
                end.read_at_once(&wire::frame(first, payload, from));
            }
            assert_eq!(end.seen, []);
            let mut other = End::new(side, &config);
            other.read_at_once(&wire::frame(first, b"four", from));
            other.read_at_once(&wire::frame(FIN | CONTINUATION, b"six___", from));
            assert!(matches!(other.seen[..], [Seen::Text(_) | Seen::Binary(_)]));

            end.read_at_once(&wire::header(FIN | CONTINUATION, 1, from));
            assert_eq!(end.seen, [too_big(11, 10)], "before the payload came");
            // The limit is of one message, not of all.
            for _ in 0..3 {
                other.read_at_once(&wire::frame(FIN | first, b"ten_______", from));
            }
            assert_eq!(other.seen.len(), 4);
        }
    }
}

/// A character that is cut at the end of a fragment counts too.
#[test]
fn c30_bytes_of_a_cut_character_count() {
    for side in SIDES {
        let config = Config::default().with_message_bytes_max(4);
        let mut end = End::new(side, &config);
        end.read_at_once(&wire::frame(TEXT, b"ab\xec\x86", wire::other(side)));
        end.read_at_once(&wire::header(FIN | CONTINUATION, 1, wire::other(side)));
        assert_eq!(end.seen, [too_big(5, 4)]);
    }
}

#[test]
fn c5_an_announced_length_is_enough_to_fail() {
    for side in SIDES {
        let max = Config::default().message_bytes_max;
        for length in [max + 1, 1 << 31, 1 << 32, 1 << 62, (1 << 63) - 1] {
            let header = wire::header(FIN | BINARY, length, wire::other(side));
            let mut end = End::new(side, &Config::default());
            end.read_at_once(&header[..header.len() - 1]);
            assert_eq!(end.seen, []);
            end.read_at_once(&header[header.len() - 1..]);
            assert_eq!(end.seen, [too_big(length, max)]);
            assert_eq!(sent_code(&end), Some(CloseCode::MESSAGE_TOO_BIG));
            assert!(!end.connection.wants_input());
        }
        // At the limit it may come.
        let mut end = End::new(side, &Config::default());
        end.read_at_once(&wire::header(FIN | BINARY, max, wire::other(side)));
        assert_eq!(end.seen, []);
    }
}

/// What became of a header alone.
fn header_alone(config: &Config, side: Side, form: Form, length: u64) -> Option<Error> {
    let header = wire::header_in_form(FIN | BINARY, form, length, wire::other(side));
    let mut whole = End::new(side, config);
    whole.read_at_once(&header);
    let mut bytewise = End::new(side, config);
    header.iter().for_each(|byte| bytewise.read_at_once(&[*byte]));
    assert_eq!(whole.seen, bytewise.seen);
    whole.failure().cloned()
}

#[test]
fn c5_c6_lengths_at_every_boundary_with_the_limit_on_and_off() {
    let lengths = [
        0,
        1,
        124,
        125,
        126,
        127,
        128,
        65534,
        65535,
        65536,
        65537,
        (1 << 31) - 1,
        1 << 31,
        (1 << 31) + 1,
        (1 << 32) - 1,
        1 << 32,
        (1 << 32) + 1,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ];
    let max = 65536;
    let limited = Config::default().with_message_bytes_max(max);
    for side in SIDES {
        for length in lengths {
            for form in [Form::Bits7, Form::Bits16, Form::Bits64] {
                if (form == Form::Bits7 && length > 125) || (form == Form::Bits16 && length > 65535) {
                    continue;
                }
                let malformed = if length >> 63 == 1 {
                    Some(Error::Protocol(ProtocolError::LengthTopBit))
                } else if form != Form::shortest(length) {
                    Some(Error::Protocol(ProtocolError::LengthNotMinimal(length)))
                } else {
                    None
                };
                let past =
                    (length > max).then_some(Error::Limit(LimitError::MessageBytes { seen: length, max }));
                let at = format!("{side:?}, {form:?}, {length}");
                assert_eq!(header_alone(&unlimited(), side, form, length), malformed, "{at}, no limit");
                assert_eq!(header_alone(&limited, side, form, length), malformed.or(past), "{at}, limit");
                // Lenient: the top bit is still refused.
                let lenient = unlimited().with_non_minimal_lengths(NonMinimalLengths::Accept);
                let refused = header_alone(&lenient, side, form, length);
                assert_eq!(refused.is_some(), length >> 63 == 1, "{at}, lenient");
            }
        }
    }
}

/// Nothing overflows when huge lengths follow what has come already.
#[test]
fn c5_a_huge_fragment_after_a_small_one() {
    let length = (1 << 63) - 1;
    for side in SIDES {
        let from = wire::other(side);
        let begin = |config: &Config| {
            let mut end = End::new(side, config);
            end.read_at_once(&wire::frame(BINARY, b"begun", from));
            end.read_at_once(&wire::header(CONTINUATION, length, from));
            end
        };
        let end = begin(&unlimited());
        assert_eq!(end.seen, []);
        assert!(end.connection.wants_input());
        let end = begin(&Config::default().with_message_bytes_max(length));
        assert_eq!(end.seen, [too_big(length + 5, length)]);
        let end = begin(&unlimited().with_message_wire_bytes_max(length));
        assert!(matches!(
            end.seen[..],
            [Seen::Failed(Error::Limit(LimitError::MessageWireBytes { seen, .. }))] if seen > length
        ));
    }
}

/// Frame headers as they are on the wire.
fn wire_bytes(fragments: &[usize], from: Side) -> u64 {
    fragments.iter().map(|length| wire::frame(0, &vec![0; *length], from).len() as u64).sum()
}

#[test]
fn c12_wire_bytes_at_the_limit_and_one_past() {
    for side in SIDES {
        let from = wire::other(side);
        for fragments in [&[5][..], &[0, 0, 0], &[1, 1, 1, 1], &[200, 0, 3]] {
            let exact = wire_bytes(fragments, from);
            for (max, fits) in [(exact, true), (exact - 1, false), (exact + 1, true)] {
                let mut end = End::new(side, &Config::default().with_message_wire_bytes_max(max));
                for (index, length) in fragments.iter().enumerate() {
                    let opcode = if index == 0 { BINARY } else { CONTINUATION };
                    let fin = if index + 1 == fragments.len() { FIN } else { 0 };
                    end.read_at_once(&wire::frame(fin | opcode, &vec![0; *length], from));
                }
                if fits {
                    assert!(matches!(end.seen[..], [Seen::Binary(_)]), "{fragments:?}");
                } else {
                    let error = LimitError::MessageWireBytes { seen: exact, max };
                    assert_eq!(end.seen, [Seen::Failed(Error::Limit(error))], "{fragments:?}");
                    assert_eq!(sent_code(&end), Some(CloseCode::MESSAGE_TOO_BIG));
                }
            }
        }
    }
}

/// Control frames inside a message have limits of their own.
#[test]
fn c12_control_frames_do_not_count_as_the_message() {
    for side in SIDES {
        let from = wire::other(side);
        let mut end = End::new(side, &Config::default().with_message_wire_bytes_max(20));
        end.read_at_once(&wire::frame(TEXT, b"a", from));
        (0..100).for_each(|_| end.read_at_once(&wire::frame(FIN | PING, b"ping", from)));
        end.read_at_once(&wire::frame(FIN | CONTINUATION, b"b", from));
        assert_eq!(end.seen.last(), Some(&Seen::Text("ab".to_owned())));
    }
}

/// CVE-2014-0193, CVE-2026-48779: endless fragments that never reach the limit of the payload.
#[test]
fn c12_endless_empty_and_tiny_fragments_end_with_1009() {
    let max = 100_000;
    for side in SIDES {
        let from = wire::other(side);
        for payload in [&b""[..], b"x"] {
            let config = Config::default().with_message_wire_bytes_max(max);
            let mut end = End::new(side, &config);
            end.read_at_once(&wire::frame(TEXT, payload, from));
            let fragment = wire::frame(CONTINUATION, payload, from);
            let mut count = 0;
            while end.seen.is_empty() {
                end.read_at_once(&fragment);
                count += 1;
                assert!(count <= max as usize / fragment.len(), "{count} fragments");
            }
            assert!(count >= max as usize / fragment.len() - 1, "{count} fragments");
            assert_eq!(sent_code(&end), Some(CloseCode::MESSAGE_TOO_BIG));
        }
    }
}

/// Fragments of ten bytes get through at the defaults, up to the largest message.
#[test]
fn c12_fragments_of_ten_bytes_fit_the_defaults() {
    let config = Config::default().with_message_bytes_max(200_000);
    let mut end = End::new(Side::Server, &config);
    let mut bytes = wire::frame(TEXT, b"0123456789", Side::Client);
    (1..19_999).for_each(|_| bytes.extend(wire::frame(CONTINUATION, b"0123456789", Side::Client)));
    bytes.extend(wire::frame(FIN | CONTINUATION, b"0123456789", Side::Client));
    end.read_at_once(&bytes);
    assert!(matches!(&end.seen[..], [Seen::Text(text)] if text.len() == 200_000), "{:?}", end.failure());
}

#[test]
fn outbox_at_the_limit_and_one_past() {
    for side in SIDES {
        let frame = wire::frame(FIN | BINARY, &[0; 100], side).len();
        for by_reference in [false, true] {
            let payload = if by_reference { 20_000 } else { 100 };
            let frame =
                if by_reference { wire::frame(FIN | BINARY, &[0; 20_000], side).len() } else { frame };
            let message = Message::binary(vec![0; payload]);
            for (max, fits) in [(2 * frame, true), (2 * frame - 1, false)] {
                let mut end = End::new(side, &Config::default().with_outbox_bytes_max(max));
                assert_eq!(end.outbox.send_owned(&message), Ok(()));
                let second = end.outbox.send_owned(&message);
                assert_eq!(second, if fits { Ok(()) } else { Err(Refused::Full) });
                assert_eq!(end.outbox.len(), frame * if fits { 2 } else { 1 });
                // Once there is room it fits again, and no byte of what was refused is there.
                end.outbox.take_bytes();
                assert_eq!(end.outbox.send(message.as_ref()), Ok(()));
            }
        }
    }
}

#[test]
fn one_message_always_fits_an_empty_outbox() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default().with_outbox_bytes_max(0));
        assert_eq!(end.outbox.send(MessageRef::Binary(&[0; 1000])), Ok(()));
        assert_eq!(end.outbox.send(MessageRef::Binary(&[])), Err(Refused::Full));
        end.outbox.send_regardless(MessageRef::Text("promised"));
        let bytes = end.outbox.take_bytes();
        assert_eq!(wire::read_frames(&bytes, side)[1].payload, b"promised");
    }
}

/// What was refused leaves no trace, not even a masking key that is used up.
#[test]
fn a_refused_message_leaves_no_trace() {
    let bytes = |refuses: bool| {
        let mut end = End::new(Side::Client, &Config::default().with_outbox_bytes_max(50));
        end.outbox.send(MessageRef::Text("first")).expect("empty");
        if refuses {
            assert_eq!(end.outbox.send(MessageRef::Binary(&[0; 100])), Err(Refused::Full));
        }
        end.outbox.send(MessageRef::Text("second")).expect("there is room");
        end.outbox.take_bytes()
    };
    assert_eq!(bytes(true), bytes(false));
}
