//! The body of a refusal (RFC 9112, sections 6 and 7): its first bytes, however they are framed.

use super::fields::Fields;
use super::header::list;
use super::response::RefusedResponse;

const BODY_BYTES_MAX: usize = RefusedResponse::BODY_BYTES_MAX;

/// The most bytes of chunk headers that are read. A server that sends a body in chunks of one byte gets this far.
const CHUNK_HEADER_BYTES_MAX: usize = 8 * BODY_BYTES_MAX;

/// How the end of a body is known (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunked),
    UntilEnd,
}

impl Framing {
    /// What the header of a response with that status announces.
    ///
    /// What contradicts itself ends with the stream: this is the last response that we read, so nothing that follows
    /// can be taken for one (which is what makes contradictions dangerous elsewhere).
    pub(super) fn of(status: u16, fields: &Fields<'_>) -> Self {
        if matches!(status, 204 | 304) {
            return Framing::Length(0);
        }
        let codings = fields.values("Transfer-Encoding").flat_map(list);
        match codings.last() {
            Some(last) if last.eq_ignore_ascii_case(b"chunked") => {
                return Framing::Chunked(Chunked::default());
            }
            Some(_) => return Framing::UntilEnd,
            None => {}
        }
        let mut lengths = fields.values("Content-Length").flat_map(list).map(number);
        match lengths.next() {
            Some(Some(length)) if lengths.all(|other| other == Some(length)) => Framing::Length(length),
            _ => Framing::UntilEnd,
        }
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What has come of a body.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    bytes: Vec<u8>,
}

impl Body {
    pub(super) fn new(framing: Framing) -> Self {
        Body { framing, bytes: Vec::new() }
    }

    /// Takes the next bytes. `Some` when no more are wanted: whether the body is whole.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<bool> {
        let room = BODY_BYTES_MAX - self.bytes.len();
        match &mut self.framing {
            Framing::Length(remaining) => {
                let count = bytes.len().min(room).min(usize::try_from(*remaining).unwrap_or(usize::MAX));
                self.bytes.extend_from_slice(&bytes[..count]);
                *remaining -= count as u64;
                match *remaining {
                    0 => Some(true),
                    _ => (count == room).then_some(false),
                }
            }
            Framing::UntilEnd => {
                let count = bytes.len().min(room);
                self.bytes.extend_from_slice(&bytes[..count]);
                (count < bytes.len()).then_some(false)
            }
            Framing::Chunked(chunked) => chunked.take(bytes, &mut self.bytes),
        }
    }

    /// Whether it is whole if the stream ends here.
    pub(super) fn ends_with_stream(&self) -> bool {
        self.framing == Framing::UntilEnd
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Where we are in a chunked body (RFC 9112, section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunked {
    part: Part,
    header_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Size { size: u64, digits: u8 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data { remaining: u64 },
    DataCr,
    DataLf,
}

impl Default for Chunked {
    fn default() -> Self {
        Chunked { part: Part::Size { size: 0, digits: 0 }, header_bytes: 0 }
    }
}

impl Chunked {
    /// As [`Body::take`]. What follows the last chunk (trailers) is not read.
    fn take(&mut self, mut bytes: &[u8], body: &mut Vec<u8>) -> Option<bool> {
        while let Some((&byte, after)) = bytes.split_first() {
            if let Part::Data { remaining } = &mut self.part {
                let room = BODY_BYTES_MAX - body.len();
                let count = bytes.len().min(room).min(usize::try_from(*remaining).unwrap_or(usize::MAX));
                if count == 0 {
                    return Some(false);
                }
                body.extend_from_slice(&bytes[..count]);
                bytes = &bytes[count..];
                *remaining -= count as u64;
                if *remaining == 0 {
                    self.part = Part::DataCr;
                }
                continue;
            }
            bytes = after;
            self.header_bytes += 1;
            if self.header_bytes > CHUNK_HEADER_BYTES_MAX {
                return Some(false);
            }
            let digit = char::from(byte).to_digit(16);
            self.part = match (self.part, byte) {
                // 16 digits fill the 64 bits.
                (Part::Size { size, digits: digits @ 0..16 }, _) if let Some(digit) = digit => {
                    Part::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
                }
                (Part::Size { size, digits: 1.. } | Part::Extension { size }, b'\r') => Part::SizeLf { size },
                (Part::Size { size, digits: 1.. }, b';' | b' ' | b'\t') => Part::Extension { size },
                (Part::Extension { size }, b' '.. | b'\t') => Part::Extension { size },
                (Part::SizeLf { size: 0 }, b'\n') => return Some(true),
                (Part::SizeLf { size }, b'\n') => Part::Data { remaining: size },
                (Part::DataCr, b'\r') => Part::DataLf,
                (Part::DataLf, b'\n') => Part::Size { size: 0, digits: 0 },
                _ => return Some(false),
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and whether it is whole; `None` if more is wanted. The same in one piece and byte by byte.
    fn chunked(wire: &[u8]) -> (Vec<u8>, Option<bool>) {
        let read = |pieces: &[&[u8]]| {
            let mut body = Body::new(Framing::Chunked(Chunked::default()));
            let whole = pieces.iter().find_map(|piece| body.take(piece));
            (body.into_bytes(), whole)
        };
        let in_one = read(&[wire]);
        assert_eq!(read(&wire.chunks(1).collect::<Vec<_>>()), in_one, "{}", wire.escape_ascii());
        in_one
    }

    #[test]
    fn b8_chunks_are_put_together() {
        assert_eq!(chunked(b"0\r\n\r\n"), (vec![], Some(true)));
        assert_eq!(
            chunked(b"3\r\nabc\r\n2;x=\"y\"\r\nde\r\n000\r\nTrailer: 1\r\n\r\n"),
            (b"abcde".to_vec(), Some(true))
        );
        assert_eq!(chunked(b"A \r\n0123456789\r\n0"), (b"0123456789".to_vec(), None));
        assert_eq!(chunked(b""), (vec![], None));
    }

    #[test]
    fn b8_malformed_chunks_end_the_body() {
        for bad in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "3\nabc",
            "3\r\nabcd",
            "3\r\nabc\n",
            ";\r\n",
            "3;\n",
            "00000000000000001\r\n",
        ] {
            assert_eq!(chunked(bad.as_bytes()).1, Some(false), "{bad:?}");
        }
        assert_eq!(chunked(b"ffffffffffffffff\r\nabc"), (b"abc".to_vec(), None));
    }

    #[test]
    fn b8_chunks_at_the_limit_and_one_more() {
        let of = |length: usize| {
            [format!("{length:x}\r\n").into_bytes(), vec![b'x'; length], b"\r\n0\r\n".to_vec()].concat()
        };
        let (body, whole) = chunked(&of(BODY_BYTES_MAX));
        assert_eq!((body.len(), whole), (BODY_BYTES_MAX, Some(true)));
        let (body, whole) = chunked(&of(BODY_BYTES_MAX + 1));
        assert_eq!((body.len(), whole), (BODY_BYTES_MAX, Some(false)));
        // Endless extensions cost no memory, and end.
        let (body, whole) = chunked(&[b"1;".to_vec(), vec![b'x'; CHUNK_HEADER_BYTES_MAX]].concat());
        assert_eq!((body.len(), whole), (0, Some(false)));
    }
}
