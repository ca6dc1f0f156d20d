//! Whoever joins, leaves, publishes, does not read or dies, in any order: each gets exactly what a model says it should.
//!
//! The seed is printed by a test that fails; `SOTONG_SEED` plays one again.

#[path = "support/carried.rs"]
mod carried;
#[path = "support/subscribers.rs"]
mod subscribers;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use carried::Form;
use sotong::{Config, Message, Slow, Topics};
use subscribers::{Hall, Seat};
use support::{TEXT, soon};

/// What a carrier takes that is not read from: a few messages.
const ROOM: usize = 96;
const STEPS: usize = 150;
const TOPICS: [&str; 4] = ["chat", "close", "log", "price"];
/// How many of `log` may wait.
const LOG_MAX: usize = 3;

/// A generator of numbers that is small and does the job (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, max: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % max as u64) as usize
    }
}

fn slow(topic: &str) -> Slow {
    match topic {
        "log" => Slow::DropOldest { messages_max: LOG_MAX },
        "price" => Slow::KeepNewest,
        _ => Slow::Close,
    }
}

fn loses(topic: &str) -> bool {
    slow(topic) != Slow::Close
}

/// A connection and what it should hear.
struct Member {
    seat: Seat,
    topics: BTreeSet<&'static str>,
    /// Of each topic, and of what is sent to it alone.
    expected: BTreeMap<&'static str, Vec<usize>>,
    /// What it may miss nothing of, in one order.
    all: Vec<String>,
    /// What it has left while the newest may still have been on its way.
    left: BTreeSet<&'static str>,
    heard: Vec<String>,
}

impl Member {
    fn should_hear(&mut self, topic: &'static str, number: usize) {
        self.expected.entry(topic).or_default().push(number);
        if !loses(topic) {
            self.all.push(format!("{topic} {number}"));
        }
    }

    /// Reads up to what was sent to it last.
    async fn read(&mut self, last: &str) {
        let texts = self.seat.texts_up_to(last).await;
        self.heard.extend(texts);
    }

    /// Everything was read.
    fn check(&self) {
        let without_gaps = |text: &&String| {
            let topic = text.split(' ').next().expect("a name");
            !loses(topic)
        };
        let heard: Vec<_> = self.heard.iter().filter(without_gaps).collect();
        assert_eq!(heard, self.all.iter().collect::<Vec<_>>(), "of what may have no gaps");
        for topic in TOPICS.into_iter().filter(|topic| loses(topic)) {
            let expected = self.expected.get(topic).cloned().unwrap_or_default();
            // Each number is followed by the numbers that come after it, less those that it was told of.
            let mut next = 0;
            for text in &self.heard {
                match text.strip_prefix(topic).map(|text| text.trim_start().split_at_checked(1)) {
                    Some(Some(("-", skipped))) => next += skipped.parse::<usize>().expect("a number"),
                    Some(Some(("#", number))) => {
                        let number: usize = number.parse().expect("a number");
                        assert_eq!(
                            Some(&number),
                            expected.get(next),
                            "{topic}: {text} after gaps {expected:?}"
                        );
                        next += 1;
                    }
                    _ => {}
                }
            }
            if !self.left.contains(topic) {
                assert_eq!(next, expected.len(), "{topic}: the newest arrives, and gaps are told");
            }
        }
    }
}

