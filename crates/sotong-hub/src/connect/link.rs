//! The connection of a session: one that ends, or one that is made again (`--reconnect`).

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use sotong::reconnect::{End, Ending, Reconnect, ReconnectingSender, ReconnectingSocket, State};
use sotong::{CloseCode, Config, Error, Message, Sender, WebSocket};
use tokio::sync::mpsc;

use super::event::Opened;
use super::lines::Piece;

/// The sending end.
#[derive(Clone, Debug)]
pub(super) enum Link {
    Once(Sender),
    Again(ReconnectingSender),
}

/// The receiving end.
#[derive(Debug)]
pub(super) enum Source {
    Once(WebSocket),
    Again(Box<Again>),
}

/// What comes out of it.
#[derive(Debug)]
pub(super) enum Heard {
    Message(Message),
    /// What a connection that is made again does now.
    State(Changed),
    Over(How),
}

/// A change of state that is told.
#[derive(Debug)]
pub(super) enum Changed {
    Connecting { number: u32 },
    Open(Opened),
    Waiting { number: u32, delay: Duration, because: Ending },
}

/// How it is over.
#[derive(Debug)]
pub(super) enum How {
    /// What went wrong; how it was closed is known a little later.
    Once(Option<Error>),
    Again(End),
}

impl Link {
    /// Whether it was accepted. One that is over says so itself.
    pub(super) async fn say(&self, piece: Piece) -> bool {
        match (self, piece) {
            (Link::Once(sender), Piece::Text(text)) => sender.send(text).await.is_ok(),
            (Link::Once(sender), Piece::Binary(bytes)) => sender.send(bytes).await.is_ok(),
            (Link::Again(sender), Piece::Text(text)) => sender.send(text).await.is_ok(),
            (Link::Again(sender), Piece::Binary(bytes)) => sender.send(bytes).await.is_ok(),
        }
    }

    /// The connection that is open; it may be over.
    pub(super) fn connection(&self) -> Option<Sender> {
        match self {
            Link::Once(sender) => Some(sender.clone()),
            Link::Again(sender) => sender.connection(),
        }
    }

    /// Waits until everything that was said is on its way, with whatever connection.
    pub(super) async fn flushed(&self) {
        match self {
            // One that is over says so itself.
            Link::Once(sender) => drop(sender.flushed().await),
            Link::Again(sender) => sender.settled().await,
        }
    }

    pub(super) fn raise_limits(&self, config: Config) {
        if let Some(connection) = self.connection() {
            connection.raise_limits(config);
        }
    }

    pub(super) fn close(&self, code: CloseCode, reason: &str) {
        match self {
            Link::Once(sender) => drop(sender.close(code, reason)),
            Link::Again(sender) => sender.close(code, reason),
        }
    }
}

impl Source {
    pub(super) fn again(settings: Reconnect, url: &str) -> Source {
        Source::Again(Box::new(Again::start(settings, url)))
    }

    pub(super) fn link(&self) -> Link {
        match self {
            Source::Once(socket) => Link::Once(socket.sender()),
            Source::Again(again) => Link::Again(again.socket.sender()),
        }
    }

    /// What comes next. Dropped before it is ready, nothing is lost.
    pub(super) async fn next(&mut self) -> Heard {
        match self {
            Source::Once(socket) => match socket.recv().await {
                Ok(Some(message)) => Heard::Message(message),
                end => Heard::Over(How::Once(end.err())),
            },
            Source::Again(again) => again.next().await,
        }
    }

    /// The same, if it is there already.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Heard> {
        pin!(self.next()).poll(context)
    }
}

/// A connection that is made again, and what it says about that, in one order: a change of state comes behind the messages
/// that came before it.
#[derive(Debug)]
pub(super) struct Again {
    socket: ReconnectingSocket,
    url: String,
    /// Each change, and how many messages had come before it. As many as there are tries, which are few.
    changes: mpsc::UnboundedReceiver<(u64, State)>,
    next_change: Option<(u64, State)>,
    next_message: Option<Message>,
    /// How many messages were handed out.
    taken: u64,
}

impl Again {
    fn start(settings: Reconnect, url: &str) -> Again {
        let (tell, changes) = mpsc::unbounded_channel();
        // Known only when it has started. What it tells before that is that it connects.
        let sender = Arc::new(OnceLock::<ReconnectingSender>::new());
        let asked = Arc::clone(&sender);
        let settings = settings.with_on_state(move |state| {
            let came = asked.get().map_or(0, |sender| sender.counters().received);
            // At the end nobody listens any more.
            let _ = tell.send((came, state.clone()));
        });
        let socket = settings.connect();
        let _ = sender.set(socket.sender());
        Again { socket, url: url.to_owned(), changes, next_change: None, next_message: None, taken: 0 }
    }

    async fn next(&mut self) -> Heard {
        loop {
            if self.next_change.is_none() {
                self.next_change = self.changes.try_recv().ok();
            }
            if let Some((came, state)) = self.next_change.take() {
                if came <= self.taken {
                    match self.changed(state) {
                        Some(changed) => return Heard::State(changed),
                        None => continue,
                    }
                }
                self.next_change = Some((came, state));
            }
            if let Some(message) = self.next_message.take() {
                self.taken += 1;
                return Heard::Message(message);
            }
            tokio::select! {
                biased;
                message = self.socket.recv() => match message {
                    // A change that came before it is looked for first.
                    Ok(Some(message)) => self.next_message = Some(message),
                    Ok(None) | Err(_) => return Heard::Over(How::Again(self.end())),
                },
                Some(change) = self.changes.recv(), if self.next_change.is_none() => {
                    self.next_change = Some(change);
                }
            }
        }
    }

    /// What is told of it.
    fn changed(&self, state: State) -> Option<Changed> {
        match state {
            State::Connecting { number } => Some(Changed::Connecting { number }),
            State::Open { .. } => {
                // One that is over again has nothing to show but that it was there.
                let opened = self.socket.sender().connection().map(|open| Opened::of(&self.url, &open));
                Some(Changed::Open(opened.unwrap_or_else(|| Opened::unknown(&self.url))))
            }
            State::Waiting { number, delay, because } => Some(Changed::Waiting { number, delay, because }),
            _ => None,
        }
    }

    fn end(&self) -> End {
        match self.socket.state() {
            State::Ended(end) => end,
            _ => End::Aborted,
        }
    }
}
