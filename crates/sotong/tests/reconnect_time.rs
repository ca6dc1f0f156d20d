//! Reconnecting clients under a virtual clock, over memory: when they try, when they give up, what their hooks see.

mod support;

use std::future::IntoFuture;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sotong::reconnect::{
    Backoff, End, Ending, Overflow, QueueLimits, Reconnect, ReconnectingSocket, State, Unconfirmed,
};
use sotong::{Carrier, CloseCode, Error, Handle, Server, TrySendError, WebSocket};
use support::soon;
use tokio::sync::watch;
use tokio::time::Instant;

/// A server without an address, and the way to it.
fn serve<F>(handler: impl Fn(WebSocket, u32) -> F + Send + Sync + 'static) -> Handle
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let count = AtomicU32::new(0);
    let serve = Server::detached()
        .serve(move |socket: WebSocket| handler(socket, count.fetch_add(1, Ordering::Relaxed) + 1));
    let handle = serve.handle();
    tokio::spawn(serve.into_future());
    handle
}

/// Settings that reach that server through memory.
fn through(handle: Handle) -> Reconnect {
    Reconnect::new("ws://localhost/").with_refresh(move |next| {
        let (near, far) = tokio::io::duplex(4096);
        let accepted = handle.accept(Carrier::new(far), Vec::new());
        async move {
            accepted?;
            Ok(next.target.with_carrier(Carrier::new(near)))
        }
    })
}

type States = Arc<Mutex<Vec<State>>>;

fn watched(settings: Reconnect) -> (Reconnect, States) {
    let states = States::default();
    let theirs = states.clone();
    (settings.with_on_state(move |state| theirs.lock().expect("no panic").push(state.clone())), states)
}

#[tokio::test(start_paused = true)]
async fn recv_goes_on_across_connections_and_each_change_is_told() {
    let handle = serve(async |socket: WebSocket, number| {
        socket.send(format!("from {number}")).await?;
        let code = if number < 3 { CloseCode::SERVICE_RESTART } else { CloseCode::NORMAL };
        socket.close(code, "").await;
        Ok(())
    });
    let (settings, states) = watched(through(handle));
    let mut socket = settings.connect();
    let mut came = Vec::new();
    while let Some(message) = soon(socket.recv()).await.expect("1000 is a regular end") {
        came.push(message.as_text().expect("text").to_owned());
    }
    assert_eq!(came, ["from 1", "from 2", "from 3"]);
    assert_eq!(socket.recv().await.expect("told once"), None);
    let names: Vec<&str> = states
        .lock()
        .expect("no panic")
        .iter()
        .map(|state| match state {
            State::Connecting { .. } => "connecting",
            State::Open { .. } => "open",
            State::Waiting { delay, because: Ending::Lost { closed, .. }, .. } => {
                assert!(*delay < Duration::from_secs(10), "the second bound");
                assert_eq!(closed.code(), 1012);
                "waiting"
            }
            State::Ended(End::Final(_)) => "ended",
            other => panic!("{other:?}"),
        })
        .collect();
    let once = ["connecting", "open", "waiting"];
    assert_eq!(names, [&once[..], &once[..], &["connecting", "open", "ended"][..]].concat());
}

