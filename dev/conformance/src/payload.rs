//! What a frame carries, described by a pattern and a length.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// The bytes of a frame or a message: a pattern, repeated up to a length.
///
/// A message of 16 MiB costs a few bytes here. Its bytes exist while it is sent, and what comes back
/// is compared in place.
#[derive(Clone)]
pub struct Payload {
    pattern: Cow<'static, [u8]>,
    /// Where in the pattern the payload starts.
    offset: usize,
    len: usize,
}

impl Payload {
    /// Nothing at all.
    pub const EMPTY: Payload = Payload { pattern: Cow::Borrowed(&[]), offset: 0, len: 0 };

    /// These bytes, once.
    pub fn new(bytes: impl Into<Cow<'static, [u8]>>) -> Self {
        let pattern = bytes.into();
        Self { offset: 0, len: pattern.len(), pattern }
    }

    /// `len` bytes of a pattern that starts over and over. The pattern is not empty.
    pub fn repeated(pattern: &'static [u8], len: usize) -> Self {
        debug_assert!(!pattern.is_empty(), "nothing repeated stays nothing");
        Self { pattern: Cow::Borrowed(pattern), offset: 0, len }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part of it. The range lies within it.
    pub fn slice(&self, range: Range<usize>) -> Payload {
        debug_assert!(range.start <= range.end && range.end <= self.len);
        let offset =
            if self.pattern.is_empty() { 0 } else { (self.offset + range.start) % self.pattern.len() };
        Payload { pattern: self.pattern.clone(), offset, len: range.len() }
    }

    /// Appends its bytes.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.reserve(self.len);
        let (tail, head) = (&self.pattern[self.offset..], &self.pattern[..self.offset]);
        out.extend_from_slice(&tail[..tail.len().min(self.len)]);
        out.extend_from_slice(&head[..head.len().min(self.len - (out.len() - start))]);
        // What is there now is one whole period, unless it is already the end; doubling keeps it so.
        loop {
            let written = out.len() - start;
            let missing = self.len - written;
            if missing == 0 {
                return;
            }
            out.extend_from_within(start..start + written.min(missing));
        }
    }

    /// Its bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.append_to(&mut bytes);
        bytes
    }

    /// Whether these are its bytes.
    pub fn is(&self, bytes: &[u8]) -> bool {
        if bytes.len() != self.len {
            return false;
        }
        let period = self.pattern.len();
        if bytes.len() <= period {
            return self.to_vec() == bytes;
        }
        // One period is right, and every later byte is the one a period before it.
        self.slice(0..period).is(&bytes[..period]) && bytes[period..] == bytes[..bytes.len() - period]
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.is(&other.to_vec())
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 16;
        let shown = self.slice(0..self.len.min(SHOWN)).to_vec();
        write!(f, "b\"{}\"", shown.escape_ascii())?;
        if self.len > SHOWN {
            write!(f, "… ({} bytes)", self.len)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_payload_is_its_pattern_over_and_over() {
        let payload = Payload::repeated(b"abc", 10);
        assert_eq!(payload.to_vec(), b"abcabcabca");
        assert_eq!(payload.slice(2..9).to_vec(), b"cabcabc");
        assert_eq!(payload.slice(2..9).slice(1..3).to_vec(), b"ab");
        assert_eq!(Payload::repeated(b"abc", 2).to_vec(), b"ab");
        assert_eq!(Payload::repeated(b"abc", 0).to_vec(), b"");
        assert_eq!(Payload::EMPTY.slice(0..0).to_vec(), b"");
    }

    #[test]
    fn comparing_finds_one_wrong_byte_at_any_place() {
        for payload in [Payload::repeated(b"abcde", 23), Payload::repeated(b"*", 7), Payload::new(b"once")] {
            let right = payload.to_vec();
            assert!(payload.is(&right));
            assert!(!payload.is(&right[1..]));
            for place in 0..right.len() {
                let mut wrong = right.clone();
                wrong[place] ^= 1;
                assert!(!payload.is(&wrong), "{payload:?} at {place}");
            }
        }
    }
}
