//! Every deadline and every rate, over a real socket: with which code it ends, what the peer sees of it, and what the
//! application is told.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sotong::{
    Closed, Config, Error, Events, Initiator, LimitError, MessageRef, PeerError, Rate, Sender, Timeout,
    WebSocket,
};
use support::{BINARY, CLOSE, PING, PONG, Peer, Running, SOON, TEXT, frame, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Short, but long for what a slow machine does within it.
const SHORT: Duration = Duration::from_millis(200);

/// How much too early a deadline may seem: the server's clock moves in steps of up to 10 ms.
const STEP: Duration = Duration::from_millis(20);

/// What the server's end of each connection was told at its end.
type Reports = mpsc::UnboundedReceiver<(Option<Error>, Arc<Closed>)>;

/// A server in each form, without keep-alive unless `config` asks for one. It echoes; to `flood` it answers with
/// more than any buffer takes.
async fn both(config: Config) -> Vec<(Running, Reports)> {
    vec![by_events(config.clone()).await, by_pull(config).await]
}

fn quiet() -> Config {
    Config::default().with_ping_interval(None).with_close_timeout(10 * SHORT)
}

struct Echo {
    error: Option<Error>,
    report: mpsc::UnboundedSender<(Option<Error>, Arc<Closed>)>,
}

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        if matches!(message, MessageRef::Text("flood")) {
            while socket.try_send(vec![0; 65536]).is_ok() {}
        } else {
            let _ = socket.try_send(message);
        }
    }

    fn error(&mut self, _: &Sender, error: &Error) {
        self.error = Some(error.clone());
    }

    fn close(&mut self, closed: &Arc<Closed>) {
        let _ = self.report.send((self.error.take(), closed.clone()));
    }
}

async fn by_events(config: Config) -> (Running, Reports) {
    let (report, reports) = mpsc::unbounded_channel();
    let server = support::events(config, move |_| Echo { error: None, report: report.clone() }).await;
    (server, reports)
}

