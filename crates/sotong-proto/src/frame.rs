//! The header of a frame (RFC 6455, section 5.2).
//!
//! ```text
//!  byte 0: FIN RSV1 RSV2 RSV3 opcode(4)     byte 1: MASK length(7)
//!  then 0, 2 or 8 bytes of length, then 0 or 4 bytes of masking key
//! ```

use crate::config::NonMinimalLengths;
use crate::error::ProtocolError;
use crate::extension::{Extensions, RSV1};
use crate::mask::MaskKey;
use crate::side::Side;

/// The longest header of a frame: two bytes, eight of length, four of key.
pub const HEADER_BYTES_MAX: usize = 14;
/// The most payload in a control frame (section 5.5).
pub(crate) const CONTROL_PAYLOAD_MAX: usize = 125;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpCode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl OpCode {
    #[inline]
    fn decode(bits: u8) -> Result<OpCode, ProtocolError> {
        Ok(match bits {
            0 => OpCode::Continuation,
            1 => OpCode::Text,
            2 => OpCode::Binary,
            8 => OpCode::Close,
            9 => OpCode::Ping,
            10 => OpCode::Pong,
            _ => return Err(ProtocolError::ReservedOpcode(bits)),
        })
    }

    #[inline]
    pub(crate) fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// A header that was read and obeys the rules that one frame alone can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) opcode: OpCode,
    /// RSV1 of a data frame: its message is compressed (RFC 7692, section 6).
    pub(crate) compressed: bool,
    /// All zeros where the frame is not masked, which unmasks to itself.
    pub(crate) mask: MaskKey,
    pub(crate) payload_length: u64,
    /// How many bytes the header itself took.
    pub(crate) length: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` if more of them are needed.
    ///
    /// `side` is the reader's. Rules are checked in the order of the bytes, and as soon as their byte is there, so
    /// that how the input is split does not decide which rule is found broken.
    #[inline]
    pub(crate) fn decode(
        bytes: &[u8],
        side: Side,
        extensions: Extensions,
        non_minimal: NonMinimalLengths,
    ) -> Result<Option<Header>, ProtocolError> {
        match Header::decode_common(bytes, side) {
            Some(header) => Ok(Some(header)),
            None => Header::decode_any(bytes, side, extensions, non_minimal),
        }
    }

    /// The header that most frames have: a whole message of less than 64 KiB, not compressed, with all of the header
    /// there. It breaks no rule; `None` for all others. A third of the instructions of [`decode_any`](Self::decode_any),
    /// its twin.
    #[inline]
    pub(crate) fn decode_common(bytes: &[u8], side: Side) -> Option<Header> {
        let [first, second, rest @ ..] = bytes else { return None };
        let opcode = match first {
            0x81 => OpCode::Text,
            0x82 => OpCode::Binary,
            _ => return None,
        };
        let short = match side {
            Side::Server => second.wrapping_sub(0x80),
            Side::Client => *second,
        };
        let (payload_length, mask_at) = match short {
            0..=125 => (u64::from(short), 2),
            126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
            _ => return None,
        };
        // Two bytes of length for what one could have told: for the twin to judge.
        if mask_at == 4 && payload_length <= 125 {
            return None;
        }
        let (mask, length) = match side {
            Side::Server => (*bytes.get(mask_at..)?.first_chunk()?, mask_at + 4),
            Side::Client => ([0; 4], mask_at),
        };
        Some(Header { fin: true, opcode, compressed: false, mask, payload_length, length })
    }

    #[inline]
    fn decode_any(
        bytes: &[u8],
        side: Side,
        extensions: Extensions,
        non_minimal: NonMinimalLengths,
    ) -> Result<Option<Header>, ProtocolError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let opcode = OpCode::decode(first & 0x0f)?;
        let reserved = first >> 4 & 0b111;
        if reserved & !extensions.reserved_bits(opcode) != 0 {
            return Err(ProtocolError::ReservedBits(reserved));
        }
        let (fin, compressed) = (first & 0x80 != 0, reserved & RSV1 != 0);
        if opcode.is_control() && !fin {
            return Err(ProtocolError::ControlFragmented);
        }

        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let masked = second & 0x80 != 0;
        match (side, masked) {
            (Side::Server, false) => return Err(ProtocolError::MaskMissing),
            (Side::Client, true) => return Err(ProtocolError::MaskUnexpected),
            _ => {}
        }
        let short = second & 0x7f;
        if opcode.is_control() && usize::from(short) > CONTROL_PAYLOAD_MAX {
            return Err(ProtocolError::ControlTooLong(short));
        }

        let (payload_length, mask_at) = match short {
            126 => match bytes.get(2..4) {
                Some(&[high, low]) => (u64::from(u16::from_be_bytes([high, low])), 4),
                _ => return Ok(None),
            },
            127 => match bytes.get(2..10).and_then(|length| <[u8; 8]>::try_from(length).ok()) {
                Some(length) => (u64::from_be_bytes(length), 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        if payload_length >> 63 != 0 {
            return Err(ProtocolError::LengthTopBit);
        }
        let minimal = match short {
            126 => payload_length > 125,
            127 => payload_length > 0xffff,
            _ => true,
        };
        if !minimal && non_minimal == NonMinimalLengths::Refuse {
            return Err(ProtocolError::LengthNotMinimal(payload_length));
        }

        if !masked {
            return Ok(Some(Header {
                fin,
                opcode,
                compressed,
                mask: [0; 4],
                payload_length,
                length: mask_at,
            }));
        }
        let Some(&mask) = bytes.get(mask_at..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
        Ok(Some(Header { fin, opcode, compressed, mask, payload_length, length: mask_at + 4 }))
    }
}

/// Writes the header of a whole message or a control frame (FIN set, no reserved bit), in the shortest form.
#[inline]
pub(crate) fn encode_header(out: &mut Vec<u8>, opcode: OpCode, payload_length: usize, mask: Option<MaskKey>) {
    let first = 0x80 | opcode as u8;
    let mask_bit = if mask.is_some() { 0x80 } else { 0 };
    // Each form by itself: two bytes are then a store and not a call, which counts for small messages.
    match payload_length {
        0..=125 => out.extend_from_slice(&[first, mask_bit | payload_length as u8]),
        126..=0xffff => {
            let [a, b] = (payload_length as u16).to_be_bytes();
            out.extend_from_slice(&[first, mask_bit | 126, a, b]);
        }
        _ => {
            out.extend_from_slice(&[first, mask_bit | 127]);
            out.extend_from_slice(&(payload_length as u64).to_be_bytes());
        }
    }
    if let Some(mask) = mask {
        out.extend_from_slice(&mask);
    }
}

/// How many bytes a frame with this much payload takes.
#[inline]
pub(crate) fn frame_length(payload_length: usize, side: Side) -> usize {
    let header = match payload_length {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    let mask = if side == Side::Client { 4 } else { 0 };
    header + mask + payload_length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], side: Side) -> Result<Option<Header>, ProtocolError> {
        Header::decode(bytes, side, Extensions::default(), NonMinimalLengths::Refuse)
    }

    #[test]
    fn what_is_written_is_read_back_at_every_length_form() {
        for length in [0, 1, 125, 126, 127, 65535, 65536, 1 << 20] {
            for mask in [None, Some([1, 2, 3, 4])] {
                let mut bytes = Vec::new();
                encode_header(&mut bytes, OpCode::Binary, length, mask);
                let reader = if mask.is_some() { Side::Server } else { Side::Client };
                let writer = if mask.is_some() { Side::Client } else { Side::Server };
                let header = decode(&bytes, reader).expect("valid").expect("whole");
                assert_eq!(header.payload_length, length as u64);
                assert_eq!(header.mask, mask.unwrap_or_default());
                assert_eq!(header.length, bytes.len());
                assert_eq!(frame_length(length, writer), bytes.len() + length);
                for cut in 0..bytes.len() {
                    assert_eq!(decode(&bytes[..cut], reader), Ok(None), "{length} cut at {cut}");
                }
            }
        }
    }

    /// All first two bytes there are, with lengths that could and could not be told in one byte, and each length of what
    /// follows that can matter.
    #[test]
    fn the_short_way_to_a_common_header_agrees_with_the_long_one() {
        let mut common = 0;
        // Miri needs minutes for all of them.
        let firsts = if cfg!(miri) { vec![0x01, 0x80, 0x81, 0x82, 0x88, 0xc1] } else { (0..=255).collect() };
        let longs = if cfg!(miri) { vec![[0, 126]] } else { vec![[0, 125], [0, 126], [255, 255]] };
        for first in firsts {
            for (second, &[third, fourth]) in
                (0..=255).flat_map(|second| longs.iter().map(move |long| (second, long)))
            {
                let bytes = [first, second, third, fourth, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
                for length in [0, 1, 2, 3, 4, 5, 6, 7, 8, 14] {
                    for (side, deflate) in [
                        (Side::Server, false),
                        (Side::Server, true),
                        (Side::Client, false),
                        (Side::Client, true),
                    ] {
                        let bytes = &bytes[..length];
                        let Some(header) = Header::decode_common(bytes, side) else { continue };
                        let refuse = NonMinimalLengths::Refuse;
                        let any = Header::decode_any(bytes, side, Extensions { deflate }, refuse);
                        assert_eq!(any, Ok(Some(header)), "{bytes:x?} {side:?}");
                        common += 1;
                    }
                }
            }
        }
        // Two opcodes, both ways of compressing. 126 lengths told in one byte, of which a server needs 6 bytes and a client
        // 2; and those told in two bytes that need them, of which they need 8 and 4.
        let needed = longs.iter().filter(|long| **long != [0, 125]).count();
        assert_eq!(common, 2 * 2 * (126 * (4 + 8) * longs.len() + needed * (2 + 6)));
    }

    #[test]
    fn c5_c6_boundary_lengths() {
        use ProtocolError::{LengthNotMinimal, LengthTopBit};
        let with_16 = |length: u16| [&[0x82, 126][..], &length.to_be_bytes()].concat();
        let with_64 = |length: u64| [&[0x82, 127][..], &length.to_be_bytes()].concat();
        let length =
            |bytes: Vec<u8>| decode(&bytes, Side::Client).map(|header| header.expect("whole").payload_length);
        for bad in [0, 1, 125] {
            assert_eq!(length(with_16(bad)), Err(LengthNotMinimal(bad.into())));
        }
        for good in [126, 127, 65535] {
            assert_eq!(length(with_16(good)), Ok(good.into()));
        }
        for bad in [0, 125, 126, 65535] {
            assert_eq!(length(with_64(bad)), Err(LengthNotMinimal(bad)));
        }
        for good in [65536, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, (1 << 32) - 1, 1 << 32, (1 << 32) + 1] {
            assert_eq!(length(with_64(good)), Ok(good));
        }
        assert_eq!(length(with_64((1 << 63) - 1)), Ok((1 << 63) - 1));
        for bad in [1 << 63, u64::MAX] {
            assert_eq!(length(with_64(bad)), Err(LengthTopBit));
        }
    }

    #[test]
    fn c6_leniency_is_an_option() {
        let accept = |bytes: &[u8]| {
            Header::decode(bytes, Side::Client, Extensions::default(), NonMinimalLengths::Accept)
        };
        let header = accept(&[0x82, 126, 0, 5]).expect("valid").expect("whole");
        assert_eq!((header.payload_length, header.length), (5, 4));
        assert_eq!(accept(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err(ProtocolError::LengthTopBit));
    }
}
