//! What a complete response head says, by the rules of RFC 6455, section 4.1.

use super::body::Framing;
use super::extensions::{self, Malformed};
use super::fields::Fields;
use super::header::trim;
use super::request::Request;
use super::response::{RefusedResponse, Response};
use super::response_error::ResponseError;
use crate::Deflate;
use crate::extension::deflate::{NegotiationError, Offered};

/// What a valid head says.
pub(super) enum Answer {
    /// A WebSocket it is, with this sub-protocol and this compression.
    Yes(Response, Option<Deflate>),
    /// 1xx: the final response is still to come (RFC 9110, section 15.2).
    NotYet,
    /// Anything else, whose body comes in this form.
    No(RefusedResponse, Framing),
}

/// What an answer is held against.
pub(super) struct Asked<'a> {
    pub(super) request: &'a Request,
    pub(super) offered: Option<Offered>,
    /// Answers our key.
    pub(super) accept: &'a str,
}

impl Answer {
    /// Judges a head that ends with its empty line and holds `headers` header lines.
    pub(super) fn of(head: &[u8], headers: usize, asked: &Asked<'_>) -> Result<Answer, ResponseError> {
        #[cfg(test)]
        super::server::looked_at(head.len());
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
            101 if parsed.version != Some(1) => Err(ResponseError::Http10),
            101 => {
                fields.check_upgraded()?;
                fields.check_accept(asked.accept)?;
                let deflate = fields.check_agreed_extensions(asked.offered)?;
                fields.check_chosen_protocol(asked.request)?;
                Ok(Answer::Yes(Response::new(fields.all()), deflate))
            }
            100..=199 => Ok(Answer::NotYet),
            0..=99 => Err(ResponseError::Malformed { problem: "a status below 100" }),
            status => {
                let refused = RefusedResponse::new(status, parsed.reason.unwrap_or_default(), fields.all());
                Ok(Answer::No(refused, Framing::of(status, &fields)))
            }
        }
    }
}

pub(super) fn malformed(error: httparse::Error) -> ResponseError {
    let problem = match error {
        httparse::Error::HeaderName => "a header name that is not a token",
        httparse::Error::HeaderValue => "a header value with a control character",
        httparse::Error::Status => "a status line without a status of three digits",
        httparse::Error::Version => "a version of HTTP that is neither 1.0 nor 1.1",
        _ => "a line that is neither a status line nor a header",
    };
    ResponseError::Malformed { problem }
}

/// The rules for each header of a 101.
impl Fields<'_> {
    /// RFC 6455, section 4.1, 2 and 3 of what the client checks: `Upgrade` *is* `websocket`, `Connection` *has* the
    /// token.
    fn check_upgraded(&self) -> Result<(), ResponseError> {
        let kept = |value: Option<&[u8]>| value.map(Box::from);
        let upgrade = self.once("Upgrade")?;
        if !upgrade.is_some_and(|value| trim(value).eq_ignore_ascii_case(b"websocket")) {
            return Err(ResponseError::Upgrade { seen: kept(upgrade) });
        }
        if !self.lists("Connection", |option| option.eq_ignore_ascii_case(b"upgrade")) {
            return Err(ResponseError::Connection { seen: kept(self.values("Connection").next()) });
        }
        Ok(())
    }

    /// The same section, 4: "ignoring any leading and trailing whitespace". Section 11.3.3: once only.
    fn check_accept(&self, accept: &str) -> Result<(), ResponseError> {
        let seen = self.once("Sec-WebSocket-Accept")?;
        if seen.is_some_and(|value| trim(value) == accept.as_bytes()) {
            return Ok(());
        }
        Err(ResponseError::Accept { seen: seen.map(Box::from), expected: accept.to_owned() })
    }

    /// 5: only what was offered, which is permessage-deflate or nothing, and once. Section 11.3.2: one header line, and
    /// one extension at least, if it is there at all.
    fn check_agreed_extensions(&self, offered: Option<Offered>) -> Result<Option<Deflate>, ResponseError> {
        const NAME: &str = "Sec-WebSocket-Extensions";
        let Some(seen) = self.once(NAME)? else { return Ok(None) };
        let mut elements = extensions::elements(seen);
        let Some(first) = elements.next() else {
            return Err(ResponseError::Malformed { problem: "header Sec-WebSocket-Extensions is empty" });
        };
        let Some(offered) = offered else {
            return Err(ResponseError::Extension { seen: seen.into() });
        };
        let problem = |problem| ResponseError::Compression { seen: seen.into(), problem };
        let deflate = match first {
            Ok(element) => offered.check(&element).map_err(|NegotiationError(text)| problem(text))?,
            Err(Malformed) => return Err(problem("a malformed list")),
        };
        // RFC 7692, section 5.2: the same extension twice is not what was offered either.
        match elements.next() {
            None => Ok(Some(deflate)),
            Some(_) => Err(problem("more than the one extension that was offered")),
        }
    }

    /// 6: one that was offered, letter by letter, or none. Section 11.3.4: once only.
    fn check_chosen_protocol(&self, request: &Request) -> Result<(), ResponseError> {
        match self.once("Sec-WebSocket-Protocol")? {
            None => Ok(()),
            // What was offered is a token, so neither a list nor an empty value equals it.
            Some(seen) if request.protocols().any(|offered| offered.as_bytes() == trim(seen)) => Ok(()),
            Some(seen) => Err(ResponseError::Protocol { seen: seen.into() }),
        }
    }
}
