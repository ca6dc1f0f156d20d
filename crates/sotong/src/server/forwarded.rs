//! The header field `Forwarded` (RFC 7239): what each proxy on the way says about the connection it took.
//!
//! Read strictly and as a whole: the beginning of the field comes from whoever is at the other end of the chain, and
//! where a quoted string begins decides what all the rest means.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most parameters of one hop that are neither `for` nor `host` nor `proto`. One (`by`) is registered.
const OTHERS_MAX: usize = 16;

/// What one proxy says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hop<'a> {
    /// Who asked it: a node (section 6), which is an address, `unknown` or a name of the proxy's own making.
    pub(super) asked_by: Option<Cow<'a, str>>,
    pub(super) host: Option<Cow<'a, str>>,
    pub(super) scheme: Option<Cow<'a, str>>,
}

/// The hops of one line, in its order; `None` if it is malformed.
pub(super) fn hops(line: &[u8]) -> Option<Vec<Hop<'_>>> {
    let mut rest = Rest(line);
    let mut hops = Vec::new();
    loop {
        rest.skip_space();
        let mut hop = Hop::default();
        let mut is_empty = true;
        let mut others: Vec<&[u8]> = Vec::new();
        loop {
            let name = rest.token();
            if !name.is_empty() {
                is_empty = false;
                if !rest.skip(b'=') {
                    return None;
                }
                let value = rest.value()?;
                // Section 4: each parameter once per element.
                let slot = match name {
                    _ if name.eq_ignore_ascii_case(b"for") => &mut hop.asked_by,
                    _ if name.eq_ignore_ascii_case(b"host") => &mut hop.host,
                    _ if name.eq_ignore_ascii_case(b"proto") => &mut hop.scheme,
                    _ if others.len() == OTHERS_MAX => return None,
                    _ if others.iter().any(|other| other.eq_ignore_ascii_case(name)) => return None,
                    _ => {
                        others.push(name);
                        &mut None
                    }
                };
                if slot.replace(value).is_some() {
                    return None;
                }
            }
            // The grammar has no spaces here; many proxies do.
            rest.skip_space();
            if !rest.skip(b';') {
                break;
            }
            rest.skip_space();
        }
        // RFC 9110, section 5.6.1.2: empty elements of a list are skipped.
        if !is_empty {
            hops.push(hop);
        }
        if !rest.skip(b',') {
            break;
        }
    }
    rest.0.is_empty().then_some(hops)
}

/// The address of a node (section 6); `None` if it has none or is malformed.
pub(super) fn address(node: &str) -> Option<IpAddr> {
    let (name, port) = match node.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']')?;
            (IpAddr::V6(name.parse::<Ipv6Addr>().ok()?), port)
        }
        None => {
            let (name, port) = node.split_at(node.find(':').unwrap_or(node.len()));
            (IpAddr::V4(name.parse::<Ipv4Addr>().ok()?), port)
        }
    };
    let is_port = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(port) => match port.strip_prefix('_') {
            Some(hidden) => !hidden.is_empty() && hidden.bytes().all(is_hidden_byte),
            None => matches!(port.len(), 1..=5) && port.bytes().all(|byte| byte.is_ascii_digit()),
        },
    };
    is_port.then(|| name.to_canonical())
}

fn is_hidden_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

/// `tchar` of RFC 9110, section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What is not yet read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn skip(&mut self, byte: u8) -> bool {
        match self.0.strip_prefix(&[byte]) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn skip_space(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    fn token(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        token
    }

    /// A token or a quoted string (RFC 9110, section 5.6.4), in ASCII.
    fn value(&mut self) -> Option<Cow<'a, str>> {
        if !self.skip(b'"') {
            let token = self.token();
            return (!token.is_empty()).then(|| String::from_utf8_lossy(token));
        }
        let start = self.0;
        let mut unescaped: Option<String> = None;
        let mut length = 0;
        loop {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            match byte {
                b'"' => {
                    let plain = || Cow::Borrowed(std::str::from_utf8(&start[..length]).unwrap_or_default());
                    return Some(unescaped.map_or_else(plain, Cow::Owned));
                }
                b'\\' => {
                    let (&escaped, rest) = self.0.split_first()?;
                    self.0 = rest;
                    let text = || String::from_utf8_lossy(&start[..length]).into_owned();
                    let unescaped = unescaped.get_or_insert_with(text);
                    unescaped.push(char::from(Some(escaped).filter(|&byte| is_text_byte(byte))?));
                }
                byte if is_text_byte(byte) => {
                    length += 1;
                    if let Some(unescaped) = &mut unescaped {
                        unescaped.push(char::from(byte));
                    }
                }
                _ => return None,
            }
        }
    }
}

