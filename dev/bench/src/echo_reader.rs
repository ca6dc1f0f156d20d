//! Counts the echoes in what a connection reads and checks them: every length, and the contents of one message in
//! [`SAMPLE`]. It never copies a payload.

use crate::deflate;
use crate::failure::{Failure, Result};
use crate::flight::Flight;
use crate::frame::{self, HEAD_BYTES_MAX, Head, Opcode};

/// The contents of the first message of a connection and of every 61st after it are compared. A prime, so that the
/// samples wander through the masks of any usual depth.
pub(crate) const SAMPLE: u64 = 61;

/// What the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Our own bytes come back as they are: no handshake, frames still masked.
    Raw,
    WebSocket,
}

/// What one read brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fed {
    /// Messages that are complete now.
    pub(crate) completed: usize,
    /// The server sent a Close frame; what follows it was not looked at.
    pub(crate) closed: bool,
}

/// The reading end of one connection.
#[derive(Debug)]
pub(crate) struct EchoReader {
    shape: Shape,
    /// Messages completed since the beginning; decides what is compared.
    count: u64,
}

#[derive(Debug)]
enum Shape {
    Raw { number: usize, position: usize },
    WebSocket(Frames),
}

impl EchoReader {
    pub(crate) fn new(wire: Wire) -> Self {
        let shape = match wire {
            Wire::Raw => Shape::Raw { number: 0, position: 0 },
            Wire::WebSocket => Shape::WebSocket(Frames::default()),
        };
        Self { shape, count: 0 }
    }

    /// Payload bytes of all echoes as they came; of raw bytes nothing is known.
    pub(crate) fn wire_bytes(&self) -> u64 {
        match &self.shape {
            Shape::Raw { .. } => 0,
            Shape::WebSocket(frames) => frames.wire_bytes,
        }
    }

    /// Takes what was read. Pongs for the server's pings are appended to `pongs` as whole frames.
    pub(crate) fn feed(&mut self, bytes: &[u8], flight: &Flight, pongs: &mut Vec<u8>) -> Result<Fed> {
        match &mut self.shape {
            Shape::Raw { number, position } => {
                let completed = feed_raw(number, position, &mut self.count, bytes, flight)?;
                Ok(Fed { completed, closed: false })
            }
            Shape::WebSocket(frames) => frames.feed(&mut self.count, bytes, flight, pongs),
        }
    }
}

fn feed_raw(
    number: &mut usize,
    position: &mut usize,
    count: &mut u64,
    mut bytes: &[u8],
    flight: &Flight,
) -> Result<usize> {
    let before = *count;
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(bytes.len().min(flight.frame_bytes() - *position));
        if count.is_multiple_of(SAMPLE) && flight.frame(*number)[*position..][..piece.len()] != *piece {
            return Err(different(*count));
        }
        *position += piece.len();
        if *position == flight.frame_bytes() {
            *position = 0;
            *number = (*number + 1) % flight.depth();
            *count += 1;
        }
        bytes = rest;
    }
    Ok((*count - before) as usize)
}

/// The reader of server frames: at most one unfinished frame, at most one unfinished message.
#[derive(Debug, Default)]
struct Frames {
    /// An unfinished head, and how much of it is there.
    head: [u8; HEAD_BYTES_MAX],
    head_bytes: usize,
    /// The frame whose payload is being read.
    frame: Option<Payload>,
    /// Payload bytes of the unfinished message, if one is open (after its first frame).
    message_bytes: Option<u64>,
    /// Whether that message is compressed, and if it is to be compared, what came of it.
    is_compressed: bool,
    deflated: Vec<u8>,
    /// Payload bytes of all messages as they came.
    wire_bytes: u64,
    /// The payload of an unfinished control frame.
    control: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Payload {
    opcode: Opcode,
    fin: bool,
    left: u64,
}

impl Frames {
    fn feed(
        &mut self,
        count: &mut u64,
        mut bytes: &[u8],
        flight: &Flight,
        pongs: &mut Vec<u8>,
    ) -> Result<Fed> {
        let mut fed = Fed::default();
        loop {
            let mut payload = match self.frame.take() {
                Some(payload) => payload,
                None => match self.next_head(&mut bytes)? {
                    Some(head) => self.begin(head, flight)?,
                    None => return Ok(fed),
                },
            };
            let (piece, rest) =
                bytes.split_at(bytes.len().min(usize::try_from(payload.left).unwrap_or(usize::MAX)));
            bytes = rest;
            payload.left -= piece.len() as u64;
            if payload.opcode.is_control() {
                self.control.extend_from_slice(piece);
            } else {
                self.take_data(piece, *count, flight)?;
            }
            if payload.left > 0 {
                self.frame = Some(payload);
                return Ok(fed);
            }
            match payload.opcode {
                Opcode::Ping => {
                    frame::write_masked(pongs, Opcode::Pong, *b"pong", &self.control);
                    self.control.clear();
                }
                Opcode::Pong => self.control.clear(),
                Opcode::Close => {
                    fed.closed = true;
                    return Ok(fed);
                }
                Opcode::Continuation | Opcode::Text | Opcode::Binary if payload.fin => {
                    let seen = self.message_bytes.take().unwrap_or(0);
                    self.wire_bytes += seen;
                    if self.is_compressed {
                        self.compare_inflated(*count, flight)?;
                    } else if seen != flight.payload().len() as u64 {
                        return Err(Failure::new(format!(
                            "an echo of {seen} bytes came back for a message of {} bytes",
                            flight.payload().len()
                        )));
                    }
                    *count += 1;
                    fed.completed += 1;
                }
                Opcode::Continuation | Opcode::Text | Opcode::Binary => {}
            }
        }
    }

