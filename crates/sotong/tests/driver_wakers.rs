//! What the driver does with wakers, with values of the user's, and with futures that are dropped.

mod support;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use sotong::{Config, Events, MessageRef, Sender, WebSocket};
use support::{BINARY, PING, PONG, frame, soon};
use tokio::sync::mpsc;

struct HandsOut(mpsc::UnboundedSender<Sender>);

impl Events for HandsOut {
    fn open(&mut self, socket: &Sender) {
        self.0.send(socket.clone()).expect("the test is there");
    }
    fn message(&mut self, _socket: &Sender, _message: MessageRef<'_>) {}
}

/// A waker that uses the connection at once, where it is woken.
struct Speaks {
    socket: Sender,
    text: &'static str,
    woken: AtomicUsize,
}

impl Wake for Speaks {
    fn wake(self: Arc<Self>) {
        if self.woken.fetch_add(1, Ordering::Relaxed) == 0 {
            self.socket.try_send(self.text).expect("there is room");
        }
    }
}

async fn senders(config: Config) -> (support::Running, mpsc::UnboundedReceiver<Sender>) {
    let (report, senders) = mpsc::unbounded_channel();
    (support::events(config, move |_| HandsOut(report.clone())).await, senders)
}

fn speaks(socket: &Sender, text: &'static str) -> Waker {
    Waker::from(Arc::new(Speaks { socket: socket.clone(), text, woken: AtomicUsize::new(0) }))
}

#[tokio::test]
async fn a_waker_that_sends_at_once_finds_no_lock_held() {
    let (running, mut senders) = senders(Config::default()).await;
    let mut peer = running.connect().await;
    let socket = soon(senders.recv()).await.expect("a connection opened");
    // Its Pong wakes.
    let mut ping = pin!(socket.ping());
    let waker = speaks(&socket, "after the pong");
    assert!(ping.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let received = peer.next().await.expect("a ping");
    assert_eq!(received.opcode, PING);
    peer.send(PONG, &received.payload).await;
    peer.expect_text("after the pong").await;
    // So does a flush.
    let mut flushed = pin!(socket.flushed());
    let waker = speaks(&socket, "after the flush");
    assert!(flushed.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    peer.expect_text("after the flush").await;
    // And a ping that gives up its place to a later one.
    let mut first = pin!(socket.ping());
    let waker = speaks(&socket, "after the ping");
    assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut later: Vec<Pin<Box<dyn Future<Output = _> + Send>>> = Vec::new();
    for _ in 0..70 {
        let socket = socket.clone();
        later.push(Box::pin(async move { socket.ping().await }));
        let polled =
            later.last_mut().expect("one was pushed").as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    loop {
        let frame = peer.next().await.expect("a frame");
        if frame.opcode != PING {
            assert_eq!(frame.text(), "after the ping");
            break;
        }
    }
    running.stop().await;
}

/// The driver wakes senders in the middle of its turn. What such a waker sends must leave in that turn, too.
#[tokio::test]
async fn what_a_waker_sends_in_the_drivers_turn_is_not_lost() {
    let (running, mut senders) = senders(Config::default().with_outbox_bytes_max(100_000)).await;
    let mut peer = running.connect().await;
    let socket = soon(senders.recv()).await.expect("a connection opened");
    let chunk = vec![0; 90_000];
    let mut accepted = 0;
    let once =
        Arc::new(Speaks { socket: socket.clone(), text: "there was room", woken: AtomicUsize::new(0) });
    let waker = Waker::from(once.clone());
    let kept = loop {
        once.woken.store(0, Ordering::Relaxed);
        let mut send = Box::pin(socket.send(&chunk[..]));
        if send.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            // Still pending when the kernel took what it could: it waits for the peer.
            let before = socket.buffered_bytes();
            tokio::time::sleep(Duration::from_millis(50)).await;
            if before == socket.buffered_bytes()
                && send.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
            {
                break send;
            }
            continue;
        }
        accepted += 1;
        tokio::task::yield_now().await;
    };
    // Whoever waits is woken when the peer has read some.
    let mut frames = 0;
    while peer.next().await.expect("a frame").opcode == BINARY {
        frames += 1;
        assert!(frames <= accepted, "what the waker sent is missing");
    }
    drop(kept);
}

/// Futures that are dropped leave nothing behind while the connection lives.
#[tokio::test]
async fn futures_that_are_dropped_leave_no_waker_behind() {
    struct Counts;
    impl Wake for Counts {
        fn wake(self: Arc<Self>) {}
    }
    async fn poll_once<F: Future>(future: F, waker: &Waker) -> bool {
        pin!(future).as_mut().poll(&mut Context::from_waker(waker)).is_pending()
    }
    let (running, mut senders) = senders(Config::default().with_outbox_bytes_max(50_000)).await;
    let _peer = running.connect().await;
    let socket = soon(senders.recv()).await.expect("a connection opened");
    let chunk = vec![0; 40_000];
    // Until nothing leaves any more.
    loop {
        while socket.try_send(&chunk[..]).is_ok() {}
        let before = socket.buffered_bytes();
        tokio::time::sleep(Duration::from_millis(50)).await;
        if before == socket.buffered_bytes() {
            break;
        }
    }
    let mut alive = Vec::new();
    for _ in 0..200 {
        let count = Arc::new(Counts);
        let waker = Waker::from(count.clone());
        assert!(poll_once(socket.closed(), &waker).await);
        assert!(poll_once(socket.send(&chunk[..]), &waker).await);
        assert!(poll_once(socket.flushed(), &waker).await);
        assert!(poll_once(socket.ping(), &waker).await);
        drop(waker);
        alive.push(Arc::downgrade(&count));
    }
    let left = alive.iter().filter(|count| count.strong_count() > 0).count();
    // The last flush that was given up, and the pings of which the peer may still answer some, are cleared by the next.
    assert!(left <= 2, "{left} wakers of futures that are gone");
}

/// A flush that is asked for while a callback has things corked waits for all of them, also if the kernel takes them
/// piece by piece.
#[tokio::test]
async fn a_flush_asked_for_in_a_callback_waits_for_all_that_is_corked() {
    type Flushed = Pin<Box<dyn Future<Output = usize> + Send>>;
    struct Floods(mpsc::UnboundedSender<Flushed>);
    impl Events for Floods {
        fn message(&mut self, socket: &Sender, _message: MessageRef<'_>) {
            socket.try_send(&vec![0; 32 << 20][..]).expect("one message is always accepted");
            let socket = socket.clone();
            let mut flushed: Flushed = Box::pin(async move {
                socket.flushed().await.expect("the peer reads");
                socket.buffered_bytes()
            });
            assert!(flushed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            self.0.send(flushed).expect("the test is there");
        }
    }
    let (report, mut reports) = mpsc::unbounded_channel();
    let running = support::events(Config::default(), move |_| Floods(report.clone())).await;
    let mut peer = running.connect().await;
    peer.text("go").await;
    let flushed = soon(reports.recv()).await.expect("the callback ran");
    let flushed = tokio::spawn(flushed);
    // Slowly, so that the kernel never takes more than a part.
    let mut left = (32 << 20) + 10;
    let mut buffer = vec![0; 16 * 1024];
    while left > 0 {
        let count =
            soon(tokio::io::AsyncReadExt::read(&mut peer.stream, &mut buffer)).await.expect("it is open");
        assert!(count > 0);
        left -= count;
        tokio::task::yield_now().await;
        if flushed.is_finished() {
            break;
        }
    }
    assert_eq!(soon(flushed).await.expect("it does not panic"), 0, "bytes that still waited");
}

/// Values of the user's whose drop panics, after a method that panicked.
#[tokio::test]
async fn a_handler_whose_drop_panics_too_is_closed_with_1011() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("a test's panic, in drop");
            }
        }
    }
    struct Panics(Bomb);
    impl Events for Panics {
        fn message(&mut self, _socket: &Sender, _message: MessageRef<'_>) {
            let Bomb = self.0;
            panic!("a test's panic");
        }
    }
    let running = support::events(Config::default(), |_| Panics(Bomb)).await;
    let mut peer = running.connect().await;
    peer.text("go").await;
    assert_eq!(peer.expect_close().await.0, 1011);
    running.stop().await;
}

