//! Same bytes, same outcome: however an answer is cut, and whatever its bytes are. And both our sides, one against
//! the other, in memory.

use std::sync::Arc;

use proptest::prelude::*;
use sotong_proto::handshake::{
    Accept, ClientHandshake, ClientProgress, ClientRequest, Progress, Refusal, ResponseError, ServerHandshake,
};
use sotong_proto::{Config, Connection, Event, MessageRef, Outbox, Seed, Side, Time};

/// What became of an answer, in a form that can be compared.
#[derive(Debug, PartialEq)]
enum Outcome {
    Established { protocol: Option<String>, headers: Vec<(String, Vec<u8>)>, early: Vec<u8> },
    Refused { status: u16, reason: String, headers: Vec<(String, Vec<u8>)>, body: Vec<u8>, whole: bool },
    Failed(ResponseError),
}

fn owned<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<(String, Vec<u8>)> {
    headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Feeds pieces until something is known, then the end. What was not fed counts as early, as it would come later.
fn outcome<'a>(config: &Config, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let request =
        ClientRequest::new("a", "/").and_then(|request| request.with_protocol("p")).expect("a request");
    let mut pieces = pieces.into_iter();
    let mut progress =
        ClientProgress::More(ClientHandshake::new(request, *b"the sample nonce", config, Time::ZERO));
    loop {
        progress = match progress {
            ClientProgress::More(more) => match pieces.next() {
                Some(piece) => more.receive(piece),
                None => more.end_of_stream(),
            },
            ClientProgress::Established { request, response, early, .. } => {
                assert_eq!(request.protocol(), response.protocol());
                return Outcome::Established {
                    protocol: response.protocol().map(str::to_owned),
                    headers: owned(response.headers()),
                    early: [early, pieces.collect::<Vec<_>>().concat()].concat(),
                };
            }
            ClientProgress::Refused(refused) => {
                return Outcome::Refused {
                    status: refused.status(),
                    reason: refused.reason().to_owned(),
                    headers: owned(refused.headers()),
                    body: refused.body().to_vec(),
                    whole: refused.body_is_whole(),
                };
            }
            // How much of an unfinished head had come is the same, too.
            ClientProgress::Failed(error) => return Outcome::Failed(error),
        };
    }
}

const YES: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: p\r\nServer: x\r\n\r\n";

fn answers() -> Vec<Vec<u8>> {
    let early = "\r\n\r\n\n\0HTTP/1.1 200 OK\r\n\r\n";
    let mut answers: Vec<Vec<u8>> = [
        "",
        "H",
        "HTTP/1.1 101",
        "HTTP/1.0 101 x\r\n\r\n",
        "HTTP/2.0 101 x\r\n\r\n",
        "HTTPX",
        "\r\n",
        "\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef",
        "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nabcdef",
        "HTTP/1.1 404 Not Found\r\n\r\nto the end\r\n",
        "HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\nmore",
        "HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\nX: y\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n folded\r\n\r\n",
        "HTTP/1.1 101 x\rX\r\n\r\n",
        "HTTP/1.1 101 \0\r\n\r\n",
        "\x16\x03\x01",
    ]
    .iter()
    .map(|answer| answer.as_bytes().to_vec())
    .collect();
    answers.push(format!("{YES}{early}").into_bytes());
    answers.push(
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nA: b\r\n\r\n{YES}{early}").into_bytes(),
    );
    answers.push("HTTP/1.1 103 x\r\n\r\n".repeat(10).into_bytes());
    answers
}

fn configs() -> [Config; 4] {
    let config = Config::default();
    // Limits that bite in the middle of these heads.
    [
        config.clone(),
        config.clone().with_head_bytes_max(3),
        config.clone().with_head_bytes_max(40),
        config.with_headers_max(1),
    ]
}

#[test]
fn b12_every_split_gives_the_same_outcome() {
    for config in configs() {
        for answer in answers() {
            let whole = outcome(&config, [&answer[..]]);
            for first in 0..=answer.len() {
                let (before, after) = answer.split_at(first);
                let cut = outcome(&config, [before, after]);
                assert_eq!(cut, whole, "{} at {first}", answer.escape_ascii());
            }
            let bytewise = outcome(&config, answer.chunks(1));
            assert_eq!(bytewise, whole, "{} in single bytes", answer.escape_ascii());
        }
    }
}

