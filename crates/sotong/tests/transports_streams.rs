//! The guarantees over carriers that are no TCP: unix sockets and memory, in each form, with and without worker threads.

#[path = "support/carried.rs"]
mod carried;
mod support;

use std::time::Duration;

use carried::{Carried, EACH, Peer, pairs, read_frame};
use sotong::{Client, CloseCode, Config, Initiator, Message};
use support::{BINARY, CLOSE, PING, PONG, TEXT, frame, soon};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn messages_pings_and_the_close_handshake() {
    for each in EACH {
        let mut server = Carried::start(each, Config::default());
        for (kind, near, far) in pairs() {
            let mut peer = server.open(near, far).await;
            let sender = server.sender().await;
            assert_eq!((sender.peer_addr(), sender.client_ip()), (None, None), "{kind}");
            for (opcode, payload) in [(TEXT, "소통".as_bytes()), (BINARY, &[0, 255]), (TEXT, b"")] {
                peer.send(opcode, payload).await;
                peer.expect(opcode, payload).await;
            }
            peer.raw(&frame(TEXT, false, b"in ")).await;
            peer.send(PING, b"between").await;
            peer.expect(PONG, b"between").await;
            peer.raw(&frame(0, true, b"two")).await;
            peer.expect(TEXT, b"in two").await;
            peer.send(CLOSE, &[&4321u16.to_be_bytes()[..], b"enough"].concat()).await;
            let answer = peer.next().await.expect("a close frame");
            assert_eq!(answer.close_code(), Some(4321), "{kind} {each:?}");
            peer.expect_end().await;
            drop(peer);
            let closed = server.end().await;
            assert_eq!((closed.code(), closed.clean, closed.first), (4321, true, Some(Initiator::Peer)));
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn the_server_may_close_first() {
    for each in EACH {
        let mut server = Carried::start(each, Config::default());
        for (kind, near, far) in pairs() {
            let mut peer = server.open(near, far).await;
            let sender = server.sender().await;
            soon(sender.send("last words")).await.expect("it is open");
            assert!(sender.close(CloseCode::GOING_AWAY, "enough"));
            peer.expect(TEXT, b"last words").await;
            peer.expect(CLOSE, &[&1001u16.to_be_bytes()[..], b"enough"].concat()).await;
            peer.send(CLOSE, &1001u16.to_be_bytes()).await;
            peer.expect_end().await;
            drop(peer);
            let closed = soon(sender.closed()).await;
            assert!(closed.clean, "{kind} {each:?}: {closed}");
            server.end().await;
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_shutdown_says_1001() {
    for each in EACH {
        let mut server = Carried::start(each, Config::default());
        let mut peers = Vec::new();
        for (_, near, far) in pairs() {
            peers.push(server.open(near, far).await);
        }
        server.begin_stop();
        for mut peer in peers {
            let close = peer.next().await.expect("a close frame");
            assert_eq!(close.close_code(), Some(1001));
            peer.send(CLOSE, &1001u16.to_be_bytes()).await;
            peer.expect_end().await;
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_peer_that_vanishes() {
    for each in EACH {
        let mut server = Carried::start(each, Config::default());
        for (kind, near, far) in pairs() {
            let mut peer = server.open(near, far).await;
            peer.send(TEXT, b"hello").await;
            peer.expect(TEXT, b"hello").await;
            // In the middle of a frame.
            peer.raw(&frame(TEXT, true, b"never whole")[..7]).await;
            drop(peer);
            let closed = server.end().await;
            assert_eq!((closed.code(), closed.clean), (1006, false), "{kind} {each:?}");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn messages_of_a_mebibyte() {
    for each in EACH {
        let server = Carried::start(each, Config::default());
        for (_, near, far) in pairs() {
            let mut peer = server.open(near, far).await;
            let (mut reader, mut writer) = tokio::io::split(peer.stream);
            let large: Vec<u8> = (0..1 << 20).map(|index| ((index * 31) >> 3) as u8).collect();
            let bytes = frame(BINARY, true, &large);
            let writing = tokio::spawn(async move {
                for _ in 0..3 {
                    soon(writer.write_all(&bytes)).await.expect("the server reads");
                }
                writer
            });
            for _ in 0..3 {
                let answer = soon(read_frame(&mut reader)).await.expect("an answer");
                assert!(answer.opcode == BINARY && answer.payload == large, "what was sent");
            }
            let writer = writing.await.expect("it did not panic");
            peer = Peer { stream: Box::new(reader.unsplit(writer)) };
            peer.close().await;
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn ten_thousand_small_messages_in_order() {
    for each in EACH {
        let server = Carried::start(each, Config::default());
        for (_, near, far) in pairs() {
            let peer = server.open(near, far).await;
            let (mut reader, mut writer) = tokio::io::split(peer.stream);
            let writing = tokio::spawn(async move {
                // Some at once, some apart: cut where it happens.
                for hundred in 0..100u32 {
                    let frames: Vec<u8> = (0..100)
                        .flat_map(|index| frame(TEXT, true, (hundred * 100 + index).to_string().as_bytes()))
                        .collect();
                    soon(writer.write_all(&frames)).await.expect("the server reads");
                }
                writer
            });
            for index in 0..10_000u32 {
                let answer = soon(read_frame(&mut reader)).await.expect("an answer");
                assert_eq!(answer.text(), index.to_string());
            }
            let writer = writing.await.expect("it did not panic");
            Peer { stream: Box::new(reader.unsplit(writer)) }.close().await;
        }
        server.stop().await;
    }
}

/// A peer that asks and asks and reads no answer: it is no longer read from, and what waits is bounded.
#[tokio::test]
async fn g5_a_slow_reader_is_slowed_down_and_memory_stays_bounded() {
    const OUTBOX: usize = 256 * 1024;
    const INBOX: usize = 64 * 1024;
    // What the kernel or the pair of pipes holds, in both directions, generously.
    const CARRIER: usize = 4 << 20;
    for each in EACH {
        let config = Config::default().with_outbox_bytes_max(OUTBOX).with_inbox_bytes_max(INBOX);
        let mut server = Carried::start(each, config);
        for (kind, near, far) in pairs() {
            let peer = server.open(near, far).await;
            let sender = server.sender().await;
            let (mut reader, mut writer) = tokio::io::split(peer.stream);
            let question = frame(BINARY, true, &[0x42; 8 * 1024]);
            let (mut asked, mut most) = (0, 0);
            // It is stuck when nothing moves for a while.
            loop {
                let moved =
                    tokio::time::timeout(Duration::from_millis(500), writer.write_all(&question)).await;
                most = most.max(sender.buffered_bytes());
                match moved {
                    Ok(written) => written.expect("the server reads"),
                    Err(_) => break,
                }
                asked += 1;
                assert!(asked * question.len() < OUTBOX + INBOX + 2 * CARRIER, "{kind} {each:?}: no end");
            }
            assert!(most <= OUTBOX, "{kind} {each:?}: {most} bytes wait");
            assert!(asked > 8, "{kind} {each:?}: it takes some");
            // A question that was cut off by the timeout is written to its end by nobody; but all before it are
            // answered, as soon as the peer reads.
            for _ in 0..asked {
                let answer = soon(read_frame(&mut reader)).await.expect("an answer");
                assert!(answer.payload == [0x42; 8 * 1024], "what was asked");
            }
            drop((reader, writer));
            assert!(!server.end().await.clean);
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_write_that_stalls_ends_by_its_deadline() {
    for (form, threads) in EACH {
        let config = Config::default().with_write_timeout(Some(Duration::from_millis(200)));
        let mut server = Carried::start((form, threads), config);
        for (kind, near, far) in pairs() {
            let peer = server.open(near, far).await;
            let sender = server.sender().await;
            soon(sender.send(Message::binary(vec![0; 16 << 20]))).await.expect("one is always taken");
            let closed = soon(sender.closed()).await;
            assert!(!closed.clean, "{kind} {form:?}");
            drop(peer);
            server.end().await;
        }
        server.stop().await;
    }
}

/// Our client at the other end, over the same pairs.
#[tokio::test]
async fn our_client_speaks_over_them_too() {
    for each in EACH {
        let server = Carried::start(each, Config::default());
        for (kind, near, far) in pairs() {
            server.handle.accept(far, Vec::new()).expect("the server is there");
            let mut socket = soon(Client::new().connect_over(sotong::Carrier::new(near), "ws://127.0.0.1/"))
                .await
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
            for index in 0..100 {
                socket.send(format!("message {index}")).await.expect("it is open");
            }
            for index in 0..100 {
                let message = soon(socket.recv()).await.expect("it is open").expect("it is open");
                assert_eq!(message, Message::text(format!("message {index}")));
            }
            let closed = soon(socket.close(CloseCode::NORMAL, "")).await;
            assert!(closed.clean, "{kind} {each:?}: {closed}");
        }
        server.stop().await;
    }
}
