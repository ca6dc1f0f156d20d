//! How a connection comes to its end, and how everybody hears of it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Context;

use sotong_proto::{CarrierState, Close, CloseCode, Initiator, Time};

use super::answers::Answers;
use super::outbound::Over;
use super::turn::Corked;
use super::{Driver, Sink};
use crate::counts;
use crate::error::Error;

/// How the carrier came to its end.
pub(super) enum End {
    /// The peer's direction ended regularly.
    Regular,
    /// We give it up: a deadline has passed, or there is nothing more to wait for.
    Dropped,
    Failed(io::Error),
}

impl<S: Sink> Driver<S> {
    /// Closes, because the server's connections hold too much together and this one holds much of it. True if
    /// there is no point in telling the peer, who does not take what was said before.
    pub(super) fn give_way(&mut self, unsent: usize, now: Time) -> bool {
        if self.connection.wants_input() {
            let error = sotong_proto::Error::from(self.shared().clock.budget().give_way());
            let mut answers = Answers::new(self.socket.shared(), now);
            self.connection.give_up(error.clone(), now, &mut answers);
            answers.end();
            self.tell(|sink, socket| sink.error(socket, &error.into()));
        }
        unsent > 0
    }

    /// Before the carrier is given up: a Close that is still held back, if the kernel takes it.
    pub(super) fn say_last_word(&mut self, corked: &Corked<'_>, now: Time, context: &mut Context<'_>) {
        if self.shared().is_held() {
            self.shared().release_close();
            // It is the end, with or without it.
            let _ = self.write(corked, now, context);
        }
    }

    /// Whether the peer's Close has come and our answer is not out.
    pub(super) fn owes_close(&self) -> bool {
        self.connection.carrier() == CarrierState::Finish
            && (self.shared().is_held() || self.shared().is_queued())
    }

    /// Ends our direction, once, when our Close is out: what the peer says next is the end of its own.
    pub(super) fn hang_up(&mut self, context: &mut Context<'_>) {
        let is_out = self.shared().is_closing() && !self.shared().is_queued();
        if is_out && !self.has_hung_up && self.connection.hangs_up_first() {
            // It fails only where the connection is gone already, which the next read tells.
            self.has_hung_up = self.transport.poll_shutdown(context).is_ready();
        }
    }

    /// A method of the owner panicked: its connection ends with 1011, and nothing else does.
    pub(super) fn panicked(&mut self) {
        counts::panicked();
        let peer = self.socket.peer();
        tracing::error!(connection = peer.id, %peer, "the handler of a connection panicked; it is closed with 1011");
        drop_quietly(&mut self.sink);
        self.shared().close(Close::new(CloseCode::INTERNAL_ERROR, "internal error"), Initiator::Local);
    }

    /// The end, once: tells the owner and everybody who waits.
    pub(super) fn finish(&mut self, end: End) {
        let Some(guard) = self.guard.take() else { return };
        let end_of_stream = matches!(end, End::Regular);
        let closed = Arc::new(self.connection.closed(&self.shared().lock().outbox, end_of_stream));
        let error = match (&closed.error, end) {
            (Some(error), _) => Some(Error::Peer(error.clone())),
            (None, _) if closed.received.is_some() => None,
            (None, End::Failed(error)) => Some(error.into()),
            (None, End::Regular | End::Dropped) => Some(Error::Vanished),
        };
        let over = Over { closed, error };
        tracing::debug!(connection = self.socket.id(), code = over.closed.code(), how = %over.closed, "closed");
        self.tell_counts();
        counts::closed(self.side, &over.closed);
        self.shared().clock.release(self.slot);
        let ended = self.shared().finish(over.clone());
        if let (None, Some(error)) = (&over.closed.error, &over.error) {
            self.tell(|sink, socket| sink.error(socket, error));
        }
        self.tell(|sink, _| sink.close(&over));
        drop_quietly(&mut self.sink);
        drop(guard);
        // Last, so that who hears of the end finds it counted, too.
        ended.tell();
    }
}

impl<S: Sink> Drop for Driver<S> {
    /// The runtime may go before the connection does.
    fn drop(&mut self) {
        let _entered = self.shared().enter_span();
        self.finish(End::Dropped);
    }
}

/// Drops the owner. It is the user's, so this may panic, too.
pub(super) fn drop_quietly<S>(sink: &mut Option<S>) {
    let sink = sink.take();
    if catch_unwind(AssertUnwindSafe(|| drop(sink))).is_err() {
        tracing::error!("the drop of a connection's owner panicked");
    }
}
