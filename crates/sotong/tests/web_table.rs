//! What browsers must do, row by row of the table behind the Web Platform Tests, over real servers.

#[path = "support/scripted.rs"]
mod scripted;
mod support;
#[path = "support/web.rs"]
mod web;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use base64::Engine;
use scripted::{Scripted, unmasked};
use sotong::web::{BinaryType, Cookies, Data, Options, ReadyState, WebSocket, on};
use support::{CLOSE, TEXT, pull_echo};
use tokio::io::AsyncWriteExt;
use web::{Ears, Heard, client, open, options, until};

const NOWHERE: &str = "ws://127.0.0.1:1/";

#[tokio::test]
async fn table_constructor_takes_strings_and_lists_and_starts_with_nothing() {
    let server = Scripted::start().await;
    let url = url::Url::parse(&server.url()).expect("a URL");
    let sockets = [
        options().open(&url),
        options().open(url.as_str()),
        options().open_with_protocols(&url, "chat"),
        options().open_with_protocols(&url, String::from("chat")),
        options().open_with_protocols(&url, vec![String::from("chat"), String::from("news")]),
        options().open_with_protocols(&url, &["chat", "news"][..]),
        options().open_with_protocols(&url, Vec::<String>::new()),
    ];
    for socket in sockets {
        let socket = socket.expect("a URL");
        assert_eq!(socket.ready_state(), ReadyState::Connecting);
        assert_eq!((&*socket.protocol(), &*socket.extensions(), socket.buffered_amount()), ("", "", 0));
        assert_eq!(socket.binary_type().as_str(), "blob");
        assert_eq!(socket.url(), url.as_str());
    }
}

#[tokio::test]
async fn table_url_is_shown_as_the_url_standard_writes_it() {
    let page = options().with_base("https://127.0.0.1:1/app/index.html").expect("a base");
    for (url, shown) in [
        ("chat", "wss://127.0.0.1:1/app/chat"),
        ("/chat?a b", "wss://127.0.0.1:1/chat?a%20b"),
        ("http://127.0.0.1:1/x", "ws://127.0.0.1:1/x"),
        ("https://127.0.0.1:1/x", "wss://127.0.0.1:1/x"),
        ("ws://127.0.0.1:1/?\0a", "ws://127.0.0.1:1/?%00a"),
        ("WS://LOCALHOST:1/UP", "ws://localhost:1/UP"),
        ("ws://127.0.0.1:1", "ws://127.0.0.1:1/"),
    ] {
        assert_eq!(page.open(url).expect(url).url(), shown);
    }
    for url in ["ftp://h/", "ws://h/#", "ws://h/#a", "/chat", "ws://"] {
        assert_eq!(WebSocket::new(url).expect_err(url).name(), "SyntaxError");
    }
}

#[tokio::test]
async fn table_url_reaches_the_server_as_it_is_shown() {
    let server = Scripted::start().await;
    for (path, target) in [("?\0a", "/?%00a"), ("a b?c d", "/a%20b?c%20d"), ("소통", "/%EC%86%8C%ED%86%B5")]
    {
        let socket = open(format!("{}{path}", server.url()));
        let mut ears = Ears::of(&socket);
        let asked = server.request().await;
        assert_eq!(asked.request_line(), format!("GET {target} HTTP/1.1"));
        let _served = asked.open("").await;
        ears.open().await;
    }
}

#[tokio::test]
async fn table_bad_ports_are_an_error_and_a_close_later() {
    for port in [0, 1, 22, 25, 80, 443, 587, 6000, 6667, 10_080] {
        let socket = WebSocket::new(format!("ws://127.0.0.1:{port}/")).expect("it does not throw");
        assert_eq!(socket.ready_state(), ReadyState::Connecting);
        // Whether anybody listens on 80 and 443 here is not our business.
        if port != 80 && port != 443 {
            let mut ears = Ears::of(&socket);
            assert!(ears.failure().await.starts_with(&format!("port {port} is another protocol's")));
        }
    }
}

#[tokio::test]
async fn table_protocols_what_is_no_token_or_is_twice_is_a_syntax_error() {
    for protocol in ["", " ", "a b", "a,b", "(", ")", "<", "@", "\u{1}", "\x7f", "é", "소통"] {
        let both = [
            WebSocket::with_protocols(NOWHERE, protocol),
            WebSocket::with_protocols(NOWHERE, ["a", protocol]),
        ];
        for socket in both {
            assert_eq!(socket.expect_err(protocol).name(), "SyntaxError");
        }
    }
    assert_eq!(WebSocket::with_protocols(NOWHERE, ["a", "a"]).expect_err("twice").name(), "SyntaxError");
}

