//! One worker's part in topics: publications come in here once, and leave for its subscribers.
//!
//! ```text
//!  publish, any thread ──► mail ──► deliver ──► each subscriber's outbox, or its lanes ──► round: one write each
//!                                     ▲
//!      subscribe, unsubscribe, send, close of a subscriber: what was published before comes before
//! ```
//!
//! Locks are taken in this order: members, then one subscriber's outbox, or the registry; mail is the last. None is held
//! while the user's code or a waker runs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sotong_proto::Framed;

use super::registry::{Registry, Topic};
use super::{SubscribeError, TOPIC_BYTES_MAX};
use crate::driver::shared::Shared;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// How many subscribers are written to before others have their turn.
const WRITES_PER_ROUND: usize = 64;
/// How much room the list of publications keeps.
const MAIL_KEPT: usize = 1024;
/// How much room the list of those who have something to write keeps.
const DUE_KEPT: usize = 1024;
/// How long a run of publications may be that is joined for a single write, in bytes.
const RUN_BYTES_MAX: usize = 64 * 1024;

/// A worker's: one for each runtime of a server.
pub(crate) struct Mailroom {
    registry: Arc<Registry>,
    mail: Mutex<Vec<Mail>>,
    /// Whether there is any that has not reached everybody's outbox, seen without the lock.
    has_mail: AtomicBool,
    members: Mutex<Members>,
    /// Wakes the task that makes the rounds.
    round: Mutex<Option<Waker>>,
    /// Whether all drivers of this worker run on the thread of that task.
    has_one_thread: bool,
}

/// A publication on its way to the subscribers of one worker.
pub(super) struct Mail {
    pub(super) topic: Arc<Topic>,
    pub(super) framed: Framed,
    /// Who does not get it; 0 for nobody.
    pub(super) except: usize,
}

/// The subscribers of one worker.
#[derive(Default)]
struct Members {
    /// By the address of the topic, and of the subscriber.
    topics: HashMap<usize, HashMap<usize, Arc<Shared>>>,
    /// Who has something to write that its driver does not know of.
    due: VecDeque<Arc<Shared>>,
}

/// Publications of one topic, one after the other.
pub(crate) struct Run<'a> {
    pub(crate) topic: &'a Arc<Topic>,
    mail: &'a [Mail],
    /// All of them, for those who get all.
    joined: Framed,
}

/// What became of a run at a subscriber.
pub(crate) struct Accepted {
    /// How many of its messages are on their way.
    pub(crate) messages: u64,
    /// Whether something is to be written that the driver does not know of.
    pub(crate) is_due: bool,
    pub(crate) closed_as_slow: bool,
}

fn address(topic: &Arc<Topic>) -> usize {
    Arc::as_ptr(topic).addr()
}

