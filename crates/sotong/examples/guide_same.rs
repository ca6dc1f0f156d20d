//! The page's `WebSocket` in Rust: the same ten lines as docs/guide/same.js.
//!
//!     cargo run -p sotong --example guide_echo
//!     cargo run -p sotong --example guide_same
#![allow(clippy::print_stdout, reason = "a program that tells what it sees")]

use sotong::web::{Error, WebSocket, on};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001".to_owned());
    // guide: same
    let socket = WebSocket::new(url)?;

    socket.set_on_open(|socket| socket.send("소통"));
    socket.add_event_listener(on::MESSAGE, |event| {
        println!("message {}", event.data());
        if event.data().as_text() == Some("소통") {
            event.target().close()
        }
    });
    socket.set_on_error(|event| println!("error {}", event.cause()));
    socket.add_event_listener(on::CLOSE, |event| {
        println!("close {} {}", event.code(), event.was_clean());
    });
    // guide: end
    // A page goes on by itself; a program ends where its `main` does.
    let (done, mut over) = mpsc::unbounded_channel();
    socket.add_event_listener(on::CLOSE, move |_| done.send(()));
    over.recv().await;
    Ok(())
}
