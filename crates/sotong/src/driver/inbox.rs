//! Received messages that wait for a pulling application.
//!
//! The driver gathers the messages of one read and hands them over under one lock; the reader takes all that is
//! there and works through it without a lock.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use sotong_proto::{Message, MessageRef};

use super::Sink;
use super::shared::Over;
use crate::error::Error;
use crate::sender::Sender;

/// What a message costs besides its payload: its place in the queue.
const MESSAGE_BYTES: usize = size_of::<Message>();
/// A spare queue with room for more messages than this is not kept.
const SPARE_ROOM: usize = 4096;

thread_local! {
    /// An empty queue with room, so that a busy connection need not ask the allocator for each batch, and an idle
    /// one keeps none.
    static SPARE: Cell<VecDeque<Message>> = const { Cell::new(VecDeque::new()) };
}

fn put_spare(queue: VecDeque<Message>) {
    debug_assert!(queue.is_empty(), "a spare queue holds no messages");
    if (1..=SPARE_ROOM).contains(&queue.capacity()) {
        SPARE.set(queue);
    }
}

#[derive(Default)]
pub(crate) struct Inbox(Mutex<State>);

#[derive(Default)]
struct State {
    messages: VecDeque<Message>,
    /// What the messages cost.
    bytes: usize,
    reader: Option<Waker>,
    /// The driver has stopped reading until the reader takes what is here.
    paused: Option<Waker>,
    reader_gone: bool,
    over: Option<Over>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock runs a user's code.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes everything that is there into `batch`, which is empty, or the end if there is nothing and will not be.
    pub(crate) fn poll_take(
        &self,
        batch: &mut VecDeque<Message>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Over>> {
        let mut state = self.lock();
        if state.messages.is_empty() {
            if let Some(over) = &state.over {
                return Poll::Ready(Some(over.clone()));
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
        Poll::Ready(None)
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

/// The driver's end of the inbox.
pub(crate) struct InboxSink {
    inbox: Arc<Inbox>,
    /// The messages of the read at hand.
    gathered: VecDeque<Message>,
    gathered_bytes: usize,
    /// What waited after the last hand-over; the reader may have taken it since.
    waiting_bytes: usize,
    bytes_max: usize,
}

impl InboxSink {
    pub(crate) fn new(inbox: Arc<Inbox>, bytes_max: usize) -> Self {
        InboxSink { inbox, gathered: VecDeque::new(), gathered_bytes: 0, waiting_bytes: 0, bytes_max }
    }
}

impl Sink for InboxSink {
    fn open(&mut self, _socket: &Sender) {}

    #[inline]
    fn message(&mut self, _socket: &Sender, message: MessageRef<'_>) {
        self.gathered_bytes += message.as_bytes().len() + MESSAGE_BYTES;
        if self.gathered.capacity() == 0 {
            self.gathered = SPARE.take();
        }
        self.gathered.push_back(message.to_message());
    }

    fn turn_ended(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let mut state = self.inbox.lock();
        if state.reader_gone {
            self.gathered.clear();
            self.gathered_bytes = 0;
            return;
        }
        if state.messages.is_empty() {
            std::mem::swap(&mut state.messages, &mut self.gathered);
        } else {
            state.messages.append(&mut self.gathered);
        }
        state.bytes += std::mem::take(&mut self.gathered_bytes);
        self.waiting_bytes = state.bytes;
        let reader = state.reader.take();
        drop(state);
        put_spare(std::mem::take(&mut self.gathered));
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn room(&mut self, driver: &Waker) -> usize {
        if self.waiting_bytes >= self.bytes_max {
            let mut state = self.inbox.lock();
            self.waiting_bytes = state.bytes;
            if self.waiting_bytes >= self.bytes_max {
                if !state.paused.as_ref().is_some_and(|paused| paused.will_wake(driver)) {
                    state.paused = Some(driver.clone());
                }
                return 0;
            }
        }
        self.bytes_max - self.waiting_bytes
    }

    fn error(&mut self, _socket: &Sender, _error: &Error) {}

    fn close(&mut self, over: &Over) {
        self.turn_ended();
        let mut state = self.inbox.lock();
        state.over = Some(over.clone());
        let (reader, _driver) = (state.reader.take(), state.paused.take());
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}
