//! What is published reaches who is subscribed: all of it, once, in order; in both forms, on one thread and on many.

mod support;

use std::sync::{Arc, Mutex};

use sotong::{Config, Error, Events, Message, MessageRef, Occupancy, Sender, Server, Topics, WebSocket};
use support::{Peer, soon};

/// Subscribes to `room`, and publishes what it is sent: to everybody, or with `!` before it to everybody else.
struct Member(Topics);

impl Events for Member {
    fn open(&mut self, socket: &Sender) {
        assert_eq!(socket.subscribe("room"), Ok(true));
        assert_eq!(socket.subscribe("room"), Ok(false));
        socket.try_send("welcome").expect("there is room");
    }

    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        let text = message.as_text().expect("it is text");
        match text {
            "leave" => assert!(socket.unsubscribe("room")),
            _ if text.starts_with('!') => drop(socket.publish("room", text)),
            _ => drop(self.0.publish("room", text)),
        }
        socket.try_send(format!("done {text}")).expect("there is room");
    }
}

async fn events(threads: usize) -> (Topics, std::net::SocketAddr) {
    let topics = Topics::new();
    let server = Server::bind("127.0.0.1:0").await.expect("it binds").with_topics(topics.clone());
    let address = server.local_addr().expect("it has an address");
    let members = topics.clone();
    let serve =
        server.serve_events(move |_: &sotong::Request| Ok::<_, sotong::Refusal>(Member(members.clone())));
    tokio::spawn(serve.with_threads(threads).into_future());
    (topics, address)
}

async fn pull(threads: usize) -> (Topics, std::net::SocketAddr) {
    let topics = Topics::new();
    let server = Server::bind("127.0.0.1:0").await.expect("it binds").with_topics(topics.clone());
    let address = server.local_addr().expect("it has an address");
    let members = topics.clone();
    let serve = server.serve(move |mut socket: WebSocket| {
        let topics = members.clone();
        async move {
            let mut member = Member(topics);
            member.open(&socket.sender());
            while let Some(message) = socket.recv().await? {
                member.message(&socket.sender(), message.as_ref());
            }
            Ok::<(), Error>(())
        }
    });
    tokio::spawn(serve.with_threads(threads).into_future());
    (topics, address)
}

/// Two members publish many, and a third hears all, each in its order; who publishes has its own before its reply.
async fn all_hear_all((topics, address): (Topics, std::net::SocketAddr)) {
    const EACH: usize = 200;
    let mut peers = Vec::new();
    for _ in 0..3 {
        let mut peer = sotong::connect(&format!("ws://{address}/")).await.expect("it connects");
        assert_eq!(soon(peer.recv()).await.expect("it is there"), Some(Message::text("welcome")));
        peers.push(peer);
    }
    assert_eq!(topics.subscribers("room"), 3);
    let mut speakers = Vec::new();
    for (name, peer) in ["a", "b"].into_iter().zip(&peers) {
        let sender = peer.sender();
        speakers.push(tokio::spawn(async move {
            for index in 0..EACH {
                sender.send(format!("{name}{index}")).await.expect("it is there");
            }
        }));
    }
    for (index, peer) in peers.iter_mut().enumerate() {
        let mut heard = [0, 0];
        let mut done = 0;
        let expected = if index == 2 { 0 } else { EACH };
        while heard != [EACH, EACH] || done != expected {
            let message = soon(peer.recv()).await.expect("it is there").expect("there is more");
            let text = message.as_text().expect("it is text");
            if let Some(text) = text.strip_prefix("done ") {
                assert_eq!(text[1..].parse(), Ok(done));
                done += 1;
                assert!(heard[index] >= done, "a reply came before the publication");
            } else {
                let who = usize::from(text.starts_with('b'));
                assert_eq!(text[1..].parse(), Ok(heard[who]), "in order, all of it, once");
                heard[who] += 1;
            }
        }
    }
    for speaker in speakers {
        speaker.await.expect("it has spoken");
    }
    // A worker counts what it has brought after it has brought it; the peers may be faster.
    soon(async {
        while topics.stats().delivered < 6 * EACH as u64 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let stats = topics.stats();
    assert_eq!((stats.published, stats.delivered), (2 * EACH as u64, 6 * EACH as u64));
    assert_eq!((stats.skipped, stats.closed_as_slow), (0, 0));
}

#[tokio::test]
async fn all_hear_all_in_event_form() {
    all_hear_all(events(0).await).await;
}

#[tokio::test]
async fn all_hear_all_in_event_form_on_worker_threads() {
    all_hear_all(events(3).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn all_hear_all_in_event_form_on_a_runtime_with_threads() {
    all_hear_all(events(0).await).await;
}

#[tokio::test]
async fn all_hear_all_in_pull_form() {
    all_hear_all(pull(0).await).await;
}

#[tokio::test]
async fn all_hear_all_in_pull_form_on_worker_threads() {
    all_hear_all(pull(3).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn all_hear_all_in_pull_form_on_a_runtime_with_threads() {
    all_hear_all(pull(0).await).await;
}

#[tokio::test]
async fn the_sender_may_be_left_out_and_who_has_left_hears_no_more() {
    let (topics, address) = events(0).await;
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut peer = sotong::connect(&format!("ws://{address}/")).await.expect("it connects");
        soon(peer.recv()).await.expect("it is there");
        peers.push(peer);
    }
    let [a, b] = &mut peers[..] else { unreachable!("there are two") };
    for text in ["!to others", "to all", "leave", "after"] {
        a.send(text).await.expect("it is there");
    }
    for expected in ["done !to others", "to all", "done to all", "done leave", "done after"] {
        assert_eq!(soon(a.recv()).await.expect("it is there"), Some(Message::text(expected)));
    }
    for expected in ["!to others", "to all", "after"] {
        assert_eq!(soon(b.recv()).await.expect("it is there"), Some(Message::text(expected)));
    }
    assert_eq!(topics.subscribers("room"), 1);
}

#[tokio::test]
async fn a_topic_lives_while_it_has_subscribers_and_the_hook_hears_of_it() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (told, mut tell) = tokio::sync::mpsc::unbounded_channel();
    let topics = Topics::new().with_hook({
        let heard = heard.clone();
        move |name, occupancy| {
            heard.lock().expect("nobody panicked").push((name.to_owned(), occupancy));
            let _ = told.send(());
        }
    });
    let (server, address) = support::server(Config::default()).await;
    let server = server.with_topics(topics.clone());
    let members = topics.clone();
    let serve =
        server.serve_events(move |_: &sotong::Request| Ok::<_, sotong::Refusal>(Member(members.clone())));
    tokio::spawn(serve.into_future());
    let mut a = Peer::connect(address).await;
    a.expect_text("welcome").await;
    let mut b = Peer::connect(address).await;
    b.expect_text("welcome").await;
    assert_eq!((topics.len(), topics.subscribers("room")), (1, 2));
    drop(a);
    drop(b);
    for _ in 0..2 {
        soon(tell.recv()).await.expect("the hook is called");
    }
    let room = |occupancy| ("room".to_owned(), occupancy);
    assert_eq!(*heard.lock().expect("nobody panicked"), [room(Occupancy::Populated), room(Occupancy::Empty)]);
    assert_eq!((topics.len(), topics.subscribers("room")), (0, 0));
}
