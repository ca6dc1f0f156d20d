//! The sending half of a connection, as it stands under the lock of [`Shared`](super::shared::Shared), and who waits
//! for it.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use sotong_proto::{Close, Closed, Cork, Initiator, Outbox, Refused, Replies, Time};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::outgoing::sealed::Carried;
use crate::transport::Transport;

/// The most [`Sender::ping`](crate::Sender::ping)s of one connection that may wait for their Pong.
pub(crate) const PINGS_MAX: usize = 64;

/// How many runs of bytes one write takes at most.
const SLICES_PER_WRITE: usize = 32;

/// The sending half, under the lock.
pub(crate) struct Outbound {
    pub(crate) outbox: Outbox,
    /// Wakes the driver. Gone when the driver is: it would keep the driver's task alive.
    pub(crate) driver: Option<Waker>,
    /// For direct writes in pull form; gone when the connection is over.
    pub(crate) transport: Option<Arc<Transport>>,
    pub(crate) over: Option<Box<Over>>,
    pub(super) held: Option<Box<Held>>,
    /// Who waits for what. Most connections have nobody.
    waiting: Option<Box<Waiting>>,
}

/// A Close that the core wants to send while answers to messages before it may still come.
pub(super) struct Held {
    pub(super) close: Close,
    pub(super) first: Initiator,
    /// When it is sent at the latest.
    pub(super) until: Time,
}

/// How it ended.
#[derive(Clone)]
pub(crate) struct Over {
    pub(crate) closed: Arc<Closed>,
    /// `None` for a regular end.
    pub(crate) error: Option<crate::Error>,
}

/// Who waits for what.
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

impl Outbound {
    pub(super) fn new(outbox: Outbox, transport: Option<Arc<Transport>>) -> Self {
        Outbound { outbox, driver: None, transport, over: None, held: None, waiting: None }
    }

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
        // Without progress there is no more room than before: to wake for it would go round in circles.
        let room = if bytes > 0 || is_empty { std::mem::take(&mut waiting.room) } else { Vec::new() };
        if is_empty && room.is_empty() && waiting.over.is_empty() && waiting.pings.is_empty() {
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

    pub(super) fn take_waiting_for_room(&mut self) -> Vec<Waker> {
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

    /// Queues a Ping and returns where its latency will come; `None` after a Close.
    pub(super) fn ping(&mut self) -> Option<oneshot::Receiver<Duration>> {
        if self.is_closing() {
            return None;
        }
        let (answered, latency) = oneshot::channel();
        let waiting = self.waiting.get_or_insert_default();
        waiting.pings.retain(|ping| !ping.answered.is_closed());
        if waiting.pings.len() >= PINGS_MAX {
            // The oldest gives up its place: its future ends as if the connection had.
            waiting.pings.remove(0);
        }
        waiting.next_ping += 1;
        let payload = waiting.next_ping.to_be_bytes();
        waiting.pings.push(Ping { payload, sent: Instant::now(), answered });
        self.outbox.ping(&payload);
        Some(latency)
    }

    /// A Pong came: it answers the Ping with its payload, and all before that one (RFC 6455, section 5.5.3).
    pub(super) fn pong(&mut self, payload: &[u8]) {
        let Some(waiting) = &mut self.waiting else { return };
        let Some(last) = waiting.pings.iter().position(|ping| ping.payload == payload) else { return };
        for ping in waiting.pings.drain(..=last) {
            // Nobody may be waiting any more; that is fine.
            let _ = ping.answered.send(ping.sent.elapsed());
        }
    }

    /// Where the news will come that all that waits now is with the kernel; `None` when the connection is over.
    pub(super) fn flush(&mut self) -> Option<oneshot::Receiver<()>> {
        if self.over.is_some() {
            return None;
        }
        let (done, flushed) = oneshot::channel();
        let bytes = self.outbox.len();
        self.waiting.get_or_insert_default().flushes.push((bytes, done));
        Some(flushed)
    }

    pub(super) fn is_flush_awaited(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| !waiting.flushes.is_empty())
    }

    pub(super) fn wait_for_room(&mut self, waker: &Waker) {
        remember(&mut self.waiting.get_or_insert_default().room, waker);
    }

    pub(super) fn wait_for_end(&mut self, waker: &Waker) {
        remember(&mut self.waiting.get_or_insert_default().over, waker);
    }

    /// The end. Whoever waits is told by what is returned, when the lock is free.
    pub(super) fn finish(&mut self, over: Over) -> Ended {
        self.over = Some(Box::new(over));
        self.held = None;
        self.outbox.discard();
        Ended { _driver: self.driver.take(), _transport: self.transport.take(), waiting: self.waiting.take() }
    }
}

/// What an end sets free.
pub(super) struct Ended {
    _driver: Option<Waker>,
    _transport: Option<Arc<Transport>>,
    waiting: Option<Box<Waiting>>,
}

impl Ended {
    pub(super) fn tell(self) {
        if let Some(waiting) = self.waiting {
            // Flushes and pings end by their channels.
            waiting.room.into_iter().chain(waiting.over).for_each(Waker::wake);
        }
    }
}

/// Adds a waker, unless the same task waits already.
fn remember(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|known| known.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}
