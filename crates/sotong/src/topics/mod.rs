//! Topics: what one says, many hear.
//!
//! ```text
//!  Topics (name ─► Topic) ──► one hand-over per worker ──► Mailroom ──► the outboxes of its subscribers
//!     registry.rs                                           mailroom.rs       driver/membership.rs
//! ```
//!
//! A publication is framed once. It goes to each worker that has subscribers, once, and from there to the connections of
//! that worker, each of which writes all that has come for it in one go.

pub(crate) mod mailroom;
pub(crate) mod registry;
mod slow;

use std::fmt;
use std::sync::Arc;

use sotong_proto::{Framed, Message};

use crate::outgoing::Outgoing;
use crate::sender::Sender;
pub(crate) use registry::Registry;
pub use slow::{Occupancy, Slow, TopicStats};

/// How many topics one connection may be subscribed to by default.
const SUBSCRIPTIONS_MAX: usize = 1024;
/// How long the name of a topic may be, in bytes.
const TOPIC_BYTES_MAX: usize = 1024;

/// The topics of a server: connections subscribe to them by name, and what is published reaches all subscribers.
///
/// A topic is there as long as somebody is subscribed to it. Any text of up to 1,024 bytes is a name.
///
/// Every [`Server`](crate::Server) has topics of its own; give it yours with
/// [`Server::with_topics`](crate::Server::with_topics) to set them up, or to share them between servers. A clone is the
/// same ones, for any task and any thread.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sotong::{Error, Server, Slow, Topics, WebSocket};
///
/// let topics = Topics::new().with_slow(|name| match name {
///     "prices" => Slow::KeepNewest, // a price replaces the one before it
///     _ => Slow::Close,             // of a chat nothing may be missing
/// });
/// let server = Server::bind("127.0.0.1:0").await?.with_topics(topics.clone());
/// let address = server.local_addr()?;
/// tokio::spawn(
///     server
///         .serve(async |mut socket: WebSocket| {
///             socket.subscribe("room")?;
///             while let Some(message) = socket.recv().await? {
///                 socket.publish("room", message); // to everybody else
///             }
///             Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
///         })
///         .into_future(),
/// );
///
/// let mut page = sotong::connect(&format!("ws://{address}/")).await?;
/// while topics.publish("room", "hello") == 0 {
///     tokio::task::yield_now().await; // until it is subscribed
/// }
/// assert_eq!(page.recv().await?, Some(sotong::Message::text("hello")));
/// # Ok(())
/// # }
/// ```
///
/// # Order
///
/// What one thread publishes to a topic, and sends to one of its subscribers, arrives there in that order. All
/// subscribers of a topic see its publications in the same order where they were published by one thread, or one after
/// the other. A subscriber gets what is published after [`subscribe`](Sender::subscribe) has returned, and nothing from
/// before the call. Where [`Slow`] leaves publications out, they have a way of their own as soon as the subscriber is
/// behind: other messages may overtake those that wait.
///
/// # Cost
///
/// A message is framed once and handed to each worker thread once. Publications that come together are written
/// together: sixteen to a thousand subscribers are a thousand writes. A subscription costs about 100 bytes.
#[derive(Clone, Default)]
pub struct Topics(Arc<Registry>);

impl Topics {
    /// Topics whose slow subscribers are closed.
    pub fn new() -> Topics {
        Topics::default()
    }

    fn with(self, change: impl FnOnce(&mut registry::Rules)) -> Topics {
        let rules = &self.0.rules;
        let mut rules = registry::Rules {
            slow: rules.slow.clone(),
            hook: rules.hook.clone(),
            notice: rules.notice.clone(),
            subscriptions_max: rules.subscriptions_max,
        };
        change(&mut rules);
        Topics(Registry::new(rules))
    }

    /// Decides, when a topic gets its first subscriber, what happens to those that are too slow for it. Default:
    /// [`Slow::Close`].
    ///
    /// This and the other `with_…` make new topics, without the subscribers of these: call them first.
    #[must_use]
    pub fn with_slow(self, slow: impl Fn(&str) -> Slow + Send + Sync + 'static) -> Topics {
        self.with(|rules| rules.slow = Some(Arc::new(slow)))
    }