    /// The next head, from the bytes as they lie there or together with what was kept of it.
    #[inline]
    fn next_head(&mut self, bytes: &mut &[u8]) -> Result<Option<Head>> {
        if self.head_bytes == 0 {
            if let Some(head) = Head::parse(bytes)? {
                *bytes = &bytes[head.head_bytes..];
                return Ok(Some(head));
            }
            self.head[..bytes.len()].copy_from_slice(bytes);
            self.head_bytes = bytes.len();
            *bytes = &[];
            return Ok(None);
        }
        while let [first, rest @ ..] = *bytes {
            self.head[self.head_bytes] = *first;
            self.head_bytes += 1;
            *bytes = rest;
            if let Some(head) = Head::parse(&self.head[..self.head_bytes])? {
                self.head_bytes = 0;
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// The order of frames (RFC 6455, section 5.4), and the echo must be of the kind that was sent.
    #[inline]
    fn begin(&mut self, head: Head, flight: &Flight) -> Result<Payload> {
        match head.opcode {
            Opcode::Continuation if self.message_bytes.is_none() => {
                return Err(Failure::new("the server continued a message that it had not begun"));
            }
            Opcode::Text | Opcode::Binary if self.message_bytes.is_some() => {
                return Err(Failure::new("the server began a message inside another"));
            }
            Opcode::Text | Opcode::Binary if head.opcode != flight.opcode() => {
                return Err(Failure::new(format!(
                    "{:?} was sent and {:?} came back",
                    flight.opcode(),
                    head.opcode
                )));
            }
            Opcode::Text | Opcode::Binary if head.compressed && !flight.is_compressed() => {
                return Err(Failure::new(
                    "the server compressed a message, but compression was not asked for",
                ));
            }
            Opcode::Text | Opcode::Binary => {
                self.message_bytes = Some(0);
                self.is_compressed = head.compressed;
            }
            _ => {}
        }
        Ok(Payload { opcode: head.opcode, fin: head.fin, left: head.payload_bytes })
    }

    #[inline]
    fn take_data(&mut self, piece: &[u8], count: u64, flight: &Flight) -> Result<()> {
        let seen = self.message_bytes.get_or_insert(0);
        if self.is_compressed && count.is_multiple_of(SAMPLE) {
            self.deflated.extend_from_slice(piece);
        } else if count.is_multiple_of(SAMPLE) {
            let from = (*seen).min(flight.payload().len() as u64) as usize;
            if !flight.payload()[from..].starts_with(piece) {
                return Err(different(count));
            }
        }
        *seen += piece.len() as u64;
        Ok(())
    }
}

impl Frames {
    /// A compressed message is complete: if it is one of those that are compared, it is inflated.
    fn compare_inflated(&mut self, count: u64, flight: &Flight) -> Result<()> {
        if count.is_multiple_of(SAMPLE) {
            let deflated = std::mem::take(&mut self.deflated);
            if deflate::inflate(&deflated, flight.payload().len())? != flight.payload() {
                return Err(different(count));
            }
        }
        Ok(())
    }
}

fn different(count: u64) -> Failure {
    Failure::new(format!("the contents of echo {count} of a connection are not what was sent"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Kind;

    /// A frame as servers send it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..=125 => frame.push(length as u8),
            length => {
                frame.push(126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        frame
    }

    /// Feeds the bytes in pieces of one size; what came out in sum.
    fn feed_in_pieces(
        wire: Wire,
        bytes: &[u8],
        size: usize,
        flight: &Flight,
    ) -> Result<(usize, bool, Vec<u8>)> {
        let (mut reader, mut pongs) = (EchoReader::new(wire), Vec::new());
        let (mut completed, mut closed) = (0, false);
        for piece in bytes.chunks(size) {
            let fed = reader.feed(piece, flight, &mut pongs)?;
            completed += fed.completed;
            closed |= fed.closed;
        }
        Ok((completed, closed, pongs))
    }

    #[test]
    fn echoes_are_counted_however_they_are_split() {
        for payload_bytes in [0, 1, 16, 125, 126, 1024] {
            let flight = Flight::new(Kind::Binary, 4, payload_bytes);
            let stream = frame(0x82, flight.payload()).repeat(3);
            for size in 1..=stream.len() {
                let fed = feed_in_pieces(Wire::WebSocket, &stream, size, &flight).expect("good echoes");
                assert_eq!(fed, (3, false, vec![]), "{payload_bytes} bytes in pieces of {size}");
            }
        }
    }

    #[test]
    fn raw_bytes_are_counted_however_they_are_split() {
        let flight = Flight::new(Kind::Binary, 2, 16);
        let stream: Vec<u8> = (0..5).flat_map(|number| flight.frame(number % 2).to_vec()).collect();
        for size in 1..=stream.len() {
            assert_eq!(feed_in_pieces(Wire::Raw, &stream, size, &flight).expect("good bytes").0, 5);
        }
        let cut = feed_in_pieces(Wire::Raw, &stream[..stream.len() - 1], 7, &flight).expect("good bytes");
        assert_eq!(cut.0, 4, "an unfinished message is not counted");
    }

    /// Fragments with a ping in between: one message, one pong with the ping's payload.
    #[test]
    fn fragments_and_a_ping_between_them() {
        let flight = Flight::new(Kind::Text, 1, 10);
        let (front, back) = flight.payload().split_at(4);
        let stream = [frame(0x01, front), frame(0x89, b"hi"), frame(0x80, back)].concat();
        let mut pong = Vec::new();
        frame::write_masked(&mut pong, Opcode::Pong, *b"pong", b"hi");
        for size in 1..=stream.len() {
            let fed = feed_in_pieces(Wire::WebSocket, &stream, size, &flight).expect("a good echo");
            assert_eq!(fed, (1, false, pong.clone()));
        }
    }

    #[test]
    fn a_close_is_told_and_what_follows_is_left() {
        let flight = Flight::new(Kind::Text, 1, 3);
        let stream = [frame(0x81, flight.payload()), frame(0x88, &[3, 232]), vec![0xFF]].concat();
        assert_eq!(
            feed_in_pieces(Wire::WebSocket, &stream, stream.len(), &flight).expect("a close"),
            (1, true, vec![])
        );
    }

    #[test]
    fn a_wrong_echo_is_an_error() {
        let flight = Flight::new(Kind::Binary, 2, 16);
        let good = flight.payload();
        let mut changed = good.to_vec();
        changed[15] ^= 1;
        let longer = [good, b"!"].concat();
        for (what, stream) in [
            ("one byte changed", frame(0x82, &changed)),
            ("one byte short", frame(0x82, &good[..15])),
            ("one byte long", frame(0x82, &longer)),
            ("text for binary", frame(0x81, good)),
            ("a continuation of nothing", frame(0x80, good)),
            ("a message in a message", [frame(0x02, &good[..1]), frame(0x82, good)].concat()),
        ] {
            for size in [1, stream.len()] {
                assert!(feed_in_pieces(Wire::WebSocket, &stream, size, &flight).is_err(), "{what}");
            }
        }
        let mut raw = flight.frame(0).to_vec();
        raw[3] ^= 1;
        assert!(feed_in_pieces(Wire::Raw, &raw, raw.len(), &flight).is_err());
    }

    #[test]
    fn compressed_echoes_are_inflated_however_they_are_split() {
        let flight = Flight::compressed(Kind::Text, 1, 500);
        let deflated = deflate::compress(flight.payload());
        let stream = [frame(0xC1, &deflated), frame(0x81, flight.payload())].concat();
        for size in 1..=stream.len() {
            assert_eq!(feed_in_pieces(Wire::WebSocket, &stream, size, &flight).expect("good echoes").0, 2);
        }
        let wrong = frame(0xC1, &deflate::compress(b"[]"));
        assert!(feed_in_pieces(Wire::WebSocket, &wrong, wrong.len(), &flight).is_err());
        let plain = Flight::new(Kind::Text, 1, 500);
        assert!(
            feed_in_pieces(Wire::WebSocket, &stream, stream.len(), &plain).is_err(),
            "it was not asked for"
        );
    }

    /// Only samples are compared, but lengths always are.
    #[test]
    fn every_length_is_checked_and_every_61st_content() {
        let flight = Flight::new(Kind::Binary, 1, 16);
        let good = frame(0x82, flight.payload());
        let wrong = frame(0x82, &[0; 16]);
        let short = frame(0x82, &[0; 15]);
        let feed = |stream: &[u8]| feed_in_pieces(Wire::WebSocket, stream, stream.len(), &flight);
        assert_eq!(feed(&[good.clone(), wrong.repeat(60)].concat()).expect("not sampled").0, 61);
        assert!(feed(&[good.clone(), wrong.repeat(61)].concat()).is_err());
        assert!(feed(&[good, short].concat()).is_err());
    }
}
