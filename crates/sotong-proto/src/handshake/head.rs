//! Where the head of a request or a response ends, found in pieces of any size, with every limit on it.

use memchr::memchr3;

use super::header::is_token_byte;
use crate::Config;

/// The limits of [`Config`] that concern the head.
#[derive(Debug, Clone, Copy)]
struct Limits {
    start_line_bytes_max: usize,
    head_bytes_max: usize,
    headers_max: usize,
}

/// What is wrong with a head, told at the first byte that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadFault {
    /// The first line does not begin as one of HTTP does.
    NotHttp,
    /// Empty lines where the first line should be.
    Blank,
    BareCr,
    BareLf,
    Nul,
    /// A header line that begins with a space (obs-fold).
    Folded,
    /// The start line has more than so many bytes.
    StartLineBytes(usize),
    /// The head has more than so many bytes.
    HeadBytes(usize),
    /// The head has more than so many header lines.
    Headers(usize),
}

/// Finds the end of a head and looks at each byte once, however the bytes are cut.
///
/// It stops at the first byte that breaks a limit or the shape of a head, so neither memory nor work grows past
/// the limits. The *contents* of the lines are judged later, once, by `httparse`.
///
/// Stricter than `httparse` and than RFC 9112 demands: section 2.2 lets a recipient take a bare LF for a line end.
/// Two parsers that disagree about where a line ends are how requests are smuggled, so we do not.
#[derive(Debug)]
pub(super) struct HeadScanner {
    limits: Limits,
    line: Line,
    line_bytes: usize,
    head_bytes: usize,
    headers: usize,
    /// The last byte was a CR, so the next one must be an LF.
    after_cr: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Request,
    /// The request line, after one empty line that is ignored (RFC 9112, section 2.2).
    RequestAfterBlank,
    Status,
    Header,
}

/// How every status line begins whose HTTP we understand (RFC 9112, section 2.3).
const STATUS_LINE_START: &[u8] = b"HTTP/1.";

impl HeadScanner {
    /// For a request head.
    pub(super) fn request(config: &Config) -> Self {
        let limits = Limits {
            start_line_bytes_max: config.request_line_bytes_max.min(config.head_bytes_max),
            head_bytes_max: config.head_bytes_max,
            headers_max: config.headers_max,
        };
        Self::new(Line::Request, limits)
    }

    /// For a response head. Its status line may be as long as the head.
    pub(super) fn response(config: &Config) -> Self {
        let limits = Limits {
            start_line_bytes_max: config.head_bytes_max,
            head_bytes_max: config.head_bytes_max,
            headers_max: config.headers_max,
        };
        Self::new(Line::Status, limits)
    }

    fn new(line: Line, limits: Limits) -> Self {
        HeadScanner { limits, line, line_bytes: 0, head_bytes: 0, headers: 0, after_cr: false }
    }

    /// Makes ready for another response head, by the same limits.
    pub(super) fn restart(&mut self) {
        *self = Self::new(Line::Status, self.limits);
    }

    /// How many header lines have begun so far.
    pub(super) fn headers(&self) -> usize {
        self.headers
    }

