//! From bytes to messages (RFC 6455, sections 5 and 8.1).
//!
//! A message that lies whole in the caller's buffer is unmasked there and borrowed from there. Everything else is
//! copied once: a header or a control frame that is cut off waits in `cut`, a message that is cut off or
//! fragmented grows in `payload`, checked and unmasked as it comes.

use std::ops::Range;

use super::{Connection, Ending, Rare, Timer};
use crate::close::Close;
use crate::error::{Error, LimitError, ProtocolError};
use crate::extension::deflate::{Inflation, PieceEnd};
use crate::frame::{CONTROL_PAYLOAD_MAX, HEADER_BYTES_MAX, Header, OpCode};
use crate::mask::{self, MaskKey};
use crate::message::MessageRef;
use crate::outbox::Replies;
use crate::payload::Payload;
use crate::time::Time;
use crate::utf8::InvalidUtf8;

/// What the peer did.
#[derive(Debug, PartialEq)]
pub enum Event<'a> {
    /// A whole message came.
    Message(MessageRef<'a>),
    /// A Ping came, and its Pong is in the replies.
    Ping(&'a [u8]),
    /// A Pong came, asked for or not.
    Pong(&'a [u8]),
    /// A Close came, and was answered unless this end had closed first. Nothing comes after it.
    Close(Close),
    /// This end gives the connection up; the peer is told why. Nothing comes after it.
    Failed(Error),
}

/// What has come of frames and messages that are not complete. Exists only while something is.
#[derive(Default)]
pub(super) struct Unfinished {
    /// The start of a frame: a cut header, or a control frame whose payload is cut.
    cut: Vec<u8>,
    frame: Option<OpenFrame>,
    message: Option<OpenMessage>,
    /// What the last event borrowed from here, and nobody needs any more.
    delivered: Option<Kept>,
}

impl Unfinished {
    pub(super) fn buffered_bytes(&self) -> usize {
        self.cut.len() + self.message.as_ref().map_or(0, OpenMessage::held_bytes)
    }

    /// Whether some of a message has come.
    pub(super) fn has_message(&self) -> bool {
        self.message.is_some()
    }

    /// The memory that holds them.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        let message = self.message.as_ref().map_or(0, |message| {
            message.payload.capacity() + message.inflation.as_deref().map_or(0, Inflation::capacity)
        });
        self.cut.capacity() + message
    }

    /// How many bytes were looked at so far to check that the open message is text.
    #[cfg(test)]
    pub(super) fn checked_bytes(&self) -> usize {
        match &self.message {
            Some(OpenMessage { payload: Payload::Text(text), .. }) => text.checked_bytes(),
            _ => 0,
        }
    }
}

/// A data frame whose header has come.
struct OpenFrame {
    fin: bool,
    mask: MaskKey,
    remaining: u64,
}

/// A message some of which has come.
struct OpenMessage {
    payload: Payload,
    /// The bytes it has taken on the wire, with the rest of the open frame.
    wire_bytes: u64,
    /// If it is compressed (RFC 7692).
    inflation: Option<Box<Inflation>>,
}

impl OpenMessage {
    fn new(payload: Payload, header: &Header) -> Self {
        OpenMessage { payload, wire_bytes: 0, inflation: header.compressed.then(Box::default) }
    }

    fn held_bytes(&self) -> usize {
        self.payload.len() + self.inflation.as_deref().map_or(0, Inflation::held_bytes)
    }
}

impl std::fmt::Debug for Unfinished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unfinished")
            .field("cut_bytes", &self.cut.len())
            .field("frame_bytes_remaining", &self.frame.as_ref().map(|frame| frame.remaining))
            .field("message_bytes", &self.message.as_ref().map(|message| message.payload.len()))
            .finish()
    }
}

/// Bytes that were handed over, on their way to become events.
#[derive(Debug)]
pub struct Received<'a> {
    connection: &'a mut Connection,
    bytes: &'a mut [u8],
    position: usize,
    now: Time,
    /// A whole message of fewer bytes than this is an event without a further look; see
    /// [`quick_bound`](Connection::quick_bound).
    quick_bound: u64,
}

