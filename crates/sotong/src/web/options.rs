//! What a page would provide: the surroundings of a socket.

use std::fmt;
use std::sync::Arc;

use sotong_proto::{Compression, Config, WindowBits};
use tokio::runtime::Handle;
use url::Url;

use super::cookies::Cookies;
use super::error::{Error, SyntaxError};
use super::protocols::{self, Protocols};
use super::shared::Shared;
use super::socket::WebSocket;
use super::target::Target;
use super::task::{Plan, Task};
use crate::carrier::Carrier;
use crate::client::Client;

/// What may wait to be sent: no page is known to wait with more in earnest, and a server that does not read costs no more.
const OUTBOX_BYTES_MAX: usize = 64 << 20;
/// How large a message may be. Browsers take more than any server sends in one.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// How sockets are made: what the page around a browser's socket would provide.
///
/// ```no_run
/// use sotong::Client;
/// use sotong::web::Options;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let page = Options::new()
///     .with_base("https://example.com/app/")?
///     .with_origin("https://example.com")?;
/// let socket = page.open("/chat")?;
/// assert_eq!(socket.url(), "wss://example.com/chat");
/// # Ok(())
/// # }
/// ```
///
/// Without a [client](Self::with_client) of yours, limits are wide, as pages expect them: see
/// [`default_config`](Self::default_config).
#[derive(Clone)]
pub struct Options {
    client: Client,
    base: Option<Url>,
    origin: Option<String>,
    cookies: Option<Arc<dyn Cookies>>,
    runtime: Option<Handle>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            client: Client::new().with_config(Options::default_config()),
            base: None,
            origin: None,
            cookies: None,
            runtime: None,
        }
    }
}

impl Options {
    /// Those of [`WebSocket::new`]: no base, no `Origin`, no cookies, the current runtime.
    pub fn new() -> Self {
        Options::default()
    }

    /// The limits and deadlines without a client of yours: those of [`Config::default`], but permessage-deflate is
    /// offered as browsers offer it, messages may have 64 MiB, and as much may wait to be sent.
    ///
    /// Compression tells secrets when somebody else chooses a part of what is sent: see [`Compression`].
    ///
    /// ```
    /// use sotong::{Client, web::Options};
    ///
    /// let config = Options::default_config().with_compression(None);
    /// let options = Options::new().with_client(Client::new().with_config(config));
    /// # let _ = options;
    /// ```
    pub fn default_config() -> Config {
        // A window of all 32 KiB is what a browser offers; with any less the offer would have to name it.
        let compression = Compression::windowed().with_window_bits(WindowBits::MAX);
        Config::default()
            .with_compression(Some(compression))
            .with_message_bytes_max(MESSAGE_BYTES_MAX as _)
            .with_outbox_bytes_max(OUTBOX_BYTES_MAX)
    }

    /// Sets what connects: TLS, headers, deadlines, limits, compression. Its sub-protocols are not used,
    /// and it follows no redirects here.
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// Sets what relative URLs are relative to: in a page, its own URL. Default: nothing; they are errors then.
    ///
    /// # Errors
    /// [`Error::SyntaxError`] when it does not parse.
    pub fn with_base(mut self, base: impl AsRef<str>) -> Result<Self, Error> {
        let base = Url::parse(base.as_ref()).map_err(|error| SyntaxError::Url { what: error.to_string() })?;
        self.base = Some(base);
        Ok(self)
    }

    /// Sets the header `Origin`, by which servers tell pages apart: the origin of this URL, or `null`. Default: none is
    /// sent, since this is no page. It replaces one that the client [adds itself](Client::with_header).
    ///
    /// # Errors
    /// [`Error::SyntaxError`] when it does not parse.
    pub fn with_origin(mut self, origin: impl AsRef<str>) -> Result<Self, Error> {
        let origin = match origin.as_ref() {
            "null" => "null".to_owned(),
            origin => {
                let origin =
                    Url::parse(origin).map_err(|error| SyntaxError::Url { what: error.to_string() })?;
                origin.origin().ascii_serialization()
            }
        };
        self.origin = Some(origin);
        Ok(self)
    }

    /// Sets who keeps cookies. Default: nobody does.
    #[must_use]
    pub fn with_cookies(mut self, cookies: impl Cookies) -> Self {
        self.cookies = Some(Arc::new(cookies));
        self
    }

    /// Sets the runtime in whose tasks sockets live, with I/O and time enabled. Default: the one that is current where a
    /// socket is made.
    #[must_use]
    pub fn with_runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Makes a socket. See [`WebSocket::new`].
    ///
    /// # Errors
    /// As there.
    pub fn open(&self, url: impl AsRef<str>) -> Result<WebSocket, Error> {
        self.begin(url.as_ref(), Vec::new(), None)
    }

    /// Makes a socket that offers sub-protocols. See [`WebSocket::with_protocols`].
    ///
    /// # Errors
    /// As there.
    pub fn open_with_protocols(
        &self,
        url: impl AsRef<str>,
        protocols: impl Protocols,
    ) -> Result<WebSocket, Error> {
        self.begin(url.as_ref(), protocols::checked(protocols)?, None)
    }

    /// Makes a socket over a stream that is connected already: through a tunnel, a unix socket, memory. See
    /// [`Client::connect_over`].
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_over(&self, stream: impl Into<Carrier>, url: impl AsRef<str>) -> Result<WebSocket, Error> {
        self.begin(url.as_ref(), Vec::new(), Some(stream.into()))
    }

    fn begin(&self, url: &str, protocols: Vec<String>, carrier: Option<Carrier>) -> Result<WebSocket, Error> {
        let Target { url, origin, bad_port } = Target::parse(url, self.base.as_ref())?;
        let runtime = match &self.runtime {
            Some(runtime) => runtime.clone(),
            None => Handle::try_current().map_err(|_| Error::NoRuntime)?,
        };
        let wants_protocol = !protocols.is_empty();
        // Redirect mode "error" (section 2.2), whatever the client does elsewhere.
        let mut client =
            self.client.clone().with_redirects_max(0).with_protocols(protocols).expect("each was checked");
        if let Some(origin) = &self.origin {
            client = client.with_only_header("Origin", origin).expect("an origin is visible ASCII");
        }
        if let Some(cookie) = self.cookies.as_ref().and_then(|cookies| cookies.header(&url)) {
            client = client.clone().with_header("Cookie", cookie).unwrap_or_else(|error| {
                tracing::warn!(%error, "the cookies cannot be sent");
                client
            });
        }
        let shared = Shared::new(url, &origin);
        let cookies = self.cookies.clone();
        let plan = Plan { client, bad_port, wants_protocol, cookies };
        runtime.spawn(Task::new(shared.clone(), plan).run(carrier));
        Ok(WebSocket::first(shared))
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("client", &self.client)
            .field("base", &self.base.as_ref().map(|base| base.origin().ascii_serialization()))
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
