//! What the library is told about the topics of the hub and of the game.

use sotong::{Close, CloseCode, Message, Slow, Topics};

use super::game;
use crate::core::{Readers, Rules};
use crate::wire::{Disconnect, Push, PushEvent, Skipped};

/// Topics whose slow subscribers are treated as the rules of their channels say.
pub(super) fn new() -> Topics {
    Topics::new().with_slow(slow).with_skipped_notice(skipped)
}

/// The rules of the channel whose publications the topic has. Topics of another kind have no channel's name.
fn rules(topic: &str) -> Rules {
    Rules::of_namespace(topic.split_once(':').map(|(namespace, _)| namespace))
}

fn slow(topic: &str) -> Slow {
    if topic == game::TOPIC {
        return game::SLOW;
    }
    match rules(topic).readers {
        Readers::NewestOnly => Slow::KeepNewest,
        Readers::Disconnected => {
            let code = CloseCode::new(Disconnect::Slow.code())
                .expect("3000 to 3999 are close codes (RFC 6455, section 7.4.2)");
            Slow::CloseWith(Close::new(code, Disconnect::Slow.reason()))
        }
    }
}

fn skipped(topic: &str, count: u64) -> Option<Message> {
    if topic == game::TOPIC {
        // Ticks have numbers: who misses one sees it.
        return None;
    }
    let push = Push { channel: topic, event: PushEvent::Skipped(Skipped { count }) };
    Some(Message::text(push.to_text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_thinned_and_talk_is_not() {
        assert_eq!(slow("ticker:ACME"), Slow::KeepNewest);
        for topic in ["chat:lobby", "news", "\u{2}ticker:ACME", "tickers"] {
            let Slow::CloseWith(close) = slow(topic) else { panic!("{topic}: {:?}", slow(topic)) };
            assert_eq!(close.code().map(u16::from), Some(3008));
        }
        assert_eq!((slow(game::TOPIC), skipped(game::TOPIC, 3)), (game::SLOW, None));
        let notice = skipped("ticker:ACME", 3).unwrap();
        assert_eq!(notice.as_text(), Some(r#"{"push":{"channel":"ticker:ACME","skipped":{"count":3}}}"#));
    }
}
