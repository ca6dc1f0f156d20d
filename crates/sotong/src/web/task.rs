//! The task of a socket: it connects, and dispatches one event at a time.
//!
//! ```text
//!   handles ──► Shared ◄── Task ──► Client::connect ──► the pull form of the connection
//!     listeners, state        │ recv: one message, its listeners, the next one
//!                             │ news: start, close, a handle less, something sent, somebody wants the pull form
//! ```

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use sotong_proto::{Close, CloseCode, Closed, Config, Initiator, Message};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::cause::Cause;
use super::cookies::Cookies;
use super::event::{CloseEvent, ErrorEvent, MessageEvent};
use super::listeners::{Event, Kind, Listener};
use super::shared::{Hold, Inside, Phase, Pull, Shared};
use super::socket::WebSocket;
use crate::carrier::Carrier;
use crate::client::{Client, ConnectError};
use crate::sender::Sender;

/// How long an event that nobody listens for waits for another listener after the last one was set. A program's lines
/// that set them are microseconds apart, or as long as a busy machine lets a thread wait.
const SETTLING: Duration = Duration::from_millis(20);

/// What is to be connected to, and how.
pub(super) struct Plan {
    pub(super) client: Client,
    pub(super) bad_port: Option<u16>,
    /// Whether sub-protocols are offered.
    pub(super) wants_protocol: bool,
    pub(super) cookies: Option<Arc<dyn Cookies>>,
}

pub(super) struct Task {
    shared: Arc<Shared>,
    plan: Plan,
    /// For the listeners of an event; kept for its room.
    room: Vec<Arc<Listener>>,
}

/// Why it is over.
enum End {
    /// Nobody could notice.
    Abandoned,
    /// An `error` and a `close` event.
    Failed(Cause),
    /// A `close` event; before it an `error` event, if something went wrong.
    Over(Arc<Closed>, Option<Cause>),
}

impl Task {
    pub(super) fn new(shared: Arc<Shared>, plan: Plan) -> Self {
        Task { shared, plan, room: Vec::new() }
    }

    /// Over that carrier, or one of its own.
    pub(super) async fn run(mut self, carrier: Option<Carrier>) {
        let end = match self.connect(carrier).await {
            Ok(socket) => self.live(socket).await,
            Err(end) => end,
        };
        self.finish(end).await;
    }

    /// From nothing to a connection, unless `close` is called, or nobody waits for it any more.
    async fn connect(&self, carrier: Option<Carrier>) -> Result<crate::WebSocket, End> {
        if let Some(port) = self.plan.bad_port {
            return Err(End::Failed(Cause::BadPort { port }));
        }
        let (client, url) = (self.plan.client.clone(), self.shared.url.clone());
        let mut connecting = pin!(async move {
            match carrier {
                Some(carrier) => client.connect_over(carrier, &url).await,
                None => client.connect(&url).await,
            }
        });
        let connected = tokio::select! {
            biased;
            end = self.given_up() => return Err(end),
            connected = &mut connecting => connected,
        };
        self.keep_cookies(&connected);
        let socket = connected.map_err(|error| End::Failed(Cause::Connect(Arc::new(error))))?;
        if self.plan.wants_protocol && socket.protocol().is_none() {
            // Stricter than RFC 6455 (WHATWG WebSockets, section 2.2: null is a failure when some were asked for).
            socket.sender().close(CloseCode::PROTOCOL_ERROR, "no sub-protocol was chosen");
            return Err(End::Failed(Cause::NoProtocol));
        }
        Ok(socket)
    }

    /// Ready when there is no point in connecting any more.
    async fn given_up(&self) -> End {
        loop {
            {
                let inside = self.shared.lock();
                if inside.is_abandoned() {
                    return End::Abandoned;
                }
                if !matches!(inside.phase, Phase::Connecting) {
                    return End::Failed(Cause::Aborted);
                }
            }
            self.shared.news.notified().await;
        }
    }

    fn keep_cookies(&self, connected: &Result<crate::WebSocket, ConnectError>) {
        let Some(cookies) = &self.plan.cookies else { return };
        let fields: Vec<(&str, &[u8])> = match connected {
            Ok(socket) => socket.response().map(|response| response.headers().collect()).unwrap_or_default(),
            Err(ConnectError::Refused(refused)) => refused.headers().collect(),
            Err(_) => return,
        };
        let told = catch_unwind(AssertUnwindSafe(|| {
            for (name, value) in fields {
                if name.eq_ignore_ascii_case("Set-Cookie")
                    && let Ok(value) = str::from_utf8(value)
                {
                    cookies.store(&self.shared.url, value);
                }
            }
        }));
        if told.is_err() {
            tracing::error!("the keeper of cookies panicked");
        }
    }

