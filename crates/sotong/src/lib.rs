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
//! ```no_run
//! use sotong::{Events, MessageRef, Refusal, Request, Sender, Server};
//!
//! struct Echo;
//!
//! impl Events for Echo {
//!     fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
//!         drop(socket.try_send(message)); // an error when too much waits for a peer that does not read
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! Server::bind("127.0.0.1:9001").await?.serve_events(|_: &Request| Ok::<_, Refusal>(Echo)).await
//! # }
//! ```
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
//! A server that refuses is an error with its status, its headers and the first bytes of its body; each step of the way
//! has a deadline of its own, [`ConnectTimeouts`].
//!
//! A client goes through proxies as `HTTPS_PROXY` and the like say, or as [`Client::with_proxy`] does, logs in by the URL's user
//! name, [`Client::with_basic_auth`] or [`Client::with_bearer_token`], and follows redirects only where
//! [`Client::with_redirects_max`] allows it. URLs that strangers wrote need an [`AddressPolicy`]:
//!
//! ```
//! use sotong::{AddressPolicy, Client};
//!
//! let client = Client::new()
//!     .with_address_policy(AddressPolicy::public())   // no private, loopback or link-local address, however it is written
//!     .with_redirects_max(3)                          // each station is looked at, and none of them is told our secrets
//!     .without_proxy();                               // whatever the environment says
//! # let _ = client;
//! ```
//!
//! # The browser's object
//!
//! [`web::WebSocket`] is the object of web pages with its semantics: a constructor that never waits, listeners and slots,
//! `readyState`, `bufferedAmount`, the same checks, the same order of events. What browsers hide, the cause of an error, is
//! told.
//!
//! ```no_run
//! use sotong::web::{WebSocket, on};
//!
//! # async fn example() -> Result<(), sotong::web::Error> {
//! let socket = WebSocket::new("wss://example.com/chat")?;
//! socket.set_on_open(|socket| socket.send("hello"));
//! socket.add_event_listener(on::MESSAGE, |event| println!("{}", event.data()));
//! # Ok(())
//! # }
//! ```
//!
//! # Topics: one speaks, many hear
//!
//! A connection of a server subscribes to names, and what is published to a name goes to all who are subscribed, on whatever
//! thread they are: framed and compressed once, shared by those who are slow, and in order. [`Topics`] publishes from
//! anywhere else, keeps a slow subscriber from holding up the others, and says what was left out for whom.
//!
//! ```no_run
//! use sotong::{Events, MessageRef, Refusal, Request, Sender, Server};
//!
//! struct Member;
//!
//! impl Events for Member {
//!     fn open(&mut self, socket: &Sender) {
//!         socket.subscribe("room").expect("few names, and it is new");
//!     }
//!
//!     fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
//!         socket.publish("room", message); // to everybody else
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! Server::bind("127.0.0.1:9001").await?.serve_events(|_: &Request| Ok::<_, Refusal>(Member)).await
//! # }
//! ```
//!
//! # TLS
//!
//! `wss://` works with nothing set: the platform's roots are trusted. Roots of your own and client certificates are a
//! `ClientTls`, a server's certificate is a `ServerTls`; both are in the module `tls`. Certificate files are loaded anew
//! when they change, and nobody is disconnected.
//!
#![cfg_attr(feature = "tls", doc = "```no_run")]
#![cfg_attr(not(feature = "tls"), doc = "```ignore")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use sotong::{Server, tls::ServerTls};
//!
//! let tls = ServerTls::from_pem_files("fullchain.pem", "privkey.pem")?;
//! let server = Server::bind("0.0.0.0:443").await?.with_tls(tls).with_allowed_hosts(["chat.example.com"])?;
//! # Ok(())
//! # }
//! ```
//!
//! # Compression
//!
//! permessage-deflate (RFC 7692) is off until a [`Config`] asks for it, at both ends. [`Compression::shared`]: each message
//! stands alone, and an idle connection keeps nothing. [`Compression::windowed`]: a message may refer to those before it,
//! and a connection keeps the last plain text. What is published to a topic is compressed once for each size of window.
//!
//! It is off by default because it tells secrets: what is compressed together shows by its length what it has in common.
//! See [`Compression`], and [`Uncompressed`] for messages that are not to be part of it.
//!
//! ```
//! use sotong::{Client, Compression, Config};
//!
//! let config = Config::default().with_compression(Some(Compression::shared()));
//! let client = Client::new().with_config(config); // and the same at `Server::with_config`
//! # let _ = client;
//! ```
//!
//! # Inside axum or hyper
//!
//! With the feature `axum` a handler takes an extractor; the socket is the same, and so are the checks and limits. The
//! module `upgrade`, with the feature `hyper`, is for whatever speaks HTTP/1.1 by hyper 1.x.
//!
#![cfg_attr(feature = "axum", doc = "```no_run")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! async fn echo(upgrade: sotong::axum::WebSocketUpgrade) -> axum::response::Response {
//!     upgrade.on_upgrade(async |mut socket| {
//!         while let Some(message) = socket.recv().await? {
//!             socket.send(message).await?;
//!         }
//!         Ok::<(), sotong::Error>(())
//!     })
//! }
//! # let _: axum::Router = axum::Router::new().route("/echo", axum::routing::any(echo));
//! ```
//!
//! # Open to the world
//!
//! Limits that are right everywhere have a default: sizes, queues, deadlines ([`Config`]), connections and bytes in all
//! ([`Server`]). Those that depend on who your clients are, are off until you set them. Behind a proxy, name it:
//! otherwise everybody has its address, and the server cannot know the origin of its own pages.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use sotong::{Config, Rate, Server, WebSocket};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::default()
//!     .with_message_bytes_max(64 * 1024)                     // 1 MiB by default
//!     .with_message_rate(Some(Rate::new(10, 100)))           // 10 per second, 100 at once; else closed with 1008
//!     .with_idle_timeout(Some(Duration::from_secs(3600)));   // no message for an hour: closed with 1001
//! Server::bind("127.0.0.1:9001")
//!     .await?
//!     .with_config(config)
//!     .with_trusted_proxies(["127.0.0.1"])?                  // whose X-Forwarded-For is believed
//!     .with_public_origin("https://chat.example.com")?       // whose pages may connect
//!     .with_connections_per_ip_max(100)                      // one more is refused with 429
//!     .serve(async |mut socket: WebSocket| while let Ok(Some(_)) = socket.recv().await {})
//!     .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! A handler may give a peer more once it has proved who it is ([`Sender::raise_limits`]). A graceful shutdown closes
//! everybody with 1001, spread over a window, so that they do not all come back at once.
//!
//! # Logs and counters
//!
//! What happens is told to `tracing`, in a span `connection` whose number is [`Sender::id`]. What peers send is escaped
//! there; query strings, `Authorization`, `Cookie` and offered sub-protocols are never told. With the feature `metrics`
//! connections, messages, bytes, refusals and time-outs are counted under names that begin with `sotong_`;
//! `docs/operations.md` in the repository lists them. A recorder is yours to install.
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
//! | have the browser's object | [`web::WebSocket`] |
//! | stay connected | [`reconnect::Reconnect`] |
//! | speak TLS | `Client::with_tls`, `Server::with_tls`, the module `tls` |
//! | receive and send in a loop | [`WebSocket`] |
//! | be called | [`Events`] |
//! | send from anywhere | [`Sender`] |
//! | say something to many | [`Topics`], [`Sender::subscribe`], [`Slow`] |
//! | set limits and deadlines | [`Config`], [`Rate`], [`Server`], [`Sender::raise_limits`] |
//! | carry WebSockets over something else than TCP | [`Server::bind_unix`], [`Handle::accept`], [`Carrier`], [`memory`] |
//! | live inside axum or hyper | the modules `axum` and `upgrade`, with the feature of that name |
//! | log in | [`Client::with_basic_auth`], [`Client::with_bearer_token`], [`Client::with_header`] |
//! | connect to URLs of strangers | [`AddressPolicy`], [`Client::with_redirects_max`] |
//! | connect through a proxy | [`Client::with_proxy`], [`Client::without_proxy`], [`Proxy`] |
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
#![forbid(unsafe_code)]

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
pub mod reconnect;
mod sender;
mod server;
mod socket;
mod surroundings;
mod sync;
#[cfg(feature = "tls")]
pub mod tls;
mod topics;
mod transport;
#[cfg(feature = "hyper")]
pub mod upgrade;
pub mod web;

