//! One connection in either form, with one face.

use std::sync::Arc;
use std::time::Duration;

use sotong::{
    Client, CloseCode, Closed, ConnectError, Error, Events, Message, MessageRef, SendError, Sender, WebSocket,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::Style;

pub(crate) enum Link {
    Pull(Box<WebSocket>),
    Event { sender: Sender, arrivals: UnboundedReceiver<Message> },
}

impl Link {
    pub(crate) async fn open(client: &Client, url: &str, style: Style) -> Result<Link, ConnectError> {
        Ok(match style {
            Style::Pull => Link::Pull(Box::new(client.connect(url).await?)),
            Style::Event => {
                // Without a bound: a judge's server is asked for no more than a table's worth of messages.
                let (queue, arrivals) = unbounded_channel();
                let sender = client.connect_events(url, |_| Queue(queue)).await?;
                Link::Event { sender, arrivals }
            }
        })
    }

    pub(crate) async fn send(&self, message: Message) -> Result<(), SendError> {
        match self {
            Link::Pull(socket) => socket.send(message).await,
            Link::Event { sender, .. } => sender.send(message).await,
        }
    }

    /// The next message; `None` when the connection has come to its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, Error> {
        match self {
            Link::Pull(socket) => socket.recv().await,
            Link::Event { arrivals, .. } => Ok(arrivals.recv().await),
        }
    }

    pub(crate) async fn ping(&self) -> Result<Duration, SendError> {
        match self {
            Link::Pull(socket) => socket.ping().await,
            Link::Event { sender, .. } => sender.ping().await,
        }
    }

    /// Closes and waits for the end.
    pub(crate) async fn close(self, code: CloseCode, reason: &str) -> Arc<Closed> {
        match self {
            Link::Pull(socket) => socket.close(code, reason).await,
            Link::Event { sender, .. } => {
                sender.close(code, reason);
                sender.closed().await
            }
        }
    }

    /// Waits for the end that the server makes.
    pub(crate) async fn closed(mut self) -> Arc<Closed> {
        // In pull form whoever does not read does not learn of the end.
        while let Ok(Some(_)) = self.next().await {}
        match self {
            Link::Pull(socket) => socket.sender().closed().await,
            Link::Event { sender, .. } => sender.closed().await,
        }
    }
}

/// Hands on what comes.
struct Queue(UnboundedSender<Message>);

impl Events for Queue {
    fn message(&mut self, _socket: &Sender, message: MessageRef<'_>) {
        // Nobody listens any more when the case has what it wanted.
        let _ = self.0.send(message.to_message());
    }
}
