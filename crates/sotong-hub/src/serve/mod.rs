//! `sotong serve`: one port for the pages and for their WebSockets.
//!
//! ```text
//!               ┌─ a WebSocket, /ws ────► plain.rs: one session in event form ──► switchboard.rs ──► core::Hub
//!  a connection ┤                                                                  (who is where)   (decides)
//!   (sotong)    ├─ a WebSocket, /game ──► game.rs: the same, and a task that ticks ──► arena::Game
//!               └─ any other request ───► pages.rs: hyper, one answer ──► site.rs: the files of `web/`
//! ```
//!
//! The library reads each request head and decides which of the two it is, so a WebSocket never pays for the HTTP
//! stack that serves the pages.

mod endpoint;
mod game;
mod metrics;
mod pages;
mod plain;
mod query;
mod site;
mod switchboard;
mod ticker;
mod topics;

use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sotong::{Config, ForwardedHeader, ProxyProtocol, Rate, Refusal, Request, Server};

use crate::core::Limits;
use endpoint::EndPoint;
pub use game::GAME_DELTAS_WAITING_MAX;
use game::Room;
use metrics::Metrics;
use pages::Pages;
use switchboard::Switchboard;
use ticker::Ticker;

/// The path of the plain end point.
pub const PLAIN_PATH: &str = "/ws";

/// The path of the game: its page, and its WebSockets.
pub const GAME_PATH: &str = "/game";

/// The largest message that a client may send, in bytes: 64 KiB. More ends its connection with 1009.
///
/// It holds a command with the largest `data` that the [`Limits`] allow, several times over.
pub const MESSAGE_BYTES_MAX: u64 = 64 * 1024;

/// The most bytes that may wait for one client: 1 MiB. More, and it is disconnected as slow (3008).
///
/// It holds the longest answers (a full history, a full list of presence) a few times over.
pub const OUTBOX_BYTES_MAX: usize = 1024 * 1024;

/// What `serve` needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen: one port for everything, on each of these addresses.
    pub listen: Vec<SocketAddr>,
    /// The certificate, to speak TLS with; `None` for plain HTTP.
    pub tls: Option<sotong::tls::ServerTls>,
    /// Which pages may connect.
    pub origins: sotong::handshake::OriginPolicy,
    /// What stands in front of it, and how much one client may have.
    pub front: Front,
    /// How messages are compressed with clients that can do it.
    pub compression: Option<sotong::Compression>,
    /// Worker threads; 0 for the thread of the caller.
    pub threads: usize,
    /// What each client may ask for.
    pub limits: Limits,
    /// How often the server asks those who follow the market to confirm an order.
    pub ask_interval: Duration,
}

/// What stands between clients and the server, and how much each of them may have.
#[derive(Clone, Debug, Default)]
pub struct Front {
    /// Whose word about clients counts: see [`Server::with_trusted_proxies`].
    pub trusted_proxies: Vec<String>,
    /// By which header they say it.
    pub forwarded_header: ForwardedHeader,
    /// Whether they begin each connection with a PROXY header.
    pub proxy_protocol: ProxyProtocol,
    /// The most connections at a time.
    pub connections_max: usize,
    /// The most of one address.
    pub connections_per_ip_max: Option<usize>,
    /// How fast those of one address may come.
    pub connection_rate_per_ip: Option<Rate>,
    /// How fast messages of one client may come.
    pub message_rate: Option<Rate>,
    /// Where Prometheus gets its metrics.
    pub metrics: Option<SocketAddr>,
}

impl Front {
    fn set_up(&self, server: Server) -> io::Result<Server> {
        let mut server = server
            .with_trusted_proxies(self.trusted_proxies.iter().map(String::as_str))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?
            .with_forwarded_header(self.forwarded_header)
            .with_proxy_protocol(self.proxy_protocol)
            .with_connections_max(self.connections_max);
        if let Some(max) = self.connections_per_ip_max {
            server = server.with_connections_per_ip_max(max);
        }
        if let Some(rate) = self.connection_rate_per_ip {
            server = server.with_connection_rate_per_ip(rate);
        }
        Ok(server)
    }
}

/// The pages and the hub behind them, listening.
#[derive(Debug)]
pub struct Service {
    server: Server,
    metrics: Option<Metrics>,
    threads: usize,
    switchboard: Arc<Switchboard>,
    ticker: Ticker,
    room: Arc<Room>,
}

impl Service {
    /// Listens.
    ///
    /// # Errors
    /// When an address cannot be listened on; the error names it.
    pub async fn bind(settings: Settings) -> io::Result<Service> {
        let config = Config::default()
            .with_message_bytes_max(MESSAGE_BYTES_MAX)
            .with_outbox_bytes_max(OUTBOX_BYTES_MAX)
            .with_message_rate(settings.front.message_rate)
            .with_compression(settings.compression);
        let ping_seconds =
            config.ping_interval.map_or(0, |interval| u32::try_from(interval.as_secs()).unwrap_or(0));
        let pages = Pages::default();
        let mut server = Server::bind(&settings.listen[..])
            .await?
            .with_config(config)
            .with_paths([PLAIN_PATH, GAME_PATH])
            .with_origin_policy(settings.origins)
            .with_topics(topics::new())
            .with_pages(move |stream, read, _peer| pages.clone().serve(stream, read));
        if let Some(tls) = settings.tls {
            server = server.with_tls(tls);
        }
        let server = settings.front.set_up(server)?;
        let metrics = match settings.front.metrics {
            Some(address) => Some(Metrics::bind(address).await?),
            None => None,
        };
        let switchboard = Arc::new(Switchboard::new(settings.limits, ping_seconds, server.topics())?);
        let ticker = Ticker::new(switchboard.clone(), settings.ask_interval)?;
        let room = Arc::new(Room::new(server.topics())?);
        Ok(Service { server, metrics, threads: settings.threads, switchboard, ticker, room })
    }

    /// The addresses that it listens on, with the ports that the system chose.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn local_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.server.local_addrs()
    }

    /// Where the metrics are, if anywhere.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn metrics_addr(&self) -> io::Result<Option<SocketAddr>> {
        self.metrics.as_ref().map(Metrics::local_addr).transpose()
    }

    /// Serves until `stop` is ready; then tells everybody to come back later (1001) and ends.
    ///
    /// # Errors
    /// When the system refuses what serving needs, threads for example.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let Service { server, metrics, threads, switchboard, ticker, room } = self;
        let watched = async {
            match metrics {
                Some(metrics) => metrics.serve().await,
                None => std::future::pending().await,
            }
        };
        let (deadlines, ticking) = (switchboard.clone(), room.clone());
        let served = server
            .serve_events(move |request: &Request| {
                Ok::<_, Refusal>(EndPoint::of(request, &switchboard, &room))
            })
            .with_threads(threads)
            .with_graceful_shutdown(stop);
        tokio::select! {
            ended = served.into_future() => ended,
            () = deadlines.keep_deadlines() => Ok(()),
            () = ticker.run() => Ok(()),
            () = ticking.run() => Ok(()),
            // Until the very end: how a shutdown goes is worth watching.
            () = watched => Ok(()),
        }
    }
}
