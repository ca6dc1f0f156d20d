//! Frames written and read by hand, so that the tests do not trust the code they test.

use sotong_proto::Side;

pub(crate) const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The masking key of the RFC's examples; every frame that is written here has it.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// How a length is written (RFC 6455, section 5.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Bits7,
    Bits16,
    Bits64,
}

impl Form {
    pub(crate) fn shortest(length: u64) -> Form {
        match length {
            0..=125 => Form::Bits7,
            126..=0xffff => Form::Bits16,
            _ => Form::Bits64,
        }
    }
}

/// The header that `from` writes: `first` is the first byte, FIN, reserved bits and opcode.
pub(crate) fn header(first: u8, length: u64, from: Side) -> Vec<u8> {
    header_in_form(first, Form::shortest(length), length, from)
}

pub(crate) fn header_in_form(first: u8, form: Form, length: u64, from: Side) -> Vec<u8> {
    let mask_bit = if from == Side::Client { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match form {
        Form::Bits7 => bytes.push(mask_bit | length as u8),
        Form::Bits16 => {
            bytes.push(mask_bit | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        Form::Bits64 => {
            bytes.push(mask_bit | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    if from == Side::Client {
        bytes.extend(KEY);
    }
    bytes
}

/// A frame as `from` sends it: a client masks.
pub(crate) fn frame(first: u8, payload: &[u8], from: Side) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64, from);
    bytes.extend(masked(payload, from));
    bytes
}

/// Payload as it stands on the wire from the first byte of a frame on.
pub(crate) fn masked(payload: &[u8], from: Side) -> Vec<u8> {
    let key = if from == Side::Client { KEY } else { [0; 4] };
    payload.iter().enumerate().map(|(index, byte)| byte ^ key[index % 4]).collect()
}

pub(crate) fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

/// The body of a Close frame.
pub(crate) fn close_body(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

/// A whole frame that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    /// FIN, reserved bits, opcode.
    pub(crate) first: u8,
    pub(crate) key: Option<[u8; 4]>,
    /// Unmasked.
    pub(crate) payload: Vec<u8>,
}

/// Reads a run of whole frames that `from` has written; panics at anything else.
pub(crate) fn read_frames(mut bytes: &[u8], from: Side) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (first, second) = (bytes[0], bytes[1]);
        assert_eq!(second & 0x80 != 0, from == Side::Client, "the MASK bit of a frame from the {from:?}");
        let (length, mut at) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
            127 => (u64::from_be_bytes(bytes[2..10].try_into().expect("eight bytes")), 10),
            short => (u64::from(short), 2),
        };
        let key = (from == Side::Client).then(|| {
            at += 4;
            <[u8; 4]>::try_from(&bytes[at - 4..at]).expect("four bytes")
        });
        let end = at + length as usize;
        let unmask = |(index, byte): (usize, &u8)| byte ^ key.map_or(0, |key| key[index % 4]);
        let payload = bytes[at..end].iter().enumerate().map(unmask).collect();
        frames.push(Frame { first, key, payload });
        bytes = &bytes[end..];
    }
    frames
}
