//! The object: a handle to a socket.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use sotong_proto::{Close, CloseCode};

use super::error::{Error, SyntaxError};
use super::event::{BinaryType, CloseEvent, ErrorEvent, MessageEvent};
use super::listeners::{Call, Kind, ListenerId};
use super::on::sealed::Wrap;
use super::on::{self, EventKind};
use super::options::Options;
use super::protocols::Protocols;
use super::shared::{Hold, Phase, Pull, Shared};
use crate::handler::Outcome;
use crate::outgoing::Outgoing;

/// The browser's `WebSocket`. See the [module](super) for what is the same, and what is not.
///
/// A clone is another handle to the same socket. All methods may be called from any thread, and from inside listeners.
///
/// ```
/// use sotong::web::{WebSocket, on};
/// use sotong::{Error, Server};
/// use std::future::IntoFuture;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::bind("127.0.0.1:0").await?;
/// let url = format!("ws://{}/", server.local_addr()?);
/// tokio::spawn(server.serve(async |mut socket: sotong::WebSocket| {
///     while let Some(message) = socket.recv().await? {
///         socket.send(message).await?;
///     }
///     Ok::<(), Error>(())
/// }).into_future());
///
/// let (done, closed) = tokio::sync::oneshot::channel();
/// let mut done = Some(done);
/// let socket = WebSocket::new(&url)?;
/// socket.set_on_open(|socket| socket.send("소통"));
/// socket.set_on_message(|event| {
///     assert_eq!(event.data().as_text(), Some("소통"));
///     event.target().close();
/// });
/// socket.add_event_listener(on::CLOSE, move |event| {
///     assert!(event.was_clean());
///     drop(done.take().map(|done| done.send(event.code())));
/// });
/// assert_eq!(closed.await?, 1005); // we gave no code, so there is none in the answer
/// # Ok(())
/// # }
/// ```
pub struct WebSocket {
    shared: Arc<Shared>,
}

/// How far a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum ReadyState {
    /// There is no connection yet.
    Connecting = 0,
    /// Messages may go both ways.
    Open = 1,
    /// `close` was called, or the closing handshake has begun.
    Closing = 2,
    /// The connection is over, or there never was one.
    Closed = 3,
}

impl WebSocket {
    /// The number of [`ReadyState::Connecting`].
    pub const CONNECTING: u16 = ReadyState::Connecting as u16;
    /// The number of [`ReadyState::Open`].
    pub const OPEN: u16 = ReadyState::Open as u16;
    /// The number of [`ReadyState::Closing`].
    pub const CLOSING: u16 = ReadyState::Closing as u16;
    /// The number of [`ReadyState::Closed`].
    pub const CLOSED: u16 = ReadyState::Closed as u16;

    /// Makes a socket, which begins to connect in the background.
    ///
    /// The URL is read by the URL Standard's parser; `http:` stands for `ws:`, and `https:` for `wss:`. A relative one,
    /// and everything else that a page would provide, is a matter of [`Options`].
    ///
    /// It returns at once. What the network or the server does is told by events: an `error` and a `close` event if there
    /// is no connection. So it is with the ports that the Fetch Standard blocks, such as 25.
    ///
    /// # Errors
    /// [`Error::SyntaxError`] when the URL does not parse, has another scheme or a fragment. [`Error::NoRuntime`] outside
    /// of a tokio runtime, where there is nobody to connect; there is no panic.
    pub fn new(url: impl AsRef<str>) -> Result<WebSocket, Error> {
        Options::new().open(url)
    }

    /// [`new`](Self::new) with sub-protocols to offer, the favourite first: a string or several.
    ///
    /// The server has to choose one: by the standard, a server that chooses none fails the connection.
    ///
    /// # Errors
    /// As `new`; and [`Error::SyntaxError`] when a sub-protocol is not a token, or is there twice.
    pub fn with_protocols(url: impl AsRef<str>, protocols: impl Protocols) -> Result<WebSocket, Error> {
        Options::new().open_with_protocols(url, protocols)
    }

    /// The first handle, which [`Shared::new`] has counted.
    pub(super) fn first(shared: Arc<Shared>) -> WebSocket {
        WebSocket { shared }
    }

    /// One more.
    pub(super) fn another(shared: &Arc<Shared>) -> WebSocket {
        shared.lock().handles += 1;
        WebSocket { shared: shared.clone() }
    }

    /// How far it is.
    pub fn ready_state(&self) -> ReadyState {
        self.shared.ready_state()
    }

    /// The URL that it connects to, as the URL Standard writes it: `ws:` or `wss:`.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// The sub-protocol that the server has chosen; empty if none, and until it is open.
    pub fn protocol(&self) -> String {
        self.shared.lock().protocol.clone()
    }

