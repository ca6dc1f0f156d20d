//! Received messages that wait for a pulling application.
//!
//! The driver gathers the messages of one read and hands them over under one lock; the reader takes all that is
//! there and works through it without a lock.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
// The driver's alone, so the models of the hand-over need not look at it.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use sotong_proto::{Message, MessageRef};

use super::Sink;
use super::outbound::Over;
use crate::error::Error;
use crate::sender::Sender;
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// What a message costs besides its payload: its place in the queue, and what an allocator adds to the smallest block.
pub(crate) const MESSAGE_BYTES: usize = size_of::<Message>() + 32;
/// A spare queue with room for more messages than this is not kept.
const SPARE_ROOM: usize = 4096;

thread_local! {
    /// The messages of the read at hand, and what they cost. Empty between reads, with room: a busy connection
    /// need not ask the allocator for each batch, and an idle one keeps none.
    static GATHERED: RefCell<(VecDeque<Message>, usize)> = const { RefCell::new((VecDeque::new(), 0)) };
}

/// Keeps the room of an empty queue for the next batch on this thread.
fn put_spare(queue: VecDeque<Message>) {
    GATHERED.with_borrow_mut(|(gathered, _)| {
        if gathered.capacity() == 0 && queue.capacity() <= SPARE_ROOM {
            *gathered = queue;
        }
    });
}

pub(crate) struct Inbox {
    state: Mutex<State>,
    bytes_max: usize,
    /// What waited after the last hand-over; the reader may have taken it since. Of the driver alone: here, because its task
    /// has no room for it.
    handed_over: AtomicUsize,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Message>,
    /// What the messages cost.
    bytes: usize,
    reader: Option<Waker>,
    /// The driver has stopped reading until the reader takes what is here.
    paused: Option<Waker>,
    /// The reader works through a batch; it is through when it comes back for more.
    is_reading: bool,
    reader_gone: bool,
    /// Nothing more will come.
    is_over: bool,
}

/// What a reader finds.
pub(crate) enum Taken {
    Messages,
    /// Nothing, and nothing will come.
    Over,
}

