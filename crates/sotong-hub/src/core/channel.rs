//! Channels: a name, its members, and what was said.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use sotong_proto::Text;

use super::history::{Order, Unrecoverable};
use super::rules::Readers;
use super::{Epoch, History, JoinLeave, Limits, Member, Presence, Rules, SessionId, Timestamp, Topic};
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

    /// The name, shared.
    pub(super) fn shared(&self) -> Arc<str> {
        self.0.clone()
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

/// A channel with at least one member. What it has to say it says once, to a topic.
#[derive(Debug)]
pub struct Channel {
    name: ChannelName,
    rules: Rules,
    /// Those who want to know who comes and goes.
    joins: Topic,
    /// How many those are.
    told: usize,
    presence: Presence,
    history: History,
}

impl Channel {
    /// A channel that nobody has entered and where nothing was said.
    pub fn new(name: ChannelName, epoch: Epoch) -> Channel {
        Channel {
            rules: Rules::of(&name),
            joins: Topic::joins(&name),
            told: 0,
            name,
            presence: Presence::default(),
            history: History::new(epoch),
        }
    }

    /// What holds here.
    pub fn rules(&self) -> Rules {
        self.rules
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
        self.told += usize::from(member.join_leave == JoinLeave::Told);
        self.presence.enter(session, member);
        SubscribeResult {
            epoch: self.history.epoch().as_str().to_owned(),
            offset: self.history.top().0,
            ..SubscribeResult::default()
        }
    }

    /// The topics that a member belongs to.
    pub fn topics_of(&self, session: SessionId) -> impl Iterator<Item = Topic> {
        let member = self.presence.member(session);
        let publications = member.map(|_| Topic::publications(&self.name));
        let joins = member.filter(|member| member.join_leave == JoinLeave::Told).map(|_| self.joins.clone());
        publications.into_iter().chain(joins)
    }

    /// Announces a member that has entered, itself included: what happens in a channel comes back to everybody.
    pub fn announce_join(&self, session: SessionId) -> Option<(Topic, Text)> {
        let member = self.presence.member(session)?;
        self.tell(PushEvent::Join(Join { info: member.info.clone() }))
    }

    /// Removes a member and tells the others.
    pub fn leave(&mut self, session: SessionId) -> Option<(Topic, Text)> {
        let member = self.presence.leave(session)?;
        self.told -= usize::from(member.join_leave == JoinLeave::Told);
        self.tell(PushEvent::Leave(Leave { info: member.info }))
    }

    /// Gives a publication its number, remembers it, and says it to every member, the sender included: one step, so
    /// that the order is the same for everybody. Without a sender it is the server's.
    pub fn publish(
        &mut self,
        sender: Option<SessionId>,
        data: Json,
        now: Timestamp,
        limits: &Limits,
    ) -> (Topic, Text) {
        let member = sender.and_then(|sender| self.presence.member(sender));
        let publication = Json::of(&Publication {
            data,
            info: member.map(|member| member.info.clone()),
            offset: self.history.top().next().0,
            time: now.0,
        });
        let text = self.push(PushEvent::Pub(&publication));
        self.history.append(publication, &self.rules.limits(limits));
        (Topic::publications(&self.name), text)
    }

    /// What somebody who has just come is told first: the newest publication, where each replaces the one before.
    pub fn newest(&self) -> Option<Text> {
        if self.rules.readers != Readers::NewestOnly {
            return None;
        }
        self.history.newest().map(|publication| self.push(PushEvent::Pub(publication)))
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

    /// For those who want to know who comes and goes, if there are any.
    fn tell(&self, event: PushEvent<'_>) -> Option<(Topic, Text)> {
        (self.told > 0).then(|| (self.joins.clone(), self.push(event)))
    }

    fn push(&self, event: PushEvent<'_>) -> Text {
        Push { channel: self.name.as_str(), event }.to_text().into()
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