    /// From the connection to its end.
    async fn live(&mut self, mut socket: crate::WebSocket) -> End {
        if self.held_or_closing().await.is_none() {
            socket.sender().shared().close(Close::empty(), Initiator::Local);
            return End::Abandoned;
        }
        self.settle(Kind::Open).await;
        if !self.open(&socket) {
            // `close` was called before: the connection fails (section 3.1).
            socket.sender().close(CloseCode::GOING_AWAY, "");
            return End::Failed(Cause::Aborted);
        }
        let sender = socket.sender();
        let mut flushing = Flushing::default();
        loop {
            match self.next(&sender, &mut flushing) {
                Next::Wait => {}
                Next::End(end) => return end,
                Next::Lend => match self.lend(socket, &sender, &mut flushing).await {
                    Ok(taken_back) => socket = taken_back,
                    Err(end) => return end,
                },
            }
            let shared = &self.shared;
            // Whichever: none of them is to keep the others from their turn.
            let received = tokio::select! {
                () = shared.news.notified() => continue,
                () = flushing.done(shared) => continue,
                received = receive(shared, &mut socket) => received,
            };
            match received {
                Ok(Some(message)) => self.message(message).await,
                Ok(None) | Err(_) => return over(&sender).await,
            }
        }
    }

    /// Waits until events may go. `None` if nobody could notice any more.
    async fn held(&self) -> Option<()> {
        self.until(|inside| inside.hold != Hold::Held).await
    }

    /// The same, or until `close` was called: that is done at once, whoever listens.
    async fn held_or_closing(&self) -> Option<()> {
        self.until(|inside| inside.hold != Hold::Held || !matches!(inside.phase, Phase::Connecting)).await
    }

    async fn until(&self, is_so: impl Fn(&Inside) -> bool) -> Option<()> {
        loop {
            {
                let inside = self.shared.lock();
                if inside.is_abandoned() {
                    return None;
                }
                if is_so(&inside) {
                    return Some(());
                }
            }
            self.shared.news.notified().await;
        }
    }

    /// Waits, before an event that nobody listens for, until whoever sets listeners has had the time to set them all.
    async fn settle(&self, kind: Kind) {
        loop {
            let until = {
                let inside = self.shared.lock();
                match inside.hold {
                    Hold::Listening(since) if !inside.listeners.has_any(&[kind]) => since + SETTLING,
                    _ => return,
                }
            };
            if until <= Instant::now() {
                return;
            }
            tokio::select! {
                () = self.shared.news.notified() => {}
                () = sleep_until(until) => {}
            }
        }
    }

    /// The `open` event; false if `close` was called before (section 4).
    fn open(&mut self, socket: &crate::WebSocket) -> bool {
        {
            let mut inside = self.shared.lock();
            if !matches!(inside.phase, Phase::Connecting) {
                return false;
            }
            self.shared.set_idle(false);
            inside.phase = Phase::Open(socket.sender());
            let header = |name| socket.response().and_then(|response| response.header(name));
            inside.extensions = header("Sec-WebSocket-Extensions").unwrap_or_default().to_owned();
            inside.protocol = socket.protocol().unwrap_or_default().to_owned();
        }
        self.dispatch(&Event::Open(WebSocket::another(&self.shared)));
        self.shared.change(false, |listeners| ((), listeners.open_is_over()));
        true
    }

    /// One `message` event, if the socket is still open (section 4).
    async fn message(&mut self, message: Message) {
        self.settle(Kind::Message).await;
        let binary_type = {
            let inside = self.shared.lock();
            if !matches!(inside.phase, Phase::Open(_)) {
                return;
            }
            inside.binary_type
        };
        let data = match message {
            Message::Text(text) => super::Data::Text(text),
            Message::Binary(bytes) => binary_type.wrap(bytes),
        };
        let (target, origin) = (WebSocket::another(&self.shared), self.shared.origin.clone());
        self.dispatch(&Event::Message(MessageEvent { target, data, origin }));
        // Others of this thread want their turn, however much has come.
        tokio::task::consume_budget().await;
    }

    fn dispatch(&mut self, event: &Event) {
        self.shared.dispatch(event, &mut self.room);
    }

