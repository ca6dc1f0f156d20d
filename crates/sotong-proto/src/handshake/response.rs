//! What stays of a server's response.

use std::fmt;
use std::sync::Arc;

use super::header::trim;
use super::lines::{self, split_line, text};

/// What a server said when it agreed: the headers of its 101.
///
/// Cheap to clone, and kept small as a [`Request`](super::Request) is: 16 bytes that point to one shared allocation,
/// without the headers that only the handshake needs (`Upgrade`, `Connection`, `Sec-WebSocket-Accept`).
///
/// Its `Debug` form shows the names of headers, not their values: those hold cookies.
#[derive(Clone)]
pub struct Response {
    lines: Arc<[u8]>,
}

const CONSUMED: [&str; 3] = ["Upgrade", "Connection", "Sec-WebSocket-Accept"];

impl Response {
    /// Keeps `headers`, which have been checked.
    pub(super) fn new<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut lines = Vec::with_capacity(256);
        lines::push_fields(&mut lines, headers, &CONSUMED);
        Response { lines: lines.into() }
    }

    /// The sub-protocol that the server chose; one of those that were offered, or `None`.
    pub fn protocol(&self) -> Option<&str> {
        lines::values(&self.lines, "Sec-WebSocket-Protocol").next().map(|value| text(trim(value)))
    }

    /// The value of the first header of that name, in any case of letters; `None` if there is none or it is not
    /// UTF-8 ([`headers`](Self::headers) gives its bytes).
    pub fn header(&self, name: &str) -> Option<&str> {
        lines::first_text(&self.lines, name)
    }

    /// The headers in their order, without the three that the handshake consumes. Values come without the white
    /// space around them.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        lines::fields(&self.lines)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("headers", &self.headers().map(|(name, _)| name).collect::<Vec<_>>())
            .field("protocol", &self.protocol())
            .finish()
    }
}

/// A server's answer that is not 101: it does not agree.
///
/// Status, reason, headers and the first bytes of the body, for the caller to judge: a 401 wants a password, a 3xx
/// names another place, a 503 another time. Nothing is followed or retried here.
///
/// `Debug` shows the names of headers and the length of the body only.
#[derive(Clone, PartialEq, Eq)]
pub struct RefusedResponse {
    status: u16,
    /// The reason, then the headers.
    lines: Box<[u8]>,
    body: Vec<u8>,
    body_is_whole: bool,
}

impl RefusedResponse {
    /// The most bytes of a body that are kept: 64 KiB. Enough for what a server has to say about a refusal; more
    /// would let it fill our memory.
    pub const BODY_BYTES_MAX: usize = 64 * 1024;

    pub(super) fn new<'a>(
        status: u16,
        reason: &str,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Self {
        let mut lines = reason.as_bytes().to_vec();
        lines.push(b'\n');
        lines::push_fields(&mut lines, headers, &[]);
        RefusedResponse { status, lines: lines.into(), body: Vec::new(), body_is_whole: false }
    }

    pub(super) fn with_body(mut self, body: Vec<u8>, body_is_whole: bool) -> Self {
        (self.body, self.body_is_whole) = (body, body_is_whole);
        self
    }

    /// The HTTP status: 200 to 999, for nothing stops a server from inventing one.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// What stands behind the status; empty if nothing does, or if it is not ASCII.
    pub fn reason(&self) -> &str {
        text(split_line(&self.lines).0)
    }

    /// The value of the first header of that name, in any case of letters; `None` if there is none or it is not
    /// UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        lines::first_text(split_line(&self.lines).1, name)
    }

    /// All headers in their order. Values come without the white space around them.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        lines::fields(split_line(&self.lines).1)
    }

    /// The first bytes of the body, at most [`BODY_BYTES_MAX`](Self::BODY_BYTES_MAX). A chunked body comes without
    /// its chunk headers; what is compressed stays compressed (see `Content-Encoding`).
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether [`body`](Self::body) is all of it: not if it was longer, malformed, cut off by the end of the
    /// connection, or did not come in time.
    pub fn body_is_whole(&self) -> bool {
        self.body_is_whole
    }
}

impl fmt::Display for RefusedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.reason().is_empty() { "" } else { " " };
        write!(f, "the server answered {}{space}{} instead of 101", self.status, self.reason())
    }
}

impl fmt::Debug for RefusedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefusedResponse")
            .field("status", &self.status)
            .field("headers", &self.headers().map(|(name, _)| name).collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .field("body_is_whole", &self.body_is_whole)
            .finish()
    }
}
