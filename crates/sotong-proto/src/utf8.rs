//! Text that comes in pieces, checked as it comes (RFC 6455, section 8.1).

/// A text message in the making. What it holds is valid UTF-8 at every moment; a character that is cut by the end
/// of a piece waits outside until the rest of it comes.
#[derive(Default)]
pub(crate) struct Utf8Assembly {
    text: String,
    /// The first bytes of a character whose rest has not come.
    cut: [u8; 4],
    cut_length: usize,
    /// How many bytes were looked at: a test's proof that the work is linear.
    #[cfg(test)]
    checked_bytes: usize,
}

/// The bytes are not UTF-8, and nothing that could follow would make them so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidUtf8;

impl Utf8Assembly {
    /// Adds a piece; fails at the first byte that is impossible where it stands.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        while self.cut_length > 0 {
            let Some((byte, rest)) = piece.split_first() else { return Ok(()) };
            self.cut[self.cut_length] = *byte;
            self.cut_length += 1;
            piece = rest;
            #[cfg(test)]
            (self.checked_bytes += self.cut_length);
            match check(&self.cut[..self.cut_length]) {
                Check::Whole(character) => {
                    self.text.push_str(character);
                    self.cut_length = 0;
                }
                // At most three: four bytes are a whole character or an impossible one.
                Check::Cut => {}
                Check::Invalid => return Err(InvalidUtf8),
            }
        }
        let (whole, cut) = piece.split_at(piece.len() - cut_length(piece));
        #[cfg(test)]
        (self.checked_bytes += piece.len());
        self.text.push_str(simdutf8::basic::from_utf8(whole).map_err(|_| InvalidUtf8)?);
        if !cut.is_empty() {
            match check(cut) {
                Check::Cut => {
                    self.cut[..cut.len()].copy_from_slice(cut);
                    self.cut_length = cut.len();
                }
                Check::Whole(_) | Check::Invalid => return Err(InvalidUtf8),
            }
        }
        Ok(())
    }

    /// Adds a piece that is known to be text of its own.
    pub(crate) fn push_text(&mut self, piece: &str) -> Result<(), InvalidUtf8> {
        if self.cut_length > 0 && !piece.is_empty() {
            // It should go on with the rest of a character.
            return Err(InvalidUtf8);
        }
        #[cfg(test)]
        (self.checked_bytes += piece.len());
        self.text.push_str(piece);
        Ok(())
    }

    /// Checks that the text does not end in the middle of a character.
    pub(crate) fn finish(&self) -> Result<(), InvalidUtf8> {
        if self.cut_length == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }

    /// The text so far.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The first bytes of a character whose rest has not come.
    pub(crate) fn cut(&self) -> &[u8] {
        &self.cut[..self.cut_length]
    }

    /// How many bytes have come.
    pub(crate) fn len(&self) -> usize {
        self.text.len() + self.cut_length
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.text.capacity()
    }

    #[cfg(test)]
    pub(crate) fn checked_bytes(&self) -> usize {
        self.checked_bytes
    }
}

enum Check<'a> {
    Whole(&'a str),
    Cut,
    Invalid,
}

/// What the one to four bytes of a would-be character are.
fn check(bytes: &[u8]) -> Check<'_> {
    match std::str::from_utf8(bytes) {
        Ok(character) => Check::Whole(character),
        Err(error) if error.error_len().is_none() => Check::Cut,
        Err(_) => Check::Invalid,
    }
}

/// How many bytes at the end of `piece` start a character that is longer than what is there.
fn cut_length(piece: &[u8]) -> usize {
    for (distance, byte) in piece.iter().rev().take(3).enumerate() {
        let character_length = match byte {
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
            0x00..=0x7f => 1,
        };
        return if character_length > distance + 1 { distance + 1 } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The index of the first byte at which a byte-by-byte reading fails, by the table of the Unicode standard.
    fn first_impossible(bytes: &[u8]) -> Option<usize> {
        (1..=bytes.len()).find(|end| matches!(check_all(&bytes[..*end]), Err(true))).map(|end| end - 1)
    }

    /// `Err(true)`: impossible; `Err(false)`: cut.
    fn check_all(bytes: &[u8]) -> Result<(), bool> {
        std::str::from_utf8(bytes).map(drop).map_err(|error| error.error_len().is_some())
    }

    fn feed(pieces: &[&[u8]]) -> Result<String, InvalidUtf8> {
        let mut assembly = Utf8Assembly::default();
        for piece in pieces {
            assembly.push(piece)?;
        }
        assembly.finish()?;
        Ok(assembly.as_str().to_owned())
    }

    #[test]
    fn c28_every_split_of_good_text() {
        let text = "aé소𝄞\u{ffff}\u{10ffff}z";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let bytes = text.as_bytes();
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(feed(&pieces), Ok(text.to_owned()), "split at {first} and {second}");
            }
        }
    }

    #[test]
    fn c28_fails_at_the_first_impossible_byte() {
        let bad: [&[u8]; 12] = [
            b"ab\x80",
            b"\xc0\xaf",
            b"\xc1\x81",
            b"\xe0\x80\xaf",
            b"\xed\xa0\x80",
            b"\xed\xbf\xbf",
            b"\xf0\x80\x80\xaf",
            b"\xf4\x90\x80\x80",
            b"\xf5\x80\x80\x80",
            b"\xff",
            b"\xe4\xbd\xe5",
            b"long enough for vectors, forty bytes or so \xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80 and more",
        ];
        for bytes in bad {
            let impossible = first_impossible(bytes).expect("bad text has an impossible byte");
            let mut assembly = Utf8Assembly::default();
            for (index, byte) in bytes.iter().enumerate() {
                let result = assembly.push(&[*byte]);
                assert_eq!(result.is_err(), index == impossible, "{bytes:x?} at {index}");
                if result.is_err() {
                    break;
                }
            }
            // In one piece it fails as soon as the impossible byte is in it.
            assert!(Utf8Assembly::default().push(&bytes[..=impossible]).is_err(), "{bytes:x?}");
            assert!(Utf8Assembly::default().push(&bytes[..impossible]).is_ok(), "{bytes:x?}");
        }
    }

    #[test]
    fn c28_text_in_the_middle_of_a_character_is_impossible() {
        let mut assembly = Utf8Assembly::default();
        assert_eq!(assembly.push_text("ab"), Ok(()));
        assert_eq!(assembly.push(b"\xec\x86"), Ok(()));
        assert_eq!(assembly.push_text(""), Ok(()), "an empty piece says nothing");
        assert_eq!(assembly.push_text("c"), Err(InvalidUtf8));
    }

    #[test]
    fn c28_text_that_ends_inside_a_character() {
        assert_eq!(feed(&[b"ab\xec\x86"]), Err(InvalidUtf8));
        assert_eq!(feed(&[b"ab\xec\x86", b""]), Err(InvalidUtf8));
        assert_eq!(feed(&[b"ab\xec\x86", b"\x8c"]), Ok("ab소".to_owned()));
    }
}
