//! The rules of RFC 6455, section 4.2.1: which heads become a WebSocket, which a page, and which status the others
//! get. The names begin with the ids of the checklist that the project keeps.

use std::time::Duration;

use sotong_proto::handshake::{Accept, AcceptError, Offer, Progress, Refusal, ServerHandshake};
use sotong_proto::{Config, Time};

const GOOD: &str = "GET /chat HTTP/1.1\r\nHost: server.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn receive(config: &Config, bytes: impl AsRef<[u8]>) -> Progress {
    ServerHandshake::new(config, Time::ZERO).receive(bytes.as_ref())
}

fn offer(head: impl AsRef<[u8]>) -> Offer {
    match receive(&Config::default(), &head) {
        Progress::Request(offer) => offer,
        other => panic!("{}: {other:?}", head.as_ref().escape_ascii()),
    }
}

fn refusal(head: impl AsRef<[u8]>) -> Refusal {
    match receive(&Config::default(), &head) {
        Progress::Refused(refusal) => refusal,
        other => panic!("{}: {other:?}", head.as_ref().escape_ascii()),
    }
}

/// The good head with one part of it replaced.
#[track_caller]
fn but(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old:?} is not in the good head");
    GOOD.replacen(old, new, 1)
}

/// The good head with more header lines.
fn and(lines: &str) -> String {
    but("\r\n\r\n", &format!("\r\n{lines}\r\n\r\n"))
}

#[track_caller]
fn assert_status(head: impl AsRef<[u8]>, status: u16, says: &str) {
    let refusal = refusal(head);
    assert_eq!(refusal.status(), status, "{refusal}");
    assert!(refusal.body().contains(says), "{refusal}");
    assert_eq!(refusal.body().lines().count(), 1, "one line: {refusal}");
}

#[test]
fn a1_only_get() {
    for method in ["POST", "PUT", "OPTIONS", "CONNECT", "get", "X"] {
        assert_status(but("GET", method), 405, "GET");
    }
    // No body in the answer to HEAD.
    let refusal = refusal(but("GET", "HEAD"));
    assert_eq!((refusal.status(), refusal.body()), (405, ""));
}

#[test]
fn a1_only_http_1_1() {
    assert_status(but("HTTP/1.1", "HTTP/1.0"), 400, "HTTP/1.0");
    for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/3.0"] {
        assert_status(but("HTTP/1.1", version), 505, "HTTP/1.1");
    }
    assert_status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/1.1");
    for nonsense in ["HTTP/1", "HTTP/11", "http/1.1", "HTTP/x.y", "HTTQ/1.1", ""] {
        assert_status(but("HTTP/1.1", nonsense), 400, "malformed");
    }
}

#[test]
fn a1_targets() {
    let path = |target: &str| offer(but("/chat", target)).request().path().to_owned();
    assert_eq!(path("/"), "/");
    assert_eq!(path("/a%20b?c"), "/a%20b");
    assert_eq!(path("http://other.example/chat?x"), "/chat");
    assert_eq!(path("http://other.example"), "/");
    for bad in
        ["*", "chat", "/a#b", "ws://server.example/", "http://", "http://user@server.example/", "/\u{e9}"]
    {
        assert_status(but("/chat", bad), 400, "path");
    }
    assert_status(but("/chat", "/a b"), 400, "malformed");
}

#[test]
fn a2_host() {
    for good in ["server.example", "server.example:8000", "[::1]:80", "127.0.0.1", "a_b"] {
        let offer = offer(but("Host: server.example", &format!("Host: {good}")));
        assert_eq!(offer.request().host(), good);
    }
    assert_status(but("Host: server.example\r\n", ""), 400, "Host is missing");
    assert_status(and("HOST: server.example"), 400, "Host came more than once");
    for bad in ["", "a b", "user@a", "a/b", ":80", "a:b", "a:65536", "[::1", "::1", "\u{e9}", "<a>"] {
        assert_status(but("Host: server.example", &format!("Host: {bad}")), 400, "Host");
    }
}

#[test]
fn a3_upgrade_is_a_list_over_several_lines() {
    for good in [
        "websocket",
        "WebSocket",
        "foo, websocket",
        "foo/2 ,\tWEBSOCKET",
        ",websocket,",
        "a\r\nupgrade: websocket",
    ] {
        let _ = offer(but("Upgrade: websocket", &format!("Upgrade: {good}")));
    }
    for malformed in ["websocket, a b", "websocket, /", "websocket, a/", "websocket\r\nUpgrade: a@b"] {
        assert_status(but("Upgrade: websocket", &format!("Upgrade: {malformed}")), 400, "Upgrade");
    }
}

