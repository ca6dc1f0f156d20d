//! The two handles of a reconnecting client.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sotong_proto::{CloseCode, Message};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::ending::End;
use super::queue::{Counters, Queue, Queued};
use super::settings::{Reconnect, State};
use crate::error::TrySendError;
use crate::outgoing::Outgoing;
use crate::outgoing::sealed::Carried;
use crate::sender::Sender;

/// With what to close.
pub(super) type Farewell = Option<(CloseCode, String)>;

/// What the handles and the task share.
#[derive(Debug)]
pub(super) struct Shared {
    inside: Mutex<Inside>,
    /// Something waits to be sent.
    pub(super) work: Notify,
    /// There is room in the queue, or never will be; or something was confirmed, or given up.
    room: Notify,
    pub(super) farewell: watch::Sender<Farewell>,
}

#[derive(Debug)]
pub(super) struct Inside {
    pub(super) queue: Queue,
    pub(super) state: State,
    /// The connection that is open.
    pub(super) connection: Option<Sender>,
}

impl Shared {
    pub(super) fn new(settings: &Reconnect) -> Self {
        let queue = Queue::new(settings.limits, settings.overflow);
        Shared {
            inside: Mutex::new(Inside { queue, state: State::Connecting { number: 0 }, connection: None }),
            work: Notify::new(),
            room: Notify::new(),
            farewell: watch::Sender::new(None),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inside> {
        // Nothing of ours panics while it is held; if it did, the counters are still the best there is.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever waits for room looks again.
    pub(super) fn make_room(&self) {
        self.room.notify_waiters();
    }

    fn end(&self) -> Option<End> {
        match &self.lock().state {
            State::Ended(end) => Some(end.clone()),
            _ => None,
        }
    }

    fn accept(&self, queued: Queued) -> Result<(), Refusal> {
        let is_leaving = self.farewell.borrow().is_some();
        let mut inside = self.lock();
        if is_leaving || matches!(inside.state, State::Ended(_)) {
            return Err(Refusal::Closed(queued));
        }
        inside.queue.accept(queued).map_err(Refusal::Full)?;
        drop(inside);
        self.work.notify_one();
        Ok(())
    }

    fn leave(&self, code: CloseCode, reason: &str) {
        self.farewell.send_if_modified(|farewell| {
            let is_first = farewell.is_none();
            farewell.get_or_insert_with(|| (code, reason.to_owned()));
            is_first
        });
        self.make_room();
    }
}

/// Why a message is not accepted.
enum Refusal {
    Full(Queued),
    Closed(Queued),
}

fn queued(message: impl Outgoing) -> Queued {
    let carried = message.carry();
    let is_uncompressed = matches!(carried, Carried::OwnedUncompressed(_) | Carried::BorrowedUncompressed(_));
    Queued { message: carried.into_message(), is_uncompressed }
}

/// A connection that is made again when it is lost. See [What is promised](super).
///
/// Take what comes: what nobody takes holds up the connection, as on a [`WebSocket`](crate::WebSocket). Should it be lost
/// then, that is noticed, unless so much waits that nothing was read any more
/// ([`Config::inbox_bytes_max`](crate::Config::inbox_bytes_max)): then when a write fails. What it had brought is
/// kept and goes first, and the next connection is made meanwhile, as long as no more is kept than
/// [`Reconnect::with_kept_bytes_max`] allows.
///
/// Dropping it closes with 1000, as [`close`](Self::close) does, in the background.
#[derive(Debug)]
pub struct ReconnectingSocket {
    sender: ReconnectingSender,
    inbox: mpsc::Receiver<Message>,
    task: JoinHandle<()>,
    is_over: bool,
}

impl ReconnectingSocket {
    pub(super) fn new(shared: Arc<Shared>, inbox: mpsc::Receiver<Message>, task: JoinHandle<()>) -> Self {
        ReconnectingSocket { sender: ReconnectingSender { shared }, inbox, task, is_over: false }
    }

    /// The next message, of whatever connection it comes from; `None` when the client ended regularly: this end closed,
    /// or the peer did with 1000 and no hook wanted to go on. After the end it returns `None` again.
    ///
    /// # Errors
    /// Once, when the client has given up. Messages that came before are returned first.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, no message is lost: the next call returns it.
    pub async fn recv(&mut self) -> Result<Option<Message>, End> {
        if let Some(message) = self.inbox.recv().await {
            return Ok(Some(message));
        }
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(None);
        }
        match self.sender.shared.end().unwrap_or(End::Aborted) {
            end if end.is_regular() => Ok(None),
            end => Err(end),
        }
    }

    /// Accepts a message, as soon as there is room for it. See [`ReconnectingSender::send`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there: dropped before it is ready, the message was not accepted.
    pub async fn send(&self, message: impl Outgoing) -> Result<(), TrySendError> {
        self.sender.send(message).await
    }

    /// Accepts a message, or gives it back. See [`ReconnectingSender::try_send`].
    ///
    /// # Errors
    /// As there.
    pub fn try_send(&self, message: impl Outgoing) -> Result<(), TrySendError> {
        self.sender.try_send(message)
    }

    /// A sender for other tasks.
    pub fn sender(&self) -> ReconnectingSender {
        self.sender.clone()
    }

    /// What it does now.
    pub fn state(&self) -> State {
        self.sender.state()
    }

    /// What became of the messages.
    pub fn counters(&self) -> Counters {
        self.sender.counters()
    }

    /// Closes: takes no more messages, gives those that were accepted the time of
    /// [`Reconnect::with_close_timeout`] to be confirmed, and closes the connection. While there is none, it ends at
    /// once, and so it does when that one is lost meanwhile. What was not confirmed is counted, see the counters that it
    /// returns; where that matters, wait for [`ReconnectingSender::settled`] first.
    ///
    /// Messages that were not taken, and those that still come, are dropped. [`ReconnectingSender::close`] leaves them to
    /// be taken.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it closes all the same.
    pub async fn close(mut self, code: CloseCode, reason: &str) -> (End, Counters) {
        self.sender.close(code, reason);
        self.inbox.close();
        // An error is that it panicked, which its state says, too.
        let _ = (&mut self.task).await;
        (self.sender.shared.end().unwrap_or(End::Aborted), self.counters())
    }
}

impl Drop for ReconnectingSocket {
    fn drop(&mut self) {
        self.sender.close(CloseCode::NORMAL, "");
    }
}

/// The sending end of a [`ReconnectingSocket`], for any task. A clone costs a counter.
#[derive(Clone)]
pub struct ReconnectingSender {
    shared: Arc<Shared>,
}

impl ReconnectingSender {
    /// Accepts a message, as soon as there is room in the queue, whether there is a connection or not.
    ///
    /// `Ok` is the promise that it goes out in its turn, or is counted: see [What is promised](super).
    ///
    /// # Errors
    /// When the client is closing or over. The message comes back.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the message was not accepted, and nothing of it is sent.
    pub async fn send(&self, message: impl Outgoing) -> Result<(), TrySendError> {
        let mut queued = queued(message);
        loop {
            let mut room = std::pin::pin!(self.shared.room.notified());
            // Before looking: room that comes in between is not missed.
            room.as_mut().enable();
            queued = match self.shared.accept(queued) {
                Ok(()) => return Ok(()),
                Err(Refusal::Closed(queued)) => return Err(TrySendError::Closed(queued.message)),
                Err(Refusal::Full(queued)) => queued,
            };
            room.await;
        }
    }

    /// Accepts a message, or gives it back.
    ///
    /// # Errors
    /// When the queue is full, or the client is closing or over.
    pub fn try_send(&self, message: impl Outgoing) -> Result<(), TrySendError> {
        self.shared.accept(queued(message)).map_err(|refusal| match refusal {
            Refusal::Full(queued) => TrySendError::Full(queued.message),
            Refusal::Closed(queued) => TrySendError::Closed(queued.message),
        })
    }

    /// Ready when nothing that was accepted waits or is unconfirmed, or the client is over: all is then in one of the
    /// other [`Counters`].
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing is lost: it only waits.
    pub async fn settled(&self) {
        loop {
            let mut change = std::pin::pin!(self.shared.room.notified());
            change.as_mut().enable();
            if self.shared.lock().queue.is_empty() {
                return;
            }
            change.await;
        }
    }

    /// Closes, as [`ReconnectingSocket::close`] does, and does not wait. The first call counts.
    ///
    /// What has come and what still comes is for [`recv`](ReconnectingSocket::recv), all of it, until that returns the
    /// end. While nobody takes it, it holds up the connection as before: when no more is read, confirmations are not seen
    /// either, and the closing waits for them as long as [`Reconnect::with_close_timeout`] says.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.shared.leave(code, reason);
    }

    /// The connection that is open, if one is: to see its peer, what was agreed on, how long a Ping takes.
    ///
    /// What is sent with it is sent on this connection or never: it is neither queued nor counted. It stays what it is when
    /// the client has another one.
    pub fn connection(&self) -> Option<Sender> {
        self.shared.lock().connection.clone()
    }

    /// What the client does now.
    pub fn state(&self) -> State {
        self.shared.lock().state.clone()
    }

    /// What became of the messages.
    pub fn counters(&self) -> Counters {
        self.shared.lock().queue.counters()
    }
}

impl fmt::Debug for ReconnectingSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = self.shared.lock();
        f.debug_struct("ReconnectingSender")
            .field("state", &inside.state)
            .field("counters", &inside.queue.counters())
            .finish()
    }
}