#[tokio::test(start_paused = true)]
async fn the_budget_ends_it_and_what_waited_is_counted() {
    let tries = Arc::new(AtomicU32::new(0));
    let seen = tries.clone();
    let mut socket = Reconnect::new("ws://localhost/")
        .with_refresh(move |next| {
            assert_eq!(next.number, seen.fetch_add(1, Ordering::Relaxed));
            assert_eq!(next.last.is_none(), next.number == 0);
            async { Err("no token".into()) }
        })
        .with_backoff(Backoff::default().with_tries_max(Some(3)))
        .connect();
    socket.try_send("never").expect("there is room");
    let began = Instant::now();
    let end = soon(socket.recv()).await.expect_err("it gives up");
    assert!(matches!(&end, End::Exhausted { last: Ending::Refresh(_) }), "{end}");
    assert_eq!(tries.load(Ordering::Relaxed), 4, "the first, and three more");
    assert!(began.elapsed() <= Duration::from_secs(5 + 10 + 20), "full jitter");
    let counters = socket.counters();
    assert_eq!((counters.accepted, counters.unsent, counters.waiting), (1, 1, 0));
    assert!(matches!(socket.try_send("late"), Err(TrySendError::Closed(_))));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_hangs_is_a_failed_try() {
    let mut socket = Reconnect::new("ws://localhost/")
        .with_refresh(|_| std::future::pending())
        .with_backoff(Backoff::default().with_tries_max(Some(0)))
        .connect();
    let end = soon(socket.recv()).await.expect_err("it gives up");
    assert!(end.to_string().contains("refresh_timeout = 30s"), "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_code_that_is_final_ends_it() {
    let handle = serve(async |socket: WebSocket, _| {
        socket.close(CloseCode::new(3500).expect("an application's"), "invalid token").await;
        Ok(())
    });
    let mut socket = through(handle).connect();
    let end = soon(socket.recv()).await.expect_err("it is not regular");
    assert!(matches!(&end, End::Final(Ending::Lost { closed, .. }) if closed.code() == 3500), "{end}");
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_before_there_is_a_connection_goes_out_in_order() {
    let handle = serve(async |mut socket: WebSocket, _| {
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
        Ok(())
    });
    let mut socket = through(handle).with_unconfirmed(Unconfirmed::Resend).connect();
    for number in 0..100 {
        socket.send(number.to_string()).await.expect("there is room");
    }
    for number in 0..100 {
        let message = soon(socket.recv()).await.expect("it is open").expect("it is open");
        assert_eq!(message.as_text(), Some(&*number.to_string()));
    }
    soon(socket.sender().settled()).await;
    let (end, counters) = soon(socket.close(CloseCode::NORMAL, "")).await;
    assert!(matches!(end, End::Closed(Some(closed)) if closed.clean), "a closing handshake");
    assert_eq!((counters.confirmed, counters.may_be_lost, counters.received), (100, 0, 100));
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_was_not_accepted() {
    let settings = Reconnect::new("ws://localhost/").with_refresh(|_| std::future::pending());
    let socket = settings.clone().with_queue(QueueLimits::default().with_messages_max(1)).connect();
    socket.send("one").await.expect("there is room");
    let waited = tokio::time::timeout(Duration::from_secs(1), socket.send("two")).await;
    assert!(waited.is_err(), "it waits for room");
    assert_eq!(socket.counters().accepted, 1);
    assert!(matches!(socket.try_send("three"), Err(TrySendError::Full(_))));
    // Closing wakes who waits for room.
    let sender = socket.sender();
    let waits = tokio::spawn(async move { sender.send("four").await });
    tokio::task::yield_now().await;
    let (end, counters) = soon(socket.close(CloseCode::NORMAL, "")).await;
    assert!(matches!(end, End::Closed(None)), "there was no connection: {end}");
    assert_eq!((counters.accepted, counters.unsent), (1, 1));
    assert!(matches!(soon(waits).await.expect("no panic"), Err(TrySendError::Closed(_))));

    let newest = QueueLimits::default().with_messages_max(1);
    let socket = settings.with_queue(newest).with_overflow(Overflow::DropOldest).connect();
    for text in ["one", "two"] {
        socket.try_send(text).expect("the oldest makes room");
    }
    assert_eq!((socket.counters().waiting, socket.counters().dropped), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_is_told_to_who_waits() {
    let mut socket =
        Reconnect::new("ws://localhost/").with_refresh(|_| async { panic!("a bug of the hook's") }).connect();
    let end = soon(socket.recv()).await.expect_err("it is over");
    assert!(matches!(end, End::Aborted), "{end}");
}

#[tokio::test(start_paused = true)]
async fn the_open_connection_can_be_seen_and_none_in_between() {
    let handle = serve(async |mut socket: WebSocket, number| {
        socket.send(format!("from {number}")).await?;
        // Until the client says something.
        socket.recv().await?;
        let code = if number < 2 { CloseCode::SERVICE_RESTART } else { CloseCode::NORMAL };
        socket.close(code, "").await;
        Ok(())
    });
    let mut socket = through(handle).connect();
    assert!(socket.sender().connection().is_none(), "nothing is open yet");
    let mut numbers = Vec::new();
    while let Some(_message) = soon(socket.recv()).await.expect("1000 is a regular end") {
        let open = socket.sender().connection().expect("it is open: the server waits");
        soon(open.ping()).await.expect("it is open");
        numbers.push(open.id());
        socket.send("on").await.expect("there is room");
        soon(open.closed()).await;
    }
    assert!(numbers.len() == 2 && numbers[0] != numbers[1], "{numbers:?}");
    assert!(socket.sender().connection().is_none(), "it is over");
}

/// The same, for who waits for a state.
fn told(settings: Reconnect) -> (Reconnect, watch::Receiver<Option<State>>) {
    let (states, told) = watch::channel(None);
    (settings.with_on_state(move |state| drop(states.send_replace(Some(state.clone())))), told)
}

async fn until(told: &mut watch::Receiver<Option<State>>, is_there: impl Fn(&State) -> bool) {
    told.wait_for(|state| state.as_ref().is_some_and(&is_there)).await.expect("the client tells");
}

fn is_open(number: u64) -> impl Fn(&State) -> bool {
    move |state| matches!(state, State::Open { connection } if *connection == number)
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_noticed_though_nobody_takes_what_it_brought() {
    let handle = serve(async |mut socket: WebSocket, number| {
        if number == 3 {
            socket.send("the last").await?;
            return socket.recv().await.map(drop);
        }
        for index in 0..40 {
            socket.send(format!("{number}: {index}")).await?;
        }
        socket.close(CloseCode::SERVICE_RESTART, "").await;
        Ok(())
    });
    let (settings, mut states) = told(through(handle));
    let mut socket = settings.connect();
    soon(until(&mut states, is_open(3))).await;
    for number in 1..=2 {
        for index in 0..40 {
            let message = soon(socket.recv()).await.expect("it is open").expect("it is open");
            assert_eq!(message.as_text(), Some(&*format!("{number}: {index}")));
        }
    }
    let message = soon(socket.recv()).await.expect("it is open").expect("it is open");
    assert_eq!(message.as_text(), Some("the last"));
    assert_eq!(socket.counters().received, 81);
}

/// As many messages as wait for `recv` besides those that are kept.
const INBOX_MESSAGES: usize = 16;

#[tokio::test(start_paused = true)]
async fn no_try_is_made_while_more_is_kept_than_allowed() {
    const KEPT: usize = 3;
    let text = "x".repeat(100);
    let kept_bytes = KEPT * (text.len() + size_of::<sotong::Message>() + 32);
    for (kept_bytes_max, goes_on) in [(kept_bytes, true), (kept_bytes - 1, false)] {
        let text = text.clone();
        let handle = serve(move |mut socket: WebSocket, number| {
            let text = text.clone();
            async move {
                if number > 1 {
                    return socket.recv().await.map(drop);
                }
                for _ in 0..INBOX_MESSAGES + KEPT {
                    socket.send(&*text).await?;
                }
                socket.close(CloseCode::SERVICE_RESTART, "").await;
                Ok(())
            }
        });
        let (settings, mut states) = told(through(handle).with_kept_bytes_max(kept_bytes_max));
        let mut socket = settings.connect();
        if !goes_on {
            // Far longer than any backoff.
            let opened = tokio::time::timeout(Duration::from_secs(60), until(&mut states, is_open(2)));
            assert!(opened.await.is_err(), "it waits");
            assert!(matches!(socket.state(), State::Waiting { .. }), "{:?}", socket.state());
            assert!(soon(socket.recv()).await.expect("it goes on").is_some());
        }
        soon(until(&mut states, is_open(2))).await;
        let left = INBOX_MESSAGES + KEPT - usize::from(!goes_on);
        for _ in 0..left {
            assert!(soon(socket.recv()).await.expect("it goes on").is_some());
        }
    }
}

/// A server that has much to say when it is asked, and the client that has asked.
async fn asked_much() -> (ReconnectingSocket, watch::Receiver<Option<State>>) {
    let handle = serve(async |mut socket: WebSocket, _| {
        if socket.recv().await?.is_some() {
            for index in 0..40 {
                socket.send(index.to_string()).await?;
            }
        }
        socket.recv().await.map(drop)
    });
    let (settings, mut states) = told(through(handle));
    let socket = settings.connect();
    soon(until(&mut states, is_open(1))).await;
    socket.send("go on").await.expect("there is room");
    (socket, states)
}

#[tokio::test(start_paused = true)]
async fn what_comes_until_the_end_can_be_taken_after_a_sender_has_closed() {
    let (mut socket, mut states) = asked_much().await;
    let sender = socket.sender();
    sender.close(CloseCode::NORMAL, "");
    soon(until(&mut states, |state| matches!(state, State::Ended(End::Closed(Some(_)))))).await;
    for index in 0..40 {
        let message = soon(socket.recv()).await.expect("a regular end").expect("it has come");
        assert_eq!(message.as_text(), Some(&*index.to_string()));
    }
    assert_eq!(soon(socket.recv()).await.expect("a regular end"), None);
    let counters = sender.counters();
    assert_eq!((counters.received, counters.discarded, counters.confirmed), (40, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_the_socket_was_closed_is_discarded_and_counted() {
    let (socket, _) = asked_much().await;
    let (end, counters) = soon(socket.close(CloseCode::NORMAL, "")).await;
    assert!(matches!(end, End::Closed(Some(_))), "{end}");
    assert_eq!((counters.received, counters.discarded, counters.confirmed), (0, 40, 1));
}
