//! What listeners are told.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use sotong_proto::Text;

use super::cause::Cause;
use super::socket::WebSocket;

/// A message came.
#[derive(Clone, Debug)]
pub struct MessageEvent {
    pub(super) target: WebSocket,
    pub(super) data: Data,
    pub(super) origin: Arc<str>,
}

impl MessageEvent {
    /// The socket that it came to.
    pub fn target(&self) -> &WebSocket {
        &self.target
    }

    /// What came.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The origin of the socket's URL, such as `wss://example.com`.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// What a message holds.
///
/// Cloning it copies nothing.
///
/// ```
/// use sotong::web::Data;
///
/// let data = Data::Text("소통".into());
/// assert_eq!((data.as_text(), data.as_bytes().len()), (Some("소통"), 6));
/// assert_eq!(data.to_string(), "소통");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A text message.
    Text(Text),
    /// A binary message, while the [`BinaryType`] was `blob`.
    Blob(Bytes),
    /// A binary message, while the [`BinaryType`] was `arraybuffer`.
    ArrayBuffer(Bytes),
}

impl Data {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Data::Text(text) => Some(text),
            Data::Blob(_) | Data::ArrayBuffer(_) => None,
        }
    }

    /// The bytes: of text, its UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Data::Text(text) => text.as_bytes(),
            Data::Blob(bytes) | Data::ArrayBuffer(bytes) => bytes,
        }
    }
}

impl fmt::Display for Data {
    /// Text as it is; of bytes how many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Data::Text(text) => f.write_str(text),
            Data::Blob(bytes) | Data::ArrayBuffer(bytes) => write!(f, "[{} bytes]", bytes.len()),
        }
    }
}

/// As what binary messages are given to listeners. Both are the same bytes here; the names are the standard's.
///
/// There is no other value, so none can be set. Its text is read by `parse`:
///
/// ```
/// use sotong::web::BinaryType;
///
/// assert_eq!("arraybuffer".parse(), Ok(BinaryType::ArrayBuffer));
/// assert!("buffer".parse::<BinaryType>().is_err());
/// assert_eq!(BinaryType::default().as_str(), "blob");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BinaryType {
    /// [`Data::Blob`]. The default.
    #[default]
    Blob,
    /// [`Data::ArrayBuffer`].
    ArrayBuffer,
}

impl BinaryType {
    /// As the standard spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryType::Blob => "blob",
            BinaryType::ArrayBuffer => "arraybuffer",
        }
    }

    pub(super) fn wrap(self, bytes: Bytes) -> Data {
        match self {
            BinaryType::Blob => Data::Blob(bytes),
            BinaryType::ArrayBuffer => Data::ArrayBuffer(bytes),
        }
    }
}

impl fmt::Display for BinaryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BinaryType {
    type Err = UnknownBinaryType;

    fn from_str(text: &str) -> Result<Self, UnknownBinaryType> {
        match text {
            "blob" => Ok(BinaryType::Blob),
            "arraybuffer" => Ok(BinaryType::ArrayBuffer),
            _ => Err(UnknownBinaryType),
        }
    }
}

/// Neither `blob` nor `arraybuffer`. Browsers ignore such a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownBinaryType;

impl fmt::Display for UnknownBinaryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a binary type is \"blob\" or \"arraybuffer\"")
    }
}

impl std::error::Error for UnknownBinaryType {}

/// Something went wrong; the `close` event follows.
#[derive(Clone, Debug)]
pub struct ErrorEvent {
    pub(super) target: WebSocket,
    pub(super) cause: Cause,
}

impl ErrorEvent {
    /// The socket that it happened to.
    pub fn target(&self) -> &WebSocket {
        &self.target
    }

    /// What went wrong: what browsers hide.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }
}

/// The connection is over, or there never was one: the last event.
#[derive(Clone, Debug)]
pub struct CloseEvent {
    pub(super) target: WebSocket,
    pub(super) was_clean: bool,
    pub(super) code: u16,
    pub(super) reason: Text,
}

impl CloseEvent {
    /// The socket that was closed.
    pub fn target(&self) -> &WebSocket {
        &self.target
    }

    /// Whether Close frames went both ways before the connection ended.
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// The code of the peer's Close; 1005 if it had none, 1006 if none came.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The reason in the peer's Close; empty if there was none.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}
