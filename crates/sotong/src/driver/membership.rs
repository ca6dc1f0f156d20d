//! What a connection is subscribed to, and what waits for it there while it is behind.

use std::collections::VecDeque;
use std::sync::Arc;

use sotong_proto::{Framed, Initiator, Message, Refused, Replies};

use super::outbound::Outbound;
use crate::topics::mailroom::{Accepted, Run};
use crate::topics::registry::Topic;

/// How much of what waits is put into an empty outbox at a time, in bytes. What is there cannot be left out any more.
const REFILL_BYTES: usize = 64 * 1024;

/// The part that a connection has in topics. Most have none.
#[derive(Default)]
pub(super) struct Membership {
    topics: Vec<Arc<Topic>>,
    /// What waits of topics that leave out what is old, one for each; those that wait longest first.
    lanes: VecDeque<Lane>,
    /// Whether the carrier did not take all at the last try.
    is_behind: bool,
    /// Whether what has waited is on its way from here to the outbox.
    is_refilling: bool,
    /// The topic that it was closed for, until its owner is told.
    too_slow_for: Option<Arc<str>>,
}

/// What waits of one topic.
pub(super) struct Lane {
    topic: Arc<Topic>,
    waiting: VecDeque<Framed>,
    /// Of all that waits.
    bytes: usize,
    /// How many were left out before the first that waits, and not told.
    skipped: u64,
}

impl Membership {
    fn find(&self, name: &str) -> Option<usize> {
        self.topics.iter().position(|topic| topic.name() == name)
    }

    /// The carrier was offered what waits.
    pub(super) fn offered(&mut self, is_empty: bool) {
        self.is_behind = !is_empty;
    }

    /// Keeps a publication until the carrier takes what is before it; leaves out what is too old. Returns how many that
    /// were.
    fn keep(&mut self, topic: &Arc<Topic>, framed: &Framed, waiting_max: usize, bytes_max: usize) -> u64 {
        let known = self.lanes.iter().position(|lane| Arc::ptr_eq(&lane.topic, topic));
        let at = known.unwrap_or_else(|| {
            let lane = Lane { topic: topic.clone(), waiting: VecDeque::new(), bytes: 0, skipped: 0 };
            self.lanes.push_back(lane);
            self.lanes.len() - 1
        });
        let lane = &mut self.lanes[at];
        lane.bytes += framed.len();
        lane.waiting.push_back(framed.clone());
        lane.thin(waiting_max, bytes_max)
    }

    /// Whether publications that may be left out have to wait here: for the carrier, or for those that wait already.
    fn holds_back(&self) -> bool {
        self.is_behind || self.is_refilling || !self.lanes.is_empty()
    }
}

impl Outbound {
    /// Makes the connection a member; `None` if it is one already, the error if it has too many.
    pub(super) fn join(
        &mut self,
        name: &str,
        max: usize,
        enter: impl FnOnce() -> Arc<Topic>,
    ) -> Result<Option<Arc<Topic>>, usize> {
        let membership = self.membership.get_or_insert_default();
        if membership.find(name).is_some() {
            return Ok(None);
        }
        if membership.topics.len() >= max {
            return Err(max);
        }
        let topic = enter();
        membership.topics.push(topic.clone());
        if topic.waiting_max().is_some()
            && let Some(transport) = &self.transport
        {
            transport.keep_fresh();
        }
        Ok(Some(topic))
    }

    /// Ends it. What waits of the topic goes with it.
    pub(super) fn part(&mut self, name: &str) -> Option<Arc<Topic>> {
        let membership = self.membership.as_mut()?;
        let topic = membership.topics.swap_remove(membership.find(name)?);
        membership.lanes.retain(|lane| !Arc::ptr_eq(&lane.topic, &topic));
        if membership.topics.is_empty() {
            self.membership = None;
        }
        Some(topic)
    }

    pub(super) fn is_member_of(&self, name: &str) -> bool {
        self.membership.as_ref().is_some_and(|membership| membership.find(name).is_some())
    }

    /// Whether publications wait for the carrier, outside the outbox.
    pub(super) fn has_lanes(&self) -> bool {
        self.membership.as_ref().is_some_and(|membership| !membership.lanes.is_empty())
    }

    /// How many bytes wait, in the outbox and outside.
    pub(super) fn waiting_len(&self) -> usize {
        let lanes = self
            .membership
            .as_ref()
            .map_or(0, |membership| membership.lanes.iter().map(|lane| lane.bytes).sum());
        self.outbox.len() + lanes
    }

    /// The topic that it was closed for, once.
    pub(super) fn take_too_slow_for(&mut self) -> Option<Arc<str>> {
        self.membership.as_mut().and_then(|membership| membership.too_slow_for.take())
    }

    /// The end: what it was subscribed to.
    pub(super) fn part_with_all(&mut self) -> Vec<Arc<Topic>> {
        self.membership.take().map(|membership| membership.topics).unwrap_or_default()
    }

