//! Frames as bytes and back (RFC 6455, section 5.2), plain and slow to be sure.

use crate::{Frame, Opcode, Subject};

/// Writes frames, broken ones too.
#[derive(Debug)]
pub(crate) struct Writer {
    masks: Option<MaskKeys>,
}

impl Writer {
    pub(crate) fn new(subject: Subject) -> Self {
        Self { masks: (subject == Subject::Server).then(MaskKeys::new) }
    }

    /// Appends the frame and returns where its payload starts.
    pub(crate) fn append(&mut self, frame: &Frame, out: &mut Vec<u8>) -> usize {
        let key = self.masks.as_mut().map(MaskKeys::next);
        out.push(u8::from(frame.fin) << 7 | (frame.rsv & 0x7) << 4 | frame.opcode.0 & 0xf);
        let mask_bit = u8::from(key.is_some()) << 7;
        let len = frame.payload.len();
        match (u8::try_from(len), u16::try_from(len)) {
            (Ok(short), _) if short < 126 => out.push(mask_bit | short),
            (_, Ok(medium)) => {
                out.push(mask_bit | 126);
                out.extend_from_slice(&medium.to_be_bytes());
            }
            _ => {
                out.push(mask_bit | 127);
                out.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        if let Some(key) = key {
            out.extend_from_slice(&key);
        }
        let start = out.len();
        frame.payload.append_to(out);
        if let Some(key) = key {
            mask(&mut out[start..], key);
        }
        start
    }
}

/// Masking keys for a tester: a new one for each frame, the same in each run. They protect nobody
/// (RFC 6455, section 10.3, asks a real client for unpredictable ones).
#[derive(Debug)]
struct MaskKeys(u32);

impl MaskKeys {
    fn new() -> Self {
        Self(0x9e37_79b9)
    }

    fn next(&mut self) -> [u8; 4] {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0.to_be_bytes()
    }
}

/// Masks or unmasks (RFC 6455, section 5.3). Sixteen bytes at a time: a debug build has hundreds of
/// megabytes to get through.
fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u128::from_ne_bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d]);
    let (blocks, rest) = bytes.as_chunks_mut::<16>();
    for block in blocks {
        *block = (u128::from_ne_bytes(*block) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

/// What the peer has sent, whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// The opcode is text or binary.
    Message(Opcode, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// The code, if there is one.
    Close(Option<u16>),
}

/// Reads what the peer sends, and takes nothing that the protocol forbids.
#[derive(Debug)]
pub(crate) struct Reader {
    subject: Subject,
    buffer: Vec<u8>,
    /// How far the buffer is read.
    position: usize,
    /// The message whose fragments are coming in.
    message: Option<(Opcode, Vec<u8>)>,
}

impl Reader {
    pub(crate) fn new(subject: Subject) -> Self {
        Self { subject, buffer: Vec::new(), position: 0, message: None }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.position);
        self.position = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next thing that is complete. An error says how the peer has broken the protocol.
    pub(crate) fn next(&mut self) -> Result<Option<Incoming>, String> {
        while let Some((fin, opcode, payload)) = self.next_frame()? {
            match opcode {
                Opcode::PING => return Ok(Some(Incoming::Ping(payload))),
                Opcode::PONG => return Ok(Some(Incoming::Pong(payload))),
                Opcode::CLOSE => return read_close(&payload).map(|code| Some(Incoming::Close(code))),
                Opcode::CONTINUATION => match &mut self.message {
                    Some((_, bytes)) => bytes.extend_from_slice(&payload),
                    None => return Err("a continuation frame continues nothing".into()),
                },
                _ if self.message.is_some() => {
                    return Err(format!("a {opcode} frame comes before the open message has ended"));
                }
                _ => self.message = Some((opcode, payload)),
            }
            if fin && let Some((opcode, bytes)) = self.message.take() {
                return Ok(Some(Incoming::Message(opcode, bytes)));
            }
        }
        Ok(None)
    }

    fn next_frame(&mut self) -> Result<Option<(bool, Opcode, Vec<u8>)>, String> {
        let bytes = &self.buffer[self.position..];
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        let (fin, rsv, opcode) = (first & 0x80 != 0, first >> 4 & 0x7, Opcode(first & 0xf));
        let (is_masked, short) = (second & 0x80 != 0, second & 0x7f);
        if rsv != 0 {
            return Err(format!("a {opcode} frame has reserved bits set ({rsv})"));
        }
        if !matches!(opcode.0, 0x0..=0x2 | 0x8..=0xa) {
            return Err(format!("a frame has the reserved {opcode}"));
        }
        if opcode.is_control() && (!fin || short > 125) {
            return Err(format!("a {opcode} frame is fragmented or longer than 125 bytes"));
        }
        match (self.subject, is_masked) {
            (Subject::Server, true) => return Err(format!("the server has masked a {opcode} frame")),
            (Subject::Client, false) => return Err(format!("the client has not masked a {opcode} frame")),
            _ => {}
        }
        let (len, rest) = match short {
            126 => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from_be_bytes(*len), rest),
                None => return Ok(None),
            },
            short => (u64::from(short), rest),
        };
        if (short == 126 && len < 126) || (short == 127 && len < 1 << 16) {
            return Err(format!("the length {len} is not written in the shortest form"));
        }
        if len >= 1 << 63 {
            return Err(format!("the length {len} has its first bit set"));
        }
        let (key, rest) = match is_masked {
            false => (None, rest),
            true => match rest.split_first_chunk() {
                Some((key, rest)) => (Some(*key), rest),
                None => return Ok(None),
            },
        };
        // What does not fit into memory has not arrived either.
        let Some(payload) = usize::try_from(len).ok().and_then(|len| rest.get(..len)) else {
            return Ok(None);
        };
        let mut payload = payload.to_vec();
        if let Some(key) = key {
            mask(&mut payload, key);
        }
        let header = bytes.len() - rest.len();
        self.position += header + payload.len();
        Ok(Some((fin, opcode, payload)))
    }
}

