//! A compressor, which is lent for one message.

use zlib_rs::{Deflate, DeflateFlush};

use super::TAIL;
use super::settings::{CompressionLevel, WindowBits};

/// How much room for output an idle compressor keeps.
const OUTPUT_KEPT: usize = 128 * 1024;
/// Room for what comes out of a message that is nearly empty.
const ROOM_BYTES_MIN: usize = 512;
/// What a compressor takes besides four times its window: tables, and the output that waits inside. Measured with an
/// allocator that counts (docs/decisions/0009-compression.md).
const TABLES_BYTES: usize = 244 * 1024;

/// What a compressor is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) window_bits: WindowBits,
    pub(super) level: CompressionLevel,
}

pub(super) struct Deflater {
    codec: Deflate,
    kind: Kind,
    /// Room for what comes out. Its length is the room, so that it is zeroed only when it grows.
    output: Vec<u8>,
}

impl Kind {
    /// How much memory a compressor of this kind takes, with the room that an idle one keeps.
    pub(super) fn bytes(self) -> usize {
        4 * self.codec_window_bytes() + TABLES_BYTES + OUTPUT_KEPT
    }

    /// zlib has no window of 256 bytes for raw streams. One of 512 refers back 512 - 262 = 250 bytes at most, which
    /// such a peer's window holds; a test decodes with 256.
    fn codec_window_bits(self) -> u8 {
        self.window_bits.get().max(9)
    }

    fn codec_window_bytes(self) -> usize {
        1 << self.codec_window_bits()
    }
}

impl Deflater {
    pub(super) fn new(kind: Kind) -> Self {
        Deflater { codec: codec(kind), kind, output: Vec::new() }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Compresses a message that may refer to `window` (RFC 7692, section 7.2.1). `None` if it does not get smaller.
    pub(super) fn compress(&mut self, window: &[u8], plain: &[u8]) -> Option<&[u8]> {
        // Always enough, so that nothing is left inside: codes of nine bits are the worst. A codec that has run out of
        // room must not be used again: zlib-rs 0.6.8 does not forget on a reset where in its buffer it was, and
        // panics in a later message.
        let room = plain.len() + plain.len() / 8 + ROOM_BYTES_MIN;
        if self.output.len() < room {
            self.output.resize(room, 0);
        }
        self.codec.reset();
        let output = &mut self.output[..room];
        let is_done = (window.is_empty() || self.codec.set_dictionary(window).is_ok())
            && self.codec.compress(plain, output, DeflateFlush::SyncFlush).is_ok()
            && self.codec.total_in() == plain.len() as u64
            && self.codec.total_out() < room as u64;
        if !is_done {
            self.codec = codec(self.kind);
            return None;
        }
        let deflated = self.output[..self.codec.total_out() as usize].strip_suffix(&TAIL)?;
        // The empty message becomes one byte, and is the exception.
        (deflated.len() < plain.len() || plain.is_empty()).then_some(deflated)
    }

    /// Gives back the room that a large message has needed.
    pub(super) fn shrink(&mut self) {
        if self.output.len() > OUTPUT_KEPT {
            self.output = Vec::new();
        }
    }
}

fn codec(kind: Kind) -> Deflate {
    Deflate::new(kind.level.get().into(), false, kind.codec_window_bits())
}
