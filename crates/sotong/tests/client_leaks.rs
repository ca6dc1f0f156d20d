//! Ten thousand times connect, send, close, and a thousand connects that fail in every way: tasks, files and memory are
//! back where they were.
//!
//! Files and memory are counted per process, so this file holds a single test.
#![cfg(target_os = "linux")]

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use scripted::Scripted;
use sotong::{
    Client, CloseCode, Closed, Config, ConnectTimeouts, Events, MessageRef, Refusal, Request, Sender,
};
use support::{SOON, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

const CYCLES: usize = 10_000;
const FAILURES: usize = 1_000;
const AT_ONCE: usize = 16;
/// Allocators keep some of what they had (90 KB was seen). A hundred bytes for each connection would be more than this.
const GROWTH_BYTES_MAX: usize = 1 << 20;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux has it").count()
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Memory of this process that is in RAM.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}

struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        socket.try_send(message).expect("there is room");
    }
}

/// Sends once, and closes when the answer is there.
struct Once(Arc<AtomicUsize>);

impl Events for Once {
    fn open(&mut self, socket: &Sender) {
        socket.try_send("hello").expect("there is room");
    }

    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        assert_eq!(message, MessageRef::Text("hello"));
        socket.close(CloseCode::NORMAL, "");
    }

    fn close(&mut self, closed: &Arc<Closed>) {
        assert!(closed.clean, "{closed}");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One cycle, by its number: every second one in event form.
async fn cycle(client: Client, url: Arc<str>, closed: Arc<AtomicUsize>, number: usize) {
    if number.is_multiple_of(2) {
        let mut socket = client.connect(&url).await.expect("connected");
        socket.send("hello").await.expect("it is open");
        assert_eq!(socket.recv().await.expect("it is open"), Some("hello".into()));
        assert!(socket.close(CloseCode::NORMAL, "").await.clean);
        closed.fetch_add(1, Ordering::Relaxed);
    } else {
        let once = closed.clone();
        let sender = client.connect_events(&url, |_| Once(once)).await.expect("connected");
        sender.closed().await;
    }
}

/// A server that fails each client in another way.
async fn fail_them(server: Scripted) {
    for number in 0.. {
        let mut stream = server.accept().await;
        tokio::spawn(async move {
            let mut request = [0; 2048];
            if number % 5 == 0 || stream.read(&mut request).await.is_err() {
                return;
            }
            let answer = match number % 5 {
                1 => "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno",
                2 => "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
                3 => "SSH-2.0-OpenSSH\r\n",
                // It says nothing and waits for the client to go.
                _ => "HTTP/1.1 10",
            };
            // The client may have gone.
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.read(&mut request).await;
        });
    }
}

/// Runs `count` of something, some at once.
async fn all<F>(count: usize, mut one: impl FnMut(usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    for number in 0..count {
        if running.len() >= AT_ONCE {
            running.join_next().await.expect("there are some").expect("it went as planned");
        }
        running.spawn(one(number));
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("it went as planned");
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

#[tokio::test]
async fn ten_thousand_cycles_and_a_thousand_failures_leave_nothing_behind() {
    let (files_before, tasks_before) = (open_files(), tasks());
    let (server, address) = support::server(Config::default()).await;
    let serve = server.serve_events(|_: &Request| Ok::<_, Refusal>(Echo));
    let running = support::Running::start(address, serve);
    let url: Arc<str> = format!("ws://{address}/").into();
    let closed = Arc::new(AtomicUsize::new(0));

    // By turns as the RFC wants it, and side by side.
    let clients = [Client::new(), Client::new().with_simultaneous_connects()];
    let cycles = |count: usize| {
        let (clients, url, closed) = (clients.clone(), url.clone(), closed.clone());
        all(count, move |number| cycle(clients[number / 2 % 2].clone(), url.clone(), closed.clone(), number))
    };
    // The first ones make what stays: the scratch buffers, the allocator's heaps.
    cycles(1_000).await;
    let at_rest = tasks_before + 3;
    until("tasks (the server's, its clock's and its mailroom's)", at_rest, tasks).await;
    until("files (the listener)", files_before + 1, open_files).await;
    let resident_before = resident_bytes();

    cycles(CYCLES).await;
    until("closed connections", 1_000 + CYCLES, || closed.load(Ordering::Relaxed)).await;
    until("tasks", at_rest, tasks).await;
    until("files", files_before + 1, open_files).await;

    let scripted = Scripted::start().await;
    let failing: Arc<str> = scripted.url().into();
    let failures = tokio::spawn(fail_them(scripted));
    let timeouts = ConnectTimeouts::default().with_handshake(Duration::from_millis(2));
    let client = Client::new().with_simultaneous_connects().with_timeouts(timeouts);
    all(FAILURES, |number| {
        let (client, url) = (client.clone(), failing.clone());
        async move {
            let connecting = client.connect(&url);
            if number.is_multiple_of(3) {
                // Dropped wherever it has got to.
                let _ = tokio::time::timeout(Duration::from_micros(number as u64), connecting).await;
            } else {
                soon(connecting).await.expect_err("it fails");
            }
        }
    })
    .await;
    failures.abort();
    until("tasks after failures", at_rest, tasks).await;
    until("files after failures", files_before + 1, open_files).await;

    let grown = resident_bytes().saturating_sub(resident_before);
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes more are in use");
    running.stop().await;
    until("tasks without the server", tasks_before, tasks).await;
    until("files without the server", files_before, open_files).await;
}
