//! The checklist of the WHATWG WebSockets Standard, line by line, over real servers.

#[path = "support/scripted.rs"]
mod scripted;
mod support;
#[path = "support/web.rs"]
mod web;

use std::sync::{Arc, Mutex};

use scripted::Scripted;
use sotong::web::{BinaryType, Data, Error, Options, ReadyState, SyntaxError, WebSocket, on};
use sotong::{Client, CloseCode};
use support::{BINARY, CLOSE, PING, PONG, TEXT, pull, pull_echo, soon};
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot};
use web::{Ears, Heard, client, open, options, until};

/// A server that nobody asks anything.
const NOWHERE: &str = "ws://127.0.0.1:1/";

/// An open socket, what it hears, and the server's end of it.
async fn opened() -> (WebSocket, Ears, scripted::Served) {
    let server = Scripted::start().await;
    let socket = open(server.url());
    let mut ears = Ears::of(&socket);
    let served = server.open().await;
    ears.open().await;
    (socket, ears, served)
}

#[tokio::test]
async fn g1_the_url_is_parsed_at_once_and_a_failure_throws() {
    let server = pull_echo(Default::default()).await;
    for url in ["", "/chat", "ws://", "ws://h:65536/", "ws://a b/", "ws://[::1/"] {
        let error = WebSocket::new(url).expect_err(url);
        assert!(matches!(error, Error::SyntaxError(SyntaxError::Url { .. })), "{url}: {error:?}");
        assert_eq!(error.name(), "SyntaxError");
    }
    let page = options().with_base(format!("http://{}/app/", server.address)).expect("a base");
    let socket = page.open("chat?room=1").expect("it is relative to the base");
    assert_eq!(socket.url(), format!("ws://{}/app/chat?room=1", server.address));
    Ears::of(&socket).open().await;
    assert!(matches!(options().with_base("/app/"), Err(Error::SyntaxError(_))));
    server.stop().await;
}

#[tokio::test]
async fn g2_http_and_https_stand_for_ws_and_wss() {
    for (url, shown) in [
        ("http://127.0.0.1:1/a", "ws://127.0.0.1:1/a"),
        ("https://127.0.0.1:1/a", "wss://127.0.0.1:1/a"),
        ("HTTP://127.0.0.1:1", "ws://127.0.0.1:1/"),
        ("ws://127.0.0.1:1", "ws://127.0.0.1:1/"),
    ] {
        assert_eq!(WebSocket::new(url).expect(url).url(), shown);
    }
    for url in ["ftp://h/", "mailto:a@b", "javascript:1", "blob:ws://h/", "file:///a"] {
        let error = WebSocket::new(url).expect_err(url);
        assert!(matches!(error, Error::SyntaxError(SyntaxError::Scheme { .. })), "{url}: {error:?}");
    }
    let server = Scripted::start().await;
    let socket = open(format!("http://{}/", server.address));
    let mut ears = Ears::of(&socket);
    server.open().await;
    ears.open().await;
}

#[tokio::test]
async fn g3_a_fragment_is_a_syntax_error_even_an_empty_one() {
    for url in ["ws://h/#", "ws://h/#top", "ws://h/?a#", "http://h/#a"] {
        let error = WebSocket::new(url).expect_err(url);
        assert!(matches!(error, Error::SyntaxError(SyntaxError::Fragment)), "{url}: {error:?}");
    }
    assert_eq!(WebSocket::new("ws://127.0.0.1:1/%23").expect("no fragment").url(), "ws://127.0.0.1:1/%23");
}

