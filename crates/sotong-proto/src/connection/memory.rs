//! Tests of what a connection holds while a message is on its way, and of how often it touches it.
//!
//! No clock: work is counted in bytes that are looked at and in buffers that are outgrown.

use std::sync::Arc;

use super::{Connection, Event, Unfinished};
use crate::config::Config;
use crate::mask::Seed;
use crate::outbox::Outbox;
use crate::side::Side;
use crate::time::Time;

/// What a buffer may have beyond twice its content: the smallest ones are rounded up.
const SMALL: usize = 64;

const SIDES: [Side; 2] = [Side::Client, Side::Server];

fn unlimited() -> Config {
    Config::default().with_message_bytes_max(u64::MAX)
}

fn connection(side: Side, config: Config) -> (Connection, Outbox) {
    let config = Arc::new(config);
    let outbox = match side {
        Side::Client => Outbox::client(config.clone(), Seed([7; 32])),
        Side::Server => Outbox::server(config.clone()),
    };
    (Connection::new(side, config, Time::ZERO), outbox)
}

/// Reads, and returns how many messages came.
fn read((connection, outbox): &mut (Connection, Outbox), bytes: &[u8]) -> usize {
    let mut bytes = bytes.to_vec();
    let mut received = connection.receive(&mut bytes, Time::ZERO);
    let mut messages = 0;
    while let Some(event) = received.next(outbox) {
        assert!(!matches!(event, Event::Failed(_)), "{event:?}");
        messages += usize::from(matches!(event, Event::Message(_)));
    }
    messages
}

/// A frame to `reader`, masked with zeros if it is a server.
fn frame(first: u8, payload: &[u8], reader: Side) -> Vec<u8> {
    [header(first, payload.len() as u64, reader), payload.to_vec()].concat()
}

