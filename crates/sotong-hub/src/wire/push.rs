//! Pushes: what the hub says without being asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Json;
use super::json::is_zero;
use super::reply::SubscribeResult;

/// Something that happened, in a channel or to the connection itself.
///
/// Its JSON form is `{"push":{"channel":…,"pub":{…}}}`: no id, and one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename = "push")]
pub struct Push<'a> {
    /// The channel that it happened in; empty for what concerns the connection.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub channel: &'a str,
    /// What happened.
    #[serde(flatten)]
    pub event: PushEvent<'a>,
}

impl Push<'_> {
    /// The push as it goes over the wire.
    pub fn to_text(&self) -> String {
        #[derive(Serialize)]
        struct Envelope<'a> {
            push: &'a Push<'a>,
        }
        super::to_text(&Envelope { push: self })
    }
}

/// The kinds of push that the hub sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PushEvent<'a> {
    /// A [`Publication`], already in its JSON form: it is encoded once, for the push and for the history.
    Pub(&'a Json),
    /// Somebody subscribed to the channel.
    Join(Join),
    /// Somebody left the channel.
    Leave(Leave),
    /// Something for this client alone.
    Message(Message),
    /// Publications of the channel were left out, because this client did not take what was before them.
    Skipped(Skipped),
    /// The connection stands. The hub's first words on the plain profile, where opening implies connecting.
    Connect(Connect),
}

/// Who a client is, as the others in a channel may see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientInfo {
    /// The user; empty for somebody who did not say who they are.
    #[serde(skip_serializing_if = "is_zero")]
    pub user: String,
    /// The connection's own id, new with every connection.
    pub client: String,
    /// What the connection's token says about the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conn_info: Option<Json>,
    /// What the client said about itself when it subscribed to this channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chan_info: Option<Json>,
}

/// A message in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// The message itself, any JSON value, as the sender wrote it.
    pub data: Json,
    /// Who sent it, if a client did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<ClientInfo>,
    /// Its number in the channel, from 1 without gaps within an epoch.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: u64,
    /// When the hub took it, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub time: i64,
}

/// Somebody subscribed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Who.
    pub info: ClientInfo,
}

/// Somebody left, or their connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leave {
    /// Who.
    pub info: ClientInfo,
}

/// Something for one client alone, outside of all channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Any JSON value.
    pub data: Json,
}

/// Publications were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// How many.
    pub count: u64,
}

/// The connection stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connect {
    /// The id of this connection, as others will see it.
    pub client: String,
    /// The hub's name and version.
    pub version: String,
    /// What the URL asked to subscribe to (`?sub=…`), by channel.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub subs: BTreeMap<String, SubscribeResult>,
    /// How often the hub pings when nothing else is heard, in seconds. Browsers answer by themselves.
    #[serde(skip_serializing_if = "is_zero")]
    pub ping: u32,
    /// The hub's clock, in milliseconds since 1970.
    #[serde(skip_serializing_if = "is_zero")]
    pub time: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(client: &str) -> ClientInfo {
        ClientInfo { client: client.into(), ..ClientInfo::default() }
    }

    #[test]
    fn pushes_have_the_promised_form() {
        let publication = Publication {
            data: Json::of(&serde_json::json!({"text": "안녕"})),
            info: Some(info("c1")),
            offset: 7,
            time: 1_700_000_000_000,
        };
        let publication = Json::of(&publication);
        let push = Push { channel: "chat:lobby", event: PushEvent::Pub(&publication) };
        assert_eq!(
            push.to_text(),
            r#"{"push":{"channel":"chat:lobby","pub":{"data":{"text":"안녕"},"info":{"client":"c1"},"offset":7,"time":1700000000000}}}"#
        );

        let named =
            ClientInfo { chan_info: Some(Json::of(&serde_json::json!({"name": "민지"}))), ..info("c2") };
        let push = Push { channel: "a", event: PushEvent::Join(Join { info: named.clone() }) };
        assert_eq!(
            push.to_text(),
            r#"{"push":{"channel":"a","join":{"info":{"client":"c2","chan_info":{"name":"민지"}}}}}"#
        );
        let push = Push { channel: "a", event: PushEvent::Leave(Leave { info: info("c2") }) };
        assert_eq!(push.to_text(), r#"{"push":{"channel":"a","leave":{"info":{"client":"c2"}}}}"#);
    }

    #[test]
    fn the_first_words_name_the_client_and_its_subscriptions() {
        let mut connect =
            Connect { client: "c1".into(), version: "v".into(), ping: 25, ..Connect::default() };
        let push = Push { channel: "", event: PushEvent::Connect(connect.clone()) };
        assert_eq!(push.to_text(), r#"{"push":{"connect":{"client":"c1","version":"v","ping":25}}}"#);
        connect.subs.insert("a".into(), SubscribeResult { offset: 3, ..SubscribeResult::default() });
        let push = Push { channel: "", event: PushEvent::Connect(connect) };
        assert_eq!(
            push.to_text(),
            r#"{"push":{"connect":{"client":"c1","version":"v","subs":{"a":{"offset":3}},"ping":25}}}"#
        );
    }

    #[test]
    fn bodies_survive_a_round_trip() {
        let publication = Publication { data: Json::of(&1), info: Some(info("c")), offset: 1, time: -5 };
        let text = serde_json::to_string(&publication).unwrap();
        assert_eq!(serde_json::from_str::<Publication>(&text).unwrap(), publication);
        let bare: Publication = serde_json::from_str(r#"{"data":null}"#).unwrap();
        assert_eq!((bare.offset, bare.time, bare.info), (0, 0, None));
    }
}
