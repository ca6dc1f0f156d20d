//! Header values of 64 KiB, on both sides (CVE-2021-32640, CVE-2020-7662, CVE-2020-7663: parsers whose work grew
//! with the square of it).
//!
//! No clock: there are hundreds of values, and each takes half a minute where work grows with the square of its length.

use sotong_proto::handshake::{
    Accept, ClientHandshake, ClientProgress, ClientRequest, Progress, Refusal, ServerHandshake,
};
use sotong_proto::{Config, Time};

const LENGTH: usize = 1 << 16;

fn config() -> Config {
    Config::default().with_head_bytes_max(LENGTH + 4096).with_request_line_bytes_max(LENGTH + 4096)
}

/// `piece` over and over, as a value.
fn long(piece: &str) -> String {
    piece.repeat(LENGTH / piece.len())
}

fn values() -> Vec<String> {
    let mut tokens = String::new();
    for number in 0.. {
        if tokens.len() > LENGTH - 10 {
            break;
        }
        tokens.push_str(&format!("p{number},"));
    }
    vec![
        tokens,
        long("a"),
        long(","),
        long(" "),
        format!("a{}b", long(" \t")),
        long(", ,a"),
        long("\""),
        format!("x;y=\"{}\"", long("\\a")),
        format!("x;y=\"{}", long("\\\\")),
        long("x;"),
        format!("x{}", long(";a=b")),
        format!("x{}", long("; a = \"b\" ")),
        long("x;a=b,"),
        long("(("),
        long("/"),
        long("0"),
    ]
}

const NAMES: [&str; 10] = [
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Version",
    "Connection",
    "Upgrade",
    "Origin",
    "Content-Length",
    "Transfer-Encoding",
];

fn ask(head: &[u8], piece: usize) -> Option<Result<usize, Refusal>> {
    let mut handshake = ServerHandshake::new(&config(), Time::ZERO);
    for bytes in head.chunks(piece) {
        match handshake.receive(bytes) {
            Progress::More(more) => handshake = more,
            Progress::Request(offer) => {
                let request = offer.request().clone();
                let found = request.protocols().count()
                    + request.extensions().map(|extension| 1 + extension.parameters().count()).sum::<usize>();
                let last = request.protocols().last().map(str::to_owned);
                let accept = last.iter().fold(Accept::default(), |accept, last| accept.with_protocol(last));
                return Some(offer.accept(accept).map(|_| found).map_err(Refusal::from));
            }
            Progress::Page(_) => return None,
            Progress::Refused(refusal) => return Some(Err(refusal)),
        }
    }
    panic!("the head is complete");
}

#[test]
fn a15_a_request_with_a_long_value() {
    for name in NAMES {
        for value in values() {
            let head = format!(
                "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{name}: {value}\r\n\r\n"
            );
            let whole = ask(head.as_bytes(), usize::MAX);
            if let Some(Err(refusal)) = &whole {
                assert!(refusal.body().len() < 1000, "what came is shown cut");
            }
            if name == "Sec-WebSocket-Protocol" && value.starts_with("p0,p1,") {
                assert!(matches!(whole, Some(Ok(found)) if found > 8_000), "{whole:?}");
            }
        }
    }
    let head = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long("?"));
    assert_eq!(ask(head.as_bytes(), 1), None, "a page, byte by byte");
}

#[test]
fn b9_an_answer_with_a_long_value() {
    for name in NAMES {
        for value in values() {
            for status in [101, 403] {
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{name}: {value}\r\n\r\n"
                );
                let request = ClientRequest::new("a", "/").expect("a request");
                let client = ClientHandshake::new(request, *b"the sample nonce", &config(), Time::ZERO);
                match client.receive(answer.as_bytes()) {
                    ClientProgress::Failed(error) => assert!(error.to_string().len() < 1000),
                    ClientProgress::Refused(refused) => assert_eq!(refused.status(), 403),
                    // A refusal whose body is to come.
                    ClientProgress::More(_) => assert_eq!(status, 403),
                    ClientProgress::Established { .. } => assert_eq!(status, 101),
                }
            }
        }
    }
}

#[test]
fn b5_a_request_with_many_protocols() {
    let mut request = ClientRequest::new("a", "/").expect("a request");
    for number in 0..2000 {
        request = request.with_protocol(format!("p{number}")).expect("each is new");
    }
    let client = ClientHandshake::new(request, [0; 16], &config(), Time::ZERO);
    assert_eq!(ask(client.request_bytes(), usize::MAX), Some(Ok(2000)));
}
