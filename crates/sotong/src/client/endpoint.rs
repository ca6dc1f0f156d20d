//! Where a `ws:` or `wss:` URL leads (RFC 6455, section 3).

use std::fmt;
use std::net::IpAddr;

use sotong_proto::handshake::ClientRequest;
use url::{Host, Url};

use super::credentials::UserPassword;
use super::error::UrlError;

/// A URL that can be connected to, taken apart.
///
/// Shows neither path nor query, because tokens travel there, nor a user name and a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Without user name and password; what a relative URL is relative to.
    url: Url,
    /// The user name and the password that stood in the URL.
    pub(super) credentials: Option<UserPassword>,
    pub(super) carriage: Carriage,
    pub(super) host: Host<String>,
    pub(super) port: u16,
    /// What `Host` says: the port only if it is not the scheme's own (RFC 6455, section 4.1, 4).
    pub(super) authority: String,
    /// Path and query, as they stand in the request line.
    pub(super) resource: String,
}

/// Whether TLS is spoken below the WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carriage {
    Plain,
    Tls,
}

impl Endpoint {
    /// Reads a URL as a browser does, and refuses what cannot be a WebSocket's.
    pub(super) fn parse(url: &str) -> Result<Endpoint, UrlError> {
        // The URL standard drops tabs and line breaks and goes on. What stands there was not meant by who wrote the
        // URL, so it is not guessed at.
        if let Some(position) = url.bytes().position(|byte| byte.is_ascii_control()) {
            return Err(UrlError::Control { position });
        }
        let parsed = Url::parse(url).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => UrlError::Scheme { scheme: String::new() },
            error => UrlError::Syntax { what: error.to_string() },
        })?;
        Endpoint::of_url(parsed)
    }

    /// Where a redirect's `Location` leads from here. A fragment is dropped, for it is never sent. `http:` means `ws:`, and
    /// `https:` `wss:`: a server that knows of nothing but HTTP writes those.
    pub(super) fn resolve(&self, location: &str) -> Result<Endpoint, UrlError> {
        if let Some(position) = location.bytes().position(|byte| byte.is_ascii_control()) {
            return Err(UrlError::Control { position });
        }
        let mut url =
            self.url.join(location).map_err(|error| UrlError::Syntax { what: error.to_string() })?;
        url.set_fragment(None);
        let scheme = match url.scheme() {
            "http" => Some("ws"),
            "https" => Some("wss"),
            _ => None,
        };
        if scheme.is_some_and(|scheme| url.set_scheme(scheme).is_err()) {
            return Err(UrlError::Syntax { what: "no host".to_owned() });
        }
        Endpoint::of_url(url)
    }

    /// Whether both have the same scheme, host and port (RFC 6454, section 5).
    pub(super) fn has_origin_of(&self, other: &Endpoint) -> bool {
        (self.carriage, &self.host, self.port) == (other.carriage, &other.host, other.port)
    }

    fn of_url(mut parsed: Url) -> Result<Endpoint, UrlError> {
        let carriage = match parsed.scheme() {
            "ws" => Carriage::Plain,
            "wss" => Carriage::Tls,
            // `localhost:9001` reads as a scheme, and so would `user:password@host`: only what is followed by slashes
            // was meant as one, and only that is repeated in the error.
            scheme if parsed.has_authority() => return Err(UrlError::Scheme { scheme: scheme.to_owned() }),
            _ => return Err(UrlError::Scheme { scheme: String::new() }),
        };
        // RFC 6455, section 3: "MUST NOT be used on these URIs"; an empty one is one, too.
        if parsed.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        let (Some(host), Some(port)) = (parsed.host(), parsed.port_or_known_default()) else {
            return Err(UrlError::Syntax { what: "no host".to_owned() });
        };
        let host = host.to_owned();
        if port == 0 {
            return Err(UrlError::Syntax { what: "port 0, where nobody can listen".to_owned() });
        }
        // `Url::port` is `None` for the scheme's own port, also where it was written.
        let authority = match parsed.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let resource = match parsed.query() {
            // RFC 6455, section 3: "?" only if there is something behind it.
            None | Some("") => parsed.path().to_owned(),
            Some(query) => format!("{}?{query}", parsed.path()),
        };
        // The URL standard lets some characters through that have no place in a request.
        ClientRequest::new(&*authority, &*resource)
            .map_err(|error| UrlError::Syntax { what: error.to_string() })?;
        let credentials = UserPassword::of_url(&parsed).map_err(UrlError::Credentials)?;
        // Neither can fail where there is a host.
        let _ = (parsed.set_username(""), parsed.set_password(None));
        Ok(Endpoint { url: parsed, credentials, carriage, host, port, authority, resource })
    }

    /// The host as TLS wants it: an IPv6 address without brackets, a name without the dot that ends it.
    #[cfg(any(feature = "tls", test))]
    pub(super) fn server_name(&self) -> String {
        server_name(&self.host)
    }

    /// Host and port, for people.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// The same of any host.
