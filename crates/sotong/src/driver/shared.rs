//! What a connection's driver shares with its senders.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use sotong_proto::handshake::{Request, Response};
use sotong_proto::{
    Close, Config, Cork, Deflate, Initiator, MessageRef, Outbox, Refused, Replies, Seed, Side, Time,
};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::oneshot;
use tracing::Span;
use tracing::span::EnteredSpan;

use super::budget::STEP_BYTES;
use super::clock::Clock;
use super::outbound::{Ended, Held, News, Outbound, Over};
use super::random;
use super::turn;
use crate::counts;
use crate::outgoing::sealed::Carried;
use crate::peer::Peer;
use crate::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::transport::Transport;

/// Something waits in the outbox.
pub(super) const QUEUED: u8 = 1;
/// A Close was sent, or the connection is over.
const CLOSING: u8 = 2;
/// Somebody waits for a flush.
const FLUSHING: u8 = 4;
/// A Close of the core is held back.
const HELD: u8 = 8;
/// There are new limits, which the driver has not seen.
const RAISED: u8 = 16;
/// Publications wait outside the outbox.
pub(super) const BEHIND: u8 = 32;
/// It is subscribed to something. In itself that changes nothing about what may be corked.
pub(super) const MEMBER: u8 = 64;

/// One allocation per connection, behind every `Sender`.
///
/// In this order, so that what is needed for each of many subscribers lies together: from the flags to the outbox.
#[repr(C)]
pub(crate) struct Shared {
    /// `QUEUED` and `CLOSING`, changed under the lock; read without it by callbacks, which may use the cork only
    /// while this is 0. The acquire load keeps their messages behind what other threads queued before.
    pub(super) flags: AtomicU8,
    /// Whether what callbacks send may be corked.
    corks: bool,
    pub(super) form: Form,
    /// What the budget knows of: steps in the outbox, changed under the lock; and steps of what was received,
    /// changed by the driver.
    held_out: AtomicU32,
    outbound: Mutex<Outbound>,
    held_in: AtomicU32,
    /// More than 4 GiB is as good as 4 GiB for Pongs.
    pong_bytes_max: AtomicU32,
    outbox_bytes_max: AtomicUsize,
    pub(super) clock: Arc<Clock>,
    pub(crate) request: Request,
    pub(crate) peer: Peer,
    /// What few connections have.
    few: Option<Box<Few>>,
}

struct Few {
    /// What the server answered; a client's connections have it.
    response: Option<Response>,
    /// Around all that is done for the connection, if somebody listens.
    span: Option<Span>,
}

/// In which form a connection is used; it decides who may write to the carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Only the driver writes, so what its callbacks send may be corked outside the lock.
    Events,
    /// The user's task may write too, under the lock.
    Pull,
    /// Pull form with a handler that is polled in the driver's turns: only the driver writes, and what the handler sends
    /// may be corked like what callbacks send.
    PullInTurn,
}

/// Which end of the connection this is.
pub(crate) enum Role {
    /// With the compression that was agreed on.
    Server(Option<Deflate>),
    /// The same, with what its masking keys grow from, and what the server answered.
    Client(Option<Deflate>, Seed, Response),
}

impl Role {
    /// A client, with a seed of its own from the operating system.
    pub(crate) fn client(deflate: Option<Deflate>, response: Response) -> std::io::Result<Role> {
        Ok(Role::Client(deflate, Seed(random::bytes()?), response))
    }

    pub(crate) fn deflate(&self) -> Option<Deflate> {
        match self {
            Role::Server(deflate) | Role::Client(deflate, ..) => *deflate,
        }
    }

    pub(crate) fn side(&self) -> Side {
        match self {
            Role::Server(_) => Side::Server,
            Role::Client(..) => Side::Client,
        }
    }
}

