//! Guarantee 11: a handler that panics takes down its own connection (1011) and nothing else.

mod support;

use std::sync::Arc;

use sotong::{Closed, Config, Error, Events, MessageRef, Sender, WebSocket};
use support::soon;
use tokio::sync::mpsc;

struct Panics {
    when: &'static str,
    closed: mpsc::UnboundedSender<()>,
}

impl Events for Panics {
    fn open(&mut self, _socket: &Sender) {
        assert_ne!(self.when, "/open", "as asked");
    }
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        socket.try_send(message).expect("there is room");
        assert_ne!(self.when, "/message", "as asked");
    }
    fn close(&mut self, _closed: &Arc<Closed>) {
        self.closed.send(()).expect("the test listens");
        assert_ne!(self.when, "/close", "as asked");
    }
}

#[tokio::test]
async fn event_form() {
    let (closed, mut closes) = mpsc::unbounded_channel();
    let server = support::events(Config::default(), move |request| Panics {
        when: match request.path() {
            "/open" => "/open",
            "/message" => "/message",
            "/close" => "/close",
            _ => "never",
        },
        closed: closed.clone(),
    })
    .await;
    let mut bystander = server.connect().await;

    let mut peer = support::Peer::request(server.address, "/open", "").await;
    assert_eq!(peer.expect_close().await.0, 1011);

    let mut peer = support::Peer::request(server.address, "/message", "").await;
    peer.text("answered before the panic").await;
    peer.expect_text("answered before the panic").await;
    assert_eq!(peer.expect_close().await.0, 1011);

    let peer = support::Peer::request(server.address, "/close", "").await;
    peer.close().await;
    soon(closes.recv()).await.expect("it was told, and panicked");

    bystander.text("still here").await;
    bystander.expect_text("still here").await;
    bystander.close().await;
    server.stop().await;
}

#[tokio::test]
async fn pull_form() {
    let server = support::pull(Config::default(), async |mut socket: WebSocket| {
        while let Some(message) = socket.recv().await? {
            match message.as_text() {
                Some("panic") => panic!("as asked"),
                Some("fail") => return Err(std::io::Error::other("the handler's own trouble").into()),
                Some("move") => {
                    // The handler ends; the connection lives on in a task of its own.
                    tokio::spawn(async move {
                        while let Ok(Some(message)) = socket.recv().await {
                            assert_ne!(message.as_text(), Some("panic"), "as asked");
                            socket.send(message).await.expect("the peer reads");
                        }
                    });
                    return Ok(());
                }
                Some("end") => return Ok(()),
                _ => socket.send(message).await?,
            }
        }
        Ok::<(), Error>(())
    })
    .await;
    let mut bystander = server.connect().await;
    for (said, code) in [("panic", 1011), ("fail", 1011), ("end", 1000)] {
        let mut peer = server.connect().await;
        peer.text(said).await;
        assert_eq!(peer.expect_close().await.0, code, "{said}");
    }
    let mut peer = server.connect().await;
    peer.text("move").await;
    peer.text("still served").await;
    peer.expect_text("still served").await;
    peer.text("panic").await;
    assert_eq!(peer.expect_close().await.0, 1011);
    bystander.text("still here").await;
    bystander.expect_text("still here").await;
}