/// What an event borrowed from the connection.
#[derive(Clone, Copy, Debug)]
enum Kept {
    Message,
    Cut,
}

/// Where the next event lies. Free of borrows, so that the search for it can loop.
enum Found {
    /// A whole message in the caller's buffer, still masked.
    Message { opcode: OpCode, payload: Range<usize>, mask: MaskKey },
    /// The open message is complete.
    Assembled,
    /// A control frame in the caller's buffer, unmasked.
    Control { opcode: OpCode, payload: Range<usize> },
    /// A control frame in `cut`, unmasked.
    CutControl { opcode: OpCode, payload: Range<usize> },
    /// All bytes are used up.
    Nothing,
}

impl<'a> Received<'a> {
    pub(super) fn new(connection: &'a mut Connection, bytes: &'a mut [u8], now: Time) -> Self {
        let quick_bound = connection.quick_bound();
        Received { connection, bytes, position: 0, now, quick_bound }
    }

    /// The next event, or `None` when the bytes are used up or do not count any more.
    ///
    /// Replies to control frames are written before the event that tells of them is returned, so that answers
    /// stand in the order of what they answer.
    #[inline]
    pub fn next(&mut self, replies: &mut impl Replies) -> Option<Event<'_>> {
        // Small enough to become part of the caller's loop. Bench: 100 × 32 × 16 bytes.
        match self.find_quickly() {
            Some((opcode, payload, mask)) => self.message(opcode, payload, mask, replies),
            None => self.next_slowly(replies),
        }
    }

    /// A whole message in the caller's buffer, if that is what comes next and its header is a common one: the short way
    /// of what [`next_slowly`](Self::next_slowly) finds.
    #[inline]
    fn find_quickly(&mut self) -> Option<(OpCode, Range<usize>, MaskKey)> {
        let rest = self.bytes.get(self.position..)?;
        let header = Header::decode_common(rest, self.connection.side)?;
        if header.payload_length >= self.quick_bound
            || header.payload_length > (rest.len() - header.length) as u64
        {
            return None;
        }
        let start = self.position + header.length;
        self.position = start + header.payload_length as usize;
        Some((header.opcode, start..self.position, header.mask))
    }

    /// Unmasks and checks a whole message.
    #[inline(always)]
    fn message(
        &mut self,
        opcode: OpCode,
        payload: Range<usize>,
        mask: MaskKey,
        replies: &mut impl Replies,
    ) -> Option<Event<'_>> {
        let unmasked = mask::unmask(&mut self.bytes[payload], mask);
        if opcode == OpCode::Binary {
            return Some(Event::Message(MessageRef::Binary(unmasked.bytes())));
        }
        match unmasked.ascii().map_or_else(|| simdutf8::basic::from_utf8(unmasked.bytes()), Ok) {
            Ok(text) => Some(Event::Message(MessageRef::Text(text))),
            Err(_) => {
                self.quick_bound = 0;
                self.connection.fail(ProtocolError::TextUtf8.into(), self.now, replies).map(Event::Failed)
            }
        }
    }

    /// Whatever comes next.
    #[inline(never)]
    fn next_slowly(&mut self, replies: &mut impl Replies) -> Option<Event<'_>> {
        self.quick_bound = 0;
        self.connection.forget_delivered();
        if !self.connection.wants_input() {
            return None;
        }
        let found = match self.connection.find(self.bytes, &mut self.position) {
            Ok(found) => found,
            Err(error) => return self.connection.fail(error, self.now, replies).map(Event::Failed),
        };
        if let Found::Message { .. } | Found::Assembled = found
            && let Err(error) = self.connection.count_message(self.now)
        {
            return self.connection.fail(error.into(), self.now, replies).map(Event::Failed);
        }
        match found {
            Found::Message { opcode, payload, mask } => {
                // Nothing is open now, whatever was.
                self.quick_bound = self.connection.quick_bound();
                self.message(opcode, payload, mask, replies)
            }
            Found::Nothing => {
                self.connection.time_message(self.now);
                None
            }
            found => self.rare(found, replies),
        }
    }

    /// Takes no more events; what is left of the bytes, as they came. Hand them over again, before those that come next.
    ///
    /// For a driver whose application has no room for more messages.
    pub fn stop(self) -> &'a [u8] {
        self.connection.forget_delivered();
        &self.bytes[self.position..]
    }

    /// The events that are not a whole message in one piece.
    fn rare(&mut self, found: Found, replies: &mut impl Replies) -> Option<Event<'_>> {
        let (opcode, kept, payload) = match found {
            Found::Control { opcode, payload } => (opcode, None, payload),
            Found::CutControl { opcode, payload } => (opcode, Some(Kept::Cut), payload),
            Found::Assembled => {
                let unfinished = self.connection.unfinished.as_deref_mut()?;
                unfinished.delivered = Some(Kept::Message);
                return Some(Event::Message(unfinished.message.as_ref()?.payload.as_message()));
            }
            Found::Message { .. } | Found::Nothing => return None,
        };
        if opcode == OpCode::Close {
            let payload = match kept {
                None => &self.bytes[payload],
                Some(_) => &self.connection.unfinished.as_deref()?.cut[payload],
            };
            let close = Close::decode(payload);
            return self.close(close, replies);
        }
        let payload = match kept {
            None => &self.bytes[payload],
            Some(_) => {
                let unfinished = self.connection.unfinished.as_deref_mut()?;
                unfinished.delivered = kept;
                &unfinished.cut[payload]
            }
        };
        if opcode == OpCode::Pong {
            return Some(Event::Pong(payload));
        }
        replies.pong(payload);
        Some(Event::Ping(payload))
    }

    fn close(
        &mut self,
        close: Result<Close, ProtocolError>,
        replies: &mut impl Replies,
    ) -> Option<Event<'static>> {
        match close {
            Ok(close) => {
                self.connection.close_received(close.clone(), self.now, replies);
                Some(Event::Close(close))
            }
            Err(error) => self.connection.fail(error.into(), self.now, replies).map(Event::Failed),
        }
    }
}

