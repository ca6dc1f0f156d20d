//! Header lines as they are kept with a connection: one after another in one run of bytes.
//!
//! Each is `name:value` and ends with LF. No name and no value can hold an LF, so lengths and offsets need not be
//! kept, and a whole head costs its text and nothing else.

use memchr::memchr;

/// Appends the `headers` that are not `consumed` by the handshake.
pub(super) fn push_fields<'a>(
    lines: &mut Vec<u8>,
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    consumed: &[&str],
) {
    for (name, value) in headers {
        debug_assert!(memchr(b'\n', value).is_none());
        if consumed.iter().any(|consumed| name.eq_ignore_ascii_case(consumed)) {
            continue;
        }
        lines.extend_from_slice(name.as_bytes());
        lines.push(b':');
        lines.extend_from_slice(value);
        lines.push(b'\n');
    }
}

/// The fields in `lines`, which hold nothing else.
pub(super) fn fields(mut lines: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    std::iter::from_fn(move || {
        let (line, after) = split_line(lines);
        lines = after;
        let colon = memchr(b':', line)?;
        Some((text(&line[..colon]), &line[colon + 1..]))
    })
}

/// The values of the fields of that name, in any case of letters.
pub(super) fn values<'a>(lines: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields(lines).filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The value of the first field of that name, if it is UTF-8.
pub(super) fn first_text<'a>(lines: &'a [u8], name: &str) -> Option<&'a str> {
    std::str::from_utf8(values(lines, name).next()?).ok()
}

/// The first line without its LF, and what follows it.
pub(super) fn split_line(lines: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b'\n', lines) {
        Some(end) => (&lines[..end], &lines[end + 1..]),
        None => (lines, &[]),
    }
}

/// For parts that were checked to be ASCII before they were kept.
pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
