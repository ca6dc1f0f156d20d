//! Models of the hand-over between senders and the driver, played in many orders by shuttle: no wake-up is lost (that
//! would be a deadlock, which shuttle reports), no message, and nothing is closed twice.
//!
//! `./test shuttle` plays them.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use shuttle::future::{block_on, spawn, yield_now};
use sotong_proto::handshake::{Progress, Request, ServerHandshake};
use sotong_proto::{Close, CloseCode, Closed, Codecs, Config, MessageRef, Time};

use super::budget::Budget;
use super::clock::Clock;
use super::inbox::{Inbox, InboxSink};
use super::outbound::Over;
use super::shared::{Form, Role, Shared};
use super::{Driver, Sink};
use crate::error::Error;
use crate::live::Live;
use crate::peer::Peer;
use crate::sender::Sender;
use crate::socket::WebSocket;
use crate::topics::mailroom::Mailroom;
use crate::topics::{Occupancy, Topics};
use crate::transport::Transport;
use crate::transport::model::Wire;

/// How many orders of each model are played.
const ORDERS: usize = 10_000;

/// What the wire takes at a time, so that writes come back short.
const WIRE_BYTES: usize = 24;
/// Room for two or three messages, so that senders wait.
const OUTBOX_BYTES: usize = 20;

fn config() -> Arc<Config> {
    let config = Config::default().with_outbox_bytes_max(OUTBOX_BYTES).with_inbox_bytes_max(64);
    Arc::new(config.with_ping_interval(None))
}

fn request() -> Request {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    match ServerHandshake::new(&Config::default(), Time::ZERO).receive(head) {
        Progress::Request(offer) => offer.request().clone(),
        other => panic!("{other:?}"),
    }
}

fn codecs(budget: &Arc<Budget>) -> Arc<Codecs> {
    Codecs::new(budget.codecs().clone())
}

/// What a driver is made of, without a runtime.
fn driver<S: Sink>(form: Form, sink: S, wire: &Wire) -> (Driver<S>, Sender) {
    let budget = Budget::new(1 << 30, 0);
    driver_with(config(), form, sink, wire, Clock::new(&budget, None, codecs(&budget)))
}

fn driver_with<S: Sink>(
    config: Arc<Config>,
    form: Form,
    sink: S,
    wire: &Wire,
    clock: Arc<Clock>,
) -> (Driver<S>, Sender) {
    let transport = Arc::new(Transport::Model(wire.clone()));
    let direct = (form == Form::Pull).then(|| transport.clone());
    let guard = Arc::new(Live::default()).enter(1).expect("it is the first");
    let (role, peer) = (Role::Server(None), Peer::new(None));
    let shared = Shared::new(request(), peer, config.clone(), form, role, direct, clock);
    let sender = Sender::new(shared);
    let mut driver = Driver::new(config, None, transport, sender.clone(), sink, guard);
    driver.open(Vec::new());
    (driver, sender)
}

/// In event form: answers each message with itself, and counts ends.
struct Echo {
    ends: Arc<std::sync::atomic::AtomicUsize>,
}

