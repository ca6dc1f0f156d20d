//! The elements of `Sec-WebSocket-Extensions` (RFC 6455, section 9.1).

use std::borrow::Cow;

use super::header::is_token_byte;

/// One extension that the peer offers, as it wrote it: a name and parameters.
///
/// The syntax was checked when the request came in; whether the parameters mean anything is for the extension to
/// say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionOffer<'a> {
    name: &'a str,
    /// `; name[=value]` any number of times.
    parameters: &'a str,
}

impl<'a> ExtensionOffer<'a> {
    /// The name of the extension, such as `permessage-deflate`, as the peer wrote it.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The parameters in their order, repetitions included. A quoted value comes without its quotes.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter<'a>> + use<'a> {
        let mut cursor = Cursor { rest: self.parameters };
        std::iter::from_fn(move || cursor.parameter().ok().flatten())
    }
}

/// A name and perhaps a value.
type Parameter<'a> = (&'a str, Option<Cow<'a, str>>);

/// The header value breaks the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The elements of one header line, each looked at once; ends after the first malformed one.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = Result<ExtensionOffer<'_>, Malformed>> {
    // Whatever is not UTF-8 is not made of tokens either, and "\0" is no token.
    let mut cursor = Cursor { rest: std::str::from_utf8(value).unwrap_or("\0") };
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let element = cursor.element().transpose();
        failed = matches!(element, Some(Err(_)));
        element
    })
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// The next element with the comma after it; `None` at the end. Empty elements are skipped (RFC 9110, section
    /// 5.6.1.2).
    fn element(&mut self) -> Result<Option<ExtensionOffer<'a>>, Malformed> {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        if self.rest.is_empty() {
            return Ok(None);
        }
        let name = self.token()?;
        let start = self.rest;
        while self.parameter()?.is_some() {}
        let parameters = &start[..start.len() - self.rest.len()];
        if !self.eat(',') && !self.rest.is_empty() {
            return Err(Malformed);
        }
        Ok(Some(ExtensionOffer { name, parameters }))
    }

    /// The next `; name[=value]`; `None` if there is no semicolon.
    fn parameter(&mut self) -> Result<Option<Parameter<'a>>, Malformed> {
        if !self.eat(';') {
            return Ok(None);
        }
        let name = self.token()?;
        let value = if self.eat('=') { Some(self.value()?) } else { None };
        Ok(Some((name, value)))
    }

    /// A token, or a quoted string that is a token once it is unquoted (a MUST of RFC 6455, section 9.1).
    fn value(&mut self) -> Result<Cow<'a, str>, Malformed> {
        if !self.eat('"') {
            return self.token().map(Cow::Borrowed);
        }
        let text = self.rest;
        let mut unescaped: Option<String> = None;
        let mut bytes = text.bytes().enumerate();
        while let Some((position, byte)) = bytes.next() {
            let byte = match byte {
                b'"' => {
                    self.rest = &text[position + 1..];
                    let value = unescaped.map_or(Cow::Borrowed(&text[..position]), Cow::Owned);
                    return if value.is_empty() { Err(Malformed) } else { Ok(value) };
                }
                b'\\' => {
                    unescaped.get_or_insert_with(|| text[..position].to_owned());
                    bytes.next().ok_or(Malformed)?.1
                }
                _ => byte,
            };
            if !is_token_byte(byte) {
                return Err(Malformed);
            }
            if let Some(unescaped) = &mut unescaped {
                unescaped.push(char::from(byte));
            }
        }
        Err(Malformed)
    }

    fn token(&mut self) -> Result<&'a str, Malformed> {
        self.skip_space();
        let end = self.rest.bytes().position(|byte| !is_token_byte(byte)).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(Malformed);
        }
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(token)
    }

    /// Takes `separator`, with the white space before it.
    ///
    /// White space around every separator is allowed: RFC 6455 takes its grammar from RFC 2616, section 2.1.
    fn eat(&mut self, separator: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(separator) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The elements written in one normal way, or `None` if malformed.
    fn normal(value: &str) -> Option<String> {
        let mut elements_out = Vec::new();
        for element in elements(value.as_bytes()) {
            let element = element.ok()?;
            let mut text = element.name().to_owned();
            for (name, value) in element.parameters() {
                text.push_str(&match value {
                    Some(value) => format!(";{name}={value}"),
                    None => format!(";{name}"),
                });
            }
            elements_out.push(text);
        }
        Some(elements_out.join(","))
    }

    #[test]
    fn a11_elements_and_parameters() {
        for (value, expected) in [
            ("", ""),
            (" , ,", ""),
            ("foo", "foo"),
            ("foo, bar; baz=2", "foo,bar;baz=2"),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate;client_max_window_bits"),
            ("a;b=\"10\";c", "a;b=10;c"),
            ("a;b=\"1\\0\\!\"", "a;b=10!"),
            ("a ; b = c\t, d", "a;b=c,d"),
            ("a;b;b=1;b", "a;b;b=1;b"),
            (",a,,b,", "a,b"),
        ] {
            assert_eq!(normal(value).as_deref(), Some(expected), "{value:?}");
        }
    }

    #[test]
    fn a7_malformed_elements() {
        for value in [
            ";",
            "=",
            "a;",
            "a;;b",
            "a;b=",
            "a;=c",
            "a b",
            "a;b c",
            "a;b=c d",
            "a;b=\"",
            "a;b=\"c",
            "a;b=\"\"",
            "a;b=\"c,d\"",
            "a;b=\"c d\"",
            "a;b=\"\\",
            "a;b=\"\\\"\"",
            "a;b=\"c\"d",
            "a=b",
            "a/1",
            "é",
            "a;b=\"é\"",
            "a;b=\"\\é\"",
            "\"a\"",
            "a,;b",
        ] {
            assert_eq!(normal(value), None, "{value:?}");
        }
        assert_eq!(elements(b"\xff").next(), Some(Err(Malformed)));
        assert_eq!(elements(b"\xff, a").count(), 1, "nothing after the first error");
    }
}
