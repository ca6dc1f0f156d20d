//! The two ends of a connection.

/// Which end of the connection this is.
///
/// Framing and closing are one implementation for both; the side decides who masks, and who hangs up first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that opened the connection. It masks what it sends, and waits for the server to hang up.
    Client,
    /// The end that accepted the connection.
    Server,
}
