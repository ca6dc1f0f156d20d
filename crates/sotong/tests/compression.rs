//! permessage-deflate over real sockets: both ends of the library, in both forms, and a peer by hand that looks at what
//! is on the wire. The core's tests have the standard's rules; these have what the library adds to them.

mod support;

use flate2::{Decompress, FlushDecompress};
use sotong::handshake::Accept;
use sotong::{
    Client, Compression, Config, Error, Events, Message, MessageRef, Refusal, Request, Sender, Server,
    Topics, Uncompressed, WebSocket, WindowBits,
};
use support::{Running, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SECRET: &str = "secret";

fn modes() -> [Compression; 3] {
    let narrow = WindowBits::new(8).expect("8 to 15");
    [Compression::shared(), Compression::windowed(), Compression::windowed().with_window_bits(narrow)]
}

fn config(compression: Compression) -> Config {
    Config::default().with_compression(Some(compression))
}

fn json(length: usize, seed: usize) -> String {
    let mut text = String::from("[");
    for index in 0.. {
        if text.len() >= length {
            break;
        }
        text.push_str(&format!("{{\"id\":{},\"name\":\"소통 {}\"}},", index * 7919 + seed, index % 13));
    }
    text.truncate(text.floor_char_boundary(length));
    text
}

/// Answers each message with itself; what holds a secret uncompressed.
struct Echo;

impl Events for Echo {
    fn open(&mut self, socket: &Sender) {
        socket.subscribe("room").expect("it may");
    }

    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        let result = match message.as_text() {
            Some(text) if text.contains(SECRET) => socket.try_send(Uncompressed(text)),
            _ => socket.try_send(message),
        };
        result.expect("there is room");
    }
}

async fn start(server: Server, pulls: bool, threads: usize) -> Running {
    let address = server.local_addr().expect("a listener has an address");
    let serve = if pulls {
        server.serve(async |mut socket: WebSocket| {
            socket.subscribe("room").expect("it may");
            while let Some(message) = socket.recv().await? {
                match message.as_text() {
                    Some(text) if text.contains(SECRET) => socket.send(Uncompressed(message)).await?,
                    _ => socket.send(message).await?,
                }
            }
            Ok::<(), Error>(())
        })
    } else {
        server.serve_events(|_: &Request| Ok::<_, Refusal>(Echo))
    };
    Running::start(address, serve.with_threads(threads))
}

#[tokio::test]
async fn both_ends_in_all_modes_and_forms() {
    for of_server in modes() {
        for of_client in modes() {
            let forms = [(false, 0), (true, 0), (false, 2), (true, 2)];
            // All of them where both ends want the same.
            for (pulls, threads) in forms.into_iter().take(if of_server == of_client { 4 } else { 1 }) {
                let (server, _) = support::server(config(of_server)).await;
                let running = start(server, pulls, threads).await;
                let client = Client::new().with_config(config(of_client)).with_simultaneous_connects();
                let url = format!("ws://{}", running.address);
                let mut socket = soon(client.connect(&url)).await.expect("it connects");
                let agreed =
                    socket.response().and_then(|response| response.header("sec-websocket-extensions"));
                assert!(agreed.is_some_and(|agreed| agreed.starts_with("permessage-deflate")), "{agreed:?}");
                for length in [0, 10, 1000, 100_000] {
                    for seed in 0..2 {
                        let message = Message::text(json(length, seed));
                        soon(socket.send(message.clone())).await.expect("it is open");
                        assert_eq!(soon(socket.recv()).await.expect("no error"), Some(message));
                    }
                }
                soon(socket.close(sotong::CloseCode::NORMAL, "")).await;
                running.stop().await;
            }
        }
    }
}

/// A client by hand that offers compression, and inflates with another codec than ours.
struct Peer {
    stream: TcpStream,
    answer: Option<String>,
    inflate: Decompress,
}

impl Peer {
    async fn connect(running: &Running, offer: Option<&str>) -> Peer {
        let mut stream = TcpStream::connect(running.address).await.expect("the server listens");
        let offer = offer.map_or(String::new(), |offer| format!("Sec-WebSocket-Extensions: {offer}\r\n"));
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n",
            running.address
        );
        stream.write_all(request.as_bytes()).await.expect("it is open");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(stream.read_u8()).await.expect("a whole head"));
        }
        let head = String::from_utf8(head).expect("a head of ASCII");
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        let answer = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
        Peer { answer: answer.map(str::to_owned), stream, inflate: Decompress::new(false) }
    }

    /// Sends text as it is.
    async fn send(&mut self, text: &str) {
        let frame = support::frame(support::TEXT, true, text.as_bytes());
        self.stream.write_all(&frame).await.expect("it is open");
    }

    /// The next frame: its first byte, its length on the wire, and what it says.
    async fn next(&mut self) -> (u8, usize, String) {
        let first = soon(self.stream.read_u8()).await.expect("a frame");
        let length = match soon(self.stream.read_u8()).await.expect("a frame") {
            126 => soon(self.stream.read_u16()).await.expect("a frame").into(),
            127 => soon(self.stream.read_u64()).await.expect("a frame"),
            short => short.into(),
        };
        let mut payload = vec![0; length as usize];
        soon(self.stream.read_exact(&mut payload)).await.expect("a frame");
        let on_the_wire = payload.len();
        if first & 0x40 != 0 {
            payload.extend([0, 0, 0xff, 0xff]);
            let mut plain = Vec::with_capacity(1 << 20);
            self.inflate
                .decompress_vec(&payload, &mut plain, FlushDecompress::Sync)
                .expect("a deflate stream");
            payload = plain;
        }
        (first, on_the_wire, String::from_utf8(payload).expect("text"))
    }
}

