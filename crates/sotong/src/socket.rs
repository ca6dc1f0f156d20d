//! The pull form: one task, one loop.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use sotong_proto::handshake::{Request, Response};
use sotong_proto::{CloseCode, Closed, Message, Refused};
use tokio::sync::futures::OwnedNotified;

use crate::driver::inbox::{Inbox, Taken};
use crate::error::{Error, SendError};
use crate::handler;
use crate::outgoing::Outgoing;
use crate::outgoing::sealed::Carried;
use crate::sender::Sender;
use crate::topics::SubscribeError;

/// A connection, for a task that receives and sends in a loop of its own.
///
/// ```no_run
/// use sotong::{Error, WebSocket};
///
/// async fn echo(mut socket: WebSocket) -> Result<(), Error> {
///     while let Some(message) = socket.recv().await? {
///         socket.send(message).await?;
///     }
///     Ok(())
/// }
/// ```
///
/// Behind it a driver answers pings and sees closes while the task is busy, and gathers what the task sends: the
/// answers to all messages that came in one read leave in one write, without a flush of yours.
///
/// Dropping it closes the connection: with 1000, or with 1011 if the thread panics or the handler returned an
/// error. [`sender`](Self::sender) and [`split`](Self::split) give other tasks a voice.
///
/// It is a [`Stream`] of messages and a [`Sink`] for them, too.
pub struct WebSocket {
    socket: Sender,
    inbox: Arc<Inbox>,
    /// The messages that were taken out of the inbox and not asked for yet.
    batch: VecDeque<Message>,
    /// Whether the next send may write at once: it answers the last message of a batch. Without this limit a task
    /// that only sends would pay a system call per message.
    may_write: AtomicBool,
    ended: bool,
}

impl WebSocket {
    pub(crate) fn new(socket: Sender, inbox: Arc<Inbox>) -> Self {
        WebSocket { socket, inbox, batch: VecDeque::new(), may_write: AtomicBool::new(false), ended: false }
    }

    /// The next message; `None` when the connection was closed regularly (the peer's Close has come).
    ///
    /// After the end it returns `None` again.
    ///
    /// # Errors
    /// When the connection ended in any other way: the peer vanished, broke the protocol, took too long, or the
    /// network failed. Messages that came before are returned first.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, no message is lost: the next call returns it.
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>, Error>> + Send {
        poll_fn(|context| self.poll_recv(context))
    }