#[tokio::test]
async fn g4_protocols_are_tokens_and_unique() {
    for protocol in ["", " ", "a b", "a,b", "a/b", "a\0b", "a\x7fb", "소통", "\"a\"", "(a)", "a=b", "{}"] {
        let error = WebSocket::with_protocols(NOWHERE, protocol).expect_err(protocol);
        let Error::SyntaxError(SyntaxError::Protocol { index: 0, character }) = error else {
            panic!("{error:?}")
        };
        assert!(character.map_or(protocol.is_empty(), |character| protocol.contains(character)));
    }
    // Tokens travel there, in both senses.
    let error = WebSocket::with_protocols(NOWHERE, ["chat", "Bearer s3cr3t"]).expect_err("a space");
    assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
    assert!(error.to_string().contains("sub-protocol 2 is not a token: it has ' '"), "{error}");
    let twice = WebSocket::with_protocols(NOWHERE, ["a", "b", "a"]);
    assert!(matches!(twice, Err(Error::SyntaxError(SyntaxError::ProtocolTwice { .. }))), "{twice:?}");
    // A string is a list of one; the standard's comparison is letter by letter.
    let server = Scripted::start().await;
    for (protocols, sent) in [(vec!["chat"], "chat"), (vec!["chat", "Chat"], "chat, Chat")] {
        let socket = match protocols[..] {
            [one] => options().open_with_protocols(server.url(), one),
            _ => options().open_with_protocols(server.url(), protocols),
        };
        let mut ears = Ears::of(&socket.expect("tokens"));
        let asked = server.request().await;
        assert_eq!(asked.fields("Sec-WebSocket-Protocol"), [sent]);
        let _served = asked.open("Sec-WebSocket-Protocol: chat\r\n").await;
        ears.open().await;
    }
}

#[tokio::test]
async fn g5_the_constructor_never_waits_and_network_errors_are_events() {
    // Nobody answers there yet.
    let server = Scripted::start().await;
    let socket = open(server.url());
    assert_eq!(socket.ready_state(), ReadyState::Connecting);
    // Nobody listens there.
    let gone = Scripted::start().await.url();
    let mut ears = Ears::of(&open(gone));
    assert!(ears.failure().await.starts_with("no TCP connection to 127.0.0.1:"));
    let mut ears = Ears::of(&open("ws://nowhere.invalid/"));
    assert!(ears.failure().await.contains("nowhere.invalid"));
}

#[test]
fn g5_without_a_runtime_there_is_an_error_and_no_panic() {
    let error = WebSocket::new(NOWHERE).expect_err("there is no runtime");
    assert!(matches!(error, Error::NoRuntime), "{error:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let page = options().with_runtime(runtime.handle().clone());
    let socket = page.open(NOWHERE).expect("the runtime is given");
    let mut ears = Ears::of(&socket);
    assert!(runtime.block_on(ears.failure()).contains("port 1 "));
}

#[tokio::test]
async fn g6_the_request_is_a_browsers() {
    let server = Scripted::start().await;
    // A client that follows redirects elsewhere does not here.
    let following = Client::new().with_config(Options::default_config()).with_redirects_max(3);
    let page = Options::new().with_client(following).with_origin("https://example.com/app?x").expect("a URL");
    let socket = page.open_with_protocols(server.url(), ["chat.v2", "chat.v1"]).expect("tokens");
    let mut ears = Ears::of(&socket);
    let asked = server.request().await;
    let names: Vec<&str> =
        asked.head.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "Host",
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions",
            "Origin"
        ]
    );
    assert_eq!(asked.fields("Sec-WebSocket-Extensions"), ["permessage-deflate; client_max_window_bits"]);
    assert_eq!(asked.fields("Sec-WebSocket-Version"), ["13"]);
    assert_eq!(asked.fields("Origin"), ["https://example.com"]);
    // Redirect mode "error".
    let elsewhere = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", server.url());
    let _served = asked.say(elsewhere).await;
    assert!(ears.failure().await.contains("redirects are not followed"));
}

#[tokio::test]
async fn g7_protocols_asked_for_and_none_chosen_fails() {
    let server = Scripted::start().await;
    for headers in ["", "Sec-WebSocket-Protocol:\r\n", "Sec-WebSocket-Protocol: other\r\n"] {
        let socket = options().open_with_protocols(server.url(), "chat").expect("a token");
        let mut ears = Ears::of(&socket);
        let _served = server.request().await.open(headers).await;
        let cause = ears.failure().await;
        assert!(cause.to_lowercase().contains("protocol"), "{cause}");
        assert_eq!(socket.protocol(), "");
    }
}

