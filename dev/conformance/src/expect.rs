//! What a peer may answer, and who has to end the connection.

use std::fmt;

use crate::{Opcode, Payload};

/// What the peer may do in a case.
#[derive(Clone, Debug)]
pub struct Expect {
    /// The answers that are accepted, the best first.
    pub outcomes: Vec<Outcome>,
    /// How the connection has to end.
    pub end: End,
}

/// One way to answer that is accepted.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What comes back, in order, and how often in a row.
    answers: Vec<(Seen, usize)>,
    is_strict: bool,
}

impl Outcome {
    /// What has to come back as number `index`, if this outcome goes on that far.
    pub fn answer(&self, index: usize) -> Option<&Seen> {
        let mut left = index;
        self.answers.iter().find_map(|(seen, times)| match left.checked_sub(*times) {
            Some(rest) => {
                left = rest;
                None
            }
            None => Some(seen),
        })
    }

    /// How many things come back.
    pub fn len(&self) -> usize {
        self.answers.iter().map(|(_, times)| times).sum()
    }

    /// Whether nothing may come back.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this is how a peer should answer. The others are allowed by the protocol but are
    /// not the best that can be done, and give [`Verdict::NonStrict`](crate::Verdict::NonStrict).
    pub fn is_strict(&self) -> bool {
        self.is_strict
    }
}

/// Something that the player has seen from the peer. Pings of the peer are answered and not noted;
/// the close frame is judged by [`End`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A text message, put together from its fragments.
    Text(Payload),
    /// A binary message, put together from its fragments.
    Binary(Payload),
    /// A pong.
    Pong(Payload),
    /// The peer has had time to fail the connection and has not done it.
    Checkpoint,
}

impl Seen {
    /// The message that a text or binary frame of this opcode starts.
    pub(crate) fn message(opcode: Opcode, payload: Payload) -> Self {
        if opcode == Opcode::TEXT { Seen::Text(payload) } else { Seen::Binary(payload) }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seen::Text(payload) => write!(f, "text {payload:?}"),
            Seen::Binary(payload) => write!(f, "binary {payload:?}"),
            Seen::Pong(payload) => write!(f, "pong {payload:?}"),
            Seen::Checkpoint => f.write_str("nothing for a while"),
        }
    }
}

/// How a case has to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The player sends the close frame: the one in its script, or one with code 1000 as soon as
    /// all answers are there. The peer replies with one of the codes, or with no code at all.
    Player {
        /// The codes that the reply may have.
        codes: Vec<u16>,
        /// Whether there has to be a reply. Where the close frame itself is broken, dropping the
        /// TCP connection is an answer too (RFC 6455, section 7.1.7).
        reply: Reply,
    },
    /// The peer fails the connection: by a close frame with one of the codes or with none, or by
    /// dropping the TCP connection.
    Peer {
        /// The codes that fit what was wrong.
        codes: Vec<u16>,
    },
    /// The protocol leaves it open. The case tells what happens and judges nothing.
    Open,
}

/// Whether the peer has to answer a close frame with one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It has to.
    Required,
    /// It may drop the connection instead.
    OrDrop,
}

impl Expect {
    /// These answers, then a clean close that the player starts.
    pub(crate) fn answers(seen: impl IntoIterator<Item = Seen>) -> Self {
        Self::answered_by(seen.into_iter().map(|seen| (seen, 1)).collect())
    }

    /// The same answer `times` times, then a clean close that the player starts.
    pub(crate) fn repeated(seen: Seen, times: usize) -> Self {
        Self::answered_by(vec![(seen, times)])
    }

    fn answered_by(answers: Vec<(Seen, usize)>) -> Self {
        Self {
            outcomes: vec![Outcome { answers, is_strict: true }],
            end: End::Player { codes: vec![1000], reply: Reply::Required },
        }
    }

    /// No answer, and a reply with one of these codes to the close frame in the script.
    pub(crate) fn closes(codes: &[u16], reply: Reply) -> Self {
        Self { end: End::Player { codes: codes.to_vec(), reply }, ..Self::answers([]) }
    }

    /// Nothing, but that the peer fails the connection with one of these codes.
    pub(crate) fn fails(codes: &[u16]) -> Self {
        Self { end: End::Peer { codes: codes.to_vec() }, ..Self::answers([]) }
    }

    /// Whatever the peer likes.
    pub(crate) fn anything() -> Self {
        Self { outcomes: Vec::new(), end: End::Open }
    }

    /// These answers before the end.
    pub(crate) fn after(self, seen: impl IntoIterator<Item = Seen>) -> Self {
        Self { outcomes: Self::answers(seen).outcomes, ..self }
    }

    /// These answers are allowed too, though they are not the best.
    pub(crate) fn or_at_least(mut self, seen: impl IntoIterator<Item = Seen>) -> Self {
        let answers = seen.into_iter().map(|seen| (seen, 1)).collect();
        self.outcomes.push(Outcome { answers, is_strict: false });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_counts_its_repetitions() {
        let pong = Seen::Pong(Payload::EMPTY);
        let outcome = Outcome { answers: vec![(pong.clone(), 2), (Seen::Checkpoint, 1)], is_strict: true };
        assert_eq!(outcome.len(), 3);
        assert_eq!(outcome.answer(1), Some(&pong));
        assert_eq!(outcome.answer(2), Some(&Seen::Checkpoint));
        assert_eq!(outcome.answer(3), None);
    }
}
