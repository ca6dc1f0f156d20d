//! permessage-deflate (RFC 7692).
//!
//! ```text
//!  Compression (settings.rs) ─┐
//!  the peer's offer or answer ┴─► negotiation.rs ──► Deflate, what was agreed on
//!                (parameters.rs reads the latter)       │
//!                               ┌───────────────────────┴───────────────────────┐
//!                         Receiving (receiving.rs)                      Sending (sending.rs)
//!                               │  Window (window.rs): the last plain text, if it is kept │
//!                               └──────────► Codecs (codecs.rs) ◄───────────────┘
//!                                 lends Inflater (inflater.rs) and Deflater (deflater.rs)
//! ```
//!
//! No connection owns a codec, which takes tens to hundreds of kilobytes. It is lent one for a message, and what the
//! standard calls context takeover is done with the plain text: the last 2^bits bytes of it are all that the next
//! message can refer to, and they are given to the codec as its dictionary.

mod codecs;
mod deflater;
mod inflater;
mod negotiation;
mod parameters;
mod receiving;
#[cfg(test)]
mod reference;
mod sending;
mod settings;
#[cfg(test)]
mod tests;
mod window;

pub use codecs::{CodecBudget, Codecs};
pub use negotiation::Deflate;
pub(crate) use negotiation::{NegotiationError, Offered};
pub(crate) use receiving::{Inflation, PieceEnd, Receiving};
pub(crate) use sending::Sending;
pub use settings::{Compression, CompressionLevel, CompressionMode, WindowBits};

/// The name of the extension (RFC 7692, section 7).
pub(crate) const NAME: &str = "permessage-deflate";
/// What a sender leaves out at the end of each message, and a receiver puts back (section 7.2.1): the end of an empty
/// block without compression.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
