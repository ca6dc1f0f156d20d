//! A server that listens on nothing and is handed its carriers, in each form and on its own or on worker threads; and a
//! peer by hand at the other end of each.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::sync::Arc;

use sotong::{
    Carrier, Closed, Config, Error, Events, Handle, MessageRef, Refusal, Request, Sender, Serve, Server,
    WebSocket,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::support::{CLOSE, Frame, Running, frame, handshake, soon};

/// The two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Events,
    Pull,
}

/// Each form, on the test's own runtime and on two worker threads.
pub const EACH: [(Form, usize); 4] = [(Form::Events, 0), (Form::Events, 2), (Form::Pull, 0), (Form::Pull, 2)];

/// What a peer holds its end of.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A server that answers each message with itself.
pub struct Carried {
    pub handle: Handle,
    /// The sender of each connection that has begun.
    pub senders: mpsc::UnboundedReceiver<Sender>,
    /// How connections ended.
    pub ends: mpsc::UnboundedReceiver<Arc<Closed>>,
    running: Running,
}

struct Echo {
    began: mpsc::UnboundedSender<Sender>,
    ended: mpsc::UnboundedSender<Arc<Closed>>,
}

impl Events for Echo {
    fn open(&mut self, socket: &Sender) {
        // The test may have heard enough.
        let _ = self.began.send(socket.clone());
    }

    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        socket.try_send(message).expect("no more is read than can be answered");
    }

    fn close(&mut self, closed: &Arc<Closed>) {
        let _ = self.ended.send(closed.clone());
    }
}

/// Serves an echo in one form.
pub fn echo(
    server: Server,
    form: Form,
) -> (Serve, mpsc::UnboundedReceiver<Sender>, mpsc::UnboundedReceiver<Arc<Closed>>) {
    let (began, senders) = mpsc::unbounded_channel();
    let (ended, ends) = mpsc::unbounded_channel();
    let serve = match form {
        Form::Events => server.serve_events(move |_: &Request| {
            Ok::<_, Refusal>(Echo { began: began.clone(), ended: ended.clone() })
        }),
        Form::Pull => server.serve(move |mut socket: WebSocket| {
            let sender = socket.sender();
            let _ = began.send(sender.clone());
            let ended = ended.clone();
            async move {
                let echoed = async {
                    while let Some(message) = socket.recv().await? {
                        socket.send(message).await?;
                    }
                    Ok::<(), Error>(())
                };
                let result = echoed.await;
                let _ = ended.send(sender.closed().await);
                result
            }
        }),
    };
    (serve, senders, ends)
}

impl Carried {
    pub fn start((form, threads): (Form, usize), config: Config) -> Carried {
        let (serve, senders, ends) = echo(Server::detached().with_config(config), form);
        let serve = serve.with_threads(threads);
        let handle = serve.handle();
        let nowhere = "127.0.0.1:1".parse().expect("an address");
        Carried { handle, senders, ends, running: Running::start(nowhere, serve) }
    }

    /// Hands the server one end and opens a WebSocket at the other.
    pub async fn open(&self, near: impl Duplex + 'static, far: impl Into<Carrier>) -> Peer {
        self.handle.accept(far, Vec::new()).expect("the server is there");
        Peer::open(near).await
    }

    /// The last connection's sender.
    pub async fn sender(&mut self) -> Sender {
        soon(self.senders.recv()).await.expect("a connection began")
    }

    /// How the next connection ended.
    pub async fn end(&mut self) -> Arc<Closed> {
        soon(self.ends.recv()).await.expect("a connection ended")
    }

    pub fn begin_stop(&mut self) {
        self.running.begin_stop();
    }

    /// Stops, when nothing is left.
    pub async fn stop(self) {
        let Carried { handle, running, .. } = self;
        running.stop().await;
        assert_eq!(handle.stats().connections, 0);
        assert_eq!(handle.stats().buffered_bytes, 0);
    }
}

/// A pair of each kind that has no driver of its own.
pub fn pairs() -> Vec<(&'static str, Box<dyn Duplex>, Carrier)> {
    let (near_unix, far_unix) = UnixStream::pair().expect("a pair of sockets");
    let (near_memory, far_memory) = sotong::memory();
    vec![
        ("unix", Box::new(near_unix), Carrier::from(far_unix)),
        ("memory", Box::new(near_memory), far_memory),
    ]
}

/// A client by hand over any stream.
pub struct Peer {
    pub stream: Box<dyn Duplex>,
}

impl Peer {
    pub async fn open(stream: impl Duplex + 'static) -> Peer {
        let mut peer = Peer { stream: Box::new(stream) };
        let nowhere = "127.0.0.1:1".parse().expect("an address");
        peer.raw(handshake(nowhere, "/", "").as_bytes()).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(peer.stream.read_u8()).await.expect("a whole head"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
        peer
    }

    pub async fn raw(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.expect("the server reads");
        soon(self.stream.flush()).await.expect("the server reads");
    }

    pub async fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.raw(&frame(opcode, true, payload)).await;
    }

    /// The next frame; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Frame> {
        soon(read_frame(&mut self.stream)).await
    }

    pub async fn expect(&mut self, opcode: u8, payload: &[u8]) {
        let frame = self.next().await.expect("a frame before the end");
        assert_eq!((frame.opcode, frame.fin), (opcode, true));
        assert!(frame.payload == payload, "{} bytes and not {}", frame.payload.len(), payload.len());
    }

    /// The end of the stream, with nothing before it.
    pub async fn expect_end(&mut self) {
        let mut rest = Vec::new();
        let _ = soon(self.stream.read_to_end(&mut rest)).await;
        assert_eq!(rest, b"", "nothing comes after the end");
    }

    /// Closes regularly.
    pub async fn close(mut self) {
        self.send(CLOSE, &1000u16.to_be_bytes()).await;
        self.expect(CLOSE, &1000u16.to_be_bytes()).await;
        self.expect_end().await;
    }
}

pub async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let first = stream.read_u8().await.ok()?;
    let second = stream.read_u8().await.ok()?;
    assert_eq!((first & 0x70, second & 0x80), (0, 0), "no reserved bits, and a server does not mask");
    let length = match second {
        126 => u64::from(stream.read_u16().await.ok()?),
        127 => stream.read_u64().await.ok()?,
        length => u64::from(length),
    };
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some(Frame { opcode: first & 0x0f, fin: first & 0x80 != 0, payload })
}
