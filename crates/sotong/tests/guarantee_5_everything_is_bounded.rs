//! Guarantee 5: what waits is bounded, and nothing is lost silently. (The limits of the core have their tests there.)

mod support;

use std::task::{Context, Poll};
use std::time::Duration;

use sotong::{Config, Error, Events, MessageRef, PeerError, Sender, Timeout, TrySendError, WebSocket};
use support::{BINARY, TEXT, frame, soon};
use tokio::sync::mpsc;

/// A server of one form that hands its senders to the test.
struct HandsOut(mpsc::UnboundedSender<Sender>);

impl Events for HandsOut {
    fn open(&mut self, socket: &Sender) {
        self.0.send(socket.clone()).expect("the test takes it");
    }
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        socket.try_send(message).expect("there is room");
    }
}

/// A connection whose peer does not read, with the kernel's buffers full.
async fn stuck(
    server: &support::Running,
    senders: &mut mpsc::UnboundedReceiver<Sender>,
) -> (support::Peer, Sender) {
    let peer = server.connect().await;
    let sender = soon(senders.recv()).await.expect("a connection opened");
    let chunk = vec![0; 64 * 1024];
    loop {
        match sender.try_send(&chunk[..]) {
            Ok(()) => tokio::task::yield_now().await,
            Err(TrySendError::Full(_)) => {
                // Full now; still full when the driver has had its turns?
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                if sender.try_send(&chunk[..]).is_err() {
                    return (peer, sender);
                }
            }
            Err(TrySendError::Closed(_)) => panic!("nobody has closed"),
        }
    }
}

#[tokio::test]
async fn a_full_outbox_hands_the_message_back_and_takes_it_when_there_is_room() {
    let config = Config::default().with_outbox_bytes_max(256 * 1024);
    let (hand_out, mut senders) = mpsc::unbounded_channel();
    let server = support::events(config, move |_| HandsOut(hand_out.clone())).await;
    let (mut peer, sender) = stuck(&server, &mut senders).await;
    assert!(sender.buffered_bytes() <= 256 * 1024, "{}", sender.buffered_bytes());
    let room = 256 * 1024 - sender.buffered_bytes();
    // One byte more than fits, with its header of four or ten bytes.
    let header = if room > 65535 { 10 } else { 4 };
    let refused = sender.try_send("x".repeat(room - header + 1)).expect_err("one byte past the limit");
    assert!(refused.is_full());
    assert_eq!(refused.into_message().len(), room - header + 1);
    sender.try_send("x".repeat(room - header)).expect("at the limit");
    assert_eq!(sender.buffered_bytes(), 256 * 1024);

    let waiting = tokio::spawn({
        let sender = sender.clone();
        async move { sender.send("at last").await }
    });
    loop {
        let frame = peer.next().await.expect("everything that was accepted comes");
        if frame.payload == b"at last" {
            break;
        }
    }
    soon(waiting).await.expect("the task is well").expect("it was accepted");
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_dropped_after_write_timeout() {
    let config = Config::default().with_write_timeout(Some(Duration::from_millis(200)));
    let (hand_out, mut senders) = mpsc::unbounded_channel();
    let server = support::events(config, move |_| HandsOut(hand_out.clone())).await;
    let (_peer, sender) = stuck(&server, &mut senders).await;
    let closed = soon(sender.closed()).await;
    assert_eq!(closed.error, Some(PeerError::Timeout(Timeout::Write)));
    assert_eq!(sender.buffered_bytes(), 0, "what nobody will take is not kept");
    assert!(matches!(sender.try_send("too late"), Err(TrySendError::Closed(_))));
    assert!(sender.send("too late").await.is_err());
    assert!(sender.flushed().await.is_err());
    assert!(sender.ping().await.is_err());
}

#[tokio::test]
async fn an_echo_to_a_peer_that_does_not_read_stops_reading() {
    let (hand_out, mut senders) = mpsc::unbounded_channel();
    let server = support::events(Config::default(), move |_| HandsOut(hand_out.clone())).await;
    let mut peer = server.connect().await;
    let sender = soon(senders.recv()).await.expect("a connection opened");
    let message = frame(BINARY, true, &[5; 32 * 1024]);
    let mut sent = 0;
    // `HandsOut` panics when there is no room, so a server that goes on reading would end this with 1011.
    while tokio::time::timeout(Duration::from_millis(250), peer.stream.writable()).await.is_ok() {
        if let Ok(count) = peer.stream.try_write(&message[sent % message.len()..]) {
            sent += count;
        }
        assert!(sender.buffered_bytes() <= Config::default().outbox_bytes_max);
        assert!(sent < 256 << 20, "the server never stops reading");
    }
    for _ in 0..sent / message.len() {
        assert_eq!(peer.next().await.expect("an echo").payload.len(), 32 * 1024);
    }
}

/// Sends much to peers that ask for it, and echoes.
struct Large;

impl Events for Large {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        if message.as_text() == Some("large") {
            socket.try_send(vec![1; 10 << 20]).expect("nothing waits, so one message of any size fits");
        } else {
            socket.try_send(message).expect("there is room");
        }
    }
}

/// A server with a budget for all connections, and how it is doing.
async fn with_budget(buffered_bytes_max: usize) -> (support::Running, sotong::Handle) {
    let (server, address) = support::server(Config::default()).await;
    let serve = server
        .with_buffered_bytes_max(buffered_bytes_max)
        .serve_events(|_: &sotong::Request| Ok::<_, sotong::Refusal>(Large));
    let handle = serve.handle();
    (support::Running::start(address, serve), handle)
}

