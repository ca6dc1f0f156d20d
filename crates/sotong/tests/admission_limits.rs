//! How many at a time: connections, handshakes, and that every place is given back.

#[path = "support/plain.rs"]
mod plain;
mod support;

use std::time::Duration;

use plain::{answer, ask};
use sotong::{Accept, Config, Error, Events, MessageRef, Refusal, Request, Sender, Server, WebSocket};
use support::{Peer, Running, SOON, handshake, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        if matches!(message, MessageRef::Text("panic")) {
            panic!("on purpose");
        }
        socket.try_send(message).expect("there is room");
    }
}

async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        if matches!(message.as_ref(), MessageRef::Text("panic")) {
            panic!("on purpose");
        }
        socket.send(message).await?;
    }
    Ok(())
}

/// Each form, on the caller's runtime and on threads.
async fn all_ways(config: Config, set_up: impl Fn(Server) -> Server) -> Vec<Running> {
    let mut all = Vec::new();
    for threads in [0, 2] {
        let (server, address) = support::server(config.clone()).await;
        all.push(Running::start(address, set_up(server).serve(echo).with_threads(threads)));
        let (server, address) = support::server(config.clone()).await;
        let serve = set_up(server).serve_events(|request: &Request| match request.path() {
            "/factory" => Err(Refusal::new(404, "")),
            _ => Ok(Echo),
        });
        all.push(Running::start(address, serve.with_threads(threads)));
    }
    all
}

async fn says_hello(peer: &mut Peer) {
    peer.text("hello").await;
    peer.expect_text("hello").await;
}

/// A connection as soon as there is a place: the server learns a moment later that another one has gone.
async fn connect_when_free(running: &Running) -> Peer {
    let waiting = async {
        loop {
            let peer = Peer::request(running.address, "/", "").await;
            match peer.head.get(9..12) {
                Some("101") => return peer,
                Some("503") => tokio::time::sleep(Duration::from_millis(5)).await,
                _ => panic!("{}", peer.head),
            }
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("a place is free")
}

/// Takes every place, and sees that there is none more.
async fn takes_all_places(running: &Running, max: usize) -> Vec<Peer> {
    let mut peers = Vec::new();
    while peers.len() < max {
        peers.push(connect_when_free(running).await);
    }
    let refused = ask(running.address, handshake(running.address, "/", "")).await;
    assert_eq!(refused.status, 503, "one more than the limit");
    assert!(refused.body.contains(&format!("connections_max = {max}")), "{refused:?}");
    peers
}

#[tokio::test]
async fn one_more_than_the_limit_is_told_503_and_disturbs_nobody() {
    for running in all_ways(Config::default(), |server| server.with_connections_max(3)).await {
        let mut peers = takes_all_places(&running, 3).await;
        for peer in &mut peers {
            says_hello(peer).await;
        }
        // A place that is free again is taken again, and there is still just one.
        peers.pop().expect("there are three").close().await;
        peers.push(connect_when_free(&running).await);
        assert_eq!(ask(running.address, handshake(running.address, "/", "")).await.status, 503);
        for peer in &mut peers {
            says_hello(peer).await;
        }
        drop(peers);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_limit_of_zero_lets_nobody_in() {
    for running in all_ways(Config::default(), |server| server.with_connections_max(0)).await {
        assert_eq!(ask(running.address, handshake(running.address, "/", "")).await.status, 503);
        running.stop().await;
    }
}

/// Whichever way a connection or a handshake ended, its place is free, once.
#[tokio::test]
async fn every_end_gives_its_place_back_once() {
    const MAX: usize = 4;
    let config = Config::default().with_close_timeout(Duration::from_millis(300));
    let hook = |request: &Request| match request.path() {
        "/refused" => Err(Refusal::new(401, "")),
        "/panic" => panic!("on purpose"),
        "/protocol" => Ok(Accept::default().with_protocol("nobody's")),
        _ => Ok(Accept::default()),
    };
    for running in all_ways(config, |server| server.with_connections_max(MAX).with_hook(hook)).await {
        let address = running.address;
        for _ in 0..2 * MAX {
            drop(TcpStream::connect(address).await.expect("the server listens"));
            let mut half = TcpStream::connect(address).await.expect("the server listens");
            half.write_all(b"GET / HTTP/1.1\r\nHost").await.expect("the server reads");
            drop(half);
            for path in ["/refused", "/panic", "/protocol", "/factory"] {
                drop(Peer::request(address, path, "").await);
            }
            connect_when_free(&running).await.close().await;
            // No Close, a message half sent, a protocol error, a handler that panics.
            drop(connect_when_free(&running).await);
            connect_when_free(&running).await.raw(&[0x81, 0x85, 1, 2]).await;
            let mut wrong = connect_when_free(&running).await;
            wrong.raw(&[0x81, 0x00]).await;
            assert_eq!(wrong.expect_close().await.0, 1002);
            let mut panics = connect_when_free(&running).await;
            panics.text("panic").await;
            assert_eq!(panics.expect_close().await.0, 1011);
        }
        let mut peers = takes_all_places(&running, MAX).await;
        for peer in &mut peers {
            says_hello(peer).await;
        }
        drop(peers);
        drop(takes_all_places(&running, MAX).await);
        running.stop().await;
    }
}

/// Whatever the limit, 64 more may knock to be told 503. Beyond that even an answer would cost too much.
#[tokio::test]
async fn a_flood_of_handshakes_is_dropped_beyond_the_places_that_are_free() {
    const SPARE: usize = 64;
    for running in all_ways(Config::default(), |server| server.with_connections_max(2)).await {
        let mut peer = running.connect().await;
        // Its answer shows that its handshake is over on the server's side, too.
        says_hello(&mut peer).await;
        // One place is free, so one handshake more.
        let mut idle = Vec::new();
        for _ in 0..=SPARE {
            idle.push(TcpStream::connect(running.address).await.expect("the server listens"));
        }
        for _ in 0..20 {
            let mut dropped = TcpStream::connect(running.address).await.expect("the kernel accepts it");
            let mut rest = Vec::new();
            // By a reset or regularly.
            let _ = soon(dropped.read_to_end(&mut rest)).await;
            assert_eq!(rest, b"", "without a word");
        }
        says_hello(&mut peer).await;
        // Those that were let in are still served: one of them is let in, the next one is told why not.
        let request = handshake(running.address, "/", "");
        let mut first = idle.pop().expect("there are many");
        first.write_all(request.as_bytes()).await.expect("the server reads");
        let mut first = Peer { head: support::read_head(&mut first).await, stream: first };
        assert!(first.head.starts_with("HTTP/1.1 101 "), "{}", first.head);
        let mut second = idle.pop().expect("there are many");
        second.write_all(request.as_bytes()).await.expect("the server reads");
        assert_eq!(answer(&mut second).await.status, 503);
        says_hello(&mut first).await;
        // When the flood has gone, others are answered again.
        drop((idle, second));
        let again = async {
            loop {
                let late = Peer::request(running.address, "/", "").await;
                if late.head.starts_with("HTTP/1.1 503 ") {
                    return;
                }
                assert_eq!(late.head, "", "dropped, while the server learns of it");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon(again).await;
        drop((peer, first));
        drop(takes_all_places(&running, 2).await);
        running.stop().await;
    }
}
