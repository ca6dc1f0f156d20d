//! Sessions: one connection each, as the hub sees it.

use std::collections::BTreeSet;
use std::fmt;

use super::ChannelName;

/// Names a session to the shell. Never used again, so that a late input cannot reach somebody else's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(super) u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names a connection to other clients. Chosen by the shell at random, so that it says nothing about the others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(String);

impl ClientId {
    /// An id of 128 random bits.
    pub fn new(random: [u8; 16]) -> ClientId {
        ClientId(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The id as it goes over the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the hub knows of one connection.
#[derive(Debug)]
pub struct Session {
    /// The id that others see.
    pub client: ClientId,
    /// The channels that it follows. Each of them lists the session among its members.
    pub subscriptions: BTreeSet<ChannelName>,
}