#[tokio::test]
async fn table_protocols_none_asked_none_picked_opens_with_an_empty_one() {
    let server = Scripted::start().await;
    let socket = open(server.url());
    let mut ears = Ears::of(&socket);
    let asked = server.request().await;
    assert!(asked.fields("Sec-WebSocket-Protocol").is_empty());
    let _served = asked.open("").await;
    ears.open().await;
    assert_eq!(socket.protocol(), "");
}

#[tokio::test]
async fn table_protocols_asked_and_none_picked_fails() {
    let server = Scripted::start().await;
    let socket = options().open_with_protocols(server.url(), ["a", "b"]).expect("tokens");
    let mut ears = Ears::of(&socket);
    let mut served = server.request().await.open("").await;
    ears.failure().await;
    assert_eq!(served.expect_close().await.0, 1002);
}

#[tokio::test]
async fn table_failed_handshakes_are_an_error_then_a_close() {
    let server = Scripted::start().await;
    let good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    let (mut answers, mut causes) = (Vec::new(), HashSet::new());
    answers.push("Sec-WebSocket-Protocol: not-asked-for\r\n".to_owned());
    for whole in [
        format!("{good}Sec-WebSocket-Accept: wrong\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned(),
        format!("HTTP/1.1 301 Moved Permanently\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", server.url()),
        "\x00\x01\x02 garbage\r\n\r\n".to_owned(),
        String::new(),
    ] {
        answers.push(whole);
    }
    for answer in answers {
        let socket = open(server.url());
        let mut ears = Ears::of(&socket);
        let asked = server.request().await;
        let served = match answer.starts_with("Sec-") {
            true => asked.open(&answer).await,
            false => asked.say(&answer).await,
        };
        if answer.is_empty() {
            drop(served);
        }
        assert!(causes.insert(ears.failure().await), "each has a cause of its own");
        assert_eq!(socket.ready_state(), ReadyState::Closed);
    }
}

#[tokio::test]
async fn table_handshake_has_the_origin_and_a_fresh_key() {
    let server = Scripted::start().await;
    let page = options().with_origin("HTTP://Example.com:80/app").expect("a URL");
    let mut keys = HashSet::new();
    for _ in 0..3 {
        let socket = page.open(server.url()).expect("a URL");
        let asked = server.request().await;
        assert_eq!(asked.fields("Origin"), ["http://example.com"]);
        let key = asked.fields("Sec-WebSocket-Key")[0].to_owned();
        assert_eq!(base64::engine::general_purpose::STANDARD.decode(&key).expect("base64").len(), 16);
        assert!(keys.insert(key));
        drop(socket);
    }
    let null = options().with_origin("null").expect("an origin").open(server.url()).expect("a URL");
    assert_eq!(server.request().await.fields("Origin"), ["null"]);
    drop(null);
    // Instead of one of the client's own.
    let with_one = client().with_header("origin", "https://other.example").expect("a header");
    let both = options().with_client(with_one).with_origin("https://example.com").expect("a URL");
    let socket = both.open(server.url()).expect("a URL");
    assert_eq!(server.request().await.fields("Origin"), ["https://example.com"]);
    drop(socket);
}

/// Keeps one value for all.
#[derive(Clone, Default)]
struct Jar(Arc<Mutex<Vec<(String, String)>>>);

impl Cookies for Jar {
    fn header(&self, _url: &str) -> Option<String> {
        let jar = self.0.lock().expect("no panic");
        let pairs: Vec<&str> = jar.iter().map(|(_, cookie)| cookie.split(';').next().unwrap_or("")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn store(&self, url: &str, set_cookie: &str) {
        self.0.lock().expect("no panic").push((url.to_owned(), set_cookie.to_owned()));
    }
}

#[tokio::test]
async fn table_handshake_sends_and_stores_cookies() {
    let (server, jar) = (Scripted::start().await, Jar::default());
    let page = options().with_cookies(jar.clone());
    let first = page.open(server.url()).expect("a URL");
    let mut ears = Ears::of(&first);
    let asked = server.request().await;
    assert!(asked.fields("Cookie").is_empty());
    let _served = asked.open("Set-Cookie: a=1; HttpOnly\r\nSet-Cookie: b=2\r\n").await;
    ears.open().await;
    assert_eq!(jar.0.lock().expect("no panic")[0], (server.url(), "a=1; HttpOnly".to_owned()));
    // Those of a refusal are kept, too.
    let second = page.open(server.url()).expect("a URL");
    let mut ears = Ears::of(&second);
    let asked = server.request().await;
    assert_eq!(asked.fields("Cookie"), ["a=1; b=2"]);
    let _served = asked.say("HTTP/1.1 403 Forbidden\r\nSet-Cookie: c=3\r\nContent-Length: 0\r\n\r\n").await;
    ears.failure().await;
    assert_eq!(jar.header(""), Some("a=1; b=2; c=3".to_owned()));
}

#[tokio::test]
async fn table_handshake_sends_userinfo_as_basic_auth() {
    let server = Scripted::start().await;
    let url = server.url().replace("ws://", "ws://foo:b%61r@");
    let socket = open(&url);
    let mut ears = Ears::of(&socket);
    let asked = server.request().await;
    assert_eq!(asked.fields("Authorization"), ["Basic Zm9vOmJhcg=="]);
    let _served = asked.open("").await;
    ears.open().await;
    assert_eq!(socket.url(), url);
}

#[tokio::test]
async fn table_handshake_to_one_host_waits_for_the_one_before() {
    // An address of its own: the clients of other tests do not wait, and are not waited for.
    let server = Scripted::start_at("127.0.0.71:0").await;
    let page = Options::new();
    let (first, second) = (page.open(server.url()).expect("a URL"), page.open(server.url()).expect("a URL"));
    let (mut ears, mut others) = (Ears::of(&first), Ears::of(&second));
    let asked = server.request().await;
    tokio::select! {
        biased;
        _ = server.accept() => panic!("the second one has to wait"),
        () = async { for _ in 0..1000 { tokio::task::yield_now().await } } => {}
    }
    let _served = asked.open("").await;
    let _other = server.open().await;
    ears.open().await;
    others.open().await;
}

#[tokio::test]
async fn table_handshake_head_and_close_in_one_packet() {
    let server = Scripted::start().await;
    let mut ears = Ears::of(&open(server.url()));
    let asked = server.request().await;
    let mut packet = asked.answer("").into_bytes();
    packet.extend(unmasked(CLOSE, true, &1001u16.to_be_bytes()));
    let mut served = asked.say(packet).await;
    ears.open().await;
    assert_eq!(served.expect_close().await.0, 1001);
    drop(served);
    assert_eq!(ears.close().await, (true, 1001, String::new()));
}

async fn opened() -> (WebSocket, Ears, scripted::Served) {
    let server = Scripted::start().await;
    let socket = open(server.url());
    let mut ears = Ears::of(&socket);
    let served = server.open().await;
    ears.open().await;
    (socket, ears, served)
}

#[tokio::test]
async fn table_close_code_and_reason() {
    // No code: an empty frame, and 1005 if the answer is one.
    let (socket, mut ears, mut served) = opened().await;
    socket.close();
    assert_eq!(served.next().await.expect("a frame").payload, b"");
    served.send(CLOSE, &[]).await;
    drop(served);
    assert_eq!(ears.close().await, (true, 1005, String::new()));
    // The bounds of what is allowed, and one past them.
    let (socket, _ears, mut served) = opened().await;
    for code in [999, 1001, 2999, 5000] {
        assert_eq!(socket.close_with(code, "").expect_err("not allowed").name(), "InvalidAccessError");
    }
    assert_eq!(socket.close_with(1000, &"x".repeat(124)).expect_err("too long").name(), "SyntaxError");
    assert_eq!(socket.ready_state(), ReadyState::Open, "it stays open");
    socket.send("still").expect("it is open");
    served.expect(TEXT, b"still").await;
    socket.close_with(4999, &String::from_utf16_lossy(&[0xd83d, b'x'.into()])).expect("allowed");
    assert_eq!(served.expect_close().await, (4999, "\u{fffd}x".to_owned()));
}

#[tokio::test]
async fn table_close_by_state() {
    // CONNECTING: CLOSING at once, the events later.
    let server = Scripted::start().await;
    let socket = open(server.url());
    let mut ears = Ears::of(&socket);
    socket.close();
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    assert!(!ears.has_more());
    ears.failure().await;
    // Several calls: one event, when the server has answered.
    let (socket, mut ears, mut served) = opened().await;
    (0..3).for_each(|_| socket.close());
    assert_eq!(served.expect_close().await.0, 1005);
    assert!(!ears.has_more());
    served.send(CLOSE, &[&3999u16.to_be_bytes()[..], b"mine"].concat()).await;
    served.stream.shutdown().await.expect("it is open");
    served.expect_end().await;
    assert_eq!(ears.close().await, (true, 3999, "mine".to_owned()), "the server's code and reason");
    // No answer: unclean.
    let (socket, mut ears, served) = opened().await;
    socket.close();
    drop(served);
    ears.failure().await;
}

#[tokio::test]
async fn table_send() {
    let connecting = open(Scripted::start().await.url());
    assert_eq!(connecting.send("").expect_err("connecting").name(), "InvalidStateError");
    let (socket, _ears, mut served) = opened().await;
    socket.send("").expect("it is open");
    let bytes = [0, 1, 2, 3, 4, 5];
    socket.send(&bytes[2..4]).expect("a view with offset and length");
    socket.send(Vec::new()).expect("it is open");
    served.expect(TEXT, b"").await;
    served.expect(support::BINARY, &[2, 3]).await;
    served.expect(support::BINARY, b"").await;
    socket.close();
    socket.send("after").expect("it does not throw");
    assert_eq!(socket.buffered_amount(), 5);
}

#[tokio::test]
async fn table_buffered_amount_falls_only_after_a_turn() {
    let server = pull_echo(Default::default()).await;
    let socket = open(format!("ws://{}/", server.address));
    let mut ears = Ears::of(&socket);
    ears.open().await;
    let amounts = Arc::new(Mutex::new(Vec::new()));
    let theirs = amounts.clone();
    socket.add_event_listener(on::MESSAGE, move |event| {
        let socket = event.target();
        let mut amounts = theirs.lock().expect("no panic");
        amounts.push(socket.buffered_amount());
        if event.data().as_text() == Some("go") {
            for text in ["𐐇", "é", "x"] {
                socket.send(text).expect("it is open");
                amounts.push(socket.buffered_amount());
            }
        }
    });
    socket.send("go").expect("it is open");
    assert_eq!(socket.buffered_amount(), 2);
    for text in ["go", "𐐇", "é", "x"] {
        ears.text(text).await;
    }
    until(|| socket.buffered_amount() == 0).await;
    assert_eq!(amounts.lock().expect("no panic")[..4], [0, 4, 6, 7]);
    server.stop().await;
}

#[tokio::test]
async fn table_binary_type_ignores_an_unknown_value() {
    let (socket, mut ears, mut served) = opened().await;
    for value in ["", "Blob", "ArrayBuffer", "nodebuffer"] {
        if let Ok(known) = value.parse::<BinaryType>() {
            socket.set_binary_type(known);
        }
        assert_eq!(socket.binary_type(), BinaryType::Blob);
    }
    served.send(support::BINARY, b"bytes").await;
    let Heard::Message(_, data, _) = ears.next().await else { panic!("a message") };
    assert_eq!(data, Data::Blob(b"bytes"[..].into()));
}

#[tokio::test]
async fn table_events_come_in_order_and_messages_have_the_origin_of_the_url() {
    let server = Scripted::start().await;
    let socket = open(format!("http://user@{}/a/b?c", server.address));
    let heard = Ears::of(&socket);
    let mut served = server.open().await;
    served.send(TEXT, b"hello").await;
    served.raw(unmasked(TEXT, true, b"\xff")).await; // not UTF-8
    assert_eq!(served.expect_close().await.0, 1007);
    drop(served);
    let rest = { heard }.rest().await;
    let origin = format!("ws://{}", server.address);
    assert_eq!(rest[0], Heard::Open(ReadyState::Open));
    assert_eq!(rest[1], Heard::Message(ReadyState::Open, Data::Text("hello".into()), origin));
    assert!(rest[2].cause().contains("UTF-8"), "{rest:?}");
    assert_eq!(rest[3].closed(), (false, 1006, ""));
    assert_eq!(rest.len(), 4);
}

#[tokio::test]
async fn table_constants() {
    assert_eq!(
        [WebSocket::CONNECTING, WebSocket::OPEN, WebSocket::CLOSING, WebSocket::CLOSED],
        [ReadyState::Connecting, ReadyState::Open, ReadyState::Closing, ReadyState::Closed]
            .map(|state| state as u16)
    );
    assert_eq!((WebSocket::CONNECTING, WebSocket::CLOSED), (0, 3));
}
