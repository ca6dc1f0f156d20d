//! The rules of RFC 6455, section 4.1: what a client asks, and which answers it takes for a yes. The names begin
//! with the ids of the checklist that the project keeps.

use std::time::Duration;

use sotong_proto::handshake::{
    ClientHandshake, ClientProgress, ClientRequest, HeaderError, RefusedResponse, Request, RequestError,
    Response, ResponseError,
};
use sotong_proto::{Config, Time};

/// The nonce of the RFC's example, whose key is `dGhlIHNhbXBsZSBub25jZQ==`.
const NONCE: [u8; 16] = *b"the sample nonce";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn request() -> ClientRequest {
    ClientRequest::new("server.example", "/chat")
        .and_then(|request| request.with_protocol("chat.v2"))
        .and_then(|request| request.with_protocol("chat.v1"))
        .expect("a request")
}

fn handshake(config: &Config) -> ClientHandshake {
    ClientHandshake::new(request(), NONCE, config, Time::ZERO)
}

fn receive(answer: impl AsRef<[u8]>) -> ClientProgress {
    handshake(&Config::default()).receive(answer.as_ref())
}

#[track_caller]
fn established(answer: impl AsRef<[u8]>) -> (Request, Response, Vec<u8>) {
    match receive(&answer) {
        ClientProgress::Established { request, response, early, .. } => (request, response, early),
        other => panic!("{}: {other:?}", answer.as_ref().escape_ascii()),
    }
}

#[track_caller]
fn failed(answer: impl AsRef<[u8]>) -> ResponseError {
    match receive(&answer) {
        ClientProgress::Failed(error) => error,
        other => panic!("{}: {other:?}", answer.as_ref().escape_ascii()),
    }
}

#[track_caller]
fn refused(answer: impl AsRef<[u8]>) -> RefusedResponse {
    match receive(&answer) {
        ClientProgress::Refused(refused) => refused,
        other => panic!("{}: {other:?}", answer.as_ref().escape_ascii()),
    }
}

/// The good answer with one part of it replaced.
#[track_caller]
fn but(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old:?} is not in the good answer");
    GOOD.replacen(old, new, 1)
}

/// The good answer with more header lines.
fn and(lines: &str) -> String {
    but("\r\n\r\n", &format!("\r\n{lines}\r\n\r\n"))
}

/// A problem, in words that name what came and what was allowed.
#[track_caller]
fn assert_says(error: &ResponseError, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert!(!text.contains(['\r', '\n', '\x1b']) && !text.ends_with('.'), "{text}");
}

fn malformed(problem: &'static str) -> ResponseError {
    ResponseError::Malformed { problem }
}

#[test]
fn b4_the_request_is_that_of_the_rfc() {
    let request = request().with_header("Origin", "http://example.com").expect("a good field");
    let handshake = ClientHandshake::new(request, NONCE, &Config::default(), Time::ZERO);
    assert_eq!(
        std::str::from_utf8(handshake.request_bytes()),
        Ok("GET /chat HTTP/1.1\r\nHost: server.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Protocol: chat.v2, chat.v1\r\nOrigin: http://example.com\r\n\r\n")
    );
}

#[test]
fn b4_another_nonce_is_another_key_and_wants_another_accept() {
    let other = ClientHandshake::new(request(), [0; 16], &Config::default(), Time::ZERO);
    let text = String::from_utf8(other.request_bytes().to_vec()).expect("ASCII");
    assert!(text.contains("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"), "{text}");
    assert!(matches!(other.receive(GOOD.as_bytes()), ClientProgress::Failed(ResponseError::Accept { .. })));
}

