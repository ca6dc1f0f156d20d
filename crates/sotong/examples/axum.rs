//! An axum program with a page, a JSON route and WebSockets in both forms on one port: open the address that it prints,
//! in two windows.
//!
//!     cargo run -p sotong --features axum --example axum -- 127.0.0.1:9001
#![allow(clippy::print_stdout, reason = "a program that tells where it listens")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::{Html, Response};
use axum::routing::{any, get};
use axum::{Extension, Json, Router};
use sotong::axum::WebSocketUpgrade;
use sotong::upgrade::Upgrades;
use sotong::{CloseCode, Closed, Error, Events, MessageRef, Sender, Server};
use tokio::net::TcpListener;

const PAGE: &str = include_str!("axum.html");

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    // What every WebSocket here must observe; at its end it closes them.
    let upgrades = Server::detached().upgrades();
    let app = Router::new()
        .route("/", get(Html(PAGE)))
        .route("/status", get(status))
        .route("/echo", any(echo))
        .route("/chat", any(chat))
        .with_state(Room::default())
        .layer(Extension(upgrades.clone()));

    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}/", listener.local_addr()?);
    let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(stop)
        .await?;
    upgrades.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

async fn status(
    Extension(upgrades): Extension<Upgrades>,
    State(room): State<Room>,
) -> Json<BTreeMap<&'static str, usize>> {
    Json(BTreeMap::from([("connections", upgrades.stats().connections), ("people", room.people().len())]))
}

/// The pull form: one task and one loop per connection.
async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket| {
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
        Ok::<(), Error>(())
    })
}

/// The event form: a value per connection whose methods are called.
async fn chat(upgrade: WebSocketUpgrade, State(room): State<Room>) -> Response {
    upgrade.on_upgrade_events(Guest { room, id: 0 })
}

/// Everybody who is here.
#[derive(Clone, Default)]
struct Room(Arc<Mutex<Vec<Sender>>>);

impl Room {
    fn people(&self) -> MutexGuard<'_, Vec<Sender>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, text: &str) {
        for person in self.people().iter() {
            if person.try_send(text).is_err() {
                person.close(CloseCode::TRY_AGAIN_LATER, "you do not read");
            }
        }
    }
}

struct Guest {
    room: Room,
    id: u64,
}

impl Events for Guest {
    fn open(&mut self, socket: &Sender) {
        self.id = socket.id();
        self.room.people().push(socket.clone());
        self.room.say(&format!("{} came", self.id));
    }

    fn message(&mut self, _socket: &Sender, message: MessageRef<'_>) {
        if let MessageRef::Text(text) = message {
            self.room.say(&format!("{}: {text}", self.id));
        }
    }

    fn close(&mut self, _closed: &Arc<Closed>) {
        self.room.people().retain(|person| person.id() != self.id);
        self.room.say(&format!("{} went", self.id));
    }
}
