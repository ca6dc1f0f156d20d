//! Finds the paths (`tokio::net::TcpStream`) that a Rust file names, in `use` lines and elsewhere.
//!
//! This is no parser. It knows comments, literals, `use` trees and `a::b::c`, which is enough to see imports; a name
//! that was imported under another name is seen where it is imported.

/// A path that a file names, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPath {
    /// The line, from 1.
    pub line: usize,
    /// For example `["tokio", "net", "TcpStream"]`.
    pub segments: Vec<String>,
}

impl NamedPath {
    /// The path as it is written in Rust.
    pub fn text(&self) -> String {
        self.segments.join("::")
    }
}

/// All paths of two or more segments, and all imports, outside of `#[cfg(test)]` items.
pub fn named_paths(source: &str) -> Vec<NamedPath> {
    let code = tokens(&blank_comments_and_literals(source));
    let code = without_test_items(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let token = &code[at];
        let follows_path = at > 0 && code[at - 1].text == "::" && at > 1 && is_name(&code[at - 2].text);
        if token.text == "use" && code.get(at + 1).is_some_and(|next| next.text != "<") {
            at = use_tree(&code, at + 1, &[], &mut found);
        } else if is_name(&token.text)
            && !follows_path
            && code.get(at + 1).is_some_and(|next| next.text == "::")
        {
            let (segments, after) = path(&code, at);
            if segments.len() > 1 {
                found.push(NamedPath { line: token.line, segments });
            }
            at = after;
        } else {
            at += 1;
        }
    }
    found
}

/// The same text with comments and the insides of literals as spaces, so that what is left is code.
pub fn blank_comments_and_literals(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at + 1),
            b'r' | b'b' | b'c' if !after_name(bytes, at) => raw_or_prefixed_end(bytes, at).unwrap_or(at),
            b'\'' => char_end(source, at).unwrap_or(at),
            _ => at,
        };
        if end > at {
            out.extend(source[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            let character = source[at..].chars().next().expect("there is text left");
            out.push(character);
            at += character.len_utf8();
        }
    }
    out
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |length| at + length)
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// `at` is behind the opening quote.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `b"…"`, `c"…"`, `b'x'`, `r"…"`, `r#"…"#`, `br#"…"#`.
fn raw_or_prefixed_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while at < bytes.len() && matches!(bytes[at], b'r' | b'b' | b'c') && at - start < 2 {
        at += 1;
    }
    let is_raw = bytes[start..at].contains(&b'r');
    let hashes = bytes[at..].iter().take_while(|&&byte| byte == b'#').count();
    match bytes.get(at + hashes)? {
        b'"' if is_raw => {
            let closing = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            let inside = at + hashes + 1;
            let length = bytes[inside..].windows(closing.len()).position(|window| window == closing)?;
            Some(inside + length + closing.len())
        }
        b'"' if hashes == 0 => Some(string_end(bytes, at + 1)),
        b'\'' if hashes == 0 && !is_raw => {
            let skip = if bytes.get(at + 1) == Some(&b'\\') { 3 } else { 2 };
            bytes[at + skip..].iter().position(|&byte| byte == b'\'').map(|length| at + skip + length + 1)
        }
        _ => None,
    }
}

/// The end of a character literal; `None` for a lifetime.
fn char_end(source: &str, at: usize) -> Option<usize> {
    let inside = &source[at + 1..];
    let first = inside.chars().next()?;
    if first == '\\' {
        let length = inside[2..].find('\'')?;
        return Some(at + 1 + 2 + length + 1);
    }
    let after = &inside[first.len_utf8()..];
    after.starts_with('\'').then_some(at + 1 + first.len_utf8() + 1)
}

fn after_name(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

#[derive(Debug, Clone)]
struct Token {
    line: usize,
    text: String,
}

fn tokens(code: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if first.is_alphanumeric() || first == '_' {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            found.push(Token { line: index + 1, text: rest[..length].to_string() });
            rest = rest[length..].trim_start();
        }
    }
    found
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Leaves out what `#[cfg(test)]` marks, up to the end of its block or its semicolon, and a file that is all tests.
fn without_test_items(code: Vec<Token>) -> Vec<Token> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    const FILE_MARK: [&str; 8] = ["#", "!", "[", "cfg", "(", "test", ")", "]"];
    if code.iter().map(|token| token.text.as_str()).take(FILE_MARK.len()).eq(FILE_MARK) {
        return Vec::new();
    }
    let mut kept = Vec::with_capacity(code.len());
    let mut at = 0;
    while at < code.len() {
        if code[at..].iter().map(|token| token.text.as_str()).take(MARK.len()).eq(MARK) {
            at = item_end(&code, at + MARK.len());
        } else {
            kept.push(code[at].clone());
            at += 1;
        }
    }
    kept
}