#[test]
fn b1_hosts_and_targets_are_checked() {
    for host in
        ["a", "example.com:8080", "[::1]", "[2001:db8::1]:80", "127.0.0.1", "xn--bcher-kva.example", "a_b"]
    {
        assert_eq!(ClientRequest::new(host, "/").expect("a host").host(), host);
    }
    for host in
        ["", "a b", "user@a", "user:pw@a", "a/b", "a\r\nX: y", "a\0", "::1", "a:x", "a:65536", "é", "a#"]
    {
        let error = ClientRequest::new(host, "/").expect_err("not a host");
        assert_eq!(error, RequestError::Host { host: host.into() });
        assert!(error.to_string().contains("example.com:8080"), "{error}");
    }
    for target in ["/", "/a%20b?c=d&e", "/%23", "//", "/?"] {
        assert_eq!(ClientRequest::new("a", target).expect("a target").target(), target);
    }
    for target in
        ["", "a", "?a", "*", "http://a/", "/a b", "/a#b", "/#", "/é", "/\r\nX: y", "/\0", "/a HTTP/1.1\r\n"]
    {
        let error = ClientRequest::new("a", target).expect_err("not a target");
        assert_eq!(error, RequestError::Target { target: target.into() });
        assert!(error.to_string().contains("visible ASCII"), "{error}");
    }
}

#[test]
fn b5_protocols_are_unique_tokens() {
    let request = || ClientRequest::new("a", "/").expect("a request");
    let two = request()
        .with_protocol("a")
        .and_then(|request| request.with_protocol("A"))
        .expect("letter by letter");
    assert!(two.protocols().eq(["a", "A"]));
    assert_eq!(two.with_protocol("a"), Err(RequestError::ProtocolTwice { index: 2 }));
    for (bad, character) in [
        ("", None),
        ("a b", Some(' ')),
        ("a,b", Some(',')),
        ("a;b", Some(';')),
        ("a/b", Some('/')),
        ("\"a\"", Some('"')),
        ("aé", Some('é')),
        ("a\r\nX: y", Some('\r')),
        ("a\0", Some('\0')),
        ("a\x7f", Some('\x7f')),
    ] {
        assert_eq!(request().with_protocol(bad), Err(RequestError::Protocol { index: 0, character }));
    }
    // Tokens travel there, in both senses.
    let secret = request().with_protocol("chat").and_then(|one| one.with_protocol("Bearer s3cr3t"));
    let error = secret.expect_err("a space");
    assert_eq!(error, RequestError::Protocol { index: 1, character: Some(' ') });
    assert!(error.to_string().starts_with("sub-protocol 2 is not a token: it has ' '"), "{error}");
    let shown = format!("{:?}", request().with_protocol("s3cr3t").expect("a token"));
    assert!(!shown.contains("s3cr3t"), "{shown}");
    // All of 0x21 to 0x7E but the separators.
    let token: String =
        (0x21..0x7f_u8).map(char::from).filter(|c| !"()<>@,;:\\\"/[]?={}".contains(*c)).collect();
    assert!(request().with_protocol(token).is_ok());
}

#[test]
fn b4_headers_cannot_write_lines_of_their_own() {
    let with = |name: &str, value: &str| request().with_header(name, value);
    for value in ["a\r\nX: y", "a\n", "\r", "a\0", "\x1b[2J", "\x7f"] {
        let error = with("X-A", value).expect_err("a control character");
        assert_eq!(error, HeaderError::Value { name: "X-A".into() });
        assert!(
            error.to_string().contains("control character") && error.to_string().contains("allowed"),
            "{error}"
        );
    }
    for name in ["", "X A", "X:", "X\r\nY", "é", "X\0"] {
        assert_eq!(with(name, "v"), Err(HeaderError::Name { name: name.into() }));
    }
    for name in [
        "Host",
        "host",
        "Upgrade",
        "CONNECTION",
        "Content-Length",
        "Transfer-Encoding",
        "Sec-WebSocket-Key",
        "sec-websocket-version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Anything",
    ] {
        let error = with(name, "v").expect_err("managed");
        assert_eq!(error, HeaderError::Managed { name: name.into() });
        assert!(error.to_string().contains("allowed is any but"), "{error}");
    }
    for name in ["Origin", "Cookie", "Authorization", "User-Agent", "X-Forwarded-For"] {
        assert!(with(name, "é\tb").is_ok(), "{name}");
    }
}

