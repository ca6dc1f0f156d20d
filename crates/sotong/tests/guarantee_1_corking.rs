//! Guarantee 1: replies to what came in one read leave in one write, and what was sent leaves before the owning
//! thread goes idle, with no further call.

mod support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sotong::{Config, Events, MessageRef, Sender, WebSocket};
use support::{BINARY, TEXT, frame, soon};
use tokio::io::AsyncReadExt;
use tokio::sync::{Notify, mpsc, oneshot};

/// Many messages in one segment; the answers' bytes, as one read finds them.
async fn burst(peer: &mut support::Peer, count: usize) -> usize {
    let burst: Vec<u8> =
        (0..count).flat_map(|index| frame(TEXT, true, format!("{index:04}").as_bytes())).collect();
    peer.raw(&burst).await;
    let mut answers = vec![0; count * 16];
    soon(peer.stream.read(&mut answers)).await.expect("an answer comes")
}

struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        socket.try_send(message).expect("there is room");
    }
}

#[tokio::test]
async fn answers_to_one_read_leave_in_one_write_event_form() {
    let server = support::events(Config::default(), |_| Echo).await;
    let mut peer = server.connect().await;
    // Loopback keeps the segments of one write together, up to its segment size.
    assert_eq!(burst(&mut peer, 100).await, 100 * 6);
}

#[tokio::test]
async fn answers_to_one_read_leave_in_one_write_pull_form() {
    let server = support::pull_echo(Config::default()).await;
    let mut peer = server.connect().await;
    assert_eq!(burst(&mut peer, 100).await, 100 * 6);
}

#[tokio::test]
async fn a_task_that_sends_once_and_then_sleeps() {
    let server = support::pull(Config::default(), async |socket: WebSocket| {
        socket.send("only once").await?;
        std::future::pending().await
    })
    .await;
    server.connect().await.expect_text("only once").await;
}

#[tokio::test]
async fn sends_in_the_middle_of_a_burst_that_then_await_something_slow() {
    let server = support::pull(Config::default(), async |mut socket: WebSocket| {
        let mut count = 0;
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
            count += 1;
            if count == 3 {
                // Seven messages of the burst are still in the inbox.
                std::future::pending::<()>().await;
            }
        }
        Ok(())
    })
    .await;
    let mut peer = server.connect().await;
    let burst: Vec<u8> = (0..10).flat_map(|index| frame(TEXT, true, format!("{index}").as_bytes())).collect();
    peer.raw(&burst).await;
    for index in 0..3 {
        peer.expect_text(&index.to_string()).await;
    }
}

struct Speaks;

impl Events for Speaks {
    fn open(&mut self, socket: &Sender) {
        socket.try_send("from open").expect("there is room");
    }
    fn message(&mut self, socket: &Sender, _message: MessageRef<'_>) {
        socket.try_send("from message").expect("there is room");
        socket.try_send(&b"twice"[..]).expect("there is room");
    }
}

#[tokio::test]
async fn sends_inside_a_callback() {
    let server = support::events(Config::default(), |_| Speaks).await;
    let mut peer = server.connect().await;
    peer.expect_text("from open").await;
    peer.text("go").await;
    peer.expect_text("from message").await;
    assert_eq!(peer.next().await.expect("a frame").opcode, BINARY);
}

struct HandsOutSender(mpsc::UnboundedSender<Sender>);

