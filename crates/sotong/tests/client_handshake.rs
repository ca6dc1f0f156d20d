//! The client's handshake against servers that get it right and wrong, byte by byte (RFC 6455, section 4.1).

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use scripted::{Asked, Scripted, unmasked};
use sotong::handshake::{RefusedResponse, ResponseError};
use sotong::{
    Carrier, Client, Config, ConnectDeadline, ConnectError, ConnectStep, ConnectTimeouts, WebSocket,
};
use support::{TEXT, soon};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// What becomes of a connect whose request is answered by `answer`, which then hangs up.
async fn connect(client: Client, answer: impl AsyncFnOnce(Asked)) -> Result<WebSocket, ConnectError> {
    let server = Scripted::start().await;
    let connecting = tokio::spawn(client.connect(&format!("{}chat?room=1", server.url())));
    answer(soon(server.request()).await).await;
    soon(connecting).await.expect("connect does not panic")
}

/// The same with an answer of these bytes.
async fn answered(answer: impl AsRef<[u8]>) -> ConnectError {
    let served = async |asked: Asked| drop(asked.say(answer).await);
    connect(Client::new(), served).await.expect_err("the answer is wrong")
}

fn wrong(error: ConnectError) -> ResponseError {
    match error {
        ConnectError::Handshake(error) => error,
        other => panic!("{other:?}"),
    }
}

fn refused(error: ConnectError) -> Box<RefusedResponse> {
    match error {
        ConnectError::Refused(refused) => refused,
        other => panic!("{other:?}"),
    }
}

/// An answer to `asked` with one part of it replaced.
fn answer_with(asked: &Asked, part: &str, replacement: &str) -> String {
    let answer = asked.answer("");
    assert!(answer.contains(part), "{answer}");
    answer.replace(part, replacement)
}

/// What becomes of a connect whose answer has one part replaced.
async fn changed(part: &str, replacement: &str) -> ResponseError {
    let served = async |asked: Asked| {
        let answer = answer_with(&asked, part, replacement);
        drop(asked.say(answer).await);
    };
    wrong(connect(Client::new(), served).await.expect_err("the answer is wrong"))
}

#[tokio::test]
async fn b2_b4_the_request_has_what_it_must_have() {
    let server = Scripted::start().await;
    let client = Client::new()
        .with_protocols(["chat.v2", "chat.v1"])
        .expect("two tokens")
        .with_header("Authorization", "Bearer 0815")
        .expect("a good header")
        .with_header("X-Twice", "one")
        .expect("a good header")
        .with_header("X-Twice", "two")
        .expect("a good header");
    let url = format!("ws://user:password@{}/chat/소통?room=1", server.address);
    let mut keys = Vec::new();
    for _ in 0..2 {
        let connecting = tokio::spawn(client.connect(&url));
        let asked = server.request().await;
        assert_eq!(asked.request_line(), "GET /chat/%EC%86%8C%ED%86%B5?room=1 HTTP/1.1");
        assert_eq!(asked.fields("Host"), [server.address.to_string()]);
        assert_eq!(asked.fields("Upgrade"), ["websocket"]);
        assert_eq!(asked.fields("Connection"), ["Upgrade"]);
        assert_eq!(asked.fields("Sec-WebSocket-Version"), ["13"]);
        assert_eq!(asked.fields("Sec-WebSocket-Protocol"), ["chat.v2, chat.v1"]);
        // The header that was set goes before the URL's user name.
        assert_eq!(asked.fields("Authorization"), ["Bearer 0815"]);
        assert_eq!(asked.fields("X-Twice"), ["one", "two"]);
        assert!(!asked.head.contains("user") && !asked.head.contains("password"), "{}", asked.head);
        assert!(asked.fields("Sec-WebSocket-Extensions").is_empty() && asked.fields("Origin").is_empty());
        keys.extend(asked.fields("Sec-WebSocket-Key").into_iter().map(str::to_owned));
        let served = asked.open("Sec-WebSocket-Protocol: chat.v1\r\nSet-Cookie: a=b\r\n").await;
        let socket = soon(connecting).await.expect("no panic").expect("connected");
        assert_eq!(socket.protocol(), Some("chat.v1"));
        let response = socket.response().expect("a client has been answered");
        assert_eq!((response.protocol(), response.header("set-cookie")), (Some("chat.v1"), Some("a=b")));
        assert_eq!(socket.request().path(), "/chat/%EC%86%8C%ED%86%B5");
        assert_eq!(socket.request().header("x-twice"), Some("one"));
        assert_eq!(socket.peer_addr(), Some(server.address));
        drop((socket, served));
    }
    // A fresh nonce for each attempt: 16 bytes are 24 letters.
    assert_eq!((keys.len(), keys[0].len()), (2, 24));
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test]
async fn b7_nothing_is_sent_before_the_answer_is_known() {
    let server = Scripted::start().await;
    let url = server.url();
    let connecting = tokio::spawn(async move {
        let socket = sotong::connect(&url).await.expect("connected");
        socket.send("at last").await.expect("it is open");
        socket
    });
    let mut asked = server.request().await;
    let answer = asked.answer("");
    let (most, last) = answer.split_at(answer.len() - 1);
    asked.stream.write_all(most.as_bytes()).await.expect("the client reads");
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(50), asked.stream.read(&mut byte)).await;
    assert!(early.is_err(), "{early:?}");
    let mut served = asked.say(last).await;
    served.expect(TEXT, b"at last").await;
    drop(soon(connecting).await.expect("no panic"));
}

