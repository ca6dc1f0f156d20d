//! What can happen on a connection, before it is put into words.

use std::time::Duration;

use sotong::reconnect::Ending;
use sotong::{Closed, MessageRef, Sender};

/// Something that happened.
#[derive(Debug)]
pub(super) enum Event<'a> {
    /// The handshake is done.
    Open(&'a Opened),
    /// It connects again.
    Connecting(u32),
    /// It is not connected, and will try again.
    Waiting { number: u32, delay: Duration, because: &'a Ending },
    /// A message came.
    Received(MessageRef<'a>),
    /// A message was accepted for sending.
    Sent(Opcode, usize),
    /// A Ping was sent.
    Ping,
    /// Its Pong came, so much later.
    Pong(Duration),
    /// The connection is over.
    Closed(&'a Closed),
    /// Something went wrong.
    Failed(&'a Trouble),
}

/// What the two ends agreed on.
#[derive(Debug, Default)]
pub(super) struct Opened {
    pub(super) url: String,
    pub(super) peer: Option<String>,
    pub(super) protocol: Option<String>,
    /// What the server answered, in its order.
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

impl Opened {
    pub(super) fn of(url: &str, connection: &Sender) -> Opened {
        let headers = connection.response().into_iter().flat_map(|response| response.headers());
        Opened {
            url: without_credentials(url),
            peer: connection.peer_addr().map(|address| address.to_string()),
            protocol: connection.protocol().map(str::to_owned),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
        }
    }

    /// Of a connection that was over before it was looked at.
    pub(super) fn unknown(url: &str) -> Opened {
        Opened { url: without_credentials(url), ..Opened::default() }
    }
}

/// The URL, to be shown: a user name and a password are not.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

/// What kind of frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Text,
    Binary,
}

impl Opcode {
    pub(super) fn of(message: &MessageRef<'_>) -> Opcode {
        match message {
            MessageRef::Text(_) => Opcode::Text,
            MessageRef::Binary(_) => Opcode::Binary,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Opcode::Text => "text",
            Opcode::Binary => "binary",
        }
    }
}

/// What went wrong: one word for programs, one line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Where it belongs.
    pub kind: TroubleKind,
    /// One line, not yet escaped.
    pub line: String,
    /// The answer that refused the handshake.
    pub answer: Option<Box<Answer>>,
}

/// The answer of a server that did not become a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The first bytes of its body.
    pub body: Vec<u8>,
    /// Whether these are all.
    pub body_is_whole: bool,
}

macro_rules! kinds {
    ($($variant:ident, $name:literal, $doc:literal;)*) => {
        /// The kinds of trouble, which decide the exit code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum TroubleKind {
            $(#[doc = $doc] $variant,)*
        }

        impl TroubleKind {
            /// All of them.
            pub const ALL: &'static [TroubleKind] = &[$(TroubleKind::$variant,)*];

            /// Its name in `--json`.
            pub fn name(self) -> &'static str {
                match self {
                    $(TroubleKind::$variant => $name,)*
                }
            }
        }
    };
}

kinds! {
    Usage, "usage", "What was typed cannot be meant: the URL, a header, a sub-protocol, a file.";
    Resolve, "resolve", "The host has no address.";
    Connect, "connect", "No address of it takes connections.";
    Tls, "tls", "No safe channel to it.";
    Proxy, "proxy", "The proxy made no way to it.";
    Timeout, "timeout", "It took too long to connect.";
    Refused, "refused", "The server answered the handshake with another status than 101.";
    Handshake, "handshake", "The server answered the handshake wrongly.";
    Abnormal, "abnormal", "The connection ended without a regular close, or with a code that tells of a fault.";
    Input, "input", "What stdin gave cannot be sent.";
    Output, "output", "What came cannot be written to stdout.";
    Interrupted, "interrupted", "A signal ended it before the connection was closed.";
}

impl Trouble {
    pub(crate) fn new(kind: TroubleKind, line: impl ToString) -> Trouble {
        Trouble { kind, line: line.to_string(), answer: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_user() {
        for (url, shown) in [
            ("ws://a/b?c", "ws://a/b?c"),
            ("ws://u:p@a/b@c", "ws://a/b@c"),
            ("wss://u:p@x@a:1", "wss://a:1"),
            ("ws://a/@b", "ws://a/@b"),
            ("ws://u@a?x@y", "ws://a?x@y"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }
}
