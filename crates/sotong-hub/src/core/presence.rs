//! Presence: who is in a channel.

use std::collections::{BTreeMap, BTreeSet};

use super::SessionId;
use crate::wire::{ClientInfo, PresenceResult, PresenceStatsResult};

/// Whether a member wants to be told who comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinLeave {
    /// Tell.
    Told,
    /// Do not tell.
    Spared,
}

/// Somebody in a channel.
#[derive(Clone, Debug)]
pub struct Member {
    /// What the others see.
    pub info: ClientInfo,
    /// Whether joins and leaves are pushed to it.
    pub join_leave: JoinLeave,
}

/// The members of a channel, in the order in which their sessions were opened: the same inputs give the same order of
/// outputs.
#[derive(Debug, Default)]
pub struct Presence {
    members: BTreeMap<SessionId, Member>,
}

impl Presence {
    /// Adds a member.
    pub fn enter(&mut self, session: SessionId, member: Member) {
        let before = self.members.insert(session, member);
        debug_assert!(before.is_none(), "a session subscribes to a channel once");
    }

    /// Removes a member, if it is one.
    pub fn leave(&mut self, session: SessionId) -> Option<Member> {
        self.members.remove(&session)
    }

    /// The member that a session is.
    pub fn member(&self, session: SessionId) -> Option<&Member> {
        self.members.get(&session)
    }

    /// All members.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, &Member)> {
        self.members.iter().map(|(&session, member)| (session, member))
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The answer to `presence`.
    pub fn list(&self) -> PresenceResult {
        let entries = self.members.values().map(|member| (member.info.client.clone(), member.info.clone()));
        PresenceResult { presence: entries.collect() }
    }

    /// The answer to `presence_stats`.
    pub fn stats(&self) -> PresenceStatsResult {
        let users: BTreeSet<&str> = self.members.values().map(|member| member.info.user.as_str()).collect();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        PresenceStatsResult { num_clients: number(self.len()), num_users: number(users.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(user: &str, client: &str) -> Member {
        let info = ClientInfo { user: user.into(), client: client.into(), ..ClientInfo::default() };
        Member { info, join_leave: JoinLeave::Spared }
    }

    #[test]
    fn two_connections_of_one_user_are_two_clients_and_one_user() {
        let mut presence = Presence::default();
        presence.enter(SessionId(1), member("minji", "a"));
        presence.enter(SessionId(2), member("minji", "b"));
        presence.enter(SessionId(3), member("", "c"));
        presence.enter(SessionId(4), member("", "d"));
        assert_eq!(presence.stats(), PresenceStatsResult { num_clients: 4, num_users: 2 });
        assert_eq!(presence.list().presence.keys().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(presence.leave(SessionId(9)).map(|member| member.info), None);
        assert!(presence.leave(SessionId(1)).is_some());
        assert_eq!(presence.stats(), PresenceStatsResult { num_clients: 3, num_users: 2 });
    }
}