async fn play(seed: u64, form: Form, threads: usize) {
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let topics = Topics::new()
        .with_slow(slow)
        .with_skipped_notice(|topic, count| Some(Message::text(format!("{topic} -{count}"))));
    let mut hall = Hall::start((form, threads), Config::default(), topics.clone());
    let mut members: Vec<Member> = Vec::new();
    let mut number = 0;
    for _ in 0..STEPS {
        let who = numbers.below(members.len().max(1));
        let topic = TOPICS[numbers.below(TOPICS.len())];
        match numbers.below(10) {
            0 if members.len() < 8 => {
                let seat = hall.seat(ROOM).await;
                members.push(Member {
                    seat,
                    topics: BTreeSet::new(),
                    expected: BTreeMap::new(),
                    all: Vec::new(),
                    left: BTreeSet::new(),
                    heard: Vec::new(),
                });
            }
            _ if members.is_empty() => {}
            1 | 2 => {
                let member = &mut members[who];
                // A topic that may have gaps is left once at most: what waited of it is gone, and not told.
                if !member.left.contains(topic) {
                    assert_eq!(member.seat.sender.subscribe(topic), Ok(member.topics.insert(topic)));
                }
            }
            3 if numbers.below(2) == 0 => {
                let member = &mut members[who];
                let was_there = member.topics.remove(topic);
                assert_eq!(member.seat.sender.unsubscribe(topic), was_there);
                if was_there && loses(topic) {
                    member.left.insert(topic);
                }
            }
            4 if numbers.below(6) == 0 => {
                // It dies, without a word.
                let Member { seat, .. } = members.swap_remove(who);
                drop(seat.peer);
                soon(seat.sender.closed()).await;
            }
            5 => {
                let member = &mut members[who];
                number += 1;
                let last = format!("to you {number}");
                member.all.push(last.clone());
                soon(member.seat.sender.send(&*last)).await.expect("it is there");
                member.read(&last).await;
            }
            kind => {
                let text =
                    if loses(topic) { format!("{topic} #{number}") } else { format!("{topic} {number}") };
                let all = members.iter().filter(|member| member.topics.contains(topic)).count();
                let left_out = (kind == 6).then_some(who);
                let count = match left_out {
                    Some(who) => members[who].seat.sender.publish(topic, &*text),
                    None => topics.publish(topic, &*text),
                };
                let is_there = left_out.is_some_and(|who| members[who].topics.contains(topic));
                assert_eq!(count, all - usize::from(is_there));
                for (index, member) in members.iter_mut().enumerate() {
                    if member.topics.contains(topic) && left_out != Some(index) {
                        member.should_hear(topic, number);
                    }
                }
                number += 1;
            }
        }
        let mut expected: BTreeMap<&str, usize> = BTreeMap::new();
        for topic in members.iter().flat_map(|member| &member.topics) {
            *expected.entry(topic).or_default() += 1;
        }
        // Of one that has died all hear at about the same time; its topics may be the last.
        soon(async {
            let is_right = |(topic, count): (&&str, &usize)| topics.subscribers(topic) == *count;
            while topics.len() != expected.len() || !expected.iter().all(is_right) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    for (index, member) in members.iter_mut().enumerate() {
        // Whatever waits in its outbox comes before this; its lanes may come after.
        let last = format!("to you {index} at the end");
        member.all.push(last.clone());
        soon(member.seat.sender.send(&*last)).await.expect("it is there");
        member.read(&last).await;
        // What waits in lanes is put into an empty outbox, and nothing new comes.
        while !is_complete(member) {
            let frame = member.seat.peer.next().await.expect("there is more");
            assert_eq!(frame.opcode, TEXT);
            member.heard.push(frame.text().to_owned());
        }
        member.check();
    }
    let stats = topics.stats();
    assert_eq!(stats.closed_as_slow, 0);
    for member in members {
        member.seat.peer.close().await;
    }
    hall.stop().await;
}

/// Whether it has the newest of each topic that it is subscribed to.
fn is_complete(member: &Member) -> bool {
    member.topics.iter().filter(|topic| loses(topic)).all(|topic| {
        let newest = member.expected.get(topic).and_then(|numbers| numbers.last());
        newest.is_none_or(|newest| member.heard.contains(&format!("{topic} #{newest}")))
    })
}

/// Many lives of one form, from many seeds.
async fn many(form: Form, threads: usize) {
    struct Told(u64);
    impl Drop for Told {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("SOTONG_SEED={} plays this again", self.0);
            }
        }
    }
    let seed = std::env::var("SOTONG_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in seed.map_or(1..=40, |seed| seed..=seed) {
        let _told = Told(seed);
        play(seed, form, threads).await;
    }
}

#[tokio::test]
async fn in_event_form() {
    many(Form::Events, 0).await;
}

#[tokio::test]
async fn in_event_form_on_worker_threads() {
    many(Form::Events, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn in_event_form_on_a_runtime_with_threads() {
    many(Form::Events, 0).await;
}

#[tokio::test]
async fn in_pull_form() {
    many(Form::Pull, 0).await;
}

#[tokio::test]
async fn in_pull_form_on_worker_threads() {
    many(Form::Pull, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn in_pull_form_on_a_runtime_with_threads() {
    many(Form::Pull, 0).await;
}
