//! The answer when there will be no WebSocket.

use std::borrow::Cow;
use std::fmt;

use super::fields::Repeated;
use super::head::HeadFault;
use super::header::{HeaderError, SentHeaders, write_field};

/// An HTTP response instead of a WebSocket: a status and a line for the human who looks for the reason.
///
/// It goes out as HTTP/1.1 with `Content-Length` and `Connection: close`, so nothing can be taken for a half-done
/// upgrade; 426 carries `Upgrade: websocket` and `Sec-WebSocket-Version: 13` (RFC 6455, section 4.4), 405 carries
/// `Allow: GET`.
///
/// A browser's page sees none of it, only that the connection failed: that is the browser's way to keep pages from
/// probing networks. Logs and command-line clients show it.
///
/// ```
/// use sotong_proto::handshake::Refusal;
///
/// let refusal = Refusal::new(401, "who are you?\n").with_header("WWW-Authenticate", "Basic realm=\"chat\"")?;
/// let response = String::from_utf8(refusal.to_bytes())?;
/// assert!(response.starts_with("HTTP/1.1 401 Unauthorized\r\n"));
/// assert!(response.ends_with("\r\n\r\nwho are you?\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    headers: SentHeaders,
    body: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with any status of 300 to 599 and any text; 3xx usually wants a `Location` header.
    ///
    /// Any other status, and 304 (which cannot have a body), is sent as 500: a refusal must never look like
    /// consent.
    pub fn new(status: u16, body: impl Into<Cow<'static, str>>) -> Self {
        let status = match status {
            304 => 500,
            300..=599 => status,
            _ => 500,
        };
        Refusal { status, headers: SentHeaders::default(), body: body.into() }
    }

    /// 403: the request is understood and not allowed.
    pub fn forbidden(body: impl Into<Cow<'static, str>>) -> Self {
        Self::new(403, body)
    }

    /// 404: no WebSocket lives at this path.
    pub fn not_found(path: &str) -> Self {
        Self::new(404, format!("no WebSocket at {}\n", Shown(path.as_bytes())))
    }

    /// 426: this place speaks WebSocket, version 13, and nothing else. For plain HTTP requests, when no pages are
    /// served.
    pub fn upgrade_required() -> Self {
        Self::line(426, "only WebSocket (RFC 6455, version 13) is spoken here")
    }

    /// 408: the request head did not come in time.
    pub fn head_too_late() -> Self {
        Self::line(408, "the request head did not come in time")
    }

    /// 503: the server holds `connections_max` connections already.
    pub fn too_many_connections(connections_max: usize) -> Self {
        Self::line(503, format_args!("all connections_max = {connections_max} connections are in use"))
    }

    /// 400, with one line that says what is wrong.
    pub(super) fn bad_request(reason: impl fmt::Display) -> Self {
        Self::line(400, reason)
    }

    /// A body of one line.
    pub(super) fn line(status: u16, reason: impl fmt::Display) -> Self {
        Self::new(status, format!("{reason}\n"))
    }

    /// Adds a header field; a `Content-Type` replaces ours.
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

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The text that the peer is shown.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The header fields that were added by [`with_header`](Self::with_header).
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter()
    }

    /// The whole response, ready to send; then close the connection.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut response = Vec::with_capacity(256 + self.body.len());
        let status_line = format!("HTTP/1.1 {} {}\r\n", self.status, reason_phrase(self.status));
        response.extend_from_slice(status_line.as_bytes());
        match self.status {
            405 if !self.headers.has("Allow") => write_field(&mut response, "Allow", "GET"),
            426 => {
                write_field(&mut response, "Upgrade", "websocket");
                write_field(&mut response, "Sec-WebSocket-Version", "13");
            }
            _ => {}
        }
        // RFC 9110, section 7.8: who sends `Upgrade` must also name it in `Connection`.
        let connection = if self.status == 426 { "close, Upgrade" } else { "close" };
        write_field(&mut response, "Connection", connection);
        write_field(&mut response, "Content-Length", &self.body.len().to_string());
        if !self.headers.has("Content-Type") {
            write_field(&mut response, "Content-Type", "text/plain; charset=utf-8");
        }
        self.headers.write(&mut response);
        response.extend_from_slice(b"\r\n");
        response.extend_from_slice(self.body.as_bytes());
        response
    }
}

