//! What is sent, and how an answer is known again.
//!
//! The first characters of a message are its stamp: the number that it has on its connection. The rest is cut from one
//! block that is made before the clock runs, so that sending costs a copy and checking an answer a comparison.

use sotong::MessageRef;

/// How many characters of a message say which one it is: six bits each.
const STAMP_CHARS: usize = 8;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Whether messages are text or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Words: compressible as usual texts are.
    Text,
    /// Bytes without any order: nothing can compress them.
    Binary,
}

/// How large messages are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// These, in turns; one is usual.
    Turns(Vec<usize>),
    /// Any from the first to the second, each as often as another.
    Range(usize, usize),
}

impl Sizes {
    /// The largest.
    pub fn max(&self) -> usize {
        match self {
            Sizes::Turns(sizes) => sizes.iter().copied().max().unwrap_or(0),
            Sizes::Range(_, last) => *last,
        }
    }

    /// The size of the message with this number.
    fn of(&self, number: u64) -> usize {
        match self {
            Sizes::Turns(sizes) => match sizes.len() as u64 {
                0 => 0,
                count => sizes[(number % count) as usize],
            },
            Sizes::Range(first, last) => {
                let span = (last - first) as u64 + 1;
                first + (scattered(number) % span) as usize
            }
        }
    }
}

/// What the messages of all connections are made of.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    kind: Kind,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    /// Stamp and filling.
    Made { sizes: Sizes, filling: Vec<u8> },
    /// Always the same, as it was typed.
    Given(Vec<u8>),
}

impl Payload {
    pub(super) fn made(kind: Kind, sizes: Sizes) -> Payload {
        let filling = match kind {
            Kind::Text => words(sizes.max()),
            Kind::Binary => noise(sizes.max()),
        };
        Payload { kind, content: Content::Made { sizes, filling } }
    }

    pub(super) fn given(kind: Kind, message: &str) -> Payload {
        Payload { kind, content: Content::Given(message.as_bytes().to_vec()) }
    }

    /// The largest message.
    pub(super) fn bytes_max(&self) -> usize {
        match &self.content {
            Content::Made { sizes, .. } => sizes.max(),
            Content::Given(message) => message.len(),
        }
    }

    /// Makes the message with this number, in a buffer that is used again and again.
    pub(super) fn make<'a>(&'a self, number: u64, scratch: &'a mut Vec<u8>) -> MessageRef<'a> {
        let bytes = match &self.content {
            Content::Given(message) => message.as_slice(),
            Content::Made { sizes, filling } => {
                let size = sizes.of(number);
                scratch.clear();
                scratch.extend_from_slice(&filling[..size]);
                for (place, each) in scratch.iter_mut().zip(stamp(number)) {
                    *place = each;
                }
                scratch.as_slice()
            }
        };
        match self.kind {
            // ASCII, or typed as text: it is always valid, and checking costs little.
            Kind::Text => str::from_utf8(bytes).map_or(MessageRef::Binary(bytes), MessageRef::Text),
            Kind::Binary => MessageRef::Binary(bytes),
        }
    }

    /// Whether this is the message with that number, unchanged.
    pub(super) fn is(&self, number: u64, answer: MessageRef<'_>) -> bool {
        let is_kind = matches!(
            (self.kind, answer),
            (Kind::Text, MessageRef::Text(_)) | (Kind::Binary, MessageRef::Binary(_))
        );
        let bytes = answer.as_bytes();
        is_kind
            && match &self.content {
                Content::Given(message) => bytes == message.as_slice(),
                Content::Made { sizes, filling } => {
                    let size = sizes.of(number);
                    let stamped = size.min(STAMP_CHARS);
                    bytes.len() == size
                        && bytes[..stamped] == stamp(number)[..stamped]
                        && bytes[stamped..] == filling[stamped..size]
                }
            }
    }
}

/// The number in 64 signs, the lowest first: a message that is too short for all of them keeps those that differ most.
fn stamp(number: u64) -> [u8; STAMP_CHARS] {
    std::array::from_fn(|place| ALPHABET[(number >> (6 * place)) as usize % ALPHABET.len()])
}

/// The same number gives the same, neighbours give what looks like chance (SplitMix64).
fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn noise(size: usize) -> Vec<u8> {
    (0..size.div_ceil(8) as u64).flat_map(|block| scattered(block).to_le_bytes()).take(size).collect()
}

/// The fields of a message as services send them, in an order without an end.
fn words(size: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "\"id\":",
        "\"user\":",
        "\"price\":",
        "\"time\":",
        "\"text\":",
        "true,",
        "false,",
        "null,",
        "{",
        "},",
        "\"hello\",",
        "\"open\",",
        "\"message\":",
        "[",
        "],",
        "\"name\":",
    ];
    let mut text = Vec::with_capacity(size + 32);
    let mut number = 0;
    while text.len() < size {
        let chance = scattered(number);
        text.extend_from_slice(WORDS[chance as usize % WORDS.len()].as_bytes());
        if chance & 0x30 == 0 {
            text.extend_from_slice((chance >> 40).to_string().as_bytes());
            text.push(b',');
        }
        number += 1;
    }
    text.truncate(size);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(payload: &Payload, number: u64) -> Vec<u8> {
        payload.make(number, &mut Vec::new()).as_bytes().to_vec()
    }

    #[test]
    fn a_message_is_known_again_and_no_other_is() {
        for kind in [Kind::Text, Kind::Binary] {
            let payload = Payload::made(kind, Sizes::Turns(vec![32]));
            for number in [0, 1, 63, 64, 1 << 40] {
                let mut scratch = Vec::new();
                let message = payload.make(number, &mut scratch);
                assert_eq!(message.len(), 32);
                assert!(payload.is(number, message));
                assert!(!payload.is(number + 1, message));
            }
        }
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let payload = Payload::made(Kind::Binary, Sizes::Turns(vec![100]));
        for place in 0..100 {
            let mut message = owned(&payload, 7);
            message[place] ^= 1;
            assert!(!payload.is(7, MessageRef::Binary(&message)), "{place}");
        }
        let message = owned(&payload, 7);
        assert!(!payload.is(7, MessageRef::Binary(&message[..99])));
        assert!(payload.is(7, MessageRef::Binary(&message)));
    }

    #[test]
    fn bytes_are_no_text() {
        let payload = Payload::made(Kind::Text, Sizes::Turns(vec![10]));
        let message = owned(&payload, 0);
        assert!(!payload.is(0, MessageRef::Binary(&message)));
        let given = Payload::given(Kind::Text, "{\"소통\":1}");
        assert!(given.is(5, MessageRef::Text("{\"소통\":1}")));
        assert!(!given.is(5, MessageRef::Text("{\"소통\":2}")));
    }

    #[test]
    fn sizes_in_turns_and_in_a_range() {
        let turns = Payload::made(Kind::Text, Sizes::Turns(vec![0, 1, 300]));
        let sizes: Vec<usize> = (0..6).map(|number| owned(&turns, number).len()).collect();
        assert_eq!(sizes, [0, 1, 300, 0, 1, 300]);
        let range = Sizes::Range(10, 13);
        let mut seen = [0; 4];
        for number in 0..4000 {
            seen[range.of(number) - 10] += 1;
        }
        assert!(seen.iter().all(|count| (800..1200).contains(count)), "{seen:?}");
    }

    #[test]
    fn text_is_ascii_and_bytes_have_no_order() {
        assert!(words(5000).is_ascii());
        let noise = noise(4096);
        assert!((0..=255).all(|byte| noise.contains(&byte)));
    }
}
