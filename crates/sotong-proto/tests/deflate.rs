//! permessage-deflate between frame and message (RFC 7692, sections 6 and 7.2). The names begin with the ids of the
//! checklist that the project keeps.

mod deflated;
mod pair;

use deflated::{
    OtherReceiver, OtherSender, RSV1, agree, bits, codecs, compressed, deflate, end, fragmented, json, noise,
    shared_server, windowed_server,
};
use pair::random::Random;
use pair::wire::{self, BINARY, CONTINUATION, FIN, PING, TEXT};
use pair::{End, Seen};
use sotong_proto::{
    CloseCode, Compression, CompressionLevel, Config, Error, Framed, FramedKind, LimitError, Message,
    MessageRef, ProtocolError, Side, WindowBits,
};

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

fn failed(error: impl Into<Error>) -> Seen {
    Seen::Failed(error.into())
}

/// What both kinds of server see.
#[track_caller]
fn seen_by_servers(config: &Config, bytes: &[u8]) -> Vec<Seen> {
    let mut servers = [windowed_server(config), shared_server(config)];
    for server in &mut servers {
        server.read_at_once(bytes);
    }
    let [windowed, shared] = servers.map(|server| server.seen);
    assert_eq!(windowed, shared);
    windowed
}

#[test]
fn d13_the_vectors_as_they_are_read() {
    let config = Config::default();
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let two_blocks = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    for payload in [&HELLO[..], &stored, &last, &two_blocks] {
        assert_eq!(seen_by_servers(&config, &compressed(TEXT, payload)), [text("Hello")]);
    }
    let fragments = [
        wire::frame(RSV1 | TEXT, &HELLO[..3], Side::Client),
        wire::frame(FIN | CONTINUATION, &HELLO[3..], Side::Client),
    ];
    assert_eq!(seen_by_servers(&config, &fragments.concat()), [text("Hello")]);
    // The second message refers to the first.
    let taken_over = [compressed(TEXT, &HELLO), compressed(TEXT, &[0xf2, 0x00, 0x11, 0x00, 0x00])].concat();
    let mut server = windowed_server(&config);
    server.read_at_once(&taken_over);
    assert_eq!(server.seen, [text("Hello"), text("Hello")]);
    // Where nothing is taken over there is nothing to refer to.
    let mut server = shared_server(&config);
    server.read_at_once(&taken_over);
    assert_eq!(server.seen, [text("Hello"), failed(ProtocolError::DeflateStream)]);
}

#[test]
fn d13_what_a_server_writes() {
    let compression = Compression::shared().with_threshold_bytes(0);
    let (_, deflate) = agree(compression, compression);
    let config = Config::default().with_compression(Some(compression));
    let mut server = end(Side::Server, &config, &deflate, &codecs());
    server.outbox.send(MessageRef::Binary(b"")).expect("there is room");
    // D11: the empty message is one byte.
    assert_eq!(server.outbox.take_bytes(), [0xc2, 0x01, 0x00]);
    let message = "Hello".repeat(20);
    server.outbox.send(MessageRef::Text(&message)).expect("there is room");
    let frames = wire::read_frames(&server.outbox.take_bytes(), Side::Server);
    assert_eq!(frames[0].first, FIN | RSV1 | TEXT);
    assert!(frames[0].payload.len() < 20);
    assert_eq!(OtherReceiver::new().inflate(&frames[0].payload), Ok(message.into_bytes()));
}

#[test]
fn d10_c1_reserved_bits() {
    let config = Config::default();
    for first in [FIN | RSV1 | PING, FIN | RSV1 | 0xa, FIN | RSV1 | 8] {
        let seen = seen_by_servers(&config, &wire::frame(first, b"", Side::Client));
        assert_eq!(seen, [failed(ProtocolError::ReservedBits(0b100))]);
    }
    for reserved in [0b001, 0b010, 0b011, 0b101, 0b110, 0b111] {
        let seen = seen_by_servers(&config, &wire::frame(FIN | reserved << 4 | TEXT, &HELLO, Side::Client));
        assert_eq!(seen, [failed(ProtocolError::ReservedBits(reserved))]);
    }
    let continued = [
        wire::frame(RSV1 | TEXT, &HELLO[..3], Side::Client),
        wire::frame(FIN | RSV1 | CONTINUATION, &HELLO[3..], Side::Client),
    ];
    assert_eq!(seen_by_servers(&config, &continued.concat()), [failed(ProtocolError::ReservedBits(0b100))]);
    // Without the extension RSV1 has no meaning.
    let mut server = End::new(Side::Server, &config);
    server.read_at_once(&compressed(TEXT, &HELLO));
    assert_eq!(server.seen, [failed(ProtocolError::ReservedBits(0b100))]);
}

