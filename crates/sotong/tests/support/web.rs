//! A listener for all four events of `sotong::web`, and the server's end of a stream in memory.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use sotong::web::{Data, Options, ReadyState, WebSocket, on};
use sotong::{Carrier, Client};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use super::scripted::{accept, unmasked};
use super::support::{Frame, soon};

/// One event, as a listener saw it, with the state of the socket at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Open(ReadyState),
    Message(ReadyState, Data, String),
    Error(ReadyState, String),
    Close(ReadyState, bool, u16, String),
}

impl Heard {
    pub fn text(&self) -> &str {
        match self {
            Heard::Message(_, data, _) => data.as_text().expect("text"),
            other => panic!("a message, not {other:?}"),
        }
    }

    pub fn cause(&self) -> &str {
        match self {
            Heard::Error(ReadyState::Closed, cause) => cause,
            other => panic!("an error in state CLOSED, not {other:?}"),
        }
    }

    /// `was_clean`, code and reason of the close event.
    pub fn closed(&self) -> (bool, u16, &str) {
        match self {
            Heard::Close(ReadyState::Closed, clean, code, reason) => (*clean, *code, reason),
            other => panic!("a close event in state CLOSED, not {other:?}"),
        }
    }
}

/// All events of a socket, in order.
pub struct Ears(mpsc::UnboundedReceiver<Heard>);

impl Ears {
    pub fn of(socket: &WebSocket) -> Ears {
        let (tell, heard) = mpsc::unbounded_channel();
        let (open, message, error, close) = (tell.clone(), tell.clone(), tell.clone(), tell);
        // The test may have heard enough.
        socket.add_event_listener(on::OPEN, move |socket| drop(open.send(Heard::Open(socket.ready_state()))));
        socket.add_event_listener(on::MESSAGE, move |event| {
            let (state, data) = (event.target().ready_state(), event.data().clone());
            drop(message.send(Heard::Message(state, data, event.origin().to_owned())));
        });
        socket.add_event_listener(on::ERROR, move |event| {
            drop(error.send(Heard::Error(event.target().ready_state(), event.cause().to_string())));
        });
        socket.add_event_listener(on::CLOSE, move |event| {
            let (clean, code, reason) = (event.was_clean(), event.code(), event.reason().to_owned());
            drop(close.send(Heard::Close(event.target().ready_state(), clean, code, reason)));
        });
        Ears(heard)
    }

    pub async fn next(&mut self) -> Heard {
        soon(self.0.recv()).await.expect("there is one more event")
    }

    pub async fn open(&mut self) {
        assert_eq!(self.next().await, Heard::Open(ReadyState::Open));
    }

    pub async fn text(&mut self, text: &str) {
        assert_eq!(self.next().await.text(), text);
    }

    /// The rest. It ends when the listeners are dropped, after the close event.
    pub async fn rest(&mut self) -> Vec<Heard> {
        let mut rest = Vec::new();
        while let Some(heard) = soon(self.0.recv()).await {
            rest.push(heard);
        }
        rest
    }

    /// The two events of a failure, which are the last: the cause.
    pub async fn failure(&mut self) -> String {
        let [error, close] = &self.rest().await[..] else { panic!("an error and a close") };
        assert_eq!(close.closed(), (false, 1006, ""));
        error.cause().to_owned()
    }

    /// The close event, which is the last, with none before it.
    pub async fn close(&mut self) -> (bool, u16, String) {
        let rest = self.rest().await;
        let [close] = &rest[..] else { panic!("one close: {rest:?}") };
        let (clean, code, reason) = close.closed();
        (clean, code, reason.to_owned())
    }

    pub fn has_more(&mut self) -> bool {
        !self.0.is_empty()
    }
}

/// Looks again and again until it is so. By the clock and not by turns, so that a virtual one goes on.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    soon(async {
        while !is_so() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A client whose connects do not wait for those of other tests in this process.
pub fn client() -> Client {
    Client::new().with_simultaneous_connects().with_config(Options::default_config().with_compression(None))
}

pub fn options() -> Options {
    Options::new().with_client(client())
}

pub fn open(url: impl AsRef<str>) -> WebSocket {
    options().open(url).expect("a URL")
}

/// The server's end of a stream in memory, by hand.
pub struct Wire(pub DuplexStream);

impl Wire {
    /// A socket that connects through memory, in which so many bytes may be on their way.
    pub fn with(options: &Options, bytes: usize) -> (WebSocket, Wire) {
        let (near, far) = tokio::io::duplex(bytes);
        let socket = options.open_over(Carrier::new(near), "ws://localhost/").expect("a URL");
        (socket, Wire(far))
    }

    pub fn new() -> (WebSocket, Wire) {
        Wire::with(&options(), 1 << 16)
    }

    /// Reads the request; the answer as it should be.
    pub async fn answer(&mut self) -> Vec<u8> {
        self.try_answer().await.expect("a request")
    }

    /// The same, if the client asks.
    pub async fn try_answer(&mut self) -> Option<Vec<u8>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(self.0.read_u8()).await.ok()?);
        }
        let head = String::from_utf8(head).expect("ASCII");
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            accept(key)
        );
        Some(answer.into_bytes())
    }

    pub async fn open(&mut self) {
        let answer = self.answer().await;
        self.raw(&answer).await;
    }

    pub async fn raw(&mut self, bytes: &[u8]) {
        soon(self.0.write_all(bytes)).await.expect("the client reads");
    }

    pub async fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.raw(&unmasked(opcode, true, payload)).await;
    }

    /// The next frame; `None` at the end.
    pub async fn next(&mut self) -> Option<Frame> {
        soon(async {
            let mut head = [0; 2];
            if self.0.read(&mut head[..1]).await.ok()? == 0 {
                return None;
            }
            self.0.read_exact(&mut head[1..]).await.ok()?;
            let length = match head[1] & 0x7f {
                126 => u64::from(self.0.read_u16().await.ok()?),
                127 => self.0.read_u64().await.ok()?,
                length => u64::from(length),
            };
            let mut key = [0; 4];
            self.0.read_exact(&mut key).await.ok()?;
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            payload.iter_mut().enumerate().for_each(|(index, byte)| *byte ^= key[index % 4]);
            Some(Frame { opcode: head[0] & 0x0f, fin: head[0] & 0x80 != 0, payload })
        })
        .await
    }
}
