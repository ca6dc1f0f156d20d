//! Answers each message with itself: the pull form, one task and one loop per connection.
//!
//!     cargo run --release -p sotong --example echo -- 127.0.0.1:9001
#![allow(clippy::print_stdout, reason = "a program that tells where it listens")]

use sotong::{Error, Server, WebSocket};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let server = Server::bind(address).await?;
    println!("listening on ws://{}", server.local_addr()?);
    server
        .serve(async |mut socket: WebSocket| {
            while let Some(message) = socket.recv().await? {
                socket.send(message).await?;
            }
            Ok::<(), Error>(())
        })
        .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
        .await
}
