//! What a worker thread lends to the driver that has its turn: the buffer that is read into, and the cork that
//! gathers answers.

use std::cell::{Cell, RefCell};

use sotong_proto::{Cork, MessageRef};

use crate::counts::Tally;

/// How much one read takes at most. 256 KiB would do about as well; 128 KiB is much worse for messages of 64 KiB.
pub(crate) const SCRATCH_BYTES: usize = 512 * 1024;
/// From this many bytes on a payload that is sent back as it was read is not copied, but lent to the write. Below it the
/// copy is cheaper than two more slices.
const LENT_BYTES_MIN: usize = 8 * 1024;
/// How much room the cork keeps between turns.
const CORK_ROOM_BYTES: usize = SCRATCH_BYTES;

#[cfg(not(sotong_shuttle))]
thread_local! {
    static TURN: Turn = const { Turn::new() };
}

// In a model each task is a thread of its own.
#[cfg(sotong_shuttle)]
shuttle::thread_local! {
    static TURN: Turn = Turn::new();
}

/// Whose turn it is on this thread, what it has corked, and what it reads into.
struct Turn {
    /// The address of the connection's shared part; 0 when it is nobody's turn.
    connection: Cell<usize>,
    cork: RefCell<Cork>,
    scratch: RefCell<Vec<u8>>,
    /// While callbacks borrow from the scratch: where it is, and how long.
    borrowed: Cell<(usize, usize)>,
    /// Messages that were received and corked on this thread, of all connections, and not told yet. Here and not in
    /// the driver, whose task just fits its block of memory.
    received: Cell<Tally>,
    sent: Cell<Tally>,
}

impl Turn {
    const fn new() -> Turn {
        Turn {
            connection: Cell::new(0),
            cork: RefCell::new(Cork::new()),
            scratch: RefCell::new(Vec::new()),
            borrowed: Cell::new((0, 0)),
            received: Cell::new(Tally::NONE),
            sent: Cell::new(Tally::NONE),
        }
    }
}

/// A driver's turn. While it lasts, what its own callbacks send goes to the cork, without a lock.
pub(crate) struct Corked<'a> {
    turn: &'a Turn,
    connection_before: usize,
    cork_before: Cork,
    /// What callbacks borrow from when one of them polls another driver: that one has a buffer of its own.
    borrowed_before: (usize, usize),
}

/// Runs a turn of the connection.
#[inline]
pub(crate) fn begin<R>(connection: usize, run: impl FnOnce(&Corked<'_>) -> R) -> R {
    TURN.with(|turn| {
        let corked = Corked {
            turn,
            connection_before: turn.connection.replace(connection),
            borrowed_before: turn.borrowed.take(),
            // Empty unless a callback polls another driver.
            cork_before: if turn.cork.borrow().is_empty() { Cork::new() } else { turn.cork.take() },
        };
        run(&corked)
    })
}

impl Turn {
    /// Where in the scratch the bytes stand, if they do.
    fn place_in_scratch(&self, bytes: &[u8]) -> Option<usize> {
        let (address, length) = self.borrowed.get();
        let start = bytes.as_ptr().addr().checked_sub(address)?;
        (start + bytes.len() <= length).then_some(start)
    }

    /// Corks a message; lends it if it is large and stands in the scratch.
    #[inline]
    fn cork(&self, cork: &mut Cork, message: MessageRef<'_>) {
        let is_lent = message.as_bytes().len() >= LENT_BYTES_MIN
            && self.place_in_scratch(message.as_bytes()).is_some_and(|start| cork.send_lent(message, start));
        if !is_lent {
            cork.send(message);
        }
    }
}

impl Corked<'_> {
    /// Hands what was corked to `write`, with the buffer in which lent payloads stand. What is lent must be gone before
    /// the next read.
    #[inline]
    pub(crate) fn flush<R>(&self, write: impl FnOnce(&mut Cork, &[u8]) -> R) -> R {
        let mut cork = self.turn.cork.borrow_mut();
        // Within a read the scratch is taken; but what is lent from it is written after that.
        if cork.is_lent() { write(&mut cork, &self.turn.scratch.borrow()) } else { write(&mut cork, &[]) }
    }

    /// Forgets what was corked, because all of it is written; false if a Pong is still to come behind it, and it stays.
    #[inline]
    pub(crate) fn forget(&self) -> bool {
        let mut cork = self.turn.cork.borrow_mut();
        let is_all = !cork.is_postponed();
        if is_all {
            cork.clear();
        }
        is_all
    }

    /// Whether it is time to tell how many messages were received and corked on this thread.
    #[inline]
    pub(crate) fn is_tally_due(&self) -> bool {
        self.turn.received.get().is_due() || self.turn.sent.get().is_due()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.turn.cork.borrow().len()
    }

    /// Lends the thread's read buffer to `read`.
    #[inline]
    pub(crate) fn with_scratch<R>(&self, read: impl FnOnce(&mut [u8]) -> R) -> R {
        let Ok(mut scratch) = self.turn.scratch.try_borrow_mut() else {
            // A callback polls another driver. That one gets a buffer of its own.
            return read(&mut vec![0; SCRATCH_BYTES]);
        };
        if scratch.is_empty() {
            // Zeroed by the operating system page by page, as it is used: an idle worker pays for what it read once.
            *scratch = vec![0; SCRATCH_BYTES];
        }
        self.turn.borrowed.set((scratch.as_ptr().addr(), scratch.len()));
        let result = read(&mut scratch);
        self.turn.borrowed.set((0, 0));
        result
    }
}

