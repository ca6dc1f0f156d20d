//! A table of WebSocket cases, and a player that plays them against any peer.
//!
//! The Autobahn test suite has been the judge of WebSocket implementations for many years. It runs
//! on Python 2 only, takes its time and cannot be linked into a test. This crate holds a table of
//! our own of the cases that it plays in its groups 1–7, 9 and 10, under the same numbers, so that a
//! result here can be laid beside a result there. The 216 cases about compression (groups 12 and 13)
//! are not in it.
//!
//! - [`cases`] is the table: 301 values of [`Case`], each a script of frames and an expectation.
//! - [`Player`] plays one case. It does no I/O: bytes go in, bytes and waits come out, and in the end
//!   a [`Verdict`].
//! - [`play`] drives a player against a [`Peer`] that can block, such as a core without sockets or a
//!   `TcpStream` with a read timeout.
//!
//! The same table serves both sides: [`Subject`] says who is under test, and the player masks its
//! frames, or does not, accordingly. The opening handshake is not part of a case; the player starts
//! where it ends, and the peer has to send every message back.
//!
//! The player reads and writes frames with code of its own. It has to, because it breaks the protocol
//! on purpose, and it should, because a mistake in `sotong-proto` must not hide itself.
//!
//! # Example
//!
//! ```
//! use sotong_conformance::{Peer, Received, Subject, Verdict, Wait, find, play};
//!
//! /// Takes everything and never answers.
//! struct Mute;
//!
//! impl Peer for Mute {
//!     fn send(&mut self, _bytes: &[u8]) -> std::io::Result<()> {
//!         Ok(())
//!     }
//!     fn receive(&mut self, _wait: Wait, _into: &mut Vec<u8>) -> Received {
//!         Received::Silence
//!     }
//! }
//!
//! let case = find("1.1.2").expect("it is in the table");
//! assert!(matches!(play(&case, Subject::Server, &mut Mute), Verdict::Failed(_)));
//! ```

mod case;
mod expect;
mod payload;
mod peer;
mod player;
mod script;
mod sender;
mod table;
mod verdict;
mod wire;

pub use case::{Case, Group, Number, ParseNumberError};
pub use expect::{End, Expect, Outcome, Reply, Seen};
pub use payload::Payload;
pub use peer::{Peer, Received, play};
pub use player::{Output, Player, Subject, Wait};
pub use script::{Cut, Frame, Opcode, Step};
pub use table::{cases, find};
pub use verdict::Verdict;
