//! A request that somebody else's HTTP server has read and parsed.

use httparse::Header;

use super::demand::{Demand, RequestLine};
use super::fields::Fields;
use super::head::HeadFault;
use super::header::{is_token, trim};
use super::refusal::Refusal;
use super::server::Offer;
use crate::Config;

/// `GET`, a space, the target, a space, `HTTP/1.1`: what a request line has besides method and target.
const LINE_BYTES: usize = 2 + "HTTP/1.1".len();
/// The colon and space and the line end that a header line has besides name and value.
const FIELD_BYTES: usize = 4;
const LINE_END_BYTES: usize = 2;

impl Offer {
    /// An offer out of a request that somebody else's server has parsed: judged by the very rules that
    /// [`ServerHandshake`](super::ServerHandshake) judges bytes by, as far as a parsed request shows them. `None`: it
    /// asks for something else, because no `Upgrade` header names `websocket`.
    ///
    /// `target` is the request target as the peer wrote it, `minor_version` the 1 of `HTTP/1.1`, and `headers` all
    /// header fields, in any case of letters. Of `config` it uses `request_line_bytes_max`, `head_bytes_max` and
    /// `headers_max`, because the request stays with the connection.
    ///
    /// What the peer sent after the head is that server's to hand over: the offer's `early` is empty.
    ///
    /// ```
    /// use sotong_proto::Config;
    /// use sotong_proto::handshake::{Accept, Offer};
    ///
    /// let headers = [
    ///     ("host", &b"server.example"[..]),
    ///     ("upgrade", b"websocket"),
    ///     ("connection", b"Upgrade"),
    ///     ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ///     ("sec-websocket-version", b"13"),
    /// ];
    /// let offer = Offer::from_parts("GET", "/chat", 1, headers, &Config::default())?.expect("it asks for a WebSocket");
    /// assert_eq!(offer.request().path(), "/chat");
    ///
    /// let refusal = Offer::from_parts("POST", "/chat", 1, headers, &Config::default()).expect_err("no such method");
    /// assert_eq!(refusal.status(), 405);
    /// # Ok::<(), sotong_proto::handshake::Refusal>(())
    /// ```
    ///
    /// # Errors
    /// The refusal to answer with, when it asks for a WebSocket in a way that RFC 6455, section 4.2.1 does not allow,
    /// or is larger than a limit.
    pub fn from_parts<'a>(
        method: &str,
        target: &str,
        minor_version: u8,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        config: &Config,
    ) -> Result<Option<Offer>, Refusal> {
        let headers: Vec<Header<'_>> =
            headers.into_iter().map(|(name, value)| Header { name, value: trim(value) }).collect();
        headers.iter().try_for_each(check_shape)?;
        let line = RequestLine { method, target, minor_version };
        let Demand::WebSocket(request, key) = Demand::judge(&line, &Fields(&headers))? else {
            return Ok(None);
        };
        // Last, because pages are not ours to limit.
        check_limits(&line, &headers, config)?;
        Ok(Some(Offer { request, key, early: Vec::new() }))
    }
}

/// The limits that a head has on the wire, on one that is written in the shortest way.
fn check_limits(line: &RequestLine<'_>, headers: &[Header<'_>], config: &Config) -> Result<(), HeadFault> {
    let line_bytes = line.method.len() + line.target.len() + LINE_BYTES;
    let line_bytes_max = config.request_line_bytes_max.min(config.head_bytes_max);
    if line_bytes > line_bytes_max {
        return Err(HeadFault::StartLineBytes(line_bytes_max));
    }
    if headers.len() > config.headers_max {
        return Err(HeadFault::Headers(config.headers_max));
    }
    let fields: usize =
        headers.iter().map(|header| header.name.len() + header.value.len() + FIELD_BYTES).sum();
    if line_bytes + fields + 2 * LINE_END_BYTES > config.head_bytes_max {
        return Err(HeadFault::HeadBytes(config.head_bytes_max));
    }
    Ok(())
}

/// What a parser lets through only by mistake, and would then break the lines that are kept with the connection.
fn check_shape(header: &Header<'_>) -> Result<(), Refusal> {
    let fits = |byte: u8| byte == b'\t' || byte >= b' ' && byte != 0x7f;
    if !is_token(header.name.as_bytes()) {
        return Err(Refusal::bad_request("a header name that is not a token"));
    }
    if !header.value.iter().copied().all(fits) {
        return Err(Refusal::bad_request("a header value with a control character"));
    }
    Ok(())
}
