//! Frames gathered outside the outbox's lock.

use crate::frame::{self, OpCode};
use crate::message::MessageRef;
use crate::side::Side;

/// Frames of a server that one thread gathers while it works through one read, without taking the lock of the
/// [`Outbox`](crate::Outbox) for each.
///
/// What is corked comes before whatever waits in the outbox; [`Outbox::prepend`](crate::Outbox::prepend) joins
/// them. A cork knows nothing of limits and closing: use it only while the outbox is empty and open, and
/// hold it to [`outbox_bytes_max`](crate::Config::outbox_bytes_max) yourself.
#[derive(Debug, Default)]
pub struct Cork {
    bytes: Vec<u8>,
    /// How many of them are Pongs.
    pong_bytes: usize,
}

impl Cork {
    /// An empty cork.
    pub const fn new() -> Self {
        Cork { bytes: Vec::new(), pong_bytes: 0 }
    }

    /// Adds a message.
    #[inline]
    pub fn send(&mut self, message: MessageRef<'_>) {
        super::push_frame(&mut self.bytes, super::opcode(message), message.as_bytes(), None);
    }

    /// Adds a Pong; false, and nothing is added, if Pongs would then take more than `pong_bytes_max` here (see
    /// [`Config::pong_bytes_max`](crate::Config::pong_bytes_max)): the outbox knows what to do with it.
    #[must_use]
    pub fn pong(&mut self, payload: &[u8], pong_bytes_max: usize) -> bool {
        let pong_bytes = self.pong_bytes + frame::frame_length(payload.len(), Side::Server);
        if self.pong_bytes != 0 && pong_bytes > pong_bytes_max {
            return false;
        }
        self.pong_bytes = pong_bytes;
        super::push_frame(&mut self.bytes, OpCode::Pong, payload, None);
        true
    }

    /// The bytes, ready to be written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes are corked.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How many of them are Pongs.
    pub(super) fn pong_bytes(&self) -> usize {
        self.pong_bytes
    }

    /// Whether nothing is corked.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets the bytes and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.pong_bytes = 0;
    }

    /// Gives back memory beyond `room_max` bytes.
    pub fn shrink(&mut self, room_max: usize) {
        self.bytes.shrink_to(room_max);
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        self.pong_bytes = 0;
        std::mem::take(&mut self.bytes)
    }
}
