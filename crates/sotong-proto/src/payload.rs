//! The payload of a message that comes in pieces.

use crate::mask::Unmasked;
use crate::message::MessageRef;
use crate::utf8::{InvalidUtf8, Utf8Assembly};

/// What has come of a message's payload: of text it is known to be UTF-8 so far.
pub(crate) enum Payload {
    Text(Utf8Assembly),
    Binary(Vec<u8>),
}

impl Payload {
    pub(crate) fn text() -> Self {
        Payload::Text(Utf8Assembly::default())
    }

    pub(crate) fn binary() -> Self {
        Payload::Binary(Vec::new())
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Payload::Text(text) => text.len(),
            Payload::Binary(bytes) => bytes.len(),
        }
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        match self {
            Payload::Text(text) => text.capacity(),
            Payload::Binary(bytes) => bytes.capacity(),
        }
    }

    /// Adds a piece of a frame.
    pub(crate) fn push_unmasked(&mut self, piece: &Unmasked<'_>) -> Result<(), InvalidUtf8> {
        match (self, piece.ascii()) {
            (Payload::Text(text), Some(ascii)) => text.push_text(ascii),
            (payload, _) => payload.push(piece.bytes()),
        }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), InvalidUtf8> {
        match self {
            Payload::Text(text) => text.push(piece)?,
            Payload::Binary(bytes) => bytes.extend_from_slice(piece),
        }
        Ok(())
    }

    pub(crate) fn finish(&self) -> Result<(), InvalidUtf8> {
        match self {
            Payload::Text(text) => text.finish(),
            Payload::Binary(_) => Ok(()),
        }
    }

    pub(crate) fn as_message(&self) -> MessageRef<'_> {
        match self {
            Payload::Text(text) => MessageRef::Text(text.as_str()),
            Payload::Binary(bytes) => MessageRef::Binary(bytes),
        }
    }

    /// The bytes, of text without those of a character that is cut.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.as_message().as_bytes()
    }

    /// A copy of the last bytes that have come, `max` at most, those of a character that is cut among them.
    pub(crate) fn end(&self, max: usize) -> Vec<u8> {
        let cut = match self {
            Payload::Text(text) => text.cut(),
            Payload::Binary(_) => &[],
        };
        let whole = self.as_bytes();
        [&whole[whole.len().saturating_sub(max - cut.len())..], cut].concat()
    }
}
