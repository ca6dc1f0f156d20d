//! Says something three times and shows what comes back: the browser's `WebSocket`, in Rust.
//!
//!     cargo run -p sotong --example events -- 127.0.0.1:9001
//!     cargo run -p sotong --example web -- ws://127.0.0.1:9001/
#![allow(clippy::print_stdout, reason = "a program that tells what it sees")]

use std::process::ExitCode;

use sotong::web::{self, WebSocket, on};
use tokio::sync::mpsc;

fn talk(url: &str, done: mpsc::UnboundedSender<ExitCode>) -> Result<(), web::Error> {
    let socket = WebSocket::new(url)?;
    socket.set_on_open(|socket| {
        println!("connected");
        socket.send("message 1")
    });
    let mut said = 1;
    socket.add_event_listener(on::MESSAGE, move |event| {
        match event.data().as_text() {
            Some(text) => println!("text {text:?}"),
            None => println!("{} bytes", event.data().as_bytes().len()),
        }
        said += 1;
        match said {
            2 | 3 => event.target().send(format!("message {said}")),
            _ => event.target().close_with(1000, "enough"),
        }
    });
    socket.add_event_listener(on::ERROR, |event| eprintln!("{}", event.cause()));
    socket.add_event_listener(on::CLOSE, move |event| {
        println!("{} {}", event.code(), event.reason());
        done.send(if event.was_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    });
    // The socket lives on: it has listeners.
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001/".to_owned());
    let (done, mut ended) = mpsc::unbounded_channel();
    if let Err(error) = talk(&url, done) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    ended.recv().await.unwrap_or(ExitCode::FAILURE)
}