#[test]
fn d10_uncompressed_messages_do_not_touch_the_window() {
    let mut sender = OtherSender::new();
    let message = json(2000, 1);
    let bytes = [
        compressed(TEXT, &sender.deflate(message.as_bytes())),
        wire::frame(FIN | TEXT, noise(3000, 2).escape_ascii().to_string().as_bytes(), Side::Client),
        compressed(TEXT, &sender.deflate(message.as_bytes())),
    ];
    assert!(bytes[2].len() < 100, "it refers to the first one");
    let mut server = windowed_server(&Config::default());
    server.read_at_once(&bytes.concat());
    assert_eq!(server.seen.len(), 3, "{:?}", server.failure());
    assert_eq!(server.seen[0], server.seen[2]);
}

#[test]
fn d11_the_tail_in_frames_of_its_own_and_empty_fragments() {
    let message = json(3000, 3);
    let deflated = deflate(message.as_bytes());
    for fragment_bytes in [1, 2, 3, 100, deflated.len()] {
        let bytes = fragmented(TEXT, &deflated, fragment_bytes);
        assert_eq!(seen_by_servers(&Config::default(), &bytes), [text(&message)]);
    }
    // Empty frames before, between and behind.
    let fragments = [
        wire::frame(RSV1 | TEXT, b"", Side::Client),
        wire::frame(CONTINUATION, &deflated[..10], Side::Client),
        wire::frame(CONTINUATION, b"", Side::Client),
        wire::frame(CONTINUATION, &deflated[10..], Side::Client),
        wire::frame(FIN | CONTINUATION, b"", Side::Client),
    ];
    assert_eq!(seen_by_servers(&Config::default(), &fragments.concat()), [text(&message)]);
    // A message whose fragments were flushed one by one.
    let mut sender = OtherSender::new();
    let (first, second) = message.split_at(message.floor_char_boundary(1000));
    let first = [sender.deflate(first.as_bytes()), vec![0, 0, 0xff, 0xff]].concat();
    let flushed = [
        wire::frame(RSV1 | TEXT, &first, Side::Client),
        wire::frame(FIN | CONTINUATION, &sender.deflate(second.as_bytes()), Side::Client),
    ];
    assert_eq!(seen_by_servers(&Config::default(), &flushed.concat()), [text(&message)]);
}

/// A final block, and what refers back over it: within the message, and from the next one.
#[test]
fn d12_final_blocks_keep_the_window() {
    // "Hello" in a final block, then an empty block that is not.
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    // A reference to the five bytes before, as in the second message of D13.
    let back = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let both = [&last[..], &back].concat();
    assert_eq!(seen_by_servers(&Config::default(), &compressed(TEXT, &both)), [text("HelloHello")]);
    let mut server = windowed_server(&Config::default());
    server.read_at_once(&[compressed(TEXT, &[&last[..], &[0]].concat()), compressed(TEXT, &back)].concat());
    assert_eq!(server.seen, [text("Hello"), text("Hello")]);
    // The end of the message may be the final block itself.
    assert_eq!(seen_by_servers(&Config::default(), &compressed(BINARY, &[0x01])), [Seen::Binary(Vec::new())]);
}

#[test]
fn d12_final_blocks_have_a_limit() {
    // "Hello" once, then empty final blocks of two bytes each, and an end.
    let message = |blocks: usize| {
        let deflated = [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff],
            &[0x03, 0x00].repeat(blocks)[..],
            &[0x00],
        ];
        compressed(TEXT, &deflated.concat())
    };
    assert_eq!(seen_by_servers(&Config::default(), &message(16)), [text("Hello")]);
    let error = LimitError::FinalBlocks { max: 16 };
    assert_eq!(seen_by_servers(&Config::default(), &message(17)), [failed(error)]);
    assert_eq!(Error::from(error).close_code(), Some(CloseCode::POLICY_VIOLATION));
    assert_eq!(seen_by_servers(&Config::default(), &message(500_000)), [failed(error)]);
}

