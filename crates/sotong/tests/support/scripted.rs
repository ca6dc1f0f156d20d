//! A server for tests of the client: every byte of it is the test's.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::net::SocketAddr;

use base64::Engine;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::support::{CLOSE, Frame, soon};

/// Listens, and does nothing by itself.
pub struct Scripted {
    pub listener: TcpListener,
    pub address: SocketAddr,
}

impl Scripted {
    pub async fn start() -> Scripted {
        Scripted::start_at("127.0.0.1:0").await
    }

    pub async fn start_at(address: &str) -> Scripted {
        let listener = TcpListener::bind(address).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        Scripted { listener, address }
    }

    pub fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// The next connection, before it has said anything.
    pub async fn accept(&self) -> TcpStream {
        let (stream, _) = soon(self.listener.accept()).await.expect("a listener accepts");
        stream.set_nodelay(true).expect("TCP can do that");
        stream
    }

    /// The next connection and its request.
    pub async fn request(&self) -> Asked {
        Asked::read(self.accept().await).await
    }

    /// The next connection, with an answer as it should be.
    pub async fn open(&self) -> Served {
        self.request().await.open("").await
    }
}

/// A client that has asked.
pub struct Asked {
    pub stream: TcpStream,
    pub head: String,
}

impl Asked {
    pub async fn read(mut stream: TcpStream) -> Asked {
        let head = super::support::read_head(&mut stream).await;
        assert!(head.ends_with("\r\n\r\n"), "a whole head: {head:?}");
        Asked { stream, head }
    }

    /// The values of a header.
    pub fn fields(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    pub fn request_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// What `Sec-WebSocket-Accept` has to say.
    pub fn accept(&self) -> String {
        let [key] = self.fields("Sec-WebSocket-Key")[..] else { panic!("one key: {}", self.head) };
        accept(key)
    }

    /// An answer as it should be, with more header lines (each ends with CR LF).
    pub fn answer(&self, headers: &str) -> String {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n{headers}\r\n",
            self.accept()
        )
    }

    pub async fn open(self, headers: &str) -> Served {
        let answer = self.answer(headers);
        self.say(answer).await
    }

    /// Answers with these bytes and goes on as if that had been right.
    pub async fn say(mut self, answer: impl AsRef<[u8]>) -> Served {
        self.stream.write_all(answer.as_ref()).await.expect("the client reads");
        Served { stream: self.stream }
    }
}

/// `Sec-WebSocket-Accept` for a key (RFC 6455, section 4.2.2, 5.4).
pub fn accept(key: &str) -> String {
    let digest =
        Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    base64::engine::general_purpose::STANDARD.encode(digest)
}

/// The server's end of a connection.
pub struct Served {
    pub stream: TcpStream,
}

impl Served {
    pub async fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.stream.write_all(bytes.as_ref())).await.expect("the client reads");
    }

    /// Sends a whole frame, without a mask.
    pub async fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.raw(unmasked(opcode, true, payload)).await;
    }

    /// The next frame of the client, which masks; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Frame> {
        Some(self.next_masked().await?.0)
    }

    /// The next frame and the key that masked it.
    pub async fn next_masked(&mut self) -> Option<(Frame, [u8; 4])> {
        soon(self.read_frame()).await
    }

    async fn read_frame(&mut self) -> Option<(Frame, [u8; 4])> {
        let mut head = [0; 2];
        if self.stream.read(&mut head[..1]).await.ok()? == 0 {
            return None;
        }
        self.stream.read_exact(&mut head[1..]).await.ok()?;
        assert_eq!(head[1] & 0x80, 0x80, "a client masks");
        assert_eq!(head[0] & 0x70, 0, "no reserved bits");
        let length = match head[1] & 0x7f {
            126 => u64::from(self.stream.read_u16().await.ok()?),
            127 => self.stream.read_u64().await.ok()?,
            length => u64::from(length),
        };
        let mut key = [0; 4];
        self.stream.read_exact(&mut key).await.ok()?;
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        payload.iter_mut().enumerate().for_each(|(index, byte)| *byte ^= key[index % 4]);
        Some((Frame { opcode: head[0] & 0x0f, fin: head[0] & 0x80 != 0, payload }, key))
    }

    pub async fn expect(&mut self, opcode: u8, payload: &[u8]) {
        let frame = self.next().await.expect("a frame before the end");
        assert_eq!((frame.opcode, frame.fin), (opcode, true));
        assert_eq!(frame.payload, payload);
    }

    /// The client's Close, which comes next: its code and reason.
    pub async fn expect_close(&mut self) -> (u16, String) {
        let frame = self.next().await.expect("a close frame before the end of the stream");
        let code = frame.close_code().unwrap_or(1005);
        let reason = frame.payload.get(2..).unwrap_or_default().to_vec();
        (code, String::from_utf8(reason).expect("a reason is UTF-8"))
    }

    /// The end of the stream, with nothing before it; a reset is an end as well.
    pub async fn expect_end(&mut self) {
        let mut rest = Vec::new();
        let _ = soon(self.stream.read_to_end(&mut rest)).await;
        assert_eq!(rest, b"", "nothing comes after the end");
    }

    /// Closes regularly, as a server does: answers hang up first.
    pub async fn close(mut self, code: u16) {
        self.send(CLOSE, &code.to_be_bytes()).await;
        assert_eq!(self.expect_close().await.0, code);
        self.stream.shutdown().await.expect("it is open");
        self.expect_end().await;
    }
}

/// A frame as a server sends it.
pub fn unmasked(opcode: u8, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![if fin { 0x80 } else { 0 } | opcode];
    match payload.len() {
        length @ 0..=125 => bytes.push(length as u8),
        length @ 126..=0xffff => {
            bytes.push(126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}