impl Inbox {
    pub(crate) fn new(bytes_max: usize) -> Arc<Inbox> {
        // With no room at all nothing would ever be read.
        Arc::new(Inbox {
            state: Mutex::default(),
            bytes_max: bytes_max.max(1),
            handed_over: AtomicUsize::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock runs a user's code.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes everything that is there into `batch`, which is empty.
    pub(crate) fn poll_take(&self, batch: &mut VecDeque<Message>, context: &mut Context<'_>) -> Poll<Taken> {
        let mut state = self.lock();
        state.is_reading = !state.messages.is_empty();
        if state.messages.is_empty() {
            if state.is_over {
                return Poll::Ready(Taken::Over);
            }
            if !state.reader.as_ref().is_some_and(|reader| reader.will_wake(context.waker())) {
                state.reader = Some(context.waker().clone());
            }
            drop(state);
            put_spare(std::mem::take(batch));
            return Poll::Pending;
        }
        std::mem::swap(&mut state.messages, batch);
        state.bytes = 0;
        let driver = state.paused.take();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        Poll::Ready(Taken::Messages)
    }

    /// Whether nothing waits for the reader.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().messages.is_empty()
    }

    /// The reader goes: what is here and what still comes is nobody's.
    pub(crate) fn leave(&self) {
        let mut state = self.lock();
        state.reader_gone = true;
        let messages = std::mem::take(&mut state.messages);
        state.bytes = 0;
        let (_reader, driver) = (state.reader.take(), state.paused.take());
        drop(state);
        drop(messages);
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

/// The driver's end.
impl Inbox {
    /// Takes a message that has come; whether there is room for another one.
    #[inline]
    pub(crate) fn gather(&self, message: MessageRef<'_>) -> bool {
        GATHERED.with_borrow_mut(|(gathered, bytes)| {
            *bytes += message.as_bytes().len() + MESSAGE_BYTES;
            gathered.push_back(message.to_message());
            self.waiting_bytes().saturating_add(*bytes) < self.bytes_max
        })
    }

    /// Hands over what was gathered. A reader that `driver` would wake is not woken: it is polled by the driver next.
    pub(crate) fn hand_over(&self, driver: Option<&Waker>) {
        let (mut gathered, bytes) = GATHERED.take();
        if gathered.is_empty() {
            put_spare(gathered);
            return;
        }
        let mut state = self.lock();
        if !state.reader_gone {
            if state.messages.is_empty() {
                std::mem::swap(&mut state.messages, &mut gathered);
            } else {
                state.messages.append(&mut gathered);
            }
            state.bytes += bytes;
        }
        self.set_waiting_bytes(state.bytes);
        let is_ours =
            driver.is_some_and(|driver| state.reader.as_ref().is_some_and(|reader| reader.will_wake(driver)));
        let reader = if is_ours { None } else { state.reader.take() };
        drop(state);
        gathered.clear();
        put_spare(gathered);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Whether the reader has had its chance to answer every message.
    pub(crate) fn is_through(&self) -> bool {
        let state = self.lock();
        state.reader_gone || state.messages.is_empty() && !state.is_reading
    }

    /// How many bytes wait for the reader.
    pub(crate) fn held_bytes(&self) -> usize {
        // Nothing waits after the last hand-over: nothing waits now.
        if self.waiting_bytes() == 0 { 0 } else { self.lock().bytes }
    }

    /// How many bytes may come; at 0, `driver` is woken when there is room again.
    pub(crate) fn room(&self, driver: &Waker) -> usize {
        if self.waiting_bytes() >= self.bytes_max {
            let mut state = self.lock();
            self.set_waiting_bytes(state.bytes);
            if state.bytes >= self.bytes_max {
                if !state.paused.as_ref().is_some_and(|paused| paused.will_wake(driver)) {
                    state.paused = Some(driver.clone());
                }
                return 0;
            }
        }
        self.bytes_max - self.waiting_bytes()
    }

    /// Nothing more will come.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.is_over = true;
        let (reader, _driver) = (state.reader.take(), state.paused.take());
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn waiting_bytes(&self) -> usize {
        self.handed_over.load(Ordering::Relaxed)
    }

    fn set_waiting_bytes(&self, bytes: usize) {
        self.handed_over.store(bytes, Ordering::Relaxed);
    }
}

/// What stands behind the message that filled the inbox, as it came from the network. Small messages cost many times their
/// bytes there, so one read may bring more of them than there is room for. Most connections never have any.
#[derive(Default)]
pub(crate) struct Unread(Option<Box<Box<[u8]>>>);

impl Unread {
    pub(crate) fn keep(&mut self, unread: &[u8]) {
        if !unread.is_empty() {
            self.0 = Some(Box::new(unread.into()));
        }
    }

    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        self.0.take().map(|unread| unread.into_vec())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |unread| unread.len())
    }
}

/// The owner of a connection whose reader is a task of its own.
pub(crate) struct InboxSink {
    inbox: Arc<Inbox>,
    unread: Unread,
}

impl InboxSink {
    pub(crate) fn new(inbox: Arc<Inbox>) -> Self {
        InboxSink { inbox, unread: Unread::default() }
    }
}

impl Sink for InboxSink {
    fn open(&mut self, _socket: &Sender) {}

    #[inline]
    fn message(&mut self, _socket: &Sender, message: MessageRef<'_>) -> bool {
        self.inbox.gather(message)
    }

    fn keep_unread(&mut self, unread: &[u8]) {
        self.unread.keep(unread);
    }

    fn take_unread(&mut self) -> Option<Vec<u8>> {
        self.unread.take()
    }

    fn turn_ended(&mut self, driver: Option<&Waker>) {
        self.inbox.hand_over(driver);
    }

    fn is_through(&self) -> bool {
        self.inbox.is_through()
    }

    fn held_bytes(&self) -> usize {
        self.inbox.held_bytes() + self.unread.len()
    }

    fn room(&mut self, driver: &Waker) -> usize {
        self.inbox.room(driver)
    }

    fn error(&mut self, _socket: &Sender, _error: &Error) {}

    fn close(&mut self, _over: &Over) {
        self.inbox.end();
    }
}
