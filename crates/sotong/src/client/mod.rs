//! The client: from a URL to a connection.
//!
//! ```text
//!   Client::connect(url)
//!      │ endpoint.rs   the URL, taken apart
//!      │ dial.rs       addresses of the host, and a race of them ── gate.rs: one connect at a time to each
//!      │ secure.rs     TLS, for wss
//!      │ handshake.rs  request and answer, through the core
//!      ▼
//!   Established::pull, ::events          timeouts.rs: a deadline for each step and for the whole
//! ```

mod dial;
mod endpoint;
mod error;
mod gate;
mod handshake;
#[cfg(feature = "tls")]
mod secure;
mod timeouts;

use std::fmt;
use std::sync::Arc;

use sotong_proto::Config;
use sotong_proto::handshake::{ClientHandshake, ClientRequest, HeaderError, RequestError, Response};

use self::dial::{Dialled, Simultaneous};
use self::endpoint::{Carriage, Endpoint};
use self::handshake::Agreed;
use self::timeouts::Deadlines;
use crate::carrier::Carrier;
use crate::driver::random;
use crate::driver::shared::Role;
use crate::established::Established;
use crate::events::Events;
use crate::peer::Peer;
use crate::sender::Sender;
use crate::socket::WebSocket;
use crate::surroundings::Surroundings;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;

pub use self::error::{ConnectError, UrlError};
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
///     .with_header("Authorization", format!("Bearer {token}"))?
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
///    their ASCII form. A user name and a password in it are not sent; write a header `Authorization`.
/// 2. The host's addresses are found, and tried in turn: the next one when one has failed or has had 250 ms (RFC
///    8305). TCP does not wait to gather bytes (`TCP_NODELAY`).
/// 3. Connects to one IP address wait for each other, in the whole process, until the handshake of the one before is
///    through (RFC 6455, section 4.1, 2). [`with_simultaneous_connects`](Self::with_simultaneous_connects) turns that
///    off. One that has begun and is not polled any more keeps the others waiting.
/// 4. `wss:` speaks TLS: see [`ClientTls`](crate::tls::ClientTls). It needs the feature `tls`, which is on by default.
/// 5. The handshake. Redirects are not followed, because credentials would travel with them: the error tells where to.
///
/// Each step has a deadline: see [`ConnectTimeouts`].
#[derive(Clone, Default)]
pub struct Client {
    settings: Arc<Settings>,
}

/// What a client was told.
#[derive(Clone, Default)]
struct Settings {
    config: Arc<Config>,
    /// Each was checked when it came in.
    headers: Vec<(String, String)>,
    protocols: Vec<String>,
    timeouts: ConnectTimeouts,
    #[cfg(feature = "tls")]
    tls: Option<ClientTls>,
    simultaneous: Simultaneous,
}

impl Client {
    /// A client with the default settings, which are fit for the open internet.
    pub fn new() -> Self {
        Client::default()
    }

    fn settings(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Sets the limits and deadlines of connections. Default: [`Config::default`].
    ///
    /// The handshake's deadline is that of [`ConnectTimeouts::handshake`].
    #[must_use]
    pub fn with_config(mut self, config: Config) -> Self {
        self.settings().config = Arc::new(config);
        self
    }

    /// Adds a header to the request, such as `Authorization`, `Cookie` or `Origin`.
    ///
    /// Headers are sent in the order in which they were added; adding one twice sends it twice.
    ///
    /// # Errors
    /// When the name is not a token, the value holds a line break or another control character (whoever could write
    /// one there could add headers of their own), or the handshake itself writes this header: `Host`, `Upgrade`,
    /// `Connection`, those that begin with `Sec-WebSocket-`, and those of a body.
    pub fn with_header(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, HeaderError> {
        let (name, value) = (name.into(), value.into());
        probe().with_header(name.clone(), value.clone())?;
        self.settings().headers.push((name, value));
        Ok(self)
    }

    /// Sets the sub-protocols to offer, the one that is liked most first. Default: none.
    ///
    /// The server chooses one or none: see [`WebSocket::protocol`]. One that was not offered fails the handshake.
    ///
    /// # Errors
    /// When one is not a token, or is there twice (RFC 6455, section 4.1, 10).
    pub fn with_protocols(
        mut self,
        protocols: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, RequestError> {
        let protocols: Vec<String> = protocols.into_iter().map(Into::into).collect();
        let mut probe = probe();
        for protocol in &protocols {
            probe = probe.with_protocol(protocol.clone())?;
        }
        self.settings().protocols = protocols;
        Ok(self)
    }

    /// Sets how long a connect and each of its steps may take. Default: 30 seconds for the whole.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: ConnectTimeouts) -> Self {
        self.settings().timeouts = timeouts;
        self
    }

    /// Sets how TLS is spoken: whom to trust, and who we are. Default: the platform's roots, no
    /// certificate of ours.
    ///
    /// Needs the feature `tls`, which is on by default.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: ClientTls) -> Self {
        self.settings().tls = Some(tls);
        self
    }

    /// Lets connects to one address run side by side.
    ///
    /// By default they wait for each other, as RFC 6455, section 4.1, 2 says they MUST and as browsers do: so that
    /// whoever can make a program connect cannot turn it against a server. For load generators, and for programs with
    /// thousands of connections to a server of their own.
    #[must_use]
    pub fn with_simultaneous_connects(mut self) -> Self {
        self.settings().simultaneous = Simultaneous::Allow;
        self
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
        async move { Ok(client.reach(&endpoint?).await?.established.pull()) }
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
            let Connected { established, response } = client.reach(&endpoint?).await?;
            Ok(established.events(make(&response)))
        }
    }

