//! The order of events, under a virtual clock and however the bytes are split.

#[path = "support/scripted.rs"]
mod scripted;
mod support;
#[path = "support/web.rs"]
mod web;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use scripted::unmasked;
use sotong::web::{Options, ReadyState, WebSocket, on};
use support::{BINARY, CLOSE, PING, TEXT};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use web::{Ears, Heard, Wire, client, options};

/// What a server says after its answer: text in fragments with a Ping between them, bytes, nothing, a Close.
fn conversation() -> Vec<u8> {
    [
        unmasked(TEXT, true, "소통".as_bytes()),
        unmasked(TEXT, false, b"frag"),
        unmasked(PING, true, b"?"),
        unmasked(0, true, b"mented"),
        unmasked(BINARY, true, &[7; 200]),
        unmasked(TEXT, true, b""),
        unmasked(CLOSE, true, &[&4000u16.to_be_bytes()[..], b"over"].concat()),
    ]
    .concat()
}

/// All that is heard when the answer and the conversation come in these pieces.
async fn heard(pieces: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> Vec<Heard> {
    let (socket, mut wire) = Wire::new();
    let mut ears = Ears::of(&socket);
    let mut bytes = wire.answer().await;
    bytes.extend(conversation());
    for piece in pieces(&bytes) {
        wire.raw(&piece).await;
        // What has come is told before more comes.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    wire.0.shutdown().await.expect("it is open");
    let rest = ears.rest().await;
    drop(wire);
    rest
}

#[tokio::test(start_paused = true)]
async fn the_same_bytes_are_the_same_events_however_they_are_split() {
    let whole = heard(|bytes| vec![bytes.to_vec()]).await;
    assert_eq!(whole.len(), 6, "{whole:?}");
    assert_eq!(whole[0], Heard::Open(ReadyState::Open));
    assert_eq!([whole[1].text(), whole[2].text(), whole[4].text()], ["소통", "fragmented", ""]);
    assert_eq!(whole[5].closed(), (true, 4000, "over"));
    assert_eq!(heard(|bytes| bytes.iter().map(|byte| vec![*byte]).collect()).await, whole, "each byte alone");
    // At every byte of the conversation, and at some of the head before it.
    let head = 129;
    for at in (0..head).step_by(16).chain(head..head + conversation().len()) {
        let split = heard(move |bytes| {
            let at = at.min(bytes.len());
            vec![bytes[..at].to_vec(), bytes[at..].to_vec()]
        });
        assert_eq!(split.await, whole, "split at {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_server_is_told_after_the_messages_before_it_however_they_are_split() {
    let bytes =
        [unmasked(TEXT, true, b"good"), unmasked(TEXT, true, b"\xc3\x28"), unmasked(TEXT, true, b"never")]
            .concat();
    let mut all = Vec::new();
    for at in 0..=bytes.len() {
        let (socket, mut wire) = Wire::new();
        let mut ears = Ears::of(&socket);
        wire.open().await;
        wire.raw(&bytes[..at]).await;
        ears.open().await;
        // It may have hung up by now.
        let _ = wire.0.write_all(&bytes[at..]).await;
        let rest = ears.rest().await;
        assert_eq!(rest[0].text(), "good");
        assert!(rest[1].cause().contains("UTF-8"), "{rest:?}");
        assert_eq!(rest[2].closed(), (false, 1006, ""));
        all.push(rest);
    }
    all.dedup();
    assert_eq!(all.len(), 1, "always the same");
}

/// Also not another task: the closing handshake begins, as a task of the event loop, behind those of the messages.
#[tokio::test(start_paused = true)]
async fn nobody_sees_that_it_closes_before_the_messages_that_came_first_are_told() {
    let (socket, mut wire) = Wire::new();
    let told = Arc::new(AtomicUsize::new(0));
    let count = told.clone();
    socket.set_on_message(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    socket.start();
    wire.open().await;
    while socket.ready_state() == ReadyState::Connecting {
        tokio::task::yield_now().await;
    }
    // Its turn comes after that of each other task: `yield_now` would wait until all of them have had theirs.
    let (seen, mut states) = (socket.clone(), Vec::new());
    let looks = tokio::spawn(poll_fn(move |context| {
        states.push(seen.ready_state());
        match states.last() {
            Some(ReadyState::Closed) => return Poll::Ready(std::mem::take(&mut states)),
            Some(ReadyState::Closing) => assert_eq!(told.load(Ordering::SeqCst), 100),
            _ => {}
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }));
    let messages: Vec<u8> = (0..100).flat_map(|_| unmasked(TEXT, true, b"one more")).collect();
    wire.raw(&[messages, unmasked(CLOSE, true, &1000u16.to_be_bytes())].concat()).await;
    assert_eq!(wire.next().await.expect("a frame").opcode, CLOSE);
    // The state is there to be seen for a while.
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    wire.0.shutdown().await.expect("it is open");
    let mut states = support::soon(looks).await.expect("it does not panic");
    assert!(states.is_sorted(), "it never goes back: {states:?}");
    states.dedup();
    assert_eq!(states, [ReadyState::Open, ReadyState::Closing, ReadyState::Closed]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_the_close_is_left_after_the_close_timeout() {
    let config = Options::default_config().with_close_timeout(Duration::from_secs(7));
    let (socket, mut wire) = Wire::with(&Options::new().with_client(client().with_config(config)), 1 << 16);
    let mut ears = Ears::of(&socket);
    wire.open().await;
    ears.open().await;
    let begun = Instant::now();
    socket.close_with(3000, "bye").expect("allowed");
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    let rest = ears.rest().await;
    assert_eq!(rest.len(), 2, "{rest:?}");
    assert!(matches!(&rest[0], Heard::Error(ReadyState::Closed, _)));
    assert_eq!(rest[1].closed(), (false, 1006, ""));
    let waited = begun.elapsed();
    assert!((Duration::from_secs(7)..Duration::from_secs(8)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_noticed_by_the_keep_alive() {
    let (socket, mut wire) = Wire::new();
    let mut ears = Ears::of(&socket);
    wire.open().await;
    ears.open().await;
    let begun = Instant::now();
    let rest = ears.rest().await;
    assert!(rest[0].cause().contains("pong"), "{rest:?}");
    assert_eq!(rest[1].closed(), (false, 1006, ""));
    assert!(begun.elapsed() >= Duration::from_secs(40), "a silence, then a Ping without an answer");
}

#[tokio::test(start_paused = true)]
async fn events_are_held_until_somebody_listens_or_they_are_started() {
    let long = Duration::from_secs(10);
    for how in ["listener", "slot", "start"] {
        let (socket, mut wire) = Wire::new();
        wire.open().await;
        wire.send(TEXT, b"one").await;
        tokio::time::sleep(long).await;
        assert_eq!(socket.ready_state(), ReadyState::Connecting, "nothing was dispatched");
        match how {
            "listener" => drop(socket.add_event_listener(on::CLOSE, |_| {})),
            "slot" => socket.set_on_error(|_| {}),
            _ => socket.start(),
        }
        if how == "start" {
            web::until(|| socket.ready_state() == ReadyState::Open).await;
        } else {
            // The task has its turns meanwhile, as it would on another thread.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(socket.ready_state(), ReadyState::Connecting, "others may follow");
        }
        let mut ears = Ears::of(&socket);
        wire.send(TEXT, b"two").await;
        if how != "start" {
            ears.open().await;
            ears.text("one").await;
        }
        // What came before `start` is gone: nobody listened, as it was told.
        ears.text("two").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_nobody_listens_for_waits_only_a_moment() {
    let (socket, mut wire) = Wire::new();
    wire.open().await;
    wire.send(TEXT, b"one").await;
    let begun = Instant::now();
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    socket.set_on_message(move |event| tell.send(event.data().to_string()));
    assert_eq!(heard.recv().await.as_deref(), Some("one"));
    let waited = begun.elapsed();
    assert!(
        waited >= Duration::from_millis(20) && waited < Duration::from_millis(30),
        "for on_open: {waited:?}"
    );
    // With `start` it waits for nobody.
    let (socket, mut wire) = Wire::new();
    wire.open().await;
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let begun = Instant::now();
    socket.set_on_message(move |event| tell.send(event.data().to_string()));
    socket.start();
    wire.send(TEXT, b"one").await;
    assert_eq!(heard.recv().await.as_deref(), Some("one"));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_close_is_done_although_nobody_listens() {
    let (socket, mut wire) = Wire::new();
    wire.open().await;
    // It is there, but its events are held.
    tokio::time::sleep(Duration::from_secs(1)).await;
    socket.close();
    assert_eq!(wire.next().await.expect("a frame").opcode, CLOSE);
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    let mut ears = Ears::of(&socket);
    assert_eq!(ears.failure().await, "it was closed before the connection was there");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_held_too() {
    let (socket, wire) = Wire::new();
    drop(wire);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(socket.ready_state(), ReadyState::Connecting);
    let mut ears = Ears::of(&socket);
    assert!(!ears.failure().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn whoever_is_not_listened_to_is_held_up_by_the_stream() {
    const MIB: usize = 1 << 20;
    let page = options();
    let (socket, mut wire): (WebSocket, Wire) = Wire::with(&page, 4096);
    wire.open().await;
    let frame = unmasked(BINARY, true, &[7; 16 * 1024]);
    let mut said = 0;
    // Nobody listens: it takes what its inbox has room for, and then no more for a minute.
    while tokio::time::timeout(Duration::from_secs(10), wire.0.write_all(&frame)).await.is_ok() {
        said += 16 * 1024;
        assert!(said < MIB, "it has an end");
    }
    assert!(said >= 256 * 1024, "{said}");
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    socket.set_on_message(move |event| tell.send(event.data().as_bytes().len()));
    let mut came = 0;
    while came < said {
        came += heard.recv().await.expect("none is lost");
    }
}
