//! What can be sent.

use bytes::Bytes;
use sotong_proto::{BY_REFERENCE_BYTES_MIN, Message, MessageRef, Text};

use sealed::Carried;

/// What can be sent: text (`&str`, `String`, [`Text`]), bytes (`&[u8]`, `Vec<u8>`, [`Bytes`]), a [`Message`], a
/// [`MessageRef`]; any of them as [`Uncompressed`].
///
/// A trait of its own, so that what is borrowed is copied once, and what is owned not at all when it is large.
///
/// ```
/// # async fn example(socket: sotong::WebSocket) -> Result<(), sotong::SendError> {
/// socket.send("text").await?;
/// socket.send(format!("text, {}", 2)).await?;
/// socket.send(vec![0x00, 0xff]).await?;                  // binary
/// socket.send(sotong::Message::text("either")).await?;   // kept and sent to many: cloning it copies nothing
/// # Ok(())
/// # }
/// ```
pub trait Outgoing: sealed::Outgoing {}

impl<T: sealed::Outgoing> Outgoing for T {}

pub(crate) mod sealed {
    use super::{BY_REFERENCE_BYTES_MIN, Message, MessageRef};

    /// A payload on its way out.
    #[derive(Debug)]
    pub enum Carried<'a> {
        Owned(Message),
        Borrowed(MessageRef<'a>),
        OwnedUncompressed(Message),
        BorrowedUncompressed(MessageRef<'a>),
    }

    pub trait Outgoing {
        #[doc(hidden)]
        fn lend(&self) -> MessageRef<'_>;

        /// Whether copying the payload would be a waste.
        #[doc(hidden)]
        fn goes_by_reference(&self) -> bool;

        #[doc(hidden)]
        fn carry<'a>(self) -> Carried<'a>
        where
            Self: 'a;
    }

    impl Carried<'_> {
        #[inline]
        pub(crate) fn as_ref(&self) -> MessageRef<'_> {
            match self {
                Carried::Owned(message) | Carried::OwnedUncompressed(message) => message.as_ref(),
                Carried::Borrowed(message) | Carried::BorrowedUncompressed(message) => *message,
            }
        }

        /// Whether copying the payload would be a waste.
        #[inline]
        pub(crate) fn goes_by_reference(&self) -> bool {
            matches!(self, Carried::Owned(message) if message.len() >= BY_REFERENCE_BYTES_MIN)
        }

        pub(crate) fn into_message(self) -> Message {
            match self {
                Carried::Owned(message) | Carried::OwnedUncompressed(message) => message,
                Carried::Borrowed(message) | Carried::BorrowedUncompressed(message) => message.to_message(),
            }
        }
    }
}

/// A message that is sent uncompressed, whatever was agreed with the peer.
///
/// For one that holds a secret next to text that somebody else chooses: the length of what is compressed together tells
/// what it has in common. See [`Compression`](crate::Compression).
///
/// ```
/// # async fn example(socket: sotong::WebSocket, token: String) -> Result<(), sotong::SendError> {
/// use sotong::Uncompressed;
///
/// socket.send(Uncompressed(format!("token {token}"))).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncompressed<M>(pub M);

impl<M: sealed::Outgoing> sealed::Outgoing for Uncompressed<M> {
    #[inline]
    fn lend(&self) -> MessageRef<'_> {
        self.0.lend()
    }

    /// It is copied: who compresses sends few such messages, and no large ones.
    #[inline]
    fn goes_by_reference(&self) -> bool {
        false
    }

    fn carry<'a>(self) -> Carried<'a>
    where
        Self: 'a,
    {
        match self.0.carry() {
            Carried::Owned(message) | Carried::OwnedUncompressed(message) => {
                Carried::OwnedUncompressed(message)
            }
            Carried::Borrowed(message) | Carried::BorrowedUncompressed(message) => {
                Carried::BorrowedUncompressed(message)
            }
        }
    }
}

macro_rules! outgoing {
    ($($variant:ident($is_owned:literal): $($type:ty as |$self:ident| $lent:expr),*;)*) => {$($(
        impl sealed::Outgoing for $type {
            #[inline]
            fn lend(&self) -> MessageRef<'_> {
                let $self = self;
                $lent
            }

            #[inline]
            fn goes_by_reference(&self) -> bool {
                $is_owned && self.lend().as_bytes().len() >= BY_REFERENCE_BYTES_MIN
            }

            #[inline]
            fn carry<'a>(self) -> Carried<'a>
            where
                Self: 'a,
            {
                Carried::$variant(self.into())
            }
        }
    )*)*};
}

outgoing! {
    Owned(true):
        Message as |message| message.as_ref(),
        Text as |text| MessageRef::Text(text),
        String as |text| MessageRef::Text(text),
        Bytes as |bytes| MessageRef::Binary(bytes),
        Vec<u8> as |bytes| MessageRef::Binary(bytes);
    Borrowed(false):
        MessageRef<'_> as |message| *message,
        &str as |text| MessageRef::Text(text),
        &[u8] as |bytes| MessageRef::Binary(bytes);
}
