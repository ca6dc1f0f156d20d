//! `sotong echo`: answers each message with itself, in both forms of the library and by its public API alone.

use std::io;
use std::net::SocketAddr;

use sotong::{
    CloseCode, Compression, Config, Error, Events, MessageRef, Refusal, Request, Sender, Serve, Server,
    WebSocket,
};

/// Room for answers besides the largest one: what one read can bring in small messages.
const SPARE_BYTES: usize = 1024 * 1024;

/// Listens, and takes messages up to this size, compressed or not.
///
/// # Errors
/// When an address cannot be listened on; the error names it.
pub async fn bind(
    listen: &[SocketAddr],
    message_bytes_max: u64,
    compression: Option<Compression>,
) -> io::Result<Server> {
    let largest = usize::try_from(message_bytes_max).unwrap_or(usize::MAX);
    let config = Config::default()
        .with_message_bytes_max(message_bytes_max)
        .with_compression(compression)
        .with_outbox_bytes_max(largest.saturating_add(SPARE_BYTES));
    Ok(Server::bind(listen).await?.with_config(config))
}

/// Echoes in the event form.
pub fn by_events(server: Server) -> Serve {
    server.serve_events(|_: &Request| Ok::<_, Refusal>(Echo))
}

/// Echoes in the pull form.
pub fn by_pull(server: Server) -> Serve {
    server.serve(async |mut socket: WebSocket| {
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
        Ok::<(), Error>(())
    })
}

struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        // Nothing is read while too much waits to be sent, so this is for the peer that stops reading in the middle.
        if socket.try_send(message).is_err() {
            socket.close(CloseCode::TRY_AGAIN_LATER, "too many answers wait to be read");
        }
    }
}
