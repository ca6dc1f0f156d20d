//! What can go wrong, sorted by who is at fault.

use std::fmt;

use crate::close::{Close, CloseCode};
use crate::config::Rate;

/// Why a connection was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol.
    Protocol(ProtocolError),
    /// The peer asked for more than the [`Config`](crate::Config) allows.
    Limit(LimitError),
    /// The peer took too long.
    Timeout(Timeout),
}

impl Error {
    /// The code of the Close frame that tells the peer, or `None` where there is nobody left to tell.
    ///
    /// This is the one table from errors to codes (RFC 6455, section 7.4.1).
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Error::Protocol(
                ProtocolError::TextUtf8 | ProtocolError::CloseReasonUtf8 | ProtocolError::DeflateStream,
            ) => Some(CloseCode::INVALID_PAYLOAD),
            Error::Protocol(_) => Some(CloseCode::PROTOCOL_ERROR),
            Error::Limit(LimitError::ServerBytes { .. }) => Some(CloseCode::TRY_AGAIN_LATER),
            Error::Limit(LimitError::MessageRate(_) | LimitError::FinalBlocks { .. }) => {
                Some(CloseCode::POLICY_VIOLATION)
            }
            Error::Limit(_) => Some(CloseCode::MESSAGE_TOO_BIG),
            Error::Timeout(Timeout::Message) => Some(CloseCode::POLICY_VIOLATION),
            Error::Timeout(Timeout::Pong | Timeout::Write | Timeout::Close) => None,
        }
    }

    /// The Close frame that tells the peer: the code and this error's text as the reason.
    pub(crate) fn to_close(&self) -> Option<Close> {
        Some(Close::new(self.close_code()?, &self.to_string()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Protocol(error) => error.fmt(f),
            Error::Limit(error) => error.fmt(f),
            Error::Timeout(timeout) => timeout.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Error::Protocol(error)
    }
}

impl From<LimitError> for Error {
    fn from(error: LimitError) -> Self {
        Error::Limit(error)
    }
}

/// How a peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set that no extension has given a meaning (RFC 6455, section 5.2). Holds the three bits.
    ReservedBits(u8),
    /// An opcode without a meaning: 3–7 or 11–15 (section 5.2).
    ReservedOpcode(u8),
    /// A frame from a client that is not masked (section 5.1).
    MaskMissing,
    /// A frame from a server that is masked (section 5.1).
    MaskUnexpected,
    /// A length that could have been written in fewer bytes (section 5.2).
    LengthNotMinimal(u64),
    /// A length of 2^63 or more (section 5.2).
    LengthTopBit,
    /// A control frame in fragments (section 5.5).
    ControlFragmented,
    /// A control frame with more than 125 bytes of payload (section 5.5). Holds the length as written: 126 or 127.
    ControlTooLong(u8),
    /// A continuation frame with nothing to continue (section 5.4).
    ContinuationUnexpected,
    /// A new message before the fragments of the one before were complete (section 5.4).
    ContinuationExpected,
    /// A Close body of one byte (section 5.5.1).
    CloseBodyOfOneByte,
    /// A close code that must not travel (section 7.4).
    CloseCode(u16),
    /// A reason for closing that is not UTF-8 (section 5.5.1).
    CloseReasonUtf8,
    /// A text message that is not UTF-8 (section 8.1).
    TextUtf8,
    /// A compressed message that is corrupt or cut off (RFC 7692, section 7.2.2).
    DeflateStream,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits(bits) => {
                write!(f, "frame with reserved bits {bits:03b}, no extension uses them")
            }
            Self::ReservedOpcode(opcode) => write!(f, "frame with reserved opcode {opcode}"),
            Self::MaskMissing => f.write_str("frame from a client is not masked"),
            Self::MaskUnexpected => f.write_str("frame from a server is masked"),
            Self::LengthNotMinimal(length) => write!(f, "frame length {length} is not in its shortest form"),
            Self::LengthTopBit => f.write_str("frame length above 2^63-1"),
            Self::ControlFragmented => f.write_str("control frame in fragments"),
            Self::ControlTooLong(length) => {
                write!(f, "control frame with length field {length}, allowed are 0 to 125")
            }
            Self::ContinuationUnexpected => f.write_str("continuation frame with nothing to continue"),
            Self::ContinuationExpected => f.write_str("new message inside a fragmented one"),
            Self::CloseBodyOfOneByte => f.write_str("close frame with a body of one byte"),
            Self::CloseCode(code) => {
                write!(f, "close code {code}, allowed are 1000-1003, 1007-1014, 3000-4999")
            }
            Self::CloseReasonUtf8 => f.write_str("close reason is not UTF-8"),
            Self::TextUtf8 => f.write_str("text message is not UTF-8"),
            Self::DeflateStream => f.write_str("compressed message is corrupt or cut off"),
        }
    }
}

