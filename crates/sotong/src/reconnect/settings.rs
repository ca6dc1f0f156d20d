//! What a reconnecting client is told, and its hooks.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::ending::{Decision, End, Ending};
use super::queue::{Overflow, QueueLimits, Unconfirmed};
use super::socket::ReconnectingSocket;
use super::task;
use crate::carrier::Carrier;
use crate::client::Client;

/// What a hook says when it fails.
pub type HookError = Box<dyn StdError + Send + Sync>;

type Refreshed = Pin<Box<dyn Future<Output = Result<Target, HookError>> + Send>>;

/// Where to connect to, and how.
#[non_exhaustive]
pub struct Target {
    /// The settings of the connection: headers, sub-protocols, TLS.
    pub client: Client,
    /// `ws://` or `wss://`.
    pub url: String,
    /// A stream that is connected already: see [`Client::connect_over`]. Default: none, one is dialled.
    pub carrier: Option<Carrier>,
}

/// Without the URL: tokens travel there.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Target { client, url: _, carrier } = self;
        f.debug_struct("Target").field("client", client).field("carrier", carrier).finish_non_exhaustive()
    }
}

impl Target {
    /// Sets [`client`](Self::client).
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// Sets [`url`](Self::url).
    #[must_use]
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// Sets [`carrier`](Self::carrier): this try goes through a tunnel, a unix socket, memory.
    #[must_use]
    pub fn with_carrier(mut self, carrier: impl Into<Carrier>) -> Self {
        self.carrier = Some(carrier.into());
        self
    }
}

/// A try that is about to be made.
#[derive(Debug)]
#[non_exhaustive]
pub struct Try {
    /// 0 for the first connection of all; then the number of the try since the last stable connection.
    pub number: u32,
    /// Where to, as [`Reconnect`] was told it; never what the hook made of it the time before.
    pub target: Target,
    /// Why the one before is over; `None` at the first.
    pub last: Option<Ending>,
}

/// What a reconnecting client does now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum State {
    /// It refreshes its target and connects.
    Connecting {
        /// See [`Try::number`].
        number: u32,
    },
    /// It is connected.
    Open {
        /// Which connection this is, from 1 on.
        connection: u64,
    },
    /// It waits until the next try.
    Waiting {
        /// The number of that try.
        number: u32,
        /// How long; longer while too much is [kept](Reconnect::with_kept_bytes_max) that nobody takes.
        delay: Duration,
        /// Why the last one is over.
        because: Ending,
    },
    /// It is over.
    Ended(End),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Connecting { number: 0 } => f.write_str("connecting"),
            State::Connecting { number } => write!(f, "connecting, try {number}"),
            State::Open { connection } => write!(f, "connection {connection} is open"),
            State::Waiting { number, delay, because } => {
                write!(f, "{because}; try {number} in {:.1} s", delay.as_secs_f64())
            }
            State::Ended(end) => write!(f, "ended: {end}"),
        }
    }
}

/// The settings of a client that stays connected. [`connect`](Self::connect) starts it.
///
/// ```no_run
/// use sotong::reconnect::Reconnect;
///
/// # async fn fresh_token() -> Result<String, std::io::Error> { Ok(String::new()) }
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut socket = Reconnect::new("wss://example.com/chat")
///     .with_refresh(|mut next| async move {
///         let header = format!("Bearer {}", fresh_token().await?);
///         next.target.client = next.target.client.with_header("Authorization", header)?;
///         Ok(next.target)
///     })
///     .with_on_state(|state| println!("{state}"))
///     .connect();
/// socket.send("hello").await?;
/// while let Some(message) = socket.recv().await? {
///     println!("{message:?}"); // from this connection or the next
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Reconnect {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) backoff: Backoff,
    pub(super) limits: QueueLimits,
    pub(super) overflow: Overflow,
    pub(super) unconfirmed: Unconfirmed,
    pub(super) kept_bytes_max: usize,
    pub(super) close_timeout: Duration,
    pub(super) refresh_timeout: Duration,
    pub(super) refresh: Option<Arc<dyn Fn(Try) -> Refreshed + Send + Sync>>,
    pub(super) decide: Arc<dyn Fn(&Ending) -> Decision + Send + Sync>,
    pub(super) on_state: Arc<dyn Fn(&State) + Send + Sync>,
}

impl Reconnect {
    /// A client for this URL with the default settings. An URL that cannot be read shows as the end of the client.
    pub fn new(url: impl Into<String>) -> Self {
        Reconnect {
            client: Client::new(),
            url: url.into(),
            backoff: Backoff::default(),
            limits: QueueLimits::default(),
            overflow: Overflow::default(),
            unconfirmed: Unconfirmed::default(),
            kept_bytes_max: 1 << 20,
            close_timeout: Duration::from_secs(10),
            refresh_timeout: Duration::from_secs(30),
            refresh: None,
            decide: Arc::new(Ending::decision),
            on_state: Arc::new(|_| {}),
        }
    }

