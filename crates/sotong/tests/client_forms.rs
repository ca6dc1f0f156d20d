//! The client in both forms: what it sends, what it receives, how it ends.

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use scripted::{Scripted, Served, unmasked};
use sotong::{
    Carrier, Client, CloseCode, Closed, Config, Error, Events, Initiator, LimitError, Message, MessageRef,
    PeerError, ProtocolError, Refusal, Request, Sender, WebSocket,
};
use support::{BINARY, CLOSE, PING, PONG, TEXT, soon};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

/// What an owner in event form hears.
#[derive(Debug)]
enum Heard {
    Open(Sender),
    Message(Message),
    Error(Error),
    Closed(Arc<Closed>),
}

struct Report(mpsc::UnboundedSender<Heard>);

impl Report {
    fn new() -> (Report, mpsc::UnboundedReceiver<Heard>) {
        let (report, heard) = mpsc::unbounded_channel();
        (Report(report), heard)
    }

    fn tell(&self, heard: Heard) {
        // The test may have heard enough.
        let _ = self.0.send(heard);
    }
}

impl Events for Report {
    fn open(&mut self, socket: &Sender) {
        self.tell(Heard::Open(socket.clone()));
    }
    fn message(&mut self, _: &Sender, message: MessageRef<'_>) {
        self.tell(Heard::Message(message.to_message()));
    }
    fn error(&mut self, _: &Sender, error: &Error) {
        self.tell(Heard::Error(error.clone()));
    }
    fn close(&mut self, closed: &Arc<Closed>) {
        self.tell(Heard::Closed(closed.clone()));
    }
}

fn client(config: Config) -> Client {
    // Tests of one process connect to one address, and should not wait for each other.
    Client::new().with_simultaneous_connects().with_config(config)
}

/// A client in pull form and the server's end of it.
async fn pull_with(config: Config) -> (WebSocket, Served) {
    let server = Scripted::start().await;
    let connecting = tokio::spawn(client(config).connect(&server.url()));
    let served = server.open().await;
    (soon(connecting).await.expect("no panic").expect("connected"), served)
}

async fn pull() -> (WebSocket, Served) {
    pull_with(Config::default()).await
}

/// A client in event form and the server's end of it.
async fn events_with(config: Config) -> (Sender, mpsc::UnboundedReceiver<Heard>, Served) {
    let server = Scripted::start().await;
    let (report, mut heard) = Report::new();
    let connecting = tokio::spawn(client(config).connect_events(&server.url(), |_| report));
    let served = server.open().await;
    let sender = soon(connecting).await.expect("no panic").expect("connected");
    let Some(Heard::Open(opened)) = soon(heard.recv()).await else { panic!("it opens first") };
    assert!(opened.is_same_connection(&sender));
    (sender, heard, served)
}

/// One of each kind, with sizes at which lengths change their form.
fn messages() -> Vec<Message> {
    let mut messages = vec![Message::text(""), Message::text("소통 🦑"), Message::binary(vec![])];
    for length in [1, 125, 126, 127, 65_535, 65_536, 1 << 20] {
        messages.push(Message::binary((0..length).map(|index| (index % 251) as u8).collect::<Vec<_>>()));
        messages.push(Message::text("x".repeat(length)));
    }
    messages
}

fn opcode(message: &Message) -> u8 {
    match message.as_ref() {
        MessageRef::Text(_) => TEXT,
        MessageRef::Binary(_) => BINARY,
    }
}

#[tokio::test]
async fn c8_messages_go_out_masked_each_with_a_key_of_its_own() {
    let (socket, mut served) = pull().await;
    let (sender, _heard, mut served_events) = events_with(Config::default()).await;
    let mut keys = Vec::new();
    for message in messages() {
        soon(socket.send(message.clone())).await.expect("it is open");
        soon(sender.send(message.clone())).await.expect("it is open");
        for served in [&mut served, &mut served_events] {
            let (frame, key) = served.next_masked().await.expect("a frame");
            assert_eq!((frame.opcode, frame.fin), (opcode(&message), true));
            assert!(frame.payload == message.as_bytes(), "{} bytes", frame.payload.len());
            keys.push(key);
        }
    }
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count, "no key twice");
}

