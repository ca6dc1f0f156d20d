//! Topics: to whom the shell carries one text.

use std::fmt;
use std::sync::Arc;

use super::ChannelName;

/// A name for those who get the same texts. The shell has topics of its own, which carry them; this is the name there.
///
/// The publications of a channel have the channel's name. Who comes and goes is told under another, to those who asked
/// for it. No channel name has a control character, so the two cannot meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Those who follow a channel.
    pub(super) fn publications(channel: &ChannelName) -> Topic {
        Topic(channel.shared())
    }

    /// Those who want to know who comes and goes in it.
    pub(super) fn joins(channel: &ChannelName) -> Topic {
        Topic(format!("\u{2}{channel}").into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_debug())
    }
}
