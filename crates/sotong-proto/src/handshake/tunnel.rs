//! A request for a tunnel through an HTTP proxy (CONNECT; RFC 9110, section 9.3.6) as a state that is consumed to go on.

use std::fmt;

use super::answer::malformed;
use super::authority::Authority;
use super::body::{Body, Framing};
use super::client::INTERIM_RESPONSES_MAX;
use super::client_request::RequestError;
use super::fields::Fields;
use super::head::HeadScanner;
use super::header::{HeaderError, SentHeaders, write_field};
use super::response::RefusedResponse;
use super::response_error::ResponseError;
use crate::Config;

/// A proxy that was asked for a tunnel, or is about to be.
///
/// RFC 6455, section 4.1, 3 has a client ask this of an HTTP proxy for `ws:` as for `wss:`. Send
/// [`request_bytes`](Self::request_bytes), then give it what arrives. What is read here is held to the same limits and
/// the same grammar as a server's answer: [`Config::head_bytes_max`], [`Config::headers_max`],
/// [`RefusedResponse::BODY_BYTES_MAX`]. It has no deadline of its own: whoever waits has one, and calls
/// [`give_up`](Self::give_up).
///
/// ```
/// use sotong_proto::Config;
/// use sotong_proto::handshake::{TunnelHandshake, TunnelProgress};
///
/// let tunnel = TunnelHandshake::new("server.example:443", &Config::default())?;
/// assert_eq!(tunnel.request_bytes(), b"CONNECT server.example:443 HTTP/1.1\r\nHost: server.example:443\r\n\r\n");
/// // What stands behind the head comes from the other end of the tunnel already.
/// match tunnel.receive(b"HTTP/1.1 200 Connection established\r\n\r\nfirst bytes") {
///     TunnelProgress::Open { early } => assert_eq!(early, b"first bytes"),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), sotong_proto::handshake::RequestError>(())
/// ```
pub struct TunnelHandshake {
    authority: String,
    headers: SentHeaders,
    scanner: HeadScanner,
    /// The head so far, when it did not come in one piece.
    head: Vec<u8>,
    interim_responses: usize,
    /// The answer is no, and its body is not complete.
    refused: Option<Box<(RefusedResponse, Body)>>,
}

/// What is known after some bytes of a proxy.
#[derive(Debug)]
pub enum TunnelProgress {
    /// The answer is not complete: go on with this when more bytes come.
    More(TunnelHandshake),
    /// The way is open.
    Open {
        /// What came after the head, from the other end of the tunnel. It is read before anything else.
        early: Vec<u8>,
    },
    /// The proxy does not open a way. Close.
    Refused(RefusedResponse),
    /// What came is no answer. Close.
    Failed(ResponseError),
}

