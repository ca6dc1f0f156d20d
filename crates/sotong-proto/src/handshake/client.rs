//! The client's handshake as a state that is consumed to go on.

use std::fmt;

use super::answer::{Answer, Asked};
use super::body::Body;
use super::client_request::ClientRequest;
use super::head::HeadScanner;
use super::key::Key;
use super::request::Request;
use super::response::{RefusedResponse, Response};
use super::response_error::ResponseError;
use crate::extension::deflate::Offered;
use crate::{Config, Deflate, Time};

/// How many responses of status 1xx are skipped before the final one. Servers send one (100, 103) or two.
pub(super) const INTERIM_RESPONSES_MAX: usize = 8;

/// A connection that has asked, or is about to, and waits for the answer.
///
/// Send [`request_bytes`](Self::request_bytes). Then give it what arrives with [`receive`](Self::receive), the end of
/// the stream with [`end_of_stream`](Self::end_of_stream), and the time with
/// [`handle_timeout`](Self::handle_timeout) when [`deadline`](Self::deadline) comes. There is nothing to send frames
/// with before the answer is known and good (RFC 6455, section 4.1): that needs
/// [`ClientProgress::Established`].
///
/// It holds at most [`Config::head_bytes_max`] bytes of a head that is not complete, and of a refusal
/// [`RefusedResponse::BODY_BYTES_MAX`] bytes of its body.
///
/// ```
/// use sotong_proto::handshake::{ClientHandshake, ClientProgress, ClientRequest};
/// use sotong_proto::{Config, Time};
///
/// let request = ClientRequest::new("server.example", "/chat")?;
/// let nonce = *b"the sample nonce"; // 16 bytes from the operating system, new for each attempt
/// let handshake = ClientHandshake::new(request, nonce, &Config::default(), Time::ZERO);
/// assert!(handshake.request_bytes().starts_with(b"GET /chat HTTP/1.1\r\nHost: server.example\r\n"));
///
/// // The answer may be cut anywhere, and frames may follow it at once.
/// let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05Hello";
/// match handshake.receive(answer) {
///     ClientProgress::Established { early, .. } => assert_eq!(early, b"\x81\x05Hello"),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), sotong_proto::handshake::RequestError>(())
/// ```
pub struct ClientHandshake {
    request: Request,
    request_bytes: Vec<u8>,
    /// What was offered of permessage-deflate.
    offered: Option<Offered>,
    key: Key,
    deadline: Time,
    scanner: HeadScanner,
    /// The head so far, when it did not come in one piece.
    head: Vec<u8>,
    interim_responses: usize,
    /// The answer is no, and its body is not complete.
    refused: Option<Box<(RefusedResponse, Body)>>,
}

/// What is known after some bytes.
#[derive(Debug)]
pub enum ClientProgress {
    /// The answer is not complete: go on with this when more bytes come.
    More(ClientHandshake),
    /// The server agrees, in full accordance with RFC 6455, section 4.1.
    Established {
        /// What was asked for; its [`protocol`](Request::protocol) is the one that the server chose.
        request: Request,
        /// What the server said.
        response: Response,
        /// The compression that was agreed on: for
        /// [`Connection::with_deflate`](crate::Connection::with_deflate) and
        /// [`Outbox::with_deflate`](crate::Outbox::with_deflate).
        deflate: Option<Deflate>,
        /// What came after the head: the first frames. Feed them to the connection before anything else.
        early: Vec<u8>,
    },
    /// The server does not agree. Close.
    Refused(RefusedResponse),
    /// What came is not an answer, or not one to our question. Close.
    Failed(ResponseError),
}

impl ClientHandshake {
    /// The handshake that asks for `request`, from `now` on.
    ///
    /// `nonce` must be random and new for each attempt (RFC 6455, section 4.1, 7): the answer shows that the server
    /// has read *this* request, so an old answer from a cache is of no use. Of `config` it uses
    /// `handshake_timeout`, `head_bytes_max` and `headers_max`.
    pub fn new(request: ClientRequest, nonce: [u8; 16], config: &Config, now: Time) -> Self {
        let key = Key::from_nonce(nonce);
        ClientHandshake {
            request: request.to_request(),
            request_bytes: request.to_bytes(&key),
            offered: request.offered(),
            key,
            deadline: now + config.handshake_timeout,
            scanner: HeadScanner::response(config),
            head: Vec::new(),
            interim_responses: 0,
            refused: None,
        }
    }

    /// The request head, to be sent first.
    pub fn request_bytes(&self) -> &[u8] {
        &self.request_bytes
    }

    /// What is asked for, in the form that a server keeps of it.
    pub fn request(&self) -> Request {
        self.request.clone()
    }

    /// When the server's time is up; it does not move, however much the server sends.
    pub fn deadline(&self) -> Time {
        self.deadline
    }

    /// Looks at the time: [`More`](ClientProgress::More) while the deadline has not come. Then a refusal whose body
    /// is not complete is told with what has come of it; anything less is [`ResponseError::TooLate`].
    pub fn handle_timeout(self, now: Time) -> ClientProgress {
        if now < self.deadline {
            return ClientProgress::More(self);
        }
        self.give_up(false, ResponseError::TooLate)
    }

