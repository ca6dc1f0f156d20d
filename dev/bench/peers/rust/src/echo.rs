//! Echoes: of messages, by each library, and of bytes, by tokio alone.

use futures_util::{FutureExt as _, Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::accept::{self, Frames, Shape, Work};
use crate::listen::{self, Carrier, Serve};
use crate::message::{Kind, Message};
use crate::Ended;

/// As much as the raw server reads at a time.
const BUFFER_BYTES: usize = 512 * 1024;

pub(crate) async fn run(name: &str) -> Result<(), Ended> {
    match name {
        "tokio" => listen::run(Bytes).await,
        _ => accept::run(name, Messages).await,
    }
}

/// The floor: what tokio alone costs, and rustls on it.
#[derive(Clone)]
struct Bytes;

impl Serve for Bytes {
    async fn serve(self, mut stream: impl Carrier) -> Result<(), Ended> {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            stream.write_all(&buffer[..count]).await?;
            stream.flush().await?;
        }
    }
}

#[derive(Clone)]
struct Messages;

impl Work for Messages {
    async fn messages<S, M, E>(self, mut socket: S, shape: Shape) -> Result<(), Ended>
    where
        S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
        M: Message,
        E: std::error::Error + Send + Sync + 'static,
    {
        while let Some(message) = socket.next().await {
            let message = message?;
            if message.kind() == Kind::Other {
                continue;
            }
            if shape == Shape::Loop {
                socket.send(message).await?;
                continue;
            }
            socket.feed(message).await?;
            while let Some(Some(message)) = socket.next().now_or_never() {
                let message = message?;
                if message.kind() != Kind::Other {
                    socket.feed(message).await?;
                }
            }
            socket.flush().await?;
        }
        Ok(())
    }

    async fn frames(self, mut socket: Frames) -> Result<(), Ended> {
        use fastwebsockets::OpCode;
        loop {
            let frame = socket.read_frame().await?;
            match frame.opcode {
                OpCode::Close => return Ok(()),
                OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
                _ => {}
            }
        }
    }
}
