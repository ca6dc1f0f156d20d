//! Pings, pongs and their flood (RFC 6455, sections 5.5.2 and 5.5.3).

mod pair;

use pair::wire::{self, BINARY, CLOSE, FIN, Frame, PING, PONG, TEXT};
use pair::{End, Pair, Seen};
use std::io::IoSlice;

use sotong_proto::{
    Close, CloseCode, Config, Cork, Error, Initiator, MessageRef, ProtocolError, Replies, Side, Time,
};

const SIDES: [Side; 2] = [Side::Client, Side::Server];

fn ping(payload: &[u8], to: Side) -> Vec<u8> {
    wire::frame(FIN | PING, payload, wire::other(to))
}

/// What waits to be sent, as kinds and payloads.
fn written(end: &mut End) -> Vec<(u8, Vec<u8>)> {
    let bytes = end.outbox.take_bytes();
    wire::read_frames(&bytes, end.side)
        .into_iter()
        .map(|Frame { first, payload, .. }| (first, payload))
        .collect()
}

fn pong(payload: &[u8]) -> (u8, Vec<u8>) {
    (FIN | PONG, payload.to_vec())
}

#[test]
fn c14_control_frames_at_125_bytes_and_one_past() {
    for side in SIDES {
        for opcode in [PING, PONG] {
            let payload = vec![b'x'; 125];
            let mut end = End::new(side, &Config::default());
            end.read_at_once(&wire::frame(FIN | opcode, &payload, wire::other(side)));
            let expected = if opcode == PING { Seen::Ping(payload) } else { Seen::Pong(payload) };
            assert_eq!(end.seen, [expected]);
        }
        for opcode in [CLOSE, PING, PONG] {
            // The length field alone is enough to refuse it.
            for (length, field) in [(126, 126), (65536, 127)] {
                let mut end = End::new(side, &Config::default());
                end.read_at_once(&wire::header(FIN | opcode, length, wire::other(side))[..2]);
                let error = Error::Protocol(ProtocolError::ControlTooLong(field));
                assert_eq!(end.seen, [Seen::Failed(error)]);
            }
        }
    }
}

#[test]
fn c14_control_frames_in_fragments_or_with_reserved_bits() {
    for side in SIDES {
        for opcode in [CLOSE, PING, PONG] {
            let mut end = End::new(side, &Config::default());
            end.read_at_once(&wire::frame(opcode, b"", wire::other(side)));
            assert_eq!(end.seen, [Seen::Failed(Error::Protocol(ProtocolError::ControlFragmented))]);
            for bits in [0b100, 0b010, 0b001, 0b111] {
                let mut end = End::new(side, &Config::default());
                end.read_at_once(&wire::frame(FIN | bits << 4 | opcode, b"", wire::other(side)));
                let error = Error::Protocol(ProtocolError::ReservedBits(bits));
                assert_eq!(end.seen, [Seen::Failed(error)]);
            }
        }
    }
}

#[test]
fn c15_a_pong_repeats_the_payload() {
    for side in SIDES {
        for payload in [&b""[..], b"\0", b"Hello", &[0xff; 125]] {
            let mut end = End::new(side, &Config::default());
            end.read_at_once(&ping(payload, side));
            assert_eq!(end.seen, [Seen::Ping(payload.to_vec())]);
            assert_eq!(written(&mut end), [pong(payload)]);
        }
    }
}

#[test]
fn c15_no_pong_after_a_close() {
    for side in SIDES {
        // After ours, while the peer's has not come.
        let mut end = End::new(side, &Config::default());
        end.close(CloseCode::NORMAL.into(), Time::ZERO);
        written(&mut end);
        end.read_at_once(&ping(b"late", side));
        assert_eq!(end.seen, [Seen::Ping(b"late".to_vec())]);
        assert_eq!(written(&mut end), []);
        // After the peer's nothing counts.
        end.read_at_once(&wire::frame(FIN | CLOSE, b"", wire::other(side)));
        end.read_at_once(&ping(b"too late", side));
        assert_eq!(end.seen[1..], [Seen::Close(Close::empty())]);
        assert_eq!(written(&mut end), []);
    }
}

#[test]
fn c16_an_unsolicited_pong_is_no_error() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default());
        end.read_at_once(&wire::frame(FIN | PONG, b"nobody asked", wire::other(side)));
        assert_eq!(end.seen, [Seen::Pong(b"nobody asked".to_vec())]);
        assert!(end.connection.wants_input());
        assert_eq!(written(&mut end), []);
    }
}

