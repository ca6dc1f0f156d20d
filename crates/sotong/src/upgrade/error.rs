//! Why a request does not become a WebSocket.

use std::fmt;

use ::hyper::Response;
use sotong_proto::handshake::Refusal;

use super::hyper;

/// Why a request does not become a WebSocket. Each has its response: [`to_response`](Self::to_response), and in axum it
/// is one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpgradeError {
    /// It asks for something else: no `Upgrade` header names `websocket`. 426; but you may serve a page instead.
    NotAsked,
    /// It does not obey RFC 6455 (400, 405, 426, 431, …), or the settings do not let it in (403, 404, 429, 503, and
    /// whatever the hook says).
    Refused(Refusal),
    /// It came by HTTP/2, whose WebSockets (RFC 8441) are not spoken here. 505.
    HttpVersion,
    /// Something else has taken this upgrade already, or the request does not come from hyper's server. 500.
    NotUpgradable,
}

impl UpgradeError {
    /// The status of the response.
    pub fn status(&self) -> u16 {
        self.refusal().status()
    }

    /// What the peer is told.
    pub fn refusal(&self) -> Refusal {
        match self {
            UpgradeError::NotAsked => Refusal::upgrade_required(),
            UpgradeError::Refused(refusal) => refusal.clone(),
            UpgradeError::HttpVersion => Refusal::new(
                505,
                "WebSockets over HTTP/2 (RFC 8441) are not spoken here, only over HTTP/1.1\n",
            ),
            UpgradeError::NotUpgradable => Refusal::new(500, "the server could not upgrade the connection\n"),
        }
    }

    /// The response to send, as a server of ours sends it: over HTTP/1.1 it closes the connection.
    pub fn to_response<B: From<String>>(&self) -> Response<B> {
        let mut response = hyper::response(&self.refusal().to_bytes());
        if *self == UpgradeError::HttpVersion {
            // RFC 9113, section 8.2.2: what is about the connection must not be said in HTTP/2.
            response.headers_mut().remove(::hyper::header::CONNECTION);
        }
        response
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpgradeError::NotAsked => f.write_str("no WebSocket was asked for"),
            UpgradeError::Refused(refusal) => write!(f, "{refusal}"),
            UpgradeError::HttpVersion => {
                f.write_str("a WebSocket was asked for over HTTP/2, only HTTP/1.1 is spoken")
            }
            UpgradeError::NotUpgradable => f.write_str(
                "the connection cannot be upgraded: something else has done it, or it is not hyper's",
            ),
        }
    }
}

impl std::error::Error for UpgradeError {}
