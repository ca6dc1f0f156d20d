//! What publications may hold in memory: on their way to a worker, and while slow subscribers do not take them; and that
//! a burst does not close those who read.

#[path = "support/carried.rs"]
mod carried;
#[path = "support/subscribers.rs"]
mod subscribers;
mod support;

use carried::{EACH, Form};
use sotong::{Config, Server, Slow, Topics};
use subscribers::Hall;
use support::{Running, soon};

/// How much a carrier takes that is not read from.
const ROOM: usize = 256;
/// With its header: four of the steps in which the server counts what is held.
const LARGE_BYTES: usize = 64 * 1024;

fn large(fill: &str) -> String {
    fill.repeat(LARGE_BYTES - 4)
}

/// Waits for something that somebody else does.
async fn until(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_slow_subscribers_hold_together_is_counted_once() {
    for each in EACH {
        let topics = Topics::new().with_slow(|_| Slow::DropOldest { messages_max: 2 });
        let mut hall = Hall::start(each, Config::default(), topics);
        let mut seats = Vec::new();
        for _ in 0..3 {
            let seat = hall.seat(ROOM).await;
            seat.sender.subscribe("room").expect("it may");
            seat.sender.try_send("x".repeat(1000)).expect("there is room");
            until(|| seat.sender.buffered_bytes() == 1004 - ROOM).await;
            seats.push(seat);
        }
        // The last two of four stay.
        for (count, fill) in ["a", "b", "c", "d"].iter().enumerate() {
            hall.topics.publish("room", large(fill));
            until(|| hall.topics.stats().delivered == 3 * (count as u64 + 1)).await;
            let kept = (count + 1).min(2);
            until(|| hall.handle.stats().buffered_bytes == kept * LARGE_BYTES).await;
        }
        for seat in &mut seats {
            seat.expect(&"x".repeat(1000)).await;
            seat.expect(&large("c")).await;
            seat.expect(&large("d")).await;
        }
        until(|| hall.handle.stats().buffered_bytes == 0).await;
        for seat in seats {
            seat.peer.close().await;
        }
        hall.stop().await;
    }
}

#[tokio::test]
async fn publications_that_the_server_has_no_memory_for_close_who_holds_them() {
    const FIT: usize = 16;
    for past in [0, 1] {
        let topics = Topics::new().with_slow(|_| Slow::DropOldest { messages_max: 1000 });
        let config = Config::default().with_outbox_bytes_max(16 << 20);
        let server = Server::detached().with_config(config).with_buffered_bytes_max(FIT * LARGE_BYTES);
        let mut hall = Hall::start_on(server, (Form::Events, 0), topics);
        let mut slow = hall.seat(ROOM).await;
        let mut quick = hall.seat(2 * LARGE_BYTES).await;
        for seat in [&slow, &quick] {
            seat.sender.subscribe("room").expect("it may");
        }
        slow.sender.try_send("x".repeat(1000)).expect("there is room");
        until(|| slow.sender.buffered_bytes() == 1004 - ROOM).await;
        for _ in 0..FIT + past {
            hall.topics.publish("room", large("y"));
            quick.expect(&large("y")).await;
        }
        if past == 0 {
            assert_eq!(hall.handle.stats().buffered_bytes, FIT * LARGE_BYTES);
            assert_eq!(hall.handle.stats().closed_for_memory, 0);
            slow.expect(&"x".repeat(1000)).await;
            for _ in 0..FIT {
                slow.expect(&large("y")).await;
            }
            slow.peer.close().await;
        } else {
            until(|| hall.handle.stats().closed_for_memory == 1).await;
            // Its carrier takes nothing, also not the Close.
            soon(slow.sender.closed()).await;
            until(|| hall.handle.stats().buffered_bytes == 0).await;
        }
        quick.peer.close().await;
        hall.stop().await;
    }
}

/// Nobody but the publisher runs here: the worker is this thread.
#[tokio::test]
async fn whoever_publishes_more_than_may_wait_for_a_worker_delivers_it() {
    for (bytes, fit) in [(10, 64 * 1024 - 1), (1 << 20, 15)] {
        let topics = Topics::new().with_slow(|_| Slow::KeepNewest);
        let mut hall = Hall::start((Form::Events, 0), Config::default(), topics);
        let mut seat = hall.seat(ROOM).await;
        seat.sender.subscribe("room").expect("it may");
        // Of its subscription, too, the worker knows now.
        hall.topics.publish("room", "first");
        seat.expect("first").await;
        for _ in 0..fit {
            hall.topics.publish("room", "y".repeat(bytes));
        }
        assert_eq!(hall.topics.stats().delivered, 1, "all may wait");
        hall.topics.publish("room", "y".repeat(bytes));
        assert_eq!(hall.topics.stats().delivered, 2 + fit as u64, "one more may not");
        hall.topics.publish("room", "last");
        seat.texts_up_to("last").await;
        seat.peer.close().await;
        hall.stop().await;
    }
}

/// By more than may wait for each: the kernel takes it all, if only somebody asks it.
#[tokio::test]
async fn a_burst_does_not_close_who_reads() {
    // In event form only a driver may write, unless all of them are on the thread that publishes.
    for (form, threads) in [(Form::Events, 0), (Form::Pull, 0), (Form::Pull, 2)] {
        let topics = Topics::new();
        let (server, address) = support::server(Config::default().with_outbox_bytes_max(4096)).await;
        let (serve, mut senders, _) = carried::echo(server.with_topics(topics.clone()), form);
        let running = Running::start(address, serve.with_threads(threads));
        let mut peer = running.connect().await;
        let sender = soon(senders.recv()).await.expect("a connection began");
        for name in ["one", "other"] {
            sender.subscribe(name).expect("it may");
        }
        let texts: Vec<_> = (0..30).map(|index| format!("{index:1000}")).collect();
        for (index, text) in texts.iter().enumerate() {
            topics.publish(["one", "other"][index % 2], &**text);
        }
        for text in &texts {
            peer.expect_text(text).await;
        }
        assert_eq!(topics.stats().closed_as_slow, 0, "{form:?} {threads}");
        peer.close().await;
        running.stop().await;
    }
}
