//! A WebSocket inside TLS: records, endings, backpressure, many and large messages, in both forms and on both ends.
#![cfg(feature = "tls")]

#[path = "support/authority.rs"]
mod authority;
mod support;

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use authority::{APPLICATION_DATA, ForeignStream, LOCAL, RECORD_OVERHEAD, dial, foreign_client};
use sotong::tls::{ClientTls, ServerTls};
use sotong::{
    Client, CloseCode, Closed, Config, Error, Events, Initiator, Message, MessageRef, Refusal, Request,
    Sender, Serve, Server, WebSocket,
};
use support::{CLOSE, Frame, Running, TEXT, frame, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// A server of one form, and what a client has to trust.
struct Secured {
    running: Running,
    root: String,
    /// How its connections ended.
    ends: mpsc::UnboundedReceiver<Arc<Closed>>,
    /// The last connection's.
    sender: Arc<Mutex<Option<Sender>>>,
}

const FORMS: [&str; 2] = ["event", "pull"];

/// Answers each message with itself. What finds no room is lost, and a test that counts would see that.
struct Echo {
    ends: mpsc::UnboundedSender<Arc<Closed>>,
    keep: Arc<Mutex<Option<Sender>>>,
}

impl Events for Echo {
    fn open(&mut self, socket: &Sender) {
        *self.keep.lock().expect("nobody panics") = Some(socket.clone());
    }

    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        let _ = socket.try_send(message);
    }

    fn close(&mut self, closed: &Arc<Closed>) {
        // A test may have heard enough.
        let _ = self.ends.send(closed.clone());
    }
}

impl Secured {
    async fn start(form: &str, config: Config) -> Secured {
        let tls = ServerTls::self_signed(LOCAL).expect("names of hosts");
        let root = tls.certificate_pem();
        let server = Server::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let server = server.with_config(config).with_tls(tls);
        let address = server.local_addr().expect("a listener has an address");
        let (tell, ends) = mpsc::unbounded_channel();
        let sender = Arc::new(Mutex::new(None));
        let serve = Secured::serve(form, server, tell, sender.clone());
        Secured { running: Running::start(address, serve), root, ends, sender }
    }

    fn serve(
        form: &str,
        server: Server,
        tell: mpsc::UnboundedSender<Arc<Closed>>,
        keep: Arc<Mutex<Option<Sender>>>,
    ) -> Serve {
        if form == "event" {
            server.serve_events(move |_: &Request| {
                Ok::<_, Refusal>(Echo { ends: tell.clone(), keep: keep.clone() })
            })
        } else {
            server.serve(move |mut socket: WebSocket| {
                let (tell, keep) = (tell.clone(), keep.clone());
                async move {
                    let sender = socket.sender();
                    *keep.lock().expect("nobody panics") = Some(sender.clone());
                    let echoing = async {
                        while let Some(message) = socket.recv().await? {
                            socket.send(message).await?;
                        }
                        Ok::<(), Error>(())
                    };
                    let _ = echoing.await;
                    drop(socket);
                    let _ = tell.send(sender.closed().await);
                    Ok::<(), Error>(())
                }
            })
        }
    }

    fn client(&self) -> Client {
        let tls = ClientTls::new().without_platform_roots().with_roots_pem(self.root.as_bytes());
        Client::new().with_tls(tls.expect("PEM of ours"))
    }

    fn url(&self) -> String {
        format!("wss://localhost:{}/", self.running.address.port())
    }

    async fn connect(&self) -> WebSocket {
        soon(self.client().connect(&self.url())).await.expect("a good certificate")
    }

    async fn peer(&self) -> Peer {
        Peer::open(dial(foreign_client(&self.root), self.running.address).await.expect("a good certificate"))
            .await
    }

    async fn end(&mut self) -> Arc<Closed> {
        soon(self.ends.recv()).await.expect("the server is there")
    }

    fn sender(&self) -> Sender {
        self.sender.lock().expect("nobody panics").clone().expect("somebody has connected")
    }
}

/// A client by hand, over rustls.
struct Peer {
    stream: ForeignStream,
}

