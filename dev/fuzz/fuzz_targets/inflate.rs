//! Compressed payloads and frames: what is whole is what another DEFLATE says, however they are cut, and no limit is
//! passed while they are inflated.

#![no_main]

#[path = "cuts.rs"]
mod cuts;
#[path = "../../../crates/sotong-proto/tests/deflated/mod.rs"]
mod deflated;
#[path = "../../../crates/sotong-proto/tests/pair/mod.rs"]
mod pair;

use std::sync::Arc;

use deflated::{OtherReceiver, agree, codecs, end};
use libfuzzer_sys::fuzz_target;
use pair::wire::{self, FIN};
use pair::{End, Seen};
use sotong_proto::{Codecs, Compression, Config, Error, ProtocolError, Side, WindowBits};

const MESSAGE_BYTES_MAX: u64 = 100_000;
/// What waits of a message before it has a decompressor, and that.
const CODEC_BYTES: usize = (16 + 64) * 1024;

fn client(compression: Compression, codecs: &Arc<Codecs>) -> End {
    let (deflate, _) = agree(compression, compression);
    let config = Config::default().with_message_bytes_max(MESSAGE_BYTES_MAX).with_compression(Some(compression));
    end(Side::Client, &config, &deflate, codecs)
}

fn seen(compression: Compression, codecs: &Arc<Codecs>, pieces: &[&[u8]]) -> Vec<Seen> {
    let mut client = client(compression, codecs);
    for piece in pieces {
        client.read_at_once(piece);
        let held = client.connection.buffered_bytes();
        assert!(held <= MESSAGE_BYTES_MAX as usize + CODEC_BYTES + piece.len(), "{held} bytes are held");
    }
    client.seen
}

fuzz_target!(|data: &[u8]| {
    let Some((settings, stream, pieces)) = cuts::input(data) else { return };
    let codecs = codecs();
    let compression = match settings & 3 {
        0 => Compression::shared(),
        1 => Compression::shared().with_ratio_max(Some(5)),
        2 => Compression::windowed().with_window_bits(WindowBits::MAX),
        _ => Compression::windowed().with_window_bits(WindowBits::MIN).with_ratio_max(Some(100)),
    };
    if settings & 4 == 0 {
        // As frames.
        let whole = seen(compression, &codecs, &[stream]);
        assert_eq!(seen(compression, &codecs, &pieces), whole);
        if stream.len() <= 1000 {
            assert_eq!(seen(compression, &codecs, &stream.chunks(1).collect::<Vec<_>>()), whole);
        }
        return;
    }
    // As the payload of one message, in one frame and in fragments.
    let one = wire::frame(FIN | deflated::RSV1 | wire::BINARY, stream, Side::Server);
    let whole = seen(compression, &codecs, &[&one]);
    match (&whole[..], OtherReceiver::new().inflate(stream)) {
        ([Seen::Binary(ours)], Ok(theirs)) => assert_eq!(*ours, theirs),
        ([Seen::Binary(_)], Err(error)) => assert!(error.contains("last"), "{error}"),
        ([Seen::Failed(Error::Protocol(ProtocolError::DeflateStream) | Error::Limit(_))], _) => {}
        other => panic!("{other:?}"),
    }
    let mut fragments = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let first = if index == 0 { deflated::RSV1 | wire::BINARY } else { wire::CONTINUATION };
        let last = if index + 1 == pieces.len() { FIN } else { 0 };
        fragments.extend(wire::frame(first | last, piece, Side::Server));
    }
    let in_fragments = seen(compression, &codecs, &[&fragments]);
    // A limit on the ratio is looked at after each fragment, too.
    assert!(in_fragments == whole || compression.ratio_max.is_some());
    drop(codecs);
});
