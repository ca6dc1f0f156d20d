//! Accepts connections and hands them to whoever admits them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::admission::{Admission, Incoming};
use super::listen::Listener;
use super::worker::Workers;
use crate::carrier::Carrier;
use crate::counts::{self, Dropped};
use crate::driver::clock::Clock;
use crate::peer::Peer;

/// The first and the longest pause after an error that will not go away by itself at once.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Where accepted connections go.
pub(super) enum Destination {
    /// Tasks on the current runtime.
    Here(Arc<Clock>),
    /// Threads of their own.
    Workers(Workers),
}

/// Accepts for ever.
pub(super) async fn accept(listeners: &[Listener], admission: &Arc<Admission>, destination: &Destination) {
    let mut pause = PAUSE_MIN;
    let mut first = 0;
    loop {
        match accept_any(listeners, &mut first).await {
            Ok((carrier, address)) => {
                pause = PAUSE_MIN;
                let incoming = Incoming { carrier, peer: Peer::new(address), read: Vec::new() };
                admit(incoming, admission, destination);
            }
            Err(error) if is_about_one_connection(&error) => {
                tracing::debug!(%error, "a connection was gone before it was accepted");
            }
            Err(error) => {
                // Out of files or memory: accepting again at once would spin and change nothing. Connections wait
                // in the kernel meanwhile.
                tracing::warn!(%error, pause_ms = pause.as_millis(), "cannot accept connections; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Starts the handshake of one connection.
pub(super) fn admit(incoming: Incoming, admission: &Arc<Admission>, destination: &Destination) {
    let Some(handshake) = admission.enter() else {
        // Dropped without a word: even the word would cost too much now.
        counts::dropped(Dropped::Handshakes);
        tracing::debug!(connection = incoming.peer.id, peer = %incoming.peer, "too many handshakes; a connection was dropped");
        return;
    };
    match destination {
        Destination::Here(clock) => {
            tokio::spawn(admission.clone().admit(incoming, clock.clone(), handshake));
        }
        Destination::Workers(workers) => workers.admit(incoming, handshake),
    }
}

/// The next connection of any listener; they take turns at being first.
async fn accept_any(listeners: &[Listener], first: &mut usize) -> io::Result<(Carrier, Option<SocketAddr>)> {
    std::future::poll_fn(|context| {
        let count = listeners.len();
        for index in (0..count).map(|offset| (*first + offset) % count) {
            let Poll::Ready(accepted) = listeners[index].poll_accept(context) else { continue };
            *first = (index + 1) % count;
            return Poll::Ready(accepted);
        }
        Poll::Pending
    })
    .await
}

/// Errors that `accept` reports of the connection and not of the system (accept(2)).
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown, NetworkUnreachable,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
    )
}
