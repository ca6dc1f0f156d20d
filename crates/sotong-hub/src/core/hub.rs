//! The hub: all sessions and channels of one node.

use std::collections::{BTreeMap, BTreeSet};

use sotong_proto::Text;

use super::ask::{Asks, Claimed};
use super::{
    AskId, AskOutcome, AskRefused, Channel, ChannelName, ClientId, Epoch, JoinLeave, Limits, Member,
    Publishers, Rules, Session, SessionId, Topic,
};
use crate::wire::{
    Answer, Answered, Ask, AskAnswer, AskError, ClientInfo, ClientMessage, Command, Connect, Disconnect,
    Empty, Error, ErrorCode, HistoryRequest, Json, Malformed, Message, PublishRequest, Push, PushEvent,
    Reply, Request, SubscribeRequest, SubscribeResult,
};

/// A moment on the wall clock, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

/// What the hub says about itself in its first words.
#[derive(Clone, Debug, Default)]
pub struct Greeting {
    /// Name and version.
    pub version: String,
    /// How often connections are pinged, in seconds.
    pub ping_seconds: u32,
}

/// What the shell has to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this text to this session.
    Send(SessionId, Text),
    /// This session gets what is published to the topic from now on.
    Subscribe(SessionId, Topic),
    /// This session gets no more of it.
    Unsubscribe(SessionId, Topic),
    /// Send this text to everybody who is subscribed to the topic.
    Publish(Topic, Text),
    /// End this session's connection, and all its subscriptions. The hub has already forgotten it.
    Disconnect {
        /// Which.
        session: SessionId,
        /// The close code.
        disconnect: Disconnect,
        /// The reason for whoever writes the client.
        reason: String,
    },
    /// An ask has come to its end. Comes once for each ask.
    Answered {
        /// Which.
        ask: AskId,
        /// Who was asked.
        session: SessionId,
        /// What came of it.
        outcome: AskOutcome,
    },
    /// The answer to an ask that had timed out came after all. The client was told.
    AnsweredLate {
        /// Which.
        ask: AskId,
        /// Whose.
        session: SessionId,
    },
}

/// All sessions and channels of one node.
///
/// ```
/// use sotong_hub::core::{ClientId, Greeting, Hub, Limits, Output, Timestamp};
///
/// let mut hub = Hub::new(Limits::default(), Greeting::default(), "k3x9".to_owned());
/// let mut outputs = Vec::new();
/// let session = hub.open(ClientId::new([7; 16]), &["news"], Timestamp(0), &mut outputs);
/// hub.command(session, r#"{"id":1,"publish":{"channel":"news","data":"hello"}}"#, Timestamp(1), &mut outputs);
/// // Its first words, its subscription, the publication, the reply.
/// assert_eq!(outputs.len(), 4);
/// hub.close(session, &mut outputs);
/// assert!(hub.is_empty());
/// ```
#[derive(Debug)]
pub struct Hub {
    limits: Limits,
    greeting: Greeting,
    /// Different in every run, so that epochs of different runs differ.
    incarnation: String,
    sessions_opened: u64,
    channels_made: u64,
    sessions: BTreeMap<SessionId, Session>,
    channels: BTreeMap<ChannelName, Channel>,
    /// The channels in which only the server speaks.
    offered: BTreeSet<ChannelName>,
    asks: Asks,
    /// Answers that were late or belonged to no ask.
    answers_in_vain: u64,
}

impl Hub {
    /// A hub without sessions. `incarnation` is a short random string that no earlier run has had.
    pub fn new(limits: Limits, greeting: Greeting, incarnation: String) -> Hub {
        Hub {
            limits,
            greeting,
            incarnation,
            sessions_opened: 0,
            channels_made: 0,
            sessions: BTreeMap::new(),
            channels: BTreeMap::new(),
            offered: BTreeSet::new(),
            asks: Asks::default(),
            answers_in_vain: 0,
        }
    }

