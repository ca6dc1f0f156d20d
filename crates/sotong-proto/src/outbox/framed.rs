//! A message as it stands on the wire, made once for many connections.

use std::fmt;

use bytes::Bytes;

use super::{opcode, push_frame};
use crate::frame;
use crate::message::MessageRef;

/// One message, or a run of them, framed once for the connections of a server, which all send the same bytes: a
/// server's frames are not masked (RFC 6455, section 5.1).
///
/// A clone shares the bytes.
///
/// ```
/// use std::sync::Arc;
///
/// use sotong_proto::{Config, Framed, MessageRef, Outbox};
///
/// let framed = Framed::new(MessageRef::Text("hello"));
/// let config = Arc::new(Config::default());
/// let mut outboxes = [Outbox::server(config.clone()), Outbox::server(config)];
/// for outbox in &mut outboxes {
///     outbox.send_framed(&framed)?;
/// }
/// assert_eq!(outboxes[1].take_bytes(), b"\x81\x05hello");
/// # Ok::<(), sotong_proto::Refused>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Framed {
    bytes: Bytes,
    messages: u32,
}

/// Bytes, and what is dropped with them.
struct Guarded<G> {
    bytes: Bytes,
    _guard: G,
}

impl<G> AsRef<[u8]> for Guarded<G> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Framed {
    /// Frames a message. It copies the payload, once.
    pub fn new(message: MessageRef<'_>) -> Framed {
        let mut bytes = Vec::new();
        push_frame(&mut bytes, opcode(message), message.as_bytes(), None);
        Framed { bytes: bytes.into(), messages: 1 }
    }

    /// One run of several: what many connections send in one write is then one slice for each of them.
    ///
    /// It copies them all, unless there is just one.
    pub fn join<'a>(framed: impl IntoIterator<Item = &'a Framed> + Clone) -> Framed {
        let mut all = framed.clone().into_iter();
        if let (Some(only), None) = (all.next(), all.next()) {
            return only.clone();
        }
        let length = framed.clone().into_iter().map(Framed::len).sum();
        let mut joined = Vec::with_capacity(length);
        let mut messages = 0;
        for each in framed {
            joined.extend_from_slice(&each.bytes);
            messages += each.messages;
        }
        Framed { bytes: joined.into(), messages }
    }

    /// Drops `guard` when nobody holds the bytes any more: no clone of this, and no outbox. For whoever counts memory.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use sotong_proto::{Framed, MessageRef};
    ///
    /// let guard = Arc::new(());
    /// let framed = Framed::new(MessageRef::Text("hello")).with_guard(guard.clone());
    /// let another = framed.clone();
    /// drop(framed);
    /// assert_eq!(Arc::strong_count(&guard), 2);
    /// drop(another);
    /// assert_eq!(Arc::strong_count(&guard), 1);
    /// ```
    #[must_use]
    pub fn with_guard(self, guard: impl Send + 'static) -> Framed {
        let Framed { bytes, messages } = self;
        Framed { bytes: Bytes::from_owner(Guarded { bytes, _guard: guard }), messages }
    }

    /// How many bytes it is, with all frame headers.
    #[expect(clippy::len_without_is_empty, reason = "a frame has a header")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The frames.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many messages it is.
    pub fn messages(&self) -> u32 {
        self.messages
    }

    /// How many bytes of payload it is, to within the size of frame headers.
    pub fn payload_bytes(&self) -> usize {
        self.len().saturating_sub(self.messages as usize * frame::frame_length(0, crate::Side::Server))
    }

    pub(super) fn shared_bytes(&self) -> Bytes {
        self.bytes.clone()
    }
}

impl fmt::Debug for Framed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framed").field("messages", &self.messages).field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_all_three_forms() {
        for length in [0, 1, 125, 126, 127, 65535, 65536] {
            let payload = vec![7; length];
            let framed = Framed::new(MessageRef::Binary(&payload));
            let header = framed.len() - length;
            assert_eq!(header, frame::frame_length(length, crate::Side::Server) - length, "{length}");
            assert_eq!(framed.as_bytes()[0], 0x82);
            assert_eq!(&framed.as_bytes()[header..], &payload[..]);
            assert_eq!(framed.messages(), 1);
        }
    }

    #[test]
    fn a_run_is_its_frames_in_order() {
        let [a, b] = ["a", "bc"].map(|text| Framed::new(MessageRef::Text(text)));
        let joined = Framed::join([&a, &b, &a]);
        assert_eq!(joined.as_bytes(), b"\x81\x01a\x81\x02bc\x81\x01a");
        assert_eq!(joined.messages(), 3);
        assert_eq!(Framed::join([&b]), b);
    }
}
