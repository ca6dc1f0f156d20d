//! What the server says: everything, what is new, and "I am here".
//!
//! Lists begin with their length in one byte: there are at most 64 players and 12 gems.

use super::motion::{HEIGHT, PLAYER_RADIUS, WIDTH};
use super::player::{NAME_BYTES_MAX, PlayerId, PlayerName};
use super::wire::{DELTA, PONG, WELCOME};
use super::world::{GEM_RADIUS, TICK_MS};

/// The number for somebody who only watches.
const NOBODY: u8 = 255;

/// Where something is, in sixteenths of a unit from the upper left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// To the right.
    pub x: u16,
    /// Down.
    pub y: u16,
}

/// A player, as everybody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Which one.
    pub id: PlayerId,
    /// Where.
    pub place: Place,
    /// Its gems so far.
    pub score: u32,
    /// What it is called.
    pub name: PlayerName,
}

/// Everything, for somebody who has nothing yet, or has missed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The tick after which it is so.
    pub tick: u32,
    /// Who the reader is; `None` for one who watches.
    pub you: Option<PlayerId>,
    /// The gems.
    pub gems: Vec<Place>,
    /// The players, by their ids.
    pub players: Vec<Figure>,
}

/// What one tick has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// The tick.
    pub tick: u32,
    /// Who has left. To be read first: its number may be somebody else's among those who came.
    pub gone: Vec<PlayerId>,
    /// Who has come.
    pub came: Vec<Figure>,
    /// Who is elsewhere.
    pub moved: Vec<(PlayerId, Place)>,
    /// Whose score is new.
    pub scored: Vec<(PlayerId, u32)>,
    /// Who is called something else.
    pub named: Vec<(PlayerId, PlayerName)>,
    /// Which gems are elsewhere: somebody took them.
    pub gems: Vec<(u8, Place)>,
}

/// A frame of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFrame {
    /// Everything.
    Welcome(Welcome),
    /// What is new.
    Delta(Delta),
    /// The answer to a Ping, with its number.
    Pong(u32),
}

impl ServerFrame {
    /// Reads one message, for programs that play or watch. `None` if it is no frame of a server of this version.
    pub fn decode(message: &[u8]) -> Option<ServerFrame> {
        let (&first, rest) = message.split_first()?;
        let mut read = Reader(rest);
        let frame = match first {
            WELCOME => ServerFrame::Welcome(Welcome::read(&mut read)?),
            DELTA => ServerFrame::Delta(Delta::read(&mut read)?),
            PONG => ServerFrame::Pong(read.u32()?),
            _ => return None,
        };
        read.0.is_empty().then_some(frame)
    }

    /// The answer to a Ping.
    pub(super) fn pong(number: u32) -> Vec<u8> {
        let mut message = vec![PONG];
        message.extend(number.to_be_bytes());
        message
    }
}

impl Welcome {
    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = vec![WELCOME];
        message.extend(self.tick.to_be_bytes());
        message.push(self.you.map_or(NOBODY, PlayerId::number));
        message.push(TICK_MS);
        for length in [WIDTH, HEIGHT, PLAYER_RADIUS, GEM_RADIUS] {
            message.extend(u16_of(length).to_be_bytes());
        }
        list(&mut message, &self.gems, |message, place| place.write(message));
        list(&mut message, &self.players, |message, figure| figure.write(message));
        message
    }

    fn read(read: &mut Reader<'_>) -> Option<Welcome> {
        let tick = read.u32()?;
        let you = match read.u8()? {
            NOBODY => None,
            number => Some(PlayerId::new(number)?),
        };
        let _tick_ms = read.u8()?;
        for _length in 0..4 {
            read.u16()?;
        }
        Some(Welcome { tick, you, gems: read.list(Place::read)?, players: read.list(Figure::read)? })
    }
}

impl Delta {
    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = vec![DELTA];
        message.extend(self.tick.to_be_bytes());
        list(&mut message, &self.gone, |message, id| message.push(id.number()));
        list(&mut message, &self.came, |message, figure| figure.write(message));
        list(&mut message, &self.moved, |message, (id, place)| {
            message.push(id.number());
            place.write(message);
        });
        list(&mut message, &self.scored, |message, (id, score)| {
            message.push(id.number());
            message.extend(score.to_be_bytes());
        });
        list(&mut message, &self.named, |message, (id, name)| {
            message.push(id.number());
            write_name(message, name);
        });
        list(&mut message, &self.gems, |message, (gem, place)| {
            message.push(*gem);
            place.write(message);
        });
        message
    }

    fn read(read: &mut Reader<'_>) -> Option<Delta> {
        Some(Delta {
            tick: read.u32()?,
            gone: read.list(Reader::id)?,
            came: read.list(Figure::read)?,
            moved: read.list(|read| Some((read.id()?, Place::read(read)?)))?,
            scored: read.list(|read| Some((read.id()?, read.u32()?)))?,
            named: read.list(|read| Some((read.id()?, read.name()?)))?,
            gems: read.list(|read| Some((read.u8()?, Place::read(read)?)))?,
        })
    }
}

