//! The driver: the only place where a connection of the core meets bytes, a clock and wake-ups.
//!
//! ```text
//!                 ┌──────────────── Driver::turn ───────────────┐
//!  Transport ───► read into the thread's scratch ─► Connection ─┼─► Sink (events, or the inbox of a reader)
//!            ◄─── write ◄─ cork ◄─ replies, what callbacks send ┘
//!                   ▲
//!                   └──── Outbox in Shared, under a lock ◄──── Sender, from any task or thread
//!  Clock, wheel: the time, and a wake-up when a deadline is due
//! ```
//!
//! One task owns one connection. A turn repeats: write what waits, look at the deadlines, read once, hand the
//! messages on, until the network has nothing more; then it waits for whichever comes first, bytes, room to
//! write, a sender, or a deadline. A handler of the pull form on a runtime with one thread is polled in the turn, too.

mod answers;
pub(crate) mod budget;
pub(crate) mod clock;
mod ending;
#[cfg(all(test, sotong_shuttle))]
mod handover;
pub(crate) mod inbox;
mod membership;
pub(crate) mod outbound;
pub(crate) mod random;
pub(crate) mod shared;
mod sink;
mod subscriber;
pub(crate) mod turn;
mod wheel;

pub(crate) use self::sink::Sink;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use sotong_proto::{
    CarrierState, Close, CloseCode, Config, Connection, Deflate, Event, Initiator, Side, Time,
};

use self::answers::Answers;
use self::ending::{End, drop_quietly};
use self::outbound::write_corked;
use self::shared::{Form, Shared};
use self::turn::{Corked, SCRATCH_BYTES};
use self::wheel::{Slot, TICK};
use crate::counts::{self, Tally};
use crate::error::Error;
use crate::live::Guard;
use crate::sender::Sender;
use crate::transport::Transport;

/// How often a turn reads before it lets other tasks of its thread have theirs.
const READS_PER_TURN: usize = 4;
/// With more than this waiting to be sent, reading stops: a peer that does not take answers gets no questions in.
///
/// A client reads on, as browsers do, because a server that stops reading in the same way would wait for it, and it for the
/// server. Read by `recv`, what it takes in waits in its inbox, which has a limit of its own. In event form nothing
/// waits on the way in, and of what waits on the way out only that counts which its callbacks have sent: those are the
/// answers. They have room of their own, as much again as the outbox, so that it is there for them whatever others send.
const UNSENT_BYTES_MAX: usize = 64 * 1024;

/// The future of one connection, spawned when its handshake is done.
pub(crate) struct Driver<S: Sink> {
    connection: Connection,
    side: Side,
    transport: Arc<Transport>,
    socket: Sender,
    /// `None` once it has panicked, or was told the end.
    sink: Option<S>,
    slot: Slot,
    /// When the alarm rings.
    armed: Time,
    /// Whether senders know how to wake this task.
    is_known: bool,
    /// Whether our direction of the carrier is shut down.
    has_hung_up: bool,
    /// Whether the peer's direction has ended; what we have to say to its Close may still go out.
    peer_has_hung_up: bool,
    guard: Option<Guard>,
}

impl<S: Sink> Driver<S> {
    /// The driver of a connection whose handshake is done.
    pub(crate) fn new(
        config: Arc<Config>,
        deflate: Option<Deflate>,
        transport: Arc<Transport>,
        socket: Sender,
        sink: S,
        guard: Guard,
    ) -> Self {
        let (side, clock) = (socket.shared().side(), &socket.shared().clock);
        counts::opened(side);
        let connection = Connection::new(side, config, clock.now());
        Driver {
            connection: match &deflate {
                Some(deflate) => connection.with_deflate(deflate, clock.codecs().clone()),
                None => connection,
            },
            side,
            slot: clock.slot(),
            transport,
            socket,
            sink: Some(sink),
            armed: Time::ZERO,
            is_known: false,
            has_hung_up: false,
            peer_has_hung_up: false,
            guard: Some(guard),
        }
    }

    fn shared(&self) -> &Shared {
        self.socket.shared()
    }

