//! What the core says by itself, on its way out.

use std::time::Duration;

use sotong_proto::{Close, Initiator, Replies, Time};

use super::shared::Shared;

/// How long the core's Close waits for a pulling application to answer the messages that came before it.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// What the core has to say, on its way out: pongs to the cork where that is allowed, the rest under the lock.
pub(super) struct Answers<'a> {
    shared: &'a Shared,
    now: Time,
    /// A Close that is to be held back, but only when the reader can see the messages that came before it.
    close: Option<(Close, Initiator)>,
}

impl<'a> Answers<'a> {
    pub(super) fn new(shared: &'a Shared, now: Time) -> Self {
        Answers { shared, now, close: None }
    }

    /// The messages of this read are handed over.
    pub(super) fn end(self) {
        if let Some((close, first)) = self.close {
            self.shared.hold_close(close, first, self.now + LAST_ANSWERS);
        }
    }
}

impl Replies for Answers<'_> {
    fn pong(&mut self, payload: &[u8]) {
        self.shared.pong_out(payload);
    }

    fn ping(&mut self, payload: &[u8]) {
        self.shared.ping_out(payload);
    }

    fn close(&mut self, close: Close, first: Initiator) {
        if self.shared.holds_closes() {
            self.close.get_or_insert((close, first));
        } else {
            self.shared.close(close, first);
        }
    }

    fn take_message_sent(&mut self) -> bool {
        self.shared.lock().outbox.take_message_sent()
    }
}
