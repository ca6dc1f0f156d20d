//! The plain end point: one JSON document per text message, liveness by the protocol's own pings.

use std::sync::Arc;

use sotong::{Closed, Error, Events, MessageRef, Sender};

use super::query;
use super::switchboard::{Seat, Switchboard};
use crate::wire::Disconnect;

/// One connection of the plain end point, as the library's event form wants it.
pub(super) struct Plain {
    switchboard: Arc<Switchboard>,
    state: State,
}

enum State {
    /// The handshake is going on; the URL asked for these channels.
    Opening(Result<Vec<String>, &'static str>),
    /// The hub knows it.
    Open(Seat),
    /// Nothing that comes now matters.
    Over,
}

impl Plain {
    pub(super) fn new(switchboard: Arc<Switchboard>, query: Option<&str>) -> Plain {
        Plain { switchboard, state: State::Opening(query::subs(query.unwrap_or_default())) }
    }
}

impl Events for Plain {
    fn open(&mut self, socket: &Sender) {
        let State::Opening(channels) = std::mem::replace(&mut self.state, State::Over) else { return };
        match channels {
            Ok(channels) => self.state = State::Open(self.switchboard.open(socket, &channels)),
            // A refused handshake would tell a page nothing and have it try for ever; a close code says to stop.
            Err(detail) => super::switchboard::close(socket, Disconnect::BadRequest, detail),
        }
    }

    fn message(&mut self, _socket: &Sender, message: MessageRef<'_>) {
        let State::Open(seat) = &self.state else { return };
        match message {
            MessageRef::Text(text) => self.switchboard.command(seat, text),
            MessageRef::Binary(_) => self.switchboard.disconnect(
                seat,
                Disconnect::BadRequest,
                "bad request: this end point speaks text".to_owned(),
            ),
        }
    }

    fn error(&mut self, socket: &Sender, error: &Error) {
        tracing::debug!(connection = socket.id(), %error, "a client's connection failed");
        if let Error::TooSlow { .. } = error {
            // Its last bytes may take a while; for the others it is gone now.
            self.leave();
        }
    }

    fn close(&mut self, _closed: &Arc<Closed>) {
        self.leave();
    }
}

impl Plain {
    fn leave(&mut self) {
        if let State::Open(seat) = std::mem::replace(&mut self.state, State::Over) {
            self.switchboard.close(&seat);
        }
    }
}
