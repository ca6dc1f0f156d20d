//! Pings that wait while keep-alive sends later ones: a peer may answer only the latest (RFC 6455, section 5.5.3).

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::pin::pin;
use std::time::Duration;

use scripted::{Scripted, Served};
use sotong::reconnect::Reconnect;
use sotong::{Client, Config, WebSocket};
use support::{Frame, PING, PONG, TEXT, soon};
use tokio::time::timeout;

fn client() -> Client {
    // Keep-alive soon, and whoever does not answer is not given up within the test.
    let config = Config::default()
        .with_ping_interval(Some(Duration::from_millis(20)))
        .with_pong_timeout(Duration::from_secs(600));
    Client::new().with_simultaneous_connects().with_config(config)
}

/// The next Ping that is not a keep-alive's with nobody waiting.
async fn ping(served: &mut Served) -> Frame {
    soon(async {
        loop {
            let frame = served.next().await.expect("it is open");
            assert_eq!(frame.opcode, PING);
            if !frame.payload.is_empty() {
                return frame;
            }
        }
    })
    .await
}

/// Ready when the client has read all that was sent before.
async fn has_read(served: &mut Served, socket: &mut WebSocket) {
    served.send(TEXT, b"mark").await;
    assert!(soon(socket.recv()).await.expect("it is open").is_some());
}

#[tokio::test]
async fn a_pong_to_a_later_ping_answers_those_before_it_and_none_after() {
    let server = Scripted::start().await;
    let connecting = tokio::spawn(client().connect(&server.url()));
    let mut served = server.open().await;
    let mut socket = soon(connecting).await.expect("no panic").expect("connected");
    let sender = socket.sender();

    let mut first = pin!(sender.ping());
    assert!(timeout(Duration::ZERO, first.as_mut()).await.is_err());
    let asked = ping(&mut served).await;
    let keep_alive = ping(&mut served).await;
    assert_ne!(asked.payload, keep_alive.payload);
    // Nobody asked for this one, nor for that.
    served.send(PONG, b"").await;
    served.send(PONG, &u64::MAX.to_be_bytes()).await;
    has_read(&mut served, &mut socket).await;
    assert!(timeout(Duration::ZERO, first.as_mut()).await.is_err(), "it is not answered");

    let mut second = pin!(sender.ping());
    assert!(timeout(Duration::ZERO, second.as_mut()).await.is_err());
    served.send(PONG, &keep_alive.payload).await;
    soon(first).await.expect("the later one answers it");
    has_read(&mut served, &mut socket).await;
    assert!(timeout(Duration::ZERO, second.as_mut()).await.is_err(), "it was sent after that");

    socket.send("behind").await.expect("it is open");
    let mut latest = None;
    while let frame = soon(served.next()).await.expect("it is open")
        && frame.opcode == PING
    {
        latest = Some(frame.payload);
    }
    served.send(PONG, &latest.expect("a ping")).await;
    soon(second).await.expect("answered");

    // A late Pong answers nothing that was sent after it.
    let mut third = pin!(sender.ping());
    assert!(timeout(Duration::ZERO, third.as_mut()).await.is_err());
    served.send(PONG, &asked.payload).await;
    has_read(&mut served, &mut socket).await;
    assert!(timeout(Duration::ZERO, third.as_mut()).await.is_err(), "its number is new");
}

#[tokio::test]
async fn a_peer_that_answers_only_the_latest_ping_confirms_what_was_sent() {
    let server = Scripted::start().await;
    let url = server.url();
    let peer = tokio::spawn(async move {
        let mut served = server.open().await;
        served.expect(TEXT, b"hello").await;
        let confirming = ping(&mut served).await;
        // It is slow: until keep-alive asks, too.
        while let Some(frame) = served.next().await {
            if frame.opcode == PING {
                assert_ne!(frame.payload, confirming.payload);
                served.send(PONG, &frame.payload).await;
            }
        }
    });
    let socket = Reconnect::new(url).with_client(client()).connect();
    socket.send("hello").await.expect("there is room");
    soon(socket.sender().settled()).await;
    let counters = socket.counters();
    assert_eq!((counters.confirmed, counters.may_be_lost, counters.connections), (1, 0, 1));
    peer.abort();
}