#[test]
fn truncated_corrupt_and_empty_streams_fail_with_1007() {
    let message = json(1000, 5);
    let whole = deflate(message.as_bytes());
    let config = Config::default();
    assert_eq!(Error::from(ProtocolError::DeflateStream).close_code(), Some(CloseCode::INVALID_PAYLOAD));
    for end in 0..whole.len() {
        let seen = seen_by_servers(&config, &compressed(BINARY, &whole[..end]));
        assert_eq!(seen, [failed(ProtocolError::DeflateStream)], "cut at {end} of {}", whole.len());
    }
    // A stored block that promises more than comes, a block type that is none, a bad distance, garbage behind.
    let bad: [&[u8]; 5] = [
        &[0x00, 0xff, 0xff, 0x00, 0x00, 1, 2, 3],
        &[0x06],
        &[0xf2, 0x00, 0x11, 0x00, 0x00],
        &[&HELLO[..], &[0xff, 0xff]].concat(),
        &[],
    ];
    for payload in bad {
        let seen = seen_by_servers(&config, &compressed(BINARY, payload));
        assert_eq!(seen, [failed(ProtocolError::DeflateStream)], "{payload:?}");
    }
}

/// Whatever is done to a stream: a message or an error comes out, and ours and another DEFLATE agree on what is whole.
#[test]
fn changed_streams_never_spin_and_are_judged_as_another_codec_does() {
    let mut random = Random(7);
    let (mut whole, mut refused) = (0, 0);
    for round in 0..4000 {
        let mut deflated = deflate(&json(200 + round % 700, round as u64).into_bytes());
        for _ in 0..random.below(3) {
            let at = random.below(deflated.len());
            deflated[at] ^= 1 << random.below(8);
        }
        let seen = seen_by_servers(&Config::default(), &compressed(BINARY, &deflated));
        let other = OtherReceiver::new().inflate(&deflated);
        match (&seen[..], other) {
            ([Seen::Binary(ours)], Ok(theirs)) => {
                assert_eq!(*ours, theirs, "round {round}");
                whole += 1;
            }
            // Another codec does not look whether a stream has its end.
            ([Seen::Failed(Error::Protocol(ProtocolError::DeflateStream))], _) => refused += 1,
            // It stops at final blocks.
            ([Seen::Binary(_)], Err(error)) => assert!(error.contains("last"), "round {round}: {error}"),
            ([Seen::Failed(Error::Limit(_))], _) => {}
            other => panic!("round {round}: {other:?}"),
        }
    }
    assert!(whole > 1000 && refused > 100, "{whole} whole, {refused} refused");
}

#[test]
fn c29_text_is_checked_when_it_is_inflated() {
    let config = Config::default();
    // Longer than what waits, so that it is found before the end comes.
    let mut bytes = noise(40_000, 9).escape_ascii().to_string().into_bytes();
    bytes[39_000] = 0xff;
    let deflated = deflate(&bytes);
    let frame = compressed(TEXT, &deflated);
    assert_eq!(seen_by_servers(&config, &frame), [failed(ProtocolError::TextUtf8)]);
    // The invalid byte is within the last thousandth of the message: the whole of it need not come.
    assert_eq!(seen_by_servers(&config, &frame[..frame.len() - 200]), [failed(ProtocolError::TextUtf8)]);
    assert_eq!(seen_by_servers(&config, &compressed(BINARY, &deflated)), [Seen::Binary(bytes)]);
    // A character that the end of the message cuts.
    assert_eq!(
        seen_by_servers(&config, &compressed(TEXT, &deflate(&"소".as_bytes()[..2]))),
        [failed(ProtocolError::TextUtf8)]
    );
    // Characters that are cut by fragments and by chunks.
    let korean = "소통".repeat(20_000);
    assert_eq!(seen_by_servers(&config, &fragmented(TEXT, &deflate(korean.as_bytes()), 3)), [text(&korean)]);
}

#[test]
fn d14_the_inflated_limit_holds_while_inflating() {
    let config = Config::default().with_message_bytes_max(100_000);
    for opcode in [TEXT, BINARY] {
        let at_limit = vec![b'a'; 100_000];
        let beyond = vec![b'a'; 100_001];
        let seen = seen_by_servers(&config, &compressed(opcode, &deflate(&at_limit)));
        assert!(matches!(&seen[..], [Seen::Text(_) | Seen::Binary(_)]), "{seen:?}");
        let error = LimitError::MessageBytes { seen: 100_001, max: 100_000 };
        assert_eq!(Error::from(error).close_code(), Some(CloseCode::MESSAGE_TOO_BIG));
        // In one frame, in fragments, and in a stream that never ends well.
        for payload in [deflate(&beyond), deflate(&vec![b'a'; 50_000_000])] {
            assert_eq!(seen_by_servers(&config, &compressed(opcode, &payload)), [failed(error)]);
            assert_eq!(seen_by_servers(&config, &fragmented(opcode, &payload, 7)), [failed(error)]);
            let corrupt = [&payload[..payload.len() - 1], &[0xff; 100]].concat();
            assert_eq!(seen_by_servers(&config, &compressed(opcode, &corrupt)), [failed(error)]);
        }
    }
}

