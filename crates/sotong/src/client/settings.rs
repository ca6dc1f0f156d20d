//! What a client was told.

use std::sync::Arc;

use sotong_proto::Config;
#[cfg(doc)]
use sotong_proto::handshake::Response;
use sotong_proto::handshake::{ClientRequest, HeaderError, RequestError};

use super::Client;
#[cfg(doc)]
use super::ConnectError;
use super::address_policy::AddressPolicy;
use super::credentials::{self, CredentialsError, UserPassword};
use super::dial::Simultaneous;
use super::proxy::{Proxy, Route};
use super::timeouts::ConnectTimeouts;
#[cfg(doc)]
use crate::socket::WebSocket;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;

/// What logs in at a server (RFC 9110, section 11.6.2).
pub(super) const AUTHORIZATION: &str = "Authorization";

/// The settings of connections to be made.
#[derive(Clone, Default)]
pub(super) struct Settings {
    pub(super) config: Arc<Config>,
    /// Each was checked when it came in.
    pub(super) headers: Vec<(String, String)>,
    pub(super) protocols: Vec<String>,
    pub(super) timeouts: ConnectTimeouts,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<ClientTls>,
    pub(super) route: Route,
    #[cfg(feature = "tls")]
    pub(super) proxy_tls: Option<ClientTls>,
    pub(super) simultaneous: Simultaneous,
    pub(super) redirects_max: u32,
    pub(super) address_policy: Option<Arc<AddressPolicy>>,
}