impl std::error::Error for ProtocolError {}

/// Which limit a peer passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitError {
    /// A message with more payload than [`message_bytes_max`](crate::Config::message_bytes_max).
    MessageBytes {
        /// The payload that has come and that the frame at hand announces. Of a compressed message nothing is announced:
        /// one byte more than the limit, where inflating stopped.
        seen: u64,
        /// The limit.
        max: u64,
    },
    /// A message with more bytes on the wire than
    /// [`message_wire_bytes_max`](crate::Config::message_wire_bytes_max).
    MessageWireBytes {
        /// The bytes that have come and that the frame at hand announces, headers counted.
        seen: u64,
        /// The limit.
        max: u64,
    },
    /// A compressed message that is many times as large as it was on the wire, and more than
    /// [`ratio_max`](crate::Compression::ratio_max) allows.
    InflateRatio {
        /// The payload so far.
        seen: u64,
        /// The compressed payload that it was made from.
        wire: u64,
        /// The limit: how many times.
        max: u32,
    },
    /// A compressed message with too many blocks that are marked as the last one: each costs a peer two bytes and us
    /// some microseconds. 16 are allowed, and one more for each KiB of the message.
    FinalBlocks {
        /// How many were allowed there.
        max: u64,
    },
    /// Messages faster than [`message_rate`](crate::Config::message_rate). Holds the limit.
    MessageRate(Rate),
    /// All connections of a server together hold more than it allows, and this one holds much of it. Not the
    /// core's finding: a driver that counts gives it to [`Connection::give_up`](crate::Connection::give_up).
    ServerBytes {
        /// What they hold.
        seen: u64,
        /// The limit.
        max: u64,
    },
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MessageBytes { seen, max } => {
                write!(f, "message of {seen} bytes exceeds message_bytes_max = {max}")
            }
            Self::MessageWireBytes { seen, max } => {
                write!(f, "message of {seen} bytes with its headers exceeds message_wire_bytes_max = {max}")
            }
            Self::InflateRatio { seen, wire, max } => {
                write!(f, "{wire} bytes inflate to {seen}, which exceeds ratio_max = {max}")
            }
            Self::FinalBlocks { max } => {
                write!(f, "compressed message with more than {max} blocks that are marked as the last")
            }
            Self::MessageRate(max) => write!(f, "messages faster than message_rate = {max}"),
            Self::ServerBytes { seen, max } => {
                write!(f, "all connections hold {seen} bytes, allowed are {max}")
            }
        }
    }
}

impl std::error::Error for LimitError {}

/// What a peer took too long for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timeout {
    /// To finish a message ([`message_timeout`](crate::Config::message_timeout)).
    Message,
    /// To give any sign of life ([`pong_timeout`](crate::Config::pong_timeout)).
    Pong,
    /// To take any of what we sent ([`write_timeout`](crate::Config::write_timeout)).
    Write,
    /// To close ([`close_timeout`](crate::Config::close_timeout)).
    Close,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message => "message not finished within message_timeout",
            Self::Pong => "no sign of life within pong_timeout after a ping",
            Self::Write => "peer took none of what was sent within write_timeout",
            Self::Close => "closing not finished within close_timeout",
        })
    }
}

impl std::error::Error for Timeout {}
