//! Guarantee 9: every end comes in bounded time, and tells who closed first.

mod support;

use std::time::Duration;

use sotong::{CloseCode, Config, Error, Events, Initiator, MessageRef, Sender, WebSocket};
use support::{CLOSE, TEXT, frame, soon};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

async fn reports_its_end(
    config: Config,
) -> (support::Running, mpsc::UnboundedReceiver<(Result<(), Error>, std::sync::Arc<sotong::Closed>)>) {
    let (report, reports) = mpsc::unbounded_channel();
    let server = support::pull(config, move |mut socket: WebSocket| {
        let report = report.clone();
        async move {
            let sender = socket.sender();
            let end = loop {
                match socket.recv().await {
                    Ok(Some(message)) if message.as_text() == Some("close") => {
                        sender.close(CloseCode::new(4001).expect("a valid code"), "as you wish");
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            report.send((end, sender.closed().await)).expect("the test listens");
            Ok(())
        }
    })
    .await;
    (server, reports)
}

#[tokio::test]
async fn who_closed_first_is_told_on_both_sides() {
    let (server, mut reports) = reports_its_end(Config::default()).await;
    let mut peer = server.connect().await;
    peer.send(CLOSE, b"\x0f\xa0bye").await;
    assert_eq!(peer.next().await.expect("an answer").close_code(), Some(4000));
    peer.expect_end().await;
    let (end, closed) = soon(reports.recv()).await.expect("the handler ended");
    assert!(end.is_ok());
    assert_eq!((closed.first, closed.code(), closed.reason()), (Some(Initiator::Peer), 4000, "bye"));

    let mut peer = server.connect().await;
    peer.text("close").await;
    let close = peer.next().await.expect("a close");
    assert_eq!((close.close_code(), &close.payload[2..]), (Some(4001), &b"as you wish"[..]));
    peer.send(CLOSE, &4001u16.to_be_bytes()).await;
    peer.expect_end().await;
    drop(peer);
    let (_, closed) = soon(reports.recv()).await.expect("the handler ended");
    assert_eq!((closed.first, closed.code(), closed.clean), (Some(Initiator::Local), 4001, true));
}

#[tokio::test]
async fn a_close_that_is_never_answered_ends_all_the_same() {
    let config = Config::default().with_close_timeout(Duration::from_millis(100));
    let (server, mut reports) = reports_its_end(config).await;
    let mut peer = server.connect().await;
    peer.text("close").await;
    assert_eq!(peer.next().await.expect("a close").opcode, CLOSE);
    let (end, closed) = soon(reports.recv()).await.expect("the handler ended");
    assert!(end.is_err() && !closed.clean);
    assert_eq!((closed.first, closed.code()), (Some(Initiator::Local), 1006));
    peer.expect_end().await;
}

#[tokio::test]
async fn a_peer_that_does_not_hang_up_after_the_closing_handshake_is_cut_off() {
    let config = Config::default().with_close_timeout(Duration::from_millis(100));
    let (server, mut reports) = reports_its_end(config).await;
    let mut peer = server.connect().await;
    peer.send(CLOSE, &1000u16.to_be_bytes()).await;
    assert_eq!(peer.next().await.expect("an answer").opcode, CLOSE);
    // Goes on talking instead; nobody listens.
    let more = frame(TEXT, true, b"and another thing");
    let (_, closed) = soon(async {
        loop {
            tokio::select! {
                report = reports.recv() => return report.expect("the handler ended"),
                result = peer.stream.write_all(&more) => {
                    if result.is_err() {
                        return reports.recv().await.expect("the handler ended");
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    })
    .await;
    assert!(!closed.clean);
}

struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        socket.try_send(message).expect("there is room");
    }
}

#[tokio::test]
async fn a_peer_that_closes_and_hangs_up_at_once_still_gets_its_answers() {
    let events = support::events(Config::default(), |_| Echo).await;
    let pull = support::pull(Config::default(), async |mut socket: WebSocket| {
        while let Some(message) = socket.recv().await? {
            // Slower than the network.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            socket.send(message).await?;
        }
        Ok(())
    })
    .await;
    for server in [events, pull] {
        let mut peer = server.connect().await;
        let mut bytes = frame(TEXT, true, b"last question");
        bytes.extend(frame(CLOSE, true, &1000u16.to_be_bytes()));
        peer.raw(&bytes).await;
        peer.stream.shutdown().await.expect("the server is there");
        peer.expect_text("last question").await;
        assert_eq!(peer.next().await.expect("an answer").close_code(), Some(1000));
        peer.expect_end().await;
    }
}

#[tokio::test]
async fn a_peer_that_vanishes_is_an_error() {
    let (server, mut reports) = reports_its_end(Config::default()).await;
    let peer = server.connect().await;
    drop(peer);
    let (end, closed) = soon(reports.recv()).await.expect("the handler ended");
    assert!(matches!(end, Err(Error::Vanished)), "{end:?}");
    assert_eq!((closed.first, closed.code(), closed.clean), (None, 1006, false));
}