#[tokio::test]
async fn nothing_is_compressed_unless_both_want_it() {
    let text = json(2000, 1);
    for (wanted, offer) in
        [(None, Some("permessage-deflate")), (Some(Compression::shared()), None), (None, None)]
    {
        let (server, _) = support::server(Config::default().with_compression(wanted)).await;
        let running = start(server, false, 0).await;
        let mut peer = Peer::connect(&running, offer).await;
        assert_eq!(peer.answer, None);
        peer.send(&text).await;
        assert_eq!(peer.next().await, (0x81, text.len(), text.clone()));
        running.stop().await;
    }
}

/// D17: a secret goes as it is, in both forms.
#[tokio::test]
async fn a_secret_is_sent_uncompressed() {
    for pulls in [false, true] {
        let (server, _) = support::server(config(Compression::windowed())).await;
        let running = start(server, pulls, 0).await;
        let mut peer = Peer::connect(&running, Some("permessage-deflate; client_max_window_bits")).await;
        let (text, secret) = (json(2000, 1), format!("{SECRET} {}", json(2000, 1)));
        for _ in 0..3 {
            peer.send(&text).await;
            let (first, length, said) = peer.next().await;
            assert_eq!((first, said), (0xc1, text.clone()));
            assert!(length < text.len() / 2);
            peer.send(&secret).await;
            assert_eq!(peer.next().await, (0x81, secret.len(), secret.clone()));
        }
        running.stop().await;
    }
}

/// Per connection: an application's hook says no to one, and yes to another; limits that are changed later count.
#[tokio::test]
async fn a_connection_can_be_an_exception() {
    let (server, _) = support::server(config(Compression::shared())).await;
    let server = server.with_hook(|request: &Request| {
        let accept = Accept::default();
        Ok(if request.header("x-plain").is_some() { accept.with_compression(None) } else { accept })
    });
    let running = start(server, false, 0).await;
    let url = format!("ws://{}", running.address);
    let client = Client::new().with_config(config(Compression::shared())).with_simultaneous_connects();
    let extensions = |socket: &WebSocket| {
        socket.response().and_then(|response| response.header("sec-websocket-extensions")).map(str::to_owned)
    };
    let usual = soon(client.connect(&url)).await.expect("it connects");
    assert!(extensions(&usual).is_some());
    let client = client.with_header("X-Plain", "1").expect("a header");
    let mut plain = soon(client.connect(&url)).await.expect("it connects");
    assert_eq!(extensions(&plain), None);
    soon(plain.send("as it is")).await.expect("it is open");
    assert_eq!(soon(plain.recv()).await.expect("no error"), Some(Message::text("as it is")));
    drop((usual, plain));
    running.stop().await;

    // Lowered by the application, when the connection is open.
    let (server, address) = support::server(config(Compression::shared())).await;
    let serve = server.serve(async |mut socket: WebSocket| {
        while let Some(message) = socket.recv().await? {
            if message.as_text() == Some("off") {
                socket.sender().raise_limits(Config::default());
            }
            socket.send(message).await?;
        }
        Ok::<(), Error>(())
    });
    let running = Running::start(address, serve);
    let mut peer = Peer::connect(&running, Some("permessage-deflate")).await;
    let text = json(2000, 1);
    for (said, first) in [(text.as_str(), 0xc1), ("off", 0x81), (&text, 0x81)] {
        peer.send(said).await;
        assert_eq!(peer.next().await.0, first);
    }
    running.stop().await;
}

/// With no budget for codecs everything works, uncompressed.
#[tokio::test]
async fn without_a_budget_for_codecs_messages_go_as_they_are() {
    let (server, _) = support::server(config(Compression::windowed())).await;
    let running = start(server.with_codec_bytes_max(0), false, 0).await;
    let mut peer = Peer::connect(&running, Some("permessage-deflate; client_max_window_bits")).await;
    assert!(peer.answer.is_some());
    let text = json(2000, 1);
    peer.send(&text).await;
    assert_eq!(peer.next().await, (0x81, text.len(), text.clone()));
    let client = Client::new().with_config(config(Compression::windowed()));
    let mut socket = soon(client.connect(&format!("ws://{}", running.address))).await.expect("it connects");
    let message = Message::text(json(300_000, 2));
    soon(socket.send(message.clone())).await.expect("it is open");
    assert_eq!(soon(socket.recv()).await.expect("no error"), Some(message));
    drop(socket);
    running.stop().await;
}

