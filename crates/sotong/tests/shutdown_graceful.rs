//! The end of a server: nobody new comes in, everybody is told, and it does not take for ever.

#[path = "support/log.rs"]
mod log;
mod support;

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use log::Log;
use sotong::{Closed, Config, Error, Events, MessageRef, Refusal, Request, Sender, Serve, Server, WebSocket};
use support::{CLOSE, Peer, Running, frame, handshake, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

struct Echo {
    closed: Arc<AtomicUsize>,
}

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        socket.try_send(message).expect("there is room");
    }

    fn close(&mut self, _closed: &Arc<Closed>) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Each form, and how many connections of the event form have had their last call.
async fn both_forms(config: Config) -> ([(std::net::SocketAddr, Serve); 2], Arc<AtomicUsize>) {
    let closed = Arc::new(AtomicUsize::new(0));
    let (first, first_address) = support::server(config.clone()).await;
    let (second, second_address) = support::server(config).await;
    let count = closed.clone();
    let make = move |_: &Request| Ok::<_, Refusal>(Echo { closed: count.clone() });
    ([(first_address, first.serve(echo)), (second_address, second.serve_events(make))], closed)
}

async fn says_hello(peer: &mut Peer) {
    peer.text("hello").await;
    peer.expect_text("hello").await;
}

#[tokio::test]
async fn nobody_gets_in_after_the_signal() {
    for (address, serve) in both_forms(Config::default()).await.0 {
        let mut running = Running::start(address, serve);
        let mut peer = running.connect().await;
        running.begin_stop();
        let close = peer.next().await.expect("a close frame");
        assert_eq!((close.close_code(), &close.payload[2..]), (Some(1001), &b"the server shuts down"[..]));
        // This peer has not answered, so the server is still there.
        let refused = TcpStream::connect(address).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        peer.raw(&frame(CLOSE, true, &1001u16.to_be_bytes())).await;
        peer.expect_end().await;
        drop(peer);
        running.stop().await;
    }
}

#[tokio::test]
async fn everybody_is_told_1001_spread_over_the_window() {
    const PEERS: usize = 60;
    const WINDOW: Duration = Duration::from_millis(600);
    let (forms, closed) = both_forms(Config::default()).await;
    for (address, serve) in forms {
        let (signal, stop) = oneshot::channel::<()>();
        let serve =
            serve.with_shutdown_window(WINDOW).with_graceful_shutdown(async { stop.await.unwrap_or(()) });
        let serving = tokio::spawn(serve.into_future());
        let mut peers = Vec::new();
        for _ in 0..PEERS {
            let mut peer = Peer::connect(address).await;
            says_hello(&mut peer).await;
            peers.push(peer);
        }
        let began = Instant::now();
        drop(signal);
        let told: Vec<_> = peers
            .into_iter()
            .map(|mut peer| {
                tokio::spawn(async move {
                    assert_eq!(peer.next().await.expect("a close frame").close_code(), Some(1001));
                    let told = began.elapsed();
                    peer.raw(&frame(CLOSE, true, &1001u16.to_be_bytes())).await;
                    peer.expect_end().await;
                    told
                })
            })
            .collect();
        let mut in_the_first_third = 0;
        for told in told {
            in_the_first_third += usize::from(soon(told).await.expect("it is told") < WINDOW / 3);
        }
        // An even spread puts 20 there. A busy machine only ever makes it fewer.
        assert!(in_the_first_third < 30, "{in_the_first_third} of {PEERS}");
        soon(serving).await.expect("it did not panic").expect("it ended well");
    }
    assert_eq!(closed.load(Ordering::Relaxed), PEERS, "each had its last call, once");
}

