//! What the channels of a namespace offer.

use serde::{Deserialize, Serialize};

use super::{ChannelName, Limits};
use crate::wire::{Error, ErrorCode, Json};

/// The rules of one channel, by its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What becomes of the `data` of a subscribe request.
    pub introductions: Introductions,
    /// Who may say something.
    pub publishers: Publishers,
    /// What happens to those who read too slowly.
    pub readers: Readers,
}

/// Who may publish in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publishers {
    /// Whoever is subscribed.
    Subscribers,
    /// The server, in the channels that it [offers](super::Hub::offer). Others there are unknown.
    Server,
}

/// What happens to subscribers that read too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// They are disconnected (3008): nothing may be missing.
    Disconnected,
    /// They get the newest publication, and are told how many they have missed: each replaces the one before. Who comes
    /// gets the newest at once. The history is one publication long.
    NewestOnly,
}

/// Whether subscribers tell the others who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Introductions {
    /// The `data` of a subscribe request is for the hub alone.
    Private,
    /// `{"name":"…"}` in the `data` of a subscribe request is shown to the others, as `chan_info`.
    Shown,
}

/// What somebody says about themselves. Anybody can claim any name: there are no accounts here.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Introduction {
    name: String,
}

impl Rules {
    /// The rules of a channel. The namespace `chat` is that of the page `/chat`, `ticker` that of `/ticker`.
    pub fn of(channel: &ChannelName) -> Rules {
        Rules::of_namespace(channel.namespace())
    }

    /// The rules of all channels of a namespace.
    pub fn of_namespace(namespace: Option<&str>) -> Rules {
        let others = Rules {
            introductions: Introductions::Private,
            publishers: Publishers::Subscribers,
            readers: Readers::Disconnected,
        };
        match namespace {
            Some("chat") => Rules { introductions: Introductions::Shown, ..others },
            Some("ticker") => {
                Rules { publishers: Publishers::Server, readers: Readers::NewestOnly, ..others }
            }
            _ => others,
        }
    }

    /// The limits of such a channel.
    pub(super) fn limits(self, limits: &Limits) -> Limits {
        match self.readers {
            Readers::Disconnected => limits.clone(),
            Readers::NewestOnly => Limits { history_publications_max: 1, ..limits.clone() },
        }
    }

    /// What the others will see of somebody who subscribed with this `data`.
    pub(super) fn chan_info(&self, data: Option<&Json>, limits: &Limits) -> Result<Option<Json>, Error> {
        let (Introductions::Shown, Some(data)) = (self.introductions, data) else { return Ok(None) };
        let bad = |detail: &str| Err(ErrorCode::BadRequest.because(detail));
        let Ok(introduction) = serde_json::from_str::<Introduction>(data.as_str()) else {
            return bad(r#"the data of a subscription here is {"name":"…"}"#);
        };
        let name = introduction.name.trim();
        if name.is_empty() || name.chars().any(char::is_control) {
            return bad("a name is visible text");
        }
        if name.len() > limits.name_bytes_max {
            let detail =
                format_args!("name of {} bytes, name_bytes_max = {}", name.len(), limits.name_bytes_max)
                    .to_string();
            return Err(ErrorCode::LimitExceeded.because(detail));
        }
        Ok(Some(Json::of(&Introduction { name: name.to_owned() })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chan_info(channel: &str, data: &str) -> Result<Option<String>, u32> {
        let channel = ChannelName::new(channel).unwrap();
        let data: Json = serde_json::from_str(data).unwrap();
        let info = Rules::of(&channel).chan_info(Some(&data), &Limits::default());
        info.map(|info| info.map(|json| json.as_str().to_owned())).map_err(|error| error.code)
    }

    #[test]
    fn names_are_shown_in_chat_rooms_and_nowhere_else() {
        assert_eq!(chan_info("chat:lobby", r#"{ "name": " 민지 " }"#), Ok(Some(r#"{"name":"민지"}"#.into())));
        assert_eq!(chan_info("prices", r#"{"name":"민지"}"#), Ok(None));
        assert_eq!(chan_info("prices", "[[1]]"), Ok(None));
    }

    #[test]
    fn name_at_the_limit_and_one_past_it() {
        let name = "a".repeat(100);
        assert!(chan_info("chat:lobby", &format!(r#"{{"name":"{name}"}}"#)).is_ok());
        assert_eq!(chan_info("chat:lobby", &format!(r#"{{"name":"{name}a"}}"#)), Err(106));
    }

    #[test]
    fn an_introduction_is_a_visible_name_and_nothing_else() {
        for data in
            ["1", "null", "{}", r#"{"name":1}"#, r#"{"name":""}"#, r#"{"name":" \t"}"#, r#"{"name":"a\nb"}"#]
        {
            assert_eq!(chan_info("chat:lobby", data), Err(107), "{data}");
        }
        assert_eq!(chan_info("chat:lobby", r#"{"name":"a","admin":true}"#), Err(107));
    }
}