impl Mailroom {
    pub(crate) fn new(registry: Arc<Registry>, has_one_thread: bool) -> Arc<Mailroom> {
        Arc::new(Mailroom {
            registry,
            mail: Mutex::default(),
            has_mail: AtomicBool::new(false),
            members: Mutex::default(),
            round: Mutex::default(),
            has_one_thread,
        })
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mail(&self) -> MutexGuard<'_, Vec<Mail>> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Takes a publication.
    pub(super) fn put(&self, publication: Mail) {
        let mut mail = self.mail();
        mail.push(publication);
        let was_empty = !self.has_mail.swap(true, Ordering::AcqRel);
        drop(mail);
        if was_empty {
            self.wake();
        }
    }

    /// Has the next round begin soon.
    fn wake(&self) {
        let waker = self.round.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Brings what was published to its subscribers' outboxes. For whoever does something that has to come after it.
    #[inline]
    pub(crate) fn deliver_first(&self) {
        if self.has_mail.load(Ordering::Acquire) {
            self.deliver(&mut self.members());
            self.wake();
        }
    }

    /// Brings what was published to its subscribers' outboxes.
    fn deliver(&self, members: &mut Members) {
        let mail = std::mem::take(&mut *self.mail());
        let mut rest = &mail[..];
        while let [first, ..] = rest {
            let mut bytes = 0;
            let length = rest
                .iter()
                .take_while(|each| {
                    bytes += each.framed.len();
                    Arc::ptr_eq(&each.topic, &first.topic) && bytes <= RUN_BYTES_MAX
                })
                .count();
            let (run, after) = rest.split_at(length.max(1));
            rest = after;
            self.deliver_run(members, &Run::new(run));
        }
        let mut more = self.mail();
        if more.is_empty() {
            // Only now: who sees that there is none may rely on all being where it belongs.
            self.has_mail.store(false, Ordering::Release);
            // What it has grown to is good for the next time, unless that was exceptional.
            let mut room = mail;
            room.clear();
            room.shrink_to(MAIL_KEPT);
            *more = room;
        } else {
            drop(more);
            self.wake();
        }
    }

    fn deliver_run(&self, members: &mut Members, run: &Run<'_>) {
        let Members { topics, due } = members;
        let Some(subscribers) = topics.get(&address(run.topic)) else { return };
        let mut delivered = 0;
        for subscriber in subscribers.values() {
            let accepted = subscriber.accept(run);
            delivered += accepted.messages;
            if accepted.is_due {
                due.push_back(subscriber.clone());
            }
            if accepted.closed_as_slow {
                self.registry.closed_as_slow();
                let connection = subscriber.peer.id;
                tracing::debug!(connection, topic = ?run.topic.name(), "a subscriber is too slow; it is closed");
            }
        }
        self.registry.delivered(delivered);
    }

    /// A round: has everybody who has something write it. Ready when this was done; true if there is more to do.
    fn make_round(&self) -> bool {
        let mut members = self.members();
        self.deliver(&mut members);
        let count = members.due.len().min(WRITES_PER_ROUND);
        let due: Vec<_> = members.due.drain(..count).collect();
        let more = !members.due.is_empty();
        if !more {
            members.due.shrink_to(DUE_KEPT);
        }
        drop(members);
        for subscriber in due {
            subscriber.write_published(self.has_one_thread);
        }
        more
    }

    /// Makes rounds for ever, in the task of this worker.
    pub(crate) fn poll_rounds(&self, context: &mut Context<'_>) -> Poll<()> {
        // Known first, so that what comes from now on wakes it.
        *self.round.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        if self.make_round() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Subscribes; false if it was so already.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        subscriber: &Arc<Shared>,
        name: &str,
    ) -> Result<bool, SubscribeError> {
        if name.len() > TOPIC_BYTES_MAX {
            return Err(SubscribeError::NameTooLong { seen: name.len(), max: TOPIC_BYTES_MAX });
        }
        let max = self.registry.rules.subscriptions_max;
        // The user's code, so not under a lock.
        let slow = self.registry.slow(name);
        let mut members = self.members();
        // What was published before is for those who were here before.
        self.deliver(&mut members);
        let result = subscriber.join(name, max, || self.registry.enter(name, slow, self));
        if let Ok(Some(topic)) = &result {
            members
                .topics
                .entry(address(topic))
                .or_default()
                .insert(subscriber.address(), subscriber.clone());
        }
        drop(members);
        self.wake();
        self.registry.tell();
        result.map(|topic| topic.is_some())
    }

    /// Unsubscribes; false if it was not subscribed.
    pub(crate) fn unsubscribe(self: &Arc<Self>, subscriber: &Shared, name: &str) -> bool {
        let mut members = self.members();
        // What was published before is still for it.
        self.deliver(&mut members);
        let topic = subscriber.part(name);
        if let Some(topic) = &topic {
            self.forget(&mut members, subscriber, topic);
        }
        drop(members);
        self.wake();
        self.registry.tell();
        topic.is_some()
    }

    /// A subscriber's connection is over.
    pub(crate) fn leave(self: &Arc<Self>, subscriber: &Shared, topics: &[Arc<Topic>]) {
        let mut members = self.members();
        for topic in topics {
            self.forget(&mut members, subscriber, topic);
        }
        drop(members);
        self.registry.tell();
    }

    fn forget(self: &Arc<Self>, members: &mut Members, subscriber: &Shared, topic: &Arc<Topic>) {
        if let Some(subscribers) = members.topics.get_mut(&address(topic)) {
            subscribers.remove(&subscriber.address());
            if subscribers.is_empty() {
                members.topics.remove(&address(topic));
            }
        }
        self.registry.leave(topic, self);
    }
}

impl Drop for Mailroom {
    /// Ends the task.
    fn drop(&mut self) {
        self.wake();
    }
}

impl<'a> Run<'a> {
    fn new(mail: &'a [Mail]) -> Run<'a> {
        let joined = Framed::join(mail.iter().map(|each| &each.framed));
        Run { topic: &mail[0].topic, mail, joined }
    }

    /// All in one, if the subscriber gets all of them.
    #[inline]
    pub(crate) fn joined(&self, subscriber: usize) -> Option<&Framed> {
        self.mail.iter().all(|each| each.except != subscriber).then_some(&self.joined)
    }

    /// Those that the subscriber gets, one by one.
    pub(crate) fn each(&self, subscriber: usize) -> impl Iterator<Item = &Framed> {
        self.mail.iter().filter(move |each| each.except != subscriber).map(|each| &each.framed)
    }
}