#[tokio::test]
async fn g8_the_states_have_their_numbers_and_what_is_agreed_shows_when_it_is_open() {
    let states = [WebSocket::CONNECTING, WebSocket::OPEN, WebSocket::CLOSING, WebSocket::CLOSED];
    assert_eq!(states, [0, 1, 2, 3]);
    let server = Scripted::start().await;
    let page = Options::new()
        .with_client(Client::new().with_simultaneous_connects().with_config(Options::default_config()));
    let socket = page.open_with_protocols(server.url(), ["a", "b"]).expect("tokens");
    let mut ears = Ears::of(&socket);
    let asked = server.request().await;
    assert_eq!(socket.ready_state() as u16, 0);
    assert_eq!((socket.protocol(), socket.extensions()), (String::new(), String::new()));
    let answer = "Sec-WebSocket-Protocol: b\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10\r\n";
    let served = asked.open(answer).await;
    ears.open().await;
    assert_eq!(socket.ready_state() as u16, 1);
    assert_eq!(socket.protocol(), "b");
    assert_eq!(socket.extensions(), "permessage-deflate; client_max_window_bits=10");
    socket.close();
    assert_eq!(socket.ready_state() as u16, 2);
    drop(served);
    ears.failure().await;
    assert_eq!(socket.ready_state() as u16, 3);
    assert_eq!(socket.protocol(), "b");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_whoever_listens_late_misses_nothing() {
    let said = Arc::new(tokio::sync::Notify::new());
    let theirs = said.clone();
    let server = pull(Default::default(), move |mut socket: sotong::WebSocket| {
        let said = theirs.clone();
        async move {
            socket.send("first").await?;
            socket.flushed().await?;
            said.notify_one();
            while socket.recv().await?.is_some() {}
            Ok(())
        }
    })
    .await;
    let socket = open(format!("ws://{}/", server.address));
    // The server has said it before anybody listens.
    soon(said.notified()).await;
    assert_eq!(socket.ready_state(), ReadyState::Connecting, "its event is held");
    // From the first listener on events are told, and may be before this thread comes to the next line.
    let mut ears = Ears::of(&socket);
    ears.open().await;
    assert_eq!(socket.ready_state(), ReadyState::Open);
    ears.text("first").await;
    server.stop().await;
}

#[tokio::test]
async fn g10_a_message_is_told_as_the_binary_type_is_then_and_only_while_open() {
    let (socket, mut ears, mut served) = opened().await;
    socket.add_event_listener(on::MESSAGE, |event| match event.data().as_bytes() {
        b"switch" => event.target().set_binary_type(BinaryType::ArrayBuffer),
        b"close" => event.target().close(),
        _ => {}
    });
    // All in one write: each is told after what the one before has changed.
    let frames = [
        scripted::unmasked(BINARY, true, b"one"),
        scripted::unmasked(TEXT, true, b"switch"),
        scripted::unmasked(BINARY, true, b"two"),
        scripted::unmasked(TEXT, true, b"close"),
        scripted::unmasked(TEXT, true, b"too late"),
    ];
    served.raw(frames.concat()).await;
    let origin = socket.url().trim_end_matches('/').to_owned();
    let message = |data| Heard::Message(ReadyState::Open, data, origin.clone());
    assert_eq!(ears.next().await, message(Data::Blob(b"one"[..].into())));
    assert_eq!(ears.next().await, message(Data::Text("switch".into())));
    assert_eq!(ears.next().await, message(Data::ArrayBuffer(b"two"[..].into())));
    assert_eq!(ears.next().await, message(Data::Text("close".into())));
    assert_eq!(served.expect_close().await, (1005, String::new()));
    served.send(TEXT, b"much too late").await;
    served.send(CLOSE, &[]).await;
    drop(served);
    assert_eq!(ears.close().await, (true, 1005, String::new()));
}

#[tokio::test]
async fn g11_the_binary_type_is_blob_until_it_is_set() {
    let socket = open(NOWHERE);
    assert_eq!(socket.binary_type(), BinaryType::Blob);
    socket.set_binary_type(BinaryType::ArrayBuffer);
    assert_eq!(socket.binary_type().as_str(), "arraybuffer");
    // In browsers an unknown value is ignored; here there is none that could be set.
    assert!("notBlobOrArrayBuffer".parse::<BinaryType>().is_err());
    assert_eq!(socket.binary_type(), BinaryType::ArrayBuffer);
}

#[tokio::test]
async fn g12_send_while_connecting_is_an_invalid_state_error() {
    let server = Scripted::start().await;
    let socket = open(server.url());
    let error = socket.send("too early").expect_err("it is connecting");
    assert!(matches!(error, Error::InvalidStateError { .. }), "{error:?}");
    assert_eq!(error.name(), "InvalidStateError");
    assert_eq!(socket.buffered_amount(), 0, "what throws does not count");
}

#[tokio::test]
async fn g12_send_when_closing_or_closed_only_counts() {
    let (socket, mut ears, mut served) = opened().await;
    socket.close();
    socket.send("소통").expect("it does not throw");
    socket.send(vec![1, 2, 3]).expect("it does not throw");
    assert_eq!(socket.buffered_amount(), 9);
    assert_eq!(served.expect_close().await.0, 1005);
    served.send(CLOSE, &[]).await;
    served.stream.shutdown().await.expect("it is open");
    served.expect_end().await;
    ears.close().await;
    socket.send("x").expect("it does not throw");
    assert_eq!((socket.ready_state(), socket.buffered_amount()), (ReadyState::Closed, 10));
}

#[tokio::test]
async fn g13_the_buffered_amount_is_payload_that_is_not_with_the_network() {
    let (socket, _ears, mut served) = opened().await;
    // Within one turn it does not fall, and frames do not count.
    for expected in 1..=1000 {
        socket.send("소").expect("it is open");
        assert_eq!(socket.buffered_amount(), expected * 3);
    }
    for _ in 0..1000 {
        served.expect(TEXT, "소".as_bytes()).await;
    }
    until(|| socket.buffered_amount() == 0).await;
    // More than the kernel takes.
    socket.send(vec![7; 32 << 20]).expect("it is open");
    assert_eq!(socket.buffered_amount(), 32 << 20);
    tokio::task::yield_now().await;
    assert_eq!(socket.buffered_amount(), 32 << 20, "the server does not read");
    assert_eq!(served.next().await.expect("a frame").payload.len(), 32 << 20);
    until(|| socket.buffered_amount() == 0).await;
    // What is lost with the connection counts for ever.
    socket.send(vec![7; 32 << 20]).expect("it is open");
    drop(served);
    until(|| socket.ready_state() == ReadyState::Closed).await;
    assert_eq!(socket.buffered_amount(), 32 << 20);
}

#[tokio::test]
async fn g14_one_byte_more_than_may_wait_drops_the_connection() {
    const MAX: usize = 16 << 20;
    // 14 bytes of header before each of the two.
    for (second, is_full) in [(MAX / 2 - 14, false), (MAX / 2 - 13, true)] {
        let server = Scripted::start().await;
        let config = Options::default_config().with_compression(None).with_outbox_bytes_max(MAX);
        let page = Options::new().with_client(client().with_config(config));
        let socket = page.open(server.url()).expect("a URL");
        let mut ears = Ears::of(&socket);
        let served = server.open().await;
        ears.open().await;
        socket.send(vec![1; MAX / 2 - 14]).expect("it is open");
        socket.send(vec![2; second]).expect("it does not throw");
        assert_eq!(socket.buffered_amount(), MAX / 2 - 14 + second, "it counts in any case");
        if is_full {
            assert_eq!(socket.ready_state(), ReadyState::Closing);
            assert!(ears.failure().await.contains("outbox_bytes_max"));
            // Dropped, not closed.
            let mut served = served;
            while let Some(frame) = served.next().await {
                assert_ne!(frame.opcode, CLOSE);
            }
        } else {
            let mut served = served;
            for length in [MAX / 2 - 14, second] {
                assert_eq!(served.next().await.expect("a frame").payload.len(), length);
            }
            assert_eq!(socket.ready_state(), ReadyState::Open);
        }
    }
}

#[tokio::test]
async fn g15_close_checks_the_code_and_the_reason_before_the_state() {
    let (open_socket, _ears, _served) = opened().await;
    let connecting = open(Scripted::start().await.url());
    let closing = open(Scripted::start().await.url());
    closing.close();
    for socket in [&open_socket, &connecting, &closing] {
        let before = socket.ready_state();
        for code in [0, 1, 999, 1001, 1005, 1006, 1015, 2000, 2999, 5000, u16::MAX] {
            let error = socket.close_with(code, "").expect_err("not an application's");
            assert!(matches!(error, Error::InvalidAccessError { code: named } if named == code), "{error:?}");
            assert_eq!(error.name(), "InvalidAccessError");
        }
        for (reason, bytes) in [("x".repeat(124), 124), ("소".repeat(42), 126)] {
            let error = socket.close_with(1000, &reason).expect_err("too long");
            assert!(
                matches!(error, Error::SyntaxError(SyntaxError::Reason { bytes: named }) if named == bytes),
                "{error:?}"
            );
        }
        // The code is looked at first.
        let error = socket.close_with(1001, &"x".repeat(124)).expect_err("both are wrong");
        assert_eq!(error.name(), "InvalidAccessError");
        assert_eq!(socket.ready_state(), before, "nothing has changed");
    }
}

#[tokio::test]
async fn g15_what_is_allowed_arrives() {
    for (code, reason) in [(1000, ""), (3000, "x"), (4999, &*"소".repeat(41))] {
        let (socket, _ears, mut served) = opened().await;
        socket.close_with(code, reason).expect("allowed");
        assert_eq!(served.expect_close().await, (code, reason.to_owned()));
    }
    let (socket, _ears, mut served) = opened().await;
    socket.close_with(1000, &"x".repeat(123)).expect("123 bytes are allowed");
    assert_eq!(served.expect_close().await.1.len(), 123);
    // WebIDL makes U+FFFD of a lone surrogate; text here is made so where it is made of UTF-16.
    let (socket, _ears, mut served) = opened().await;
    socket.close_with(1000, &String::from_utf16_lossy(&[0xd807])).expect("allowed");
    assert_eq!(served.expect_close().await, (1000, "\u{fffd}".to_owned()));
}

#[tokio::test]
async fn g16_close_while_connecting_fails_the_connection() {
    let server = Scripted::start().await;
    let socket = open(server.url());
    let mut ears = Ears::of(&socket);
    let mut asked = server.request().await;
    socket.close_with(3000, "never mind").expect("allowed");
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    assert!(!ears.has_more(), "events are told later");
    assert_eq!(ears.failure().await, "it was closed before the connection was there");
    // The attempt is given up.
    let mut rest = Vec::new();
    drop(soon(tokio::io::AsyncReadExt::read_to_end(&mut asked.stream, &mut rest)).await);
    assert!(rest.is_empty());
}

#[tokio::test]
async fn g17_close_goes_out_after_what_was_sent() {
    let (socket, mut ears, mut served) = opened().await;
    for text in ["one", "two", "three"] {
        socket.send(text).expect("it is open");
    }
    socket.close();
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    for text in ["one", "two", "three"] {
        served.expect(TEXT, text.as_bytes()).await;
    }
    let close = served.next().await.expect("a frame");
    assert_eq!((close.opcode, close.payload), (CLOSE, Vec::new()), "no code, no body");
    served.send(CLOSE, &[]).await;
    drop(served);
    assert_eq!(ears.close().await, (true, 1005, String::new()));
}

#[tokio::test]
async fn g18_close_when_closing_or_closed_does_nothing() {
    let (socket, mut ears, mut served) = opened().await;
    socket.close_with(3001, "first").expect("allowed");
    socket.close_with(3002, "second").expect("allowed");
    socket.close();
    assert_eq!(served.expect_close().await, (3001, "first".to_owned()));
    served.send(CLOSE, &3003u16.to_be_bytes()).await;
    served.stream.shutdown().await.expect("it is open");
    served.expect_end().await;
    assert_eq!(ears.close().await, (true, 3003, String::new()));
    socket.close();
    socket.close_with(1000, "").expect("allowed");
    assert_eq!(socket.ready_state(), ReadyState::Closed);
}

#[tokio::test]
async fn g19_a_close_of_the_server_is_answered_and_its_code_is_told_when_tcp_is_closed() {
    let (socket, mut ears, mut served) = opened().await;
    served.send(TEXT, b"before").await;
    served.send(CLOSE, &[&4001u16.to_be_bytes()[..], "안녕".as_bytes()].concat()).await;
    ears.text("before").await;
    assert_eq!(served.expect_close().await.0, 4001);
    until(|| socket.ready_state() != ReadyState::Open).await;
    assert_eq!(socket.ready_state(), ReadyState::Closing, "the server has not hung up");
    assert!(!ears.has_more());
    socket.send("too late").expect("it does not throw");
    assert_eq!(socket.buffered_amount(), 8);
    drop(served);
    assert_eq!(ears.close().await, (true, 4001, "안녕".to_owned()));
}

#[tokio::test]
async fn g19_while_messages_before_the_close_are_told_it_is_open() {
    let (socket, mut ears, mut served) = opened().await;
    let (states, mut seen) = mpsc::unbounded_channel();
    socket.add_event_listener(on::MESSAGE, move |event| {
        states.send(event.target().ready_state()).map_err(|_| "the test is over")
    });
    let frames = [
        scripted::unmasked(TEXT, true, b"one"),
        scripted::unmasked(TEXT, true, b"two"),
        scripted::unmasked(CLOSE, true, &1000u16.to_be_bytes()),
    ];
    served.raw(frames.concat()).await;
    served.stream.shutdown().await.expect("it is open");
    ears.text("one").await;
    ears.text("two").await;
    assert_eq!(ears.close().await, (true, 1000, String::new()));
    assert_eq!([seen.recv().await, seen.recv().await], [Some(ReadyState::Open); 2]);
}

#[tokio::test]
async fn g20_open_then_messages_then_one_close_and_nothing_after_it() {
    let server = pull(Default::default(), async |socket: sotong::WebSocket| {
        for number in 0..5 {
            socket.send(number.to_string()).await?;
        }
        socket.close(CloseCode::GOING_AWAY, "bye").await;
        Ok(())
    })
    .await;
    let socket = open(format!("ws://{}/", server.address));
    let heard = Ears::of(&socket).rest().await;
    let origin = format!("ws://{}", server.address);
    let mut expected = vec![Heard::Open(ReadyState::Open)];
    for number in 0..5 {
        let data = Data::Text(number.to_string().into());
        expected.push(Heard::Message(ReadyState::Open, data, origin.clone()));
    }
    expected.push(Heard::Close(ReadyState::Closed, true, 1001, "bye".to_owned()));
    assert_eq!(heard, expected);
    // Who listens now will never hear anything, and is dropped at once.
    let held = Arc::new(());
    for _ in 0..2 {
        let held = held.clone();
        socket.add_event_listener(on::CLOSE, move |_| drop(held.clone()));
    }
    assert_eq!(Arc::strong_count(&held), 1);
    server.stop().await;
}

#[tokio::test]
async fn g21_the_code_is_what_came_or_1005_or_1006() {
    for (body, code, reason) in [
        (&[][..], 1005, ""),
        (&[0x03, 0xe8], 1000, ""),
        (&[0x0b, 0xb8, b'x'], 3000, "x"),
        (&[0x03, 0xf4, 0xec, 0x86, 0x8c], 1012, "소"),
        (&[0x03, 0xe8, 0xef, 0xbb, 0xbf, b'x'], 1000, "\u{feff}x"),
    ] {
        let (_socket, mut ears, mut served) = opened().await;
        served.send(CLOSE, body).await;
        served.stream.shutdown().await.expect("it is open");
        assert_eq!(ears.close().await, (true, code, reason.to_owned()));
    }
    let (_socket, mut ears, served) = opened().await;
    drop(served);
    assert!(ears.failure().await.contains("vanished"));
}

#[tokio::test]
async fn g22_the_error_event_has_the_cause_that_browsers_hide() {
    let server = Scripted::start().await;
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nnot today";
    for (answer, word) in [(refusal, "403"), ("nonsense\r\n\r\n", "not an HTTP/1 response")] {
        let socket = open(server.url());
        let (tell, cause) = oneshot::channel();
        let mut tell = Some(tell);
        socket.set_on_error(move |event| drop(tell.take().map(|tell| tell.send(event.cause().clone()))));
        server.request().await.say(answer).await;
        let cause = soon(cause).await.expect("an error event");
        assert!(cause.to_string().contains(word), "{cause}");
        let sotong::web::Cause::Connect(error) = &cause else { panic!("{cause:?}") };
        if let sotong::ConnectError::Refused(refused) = &**error {
            assert_eq!(refused.body(), b"not today");
        }
    }
    let (_socket, mut ears, mut served) = opened().await;
    served.raw([0xff, 0]).await;
    let cause = ears.failure().await;
    assert!(cause.contains("RSV") || cause.contains("reserved"), "{cause}");
}

#[tokio::test]
async fn g23_a_socket_that_somebody_listens_to_lives_without_handles() {
    for kind in ["message", "error", "close"] {
        let server = Scripted::start().await;
        let socket = open(server.url());
        let held = Arc::new(());
        let theirs = held.clone();
        match kind {
            "message" => socket.set_on_message(move |_| drop(theirs.clone())),
            "error" => socket.set_on_error(move |_| drop(theirs.clone())),
            _ => socket.set_on_close(move |_| drop(theirs.clone())),
        }
        drop(socket);
        let mut served = server.open().await;
        // It answers, so it lives.
        served.send(PING, b"?").await;
        served.expect(PONG, b"?").await;
        served.close(1000).await;
        until(|| Arc::strong_count(&held) == 1).await;
    }
}

#[tokio::test]
async fn g23_one_that_nobody_could_notice_is_closed_without_a_code() {
    // Whether it was started, held, or listens only for what has been.
    for kind in ["started", "held", "open"] {
        let server = Scripted::start().await;
        let socket = open(server.url());
        match kind {
            "started" => socket.start(),
            "open" => socket.set_on_open(|_| {}),
            _ => {}
        }
        let mut served = server.open().await;
        until(|| kind == "held" || socket.ready_state() == ReadyState::Open).await;
        drop(socket.clone());
        served.send(PING, b"?").await;
        served.expect(PONG, b"?").await;
        drop(socket);
        let close = served.next().await.expect("a frame");
        assert_eq!((close.opcode, close.payload), (CLOSE, Vec::new()), "{kind}");
    }
}

#[tokio::test]
async fn g23_one_that_connects_lives_while_anybody_listens_and_is_given_up_else() {
    let server = Scripted::start().await;
    let socket = open(server.url());
    let (tell, mut opened) = mpsc::unbounded_channel();
    socket.set_on_open(move |_| tell.send(()));
    drop(socket);
    let mut served = server.open().await;
    soon(opened.recv()).await.expect("its open event comes");
    assert_eq!(served.expect_close().await.0, 1005, "and then nobody could notice");

    let socket = open(server.url());
    let mut asked = server.request().await;
    drop(socket);
    let mut rest = Vec::new();
    drop(soon(tokio::io::AsyncReadExt::read_to_end(&mut asked.stream, &mut rest)).await);
    assert!(rest.is_empty(), "the attempt is given up");
}

#[tokio::test]
async fn g23_what_is_queued_goes_out_before_it_is_closed() {
    let server = Scripted::start().await;
    let socket = open(server.url());
    socket.start();
    let mut served = server.open().await;
    until(|| socket.ready_state() == ReadyState::Open).await;
    socket.send(vec![7; 32 << 20]).expect("it is open");
    socket.send("last").expect("it is open");
    drop(socket);
    assert_eq!(served.next().await.expect("a frame").payload.len(), 32 << 20);
    served.expect(TEXT, b"last").await;
    assert_eq!(served.expect_close().await.0, 1005);
}

#[tokio::test]
async fn g23_a_listener_that_holds_its_own_socket_is_set_free_after_the_close() {
    let (socket, mut ears, served) = opened().await;
    let held = Arc::new(());
    let (own, theirs) = (socket.clone(), held.clone());
    socket.add_event_listener(on::MESSAGE, move |_| drop((own.clone(), theirs.clone())));
    drop(socket);
    served.close(1000).await;
    ears.close().await;
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test]
async fn g24_pings_are_answered_and_told_to_nobody() {
    let (_socket, mut ears, mut served) = opened().await;
    served.send(PING, b"are you there").await;
    served.expect(PONG, b"are you there").await;
    served.send(PONG, b"unsolicited").await;
    served.send(TEXT, b"after it").await;
    ears.text("after it").await;
    served.close(1000).await;
    ears.close().await;
}

/// The inputs of the Web Platform Tests' `Create-*`, `Close-*` and `Send-*` files whose outcome is an exception or none.
#[tokio::test]
async fn g25_the_inputs_of_the_web_platform_tests() {
    let invalid_urls =
        ["/test", "ws://foo bar.com/", "wss://foo bar.com/", "ftp://h/echo", "mailto:example@example.org"];
    let with_fragments = ["ws://h/#", "ws://h/#test", "wss://h/#", "wss://h/#test", "http://h/#test"];
    for url in invalid_urls.iter().chain(&with_fragments) {
        assert_eq!(WebSocket::new(url).expect_err(url).name(), "SyntaxError");
    }
    let separators = "()<>@,;:\\\"/[]?={} \t";
    let controls = (0..0x20).chain([0x7f]).map(char::from);
    for separator in separators.chars().chain(controls).chain(['\u{80}', 'é']) {
        let protocol = format!("pro{separator}tocol");
        assert_eq!(WebSocket::with_protocols(NOWHERE, &protocol).expect_err(&protocol).name(), "SyntaxError");
    }
    let log = Arc::new(Mutex::new(Vec::new()));
    let server = {
        let log = log.clone();
        pull(Default::default(), move |mut socket: sotong::WebSocket| {
            let log = log.clone();
            async move {
                while let Some(message) = socket.recv().await? {
                    log.lock().expect("no panic").push(message.as_bytes().to_vec());
                    socket.send(message).await?;
                }
                Ok(())
            }
        })
        .await
    };
    let socket = open(format!("ws://{}/echo", server.address));
    let mut ears = Ears::of(&socket);
    ears.open().await;
    let bytes = (0..=255u8).collect::<Vec<_>>();
    socket.send("").expect("it is open");
    socket.send("\0").expect("it is open");
    socket.send("¥¥¥¥¥¥ 𐐇").expect("it is open");
    socket.send("c".repeat(65_537)).expect("it is open");
    socket.send(&bytes[2..250]).expect("it is open");
    socket.send(bytes::Bytes::from(bytes.clone())).expect("it is open");
    let lengths = [0, 1, 17, 65_537, 248, 256];
    for length in lengths {
        let Heard::Message(_, data, _) = ears.next().await else { panic!("a message") };
        assert_eq!(data.as_bytes().len(), length);
    }
    assert_eq!(log.lock().expect("no panic").iter().map(Vec::len).collect::<Vec<_>>(), lengths);
    server.stop().await;
}
