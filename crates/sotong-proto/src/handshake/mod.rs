//! The opening handshake over HTTP/1.1 (RFC 6455, section 4): bytes in, bytes out.
//!
//! # The server
//!
//! A [`ServerHandshake`] eats what a peer sends until one of three things is known: it asks for a WebSocket (an
//! [`Offer`], which the application accepts or refuses), it asks for something else (a page), or it is refused.
//!
//! ```text
//!   bytes ──▶ ServerHandshake ──▶ More           call `receive` again with what comes next
//!    (server.rs)  │          ├──▶ Page(bytes)    plain HTTP: for whoever serves pages
//!                 │          ├──▶ Refused ──────▶ Refusal::to_bytes      (refusal.rs)
//!                 │          └──▶ Request(Offer) ─▶ accept ─▶ Accepted { response, request, deflate, early }
//!                 │                              └▶ refuse ─▶ bytes
//!                 ├─ head.rs        finds the end of the head, holds every limit, looks at each byte once
//!                 ├─ demand.rs      one `httparse` call on the complete head, then the rules of section 4.2.1
//!                 │    ├─ fields.rs       the header lines, and questions about them
//!                 │    ├─ key.rs          Sec-WebSocket-Key and Sec-WebSocket-Accept
//!                 │    ├─ target.rs       path and query, also of absolute-form targets
//!                 │    ├─ authority.rs    `host:port`
//!                 │    ├─ header.rs       tokens, lists, header fields that we send
//!                 │    └─ extensions.rs   the elements of Sec-WebSocket-Extensions
//!                 ├─ parts.rs       the same rules for a request that somebody else's server has parsed
//!                 └─ request.rs     what stays of the request with the connection: one allocation (lines.rs)
//!   Request ──▶ OriginPolicy::check (policy.rs): who may connect; asked by the server before it accepts
//! ```
//!
//! # Example
//!
//! ```
//! use sotong_proto::handshake::{Accept, Progress, ServerHandshake};
//! use sotong_proto::{Config, Time};
//!
//! let mut handshake = ServerHandshake::new(&Config::default(), Time::ZERO);
//!
//! // What a peer sends may be cut anywhere.
//! let first = b"GET /chat?room=1 HTTP/1.1\r\nHost: server.example\r\nUpgrade: websocket\r\nConn";
//! let Progress::More(handshake) = handshake.receive(first) else { panic!("the head is not complete") };
//!
//! let rest = b"ection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
//!     Sec-WebSocket-Version: 13\r\n\r\n\x81\x85early";
//! let Progress::Request(offer) = handshake.receive(rest) else { panic!("it asks for a WebSocket") };
//! assert_eq!(offer.request().path(), "/chat");
//! assert_eq!(offer.request().query(), Some("room=1"));
//!
//! let accepted = offer.accept(Accept::default())?;
//! assert!(accepted.response.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
//! assert_eq!(accepted.early, b"\x81\x85early"); // frames that came with the head: feed them to the connection
//! # Ok::<(), sotong_proto::handshake::AcceptError>(())
//! ```
//!
//! # The client
//!
//! A [`ClientHandshake`] asks for what a [`ClientRequest`] says and eats the answer; it has an example.
//!
//! ```text
//!   ClientRequest, nonce ──▶ ClientHandshake ──▶ request_bytes
//!    (client_request.rs)      (client.rs) ▲  │
//!                                  bytes ─┘  ├──▶ More         call `receive` again with what comes next
//!                                            ├──▶ Established  { request, response, deflate, early } (response.rs)
//!                                            ├──▶ Refused      status, headers, start of the body  (body.rs)
//!                                            └──▶ Failed       what the server did wrong  (response_error.rs)
//!   head.rs, fields.rs, header.rs, key.rs, extensions.rs as above; answer.rs has the rules of section 4.1
//! ```
//!
//! Behind an HTTP proxy a [`TunnelHandshake`] comes first (tunnel.rs): it asks for a way to the server.

mod answer;
mod authority;
mod body;
mod client;
mod client_request;
mod demand;
mod extensions;
mod fields;
mod head;
mod header;
mod key;
mod lines;
mod parts;
mod policy;
mod refusal;
mod request;
mod response;
mod response_error;
mod server;
mod target;
mod tunnel;

pub use client::{ClientHandshake, ClientProgress};
pub use client_request::{ClientRequest, RequestError};
pub use extensions::ExtensionOffer;
pub use header::HeaderError;
pub use policy::{HostPolicy, OriginPolicy, PolicyError, danger};
pub use refusal::Refusal;
pub use request::Request;
pub use response::{RefusedResponse, Response};
pub use response_error::ResponseError;
pub use server::{Accept, AcceptError, Accepted, Offer, Progress, ServerHandshake};
pub use tunnel::{TunnelHandshake, TunnelProgress};
