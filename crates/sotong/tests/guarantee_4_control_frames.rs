//! Guarantee 4: a Ping is answered and a Close is seen while the application is busy elsewhere, as long as the
//! inbound budget lasts; beyond it reading stops, and the pong deadline waits.

mod support;

use std::time::Duration;

use sotong::{Config, Error, Events, MessageRef, Sender, WebSocket};
use support::{BINARY, CLOSE, PING, PONG, Peer, frame, soon};
use tokio::sync::mpsc;

/// A pull server whose handler never receives; it hands its sender to the test.
async fn busy(config: Config) -> (support::Running, mpsc::UnboundedReceiver<Sender>) {
    let (hand_out, senders) = mpsc::unbounded_channel();
    let server = support::pull(config, move |socket: WebSocket| {
        hand_out.send(socket.sender()).expect("the test takes it");
        async move {
            std::future::pending::<()>().await;
            drop(socket);
            Ok(())
        }
    })
    .await;
    (server, senders)
}

#[tokio::test]
async fn a_ping_is_answered_while_the_application_is_busy() {
    let (server, _senders) = busy(Config::default()).await;
    let mut peer = server.connect().await;
    peer.text("nobody takes this").await;
    peer.send(PING, b"are you there?").await;
    let pong = peer.next().await.expect("a frame");
    assert_eq!((pong.opcode, &pong.payload[..]), (PONG, &b"are you there?"[..]));
}

#[tokio::test]
async fn a_close_is_answered_and_seen_while_the_application_is_busy() {
    let (server, mut senders) = busy(Config::default()).await;
    let peer = server.connect().await;
    let sender = soon(senders.recv()).await.expect("a connection opened");
    peer.close().await;
    let closed = soon(sender.closed()).await;
    assert_eq!((closed.code(), closed.clean), (1000, true));
    assert!(sender.try_send("too late").is_err());
}

#[tokio::test]
async fn messages_that_came_before_the_close_are_still_received() {
    let (go, wait) = tokio::sync::watch::channel(false);
    let (report, mut reports) = mpsc::unbounded_channel();
    let server = support::pull(Config::default(), move |mut socket: WebSocket| {
        let mut wait = wait.clone();
        let report = report.clone();
        async move {
            wait.wait_for(|go| *go).await.expect("the test lives");
            while let Some(message) = socket.recv().await? {
                report.send(message.as_text().expect("text").to_owned()).expect("the test listens");
            }
            report.send("end".to_owned()).expect("the test listens");
            Ok(())
        }
    })
    .await;
    let mut peer = server.connect().await;
    peer.text("one").await;
    peer.text("two").await;
    peer.close().await;
    go.send(true).expect("the handler waits");
    for expected in ["one", "two", "end"] {
        assert_eq!(soon(reports.recv()).await.as_deref(), Some(expected));
    }
}

