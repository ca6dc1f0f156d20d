//! What a server does with a connection whose handshake it accepts, in each form.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sotong_proto::CloseCode;
use sotong_proto::handshake::{Refusal, Request};
use tokio::runtime::{Handle, RuntimeFlavor};

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

/// Starts a connection in pull form. On a runtime with one thread its handler is polled by its driver; otherwise it has a
/// task of its own, so that another thread may see to the connection while it computes.
pub(super) fn handle<F>(established: Established, handlers: &Arc<Live>, handler: impl FnOnce(WebSocket) -> F)
where
    F: Future<Output: Outcome> + Send + 'static,
{
    let begin = |web_socket| begin(web_socket, handlers, handler);
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        established.pull_in_turn(begin);
    } else if let Some(handler) = begin(established.pull()) {
        tokio::spawn(handler);
    }
}

/// Makes the handler of a connection; `None` if that panics.
fn begin<F>(
    web_socket: WebSocket,
    handlers: &Arc<Live>,
    handler: impl FnOnce(WebSocket) -> F,
) -> Option<Handler<F>>
where
    F: Future<Output: Outcome>,
{
    let socket = web_socket.sender();
    // Before there is a future, what panics is the closure that makes it.
    let Ok(future) = catch_unwind(AssertUnwindSafe(|| handler(web_socket))) else {
        counts::panicked();
        let peer = socket.peer();
        tracing::error!(connection = peer.id, %peer, "the handler of a connection panicked; it is closed with 1011");
        socket.close(CloseCode::INTERNAL_ERROR, "internal error");
        return None;
    };
    Some(Handler::new(future, socket, handlers.enter(usize::MAX)?))
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
