//! The words that clients and the hub exchange: serde types, their names and numbers, and nothing else.
//!
//! ```text
//!   client                                                     hub
//!     │                     {"push":{"connect":{…}}}             │   push: the hub speaks first
//!     │ ◄──────────────────────────────────────────────────────  │
//!     │  {"id":1,"subscribe":{"channel":"chat:lobby"}}           │   command: an id and one request
//!     │ ──────────────────────────────────────────────────────►  │
//!     │                     {"id":1,"subscribe":{…}}             │   reply: the same id; the field of the
//!     │ ◄──────────────────────────────────────────────────────  │          same name, or "error"
//!     │                     {"push":{"channel":…,"pub":{…}}}     │   push: no id and one kind
//!     │ ◄──────────────────────────────────────────────────────  │
//! ```
//!
//! This is the *plain* profile: one JSON object per text message. Names and codes are those of the Centrifuge client
//! protocol, version 2, with which the hub is compatible; the other dialects (JSON lines, Protobuf) will carry the
//! same messages in another dress. In JSON, absent means zero, so zeros are left out.
//!
//! Layering: `wire` knows neither sockets nor channels; [`core`](crate::core) turns its commands into replies and
//! pushes.

mod ask;
mod command;
mod disconnect;
mod error;
mod json;
mod push;
mod reply;

pub use ask::{Answered, Ask, AskAnswer, AskError};
pub use command::{
    ClientMessage, Command, HistoryRequest, Malformed, PresenceRequest, PresenceStatsRequest, PublishRequest,
    Request, StreamPosition, SubscribeRequest, UnsubscribeRequest,
};
pub use disconnect::Disconnect;
pub use error::{Error, ErrorCode};
pub use json::Json;
pub use push::{ClientInfo, Connect, Join, Leave, Message, Publication, Push, PushEvent, Skipped};
pub use reply::{
    Answer, Empty, HistoryResult, PresenceResult, PresenceStatsResult, Reply, SubscribeResult, to_text,
};