#[test]
fn d15_the_limit_on_the_wire_is_another_one() {
    // Stored blocks are larger than what they hold, so the wire's limit can be reached first.
    let config = Config::default().with_message_bytes_max(100_000).with_message_wire_bytes_max(10_000);
    let deflated = deflate(&noise(20_000, 1));
    let seen = seen_by_servers(&config, &compressed(BINARY, &deflated));
    assert!(
        matches!(seen[..], [Seen::Failed(Error::Limit(LimitError::MessageWireBytes { max: 10_000, .. }))]),
        "{seen:?}"
    );
    let small_on_the_wire = deflate(&[b'a'; 100_000]);
    let seen = seen_by_servers(&config, &compressed(BINARY, &small_on_the_wire));
    assert_eq!(seen, [Seen::Binary(vec![b'a'; 100_000])]);
}

#[test]
fn d14_the_ratio_has_a_limit_if_that_is_wanted() {
    let bomb = deflate(&[b'a'; 500_000]);
    let text = deflate(json(500_000, 1).as_bytes());
    let small = deflate(&[b'a'; 16 * 1024]);
    for side_settings in [Compression::shared(), Compression::windowed().with_window_bits(WindowBits::MAX)] {
        let (_, agreed) = agree(side_settings, side_settings);
        let limited = Config::default().with_compression(Some(side_settings.with_ratio_max(Some(50))));
        let seen = |payload: &[u8], fragment_bytes: usize| {
            let mut server = end(Side::Server, &limited, &agreed, &codecs());
            server.read_at_once(&fragmented(BINARY, payload, fragment_bytes));
            server.seen
        };
        for fragment_bytes in [1, 50, 100_000] {
            let over = seen(&bomb, fragment_bytes);
            assert!(
                matches!(over[..], [Seen::Failed(Error::Limit(LimitError::InflateRatio { max: 50, .. }))]),
                "{over:?}"
            );
            assert!(matches!(seen(&text, fragment_bytes)[..], [Seen::Binary(_)]));
            assert!(matches!(seen(&small, fragment_bytes)[..], [Seen::Binary(_)]), "16 KiB are free");
        }
    }
}

/// D14: what a bomb costs while it goes off, by what the connection says that it holds.
#[test]
fn d14_bombs_hold_no_more_than_the_limit() {
    let config = Config::default().with_message_bytes_max(1 << 20);
    let one_block = deflate(&vec![0; 100 << 20]);
    // Blocks that are flushed one by one, and blocks that are marked as the last.
    let mut sender = OtherSender::new();
    let many_blocks: Vec<u8> =
        (0..100).flat_map(|_| [sender.deflate(&vec![0; 1 << 20]), vec![0, 0, 0xff, 0xff]].concat()).collect();
    for payload in [&one_block, &many_blocks] {
        for (fragment_bytes, with_takeover) in
            [(usize::MAX, false), (100, false), (1, false), (usize::MAX, true)]
        {
            let mut server = windowed_server(&config);
            if with_takeover {
                server.read_at_once(&compressed(BINARY, &deflate(&vec![0; 1 << 20])));
                assert_eq!(server.take_seen().len(), 1);
            }
            let bytes = fragmented(BINARY, payload, fragment_bytes.min(payload.len()));
            let mut most = 0;
            for piece in bytes.chunks(1000) {
                server.read_at_once(piece);
                most = most.max(server.connection.buffered_bytes());
            }
            let error = LimitError::MessageBytes { seen: (1 << 20) + 1, max: 1 << 20 };
            assert_eq!(server.seen, [failed(error)]);
            // The message at its limit, what waits of it, and the decompressor.
            assert!(most <= (1 << 20) + 16 * 1024 + 64 * 1024, "{most} bytes");
            assert_eq!(server.connection.buffered_bytes(), 0);
        }
    }
}

