//! What a complete response head says, by the rules of RFC 6455, section 4.1.

use super::body::Framing;
use super::extensions;
use super::fields::Fields;
use super::header::trim;
use super::request::Request;
use super::response::{RefusedResponse, Response};
use super::response_error::ResponseError;

/// What a valid head says.
pub(super) enum Answer {
    /// A WebSocket it is, with this sub-protocol.
    Yes(Response),
    /// 1xx: the final response is still to come (RFC 9110, section 15.2).
    NotYet,
    /// Anything else, whose body comes in this form.
    No(RefusedResponse, Framing),
}

impl Answer {
    /// Judges a head that ends with its empty line and holds `headers` header lines. `accept` answers our key.
    pub(super) fn of(
        head: &[u8],
        headers: usize,
        request: &Request,
        accept: &str,
    ) -> Result<Answer, ResponseError> {
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
                fields.check_accept(accept)?;
                fields.check_no_extension()?;
                fields.check_chosen_protocol(request)?;
                Ok(Answer::Yes(Response::new(fields.all())))
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

fn malformed(error: httparse::Error) -> ResponseError {
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

    /// 5: no extension was offered, so none may be in use. Section 11.3.2: once only, and one at least, if it is
    /// there at all.
    fn check_no_extension(&self) -> Result<(), ResponseError> {
        const NAME: &str = "Sec-WebSocket-Extensions";
        match self.once(NAME)? {
            None => Ok(()),
            Some(seen) if extensions::elements(seen).next().is_none() => {
                Err(ResponseError::Malformed { problem: "header Sec-WebSocket-Extensions is empty" })
            }
            Some(seen) => Err(ResponseError::Extension { seen: seen.into() }),
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
