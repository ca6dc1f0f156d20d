//! The state machine of a connection after its handshake.
//!
//! ```text
//!             bytes, time                      time
//!                  │                             │
//!  inbound: receive ─► next ─► Event    timers: handle_timeout ─► Error
//!                        │                         │
//!                        └──────► Replies ◄────────┘     (pong, ping, close: see outbox)
//! ```
//!
//! The loop that drives it stands in the crate's documentation.

mod bounds;
mod inbound;
#[cfg(test)]
mod memory;
mod timers;

use std::sync::Arc;

pub use inbound::{Event, Received};

use crate::close::{Close, Closed, Initiator};
use crate::config::Config;
use crate::error::{Error, Timeout};
use crate::extension::Extensions;
use crate::extension::deflate::{Codecs, Deflate, Receiving};
use crate::outbox::{Outbox, Replies};
use crate::side::Side;
use crate::time::Time;
use bounds::Bounds;
use inbound::Unfinished;
use timers::{Timer, Timers};

/// One end of a WebSocket connection: bytes and the time go in; events and the next deadline come out.
///
/// What it has to say (pongs, pings, closes) it writes into the [`Replies`] that it is handed, usually an
/// [`Outbox`]. An idle connection owns no buffer.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    /// The frame and the message whose ends have not come.
    unfinished: Option<Box<Unfinished>>,
    timers: Timers,
    /// Rarely needed, so behind a pointer.
    rare: Option<Box<Rare>>,
    /// When a byte last came; while reading is paused, when that began.
    last_received: Time,
    ending: Ending,
    side: Side,
    extensions: Extensions,
    paused: bool,
}

/// What only some connections have.
#[derive(Debug, Default)]
struct Rare {
    bounds: Option<Bounds>,
    /// What comes may be compressed (RFC 7692).
    receiving: Option<Receiving>,
}

/// How far the end has come, and what was learnt on the way.
#[derive(Debug)]
enum Ending {
    /// Nobody has closed.
    Open,
    /// This end has sent a Close and waits for the peer's.
    CloseSent,
    /// The peer's Close has come, and was answered.
    CloseReceived(Box<Close>),
    /// This end has given the connection up; nothing from the peer counts any more (section 7.1.7). The peer is
    /// told if the error has a close code.
    Failed(Box<Error>),
}

/// What a driver is to do next with the carrier (TCP).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarrierState {
    /// Read and write.
    Run,
    /// Write what waits, then shut the sending direction down (a server), and read on, without looking at it,
    /// until the peer's end of stream. Closing at once could destroy our last bytes on their way (section 7.1.1).
    Finish,
    /// Give it up now: nobody is there any more.
    Drop,
}

impl Connection {
    /// A connection whose handshake is done.
    pub fn new(side: Side, config: Arc<Config>, now: Time) -> Self {
        let mut timers = Timers::default();
        if let Some(interval) = config.ping_interval.filter(|interval| !interval.is_zero()) {
            timers.set(Timer::Ping, now + interval);
        }
        Connection {
            rare: Bounds::new(&config, now)
                .map(|bounds| Box::new(Rare { bounds: Some(bounds), ..Rare::default() })),
            config,
            extensions: Extensions::default(),
            unfinished: None,
            timers,
            last_received: now,
            ending: Ending::Open,
            side,
            paused: false,
        }
    }

    /// The same connection, compressed as the handshake has agreed; `codecs` are lent for the time of a message. Tell
    /// the [`Outbox`], too.
    #[must_use]
    pub fn with_deflate(mut self, deflate: &Deflate, codecs: Arc<Codecs>) -> Self {
        self.extensions = Extensions { deflate: true };
        self.rare.get_or_insert_default().receiving = Some(Receiving::new(deflate, codecs));
        self
    }

    fn bounds(&mut self) -> Option<&mut Bounds> {
        self.rare.as_deref_mut()?.bounds.as_mut()
    }

    /// New limits and deadlines, for a peer that has proved who it is, or that is to be kept shorter. Give them to
    /// the [`Outbox`], too.
    ///
    /// Limits count from the next frame on, `message_rate` from the next message. A deadline that runs already (of a
    /// message, a Pong, a write, of closing) stays where it is; `idle_timeout` and `lifetime_max` count from where
    /// they counted before, the opening and the last message, so that a raised lifetime is the whole one. If neither
    /// they nor `message_rate` were set before, they count from the last byte that came.
    pub fn set_config(&mut self, config: Arc<Config>) {
        self.config = config;
        if !matches!(self.ending, Ending::Open) {
            return;
        }
        match self.config.ping_interval.filter(|interval| !interval.is_zero()) {
            Some(interval) => self.timers.set(Timer::Ping, self.last_received + interval),
            None => self.timers.clear(Timer::Ping),
        }
        if let Some(Rare { bounds: Some(bounds), .. }) = self.rare.as_deref_mut() {
            bounds.adopt(&self.config);
        } else if let Some(bounds) = Bounds::new(&self.config, self.last_received) {
            self.rare.get_or_insert_default().bounds = Some(bounds);
        }
    }

