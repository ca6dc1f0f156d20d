//! A message as it stands on the wire, made once for many connections.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{opcode, push_compressed_frame, push_frame};
use crate::extension::deflate::{Codecs, Compression, WindowBits};
use crate::frame::OpCode;
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
#[derive(Clone)]
pub struct Framed {
    bytes: Bytes,
    messages: u32,
    /// As it was before it was compressed.
    payload_bytes: usize,
    is_compressed: bool,
    /// The same message for connections that are compressed, if it is for them, too.
    compressed: Option<Arc<Compressed>>,
}

/// The same message for each size of window; made when the first connection needs it. `None`: it does not get smaller.
type Compressed = [OnceLock<Option<Framed>>; WindowBits::COUNT];

/// In which form a connection is sent what was framed for many: uncompressed, or for its window; see
/// [`Outbox::framed_kind`](super::Outbox::framed_kind).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramedKind(Option<(WindowBits, Compression)>);

impl FramedKind {
    /// How many kinds there are.
    pub const COUNT: usize = 1 + WindowBits::COUNT;
    /// Uncompressed.
    pub const PLAIN: FramedKind = FramedKind(None);

    pub(super) fn compressed(window_bits: WindowBits, compression: Compression) -> Self {
        FramedKind(Some((window_bits, compression)))
    }

    /// Its number, from 0 for uncompressed to below [`COUNT`](Self::COUNT): for whoever keeps one of each.
    pub fn index(&self) -> usize {
        self.0.map_or(0, |(window_bits, _)| 1 + window_bits.index())
    }
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
        Framed {
            bytes: bytes.into(),
            messages: 1,
            payload_bytes: message.as_bytes().len(),
            is_compressed: false,
            compressed: None,
        }
    }

    /// The same, and its clones have compressed forms of it in common: [`of_kind`](Self::of_kind).
    #[must_use]
    pub fn compressible(self) -> Framed {
        Framed { compressed: Some(Arc::default()), ..self }
    }

    /// The form of a [compressible](Self::compressible) message that connections of this kind are sent. It is compressed
    /// when this is asked for the first time, by any clone; `keep` may then add a [guard](Self::with_guard).
    ///
    /// It is compressed with an empty window, so that any peer can read it whatever it was sent before (RFC 7692,
    /// section 7.2.3.2 lets a compressor forget). The message itself is returned where it does not get smaller, is below
    /// the threshold, or no codec may be made.
    ///
    /// ```
    /// use sotong_proto::{CodecBudget, Codecs, Framed, FramedKind, MessageRef};
    ///
    /// let codecs = Codecs::new(CodecBudget::new(CodecBudget::BYTES_MAX));
    /// let framed = Framed::new(MessageRef::Text("hello")).compressible();
    /// assert_eq!(framed.of_kind(&FramedKind::PLAIN, &codecs, |it| it), &framed);
    /// ```
    pub fn of_kind(
        &self,
        kind: &FramedKind,
        codecs: &Arc<Codecs>,
        keep: impl FnOnce(Framed) -> Framed,
    ) -> &Framed {
        let (Some((window_bits, compression)), Some(compressed)) = (kind.0, &self.compressed) else {
            return self;
        };
        if self.payload_bytes < compression.threshold_bytes {
            return self;
        }
        let cell = &compressed[window_bits.index()];
        cell.get_or_init(|| self.compress(window_bits, &compression, codecs).map(keep))
            .as_ref()
            .unwrap_or(self)
    }

    fn compress(
        &self,
        window_bits: WindowBits,
        compression: &Compression,
        codecs: &Arc<Codecs>,
    ) -> Option<Framed> {
        let opcode = if self.bytes[0] & 0x0f == OpCode::Text as u8 { OpCode::Text } else { OpCode::Binary };
        let payload = &self.bytes[self.bytes.len() - self.payload_bytes..];
        let mut bytes = Vec::new();
        codecs.compress(window_bits, compression.level, payload, |deflated| {
            push_compressed_frame(&mut bytes, opcode, deflated, None);
        })?;
        Some(Framed { bytes: bytes.into(), is_compressed: true, compressed: None, ..*self })
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
        let (mut messages, mut payload_bytes, mut is_compressed) = (0, 0, false);
        for each in framed {
            joined.extend_from_slice(&each.bytes);
            messages += each.messages;
            payload_bytes += each.payload_bytes;
            is_compressed |= each.is_compressed;
        }
        Framed { bytes: joined.into(), messages, payload_bytes, is_compressed, compressed: None }
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
        let bytes = Bytes::from_owner(Guarded { bytes: self.bytes, _guard: guard });
        Framed { bytes, ..self }
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

    /// How many bytes of payload it is, before it was compressed.
    pub fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Whether any of it is compressed.
    pub(super) fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    pub(super) fn shared_bytes(&self) -> Bytes {
        self.bytes.clone()
    }
}

impl PartialEq for Framed {
    fn eq(&self, other: &Self) -> bool {
        (&self.bytes, self.messages) == (&other.bytes, other.messages)
    }
}

impl Eq for Framed {}

impl fmt::Debug for Framed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framed").field("messages", &self.messages).field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;

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