#[tokio::test]
async fn messages_of_every_kind_come_in_in_both_forms() {
    let (mut socket, mut served) = pull().await;
    let (_sender, mut heard, mut served_events) = events_with(Config::default()).await;
    for message in messages() {
        let frame = unmasked(opcode(&message), true, message.as_bytes());
        let receive = async {
            assert!(socket.recv().await.expect("it is open") == Some(message.clone()));
            let Some(Heard::Message(heard)) = heard.recv().await else { panic!("a message") };
            assert!(heard == message);
        };
        soon(async { tokio::join!(served.raw(&frame), served_events.raw(&frame), receive) }).await;
    }
}

#[tokio::test]
async fn c10_c11_fragments_are_joined_and_pings_between_them_answered() {
    let (mut socket, mut served) = pull().await;
    let (_sender, mut heard, mut served_events) = events_with(Config::default()).await;
    let text = "소통".as_bytes();
    for served in [&mut served, &mut served_events] {
        // Cut inside a character, with an empty fragment and a Ping in between.
        served.raw(unmasked(TEXT, false, &text[..2])).await;
        served.raw(unmasked(0, false, b"")).await;
        served.send(PING, b"now").await;
        served.expect(PONG, b"now").await;
        served.raw(unmasked(0, false, &text[2..4])).await;
        served.raw(unmasked(0, true, &text[4..])).await;
    }
    assert_eq!(soon(socket.recv()).await.expect("it is open"), Some("소통".into()));
    assert!(matches!(soon(heard.recv()).await, Some(Heard::Message(message)) if message == "소통".into()));
}

#[tokio::test]
async fn c15_pings_are_answered_while_nobody_receives_and_latency_is_measured() {
    let (socket, mut served) = pull().await;
    served.send(PING, b"anybody?").await;
    served.expect(PONG, b"anybody?").await;
    let sender = socket.sender();
    let pinging = tokio::spawn(async move { sender.ping().await });
    let ping = served.next().await.expect("a ping");
    assert_eq!(ping.opcode, PING);
    served.send(PONG, &ping.payload).await;
    soon(pinging).await.expect("no panic").expect("a latency");
    // Nobody asked for this one.
    served.send(PONG, b"unsolicited").await;
    socket.send("still here").await.expect("it is open");
    served.expect(TEXT, b"still here").await;
}

#[tokio::test]
async fn keep_alive_pings_are_masked_and_missed() {
    let patience = Duration::from_millis(100);
    let config = Config::default().with_ping_interval(Some(patience)).with_pong_timeout(patience);
    let (mut socket, mut served) = pull_with(config).await;
    assert_eq!(served.next().await.expect("a ping").opcode, PING);
    let error = soon(socket.recv()).await.expect_err("no pong came");
    assert!(matches!(error, Error::Peer(PeerError::Timeout(sotong::Timeout::Pong))), "{error:?}");
}

#[tokio::test]
async fn c20_the_server_closes() {
    for (code, reason) in [(1000, ""), (1001, "back soon"), (3000, "library"), (4999, "own")] {
        let (mut socket, mut served) = pull().await;
        let (sender, mut heard, mut served_events) = events_with(Config::default()).await;
        for served in [&mut served, &mut served_events] {
            served.send(CLOSE, &[&u16::to_be_bytes(code), reason.as_bytes()].concat()).await;
            assert_eq!(served.expect_close().await.0, code);
        }
        // C22: the server hangs up first; until then the client waits.
        assert!(socket.sender().closed().now_or_never().is_none());
        assert!(sender.closed().now_or_never().is_none());
        for served in [served, served_events] {
            let mut served = served;
            served.stream.shutdown().await.expect("it is open");
            served.expect_end().await;
        }
        assert_eq!(soon(socket.recv()).await.expect("a regular end"), None);
        let Some(Heard::Closed(told)) = soon(heard.recv()).await else { panic!("told of the end") };
        for closed in [socket.sender().closed().await, told] {
            assert_eq!((closed.code(), closed.clean, closed.first), (code, true, Some(Initiator::Peer)));
            assert_eq!(closed.received.as_ref().map(|close| close.reason()), Some(reason));
        }
    }
}

