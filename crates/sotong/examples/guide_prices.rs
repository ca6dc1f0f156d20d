//! Prices that the server makes up, and a page that shows them, from docs/guide.md.
//!
//!     cargo run -p sotong --example guide_prices
#![allow(clippy::print_stdout, reason = "a program that tells where it listens")]

use sotong::Carrier;
use tokio::io::AsyncWriteExt;

// guide: market
use std::time::Duration;

use sotong::{Message, Server, Slow, Topics, WebSocket};

const SYMBOLS: [&str; 4] = ["BADA", "GAON", "MARU", "SOL"];

/// Moves all prices ten times per second.
async fn market(topics: Topics) {
    let mut prices = SYMBOLS.map(|symbol| (symbol, 100.0));
    let mut seed = 1;
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        for (symbol, price) in &mut prices {
            *price *= 1.0 + random(&mut seed) / 100.0;
            topics.publish(symbol, format!(r#"{{"symbol":"{symbol}","price":{price:.2}}}"#));
        }
    }
}
// guide: end

/// A number from -0.5 to 0.5; a program of yours would take the crate `rand`.
fn random(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    f64::from((*seed >> 32) as u32) / f64::from(u32::MAX) - 0.5
}

// guide: main
async fn watch(mut socket: WebSocket) -> Result<(), Failure> {
    for symbol in SYMBOLS {
        socket.subscribe(symbol)?;
    }
    while socket.recv().await?.is_some() {} // a viewer has nothing to say
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let topics = Topics::new().with_slow(|_symbol| Slow::KeepNewest).with_skipped_notice(|symbol, count| {
        Some(Message::text(format!(r#"{{"symbol":"{symbol}","skipped":{count}}}"#)))
    });
    let server = Server::bind(address).await?.with_topics(topics.clone());
    println!("listening on http://{}", server.local_addr()?);
    tokio::spawn(market(topics));
    server.with_pages(|browser, _request, _address| page(browser)).serve(watch).await?;
    Ok(())
}
// guide: end

type Failure = Box<dyn std::error::Error + Send + Sync>;

const PAGE: &str = include_str!("guide_prices.html");

/// As in guide_chat.rs.
async fn page(mut browser: Carrier) {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{PAGE}",
        PAGE.len()
    );
    drop(browser.write_all(answer.as_bytes()).await);
}
