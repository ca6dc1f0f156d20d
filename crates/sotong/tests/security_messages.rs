//! Messages that are made to cost much (security.md, memory and length arithmetic): refused by what they announce,
//! bounded by what they hold.
#![cfg(target_os = "linux")]

mod support;

use std::time::Duration;

use sotong::{Config, Error, Events, MessageRef, Sender, WebSocket};
use support::{BINARY, CLOSE, PING, Peer, Running, SOON, TEXT, frame};
use tokio::io::AsyncWriteExt;

struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        let _ = socket.try_send(message);
    }
}

async fn both_forms(config: Config) -> [Running; 2] {
    let echo = async |mut socket: WebSocket| {
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
        Ok::<(), Error>(())
    };
    [support::pull(config.clone(), echo).await, support::events(config, |_| Echo).await]
}

/// The header of a frame that announces so many bytes.
fn announcing(opcode: u8, length: u64) -> Vec<u8> {
    let mut header = vec![0x80 | opcode, 0x80 | 127];
    header.extend(length.to_be_bytes());
    header.extend([1, 2, 3, 4]);
    header
}

/// The memory that this process has asked for, touched or not, in bytes.
fn reserved() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: usize = text.split(' ').next().and_then(|pages| pages.parse().ok()).expect("the first number");
    pages * 4096
}

/// What the allocator may take besides; threads of other tests get 64 MiB of addresses each.
const NOISE: usize = 1 << 30;

#[tokio::test]
async fn a_huge_announced_length_is_a_1009_before_anything_is_kept() {
    let max = 1 << 20;
    for running in both_forms(Config::default().with_message_bytes_max(max)).await {
        for length in [max + 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, (1 << 62) + 7, (1 << 63) - 1]
        {
            let mut peer = running.connect().await;
            peer.raw(&announcing(BINARY, length)).await;
            let (code, reason) = peer.expect_close().await;
            assert_eq!(code, 1009, "{length}");
            assert!(reason.contains("1048576"), "it says what is allowed: {reason}");
        }
        // The highest bit must be 0 (RFC 6455, section 5.2), limit or not.
        for length in [1 << 63, u64::MAX] {
            let mut peer = running.connect().await;
            peer.raw(&announcing(BINARY, length)).await;
            assert_eq!(peer.expect_close().await.0, 1002, "{length}");
        }
        running.stop().await;
    }
}

/// The same with no limit at all: nothing may overflow, and an announcement costs nothing.
#[tokio::test]
async fn a_huge_announced_length_costs_nothing_without_a_limit_either() {
    const PEERS: usize = 30;
    for running in both_forms(Config::default().with_message_bytes_max(u64::MAX)).await {
        let before = reserved();
        let mut peers = Vec::new();
        for index in 0..PEERS {
            let mut peer = running.connect().await;
            peer.raw(&announcing(BINARY, [1 << 31, 1 << 40, (1 << 63) - 1][index % 3])).await;
            peer.raw(b"and some of it").await;
            peers.push(peer);
        }
        // Accepted and served in order, so what the others have sent was read by then.
        let mut other = running.connect().await;
        other.text("still here").await;
        other.expect_text("still here").await;
        let grown = reserved().saturating_sub(before);
        assert!(grown < NOISE, "{grown} bytes for {PEERS} announcements");
        drop((peers, other));
        running.stop().await;
    }
}

#[tokio::test]
async fn an_announcement_within_the_limit_costs_what_comes_and_not_what_is_announced() {
    const PEERS: usize = 100;
    const ANNOUNCED: u64 = 64 << 20;
    for running in both_forms(Config::default().with_message_bytes_max(ANNOUNCED)).await {
        let before = reserved();
        let mut peers = Vec::new();
        for _ in 0..PEERS {
            let mut peer = running.connect().await;
            peer.raw(&announcing(BINARY, ANNOUNCED)).await;
            peer.raw(&[0; 100]).await;
            peers.push(peer);
        }
        let mut other = running.connect().await;
        other.text("still here").await;
        other.expect_text("still here").await;
        let grown = reserved().saturating_sub(before);
        assert!(grown < NOISE, "{grown} bytes for {PEERS} times 100 bytes");
        drop((peers, other));
        running.stop().await;
    }
}

