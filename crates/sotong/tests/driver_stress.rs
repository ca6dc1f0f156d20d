//! Everything at once, on four workers: senders on many threads, closes, flushes, pings, futures that are dropped,
//! slow and fast peers. Afterwards what was accepted has arrived in each sender's order, and nothing is left.

mod support;

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sotong::{CloseCode, Config, Error, Events, Handle, MessageRef, Refusal, Request, Sender, WebSocket};
use support::{BINARY, CLOSE, PING, PONG, Peer, Running, frame, soon};
use tokio::sync::mpsc;

const CONNECTIONS: usize = 48;
const SENDERS: usize = 4;

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

struct HandsOut(mpsc::UnboundedSender<Sender>);

impl Events for HandsOut {
    fn open(&mut self, socket: &Sender) {
        self.0.send(socket.clone()).expect("the test is there");
    }

    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        // Its answers count as those of a sender of their own.
        let _ = socket.try_send(message);
    }
}

async fn both_forms() -> Vec<(Running, Handle, mpsc::UnboundedReceiver<Sender>)> {
    let config = || Config::default().with_outbox_bytes_max(256 * 1024).with_inbox_bytes_max(32 * 1024);
    let mut forms = Vec::new();
    let (report, senders) = mpsc::unbounded_channel();
    let (server, address) = support::server(config()).await;
    let serve = server.serve_events(move |_: &Request| Ok::<_, Refusal>(HandsOut(report.clone())));
    forms.push((serve, address, senders));
    let (report, senders) = mpsc::unbounded_channel();
    let (server, address) = support::server(config()).await;
    let serve = server.serve(move |mut socket: WebSocket| {
        report.send(socket.sender()).expect("the test is there");
        async move {
            while let Some(message) = socket.recv().await? {
                socket.send(message).await?;
            }
            Ok::<(), Error>(())
        }
    });
    forms.push((serve, address, senders));
    let start = |(serve, address, senders): (sotong::Serve, _, _)| {
        let handle = serve.handle();
        (Running::start(address, serve), handle, senders)
    };
    forms.into_iter().map(start).collect()
}