    /// The extensions in use, as the server has written them; empty if none, and until it is open.
    pub fn extensions(&self) -> String {
        self.shared.lock().extensions.clone()
    }

    /// How many bytes were [sent](Self::send) and are not with the network yet: payloads only, text as UTF-8.
    ///
    /// A message counts from the call on, and until all that were sent with it are with the kernel; within a listener the
    /// number does not fall. What was sent too late, when the socket was closing or closed, counts for ever.
    pub fn buffered_amount(&self) -> usize {
        self.shared.lock().buffered
    }

    /// As what binary messages are given to listeners. Default: `blob`.
    pub fn binary_type(&self) -> BinaryType {
        self.shared.lock().binary_type
    }

    /// Sets [`binary_type`](Self::binary_type), for the messages whose events are still to come.
    pub fn set_binary_type(&self, binary_type: BinaryType) {
        self.shared.lock().binary_type = binary_type;
    }

    /// Sends a message: text (`&str`, `String`), or bytes (`&[u8]`, `Vec<u8>`, `Bytes`), whatever is [`Outgoing`].
    ///
    /// It never waits. In a socket that is closing or closed it does nothing but count. When more would wait than may
    /// ([`outbox_bytes_max`](crate::Config::outbox_bytes_max), frame headers counted, 64 MiB by [default](Options); one
    /// message of any size may wait alone), the standard has the connection dropped: an `error` event whose cause is
    /// [`Cause::Full`](super::Cause::Full), and a `close` event. [`buffered_amount`](Self::buffered_amount) tells before.
    ///
    /// # Errors
    /// [`Error::InvalidStateError`] while it is connecting.
    pub fn send(&self, data: impl Outgoing) -> Result<(), Error> {
        self.shared.send(&data.carry())
    }

    /// Closes, without a code. What was sent before goes out first.
    ///
    /// The `close` event comes when the server has answered, or some time later if it does not. While it is connecting,
    /// the attempt is given up; an `error` event comes before the `close` event then. When it is closing or closed, this
    /// does nothing.
    pub fn close(&self) {
        self.shared.close(Close::empty());
    }

    /// [`close`](Self::close) with a code and a reason, which the server is told.
    ///
    /// # Errors
    /// [`Error::InvalidAccessError`] if the code is neither 1000 nor one of 3000–4999; [`Error::SyntaxError`] if the
    /// reason is longer than 123 bytes. Both in every state, and nothing is changed then.
    pub fn close_with(&self, code: u16, reason: &str) -> Result<(), Error> {
        let allowed = CloseCode::new(code).filter(|_| matches!(code, 1000 | 3000..=4999));
        let code = allowed.ok_or(Error::InvalidAccessError { code })?;
        if reason.len() > Close::REASON_BYTES_MAX {
            return Err(SyntaxError::Reason { bytes: reason.len() }.into());
        }
        self.shared.close(Close::new(code, reason));
        Ok(())
    }

    /// Has `listener` called for each event of that kind, after those that were added before.
    ///
    /// It is called in a task of the runtime and must not block. What it returns may be a `Result`; an error is reported
    /// as a panic is, to `tracing`, and everything goes on.
    ///
    /// ```no_run
    /// # fn example(socket: &sotong::web::WebSocket) {
    /// use sotong::web::on;
    ///
    /// let mut count = 0;
    /// let id = socket.add_event_listener(on::MESSAGE, move |event| {
    ///     count += 1;
    ///     event.target().send(format!("{count}: {}", event.data()))
    /// });
    /// socket.remove_event_listener(id);
    /// # }
    /// ```
    pub fn add_event_listener<K: EventKind, R: Outcome>(
        &self,
        kind: K,
        listener: impl FnMut(&K::Event) -> R + Send + 'static,
    ) -> ListenerId {
        let _ = kind;
        self.add::<K, R>(listener, false)
    }

    /// [`add_event_listener`](Self::add_event_listener) for one event: it is removed before it is called.
    pub fn once<K: EventKind, R: Outcome>(
        &self,
        kind: K,
        listener: impl FnMut(&K::Event) -> R + Send + 'static,
    ) -> ListenerId {
        let _ = kind;
        self.add::<K, R>(listener, true)
    }

    fn add<K: EventKind, R: Outcome>(
        &self,
        listener: impl FnMut(&K::Event) -> R + Send + 'static,
        once: bool,
    ) -> ListenerId {
        let callback = <K as Wrap>::wrap(reporting(listener));
        self.shared.change(true, |listeners| listeners.add(callback, once))
    }

    /// Removes a listener: it is not called any more, not even for an event whose listeners are being called now. One
    /// that is not there is fine.
    pub fn remove_event_listener(&self, id: ListenerId) {
        self.shared.change(false, |listeners| ((), listeners.remove(id)));
    }

