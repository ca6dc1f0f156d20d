//! The first server of docs/guide.md: it speaks first, and then answers each message with itself.
//!
//!     cargo run -p sotong --example guide_echo
#![allow(clippy::print_stdout, reason = "a program that tells what it sees")]

// guide: main
use sotong::{Error, Server, WebSocket};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let server = Server::bind(address).await?;
    println!("listening on ws://{}", server.local_addr()?);
    server.serve(talk).await
}
// guide: end

// guide: talk
async fn talk(mut socket: WebSocket) -> Result<(), Error> {
    if let Some(address) = socket.peer_addr() {
        println!("open: {address}");
    }
    socket.send("hello").await?; // nobody has asked: the server speaks first
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}
// guide: end
