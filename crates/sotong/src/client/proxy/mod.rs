//! Through a proxy to the server.
//!
//! ```text
//!   Client::connect ── environment.rs  which proxy, if none was named ── exceptions.rs: NO_PROXY
//!        │
//!        ▼ open
//!   dial.rs to the proxy ─▶ TLS, for https: ─▶ connect.rs   CONNECT host:port, through the core
//!                                          └─▶ socks5.rs    RFC 1928, 1929
//!        │ a stream to the server            error.rs: why not
//!        ▼
//!   TLS of the server, for wss: ─▶ handshake.rs
//! ```

mod connect;
mod environment;
mod error;
mod exceptions;
mod prefixed;
mod socks5;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use sotong_proto::Config;
use url::{Host, Url};

use super::credentials::{CredentialsError, UserPassword};
use super::dial::{self, Destination, Dialled, Simultaneous};
use super::endpoint::Endpoint;
use super::error::ConnectError;
use super::timeouts::{ConnectStep, Deadlines};
use crate::carrier::Carrier;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;

pub use self::error::{ProxyUrlError, TunnelError};

/// A proxy through which a [`Client`](crate::Client) connects: HTTP (`CONNECT`), HTTP inside TLS, or SOCKS5.
///
/// Written as a URL: `http://proxy:3128`, `https://proxy`, `socks5://127.0.0.1:1080`, with `user:password@` before the
/// host if it wants those. Without a scheme it is `http`; without a port 80, 443 or 1080. A user name and a password are
/// percent-encoded there; [`with_credentials`](Self::with_credentials) takes them as they are.
///
/// All of them carry bytes and see none of a `wss:` connection: its TLS is spoken with the server, through the proxy. The
/// server's name is always resolved at the proxy (what other programs call `socks5h`, which is understood as well).
/// `ws:` goes by `CONNECT`, too, as RFC 6455, section 4.1, 3 has it; many HTTP proxies allow that for port 443 only.
///
/// Neither its text nor its `Debug` form shows the credentials.
///
/// ```
/// use sotong::{Client, Proxy};
///
/// let proxy: Proxy = "http://proxy.example:3128".parse()?;
/// let client = Client::new().with_proxy(proxy.with_credentials("user", "p@ssword")?);
/// # let _ = client;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    protocol: Protocol,
    host: Host<String>,
    port: u16,
    credentials: Option<UserPassword>,
}

/// What is spoken with the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http,
    /// HTTP inside of TLS.
    Https,
    Socks5,
}

impl Protocol {
    fn of_scheme(scheme: &str) -> Option<Protocol> {
        match scheme {
            "http" => Some(Protocol::Http),
            "https" => Some(Protocol::Https),
            "socks5" | "socks5h" => Some(Protocol::Socks5),
            _ => None,
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Https => "https",
            Protocol::Socks5 => "socks5",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Protocol::Http => 80,
            Protocol::Https => 443,
            Protocol::Socks5 => 1080,
        }
    }
}

impl Proxy {
    /// Reads a proxy's URL.
    ///
    /// # Errors
    /// When it is none, or has a path, a query or a fragment, or credentials that cannot be sent. The error repeats no
    /// more of it than the scheme.
    pub fn parse(url: &str) -> Result<Self, ProxyUrlError> {
        let url = url.trim();
        if url.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(ProxyUrlError::Syntax { what: "a control character".to_owned() });
        }
        let parsed = match url.contains("://") {
            true => Url::parse(url),
            false => Url::parse(&format!("http://{url}")),
        };
        let parsed = parsed.map_err(|error| ProxyUrlError::Syntax { what: error.to_string() })?;
        let Some(protocol) = Protocol::of_scheme(parsed.scheme()) else {
            return Err(ProxyUrlError::Scheme { scheme: parsed.scheme().to_owned() });
        };
        if cfg!(not(feature = "tls")) && protocol == Protocol::Https {
            return Err(ProxyUrlError::WithoutTls);
        }
        if !matches!(parsed.path(), "" | "/") || parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(ProxyUrlError::Syntax {
                what: "more than a host and a port: a path, a query or a fragment".to_owned(),
            });
        }
        // The URL standard reads the host of a scheme that it does not know, such as `socks5`, as any text.
        let host = Host::parse(parsed.host_str().unwrap_or_default())
            .map_err(|error| ProxyUrlError::Syntax { what: error.to_string() })?;
        let port = parsed.port().unwrap_or(protocol.default_port());
        if port == 0 {
            return Err(ProxyUrlError::Syntax { what: "port 0, where nobody can listen".to_owned() });
        }
        let mut proxy = Proxy { protocol, host, port, credentials: None };
        if let Some(credentials) = UserPassword::of_url(&parsed)? {
            proxy.set_credentials(credentials)?;
        }
        Ok(proxy)
    }

    /// Sets the user name and the password: `Basic` for HTTP (RFC 7617), RFC 1929 for SOCKS5. Both travel in the clear to
    /// an `http` or a `socks5` proxy.
    ///
    /// # Errors
    /// When they hold a control character, the user name a colon; for SOCKS5 also when one of them has more than 255
    /// bytes or the user name none.
    pub fn with_credentials(
        mut self,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Result<Self, CredentialsError> {
        self.set_credentials(UserPassword::new(user.into(), password.into())?)?;
        Ok(self)
    }

    fn set_credentials(&mut self, credentials: UserPassword) -> Result<(), CredentialsError> {
        if self.protocol == Protocol::Socks5 {
            socks5::check(&credentials)?;
        }
        self.credentials = Some(credentials);
        Ok(())
    }
}