impl Peer {
    async fn open(mut stream: ForeignStream) -> Peer {
        let address: SocketAddr = stream.get_mut().0.inner().peer_addr().expect("it is connected");
        stream.write_all(support::handshake(address, "/", "").as_bytes()).await.expect("the server reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(stream.read_u8()).await.expect("the server answers"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        Peer { stream }
    }

    async fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.stream.write_all(&frame(opcode, true, payload)).await.expect("the server reads");
        self.stream.flush().await.expect("the server reads");
    }

    async fn next(&mut self) -> Frame {
        soon(async {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head).await.expect("a frame");
            let length = match head[1] {
                126 => u64::from(self.stream.read_u16().await.expect("a length")),
                127 => self.stream.read_u64().await.expect("a length"),
                length => u64::from(length),
            };
            let mut payload = vec![0; usize::try_from(length).expect("it fits into memory")];
            self.stream.read_exact(&mut payload).await.expect("a payload");
            Frame { opcode: head[0] & 0x0f, fin: head[0] & 0x80 != 0, payload }
        })
        .await
    }
}

/// The lengths of the records that have come since the last look, without what encryption adds.
fn records(peer: &mut Peer) -> Vec<usize> {
    let records = peer.stream.get_mut().0.records();
    let mut records = records.lock().expect("nobody panics");
    let lengths = records.iter().map(|(kind, length)| {
        assert_eq!(*kind, APPLICATION_DATA);
        length - RECORD_OVERHEAD
    });
    let lengths = lengths.collect();
    records.clear();
    lengths
}

/// Some peers read a record and expect a frame in it. Where we can choose we do not tear a frame apart: what fits into
/// one record is in one, and a large payload begins behind its header.
#[tokio::test]
async fn header_and_payload_are_in_one_record() {
    for form in FORMS {
        let server = Secured::start(form, Config::default()).await;
        let mut peer = server.peer().await;
        peer.stream.get_mut().0.records().lock().expect("nobody panics").clear();
        for (size, expected) in [
            (0, vec![2]),
            (1, vec![3]),
            (125, vec![127]),
            (126, vec![130]),
            (5_000, vec![5_004]),
            // What one record holds is 16 KiB.
            (16_380, vec![16_384]),
            (20_000, vec![16_384, 3_620]),
        ] {
            let payload = vec![b'x'; size];
            peer.send(TEXT, &payload).await;
            assert_eq!(peer.next().await.payload, payload);
            assert_eq!(records(&mut peer), expected, "{form}: {size} bytes");
        }
        // Large ones go out by reference; still the header is not alone.
        let large = vec![b'x'; 1 << 20];
        peer.send(TEXT, &large).await;
        assert_eq!(peer.next().await.payload, large);
        let lengths = records(&mut peer);
        assert!(lengths[0] > 1_000, "{form}: {lengths:?}");
        assert_eq!(lengths.iter().sum::<usize>(), large.len() + 10);
        // Many at once: each record ends where a frame does.
        let frames = |size: usize| (0..200).map(move |_| vec![b'y'; size]);
        for size in [100, 700, 3_000] {
            let many: Vec<u8> = frames(size).flat_map(|payload| frame(TEXT, true, &payload)).collect();
            peer.stream.write_all(&many).await.expect("the server reads");
            peer.stream.flush().await.expect("the server reads");
            for payload in frames(size) {
                assert_eq!(peer.next().await.payload, payload);
            }
            let header = if size < 126 { 2 } else { 4 };
            for length in records(&mut peer) {
                assert_eq!(
                    length % (size + header),
                    0,
                    "{form}: a record of {length} bytes tears frames of {size}"
                );
            }
        }
        drop(peer);
        server.running.stop().await;
    }
}