impl Events for HandsOutSender {
    fn open(&mut self, socket: &Sender) {
        self.0.send(socket.clone()).expect("the test takes it");
    }
    fn message(&mut self, _socket: &Sender, _message: MessageRef<'_>) {}
}

#[tokio::test]
async fn a_thousand_sends_from_another_thread_in_order_event_form() {
    let (hand_out, mut senders) = mpsc::unbounded_channel();
    let server = support::events(Config::default(), move |_| HandsOutSender(hand_out.clone())).await;
    let mut peer = server.connect().await;
    let sender = soon(senders.recv()).await.expect("a connection opened");
    let thread = std::thread::spawn(move || {
        for index in 0..1000 {
            sender.try_send(format!("{index}")).expect("there is room");
        }
    });
    for index in 0..1000 {
        peer.expect_text(&index.to_string()).await;
    }
    thread.join().expect("the thread is well");
}

#[tokio::test]
async fn a_thousand_sends_from_another_thread_in_order_pull_form() {
    let (hand_out, mut senders) = mpsc::unbounded_channel();
    let server = support::pull(Config::default(), move |mut socket: WebSocket| {
        hand_out.send(socket.sender()).expect("the test takes it");
        async move {
            while socket.recv().await?.is_some() {}
            Ok(())
        }
    })
    .await;
    let mut peer = server.connect().await;
    let sender = soon(senders.recv()).await.expect("a connection opened");
    std::thread::spawn(move || {
        for index in 0..1000 {
            sender.try_send(format!("{index}")).expect("there is room");
        }
    });
    for index in 0..1000 {
        peer.expect_text(&index.to_string()).await;
    }
}

/// A callback answers, hands over to another thread, and answers again: the three must arrive in that order.
struct Relay {
    to_thread: std::sync::mpsc::Sender<(Sender, std::sync::mpsc::Sender<()>)>,
}

impl Events for Relay {
    fn message(&mut self, socket: &Sender, _message: MessageRef<'_>) {
        socket.try_send("first").expect("there is room");
        let (done, wait) = std::sync::mpsc::channel();
        self.to_thread.send((socket.clone(), done)).expect("the thread lives");
        // Blocks the worker on purpose: the order has to hold even so.
        wait.recv().expect("the thread answers");
        socket.try_send("third").expect("there is room");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_and_another_thread_keep_their_order() {
    let (to_thread, jobs) = std::sync::mpsc::channel::<(Sender, std::sync::mpsc::Sender<()>)>();
    std::thread::spawn(move || {
        for (sender, done) in jobs {
            sender.try_send("second").expect("there is room");
            done.send(()).expect("the callback waits");
        }
    });
    let server = support::events(Config::default(), move |_| Relay { to_thread: to_thread.clone() }).await;
    let mut peer = server.connect().await;
    for _ in 0..50 {
        peer.text("go").await;
        for text in ["first", "second", "third"] {
            peer.expect_text(text).await;
        }
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_gets_everything_when_it_reads() {
    const COUNT: usize = 400;
    const BYTES: usize = 100 * 1024;
    let sent = std::sync::Arc::new((AtomicUsize::new(0), Notify::new()));
    let count_sent = sent.clone();
    let server = support::pull(Config::default(), move |socket: WebSocket| {
        let sent = count_sent.clone();
        async move {
            for index in 0..COUNT {
                socket.send(vec![index as u8; BYTES]).await?;
                sent.0.fetch_add(1, Ordering::Relaxed);
            }
            sent.1.notify_one();
            socket.flushed().await?;
            Ok(())
        }
    })
    .await;
    let mut peer = server.connect().await;
    // 40 MB do not fit the kernel's buffers and ours: the sender has to wait.
    peer.stream.readable().await.expect("it has begun");
    for index in 0..COUNT {
        let frame = peer.next().await.expect("all frames come");
        assert!(
            frame.payload.len() == BYTES && frame.payload.iter().all(|byte| *byte == index as u8),
            "{index}"
        );
    }
    soon(sent.1.notified()).await;
    assert_eq!(sent.0.load(Ordering::Relaxed), COUNT);
    assert_eq!(peer.expect_close().await.0, 1000);
}

#[tokio::test]
async fn flushed_is_ready_when_the_kernel_has_it_and_not_before() {
    let (report, mut reports) = mpsc::unbounded_channel::<&'static str>();
    let config = Config::default().with_outbox_bytes_max(64 << 20);
    let server = support::pull(config, move |socket: WebSocket| {
        let report = report.clone();
        async move {
            socket.send("small").await?;
            socket.flushed().await?;
            report.send("small is out").expect("the test listens");
            socket.send(vec![7; 32 << 20]).await?;
            report.send("large is queued").expect("the test listens");
            socket.flushed().await?;
            report.send("large is out").expect("the test listens");
            Ok(())
        }
    })
    .await;
    let mut peer = server.connect().await;
    assert_eq!(soon(reports.recv()).await, Some("small is out"));
    assert_eq!(soon(reports.recv()).await, Some("large is queued"));
    peer.expect_text("small").await;
    // 32 MB are more than the kernel takes from a peer that does not read.
    assert!(reports.try_recv().is_err());
    assert_eq!(peer.next().await.expect("a frame").payload.len(), 32 << 20);
    assert_eq!(soon(reports.recv()).await, Some("large is out"));
}

/// Waits inside a task of its own for a flush of what a callback has sent.
struct FlushFromElsewhere(Mutex<Option<oneshot::Sender<()>>>);

impl Events for FlushFromElsewhere {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        socket.try_send(message).expect("there is room");
        let done = self.0.lock().expect("not poisoned").take().expect("one message");
        let socket = socket.clone();
        tokio::spawn(async move {
            socket.flushed().await.expect("the peer reads");
            done.send(()).expect("the test waits");
        });
    }
}

#[tokio::test]
async fn flushed_counts_what_a_callback_has_just_sent() {
    let (done, wait) = oneshot::channel();
    let done = Mutex::new(Some(done));
    let server = support::events(Config::default(), move |_| {
        FlushFromElsewhere(Mutex::new(done.lock().expect("not poisoned").take()))
    })
    .await;
    let mut peer = server.connect().await;
    peer.text("now").await;
    soon(wait).await.expect("it was flushed");
    peer.expect_text("now").await;
}