/// An answer stands where its question stood.
#[test]
fn pongs_and_answers_leave_in_the_order_of_what_they_answer() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default());
        let from = wire::other(side);
        let mut bytes = [
            wire::frame(FIN | TEXT, b"1", from),
            ping(b"2", side),
            wire::frame(FIN | BINARY, b"3", from),
            ping(b"4", side),
            wire::frame(FIN | CLOSE, &wire::close_body(1000, b""), from),
        ]
        .concat();
        let mut received = end.connection.receive(&mut bytes, Time::ZERO);
        while let Some(event) = received.next(&mut end.outbox) {
            if let sotong_proto::Event::Message(message) = event {
                end.outbox.send(message).expect("there is room");
            }
        }
        let expected = [
            (FIN | TEXT, b"1".to_vec()),
            pong(b"2"),
            (FIN | BINARY, b"3".to_vec()),
            pong(b"4"),
            (FIN | CLOSE, vec![3, 0xe8]),
        ];
        assert_eq!(written(&mut end), expected);
    }
}

/// The length of a Pong's frame with this much payload, from `side`.
fn frame_bytes(payload_length: usize, side: Side) -> usize {
    wire::frame(FIN | PONG, &vec![0; payload_length], side).len()
}

#[test]
fn c17_pongs_are_bounded_at_the_limit_and_one_past() {
    for side in SIDES {
        let one = frame_bytes(4, side);
        for (max, answered) in [(3 * one, 3), (3 * one - 1, 2), (3 * one + 1, 3)] {
            let mut end = End::new(side, &Config::default().with_pong_bytes_max(max));
            for number in 0..3u32 {
                end.read_at_once(&ping(&number.to_be_bytes(), side));
            }
            assert_eq!(end.outbox.len(), answered * one, "{max} bytes of pongs");
            // Nobody is left without an answer to the last question.
            let expected: Vec<_> = (0..3u32).map(|number| pong(&number.to_be_bytes())).collect();
            assert_eq!(written(&mut end), expected);
        }
    }
}

#[test]
fn c17_one_pong_is_always_kept() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default().with_pong_bytes_max(0));
        end.read_at_once(&ping(b"1", side));
        end.read_at_once(&ping(b"2", side));
        end.read_at_once(&ping(b"3", side));
        assert_eq!(end.outbox.len(), frame_bytes(1, side));
        assert_eq!(written(&mut end), [pong(b"1"), pong(b"3")]);
    }
}

/// The flood: a peer that pings and never reads gets no memory from us, and once it reads, the latest ping counts.
#[test]
fn c17_a_flood_of_pings_costs_at_most_pong_bytes_max() {
    for side in SIDES {
        let config = Config::default();
        let mut end = End::new(side, &config);
        end.outbox.send(MessageRef::Text("before")).expect("there is room");
        let other_bytes = end.outbox.len();
        for number in 0..100_000u32 {
            end.read_at_once(&ping(&number.to_be_bytes(), side));
            assert!(end.outbox.len() <= other_bytes + config.pong_bytes_max);
        }
        let frames = written(&mut end);
        assert_eq!(frames[0], (FIN | TEXT, b"before".to_vec()));
        let kept = config.pong_bytes_max / frame_bytes(4, side);
        let expected: Vec<_> = (0..kept as u32).chain([99_999]).map(|n| pong(&n.to_be_bytes())).collect();
        assert!(frames[1..] == expected, "not the first pongs and the last");
        // What was kept has left, so there is room for the next.
        end.read_at_once(&ping(b"again", side));
        assert_eq!(written(&mut end), [pong(b"again")]);
    }
}

/// An outbox that is never empty, because the application always has more to say, must not starve the pongs.
#[test]
fn c15_pings_are_answered_though_the_outbox_never_drains() {
    let mut server = End::new(Side::Server, &Config::default().with_pong_bytes_max(100));
    let mut sent = Vec::new();
    let mut answers = 0;
    for number in 0..1000u32 {
        server.outbox.send(MessageRef::Binary(&[0; 100])).expect("there is room");
        server.read_at_once(&ping(&number.to_be_bytes(), Side::Server));
        server.outbox.send(MessageRef::Binary(&[0; 100])).expect("there is room");
        assert!(server.outbox.len() < 1000, "what is sent here leaves in time");
        // The peer reads steadily, and never all.
        while server.outbox.len() > 300 {
            let mut slices = [IoSlice::new(&[]); 1];
            assert_eq!(server.outbox.io_slices(&mut slices), 1);
            let count = slices[0].len().min(50).min(server.outbox.len() - 150);
            sent.extend_from_slice(&slices[0][..count]);
            server.outbox.advance(count);
            assert!(!server.outbox.is_empty());
        }
    }
    sent.extend(server.outbox.take_bytes());
    for frame in wire::read_frames(&sent, Side::Server) {
        answers += usize::from(frame.first == FIN | PONG);
    }
    assert_eq!(answers, 1000, "every ping had room for its pong");
}

