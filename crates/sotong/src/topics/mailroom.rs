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

use std::cell::OnceCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sotong_proto::{Codecs, Framed, FramedKind};

use super::registry::{Registry, Topic};
use super::{SubscribeError, TOPIC_BYTES_MAX};
use crate::driver::budget::Budget;
use crate::driver::outbound::News;
use crate::driver::shared::Shared;
use crate::driver::turn;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::transport::Transport;

/// How many subscribers are written to before others have their turn.
const WRITES_PER_ROUND: usize = 64;
/// How many subscribers are fetched from memory at a time: the processor fetches several at once, if it is told before.
const FETCHED: usize = 8;
/// How many publications may wait for the worker, and how many bytes of them. From then on those who publish bring them to
/// the outboxes, where limits and [`Slow`](super::Slow) hold.
const MAIL_MAX: usize = 64 * 1024;
const MAIL_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much room the list of them keeps.
const MAIL_KEPT: usize = 1024;
/// How much room the list of those who have something to write keeps.
const DUE_KEPT: usize = 1024;
/// How long a run of publications may be that is joined for a single write, in bytes.
const RUN_BYTES_MAX: usize = 64 * 1024;

/// A worker's: one for each runtime of a server.
pub(crate) struct Mailroom {
    registry: Arc<Registry>,
    budget: Arc<Budget>,
    /// The worker's, for what is compressed for many.
    codecs: Arc<Codecs>,
    mail: Mutex<Waiting>,
    /// Whether there is any that has not reached everybody's outbox, seen without the lock.
    has_mail: AtomicBool,
    members: Mutex<Members>,
    /// Wakes the task that makes the rounds.
    round: Mutex<Option<Waker>>,
    /// Whether all drivers of this worker run on the thread of that task.
    has_one_thread: bool,
}

/// Publications that no subscriber has yet.
#[derive(Default)]
struct Waiting {
    mail: Vec<Mail>,
    bytes: usize,
}

impl Waiting {
    fn take(&mut self) -> Vec<Mail> {
        self.bytes = 0;
        std::mem::take(&mut self.mail)
    }
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
    /// By the address of the topic.
    topics: HashMap<usize, Subscribers>,
    after: After,
    underway: Option<Underway>,
}

/// What is to be done later.
#[derive(Default)]
struct After {
    /// Who has something to write that its driver does not know of.
    due: VecDeque<Arc<Shared>>,
    /// To be told without a lock.
    news: Vec<News>,
}

/// The subscribers of one topic.
#[derive(Default)]
struct Subscribers {
    list: Vec<Subscriber>,
    /// Where in the list each is, by its address.
    places: HashMap<usize, usize>,
}

struct Subscriber {
    shared: Arc<Shared>,
    /// What carries it; here only so that it can be fetched without the lock.
    transport: Option<Arc<Transport>>,
}

impl Subscriber {
    /// Has the processor fetch what a write needs, while it does other things.
    fn fetch(&self) {
        self.shared.fetch();
        if let Some(transport) = &self.transport {
            transport.fetch();
        }
    }
}

/// A run that a part of its subscribers has.
struct Underway {
    mail: Vec<Mail>,
    joined: Joined,
    /// Whose turn it is.
    next: usize,
}

/// Publications of one topic, one after the other.
pub(crate) struct Run<'a> {
    pub(crate) topic: &'a Arc<Topic>,
    mail: &'a [Mail],
    /// All of them, for those who get all.
    joined: &'a Joined,
    mailroom: &'a Mailroom,
}

/// A run in one piece; for each kind of subscriber one, made when the first of them needs it.
#[derive(Default)]
struct Joined([OnceCell<Framed>; FramedKind::COUNT]);

/// What became of a run at a subscriber.
#[derive(Default)]
pub(crate) struct Accepted {
    /// How many of its messages are on their way.
    pub(crate) messages: u64,
    /// Whether something is to be written that the driver does not know of.
    pub(crate) is_due: bool,
    pub(crate) closed_as_slow: bool,
    pub(crate) news: News,
}

impl Accepted {
    /// Remembers what is to be done. Returns how many messages are on their way.
    fn note(self, subscriber: &Arc<Shared>, after: &mut After) -> u64 {
        if self.is_due {
            after.due.push_back(subscriber.clone());
        }
        if !self.news.is_none() {
            after.news.push(self.news);
        }
        self.messages
    }
}

fn address(topic: &Arc<Topic>) -> usize {
    Arc::as_ptr(topic).addr()
}

