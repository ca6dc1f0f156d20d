//! What a complete request head asks for, by the rules of RFC 6455, section 4.2.1.

use super::authority::Authority;
use super::extensions;
use super::fields::Fields;
use super::header::{is_token, list};
use super::key::Key;
use super::refusal::{Refusal, Shown};
use super::request::Request;
use super::target::Target;

/// What a valid head asks for.
pub(super) enum Demand {
    WebSocket(Request, Key),
    /// Anything else: a page, an upgrade to something that we do not know.
    Page,
}

/// The first line of a request of HTTP/1.
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) minor_version: u8,
}

impl Demand {
    /// Judges a head that ends with its empty line and holds `headers` header lines.
    pub(super) fn of(head: &[u8], headers: usize) -> Result<Demand, Refusal> {
        #[cfg(test)]
        super::server::looked_at(head.len());
        let mut headers = vec![httparse::EMPTY_HEADER; headers];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(Refusal::bad_request("a malformed request head")),
            Err(error) => return Err(malformed(head, error)),
        }
        let line = RequestLine {
            method: parsed.method.unwrap_or_default(),
            target: parsed.path.unwrap_or_default(),
            minor_version: parsed.version.unwrap_or_default(),
        };
        Demand::judge(&line, &Fields(parsed.headers))
    }

    /// Judges what was parsed, here or by somebody else's server. The one place where the rules are.
    pub(super) fn judge(line: &RequestLine<'_>, fields: &Fields<'_>) -> Result<Demand, Refusal> {
        // RFC 9110, section 7.8: a server may ignore `Upgrade`, and does when it names nothing that it speaks.
        if !fields.lists("Upgrade", |protocol| protocol.eq_ignore_ascii_case(b"websocket")) {
            return Ok(Demand::Page);
        }
        // RFC 6455, section 4.2.1, 1: "An HTTP/1.1 or higher GET request". 505 would be about the major version
        // (RFC 9110, section 15.6.6), which we do speak. RFC 9110, section 7.8 has us ignore `Upgrade` in
        // HTTP/1.0; answering that the handshake is impossible obeys it and helps whoever configured a proxy.
        if line.minor_version != 1 {
            return Err(Refusal::bad_request(
                "a WebSocket handshake needs HTTP/1.1, this is HTTP/1.0 (is there a proxy that speaks HTTP/1.0 to us?)",
            ));
        }
        if line.method != "GET" {
            // RFC 9110, section 9.3.2: no body in the answer to HEAD.
            return Err(match line.method {
                "HEAD" => Refusal::new(405, ""),
                _ => Refusal::line(405, "a WebSocket handshake is a GET request"),
            });
        }
        let target = line.target;
        if Target::parse(target).is_none() {
            // Not shown: a query may hold a token, and this is logged.
            return Err(Refusal::bad_request(
                "the request target is not a path or an http URL (without a user name and without #)",
            ));
        }
        fields.check_host()?;
        fields.check_upgrade()?;
        fields.check_no_body()?;
        // The version comes before the key: drafts before 13 had other keys, and 426 tells them why.
        fields.check_version()?;
        let key = fields.key()?;
        fields.check_origin()?;
        fields.check_protocols()?;
        fields.check_extensions()?;
        Ok(Demand::WebSocket(Request::new(target, fields.all()), key))
    }
}

/// 400, or 505 when the request line names another major version of HTTP (RFC 9110, section 15.6.6).
fn malformed(head: &[u8], error: httparse::Error) -> Refusal {
    let line =
        head.strip_prefix(b"\r\n").unwrap_or(head).split(|&byte| byte == b'\r').next().unwrap_or_default();
    let version = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    match (error, version) {
        (httparse::Error::Version, [b'H', b'T', b'T', b'P', b'/', b'0' | b'2'..=b'9', b'.', b'0'..=b'9']) => {
            Refusal::line(505, "only HTTP/1.1 is spoken here")
        }
        _ => Refusal::bad_request(format_args!("a malformed request head: {error}")),
    }
}

/// The rules for each header of a request.
impl<'a> Fields<'a> {
    /// The value of a header that must not come twice.
    /// RFC 9112, section 3.2: exactly one, and well-formed.
    fn check_host(&self) -> Result<(), Refusal> {
        let Some(host) = self.once("Host")? else {
            return Err(Refusal::bad_request("header Host is missing"));
        };
        if std::str::from_utf8(host).ok().and_then(Authority::parse).is_none() {
            let shown = Shown(host);
            return Err(Refusal::bad_request(format_args!("header Host is {shown}, not a host and a port")));
        }
        Ok(())
    }

