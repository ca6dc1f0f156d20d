//! What is published together is written together: once for each subscriber.

#[path = "support/carried.rs"]
mod carried;
#[path = "support/subscribers.rs"]
mod subscribers;
mod support;

use carried::Form;
use sotong::{Config, Events, MessageRef, Sender, Topics};
use subscribers::Hall;
use support::soon;
use tokio::io::AsyncReadExt;

const SUBSCRIBERS: usize = 20;
const PUBLICATIONS: usize = 16;

/// Publishes all at once, to these topics in turn; each subscriber of all of them gets all by one write.
async fn sixteen_publications(form: Form, names: &[&str]) {
    let mut hall = Hall::start((form, 0), Config::default(), Topics::new());
    let mut seats = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let seat = hall.seat(64 * 1024).await;
        for name in names {
            assert_eq!(seat.sender.subscribe(name), Ok(true));
        }
        seats.push(seat);
    }
    let before: Vec<_> = seats.iter().map(|seat| seat.writes()).collect();
    for index in 0..PUBLICATIONS {
        let count = hall.topics.publish(names[index % names.len()], format!("{index}"));
        assert_eq!(count, SUBSCRIBERS);
    }
    for (seat, before) in seats.iter_mut().zip(before) {
        for index in 0..PUBLICATIONS {
            seat.expect(&format!("{index}")).await;
        }
        assert_eq!(seat.writes() - before, 1, "all in one write");
    }
    for seat in seats {
        seat.peer.close().await;
    }
    hall.stop().await;
}

#[tokio::test]
async fn sixteen_publications_are_one_write_for_each() {
    for form in [Form::Events, Form::Pull] {
        sixteen_publications(form, &["room"]).await;
        sixteen_publications(form, &["room", "log", "price"]).await;
    }
}

struct Member;

impl Events for Member {
    fn open(&mut self, socket: &Sender) {
        socket.subscribe("room").expect("it may");
        socket.try_send("welcome").expect("there is room");
    }

    fn message(&mut self, _: &Sender, _: MessageRef<'_>) {}
}

/// Over TCP they are written past the outbox: what one write has brought, one read has.
#[tokio::test]
async fn sixteen_publications_over_tcp_are_one_read() {
    let topics = Topics::new();
    let (server, address) = support::server(Config::default()).await;
    let serve = server
        .with_topics(topics.clone())
        .serve_events(|_: &sotong::Request| Ok::<_, sotong::Refusal>(Member));
    let running = support::Running::start(address, serve);
    let mut peers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut peer = running.connect().await;
        peer.expect_text("welcome").await;
        peers.push(peer);
    }
    let mut expected = Vec::new();
    for index in 0..PUBLICATIONS {
        let text = format!("{index}");
        expected.extend([0x81, text.len() as u8]);
        expected.extend(text.as_bytes());
        assert_eq!(topics.publish("room", text), SUBSCRIBERS);
    }
    for mut peer in peers {
        let mut bytes = vec![0; 4096];
        let count = soon(peer.stream.read(&mut bytes)).await.expect("it is there");
        assert_eq!(&bytes[..count], expected);
    }
    running.stop().await;
}
