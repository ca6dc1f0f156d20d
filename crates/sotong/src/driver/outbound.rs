//! The sending half of a connection, as it stands under the lock of [`Shared`](super::shared::Shared), and who waits
//! for it.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use sotong_proto::{
    Close, Closed, Config, Cork, FRAME_HEADER_BYTES_MAX, Initiator, Outbox, Refused, Replies, Time,
};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::membership::Membership;
use super::turn;
use crate::counts::Tally;
use crate::outgoing::sealed::Carried;
use crate::topics::registry::Topic;
use crate::transport::Transport;

/// The most [`Sender::ping`](crate::Sender::ping)s of one connection that may wait for their Pong.
pub(crate) const PINGS_MAX: usize = 64;

/// A buffer with more room than this is not kept.
const SPARE_BYTES_MAX: usize = 128 * 1024;

#[cfg(not(sotong_shuttle))]
thread_local! {
    /// What the last outbox on this thread that became empty had its bytes in. The next one that is not empty begins with
    /// it: otherwise each batch of answers would grow a buffer from nothing, which copies it once more.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

#[cfg(sotong_shuttle)]
shuttle::thread_local! {
    static SPARE: Cell<Vec<u8>> = Cell::new(Vec::new());
}

/// The spare buffer of this thread. At a thread's end it may be gone before the last sender is.
fn take_spare() -> Vec<u8> {
    SPARE.try_with(Cell::take).unwrap_or_default()
}

fn put_spare(room: Vec<u8>) {
    if (1..=SPARE_BYTES_MAX).contains(&room.capacity()) {
        let _ = SPARE.try_with(|spare| spare.set(room));
    }
}

/// How many runs of bytes one write takes at most.
const SLICES_PER_WRITE: usize = 32;

/// The sending half, under the lock. In the order of [`Shared`](super::shared::Shared).
#[repr(C)]
pub(crate) struct Outbound {
    /// For writes that are not the driver's: in pull form the reader's, in both those of what was published. Gone when
    /// the connection is over.
    pub(crate) transport: Option<Arc<Transport>>,
    /// Messages that were accepted here and not told yet.
    pub(super) sent: Tally,
    pub(crate) outbox: Outbox,
    /// Wakes the driver. Gone when the driver is: it would keep the driver's task alive.
    pub(crate) driver: Option<Waker>,
    pub(crate) over: Option<Box<Over>>,
    /// Its part in topics.
    pub(super) membership: Option<Box<Membership>>,
    /// What most connections never have.
    seldom: Option<Box<Seldom>>,
}

/// What most connections never have, so that it is behind one pointer.
#[derive(Default)]
struct Seldom {
    waiting: Waiting,
    held: Option<Box<Held>>,
    /// New limits that the driver has not seen.
    raised: Option<Arc<Config>>,
    from_callbacks: FromCallbacks,
    /// The number of the last Ping that had one. None is used twice: a Pong may come late.
    last_ping: u64,
}

impl Seldom {
    /// Whether nothing of it is of use any more when nothing waits to be sent.
    fn is_over(&self) -> bool {
        self.waiting.is_over() && self.held.is_none() && self.raised.is_none() && self.last_ping == 0
    }
}

/// What waits of that which the callbacks of a client in event form have sent.
#[derive(Default)]
struct FromCallbacks {
    /// Bytes that were queued since a moment when none waited.
    bytes: usize,
    /// How many bytes must leave before none waits again.
    ahead: usize,
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

/// Who waits for what. Whoever gives up waiting leaves nothing here, or nothing that the next one does not clear.
#[derive(Default)]
struct Waiting {
    room: Option<Arc<Notify>>,
    over: Option<Arc<Notify>>,
    /// The task that uses the [`WebSocket`](crate::WebSocket) as a sink, for room and for the end.
    sink: Option<Waker>,
    /// How many more bytes must leave before what was accepted is with the kernel.
    flushes: Vec<(usize, oneshot::Sender<()>)>,
    /// In the order of their numbers.
    pings: Vec<Ping>,
}

struct Ping {
    /// Its payload.
    number: u64,
    sent: Instant,
    answered: oneshot::Sender<Duration>,
}

impl Outbound {
    pub(super) fn new(outbox: Outbox, transport: Option<Arc<Transport>>) -> Self {
        Outbound {
            outbox,
            sent: Tally::default(),
            driver: None,
            transport,
            over: None,
            membership: None,
            seldom: None,
        }
    }

    pub(crate) fn push(&mut self, message: &Carried<'_>) -> Result<(), Refused> {
        if self.is_closing() {
            return Err(Refused::Closed);
        }
        if self.outbox.is_empty() {
            self.outbox.lend(take_spare());
        }
        match message {
            Carried::Owned(message) => self.outbox.send_owned(message),
            Carried::Borrowed(message) => self.outbox.send(*message),
            Carried::OwnedUncompressed(_) | Carried::BorrowedUncompressed(_) => {
                self.outbox.send_uncompressed(message.as_ref())
            }
        }?;
        self.sent.count(message.as_ref().as_bytes().len());
        Ok(())
    }

    /// Queues what a callback of a client sends. Such messages have room of their own, `bytes_max`, because the client reads
    /// on and is called while others' messages fill the outbox.
    pub(super) fn push_from_callback(
        &mut self,
        message: &Carried<'_>,
        bytes_max: usize,
    ) -> Result<(), Refused> {
        let before = self.outbox.len();
        match self.push(message) {
            Err(Refused::Full) => {
                let waiting = self.waiting_from_callbacks();
                let more = FRAME_HEADER_BYTES_MAX + message.as_ref().as_bytes().len();
                if waiting != 0 && waiting.saturating_add(more) > bytes_max {
                    return Err(Refused::Full);
                }
                self.push_regardless(message);
            }
            done => done?,
        }
        let after = self.outbox.len();
        let waiting = &mut self.seldom.get_or_insert_default().from_callbacks;
        waiting.bytes += after - before;
        waiting.ahead = after;
        Ok(())
    }

    /// How many bytes wait that callbacks of a client have sent; at least so many, because some may have left.
    pub(super) fn waiting_from_callbacks(&self) -> usize {
        self.seldom.as_ref().map_or(0, |seldom| seldom.from_callbacks.bytes)
    }

    /// Queues a message whether there is room or not.
    pub(super) fn push_regardless(&mut self, message: &Carried<'_>) {
        match message {
            Carried::Owned(_) | Carried::Borrowed(_) => self.outbox.send_regardless(message.as_ref()),
            Carried::OwnedUncompressed(_) | Carried::BorrowedUncompressed(_) => {
                self.outbox.send_uncompressed_regardless(message.as_ref());
            }
        }
        self.sent.count(message.as_ref().as_bytes().len());
    }

    /// The Close that is held back.
    pub(super) fn held(&self) -> Option<&Held> {
        self.seldom.as_deref()?.held.as_deref()
    }

    pub(super) fn hold(&mut self, held: Held) {
        self.seldom.get_or_insert_default().held = Some(Box::new(held));
    }

    pub(super) fn take_held(&mut self) -> Option<Box<Held>> {
        self.seldom.as_deref_mut()?.held.take()
    }

    /// Whether there are limits that the driver has not seen.
    pub(super) fn has_raised(&self) -> bool {
        self.seldom.as_deref().is_some_and(|seldom| seldom.raised.is_some())
    }

    pub(super) fn raise(&mut self, config: Arc<Config>) {
        self.seldom.get_or_insert_default().raised = Some(config);
    }

    pub(super) fn take_raised(&mut self) -> Option<Arc<Config>> {
        self.seldom.as_deref_mut()?.raised.take()
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

    /// Counts what has left. Returns who waits for that.
    pub(crate) fn left(&mut self, bytes: usize) -> News {
        let is_empty = self.outbox.is_empty();
        if let Some(membership) = &mut self.membership {
            membership.offered(is_empty);
        }
        let Some(seldom) = &mut self.seldom else { return News::default() };
        let Seldom { waiting, from_callbacks, .. } = &mut **seldom;
        from_callbacks.ahead = from_callbacks.ahead.saturating_sub(bytes);
        if from_callbacks.ahead == 0 || is_empty {
            *from_callbacks = FromCallbacks::default();
        }
        for (remaining, _) in &mut waiting.flushes {
            *remaining = remaining.saturating_sub(bytes);
        }
        let is_done = |(remaining, _): &mut (usize, _)| *remaining == 0 || is_empty;
        let flushed = waiting.flushes.extract_if(.., is_done).map(|(_, done)| done).collect();
        // Without progress there is no more room than before: to wake for it would go round in circles.
        let news = if bytes > 0 || is_empty { waiting.take_room() } else { News::default() };
        if is_empty && seldom.is_over() {
            self.seldom = None;
        }
        News { flushed, ..news }
    }

    /// What was corked goes before all that waits, so every flush has that much further to go.
    pub(crate) fn lengthen_flushes(&mut self, bytes: usize) {
        if let Some(seldom) = &mut self.seldom {
            seldom.waiting.flushes.iter_mut().for_each(|(remaining, _)| *remaining += bytes);
        }
    }

    pub(super) fn take_waiting_for_room(&mut self) -> News {
        self.seldom.as_mut().map(|seldom| seldom.waiting.take_room()).unwrap_or_default()
    }

    /// Writes once, in one call of `write`: what is corked, then what waits. Ready with how much left; 0 if there is
    /// nothing.
    pub(crate) fn write(
        &mut self,
        cork: &mut Cork,
        read: &[u8],
        write: impl FnOnce(&[IoSlice<'_>]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if !cork.is_empty() {
            if self.outbox.is_empty() {
                // From where it stands; what the carrier does not take waits in the outbox.
                let result = write_corked(cork, read, write);
                self.keep_rest(cork, read, if let Poll::Ready(Ok(count)) = result { count } else { 0 });
                return result;
            }
            self.lengthen_flushes(cork.len());
            self.outbox.prepend(cork, read);
        }
        if self.outbox.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
        let used = self.outbox.io_slices(&mut slices);
        let result = write(&slices[..used]);
        match result {
            Poll::Ready(Ok(count)) => put_spare(self.outbox.advance_and_give_back(count)),
            Poll::Ready(Err(_)) | Poll::Pending => self.outbox.tighten(),
        }
        result
    }

    /// Keeps what the kernel did not take of what was corked, of which `sent` bytes have left.
    pub(super) fn keep_rest(&mut self, cork: &mut Cork, read: &[u8], sent: usize) {
        if sent < cork.len() {
            // By all of it: what has left just now is subtracted in `left`.
            self.lengthen_flushes(cork.len());
        }
        self.outbox.prepend_rest(cork, read, sent);
    }

    /// Queues a Ping and returns where its latency will come; `None` after a Close.
    pub(super) fn ping(&mut self, news: &mut News) -> Option<oneshot::Receiver<Duration>> {
        if self.is_closing() {
            return None;
        }
        let (answered, latency) = oneshot::channel();
        let Seldom { waiting, last_ping, .. } = &mut **self.seldom.get_or_insert_default();
        news.given_up.extend(waiting.pings.extract_if(.., |ping| ping.answered.is_closed()));
        if waiting.pings.len() >= PINGS_MAX {
            // The oldest gives up its place: its future ends as if the connection had.
            news.given_up.push(waiting.pings.remove(0));
        }
        *last_ping += 1;
        let number = *last_ping;
        waiting.pings.push(Ping { number, sent: Instant::now(), answered });
        self.outbox.ping(&number.to_be_bytes());
        Some(latency)
    }

    /// Queues the core's keep-alive. While Pings of ours wait for their Pong it has a number like them, because a peer
    /// that answers only the latest Ping would otherwise never answer theirs.
    pub(super) fn keep_alive(&mut self, payload: &[u8]) {
        match &mut self.seldom {
            Some(seldom) if !seldom.waiting.pings.is_empty() => {
                seldom.last_ping += 1;
                self.outbox.ping(&seldom.last_ping.to_be_bytes());
            }
            _ => self.outbox.ping(payload),
        }
    }

    /// A Pong came: it answers the Ping with its number, and all before that one (RFC 6455, section 5.5.3). One with a
    /// number that no Ping had, or none at all, was not asked for and answers nothing.
    pub(super) fn pong(&mut self, payload: &[u8]) -> News {
        let answered = self.seldom.as_mut().and_then(|seldom| {
            let number = u64::from_be_bytes(payload.try_into().ok()?);
            if number > seldom.last_ping {
                return None;
            }
            let waiting = &mut seldom.waiting;
            let later = waiting.pings.partition_point(|ping| ping.number <= number);
            Some(waiting.pings.drain(..later).collect())
        });
        News { answered: answered.unwrap_or_default(), ..News::default() }
    }

    /// Where the news will come that all that waits now is with the kernel; `None` when the connection is over.
    pub(super) fn flush(&mut self, news: &mut News) -> Option<oneshot::Receiver<()>> {
        if self.over.is_some() {
            return None;
        }
        let (done, flushed) = oneshot::channel();
        let bytes = self.outbox.len();
        let flushes = &mut self.seldom.get_or_insert_default().waiting.flushes;
        news.flushed.extend(flushes.extract_if(.., |(_, done)| done.is_closed()).map(|(_, done)| done));
        flushes.push((bytes, done));
        Some(flushed)
    }

    pub(super) fn is_flush_awaited(&self) -> bool {
        self.seldom.as_ref().is_some_and(|seldom| !seldom.waiting.flushes.is_empty())
    }

    /// Ready when there may be more room. It counts from now on, not from when it is polled.
    pub(super) fn room(&mut self) -> OwnedNotified {
        self.seldom.get_or_insert_default().waiting.room.get_or_insert_default().clone().notified_owned()
    }

    /// Ready when the connection is over. It counts from now on, too.
    pub(super) fn end(&mut self) -> OwnedNotified {
        self.seldom.get_or_insert_default().waiting.over.get_or_insert_default().clone().notified_owned()
    }

    /// Has the task that uses the socket as a sink woken when there is more room, or at the end. Returns the waker
    /// that was there before, to be dropped when the lock is free.
    #[must_use]
    pub(super) fn wait_as_sink(&mut self, waker: &Waker) -> Option<Waker> {
        let sink = &mut self.seldom.get_or_insert_default().waiting.sink;
        if sink.as_ref().is_some_and(|known| known.will_wake(waker)) {
            return None;
        }
        sink.replace(waker.clone())
    }

    /// The end. Whoever waits is told by what is returned, when the lock is free.
    pub(super) fn finish(&mut self, over: Over) -> Ended {
        self.over = Some(Box::new(over));
        self.outbox.discard();
        Ended {
            _driver: self.driver.take(),
            _transport: self.transport.take(),
            seldom: self.seldom.take(),
            topics: self.part_with_all(),
        }
    }
}

/// Writes what is corked, once, and leaves it there. Returns how much the kernel took.
pub(super) fn write_corked(
    cork: &Cork,
    read: &[u8],
    write: impl FnOnce(&[IoSlice<'_>]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<usize>> {
    if let Some(bytes) = cork.as_one() {
        return write(&[IoSlice::new(bytes)]);
    }
    let mut slices = [IoSlice::new(&[]); Cork::SLICES_MAX];
    let used = cork.io_slices(read, &mut slices);
    write(&slices[..used])
}

/// What an end sets free.
#[must_use]
pub(crate) struct Ended {
    _driver: Option<Waker>,
    _transport: Option<Arc<Transport>>,
    seldom: Option<Box<Seldom>>,
    /// What the connection was subscribed to.
    pub(super) topics: Vec<Arc<Topic>>,
}

impl Ended {
    pub(super) fn tell(self) {
        if let Some(mut seldom) = self.seldom {
            let waiting = &mut seldom.waiting;
            let room = waiting.take_room();
            // Flushes and pings end by their channels.
            News { over: waiting.over.take(), ended: Some(seldom), ..room }.tell();
        }
    }
}

impl Waiting {
    /// Whether nobody waits for what may come when nothing waits to be sent.
    fn is_over(&self) -> bool {
        self.over.is_none() && self.pings.is_empty()
    }

    fn take_room(&mut self) -> News {
        News { room: self.room.take(), sink: self.sink.take(), ..News::default() }
    }
}

/// What somebody waits to hear, and what nobody waits for any more. To be told when the lock is free: a waker may run
/// anything, and so may what is dropped with one.
#[derive(Default)]
#[must_use]
pub(crate) struct News {
    room: Option<Arc<Notify>>,
    over: Option<Arc<Notify>>,
    sink: Option<Waker>,
    flushed: Vec<oneshot::Sender<()>>,
    answered: Vec<Ping>,
    given_up: Vec<Ping>,
    ended: Option<Box<Seldom>>,
}

impl News {
    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.room.is_none()
            && self.over.is_none()
            && self.sink.is_none()
            && self.flushed.is_empty()
            && self.answered.is_empty()
            && self.given_up.is_empty()
            && self.ended.is_none()
    }

    #[inline]
    pub(crate) fn tell(self) {
        if !self.is_none() {
            turn::outside(|| self.tell_them());
        }
    }

    #[cold]
    fn tell_them(self) {
        // A waker that panics is its owner's trouble, not this connection's.
        let told = catch_unwind(AssertUnwindSafe(|| {
            for done in self.flushed {
                // Nobody may be waiting any more; that is fine.
                let _ = done.send(());
            }
            // One look at the clock: an earlier Ping never took less than a later one that the same Pong answers.
            let now = Instant::now();
            for ping in self.answered {
                let _ = ping.answered.send(now.duration_since(ping.sent));
            }
            drop((self.given_up, self.ended));
            for waiting in self.room.iter().chain(&self.over) {
                waiting.notify_waiters();
            }
            if let Some(sink) = self.sink {
                sink.wake();
            }
        }));
        if told.is_err() {
            tracing::error!("a waker panicked");
        }
    }
}

#[cfg(all(test, not(sotong_shuttle)))]
mod tests {
    use super::*;
    use sotong_proto::{MessageRef, Seed};

    #[test]
    fn the_spare_buffer_is_not_held_by_who_cannot_send() {
        const SPARE: usize = 50_000;
        let outbound = || Outbound::new(Outbox::server(Arc::new(Config::default())), None);
        let hello = Carried::Borrowed(MessageRef::Text("hello"));
        put_spare(Vec::with_capacity(SPARE));
        // Its Close is out, so it accepts nothing, and borrows nothing.
        let mut closed = outbound();
        closed.outbox.close(Close::empty(), Initiator::Local);
        closed.outbox.advance(closed.outbox.len());
        assert_eq!(closed.push(&hello), Err(Refused::Closed));
        let spare = take_spare();
        assert_eq!(spare.capacity(), SPARE);
        // Its peer takes nothing: it keeps what it needs. Once all has left, that is the spare buffer.
        put_spare(spare);
        let mut stalled = outbound();
        stalled.push(&hello).expect("nobody has closed");
        assert!(stalled.write(&mut Cork::new(), &[], |_| Poll::Pending).is_pending());
        let all = |slices: &[IoSlice<'_>]| Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        assert!(matches!(stalled.write(&mut Cork::new(), &[], all), Poll::Ready(Ok(7))));
        let spare = take_spare().capacity();
        assert!((7..4096).contains(&spare), "{spare}");
    }

    #[test]
    fn what_callbacks_of_a_client_send_has_as_much_room_again_and_no_more() {
        const MAX: usize = 1000;
        let payload = [7; 100 - 6];
        let message = |length| Carried::Borrowed(MessageRef::Binary(&payload[..length]));
        let config = Arc::new(Config::default().with_outbox_bytes_max(MAX));
        let mut outbound = Outbound::new(Outbox::client(config, Seed([1; 32])), None);
        for _ in 0..10 {
            outbound.push(&message(94)).expect("there is room");
        }
        assert_eq!(outbound.push(&message(0)), Err(Refused::Full));
        assert_eq!(outbound.waiting_from_callbacks(), 0);
        for _ in 0..9 {
            outbound.push_from_callback(&message(94), MAX).expect("it has room of its own");
        }
        assert_eq!((outbound.outbox.len(), outbound.waiting_from_callbacks()), (1900, 900));
        let room = 100 - FRAME_HEADER_BYTES_MAX;
        assert_eq!(outbound.push_from_callback(&message(room + 1), MAX), Err(Refused::Full));
        outbound.push_from_callback(&message(room), MAX).expect("the largest header is counted");
        assert_eq!(outbound.push(&message(0)), Err(Refused::Full), "others have no more room than before");

        // What others send behind it does not count, and all of it counts until the last byte has left.
        let from_callbacks = outbound.waiting_from_callbacks();
        outbound.push_regardless(&message(94));
        for (left, waits) in [(1000 + from_callbacks - 1, from_callbacks), (1, 0)] {
            outbound.outbox.advance_and_give_back(left);
            drop(outbound.left(left));
            assert_eq!(outbound.waiting_from_callbacks(), waits);
        }
        assert_eq!(outbound.outbox.len(), 100);
    }
}
