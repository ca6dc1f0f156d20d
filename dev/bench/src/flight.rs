//! The frames that a connection sends, made once before the clock runs: sending k messages is one slice of this block.

use std::fmt::Write as _;

use crate::deflate;
use crate::frame::{self, Kind, Opcode};
use crate::handshake::Offer;

/// `2 * depth` masked frames with one payload and `depth` different masks. As at most `depth` are in flight, whatever
/// is unsent is always one contiguous piece that starts in the first half.
#[derive(Debug)]
pub(crate) struct Flight {
    kind: Kind,
    depth: usize,
    payload: Vec<u8>,
    offer: Offer,
    frame_bytes: usize,
    frames: Vec<u8>,
}

impl Flight {
    pub(crate) fn new(kind: Kind, depth: usize, payload_bytes: usize) -> Self {
        // ASCII, so that it serves for text too; a prime period, so that a piece at a wrong place differs.
        let payload: Vec<u8> = (0..payload_bytes).map(|i| b' ' + (i % 89) as u8).collect();
        Self::of(kind, depth, payload, Offer::Nothing)
    }

    /// The same with JSON of about that size, compressed, each message standing alone (RFC 7692, section 7.2.1).
    pub(crate) fn compressed(kind: Kind, depth: usize, payload_bytes: usize) -> Self {
        Self::of(kind, depth, json(payload_bytes), Offer::Alone)
    }

    /// The same after a handshake in which windows were agreed on. Only the first message of a connection may be sent: the
    /// others, and their echoes, would have to refer to it.
    pub(crate) fn windowed(kind: Kind, depth: usize, payload_bytes: usize) -> Self {
        Self::of(kind, depth, json(payload_bytes), Offer::Windows)
    }

    fn of(kind: Kind, depth: usize, payload: Vec<u8>, offer: Offer) -> Self {
        let is_compressed = offer != Offer::Nothing;
        let deflated = if is_compressed { deflate::compress(&payload) } else { Vec::new() };
        let mut frames = Vec::new();
        for _ in 0..2 {
            for number in 0..depth {
                if is_compressed {
                    frame::write_masked_compressed(&mut frames, kind.into(), mask(number), &deflated);
                } else {
                    frame::write_masked(&mut frames, kind.into(), mask(number), &payload);
                }
            }
        }
        Self { kind, depth, payload, offer, frame_bytes: frames.len() / (2 * depth), frames }
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.offer != Offer::Nothing
    }

    /// What the handshake is to offer.
    pub(crate) fn offer(&self) -> Offer {
        self.offer
    }

    pub(crate) fn opcode(&self) -> Opcode {
        self.kind.into()
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(crate) fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }

    /// The frame with the given number of a connection, masks repeating after `depth`.
    pub(crate) fn frame(&self, number: usize) -> &[u8] {
        &self.frames[number * self.frame_bytes..][..self.frame_bytes]
    }

    /// The next `length` bytes of a stream of frames, of which `offset` were sent before.
    #[inline]
    pub(crate) fn piece(&self, offset: usize, length: usize) -> &[u8] {
        debug_assert!(offset < self.depth * self.frame_bytes && length <= self.depth * self.frame_bytes);
        &self.frames[offset..offset + length]
    }

    /// Where a stream stands after `sent` more bytes.
    #[inline]
    pub(crate) fn advance(&self, offset: usize, sent: usize) -> usize {
        let end = offset + sent;
        let period = self.depth * self.frame_bytes;
        if end >= period { end - period } else { end }
    }
}

/// A list of trades as a server of prices might send it: names that repeat, figures that do not;
/// cut at so many bytes.
pub(crate) fn json(bytes: usize) -> Vec<u8> {
    const SYMBOLS: [&str; 6] = ["SOTO", "HANB", "DURU", "NURI", "MARU", "GARAM"];
    let mut text = String::from("[");
    let mut dice: u32 = 1;
    while text.len() < bytes {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (symbol, price, amount) = (SYMBOLS[dice as usize >> 8 & 3], dice % 100_000, dice >> 20);
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "{{\"symbol\":\"{symbol}\",\"price\":{price},\"amount\":{amount},\"side\":\"buy\"}},"
        );
    }
    text.truncate(bytes);
    text.into_bytes()
}

/// A mask that is never zero. RFC 6455 wants unpredictable ones against proxies; here both ends are ours, and the same
/// bytes in every run make runs comparable.
fn mask(number: usize) -> [u8; 4] {
    ((number as u32 * 2 + 1).wrapping_mul(0x9E37_79B9)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_each_other_round_the_block() {
        let flight = Flight::new(Kind::Text, 3, 10);
        assert_eq!(flight.frame_bytes(), 16);
        let mut endless = Vec::new();
        for number in 0..30 {
            endless.extend_from_slice(flight.frame(number % 3));
        }
        // Steps of 7 bytes meet every offset; the largest allowed piece must fit at each.
        let (mut offset, mut sent) = (0, 0);
        while sent + 48 <= endless.len() {
            assert_eq!(flight.piece(offset, 48), &endless[sent..sent + 48]);
            offset = flight.advance(offset, 7);
            sent += 7;
        }
    }

    #[test]
    fn a_compressed_flight_is_smaller_and_says_the_same() {
        for bytes in [1, 300, 1024, 65_536] {
            let flight = Flight::compressed(Kind::Text, 2, bytes);
            assert_eq!(flight.payload().len(), bytes);
            assert_eq!(flight.frame(0)[0], 0xC1);
            assert!(
                bytes < 300 || flight.frame_bytes() < bytes / 2,
                "{bytes} became {}",
                flight.frame_bytes()
            );
        }
    }

    #[test]
    fn masks_differ_and_are_not_zero() {
        let masks: std::collections::HashSet<_> = (0..10_000).map(mask).collect();
        assert_eq!(masks.len(), 10_000);
        assert!(!masks.contains(&[0; 4]));
    }
}
