//! Guarantee 2: an idle connection owns no read buffer and no write buffer. (`dev/bench memory` has the bytes.)
//!
//! Alone in its file: it looks at the memory of its process.

mod support;

use sotong::{Config, Events, MessageRef, Sender};
use support::{BINARY, Running};

const CONNECTIONS: usize = 300;
const MESSAGE_BYTES: usize = 64 * 1024;

struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        socket.try_send(message).expect("there is room");
    }
}

/// Resident anonymous memory of this process.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("Linux has it");
    let kib: usize = line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
    kib * 1024
}

/// Uses each connection once, with a message that comes in several reads, and leaves it idle.
async fn crowd(server: &Running) -> usize {
    let payload = vec![1; MESSAGE_BYTES];
    let mut idle = Vec::with_capacity(CONNECTIONS);
    let before = resident_bytes();
    for _ in 0..CONNECTIONS {
        let mut peer = server.connect().await;
        peer.send(BINARY, &payload).await;
        assert_eq!(peer.next().await.expect("an echo").payload.len(), MESSAGE_BYTES);
        idle.push(peer);
    }
    (resident_bytes() - before.min(resident_bytes())) / CONNECTIONS
}

#[tokio::test]
async fn no_buffer_stays_with_an_idle_connection() {
    let events = support::events(Config::default(), |_| Echo).await;
    let pull = support::pull_echo(Config::default()).await;
    for (server, form) in [(events, "event"), (pull, "pull")] {
        // What exists once: the worker's buffers, the allocator's reserves.
        crowd(&server).await;
        let bytes = crowd(&server).await;
        // Both ends live in this process. One buffer kept would be 64 KiB.
        assert!(bytes < MESSAGE_BYTES / 8, "{bytes} bytes per idle connection in {form} form");
    }
}
