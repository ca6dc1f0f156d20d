//! The sending end of a connection, for any task and any thread.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sotong_proto::handshake::{Request, Response};
use sotong_proto::{Close, CloseCode, Closed, Config, Initiator, Refused};

use crate::driver::outbound::Over;
use crate::driver::shared::Shared;
use crate::error::{Error, SendError, TrySendError};
use crate::outgoing::Outgoing;
use crate::peer::Peer;
use crate::topics::{SubscribeError, Topics};

/// Sends on one connection. Clone it and hand it to whoever has something to say; a clone costs a counter.
///
/// Messages of one sender arrive in the order in which they were accepted. An accepted message is offered to the
/// kernel before the thread that owns the connection next goes idle, with no further call.
///
/// When the connection is over, a `Sender` keeps a few hundred bytes and no socket.
///
/// ```
/// use sotong::{Error, WebSocket};
///
/// async fn clock(mut socket: WebSocket) -> Result<(), Error> {
///     let sender = socket.sender();
///     tokio::spawn(async move {
///         let mut ticks = tokio::time::interval(std::time::Duration::from_secs(1));
///         loop {
///             ticks.tick().await;
///             if sender.send("tick").await.is_err() {
///                 break; // the connection is over
///             }
///         }
///     });
///     while socket.recv().await?.is_some() {}
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Sender {
    shared: Arc<Shared>,
}

impl Sender {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Sender { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Accepts a message now or not at all.
    ///
    /// A borrowed payload is copied into the bytes that wait; an owned one of 16 KiB or more is sent by reference.
    ///
    /// # Errors
    /// [`TrySendError::Full`] when [`outbox_bytes_max`](crate::Config::outbox_bytes_max) bytes wait already, and
    /// [`TrySendError::Closed`] when the connection is closing or closed. Both hand the message back. What the callbacks of a
    /// client in event form send has as much room of its own, whatever others have sent.
    #[inline]
    pub fn try_send(&self, message: impl Outgoing) -> Result<(), TrySendError> {
        let corked = if message.goes_by_reference() { None } else { self.shared.try_cork(message.lend()) };
        if let Some(true) = corked {
            return Ok(());
        }
        let carried = message.carry();
        if corked.is_some() {
            return Err(TrySendError::Full(carried.into_message()));
        }
        match self.shared.try_queue(&carried) {
            Ok(()) => Ok(()),
            Err(Refused::Full) => Err(TrySendError::Full(carried.into_message())),
            Err(Refused::Closed) => Err(TrySendError::Closed(carried.into_message())),
        }
    }

    /// Accepts a message as soon as there is room for it.
    ///
    /// # Errors
    /// When the connection is closing or closed, before there was room or already.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the message was not accepted, and nothing of it is sent.
    pub async fn send(&self, message: impl Outgoing) -> Result<(), SendError> {
        let carried = message.carry();
        match self.shared.try_send(&carried) {
            Ok(()) => return Ok(()),
            Err(Refused::Full) => {}
            Err(Refused::Closed) => return Err(SendError(self.end())),
        }
        while let Some(room) = self.shared.send_or_wait(&carried).map_err(SendError)? {
            room.await;
        }
        Ok(())
    }

    /// Subscribes the connection to a topic of its server: what is published there from now on is sent to it. False if it
    /// is subscribed already. See [`Topics`](crate::Topics).
    ///
    /// It ends with the connection, or by [`unsubscribe`](Self::unsubscribe).
    ///
    /// # Errors
    /// When the connection is closing or closed, has [too many](crate::Topics::with_subscriptions_max) subscriptions, or
    /// is a client's; when the name is too long.
    pub fn subscribe(&self, topic: &str) -> Result<bool, SubscribeError> {
        let mailroom = self.shared.mailroom().ok_or(SubscribeError::NoTopics)?;
        mailroom.subscribe(&self.shared, topic)
    }

    /// Ends a subscription. False if there was none. What was published before is still sent, unless the connection is
    /// behind and the topic [leaves out](crate::Slow) what is old.
    #[expect(clippy::must_use_candidate, reason = "not having been subscribed is fine")]
    pub fn unsubscribe(&self, topic: &str) -> bool {
        self.shared.mailroom().is_some_and(|mailroom| mailroom.unsubscribe(&self.shared, topic))
    }

    /// Publishes to everybody else who is subscribed to a topic of the server. Returns for how many it is.
    ///
    /// The connection itself need not be subscribed. To have it back, too, publish with the server's
    /// [`Topics`](crate::Topics).
    pub fn publish(&self, topic: &str, message: impl Outgoing) -> usize {
        self.shared.mailroom().map_or(0, |mailroom| {
            Topics::from(mailroom.registry().clone()).publish_except(topic, message, self)
        })
    }

