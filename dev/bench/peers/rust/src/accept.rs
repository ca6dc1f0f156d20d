//! Handshakes: one for each library. What is done with the connection then is a [`Work`], the same for all.

use std::future::Future;

use bytes::Bytes;
use futures_util::{Sink, Stream, StreamExt as _};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::listen::{self, Carrier};
use crate::message::Message;
use crate::Ended;

/// How messages are sent.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    /// The fastest that the library's documentation gives: where it is a `Sink`, messages are fed as long as more are
    /// ready, and then flushed, which is what `StreamExt::forward` does.
    Batched,
    /// The loop that everybody writes: one `send` for each message.
    Loop,
}

/// fastwebsockets is no stream of messages.
pub(crate) type Frames = fastwebsockets::FragmentCollector<TokioIo<Upgraded>>;

/// What is done with a connection.
pub(crate) trait Work: Clone + 'static {
    /// Of any library whose connections are streams and sinks of messages.
    async fn messages<S, M, E>(self, socket: S, shape: Shape) -> Result<(), Ended>
    where
        S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
        M: Message,
        E: std::error::Error + Send + Sync + 'static;

    async fn frames(self, socket: Frames) -> Result<(), Ended>;
}

#[derive(Clone, Copy)]
enum Library {
    Tungstenite,
    TokioWebsockets,
    Sockudo,
    Yawc,
    Fastwebsockets,
}

/// `NAME`, or `NAME-loop` for [`Shape::Loop`].
pub(crate) async fn run(name: &str, work: impl Work) -> Result<(), Ended> {
    let (library, shape) = match name.strip_suffix("-loop") {
        Some(library) => (library, Shape::Loop),
        None => (name, Shape::Batched),
    };
    let library = match (library, shape) {
        ("tokio-tungstenite", _) => Library::Tungstenite,
        ("tokio-websockets", _) => Library::TokioWebsockets,
        ("sockudo-ws", _) => Library::Sockudo,
        ("yawc", _) => Library::Yawc,
        // It has no way to put off a write, so this is all there is.
        ("fastwebsockets", Shape::Loop) => Library::Fastwebsockets,
        _ => return Err(format!("no library is called {name:?}").into()),
    };
    listen::run(Server { library, shape, work }).await
}

#[derive(Clone)]
struct Server<W> {
    library: Library,
    shape: Shape,
    work: W,
}

impl<W: Work> listen::Serve for Server<W> {
    async fn serve(self, stream: impl Carrier) -> Result<(), Ended> {
        let Server { library, shape, work } = self;
        match library {
            Library::Tungstenite => {
                work.messages(tokio_tungstenite::accept_async(stream).await?, shape).await
            }
            Library::TokioWebsockets => {
                let (_, socket) = tokio_websockets::ServerBuilder::new().accept(stream).await?;
                work.messages(socket, shape).await
            }
            Library::Sockudo => sockudo(stream, work, shape).await,
            Library::Yawc => yawc(stream, work, shape).await,
            Library::Fastwebsockets => fastwebsockets(stream, work).await,
        }
    }
}

/// Whether to compress, where the library can: each message standing alone, or `windowed`.
fn compresses() -> bool {
    std::env::var_os("PEER_COMPRESS").is_some()
}

async fn sockudo(mut stream: impl Carrier, work: impl Work, shape: Shape) -> Result<(), Ended> {
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
            stream.flush().await?;
            let socket =
                sockudo_ws::CompressedWebSocketStream::server(stream, sockudo_ws::Config::default(), deflate);
            return work.messages(socket, shape).await;
        }
        stream.write_all(&build_response(&key, None, None)).await?;
        stream.flush().await?;
        let socket = sockudo_ws::WebSocketStream::server(stream, sockudo_ws::Config::default());
        return work.messages(socket, shape).await;
    }
    Ok(())
}

async fn yawc(stream: impl Carrier, work: impl Work, shape: Shape) -> Result<(), Ended> {
    let options = yawc::Options::default();
    let options = if compresses() { options.with_balanced_compression() } else { options };
    upgrading(stream, move |mut request| {
        let (response, upgrade) = yawc::WebSocket::upgrade_with_options(&mut request, options.clone())?;
        let work = work.clone();
        Ok((response, async move {
            work.messages(upgrade.await?.map(Ok::<_, yawc::WebSocketError>), shape).await
        }))
    })
    .await
}

async fn fastwebsockets(stream: impl Carrier, work: impl Work) -> Result<(), Ended> {
    upgrading(stream, |mut request| {
        let (response, upgrade) = fastwebsockets::upgrade::upgrade(&mut request)?;
        let work = work.clone();
        Ok((response, async move {
            work.frames(fastwebsockets::FragmentCollector::new(upgrade.await?)).await
        }))
    })
    .await
}

/// Serves what hyper has to upgrade; the connection goes on in a task of its own.
async fn upgrading<F>(
    stream: impl Carrier,
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