    /// Connects over a stream that is connected already: through a proxy, a tunnel, a unix socket, memory.
    ///
    /// The URL says what to ask for. No name is resolved, nobody is waited for, and no TLS is added: for `wss:` the
    /// stream speaks it already. Of the deadlines those of the handshake and of the whole hold. For the event form see
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
        async move { Ok(client.reach_over(&endpoint?, carrier).await?.established.pull()) }
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
            let Connected { established, response } = client.reach_over(&endpoint?, carrier).await?;
            Ok(established.events(make(&response)))
        }
    }

    /// From an endpoint to a connection.
    async fn reach(&self, endpoint: &Endpoint) -> Result<Connected, ConnectError> {
        let settings = &*self.settings;
        let deadlines = Deadlines::begin(settings.timeouts);
        #[cfg(not(feature = "tls"))]
        if endpoint.carriage == Carriage::Tls {
            return Err(UrlError::WithoutTls.into());
        }
        let Dialled { stream, address, pass } =
            dial::dial(endpoint, &deadlines, settings.simultaneous).await?;
        let carrier = match endpoint.carriage {
            Carriage::Plain => Carrier::from(stream),
            #[cfg(feature = "tls")]
            Carriage::Tls => {
                let tls = settings.tls.clone().unwrap_or_default();
                secure::secure(endpoint, stream, &tls, &deadlines).await?
            }
            #[cfg(not(feature = "tls"))]
            Carriage::Tls => unreachable!("it was refused above"),
        };
        let connected = self.shake(endpoint, carrier, Peer::new(Some(address)), &deadlines).await;
        // The next one may connect when this one is through, well or badly.
        drop(pass);
        connected
    }

    /// The same over a stream of the caller's.
    async fn reach_over(&self, endpoint: &Endpoint, carrier: Carrier) -> Result<Connected, ConnectError> {
        let deadlines = Deadlines::begin(self.settings.timeouts);
        // It fails, as asking for the peer does, where the stream is gone: the handshake will say so.
        let _ = carrier.set_nodelay();
        let peer = Peer::new(carrier.peer_addr().ok().flatten());
        self.shake(endpoint, carrier, peer, &deadlines).await
    }

    /// The handshake over a stream.
    async fn shake(
        &self,
        endpoint: &Endpoint,
        mut carrier: Carrier,
        peer: Peer,
        deadlines: &Deadlines,
    ) -> Result<Connected, ConnectError> {
        let settings = &*self.settings;
        let Surroundings { clock, guard } = Surroundings::current();
        let nonce = random::bytes().map_err(ConnectError::Io)?;
        let handshake = ClientHandshake::new(self.request(endpoint)?, nonce, &settings.config, clock.now());
        let due = deadlines.step(ConnectStep::Handshake);
        let shaken = handshake::shake(&mut carrier, handshake, &endpoint.place(), due).await;
        #[cfg(feature = "tls")]
        let shaken = shaken.map_err(|error| secure::explain(endpoint, error));
        let Agreed { request, response, deflate, early } = shaken?;
        let role = Role::client(deflate, response.clone()).map_err(ConnectError::Io)?;
        tracing::debug!(connection = peer.id, %peer, host = endpoint.authority, "connected");
        let config = settings.config.clone();
        let established = Established { carrier, role, request, peer, early, config, clock, guard };
        Ok(Connected { established, response })
    }

    /// What to ask for at that endpoint.
    fn request(&self, endpoint: &Endpoint) -> Result<ClientRequest, ConnectError> {
        let mut request = ClientRequest::new(&*endpoint.authority, &*endpoint.resource)?
            .with_compression(self.settings.config.compression);
        for protocol in &self.settings.protocols {
            request = request.with_protocol(&**protocol)?;
        }
        for (name, value) in &self.settings.headers {
            request = request.with_header(&**name, &**value)?;
        }
        Ok(request)
    }
}

/// A connection whose handshake is done, and what the server said.
struct Connected {
    established: Established,
    response: Response,
}

/// A request that goes nowhere: what it takes, a real one will take.
fn probe() -> ClientRequest {
    ClientRequest::new("localhost", "/").expect("a host and a path")
}

impl fmt::Debug for Client {
    /// Names of headers, not their values, and no sub-protocols: tokens travel in both.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.settings.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Client")
            .field("headers", &names)
            .field("timeouts", &self.settings.timeouts)
            .finish_non_exhaustive()
    }
}
