//! Which topics there are, who hears of them on which worker, and what was told about them.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sotong_proto::{Close, CloseCode, Framed, Message};

use super::mailroom::{Mail, Mailroom};
use super::slow::{Occupancy, Slow, TopicStats};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};

type SlowRule = dyn Fn(&str) -> Slow + Send + Sync;
type Hook = dyn Fn(&str, Occupancy) + Send + Sync;
type Notice = dyn Fn(&str, u64) -> Option<Message> + Send + Sync;

/// All topics, behind every clone of [`Topics`](super::Topics).
#[derive(Default)]
pub(crate) struct Registry {
    pub(super) rules: Rules,
    /// Those that have subscribers.
    topics: Mutex<HashMap<Arc<str>, Arc<Topic>>>,
    /// What the hook has not been told yet, and whether somebody is telling it.
    news: Mutex<News>,
    pub(super) counts: Counts,
    /// Whether a subscriber was ever seen that may be sent compressed messages.
    has_compressed: AtomicBool,
}

/// What a program has decided about its topics.
pub(super) struct Rules {
    pub(super) slow: Option<Arc<SlowRule>>,
    pub(super) hook: Option<Arc<Hook>>,
    pub(super) notice: Option<Arc<Notice>>,
    pub(super) subscriptions_max: usize,
}

#[derive(Default)]
struct News {
    waiting: VecDeque<(Arc<str>, Occupancy)>,
    is_being_told: bool,
}

#[derive(Default)]
pub(super) struct Counts {
    published: AtomicU64,
    delivered: AtomicU64,
    skipped: AtomicU64,
    closed_as_slow: AtomicU64,
}

/// One topic, as long as it has subscribers.
pub(crate) struct Topic {
    name: Arc<str>,
    pub(super) slow: Slow,
    registry: Arc<Registry>,
    /// Counted under `places`; read without.
    subscribers: AtomicUsize,
    /// The workers that have subscribers, and how many.
    places: Mutex<Vec<Place>>,
}

struct Place {
    mailroom: Arc<Mailroom>,
    subscribers: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { slow: None, hook: None, notice: None, subscriptions_max: super::SUBSCRIPTIONS_MAX }
    }
}

