//! `host[:port]`, as it stands in `Host`, in `Origin` and in an absolute-form target.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A host, and its port when one was written (RFC 3986, section 3.2, without user information).
///
/// A user name before the host (`http://good.example@evil.example`) is refused: RFC 9110, section 4.2.4 says that
/// it is there to deceive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// The name or address as written; an IPv6 address in its brackets.
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        // An IPv6 address has colons of its own, and ends with its bracket.
        let host_end = match text.strip_prefix('[') {
            Some(_) => text.find(']')? + 1,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, rest) = text.split_at(host_end);
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            None => return None,
            // RFC 3986, section 3.2.3: the port may be empty, then it is the default one.
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            Some(_) => return None,
        };
        let valid = match host.strip_prefix('[') {
            Some(_) => ipv6(host).is_some(),
            None => !host.is_empty() && host.bytes().all(is_name_byte),
        };
        valid.then_some(Authority { host, port })
    }

    /// The port, unless it is the one that `scheme` has anyway.
    pub(super) fn port_beyond_default(&self, scheme: &str) -> Option<u16> {
        let default = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
        self.port.filter(|&port| port != default)
    }

    /// Whether the host is an IPv4 address or an IPv6 address in brackets.
    pub(super) fn is_address(&self) -> bool {
        self.host.parse::<Ipv4Addr>().is_ok() || ipv6(self.host).is_some()
    }

    /// Whether the host is `localhost` or a name below it (RFC 6761, section 6.3), written without a final dot.
    pub(super) fn is_localhost(&self) -> bool {
        const NAME: &[u8] = b"localhost";
        let host = self.host.as_bytes();
        match host.len().checked_sub(NAME.len()) {
            None => false,
            Some(0) => host.eq_ignore_ascii_case(NAME),
            Some(start) => host[start..].eq_ignore_ascii_case(NAME) && start > 1 && host[start - 1] == b'.',
        }
    }
}

fn ipv6(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// `reg-name` of RFC 3986, section 3.2.2: unreserved, sub-delims, and the percent sign of an escape.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a2_hosts_and_ports() {
        let parsed = |text| Authority::parse(text).map(|authority| (authority.host, authority.port));
        assert_eq!(parsed("example.com"), Some(("example.com", None)));
        assert_eq!(parsed("example.com:"), Some(("example.com", None)));
        assert_eq!(parsed("example.com:65535"), Some(("example.com", Some(65535))));
        assert_eq!(parsed("[::1]"), Some(("[::1]", None)));
        assert_eq!(parsed("[2001:db8::1]:8000"), Some(("[2001:db8::1]", Some(8000))));
        for bad in [
            "",
            ":80",
            "a:65536",
            "a:-1",
            "a:+1",
            "a:8 ",
            "a b",
            "a@b",
            "a/b",
            "a\\b",
            "a?b",
            "a#b",
            "::1",
            "[::1",
            "[::1]x",
            "[]",
            "[::1%25lo]",
            "[v1.a]",
            "[127.0.0.1]",
            "é",
            "a:1:2",
        ] {
            assert_eq!(parsed(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a8_addresses_and_localhost() {
        let authority = |text| Authority::parse(text).expect("well-formed");
        for address in ["127.0.0.1", "192.168.0.7:80", "[::1]", "[fe80::1]:9"] {
            assert!(authority(address).is_address(), "{address}");
        }
        for name in ["127.1", "0x7f.0.0.1", "2130706433", "127.0.0.1.", "1.2.3.4.example", "256.1.1.1"] {
            assert!(!authority(name).is_address(), "{name}");
        }
        for name in ["localhost", "LOCALHOST:80", "a.localhost", "a.b.LocalHost"] {
            assert!(authority(name).is_localhost(), "{name}");
        }
        for name in ["localhost.", "alocalhost", ".localhost", "localhost.example", "ocalhost", "a"] {
            assert!(!authority(name).is_localhost(), "{name}");
        }
    }
}
