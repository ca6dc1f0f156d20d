//! One function for each library.

use std::future::Future;

use bytes::Bytes;
use futures_util::{FutureExt as _, Sink, SinkExt as _, Stream, StreamExt as _};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Ended;

/// How messages are sent back.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    Batched,
    Loop,
}

/// Whether to compress, where the library can: each message standing alone, or `windowed`.
fn compresses() -> bool {
    std::env::var_os("PEER_COMPRESS").is_some()
}

/// The echo of whatever is a stream and a sink of messages; `is_data` tells what is to be answered.
async fn echo<S, M, E>(mut socket: S, shape: Shape, is_data: impl Fn(&M) -> bool) -> Result<(), Ended>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    E: std::error::Error + Send + Sync + 'static,
{
    while let Some(message) = socket.next().await {
        let message = message?;
        if !is_data(&message) {
            continue;
        }
        if shape == Shape::Loop {
            socket.send(message).await?;
            continue;
        }
        socket.feed(message).await?;
        while let Some(Some(message)) = socket.next().now_or_never() {
            let message = message?;
            if is_data(&message) {
                socket.feed(message).await?;
            }
        }
        socket.flush().await?;
    }
    Ok(())
}

pub(crate) async fn tungstenite(stream: TcpStream, shape: Shape) -> Result<(), Ended> {
    let socket = tokio_tungstenite::accept_async(stream).await?;
    echo(socket, shape, |message| message.is_text() || message.is_binary()).await
}

pub(crate) async fn tokio_websockets(stream: TcpStream, shape: Shape) -> Result<(), Ended> {
    let (_, socket) = tokio_websockets::ServerBuilder::new().accept(stream).await?;
    echo(socket, shape, |message| message.is_text() || message.is_binary()).await
}

pub(crate) async fn sockudo(mut stream: TcpStream, shape: Shape) -> Result<(), Ended> {
    use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
    let mut head = Vec::with_capacity(1024);
    while stream.read_buf(&mut head).await? > 0 {
        let Some((request, _)) = parse_request(&head)? else { continue };
        let key = generate_accept_key(request.key);
        if compresses() {
            let (mode, chosen) = if std::env::var("PEER_COMPRESS").as_deref() == Ok("windowed") {
                (sockudo_ws::Compression::Dedicated, "permessage-deflate")
            } else {
                let alone = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
                (sockudo_ws::Compression::Shared, alone)
            };
            let deflate = mode.to_deflate_config().ok_or("it compresses")?;
            stream.write_all(&build_response(&key, None, Some(chosen))).await?;
            let socket =
                sockudo_ws::CompressedWebSocketStream::server(stream, sockudo_ws::Config::default(), deflate);
            return echo(socket, shape, |message| message.is_text() || message.is_binary()).await;
        }
        stream.write_all(&build_response(&key, None, None)).await?;
        let socket = sockudo_ws::WebSocketStream::server(stream, sockudo_ws::Config::default());
        return echo(socket, shape, |message| message.is_text() || message.is_binary()).await;
    }
    Ok(())
}

pub(crate) async fn yawc(stream: TcpStream, shape: Shape) -> Result<(), Ended> {
    let options = yawc::Options::default();
    let options = if compresses() { options.with_balanced_compression() } else { options };
    upgrading(stream, move |mut request| {
        let (response, upgrade) = yawc::WebSocket::upgrade_with_options(&mut request, options.clone())?;
        Ok((response, async move {
            let is_data = |frame: &yawc::Frame| {
                matches!(frame.opcode(), yawc::frame::OpCode::Text | yawc::frame::OpCode::Binary)
            };
            echo(upgrade.await?.map(Ok::<_, yawc::WebSocketError>), shape, is_data).await
        }))
    })
    .await
}

pub(crate) async fn fastwebsockets(stream: TcpStream) -> Result<(), Ended> {
    use fastwebsockets::OpCode;
    upgrading(stream, |mut request| {
        let (response, upgrade) = fastwebsockets::upgrade::upgrade(&mut request)?;
        Ok((response, async move {
            let mut socket = fastwebsockets::FragmentCollector::new(upgrade.await?);
            loop {
                let frame = socket.read_frame().await?;
                match frame.opcode {
                    OpCode::Close => return Ok(()),
                    OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
                    _ => {}
                }
            }
        }))
    })
    .await
}

/// Serves what hyper has to upgrade; the connection goes on in a task of its own.
async fn upgrading<F>(
    stream: TcpStream,
    upgrade: impl Fn(Request<Incoming>) -> Result<(Response<Empty<Bytes>>, F), Ended>,
) -> Result<(), Ended>
where
    F: Future<Output = Result<(), Ended>> + 'static,
{
    let service = hyper::service::service_fn(|request| {
        let answer = upgrade(request).map(|(response, connection)| {
            tokio::task::spawn_local(async move {
                let _ = connection.await;
            });
            response
        });
        async move { answer }
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await?;
    Ok(())
}
