//! Channels: a name, its members, and what was said.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use sotong_proto::Text;

use super::history::{Order, Unrecoverable};
use super::{Epoch, History, JoinLeave, Limits, Member, Presence, SessionId, Timestamp};
use crate::wire::{
    HistoryRequest, HistoryResult, Join, Json, Leave, Publication, Push, PushEvent, SubscribeResult,
};

/// A name that a channel may have: 1 to 255 bytes of visible text. A namespace may stand before the first `:`, the
/// users that a channel is for behind a `#`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(Arc<str>);

impl ChannelName {
    /// The longest name, in bytes. Part of the protocol, hence no setting.
    pub const BYTES_MAX: usize = 255;

    /// Checks a name.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn new(name: &str) -> Result<ChannelName, String> {
        if name.is_empty() {
            return Err("the channel has no name".to_owned());
        }
        if name.len() > Self::BYTES_MAX {
            return Err(format!(
                "channel name of {} bytes, at most {} are allowed",
                name.len(),
                Self::BYTES_MAX
            ));
        }
        if name.chars().any(char::is_control) {
            return Err("the channel name has a control character".to_owned());
        }
        Ok(ChannelName(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first `:`.
    pub fn namespace(&self) -> Option<&str> {
        self.0.split_once(':').map(|(namespace, _)| namespace)
    }

    /// Whether the channel is for certain users only (`dm:#1,2`).
    pub fn is_for_users(&self) -> bool {
        self.0.contains('#')
    }
}

impl Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A channel with at least one member. What it has to say it says by handing one text to many sessions.
#[derive(Debug)]
pub struct Channel {
    name: ChannelName,
    presence: Presence,
    history: History,
}

impl Channel {
    /// A channel that nobody has entered and where nothing was said.
    pub fn new(name: ChannelName, epoch: Epoch) -> Channel {
        Channel { name, presence: Presence::default(), history: History::new(epoch) }
    }

    /// Who is here.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// What was said.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Adds a member, and tells it where the channel stands.
    pub fn enter(&mut self, session: SessionId, member: Member) -> SubscribeResult {
        self.presence.enter(session, member);
        SubscribeResult {
            epoch: self.history.epoch().as_str().to_owned(),
            offset: self.history.top().0,
            ..SubscribeResult::default()
        }
    }

    /// Announces a member that has entered, itself included: what happens in a channel comes back to everybody.
    pub fn announce_join(&self, session: SessionId, send: impl FnMut(SessionId, Text)) {
        let Some(member) = self.presence.member(session) else { return };
        self.tell(PushEvent::Join(Join { info: member.info.clone() }), send);
    }

    /// Removes a member and tells the others.
    pub fn leave(&mut self, session: SessionId, send: impl FnMut(SessionId, Text)) {
        let Some(member) = self.presence.leave(session) else { return };
        self.tell(PushEvent::Leave(Leave { info: member.info }), send);
    }

    /// Gives a publication its number, remembers it, and hands it to every member, the sender included: one step, so
    /// that the order is the same for everybody.
    pub fn publish(
        &mut self,
        sender: SessionId,
        data: Json,
        now: Timestamp,
        limits: &Limits,
        mut send: impl FnMut(SessionId, Text),
    ) {
        let publication = Json::of(&Publication {
            data,
            info: self.presence.member(sender).map(|member| member.info.clone()),
            offset: self.history.top().next().0,
            time: now.0,
        });
        let push = Push { channel: self.name.as_str(), event: PushEvent::Pub(&publication) };
        let text = Text::from(push.to_text());
        for (session, _) in self.presence.sessions() {
            send(session, text.clone());
        }
        self.history.append(publication, limits);
    }

    /// The answer to `history`.
    ///
    /// # Errors
    /// [`Unrecoverable`] if the position that was asked for is not there.
    pub fn read(&self, request: &HistoryRequest) -> Result<HistoryResult, Unrecoverable> {
        let order = if request.reverse { Order::Reverse } else { Order::Forward };
        Ok(HistoryResult {
            publications: self.history.read(request.limit, request.since.as_ref(), order)?,
            epoch: self.history.epoch().as_str().to_owned(),
            offset: self.history.top().0,
        })
    }

    /// Sends to those who want to know who comes and goes. Encoded once, and only if somebody does.
    fn tell(&self, event: PushEvent<'_>, mut send: impl FnMut(SessionId, Text)) {
        let mut told =
            self.presence.sessions().filter(|(_, member)| member.join_leave == JoinLeave::Told).peekable();
        if told.peek().is_none() {
            return;
        }
        let text = Text::from(Push { channel: self.name.as_str(), event }.to_text());
        told.for_each(|(session, _)| send(session, text.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_name_at_the_limit_and_one_past_it() {
        assert!(ChannelName::new(&"a".repeat(255)).is_ok());
        let error = ChannelName::new(&"a".repeat(256)).unwrap_err();
        assert_eq!(error, "channel name of 256 bytes, at most 255 are allowed");
        assert!(ChannelName::new(&"방".repeat(85)).is_ok(), "85 letters of three bytes");
        assert!(ChannelName::new(&"방".repeat(86)).is_err());
    }

    #[test]
    fn channel_names_are_visible_text() {
        for name in ["", "a\nb", "a\0", "\u{7f}"] {
            assert!(ChannelName::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn parts_of_a_name() {
        let name = |text| ChannelName::new(text).unwrap();
        assert_eq!(name("chat:a:b").namespace(), Some("chat"));
        assert_eq!(name("news").namespace(), None);
        assert!(name("dm:#1,2").is_for_users());
        assert!(!name("dm:1").is_for_users());
    }
}