impl FromStr for Proxy {
    type Err = ProxyUrlError;

    fn from_str(url: &str) -> Result<Self, ProxyUrlError> {
        Proxy::parse(url)
    }
}

impl fmt::Display for Proxy {
    /// As a URL, without user name and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.protocol.scheme(), self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self}{})", if self.credentials.is_some() { ", with credentials" } else { "" })
    }
}

/// Which way a client goes.
#[derive(Clone, Debug, Default)]
pub(super) enum Route {
    /// As the environment says at the moment of the connect.
    #[default]
    Environment,
    Direct,
    Through(Proxy),
}

impl Route {
    /// The proxy for that endpoint, if one is used.
    pub(super) fn proxy(&self, endpoint: &Endpoint) -> Result<Option<Proxy>, ConnectError> {
        match self {
            Route::Environment => environment::proxy(endpoint, |name| std::env::var_os(name)),
            Route::Direct => Ok(None),
            Route::Through(proxy) => Ok(Some(proxy.clone())),
        }
    }
}

/// What it takes to speak with a proxy, besides the proxy.
pub(super) struct Means<'a> {
    pub(super) config: &'a Config,
    pub(super) deadlines: &'a Deadlines,
    /// How TLS is spoken with a proxy.
    #[cfg(feature = "tls")]
    pub(super) tls: &'a ClientTls,
}

/// A stream through the proxy to the endpoint, and the proxy's address.
///
/// Dropped before it is ready, the connection to the proxy is closed.
pub(super) async fn open(
    proxy: &Proxy,
    endpoint: &Endpoint,
    means: &Means<'_>,
) -> Result<(Carrier, SocketAddr), ConnectError> {
    let failed = |error: TunnelError| ConnectError::Proxy { proxy: proxy.to_string(), error };
    let (mut carrier, address) = reach(proxy, means).await.map_err(|error| match error {
        // It says itself with whom it was spoken.
        error @ ConnectError::Timeout { .. } => error,
        error => failed(TunnelError::Unreachable(Box::new(error))),
    })?;
    let due = means.deadlines.step(ConnectStep::Proxy);
    let credentials = proxy.credentials.as_ref();
    let early = match proxy.protocol {
        Protocol::Http | Protocol::Https => {
            connect::open(&mut carrier, endpoint, credentials, means.config, &proxy.to_string(), due).await
        }
        Protocol::Socks5 => {
            let asking = socks5::open(&mut carrier, &endpoint.host, endpoint.port, credentials);
            due.bound(&proxy.to_string(), asking).await.map(|asked| asked.map(|()| Vec::new()))
        }
    }?;
    let early = early.map_err(|error| failed(explain(proxy, error)))?;
    tracing::debug!(%proxy, host = endpoint.authority, "the proxy has opened a way");
    Ok((prefixed::carrier(early, carrier), address))
}

/// A connection to the proxy itself.
async fn reach(proxy: &Proxy, means: &Means<'_>) -> Result<(Carrier, SocketAddr), ConnectError> {
    let destination =
        Destination { host: &proxy.host, port: proxy.port, place: proxy.to_string(), policy: None };
    // The rule of one connect at a time is about the server's address.
    let Dialled { stream, address, pass: _ } =
        dial::dial(&destination, means.deadlines, Simultaneous::Allow).await?;
    let carrier = Carrier::from(stream);
    match proxy.protocol {
        Protocol::Http | Protocol::Socks5 => Ok((carrier, address)),
        #[cfg(feature = "tls")]
        Protocol::Https => {
            let name = super::endpoint::server_name(&proxy.host);
            let secured =
                super::secure::secure(&destination.place, &name, carrier, means.tls, means.deadlines).await?;
            Ok((secured, address))
        }
        #[cfg(not(feature = "tls"))]
        Protocol::Https => unreachable!("`Proxy::parse` refuses it"),
    }
}

