//! The messages of one connection that are on their way, and which of them an answer belongs to. Pure.

use std::collections::VecDeque;

use sotong::MessageRef;

use super::payload::Payload;

/// A message that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) number: u64,
    /// When it was to be sent, in nanoseconds: here its latency starts.
    pub(super) due: u64,
    /// When it was sent.
    pub(super) at: u64,
}

/// What makes a message an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// It has the contents of a message that waits.
    Echo,
    /// It is there: each answers the one that waits longest.
    Any,
}

/// What a message from the server was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The answer to this one, with none sent before it still waiting.
    Answer(Sent),
    /// The same, and others that were sent before still wait.
    OutOfOrder(Sent),
    /// Not an answer to anything that waits.
    Foreign,
}

/// What was sent on a connection and is not answered.
#[derive(Debug, Default)]
pub(super) struct Flow {
    next: u64,
    waiting: VecDeque<Sent>,
}

impl Flow {
    /// The number of the next message.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The next message was sent.
    pub(super) fn sent(&mut self, due: u64, at: u64) {
        self.waiting.push_back(Sent { number: self.next, due, at });
        self.next += 1;
    }

    /// The next message was sent, and nobody waits for an answer.
    pub(super) fn sent_without_answer(&mut self) {
        self.next += 1;
    }

    pub(super) fn heard(&mut self, payload: &Payload, answers: Answers, message: MessageRef<'_>) -> Heard {
        let place = match answers {
            Answers::Any if self.waiting.is_empty() => None,
            Answers::Any => Some(0),
            // The first one, unless the server answers in another order than it was asked in.
            Answers::Echo => self.waiting.iter().position(|sent| payload.is(sent.number, message)),
        };
        match place.and_then(|place| Some((place, self.waiting.remove(place)?))) {
            Some((0, sent)) => Heard::Answer(sent),
            Some((_, sent)) => Heard::OutOfOrder(sent),
            None => Heard::Foreign,
        }
    }

    /// Gives up those that were sent before this time. Returns how many.
    pub(super) fn give_up_before(&mut self, time: u64) -> u64 {
        let mut given_up = 0;
        while self.waiting.front().is_some_and(|sent| sent.at < time) {
            self.waiting.pop_front();
            given_up += 1;
        }
        given_up
    }

    /// Gives up all of them. Returns how many.
    pub(super) fn give_up_all(&mut self) -> u64 {
        let given_up = self.waiting.len() as u64;
        self.waiting = VecDeque::new();
        given_up
    }
}

#[cfg(test)]
mod tests {
    use super::super::payload::{Kind, Sizes};
    use super::*;

    fn flow(count: u64) -> (Payload, Flow) {
        let mut flow = Flow::default();
        for time in 0..count {
            flow.sent(time * 10, time * 10 + 1);
        }
        (Payload::made(Kind::Text, Sizes::Turns(vec![20])), flow)
    }

    fn heard(flow: &mut Flow, payload: &Payload, number: u64) -> Heard {
        flow.heard(payload, Answers::Echo, payload.make(number, &mut Vec::new()))
    }

    #[test]
    fn answers_in_order_and_out_of_it() {
        let (payload, mut flow) = flow(4);
        assert_eq!(heard(&mut flow, &payload, 0), Heard::Answer(Sent { number: 0, due: 0, at: 1 }));
        assert_eq!(heard(&mut flow, &payload, 2), Heard::OutOfOrder(Sent { number: 2, due: 20, at: 21 }));
        assert_eq!(heard(&mut flow, &payload, 2), Heard::Foreign);
        assert_eq!(heard(&mut flow, &payload, 4), Heard::Foreign);
        assert_eq!(heard(&mut flow, &payload, 1), Heard::Answer(Sent { number: 1, due: 10, at: 11 }));
        assert_eq!(heard(&mut flow, &payload, 3), Heard::Answer(Sent { number: 3, due: 30, at: 31 }));
        assert_eq!(flow.waiting(), 0);
    }

    #[test]
    fn any_message_answers_the_oldest() {
        let (payload, mut flow) = flow(1);
        let hello = MessageRef::Text("hello");
        assert_eq!(flow.heard(&payload, Answers::Echo, hello), Heard::Foreign);
        assert_eq!(
            flow.heard(&payload, Answers::Any, hello),
            Heard::Answer(Sent { number: 0, due: 0, at: 1 })
        );
        assert_eq!(flow.heard(&payload, Answers::Any, hello), Heard::Foreign);
    }

    #[test]
    fn who_waits_too_long_is_given_up() {
        let (payload, mut flow) = flow(3);
        assert_eq!(flow.give_up_before(11), 1);
        assert_eq!(flow.give_up_before(12), 1);
        assert_eq!(heard(&mut flow, &payload, 0), Heard::Foreign, "too late");
        assert_eq!(flow.give_up_all(), 1);
        assert_eq!(flow.next(), 3);
    }
}