fn message(sender: usize, number: u32, length: usize) -> Vec<u8> {
    let mut bytes = vec![sender as u8; 5 + length];
    bytes[1..5].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// One task that sends; returns how many of its messages were accepted.
async fn speak(socket: Sender, sender: usize, mut dice: Dice) -> u32 {
    let mut accepted = 0;
    for _ in 0..dice.below(300) {
        let length = if dice.below(20) == 0 { dice.below(100_000) } else { dice.below(200) };
        let bytes = message(sender, accepted, length as usize);
        let sent = match dice.below(4) {
            0 => socket.try_send(bytes).is_ok(),
            1 => {
                // Given up after one look, if it is not ready.
                tokio::select! {
                    biased;
                    sent = socket.send(bytes) => sent.is_ok(),
                    () = std::future::ready(()) => false,
                }
            }
            _ => socket.send(bytes).await.is_ok(),
        };
        accepted += u32::from(sent);
        match dice.below(40) {
            0 => drop(socket.flushed().await),
            1 => drop(tokio::time::timeout(Duration::from_micros(50), socket.flushed()).await),
            2 => drop(tokio::time::timeout(Duration::from_micros(50), socket.ping()).await),
            3 => drop(tokio::time::timeout(Duration::from_micros(50), socket.closed()).await),
            4 => drop(socket.ping().await),
            5..10 => tokio::task::yield_now().await,
            _ => {}
        }
    }
    accepted
}

/// Reads to the Close, answers pings, talks a little; returns how many came of each sender.
async fn listen(peer: &mut Peer, mut dice: Dice) -> [u32; SENDERS] {
    let mut next = [0; SENDERS];
    let is_slow = dice.below(3) == 0;
    let mut said = 0u32;
    loop {
        let received = peer.next().await.expect("a close before the end");
        match received.opcode {
            CLOSE => return next,
            PING => {
                // The server may be closing: then nobody needs it.
                let _ = tokio::io::AsyncWriteExt::write_all(
                    &mut peer.stream,
                    &frame(PONG, true, &received.payload),
                )
                .await;
            }
            PONG => {}
            _ => {
                let sender = usize::from(received.payload[0]);
                if sender < SENDERS {
                    let number = u32::from_be_bytes(received.payload[1..5].try_into().expect("four bytes"));
                    assert_eq!(number, next[sender], "sender {sender}: in order, nothing missing");
                    next[sender] += 1;
                }
            }
        }
        if is_slow && dice.below(30) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if said < 50 && dice.below(4) == 0 {
            said += 1;
            let bytes = frame(if dice.below(5) == 0 { PING } else { BINARY }, true, &[SENDERS as u8; 100]);
            let _ = tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &bytes).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_accepted_before_a_close_has_arrived_and_nothing_is_left() {
    for (running, handle, mut senders) in both_forms().await {
        let mut lives = tokio::task::JoinSet::new();
        let accepted_in_all = Arc::new(AtomicUsize::new(0));
        for index in 0..CONNECTIONS as u64 {
            let mut peer = running.connect().await;
            let socket = soon(senders.recv()).await.expect("a connection opened");
            let accepted_in_all = accepted_in_all.clone();
            lives.spawn(async move {
                let mut dice = Dice(index);
                let speakers: Vec<_> = (0..SENDERS)
                    .map(|sender| {
                        tokio::spawn(speak(socket.clone(), sender, Dice(index * 100 + sender as u64)))
                    })
                    .collect();
                // Some are closed when all is said, some at any moment.
                let closer = (dice.below(2) == 0).then(|| {
                    let (socket, micros) = (socket.clone(), dice.below(20_000));
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_micros(micros)).await;
                        socket.close(CloseCode::NORMAL, "")
                    })
                });
                let ending = tokio::spawn(async move {
                    let mut accepted = [0; SENDERS];
                    for (count, speaker) in accepted.iter_mut().zip(speakers) {
                        *count = speaker.await.expect("it does not panic");
                    }
                    if let Some(closer) = closer {
                        assert!(closer.await.expect("it does not panic"), "it was the first to close");
                    }
                    socket.close(CloseCode::NORMAL, "");
                    (accepted, socket)
                });
                let received = listen(&mut peer, dice).await;
                // As a client does: answers, and leaves TCP to the server.
                let _ = tokio::io::AsyncWriteExt::write_all(
                    &mut peer.stream,
                    &frame(CLOSE, true, &1000u16.to_be_bytes()),
                )
                .await;
                peer.expect_end().await;
                let (accepted, socket) = soon(ending).await.expect("it does not panic");
                assert_eq!(
                    received, accepted,
                    "connection {index}: everything accepted has arrived, no more"
                );
                accepted_in_all.fetch_add(accepted.iter().sum::<u32>() as usize, Ordering::Relaxed);
                let closed = soon(socket.closed()).await;
                assert!(closed.received.is_some(), "{closed:?}");
                assert_eq!(socket.buffered_bytes(), 0);
            });
        }
        tokio::time::timeout(Duration::from_secs(120), lives.join_all()).await.expect("every life ends");
        assert!(accepted_in_all.load(Ordering::Relaxed) > 1000, "too little was sent: this shows nothing");
        running.stop().await;
        let stats = handle.stats();
        assert_eq!((stats.connections, stats.buffered_bytes, stats.closed_for_memory), (0, 0, 0));
    }
}

/// The runtime of a server goes while others send: every sender hears of it, and nobody waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_goes_ends_everything_for_senders_elsewhere() {
    for round in 0..20 {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("there are threads");
        let (report, mut senders) = mpsc::unbounded_channel();
        let (address, handle) = runtime
            .spawn(async move {
                let (server, address) = support::server(Config::default()).await;
                let serve =
                    server.serve_events(move |_: &Request| Ok::<_, Refusal>(HandsOut(report.clone())));
                let handle = serve.handle();
                tokio::spawn(serve.into_future());
                (address, handle)
            })
            .await
            .expect("it does not panic");
        let mut waiting = tokio::task::JoinSet::new();
        let mut peers = Vec::new();
        for _ in 0..4 {
            peers.push(Peer::connect(address).await);
            let socket = soon(senders.recv()).await.expect("a connection opened");
            let (first, second, third) = (socket.clone(), socket.clone(), socket.clone());
            waiting.spawn(async move { while first.send(&[0; 1000][..]).await.is_ok() {} });
            waiting.spawn(async move { while second.flushed().await.is_ok() {} });
            waiting.spawn(async move { while third.ping().await.is_ok() {} });
            waiting.spawn(async move { drop(socket.closed().await) });
        }
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        runtime.shutdown_background();
        soon(waiting.join_all()).await;
        assert_eq!(handle.stats().connections, 0);
        assert_eq!(handle.stats().buffered_bytes, 0);
    }
}
