//! Guarantee 3: large payloads go out by reference, and a small message never pins a large buffer.

mod support;

use bytes::Bytes;
use sotong::{Config, Message, WebSocket};
use support::{BINARY, frame, soon};
use tokio::sync::mpsc;

#[tokio::test]
async fn a_large_payload_is_shared_and_not_copied() {
    let payload = Bytes::from(vec![7; 8 << 20]);
    let sent = payload.clone();
    let (report, mut reports) = mpsc::unbounded_channel();
    let server = support::pull(Config::default(), move |mut socket: WebSocket| {
        let (payload, report) = (sent.clone(), report.clone());
        async move {
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
    // None of the peers reads, so all three messages wait: as references to one block.
    for peer in &mut peers {
        let received = peer.next().await.expect("a frame");
        assert_eq!(received.payload.len(), payload.len());
    }
    for peer in peers {
        peer.close().await;
    }
    server.stop().await;
    assert!(payload.is_unique(), "a reference was left behind");
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
