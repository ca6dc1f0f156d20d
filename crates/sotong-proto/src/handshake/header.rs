//! The syntax of header fields: tokens, lists, and what an application may have sent.

use std::fmt;

/// Whether `byte` may stand in a token (RFC 9110, section 5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether `text` is a token: at least one byte, all of them token bytes.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// The elements of a comma-separated list without the white space around them.
///
/// Empty elements are skipped, as RFC 9110, section 5.6.1.2 asks of a recipient. Commas inside quoted strings are
/// not understood: for lists of tokens only.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// `text` without the spaces and tabs around it (OWS, RFC 9110, section 5.6.3).
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// A header field that the application asked us to send and that we do not send.
///
/// Everything that is written into a request or a response is checked, because a line break in a value that comes
/// from elsewhere would let that elsewhere write headers, or a whole response, of its own (response splitting;
/// CVE-2020-35678, CVE-2026-1527).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is not a token (RFC 9110, section 5.1).
    Name {
        /// The name as it was given.
        name: String,
    },
    /// The value holds CR, LF, NUL or another control character (RFC 9110, section 5.5).
    Value {
        /// The name of the field.
        name: String,
    },
    /// The handshake itself writes this field, or must not carry it: `Upgrade`, `Connection`, `Content-Length`,
    /// `Transfer-Encoding`, whatever begins with `Sec-WebSocket-`, and in a request `Host`.
    Managed {
        /// The name as it was given.
        name: String,
    },
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::Name { name } => write!(
                f,
                "header name {name:?} is not a token: allowed are letters, digits and any of !#$%&'*+-.^_`|~"
            ),
            // Not the value itself: it may be a password with a line break at its end.
            HeaderError::Value { name } => write!(
                f,
                "the value of header {name:?} holds a control character (a line break at its end?); allowed are all others, and tabs"
            ),
            HeaderError::Managed { name } => write!(
                f,
                "header {name:?} is written by the handshake; allowed is any but Upgrade, Connection, Content-Length, Transfer-Encoding, Sec-WebSocket-* and, in a request, Host"
            ),
        }
    }
}

impl std::error::Error for HeaderError {}

/// Header fields that may go out: each was checked when it came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SentHeaders(Vec<(String, String)>);

impl SentHeaders {
    /// # Errors
    /// When the field may not be sent; then nothing was added.
    pub(super) fn add(&mut self, name: String, value: String) -> Result<(), HeaderError> {
        if !is_token(name.as_bytes()) {
            return Err(HeaderError::Name { name });
        }
        if is_managed(&name) {
            return Err(HeaderError::Managed { name });
        }
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(HeaderError::Value { name });
        }
        self.0.push((name, value));
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    pub(super) fn write(&self, response: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            write_field(response, name, value);
        }
    }
}

/// Writes a field that is known to be fit: ours, or checked by [`SentHeaders::add`].
pub(super) fn write_field(response: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        response.extend_from_slice(part.as_bytes());
    }
}

fn is_managed(name: &str) -> bool {
    const PREFIX: &str = "sec-websocket-";
    ["upgrade", "connection", "content-length", "transfer-encoding"]
        .iter()
        .any(|managed| name.eq_ignore_ascii_case(managed))
        || name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a7_tokens_are_those_of_rfc_9110() {
        let tokens = (0..=255u8).filter(|&byte| is_token_byte(byte)).count();
        assert_eq!(tokens, 26 + 26 + 10 + 15);
        for separator in b"()<>@,;:\\\"/[]?={} \t\x7f\x80" {
            assert!(!is_token_byte(*separator), "{}", separator.escape_ascii());
        }
        assert!(!is_token(b""));
    }

    #[test]
    fn a3_lists_skip_white_space_and_empty_elements() {
        let elements: Vec<&[u8]> = list(b" a,\tb ,, c d,").collect();
        assert_eq!(elements, [&b"a"[..], b"b", b"c d"]);
        assert_eq!(list(b" , ,").count(), 0);
    }

    #[test]
    fn fields_that_could_split_the_response_are_refused() {
        let mut headers = SentHeaders::default();
        let mut add = |name: &str, value: &str| headers.add(name.into(), value.into());
        for value in ["a\r\nB: c", "a\nb", "a\rb", "a\0b", "\x1b", "\x7f"] {
            assert_eq!(add("X-A", value), Err(HeaderError::Value { name: "X-A".into() }), "{value:?}");
        }
        for name in ["", "a b", "a:", "a\r\nb", "é"] {
            assert_eq!(add(name, "v"), Err(HeaderError::Name { name: name.into() }), "{name:?}");
        }
        for name in ["UPGRADE", "connection", "Content-length", "transfer-Encoding", "Sec-WebSocket-Accept"] {
            assert_eq!(add(name, "v"), Err(HeaderError::Managed { name: name.into() }), "{name:?}");
        }
        assert_eq!(add("Set-Cookie", "a=b;\tc=é"), Ok(()));
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("Set-Cookie", "a=b;\tc=é")]);
    }
}
