//! `sotong serve`: one port for the pages and for their WebSockets.
//!
//! ```text
//!               ┌─ a WebSocket request ──► plain.rs: one session in event form ──► switchboard.rs ──► core::Hub
//!  a connection ┤                                                                   (who is where)   (decides)
//!   (sotong)    └─ any other request ────► pages.rs: hyper, one answer ──► site.rs: the files of `web/`
//! ```
//!
//! The library reads each request head and decides which of the two it is, so a WebSocket never pays for the HTTP
//! stack that serves the pages.

mod pages;
mod plain;
mod query;
mod site;
mod switchboard;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use sotong::{Config, Refusal, Request, Server};

use crate::core::Limits;
use pages::Pages;
use plain::Plain;
use switchboard::Switchboard;

/// The path of the plain end point.
pub const PLAIN_PATH: &str = "/ws";

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
    /// Worker threads; 0 for the thread of the caller.
    pub threads: usize,
    /// What each client may ask for.
    pub limits: Limits,
}

/// The pages and the hub behind them, listening.
#[derive(Debug)]
pub struct Service {
    server: Server,
    threads: usize,
    switchboard: Arc<Switchboard>,
}

impl Service {
    /// Listens.
    ///
    /// # Errors
    /// When an address cannot be listened on; the error names it.
    pub async fn bind(settings: Settings) -> io::Result<Service> {
        let config = Config::default()
            .with_message_bytes_max(MESSAGE_BYTES_MAX)
            .with_outbox_bytes_max(OUTBOX_BYTES_MAX);
        let ping_seconds =
            config.ping_interval.map_or(0, |interval| u32::try_from(interval.as_secs()).unwrap_or(0));
        let pages = Pages::default();
        let mut server = Server::bind(&settings.listen[..])
            .await?
            .with_config(config)
            .with_paths([PLAIN_PATH])
            .with_origin_policy(settings.origins)
            .with_pages(move |stream, read, _peer| pages.clone().serve(stream, read));
        if let Some(tls) = settings.tls {
            server = server.with_tls(tls);
        }
        let switchboard = Arc::new(Switchboard::new(settings.limits, ping_seconds)?);
        Ok(Service { server, threads: settings.threads, switchboard })
    }

    /// The addresses that it listens on, with the ports that the system chose.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn local_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.server.local_addrs()
    }

    /// Serves until `stop` is ready; then tells everybody to come back later (1001) and ends.
    ///
    /// # Errors
    /// When the system refuses what serving needs, threads for example.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let Service { server, threads, switchboard } = self;
        server
            .serve_events(move |request: &Request| {
                Ok::<_, Refusal>(Plain::new(switchboard.clone(), request.query()))
            })
            .with_threads(threads)
            .with_graceful_shutdown(stop)
            .await
    }
}