impl TunnelHandshake {
    /// A request for a tunnel to `authority`: a host and a port (`name:port`, `[v6-address]:port`), always with the port.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(authority: impl Into<String>, config: &Config) -> Result<Self, RequestError> {
        let authority = authority.into();
        if Authority::parse(&authority).is_none_or(|parsed| parsed.port.is_none()) {
            return Err(RequestError::Host { host: authority });
        }
        Ok(TunnelHandshake {
            authority,
            headers: SentHeaders::default(),
            scanner: HeadScanner::response(config),
            head: Vec::new(),
            interim_responses: 0,
            refused: None,
        })
    }

    /// Adds a header field, such as `Proxy-Authorization`.
    ///
    /// # Errors
    /// As [`ClientRequest::with_header`](super::ClientRequest::with_header).
    pub fn with_header(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, HeaderError> {
        let name = name.into();
        if name.eq_ignore_ascii_case("Host") {
            return Err(HeaderError::Managed { name });
        }
        self.headers.add(name, value.into())?;
        Ok(self)
    }

    /// The request head, to be sent first.
    pub fn request_bytes(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(256);
        for part in ["CONNECT ", &self.authority, " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        write_field(&mut head, "Host", &self.authority);
        self.headers.write(&mut head);
        head.extend_from_slice(b"\r\n");
        head
    }

    /// Takes the next bytes that the proxy sent. However they are cut, the outcome is the same.
    pub fn receive(mut self, mut bytes: &[u8]) -> TunnelProgress {
        while self.refused.is_none() {
            let end = match self.scanner.scan(bytes) {
                Ok(Some(end)) => end,
                Ok(None) => {
                    self.head.extend_from_slice(bytes);
                    return TunnelProgress::More(self);
                }
                Err(fault) => return TunnelProgress::Failed(fault.into()),
            };
            let (last, rest) = bytes.split_at(end);
            self.head.extend_from_slice(last);
            match Answer::of(&self.head, self.scanner.headers()) {
                Ok(Answer::Yes) => return TunnelProgress::Open { early: rest.to_vec() },
                Ok(Answer::NotYet) if self.interim_responses == INTERIM_RESPONSES_MAX => {
                    return TunnelProgress::Failed(ResponseError::InterimResponses {
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
                Err(error) => return TunnelProgress::Failed(error),
            }
            self.head = Vec::new();
            bytes = rest;
        }
        match self.refused.as_deref_mut().and_then(|(_, body)| body.take(bytes)) {
            None => TunnelProgress::More(self),
            Some(whole) => self.end(whole, ResponseError::TooLate),
        }
    }

    /// Takes the end of the stream: it completes a body that has no other end, and ends everything else.
    pub fn end_of_stream(self) -> TunnelProgress {
        let whole = self.refused.as_deref().is_some_and(|(_, body)| body.ends_with_stream());
        let received = self.head.len();
        self.end(whole, ResponseError::Ended { received })
    }

    /// Nothing more is waited for: a refusal whose body is not complete is told with what has come of it; anything less
    /// is [`ResponseError::TooLate`].
    pub fn give_up(self) -> TunnelProgress {
        self.end(false, ResponseError::TooLate)
    }

    fn end(self, body_is_whole: bool, error: ResponseError) -> TunnelProgress {
        match self.refused {
            Some(refused) => {
                let (response, body) = *refused;
                TunnelProgress::Refused(response.with_body(body.into_bytes(), body_is_whole))
            }
            None => TunnelProgress::Failed(error),
        }
    }
}

impl fmt::Debug for TunnelHandshake {
    /// Without the values of headers, which hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TunnelHandshake")
            .field("authority", &self.authority)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("head_bytes", &self.head.len())
            .field("refused", &self.refused.as_deref().map(|(response, _)| response))
            .finish()
    }
}

/// What a valid head says.
enum Answer {
    Yes,
    /// 1xx: the final response is still to come.
    NotYet,
    No(RefusedResponse, Framing),
}

impl Answer {
    /// Judges a head that ends with its empty line and holds `headers` header lines.
    fn of(head: &[u8], headers: usize) -> Result<Answer, ResponseError> {
        let mut headers = vec![httparse::EMPTY_HEADER; headers];
        let mut parsed = httparse::Response::new(&mut headers);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => {
                return Err(ResponseError::Malformed { problem: "it has no end" });
            }
            Err(error) => return Err(malformed(error)),
        }
        let fields = Fields(parsed.headers);
        match parsed.code.unwrap_or_default() {
            // "Any 2xx": the tunnel begins behind the head, and a length or a coding in it MUST be ignored.
            200..=299 => Ok(Answer::Yes),
            101 => Err(ResponseError::Malformed { problem: "status 101, where nobody asked for an upgrade" }),
            100..=199 => Ok(Answer::NotYet),
            0..=99 => Err(ResponseError::Malformed { problem: "a status below 100" }),
            status => {
                let refused = RefusedResponse::new(status, parsed.reason.unwrap_or_default(), fields.all());
                Ok(Answer::No(refused, Framing::of(status, &fields)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel() -> TunnelHandshake {
        TunnelHandshake::new("a:1", &Config::default()).expect("a host and a port")
    }

    fn in_pieces(bytes: &[u8], size: usize) -> TunnelProgress {
        let mut tunnel = tunnel();
        for piece in bytes.chunks(size) {
            match tunnel.receive(piece) {
                TunnelProgress::More(more) => tunnel = more,
                other => return other,
            }
        }
        TunnelProgress::More(tunnel)
    }

    #[test]
    fn b14_any_2xx_opens_the_tunnel_and_what_follows_is_not_a_body() {
        for status in [200, 201, 204, 299] {
            for version in ["1.0", "1.1"] {
                let answer = format!("HTTP/{version} {status} \r\nContent-Length: 3\r\n\r\nearly");
                for size in [1, 7, answer.len()] {
                    let TunnelProgress::Open { early } = in_pieces(answer.as_bytes(), size) else {
                        panic!("{answer}")
                    };
                    // Cut into pieces, the first of those behind the head is not asked for here.
                    assert!(b"early".starts_with(&early), "{early:?}");
                    assert!(size < answer.len() || early == b"early");
                }
            }
        }
    }

    #[test]
    fn b14_a_refusal_comes_with_its_body_however_it_is_cut() {
        let answer =
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"a\"\r\n\
            Content-Length: 5\r\n\r\nlog in";
        for size in [1, 2, 30, answer.len()] {
            let TunnelProgress::Refused(refused) = in_pieces(answer, size) else {
                panic!("in pieces of {size}")
            };
            assert_eq!((refused.status(), refused.reason()), (407, "Proxy Authentication Required"));
            assert_eq!(refused.header("proxy-authenticate"), Some("Basic realm=\"a\""));
            assert_eq!((refused.body(), refused.body_is_whole()), (&b"log i"[..], true));
        }
        let half = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nno";
        let TunnelProgress::More(waiting) = in_pieces(half, 10) else { panic!("the body is not complete") };
        let TunnelProgress::Refused(refused) = waiting.give_up() else {
            panic!("it is known to be a refusal")
        };
        assert_eq!((refused.body(), refused.body_is_whole()), (&b"no"[..], false));
    }

    #[test]
    fn b14_what_is_no_answer_is_told_at_the_first_byte_that_is_none() {
        let malformed = |answer: &[u8]| match in_pieces(answer, 1) {
            TunnelProgress::Failed(error) => error,
            other => panic!("{}: {other:?}", answer.escape_ascii()),
        };
        assert_eq!(malformed(b"SSH-2.0-x"), ResponseError::NotHttp);
        assert_eq!(malformed(b"\x05\x00"), ResponseError::NotHttp);
        for answer in [
            &b"HTTP/1.1 200 OK\n"[..],
            b"HTTP/1.1 200 OK\r\n folded\r\n\r\n",
            b"HTTP/1.1 2x0 OK\r\n\r\n",
            b"HTTP/1.1 099 OK\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n",
        ] {
            assert!(
                matches!(malformed(answer), ResponseError::Malformed { .. }),
                "{}",
                answer.escape_ascii()
            );
        }
    }

    #[test]
    fn b14_heads_at_the_limit_and_one_byte_past_it() {
        let max = Config::default().head_bytes_max;
        let head = |bytes: usize| {
            let start = "HTTP/1.1 200 OK\r\nX: ";
            format!("{start}{}\r\n\r\n", "x".repeat(bytes - start.len() - 4))
        };
        assert!(matches!(in_pieces(head(max).as_bytes(), 1000), TunnelProgress::Open { .. }));
        let past = in_pieces(head(max + 1).as_bytes(), 1000);
        assert!(matches!(past, TunnelProgress::Failed(ResponseError::HeadBytes { .. })), "{past:?}");
        let lines = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(count));
        let max = Config::default().headers_max;
        assert!(matches!(in_pieces(lines(max).as_bytes(), 50), TunnelProgress::Open { .. }));
        let past = in_pieces(lines(max + 1).as_bytes(), 50);
        assert!(matches!(past, TunnelProgress::Failed(ResponseError::Headers { .. })), "{past:?}");
    }

    #[test]
    fn b14_interim_answers_are_skipped_up_to_their_limit() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\n";
        let answers = |count: usize| interim.repeat(count) + "HTTP/1.1 200 OK\r\n\r\n";
        for size in [1, 1000] {
            let opened = in_pieces(answers(INTERIM_RESPONSES_MAX).as_bytes(), size);
            assert!(matches!(opened, TunnelProgress::Open { .. }), "{opened:?}");
            let failed = in_pieces(answers(INTERIM_RESPONSES_MAX + 1).as_bytes(), size);
            let expected = ResponseError::InterimResponses { max: INTERIM_RESPONSES_MAX };
            assert!(matches!(&failed, TunnelProgress::Failed(error) if *error == expected), "{failed:?}");
        }
    }

    #[test]
    fn b14_an_answer_that_ends_early_says_how_far_it_came() {
        for (bytes, received) in [(&b""[..], 0), (b"HTTP/1.1 200", 12)] {
            let TunnelProgress::More(waiting) = in_pieces(bytes, 5) else { panic!("it is not complete") };
            let ended = waiting.end_of_stream();
            let expected = ResponseError::Ended { received };
            assert!(matches!(&ended, TunnelProgress::Failed(error) if *error == expected), "{ended:?}");
        }
        assert!(matches!(tunnel().give_up(), TunnelProgress::Failed(ResponseError::TooLate)));
    }

    #[test]
    fn b14_nothing_gets_into_the_request_that_is_not_a_host_and_a_port() {
        for authority in ["", "a", "a:", "a:b", "a:1\r\nX: y", "u@a:1", "::1:1", "[::1]", "a b:1"] {
            assert!(TunnelHandshake::new(authority, &Config::default()).is_err(), "{authority:?}");
        }
        for (name, value) in
            [("Host", "b"), ("Content-Length", "1"), ("Upgrade", "x"), ("A", "b\r\nC: d"), ("A b", "")]
        {
            assert!(tunnel().with_header(name, value).is_err(), "{name}: {value:?}");
        }
        let tunnel = TunnelHandshake::new("[::1]:443", &Config::default()).expect("a host and a port");
        let tunnel = tunnel.with_header("Proxy-Authorization", "Basic secret").expect("it may be sent");
        assert_eq!(
            tunnel.request_bytes(),
            b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nProxy-Authorization: Basic secret\r\n\r\n"
        );
        let shown = format!("{tunnel:?}");
        assert!(shown.contains("Proxy-Authorization") && !shown.contains("secret"), "{shown}");
    }
}
