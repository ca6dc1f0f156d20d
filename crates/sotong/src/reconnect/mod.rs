//! Staying connected: a client that connects again when a connection is lost, and says what it promised.
//!
//! ```text
//!   ReconnectingSocket, ReconnectingSender        socket.rs
//!      │ accepted messages        ▲ received messages
//!      ▼                          │
//!   queue.rs ──────────────▶ task.rs ──▶ Client::connect, WebSocket
//!   waiting, sent, counted        │
//!                                 ├── arrivals.rs   what came and was not taken yet
//!                                 ├── settings.rs   what it was told, and the hooks
//!                                 ├── ending.rs     why a try or a connection is over: again, or stop?
//!                                 └── backoff.rs    when, and how often
//! ```
//!
//! # What is promised
//!
//! WebSocket has no receipts for messages: what the kernel has taken may be lost with the connection. So each message is
//! in one of these, and [`Counters`] count them:
//!
//! - **accepted**: `send` or `try_send` returned `Ok`. It is in the queue here, and goes out in its turn, on this
//!   connection or on a later one.
//! - **sent**: it was handed to a connection. The peer may have it, or may get it.
//! - **confirmed**: a Ping that was sent behind it, or a later one, was answered (RFC 6455, section 5.5.3). The other end of the
//!   *WebSocket* has taken it off the wire. That is not a word of the application there, and where a proxy speaks WebSocket
//!   itself it is the proxy that answers. What a network alters on the way is found by TLS only: use `wss:`.
//! - **may be lost**: it was sent, and the connection ended before it was confirmed. [`Unconfirmed`] says what then: it
//!   is counted and forgotten (nothing arrives twice), or it is sent again on the next connection (nothing is missing,
//!   something may arrive twice).
//! - **unsent**: the client ended before it was sent. **dropped**: it had to make room ([`Overflow::DropOldest`]).
//!
//! Order is kept, also across connections. (A server that still works on what a lost connection brought, while the next one
//! speaks, has to keep it itself.) At any time `accepted = waiting + sent + confirmed + may_be_lost + unsent +
//! dropped`.
//!
//! A proxy that resets, stalls, halves, slows and alters connections has to find all this true, over `ws` and over `wss`
//! (`tests/reconnect_faults.rs`: at least 3,200 faults in each run of the tests).
//!
//! What is sent and unconfirmed counts against [`QueueLimits`]: they bound what may be lost at once, and over a network that
//! breaks often a small queue is what makes progress.
//!
//! What comes is returned by `recv` in order, whatever becomes of the connection that brought it: if that is over, it is kept
//! and goes first, up to a [limit](Reconnect::with_kept_bytes_max). Only a client that is itself closed or dropped
//! discards, and counts, what nobody has taken.
//!
//! A Ping is on its way whenever something is sent and not confirmed, one at a time: 14 bytes for each round trip.

mod arrivals;
mod backoff;
mod ending;
mod queue;
mod settings;
mod socket;
mod task;

pub use backoff::Backoff;
pub use ending::{Decision, End, Ending};
pub use queue::{Counters, Overflow, QueueLimits, Unconfirmed};
pub use settings::{HookError, Reconnect, State, Target, Try};
pub use socket::{ReconnectingSender, ReconnectingSocket};
