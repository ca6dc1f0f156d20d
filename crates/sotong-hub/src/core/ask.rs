//! Asks: the server puts a question to a client, and awaits the answer until a deadline.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use super::{SessionId, Timestamp};
use crate::wire::Json;

/// How many asks of a session are remembered when their time is over, to tell late answers from wrong ones.
const EXPIRED_KEPT: usize = 16;

/// Names an ask. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(u64);

impl fmt::Display for AskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a{}", self.0)
    }
}

impl AskId {
    fn parse(text: &str) -> Option<AskId> {
        let digits = text.strip_prefix('a')?;
        // As it was written: `a07` is nobody's.
        digits.parse().ok().map(AskId).filter(|id| id.to_string() == text)
    }
}

/// What came of an ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskOutcome {
    /// The client's answer.
    Answer(Json),
    /// The client says that it has none.
    Error {
        /// A number of the application's.
        code: u32,
        /// For people.
        message: String,
    },
    /// Nothing came in time. What comes now is late.
    TimedOut,
    /// The client left.
    Gone,
}

/// Why nobody was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskRefused {
    /// The session is over.
    Gone,
    /// As many asks wait for this client as may: [`Limits::asks_max`](super::Limits::asks_max).
    TooMany,
}

/// What an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    InTime(AskId),
    Late(AskId),
    Unknown,
}

/// All asks that wait, and those that have waited in vain.
#[derive(Debug, Default)]
pub(super) struct Asks {
    made: u64,
    sessions: BTreeMap<SessionId, Asked>,
    deadlines: BTreeSet<(Timestamp, AskId, SessionId)>,
}

#[derive(Debug, Default)]
struct Asked {
    waiting: BTreeMap<AskId, Timestamp>,
    expired: VecDeque<AskId>,
}

impl Asks {
    pub(super) fn ask(
        &mut self,
        session: SessionId,
        deadline: Timestamp,
        asks_max: usize,
    ) -> Result<AskId, AskRefused> {
        let asked = self.sessions.entry(session).or_default();
        if asked.waiting.len() >= asks_max {
            return Err(AskRefused::TooMany);
        }
        self.made += 1;
        let ask = AskId(self.made);
        asked.waiting.insert(ask, deadline);
        self.deadlines.insert((deadline, ask, session));
        Ok(ask)
    }

    /// An answer came: to what?
    pub(super) fn claim(&mut self, session: SessionId, id: &str, now: Timestamp) -> Claimed {
        let (Some(ask), Some(asked)) = (AskId::parse(id), self.sessions.get_mut(&session)) else {
            return Claimed::Unknown;
        };
        match asked.waiting.get(&ask).copied() {
            // A deadline that is over is over, whether its time-out was handled already or is about to be.
            Some(deadline) if deadline <= now => Claimed::Late(ask),
            Some(deadline) => {
                asked.waiting.remove(&ask);
                self.deadlines.remove(&(deadline, ask, session));
                Claimed::InTime(ask)
            }
            None if asked.expired.contains(&ask) => {
                // To be late once is enough.
                asked.expired.retain(|expired| *expired != ask);
                Claimed::Late(ask)
            }
            None => Claimed::Unknown,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, ..)| *deadline)
    }

    /// One whose time is over.
    pub(super) fn expire(&mut self, now: Timestamp) -> Option<(SessionId, AskId)> {
        let &(deadline, ask, session) = self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.deadlines.pop_first();
        if let Some(asked) = self.sessions.get_mut(&session) {
            asked.waiting.remove(&ask);
            if asked.expired.len() >= EXPIRED_KEPT {
                asked.expired.pop_front();
            }
            asked.expired.push_back(ask);
        }
        Some((session, ask))
    }

    /// The session is over: what it will not answer any more.
    pub(super) fn forget(&mut self, session: SessionId) -> impl Iterator<Item = AskId> {
        let waiting = self.sessions.remove(&session).unwrap_or_default().waiting;
        for (&ask, &deadline) in &waiting {
            self.deadlines.remove(&(deadline, ask, session));
        }
        waiting.into_keys()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.deadlines.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOMEBODY: SessionId = SessionId(1);

    #[test]
    fn asks_at_the_limit_and_one_past_it() {
        let mut asks = Asks::default();
        for _ in 0..2 {
            assert!(asks.ask(SOMEBODY, Timestamp(10), 2).is_ok());
        }
        assert_eq!(asks.ask(SOMEBODY, Timestamp(10), 2), Err(AskRefused::TooMany));
        assert!(asks.ask(SessionId(2), Timestamp(10), 2).is_ok(), "each session has its own");
        assert_eq!(asks.claim(SOMEBODY, "a1", Timestamp(0)), Claimed::InTime(AskId(1)));
        assert!(asks.ask(SOMEBODY, Timestamp(10), 2).is_ok());
    }

    #[test]
    fn an_answer_is_in_time_until_the_deadline_and_late_once() {
        let mut asks = Asks::default();
        let [a, b, c] = [0; 3].map(|_| asks.ask(SOMEBODY, Timestamp(10), 9).unwrap());
        assert_eq!(asks.claim(SOMEBODY, &a.to_string(), Timestamp(9)), Claimed::InTime(a));
        assert_eq!(asks.claim(SOMEBODY, &a.to_string(), Timestamp(9)), Claimed::Unknown, "answered before");
        assert_eq!(asks.claim(SOMEBODY, &b.to_string(), Timestamp(10)), Claimed::Late(b));
        assert_eq!(asks.expire(Timestamp(9)), None);
        assert_eq!(asks.expire(Timestamp(10)), Some((SOMEBODY, b)));
        assert_eq!(asks.expire(Timestamp(10)), Some((SOMEBODY, c)));
        assert_eq!(asks.expire(Timestamp(10)), None);
        assert_eq!(asks.claim(SOMEBODY, &c.to_string(), Timestamp(11)), Claimed::Late(c));
        assert_eq!(asks.claim(SOMEBODY, &c.to_string(), Timestamp(11)), Claimed::Unknown);
    }

    #[test]
    fn answers_of_others_and_nonsense_are_unknown() {
        let mut asks = Asks::default();
        let ask = asks.ask(SOMEBODY, Timestamp(10), 9).unwrap();
        for id in ["", "a", "1", "a01", "a+1", "a2", "b1", "a99999999999999999999"] {
            assert_eq!(asks.claim(SOMEBODY, id, Timestamp(0)), Claimed::Unknown, "{id:?}");
        }
        assert_eq!(asks.claim(SessionId(2), &ask.to_string(), Timestamp(0)), Claimed::Unknown);
        assert_eq!(asks.forget(SOMEBODY).collect::<Vec<_>>(), [ask]);
        assert!(asks.is_empty());
    }
}
