//! A chat with its page, from docs/guide.md: open the address that it prints in two windows. The path is the room.
//!
//!     cargo run -p sotong --example guide_chat
#![allow(clippy::print_stdout, reason = "a program that tells where it listens")]

// guide: chat
use sotong::{Config, Server, Topics, WebSocket};

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn chat(mut socket: WebSocket, topics: Topics) -> Result<(), Failure> {
    let room = socket.request().path().to_owned();
    socket.subscribe(&room)?;
    // Who is it? The first message is the name.
    let Some(first) = socket.recv().await? else { return Ok(()) };
    let name = first.as_text().unwrap_or("somebody");
    topics.publish(&room, format!("{name} came"));
    let end = pass_on(&mut socket, &topics, &room, name).await;
    topics.publish(&room, format!("{name} went"));
    end
}

async fn pass_on(socket: &mut WebSocket, topics: &Topics, room: &str, name: &str) -> Result<(), Failure> {
    while let Some(message) = socket.recv().await? {
        if let Some(text) = message.as_text() {
            topics.publish(room, format!("{name}: {text}"));
        }
    }
    Ok(())
}
// guide: end

// guide: main
#[tokio::main]
async fn main() -> Result<(), Failure> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let config = Config::default().with_message_bytes_max(2048); // nobody types more than that
    let server = Server::bind(address).await?.with_config(config);
    let topics = server.topics();
    println!("listening on http://{}", server.local_addr()?);
    server
        .with_pages(|browser, _request, _address| page(browser))
        .serve(move |socket| chat(socket, topics.clone()))
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .await?;
    Ok(())
}
// guide: end

// guide: page
use sotong::Carrier;
use tokio::io::AsyncWriteExt;

const PAGE: &str = include_str!("guide_chat.html");

/// Whoever asks for a page and not for a WebSocket gets it, in plain HTTP.
async fn page(mut browser: Carrier) {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{PAGE}",
        PAGE.len()
    );
    drop(browser.write_all(answer.as_bytes()).await); // a browser that has gone needs no page
}
// guide: end