    /// Offers a channel in which only the server speaks. Others of such [namespaces](super::Rules) are unknown to
    /// subscribers.
    pub fn offer(&mut self, channel: ChannelName) {
        self.offered.insert(channel);
    }

    /// A connection was opened, and its URL asked for these channels. The hub speaks first.
    ///
    /// A channel that cannot be had ends the connection: there is no command that an error could answer, and a page
    /// should not wait for messages that never come.
    pub fn open(
        &mut self,
        client: ClientId,
        channels: &[&str],
        now: Timestamp,
        outputs: &mut Vec<Output>,
    ) -> SessionId {
        self.sessions_opened += 1;
        let session = SessionId(self.sessions_opened);
        let connect = Connect {
            client: client.as_str().to_owned(),
            version: self.greeting.version.clone(),
            subs: BTreeMap::new(),
            ping: self.greeting.ping_seconds,
            time: now.0,
        };
        self.sessions.insert(session, Session { client, subscriptions: BTreeSet::new() });

        let mut subs = BTreeMap::new();
        let mut names = Vec::new();
        for channel in channels {
            // Naming a channel twice in a URL is odd, but the page has what it wants.
            if subs.contains_key(*channel) {
                continue;
            }
            let request = SubscribeRequest { channel: (*channel).to_owned(), ..SubscribeRequest::default() };
            match self.subscribe(session, &request) {
                Ok((name, result)) => {
                    // The session itself did not ask for joins, so its first words stay its first.
                    self.announce_join(session, name.as_str(), outputs);
                    subs.insert((*channel).to_owned(), result);
                    names.push(name);
                }
                Err(error) => {
                    let disconnect = match error.code {
                        code if code == ErrorCode::LimitExceeded.number() => Disconnect::ChannelLimit,
                        code if code == ErrorCode::PermissionDenied.number() => Disconnect::PermissionDenied,
                        _ => Disconnect::BadRequest,
                    };
                    self.disconnect(session, disconnect, error.message, outputs);
                    return session;
                }
            }
        }
        let first_words = Push { channel: "", event: PushEvent::Connect(Connect { subs, ..connect }) };
        outputs.push(Output::Send(session, first_words.to_text().into()));
        for name in names {
            self.begin(session, &name, outputs);
        }
        session
    }

    /// A session sent a text message. One from a session that the hub has ended meanwhile is passed over.
    pub fn command(&mut self, session: SessionId, text: &str, now: Timestamp, outputs: &mut Vec<Output>) {
        if !self.sessions.contains_key(&session) {
            return;
        }
        let Command { id, request } = match ClientMessage::parse(text) {
            Ok(ClientMessage::Command(command)) => command,
            Ok(ClientMessage::Answer(answer)) => return self.answer(session, answer, now, outputs),
            Err(Malformed::Answerable { id, error }) => {
                return outputs.push(reply(session, id, Answer::Error(error)));
            }
            Err(Malformed::Unanswerable { disconnect, detail }) => {
                return self.disconnect(
                    session,
                    disconnect,
                    format!("{}: {detail}", disconnect.reason()),
                    outputs,
                );
            }
        };
        let answer = match request {
            Request::Subscribe(request) => match self.subscribe(session, &request) {
                Ok((channel, result)) => {
                    outputs.push(reply(session, id, Answer::Subscribe(result)));
                    self.begin(session, &channel, outputs);
                    return self.announce_join(session, channel.as_str(), outputs);
                }
                Err(error) => Err(error),
            },
            Request::Unsubscribe(request) => self.unsubscribe(session, &request.channel, outputs),
            Request::Publish(request) => self.publish(session, request, now, outputs),
            Request::Presence(request) => self.presence(session, &request.channel),
            Request::PresenceStats(request) => self
                .subscribed(session, &request.channel)
                .map(|channel| Answer::PresenceStats(channel.presence().stats())),
            Request::History(request) => self.history(session, &request),
            Request::Ping => Ok(Answer::Ping(Empty {})),
            Request::NotOffered(name) => {
                Err(ErrorCode::NotAvailable.because(format_args!("{name} on this end point")))
            }
        };
        outputs.push(reply(session, id, answer.unwrap_or_else(Answer::Error)));
    }

