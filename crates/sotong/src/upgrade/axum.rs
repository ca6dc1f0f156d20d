//! An extractor for axum 0.8 (feature `axum`): a handler takes a [`WebSocketUpgrade`] and says what becomes of the
//! connection.
//!
//! ```no_run
//! use axum::response::Response;
//! use axum::routing::any;
//! use sotong::axum::WebSocketUpgrade;
//!
//! async fn echo(upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.on_upgrade(async |mut socket| {
//!         while let Some(message) = socket.recv().await? {
//!             socket.send(message).await?;
//!         }
//!         Ok::<(), sotong::Error>(())
//!     })
//! }
//!
//! # async fn example() -> std::io::Result<()> {
//! let app = axum::Router::new().route("/echo", any(echo));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
//! axum::serve(listener, app).await
//! # }
//! ```
//!
//! # Settings
//!
//! Without any, those of [`Server::detached`](crate::Server::detached) hold: pages of the same origin on `localhost` and
//! IP addresses, clients that are not browsers, and the default [`Config`]. Others are a value in the request's
//! extensions, put there by a layer. They are looked at *before* your handler runs, so that it sees no request that is
//! refused; that is why the extractor itself cannot allow an origin.
//!
//! ```no_run
//! use std::net::SocketAddr;
//! use std::time::Duration;
//!
//! use axum::{Extension, Router};
//! use sotong::Server;
//!
//! # async fn example(app: Router) -> Result<(), Box<dyn std::error::Error>> {
//! let upgrades = Server::detached()
//!     .with_allowed_hosts(["chat.example.com"])?   // the server's own name: its own pages
//!     .with_connections_per_ip_max(100)            // limits per address need `ConnectInfo`, as below
//!     .upgrades();
//!
//! let app = app.layer(Extension(upgrades.clone())).into_make_service_with_connect_info::<SocketAddr>();
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
//! axum::serve(listener, app).with_graceful_shutdown(async { /* … */ }).await?;
//! // axum has forgotten the connections that it has upgraded; this closes them with 1001.
//! upgrades.shutdown(Duration::from_secs(1)).await;
//! # Ok(())
//! # }
//! ```
//!
//! Two such values at two routes have two sets of limits.
//!
//! # Errors as responses
//!
//! A request that is refused never gets to the handler: the extractor's rejection is an
//! [`UpgradeError`], which is the response with the right status and one line that says why. Take a
//! `Result<WebSocketUpgrade, UpgradeError>` to look at it, or an `Option<WebSocketUpgrade>` to serve a page where no
//! WebSocket is asked for.

use std::fmt;
use std::net::SocketAddr;

use ::axum::body::Body;
use ::axum::extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts, OriginalUri};
use ::axum::response::{IntoResponse, Response};
use ::hyper::http::Method;
use ::hyper::http::request::Parts;
use sotong_proto::Config;
use sotong_proto::handshake::Request;

use super::hyper::Head;
use super::{Upgrade, Upgrades};
use crate::events::Events;
use crate::handler::Outcome;
use crate::socket::WebSocket;

pub use super::UpgradeError;

/// An extractor: a request for a WebSocket that has passed every check and waits for its answer.
///
/// Its route must take `GET`; [`any`](::axum::routing::any) says more clearly what is wrong with other methods.
/// See the [module](self) for examples.
#[must_use = "the peer waits for an answer"]
pub struct WebSocketUpgrade(Upgrade);

impl WebSocketUpgrade {
    /// What the peer asks for: path, query, headers, as they came, before routers have cut the path.
    pub fn request(&self) -> &Request {
        self.0.request()
    }

    /// The sub-protocols that are spoken here, in order of preference: the first one that the client offers is chosen,
    /// unless the settings or the hook have chosen one already. If there is none, the connection is opened without.
    ///
    /// ```
    /// use axum::response::Response;
    /// use sotong::axum::WebSocketUpgrade;
    ///
    /// async fn chat(upgrade: WebSocketUpgrade) -> Response {
    ///     upgrade.protocols(["chat.v2", "chat.v1"]).on_upgrade(async |mut socket| {
    ///         let protocol = socket.sender().protocol().unwrap_or("none").to_owned();
    ///         socket.send(protocol).await
    ///     })
    /// }
    /// ```
    pub fn protocols<S: Into<String>>(self, protocols: impl IntoIterator<Item = S>) -> Self {
        WebSocketUpgrade(self.0.protocols(protocols))
    }

    /// The sub-protocol that was chosen.
    pub fn protocol(&self) -> Option<&str> {
        self.0.protocol()
    }

    /// Other limits and deadlines than those of the settings, for this connection.
    pub fn with_config(self, config: Config) -> Self {
        WebSocketUpgrade(self.0.with_config(config))
    }

    /// Says yes, and serves the connection in pull form: `handler` runs in a task of its own.
    ///
    /// It ends the connection by returning: with 1000, or with 1011 if it returns an error of its own or panics. If the
    /// peer goes before it has its answer, `handler` is never called.
    ///
    /// Headers may be added to the response, but one that is no 101 makes the upgrade fail. It is a 500 if the hook has
    /// chosen a sub-protocol that was not offered.
    pub fn on_upgrade<H, F>(self, handler: H) -> Response
    where
        H: FnOnce(WebSocket) -> F + Send + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.0.on_upgrade(handler)
    }

    /// Says yes, and serves the connection in event form: the methods of `events` are called, which is the fastest.
    ///
    /// If the peer goes before it has its answer, `events` is dropped without a call.
    ///
    /// ```
    /// use axum::response::Response;
    /// use sotong::axum::WebSocketUpgrade;
    /// use sotong::{Events, MessageRef, Sender};
    ///
    /// struct Echo;
    ///
    /// impl Events for Echo {
    ///     fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
    ///         let _ = socket.try_send(message);
    ///     }
    /// }
    ///
    /// async fn echo(upgrade: WebSocketUpgrade) -> Response {
    ///     upgrade.on_upgrade_events(Echo)
    /// }
    /// ```
    pub fn on_upgrade_events(self, events: impl Events) -> Response {
        self.0.on_upgrade_events(events)
    }

    /// For what the extractor does not do: your own tasks.
    pub fn into_upgrade(self) -> Upgrade {
        self.0
    }
}

impl fmt::Debug for WebSocketUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebSocketUpgrade").field(&self.0).finish()
    }
}

impl<S: Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = UpgradeError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, UpgradeError> {
        let upgrades = parts.extensions.get::<Upgrades>().cloned().unwrap_or_else(Upgrades::of_the_process);
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        let original = parts.extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri.clone());
        let head = Head {
            method: &parts.method,
            uri: original.as_ref().unwrap_or(&parts.uri),
            version: parts.version,
            headers: &parts.headers,
            extensions: &mut parts.extensions,
        };
        upgrades.judge(head, peer).map(WebSocketUpgrade)
    }
}

/// `None` where no WebSocket is asked for; one that is refused is an error all the same.
impl<S: Sync> OptionalFromRequestParts<S> for WebSocketUpgrade {
    type Rejection = UpgradeError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, UpgradeError> {
        let is_connect = parts.method == Method::CONNECT;
        match <Self as FromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(upgrade) => Ok(Some(upgrade)),
            Err(UpgradeError::NotAsked) => Ok(None),
            // A page by HTTP/2; a WebSocket would be a CONNECT (RFC 8441, section 4).
            Err(UpgradeError::HttpVersion) if !is_connect => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl IntoResponse for UpgradeError {
    fn into_response(self) -> Response {
        self.to_response::<Body>()
    }
}
