//! Why there is no way through a proxy.

use std::fmt;
use std::io;

use sotong_proto::handshake::{RefusedResponse, ResponseError};

use crate::client::credentials::CredentialsError;
use crate::client::error::ConnectError;

/// Why a proxy made no way to the server. The proxy is named by [`ConnectError::Proxy`].
#[derive(Debug)]
#[non_exhaustive]
pub enum TunnelError {
    /// There is no connection to the proxy itself: its name, TCP or TLS.
    Unreachable(Box<ConnectError>),
    /// An HTTP proxy answered that it opens no way: 407 wants credentials, or others; 403 does not like the host or the
    /// port; 502, 503 and 504 say that it got no further itself.
    Refused(Box<RefusedResponse>),
    /// An HTTP proxy's answer breaks the rules, is too large, or ended too early.
    Answer(ResponseError),
    /// A SOCKS5 proxy takes none of the ways to log in that were offered (RFC 1928, section 3).
    NoMethod {
        /// Whether a user name and a password were offered.
        with_credentials: bool,
    },
    /// A SOCKS5 proxy does not take this user name and password (RFC 1929).
    Credentials,
    /// A SOCKS5 proxy could not connect, or would not (RFC 1928, section 6).
    Reply {
        /// What it said: 1 general failure, 2 not allowed, 3 network unreachable, 4 host unreachable, 5 connection
        /// refused, 6 TTL expired, 7 command not supported, 8 address type not supported.
        code: u8,
    },
    /// What came is not SOCKS5.
    NotSocks {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A SOCKS5 proxy hung up in the middle of an answer, or without one.
    Ended,
    /// The server's name is longer than SOCKS5 can say.
    HostBytes {
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// The network failed while we spoke with the proxy.
    Io(io::Error),
}

impl TunnelError {
    /// Whether another try may have another end, as far as one can know.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            TunnelError::Unreachable(error) => error.may_pass(),
            TunnelError::Refused(answer) => matches!(answer.status(), 408 | 425 | 429 | 500..=599),
            TunnelError::Reply { code } => matches!(code, 1 | 3..=6),
            TunnelError::Ended | TunnelError::Io(_) => true,
            TunnelError::Answer(ResponseError::Ended { .. }) => true,
            TunnelError::Answer(_)
            | TunnelError::NoMethod { .. }
            | TunnelError::Credentials
            | TunnelError::NotSocks { .. }
            | TunnelError::HostBytes { .. } => false,
        }
    }
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TunnelError::Unreachable(error) => error.fmt(f),
            TunnelError::Refused(answer) => {
                let space = if answer.reason().is_empty() { "" } else { " " };
                write!(f, "it answered {}{space}{}", answer.status(), answer.reason())?;
                f.write_str(match answer.status() {
                    403 | 405 => " (does it allow CONNECT to this host and port?)",
                    // tinyproxy says 401 where 407 is meant.
                    401 | 407 => "; it wants a user name and a password, or others than these",
                    502..=504 => " (it got no further itself)",
                    _ => "",
                })
            }
            TunnelError::Answer(error) => write!(f, "no answer to CONNECT: {error}"),
            TunnelError::NoMethod { with_credentials: false } => {
                f.write_str("it takes nobody without credentials, and no user name is set")
            }
            TunnelError::NoMethod { with_credentials: true } => {
                f.write_str("it takes neither a user name and a password nor nobody in particular")
            }
            TunnelError::Credentials => f.write_str("it does not take this user name and password"),
            TunnelError::Reply { code } => match reply(*code) {
                Some(text) => write!(f, "it could not connect: {text}"),
                None => write!(f, "it could not connect: code {code}, which RFC 1928 does not know"),
            },
            TunnelError::NotSocks { problem } => write!(f, "it does not speak SOCKS5: {problem}"),
            TunnelError::Ended => f.write_str("it hung up before its answer was complete"),
            TunnelError::HostBytes { bytes, max } => {
                write!(f, "the host's name has {bytes} bytes, SOCKS5 has room for {max}")
            }
            TunnelError::Io(error) => error.fmt(f),
        }
    }
}

/// What a code of RFC 1928, section 6 means.
fn reply(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "it does not know the command CONNECT",
        8 => "it does not know this type of address",
        _ => return None,
    })
}

impl std::error::Error for TunnelError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TunnelError::Unreachable(error) => Some(error),
            TunnelError::Answer(error) => Some(error),
            TunnelError::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a text is no proxy. It repeats no more of it than the scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// Another scheme than `http`, `https`, `socks5` or `socks5h`.
    Scheme {
        /// Which.
        scheme: String,
    },
    /// It begins with `https://`, and the library was built without its feature `tls`.
    WithoutTls,
    /// Its user name or password cannot be sent.
    Credentials(CredentialsError),
    /// It is malformed.
    Syntax {
        /// What is wrong with it.
        what: String,
    },
}

impl fmt::Display for ProxyUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyUrlError::Scheme { scheme } => {
                write!(f, "the proxy's scheme is {scheme:?}; allowed are http, https and socks5")
            }
            ProxyUrlError::WithoutTls => f.write_str(
                "the proxy's URL begins with https://, and sotong was built without its feature tls",
            ),
            ProxyUrlError::Credentials(error) => error.fmt(f),
            ProxyUrlError::Syntax { what } => write!(f, "the proxy's URL is malformed: {what}"),
        }
    }
}

impl std::error::Error for ProxyUrlError {}

impl From<CredentialsError> for ProxyUrlError {
    fn from(error: CredentialsError) -> Self {
        ProxyUrlError::Credentials(error)
    }
}
