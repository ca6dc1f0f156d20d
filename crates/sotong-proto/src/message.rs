//! Messages: owned, and borrowed from the buffer they came in.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use bytestring::ByteString;

/// Text that is shared by reference count: cloning it does not copy it.
///
/// It is valid UTF-8 by construction, and a `&str` wherever one is wanted.
///
/// ```
/// use sotong_proto::Text;
///
/// let text = Text::from("소통");
/// assert_eq!(text, "소통");
/// assert_eq!(text.clone().into_bytes(), "소통".as_bytes());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Text(ByteString);

impl Text {
    /// The text as `&str`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }

    /// The same bytes, shared.
    pub(crate) fn shared_bytes(&self) -> Bytes {
        self.0.as_bytes().clone()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<&str> for Text {
    /// Copies.
    fn from(text: &str) -> Self {
        Text(ByteString::from(text))
    }
}

impl From<String> for Text {
    /// Does not copy.
    fn from(text: String) -> Self {
        Text(ByteString::from(text))
    }
}

impl TryFrom<Bytes> for Text {
    type Error = std::str::Utf8Error;

    /// Checks that the bytes are UTF-8, and does not copy them.
    fn try_from(bytes: Bytes) -> Result<Self, Self::Error> {
        ByteString::try_from(bytes).map(Text)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

/// A message of its own: shared by reference count, so that cloning it does not copy its payload.
///
/// ```
/// use sotong_proto::Message;
///
/// let message = Message::text("hello");
/// assert_eq!(message.as_text(), Some("hello"));
/// assert_eq!(message.as_bytes(), b"hello");
/// assert_eq!(Message::from(vec![1, 2]).as_text(), None); // bytes are binary
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text, valid UTF-8.
    Text(Text),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// A text message.
    pub fn text(text: impl Into<Text>) -> Self {
        Message::Text(text.into())
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Message::Binary(bytes.into())
    }

    /// The message, borrowed.
    #[inline]
    pub fn as_ref(&self) -> MessageRef<'_> {
        match self {
            Message::Text(text) => MessageRef::Text(text),
            Message::Binary(bytes) => MessageRef::Binary(bytes),
        }
    }

    /// The text, if it is a text message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// The payload of either kind.
    pub fn as_bytes(&self) -> &[u8] {
        self.as_ref().as_bytes()
    }

    /// The payload's length in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty; an empty message is a valid one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload, shared.
    pub(crate) fn shared_bytes(&self) -> Bytes {
        match self {
            Message::Text(text) => text.shared_bytes(),
            Message::Binary(bytes) => bytes.clone(),
        }
    }
}

impl From<MessageRef<'_>> for Message {
    /// Copies.
    fn from(message: MessageRef<'_>) -> Self {
        message.to_message()
    }
}

macro_rules! message_from {
    ($($variant:ident($make:expr): $($type:ty),*;)*) => {$($(
        impl From<$type> for Message {
            fn from(payload: $type) -> Self {
                Message::$variant($make(payload))
            }
        }
    )*)*};
}

message_from! {
    Text(Text::from): &str, String;
    Text(std::convert::identity): Text;
    Binary(Bytes::from): Bytes, Vec<u8>;
    Binary(Bytes::copy_from_slice): &[u8];
}

/// A message that is borrowed from the buffer it came in, or from yours.
///
/// ```
/// use sotong_proto::{Message, MessageRef};
///
/// let borrowed = MessageRef::Text("hello");
/// assert_eq!(borrowed.len(), 5);
/// let kept: Message = borrowed.to_message(); // copies the payload, once
/// assert_eq!(kept.as_ref(), borrowed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageRef<'a> {
    /// Text, valid UTF-8.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

impl<'a> MessageRef<'a> {
    /// The text, if it is a text message.
    pub fn as_text(self) -> Option<&'a str> {
        match self {
            MessageRef::Text(text) => Some(text),
            MessageRef::Binary(_) => None,
        }
    }

    /// The payload of either kind.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            MessageRef::Text(text) => text.as_bytes(),
            MessageRef::Binary(bytes) => bytes,
        }
    }

    /// The payload's length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a borrowed message is asked for its bytes")]
    pub fn len(self) -> usize {
        self.as_bytes().len()
    }

    /// A copy that owns its payload.
    pub fn to_message(self) -> Message {
        match self {
            MessageRef::Text(text) => Message::Text(text.into()),
            MessageRef::Binary(bytes) => Message::Binary(Bytes::copy_from_slice(bytes)),
        }
    }
}

impl<'a> From<&'a str> for MessageRef<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        MessageRef::Text(text)
    }
}

impl<'a> From<&'a [u8]> for MessageRef<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        MessageRef::Binary(bytes)
    }
}
