//! What becomes of subscribers that do not read: each policy at its limit and one past it, what they are told, and that
//! nobody else notices.

#[path = "support/carried.rs"]
mod carried;
#[path = "support/subscribers.rs"]
mod subscribers;
mod support;

use carried::{EACH, Form};
use sotong::{Close, CloseCode, Config, Message, Slow, SubscribeError, Topics, TrySendError};
use subscribers::{Hall, Seat};
use support::soon;

/// How much a carrier takes that is not read from.
const ROOM: usize = 256;
/// More than that: who gets this and does not read is behind.
const LARGE: usize = 1000;

/// Waits for something that somebody else does.
async fn until(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Sends what its carrier does not take, and waits for that to show.
async fn fall_behind(seat: &Seat) -> usize {
    seat.sender.try_send("x".repeat(LARGE)).expect("there is room");
    let waiting = LARGE + 4 - ROOM;
    until(|| seat.sender.buffered_bytes() == waiting).await;
    waiting
}

fn with(slow: Slow) -> Topics {
    Topics::new()
        .with_slow(move |_| slow.clone())
        .with_skipped_notice(|topic, count| Some(Message::text(format!("{topic} skipped {count}"))))
}

/// Whatever was published is in outboxes, or lanes.
async fn delivered(topics: &Topics, messages: u64) {
    until(|| topics.stats().delivered >= messages).await;
}

#[tokio::test]
async fn close_at_the_limit_and_one_past_it() {
    for each in EACH {
        for past in [0, 1] {
            let config = Config::default().with_outbox_bytes_max(4096);
            let mut hall = Hall::start(each, config, with(Slow::Close));
            let mut slow = hall.seat(ROOM).await;
            let mut quick = hall.seat(64 * 1024).await;
            for seat in [&slow, &quick] {
                assert_eq!(seat.sender.subscribe("room"), Ok(true));
            }
            let waiting = fall_behind(&slow).await;
            let text = "y".repeat(4096 - waiting - 4 + past);
            assert_eq!(hall.topics.publish("room", &*text), 2);
            quick.expect(&text).await;
            if past == 0 {
                delivered(&hall.topics, 2).await;
                assert_eq!(slow.sender.buffered_bytes(), 4096);
                assert!(!slow.sender.is_closed());
                slow.expect(&"x".repeat(LARGE)).await;
                slow.expect(&text).await;
                slow.peer.close().await;
            } else {
                until(|| slow.sender.is_closed()).await;
                assert_eq!(slow.sender.subscribe("other"), Err(SubscribeError::Closed));
                assert!(matches!(slow.sender.try_send("more"), Err(TrySendError::Closed(_))));
                let (texts, code, reason) = slow.texts_up_to_close().await;
                assert_eq!(texts, ["x".repeat(LARGE)]);
                assert_eq!((code, &*reason), (1008, "too slow: too much waits to be sent"));
                soon(slow.sender.closed()).await;
            }
            let stats = hall.topics.stats();
            assert_eq!((stats.closed_as_slow, stats.skipped), (past as u64, 0));
            quick.peer.close().await;
            hall.stop().await;
        }
    }
}

#[tokio::test]
async fn close_with_a_code_of_ones_own() {
    let close = Close::new(CloseCode::new(3008).expect("a code for programs"), "read faster");
    let config = Config::default().with_outbox_bytes_max(2048);
    let mut hall = Hall::start((Form::Events, 0), config, with(Slow::CloseWith(close)));
    let mut slow = hall.seat(ROOM).await;
    slow.sender.subscribe("room").expect("it may");
    fall_behind(&slow).await;
    hall.topics.publish("room", "y".repeat(2048));
    let (texts, code, reason) = slow.texts_up_to_close().await;
    assert_eq!((texts.len(), code, &*reason), (1, 3008, "read faster"));
}

#[tokio::test]
async fn keep_newest_keeps_the_newest_and_tells_how_many_are_missing() {
    for each in EACH {
        let mut hall = Hall::start(each, Config::default(), with(Slow::KeepNewest));
        let mut slow = hall.seat(ROOM).await;
        let mut quick = hall.seat(64 * 1024).await;
        slow.sender.subscribe("price").expect("it may");
        quick.sender.subscribe("price").expect("it may");
        fall_behind(&slow).await;
        for index in 0..100 {
            hall.topics.publish("price", format!("{index}"));
        }
        // One that keeps up gets all, whatever another does.
        assert_eq!(quick.texts_up_to("99").await.len(), 100);
        delivered(&hall.topics, 200).await;
        assert_eq!(hall.topics.stats().skipped, 99);
        slow.expect(&"x".repeat(LARGE)).await;
        slow.expect("price skipped 99").await;
        slow.expect("99").await;
        // It has caught up.
        until(|| slow.sender.buffered_bytes() == 0).await;
        for index in 0..5 {
            hall.topics.publish("price", format!("again {index}"));
        }
        let again: Vec<_> = (0..5).map(|index| format!("again {index}")).collect();
        assert_eq!(slow.texts_up_to("again 4").await, again);
        assert_eq!(quick.texts_up_to("again 4").await, again);
        assert_eq!(hall.topics.stats().skipped, 99);
        slow.peer.close().await;
        quick.peer.close().await;
        hall.stop().await;
    }
}

#[tokio::test]
async fn drop_oldest_at_the_limit_and_one_past_it() {
    for each in EACH {
        for past in [0, 1, 7] {
            let mut hall = Hall::start(each, Config::default(), with(Slow::DropOldest { messages_max: 10 }));
            let mut slow = hall.seat(ROOM).await;
            slow.sender.subscribe("log").expect("it may");
            fall_behind(&slow).await;
            for index in 0..10 + past {
                hall.topics.publish("log", format!("{index}"));
            }
            delivered(&hall.topics, 10 + past).await;
            assert_eq!(hall.topics.stats().skipped, past);
            slow.expect(&"x".repeat(LARGE)).await;
            if past > 0 {
                slow.expect(&format!("log skipped {past}")).await;
            }
            for index in past..10 + past {
                slow.expect(&format!("{index}")).await;
            }
            slow.peer.close().await;
            hall.stop().await;
        }
    }
}

/// What may wait in a lane is bounded in bytes, too, as what may wait in the outbox.
#[tokio::test]
async fn what_waits_of_a_topic_is_bounded_in_bytes() {
    let config = Config::default().with_outbox_bytes_max(4096);
    let mut hall = Hall::start((Form::Events, 0), config, with(Slow::DropOldest { messages_max: 1000 }));
    let mut slow = hall.seat(ROOM).await;
    slow.sender.subscribe("log").expect("it may");
    fall_behind(&slow).await;
    for index in 0..10 {
        hall.topics.publish("log", format!("{index}").repeat(1020));
    }
    delivered(&hall.topics, 10).await;
    // Four frames of 1,024 bytes.
    assert_eq!(hall.topics.stats().skipped, 6);
    slow.expect(&"x".repeat(LARGE)).await;
    slow.expect("log skipped 6").await;
    for index in 6..10 {
        slow.expect(&format!("{index}").repeat(1020)).await;
    }
}

/// A Close of the program's comes after what is in the outbox; what waits of topics is not said any more, and does not
/// keep anybody busy.
#[tokio::test]
async fn a_close_ends_what_waits_of_topics() {
    for each in EACH {
        let mut hall = Hall::start(each, Config::default(), with(Slow::KeepNewest));
        let mut slow = hall.seat(ROOM).await;
        slow.sender.subscribe("price").expect("it may");
        fall_behind(&slow).await;
        hall.topics.publish("price", "1");
        delivered(&hall.topics, 1).await;
        assert!(slow.sender.close(CloseCode::NORMAL, "bye"));
        let (texts, code, _) = slow.texts_up_to_close().await;
        assert_eq!((texts.len(), code), (1, 1000));
        soon(slow.sender.closed()).await;
        hall.stop().await;
    }
}

/// A burst that does not fit into the outbox waits in the lane; what comes later waits behind it.
#[tokio::test]
async fn order_of_a_burst_that_does_not_fit() {
    // Room for the first, sixteen of the burst, and the last.
    let config = Config::default().with_outbox_bytes_max(1050);
    let mut hall = Hall::start((Form::Events, 0), config, with(Slow::DropOldest { messages_max: 1000 }));
    let mut seat = hall.seat(64 * 1024).await;
    let other = hall.seat(64 * 1024).await;
    seat.sender.subscribe("log").expect("it may");
    seat.sender.try_send("first").expect("there is room");
    for index in 0..20 {
        hall.topics.publish("log", format!("{index:0>60}"));
    }
    // Has what was published delivered, before any driver writes.
    other.sender.subscribe("another").expect("it may");
    hall.topics.publish("log", "last");
    other.sender.unsubscribe("another");
    seat.expect("first").await;
    for index in 0..20 {
        seat.expect(&format!("{index:0>60}")).await;
    }
    seat.expect("last").await;
    assert_eq!(hall.topics.stats().skipped, 0);
}

/// One that did not read before it subscribed is behind from the first publication on.
#[tokio::test]
async fn who_is_stuck_when_it_subscribes_is_behind() {
    // On one thread, so that a turn of another means that this one has had its turn, too.
    for form in [Form::Events, Form::Pull] {
        let mut hall = Hall::start((form, 0), Config::default(), with(Slow::KeepNewest));
        let mut slow = hall.seat(ROOM).await;
        fall_behind(&slow).await;
        slow.sender.subscribe("price").expect("it may");
        // Somebody's turn has come and gone.
        let mut other = hall.seat(ROOM).await;
        other.peer.send(support::TEXT, b"hello").await;
        other.expect("hello").await;
        for index in 0..10 {
            hall.topics.publish("price", format!("{index}"));
        }
        delivered(&hall.topics, 10).await;
        assert_eq!(hall.topics.stats().skipped, 9);
        slow.expect(&"x".repeat(LARGE)).await;
        slow.expect("price skipped 9").await;
        slow.expect("9").await;
        for seat in [slow, other] {
            seat.peer.close().await;
        }
        hall.stop().await;
    }
}

/// What is published by the notice, or while it is made, comes after what it speaks of.
#[tokio::test]
async fn a_notice_that_publishes_does_not_change_the_order() {
    let topics = std::sync::Arc::new(std::sync::OnceLock::<Topics>::new());
    let sender = std::sync::Arc::new(std::sync::OnceLock::<sotong::Sender>::new());
    let used = (topics.clone(), sender.clone());
    let made = Topics::new().with_slow(|_| Slow::DropOldest { messages_max: 2 }).with_skipped_notice(
        move |topic, count| {
            let (topics, sender) = (used.0.get().expect("set"), used.1.get().expect("set"));
            topics.publish(topic, "newer");
            // Has it delivered.
            sender.unsubscribe("nothing");
            Some(Message::text(format!("skipped {count}")))
        },
    );
    let mut hall = Hall::start((Form::Events, 0), Config::default(), made.clone());
    topics.set(made).expect("once");
    let mut slow = hall.seat(ROOM).await;
    sender.set(slow.sender.clone()).expect("once");
    slow.sender.subscribe("log").expect("it may");
    fall_behind(&slow).await;
    for index in 0..5 {
        hall.topics.publish("log", format!("{index}"));
    }
    delivered(&hall.topics, 5).await;
    slow.expect(&"x".repeat(LARGE)).await;
    assert_eq!(slow.texts_up_to("newer").await, ["skipped 3", "3", "4", "newer"]);
}

#[tokio::test]
async fn rules_that_panic_hurt_nobody() {
    let topics = Topics::new()
        .with_slow(|name| if name == "worse" { panic!("a test's") } else { Slow::KeepNewest })
        .with_hook(|_, _| panic!("a test's"))
        .with_skipped_notice(|_, _| panic!("a test's"));
    let mut hall = Hall::start((Form::Events, 0), Config::default(), topics);
    let mut slow = hall.seat(ROOM).await;
    assert_eq!(slow.sender.subscribe("worse"), Ok(true));
    assert_eq!(slow.sender.subscribe("price"), Ok(true));
    fall_behind(&slow).await;
    for index in 0..3 {
        hall.topics.publish("price", format!("{index}"));
    }
    delivered(&hall.topics, 3).await;
    slow.expect(&"x".repeat(LARGE)).await;
    slow.expect("2").await;
    hall.topics.publish("worse", "for all");
    slow.expect("for all").await;
    slow.peer.close().await;
    hall.stop().await;
}

#[tokio::test]
async fn limits_of_subscriptions_at_the_limit_and_one_past_it() {
    let topics = Topics::new().with_subscriptions_max(3);
    let mut hall = Hall::start((Form::Events, 0), Config::default(), topics);
    let seat = hall.seat(ROOM).await;
    for name in ["", "two", "three"] {
        assert_eq!(seat.sender.subscribe(name), Ok(true), "{name:?}");
    }
    assert_eq!(seat.sender.subscribe("four"), Err(SubscribeError::TooMany { max: 3 }));
    assert_eq!(seat.sender.subscribe("three"), Ok(false), "it is subscribed already");
    assert_eq!(hall.topics.len(), 3);
    assert!(seat.sender.unsubscribe("two"));
    assert!(!seat.sender.unsubscribe("two"));
    let long = "n".repeat(1024);
    assert_eq!(seat.sender.subscribe(&long), Ok(true));
    assert!(seat.sender.unsubscribe(&long));
    let longer = "n".repeat(1025);
    assert_eq!(seat.sender.subscribe(&longer), Err(SubscribeError::NameTooLong { seen: 1025, max: 1024 }));
    seat.peer.close().await;
    soon(seat.sender.closed()).await;
    assert_eq!(seat.sender.subscribe("five"), Err(SubscribeError::Closed));
    assert!(!seat.sender.unsubscribe("three"));
    hall.stop().await;
}

#[tokio::test]
async fn a_clients_connection_has_no_topics() {
    let server = support::pull_echo(Config::default()).await;
    let socket = sotong::connect(&format!("ws://{}/", server.address)).await.expect("it connects");
    assert_eq!(socket.sender().subscribe("room"), Err(SubscribeError::NoTopics));
    assert!(!socket.sender().unsubscribe("room"));
    assert_eq!(socket.sender().publish("room", "hello"), 0);
}