/// A message that has come in part costs its bytes; from 16 KiB on it has a decompressor.
#[test]
fn an_unfinished_message_holds_no_codec_while_it_is_small() {
    let compression = Compression::shared();
    let (_, agreed) = agree(compression, compression);
    let config = Config::default().with_compression(Some(compression));
    let pool = codecs();
    let frame = compressed(BINARY, &deflate(&noise(100_000, 3)));
    let mut server = end(Side::Server, &config, &agreed, &pool);
    server.read_at_once(&frame[..16_000]);
    assert_eq!(pool.budget().used_bytes(), 0);
    assert!(server.connection.buffered_bytes() <= 16_000);
    server.read_at_once(&frame[16_000..17_000]);
    let one = pool.budget().used_bytes();
    assert!(one > 0);
    // A connection that fails, or goes, gives it back: there is one, and it is idle.
    drop(server);
    for _ in 0..3 {
        let mut server = end(Side::Server, &config, &agreed, &pool);
        server.read_at_once(&frame[..17_000]);
        server.read_at_once(&wire::frame(FIN | TEXT, b"", Side::Client));
        server.read_at_once(&[0; 90_000]);
        assert_eq!(pool.budget().used_bytes(), one);
    }
    drop(pool);
}

#[test]
fn with_no_budget_messages_still_come_and_go() {
    let compression = Compression::windowed().with_window_bits(WindowBits::MAX);
    let (of_client, of_server) = agree(compression, compression);
    let config = Config::default().with_compression(Some(compression));
    let budget = sotong_proto::CodecBudget::new(0);
    let none = sotong_proto::Codecs::new(budget.clone());
    let mut server = end(Side::Server, &config, &of_server, &none);
    let message = json(400_000, 6);
    server.outbox.send(MessageRef::Text(&message)).expect("there is room");
    let frames = wire::read_frames(&server.outbox.take_bytes(), Side::Server);
    assert_eq!((frames[0].first, frames[0].payload.len()), (FIN | TEXT, message.len()), "uncompressed");
    // What comes waits until it is whole.
    let mut client = end(Side::Client, &config, &of_client, &codecs());
    for _ in 0..3 {
        client.outbox.send(MessageRef::Text(&message)).expect("there is room");
        let bytes = client.outbox.take_bytes();
        for piece in bytes.chunks(5000) {
            server.read_at_once(piece);
        }
        assert_eq!(server.take_seen(), [text(&message)]);
        assert_eq!(budget.used_bytes(), 0, "what was beyond the budget is gone");
    }
}

/// Guarantee 7: one corpus, cut at every byte, and in pieces of all small sizes.
#[test]
fn d11_split_at_every_byte() {
    let mut sender = OtherSender::new();
    let mut corpus = Vec::new();
    let messages = [json(300, 1), json(300, 2), String::new(), "소통".repeat(100), json(50, 3)];
    for (index, message) in messages.iter().enumerate() {
        let deflated = sender.deflate(message.as_bytes());
        corpus.extend(match index % 2 {
            0 => compressed(TEXT, &deflated),
            _ => fragmented(TEXT, &deflated, 11),
        });
        corpus.extend(wire::frame(FIN | PING, b"between", Side::Client));
        corpus.extend(wire::frame(FIN | BINARY, b"as it is", Side::Client));
    }
    let corrupt = [compressed(TEXT, &sender.deflate(b"good")), compressed(TEXT, &[0xff; 30])].concat();
    let config = Config::default();
    for bytes in [corpus, corrupt] {
        let seen = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut server = windowed_server(&config);
            pieces.for_each(|piece| server.read_at_once(piece));
            (server.seen, server.outbox.take_bytes())
        };
        let whole = seen(&mut [&bytes[..]].into_iter());
        for cut in 1..bytes.len() {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(seen(&mut [first, second].into_iter()), whole, "cut at {cut}");
        }
        for size in 1..40 {
            assert_eq!(seen(&mut bytes.chunks(size)), whole, "pieces of {size}");
        }
    }
}