#[test]
fn b12_early_bytes_are_all_that_follow_the_head() {
    let answer = [YES.as_bytes(), b"\r\n\r\n\x81\0"].concat();
    let Outcome::Established { early, protocol, .. } = outcome(&Config::default(), [&answer[..]]) else {
        panic!("a yes");
    };
    assert_eq!((early, protocol.as_deref()), (b"\r\n\r\n\x81\0".to_vec(), Some("p")));
}

/// Bytes that get further than noise does: pieces of answers, in any order.
fn answer_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"HTTP/1.1 101 x\r\n".to_vec()),
        Just(b"Upgrade: websocket\r\n".to_vec()),
        Just(b"Connection: Upgrade\r\n".to_vec()),
        Just(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        "Sec-WebSocket-(Accept|Protocol|Extensions): [ -~\t]{0,20}\r\n".prop_map(String::into_bytes),
        "(Upgrade|Connection|Content-Length|Transfer-Encoding): [ -~\t]{0,20}\r\n"
            .prop_map(String::into_bytes),
        "HTTP/1.[01] [0-9]{3} ?[ -~]{0,10}\r\n".prop_map(String::into_bytes),
        "[0-9a-f]{1,2}\r\n".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A whole answer with any status, with one line that is anything.
fn almost_valid() -> impl Strategy<Value = Vec<u8>> {
    let status = prop::sample::select(vec![100u16, 101, 101, 101, 200, 204, 302, 404, 503]);
    let name = prop::sample::select(vec![
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Upgrade",
        "Connection",
        "Content-Length",
        "Transfer-Encoding",
        "X",
    ]);
    let value = prop_oneof![
        "[a-p0-9;=,\" \t-]{0,20}".prop_map(String::into_bytes),
        Just(b"chunked".to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "([0-9a-f]\r\n[a-z]{0,9}\r\n){0,4}(0\r\n\r\n)?".prop_map(String::into_bytes),
    ];
    (status, name, value, body).prop_map(|(status, name, value, body)| {
        let answer = YES.replace("101", &status.to_string());
        let head = &answer[..answer.len() - 2];
        [head.as_bytes(), name.as_bytes(), b": ", &value, b"\r\n\r\n", &body].concat()
    })
}

proptest! {
    #[test]
    fn any_answer_cut_anywhere(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), answer_like(), almost_valid()],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        for config in configs() {
            let whole = outcome(&config, [&bytes[..]]);
            prop_assert_eq!(&outcome(&config, pieces.clone()), &whole);
            if let Outcome::Failed(error) = &whole {
                let text = error.to_string();
                prop_assert!(text.len() < 700 && text.bytes().all(|byte| byte >= b' ' && byte != 0x7f), "{}", text);
            }
        }
    }

    /// A request never has a line that we did not mean, whatever the application hands us.
    #[test]
    fn a_request_that_is_accepted_has_its_lines_and_no_others(
        host in "[a-z0-9.:\\[\\]\r\n @]{0,10}|[a-z]{1,5}(:[0-9]{1,5})?",
        target in "/?[ -~\r\n]{0,10}|/[a-z?&=]{0,10}",
        protocol in "[a-z\r\n, ]{0,5}",
        name in "\\PC{0,10}|[a-zA-Z\r\n:-]{1,5}",
        value in any::<String>(),
    ) {
        let Ok(mut request) = ClientRequest::new(host, target) else { return Ok(()) };
        let mut lines = 6;
        if let Ok(with) = request.clone().with_protocol(protocol) {
            request = with;
            lines += 1;
        }
        if let Ok(with) = request.clone().with_header(&name, &value) {
            request = with;
            lines += 1;
        }
        let handshake = ClientHandshake::new(request.clone(), [1; 16], &Config::default(), Time::ZERO);
        let head = handshake.request_bytes();
        prop_assert_eq!(head.iter().filter(|&&byte| byte == b'\n').count(), lines + 1);
        // Our server understands it, and keeps what the client says that it asked for.
        let Progress::Request(offer) = ServerHandshake::new(&Config::default(), Time::ZERO).receive(head) else {
            // It does judge what it knows: an Origin that is not ASCII, for example.
            prop_assert!(name.eq_ignore_ascii_case("Origin"), "{}", head.escape_ascii());
            return Ok(());
        };
        prop_assert_eq!(offer.request().target(), request.target());
        prop_assert_eq!(offer.request().host(), request.host());
        prop_assert!(offer.request().protocols().eq(request.protocols()));
        let (kept, asked) = (owned(offer.request().headers()), owned(handshake.request().headers()));
        prop_assert_eq!(kept, asked);
    }
}