fn item_end(code: &[Token], mut at: usize) -> usize {
    let mut depth = 0;
    while at < code.len() {
        match code[at].text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            ")" | "]" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Reads `a::b::c` from `at` on; returns it and the place behind it.
fn path(code: &[Token], mut at: usize) -> (Vec<String>, usize) {
    let mut segments = vec![code[at].text.clone()];
    while code.get(at + 1).is_some_and(|token| token.text == "::")
        && code.get(at + 2).is_some_and(|token| is_name(&token.text))
    {
        at += 2;
        segments.push(code[at].text.clone());
    }
    (segments, at + 1)
}

/// Reads a `use` tree from `at` on, adds its leaves, and returns the place behind it.
fn use_tree(code: &[Token], mut at: usize, before: &[String], found: &mut Vec<NamedPath>) -> usize {
    let mut segments = before.to_vec();
    let line = code.get(at).map_or(0, |token| token.line);
    while let Some(token) = code.get(at) {
        match token.text.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while code.get(at).is_some_and(|token| token.text != "}") {
                    at = use_tree(code, at, &segments, found);
                    if code.get(at).is_some_and(|token| token.text == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "as" => at += 2,
            "self" if !segments.is_empty() => at += 1,
            "," | "}" | ";" => break,
            "*" => {
                segments.push("*".to_string());
                at += 1;
            }
            name if is_name(name) => {
                segments.push(name.to_string());
                at += 1;
            }
            _ => at += 1,
        }
    }
    if segments.len() > before.len() || !segments.is_empty() {
        found.push(NamedPath { line, segments });
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<String> {
        named_paths(source).iter().map(NamedPath::text).collect()
    }

    #[test]
    fn use_trees_are_spread_out() {
        assert_eq!(
            texts("use std::{io::{self, Read as R}, net::*, fmt};\npub(crate) use tokio;"),
            ["std::io", "std::io::Read", "std::net::*", "std::fmt", "tokio"]
        );
    }

    #[test]
    fn paths_in_the_middle_of_code_are_found() {
        assert_eq!(
            texts("fn a() -> ::std::io::Result<()> { tokio::spawn(b.c::<u8>()); x::Y::<z::W>::new() }"),
            ["std::io::Result", "tokio::spawn", "x::Y", "z::W"]
        );
        assert_eq!(texts("#[tokio::main]\nasync fn main() {}"), ["tokio::main"]);
    }

    #[test]
    fn comments_and_literals_name_nothing() {
        let source = r##"
            // std::net::A
            /* std::net::B /* std::net::C */ std::net::D */
            const A: &str = "std::net::E \" std::net::F";
            const B: &str = r#"std::net::G " std::net::H"#;
            const C: &[u8] = b"std::net::I";
            const D: [char; 3] = ['"', '\'', '\u{1F991}'];
            const E: u8 = b'"';
            fn f<'a>(x: &'a str) -> seen::Path<'a> {}
        "##;
        assert_eq!(texts(source), ["seen::Path"]);
    }

    #[test]
    fn test_items_are_left_out() {
        let source = "use a::B;\n#[cfg(test)]\nmod tests { use std::net::C; fn f() { d::E } }\n#[cfg(test)] use g::H;\nuse i::J;";
        assert_eq!(texts(source), ["a::B", "i::J"]);
        assert_eq!(texts("//! Tests.\n#![cfg(test)]\nuse a::B;"), Vec::<String>::new());
        assert_eq!(texts("#![cfg(feature = \"tls\")]\nuse a::B;"), ["a::B"]);
    }

    #[test]
    fn lines_are_counted_from_one() {
        let found = named_paths("// first\nuse a::B;\n\nfn f() { c::D }");
        assert_eq!(found.iter().map(|path| path.line).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn precise_capturing_is_no_import() {
        assert_eq!(texts("fn f(&self) -> impl Sized + use<'_> { 1 }"), Vec::<String>::new());
    }
}
