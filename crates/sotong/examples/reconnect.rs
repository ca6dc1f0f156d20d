//! Says something three times, whatever happens to the connection meanwhile, and shows each change of state.
//!
//!     cargo run -p sotong --example echo -- 127.0.0.1:9001
//!     cargo run -p sotong --example reconnect -- ws://127.0.0.1:9001/
#![allow(clippy::print_stdout, reason = "a program that tells what it sees")]

use std::process::ExitCode;

use sotong::CloseCode;
use sotong::reconnect::{Backoff, Reconnect};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001/".to_owned());
    let mut socket = Reconnect::new(url)
        // Once more than not at all, so that this program ends when nobody listens.
        .with_backoff(Backoff::default().with_tries_max(Some(1)))
        .with_on_state(|state| println!("{state}"))
        .connect();
    for number in 1..=3 {
        // Accepted, connected or not: it fails only when the client has given up, and then `recv` says why.
        let _ = socket.send(format!("message {number}")).await;
        match socket.recv().await {
            Ok(Some(message)) => println!("text {:?}", message.as_text().unwrap_or_default()),
            Ok(None) => break,
            Err(end) => {
                eprintln!("{end}");
                return ExitCode::FAILURE;
            }
        }
    }
    // All that was accepted is now confirmed, or counted as what may be lost.
    socket.sender().settled().await;
    let (_, counters) = socket.close(CloseCode::NORMAL, "enough").await;
    println!("{} confirmed, {} may be lost", counters.confirmed, counters.may_be_lost);
    ExitCode::SUCCESS
}
