//! From the payload of compressed frames to that of a message.

use std::fmt;
use std::sync::Arc;

use super::TAIL;
use super::codecs::{Codecs, Lent};
use super::inflater::{Inflater, Stop};
use super::negotiation::Deflate;
use super::settings::WindowBits;
use super::window::Window;
use crate::config::Config;
use crate::error::{Error, LimitError, ProtocolError};
use crate::payload::Payload;
use crate::utf8::InvalidUtf8;

/// Up to this many bytes of an incomplete message wait as they came; from then on the message has a decompressor of its
/// own. So a peer that begins many messages and completes none costs us what it has sent, and not
/// [`INFLATER_BYTES`](super::inflater::INFLATER_BYTES) for each.
const WAITING_BYTES: u64 = 16 * 1024;
/// So much of a message is not held to `ratio_max`.
const RATIO_FREE_BYTES: u64 = 16 * 1024;
/// After how many bytes of compressed payload `ratio_max` is looked at, besides at the end of each frame. At places that
/// do not depend on how the input is cut, so that what is found does not either.
const RATIO_STEP_BYTES: u64 = 4 * 1024;
/// How many blocks with the mark BFINAL a message may have, and one more for each so many bytes of it.
///
/// After such a block the window has to be built anew, which takes some microseconds and costs a peer two bytes. Who
/// uses them to flush (RFC 7692, section 7.2.3.4) has one for each fragment.
const FINAL_BLOCKS_FREE: u64 = 16;
const FINAL_BLOCK_BYTES: u64 = 1024;
/// Ends a stream that stands between two blocks, at the start of a byte, and does so nowhere else: an empty block
/// without compression, marked as the last.
const END: [u8; 5] = [0x01, 0x00, 0x00, 0xff, 0xff];

/// What the peer sends, compressed. An idle one owns no codec; with context takeover it keeps the last plain text.
pub(crate) struct Receiving {
    window: Window,
    codecs: Arc<Codecs>,
}

/// A compressed message that is on its way.
#[derive(Default)]
pub(crate) struct Inflation {
    /// What has come and waits, while there is no decompressor.
    waiting: Vec<u8>,
    inflater: Option<Lent<Inflater>>,
    /// How many bytes of compressed payload have come, and how many of them have been inflated.
    come: u64,
    inflated: u64,
    final_blocks: u64,
    /// Nothing has come since the last block that was marked as the last.
    is_at_end: bool,
}

impl Receiving {
    pub(crate) fn new(deflate: &Deflate, codecs: Arc<Codecs>) -> Self {
        Receiving { window: Window::new(deflate.receive), codecs }
    }

    /// Takes a piece of a compressed message, unmasked, and adds to `payload` what it inflates to.
    ///
    /// What a message is found to be does not depend on how it is cut: it waits, or is inflated as it comes, by how much
    /// has come.
    pub(crate) fn push(
        &mut self,
        inflation: &mut Inflation,
        piece: &[u8],
        end: PieceEnd,
        payload: &mut Payload,
        config: &Config,
    ) -> Result<(), Error> {
        inflation.come += piece.len() as u64;
        if inflation.inflater.is_none() {
            let lent = match end {
                PieceEnd::Message => Some(self.codecs.lend_inflater_regardless()),
                _ if inflation.come < WAITING_BYTES => None,
                _ => self.codecs.lend_inflater(),
            };
            if lent.is_none() {
                inflation.waiting.extend_from_slice(piece);
                return Ok(());
            }
            inflation.inflater = lent;
            self.begin(inflation, &[])?;
            let waiting = std::mem::take(&mut inflation.waiting);
            self.inflate_by_steps(inflation, &waiting, payload, config)?;
        }
        self.inflate_by_steps(inflation, piece, payload, config)?;
        if end != PieceEnd::Open {
            check_ratio(payload, inflation, config)?;
        }
        if end == PieceEnd::Message {
            self.finish(inflation, payload, config)?;
        }
        Ok(())
    }

    /// The end of a message (RFC 7692, section 7.2.2).
    fn finish(
        &mut self,
        inflation: &mut Inflation,
        payload: &mut Payload,
        config: &Config,
    ) -> Result<(), Error> {
        self.inflate(inflation, &TAIL, payload, config)?;
        if !inflation.is_at_end {
            // The tail is the end of an empty block, so a whole stream now stands between two blocks. One that was
            // cut off stands elsewhere.
            let Some(inflater) = &mut inflation.inflater else { return Ok(()) };
            let mut made = 0;
            let ended = inflater.inflate(&END, |chunk| {
                made += chunk.len();
                Ok::<(), Error>(())
            })?;
            if ended != (END.len(), Stop::Final) || made > 0 {
                return Err(ProtocolError::DeflateStream.into());
            }
        }
        inflation.inflater = None;
        self.window.push(payload.as_bytes());
        Ok(())
    }

