//! Standard input, cut into messages.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

/// How input becomes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Each line is a message.
    Lines,
    /// All of it, up to its end, is one message.
    Whole,
}

/// Whether what is sent is text or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, which has to be UTF-8.
    Text,
    /// Bytes of any value.
    Binary,
}

/// A message to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Binary(Vec<u8>),
}

impl Piece {
    pub(super) fn len(&self) -> usize {
        match self {
            Piece::Text(text) => text.len(),
            Piece::Binary(bytes) => bytes.len(),
        }
    }
}

/// Why the input cannot be sent.
#[derive(Debug)]
pub(super) enum InputError {
    TooLong { line: Option<u64>, bytes_max: u64 },
    NotUtf8 { line: Option<u64> },
    Io(io::Error),
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |line: &Option<u64>| match line {
            Some(line) => format!("line {line} of stdin"),
            None => "stdin".to_owned(),
        };
        match self {
            InputError::TooLong { line, bytes_max } => write!(
                f,
                "{} is longer than {bytes_max} bytes, the largest message: see --message-bytes-max",
                place(line)
            ),
            InputError::NotUtf8 { line } => {
                write!(f, "{} is not UTF-8, as text has to be: see --binary", place(line))
            }
            InputError::Io(error) => write!(f, "cannot read stdin: {error}"),
        }
    }
}

/// Reads messages, and holds no more than one of them.
#[derive(Debug)]
pub(super) struct Pieces<R> {
    input: R,
    cut: Cut,
    kind: Kind,
    bytes_max: u64,
    line: u64,
    is_done: bool,
}

impl<R: BufRead> Pieces<R> {
    pub(super) fn new(input: R, cut: Cut, kind: Kind, bytes_max: u64) -> Self {
        Pieces { input, cut, kind, bytes_max, line: 0, is_done: false }
    }

    fn bytes(&mut self) -> Result<Option<Vec<u8>>, InputError> {
        let mut bytes = Vec::new();
        // One byte more than allowed shows that there is more; a line end of two bytes does not count.
        let mut input = (&mut self.input).take(self.bytes_max.saturating_add(2));
        match self.cut {
            Cut::Lines => input.read_until(b'\n', &mut bytes),
            Cut::Whole => input.read_to_end(&mut bytes),
        }
        .map_err(InputError::Io)?;
        self.line += 1;
        if self.cut == Cut::Lines {
            match bytes.pop() {
                None => return Ok(None),
                // Files of Windows end their lines with CR LF. In bytes a CR may be anything.
                Some(b'\n') if self.kind == Kind::Text => drop(bytes.pop_if(|last| *last == b'\r')),
                Some(b'\n') => {}
                Some(other) => bytes.push(other),
            }
        }
        match bytes.len() as u64 > self.bytes_max {
            true => Err(InputError::TooLong { line: self.place(), bytes_max: self.bytes_max }),
            false => Ok(Some(bytes)),
        }
    }

    fn place(&self) -> Option<u64> {
        (self.cut == Cut::Lines).then_some(self.line)
    }
}

impl<R: Read> Pieces<BufReader<R>> {
    /// Whether the next message is here already, so that asking for it does not wait.
    pub(super) fn is_ready(&self) -> bool {
        self.is_done || (self.cut == Cut::Lines && self.input.buffer().contains(&b'\n'))
    }
}

impl<R: BufRead> Iterator for Pieces<R> {
    type Item = Result<Piece, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let piece = self.bytes().and_then(|bytes| match (bytes, self.kind) {
            (None, _) => Ok(None),
            (Some(bytes), Kind::Binary) => Ok(Some(Piece::Binary(bytes))),
            (Some(bytes), Kind::Text) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Some(Piece::Text(text))),
                Err(_) => Err(InputError::NotUtf8 { line: self.place() }),
            },
        });
        self.is_done = self.cut == Cut::Whole || !matches!(piece, Ok(Some(_)));
        piece.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(input: &[u8], cut: Cut, kind: Kind, bytes_max: u64) -> Vec<Result<Piece, String>> {
        Pieces::new(input, cut, kind, bytes_max).map(|each| each.map_err(|error| error.to_string())).collect()
    }

    fn texts(input: &str) -> Vec<String> {
        let text = |piece| match piece {
            Ok(Piece::Text(text)) => text,
            other => panic!("{other:?}"),
        };
        pieces(input.as_bytes(), Cut::Lines, Kind::Text, 5).into_iter().map(text).collect()
    }

    #[test]
    fn lines_with_all_kinds_of_ends() {
        assert_eq!(texts(""), [""; 0]);
        assert_eq!(texts("hi"), ["hi"]);
        assert_eq!(texts("hi\n"), ["hi"]);
        assert_eq!(texts("\n\na\r\nb\rc\n\r"), ["", "", "a", "b\rc", "\r"]);
    }

    #[test]
    fn a_line_at_the_limit_and_one_past_it() {
        assert_eq!(texts("12345\n12345\r\n12345"), ["12345"; 3]);
        for input in ["123456", "123456\n", "1234567\n", "123456\r\n", &"1".repeat(100)] {
            let error = pieces(format!("ok\n{input}").as_bytes(), Cut::Lines, Kind::Text, 5);
            let [Ok(_), Err(error)] = &error[..] else { panic!("{error:?}") };
            assert!(error.starts_with("line 2 of stdin is longer than 5 bytes"), "{error}");
        }
        let whole = pieces(b"123456", Cut::Whole, Kind::Text, 5);
        assert!(matches!(&whole[..], [Err(error)] if error.starts_with("stdin is longer")), "{whole:?}");
    }

    #[test]
    fn an_endless_line_is_read_only_to_the_limit() {
        let mut endless = Pieces::new(BufReader::new(io::repeat(b'x')), Cut::Lines, Kind::Text, 1000);
        assert!(matches!(endless.next(), Some(Err(InputError::TooLong { line: Some(1), .. }))));
        assert!(endless.next().is_none());
    }

    #[test]
    fn bytes_keep_all_but_the_line_end() {
        let binary = |bytes: &[u8]| Ok(Piece::Binary(bytes.to_vec()));
        assert_eq!(
            pieces(b"\xff\r\n\x00", Cut::Lines, Kind::Binary, 9),
            [binary(b"\xff\r"), binary(b"\x00")]
        );
        assert_eq!(pieces(b"a\r\nb\n", Cut::Whole, Kind::Binary, 9), [binary(b"a\r\nb\n")]);
        assert_eq!(pieces(b"", Cut::Whole, Kind::Binary, 9), [binary(b"")]);
    }

    #[test]
    fn text_that_is_not_utf8_is_named_by_its_line() {
        let pieces = pieces(b"a\nb\xff\nc\n", Cut::Lines, Kind::Text, 9);
        let [Ok(_), Err(error)] = &pieces[..] else { panic!("{pieces:?}") };
        assert!(error.starts_with("line 2 of stdin is not UTF-8"), "{error}");
    }
}
