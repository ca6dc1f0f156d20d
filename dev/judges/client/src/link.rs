//! One connection in any form, with one face.

use std::error::Error;
use std::time::Duration;

use sotong::web::{self, Data, Options, on};
use sotong::{Client, CloseCode, Closed, Events, Message, MessageRef, Sender, WebSocket};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::Style;

type Failure = Box<dyn Error>;

pub(crate) enum Link {
    Pull(Box<WebSocket>),
    Event { sender: Sender, arrivals: UnboundedReceiver<Message> },
    Web { socket: web::WebSocket, arrivals: UnboundedReceiver<Arrival> },
}

/// What the browser's object tells.
pub(crate) enum Arrival {
    Open,
    Message(Message),
    Error(String),
    Close(Ended),
}

/// How a connection ended, as an application sees it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) clean: bool,
}

impl From<&Closed> for Ended {
    fn from(closed: &Closed) -> Self {
        Ended { code: closed.code(), reason: closed.reason().to_owned(), clean: closed.clean }
    }
}

impl Link {
    pub(crate) async fn open(client: &Client, url: &str, style: Style) -> Result<Link, Failure> {
        // Without a bound: a judge's server is asked for no more than a table's worth of messages.
        Ok(match style {
            Style::Pull => Link::Pull(Box::new(client.connect(url).await?)),
            Style::Event => {
                let (queue, arrivals) = unbounded_channel();
                let sender = client.connect_events(url, |_| Queue(queue)).await?;
                Link::Event { sender, arrivals }
            }
            Style::Web => Link::open_web(client, url).await?,
        })
    }

    async fn open_web(client: &Client, url: &str) -> Result<Link, Failure> {
        let options = Options::new().with_client(client.clone());
        // The object has its sub-protocols from its constructor, and wants one of them to be chosen.
        let socket = options.open(url)?;
        let (queue, mut arrivals) = unbounded_channel();
        let (open, error, close) = (queue.clone(), queue.clone(), queue.clone());
        socket.set_on_open(move |_| open.send(Arrival::Open).map_err(|_| "nobody listens"));
        socket.set_on_message(move |event| {
            let message = match event.data() {
                Data::Text(text) => Message::Text(text.clone()),
                Data::Blob(bytes) | Data::ArrayBuffer(bytes) => Message::Binary(bytes.clone()),
            };
            queue.send(Arrival::Message(message)).map_err(|_| "nobody listens")
        });
        socket.add_event_listener(on::ERROR, move |event| {
            error.send(Arrival::Error(event.cause().to_string())).map_err(|_| "nobody listens")
        });
        socket.add_event_listener(on::CLOSE, move |event| {
            let (code, reason) = (event.code(), event.reason().to_owned());
            close
                .send(Arrival::Close(Ended { code, reason, clean: event.was_clean() }))
                .map_err(|_| "nobody listens")
        });
        match arrivals.recv().await {
            Some(Arrival::Open) => Ok(Link::Web { socket, arrivals }),
            Some(Arrival::Error(cause)) => Err(cause.into()),
            _ => Err("an event before open".into()),
        }
    }

    pub(crate) async fn send(&self, message: Message) -> Result<(), Failure> {
        match self {
            Link::Pull(socket) => socket.send(message).await?,
            Link::Event { sender, .. } => sender.send(message).await?,
            Link::Web { socket, .. } => socket.send(message)?,
        }
        Ok(())
    }

    /// The next message; `None` when the connection has come to its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, Failure> {
        match self {
            Link::Pull(socket) => Ok(socket.recv().await?),
            Link::Event { arrivals, .. } => Ok(arrivals.recv().await),
            Link::Web { arrivals, .. } => match arrivals.recv().await {
                Some(Arrival::Message(message)) => Ok(Some(message)),
                Some(Arrival::Error(cause)) => Err(cause.into()),
                _ => Ok(None),
            },
        }
    }

    pub(crate) async fn ping(&self) -> Result<Duration, Failure> {
        match self {
            Link::Pull(socket) => Ok(socket.ping().await?),
            Link::Event { sender, .. } => Ok(sender.ping().await?),
            Link::Web { .. } => Err("the browser's object cannot ping".into()),
        }
    }

    /// Closes and waits for the end. Without a code in the browser's form only.
    pub(crate) async fn close(self, code: Option<CloseCode>, reason: &str) -> Result<Ended, Failure> {
        match (self, code) {
            (Link::Pull(socket), Some(code)) => Ok((&*socket.close(code, reason).await).into()),
            (Link::Event { sender, .. }, Some(code)) => {
                sender.close(code, reason);
                Ok((&*sender.closed().await).into())
            }
            (link @ Link::Web { .. }, _) => {
                if let Link::Web { socket, .. } = &link {
                    match code {
                        Some(code) => socket.close_with(code.into(), reason)?,
                        None => socket.close(),
                    }
                }
                link.closed().await
            }
            (_, None) => Err("this form has no call for a Close without a code".into()),
        }
    }

    /// Waits for the end that the server makes.
    pub(crate) async fn closed(mut self) -> Result<Ended, Failure> {
        if let Link::Web { arrivals, .. } = &mut self {
            loop {
                match arrivals.recv().await {
                    Some(Arrival::Close(ended)) => return Ok(ended),
                    Some(_) => {}
                    None => return Err("no close event".into()),
                }
            }
        }
        // In pull form whoever does not read does not learn of the end.
        while let Ok(Some(_)) = self.next().await {}
        let sender = match self {
            Link::Pull(socket) => socket.sender(),
            Link::Event { sender, .. } => sender,
            Link::Web { .. } => return Err("it was asked above".into()),
        };
        Ok((&*sender.closed().await).into())
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
