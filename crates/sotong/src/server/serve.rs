//! A server at work, and its end.

use std::fmt;
use std::future::{IntoFuture, pending};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Server;
use super::accept::{self, Destination};
use super::admission::{Admission, Incoming};
use super::clients::Clients;
use super::launch::Launch;
use super::worker::Workers;
use crate::carrier::Carrier;
use crate::driver::budget::Budget;
use crate::driver::clock::Clock;
use crate::live::Live;
use crate::peer::Peer;
use crate::topics::Topics;

/// Over how long the closes of a graceful shutdown are spread by default.
const SHUTDOWN_WINDOW: Duration = Duration::from_secs(1);
/// How much longer than the window and the closing of a connection a shutdown waits: handlers may have last words.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a server stops.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// Over how long the closes are spread.
    pub(super) window: Duration,
    /// How long everything may take.
    pub(super) wait: Duration,
}

/// A server at work: await it.
///
/// It ends when its [`with_graceful_shutdown`](Self::with_graceful_shutdown) future does, and otherwise never.
/// Dropping it stops accepting and closes all connections with 1001.
///
/// ```no_run
/// use sotong::{Server, WebSocket};
///
/// # #[tokio::main]
/// # async fn main() -> std::io::Result<()> {
/// Server::bind("127.0.0.1:9001")
///     .await?
///     .serve(async |mut socket: WebSocket| while let Ok(Some(_)) = socket.recv().await {})
///     .with_threads(4)
///     .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
///     .await
/// # }
/// ```
#[must_use = "a server does nothing until it is awaited"]
pub struct Serve {
    server: Server,
    launch: Box<dyn Launch>,
    threads: usize,
    stop: Running,
    window: Duration,
    hook: Option<ShutdownHook>,
    handle: Handle,
    handed: mpsc::UnboundedReceiver<Incoming>,
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is run when a shutdown begins, and how long it may take.
struct ShutdownHook {
    limit: Duration,
    run: Box<dyn FnOnce(Handle) -> Running + Send>,
}

impl Serve {
    pub(super) fn new(server: Server, launch: impl Launch) -> Self {
        let (streams, handed) = mpsc::unbounded_channel();
        let budget = Budget::new(server.settings.buffered_bytes_max, server.settings.codec_bytes_max);
        let handle = Handle {
            streams,
            connections: Arc::new(Live::default()),
            budget,
            topics: server.settings.topics.clone(),
        };
        Serve {
            server,
            launch: Box::new(launch),
            threads: 0,
            stop: Box::pin(pending()),
            window: SHUTDOWN_WINDOW,
            hook: None,
            handle,
            handed,
        }
    }

    /// Serves on this many threads of its own, each with a runtime of its own, instead of the caller's runtime; 0
    /// stands for the caller's.
    ///
    /// A connection then lives on one thread from its handshake to its end, and so does its handler, which is polled in its
    /// connection's own task while that lasts. It is the fastest way to use several cores.
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// When `signal` is ready: stops accepting, closes every connection with 1001, spread over the
    /// [window](Self::with_shutdown_window), waits for the peers' answers, and ends.
    ///
    /// The wait is bounded: by the window, [`close_timeout`](crate::Config::close_timeout) and one second, and one
    /// second more for a worker thread that a handler blocks.
    ///
    /// Handshakes that are under way are dropped, and so are streams that
    /// [`with_pages`](Server::with_pages) was given.
    pub fn with_graceful_shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.stop = Box::pin(signal);
        self
    }

