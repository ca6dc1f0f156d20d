//! A client in event form that sends much to a server that sends much back: neither waits for the other.

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::future::IntoFuture;
use std::time::Duration;

use scripted::{accept, unmasked};
use sotong::{Carrier, Client, Error, Events, MessageRef, SendError, Sender, Server, WebSocket};
use support::{BINARY, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

const COUNT: usize = 16;
const LARGE_BYTES: usize = 1 << 20;

/// A server, and a way to it on which far less has room than either sends.
fn serve<F>(handler: impl Fn(WebSocket) -> F + Send + Sync + 'static) -> Carrier
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let serve = Server::detached().serve(handler);
    let handle = serve.handle();
    tokio::spawn(serve.into_future());
    let (near, far) = tokio::io::duplex(16 * 1024);
    handle.accept(Carrier::new(far), Vec::new()).expect("it serves");
    Carrier::new(near)
}

/// Answers each large message with a small one, and tells the length of all that comes.
struct Acknowledge(mpsc::UnboundedSender<usize>);

impl Events for Acknowledge {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        let length = message.as_bytes().len();
        if length == LARGE_BYTES {
            socket.try_send("acknowledged").expect("answers have room, whatever else waits");
        }
        self.0.send(length).expect("the test listens");
    }
}

#[tokio::test]
async fn a_client_in_event_form_reads_on_while_much_waits_to_be_sent() {
    let near = serve(async |mut socket: WebSocket| {
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
        Ok(())
    });
    let (told, mut came) = mpsc::unbounded_channel();
    let connecting = Client::new().connect_events_over(near, "ws://localhost/", |_| Acknowledge(told));
    let sender = soon(connecting).await.expect("connected");
    let sending = tokio::spawn(async move {
        for _ in 0..COUNT {
            sender.send(vec![7; LARGE_BYTES]).await?;
        }
        Ok::<_, SendError>(sender)
    });
    let mut lengths = Vec::new();
    // Each comes back, and so does what it was answered with.
    while lengths.len() < 2 * COUNT {
        lengths.push(soon(came.recv()).await.expect("it is open"));
    }
    assert_eq!(lengths.iter().filter(|length| **length == LARGE_BYTES).count(), COUNT);
    drop(sending.await.expect("no panic").expect("all were accepted"));
}

/// Answers each message with itself.
struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        assert!(socket.try_send(message).is_ok(), "no more is read than can be answered");
    }
}

/// Under a virtual clock, which goes on when nobody can: then the client has stopped reading.
#[tokio::test(start_paused = true)]
async fn a_client_in_event_form_stops_reading_for_what_its_callbacks_have_sent() {
    // More than the client holds, and than it could without a limit on what it reads.
    const PIECES: usize = 256;
    let piece = unmasked(BINARY, true, &[7; 64 * 1024]);
    let (near, far) = tokio::io::duplex(16 * 1024);
    let near = Carrier::new(near);
    let connecting = tokio::spawn(Client::new().connect_events_over(near, "ws://localhost/", |_| Echo));
    let (mut from_client, mut to_client) = tokio::io::split(far);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(from_client.read_u8()).await.expect("a request"));
    }
    let head = String::from_utf8(head).expect("ASCII");
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let (_, key) = fields.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")).expect("a key");
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept(key)
    );
    soon(to_client.write_all(answer.as_bytes())).await.expect("it reads");
    let _sender = soon(connecting).await.expect("no panic").expect("connected");

    // The length takes eight bytes, the key four.
    let echoed_bytes = PIECES * (piece.len() + 4);
    let mut writing = tokio::spawn(async move {
        for _ in 0..PIECES {
            to_client.write_all(&piece).await?;
        }
        std::io::Result::Ok(to_client)
    });
    assert!(timeout(Duration::from_secs(1), &mut writing).await.is_err(), "it takes no answers");
    let mut echoed = vec![0; echoed_bytes];
    soon(from_client.read_exact(&mut echoed)).await.expect("each is answered");
    soon(writing).await.expect("no panic").expect("all was read");
}