/// The last handle may go with a thread, after the thread's own values of ours have gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_in_a_threads_local_storage_closes_when_the_thread_ends() {
    thread_local! {
        static KEPT: Mutex<Option<WebSocket>> = const { Mutex::new(None) };
    }
    let (report, mut sockets) = mpsc::unbounded_channel();
    let running = support::pull(Config::default(), move |socket: WebSocket| {
        report.send(socket).expect("the test is there");
        async { Ok::<(), sotong::Error>(()) }
    })
    .await;
    let mut peer = running.connect().await;
    let socket = soon(sockets.recv()).await.expect("a connection opened");
    let thread = std::thread::spawn(move || {
        KEPT.with(|kept| *kept.lock().expect("nobody else is there") = Some(socket));
        // Makes what the library keeps for this thread; it goes before what was made first.
        KEPT.with(|kept| {
            kept.lock()
                .expect("nobody else is there")
                .as_ref()
                .expect("it was put there")
                .sender()
                .try_send("hi")
        })
        .expect("it is open");
    });
    thread.join().expect("it does not panic");
    peer.expect_text("hi").await;
    assert_eq!(peer.expect_close().await.0, 1000);
    running.stop().await;
}

/// A message whose bytes come in two pieces, and a reader that is polled by nobody in between.
#[tokio::test]
async fn a_socket_is_handed_from_task_to_task_and_loses_no_wake_up() {
    let (report, mut sockets) = mpsc::unbounded_channel();
    let running = support::pull(Config::default(), move |socket: WebSocket| {
        report.send(socket).expect("the test is there");
        async { Ok::<(), sotong::Error>(()) }
    })
    .await;
    let mut peer = running.connect().await;
    let mut socket = soon(sockets.recv()).await.expect("a connection opened");
    for round in 0..200u32 {
        assert!(matches!(socket.poll_recv(&mut Context::from_waker(Waker::noop())), Poll::Pending));
        let reader = tokio::spawn(async move {
            let message = socket.recv().await;
            (socket, message)
        });
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        let bytes = frame(BINARY, true, &round.to_be_bytes());
        peer.raw(&bytes[..3]).await;
        tokio::task::yield_now().await;
        peer.raw(&bytes[3..]).await;
        let (back, message) = soon(reader).await.expect("it does not panic");
        assert_eq!(message.expect("no error").expect("no end").as_bytes(), round.to_be_bytes());
        socket = back;
    }
}
