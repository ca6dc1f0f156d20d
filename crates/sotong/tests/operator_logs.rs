//! What is logged: which connection it is about, nothing that a peer can break a log with, and no secret.

mod support;

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sotong::{Accept, Config, Error, Events, MessageRef, Refusal, Request, Sender, Server, WebSocket};
use support::{CLOSE, Peer, Running, frame, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps all that the library tells, spans and their fields too, at the most talkative level.
#[derive(Clone)]
struct Book {
    pages: Arc<Mutex<Pages>>,
    level: Level,
}

#[derive(Default)]
struct Pages {
    lines: Vec<String>,
    spans: Vec<String>,
    entered: Vec<u64>,
}

impl Book {
    fn up_to(level: Level) -> Book {
        Book { pages: Arc::default(), level }
    }

    fn lines(&self) -> Vec<String> {
        self.pages.lock().expect("no panic").lines.clone()
    }

    /// Waits for a line with all of these words.
    async fn line(&self, words: &[&str]) -> String {
        let waiting = async {
            loop {
                let found =
                    self.lines().into_iter().find(|line| words.iter().all(|word| line.contains(word)));
                match found {
                    Some(line) => return line,
                    None => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        };
        match tokio::time::timeout(support::SOON, waiting).await {
            Ok(line) => line,
            Err(_) => panic!("no line with {words:?} among\n{}", self.lines().join("\n")),
        }
    }
}

impl Subscriber for Book {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("sotong") && *metadata.level() <= self.level
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut line = Line(format!("{{{}", attributes.metadata().name()));
        attributes.record(&mut line);
        line.0.push('}');
        let mut pages = self.pages.lock().expect("no panic");
        pages.spans.push(line.0);
        Id::from_u64(pages.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        self.pages.lock().expect("no panic").spans[span.into_u64() as usize - 1].push_str(&line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        let mut pages = self.pages.lock().expect("no panic");
        for span in &pages.entered {
            line.0.push_str(&pages.spans[*span as usize - 1]);
        }
        pages.lines.push(line.0);
    }

    fn enter(&self, span: &Id) {
        self.pages.lock().expect("no panic").entered.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        let mut pages = self.pages.lock().expect("no panic");
        let last = pages.entered.iter().rposition(|entered| *entered == span.into_u64());
        pages.entered.remove(last.expect("it was entered"));
    }
}

/// As the formatter of `tracing-subscriber` writes it: strings by `Display`, all else by `Debug`.
struct Line(String);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {}={value}", field.name()).expect("a string takes everything");
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).expect("a string takes everything");
    }
}

/// What must never be seen, wherever it comes from.
const SECRETS: &str = "/chat?token=SECRET-QUERY";
const SECRET_HEADERS: &str = "Authorization: Bearer SECRET-AUTHORIZATION\r\nCookie: session=SECRET-COOKIE\r\n\
    Sec-WebSocket-Protocol: chat, bearer.SECRET-PROTOCOL\r\nProxy-Authorization: SECRET-PROXY\r\n\
    X-Api-Key: SECRET-KEY\r\n";

fn assert_clean(book: &Book) {
    let pages = book.pages.lock().expect("no panic");
    for line in pages.lines.iter().chain(&pages.spans) {
        assert!(!line.to_ascii_uppercase().contains("SECRET"), "a secret: {line}");
        assert!(!line.chars().any(char::is_control), "not escaped: {line:?}");
    }
}

struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        assert_ne!(message.as_bytes(), b"panic", "on purpose");
        let _ = socket.try_send(message);
    }
}

async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        assert_ne!(message.as_bytes(), b"panic", "on purpose");
        socket.send(message).await?;
    }
    Ok(())
}

/// Both forms, with a hook that refuses, panics and errs when the path says so.
async fn both() -> Vec<Running> {
    let config = Config::default()
        .with_handshake_timeout(Duration::from_millis(300))
        .with_close_timeout(Duration::from_millis(300))
        .with_message_bytes_max(1000);
    let set = |server: Server| {
        server.with_protocols(["chat"]).with_hook(|request: &Request| match request.path() {
            "/refused" => Err(Refusal::forbidden("not you")),
            "/panics" => panic!("on purpose"),
            // A hook that takes a protocol for a token and gets it wrong.
            "/errs" => Ok(Accept::default().with_protocol("bearer.SECRET-CHOSEN")),
            _ => Ok(Accept::default()),
        })
    };
    let (server, address) = support::server(config.clone()).await;
    let by_events = set(server).serve_events(|_: &Request| Ok::<_, Refusal>(Echo));
    let mut all = vec![Running::start(address, by_events)];
    let (server, address) = support::server(config).await;
    all.push(Running::start(address, set(server).serve(echo)));
    all
}