impl Shared {
    pub(crate) fn new(
        request: Request,
        peer: Peer,
        config: Arc<Config>,
        form: Form,
        role: Role,
        transport: Option<Arc<Transport>>,
        clock: Arc<Clock>,
    ) -> Arc<Shared> {
        // A client's frames are masked, each with a key of its own: that is the outbox's business, under the lock.
        // So is compressing, which may go by what was sent before.
        let deflate = role.deflate();
        let corks = form != Form::Pull && role.side() == Side::Server && deflate.is_none();
        let (outbox_bytes_max, pong_bytes_max) = (config.outbox_bytes_max, config.pong_bytes_max);
        let (outbox, response) = match role {
            Role::Server(_) => (Outbox::server(config), None),
            Role::Client(_, seed, response) => (Outbox::client(config, seed), Some(response)),
        };
        let outbox = match &deflate {
            Some(deflate) => outbox.with_deflate(deflate, clock.codecs().clone()),
            None => outbox,
        };
        let outbound = Outbound::new(outbox, transport);
        let client = if response.is_none() { peer.client_ip() } else { None };
        let span = tracing::debug_span!(
            parent: None,
            "connection",
            connection = peer.id,
            peer = peer.addr().map(tracing::field::display),
            client = client.map(tracing::field::display),
            // Without the query, which may hold what nobody else is to see, and escaped.
            path = ?request.path(),
        );
        let span = (!span.is_disabled()).then_some(span);
        Arc::new(Shared {
            request,
            peer,
            few: (response.is_some() || span.is_some()).then(|| Box::new(Few { response, span })),
            outbound: Mutex::new(outbound),
            flags: AtomicU8::new(0),
            clock,
            held_out: AtomicU32::new(0),
            held_in: AtomicU32::new(0),
            corks,
            form,
            outbox_bytes_max: AtomicUsize::new(outbox_bytes_max),
            pong_bytes_max: AtomicU32::new(pong_bytes_max.try_into().unwrap_or(u32::MAX)),
        })
    }

    pub(crate) fn outbox_bytes_max(&self) -> usize {
        self.outbox_bytes_max.load(Ordering::Relaxed)
    }

    /// Which end this is.
    pub(super) fn side(&self) -> Side {
        if self.response().is_some() { Side::Client } else { Side::Server }
    }

    /// What the server answered, if this is a client's connection.
    pub(crate) fn response(&self) -> Option<&Response> {
        self.few.as_deref()?.response.as_ref()
    }

    /// Gives the connection new limits.
    pub(crate) fn raise_limits(&self, config: Arc<Config>) {
        let mut outbound = self.lock();
        if outbound.over.is_some() {
            return;
        }
        // Under the lock, so that of two at once all of one holds.
        self.outbox_bytes_max.store(config.outbox_bytes_max, Ordering::Relaxed);
        let pong_bytes_max = config.pong_bytes_max.try_into().unwrap_or(u32::MAX);
        self.pong_bytes_max.store(pong_bytes_max, Ordering::Relaxed);
        outbound.outbox.set_config(config.clone());
        outbound.raise(config);
        self.publish(&outbound);
        // There may be more room now.
        let news = outbound.take_waiting_for_room();
        if turn::is_turn_of(self.address()) {
            drop(outbound);
        } else {
            wake_driver(outbound);
        }
        news.tell();
    }

    /// New limits that the driver has not seen.
    #[inline]
    pub(crate) fn take_raised(&self) -> Option<Arc<Config>> {
        if self.flags.load(Ordering::Acquire) & RAISED == 0 {
            return None;
        }
        let mut outbound = self.lock();
        let raised = outbound.take_raised();
        self.publish(&outbound);
        raised
    }

    /// What is logged until the guard is dropped belongs to this connection.
    #[inline]
    pub(crate) fn enter_span(&self) -> Option<EnteredSpan> {
        self.few.as_deref()?.span.as_ref().map(|span| span.clone().entered())
    }