/// On the way from our client, too: the server here is rustls.
#[tokio::test]
async fn a_client_puts_header_and_payload_in_one_record() {
    let pair = authority::self_signed(LOCAL, false);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("wss://{}/", listener.local_addr().expect("a listener has an address"));
    let tls = ClientTls::new().without_platform_roots().with_roots_pem(pair.chain.as_bytes());
    let client = Client::new().with_tls(tls.expect("PEM of ours"));
    let serving = async {
        let (stream, _) = listener.accept().await.expect("a listener accepts");
        let mut stream =
            authority::accept(authority::foreign_server(&pair), stream).await.expect("the client trusts us");
        let records = stream.get_mut().0.records();
        let serve = Server::detached().serve(async |mut socket: WebSocket| {
            while let Some(message) = socket.recv().await? {
                socket.send(message).await?;
            }
            Ok::<(), Error>(())
        });
        serve.handle().accept(sotong::Carrier::new(stream), Vec::new()).expect("it runs");
        (serve, records)
    };
    let connecting = client.connect(&url);
    let (connected, records) = {
        let served = async {
            let (serve, records) = serving.await;
            tokio::spawn(serve.into_future());
            records
        };
        let (connected, records) = tokio::join!(connecting, served);
        (connected.expect("a good certificate"), records)
    };
    let mut socket = connected;
    for (size, length) in [(0, 6), (1, 7), (125, 131), (126, 134), (5_000, 5_008)] {
        records.lock().expect("nobody panics").clear();
        socket.send(Message::binary(vec![1; size])).await.expect("the server is there");
        let back = soon(socket.recv()).await.expect("the server is there").expect("an answer");
        assert_eq!(back.len(), size);
        let seen = records.lock().expect("nobody panics").clone();
        assert_eq!(seen, [(APPLICATION_DATA, length + RECORD_OVERHEAD)], "{size} bytes");
    }
}

/// Replies to what came in one read leave in one record, too (design.md, guarantee 1).
#[tokio::test]
async fn replies_to_one_read_leave_in_one_record() {
    let server = Secured::start("event", Config::default()).await;
    let mut peer = server.peer().await;
    peer.stream.get_mut().0.records().lock().expect("nobody panics").clear();
    let mut together = Vec::new();
    for _ in 0..10 {
        together.extend(frame(TEXT, true, b"hello"));
    }
    peer.stream.write_all(&together).await.expect("the server reads");
    peer.stream.flush().await.expect("the server reads");
    for _ in 0..10 {
        assert_eq!(peer.next().await.text(), "hello");
    }
    assert_eq!(records(&mut peer), [70]);
    drop(peer);
    server.running.stop().await;
}

#[tokio::test]
async fn a_megabyte_and_ten_thousand_small_messages_come_back() {
    for form in FORMS {
        let server = Secured::start(form, Config::default()).await;
        let mut socket = server.connect().await;
        let large: Vec<u8> = (0..1 << 20).map(|index: u32| (index % 251) as u8).collect();
        socket.send(Message::binary(large.clone())).await.expect("the server is there");
        let back = soon(socket.recv()).await.expect("the server is there").expect("an answer");
        assert_eq!(back.as_bytes(), large, "{form}");

        let (sender, mut receiver) = socket.split();
        let sending = async {
            for number in 0..10_000 {
                sender.send(number.to_string()).await.expect("the server is there");
            }
        };
        let receiving = async {
            for number in 0..10_000 {
                let message = receiver.recv().await.expect("the server is there").expect("an answer");
                assert_eq!(message.as_text(), Some(number.to_string().as_str()), "{form}");
            }
        };
        soon(async { tokio::join!(sending, receiving) }).await;
        sender.close(CloseCode::NORMAL, "");
        soon(sender.closed()).await;
        server.running.stop().await;
    }
}

/// The client in event form counts what comes back.
struct Counter {
    next: u32,
    done: mpsc::UnboundedSender<()>,
}

impl Events for Counter {
    fn message(&mut self, _: &Sender, message: MessageRef<'_>) {
        assert_eq!(message.as_text(), Some(self.next.to_string().as_str()));
        self.next += 1;
        if self.next == 10_000 {
            let _ = self.done.send(());
        }
    }
}

#[tokio::test]
async fn ten_thousand_small_messages_come_back_in_event_form() {
    for form in FORMS {
        let server = Secured::start(form, Config::default()).await;
        let (done, mut is_done) = mpsc::unbounded_channel();
        let connecting = server.client().connect_events(&server.url(), move |_| Counter { next: 0, done });
        let sender = soon(connecting).await.expect("a good certificate");
        soon(async {
            for number in 0..10_000 {
                sender.send(number.to_string()).await.expect("the server is there");
            }
            is_done.recv().await.expect("all came back");
        })
        .await;
        sender.close(CloseCode::NORMAL, "");
        soon(sender.closed()).await;
        server.running.stop().await;
    }
}

