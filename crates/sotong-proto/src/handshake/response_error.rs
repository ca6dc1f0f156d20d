//! What a server can get wrong in its answer.

use std::fmt;

use super::fields::Repeated;
use super::head::HeadFault;
use super::refusal::Shown;

/// What the server did wrong in the handshake (RFC 6455, section 4.1): the connection is of no use.
///
/// What it sent is shown escaped and cut.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseError {
    /// The first bytes do not begin a response of HTTP/1.
    NotHttp,
    /// The head breaks the grammar of HTTP (RFC 9112).
    Malformed {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A larger head than [`head_bytes_max`](crate::Config::head_bytes_max).
    HeadBytes {
        /// The limit.
        max: usize,
    },
    /// More header lines than [`headers_max`](crate::Config::headers_max).
    Headers {
        /// The limit.
        max: usize,
    },
    /// More 1xx responses before the final one than we skip.
    InterimResponses {
        /// The limit.
        max: usize,
    },
    /// A 101 of HTTP/1.0, which has no upgrades (RFC 9110, section 7.8).
    Http10,
    /// A 101 whose `Upgrade` is not `websocket` (RFC 6455, section 4.1).
    Upgrade {
        /// The first value that came.
        seen: Option<Box<[u8]>>,
    },
    /// A 101 whose `Connection` does not name `upgrade`.
    Connection {
        /// The first value that came.
        seen: Option<Box<[u8]>>,
    },
    /// A 101 whose `Sec-WebSocket-Accept` does not answer our key.
    Accept {
        /// What came.
        seen: Option<Box<[u8]>>,
        /// What answers the key.
        expected: String,
    },
    /// A header more than once that must come only once.
    Repeated {
        /// Its name.
        name: &'static str,
    },
    /// An extension that was not offered.
    Extension {
        /// The header's value.
        seen: Box<[u8]>,
    },
    /// An answer to the offer of permessage-deflate that is not one (RFC 7692, section 7.1).
    Compression {
        /// The header's value.
        seen: Box<[u8]>,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A sub-protocol that was not offered, or several.
    Protocol {
        /// The header's value.
        seen: Box<[u8]>,
    },
    /// The stream ended before the head did.
    Ended {
        /// How many bytes of the head had come.
        received: usize,
    },
    /// The head did not come within [`handshake_timeout`](crate::Config::handshake_timeout).
    TooLate,
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp => f.write_str(
                "the server's first bytes are not an HTTP/1 response (does this port speak TLS, or no HTTP at all?)",
            ),
            Self::Malformed { problem } => write!(f, "malformed response head: {problem}"),
            Self::HeadBytes { max } => write!(f, "response head of more than head_bytes_max = {max} bytes"),
            Self::Headers { max } => write!(f, "response with more than headers_max = {max} header lines"),
            Self::InterimResponses { max } => {
                write!(f, "more than {max} responses of status 1xx before the final one")
            }
            Self::Http10 => f.write_str(
                "101 of HTTP/1.0, which has no upgrades (is there a proxy that speaks HTTP/1.0 to the server?)",
            ),
            Self::Upgrade { seen: None } => {
                f.write_str("101 without header Upgrade, which must be websocket")
            }
            Self::Upgrade { seen: Some(seen) } => {
                write!(f, "101 with header Upgrade: {}, which must be websocket", Shown(seen))
            }
            Self::Connection { seen: None } => {
                f.write_str("101 without header Connection, which must name upgrade")
            }
            Self::Connection { seen: Some(seen) } => {
                write!(f, "101 with header Connection: {}, which must name upgrade", Shown(seen))
            }
            Self::Accept { seen: None, expected } => {
                write!(f, "101 without header Sec-WebSocket-Accept, which must be \"{expected}\"")
            }
            Self::Accept { seen: Some(seen), expected } => write!(
                f,
                "101 with header Sec-WebSocket-Accept: {}, which must be \"{expected}\" (is this the answer to another client?)",
                Shown(seen)
            ),
            Self::Repeated { name } => write!(f, "101 with header {name} more than once, allowed is one"),
            Self::Extension { seen } => {
                write!(f, "101 with header Sec-WebSocket-Extensions: {}, none was offered", Shown(seen))
            }
            Self::Compression { seen, problem } => {
                write!(f, "101 with header Sec-WebSocket-Extensions: {}: {problem}", Shown(seen))
            }
            Self::Protocol { seen } => write!(
                f,
                "101 with header Sec-WebSocket-Protocol: {}, allowed is one of those that were offered, or no such header",
                Shown(seen)
            ),
            Self::Ended { received: 0 } => f.write_str("the server ended the connection without an answer"),
            Self::Ended { received } => {
                write!(f, "the server ended the connection after {received} bytes of its response head")
            }
            Self::TooLate => f.write_str("no response head within handshake_timeout"),
        }
    }
}

impl std::error::Error for ResponseError {}

impl From<HeadFault> for ResponseError {
    fn from(fault: HeadFault) -> Self {
        let problem = match fault {
            HeadFault::NotHttp => return Self::NotHttp,
            HeadFault::HeadBytes(max) | HeadFault::StartLineBytes(max) => return Self::HeadBytes { max },
            HeadFault::Headers(max) => return Self::Headers { max },
            HeadFault::Blank => "an empty line instead of a status line",
            HeadFault::BareCr => "a CR without an LF",
            HeadFault::BareLf => "an LF without a CR",
            HeadFault::Nul => "a NUL byte",
            HeadFault::Folded => "a header line that begins with a space (obs-fold)",
        };
        Self::Malformed { problem }
    }
}

impl From<Repeated> for ResponseError {
    fn from(Repeated(name): Repeated) -> Self {
        Self::Repeated { name }
    }
}