    /// What tells this connection from others on its thread.
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Outbound> {
        // Under this lock nothing runs a user's code but a stream of theirs that is written to; what is queued is whole
        // frames, whoever panics.
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing waits, nobody has closed and nobody waits for a flush, seen without the lock.
    pub(crate) fn is_quiet(&self) -> bool {
        self.flags.load(Ordering::Acquire) & !MEMBER == 0
    }

    /// Whether something waits in the outbox, seen without the lock.
    pub(crate) fn is_queued(&self) -> bool {
        self.flags.load(Ordering::Acquire) & QUEUED != 0
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.flags.load(Ordering::Acquire) & CLOSING != 0
    }

    /// How many steps it holds, with what it shares with others: what a peer has not taken is what is held for it.
    pub(crate) fn held(&self) -> u32 {
        let out = self.lock().waiting_len() / STEP_BYTES;
        u32::try_from(out).unwrap_or(u32::MAX).saturating_add(self.held_in.load(Ordering::Relaxed))
    }

    /// Tells the budget how much of what was received waits.
    pub(crate) fn hold_in(&self, bytes: usize) {
        self.hold(&self.held_in, bytes);
    }

    fn hold(&self, held: &AtomicU32, bytes: usize) {
        let (before, after) = (held.load(Ordering::Relaxed), (bytes / STEP_BYTES) as u32);
        if before != after {
            held.store(after, Ordering::Relaxed);
            self.clock.budget().change(before, after);
        }
    }

    /// Makes the flags, and the budget, tell what is under the lock.
    pub(crate) fn publish(&self, outbound: &Outbound) {
        self.hold(&self.held_out, outbound.outbox.own_len());
        self.flags.store(Self::flags_of(outbound), Ordering::Release);
    }

    fn flags_of(outbound: &Outbound) -> u8 {
        let queued = if outbound.outbox.is_empty() { 0 } else { QUEUED };
        let closing = if outbound.is_closing() { CLOSING } else { 0 };
        let flushing = if outbound.is_flush_awaited() { FLUSHING } else { 0 };
        let held = if outbound.held().is_some() { HELD } else { 0 };
        let raised = if outbound.has_raised() { RAISED } else { 0 };
        let behind = if outbound.has_lanes() { BEHIND } else { 0 };
        let member = if outbound.membership.is_some() { MEMBER } else { 0 };
        queued | closing | flushing | held | raised | behind | member
    }

    /// Queues or corks a message.
    #[inline]
    pub(crate) fn try_send(&self, message: &Carried<'_>) -> Result<(), Refused> {
        let corked = if message.goes_by_reference() { None } else { self.try_cork(message.as_ref()) };
        match corked {
            Some(true) => Ok(()),
            Some(false) => Err(Refused::Full),
            None => self.try_queue(message),
        }
    }

    /// Corks a message, if it is this connection's turn on this thread and nothing waits. `Some(false)` if there is no room
    /// in the cork; `None` if it is to be [queued](Self::try_queue).
    #[inline]
    pub(crate) fn try_cork(&self, message: MessageRef<'_>) -> Option<bool> {
        // Each kind by itself: a payload goes there in registers, and a message through memory, which costs a small one as
        // much as all the rest of its way into the cork. Bench: 100 × 32 × 16 bytes.
        match message {
            MessageRef::Text(text) => self.cork(text),
            MessageRef::Binary(bytes) => self.cork(bytes),
        }
    }

    #[inline(never)]
    fn cork<'a>(&self, payload: impl Into<MessageRef<'a>>) -> Option<bool> {
        self.after_published();
        if !self.corks || !self.is_quiet() {
            return None;
        }
        turn::cork(self.address(), payload, self.outbox_bytes_max())
    }

    /// Queues a message that could not be corked.
    pub(crate) fn try_queue(&self, message: &Carried<'_>) -> Result<(), Refused> {
        let mut outbound = self.lock();
        if self.reads_for_callbacks() && turn::is_turn_of(self.address()) {
            outbound.push_from_callback(message, self.outbox_bytes_max())?;
        } else {
            outbound.push(message)?;
        }
        self.queued(outbound);
        Ok(())
    }

    /// Whether it is a client in event form: it reads on while others' messages wait, and what its callbacks send is
    /// counted apart.
    pub(super) fn reads_for_callbacks(&self) -> bool {
        self.form == Form::Events && self.side() == Side::Client
    }