impl Mailroom {
    pub(crate) fn new(
        registry: Arc<Registry>,
        budget: Arc<Budget>,
        codecs: Arc<Codecs>,
        has_one_thread: bool,
    ) -> Arc<Mailroom> {
        Arc::new(Mailroom {
            registry,
            budget,
            codecs,
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

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Takes a publication. Whether so many wait that whoever publishes is to [deliver](Self::deliver_first) them.
    pub(super) fn put(&self, publication: Mail) -> bool {
        let mut waiting = self.waiting();
        waiting.bytes += publication.framed.len();
        waiting.mail.push(publication);
        let is_full = waiting.mail.len() >= MAIL_MAX || waiting.bytes >= MAIL_BYTES_MAX;
        let was_empty = !self.has_mail.swap(true, Ordering::AcqRel);
        drop(waiting);
        if was_empty {
            self.wake();
        }
        is_full
    }

    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
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
            let mut members = self.members();
            self.deliver(&mut members, false);
            self.release(members);
            self.wake();
        }
    }

    /// Unlocks, and tells what could not be told before.
    fn release(&self, mut members: MutexGuard<'_, Members>) {
        let news = std::mem::take(&mut members.after.news);
        drop(members);
        news.into_iter().for_each(News::tell);
    }

    /// Brings what was published to its subscribers' outboxes. `may_write`: this is the thread of all drivers, and none has
    /// its turn.
    fn deliver(&self, members: &mut Members, may_write: bool) {
        if let Some(underway) = members.underway.take() {
            self.deliver_run(members, &underway.run(self), underway.next, may_write);
            self.keep_room(underway.mail);
        }
        let mail = self.waiting().take();
        let mut rest = &mail[..];
        while !rest.is_empty() {
            let (run, after) = rest.split_at(first_run(rest));
            self.deliver_run(members, &Run::new(run, &Joined::default(), self), 0, may_write);
            rest = after;
        }
        self.keep_room(mail);
    }

    /// All of this mail is delivered.
    fn keep_room(&self, delivered: Vec<Mail>) {
        let mut room = delivered;
        // Outside the lock: the last that is held of a topic may be here.
        room.clear();
        room.shrink_to(MAIL_KEPT);
        let mut more = self.waiting();
        if more.mail.is_empty() {
            // Only now: who sees that there is none may rely on all being where it belongs.
            self.has_mail.store(false, Ordering::Release);
            more.mail = room;
        } else {
            drop(more);
            self.wake();
        }
    }

    /// The form of a publication for one kind of subscriber, which the budget knows of.
    fn form<'a>(&self, each: &'a Mail, kind: &FramedKind) -> &'a Framed {
        each.framed.of_kind(kind, &self.codecs, |compressed| self.charged(compressed))
    }

    /// The run in one piece, which the budget knows of.
    fn join(&self, run: &[Mail], kind: &FramedKind) -> Framed {
        match run {
            [only] => self.form(only, kind).clone(),
            _ => {
                let forms: Vec<&Framed> = run.iter().map(|each| self.form(each, kind)).collect();
                self.charged(Framed::join(forms))
            }
        }
    }

    fn charged(&self, framed: Framed) -> Framed {
        match self.budget.charge(framed.len()) {
            Some(charge) => framed.with_guard(charge),
            None => framed,
        }
    }

    /// Brings a run to its subscribers' outboxes, from one of them on.
    fn deliver_run(&self, members: &mut Members, run: &Run<'_>, from: usize, may_write: bool) {
        let Members { topics, after, .. } = members;
        let Some(subscribers) = topics.get(&address(run.topic)) else { return };
        let mut delivered = 0;
        for subscriber in &subscribers.list[from..] {
            delivered += self.deliver_to(&subscriber.shared, run, after, may_write);
        }
        self.registry.delivered(delivered);
    }

    fn deliver_to(&self, subscriber: &Arc<Shared>, run: &Run<'_>, after: &mut After, may_write: bool) -> u64 {
        let accepted = subscriber.accept(run, may_write);
        if accepted.closed_as_slow {
            self.registry.closed_as_slow();
            let connection = subscriber.peer.id;
            tracing::debug!(connection, topic = ?run.topic.name(), "a subscriber is too slow; it is closed");
        }
        accepted.note(subscriber, after)
    }

    /// Has some subscribers of the run that is under way write it, without a stay in their outboxes. False when all
    /// have it, and everything else that was published waits in outboxes.
    fn write_some(&self, members: &mut Members) -> bool {
        if members.underway.is_none() {
            let mut waiting = self.waiting();
            if waiting.mail.is_empty() || first_run(&waiting.mail) < waiting.mail.len() {
                drop(waiting);
                // Of several topics: what each subscriber gets of them is gathered for one write.
                self.deliver(members, true);
                return false;
            }
            let mail = waiting.take();
            drop(waiting);
            members.underway = Some(Underway { mail, joined: Joined::default(), next: 0 });
        }
        let Members { topics, after, underway } = members;
        let Some(now) = underway else { return false };
        let run = now.run(self);
        let list =
            topics.get(&address(run.topic)).map_or(&[][..], |subscribers| &subscribers.list[now.next..]);
        let mut delivered = 0;
        for some in list[..list.len().min(WRITES_PER_ROUND)].chunks(FETCHED) {
            some.iter().for_each(Subscriber::fetch);
            for Subscriber { shared: subscriber, .. } in some {
                delivered += match subscriber.accept_directly(&run) {
                    Some(accepted) => accepted.note(subscriber, after),
                    None => self.deliver_to(subscriber, &run, after, true),
                };
            }
        }
        let more = list.len() > WRITES_PER_ROUND;
        self.registry.delivered(delivered);
        if more {
            now.next += WRITES_PER_ROUND;
        } else if let Some(done) = underway.take() {
            self.keep_room(done.mail);
        }
        more
    }

    /// A round: has some of those who have something write it. True if there is more to do.
    fn make_round(&self) -> bool {
        let mut members = self.members();
        if self.has_one_thread && turn::is_nobodys() {
            if self.write_some(&mut members) {
                self.release(members);
                return true;
            }
        } else {
            self.deliver(&mut members, false);
        }
        let waiting = &mut members.after.due;
        let count = waiting.len().min(WRITES_PER_ROUND);
        let due: Vec<_> = waiting.drain(..count).collect();
        let more = !waiting.is_empty();
        if !more {
            waiting.shrink_to(DUE_KEPT);
        }
        self.release(members);
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
        self.deliver(&mut members, false);
        let result = subscriber.join(name, max, || self.registry.enter(name, slow, self));
        if let Ok(Some(topic)) = &result {
            if subscriber.is_compressed() {
                self.registry.expect_compression();
            }
            members.topics.entry(address(topic)).or_default().insert(subscriber);
            if topic.waiting_max().is_some() && subscriber.is_queued() {
                // Whether its carrier takes that is to be known before it is published to.
                members.after.due.push_back(subscriber.clone());
            }
        }
        self.release(members);
        self.wake();
        self.registry.tell();
        result.map(|topic| topic.is_some())
    }

    /// Unsubscribes; false if it was not subscribed.
    pub(crate) fn unsubscribe(self: &Arc<Self>, subscriber: &Shared, name: &str) -> bool {
        let mut members = self.members();
        // What was published before is still for it.
        self.deliver(&mut members, false);
        let topic = subscriber.part(name);
        if let Some(topic) = &topic {
            self.forget(&mut members, subscriber, topic);
        }
        self.release(members);
        self.wake();
        self.registry.tell();
        topic.is_some()
    }

    /// A subscriber's connection is over.
    pub(crate) fn leave(self: &Arc<Self>, subscriber: &Shared, topics: &[Arc<Topic>]) {
        let mut members = self.members();
        if members.underway.is_some() {
            // Places in lists change now.
            self.deliver(&mut members, false);
        }
        for topic in topics {
            self.forget(&mut members, subscriber, topic);
        }
        self.release(members);
        self.registry.tell();
    }

    fn forget(self: &Arc<Self>, members: &mut Members, subscriber: &Shared, topic: &Arc<Topic>) {
        if let Some(subscribers) = members.topics.get_mut(&address(topic)) {
            subscribers.remove(subscriber);
            if subscribers.list.is_empty() {
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

impl Subscribers {
    fn insert(&mut self, subscriber: &Arc<Shared>) {
        self.places.insert(subscriber.address(), self.list.len());
        self.list.push(Subscriber { shared: subscriber.clone(), transport: subscriber.transport() });
    }

    fn remove(&mut self, subscriber: &Shared) {
        let Some(place) = self.places.remove(&subscriber.address()) else { return };
        self.list.swap_remove(place);
        if let Some(moved) = self.list.get(place) {
            self.places.insert(moved.shared.address(), place);
        }
    }
}

/// How many publications at the beginning go to the same subscribers and may leave together.
fn first_run(mail: &[Mail]) -> usize {
    let Some(first) = mail.first() else { return 0 };
    let mut bytes = 0;
    let together = mail.iter().take_while(|each| {
        bytes += each.framed.len();
        Arc::ptr_eq(&each.topic, &first.topic) && bytes <= RUN_BYTES_MAX
    });
    together.count().max(1)
}

impl Underway {
    fn run<'a>(&'a self, mailroom: &'a Mailroom) -> Run<'a> {
        Run::new(&self.mail, &self.joined, mailroom)
    }
}

impl<'a> Run<'a> {
    fn new(mail: &'a [Mail], joined: &'a Joined, mailroom: &'a Mailroom) -> Run<'a> {
        Run { topic: &mail[0].topic, mail, joined, mailroom }
    }

    /// How many bytes it is, uncompressed.
    pub(crate) fn len(&self) -> usize {
        self.mail.iter().map(|each| each.framed.len()).sum()
    }

    /// All in one, if the subscriber gets all of them.
    #[inline]
    pub(crate) fn joined(&self, subscriber: usize, kind: &FramedKind) -> Option<&'a Framed> {
        let all = self.mail.iter().all(|each| each.except != subscriber);
        all.then(|| self.joined.0[kind.index()].get_or_init(|| self.mailroom.join(self.mail, kind)))
    }

    /// Those that the subscriber gets, one by one.
    pub(crate) fn each(&self, subscriber: usize, kind: &FramedKind) -> impl Iterator<Item = &'a Framed> {
        let theirs = self.mail.iter().filter(move |each| each.except != subscriber);
        theirs.map(move |each| self.mailroom.form(each, kind))
    }
}
