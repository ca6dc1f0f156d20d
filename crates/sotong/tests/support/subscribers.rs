//! A server with topics on carriers in memory: a test holds both ends of each, the sender and the stream, and decides
//! when a peer reads. What the server writes is counted.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use sotong::{Carrier, Config, Handle, Sender, Server, Topics};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

use super::carried::{Form, Peer, echo};
use super::support::{CLOSE, Running, TEXT, soon};

/// The server.
pub struct Hall {
    pub handle: Handle,
    pub topics: Topics,
    senders: mpsc::UnboundedReceiver<Sender>,
    running: Running,
}

/// A connection, both ends.
pub struct Seat {
    pub sender: Sender,
    pub peer: Peer,
    /// How often the server has written, the handshake's answer included.
    pub writes: Arc<AtomicUsize>,
}

impl Hall {
    pub fn start(each: (Form, usize), config: Config, topics: Topics) -> Hall {
        Hall::start_on(Server::detached().with_config(config), each, topics)
    }

    pub fn start_on(server: Server, (form, threads): (Form, usize), topics: Topics) -> Hall {
        let server = server.with_topics(topics.clone());
        let (serve, senders, _) = echo(server, form);
        let serve = serve.with_threads(threads);
        let handle = serve.handle();
        let nowhere = "127.0.0.1:1".parse().expect("an address");
        Hall { handle, topics, senders, running: Running::start(nowhere, serve) }
    }

    /// One more, whose carrier takes `room` bytes before it is read from.
    pub async fn seat(&mut self, room: usize) -> Seat {
        let (near, far) = tokio::io::duplex(room);
        let writes = Arc::<AtomicUsize>::default();
        let carrier = Carrier::new(Counted { stream: far, writes: writes.clone() });
        self.handle.accept(carrier, Vec::new()).expect("the server is there");
        let peer = Peer::open(near).await;
        let sender = soon(self.senders.recv()).await.expect("a connection began");
        Seat { sender, peer, writes }
    }

    /// Stops, when nothing is left.
    pub async fn stop(self) {
        self.running.stop().await;
        assert!(self.topics.is_empty(), "{:?}", self.topics.names());
        assert_eq!(self.handle.stats().connections, 0);
        assert_eq!(self.handle.stats().buffered_bytes, 0);
    }
}

impl Seat {
    pub async fn expect(&mut self, text: &str) {
        let frame = self.peer.next().await.expect("a frame before the end");
        assert_eq!(frame.text(), text);
    }

    /// All texts up to `last`, which is one of them.
    pub async fn texts_up_to(&mut self, last: &str) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let frame = self.peer.next().await.expect("a frame before the end");
            texts.push(frame.text().to_owned());
            if texts.last().is_some_and(|text| text == last) {
                return texts;
            }
        }
    }

    /// All texts up to the server's Close, then its code and reason.
    pub async fn texts_up_to_close(&mut self) -> (Vec<String>, u16, String) {
        let mut texts = Vec::new();
        loop {
            let frame = self.peer.next().await.expect("a Close before the end");
            match frame.opcode {
                TEXT => texts.push(frame.text().to_owned()),
                CLOSE => {
                    let code = frame.close_code().expect("it has a code");
                    let reason = String::from_utf8(frame.payload[2..].to_vec()).expect("it is text");
                    // It may have gone already.
                    let _ = tokio::io::AsyncWriteExt::write_all(
                        &mut self.peer.stream,
                        &super::support::frame(CLOSE, true, &code.to_be_bytes()),
                    )
                    .await;
                    let _ = tokio::io::AsyncWriteExt::shutdown(&mut self.peer.stream).await;
                    return (texts, code, reason);
                }
                other => panic!("opcode {other}"),
            }
        }
    }

    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }
}

/// A stream that counts the writes that it takes.
struct Counted {
    stream: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        if result.is_ready() {
            self.writes.fetch_add(1, Ordering::SeqCst);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