impl Connection {
    /// Up to which length (exclusive) a message that lies whole in the caller's buffer needs no look at the connection: 0
    /// while something is open, messages are counted, or nothing is wanted any more. Stays as long as only such messages
    /// come.
    #[inline]
    fn quick_bound(&self) -> u64 {
        let is_plain = self.unfinished.is_none()
            && self.wants_input()
            && self.rare.as_deref().is_none_or(|rare| rare.bounds.is_none());
        if !is_plain {
            return 0;
        }
        let on_the_wire = self.config.message_wire_bytes_max.saturating_sub(HEADER_BYTES_MAX as u64);
        self.config.message_bytes_max.min(on_the_wire).saturating_add(1)
    }

    /// Looks for the next event in `bytes` from `position` on, and moves `position` behind what it used.
    #[inline]
    fn find(&mut self, bytes: &mut [u8], position: &mut usize) -> Result<Found, Error> {
        if self.unfinished.is_none() {
            // The hot path: nothing is open, and a whole frame may lie in the buffer.
            let rest = &mut bytes[*position..];
            if rest.is_empty() {
                return Ok(Found::Nothing);
            }
            if let Some(header) =
                Header::decode(rest, self.side, self.extensions, self.config.non_minimal_lengths)?
                && header.fin
                && !header.compressed
                && let OpCode::Text | OpCode::Binary = header.opcode
                && header.payload_length <= (rest.len() - header.length) as u64
                && header.payload_length <= self.config.message_bytes_max
                && header.payload_length + header.length as u64 <= self.config.message_wire_bytes_max
            {
                let payload_length = header.payload_length as usize;
                let start = *position + header.length;
                *position = start + payload_length;
                let payload = start..start + payload_length;
                return Ok(Found::Message { opcode: header.opcode, payload, mask: header.mask });
            }
        }
        self.find_slowly(bytes, position)
    }