#[tokio::test]
async fn b9_a_wrong_accept_key_is_refused() {
    for wrong_accept in ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "", "x", "\"", "é"] {
        let served = async |asked: Asked| {
            let answer = answer_with(&asked, &asked.accept(), wrong_accept);
            drop(asked.say(answer).await);
        };
        let error = wrong(connect(Client::new(), served).await.expect_err("the accept is wrong"));
        assert!(matches!(error, ResponseError::Accept { seen: Some(_), .. }), "{error:?}");
    }
    let served = async |asked: Asked| {
        let line = format!("Sec-WebSocket-Accept: {}\r\n", asked.accept());
        let answer = answer_with(&asked, &line, "");
        drop(asked.say(answer).await);
    };
    let error = wrong(connect(Client::new(), served).await.expect_err("there is none"));
    assert!(matches!(error, ResponseError::Accept { seen: None, .. }), "{error:?}");
}

#[tokio::test]
async fn b9_white_space_around_the_accept_key_does_not_matter() {
    let served = async |asked: Asked| {
        let accept = asked.accept();
        let answer = answer_with(&asked, &accept, &format!("\t {accept} \t"));
        drop(asked.say(answer).await);
    };
    connect(Client::new(), served).await.expect("connected");
}

/// CVE-2026-59898: a handshaker that did not look.
#[tokio::test]
async fn b9_a_101_must_have_upgrade_and_connection() {
    for upgrade in ["", "Upgrade: h2c\r\n", "Upgrade: websocket, h2c\r\n", "Upgrade: websockets\r\n"] {
        let error = changed("Upgrade: websocket\r\n", upgrade).await;
        assert!(matches!(error, ResponseError::Upgrade { .. }), "{upgrade:?}: {error:?}");
    }
    for connection in ["", "Connection: close\r\n", "Connection: upgraded\r\n", "Connection: keep-alive\r\n"]
    {
        let error = changed("Connection: Upgrade\r\n", connection).await;
        assert!(matches!(error, ResponseError::Connection { .. }), "{connection:?}: {error:?}");
    }
}

#[tokio::test]
async fn b9_letters_of_any_case_and_lists_are_understood() {
    let served = async |asked: Asked| {
        let answer = asked.answer("");
        let answer = answer.replace("Upgrade: websocket", "uPGRADE: WebSocket");
        let answer = answer.replace("Connection: Upgrade", "CONNECTION: keep-alive, uPGRADE");
        drop(asked.say(answer).await);
    };
    connect(Client::new(), served).await.expect("connected");
}

#[tokio::test]
async fn b10_an_extension_that_was_not_offered_is_refused() {
    let served =
        async |asked: Asked| drop(asked.open("Sec-WebSocket-Extensions: permessage-deflate\r\n").await);
    let error = wrong(connect(Client::new(), served).await.expect_err("none was offered"));
    assert!(matches!(error, ResponseError::Extension { .. }), "{error:?}");
}

#[tokio::test]
async fn b11_a_protocol_that_was_not_offered_is_refused() {
    let client = || Client::new().with_protocols(["a", "b"]).expect("two tokens");
    for (client, chosen) in [
        (Client::new(), "a"),
        (client(), "c"),
        (client(), "A"),
        (client(), "a, b"),
        (client(), ""),
        (client(), "a\r\nSec-WebSocket-Protocol: b"),
    ] {
        let served = async |asked: Asked| {
            drop(asked.open(&format!("Sec-WebSocket-Protocol: {chosen}\r\n")).await);
        };
        let error = wrong(connect(client, served).await.expect_err("it was not offered"));
        let named = matches!(error, ResponseError::Protocol { .. } | ResponseError::Repeated { .. });
        assert!(named, "{chosen:?}: {error:?}");
    }
    let socket =
        connect(client(), async |asked: Asked| drop(asked.open("").await)).await.expect("none is fine");
    assert_eq!(socket.protocol(), None);
}