/// Addresses, names and schemes are ASCII; what else the grammar allows is of no use here.
fn is_text_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each hop as `for|host|scheme`.
    fn read(line: &str) -> Option<Vec<String>> {
        let shown = |part: &Option<Cow<'_, str>>| part.as_deref().unwrap_or("-").to_owned();
        let each = |hop: &Hop<'_>| [&hop.asked_by, &hop.host, &hop.scheme].map(shown).join("|");
        Some(hops(line.as_bytes())?.iter().map(each).collect())
    }

    #[test]
    fn the_examples_of_rfc_7239() {
        for (line, wanted) in [
            ("for=\"_gazonk\"", &["_gazonk|-|-"][..]),
            ("For=\"[2001:db8:cafe::17]:4711\"", &["[2001:db8:cafe::17]:4711|-|-"]),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", &["192.0.2.60|-|http"]),
            ("for=192.0.2.43, for=198.51.100.17", &["192.0.2.43|-|-", "198.51.100.17|-|-"]),
            ("for=_hidden, for=_SEVKISEK", &["_hidden|-|-", "_SEVKISEK|-|-"]),
            (
                "for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown",
                &["192.0.2.43|-|-", "[2001:db8:cafe::17]|-|-", "unknown|-|-"],
            ),
        ] {
            assert_eq!(read(line).expect(line), wanted, "{line}");
        }
    }

    #[test]
    fn quoted_strings_hold_commas_semicolons_and_escapes() {
        for (line, wanted) in [
            (r#"host="a,b;c=d";proto=https"#, &["-|a,b;c=d|https"][..]),
            (r#"for="192\.0.2.1", for=192.0.2.2"#, &["192.0.2.1|-|-", "192.0.2.2|-|-"]),
            (r#"host="a\"b\\c""#, &[r#"-|a"b\c|-"#]),
            (r#"host="""#, &["-||-"]),
            // What a client wrote cannot swallow what a proxy adds, unless it makes all of it malformed.
            (r#"for="evil, for=192.0.2.9", for=192.0.2.2"#, &["evil, for=192.0.2.9|-|-", "192.0.2.2|-|-"]),
            (" for=a ;proto=https ; host=b , , for=c,", &["a|b|https", "c|-|-"]),
            ("", &[]),
            ("ext=1;for=a;;", &["a|-|-"]),
        ] {
            assert_eq!(read(line).expect(line), wanted, "{line}");
        }
    }

    #[test]
    fn what_is_malformed_is_malformed_as_a_whole() {
        for line in [
            "for",
            "for=",
            "for =a",
            "for= a",
            "=a",
            "for=a for=b",
            "for=a;for=b",
            "proto=a;PROTO=b",
            "by=a;by=b",
            "for=192.0.2.1:80",
            "for=[2001:db8::1]",
            "for=\"192.0.2.1",
            "for=\"192.0.2.1\\",
            "for=\"192.0.2.1, for=192.0.2.2",
            "for=\"a\"b",
            "for=a, for=\"b\u{1}\"",
            "for=\"\u{e9}\"",
            "for=\"a\\\u{7}\"",
            "for=a\0",
        ] {
            assert_eq!(read(line), None, "{line:?}");
        }
    }

    #[test]
    fn nodes_that_are_addresses() {
        for (node, wanted) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:0", Some("192.0.2.1")),
            ("192.0.2.1:65536", Some("192.0.2.1")),
            ("192.0.2.1:_ab.c-d", Some("192.0.2.1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:80", Some("2001:db8::1")),
            ("[::ffff:192.0.2.1]", Some("192.0.2.1")),
            ("2001:db8::1", None),
            ("[192.0.2.1]", None),
            ("[2001:db8::1", None),
            ("[2001:db8::1]80", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:123456", None),
            ("192.0.2.1:_", None),
            ("192.0.2.1:8 ", None),
            ("192.0.2.256", None),
            ("unknown", None),
            ("_hidden", None),
            ("", None),
        ] {
            let address = address(node).map(|address| address.to_string());
            assert_eq!(address.as_deref(), wanted, "{node:?}");
        }
    }

    #[test]
    fn parameters_that_nobody_knows_are_bounded() {
        let hop = |count: usize| (0..count).map(|index| format!("p{index}=v;")).collect::<String>();
        assert_eq!(read(&hop(OTHERS_MAX)).expect("at the limit"), ["-|-|-"]);
        assert_eq!(read(&hop(OTHERS_MAX + 1)), None);
    }

    /// CVE-2021-32640 and its like, in a field of 64 KiB. No clock: each takes half a minute where work grows with the
    /// square of the length.
    #[test]
    fn long_fields_cost_linear_work() {
        let long = |piece: &str| piece.repeat((1 << 16) / piece.len());
        for (line, hops) in [
            (long("for=a,"), Some((1 << 16) / 6)),
            (long(","), Some(0)),
            (long(" "), Some(0)),
            (long(";"), Some(0)),
            (long(" ; ,"), Some(0)),
            (format!("for=a{}", long(" \t")), Some(1)),
            (format!("for=\"{}\"", long("\\a")), Some(1)),
            (format!("for=\"{}", long("\\a")), None),
            (format!("for=\"{}\"", long(",for=b")), Some(1)),
            (long("a"), None),
            (long("\""), None),
            (long("="), None),
            (long("by=a;"), None),
            ((0..8000).map(|index| format!("p{index}=v;")).collect(), None),
        ] {
            assert_eq!(super::hops(line.as_bytes()).map(|hops| hops.len()), hops, "{}", &line[..20]);
        }
    }
}