#[tokio::test]
async fn c22_the_client_closes_and_waits_for_the_servers_fin() {
    let (socket, mut served) = pull().await;
    let (sender, mut heard, mut served_events) = events_with(Config::default()).await;
    let code = CloseCode::new(4321).expect("a valid code");
    sender.close(code, "enough");
    let closing = tokio::spawn(socket.close(code, "enough"));
    for served in [&mut served, &mut served_events] {
        assert_eq!(served.expect_close().await, (4321, "enough".to_owned()));
        served.send(CLOSE, &4321u16.to_be_bytes()).await;
        // Both Closes are out; TCP is the server's to end (RFC 6455, section 7.1.1).
        let mut byte = [0];
        let early = tokio::time::timeout(Duration::from_millis(50), served.stream.peek(&mut byte)).await;
        assert!(early.is_err(), "{early:?}");
        served.stream.shutdown().await.expect("it is open");
        served.expect_end().await;
    }
    let Some(Heard::Closed(told)) = soon(heard.recv()).await else { panic!("told of the end") };
    for closed in [soon(closing).await.expect("no panic"), told] {
        assert_eq!((closed.code(), closed.clean, closed.first), (4321, true, Some(Initiator::Local)));
    }
}

#[tokio::test]
async fn c22_a_server_that_never_hangs_up_is_left_after_a_while() {
    let config = Config::default().with_close_timeout(Duration::from_secs(1));
    let (socket, mut served) = pull_with(config).await;
    let closing = tokio::spawn(socket.close(CloseCode::NORMAL, ""));
    assert_eq!(served.expect_close().await.0, 1000);
    served.send(CLOSE, &1000u16.to_be_bytes()).await;
    served.expect_end().await;
    let closed = soon(closing).await.expect("no panic");
    assert_eq!((closed.code(), closed.clean), (1000, false), "{closed}");
}

#[tokio::test]
async fn c24_a_server_that_vanishes_is_1006() {
    let (mut socket, served) = pull().await;
    drop(served);
    let error = soon(socket.recv()).await.expect_err("there was no Close");
    assert!(matches!(error, Error::Vanished), "{error:?}");
    assert_eq!(soon(socket.sender().closed()).await.code(), 1006);
}

#[tokio::test]
async fn c4_a_masked_frame_of_the_server_fails_the_connection() {
    let (mut socket, mut served) = pull().await;
    served.raw(support::frame(TEXT, true, b"masked")).await;
    assert_eq!(served.expect_close().await.0, 1002);
    drop(served);
    let error = soon(socket.recv()).await.expect_err("a server does not mask");
    assert!(matches!(error, Error::Peer(PeerError::Protocol(ProtocolError::MaskUnexpected))), "{error:?}");
}

#[tokio::test]
async fn c30_a_message_above_the_limit_is_1009_before_it_is_read() {
    let config = || Config::default().with_message_bytes_max(1000);
    let (mut socket, mut served) = pull_with(config()).await;
    let (_sender, mut heard, mut served_events) = events_with(config()).await;
    for served in [&mut served, &mut served_events] {
        served.send(BINARY, &[7; 1000]).await;
        // The header alone.
        served.raw(&unmasked(BINARY, true, &[7; 1001])[..4]).await;
        assert_eq!(served.expect_close().await.0, 1009);
    }
    drop((served, served_events));
    assert_eq!(soon(socket.recv()).await.expect("it fits").expect("a message").as_bytes().len(), 1000);
    let error = soon(socket.recv()).await.expect_err("it is too large");
    assert!(matches!(error, Error::Peer(PeerError::Limit(LimitError::MessageBytes { .. }))), "{error:?}");
    assert!(matches!(soon(heard.recv()).await, Some(Heard::Message(_))));
    let Some(Heard::Error(error)) = soon(heard.recv()).await else { panic!("told of the error") };
    assert!(matches!(error, Error::Peer(PeerError::Limit(LimitError::MessageBytes { .. }))), "{error:?}");
}

#[tokio::test]
async fn b12_frames_that_come_with_the_answer_are_heard_after_open() {
    let server = Scripted::start().await;
    let (report, mut heard) = Report::new();
    let connecting = tokio::spawn(client(Config::default()).connect_events(&server.url(), |_| report));
    let asked = server.request().await;
    let close = unmasked(CLOSE, true, &1001u16.to_be_bytes());
    let all = [asked.answer("").as_bytes(), &unmasked(TEXT, true, b"early"), &close].concat();
    let mut served = asked.say(all).await;
    assert_eq!(served.expect_close().await.0, 1001);
    drop(served);
    soon(connecting).await.expect("no panic").expect("connected");
    assert!(matches!(soon(heard.recv()).await, Some(Heard::Open(_))));
    assert!(matches!(soon(heard.recv()).await, Some(Heard::Message(message)) if message == "early".into()));
    let Some(Heard::Closed(closed)) = soon(heard.recv()).await else { panic!("the end") };
    assert_eq!((closed.code(), closed.clean), (1001, true));
}

