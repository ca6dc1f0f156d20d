//! Messages one way: counted as they come, or sent by one task in a loop.

use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};

use crate::accept::{self, Frames, Shape, Work};
use crate::message::{Kind, Message};
use crate::Ended;

/// The message of both benchmarks.
const TEXT: &str = "KRW 1,234,567.89 SOTO 0042 bid 7";

pub(crate) async fn receive(name: &str) -> Result<(), Ended> {
    accept::run(name, Count).await
}

pub(crate) async fn send(name: &str) -> Result<(), Ended> {
    accept::run(name, Speak).await
}

/// Counts texts. A binary message asks for the count.
#[derive(Clone)]
struct Count;

impl Work for Count {
    async fn messages<S, M, E>(self, mut socket: S, _shape: Shape) -> Result<(), Ended>
    where
        S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
        M: Message,
        E: std::error::Error + Send + Sync + 'static,
    {
        let mut texts: u64 = 0;
        while let Some(message) = socket.next().await {
            match message?.kind() {
                Kind::Text => texts += 1,
                // Asked once or twice for each connection: what it leaks is some bytes.
                Kind::Binary => socket.send(M::from_text(texts.to_string().leak())).await?,
                Kind::Other => {}
            }
        }
        Ok(())
    }

    async fn frames(self, mut socket: Frames) -> Result<(), Ended> {
        use fastwebsockets::{Frame, OpCode};
        let mut texts: u64 = 0;
        loop {
            match socket.read_frame().await?.opcode {
                OpCode::Close => return Ok(()),
                OpCode::Text => texts += 1,
                OpCode::Binary => {
                    socket.write_frame(Frame::text(texts.to_string().into_bytes().into())).await?;
                }
                _ => {}
            }
        }
    }
}

/// Sends one text again and again.
#[derive(Clone)]
struct Speak;

impl Work for Speak {
    async fn messages<S, M, E>(self, mut socket: S, shape: Shape) -> Result<(), Ended>
    where
        S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
        M: Message,
        E: std::error::Error + Send + Sync + 'static,
    {
        loop {
            match shape {
                // It flushes by itself when its buffer is full, which is what `send_all` of an endless stream does.
                Shape::Batched => socket.feed(M::from_text(TEXT)).await?,
                Shape::Loop => socket.send(M::from_text(TEXT)).await?,
            }
        }
    }

    async fn frames(self, mut socket: Frames) -> Result<(), Ended> {
        loop {
            socket.write_frame(fastwebsockets::Frame::text(TEXT.as_bytes().into())).await?;
        }
    }
}