#[test]
fn what_was_asked_has_the_form_that_a_server_keeps() {
    let request = request().with_header("X-A", "  b ").expect("a good field");
    let asked = ClientHandshake::new(request, NONCE, &Config::default(), Time::ZERO).request();
    assert_eq!((asked.target(), asked.path(), asked.host()), ("/chat", "/chat", "server.example"));
    assert!(asked.protocols().eq(["chat.v2", "chat.v1"]));
    assert_eq!((asked.protocol(), asked.header("x-a")), (None, Some("b")));
    let names: Vec<&str> = asked.headers().map(|(name, _)| name).collect();
    assert_eq!(names, ["Host", "Sec-WebSocket-Protocol", "X-A"]);
}

#[test]
fn passwords_are_not_in_debug_forms() {
    let request = ClientRequest::new("a", "/path?token=secret")
        .expect("a request")
        .with_header("Authorization", "secret")
        .expect("a good field");
    let handshake = ClientHandshake::new(request.clone(), NONCE, &Config::default(), Time::ZERO);
    let refused = refused("HTTP/1.1 403 No\r\nSet-Cookie: secret\r\nContent-Length: 6\r\n\r\nsecret");
    let (_, response, _) = established(and("Set-Cookie: secret"));
    for text in [
        format!("{request:?}"),
        format!("{handshake:?}"),
        format!("{refused:?}"),
        format!("{response:?}"),
        ClientRequest::new("a", "secret").expect_err("no slash").to_string(),
    ] {
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn b9_the_good_answer_is_good() {
    let (request, response, early) = established(GOOD);
    assert_eq!((request.protocol(), response.protocol(), early.len()), (None, None, 0));
    assert_eq!(response.headers().count(), 0);
    for good in [
        but("Switching Protocols", "OK"),
        but(" Switching Protocols", " "),
        but(" Switching Protocols", ""),
        but("Upgrade: websocket", "upgrade:WebSocket  "),
        but("Connection: Upgrade", "connection: keep-alive, UPGRADE"),
        but("Connection: Upgrade", "Connection: keep-alive\r\nConnection: upgrade"),
        but("Accept: ", "Accept: \t "),
        but("xOo=", "xOo= \t "),
        and("Server: x\r\nDate: y"),
        // RFC 9112, section 6.3: a 101 has no body, whatever its headers say.
        and("Content-Length: 0"),
        and("Sec-WebSocket-Version: 13"),
    ] {
        established(good);
    }
}

#[test]
fn b9_upgrade_is_websocket_and_nothing_else() {
    let seen = |value: &str| ResponseError::Upgrade { seen: Some(value.as_bytes().into()) };
    assert_eq!(failed(but("Upgrade: websocket\r\n", "")), ResponseError::Upgrade { seen: None });
    for bad in
        ["", "h2c", "websocket, h2c", "websocket/13", "web socket", "\"websocket\"", "websocke", "websockets"]
    {
        let error = failed(but("Upgrade: websocket", &format!("Upgrade: {bad}")));
        assert_eq!(error, seen(bad));
        assert_says(&error, &["Upgrade", &bad.escape_default().to_string(), "must be websocket"]);
    }
    assert_eq!(failed(and("Upgrade: websocket")), ResponseError::Repeated { name: "Upgrade" });
    assert_says(&ResponseError::Upgrade { seen: None }, &["without header Upgrade"]);
}

#[test]
fn b9_connection_names_upgrade() {
    assert_eq!(failed(but("Connection: Upgrade\r\n", "")), ResponseError::Connection { seen: None });
    for bad in ["", "keep-alive", "upgraded", "Upgrade keep-alive", "close"] {
        let error = failed(but("Connection: Upgrade", &format!("Connection: {bad}")));
        assert_eq!(error, ResponseError::Connection { seen: Some(bad.as_bytes().into()) });
        assert_says(&error, &["Connection", bad, "must name upgrade"]);
    }
}

#[test]
fn b9_a_wrong_accept_key_is_refused() {
    let accept = |seen: Option<&str>| ResponseError::Accept {
        seen: seen.map(|seen| seen.as_bytes().into()),
        expected: ACCEPT.into(),
    };
    let line = format!("Sec-WebSocket-Accept: {ACCEPT}\r\n");
    assert_eq!(failed(but(&line, "")), accept(None));
    for bad in [
        "",
        "dGhlIHNhbXBsZSBub25jZQ==",
        "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo==",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOp=",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=, x",
        "\"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\"",
    ] {
        let error = failed(but(ACCEPT, bad));
        assert_eq!(error, accept(Some(bad)));
        assert_says(&error, &["Sec-WebSocket-Accept", ACCEPT]);
    }
    assert_eq!(failed(and(&line)), ResponseError::Repeated { name: "Sec-WebSocket-Accept" });
}

#[test]
fn b9_only_101_is_a_yes() {
    // CVE-2024-23326: a proxy that took 200 for an upgrade.
    for status in [200, 201, 204, 301, 400, 401, 426, 500, 999] {
        let answer = but("101", &status.to_string()).replace("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(refused(answer).status(), status);
    }
    assert_eq!(failed(but("HTTP/1.1", "HTTP/1.0")), ResponseError::Http10);
    for (bad, error) in [
        (but("101", "099"), malformed("a status below 100")),
        (but("101", "000"), malformed("a status below 100")),
        (but("101", "10"), malformed("a status line without a status of three digits")),
        (but("101", "1010"), malformed("a status line without a status of three digits")),
        (but("101", "-01"), malformed("a status line without a status of three digits")),
        (but("HTTP/1.1", "HTTP/1.2"), malformed("a version of HTTP that is neither 1.0 nor 1.1")),
        (but("HTTP/1.1", "HTTP/2.0"), ResponseError::NotHttp),
        (but("HTTP/1.1", "http/1.1"), ResponseError::NotHttp),
        (but("HTTP/1.1", "ICY"), ResponseError::NotHttp),
    ] {
        assert_eq!(failed(&bad), error, "{bad}");
    }
}

#[test]
fn b10_an_extension_that_was_not_offered_is_refused() {
    for value in
        ["permessage-deflate", "permessage-deflate; server_max_window_bits=10", "x", "a, b", ";", "\u{e9}"]
    {
        let error = failed(and(&format!("Sec-WebSocket-Extensions: {value}")));
        assert_eq!(error, ResponseError::Extension { seen: value.as_bytes().into() });
        assert_says(&error, &["Sec-WebSocket-Extensions", "none was offered"]);
    }
    for empty in ["", " ,"] {
        let error = failed(and(&format!("Sec-WebSocket-Extensions: {empty}")));
        assert_eq!(error, malformed("header Sec-WebSocket-Extensions is empty"));
    }
    let twice = and("Sec-WebSocket-Extensions: a\r\nsec-websocket-extensions: b");
    assert_eq!(failed(twice), ResponseError::Repeated { name: "Sec-WebSocket-Extensions" });
}

#[test]
fn b11_a_protocol_is_one_that_was_offered() {
    for protocol in ["chat.v1", "chat.v2"] {
        let (request, response, _) = established(and(&format!("Sec-WebSocket-Protocol:  {protocol} ")));
        assert_eq!((request.protocol(), response.protocol()), (Some(protocol), Some(protocol)));
        assert!(request.protocols().eq(["chat.v2", "chat.v1"]));
    }
    for bad in ["", "chat", "chat.v3", "CHAT.V1", "chat.v1, chat.v2", "chat.v1,", "\"chat.v1\"", "chat.v1;a"]
    {
        let error = failed(and(&format!("Sec-WebSocket-Protocol: {bad}")));
        assert_eq!(error, ResponseError::Protocol { seen: bad.as_bytes().into() });
        assert_says(&error, &["Sec-WebSocket-Protocol", "allowed is one of those that were offered"]);
    }
    let twice = and("Sec-WebSocket-Protocol: chat.v1\r\nSec-WebSocket-Protocol: chat.v1");
    assert_eq!(failed(twice), ResponseError::Repeated { name: "Sec-WebSocket-Protocol" });

    // Where none was offered, none may be chosen.
    let plain = ClientRequest::new("a", "/").expect("a request");
    let handshake = ClientHandshake::new(plain, NONCE, &Config::default(), Time::ZERO);
    let answer = handshake.receive(and("Sec-WebSocket-Protocol: chat.v1").as_bytes());
    assert!(matches!(answer, ClientProgress::Failed(ResponseError::Protocol { .. })), "{answer:?}");
}

#[test]
fn b12_frames_in_the_packet_of_the_101_are_kept() {
    let (_, _, early) = established([GOOD.as_bytes(), b"\x81\x05Hello\r\n\r\n\0"].concat());
    assert_eq!(early, b"\x81\x05Hello\r\n\r\n\0");
}

#[test]
fn garbage_is_told_at_once() {
    for garbage in [
        &b"\x16\x03\x01"[..],
        b"\x15\x03\x03\0\x02",
        b"SSH-2.0-OpenSSH",
        b"\0",
        b" HTTP/1.1",
        b"HTTQ",
        b"\x81\x05Hello",
    ] {
        let error = failed(garbage);
        let first_is_nul = garbage[0] == 0;
        assert_eq!(error, if first_is_nul { malformed("a NUL byte") } else { ResponseError::NotHttp });
    }
    assert_says(&ResponseError::NotHttp, &["not an HTTP/1 response", "TLS"]);
    for (bad, problem) in [
        ("\r\nHTTP/1.1 101 x\r\n\r\n", "an empty line instead of a status line"),
        ("HTTP/1.1 101 x\nUpgrade", "an LF without a CR"),
        ("HTTP/1.1 101 x\rUpgrade", "a CR without an LF"),
        ("HTTP/1.1 101 x\0", "a NUL byte"),
        ("HTTP/1.1 101 x\r\nA: b\r\n c", "a header line that begins with a space (obs-fold)"),
        ("HTTP/1.1 101 x\r\nA: b\r\n\tc", "a header line that begins with a space (obs-fold)"),
        ("HTTP/1.1 101 x\r\nA b: c\r\n\r\n", "a header name that is not a token"),
        ("HTTP/1.1 101 x\r\nA : c\r\n\r\n", "a header name that is not a token"),
        ("HTTP/1.1 101 x\r\nnonsense\r\n\r\n", "a header name that is not a token"),
        ("HTTP/1.1 101 x\r\nA: \x1b\r\n\r\n", "a header value with a control character"),
    ] {
        assert_eq!(failed(bad), malformed(problem), "{bad:?}");
    }
}

#[test]
fn what_a_server_sent_is_shown_escaped_and_cut() {
    let error = failed(and(&format!("Sec-WebSocket-Protocol: \u{e9}<{}", "x".repeat(200))));
    let text = error.to_string();
    assert!(text.contains("\"\\xc3\\xa9\\x3cxxx") && text.contains("…") && text.len() < 300, "{text}");
}

#[test]
fn limits_at_the_limit_and_one_more() {
    let with = |config: Config, answer: &str| handshake(&config).receive(answer.as_bytes());
    let config = Config::default();
    let padded = |length: usize| and(&format!("X: {}", "x".repeat(length - and("X: ").len())));
    assert!(matches!(with(config.clone(), &padded(16384)), ClientProgress::Established { .. }));
    let error = with(config.clone(), &padded(16385));
    assert!(matches!(error, ClientProgress::Failed(ResponseError::HeadBytes { max: 16384 })), "{error:?}");

    let three = config.clone().with_headers_max(3);
    assert!(matches!(with(three.clone(), GOOD), ClientProgress::Established { .. }));
    let error = with(three, &and("X: y"));
    assert!(matches!(error, ClientProgress::Failed(ResponseError::Headers { max: 3 })), "{error:?}");

    // The request line's limit is not the status line's.
    let config = config.with_request_line_bytes_max(5);
    assert!(matches!(with(config, GOOD), ClientProgress::Established { .. }));
}

#[test]
fn interim_responses_are_skipped_and_counted() {
    let interim =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\n\r\n";
    established(interim.to_owned() + GOOD);
    assert_eq!(refused(interim.to_owned() + "HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n").status(), 404);
    assert!(matches!(receive(interim), ClientProgress::More(_)));
    established("HTTP/1.1 199 x\r\n\r\n".repeat(8) + GOOD);
    let error = failed("HTTP/1.1 199 x\r\n\r\n".repeat(9) + GOOD);
    assert_eq!(error, ResponseError::InterimResponses { max: 8 });
    assert_says(&error, &["more than 8"]);
    // Each head by itself obeys the limits.
    let config = Config::default().with_head_bytes_max(GOOD.len()).with_headers_max(3);
    let handshake = ClientHandshake::new(request(), NONCE, &config, Time::ZERO);
    let answer = handshake.receive((interim.to_owned() + GOOD).as_bytes());
    assert!(matches!(answer, ClientProgress::Established { .. }), "{answer:?}");
}

#[test]
fn b8_a_refusal_is_told_with_status_headers_and_body() {
    let refused = refused(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nConnection: close\r\n\
         Content-Length: 13\r\n\r\nwho are you?\nand more",
    );
    assert_eq!((refused.status(), refused.reason()), (401, "Unauthorized"));
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"x\""));
    let names: Vec<&str> = refused.headers().map(|(name, _)| name).collect();
    assert_eq!(names, ["WWW-Authenticate", "Connection", "Content-Length"]);
    assert_eq!((refused.body(), refused.body_is_whole()), (&b"who are you?\n"[..], true));
    assert_eq!(refused.to_string(), "the server answered 401 Unauthorized instead of 101");
}

#[test]
fn b8_a_body_ends_as_its_headers_say() {
    let body = |head: &str, body: &str| {
        let answer = format!("HTTP/1.1 500 x\r\n{head}\r\n{body}");
        let refused = match receive(answer) {
            ClientProgress::More(more) => match more.end_of_stream() {
                ClientProgress::Refused(refused) => refused,
                other => panic!("{other:?}"),
            },
            ClientProgress::Refused(refused) => refused,
            other => panic!("{other:?}"),
        };
        (String::from_utf8(refused.body().to_vec()).expect("text"), refused.body_is_whole())
    };
    for (head, sent, expected, whole) in [
        ("Content-Length: 3\r\n", "abcdef", "abc", true),
        ("Content-Length: 3\r\nContent-Length: 3\r\n", "abcdef", "abc", true),
        ("Content-Length: 3, 3\r\n", "abcdef", "abc", true),
        ("Content-Length: 3\r\n", "ab", "ab", false),
        ("", "to the end", "to the end", true),
        ("Connection: close\r\n", "", "", true),
        // What contradicts itself, or is no number, ends with the stream.
        ("Content-Length: 3\r\nContent-Length: 4\r\n", "abcdef", "abcdef", true),
        ("Content-Length: +3\r\n", "abcdef", "abcdef", true),
        ("Content-Length: 99999999999999999999\r\n", "abcdef", "abcdef", true),
        ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde", true),
        ("Transfer-Encoding: gzip, Chunked\r\nContent-Length: 1\r\n", "3\r\nabc\r\n0\r\n\r\n", "abc", true),
        ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n", "abc", false),
        ("Transfer-Encoding: chunked\r\n", "nonsense", "", false),
        ("Transfer-Encoding: chunked, gzip\r\n", "3\r\nabc", "3\r\nabc", true),
    ] {
        assert_eq!(body(head, sent), (expected.to_owned(), whole), "{head:?} {sent:?}");
    }
    for status in [204, 304] {
        let refused = refused(format!("HTTP/1.1 {status} x\r\nContent-Length: 5\r\n\r\nabcde"));
        assert_eq!((refused.body(), refused.body_is_whole()), (&b""[..], true));
    }
}

#[test]
fn b8_a_body_at_its_limit_and_one_more() {
    const MAX: usize = RefusedResponse::BODY_BYTES_MAX;
    let answer = |head: String, length: usize| format!("HTTP/1.1 403 x\r\n{head}\r\n{}", "x".repeat(length));
    let length = |length: usize| format!("Content-Length: {length}\r\n");
    let judged = |refused: RefusedResponse| (refused.body().len(), refused.body_is_whole());
    assert_eq!(judged(refused(answer(length(MAX), MAX))), (MAX, true));
    assert_eq!(judged(refused(answer(length(MAX + 1), MAX))), (MAX, false));
    assert_eq!(judged(refused(answer(length(usize::MAX), MAX + 5))), (MAX, false));
    let ClientProgress::More(more) = receive(answer(String::new(), MAX)) else { panic!("it has not ended") };
    let ClientProgress::Refused(whole) = more.end_of_stream() else { panic!("it has ended") };
    assert_eq!(judged(whole), (MAX, true));
    assert_eq!(judged(refused(answer(String::new(), MAX + 1))), (MAX, false));
}

#[test]
fn a_server_that_stops_in_the_middle() {
    for end in 0..GOOD.len() {
        let ClientProgress::More(more) = receive(&GOOD[..end]) else { panic!("complete at {end}") };
        let ended = more.end_of_stream();
        let ClientProgress::Failed(error) = ended else { panic!("{ended:?}") };
        assert_eq!(error, ResponseError::Ended { received: end });
    }
    assert_says(&ResponseError::Ended { received: 0 }, &["without an answer"]);
    assert_says(&ResponseError::Ended { received: 7 }, &["7 bytes"]);
}

#[test]
fn the_deadline_does_not_move() {
    let config = Config::default().with_handshake_timeout(Duration::from_secs(3));
    let start = Time::ZERO + Duration::from_secs(100);
    let due = start + Duration::from_secs(3);
    let before = due - Time::ZERO - Duration::from_nanos(1);
    let mut handshake = ClientHandshake::new(request(), NONCE, &config, start);
    for byte in &GOOD.as_bytes()[..60] {
        assert_eq!(handshake.deadline(), due);
        handshake = match handshake.receive(&[*byte]) {
            ClientProgress::More(handshake) => handshake,
            other => panic!("{other:?}"),
        };
    }
    let ClientProgress::More(handshake) = handshake.handle_timeout(Time::from_start(before)) else {
        panic!("there is time left")
    };
    let late = handshake.handle_timeout(due);
    assert!(matches!(late, ClientProgress::Failed(ResponseError::TooLate)), "{late:?}");

    // A refusal is told, though its body is late.
    let ClientProgress::More(more) = receive("HTTP/1.1 503 x\r\nContent-Length: 5\r\n\r\nabc") else {
        panic!("the body is not complete")
    };
    let deadline = more.deadline();
    let ClientProgress::Refused(refused) = more.handle_timeout(deadline) else { panic!("a refusal") };
    assert_eq!((refused.status(), refused.body(), refused.body_is_whole()), (503, &b"abc"[..], false));
}
