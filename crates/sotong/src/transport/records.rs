//! Where one write may end, so that TLS puts no frame's header into one record and its payload into the next.
//!
//! Some peers read a record and expect a frame in it. What fits into one record is put into one; a payload that is
//! larger than that begins in the record of its header.

/// The most plaintext of one TLS record (RFC 8446, section 5.1).
const RECORD_BYTES: usize = 16 * 1024;
/// The longest frame header (RFC 6455, section 5.2).
const HEADER_BYTES_MAX: usize = 14;

/// Follows the frames that are written, by their lengths alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    /// The start of a header that was cut off.
    header: [u8; HEADER_BYTES_MAX],
    held: usize,
    /// How much of the open frame's payload has not come.
    remaining: u64,
}

impl Frames {
    /// How many of these bytes to write by one call: up to the last place at which a frame may be left to the next.
    pub(super) fn cut(&self, bytes: &[u8]) -> usize {
        let mut frames = self.clone();
        let mut at = frames.pass_open(bytes);
        while at < bytes.len() {
            let (start, mut rest) = (at, Frames::default());
            let header = rest.pass_header(&bytes[start..]);
            let payload = usize::try_from(rest.remaining).unwrap_or(usize::MAX);
            let end = start.saturating_add(header).saturating_add(payload);
            // The last byte that is to be in the record of the first.
            let last = if header.saturating_add(payload) <= RECORD_BYTES { end - 1 } else { start + header };
            let is_together =
                rest.held == 0 && last < bytes.len() && last / RECORD_BYTES == start / RECORD_BYTES;
            if !is_together {
                // What comes first must go all the same, or nothing ever would.
                return if start > 0 { start } else { bytes.len() };
            }
            at = end;
        }
        bytes.len()
    }

    /// These bytes are written.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let open = self.pass_open(&bytes[at..]);
            at += open;
            if open == 0 {
                at += self.pass_header(&bytes[at..]);
            }
        }
    }

    /// Passes what these bytes have of a frame that has begun; how many they are.
    fn pass_open(&mut self, bytes: &[u8]) -> usize {
        let header = if self.held > 0 { self.pass_header(bytes) } else { 0 };
        let left = bytes.len() - header;
        let payload = usize::try_from(self.remaining).map_or(left, |remaining| remaining.min(left));
        self.remaining -= payload as u64;
        header + payload
    }

    /// Passes what these bytes have of a header; how many they are. When it is whole, `remaining` tells its payload.
    fn pass_header(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        for &byte in bytes {
            self.header[self.held] = byte;
            self.held += 1;
            passed += 1;
            if self.held >= 2 && self.held == header_bytes(self.header[1]) {
                self.remaining = payload_bytes(&self.header);
                self.held = 0;
                break;
            }
        }
        passed
    }
}

/// How long the header is whose second byte this is.
fn header_bytes(second: u8) -> usize {
    let length = match second & 0x7f {
        127 => 8,
        126 => 2,
        _ => 0,
    };
    let mask = if second & 0x80 != 0 { 4 } else { 0 };
    2 + length + mask
}

fn payload_bytes(header: &[u8; HEADER_BYTES_MAX]) -> u64 {
    match header[1] & 0x7f {
        127 => u64::from_be_bytes(header[2..10].try_into().expect("eight bytes")),
        126 => u64::from(u16::from_be_bytes([header[2], header[3]])),
        short => u64::from(short),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match payload {
            0..=125 => frame.push(mask | payload as u8),
            126..=65_535 => {
                frame.push(mask | 126);
                frame.extend((payload as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend([1, 2, 3, 4]);
        }
        frame.resize(frame.len() + payload, 0xff);
        frame
    }

    /// Writes all, at most `taken_max` bytes of what a cut allows at a time. The pieces of frames in each record.
    fn records(frames: &[Vec<u8>], offered_max: usize, taken_max: usize) -> Vec<Vec<usize>> {
        let all: Vec<u8> = frames.concat();
        let (mut follower, mut at, mut ends) = (Frames::default(), 0, Vec::new());
        while at < all.len() {
            let offered = &all[at..all.len().min(at + offered_max)];
            let taken = follower.cut(offered).min(taken_max);
            assert!(taken > 0 && taken <= offered.len());
            follower.pass(&offered[..taken]);
            let records = offered[..taken].chunks(RECORD_BYTES);
            ends.extend(records.scan(at, |end, record| {
                *end += record.len();
                Some(*end)
            }));
            at += taken;
        }
        let mut start = 0;
        frames
            .iter()
            .map(|frame| {
                let range = start..start + frame.len();
                start = range.end;
                let record_of =
                    |byte: usize| ends.iter().position(|end| byte < *end).expect("all is written");
                let mut records: Vec<usize> = range.map(record_of).collect();
                records.dedup();
                records
            })
            .collect()
    }

    #[test]
    fn what_fits_into_a_record_is_in_one() {
        for masked in [false, true] {
            let header = frame(16_000, masked).len() - 16_000;
            for size in [0, 1, 3, 125, 126, 500, 5_000, 9_000, RECORD_BYTES - header] {
                let frames = vec![frame(size, masked); 120_000 / (size + 14)];
                let records = records(&frames, 64 * 1024, usize::MAX);
                assert!(records.iter().all(|records| records.len() == 1), "{size} bytes");
            }
        }
    }

    #[test]
    fn a_larger_payload_begins_in_the_record_of_its_header() {
        for before in [0, 1, 100, 16_300, 16_369, 16_370, 16_375, 16_379, 16_380, 16_381, 16_382] {
            let frames = [frame(before, false), frame(70_000, false), frame(10, false)];
            let all = frames.concat();
            let cut = Frames::default().cut(&all[..all.len().min(64 * 1024)]);
            let header = frames[0].len()..frames[0].len() + 11;
            let is_apart = header.start / RECORD_BYTES != (header.end - 1) / RECORD_BYTES;
            assert_eq!(cut, if is_apart { header.start } else { 64 * 1024 }, "{before} bytes before");
        }
    }

    #[test]
    fn bytes_that_are_taken_in_any_pieces_are_followed() {
        let frames: Vec<Vec<u8>> =
            [0, 200, 125, 70_000, 126, 3, 16_380].into_iter().map(|size| frame(size, true)).collect();
        for taken_max in [1, 2, 3, 7, 1000, 16_384, 65_536] {
            let all = frames.concat();
            let (mut follower, mut starts, mut at) = (Frames::default(), vec![0], 0);
            while at < all.len() {
                let piece = &all[at..all.len().min(at + taken_max)];
                follower.pass(piece);
                at += piece.len();
                if follower.held == 0 && follower.remaining == 0 {
                    starts.push(at);
                }
            }
            let mut end = 0;
            for frame in &frames {
                end += frame.len();
                assert!(taken_max > 1 || starts.contains(&end), "the end at {end}");
            }
            assert_eq!(starts.last(), Some(&all.len()), "{taken_max} at a time");
        }
    }
}