    /// What is to be done before waiting.
    fn next(&self, sender: &Sender, flushing: &mut Flushing) -> Next {
        flushing.begin(&self.shared, sender);
        let inside = self.shared.lock();
        if inside.is_full {
            drop(inside);
            // Dropped, not closed: whoever does not read would not read the Close either.
            sender.raise_limits(Config::default().with_close_timeout(Duration::ZERO));
            sender.close(CloseCode::GOING_AWAY, "");
            return Next::End(End::Failed(Cause::Full));
        }
        if inside.is_abandoned() {
            drop(inside);
            sender.shared().close(Close::empty(), Initiator::Local);
            return Next::End(End::Abandoned);
        }
        match (&inside.pull, &inside.phase) {
            (Pull::Unlent(1..), Phase::Open(_)) => Next::Lend,
            _ => Next::Wait,
        }
    }

    /// Gives the pull form to whoever waits for it. It comes back if nobody does any more.
    async fn lend(
        &self,
        socket: crate::WebSocket,
        sender: &Sender,
        flushing: &mut Flushing,
    ) -> Result<crate::WebSocket, End> {
        {
            let mut inside = self.shared.lock();
            let Pull::Unlent(waiting) = inside.pull else { return Ok(socket) };
            inside.pull = Pull::Lent(waiting, socket);
        }
        self.shared.lent.notify_waiters();
        self.shared.set_idle(true);
        loop {
            {
                let mut inside = self.shared.lock();
                if let Pull::Lent(0, _) = inside.pull
                    && let Pull::Lent(_, socket) = std::mem::replace(&mut inside.pull, Pull::Unlent(0))
                {
                    return Ok(socket);
                }
            }
            if let Next::End(end) = self.next(sender, flushing) {
                return Err(end);
            }
            tokio::select! {
                () = self.shared.news.notified() => {}
                () = flushing.done(&self.shared) => {}
                end = over(sender) => return Err(end),
            }
        }
    }

    /// The last events (section 4: "when the WebSocket connection is closed").
    async fn finish(mut self, end: End) {
        self.shared.set_idle(true);
        if matches!(end, End::Abandoned) || self.held().await.is_none() {
            return;
        }
        let (closed, cause) = match end {
            End::Abandoned => return,
            End::Failed(cause) => (Arc::new(Closed::vanished()), Some(cause)),
            End::Over(closed, cause) => (closed, cause),
        };
        if cause.is_some() {
            self.settle(Kind::Error).await;
        }
        self.settle(Kind::Close).await;
        self.shared.lock().cause = cause.clone();
        self.shared.closed();
        self.shared.lent.notify_waiters();
        if let Some(cause) = cause {
            let target = WebSocket::another(&self.shared);
            self.dispatch(&Event::Error(ErrorEvent { target, cause }));
        }
        self.dispatch(&Event::Close(CloseEvent {
            target: WebSocket::another(&self.shared),
            was_clean: closed.clean,
            code: closed.code(),
            reason: closed.reason().into(),
        }));
    }
}

impl Drop for Task {
    /// However it ends, also with its runtime: nobody will be called any more, and what listeners hold is set free.
    fn drop(&mut self) {
        self.shared.closed();
        self.shared.change(false, |listeners| ((), listeners.end()));
        self.shared.lent.notify_waiters();
    }
}

/// What is to be done.
enum Next {
    Wait,
    Lend,
    End(End),
}

/// The next message. While there is none, all that has come is told.
async fn receive(shared: &Shared, socket: &mut crate::WebSocket) -> Result<Option<Message>, crate::Error> {
    poll_fn(|context| {
        let received = socket.poll_recv(context);
        shared.set_idle(received.is_pending());
        received
    })
    .await
}

/// How a connection ended, when it has.
async fn over(sender: &Sender) -> End {
    let over = sender.over().await;
    End::Over(over.closed, over.error.map(Cause::Connection))
}

/// What waits to be with the network.
#[derive(Default)]
struct Flushing(Option<(usize, oneshot::Receiver<()>)>);

impl Flushing {
    /// Waits for all that was sent and is not waited for yet.
    fn begin(&mut self, shared: &Shared, sender: &Sender) {
        if self.0.is_some() {
            return;
        }
        let bytes = std::mem::take(&mut shared.lock().unflushed);
        if bytes > 0 {
            // Not under our lock, because it may wake somebody. If the connection is over, they never will be with the
            // network, and count for ever.
            self.0 = sender.shared().flush().map(|flushed| (bytes, flushed));
        }
    }

    /// Ready when that is with the network.
    async fn done(&mut self, shared: &Shared) {
        let Some((bytes, flushed)) = &mut self.0 else { return pending().await };
        let flushed = poll_fn(|context| match pin!(&mut *flushed).poll(context) {
            Poll::Ready(flushed) => Poll::Ready(flushed.is_ok()),
            Poll::Pending => Poll::Pending,
        });
        if flushed.await {
            shared.lock().buffered -= *bytes;
        }
        self.0 = None;
    }
}
