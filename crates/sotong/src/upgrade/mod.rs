//! WebSockets inside somebody else's server (feature `hyper`): whatever speaks HTTP/1.1 by hyper 1.x.
//!
//! For axum there is an extractor, which is shorter: [`axum`](mod@crate::axum) (feature `axum`).
//!
//! ```text
//!  hyper, axum ──▶ Upgrades::upgrade ──▶ UpgradeError ──▶ a response: 400, 403, 405, 426, …
//!    request        (settings of a      │
//!                    Server)            └▶ Upgrade ──▶ on_upgrade(handler), on_upgrade_events(events): a 101
//!                                                │        └▶ the same driver as a Server's, when the 101 is out
//!                                                └───▶ accept() ──▶ (a 101, Upgrading) ──▶ WebSocket
//! ```
//!
//! # Strict, as a server of ours
//!
//! A request is judged by the same code as one that [`Server`](crate::Server) reads: the rules of RFC 6455, the same origin, the
//! list of hosts, limits and hook. The settings are a server's, too: [`Server::upgrades`](crate::Server::upgrades) makes an
//! [`Upgrades`] of them.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//! use std::net::SocketAddr;
//!
//! use http_body_util::Full;
//! use hyper::body::{Bytes, Incoming};
//! use hyper::{Request, Response};
//! use sotong::upgrade::Upgrades;
//! use sotong::{Error, WebSocket};
//!
//! async fn answer(
//!     mut request: Request<Incoming>,
//!     peer: SocketAddr,
//!     upgrades: Upgrades,
//! ) -> Result<Response<Full<Bytes>>, Infallible> {
//!     if request.uri().path() != "/ws" {
//!         return Ok(Response::new(Full::from("a page")));
//!     }
//!     Ok(match upgrades.upgrade(&mut request, peer) {
//!         Ok(upgrade) => upgrade.on_upgrade(async |mut socket: WebSocket| {
//!             while let Some(message) = socket.recv().await? {
//!                 socket.send(message).await?;
//!             }
//!             Ok::<(), Error>(())
//!         }),
//!         Err(error) => error.to_response(),
//!     })
//! }
//! ```
//!
//! hyper must be told to expect upgrades: `serve_connection(…).with_upgrades()`, or in hyper-util
//! `serve_connection_with_upgrades`.
//!
//! # What is kept and what is lost
//!
//! Frames that came right behind the request are kept. Over TCP and unix sockets the connection gets the socket itself,
//! so that it is as fast as a server's; over anything else (TLS) it reads and writes through hyper's stream.
//!
//! # The end
//!
//! hyper and axum forget a connection when it is upgraded, so their graceful shutdown does not see it.
//! [`Upgrades::shutdown`] closes them all with 1001. A connection whose 101 is not sent within
//! [`handshake_timeout`](crate::Config::handshake_timeout), because a middleware made another response of it or the peer
//! does not read, is given up and holds nothing.
//!
//! # HTTP/2
//!
//! WebSockets over HTTP/2 (RFC 8441) are refused with 505. Browsers then use HTTP/1.1, unless the server announces
//! extended CONNECT: axum does so when its feature `http2` is on.

// Documented at the root.
#[cfg(feature = "axum")]
#[doc(hidden)]
pub mod axum;
mod error;
mod hyper;

use std::fmt;
use std::future::IntoFuture;
use std::io;
use std::pin::Pin;

use ::hyper::Response;
use ::hyper::upgrade::OnUpgrade;
use sotong_proto::Config;
use sotong_proto::handshake::Request;

use crate::events::Events;
use crate::handler::Outcome;
use crate::sender::Sender;
use crate::server::{Admitted, Pending};
use crate::socket::WebSocket;

pub use crate::server::Upgrades;
pub use error::UpgradeError;

/// A request for a WebSocket that has passed every check and waits for its answer.
///
/// Dropped, it holds nothing; answer with another response then.
#[must_use = "the peer waits for an answer"]
pub struct Upgrade {
    admitted: Admitted,
    on_upgrade: OnUpgrade,
}

impl Upgrade {
    /// What the peer asks for.
    pub fn request(&self) -> &Request {
        self.admitted.request()
    }