    /// Hands over bytes from the peer. Take the events out with [`Received::next`] until there is none.
    ///
    /// The bytes are unmasked where they stand, and events borrow from them. Bytes of an unfinished frame are
    /// copied out; `bytes` is free again when the returned value is gone. Dropping it early loses what it had not
    /// looked at.
    #[inline]
    pub fn receive<'a>(&'a mut self, bytes: &'a mut [u8], now: Time) -> Received<'a> {
        self.last_received = now;
        self.timers.clear(Timer::Pong);
        Received::new(self, bytes, now)
    }

    /// Whether the connection still looks at what the peer sends; when not, bytes need not be handed over.
    pub fn wants_input(&self) -> bool {
        matches!(self.ending, Ending::Open | Ending::CloseSent)
    }

    /// Tells that the application has closed: a Close is in the outbox.
    ///
    /// Starts the deadline for the peer's answer. Telling it again does nothing.
    pub fn close_sent(&mut self, now: Time) {
        if matches!(self.ending, Ending::Open) {
            self.ending = Ending::CloseSent;
            self.start_closing(now);
        }
    }

    fn start_closing(&mut self, now: Time) {
        self.timers.clear(Timer::Ping);
        self.timers.clear(Timer::Pong);
        self.timers.clear(Timer::Message);
        if let Some(bounds) = self.bounds() {
            bounds.end();
        }
        // Only the first moment counts: a peer that answers our Close with garbage wins no time by it.
        if !self.timers.is_set(Timer::Close) {
            self.timers.set(Timer::Close, now + self.config.close_timeout);
        }
    }

    /// Tells how much waits to be written, after each try to write: `progressed` if the kernel took anything.
    ///
    /// Runs the deadline for a peer that takes nothing ([`write_timeout`](Config::write_timeout)).
    #[inline]
    pub fn wrote(&mut self, waiting: usize, progressed: bool, now: Time) {
        if waiting == 0 {
            self.timers.clear(Timer::Write);
        } else if let Some(timeout) = self.config.write_timeout
            && (progressed || !self.timers.is_set(Timer::Write))
        {
            self.timers.set(Timer::Write, now + timeout);
        }
    }

    /// Tells that the driver stops reading because the application is behind: what the peer owes us is not owed
    /// while we do not look. Telling it again does nothing.
    pub fn pause(&mut self, now: Time) {
        if !std::mem::replace(&mut self.paused, true) {
            self.last_received = now;
        }
    }