/// The same for large messages, with limits that are passed somewhere: what is found does not depend on the cuts.
#[test]
fn cuts_do_not_change_what_is_found_in_large_messages() {
    let mut random = Random(11);
    let noisy = noise(60_000, 5);
    let mut bad_text = noisy.escape_ascii().to_string().into_bytes();
    bad_text[70_000] = 0xc0;
    let bomb = [&noisy[..30_000], &vec![0; 900_000]].concat();
    for (opcode, plain) in [(BINARY, &noisy), (TEXT, &bad_text), (BINARY, &bomb)] {
        let deflated = deflate(plain);
        for fragment_bytes in [500, 20_000, 1_000_000] {
            let mut bytes = Vec::new();
            for frame in deflated.chunks(fragment_bytes).enumerate().map(|(index, fragment)| {
                wire::frame(if index == 0 { RSV1 | opcode } else { CONTINUATION }, fragment, Side::Client)
            }) {
                bytes.extend(frame);
                bytes.extend(wire::frame(FIN | PING, b"", Side::Client));
            }
            bytes.extend(wire::frame(FIN | CONTINUATION, b"", Side::Client));
            let compression = Compression::shared().with_ratio_max(Some(20));
            let (_, agreed) = agree(compression, compression);
            let config =
                Config::default().with_message_bytes_max(800_000).with_compression(Some(compression));
            let pool = codecs();
            let seen = |pieces: Vec<Vec<u8>>| {
                let mut server = end(Side::Server, &config, &agreed, &pool);
                pieces.iter().for_each(|piece| server.read_at_once(piece));
                server.seen
            };
            let whole = seen(vec![bytes.clone()]);
            for piece_bytes_max in [1, 100, 5000, 50_000] {
                let cut = seen(random.cut(&bytes, piece_bytes_max));
                assert!(cut == whole, "fragments of {fragment_bytes}, pieces up to {piece_bytes_max}");
            }
        }
    }
}