/// Guarantee 10 and D18: publications reach subscribers of every kind, and what each is sent alone still fits.
#[tokio::test]
async fn publications_reach_every_kind_of_subscriber() {
    const OFFERS: [Option<&str>; 6] = [
        None,
        Some("permessage-deflate"),
        Some("permessage-deflate; server_max_window_bits=8"),
        Some("permessage-deflate; server_max_window_bits=10; client_max_window_bits"),
        Some("permessage-deflate; server_no_context_takeover"),
        Some("permessage-deflate; client_no_context_takeover; server_max_window_bits=15"),
    ];
    for (pulls, threads) in [(false, 0), (true, 0), (false, 2), (true, 2)] {
        for mode in [Compression::shared(), Compression::windowed()] {
            let topics = Topics::new();
            let (server, _) = support::server(config(mode)).await;
            let running = start(server.with_topics(topics.clone()), pulls, threads).await;
            let mut peers = Vec::new();
            for offer in OFFERS.iter().chain(&OFFERS) {
                let mut peer = Peer::connect(&running, *offer).await;
                // What comes back shows that it is subscribed.
                peer.send("here").await;
                assert_eq!(peer.next().await.2, "here");
                peers.push((offer.is_some(), peer));
            }
            let own = json(600, 7);
            for round in 0..4 {
                let messages: Vec<String> = (0..5).map(|index| json(1500, round * 5 + index)).collect();
                for message in &messages {
                    assert_eq!(topics.publish("room", message.as_str()), peers.len());
                }
                for (is_compressed, peer) in &mut peers {
                    for message in &messages {
                        let (first, length, said) = peer.next().await;
                        assert_eq!((first & 0x40 != 0, said == *message), (*is_compressed, true));
                        assert_eq!(length < message.len() / 2, *is_compressed);
                    }
                    peer.send(&own).await;
                    assert_eq!(peer.next().await.2, own);
                }
            }
            drop(peers);
            running.stop().await;
        }
    }
}

/// D14: a bomb ends its connection with 1009, and nothing else.
#[tokio::test]
async fn a_bomb_ends_its_connection_with_1009() {
    let (server, _) = support::server(config(Compression::shared())).await;
    let running = start(server, false, 0).await;
    let mut peer = Peer::connect(&running, Some("permessage-deflate")).await;
    let mut bomb = Vec::with_capacity(1 << 20);
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), false);
    deflate.compress_vec(&vec![0; 100 << 20], &mut bomb, flate2::FlushCompress::Sync).expect("it compresses");
    bomb.truncate(bomb.len() - 4);
    let mut frame = support::frame(support::BINARY, true, &bomb);
    frame[0] |= 0x40;
    peer.stream.write_all(&frame).await.expect("it is open");
    let (first, _, close) = {
        let first = soon(peer.stream.read_u8()).await.expect("a frame");
        let length = soon(peer.stream.read_u8()).await.expect("a frame");
        let mut payload = vec![0; length.into()];
        soon(peer.stream.read_exact(&mut payload)).await.expect("a frame");
        (first, length, payload)
    };
    assert_eq!((first, &close[..2]), (0x88, &1009u16.to_be_bytes()[..]));
    drop(peer);
    running.stop().await;
}

/// Many senders of one connection, from threads of their own: what is compressed stays in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_on_other_threads_keep_their_order() {
    let (server, address) = support::server(config(Compression::windowed())).await;
    let serve = server.serve(async |mut socket: WebSocket| {
        let sender = socket.sender();
        let threads = (0..4).map(|thread| {
            let sender = sender.clone();
            tokio::spawn(async move {
                for index in 0..200 {
                    sender.send(format!("{thread} {index} {}", json(300, thread))).await.expect("it is open");
                }
            })
        });
        let threads: Vec<_> = threads.collect();
        for thread in threads {
            thread.await.expect("no panic");
        }
        while socket.recv().await?.is_some() {}
        Ok::<(), Error>(())
    });
    let running = Running::start(address, serve);
    let client = Client::new().with_config(config(Compression::windowed()));
    let mut socket = soon(client.connect(&format!("ws://{address}"))).await.expect("it connects");
    let mut next = [0; 4];
    for _ in 0..800 {
        let message = soon(socket.recv()).await.expect("no error").expect("it is open");
        let mut words = message.as_text().expect("text").split(' ').map(str::parse::<usize>);
        let (Some(Ok(thread)), Some(Ok(index))) = (words.next(), words.next()) else { panic!("two numbers") };
        assert_eq!(index, next[thread]);
        next[thread] += 1;
    }
    drop(socket);
    running.stop().await;
}