    /// Publishes what was queued and lets the driver know, if it does not know already.
    #[inline]
    fn queued(&self, mut outbound: MutexGuard<'_, Outbound>) {
        // A driver that was told drains before it waits, and so does one that is having its turn.
        let driver_knows = self.flags.load(Ordering::Relaxed) & QUEUED != 0;
        if driver_knows {
            // One message more changes no flag: of many in a row, this is what each costs.
            debug_assert_eq!(self.flags.load(Ordering::Relaxed), Self::flags_of(&outbound));
            self.hold(&self.held_out, outbound.outbox.own_len());
        } else {
            self.publish(&outbound);
        }
        let sent = outbound.sent.take_due();
        if !driver_knows && !turn::is_turn_of(self.address()) {
            wake_driver(outbound);
        } else {
            drop(outbound);
        }
        counts::sent(sent);
    }

    /// Whether a Close of the core waits for the answers to the messages before it.
    pub(crate) fn holds_closes(&self) -> bool {
        self.form != Form::Events
    }

    /// The core closes, and its Close waits for the answers to the messages before it, until `until`. Those messages
    /// are in the inbox already: the reader may come for them at any moment, and release it if there are none.
    pub(crate) fn hold_close(&self, close: Close, first: Initiator, until: Time) {
        let mut outbound = self.lock();
        if !outbound.is_closing() && outbound.held().is_none() {
            outbound.hold(Held { close, first, until });
            self.publish(&outbound);
        }
    }

    /// Whether a Close of the core is held back, seen without the lock.
    pub(crate) fn is_held(&self) -> bool {
        self.flags.load(Ordering::Acquire) & HELD != 0
    }

    /// When the Close that is held back goes out at the latest.
    #[inline]
    pub(crate) fn held_until(&self) -> Option<Time> {
        if self.is_held() { self.lock().held().map(|held| held.until) } else { None }
    }

    /// Sends the Close that is held back, if there is one.
    pub(crate) fn release_close(&self) {
        let mut outbound = self.lock();
        if let Some(held) = outbound.take_held() {
            self.close_locked(outbound, held.close, held.first);
        }
    }

    /// Queues a Close; false if one was sent before, or the connection is over.
    pub(crate) fn close(&self, close: Close, first: Initiator) -> bool {
        self.after_published();
        let mut outbound = self.lock();
        if outbound.is_closing() {
            return false;
        }
        // The one that is held back was first.
        let (close, first) = match outbound.take_held() {
            Some(held) => (held.close, held.first),
            None => (close, first),
        };
        self.close_locked(outbound, close, first);
        true
    }

    fn close_locked(&self, mut outbound: MutexGuard<'_, Outbound>, close: Close, first: Initiator) {
        outbound.outbox.close(close, first);
        self.publish(&outbound);
        let news = outbound.take_waiting_for_room();
        if turn::is_turn_of(self.address()) {
            drop(outbound);
        } else {
            wake_driver(outbound);
        }
        news.tell();
    }

    /// Queues a Ping and returns where its latency will come.
    pub(crate) fn ping(&self) -> Option<oneshot::Receiver<Duration>> {
        let mut news = News::default();
        let mut outbound = self.lock();
        let latency = outbound.ping(&mut news)?;
        self.queued(outbound);
        news.tell();
        Some(latency)
    }

    /// A Pong came: it answers the Ping with its payload, and all before that one (RFC 6455, section 5.5.3).
    pub(crate) fn pong(&self, payload: &[u8]) {
        let news = self.lock().pong(payload);
        news.tell();
    }

    /// The core's answer to a Ping; only in the driver's turn.
    pub(crate) fn pong_out(&self, payload: &[u8]) {
        let pong_bytes_max = self.pong_bytes_max.load(Ordering::Relaxed) as usize;
        if self.corks && self.is_quiet() && turn::cork_pong(self.address(), payload, pong_bytes_max) {
            return;
        }
        self.reply(|outbound| outbound.outbox.pong(payload));
    }