    /// Over how long a graceful shutdown spreads its closes. Default: 1 second.
    ///
    /// Peers that come back come back spread, too.
    pub fn with_shutdown_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Runs `hook` when a graceful shutdown begins: when nothing is accepted any more and handshakes are dropped, and
    /// before any connection is closed. The closes begin when it is done, or after `limit`, when it is dropped.
    ///
    /// It is the moment to tell a load balancer, to say goodbye to everybody, to save what connections know. Its
    /// [`Handle`] tells how many there are; streams it does not take any more. A hook that panics is done.
    ///
    /// ```no_run
    /// use sotong::{Error, Handle, Server, WebSocket};
    /// use std::time::Duration;
    ///
    /// # async fn tell_everybody(_: &str) {}
    /// # async fn example() -> std::io::Result<()> {
    /// Server::bind("127.0.0.1:9001")
    ///     .await?
    ///     .serve(async |mut socket: WebSocket| {
    ///         while socket.recv().await?.is_some() {}
    ///         Ok::<(), Error>(())
    ///     })
    ///     .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
    ///     .with_shutdown_hook(Duration::from_secs(5), |handle: Handle| async move {
    ///         println!("{} connections are going to be closed", handle.stats().connections);
    ///         tell_everybody("back in a minute").await;
    ///     })
    ///     .await
    /// # }
    /// ```
    pub fn with_shutdown_hook<F>(
        mut self,
        limit: Duration,
        hook: impl FnOnce(Handle) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.hook = Some(ShutdownHook { limit, run: Box::new(|handle| Box::pin(hook(handle))) });
        self
    }

    /// Hands streams of yours to this server.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    async fn run(self) -> io::Result<()> {
        let Serve { server, launch, threads, stop, window, hook, handle, mut handed } = self;
        let (shutting_down, shutdown) = watch::channel(false);
        let wait = window.saturating_add(server.settings.config.close_timeout).saturating_add(LAST_WORDS);
        let stopping = Stop { window, wait };
        let admission = Arc::new(Admission {
            clients: Clients::new(&server.settings.clients),
            settings: server.settings,
            launch,
            connections: handle.connections.clone(),
            budget: handle.budget.clone(),
            handshakes: Arc::new(Live::default()),
            handlers: Arc::new(Live::default()),
            shutdown,
        });
        let destination = match threads {
            0 => Destination::Here(Clock::start(&admission.budget, &admission.settings.topics)),
            threads => Destination::Workers(Workers::start(threads, &admission)?),
        };
        let mut at_work = StopWhenDropped(Some(destination));
        if let Some(destination) = &at_work.0 {
            let take_handed = async {
                while let Some(incoming) = handed.recv().await {
                    accept::admit(incoming, &admission, destination);
                }
                pending::<()>().await;
            };
            tokio::select! {
                () = accept::accept(&server.listeners, &admission, destination) => {}
                () = take_handed => {}
                () = admission.budget.keep() => {}
                () = admission.settings.secure.keep() => {}
                () = stop => {}
            }
        }
        drop(server.listeners);
        // From now on `Handle::accept` says that the server is gone.
        drop(handed);
        // Handshakes end with it.
        let _ = shutting_down.send(true);
        if let Some(hook) = hook {
            tokio::select! {
                () = hook.run(handle) => {}
                // All goes on as before meanwhile.
                () = admission.budget.keep() => {}
            }
        }
        match at_work.0.take() {
            Some(Destination::Here(clock)) => wait_for_the_end(&admission, &clock, stopping).await,
            Some(Destination::Workers(workers)) => workers.stop(stopping).await,
            None => {}
        }
        Ok(())
    }
}

impl ShutdownHook {
    /// Runs it, in a task of its own: a panic is its end only.
    async fn run(self, handle: Handle) {
        let ShutdownHook { limit, run } = self;
        // With the set, what is left of the task is dropped.
        let mut task = JoinSet::new();
        task.spawn(async move { run(handle).await });
        match tokio::time::timeout(limit, task.join_next()).await {
            Ok(Some(Err(error))) if error.is_panic() => {
                crate::counts::panicked();
                tracing::error!("the shutdown hook panicked");
            }
            Ok(_) => {}
            Err(_) => tracing::warn!(limit_ms = limit.as_millis(), "the shutdown hook took too long"),
        }
    }
}

