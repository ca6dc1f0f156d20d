//! What a connection's driver shares with its senders.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sotong_proto::handshake::Request;
use sotong_proto::{Close, Closed, Config, Cork, Initiator, Outbox, Refused, Replies, Time};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::budget::{Budget, STEP_BYTES};
use super::turn;
use crate::outgoing::sealed::Carried;
use crate::transport::Transport;

/// The most [`Sender::ping`](crate::Sender::ping)s of one connection that may wait for their Pong.
pub(crate) const PINGS_MAX: usize = 64;

/// How many runs of bytes one write takes at most.
const SLICES_PER_WRITE: usize = 32;

/// Something waits in the outbox.
const QUEUED: u8 = 1;
/// A Close was sent, or the connection is over.
const CLOSING: u8 = 2;
/// Somebody waits for a flush.
const FLUSHING: u8 = 4;
/// A Close of the core is held back.
const HELD: u8 = 8;

/// One allocation per connection, behind every `Sender`.
pub(crate) struct Shared {
    pub(crate) request: Request,
    pub(crate) peer: std::net::SocketAddr,
    outbound: Mutex<Outbound>,
    /// `QUEUED` and `CLOSING`, changed under the lock; read without it by callbacks, which may use the cork only
    /// while this is 0. The acquire load keeps their messages behind what other threads queued before.
    flags: AtomicU8,
    form: Form,
    outbox_bytes_max: usize,
    budget: Arc<Budget>,
    /// What the budget knows of: steps in the outbox, changed under the lock; and steps of what was received,
    /// changed by the driver.
    held_out: AtomicU32,
    held_in: AtomicU32,
}

/// Which of the two forms a connection is used in; it decides who may write to the carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Only the driver writes, so what its callbacks send may be corked outside the lock.
    Events,
    /// The user's task may write too, under the lock.
    Pull,
}

/// The sending half, under the lock.
pub(crate) struct Outbound {
    pub(crate) outbox: Outbox,
    /// Wakes the driver. Gone when the driver is: it would keep the driver's task alive.
    pub(crate) driver: Option<Waker>,
    /// For direct writes in pull form; gone when the connection is over.
    pub(crate) transport: Option<Arc<Transport>>,
    pub(crate) over: Option<Box<Over>>,
    held: Option<Box<Held>>,
    /// Who waits for what. Most connections have nobody.
    waiting: Option<Box<Waiting>>,
}

/// A Close that the core wants to send while answers to messages before it may still come.
struct Held {
    close: Close,
    first: Initiator,
    /// When it is sent at the latest.
    until: Time,
}

/// How it ended.
#[derive(Clone)]
pub(crate) struct Over {
    pub(crate) closed: Arc<Closed>,
    /// `None` for a regular end.
    pub(crate) error: Option<crate::Error>,
}

#[derive(Default)]
struct Waiting {
    room: Vec<Waker>,
    over: Vec<Waker>,
    /// How many more bytes must leave before what was accepted is with the kernel.
    flushes: Vec<(usize, oneshot::Sender<()>)>,
    pings: Vec<Ping>,
    next_ping: u64,
}

struct Ping {
    payload: [u8; 8],
    sent: Instant,
    answered: oneshot::Sender<Duration>,
}

impl Shared {
    pub(crate) fn new(
        request: Request,
        peer: std::net::SocketAddr,
        config: Arc<Config>,
        form: Form,
        transport: Option<Arc<Transport>>,
        budget: Arc<Budget>,
    ) -> Arc<Shared> {
        let outbox_bytes_max = config.outbox_bytes_max;
        let outbox = Outbox::server(config);
        let outbound = Outbound { outbox, driver: None, transport, over: None, held: None, waiting: None };
        Arc::new(Shared {
            request,
            peer,
            outbound: Mutex::new(outbound),
            flags: AtomicU8::new(0),
            budget,
            held_out: AtomicU32::new(0),
            held_in: AtomicU32::new(0),
            form,
            outbox_bytes_max,
        })
    }

