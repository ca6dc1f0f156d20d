//! Who may connect: the origin of the page, and the name that the server goes by.

use std::fmt;

use super::authority::Authority;
use super::refusal::{Refusal, Shown};
use super::request::Request;

/// Which web pages may connect (RFC 6455, sections 4.2.2 and 10.2).
///
/// A browser lets *any* page open a WebSocket to *any* server and sends the user's cookies along; all the
/// protection there is, is that it names the page's origin and the server looks (cross-site WebSocket hijacking:
/// CVE-2018-14732, CVE-2025-24010, CVE-2023-0957). So the default is narrow:
///
/// - A request without `Origin` passes: it is not from a browser.
/// - An origin that was [allowed](Self::with_allowed_origin) passes.
/// - Any other passes if it is the server's own, that is, if its host and port are those of `Host`, **and** the
///   [`HostPolicy`] knows that host. `http` and `https` are both fine, because TLS may end in front of us.
/// - All else is refused with 403, `null` (sandboxed frames, local files) included.
///
/// A server that knows its [public origin](Self::with_public_origin) compares with that, and `Host` does not matter.
///
/// ```
/// use sotong_proto::handshake::OriginPolicy;
///
/// let policy = OriginPolicy::default()
///     .with_allowed_origin("https://example.com")? // pages of that site
///     .with_allowed_host("chat.example.com")?; // our own name: our own pages
/// # let _ = policy;
/// assert!(OriginPolicy::default().with_allowed_origin("example.com").is_err()); // an origin has a scheme
/// # Ok::<(), sotong_proto::handshake::PolicyError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OriginPolicy {
    scope: Scope,
    hosts: HostPolicy,
    /// The server's own origins, if it was told; in lower case, without default ports.
    public: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    /// Besides the server's own; in lower case, without default ports.
    Allowed(Vec<String>),
    Any,
}

impl Default for Scope {
    fn default() -> Self {
        Scope::Allowed(Vec::new())
    }
}

impl OriginPolicy {
    /// Lets pages of `origin` connect: `scheme://host` or `scheme://host:port`, or `null`. Exactly that one; there
    /// are no wildcards, because they have been got wrong too often (CVE-2022-42975).
    ///
    /// `null` is dangerous: any page can put itself into a sandboxed frame and be `null`.
    ///
    /// # Errors
    /// When `origin` is not an origin: it has a path, no scheme, a user name.
    pub fn with_allowed_origin(mut self, origin: &str) -> Result<Self, PolicyError> {
        let Some(normal) = Origin::parse(origin).filter(|_| !origin.contains('*')) else {
            return Err(PolicyError::Origin { origin: origin.to_owned() });
        };
        if let Scope::Allowed(allowed) = &mut self.scope {
            allowed.push(normal.to_string());
        }
        Ok(self)
    }

    /// Tells the origin of this server's own pages, as browsers see it: `https://chat.example.com`. May be told more
    /// than once.
    ///
    /// Behind a proxy neither the scheme nor `Host` needs to be what the browser sees. Once it is told, the server's
    /// own pages are those of this very origin, scheme, host and port; `Host` is not compared any more, so pages that
    /// reach the server by another name or address need [`with_allowed_origin`](Self::with_allowed_origin).
    ///
    /// # Errors
    /// When `origin` is not an origin of web pages, `http` or `https`.
    pub fn with_public_origin(mut self, origin: &str) -> Result<Self, PolicyError> {
        match Origin::parse(origin).filter(|_| !origin.contains('*')) {
            Some(parsed @ Origin::Tuple { scheme, .. }) if is_web(scheme) => {
                self.public.push(parsed.to_string());
                Ok(self)
            }
            _ => Err(PolicyError::Origin { origin: origin.to_owned() }),
        }
    }

    /// Tells a name that this server goes by: see [`HostPolicy::with_allowed_host`].
    ///
    /// # Errors
    /// When `host` is not a host name.
    pub fn with_allowed_host(mut self, host: &str) -> Result<Self, PolicyError> {
        self.hosts = self.hosts.with_allowed_host(host)?;
        Ok(self)
    }

    /// Judges a request.
    ///
    /// # Errors
    /// 403, whose body says which origin or host it was and which option would let it in.
    pub fn check(&self, request: &Request) -> Result<(), Refusal> {
        self.check_seen_as(request, None, None)
    }

