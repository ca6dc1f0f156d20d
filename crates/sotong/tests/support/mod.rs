//! A peer for tests: a socket and a frame codec that share nothing with the library's own.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::Duration;

use sotong::{Config, Error, Events, Refusal, Request, Server, WebSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// How long a test waits for what must come. Long: a busy machine is no failure.
pub const SOON: Duration = Duration::from_secs(60);

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// Waits, but not for ever.
pub async fn soon<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(SOON, future.into_future()).await.expect("it did not happen in time")
}

/// A server that runs in the background for as long as the value lives.
pub struct Running {
    pub address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Running {
    pub fn start(address: SocketAddr, serve: sotong::Serve) -> Running {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serve = serve.with_shutdown_window(Duration::ZERO).with_graceful_shutdown(async {
            // An error means that the value was dropped: stop as well.
            let _ = stopped.await;
        });
        Running { address, stop: Some(stop), task: tokio::spawn(serve.into_future()) }
    }

    /// Shuts down gracefully and waits for the end.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        soon(self.task).await.expect("the server did not panic").expect("the server ended well");
    }

    /// Starts to shut down; `stop` waits.
    pub fn begin_stop(&mut self) {
        drop(self.stop.take());
    }

    pub async fn connect(&self) -> Peer {
        Peer::connect(self.address).await
    }
}

pub async fn server(config: Config) -> (Server, SocketAddr) {
    let server = Server::bind("127.0.0.1:0").await.expect("loopback has a free port").with_config(config);
    let address = server.local_addr().expect("a listener has an address");
    (server, address)
}

/// A server in event form on port 0.
pub async fn events<E: Events>(
    config: Config,
    make: impl Fn(&Request) -> E + Send + Sync + 'static,
) -> Running {
    let (server, address) = server(config).await;
    Running::start(address, server.serve_events(move |request: &Request| Ok::<_, Refusal>(make(request))))
}

/// A server in pull form on port 0.
pub async fn pull<H, F>(config: Config, handler: H) -> Running
where
    H: Fn(WebSocket) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let (server, address) = server(config).await;
    Running::start(address, server.serve(handler))
}

/// A server in pull form that answers each message with itself.
pub async fn pull_echo(config: Config) -> Running {
    pull(config, async |mut socket: WebSocket| {
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
        Ok(())
    })
    .await
}

/// One frame from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    pub fin: bool,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn text(&self) -> &str {
        assert_eq!(self.opcode, TEXT, "{self:?}");
        std::str::from_utf8(&self.payload).expect("text is UTF-8")
    }

    pub fn close_code(&self) -> Option<u16> {
        assert_eq!(self.opcode, CLOSE, "{self:?}");
        self.payload.first_chunk().map(|code| u16::from_be_bytes(*code))
    }
}

/// A client by hand.
pub struct Peer {
    pub stream: TcpStream,
    /// The server's answer to the handshake.
    pub head: String,
}

impl Peer {
    pub async fn connect(address: SocketAddr) -> Peer {
        let peer = Peer::request(address, "/", "").await;
        assert!(peer.head.starts_with("HTTP/1.1 101 "), "{}", peer.head);
        peer
    }

    /// Asks for a WebSocket at `target` with more header lines (each ends with CR LF).
    pub async fn request(address: SocketAddr, target: &str, headers: &str) -> Peer {
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("TCP can do that");
        stream.write_all(handshake(address, target, headers).as_bytes()).await.expect("the server reads");
        let head = read_head(&mut stream).await;
        Peer { stream, head }
    }

    /// Sends a whole masked frame.
    pub async fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.raw(&frame(opcode, true, payload)).await;
    }

    pub async fn text(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes()).await;
    }

    /// Sends bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.expect("the server reads");
    }

    /// The next frame; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Frame> {
        soon(self.read_frame()).await
    }

    async fn read_frame(&mut self) -> Option<Frame> {
        let mut head = [0; 2];
        if self.stream.read(&mut head[..1]).await.ok()? == 0 {
            return None;
        }
        self.stream.read_exact(&mut head[1..]).await.ok()?;
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        assert_eq!(head[0] & 0x70, 0, "no reserved bits");
        let length = match head[1] {
            126 => u64::from(self.stream.read_u16().await.ok()?),
            127 => self.stream.read_u64().await.ok()?,
            length => u64::from(length),
        };
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(Frame { opcode: head[0] & 0x0f, fin: head[0] & 0x80 != 0, payload })
    }

    /// The next frame, which must be this text.
    pub async fn expect_text(&mut self, text: &str) {
        let frame = self.next().await.expect("a frame before the end");
        assert_eq!(frame.text(), text);
    }

    /// Everything up to the server's Close, and its code; then answers it and waits for the end of the stream.
    pub async fn expect_close(&mut self) -> (u16, String) {
        loop {
            let received = self.next().await.expect("a close frame before the end of the stream");
            if received.opcode == CLOSE {
                let code = received.close_code().unwrap_or(1005);
                let reason = received.payload[2.min(received.payload.len())..].to_vec();
                let reason = String::from_utf8(reason).expect("a reason is UTF-8");
                // The server may have gone already; that is its right.
                let _ = self.stream.write_all(&frame(CLOSE, true, &code.to_be_bytes())).await;
                self.expect_end().await;
                return (code, reason);
            }
        }
    }

    /// The end of the stream, with nothing before it.
    pub async fn expect_end(&mut self) {
        let mut rest = Vec::new();
        // A reset is an end as well.
        let _ = soon(self.stream.read_to_end(&mut rest)).await;
        assert_eq!(rest, b"", "nothing comes after the end");
    }

    /// Closes regularly.
    pub async fn close(mut self) {
        self.send(CLOSE, &1000u16.to_be_bytes()).await;
        loop {
            match self.next().await {
                Some(frame) if frame.opcode == CLOSE => break,
                Some(_) => {}
                None => panic!("the server answers a close"),
            }
        }
        self.expect_end().await;
    }
}

pub fn handshake(address: SocketAddr, target: &str, headers: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

/// Reads a response head, to its empty line and not further.
pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match soon(stream.read_u8()).await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).expect("a head is ASCII")
}

/// A masked frame.
pub fn frame(opcode: u8, fin: bool, payload: &[u8]) -> Vec<u8> {
    let key = [0x1f, 0x2e, 0x3d, 0x4c];
    let mut bytes = vec![if fin { 0x80 } else { 0 } | opcode];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(key);
    bytes.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ key[index % 4]));
    bytes
}
