//! What came and was not taken yet: in order, across connections, bounded.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;

use sotong_proto::Message;
use tokio::sync::mpsc;

use super::socket::Shared;
use crate::driver::inbox::MESSAGE_BYTES;
use crate::socket::WebSocket;

/// How many messages wait for `recv`, besides those that are kept and those that wait in the connection.
const INBOX_MESSAGES_MAX: usize = 16;

type Place<'a> = Result<mpsc::Permit<'a, Message>, mpsc::error::SendError<()>>;

/// The way from the connections to `recv`.
pub(super) struct Arrivals {
    shared: Arc<Shared>,
    inbox: mpsc::Sender<Message>,
    /// What connections that are over had brought, and for which the inbox had no room.
    kept: VecDeque<Message>,
    kept_bytes: usize,
}

impl Arrivals {
    pub(super) fn new(shared: Arc<Shared>) -> (Self, mpsc::Receiver<Message>) {
        let (inbox, received) = mpsc::channel(INBOX_MESSAGES_MAX);
        (Arrivals { shared, inbox, kept: VecDeque::new(), kept_bytes: 0 }, received)
    }

    /// Hands on what comes, behind what is kept. Ready when nothing more will come.
    ///
    /// Dropped before it is ready, no message is lost: each is still in the connection, or kept, or in the inbox.
    pub(super) async fn receive(&mut self, socket: &mut WebSocket) {
        self.hand_on().await;
        loop {
            // First the place, then the message: so nothing is in between.
            let place = self.inbox.reserve().await;
            let Ok(Some(message)) = socket.recv().await else { return };
            put(&self.shared, &self.inbox, place, message);
        }
    }

    /// Keeps what a connection had brought that is over. It waits for nobody.
    pub(super) async fn keep(&mut self, mut socket: WebSocket) {
        // An error says why it is over, which is known.
        while let Ok(Some(message)) = socket.recv().await {
            self.kept_bytes += cost(&message);
            self.kept.push_back(message);
        }
    }

    /// Puts all that is kept where `recv` takes it.
    pub(super) async fn hand_on(&mut self) {
        self.hand_on_above(0).await;
    }

    /// The same until no more than so many bytes are kept.
    pub(super) async fn hand_on_above(&mut self, kept_bytes_max: usize) {
        while self.kept_bytes > kept_bytes_max {
            let place = self.inbox.reserve().await;
            let Some(message) = self.kept.pop_front() else { return };
            self.kept_bytes -= cost(&message);
            put(&self.shared, &self.inbox, place, message);
        }
        if self.kept.is_empty() {
            self.kept = VecDeque::new();
        }
    }

    /// Puts what is kept where `recv` takes it, while something else is done.
    pub(super) async fn hand_on_beside<T>(&mut self, other: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = other => done,
            never = async {
                self.hand_on().await;
                pending().await
            } => never,
        }
    }
}

fn cost(message: &Message) -> usize {
    message.len() + MESSAGE_BYTES
}

/// Puts a message where `recv` takes it. If nobody does any more, it is counted: it is read all the same, because Pongs have
/// to be seen while we close.
fn put(shared: &Shared, inbox: &mpsc::Sender<Message>, place: Place<'_>, message: Message) {
    // A place outlives the end of taking.
    let place = place.ok().filter(|_| !inbox.is_closed());
    {
        let mut inside = shared.lock();
        let counters = inside.queue.counters_mut();
        match place {
            Some(_) => counters.received += 1,
            None => counters.discarded += 1,
        }
    }
    if let Some(place) = place {
        place.send(message);
    }
}
