//! Upgrades out of hyper itself: its own server, any stream, both ways to say yes.
#![cfg(feature = "hyper")]

mod support;

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sotong::upgrade::{Upgrade, UpgradeError, Upgrades};
use sotong::{Config, Error, Events, MessageRef, Sender, Server, WebSocket};
use support::{TEXT, frame, soon};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

type Page = Response<Full<Bytes>>;

async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        socket.try_send(message).expect("there is room");
    }
}

/// Whether hyper is told to expect upgrades.
#[derive(Clone, Copy, PartialEq)]
enum Hyper {
    WithUpgrades,
    Without,
}

/// Has hyper serve one stream, and answer what `answer` says.
fn serve<S, F>(stream: S, upgrades: Upgrades, hyper: Hyper, answer: F)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Fn(Upgrade) -> Page + Clone + Send + Sync + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (upgrades, answer) = (upgrades.clone(), answer.clone());
        async move {
            Ok::<Page, Infallible>(match upgrades.upgrade(&mut request, None) {
                Ok(upgrade) => {
                    assert!(request.headers().contains_key("host"), "the request is as it was");
                    let again = upgrades.upgrade(&mut request, None).expect_err("it is taken");
                    assert_eq!(again, UpgradeError::NotUpgradable);
                    answer(upgrade)
                }
                Err(error) => error.to_response(),
            })
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::spawn(async move {
        let served = match hyper {
            Hyper::WithUpgrades => connection.with_upgrades().await,
            Hyper::Without => connection.await,
        };
        drop(served);
    });
}

/// The client's end of a stream of memory.
struct Peer<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// Asks for a WebSocket, with these bytes right behind.
    async fn ask(mut stream: S, early: &[u8]) -> (Peer<S>, String) {
        let address = "127.0.0.1:1".parse().expect("an address");
        let mut bytes = support::handshake(address, "/", "").into_bytes();
        bytes.extend(early);
        stream.write_all(&bytes).await.expect("hyper reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(stream.read_u8()).await.expect("a whole head"));
        }
        (Peer(stream), String::from_utf8(head).expect("a head is ASCII"))
    }

    async fn open(stream: S, early: &[u8]) -> Peer<S> {
        let (peer, head) = Peer::ask(stream, early).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        peer
    }

    /// The server's next frame, which must be a short one.
    async fn expect(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = vec![0; 2 + payload.len()];
        soon(self.0.read_exact(&mut frame)).await.expect("a frame");
        assert_eq!(frame[..2], [0x80 | opcode, payload.len() as u8]);
        assert_eq!(&frame[2..], payload);
    }

    async fn echoes(&mut self, text: &str) {
        self.0.write_all(&frame(TEXT, true, text.as_bytes())).await.expect("it reads");
        self.expect(TEXT, text.as_bytes()).await;
    }

    async fn close(mut self) {
        self.0.write_all(&frame(support::CLOSE, true, &1000u16.to_be_bytes())).await.expect("it reads");
        self.expect(support::CLOSE, &1000u16.to_be_bytes()).await;
        let mut rest = Vec::new();
        soon(self.0.read_to_end(&mut rest)).await.expect("the end");
        assert_eq!(rest, b"");
    }
}

fn memory() -> (tokio::io::DuplexStream, tokio::io::DuplexStream) {
    tokio::io::duplex(64 * 1024)
}

#[tokio::test]
async fn both_forms_over_any_stream_with_frames_in_the_packet_of_the_request() {
    let upgrades = Server::detached().upgrades();
    let pull = |upgrade: Upgrade| upgrade.on_upgrade(echo);
    let events = |upgrade: Upgrade| upgrade.on_upgrade_events(Echo);
    for answer in [pull as fn(Upgrade) -> Page, events] {
        let (near, far) = memory();
        serve(far, upgrades.clone(), Hyper::WithUpgrades, answer);
        let mut peer = Peer::open(near, &frame(TEXT, true, b"early")).await;
        peer.expect(TEXT, b"early").await;
        peer.echoes("late").await;
        peer.close().await;

        let (near, far) = tokio::net::UnixStream::pair().expect("a pair of sockets");
        serve(far, upgrades.clone(), Hyper::WithUpgrades, answer);
        let mut peer = Peer::open(near, &frame(TEXT, true, b"early")).await;
        peer.expect(TEXT, b"early").await;
        peer.echoes("late").await;
        peer.close().await;

        // A server of ours may have hyper serve its pages.
        let (near, far) = sotong::memory();
        serve(far, upgrades.clone(), Hyper::WithUpgrades, answer);
        let mut peer = Peer::open(near, &frame(TEXT, true, b"early")).await;
        peer.expect(TEXT, b"early").await;
        peer.close().await;
    }
}

#[tokio::test]
async fn who_starts_own_tasks_gets_the_connection_as_a_future() {
    let upgrades = Server::detached().upgrades();
    let (near, far) = memory();
    serve(far, upgrades.clone(), Hyper::WithUpgrades, |upgrade| {
        let (response, upgrading) = upgrade.protocols(["a"]).accept();
        let upgrading = upgrading.expect("nothing was chosen that was not offered");
        tokio::spawn(async move { echo(upgrading.await.expect("it comes about")).await });
        response
    });
    let mut peer = Peer::open(near, b"").await;
    peer.echoes("hello").await;
    peer.close().await;

    let (near, far) = memory();
    let (tell, mut told) = mpsc::unbounded_channel();
    serve(far, upgrades, Hyper::WithUpgrades, move |upgrade| {
        let (response, upgrading) = upgrade.accept();
        let upgrading = upgrading.expect("nothing was chosen that was not offered");
        let tell = tell.clone();
        tokio::spawn(async move {
            let sender = upgrading.events(Echo).await.expect("it comes about");
            tell.send(sender).expect("the test listens");
        });
        response
    });
    let mut peer = Peer::open(near, b"").await;
    let sender = soon(told.recv()).await.expect("it began");
    assert_eq!((sender.peer_addr(), sender.client_ip()), (None, None));
    peer.echoes("hello").await;
    peer.close().await;
    assert!(soon(sender.closed()).await.clean);
}

