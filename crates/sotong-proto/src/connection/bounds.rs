//! What only some connections are held to: an end to idleness, an end to everything, a rate of messages.

use std::time::Duration;

use crate::close::{Close, CloseCode};
use crate::config::{Config, Rate};
use crate::error::LimitError;
use crate::time::Time;

/// Into how many looks an idle timeout is divided: what was sent is noticed with the next one.
const IDLE_LOOKS: u32 = 4;
const LOOK_MIN: Duration = Duration::from_millis(1);

/// Exists only where the [`Config`] has set one of these limits, so that the others cost nothing.
#[derive(Debug)]
pub(super) struct Bounds {
    opened: Time,
    /// When a message last came, or was seen to have been sent.
    last_message: Time,
    /// When to look whether the connection is idle.
    idle_look: Time,
    lifetime_end: Time,
    /// When all tokens of the bucket will be back; each message takes one.
    bucket_full: Time,
}

impl Bounds {
    /// For a connection that was opened `now`.
    pub(super) fn new(config: &Config, now: Time) -> Option<Bounds> {
        let is_needed =
            idle_timeout(config).is_some() || lifetime_max(config).is_some() || config.message_rate.is_some();
        is_needed.then(|| {
            let mut bounds = Bounds {
                opened: now,
                last_message: now,
                idle_look: Time::NEVER,
                lifetime_end: Time::NEVER,
                bucket_full: now,
            };
            bounds.adopt(config);
            bounds
        })
    }

    /// Goes by the deadlines of `config` from now on, counted from the moments they were counted from before.
    pub(super) fn adopt(&mut self, config: &Config) {
        self.lifetime_end = lifetime_max(config).map_or(Time::NEVER, |max| self.opened + max);
        self.plan_look(config, self.last_message);
    }

    fn plan_look(&mut self, config: &Config, now: Time) {
        self.idle_look = idle_timeout(config).map_or(Time::NEVER, |timeout| {
            (now + (timeout / IDLE_LOOKS).max(LOOK_MIN)).min(self.last_message + timeout)
        });
    }

    /// Closing has begun, which has a deadline of its own.
    pub(super) fn end(&mut self) {
        (self.idle_look, self.lifetime_end) = (Time::NEVER, Time::NEVER);
    }

    /// The next deadline. That of idleness is suspended while reading is paused.
    pub(super) fn due(&self, paused: bool) -> Time {
        if paused { self.lifetime_end } else { self.lifetime_end.min(self.idle_look) }
    }

    /// Reading was paused for so long.
    pub(super) fn resume(&mut self, paused: Duration) {
        self.last_message = self.last_message + paused;
        if self.idle_look != Time::NEVER {
            self.idle_look = self.idle_look + paused;
        }
    }

    /// A message came. It counts even if it is too much.
    pub(super) fn count_message(&mut self, rate: Option<Rate>, now: Time) -> Result<(), LimitError> {
        self.last_message = now;
        let Some(rate) = rate else { return Ok(()) };
        let token = Duration::from_secs(1) / rate.per_second.max(1);
        self.bucket_full = self.bucket_full.max(now) + token;
        if self.bucket_full - now > token * rate.burst.max(1) {
            return Err(LimitError::MessageRate(rate));
        }
        Ok(())
    }

    /// Whether there is a deadline to be looked at.
    pub(super) fn is_due(&self, now: Time, paused: bool) -> bool {
        self.due(paused) <= now
    }

    /// Looks at a deadline that is due: the Close that ends the connection, if its time is up. `is_busy`: a message
    /// was sent since the last look, or is on its way.
    pub(super) fn look(&mut self, config: &Config, is_busy: bool, now: Time) -> Option<Close> {
        if self.lifetime_end <= now {
            let max = lifetime_max(config)?;
            return Some(Close::new(CloseCode::GOING_AWAY, &format!("open for lifetime_max = {max:?}")));
        }
        if is_busy {
            self.last_message = now;
        }
        if let Some(timeout) = idle_timeout(config)
            && self.last_message + timeout <= now
        {
            let reason = format!("no message within idle_timeout = {timeout:?}");
            return Some(Close::new(CloseCode::GOING_AWAY, &reason));
        }
        self.plan_look(config, now);
        None
    }
}

fn idle_timeout(config: &Config) -> Option<Duration> {
    config.idle_timeout.filter(|timeout| !timeout.is_zero())
}

fn lifetime_max(config: &Config) -> Option<Duration> {
    config.lifetime_max.filter(|max| !max.is_zero())
}
