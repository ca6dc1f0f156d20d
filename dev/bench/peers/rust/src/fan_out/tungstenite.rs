//! tokio-tungstenite with a tokio broadcast channel.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::SPEAKER;
use crate::Ended;
use crate::listen::Carrier;

/// More than is ever in flight.
const KEPT: usize = 1024;

#[derive(Clone)]
pub(crate) struct Hall(broadcast::Sender<Message>);

impl Hall {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

#[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
pub(crate) async fn serve(stream: impl Carrier, Hall(said): Hall) -> Result<(), Ended> {
    let mut speaks = false;
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, |request: &Request, response: Response| {
        speaks = request.uri().path() == SPEAKER;
        Ok(response)
    })
    .await?;
    if speaks {
        while let Some(message) = socket.next().await {
            let message = message?;
            if message.is_binary() {
                let _ = said.send(message);
            }
        }
        return Ok(());
    }
    let mut hears = said.subscribe();
    loop {
        tokio::select! {
            message = hears.recv() => {
                socket.feed(message?).await?;
                while let Ok(message) = hears.try_recv() {
                    socket.feed(message).await?;
                }
                socket.flush().await?;
            }
            message = socket.next() => match message {
                Some(message) => drop(message?),
                None => return Ok(()),
            },
        }
    }
}
