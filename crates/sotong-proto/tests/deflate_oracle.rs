//! Random conversations against another DEFLATE: what it sends we read, and what we send it reads.

mod deflated;
mod pair;

use deflated::{OtherReceiver, OtherSender, RSV1, agree, bits, codecs, end, json, noise};
use pair::Seen;
use pair::random::Random;
use pair::wire::{self, BINARY, CONTINUATION, FIN, PING};
use proptest::prelude::*;
use sotong_proto::{Compression, CompressionLevel, Config, MessageRef, Side};

/// One message: how it is made, how long it is, and whether it goes compressed.
#[derive(Clone, Debug)]
struct Said {
    is_noise: bool,
    length: usize,
    seed: u64,
    compressed: bool,
    /// Flushed so many times in its middle.
    flushes: usize,
}

fn said() -> impl Strategy<Value = Said> {
    let length = prop_oneof![0usize..20, 20usize..2000, 2000usize..60_000];
    (any::<bool>(), length, 0u64..5, prop::bool::weighted(0.8), 0usize..4).prop_map(
        |(is_noise, length, seed, compressed, flushes)| Said { is_noise, length, seed, compressed, flushes },
    )
}

impl Said {
    fn plain(&self) -> Vec<u8> {
        if self.is_noise { noise(self.length, self.seed) } else { json(self.length, self.seed).into_bytes() }
    }
}

/// What the other sender makes of it: its compressed payload.
fn payload_of(sender: &mut OtherSender, plain: &[u8], flushes: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    for piece in plain.chunks((plain.len() / (flushes + 1)).max(1)) {
        if !payload.is_empty() {
            payload.extend([0, 0, 0xff, 0xff]);
        }
        payload.extend(sender.deflate(piece));
    }
    if plain.is_empty() { vec![0] } else { payload }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_another_codec_sends_is_read(
        all in proptest::collection::vec(said(), 1..12),
        takeover: bool,
        fragment_bytes in 1usize..3000,
        piece_bytes in 1usize..20_000,
        seed: u64,
    ) {
        let mut server = match takeover {
            true => deflated::windowed_server(&Config::default()),
            false => deflated::shared_server(&Config::default()),
        };
        let mut sender = OtherSender::new();
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for each in &all {
            let plain = each.plain();
            if !takeover {
                sender = OtherSender::new();
            }
            let payload = if each.compressed { payload_of(&mut sender, &plain, each.flushes) } else { plain.clone() };
            let mut first = BINARY | if each.compressed { RSV1 } else { 0 };
            for fragment in payload.chunks(fragment_bytes.max(payload.len() / 40)) {
                bytes.extend(wire::frame(first, fragment, Side::Client));
                first = CONTINUATION;
            }
            bytes.extend(wire::frame(FIN | PING, b"", Side::Client));
            bytes.extend(wire::frame(FIN | first, b"", Side::Client));
            expected.push(plain);
        }
        for piece in Random(seed).cut(&bytes, piece_bytes) {
            server.read_at_once(&piece);
        }
        let messages: Vec<_> = server.take_seen().into_iter().filter(|seen| *seen != Seen::Ping(Vec::new())).collect();
        prop_assert_eq!(messages.len(), expected.len());
        for (message, expected) in messages.into_iter().zip(expected) {
            prop_assert!(message == Seen::Binary(expected));
        }
    }

    #[test]
    fn what_we_send_another_codec_reads(
        all in proptest::collection::vec(said(), 1..12),
        window_bits in 8u8..=15,
        level in 1u8..=9,
        windowed: bool,
        threshold_bytes in 0usize..100,
    ) {
        let mode = if windowed { Compression::windowed() } else { Compression::shared() };
        let compression = mode
            .with_window_bits(bits(window_bits))
            .with_level(CompressionLevel::new(level).expect("1 to 9"))
            .with_threshold_bytes(threshold_bytes);
        let (_, of_server) = agree(compression, compression);
        let config = Config::default().with_compression(Some(compression));
        let mut server = end(Side::Server, &config, &of_server, &codecs());
        let mut receiver = OtherReceiver::new();
        for each in &all {
            let plain = each.plain();
            match each.compressed {
                true => server.outbox.send(MessageRef::Binary(&plain)),
                false => server.outbox.send_uncompressed(MessageRef::Binary(&plain)),
            }.expect("there is room");
            let frames = wire::read_frames(&server.outbox.take_bytes(), Side::Server);
            prop_assert_eq!(frames.len(), 1);
            let read = match frames[0].first {
                0xc2 => {
                    prop_assert!(each.compressed && plain.len() >= threshold_bytes);
                    prop_assert!(frames[0].payload.len() < plain.len() || plain.is_empty());
                    if !windowed {
                        receiver = OtherReceiver::new();
                    }
                    receiver.inflate(&frames[0].payload)
                }
                first => {
                    prop_assert_eq!(first, 0x82);
                    Ok(frames[0].payload.clone())
                }
            };
            prop_assert!(read == Ok(plain));
        }
    }
}