/// The body of a close frame (RFC 6455, sections 5.5.1 and 7.4, and the codes registered since).
fn read_close(body: &[u8]) -> Result<Option<u16>, String> {
    let Some((code, reason)) = body.split_first_chunk() else {
        return if body.is_empty() { Ok(None) } else { Err("a close frame carries one byte".into()) };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(format!("a close frame has the code {code}"));
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Some(code)),
        Err(_) => Err(format!("the reason of the close frame ({code}) is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Payload;

    fn read(subject: Subject, bytes: &[u8]) -> Result<Vec<Incoming>, String> {
        let mut reader = Reader::new(subject);
        let mut seen = Vec::new();
        // Byte by byte, so that each header is cut everywhere.
        for byte in bytes {
            reader.push(&[*byte]);
            while let Some(incoming) = reader.next()? {
                seen.push(incoming);
            }
        }
        Ok(seen)
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 6455, section 5.7.
        let hello = || Incoming::Message(Opcode::TEXT, b"Hello".to_vec());
        assert_eq!(read(Subject::Server, b"\x81\x05Hello"), Ok(vec![hello()]));
        assert_eq!(read(Subject::Server, b"\x01\x03Hel\x80\x02lo"), Ok(vec![hello()]));
        assert_eq!(
            read(Subject::Client, &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]),
            Ok(vec![hello()])
        );
        assert_eq!(read(Subject::Server, b"\x89\x05Hello"), Ok(vec![Incoming::Ping(b"Hello".to_vec())]));
    }

    #[test]
    fn what_is_written_can_be_read_by_the_other_side() {
        for len in [0, 1, 15, 16, 17, 125, 126, 127, 65_535, 65_536, 70_001] {
            let payload = Payload::repeated(b"\x01\x02\x03", len);
            let frame = Frame::binary(payload.clone());
            let mut masked = Vec::new();
            Writer::new(Subject::Server).append(&frame, &mut masked);
            let mut plain = Vec::new();
            let start = Writer::new(Subject::Client).append(&frame, &mut plain);
            assert!(payload.is(&plain[start..]));
            for (subject, bytes) in [(Subject::Client, masked), (Subject::Server, plain)] {
                let mut reader = Reader::new(subject);
                reader.push(&bytes);
                assert_eq!(
                    reader.next(),
                    Ok(Some(Incoming::Message(Opcode::BINARY, payload.to_vec()))),
                    "{len}"
                );
                assert_eq!(reader.next(), Ok(None), "{len}");
            }
        }
    }

    #[test]
    fn what_the_protocol_forbids_is_not_read() {
        let broken: [&[u8]; 14] = [
            b"\xc1\x00",
            b"\x83\x00",
            b"\x8b\x00",
            b"\x09\x00",
            b"\x89\x7e\x00\x7e",
            b"\x80\x00",
            b"\x01\x00\x81\x00",
            b"\x82\x7e\x00\x7d",
            b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff",
            b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
            b"\x88\x01\x03",
            b"\x88\x02\x03\xed",
            b"\x88\x03\x03\xe8\xff",
            b"\x81\x80\x00\x00\x00\x00",
        ];
        for bytes in broken {
            assert!(read(Subject::Server, bytes).is_err(), "{}", bytes.escape_ascii());
        }
        assert!(read(Subject::Client, b"\x81\x00").is_err());
    }
}