    /// Lets events go, whoever listens. See [the module](super) for when they are held.
    pub fn start(&self) {
        self.shared.start();
    }

    /// The [pull form](crate::WebSocket) of the same connection, as soon as it is open: to receive in a loop, with
    /// backpressure.
    ///
    /// From then on messages go there and to no listener; the other events go on, and so do `send` and `close` here. The
    /// connection then lives for as long as the pull form does. There is one.
    ///
    /// ```no_run
    /// use sotong::web::WebSocket;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut socket = WebSocket::new("wss://example.com/news")?.pull().await?;
    /// while let Some(message) = socket.recv().await? {
    ///     println!("{message:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NetworkError`] when there is no connection, or something went wrong with it before;
    /// [`Error::InvalidStateError`] when it was closed before, or the pull form was taken already.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, messages go to listeners as before, and none is lost.
    pub async fn pull(&self) -> Result<crate::WebSocket, Error> {
        let _waiting = Waiting::begin(&self.shared);
        loop {
            let mut lent = pin!(self.shared.lent.notified());
            // Before looking: what comes in between is not missed.
            lent.as_mut().enable();
            if let Some(result) = self.take_lent() {
                return result;
            }
            lent.await;
        }
    }

    fn take_lent(&self) -> Option<Result<crate::WebSocket, Error>> {
        let mut inside = self.shared.lock();
        match std::mem::replace(&mut inside.pull, Pull::Taken) {
            Pull::Lent(_, socket) => return Some(Ok(socket)),
            Pull::Taken => {
                return Some(Err(Error::InvalidStateError { what: "the pull form was taken already" }));
            }
            Pull::Unlent(waiting) => inside.pull = Pull::Unlent(waiting),
        }
        let closed = Error::InvalidStateError { what: "the socket is closed: there is no pull form" };
        matches!(inside.phase, Phase::Closed)
            .then(|| Err(inside.cause.clone().map_or(closed, Error::NetworkError)))
    }
}

/// Somebody waits for the pull form.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let mut inside = shared.lock();
        if let Pull::Unlent(waiting) | Pull::Lent(waiting, _) = &mut inside.pull {
            *waiting += 1;
        }
        inside.hold = Hold::Started;
        drop(inside);
        shared.news.notify_one();
        Waiting(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Pull::Unlent(waiting) | Pull::Lent(waiting, _) = &mut self.0.lock().pull {
            *waiting -= 1;
        }
        // The task takes back what nobody waits for; of several that wait, the others are told what became of it.
        self.0.news.notify_one();
        self.0.lent.notify_waiters();
    }
}

macro_rules! slots {
    ($($set:ident, $clear:ident, $kind:ident, $event:ty, $what:literal;)*) => {
        /// The slots: one listener of each kind that can be replaced.
        impl WebSocket {$(
            #[doc = concat!("Sets the slot for ", $what, ", in a page `on…`.")]
            ///
            /// It is called in its turn among the [listeners](Self::add_event_listener): at the place of its first
            /// setting. Setting it again replaces it there.
            pub fn $set<R: Outcome>(&self, listener: impl FnMut(&$event) -> R + Send + 'static) {
                let callback = <on::$kind as Wrap>::wrap(reporting(listener));
                self.shared.change(true, |listeners| ((), listeners.set_slot(callback)));
            }

            #[doc = concat!("Empties the slot for ", $what, ", as `null` does in a page; it loses its place, too.")]
            pub fn $clear(&self) {
                self.shared.change(false, |listeners| ((), listeners.clear_slot(Kind::$kind)));
            }
        )*}
    };
}

slots! {
    set_on_open, clear_on_open, Open, WebSocket, "`open` events";
    set_on_message, clear_on_message, Message, MessageEvent, "`message` events";
    set_on_error, clear_on_error, Error, ErrorEvent, "`error` events";
    set_on_close, clear_on_close, Close, CloseEvent, "the `close` event";
}

/// A listener whose error is reported.
fn reporting<E, R: Outcome>(mut listener: impl FnMut(&E) -> R + Send + 'static) -> Call<E> {
    Box::new(move |event| {
        if let Some(error) = listener(event).error() {
            tracing::error!(error, "a listener returned an error; the next one is called");
        }
    })
}

impl Clone for WebSocket {
    fn clone(&self) -> Self {
        WebSocket::another(&self.shared)
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        let mut inside = self.shared.lock();
        inside.handles -= 1;
        let is_last = inside.handles == 0;
        drop(inside);
        if is_last {
            self.shared.news.notify_one();
        }
    }
}

/// Whether both are handles to the same socket.
impl PartialEq for WebSocket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for WebSocket {}

impl fmt::Debug for WebSocket {
    /// Without the URL, in which tokens travel.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("ready_state", &self.ready_state()).finish_non_exhaustive()
    }
}