    /// The sub-protocols that are spoken here, in order of preference: the first one that the client offers is chosen,
    /// unless the settings or the hook have chosen one already. If there is none, the connection is opened without.
    pub fn protocols<S: Into<String>>(mut self, protocols: impl IntoIterator<Item = S>) -> Self {
        if self.admitted.protocol().is_none() {
            let offered = |protocol: &String| self.request().protocols().any(|offered| offered == protocol);
            if let Some(protocol) = protocols.into_iter().map(Into::into).find(offered) {
                self.admitted.choose_protocol(protocol);
            }
        }
        self
    }

    /// The sub-protocol that was chosen.
    pub fn protocol(&self) -> Option<&str> {
        self.admitted.protocol()
    }

    /// Other limits and deadlines than those of the settings, for this connection.
    pub fn with_config(mut self, config: Config) -> Self {
        self.admitted.set_config(config);
        self
    }

    /// Says yes, and serves the connection in pull form: `handler` runs in a task of its own.
    ///
    /// It ends the connection by returning: with 1000, or with 1011 if it returns an error of its own or panics. If the
    /// peer goes before it has its answer, `handler` is never called.
    ///
    /// Send the response as it is: headers may be added, but a response that is no 101 makes the upgrade fail. It is a
    /// 500 if the hook has chosen a sub-protocol that was not offered.
    ///
    /// Needs a runtime.
    pub fn on_upgrade<B, H, F>(self, handler: H) -> Response<B>
    where
        B: From<String>,
        H: FnOnce(WebSocket) -> F + Send + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.answer(|pending, on_upgrade| pending.spawn_handler(hyper::upgraded(on_upgrade), handler))
    }

    /// Says yes, and serves the connection in event form: the methods of `events` are called.
    ///
    /// If the peer goes before it has its answer, `events` is dropped without a call. For the response see
    /// [`on_upgrade`](Self::on_upgrade).
    pub fn on_upgrade_events<B: From<String>>(self, events: impl Events) -> Response<B> {
        self.answer(|pending, on_upgrade| pending.spawn_events(hyper::upgraded(on_upgrade), events))
    }

    /// Says yes: the response to send, and the connection that there will be when it is sent. `None`: it is a 500,
    /// because the hook has chosen a sub-protocol that was not offered.
    ///
    /// For those who start their own tasks. Await the second part *after* the response was handed to hyper, in a task of
    /// its own.
    pub fn accept<B: From<String>>(self) -> (Response<B>, Option<Upgrading>) {
        let mut upgrading = None;
        let response = self.answer(|pending, on_upgrade| upgrading = Some(Upgrading { pending, on_upgrade }));
        (response, upgrading)
    }

    fn answer<B: From<String>>(self, then: impl FnOnce(Pending, OnUpgrade)) -> Response<B> {
        let Upgrade { admitted, on_upgrade } = self;
        match admitted.answer() {
            Ok((response, pending)) => {
                then(pending, on_upgrade);
                hyper::response(&response)
            }
            Err(refusal) => hyper::response(&refusal.to_bytes()),
        }
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("request", self.request())
            .field("protocol", &self.protocol())
            .finish_non_exhaustive()
    }
}

/// A connection whose answer is on its way: await it for a [`WebSocket`], or start it in event form with
/// [`events`](Self::events).
///
/// ```
/// use sotong::upgrade::{Upgrade, Upgrading};
///
/// # fn example(upgrade: Upgrade) -> hyper::Response<String> {
/// let (response, upgrading) = upgrade.accept();
/// if let Some(upgrading) = upgrading {
///     tokio::spawn(async move {
///         let mut socket = upgrading.await?;
///         socket.send("hello").await.map_err(std::io::Error::other)
///     });
/// }
/// response
/// # }
/// ```
#[must_use = "the peer is told yes"]
pub struct Upgrading {
    pending: Pending,
    on_upgrade: OnUpgrade,
}

impl Upgrading {
    /// The connection in event form, as soon as it is there.
    ///
    /// # Errors
    /// When the peer has gone, the response was not sent in time or is no 101 any more, or
    /// [`Upgrades::shutdown`] came first.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the connection is dropped.
    pub async fn events(self, events: impl Events) -> io::Result<Sender> {
        Ok(self.pending.establish(hyper::upgraded(self.on_upgrade)).await?.events(events))
    }
}

impl IntoFuture for Upgrading {
    /// Fails as [`events`](Upgrading::events) does.
    type Output = io::Result<WebSocket>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<WebSocket>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { Ok(self.pending.establish(hyper::upgraded(self.on_upgrade)).await?.pull()) })
    }
}

impl fmt::Debug for Upgrading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upgrading")
    }
}