#[tokio::test]
async fn when_connections_hold_too_much_together_those_that_hold_most_are_closed() {
    let (server, handle) = with_budget(20 << 20).await;
    let mut bystander = server.connect().await;
    let mut peers = Vec::new();
    for _ in 0..12 {
        peers.push(server.connect().await);
    }
    // Of 10 MiB each, the kernel takes some; what it does not take is too much together.
    for peer in &mut peers {
        peer.text("large").await;
    }
    soon(async {
        while handle.stats().closed_for_memory == 0 || handle.stats().buffered_bytes > 20 << 20 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    bystander.text("still here").await;
    bystander.expect_text("still here").await;
    drop(peers);
    soon(async {
        while handle.stats().connections > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(handle.stats().buffered_bytes, 0, "the count returns to where it was");
    bystander.close().await;
}

#[tokio::test]
async fn when_the_budget_is_nearly_used_up_new_connections_are_refused_and_old_ones_go_on() {
    let (server, handle) = with_budget(96 << 20).await;
    let mut bystander = server.connect().await;
    let mut peers = Vec::new();
    // Each holds what the kernel does not take of 10 MiB: less than the last eighth by which it could jump over.
    let refused = loop {
        let mut peer = support::Peer::request(server.address, "/", "").await;
        if !peer.head.starts_with("HTTP/1.1 101 ") {
            break peer.head;
        }
        peer.text("large").await;
        peer.stream.readable().await.expect("it has begun");
        peers.push(peer);
        assert!(peers.len() < 100, "nobody was refused: {:?}", handle.stats());
    };
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert_eq!(handle.stats().closed_for_memory, 0);
    bystander.text("still here").await;
    bystander.expect_text("still here").await;
    for peer in &mut peers {
        assert_eq!(peer.next().await.expect("what was promised").payload.len(), 10 << 20);
    }
    support::Peer::connect(server.address).await.close().await;
}

#[tokio::test]
async fn a_message_that_is_never_finished_ends_with_1008() {
    let config = Config::default().with_message_timeout(Some(Duration::from_millis(150)));
    let (report, mut reports) = mpsc::unbounded_channel();
    let server = support::pull(config, move |mut socket: WebSocket| {
        let report = report.clone();
        async move {
            report.send(socket.recv().await).expect("the test listens");
            Ok(())
        }
    })
    .await;
    let mut peer = server.connect().await;
    peer.raw(&frame(TEXT, false, b"to be continued")).await;
    assert_eq!(peer.expect_close().await.0, 1008);
    let end = soon(reports.recv()).await.expect("the handler was told");
    assert!(matches!(end, Err(Error::Peer(PeerError::Timeout(Timeout::Message)))), "{end:?}");
}

#[tokio::test]
async fn a_message_above_the_limit_ends_with_1009_before_its_payload_comes() {
    let config = Config::default().with_message_bytes_max(1000);
    let server = support::pull_echo(config).await;
    let mut peer = server.connect().await;
    peer.send(BINARY, &[0; 1000]).await;
    assert_eq!(peer.next().await.expect("at the limit").payload.len(), 1000);
    peer.raw(&frame(BINARY, true, &[0; 1001])[..8]).await;
    let (code, reason) = peer.expect_close().await;
    assert_eq!((code, reason.as_str()), (1009, "message of 1001 bytes exceeds message_bytes_max = 1000"));
}

/// Takes what waits for the reader, without letting the driver have a turn.
fn take_waiting(socket: &mut WebSocket, context: &mut Context<'_>) -> Vec<u8> {
    let mut taken = Vec::new();
    while let Poll::Ready(message) = socket.poll_recv(context) {
        let message = message.expect("the connection is well").expect("it is open");
        taken.extend_from_slice(message.as_bytes());
    }
    taken
}

#[tokio::test]
async fn an_inbox_of_the_smallest_messages_takes_no_more_than_its_limit_and_loses_none() {
    // More bytes than the kernel keeps for the two of them.
    const COUNT: usize = 2_000_000;
    const LIMIT: usize = 64 * 1024;
    let config = Config::default().with_inbox_bytes_max(LIMIT);
    let (start, started) = tokio::sync::watch::channel(false);
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = support::pull(config, move |mut socket: WebSocket| {
        let (mut started, tell) = (started.clone(), tell.clone());
        async move {
            started.wait_for(|started| *started).await.expect("the test goes on");
            let waited =
                std::future::poll_fn(|context| Poll::Ready(take_waiting(&mut socket, context))).await;
            let mut all = waited.clone();
            while all.len() < COUNT {
                let message = socket.recv().await?.expect("there is more");
                all.extend_from_slice(message.as_bytes());
            }
            tell.send((waited.len(), all)).expect("the test takes it");
            Ok(())
        }
    })
    .await;
    let mut peer = server.connect().await;
    let flood: Vec<u8> = (0..COUNT).flat_map(|number| frame(BINARY, true, &[number as u8])).collect();
    let mut sent = 0;
    // Until nothing is taken any more: the kernel's buffers and the inbox are full.
    while tokio::time::timeout(Duration::from_millis(250), peer.stream.writable()).await.is_ok()
        && sent < flood.len()
    {
        if let Ok(count) = peer.stream.try_write(&flood[sent..]) {
            sent += count;
        }
    }
    start.send(true).expect("the handler waits");
    tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &flood[sent..]).await.expect("it reads again");
    let (waited, all) = soon(told.recv()).await.expect("all has come");
    // One message past the limit: the one that reached it.
    let most = LIMIT / (size_of::<sotong::Message>() + 1) + 1;
    assert!(waited > 0 && waited <= most, "{waited} messages waited, {most} are allowed");
    assert!(all.iter().enumerate().all(|(number, byte)| *byte == number as u8), "in order, none lost");
}
