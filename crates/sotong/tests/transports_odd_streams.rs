//! Streams of the caller's: reluctant ones, ones that keep what is written, ones that fail, ones that panic.

#[path = "support/carried.rs"]
mod carried;
#[path = "support/odd_streams.rs"]
mod odd_streams;
mod support;

use std::time::Duration;

use carried::{Carried, EACH, Peer, read_frame};
use odd_streams::{Call, Control, EVERY_CALL, Fault, Habit, odd};
use sotong::{Carrier, Config, Message, Sender};
use support::{BINARY, CLOSE, PING, PONG, TEXT, frame, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server, one connection over a stream with this habit, its sender, and the hand on the stream.
async fn open(
    each: (carried::Form, usize),
    habit: Habit,
    config: Config,
) -> (Carried, Peer, Sender, Control) {
    let mut server = Carried::start(each, config);
    let (near, far, control) = odd(habit);
    let peer = server.open(near, Carrier::new(far)).await;
    let sender = server.sender().await;
    (server, peer, sender, control)
}

#[tokio::test]
async fn a_stream_that_is_pending_at_every_byte_carries_all_the_same() {
    for habit in [Habit::Reluctant, Habit::OneByteWrites, Habit::HeldFlush] {
        for each in EACH {
            let (server, mut peer, sender, _) = open(each, habit, Config::default()).await;
            // Beyond 65,535 bytes the header has another form; a byte at a time that takes seconds.
            let longest = if habit == Habit::HeldFlush { 70_000 } else { 5000 };
            for length in [0, 1, 125, 126, longest] {
                let message: Vec<u8> = (0..length).map(|index| index as u8).collect();
                peer.send(BINARY, &message).await;
                peer.expect(BINARY, &message).await;
            }
            let burst: Vec<u8> =
                (0..100u32).flat_map(|index| frame(TEXT, true, index.to_string().as_bytes())).collect();
            peer.raw(&burst).await;
            for index in 0..100u32 {
                peer.expect(TEXT, index.to_string().as_bytes()).await;
            }
            peer.send(PING, b"still there").await;
            peer.expect(PONG, b"still there").await;
            soon(sender.flushed()).await.expect("it is open");
            peer.close().await;
            server.stop().await;
        }
    }
}

#[tokio::test]
async fn the_header_and_the_payload_leave_in_one_write() {
    for each in EACH {
        let (server, mut peer, sender, control) = open(each, Habit::None, Config::default()).await;
        soon(sender.flushed()).await.expect("it is open");
        control.take_writes();
        // Large enough to be sent by reference, as a slice of its own.
        soon(sender.send(Message::binary(vec![7; 32 * 1024]))).await.expect("it is open");
        peer.expect(BINARY, &[7; 32 * 1024]).await;
        soon(sender.flushed()).await.expect("it is open");
        assert_eq!(control.take_writes(), [4 + 32 * 1024], "{each:?}");
        // Small answers to one read leave together, too.
        let questions: Vec<u8> = (0..50).flat_map(|_| frame(TEXT, true, b"question")).collect();
        peer.raw(&questions).await;
        for _ in 0..50 {
            peer.expect(TEXT, b"question").await;
        }
        soon(sender.flushed()).await.expect("it is open");
        let writes = control.take_writes();
        assert_eq!(writes.iter().sum::<usize>(), 50 * (2 + 8));
        assert!(writes.len() <= 3, "{each:?}: {writes:?}");
        peer.close().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn flushed_waits_for_the_streams_own_flush() {
    for each in EACH {
        let (server, mut peer, sender, control) = open(each, Habit::HeldFlush, Config::default()).await;
        soon(sender.flushed()).await.expect("it is open");
        control.hold_flushes(true);
        soon(sender.send("held")).await.expect("there is room");
        let mut flushed = Box::pin(sender.flushed());
        let early = tokio::time::timeout(Duration::from_millis(100), &mut flushed).await;
        assert!(early.is_err(), "{each:?}: the stream still keeps it");
        // It counts as waiting until then, and so does what comes behind it.
        assert!(sender.buffered_bytes() >= 6, "{}", sender.buffered_bytes());
        soon(sender.send("behind")).await.expect("there is room");
        control.hold_flushes(false);
        soon(flushed).await.expect("it is open");
        peer.expect(TEXT, b"held").await;
        peer.expect(TEXT, b"behind").await;
        soon(sender.flushed()).await.expect("it is open");
        assert_eq!(sender.buffered_bytes(), 0);
        peer.close().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn g9_a_flush_that_never_comes_is_a_write_that_stalls() {
    for each in EACH {
        let config = Config::default().with_write_timeout(Some(Duration::from_millis(200)));
        let (mut server, _peer, sender, control) = open(each, Habit::HeldFlush, config).await;
        soon(sender.flushed()).await.expect("it is open");
        control.hold_flushes(true);
        soon(sender.send("never")).await.expect("there is room");
        soon(sender.flushed()).await.expect_err("it never is");
        assert!(!server.end().await.clean, "{each:?}");
        server.stop().await;
    }
}

/// Makes the server do all four, and answers its Close if one comes.
async fn provoke(mut peer: Peer) {
    let all = [frame(TEXT, true, b"hello"), frame(CLOSE, true, &1000u16.to_be_bytes())].concat();
    let _ = peer.stream.write_all(&all).await;
    while soon(read_frame(&mut peer.stream)).await.is_some() {}
}

#[tokio::test]
async fn a_stream_that_fails_or_panics_ends_its_own_connection_and_nothing_else() {
    for each in EACH {
        // Where our direction cannot be ended, the peer does not know that we wait for it to go.
        let config = Config::default().with_close_timeout(Duration::from_millis(200));
        let mut server = Carried::start(each, config);
        let (near, far) = sotong::memory();
        let mut bystander = server.open(near, far).await;
        server.sender().await;
        for fault in [Fault::Error, Fault::Panic] {
            for call in EVERY_CALL {
                let (near, far, control) = odd(Habit::None);
                let peer = server.open(near, Carrier::new(far)).await;
                let sender = server.sender().await;
                soon(sender.flushed()).await.expect("it is open");
                control.break_at(call, fault);
                soon(provoke(peer)).await;
                let closed = server.end().await;
                assert_eq!(closed, soon(sender.closed()).await);
                // What comes after the last word changes nothing about it.
                if call != Call::Shutdown {
                    assert!(!closed.clean, "{each:?} {call:?} {fault:?}: {closed}");
                }
                soon(sender.send("too late")).await.expect_err("it is over");
                soon(sender.flushed()).await.expect_err("it is over");
            }
        }
        bystander.send(TEXT, b"still here").await;
        bystander.expect(TEXT, b"still here").await;
        bystander.close().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_stream_that_fails_or_panics_in_the_handshake_leaves_nothing() {
    for each in EACH {
        let server = Carried::start(each, Config::default());
        for fault in [Fault::Error, Fault::Panic] {
            for call in [Call::Read, Call::Write, Call::Flush] {
                let (mut near, far, control) = odd(Habit::None);
                control.break_at(call, fault);
                server.handle.accept(Carrier::new(far), Vec::new()).expect("the server is there");
                let nowhere = "127.0.0.1:1".parse().expect("an address");
                let _ = near.write_all(support::handshake(nowhere, "/", "").as_bytes()).await;
                let mut rest = Vec::new();
                // The end of the stream, whatever came before it.
                let _ = soon(near.read_to_end(&mut rest)).await;
            }
        }
        let (near, far) = sotong::memory();
        server.open(near, far).await.close().await;
        server.stop().await;
    }
}
