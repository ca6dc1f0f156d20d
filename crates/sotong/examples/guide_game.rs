//! A small arena for up to 256 players, from docs/guide.md: open the address that it prints in two windows, and steer with
//! the arrow keys or a finger.
//!
//!     cargo run -p sotong --example guide_game
#![allow(clippy::print_stdout, reason = "a program that tells where it listens")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sotong::{Carrier, CloseCode, Server, Slow, Topics, WebSocket};
use tokio::io::AsyncWriteExt;

// guide: tick
/// Where a player is, in a square of 256 by 256, and which keys are held down: 1 left, 2 right, 4 up, 8 down.
struct Player {
    x: u8,
    y: u8,
    keys: u8,
}

impl Player {
    /// Three steps at a time; `u8` ends at 0 and 255, and so does the arena.
    fn step(&mut self) {
        let holds = |key: u8| if self.keys & key == 0 { 0 } else { 3 };
        self.x = self.x.saturating_sub(holds(1)).saturating_add(holds(2));
        self.y = self.y.saturating_sub(holds(4)).saturating_add(holds(8));
    }
}

/// Twenty times per second all players move, and everybody is told: three bytes for each player.
async fn tick(arena: Arena, topics: Topics) {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        let mut frame = Vec::new();
        for (id, player) in &mut *arena.players() {
            player.step();
            frame.extend([*id, player.x, player.y]);
        }
        topics.publish("arena", frame);
    }
}
// guide: end

// guide: play
async fn play(mut socket: WebSocket, arena: Arena) -> Result<(), Failure> {
    let Some(id) = arena.enter() else {
        socket.close(CloseCode::TRY_AGAIN_LATER, "the arena is full").await;
        return Ok(());
    };
    let end = steer(&mut socket, &arena, id).await;
    arena.players().remove(&id); // however the connection ended
    end
}

async fn steer(socket: &mut WebSocket, arena: &Arena, id: u8) -> Result<(), Failure> {
    socket.send(id.to_string()).await?; // the only text: who you are
    socket.subscribe("arena")?;
    while let Some(message) = socket.recv().await? {
        if let ([keys], Some(player)) = (message.as_bytes(), arena.players().get_mut(&id)) {
            player.keys = *keys;
        }
    }
    Ok(())
}
// guide: end

/// Everybody who plays.
#[derive(Clone, Default)]
struct Arena(Arc<Mutex<BTreeMap<u8, Player>>>);

impl Arena {
    fn players(&self) -> MutexGuard<'_, BTreeMap<u8, Player>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new player in the middle, with the first number that is free.
    fn enter(&self) -> Option<u8> {
        let mut players = self.players();
        let id = (0..=u8::MAX).find(|id| !players.contains_key(id))?;
        players.insert(id, Player { x: 128, y: 128, keys: 0 });
        Some(id)
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let topics = Topics::new().with_slow(|_topic| Slow::KeepNewest);
    let server = Server::bind(address).await?.with_topics(topics.clone());
    println!("listening on http://{}", server.local_addr()?);
    let arena = Arena::default();
    tokio::spawn(tick(arena.clone(), topics));
    server
        .with_pages(|browser, _request, _address| page(browser))
        .serve(move |socket| play(socket, arena.clone()))
        .await?;
    Ok(())
}

const PAGE: &str = include_str!("guide_game.html");

/// As in guide_chat.rs.
async fn page(mut browser: Carrier) {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{PAGE}",
        PAGE.len()
    );
    drop(browser.write_all(answer.as_bytes()).await);
}