/// What is read after the last frame: `Ok` when TLS said good-bye, an error when TCP just ended.
async fn rest(peer: &mut Peer) -> std::io::Result<usize> {
    let mut rest = Vec::new();
    soon(peer.stream.read_to_end(&mut rest)).await
}

#[tokio::test]
async fn tls_says_good_bye_after_websocket_does() {
    for form in FORMS {
        let mut server = Secured::start(form, Config::default()).await;
        let mut peer = server.peer().await;
        peer.send(CLOSE, &1000u16.to_be_bytes()).await;
        assert_eq!(peer.next().await.close_code(), Some(1000));
        assert_eq!(rest(&mut peer).await.expect("close_notify"), 0, "{form}");
        peer.stream.shutdown().await.expect("TLS can end");
        let closed = server.end().await;
        assert!(closed.clean, "{closed:?}");
        server.running.stop().await;
    }
    // The client says it as well: its server hears the end of TLS and not only of TCP.
    let mut server = Secured::start("pull", Config::default()).await;
    let closed = soon(server.connect().await.close(CloseCode::NORMAL, "bye")).await;
    assert!(closed.clean, "{closed:?}");
    assert!(server.end().await.clean);
    server.running.stop().await;
}

/// RFC 8446, section 6.1: without close_notify what came may be cut off. A WebSocket knows by its own Close.
#[tokio::test]
async fn a_stream_that_is_cut_is_regular_after_the_close_and_vanished_before() {
    for form in FORMS {
        let mut server = Secured::start(form, Config::default()).await;
        // We close; the peer answers, and its TCP ends without a word of TLS.
        let mut peer = server.peer().await;
        peer.send(TEXT, b"hello").await;
        assert_eq!(peer.next().await.text(), "hello");
        server.sender().close(CloseCode::NORMAL, "");
        assert_eq!(peer.next().await.close_code(), Some(1000));
        peer.send(CLOSE, &1000u16.to_be_bytes()).await;
        peer.stream.get_mut().0.shutdown().await.expect("TCP can end");
        let closed = server.end().await;
        assert!(closed.clean, "{form}: {closed:?}");
        assert_eq!(closed.first, Some(Initiator::Local));

        let mut peer = server.peer().await;
        peer.send(TEXT, b"hello").await;
        assert_eq!(peer.next().await.text(), "hello");
        peer.stream.get_mut().0.shutdown().await.expect("TCP can end");
        let closed = server.end().await;
        assert!(!closed.clean, "{form}: {closed:?}");
        assert_eq!(closed.code(), 1006);

        // In the middle of a record.
        let mut peer = server.peer().await;
        peer.stream.get_mut().0.write_all(b"\x17\x03\x03\x00\x50abc").await.expect("the server reads");
        peer.stream.get_mut().0.shutdown().await.expect("TCP can end");
        let closed = server.end().await;
        assert_eq!(closed.code(), 1006);

        // With close_notify, but without a Close, it vanished all the same.
        let mut peer = server.peer().await;
        peer.stream.shutdown().await.expect("TLS can end");
        let closed = server.end().await;
        assert_eq!(closed.code(), 1006);
        server.running.stop().await;
    }
}

/// What is no record ends the connection, and nothing of it is taken for a message.
#[tokio::test]
async fn forged_records_end_the_connection() {
    for form in FORMS {
        let mut server = Secured::start(form, Config::default()).await;
        let mut peer = server.peer().await;
        let forged = b"\x17\x03\x03\x00\x20................................";
        peer.stream.get_mut().0.write_all(forged).await.expect("the server reads");
        let closed = server.end().await;
        assert_eq!(closed.code(), 1006, "{closed:?}");
        assert!(rest(&mut peer).await.is_err(), "an alert");
        server.running.stop().await;
    }
}