#[test]
fn a3_without_upgrade_to_websocket_it_is_a_page() {
    for page in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        but("Upgrade: websocket\r\n", ""),
        but("Upgrade: websocket", "Upgrade:"),
        but("Upgrade: websocket", "Upgrade: h2c"),
        but("Upgrade: websocket", "Upgrade: websockets"),
        but("Upgrade: websocket", "Upgrade: websocket/13"),
        but("Upgrade: websocket", "Upgrade: web socket"),
    ] {
        match receive(&Config::default(), &page) {
            Progress::Page(read) => assert_eq!(read, page.as_bytes(), "nothing is lost for the pages"),
            other => panic!("{page:?}: {other:?}"),
        }
    }
}

#[test]
fn a4_connection_is_a_list_over_several_lines() {
    for good in ["upgrade", "UPGRADE", "keep-alive, Upgrade", "a\r\nConnection: b,,upgrade ,"] {
        let _ = offer(but("Connection: Upgrade", &format!("Connection: {good}")));
    }
    assert_status(but("Connection: Upgrade\r\n", ""), 400, "Connection");
    for bad in ["", "close", "upgrades", "up grade", "Upgrade, a b", "\"upgrade\"", "Upgrade;q=1"] {
        assert_status(but("Connection: Upgrade", &format!("Connection: {bad}")), 400, "Connection");
    }
}

