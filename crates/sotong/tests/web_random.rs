//! Sockets that do anything, against servers that do anything, by a seed: what always holds.

#[path = "support/scripted.rs"]
mod scripted;
mod support;
#[path = "support/web.rs"]
mod web;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use scripted::unmasked;
use sotong::web::{ListenerId, Options, ReadyState, WebSocket, on};
use support::{BINARY, CLOSE, PING, TEXT};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use web::{Wire, client};

/// xorshift: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What the first listeners of a socket have heard: o, m, e, c. Each of them has a clone, and so they are counted.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn note(&self, what: char) {
        self.0.lock().expect("no panic").push(what);
    }

    fn read(&self) -> String {
        self.0.lock().expect("no panic").clone()
    }
}

/// Hears all, from beginning to end.
fn watch(socket: &WebSocket) -> Log {
    let log = Log::default();
    let (open, message, error, close) = (log.clone(), log.clone(), log.clone(), log.clone());
    socket.add_event_listener(on::OPEN, move |socket| {
        assert!(matches!(socket.ready_state(), ReadyState::Open | ReadyState::Closing));
        open.note('o');
    });
    socket.add_event_listener(on::MESSAGE, move |_| message.note('m'));
    socket.add_event_listener(on::ERROR, move |event| {
        assert_eq!(event.target().ready_state(), ReadyState::Closed);
        error.note('e');
    });
    socket.add_event_listener(on::CLOSE, move |event| {
        assert_eq!(event.target().ready_state(), ReadyState::Closed);
        assert!(event.code() != 1006 || close.read().ends_with('e'), "1006 has its error");
        // A Close came, but ours may not have gone out: then there is a code, and it is not clean.
        assert!(!event.was_clean() || event.code() != 1006);
        close.note('c');
    });
    log
}

/// Something that a program may do with its socket.
fn act(dice: &mut Dice, socket: &WebSocket, ids: &mut Vec<ListenerId>) {
    match dice.below(12) {
        0 => socket.close(),
        1 => drop(socket.close_with(3000 + dice.below(2000) as u16, "reason")),
        2 => ids.push(socket.add_event_listener(on::MESSAGE, |event| event.target().send("from inside"))),
        3 => ids.push(socket.once(on::ERROR, |event| event.target().close())),
        4 => ids.drain(..).for_each(|id| socket.remove_event_listener(id)),
        5 => socket.set_on_message(|event| {
            event.target().clear_on_message();
            event.target().set_on_close(|_| {});
        }),
        6 => socket.clear_on_message(),
        7 => socket.set_on_open(|socket| socket.send("at once")),
        _ => {
            let before = (socket.ready_state(), socket.buffered_amount());
            let length = dice.below(3000) as usize;
            match socket.send(vec![7; length]) {
                Ok(()) => assert!(
                    before.0 != ReadyState::Connecting && socket.buffered_amount() == before.1 + length
                ),
                Err(_) => assert_eq!(before, (ReadyState::Connecting, socket.buffered_amount())),
            }
        }
    }
}

/// Something that a server may say.
fn say(dice: &mut Dice) -> Vec<u8> {
    match dice.below(16) {
        0 => unmasked(CLOSE, true, &[&1000u16.to_be_bytes()[..], b"bye"].concat()),
        1 => unmasked(CLOSE, true, b""),
        2 => unmasked(PING, true, b"?"),
        3 => vec![0xff, 0x00],
        4 => unmasked(TEXT, true, b"\xff"),
        5 => unmasked(TEXT, false, b"begun and not ended"),
        6..10 => unmasked(BINARY, true, &vec![1; dice.below(3000) as usize]),
        _ => unmasked(TEXT, true, "소통".as_bytes()),
    }
}

async fn play(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let config = Options::default_config()
        .with_compression(None)
        .with_outbox_bytes_max(64 * 1024)
        .with_close_timeout(Duration::from_secs(1));
    let options = Options::new().with_client(client().with_config(config));
    let (socket, mut wire) = Wire::with(&options, 64 + dice.below(8192) as usize);
    let log = watch(&socket);
    let mut ids = Vec::new();
    let does_answer = dice.below(8) != 0;
    let server = {
        let mut dice = Dice(dice.below(u64::MAX) | 1);
        tokio::spawn(async move {
            if dice.below(8) == 0 {
                return; // it hangs up
            }
            let Some(mut answer) = wire.try_answer().await else { return };
            if dice.below(8) == 0 {
                answer[9] = b'4';
            }
            if does_answer && wire.0.write_all(&answer).await.is_err() {
                return;
            }
            let mut taken = [0; 4096];
            for _ in 0..dice.below(60) {
                let said = say(&mut dice);
                for piece in said.chunks(1 + dice.below(200) as usize) {
                    // It may have hung up, or not read for a while, because what it sent fills the way.
                    let writing = tokio::time::timeout(Duration::from_millis(50), wire.0.write_all(piece));
                    if !matches!(writing.await, Ok(Ok(()))) {
                        return;
                    }
                }
                if dice.below(3) != 0 {
                    let _ = tokio::time::timeout(Duration::from_millis(1), wire.0.read(&mut taken)).await;
                }
                tokio::time::sleep(Duration::from_millis(dice.below(30))).await;
            }
            if dice.below(2) == 0 {
                // It takes what there is until the end.
                while matches!(wire.0.read(&mut taken).await, Ok(1..)) {}
            }
        })
    };
    for _ in 0..dice.below(40) {
        act(&mut dice, &socket, &mut ids);
        tokio::time::sleep(Duration::from_millis(dice.below(40))).await;
    }
    let state = socket.ready_state();
    if dice.below(2) == 0 {
        socket.close();
        assert!(socket.ready_state() >= ReadyState::Closing, "from {state:?}");
    }
    drop(socket);
    // Every listener is dropped some time, and so nothing more can come.
    web::until(|| Arc::strong_count(&log.0) == 1).await;
    support::soon(server).await.expect("no panic");
    let log = log.read();
    let ending = log.trim_start_matches('o').trim_start_matches('m');
    assert!(matches!(ending, "c" | "ec"), "{log}");
    assert!(log.starts_with('o') || ending.len() == log.len(), "no message before open: {log}");
    assert!(log.matches('o').count() <= 1, "{log}");
}

#[tokio::test(start_paused = true)]
async fn events_are_in_order_with_one_close_and_listeners_are_set_free_whatever_happens() {
    for seed in 1..=600 {
        tokio::spawn(play(seed)).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}
