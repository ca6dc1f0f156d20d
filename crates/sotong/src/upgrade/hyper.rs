//! hyper's requests, responses and streams, and ours.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;

use ::hyper::header::{HeaderMap, HeaderName, HeaderValue};
use ::hyper::http::{Extensions, Method, StatusCode, Uri, Version};
use ::hyper::upgrade::{OnUpgrade, Upgraded};
use ::hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use sotong_proto::handshake::Offer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::{Upgrade, UpgradeError};
use crate::carrier::Carrier;
use crate::server::Upgrades;

/// A request without its body, as hyper and axum each have it.
pub(super) struct Head<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) version: Version,
    pub(super) headers: &'a HeaderMap,
    pub(super) extensions: &'a mut Extensions,
}

impl Upgrades {
    /// Judges a request, and takes the connection's upgrade out of its extensions if it passes.
    ///
    /// `peer` is the address that the connection came from, if it has one: limits per address and trusted proxies go by
    /// it. Without it, neither counts.
    ///
    /// # Errors
    /// When it is no request for a WebSocket, or one that is refused; see [`UpgradeError`].
    pub fn upgrade<B>(
        &self,
        request: &mut Request<B>,
        peer: impl Into<Option<SocketAddr>>,
    ) -> Result<Upgrade, UpgradeError> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let (version, headers) = (request.version(), std::mem::take(request.headers_mut()));
        let extensions = request.extensions_mut();
        let head = Head { method: &method, uri: &uri, version, headers: &headers, extensions };
        let judged = self.judge(head, peer.into());
        *request.headers_mut() = headers;
        judged
    }

    pub(super) fn judge(&self, head: Head<'_>, peer: Option<SocketAddr>) -> Result<Upgrade, UpgradeError> {
        let minor_version = match head.version {
            Version::HTTP_11 => 1,
            Version::HTTP_10 | Version::HTTP_09 => 0,
            _ => return Err(UpgradeError::HttpVersion),
        };
        let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let target = target(head.uri);
        let offer = Offer::from_parts(head.method.as_str(), &target, minor_version, headers, self.config())
            .inspect_err(|refusal| self.log_refusal(refusal, peer))
            .map_err(UpgradeError::Refused)?
            .ok_or(UpgradeError::NotAsked)?;
        if head.extensions.get::<OnUpgrade>().is_none() {
            tracing::error!("{}", UpgradeError::NotUpgradable);
            return Err(UpgradeError::NotUpgradable);
        }
        let admitted = self.admit(offer, peer).map_err(UpgradeError::Refused)?;
        let on_upgrade = head.extensions.remove().ok_or(UpgradeError::NotUpgradable)?;
        Ok(Upgrade { admitted, on_upgrade })
    }
}

/// The request target as the peer wrote it, as far as hyper keeps it.
fn target(uri: &Uri) -> Cow<'_, str> {
    match (uri.scheme(), uri.path_and_query()) {
        (None, Some(path_and_query)) => path_and_query.as_str().into(),
        _ => uri.to_string().into(),
    }
}

/// A whole response, as the core writes it, in hyper's form: what is answered is said in one place only.
pub(super) fn response<B: From<String>>(bytes: &[u8]) -> Response<B> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse::<StatusCode>().ok());
    let mut response = Response::new(body.to_owned().into());
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for line in lines {
        let Some((name, value)) = line.split_once(": ") else { continue };
        // What the core writes it has checked.
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// The stream, when hyper has sent the response, and what it has read from it already.
pub(super) async fn upgraded(on_upgrade: OnUpgrade) -> io::Result<(Carrier, Vec<u8>)> {
    let upgraded = on_upgrade.await.map_err(|error| {
        if error.is_user() {
            tracing::error!(%error, "hyper was not told to expect upgrades: `with_upgrades` is missing");
        }
        io::Error::other(error)
    })?;
    // The very socket, if it is one: TCP has a way of its own through our driver.
    let upgraded = match inner::<TcpStream>(upgraded) {
        Ok(found) => return Ok(found),
        Err(upgraded) => upgraded,
    };
    let upgraded = match inner::<UnixStream>(upgraded) {
        Ok(found) => return Ok(found),
        Err(upgraded) => upgraded,
    };
    // Of a server of ours that has hyper serve its pages.
    match inner::<Carrier>(upgraded) {
        Ok(found) => Ok(found),
        // It gives what hyper has read before what it reads itself.
        Err(upgraded) => Ok((Carrier::new(TokioIo::new(upgraded)), Vec::new())),
    }
}

fn inner<S>(upgraded: Upgraded) -> Result<(Carrier, Vec<u8>), Upgraded>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    Carrier: From<S>,
{
    match upgraded.downcast::<TokioIo<S>>() {
        Ok(parts) => Ok((parts.io.into_inner().into(), parts.read_buf.to_vec())),
        // hyper-util's server, which axum uses, has wrapped it once more.
        Err(upgraded) => auto::upgrade::downcast::<TokioIo<S>>(upgraded)
            .map(|parts| (parts.io.into_inner().into(), parts.read_buf.to_vec())),
    }
}
