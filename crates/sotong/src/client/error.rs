//! Why there is no connection.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use sotong_proto::handshake::{HeaderError, RefusedResponse, RequestError, ResponseError};

use super::address_policy::AddressError;
use super::credentials::CredentialsError;
use super::proxy::{ProxyUrlError, TunnelError};
use super::redirect::RedirectError;
use super::timeouts::{ConnectDeadline, ConnectStep};
#[cfg(feature = "tls")]
use crate::tls::TlsError;

/// Why a connect has failed.
///
/// Neither its text nor its `Debug` form shows path and query of the URL, a user name or password, or values of
/// headers: tokens travel there, and errors end up in logs. What a server has sent is shown escaped.
///
/// ```no_run
/// use sotong::ConnectError;
///
/// # async fn example() -> Result<(), ConnectError> {
/// match sotong::connect("wss://example.com/chat").await {
///     Ok(socket) => drop(socket),
///     Err(ConnectError::Refused(refused)) if refused.status() == 401 => println!("log in first"),
///     Err(ConnectError::Timeout { step, .. }) => println!("too slow: {step}"),
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL cannot be connected to. Nothing was sent.
    Url(UrlError),
    /// A header cannot be sent. Nothing was sent.
    Header(HeaderError),
    /// A sub-protocol cannot be offered. Nothing was sent.
    Protocol(RequestError),
    /// The address policy refuses where the URL, or a redirect, leads. Nothing was sent there.
    Address {
        /// Host and port.
        host: String,
        /// Why.
        error: AddressError,
    },
    /// The host's name has no address, or nobody could tell.
    Resolve {
        /// The name.
        host: String,
        /// What the system's resolver said.
        error: io::Error,
    },
    /// No address of the host takes TCP connections.
    Tcp {
        /// Host and port.
        host: String,
        /// Each address that was tried, and why it failed.
        attempts: Vec<(SocketAddr, io::Error)>,
    },
    /// The TLS handshake failed: most often because of the server's certificate. With the feature `tls` only.
    #[cfg(feature = "tls")]
    Tls {
        /// Host and port.
        host: String,
        /// What was wrong.
        error: TlsError,
    },
    /// The proxy made no way to the server.
    Proxy {
        /// The proxy's URL, without user name and password.
        proxy: String,
        /// Why not.
        error: TunnelError,
    },
    /// A variable of the environment names a proxy, and cannot be read. Nothing was sent:
    /// [`Client::without_proxy`](crate::Client::without_proxy) would go without one.
    ProxyVariable {
        /// The variable.
        name: &'static str,
        /// What is wrong with its value.
        error: ProxyUrlError,
    },
    /// A deadline has passed: see [`ConnectTimeouts`](crate::ConnectTimeouts).
    Timeout {
        /// Host and port; the proxy's URL, without user name and password, when it was the proxy that was slow.
        host: String,
        /// What was going on.
        step: ConnectStep,
        /// The deadline, of the step or of the whole.
        deadline: ConnectDeadline,
        /// Each address that was tried until then, and why it failed: `TimedOut` for those that had not answered,
        /// `ResourceBusy` for those that other connects of this process stood before. Empty unless the step was TCP or
        /// the gate.
        attempts: Vec<(SocketAddr, io::Error)>,
    },
    /// The server answered in HTTP that there is no WebSocket for us: its status, its headers and the first bytes of
    /// the body.
    Refused(Box<RefusedResponse>),
    /// The server answered with a redirect that was not followed, though [`with_redirects_max`] allows some.
    ///
    /// [`with_redirects_max`]: crate::Client::with_redirects_max
    Redirect {
        /// Host and port of that server.
        host: String,
        /// Its answer.
        answer: Box<RefusedResponse>,
        /// Why it was not followed.
        error: RedirectError,
    },
    /// The server agreed, or seemed to, but its answer breaks the rules of the handshake (RFC 6455, section 4.1). The
    /// connection was dropped.
    Handshake(ResponseError),
    /// The network failed during the WebSocket handshake.
    Io(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Url(error) => error.fmt(f),
            ConnectError::Header(error) => error.fmt(f),
            ConnectError::Protocol(error) => error.fmt(f),
            ConnectError::Address { host, error } => write!(f, "{host}: {error}"),
            ConnectError::Resolve { host, error } => write!(f, "host {host:?} cannot be resolved: {error}"),
            ConnectError::Tcp { host, attempts } => {
                write!(f, "no TCP connection to {host}")?;
                tell_attempts(f, attempts)?;
                let refused =
                    |(_, error): &(SocketAddr, io::Error)| error.kind() == io::ErrorKind::ConnectionRefused;
                if !attempts.is_empty() && attempts.iter().all(refused) {
                    f.write_str(" (is a server listening on this port?)")?;
                }
                Ok(())
            }
            #[cfg(feature = "tls")]
            ConnectError::Tls { error, .. } => error.fmt(f),
            ConnectError::Proxy { proxy, error } => write!(f, "proxy {proxy}: {error}"),
            ConnectError::ProxyVariable { name, error } => {
                write!(f, "environment variable {name}: {error}")
            }
            ConnectError::Timeout { host, step, deadline, attempts } => {
                let (allowed, setting) = match deadline {
                    ConnectDeadline::Step(allowed) => (allowed, setting_of(*step)),
                    ConnectDeadline::Total(allowed) => (allowed, "total"),
                };
                write!(f, "{host}: {step} took longer than ConnectTimeouts::{setting} = {allowed:?}")?;
                tell_attempts(f, attempts)?;
                if *step == ConnectStep::Gate {
                    f.write_str(" (Client::with_simultaneous_connects lets connects run side by side)")?;
                }
                Ok(())
            }
            ConnectError::Refused(refused) => {
                refused.fmt(f)?;
                f.write_str(match refused.status() {
                    200..=299 | 404 => " (is a WebSocket served at this path?)",
                    300..=399 => "; redirects are not followed (header Location says where to; Client::with_redirects_max)",
                    401 | 407 => "; it wants credentials (header Authorization)",
                    _ => "",
                })
            }
            ConnectError::Redirect { host, answer, error } => {
                write!(f, "{host} answered {} with {error}", answer.status())
            }
            ConnectError::Handshake(error) => error.fmt(f),
            ConnectError::Io(error) => write!(f, "the WebSocket handshake could not be finished: {error}"),
        }
    }
}

