//! The request target: a path and a query, in one of two forms (RFC 9112, section 3.2).

use super::authority::Authority;

/// A target taken apart.
///
/// Origin-form (`/chat?room=1`) is what clients send to a server, absolute-form (`http://host/chat`) what they send
/// to a proxy; RFC 9112, section 3.2.2 obliges servers to understand both. The other two forms, `*` and
/// `host:port`, belong to OPTIONS and CONNECT, and never ask for a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// `host[:port]` of the absolute form.
    pub(super) authority: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        // RFC 6455, section 3: no fragment. Other bytes outside visible ASCII would need an escape.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return None;
        }
        if text.starts_with('/') {
            let (path, query) = split_query(text);
            return Some(Target { authority: None, path, query });
        }
        // RFC 6455, section 4.1: "an absolute http/https URI", so no ws: and no wss: here.
        let (scheme, rest) = text.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        Authority::parse(authority)?;
        let (path, query) = split_query(rest);
        // RFC 9110, section 4.2.3: an empty path is the same as "/".
        Some(Target { authority: Some(authority), path: if path.is_empty() { "/" } else { path }, query })
    }
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a1_targets() {
        let parsed = |text| Target::parse(text).map(|t: Target<'_>| (t.authority, t.path, t.query));
        assert_eq!(parsed("/"), Some((None, "/", None)));
        assert_eq!(parsed("/a/b?c=d?e"), Some((None, "/a/b", Some("c=d?e"))));
        assert_eq!(parsed("/?"), Some((None, "/", Some(""))));
        assert_eq!(parsed("//a"), Some((None, "//a", None)));
        assert_eq!(parsed("http://host/chat"), Some((Some("host"), "/chat", None)));
        assert_eq!(parsed("HTTPS://host:1?q"), Some((Some("host:1"), "/", Some("q"))));
        assert_eq!(parsed("http://[::1]:80"), Some((Some("[::1]:80"), "/", None)));
        for bad in [
            "",
            "*",
            "chat",
            "host:80",
            "?q",
            "/a#b",
            "/a b",
            "/é",
            "/\x7f",
            "ws://host/",
            "ftp://host/",
            "http://",
            "http:///a",
            "http://user@host/",
            "http:/host",
            "://host/",
        ] {
            assert_eq!(parsed(bad), None, "{bad:?}");
        }
    }
}
