//! The deadlines of a connection: a name for each, and a small table.

use std::time::Duration;

use crate::time::Time;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// Look whether the peer has been silent, and ping it if so.
    Ping,
    /// After that Ping, any sign of life.
    Pong,
    /// The end of a message that has begun.
    Message,
    /// Progress of a write.
    Write,
    /// The end of closing.
    Close,
}

const COUNT: usize = Timer::Close as usize + 1;

/// When each is due.
#[derive(Debug)]
pub(super) struct Timers([Time; COUNT]);

impl Default for Timers {
    fn default() -> Self {
        Timers([Time::NEVER; COUNT])
    }
}

impl Timers {
    #[inline]
    pub(super) fn set(&mut self, timer: Timer, due: Time) {
        self.0[timer as usize] = due;
    }

    #[inline]
    pub(super) fn clear(&mut self, timer: Timer) {
        self.set(timer, Time::NEVER);
    }

    #[inline]
    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize] != Time::NEVER
    }

    /// Moves a deadline that is set.
    pub(super) fn postpone(&mut self, timer: Timer, by: Duration) {
        if self.is_set(timer) {
            self.set(timer, self.0[timer as usize] + by);
        }
    }

    pub(super) fn is_due(&self, timer: Timer, now: Time) -> bool {
        self.is_set(timer) && self.0[timer as usize] <= now
    }

    /// The earliest deadline; while reading is paused, of those that do not wait for the peer to speak.
    #[inline]
    pub(super) fn next(&self, paused: bool) -> Option<Time> {
        let [ping, pong, message, write, close] = self.0;
        let ours = write.min(close);
        let due = if paused { ours } else { ours.min(ping).min(pong).min(message) };
        (due != Time::NEVER).then_some(due)
    }
}