    /// The core's keep-alive; only in the driver's turn.
    pub(crate) fn ping_out(&self, payload: &[u8]) {
        self.reply(|outbound| outbound.keep_alive(payload));
    }

    /// Moves what is corked into the outbox, for a driver that cannot write yet.
    pub(crate) fn queue_corked(&self, cork: &mut Cork, read: &[u8]) {
        let mut outbound = self.lock();
        outbound.outbox.prepend(cork, read);
        self.publish(&outbound);
    }

    fn reply(&self, reply: impl FnOnce(&mut Outbound)) {
        let mut outbound = self.lock();
        if outbound.over.is_none() {
            reply(&mut outbound);
            self.publish(&outbound);
        }
    }

    /// Queues a message and writes all that waits at once, from the caller's thread. Pull form only.
    pub(crate) fn send_directly(&self, message: &Carried<'_>) -> Result<(), Refused> {
        if self.form == Form::PullInTurn {
            self.try_send(message)?;
            if turn::is_turn_of(self.address()) {
                self.write_in_turn();
            }
            return Ok(());
        }
        self.after_published();
        let mut outbound = self.lock();
        outbound.push(message)?;
        let news = self.write_out(&mut outbound);
        self.publish(&outbound);
        let sent = outbound.sent.take_due();
        if outbound.outbox.is_empty() {
            drop(outbound);
        } else {
            wake_driver(outbound);
        }
        counts::sent(sent);
        news.tell();
        Ok(())
    }

    /// Writes once what is corked and what waits, in the driver's turn and before its own write: the handler may be about to
    /// compute. What the carrier does not take is the driver's.
    fn write_in_turn(&self) {
        let mut outbound = self.lock();
        outbound.outbox.note_message_sent();
        let mut news = News::default();
        turn::take_corked(|cork| news = self.write_out_with(cork, &mut outbound));
        self.publish(&outbound);
        drop(outbound);
        news.tell();
    }

    /// Where the news will come that all that is accepted now is with the kernel.
    pub(crate) fn flush(&self) -> Option<oneshot::Receiver<()>> {
        self.after_published();
        let mut news = News::default();
        let mut outbound = self.lock();
        let flushed = outbound.flush(&mut news)?;
        self.publish(&outbound);
        // Always by the driver, so that what it has corked at this moment counts too.
        wake_driver(outbound);
        news.tell();
        Some(flushed)
    }

    /// How the connection ended, or where to wait for that.
    pub(crate) fn over_or_wait(&self) -> Result<Over, OwnedNotified> {
        let mut outbound = self.lock();
        match &outbound.over {
            Some(over) => Ok((**over).clone()),
            None => Err(outbound.end()),
        }
    }

    /// Ready when the connection is over; for the socket as a sink.
    pub(crate) fn poll_over(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut outbound = self.lock();
        if outbound.over.is_some() {
            return Poll::Ready(());
        }
        let before = outbound.wait_as_sink(context.waker());
        drop(outbound);
        drop(before);
        Poll::Pending
    }

    /// Queues the message if there is room for it; otherwise returns where to wait for some.
    pub(crate) fn send_or_wait(&self, message: &Carried<'_>) -> Result<Option<OwnedNotified>, crate::Error> {
        self.after_published();
        let mut outbound = self.lock();
        match outbound.push(message) {
            Ok(()) => {
                self.queued(outbound);
                Ok(None)
            }
            Err(Refused::Full) => Ok(Some(outbound.room())),
            Err(Refused::Closed) => Err(outbound.end_so_far()),
        }
    }

    /// Ready when a message of any size would be taken.
    pub(crate) fn poll_room(&self, context: &mut Context<'_>) -> Poll<Result<(), crate::Error>> {
        let mut outbound = self.lock();
        if outbound.is_closing() {
            return Poll::Ready(Err(outbound.end_so_far()));
        }
        if outbound.outbox.len() * 2 <= self.outbox_bytes_max() {
            return Poll::Ready(Ok(()));
        }
        let before = outbound.wait_as_sink(context.waker());
        drop(outbound);
        drop(before);
        Poll::Pending
    }

