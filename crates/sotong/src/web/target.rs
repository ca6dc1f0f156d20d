//! From what was written to a WebSocket's URL (WHATWG WebSockets, section 3.1, the constructor).

use url::Url;

use super::error::SyntaxError;
use super::port;

/// Where a socket connects to.
pub(super) struct Target {
    /// The URL as the object shows it.
    pub(super) url: String,
    /// What its messages name as theirs.
    pub(super) origin: String,
    /// Its port, if that is blocked.
    pub(super) bad_port: Option<u16>,
}

impl Target {
    /// Reads a URL by the URL Standard, relative to the base if there is one.
    pub(super) fn parse(url: &str, base: Option<&Url>) -> Result<Target, SyntaxError> {
        let malformed = |error: url::ParseError| SyntaxError::Url { what: error.to_string() };
        let mut parsed = Url::options().base_url(base).parse(url).map_err(malformed)?;
        let scheme = match parsed.scheme() {
            "http" => Some("ws"),
            "https" => Some("wss"),
            "ws" | "wss" => None,
            // `user:password@host` has no scheme and is read as if it had one.
            _ if parsed.cannot_be_a_base() => return Err(SyntaxError::Scheme { scheme: String::new() }),
            other => return Err(SyntaxError::Scheme { scheme: other.to_owned() }),
        };
        if let Some(scheme) = scheme
            && parsed.set_scheme(scheme).is_err()
        {
            return Err(SyntaxError::Scheme { scheme: parsed.scheme().to_owned() });
        }
        if parsed.fragment().is_some() {
            return Err(SyntaxError::Fragment);
        }
        let bad_port = parsed.port_or_known_default().filter(|port| port::is_bad(*port));
        Ok(Target { origin: parsed.origin().ascii_serialization(), url: parsed.into(), bad_port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str, base: Option<&str>) -> Result<String, SyntaxError> {
        let base = base.map(|base| Url::parse(base).expect("a base"));
        Target::parse(url, base.as_ref()).map(|target| target.url)
    }

    #[test]
    fn urls_are_shown_as_the_url_standard_writes_them() {
        for (url, expected) in [
            ("ws://h:81", "ws://h:81/"),
            ("WS://HOST/Path", "ws://host/Path"),
            ("http://h/a", "ws://h/a"),
            ("https://h/a", "wss://h/a"),
            ("http://h:80/", "ws://h/"),
            ("https://h:443/", "wss://h/"),
            ("http://h:443/", "ws://h:443/"),
            ("wss://h:80/", "wss://h:80/"),
            ("ws://h/?a b", "ws://h/?a%20b"),
            ("ws://h/?\0a", "ws://h/?%00a"),
            ("  ws://h/\n", "ws://h/"),
            ("ws:\\\\h\\a", "ws://h/a"),
            ("ws:h", "ws://h/"),
            ("ws://user:pass@h/", "ws://user:pass@h/"),
            ("ws://[::1]:82/", "ws://[::1]:82/"),
            ("ws://소통.example/", "ws://xn--9l4bo90a.example/"),
        ] {
            assert_eq!(shown(url, None).as_deref(), Ok(expected), "{url:?}");
        }
    }

    #[test]
    fn relative_urls_need_a_base() {
        let base = Some("https://example.com/app/page?x=1#top");
        for (url, expected) in [
            ("/chat", "wss://example.com/chat"),
            ("chat", "wss://example.com/app/chat"),
            ("../chat", "wss://example.com/chat"),
            ("?room=1", "wss://example.com/app/page?room=1"),
            ("//other.example/", "wss://other.example/"),
            ("", "wss://example.com/app/page?x=1"),
            ("ws://h/", "ws://h/"),
        ] {
            assert_eq!(shown(url, base).as_deref(), Ok(expected), "{url:?}");
        }
        for url in ["/chat", "chat", "", "//h/"] {
            assert!(matches!(shown(url, None), Err(SyntaxError::Url { .. })), "{url:?}");
        }
    }

    #[test]
    fn what_is_no_websocket_url_is_a_syntax_error() {
        for url in ["ws://h/#", "ws://h/#top", "ws://h/?a#b", "http://h/#", "ws://h#"] {
            assert_eq!(shown(url, None), Err(SyntaxError::Fragment), "{url:?}");
        }
        for url in ["ftp://h/", "mailto:a@b", "javascript:1", "about:blank", "file:///a", "wsss://h/", "h:80"]
        {
            assert!(matches!(shown(url, None), Err(SyntaxError::Scheme { .. })), "{url:?}");
        }
        for url in ["hidden:hunter2@example.com/", "hidden:hunter2@example.com:443"] {
            let error = shown(url, None).expect_err(url);
            let said = format!("{error} {error:?}");
            assert!(!said.contains("hidden") && !said.contains("hunter2"), "{said}");
            assert!(said.contains("ws, wss, http and https"), "{said}");
        }
        for url in
            ["ws://", "ws://h:65536/", "ws://h:x/", "ws://[::1/", "ws://a b/", "ws:// /", "ws://1.2.3.256/"]
        {
            assert!(matches!(shown(url, None), Err(SyntaxError::Url { .. })), "{url:?}");
        }
    }

    #[test]
    fn origins_have_no_path_and_no_default_port() {
        for (url, origin) in
            [("ws://user:pass@h:80/a?b", "ws://h"), ("http://h:81/a", "ws://h:81"), ("https://h/", "wss://h")]
        {
            assert_eq!(Target::parse(url, None).expect("it parses").origin, origin, "{url}");
        }
    }
}
