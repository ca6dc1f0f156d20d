//! Frames gathered outside the outbox's lock.

use crate::frame::OpCode;
use crate::message::MessageRef;

/// Frames of a server that one thread gathers while it works through one read, without taking the lock of the
/// [`Outbox`](crate::Outbox) for each.
///
/// What is corked comes before whatever waits in the outbox; [`Outbox::prepend`](crate::Outbox::prepend) joins
/// them. A cork knows nothing of limits and closing: use it only while the outbox is empty and open, and
/// hold it to [`outbox_bytes_max`](crate::Config::outbox_bytes_max) yourself.
#[derive(Debug, Default)]
pub struct Cork {
    bytes: Vec<u8>,
}

impl Cork {
    /// An empty cork.
    pub const fn new() -> Self {
        Cork { bytes: Vec::new() }
    }

    /// Adds a message.
    #[inline]
    pub fn send(&mut self, message: MessageRef<'_>) {
        super::push_frame(&mut self.bytes, super::opcode(message), message.as_bytes(), None);
    }

    /// Adds a Pong.
    pub fn pong(&mut self, payload: &[u8]) {
        super::push_frame(&mut self.bytes, OpCode::Pong, payload, None);
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

    /// Whether nothing is corked.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets the bytes and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Gives back memory beyond `room_max` bytes.
    pub fn shrink(&mut self, room_max: usize) {
        self.bytes.shrink_to(room_max);
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}
