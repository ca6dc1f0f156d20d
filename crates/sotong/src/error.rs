//! What the library's functions return when they cannot do what they were asked.

use std::fmt;
use std::io;
use std::sync::Arc;

use sotong_proto::{Closed, Message};

/// Why a connection ended that did not end regularly.
///
/// Cheap to clone. What the peer or the network did is in the variants; how far the closing handshake got is in
/// [`Closed`].
///
/// ```
/// use sotong::{Error, WebSocket};
///
/// async fn listen(mut socket: WebSocket) {
///     let why = loop {
///         match socket.recv().await {
///             Ok(Some(message)) => println!("{message:?}"),
///             Ok(None) => return, // closed as it should be
///             Err(error) => break error,
///         }
///     };
///     match &why {
///         Error::Vanished => println!("the peer is gone, without a word"),
///         Error::Peer(fault) => println!("the peer was told {:?}: {fault}", fault.close_code()),
///         _ => println!("{why}"),
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol, passed a limit or took too long; it was told the close code that
    /// [`close_code`](sotong_proto::Error::close_code) names.
    Peer(sotong_proto::Error),
    /// The peer vanished without a Close frame (1006).
    Vanished,
    /// The network failed.
    Io(Arc<io::Error>),
    /// The connection is over and nothing more can be said or heard on it.
    Closed(Arc<Closed>),
    /// It was subscribed to a topic that leaves nothing out, and took less than was published: it is closed, see
    /// [`Slow`](crate::Slow). Told in event form, when it is decided; the connection then ends like any other.
    TooSlow {
        /// Which topic.
        topic: Arc<str>,
    },
    /// The handler of the connection panicked; the peer was told 1011.
    Panicked,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Peer(error) => error.fmt(f),
            Error::Vanished => f.write_str("the peer vanished without a close frame"),
            Error::Io(error) => write!(f, "connection lost: {error}"),
            Error::Closed(closed) => closed.fmt(f),
            Error::TooSlow { topic } => {
                write!(
                    f,
                    "the peer takes less than is published to the topic {topic:?} (outbox_bytes_max); it is closed"
                )
            }
            Error::Panicked => f.write_str("the handler of the connection panicked"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Peer(error) => Some(error),
            Error::Io(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<sotong_proto::Error> for Error {
    fn from(error: sotong_proto::Error) -> Self {
        Error::Peer(error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Io(Arc::new(error))
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        error.0
    }
}

/// The message was not accepted, because the connection is closing or closed.
#[derive(Clone, Debug)]
pub struct SendError(pub(crate) Error);

impl SendError {
    /// Why the connection is over, as far as that is known now.
    pub fn into_error(self) -> Error {
        self.0
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not sent: {}", self.0)
    }
}

impl std::error::Error for SendError {}

/// The message was not accepted now. It comes back, so that nothing is lost silently.
///
/// ```
/// use sotong::{CloseCode, Sender, TrySendError};
///
/// fn tell(socket: &Sender, price: &str) {
///     match socket.try_send(price) {
///         Ok(()) | Err(TrySendError::Closed(_)) => {}
///         // To wait here would make all others wait for one.
///         Err(TrySendError::Full(_)) => drop(socket.close(CloseCode::TRY_AGAIN_LATER, "too slow")),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrySendError {
    /// Too much is waiting to be sent ([`outbox_bytes_max`](sotong_proto::Config::outbox_bytes_max)): the peer does
    /// not read, or not fast enough.
    Full(Message),
    /// The connection is closing or closed.
    Closed(Message),
}

impl TrySendError {
    /// The message that was not accepted.
    pub fn into_message(self) -> Message {
        match self {
            TrySendError::Full(message) | TrySendError::Closed(message) => message,
        }
    }

    /// Whether it is worth trying again when the peer has read some.
    pub fn is_full(&self) -> bool {
        matches!(self, TrySendError::Full(_))
    }
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "not sent: too much is waiting to be sent (outbox_bytes_max)",
            TrySendError::Closed(_) => "not sent: the connection is closing or closed",
        })
    }
}

impl std::error::Error for TrySendError {}