/// The count comes down a moment after the future has failed.
async fn holds_nothing(upgrades: &Upgrades) {
    let looking = async {
        while upgrades.stats().connections > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(support::SOON, looking).await.is_ok(), "{upgrades:?}");
}

/// An upgrade that is accepted by a server which is `hyper`, and how it ends when `peer` does its part.
async fn fails(
    hyper: Hyper,
    config: Config,
    peer: impl AsyncFnOnce(tokio::io::DuplexStream, &Upgrades),
) -> std::io::Error {
    let upgrades = Server::detached().with_config(config).upgrades();
    let (near, far) = tokio::io::duplex(64);
    let (tell, mut told) = mpsc::unbounded_channel();
    serve(far, upgrades.clone(), hyper, move |upgrade| {
        let (response, upgrading) = upgrade.accept();
        let upgrading = upgrading.expect("nothing was chosen that was not offered");
        let tell = tell.clone();
        tokio::spawn(async move {
            let failed = upgrading.await.map(drop).expect_err("it does not come about");
            tell.send(failed).expect("the test listens");
        });
        response
    });
    peer(near, &upgrades).await;
    let error = soon(told.recv()).await.expect("it was told");
    holds_nothing(&upgrades).await;
    error
}

async fn ask_only(stream: &mut tokio::io::DuplexStream) {
    let address = "127.0.0.1:1".parse().expect("an address");
    let request = support::handshake(address, "/", "");
    stream.write_all(request.as_bytes()).await.expect("hyper reads");
}

#[tokio::test]
async fn an_upgrade_that_fails_says_so_and_holds_nothing() {
    // Hyper was not told: it keeps the stream to itself.
    let error = fails(Hyper::Without, Config::default(), async |mut near, _| {
        ask_only(&mut near).await;
        let mut rest = Vec::new();
        soon(near.read_to_end(&mut rest)).await.expect("the end");
    })
    .await;
    assert_eq!(error.kind(), std::io::ErrorKind::Other, "{error}");

    // The peer does not read the answer, which does not fit into the stream.
    let config = Config::default().with_handshake_timeout(Duration::from_millis(50));
    let (keep, mut kept) = mpsc::unbounded_channel();
    let error = fails(Hyper::WithUpgrades, config, async |mut near, _| {
        ask_only(&mut near).await;
        keep.send(near).expect("it is kept");
    })
    .await;
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
    drop(kept.recv().await);

    // The peer goes.
    let error = fails(Hyper::WithUpgrades, Config::default(), async |mut near, _| {
        ask_only(&mut near).await;
        near.read_u8().await.expect("the answer begins");
    })
    .await;
    assert_eq!(error.kind(), std::io::ErrorKind::Other, "{error}");

    // The program ends.
    let error = fails(Hyper::WithUpgrades, Config::default(), async |mut near, upgrades| {
        ask_only(&mut near).await;
        near.read_u8().await.expect("the answer begins");
        soon(upgrades.shutdown(Duration::ZERO)).await;
        keep.send(near).expect("it is kept");
    })
    .await;
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted, "{error}");
}

#[tokio::test]
async fn a_shutdown_reaches_the_connections_of_every_runtime() {
    let upgrades = Server::detached().upgrades();
    let (near, far) = memory();
    serve(far, upgrades.clone(), Hyper::WithUpgrades, |upgrade| upgrade.on_upgrade(echo));
    let mut here = Peer::open(near, b"").await;

    let (near, far) = memory();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let theirs = upgrades.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            serve(far, theirs, Hyper::WithUpgrades, |upgrade| upgrade.on_upgrade_events(Echo));
            stopped.await.expect("the test goes on");
        });
    });
    let mut there = Peer::open(near, b"").await;
    here.echoes("here").await;
    there.echoes("there").await;
    assert_eq!(upgrades.stats().connections, 2);

    let shutdown = {
        let upgrades = upgrades.clone();
        tokio::spawn(async move { upgrades.shutdown(Duration::ZERO).await })
    };
    let going = [&[3, 0xe9][..], b"the server shuts down"].concat();
    for mut peer in [here, there] {
        peer.expect(support::CLOSE, &going).await;
        peer.0.write_all(&frame(support::CLOSE, true, &1001u16.to_be_bytes())).await.expect("it reads");
    }
    soon(shutdown).await.expect("it did not panic");
    assert_eq!(upgrades.stats().connections, 0);
    stop.send(()).expect("the runtime waits");
    thread.join().expect("it did not panic");
}

#[tokio::test]
async fn no_request_of_hypers_is_no_request_that_can_be_upgraded() {
    let upgrades = Server::detached().upgrades();
    let mut request = Request::builder()
        .uri("http://127.0.0.1/chat?a=b")
        .header("Host", "127.0.0.1")
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
        .body(())
        .expect("a request");
    let error = upgrades.upgrade(&mut request, None).expect_err("hyper has not made it");
    assert_eq!((&error, error.status()), (&UpgradeError::NotUpgradable, 500));
    assert_eq!(request.headers().len(), 5);
    assert_eq!(upgrades.stats().connections, 0);

    request.headers_mut().remove("upgrade");
    let error = upgrades.upgrade(&mut request, None).expect_err("a page");
    let response = error.to_response::<String>();
    assert_eq!((error, response.status().as_u16()), (UpgradeError::NotAsked, 426));
    assert_eq!(response.headers()["upgrade"], "websocket");
}