/// Fills the inbox and the kernel's buffers until nothing more goes.
async fn fill(peer: &mut Peer) -> usize {
    let chunk = frame(BINARY, true, &[0; 16 * 1024]);
    let mut sent = 0;
    // A quarter of a second without room, again and again, is as good as never: the server has stopped reading.
    while tokio::time::timeout(Duration::from_millis(250), peer.stream.writable()).await.is_ok() {
        match peer.stream.try_write(&chunk[sent % chunk.len()..]) {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        assert!(sent < 256 << 20, "the server never stops reading");
    }
    sent
}

#[tokio::test]
async fn an_inbound_queue_that_is_full_stops_reading_and_the_pong_deadline_waits() {
    let config = Config::default()
        .with_inbox_bytes_max(64 * 1024)
        .with_ping_interval(Some(Duration::from_millis(100)))
        .with_pong_timeout(Duration::from_millis(100));
    let (take, mut wait) = tokio::sync::watch::channel(false);
    let (report, mut reports) = mpsc::unbounded_channel();
    wait.mark_unchanged();
    let server = support::pull(config, move |mut socket: WebSocket| {
        let mut wait = wait.clone();
        let report = report.clone();
        async move {
            wait.wait_for(|go| *go).await.expect("the test lives");
            let mut bytes = 0;
            while let Some(message) = socket.recv().await? {
                bytes += message.len();
                report.send(bytes).expect("the test listens");
            }
            Ok(())
        }
    })
    .await;
    let mut peer = server.connect().await;
    // Filling takes longer than ping_interval and pong_timeout together: had the deadline run, it would be over.
    let sent = fill(&mut peer).await;
    take.send(true).expect("the handler waits");
    let whole = (sent / (16 * 1024 + 8)) * 16 * 1024;
    let mut received = 0;
    while received < whole {
        received = soon(reports.recv()).await.expect("everything that was sent is received");
    }
}

#[tokio::test]
async fn a_silent_peer_is_pinged_and_dropped_when_it_stays_silent() {
    let config = Config::default()
        .with_ping_interval(Some(Duration::from_millis(100)))
        .with_pong_timeout(Duration::from_millis(200));
    let (hand_out, mut ends) = mpsc::unbounded_channel();
    let server = support::pull(config, move |mut socket: WebSocket| {
        let hand_out = hand_out.clone();
        async move {
            hand_out.send(socket.recv().await).expect("the test listens");
            Ok(())
        }
    })
    .await;
    let mut silent = server.connect().await;
    assert_eq!(silent.next().await.expect("a ping comes").opcode, PING);
    let end = soon(ends.recv()).await.expect("the handler ended");
    assert!(
        matches!(end, Err(Error::Peer(sotong::PeerError::Timeout(sotong::Timeout::Pong)))),
        "it ended with {end:?}"
    );
}

#[tokio::test]
async fn a_peer_that_answers_pings_stays() {
    let config = Config::default()
        .with_ping_interval(Some(Duration::from_millis(50)))
        .with_pong_timeout(Duration::from_secs(20));
    let (server, _senders) = busy(config).await;
    let mut peer = server.connect().await;
    for _ in 0..5 {
        let ping = peer.next().await.expect("a ping comes");
        assert_eq!(ping.opcode, PING);
        peer.send(PONG, &ping.payload).await;
    }
    peer.close().await;
}

struct Counts(usize);

impl Events for Counts {
    fn message(&mut self, socket: &Sender, _message: MessageRef<'_>) {
        self.0 += 1;
        socket.try_send(format!("{}", self.0)).expect("there is room");
    }
}

#[tokio::test]
async fn pongs_and_answers_keep_the_order_of_what_they_answer() {
    let server = support::events(Config::default(), |_| Counts(0)).await;
    let mut peer = server.connect().await;
    let mut bytes = frame(1, true, b"a");
    bytes.extend(frame(PING, true, b"p"));
    bytes.extend(frame(1, true, b"b"));
    bytes.extend(frame(CLOSE, true, &1001u16.to_be_bytes()));
    peer.raw(&bytes).await;
    peer.expect_text("1").await;
    assert_eq!(peer.next().await.expect("a frame").opcode, PONG);
    peer.expect_text("2").await;
    assert_eq!(peer.next().await.expect("a frame").close_code(), Some(1001));
    peer.expect_end().await;
}

#[tokio::test]
async fn ping_measures_the_latency() {
    let (report, mut reports) = mpsc::unbounded_channel();
    let server = support::pull(Config::default(), move |socket: WebSocket| {
        let report = report.clone();
        async move {
            let (first, second) = tokio::join!(socket.ping(), socket.ping());
            report.send((first?, second?)).expect("the test listens");
            Ok(())
        }
    })
    .await;
    let mut peer = server.connect().await;
    let first = peer.next().await.expect("a ping");
    let second = peer.next().await.expect("a ping");
    assert_eq!((first.opcode, second.opcode), (PING, PING));
    assert_ne!(first.payload, second.payload);
    // A Pong nobody asked for changes nothing; the Pong of the second answers the first as well.
    peer.send(PONG, b"unasked").await;
    peer.send(PONG, &second.payload).await;
    let (first, second) = soon(reports.recv()).await.expect("both are answered");
    assert!(first >= second && first < support::SOON);
}
