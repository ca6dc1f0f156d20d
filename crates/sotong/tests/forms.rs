//! The other ways to hold a connection: stream and sink, two halves, and what a sender knows.

mod support;

use futures_util::{SinkExt, StreamExt};
use sotong::{CloseCode, Config, Error, Message, WebSocket};
use support::soon;
use tokio::sync::mpsc;

#[tokio::test]
async fn a_stream_forwarded_into_its_own_sink_is_an_echo() {
    let server = support::pull(Config::default(), async |socket: WebSocket| {
        let (sink, stream) = StreamExt::split(socket);
        // The end of the stream closes the sink.
        let messages = stream.take_while(|message| std::future::ready(message.is_ok()));
        messages.map(|message| Ok(message.expect("taken while it is well"))).forward(sink).await?;
        Ok(())
    })
    .await;
    let mut peer = server.connect().await;
    for index in 0..100 {
        peer.text(&index.to_string()).await;
    }
    for index in 0..100 {
        peer.expect_text(&index.to_string()).await;
    }
    peer.close().await;
}

#[tokio::test]
async fn a_sink_that_is_closed_closes_with_1000() {
    let server = support::pull(Config::default(), async |mut socket: WebSocket| {
        SinkExt::feed(&mut socket, Message::text("fed")).await?;
        SinkExt::flush(&mut socket).await?;
        SinkExt::feed(&mut socket, Message::text("and not flushed")).await?;
        SinkExt::close(&mut socket).await?;
        Ok(())
    })
    .await;
    let mut peer = server.connect().await;
    peer.expect_text("fed").await;
    peer.expect_text("and not flushed").await;
    assert_eq!(peer.expect_close().await.0, 1000);
}

#[tokio::test]
async fn two_halves_in_two_tasks_without_a_pump() {
    let server = support::pull(Config::default(), async |socket: WebSocket| {
        let (sender, mut receiver) = socket.split();
        let (forward, mut messages) = mpsc::unbounded_channel::<Message>();
        let sending = tokio::spawn(async move {
            while let Some(message) = messages.recv().await {
                sender.send(message).await?;
            }
            Ok::<(), Error>(())
        });
        while let Some(message) = receiver.recv().await? {
            forward.send(message).expect("the other half lives");
        }
        drop(forward);
        sending.await.expect("the other half is well")
    })
    .await;
    let mut peer = server.connect().await;
    for index in 0..50 {
        peer.text(&index.to_string()).await;
        peer.expect_text(&index.to_string()).await;
    }
    peer.close().await;
}

#[tokio::test]
async fn dropping_the_receiving_half_closes() {
    let (hand_out, mut senders) = mpsc::unbounded_channel();
    let server = support::pull(Config::default(), move |socket: WebSocket| {
        let (sender, receiver) = socket.split();
        sender.try_send("last words").expect("there is room");
        drop(receiver);
        hand_out.send(sender).expect("the test takes it");
        async { Ok(()) }
    })
    .await;
    let mut peer = server.connect().await;
    peer.expect_text("last words").await;
    assert_eq!(peer.expect_close().await.0, 1000);
    drop(peer);
    let sender = soon(senders.recv()).await.expect("it was handed out");
    assert!(soon(sender.closed()).await.clean);
}

#[tokio::test]
async fn a_sender_knows_its_peer_its_request_and_its_protocol() {
    let (report, mut reports) = mpsc::unbounded_channel();
    let (server, address) = support::server(Config::default()).await;
    let serve = server.with_protocols(["chat.v2", "chat.v1"]).serve(move |socket: WebSocket| {
        report.send(socket.sender()).expect("the test takes it");
        async move {
            let closed = socket.close(CloseCode::new(4321).expect("a valid code"), "enough").await;
            assert_eq!((closed.code(), closed.clean), (4321, true));
            Ok::<(), Error>(())
        }
    });
    let server = support::Running::start(address, serve);
    let headers = "Sec-WebSocket-Protocol: chat.v1, chat.v2\r\nX-Room: blue\r\n";
    let mut peer = support::Peer::request(server.address, "/room?name=%EC%86%8C", headers).await;
    assert!(peer.head.contains("Sec-WebSocket-Protocol: chat.v2\r\n"), "{}", peer.head);
    let sender = soon(reports.recv()).await.expect("a connection opened");
    assert_eq!(sender.peer_addr(), Some(peer.stream.local_addr().expect("it is connected")));
    assert_eq!(sender.protocol(), Some("chat.v2"));
    let request = sender.request();
    assert_eq!((request.path(), request.query()), ("/room", Some("name=%EC%86%8C")));
    assert_eq!(request.header("x-room"), Some("blue"));
    assert_eq!(peer.expect_close().await, (4321, "enough".to_owned()));
}

#[tokio::test]
async fn a_flush_that_waits_for_a_slow_peer_does_not_go_round_in_circles() {
    let (report, mut reports) = mpsc::unbounded_channel();
    let server = support::pull(Config::default(), move |mut socket: WebSocket| {
        let report = report.clone();
        async move {
            SinkExt::feed(&mut socket, Message::binary(vec![7; 32 << 20])).await?;
            let mut polls = 0;
            std::future::poll_fn(|context| {
                polls += 1;
                // Tell after some; a flush that spins polls without end while the peer does not read.
                report.send(polls).expect("the test listens");
                SinkExt::<Message>::poll_flush_unpin(&mut socket, context)
            })
            .await?;
            report.send(0).expect("the test listens");
            Ok(())
        }
    })
    .await;
    let mut peer = server.connect().await;
    soon(reports.recv()).await.expect("it is flushing");
    // The peer does not read. Every task of this runtime has its turn, many times.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let mut polls = 0;
    while let Ok(count) = reports.try_recv() {
        polls = count;
    }
    assert!(polls < 100, "{polls} polls without progress");
    assert_eq!(peer.next().await.expect("a frame").payload.len(), 32 << 20);
    while soon(reports.recv()).await.expect("it is flushed in the end") != 0 {}
}