    /// Takes the end of the stream: it completes a body that has no other end, and ends everything else.
    pub fn end_of_stream(self) -> ClientProgress {
        let whole = self.refused.as_deref().is_some_and(|(_, body)| body.ends_with_stream());
        let received = self.head.len();
        self.give_up(whole, ResponseError::Ended { received })
    }

    fn give_up(self, body_is_whole: bool, error: ResponseError) -> ClientProgress {
        match self.refused {
            Some(refused) => {
                let (response, body) = *refused;
                ClientProgress::Refused(response.with_body(body.into_bytes(), body_is_whole))
            }
            None => ClientProgress::Failed(error),
        }
    }

    /// Takes the next bytes that the server sent. However they are cut, the outcome is the same, and the work grows
    /// with their number only.
    ///
    /// Bytes beyond the head are kept as they are, all of them: hand over what one read gave, and read no more
    /// until you know.
    pub fn receive(mut self, mut bytes: &[u8]) -> ClientProgress {
        while self.refused.is_none() {
            let end = match self.scanner.scan(bytes) {
                Ok(Some(end)) => end,
                Ok(None) => {
                    self.head.extend_from_slice(bytes);
                    return ClientProgress::More(self);
                }
                Err(fault) => return ClientProgress::Failed(fault.into()),
            };
            let (last, early) = bytes.split_at(end);
            // Most heads come in one piece, and need no copy.
            let head = if self.head.is_empty() {
                last
            } else {
                self.head.extend_from_slice(last);
                &self.head
            };
            let asked = Asked { request: &self.request, offered: self.offered, accept: &self.key.accept() };
            match Answer::of(head, self.scanner.headers(), &asked) {
                Ok(Answer::Yes(response, deflate)) => {
                    let request = match response.protocol() {
                        Some(protocol) => self.request.with_protocol(protocol),
                        None => self.request,
                    };
                    return ClientProgress::Established { request, response, deflate, early: early.to_vec() };
                }
                Ok(Answer::NotYet) if self.interim_responses == INTERIM_RESPONSES_MAX => {
                    return ClientProgress::Failed(ResponseError::InterimResponses {
                        max: INTERIM_RESPONSES_MAX,
                    });
                }
                Ok(Answer::NotYet) => {
                    self.interim_responses += 1;
                    self.scanner.restart();
                }
                Ok(Answer::No(response, framing)) => {
                    self.refused = Some(Box::new((response, Body::new(framing))));
                }
                Err(error) => return ClientProgress::Failed(error),
            }
            self.head = Vec::new();
            bytes = early;
        }
        match self.refused.as_deref_mut().and_then(|(_, body)| body.take(bytes)) {
            None => ClientProgress::More(self),
            Some(whole) => self.give_up(whole, ResponseError::TooLate),
        }
    }
}

impl fmt::Debug for ClientHandshake {
    /// Without the request's bytes, which hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHandshake")
            .field("request", &self.request)
            .field("deadline", &self.deadline)
            .field("head_bytes", &self.head.len())
            .field("refused", &self.refused.as_deref().map(|(response, _)| response))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::server::LOOKED_AT;
    use super::*;

    fn handshake() -> ClientHandshake {
        let request = ClientRequest::new("a", "/").expect("a request");
        ClientHandshake::new(request, *b"the sample nonce", &Config::default(), Time::ZERO)
    }

    const YES: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    #[test]
    fn each_byte_is_scanned_once_and_parsed_once() {
        let padding = Config::default().head_bytes_max - YES.len() - "X: \r\n\r\n".len();
        let head = format!("{YES}X: {}\r\n\r\n", "x".repeat(padding));
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n".repeat(INTERIM_RESPONSES_MAX);
        let all = interim + &head;
        assert_eq!(head.len(), 16 * 1024);

        LOOKED_AT.set(0);
        let mut handshake = handshake();
        for byte in &all.as_bytes()[..all.len() - 1] {
            handshake = match handshake.receive(&[*byte]) {
                ClientProgress::More(handshake) => handshake,
                other => panic!("{other:?}"),
            };
            assert!(handshake.head.capacity() <= 2 * Config::default().head_bytes_max);
        }
        assert!(matches!(handshake.receive(b"\n"), ClientProgress::Established { .. }));
        assert_eq!(LOOKED_AT.get(), 2 * all.len(), "scanned once, parsed once");
    }

    #[test]
    fn nothing_is_looked_at_beyond_the_limit() {
        LOOKED_AT.set(0);
        let endless = [YES.as_bytes(), b"X: ", &vec![b'x'; 1 << 20]].concat();
        let failed = handshake().receive(&endless);
        assert!(
            matches!(failed, ClientProgress::Failed(ResponseError::HeadBytes { max: 16384 })),
            "{failed:?}"
        );
        assert!(LOOKED_AT.get() <= Config::default().head_bytes_max);
    }

    #[test]
    fn a_response_is_small() {
        assert_eq!(size_of::<Response>(), 16);
    }
}
