//! Plays one case: sends its script, listens to the peer, gives the verdict.

use crate::expect::{End, Outcome, Reply};
use crate::sender::{Sender, Turn};
use crate::wire::{Incoming, Reader};
use crate::{Case, Frame, Opcode, Payload, Seen, Verdict};

/// Which side of the connection is under test. The player takes the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A server is under test. The player is a client and masks its frames.
    Server,
    /// A client is under test. The player is a server.
    Client,
}

/// What a player wants next.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes as one write, then ask again. Bytes that came from the peer meanwhile should
    /// be given to [`Player::receive`] first.
    ///
    /// Writes are apart because the peer shall read them apart. A network may join them again; then a
    /// peer that answers the good frames of a read only when all of them are good is seen as not strict
    /// in a few cases more. To keep writes apart, send without delay (`TCP_NODELAY`) and let some tenths of a
    /// millisecond pass between two of them.
    Write(Vec<u8>),
    /// Nothing is to be sent before the peer has spoken, or has been silent for a while.
    Wait(Wait),
    /// The case is over. Close the connection.
    Done(Verdict),
}

/// What a player waits for. The driver decides how long that may take, then calls
/// [`Player::handle_silence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// For nothing: take what is there. A player never asks for it; [`play`](crate::play) does,
    /// between two writes.
    Nothing,
    /// Time for the peer to answer what it has. Silence is to be expected. Long enough for a round
    /// trip; Autobahn takes a second.
    Pause,
    /// An answer, or that the peer fails the connection. It may have to work through many megabytes.
    Answer,
    /// The reply to a close frame.
    Close,
    /// The end of the TCP connection, from a server that has sent its close frame.
    End,
}

/// Plays one case against one peer, without I/O.
///
/// Call [`poll`](Self::poll), do what it says, call it again:
///
/// - after a write, go on; give incoming bytes to [`receive`](Self::receive) as they come;
/// - while it waits, call whichever comes first of `receive`, [`handle_end`](Self::handle_end) and, when
///   the time is over, [`handle_silence`](Self::handle_silence).
///
/// [`play`](crate::play) is this loop.
#[derive(Debug)]
pub struct Player {
    subject: Subject,
    sender: Sender,
    reader: Reader,
    /// The outcomes that what was seen so far can still become.
    outcomes: Vec<Outcome>,
    end: End,
    /// How much was seen.
    seen: usize,
    /// How much has to be seen before the next answer of the script is there.
    answers: usize,
    hold: Hold,
    /// Frames that are not in the script: pongs, and the reply to a close frame.
    replies: Vec<u8>,
    phase: Phase,
}

/// What keeps the script from going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    Nothing,
    Pause,
    Checkpoint,
    Answer,
}

#[derive(Debug)]
enum Phase {
    Open,
    /// The player has sent its close frame and waits for the other one.
    Closing,
    /// Both close frames were sent.
    Closed {
        first: Closer,
        code: Option<u16>,
    },
    Over(Verdict),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closer {
    Player,
    Peer,
}

impl Player {
    /// A player of this case.
    pub fn new(case: &Case, subject: Subject) -> Self {
        Self {
            subject,
            sender: Sender::new(&case.script, subject),
            reader: Reader::new(subject),
            outcomes: case.expect.outcomes.clone(),
            end: case.expect.end.clone(),
            seen: 0,
            answers: 0,
            hold: Hold::Nothing,
            replies: Vec::new(),
            phase: Phase::Open,
        }
    }

    /// What is to be done now.
    pub fn poll(&mut self) -> Output {
        loop {
            match self.phase {
                Phase::Over(ref verdict) => return Output::Done(verdict.clone()),
                // A reply must not land in the middle of a frame.
                _ if !self.replies.is_empty() && self.sender.is_between_frames() => {
                    return Output::Write(std::mem::take(&mut self.replies));
                }
                // Both sides have said goodbye. The server hangs up (RFC 6455, section 7.1.1).
                Phase::Closed { .. } => match self.subject {
                    Subject::Server => return Output::Wait(Wait::End),
                    Subject::Client => self.judge_end(),
                },
                Phase::Open | Phase::Closing => match self.hold {
                    Hold::Pause | Hold::Checkpoint => return Output::Wait(Wait::Pause),
                    Hold::Answer if self.seen < self.answers => return Output::Wait(Wait::Answer),
                    Hold::Answer | Hold::Nothing => {
                        self.hold = Hold::Nothing;
                        if let Some(output) = self.go_on() {
                            return output;
                        }
                    }
                },
            }
        }
    }

