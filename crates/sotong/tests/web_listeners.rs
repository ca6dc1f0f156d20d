//! Listeners and slots: their order, and what they may do from inside.

#[path = "support/log.rs"]
mod log;
#[path = "support/scripted.rs"]
mod scripted;
mod support;
#[path = "support/web.rs"]
mod web;

use std::sync::{Arc, Mutex};

use log::Log;
use sotong::web::{ListenerId, ReadyState, WebSocket, on};
use support::{CLOSE, TEXT};
use tokio::io::AsyncWriteExt;
use web::{Ears, Wire};

/// What was called, in order.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().expect("no panic").push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no panic"))
    }

    /// A listener that notes its name.
    fn named<E>(&self, name: &'static str) -> impl FnMut(&E) + Send + 'static {
        let calls = self.clone();
        move |_| calls.note(name)
    }
}

/// An open socket, and a way to have its message listeners called; events are through when it returns.
struct Bench {
    socket: WebSocket,
    wire: Wire,
    calls: Calls,
}

impl Bench {
    async fn new() -> Bench {
        let (socket, mut wire) = Wire::new();
        socket.start();
        wire.open().await;
        web::until(|| socket.ready_state() == ReadyState::Open).await;
        Bench { socket, wire, calls: Calls::default() }
    }

    /// One message; who was called.
    async fn message(&mut self) -> Vec<String> {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let last = self.socket.add_event_listener(on::MESSAGE, move |_| tell.send(()));
        self.wire.send(TEXT, b"x").await;
        support::soon(told.recv()).await.expect("it comes");
        self.socket.remove_event_listener(last);
        self.calls.take()
    }
}

#[tokio::test(start_paused = true)]
async fn they_are_called_in_the_order_in_which_they_were_added() {
    let mut bench = Bench::new().await;
    let (socket, calls) = (bench.socket.clone(), bench.calls.clone());
    socket.add_event_listener(on::MESSAGE, calls.named("first"));
    socket.set_on_message(calls.named("slot"));
    let second = socket.add_event_listener(on::MESSAGE, calls.named("second"));
    socket.add_event_listener(on::CLOSE, calls.named("for another kind"));
    assert_eq!(bench.message().await, ["first", "slot", "second"]);
    // Set again, the slot keeps its place; cleared and set, it loses it.
    socket.set_on_message(calls.named("slot again"));
    assert_eq!(bench.message().await, ["first", "slot again", "second"]);
    socket.clear_on_message();
    assert_eq!(bench.message().await, ["first", "second"]);
    socket.set_on_message(calls.named("slot anew"));
    assert_eq!(bench.message().await, ["first", "second", "slot anew"]);
    socket.remove_event_listener(second);
    socket.remove_event_listener(second);
    assert_eq!(bench.message().await, ["first", "slot anew"]);
}

