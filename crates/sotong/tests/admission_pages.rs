//! Pages on the same port: plain HTTP goes to the caller's server with every byte that was read.

#[path = "support/plain.rs"]
mod plain;
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use plain::ask;
use sotong::{Carrier, Config, Error, WebSocket};
use support::{Peer, Running, handshake, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

type Page = (Carrier, Vec<u8>, Option<SocketAddr>);

/// A server that hands pages to the test.
async fn start(config: Config, threads: usize) -> (Running, mpsc::UnboundedReceiver<Page>) {
    let (pages, page) = mpsc::unbounded_channel();
    let (server, address) = support::server(config).await;
    let serve = server
        .with_pages(move |stream, read, peer| {
            let pages = pages.clone();
            async move { pages.send((stream, read, peer)).expect("the test is there") }
        })
        .serve(async |mut socket: WebSocket| {
            while let Some(message) = socket.recv().await? {
                socket.send(message).await?;
            }
            Ok::<(), Error>(())
        })
        .with_threads(threads);
    (Running::start(address, serve), page)
}

#[tokio::test]
async fn a_page_gets_every_byte_that_came_and_may_answer() {
    for threads in [0, 2] {
        let (running, mut page) = start(Config::default(), threads).await;
        let requests = [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /?a HTTP/1.0\r\n\r\n",
            "POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nthe=body\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        ];
        for request in requests {
            let mut client = TcpStream::connect(running.address).await.expect("the server listens");
            client.write_all(request.as_bytes()).await.expect("the server reads");
            let (mut stream, mut read, peer) = soon(page.recv()).await.expect("the server is there");
            assert_eq!(peer, Some(client.local_addr().expect("it is connected")));
            assert!(!read.is_empty() && request.as_bytes().starts_with(&read), "nothing is lost or changed");
            // What came in a later read is still in the stream.
            let begun = read.len();
            read.resize(request.len(), 0);
            soon(stream.read_exact(&mut read[begun..])).await.expect("the rest comes");
            assert_eq!(read, request.as_bytes());
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer).await.expect("the client reads");
            drop(stream);
            assert_eq!(plain::answer(&mut client).await.status, 200);
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn a_head_that_came_in_pieces_is_handed_on_whole() {
    let (running, mut page) = start(Config::default(), 0).await;
    let mut client = TcpStream::connect(running.address).await.expect("the server listens");
    client.set_nodelay(true).expect("TCP can do that");
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\nand a body";
    for byte in request.as_bytes() {
        client.write_all(&[*byte]).await.expect("the server reads");
        tokio::task::yield_now().await;
    }
    let (mut stream, mut read, _) = soon(page.recv()).await.expect("the server is there");
    let begun = read.len();
    read.resize(request.len(), 0);
    soon(stream.read_exact(&mut read[begun..])).await.expect("the rest comes");
    assert_eq!(read, request.as_bytes());
    running.stop().await;
}

#[tokio::test]
async fn requests_for_a_websocket_never_get_to_the_pages() {
    let (running, mut page) = start(Config::default(), 0).await;
    let mut peer = running.connect().await;
    peer.text("hello").await;
    peer.expect_text("hello").await;
    for (status, request) in [
        (400, handshake(running.address, "/", "Content-Length: 3\r\n")),
        (403, handshake(running.address, "/", "Origin: http://evil.example\r\n")),
        (400, "\x16\x03\x01".to_owned()),
        (414, format!("GET /{}", "a".repeat(9000))),
    ] {
        assert_eq!(ask(running.address, request).await.status, status);
    }
    assert!(page.try_recv().is_err(), "no page was asked for");
    peer.close().await;
    running.stop().await;
}

/// The deadline of the handshake is for the head; what a page takes is its own business.
#[tokio::test]
async fn a_page_that_takes_long_is_not_cut_by_the_handshake_deadline() {
    let (server, address) =
        support::server(Config::default().with_handshake_timeout(Duration::from_millis(50))).await;
    let serve = server
        .with_pages(async |mut stream: Carrier, _read, _peer| {
            tokio::time::sleep(Duration::from_millis(150)).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate";
            stream.write_all(answer).await.expect("the client is there");
        })
        .serve(async |_: WebSocket| Ok::<(), Error>(()));
    let running = Running::start(address, serve);
    assert_eq!(ask(address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.body, "late");
    running.stop().await;
}

#[tokio::test]
async fn pages_that_panic_take_nothing_else_down() {
    let (server, address) = support::server(Config::default()).await;
    let serve = server
        .with_connections_max(1)
        .with_pages(|_stream, read: Vec<u8>, _peer| {
            assert!(!read.starts_with(b"GET /now"), "on purpose");
            async { panic!("on purpose") }
        })
        .serve(async |mut socket: WebSocket| {
            socket.send("hello").await?;
            while socket.recv().await?.is_some() {}
            Ok::<(), Error>(())
        });
    let running = Running::start(address, serve);
    // More often than there is room for handshakes: none of them may stay counted.
    for target in ["/now", "/later"].into_iter().cycle().take(80) {
        let mut client = TcpStream::connect(address).await.expect("the server listens");
        client
            .write_all(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
            .await
            .expect("it reads");
        let mut rest = Vec::new();
        let _ = soon(client.read_to_end(&mut rest)).await;
        assert_eq!(rest, b"");
    }
    let mut peer = Peer::connect(address).await;
    peer.expect_text("hello").await;
    peer.close().await;
    running.stop().await;
}
