//! Everything that goes out: frames are made here, wait here, and leave in one go.
//!
//! ```text
//! application: send, ping, close ─┐        (messages through extension/deflate/sending, if that is agreed on)
//! Connection:  pong, ping, close ─┴─► Outbox ──► io_slices ──► the driver writes ──► advance
//!                                       ▲
//! Cork: frames gathered outside a lock ─┘ (prepend)
//! ```
//!
//! The outbox is a value of its own, apart from [`Connection`](crate::Connection), because in a real program
//! several threads send: put it behind a lock, next to the driver's waker.

mod cork;
mod framed;
mod queue;

use std::fmt;
use std::io::IoSlice;
use std::sync::Arc;

pub use cork::Cork;
pub use framed::{Framed, FramedKind};

use crate::close::{Close, Initiator};
use crate::config::Config;
use crate::extension::RSV1;
use crate::extension::deflate::{Codecs, Deflate, Sending};
use crate::frame::{self, CONTROL_PAYLOAD_MAX, OpCode};
use crate::mask::{MaskKey, MaskKeys, Seed};
use crate::message::{Message, MessageRef};
use crate::side::Side;
use queue::Queue;

/// From this many bytes on, a server sends the payload of an owned message by reference instead of copying it.
///
/// Below it the copy is cheaper than one more slice in the vectored write.
pub const BY_REFERENCE_BYTES_MIN: usize = 16 * 1024;
/// The same for what is framed for many: there a copy costs memory in each connection that reads slowly, too.
const FRAMED_BY_REFERENCE_BYTES_MIN: usize = 512;

/// What a [`Connection`](crate::Connection) has to say while it reads, and when a timer fires.
///
/// [`Outbox`] implements it. A driver that keeps its outbox behind a lock implements it over the lock.
pub trait Replies {
    /// Answer a Ping with this payload (RFC 6455, section 5.5.3).
    fn pong(&mut self, payload: &[u8]);
    /// Ask for a sign of life.
    fn ping(&mut self, payload: &[u8]);
    /// Send a Close, unless one was sent already. `first` tells who began.
    fn close(&mut self, close: Close, first: Initiator);
    /// Whether a message was queued since this was asked before. Asked rarely, and only if there is an
    /// [`idle_timeout`](Config::idle_timeout). What is corked need not count: it answers a message that came.
    fn take_message_sent(&mut self) -> bool;
}

/// The frames that wait to be sent, bounded, and the sending half of the close handshake.
#[repr(C)]
pub struct Outbox {
    /// See [`Replies::take_message_sent`]. First, since all that is written past this outbox changes it and nothing else.
    message_sent: bool,
    queue: Queue,
    config: Arc<Config>,
    /// What is done to payloads on their way into frames; for most connections of a server nothing.
    coding: Option<Box<Coding>>,
    sent_close: Option<Box<(Close, Initiator)>>,
    /// Exists while Pongs wait.
    pongs: Option<Box<Pongs>>,
}

/// What is done to payloads on their way into frames.
#[derive(Default)]
struct Coding {
    /// `Some` on the client side only. A generator is large, and a server has none.
    mask_keys: Option<Box<MaskKeys>>,
    /// If the handshake agreed on it (RFC 7692).
    sending: Option<Sending>,
}

/// What waits of Pongs.
#[derive(Default)]
struct Pongs {
    /// Bytes of Pongs queued since a moment when none waited.
    bytes: usize,
    /// How many bytes have to leave until the last of them has.
    ahead: usize,
    /// The payload of the latest Ping that found no room; answered when the last of them has left.
    postponed: Option<Box<[u8]>>,
}

/// Why the outbox did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It does not fit [`outbox_bytes_max`](Config::outbox_bytes_max) now.
    Full,
    /// A Close was sent: no data may follow (RFC 6455, section 5.5.1).
    Closed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Full => "too much is waiting to be sent (outbox_bytes_max)",
            Refused::Closed => "the connection is closing or closed",
        })
    }
}

impl std::error::Error for Refused {}

impl Outbox {
    /// The outbox of a server's connection: it does not mask.
    pub fn server(config: Arc<Config>) -> Self {
        Outbox {
            queue: Queue::default(),
            config,
            coding: None,
            sent_close: None,
            pongs: None,
            message_sent: false,
        }
    }

