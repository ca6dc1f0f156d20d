//! What happens to receivers that are slower than a topic.

use sotong_proto::Close;

/// What becomes of a subscriber that reads more slowly than its topic speaks.
///
/// A subscriber is behind while bytes wait for it that its carrier has not taken. What waits of publications is held by
/// reference: a hundred subscribers that are behind hold one copy of a message.
///
/// | | a subscriber that is behind |
/// | --- | --- |
/// | [`Close`](Slow::Close) | has everything queued, up to [`outbox_bytes_max`](crate::Config::outbox_bytes_max), then is closed |
/// | [`DropOldest`](Slow::DropOldest) | has the last few of this topic kept for it |
/// | [`KeepNewest`](Slow::KeepNewest) | has the last one of this topic kept for it |
///
/// Whatever is left out is counted ([`TopicStats::skipped`](crate::TopicStats::skipped)), and the subscriber can be told
/// ([`Topics::with_skipped_notice`](crate::Topics::with_skipped_notice)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Slow {
    /// It is closed with 1008 when [`outbox_bytes_max`](crate::Config::outbox_bytes_max) bytes wait. For what must not
    /// have gaps: chat.
    #[default]
    Close,
    /// The same, with a code and a reason of your own.
    CloseWith(Close),
    /// The oldest that wait are left out. For what is of use for a while: log lines, moves.
    DropOldest {
        /// How many may wait for one subscriber; at least 1.
        messages_max: usize,
    },
    /// All but the newest are left out. For what replaces what came before: prices, positions.
    KeepNewest,
}

/// What a topic has just become: see [`Topics::with_hook`](crate::Topics::with_hook).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupancy {
    /// Its first subscriber has come.
    Populated,
    /// Its last subscriber has gone.
    Empty,
}

/// What all topics of one [`Topics`](crate::Topics) have done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStats {
    /// Messages that were published, to topics with subscribers or without.
    pub published: u64,
    /// Messages that were accepted for a subscriber: each counts once for each of them.
    pub delivered: u64,
    /// Messages that were left out for a subscriber that was behind.
    pub skipped: u64,
    /// Subscribers that were closed because they were too far behind.
    pub closed_as_slow: u64,
}