    /// Ready when everything that was accepted before is with the kernel.
    ///
    /// That the peer has it, only the peer can say.
    ///
    /// # Errors
    /// When the connection ends before.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub async fn flushed(&self) -> Result<(), SendError> {
        if let Some(flushed) = self.shared.flush()
            && flushed.await.is_ok()
        {
            return Ok(());
        }
        Err(SendError(self.end()))
    }

    /// Sends a Ping and returns how long its Pong took to come back.
    ///
    /// Keep-alive pings are sent without this; it is for those who want to know the latency. The payload is a
    /// counter. A Pong to a later Ping, a keep-alive's too, answers all before it: a peer may answer only the latest one
    /// (RFC 6455, section 5.5.3). At most 64 may be on their way; one more, and the oldest ends with an error.
    ///
    /// # Errors
    /// When the connection ends before the answer.
    ///
    /// # Cancel safety
    /// Dropping it sends nothing less: the Pong is then nobody's.
    pub async fn ping(&self) -> Result<Duration, SendError> {
        if let Some(latency) = self.shared.ping()
            && let Ok(latency) = latency.await
        {
            return Ok(latency);
        }
        Err(SendError(self.end()))
    }

    /// Begins to close: a Close frame goes out after everything that was accepted. False if it is closing or
    /// closed already.
    ///
    /// A reason above 123 bytes is cut between two characters. The end comes when the peer has answered, or
    /// [`close_timeout`](crate::Config::close_timeout) later; [`closed`](Self::closed) tells.
    #[expect(clippy::must_use_candidate, reason = "closing twice is fine")]
    pub fn close(&self, code: CloseCode, reason: &str) -> bool {
        self.shared.close(Close::new(code, reason), Initiator::Local)
    }

    /// Gives this connection other limits and deadlines than its server or client has: larger ones for a peer that has
    /// proved who it is, or smaller ones.
    ///
    /// They hold from the next read on. Deadlines that run already stay; `handshake_*`, `head_*` and
    /// `inbox_bytes_max` have had their effect and change nothing.
    ///
    /// ```no_run
    /// use sotong::{Config, Error, WebSocket};
    ///
    /// # fn is_valid(_: &sotong::Message) -> bool { true }
    /// async fn upload(mut socket: WebSocket) -> Result<(), Error> {
    ///     // Until it has said who it is, a peer may send little.
    ///     match socket.recv().await? {
    ///         Some(password) if is_valid(&password) => {}
    ///         _ => return Ok(()),
    ///     }
    ///     socket.sender().raise_limits(Config::default().with_message_bytes_max(64 * 1024 * 1024));
    ///     while let Some(file) = socket.recv().await? {
    ///         println!("{} bytes", file.as_bytes().len());
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn raise_limits(&self, config: Config) {
        self.shared.raise_limits(Arc::new(config));
    }

    /// Ready when the connection is over: how it ended.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub async fn closed(&self) -> Arc<Closed> {
        self.over().await.closed
    }

    /// The same, and what went wrong.
    pub(crate) async fn over(&self) -> Over {
        loop {
            match self.shared.over_or_wait() {
                Ok(over) => return over,
                Err(end) => end.await,
            }
        }
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closing()
    }

    /// How many bytes wait to be sent, frame headers counted.
    pub fn buffered_bytes(&self) -> usize {
        self.shared.lock().outbox.len()
    }

    /// The address of the peer, as the socket has it; `None` if it has none (a unix socket, a stream of yours).
    ///
    /// Behind a proxy that is the proxy's. For the person's see [`client_ip`](Self::client_ip).
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.shared.peer.addr()
    }

    /// The address of the client: the peer's own, or what a proxy says that the server was told to trust.
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.shared.peer.client_ip()
    }

    /// The connection's number in this process, as logs have it.
    pub fn id(&self) -> u64 {
        self.shared.peer.id
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.shared.peer
    }

    /// What the peer asked for: path, query, headers.
    pub fn request(&self) -> &Request {
        &self.shared.request
    }

    /// What the server answered: its headers. `None` on a server.
    pub fn response(&self) -> Option<&Response> {
        self.shared.response()
    }

    /// The sub-protocol that was agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.shared.request.protocol()
    }

    /// Whether both send on the same connection.
    pub fn is_same_connection(&self, other: &Sender) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    pub(crate) fn end(&self) -> Error {
        self.shared.lock().end_so_far()
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("id", &self.id())
            .field("peer", &format_args!("{}", self.peer()))
            .field("is_closed", &self.is_closed())
            .finish()
    }
}
