//! The server's handshake as a state that is consumed to go on.

use std::fmt;

use super::demand::Demand;
use super::head::HeadScanner;
use super::header::{HeaderError, SentHeaders, write_field};
use super::key::Key;
use super::refusal::Refusal;
use super::request::Request;
use crate::{Compression, Config, Deflate, Time};

/// A connection whose peer has not yet said what it wants.
///
/// Give it what arrives with [`receive`](Self::receive), and the time with [`handle_timeout`](Self::handle_timeout)
/// when [`deadline`](Self::deadline) comes. There is nothing to send frames with: that needs an [`Accepted`]. It holds
/// at most [`Config::head_bytes_max`] bytes (what an incomplete head needs), and nothing at all when the head comes
/// in one piece.
///
/// See the [module](super) for an example.
#[derive(Debug)]
pub struct ServerHandshake {
    scanner: HeadScanner,
    /// The head so far, when it did not come in one piece.
    head: Vec<u8>,
    deadline: Time,
}

/// What is known after some bytes.
#[derive(Debug)]
pub enum Progress {
    /// The head is not complete: go on with this when more bytes come.
    More(ServerHandshake),
    /// The peer asks for a WebSocket, in full accordance with RFC 6455, section 4.2.1.
    Request(Offer),
    /// A well-formed HTTP request for something else: it has no `Upgrade` header that names `websocket`. Here is
    /// everything that was received, for whoever serves HTTP on this port; or answer with
    /// [`Refusal::upgrade_required`].
    Page(Vec<u8>),
    /// What came is not acceptable. Send this, then close.
    Refused(Refusal),
}

impl ServerHandshake {
    /// The handshake of a connection that was accepted `now`.
    ///
    /// Of `config` it uses `handshake_timeout`, `request_line_bytes_max`, `head_bytes_max` and `headers_max`.
    pub fn new(config: &Config, now: Time) -> Self {
        ServerHandshake {
            scanner: HeadScanner::request(config),
            head: Vec::new(),
            deadline: now + config.handshake_timeout,
        }
    }

    /// When the peer's time is up; it does not move, however much the peer sends.
    pub fn deadline(&self) -> Time {
        self.deadline
    }

    /// The refusal (408) if the deadline has come, else `None`.
    pub fn handle_timeout(&self, now: Time) -> Option<Refusal> {
        (now >= self.deadline).then(Refusal::head_too_late)
    }

    /// Takes the next bytes that the peer sent. However they are cut, the outcome is the same, and the work grows
    /// with their number only.
    ///
    /// Bytes beyond the head are kept as they are, all of them: hand over what one read gave, and read no more
    /// until you know.
    pub fn receive(mut self, bytes: &[u8]) -> Progress {
        let end = match self.scanner.scan(bytes) {
            Ok(Some(end)) => end,
            Ok(None) => {
                self.head.extend_from_slice(bytes);
                return Progress::More(self);
            }
            Err(fault) => return Progress::Refused(fault.into()),
        };
        let (last, early) = bytes.split_at(end);
        // Most heads come in one piece, and need no copy.
        let head = if self.head.is_empty() {
            last
        } else {
            self.head.extend_from_slice(last);
            &self.head
        };
        match Demand::of(head, self.scanner.headers()) {
            Ok(Demand::WebSocket(request, key)) => {
                Progress::Request(Offer { request, key, early: early.to_vec() })
            }
            Ok(Demand::Page) => Progress::Page([head, early].concat()),
            Err(refusal) => Progress::Refused(refusal),
        }
    }
}

/// A valid request for a WebSocket, which waits for an answer.
#[derive(Debug)]
#[must_use = "the peer waits for an answer"]
pub struct Offer {
    pub(super) request: Request,
    pub(super) key: Key,
    pub(super) early: Vec<u8>,
}

impl Offer {
    /// What the peer asks for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Says yes: the response to send (RFC 6455, section 4.2.2), and what the connection starts with.
    ///
    /// Of extensions permessage-deflate is agreed to, if the peer offers it and `accept` wants it; what was agreed is in
    /// the [`Accepted`].
    ///
    /// # Errors
    /// When `accept` names a protocol that the peer did not offer. Nothing was sent then; answer with
    /// [`Refusal::from`] the error, which is a 500.
    pub fn accept(self, accept: Accept) -> Result<Accepted, AcceptError> {
        let Accept { protocol, compression, headers } = accept;
        let mut response = Vec::with_capacity(256);
        response.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        write_field(&mut response, "Upgrade", "websocket");
        write_field(&mut response, "Connection", "Upgrade");
        write_field(&mut response, "Sec-WebSocket-Accept", &self.key.accept());
        let deflate =
            compression.flatten().and_then(|wanted| Deflate::choose(self.request.extensions(), &wanted));
        if let Some((_, element)) = &deflate {
            write_field(&mut response, "Sec-WebSocket-Extensions", element);
        }
        let request = match protocol {
            None => self.request,
            Some(protocol) => {
                // What was offered was checked to be a token, so what equals it is fit to be sent.
                if !self.request.protocols().any(|offered| offered == protocol) {
                    return Err(AcceptError::ProtocolNotOffered { protocol });
                }
                write_field(&mut response, "Sec-WebSocket-Protocol", &protocol);
                self.request.with_protocol(&protocol)
            }
        };
        headers.write(&mut response);
        response.extend_from_slice(b"\r\n");
        Ok(Accepted { response, request, deflate: deflate.map(|(deflate, _)| deflate), early: self.early })
    }

    /// Says no: the response to send before the connection is closed.
    #[must_use = "the bytes must be sent"]
    pub fn refuse(self, refusal: Refusal) -> Vec<u8> {
        refusal.to_bytes()
    }
}

