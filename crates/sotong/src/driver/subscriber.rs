//! What a subscriber's connection does about publications: for the mailroom of its worker, and for its driver.

use std::io::IoSlice;
use std::sync::Arc;

use sotong_proto::FramedKind;

use super::outbound::News;
use super::shared::{BEHIND, Form, MEMBER, QUEUED, Shared, wake_driver};
use super::turn;
use crate::counts;
use crate::sync::atomic::Ordering;
use crate::topics::SubscribeError;
use crate::topics::mailroom::{Accepted, Mailroom, Run};
use crate::topics::registry::Topic;
use crate::transport::Transport;

impl Shared {
    /// Where its worker has publications come in; `None` for a client's connection.
    pub(crate) fn mailroom(&self) -> Option<&Arc<Mailroom>> {
        self.clock.mailroom()
    }

    /// Makes the connection a member of a topic, by `enter`; `None` if it is one already. For the mailroom.
    pub(crate) fn join(
        &self,
        name: &str,
        max: usize,
        enter: impl FnOnce() -> Arc<Topic>,
    ) -> Result<Option<Arc<Topic>>, SubscribeError> {
        let mut outbound = self.lock();
        if outbound.is_closing() {
            return Err(SubscribeError::Closed);
        }
        let topic = outbound.join(name, max, enter).map_err(|max| SubscribeError::TooMany { max });
        self.publish(&outbound);
        topic
    }

    /// Ends a membership. For the mailroom.
    pub(crate) fn part(&self, name: &str) -> Option<Arc<Topic>> {
        let mut outbound = self.lock();
        let topic = outbound.part(name);
        self.publish(&outbound);
        topic
    }

    /// Whether what it is sent may be compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.lock().outbox.framed_kind() != FramedKind::PLAIN
    }

    pub(crate) fn is_member_of(&self, name: &str) -> bool {
        self.lock().is_member_of(name)
    }

    /// What carries it, while it is open.
    pub(crate) fn transport(&self) -> Option<Arc<Transport>> {
        self.lock().transport.clone()
    }

    /// Has the processor fetch what [`accept_directly`](Self::accept_directly) needs, while it does other things.
    #[inline]
    pub(crate) fn fetch(&self) {
        std::hint::black_box(self.flags.load(Ordering::Relaxed));
    }

    /// Writes what was published at once, on the thread of all drivers, where nothing else waits. What the carrier does not
    /// take is queued. `None`: [`accept`](Self::accept) has to.
    pub(crate) fn accept_directly(&self, run: &Run<'_>) -> Option<Accepted> {
        let mut outbound = self.lock();
        let framed = run.joined(self.address(), &outbound.outbox.framed_kind())?;
        if !self.is_quiet() {
            return None;
        }
        let result = outbound.transport.as_ref()?.try_write(&[IoSlice::new(framed.as_bytes())]);
        // An error is the driver's to find: what is left makes it try.
        let written = result.unwrap_or(0);
        outbound.went_past(framed, written);
        let is_due = written < framed.len();
        if is_due {
            self.publish(&outbound);
        }
        let sent = outbound.sent.take_due();
        drop(outbound);
        counts::sent(sent);
        Some(Accepted { messages: framed.messages().into(), is_due, ..Accepted::default() })
    }

    /// Takes what was published; [`write_published`](Self::write_published) has to follow if that is due. `may_write`: this
    /// is the thread of all drivers, and none has its turn.
    pub(crate) fn accept(&self, run: &Run<'_>, may_write: bool) -> Accepted {
        let mut outbound = self.lock();
        if outbound.is_closing() {
            return Accepted::default();
        }
        let driver_knows = self.flags.load(Ordering::Relaxed) & (QUEUED | BEHIND) != 0;
        let mut news = News::default();
        if (may_write || self.form == Form::Pull)
            && !outbound.outbox.is_empty()
            && outbound.outbox.len() + run.len() > self.outbox_bytes_max()
        {
            // Who reads well is not too slow, however much comes at once.
            news = self.write_out(&mut outbound);
        }
        let accepted = outbound.accept(run, self.address(), self.outbox_bytes_max());
        self.publish(&outbound);
        let sent = outbound.sent.take_due();
        drop(outbound);
        counts::sent(sent);
        let is_due = accepted.closed_as_slow || !driver_knows && accepted.messages > 0;
        Accepted { is_due, news, ..accepted }
    }

    /// Writes what was published, at once if this is the thread of all drivers that might write, too; otherwise its
    /// driver does.
    pub(crate) fn write_published(&self, is_on_the_one_thread: bool) {
        let mut outbound = self.lock();
        if outbound.is_closing() {
            // The driver has to see to the end.
            let news = outbound.take_waiting_for_room();
            wake_driver(outbound);
            return news.tell();
        }
        if outbound.outbox.is_empty() {
            return;
        }
        if !is_on_the_one_thread || !turn::is_nobodys() {
            return wake_driver(outbound);
        }
        let news = self.write_out(&mut outbound);
        self.publish(&outbound);
        if outbound.outbox.is_empty() && !outbound.has_lanes() {
            drop(outbound);
        } else {
            wake_driver(outbound);
        }
        news.tell();
    }

    /// The topic that the connection was closed for, because it was too slow; once.
    pub(crate) fn take_too_slow_for(&self) -> Option<Arc<str>> {
        if self.flags.load(Ordering::Acquire) & MEMBER == 0 {
            return None;
        }
        self.lock().take_too_slow_for()
    }

    /// Whether publications wait outside the outbox, seen without the lock.
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.flags.load(Ordering::Acquire) & BEHIND != 0
    }

    /// Puts publications that wait into the outbox, which is empty. In the driver's turn only.
    pub(crate) fn catch_up(&self) {
        let lanes = self.lock().take_lanes();
        // The user's code, so not under the lock. Whatever is published meanwhile waits behind these.
        let lanes = lanes
            .into_iter()
            .map(|lane| {
                let notice = lane.notice();
                (lane, notice)
            })
            .collect();
        let mut outbound = self.lock();
        if outbound.over.is_none() {
            outbound.refill(lanes, self.outbox_bytes_max());
        }
        self.publish(&outbound);
    }
}