impl Sink for Echo {
    fn open(&mut self, _socket: &Sender) {}

    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) -> bool {
        // A full outbox and a closed one are part of the model: what was not accepted is not missed.
        let _ = socket.try_send(message);
        true
    }

    fn error(&mut self, _socket: &Sender, _error: &Error) {}

    fn close(&mut self, _over: &Over) {
        self.ends.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// The frames that a peer received: payloads of text, and how often a Close came.
#[derive(Debug, Default)]
struct Heard {
    texts: Vec<String>,
    closes: usize,
}

/// The peer: reads to the end, answers the Close, and takes care that nothing follows it.
async fn listen(wire: Wire) -> Heard {
    let mut heard = Heard::default();
    let mut bytes = Vec::new();
    loop {
        let taken = poll_fn(|context| wire.poll_take(context)).await;
        if taken.is_empty() {
            assert!(bytes.is_empty(), "half a frame at the end: {bytes:?}");
            return heard;
        }
        bytes.extend(taken);
        while bytes.len() >= 2 && bytes.len() >= 2 + usize::from(bytes[1]) {
            let rest = bytes.split_off(2 + usize::from(bytes[1]));
            let frame = std::mem::replace(&mut bytes, rest);
            assert_eq!(heard.closes, 0, "a frame after the Close: {frame:?}");
            match frame[0] {
                0x81 => heard.texts.push(String::from_utf8(frame[2..].to_vec()).expect("it is text")),
                0x88 => {
                    heard.closes += 1;
                    wire.say(&[0x88, 0x80, 0, 0, 0, 0], true);
                }
                other => panic!("frame {other:#x}"),
            }
        }
    }
}

/// Sends numbered messages until it may not; how many were accepted.
async fn speak(socket: Sender, name: char, count: u32) -> u32 {
    for index in 0..count {
        if socket.send(format!("{name}{index}")).await.is_err() {
            return index;
        }
    }
    count
}

/// Sends without waiting; how many were accepted.
fn shout(socket: &Sender, name: char, count: u32) -> u32 {
    let mut accepted = 0;
    for _ in 0..count {
        if socket.try_send(format!("{name}{accepted}")).is_ok() {
            accepted += 1;
        }
        shuttle::thread::yield_now();
    }
    accepted
}

/// Everything that was accepted of one sender has come, in its order, and nothing else of it.
fn assert_heard(heard: &Heard, name: char, accepted: u32) {
    let of_it: Vec<&String> = heard.texts.iter().filter(|text| text.starts_with(name)).collect();
    let expected: Vec<String> = (0..accepted).map(|index| format!("{name}{index}")).collect();
    assert_eq!(of_it, expected.iter().collect::<Vec<_>>(), "of {name}");
}

/// A text frame of a client, with a key of zeros.
fn said(text: &str) -> Vec<u8> {
    [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text.as_bytes()].concat()
}

#[test]
fn handover_in_event_form() {
    let play = || {
        block_on(async {
            let wire = Wire::new(WIRE_BYTES);
            let ends = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let (driver, socket) = driver(Form::Events, Echo { ends: ends.clone() }, &wire);
            let driver = spawn(driver);
            let peer = spawn(listen(wire.clone()));
            let waiting = spawn(speak(socket.clone(), 'a', 3));
            let from_thread = {
                let socket = socket.clone();
                shuttle::thread::spawn(move || shout(&socket, 'b', 3))
            };
            let flushed = {
                let socket = socket.clone();
                spawn(async move { socket.flushed().await.is_ok() })
            };
            wire.say(&said("e0"), false);
            let closed = {
                let socket = socket.clone();
                spawn(async move { socket.closed().await })
            };
            let a = waiting.await.expect("it does not panic");
            let b = from_thread.join().expect("it does not panic");
            assert!(flushed.await.expect("it does not panic"), "nobody has closed yet");
            assert!(socket.close(CloseCode::NORMAL, ""), "it is the first");
            assert!(!socket.close(CloseCode::NORMAL, ""), "it is the second");
            let heard = peer.await.expect("it does not panic");
            driver.await.expect("it does not panic");
            let closed: Arc<Closed> = closed.await.expect("it does not panic");
            assert_eq!(closed.received.as_ref().map(Close::code), Some(None));
            assert_eq!((a, heard.closes), (3, 1));
            assert_heard(&heard, 'a', a);
            assert_heard(&heard, 'b', b);
            assert_eq!(ends.load(std::sync::atomic::Ordering::Relaxed), 1);
            assert_eq!(socket.buffered_bytes(), 0);
        });
    };
    shuttle::check_random(play, ORDERS);
    shuttle::check_pct(play, ORDERS, 3);
}

#[test]
fn handover_when_several_close_while_others_send() {
    let play = || {
        block_on(async {
            let wire = Wire::new(WIRE_BYTES);
            let ends = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let (driver, socket) = driver(Form::Events, Echo { ends: ends.clone() }, &wire);
            let driver = spawn(driver);
            let peer = spawn(listen(wire.clone()));
            let waiting = spawn(speak(socket.clone(), 'a', 4));
            let closers: Vec<_> = (0..2)
                .map(|_| {
                    let socket = socket.clone();
                    shuttle::thread::spawn(move || {
                        let _ = socket.try_send("c");
                        socket.close(CloseCode::NORMAL, "")
                    })
                })
                .collect();
            let waits_for_the_end = {
                let socket = socket.clone();
                spawn(async move { drop(socket.closed().await) })
            };
            let flushes = {
                let socket = socket.clone();
                // It ends with the connection, if not before: either is fine, for ever is not.
                spawn(async move { drop(socket.flushed().await) })
            };
            let a = waiting.await.expect("it does not panic");
            let firsts = closers.into_iter().map(|closer| closer.join().expect("no panic"));
            assert_eq!(firsts.filter(|first| *first).count(), 1, "one of them was the first to close");
            let heard = peer.await.expect("it does not panic");
            driver.await.expect("it does not panic");
            waits_for_the_end.await.expect("it does not panic");
            flushes.await.expect("it does not panic");
            assert_eq!(heard.closes, 1);
            assert_heard(&heard, 'a', a);
            assert_eq!(ends.load(std::sync::atomic::Ordering::Relaxed), 1);
        });
    };
    shuttle::check_random(play, ORDERS);
    shuttle::check_pct(play, ORDERS, 3);
}

#[test]
fn handover_in_pull_form() {
    let play = || {
        block_on(async {
            // Less than two frames: what the reader writes itself comes back short, too.
            let wire = Wire::new(6);
            let inbox = Inbox::new(64);
            let (driver, socket) = driver(Form::Pull, InboxSink::new(inbox.clone()), &wire);
            let driver = spawn(driver);
            let peer = spawn(listen(wire.clone()));
            let mut web_socket = WebSocket::new(socket.clone(), inbox);
            let echo = spawn(async move {
                let mut echoed = 0;
                while echoed < 2 {
                    let Ok(Some(message)) = web_socket.recv().await else { panic!("two were said") };
                    web_socket.send(message).await.expect("nobody has closed");
                    echoed += 1;
                }
                web_socket
            });
            let waiting = spawn(speak(socket.clone(), 'a', 3));
            let from_thread = {
                let socket = socket.clone();
                shuttle::thread::spawn(move || shout(&socket, 'b', 2))
            };
            wire.say(&said("e0"), false);
            yield_now().await;
            wire.say(&said("e1"), false);
            let mut web_socket = echo.await.expect("it does not panic");
            let a = waiting.await.expect("it does not panic");
            let b = from_thread.join().expect("it does not panic");
            assert!(socket.close(CloseCode::NORMAL, ""), "it is the first");
            assert!(matches!(web_socket.recv().await, Ok(None)), "a regular end");
            let heard = peer.await.expect("it does not panic");
            driver.await.expect("it does not panic");
            assert_eq!((a, heard.closes), (3, 1));
            assert_heard(&heard, 'a', a);
            assert_heard(&heard, 'b', b);
            assert_heard(&heard, 'e', 2);
            assert_eq!(socket.buffered_bytes(), 0);
        });
    };
    shuttle::check_random(play, ORDERS);
    shuttle::check_pct(play, ORDERS, 3);
}

/// Two members of a topic, one of them for the whole time, two who publish, and the rounds of their worker.
fn publications(form: Form) {
    block_on(async {
        let occupancies = Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard_of = occupancies.clone();
        let topics =
            Topics::new().with_hook(move |_, occupancy| heard_of.lock().expect("no panic").push(occupancy));
        // In event form, only its driver may write while others have their turns: all tasks of a model are threads.
        let budget = Budget::new(1 << 30, 0);
        let mailroom =
            Mailroom::new(topics.registry().clone(), budget.clone(), codecs(&budget), form == Form::Pull);
        let weak = Arc::downgrade(&mailroom);
        let rounds = spawn(poll_fn(move |context| match weak.upgrade() {
            Some(mailroom) => mailroom.poll_rounds(context),
            None => Poll::Ready(()),
        }));
        let clock = Clock::new(&budget, Some(mailroom), codecs(&budget));
        // Nobody is too slow here.
        let config = Arc::new(Config::default().with_outbox_bytes_max(1000).with_ping_interval(None));
        let ends = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut members = Vec::new();
        for _ in 0..2 {
            let wire = Wire::new(WIRE_BYTES);
            let sink = Echo { ends: ends.clone() };
            let (driver, socket) = driver_with(config.clone(), form, sink, &wire, clock.clone());
            members.push((spawn(driver), spawn(listen(wire.clone())), socket));
        }
        drop(clock);
        let [stays, comes] = [&members[0].2, &members[1].2].map(Sender::clone);
        assert_eq!(stays.subscribe("t"), Ok(true));
        let publishes = {
            let topics = topics.clone();
            shuttle::thread::spawn(move || {
                for index in 0..3 {
                    assert!(topics.publish("t", format!("p{index}")) >= 1);
                }
            })
        };
        let publishes_and_sends = {
            let (topics, stays) = (topics.clone(), stays.clone());
            shuttle::thread::spawn(move || {
                for index in 0..2 {
                    topics.publish("t", format!("q{}", 2 * index));
                    stays.try_send(format!("q{}", 2 * index + 1)).expect("there is room");
                }
            })
        };
        let comes_and_goes = {
            let comes = comes.clone();
            shuttle::thread::spawn(move || {
                // It may be closed at any moment.
                let came = comes.subscribe("t");
                // Its own is not for itself.
                comes.publish("t", "r0");
                let went = comes.unsubscribe("t");
                assert!(came.is_ok() || !went);
                let _ = comes.subscribe("t");
            })
        };
        // It may end while it is published to.
        let closes = shuttle::thread::spawn(move || comes.close(CloseCode::NORMAL, ""));
        for thread in [publishes, publishes_and_sends] {
            thread.join().expect("no panic");
        }
        comes_and_goes.join().expect("no panic");
        assert!(closes.join().expect("no panic"));
        // What was published before comes before.
        assert!(stays.close(CloseCode::NORMAL, ""));
        drop(stays);
        let mut heard = Vec::new();
        for (driver, peer, socket) in members {
            heard.push(peer.await.expect("it does not panic"));
            driver.await.expect("it does not panic");
            assert!(socket.is_closed());
        }
        assert_heard(&heard[0], 'p', 3);
        assert_heard(&heard[0], 'q', 4);
        assert_heard(&heard[0], 'r', 1);
        for name in ['p', 'q'] {
            let of_it: Vec<_> = heard[1].texts.iter().filter(|text| text.starts_with(name)).collect();
            assert!(of_it.is_sorted_by(|a, b| a < b), "in order, each once: {of_it:?}");
        }
        assert!(!heard[1].texts.contains(&"r0".to_owned()), "its own");
        assert!(topics.is_empty(), "nobody is there any more");
        let occupancies = std::mem::take(&mut *occupancies.lock().expect("no panic"));
        assert!(occupancies.chunks(2).all(|pair| *pair == [Occupancy::Populated, Occupancy::Empty]));
        // All that knew the worker is gone.
        rounds.await.expect("it does not panic");
    });
}

#[test]
fn handover_of_publications_in_event_form() {
    shuttle::check_random(|| publications(Form::Events), ORDERS);
    shuttle::check_pct(|| publications(Form::Events), ORDERS, 3);
}

#[test]
fn handover_of_publications_in_pull_form() {
    shuttle::check_random(|| publications(Form::Pull), ORDERS);
    shuttle::check_pct(|| publications(Form::Pull), ORDERS, 3);
}
