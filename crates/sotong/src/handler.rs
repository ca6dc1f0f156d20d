//! Runs a handler of the pull form, and closes its connection with the code that its end deserves: in a task of its own,
//! or in the turns of its connection's driver.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use sotong_proto::{CloseCode, MessageRef};
use tokio::runtime;

use crate::counts;
use crate::driver::Sink;
use crate::driver::inbox::{Inbox, Unread};
use crate::driver::outbound::Over;
use crate::error::Error;
use crate::live::Guard;
use crate::sender::Sender;

/// What a handler may return: nothing, or a `Result` whose error is logged and closes the connection with 1011
/// (unless it is closing already, as it is when `recv` or `send` returned the error).
///
/// ```
/// use sotong::{Server, WebSocket};
///
/// # async fn example(first: Server, second: Server) {
/// let nothing = first.serve(async |mut socket: WebSocket| while let Ok(Some(_)) = socket.recv().await {});
/// let result = second.serve(async |mut socket: WebSocket| {
///     let Some(message) = socket.recv().await? else { return Ok(()) };
///     let number: u64 = message.as_text().unwrap_or_default().parse()?; // not a number: 1011, and a line in the log
///     socket.send((number + 1).to_string()).await?;
///     Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// });
/// # drop((nothing, result));
/// # }
/// ```
pub trait Outcome: sealed::Outcome {}

impl<T: sealed::Outcome> Outcome for T {}

mod sealed {
    pub trait Outcome {
        #[doc(hidden)]
        fn error(&self) -> Option<String>;
    }
}

impl sealed::Outcome for () {
    fn error(&self) -> Option<String> {
        None
    }
}

impl<E: fmt::Display> sealed::Outcome for Result<(), E> {
    fn error(&self) -> Option<String> {
        self.as_ref().err().map(ToString::to_string)
    }
}

thread_local! {
    /// The connection whose handler is being polled on this thread, and whether its socket was dropped meanwhile.
    static POLLED: Cell<(usize, bool)> = const { Cell::new((0, false)) };
}

/// Asked by a socket that is dropped: whether its own handler is being polled, and will close when it knows how it
/// ended. In Rust a `?` drops the socket before anybody sees the error.
pub(crate) fn leave_closing_to_handler(connection: usize) -> bool {
    let (polled, _) = POLLED.get();
    if polled == connection {
        POLLED.set((polled, true));
    }
    polled == connection
}

pin_project! {
    /// The future of a handler.
    pub(crate) struct Handler<F> {
        #[pin]
        future: F,
        socket: Sender,
        // Counts the handler as alive, so that a shutdown waits for it.
        guard: Guard,
    }
}

impl<F> Handler<F> {
    pub(crate) fn new(future: F, socket: Sender, guard: Guard) -> Self {
        Handler { future, socket, guard }
    }
}

impl<F: Future<Output: Outcome>> Future for Handler<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let _entered = this.socket.shared().enter_span();
        let before = POLLED.replace((this.socket.shared().address(), false));
        let polled = catch_unwind(AssertUnwindSafe(|| this.future.poll(context)));
        let (_, dropped) = POLLED.replace(before);
        let (ready, code, reason) = match polled {
            Ok(Poll::Pending) => (Poll::Pending, CloseCode::NORMAL, ""),
            Ok(Poll::Ready(outcome)) => match sealed::Outcome::error(&outcome) {
                None => (Poll::Ready(()), CloseCode::NORMAL, ""),
                Some(error) => {
                    let peer = this.socket.peer();
                    tracing::debug!(connection = peer.id, %peer, error, "the handler of a connection returned an error");
                    (Poll::Ready(()), CloseCode::INTERNAL_ERROR, "internal error")
                }
            },
            Err(_) => {
                counts::panicked();
                let peer = this.socket.peer();
                tracing::error!(connection = peer.id, %peer, "the handler of a connection panicked; it is closed with 1011");
                (Poll::Ready(()), CloseCode::INTERNAL_ERROR, "internal error")
            }
        };
        if dropped {
            this.socket.close(code, reason);
        }
        ready
    }
}

/// The owner of a connection in pull form whose handler is polled in the driver's turns.
///
/// For runtimes with one thread, where a task of its own would have to wait for that thread just the same. So the answers
/// are corked like those of callbacks, nothing wakes anybody, and what has come is still in the processor's caches when it is
/// looked at. When the connection is over, the handler goes on in a task of its own.
pub(crate) struct HandlerSink<F: Future<Output: Outcome> + Send + 'static> {
    inbox: Arc<Inbox>,
    /// In one block, because the driver's task has no room for more. Taken when it is dropped.
    own: Option<Pin<Box<Own<F>>>>,
}

pin_project! {
    struct Own<F> {
        unread: Unread,
        // Until it is done.
        #[pin]
        handler: Option<Handler<F>>,
    }
}

impl<F: Future<Output: Outcome> + Send + 'static> HandlerSink<F> {
    /// `inbox` is that of the socket that the handler has; none if there was a panic instead of a handler.
    pub(crate) fn new(inbox: Arc<Inbox>, handler: Option<Handler<F>>) -> Self {
        HandlerSink { inbox, own: Some(Box::pin(Own { unread: Unread::default(), handler })) }
    }

    fn unread(&mut self) -> Option<&mut Unread> {
        self.own.as_mut().map(|own| own.as_mut().project().unread)
    }
}

impl<F: Future<Output: Outcome>> Future for Own<F> {
    type Output = ();

    /// Ready when the handler is done, or was before.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut handler = self.project().handler;
        let Some(running) = handler.as_mut().as_pin_mut() else { return Poll::Ready(()) };
        let polled = running.poll(context);
        if polled.is_ready() && catch_unwind(AssertUnwindSafe(|| handler.set(None))).is_err() {
            tracing::error!("the drop of a handler panicked");
        }
        polled
    }
}

impl<F: Future<Output: Outcome> + Send + 'static> Sink for HandlerSink<F> {
    fn open(&mut self, _socket: &Sender) {}

    #[inline]
    fn message(&mut self, _socket: &Sender, message: MessageRef<'_>) -> bool {
        self.inbox.gather(message)
    }

    fn turn_ended(&mut self, driver: Option<&Waker>) {
        self.inbox.hand_over(driver);
    }

    fn run(&mut self, context: &mut Context<'_>) {
        if let Some(own) = &mut self.own {
            // Done or not: the connection has an end of its own.
            let _ = own.as_mut().poll(context);
        }
    }

    fn keep_unread(&mut self, unread: &[u8]) {
        if let Some(kept) = self.unread() {
            kept.keep(unread);
        }
    }

    fn take_unread(&mut self) -> Option<Vec<u8>> {
        self.unread()?.take()
    }

    fn is_through(&self) -> bool {
        self.inbox.is_through()
    }

    fn held_bytes(&self) -> usize {
        self.inbox.held_bytes() + self.own.as_ref().map_or(0, |own| own.unread.len())
    }

    fn room(&mut self, driver: &Waker) -> usize {
        self.inbox.room(driver)
    }

    fn error(&mut self, _socket: &Sender, _error: &Error) {}

    fn close(&mut self, _over: &Over) {
        self.inbox.end();
    }
}

impl<F: Future<Output: Outcome> + Send + 'static> Drop for HandlerSink<F> {
    /// The connection is over, and its handler may have more to do.
    fn drop(&mut self) {
        if let Some(own) = self.own.take()
            && own.handler.is_some()
            && let Ok(runtime) = runtime::Handle::try_current()
        {
            runtime.spawn(own);
        }
    }
}