#[test]
fn a5_key() {
    assert_status(
        but("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
        400,
        "Sec-WebSocket-Key is missing",
    );
    assert_status(and("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="), 400, "more than once");
    for bad in ["", "a", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ== x"] {
        assert_status(but("dGhlIHNhbXBsZSBub25jZQ==", bad), 400, "16 bytes");
    }
    let _ = offer(but("Sec-WebSocket-Key: ", "sec-WEBSOCKET-key:\t  "));
}

#[test]
fn a5_key_of_any_length_is_answered() {
    for length in 0..=4096 {
        assert_status(but("dGhlIHNhbXBsZSBub25jZQ==", &"A".repeat(length)), 400, "16 bytes");
    }
}

#[test]
fn a6_version() {
    assert_status(but("Sec-WebSocket-Version: 13\r\n", ""), 426, "13");
    for bad in ["", "8", "12", "14", "013", "13, 8", "+13", "13.0"] {
        assert_status(but("Version: 13", &format!("Version: {bad}")), 426, "13");
    }
    assert_status(and("Sec-WebSocket-Version: 13"), 400, "more than once");
    let response = refusal(but("Version: 13", "Version: 8")).to_bytes();
    let response = String::from_utf8(response).expect("a text");
    assert!(response.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{response}");
    assert!(response.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{response}");
    assert!(response.contains("\r\nUpgrade: websocket\r\n"), "{response}");
}

#[test]
fn a7_malformed_heads() {
    for bad in [
        but("\r\nHost", "\nHost"),                           // bare LF
        but("\r\nHost", "\rHost"),                           // bare CR
        but("\r\nHost", "\r\r\nHost"),                       //
        but("server.example", "server\0.example"),           // NUL
        but("Upgrade: websocket", "Upgrade:\r\n websocket"), // obs-fold
        but("\r\nHost", "\r\n\tx\r\nHost"),                  // obs-fold of the request line
        and("Bad Name: x"),
        and("Name : x"), // a space before the colon: smuggling
        and(": x"),
        and("no colon"),
        and("N\u{e9}me: x"),
        and("X: \x01"),
        and("X: \x7f"),
        but("GET /", "GET  /"),
        but(" HTTP", ""),
        but("GET", "G(T"),
    ] {
        assert_eq!(refusal(&bad).status(), 400, "{bad:?}");
    }
    assert_status("\x16\x03\x01\x02", 400, "TLS");
    // Values that are not UTF-8 are legal (obs-text), in headers that mean nothing to us.
    let head = [and("X: ").trim_end().as_bytes(), b" \xff\r\n\r\n"].concat();
    let offer = offer(head);
    assert!(offer.request().headers().any(|(name, value)| name == "X" && value == b"\xff"));
    assert_eq!(offer.request().header("X"), None);
}

#[test]
fn a7_an_upgrade_with_a_body_is_refused() {
    for bad in [
        "Content-Length: 1",
        "Content-Length: 00",
        "Content-Length: -0",
        "Content-Length:",
        "Content-Length: x",
        "Content-Length: 0, 0",
        "Transfer-Encoding: chunked",
        "transfer-encoding:",
    ] {
        assert_status(and(bad), 400, "body");
    }
    assert_status(and("Content-Length: 0\r\nContent-Length: 0"), 400, "more than once");
    let _ = offer(and("content-length: 0"));
}

#[test]
fn a8_origin_comes_once_at_most() {
    assert_eq!(offer(GOOD).request().origin(), None);
    assert_eq!(offer(and("Origin: null")).request().origin(), Some("null"));
    assert_status(and("Origin: http://a\r\norigin: http://a"), 400, "more than once");
    assert_status(and("Origin: http://\u{e9}"), 400, "ASCII");
}

#[test]
fn a9_a12_the_response_to_the_key_of_the_rfc() {
    let accepted = offer(GOOD).accept(Accept::default()).expect("nothing special");
    assert_eq!(
        String::from_utf8(accepted.response).expect("a text"),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
    assert_eq!(accepted.request.protocol(), None);
    assert_eq!(accepted.early, b"");
}

#[test]
fn a10_protocol_is_one_of_those_offered() {
    let head = and("Sec-WebSocket-Protocol: chat.v2 ,chat.v1\r\nX: y\r\nsec-websocket-protocol: soap");
    let offer = offer(&head);
    let before = offer.request().clone();
    assert!(before.protocols().eq(["chat.v2", "chat.v1", "soap"]));
    assert_eq!(before.choose_protocol(["mqtt", "soap", "chat.v2"]), Some("soap"), "the server's preference");
    assert_eq!(before.choose_protocol(["mqtt", "SOAP"]), None);
    assert_eq!(before.protocol(), None);

    let accepted = offer.accept(Accept::default().with_protocol("chat.v1")).expect("it was offered");
    let response = String::from_utf8(accepted.response).expect("a text");
    assert!(response.contains("\r\nSec-WebSocket-Protocol: chat.v1\r\n"), "{response}");
    assert_eq!(accepted.request.protocol(), Some("chat.v1"));
    assert_eq!(before.protocol(), None, "a clone from before does not change");
    assert!(accepted.request.protocols().eq(before.protocols()));
    assert!(accepted.request.headers().eq(before.headers()));
    assert_eq!(accepted.request.target(), before.target());
}

#[test]
fn a10_protocol_that_was_not_offered_is_not_sent() {
    for (head, protocol) in [
        (GOOD.to_owned(), "chat"),
        (GOOD.to_owned(), ""),
        (and("Sec-WebSocket-Protocol: chat"), "Chat"),
        (and("Sec-WebSocket-Protocol: chat"), "chat\r\nSet-Cookie: a=b"),
        (and("Sec-WebSocket-Protocol: a, b"), "a, b"),
    ] {
        let error = offer(head).accept(Accept::default().with_protocol(protocol)).expect_err("not offered");
        assert_eq!(error, AcceptError::ProtocolNotOffered { protocol: protocol.to_owned() });
        assert_eq!(Refusal::from(error).status(), 500);
    }
}

#[test]
fn a10_malformed_offers() {
    for bad in ["", " , ", "a b", "a, b c", "a/b", "\"a\"", "\u{e9}", "a;b"] {
        assert_status(and(&format!("Sec-WebSocket-Protocol: {bad}")), 400, "Sec-WebSocket-Protocol");
    }
    assert_status(and("Sec-WebSocket-Protocol: a, b, a"), 400, "the same more than once");
    assert_status(
        and("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a"),
        400,
        "the same more than once",
    );
    let _ = offer(and("Sec-WebSocket-Protocol: a, A"));
}

#[test]
fn a11_extensions_are_read_and_not_agreed_to() {
    let head = and("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, foo\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=\"1\\0\"");
    let offer = offer(head);
    let extensions: Vec<_> = offer.request().extensions().collect();
    let names: Vec<_> = extensions.iter().map(|extension| extension.name()).collect();
    assert_eq!(names, ["permessage-deflate", "foo", "permessage-deflate"]);
    assert!(extensions[0].parameters().eq([("client_max_window_bits", None)]));
    assert_eq!(extensions[1].parameters().count(), 0);
    assert!(extensions[2].parameters().eq([("client_max_window_bits", Some("10".into()))]));

    let response = offer.accept(Accept::default()).expect("nothing special").response;
    let response = String::from_utf8(response).expect("a text").to_ascii_lowercase();
    assert!(!response.contains("sec-websocket-extensions"), "{response}");

    for bad in ["", ",", "a;", "a b", "a;b=", "a;b=\"c d\"", "a;b=\"c", "\u{e9}"] {
        assert_status(and(&format!("Sec-WebSocket-Extensions: {bad}")), 400, "Sec-WebSocket-Extensions");
    }
}

#[test]
fn a12_more_headers_in_the_response() {
    let accept = Accept::default()
        .with_header("Set-Cookie", "a=b")
        .and_then(|accept| accept.with_header("set-cookie", "c=d"))
        .expect("good fields");
    let response = offer(GOOD).accept(accept).expect("nothing special").response;
    let response = String::from_utf8(response).expect("a text");
    assert!(response.ends_with("=\r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\n\r\n"), "{response}");
    assert!(!response.to_ascii_lowercase().contains("content-length"), "{response}");
}

#[test]
fn a13_the_application_refuses() {
    let refusal = Refusal::new(302, "over there\n").with_header("Location", "/login").expect("a good field");
    let response = String::from_utf8(offer(GOOD).refuse(refusal)).expect("a text");
    assert!(
        response.starts_with("HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 11\r\n"),
        "{response}"
    );
    assert!(response.ends_with("\r\nLocation: /login\r\n\r\nover there\n"), "{response}");
}

#[test]
fn a14_early_frames_are_kept() {
    let early = [0x81, 0x85, 0, b'\r', b'\n', b'\r', b'\n', 0xff];
    let accepted =
        offer([GOOD.as_bytes(), &early].concat()).accept(Accept::default()).expect("nothing special");
    assert_eq!(accepted.early, early);
}

#[test]
fn a15_limits_at_the_limit_and_one_more() {
    let status = |config: &Config, head: &str| match receive(config, head) {
        Progress::Request(_) => 101,
        Progress::Refused(refusal) => refusal.status(),
        other => panic!("{other:?}"),
    };
    let config = Config::default();

    let line = |bytes: usize| but("/chat", &format!("/{}", "x".repeat(bytes - "GET / HTTP/1.1".len())));
    assert_eq!(status(&config, &line(config.request_line_bytes_max)), 101);
    assert_eq!(status(&config, &line(config.request_line_bytes_max + 1)), 414);

    let head = |bytes: usize| and(&format!("X: {}", "x".repeat(bytes - and("X: ").len())));
    assert_eq!(head(1000).len(), 1000);
    assert_eq!(status(&config, &head(config.head_bytes_max)), 101);
    assert_eq!(status(&config, &head(config.head_bytes_max + 1)), 431);

    let lines = |lines: usize| and(&vec!["X: x"; lines - 5].join("\r\n"));
    assert_eq!(status(&config, &lines(config.headers_max)), 101);
    assert_eq!(status(&config, &lines(config.headers_max + 1)), 431);
    // More than any array on the stack would hold (CVE-2024-37890).
    assert_eq!(status(&config.with_headers_max(1000), &lines(1000)), 101);
}

#[test]
fn a15_many_offers_in_one_header() {
    // Comparing each with each would be 10¹⁰ comparisons: this test would not end.
    let offers: Vec<String> = (0..100_000).map(|number| format!("p{number}")).collect();
    let config = Config::default().with_head_bytes_max(1 << 20);
    let head = and(&format!("Sec-WebSocket-Protocol: {}", offers.join(",")));
    assert!(matches!(receive(&config, &head), Progress::Request(_)));
    let head = and(&format!("Sec-WebSocket-Extensions: {}", offers.join("; a=\"\\b\",")));
    assert!(matches!(receive(&config, &head), Progress::Refused(_)), "larger than a MiB");
    let head = and(&format!("Sec-WebSocket-Extensions: a;{}", offers.join(";")));
    assert!(matches!(receive(&config, &head), Progress::Request(_)));
}

#[test]
fn a15_time_is_bounded_from_the_start() {
    let start = Time::ZERO + Duration::from_secs(100);
    let config = Config::default().with_handshake_timeout(Duration::from_secs(3));
    let handshake = ServerHandshake::new(&config, start);
    let deadline = start + Duration::from_secs(3);
    assert_eq!(handshake.deadline(), deadline);
    assert_eq!(handshake.handle_timeout(start), None);
    // Bytes that trickle in do not buy time.
    let Progress::More(handshake) = handshake.receive(b"GET") else { panic!("not complete") };
    assert_eq!(handshake.deadline(), deadline);
    assert_eq!(handshake.handle_timeout(start + Duration::from_millis(2999)), None);
    let refusal = handshake.handle_timeout(deadline).expect("the time is up");
    assert_eq!(refusal.status(), 408);
    assert!(refusal.to_bytes().starts_with(b"HTTP/1.1 408 Request Timeout\r\n"));
}

#[test]
fn what_a_peer_sent_cannot_shape_the_response() {
    let head = but("Version: 13", "Version: <script>\"");
    let response = String::from_utf8(refusal(head).to_bytes()).expect("a text");
    assert!(response.contains(r#""\x3cscript\x3e\"""#), "{response}");
}