#[tokio::test]
async fn b12_frames_in_the_packet_of_the_101_are_received() {
    let (first, second) = (unmasked(TEXT, true, b"first"), unmasked(TEXT, true, b"second"));
    let cut = second.len() - 2;
    let mut more = None;
    let served = async |asked: Asked| {
        let answer = [asked.answer("").as_bytes(), &first, &second[..cut]].concat();
        more = Some(asked.say(answer).await);
    };
    let mut socket = connect(Client::new(), served).await.expect("connected");
    assert_eq!(soon(socket.recv()).await.expect("a message"), Some("first".into()));
    let mut more = more.expect("it was served");
    more.raw(&second[cut..]).await;
    assert_eq!(soon(socket.recv()).await.expect("a message"), Some("second".into()));
}

#[tokio::test]
async fn b9_an_answer_may_come_byte_by_byte_and_after_others() {
    let served = async |mut asked: Asked| {
        let answer = asked.answer("X-Pad: a\r\n");
        for byte in format!("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n{answer}").bytes() {
            asked.stream.write_all(&[byte]).await.expect("the client reads");
        }
    };
    connect(Client::new(), served).await.expect("connected");
}

#[tokio::test]
async fn garbage_is_no_answer() {
    for garbage in [
        &b"\x16\x03\x01\x00\x05hello"[..],
        b"\x15\x03\x03\x00\x02\x02\x46",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"220 mail.example ESMTP\r\n\r\n",
        b"\0\0\0\0",
        b"\r\n\r\n\r\n",
        b"HTTP/2 101\r\n\r\n",
        b"HTTP/1.1 1O1 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\n\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade : websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n Upgrade: websocket\r\n\r\n",
        b"HTTP/1.0 101 Switching Protocols\r\n\r\n",
        b"\x81\x05Hello",
    ] {
        let error = wrong(answered(garbage).await);
        let shown = error.to_string();
        assert!(!matches!(error, ResponseError::TooLate), "{shown}");
        assert!(shown.bytes().all(|byte| byte >= b' '), "no control character gets through: {shown:?}");
    }
}

#[tokio::test]
async fn b9_a_head_that_is_too_large_is_not_read_on() {
    let head = format!("HTTP/1.1 101 Switching Protocols\r\nX-Pad: {}", "x".repeat(20_000));
    let error = wrong(answered(&head).await);
    assert!(matches!(error, ResponseError::HeadBytes { max: 16_384 }), "{error:?}");
    let many = format!("HTTP/1.1 101 Switching Protocols\r\n{}", "X: y\r\n".repeat(65));
    let error = wrong(answered(&many).await);
    assert!(matches!(error, ResponseError::Headers { max: 64 }), "{error:?}");
    // One that may be larger.
    let client = Client::new().with_config(Config::default().with_head_bytes_max(64 * 1024));
    let served = async |asked: Asked| drop(asked.open(&format!("X-Pad: {}\r\n", "x".repeat(20_000))).await);
    connect(client, served).await.expect("connected");
}

#[tokio::test]
async fn a_server_that_hangs_up_says_so() {
    for (said, text) in [
        ("", "the server ended the connection without an answer"),
        ("HTTP/1.1 101 Swi", "the server ended the connection after 16 bytes of its response head"),
    ] {
        let error = answered(said).await;
        assert_eq!(error.to_string(), text);
        assert!(matches!(wrong(error), ResponseError::Ended { .. }));
    }
}

