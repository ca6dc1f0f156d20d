//! Servers that are out to harm their clients (security.md: memory, redirects, headers): what is told to one server
//! goes to no other, and nothing is read on and on.
//!
//! No clock: work is counted in bytes that were taken.

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use scripted::{Scripted, unmasked};
use sotong::handshake::ResponseError;
use sotong::{
    Carrier, Client, Config, ConnectError, Error, Events, MessageRef, PeerError, Sender, Timeout, WebSocket,
};
use support::{PING, TEXT, soon};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// Whether nobody has connected since the last `accept`: the next one in the queue is our own.
async fn nobody_came(server: &Scripted) {
    let own = TcpStream::connect(server.address).await.expect("it listens");
    let next = server.accept().await;
    assert_eq!(next.peer_addr().ok(), own.local_addr().ok(), "somebody has connected before us");
}

/// CVE-2026-42498: credentials were sent again to wherever a redirect led.
#[tokio::test]
async fn b13_whatever_is_answered_credentials_are_sent_once_and_to_one_server() {
    let (server, other) = (Scripted::start().await, Scripted::start().await);
    let client = Client::new()
        .with_header("Authorization", "Bearer s3cr3t")
        .and_then(|client| client.with_header("Cookie", "a=b"))
        .expect("good headers");
    let places = [
        String::new(),
        format!("Location: ws://{}/elsewhere\r\n", server.address),
        format!("Location: ws://{}/\r\n", other.address),
        format!("Location: http://user:password@{}/\r\n", other.address),
        format!("Location: //{}/\r\n", other.address),
        "Location: /elsewhere\r\nRefresh: 0\r\nRetry-After: 0\r\n".to_owned(),
        format!("WWW-Authenticate: Basic realm=\"{}\"\r\nAlt-Svc: h2=\"{0}\"\r\n", other.address),
    ];
    for status in [300, 301, 302, 303, 304, 305, 306, 307, 308, 401, 407, 421, 425, 426, 503] {
        for place in &places {
            let connecting = tokio::spawn(client.connect(&server.url()));
            let asked = server.request().await;
            assert_eq!(asked.fields("Authorization"), ["Bearer s3cr3t"]);
            // The connection would be good for a second request.
            let answer =
                format!("HTTP/1.1 {status} x\r\n{place}Content-Length: 0\r\nConnection: keep-alive\r\n\r\n");
            let mut served = asked.say(answer).await;
            match soon(connecting).await.expect("no panic") {
                Err(ConnectError::Refused(refused)) => assert_eq!(refused.status(), status),
                other => panic!("{status} {place:?}: {other:?}"),
            }
            served.expect_end().await;
        }
    }
    nobody_came(&server).await;
    nobody_came(&other).await;
}

/// Line ends that are written with percent signs stay as they were written; others are no URL, wherever they stand.
#[tokio::test]
async fn no_control_character_of_a_url_is_sent_or_dropped() {
    let url = "ws://user:password@127.0.0.1:1/a/b?c=d";
    for control in (0..0x20_u8).chain([0x7f]).map(char::from) {
        for place in 0..=url.len() {
            let spoilt = [&url[..place], control.encode_utf8(&mut [0; 4]), &url[place..]].concat();
            let error = soon(sotong::connect(&spoilt)).await.expect_err("it is no URL");
            assert!(matches!(error, ConnectError::Url(_)), "{spoilt:?}: {error:?}");
        }
    }
    let server = Scripted::start().await;
    let url = format!("{}%0d%0aX-Evil:%201?a=%0D%0A%00\u{560d}\u{560a}", server.url());
    let connecting = tokio::spawn(sotong::connect(&url));
    let asked = server.request().await;
    assert_eq!(asked.request_line(), "GET /%0d%0aX-Evil:%201?a=%0D%0A%00%E5%98%8D%E5%98%8A HTTP/1.1");
    assert!(asked.fields("X-Evil").is_empty());
    let _served = asked.open("").await;
    soon(connecting).await.expect("no panic").expect("connected");
}

