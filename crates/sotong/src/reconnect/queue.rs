//! What was accepted and is not confirmed: bounded, in order, counted.

use std::collections::VecDeque;

use sotong_proto::Message;

/// What happens to a message for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// It is not accepted: `try_send` gives it back, `send` waits. The default: nothing is lost silently.
    #[default]
    Refuse,
    /// The oldest that wait and were not sent make room, and are counted as [`dropped`](Counters::dropped). For news of
    /// which only the latest matters.
    DropOldest,
}

/// What happens to messages that were sent and not confirmed when their connection is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unconfirmed {
    /// They are counted as [`may_be_lost`](Counters::may_be_lost) and forgotten: nothing arrives twice. The default,
    /// because only an application knows what may be done twice.
    #[default]
    Forget,
    /// They are sent again, first, on the next connection: nothing is missing, and some may arrive twice. For messages
    /// that say what they are, with a number or as a whole state.
    Resend,
}

/// How much may be accepted and not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueLimits {
    /// Messages. Default: 1024.
    pub messages_max: usize,
    /// Bytes of payload. Default: 1 MiB. A message larger than that is accepted when the queue is empty.
    pub bytes_max: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        QueueLimits { messages_max: 1024, bytes_max: 1 << 20 }
    }
}

impl QueueLimits {
    /// Sets [`messages_max`](Self::messages_max); zero is taken as one.
    #[must_use]
    pub fn with_messages_max(mut self, messages_max: usize) -> Self {
        self.messages_max = messages_max.max(1);
        self
    }

    /// Sets [`bytes_max`](Self::bytes_max).
    #[must_use]
    pub fn with_bytes_max(mut self, bytes_max: usize) -> Self {
        self.bytes_max = bytes_max;
        self
    }
}

/// What became of the messages, see [What is promised](super).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages that were accepted, ever.
    pub accepted: u64,
    /// That wait to be sent, now.
    pub waiting: u64,
    /// That were handed to the connection and are not confirmed, now.
    pub sent: u64,
    /// That are with the other end, ever.
    pub confirmed: u64,
    /// That were sent and not confirmed when their connection ended, and are not sent again.
    pub may_be_lost: u64,
    /// How often a message was put back to be sent again: so many may arrive twice.
    pub resent: u64,
    /// That made room for others, unsent.
    pub dropped: u64,
    /// That waited when the client ended; of those that were [`resent`](Self::resent), some may have arrived.
    pub unsent: u64,
    /// Messages that came and were put where `recv` takes them.
    pub received: u64,
    /// Messages that came, or were kept, when nobody could take them any more: after
    /// [`ReconnectingSocket::close`](super::ReconnectingSocket::close), or when that socket was dropped.
    pub discarded: u64,
    /// Connections that were opened.
    pub connections: u64,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) message: Message,
    pub(super) is_uncompressed: bool,
}

/// The queue: at its front what was sent, behind it what waits.
#[derive(Debug)]
pub(super) struct Queue {
    limits: QueueLimits,
    overflow: Overflow,
    sent: VecDeque<Queued>,
    waiting: VecDeque<Queued>,
    bytes: usize,
    counters: Counters,
}

impl Queue {
    pub(super) fn new(limits: QueueLimits, overflow: Overflow) -> Self {
        let (sent, waiting, counters) = (VecDeque::new(), VecDeque::new(), Counters::default());
        Queue { limits, overflow, sent, waiting, bytes: 0, counters }
    }

    pub(super) fn counters(&self) -> Counters {
        Counters { waiting: self.waiting.len() as u64, sent: self.sent.len() as u64, ..self.counters }
    }

    pub(super) fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// Accepts a message, or gives it back.
    pub(super) fn accept(&mut self, queued: Queued) -> Result<(), Queued> {
        let bytes = queued.message.len();
        while !self.has_room(bytes) {
            let oldest = match self.overflow {
                Overflow::Refuse => None,
                Overflow::DropOldest => self.waiting.pop_front(),
            };
            // What was sent is not ours to drop.
            let Some(oldest) = oldest else { return Err(queued) };
            self.bytes -= oldest.message.len();
            self.counters.dropped += 1;
        }
        self.bytes += bytes;
        self.counters.accepted += 1;
        self.waiting.push_back(queued);
        Ok(())
    }

    fn has_room(&self, bytes: usize) -> bool {
        let messages = self.sent.len() + self.waiting.len();
        messages == 0
            || messages < self.limits.messages_max
                && self.bytes.saturating_add(bytes) <= self.limits.bytes_max
    }

    /// The next one to send.
    pub(super) fn front(&self) -> Option<&Queued> {
        self.waiting.front()
    }

