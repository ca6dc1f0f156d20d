//! Serves requests that somebody else's server has read: the decisions, limits and the end of a server of ours, without
//! its listening and reading.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sotong_proto::handshake::{Accept, Offer, Refusal, Request};
use sotong_proto::{Config, Deflate};
use tokio::sync::watch;
use tracing::Instrument;

use super::admission::{Admission, log_refusal, unanswerable};
use super::clients::Clients;
use super::launch::{self, Launch, Start};
use super::serve::{LAST_WORDS, Stats, wait_until_none_is_left};
use super::settings::Settings;
use crate::carrier::Carrier;
use crate::driver::budget::Budget;
use crate::driver::shared::Role;
use crate::established::Established;
use crate::events::Events;
use crate::handler::Outcome;
use crate::live::Guard;
use crate::peer::Peer;
use crate::socket::WebSocket;
use crate::surroundings::Clocks;
use crate::topics::Topics;

/// The WebSockets of a program whose HTTP server is somebody else's: what they must observe, how many there are, and how
/// they end.
///
/// Made by [`Server::upgrades`](crate::Server::upgrades), whose settings hold for each of them: allowed origins and hosts, limits,
/// sub-protocols, the hook, trusted proxies. A clone is the same one; give it to every handler, in axum as
/// `.layer(Extension(upgrades))`.
///
/// ```
/// # fn example() -> Result<(), sotong::handshake::PolicyError> {
/// use sotong::{Config, Server};
///
/// let upgrades = Server::detached()
///     .with_allowed_origins(["https://example.com"])?
///     .with_config(Config::default().with_message_bytes_max(64 * 1024))
///     .upgrades();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Upgrades(Arc<Inner>);

struct Inner {
    admission: Admission,
    clocks: Clocks,
    shutting_down: watch::Sender<bool>,
}

impl Upgrades {
    pub(super) fn new(settings: Settings) -> Upgrades {
        let (shutting_down, shutdown) = watch::channel(false);
        let admission = Admission {
            clients: Clients::new(&settings.clients),
            launch: Box::new(Elsewhere),
            connections: Arc::default(),
            budget: Budget::new(settings.buffered_bytes_max, settings.codec_bytes_max),
            handshakes: Arc::default(),
            handlers: Arc::default(),
            shutdown,
            settings,
        };
        Upgrades(Arc::new(Inner { admission, clocks: Clocks::new(), shutting_down }))
    }

    /// Those of a program that has made none: with the settings of [`Server::detached`](crate::Server::detached).
    #[cfg(feature = "axum")]
    pub(crate) fn of_the_process() -> Upgrades {
        use std::sync::OnceLock;

        static ALL: OnceLock<Upgrades> = OnceLock::new();
        ALL.get_or_init(|| crate::Server::detached().upgrades()).clone()
    }

    /// The limits of each connection, and of a request.
    pub(crate) fn config(&self) -> &Config {
        &self.0.admission.settings.config
    }

    /// Their topics: those of [`Server::with_topics`](crate::Server::with_topics).
    pub fn topics(&self) -> Topics {
        self.0.admission.settings.topics.clone()
    }

    /// What they hold now, all together.
    pub fn stats(&self) -> Stats {
        Stats::of(&self.0.admission.connections, &self.0.admission.budget)
    }

    /// Closes every connection with 1001, spread over `window`, and waits for the peers' answers and for the handlers.
    /// One second is a good window: peers that come back come back spread, too.
    ///
    /// For the end of a program, after its HTTP server has ended: that one does not know of connections that were
    /// upgraded out of it. From the beginning of the call on, new requests are refused with 503 and upgrades that are
    /// under way are dropped. It is for good.
    ///
    /// The wait is bounded: by the window, [`close_timeout`](crate::Config::close_timeout) and one second.
    ///
    /// # Cancel safety
    /// Once it was polled, dropping it changes nothing: the connections are closed all the same.
    pub async fn shutdown(&self, window: Duration) {
        let Inner { admission, clocks, shutting_down } = &*self.0;
        shutting_down.send_replace(true);
        for clock in clocks.running() {
            clock.begin_shutdown(window);
        }
        let close_timeout = admission.settings.config.close_timeout;
        let wait = window.saturating_add(close_timeout).saturating_add(LAST_WORDS);
        wait_until_none_is_left(admission, wait).await;
    }

    fn is_shutting_down(&self) -> bool {
        *self.0.shutting_down.borrow()
    }

    /// Tells whoever watches that a request was refused before there was an offer.
    pub(crate) fn log_refusal(&self, refusal: &Refusal, addr: Option<SocketAddr>) {
        log_refusal(refusal, &Peer::new(addr));
    }

    /// Takes all decisions about an offer that came from this address.
    pub(crate) fn admit(&self, offer: Offer, addr: Option<SocketAddr>) -> Result<Admitted, Refusal> {
        let admission = &self.0.admission;
        let mut peer = Peer::new(addr);
        let mut arrival = admission.clients.arrive_read(&peer);
        let admitted = match self.is_shutting_down() {
            true => Err(Refusal::new(503, "the server shuts down\n")),
            false => admission.judge(offer.request(), &mut peer, &mut arrival, |_| Ok(())),
        };
        let (accept, (), guard) = admitted.inspect_err(|refusal| log_refusal(refusal, &peer))?;
        // Bounded by the count of connections, which this one is in already.
        let under_way = admission.handshakes.enter(usize::MAX).expect("there is no limit");
        let config = admission.settings.config_for(&accept);
        Ok(Admitted { offer, accept, seat: Seat { upgrades: self.clone(), config, peer, guard, under_way } })
    }
}

