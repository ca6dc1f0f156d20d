//! The hook of a graceful shutdown: when it runs, for how long, and what happens meanwhile.

#[path = "support/log.rs"]
mod log;
mod support;

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use log::Log;
use sotong::{Config, Error, Handle, Sender, Serve, WebSocket};
use support::{CLOSE, Peer, soon};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

type Senders = Arc<Mutex<Vec<Sender>>>;

/// A server that remembers its connections, and how to stop it.
async fn remembers(
    threads: usize,
    set: impl FnOnce(Serve, Senders) -> Serve,
) -> (std::net::SocketAddr, oneshot::Sender<()>, JoinHandle<std::io::Result<()>>) {
    let config = Config::default().with_close_timeout(Duration::from_millis(500));
    let (server, address) = support::server(config).await;
    let senders = Senders::default();
    let remembered = senders.clone();
    let serve = server.serve(move |mut socket: WebSocket| {
        remembered.lock().expect("no panic").push(socket.sender());
        async move {
            socket.send("hello").await?;
            while socket.recv().await?.is_some() {}
            Ok::<(), Error>(())
        }
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let serve =
        serve.with_threads(threads).with_shutdown_window(Duration::ZERO).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
    (address, stop, tokio::spawn(set(serve, senders).into_future()))
}

#[tokio::test]
async fn the_hook_runs_before_the_first_close_and_may_say_goodbye() {
    for threads in [0, 2] {
        let (report, mut reports) = mpsc::unbounded_channel();
        let (address, stop, running) = remembers(threads, |serve, senders| {
            serve.with_shutdown_hook(Duration::from_secs(20), move |handle: Handle| async move {
                let refused = TcpStream::connect(address_of(&senders)).await.is_err();
                report.send((handle.stats().connections, refused)).expect("the test listens");
                let senders = senders.lock().expect("no panic").clone();
                for sender in senders {
                    sender.send("goodbye").await.expect("nobody has closed yet");
                    sender.flushed().await.expect("nor now");
                }
            })
        })
        .await;
        SERVER.lock().expect("no panic").replace(address);
        let mut peers = Vec::new();
        for _ in 0..3 {
            let mut peer = Peer::connect(address).await;
            peer.expect_text("hello").await;
            peers.push(peer);
        }
        stop.send(()).expect("the server listens");
        for peer in &mut peers {
            peer.expect_text("goodbye").await;
            assert_eq!(peer.expect_close().await.0, 1001);
        }
        drop(peers);
        assert_eq!(soon(reports.recv()).await, Some((3, true)), "all are there, and nobody gets in");
        soon(running).await.expect("no panic").expect("it ends well");
    }
}

/// Where the hook tries to get in.
static SERVER: Mutex<Option<std::net::SocketAddr>> = Mutex::new(None);

fn address_of(_: &Senders) -> std::net::SocketAddr {
    SERVER.lock().expect("no panic").expect("the test has set it")
}

#[tokio::test]
async fn a_hook_that_never_ends_is_dropped_in_time() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    struct Told(mpsc::UnboundedSender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (told, mut dropped) = mpsc::unbounded_channel();
    let limit = Duration::from_millis(100);
    let (address, stop, running) = remembers(0, |serve, _| {
        serve.with_shutdown_hook(limit, move |_| async move {
            let _told = Told(told);
            std::future::pending::<()>().await;
        })
    })
    .await;
    let mut peer = Peer::connect(address).await;
    peer.expect_text("hello").await;
    let begun = Instant::now();
    stop.send(()).expect("the server listens");
    assert_eq!(peer.expect_close().await.0, 1001);
    assert!(begun.elapsed() >= limit);
    soon(dropped.recv()).await.expect("it was dropped");
    drop(peer);
    soon(running).await.expect("no panic").expect("it ends well");
    assert!(log.has("WARN", &["the shutdown hook took too long"]), "{:?}", log.lines());
}

#[tokio::test]
async fn a_hook_that_panics_changes_nothing() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let (address, stop, running) = remembers(0, |serve, _| {
        serve.with_shutdown_hook(Duration::from_secs(20), |_| async { panic!("on purpose") })
    })
    .await;
    let mut peer = Peer::connect(address).await;
    peer.expect_text("hello").await;
    stop.send(()).expect("the server listens");
    let received = peer.next().await.expect("a close");
    assert_eq!((received.opcode, received.close_code()), (CLOSE, Some(1001)));
    drop(peer);
    soon(running).await.expect("no panic").expect("it ends well");
    assert!(log.has("ERROR", &["the shutdown hook panicked"]), "{:?}", log.lines());
}

#[tokio::test]
async fn a_server_that_is_dropped_drops_its_hook_with_it() {
    let (told, mut begun) = mpsc::unbounded_channel();
    let (address, stop, running) = remembers(0, |serve, _| {
        serve.with_shutdown_hook(Duration::from_secs(20), move |_| async move {
            let _ = told.send(());
            std::future::pending::<()>().await;
        })
    })
    .await;
    let mut peer = Peer::connect(address).await;
    peer.expect_text("hello").await;
    stop.send(()).expect("the server listens");
    soon(begun.recv()).await.expect("it runs");
    running.abort();
    let _ = running.await;
    assert_eq!(soon(begun.recv()).await, None, "what it held is gone");
    assert_eq!(peer.expect_close().await.0, 1001);
}