    /// Tells that the driver reads again.
    ///
    /// The deadline for a Pong starts anew. Those of a message and of idleness go on where they were: the time in
    /// which we did read counts, or a peer that makes us pause could stretch half a message for ever.
    pub fn resume(&mut self, now: Time) {
        if !std::mem::take(&mut self.paused) {
            return;
        }
        let paused = now - self.last_received;
        self.last_received = now;
        if self.timers.is_set(Timer::Pong) {
            self.timers.set(Timer::Pong, now + self.config.pong_timeout);
        }
        self.timers.postpone(Timer::Message, paused);
        if let Some(bounds) = self.bounds() {
            bounds.resume(paused);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next, if nothing happens before.
    ///
    /// It may turn out then that there is nothing to do: the deadline of the keep-alive does not move with every
    /// byte that comes.
    pub fn deadline(&self) -> Option<Time> {
        let due = self.timers.next(self.paused);
        match self.rare.as_deref().and_then(|rare| rare.bounds.as_ref()) {
            None => due,
            Some(bounds) => Some(bounds.due(self.paused).min(due.unwrap_or(Time::NEVER)))
                .filter(|due| *due != Time::NEVER),
        }
    }

    /// Looks at the timers. An error means that the connection is given up; see [`carrier`](Self::carrier).
    pub fn handle_timeout(&mut self, now: Time, replies: &mut impl Replies) -> Option<Error> {
        let expired = |timer, connection: &Connection| connection.timers.is_due(timer, now);
        if expired(Timer::Close, self) {
            self.timers.clear(Timer::Close);
            // With Closes both ways it is merely TCP that the peer leaves open.
            let error = self.fail(Timeout::Close.into(), now, replies);
            return error.filter(|_| matches!(self.ending, Ending::Failed(_)));
        }
        if expired(Timer::Write, self) {
            self.timers.clear(Timer::Write);
            return self.fail(Timeout::Write.into(), now, replies);
        }
        self.look_at_bounds(now, replies);
        if self.paused || !self.wants_input() {
            return None;
        }
        if expired(Timer::Message, self) {
            return self.fail(Timeout::Message.into(), now, replies);
        }
        if expired(Timer::Pong, self) {
            return self.fail(Timeout::Pong.into(), now, replies);
        }
        if let Some(interval) = self.config.ping_interval
            && expired(Timer::Ping, self)
        {
            if self.last_received + interval <= now {
                replies.ping(b"");
                self.timers.set(Timer::Ping, now + interval);
                if !self.timers.is_set(Timer::Pong) {
                    self.timers.set(Timer::Pong, now + self.config.pong_timeout);
                }
            } else {
                self.timers.set(Timer::Ping, self.last_received + interval);
            }
        }
        None
    }

    /// Closes a connection that is idle, or has lasted long enough. It is nobody's fault, so it is no error: the peer
    /// may still answer.
    #[inline]
    fn look_at_bounds(&mut self, now: Time, replies: &mut impl Replies) {
        let bounds = self.rare.as_deref_mut().and_then(|rare| rare.bounds.as_mut());
        let Some(bounds) = bounds.filter(|bounds| bounds.is_due(now, self.paused)) else { return };
        let is_busy =
            replies.take_message_sent() || self.unfinished.as_deref().is_some_and(Unfinished::has_message);
        if let Some(close) = bounds.look(&self.config, is_busy, now) {
            replies.close(close, Initiator::Local);
            self.close_sent(now);
        }
    }

    /// Gives the connection up for a reason that the driver has; the peer is told if the error has a close code.
    pub fn give_up(&mut self, error: Error, now: Time, replies: &mut impl Replies) {
        self.fail(error, now, replies);
    }

    /// How many bytes of unfinished frames and messages it keeps.
    pub fn buffered_bytes(&self) -> usize {
        self.unfinished.as_deref().map_or(0, Unfinished::buffered_bytes)
    }

    /// Gives the connection up (section 7.1.7) and tells the peer why, where there is a code for it.
    fn fail(&mut self, error: Error, now: Time, replies: &mut impl Replies) -> Option<Error> {
        self.unfinished = None;
        self.rare = None;
        if matches!(self.ending, Ending::Failed(_)) {
            // A failed connection whose peer does not hang up either, or does not even take the Close: see `carrier`.
            if error.close_code().is_none() {
                self.timers = Timers::default();
            }
            return None;
        }
        if let Some(close) = error.to_close() {
            replies.close(close, Initiator::Local);
        }
        if !matches!(self.ending, Ending::CloseReceived(_)) {
            self.ending = Ending::Failed(Box::new(error.clone()));
        }
        if error.close_code().is_some() {
            self.start_closing(now);
        } else {
            self.timers = Timers::default();
        }
        Some(error)
    }

    fn close_received(&mut self, close: Close, now: Time, replies: &mut impl Replies) {
        if matches!(self.ending, Ending::Open) {
            // The answer repeats the code (section 5.5.1), and is empty where there was none.
            replies.close(close.code().map_or(Close::empty(), Close::from), Initiator::Peer);
            self.start_closing(now);
        }
        self.unfinished = None;
        self.ending = Ending::CloseReceived(Box::new(close));
    }

    /// What the driver is to do with the carrier.
    pub fn carrier(&self) -> CarrierState {
        let closing = self.timers.is_set(Timer::Close);
        match &self.ending {
            Ending::Open | Ending::CloseSent => CarrierState::Run,
            Ending::CloseReceived(_) if closing => CarrierState::Finish,
            Ending::Failed(error) if error.close_code().is_some() && closing => CarrierState::Finish,
            Ending::CloseReceived(_) | Ending::Failed(_) => CarrierState::Drop,
        }
    }

    /// Whether this end shuts its sending direction down as soon as everything is written: a server always, a
    /// client when it gives the connection up. Otherwise a client lets the server go first (section 7.1.1).
    pub fn hangs_up_first(&self) -> bool {
        self.side == Side::Server || matches!(self.ending, Ending::Failed(_))
    }

    /// How the connection ended. `end_of_stream` if the peer's direction of TCP ended regularly.
    pub fn closed(&self, outbox: &Outbox, end_of_stream: bool) -> Closed {
        let (sent, first) = outbox.sent_close().cloned().unzip();
        let mut closed = Closed { first, sent, ..Closed::vanished() };
        match &self.ending {
            Ending::Open | Ending::CloseSent => {}
            Ending::CloseReceived(close) => {
                closed.received = Some((**close).clone());
                // Our Close is the last thing that leaves: it was sent when nothing waits.
                closed.clean = end_of_stream && closed.sent.is_some() && outbox.is_empty();
            }
            Ending::Failed(error) => closed.error = Some((**error).clone()),
        }
        closed
    }
}

impl From<Timeout> for Error {
    fn from(timeout: Timeout) -> Self {
        Error::Timeout(timeout)
    }
}
