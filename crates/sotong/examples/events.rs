//! Answers each message with itself: the event form, a value per connection whose methods are called.
//!
//!     cargo run --release -p sotong --example events -- 127.0.0.1:9001
#![allow(clippy::print_stdout, reason = "a program that tells where it listens")]

use sotong::{CloseCode, Closed, Events, MessageRef, Refusal, Request, Sender, Server};
use std::sync::Arc;

struct Echo {
    messages: u64,
}

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        self.messages += 1;
        if socket.try_send(message).is_err() {
            socket.close(CloseCode::TRY_AGAIN_LATER, "you do not read what you asked for");
        }
    }

    fn close(&mut self, closed: &Arc<Closed>) {
        if std::env::var_os("QUIET").is_none() {
            println!("{} messages, then: {closed}", self.messages);
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let server = Server::bind(address).await?;
    println!("listening on ws://{}", server.local_addr()?);
    server
        .serve_events(|_: &Request| Ok::<_, Refusal>(Echo { messages: 0 }))
        .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
        .await
}