    /// Sets what each connection is made with. Default: [`Client::new`].
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// Sets when to try again, and how often.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how much may be accepted and not confirmed. Default: 1024 messages, 1 MiB.
    #[must_use]
    pub fn with_queue(mut self, limits: QueueLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets what happens to a message for which the queue has no room. Default: it is refused.
    #[must_use]
    pub fn with_overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Sets what happens to what was sent and not confirmed when a connection is lost. Default: it is forgotten, and
    /// counted.
    #[must_use]
    pub fn with_unconfirmed(mut self, unconfirmed: Unconfirmed) -> Self {
        self.unconfirmed = unconfirmed;
        self
    }

    /// Sets how many bytes may be kept of what lost connections had brought and nobody has taken, for the next try to be
    /// made. Default: 1 MiB. A message counts with its payload and the place that it takes, about 64 bytes.
    ///
    /// While more is kept the client is in [`State::Waiting`], until enough was taken. So what waits for `recv` is at most
    /// this, 16 messages, and twice what one connection holds
    /// ([`Config::inbox_bytes_max`](crate::Config::inbox_bytes_max)), however often connections are lost. Raise it for a
    /// client that is to go on sending while nobody takes what comes.
    #[must_use]
    pub fn with_kept_bytes_max(mut self, kept_bytes_max: usize) -> Self {
        self.kept_bytes_max = kept_bytes_max;
        self
    }

    /// Sets how long `close` may wait until everything that was accepted is confirmed. Default: 10 s.
    ///
    /// The closing handshake comes after that, see [`Config::close_timeout`](crate::Config::close_timeout).
    #[must_use]
    pub fn with_close_timeout(mut self, close_timeout: Duration) -> Self {
        self.close_timeout = close_timeout;
        self
    }

    /// Sets a hook that is called before each try, the first one too: for a token that has run out, another URL, a
    /// stream through a tunnel. It gets the target as it was set here and returns the one to use.
    ///
    /// One that fails, or takes longer than [`with_refresh_timeout`](Self::with_refresh_timeout), is a failed try. Its
    /// future is dropped when the client is closed.
    #[must_use]
    pub fn with_refresh<F>(mut self, refresh: impl Fn(Try) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Target, HookError>> + Send + 'static,
    {
        self.refresh = Some(Arc::new(move |next| Box::pin(refresh(next))));
        self
    }

    /// Sets how long the refresh hook may take. Default: 30 s.
    #[must_use]
    pub fn with_refresh_timeout(mut self, refresh_timeout: Duration) -> Self {
        self.refresh_timeout = refresh_timeout;
        self
    }

    /// Sets who decides whether to try again. Default: [`Ending::decision`], which a hook may ask, too.
    ///
    /// ```
    /// use sotong::reconnect::{Decision, Ending, Reconnect};
    ///
    /// let patient = Reconnect::new("wss://example.com/").with_decision(|ending| match ending {
    ///     Ending::Lost { closed, .. } if closed.code() == 1000 => Decision::Again,
    ///     other => other.decision(),
    /// });
    /// # let _ = patient;
    /// ```
    #[must_use]
    pub fn with_decision(mut self, decide: impl Fn(&Ending) -> Decision + Send + Sync + 'static) -> Self {
        self.decide = Arc::new(decide);
        self
    }

    /// Sets who is told each change of state, in order, in the client's own task: it should be quick.
    ///
    /// It is told at once, whether anybody takes messages or not: those that came before a connection was lost may still
    /// wait for `recv` then.
    #[must_use]
    pub fn with_on_state(mut self, on_state: impl Fn(&State) + Send + Sync + 'static) -> Self {
        self.on_state = Arc::new(on_state);
        self
    }

    /// Starts the client, in a task of its own. The first try begins at once; messages may be sent at once, too.
    ///
    /// # Panics
    /// Outside of a tokio runtime. That needs I/O and time enabled.
    #[must_use]
    pub fn connect(self) -> ReconnectingSocket {
        task::start(self)
    }
}

impl fmt::Debug for Reconnect {
    /// Without the URL: tokens travel there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("client", &self.client)
            .field("backoff", &self.backoff)
            .field("limits", &self.limits)
            .field("overflow", &self.overflow)
            .field("unconfirmed", &self.unconfirmed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_hook_gets_does_not_show_the_url() {
        let target =
            Target { client: Client::new(), url: "wss://u:hunter2@h/?hunter2".into(), carrier: None };
        let next = Try { number: 1, target, last: None };
        let shown = format!("{next:?}");
        assert!(shown.contains("number: 1") && !shown.contains("hunter2"), "{shown}");
    }
}
