//! Guarantee 10: one message to many is encoded once. Who has not taken it yet holds a reference to it, not a copy.
//!
//! Alone in its file: it looks at the memory of its process.

mod support;

use sotong::{Config, Events, MessageRef, Sender, Slow, Topics};
use support::{Peer, soon};

const SUBSCRIBERS: usize = 64;
/// More than the kernel takes for one connection.
const MESSAGE_BYTES: usize = 16 * 1024 * 1024;

struct Member;

impl Events for Member {
    fn open(&mut self, socket: &Sender) {
        socket.subscribe("room").expect("it may");
        socket.try_send("welcome").expect("there is room");
    }

    fn message(&mut self, _: &Sender, _: MessageRef<'_>) {}
}

/// Resident anonymous memory of this process.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("Linux has it");
    let kib: usize = line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
    kib * 1024
}

/// Publishes to readers that do not read, and returns by how much that has grown the process.
async fn grown_by(slow: Slow) -> usize {
    let topics = Topics::new().with_slow(move |_| slow.clone());
    let (server, address) = support::server(Config::default()).await;
    let serve = server
        .with_topics(topics.clone())
        .serve_events(|_: &sotong::Request| Ok::<_, sotong::Refusal>(Member));
    let handle = serve.handle();
    let running = support::Running::start(address, serve);
    let mut peers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut peer: Peer = running.connect().await;
        peer.expect_text("welcome").await;
        peers.push(peer);
    }
    let message = vec![1; MESSAGE_BYTES];
    let before = resident_bytes();
    assert_eq!(topics.publish("room", &message[..]), SUBSCRIBERS);
    soon(async {
        while topics.stats().delivered < SUBSCRIBERS as u64 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // All have been offered it, and the kernel does not take it all.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let grown = resident_bytes().saturating_sub(before);
    assert_eq!(handle.stats().buffered_bytes, MESSAGE_BYTES, "what is shared is counted once");
    // It arrives whole, though by reference.
    let mut last = peers.pop().expect("there are some");
    assert!(last.next().await.expect("it is there").payload == message);
    drop(peers);
    drop(last);
    running.stop().await;
    assert!(topics.is_empty());
    grown
}

#[tokio::test]
async fn many_slow_readers_hold_one_copy() {
    for slow in [Slow::Close, Slow::KeepNewest] {
        let grown = grown_by(slow.clone()).await;
        // Copies would be a gibibyte.
        assert!(grown < 4 * MESSAGE_BYTES, "{grown} bytes for {SUBSCRIBERS} readers, {slow:?}");
    }
}
