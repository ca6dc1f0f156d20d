//! Why there is an `error` event.

use std::fmt;
use std::sync::Arc;

use crate::client::ConnectError;

/// Why there is an `error` event: what browsers hide from pages.
///
/// As [`ConnectError`], it shows no path, query or password of the URL.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// There is no connection: nobody listens, the server has refused, its answer was not right, its certificate was not.
    Connect(Arc<ConnectError>),
    /// The URL's port is one of those that are blocked because other protocols live there. Nothing was sent.
    BadPort {
        /// Which.
        port: u16,
    },
    /// Sub-protocols were offered, and the server has chosen none: by the standard that is a failure.
    NoProtocol,
    /// `close` was called before the connection was there.
    Aborted,
    /// More was sent than may wait: [`outbox_bytes_max`](crate::Config::outbox_bytes_max). The connection was dropped.
    Full,
    /// The connection was lost, or given up because the server broke the protocol or a limit.
    Connection(crate::Error),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Connect(error) => error.fmt(f),
            Cause::BadPort { port } => {
                write!(f, "port {port} is another protocol's, and blocked (Fetch Standard, port blocking)")
            }
            Cause::NoProtocol => {
                f.write_str("the server has chosen none of the sub-protocols that were offered")
            }
            Cause::Aborted => f.write_str("it was closed before the connection was there"),
            Cause::Full => {
                f.write_str("more was sent than may wait (outbox_bytes_max); the connection was dropped")
            }
            Cause::Connection(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Cause::Connect(error) => Some(&**error),
            Cause::Connection(error) => Some(error),
            _ => None,
        }
    }
}