    /// A connection has ended. Also for one that the hub has ended itself; then it is known already.
    pub fn close(&mut self, session: SessionId, outputs: &mut Vec<Output>) {
        let Some(Session { subscriptions, .. }) = self.sessions.remove(&session) else { return };
        for channel in subscriptions {
            self.leave(session, &channel, outputs);
        }
        let asks = self.asks.forget(session);
        outputs.extend(asks.map(|ask| Output::Answered { ask, session, outcome: AskOutcome::Gone }));
    }

    /// The server says something in a channel. It is not checked who it is. To a channel without subscribers nothing is
    /// said. Returns how many there are.
    pub fn publish_from_server(
        &mut self,
        channel: &str,
        data: Json,
        now: Timestamp,
        outputs: &mut Vec<Output>,
    ) -> usize {
        let Some(channel) = self.channels.get_mut(channel) else { return 0 };
        let (topic, text) = channel.publish(None, data, now, &self.limits);
        outputs.push(Output::Publish(topic, text));
        channel.presence().len()
    }

    /// The server says something to one session alone.
    pub fn tell(&self, session: SessionId, data: Json, outputs: &mut Vec<Output>) {
        if self.sessions.contains_key(&session) {
            let push = Push { channel: "", event: PushEvent::Message(Message { data }) };
            outputs.push(Output::Send(session, push.to_text().into()));
        }
    }

    /// The server puts a question to a session. What comes of it is [`Output::Answered`], at the deadline at the latest:
    /// call [`handle_timeout`](Self::handle_timeout) when [`next_deadline`](Self::next_deadline) has come.
    ///
    /// # Errors
    /// When the session is over, or too many asks wait for it.
    pub fn ask(
        &mut self,
        session: SessionId,
        method: &str,
        data: Json,
        deadline: Timestamp,
        outputs: &mut Vec<Output>,
    ) -> Result<AskId, AskRefused> {
        if !self.sessions.contains_key(&session) {
            return Err(AskRefused::Gone);
        }
        let id = self.asks.ask(session, deadline, self.limits.asks_max)?;
        let ask = Ask { id: id.to_string(), method: method.to_owned(), data };
        outputs.push(Output::Send(session, ask.to_text().into()));
        Ok(id)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.asks.next_deadline()
    }

    /// Ends the asks whose deadline has come.
    pub fn handle_timeout(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        while let Some((session, ask)) = self.asks.expire(now) {
            outputs.push(Output::Answered { ask, session, outcome: AskOutcome::TimedOut });
        }
    }

    fn answer(&mut self, session: SessionId, answer: AskAnswer, now: Timestamp, outputs: &mut Vec<Output>) {
        let AskAnswer { id, data, error } = answer;
        let error_code = match self.asks.claim(session, &id, now) {
            Claimed::InTime(ask) => {
                let outcome = match error {
                    Some(AskError { code, message }) => AskOutcome::Error { code, message },
                    None => AskOutcome::Answer(data.unwrap_or_else(|| Json::of(&()))),
                };
                outputs.push(Output::Answered { ask, session, outcome });
                return;
            }
            Claimed::Late(ask) => {
                outputs.push(Output::AnsweredLate { ask, session });
                ErrorCode::Expired.into()
            }
            Claimed::Unknown => {
                ErrorCode::BadRequest.because("nothing of this id was asked, or it was answered")
            }
        };
        self.answers_in_vain += 1;
        // As much of the id as an id of ours has: what a client makes up is not sent back at length.
        let id = id.chars().take(24).collect();
        let answered = Answered { id, error: error_code };
        outputs.push(Output::Send(session, answered.to_text().into()));
    }