/// Ours against ours, in all combinations of what can be agreed on, and everything that is sent read by another codec.
#[test]
fn d6_d7_all_windows_and_takeovers_both_ways() {
    let pool = codecs();
    let modes = |wanted: u8| {
        [Compression::shared(), Compression::windowed()]
            .map(|mode| mode.with_window_bits(bits(wanted)).with_threshold_bytes(0))
    };
    for window_bits in 8..=15 {
        for client_mode in modes(window_bits) {
            for server_mode in modes(window_bits) {
                for level in [1, 2, 3, 4, 5, 6, 7, 8, 9] {
                    let level = CompressionLevel::new(level).expect("1 to 9");
                    let (of_client, of_server) = agree(client_mode, server_mode);
                    let config =
                        |mode: Compression| Config::default().with_compression(Some(mode.with_level(level)));
                    let mut client = end(Side::Client, &config(client_mode), &of_client, &pool);
                    let mut server = end(Side::Server, &config(server_mode), &of_server, &pool);
                    for (index, length) in [0, 1, 40, 300, 5000, 300, 40_000, 300].into_iter().enumerate() {
                        let message = json(length, (index % 3) as u64);
                        client.outbox.send(MessageRef::Text(&message)).expect("there is room");
                        server.outbox.send(MessageRef::Text(&message)).expect("there is room");
                        server.read_at_once(&client.outbox.take_bytes());
                        client.read_at_once(&server.outbox.take_bytes());
                        assert_eq!(
                            client.take_seen(),
                            [text(&message)],
                            "{window_bits} bits, level {level:?}"
                        );
                        assert_eq!(
                            server.take_seen(),
                            [text(&message)],
                            "{window_bits} bits, level {level:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn d4_d5_a_sender_of_another_make_reads_what_ours_sends() {
    let compression = Compression::windowed().with_window_bits(WindowBits::MAX).with_threshold_bytes(0);
    let (_, agreed) = agree(compression, compression);
    let config = Config::default().with_compression(Some(compression));
    let mut server = end(Side::Server, &config, &agreed, &codecs());
    let mut receiver = OtherReceiver::new();
    let mut on_the_wire = 0;
    for round in 0..300 {
        let message = if round % 7 == 3 { noise(2000, round) } else { json(1000, round % 5).into_bytes() };
        server.outbox.send(MessageRef::Binary(&message)).expect("there is room");
        let frames = wire::read_frames(&server.outbox.take_bytes(), Side::Server);
        let [frame] = &frames[..] else { panic!("one frame") };
        on_the_wire += frame.payload.len();
        match frame.first {
            0xc2 => assert_eq!(receiver.inflate(&frame.payload).as_ref(), Ok(&message), "round {round}"),
            // What does not get smaller goes as it is, and leaves the window alone.
            0x82 => assert!(frame.payload == message && round % 7 == 3, "round {round}"),
            first => panic!("{first:#x}"),
        }
    }
    // 43 messages of noise, and 257 that are hardly more than references.
    assert!(on_the_wire < 43 * 2000 + 257 * 60, "{on_the_wire} bytes");
}

#[test]
fn d17_a_message_can_be_sent_uncompressed() {
    let compression = Compression::windowed();
    let (of_client, of_server) = agree(compression, compression);
    let config = Config::default().with_compression(Some(compression));
    let pool = codecs();
    let mut server = end(Side::Server, &config, &of_server, &pool);
    let mut client = end(Side::Client, &config, &of_client, &pool);
    let secret = "token=hunter2; ".repeat(50);
    let firsts: Vec<u8> = (0..6)
        .map(|index| {
            let message = MessageRef::Text(&secret);
            match index % 3 {
                0 => server.outbox.send(message).expect("there is room"),
                1 => server.outbox.send_uncompressed(message).expect("there is room"),
                _ => server.outbox.send_uncompressed_regardless(message),
            }
            let bytes = server.outbox.take_bytes();
            client.read_at_once(&bytes);
            bytes[0]
        })
        .collect();
    assert_eq!(firsts, [0xc1, 0x81, 0x81, 0xc1, 0x81, 0x81]);
    assert_eq!(client.seen, vec![text(&secret); 6]);
    // What was sent so is nothing that a later message refers to: "secret" again costs what it cost at first.
    let other = "session=correct horse battery staple; ".repeat(20);
    let mut lengths = Vec::new();
    for _ in 0..2 {
        let mut server = end(Side::Server, &config, &of_server, &pool);
        if !lengths.is_empty() {
            server.outbox.send_uncompressed(MessageRef::Text(&other)).expect("there is room");
            server.outbox.take_bytes();
        }
        server.outbox.send(MessageRef::Text(&other)).expect("there is room");
        lengths.push(server.outbox.take_bytes().len());
    }
    assert_eq!(lengths[0], lengths[1]);
}

#[test]
fn small_messages_and_what_does_not_get_smaller_go_as_they_are() {
    let compression = Compression::shared().with_threshold_bytes(100);
    let (_, agreed) = agree(compression, compression);
    let config = Config::default().with_compression(Some(compression));
    let mut server = end(Side::Server, &config, &agreed, &codecs());
    let mut first = |message: &Message| {
        server.outbox.send_owned(message).expect("there is room");
        let bytes = server.outbox.take_bytes();
        (bytes[0], bytes.len())
    };
    assert_eq!(first(&Message::text("a".repeat(99))).0, 0x81);
    assert_eq!(first(&Message::text("a".repeat(100))).0, 0xc1);
    assert_eq!(first(&Message::binary(noise(100_000, 1))), (0x82, 100_010));
    let (compressed, length) = first(&Message::text("a".repeat(100_000)));
    assert!(compressed == 0xc1 && length < 1000);
}

/// Raised or lowered later: off is off for what is sent, and what comes compressed is still read.
#[test]
fn settings_can_change_on_a_connection_that_is_compressed() {
    let compression = Compression::shared();
    let (of_client, of_server) = agree(compression, compression);
    let config = Config::default().with_compression(Some(compression));
    let pool = codecs();
    let mut server = end(Side::Server, &config, &of_server, &pool);
    let mut client = end(Side::Client, &config, &of_client, &pool);
    let off = std::sync::Arc::new(Config::default());
    server.outbox.set_config(off.clone());
    server.connection.set_config(off);
    let message = json(1000, 1);
    server.outbox.send(MessageRef::Text(&message)).expect("there is room");
    assert_eq!(server.outbox.take_bytes()[0], 0x81);
    client.outbox.send(MessageRef::Text(&message)).expect("there is room");
    let bytes = client.outbox.take_bytes();
    assert_eq!(bytes[0], 0xc1);
    server.read_at_once(&bytes);
    assert_eq!(server.seen, [text(&message)]);
    let strict = config.with_compression(Some(compression.with_threshold_bytes(1001)));
    client.outbox.set_config(std::sync::Arc::new(strict));
    client.outbox.send(MessageRef::Text(&message)).expect("there is room");
    assert_eq!(client.outbox.take_bytes()[0], 0x81);
}

/// D18: what was compressed for many is read by a peer with takeover, in the midst of what was compressed for it alone.
#[test]
fn d18_one_frame_for_many_whatever_they_were_sent_before() {
    let pool = codecs();
    let message = json(3000, 1);
    for window_bits in [8, 11, 15] {
        for takeover in [Compression::shared(), Compression::windowed()] {
            let compression = takeover.with_window_bits(bits(window_bits)).with_threshold_bytes(0);
            let (of_client, of_server) = agree(compression, compression);
            let config = Config::default().with_compression(Some(compression));
            let mut server = end(Side::Server, &config, &of_server, &pool);
            let mut client = end(Side::Client, &config, &of_client, &pool);
            let mut other = OtherReceiver::new();
            for round in 0..20 {
                let own = json(500, round % 3);
                server.outbox.send(MessageRef::Text(&own)).expect("there is room");
                let framed = Framed::new(MessageRef::Text(&message)).compressible();
                let kind = server.outbox.framed_kind();
                let form = framed.of_kind(&kind, &pool, |compressed| compressed);
                assert!(form.len() < message.len() / 2 && form.payload_bytes() == message.len());
                server.outbox.send_framed(form).expect("there is room");
                // Past the outbox, and joined with others, it is the same.
                let bytes = server.outbox.take_bytes();
                server.outbox.sent_past(&Framed::join([form, &framed]), form.len() + framed.len());
                let bytes = [&bytes, form.as_bytes(), framed.as_bytes()].concat();
                client.read_at_once(&bytes);
                assert_eq!(client.take_seen(), [text(&own), text(&message), text(&message), text(&message)]);
                for frame in
                    wire::read_frames(&bytes, Side::Server).iter().filter(|frame| frame.first & RSV1 != 0)
                {
                    let plain = other.inflate(&frame.payload).expect("any peer reads it");
                    assert!(plain == own.as_bytes() || plain == message.as_bytes());
                }
            }
        }
    }
}

/// Guarantee 10: compressed once per kind of peer, however many clones of a publication there are.
#[test]
fn what_is_for_many_is_compressed_once_per_kind() {
    let pool = codecs();
    let message = json(20_000, 1);
    let framed = Framed::new(MessageRef::Text(&message)).compressible();
    let kind = |compression: Compression| {
        let (_, of_server) = agree(compression, compression);
        let config = Config::default().with_compression(Some(compression));
        end(Side::Server, &config, &of_server, &pool).outbox.framed_kind()
    };
    let mut made = 0;
    let mut forms = std::collections::HashSet::new();
    for _ in 0..100 {
        for window_bits in 8..=15 {
            for mode in [Compression::shared(), Compression::windowed()] {
                let clone = framed.clone();
                let kind = kind(mode.with_window_bits(bits(window_bits)));
                let form = clone.of_kind(&kind, &pool, |compressed| {
                    made += 1;
                    compressed
                });
                forms.insert(form.as_bytes().as_ptr());
            }
        }
    }
    assert_eq!((made, forms.len()), (8, 8), "one for each size of window");
    // Uncompressed connections, small messages, and what does not get smaller get the message itself.
    assert_eq!(
        framed.of_kind(&FramedKind::PLAIN, &pool, |it| it).as_bytes().as_ptr(),
        framed.as_bytes().as_ptr()
    );
    let shared = kind(Compression::shared());
    for payload in [&b"small"[..], &noise(5000, 1)] {
        let framed = Framed::new(MessageRef::Binary(payload)).compressible();
        assert_eq!(framed.of_kind(&shared, &pool, |it| it).as_bytes().as_ptr(), framed.as_bytes().as_ptr());
    }
    // So does who comes while compression is off.
    let off = Framed::new(MessageRef::Text(&message));
    assert_eq!(off.of_kind(&shared, &pool, |it| it), &off);
}

/// One final block for each KiB is more than any fragment needs; who has a thousand of them in a large message is served.
#[test]
fn d12_final_blocks_may_grow_with_the_message() {
    let last = {
        let mut out = Vec::with_capacity(5000);
        let mut codec = flate2::Compress::new(flate2::Compression::fast(), false);
        codec
            .compress_vec(json(2000, 4).as_bytes(), &mut out, flate2::FlushCompress::Finish)
            .expect("it compresses");
        out
    };
    let count = 300;
    let deflated = [last.repeat(count), vec![0]].concat();
    let expected = json(2000, 4).repeat(count);
    assert_eq!(seen_by_servers(&Config::default(), &compressed(TEXT, &deflated)), [text(&expected)]);
    assert_eq!(
        seen_by_servers(&Config::default(), &fragmented(TEXT, &deflated, last.len())),
        [text(&expected)]
    );
}