/// Each address, and why not.
fn tell_attempts(f: &mut fmt::Formatter<'_>, attempts: &[(SocketAddr, io::Error)]) -> fmt::Result {
    for (index, (address, error)) in attempts.iter().enumerate() {
        let separator = if index == 0 { ':' } else { ';' };
        match error.kind() {
            // Ours, or the system's after its own retries.
            io::ErrorKind::TimedOut => write!(f, "{separator} {address}: no answer")?,
            _ => write!(f, "{separator} {address}: {error}")?,
        }
    }
    Ok(())
}

impl ConnectError {
    /// Whether another try may have another end, as far as one can know: the network and who is busy may recover; a
    /// refusal, a wrong certificate or a URL will not.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            ConnectError::Resolve { .. }
            | ConnectError::Tcp { .. }
            | ConnectError::Timeout { .. }
            | ConnectError::Io(_) => true,
            ConnectError::Refused(answer) => matches!(answer.status(), 408 | 425 | 429 | 500..=599),
            ConnectError::Proxy { error, .. } => error.may_pass(),
            #[cfg(feature = "tls")]
            ConnectError::Tls { error: TlsError::Io { .. }, .. } => true,
            _ => false,
        }
    }
}

fn setting_of(step: ConnectStep) -> &'static str {
    match step {
        ConnectStep::Gate => "total",
        ConnectStep::Resolve => "resolve",
        ConnectStep::Tcp => "tcp",
        ConnectStep::Proxy => "proxy",
        ConnectStep::Tls => "tls",
        ConnectStep::Handshake => "handshake",
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConnectError::Timeout { .. } => None,
            ConnectError::Url(error) => Some(error),
            ConnectError::Header(error) => Some(error),
            ConnectError::Protocol(error) => Some(error),
            ConnectError::Address { error, .. } => Some(error),
            ConnectError::Redirect { error, .. } => Some(error),
            ConnectError::Resolve { error, .. } | ConnectError::Io(error) => Some(error),
            ConnectError::Tcp { attempts, .. } => match attempts.last() {
                Some((_, error)) => Some(error),
                None => None,
            },
            #[cfg(feature = "tls")]
            ConnectError::Tls { error, .. } => Some(error),
            ConnectError::Proxy { error, .. } => Some(error),
            ConnectError::ProxyVariable { error, .. } => Some(error),
            // What a server answers is no error of its own.
            ConnectError::Refused(_) => None,
            ConnectError::Handshake(error) => Some(error),
        }
    }
}

impl From<UrlError> for ConnectError {
    fn from(error: UrlError) -> Self {
        ConnectError::Url(error)
    }
}

impl From<RequestError> for ConnectError {
    fn from(error: RequestError) -> Self {
        ConnectError::Protocol(error)
    }
}

impl From<HeaderError> for ConnectError {
    fn from(error: HeaderError) -> Self {
        ConnectError::Header(error)
    }
}

/// Why a URL cannot be connected to.
///
/// It never repeats more of the URL than its scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// It does not begin with `ws://` or `wss://`.
    Scheme {
        /// What it begins with; empty if that is no scheme.
        scheme: String,
    },
    /// It has a fragment (`#…`), which means nothing here (RFC 6455, section 3).
    Fragment,
    /// It holds a line break, a NUL or another control character.
    Control {
        /// Where, in bytes from the start.
        position: usize,
    },
    /// Its user name or password cannot be sent.
    Credentials(CredentialsError),
    /// It begins with `wss://`, and the library was built without its feature `tls`.
    WithoutTls,
    /// It is malformed.
    Syntax {
        /// What is wrong with it.
        what: String,
    },
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UrlError::Scheme { scheme } => match &**scheme {
                "" => f.write_str("the URL does not begin with ws:// or wss://"),
                "http" => f.write_str("the URL begins with http://; write ws:// for a WebSocket"),
                "https" => f.write_str("the URL begins with https://; write wss:// for a WebSocket"),
                scheme => write!(f, "the URL's scheme is {scheme:?}; a WebSocket's is ws or wss"),
            },
            UrlError::Fragment => f.write_str(
                "the URL has a fragment, which a WebSocket's cannot have; a # of the path is written %23",
            ),
            UrlError::Control { position } => {
                write!(f, "the URL holds a control character at byte {position} (is it a line break?)")
            }
            UrlError::Credentials(error) => write!(f, "the URL's credentials cannot be sent: {error}"),
            UrlError::WithoutTls => {
                f.write_str("the URL begins with wss://, and sotong was built without its feature tls")
            }
            UrlError::Syntax { what } => write!(f, "the URL is malformed: {what}"),
        }
    }
}

impl std::error::Error for UrlError {}
