//! Runs a handler of the pull form, and closes its connection with the code that its end deserves.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use sotong_proto::CloseCode;

use crate::counts;
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