#[tokio::test]
async fn no_secret_is_logged_and_everything_is_escaped() {
    let book = Book::up_to(Level::TRACE);
    let _guard = tracing::subscriber::set_default(book.clone());
    for server in both().await {
        // Accepted: a message, a regular end with a reason that would like to be a line of the log.
        let mut peer = Peer::request(server.address, SECRETS, SECRET_HEADERS).await;
        assert!(peer.head.contains("Sec-WebSocket-Protocol: chat\r\n"), "{}", peer.head);
        peer.text("SECRET-PAYLOAD").await;
        peer.expect_text("SECRET-PAYLOAD").await;
        peer.send(CLOSE, b"\x0f\xa0\x1b[31mred\r\nERROR all is lost\x07").await;
        while peer.next().await.is_some() {}
        drop(peer);
        book.line(&["closed", "code=4000", "all is lost"]).await;
        // Accepted, and each bad end.
        for bytes in [
            frame(1, true, b"panic"),
            frame(1, true, b"SECRET \xff"),
            frame(2, true, &[b'S'; 2000]),
            frame(3, true, b"SECRET"),
            frame(CLOSE, true, b"\x03\xe8SECRET\xff"),
        ] {
            let mut peer = Peer::request(server.address, SECRETS, SECRET_HEADERS).await;
            peer.raw(&bytes).await;
            while peer.next().await.is_some() {}
        }
        drop(Peer::request(server.address, SECRETS, SECRET_HEADERS).await);
        // Refused, in all ways.
        for (target, more, status) in [
            ("/refused?token=SECRET", "", "403"),
            ("/panics?token=SECRET", "", "500"),
            ("/errs?token=SECRET", "", "500"),
            ("/chat?token=SECRET", "Origin: http://evil.example/\\x1b[31m\r\n", "403"),
            ("/chat?token=SECRET", "Sec-WebSocket-Protocol: bearer SECRET\r\n", "400"),
            ("/chat?token=SECRET", "Sec-WebSocket-Protocol: a,SECRET,SECRET\r\n", "400"),
            ("/chat?token=SECRET", "Sec-WebSocket-Protocol: SECRET/1\r\n", "400"),
            ("/chat?token=SECRET", "Sec-WebSocket-Extensions: SECRET;;=\r\n", "400"),
            ("/chat?token=SECRET", "Sec-WebSocket-Key: SECRET\r\n", "400"),
            ("/chat?token=SECRET", "Content-Length: SECRET\r\n", "400"),
            ("/chat?token=SECRET", "Authorization : SECRET\r\n", "400"),
            ("/chat?token=SECRET", "Cookie: \x1b[31mSECRET\r\n", "400"),
            ("http://user:SECRET@a/chat", "", "400"),
            ("/chat?token=SECRET#SECRET", "", "400"),
        ] {
            let headers = format!("{SECRET_HEADERS}{more}");
            let mut peer = Peer::request(server.address, target, &headers).await;
            assert!(peer.head.starts_with("HTTP/1.1 "), "{target} {more}: {:?}", peer.head);
            if !peer.head.contains(&format!(" {status} ")) {
                // What the server takes is no secret of the log either.
                assert!(
                    peer.head.contains(" 101 ") || peer.head.contains(" 4"),
                    "{target} {more}: {}",
                    peer.head
                );
            }
            let _ = peer.stream.shutdown().await;
        }
        // Failed: in the middle, too late, garbage.
        let half = format!("GET {SECRETS} HTTP/1.1\r\nHost: a\r\n{SECRET_HEADERS}");
        let mut early = TcpStream::connect(server.address).await.expect("the server listens");
        early.write_all(half.as_bytes()).await.expect("the server reads");
        drop(early);
        for bytes in [
            half.into_bytes(),
            b"GET /\x1b[2JSECRET HTTP/1.1\r\n\r\n".to_vec(),
            format!("GET /{} HTTP/1.1\r\n", "SECRET".repeat(4000)).into_bytes(),
            format!("GET / HTTP/1.1\r\nCookie: {}\r\n", "SECRET".repeat(4000)).into_bytes(),
        ] {
            let mut stream = TcpStream::connect(server.address).await.expect("the server listens");
            let _ = stream.write_all(&bytes).await;
            let mut answer = Vec::new();
            let _ = soon(stream.read_to_end(&mut answer)).await;
        }
        server.stop().await;
    }
    assert!(book.lines().len() > 40, "it was told:\n{}", book.lines().join("\n"));
    assert_clean(&book);
}

#[tokio::test]
async fn every_line_says_which_connection_it_is_about() {
    let book = Book::up_to(Level::DEBUG);
    let _guard = tracing::subscriber::set_default(book.clone());
    let (server, address) = support::server(Config::default()).await;
    let server = server.with_trusted_proxies(["127.0.0.1"]).expect("a proxy");
    let server = Running::start(
        address,
        server.serve(async |socket: WebSocket| {
            let sender = socket.sender();
            tracing::debug!(target: "sotong_test", "in the handler");
            sender.send(sender.id().to_string().as_str()).await.map_err(|_| "gone")?;
            sender.closed().await;
            Ok::<(), &str>(())
        }),
    );
    let mut peer = Peer::request(address, "/room?token=SECRET", "X-Forwarded-For: 192.0.2.7\r\n").await;
    let id = peer.next().await.expect("the server speaks first").text().to_owned();
    peer.send(CLOSE, &1000u16.to_be_bytes()).await;
    while peer.next().await.is_some() {}
    drop(peer);
    let field = format!("connection={id}");
    for words in [&["opened"][..], &["in the handler"], &["closed", "code=1000"]] {
        let line = book.line(words).await;
        for part in ["{connection ", &field, "client=192.0.2.7", "path=\"/room\"", "peer=127.0.0.1:"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(line.starts_with("DEBUG"), "quiet in production: {line}");
    }
    server.stop().await;
}

#[tokio::test]
async fn production_is_quiet() {
    let book = Book::up_to(Level::INFO);
    let _guard = tracing::subscriber::set_default(book.clone());
    for server in both().await {
        for target in ["/", "/refused", "/chat?token=SECRET"] {
            drop(Peer::request(server.address, target, "").await);
        }
        server.stop().await;
    }
    let lines = book.lines();
    let noise: Vec<&String> = lines.iter().filter(|line| !line.contains("limit of open files")).collect();
    assert!(noise.is_empty(), "{noise:?}");
    assert!(book.pages.lock().expect("no panic").spans.is_empty(), "spans are for those who debug");
}
