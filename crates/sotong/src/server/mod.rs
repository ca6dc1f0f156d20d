//! The server: listens, admits, and serves each connection by the form you choose.
//!
//! ```text
//!  listeners, Handle::accept ─► accept.rs ─► (worker.rs: a thread of its own) ─► admission.rs: the handshake
//!                                                                                    │ Launch
//!                                                   driver + handler (pull), driver (events) ◄┘
//! ```

mod accept;
mod admission;
mod clients;
mod files;
mod forwarded;
mod launch;
mod listen;
mod proxies;
mod proxy_protocol;
mod rates;
mod secure;
mod serve;
mod settings;
#[cfg(feature = "hyper")]
mod upgrades;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpListener, ToSocketAddrs};

use sotong_proto::handshake::{Accept, OriginPolicy, PolicyError, Refusal, Request};
use sotong_proto::{Config, Rate};

use crate::carrier::Carrier;
use crate::events::Events;
use crate::handler::Outcome;
use crate::socket::WebSocket;
#[cfg(feature = "tls")]
use crate::tls::ServerTls;
use crate::topics::Topics;
use listen::Listener;
pub use proxies::{ForwardedHeader, ProxyError};
pub use proxy_protocol::ProxyProtocol;
pub use serve::{Handle, Serve, Stats};
use settings::Settings;
#[cfg(feature = "hyper")]
pub use upgrades::Upgrades;
#[cfg(feature = "hyper")]
pub(crate) use upgrades::{Admitted, Pending};

/// Accepts connections and serves them.
///
/// What it checks by default is safe for a server that browsers can reach: a page of another origin is refused, and
/// so is a `Host` that is neither `localhost`, an IP address nor on your list (which stops DNS rebinding). Clients
/// that send no `Origin`, which are not browsers, pass.
///
/// ```no_run
/// use sotong::{Server, WebSocket};
///
/// # async fn example() -> std::io::Result<()> {
/// let server = Server::bind("127.0.0.1:9001").await?;
/// server
///     .serve(async |mut socket: WebSocket| {
///         while let Some(message) = socket.recv().await? {
///             socket.send(message).await?;
///         }
///         Ok::<(), sotong::Error>(())
///     })
///     .await
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
    settings: Settings,
}

impl Server {
    /// Listens on every address that `addresses` stands for: one, a list, or a host name. Port 0 lets the system
    /// choose, for each address anew; [`local_addrs`](Self::local_addrs) tells.
    ///
    /// The first server of a process raises its soft limit of open files to the hard limit and says so by
    /// `tracing`: each connection is a file.
    ///
    /// # Errors
    /// When an address cannot be listened on; the error names it. When a name stands for no address.
    ///
    /// # Cancel safety
    /// It waits only for names to be resolved; dropped before it is ready, nothing is listened on.
    pub async fn bind(addresses: impl ToSocketAddrs) -> io::Result<Server> {
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host(addresses).await?.collect();
        Ok(Server { listeners: listen::listen(&addresses)?, ..Server::detached() })
    }

    /// Listens on a unix socket: for a proxy on the same machine, which needs no port then.
    ///
    /// A socket file that nobody listens on is replaced; the file is removed at the server's end. Who may connect is
    /// decided by the permissions of the folder.
    ///
    /// # Errors
    /// When the file is there and is something else, or somebody listens on it, or the folder cannot be written.
    pub fn bind_unix(path: impl AsRef<Path>) -> io::Result<Server> {
        Ok(Server { listeners: vec![listen::listen_on_path(path.as_ref())?], ..Server::detached() })
    }

    /// Serves a listener of yours.
    pub fn from_listener(listener: TcpListener) -> Server {
        Server { listeners: vec![Listener::tcp(listener)], ..Server::detached() }
    }

    /// Listens on nothing: serves the streams that you hand to [`Serve::handle`].
    pub fn detached() -> Server {
        files::raise_limit();
        Server { listeners: Vec::new(), settings: Settings::default() }
    }

