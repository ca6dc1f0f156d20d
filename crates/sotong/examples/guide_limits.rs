//! A server with narrow limits that tells how each connection ended. From docs/guide.md.
//!
//!     cargo run -p sotong --example guide_limits
#![allow(clippy::print_stdout, reason = "a program that tells what it sees")]

// guide: config
use sotong::{Config, Error, Rate, Server, WebSocket};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let config = Config::default()
        .with_message_bytes_max(1024) // a longer message ends its connection with 1009
        .with_message_rate(Some(Rate::new(5, 20))); // 5 per second, 20 at once; more is 1008
    let server = Server::bind(address).await?.with_config(config);
    println!("listening on ws://{}", server.local_addr()?);
    server.serve(listen).await
}
// guide: end

// guide: errors
async fn listen(mut socket: WebSocket) {
    loop {
        match socket.recv().await {
            Ok(Some(message)) => println!("{} bytes", message.len()),
            Ok(None) => return println!("closed, as it should be"),
            Err(Error::Peer(fault)) => return println!("{:?}: {fault}", fault.close_code()),
            Err(Error::Vanished) => return println!("gone without a word"),
            Err(error) => return println!("{error}"),
        }
    }
}
// guide: end
