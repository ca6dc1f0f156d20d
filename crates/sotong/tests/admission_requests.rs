//! Every answer to a request over a real socket: what is refused how, what is accepted how, and what a hook may do.

#[path = "support/log.rs"]
mod log;
#[path = "support/plain.rs"]
mod plain;
mod support;

use std::time::{Duration, Instant};

use log::Log;
use plain::{answer, ask};
use sotong::handshake::HeaderError;
use sotong::{Accept, Config, Error, Events, MessageRef, Refusal, Request, Sender, Server, WebSocket};
use support::{Peer, Running, TEXT, frame, handshake, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        socket.try_send(message).expect("there is room");
    }
}

/// A server in pull form, in event form.
async fn both_forms(set_up: impl Fn(Server) -> Server) -> [Running; 2] {
    let (first, first_address) = support::server(Config::default()).await;
    let (second, second_address) = support::server(Config::default()).await;
    [
        Running::start(first_address, set_up(first).serve(echo)),
        Running::start(second_address, set_up(second).serve_events(|_: &Request| Ok::<_, Refusal>(Echo))),
    ]
}

async fn echoes(running: &Running) {
    let mut peer = running.connect().await;
    peer.text("still here").await;
    peer.expect_text("still here").await;
    peer.close().await;
}

/// A request with one line of the regular handshake replaced (or removed, when `with` is empty).
fn spoilt(running: &Running, line: &str, with: &str) -> String {
    let whole = handshake(running.address, "/", "");
    let start = whole.find(line).expect("the line is there");
    let end = start + whole[start..].find("\r\n").expect("lines end") + 2;
    [&whole[..start], with, &whole[end..]].concat()
}

