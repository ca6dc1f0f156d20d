//! One case of the table: its number, what is sent, what may come back.

use std::fmt;
use std::str::FromStr;

use crate::{Expect, Step};

/// A case: a script of frames to send, and what the peer may do about them.
#[derive(Clone, Debug)]
pub struct Case {
    /// The number that Autobahn gives to the same case.
    pub number: Number,
    /// What is sent, in a few words.
    pub title: String,
    /// The steps of the player, in order.
    pub script: Vec<Step>,
    /// What the peer may answer and who has to end the connection.
    pub expect: Expect,
}

impl Case {
    pub(crate) fn new(
        number: impl Into<Number>,
        title: impl Into<String>,
        script: Vec<Step>,
        expect: Expect,
    ) -> Self {
        Self { number: number.into(), title: title.into(), script, expect }
    }

    /// The group that the case belongs to, by its number.
    pub fn group(&self) -> Group {
        Group::of(self.number)
    }
}

/// What the cases of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// 1: whole messages, at every size where the length field changes its form.
    Messages,
    /// 2: pings, and pongs that nobody asked for.
    Pings,
    /// 3: reserved bits.
    ReservedBits,
    /// 4: reserved opcodes.
    ReservedOpcodes,
    /// 5: fragments, in and out of order.
    Fragments,
    /// 6: text that is UTF-8 and text that is not.
    Utf8,
    /// 7: the closing handshake.
    Closing,
    /// 9: large messages, many fragments, many messages.
    Limits,
    /// 10: a message in fragments of an odd size.
    OddFragments,
}

impl Group {
    /// All groups of the table, in order.
    pub const ALL: [Group; 9] = [
        Group::Messages,
        Group::Pings,
        Group::ReservedBits,
        Group::ReservedOpcodes,
        Group::Fragments,
        Group::Utf8,
        Group::Closing,
        Group::Limits,
        Group::OddFragments,
    ];

    fn of(number: Number) -> Self {
        Self::ALL
            .into_iter()
            .find(|group| group.number() == number.group)
            .expect("only the table makes cases, and it has these groups only")
    }

    /// The first part of the numbers of its cases.
    pub fn number(self) -> u8 {
        match self {
            Group::Messages => 1,
            Group::Pings => 2,
            Group::ReservedBits => 3,
            Group::ReservedOpcodes => 4,
            Group::Fragments => 5,
            Group::Utf8 => 6,
            Group::Closing => 7,
            Group::Limits => 9,
            Group::OddFragments => 10,
        }
    }

    /// A short name for reports.
    pub fn title(self) -> &'static str {
        match self {
            Group::Messages => "messages and their lengths",
            Group::Pings => "pings and pongs",
            Group::ReservedBits => "reserved bits",
            Group::ReservedOpcodes => "reserved opcodes",
            Group::Fragments => "fragments",
            Group::Utf8 => "UTF-8",
            Group::Closing => "closing",
            Group::Limits => "large messages and many of them",
            Group::OddFragments => "fragments of an odd size",
        }
    }
}

/// The number of a case, such as `2.10` or `7.13.2`. Numbers are ordered as a reader expects:
/// `2.9` comes before `2.10`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number {
    group: u8,
    part: u8,
    /// Groups 2, 3 and 5 have no third part.
    item: Option<u8>,
}

impl Number {
    /// Whether the number is `other` or lies below it: `6.4.3` is within `6`, `6.4` and `6.4.3`.
    /// A trailing `.*`, as Autobahn writes it, changes nothing; a lone `*` holds every number.
    pub fn is_within(self, other: &str) -> bool {
        let wanted = other.strip_suffix('*').map_or(other, |head| head.strip_suffix('.').unwrap_or(head));
        let own = self.to_string();
        match own.strip_prefix(wanted) {
            Some(rest) => wanted.is_empty() || rest.is_empty() || rest.starts_with('.'),
            None => false,
        }
    }
}

impl From<(u8, u8)> for Number {
    fn from((group, part): (u8, u8)) -> Self {
        Self { group, part, item: None }
    }
}

impl From<(u8, u8, u8)> for Number {
    fn from((group, part, item): (u8, u8, u8)) -> Self {
        Self { group, part, item: Some(item) }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.group, self.part)?;
        match self.item {
            Some(item) => write!(f, ".{item}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Number {
    type Err = ParseNumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.').map(|part| part.parse::<u8>().map_err(|_| ParseNumberError));
        let mut part = || parts.next().transpose();
        let (group, second, item) = (part()?, part()?, part()?);
        match (group, second, part()?) {
            (Some(group), Some(part), None) => Ok(Self { group, part, item }),
            _ => Err(ParseNumberError),
        }
    }
}

/// A text that is no number of a case, such as `6` or `6.x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseNumberError;

impl fmt::Display for ParseNumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the number of a case: two or three numbers with dots between are wanted")
    }
}

impl std::error::Error for ParseNumberError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for text in ["1.1.1", "2.10", "7.13.2"] {
            assert_eq!(text.parse::<Number>().map(|number| number.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "1", "1.", "1.x", "1.2.3.4", "1.2.300", "-1.2"] {
            assert_eq!(text.parse::<Number>(), Err(ParseNumberError), "{text}");
        }
    }

    #[test]
    fn numbers_are_ordered_by_their_parts() {
        assert!(Number::from((2, 9)) < Number::from((2, 10)));
        assert!(Number::from((6, 4, 4)) < Number::from((6, 5, 1)));
    }

    #[test]
    fn a_number_lies_within_its_group_and_part() {
        let number = Number::from((7, 13, 2));
        for wanted in ["*", "7", "7.*", "7.13", "7.13.*", "7.13.2"] {
            assert!(number.is_within(wanted), "{wanted}");
        }
        for wanted in ["1", "7.1", "7.1.*", "7.13.1", "13.2"] {
            assert!(!number.is_within(wanted), "{wanted}");
        }
    }
}
