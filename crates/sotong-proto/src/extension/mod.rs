//! The room for extensions (RFC 6455, section 9), between frame and message.
//!
//! ```text
//! handshake             ──► deflate/negotiation: what both ends agree on, a `Deflate`
//! frame::Header::decode ──► reserved_bits: may this frame carry RSV1, RSV2, RSV3?
//! connection/inbound    ──► deflate/receiving: the payload of a compressed message, on its way into the message
//! outbox                ──► deflate/sending: the payload of a message, on its way into a frame
//! ```

pub(crate) mod deflate;

use crate::frame::OpCode;

/// RSV1, of the three reserved bits as [`Extensions::reserved_bits`] has them.
pub(crate) const RSV1: u8 = 0b100;

/// Which extensions the handshake agreed on, as a frame's header shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    /// permessage-deflate (RFC 7692).
    pub(crate) deflate: bool,
}

impl Extensions {
    /// The reserved bits (RSV1 is `0b100`) that have a meaning in a frame with this opcode.
    ///
    /// RFC 7692, section 6: RSV1 stands in the first frame of a message, never in a continuation or a control frame.
    #[inline]
    pub(crate) fn reserved_bits(self, opcode: OpCode) -> u8 {
        match opcode {
            OpCode::Text | OpCode::Binary if self.deflate => RSV1,
            _ => 0,
        }
    }
}
