//! Worker threads: connections spread over them and stay where they are, and no thread is left behind.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use sotong::{Config, Error, Events, MessageRef, Refusal, Request, Sender, Serve, Server, WebSocket};
use support::{Peer, Running, SOON, TEXT, soon};
use tokio::sync::{Mutex, MutexGuard};

/// The threads of the process are counted, so the tests of this file take turns.
async fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// How many threads of this process are worker threads.
fn workers() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux has it");
    threads
        // A thread may end while we look.
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("sotong-"))
        .count()
}

/// Waits until there are that many. A thread is in the list for a moment after it was joined.
async fn until_there_are(count: usize) {
    let waiting = async {
        while workers() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, waiting)
        .await
        .unwrap_or_else(|_| panic!("{} worker threads, not {count}", workers()));
}

fn here() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

/// Tells where it runs.
struct Where;

impl Events for Where {
    fn message(&mut self, socket: &Sender, _message: MessageRef<'_>) {
        socket.try_send(here()).expect("there is room");
    }
}

async fn tell_where(mut socket: WebSocket) -> Result<(), Error> {
    while socket.recv().await?.is_some() {
        socket.send(here()).await?;
        // Also after it has waited elsewhere.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// The server in pull form, in event form.
async fn both_forms(config: Config, threads: usize) -> [(std::net::SocketAddr, Serve); 2] {
    let (first, first_address) = support::server(config.clone()).await;
    let (second, second_address) = support::server(config).await;
    [
        (first_address, first.serve(tell_where).with_threads(threads)),
        (second_address, second.serve_events(|_: &Request| Ok::<_, Refusal>(Where)).with_threads(threads)),
    ]
}

async fn asks_where(peer: &mut Peer) -> String {
    peer.text("where?").await;
    soon(peer.next()).await.expect("an answer").text().to_owned()
}

#[tokio::test]
async fn connections_spread_over_the_threads_and_stay_there() {
    let _alone = alone().await;
    for (address, serve) in both_forms(Config::default(), 3).await {
        let running = Running::start(address, serve);
        let mut peers = Vec::new();
        let mut count = BTreeMap::<String, usize>::new();
        for _ in 0..9 {
            let mut peer = running.connect().await;
            let home = asks_where(&mut peer).await;
            *count.entry(home.clone()).or_default() += 1;
            peers.push((peer, home));
        }
        let expected = ["sotong-0", "sotong-1", "sotong-2"].map(|name| (name.to_owned(), 3));
        assert_eq!(count, BTreeMap::from(expected));
        assert_eq!(workers(), 3);
        for _ in 0..3 {
            for (peer, home) in &mut peers {
                assert_eq!(asks_where(peer).await, *home);
            }
        }
        for (peer, _) in peers {
            peer.close().await;
        }
        running.stop().await;
        until_there_are(0).await;
    }
}

#[tokio::test]
async fn without_threads_of_its_own_a_server_starts_none() {
    let _alone = alone().await;
    for (address, serve) in both_forms(Config::default(), 0).await {
        let running = Running::start(address, serve);
        let mut peer = running.connect().await;
        assert_eq!(asks_where(&mut peer).await, here());
        assert_eq!(workers(), 0);
        peer.close().await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_graceful_shutdown_closes_everything_and_ends_the_threads() {
    let _alone = alone().await;
    for (address, serve) in both_forms(Config::default(), 3).await {
        let mut running = Running::start(address, serve);
        let mut peers = Vec::new();
        for _ in 0..6 {
            peers.push(running.connect().await);
        }
        until_there_are(3).await;
        running.begin_stop();
        for peer in &mut peers {
            assert_eq!(peer.expect_close().await.0, 1001);
        }
        drop(peers);
        running.stop().await;
        until_there_are(0).await;
    }
}

#[tokio::test]
async fn dropping_the_server_closes_everything_and_ends_the_threads() {
    let _alone = alone().await;
    for (address, serve) in both_forms(Config::default(), 3).await {
        let serving = tokio::spawn(serve.into_future());
        let mut peers = Vec::new();
        for _ in 0..6 {
            peers.push(Peer::connect(address).await);
        }
        until_there_are(3).await;
        serving.abort();
        for peer in &mut peers {
            assert_eq!(peer.expect_close().await.0, 1001);
        }
        drop(peers);
        until_there_are(0).await;
        assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}

#[tokio::test]
async fn peers_that_never_answer_do_not_keep_the_threads() {
    let _alone = alone().await;
    let config = Config::default().with_close_timeout(Duration::from_millis(200));
    for (address, serve) in both_forms(config, 2).await {
        let running = Running::start(address, serve);
        let peers = [running.connect().await, running.connect().await, running.connect().await];
        running.stop().await;
        until_there_are(0).await;
        drop(peers);
    }
}

/// A handler must not block, and one that does holds its thread. It does not hold the shutdown.
#[tokio::test]
async fn a_blocked_thread_does_not_hold_the_shutdown_for_ever() {
    let _alone = alone().await;
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    let config = Config::default().with_close_timeout(Duration::from_millis(100));
    let (server, address) = support::server(config).await;
    let serve = server
        .serve(move |mut socket: WebSocket| {
            let blocked = blocked.clone();
            async move {
                while socket.recv().await?.is_some() {
                    socket.send("blocking").await?;
                    let _ = blocked.lock().expect("nobody panics").recv();
                }
                Ok::<(), Error>(())
            }
        })
        .with_threads(2);
    let running = Running::start(address, serve);
    let (mut first, mut second) = (running.connect().await, running.connect().await);
    first.text("block").await;
    first.expect_text("blocking").await;
    assert_eq!(workers(), 2);
    let (stopped, closed) = tokio::join!(running.stop(), second.expect_close());
    assert_eq!(((), 1001), (stopped, closed.0), "the other thread's peer is told");
    // The thread ends when it can.
    drop(release);
    until_there_are(0).await;
}

#[tokio::test]
async fn a_shutdown_with_connections_that_have_just_come_loses_no_thread() {
    let _alone = alone().await;
    let config = Config::default().with_close_timeout(Duration::from_millis(200));
    for round in 0..10 {
        for (address, serve) in both_forms(config.clone(), 2).await {
            let running = Running::start(address, serve);
            let mut streams = Vec::new();
            for index in 0..8 {
                let stream = tokio::net::TcpStream::connect(address).await.expect("the server listens");
                let mut request = support::handshake(address, "/", "").into_bytes();
                request.extend(support::frame(TEXT, true, b"where?"));
                request.truncate(request.len() - 3 * ((round + index) % 4));
                let _ = stream.try_write(&request);
                streams.push(stream);
            }
            running.stop().await;
            until_there_are(0).await;
        }
    }
}

#[tokio::test]
async fn a_detached_server_hands_streams_of_another_runtime_to_its_threads() {
    let _alone = alone().await;
    let serve = Server::detached().serve(tell_where).with_threads(2);
    let handle = serve.handle();
    let running = Running::start(([127, 0, 0, 1], 1).into(), serve);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a listener has an address");
    for expected in ["sotong-0", "sotong-1", "sotong-0"] {
        let (peer, accepted) = tokio::join!(Peer::connect(address), async {
            let (stream, _) = listener.accept().await.expect("somebody connects");
            handle.accept(stream, Vec::new())
        });
        accepted.expect("the server is there");
        let mut peer = peer;
        assert_eq!(asks_where(&mut peer).await, expected);
        peer.close().await;
    }
    running.stop().await;
    until_there_are(0).await;
}
