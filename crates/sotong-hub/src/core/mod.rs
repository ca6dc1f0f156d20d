//! The hub's decisions, without sockets, clocks or randomness.
//!
//! ```text
//!                 open · command · close · disconnect
//!   serve/  ───────────────────────────────────────────►  Hub ── sessions: Session (who, subscriptions)
//!  (sockets,                                               │
//!   the time)  ◄───────────────────────────────────────    └──── channels: Channel ─┬─ Presence (who is here)
//!                 outputs: a frame for a session,                                   └─ History  (what was said)
//!                 or the end of a session
//! ```
//!
//! Each input is a call on [`Hub`], told the time where it matters; what is to be done about it is appended to a list
//! of [`Output`]s, in the order in which it has to happen. A publication is encoded once; its outputs share the text.
//!
//! Nothing is kept for a channel without subscribers, so memory returns to where it was when everybody has gone.
//!
//! Rooms that are left free: a publication reaches subscribers by [`Channel::publish`] and nowhere else. When there
//! are several nodes, `engine/` comes to stand between the command and the channel, and `node/` between the hub and
//! its engine; the commands, the channel and its history do not have to know.

mod ask;
mod channel;
mod history;
mod hub;
mod limits;
mod market;
mod presence;
mod rules;
mod session;
mod topic;

pub use ask::{AskId, AskOutcome, AskRefused};
pub use channel::{Channel, ChannelName};
pub use history::{Epoch, History, Offset, Order, Unrecoverable};
pub use hub::{Greeting, Hub, Output, Timestamp};
pub use limits::Limits;
pub use market::{Market, Price, Quote};
pub use presence::{JoinLeave, Member, Presence};
pub use rules::{Introductions, Publishers, Readers, Rules};
pub use session::{ClientId, Session, SessionId};
pub use topic::Topic;
