//! An echo that keeps the protocol, and can be told to break it in one way.

use std::io;

use sotong_conformance::{Peer, Received, Subject, Wait};

/// What the echo does, and what others have been seen to do in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    Right,
    /// Allowed: drops the connection without a close frame when the other side breaks the protocol.
    DropsOnViolation,
    /// Allowed: answers in fragments, one byte in the first.
    AnswersInFragments,
    IgnoresReservedBits,
    SkipsReservedOpcodes,
    AcceptsAnyCloseCode,
    IgnoresBrokenClose,
    ChecksUtf8AtTheEndOfMessages,
    ChecksUtf8AtTheEndOfFrames,
    AcceptsAnyText,
    EchoesEachFragment,
    AnswersAfterTheWholeRead,
    AnswersPingsAfterClose,
    AnswersTheLastPingOnly,
    AnswersPongs,
    ChangesLargeMessages,
    EchoesTextAsBinary,
    FailsWithCode1001,
    ClosesWithoutReply,
    LeavesTheConnectionOpen,
    SpeaksAfterClose,
    MasksOnTheWrongSide,
    Mute,
    PingsFirst,
}

/// How far the echo is with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Both have closed, or the other side has broken the protocol.
    Finished,
}

struct Frame {
    fin: bool,
    opcode: u8,
    key: Option<[u8; 4]>,
    left: usize,
    /// How many bytes of the payload were there already.
    taken: usize,
}

pub(crate) struct Echo {
    subject: Subject,
    habit: Habit,
    state: State,
    input: Vec<u8>,
    /// How much of the input comes after the frame that is at hand.
    unread: usize,
    frame: Option<Frame>,
    control: Vec<u8>,
    /// The opcode and the bytes so far.
    message: Option<(u8, Vec<u8>)>,
    /// How much of the message is known to be UTF-8.
    checked: usize,
    output: Vec<u8>,
}

type Violation = u16;

impl Echo {
    pub(crate) fn new(subject: Subject, habit: Habit) -> Self {
        let mut echo = Self {
            subject,
            habit,
            state: State::Open,
            input: Vec::new(),
            unread: 0,
            frame: None,
            control: Vec::new(),
            message: None,
            checked: 0,
            output: Vec::new(),
        };
        if habit == Habit::PingsFirst {
            echo.answer(0x89, b"are you there?");
        }
        echo
    }

    fn read(&mut self) -> Result<(), Violation> {
        let mut position = 0;
        while self.state == State::Open {
            if self.frame.is_none() {
                match self.header(&self.input[position..])? {
                    Some((frame, bytes)) => {
                        position += bytes;
                        self.begin(frame)?;
                    }
                    None => break,
                }
            }
            let Some(frame) = &mut self.frame else { continue };
            let count = frame.left.min(self.input.len() - position);
            let mut bytes = self.input[position..position + count].to_vec();
            position += count;
            self.unread = self.input.len() - position;
            if let Some(mut key) = frame.key {
                key.rotate_left(frame.taken % 4);
                unmask(&mut bytes, key);
            }
            frame.left -= count;
            frame.taken += count;
            let (is_complete, is_control) = (frame.left == 0, frame.opcode >= 8);
            match &mut self.message {
                _ if is_control => self.control.extend_from_slice(&bytes),
                Some((_, message)) => message.extend_from_slice(&bytes),
                None => {}
            }
            self.check_text(is_complete)?;
            if !is_complete {
                break;
            }
            if let Some(frame) = self.frame.take() {
                self.end(&frame)?;
            }
        }
        self.input.drain(..position);
        Ok(())
    }

    fn header(&self, bytes: &[u8]) -> Result<Option<(Frame, usize)>, Violation> {
        let &[first, second, ..] = bytes else { return Ok(None) };
        let (opcode, short) = (first & 0xf, usize::from(second & 0x7f));
        let is_control = opcode >= 8;
        let fin = first & 0x80 != 0;
        if first & 0x70 != 0 && self.habit != Habit::IgnoresReservedBits {
            return Err(1002);
        }
        if !matches!(opcode, 0..=2 | 8..=10) && self.habit != Habit::SkipsReservedOpcodes {
            return Err(1002);
        }
        if is_control && (!fin || short > 125) || (second & 0x80 != 0) != (self.subject == Subject::Server) {
            return Err(1002);
        }
        let (extended, mask) =
            (if short == 126 { 2 } else { [0, 8][usize::from(short == 127)] }, second >> 7);
        let end = 2 + extended + 4 * usize::from(mask);
        if bytes.len() < end {
            return Ok(None);
        }
        let left = match extended {
            0 => short,
            _ => bytes[2..2 + extended].iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
        };
        let key = bytes[2 + extended..end].try_into().ok();
        Ok(Some((Frame { fin, opcode, key, left, taken: 0 }, end)))
    }

    fn begin(&mut self, frame: Frame) -> Result<(), Violation> {
        match (frame.opcode, &self.message) {
            (0, None) | (1 | 2, Some(_)) => return Err(1002),
            (1 | 2, None) => {
                self.message = Some((frame.opcode, Vec::new()));
                self.checked = 0;
            }
            (8.., _) => self.control.clear(),
            _ => {}
        }
        self.frame = Some(frame);
        Ok(())
    }

