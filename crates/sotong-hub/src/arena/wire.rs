//! What clients say: four frames, and everything that is none of them.
//!
//! All numbers are big-endian. The high four bits of the first byte are the version, the low four say what it is.

use std::fmt;

use super::player::{Direction, NAME_BYTES_MAX, PlayerName};

/// The version of these frames: 1.
pub const VERSION: u8 = 1;

const fn kind(low: u8) -> u8 {
    VERSION << 4 | low
}

pub(super) const NAME: u8 = kind(0x1);
pub(super) const STEER: u8 = kind(0x2);
pub(super) const PING: u8 = kind(0x3);
pub(super) const RESYNC: u8 = kind(0x4);
pub(super) const WELCOME: u8 = kind(0x8);
pub(super) const DELTA: u8 = kind(0x9);
pub(super) const PONG: u8 = kind(0xa);

/// A frame of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// "I am …": the first one enters the arena, later ones change the name.
    Name(PlayerName),
    /// The keys that are held from now on.
    Steer(Direction),
    /// "Are you there?" Comes back at once with the same number.
    Ping(u32),
    /// "I have missed something": asks for everything anew.
    Resync,
}

/// What is wrong with a message of a client. It ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Text instead of bytes.
    Text,
    /// No byte at all, another version, or a kind that clients do not send.
    Unknown,
    /// More or fewer bytes than frames of this kind have.
    Length,
    /// Other bits than those of the four directions.
    Direction,
    /// A name that is not UTF-8.
    NameNotText,
    /// More than [`NAME_BYTES_MAX`] bytes.
    NameTooLong,
    /// Nothing to see, or a control character.
    NameNotShown,
    /// A direction from somebody who has no name.
    NotPlaying,
}

impl Malformed {
    /// All of them.
    pub const ALL: [Malformed; 8] = [
        Malformed::Text,
        Malformed::Unknown,
        Malformed::Length,
        Malformed::Direction,
        Malformed::NameNotText,
        Malformed::NameTooLong,
        Malformed::NameNotShown,
        Malformed::NotPlaying,
    ];

    /// The close code for it (RFC 6455, section 7.4.1).
    pub fn code(self) -> u16 {
        match self {
            // "a type of data it cannot accept"
            Malformed::Text | Malformed::Unknown => 1003,
            // "data … not consistent with the type of the message"
            Malformed::Length | Malformed::Direction | Malformed::NameNotText => 1007,
            // "violates its policy"
            Malformed::NameTooLong | Malformed::NameNotShown | Malformed::NotPlaying => 1008,
        }
    }

    /// The reason, in words.
    pub fn reason(self) -> &'static str {
        match self {
            Malformed::Text => "the game speaks binary frames",
            Malformed::Unknown => "no frame of a client of version 1",
            Malformed::Length => "the frame has a wrong length",
            Malformed::Direction => "a direction has bits for up, down, left and right only",
            Malformed::NameNotText => "the name is not UTF-8",
            Malformed::NameTooLong => "the name is too long: at most 32 bytes are allowed",
            Malformed::NameNotShown => "the name is empty or has a control character",
            Malformed::NotPlaying => "only players have a direction: say your name first",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Malformed {}

impl ClientFrame {
    /// Reads one message.
    ///
    /// ```
    /// use sotong_hub::arena::{ClientFrame, Direction, Malformed};
    ///
    /// assert_eq!(ClientFrame::decode(&[0x12, 9]), Ok(ClientFrame::Steer(Direction::from_bits(9).unwrap())));
    /// assert_eq!(ClientFrame::decode(&[0x22, 9]), Err(Malformed::Unknown), "another version");
    /// ```
    ///
    /// # Errors
    /// When it is no frame of a client.
    pub fn decode(message: &[u8]) -> Result<ClientFrame, Malformed> {
        let (&first, rest) = message.split_first().ok_or(Malformed::Unknown)?;
        match (first, rest) {
            (NAME, name) => PlayerName::new(name).map(ClientFrame::Name),
            (STEER, &[bits]) => {
                Direction::from_bits(bits).map(ClientFrame::Steer).ok_or(Malformed::Direction)
            }
            (PING, &[a, b, c, d]) => Ok(ClientFrame::Ping(u32::from_be_bytes([a, b, c, d]))),
            (RESYNC, []) => Ok(ClientFrame::Resync),
            (STEER | PING | RESYNC, _) => Err(Malformed::Length),
            _ => Err(Malformed::Unknown),
        }
    }

    /// The message, for programs that play.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(1 + NAME_BYTES_MAX);
        match self {
            ClientFrame::Name(name) => {
                message.push(NAME);
                message.extend(name.as_str().as_bytes());
            }
            ClientFrame::Steer(direction) => message.extend([STEER, direction.bits()]),
            ClientFrame::Ping(number) => {
                message.push(PING);
                message.extend(number.to_be_bytes());
            }
            ClientFrame::Resync => message.push(RESYNC),
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were() {
        for frame in [
            ClientFrame::Name(PlayerName::new("보라".as_bytes()).unwrap()),
            ClientFrame::Steer(Direction::from_bits(6).unwrap()),
            ClientFrame::Ping(0xdead_beef),
            ClientFrame::Resync,
        ] {
            assert_eq!(ClientFrame::decode(&frame.encode()), Ok(frame));
        }
    }

    /// Every first byte, with every length up to one past the longest frame: it is a frame, or an error that says why.
    #[test]
    fn whatever_else_comes_is_an_error_with_its_code() {
        for first in 0..=255_u8 {
            for length in 0..=NAME_BYTES_MAX + 1 {
                let mut message = vec![first];
                message.resize(1 + length, b'x');
                let expected = match (first, length) {
                    (NAME, 0) => Err(Malformed::NameNotShown),
                    (NAME, 1..=NAME_BYTES_MAX) => Ok(()),
                    (NAME, _) => Err(Malformed::NameTooLong),
                    (STEER, 1) => Err(Malformed::Direction),
                    (PING, 4) | (RESYNC, 0) => Ok(()),
                    (STEER | PING | RESYNC, _) => Err(Malformed::Length),
                    _ => Err(Malformed::Unknown),
                };
                assert_eq!(ClientFrame::decode(&message).map(drop), expected, "{message:02x?}");
            }
        }
        assert_eq!(ClientFrame::decode(&[]), Err(Malformed::Unknown));
        for malformed in Malformed::ALL {
            assert!([1003, 1007, 1008].contains(&malformed.code()));
            assert!(malformed.reason().len() <= 123, "it fits a Close frame (RFC 6455, section 5.5)");
        }
        assert!(Malformed::NameTooLong.reason().contains(&NAME_BYTES_MAX.to_string()));
    }
}