    /// The same for everything: fragments, control frames, frames that are cut.
    fn find_slowly(&mut self, bytes: &mut [u8], position: &mut usize) -> Result<Found, Error> {
        loop {
            if *position == bytes.len() && self.open_frame_remaining() != Some(0) {
                return Ok(Found::Nothing);
            }
            if self.open_frame_remaining().is_some() {
                if self.continue_frame(bytes, position)? {
                    return Ok(Found::Assembled);
                }
                continue;
            }
            let cut_before = self.unfinished.as_deref().map_or(0, |unfinished| unfinished.cut.len());
            let header = if cut_before == 0 {
                let header = self.decode_header(&bytes[*position..])?;
                match header {
                    Some(header) if header.opcode.is_control() => {
                        let start = *position + header.length;
                        let end = start + header.payload_length as usize;
                        if end <= bytes.len() {
                            mask::apply(&mut bytes[start..end], header.mask);
                            *position = end;
                            return Ok(Found::Control { opcode: header.opcode, payload: start..end });
                        }
                        self.cut(&bytes[*position..]);
                        *position = bytes.len();
                        return Ok(Found::Nothing);
                    }
                    Some(header) => {
                        *position += header.length;
                        header
                    }
                    None => {
                        self.cut(&bytes[*position..]);
                        *position = bytes.len();
                        return Ok(Found::Nothing);
                    }
                }
            } else {
                match self.complete_cut(bytes, position)? {
                    Completed::Header(header) => header,
                    Completed::Control(found) => return Ok(found),
                    Completed::NotYet => return Ok(Found::Nothing),
                }
            };
            self.open_frame(header)?;
        }
    }

    fn decode_header(&self, bytes: &[u8]) -> Result<Option<Header>, ProtocolError> {
        Header::decode(bytes, self.side, self.extensions, self.config.non_minimal_lengths)
    }

    fn open_frame_remaining(&self) -> Option<u64> {
        Some(self.unfinished.as_deref()?.frame.as_ref()?.remaining)
    }

    fn unfinished(&mut self) -> &mut Unfinished {
        self.unfinished.get_or_insert_default()
    }

    /// Keeps the start of a frame whose rest has not come.
    fn cut(&mut self, bytes: &[u8]) {
        self.unfinished().cut.extend_from_slice(bytes);
    }

    /// Adds bytes to a cut frame, one by one for its header (at most 14), then what is missing of a control frame.
    fn complete_cut(&mut self, bytes: &[u8], position: &mut usize) -> Result<Completed, Error> {
        let mut cut = std::mem::take(&mut self.unfinished().cut);
        debug_assert!(cut.len() < HEADER_BYTES_MAX + CONTROL_PAYLOAD_MAX, "more is never cut");
        let header = loop {
            match self.decode_header(&cut)? {
                Some(header) => break header,
                None if *position == bytes.len() => {
                    self.unfinished().cut = cut;
                    return Ok(Completed::NotYet);
                }
                None => {
                    cut.push(bytes[*position]);
                    *position += 1;
                }
            }
        };
        if !header.opcode.is_control() {
            return Ok(Completed::Header(header));
        }
        let end = header.length + header.payload_length as usize;
        let missing = (end - cut.len()).min(bytes.len() - *position);
        cut.extend_from_slice(&bytes[*position..*position + missing]);
        *position += missing;
        let complete = cut.len() == end;
        if complete {
            mask::apply(&mut cut[header.length..], header.mask);
        }
        self.unfinished().cut = cut;
        Ok(if complete {
            Completed::Control(Found::CutControl { opcode: header.opcode, payload: header.length..end })
        } else {
            Completed::NotYet
        })
    }

