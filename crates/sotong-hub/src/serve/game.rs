//! The end point of the page `/game`: a task that ticks while somebody is connected, and sessions in event form.
//!
//! ```text
//!   session ──── open, message, close ────► Room ──► arena::Game
//!   task ─────── tick ────────────────────►  │        (decides)
//!                                            ├─ published: the topic, framed once for all
//!                                            └─ sent: one socket
//! ```
//!
//! One lock around the game and the sockets: all that one tick decides is published, subscribed and sent before anything
//! else happens. So a newcomer hears everything as it is after a tick, then the deltas of the ticks that follow.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sotong::{CloseCode, Closed, Error, Events, MessageRef, Sender, Slow, Topics, TrySendError};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use crate::arena::{Game, Output, Said, SeatId, TICK_MS};

/// The topic of the deltas. No channel of the hub has a control character in its name.
pub(super) const TOPIC: &str = "\u{1}game";

/// How long a tick is.
const TICK: Duration = Duration::from_millis(TICK_MS as u64);

/// How many deltas wait for a client that reads too slowly: a second of them. Older ones are left out.
pub const GAME_DELTAS_WAITING_MAX: usize = 20;

/// What becomes of a client that is behind: it holds up nobody. When it reads again and finds that some are missing, it
/// asks for everything anew, so older ones would be of no use.
pub(super) const SLOW: Slow = Slow::DropOldest { messages_max: GAME_DELTAS_WAITING_MAX };

/// The game, and the socket of everybody who is connected.
#[derive(Debug)]
pub(super) struct Room {
    inner: Mutex<Inner>,
    /// Tells the task that there is somebody again.
    arrivals: Notify,
}

#[derive(Debug)]
struct Inner {
    game: Game,
    topics: Topics,
    sockets: HashMap<SeatId, Sender>,
    /// Kept for its memory; empty between inputs.
    outputs: Vec<Output>,
}

impl Room {
    /// # Errors
    /// When the system has no random bytes.
    pub(super) fn new(topics: Topics) -> io::Result<Room> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
        let game = Game::new(u64::from_ne_bytes(seed));
        let inner = Inner { game, topics, sockets: HashMap::new(), outputs: Vec::new() };
        Ok(Room { inner: Mutex::new(inner), arrivals: Notify::new() })
    }

    /// Keeps the game going, for ever. While nobody is connected it sleeps.
    pub(super) async fn run(&self) {
        loop {
            let mut ticks = interval(TICK);
            // A server that was held up goes on from now; the game has waited.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            while self.input(|inner| !inner.game.is_empty()) {
                ticks.tick().await;
                self.input(|inner| inner.game.tick(&mut inner.outputs));
            }
            self.arrivals.notified().await;
        }
    }

    fn open(&self, socket: &Sender) -> SeatId {
        let seat = self.input(|inner| {
            let seat = inner.game.open();
            inner.sockets.insert(seat, socket.clone());
            tracing::debug!(connection = socket.id(), connected = inner.sockets.len(), "came to the game");
            seat
        });
        self.arrivals.notify_one();
        seat
    }

    fn message(&self, seat: SeatId, message: MessageRef<'_>) {
        let said = match message {
            MessageRef::Text(_) => Said::Text,
            MessageRef::Binary(bytes) => Said::Bytes(bytes),
        };
        self.input(|inner| inner.game.message(seat, said, &mut inner.outputs));
    }

    fn close(&self, seat: SeatId) {
        self.input(|inner| {
            inner.sockets.remove(&seat);
            inner.game.close(seat);
        });
    }

    fn input<T>(&self, input: impl FnOnce(&mut Inner) -> T) -> T {
        // Code that panicked under the lock was one input; the others go on.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let result = input(&mut inner);
        inner.act();
        result
    }
}

impl Inner {
    /// Does what the game decided. Nothing of it waits.
    fn act(&mut self) {
        let Inner { game, topics, sockets, outputs } = self;
        for output in outputs.drain(..) {
            match output {
                Output::Publish(frame) => {
                    topics.publish(TOPIC, frame);
                }
                Output::Subscribe(seat) => {
                    let Some(socket) = sockets.get(&seat) else { continue };
                    // To one that is closing nothing more is said.
                    if let Err(error) = socket.subscribe(TOPIC) {
                        tracing::debug!(connection = socket.id(), %error, "not in the game");
                    }
                }
                Output::Send(seat, frame) => {
                    let Some(socket) = sockets.get(&seat) else { continue };
                    if let Err(TrySendError::Full(_)) = socket.try_send(frame) {
                        // It asks and does not read. Deltas alone would not have filled its outbox.
                        tracing::warn!(
                            connection = socket.id(),
                            "a player reads too slowly and is closed (1008)"
                        );
                        socket.close(CloseCode::POLICY_VIOLATION, "too slow: more waits than may");
                        sockets.remove(&seat);
                        game.close(seat);
                    }
                }
                Output::Close { seat, code, reason } => {
                    let Some(socket) = sockets.remove(&seat) else { continue };
                    tracing::debug!(connection = socket.id(), code, reason, "out of the game");
                    let code = CloseCode::new(code).expect("the game's codes are close codes");
                    socket.close(code, &reason);
                }
            }
        }
    }
}

/// One connection, as the library's event form wants it.
pub(super) struct Player {
    room: Arc<Room>,
    seat: Option<SeatId>,
}

impl Player {
    pub(super) fn new(room: Arc<Room>) -> Player {
        Player { room, seat: None }
    }

    fn leave(&mut self) {
        if let Some(seat) = self.seat.take() {
            self.room.close(seat);
        }
    }
}

impl Drop for Player {
    /// Without a last word, too: after a panic there is none.
    fn drop(&mut self) {
        self.leave();
    }
}

impl Events for Player {
    fn open(&mut self, socket: &Sender) {
        self.seat = Some(self.room.open(socket));
    }

    fn message(&mut self, _socket: &Sender, message: MessageRef<'_>) {
        if let Some(seat) = self.seat {
            self.room.message(seat, message);
        }
    }

    fn error(&mut self, socket: &Sender, error: &Error) {
        tracing::debug!(connection = socket.id(), %error, "a player's connection failed");
        // Its last bytes may take a while; for the others it is gone now.
        self.leave();
    }

    fn close(&mut self, _closed: &Arc<Closed>) {
        self.leave();
    }
}
