//! The pull view of the browser's object: what `WebSocketStream` is elsewhere (spec lines H1–H4).

#[path = "support/scripted.rs"]
mod scripted;
mod support;
#[path = "support/web.rs"]
mod web;

use std::sync::Arc;
use std::time::Duration;

use scripted::unmasked;
use sotong::web::{Error, ReadyState, on};
use sotong::{CloseCode, Message};
use support::{BINARY, CLOSE, TEXT, pull_echo, soon};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use web::{Ears, Wire, open, options};

#[tokio::test]
async fn h1_the_pull_form_is_one_call_away() {
    let server = pull_echo(Default::default()).await;
    let socket = open(format!("ws://{}/", server.address));
    let mut ears = Ears::of(&socket);
    let mut pulled = soon(socket.pull()).await.expect("it opens");
    assert_eq!(socket.ready_state(), ReadyState::Open);
    // Both speak on one connection, and what comes is pulled.
    socket.send("by the object").expect("it is open");
    pulled.send("by the pull form").await.expect("it is open");
    for text in ["by the object", "by the pull form"] {
        assert_eq!(soon(pulled.recv()).await.expect("it is open"), Some(Message::text(text)));
    }
    web::until(|| socket.buffered_amount() == 0).await;
    // The other events go on.
    ears.open().await;
    assert!(!ears.has_more(), "messages go to the pull form alone");
    soon(pulled.close(CloseCode::NORMAL, "done")).await;
    assert_eq!(ears.close().await, (true, 1000, String::new()));
    server.stop().await;
}

#[tokio::test]
async fn h1_without_a_connection_there_is_none() {
    let server = scripted::Scripted::start().await;
    let socket = open(server.url());
    let pulling = tokio::spawn({
        let socket = socket.clone();
        async move { socket.pull().await }
    });
    server.request().await.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
    let error = soon(pulling).await.expect("no panic").expect_err("it was refused");
    assert!(matches!(&error, Error::NetworkError(cause) if cause.to_string().contains("403")), "{error:?}");
    let error = soon(socket.pull()).await.expect_err("nor later");
    assert_eq!(error.name(), "NetworkError");
    // `close` while it connects gives it up.
    let socket = open(server.url());
    socket.close();
    assert_eq!(soon(socket.pull()).await.expect_err("it is closed").name(), "NetworkError");
    // A regular end leaves nothing to pull, either.
    let socket = open(server.url());
    let mut ears = Ears::of(&socket);
    server.open().await.close(1000).await;
    ears.rest().await;
    assert_eq!(soon(socket.pull()).await.expect_err("it is closed").name(), "InvalidStateError");
}

