//! From an accepted handshake to a running connection, in each form.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sotong_proto::handshake::{Refusal, Request};
use sotong_proto::{CloseCode, Closed, Config, MessageRef};

use crate::driver::budget::Budget;
use crate::driver::clock::Clock;
use crate::driver::inbox::{Inbox, InboxSink};
use crate::driver::outbound::Over;
use crate::driver::shared::{Form, Shared};
use crate::driver::{Driver, Sink};
use crate::error::Error;
use crate::events::Events;
use crate::handler::{Handler, Outcome};
use crate::live::{Guard, Live};
use crate::sender::Sender;
use crate::socket::WebSocket;
use crate::transport::Transport;

/// A connection whose handshake is done.
pub(super) struct Established {
    pub(super) transport: Transport,
    pub(super) request: Request,
    pub(super) peer: SocketAddr,
    /// Frames that came with the handshake.
    pub(super) early: Vec<u8>,
    pub(super) config: Arc<Config>,
    pub(super) clock: Arc<Clock>,
    pub(super) budget: Arc<Budget>,
    pub(super) guard: Guard,
    /// Counts tasks that a shutdown waits for besides connections.
    pub(super) handlers: Arc<Live>,
}

/// Starts a connection on the current runtime.
pub(super) type Start = Box<dyn FnOnce(Established) + Send>;

/// What a server does with its connections. Seen before the handshake is answered, so that it may refuse.
pub(super) trait Launch: Send + Sync + 'static {
    fn prepare(&self, request: &Request) -> Result<Start, Refusal>;
}

/// The pull form.
pub(super) struct Pull<H>(pub(super) H);

impl<H, F> Launch for Arc<Pull<H>>
where
    H: Fn(WebSocket) -> F + Send + Sync + 'static,
    F: Future<Output: Outcome> + Send + 'static,
{
    fn prepare(&self, _request: &Request) -> Result<Start, Refusal> {
        let pull = self.clone();
        Ok(Box::new(move |established| {
            let handlers = established.handlers.clone();
            let inbox = Inbox::new(established.config.inbox_bytes_max);
            let socket = spawn_driver(established, Form::Pull, InboxSink::new(inbox.clone()));
            let web_socket = WebSocket::new(socket.clone(), inbox);
            // Before there is a future, what panics is the closure that makes it.
            let Ok(future) = catch_unwind(AssertUnwindSafe(|| (pull.0)(web_socket))) else {
                let peer = socket.peer_addr();
                tracing::error!(%peer, "the handler of a connection panicked; it is closed with 1011");
                socket.close(CloseCode::INTERNAL_ERROR, "internal error");
                return;
            };
            if let Some(guard) = handlers.enter(usize::MAX) {
                tokio::spawn(Handler::new(future, socket, guard));
            }
        }))
    }
}

/// The event form.
pub(super) struct Event<M>(pub(super) M);

impl<M, E> Launch for Arc<Event<M>>
where
    M: Fn(&Request) -> Result<E, Refusal> + Send + Sync + 'static,
    E: Events,
{
    fn prepare(&self, request: &Request) -> Result<Start, Refusal> {
        let events = (self.0)(request)?;
        Ok(Box::new(move |established| {
            spawn_driver(established, Form::Events, EventSink(events));
        }))
    }
}

fn spawn_driver<S: Sink>(established: Established, form: Form, sink: S) -> Sender {
    let Established { transport, request, peer, early, config, clock, guard, budget, handlers: _ } =
        established;
    let transport = Arc::new(transport);
    let direct = (form == Form::Pull).then(|| transport.clone());
    let socket = Sender::new(Shared::new(request, peer, config.clone(), form, direct, budget));
    let mut driver = Driver::new(config, transport, socket.clone(), sink, clock, guard);
    driver.open(early);
    tokio::spawn(driver);
    socket
}

/// The owner of a connection in event form.
struct EventSink<E>(E);

impl<E: Events> Sink for EventSink<E> {
    fn open(&mut self, socket: &Sender) {
        self.0.open(socket);
    }

    #[inline]
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        self.0.message(socket, message);
    }

    fn error(&mut self, socket: &Sender, error: &Error) {
        self.0.error(socket, error);
    }

    fn close(&mut self, over: &Over) {
        let closed: &Arc<Closed> = &over.closed;
        self.0.close(closed);
    }
}