#[cfg(any(feature = "tls", test))]
pub(super) fn server_name(host: &Host<String>) -> String {
    match host {
        Host::Domain(name) => name.strip_suffix('.').unwrap_or(name).to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    }
}

/// The address, if the host is one and there is nothing to resolve.
pub(super) fn address(host: &Host<String>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(*address)),
        Host::Ipv6(address) => Some(IpAddr::V6(*address)),
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.carriage {
            Carriage::Plain => "ws",
            Carriage::Tls => "wss",
        };
        write!(f, "{scheme}://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Endpoint {
        Endpoint::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn refused(url: &str) -> UrlError {
        match Endpoint::parse(url) {
            Ok(endpoint) => panic!("{url:?} leads to {endpoint:?}"),
            Err(error) => error,
        }
    }

    #[test]
    fn b1_ports_paths_and_queries() {
        for (url, carriage, port, authority, resource) in [
            ("ws://example.com", Carriage::Plain, 80, "example.com", "/"),
            ("wss://example.com", Carriage::Tls, 443, "example.com", "/"),
            ("ws://example.com:80/chat", Carriage::Plain, 80, "example.com", "/chat"),
            ("wss://example.com:443/chat", Carriage::Tls, 443, "example.com", "/chat"),
            ("ws://example.com:443/", Carriage::Plain, 443, "example.com:443", "/"),
            ("wss://example.com:80/", Carriage::Tls, 80, "example.com:80", "/"),
            (
                "WS://EXAMPLE.com:9001/Chat?Room=1&x",
                Carriage::Plain,
                9001,
                "example.com:9001",
                "/Chat?Room=1&x",
            ),
            ("ws://example.com?x=1", Carriage::Plain, 80, "example.com", "/?x=1"),
            ("ws://example.com/?", Carriage::Plain, 80, "example.com", "/"),
            ("ws://example.com/a%23b?c%23d", Carriage::Plain, 80, "example.com", "/a%23b?c%23d"),
            (
                "ws://example.com/a b/소통?ㅋ\"<>",
                Carriage::Plain,
                80,
                "example.com",
                "/a%20b/%EC%86%8C%ED%86%B5?%E3%85%8B%22%3C%3E",
            ),
            ("ws://example.com/a/../b/./c", Carriage::Plain, 80, "example.com", "/b/c"),
            ("  ws://example.com/  ", Carriage::Plain, 80, "example.com", "/"),
        ] {
            let endpoint = parsed(url);
            assert_eq!((endpoint.carriage, endpoint.port), (carriage, port), "{url}");
            assert_eq!((&*endpoint.authority, &*endpoint.resource), (authority, resource), "{url}");
        }
    }

    #[test]
    fn b2_hosts_are_written_as_the_standard_wants_them() {
        for (url, authority, server_name, address) in [
            ("ws://[::1]:9001/", "[::1]:9001", "::1", Some("::1")),
            ("wss://[2001:DB8:0::1]/", "[2001:db8::1]", "2001:db8::1", Some("2001:db8::1")),
            ("ws://127.0.0.1/", "127.0.0.1", "127.0.0.1", Some("127.0.0.1")),
            ("ws://0x7f.1/", "127.0.0.1", "127.0.0.1", Some("127.0.0.1")),
            ("wss://소통.example/", "xn--9l4bo90a.example", "xn--9l4bo90a.example", None),
            ("wss://BÜCHER.example:8443/", "xn--bcher-kva.example:8443", "xn--bcher-kva.example", None),
            ("wss://example.com./", "example.com.", "example.com", None),
            ("ws://user:password@example.com:81/", "example.com:81", "example.com", None),
            ("ws://ex%61mple.com/", "example.com", "example.com", None),
        ] {
            let endpoint = parsed(url);
            assert_eq!((&*endpoint.authority, &*endpoint.server_name()), (authority, server_name), "{url}");
            assert_eq!(
                super::address(&endpoint.host),
                address.map(|address| address.parse().expect("an address")),
                "{url}"
            );
        }
    }

    #[test]
    fn b1_what_is_no_websocket_url_is_refused() {
        let scheme = |scheme: &str| UrlError::Scheme { scheme: scheme.to_owned() };
        assert_eq!(refused("http://example.com/"), scheme("http"));
        assert_eq!(refused("https://example.com/"), scheme("https"));
        assert_eq!(refused("ftp://example.com/"), scheme("ftp"));
        for url in
            ["", "example.com", "//example.com", "/chat", "localhost:9001", "secret:password@example.com"]
        {
            assert_eq!(refused(url), scheme(""), "{url}");
        }
        for url in
            ["ws://example.com/#", "ws://example.com/#top", "ws://example.com#", "ws://example.com/?a#b"]
        {
            assert_eq!(refused(url), UrlError::Fragment, "{url}");
        }
        for url in [
            "ws://",
            "ws://:80/",
            "ws://example.com:65536/",
            "ws://example.com:x/",
            "ws://example.com:0/",
            "ws://[::1/",
            "ws://[::g]/",
            "ws://exa mple.com/",
            "ws://a%00b/",
            "ws://a%0d%0ab/",
            "ws://a^b/",
            "ws://a\"b/",
            "ws://1.2.3.256/",
            "ws://xn--/",
            "wss://user@/",
        ] {
            assert!(matches!(refused(url), UrlError::Syntax { .. }), "{url}");
        }
    }

    #[test]
    fn control_characters_are_not_dropped_in_silence() {
        for (url, position) in [
            ("ws://example.com/\r\nX: y", 17),
            ("w\ts://example.com/", 1),
            ("ws://a/\0", 7),
            ("ws://a/\x7f", 7),
        ] {
            assert_eq!(refused(url), UrlError::Control { position }, "{url:?}");
        }
        assert_eq!(refused("ws://example.com/\n"), UrlError::Control { position: 17 });
    }

    #[test]
    fn credentials_are_kept_apart_from_what_is_sent_as_host() {
        let endpoint = parsed("wss://us%65r:p%40ss@example.com/chat");
        assert_eq!((&*endpoint.authority, &*endpoint.resource), ("example.com", "/chat"));
        assert!(endpoint.credentials == UserPassword::new("user", "p@ss").ok());
        assert!(parsed("ws://example.com/").credentials.is_none());
    }

    #[test]
    fn b13_where_a_location_leads() {
        let from = parsed("wss://user:password@example.com:81/a/b?c");
        for (location, leads, resource) in [
            ("/x", "wss://example.com:81", "/x"),
            ("x", "wss://example.com:81", "/a/x"),
            ("../x?y", "wss://example.com:81", "/x?y"),
            ("?d", "wss://example.com:81", "/a/b?d"),
            ("#top", "wss://example.com:81", "/a/b?c"),
            ("//other.example/x#top", "wss://other.example", "/x"),
            ("https://example.com/", "wss://example.com", "/"),
            ("HTTPS://Other.example:443", "wss://other.example", "/"),
            ("http://other.example/", "ws://other.example", "/"),
            ("ws://other.example/", "ws://other.example", "/"),
            ("https:other.example", "wss://other.example", "/"),
        ] {
            let to = from.resolve(location).unwrap_or_else(|error| panic!("{location}: {error}"));
            assert_eq!((format!("{to:?}"), &*to.resource), (leads.to_owned(), resource), "{location}");
            assert!(to.credentials.is_none(), "{location}");
        }
        for location in
            ["ftp://example.com/", "mailto:a@b", "https://", "https://exa mple/", "//:1/", "/a\tb", "data:,"]
        {
            assert!(from.resolve(location).is_err(), "{location}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let shown = format!("{:?}", parsed("wss://user:password@example.com:1/path?token=secret"));
        assert_eq!(shown, "wss://example.com:1");
        for url in [
            "http://user:password@example.com/path?token=secret",
            "wss://user:password@example.com/path?token=secret#top",
            "wss://user:password@exa mple.com/path?token=secret",
            "user:password@example.com/path?token=secret",
            "user:password@example.com/path?token=secret\n",
            "ws://user%3A:password@example.com/path?token=secret",
        ] {
            let error = refused(url);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("secret") && !shown.contains("password"), "{shown}");
            assert!(!shown.contains("user") || shown.contains("user name"), "{shown}");
        }
    }
}
