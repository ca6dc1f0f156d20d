//! Says something three times and shows what comes back: a client in event form, a value whose methods are called.
//!
//!     cargo run -p sotong --example events -- 127.0.0.1:9001
//!     cargo run -p sotong --example client_events -- ws://127.0.0.1:9001/
#![allow(clippy::print_stdout, reason = "a program that tells what it sees")]

use std::process::ExitCode;
use std::sync::Arc;

use sotong::{Client, CloseCode, Closed, Error, Events, MessageRef, Sender};

struct Talk {
    said: u32,
}

impl Talk {
    fn say(&mut self, socket: &Sender) {
        self.said += 1;
        if socket.try_send(format!("message {}", self.said)).is_err() {
            socket.close(CloseCode::GOING_AWAY, "the server does not read");
        }
    }
}

impl Events for Talk {
    fn open(&mut self, socket: &Sender) {
        println!("connected");
        self.say(socket);
    }

    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        match message {
            MessageRef::Text(text) => println!("text {text:?}"),
            MessageRef::Binary(bytes) => println!("{} bytes", bytes.len()),
        }
        if self.said < 3 {
            self.say(socket);
        } else {
            socket.close(CloseCode::NORMAL, "enough");
        }
    }

    fn error(&mut self, _socket: &Sender, error: &Error) {
        println!("{error}");
    }

    fn close(&mut self, closed: &Arc<Closed>) {
        println!("{closed}");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001/".to_owned());
    match Client::new().connect_events(&url, |_response| Talk { said: 0 }).await {
        Ok(socket) => {
            // The value is called while this waits; without it the program would end here.
            socket.closed().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
