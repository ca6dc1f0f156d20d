//! Commands: what a client asks of the hub.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::json::is_zero;
use super::{AskAnswer, Disconnect, Error, ErrorCode, Json};

/// One request of a client, with the id that its reply will carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Chosen by the client, above 0.
    pub id: u32,
    /// What is asked.
    pub request: Request,
}

/// What a client may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Follow a channel.
    Subscribe(SubscribeRequest),
    /// Stop following a channel.
    Unsubscribe(UnsubscribeRequest),
    /// Say something in a channel.
    Publish(PublishRequest),
    /// Ask who is in a channel.
    Presence(PresenceRequest),
    /// Ask how many are in a channel.
    PresenceStats(PresenceStatsRequest),
    /// Ask what was said in a channel.
    History(HistoryRequest),
    /// Ask whether the hub is there.
    Ping,
    /// A request that the protocol knows and this profile does not offer; the reply is error 108.
    NotOffered(&'static str),
}

/// Follow a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubscribeRequest {
    /// Which one.
    pub channel: String,
    /// Whether to send what was missed since `offset` of `epoch`.
    #[serde(skip_serializing_if = "is_zero")]
    pub recover: bool,
    /// What the client says about itself; shown to the others where the channel's rules say so.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
    /// Whether to be told who comes and goes.
    #[serde(skip_serializing_if = "is_zero")]
    pub join_leave: bool,
    /// The kind of subscription. Only 0, a stream, is offered.
    #[serde(rename = "type", skip_serializing_if = "is_zero")]
    pub kind: i32,
}

/// Stop following a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnsubscribeRequest {
    /// Which one.
    pub channel: String,
}

/// Say something in a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishRequest {
    /// Where.
    pub channel: String,
    /// What: any JSON value, `null` too; only leaving it out is a mistake.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
}

/// Ask who is in a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PresenceRequest {
    /// Which one.
    pub channel: String,
}

/// Ask how many are in a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PresenceStatsRequest {
    /// Which one.
    pub channel: String,
}

/// Ask what was said in a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryRequest {
    /// Which one.
    pub channel: String,
    /// How many publications at most: 0 for none (just the position), -1 for all there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: i32,
    /// Start behind this position (or before it, in reverse) rather than at the end of the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<StreamPosition>,
    /// Newest first. A limit then keeps the newest: `{"limit":20,"reverse":true}` are the last twenty.
    #[serde(skip_serializing_if = "is_zero")]
    pub reverse: bool,
}

/// A place in a channel's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamPosition {
    /// The number of a publication.
    #[serde(skip_serializing_if = "is_zero")]
    pub offset: u64,
    /// The numbering that it belongs to.
    #[serde(skip_serializing_if = "is_zero")]
    pub epoch: String,
}

/// A field that is there is there, also when it says `null`; serde alone would take that for absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

/// What was sent is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It has an id, so it can be answered, and the connection goes on.
    Answerable {
        /// The id for the reply.
        id: u32,
        /// The error for the reply.
        error: Error,
    },
    /// There is nothing to address a reply to: the connection ends.
    Unanswerable {
        /// With this close code,
        disconnect: Disconnect,
        /// and these words for whoever writes the client.
        detail: &'static str,
    },
}

/// The envelope, with the bodies still unread: a mistake inside a body can then be answered by its id.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    id: u32,
    #[serde(borrow, default)]
    answer: Option<&'a RawValue>,
    #[serde(borrow, default)]
    connect: Option<&'a RawValue>,
    #[serde(borrow, default)]
    subscribe: Option<&'a RawValue>,
    #[serde(borrow, default)]
    unsubscribe: Option<&'a RawValue>,
    #[serde(borrow, default)]
    publish: Option<&'a RawValue>,
    #[serde(borrow, default)]
    presence: Option<&'a RawValue>,
    #[serde(borrow, default)]
    presence_stats: Option<&'a RawValue>,
    #[serde(borrow, default)]
    history: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ping: Option<&'a RawValue>,
    #[serde(borrow, default)]
    send: Option<&'a RawValue>,
    #[serde(borrow, default)]
    rpc: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refresh: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sub_refresh: Option<&'a RawValue>,
}

/// What a client may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// A command, which gets a reply.
    Command(Command),
    /// The answer to an ask, which gets none.
    Answer(AskAnswer),
}

impl ClientMessage {
    /// Reads one message of the plain profile.
    ///
    /// # Errors
    /// As [`Command::parse`].
    pub fn parse(text: &str) -> Result<ClientMessage, Malformed> {
        let envelope = Envelope::read(text)?;
        let Some(answer) = envelope.answer else { return envelope.command().map(ClientMessage::Command) };
        if envelope.id != 0 || envelope.requests().next().is_some() {
            return Err(match envelope.id {
                0 => unanswerable("an answer and a request in one message"),
                id => Malformed::Answerable {
                    id,
                    error: ErrorCode::BadRequest.because("an answer has no id, and comes alone"),
                },
            });
        }
        object(answer.get())
            .map(ClientMessage::Answer)
            .map_err(|_| unanswerable("an answer is an object with the id of an ask and data, or an error"))
    }
}

