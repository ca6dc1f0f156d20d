//! Guarantee 6: dropping any future loses no received message and corrupts nothing.

mod support;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use sotong::{Config, WebSocket};
use support::{BINARY, soon};
use tokio::sync::mpsc;

#[tokio::test]
async fn recv_that_is_cancelled_again_and_again_loses_nothing() {
    const COUNT: u32 = 5_000;
    let (report, mut reports) = mpsc::unbounded_channel();
    let server = support::pull(Config::default(), move |mut socket: WebSocket| {
        let report = report.clone();
        async move {
            let (mut received, mut cancelled) = (Vec::new(), 0);
            while received.len() < COUNT as usize {
                let polled = {
                    let mut recv = pin!(socket.recv());
                    poll_fn(|context| Poll::Ready(recv.as_mut().poll(context))).await
                };
                let Poll::Ready(message) = polled else {
                    cancelled += 1;
                    tokio::task::yield_now().await;
                    continue;
                };
                let message = message?.expect("the peer does not close");
                received.push(u32::from_be_bytes(message.as_bytes().try_into().expect("four bytes")));
            }
            report.send((received, cancelled)).expect("the test listens");
            Ok(())
        }
    })
    .await;
    let mut peer = server.connect().await;
    for index in 0..COUNT {
        peer.send(BINARY, &index.to_be_bytes()).await;
        tokio::task::yield_now().await;
    }
    let (received, cancelled) = soon(reports.recv()).await.expect("everything is received");
    assert_eq!(received, (0..COUNT).collect::<Vec<_>>());
    assert!(cancelled > 100, "only {cancelled} were cancelled: this shows little");
}

#[tokio::test]
async fn a_send_that_is_dropped_before_it_is_ready_was_not_accepted() {
    let config = Config::default().with_outbox_bytes_max(64 * 1024);
    let (report, mut reports) = mpsc::unbounded_channel();
    let server = support::pull(config, move |socket: WebSocket| {
        let report = report.clone();
        async move {
            let chunk = vec![1; 60 * 1024];
            let mut accepted = 0;
            // Until the kernel and the outbox are full: a send that is not ready at once is dropped.
            for _ in 0..2000 {
                let mut send = pin!(socket.send(&chunk[..]));
                let ready = poll_fn(|context| Poll::Ready(send.as_mut().poll(context).is_ready())).await;
                accepted += usize::from(ready);
                if !ready {
                    tokio::task::yield_now().await;
                }
            }
            report.send(accepted).expect("the test listens");
            socket.send("the end").await?;
            socket.flushed().await?;
            Ok(())
        }
    })
    .await;
    let mut peer = server.connect().await;
    let accepted = soon(reports.recv()).await.expect("the handler is through");
    assert!(accepted < 2000, "nothing was dropped: this shows nothing");
    for index in 0..accepted {
        assert_eq!(
            peer.next().await.expect("a frame").payload.len(),
            60 * 1024,
            "frame {index} of {accepted}"
        );
    }
    peer.expect_text("the end").await;
}