    /// Begins a data frame: checks its place among the fragments, and the limits, before any payload counts.
    fn open_frame(&mut self, header: Header) -> Result<(), Error> {
        let message = self.unfinished().message.take();
        let mut message = match (message, header.opcode) {
            (Some(message), OpCode::Continuation) => message,
            (Some(_), _) => return Err(ProtocolError::ContinuationExpected.into()),
            (None, OpCode::Text) => OpenMessage::new(Payload::text(), &header),
            (None, OpCode::Binary) => OpenMessage::new(Payload::binary(), &header),
            (None, _) => return Err(ProtocolError::ContinuationUnexpected.into()),
        };
        // Nothing overflows: a length is below 2^63, and what has come is in memory.
        let seen = message.payload.len() as u64 + header.payload_length;
        let max = self.config.message_bytes_max;
        // What a compressed one will be is not announced: see `Receiving::push`.
        if seen > max && message.inflation.is_none() {
            return Err(LimitError::MessageBytes { seen, max }.into());
        }
        message.wire_bytes =
            message.wire_bytes.saturating_add(header.length as u64).saturating_add(header.payload_length);
        let max = self.config.message_wire_bytes_max;
        if message.wire_bytes > max {
            return Err(LimitError::MessageWireBytes { seen: message.wire_bytes, max }.into());
        }
        let unfinished = self.unfinished();
        unfinished.message = Some(message);
        unfinished.frame =
            Some(OpenFrame { fin: header.fin, mask: header.mask, remaining: header.payload_length });
        Ok(())
    }

    /// Takes what is there of the open frame's payload; true if its message is complete.
    fn continue_frame(&mut self, bytes: &mut [u8], position: &mut usize) -> Result<bool, Error> {
        let Some(Unfinished { frame: open_frame @ Some(_), message: Some(message), .. }) =
            self.unfinished.as_deref_mut()
        else {
            return Ok(false);
        };
        let Some(frame) = open_frame else { return Ok(false) };
        let there = bytes.len() - *position;
        let count = usize::try_from(frame.remaining).map_or(there, |remaining| remaining.min(there));
        let piece = mask::unmask(&mut bytes[*position..*position + count], frame.mask);
        frame.mask = mask::advance(frame.mask, count);
        frame.remaining -= count as u64;
        *position += count;
        match (&mut message.inflation, self.rare.as_deref_mut()) {
            (Some(inflation), Some(Rare { receiving: Some(receiving), .. })) => {
                let end = match (frame.remaining, frame.fin) {
                    (1.., _) => PieceEnd::Open,
                    (0, false) => PieceEnd::Frame,
                    (0, true) => PieceEnd::Message,
                };
                receiving.push(inflation, piece.bytes(), end, &mut message.payload, &self.config)?;
            }
            _ => message.payload.push_unmasked(&piece).map_err(|InvalidUtf8| ProtocolError::TextUtf8)?,
        }
        if frame.remaining > 0 {
            return Ok(false);
        }
        let fin = frame.fin;
        *open_frame = None;
        if fin {
            message.payload.finish().map_err(|InvalidUtf8| ProtocolError::TextUtf8)?;
        }
        Ok(fin)
    }

    /// Gives back the memory of what the last event had borrowed.
    #[inline]
    fn forget_delivered(&mut self) {
        let Some(unfinished) = self.unfinished.as_deref_mut() else { return };
        match unfinished.delivered.take() {
            None => return,
            Some(Kept::Message) => unfinished.message = None,
            Some(Kept::Cut) => unfinished.cut = Vec::new(),
        }
        if unfinished.cut.is_empty() && unfinished.frame.is_none() && unfinished.message.is_none() {
            self.unfinished = None;
            // What comes next in the same read, and is cut again, has a deadline of its own.
            self.timers.clear(Timer::Message);
        }
    }

    /// Holds a message that is complete to the rate of messages.
    #[inline]
    fn count_message(&mut self, now: Time) -> Result<(), LimitError> {
        let rate = self.config.message_rate;
        match self.bounds() {
            None => Ok(()),
            Some(bounds) => bounds.count_message(rate, now),
        }
    }

    /// Starts the deadline of a message that has begun and is not complete, and ends it when nothing is open.
    #[inline]
    fn time_message(&mut self, now: Time) {
        if self.unfinished.is_none() {
            self.timers.clear(Timer::Message);
        } else if let Some(timeout) = self.config.message_timeout
            && matches!(self.ending, Ending::Open)
            && !self.timers.is_set(Timer::Message)
        {
            self.timers.set(Timer::Message, now + timeout);
        }
    }
}

/// What became of a cut frame.
enum Completed {
    Header(Header),
    Control(Found),
    NotYet,
}