#[tokio::test(start_paused = true)]
async fn once_is_once() {
    let mut bench = Bench::new().await;
    let (socket, calls) = (bench.socket.clone(), bench.calls.clone());
    socket.once(on::MESSAGE, calls.named("once"));
    let removed = socket.once(on::MESSAGE, calls.named("never"));
    socket.add_event_listener(on::MESSAGE, calls.named("always"));
    socket.remove_event_listener(removed);
    assert_eq!(bench.message().await, ["once", "always"]);
    assert_eq!(bench.message().await, ["always"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_added_or_removed_from_inside() {
    let mut bench = Bench::new().await;
    let (socket, calls) = (bench.socket.clone(), bench.calls.clone());
    let ids: Arc<Mutex<Vec<ListenerId>>> = Arc::default();
    let (theirs, noting) = (ids.clone(), calls.clone());
    let mut is_first = true;
    socket.add_event_listener(on::MESSAGE, move |event| {
        noting.note("first");
        if std::mem::take(&mut is_first) {
            let socket = event.target();
            socket.add_event_listener(on::MESSAGE, noting.named("added"));
            theirs.lock().expect("no panic").iter().for_each(|id| socket.remove_event_listener(*id));
            socket.set_on_message(noting.named("slot, replaced"));
        }
    });
    // The first one removes itself and the next one; the slot is replaced before its turn comes.
    let itself = {
        let calls = calls.clone();
        socket.add_event_listener(on::MESSAGE, move |event| {
            calls.note("never");
            drop(event.target().clone());
        })
    };
    socket.set_on_message(calls.named("slot"));
    ids.lock().expect("no panic").push(itself);
    assert_eq!(bench.message().await, ["first", "slot, replaced"], "what is added is for the next event");
    assert_eq!(bench.message().await, ["first", "slot, replaced", "added"]);
}

#[tokio::test(start_paused = true)]
async fn a_listener_may_remove_and_replace_itself() {
    let mut bench = Bench::new().await;
    let (socket, calls) = (bench.socket.clone(), bench.calls.clone());
    let own: Arc<Mutex<Option<ListenerId>>> = Arc::default();
    let (theirs, noting) = (own.clone(), calls.clone());
    let held = Arc::new(());
    let holding = held.clone();
    let id = socket.add_event_listener(on::MESSAGE, move |event| {
        noting.note(format!("itself, {} held", Arc::strong_count(&holding) - 1));
        event.target().remove_event_listener(theirs.lock().expect("no panic").expect("it is known"));
    });
    *own.lock().expect("no panic") = Some(id);
    let noting = calls.clone();
    socket.set_on_message(move |event| {
        noting.note("slot");
        event.target().set_on_message(noting.named("its successor"));
    });
    assert_eq!(bench.message().await, ["itself, 1 held", "slot"]);
    assert_eq!(Arc::strong_count(&held), 1, "what it held is free");
    assert_eq!(bench.message().await, ["its successor"]);
}

#[tokio::test(start_paused = true)]
async fn all_methods_may_be_called_from_inside() {
    let (socket, mut wire) = Wire::new();
    let (seen, mut states) = tokio::sync::mpsc::unbounded_channel();
    socket.set_on_open(move |socket| {
        socket.send("from open").expect("it is open");
        socket.set_binary_type(socket.binary_type());
        let again = socket.clone();
        drop((again.url().len(), again.protocol(), again.extensions(), again.buffered_amount()));
        again.start();
        seen.send(again.ready_state())
    });
    socket.set_on_message(|event| {
        let socket = event.target();
        socket.clear_on_message();
        socket.close_with(3000, event.data().as_text().unwrap_or_default()).expect("allowed");
        socket.send("too late")
    });
    let mut ears = Ears::of(&socket);
    wire.open().await;
    assert_eq!(wire.next().await.expect("a frame").text(), "from open");
    assert_eq!(states.recv().await, Some(ReadyState::Open));
    wire.send(TEXT, b"why").await;
    let close = wire.next().await.expect("a frame");
    assert_eq!((close.close_code(), &close.payload[2..]), (Some(3000), &b"why"[..]));
    wire.send(CLOSE, &3000u16.to_be_bytes()).await;
    wire.0.shutdown().await.expect("it is open");
    assert_eq!(ears.rest().await.last().expect("a close").closed(), (true, 3000, ""));
}

#[test]
fn a_listener_that_panics_or_returns_an_error_is_reported_and_everything_goes_on() {
    let log = Log::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tracing::subscriber::with_default(log.clone(), || {
        runtime.block_on(async {
            let mut bench = Bench::new().await;
            let (socket, calls) = (bench.socket.clone(), bench.calls.clone());
            let noting = calls.clone();
            socket.add_event_listener(on::MESSAGE, move |_| {
                noting.note("before the panic");
                assert_eq!("panics", "on purpose");
            });
            let noting = calls.clone();
            socket.set_on_message(move |_| {
                noting.note("an error");
                Err::<(), _>("this is the error")
            });
            socket.add_event_listener(on::MESSAGE, calls.named("after it"));
            for _ in 0..2 {
                assert_eq!(bench.message().await, ["before the panic", "an error", "after it"]);
            }
            assert_eq!(socket.ready_state(), ReadyState::Open, "as in a browser");
            // What is dropped may panic, too.
            struct Bomb;
            impl Drop for Bomb {
                fn drop(&mut self) {
                    panic!("on purpose");
                }
            }
            let bomb = Bomb;
            let id = socket.add_event_listener(on::ERROR, move |_| {
                let _ = &bomb;
            });
            socket.remove_event_listener(id);
            socket.send("still here").expect("it is open");
            assert_eq!(bench.wire.next().await.expect("a frame").text(), "still here");
        });
    });
    assert!(log.has("ERROR", &["a listener panicked"]), "{:?}", log.lines());
    assert!(log.has("ERROR", &["a listener returned an error", "this is the error"]), "{:?}", log.lines());
    assert!(log.has("ERROR", &["the drop of a listener panicked"]), "{:?}", log.lines());
}

#[test]
fn when_the_runtime_goes_listeners_are_set_free_and_nothing_is_told() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let calls = Calls::default();
    let held = Arc::new(());
    let socket = runtime.block_on(async {
        let bench = Bench::new().await;
        let (own, holding) = (bench.socket.clone(), held.clone());
        bench.socket.add_event_listener(on::CLOSE, calls.named("close"));
        bench.socket.add_event_listener(on::MESSAGE, move |_| drop((own.clone(), holding.clone())));
        bench.socket.clone()
    });
    drop(runtime);
    assert_eq!(socket.ready_state(), ReadyState::Closed);
    assert_eq!(Arc::strong_count(&held), 1);
    assert!(calls.take().is_empty());
    socket.send("nobody").expect("it does not throw");
    socket.close();
}

#[tokio::test]
async fn others_have_their_turn_however_much_comes() {
    const COUNT: usize = 5_000;
    let server = support::pull(Default::default(), async |socket: sotong::WebSocket| {
        for _ in 0..COUNT {
            socket.send("x").await?;
        }
        socket.close(sotong::CloseCode::NORMAL, "").await;
        Ok(())
    })
    .await;
    let socket = web::open(format!("ws://{}/", server.address));
    let (turns, mut longest, mut in_a_row) = (Arc::new(Mutex::new(0_u64)), 0, (0, 0));
    let theirs = turns.clone();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    socket.set_on_message(move |_| {
        let now = *theirs.lock().expect("no panic");
        in_a_row = if in_a_row.0 == now { (now, in_a_row.1 + 1) } else { (now, 1) };
        longest = longest.max(in_a_row.1);
        tell.send(longest)
    });
    let mut most = 0;
    while let Some(longest) = {
        *turns.lock().expect("no panic") += 1;
        tokio::task::yield_now().await;
        told.try_recv()
            .map_or_else(|error| (error == tokio::sync::mpsc::error::TryRecvError::Empty).then_some(0), Some)
    } {
        most = most.max(longest);
    }
    assert!((1..=128).contains(&most), "{most} messages without a turn of others");
    server.stop().await;
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let page = sotong::web::Options::new()
        .with_base("https://user:secret@127.0.0.1:1/?token=secret")
        .expect("a URL")
        .with_client(sotong::Client::new().with_header("Authorization", "secret").expect("a header"));
    let socket = page.open("?token=secret").expect("a URL");
    assert!(socket.url().contains("secret"), "as in a browser");
    let mut ears = Ears::of(&socket);
    let cause = ears.failure().await;
    let shown = format!("{page:?} {socket:?} {cause}");
    assert!(!shown.contains("secret"), "{shown}");
    let error = WebSocket::new("ws://user:secret@h/?token=secret#top").expect_err("a fragment");
    assert!(!format!("{error} {error:?}").contains("secret"));
    let error = WebSocket::new("ws://user:secret@a b/").expect_err("a space");
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_threads_may_use_one_socket() {
    let server = support::pull_echo(Default::default()).await;
    let socket = web::open(format!("ws://{}/", server.address));
    let mut ears = Ears::of(&socket);
    ears.open().await;
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let socket = socket.clone();
            tokio::spawn(async move {
                for round in 0..200 {
                    let id = socket.add_event_listener(on::MESSAGE, |_| {});
                    socket.set_on_error(|_| {});
                    socket.send(format!("{number} {round}")).expect("it is open");
                    drop((socket.clone(), socket.buffered_amount(), socket.ready_state()));
                    socket.remove_event_listener(id);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    // Each sender's messages come back in its own order.
    let mut next = [0; 8];
    for _ in 0..8 * 200 {
        let heard = ears.next().await;
        let (number, round) = heard.text().split_once(' ').expect("two numbers");
        let (number, round): (usize, u32) = (number.parse().expect("one"), round.parse().expect("one"));
        assert_eq!(std::mem::replace(&mut next[number], round + 1), round);
    }
    for task in tasks {
        support::soon(task).await.expect("no panic");
    }
    server.stop().await;
}
