//! Asks, the server's questions, and their answers.

use serde::{Deserialize, Serialize};

use super::{Error, Json};

/// A question of the server. Its JSON form is `{"ask":{"id":"a1","method":"confirm","data":…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Repeated by the answer.
    pub id: String,
    /// What kind of question.
    pub method: String,
    /// The question.
    pub data: Json,
}

impl Ask {
    /// The ask as it goes over the wire.
    pub fn to_text(&self) -> String {
        #[derive(Serialize)]
        struct Envelope<'a> {
            ask: &'a Ask,
        }
        super::to_text(&Envelope { ask: self })
    }
}

/// What a client says to an [`Ask`]: `{"answer":{"id":"a1","data":…}}`, or with `error` instead of `data`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskAnswer {
    /// The id of the ask.
    pub id: String,
    /// The answer; `null` if it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<AskError>,
}

/// Why a client does not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AskError {
    /// A number of the application's.
    pub code: u32,
    /// For people.
    pub message: String,
}

/// Tells a client that its answer changed nothing: `{"answered":{"id":"a1","error":{"code":110,"message":"expired"}}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// The id that the answer had.
    pub id: String,
    /// Why: 110 when it was late, 107 when nothing of that id was asked.
    pub error: Error,
}

impl Answered {
    /// As it goes over the wire.
    pub fn to_text(&self) -> String {
        #[derive(Serialize)]
        struct Envelope<'a> {
            answered: &'a Answered,
        }
        super::to_text(&Envelope { answered: self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ErrorCode;

    #[test]
    fn asks_and_answers_have_the_promised_form() {
        let ask = Ask { id: "a1".into(), method: "confirm".into(), data: Json::of(&7) };
        assert_eq!(ask.to_text(), r#"{"ask":{"id":"a1","method":"confirm","data":7}}"#);
        let answered = Answered { id: "a1".into(), error: ErrorCode::Expired.into() };
        assert_eq!(
            answered.to_text(),
            r#"{"answered":{"id":"a1","error":{"code":110,"message":"expired"}}}"#
        );
        let answer: AskAnswer =
            serde_json::from_str(r#"{"id":"a1","error":{"code":3,"message":"no"}}"#).unwrap();
        assert_eq!(answer.error, Some(AskError { code: 3, message: "no".into() }));
        assert_eq!(serde_json::from_str::<AskAnswer>(r#"{"id":"a1"}"#).unwrap().data, None);
    }
}
