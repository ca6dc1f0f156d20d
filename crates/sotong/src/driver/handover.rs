//! Models of the hand-over between senders and the driver, played in many orders by shuttle: no wake-up is lost (that
//! would be a deadlock, which shuttle reports), no message, and nothing is closed twice.
//!
//! `./test shuttle` plays them.

use std::future::poll_fn;
use std::sync::Arc;

use shuttle::future::{block_on, spawn, yield_now};
use sotong_proto::handshake::{Progress, Request, ServerHandshake};
use sotong_proto::{Close, CloseCode, Closed, Config, MessageRef, Side, Time};

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

/// What a driver is made of, without a runtime.
fn driver<S: Sink>(form: Form, sink: S, wire: &Wire) -> (Driver<S>, Sender) {
    let transport = Arc::new(Transport::Model(wire.clone()));
    let direct = (form == Form::Pull).then(|| transport.clone());
    let budget = Budget::new(1 << 30);
    let clock = Clock::new(&budget, None);
    let guard = Arc::new(Live::default()).enter(1).expect("it is the first");
    let shared = Shared::new(request(), Peer::new(None), config(), form, Role::Server, direct, clock.clone());
    let sender = Sender::new(shared);
    let mut driver = Driver::new(Side::Server, config(), transport, sender.clone(), sink, clock, guard);
    driver.open(Vec::new());
    (driver, sender)
}

/// In event form: answers each message with itself, and counts ends.
struct Echo {
    ends: Arc<std::sync::atomic::AtomicUsize>,
}

impl Sink for Echo {
    fn open(&mut self, _socket: &Sender) {}

    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        // A full outbox and a closed one are part of the model: what was not accepted is not missed.
        let _ = socket.try_send(message);
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
