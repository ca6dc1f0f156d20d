//! Thousands of lives that end in every way: files, tasks and places are back where they were.
//!
//! Files are counted per process, so this file holds a single test.
#![cfg(target_os = "linux")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use sotong::{
    Accept, Closed, Config, Error, Events, MessageRef, Refusal, Request, Sender, Server, WebSocket,
};
use support::{Peer, Running, SOON, handshake, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

const LIVES: usize = 5_000;
const AT_ONCE: usize = 24;
/// More than ever live at once, though those that have just gone are counted for a moment longer.
const PLACES: usize = 200;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux has it").count()
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

struct Counted {
    alive: Arc<AtomicUsize>,
}

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Counted {
        alive.fetch_add(1, Ordering::Relaxed);
        Counted { alive: alive.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Echo {
    _counted: Counted,
}

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        match message {
            MessageRef::Text("panic") => panic!("on purpose"),
            MessageRef::Text("bye") => {
                socket.close(sotong::CloseCode::GOING_AWAY, "as you wish");
            }
            message => socket.try_send(message).expect("there is room"),
        }
    }

    fn close(&mut self, closed: &Arc<Closed>) {
        // To have touched it: the last call comes in every life.
        let _ = closed.clean;
    }
}

async fn echo(mut socket: WebSocket, _counted: Counted) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        match message.as_ref() {
            MessageRef::Text("panic") => panic!("on purpose"),
            MessageRef::Text("bye") => return Ok(()),
            _ => socket.send(message).await?,
        }
    }
    Ok(())
}

fn hook(request: &Request) -> Result<Accept, Refusal> {
    match request.path() {
        "/refused" => Err(Refusal::new(401, "who are you?\n")),
        "/panic" => panic!("on purpose"),
        "/protocol" => Ok(Accept::default().with_protocol("nobody's")),
        _ => Ok(Accept::default()),
    }
}

