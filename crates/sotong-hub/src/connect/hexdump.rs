//! Bytes for people: offset, sixteen bytes, and what of them is readable.

use std::fmt::Write as _;

const PER_LINE: usize = 16;

/// A dump in lines, without a line end behind the last; each line begins with `indent`.
///
/// ```text
/// 00000000  68 65 6c 6c 6f 00 ff                              |hello..|
/// ```
pub(super) fn dump(bytes: &[u8], indent: &str) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(PER_LINE) * (80 + indent.len()));
    for (index, line) in bytes.chunks(PER_LINE).enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let _ = write!(text, "{indent}{:08x} ", index * PER_LINE);
        for column in 0..PER_LINE {
            // A wider gap in the middle, as hexdump(1) has it.
            text.push_str(if column == PER_LINE / 2 { "  " } else { " " });
            match line.get(column) {
                Some(byte) => {
                    let _ = write!(text, "{byte:02x}");
                }
                None => text.push_str("  "),
            }
        }
        text.push_str("  |");
        text.extend(line.iter().map(|&byte| match byte {
            b' '..=b'~' => char::from(byte),
            _ => '.',
        }));
        text.push('|');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_hexdump_prints_it() {
        assert_eq!(dump(b"", ""), "");
        assert_eq!(
            dump(b"hello\0\xff", "  "),
            "  00000000  68 65 6c 6c 6f 00 ff                              |hello..|"
        );
        let bytes: Vec<u8> = (0x18..0x2a).collect();
        assert_eq!(
            dump(&bytes, ""),
            "00000000  18 19 1a 1b 1c 1d 1e 1f  20 21 22 23 24 25 26 27  |........ !\"#$%&'|\n\
             00000010  28 29                                             |()|"
        );
    }
}
