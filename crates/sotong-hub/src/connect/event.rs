//! What can happen on a connection, before it is put into words.

use std::time::Duration;

use sotong::{Closed, MessageRef};

/// Something that happened.
#[derive(Debug)]
pub(super) enum Event<'a> {
    /// The handshake is done.
    Open(&'a Opened),
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
    Timeout, "timeout", "It took too long to connect.";
    Refused, "refused", "The server answered the handshake with another status than 101.";
    Handshake, "handshake", "The server answered the handshake wrongly.";
    Abnormal, "abnormal", "The connection ended without a regular close, or with a code that tells of a fault.";
    Input, "input", "What stdin gave cannot be sent.";
    Output, "output", "What came cannot be written to stdout.";
    Interrupted, "interrupted", "A signal ended it before the connection was closed.";
}

impl Trouble {
    pub(super) fn new(kind: TroubleKind, line: impl ToString) -> Trouble {
        Trouble { kind, line: line.to_string(), answer: None }
    }
}
