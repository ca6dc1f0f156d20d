//! Connects the hub's sessions with the sockets of their clients.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use sotong::{CloseCode, Sender, TrySendError};

use crate::core::{ClientId, Greeting, Hub, Limits, Output, SessionId, Timestamp};
use crate::wire::Disconnect;

/// The hub, and the socket of each of its sessions.
///
/// One lock around both: what the hub decides in one step is handed to the sockets before the next step, so that all
/// subscribers of a channel see the same order. Nothing waits under it, since [`Sender::try_send`] does not.
#[derive(Debug)]
pub(super) struct Switchboard {
    inner: Mutex<Inner>,
    /// How many clients were disconnected because they read too slowly.
    slow: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    hub: Hub,
    sockets: BTreeMap<SessionId, Sender>,
    /// Kept for its memory; empty between inputs.
    outputs: Vec<Output>,
}

/// The place of one connection at the switchboard.
#[derive(Debug)]
pub(super) struct Seat(SessionId);

impl Switchboard {
    /// # Errors
    /// When the operating system has no random bytes.
    pub(super) fn new(limits: Limits, ping_seconds: u32) -> io::Result<Switchboard> {
        let greeting =
            Greeting { version: concat!("sotong ", env!("CARGO_PKG_VERSION")).to_owned(), ping_seconds };
        let mut random = [0; 5];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let incarnation: String = random.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        let hub = Hub::new(limits, greeting, incarnation);
        let inner = Inner { hub, sockets: BTreeMap::new(), outputs: Vec::new() };
        Ok(Switchboard { inner: Mutex::new(inner), slow: AtomicU64::new(0) })
    }

    /// A connection was opened, and its URL asked for these channels.
    pub(super) fn open(&self, socket: &Sender, channels: &[String]) -> Seat {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .expect("it worked when the switchboard was made, and does not stop working");
        let channels: Vec<&str> = channels.iter().map(String::as_str).collect();
        self.input(|inner| {
            let session = inner.hub.open(ClientId::new(random), &channels, now(), &mut inner.outputs);
            inner.sockets.insert(session, socket.clone());
            tracing::debug!(connection = socket.id(), %session, sessions = inner.sockets.len(), "opened");
            Seat(session)
        })
    }

    /// A client sent a text.
    pub(super) fn command(&self, seat: &Seat, text: &str) {
        self.input(|inner| inner.hub.command(seat.0, text, now(), &mut inner.outputs));
    }

    /// A client did something that the hub does not look at.
    pub(super) fn disconnect(&self, seat: &Seat, disconnect: Disconnect, reason: String) {
        self.input(|inner| inner.hub.disconnect(seat.0, disconnect, reason, &mut inner.outputs));
    }

    /// A connection has ended.
    pub(super) fn close(&self, seat: &Seat) {
        self.input(|inner| {
            inner.sockets.remove(&seat.0);
            tracing::debug!(session = %seat.0, sessions = inner.sockets.len(), "closed");
            inner.hub.close(seat.0, &mut inner.outputs);
        });
    }

    fn input<T>(&self, input: impl FnOnce(&mut Inner) -> T) -> T {
        // Code that panicked under the lock was one input of one client; the others go on.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let result = input(&mut inner);
        inner.act(&self.slow);
        result
    }
}

impl Inner {
    /// Does what the hub decided, until there is nothing left to do: somebody who is too slow leaves, and that is
    /// told to others, who may be too slow in turn.
    fn act(&mut self, slow: &AtomicU64) {
        let mut outputs = VecDeque::from(std::mem::take(&mut self.outputs));
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Send(session, text) => {
                    let Some(socket) = self.sockets.get(&session) else { continue };
                    match socket.try_send(text) {
                        Ok(()) => {}
                        Err(TrySendError::Full(_)) => {
                            let so_far = slow.fetch_add(1, Ordering::Relaxed) + 1;
                            let connection = socket.id();
                            tracing::warn!(connection, %session, so_far, "a client reads too slowly and is disconnected (3008)");
                            close(socket, Disconnect::Slow, Disconnect::Slow.reason());
                            self.sockets.remove(&session);
                            self.hub.close(session, &mut self.outputs);
                            outputs.extend(self.outputs.drain(..));
                        }
                        // Its `close` event is on its way here, and will tell the hub.
                        Err(TrySendError::Closed(_)) => {}
                    }
                }
                Output::Disconnect { session, disconnect, reason } => {
                    if let Some(socket) = self.sockets.remove(&session) {
                        tracing::debug!(connection = socket.id(), %session, code = disconnect.code(), reason, "disconnected");
                        close(&socket, disconnect, &reason);
                    }
                }
            }
        }
        let mut kept = Vec::from(outputs);
        // What a very large channel needed once is not kept for ever.
        kept.shrink_to(1024);
        self.outputs = kept;
    }
}

/// Ends a connection with one of the hub's codes.
pub(super) fn close(socket: &Sender, disconnect: Disconnect, reason: &str) {
    let code =
        CloseCode::new(disconnect.code()).expect("3000 to 3999 are close codes (RFC 6455, section 7.4.2)");
    socket.close(code, reason);
}

fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}
