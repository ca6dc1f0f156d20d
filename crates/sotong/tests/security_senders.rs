//! Sending while a connection closes, from many threads (security.md, lifetime: CVE-2022-25762): no panic, nothing is
//! lost silently, nothing goes elsewhere.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sotong::{CloseCode, Config, Error, Events, MessageRef, Sender, TrySendError, WebSocket};
use support::{CLOSE, Peer, Running, soon};
use tokio::sync::mpsc;

const THREADS: usize = 4;
const ROUNDS: usize = 60;

struct HandsOut(mpsc::UnboundedSender<Sender>);

impl Events for HandsOut {
    fn open(&mut self, socket: &Sender) {
        self.0.send(socket.clone()).expect("the test is there");
    }
    fn message(&mut self, _socket: &Sender, _message: MessageRef<'_>) {}
}

/// Each form hands its senders to the test.
async fn both_forms(config: Config) -> [(Running, mpsc::UnboundedReceiver<Sender>); 2] {
    let (first, from_pull) = mpsc::unbounded_channel();
    let (second, from_events) = mpsc::unbounded_channel();
    let pull = support::pull(config.clone(), move |mut socket: WebSocket| {
        first.send(socket.sender()).expect("the test is there");
        async move {
            while socket.recv().await?.is_some() {}
            Ok::<(), Error>(())
        }
    });
    let events = support::events(config, move |_| HandsOut(second.clone()));
    [(pull.await, from_pull), (events.await, from_events)]
}

/// Sends numbered messages until the connection is closed; returns how many were accepted.
fn send_until_closed(sender: &Sender, thread: usize, accepted: &AtomicUsize) {
    let mut number = 0;
    loop {
        let text = format!("{thread} {number}");
        match sender.try_send(&*text) {
            Ok(()) => {
                number += 1;
                accepted.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Full(back)) => {
                assert_eq!(back.as_ref(), MessageRef::Text(&text), "it comes back");
                std::thread::yield_now();
            }
            Err(TrySendError::Closed(back)) => {
                assert_eq!(back.as_ref(), MessageRef::Text(&text), "it comes back");
                assert!(sender.is_closed());
                assert!(
                    matches!(sender.try_send("once more"), Err(TrySendError::Closed(_))),
                    "closed stays closed"
                );
                return;
            }
        }
    }
}

/// Reads to the end; checks the order of each thread's messages. Returns how many came before the Close.
async fn count_messages(peer: &mut Peer) -> Option<usize> {
    let mut next = [0; THREADS];
    while let Some(frame) = peer.next().await {
        if frame.opcode == CLOSE {
            return Some(next.iter().sum());
        }
        let (thread, number) = frame.text().split_once(' ').expect("two numbers");
        let (thread, number): (usize, usize) =
            (thread.parse().expect("a number"), number.parse().expect("a number"));
        assert_eq!(number, next[thread], "thread {thread}: in order, nothing missing");
        next[thread] += 1;
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_accepted_before_a_close_of_ours_arrives_and_nothing_after_it() {
    for (running, mut senders) in both_forms(Config::default().with_outbox_bytes_max(64 * 1024)).await {
        for round in 0..ROUNDS {
            let mut peer = running.connect().await;
            let sender = soon(senders.recv()).await.expect("a connection opened");
            let accepted = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (sender, accepted) = (sender.clone(), accepted.clone());
                    std::thread::spawn(move || send_until_closed(&sender, thread, &accepted))
                })
                .collect();
            // Closed at some moment of its own in each round, by two at once.
            let closers: Vec<_> = (0..2)
                .map(|_| {
                    let (sender, accepted) = (sender.clone(), accepted.clone());
                    std::thread::spawn(move || {
                        while accepted.load(Ordering::Relaxed) < round * 20 {
                            std::thread::yield_now();
                        }
                        sender.close(CloseCode::NORMAL, "")
                    })
                })
                .collect();
            let received = count_messages(&mut peer).await.expect("a close frame");
            let join = tokio::task::spawn_blocking(move || {
                threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
                closers
                    .into_iter()
                    .map(|closer| closer.join().expect("it does not panic"))
                    .filter(|first| *first)
                    .count()
            });
            assert_eq!(soon(join).await.expect("joined"), 1, "one of the two was first");
            assert_eq!(
                received,
                accepted.load(Ordering::Relaxed),
                "round {round}: everything accepted, no more"
            );
            peer.raw(&support::frame(CLOSE, true, &1000u16.to_be_bytes())).await;
            peer.expect_end().await;
            drop(peer);
            soon(sender.closed()).await;
        }
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_goes_in_the_middle_of_everything_is_an_end_like_any_other() {
    for (running, mut senders) in both_forms(Config::default().with_outbox_bytes_max(64 * 1024)).await {
        for round in 0..ROUNDS {
            let mut peer = running.connect().await;
            let sender = soon(senders.recv()).await.expect("a connection opened");
            let accepted = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (sender, accepted) = (sender.clone(), accepted.clone());
                    std::thread::spawn(move || send_until_closed(&sender, thread, &accepted))
                })
                .collect();
            for _ in 0..round {
                peer.next().await.expect("a message");
            }
            match round % 3 {
                // By a Close, by an end of the stream, by a reset (unread bytes make it one).
                0 => peer.raw(&support::frame(CLOSE, true, &1001u16.to_be_bytes())).await,
                1 => tokio::io::AsyncWriteExt::shutdown(&mut peer.stream).await.expect("it is open"),
                _ => {}
            }
            drop(peer);
            let join = tokio::task::spawn_blocking(move || {
                threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
            });
            soon(join).await.expect("joined");
            soon(sender.closed()).await;
            assert_eq!(sender.buffered_bytes(), 0, "nothing is kept");
        }
        running.stop().await;
    }
}

/// All the ways to wait end when the connection does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_connection_that_is_over() {
    for (running, mut senders) in both_forms(Config::default().with_outbox_bytes_max(32 * 1024)).await {
        for round in 0..30 {
            let peer = running.connect().await;
            let sender = soon(senders.recv()).await.expect("a connection opened");
            let mut waiting = tokio::task::JoinSet::new();
            for _ in 0..THREADS {
                let (waiter, flusher, pinger) = (sender.clone(), sender.clone(), sender.clone());
                waiting.spawn(async move { drop(waiter.closed().await) });
                waiting.spawn(async move {
                    while flusher.flushed().await.is_ok() {
                        tokio::task::yield_now().await
                    }
                });
                waiting.spawn(async move { assert!(pinger.ping().await.is_err()) });
                let sender = sender.clone();
                waiting.spawn(async move { while sender.send(&[0; 10_000][..]).await.is_ok() {} });
            }
            if round % 2 == 0 {
                drop(peer);
            } else {
                sender.close(CloseCode::NORMAL, "");
                drop(peer);
            }
            soon(waiting.join_all()).await;
        }
        running.stop().await;
    }
}
