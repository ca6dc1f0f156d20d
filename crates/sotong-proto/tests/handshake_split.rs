//! Same bytes, same outcome: however a request is cut, and whatever its bytes are.

use proptest::prelude::*;
use sotong_proto::handshake::{Accept, Progress, ServerHandshake};
use sotong_proto::{Config, Time};

/// What became of a request, in a form that can be compared.
#[derive(Debug, PartialEq)]
enum Outcome {
    More,
    Request { headers: Vec<(String, Vec<u8>)>, target: String, response: Vec<u8>, early: Vec<u8> },
    Page(Vec<u8>),
    Refused(Vec<u8>),
}

/// Feeds pieces until something is known. What was not fed then counts as early, as it would come later.
fn outcome<'a>(config: &Config, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut pieces = pieces.into_iter();
    let mut handshake = ServerHandshake::new(config, Time::ZERO);
    for piece in pieces.by_ref() {
        match handshake.receive(piece) {
            Progress::More(more) => handshake = more,
            Progress::Request(offer) => {
                let request = offer.request();
                let headers =
                    request.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                let target = request.target().to_owned();
                let accepted = offer.accept(Accept::default()).expect("no protocol was chosen");
                let early = [accepted.early, pieces.collect::<Vec<_>>().concat()].concat();
                return Outcome::Request { headers, target, response: accepted.response, early };
            }
            Progress::Page(read) => {
                return Outcome::Page([read, pieces.collect::<Vec<_>>().concat()].concat());
            }
            Progress::Refused(refusal) => return Outcome::Refused(refusal.to_bytes()),
        }
    }
    Outcome::More
}

const HEADS: &[&str] = &[
    // A browser's, with early frames that look like line ends.
    "GET /ws?sub=chat HTTP/1.1\r\nHost: localhost:8000\r\nConnection: keep-alive, Upgrade\r\nPragma: no-cache\r\n\
     Upgrade: websocket\r\nOrigin: http://localhost:8000\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: a, b\r\n\
     Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n\r\n\r\n\n\0early",
    "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody",
    "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
    "GET / HTTP/1.1\r\nUpgrade: websocket\nX: y\r\n\r\n",
    "GET / HTTP/1.1\r\nUpgrade: websocket\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\rX\r\n\r\n",
    "GET /\0 HTTP/1.1\r\n\r\n",
    "GET /unfinished HTTP/1.1\r\nHost: a\r\n\r",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\r\n\r\n",
    "\n",
    "",
];

fn configs() -> [Config; 4] {
    let config = Config::default();
    // Limits that bite in the middle of these heads.
    [
        config.clone(),
        config.clone().with_request_line_bytes_max(14),
        config.clone().with_head_bytes_max(40),
        config.with_headers_max(1),
    ]
}

#[test]
fn a15_every_split_gives_the_same_outcome() {
    for config in configs() {
        for head in HEADS {
            let head = head.as_bytes();
            let whole = outcome(&config, [head]);
            for first in 0..=head.len() {
                let (before, after) = head.split_at(first);
                assert_eq!(outcome(&config, [before, after]), whole, "{} at {first}", head.escape_ascii());
            }
            assert_eq!(outcome(&config, head.chunks(1)), whole, "{} in single bytes", head.escape_ascii());
        }
    }
}

#[test]
fn a14_early_bytes_are_all_that_follow_the_head() {
    let Outcome::Request { early, .. } = outcome(&Config::default(), [HEADS[0].as_bytes()]) else {
        panic!("a valid request");
    };
    assert_eq!(early, b"\r\n\r\n\n\0early");
}

/// Bytes that get further than noise does: pieces of heads, in any order.
fn head_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"GET / HTTP/1.1\r\n".to_vec()),
        Just(b"Host: a\r\n".to_vec()),
        Just(b"Upgrade: websocket\r\n".to_vec()),
        Just(b"Connection: Upgrade\r\n".to_vec()),
        Just(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n".to_vec()),
        Just(b"Sec-WebSocket-Version: 13\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        "Sec-WebSocket-(Key|Version|Protocol|Extensions): [ -~\t]{0,20}\r\n".prop_map(String::into_bytes),
        "(Host|Origin|Upgrade|Connection|Content-Length): [ -~\t]{0,20}\r\n".prop_map(String::into_bytes),
        "(GET|POST) (/|http://)?[ -~]{0,20} HTTP/[0-9].[0-9]\r\n".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// The lines that a WebSocket needs, with one value that is anything.
fn almost_valid() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        "Origin",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Upgrade",
        "Connection",
        "Content-Length",
        "X",
    ]);
    let value = prop_oneof![
        "[a-c;=,\" \t\\\\-]{0,40}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    (name, value).prop_map(|(name, value)| {
        let head = "GET /a?b HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
        [head.as_bytes(), name.as_bytes(), b": ", &value, b"\r\n\r\nearly"].concat()
    })
}

proptest! {
    #[test]
    fn a15_any_bytes_cut_anywhere(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), head_like(), almost_valid()],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        for config in configs() {
            prop_assert_eq!(outcome(&config, pieces.clone()), outcome(&config, [&bytes[..]]));
        }
    }

    /// Every accessor of a request that got through, on whatever got through.
    #[test]
    fn a7_no_question_to_a_request_panics(bytes in almost_valid()) {
        let handshake = ServerHandshake::new(&Config::default(), Time::ZERO);
        if let Progress::Request(offer) = handshake.receive(&bytes) {
            let request = offer.request();
            prop_assert_eq!((request.path(), request.query(), request.host()), ("/a", Some("b"), "a"));
            for extension in request.extensions() {
                prop_assert!(!extension.name().is_empty());
                for (name, value) in extension.parameters() {
                    prop_assert!(!name.is_empty() && value.is_none_or(|value| !value.is_empty()));
                }
            }
            prop_assert!(request.protocols().all(|protocol| !protocol.is_empty()));
            let chosen = request.protocols().last().map(str::to_owned);
            let accept = match &chosen {
                Some(protocol) => Accept::default().with_protocol(protocol),
                None => Accept::default(),
            };
            let accepted = offer.accept(accept).expect("it was offered");
            prop_assert_eq!(accepted.request.protocol(), chosen.as_deref());
            prop_assert_eq!(accepted.early, b"early");
        }
    }

    /// A response never has a line that we did not mean, whatever the application hands us.
    #[test]
    fn a_header_that_is_accepted_is_one_line(name in "\\PC{0,10}|[a-zA-Z\r\n:-]{1,5}", value in any::<String>()) {
        if let Ok(accept) = Accept::default().with_header(&name, &value) {
            prop_assert!(!name.contains(['\r', '\n', ':', ' ']) && !value.contains(['\r', '\n', '\0']));
            let Progress::Request(offer) =
                ServerHandshake::new(&Config::default(), Time::ZERO).receive(HEADS[0].as_bytes())
            else {
                panic!("a valid request")
            };
            let response = offer.accept(accept).expect("no protocol").response;
            prop_assert_eq!(response.iter().filter(|&&byte| byte == b'\n').count(), 6);
        }
    }
}
