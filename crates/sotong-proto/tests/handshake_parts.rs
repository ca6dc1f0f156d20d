//! A request that somebody else's server has parsed is judged as its bytes are.

use sotong_proto::handshake::{Accept, Offer, Progress, Refusal, ServerHandshake};
use sotong_proto::{Config, Time};

const GOOD: &str = "GET /chat?room=1 HTTP/1.1\r\nHost: server.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What came of a request, in a form that can be compared.
#[derive(Debug, PartialEq)]
enum Outcome {
    WebSocket { target: String, headers: Vec<(String, Vec<u8>)>, answer: Vec<u8> },
    Page,
    Refused(Refusal),
}

fn offered(offer: Offer) -> Outcome {
    let request = offer.request().clone();
    let headers = request.headers().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
    let accepted = offer.accept(Accept::default()).expect("nothing was chosen");
    assert_eq!(accepted.early, b"");
    Outcome::WebSocket { target: request.target().to_owned(), headers, answer: accepted.response }
}

fn of_bytes(head: &str, config: &Config) -> Outcome {
    match ServerHandshake::new(config, Time::ZERO).receive(head.as_bytes()) {
        Progress::Request(offer) => offered(offer),
        Progress::Page(_) => Outcome::Page,
        Progress::Refused(refusal) => Outcome::Refused(refusal),
        Progress::More(_) => panic!("a whole head: {head:?}"),
    }
}

/// Parsed as hyper parses it.
fn of_parts(head: &str, config: &Config) -> Outcome {
    let mut headers = [httparse::EMPTY_HEADER; 256];
    let mut parsed = httparse::Request::new(&mut headers);
    assert!(parsed.parse(head.as_bytes()).expect("a well-formed head").is_complete(), "{head:?}");
    let (method, target) = (parsed.method.expect("it is whole"), parsed.path.expect("it is whole"));
    let minor_version = parsed.version.expect("it is whole");
    let headers = parsed.headers.iter().map(|header| (header.name, header.value));
    match Offer::from_parts(method, target, minor_version, headers, config) {
        Ok(Some(offer)) => offered(offer),
        Ok(None) => Outcome::Page,
        Err(refusal) => Outcome::Refused(refusal),
    }
}

#[test]
fn a_parsed_request_is_judged_as_its_bytes_are() {
    let edits = [
        ("GET", "GET"),
        ("GET", "POST"),
        ("GET", "HEAD"),
        ("GET", "CONNECT"),
        ("HTTP/1.1", "HTTP/1.0"),
        ("/chat", "http://other.example/chat"),
        ("/chat", "*"),
        ("/chat", "ws://server.example/"),
        ("Host: server.example\r\n", ""),
        ("server.example", "server.example, other"),
        ("server.example", "user@server.example"),
        ("Host: server.example", "Host: a\r\nHost: b"),
        ("Upgrade: websocket\r\n", ""),
        ("Upgrade: websocket", "Upgrade: h2c"),
        ("Upgrade: websocket", "Upgrade: h2c, WebSocket"),
        ("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket/13"),
        ("Upgrade: websocket", "Upgrade: websocket, a b"),
        ("Connection: Upgrade\r\n", ""),
        ("Connection: Upgrade", "Connection: keep-alive, upgrade"),
        ("Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"),
        ("Connection: Upgrade", "Connection: keep alive, Upgrade"),
        ("dGhlIHNhbXBsZSBub25jZQ==", ""),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "  dGhlIHNhbXBsZSBub25jZQ==\t "),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
        ("Version: 13", "Version: 8"),
        ("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13"),
        ("Sec-WebSocket-Version: 13\r\n", ""),
    ];
    let lines = [
        "",
        "Origin: http://server.example\r\n",
        "Origin: http://a\r\nOrigin: http://b\r\n",
        "Content-Length: 0\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\n",
        "Sec-WebSocket-Protocol: a, a\r\n",
        "Sec-WebSocket-Protocol: ,\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
        "Sec-WebSocket-Extensions: ;\r\n",
        "Cookie: a=\u{fc}\r\nX-Empty:\r\n",
    ];
    let (mut accepted, mut refused, mut pages) = (0, 0, 0);
    for (old, new) in edits {
        for line in lines {
            assert!(GOOD.contains(old), "{old:?} is in the good head");
            let head = GOOD.replacen(old, new, 1).replacen("\r\n\r\n", &format!("\r\n{line}\r\n"), 1);
            let outcome = of_parts(&head, &Config::default());
            assert_eq!(outcome, of_bytes(&head, &Config::default()), "{head:?}");
            match outcome {
                Outcome::WebSocket { .. } => accepted += 1,
                Outcome::Refused(_) => refused += 1,
                Outcome::Page => pages += 1,
            }
        }
    }
    assert!(accepted > 20 && refused > 100 && pages > 20, "{accepted} {refused} {pages}");
}

#[test]
fn a15_the_limits_of_a_head_hold_for_a_parsed_one() {
    let head = GOOD.len();
    let line = GOOD.find('\r').expect("it has a first line");
    for config in [
        Config::default().with_head_bytes_max(head),
        Config::default().with_head_bytes_max(head - 1),
        Config::default().with_request_line_bytes_max(line),
        Config::default().with_request_line_bytes_max(line - 1),
        Config::default().with_headers_max(5),
        Config::default().with_headers_max(4),
        Config::default().with_head_bytes_max(1),
    ] {
        assert_eq!(of_parts(GOOD, &config), of_bytes(GOOD, &config));
    }
    // A page is its server's business, however large it is.
    let page = "GET /chat HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(of_parts(page, &Config::default().with_head_bytes_max(1)), Outcome::Page);
}

#[test]
fn a7_what_no_parser_lets_through_breaks_nothing_either() {
    let good = [
        ("host", &b"a"[..]),
        ("upgrade", b"websocket"),
        ("connection", b"upgrade"),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", b"13"),
    ];
    for bad in [("x\ny", &b"v"[..]), ("", b"v"), ("x:", b"v"), ("x", b"a\nb"), ("x", b"a\rb"), ("x", b"\0")] {
        let headers = good.into_iter().chain([bad]);
        let refusal =
            Offer::from_parts("GET", "/", 1, headers, &Config::default()).expect_err("it is malformed");
        assert_eq!(refusal.status(), 400, "{bad:?}");
    }
    for bad in ["/\n", "/ ", "", "/\u{e9}", "/#"] {
        let refusal =
            Offer::from_parts("GET", bad, 1, good, &Config::default()).expect_err("it is malformed");
        assert_eq!(refusal.status(), 400, "{bad:?}");
    }
}