/// The same error, or what it means if it comes out of the TLS that is spoken with the proxy.
#[cfg(feature = "tls")]
fn explain(proxy: &Proxy, error: TunnelError) -> TunnelError {
    use crate::tls::TlsError;
    match &error {
        TunnelError::Io(inner) if proxy.protocol == Protocol::Https => {
            match TlsError::of_stream(inner, &super::endpoint::server_name(&proxy.host)) {
                Some(error) => {
                    let host = proxy.to_string();
                    TunnelError::Unreachable(Box::new(ConnectError::Tls { host, error }))
                }
                None => error,
            }
        }
        _ => error,
    }
}

#[cfg(not(feature = "tls"))]
fn explain(_proxy: &Proxy, error: TunnelError) -> TunnelError {
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b14_urls_of_proxies() {
        for (url, shown) in [
            ("http://proxy.example", "http://proxy.example:80"),
            ("proxy.example:3128", "http://proxy.example:3128"),
            ("PROXY.example", "http://proxy.example:80"),
            ("  http://proxy:80/ ", "http://proxy:80"),
            ("https://proxy", "https://proxy:443"),
            ("https://proxy:8443/", "https://proxy:8443"),
            ("socks5://proxy", "socks5://proxy:1080"),
            ("socks5h://proxy:80", "socks5://proxy:80"),
            ("SOCKS5://[::1]:9050/", "socks5://[::1]:9050"),
            ("socks5://0x7f.1", "socks5://127.0.0.1:1080"),
            ("user:password@proxy:3128", "http://proxy:3128"),
            ("http://user:password@proxy:3128", "http://proxy:3128"),
            ("socks5://u%40x:p%3Ay@소통.example", "socks5://xn--9l4bo90a.example:1080"),
        ] {
            if cfg!(feature = "tls") || !url.starts_with("https") {
                let proxy = Proxy::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
                assert_eq!(proxy.to_string(), shown);
                let debug = format!("{proxy:?}");
                assert!(!debug.contains("password") && !debug.contains("user"), "{debug}");
            }
        }
    }

    #[test]
    fn b14_what_is_no_proxy_is_refused_and_not_repeated() {
        let refused = |url: &str| {
            let error = Proxy::parse(url).expect_err(url);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("secret"), "{shown}");
            error
        };
        for url in ["ftp://secret@proxy", "socks4://secret@proxy", "ws://secret@proxy"] {
            assert!(matches!(refused(url), ProxyUrlError::Scheme { .. }), "{url}");
        }
        for url in [
            "",
            "http://",
            "http://secret@:80",
            "http://secret@pro xy",
            "http://proxy:70000",
            "http://proxy:0",
            "http://proxy/secret",
            "http://proxy?secret",
            "http://proxy#secret",
            "http://pro\nxy",
            "socks5://",
            "socks5://[::1",
        ] {
            assert!(matches!(refused(url), ProxyUrlError::Syntax { .. }), "{url}");
        }
        assert_eq!(refused("http://se%3Acret@proxy"), ProxyUrlError::Credentials(CredentialsError::Colon));
        assert_eq!(refused("socks5://:secret@proxy"), ProxyUrlError::Credentials(CredentialsError::NoUser));
    }

    #[test]
    fn b14_credentials_of_socks5_at_their_limit_and_past_it() {
        let with = |proxy: &str, user: usize, password: usize| {
            let proxy = Proxy::parse(proxy).expect("a proxy");
            proxy.with_credentials("u".repeat(user), "p".repeat(password)).err()
        };
        assert_eq!(with("socks5://a", 255, 255), None);
        assert_eq!(with("socks5://a", 1, 0), None);
        let too_long = Some(CredentialsError::TooLong { bytes: 256, max: 255 });
        assert_eq!(with("socks5://a", 256, 255), too_long);
        assert_eq!(with("socks5://a", 255, 256), too_long);
        assert_eq!(with("socks5://a", 0, 1), Some(CredentialsError::NoUser));
        assert_eq!(with("http://a", 256, 256), None);
    }
}