#[tokio::test]
async fn the_event_form_sees_the_answer_before_it_makes_its_value() {
    let server = Scripted::start().await;
    let client = client(Config::default()).with_protocols(["a", "b"]).expect("two tokens");
    let (report, mut heard) = Report::new();
    let connecting = tokio::spawn(client.connect_events(&server.url(), move |response| {
        assert_eq!((response.protocol(), response.header("x-served-by")), (Some("b"), Some("me")));
        report
    }));
    let headers = "Sec-WebSocket-Protocol: b\r\nX-Served-By: me\r\n";
    let _served = server.request().await.open(headers).await;
    let sender = soon(connecting).await.expect("no panic").expect("connected");
    assert_eq!(sender.protocol(), Some("b"));
    assert!(matches!(soon(heard.recv()).await, Some(Heard::Open(_))));
}

#[tokio::test]
async fn an_events_value_that_cannot_be_made_drops_the_connection() {
    let server = Scripted::start().await;
    let connecting = tokio::spawn(
        client(Config::default())
            .connect_events(&server.url(), |_| -> Report { std::panic::panic_any("on purpose") }),
    );
    let mut served = server.open().await;
    assert!(soon(connecting).await.expect_err("it panics").is_panic());
    served.expect_end().await;
}

#[tokio::test]
async fn a_dropped_socket_closes_and_a_dropped_sender_does_not() {
    let (socket, mut served) = pull().await;
    drop(socket);
    assert_eq!(served.expect_close().await.0, 1000);
    let (sender, mut heard, mut served) = events_with(Config::default()).await;
    drop(sender);
    served.send(TEXT, b"still there?").await;
    assert!(matches!(soon(heard.recv()).await, Some(Heard::Message(_))));
    served.close(1000).await;
    assert!(matches!(soon(heard.recv()).await, Some(Heard::Closed(_))));
}

#[tokio::test]
async fn streams_and_sinks_and_halves_work_as_on_a_server() {
    let (mut socket, mut served) = pull().await;
    SinkExt::send(&mut socket, Message::text("sink")).await.expect("it is open");
    served.expect(TEXT, b"sink").await;
    served.send(TEXT, b"stream").await;
    assert_eq!(soon(socket.next()).await.expect("an item").expect("a message"), "stream".into());
    let (sender, mut receiver) = socket.split();
    soon(sender.send("half")).await.expect("it is open");
    served.expect(TEXT, b"half").await;
    served.send(TEXT, b"other half").await;
    assert_eq!(soon(receiver.recv()).await.expect("it is open"), Some("other half".into()));
}

/// Our own server on the other end, in both forms on both ends.
#[tokio::test]
async fn both_forms_of_the_client_talk_to_both_forms_of_the_server() {
    struct Echo;
    impl Events for Echo {
        fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
            socket.try_send(message).expect("there is room");
        }
    }
    let servers = [
        support::pull_echo(Config::default()).await,
        support::events(Config::default(), |_: &Request| Echo).await,
    ];
    for server in servers {
        let url = format!("ws://{}/", server.address);
        let mut socket = soon(client(Config::default()).connect(&url)).await.expect("connected");
        let (report, mut heard) = Report::new();
        let sender =
            soon(client(Config::default()).connect_events(&url, |_| report)).await.expect("connected");
        assert!(matches!(soon(heard.recv()).await, Some(Heard::Open(_))));
        for message in messages() {
            soon(socket.send(message.clone())).await.expect("it is open");
            assert!(soon(socket.recv()).await.expect("it is open") == Some(message.clone()));
            soon(sender.send(message.clone())).await.expect("it is open");
            assert!(matches!(soon(heard.recv()).await, Some(Heard::Message(echo)) if echo == message));
        }
        // Many at once, in order.
        for number in 0..1000 {
            soon(sender.send(number.to_string())).await.expect("it is open");
        }
        for number in 0..1000 {
            let Some(Heard::Message(echo)) = soon(heard.recv()).await else { panic!("a message") };
            assert_eq!(echo, number.to_string().into());
        }
        sender.close(CloseCode::GOING_AWAY, "bye");
        let Some(Heard::Closed(closed)) = soon(heard.recv()).await else { panic!("the end") };
        assert_eq!((closed.code(), closed.clean), (1001, true));
        let closed = soon(socket.close(CloseCode::NORMAL, "bye")).await;
        assert_eq!((closed.code(), closed.clean), (1000, true));
        server.stop().await;
    }
}

