//! Guarantee 3: large payloads go out by reference, and a small message never pins a large buffer.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sotong::{Config, Events, Message, MessageRef, Sender, WebSocket};
use support::{BINARY, PING, PONG, Peer, TEXT, frame, soon};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// A payload that tells when nobody refers to it any more.
struct Watched {
    bytes: Vec<u8>,
    is_gone: Arc<AtomicBool>,
}

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_large_payload_is_shared_and_not_copied() {
    const BYTES: usize = 8 << 20;
    let is_gone = Arc::new(AtomicBool::new(false));
    let payload = Bytes::from_owner(Watched { bytes: vec![7; BYTES], is_gone: is_gone.clone() });
    // One for each connection, and none for us.
    let payloads = Arc::new(Mutex::new(vec![payload.clone(), payload.clone(), payload]));
    let (report, mut reports) = mpsc::unbounded_channel();
    let server = support::pull(Config::default(), move |mut socket: WebSocket| {
        let (payload, report) = (payloads.lock().expect("no panic").pop(), report.clone());
        async move {
            let payload = payload.expect("there are three connections");
            socket.sender().try_send(payload).expect("nothing waits, so one message of any size fits");
            report.send(()).expect("the test listens");
            while socket.recv().await?.is_some() {}
            Ok(())
        }
    })
    .await;
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(server.connect().await);
        soon(reports.recv()).await.expect("it was queued");
    }
    // None of the peers reads, so all three messages wait. Nobody else has the payload: a copy would have let it go.
    assert!(!is_gone.load(Ordering::SeqCst), "what waits is no reference to the payload");
    for peer in &mut peers {
        let received = peer.next().await.expect("a frame");
        assert_eq!(received.payload.len(), BYTES);
    }
    for peer in peers {
        peer.close().await;
    }
    server.stop().await;
    assert!(is_gone.load(Ordering::SeqCst), "a reference was left behind");
}

#[tokio::test]
async fn a_small_message_does_not_pin_the_buffer_it_came_in() {
    let (hand_out, mut messages) = mpsc::unbounded_channel();
    let server = support::pull(Config::default(), move |mut socket: WebSocket| {
        let hand_out = hand_out.clone();
        async move {
            while let Some(message) = socket.recv().await? {
                hand_out.send(message).expect("the test takes it");
            }
            Ok(())
        }
    })
    .await;
    let mut peer = server.connect().await;
    let burst: Vec<u8> = (0..1000).flat_map(|_| frame(BINARY, true, &[3; 100])).collect();
    peer.raw(&burst).await;
    for _ in 0..1000 {
        let Some(Message::Binary(bytes)) = soon(messages.recv()).await else { panic!("a binary message") };
        let room = bytes.try_into_mut().expect("nobody shares it").capacity();
        assert!(room <= 128, "a message of 100 bytes holds {room}");
    }
}

/// Sends back each message, the most of it once more, and a word: what is lent, what is copied, and what is small.
struct Talkative;

impl Events for Talkative {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        let most = &message.as_bytes()[message.as_bytes().len() / 100..];
        for answer in [message, MessageRef::Binary(most), MessageRef::Text("that was it")] {
            socket.try_send(answer).expect("there is room for all of it");
        }
    }
}

/// In event form what goes back as it came is written from where it was read. A peer that is slow makes the kernel take it
/// in parts, at any place; pings come in between, more of them than may wait.
#[tokio::test]
async fn what_goes_back_from_the_read_buffer_is_whole_and_in_order_wherever_the_kernel_stops() {
    let config = Config::default().with_outbox_bytes_max(64 << 20).with_pong_bytes_max(20);
    let server = support::events(config, |_| Talkative).await;
    let Peer { stream, head } = server.connect().await;
    let stream = stream.into_std().expect("a socket of the runtime");
    let twin = stream.try_clone().expect("a second handle");
    let mut writer = TcpStream::from_std(stream).expect("a socket for the runtime");
    let mut reader = Peer { stream: TcpStream::from_std(twin).expect("another"), head };

    // Around the size from which on payloads are lent, and some that fill a read.
    let lengths = [8191, 8192, 8193, 70_000, 1, 200_000, 30_000, 0].into_iter().cycle().take(80);
    let payloads: Vec<Vec<u8>> = lengths
        .enumerate()
        .map(|(seed, length)| (0..length).map(|i| (i * 31 + seed) as u8).collect())
        .collect();
    let mut bytes = Vec::new();
    for payload in &payloads {
        bytes.extend(frame(BINARY, true, payload));
        (0..3u8).for_each(|number| bytes.extend(frame(PING, true, &[number; 9])));
    }
    let sending = tokio::spawn(async move { writer.write_all(&bytes).await.map(|()| writer) });
    let mut pongs = 0;
    for payload in &payloads {
        for expected in
            [(BINARY, &payload[..]), (BINARY, &payload[payload.len() / 100..]), (TEXT, b"that was it")]
        {
            let frame = loop {
                let frame = reader.next().await.expect("a frame");
                if frame.opcode != PONG {
                    break frame;
                }
                assert_eq!(frame.payload.len(), 9);
                pongs += 1;
            };
            assert!((frame.opcode, &frame.payload[..]) == expected, "{} bytes", payload.len());
        }
    }
    assert!(pongs > 0, "some were answered");
    soon(sending).await.expect("it does not panic").expect("the server reads all");
}
