//! Ends of connections in the driver's odd corners: an alarm that was moved, a reader that is behind, a Close that is
//! held back for the last answers.

mod support;

use std::future::{IntoFuture, pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use sotong::{Config, Error, Refusal, Request, WebSocket};
use support::{CLOSE, SOON, frame, soon};
use tokio::sync::Notify;
use tokio::time::Instant;

struct Silent;

impl sotong::Events for Silent {
    fn message(&mut self, _socket: &sotong::Sender, _message: sotong::MessageRef<'_>) {}
}

/// A shutdown moves the alarm of an idle connection forward; the next one must not get lost, though it lies behind
/// the one that was moved.
#[tokio::test]
async fn a_shutdown_ends_a_silent_peer_by_a_close_timeout_that_is_longer_than_the_next_alarm() {
    let config = Config::default()
        .with_ping_interval(Some(Duration::from_millis(900)))
        .with_pong_timeout(Duration::from_secs(60))
        .with_close_timeout(Duration::from_secs(2));
    let (server, address) = support::server(config).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serve = server
        .serve_events(|_: &Request| Ok::<_, Refusal>(Silent))
        .with_shutdown_window(Duration::ZERO)
        .with_graceful_shutdown(async { drop(stopped.await) });
    let handle = serve.handle();
    let serving = tokio::spawn(serve.into_future());
    let mut peer = support::Peer::connect(address).await;
    peer.send(support::PING, b"the driver waits").await;
    peer.next().await.expect("a pong");
    drop(stop);
    soon(serving).await.expect("it does not panic").expect("it ends well");
    assert_eq!(handle.stats().connections, 0, "the connection ended within close_timeout");
    drop(peer);
}

/// The driver does not read while the application is behind; what a shutdown has to say leaves all the same.
#[tokio::test]
async fn a_shutdown_is_told_at_once_though_the_inbox_is_full() {
    let config = Config::default().with_close_timeout(Duration::from_secs(3600)).with_inbox_bytes_max(10_000);
    let (server, address) = support::server(config).await;
    let serve = server.serve(async |socket: WebSocket| {
        pending::<()>().await;
        drop(socket);
        Ok::<(), Error>(())
    });
    let handle = serve.handle();
    let mut running = support::Running::start(address, serve);
    let mut peer = running.connect().await;
    peer.send(support::BINARY, &[0; 60_000]).await;
    peer.send(support::BINARY, &[0; 60_000]).await;
    soon(async {
        // The handler never reads: one message is in, and the other stays with the kernel.
        while handle.stats().buffered_bytes < 48 * 1024 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    running.begin_stop();
    let close = peer.next().await.expect("a close frame");
    assert_eq!(close.close_code(), Some(1001));
}

/// `close_timeout` is shorter than the second that a Close waits for the last answers.
#[tokio::test]
async fn a_close_that_is_held_back_leaves_before_close_timeout_ends_it() {
    for close_timeout in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(300)] {
        let config = Config::default().with_close_timeout(close_timeout);
        let busy = Arc::new(Notify::new());
        let is_busy = busy.clone();
        let running = support::pull(config, move |mut socket: WebSocket| {
            let busy = is_busy.clone();
            async move {
                socket.recv().await?;
                busy.notify_one();
                pending::<()>().await;
                Ok::<(), Error>(())
            }
        })
        .await;
        let mut peer = running.connect().await;
        peer.text("keeps it busy").await;
        soon(busy.notified()).await;
        peer.send(CLOSE, &1000u16.to_be_bytes()).await;
        let answer = peer.next().await.unwrap_or_else(|| panic!("no answer within {close_timeout:?}"));
        assert_eq!(answer.close_code(), Some(1000));
        peer.expect_end().await;
    }
}

/// A message and a Close in one read, and a reader on another thread that asks all the time: the Close may not
/// overtake the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_that_comes_with_a_message_never_overtakes_its_answer() {
    let running = support::pull(Config::default(), async |mut socket: WebSocket| {
        loop {
            let mut received = None;
            // Asks again at once, not when it is woken.
            let mut spins = 0;
            while received.is_none() {
                received = poll_fn(|context| match socket.poll_recv(context) {
                    Poll::Ready(received) => Poll::Ready(Some(received)),
                    Poll::Pending => Poll::Ready(None),
                })
                .await;
                spins += 1;
                if spins % 512 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            match received.expect("the loop ends with it")? {
                Some(message) => socket.send(message).await?,
                None => return Ok::<(), Error>(()),
            }
        }
    })
    .await;
    for round in 0..1500 {
        let mut peer = running.connect().await;
        let mut bytes = frame(support::TEXT, true, b"the last words");
        bytes.extend(frame(CLOSE, true, &1000u16.to_be_bytes()));
        peer.raw(&bytes).await;
        let answer = peer.next().await.expect("a frame");
        assert_eq!(answer.opcode, support::TEXT, "round {round}: the close overtook the answer");
        assert_eq!(peer.next().await.and_then(|close| close.close_code()), Some(1000));
        peer.expect_end().await;
    }
    running.stop().await;
}

/// A shutdown that begins while drivers on other threads are about to wait: each is told, now.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shutdown_reaches_connections_that_are_busy_on_other_threads() {
    for _ in 0..30 {
        let config = Config::default().with_ping_interval(None);
        let mut running = support::events(config, |_| Silent).await;
        let over = Arc::new(AtomicBool::new(false));
        let mut peers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let mut peer = running.connect().await;
            let over = over.clone();
            peers.spawn(async move {
                // Alone, so that the driver goes to wait again and again.
                for _ in 0..20 {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    peer.text("x").await;
                    tokio::task::yield_now().await;
                }
                assert_eq!(peer.expect_close().await.0, 1001);
            });
        }
        tokio::task::yield_now().await;
        running.begin_stop();
        let begun = Instant::now();
        over.store(true, Ordering::Relaxed);
        soon(peers.join_all()).await;
        assert!(begun.elapsed() < SOON);
        running.stop().await;
    }
}