    /// Judges a request that came through a proxy which is trusted to say how the client asked for it: under which
    /// `host` (name and port, as in `Host`), and by which `scheme`, `http` or `https`. `None`: it does not say.
    ///
    /// Where the scheme is known, pages of the other one are not the server's own.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_seen_as(
        &self,
        request: &Request,
        host: Option<&str>,
        scheme: Option<&str>,
    ) -> Result<(), Refusal> {
        let Scope::Allowed(allowed) = &self.scope else { return Ok(()) };
        let Some(written) = request.origin() else { return Ok(()) };
        let refused = || {
            Refusal::line(
                403,
                format_args!(
                    "origin {} is not allowed here; it can be allowed with with_allowed_origin (--allow-origin)",
                    Shown(written.as_bytes())
                ),
            )
        };
        let origin = Origin::parse(written).ok_or_else(refused)?;
        let normal = origin.to_string();
        if allowed.contains(&normal) || self.public.contains(&normal) {
            return Ok(());
        }
        let host = Authority::parse(host.unwrap_or(request.host())).ok_or_else(refused)?;
        if !self.public.is_empty() || !origin.is_of(&host, scheme) {
            return Err(refused());
        }
        if self.hosts.allows(host) {
            return Ok(());
        }
        Err(Refusal::line(
            403,
            format_args!(
                "host {} is not known as a name of this server; it can be told with with_allowed_host (--allow-host)",
                Shown(host.host.as_bytes())
            ),
        ))
    }
}

/// Which names this server goes by. Default: `localhost`, names below it, and IP addresses.
///
/// It stops *DNS rebinding*: a page of `evil.example` lets that very name point to 127.0.0.1, and to the browser a
/// server there is the page's own origin. `Origin` and `Host` then agree, but on a name that is not ours. An
/// address needs no such care, since nobody can make it point elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostPolicy {
    /// In lower case.
    names: Vec<String>,
}

impl HostPolicy {
    /// Adds a name, without a port. It is compared exactly, but for the case of letters: no wildcards, and a final
    /// dot makes another name.
    ///
    /// # Errors
    /// When `host` is not a host name.
    pub fn with_allowed_host(mut self, host: &str) -> Result<Self, PolicyError> {
        match Authority::parse(host) {
            // The grammar lets an asterisk be part of a name, but here it would look like a wildcard, match
            // nothing, and be "fixed" by switching the check off.
            Some(authority) if authority.host == host && !host.contains('*') => {
                self.names.push(host.to_ascii_lowercase());
                Ok(self)
            }
            _ => Err(PolicyError::Host { host: host.to_owned() }),
        }
    }

    /// Whether `host`, as in a `Host` header, is a name of this server; its port does not matter.
    pub fn is_allowed(&self, host: &str) -> bool {
        Authority::parse(host).is_some_and(|host| self.allows(host))
    }

    fn allows(&self, host: Authority<'_>) -> bool {
        host.is_address()
            || host.is_localhost()
            || self.names.iter().any(|name| name.eq_ignore_ascii_case(host.host))
    }
}

/// Ways to switch protection off. Each says what it costs.
pub mod danger {
    use super::{OriginPolicy, Scope};

    /// Lets every page of every site connect.
    ///
    /// Safe only when a connection can do nothing that its user would not let any site do: when there are no
    /// cookies and nothing that only this network may see, or when each connection proves itself with a token that
    /// other sites cannot have.
    pub fn any_origin() -> OriginPolicy {
        OriginPolicy { scope: Scope::Any, ..OriginPolicy::default() }
    }
}

/// An option of a policy that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// Not an origin.
    Origin {
        /// What was given.
        origin: String,
    },
    /// Not a host name.
    Host {
        /// What was given.
        host: String,
    },
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PolicyError::Origin { origin } => {
                write!(f, "{origin:?} is not an origin, which looks like https://example.com:8443")
            }
            PolicyError::Host { host } => {
                write!(f, "{host:?} is not a host name without a port, which looks like chat.example.com")
            }
        }
    }
}

impl std::error::Error for PolicyError {}

/// The value of an `Origin` header (RFC 6454, section 7). Shown in lower case and without a default port.
enum Origin<'a> {
    Null,
    Tuple { scheme: &'a str, authority: Authority<'a> },
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        // RFC 6454, section 7.1: exactly these four letters, but a lenient reading must not make it an origin.
        if text.eq_ignore_ascii_case("null") {
            return Some(Origin::Null);
        }
        let (scheme, authority) = text.split_once("://")?;
        let mut letters = scheme.bytes();
        let valid = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
            && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !valid {
            return None;
        }
        Some(Origin::Tuple { scheme, authority: Authority::parse(authority)? })
    }

    /// Whether pages of this origin come from `host`, by `wanted` if that is known.
    fn is_of(&self, host: &Authority<'_>, wanted: Option<&str>) -> bool {
        match self {
            Origin::Null => false,
            Origin::Tuple { scheme, authority } => {
                is_web(scheme)
                    && wanted.is_none_or(|wanted| scheme.eq_ignore_ascii_case(wanted))
                    && authority.host.eq_ignore_ascii_case(host.host)
                    && authority.port_beyond_default(scheme) == host.port_beyond_default(scheme)
            }
        }
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Null => f.write_str("null"),
            Origin::Tuple { scheme, authority } => {
                let host = authority.host.to_ascii_lowercase();
                write!(f, "{}://{host}", scheme.to_ascii_lowercase())?;
                // Other schemes (of browser extensions, of apps) have no default port.
                let port =
                    if is_web(scheme) { authority.port_beyond_default(scheme) } else { authority.port };
                port.map_or(Ok(()), |port| write!(f, ":{port}"))
            }
        }
    }
}

fn is_web(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}
