//! The servers of the benchmarks `receive` and `send`: ours, on the public API of the library alone, and the floor.
//!
//! `receive`: messages are counted and nothing else; a binary message is answered with the count, as text. The floor reads
//! and looks at nothing but the last byte of each read: [`ASK`] makes it answer with the bytes so far, eight of them.
//! `send`: whoever connects is sent [`TEXT`] again and again by one task. The floor writes blocks of such frames.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use sotong::{Error, Events, Message, MessageRef, Refusal, Request, Sender, Server, WebSocket};

use crate::cores;
use crate::failure::{Failure, Result, While};
use crate::frame;
use crate::settings::OneWayServerSettings;

/// Which way messages go, as the server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    Receive,
    Send,
}

impl Way {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Way::Receive => "receive",
            Way::Send => "send",
        }
    }
}

/// What serves: a form of the library, or the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shape {
    Event,
    Pull,
    Raw,
}

/// The message of both benchmarks, 32 bytes of it.
pub(crate) const TEXT: &str = "KRW 1,234,567.89 SOTO 0042 bid 7";

/// Asks the floor how many bytes it has had. No frame of the load has this byte anywhere.
pub(crate) const ASK: u8 = 0xFF;

/// As much as the floor reads at a time, and writes.
const RAW_READ_BYTES: usize = 512 << 10;
const RAW_WRITE_BYTES: usize = 64 << 10;

/// The subcommand `one-way-server`.
pub(crate) fn run(settings: &OneWayServerSettings) -> Result<()> {
    cores::raise_open_files(0)?;
    match settings.shape {
        Shape::Raw => raw(settings.way, settings.listen),
        Shape::Event | Shape::Pull => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .during("making a runtime")?;
            runtime.block_on(ours(settings))
        }
    }
}

fn tell(address: SocketAddr) -> Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {address}").and_then(|()| stdout.flush()).during("telling the address")
}

async fn ours(settings: &OneWayServerSettings) -> Result<()> {
    let server = Server::bind(settings.listen).await.during("listening")?;
    tell(server.local_addr().during("listening")?)?;
    let serve = match (settings.way, settings.shape) {
        (Way::Receive, Shape::Event) => {
            server.serve_events(|_: &Request| Ok::<_, Refusal>(Counter { texts: 0 }))
        }
        (Way::Receive, _) => server.serve(count),
        (Way::Send, Shape::Event) => server.serve_events(|_: &Request| Ok::<_, Refusal>(Speaker)),
        (Way::Send, _) => server.serve(async |socket: WebSocket| {
            loop {
                socket.send(TEXT).await?;
            }
            #[expect(unreachable_code, reason = "the type of its errors")]
            Ok::<(), Error>(())
        }),
    };
    serve.await.map_err(|error| Failure::new(format!("serving: {error}")))
}

struct Counter {
    texts: u64,
}

impl Events for Counter {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        match message {
            MessageRef::Text(_) => self.texts += 1,
            MessageRef::Binary(_) => {
                socket.try_send(self.texts.to_string()).expect("nothing waits to be sent")
            }
        }
    }
}

async fn count(mut socket: WebSocket) -> std::result::Result<(), Error> {
    let mut texts: u64 = 0;
    while let Some(message) = socket.recv().await? {
        if matches!(message, Message::Text(_)) {
            texts += 1;
        } else {
            socket.send(texts.to_string()).await?;
        }
    }
    Ok(())
}

struct Speaker;

impl Events for Speaker {
    fn open(&mut self, socket: &Sender) {
        let socket = socket.clone();
        tokio::spawn(async move { while socket.send(TEXT).await.is_ok() {} });
    }

    fn message(&mut self, _socket: &Sender, _message: MessageRef<'_>) {}
}

/// One connection of the floor.
struct Peer {
    stream: TcpStream,
    received: u64,
    /// Where in the block the next write begins.
    offset: usize,
}

/// One thread, one epoll, one call for each readiness.
fn raw(way: Way, listen: SocketAddr) -> Result<()> {
    const LISTENER: u64 = u64::MAX;
    let listener = TcpListener::bind(listen).during(format_args!("listening on {listen}"))?;
    tell(listener.local_addr().during("asking for the port")?)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC).during("making an epoll")?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)
        .during("adding to an epoll")?;
    let interest = match way {
        Way::Receive => EventFlags::IN,
        Way::Send => EventFlags::OUT,
    };
    let block = frames(RAW_WRITE_BYTES);
    let mut buffer = vec![0; RAW_READ_BYTES];
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut events = Vec::with_capacity(64);
    loop {
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).during("waiting for readiness"),
        }
        for event in events.drain(..) {
            let index = event.data.u64();
            if index == LISTENER {
                let (stream, _) = listener.accept().during("accepting a connection")?;
                stream.set_nodelay(true).during("setting TCP_NODELAY")?;
                stream.set_nonblocking(true).during("making a socket non-blocking")?;
                epoll::add(&epoll, &stream, EventData::new_u64(peers.len() as u64), interest)
                    .during("adding to an epoll")?;
                peers.push(Some(Peer { stream, received: 0, offset: 0 }));
                continue;
            }
            let slot = &mut peers[index as usize];
            let outcome = match slot {
                Some(peer) if way == Way::Receive => peer.receive(&mut buffer),
                Some(peer) => peer.send(&block),
                None => continue,
            };
            if outcome.is_err() {
                // Gone, in order or not. Dropping the socket takes it out of the epoll.
                *slot = None;
            }
        }
    }
}

impl Peer {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let received = self.stream.read(buffer)?;
        if received == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.received += received as u64;
        if buffer[received - 1] == ASK {
            // Eight bytes: the kernel has room for them, since nothing else is sent.
            self.stream.write_all(&(self.received - 1).to_be_bytes())?;
            self.received -= 1;
        }
        Ok(())
    }

    fn send(&mut self, block: &[u8]) -> io::Result<()> {
        let sent = self.stream.write(&block[self.offset..])?;
        self.offset = (self.offset + sent) % block.len();
        Ok(())
    }
}

/// Unmasked frames with [`TEXT`], as many as fit.
pub(crate) fn frames(bytes: usize) -> Vec<u8> {
    let mut one = Vec::new();
    frame::write_unmasked_text(&mut one, TEXT);
    one.repeat(bytes / one.len())
}