    /// The outbox of a client's connection; its masking keys grow from `seed`.
    pub fn client(config: Arc<Config>, seed: Seed) -> Self {
        let coding = Coding { mask_keys: Some(Box::new(MaskKeys::new(seed))), sending: None };
        Outbox { coding: Some(Box::new(coding)), ..Outbox::server(config) }
    }

    /// The same outbox, compressing as the handshake has agreed; `codecs` are lent for the time of a message. How hard
    /// it tries, and from which size on, stands in [`Config::compression`]; with `None` there it does not try.
    #[must_use]
    pub fn with_deflate(mut self, deflate: &Deflate, codecs: Arc<Codecs>) -> Self {
        self.coding.get_or_insert_default().sending = Some(Sending::new(deflate, codecs));
        self
    }

    /// New limits; see [`Connection::set_config`](crate::Connection::set_config). What waits already stays.
    pub fn set_config(&mut self, config: Arc<Config>) {
        self.config = config;
    }

    fn side(&self) -> Side {
        let is_client = self.coding.as_deref().is_some_and(|coding| coding.mask_keys.is_some());
        if is_client { Side::Client } else { Side::Server }
    }

    /// Queues a message, copying its payload.
    ///
    /// # Errors
    /// [`Refused::Full`] if it does not fit and something else is waiting; [`Refused::Closed`] after a Close.
    pub fn send(&mut self, message: MessageRef<'_>) -> Result<(), Refused> {
        self.admit(message.as_bytes().len())?;
        self.push_message(message);
        Ok(())
    }