#[tokio::test]
async fn a_refusal_of_our_own_server_reaches_the_client() {
    let (server, address) = support::server(Config::default()).await;
    let serve = server.serve_events(|request: &Request| match request.header("Authorization") {
        Some("Bearer right") => Ok(Report::new().0),
        _ => Err(Refusal::new(401, "who are you?\n")),
    });
    let _server = support::Running::start(address, serve);
    let url = format!("ws://{address}/");
    let error = soon(client(Config::default()).connect(&url)).await.expect_err("it is refused");
    let sotong::ConnectError::Refused(refused) = error else { panic!("{error:?}") };
    assert_eq!((refused.status(), refused.body()), (401, &b"who are you?\n"[..]));
    let client =
        client(Config::default()).with_header("Authorization", "Bearer right").expect("a good header");
    soon(client.connect(&url)).await.expect("connected");
}

#[tokio::test]
async fn over_streams_of_the_callers() {
    async fn talk(carrier: impl Into<Carrier>, server: impl Into<Carrier>) {
        let serve = sotong::Server::detached().serve(async |mut socket: WebSocket| {
            while let Some(message) = socket.recv().await? {
                socket.send(message).await?;
            }
            Ok::<(), Error>(())
        });
        serve.handle().accept(server, Vec::new()).expect("the server is there");
        let serving = tokio::spawn(serve.into_future());
        // TLS would be the stream's own business.
        let connecting = Client::new().connect_over(carrier, "wss://example.com/chat");
        let mut socket = soon(connecting).await.expect("connected");
        assert_eq!(socket.request().host(), "example.com");
        for message in messages() {
            soon(socket.send(message.clone())).await.expect("it is open");
            assert!(soon(socket.recv()).await.expect("it is open") == Some(message));
        }
        assert!(soon(socket.close(CloseCode::NORMAL, "")).await.clean);
        serving.abort();
    }
    let (near, far) = sotong::memory();
    talk(near, far).await;
    // One that takes little at once.
    let (near, far) = tokio::io::duplex(1000);
    talk(Carrier::new(near), Carrier::new(far)).await;
    #[cfg(unix)]
    {
        let (near, far) = tokio::net::UnixStream::pair().expect("the system has them");
        talk(near, far).await;
    }
    let server = Scripted::start().await;
    let near = tokio::net::TcpStream::connect(server.address).await.expect("it listens");
    talk(near, server.accept().await).await;
}

#[tokio::test]
async fn over_a_stream_in_event_form() {
    let serve = sotong::Server::detached().serve(async |mut socket: WebSocket| {
        let Some(message) = socket.recv().await? else { return Ok(()) };
        socket.send(message).await?;
        Ok::<(), Error>(())
    });
    let (near, far) = sotong::memory();
    serve.handle().accept(far, Vec::new()).expect("the server is there");
    tokio::spawn(serve.into_future());
    let (report, mut heard) = Report::new();
    let connecting = Client::new().connect_events_over(near, "ws://example.com/", |_| report);
    let sender = soon(connecting).await.expect("connected");
    assert_eq!(sender.peer_addr(), None);
    sender.try_send("there").expect("there is room");
    assert!(matches!(soon(heard.recv()).await, Some(Heard::Open(_))));
    assert!(matches!(soon(heard.recv()).await, Some(Heard::Message(message)) if message == "there".into()));
    assert!(matches!(soon(heard.recv()).await, Some(Heard::Closed(closed)) if closed.clean));
}

#[tokio::test]
async fn over_a_stream_that_ends() {
    let (near, far) = sotong::memory();
    drop(far);
    let error = soon(Client::new().connect_over(near, "ws://example.com/")).await.expect_err("it ends");
    assert!(matches!(error, sotong::ConnectError::Io(_) | sotong::ConnectError::Handshake(_)), "{error:?}");
}