impl From<HeaderError> for Refusal {
    /// 500, so that `?` works in a hook. The peer is not told which header the application got wrong.
    fn from(_: HeaderError) -> Self {
        Refusal::line(500, "the server could not build its answer")
    }
}

impl From<HeadFault> for Refusal {
    fn from(fault: HeadFault) -> Self {
        let reason = match fault {
            HeadFault::NotHttp => {
                "these bytes are not the start of an HTTP request (is this TLS on a port that speaks plain HTTP?)"
            }
            HeadFault::Blank => "empty lines instead of a request line",
            HeadFault::BareCr => "a CR without an LF in the request head",
            HeadFault::BareLf => "an LF without a CR in the request head",
            HeadFault::Nul => "a NUL byte in the request head",
            HeadFault::Folded => "a header line that begins with a space (obs-fold)",
            HeadFault::StartLineBytes(max) => {
                return Refusal::line(
                    414,
                    format_args!("a request line of more than request_line_bytes_max = {max} bytes"),
                );
            }
            HeadFault::HeadBytes(max) => {
                return Refusal::line(
                    431,
                    format_args!("a request head of more than head_bytes_max = {max} bytes"),
                );
            }
            HeadFault::Headers(max) => {
                return Refusal::line(431, format_args!("more than headers_max = {max} header lines"));
            }
        };
        Refusal::bad_request(reason)
    }
}

impl From<Repeated> for Refusal {
    fn from(Repeated(name): Repeated) -> Self {
        Refusal::bad_request(format_args!("header {name} came more than once"))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, reason_phrase(self.status), self.body.trim_end())
    }
}

impl std::error::Error for Refusal {}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        414 => "URI Too Long",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        // RFC 9112, section 4: the phrase may be empty, the space before it stays.
        _ => "",
    }
}

/// What a peer sent, fit to be shown back: quoted, cut, and with everything escaped that could mean something to
/// a terminal, a log or a browser.
pub(super) struct Shown<'a>(pub(super) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BYTES_MAX: usize = 100;
        f.write_str("\"")?;
        for &byte in self.0.iter().take(BYTES_MAX) {
            match byte {
                b'<' | b'>' | b'&' => write!(f, "\\x{byte:02x}")?,
                _ => write!(f, "{}", byte.escape_ascii())?,
            }
        }
        f.write_str(if self.0.len() > BYTES_MAX { "\"…" } else { "\"" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(refusal: &Refusal) -> String {
        String::from_utf8(refusal.to_bytes()).expect("no byte of the peer gets in unescaped")
    }

    #[test]
    fn a13_a_refusal_is_a_whole_response() {
        assert_eq!(
            text(&Refusal::new(403, "no")),
            "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\nno"
        );
        let page = Refusal::new(404, "<p>").with_header("content-type", "text/html").expect("a good field");
        assert_eq!(text(&page).to_lowercase().matches("content-type").count(), 1);
    }

    #[test]
    fn a6_426_tells_the_version() {
        let response = text(&Refusal::upgrade_required());
        assert!(response.starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
        assert!(response.contains("\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"));
    }

    #[test]
    fn a1_405_tells_the_method() {
        assert!(text(&Refusal::new(405, "")).contains("\r\nAllow: GET\r\n"));
    }

    #[test]
    fn a13_a_refusal_never_looks_like_consent() {
        for status in [0, 100, 101, 200, 204, 299, 304, 600, 999, u16::MAX] {
            assert_eq!(Refusal::new(status, "").status(), 500, "{status}");
        }
        for status in [300, 302, 401, 599] {
            assert_eq!(Refusal::new(status, "").status(), status);
        }
        assert!(text(&Refusal::new(499, "")).starts_with("HTTP/1.1 499 \r\n"));
    }

    #[test]
    fn what_a_peer_sent_is_shown_escaped_and_cut() {
        assert_eq!(Shown(b"a\r\n<\"\xff").to_string(), r#""a\r\n\x3c\"\xff""#);
        assert_eq!(Shown(&[b'x'; 101]).to_string(), format!("\"{}\"…", "x".repeat(100)));
        assert_eq!(Refusal::not_found("/a&b").body(), "no WebSocket at \"/a\\x26b\"\n");
    }
}
