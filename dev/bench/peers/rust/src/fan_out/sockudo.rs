//! sockudo-ws with its own topics.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::pubsub::PubSub;
use sockudo_ws::{Config, WebSocketStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::SPEAKER;
use crate::Ended;
use crate::listen::Carrier;

const TOPIC: &str = "all";

pub(crate) type Hall = Arc<PubSub>;

pub(crate) async fn serve(mut stream: impl Carrier, hall: Hall) -> Result<(), Ended> {
    let mut head = Vec::with_capacity(1024);
    let speaks = loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        if let Some((request, _)) = parse_request(&head)? {
            let answer = build_response(&generate_accept_key(request.key), None, None);
            stream.write_all(&answer).await?;
            break request.path == SPEAKER;
        }
    };
    let mut socket = WebSocketStream::server(stream, Config::default());
    if speaks {
        while let Some(message) = socket.next().await {
            let message = message?;
            if message.is_binary() {
                hall.publish(TOPIC, message);
            }
        }
        return Ok(());
    }
    let (sender, mut hears) = mpsc::unbounded_channel();
    let subscriber = hall.create_subscriber(sender);
    hall.subscribe(subscriber, TOPIC);
    loop {
        tokio::select! {
            message = hears.recv() => {
                let Some(message) = message else { return Ok(()) };
                socket.feed(message).await?;
                while let Ok(message) = hears.try_recv() {
                    socket.feed(message).await?;
                }
                socket.flush().await?;
            }
            message = socket.next() => match message {
                Some(message) => drop(message?),
                None => break,
            },
        }
    }
    hall.remove_subscriber(subscriber);
    Ok(())
}
