//! Says something three times and shows what comes back: a client in pull form, one loop.
//!
//!     cargo run -p sotong --example echo -- 127.0.0.1:9001
//!     cargo run -p sotong --example client -- ws://127.0.0.1:9001/
#![allow(clippy::print_stdout, reason = "a program that tells what it sees")]

use std::error::Error;
use std::process::ExitCode;

use sotong::{CloseCode, MessageRef};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001/".to_owned());
    match talk(&url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line that says what was wrong and what to do.
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn talk(url: &str) -> Result<(), Box<dyn Error>> {
    let mut socket = sotong::connect(url).await?;
    println!("connected");
    for number in 1..=3 {
        socket.send(format!("message {number}")).await?;
        let Some(message) = socket.recv().await? else { break };
        match message.as_ref() {
            // What a server sends is shown with its control characters escaped: this may be a terminal.
            MessageRef::Text(text) => println!("text {text:?}"),
            MessageRef::Binary(bytes) => println!("{} bytes", bytes.len()),
        }
    }
    let closed = socket.close(CloseCode::NORMAL, "enough").await;
    println!("{closed}");
    Ok(())
}