#[tokio::test]
async fn h1_there_is_one_pull_form() {
    let server = pull_echo(Default::default()).await;
    let socket = open(format!("ws://{}/", server.address));
    let (first, second) = tokio::join!(soon(socket.pull()), soon(socket.pull()));
    let error = first.as_ref().err().or(second.as_ref().err()).expect("one of them has none");
    assert_eq!(error.name(), "InvalidStateError");
    assert!(first.is_ok() != second.is_ok());
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn h2_whoever_does_not_pull_stops_the_reading() {
    let (socket, mut wire) = Wire::with(&options(), 4096);
    wire.open().await;
    let mut pulled = socket.pull().await.expect("it opens");
    let frame = unmasked(BINARY, true, &[7; 16 * 1024]);
    let mut said = 0;
    while timeout(Duration::from_secs(10), wire.0.write_all(&frame)).await.is_ok() {
        said += 1;
        assert!(said < 64, "it has an end");
    }
    for _ in 0..said {
        assert_eq!(pulled.recv().await.expect("it is open").expect("a message").as_bytes().len(), 16 * 1024);
    }
}

#[tokio::test]
async fn h3_the_connection_lives_as_long_as_the_pull_form() {
    let server = scripted::Scripted::start().await;
    let socket = open(server.url());
    let (pulled, mut served) = tokio::join!(soon(socket.pull()), server.open());
    let mut pulled = pulled.expect("it opens");
    drop(socket);
    served.send(TEXT, b"still here").await;
    assert_eq!(soon(pulled.recv()).await.expect("it is open"), Some(Message::text("still here")));
    drop(pulled);
    assert_eq!(served.expect_close().await.0, 1000);
}

#[tokio::test]
async fn h3_close_checks_the_same_while_it_is_pulled() {
    let server = scripted::Scripted::start().await;
    let socket = open(server.url());
    let (pulled, mut served) = tokio::join!(soon(socket.pull()), server.open());
    let mut pulled = pulled.expect("it opens");
    assert_eq!(socket.close_with(1001, "").expect_err("not allowed").name(), "InvalidAccessError");
    socket.close_with(3000, "bye").expect("allowed");
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    assert_eq!(served.expect_close().await, (3000, "bye".to_owned()));
    served.send(CLOSE, &3000u16.to_be_bytes()).await;
    drop(served);
    assert_eq!(soon(pulled.recv()).await.expect("a regular end"), None);
    web::until(|| socket.ready_state() == ReadyState::Closed).await;
}

#[tokio::test]
async fn h4_text_is_text_and_bytes_are_bytes() {
    let server = scripted::Scripted::start().await;
    let socket = open(server.url());
    let (pulled, mut served) = tokio::join!(soon(socket.pull()), server.open());
    let mut pulled = pulled.expect("it opens");
    served.send(TEXT, "소통".as_bytes()).await;
    served.send(BINARY, &[0, 255]).await;
    assert_eq!(soon(pulled.recv()).await.expect("it is open"), Some(Message::text("소통")));
    assert_eq!(soon(pulled.recv()).await.expect("it is open"), Some(Message::binary(vec![0, 255])));
    pulled.send("텍스트").await.expect("it is open");
    pulled.send(vec![9]).await.expect("it is open");
    served.expect(TEXT, "텍스트".as_bytes()).await;
    served.expect(BINARY, &[9]).await;
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_is_dropped_loses_nothing() {
    let (socket, mut wire) = Wire::new();
    // Before there is anything, and many times while it opens.
    for turns in 0..20 {
        let mut pulling = Box::pin(socket.pull());
        for _ in 0..turns {
            tokio::select! {
                biased;
                pulled = &mut pulling => panic!("nobody has answered: {pulled:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    let mut ears = Ears::of(&socket);
    let answer = wire.answer().await;
    wire.raw(&answer).await;
    {
        // It is polled once, and lent the socket; then it is dropped before it is polled again.
        let mut pulling = Box::pin(socket.pull());
        let first = std::future::poll_fn(|context| std::task::Poll::Ready(pulling.as_mut().poll(context)));
        assert!(first.await.is_pending());
        ears.open().await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    wire.send(TEXT, b"to the listeners").await;
    ears.text("to the listeners").await;
    let mut pulled = socket.pull().await.expect("it is open");
    wire.send(TEXT, b"to the pull form").await;
    assert_eq!(pulled.recv().await.expect("it is open"), Some(Message::text("to the pull form")));
}

/// What a browser does: it reads on while it has much to send, so that two who speak at once do not wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_reads_on_while_much_waits_to_be_sent() {
    const COUNT: usize = 48;
    let server = pull_echo(Default::default()).await;
    let socket = open(format!("ws://{}/", server.address));
    let came = Arc::new(tokio::sync::Semaphore::new(0));
    let theirs = came.clone();
    socket.add_event_listener(on::MESSAGE, move |event| {
        assert_eq!(event.data().as_bytes().len(), 1 << 20);
        theirs.add_permits(1);
    });
    socket.set_on_open(|socket| (0..COUNT).try_for_each(|_| socket.send(vec![7; 1 << 20])));
    drop(timeout(Duration::from_secs(20), came.acquire_many(COUNT as u32)).await.expect("all come back"));
    server.stop().await;
}