#[tokio::test]
async fn what_was_said_before_the_close_arrives() {
    for (address, serve) in both_forms(Config::default()).await.0 {
        let mut running = Running::start(address, serve);
        let mut peer = running.connect().await;
        says_hello(&mut peer).await;
        for index in 0..100 {
            peer.text(&index.to_string()).await;
        }
        // The last answer may or may not be out when the signal comes; nothing before the Close may be missing.
        running.begin_stop();
        let mut next = 0;
        loop {
            let frame = peer.next().await.expect("a close frame before the end");
            if frame.opcode == CLOSE {
                assert_eq!(frame.close_code(), Some(1001));
                break;
            }
            assert_eq!(frame.text(), next.to_string());
            next += 1;
        }
        drop(peer);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_handler_that_hears_of_the_end_may_finish_its_work_first() {
    let (server, address) = support::server(Config::default()).await;
    let (done, finished) = std::sync::mpsc::channel();
    let serve = server.serve(move |mut socket: WebSocket| {
        let done = done.clone();
        async move {
            while let Ok(Some(_)) = socket.recv().await {}
            tokio::time::sleep(Duration::from_millis(100)).await;
            done.send(()).expect("the test is there");
        }
    });
    let mut running = Running::start(address, serve);
    let mut peer = running.connect().await;
    running.begin_stop();
    peer.expect_close().await;
    drop(peer);
    running.stop().await;
    finished.try_recv().expect("the server waited for its handler");
}

/// security.md, timers: a Close that is never answered.
#[tokio::test]
async fn peers_that_never_answer_do_not_hold_the_end() {
    let config = Config::default().with_close_timeout(Duration::from_millis(150));
    let (forms, closed) = both_forms(config).await;
    for (address, serve) in forms {
        let running = Running::start(address, serve);
        let mut peers = Vec::new();
        for _ in 0..5 {
            let mut peer = running.connect().await;
            says_hello(&mut peer).await;
            peers.push(peer);
        }
        running.stop().await;
        for mut peer in peers {
            assert_eq!(peer.next().await.expect("told all the same").close_code(), Some(1001));
            assert_eq!(peer.next().await, None);
        }
    }
    assert_eq!(closed.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn a_handler_that_never_ends_does_not_hold_the_end() {
    let log = Log::default();
    let _here = tracing::subscriber::set_default(log.clone());
    let config = Config::default().with_close_timeout(Duration::from_millis(50));
    let (server, address) = support::server(config).await;
    let serve = server.serve(async |socket: WebSocket| {
        std::future::pending::<()>().await;
        drop(socket);
    });
    let mut running = Running::start(address, serve);
    let mut peer = running.connect().await;
    running.begin_stop();
    assert_eq!(peer.expect_close().await.0, 1001);
    drop(peer);
    running.stop().await;
    assert!(log.has("WARN", &["handlers=1", "connections=0"]), "{:?}", log.lines());
}

/// The default deadline of a handshake is 10 seconds; a server that stops does not wait for that.
#[tokio::test]
async fn handshakes_under_way_are_dropped() {
    let config = Config::default().with_handshake_timeout(Duration::from_secs(3600));
    for (address, serve) in both_forms(config).await.0 {
        let running = Running::start(address, serve);
        let whole = handshake(address, "/", "");
        let mut half = Vec::new();
        for sent in [0, 1, 20, whole.len() - 1] {
            let mut stream = TcpStream::connect(address).await.expect("the server listens");
            stream.write_all(&whole.as_bytes()[..sent]).await.expect("the server reads");
            half.push(stream);
        }
        // Accepted in order, so those before it are with the server.
        running.connect().await.close().await;
        running.stop().await;
        for mut stream in half {
            let mut rest = Vec::new();
            // By a reset or regularly.
            let _ = soon(stream.read_to_end(&mut rest)).await;
            assert_eq!(rest, b"");
        }
    }
}

#[tokio::test]
async fn pages_under_way_are_dropped() {
    let (server, address) = support::server(Config::default()).await;
    let (begun, mut page) = tokio::sync::mpsc::channel(1);
    let serve = server
        .with_pages(move |stream, _read, _peer| {
            let begun = begun.clone();
            async move {
                begun.send(()).await.expect("the test is there");
                std::future::pending::<()>().await;
                drop(stream);
            }
        })
        .serve(echo);
    let running = Running::start(address, serve);
    let mut client = TcpStream::connect(address).await.expect("the server listens");
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("the server reads");
    soon(page.recv()).await.expect("it begins");
    running.stop().await;
    let mut rest = Vec::new();
    let _ = soon(client.read_to_end(&mut rest)).await;
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn dropping_the_server_closes_everybody_with_1001() {
    let (forms, closed) = both_forms(Config::default()).await;
    for (address, serve) in forms {
        let serving = tokio::spawn(serve.into_future());
        let mut peers = Vec::new();
        for _ in 0..5 {
            peers.push(Peer::connect(address).await);
        }
        let mut half = TcpStream::connect(address).await.expect("the server listens");
        half.write_all(b"GET / HT").await.expect("the server reads");
        serving.abort();
        for peer in &mut peers {
            assert_eq!(peer.expect_close().await.0, 1001);
        }
        let mut rest = Vec::new();
        let _ = soon(half.read_to_end(&mut rest)).await;
        assert_eq!(rest, b"");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
    }
    soon(async {
        while closed.load(Ordering::Relaxed) < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_never_awaited_leaves_nothing() {
    let server = Server::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = server.local_addr().expect("a listener has an address");
    drop(server.serve(echo));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_signal_that_is_there_already_ends_the_server_at_once() {
    for (_, serve) in both_forms(Config::default()).await.0 {
        soon(serve.with_graceful_shutdown(async {}).into_future()).await.expect("it ends well");
    }
}

/// A limit that says "for ever" must not overflow.
#[tokio::test]
async fn endless_deadlines_and_windows_are_fine() {
    let config = Config::default()
        .with_handshake_timeout(Duration::MAX)
        .with_close_timeout(Duration::MAX)
        .with_message_timeout(Some(Duration::MAX))
        .with_write_timeout(Some(Duration::MAX))
        .with_ping_interval(Some(Duration::MAX))
        .with_pong_timeout(Duration::MAX);
    for (address, serve) in both_forms(config).await.0 {
        let mut running = Running::start(address, serve);
        let mut peer = running.connect().await;
        says_hello(&mut peer).await;
        let refused = Peer::request(address, "/", "Origin: http://evil.example\r\n").await;
        assert!(refused.head.starts_with("HTTP/1.1 403 "), "{}", refused.head);
        drop(refused);
        running.begin_stop();
        assert_eq!(peer.expect_close().await.0, 1001);
        drop(peer);
        running.stop().await;
    }
    let (server, _) = support::server(Config::default()).await;
    let serve = server.serve(echo).with_shutdown_window(Duration::MAX).with_graceful_shutdown(async {});
    soon(serve.into_future()).await.expect("nobody is there to wait for");
}

/// The window says when open connections are closed. One that is closing already keeps its own deadline.
#[tokio::test]
async fn a_long_window_does_not_delay_the_end_of_what_is_closing_already() {
    let config = Config::default().with_close_timeout(Duration::from_millis(300));
    let (server, address) = support::server(config).await;
    let (tell, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let serve = server.serve(move |mut socket: WebSocket| {
        let tell = tell.clone();
        async move {
            if socket.recv().await?.is_some() {
                tell.send(socket.close(sotong::CloseCode::NORMAL, "").await).expect("the test is there");
            }
            Ok::<(), Error>(())
        }
    });
    let (signal, stop) = oneshot::channel::<()>();
    let serve = serve.with_shutdown_window(Duration::from_secs(3600));
    let serving =
        tokio::spawn(serve.with_graceful_shutdown(async { stop.await.unwrap_or(()) }).into_future());
    let mut peers = Vec::new();
    for _ in 0..4 {
        let mut peer = Peer::connect(address).await;
        peer.text("close").await;
        assert_eq!(peer.next().await.expect("a close frame").close_code(), Some(1000));
        peers.push(peer);
    }
    drop(signal);
    for _ in 0..4 {
        soon(ends.recv()).await.expect("each ends within close_timeout");
    }
    soon(serving).await.expect("it did not panic").expect("nobody is left to wait for");
}