impl fmt::Debug for Upgrades {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrades")
            .field("settings", &self.0.admission.settings)
            .field("stats", &self.stats())
            .finish()
    }
}

/// A request that is accepted, before it is answered.
pub(crate) struct Admitted {
    offer: Offer,
    accept: Accept,
    seat: Seat,
}

/// What an accepted request holds until its connection does.
struct Seat {
    upgrades: Upgrades,
    config: Arc<Config>,
    peer: Peer,
    /// Counts it as a connection.
    guard: Guard,
    /// Counts it as a handshake.
    under_way: Guard,
}

impl Admitted {
    pub(crate) fn request(&self) -> &Request {
        self.offer.request()
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.accept.protocol()
    }

    pub(crate) fn choose_protocol(&mut self, protocol: String) {
        self.accept = std::mem::take(&mut self.accept).with_protocol(protocol);
    }

    pub(crate) fn set_config(&mut self, config: Config) {
        self.accept = std::mem::take(&mut self.accept).with_compression(config.compression);
        self.seat.config = Arc::new(config);
    }

    /// The answer to send, and the connection that begins when it is sent.
    pub(crate) fn answer(self) -> Result<(Vec<u8>, Pending), Refusal> {
        let Admitted { offer, accept, seat } = self;
        let accepted = offer.accept(accept).map_err(|error| unanswerable(error, &seat.peer))?;
        Ok((accepted.response, Pending { request: accepted.request, deflate: accepted.deflate, seat }))
    }
}

/// A connection whose answer is on its way.
pub(crate) struct Pending {
    request: Request,
    deflate: Option<Deflate>,
    seat: Seat,
}

impl Pending {
    /// Waits until `upgraded` gives up the stream, and what was read from it already.
    ///
    /// # Errors
    /// When that fails, takes longer than a handshake may, or the end of the program comes first.
    pub(crate) async fn establish(
        self,
        upgraded: impl Future<Output = io::Result<(Carrier, Vec<u8>)>>,
    ) -> io::Result<Established> {
        let Pending { request, deflate, seat: Seat { upgrades, config, mut peer, guard, under_way } } = self;
        let Inner { admission, clocks, .. } = &*upgrades.0;
        let over = || io::Error::new(io::ErrorKind::ConnectionAborted, "the server shuts down");
        let mut shutdown = admission.shutdown.clone();
        let (carrier, early) = tokio::select! {
            upgraded = tokio::time::timeout(config.handshake_timeout, upgraded) => upgraded??,
            _ = shutdown.wait_for(|shutdown| *shutdown) => return Err(over()),
        };
        carrier.set_nodelay()?;
        if peer.addr().is_none() {
            peer.set_addr(carrier.peer_addr()?);
        }
        let clock = clocks.current(&admission.budget, Some(&admission.settings.topics));
        // Looked at once more: a shutdown closes what has a clock by then.
        if upgrades.is_shutting_down() {
            return Err(over());
        }
        drop(under_way);
        Ok(Established { carrier, role: Role::Server(deflate), request, peer, early, config, clock, guard })
    }

    /// Starts the connection in pull form with its handler, in tasks of their own, when it is there.
    pub(crate) fn spawn_handler<H, F>(
        self,
        upgraded: impl Future<Output = io::Result<(Carrier, Vec<u8>)>> + Send + 'static,
        handler: H,
    ) where
        H: FnOnce(WebSocket) -> F + Send + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        let handlers = self.seat.upgrades.0.admission.handlers.clone();
        self.spawn(upgraded, move |established| launch::handle(established, &handlers, handler));
    }

    /// Starts the connection in event form, when it is there.
    pub(crate) fn spawn_events(
        self,
        upgraded: impl Future<Output = io::Result<(Carrier, Vec<u8>)>> + Send + 'static,
        events: impl Events,
    ) {
        self.spawn(upgraded, move |established| {
            established.events(events);
        });
    }

    fn spawn(
        self,
        upgraded: impl Future<Output = io::Result<(Carrier, Vec<u8>)>> + Send + 'static,
        start: impl FnOnce(Established) + Send + 'static,
    ) {
        let peer = self.seat.peer.clone();
        let span = tracing::debug_span!(parent: None, "handshake", connection = peer.id);
        let starting = async move {
            match self.establish(upgraded).await {
                Ok(established) => start(established),
                Err(error) => {
                    tracing::debug!(connection = peer.id, %peer, %error, "an upgrade did not come about");
                }
            }
        };
        tokio::spawn(starting.instrument(span));
    }
}

/// Each connection has its handler with its request, so there is no common one.
struct Elsewhere;

impl Launch for Elsewhere {
    fn prepare(&self, _request: &Request) -> Result<Start, Refusal> {
        Err(Refusal::new(500, "internal error\n"))
    }
}