    /// One turn; ready with the end.
    fn turn(&mut self, corked: &Corked<'_>, context: &mut Context<'_>) -> Poll<End> {
        if !std::mem::replace(&mut self.is_known, true) {
            self.shared().lock().driver = Some(context.waker().clone());
        }
        // One look at the clock per turn; a turn is short.
        let now = self.shared().clock.now();
        // An application that is a part of this task runs once in each turn, and after each read.
        let mut has_run = false;
        for round in 0..READS_PER_TURN {
            self.release_close(now);
            let unsent = match self.write(corked, now, context) {
                Ok(unsent) => unsent,
                Err(error) => return Poll::Ready(End::Failed(error)),
            };
            // The time stands still within a turn: what was looked at before the first read need not be again,
            // unless that read has changed something.
            if round == 0 || !self.is_plain() {
                self.look_at_deadlines(now);
                if self.shared().clock.budget().demands(|| self.shared().held()) && self.give_way(unsent, now)
                {
                    return Poll::Ready(End::Dropped);
                }
                match self.connection.carrier() {
                    CarrierState::Drop => {
                        self.say_last_word(corked, now, context);
                        return Poll::Ready(End::Dropped);
                    }
                    CarrierState::Finish if unsent == 0 => self.hang_up(context),
                    CarrierState::Finish | CarrierState::Run => {}
                }
            }
            if self.peer_has_hung_up {
                if unsent == 0 && !self.owes_close() {
                    return Poll::Ready(End::Regular);
                }
                if unsent == 0 && self.has_more_to_write() || self.run_first(&mut has_run, corked, context) {
                    continue;
                }
                return self.wait(now, context);
            }
            let room = self.room(unsent, context.waker());
            if room == 0 {
                self.connection.pause(now);
                if unsent == 0 && self.has_more_to_write() || self.run_first(&mut has_run, corked, context) {
                    continue;
                }
                return self.wait(now, context);
            }
            self.connection.resume(now);
            match self.read(corked, context, room, now) {
                Poll::Ready(Ok(0)) if self.owes_close() => self.peer_has_hung_up = true,
                Poll::Ready(Ok(0)) => return Poll::Ready(End::Regular),
                Poll::Ready(Ok(_)) => {
                    has_run = true;
                    self.run(corked, context);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(End::Failed(error)),
                // What a deadline has queued just now is to be written first.
                Poll::Pending if unsent == 0 && self.has_more_to_write() => {}
                Poll::Pending if self.run_first(&mut has_run, corked, context) => {}
                Poll::Pending => return self.wait(now, context),
            }
        }
        // There may be more, but others want their turn.
        context.waker().wake_by_ref();
        match self.write(corked, now, context) {
            Ok(_) => self.wait(now, context),
            Err(error) => Poll::Ready(End::Failed(error)),
        }
    }

    /// Runs the application, if it is a part of this task and has not run in this turn; true if it has said something.
    #[inline]
    fn run_first(&mut self, has_run: &mut bool, corked: &Corked<'_>, context: &mut Context<'_>) -> bool {
        if std::mem::replace(has_run, true) {
            return false;
        }
        self.run(corked, context);
        corked.len() > 0 || self.has_more_to_write()
    }

    /// Runs the application, if it is a part of this task.
    #[inline]
    fn run(&mut self, corked: &Corked<'_>, context: &mut Context<'_>) {
        let Some(sink) = &mut self.sink else { return };
        let before = corked.len();
        sink.run(context);
        if corked.len() > before {
            // Unlike what callbacks send, it need not answer anything that came.
            self.shared().lock().outbox.note_message_sent();
        }
    }

    /// Whether nothing waits and nobody has closed.
    fn is_plain(&self) -> bool {
        self.shared().is_quiet() && self.connection.wants_input()
    }

    /// Before the first turn: the owner hears of the connection, then of the messages that came with the handshake.
    ///
    /// Not in the turn, because the bytes would cost room in the task for its whole life.
    pub(crate) fn open(&mut self, mut early: Vec<u8>) {
        turn::begin(self.shared().address(), |corked| {
            self.tell(|sink, socket| sink.open(socket));
            if !early.is_empty() {
                self.hand_on(&mut early, self.shared().clock.now(), None);
            }
            corked.flush(|cork, read| self.shared().queue_corked(cork, read));
        });
    }

    /// Writes what is corked and what waits; returns how much still waits. If some does, the task is woken when
    /// there is room.
    fn write(&mut self, corked: &Corked<'_>, now: Time, context: &mut Context<'_>) -> io::Result<usize> {
        loop {
            let unsent = self.write_queued(corked, now, context)?;
            if unsent > 0 || !self.shared().is_behind() {
                return Ok(unsent);
            }
            // The peer has caught up with what was on its way to it.
            self.shared().catch_up();
        }
    }

    fn write_queued(
        &mut self,
        corked: &Corked<'_>,
        now: Time,
        context: &mut Context<'_>,
    ) -> io::Result<usize> {
        let shared = self.socket.shared();
        let transport = &self.transport;
        let mut written = 0;
        let mut is_blocked = false;
        if shared.is_quiet() {
            // Nothing waits. What is corked (in event form only, where nobody else writes) needs no lock.
            let corked_bytes = corked.len();
            if corked_bytes > 0 {
                match corked.flush(|cork, read| {
                    write_corked(cork, read, |bytes| transport.poll_write(context, bytes))
                }) {
                    Poll::Ready(count) => written = count?,
                    Poll::Pending => is_blocked = true,
                }
            }
            if written == corked_bytes && corked.forget() {
                self.connection.wrote(0, written > 0, now);
                return Ok(0);
            }
        }
        let mut outbound = shared.lock();
        if written > 0 || is_blocked {
            corked.flush(|cork, read| outbound.keep_rest(cork, read, written));
        }
        let result = loop {
            if is_blocked {
                break Ok(());
            }
            match corked
                .flush(|cork, read| outbound.write(cork, read, |bytes| transport.poll_write(context, bytes)))
            {
                Poll::Ready(Ok(0)) => break Ok(()),
                Poll::Ready(Ok(count)) => written += count,
                Poll::Ready(Err(error)) => break Err(error),
                Poll::Pending => is_blocked = true,
            }
        };
        let unsent = outbound.outbox.len();
        let news = outbound.left(written);
        shared.publish(&outbound);
        drop(outbound);
        news.tell();
        self.connection.wrote(unsent, written > 0, now);
        result.map(|()| unsent)
    }

    /// Sends the Close that was held back, when the application is through with what came before it, or late.
    fn release_close(&mut self, now: Time) {
        if let Some(until) = self.shared().held_until()
            && (until <= now || self.sink.as_ref().is_none_or(Sink::is_through))
        {
            self.shared().release_close();
        }
    }

    /// Whether a deadline has queued something since the last write.
    fn has_more_to_write(&self) -> bool {
        self.shared().is_queued()
            || self.shared().is_held() && self.sink.as_ref().is_none_or(Sink::is_through)
    }

    /// Tells the core of time that has passed, of new limits, and of a Close that the application or a shutdown has
    /// sent.
    fn look_at_deadlines(&mut self, now: Time) {
        if self.shared().clock.shutdown_due(self.slot).is_some_and(|due| due <= now) {
            self.shared().close(Close::new(CloseCode::GOING_AWAY, "the server shuts down"), Initiator::Local);
        }
        if let Some(config) = self.shared().take_raised() {
            self.connection.set_config(config);
        }
        if self.shared().is_closing() {
            self.connection.close_sent(now);
            if let Some(topic) = self.shared().take_too_slow_for() {
                self.tell(|sink, socket| sink.error(socket, &Error::TooSlow { topic }));
            }
        }
        if self.connection.deadline().is_some_and(|due| due <= now) {
            let mut answers = Answers::new(self.socket.shared(), now);
            let error = self.connection.handle_timeout(now, &mut answers);
            answers.end();
            if let Some(error) = error {
                self.tell(|sink, socket| sink.error(socket, &error.into()));
            }
        }
    }

    /// How many bytes may be read now.
    fn room(&mut self, unsent: usize, driver: &Waker) -> usize {
        if !self.connection.wants_input() {
            return SCRATCH_BYTES;
        }
        let reads_on = self.side == Side::Client && self.shared().form == Form::Pull;
        let unsent = match unsent {
            0 => 0,
            _ if self.shared().reads_for_callbacks() => self.shared().lock().waiting_from_callbacks(),
            _ => unsent,
        };
        // No more than what can be answered with as much.
        let answerable = self.shared().outbox_bytes_max().saturating_sub(unsent);
        if !reads_on && unsent > UNSENT_BYTES_MAX.min(answerable) {
            return 0;
        }
        let room = self.sink.as_mut().map_or(SCRATCH_BYTES, |sink| sink.room(driver)).min(SCRATCH_BYTES);
        if reads_on { room } else { room.min(answerable.max(1)) }
    }

    /// Reads once and hands on what came; or what had come, and found no room.
    fn read(
        &mut self,
        corked: &Corked<'_>,
        context: &mut Context<'_>,
        room: usize,
        now: Time,
    ) -> Poll<io::Result<usize>> {
        if let Some(mut unread) = self.sink.as_mut().and_then(Sink::take_unread) {
            self.hand_on(&mut unread, now, Some(context.waker()));
            return Poll::Ready(Ok(unread.len()));
        }
        corked.with_scratch(|scratch| {
            let count = ready!(self.transport.poll_read(context, &mut scratch[..room]))?;
            self.hand_on(&mut scratch[..count], now, Some(context.waker()));
            Poll::Ready(Ok(count))
        })
    }

    /// Has the core read the bytes, and tells the owner what they say. A panic of the owner ends its part, not the
    /// core's. `driver` is the waker of this task, in its turns.
    fn hand_on(&mut self, bytes: &mut [u8], now: Time, driver: Option<&Waker>) {
        if !self.connection.wants_input() {
            return;
        }
        let Driver { connection, socket, sink, .. } = self;
        let mut tally = Tally::NONE;
        let mut received = connection.receive(bytes, now);
        let mut panicked = false;
        let mut answers = Answers::new(socket.shared(), now);
        let mut is_full = false;
        let mut read_all = AssertUnwindSafe(|sink: &mut Option<S>| {
            while !is_full && let Some(event) = received.next(&mut answers) {
                match (event, &mut *sink) {
                    (Event::Message(message), Some(sink)) => {
                        tally.count(message.as_bytes().len());
                        is_full = !sink.message(socket, message);
                    }
                    (Event::Pong(payload), _) if !payload.is_empty() => socket.shared().pong(payload),
                    (Event::Failed(error), Some(sink)) => sink.error(socket, &error.into()),
                    _ => {}
                }
            }
            if let Some(sink) = sink {
                sink.turn_ended(driver);
            }
        });
        while catch_unwind(AssertUnwindSafe(|| read_all(sink))).is_err() {
            drop_quietly(sink);
            panicked = true;
        }
        if let (true, Some(sink)) = (is_full, sink) {
            sink.keep_unread(received.stop());
        }
        answers.end();
        if counts::IS_ON {
            turn::count_received(tally);
        }
        if panicked {
            self.panicked();
        }
    }

    /// Sets the alarm, tells the budget, and waits.
    fn wait(&mut self, now: Time, context: &Context<'_>) -> Poll<End> {
        let held = self.connection.buffered_bytes() + self.sink.as_ref().map_or(0, Sink::held_bytes);
        self.shared().hold_in(held);
        let shutdown = self.shared().clock.shutdown_due(self.slot);
        let mut due = self.connection.deadline().unwrap_or(Time::ZERO + Duration::MAX);
        if let Some(until) = self.shared().held_until() {
            due = due.min(until);
        }
        if let Some(close) = shutdown
            && !self.shared().is_closing()
        {
            due = due.min(close);
        }
        if self.armed <= now {
            self.tell_counts();
        }
        // An alarm rings up to a tick late, so one that is armed for this very moment stays as it is.
        // A shutdown moves alarms: what was armed before it may have rung already.
        if due + TICK < self.armed || self.armed <= now || shutdown.is_some() {
            self.armed = self.shared().clock.arm(self.slot, due, context.waker());
        }
        if shutdown.is_none() && self.shared().clock.shutdown_due(self.slot).is_some() {
            // It began just now, on another thread, and what was armed here may have undone its alarm.
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Tells whoever counts what was received and sent since the last time.
    fn tell_counts(&mut self) {
        if counts::IS_ON {
            let (received, sent) = turn::take_tallies();
            counts::received(received);
            counts::sent(sent);
            let sent = self.shared().lock().sent.take();
            counts::sent(sent);
        }
    }

    /// Calls the owner; a panic is its end.
    fn tell(&mut self, call: impl FnOnce(&mut S, &Sender)) {
        if let Some(sink) = &mut self.sink
            && catch_unwind(AssertUnwindSafe(|| call(sink, &self.socket))).is_err()
        {
            self.panicked();
        }
    }
}

impl<S: Sink> Future for Driver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        let _entered = driver.shared().enter_span();
        let turn = turn::begin(driver.shared().address(), |corked| {
            let turn = driver.turn(corked, context);
            if corked.is_tally_due() {
                driver.tell_counts();
            }
            turn
        });
        turn.map(|end| {
            driver.transport.farewell(context);
            driver.finish(end);
        })
    }
}

/// Nothing in a driver is ever pinned.
impl<S: Sink> Unpin for Driver<S> {}
