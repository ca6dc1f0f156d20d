//! The client: from a URL to a connection.
//!
//! ```text
//!   Client::connect(url)           settings.rs: what it was told
//!      │ endpoint.rs   the URL, taken apart
//!      │ reach.rs      all that follows, in its order
//!      │ dial.rs       addresses of the host (address_policy.rs: which), and a race of them ── gate.rs: one connect at a time to each
//!      │ proxy/        or a proxy that does it: CONNECT, SOCKS5, and what the environment says
//!      │ secure.rs     TLS, for wss
//!      │ handshake.rs  request and answer, through the core ── redirect.rs: from the start again, elsewhere
//!      ▼
//!   Established::pull, ::events          timeouts.rs: a deadline for each step and for the whole
//! ```

mod address_policy;
mod credentials;
mod dial;
mod endpoint;
mod error;
mod gate;
mod handshake;
mod proxy;
mod reach;
mod redirect;
#[cfg(feature = "tls")]
mod secure;
mod settings;
mod timeouts;

use std::fmt;
use std::sync::Arc;

use sotong_proto::handshake::Response;

use self::endpoint::Endpoint;
use self::reach::Connected;
use self::settings::Settings;
use crate::carrier::Carrier;
use crate::events::Events;
use crate::sender::Sender;
use crate::socket::WebSocket;

pub use self::address_policy::{AddressError, AddressPolicy, AddressPolicyError};
pub use self::credentials::CredentialsError;
pub use self::error::{ConnectError, UrlError};
pub use self::proxy::{Proxy, ProxyUrlError, TunnelError};
pub use self::redirect::RedirectError;
pub use self::timeouts::{ConnectDeadline, ConnectStep, ConnectTimeouts};

/// Connects to a WebSocket server, with the settings of [`Client::new`].
///
/// `ws://` is plain, `wss://` is TLS with the platform's roots. The URL is read as a browser reads it; see
/// [`Client::connect`] for what happens on the way, and for the errors.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut socket = sotong::connect("wss://example.com/chat").await?;
/// socket.send("hello").await?;
/// while let Some(message) = socket.recv().await? {
///     println!("{message:?}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Client::connect`].
///
/// # Cancel safety
/// As [`Client::connect`]: dropped before it is ready, nothing stays open.
pub fn connect(url: &str) -> impl Future<Output = Result<WebSocket, ConnectError>> + Send + use<> {
    Client::new().connect(url)
}

/// Connects to WebSocket servers: the settings of connections to be made.
///
/// Make one, keep it, connect with it as often as you like. A clone costs a counter, and shares nothing but settings.
///
/// ```no_run
/// use sotong::{Client, Config, ConnectTimeouts};
/// use std::time::Duration;
///
/// # async fn example(token: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new()
///     .with_bearer_token(token)?
///     .with_protocols(["chat.v2", "chat.v1"])?
///     .with_timeouts(ConnectTimeouts::default().with_total(Duration::from_secs(5)))
///     .with_config(Config::default().with_message_bytes_max(16 << 20));
/// let mut socket = client.connect("wss://example.com/chat").await?;
/// assert!(socket.protocol().is_some_and(|protocol| protocol.starts_with("chat.")));
/// socket.send("hello").await?;
/// # Ok(())
/// # }
/// ```
///
/// # What happens on the way
///
/// 1. The URL is read as a browser reads it: default ports 80 and 443, IPv6 in brackets, international names in
///    their ASCII form. A user name and a password in it are sent as [`with_basic_auth`](Self::with_basic_auth) does,
///    unless a header `Authorization` was set.
/// 2. If a proxy was named, or the environment names one, it is asked for a way to the host, whose name is resolved
///    there: see [`with_proxy`](Self::with_proxy). All below goes through it.
/// 3. Otherwise the host's addresses are found, and tried in turn: the next one when one has failed or has had 250 ms,
///    IPv6 and IPv4 by turns (RFC 8305). TCP does not wait to gather bytes (`TCP_NODELAY`).
/// 4. Connects to one IP address wait for each other, in the whole process, until the handshake of the one before is
///    through (RFC 6455, section 4.1, 2). [`with_simultaneous_connects`](Self::with_simultaneous_connects) turns that
///    off. One that has begun and is not polled any more keeps the others waiting. Where a name has more addresses, the
///    wait for one of them counts as a part of trying it: the next one's turn comes after 250 ms. Through a proxy each
///    host name counts as an address of its own, and 64 of them are connected to at once.
/// 5. `wss:` speaks TLS: see [`ClientTls`](crate::tls::ClientTls). It needs the feature `tls`, which is on by default.
/// 6. The handshake. Redirects are not followed unless [`with_redirects_max`](Self::with_redirects_max) says so: the
///    error tells where to.
///
/// Each step has a deadline: see [`ConnectTimeouts`].
#[derive(Clone, Default)]
pub struct Client {
    settings: Arc<Settings>,
}

impl Client {
    /// A client with the default settings, which are fit for the open internet.
    pub fn new() -> Self {
        Client::default()
    }