/// A panic of the user's while it was locked leaves what is under these locks whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    pub(super) fn new(rules: Rules) -> Arc<Registry> {
        Arc::new(Registry { rules, ..Registry::default() })
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<Topic>> {
        lock(&self.topics).get(name).cloned()
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.topics).len()
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        lock(&self.topics).keys().cloned().collect()
    }

    /// What happens to slow subscribers of a topic, if this is its first one.
    pub(super) fn slow(&self, name: &str) -> Slow {
        let Some(slow) = &self.rules.slow else { return Slow::default() };
        if let Some(topic) = self.find(name) {
            // Its last subscriber may go before this one comes: then it lives again, with what was said of it.
            return topic.slow.clone();
        }
        catch_unwind(AssertUnwindSafe(|| slow(name))).unwrap_or_else(|_| {
            crate::counts::panicked();
            tracing::error!("the rule about a topic's slow subscribers panicked; they are closed");
            Slow::default()
        })
    }

    /// One more subscriber of the topic on this worker.
    ///
    /// The caller tells the [news](Self::tell) when it holds no lock.
    pub(super) fn enter(self: &Arc<Self>, name: &str, slow: Slow, mailroom: &Arc<Mailroom>) -> Arc<Topic> {
        let mut topics = lock(&self.topics);
        let known = topics.get(name).cloned();
        let topic = known.unwrap_or_else(|| {
            let topic = Topic::new(name, slow, self.clone());
            topics.insert(topic.name.clone(), topic.clone());
            self.note(&topic, Occupancy::Populated);
            topic
        });
        topic.subscribers.fetch_add(1, Ordering::Relaxed);
        let mut places = lock(&topic.places);
        match places.iter_mut().find(|place| Arc::ptr_eq(&place.mailroom, mailroom)) {
            Some(place) => place.subscribers += 1,
            None => places.push(Place { mailroom: mailroom.clone(), subscribers: 1 }),
        }
        drop(places);
        topic
    }

    /// One subscriber less. The caller tells the news when it holds no lock.
    pub(super) fn leave(&self, topic: &Arc<Topic>, mailroom: &Arc<Mailroom>) {
        let mut topics = lock(&self.topics);
        let mut places = lock(&topic.places);
        if let Some(at) = places.iter().position(|place| Arc::ptr_eq(&place.mailroom, mailroom)) {
            places[at].subscribers -= 1;
            if places[at].subscribers == 0 {
                places.swap_remove(at);
            }
        }
        if topic.subscribers.fetch_sub(1, Ordering::Relaxed) == 1 {
            topics.remove(&*topic.name);
            self.note(topic, Occupancy::Empty);
        }
    }

    fn note(&self, topic: &Topic, occupancy: Occupancy) {
        if self.rules.hook.is_some() {
            lock(&self.news).waiting.push_back((topic.name.clone(), occupancy));
        }
    }

    /// Tells the hook what is new, in the order in which it happened. One thread at a time does; the others leave it to
    /// that one, so that the hook may use topics itself.
    pub(super) fn tell(&self) {
        let Some(hook) = &self.rules.hook else { return };
        loop {
            let (name, occupancy) = {
                let mut news = lock(&self.news);
                if news.is_being_told {
                    return;
                }
                let Some(next) = news.waiting.pop_front() else { return };
                news.is_being_told = true;
                next
            };
            if catch_unwind(AssertUnwindSafe(|| hook(&name, occupancy))).is_err() {
                crate::counts::panicked();
                tracing::error!("the hook about topics panicked");
            }
            lock(&self.news).is_being_told = false;
        }
    }

    /// Hands a message to every worker that has subscribers, once to each. Returns for how many subscribers it is.
    pub(super) fn publish(&self, name: &str, framed: impl FnOnce() -> Framed, except: usize) -> usize {
        self.counts.published.fetch_add(1, Ordering::Relaxed);
        crate::counts::published();
        let Some(topic) = self.find(name) else { return 0 };
        let framed = framed();
        let framed = if self.has_compressed.load(Ordering::Relaxed) { framed.compressible() } else { framed };
        // Held until all have it, so that all workers see publications in the same order.
        let places = lock(&topic.places);
        let framed = charged(framed, &places);
        let mut full = Vec::new();
        for place in places.iter() {
            if place.mailroom.put(Mail { topic: topic.clone(), framed: framed.clone(), except }) {
                full.push(place.mailroom.clone());
            }
        }
        let subscribers = places.iter().map(|place| place.subscribers).sum();
        drop(places);
        full.iter().for_each(|mailroom| mailroom.deliver_first());
        subscribers
    }

    /// From now on publications have room for their compressed forms. One that is under way goes uncompressed.
    pub(super) fn expect_compression(&self) {
        self.has_compressed.store(true, Ordering::Relaxed);
    }

    pub(super) fn delivered(&self, messages: u64) {
        self.counts.delivered.fetch_add(messages, Ordering::Relaxed);
        crate::counts::delivered(messages);
    }

    pub(crate) fn skipped(&self, messages: u64) {
        self.counts.skipped.fetch_add(messages, Ordering::Relaxed);
        crate::counts::skipped(messages);
    }

    pub(super) fn closed_as_slow(&self) {
        self.counts.closed_as_slow.fetch_add(1, Ordering::Relaxed);
        crate::counts::closed_as_slow();
    }

    pub(super) fn stats(&self) -> TopicStats {
        let Counts { published, delivered, skipped, closed_as_slow } = &self.counts;
        TopicStats {
            published: published.load(Ordering::Relaxed),
            delivered: delivered.load(Ordering::Relaxed),
            skipped: skipped.load(Ordering::Relaxed),
            closed_as_slow: closed_as_slow.load(Ordering::Relaxed),
        }
    }
}

/// A publication that the budgets of all its workers know of, each once: servers may share topics.
fn charged(framed: Framed, places: &[Place]) -> Framed {
    let mut charges = Vec::new();
    for (at, place) in places.iter().enumerate() {
        let budget = place.mailroom.budget();
        if !places[..at].iter().any(|before| Arc::ptr_eq(before.mailroom.budget(), budget)) {
            charges.extend(budget.charge(framed.len()));
        }
    }
    if charges.is_empty() { framed } else { framed.with_guard(charges) }
}

impl Topic {
    fn new(name: &str, slow: Slow, registry: Arc<Registry>) -> Arc<Topic> {
        Arc::new(Topic {
            name: name.into(),
            slow,
            registry,
            subscribers: AtomicUsize::new(0),
            places: Mutex::new(Vec::new()),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    pub(super) fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    /// How many publications may wait for a subscriber that is behind; `None` where nothing is left out.
    pub(crate) fn waiting_max(&self) -> Option<usize> {
        match self.slow {
            Slow::Close | Slow::CloseWith(_) => None,
            Slow::DropOldest { messages_max } => Some(messages_max.max(1)),
            Slow::KeepNewest => Some(1),
        }
    }

    /// What a subscriber that is too slow is closed with.
    pub(crate) fn close(&self) -> Close {
        match &self.slow {
            Slow::CloseWith(close) => close.clone(),
            _ => Close::new(CloseCode::POLICY_VIOLATION, "too slow: too much waits to be sent"),
        }
    }

    /// What a subscriber is told about what it has missed.
    pub(crate) fn notice(&self, skipped: u64) -> Option<Message> {
        let notice = self.registry.rules.notice.as_ref()?;
        match catch_unwind(AssertUnwindSafe(|| notice(&self.name, skipped))) {
            Ok(message) => message,
            Err(_) => {
                crate::counts::panicked();
                tracing::error!("the notice about what a subscriber has missed panicked");
                None
            }
        }
    }
}