    /// Looks at the text that is new.
    fn check_text(&mut self, frame_is_complete: bool) -> Result<(), Violation> {
        let at_the_end =
            frame_is_complete && self.frame.as_ref().is_some_and(|frame| frame.fin && frame.opcode < 8);
        let is_due = match self.habit {
            Habit::AcceptsAnyText => false,
            Habit::ChecksUtf8AtTheEndOfMessages => at_the_end,
            Habit::ChecksUtf8AtTheEndOfFrames => frame_is_complete,
            _ => true,
        };
        let Some((1, text)) = &self.message else { return Ok(()) };
        if !is_due {
            return Ok(());
        }
        match std::str::from_utf8(&text[self.checked..]) {
            Ok(_) => self.checked = text.len(),
            Err(error) if error.error_len().is_none() && !at_the_end => self.checked += error.valid_up_to(),
            Err(_) => return Err(1007),
        }
        Ok(())
    }

    fn end(&mut self, frame: &Frame) -> Result<(), Violation> {
        match frame.opcode {
            8 => return self.end_close(),
            9 => {
                if self.habit == Habit::AnswersTheLastPingOnly && self.output.first() == Some(&0x8a) {
                    self.output.clear();
                }
                let payload = std::mem::take(&mut self.control);
                self.answer(0x8a, &payload);
            }
            10 if self.habit == Habit::AnswersPongs => self.answer(0x8a, b"you are welcome"),
            0..=2 if frame.fin || self.habit == Habit::EchoesEachFragment => {
                let Some((opcode, mut bytes)) = self.message.take() else { return Ok(()) };
                self.checked = 0;
                if bytes.len() > 1 << 17 && self.habit == Habit::ChangesLargeMessages {
                    bytes[1 << 16] ^= 1;
                }
                let opcode = if self.habit == Habit::EchoesTextAsBinary { 2 } else { opcode };
                if self.habit == Habit::AnswersInFragments && bytes.len() > 1 {
                    self.answer(opcode, &bytes[..1]);
                    self.answer(0x80, &bytes[1..]);
                } else {
                    self.answer(0x80 | opcode, &bytes);
                }
                if !frame.fin {
                    self.message = Some((opcode, Vec::new()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end_close(&mut self) -> Result<(), Violation> {
        let body = std::mem::take(&mut self.control);
        let code = body.first_chunk().map(|code| u16::from_be_bytes(*code));
        let code_is_good = match code {
            Some(code) => matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999),
            None => body.is_empty(),
        };
        if !code_is_good && self.habit != Habit::AcceptsAnyCloseCode {
            return if self.habit == Habit::IgnoresBrokenClose { Ok(()) } else { Err(1002) };
        }
        if body.get(2..).is_some_and(|reason| std::str::from_utf8(reason).is_err()) {
            return Err(1007);
        }
        self.state = State::Finished;
        match self.habit {
            Habit::ClosesWithoutReply => {}
            Habit::AnswersPingsAfterClose if self.unread > 0 => {
                self.answer(0x8a, b"");
                self.answer(0x88, &body[..body.len().min(2)]);
            }
            _ => self.answer(0x88, &body[..body.len().min(2)]),
        }
        if self.habit == Habit::SpeaksAfterClose {
            self.answer(0x81, b"one more thing");
        }
        Ok(())
    }

    fn answer(&mut self, first: u8, payload: &[u8]) {
        if self.habit == Habit::Mute {
            return;
        }
        let is_masked = (self.subject == Subject::Client) != (self.habit == Habit::MasksOnTheWrongSide);
        let mask = u8::from(is_masked) << 7;
        self.output.push(first);
        match payload.len() {
            len @ 0..126 => self.output.push(mask | len as u8),
            len @ 126..65_536 => {
                self.output.push(mask | 126);
                self.output.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                self.output.push(mask | 127);
                self.output.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        if is_masked {
            // A key of zeros changes nothing, and the player cannot know that we chose it.
            self.output.extend_from_slice(&[0; 4]);
        }
        self.output.extend_from_slice(payload);
    }

    fn fail(&mut self, violation: Violation) {
        if self.habit == Habit::AnswersAfterTheWholeRead {
            self.output.clear();
        }
        let code = if self.habit == Habit::FailsWithCode1001 { 1001 } else { violation };
        if self.habit != Habit::DropsOnViolation {
            self.answer(0x88, &code.to_be_bytes());
        }
        self.state = State::Finished;
    }

    fn hangs_up(&self) -> bool {
        let drops = matches!(self.habit, Habit::DropsOnViolation | Habit::ClosesWithoutReply);
        self.state == State::Finished
            && (self.subject == Subject::Server || drops)
            && self.habit != Habit::LeavesTheConnectionOpen
    }
}

fn unmask(bytes: &mut [u8], key: [u8; 4]) {
    let (blocks, rest) = bytes.as_chunks_mut::<4>();
    for block in blocks {
        *block = (u32::from_ne_bytes(*block) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

impl Peer for Echo {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.state == State::Open {
            self.input.extend_from_slice(bytes);
            if let Err(violation) = self.read() {
                self.fail(violation);
            }
        }
        Ok(())
    }

    fn receive(&mut self, _wait: Wait, into: &mut Vec<u8>) -> Received {
        if !self.output.is_empty() {
            into.append(&mut self.output);
            Received::Bytes
        } else if self.hangs_up() {
            Received::End
        } else {
            Received::Silence
        }
    }
}
