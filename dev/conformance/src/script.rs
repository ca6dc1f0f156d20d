//! The steps of a case: frames as they go out, and the waits between them.

use std::fmt;

use crate::Payload;

/// One step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    /// Send this frame, whether the protocol allows it or not.
    Frame(Frame),
    /// Send a message in fragments of `fragment` bytes.
    ///
    /// A message that is not longer goes out as one frame. Otherwise every full fragment is sent
    /// as not final, so that a message whose length is a multiple ends with an empty frame. Autobahn
    /// cuts in this way, and the number of frames shall be the same.
    Message {
        /// Text or binary. Continuation while the message is under way.
        opcode: Opcode,
        /// The whole message, or what is left of it.
        payload: Payload,
        /// The size of each fragment but the last.
        fragment: usize,
    },
    /// Send the frame, wait for an answer, and start over, `times` times.
    Exchange {
        /// The frame that is sent each time.
        frame: Frame,
        /// How often it is sent.
        times: usize,
    },
    /// Wait for one more answer than at the last such step.
    Answer,
    /// Let the peer have time to answer what it has.
    Pause,
    /// Let the peer have time, then note that it has not given up the connection
    /// ([`Seen::Checkpoint`](crate::Seen::Checkpoint)).
    Checkpoint,
}

/// A frame as it is to be sent. The player adds the mask where its side of the connection masks.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Any opcode, also one that nobody has defined.
    pub opcode: Opcode,
    /// The FIN bit.
    pub fin: bool,
    /// RSV1, RSV2 and RSV3 as a number from 0 to 7; RSV1 counts four.
    pub rsv: u8,
    /// What it carries. The length is always written in the shortest form.
    pub payload: Payload,
    /// How its bytes go out.
    pub cut: Cut,
}

/// How the bytes of a frame are laid into writes.
///
/// A write that follows another goes out on its own, as far as the transport allows: the player
/// looks for answers in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// In one write with its neighbours that are of this kind too.
    Joined,
    /// In a write of its own.
    Alone,
    /// In writes of at most so many bytes.
    Every(usize),
    /// In one piece up to each of these places in the payload, with a checkpoint at each place.
    Checkpoints(&'static [usize]),
}

impl Frame {
    /// A final frame with this opcode.
    pub fn new(opcode: Opcode, payload: impl Into<Payload>) -> Self {
        Self { opcode, fin: true, rsv: 0, payload: payload.into(), cut: Cut::Joined }
    }

    pub(crate) fn text(payload: impl Into<Payload>) -> Self {
        Self::new(Opcode::TEXT, payload)
    }

    pub(crate) fn binary(payload: impl Into<Payload>) -> Self {
        Self::new(Opcode::BINARY, payload)
    }

    pub(crate) fn continuation(payload: impl Into<Payload>) -> Self {
        Self::new(Opcode::CONTINUATION, payload)
    }

    pub(crate) fn ping(payload: impl Into<Payload>) -> Self {
        Self::new(Opcode::PING, payload)
    }

    pub(crate) fn pong(payload: impl Into<Payload>) -> Self {
        Self::new(Opcode::PONG, payload)
    }

    /// A close frame with a code and a reason, right or wrong.
    pub(crate) fn close(code: u16, reason: &[u8]) -> Self {
        let mut body = code.to_be_bytes().to_vec();
        body.extend_from_slice(reason);
        Self::new(Opcode::CLOSE, Payload::new(body))
    }

    /// The same frame without the FIN bit.
    pub(crate) fn more_follows(self) -> Self {
        Self { fin: false, ..self }
    }

    pub(crate) fn with_rsv(self, rsv: u8) -> Self {
        Self { rsv, ..self }
    }

    pub(crate) fn cut(self, cut: Cut) -> Self {
        Self { cut, ..self }
    }
}

impl From<Frame> for Step {
    fn from(frame: Frame) -> Self {
        Step::Frame(frame)
    }
}

impl From<&'static str> for Payload {
    fn from(text: &'static str) -> Self {
        Payload::new(text.as_bytes())
    }
}

impl<const N: usize> From<&'static [u8; N]> for Payload {
    fn from(bytes: &'static [u8; N]) -> Self {
        Payload::new(&bytes[..])
    }
}

/// The opcode of a frame: four bits, of which RFC 6455 (section 11.8) defines six values.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Opcode(pub u8);

impl Opcode {
    /// Goes on with the message that is open.
    pub const CONTINUATION: Opcode = Opcode(0x0);
    /// A text message, or its first fragment.
    pub const TEXT: Opcode = Opcode(0x1);
    /// A binary message, or its first fragment.
    pub const BINARY: Opcode = Opcode(0x2);
    /// Close.
    pub const CLOSE: Opcode = Opcode(0x8);
    /// Ping.
    pub const PING: Opcode = Opcode(0x9);
    /// Pong.
    pub const PONG: Opcode = Opcode(0xa);

    /// Whether it is one of the control opcodes, defined or not (RFC 6455, section 5.5).
    pub fn is_control(self) -> bool {
        self.0 & 0x8 != 0
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Opcode::CONTINUATION => f.write_str("continuation"),
            Opcode::TEXT => f.write_str("text"),
            Opcode::BINARY => f.write_str("binary"),
            Opcode::CLOSE => f.write_str("close"),
            Opcode::PING => f.write_str("ping"),
            Opcode::PONG => f.write_str("pong"),
            Opcode(other) => write!(f, "opcode {other}"),
        }
    }
}

impl fmt::Debug for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