/// A server that says something and then something else for ever, as fast as it is read.
struct Endless {
    begin: Vec<u8>,
    again: Vec<u8>,
    /// The most bytes of one read.
    piece: usize,
    given: Arc<AtomicUsize>,
}

impl AsyncRead for Endless {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        for _ in 0..buffer.remaining().min(self.piece) {
            let at = self.given.fetch_add(1, Ordering::Relaxed);
            let byte = match at.checked_sub(self.begin.len()) {
                None => self.begin[at],
                Some(at) => self.again[at % self.again.len()],
            };
            buffer.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What a connect says to such a server, and how many bytes it took to say so.
async fn endless(begin: &str, again: &str, piece: usize) -> (ConnectError, usize) {
    let given = Arc::new(AtomicUsize::new(0));
    let server = Endless { begin: begin.into(), again: again.into(), piece, given: given.clone() };
    let connecting = Client::new().connect_over(Carrier::new(server), "ws://example.com/");
    let error = soon(connecting).await.expect_err("it never says yes");
    (error, given.load(Ordering::Relaxed))
}

/// The deadlines are half a minute; none of these gets that far.
#[tokio::test]
async fn an_answer_without_end_is_given_up_after_so_many_bytes() {
    /// What may have been read with the byte that was too many.
    const READ: usize = 2 * 4096;
    let interim = format!("HTTP/1.1 103 x\r\nA: {}\r\n\r\n", "x".repeat(16_000));
    for piece in [1, 1000, usize::MAX] {
        for (begin, again) in [
            ("HTTP/1.1 101 ", "x"),
            ("HTTP/1.1 101 x\r\nA: ", "x"),
            ("HTTP/1.1 101 x\r\nA: ", " \t"),
            ("HTTP/1.1 101 x\r\n", "x"),
            ("HTTP/1.1 101 x\r\n", "A: b\r\n"),
            ("HTTP/1.1 403 x\r\n", "A:\r\n"),
            ("", "HTTP/1.1 100 x\r\n\r\n"),
            ("", "\r\n"),
        ] {
            let (error, taken) = endless(begin, again, piece).await;
            assert!(matches!(error, ConnectError::Handshake(_)), "{begin:?} {again:?}: {error:?}");
            assert!(taken <= 16_384 + READ, "{begin:?} {again:?}: {taken} bytes");
        }
        // Interim answers of the largest size: eight of them, and the one that is too many.
        let (error, taken) = endless("", &interim, piece).await;
        assert!(
            matches!(error, ConnectError::Handshake(ResponseError::InterimResponses { max: 8 })),
            "{error:?}"
        );
        assert!(taken <= 9 * interim.len() + READ, "{taken} bytes");
    }
}

#[tokio::test]
async fn b8_a_body_without_end_is_given_up_after_so_many_bytes() {
    const KEPT: usize = 64 * 1024;
    const REST: usize = 2 * 4096;
    let chunked = "HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for piece in [1, 1000, usize::MAX] {
        for (begin, again, most) in [
            ("HTTP/1.1 403 x\r\n\r\n", "x", KEPT),
            ("HTTP/1.1 403 x\r\nContent-Length: 18446744073709551615\r\n\r\n", "x", KEPT),
            ("HTTP/1.1 403 x\r\nContent-Length: 99999999999999999999999\r\n\r\n", "x", KEPT),
            ("HTTP/1.1 403 x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "x", KEPT),
            // What is around chunks counts by itself; it may be eight times as much.
            (chunked, "1\r\nx\r\n", 9 * KEPT),
            (&format!("{chunked}1;"), "x", 9 * KEPT),
            (&format!("{chunked}ffffffffffffffff\r\n"), "x", KEPT),
            (chunked, "0", 100),
        ] {
            let (error, taken) = endless(begin, again, piece).await;
            let ConnectError::Refused(refused) = error else { panic!("{begin:?}: {error:?}") };
            assert_eq!(refused.status(), 403);
            assert!(refused.body().len() <= KEPT && !refused.body_is_whole(), "{begin:?}");
            assert!(taken <= begin.len() + most + REST, "{begin:?} {again:?}: {taken} bytes");
        }
    }
}

struct Nothing;

impl Events for Nothing {
    fn message(&mut self, _: &Sender, message: MessageRef<'_>) {
        panic!("no message is whole: {message:?}");
    }
}

/// CVE-2026-12151, CVE-2026-48779: a client that adds up fragments as a server does.
#[tokio::test]
async fn c12_c30_endless_tiny_fragments_of_a_server_are_a_1009_in_both_forms() {
    // The server goes on sending, so this is how long the client stays to say why it goes.
    let config =
        Config::default().with_message_bytes_max(64 * 1024).with_close_timeout(Duration::from_millis(200));
    let client = Client::new().with_config(config);
    for (first, payload) in [(&b"a"[..], &b"b"[..]), (b"", b"")] {
        for form in ["pull", "event"] {
            let server = Scripted::start().await;
            let (client, url) = (client.clone(), server.url());
            let connecting = tokio::spawn(async move {
                match form {
                    "pull" => {
                        let mut socket: WebSocket = client.connect(&url).await.expect("connected");
                        let ended = socket.recv().await;
                        assert!(matches!(&ended, Err(Error::Peer(_))), "{ended:?}");
                        socket.sender().clone()
                    }
                    _ => client.connect_events(&url, |_| Nothing).await.expect("connected"),
                }
            });
            let served = server.open().await;
            let (mut from, mut to) = served.stream.into_split();
            let flooding = tokio::spawn(async move {
                let mut fragments = unmasked(TEXT, false, first);
                while to.write_all(&fragments).await.is_ok() {
                    fragments = unmasked(0, false, payload).repeat(100);
                }
            });
            let mut close = [0; 8];
            soon(tokio::io::AsyncReadExt::read_exact(&mut from, &mut close)).await.expect("a close frame");
            let code = u16::from_be_bytes([close[6] ^ close[2], close[7] ^ close[3]]);
            assert_eq!((close[0], close[1] & 0x80, code), (0x88, 0x80, 1009), "{form} {payload:?}");
            drop(from);
            soon(soon(connecting).await.expect("no panic").closed()).await;
            soon(flooding).await.expect("no panic");
        }
    }
}

/// A server that asks for Pongs as fast as it can and reads none of them.
#[tokio::test]
async fn c17_a_flood_of_pings_of_a_server_is_bounded_and_ended_in_both_forms() {
    // A read's worth of Pongs at the most, besides those that may wait.
    const ONE_READ: usize = 512 * 1024;
    let config = Config::default().with_write_timeout(Some(Duration::from_millis(200)));
    let most = config.pong_bytes_max + ONE_READ;
    let client = Client::new().with_config(config.with_close_timeout(Duration::from_millis(200)));
    for form in ["pull", "event"] {
        let server = Scripted::start().await;
        // The kernel takes little for a server that does not read. Before a connection begins: a window must not shrink.
        socket2::SockRef::from(&server.listener).set_recv_buffer_size(4096).expect("TCP can do that");
        let (client, url) = (client.clone(), server.url());
        let connecting = tokio::spawn(async move {
            match form {
                "pull" => {
                    let socket = client.connect(&url).await.expect("connected");
                    (socket.sender().clone(), Some(socket))
                }
                _ => (client.connect_events(&url, |_| Nothing).await.expect("connected"), None),
            }
        });
        let served = server.open().await;
        let (sender, _socket) = soon(connecting).await.expect("no panic");
        // The reading half stays open and unread.
        let (_from, mut to) = served.stream.into_split();
        let pings = unmasked(PING, true, &[b'p'; 125]).repeat(1000);
        let flooding = async {
            let mut waited = 0;
            while to.write_all(&pings).await.is_ok() {
                waited = waited.max(sender.buffered_bytes());
            }
            waited
        };
        let (waited, closed) = soon(async { tokio::join!(flooding, sender.closed()) }).await;
        assert!(waited <= most, "{form}: {waited} bytes waited");
        assert_eq!(closed.error, Some(PeerError::Timeout(Timeout::Write)), "{form}: {closed}");
    }
}
