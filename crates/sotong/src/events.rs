//! The event form: a value per connection whose methods are called in order.

use std::sync::Arc;

use sotong_proto::{Closed, MessageRef};

use crate::error::Error;
use crate::sender::Sender;

/// What a connection's owner wants to hear: the four events of the browser's `WebSocket`.
///
/// One value per connection. Its methods are called one after the other, in the connection's own task, on payloads
/// that are borrowed from the buffer they came in: this is the fastest form. They must not block; whatever takes
/// long belongs into a task of its own, which gets a clone of the [`Sender`].
///
/// What a method sends is gathered and leaves in one write when the messages of the same read are through.
///
/// While more than 64 KiB waits to be sent, a server reads no more: who does not take answers gets no questions in. A client reads
/// on, and stops only for what its methods have sent themselves. So whatever is much is better sent by a task with a
/// [`Sender`].
///
/// A method that panics ends its own connection with 1011, and nothing else.
///
/// ```no_run
/// use sotong::{Events, MessageRef, Refusal, Request, Sender, Server};
///
/// struct Echo;
///
/// impl Events for Echo {
///     fn open(&mut self, socket: &Sender) {
///         let _ = socket.try_send("hello");              // the server may speak first
///     }
///     fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
///         if socket.try_send(message).is_err() {
///             socket.close(sotong::CloseCode::TRY_AGAIN_LATER, "you do not read");
///         }
///     }
/// }
///
/// # async fn example() -> std::io::Result<()> {
/// Server::bind("127.0.0.1:9001").await?.serve_events(|_: &Request| Ok::<_, Refusal>(Echo)).await
/// # }
/// ```
pub trait Events: Send + 'static {
    /// The handshake is done.
    fn open(&mut self, socket: &Sender) {
        let _ = socket;
    }

    /// A whole message came.
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>);

    /// Something went wrong; [`close`](Self::close) follows. Not called for a regular end.
    fn error(&mut self, socket: &Sender, error: &Error) {
        let _ = (socket, error);
    }

    /// The connection is over: the last call. Called exactly once, also when the server is torn down, but not after
    /// a method that panicked.
    fn close(&mut self, closed: &Arc<Closed>) {
        let _ = closed;
    }
}