impl Command {
    /// Reads one command of the plain profile.
    ///
    /// Fields that the protocol does not know are passed over, as its other implementations do, so that a newer
    /// client can talk to an older hub.
    ///
    /// # Errors
    /// [`Malformed`] says whether a reply is possible or the connection has to end.
    pub fn parse(text: &str) -> Result<Command, Malformed> {
        Envelope::read(text)?.command()
    }
}

impl<'a> Envelope<'a> {
    fn read(text: &'a str) -> Result<Envelope<'a>, Malformed> {
        object(text).map_err(|_| unanswerable("not a JSON object with a number as its id"))
    }

    fn requests(&self) -> impl Iterator<Item = (&'static str, &'a RawValue)> {
        let envelope = self;
        let bodies = [
            ("connect", envelope.connect),
            ("subscribe", envelope.subscribe),
            ("unsubscribe", envelope.unsubscribe),
            ("publish", envelope.publish),
            ("presence", envelope.presence),
            ("presence_stats", envelope.presence_stats),
            ("history", envelope.history),
            ("ping", envelope.ping),
            ("send", envelope.send),
            ("rpc", envelope.rpc),
            ("refresh", envelope.refresh),
            ("sub_refresh", envelope.sub_refresh),
        ];
        bodies.into_iter().filter_map(|(name, body)| body.map(|body| (name, body)))
    }

    fn command(&self) -> Result<Command, Malformed> {
        let id = self.id;
        let mut present = self.requests();
        let (first, second) = (present.next(), present.next());

        // `send` is the one request without a reply. Nobody here takes what is sent, and silence would hide that.
        if let (Some(("send", _)), None) = (first, second) {
            return Err(Malformed::Unanswerable {
                disconnect: Disconnect::NotAvailable,
                detail: "nobody takes `send` here",
            });
        }
        if id == 0 {
            // `{}` is the pong of the other dialects; here pings are the protocol's own, so nobody asked for it.
            return Err(unanswerable("a command needs an id above 0"));
        }
        let malformed =
            |detail: String| Malformed::Answerable { id, error: ErrorCode::BadRequest.because(detail) };
        let (name, body) = match (first, second) {
            (Some(request), None) => request,
            (None, _) => return Err(malformed("no request that this hub knows".to_owned())),
            (Some((first, _)), Some((second, _))) => {
                return Err(malformed(format!("one request at a time, this has {first} and {second}")));
            }
        };
        let request = Request::read(name, body).map_err(|error| malformed(format!("{name}: {error}")))?;
        Ok(Command { id, request })
    }
}

impl Request {
    fn read(name: &'static str, body: &RawValue) -> Result<Request, serde_json::Error> {
        let body = body.get();
        Ok(match name {
            "subscribe" => Request::Subscribe(object(body)?),
            "unsubscribe" => Request::Unsubscribe(object(body)?),
            "publish" => Request::Publish(object(body)?),
            "presence" => Request::Presence(object(body)?),
            "presence_stats" => Request::PresenceStats(object(body)?),
            "history" => Request::History(object(body)?),
            "ping" => {
                let _: super::Empty = object(body)?;
                Request::Ping
            }
            other => Request::NotOffered(other),
        })
    }
}

/// Reads an object. Derived code would also take an array with the fields in their order, which nobody promised.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    let first = text.trim_ascii_start().as_bytes().first();
    if first.is_some_and(|&byte| byte != b'{') {
        return Err(serde::de::Error::custom("not an object"));
    }
    serde_json::from_str(text)
}

