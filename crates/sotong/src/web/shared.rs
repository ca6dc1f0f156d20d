//! What the handles of a socket share with its task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sotong_proto::{Close, Initiator, Refused};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::cause::Cause;
use super::error::Error;
use super::event::BinaryType;
use super::listeners::{Event, Kind, Listener, Listeners, TakenOut, call};
use super::socket::ReadyState;
use crate::outgoing::sealed::Carried;
use crate::sender::Sender;

/// One allocation per socket, behind every handle.
pub(super) struct Shared {
    pub(super) url: String,
    pub(super) origin: Arc<str>,
    inside: Mutex<Inside>,
    /// Something has changed that the task may want to know. It is the only one that waits here.
    pub(super) news: Notify,
    /// The pull view may be there, or never will be.
    pub(super) lent: Notify,
    /// Whether the task has told all that has come: only then can the connection have begun to close for the listeners.
    is_idle: AtomicBool,
}

/// What changes, under the lock. No code of a user runs while it is held.
pub(super) struct Inside {
    pub(super) phase: Phase,
    pub(super) listeners: Listeners,
    /// How many handles there are.
    pub(super) handles: usize,
    pub(super) hold: Hold,
    pub(super) binary_type: BinaryType,
    pub(super) protocol: String,
    pub(super) extensions: String,
    /// What was sent and is not with the network, and never will be if the connection is closing.
    pub(super) buffered: usize,
    /// The part of it that the task does not wait for yet.
    pub(super) unflushed: usize,
    /// More was sent than may wait.
    pub(super) is_full: bool,
    pub(super) pull: Pull,
    /// What went wrong, when it is over.
    pub(super) cause: Option<Cause>,
}

/// The ready state, with what it needs. It changes when its event is dispatched, or by `close`.
pub(super) enum Phase {
    Connecting,
    Open(Sender),
    Closing,
    Closed,
}

/// Whether events are dispatched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Nobody has listened yet.
    Held,
    /// Somebody did, the last time then: others may follow.
    Listening(Instant),
    /// They were asked for by name.
    Started,
}

/// Where the pull view is.
pub(super) enum Pull {
    /// With the task; so many wait for it.
    Unlent(usize),
    /// On its way to one of those that wait.
    Lent(usize, crate::WebSocket),
    /// With the user.
    Taken,
}

impl Shared {
    /// The first handle exists when this returns.
    pub(super) fn new(url: String, origin: &str) -> Arc<Shared> {
        Arc::new(Shared {
            url,
            origin: origin.into(),
            inside: Mutex::new(Inside {
                phase: Phase::Connecting,
                listeners: Listeners::default(),
                handles: 1,
                hold: Hold::Held,
                binary_type: BinaryType::default(),
                protocol: String::new(),
                extensions: String::new(),
                buffered: 0,
                unflushed: 0,
                is_full: false,
                pull: Pull::Unlent(0),
                cause: None,
            }),
            news: Notify::new(),
            lent: Notify::new(),
            is_idle: AtomicBool::new(true),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_idle(&self, is_idle: bool) {
        self.is_idle.store(is_idle, Ordering::Release);
    }

    pub(super) fn ready_state(&self) -> ReadyState {
        match &self.lock().phase {
            Phase::Connecting => ReadyState::Connecting,
            // The closing handshake has begun, and all messages before it are told (section 4: "when the WebSocket
            // closing handshake is started", as a task of its own).
            Phase::Open(sender) if self.is_idle.load(Ordering::Acquire) && sender.is_closed() => {
                ReadyState::Closing
            }
            Phase::Open(_) => ReadyState::Open,
            Phase::Closing => ReadyState::Closing,
            Phase::Closed => ReadyState::Closed,
        }
    }

    /// Queues a message; what cannot be sent is counted all the same (section 3.1, `send`).
    pub(super) fn send(&self, carried: &Carried<'_>) -> Result<(), Error> {
        let length = carried.as_ref().as_bytes().len();
        let mut inside = self.lock();
        let sent = match &inside.phase {
            Phase::Connecting => {
                return Err(Error::InvalidStateError {
                    what: "the socket is still connecting: nothing can be sent",
                });
            }
            Phase::Open(sender) => sender.shared().try_send(carried),
            Phase::Closing | Phase::Closed => Err(Refused::Closed),
        };
        inside.buffered = inside.buffered.saturating_add(length);
        let mut before = None;
        match sent {
            Ok(()) => inside.unflushed = inside.unflushed.saturating_add(length),
            Err(Refused::Closed) => return Ok(()),
            Err(Refused::Full) => {
                inside.is_full = true;
                before = Some(std::mem::replace(&mut inside.phase, Phase::Closing));
            }
        }
        drop(inside);
        drop(before);
        self.news.notify_one();
        Ok(())
    }

    /// Begins to close, unless it is closing or closed (section 3.1, `close`).
    pub(super) fn close(&self, close: Close) {
        let before = {
            let mut inside = self.lock();
            if matches!(inside.phase, Phase::Closing | Phase::Closed) {
                return;
            }
            std::mem::replace(&mut inside.phase, Phase::Closing)
        };
        if let Phase::Open(sender) = before {
            // False if the peer was first.
            sender.shared().close(close, Initiator::Local);
        }
        self.news.notify_one();
    }

    /// It is over.
    pub(super) fn closed(&self) {
        let before = std::mem::replace(&mut self.lock().phase, Phase::Closed);
        // When the lock is free: it may be the last that holds the connection.
        drop(before);
    }

    /// Changes who listens. `is_listening` says that somebody does now.
    pub(super) fn change<T>(
        &self,
        is_listening: bool,
        change: impl FnOnce(&mut Listeners) -> (T, TakenOut),
    ) -> T {
        let mut inside = self.lock();
        let (value, taken) = change(&mut inside.listeners);
        if is_listening && inside.hold != Hold::Started {
            inside.hold = Hold::Listening(Instant::now());
        }
        drop(inside);
        drop(taken);
        self.news.notify_one();
        value
    }

    pub(super) fn start(&self) {
        self.lock().hold = Hold::Started;
        self.news.notify_one();
    }

    /// Calls whoever listens for this event. `room` is empty, and is again afterwards.
    pub(super) fn dispatch(&self, event: &Event, room: &mut Vec<Arc<Listener>>) {
        self.lock().listeners.of(event.kind(), room);
        for listener in room.drain(..) {
            call(&listener, event, |id| self.change(false, |listeners| ((), listeners.remove(id))));
        }
    }
}

impl Inside {
    /// Whether nobody could notice anything of this socket any more (section 7, "Garbage collection").
    pub(super) fn is_abandoned(&self) -> bool {
        let listened_for: &[Kind] = match self.phase {
            Phase::Connecting => &[Kind::Open, Kind::Message, Kind::Error, Kind::Close],
            Phase::Open(_) => &[Kind::Message, Kind::Error, Kind::Close],
            Phase::Closing => &[Kind::Error, Kind::Close],
            Phase::Closed => return true,
        };
        let has_queued_data = matches!(self.phase, Phase::Open(_)) && self.buffered > 0;
        self.handles == 0
            && !has_queued_data
            && !self.listeners.has_any(listened_for)
            && matches!(self.pull, Pull::Unlent(_))
    }
}