impl Place {
    fn write(self, message: &mut Vec<u8>) {
        message.extend(self.x.to_be_bytes());
        message.extend(self.y.to_be_bytes());
    }

    fn read(read: &mut Reader<'_>) -> Option<Place> {
        Some(Place { x: read.u16()?, y: read.u16()? })
    }
}

impl Figure {
    fn write(&self, message: &mut Vec<u8>) {
        message.push(self.id.number());
        self.place.write(message);
        message.extend(self.score.to_be_bytes());
        write_name(message, &self.name);
    }

    fn read(read: &mut Reader<'_>) -> Option<Figure> {
        Some(Figure { id: read.id()?, place: Place::read(read)?, score: read.u32()?, name: read.name()? })
    }
}

/// Lengths of the arena are small.
pub(super) fn u16_of(length: i32) -> u16 {
    u16::try_from(length).unwrap_or(if length < 0 { 0 } else { u16::MAX })
}

fn list<T>(message: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    let count = u8::try_from(items.len()).unwrap_or(u8::MAX);
    message.push(count);
    for item in &items[..usize::from(count)] {
        write(message, item);
    }
}

fn write_name(message: &mut Vec<u8>, name: &PlayerName) {
    const { assert!(NAME_BYTES_MAX <= 255, "its length is one byte") }
    message.push(name.as_str().len() as u8);
    message.extend(name.as_str().as_bytes());
}

/// What is left of a message.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn u8(&mut self) -> Option<u8> {
        self.bytes().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_be_bytes)
    }

    fn id(&mut self) -> Option<PlayerId> {
        self.u8().and_then(PlayerId::new)
    }

    fn name(&mut self) -> Option<PlayerName> {
        let length = usize::from(self.u8()?);
        let (name, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        PlayerName::new(name).ok()
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.u8()?).map(|_| read(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> PlayerId {
        PlayerId::new(number).unwrap()
    }

    fn name(text: &str) -> PlayerName {
        PlayerName::new(text.as_bytes()).unwrap()
    }

    fn examples() -> [(ServerFrame, Vec<u8>); 4] {
        let place = Place { x: 0x0102, y: 0xfffe };
        let figure = Figure { id: id(63), place, score: 7, name: name("민지") };
        let welcome = Welcome {
            tick: 0x0a0b_0c0d,
            you: Some(id(63)),
            gems: vec![place, Place::default()],
            players: vec![figure.clone()],
        };
        let watching = Welcome { you: None, ..welcome.clone() };
        let delta = Delta {
            tick: 1,
            gone: vec![id(0), id(1)],
            came: vec![figure],
            moved: vec![(id(2), place)],
            scored: vec![(id(3), u32::MAX)],
            named: vec![(id(4), name("x"))],
            gems: vec![(11, place)],
        };
        let bytes = [welcome.encode(), watching.encode(), delta.encode(), ServerFrame::pong(9)];
        let [first, second, third, fourth] = bytes;
        [
            (ServerFrame::Welcome(welcome), first),
            (ServerFrame::Welcome(watching), second),
            (ServerFrame::Delta(delta), third),
            (ServerFrame::Pong(9), fourth),
        ]
    }

    #[test]
    fn frames_come_back_as_they_were() {
        for (frame, message) in examples() {
            assert_eq!(ServerFrame::decode(&message), Some(frame));
        }
    }

    #[test]
    fn cut_short_or_too_long_they_are_no_frames() {
        for (_, message) in examples() {
            for end in 0..message.len() {
                assert_eq!(ServerFrame::decode(&message[..end]), None, "{end} of {message:02x?}");
            }
            let mut longer = message;
            longer.push(0);
            assert_eq!(ServerFrame::decode(&longer), None);
        }
        assert_eq!(ServerFrame::decode(&[0x29, 0, 0, 0, 0]), None, "another version");
    }
}