    /// [`recv`](Self::recv) for those who write futures by hand.
    ///
    /// # Errors
    /// As `recv`.
    #[inline]
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        if let Some(message) = self.batch.pop_front() {
            return Poll::Ready(Ok(Some(message)));
        }
        self.poll_batch(context)
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        let Poll::Ready(taken) = self.inbox.poll_take(&mut self.batch, context) else {
            // Everything that came is answered as far as it ever will be: a Close that waited for that may go. Looked
            // at once more, because it may have come since, with messages before it.
            if self.socket.shared().is_held() && self.inbox.is_empty() {
                self.socket.shared().release_close();
            }
            return Poll::Pending;
        };
        match taken {
            Taken::Messages => {
                *self.may_write.get_mut() = true;
                Poll::Ready(Ok(self.batch.pop_front()))
            }
            Taken::Over => {
                self.ended = true;
                let error = self.socket.shared().lock().over.as_ref().and_then(|over| over.error.clone());
                Poll::Ready(error.map_or(Ok(None), Err))
            }
        }
    }

    /// Sends a message, as soon as there is room for it.
    ///
    /// The answer to the last message that has come is written at once, with all answers before it; others leave
    /// before the thread goes idle.
    ///
    /// # Errors
    /// When the connection is closing or closed.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the message was not accepted, and nothing of it is sent.
    pub fn send<'a>(
        &'a self,
        message: impl Outgoing + 'a,
    ) -> impl Future<Output = Result<(), SendError>> + Send {
        // Written by hand, because an `async fn` would keep the message twice.
        let carried = message.carry();
        let mut is_first = true;
        let mut room: Option<Pin<Box<OwnedNotified>>> = None;
        poll_fn(move |context| {
            if std::mem::take(&mut is_first) {
                match self.send_now(&carried) {
                    Ok(()) => return Poll::Ready(Ok(())),
                    Err(Refused::Closed) => return Poll::Ready(Err(SendError(self.socket.end()))),
                    Err(Refused::Full) => {}
                }
            }
            loop {
                if let Some(room) = &mut room {
                    ready!(room.as_mut().poll(context));
                }
                match self.socket.shared().send_or_wait(&carried) {
                    Ok(None) => return Poll::Ready(Ok(())),
                    Ok(Some(wait)) => room = Some(Box::pin(wait)),
                    Err(error) => return Poll::Ready(Err(SendError(error))),
                }
            }
        })
    }

    #[inline]
    fn send_now(&self, carried: &Carried<'_>) -> Result<(), Refused> {
        if self.batch.is_empty() && self.may_write.swap(false, Ordering::Relaxed) {
            return self.socket.shared().send_directly(carried);
        }
        self.socket.shared().try_send(carried)
    }

    /// Subscribes to a topic of the server. See [`Sender::subscribe`].
    ///
    /// # Errors
    /// As there.
    pub fn subscribe(&self, topic: &str) -> Result<bool, SubscribeError> {
        self.socket.subscribe(topic)
    }

    /// Ends a subscription. See [`Sender::unsubscribe`].
    pub fn unsubscribe(&self, topic: &str) -> bool {
        self.socket.unsubscribe(topic)
    }

    /// Publishes to everybody else. See [`Sender::publish`].
    pub fn publish(&self, topic: &str, message: impl Outgoing) -> usize {
        self.socket.publish(topic, message)
    }

    /// A [`Sender`] for other tasks.
    pub fn sender(&self) -> Sender {
        self.socket.clone()
    }

    /// The two halves, for two tasks. There is nothing to pump: each half works by itself.
    ///
    /// The connection closes when the [`Receiver`] is dropped.
    pub fn split(self) -> (Sender, Receiver) {
        (self.socket.clone(), Receiver(self))
    }

    /// Closes: sends a Close frame after everything that was accepted, and waits for the end.
    ///
    /// Messages that still come are not returned any more. It ends within
    /// [`close_timeout`](crate::Config::close_timeout), whatever the peer does; what a slow peer has not taken by then
    /// is lost. Where that matters, wait for [`flushed`](Self::flushed) first.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the connection closes all the same.
    pub async fn close(self, code: CloseCode, reason: &str) -> Arc<Closed> {
        self.socket.close(code, reason);
        self.inbox.leave();
        self.socket.closed().await
    }

    /// Sends a Ping and returns how long its Pong took. See [`Sender::ping`].
    ///
    /// # Errors
    /// When the connection ends before the answer.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the Ping may have been sent; its Pong is then seen and forgotten.
    pub async fn ping(&self) -> Result<Duration, SendError> {
        self.socket.ping().await
    }

    /// Ready when everything that was accepted before is with the kernel. See [`Sender::flushed`].
    ///
    /// # Errors
    /// When the connection ends before.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing is lost: it only waits.
    pub async fn flushed(&self) -> Result<(), SendError> {
        self.socket.flushed().await
    }

    /// The address of the peer. See [`Sender::peer_addr`].
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.socket.peer_addr()
    }

    /// The address of the client. See [`Sender::client_ip`].
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.socket.client_ip()
    }

    /// The connection's number in this process, as logs have it.
    pub fn id(&self) -> u64 {
        self.socket.id()
    }

    /// What the peer asked for: path, query, headers.
    pub fn request(&self) -> &Request {
        self.socket.request()
    }

    /// What the server answered: its headers. `None` on a server.
    pub fn response(&self) -> Option<&Response> {
        self.socket.response()
    }

    /// The sub-protocol that was agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.socket.protocol()
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        self.inbox.leave();
        if std::thread::panicking() {
            self.socket.close(CloseCode::INTERNAL_ERROR, "internal error");
        } else if !handler::leave_closing_to_handler(self.socket.shared().address()) {
            self.socket.close(CloseCode::NORMAL, "");
        }
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Stream for WebSocket {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(context).map(Result::transpose)
    }
}

impl FusedStream for WebSocket {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl Sink<Message> for WebSocket {
    type Error = SendError;

    /// Ready when there is room for one more message of any size.
    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.socket.shared().poll_room(context).map_err(SendError)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        // `poll_ready` has promised room; another sender that took it since cannot make this message lost.
        self.socket.shared().send_promised(&Carried::Owned(message)).map_err(SendError)
    }

    /// Ready when everything is with the kernel.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.socket.shared().poll_empty(context).map_err(SendError)
    }

    /// Closes with 1000 and waits for the end.
    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.socket.close(CloseCode::NORMAL, "");
        self.inbox.leave();
        self.socket.shared().poll_over(context).map(|_| Ok(()))
    }
}

/// The receiving half of a [`WebSocket`] that was split.
///
/// Dropping it closes the connection with 1000.
///
/// ```
/// use sotong::{Error, WebSocket};
///
/// async fn talk(socket: WebSocket) -> Result<(), Error> {
///     let (sender, mut receiver) = socket.split();
///     tokio::spawn(async move { sender.send("from another task").await });
///     while let Some(message) = receiver.recv().await? {
///         println!("{message:?}");
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Receiver(WebSocket);

impl Receiver {
    /// The next message; see [`WebSocket::recv`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there: no message is lost.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.0.recv().await
    }

    /// A [`Sender`] for the same connection.
    pub fn sender(&self) -> Sender {
        self.0.sender()
    }
}

impl Stream for Receiver {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(Result::transpose)
    }
}