/// Sends the same frames until the server closes; returns its code.
async fn sends_until_closed(mut peer: Peer, begin: &[u8], again: &[u8]) -> u16 {
    peer.raw(begin).await;
    let (reader, mut writer) = peer.stream.into_split();
    let sending = async {
        while writer.write_all(again).await.is_ok() {}
        writer
    };
    let closing = async {
        let mut seen = Vec::new();
        loop {
            reader.readable().await.expect("the server is there");
            let mut bytes = [0; 256];
            match reader.try_read(&mut bytes) {
                Ok(0) => panic!("the stream ends without a close frame: {seen:?}"),
                Ok(count) => seen.extend(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(error) => panic!("{error} before a close frame: {seen:?}"),
            }
            if seen.len() >= 4 {
                assert_eq!(seen[0], 0x80 | CLOSE);
                return u16::from_be_bytes([seen[2], seen[3]]);
            }
        }
    };
    tokio::time::timeout(SOON, async {
        tokio::select! {
            code = closing => code,
            _ = sending => panic!("the server went without a close frame"),
        }
    })
    .await
    .expect("a limit ends it")
}

/// CVE-2014-0193, CVE-2026-42786, CVE-2026-48779: fragments without end, of one byte and of none.
#[tokio::test]
async fn endless_tiny_fragments_are_a_1009() {
    let config = Config::default().with_message_bytes_max(64 * 1024);
    for running in both_forms(config).await {
        for (begin, payload) in [(&b"a"[..], &b"b"[..]), (b"", b""), (b"a", b"")] {
            let peer = running.connect().await;
            let code = sends_until_closed(peer, &frame(TEXT, false, begin), &frame(0, false, payload)).await;
            assert_eq!(code, 1009, "{begin:?} {payload:?}");
        }
        running.stop().await;
    }
}

/// Fragments one by one, each in a segment of its own and with a Ping between: the sum counts, however it comes.
#[tokio::test]
async fn fragments_in_many_reads_count_together() {
    let config = Config::default().with_message_bytes_max(10_000).with_ping_interval(None);
    for running in both_forms(config).await {
        let mut peer = running.connect().await;
        peer.raw(&frame(BINARY, false, &[0; 1000])).await;
        for _ in 0..9 {
            peer.raw(&frame(0, false, &[0; 1000])).await;
            peer.send(PING, b"").await;
            let pong = peer.next().await.expect("a pong");
            assert_eq!(pong.opcode, support::PONG, "{pong:?}");
        }
        // At the limit it goes on, one byte past it not.
        peer.raw(&frame(0, false, b"")).await;
        peer.send(PING, b"").await;
        assert_eq!(peer.next().await.expect("a pong").opcode, support::PONG);
        peer.raw(&frame(0, false, b"x")).await;
        assert_eq!(peer.expect_close().await.0, 1009);
        drop(peer);
        running.stop().await;
    }
}

/// What one peer does wrong costs another nothing.
#[tokio::test]
async fn a_peer_that_is_refused_for_its_message_disturbs_nobody() {
    let config = Config::default().with_message_bytes_max(1000).with_close_timeout(Duration::from_secs(60));
    for running in both_forms(config).await {
        let mut good = running.connect().await;
        for bad in [
            announcing(TEXT, 1001),
            vec![0x81, 0x00],
            vec![0xf1, 0x80, 0, 0, 0, 0],
            frame(TEXT, true, b"\xff"),
        ] {
            let mut peer = running.connect().await;
            peer.raw(&bad).await;
            let code = peer.expect_close().await.0;
            assert!(matches!(code, 1002 | 1007 | 1009), "{bad:?}: {code}");
            good.text("still here").await;
            good.expect_text("still here").await;
        }
        good.close().await;
        running.stop().await;
    }
}
