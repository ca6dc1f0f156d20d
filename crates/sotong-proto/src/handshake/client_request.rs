//! What a client asks for (RFC 6455, section 4.1).

use std::fmt;

use super::authority::Authority;
use super::header::{HeaderError, SentHeaders, is_token, write_field};
use super::key::Key;
use super::refusal::Shown;
use super::request::Request;
use crate::Compression;
use crate::extension::deflate::Offered;

/// What to ask a server for: the host and the target, sub-protocols, compression, and header fields besides.
///
/// It is checked as it is built, so that what comes from elsewhere (a user's URL, a token from a file) cannot write
/// header lines of its own. Nothing is escaped or completed: the caller has parsed a URL, knows the scheme's default
/// port and has left it out of `host`.
///
/// ```
/// use sotong_proto::handshake::ClientRequest;
///
/// let request = ClientRequest::new("example.com:8080", "/chat?room=1")?
///     .with_protocol("chat.v2")?
///     .with_protocol("chat.v1")?
///     .with_header("Authorization", "Bearer 0815")?;
/// assert!(request.clone().with_header("X-Room", "a\r\nCookie: admin=1").is_err());
/// assert!(request.clone().with_header("Host", "other.example").is_err());
/// assert!(request.with_protocol("chat.v1").is_err()); // it is offered already
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Its `Debug` form shows the host and the names of headers, not the query or values: those hold passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientRequest {
    host: String,
    target: String,
    protocols: Vec<String>,
    compression: Option<Compression>,
    headers: SentHeaders,
}

impl ClientRequest {
    /// A request to `host` (`name`, `name:port`, `[v6-address]:port`) for `target` (path and query, as they stand in
    /// a URL: percent-encoded, without fragment).
    ///
    /// # Errors
    /// When `host` is not a host and a port (a user name before it is not sent: RFC 9110, section 4.2.4), or when
    /// `target` does not begin with `/` or has a byte that is not visible ASCII, or a `#` (RFC 6455, section 3).
    pub fn new(host: impl Into<String>, target: impl Into<String>) -> Result<Self, RequestError> {
        let (host, target) = (host.into(), target.into());
        if Authority::parse(&host).is_none() {
            return Err(RequestError::Host { host });
        }
        if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(RequestError::Target { target });
        }
        Ok(ClientRequest {
            host,
            target,
            protocols: Vec::new(),
            compression: None,
            headers: SentHeaders::default(),
        })
    }

    /// Offers a sub-protocol, after those that were offered before: the server sees the favourite first.
    ///
    /// # Errors
    /// When it is not a token (RFC 6455, section 4.1, 10), or is offered already: "all unique strings".
    pub fn with_protocol(mut self, protocol: impl Into<String>) -> Result<Self, RequestError> {
        let protocol = protocol.into();
        let index = self.protocols.len();
        if !is_token(protocol.as_bytes()) {
            let character =
                protocol.chars().find(|letter| !is_token(letter.encode_utf8(&mut [0; 4]).as_bytes()));
            return Err(RequestError::Protocol { index, character });
        }
        if self.protocols.contains(&protocol) {
            return Err(RequestError::ProtocolTwice { index });
        }
        self.protocols.push(protocol);
        Ok(self)
    }

    /// Offers permessage-deflate (RFC 7692), once, with the parameters that this needs.
    #[must_use]
    pub fn with_compression(mut self, compression: Option<Compression>) -> Self {
        self.compression = compression;
        self
    }

    /// Adds a header field; one of a name that is there already becomes a second line.
    ///
    /// # Errors
    /// When the field cannot be sent, `Host` among them, which is known: see [`HeaderError`].
    pub fn with_header(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, HeaderError> {
        let name = name.into();
        if name.eq_ignore_ascii_case("Host") {
            return Err(HeaderError::Managed { name });
        }
        self.headers.add(name, value.into())?;
        Ok(self)
    }

    /// The host, and the port if it is not the scheme's.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path and the query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The sub-protocols that are offered, the favourite first.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        self.protocols.iter().map(String::as_str)
    }

    /// The request head, ready to send.
    pub(super) fn to_bytes(&self, key: &Key) -> Vec<u8> {
        let mut head = Vec::with_capacity(512);
        for part in ["GET ", &self.target, " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        write_field(&mut head, "Host", &self.host);
        write_field(&mut head, "Upgrade", "websocket");
        write_field(&mut head, "Connection", "Upgrade");
        write_field(&mut head, "Sec-WebSocket-Key", key.as_str());
        write_field(&mut head, "Sec-WebSocket-Version", "13");
        if let Some(protocols) = self.protocol_list() {
            write_field(&mut head, "Sec-WebSocket-Protocol", &protocols);
        }
        if let Some(offered) = self.offered() {
            write_field(&mut head, "Sec-WebSocket-Extensions", &offered.element());
        }
        self.headers.write(&mut head);
        head.extend_from_slice(b"\r\n");
        head
    }

    /// The same in the form that a server keeps of it.
    pub(super) fn to_request(&self) -> Request {
        let protocols = self.protocol_list();
        let extensions = self.offered().map(|offered| offered.element());
        let ours = [
            ("Host", Some(self.host.as_str())),
            ("Sec-WebSocket-Protocol", protocols.as_deref()),
            ("Sec-WebSocket-Extensions", extensions.as_deref()),
        ];
        let ours = ours.into_iter().filter_map(|(name, value)| Some((name, value?)));
        // A recipient does not see the white space around a value.
        let fields =
            ours.chain(self.headers.iter().map(|(name, value)| (name, value.trim_matches([' ', '\t']))));
        Request::new(&self.target, fields.map(|(name, value)| (name, value.as_bytes())))
    }

    /// What is offered of permessage-deflate.
    pub(super) fn offered(&self) -> Option<Offered> {
        self.compression.map(Offered::new)
    }

    fn protocol_list(&self) -> Option<String> {
        (!self.protocols.is_empty()).then(|| self.protocols.join(", "))
    }
}

impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequest")
            .field("host", &self.host)
            .field("path", &self.target.split('?').next().unwrap_or_default())
            .field("protocols", &self.protocols.len())
            .field("compression", &self.compression)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish()
    }
}

/// The application's request cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// Not a host and a port.
    Host {
        /// What was given.
        host: String,
    },
    /// Not a path and a query.
    Target {
        /// What was given.
        target: String,
    },
    /// Not a token, and so not a sub-protocol. What was given is not repeated: some programs send what is secret there.
    Protocol {
        /// Which of them, from 0.
        index: usize,
        /// The first character that is not allowed; `None` if there is no character at all.
        character: Option<char>,
    },
    /// A sub-protocol that is offered already.
    ProtocolTwice {
        /// Which of them, from 0.
        index: usize,
    },
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::Host { host } => {
                let shown = Shown(host.as_bytes());
                write!(f, "{shown} is not a host and a port, such as example.com, example.com:8080 or [::1]:8080")
            }
            // Not shown: a query may hold a password.
            RequestError::Target { .. } => f.write_str(
                "the target is not a path and a query: allowed are visible ASCII characters without #, and the first is /",
            ),
            RequestError::Protocol { index, character } => {
                write!(f, "sub-protocol {} is not a token: ", index + 1)?;
                match character {
                    Some(character) => write!(f, "it has {character:?}; ")?,
                    None => f.write_str("it is empty; ")?,
                }
                f.write_str("allowed are letters, digits and any of !#$%&'*+-.^_`|~")
            }
            RequestError::ProtocolTwice { index } => {
                write!(f, "sub-protocol {} is offered before, each may be once", index + 1)
            }
        }
    }
}

impl std::error::Error for RequestError {}