/// Plays the handshake between our two sides, in pieces of `piece` bytes.
fn play(request: ClientRequest, accept: Result<Accept, Refusal>, piece: usize) -> ClientProgress {
    let config = Config::default();
    let client = ClientHandshake::new(request, [9; 16], &config, Time::ZERO);
    let mut server = Some(ServerHandshake::new(&config, Time::ZERO));
    let mut answer = Vec::new();
    for bytes in client.request_bytes().chunks(piece) {
        match server.take().expect("nothing comes after the head").receive(bytes) {
            Progress::More(more) => server = Some(more),
            Progress::Request(offer) => {
                answer = match &accept {
                    Ok(accept) => offer.accept(accept.clone()).expect("a protocol that was offered").response,
                    Err(refusal) => offer.refuse(refusal.clone()),
                }
            }
            other => panic!("{other:?}"),
        }
    }
    let mut progress = ClientProgress::More(client);
    for bytes in answer.chunks(piece) {
        let ClientProgress::More(more) = progress else { panic!("known before the end: {progress:?}") };
        progress = more.receive(bytes);
    }
    progress
}

#[test]
fn our_sides_agree() {
    let request = ClientRequest::new("localhost:9001", "/chat?x=1")
        .and_then(|request| request.with_protocol("v2"))
        .and_then(|request| request.with_protocol("v1"))
        .expect("a request")
        .with_header("Authorization", "Basic eA==")
        .expect("a good field");
    let accept =
        Accept::default().with_protocol("v1").with_header("Set-Cookie", "a=b").expect("a good field");
    for piece in [1, 7, 100, 4096] {
        match play(request.clone(), Ok(accept.clone()), piece) {
            ClientProgress::Established { request, response, early, .. } => {
                assert_eq!((request.protocol(), response.protocol()), (Some("v1"), Some("v1")));
                assert_eq!((response.header("set-cookie"), early.len()), (Some("a=b"), 0));
            }
            other => panic!("{other:?}"),
        }
        let refusal = Refusal::forbidden("not you\n").with_header("X-Why", "because").expect("a good field");
        match play(request.clone(), Err(refusal), piece) {
            ClientProgress::Refused(refused) => {
                assert_eq!(
                    (refused.status(), refused.body(), refused.body_is_whole()),
                    (403, &b"not you\n"[..], true)
                );
                assert_eq!(refused.header("X-Why"), Some("because"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn b12_both_sides_speak_in_the_packet_of_their_handshake() {
    let config = Arc::new(Config::default());
    let request = ClientRequest::new("a", "/").expect("a request");
    let client = ClientHandshake::new(request, [9; 16], &config, Time::ZERO);
    let Progress::Request(offer) = ServerHandshake::new(&config, Time::ZERO).receive(client.request_bytes())
    else {
        panic!("a request for a WebSocket");
    };
    let mut server_outbox = Outbox::server(config.clone());
    server_outbox.send(MessageRef::Text("welcome")).expect("there is room");
    let mut packet = offer.accept(Accept::default()).expect("no protocol").response;
    packet.extend(server_outbox.take_bytes());

    let ClientProgress::Established { mut early, .. } = client.receive(&packet) else { panic!("a yes") };
    let mut connection = Connection::new(Side::Client, config.clone(), Time::ZERO);
    let mut outbox = Outbox::client(config, Seed([3; 32]));
    let mut received = connection.receive(&mut early, Time::ZERO);
    assert_eq!(received.next(&mut outbox), Some(Event::Message(MessageRef::Text("welcome"))));
    assert_eq!(received.next(&mut outbox), None);
}