impl Drop for Corked<'_> {
    #[inline]
    fn drop(&mut self) {
        self.turn.connection.set(self.connection_before);
        self.turn.borrowed.set(self.borrowed_before);
        let mut cork = self.turn.cork.borrow_mut();
        // What a panic left behind belongs to a connection that is over.
        cork.clear();
        if self.cork_before.is_empty() {
            cork.shrink(CORK_ROOM_BYTES);
        } else {
            *cork = std::mem::take(&mut self.cork_before);
        }
    }
}

/// Whether this thread runs a callback of the connection.
pub(crate) fn is_turn_of(connection: usize) -> bool {
    // At a thread's end what is kept for it may be gone before the last sender is.
    TURN.try_with(|turn| turn.connection.get() == connection).unwrap_or(false)
}

/// Whether no driver has its turn on this thread.
pub(crate) fn is_nobodys() -> bool {
    is_turn_of(0)
}

/// Runs what is no part of the turn. A waker may run anything at once, also a task that sends: that is to be queued
/// and to wake the driver, whose turn may be past its last write.
pub(crate) fn outside(run: impl FnOnce()) {
    let change = |connection| TURN.try_with(|turn| turn.connection.replace(connection)).unwrap_or(0);
    let connection = change(0);
    run();
    change(connection);
}

/// Corks a message, if it is the connection's turn on this thread. `None` if it is not, `Some(false)` if there is
/// no room.
#[inline]
pub(crate) fn cork<'a>(
    connection: usize,
    payload: impl Into<MessageRef<'a>>,
    bytes_max: usize,
) -> Option<bool> {
    TURN.try_with(|turn| {
        let message = payload.into();
        if turn.connection.get() != connection {
            return None;
        }
        let mut cork = turn.cork.borrow_mut();
        let more = message.as_bytes().len() + sotong_proto::FRAME_HEADER_BYTES_MAX;
        if !cork.is_empty() && cork.len() + more > bytes_max {
            return Some(false);
        }
        turn.cork(&mut cork, message);
        let mut sent = turn.sent.get();
        sent.count(message.as_bytes().len());
        turn.sent.set(sent);
        Some(true)
    })
    .ok()
    .flatten()
}

/// Lends what is corked on this thread, none of which is lent: for the application of the connection whose turn it is.
pub(crate) fn take_corked(take: impl FnOnce(&mut Cork)) {
    // At a thread's end nobody has a turn.
    let _ = TURN.try_with(|turn| take(&mut turn.cork.borrow_mut()));
}

/// Counts what one read has brought.
#[inline]
pub(crate) fn count_received(received: Tally) {
    TURN.with(|turn| {
        let mut before = turn.received.get();
        before.add(received);
        turn.received.set(before);
    });
}

/// What was received and what was corked on this thread, and not told yet.
pub(crate) fn take_tallies() -> (Tally, Tally) {
    TURN.try_with(|turn| (turn.received.take(), turn.sent.take())).unwrap_or_default()
}

/// Corks a Pong; false if it is not the connection's turn on this thread.
pub(crate) fn cork_pong(connection: usize, payload: &[u8], pong_bytes_max: usize) -> bool {
    TURN.with(|turn| {
        let is_turn = turn.connection.get() == connection;
        if is_turn {
            turn.cork.borrow_mut().pong(payload, pong_bytes_max);
        }
        is_turn
    })
}