/// How to say yes: with which sub-protocol, compressed or not, with which headers besides. The default: none.
///
/// ```
/// use sotong_proto::handshake::Accept;
///
/// let accept = Accept::default().with_protocol("chat.v1").with_header("Set-Cookie", "seen=1")?;
/// assert!(accept.with_header("X-Room", "a\r\nSet-Cookie: admin=1").is_err());
/// # Ok::<(), sotong_proto::handshake::HeaderError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accept {
    protocol: Option<String>,
    /// `None` if nothing was said about it.
    compression: Option<Option<Compression>>,
    headers: SentHeaders,
}

impl Accept {
    /// Chooses a sub-protocol. It must be one that the peer offered, or [`Offer::accept`] fails;
    /// [`Request::choose_protocol`] finds one.
    #[must_use]
    pub fn with_protocol(mut self, protocol: impl Into<String>) -> Self {
        self.protocol = Some(protocol.into());
        self
    }

    /// Agrees to permessage-deflate (RFC 7692), if the peer offers it. The first of its offers that makes sense counts.
    ///
    /// ```
    /// use sotong_proto::handshake::Accept;
    /// use sotong_proto::Compression;
    ///
    /// let accept = Accept::default().with_compression(Some(Compression::shared()));
    /// assert!(accept.compression().is_some());
    /// ```
    #[must_use]
    pub fn with_compression(mut self, compression: Option<Compression>) -> Self {
        self.compression = Some(compression);
        self
    }

    /// The same where nothing was said about it before: for what is the rule unless an application makes an exception.
    #[must_use]
    pub fn with_default_compression(mut self, compression: Option<Compression>) -> Self {
        self.compression.get_or_insert(compression);
        self
    }

    /// Adds a header field to the response.
    ///
    /// # Errors
    /// When the field cannot be sent: see [`HeaderError`].
    pub fn with_header(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, HeaderError> {
        self.headers.add(name.into(), value.into())?;
        Ok(self)
    }

    /// The sub-protocol that was chosen.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The compression that would be agreed to.
    pub fn compression(&self) -> Option<&Compression> {
        self.compression.as_ref()?.as_ref()
    }
}

/// A handshake that is done, once [`response`](Self::response) has been sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted {
    /// The response, ready to send.
    pub response: Vec<u8>,
    /// What the peer asked for; its [`protocol`](Request::protocol) is the one that was chosen.
    pub request: Request,
    /// The compression that was agreed on: for [`Connection::with_deflate`](crate::Connection::with_deflate) and
    /// [`Outbox::with_deflate`](crate::Outbox::with_deflate).
    pub deflate: Option<Deflate>,
    /// What came after the head: the first frames of a peer that did not wait. Feed them to the connection before
    /// anything else.
    pub early: Vec<u8>,
}

/// The application's way to say yes cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptError {
    /// RFC 6455, section 4.2.2, 5: a server may only choose among what the client offered, and a client that gets
    /// anything else must fail the connection.
    ProtocolNotOffered {
        /// What was to be chosen.
        protocol: String,
    },
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcceptError::ProtocolNotOffered { protocol } => {
                write!(f, "sub-protocol {protocol:?} was chosen, which the client did not offer")
            }
        }
    }
}

impl std::error::Error for AcceptError {}

impl From<AcceptError> for Refusal {
    /// 500: it is not the peer's fault, and not its business.
    fn from(_: AcceptError) -> Self {
        Refusal::line(500, "the server could not build its answer")
    }
}

#[cfg(test)]
thread_local! {
    pub(super) static LOOKED_AT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts the bytes that are looked at, so that a test can show that their number is linear without a clock.
#[cfg(test)]
pub(super) fn looked_at(bytes: usize) {
    LOOKED_AT.set(LOOKED_AT.get() + bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(padding: usize) -> Vec<u8> {
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            .to_vec();
        if padding > 0 {
            head.extend_from_slice(b"X: ");
            head.resize(head.len() + padding - 5, b'x');
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    #[test]
    fn a15_each_byte_is_scanned_once_and_parsed_once() {
        let config = Config::default();
        let padding = config.head_bytes_max - head(0).len();
        let head = head(padding);
        assert_eq!(head.len(), 16 * 1024);

        LOOKED_AT.set(0);
        let mut handshake = ServerHandshake::new(&config, Time::ZERO);
        for byte in &head[..head.len() - 1] {
            handshake = match handshake.receive(&[*byte]) {
                Progress::More(handshake) => handshake,
                other => panic!("{other:?}"),
            };
        }
        assert_eq!(LOOKED_AT.get(), head.len() - 1, "scanned once, not yet parsed");
        assert!(matches!(handshake.receive(b"\n"), Progress::Request(_)));
        assert_eq!(LOOKED_AT.get(), 2 * head.len(), "scanned once, parsed once");
    }

    #[test]
    fn a15_nothing_is_looked_at_beyond_the_limit() {
        let config = Config::default();
        LOOKED_AT.set(0);
        let endless = [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 1 << 20]].concat();
        let handshake = ServerHandshake::new(&config, Time::ZERO);
        assert!(matches!(handshake.receive(&endless), Progress::Refused(refusal) if refusal.status() == 431));
        assert!(LOOKED_AT.get() <= config.head_bytes_max);
    }

    #[test]
    fn a_request_is_small() {
        assert_eq!(size_of::<Request>(), 16);
        let Progress::Request(offer) = ServerHandshake::new(&Config::default(), Time::ZERO).receive(&head(0))
        else {
            panic!("a valid request");
        };
        // "\n", "/\n", "Host:a\n" and the two counters.
        assert_eq!(offer.request().kept_bytes(), 1 + 2 + 7 + 16);
    }
}