#[cfg(feature = "axum")]
#[doc(inline)]
pub use upgrade::axum;

pub use carrier::{Carrier, memory};
pub use client::{
    AddressError, AddressPolicy, AddressPolicyError, Client, ConnectDeadline, ConnectError, ConnectStep,
    ConnectTimeouts, CredentialsError, Proxy, ProxyUrlError, RedirectError, TunnelError, UrlError, connect,
};
pub use error::{Error, SendError, TrySendError};
pub use events::Events;
pub use handler::Outcome;
pub use outgoing::{Outgoing, Uncompressed};
pub use sender::Sender;
pub use server::{ForwardedHeader, Handle, ProxyError, ProxyProtocol, Serve, Server, Stats};
pub use socket::{Receiver, WebSocket};
/// Why the core gave a connection up: what [`Error::Peer`] holds.
pub use sotong_proto::Error as PeerError;
#[doc(no_inline)]
pub use sotong_proto::handshake::{self, Accept, OriginPolicy, Refusal, Request, Response};
pub use sotong_proto::{
    Close, CloseCode, Closed, CodecBudget, Compression, CompressionLevel, CompressionMode, Config, Initiator,
    LimitError, Message, MessageRef, NonMinimalLengths, ProtocolError, Rate, Text, Timeout, WindowBits,
};
pub use topics::{Occupancy, Slow, SubscribeError, TopicStats, Topics};

/// The README's snippets compile, with all features.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So do the Korean README's.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../../../README.ko.md")]
struct ReadmeInKorean;
