//! The pull form on a runtime with one thread, where the driver polls the handler, and on one with several, where the
//! handler has a task of its own: both keep the same promises.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sotong::{CloseCode, Config, Error, WebSocket};
use support::soon;
use tokio::sync::{mpsc, oneshot};

/// One test for each kind of runtime.
macro_rules! on_both {
    ($($name:ident: $promise:ident;)*) => {
        mod one_thread {$(
            #[tokio::test]
            async fn $name() {
                super::$promise().await;
            }
        )*}

        mod several_threads {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$promise().await;
            }
        )*}
    };
}

on_both! {
    a_handler_goes_on_after_the_end_of_its_connection: goes_on;
    a_socket_may_move_to_another_task: may_move;
    what_the_handler_and_others_send_comes_in_their_orders: in_order;
    what_a_handler_sends_unasked_keeps_its_connection_from_idleness: unasked;
    a_flush_within_a_batch_waits_for_the_kernel: flushes;
    a_handler_that_is_done_leaves_the_end_to_its_driver: is_done;
}

async fn goes_on() {
    let (report, mut reports) = mpsc::unbounded_channel();
    let (go, wait) = oneshot::channel::<()>();
    let wait = Arc::new(Mutex::new(Some(wait)));
    let server = support::pull(Config::default(), move |mut socket: WebSocket| {
        let (report, wait) =
            (report.clone(), wait.lock().expect("no panic").take().expect("there is one connection"));
        async move {
            while let Some(message) = socket.recv().await? {
                report.send(message.as_text().expect("text").to_owned()).expect("the test listens");
            }
            report.send("over".to_owned()).expect("the test listens");
            wait.await.expect("the test lives");
            report.send("and done".to_owned()).expect("the test listens");
            Ok(())
        }
    })
    .await;
    let mut peer = server.connect().await;
    peer.text("first").await;
    peer.close().await;
    for expected in ["first", "over"] {
        assert_eq!(soon(reports.recv()).await.as_deref(), Some(expected));
    }
    go.send(()).expect("the handler waits");
    assert_eq!(soon(reports.recv()).await.as_deref(), Some("and done"));
    server.stop().await;
}

async fn may_move() {
    let server = support::pull(Config::default(), async |mut socket: WebSocket| {
        // What the handler itself says comes first.
        socket.send("moving").await?;
        tokio::spawn(async move {
            while let Some(message) = socket.recv().await? {
                socket.send(message).await?;
            }
            Ok::<(), Error>(())
        });
        Ok(())
    })
    .await;
    let mut peer = server.connect().await;
    peer.expect_text("moving").await;
    for round in 0..20 {
        for index in 0..round {
            peer.text(&format!("{round}.{index}")).await;
        }
        for index in 0..round {
            peer.expect_text(&format!("{round}.{index}")).await;
        }
    }
    peer.close().await;
}

async fn in_order() {
    const COUNT: usize = 2000;
    let server = support::pull(Config::default(), async |mut socket: WebSocket| {
        let sender = socket.sender();
        let other = std::thread::spawn(move || {
            for index in 0..COUNT {
                while sender.try_send(format!("other {index}")).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        for index in 0..COUNT {
            let Some(message) = socket.recv().await? else { break };
            assert_eq!(message.as_text(), Some(index.to_string().as_str()));
            // Large ones go by reference, small ones through the cork.
            let padding = if index % 100 == 0 { 20_000 } else { 0 };
            socket.send(format!("own {index} {}", "-".repeat(padding))).await?;
        }
        while socket.recv().await?.is_some() {}
        other.join().expect("no panic");
        Ok(())
    })
    .await;
    let mut peer = server.connect().await;
    let (mut own, mut other, mut said) = (0, 0, 0);
    while own + other < 2 * COUNT {
        while said < (own + 50).min(COUNT) {
            peer.text(&said.to_string()).await;
            said += 1;
        }
        let frame = soon(peer.next()).await.expect("a frame");
        let (name, rest) = frame.text().split_once(' ').expect("two words");
        let next = if name == "own" { &mut own } else { &mut other };
        assert_eq!(rest.split(' ').next(), Some(next.to_string().as_str()), "of {name}");
        *next += 1;
    }
    peer.close().await;
}

async fn unasked() {
    const IDLE: Duration = Duration::from_millis(400);
    let config = Config::default().with_ping_interval(None).with_idle_timeout(Some(IDLE));
    let server = support::pull(config, async |mut socket: WebSocket| {
        for index in 0..12 {
            tokio::time::sleep(IDLE / 4).await;
            socket.send(index.to_string()).await?;
        }
        while socket.recv().await?.is_some() {}
        Ok(())
    })
    .await;
    let mut peer = server.connect().await;
    for index in 0..12 {
        peer.expect_text(&index.to_string()).await;
    }
    assert_eq!(peer.expect_close().await.0, 1001, "then it is idle");
}

async fn flushes() {
    let server = support::pull(Config::default(), async |mut socket: WebSocket| {
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
            socket.flushed().await?;
        }
        Ok(())
    })
    .await;
    let mut peer = server.connect().await;
    let together: Vec<u8> = (0..50)
        .flat_map(|index: u32| support::frame(support::TEXT, true, index.to_string().as_bytes()))
        .collect();
    peer.raw(&together).await;
    for index in 0..50 {
        peer.expect_text(&index.to_string()).await;
    }
    peer.close().await;
}

async fn is_done() {
    let server = support::pull(Config::default(), async |mut socket: WebSocket| {
        let message = socket.recv().await?.expect("a message");
        socket.send(message).await?;
        socket.sender().close(CloseCode::NORMAL, "that was it");
        Ok(())
    })
    .await;
    let mut peer = server.connect().await;
    peer.text("only this").await;
    peer.expect_text("only this").await;
    assert_eq!(peer.expect_close().await, (1000, "that was it".to_owned()));
}
