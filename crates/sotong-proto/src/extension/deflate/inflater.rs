//! A decompressor, which is lent for one message.

use zlib_rs::{Inflate, InflateFlush, Status};

use super::settings::WindowBits;

/// How much is inflated at once: the most that a message is ever beyond its limit.
pub(super) const CHUNK_BYTES: usize = 16 * 1024;
/// How much memory a decompressor takes: its window, its tables, and the chunk. Measured with an allocator that counts
/// (docs/decisions/0009-compression.md).
pub(super) const INFLATER_BYTES: usize = 64 * 1024;

pub(super) struct Inflater {
    codec: Inflate,
    chunk: Box<[u8]>,
}

/// Why it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// All input is used up.
    Used,
    /// A block with the mark BFINAL ended here.
    Final,
    /// This is not a deflate stream.
    Corrupt,
}

impl Inflater {
    pub(super) fn new() -> Self {
        Inflater {
            codec: Inflate::new(false, WindowBits::MAX.get()),
            chunk: vec![0; CHUNK_BYTES].into_boxed_slice(),
        }
    }

    /// Begins a stream that may refer to `window`. False if the codec refuses that, which it has no reason to.
    #[must_use]
    pub(super) fn begin(&mut self, window: &[u8]) -> bool {
        self.codec.reset(false);
        window.is_empty() || self.codec.set_dictionary(window).is_ok()
    }

    /// Inflates `input` until it is used up or something is in the way, and hands each chunk to `take`. Returns how
    /// much of the input was used.
    pub(super) fn inflate<E>(
        &mut self,
        input: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(usize, Stop), E> {
        let mut used = 0;
        loop {
            let (before_in, before_out) = (self.codec.total_in(), self.codec.total_out());
            let status = self.codec.decompress(&input[used..], &mut self.chunk, InflateFlush::SyncFlush);
            let taken = (self.codec.total_in() - before_in) as usize;
            let made = (self.codec.total_out() - before_out) as usize;
            used += taken;
            take(&self.chunk[..made])?;
            match status {
                Ok(Status::StreamEnd) => return Ok((used, Stop::Final)),
                // What fills the chunk may have more behind it, which needs no more input.
                Ok(_) if made == self.chunk.len() => {}
                Ok(_) if used == input.len() => return Ok((used, Stop::Used)),
                Ok(_) if taken > 0 || made > 0 => {}
                // No progress with input and room at hand: never round in circles.
                Ok(_) | Err(_) => return Ok((used, Stop::Corrupt)),
            }
        }
    }
}
