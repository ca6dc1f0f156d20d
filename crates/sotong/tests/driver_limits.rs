//! Limits and deadlines at the ends of their ranges: each does something sensible, nothing overflows, nothing spins.

mod support;

use std::time::Duration;

use sotong::{Config, Error, Events, MessageRef, Sender, WebSocket};
use support::{BINARY, CLOSE, PING, PONG, Peer, Running, TEXT};

struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        socket.try_send(message).expect("one message is always accepted");
    }
}

async fn both_forms(config: &Config) -> [Running; 2] {
    let pull = support::pull(config.clone(), async |mut socket: WebSocket| {
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
        Ok::<(), Error>(())
    });
    [support::events(config.clone(), |_| Echo).await, pull.await]
}

/// The next frame that is no Ping of the keep-alive.
async fn next(peer: &mut Peer) -> support::Frame {
    loop {
        let frame = peer.next().await.expect("a frame");
        if frame.opcode != PING {
            return frame;
        }
    }
}

/// How long this thread has run, in nanoseconds. A test's runtime has no other, and other processes do not count.
#[cfg(target_os = "linux")]
fn thread_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    stat.split(' ').next().and_then(|time| time.parse().ok()).expect("a number")
}

fn odd_configs() -> Vec<(&'static str, Config)> {
    let config = Config::default;
    let (zero, tiny, max) = (Duration::ZERO, Duration::from_nanos(1), Duration::MAX);
    vec![
        ("inbox 0", config().with_inbox_bytes_max(0)),
        ("inbox 1", config().with_inbox_bytes_max(1)),
        ("inbox max", config().with_inbox_bytes_max(usize::MAX)),
        ("outbox 0", config().with_outbox_bytes_max(0)),
        ("outbox max", config().with_outbox_bytes_max(usize::MAX)),
        ("pongs 0", config().with_pong_bytes_max(0)),
        ("pongs max", config().with_pong_bytes_max(usize::MAX)),
        ("message max", config().with_message_bytes_max(u64::MAX)),
        ("ping interval zero", config().with_ping_interval(Some(zero))),
        ("ping interval tiny", config().with_ping_interval(Some(tiny))),
        ("ping interval and pong max", config().with_ping_interval(Some(max)).with_pong_timeout(max)),
        ("ping tiny, pong max", config().with_ping_interval(Some(tiny)).with_pong_timeout(max)),
        ("pong zero", config().with_pong_timeout(zero)),
        ("message max", config().with_message_timeout(Some(max))),
        ("message none", config().with_message_timeout(None)),
        ("write zero", config().with_write_timeout(Some(zero))),
        ("write max", config().with_write_timeout(Some(max))),
        ("close zero", config().with_close_timeout(zero)),
        ("close max", config().with_close_timeout(max)),
        ("handshake max", config().with_handshake_timeout(max)),
        ("all off", config().with_ping_interval(None).with_message_timeout(None).with_write_timeout(None)),
    ]
}

#[tokio::test]
async fn every_limit_at_its_ends_still_echoes_and_closes_and_does_not_spin() {
    for (name, config) in odd_configs() {
        for running in both_forms(&config).await {
            let mut peer = running.connect().await;
            for length in [0, 1, 200, 70_000] {
                peer.send(BINARY, &vec![7; length]).await;
                assert_eq!(next(&mut peer).await.payload.len(), length, "{name}");
            }
            peer.send(PING, b"are you there").await;
            assert_eq!(next(&mut peer).await.opcode, PONG, "{name}");
            peer.send(TEXT, "끝".as_bytes()).await;
            assert_eq!(next(&mut peer).await.text(), "끝", "{name}");
            #[cfg(target_os = "linux")]
            {
                let before = thread_time();
                tokio::time::sleep(Duration::from_millis(150)).await;
                let ran = thread_time() - before;
                assert!(ran < 50_000_000, "{name}: an idle connection ran for {ran} ns of 150 ms");
            }
            peer.send(CLOSE, &1000u16.to_be_bytes()).await;
            assert_eq!(next(&mut peer).await.close_code(), Some(1000), "{name}");
            peer.expect_end().await;
        }
    }
}

#[tokio::test]
async fn a_message_timeout_of_zero_fails_a_message_that_comes_in_pieces() {
    for running in both_forms(&Config::default().with_message_timeout(Some(Duration::ZERO))).await {
        let mut peer = running.connect().await;
        peer.text("in one piece").await;
        peer.expect_text("in one piece").await;
        peer.raw(&support::frame(TEXT, true, b"in two pieces")[..9]).await;
        assert_eq!(peer.next().await.expect("a close").close_code(), Some(1008));
    }
}
