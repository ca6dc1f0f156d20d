//! Replies: the answers to commands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::json::is_zero;
use super::{ClientInfo, Error, Json};

/// The answer to one command.
///
/// Its JSON form is the command's id and one more field: `{"id":1,"subscribe":{…}}` or `{"id":1,"error":{…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// The id of the command.
    pub id: u32,
    /// What came of it.
    #[serde(flatten)]
    pub answer: Answer,
}

impl Reply {
    /// The reply as it goes over the wire.
    pub fn to_text(&self) -> String {
        to_text(self)
    }
}

/// What came of a command: the field with the name of the request, or `error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was not carried out.
    Error(Error),
    /// The client follows the channel now.
    Subscribe(SubscribeResult),
    /// The client no longer follows the channel.
    Unsubscribe(Empty),
    /// The message was taken; it comes back through the channel like to everybody.
    Publish(Empty),
    /// Who is there.
    Presence(PresenceResult),
    /// How many are there.
    PresenceStats(PresenceStatsResult),
    /// What was said.
    History(HistoryResult),
    /// The hub is there.
    Ping(Empty),
}

/// An answer that says no more than "done": `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// What a new subscriber learns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubscribeResult {
    /// Which numbering the offsets belong to; a new one means that older offsets say nothing.
    #[serde(skip_serializing_if = "is_zero")]
    pub epoch: String,
    /// Whether everything since the position that the client named is in this answer.
    #[serde(skip_serializing_if = "is_zero")]
    pub recovered: bool,
    /// The offset of the last publication before this subscription.
    #[serde(skip_serializing_if = "is_zero")]
    pub offset: u64,
    /// Whether the client had asked to recover.
    #[serde(skip_serializing_if = "is_zero")]
    pub was_recovering: bool,
}

/// Who is in a channel, by client id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PresenceResult {
    /// One entry for each subscriber.
    pub presence: BTreeMap<String, ClientInfo>,
}

/// How many are in a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PresenceStatsResult {
    /// Connections.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_clients: u32,
    /// Different users; all those who did not say who they are count as one.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_users: u32,
}

/// What was said in a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryResult {
    /// Publications in the order that was asked for, each in the JSON form of [`Publication`](super::Publication).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publications: Vec<Json>,
    /// Which numbering the offsets belong to.
    #[serde(skip_serializing_if = "is_zero")]
    pub epoch: String,
    /// The offset of the last publication of the channel.
    #[serde(skip_serializing_if = "is_zero")]
    pub offset: u64,
}

/// The JSON text of one of our messages.
pub fn to_text<T: Serialize>(message: &T) -> String {
    serde_json::to_string(message).expect("our own types have string keys only, and write into memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ErrorCode;

    #[test]
    fn replies_have_the_promised_form() {
        let table: [(Answer, &str); 8] = [
            (
                Answer::Error(ErrorCode::NotAvailable.into()),
                r#""error":{"code":108,"message":"not available"}"#,
            ),
            (Answer::Subscribe(SubscribeResult::default()), r#""subscribe":{}"#),
            (
                Answer::Subscribe(SubscribeResult {
                    epoch: "e".into(),
                    recovered: true,
                    offset: 2,
                    was_recovering: true,
                }),
                r#""subscribe":{"epoch":"e","recovered":true,"offset":2,"was_recovering":true}"#,
            ),
            (Answer::Publish(Empty {}), r#""publish":{}"#),
            (Answer::Presence(PresenceResult::default()), r#""presence":{"presence":{}}"#),
            (
                Answer::PresenceStats(PresenceStatsResult { num_clients: 2, num_users: 1 }),
                r#""presence_stats":{"num_clients":2,"num_users":1}"#,
            ),
            (
                Answer::History(HistoryResult {
                    publications: vec![Json::of(&1)],
                    epoch: "e".into(),
                    offset: 1,
                }),
                r#""history":{"publications":[1],"epoch":"e","offset":1}"#,
            ),
            (Answer::Ping(Empty {}), r#""ping":{}"#),
        ];
        for (answer, expected) in table {
            assert_eq!(Reply { id: 9, answer }.to_text(), format!(r#"{{"id":9,{expected}}}"#));
        }
    }

    #[test]
    fn bodies_survive_a_round_trip() {
        let info = ClientInfo { client: "c".into(), ..ClientInfo::default() };
        let presence = PresenceResult { presence: BTreeMap::from([("c".to_owned(), info)]) };
        let text = to_text(&presence);
        assert_eq!(text, r#"{"presence":{"c":{"client":"c"}}}"#);
        assert_eq!(serde_json::from_str::<PresenceResult>(&text).unwrap(), presence);

        let history = HistoryResult { publications: vec![Json::of(&"x")], epoch: "e".into(), offset: 4 };
        assert_eq!(serde_json::from_str::<HistoryResult>(&to_text(&history)).unwrap(), history);
    }
}
