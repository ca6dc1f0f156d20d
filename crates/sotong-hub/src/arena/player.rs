//! Who plays: an id, a name, and the direction that they hold.

use std::fmt;

use super::wire::Malformed;
use super::world::PLAYERS_MAX;

/// The longest name of a player, in bytes of UTF-8: ten Korean syllables.
pub const NAME_BYTES_MAX: usize = 32;

/// A player's place among those who play: 0 to 63, the lowest that is free. Free again when the player has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayerId(u8);

impl PlayerId {
    /// All that there can be.
    pub(super) fn all() -> impl Iterator<Item = PlayerId> {
        (0..PLAYERS_MAX as u8).map(PlayerId)
    }

    /// The player of this number, if it is one.
    pub(super) fn new(number: u8) -> Option<PlayerId> {
        (usize::from(number) < PLAYERS_MAX).then_some(PlayerId(number))
    }

    /// As frames have it.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for PlayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What others call a player: 1 to [`NAME_BYTES_MAX`] bytes of text, with something to see and no control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayerName(Box<str>);

impl PlayerName {
    /// # Errors
    /// When these bytes are no name.
    pub fn new(bytes: &[u8]) -> Result<PlayerName, Malformed> {
        // First: what is too long is not looked at.
        if bytes.len() > NAME_BYTES_MAX {
            return Err(Malformed::NameTooLong);
        }
        let name = std::str::from_utf8(bytes).map_err(|_| Malformed::NameNotText)?;
        if name.chars().any(char::is_control) || name.chars().all(char::is_whitespace) {
            return Err(Malformed::NameNotShown);
        }
        Ok(PlayerName(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a player wants to go: a step to the right or to the left, and one down or up, or neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Direction {
    /// 1 is right, −1 is left.
    pub(super) x: i32,
    /// 1 is down, −1 is up.
    pub(super) y: i32,
}

impl Direction {
    const UP: u8 = 1;
    const DOWN: u8 = 2;
    const LEFT: u8 = 4;
    const RIGHT: u8 = 8;

    /// The keys that are held, one bit each: 1 up, 2 down, 4 left, 8 right. Opposite ones cancel each other.
    pub fn from_bits(bits: u8) -> Option<Direction> {
        if bits & !(Self::UP | Self::DOWN | Self::LEFT | Self::RIGHT) != 0 {
            return None;
        }
        let held = |key| i32::from(bits & key != 0);
        Some(Direction { x: held(Self::RIGHT) - held(Self::LEFT), y: held(Self::DOWN) - held(Self::UP) })
    }

    /// The bits for it.
    pub fn bits(self) -> u8 {
        let pick = |step: i32, less, more| match step {
            ..0 => less,
            0 => 0,
            1.. => more,
        };
        pick(self.x, Self::LEFT, Self::RIGHT) | pick(self.y, Self::UP, Self::DOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_the_limit_and_one_past_it() {
        assert_eq!(PlayerName::new(&[b'a'; NAME_BYTES_MAX]).unwrap().as_str().len(), NAME_BYTES_MAX);
        assert_eq!(PlayerName::new(&[b'a'; NAME_BYTES_MAX + 1]), Err(Malformed::NameTooLong));
        assert_eq!(PlayerName::new("민지".as_bytes()).unwrap().as_str(), "민지");
    }

    #[test]
    fn names_that_are_none() {
        for (bytes, wrong) in [
            (&b""[..], Malformed::NameNotShown),
            (b" \xe3\x80\x80", Malformed::NameNotShown),
            (b"a\nb", Malformed::NameNotShown),
            (b"a\x00", Malformed::NameNotShown),
            (b"\xff", Malformed::NameNotText),
            (b"\xed\xa0\x80", Malformed::NameNotText),
        ] {
            assert_eq!(PlayerName::new(bytes), Err(wrong), "{bytes:?}");
        }
    }

    #[test]
    fn opposite_keys_cancel_each_other_and_other_bits_are_none() {
        for bits in 0..16 {
            let direction = Direction::from_bits(bits).unwrap();
            assert_eq!(Direction::from_bits(direction.bits()), Some(direction));
        }
        assert_eq!(Direction::from_bits(0b1111), Some(Direction::default()));
        assert_eq!(Direction::from_bits(0b0111), Direction::from_bits(0b0100));
        assert!((16..=255).all(|bits| Direction::from_bits(bits).is_none()));
    }
}