    /// Is called when a topic gets its first subscriber, and when its last one has gone: to begin and to end what is
    /// made for it.
    ///
    /// It is called for one topic after the other, in the order in which it happened, by the task that subscribes or
    /// goes. It must not block; it may use topics. A panic is logged, and nothing else.
    #[must_use]
    pub fn with_hook(self, hook: impl Fn(&str, Occupancy) + Send + Sync + 'static) -> Topics {
        self.with(|rules| rules.hook = Some(Arc::new(hook)))
    }

    /// Makes a message for a subscriber for whom publications of a topic were left out: how many. It is sent before the
    /// next one of that topic. Default: none.
    #[must_use]
    pub fn with_skipped_notice(
        self,
        notice: impl Fn(&str, u64) -> Option<Message> + Send + Sync + 'static,
    ) -> Topics {
        self.with(|rules| rules.notice = Some(Arc::new(notice)))
    }

    /// How many topics one connection may be subscribed to; one more is an error. Default: 1,024.
    ///
    /// Raise it where your program decides what is subscribed to. Where clients do, it is what keeps one of them from
    /// filling the memory with names.
    #[must_use]
    pub fn with_subscriptions_max(self, subscriptions_max: usize) -> Topics {
        self.with(|rules| rules.subscriptions_max = subscriptions_max)
    }

    /// Publishes to all subscribers of a topic. Returns for how many it is.
    ///
    /// It waits for nothing. What has not been written yet when their worker has something else to do is written before
    /// that goes idle. To a topic without subscribers it does nothing. When 65,536 publications or 16 MiB wait for a
    /// worker, this call brings them to the outboxes of its subscribers, which takes as long as those are many.
    ///
    /// That a subscriber has it, only the subscriber can say; one that is too slow may be closed, or be left out
    /// ([`Slow`]).
    pub fn publish(&self, topic: &str, message: impl Outgoing) -> usize {
        self.0.publish(topic, || Framed::new(message.carry().as_ref()), 0)
    }

    /// Publishes to all subscribers of a topic but one. Returns for how many it is.
    pub fn publish_except(&self, topic: &str, message: impl Outgoing, except: &Sender) -> usize {
        let shared = except.shared();
        let is_subscribed = shared.is_member_of(topic);
        let all = self.0.publish(topic, || Framed::new(message.carry().as_ref()), shared.address());
        all.saturating_sub(usize::from(is_subscribed))
    }

    /// How many connections are subscribed to a topic.
    pub fn subscribers(&self, topic: &str) -> usize {
        self.0.find(topic).map_or(0, |topic| topic.subscribers())
    }

    /// How many topics have subscribers.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is subscribed to anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of the topics that have subscribers, in no order.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.0.names()
    }

    /// What was published, delivered and left out so far.
    pub fn stats(&self) -> TopicStats {
        self.0.stats()
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.0
    }
}

impl From<Arc<Registry>> for Topics {
    fn from(registry: Arc<Registry>) -> Topics {
        Topics(registry)
    }
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics")
            .field("len", &self.len())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Why a connection could not be subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// It is closing or closed.
    Closed,
    /// It is subscribed to as many topics as it may be: [`Topics::with_subscriptions_max`].
    TooMany {
        /// The limit.
        max: usize,
    },
    /// The name of the topic is too long, in bytes.
    NameTooLong {
        /// How long it is.
        seen: usize,
        /// How long it may be.
        max: usize,
    },
    /// It is no connection of a server, so there are no topics.
    NoTopics,
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SubscribeError::Closed => f.write_str("not subscribed: the connection is closing or closed"),
            SubscribeError::TooMany { max } => {
                write!(
                    f,
                    "not subscribed: the connection has {max} subscriptions, and no more are allowed (subscriptions_max)"
                )
            }
            SubscribeError::NameTooLong { seen, max } => {
                write!(f, "not subscribed: the topic's name has {seen} bytes, at most {max} are allowed")
            }
            SubscribeError::NoTopics => {
                f.write_str("not subscribed: a client's connection has no topics, only a server's has")
            }
        }
    }
}

impl std::error::Error for SubscribeError {}