async fn by_pull(config: Config) -> (Running, Reports) {
    let (report, reports) = mpsc::unbounded_channel();
    let server = support::pull(config, move |mut socket: WebSocket| {
        let report = report.clone();
        async move {
            let sender = socket.sender();
            let error = loop {
                match socket.recv().await {
                    Ok(Some(message)) if message.as_text() == Some("flood") => {
                        while sender.try_send(vec![0; 65536]).is_ok() {}
                    }
                    Ok(Some(message)) => {
                        let _ = sender.try_send(message);
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            let _ = report.send((error, sender.closed().await));
            Ok(())
        }
    })
    .await;
    (server, reports)
}

async fn report(reports: &mut Reports) -> (Option<Error>, Arc<Closed>) {
    soon(reports.recv()).await.expect("the connection ended")
}

#[track_caller]
fn is_timeout(error: Option<Error>, wanted: Timeout) {
    assert!(
        matches!(&error, Some(Error::Peer(PeerError::Timeout(timeout))) if *timeout == wanted),
        "{wanted:?}, not {error:?}"
    );
}

#[tokio::test]
async fn deadline_handshake_408_and_the_end() {
    let (server, _) = by_events(quiet().with_handshake_timeout(SHORT)).await;
    for sent in ["", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(server.address).await.expect("the server listens");
        stream.write_all(sent.as_bytes()).await.expect("the server reads");
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.expect("it ends regularly");
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
        assert!(begun.elapsed() + STEP >= SHORT);
    }
    server.stop().await;
}

#[tokio::test]
async fn deadline_message_1008_though_every_ping_is_answered() {
    for (server, mut reports) in both(quiet().with_message_timeout(Some(SHORT))).await {
        let mut peer = server.connect().await;
        peer.raw(&frame(TEXT, false, b"the first half")).await;
        // It looks alive all the time.
        let mut pongs = 0;
        let (code, reason) = soon(async {
            loop {
                let _ = peer.stream.write_all(&frame(PING, true, b"still here")).await;
                let frame = peer.next().await.expect("a close before the end");
                match frame.opcode {
                    PONG => pongs += 1,
                    CLOSE => break (frame.close_code(), frame.payload[2..].to_vec()),
                    other => panic!("{other}"),
                }
            }
        })
        .await;
        assert_eq!(code, Some(1008), "{reason:?}");
        assert!(pongs > 0, "pings are answered meanwhile");
        let _ = peer.stream.write_all(&frame(CLOSE, true, &1008u16.to_be_bytes())).await;
        drop(peer);
        let (error, closed) = report(&mut reports).await;
        is_timeout(error, Timeout::Message);
        assert_eq!(closed.first, Some(Initiator::Local));
        server.stop().await;
    }
}

#[tokio::test]
async fn deadline_pong_the_peer_is_cut_off() {
    let config = Config::default().with_ping_interval(Some(SHORT)).with_pong_timeout(SHORT);
    for (server, mut reports) in both(config).await {
        let mut peer = server.connect().await;
        assert_eq!(peer.next().await.expect("a ping after the silence").opcode, PING);
        // Not a word back. What comes is the end of the stream, perhaps with a last word before it.
        while let Some(frame) = peer.next().await {
            assert_eq!(frame.opcode, CLOSE);
        }
        let (error, closed) = report(&mut reports).await;
        is_timeout(error, Timeout::Pong);
        assert_eq!((closed.code(), closed.clean), (1006, false));
        server.stop().await;
    }
}

#[tokio::test]
async fn deadline_write_a_peer_that_takes_nothing_is_cut_off() {
    let config = quiet().with_write_timeout(Some(SHORT)).with_outbox_bytes_max(32 << 20);
    for (server, mut reports) in both(config).await {
        let mut peer = server.connect().await;
        peer.text("flood").await;
        // It does not read at all until the server has given up.
        let (error, closed) = report(&mut reports).await;
        is_timeout(error, Timeout::Write);
        assert!(!closed.clean);
        while let Some(frame) = peer.next().await {
            assert_eq!(frame.opcode, BINARY, "whole messages up to the cut, and no Close");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn deadline_close_ends_though_the_peer_never_answers() {
    for (server, mut reports) in both(quiet().with_close_timeout(SHORT).with_idle_timeout(Some(SHORT))).await
    {
        let mut peer = server.connect().await;
        assert_eq!(peer.next().await.expect("a close").close_code(), Some(1001));
        let begun = Instant::now();
        peer.expect_end().await;
        let (_, closed) = report(&mut reports).await;
        assert_eq!((closed.first, closed.code(), closed.clean), (Some(Initiator::Local), 1006, false));
        assert!(begun.elapsed() < SOON / 2, "{:?}", begun.elapsed());
        server.stop().await;
    }
}

#[tokio::test]
async fn deadline_idle_1001_though_pings_go_to_and_fro() {
    let config = Config::default().with_ping_interval(Some(SHORT / 4)).with_idle_timeout(Some(4 * SHORT));
    for (server, mut reports) in both(config).await {
        let begun = Instant::now();
        let mut peer = server.connect().await;
        let mut pings = 0;
        let close = soon(async {
            loop {
                let received = peer.next().await.expect("a close before the end");
                match received.opcode {
                    PING => {
                        pings += 1;
                        let _ = peer.stream.write_all(&frame(PONG, true, &received.payload)).await;
                    }
                    CLOSE => break received,
                    other => panic!("{other}"),
                }
            }
        })
        .await;
        assert_eq!(close.close_code(), Some(1001));
        assert!(begun.elapsed() + STEP >= 4 * SHORT, "{:?}", begun.elapsed());
        assert!(pings > 0, "the connection was alive");
        let _ = peer.stream.write_all(&frame(CLOSE, true, &1001u16.to_be_bytes())).await;
        peer.expect_end().await;
        drop(peer);
        let (_, closed) = report(&mut reports).await;
        assert_eq!((closed.first, closed.code(), closed.clean), (Some(Initiator::Local), 1001, true));
        server.stop().await;
    }
}

#[tokio::test]
async fn deadline_idle_is_put_off_by_messages() {
    let idle = 5 * SHORT;
    for (server, _) in both(quiet().with_idle_timeout(Some(idle))).await {
        let mut peer = server.connect().await;
        let begun = Instant::now();
        // For twice as long as it may be idle. A machine that sleeps for a second in between proves nothing.
        let mut longest_silence = Duration::ZERO;
        let mut last = Instant::now();
        while begun.elapsed() < 2 * idle {
            peer.text("something").await;
            let frame = peer.next().await.expect("an answer");
            longest_silence = longest_silence.max(last.elapsed());
            last = Instant::now();
            if frame.opcode == CLOSE {
                assert!(longest_silence + STEP >= idle, "closed after {longest_silence:?} of silence");
                return;
            }
            assert_eq!(frame.text(), "something");
            tokio::time::sleep(SHORT / 4).await;
        }
        assert_eq!(peer.expect_close().await.0, 1001, "and then it is idle");
        server.stop().await;
    }
}

#[tokio::test]
async fn deadline_lifetime_1001_in_the_middle_of_whatever_goes_on() {
    let lifetime = 2 * SHORT;
    for (server, mut reports) in both(quiet().with_lifetime_max(Some(lifetime))).await {
        let begun = Instant::now();
        let mut peer = server.connect().await;
        let mut answers = 0;
        let close = soon(async {
            loop {
                let _ = peer.stream.write_all(&frame(TEXT, true, b"busy")).await;
                let received = peer.next().await.expect("a close before the end");
                match received.opcode {
                    TEXT => answers += 1,
                    CLOSE => break received,
                    other => panic!("{other}"),
                }
            }
        })
        .await;
        assert_eq!(close.close_code(), Some(1001));
        assert!(begun.elapsed() + STEP >= lifetime, "{:?}", begun.elapsed());
        assert!(answers > 0);
        let _ = peer.stream.write_all(&frame(CLOSE, true, &1001u16.to_be_bytes())).await;
        peer.expect_end().await;
        drop(peer);
        let (_, closed) = report(&mut reports).await;
        assert_eq!((closed.first, closed.code()), (Some(Initiator::Local), 1001));
        server.stop().await;
    }
}

/// Sends `count` messages at once and tells how many are answered before the Close with its code.
async fn burst(peer: &mut Peer, count: usize) -> (usize, Option<u16>) {
    let _ = peer.stream.write_all(&frame(TEXT, true, b"x").repeat(count)).await;
    let mut answered = 0;
    while answered < count {
        let received = peer.next().await.expect("a close before the end");
        if received.opcode == CLOSE {
            return (answered, received.close_code());
        }
        assert_eq!(received.text(), "x");
        answered += 1;
    }
    (answered, None)
}

#[tokio::test]
async fn message_rate_1008_at_the_first_message_beyond_it() {
    let config = quiet().with_message_rate(Some(Rate::new(1, 10)));
    for (server, mut reports) in both(config).await {
        let mut peer = server.connect().await;
        assert_eq!(burst(&mut peer, 10).await, (10, None), "a burst is fine");
        // In the second that a slow machine takes one more becomes free, but not a thousand.
        let begun = Instant::now();
        let (answered, code) = burst(&mut peer, 1000).await;
        assert!(answered as u64 <= begun.elapsed().as_secs() + 2, "{answered}");
        assert_eq!(code, Some(1008));
        let _ = peer.stream.write_all(&frame(CLOSE, true, &1008u16.to_be_bytes())).await;
        drop(peer);
        let (error, closed) = report(&mut reports).await;
        assert!(
            matches!(&error, Some(Error::Peer(PeerError::Limit(LimitError::MessageRate(rate)))) if rate.burst == 10),
            "{error:?}"
        );
        assert_eq!(closed.first, Some(Initiator::Local));
        server.stop().await;
    }
}

#[tokio::test]
async fn message_rate_counts_messages_and_no_pings() {
    for (server, _) in both(quiet().with_message_rate(Some(Rate::new(1, 3)))).await {
        let mut peer = server.connect().await;
        for _ in 0..50 {
            peer.send(PING, b"").await;
            assert_eq!(peer.next().await.expect("a pong").opcode, PONG);
        }
        // One message in ten fragments is one.
        peer.raw(&frame(TEXT, false, b"a")).await;
        for _ in 0..8 {
            peer.raw(&frame(0, false, b"a")).await;
        }
        peer.raw(&frame(0, true, b"a")).await;
        peer.expect_text("aaaaaaaaaa").await;
        server.stop().await;
    }
}

#[tokio::test]
async fn limits_are_raised_when_the_peer_has_proved_who_it_is() {
    let small = quiet().with_message_bytes_max(1000);
    let large = quiet().with_message_bytes_max(200_000).with_outbox_bytes_max(1 << 20);
    struct Login(Config);
    impl Events for Login {
        fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
            match message {
                MessageRef::Text("password") => {
                    socket.raise_limits(self.0.clone());
                    let _ = socket.try_send("welcome");
                }
                other => {
                    let _ = socket.try_send(other.as_bytes().len().to_string().as_str());
                }
            }
        }
    }
    let raised = large.clone();
    let by_events = support::events(small.clone(), move |_| Login(raised.clone())).await;
    let raised = large.clone();
    let by_pull = support::pull(small, move |mut socket: WebSocket| {
        let raised = raised.clone();
        async move {
            let mut events = Login(raised);
            let sender = socket.sender();
            while let Some(message) = socket.recv().await? {
                events.message(&sender, message.as_ref());
            }
            Ok(())
        }
    })
    .await;
    for server in [by_events, by_pull] {
        // Before: at the limit, and one above it.
        let mut stranger = server.connect().await;
        stranger.send(BINARY, &[0; 1000]).await;
        stranger.expect_text("1000").await;
        stranger.send(BINARY, &[0; 1001]).await;
        assert_eq!(stranger.expect_close().await.0, 1009);
        // After.
        let mut friend = server.connect().await;
        friend.text("password").await;
        friend.expect_text("welcome").await;
        friend.send(BINARY, &[0; 200_000]).await;
        friend.expect_text("200000").await;
        friend.send(BINARY, &[0; 200_001]).await;
        assert_eq!(friend.expect_close().await.0, 1009);
        // Another connection has its own limits.
        let mut stranger = server.connect().await;
        stranger.send(BINARY, &[0; 1001]).await;
        assert_eq!(stranger.expect_close().await.0, 1009);
        server.stop().await;
    }
}

#[tokio::test]
async fn limits_that_are_raised_hold_for_deadlines_and_rates_too() {
    let small = quiet().with_message_rate(Some(Rate::new(1, 2))).with_idle_timeout(Some(100 * SHORT));
    struct Lift;
    impl Events for Lift {
        fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
            match message {
                MessageRef::Text("faster") => socket.raise_limits(quiet()),
                MessageRef::Text("shorter") => socket.raise_limits(quiet().with_idle_timeout(Some(SHORT))),
                _ => {}
            }
            let _ = socket.try_send(message);
        }
    }
    let server = support::events(small, |_| Lift).await;
    let mut peer = server.connect().await;
    peer.text("faster").await;
    peer.expect_text("faster").await;
    assert_eq!(burst(&mut peer, 500).await, (500, None), "no rate any more");
    peer.text("shorter").await;
    peer.expect_text("shorter").await;
    assert_eq!(peer.expect_close().await.0, 1001, "and idle soon");
    server.stop().await;
}