    /// Queues a message that is not to be compressed, whatever was agreed: one with a secret next to text that somebody
    /// else chooses (see [`Compression`](crate::Compression)).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_uncompressed(&mut self, message: MessageRef<'_>) -> Result<(), Refused> {
        self.admit(message.as_bytes().len())?;
        self.send_uncompressed_regardless(message);
        Ok(())
    }

    /// The same without asking for room, as [`send_regardless`](Self::send_regardless).
    pub fn send_uncompressed_regardless(&mut self, message: MessageRef<'_>) {
        if self.sent_close.is_none() {
            self.message_sent = true;
            self.push_copied(opcode(message), message.as_bytes());
        }
    }

    /// Queues a message without asking for room: for a sender that was promised some before. After a Close it does
    /// nothing.
    pub fn send_regardless(&mut self, message: MessageRef<'_>) {
        if self.sent_close.is_none() {
            self.push_message(message);
        }
    }

    /// Queues a message that owns its payload: a large one goes out by reference (on the server side; a client has
    /// to mask, and so to copy).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_owned(&mut self, message: &Message) -> Result<(), Refused> {
        let payload = message.as_bytes();
        if payload.len() < BY_REFERENCE_BYTES_MIN || self.coding.is_some() {
            return self.send(message.as_ref());
        }
        self.admit(payload.len())?;
        self.message_sent = true;
        let length = payload.len();
        self.queue.write(|out| frame::encode_header(out, opcode(message.as_ref()), length, None));
        self.queue.push_shared(message.shared_bytes());
        Ok(())
    }

    /// Queues what was framed for many connections: from 512 bytes on by reference. For a server's outbox only.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_framed(&mut self, framed: &Framed) -> Result<(), Refused> {
        debug_assert_eq!(self.side(), Side::Server, "a client masks each frame with a key of its own");
        self.admit_frame(framed.len())?;
        self.message_sent = true;
        self.take_note_of(framed);
        if framed.len() < FRAMED_BY_REFERENCE_BYTES_MIN {
            self.queue.write(|out| out.extend_from_slice(framed.as_bytes()));
        } else {
            self.queue.push_shared_with_others(framed.shared_bytes());
        }
        Ok(())
    }

    /// A message went to the carrier without a stay in this outbox, which was empty: `written` bytes of it did. The rest
    /// is queued.
    pub fn sent_past(&mut self, framed: &Framed, written: usize) {
        debug_assert!(self.is_empty() && self.sent_close.is_none(), "others are first");
        self.message_sent = true;
        self.take_note_of(framed);
        if written < framed.len() {
            self.queue.push_shared_with_others(framed.shared_bytes());
            self.queue.advance(written);
        }
    }

    /// A message of the application's was corked, or went to the carrier from the cork: see
    /// [`Replies::take_message_sent`].
    pub fn note_message_sent(&mut self) {
        self.message_sent = true;
    }

    /// In which form this connection is sent what was framed for many.
    #[inline]
    pub fn framed_kind(&self) -> FramedKind {
        match self.coding.as_deref() {
            None => FramedKind::PLAIN,
            Some(coding) => match (&coding.sending, self.config.compression) {
                (Some(sending), Some(compression)) => {
                    FramedKind::compressed(sending.window_bits(), compression)
                }
                _ => FramedKind::PLAIN,
            },
        }
    }

    /// What was compressed for many went through the peer's window, and not through ours.
    #[inline]
    fn take_note_of(&mut self, framed: &Framed) {
        if framed.is_compressed()
            && let Some(Coding { sending: Some(sending), .. }) = self.coding.as_deref_mut()
        {
            sending.sent_for_many();
        }
    }

    fn admit(&self, payload_length: usize) -> Result<(), Refused> {
        self.admit_frame(frame::frame_length(payload_length, self.side()))
    }

    fn admit_frame(&self, more: usize) -> Result<(), Refused> {
        if self.sent_close.is_some() {
            return Err(Refused::Closed);
        }
        let waiting = self.queue.len();
        if waiting != 0 && waiting.saturating_add(more) > self.config.outbox_bytes_max {
            return Err(Refused::Full);
        }
        Ok(())
    }

    fn push_copied(&mut self, opcode: OpCode, payload: &[u8]) {
        let mask = next_mask_key(&mut self.coding);
        self.queue.write(|out| push_frame(out, opcode, payload, mask));
    }

    /// Queues a message, compressed if that is agreed on and pays.
    #[inline]
    fn push_message(&mut self, message: MessageRef<'_>) {
        self.message_sent = true;
        if self.coding.is_none() || !self.push_compressed(message) {
            self.push_copied(opcode(message), message.as_bytes());
        }
    }

    /// Queues a message compressed; false if it is to go as it is.
    fn push_compressed(&mut self, message: MessageRef<'_>) -> bool {
        let Outbox { queue, config, coding, .. } = self;
        let Some(Coding { mask_keys, sending: Some(sending) }) = coding.as_deref_mut() else { return false };
        let Some(compression) = &config.compression else { return false };
        sending.compress(compression, message.as_bytes(), |compressed| {
            let mask = mask_keys.as_mut().map(|keys| keys.next_key());
            queue.write(|out| push_compressed_frame(out, opcode(message), compressed, mask));
        })
    }

    /// Puts what was corked in front of everything that waits; `read` is the buffer that was read into. What was corked
    /// is then empty.
    ///
    /// Only while nothing of what waits has left in part, or a frame would be torn.
    pub fn prepend(&mut self, corked: &mut Cork, read: &[u8]) {
        self.prepend_rest(corked, read, 0);
    }

    /// Puts the rest of what was corked, of which `sent` bytes are with the kernel already, in front.
    pub fn prepend_rest(&mut self, corked: &mut Cork, read: &[u8], sent: usize) {
        // Of the Pongs some may have left; counting them all is the safe side.
        let pong_bytes = corked.pong_bytes();
        let postponed = corked.take_postponed();
        self.put_in_front(corked.take_rest(read, sent), pong_bytes);
        if let Some(payload) = postponed {
            self.pong(&payload);
        }
    }

    fn put_in_front(&mut self, bytes: Vec<u8>, pong_bytes: usize) {
        if pong_bytes > 0 && !bytes.is_empty() {
            self.pongs.get_or_insert_default().bytes += pong_bytes;
        }
        if let Some(pongs) = &mut self.pongs {
            pongs.ahead += bytes.len();
        }
        self.queue.prepend(bytes);
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// How many of the bytes that wait are this outbox's own: all but those of [`Framed`] messages that wait by
    /// reference, of which there is one copy for all who have yet to send it.
    pub fn own_len(&self) -> usize {
        self.queue.len() - self.queue.shared_with_others()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.len() == 0
    }

    /// Fills `slices` with the bytes that wait, in order, and returns how many slices it used.
    ///
    /// Write them with one vectored write, then tell [`advance`](Self::advance) how much the kernel took.
    pub fn io_slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.queue.io_slices(slices)
    }

    /// Forgets the first `count` bytes: they are sent.
    pub fn advance(&mut self, count: usize) {
        self.advance_and_give_back(count);
    }

    /// Gives an empty outbox a buffer to begin with. A driver that has many of them need not ask the allocator each time,
    /// nor for more as one grows.
    #[inline]
    pub fn lend(&mut self, room: Vec<u8>) {
        debug_assert!(room.is_empty(), "it is for what is sent next");
        self.queue.lend(room);
    }

    /// The same as [`advance`](Self::advance). When everything has left, gives back the buffer that the outbox began with,
    /// lent or not, empty; otherwise it is one without room. An empty outbox owns no memory.
    pub fn advance_and_give_back(&mut self, count: usize) -> Vec<u8> {
        let room = self.queue.advance(count);
        // Not only when the outbox is empty: with an application that always has more to say it never is, and the
        // peer would take us for dead.
        if let Some(pongs) = &mut self.pongs {
            pongs.ahead = pongs.ahead.saturating_sub(count);
            if pongs.ahead == 0
                && let Some(payload) = self.pongs.take().and_then(|pongs| pongs.postponed)
            {
                self.pong(&payload);
            }
        }
        room
    }

    /// Frees the room that what waits does not need. For a driver whose carrier takes nothing at the moment: with what
    /// leaves it is done by itself.
    pub fn tighten(&mut self) {
        self.queue.tighten();
    }

    /// Takes everything that waits, as one run of bytes: for tests and for carriers that want it so.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        while !self.is_empty() {
            let mut slices = [IoSlice::new(&[]); 16];
            let used = self.io_slices(&mut slices);
            let count = slices[..used].iter().map(|slice| slice.len()).sum();
            slices[..used].iter().for_each(|slice| bytes.extend_from_slice(slice));
            self.advance(count);
        }
        bytes
    }

    /// Forgets everything that waits: nobody will take it.
    pub fn discard(&mut self) {
        self.queue = Queue::default();
        self.pongs = None;
    }

    /// Whether it holds no memory for what waits.
    #[cfg(test)]
    pub(crate) fn owns_nothing(&self) -> bool {
        self.queue.owns_nothing() && self.pongs.is_none()
    }

    /// The Close that was sent (or waits as the last frame), and who was first to close.
    pub fn sent_close(&self) -> Option<&(Close, Initiator)> {
        self.sent_close.as_deref()
    }
}