    /// The address of the first listener that has one.
    ///
    /// # Errors
    /// When there is none ([`detached`](Self::detached), [`bind_unix`](Self::bind_unix)).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let none = || io::Error::new(io::ErrorKind::NotConnected, "the server has no network address");
        self.listeners.iter().find_map(Listener::local_addr).ok_or_else(none)?
    }

    /// The addresses of all listeners that have one.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn local_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.iter().filter_map(Listener::local_addr).collect()
    }

    /// Limits and deadlines of each connection.
    #[must_use]
    pub fn with_config(mut self, config: Config) -> Self {
        self.settings.config = Arc::new(config);
        self
    }

    /// Speaks TLS on every connection, before HTTP: `wss://`. Default: none; then TLS has to end in front of the
    /// server.
    ///
    /// [`handshake_timeout`](Config::handshake_timeout) is for TLS and HTTP together. Who speaks HTTP without TLS is
    /// told so with a 400. What [`with_pages`](Self::with_pages) is given is what was inside TLS. Pages of an `http:`
    /// origin are not the server's own any more.
    ///
    /// ```no_run
    /// use sotong::tls::ServerTls;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let tls = ServerTls::from_pem_files("cert.pem", "key.pem")?;
    /// let server = sotong::Server::bind("0.0.0.0:443").await?.with_tls(tls);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: ServerTls) -> Self {
        self.settings.secure.tls = Some(tls);
        self
    }

    /// Accepts WebSockets on these paths only; others are refused with 404. Default: any path.
    #[must_use]
    pub fn with_paths<S: Into<String>>(mut self, paths: impl IntoIterator<Item = S>) -> Self {
        self.settings.paths = Some(paths.into_iter().map(Into::into).collect());
        self
    }

    /// The sub-protocols that the server speaks, in order of preference. The first one that the client offers is
    /// chosen; if there is none, the connection is opened without.
    #[must_use]
    pub fn with_protocols<S: Into<String>>(mut self, protocols: impl IntoIterator<Item = S>) -> Self {
        self.settings.protocols = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Lets pages of these origins in, besides the same origin: `https://example.com`, with a port if it is not
    /// the default one.
    ///
    /// # Errors
    /// When one is not an origin.
    pub fn with_allowed_origins<'a>(
        mut self,
        origins: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, PolicyError> {
        for origin in origins {
            self.settings.origins = self.settings.origins.with_allowed_origin(origin)?;
        }
        Ok(self)
    }

    /// The names under which browsers may reach this server, besides `localhost` and IP addresses.
    ///
    /// # Errors
    /// When one is not a host name.
    pub fn with_allowed_hosts<'a>(
        mut self,
        hosts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, PolicyError> {
        for host in hosts {
            self.settings.origins = self.settings.origins.with_allowed_host(host)?;
        }
        Ok(self)
    }

    /// Replaces the whole policy about origins and hosts; see [`handshake::danger`](sotong_proto::handshake::danger)
    /// for one that lets everybody in.
    #[must_use]
    pub fn with_origin_policy(mut self, policy: OriginPolicy) -> Self {
        self.settings.origins = policy;
        self
    }

    /// The origin under which browsers know this server's own pages: `https://chat.example.com`. May be told more than
    /// once.
    ///
    /// Behind a proxy that ends TLS or writes a `Host` of its own, the server cannot see that. Once it is told, pages
    /// of this very origin (scheme, name and port) are the server's own, and `Host` is not compared any more; pages
    /// that reach it otherwise, as `http://127.0.0.1:8000` on the same machine, need
    /// [`with_allowed_origins`](Self::with_allowed_origins). A proxy that is [trusted](Self::with_trusted_proxies) may
    /// tell the same with each request, by `X-Forwarded-Proto` and `X-Forwarded-Host`; the name must then be on the list
    /// of [`with_allowed_hosts`](Self::with_allowed_hosts).
    ///
    /// # Errors
    /// When it is not an origin of web pages.
    pub fn with_public_origin(mut self, origin: &str) -> Result<Self, PolicyError> {
        self.settings.origins = self.settings.origins.with_public_origin(origin)?;
        Ok(self)
    }

    /// The proxies in front of this server, whose word about their clients counts: addresses (`127.0.0.1`), networks
    /// (`10.0.0.0/8`, `fd00::/8`), and `unix` for peers on a unix socket. Default: none.
    ///
    /// Only from them are `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` believed (or `Forwarded`, see
    /// [`with_forwarded_header`](Self::with_forwarded_header)); anybody else can write there what they like. The
    /// client is the rightmost address that is none of these proxies'. It is what
    /// [`Sender::client_ip`](crate::Sender::client_ip) tells, what limits per address count, and what logs show. Where
    /// a trusted proxy says nothing, or what cannot be understood, the client is the proxy itself; the latter is logged
    /// at level debug.
    ///
    /// Each proxy must overwrite the field, or append to it, and never pass on only what the client wrote. nginx:
    /// `proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for`; haproxy: `option forwardfor`.
    ///
    /// # Errors
    /// When one is neither an address nor a network, or is everybody (`0.0.0.0/0`).
    ///
    /// ```
    /// # fn example(server: sotong::Server) -> Result<(), Box<dyn std::error::Error>> {
    /// let server = server.with_trusted_proxies(["127.0.0.1", "::1"])?.with_public_origin("https://chat.example.com")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_trusted_proxies<'a>(
        mut self,
        proxies: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ProxyError> {
        for proxy in proxies {
            self.settings.clients.proxies.add(proxy)?;
        }
        Ok(self)
    }

    /// By which header field a trusted proxy says for whom it asks. Default: [`ForwardedHeader::XForwardedFor`].
    #[must_use]
    pub fn with_forwarded_header(mut self, header: ForwardedHeader) -> Self {
        self.settings.clients.proxies.set_header(header);
        self
    }

    /// Whether trusted proxies begin each connection with a header of the PROXY protocol, version 1 or 2, before TLS
    /// and HTTP (haproxy's `send-proxy`, nginx's `proxy_protocol on` of the stream module). Default: off.
    ///
    /// When it is [required](ProxyProtocol::Required), a connection of a
    /// [trusted proxy](Self::with_trusted_proxies) that begins otherwise is dropped, with a line in the log. Peers
    /// that are not trusted are served as if it were off; from them such a header is a malformed request. Where the
    /// header says that the proxy speaks for itself (`LOCAL`, `UNKNOWN`), it is the client.
    ///
    /// The address that the header names takes the peer's place in all respects: if it is no trusted proxy's, then
    /// header fields of the requests are not believed.
    #[must_use]
    pub fn with_proxy_protocol(mut self, proxy_protocol: ProxyProtocol) -> Self {
        self.settings.clients.proxy_protocol = proxy_protocol;
        self
    }

    /// The most connections at a time of one address: WebSockets, handshakes, and streams that
    /// [`with_pages`](Self::with_pages) was given. One more is refused with 429; of those that wait to be told so,
    /// all but eight are dropped. Default: no limit.
    ///
    /// IPv6 addresses count by their first 64 bits. Behind a proxy that is [trusted](Self::with_trusted_proxies) its
    /// clients are counted, and not the proxy; behind one that is not, everybody has its address. No address is
    /// exempt, not even 127.0.0.1: a limit with exceptions that nobody sees is none. Peers without an address (unix
    /// sockets, memory) are not counted, unless a proxy says who they are.
    ///
    /// There is no limit by default because no number is right everywhere: a school, an office, or all the phones of
    /// a city may share one address. Where a client needs one connection, 100 stop an attacker with a single machine
    /// and hardly anybody else.
    #[must_use]
    pub fn with_connections_per_ip_max(mut self, connections_per_ip_max: usize) -> Self {
        self.settings.clients.connections_per_ip_max = Some(connections_per_ip_max);
        self
    }

    /// How fast new connections of one address may come; one that comes faster is refused with 429 and told when to
    /// come back. Default: as fast as they like.
    ///
    /// What counts as an address, and why there is no limit by default, is as for
    /// [`with_connections_per_ip_max`](Self::with_connections_per_ip_max). Choose a burst that lets everybody behind one
    /// address come back after a restart of the server: they do so at once.
    ///
    /// For 65,536 addresses at least it is known when they came last; beyond them those that came longest ago are
    /// forgotten and may come anew.
    #[must_use]
    pub fn with_connection_rate_per_ip(mut self, rate: Rate) -> Self {
        self.settings.clients.connection_rate_per_ip = Some(rate);
        self
    }

    /// The most WebSockets at a time; one more is refused with 503. Default: 100,000.
    ///
    /// Handshakes may take the places that are free, and an eighth of the limit more (64 at least), so that there is
    /// somebody to tell the 503; connections beyond that are dropped when they are accepted. A stream that
    /// [`with_pages`](Self::with_pages) was given counts as a handshake.
    ///
    /// The process's limit of open files is another limit, and the system's memory for sockets a third.
    #[must_use]
    pub fn with_connections_max(mut self, connections_max: usize) -> Self {
        self.settings.connections_max = connections_max;
        self
    }

    /// The most bytes that all connections together may hold: waiting to be sent, waiting for the application, and
    /// of messages that are not complete. Default: 1 GiB.
    ///
    /// Each connection has limits of its own ([`Config`]), but many connections at their limits are more than a
    /// machine has. From seven eighths of this one on, new connections are refused with 503; beyond it, those that
    /// hold most are closed: with 1013, or without a word where the peer does not take what was said before.
    /// [`Handle::stats`] counts them. Up to 16 KiB of each connection do not count, so that a busy server need not
    /// count every message.
    #[must_use]
    pub fn with_buffered_bytes_max(mut self, buffered_bytes_max: usize) -> Self {
        self.settings.buffered_bytes_max = buffered_bytes_max;
        self
    }

    /// The most bytes that all compressors and decompressors together may take, lent and idle. Default: 64 MiB.
    ///
    /// They are made when they are needed: a worker thread needs one of each, 370 to 500 KiB and 64 KiB; more are in use
    /// where other threads send, and while large compressed messages come in. When no more may be made, messages are sent
    /// uncompressed, and what comes compressed is inflated when it is whole. What connections in
    /// [windowed](crate::CompressionMode::Windowed) mode keep is not in this: at most 2 × 2^`window_bits` bytes each.
    #[must_use]
    pub fn with_codec_bytes_max(mut self, codec_bytes_max: usize) -> Self {
        self.settings.codec_bytes_max = codec_bytes_max;
        self
    }

    /// The topics that connections of this server subscribe to. Default: topics of its own, whose slow subscribers are
    /// closed.
    ///
    /// Several servers may share them.
    #[must_use]
    pub fn with_topics(mut self, topics: Topics) -> Self {
        self.settings.topics = topics;
        self
    }

    /// The topics that connections of this server subscribe to, for whoever publishes.
    pub fn topics(&self) -> Topics {
        self.settings.topics.clone()
    }

    /// Sees each request for a WebSocket, after the checks above, and accepts or refuses it: with a sub-protocol
    /// and headers, or with a status and a body.
    ///
    /// It must not block. If it panics, or accepts with a sub-protocol that was not offered, the request is refused
    /// with 500.
    #[must_use]
    pub fn with_hook(
        mut self,
        hook: impl Fn(&Request) -> Result<Accept, Refusal> + Send + Sync + 'static,
    ) -> Self {
        self.settings.hook = Some(Arc::new(hook));
        self
    }

    /// Hands connections on that begin with a plain HTTP request, with the bytes that were read already: to an HTTP
    /// server of yours on the same port. Default: they are answered with 426.
    ///
    /// Deadlines are then that server's business. Until the future ends the stream counts as a handshake (see
    /// [`with_connections_max`](Self::with_connections_max)); a shutdown drops it.
    #[must_use]
    pub fn with_pages<F>(
        mut self,
        pages: impl Fn(Carrier, Vec<u8>, Option<SocketAddr>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.settings.pages = Some(Arc::new(move |stream, read, peer| Box::pin(pages(stream, read, peer))));
        self
    }

    /// Serves in the pull form: `handler` is called with each connection and runs in a task of its own.
    ///
    /// It ends the connection by returning: with 1000, or with 1011 if it returns an error of its own or panics.
    pub fn serve<H, F>(self, handler: H) -> Serve
    where
        H: Fn(WebSocket) -> F + Send + Sync + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        Serve::new(self, Arc::new(launch::Pull(handler)))
    }

    /// Serves in the event form: `make` sees each request and makes the value whose methods are called, or refuses.
    ///
    /// It is called last, when the request has passed all else; if it panics, the request is refused with 500. If the
    /// peer goes before it has its answer, the value is dropped without a call.
    pub fn serve_events<M, E>(self, make: M) -> Serve
    where
        M: Fn(&Request) -> Result<E, Refusal> + Send + Sync + 'static,
        E: Events,
    {
        Serve::new(self, Arc::new(launch::Event(make)))
    }

    /// Serves requests that somebody else's server has read, by these settings: see
    /// [`upgrade`](mod@crate::upgrade).
    ///
    /// Start from [`detached`](Self::detached): what this server listens on is closed. What comes before a request
    /// ([`with_proxy_protocol`](Self::with_proxy_protocol), TLS) and beside it ([`with_pages`](Self::with_pages)) is that
    /// other server's business.
    #[cfg(feature = "hyper")]
    #[must_use]
    pub fn upgrades(self) -> Upgrades {
        Upgrades::new(self.settings)
    }
}
