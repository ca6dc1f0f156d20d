//! What `sotong bench` was told.

use std::path::PathBuf;
use std::time::Duration;

use crate::connect::Trust;

pub use super::payload::{Kind, Sizes};

/// How many messages of a connection may wait for their answers when a rate is kept: what a server takes and never
/// answers costs memory here.
pub(super) const WAITING_MAX: usize = 65_536;

/// What `sotong bench` was told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to, and how to get there.
    pub target: Target,
    /// How many connections.
    pub connections: usize,
    /// How much is asked of them.
    pub load: Load,
    /// What is said, and what is expected for it.
    pub exchange: Exchange,
    /// Whether messages are text or bytes.
    pub kind: Kind,
    /// How large messages are.
    pub sizes: Sizes,
    /// A message to send instead of made ones.
    pub message: Option<String>,
    /// How long is measured.
    pub duration: Duration,
    /// Over which time connections are opened.
    pub ramp: Duration,
    /// How long after the last connection measuring begins.
    pub warm_up: Duration,
    /// How long an answer may take.
    pub answer_timeout: Duration,
    /// How many threads; `None` for as many as seem right.
    pub threads: Option<usize>,
    /// What is shown.
    pub shown: Shown,
}

/// Where to, and how to get there.
#[derive(Clone, Debug)]
pub struct Target {
    /// `ws://` or `wss://`.
    pub url: String,
    /// Headers of the request, by name and value.
    pub headers: Vec<(String, String)>,
    /// Sub-protocols to offer, the one that is liked most first.
    pub protocols: Vec<String>,
    /// The header `Origin`.
    pub origin: Option<String>,
    /// How long a connect may take.
    pub connect_timeout: Duration,
    /// The largest message that the server may send.
    pub message_bytes_max: u64,
    /// Which compression to offer.
    pub compression: Option<sotong::Compression>,
    /// A file with certificates to trust besides the platform's.
    pub ca: Option<PathBuf>,
    /// Whether certificates are checked.
    pub trust: Trust,
}

/// How much is asked of the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// Closed loop: on each connection so many messages are on their way, and an answer brings the next one.
    InFlight(usize),
    /// Open loop: so many messages a second on all connections together, whatever the server does.
    Rate(f64),
}

/// What is said, and what is expected for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Each message comes back unchanged.
    Echo,
    /// Each message is answered by one message, whatever it says.
    Reply,
    /// Messages are sent, and nothing is expected.
    Push,
    /// Messages are received, and none is sent but perhaps a first one.
    Receive,
    /// Connections are opened and closed.
    Connect,
}

impl Exchange {
    /// Its name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Exchange::Echo => "echo",
            Exchange::Reply => "reply",
            Exchange::Push => "push",
            Exchange::Receive => "receive",
            Exchange::Connect => "connect",
        }
    }

    /// Whether messages have answers, and these a latency.
    pub(super) fn has_answers(self) -> bool {
        matches!(self, Exchange::Echo | Exchange::Reply)
    }

    /// What is counted, for people.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Exchange::Echo | Exchange::Reply => "answers",
            Exchange::Push => "messages sent",
            Exchange::Receive => "messages received",
            Exchange::Connect => "connections",
        }
    }
}

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The result as JSON instead of text.
    pub json: bool,
    /// A file for a page.
    pub html: Option<PathBuf>,
    /// No progress and no notices.
    pub quiet: bool,
}