fn header(first: u8, length: u64, reader: Side) -> Vec<u8> {
    let mask_bit = if reader == Side::Server { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(mask_bit | length as u8),
        126..=0xffff => {
            bytes.push(mask_bit | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask_bit | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    if reader == Side::Server {
        bytes.extend([0; 4]);
    }
    bytes
}

fn capacity(connection: &Connection) -> usize {
    connection.unfinished.as_deref().map_or(0, Unfinished::capacity)
}

#[test]
fn an_idle_connection_owns_no_buffer() {
    for side in SIDES {
        let kinds = [
            frame(0x81, "소통".as_bytes(), side),
            frame(0x82, &[1; 70_000], side),
            frame(0x89, b"ping", side),
            frame(0x8a, b"", side),
            [frame(0x01, b"a", side), frame(0x89, b"", side), frame(0x80, b"b", side)].concat(),
        ];
        let mut both = connection(side, Config::default());
        for bytes in kinds {
            for cut in [0, 1, 3.min(bytes.len() - 1), bytes.len() / 2, bytes.len() - 1] {
                read(&mut both, &bytes[..cut]);
                assert_eq!(both.0.unfinished.is_some(), cut > 0);
                read(&mut both, &bytes[cut..]);
                assert!(both.0.unfinished.is_none(), "{:?}", both.0);
                both.1.take_bytes();
                assert!(both.1.owns_nothing(), "an empty outbox owns memory");
            }
        }
        // Nor does one that has ended.
        read(&mut both, &frame(0x01, &[b'x'; 1000], side));
        read(&mut both, &frame(0x88, b"", side));
        assert!(both.0.unfinished.is_none());
    }
}

/// It stands in the driver's task, of which a server has one for each connection (docs/decisions/0004-memory.md).
#[test]
fn a_connection_is_small() {
    assert!(size_of::<Connection>() <= 96, "{} bytes", size_of::<Connection>());
    assert!(size_of::<Outbox>() <= 88, "{} bytes", size_of::<Outbox>());
}

/// What compression adds to an idle connection in shared mode is two small blocks, and in windowed mode the windows.
#[test]
fn an_idle_compressed_connection_is_small() {
    use crate::extension::deflate::{Receiving, Sending};

    assert!(size_of::<super::Rare>() <= 112, "{} bytes", size_of::<super::Rare>());
    assert!(size_of::<Receiving>() <= 48, "{} bytes", size_of::<Receiving>());
    assert!(size_of::<Sending>() <= 48, "{} bytes", size_of::<Sending>());
}

#[test]
fn a_failed_connection_owns_no_buffer() {
    for side in SIDES {
        let (mut connection, mut outbox) = connection(side, Config::default());
        let mut bytes = [frame(0x01, &[b'x'; 1000], side), vec![0xff]].concat();
        let mut received = connection.receive(&mut bytes, Time::ZERO);
        assert!(matches!(received.next(&mut outbox), Some(Event::Failed(_))));
        assert!(connection.unfinished.is_none());
    }
}

#[test]
fn c5_announced_bytes_cost_nothing() {
    for side in SIDES {
        for length in [70_000, 1 << 31, 1 << 32, 1 << 62, (1 << 63) - 1] {
            for first in [0x81, 0x82, 0x01, 0x02] {
                let mut both = connection(side, unlimited());
                read(&mut both, &header(first, length, side));
                assert_eq!(capacity(&both.0), 0, "length {length}");
                read(&mut both, b"some");
                assert!(capacity(&both.0) <= SMALL, "length {length}");
            }
        }
    }
}

#[test]
fn an_unfinished_message_costs_at_most_twice_its_bytes() {
    for side in SIDES {
        for opcode in [1, 2] {
            for piece_length in [1, 7, 100, 4096, 65536] {
                let mut both = connection(side, unlimited());
                let piece = vec![b'x'; piece_length];
                let pieces = (200_000 / piece_length).min(3000);
                // As one frame that comes in pieces, and in fragments.
                for fragments in [false, true] {
                    if !fragments {
                        read(&mut both, &header(0x80 | opcode, (pieces * piece_length) as u64 + 1, side));
                    }
                    for index in 0..pieces {
                        let first = if index == 0 { opcode } else { 0 };
                        let bytes = if fragments { frame(first, &piece, side) } else { piece.clone() };
                        read(&mut both, &bytes);
                        let come = (index + 1) * piece_length;
                        assert!(capacity(&both.0) <= 2 * come + SMALL, "{} for {come}", capacity(&both.0));
                    }
                    let last = if fragments { frame(0x80, b"", side) } else { vec![b'x'] };
                    assert_eq!(read(&mut both, &last), 1);
                    assert_eq!(capacity(&both.0), 0);
                }
            }
        }
    }
}

/// CVE-2026-65623 re-measured all that had come with each fragment.
#[test]
fn fragments_cost_linear_work() {
    let count = 100_000;
    for side in SIDES {
        for opcode in [1, 2] {
            for payload in [&b"x"[..], b""] {
                let mut both = connection(side, unlimited());
                read(&mut both, &frame(opcode, payload, side));
                let fragment = frame(0, payload, side);
                let (mut outgrown, mut before) = (0, capacity(&both.0));
                for _ in 1..count {
                    read(&mut both, &fragment);
                    outgrown += usize::from(capacity(&both.0) != before);
                    before = capacity(&both.0);
                }
                let unfinished = both.0.unfinished.as_deref().expect("the message is open");
                assert_eq!(unfinished.buffered_bytes(), count * payload.len());
                // Doubling: 17 times for 100,000 bytes. What a buffer has outgrown is copied, so this is linear too.
                assert!(outgrown <= 18, "the buffer was outgrown {outgrown} times");
                assert!(unfinished.checked_bytes() <= count, "{} bytes checked", unfinished.checked_bytes());
                if opcode == 1 {
                    assert_eq!(unfinished.checked_bytes(), count * payload.len());
                }
            }
        }
    }
}

/// Characters of three bytes, one byte a fragment: the first bytes of a character are looked at again, no others.
#[test]
fn cut_characters_cost_linear_work() {
    let text = "소".repeat(10_000);
    for side in SIDES {
        let mut both = connection(side, unlimited());
        read(&mut both, &frame(1, b"", side));
        for byte in text.bytes() {
            read(&mut both, &frame(0, &[byte], side));
        }
        let checked = both.0.unfinished.as_deref().expect("the message is open").checked_bytes();
        assert!((text.len()..=3 * text.len()).contains(&checked), "{checked} of {}", text.len());
    }
}