    /// RFC 6455, section 4.2.1, 3 and 4. That `Upgrade` names websocket is known here.
    fn check_upgrade(&self) -> Result<(), Refusal> {
        let is_protocol = |element: &[u8]| match element.iter().position(|&byte| byte == b'/') {
            Some(slash) => is_token(&element[..slash]) && is_token(&element[slash + 1..]),
            None => is_token(element),
        };
        if self.lists("Upgrade", |element| !is_protocol(element)) {
            return Err(Refusal::bad_request("header Upgrade is not a list of protocols"));
        }
        if self.lists("Connection", |element| !is_token(element)) {
            return Err(Refusal::bad_request("header Connection is not a list of tokens"));
        }
        if !self.lists("Connection", |option| option.eq_ignore_ascii_case(b"upgrade")) {
            return Err(Refusal::bad_request(
                "header Connection does not name upgrade (is there a proxy that does not pass it on?)",
            ));
        }
        Ok(())
    }

    /// A body would be read by us as frames and by a proxy as a body: that is how requests are smuggled.
    fn check_no_body(&self) -> Result<(), Refusal> {
        let length = self.once("Content-Length")?;
        if length.is_some_and(|length| length != b"0") || self.values("Transfer-Encoding").next().is_some() {
            return Err(Refusal::bad_request("a WebSocket handshake has no body"));
        }
        Ok(())
    }

    /// RFC 6455, section 4.2.1, 6 and section 4.4.
    fn check_version(&self) -> Result<(), Refusal> {
        match self.once("Sec-WebSocket-Version")? {
            Some(b"13") => Ok(()),
            Some(version) => {
                let shown = Shown(version);
                Err(Refusal::line(
                    426,
                    format_args!("Sec-WebSocket-Version is {shown}, only 13 is spoken here"),
                ))
            }
            None => {
                Err(Refusal::line(426, "header Sec-WebSocket-Version is missing, only 13 is spoken here"))
            }
        }
    }

    /// RFC 6455, section 4.2.1, 5.
    fn key(&self) -> Result<Key, Refusal> {
        let Some(value) = self.once("Sec-WebSocket-Key")? else {
            return Err(Refusal::bad_request("header Sec-WebSocket-Key is missing"));
        };
        Key::parse(value).ok_or_else(|| {
            Refusal::bad_request("header Sec-WebSocket-Key is not the base64 form of 16 bytes")
        })
    }

    /// One at most, so that no two readers can believe in different ones. Who may connect is for
    /// [`OriginPolicy`](super::OriginPolicy) to say, which reads it as text.
    fn check_origin(&self) -> Result<(), Refusal> {
        match self.once("Origin")? {
            Some(origin) if !origin.iter().all(|byte| matches!(byte, b' '..=b'~')) => {
                Err(Refusal::bad_request("header Origin is not ASCII"))
            }
            _ => Ok(()),
        }
    }

    /// RFC 6455, section 4.1, 10: one or more tokens, "all unique strings".
    fn check_protocols(&self) -> Result<(), Refusal> {
        const NAME: &str = "Sec-WebSocket-Protocol";
        let mut offered: Vec<&[u8]> = self.values(NAME).flat_map(list).collect();
        // What is offered is not shown: some clients put a token for access there, and this is logged.
        if let Some(bad) = offered.iter().position(|protocol| !is_token(protocol)) {
            let count = bad + 1;
            return Err(Refusal::bad_request(format_args!(
                "header {NAME} is a list of tokens, and number {count} is not one"
            )));
        }
        if offered.is_empty() && self.values(NAME).next().is_some() {
            return Err(Refusal::bad_request(format_args!("header {NAME} is empty")));
        }
        // Sorted, because comparing each with each would cost a peer nothing and us its square.
        offered.sort_unstable();
        if offered.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Refusal::bad_request(format_args!("header {NAME} offers the same more than once")));
        }
        Ok(())
    }

    /// RFC 6455, section 9.1. A peer that cannot write them is not one to go on with. Which of them are accepted:
    /// [`Offer::accept`](super::Offer::accept).
    fn check_extensions(&self) -> Result<(), Refusal> {
        const NAME: &str = "Sec-WebSocket-Extensions";
        let mut offered = 0;
        for element in self.values(NAME).flat_map(extensions::elements) {
            if element.is_err() {
                return Err(Refusal::bad_request(format_args!("header {NAME} is malformed")));
            }
            offered += 1;
        }
        if offered == 0 && self.values(NAME).next().is_some() {
            return Err(Refusal::bad_request(format_args!("header {NAME} is empty")));
        }
        Ok(())
    }
}
