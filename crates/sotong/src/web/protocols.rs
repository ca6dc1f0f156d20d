//! What may be given as sub-protocols: a string or a list of them.

use sotong_proto::handshake::RequestError;

use super::error::SyntaxError;
use crate::client::Client;

/// Sub-protocols to offer: one string, or several.
///
/// ```no_run
/// # async fn example() -> Result<(), sotong::web::Error> {
/// use sotong::web::WebSocket;
///
/// WebSocket::with_protocols("wss://example.com/", "chat")?;
/// WebSocket::with_protocols("wss://example.com/", ["chat.v2", "chat.v1"])?;
/// WebSocket::with_protocols("wss://example.com/", vec![format!("chat.v{}", 3)])?;
/// # Ok(())
/// # }
/// ```
pub trait Protocols: sealed::Protocols {}

impl<T: sealed::Protocols> Protocols for T {}

mod sealed {
    pub trait Protocols {
        #[doc(hidden)]
        fn into_list(self) -> Vec<String>;
    }
}

macro_rules! one {
    ($($type:ty),*) => {$(
        impl sealed::Protocols for $type {
            fn into_list(self) -> Vec<String> {
                vec![self.to_owned().into()]
            }
        }
    )*};
}

one!(&str, String, &String);

impl<S: Into<String>> sealed::Protocols for Vec<S> {
    fn into_list(self) -> Vec<String> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<S: Into<String>, const N: usize> sealed::Protocols for [S; N] {
    fn into_list(self) -> Vec<String> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<S: Clone + Into<String>> sealed::Protocols for &[S] {
    fn into_list(self) -> Vec<String> {
        self.iter().cloned().map(Into::into).collect()
    }
}

/// The list, if each is a token and is there once (WHATWG WebSockets, section 3.1, step 8 of the constructor).
///
/// The standard compares letter by letter: `chat` and `Chat` are two.
pub(super) fn checked(protocols: impl Protocols) -> Result<Vec<String>, SyntaxError> {
    let protocols = sealed::Protocols::into_list(protocols);
    match Client::new().with_protocols(&protocols) {
        Ok(_) => Ok(protocols),
        Err(RequestError::Protocol { index, character }) => Err(SyntaxError::Protocol { index, character }),
        Err(RequestError::ProtocolTwice { index }) => Err(SyntaxError::ProtocolTwice { index }),
        Err(error) => unreachable!("a list of sub-protocols was checked, and nothing else: {error}"),
    }
}
