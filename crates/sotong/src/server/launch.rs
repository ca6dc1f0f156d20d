//! What a server does with a connection whose handshake it accepts, in each form.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sotong_proto::CloseCode;
use sotong_proto::handshake::{Refusal, Request};

use crate::counts;
use crate::established::Established;
use crate::events::Events;
use crate::handler::{Handler, Outcome};
use crate::live::Live;
use crate::socket::WebSocket;

/// Starts a connection on the current runtime.
///
/// The count is of the tasks that a shutdown waits for besides connections.
pub(super) type Start = Box<dyn FnOnce(Established, Arc<Live>) + Send>;

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
        Ok(Box::new(move |established, handlers| handle(established, &handlers, |socket| (pull.0)(socket))))
    }
}

/// Starts a connection in pull form, with its handler in a task of its own.
pub(super) fn handle<F>(established: Established, handlers: &Arc<Live>, handler: impl FnOnce(WebSocket) -> F)
where
    F: Future<Output: Outcome> + Send + 'static,
{
    let web_socket = established.pull();
    let socket = web_socket.sender();
    // Before there is a future, what panics is the closure that makes it.
    let Ok(future) = catch_unwind(AssertUnwindSafe(|| handler(web_socket))) else {
        counts::panicked();
        let peer = socket.peer();
        tracing::error!(connection = peer.id, %peer, "the handler of a connection panicked; it is closed with 1011");
        socket.close(CloseCode::INTERNAL_ERROR, "internal error");
        return;
    };
    if let Some(guard) = handlers.enter(usize::MAX) {
        tokio::spawn(Handler::new(future, socket, guard));
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
        Ok(Box::new(move |established, _handlers| {
            established.events(events);
        }))
    }
}