/// Closes all connections, spread over the window, and waits for them and their handlers, in bounded time.
pub(super) async fn wait_for_the_end(admission: &Admission, clock: &Clock, stop: Stop) {
    clock.begin_shutdown(stop.window);
    wait_until_none_is_left(admission, stop.wait).await;
}

/// Waits for all connections and their handlers, in bounded time.
pub(super) async fn wait_until_none_is_left(admission: &Admission, wait: Duration) {
    let ended = async {
        admission.handshakes.none_left().await;
        admission.connections.none_left().await;
        admission.handlers.none_left().await;
    };
    if tokio::time::timeout(wait, ended).await.is_err() {
        let connections = admission.connections.count();
        let handlers = admission.handlers.count();
        tracing::warn!(connections, handlers, "some did not end in time for the shutdown");
    }
}

impl Default for Stop {
    /// For a server that is dropped: at once, with a moment for the closes to leave.
    fn default() -> Self {
        Stop { window: Duration::ZERO, wait: LAST_WORDS }
    }
}

/// Closes the connections of a `Serve` that is dropped before its end.
struct StopWhenDropped(Option<Destination>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        // Workers stop when the way to them is gone.
        if let Some(Destination::Here(clock)) = &self.0 {
            clock.begin_shutdown(Duration::ZERO);
        }
    }
}

impl IntoFuture for Serve {
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("server", &self.server)
            .field("threads", &self.threads)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

/// Tells how a server is doing, and hands it streams: connections that somebody else has accepted.
///
/// ```no_run
/// # async fn example(stream: tokio::net::TcpStream, read: Vec<u8>) -> std::io::Result<()> {
/// use sotong::{Error, Server, WebSocket};
///
/// let serve = Server::detached().serve(async |mut socket: WebSocket| {
///     while let Some(message) = socket.recv().await? {
///         socket.send(message).await?;
///     }
///     Ok::<(), Error>(())
/// });
/// let handle = serve.handle();
/// tokio::spawn(serve.into_future());
/// // `read` are the bytes that you have taken from the stream already; they come first.
/// handle.accept(stream, read)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Handle {
    streams: mpsc::UnboundedSender<Incoming>,
    connections: Arc<Live>,
    budget: Arc<Budget>,
    topics: Topics,
}

/// What a server holds now, and what it has had to do.
///
/// ```
/// # fn example(handle: &sotong::Handle) {
/// let stats = handle.stats();
/// println!("{} connections, {} bytes wait", stats.connections, stats.buffered_bytes);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections whose handshake is done.
    pub connections: usize,
    /// Bytes that wait, of all connections together, in steps of 16 KiB for each; see
    /// [`Server::with_buffered_bytes_max`].
    pub buffered_bytes: usize,
    /// Connections that were closed because that was too much.
    pub closed_for_memory: u64,
}

impl Stats {
    pub(super) fn of(connections: &Live, budget: &Budget) -> Stats {
        Stats {
            connections: connections.count(),
            buffered_bytes: budget.held_bytes(),
            closed_for_memory: budget.closed(),
        }
    }
}

impl Handle {
    /// What the server holds now.
    pub fn stats(&self) -> Stats {
        Stats::of(&self.connections, &self.budget)
    }

    /// The server's topics, to publish from outside any connection.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Takes a connection through its handshake and serves it: TCP, a unix socket, or any [`Carrier`]. `read` are the
    /// bytes that were read from it already.
    ///
    /// What was handed over before the server is awaited waits for that. The limits of the server hold for it too.
    ///
    /// # Errors
    /// When the server is gone or shuts down, or the stream is not connected. The stream is dropped then.
    pub fn accept(&self, stream: impl Into<Carrier>, read: Vec<u8>) -> io::Result<()> {
        let carrier = stream.into();
        carrier.set_nodelay()?;
        let peer = Peer::new(carrier.peer_addr()?);
        self.streams
            .send(Incoming { carrier, peer, read })
            .map_err(|_| io::Error::new(io::ErrorKind::NotConnected, "the server is gone"))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
