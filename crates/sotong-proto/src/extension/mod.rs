//! The room for extensions (RFC 6455, section 9), between frame and message.
//!
//! ```text
//! frame::Header::decode ──► reserved_bits: may this frame carry RSV1, RSV2, RSV3?
//! connection/inbound    ──► the payload of a data frame, unmasked, on its way into a message
//! ```
//!
//! No extension exists yet. permessage-deflate (RFC 7692) goes into `extension/deflate.rs`: its negotiation is
//! called by the handshake, its codec stands where the inbound side hands payload on.

use crate::frame::OpCode;

/// The extensions that the handshake agreed on.
#[derive(Debug, Default)]
pub(crate) struct Extensions {}

impl Extensions {
    /// The reserved bits (RSV1 is `0b100`) that have a meaning in a frame with this opcode.
    #[inline]
    pub(crate) fn reserved_bits(&self, _opcode: OpCode) -> u8 {
        0
    }
}
