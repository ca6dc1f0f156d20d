//! JSON that is passed on without being looked into.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One JSON document, kept as it was written: what applications put into `data`.
///
/// It was checked to be one complete document when it was made, and it is handed on byte for byte. It may have line
/// breaks *between* its tokens: harmless here, where one WebSocket message carries one document, but a dialect that
/// separates documents by lines has to compact it first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// The JSON form of a value.
    pub fn of<T: Serialize>(value: &T) -> Json {
        Json(serde_json::value::to_raw_value(value).expect("our own types have string keys only"))
    }

    /// The document as text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

/// For `skip_serializing_if`: absent means zero.
pub(super) fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_kept_as_it_was_written() {
        for text in ["1e400", "\"\\u00e9\"", "{\"b\":1,\"a\":[ 1,\n2 ]}", "null", "\"줄\\n바꿈\""] {
            let json: Json = serde_json::from_str(text).unwrap();
            assert_eq!(json.as_str(), text);
            assert_eq!(serde_json::to_string(&json).unwrap(), text);
        }
    }

    #[test]
    fn what_is_not_one_document_is_refused() {
        for text in ["", "{", "1 2", "{\"a\":1}{\"b\":2}", "nul", "{'a':1}", "\"\u{1}\""] {
            assert!(serde_json::from_str::<Json>(text).is_err(), "{text:?} was taken");
        }
    }
}
