//! Connects the hub's sessions with the sockets of their clients.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use sotong::{CloseCode, Sender, Topics, TrySendError};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::core::{
    AskId, AskOutcome, AskRefused, ChannelName, ClientId, Greeting, Hub, Limits, Output, SessionId, Timestamp,
};
use crate::wire::{Disconnect, Json};

/// The hub, and the socket of each of its sessions.
///
/// One lock around both: what the hub decides in one step is handed to the sockets before the next step, so that all
/// subscribers of a channel see the same order. Nothing waits under it, since [`Sender::try_send`] does not.
#[derive(Debug)]
pub(super) struct Switchboard {
    inner: Mutex<Inner>,
    /// How many clients were disconnected because they read too slowly.
    slow: AtomicU64,
    clock: WallClock,
    /// Tells who keeps the deadlines about an earlier one.
    earlier: Notify,
}

#[derive(Debug)]
struct Inner {
    hub: Hub,
    topics: Topics,
    sockets: BTreeMap<SessionId, Sender>,
    /// Who waits for the outcome of an ask.
    asked: BTreeMap<AskId, oneshot::Sender<AskOutcome>>,
    /// Kept for its memory; empty between inputs.
    outputs: Vec<Output>,
}

/// The place of one connection at the switchboard.
#[derive(Debug)]
pub(super) struct Seat(SessionId);

impl Switchboard {
    /// # Errors
    /// When the operating system has no random bytes.
    pub(super) fn new(limits: Limits, ping_seconds: u32, topics: Topics) -> io::Result<Switchboard> {
        let greeting =
            Greeting { version: concat!("sotong ", env!("CARGO_PKG_VERSION")).to_owned(), ping_seconds };
        let mut random = [0; 5];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let incarnation: String = random.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        let hub = Hub::new(limits, greeting, incarnation);
        let (sockets, asked) = (BTreeMap::new(), BTreeMap::new());
        let inner = Inner { hub, topics, sockets, asked, outputs: Vec::new() };
        let clock = WallClock::start();
        Ok(Switchboard { inner: Mutex::new(inner), slow: AtomicU64::new(0), clock, earlier: Notify::new() })
    }

    /// A connection was opened, and its URL asked for these channels.
    pub(super) fn open(&self, socket: &Sender, channels: &[String]) -> Seat {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .expect("it worked when the switchboard was made, and does not stop working");
        let channels: Vec<&str> = channels.iter().map(String::as_str).collect();
        self.input(|inner| {
            let session =
                inner.hub.open(ClientId::new(random), &channels, self.clock.now(), &mut inner.outputs);
            inner.sockets.insert(session, socket.clone());
            tracing::debug!(connection = socket.id(), %session, sessions = inner.sockets.len(), "opened");
            Seat(session)
        })
    }

    /// A client sent a text.
    pub(super) fn command(&self, seat: &Seat, text: &str) {
        self.input(|inner| inner.hub.command(seat.0, text, self.clock.now(), &mut inner.outputs));
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

    /// Offers a channel in which only the server speaks.
    pub(super) fn offer(&self, channel: ChannelName) {
        self.input(|inner| inner.hub.offer(channel));
    }

    /// The server says something in a channel. Returns how many hear it.
    pub(super) fn publish(&self, channel: &str, data: &impl Serialize) -> usize {
        let data = Json::of(data);
        self.input(|inner| inner.hub.publish_from_server(channel, data, self.clock.now(), &mut inner.outputs))
    }

    /// The server says something to one session.
    pub(super) fn tell(&self, session: SessionId, data: &impl Serialize) {
        let data = Json::of(data);
        self.input(|inner| inner.hub.tell(session, data, &mut inner.outputs));
    }

    /// Who follows a channel.
    pub(super) fn members(&self, channel: &str) -> Vec<SessionId> {
        self.input(|inner| inner.hub.members(channel))
    }

    /// The server puts a question to a session, and waits for what comes of it.
    pub(super) async fn ask(
        &self,
        session: SessionId,
        method: &str,
        data: &impl Serialize,
        timeout: Duration,
    ) -> Result<AskOutcome, AskRefused> {
        let data = Json::of(data);
        let deadline = self.clock.after(timeout);
        let outcome = self.input(|inner| {
            let ask = inner.hub.ask(session, method, data, deadline, &mut inner.outputs)?;
            let (told, outcome) = oneshot::channel();
            inner.asked.insert(ask, told);
            Ok(outcome)
        })?;
        self.earlier.notify_one();
        // The hub ends each ask, unless the whole server ends.
        Ok(outcome.await.unwrap_or(AskOutcome::Gone))
    }

    /// Ends asks at their deadlines, for ever.
    pub(super) async fn keep_deadlines(&self) {
        loop {
            match self.input(|inner| inner.hub.next_deadline()) {
                None => self.earlier.notified().await,
                Some(deadline) => {
                    tokio::select! {
                        () = self.earlier.notified() => {}
                        () = tokio::time::sleep_until(self.clock.instant(deadline)) => {
                            self.input(|inner| inner.hub.handle_timeout(self.clock.now(), &mut inner.outputs));
                        }
                    }
                }
            }
        }
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
                Output::Subscribe(session, topic) => {
                    let Some(socket) = self.sockets.get(&session) else { continue };
                    // To one that is closing nothing more is said; the hub allows fewer channels than the library.
                    if let Err(error) = socket.subscribe(topic.as_str()) {
                        tracing::debug!(connection = socket.id(), %session, %topic, %error, "not subscribed");
                    }
                }
                Output::Unsubscribe(session, topic) => {
                    if let Some(socket) = self.sockets.get(&session) {
                        socket.unsubscribe(topic.as_str());
                    }
                }
                Output::Publish(topic, text) => {
                    self.topics.publish(topic.as_str(), text);
                }
                Output::Answered { ask, outcome, .. } => {
                    // Whoever asked may have stopped waiting.
                    if let Some(asked) = self.asked.remove(&ask) {
                        let _ = asked.send(outcome);
                    }
                }
                Output::AnsweredLate { ask, session } => {
                    tracing::debug!(%session, %ask, "an answer came late")
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

/// The wall clock as it was at the start, and what has gone by since: it never jumps, so deadlines can be told by it.
#[derive(Debug)]
struct WallClock {
    start: Instant,
    start_ms: i64,
}

impl WallClock {
    fn start() -> WallClock {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallClock {
            start: Instant::now(),
            start_ms: i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX / 2),
        }
    }

    fn now(&self) -> Timestamp {
        self.after(Duration::ZERO)
    }

    fn after(&self, time: Duration) -> Timestamp {
        let since_start = (self.start.elapsed() + time).as_millis();
        Timestamp(self.start_ms.saturating_add(i64::try_from(since_start).unwrap_or(i64::MAX / 2)))
    }

    /// When [`now`](Self::now) will have come to a moment.
    fn instant(&self, time: Timestamp) -> Instant {
        let since_start = u64::try_from(time.0.saturating_sub(self.start_ms)).unwrap_or(0);
        self.start + Duration::from_millis(since_start)
    }
}