    /// Takes publications.
    pub(super) fn accept(&mut self, run: &Run<'_>, address: usize, bytes_max: usize) -> Accepted {
        let mut accepted = Accepted::default();
        let holds_back = self.membership.as_ref().is_some_and(|membership| membership.holds_back());
        let kind = self.outbox.framed_kind();
        match (run.topic.waiting_max(), run.joined(address, &kind)) {
            (None, Some(all)) => self.accept_or_close(all, run.topic, &mut accepted),
            (None, None) => {
                for each in run.each(address, &kind) {
                    self.accept_or_close(each, run.topic, &mut accepted);
                }
            }
            (Some(_), Some(all)) if !holds_back && self.push_framed(all).is_ok() => {
                accepted.messages = all.messages().into();
            }
            (Some(waiting_max), _) => {
                for each in run.each(address, &kind) {
                    accepted.messages += 1;
                    let has_room = !holds_back && !self.has_lanes() && self.push_framed(each).is_ok();
                    if let Some(membership) = &mut self.membership
                        && !has_room
                    {
                        let skipped = membership.keep(run.topic, each, waiting_max, bytes_max);
                        if skipped > 0 {
                            run.topic.registry().skipped(skipped);
                        }
                    }
                }
            }
        }
        accepted
    }

    fn accept_or_close(&mut self, framed: &Framed, topic: &Topic, accepted: &mut Accepted) {
        match self.push_framed(framed) {
            Ok(()) => accepted.messages += u64::from(framed.messages()),
            Err(Refused::Full) => {
                self.outbox.close(topic.close(), Initiator::Local);
                if let Some(membership) = &mut self.membership {
                    membership.too_slow_for = Some(topic.name().into());
                }
                accepted.closed_as_slow = true;
            }
            // Just now, by the one before.
            Err(Refused::Closed) => {}
        }
    }

    /// A publication was written past the empty outbox, in part or whole.
    pub(super) fn went_past(&mut self, framed: &Framed, written: usize) {
        self.outbox.sent_past(framed, written);
        self.sent.count_many(framed.messages(), framed.payload_bytes());
        // Where nothing waited, it was not behind.
        if written < framed.len()
            && let Some(membership) = &mut self.membership
        {
            membership.offered(false);
        }
    }

    fn push_framed(&mut self, framed: &Framed) -> Result<(), Refused> {
        self.outbox.send_framed(framed)?;
        self.sent.count_many(framed.messages(), framed.payload_bytes());
        Ok(())
    }

    /// What waits outside the outbox, to be put into it by [`refill`](Self::refill).
    pub(super) fn take_lanes(&mut self) -> VecDeque<Lane> {
        let Some(membership) = &mut self.membership else { return VecDeque::new() };
        membership.is_refilling = true;
        std::mem::take(&mut membership.lanes)
    }

    /// Puts what waited into the outbox, as far as it is good to; each topic's after what is said about those that were
    /// left out.
    pub(super) fn refill(&mut self, mut lanes: VecDeque<(Lane, Option<Message>)>, bytes_max: usize) {
        let is_closing = self.is_closing();
        let Some(membership) = &mut self.membership else { return };
        membership.is_refilling = false;
        if is_closing {
            // No data may follow a Close.
            membership.lanes.clear();
            return;
        }
        // Of topics that it has left meanwhile nothing more is wanted.
        lanes.retain(|(lane, _)| membership.topics.iter().any(|topic| Arc::ptr_eq(topic, &lane.topic)));
        let mut rest = VecDeque::new();
        for (mut lane, notice) in lanes {
            if self.outbox.len() >= REFILL_BYTES {
                rest.push_back(lane);
                continue;
            }
            if let Some(notice) = &notice {
                self.outbox.send_regardless(notice.as_ref());
                self.sent.count(notice.len());
            }
            lane.skipped = 0;
            while let Some(framed) = lane.waiting.front() {
                if self.push_framed(framed).is_err() {
                    break;
                }
                lane.forget_oldest();
            }
            if !lane.waiting.is_empty() {
                rest.push_back(lane);
            }
        }
        let Some(membership) = &mut self.membership else { return };
        // What has come meanwhile came later.
        for newer in std::mem::take(&mut membership.lanes) {
            match rest.iter_mut().find(|lane| Arc::ptr_eq(&lane.topic, &newer.topic)) {
                Some(lane) => {
                    let gap = newer.skipped;
                    // A gap is told of before what comes after it, so what is older than the gap is part of it.
                    if gap > 0 {
                        let dropped = lane.waiting.len() as u64;
                        lane.topic.registry().skipped(dropped);
                        lane.skipped += dropped + gap;
                        lane.waiting.clear();
                        lane.bytes = 0;
                    }
                    lane.waiting.extend(newer.waiting);
                    lane.bytes += newer.bytes;
                    if let Some(waiting_max) = lane.topic.waiting_max() {
                        let skipped = lane.thin(waiting_max, bytes_max);
                        lane.topic.registry().skipped(skipped);
                    }
                }
                None => rest.push_back(newer),
            }
        }
        membership.lanes = rest;
    }
}

impl Lane {
    /// Leaves out what is too old or too much; never the newest. Returns how many that were.
    fn thin(&mut self, waiting_max: usize, bytes_max: usize) -> u64 {
        let before = self.waiting.len();
        while self.waiting.len() > 1 && (self.waiting.len() > waiting_max || self.bytes > bytes_max) {
            self.forget_oldest();
        }
        let skipped = (before - self.waiting.len()) as u64;
        self.skipped += skipped;
        skipped
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.waiting.pop_front() {
            self.bytes -= oldest.len();
        }
    }

    /// What is to be said about the publications that were left out before the first that waits.
    pub(super) fn notice(&self) -> Option<Message> {
        if self.skipped == 0 { None } else { self.topic.notice(self.skipped) }
    }
}