fn unanswerable(detail: &'static str) -> Malformed {
    Malformed::Unanswerable { disconnect: Disconnect::BadRequest, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> Error {
        match Command::parse(text) {
            Err(Malformed::Answerable { id: 5, error }) => error,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn disconnect_of(text: &str) -> Disconnect {
        match Command::parse(text) {
            Err(Malformed::Unanswerable { disconnect, .. }) => disconnect,
            other => panic!("{text}: {other:?}"),
        }
    }

    /// Write, read, and compare: names on the wire and names in the types belong together.
    #[test]
    fn requests_survive_a_round_trip() {
        let channel = || "chat:lobby".to_owned();
        let requests = [
            Request::Subscribe(SubscribeRequest { channel: channel(), ..SubscribeRequest::default() }),
            Request::Subscribe(SubscribeRequest {
                channel: channel(),
                recover: true,
                data: Some(Json::of(&serde_json::json!({"name": "민지"}))),
                join_leave: true,
                kind: 2,
            }),
            Request::Unsubscribe(UnsubscribeRequest { channel: channel() }),
            Request::Publish(PublishRequest { channel: channel(), data: Some(Json::of(&[1, 2])) }),
            Request::Presence(PresenceRequest { channel: channel() }),
            Request::PresenceStats(PresenceStatsRequest { channel: channel() }),
            Request::History(HistoryRequest {
                channel: channel(),
                limit: -1,
                since: Some(StreamPosition { offset: u64::MAX, epoch: "e".into() }),
                reverse: true,
            }),
        ];
        for request in requests {
            let body = super::super::to_text(&request);
            let text = format!(r#"{{"id":4294967295,{}"#, &body[1..]);
            assert_eq!(Command::parse(&text), Ok(Command { id: u32::MAX, request }), "{text}");
        }
        let ping = Command { id: 1, request: Request::Ping };
        assert_eq!(Command::parse(r#"{"ping":{},"id":1}"#), Ok(ping));
    }

    #[test]
    fn data_stays_as_it_was_written() {
        let command =
            Command::parse(r#"{"id":1,"publish":{"channel":"a","data":{"z":1, "a":1.0e0}}}"#).unwrap();
        let Request::Publish(publish) = command.request else { panic!("not a publish") };
        assert_eq!(publish.data.unwrap().as_str(), r#"{"z":1, "a":1.0e0}"#);
    }

    #[test]
    fn null_is_data_and_absent_is_not() {
        for (body, expected) in [(r#","data":null"#, Some("null")), ("", None)] {
            let command =
                Command::parse(&format!(r#"{{"id":1,"publish":{{"channel":"a"{body}}}}}"#)).unwrap();
            let Request::Publish(publish) = command.request else { panic!("not a publish") };
            assert_eq!(publish.data.as_ref().map(Json::as_str), expected);
        }
    }

    #[test]
    fn fields_of_newer_clients_are_passed_over() {
        let command = Command::parse(r#"{"id":1,"novel":1,"subscribe":{"channel":"a","novel":[]}}"#).unwrap();
        let expected = SubscribeRequest { channel: "a".into(), ..SubscribeRequest::default() };
        assert_eq!(command.request, Request::Subscribe(expected));
    }

    #[test]
    fn known_requests_that_are_not_offered_keep_their_name() {
        for name in ["connect", "rpc", "refresh", "sub_refresh"] {
            let command = Command::parse(&format!(r#"{{"id":5,"{name}":{{}}}}"#)).unwrap();
            assert_eq!(command.request, Request::NotOffered(name));
        }
    }

    #[test]
    fn mistakes_with_an_id_are_answered_with_107() {
        for text in [
            r#"{"id":5}"#,
            r#"{"id":5,"novel":{}}"#,
            r#"{"id":5,"ping":null}"#,
            r#"{"id":5,"ping":{},"history":{}}"#,
            r#"{"id":5,"send":{},"ping":{}}"#,
            r#"{"id":5,"subscribe":["chat:lobby"]}"#,
            r#"{"id":5,"subscribe":{"channel":7}}"#,
            r#"{"id":5,"subscribe":{"channel":"a","channel":"b"}}"#,
            r#"{"id":5,"history":{"channel":"a","limit":2147483648}}"#,
            r#"{"id":5,"ping":"now"}"#,
        ] {
            assert_eq!(error_of(text).code, 107, "{text}");
        }
        let error = error_of(r#"{"id":5,"ping":{},"history":{}}"#);
        assert_eq!(error.message, "bad request: one request at a time, this has history and ping");
    }

    #[test]
    fn mistakes_without_an_id_end_the_connection_with_3501() {
        for text in [
            "",
            "hello",
            "[]",
            r#"[1,null,{"channel":"chat:lobby"}]"#,
            "null",
            "{}",
            r#"{"ping":{}}"#,
            r#"{"id":0,"ping":{}}"#,
            r#"{"id":-1,"ping":{}}"#,
            r#"{"id":1.5,"ping":{}}"#,
            r#"{"id":"1","ping":{}}"#,
            r#"{"id":4294967296,"ping":{}}"#,
            r#"{"id":1,"id":2,"ping":{}}"#,
            r#"{"id":1,"ping":{}"#,
            "{\"id\":1,\"ping\":{}}\n{\"id\":2,\"ping\":{}}",
        ] {
            assert_eq!(disconnect_of(text), Disconnect::BadRequest, "{text}");
        }
    }

    #[test]
    fn send_has_nobody_to_go_to() {
        assert_eq!(disconnect_of(r#"{"send":{"data":1}}"#), Disconnect::NotAvailable);
    }

    /// A body as deep as the limit on messages allows must neither overflow the stack nor be taken.
    #[test]
    fn deep_nesting_does_no_harm() {
        let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
        let text = format!(r#"{{"id":5,"publish":{{"channel":"a","data":{deep}}}}}"#);
        assert!(Command::parse(&text).is_ok(), "raw data is passed on, whatever its depth");
        let text = format!(r#"{{"id":5,"subscribe":{{"channel":{deep}}}}}"#);
        assert_eq!(error_of(&text).code, 107);
        assert_eq!(disconnect_of(&deep), Disconnect::BadRequest);
    }
}