#[tokio::test]
async fn each_refusal_is_a_whole_answer_and_the_regular_end_of_the_connection() {
    for running in both_forms(|server| server.with_paths(["/", "/chat"])).await {
        let address = running.address;
        let header = |line: &str| handshake(address, "/", line);
        let many: String = (0..65).map(|index| format!("X-{index}: y\r\n")).collect();
        let cases: &[(u16, String)] = &[
            (400, "\x16\x03\x01\x02\0\x01\0\x01".into()),
            (400, "GET / HTTP/1.1\nHost: a\n\n".into()),
            (400, spoilt(&running, "Host:", "")),
            (400, spoilt(&running, "Host:", "Host: a\r\nHost: b\r\n")),
            (400, spoilt(&running, "Connection:", "Connection: keep-alive\r\n")),
            (400, spoilt(&running, "Sec-WebSocket-Key:", "")),
            (400, spoilt(&running, "Sec-WebSocket-Key:", "Sec-WebSocket-Key: c2hvcnQ=\r\n")),
            (400, spoilt(&running, "GET", "GET / HTTP/1.0\r\n")),
            (400, header("Content-Length: 5\r\n")),
            (400, header("Transfer-Encoding: chunked\r\n")),
            (400, header("Sec-WebSocket-Protocol: a, a\r\n")),
            (403, header("Origin: http://evil.example\r\n")),
            (404, handshake(address, "/other", "")),
            (405, spoilt(&running, "GET", "POST / HTTP/1.1\r\n")),
            (414, format!("GET /{} HTTP/1.1\r\n", "a".repeat(8 * 1024))),
            (426, spoilt(&running, "Sec-WebSocket-Version:", "Sec-WebSocket-Version: 8\r\n")),
            (426, spoilt(&running, "Sec-WebSocket-Version:", "")),
            (426, "GET / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
            (426, spoilt(&running, "Upgrade:", "Upgrade: h2c\r\n")),
            (431, header(&many)),
            (431, header(&format!("Cookie: {}\r\n", "a".repeat(16 * 1024)))),
            (505, spoilt(&running, "GET", "GET / HTTP/2.0\r\n")),
        ];
        for (status, request) in cases {
            let answer = ask(address, request).await;
            assert_eq!(answer.status, *status, "{request:?}: {answer:?}");
            assert!(answer.body.ends_with('\n'), "a line for whoever looks: {answer:?}");
            match answer.status {
                405 => assert_eq!(answer.field("Allow"), Some("GET")),
                426 => assert_eq!(answer.field("Sec-WebSocket-Version"), Some("13")),
                _ => {}
            }
        }
        echoes(&running).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn the_answer_to_head_has_no_body() {
    let [running, _] = both_forms(|server| server).await;
    assert_eq!(ask(running.address, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await.status, 426);
    assert_eq!(ask(running.address, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await.body, "");
    let upgrade = spoilt(&running, "GET", "HEAD / HTTP/1.1\r\n");
    assert_eq!(ask(running.address, upgrade).await.body, "");
    running.stop().await;
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_told_408_at_the_deadline() {
    let config = Config::default().with_handshake_timeout(Duration::from_millis(100));
    let running = support::pull(config, echo).await;
    for begun in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n\r"] {
        let began = Instant::now();
        let answer = ask(running.address, begun).await;
        assert_eq!(answer.status, 408, "{answer:?}");
        assert!(began.elapsed() >= Duration::from_millis(100), "not before the deadline");
    }
    running.stop().await;
}

/// security.md, timers: slowloris. Each byte is a sign of life, and none moves the deadline.
#[tokio::test]
async fn a_head_that_dribbles_is_told_408_at_the_deadline() {
    let config = Config::default().with_handshake_timeout(Duration::from_millis(200));
    let running = support::pull(config, echo).await;
    let began = Instant::now();
    let stream = TcpStream::connect(running.address).await.expect("the server listens");
    stream.set_nodelay(true).expect("TCP can do that");
    let (mut reader, mut writer) = stream.into_split();
    let endless = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(15_000));
    let dribble = async {
        for byte in endless.bytes() {
            writer.write_all(&[byte]).await?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<(), std::io::Error>(())
    };
    let mut head = [0; 12];
    tokio::select! {
        read = soon(reader.read_exact(&mut head)) => read.expect("an answer comes"),
        end = dribble => panic!("{end:?} before the answer"),
    };
    assert_eq!(head, *b"HTTP/1.1 408");
    assert!(began.elapsed() >= Duration::from_millis(200));
    running.stop().await;
}

#[tokio::test]
async fn frames_that_came_with_the_head_are_answered_first() {
    for running in both_forms(|server| server).await {
        let mut stream = TcpStream::connect(running.address).await.expect("the server listens");
        let mut bytes = handshake(running.address, "/", "").into_bytes();
        bytes.extend(frame(TEXT, true, b"early"));
        // The next one is cut in the middle.
        let late = frame(TEXT, true, b"later");
        bytes.extend(&late[..3]);
        stream.write_all(&bytes).await.expect("the server reads");
        let mut peer = Peer { head: support::read_head(&mut stream).await, stream };
        peer.expect_text("early").await;
        peer.raw(&late[3..]).await;
        peer.expect_text("later").await;
        peer.close().await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_whole_visit_may_come_in_one_piece() {
    for running in both_forms(|server| server).await {
        let mut stream = TcpStream::connect(running.address).await.expect("the server listens");
        let mut bytes = handshake(running.address, "/", "").into_bytes();
        bytes.extend(frame(TEXT, true, b"all at once"));
        bytes.extend(frame(support::CLOSE, true, &1000u16.to_be_bytes()));
        stream.write_all(&bytes).await.expect("the server reads");
        let mut peer = Peer { head: support::read_head(&mut stream).await, stream };
        peer.expect_text("all at once").await;
        assert_eq!(peer.expect_close().await.0, 1000);
        drop(peer);
        running.stop().await;
    }
}

#[tokio::test]
async fn the_servers_preference_chooses_the_sub_protocol() {
    for running in both_forms(|server| server.with_protocols(["v2", "v1"])).await {
        for (offered, chosen) in [
            ("", None),
            ("Sec-WebSocket-Protocol: v3\r\n", None),
            ("Sec-WebSocket-Protocol: v1\r\n", Some("v1")),
            ("Sec-WebSocket-Protocol: v1, v2\r\n", Some("v2")),
            ("Sec-WebSocket-Protocol: v3\r\nSec-WebSocket-Protocol: v1\r\n", Some("v1")),
        ] {
            let peer = Peer::request(running.address, "/", offered).await;
            assert!(peer.head.starts_with("HTTP/1.1 101 "), "{offered}: {}", peer.head);
            let named = peer.head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
            assert_eq!(named, chosen, "{offered}");
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn a_hook_refuses_with_a_status_headers_and_a_body() {
    let who_are_you = |request: &Request| match request.header("Authorization") {
        Some("Bearer right") => Ok(Accept::default()),
        _ => Err(Refusal::new(401, "who are you?").with_header("WWW-Authenticate", "Bearer")?),
    };
    for running in both_forms(|server| server.with_hook(who_are_you)).await {
        let answer = ask(running.address, handshake(running.address, "/", "")).await;
        assert_eq!((answer.status, &*answer.body), (401, "who are you?"));
        assert_eq!(answer.field("WWW-Authenticate"), Some("Bearer"));
        let peer = Peer::request(running.address, "/", "Authorization: Bearer right\r\n").await;
        assert!(peer.head.starts_with("HTTP/1.1 101 "), "{}", peer.head);
        peer.close().await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_factory_of_the_event_form_refuses_too() {
    let (server, address) = support::server(Config::default()).await;
    let make = |request: &Request| match request.path() {
        "/room" => Ok(Echo),
        _ => Err(Refusal::new(404, "no such room\n")),
    };
    let running = Running::start(address, server.serve_events(make));
    assert_eq!(ask(address, handshake(address, "/", "")).await.body, "no such room\n");
    let mut peer = Peer::request(address, "/room", "").await;
    peer.text("hello").await;
    peer.expect_text("hello").await;
    peer.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_hook_adds_a_header_and_a_sub_protocol() {
    let hook = |_: &Request| Ok(Accept::default().with_protocol("b").with_header("Set-Cookie", "seen=1")?);
    for running in both_forms(|server| server.with_protocols(["a"]).with_hook(hook)).await {
        let peer = Peer::request(running.address, "/", "Sec-WebSocket-Protocol: a, b\r\n").await;
        assert!(peer.head.starts_with("HTTP/1.1 101 "), "{}", peer.head);
        assert!(peer.head.contains("\r\nSet-Cookie: seen=1\r\n"), "{}", peer.head);
        assert!(
            peer.head.contains("\r\nSec-WebSocket-Protocol: b\r\n"),
            "the hook's choice stands: {}",
            peer.head
        );
        peer.close().await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_hook_that_names_a_sub_protocol_that_was_not_offered_is_a_500_and_a_log_line() {
    let log = Log::default();
    let _here = tracing::subscriber::set_default(log.clone());
    let hook = |request: &Request| match request.path() {
        "/bad" => Ok(Accept::default().with_protocol("other")),
        _ => Ok(Accept::default()),
    };
    for running in both_forms(|server| server.with_connections_max(1).with_hook(hook)).await {
        for _ in 0..3 {
            let request = handshake(running.address, "/bad", "Sec-WebSocket-Protocol: a\r\n");
            let answer = ask(running.address, request).await;
            assert_eq!(answer.status, 500);
            assert!(
                !answer.body.contains("other"),
                "the peer is not told what the server got wrong: {answer:?}"
            );
        }
        assert!(log.has("ERROR", &["sub-protocol", "not offered"]), "{:?}", log.lines());
        // Some clients send their token as a sub-protocol.
        assert!(!log.lines().iter().any(|line| line.contains("other")), "{:?}", log.lines());
        echoes(&running).await;
        running.stop().await;
    }
}

/// security.md: CVE-2020-35678, CVE-2026-1527. A line break in a header of the application's would be a header, or a
/// whole answer, of whoever wrote the value.
#[tokio::test]
async fn a_hook_cannot_inject_header_lines() {
    let hook = |request: &Request| {
        // What the peer sent in hex, as an application might decode it.
        let digits = request.query().unwrap_or_default().as_bytes();
        let value: String = digits
            .chunks(2)
            .map(|pair| {
                u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex") as char
            })
            .collect();
        let refused = Accept::default().with_header("X-Room", value.clone());
        assert!(
            matches!(&refused, Err(HeaderError::Value { name }) if name == "X-Room"),
            "{value:?}: {refused:?}"
        );
        let refusal = Refusal::new(403, "").with_header("X-Room", value);
        assert!(matches!(refusal, Err(HeaderError::Value { .. })));
        for managed in ["Connection", "Upgrade", "Content-Length", "Sec-WebSocket-Extensions"] {
            let refused = Accept::default().with_header(managed, "x");
            assert!(matches!(refused, Err(HeaderError::Managed { .. })), "{managed}");
        }
        assert!(matches!(Accept::default().with_header("a b", "x"), Err(HeaderError::Name { .. })));
        Ok(refused?)
    };
    for running in both_forms(|server| server.with_hook(hook)).await {
        for attack in ["a\r\nSet-Cookie: admin=1", "a\n\n<html>", "a\rb", "a\0b"] {
            let query: String = attack.bytes().map(|byte| format!("{byte:02x}")).collect();
            let answer = ask(running.address, handshake(running.address, &format!("/?{query}"), "")).await;
            assert_eq!(answer.status, 500, "{attack:?}");
            assert!(!answer.head.contains("X-Room") && !answer.head.contains("admin"), "{answer:?}");
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn a_hook_that_panics_is_a_500_for_its_own_peer_only() {
    let log = Log::default();
    let _here = tracing::subscriber::set_default(log.clone());
    let hook = |request: &Request| {
        assert_ne!(request.path(), "/bad", "on purpose");
        Ok(Accept::default())
    };
    for running in both_forms(|server| server.with_connections_max(1).with_hook(hook)).await {
        for _ in 0..3 {
            assert_eq!(ask(running.address, handshake(running.address, "/bad", "")).await.status, 500);
        }
        assert!(log.has("ERROR", &["panicked", "500"]), "{:?}", log.lines());
        echoes(&running).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_factory_that_panics_is_a_500_for_its_own_peer_only() {
    let log = Log::default();
    let _here = tracing::subscriber::set_default(log.clone());
    let (server, address) = support::server(Config::default()).await;
    let serve = server.with_connections_max(1).serve_events(|request: &Request| {
        assert_ne!(request.path(), "/bad", "on purpose");
        Ok::<_, Refusal>(Echo)
    });
    let running = Running::start(address, serve);
    for _ in 0..3 {
        assert_eq!(ask(address, handshake(address, "/bad", "")).await.status, 500);
    }
    assert!(log.has("ERROR", &["panicked", "500"]), "{:?}", log.lines());
    echoes(&running).await;
    running.stop().await;
}

/// The closure of the pull form is called when the 101 is out; what is left is a close code.
#[tokio::test]
async fn a_handler_closure_that_panics_is_a_1011_for_its_own_peer_only() {
    let log = Log::default();
    let _here = tracing::subscriber::set_default(log.clone());
    let (server, address) = support::server(Config::default()).await;
    let (keep, _kept) = std::sync::mpsc::channel();
    let serve = server.serve(move |socket: WebSocket| {
        match socket.request().path() {
            "/bad" => panic!("on purpose"),
            // The socket outlives the panic, and must not live on half served.
            "/keep" => {
                keep.send(socket).expect("the test is there");
                panic!("on purpose");
            }
            _ => echo(socket),
        }
    });
    let running = Running::start(address, serve);
    for path in ["/bad", "/keep", "/bad"] {
        let mut peer = Peer::request(address, path, "").await;
        assert_eq!(peer.expect_close().await.0, 1011, "{path}");
    }
    assert!(log.has("ERROR", &["panicked", "1011"]), "{:?}", log.lines());
    echoes(&running).await;
    running.stop().await;
}

#[tokio::test]
async fn every_refusal_is_told() {
    let log = Log::default();
    let _here = tracing::subscriber::set_default(log.clone());
    let config = Config::default().with_handshake_timeout(Duration::from_millis(50));
    let running = support::pull(config, echo).await;
    for (status, request) in [
        ("400", spoilt(&running, "Host:", "")),
        ("403", handshake(running.address, "/", "Origin: http://evil.example\r\n")),
        ("408", String::new()),
        ("426", "GET / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
    ] {
        ask(running.address, request).await;
        assert!(
            log.has("DEBUG", &["refused", &format!("status={status}"), "peer=127.0.0.1:"]),
            "{:?}",
            log.lines()
        );
    }
    running.stop().await;
}

/// security.md, smuggling: a proxy in front of us may believe in an upgrade that we refused, or in a body where we see
/// a request. Whatever follows a refusal is nobody's: the connection is over.
#[tokio::test]
async fn nothing_is_answered_after_a_refusal() {
    for running in both_forms(|server| server.with_paths(["/"])).await {
        let address = running.address;
        let second = handshake(address, "/", "");
        for first in [
            handshake(address, "/secret", ""),
            handshake(address, "/", "Origin: http://evil.example\r\n"),
            handshake(address, "/", "Content-Length: 5\r\n"),
            handshake(address, "/", "Transfer-Encoding: chunked\r\n"),
            spoilt(&running, "Sec-WebSocket-Version:", "Sec-WebSocket-Version: 777\r\n"),
            spoilt(&running, "Upgrade:", "Upgrade: h2c\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n".to_owned(),
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ] {
            // In one piece: `ask` checks that one answer comes, and nothing after it.
            let answer = ask(address, [&*first, &second].concat()).await;
            assert!((400..500).contains(&answer.status), "{first:?}: {answer:?}");

            // One after the other, as a proxy that reuses the connection would.
            let mut stream = TcpStream::connect(address).await.expect("the server listens");
            stream.write_all(first.as_bytes()).await.expect("the server reads");
            let again = plain::answer(&mut stream).await;
            assert_eq!(again.status, answer.status);
            // The server may have gone already, which is as good.
            let _ = stream.write_all(second.as_bytes()).await;
            let mut rest = Vec::new();
            let _ = soon(stream.read_to_end(&mut rest)).await;
            assert_eq!(rest, b"", "{first:?}");
        }
        running.stop().await;
    }
}

/// A refused peer may still be sending. Its bytes are read for a while, because a connection that is closed on unread
/// bytes is reset, and a reset may overtake the answer. But not without end.
#[tokio::test]
async fn a_refused_peer_that_goes_on_sending_is_listened_to_and_then_cut_off() {
    let config = Config::default().with_close_timeout(Duration::from_secs(3600));
    let running = support::pull(config, echo).await;
    let mut stream = TcpStream::connect(running.address).await.expect("the server listens");
    let request = format!("POST / HTTP/1.1\r\nHost: a\r\n\r\n{}", "x".repeat(100_000));
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    assert_eq!(answer(&mut stream).await.status, 426);
    for _ in 0..50 {
        stream.write_all(&[b'x'; 1024]).await.expect("the server still reads");
        tokio::task::yield_now().await;
    }
    soon(async {
        while stream.write_all(&[b'x'; 1024]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_refused_peer_that_does_not_hang_up_is_cut_off_after_close_timeout() {
    let config = Config::default().with_close_timeout(Duration::from_millis(100));
    let running = support::pull(config, echo).await;
    let mut stream = TcpStream::connect(running.address).await.expect("the server listens");
    stream.set_nodelay(true).expect("TCP can do that");
    stream.write_all(b"\x16\x03\x01").await.expect("the server reads");
    assert_eq!(answer(&mut stream).await.status, 400);
    // So few bytes that it is not their number.
    soon(async {
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    running.stop().await;
}
