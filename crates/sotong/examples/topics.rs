//! A chat of many rooms: whoever connects to `/NAME` hears what is said in the room of that name.
//!
//!     cargo run --release -p sotong --example topics -- 127.0.0.1:9001
//!
//! In the console of a browser, twice:
//!
//!     const socket = new WebSocket("ws://127.0.0.1:9001/tea");
//!     socket.onmessage = (event) => console.log(event.data);
//!     socket.send("hello");
#![allow(clippy::print_stdout, reason = "a program that tells where it listens")]

use sotong::{Occupancy, Server, Topics, WebSocket};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let topics = Topics::new().with_hook(|room, occupancy| match occupancy {
        Occupancy::Populated => println!("somebody is in {room}"),
        Occupancy::Empty => println!("nobody is in {room} any more"),
    });
    let server = Server::bind(address).await?.with_topics(topics);
    println!("listening on ws://{}", server.local_addr()?);
    let chat = server.serve(async |mut socket: WebSocket| {
        let room = socket.request().path().to_owned();
        socket.subscribe(&room)?;
        while let Some(message) = socket.recv().await? {
            socket.publish(&room, message); // to everybody else who is there
        }
        Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    });
    chat.with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await?;
    Ok(())
}