    /// Takes the next bytes. `Some(n)`: the head ends after the first `n` of them; `None`: it goes on.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadFault> {
        let mut position = 0;
        while position < bytes.len() {
            let left = self.limits.head_bytes_max.saturating_sub(self.head_bytes);
            let rest = &bytes[position..];
            // Never look further than the limit: a caller may hand us much more than a head.
            let window = &rest[..rest.len().min(left)];
            let Some(&first) = window.first() else { return Err(self.too_large()) };

            if self.after_cr {
                if first != b'\n' {
                    return Err(HeadFault::BareCr);
                }
                self.after_cr = false;
                position += self.pass(1);
                if self.end_line()? {
                    return Ok(Some(position));
                }
                continue;
            }

            let run = memchr3(b'\r', b'\n', 0, window).unwrap_or(window.len());
            if run > 0 {
                self.text(&window[..run])?;
                position += self.pass(run);
            }
            match window.get(run) {
                None => {}
                Some(b'\r') => {
                    self.after_cr = true;
                    position += self.pass(1);
                }
                Some(b'\n') => {
                    return Err(HeadFault::BareLf);
                }
                Some(_) => return Err(HeadFault::Nul),
            }
        }
        Ok(None)
    }

    fn pass(&mut self, bytes: usize) -> usize {
        #[cfg(test)]
        super::server::looked_at(bytes);
        self.head_bytes += bytes;
        bytes
    }

    /// A `run` of at least one byte that is part of a line.
    fn text(&mut self, run: &[u8]) -> Result<(), HeadFault> {
        let begins = self.line_bytes == 0;
        let first = run[0];
        match self.line {
            Line::Request | Line::RequestAfterBlank if begins && !is_token_byte(first) => {
                return Err(HeadFault::NotHttp);
            }
            Line::Status => {
                let expected = STATUS_LINE_START.get(self.line_bytes..).unwrap_or_default();
                if expected.iter().zip(run).any(|(expected, byte)| expected != byte) {
                    return Err(HeadFault::NotHttp);
                }
            }
            // RFC 9112, section 5.2: a server MUST reject a folded line or replace the fold, a client must replace
            // it; we reject. Nobody has a reason to send one, unless two parsers are to disagree.
            Line::Header if begins && matches!(first, b' ' | b'\t') => return Err(HeadFault::Folded),
            Line::Header if begins => {
                if self.headers >= self.limits.headers_max {
                    return Err(HeadFault::Headers(self.limits.headers_max));
                }
                self.headers += 1;
            }
            _ => {}
        }
        self.line_bytes += run.len();
        if self.line != Line::Header && self.line_bytes > self.limits.start_line_bytes_max {
            return Err(self.too_large());
        }
        Ok(())
    }

    /// A line has ended. `true`: it was the empty line that ends the head.
    fn end_line(&mut self) -> Result<bool, HeadFault> {
        let empty = self.line_bytes == 0;
        self.line_bytes = 0;
        match (self.line, empty) {
            (Line::Header, true) => return Ok(true),
            (Line::Header, false) => {}
            (Line::Request, true) => self.line = Line::RequestAfterBlank,
            (Line::RequestAfterBlank | Line::Status, true) => return Err(HeadFault::Blank),
            (Line::Request | Line::RequestAfterBlank | Line::Status, false) => self.line = Line::Header,
        }
        Ok(false)
    }

    fn too_large(&self) -> HeadFault {
        match self.line {
            // As long as we are in the request line, it is the line that is too long, whichever limit it met.
            Line::Request | Line::RequestAfterBlank => {
                HeadFault::StartLineBytes(self.limits.start_line_bytes_max)
            }
            Line::Status | Line::Header => HeadFault::HeadBytes(self.limits.head_bytes_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::refusal::Refusal;

    fn scan(config: &Config, head: &[u8]) -> Result<Option<usize>, u16> {
        HeadScanner::request(config).scan(head).map_err(|fault| Refusal::from(fault).status())
    }

    #[test]
    fn a15_end_is_found_and_what_follows_is_not_looked_at() {
        let config = Config::default();
        assert_eq!(scan(&config, b"GET / HTTP/1.1\r\n\r\n\n\0\r"), Ok(Some(18)));
        assert_eq!(scan(&config, b"GET / HTTP/1.1\r\nA: b\r\n\r\n"), Ok(Some(24)));
        assert_eq!(scan(&config, b"GET / HTTP/1.1\r\nA: b\r\n\r"), Ok(None));
        assert_eq!(scan(&config, b""), Ok(None));
    }

    #[test]
    fn a15_one_leading_empty_line_is_ignored_two_are_not() {
        let config = Config::default();
        assert_eq!(scan(&config, b"\r\nGET / HTTP/1.1\r\n\r\n"), Ok(Some(20)));
        assert_eq!(scan(&config, b"\r\n\r\n"), Err(400));
    }

    #[test]
    fn a7_shape_is_refused_at_once() {
        let config = Config::default();
        for head in [
            &b"GET / HTTP/1.1\n"[..],
            b"GET / HTTP/1.1\rX",
            b"GET / HTTP/1.1\r\r\n",
            b"GET / \0",
            b"GET / HTTP/1.1\r\nA: b\r\n ",
            b"GET / HTTP/1.1\r\nA: b\r\n\t",
            b"GET / HTTP/1.1\r\nA: b\r\n\n",
            b" ",
            b"\x16\x03\x01",
        ] {
            assert_eq!(scan(&config, head), Err(400), "{}", head.escape_ascii());
        }
    }

    #[test]
    fn a15_request_line_at_limit_and_one_more() {
        let config = Config::default().with_request_line_bytes_max(20);
        assert_eq!(scan(&config, b"GET /567890 HTTP/1.1\r\n"), Ok(None));
        assert_eq!(scan(&config, b"GET /5678901 HTTP/1.1"), Err(414));
        // It is told with the first byte too many, not at the end of the line.
        assert_eq!(scan(&config, &[b'A'; 20]), Ok(None));
        assert_eq!(scan(&config, &[b'A'; 21]), Err(414));
    }

    #[test]
    fn a15_head_at_limit_and_one_more() {
        let head = b"GET / HTTP/1.1\r\nA: b\r\n\r\n";
        let config = Config::default().with_head_bytes_max(head.len());
        assert_eq!(scan(&config, head), Ok(Some(head.len())));
        assert_eq!(scan(&config.with_head_bytes_max(head.len() - 1), head), Err(431));
        // A request line that alone is larger than the head may be is too long a line.
        assert_eq!(scan(&Config::default().with_head_bytes_max(5), head), Err(414));
        assert_eq!(scan(&Config::default().with_head_bytes_max(0), head), Err(414));
    }

    #[test]
    fn a15_header_count_at_limit_and_one_more() {
        let config = Config::default().with_headers_max(2);
        assert_eq!(scan(&config, b"GET / HTTP/1.1\r\nA:\r\nB:\r\n\r\n"), Ok(Some(26)));
        assert_eq!(scan(&config, b"GET / HTTP/1.1\r\nA:\r\nB:\r\nC"), Err(431));
    }
}
