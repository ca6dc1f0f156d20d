//! The handshake of one connection: bytes, a deadline and the server's decisions.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sotong_proto::Config;
use sotong_proto::handshake::{
    Accept, AcceptError, Accepted, Offer, Progress, Refusal, Request, ServerHandshake,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{timeout, timeout_at};
use tracing::Instrument;

use super::clients::{Arrival, Clients};
use super::launch::{Launch, Start};
use super::settings::Settings;
use crate::carrier::Carrier;
use crate::counts;
use crate::driver::budget::Budget;
use crate::driver::clock::Clock;
use crate::driver::shared::Role;
use crate::established::Established;
use crate::live::{Guard, Live};
use crate::peer::Peer;

/// How much is read at once while a handshake is going on.
const READ_BYTES: usize = 4096;
/// How many bytes a refused peer may still send before its connection is cut: enough for what is on its way.
const LINGER_BYTES_MAX: usize = 256 * 1024;
/// Beyond the limit of connections this many more are let in, an eighth of it and at least this, to be told 503.
const REFUSED_AT_ONCE_MIN: usize = 64;

/// Everything that admits connections shares this.
pub(super) struct Admission {
    pub(super) settings: Settings,
    pub(super) clients: Clients,
    pub(super) launch: Box<dyn Launch>,
    pub(super) connections: Arc<Live>,
    pub(super) budget: Arc<Budget>,
    pub(super) handshakes: Arc<Live>,
    pub(super) handlers: Arc<Live>,
    /// True when the server shuts down.
    pub(super) shutdown: watch::Receiver<bool>,
}

/// A stream on its way in.
pub(super) struct Incoming {
    pub(super) carrier: Carrier,
    pub(super) peer: Peer,
    /// What was read from it already.
    pub(super) read: Vec<u8>,
}

impl Admission {
    /// Counts one more handshake; `None` when there are too many to even refuse politely.
    pub(super) fn enter(&self) -> Option<Guard> {
        let max = self.settings.connections_max;
        let spare = max.saturating_sub(self.connections.count());
        self.handshakes.enter(spare.saturating_add((max / 8).max(REFUSED_AT_ONCE_MIN)))
    }

    /// Takes a stream through its handshake and starts the connection, on the current runtime.
    pub(super) fn admit(
        self: Arc<Self>,
        incoming: Incoming,
        clock: Arc<Clock>,
        handshake: Guard,
    ) -> impl Future<Output = ()> {
        let span = tracing::debug_span!(parent: None, "handshake", connection = incoming.peer.id);
        self.admit_in_span(incoming, clock, handshake).instrument(span)
    }

    async fn admit_in_span(self: Arc<Self>, incoming: Incoming, clock: Arc<Clock>, handshake: Guard) {
        let mut shutdown = self.shutdown.clone();
        let peer = incoming.peer.clone();
        tokio::select! {
            result = self.handshake(incoming, clock) => {
                if let Err(error) = result {
                    tracing::debug!(connection = peer.id, %peer, %error, "a handshake ended early");
                }
            }
            // A peer that is not in yet is not asked to leave.
            _ = shutdown.wait_for(|shutdown| *shutdown) => {}
        }
        drop(handshake);
    }

    async fn handshake(&self, incoming: Incoming, clock: Arc<Clock>) -> io::Result<()> {
        let Incoming { mut carrier, mut peer, mut read } = incoming;
        // One deadline for all that comes before there is a WebSocket. Who is late before HTTP is told nothing: there
        // is no way yet.
        let handshake = ServerHandshake::new(&self.settings.config, clock.now());
        let deadline = clock.instant(handshake.deadline());
        let arrive = self.clients.arrive(&mut carrier, &mut peer, &mut read);
        let Some(mut arrival) = timeout_at(deadline, arrive).await?? else { return Ok(()) };
        let secured = timeout_at(deadline, self.settings.secure.begin(carrier, read, &peer)).await??;
        let Some((mut carrier, read)) = secured else { return Ok(()) };
        let refusal = match timeout_at(deadline, read_head(&mut carrier, handshake, read)).await {
            Ok(head) => match head? {
                Head::WebSocket(offer) => match self.decide(offer, &mut peer, &mut arrival) {
                    Ok(decided) => {
                        let write = write_all(&mut carrier, &decided.accepted.response);
                        timeout_at(deadline, write).await??;
                        self.start(decided, carrier, peer, clock);
                        return Ok(());
                    }
                    Err(refusal) => refusal,
                },
                Head::Page(_) if let Some(too_many) = arrival.too_many => too_many.refusal(),
                Head::Page(read) => match &self.settings.pages {
                    Some(pages) => {
                        pages(carrier, read, peer.addr()).await;
                        return Ok(());
                    }
                    // RFC 9110, section 9.3.2: no body in the answer to HEAD.
                    None if read.starts_with(b"HEAD ") => Refusal::new(426, ""),
                    None => Refusal::upgrade_required(),
                },
                Head::Refused(refusal) => refusal,
            },
            Err(_elapsed) => Refusal::head_too_late(),
        };
        log_refusal(&refusal, &peer);
        timeout(self.settings.config.close_timeout, refuse(carrier, &refusal.to_bytes())).await?
    }

    /// All decisions about an offer.
    fn decide(&self, offer: Offer, peer: &mut Peer, arrival: &mut Arrival) -> Result<Decided, Refusal> {
        let prepare = |request: &Request| self.launch.prepare(request);
        let (accept, start, guard) = self.judge(offer.request(), peer, arrival, prepare)?;
        let config = self.settings.config_for(&accept);
        let accepted = offer.accept(accept).map_err(|error| unanswerable(error, peer))?;
        Ok(Decided { accepted, config, start, guard })
    }

    /// Whether a request is accepted, how, and with what prepared: the last thing, when it has passed all else.
    pub(super) fn judge<P>(
        &self,
        request: &Request,
        peer: &mut Peer,
        arrival: &mut Arrival,
        prepare: impl FnOnce(&Request) -> Result<P, Refusal>,
    ) -> Result<(Accept, P, Guard), Refusal> {
        let claims = self.clients.introduce(arrival, request, peer)?;
        let max = self.settings.connections_max;
        // The hook and the factory are the application's. What panics there is this request's loss only.
        let decided = catch_unwind(AssertUnwindSafe(|| {
            let accept = self.settings.decide(request, &claims)?;
            if self.budget.is_tight() {
                let max = self.settings.buffered_bytes_max;
                return Err(Refusal::new(
                    503,
                    format!("connections hold nearly buffered_bytes_max = {max} bytes\n"),
                ));
            }
            let guard = self.connections.enter(max).ok_or_else(|| Refusal::too_many_connections(max))?;
            Ok((accept, prepare(request)?, guard))
        }));
        let (accept, prepared, guard) = decided.unwrap_or_else(|_| {
            counts::panicked();
            tracing::error!(connection = peer.id, %peer, "the server's hook or factory panicked; the request is refused with 500");
            Err(Refusal::new(500, "internal error\n"))
        })?;
        let guard = match arrival.place.take() {
            Some(place) => guard.keeping(place),
            None => guard,
        };
        Ok((accept, prepared, guard))
    }

    fn start(&self, decided: Decided, carrier: Carrier, peer: Peer, clock: Arc<Clock>) {
        let Decided { accepted, config, start, guard } = decided;
        let established = Established {
            carrier,
            role: Role::Server(accepted.deflate),
            request: accepted.request,
            peer,
            early: accepted.early,
            config,
            clock,
            guard,
        };
        start(established, self.handlers.clone());
    }
}

/// Tells whoever watches that a handshake was refused.
pub(super) fn log_refusal(refusal: &Refusal, peer: &Peer) {
    let status = refusal.status();
    counts::refused(status);
    tracing::debug!(connection = peer.id, %peer, status, why = ?refusal.body(), "a handshake was refused");
}

/// The answer when the application said yes in a way that cannot be sent.
pub(super) fn unanswerable(error: AcceptError, peer: &Peer) -> Refusal {
    // Which one is not told: some clients send their token as a sub-protocol.
    tracing::error!(connection = peer.id, %peer, "the server's hook chose a sub-protocol that was not offered");
    Refusal::from(error)
}

/// An offer that will be accepted.
struct Decided {
    accepted: Accepted,
    config: Arc<Config>,
    start: Start,
    guard: Guard,
}

/// What a peer's head asks for.
enum Head {
    WebSocket(Offer),
    Page(Vec<u8>),
    Refused(Refusal),
}

/// Reads until the head is complete. `read` was read before.
async fn read_head(
    carrier: &mut Carrier,
    mut handshake: ServerHandshake,
    mut read: Vec<u8>,
) -> io::Result<Head> {
    loop {
        if read.is_empty() {
            read.reserve(READ_BYTES);
            if carrier.read_buf(&mut read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        handshake = match handshake.receive(&read) {
            Progress::More(handshake) => handshake,
            Progress::Request(offer) => return Ok(Head::WebSocket(offer)),
            Progress::Page(read) => return Ok(Head::Page(read)),
            Progress::Refused(refusal) => return Ok(Head::Refused(refusal)),
        };
        read.clear();
    }
}

/// Sends a refusal, then reads what is still on its way: closing on unread bytes would destroy the answer before
/// the peer has read it.
pub(super) async fn refuse(mut carrier: Carrier, answer: &[u8]) -> io::Result<()> {
    write_all(&mut carrier, answer).await?;
    carrier.shutdown().await?;
    let mut rest = [0; 512];
    let mut read = 0;
    while read < LINGER_BYTES_MAX {
        match carrier.read(&mut rest).await? {
            0 => break,
            count => read += count,
        }
    }
    Ok(())
}

/// Writes an answer, down to the socket.
async fn write_all(carrier: &mut Carrier, answer: &[u8]) -> io::Result<()> {
    carrier.write_all(answer).await?;
    carrier.flush().await
}
