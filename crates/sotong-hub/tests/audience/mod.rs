//! The shell's part in topics, without a socket: who is subscribed to what, and so who is sent what.

use std::collections::{BTreeMap, BTreeSet};

use sotong_hub::core::{Output, SessionId};

/// Who is subscribed to what.
#[derive(Default)]
pub(crate) struct Audience {
    topics: BTreeMap<String, BTreeSet<SessionId>>,
}

impl Audience {
    /// Does what is said about topics. What is left is what happens to sessions, in its order.
    pub(crate) fn hear(&mut self, outputs: Vec<Output>) -> Vec<Output> {
        let mut heard = Vec::new();
        for output in outputs {
            match output {
                Output::Subscribe(session, topic) => {
                    let is_new = self.topics.entry(topic.as_str().to_owned()).or_default().insert(session);
                    assert!(is_new, "{session} is subscribed to {topic} already");
                }
                Output::Unsubscribe(session, topic) => {
                    let subscribers = self.topics.get_mut(topic.as_str()).expect("a topic that somebody has");
                    assert!(subscribers.remove(&session), "{session} is not subscribed to {topic}");
                }
                Output::Publish(topic, text) => {
                    let subscribers = self.topics.get(topic.as_str()).cloned().unwrap_or_default();
                    heard.extend(subscribers.into_iter().map(|session| Output::Send(session, text.clone())));
                }
                Output::Disconnect { session, .. } => {
                    self.forget(session);
                    heard.push(output);
                }
                other => heard.push(other),
            }
        }
        heard
    }

    /// A connection has ended.
    pub(crate) fn forget(&mut self, session: SessionId) {
        for subscribers in self.topics.values_mut() {
            subscribers.remove(&session);
        }
    }
}
