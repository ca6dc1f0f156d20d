//! What the object's methods throw.

use std::fmt;

use sotong_proto::handshake::RequestError;

use super::cause::Cause;

/// What a method of the [`WebSocket`](super::WebSocket) throws: the exceptions of the standard, by their names.
///
/// ```
/// use sotong::web::{Error, SyntaxError, WebSocket};
///
/// let error = WebSocket::new("ws://example.com/#top").unwrap_err();
/// assert!(matches!(error, Error::SyntaxError(SyntaxError::Fragment)));
/// assert_eq!(error.name(), "SyntaxError");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A URL, a sub-protocol or a close reason is not what it has to be.
    SyntaxError(SyntaxError),
    /// A close code that an application may not send: allowed are 1000 and 3000–4999.
    InvalidAccessError {
        /// What was given.
        code: u16,
    },
    /// The state of the socket does not allow it.
    InvalidStateError {
        /// What was wanted in which state.
        what: &'static str,
    },
    /// There is no connection for the [pull view](super::WebSocket::pull), and this is why.
    NetworkError(Cause),
    /// It was called outside of a tokio runtime, and none was given by
    /// [`Options::with_runtime`](super::Options::with_runtime). Browsers always have one.
    NoRuntime,
}

impl Error {
    /// The name that a browser's exception has.
    ///
    /// `NoRuntime` has no counterpart; its name is `NotSupportedError`.
    pub fn name(&self) -> &'static str {
        match self {
            Error::SyntaxError(_) => "SyntaxError",
            Error::InvalidAccessError { .. } => "InvalidAccessError",
            Error::InvalidStateError { .. } => "InvalidStateError",
            Error::NetworkError(_) => "NetworkError",
            Error::NoRuntime => "NotSupportedError",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::SyntaxError(error) => error.fmt(f),
            Error::InvalidAccessError { code } => {
                write!(f, "close code {code} is not an application's: allowed are 1000 and 3000 to 4999")
            }
            Error::InvalidStateError { what } => f.write_str(what),
            Error::NetworkError(cause) => cause.fmt(f),
            Error::NoRuntime => f.write_str(
                "a WebSocket needs a tokio runtime: call this inside one, or give one by Options::with_runtime",
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::SyntaxError(error) => Some(error),
            Error::NetworkError(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<SyntaxError> for Error {
    fn from(error: SyntaxError) -> Self {
        Error::SyntaxError(error)
    }
}

/// What is not what it has to be.
///
/// It never repeats more of a URL than its scheme: tokens travel there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyntaxError {
    /// The URL does not parse; a relative one needs a base, see [`Options::with_base`](super::Options::with_base).
    Url {
        /// What the URL Standard's parser says.
        what: String,
    },
    /// Its scheme is none of `ws`, `wss`, `http` and `https`.
    Scheme {
        /// What it is; empty where no `//` follows, because then it may be something else, such as a user name.
        scheme: String,
    },
    /// The URL has a fragment (`#…`), even if it is an empty one.
    Fragment,
    /// A sub-protocol is not a token (RFC 7230). It is not repeated: some programs send what is secret there.
    Protocol {
        /// Which of them, from 0.
        index: usize,
        /// The first character that is not allowed; `None` if there is no character at all.
        character: Option<char>,
    },
    /// A sub-protocol is there twice.
    ProtocolTwice {
        /// Which of them, from 0.
        index: usize,
    },
    /// A close reason is longer than 123 bytes of UTF-8.
    Reason {
        /// How long it is.
        bytes: usize,
    },
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyntaxError::Url { what } => write!(f, "the URL is malformed: {what}"),
            SyntaxError::Scheme { scheme } if scheme.is_empty() => f.write_str(
                "the URL does not begin with a scheme and //; allowed are ws, wss, http and https",
            ),
            SyntaxError::Scheme { scheme } => {
                write!(f, "the URL's scheme is {scheme:?}; allowed are ws, wss, http and https")
            }
            SyntaxError::Fragment => f.write_str("the URL has a fragment, which a WebSocket's cannot have"),
            SyntaxError::Protocol { index, character } => {
                RequestError::Protocol { index: *index, character: *character }.fmt(f)
            }
            SyntaxError::ProtocolTwice { index } => RequestError::ProtocolTwice { index: *index }.fmt(f),
            SyntaxError::Reason { bytes } => {
                write!(f, "a close reason of {bytes} bytes; allowed are 123")
            }
        }
    }
}

impl std::error::Error for SyntaxError {}