    /// Queues a message for which [`poll_room`](Self::poll_room) has promised room.
    pub(crate) fn send_promised(&self, message: &Carried<'_>) -> Result<(), crate::Error> {
        self.after_published();
        let mut outbound = self.lock();
        if outbound.is_closing() {
            return Err(outbound.end_so_far());
        }
        outbound.push_regardless(message);
        self.queued(outbound);
        Ok(())
    }

    /// Writes what waits, and is ready when nothing does.
    pub(crate) fn poll_empty(&self, context: &mut Context<'_>) -> Poll<Result<(), crate::Error>> {
        let mut outbound = self.lock();
        if outbound.over.is_some() {
            return Poll::Ready(Err(outbound.end_so_far()));
        }
        let is_our_turn = turn::is_turn_of(self.address());
        let mut news = News::default();
        if self.form == Form::Pull {
            news = self.write_out(&mut outbound);
        } else if is_our_turn {
            // The driver writes next, and tells when it has if it finds all of it here.
            turn::take_corked(|cork| {
                outbound.lengthen_flushes(cork.len());
                outbound.outbox.prepend(cork, &[]);
            });
        }
        let is_empty = outbound.outbox.is_empty();
        let before = if is_empty { None } else { outbound.wait_as_sink(context.waker()) };
        self.publish(&outbound);
        if is_empty || is_our_turn {
            drop(outbound);
        } else {
            wake_driver(outbound);
        }
        news.tell();
        drop(before);
        if is_empty { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Writes once, from the user's thread. Returns who waits for that.
    pub(super) fn write_out(&self, outbound: &mut Outbound) -> News {
        self.write_out_with(&mut Cork::new(), outbound)
    }

    /// The same, with what is corked before it.
    fn write_out_with(&self, cork: &mut Cork, outbound: &mut Outbound) -> News {
        let Some(transport) = outbound.transport.clone() else { return News::default() };
        // An error is the driver's to find: what could not be written makes it try.
        let written = match outbound.write(cork, &[], |bytes| Poll::Ready(transport.try_write(bytes))) {
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        outbound.left(written)
    }

    /// If the connection is subscribed to something: has what was published before come before what is sent now.
    #[inline(always)]
    fn after_published(&self) {
        if self.flags.load(Ordering::Acquire) & MEMBER != 0 {
            self.deliver_published();
        }
    }

    #[inline(never)]
    fn deliver_published(&self) {
        if let Some(mailroom) = self.clock.mailroom() {
            mailroom.deliver_first();
        }
    }

    /// The end: marks the connection as over. Returns who is to be told, when nothing counts it any more.
    pub(crate) fn finish(&self, over: Over) -> Ended {
        let mut outbound = self.lock();
        let ended = outbound.finish(over);
        self.publish(&outbound);
        drop(outbound);
        self.hold_in(0);
        if let Some(mailroom) = self.clock.mailroom()
            && !ended.topics.is_empty()
        {
            mailroom.leave(self, &ended.topics);
        }
        ended
    }
}

/// Wakes the driver when the lock is free.
pub(super) fn wake_driver(outbound: MutexGuard<'_, Outbound>) {
    let driver = outbound.driver.clone();
    drop(outbound);
    if let Some(driver) = driver {
        driver.wake();
    }
}

#[cfg(all(test, target_pointer_width = "64", not(sotong_shuttle)))]
mod tests {
    use std::future::Ready;

    use super::*;

    /// Each fills a block of 256 bytes: one field more, and every connection takes 64 or 256 more.
    #[test]
    fn what_every_connection_has_fits_its_block() {
        assert!(size_of::<Shared>() <= 240, "it takes {}", size_of::<Shared>());
        // tokio's part of a task is 104 bytes.
        let driver = size_of::<crate::driver::Driver<crate::driver::inbox::InboxSink>>();
        assert!(driver <= 152, "the driver takes {driver}");
        let with_handler = size_of::<crate::driver::Driver<crate::handler::HandlerSink<Ready<()>>>>();
        assert!(with_handler <= 152, "the driver takes {with_handler}");
    }
}