    pub(crate) fn outbox_bytes_max(&self) -> usize {
        self.outbox_bytes_max
    }

    /// What tells this connection from others on its thread.
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Outbound> {
        // Nothing under this lock runs a user's code, so a panic there is ours; what is queued is whole frames.
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing waits, nobody has closed and nobody waits for a flush, seen without the lock.
    pub(crate) fn is_quiet(&self) -> bool {
        self.flags.load(Ordering::Acquire) == 0
    }

    /// Whether something waits in the outbox, seen without the lock.
    pub(crate) fn is_queued(&self) -> bool {
        self.flags.load(Ordering::Acquire) & QUEUED != 0
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.flags.load(Ordering::Acquire) & CLOSING != 0
    }

    /// How many steps of the budget it holds.
    pub(crate) fn held(&self) -> u32 {
        self.held_out.load(Ordering::Relaxed).saturating_add(self.held_in.load(Ordering::Relaxed))
    }

    /// Tells the budget how much of what was received waits.
    pub(crate) fn hold_in(&self, bytes: usize) {
        self.hold(&self.held_in, bytes);
    }

    fn hold(&self, held: &AtomicU32, bytes: usize) {
        let (before, after) = (held.load(Ordering::Relaxed), (bytes / STEP_BYTES) as u32);
        if before != after {
            held.store(after, Ordering::Relaxed);
            self.budget.change(before, after);
        }
    }

    /// Makes the flags, and the budget, tell what is under the lock.
    pub(crate) fn publish(&self, outbound: &Outbound) {
        self.hold(&self.held_out, outbound.outbox.len());
        let queued = if outbound.outbox.is_empty() { 0 } else { QUEUED };
        let closing = if outbound.is_closing() { CLOSING } else { 0 };
        let flushing = if outbound.waiting.as_ref().is_some_and(|waiting| !waiting.flushes.is_empty()) {
            FLUSHING
        } else {
            0
        };
        let held = if outbound.held.is_some() { HELD } else { 0 };
        self.flags.store(queued | closing | flushing | held, Ordering::Release);
    }

    /// Queues or corks a message.
    #[inline]
    pub(crate) fn try_send(&self, message: &Carried<'_>) -> Result<(), Refused> {
        if self.form == Form::Events && self.is_quiet() {
            match turn::cork(self.address(), message.as_ref(), self.outbox_bytes_max) {
                Some(true) => return Ok(()),
                Some(false) => return Err(Refused::Full),
                None => {}
            }
        }
        let mut outbound = self.lock();
        outbound.push(message)?;
        self.queued(outbound);
        Ok(())
    }

    /// Publishes what was queued and lets the driver know, if it does not know already.
    fn queued(&self, outbound: MutexGuard<'_, Outbound>) {
        // A driver that was told drains before it waits, and so does one that is having its turn.
        let driver_knows = self.flags.load(Ordering::Relaxed) & QUEUED != 0;
        self.publish(&outbound);
        if !driver_knows && !turn::is_turn_of(self.address()) {
            wake_driver(outbound);
        }
    }

    /// The core closes. In pull form its Close waits for the answers to the messages before it, until `until`.
    pub(crate) fn close_out(&self, close: Close, first: Initiator, until: Time) {
        if self.form == Form::Events {
            self.close(close, first);
            return;
        }
        let mut outbound = self.lock();
        if !outbound.is_closing() && outbound.held.is_none() {
            outbound.held = Some(Box::new(Held { close, first, until }));
            self.publish(&outbound);
        }
    }

    /// Whether a Close of the core is held back, seen without the lock.
    pub(crate) fn is_held(&self) -> bool {
        self.flags.load(Ordering::Acquire) & HELD != 0
    }

    /// When the Close that is held back goes out at the latest.
    pub(crate) fn held_until(&self) -> Option<Time> {
        if !self.is_held() {
            return None;
        }
        self.lock().held.as_ref().map(|held| held.until)
    }

    /// Sends the Close that is held back, if there is one.
    pub(crate) fn release_close(&self) {
        if let Some(held) = { self.lock().held.take() } {
            self.close(held.close, held.first);
        }
    }

    /// Queues a Close; false if one was sent before, or the connection is over.
    pub(crate) fn close(&self, close: Close, first: Initiator) -> bool {
        let mut outbound = self.lock();
        if outbound.is_closing() {
            return false;
        }
        // The one that is held back was first.
        let (close, first) = match outbound.held.take() {
            Some(held) => (held.close, held.first),
            None => (close, first),
        };
        outbound.outbox.close(close, first);
        self.publish(&outbound);
        let senders = outbound.take_waiting_for_room();
        if turn::is_turn_of(self.address()) {
            drop(outbound);
        } else {
            wake_driver(outbound);
        }
        senders.into_iter().for_each(Waker::wake);
        true
    }

    /// Queues a Ping and returns where its latency will come.
    pub(crate) fn ping(&self) -> Option<oneshot::Receiver<Duration>> {
        let (answered, latency) = oneshot::channel();
        let mut outbound = self.lock();
        if outbound.is_closing() {
            return None;
        }
        let waiting = outbound.waiting.get_or_insert_default();
        waiting.pings.retain(|ping| !ping.answered.is_closed());
        if waiting.pings.len() >= PINGS_MAX {
            // The oldest gives up its place: its future ends as if the connection had.
            waiting.pings.remove(0);
        }
        waiting.next_ping += 1;
        let payload = waiting.next_ping.to_be_bytes();
        waiting.pings.push(Ping { payload, sent: Instant::now(), answered });
        outbound.outbox.ping(&payload);
        self.queued(outbound);
        Some(latency)
    }

    /// A Pong came: it answers the Ping with its payload, and all before that one (RFC 6455, section 5.5.3).
    pub(crate) fn pong(&self, payload: &[u8]) {
        let mut outbound = self.lock();
        let Some(waiting) = &mut outbound.waiting else { return };
        let Some(last) = waiting.pings.iter().position(|ping| ping.payload == payload) else { return };
        for ping in waiting.pings.drain(..=last) {
            // Nobody may be waiting any more; that is fine.
            let _ = ping.answered.send(ping.sent.elapsed());
        }
    }

    /// The core's answer to a Ping; only in the driver's turn.
    pub(crate) fn pong_out(&self, payload: &[u8]) {
        let corked = self.form == Form::Events && self.is_quiet() && turn::cork_pong(self.address(), payload);
        if !corked {
            self.reply(|outbox| outbox.pong(payload));
        }
    }

    /// The core's keep-alive; only in the driver's turn.
    pub(crate) fn ping_out(&self, payload: &[u8]) {
        self.reply(|outbox| outbox.ping(payload));
    }

    /// Moves what is corked into the outbox, for a driver that cannot write yet.
    pub(crate) fn queue_corked(&self, cork: &mut Cork) {
        let mut outbound = self.lock();
        outbound.outbox.prepend(cork);
        self.publish(&outbound);
    }

    fn reply(&self, reply: impl FnOnce(&mut Outbox)) {
        let mut outbound = self.lock();
        if outbound.over.is_none() {
            reply(&mut outbound.outbox);
            self.publish(&outbound);
        }
    }

    /// Queues a message and writes all that waits at once, from the caller's thread. Pull form only.
    pub(crate) fn send_directly(&self, message: &Carried<'_>) -> Result<(), Refused> {
        let mut outbound = self.lock();
        outbound.push(message)?;
        let senders = self.write_out(&mut outbound);
        self.publish(&outbound);
        if outbound.outbox.is_empty() {
            drop(outbound);
        } else {
            wake_driver(outbound);
        }
        senders.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Where the news will come that all that is accepted now is with the kernel.
    pub(crate) fn flush(&self) -> Option<oneshot::Receiver<()>> {
        let (done, flushed) = oneshot::channel();
        let mut outbound = self.lock();
        if outbound.over.is_some() {
            return None;
        }
        let bytes = outbound.outbox.len();
        outbound.waiting.get_or_insert_default().flushes.push((bytes, done));
        self.publish(&outbound);
        // Always by the driver, so that what it has corked at this moment counts too.
        wake_driver(outbound);
        Some(flushed)
    }

    /// Ready when the connection is over.
    pub(crate) fn poll_over(&self, context: &mut Context<'_>) -> Poll<Over> {
        let mut outbound = self.lock();
        if let Some(over) = &outbound.over {
            return Poll::Ready((**over).clone());
        }
        remember(&mut outbound.waiting.get_or_insert_default().over, context.waker());
        Poll::Pending
    }

    /// Queues the message when there is room for it.
    pub(crate) fn poll_send(
        &self,
        message: &Carried<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), crate::Error>> {
        let mut outbound = self.lock();
        match outbound.push(message) {
            Ok(()) => {
                self.queued(outbound);
                Poll::Ready(Ok(()))
            }
            Err(Refused::Full) => {
                remember(&mut outbound.waiting.get_or_insert_default().room, context.waker());
                Poll::Pending
            }
            Err(Refused::Closed) => Poll::Ready(Err(outbound.end_so_far())),
        }
    }

    /// Ready when a message of any size would be taken.
    pub(crate) fn poll_room(&self, context: &mut Context<'_>) -> Poll<Result<(), crate::Error>> {
        let mut outbound = self.lock();
        if outbound.is_closing() {
            return Poll::Ready(Err(outbound.end_so_far()));
        }
        if outbound.outbox.len() * 2 <= self.outbox_bytes_max {
            return Poll::Ready(Ok(()));
        }
        remember(&mut outbound.waiting.get_or_insert_default().room, context.waker());
        Poll::Pending
    }

    /// Queues a message for which [`poll_room`](Self::poll_room) has promised room.
    pub(crate) fn send_promised(&self, message: &Carried<'_>) -> Result<(), crate::Error> {
        let mut outbound = self.lock();
        if outbound.is_closing() {
            return Err(outbound.end_so_far());
        }
        outbound.outbox.send_regardless(message.as_ref());
        self.queued(outbound);
        Ok(())
    }

    /// Writes what waits, and is ready when nothing does.
    pub(crate) fn poll_empty(&self, context: &mut Context<'_>) -> Poll<Result<(), crate::Error>> {
        let mut outbound = self.lock();
        if outbound.over.is_some() {
            return Poll::Ready(Err(outbound.end_so_far()));
        }
        let senders = self.write_out(&mut outbound);
        let is_empty = outbound.outbox.is_empty();
        if !is_empty {
            remember(&mut outbound.waiting.get_or_insert_default().room, context.waker());
        }
        self.publish(&outbound);
        if is_empty {
            drop(outbound);
        } else {
            wake_driver(outbound);
        }
        senders.into_iter().for_each(Waker::wake);
        if is_empty { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Writes once, from the user's thread. Returns who waits for room.
    fn write_out(&self, outbound: &mut Outbound) -> Vec<Waker> {
        let Some(transport) = outbound.transport.clone() else { return Vec::new() };
        // An error is the driver's to find: what could not be written makes it try.
        let written = outbound.write(&mut Cork::new(), &transport).unwrap_or(0);
        outbound.left(written)
    }

    /// The end: marks the connection as over, once, and tells everybody who waits.
    pub(crate) fn finish(&self, over: Over) {
        let mut outbound = self.lock();
        if outbound.over.is_some() {
            return;
        }
        outbound.over = Some(Box::new(over));
        outbound.outbox.discard();
        let driver = outbound.driver.take();
        let transport = outbound.transport.take();
        let waiting = outbound.waiting.take();
        self.publish(&outbound);
        drop(outbound);
        self.hold_in(0);
        drop((driver, transport));
        if let Some(waiting) = waiting {
            // Flushes and pings end by their channels.
            waiting.room.into_iter().chain(waiting.over).for_each(Waker::wake);
        }
    }
}

impl Outbound {
    pub(crate) fn push(&mut self, message: &Carried<'_>) -> Result<(), Refused> {
        if self.over.is_some() {
            return Err(Refused::Closed);
        }
        match message {
            Carried::Owned(message) => self.outbox.send_owned(message),
            Carried::Borrowed(message) => self.outbox.send(*message),
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.over.is_some() || self.outbox.sent_close().is_some()
    }

    /// Why nothing can be sent, as far as that is known.
    pub(crate) fn end_so_far(&self) -> crate::Error {
        match self.over.as_deref() {
            Some(Over { error: Some(error), .. }) => error.clone(),
            Some(Over { closed, error: None }) => crate::Error::Closed(closed.clone()),
            None => {
                let mut closed = Closed::vanished();
                (closed.sent, closed.first) = self.outbox.sent_close().cloned().unzip();
                crate::Error::Closed(Arc::new(closed))
            }
        }
    }

    /// Counts what has left, and tells who waits for a flush. Returns who waits for room, to be woken when the
    /// lock is free: a waker may run anything.
    #[must_use]
    pub(crate) fn left(&mut self, bytes: usize) -> Vec<Waker> {
        let is_empty = self.outbox.is_empty();
        let Some(waiting) = &mut self.waiting else { return Vec::new() };
        for (remaining, _) in &mut waiting.flushes {
            *remaining = remaining.saturating_sub(bytes);
        }
        for (_, done) in waiting.flushes.extract_if(.., |(remaining, _)| *remaining == 0 || is_empty) {
            // Nobody may be waiting any more; that is fine.
            let _ = done.send(());
        }
        let room = std::mem::take(&mut waiting.room);
        if is_empty && waiting.over.is_empty() && waiting.pings.is_empty() {
            self.waiting = None;
        }
        room
    }

    /// What was corked goes before all that waits, so every flush has that much further to go.
    pub(crate) fn lengthen_flushes(&mut self, bytes: usize) {
        if let Some(waiting) = &mut self.waiting {
            waiting.flushes.iter_mut().for_each(|(remaining, _)| *remaining += bytes);
        }
    }

    fn take_waiting_for_room(&mut self) -> Vec<Waker> {
        self.waiting.as_mut().map(|waiting| std::mem::take(&mut waiting.room)).unwrap_or_default()
    }

    /// Writes once, in one call: what is corked, then what waits. Returns how much left; 0 if there is nothing.
    pub(crate) fn write(&mut self, cork: &mut Cork, transport: &Transport) -> io::Result<usize> {
        if !cork.is_empty() {
            if self.outbox.is_empty() {
                return self.write_cork(cork, transport);
            }
            self.lengthen_flushes(cork.len());
            self.outbox.prepend(cork);
        }
        if self.outbox.is_empty() {
            return Ok(0);
        }
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
        let used = self.outbox.io_slices(&mut slices);
        let count = transport.try_write(&slices[..used])?;
        self.outbox.advance(count);
        Ok(count)
    }

    /// Writes what is corked from where it stands; what the kernel refuses waits in the outbox.
    fn write_cork(&mut self, cork: &mut Cork, transport: &Transport) -> io::Result<usize> {
        let result = transport.try_write(&[IoSlice::new(cork.bytes())]);
        let count = *result.as_ref().unwrap_or(&0);
        if count < cork.len() {
            self.lengthen_flushes(cork.len() - count);
            self.outbox.prepend_rest(cork, count);
        }
        cork.clear();
        result
    }
}

/// Wakes the driver when the lock is free.
fn wake_driver(outbound: MutexGuard<'_, Outbound>) {
    let driver = outbound.driver.clone();
    drop(outbound);
    if let Some(driver) = driver {
        driver.wake();
    }
}

/// Adds a waker, unless the same task waits already.
fn remember(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|known| known.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}