    /// Takes bytes from the peer.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.reader.push(bytes);
        while !self.is_over() {
            match self.reader.next() {
                Ok(Some(incoming)) => self.handle_incoming(incoming),
                Ok(None) => return,
                Err(violation) => self.fail(format!("the peer breaks the protocol: {violation}")),
            }
        }
    }

    /// The peer has sent nothing for as long as the driver wanted to wait.
    pub fn handle_silence(&mut self) {
        match (&self.phase, self.hold) {
            (Phase::Over(_), _) => {}
            (Phase::Open | Phase::Closing, Hold::Pause) => self.hold = Hold::Nothing,
            (Phase::Open | Phase::Closing, Hold::Checkpoint) => {
                self.hold = Hold::Nothing;
                self.see(Seen::Checkpoint);
            }
            (Phase::Open, _) if self.outcome().is_some() && matches!(self.end, End::Peer { .. }) => {
                self.fail("the peer does not fail the connection".into());
            }
            (Phase::Open, _) => self.fail_incomplete("then silence"),
            // Autobahn lets a client pass that ignores a broken close frame. It has to fail the
            // connection though (RFC 6455, section 7.1.7), and we see that it does not.
            (Phase::Closing, _) => self.fail("the peer does not react to the close frame".into()),
            (Phase::Closed { .. }, _) => self.judge_unclosed(),
        }
    }

