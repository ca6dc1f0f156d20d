//! Where a redirect leads, and what goes along (RFC 9110, section 15.4).

use std::fmt;

use sotong_proto::handshake::RefusedResponse;

use super::endpoint::{Carriage, Endpoint};
use super::error::{ConnectError, UrlError};

/// What an application adds that says nothing about who it is. Everything else was meant for the first origin: nobody
/// can tell by its name whether `X-Key` is a secret.
const HARMLESS: &[&str] = &["Accept", "Accept-Language", "Origin", "User-Agent"];

/// One station of a connect.
pub(super) struct Hop {
    pub(super) endpoint: Endpoint,
    /// How many redirects led here.
    followed: u32,
    audience: Audience,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// The origin of the URL, and nobody else in between.
    Meant,
    /// Another origin, or one that another origin led to.
    Stranger,
}

impl Audience {
    /// Whether a header of the application is sent to it.
    pub(super) fn may_have(self, header: &str) -> bool {
        self == Audience::Meant || HARMLESS.iter().any(|harmless| header.eq_ignore_ascii_case(harmless))
    }
}

/// Whether an answer leads elsewhere. What the handshake asks for is a `GET`, so the five differ in nothing.
pub(super) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

impl Hop {
    pub(super) fn first(endpoint: Endpoint) -> Hop {
        Hop { endpoint, followed: 0, audience: Audience::Meant }
    }

    pub(super) fn audience(&self) -> Audience {
        self.audience
    }

    /// Where the answer leads.
    pub(super) fn follow(self, answer: Box<RefusedResponse>, max: u32) -> Result<Hop, ConnectError> {
        let endpoint = match self.next(&answer, max) {
            Ok(endpoint) => endpoint,
            Err(error) => return Err(ConnectError::Redirect { host: self.endpoint.place(), answer, error }),
        };
        tracing::debug!(
            from = self.endpoint.authority,
            to = endpoint.authority,
            status = answer.status(),
            "redirected"
        );
        // Once led away, it stays so: who leads back has chosen the path.
        let audience = match endpoint.has_origin_of(&self.endpoint) {
            true => self.audience,
            false => Audience::Stranger,
        };
        Ok(Hop { endpoint, followed: self.followed + 1, audience })
    }

    fn next(&self, answer: &RefusedResponse, max: u32) -> Result<Endpoint, RedirectError> {
        if self.followed >= max {
            return Err(RedirectError::TooMany { max });
        }
        let mut locations = answer
            .headers()
            .filter(|(name, _)| name.eq_ignore_ascii_case("Location"))
            .map(|(_, value)| value);
        let location = locations.next().filter(|value| !value.is_empty()).ok_or(RedirectError::NoLocation)?;
        if locations.any(|other| other != location) {
            return Err(RedirectError::Ambiguous);
        }
        let text = std::str::from_utf8(location)
            .map_err(|_| UrlError::Syntax { what: "it is not UTF-8".to_owned() });
        let mut endpoint =
            text.and_then(|text| self.endpoint.resolve(text)).map_err(RedirectError::Location)?;
        if self.endpoint.carriage == Carriage::Tls && endpoint.carriage == Carriage::Plain {
            return Err(RedirectError::Downgrade);
        }
        // A server does not choose our credentials. On the same origin those of the URL go on.
        endpoint.credentials = match endpoint.has_origin_of(&self.endpoint) {
            true => self.endpoint.credentials.clone(),
            false => None,
        };
        Ok(endpoint)
    }
}

/// Why a redirect was not followed: see [`Client::with_redirects_max`](crate::Client::with_redirects_max).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectError {
    /// As many were followed as may be; in a circle, perhaps.
    TooMany {
        /// How many.
        max: u32,
    },
    /// The answer has no `Location`.
    NoLocation,
    /// It has several that differ.
    Ambiguous,
    /// `Location` is no URL that can be connected to.
    Location(UrlError),
    /// It leads from `wss:` to `ws:`, where whoever is on the way could read and change everything.
    Downgrade,
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedirectError::TooMany { max } => {
                write!(f, "more than {max} redirects (Client::with_redirects_max), in a circle perhaps")
            }
            RedirectError::NoLocation => f.write_str("a redirect without header Location"),
            RedirectError::Ambiguous => f.write_str("a redirect with several headers Location that differ"),
            RedirectError::Location(error) => write!(f, "a redirect that leads nowhere: {error}"),
            RedirectError::Downgrade => {
                f.write_str("a redirect from wss:// to ws://, which is never followed")
            }
        }
    }
}

impl std::error::Error for RedirectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RedirectError::Location(error) => Some(error),
            _ => None,
        }
    }
}
