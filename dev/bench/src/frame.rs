//! WebSocket frames as the load generator needs them: masked ones out, the heads of unmasked ones in (RFC 6455, section
//! 5.2). It is written apart from `sotong-proto` so that the harness is an outside judge of it and costs the same for
//! every server.

use crate::failure::Failure;

/// Text or binary: the kind of message that the load generator sends and expects back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Text,
    Binary,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Binary => "binary",
        }
    }
}

/// The opcodes of RFC 6455, section 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl From<Kind> for Opcode {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }
}

/// The same for a message that is compressed (RFC 7692, section 6: RSV1 is set).
pub(crate) fn write_masked_compressed(out: &mut Vec<u8>, opcode: Opcode, key: [u8; 4], deflated: &[u8]) {
    let start = out.len();
    write_masked(out, opcode, key, deflated);
    out[start] |= RSV1;
}

const RSV1: u8 = 0x40;

/// Appends one whole masked frame.
pub(crate) fn write_masked(out: &mut Vec<u8>, opcode: Opcode, key: [u8; 4], payload: &[u8]) {
    const MASKED: u8 = 0x80;
    out.push(0x80 | opcode.bits());
    match payload.len() {
        length @ 0..=125 => out.push(MASKED | length as u8),
        length @ 126..=0xFFFF => {
            out.push(MASKED | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Appends one whole unmasked frame with a short text, as a server sends it.
pub(crate) fn write_unmasked_text(out: &mut Vec<u8>, text: &str) {
    assert!(text.len() <= 125, "longer ones have another head");
    out.extend_from_slice(&[0x80 | Opcode::Text.bits(), text.len() as u8]);
    out.extend_from_slice(text.as_bytes());
}

/// The head of a frame that a server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    /// RSV1 is set: the first frame of a compressed message.
    pub(crate) compressed: bool,
    pub(crate) payload_bytes: u64,
    /// How long the head itself is: 2, 4 or 10 bytes.
    pub(crate) head_bytes: usize,
}

/// The longest head without a mask.
pub(crate) const HEAD_BYTES_MAX: usize = 10;

impl Head {
    /// `None`: more bytes are needed. An error: no server may send this.
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, Failure> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        if second & 0x80 != 0 {
            return Err(Failure::new("the server sent a masked frame (RFC 6455, section 5.1, forbids it)"));
        }
        if first & 0x70 & !RSV1 != 0 {
            return Err(Failure::new("the server set a reserved bit that no extension has"));
        }
        let Some(opcode) = Opcode::from_bits(first & 0x0F) else {
            return Err(Failure::new(format!("the server sent the reserved opcode {:#x}", first & 0x0F)));
        };
        let (payload_bytes, head_bytes) = match second {
            126 => match rest.first_chunk() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(length) => (u64::from_be_bytes(*length), 10),
                None => return Ok(None),
            },
            length => (u64::from(length), 2),
        };
        let compressed = first & RSV1 != 0;
        if compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(Failure::new("the server set RSV1 on a frame that does not begin a message"));
        }
        if opcode.is_control() && payload_bytes > 125 {
            return Err(Failure::new("the server sent a control frame of more than 125 bytes"));
        }
        Ok(Some(Self { fin: first & 0x80 != 0, opcode, compressed, payload_bytes, head_bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The masked "Hello" of RFC 6455, section 5.7.
    #[test]
    fn masked_hello_is_the_vector_of_the_rfc() {
        let mut frame = Vec::new();
        write_masked(&mut frame, Opcode::Text, [0x37, 0xfa, 0x21, 0x3d], b"Hello");
        assert_eq!(frame, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    /// Each border between the three forms of a length: writing, then reading the same head with the mask bit cleared.
    #[test]
    fn lengths_at_the_borders() {
        for (length, head_bytes) in [(0, 2), (125, 2), (126, 4), (127, 4), (65_535, 4), (65_536, 10)] {
            let mut frame = Vec::new();
            write_masked(&mut frame, Opcode::Binary, [1, 2, 3, 4], &vec![0; length]);
            assert_eq!(frame.len(), head_bytes + 4 + length);
            frame[1] &= 0x7F;
            let (opcode, payload_bytes) = (Opcode::Binary, length as u64);
            let head = Head { fin: true, opcode, compressed: false, payload_bytes, head_bytes };
            assert_eq!(Head::parse(&frame).expect("a good head"), Some(head));
            for cut in 0..head_bytes {
                assert_eq!(Head::parse(&frame[..cut]).expect("a good beginning"), None, "cut at {cut}");
            }
        }
    }

    #[test]
    fn heads_that_no_server_may_send() {
        for bytes in
            [[0x82, 0x80], [0xA2, 0x00], [0x92, 0x00], [0xC0, 0x00], [0xC9, 0x00], [0x83, 0x00], [0x8B, 0x00]]
        {
            assert!(Head::parse(&bytes).is_err(), "{bytes:x?}");
        }
        assert!(Head::parse(&[0x89, 126, 0, 126]).is_err(), "a ping of 126 bytes");
    }
}
