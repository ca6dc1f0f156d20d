//! WebSocket (RFC 6455) without I/O.
//!
//! Bytes, commands, the time and a seed go in; bytes, events and the next deadline come out. There is no socket,
//! no clock, no randomness and no thread in here, so every behaviour can be tested and replayed to the byte.
//!
//! # The loop
//!
//! ```
//! use sotong_proto::{Config, Connection, Event, Outbox, Side, Time};
//! use std::sync::Arc;
//!
//! let config = Arc::new(Config::default());
//! let now = Time::ZERO;                                   // the driver's clock
//! let mut connection = Connection::new(Side::Server, config.clone(), now);
//! let mut outbox = Outbox::server(config);
//!
//! // 1. Bytes came: a masked "Hello" (RFC 6455, section 5.7).
//! let mut bytes = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
//! let mut received = connection.receive(&mut bytes, now);
//! while let Some(event) = received.next(&mut outbox) {
//!     if let Event::Message(message) = event {
//!         outbox.send(message)?;                          // the application answers
//!     }
//! }
//! // 2. Write what waits: everything that one read caused leaves in one write.
//! assert_eq!(outbox.take_bytes(), b"\x81\x05Hello");
//! // 3. Sleep until `connection.deadline()`, then `connection.handle_timeout(now, &mut outbox)`.
//! # Ok::<(), sotong_proto::Refused>(())
//! ```
//!
//! # What is where
//!
//! | to | use |
//! | --- | --- |
//! | ask for a WebSocket, or answer who asks | [`handshake`] |
//! | read | [`Connection::receive`], [`Received::next`], [`Event`] |
//! | write | [`Outbox`] |
//! | set limits and deadlines | [`Config`] |
//! | compress | [`Compression`], [`Deflate`], [`Codecs`] |
//! | know why it ended | [`Closed`], [`Error`] |

mod close;
mod config;
mod connection;
mod error;
mod extension;
mod frame;
pub mod handshake;
mod mask;
mod message;
mod outbox;
mod payload;
mod side;
mod time;
mod utf8;

pub use close::{Close, CloseCode, Closed, Initiator};
pub use config::{Config, NonMinimalLengths, Rate};
pub use connection::{CarrierState, Connection, Event, Received};
pub use error::{Error, LimitError, ProtocolError, Timeout};
pub use extension::deflate::{
    CodecBudget, Codecs, Compression, CompressionLevel, CompressionMode, Deflate, WindowBits,
};
pub use frame::HEADER_BYTES_MAX as FRAME_HEADER_BYTES_MAX;
pub use mask::Seed;
pub use message::{Message, MessageRef, Text};
pub use outbox::{BY_REFERENCE_BYTES_MIN, Cork, Framed, FramedKind, Outbox, Refused, Replies};
pub use side::Side;
pub use time::Time;
