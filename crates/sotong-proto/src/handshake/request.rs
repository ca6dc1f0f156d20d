//! What stays of a request with its connection.

use std::fmt;
use std::sync::Arc;

use memchr::memchr;

use super::extensions::{self, ExtensionOffer};
use super::header::list;
use super::lines::{self, split_line, text};
use super::target::Target;

/// What the peer asked for: the target and the headers of the request that became (or wants to become) a WebSocket.
///
/// Cheap to clone: 16 bytes that point to one shared allocation. It stays as long as the connection, so it is kept
/// small: the header lines one after another, without those that only the handshake needs (`Upgrade`, `Connection`,
/// `Sec-WebSocket-Key`, `Sec-WebSocket-Version`). The methods search it anew each time; keep what you need often.
///
/// Its `Debug` form shows the path and the names of headers, not query or values: those hold passwords and
/// cookies.
///
/// ```
/// # use sotong_proto::handshake::{Progress, ServerHandshake};
/// # use sotong_proto::{Config, Time};
/// # let head = b"GET /chat?room=1 HTTP/1.1\r\nHost: server.example:8000\r\nOrigin: http://server.example:8000\r\n\
/// #     Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
/// #     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat.v2, chat.v1\r\n\r\n";
/// # let handshake = ServerHandshake::new(&Config::default(), Time::ZERO);
/// # let Progress::Request(offer) = handshake.receive(head) else { panic!() };
/// let request = offer.request();
/// assert_eq!(request.target(), "/chat?room=1");
/// assert_eq!((request.path(), request.query()), ("/chat", Some("room=1")));
/// assert_eq!(request.host(), "server.example:8000");
/// assert_eq!(request.header("ORIGIN"), request.origin());
/// assert!(request.protocols().eq(["chat.v2", "chat.v1"]));
/// assert_eq!(request.header("Sec-WebSocket-Key"), None); // used up by the handshake
/// ```
#[derive(Clone)]
pub struct Request {
    /// Lines that end with LF: the chosen protocol (empty: none), the target, then `name:value` of each header. No
    /// part can hold an LF, so lengths and offsets need not be kept.
    lines: Arc<[u8]>,
}

/// The headers that the handshake consumes: checked, answered, of no use to anybody afterwards.
const CONSUMED: [&str; 4] = ["Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"];

impl Request {
    /// Keeps `target` and `headers`, which have been checked.
    pub(super) fn new<'a>(target: &str, headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        debug_assert!(memchr(b'\n', target.as_bytes()).is_none());
        let mut lines = Vec::with_capacity(512);
        lines.push(b'\n');
        lines.extend_from_slice(target.as_bytes());
        lines.push(b'\n');
        lines::push_fields(&mut lines, headers, &CONSUMED);
        Request { lines: lines.into() }
    }

    /// The same request with the protocol that was chosen, which must be one of those it offers.
    pub(super) fn with_protocol(&self, protocol: &str) -> Self {
        debug_assert!(self.protocols().any(|offered| offered == protocol));
        let (_, rest) = split_line(&self.lines);
        let mut lines = Vec::with_capacity(protocol.len() + 1 + rest.len());
        lines.extend_from_slice(protocol.as_bytes());
        lines.push(b'\n');
        lines.extend_from_slice(rest);
        Request { lines: lines.into() }
    }

    /// The sub-protocol that was chosen for the connection; `None` before it is accepted, and when none was chosen.
    pub fn protocol(&self) -> Option<&str> {
        let (protocol, _) = split_line(&self.lines);
        Some(text(protocol)).filter(|protocol| !protocol.is_empty())
    }

    /// The request target as the peer wrote it: `/chat?room=1`, or `http://host/chat?room=1`. Nothing is decoded.
    pub fn target(&self) -> &str {
        let (_, rest) = split_line(&self.lines);
        let (target, _) = split_line(rest);
        text(target)
    }

    /// The path of the target, `/` at least. Percent escapes stay as they are.
    pub fn path(&self) -> &str {
        // The target was parsed once before it was kept, so this does not fail.
        Target::parse(self.target()).map_or("/", |target| target.path)
    }

    /// What follows the first `?` of the target. `Some("")` when there is a `?` and nothing behind it.
    pub fn query(&self) -> Option<&str> {
        Target::parse(self.target()).and_then(|target| target.query)
    }

    /// The host that the peer believes to talk to, with its port if it wrote one.
    ///
    /// The value of `Host`, but of the target if that is in absolute form (RFC 9112, section 3.2.2).
    pub fn host(&self) -> &str {
        let authority = Target::parse(self.target()).and_then(|target| target.authority);
        authority.or_else(|| self.header("Host")).unwrap_or_default()
    }

    /// The origin of the page that a browser connects for; `None`: not a browser (RFC 6455, section 10.2).
    ///
    /// Programs that are no browsers can write here what they like.
    pub fn origin(&self) -> Option<&str> {
        self.header("Origin")
    }

    /// The value of the first header of that name, in any case of letters; `None` if there is none or it is not
    /// UTF-8 ([`headers`](Self::headers) gives its bytes).
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.values(name).next()?;
        std::str::from_utf8(value).ok()
    }

    /// The headers in their order, without the four that the handshake consumes. Values come without the white
    /// space around them.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let (_, rest) = split_line(&self.lines);
        let (_, fields) = split_line(rest);
        lines::fields(fields)
    }

    /// The sub-protocols that the peer offers, the one it likes most first.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        self.values("Sec-WebSocket-Protocol").flat_map(list).map(text)
    }

    /// The first of `supported` that the peer offers: the server's preference decides.
    ///
    /// ```
    /// # use sotong_proto::handshake::{Accept, Request};
    /// fn choose(request: &Request) -> Accept {
    ///     match request.choose_protocol(["chat.v2", "chat.v1"]) {
    ///         Some(protocol) => Accept::default().with_protocol(protocol),
    ///         None => Accept::default(),
    ///     }
    /// }
    /// ```
    pub fn choose_protocol<'a>(&self, supported: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        supported.into_iter().find(|&protocol| self.protocols().any(|offered| offered == protocol))
    }

    /// The extensions that the peer offers, in its order.
    pub fn extensions(&self) -> impl Iterator<Item = ExtensionOffer<'_>> {
        // Each line was checked before it was kept, so nothing is left out here.
        self.values("Sec-WebSocket-Extensions").flat_map(extensions::elements).flatten()
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// How many bytes the request keeps alive, the two counters of the shared allocation included.
    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        2 * size_of::<usize>() + self.lines.len()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("path", &self.path())
            .field("headers", &self.headers().map(|(name, _)| name).collect::<Vec<_>>())
            .field("protocol", &self.protocol())
            .finish()
    }
}