/// A peer that takes nothing gets no more than its outbox and what the kernel and one write hold; the server stops
/// reading, and the stalled write has its deadline.
#[tokio::test]
async fn a_slow_reader_is_held_back_and_costs_bounded_memory() {
    let outbox = 256 * 1024;
    for form in FORMS {
        let config = Config::default()
            .with_outbox_bytes_max(outbox)
            .with_write_timeout(Some(Duration::from_millis(500)));
        let mut server = Secured::start(form, config).await;
        let mut peer = server.peer().await;
        let message = frame(TEXT, true, &vec![b'x'; 32 * 1024]);
        let mut most = 0;
        let mut sent = 0;
        let ended = async {
            // It never reads, and writes for as long as somebody takes it.
            let flooding = async {
                while peer.stream.write_all(&message).await.is_ok() && peer.stream.flush().await.is_ok() {
                    sent += message.len();
                }
                std::future::pending::<()>().await;
            };
            let mut looks = tokio::time::interval(Duration::from_millis(1));
            let watching = async {
                loop {
                    looks.tick().await;
                    if let Some(sender) = &*server.sender.lock().expect("nobody panics") {
                        most = most.max(sender.buffered_bytes());
                    }
                }
            };
            tokio::select! {
                end = server.ends.recv() => end.expect("the server is there"),
                () = flooding => unreachable!("it waits"),
                () = watching => unreachable!("it waits"),
            }
        };
        let closed: Arc<Closed> = soon(ended).await;
        assert!(!closed.clean, "{form}: {closed:?}");
        assert!(most > 0, "{form}: it was held back");
        assert!(most <= outbox + 64 * 1024, "{form}: {most} bytes waited");
        // The kernel's buffers of both ends and what the server held: far from endless.
        assert!(sent < 64 << 20, "{form}: {sent} bytes were taken");
        server.running.stop().await;
    }
}

/// Flushed means that the kernel has the ciphertext. rustls takes more than the kernel does, and holds it; that is
/// where the difference is. A peer that reads nothing makes the kernel full, message by message.
#[tokio::test]
async fn flushed_means_that_the_kernel_has_it() {
    let server = Secured::start("event", Config::default()).await;
    let mut peer = server.peer().await;
    peer.send(TEXT, b"hello").await;
    assert_eq!(peer.next().await.text(), "hello");
    let sender = server.sender();
    let size = 16 * 1024;
    let mut flushed = 0;
    loop {
        sender.send(Message::binary(vec![7; size])).await.expect("the peer is there");
        match tokio::time::timeout(Duration::from_millis(100), sender.flushed()).await {
            Ok(result) => result.expect("the peer is there"),
            Err(_) => break,
        }
        flushed += size;
    }
    assert!(flushed >= size, "the kernel takes one at least");
    // The driver would write what rustls holds. It gets no turn: this thread, the only one, blocks.
    let tcp = socket2::SockRef::from(&*peer.stream.get_mut().0.inner());
    let mut raw = vec![0; 1 << 20];
    let (mut got, mut quiet_since) = (0, Instant::now());
    // What the kernel has on the other side comes over by and by.
    while got < flushed && quiet_since.elapsed() < Duration::from_secs(2) {
        match (&*tcp).read(&mut raw) {
            Ok(0) => break,
            Ok(count) => {
                got += count;
                quiet_since = Instant::now();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(got >= flushed, "{flushed} bytes were flushed, and the kernel had {got}");
}

/// A peer that does not read: what is flushed waits, what is not does not count as flushed.
#[tokio::test]
async fn what_the_kernel_does_not_take_is_not_flushed() {
    let server = Secured::start("event", Config::default().with_outbox_bytes_max(16 << 20)).await;
    let mut peer = server.peer().await;
    peer.send(TEXT, b"hello").await;
    assert_eq!(peer.next().await.text(), "hello");
    let sender = server.sender();
    // More than any socket buffer.
    let size = 12 << 20;
    sender.send(Message::binary(vec![7; size])).await.expect("the peer is there");
    let flushed = sender.flushed();
    tokio::pin!(flushed);
    let early = tokio::time::timeout(Duration::from_millis(100), &mut flushed).await;
    assert!(early.is_err(), "the peer has read nothing");
    let (flushed, got) = tokio::join!(soon(flushed), peer.next());
    flushed.expect("the peer is there");
    assert_eq!(got.payload.len(), size);
    drop(peer);
    server.running.stop().await;
}