    /// The peer has closed the TCP connection.
    pub fn handle_end(&mut self) {
        match self.phase {
            Phase::Over(_) => {}
            Phase::Closed { .. } => self.judge_end(),
            Phase::Closing => match self.end {
                End::Player { reply: Reply::Required, .. } => {
                    self.fail("the peer drops the connection without a reply to the close frame".into());
                }
                _ => self.judge_end(),
            },
            Phase::Open => match self.end {
                End::Player { .. } => self.fail_incomplete("then the peer dropped the connection"),
                _ => self.judge_end(),
            },
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_))
    }

    /// The next output of the script, or of the closing handshake after it.
    fn go_on(&mut self) -> Option<Output> {
        match self.sender.next() {
            Turn::Write(bytes) => {
                // Where the peer has to fail the connection, a broken close frame starts nothing.
                if self.sender.has_sent_close() && !matches!(self.end, End::Peer { .. }) {
                    self.phase = Phase::Closing;
                }
                return Some(Output::Write(bytes));
            }
            Turn::Pause => self.hold = Hold::Pause,
            Turn::Checkpoint => self.hold = Hold::Checkpoint,
            Turn::Answer => {
                self.answers += 1;
                self.hold = Hold::Answer;
            }
            Turn::Finished if matches!(self.phase, Phase::Closing) => return Some(Output::Wait(Wait::Close)),
            Turn::Finished => match self.end {
                End::Player { .. } if self.outcome().is_some() => {
                    let close = self.sender.reply(&Frame::close(1000, b""));
                    self.phase = Phase::Closing;
                    return Some(Output::Write(close));
                }
                _ => return Some(Output::Wait(Wait::Answer)),
            },
        }
        None
    }

    fn handle_incoming(&mut self, incoming: Incoming) {
        match (&self.phase, incoming) {
            (Phase::Over(_), _) => {}
            (Phase::Closed { .. }, _) => self.fail("the peer sends a frame after its close frame".into()),
            (_, Incoming::Message(opcode, bytes)) => self.see(Seen::message(opcode, Payload::new(bytes))),
            (_, Incoming::Pong(bytes)) => self.see(Seen::Pong(Payload::new(bytes))),
            (Phase::Closing, Incoming::Ping(_)) => {}
            (Phase::Open, Incoming::Ping(bytes)) => {
                let pong = self.sender.reply(&Frame::new(Opcode::PONG, Payload::new(bytes)));
                self.replies.extend(pong);
            }
            (Phase::Closing, Incoming::Close(code)) => {
                self.phase = Phase::Closed { first: Closer::Player, code }
            }
            (Phase::Open, Incoming::Close(code)) => {
                self.sender.abandon();
                let close = self.sender.reply(&Frame::close(1000, b""));
                self.replies.extend(close);
                self.phase = Phase::Closed { first: Closer::Peer, code };
            }
        }
    }

    /// Notes what came, and stops when no outcome goes on in this way.
    fn see(&mut self, seen: Seen) {
        let index = self.seen;
        self.seen += 1;
        if self.end == End::Open {
            return;
        }
        let expected = self.outcomes.first().and_then(|outcome| outcome.answer(index)).cloned();
        self.outcomes.retain(|outcome| outcome.answer(index) == Some(&seen));
        if self.outcomes.is_empty() {
            self.fail(match expected {
                Some(expected) => format!("answer {} should be {expected}, but is {seen}", index + 1),
                None => format!("answer {} should not come: {seen}", index + 1),
            });
        }
    }

    /// The outcome that is complete now, the best one first.
    fn outcome(&self) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.len() == self.seen)
    }

    /// The connection is at its end, in a way that is not wrong by itself.
    fn judge_end(&mut self) {
        let (first, code) = match self.phase {
            Phase::Closed { first, code } => (Some(first), code),
            _ => (None, None),
        };
        let codes = match (&self.end, first) {
            (End::Open, _) => &[][..],
            (End::Player { .. }, Some(Closer::Peer)) => {
                return self.fail_incomplete(&format!("then the peer closed with {}", name(code)));
            }
            (End::Player { codes, .. } | End::Peer { codes }, _) => codes.as_slice(),
        };
        let wrong_code = match code {
            Some(code) if !codes.contains(&code) => {
                Some(format!("the close frame has the code {code} in place of one of {codes:?}, or none"))
            }
            _ => None,
        };
        let verdict = match (&self.end, self.outcome(), wrong_code) {
            (End::Open, ..) => {
                let dropped = if first.is_none() { "dropped the connection" } else { "closed" };
                Verdict::Informational(format!(
                    "{} answers, then the peer {dropped} with {}",
                    self.seen,
                    name(code)
                ))
            }
            (End::Player { .. }, _, Some(wrong_code)) => Verdict::Failed(wrong_code),
            (_, None, _) => return self.fail_incomplete(&format!("then the end, with {}", name(code))),
            (_, _, Some(wrong_code)) => Verdict::NonStrict(wrong_code),
            (_, Some(outcome), None) if outcome.is_strict() => Verdict::Ok,
            (_, Some(_), None) => Verdict::NonStrict(match self.seen {
                0 => "the connection was failed before the good frames were answered".into(),
                _ => "the connection was failed later than possible".into(),
            }),
        };
        self.phase = Phase::Over(verdict);
    }

    /// Both close frames were sent, and the server has left the TCP connection open.
    fn judge_unclosed(&mut self) {
        let remark = "the server leaves it to the client to drop the TCP connection";
        if let End::Player { reply: Reply::Required, .. } = self.end {
            return self.fail(remark.into());
        }
        self.judge_end();
        if let Phase::Over(Verdict::Ok) = self.phase {
            self.phase = Phase::Over(Verdict::NonStrict(remark.into()));
        }
    }

    fn fail_incomplete(&mut self, what_then: &str) {
        let expected = self.outcomes.first().and_then(|outcome| outcome.answer(self.seen));
        self.fail(match expected {
            Some(expected) => format!("answer {} should be {expected}; {what_then}", self.seen + 1),
            None => format!("{} answers as expected; {what_then}", self.seen),
        });
    }

    fn fail(&mut self, reason: String) {
        self.phase = Phase::Over(match self.end {
            End::Open => Verdict::Informational(reason),
            _ => Verdict::Failed(reason),
        });
    }
}

fn name(code: Option<u16>) -> String {
    match code {
        Some(code) => format!("code {code}"),
        None => "no code".into(),
    }
}
