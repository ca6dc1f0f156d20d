//! From a handshake that is done to a running connection, at either end and in each form.

use std::sync::Arc;

use sotong_proto::handshake::Request;
use sotong_proto::{Closed, Config, MessageRef};

use crate::carrier::Carrier;
use crate::driver::clock::Clock;
use crate::driver::inbox::{Inbox, InboxSink};
use crate::driver::outbound::Over;
use crate::driver::shared::{Form, Role, Shared};
use crate::driver::{Driver, Sink};
use crate::error::Error;
use crate::events::Events;
use crate::handler::{Handler, HandlerSink, Outcome};
use crate::live::Guard;
use crate::peer::Peer;
use crate::sender::Sender;
use crate::socket::WebSocket;
use crate::transport::Transport;

/// A connection whose handshake is done.
pub(crate) struct Established {
    pub(crate) carrier: Carrier,
    pub(crate) role: Role,
    /// What the client asked for.
    pub(crate) request: Request,
    pub(crate) peer: Peer,
    /// Frames that came with the handshake.
    pub(crate) early: Vec<u8>,
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Arc<Clock>,
    /// Counts the connection as alive.
    pub(crate) guard: Guard,
}

impl Established {
    /// Starts the connection on the current runtime, in pull form.
    pub(crate) fn pull(self) -> WebSocket {
        let inbox = Inbox::new(self.config.inbox_bytes_max);
        let socket = self.start(Form::Pull, |_| InboxSink::new(inbox.clone()));
        WebSocket::new(socket, inbox)
    }

    /// Starts the connection on the current runtime, in pull form, with the handler in the driver's task. For a runtime
    /// with one thread: see [`HandlerSink`].
    pub(crate) fn pull_in_turn<F>(self, handler: impl FnOnce(WebSocket) -> Option<Handler<F>>)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        let inbox = Inbox::new(self.config.inbox_bytes_max);
        self.start(Form::PullInTurn, |socket| {
            let handler = handler(WebSocket::new(socket.clone(), inbox.clone()));
            HandlerSink::new(inbox, handler)
        });
    }

    /// Starts the connection on the current runtime, in event form.
    pub(crate) fn events(self, events: impl Events) -> Sender {
        self.start(Form::Events, |_| EventSink(events))
    }

    fn start<S: Sink>(self, form: Form, sink: impl FnOnce(&Sender) -> S) -> Sender {
        let Established { carrier, role, request, peer, early, config, clock, guard } = self;
        let transport = Arc::new(Transport::from(carrier));
        let direct = transport.is_shared().then(|| transport.clone());
        let deflate = role.deflate();
        let socket = Sender::new(Shared::new(request, peer, config.clone(), form, role, direct, clock));
        let entered = socket.shared().enter_span();
        let sink = sink(&socket);
        let mut driver = Driver::new(config, deflate, transport, socket.clone(), sink, guard);
        tracing::debug!(connection = socket.id(), "opened");
        driver.open(early);
        drop(entered);
        tokio::spawn(driver);
        socket
    }
}

/// The owner of a connection in event form.
struct EventSink<E>(E);

impl<E: Events> Sink for EventSink<E> {
    fn open(&mut self, socket: &Sender) {
        self.0.open(socket);
    }

    #[inline]
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) -> bool {
        self.0.message(socket, message);
        true
    }

    fn error(&mut self, socket: &Sender, error: &Error) {
        self.0.error(socket, error);
    }

    fn close(&mut self, over: &Over) {
        let closed: &Arc<Closed> = &over.closed;
        self.0.close(closed);
    }
}
