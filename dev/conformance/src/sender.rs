//! A script on its way: from steps to writes.

use std::collections::VecDeque;
use std::mem;

use crate::wire::Writer;
use crate::{Cut, Frame, Opcode, Step, Subject};

/// Bytes that may go out together are handed over in portions of this size, so that a driver with a
/// blocking connection can read in between while a peer sends back what it has not yet got whole.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// Works through a script, one write or wait at a time. Frames are made when their turn comes.
#[derive(Debug)]
pub(crate) struct Sender {
    writer: Writer,
    steps: VecDeque<Step>,
    outgoing: Vec<u8>,
    /// How much of it is written.
    position: usize,
    /// The most that one write may take of it.
    piece: usize,
    /// The places in it where a checkpoint is due.
    checkpoints: VecDeque<usize>,
    close: CloseFrame,
}

/// Whether a close frame has gone out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CloseFrame {
    ToCome,
    Sent,
}

/// What is next in the script.
pub(crate) enum Turn {
    Write(Vec<u8>),
    Answer,
    Pause,
    Checkpoint,
    Finished,
}

impl Sender {
    pub(crate) fn new(script: &[Step], subject: Subject) -> Self {
        Self {
            writer: Writer::new(subject),
            steps: script.iter().cloned().collect(),
            outgoing: Vec::new(),
            position: 0,
            piece: WRITE_BYTES_MAX,
            checkpoints: VecDeque::new(),
            close: CloseFrame::ToCome,
        }
    }

    pub(crate) fn next(&mut self) -> Turn {
        if self.checkpoints.front() == Some(&self.position) {
            self.checkpoints.pop_front();
            return Turn::Checkpoint;
        }
        if self.is_between_frames() {
            match self.steps.pop_front() {
                None => return Turn::Finished,
                Some(Step::Pause) => return Turn::Pause,
                Some(Step::Checkpoint) => return Turn::Checkpoint,
                Some(Step::Answer) => return Turn::Answer,
                Some(Step::Exchange { frame, times }) => {
                    if times > 1 {
                        self.steps.push_front(Step::Exchange { frame: frame.clone(), times: times - 1 });
                        self.steps.push_front(Step::Answer);
                    }
                    self.load(frame);
                }
                Some(Step::Message { opcode, payload, fragment }) => {
                    let frame = self.next_fragment(opcode, payload, fragment);
                    self.load(frame);
                }
                Some(Step::Frame(frame)) => self.load(frame),
            }
        }
        let stop = self.checkpoints.front().copied().unwrap_or(self.outgoing.len());
        let start = self.position;
        self.position = stop.min(start + self.piece);
        Turn::Write(self.outgoing[start..self.position].to_vec())
    }