    /// How many answers were late or belonged to no ask.
    pub fn answers_in_vain(&self) -> u64 {
        self.answers_in_vain
    }

    /// Who follows a channel, in the order in which their sessions were opened.
    pub fn members(&self, channel: &str) -> Vec<SessionId> {
        let members = self.channels.get(channel).map(|channel| channel.presence().sessions());
        members.map(|members| members.map(|(session, _)| session).collect()).unwrap_or_default()
    }

    /// Ends a session: the shell saw something that the hub does not look at (a binary message, a full outbox), or
    /// the hub itself has reason to.
    pub fn disconnect(
        &mut self,
        session: SessionId,
        disconnect: Disconnect,
        reason: String,
        outputs: &mut Vec<Output>,
    ) {
        if self.sessions.contains_key(&session) {
            outputs.push(Output::Disconnect { session, disconnect, reason });
            self.close(session, outputs);
        }
    }

    /// Whether nothing is kept: no session and no channel.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.channels.is_empty() && self.asks.is_empty()
    }

    /// How many sessions there are.
    pub fn sessions_len(&self) -> usize {
        self.sessions.len()
    }

    /// How many channels have subscribers.
    pub fn channels_len(&self) -> usize {
        self.channels.len()
    }

    fn subscribe(
        &mut self,
        session: SessionId,
        request: &SubscribeRequest,
    ) -> Result<(ChannelName, SubscribeResult), Error> {
        if request.kind != 0 {
            return Err(
                ErrorCode::NotAvailable.because(format_args!("subscriptions of type {}", request.kind))
            );
        }
        let name =
            ChannelName::new(&request.channel).map_err(|detail| ErrorCode::BadRequest.because(detail))?;
        if name.is_for_users() {
            return Err(
                ErrorCode::PermissionDenied.because("the channel is for certain users, and you have no user")
            );
        }
        let rules = Rules::of(&name);
        if rules.publishers == Publishers::Server && !self.offered.contains(&name) {
            return Err(ErrorCode::UnknownChannel.into());
        }
        let chan_info = rules.chan_info(request.data.as_ref(), &self.limits)?;
        let Some(known) = self.sessions.get_mut(&session) else { return Err(ErrorCode::Internal.into()) };
        if known.subscriptions.contains(&name) {
            return Err(ErrorCode::AlreadySubscribed.into());
        }
        if known.subscriptions.len() >= self.limits.subscriptions_max {
            let detail = format!("subscriptions_max = {}", self.limits.subscriptions_max);
            return Err(ErrorCode::LimitExceeded.because(detail));
        }
        known.subscriptions.insert(name.clone());

        let client = known.client.as_str().to_owned();
        let info = ClientInfo { client, chan_info, ..ClientInfo::default() };
        let join_leave = if request.join_leave { JoinLeave::Told } else { JoinLeave::Spared };
        let channel = self.channels.entry(name.clone()).or_insert_with(|| {
            self.channels_made += 1;
            Channel::new(name.clone(), Epoch::new(format!("{}{:x}", self.incarnation, self.channels_made)))
        });
        let result = channel.enter(session, Member { info, join_leave });
        // Recovery is not offered yet; `recovered` stays false, so that the client knows to look for itself.
        Ok((name, SubscribeResult { was_recovering: request.recover, ..result }))
    }

    fn unsubscribe(
        &mut self,
        session: SessionId,
        channel: &str,
        outputs: &mut Vec<Output>,
    ) -> Result<Answer, Error> {
        let name = ChannelName::new(channel).map_err(|detail| ErrorCode::BadRequest.because(detail))?;
        // Not having been subscribed is no error: what was asked for is the case.
        if self.sessions.get_mut(&session).is_some_and(|known| known.subscriptions.remove(&name)) {
            self.leave(session, &name, outputs);
        }
        Ok(Answer::Unsubscribe(Empty {}))
    }

    fn publish(
        &mut self,
        session: SessionId,
        request: PublishRequest,
        now: Timestamp,
        outputs: &mut Vec<Output>,
    ) -> Result<Answer, Error> {
        if self.subscribed(session, &request.channel)?.rules().publishers == Publishers::Server {
            return Err(ErrorCode::PermissionDenied.because("only the server publishes in this channel"));
        }
        let Some(data) = request.data else { return Err(ErrorCode::BadRequest.because("no data")) };
        let bytes = data.as_str().len();
        if bytes > self.limits.data_bytes_max {
            let detail = format!("data of {bytes} bytes, data_bytes_max = {}", self.limits.data_bytes_max);
            return Err(ErrorCode::LimitExceeded.because(detail));
        }
        if let Some(channel) = self.channels.get_mut(request.channel.as_str()) {
            let (topic, text) = channel.publish(Some(session), data, now, &self.limits);
            outputs.push(Output::Publish(topic, text));
        }
        Ok(Answer::Publish(Empty {}))
    }

    fn presence(&self, session: SessionId, channel: &str) -> Result<Answer, Error> {
        let presence = self.subscribed(session, channel)?.presence();
        if presence.len() > self.limits.presence_clients_max {
            let (seen, allowed) = (presence.len(), self.limits.presence_clients_max);
            return Err(ErrorCode::LimitExceeded.because(format_args!(
                "{seen} subscribers, presence_clients_max = {allowed}; presence_stats counts them"
            )));
        }
        Ok(Answer::Presence(presence.list()))
    }

    fn history(&self, session: SessionId, request: &HistoryRequest) -> Result<Answer, Error> {
        let channel = self.subscribed(session, &request.channel)?;
        channel.read(request).map(Answer::History).map_err(|_| ErrorCode::UnrecoverablePosition.into())
    }

    /// The channel, if the session is subscribed to it. Only subscribers may speak, look and remember: who has a
    /// say in a channel is seen in it.
    fn subscribed(&self, session: SessionId, name: &str) -> Result<&Channel, Error> {
        if let Err(detail) = ChannelName::new(name) {
            return Err(ErrorCode::BadRequest.because(detail));
        }
        self.channels
            .get(name)
            .filter(|channel| channel.presence().member(session).is_some())
            .ok_or_else(|| ErrorCode::PermissionDenied.because("for subscribers of the channel only"))
    }

    /// Has the session get what is said in the channel from now on, and what was said last where that is enough.
    fn begin(&self, session: SessionId, channel: &ChannelName, outputs: &mut Vec<Output>) {
        let Some(channel) = self.channels.get(channel) else { return };
        outputs.extend(channel.newest().map(|text| Output::Send(session, text)));
        outputs.extend(channel.topics_of(session).map(|topic| Output::Subscribe(session, topic)));
    }

    fn announce_join(&self, session: SessionId, channel: &str, outputs: &mut Vec<Output>) {
        if let Some(channel) = self.channels.get(channel) {
            outputs.extend(channel.announce_join(session).map(|(topic, text)| Output::Publish(topic, text)));
        }
    }

    fn leave(&mut self, session: SessionId, name: &ChannelName, outputs: &mut Vec<Output>) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        // A session that is over has no subscriptions any more.
        if self.sessions.contains_key(&session) {
            outputs.extend(channel.topics_of(session).map(|topic| Output::Unsubscribe(session, topic)));
        }
        outputs.extend(channel.leave(session).map(|(topic, text)| Output::Publish(topic, text)));
        if channel.presence().is_empty() {
            self.channels.remove(name);
        }
    }
}

fn reply(session: SessionId, id: u32, answer: Answer) -> Output {
    Output::Send(session, Reply { id, answer }.to_text().into())
}