    /// Connects, in pull form.
    ///
    /// # Errors
    /// See [`ConnectError`]. A server that answers with an error, a login page or a redirect is
    /// [`ConnectError::Refused`], with what it said.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the socket is closed and the next connect to the address may begin at once. Nothing
    /// runs on, except that the system's resolver may finish looking for a name. The future borrows nothing.
    ///
    /// # Panics
    /// When polled outside of a tokio runtime that has I/O and time enabled.
    pub fn connect(&self, url: &str) -> impl Future<Output = Result<WebSocket, ConnectError>> + Send + use<> {
        let (client, endpoint) = (self.clone(), Endpoint::parse(url));
        async move { Ok(client.reach(endpoint?).await?.established.pull()) }
    }

    /// Connects, in event form: `make` is called once, with the server's answer, when the handshake is done, and makes
    /// the value whose methods are called. See [`Events`].
    ///
    /// The connection lives until it is closed, whether the [`Sender`] is kept or not.
    ///
    /// ```no_run
    /// use sotong::{Client, Events, MessageRef, Sender};
    ///
    /// struct Show;
    ///
    /// impl Events for Show {
    ///     fn open(&mut self, socket: &Sender) {
    ///         let _ = socket.try_send("hello");
    ///     }
    ///     fn message(&mut self, _socket: &Sender, message: MessageRef<'_>) {
    ///         println!("{message:?}");
    ///     }
    /// }
    ///
    /// # async fn example() -> Result<(), sotong::ConnectError> {
    /// let socket = Client::new().connect_events("wss://example.com/news", |_response| Show).await?;
    /// socket.closed().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As [`connect`](Self::connect): `make` was not called then.
    ///
    /// # Panics
    /// As [`connect`](Self::connect), and when `make` does; the connection is dropped then.
    pub fn connect_events<E, F>(
        &self,
        url: &str,
        make: F,
    ) -> impl Future<Output = Result<Sender, ConnectError>> + Send + use<E, F>
    where
        E: Events,
        F: FnOnce(&Response) -> E + Send,
    {
        let (client, endpoint) = (self.clone(), Endpoint::parse(url));
        async move {
            let Connected { established, response } = client.reach(endpoint?).await?;
            Ok(established.events(make(&response)))
        }
    }

    /// Connects over a stream that is connected already: through a proxy, a tunnel, a unix socket, memory.
    ///
    /// The URL says what to ask for. No name is resolved, nobody is waited for, no proxy is asked, no redirect is followed,
    /// and no TLS is added: for `wss:` the stream speaks it already. Of the deadlines those of the handshake and of the whole hold. For the event form see
    /// [`connect_events_over`](Self::connect_events_over).
    ///
    /// ```
    /// use sotong::{Carrier, Client, Error, Server, WebSocket};
    /// use std::future::IntoFuture;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let serve = Server::detached().serve(async |mut socket: WebSocket| {
    ///     socket.send("over a stream of yours").await?;
    ///     Ok::<(), Error>(())
    /// });
    /// let (near, far) = tokio::io::duplex(4096);
    /// serve.handle().accept(Carrier::new(far), Vec::new())?;
    /// tokio::spawn(serve.into_future());
    ///
    /// let mut socket = Client::new().connect_over(Carrier::new(near), "ws://localhost/").await?;
    /// assert_eq!(socket.recv().await?, Some("over a stream of yours".into()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the stream is dropped. The future borrows nothing.
    ///
    /// # Panics
    /// As [`connect`](Self::connect).
    pub fn connect_over<S: Into<Carrier>>(
        &self,
        stream: S,
        url: &str,
    ) -> impl Future<Output = Result<WebSocket, ConnectError>> + Send + use<S> {
        let (client, endpoint, carrier) = (self.clone(), Endpoint::parse(url), stream.into());
        async move { Ok(client.reach_over(endpoint?, carrier).await?.established.pull()) }
    }

    /// [`connect_over`](Self::connect_over) in event form; `make` is called as in
    /// [`connect_events`](Self::connect_events).
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the stream is dropped, and `make` was not called.
    ///
    /// # Panics
    /// As [`connect_events`](Self::connect_events).
    pub fn connect_events_over<S: Into<Carrier>, E, F>(
        &self,
        stream: S,
        url: &str,
        make: F,
    ) -> impl Future<Output = Result<Sender, ConnectError>> + Send + use<S, E, F>
    where
        E: Events,
        F: FnOnce(&Response) -> E + Send,
    {
        let (client, endpoint, carrier) = (self.clone(), Endpoint::parse(url), stream.into());
        async move {
            let Connected { established, response } = client.reach_over(endpoint?, carrier).await?;
            Ok(established.events(make(&response)))
        }
    }
}

impl fmt::Debug for Client {
    /// Names of headers, not their values, and no sub-protocols: tokens travel in both.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.settings.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Client")
            .field("headers", &names)
            .field("timeouts", &self.settings.timeouts)
            .field("route", &self.settings.route)
            .field("redirects_max", &self.settings.redirects_max)
            .field("address_policy", &self.settings.address_policy)
            .finish_non_exhaustive()
    }
}