    /// The front one was handed to a connection.
    pub(super) fn mark_sent(&mut self) {
        self.sent.extend(self.waiting.pop_front());
    }

    /// How many are sent and not confirmed.
    pub(super) fn unconfirmed(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.waiting.is_empty()
    }

    /// So many of those that were sent are with the other end.
    pub(super) fn confirm(&mut self, count: usize) {
        debug_assert!(count <= self.sent.len(), "only what was sent can be confirmed");
        for queued in self.sent.drain(..count.min(self.sent.len())) {
            self.bytes -= queued.message.len();
            self.counters.confirmed += 1;
        }
    }

    /// The connection is lost.
    pub(super) fn lose(&mut self, unconfirmed: Unconfirmed) {
        match unconfirmed {
            Unconfirmed::Forget => {
                self.counters.may_be_lost += self.sent.len() as u64;
                self.bytes -= self.sent.drain(..).map(|queued| queued.message.len()).sum::<usize>();
            }
            Unconfirmed::Resend => {
                self.counters.resent += self.sent.len() as u64;
                self.sent.append(&mut self.waiting);
                std::mem::swap(&mut self.sent, &mut self.waiting);
            }
        }
    }

    /// The client is over.
    pub(super) fn end(&mut self) {
        self.lose(Unconfirmed::Forget);
        self.counters.unsent += self.waiting.len() as u64;
        self.waiting.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(messages: usize, bytes: usize, overflow: Overflow) -> Queue {
        Queue::new(QueueLimits::default().with_messages_max(messages).with_bytes_max(bytes), overflow)
    }

    fn accept(queue: &mut Queue, text: &str) -> bool {
        queue.accept(Queued { message: Message::text(text), is_uncompressed: false }).is_ok()
    }

    fn waiting(queue: &Queue) -> Vec<&str> {
        queue.waiting.iter().filter_map(|queued| queued.message.as_text()).collect()
    }

    #[track_caller]
    fn adds_up(queue: &Queue) {
        let Counters { accepted, waiting, sent, confirmed, may_be_lost, unsent, dropped, .. } =
            queue.counters();
        assert_eq!(accepted, waiting + sent + confirmed + may_be_lost + unsent + dropped);
        let bytes: usize = queue.sent.iter().chain(&queue.waiting).map(|queued| queued.message.len()).sum();
        assert_eq!(queue.bytes, bytes);
    }

    #[test]
    fn as_many_messages_and_bytes_as_allowed_and_none_more() {
        let mut by_number = queue(2, 100, Overflow::Refuse);
        assert!(accept(&mut by_number, "a") && accept(&mut by_number, "b") && !accept(&mut by_number, "c"));
        let mut by_bytes = queue(9, 4, Overflow::Refuse);
        assert!(accept(&mut by_bytes, "abc") && !accept(&mut by_bytes, "de") && accept(&mut by_bytes, "d"));
        let mut alone = queue(9, 4, Overflow::Refuse);
        assert!(accept(&mut alone, "larger than all") && !accept(&mut alone, ""));
    }

    #[test]
    fn what_was_sent_counts_until_it_is_confirmed() {
        let mut queue = queue(1, 100, Overflow::Refuse);
        assert!(accept(&mut queue, "a"));
        queue.mark_sent();
        assert!(!accept(&mut queue, "b"));
        queue.confirm(1);
        assert!(accept(&mut queue, "b"));
        adds_up(&queue);
    }

    #[test]
    fn the_oldest_makes_room_but_not_what_was_sent() {
        let mut queue = queue(2, 100, Overflow::DropOldest);
        assert!(accept(&mut queue, "a") && accept(&mut queue, "b") && accept(&mut queue, "c"));
        assert_eq!(waiting(&queue), ["b", "c"]);
        queue.mark_sent();
        assert!(accept(&mut queue, "d"));
        assert_eq!(waiting(&queue), ["d"]);
        queue.mark_sent();
        assert!(!accept(&mut queue, "e"));
        assert_eq!(queue.counters().dropped, 2);
        adds_up(&queue);
    }

    #[test]
    fn what_was_not_confirmed_is_forgotten_or_goes_first() {
        for (unconfirmed, left) in
            [(Unconfirmed::Forget, &["c"][..]), (Unconfirmed::Resend, &["a", "b", "c"][..])]
        {
            let mut queue = queue(9, 100, Overflow::Refuse);
            assert!(["a", "b", "c"].iter().all(|text| accept(&mut queue, text)));
            queue.mark_sent();
            queue.mark_sent();
            queue.lose(unconfirmed);
            assert_eq!(waiting(&queue), left);
            adds_up(&queue);
            queue.end();
            adds_up(&queue);
            assert_eq!(queue.counters().unsent, left.len() as u64);
        }
    }
}
