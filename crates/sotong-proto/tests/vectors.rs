//! The byte vectors of RFC 6455, section 5.7 (C31), read and written by both sides, and what a client masks (C8, C9).

mod pair;

use std::collections::HashSet;
use std::sync::Arc;

use pair::wire::{self, BINARY, FIN, KEY, PING, PONG, TEXT};
use pair::{End, Seen};
use sotong_proto::{Close, CloseCode, Config, Initiator, Message, MessageRef, Outbox, Replies, Seed, Side};

const HELLO: &[u8] = b"Hello";
const UNMASKED_HELLO: &[u8] = b"\x81\x05\x48\x65\x6c\x6c\x6f";
const MASKED_HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
const FRAGMENTED_HELLO: &[u8] = b"\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f";
const UNMASKED_PING: &[u8] = b"\x89\x05\x48\x65\x6c\x6c\x6f";
const MASKED_PONG: &[u8] = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

fn seen_by(side: Side, bytes: &[u8]) -> Vec<Seen> {
    let mut end = End::new(side, &Config::default());
    end.read_at_once(bytes);
    end.seen
}

fn client_outbox(seed: u8) -> Outbox {
    Outbox::client(Arc::new(Config::default()), Seed([seed; 32]))
}

#[test]
fn c31_the_vectors_as_they_are_read() {
    let hello = || vec![Seen::Text("Hello".to_owned())];
    assert_eq!(seen_by(Side::Client, UNMASKED_HELLO), hello());
    assert_eq!(seen_by(Side::Server, MASKED_HELLO), hello());
    assert_eq!(seen_by(Side::Client, FRAGMENTED_HELLO), hello());
    assert_eq!(seen_by(Side::Client, UNMASKED_PING), [Seen::Ping(HELLO.to_vec())]);
    assert_eq!(seen_by(Side::Server, MASKED_PONG), [Seen::Pong(HELLO.to_vec())]);

    let payload: Vec<u8> = (0..65536u32).map(|index| (index * 31) as u8).collect();
    let of_256 = [b"\x82\x7e\x01\x00", &payload[..256]].concat();
    assert_eq!(seen_by(Side::Client, &of_256), [Seen::Binary(payload[..256].to_vec())]);
    let of_65536 = [b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", &payload[..]].concat();
    assert_eq!(seen_by(Side::Client, &of_65536), [Seen::Binary(payload)]);
}

#[test]
fn c31_the_vectors_as_a_server_writes_them() {
    let mut server = End::new(Side::Server, &Config::default());
    server.outbox.send(MessageRef::Text("Hello")).expect("there is room");
    assert_eq!(server.outbox.take_bytes(), UNMASKED_HELLO);
    server.outbox.ping(HELLO);
    assert_eq!(server.outbox.take_bytes(), UNMASKED_PING);
    server.outbox.send(MessageRef::Binary(&[9; 256])).expect("there is room");
    assert_eq!(server.outbox.take_bytes(), [&b"\x82\x7e\x01\x00"[..], &[9; 256]].concat());
    server.outbox.send(MessageRef::Binary(&[9; 65536])).expect("there is room");
    let expected = [&b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"[..], &[9; 65536]].concat();
    assert_eq!(server.outbox.take_bytes(), expected);
}

#[test]
fn c31_a_ping_is_answered_with_the_pong_of_the_vectors() {
    let mut server = End::new(Side::Server, &Config::default());
    server.read_at_once(&wire::frame(FIN | PING, HELLO, Side::Client));
    assert_eq!(server.outbox.take_bytes(), b"\x8a\x05\x48\x65\x6c\x6c\x6f");

    let mut client = End::new(Side::Client, &Config::default());
    client.read_at_once(UNMASKED_PING);
    let pong = client.outbox.take_bytes();
    assert_eq!(pong[..2], MASKED_PONG[..2]);
    assert_eq!(seen_by(Side::Server, &pong), [Seen::Pong(HELLO.to_vec())]);
}

/// The test's own frames are the RFC's too.
#[test]
fn frames_written_by_hand_are_the_vectors() {
    assert_eq!(wire::frame(FIN | TEXT, HELLO, Side::Server), UNMASKED_HELLO);
    assert_eq!(wire::frame(FIN | TEXT, HELLO, Side::Client), MASKED_HELLO);
    assert_eq!(wire::frame(FIN | PONG, HELLO, Side::Client), MASKED_PONG);
    assert_eq!(wire::read_frames(MASKED_PONG, Side::Client)[0].key, Some(KEY));
}

#[test]
fn c8_what_a_client_masks_the_server_reads() {
    let mut outbox = client_outbox(7);
    let mut server = End::new(Side::Server, &Config::default());
    let mut expected = Vec::new();
    for length in [0, 1, 2, 3, 4, 5, 7, 8, 9, 124, 125, 126, 127, 128, 65535, 65536, 100_000] {
        let payload: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        outbox.send(MessageRef::Binary(&payload)).expect("there is room");
        expected.push(Seen::Binary(payload));
        let text = "소".repeat(length / 3);
        outbox.send_owned(&Message::text(text.clone())).expect("there is room");
        expected.push(Seen::Text(text));
    }
    outbox.ping(b"are you there");
    expected.push(Seen::Ping(b"are you there".to_vec()));
    let close = Close::new(CloseCode::NORMAL, "다 했어요");
    outbox.close(close.clone(), Initiator::Local);
    expected.push(Seen::Close(close));
    server.read_at_once(&outbox.take_bytes());
    assert!(server.seen == expected, "something was not read as it was sent");
}

#[test]
fn c8_a_fresh_key_for_each_frame_of_every_kind() {
    let mut outbox = client_outbox(7);
    let mut bytes = Vec::new();
    for round in 0..250u32 {
        outbox.send(MessageRef::Text("same")).expect("there is room");
        outbox.send_owned(&Message::binary(vec![0; 20_000])).expect("there is room");
        outbox.ping(b"same");
        outbox.pong(&round.to_be_bytes());
        bytes.append(&mut outbox.take_bytes());
    }
    outbox.close(Close::empty(), Initiator::Local);
    bytes.append(&mut outbox.take_bytes());
    let frames = wire::read_frames(&bytes, Side::Client);
    assert_eq!(frames.len(), 1001);
    let keys: HashSet<_> = frames.iter().map(|frame| frame.key.expect("a client masks")).collect();
    assert_eq!(keys.len(), frames.len(), "a key was used twice");
    // What is zeros on the inside must not be zeros, nor alike, on the outside.
    assert!(!keys.contains(&[0; 4]));
}

#[test]
fn c8_keys_come_from_the_seed_alone() {
    let bytes = |seed| {
        let mut outbox = client_outbox(seed);
        (0..8).for_each(|_| outbox.send(MessageRef::Binary(&[0; 16])).expect("there is room"));
        outbox.take_bytes()
    };
    assert_eq!(bytes(1), bytes(1));
    let keys = |seed| -> HashSet<_> {
        wire::read_frames(&bytes(seed), Side::Client).into_iter().map(|frame| frame.key).collect()
    };
    assert!(keys(1).is_disjoint(&keys(2)));
}

#[test]
fn c9_unmasked_right_at_every_offset_in_the_buffer_and_length() {
    let filler = wire::frame(FIN | PONG, b"", Side::Client);
    for offset in 0..9 {
        for length in 0..140 {
            let payload: Vec<u8> = (0..length).map(|index| (index * 7 + offset) as u8).collect();
            let before = wire::frame(FIN | PONG, &vec![0; offset], Side::Client);
            let bytes = [before, wire::frame(FIN | BINARY, &payload, Side::Client), filler.clone()].concat();
            let seen = seen_by(Side::Server, &bytes);
            let expected =
                [Seen::Pong(vec![0; offset]), Seen::Binary(payload), Seen::Pong(Vec::new())].to_vec();
            assert_eq!(seen, expected, "offset {offset}, length {length}");
        }
    }
}

/// A payload by reference leaves as the same bytes as a copied one, in order with what is around it.
#[test]
fn owned_messages_leave_as_the_same_bytes() {
    let config = Arc::new(Config::default());
    for length in [0, 100, 16 * 1024 - 1, 16 * 1024, 70_000] {
        let message = Message::binary((0..length).map(|index| index as u8).collect::<Vec<u8>>());
        let mut copied = Outbox::server(config.clone());
        let mut owned = Outbox::server(config.clone());
        for (outbox, is_owned) in [(&mut copied, false), (&mut owned, true)] {
            outbox.send(MessageRef::Text("before")).expect("there is room");
            if is_owned { outbox.send_owned(&message) } else { outbox.send(message.as_ref()) }
                .expect("there is room");
            outbox.send(MessageRef::Text("after")).expect("there is room");
        }
        assert_eq!(copied.len(), owned.len());
        assert!(copied.take_bytes() == owned.take_bytes(), "length {length}");
        assert!(owned.is_empty());
    }
}