    /// Whether the last frame that was begun is written to its end.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.position == self.outgoing.len()
    }

    pub(crate) fn has_sent_close(&self) -> bool {
        self.close == CloseFrame::Sent
    }

    /// Forgets the rest of the script, even in the middle of a frame: there is nobody who would
    /// read it.
    pub(crate) fn abandon(&mut self) {
        self.steps.clear();
        self.checkpoints.clear();
        self.position = self.outgoing.len();
    }

    /// A frame that is not in the script.
    pub(crate) fn reply(&mut self, frame: &Frame) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.append(frame, &mut bytes);
        bytes
    }

    /// Makes the bytes of a frame, and those of the frames that join it.
    fn load(&mut self, frame: Frame) {
        let mut outgoing = mem::take(&mut self.outgoing);
        outgoing.clear();
        self.position = 0;
        let payload = self.append(&frame, &mut outgoing);
        self.piece = match frame.cut {
            Cut::Joined | Cut::Alone | Cut::Checkpoints(_) => WRITE_BYTES_MAX,
            Cut::Every(bytes) => bytes,
        };
        if let Cut::Checkpoints(places) = frame.cut {
            self.checkpoints.extend(places.iter().map(|place| payload + place));
        }
        if frame.cut == Cut::Joined {
            while outgoing.len() < WRITE_BYTES_MAX
                && let Some(frame) = self.next_joined()
            {
                self.append(&frame, &mut outgoing);
            }
        }
        self.outgoing = outgoing;
    }

    fn next_joined(&mut self) -> Option<Frame> {
        match self.steps.pop_front()? {
            Step::Frame(frame) if frame.cut == Cut::Joined => Some(frame),
            Step::Message { opcode, payload, fragment } => {
                Some(self.next_fragment(opcode, payload, fragment))
            }
            other => {
                self.steps.push_front(other);
                None
            }
        }
    }

    /// The next frame of a message in fragments; the rest of it goes back into the script.
    fn next_fragment(&mut self, opcode: Opcode, payload: crate::Payload, fragment: usize) -> Frame {
        let is_whole = opcode != Opcode::CONTINUATION && payload.len() <= fragment;
        if is_whole || payload.len() < fragment {
            return Frame::new(opcode, payload);
        }
        let rest = payload.slice(fragment..payload.len());
        self.steps.push_front(Step::Message { opcode: Opcode::CONTINUATION, payload: rest, fragment });
        Frame::new(opcode, payload.slice(0..fragment)).more_follows()
    }

    fn append(&mut self, frame: &Frame, out: &mut Vec<u8>) -> usize {
        if frame.opcode == Opcode::CLOSE {
            self.close = CloseFrame::Sent;
        }
        self.writer.append(frame, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Payload;

    /// The writes of a script as a server would send it, with `|` for a wait.
    fn writes(script: &[Step]) -> Vec<Vec<u8>> {
        let mut sender = Sender::new(script, Subject::Client);
        let mut writes = Vec::new();
        loop {
            match sender.next() {
                Turn::Write(bytes) => writes.push(bytes),
                Turn::Finished => return writes,
                Turn::Answer | Turn::Pause | Turn::Checkpoint => writes.push(b"|".to_vec()),
            }
        }
    }

    #[test]
    fn joined_frames_share_a_write_and_others_do_not() {
        let ping = || Frame::ping(Payload::EMPTY);
        let script = [ping().into(), ping().into(), ping().cut(Cut::Alone).into(), ping().into()];
        assert_eq!(writes(&script), [&b"\x89\x00\x89\x00"[..], b"\x89\x00", b"\x89\x00"]);
    }

    #[test]
    fn a_frame_goes_out_in_pieces() {
        let script = [Frame::text("abc").cut(Cut::Every(2)).into()];
        assert_eq!(writes(&script), [&b"\x81\x03"[..], b"ab", b"c"]);
    }

    #[test]
    fn checkpoints_stand_in_the_payload() {
        let script = [Frame::text("abcd").cut(Cut::Checkpoints(&[1, 3])).into()];
        assert_eq!(writes(&script), [&b"\x81\x04a"[..], b"|", b"bc", b"|", b"d"]);
    }

    #[test]
    fn a_message_of_a_whole_number_of_fragments_ends_with_an_empty_frame() {
        let message = |len, fragment| {
            let payload = Payload::repeated(b"x", len);
            writes(&[Step::Message { opcode: Opcode::TEXT, payload, fragment }]).concat()
        };
        assert_eq!(message(2, 2), b"\x81\x02xx");
        assert_eq!(message(3, 2), b"\x01\x02xx\x80\x01x");
        assert_eq!(message(4, 2), b"\x01\x02xx\x00\x02xx\x80\x00");
    }

    #[test]
    fn an_exchange_waits_between_its_frames_only() {
        let script = [Step::Exchange { frame: Frame::text("x"), times: 3 }];
        assert_eq!(writes(&script), [&b"\x81\x01x"[..], b"|", b"\x81\x01x", b"|", b"\x81\x01x"]);
    }

    #[test]
    fn large_writes_come_in_portions() {
        let script = [Frame::binary(Payload::repeated(b"x", 2 * WRITE_BYTES_MAX)).into()];
        let sizes: Vec<usize> = writes(&script).iter().map(Vec::len).collect();
        assert_eq!(sizes, [WRITE_BYTES_MAX, WRITE_BYTES_MAX, 10]);
    }
}