/// One life, by its number.
async fn live(address: std::net::SocketAddr, number: usize) {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    let mut rest = Vec::new();
    let refused = match number % 20 {
        0 => return,
        1 => {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nUpg").await.expect("the server reads");
            return;
        }
        2 => {
            stream.write_all(b"GET / HTTP/1.1\r\nHo").await.expect("the server reads");
            return reset(&stream);
        }
        3 => Some("\x16\x03\x01 no HTTP".to_owned()),
        4 => Some("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        5 => Some(handshake(address, "/elsewhere", "")),
        6 => Some(handshake(address, "/", "Origin: http://evil.example\r\n")),
        7 => Some(handshake(address, "/refused", "")),
        8 => Some(handshake(address, "/panic", "")),
        9 => Some(handshake(address, "/protocol", "")),
        10 => Some(handshake(address, "/factory", "")),
        _ => None,
    };
    if let Some(request) = refused {
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        soon(stream.read_to_end(&mut rest)).await.expect("it ends regularly");
        assert!(rest.starts_with(b"HTTP/1.1 ") && !rest.starts_with(b"HTTP/1.1 101"), "{number}");
        return;
    }
    stream.write_all(handshake(address, "/", "").as_bytes()).await.expect("the server reads");
    let mut peer = Peer { head: support::read_head(&mut stream).await, stream };
    assert!(peer.head.starts_with("HTTP/1.1 101 "), "{number}: {}", peer.head);
    match number % 20 {
        11 => peer.close().await,
        12 => {
            peer.text("bye").await;
            assert!(matches!(peer.expect_close().await.0, 1000 | 1001));
        }
        13 => reset(&peer.stream),
        14 => {
            // A message whose end never comes; it holds more than the budget leaves uncounted.
            peer.raw(&[0x01, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await;
            peer.raw(&[b'x'; 60_000]).await;
            reset(&peer.stream);
        }
        15 => {
            peer.text("panic").await;
            assert_eq!(peer.expect_close().await.0, 1011);
        }
        16 => {
            // The mask is missing.
            peer.raw(&[0x81, 0x00]).await;
            assert_eq!(peer.expect_close().await.0, 1002);
        }
        17 => {
            // It goes without a Close, with an answer on its way.
            peer.text("hello").await;
        }
        18 => {
            peer.text(&"hello".repeat(20_000)).await;
            peer.text("bye").await;
            reset(&peer.stream);
        }
        _ => {
            peer.text("hello").await;
            peer.expect_text("hello").await;
            peer.close().await;
        }
    }
}

/// Ends a connection by a reset when it is dropped.
fn reset(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("TCP can do that");
}

async fn live_all(address: std::net::SocketAddr, count: usize) {
    let mut lives = JoinSet::new();
    for number in 0..count {
        if lives.len() >= AT_ONCE {
            lives.join_next().await.expect("there are some").expect("this life went as planned");
        }
        lives.spawn(live(address, number));
    }
    while let Some(life) = lives.join_next().await {
        life.expect("this life went as planned");
    }
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

async fn connect_when_free(running: &Running) -> Peer {
    loop {
        let peer = Peer::request(running.address, "/", "").await;
        if peer.head.starts_with("HTTP/1.1 101 ") {
            return peer;
        }
        assert!(peer.head.starts_with("HTTP/1.1 503 "), "{}", peer.head);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn start(
    server: Server,
    address: std::net::SocketAddr,
    form: &str,
    alive: &Arc<AtomicUsize>,
) -> (Running, sotong::Handle) {
    let alive = alive.clone();
    let server = server.with_paths(["/", "/refused", "/panic", "/protocol", "/factory"]);
    let server = server.with_hook(hook).with_connections_max(PLACES);
    let serve = match form {
        "event" => server.serve_events(move |request: &Request| match request.path() {
            "/factory" => Err(Refusal::new(404, "")),
            _ => Ok(Echo { _counted: Counted::new(&alive) }),
        }),
        _ => server
            .with_hook(|request| match request.path() {
                "/factory" => Err(Refusal::new(404, "")),
                _ => hook(request),
            })
            .serve(move |socket: WebSocket| echo(socket, Counted::new(&alive))),
    };
    let handle = serve.handle();
    (Running::start(address, serve), handle)
}

#[tokio::test]
async fn thousands_of_lives_leave_nothing_behind() {
    // Hundreds of planned panics are no news.
    std::panic::set_hook(Box::new(|panic| {
        if panic.payload().downcast_ref::<&str>() != Some(&"on purpose") {
            eprintln!("{panic}");
        }
    }));
    let (files_before, tasks_before) = (open_files(), tasks());
    for form in ["pull", "event"] {
        let alive = Arc::new(AtomicUsize::new(0));
        let (server, address) = support::server(Config::default()).await;
        let (running, handle) = start(server, address, form, &alive);
        // The first ones may open what stays open.
        live_all(address, 40).await;
        until("values in the first lives", 0, || alive.load(Ordering::Relaxed)).await;
        let listening = files_before + 1;
        until("files after the first lives", listening, open_files).await;
        let tasks_at_rest = tasks_before + 3;
        until(
            "tasks after the first lives (the server's, its clock's and its mailroom's)",
            tasks_at_rest,
            tasks,
        )
        .await;

        live_all(address, LIVES).await;
        until("values of handlers", 0, || alive.load(Ordering::Relaxed)).await;
        until("open files", listening, open_files).await;
        until("tasks", tasks_at_rest, tasks).await;
        until("connections", 0, || handle.stats().connections).await;
        until("bytes that are held", 0, || handle.stats().buffered_bytes).await;
        assert_eq!(handle.stats().closed_for_memory, 0);

        // Every place is free, and none more.
        let mut peers = Vec::new();
        while peers.len() < PLACES {
            peers.push(soon(connect_when_free(&running)).await);
        }
        assert!(Peer::request(address, "/", "").await.head.starts_with("HTTP/1.1 503 "));
        assert_eq!(handle.stats().connections, PLACES);
        drop(peers);
        until("open files at the end", listening, open_files).await;
        running.stop().await;
        until("files without the server", files_before, open_files).await;
        until("tasks without the server", tasks_before, tasks).await;
    }
}
