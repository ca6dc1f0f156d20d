//! The four kinds of events, to be named in [`add_event_listener`](super::WebSocket::add_event_listener).

use super::event::{CloseEvent, ErrorEvent, MessageEvent};
use super::listeners::{Call, Callback};
use super::socket::WebSocket;

/// The connection is there. Its listeners are given the socket: there is nothing else to tell.
pub const OPEN: Open = Open(());
/// A message came.
pub const MESSAGE: Message = Message(());
/// Something went wrong.
pub const ERROR: Error = Error(());
/// The connection is over.
pub const CLOSE: Close = Close(());

/// The kind of [`OPEN`].
#[derive(Clone, Copy, Debug)]
pub struct Open(());
/// The kind of [`MESSAGE`].
#[derive(Clone, Copy, Debug)]
pub struct Message(());
/// The kind of [`ERROR`].
#[derive(Clone, Copy, Debug)]
pub struct Error(());
/// The kind of [`CLOSE`].
#[derive(Clone, Copy, Debug)]
pub struct Close(());

/// A kind of events: [`OPEN`], [`MESSAGE`], [`ERROR`] or [`CLOSE`].
pub trait EventKind: sealed::Wrap {
    /// What its listeners are given.
    type Event: 'static;
}

pub(super) mod sealed {
    use super::{Call, Callback, EventKind};

    pub trait Wrap {
        #[doc(hidden)]
        fn wrap(listener: Call<Self::Event>) -> Callback
        where
            Self: EventKind;
    }
}

macro_rules! kinds {
    ($($kind:ident: $event:ty;)*) => {$(
        impl EventKind for $kind {
            type Event = $event;
        }

        impl sealed::Wrap for $kind {
            fn wrap(listener: Call<$event>) -> Callback {
                Callback::$kind(listener)
            }
        }
    )*};
}

kinds! {
    Open: WebSocket;
    Message: MessageEvent;
    Error: ErrorEvent;
    Close: CloseEvent;
}
