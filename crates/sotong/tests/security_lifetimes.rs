//! A hundred thousand lives in memory that end at every stage and in every way (security.md, lifetimes): tasks, values,
//! places and bytes that are held are back where they were.
//!
//! Tasks are counted per runtime. What costs files has its tests over TCP: `server_leaks.rs`, `client_leaks.rs`.

mod support;

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sotong::{
    Accept, Carrier, Client, CloseCode, Closed, Error, Events, Handle, MessageRef, Refusal, Request, Sender,
    Server, WebSocket,
};
use support::{SOON, TEXT, frame, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

const LIVES: usize = 50_000;
const AT_ONCE: usize = 32;
/// More than ever live at once, though those that have just gone are counted for a moment longer.
const PLACES: usize = 4096;

/// Counts the values of handlers that are alive.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Counted {
        alive.fetch_add(1, Ordering::Relaxed);
        Counted(alive.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Echo {
    _counted: Counted,
}

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        if message == MessageRef::Text("bye") {
            socket.close(CloseCode::GOING_AWAY, "as you wish");
        } else {
            // It may be closing.
            let _ = socket.try_send(message);
        }
    }
}

async fn echo(mut socket: WebSocket, _counted: Counted) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        if message.as_text() == Some("bye") {
            break;
        }
        socket.send(message).await?;
    }
    Ok(())
}

struct Quiet(Arc<AtomicUsize>);

impl Events for Quiet {
    fn message(&mut self, socket: &Sender, _: MessageRef<'_>) {
        socket.close(CloseCode::NORMAL, "");
        // Too late, which is no harm (CVE-2022-25762).
        assert!(socket.try_send("after the close").is_err());
    }
    fn close(&mut self, _: &Arc<Closed>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

const HEAD: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// What a peer says before it goes or listens until the end.
fn words(number: usize) -> (Vec<u8>, bool) {
    let head = HEAD.as_bytes();
    match number {
        0 => (Vec::new(), false),
        1 => (head[..head.len() / 2].to_vec(), false),
        2 => (b"\x16\x03\x01 no HTTP\r\n\r\n".to_vec(), true),
        3 => (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), true),
        4 => (HEAD.replace("GET /", "GET /refused").into_bytes(), true),
        5 => (HEAD.replace("GET /", "GET /elsewhere").into_bytes(), true),
        6 => (HEAD.replace("\r\n\r\n", "\r\nOrigin: http://evil.example\r\n\r\n").into_bytes(), true),
        7 => (head.to_vec(), false),
        // Half a message, a frame without its mask, frames and no end.
        8 => ([head, &[0x01, 0xfe, 0x10, 0, 0, 0, 0, 0, b'x']].concat(), false),
        9 => ([head, &[0x81, 0x00]].concat(), true),
        10 => ([head, &frame(TEXT, true, b"hello").repeat(3)].concat(), false),
        11 => ([head, &frame(TEXT, true, b"bye"), &frame(8, true, b"\x03\xe8")].concat(), true),
        _ => ([head, &frame(TEXT, true, b"hello"), &frame(8, true, b"")].concat(), true),
    }
}

async fn live(handle: Handle, number: usize, closed: Arc<AtomicUsize>) {
    let (mut near, far) = sotong::memory();
    handle.accept(far, Vec::new()).expect("the server is there");
    match number % 16 {
        13 => {
            let mut socket = connect(near).await;
            socket.send("hello").await.expect("it is open");
            assert_eq!(soon(socket.recv()).await.expect("it is open"), Some("hello".into()));
            assert!(soon(socket.close(CloseCode::NORMAL, "")).await.clean);
            closed.fetch_add(1, Ordering::Relaxed);
        }
        // Sent and closed from two sides at once, then dropped.
        14 => {
            let socket = connect(near).await;
            let sender = socket.sender().clone();
            socket.send("bye").await.expect("it is open");
            sender.close(CloseCode::NORMAL, "");
            drop(socket);
            soon(sender.closed()).await;
            closed.fetch_add(1, Ordering::Relaxed);
        }
        15 => {
            let quiet = Quiet(closed);
            let connecting = Client::new().connect_events_over(near, "ws://localhost/", |_| quiet);
            let sender = soon(connecting).await.expect("connected");
            sender.try_send("hello").expect("it is open");
            soon(sender.closed()).await;
        }
        way => {
            let (words, listens) = words(way);
            near.write_all(&words).await.expect("the server reads");
            if listens {
                let mut rest = Vec::new();
                soon(near.read_to_end(&mut rest)).await.expect("it ends regularly");
                assert_eq!(rest.starts_with(b"HTTP/1.1 101 "), way >= 9, "{way}");
            }
        }
    }
}

async fn connect(stream: Carrier) -> WebSocket {
    soon(Client::new().connect_over(stream, "ws://localhost/")).await.expect("connected")
}

/// Waits until something is what it was.
async fn until(what: &str, expected: usize, now: impl Fn() -> usize) {
    let waiting = async {
        while now() != expected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(SOON, waiting).await;
    assert!(waited.is_ok(), "{what}: {} now, {expected} before", now());
}

#[tokio::test]
async fn a_hundred_thousand_lives_of_every_kind_leave_nothing_behind() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let tasks_before = tasks();
    for form in ["pull", "event"] {
        let (alive, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let server = Server::detached().with_paths(["/", "/refused"]).with_connections_max(PLACES);
        let server = server.with_hook(|request: &Request| match request.path() {
            "/refused" => Err(Refusal::new(401, "who are you?\n")),
            _ => Ok(Accept::default()),
        });
        let values = alive.clone();
        let serve = match form {
            "pull" => server.serve(move |socket: WebSocket| echo(socket, Counted::new(&values))),
            _ => server
                .serve_events(move |_: &Request| Ok::<_, Refusal>(Echo { _counted: Counted::new(&values) })),
        };
        let handle = serve.handle();
        let running = tokio::spawn(serve.into_future());
        let mut lives = JoinSet::new();
        for number in 0..LIVES {
            if lives.len() >= AT_ONCE {
                lives.join_next().await.expect("there are some").expect("this life went as planned");
            }
            lives.spawn(live(handle.clone(), number, closed.clone()));
        }
        while let Some(life) = lives.join_next().await {
            life.expect("this life went as planned");
        }
        until("connections", 0, || handle.stats().connections).await;
        until("values of handlers", 0, || alive.load(Ordering::Relaxed)).await;
        until("bytes that are held", 0, || handle.stats().buffered_bytes).await;
        until("tasks (the server's, its clock's and its mailroom's)", tasks_before + 3, tasks).await;
        assert_eq!(closed.load(Ordering::Relaxed), LIVES / 16 * 3, "each close was told once");
        running.abort();
        let _ = running.await;
        until("tasks without the server", tasks_before, tasks).await;
    }
}