/// Settings.
impl Client {
    fn settings_mut(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Sets the limits and deadlines of connections. Default: [`Config::default`].
    ///
    /// The handshake's deadline is that of [`ConnectTimeouts::handshake`].
    #[must_use]
    pub fn with_config(mut self, config: Config) -> Self {
        self.settings_mut().config = Arc::new(config);
        self
    }

    /// Adds a header to the request, such as `Authorization`, `Cookie` or `Origin`.
    ///
    /// Headers are sent in the order in which they were added; adding one twice sends it twice. There is no jar for
    /// cookies: those to send are one header, `Cookie: a=1; b=2`, and those that the server sets are in its
    /// [`Response`].
    ///
    /// # Errors
    /// When the name is not a token, the value holds a line break or another control character (whoever could write
    /// one there could add headers of their own), or the handshake itself writes this header: `Host`, `Upgrade`,
    /// `Connection`, those that begin with `Sec-WebSocket-`, and those of a body.
    pub fn with_header(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, HeaderError> {
        let (name, value) = (name.into(), value.into());
        probe().with_header(name.clone(), value.clone())?;
        self.settings_mut().headers.push((name, value));
        Ok(self)
    }

    /// Logs in with a user name and a password: the header `Authorization: Basic …` (RFC 7617). It replaces an
    /// `Authorization` that was set before, and goes before a user name in the URL.
    ///
    /// Over `ws:` whoever is on the way can read both.
    ///
    /// # Errors
    /// When the user name holds a colon, or either a control character.
    pub fn with_basic_auth(
        mut self,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Result<Self, CredentialsError> {
        let value = UserPassword::new(user.into(), password.into())?.basic();
        self.set_authorization(value);
        Ok(self)
    }

    /// Logs in with a token: the header `Authorization: Bearer …` (RFC 6750, section 2.1). It replaces an `Authorization`
    /// that was set before, and goes before a user name in the URL.
    ///
    /// Over `ws:` whoever is on the way can read it.
    ///
    /// # Errors
    /// When it is empty or holds a character that is not visible ASCII, such as the line end of the file that it was read
    /// from.
    pub fn with_bearer_token(mut self, token: impl AsRef<str>) -> Result<Self, CredentialsError> {
        let value = credentials::bearer(token.as_ref())?;
        self.set_authorization(value);
        Ok(self)
    }

    fn set_authorization(&mut self, value: String) {
        self.remove_header(AUTHORIZATION);
        self.settings_mut().headers.push((AUTHORIZATION.to_owned(), value));
    }

    fn remove_header(&mut self, name: &str) {
        self.settings_mut().headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    }

    /// Sends this header instead of those of its name that were added before.
    pub(crate) fn with_only_header(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        self.remove_header(name);
        self.with_header(name, value)
    }

    /// Sets the sub-protocols to offer, the one that is liked most first. Default: none.
    ///
    /// The server chooses one or none: see [`WebSocket::protocol`]. One that was not offered fails the handshake.
    ///
    /// # Errors
    /// When one is not a token, or is there twice (RFC 6455, section 4.1, 10).
    pub fn with_protocols(
        mut self,
        protocols: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, RequestError> {
        let protocols: Vec<String> = protocols.into_iter().map(Into::into).collect();
        let mut probe = probe();
        for protocol in &protocols {
            probe = probe.with_protocol(protocol.clone())?;
        }
        self.settings_mut().protocols = protocols;
        Ok(self)
    }

    /// Sets how long a connect and each of its steps may take. Default: 30 seconds for the whole.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: ConnectTimeouts) -> Self {
        self.settings_mut().timeouts = timeouts;
        self
    }

    /// Sets how TLS is spoken: whom to trust, and who we are. Default: the platform's roots, no
    /// certificate of ours.
    ///
    /// Needs the feature `tls`, which is on by default.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: ClientTls) -> Self {
        self.settings_mut().tls = Some(tls);
        self
    }

    /// Lets connects to one address run side by side.
    ///
    /// By default they wait for each other, as RFC 6455, section 4.1, 2 says they MUST and as browsers do: so that
    /// whoever can make a program connect cannot turn it against a server. For load generators, and for programs with
    /// thousands of connections to a server of their own.
    #[must_use]
    pub fn with_simultaneous_connects(mut self) -> Self {
        self.settings_mut().simultaneous = Simultaneous::Allow;
        self
    }

    /// Follows so many redirects at most, one after another. Default: none; a redirect is then
    /// [`ConnectError::Refused`].
    ///
    /// 301, 302, 303, 307 and 308 are followed, to `ws:` and `wss:`, for which a server may also write `http:` and
    /// `https:`; never from `wss:` to `ws:`. All stations together have the time of [`ConnectTimeouts::total`]. For each of
    /// them anew the proxy is chosen and the [address policy](Self::with_address_policy) asked.
    ///
    /// To another origin (scheme, host or port) nothing goes along that may be a secret: of the headers that were set here
    /// only `Accept`, `Accept-Language`, `Origin` and `User-Agent`, so neither `Authorization` nor `Cookie` nor what else
    /// you added; no user name of the URL; no client certificate. Nor do they come back when that origin leads to the first one again. From `ws:` to
    /// `wss:` is to another origin: with credentials, write the URL with `wss:` at once. Sub-protocols do go along; a token
    /// among them would, too.
    #[must_use]
    pub fn with_redirects_max(mut self, max: u32) -> Self {
        self.settings_mut().redirects_max = max;
        self
    }

    /// Connects only where this policy allows it: for URLs that come from strangers. Default: everywhere.
    #[must_use]
    pub fn with_address_policy(mut self, policy: AddressPolicy) -> Self {
        self.settings_mut().address_policy = Some(Arc::new(policy));
        self
    }

    /// Connects through this proxy, whatever the environment says. Default: as the environment says.
    ///
    /// It is used for every URL, also for those of this machine. With
    /// [`connect_over`](Self::connect_over) no proxy is used: the stream is connected already.
    ///
    /// # The environment
    ///
    /// Unless this or [`without_proxy`](Self::without_proxy) is called, the variables that most programs know are read at
    /// each connect:
    ///
    /// - For `wss:` `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY`; for `ws:` `http_proxy`, `HTTP_PROXY`,
    ///   `all_proxy`, `ALL_PROXY`. The first that is set to something counts; it is a URL as
    ///   [`Proxy::parse`] takes it.
    /// - `HTTP_PROXY` in capital letters is not read where `REQUEST_METHOD` is set: a web server writes there, for its CGI
    ///   programs, what strangers send in a header `Proxy` (CVE-2016-5385).
    /// - `no_proxy`, or else `NO_PROXY`, lists hosts that are reached directly: `example.com` (and all names below it; so do
    ///   `.example.com` and `*.example.com`), `192.0.2.1`, `10.0.0.0/8`, `[2001:db8::1]`, each with `:PORT` if only that port
    ///   is meant; `*` is all of them.
    /// - `localhost`, names below it and loopback addresses are always reached directly: to a proxy they would be another
    ///   machine, its own.
    /// - A value that cannot be read fails the connect ([`ConnectError::ProxyVariable`]); a proxy that cannot be reached
    ///   does, too. Nothing goes directly instead.
    #[must_use]
    pub fn with_proxy(mut self, proxy: Proxy) -> Self {
        self.settings_mut().route = Route::Through(proxy);
        self
    }

    /// Connects directly, whatever the environment says: see [`with_proxy`](Self::with_proxy).
    ///
    /// ```
    /// let client = sotong::Client::new().without_proxy();
    /// # let _ = client;
    /// ```
    #[must_use]
    pub fn without_proxy(mut self) -> Self {
        self.settings_mut().route = Route::Direct;
        self
    }

    /// Sets how TLS is spoken with a proxy whose URL begins with `https:`. Default: the platform's roots, no certificate of
    /// ours. What [`with_tls`](Self::with_tls) sets is for servers: a proxy is somebody else.
    ///
    /// Needs the feature `tls`, which is on by default.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_proxy_tls(mut self, tls: ClientTls) -> Self {
        self.settings_mut().proxy_tls = Some(tls);
        self
    }
}

/// A request that goes nowhere: what it takes, a real one will take.
fn probe() -> ClientRequest {
    ClientRequest::new("localhost", "/").expect("a host and a path")
}
