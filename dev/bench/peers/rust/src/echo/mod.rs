//! Echoes. `NAME` is the fastest shape that the library's documentation gives: where it is a `Sink` messages are fed as long
//! as more are ready, and then flushed, which is what `StreamExt::forward` does. `NAME-loop` is the loop that everybody
//! writes: one `send` for each message.

mod libraries;
mod plain;

use crate::{Ended, listen};

pub(crate) async fn run(name: &str) -> Result<(), Ended> {
    use libraries::{Shape, fastwebsockets, sockudo, tokio_websockets, tungstenite, yawc};
    match name {
        "tokio" => listen(plain::tcp).await,
        "rustls" => {
            let acceptor = plain::acceptor()?;
            listen(move |stream| plain::tls(stream, acceptor.clone())).await
        }
        "tokio-tungstenite" => listen(|stream| tungstenite(stream, Shape::Batched)).await,
        "tokio-tungstenite-loop" => listen(|stream| tungstenite(stream, Shape::Loop)).await,
        "tokio-websockets" => listen(|stream| tokio_websockets(stream, Shape::Batched)).await,
        "tokio-websockets-loop" => listen(|stream| tokio_websockets(stream, Shape::Loop)).await,
        "sockudo-ws" => listen(|stream| sockudo(stream, Shape::Batched)).await,
        "sockudo-ws-loop" => listen(|stream| sockudo(stream, Shape::Loop)).await,
        "yawc" => listen(|stream| yawc(stream, Shape::Batched)).await,
        "yawc-loop" => listen(|stream| yawc(stream, Shape::Loop)).await,
        // It has no way to put off a write, so this is all there is.
        "fastwebsockets-loop" => listen(fastwebsockets).await,
        _ => Err(format!("no echo is called {name:?}").into()),
    }
}