#[tokio::test]
async fn a_server_that_resets_the_connection_is_an_io_error() {
    let served = async |asked: Asked| {
        socket2::SockRef::from(&asked.stream).set_linger(Some(Duration::ZERO)).expect("TCP can do that");
    };
    let error = connect(Client::new(), served).await.expect_err("it was reset");
    assert!(
        matches!(&error, ConnectError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionReset),
        "{error:?}"
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn a_server_that_stops_mid_head_meets_a_deadline() {
    let patience = Duration::from_millis(100);
    for said in ["", "HTTP/1.1 101 Switching Protocols\r\nUpgr"] {
        let timeouts = ConnectTimeouts::default().with_handshake(patience);
        let server = Scripted::start().await;
        let connecting = tokio::spawn(Client::new().with_timeouts(timeouts).connect(&server.url()));
        let mut served = server.request().await.say(said).await;
        let error = soon(connecting).await.expect("no panic").expect_err("the answer is not complete");
        let ConnectError::Timeout { host, step, deadline, .. } = &error else { panic!("{error:?}") };
        assert_eq!((host, *step), (&server.address.to_string(), ConnectStep::Handshake));
        assert_eq!(*deadline, ConnectDeadline::Step(patience));
        assert_eq!(
            error.to_string(),
            format!("{host}: the WebSocket handshake took longer than ConnectTimeouts::handshake = 100ms")
        );
        // The socket is closed.
        served.expect_end().await;
    }
}

#[tokio::test]
async fn bytes_that_dribble_do_not_move_the_deadline() {
    let server = Scripted::start().await;
    // The whole counts here, so nobody may be waited for: other tests connect to this address, too.
    let timeouts = ConnectTimeouts::default().with_total(Duration::from_millis(200));
    let client = Client::new().with_simultaneous_connects().with_timeouts(timeouts);
    let connecting = tokio::spawn(client.connect(&server.url()));
    let mut asked = server.request().await;
    let mut dribble = tokio::time::interval(Duration::from_millis(5));
    let mut line = b"HTTP/1.1 101 Switching Protocols\r\nX-Endless: ".to_vec();
    while !connecting.is_finished() {
        // It fails when the client is gone.
        let _ = asked.stream.write_all(&line).await;
        line = b"x".to_vec();
        dribble.tick().await;
    }
    let error = connecting.await.expect("no panic").expect_err("the answer is not complete");
    assert!(
        matches!(
            error,
            ConnectError::Timeout { step: ConnectStep::Handshake, deadline: ConnectDeadline::Total(_), .. }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn b8_a_refusal_tells_status_headers_and_body() {
    let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"chat\"\r\nContent-Length: 13\r\n\
        X-Multi: 1\r\nX-Multi: 2\r\n\r\nwho are you?\n";
    let error = answered(answer).await;
    assert_eq!(
        error.to_string(),
        "the server answered 401 Unauthorized instead of 101; it wants credentials (header Authorization)"
    );
    let refused = refused(error);
    assert_eq!((refused.status(), refused.reason()), (401, "Unauthorized"));
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"chat\""));
    assert_eq!(refused.headers().filter(|(name, _)| *name == "X-Multi").count(), 2);
    assert_eq!((refused.body(), refused.body_is_whole()), (&b"who are you?\n"[..], true));
}

#[tokio::test]
async fn b8_a_refusal_may_be_chunked_or_end_with_the_connection() {
    for answer in [
        "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nlater\r\n0\r\n\r\n",
        "HTTP/1.1 503 Busy\r\n\r\nlater",
        "HTTP/1.0 503 Busy\r\nConnection: close\r\n\r\nlater",
    ] {
        let refused = refused(answered(answer).await);
        assert_eq!((refused.status(), refused.body(), refused.body_is_whole()), (503, &b"later"[..], true));
    }
}

/// CVE-2024-23326: a proxy that took a 200 for an upgrade.
#[tokio::test]
async fn b8_a_200_is_no_consent() {
    let error =
        answered("HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n")
            .await;
    assert_eq!(
        error.to_string(),
        "the server answered 200 OK instead of 101 (is a WebSocket served at this path?)"
    );
    assert_eq!(refused(error).status(), 200);
}

/// CVE-2026-42498: a client that took its Authorization elsewhere.
#[tokio::test]
async fn b13_a_redirect_is_a_refusal_that_says_so() {
    for status in [301, 302, 303, 307, 308] {
        let server = Scripted::start().await;
        let connecting = tokio::spawn(sotong::connect(&server.url()));
        let elsewhere = format!("ws://{}/elsewhere?token=secret", server.address);
        let answer = format!("HTTP/1.1 {status} \r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n");
        drop(server.request().await.say(answer).await);
        let error = soon(connecting).await.expect("no panic").expect_err("it is not followed");
        let shown = error.to_string();
        assert!(shown.contains(&format!("{status} instead of 101; redirects are not followed")), "{shown}");
        assert!(!shown.contains("secret") && !format!("{error:?}").contains("secret"), "{error:?}");
        assert_eq!(refused(error).header("Location"), Some(&*elsewhere));
        // Nobody else comes: the only connection was the one above.
        assert!(futures_util::FutureExt::now_or_never(server.listener.accept()).is_none());
    }
}

#[tokio::test]
async fn b8_of_a_large_body_the_first_bytes_are_kept() {
    let body = "x".repeat(RefusedResponse::BODY_BYTES_MAX + 1);
    let served = async |mut asked: Asked| {
        let head = format!("HTTP/1.1 500 Oh\r\nContent-Length: {}\r\n\r\n", body.len());
        // The client may have seen enough and gone.
        let _ = asked.stream.write_all((head + &body).as_bytes()).await;
    };
    let refused = refused(connect(Client::new(), served).await.expect_err("it is a 500"));
    assert_eq!((refused.body().len(), refused.body_is_whole()), (RefusedResponse::BODY_BYTES_MAX, false));
}

#[tokio::test]
async fn b8_a_refusal_whose_body_dribbles_is_known_at_the_deadline() {
    let server = Scripted::start().await;
    let timeouts = ConnectTimeouts::default().with_handshake(Duration::from_secs(1));
    let connecting = tokio::spawn(Client::new().with_timeouts(timeouts).connect(&server.url()));
    let asked = server.request().await;
    let _open = asked.say("HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nnot you").await;
    let refused = refused(soon(connecting).await.expect("no panic").expect_err("it is refused"));
    assert_eq!((refused.status(), refused.body(), refused.body_is_whole()), (403, &b"not you"[..], false));
}

#[tokio::test]
async fn b8_a_refusal_before_the_request_was_read_is_seen() {
    // Larger than what the kernel keeps for a server that does not read.
    let client = (0..4).fold(Client::new(), |client, number| {
        client.with_header(format!("X-Large-{number}"), "x".repeat(4 << 20)).expect("a good header")
    });
    let server = Scripted::start().await;
    let connecting = tokio::spawn(client.connect(&server.url()));
    let mut stream = server.accept().await;
    let mut first = [0; 1024];
    stream.read_exact(&mut first).await.expect("the client writes");
    stream.write_all(b"HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n").await.expect("the client reads");
    stream.shutdown().await.expect("it is open");
    // Dropped with unread bytes, the stream is reset: the client's write fails.
    drop(stream);
    let error = soon(connecting).await.expect("no panic").expect_err("it is refused");
    // A reset may destroy the answer on its way; then it is an I/O error, and never anything else.
    match &error {
        ConnectError::Refused(refused) => assert_eq!(refused.status(), 431),
        ConnectError::Io(_) => {}
        other => panic!("{other:?}"),
    }
}

/// A stream that takes some bytes, and gives some; then both ways are broken.
struct Breaks {
    takes: usize,
    gives: std::collections::VecDeque<&'static [u8]>,
}

impl Breaks {
    async fn connect(takes: usize, gives: &[&'static [u8]]) -> ConnectError {
        let stream = Breaks { takes, gives: gives.iter().copied().collect() };
        let connecting = Client::new().connect_over(Carrier::new(stream), "ws://example.com/");
        soon(connecting).await.expect_err("it breaks")
    }
}

impl AsyncRead for Breaks {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let Some(bytes) = self.gives.pop_front() else {
            return Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
        };
        buffer.put_slice(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Breaks {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let count = bytes.len().min(self.takes);
        self.takes -= count;
        Poll::Ready(if count == 0 { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(count) })
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn b8_a_refusal_counts_though_the_connection_breaks() {
    const HEAD: &[u8] = b"HTTP/1.1 431 Too Large\r\nContent-Length: 100\r\n\r\n";
    const WITHOUT_LENGTH: &[u8] = b"HTTP/1.1 431 Too Large\r\n\r\n";
    // Before the request is out, in the middle of the body.
    for takes in [0, 10, usize::MAX] {
        for head in [HEAD, WITHOUT_LENGTH] {
            let refused = refused(Breaks::connect(takes, &[head, b"smaller", b", please"]).await);
            assert_eq!((refused.status(), refused.body()), (431, &b"smaller, please"[..]));
            assert!(!refused.body_is_whole(), "it was cut off");
        }
    }
    let kind = |error| match error {
        ConnectError::Io(error) => error.kind(),
        other => panic!("{other:?}"),
    };
    let reset = std::io::ErrorKind::ConnectionReset;
    assert_eq!(kind(Breaks::connect(usize::MAX, &[]).await), reset);
    assert_eq!(kind(Breaks::connect(usize::MAX, &[b"HTTP/1.1 101 Sw"]).await), reset);
    // It ends instead: then the request that did not get out is what is told.
    assert_eq!(kind(Breaks::connect(10, &[b""]).await), std::io::ErrorKind::BrokenPipe);
}
