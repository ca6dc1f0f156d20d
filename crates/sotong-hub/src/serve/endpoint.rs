//! Which of the end points a WebSocket has come to.

use std::sync::Arc;

use sotong::{Closed, Error, Events, MessageRef, Request, Sender};

use super::GAME_PATH;
use super::game::{Player, Room};
use super::plain::Plain;
use super::switchboard::Switchboard;

/// One connection of either. The library has refused all other paths.
pub(super) enum EndPoint {
    Plain(Plain),
    Game(Player),
}

impl EndPoint {
    pub(super) fn of(request: &Request, switchboard: &Arc<Switchboard>, room: &Arc<Room>) -> EndPoint {
        if request.path() == GAME_PATH {
            EndPoint::Game(Player::new(room.clone()))
        } else {
            EndPoint::Plain(Plain::new(switchboard.clone(), request.query()))
        }
    }
}

impl Events for EndPoint {
    fn open(&mut self, socket: &Sender) {
        match self {
            EndPoint::Plain(plain) => plain.open(socket),
            EndPoint::Game(player) => player.open(socket),
        }
    }

    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        match self {
            EndPoint::Plain(plain) => plain.message(socket, message),
            EndPoint::Game(player) => player.message(socket, message),
        }
    }

    fn error(&mut self, socket: &Sender, error: &Error) {
        match self {
            EndPoint::Plain(plain) => plain.error(socket, error),
            EndPoint::Game(player) => player.error(socket, error),
        }
    }

    fn close(&mut self, closed: &Arc<Closed>) {
        match self {
            EndPoint::Plain(plain) => plain.close(closed),
            EndPoint::Game(player) => player.close(closed),
        }
    }
}
