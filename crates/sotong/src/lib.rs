//! WebSocket for tokio: a client and a server that are strict, cork by themselves and hold no memory when idle.
//!
//! A browser and a server keep one connection open, and both may speak at any time. In a page that is
//! `new WebSocket(url)` with four events and two methods; here it is the same, in two forms.
//!
//! # Pull: one task, one loop
//!
//! ```no_run
//! use sotong::{Error, Server, WebSocket};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! Server::bind("127.0.0.1:9001")
//!     .await?
//!     .serve(async |mut socket: WebSocket| {
//!         socket.send("hello").await?;                       // the server may speak first
//!         while let Some(message) = socket.recv().await? {
//!             socket.send(message).await?;
//!         }
//!         Ok::<(), Error>(())
//!     })
//!     .await
//! # }
//! ```
//!
//! # Events: a value per connection
//!
//! [`Events`] has `open`, `message`, `error` and `close`, called in order on borrowed payloads: the fastest form.
//!
//! # A client
//!
//! [`connect`] gives the same [`WebSocket`]; [`Client`] has the settings, and the event form.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut socket = sotong::connect("wss://example.com/chat").await?;
//! socket.send("hello").await?;
//! while let Some(message) = socket.recv().await? {
//!     println!("{message:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What you get without asking
//!
//! - What answers one read leaves in one write; there is no `flush` to forget.
//! - Pings are answered and closes are seen while your code is busy.
//! - An idle connection owns no buffer. Everything is bounded by [`Config`].
//! - A page of another origin is refused; so is DNS rebinding. See [`Server`].
//! - A handler that panics ends its own connection with 1011, and nothing else.
//!
//! # What is where
//!
//! | to | use |
//! | --- | --- |
//! | serve | [`Server`], [`Serve`], [`Handle`], [`Stats`] |
//! | connect | [`connect`], [`Client`], [`ConnectTimeouts`], [`ConnectError`] |
//! | receive and send in a loop | [`WebSocket`] |
//! | be called | [`Events`] |
//! | send from anywhere | [`Sender`] |
//! | set limits and deadlines | [`Config`] |
//! | carry WebSockets over something else than TCP | [`Server::bind_unix`], [`Handle::accept`], [`Carrier`], [`memory`] |
//! | live inside axum or hyper | the modules `axum` and `upgrade`, with the feature of that name |
//! | stand behind a proxy | [`Server::with_trusted_proxies`], [`ForwardedHeader`], [`ProxyProtocol`], [`ProxyError`] |
//! | see, accept and refuse requests | [`Request`], [`Accept`], [`Refusal`], [`handshake`] |
//! | know how it ended | [`Closed`], [`Error`] |
//!
//! The protocol itself lives in [`sotong_proto`], without I/O.
//!
//! # Features
//!
//! | feature | default | what |
//! | --- | --- | --- |
//! | `tls` | on | `wss` on both ends: [`tls`], [`Server::with_tls`] |
//! | `hyper` | off | upgrades out of a server that speaks HTTP by hyper 1.x: the module `upgrade` |
//! | `axum` | off | an extractor for axum 0.8: the module `axum` |
//! | `metrics` | off | counters and gauges, told to the facade of the crate `metrics` |

mod carrier;
mod client;
mod counts;
mod driver;
mod error;
mod established;
mod events;
mod handler;
mod live;
mod outgoing;
mod peer;
mod sender;
mod server;
mod socket;
mod surroundings;
mod sync;
#[cfg(feature = "tls")]
pub mod tls;
mod transport;
#[cfg(feature = "hyper")]
pub mod upgrade;

#[cfg(feature = "axum")]
#[doc(inline)]
pub use upgrade::axum;

pub use carrier::{Carrier, memory};
pub use client::{Client, ConnectDeadline, ConnectError, ConnectStep, ConnectTimeouts, UrlError, connect};
pub use error::{Error, SendError, TrySendError};
pub use events::Events;
pub use handler::Outcome;
pub use outgoing::Outgoing;
pub use sender::Sender;
pub use server::{ForwardedHeader, Handle, ProxyError, ProxyProtocol, Serve, Server, Stats};
pub use socket::{Receiver, WebSocket};
/// Why the core gave a connection up: what [`Error::Peer`] holds.
pub use sotong_proto::Error as PeerError;
#[doc(no_inline)]
pub use sotong_proto::handshake::{self, Accept, OriginPolicy, Refusal, Request, Response};
pub use sotong_proto::{
    Close, CloseCode, Closed, Config, Initiator, LimitError, Message, MessageRef, NonMinimalLengths,
    ProtocolError, Rate, Text, Timeout,
};

/// The README's snippets compile, with all features.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So do the Korean README's.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../../../README.ko.md")]
struct ReadmeInKorean;