/// Room for pongs comes from pongs that leave, not from messages before them.
#[test]
fn c17_pongs_behind_messages() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default().with_pong_bytes_max(0));
        end.outbox.send(MessageRef::Binary(&[7; 100])).expect("there is room");
        let message = end.outbox.len();
        for payload in [b"1", b"2"] {
            end.read_at_once(&ping(payload, side));
        }
        let one = frame_bytes(1, side);
        for _ in 0..3 {
            let before = end.outbox.len();
            end.outbox.advance(one);
            assert_eq!(end.outbox.len(), before - one, "part of a message has left, no pong");
        }
        // The message and all of the pong but its last byte; then that byte.
        end.outbox.advance(message - 3 * one + one - 1);
        assert_eq!(end.outbox.len(), 1);
        end.outbox.advance(1);
        assert_eq!(written(&mut end), [pong(b"2")]);
    }
}

fn bytes_of(cork: &Cork) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); Cork::SLICES_MAX];
    let used = cork.io_slices(&[], &mut slices);
    slices[..used].iter().flat_map(|slice| slice.iter().copied()).collect()
}

/// What is put in front of waiting pongs gives them no room: they still wait.
#[test]
fn c17_corked_frames_in_front_of_pongs() {
    let mut end = End::new(Side::Server, &Config::default().with_pong_bytes_max(0));
    end.read_at_once(&ping(b"1", Side::Server));
    end.read_at_once(&ping(b"2", Side::Server));
    let mut cork = Cork::new();
    cork.send(MessageRef::Binary(&[7; 100]));
    cork.pong(b"corked", 4096);
    let corked = bytes_of(&cork);
    end.outbox.prepend(&mut cork, &[]);
    assert!(cork.is_empty());
    let one = frame_bytes(1, Side::Server);
    assert_eq!(end.outbox.len(), corked.len() + one);
    // As much leaves as the pong is long, and it is not the pong.
    end.outbox.advance(one);
    assert_eq!(end.outbox.len(), corked.len());
    end.read_at_once(&ping(b"3", Side::Server));
    assert_eq!(end.outbox.len(), corked.len(), "there was room for one pong, and it is taken");
    let rest = end.outbox.take_bytes();
    let frames = wire::read_frames(&[&corked[..one], &rest].concat(), Side::Server);
    let payloads: Vec<&[u8]> = frames.iter().map(|frame| &frame.payload[..]).collect();
    assert_eq!(payloads, [&[7; 100][..], b"corked", b"1", b"3"]);
}

/// The kernel took part of what was corked; the rest comes first, whole frames after it.
#[test]
fn the_rest_of_corked_frames_comes_first() {
    for sent in 0..30 {
        let mut end = End::new(Side::Server, &Config::default());
        let mut cork = Cork::new();
        cork.send(MessageRef::Text("what one read caused"));
        cork.pong(b"and a pong", 4096);
        let corked = bytes_of(&cork);
        end.outbox.send(MessageRef::Text("from another thread")).expect("there is room");
        end.outbox.prepend_rest(&mut cork, &[], sent);
        assert!(cork.is_empty());
        let bytes = [&corked[..sent], &end.outbox.take_bytes()].concat();
        let frames = wire::read_frames(&bytes, Side::Server);
        let payloads: Vec<&[u8]> = frames.iter().map(|frame| &frame.payload[..]).collect();
        assert_eq!(payloads, [&b"what one read caused"[..], b"and a pong", b"from another thread"]);
    }
}

#[test]
fn c17_a_close_comes_before_a_postponed_pong() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default().with_pong_bytes_max(0));
        end.read_at_once(&ping(b"1", side));
        end.read_at_once(&ping(b"2", side));
        end.outbox.close(Close::empty(), Initiator::Local);
        assert_eq!(written(&mut end), [pong(b"1"), (FIN | CLOSE, vec![])], "nothing follows a Close");
    }
}

#[test]
fn c17_a_flood_through_a_network_whose_reader_stalls() {
    for side in SIDES {
        let mut pair = Pair::with_seed(&Config::default().with_write_timeout(None), 3);
        let flooder = wire::other(side);
        pair.link_to(flooder).in_flight_bytes_max = 100;
        pair.link_to(flooder).reader_stalls = true;
        for number in 0..5000u32 {
            pair.end(flooder).outbox.ping(&number.to_be_bytes());
            pair.settle();
            assert!(pair.end(side).outbox.len() <= Config::default().pong_bytes_max);
        }
        pair.link_to(flooder).reader_stalls = false;
        pair.settle();
        let last = pair.end(flooder).seen.last().cloned();
        assert_eq!(last, Some(Seen::Pong(4999u32.to_be_bytes().to_vec())));
    }
}

/// A ping of the application's is as long as the RFC lets it be.
#[test]
fn c14_a_ping_of_ours_is_cut_to_125_bytes() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default());
        end.outbox.ping(&[7; 126]);
        assert_eq!(written(&mut end), [(FIN | PING, vec![7; 125])]);
    }
}
