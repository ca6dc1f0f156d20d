//! Disconnects: the close codes by which the hub ends a connection.

/// Why the hub ends a connection, as a WebSocket close code.
///
/// The number also tells the client what to do next: 3000 to 3499 invite it to come back, 3500 to 3999 do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Disconnect {
    /// The connection was closed.
    ConnectionClosed = 3000,
    /// The hub is shutting down.
    Shutdown = 3001,
    /// Something broke in the hub.
    InternalServerError = 3004,
    /// The connection is too old.
    ConnectionExpired = 3005,
    /// A subscription is too old.
    SubscriptionExpired = 3006,
    /// The client reads more slowly than its channels speak.
    Slow = 3008,
    /// Writing to the client did not work.
    WriteError = 3009,
    /// The client may have missed something, and shall start afresh.
    InsufficientState = 3010,
    /// An operator asks the client to connect again.
    ForceReconnect = 3011,
    /// The client did not answer a ping in time.
    NoPong = 3012,
    /// The client asks too much too fast.
    TooManyRequests = 3013,
    /// What the client knew is no longer true.
    StateInvalidated = 3014,
    /// The token is not valid.
    InvalidToken = 3500,
    /// The client sent something that is no command.
    BadRequest = 3501,
    /// The client did not say `connect` in time.
    Stale = 3502,
    /// An operator asks the client to stay away.
    ForceDisconnect = 3503,
    /// Too many connections of this user.
    ConnectionLimit = 3504,
    /// Too many channels on this connection.
    ChannelLimit = 3505,
    /// The client's dialect cannot carry the data.
    InappropriateProtocol = 3506,
    /// The client may not do this.
    PermissionDenied = 3507,
    /// The hub does not offer this here.
    NotAvailable = 3508,
    /// The client made too many mistakes.
    TooManyErrors = 3509,
}

impl Disconnect {
    /// The close code on the wire.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The reason that goes with the code.
    pub fn reason(self) -> &'static str {
        match self {
            Disconnect::ConnectionClosed => "connection closed",
            Disconnect::Shutdown => "shutdown",
            Disconnect::InternalServerError => "internal server error",
            Disconnect::ConnectionExpired => "connection expired",
            Disconnect::SubscriptionExpired => "subscription expired",
            Disconnect::Slow => "slow",
            Disconnect::WriteError => "write error",
            Disconnect::InsufficientState => "insufficient state",
            Disconnect::ForceReconnect => "force reconnect",
            Disconnect::NoPong => "no pong",
            Disconnect::TooManyRequests => "too many requests",
            Disconnect::StateInvalidated => "state invalidated",
            Disconnect::InvalidToken => "invalid token",
            Disconnect::BadRequest => "bad request",
            Disconnect::Stale => "stale",
            Disconnect::ForceDisconnect => "force disconnect",
            Disconnect::ConnectionLimit => "connection limit",
            Disconnect::ChannelLimit => "channel limit",
            Disconnect::InappropriateProtocol => "inappropriate protocol",
            Disconnect::PermissionDenied => "permission denied",
            Disconnect::NotAvailable => "not available",
            Disconnect::TooManyErrors => "too many errors",
        }
    }

    /// Whether the code invites the client to come back.
    pub fn invites_back(self) -> bool {
        (3000..3500).contains(&self.code()) || (4000..4500).contains(&self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Disconnect;

    /// The page's reconnecting module decides by the number alone, so the border must not move.
    #[test]
    fn the_number_says_whether_to_come_back() {
        assert!(Disconnect::Shutdown.invites_back());
        assert!(Disconnect::Slow.invites_back());
        assert!(Disconnect::StateInvalidated.invites_back());
        assert!(!Disconnect::InvalidToken.invites_back());
        assert!(!Disconnect::BadRequest.invites_back());
        assert!(!Disconnect::TooManyErrors.invites_back());
    }

    #[test]
    fn the_numbers_in_use_are_as_promised() {
        assert_eq!(Disconnect::Slow.code(), 3008);
        assert_eq!(Disconnect::BadRequest.code(), 3501);
        assert_eq!(Disconnect::ChannelLimit.code(), 3505);
        assert_eq!(Disconnect::PermissionDenied.code(), 3507);
        assert_eq!(Disconnect::NotAvailable.code(), 3508);
    }
}