    /// Begins a stream that may refer to the window and what the message has inflated to so far.
    fn begin(&self, inflation: &mut Inflation, so_far: &[u8]) -> Result<(), Error> {
        let Some(inflater) = &mut inflation.inflater else { return Ok(()) };
        let window = self.window.as_bytes();
        let from_window = window.len().min(WindowBits::MAX.bytes().saturating_sub(so_far.len()));
        let begun = match (so_far.len(), from_window) {
            (0, _) => inflater.begin(window),
            (_, 0) => inflater.begin(so_far),
            _ => inflater.begin(&[&window[window.len() - from_window..], so_far].concat()),
        };
        if begun { Ok(()) } else { Err(ProtocolError::DeflateStream.into()) }
    }

    /// Inflates what has come; in steps if there is something to look at after each.
    fn inflate_by_steps(
        &self,
        inflation: &mut Inflation,
        mut input: &[u8],
        payload: &mut Payload,
        config: &Config,
    ) -> Result<(), Error> {
        while ratio_max(config).is_some() {
            let missing = (RATIO_STEP_BYTES - inflation.inflated % RATIO_STEP_BYTES) as usize;
            let Some((step, rest)) = input.split_at_checked(missing) else { break };
            self.inflate(inflation, step, payload, config)?;
            inflation.inflated += missing as u64;
            check_ratio(payload, inflation, config)?;
            input = rest;
        }
        self.inflate(inflation, input, payload, config)?;
        inflation.inflated += input.len() as u64;
        Ok(())
    }

    fn inflate(
        &self,
        inflation: &mut Inflation,
        mut input: &[u8],
        payload: &mut Payload,
        config: &Config,
    ) -> Result<(), Error> {
        while !input.is_empty() {
            if std::mem::take(&mut inflation.is_at_end) {
                let so_far = payload.end(WindowBits::MAX.bytes());
                self.begin(inflation, &so_far)?;
            }
            let Some(inflater) = &mut inflation.inflater else { return Ok(()) };
            let (used, stop) = inflater.inflate(input, |chunk| take(chunk, payload, config))?;
            input = &input[used..];
            match stop {
                Stop::Used => {}
                // Section 7.2.3.4: more blocks may follow, and refer to what was before.
                Stop::Final => {
                    inflation.is_at_end = true;
                    inflation.final_blocks += 1;
                    let max = FINAL_BLOCKS_FREE + payload.len() as u64 / FINAL_BLOCK_BYTES;
                    if inflation.final_blocks > max {
                        return Err(LimitError::FinalBlocks { max }.into());
                    }
                }
                Stop::Corrupt => return Err(ProtocolError::DeflateStream.into()),
            }
        }
        Ok(())
    }
}

/// Adds a chunk to the message, up to its limit.
fn take(chunk: &[u8], payload: &mut Payload, config: &Config) -> Result<(), Error> {
    let max = config.message_bytes_max;
    let room = max.saturating_sub(payload.len() as u64);
    let within = usize::try_from(room).map_or(chunk.len(), |room| room.min(chunk.len()));
    // What is within the limit comes first, so that which rule is broken does not depend on where a chunk ends.
    payload.push(&chunk[..within]).map_err(|InvalidUtf8| ProtocolError::TextUtf8)?;
    if within < chunk.len() {
        return Err(LimitError::MessageBytes { seen: max + 1, max }.into());
    }
    Ok(())
}

fn ratio_max(config: &Config) -> Option<u32> {
    config.compression.and_then(|compression| compression.ratio_max)
}

fn check_ratio(payload: &Payload, inflation: &Inflation, config: &Config) -> Result<(), LimitError> {
    let (seen, wire) = (payload.len() as u64, inflation.inflated);
    match ratio_max(config) {
        Some(max) if seen > RATIO_FREE_BYTES && seen > wire.saturating_mul(max.into()) => {
            Err(LimitError::InflateRatio { seen, wire, max })
        }
        _ => Ok(()),
    }
}

/// What ends with a piece of a compressed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceEnd {
    /// Nothing: more of the frame comes.
    Open,
    /// The frame.
    Frame,
    /// The frame, and with it the message.
    Message,
}

impl Inflation {
    /// How many bytes it holds, with a decompressor if it has one.
    pub(crate) fn held_bytes(&self) -> usize {
        let inflater = if self.inflater.is_some() { super::inflater::INFLATER_BYTES } else { 0 };
        self.waiting.len() + inflater
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.waiting.capacity()
    }
}

impl fmt::Debug for Receiving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").field("window_bytes", &self.window.as_bytes().len()).finish()
    }
}
