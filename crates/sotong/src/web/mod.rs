//! The browser's `WebSocket`, as the WHATWG WebSockets Standard has it, for programs in Rust.
//!
//! The object that everybody knows from web pages: four events, `send`, `close`, and the same checks, errors and order of
//! events as in a browser.
//!
//! ```no_run
//! use sotong::web::{WebSocket, on};
//!
//! # async fn example() -> Result<(), sotong::web::Error> {
//! let socket = WebSocket::new("wss://example.com/chat")?;
//! socket.set_on_open(|socket| socket.send("hello"));
//! socket.add_event_listener(on::MESSAGE, |event| println!("{}", event.data()));
//! socket.add_event_listener(on::ERROR, |event| println!("what browsers hide: {}", event.cause()));
//! socket.add_event_listener(on::CLOSE, |event| println!("{} {}", event.code(), event.reason()));
//! # Ok(())
//! # }
//! ```
//!
//! # What is the same as in a browser
//!
//! - [`WebSocket::new`] never blocks and never fails because of the network: that is an event.
//! - What [`send`](WebSocket::send), [`close`](WebSocket::close) and [`close_with`](WebSocket::close_with) check, and in
//!   which order; the errors have the standard's names: see [`Error`].
//! - `open`, then messages, then `error` if something went wrong, then exactly one `close`, and nothing after it. One event
//!   at a time, in the order of the network, and the [`ReadyState`] changes together with its event.
//! - Listeners are called in the order in which they were added; a slot (`set_on_…`) has the place of its first setting,
//!   until it is cleared. One that was removed is not called any more, one that is added by a listener is called for the
//!   next event.
//! - [`buffered_amount`](WebSocket::buffered_amount) counts as browsers count.
//! - A socket lives for as long as somebody could notice: see [Life](#life).
//! - An offer of permessage-deflate, connects to one address one after the other, no redirects, no connections to the
//!   [ports of other protocols](WebSocket::new).
//!
//! # What differs, and why
//!
//! - **Events are held** until the first listener or slot is set, or [`start`](WebSocket::start) or
//!   [`pull`](WebSocket::pull) is called. In a page nothing can happen between two lines; a program with several threads
//!   may be late. The first line that sets a listener is not yet the last: for an event that nobody listens for, events
//!   wait until 20 ms have passed without another listener. `start` ends that wait, too. Meanwhile the server is held up
//!   by TCP when [`inbox_bytes_max`](crate::Config::inbox_bytes_max) bytes have come.
//! - **A listener that is slow holds up the server**, by the same limit. Browsers keep what comes without limit.
//! - **The `error` event has a cause**: [`ErrorEvent::cause`]. Browsers hide it, since a page could explore the user's
//!   network with it. Here every `close` event with the code 1006 has an `error` event before it.
//! - **A listener that panics**, or returns an error, is like one that throws: it is reported (to `tracing`, as an
//!   error), and everything goes on: the next listener, the connection, the next event. This is not what the other forms
//!   do, where it ends the connection.
//! - Text is a `&str`, so lone surrogates cannot occur; who has UTF-16 makes U+FFFD of them by
//!   [`String::from_utf16_lossy`], as browsers do. Binary data comes as [`Data::Blob`] or [`Data::ArrayBuffer`], both of
//!   which are [`Bytes`](bytes::Bytes).
//! - There are limits, all of which are settings: see [`Options`].
//!
//! # Life
//!
//! A handle may be cloned; dropping the last one ends the connection only if nobody could notice (section 7 of the
//! standard). A socket lives on while
//!
//! - it is connecting and has a listener of any kind,
//! - it is open and has a listener for messages, errors or the close,
//! - it is closing and has a listener for errors or the close,
//! - messages that were accepted are still on their way to the network.
//!
//! One that has none of these is closed without a status code. When the `close` event is through, all listeners are
//! dropped, with what they hold; a listener for `open` is dropped when it was called.
//!
//! A connection needs a tokio runtime, in whose tasks the listeners are called: they must not block, as listeners in a
//! page must not. When the runtime is shut down, its connections end without further events.
//!
//! # The pull view
//!
//! [`WebSocket::pull`] gives the [`sotong::WebSocket`](crate::WebSocket) of the same connection, to be read in a loop,
//! with backpressure: what other platforms call `WebSocketStream`.

mod cause;
mod cookies;
mod error;
mod event;
mod listeners;
pub mod on;
mod options;
mod port;
mod protocols;
mod shared;
mod socket;
mod target;
mod task;

pub use self::cause::Cause;
pub use self::cookies::Cookies;
pub use self::error::{Error, SyntaxError};
pub use self::event::{BinaryType, CloseEvent, Data, ErrorEvent, MessageEvent, UnknownBinaryType};
pub use self::listeners::ListenerId;
pub use self::on::EventKind;
pub use self::options::Options;
pub use self::protocols::Protocols;
pub use self::socket::{ReadyState, WebSocket};
