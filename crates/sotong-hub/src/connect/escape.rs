//! What a peer sends, made harmless for a terminal.
//!
//! A terminal obeys what it is shown: escape sequences move the cursor, rewrite lines that were read already, set the
//! title, and on some terminals type for the user. Marks of direction make text read in another order than it has.

use std::fmt::Write as _;

/// Whether a terminal, or the eye behind it, would take this character for something else than a sign.
pub(super) fn is_dangerous(each: char) -> bool {
    each.is_control()                                   // C0, DEL and C1
        || matches!(each,
            '\u{061c}' | '\u{200e}' | '\u{200f}'        // marks of direction
            | '\u{202a}'..='\u{202e}'                   // embeddings and overrides of direction
            | '\u{2066}'..='\u{2069}'                   // isolates of direction
            | '\u{2028}' | '\u{2029}'                   // line and paragraph separators
            | '\u{200b}' | '\u{2060}'..='\u{2064}'      // nothing to see, and there all the same
            | '\u{206a}'..='\u{206f}'                   // deprecated shaping marks
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'      // byte order mark, annotations
            | '\u{e0000}'..='\u{e007f}'                 // tags: a second, invisible ASCII
        )
}

/// One line: whatever is dangerous becomes visible, line ends among it.
pub(crate) fn line(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for each in text.chars() {
        push(&mut escaped, each);
    }
    escaped
}

/// Several lines: line ends and tabs stay, and each line but the first is set in by `indent`.
///
/// Set in, no line of a peer can pass for one of ours.
pub(super) fn block(text: &str, indent: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(each) = rest.next() {
        match each {
            '\r' if rest.peek() == Some(&'\n') => {}
            '\n' => {
                escaped.push('\n');
                escaped.push_str(indent);
            }
            '\t' => escaped.push('\t'),
            other => push(&mut escaped, other),
        }
    }
    escaped
}

/// Bytes that ought to be text: what is not UTF-8 becomes U+FFFD.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    line(&String::from_utf8_lossy(bytes))
}

fn push(escaped: &mut String, each: char) {
    match each {
        '\n' => escaped.push_str("\\n"),
        '\r' => escaped.push_str("\\r"),
        '\t' => escaped.push_str("\\t"),
        '\u{1b}' => escaped.push_str("\\e"),
        other if is_dangerous(other) => {
            let _ = write!(escaped, "\\u{{{:x}}}", u32::from(other));
        }
        other => escaped.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_of_any_language_stays() {
        for text in ["", "hi", "소통", "שלום", "مرحبا", "नमस्ते", "👩‍👩‍👧", "e\u{301}", "می\u{200c}خواهم", "\\"]
        {
            assert_eq!(line(text), text);
            assert_eq!(block(text, "  "), text);
        }
    }

    #[test]
    fn what_commands_a_terminal_is_shown_instead() {
        assert_eq!(line("\x1b[2Jgone"), "\\e[2Jgone");
        assert_eq!(line("\x1b]0;title\x07"), "\\e]0;title\\u{7}");
        assert_eq!(line("a\u{9b}31mb"), "a\\u{9b}31mb");
        assert_eq!(line("a\rb\nc\td\x7f\0"), "a\\rb\\nc\\td\\u{7f}\\u{0}");
        assert_eq!(line("user\u{202e}txt.exe"), "user\\u{202e}txt.exe");
        assert_eq!(line("\u{2066}\u{2069}\u{200b}\u{feff}"), "\\u{2066}\\u{2069}\\u{200b}\\u{feff}");
        assert_eq!(line("\u{e0041}\u{2028}"), "\\u{e0041}\\u{2028}");
    }

    #[test]
    fn no_control_character_is_left_out() {
        for each in (0..=0x10ffff).filter_map(char::from_u32).filter(|each| each.is_control()) {
            assert!(!line(&each.to_string()).contains(each), "{each:?}");
            let kept = block(&each.to_string(), "").contains(each);
            assert_eq!(kept, matches!(each, '\n' | '\t'), "{each:?}");
        }
    }

    #[test]
    fn lines_of_a_block_are_set_in() {
        assert_eq!(block("one\n* closed\r\nthree\rfour", "  "), "one\n  * closed\n  three\\rfour");
    }

    #[test]
    fn bytes_that_are_not_utf8() {
        assert_eq!(bytes(b"a\xff\x1b"), "a\u{fffd}\\e");
    }
}