impl Replies for Outbox {
    fn pong(&mut self, payload: &[u8]) {
        if self.sent_close.is_some() {
            return;
        }
        let more = frame::frame_length(payload.len(), self.side());
        let pongs = self.pongs.get_or_insert_default();
        if pongs.bytes != 0 && pongs.bytes + more > self.config.pong_bytes_max {
            pongs.postponed = Some(payload.into());
            return;
        }
        pongs.bytes += more;
        pongs.ahead = self.queue.len() + more;
        self.push_copied(OpCode::Pong, payload);
    }

    fn ping(&mut self, payload: &[u8]) {
        if self.sent_close.is_none() {
            self.push_copied(OpCode::Ping, &payload[..payload.len().min(CONTROL_PAYLOAD_MAX)]);
        }
    }

    fn close(&mut self, close: Close, first: Initiator) {
        if self.sent_close.is_none() {
            self.push_copied(OpCode::Close, &close.encode());
            self.sent_close = Some(Box::new((close, first)));
        }
    }

    fn take_message_sent(&mut self) -> bool {
        std::mem::take(&mut self.message_sent)
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("len", &self.len()).field("sent_close", &self.sent_close).finish()
    }
}

fn opcode(message: MessageRef<'_>) -> OpCode {
    match message {
        MessageRef::Text(_) => OpCode::Text,
        MessageRef::Binary(_) => OpCode::Binary,
    }
}

fn next_mask_key(coding: &mut Option<Box<Coding>>) -> Option<MaskKey> {
    coding.as_deref_mut()?.mask_keys.as_mut().map(|keys| keys.next_key())
}

/// Appends a whole frame whose payload is compressed (RFC 7692, section 6: RSV1 is set).
fn push_compressed_frame(out: &mut Vec<u8>, opcode: OpCode, compressed: &[u8], mask: Option<MaskKey>) {
    let start = out.len();
    push_frame(out, opcode, compressed, mask);
    out[start] |= RSV1 << 4;
}

/// Appends a whole frame.
#[inline]
fn push_frame(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8], mask: Option<MaskKey>) {
    out.reserve(frame::HEADER_BYTES_MAX + payload.len());
    frame::encode_header(out, opcode, payload.len(), mask);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(mask) = mask {
        crate::mask::apply(&mut out[start..], mask);
    }
}
