//! What is counted for whoever watches: told to the facade of the crate `metrics`, if the feature `metrics` is on.
//!
//! Rare things are told as they happen. Messages are counted in plain numbers beside the connection (a [`Tally`]) and
//! told many at a time: the way of a message pays an addition.
//!
//! Labels have few values, whatever peers do: of close codes only those of RFC 6455 have their own.

use sotong_proto::{Closed, Side};

/// Whether anything is counted at all.
pub(crate) const IS_ON: bool = cfg!(feature = "metrics");
/// How many messages are counted before they are told.
#[cfg(feature = "metrics")]
const BATCH: u32 = 1024;
/// And how many bytes of them.
#[cfg(feature = "metrics")]
const BATCH_BYTES: u32 = 1 << 30;

/// Why a connection was dropped before its handshake, without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// All handshakes that may go on at a time do.
    Handshakes,
    /// Its address has too many connections to even be told.
    Address,
    /// A proxy that must begin with a PROXY header did not.
    ProxyProtocol,
}

#[cfg(feature = "metrics")]
impl Dropped {
    fn label(self) -> &'static str {
        match self {
            Dropped::Handshakes => "handshakes",
            Dropped::Address => "address",
            Dropped::ProxyProtocol => "proxy_protocol",
        }
    }
}

/// Messages, and bytes of their payloads, that were not told yet. Nothing at all without the feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    #[cfg(feature = "metrics")]
    messages: u32,
    /// Enough for what comes between two tellings; and every idle connection has one of these.
    #[cfg(feature = "metrics")]
    bytes: u32,
}

impl Tally {
    pub(crate) const NONE: Tally = Tally {
        #[cfg(feature = "metrics")]
        messages: 0,
        #[cfg(feature = "metrics")]
        bytes: 0,
    };

    /// One more message, with so many bytes.
    #[inline]
    pub(crate) fn count(&mut self, bytes: usize) {
        #[cfg(feature = "metrics")]
        {
            self.messages = self.messages.saturating_add(1);
            self.bytes = self.bytes.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
        let _ = bytes;
    }

    /// So many more messages, with so many bytes in all.
    #[inline]
    pub(crate) fn count_many(&mut self, messages: u32, bytes: usize) {
        #[cfg(feature = "metrics")]
        {
            self.messages = self.messages.saturating_add(messages);
            self.bytes = self.bytes.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
        let _ = (messages, bytes);
    }

    /// So many more messages.
    #[inline]
    pub(crate) fn add(&mut self, more: Tally) {
        #[cfg(feature = "metrics")]
        {
            self.messages = self.messages.saturating_add(more.messages);
            self.bytes = self.bytes.saturating_add(more.bytes);
        }
        let _ = more;
    }

    /// Whether it is time to tell.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        #[cfg(feature = "metrics")]
        return self.messages >= BATCH || self.bytes >= BATCH_BYTES;
        #[cfg(not(feature = "metrics"))]
        return false;
    }

    /// Empties it, if it is time to tell.
    #[inline]
    pub(crate) fn take_due(&mut self) -> Tally {
        if self.is_due() { self.take() } else { Tally::NONE }
    }

    /// Empties it.
    #[inline]
    pub(crate) fn take(&mut self) -> Tally {
        std::mem::take(self)
    }
}

/// How a connection ended, for the label of its close code.
#[cfg(feature = "metrics")]
fn code_label(code: u16) -> &'static str {
    match code {
        1000 => "1000",
        1001 => "1001",
        1002 => "1002",
        1003 => "1003",
        1005 => "1005",
        1006 => "1006",
        1007 => "1007",
        1008 => "1008",
        1009 => "1009",
        1010 => "1010",
        1011 => "1011",
        1012 => "1012",
        1013 => "1013",
        1014 => "1014",
        // Two thousand codes that a peer may choose from would be two thousand time series.
        3000..=3999 => "3xxx",
        4000..=4999 => "4xxx",
        _ => "other",
    }
}

#[cfg(feature = "metrics")]
mod told {
    use std::sync::Once;

    use sotong_proto::{Error, LimitError, Timeout};

    use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

    use super::{Closed, Dropped, Side, Tally, code_label};

    const OPENED: &str = "sotong_connections_opened_total";
    const CLOSED: &str = "sotong_connections_closed_total";
    const OPEN: &str = "sotong_connections";
    const REFUSED: &str = "sotong_handshakes_refused_total";
    const DROPPED: &str = "sotong_connections_dropped_total";
    const RECEIVED: &str = "sotong_messages_received_total";
    const RECEIVED_BYTES: &str = "sotong_received_bytes_total";
    const SENT: &str = "sotong_messages_sent_total";
    const SENT_BYTES: &str = "sotong_sent_bytes_total";
    const PING_TIMEOUTS: &str = "sotong_ping_timeouts_total";
    const RATE_LIMITED: &str = "sotong_rate_limited_total";
    const CLOSED_FOR_MEMORY: &str = "sotong_closed_for_memory_total";
    const PANICS: &str = "sotong_handler_panics_total";
    const PUBLISHED: &str = "sotong_published_total";
    const DELIVERED: &str = "sotong_published_delivered_total";
    const SKIPPED: &str = "sotong_published_skipped_total";
    const CLOSED_AS_SLOW: &str = "sotong_closed_as_slow_total";

    /// Says once what each of them is.
    fn describe() {
        static DESCRIBED: Once = Once::new();
        DESCRIBED.call_once(|| {
            for (name, unit, text) in [
                (OPENED, Unit::Count, "Connections whose handshake was done, by side (server, client)"),
                (CLOSED, Unit::Count, "Connections that ended, by side and close code (1006: none came)"),
                (REFUSED, Unit::Count, "Handshakes that were refused, by HTTP status"),
                (DROPPED, Unit::Count, "Connections that were dropped before their handshake, by reason"),
                (RECEIVED, Unit::Count, "Messages received; told in batches"),
                (RECEIVED_BYTES, Unit::Bytes, "Bytes of their payloads"),
                (SENT, Unit::Count, "Messages accepted for sending; told in batches"),
                (SENT_BYTES, Unit::Bytes, "Bytes of their payloads"),
                (PING_TIMEOUTS, Unit::Count, "Connections that gave no sign of life after a ping"),
                (RATE_LIMITED, Unit::Count, "What came too fast, by what (connections, messages)"),
                (CLOSED_FOR_MEMORY, Unit::Count, "Connections closed because all together held too much"),
                (PANICS, Unit::Count, "Handlers, callbacks and hooks that panicked"),
                (PUBLISHED, Unit::Count, "Messages published to topics"),
                (DELIVERED, Unit::Count, "Messages of topics accepted for subscribers, once for each"),
                (SKIPPED, Unit::Count, "Messages of topics left out for subscribers that were behind"),
                (CLOSED_AS_SLOW, Unit::Count, "Subscribers closed because they were too far behind"),
            ] {
                describe_counter!(name, unit, text);
            }
            describe_gauge!(OPEN, Unit::Count, "Connections that are open, by side (server, client)");
        });
    }

    fn side_label(side: Side) -> &'static str {
        match side {
            Side::Server => "server",
            Side::Client => "client",
        }
    }

    pub(crate) fn opened(side: Side) {
        describe();
        counter!(OPENED, "side" => side_label(side)).increment(1);
        gauge!(OPEN, "side" => side_label(side)).increment(1.0);
    }

    pub(crate) fn closed(side: Side, closed: &Closed) {
        let code = closed.sent.as_ref().filter(|_| closed.received.is_none()).and_then(|close| close.code());
        // What this end said, where the peer said nothing: that is why it ended.
        let code = code.map_or(closed.code(), u16::from);
        counter!(CLOSED, "side" => side_label(side), "code" => code_label(code)).increment(1);
        gauge!(OPEN, "side" => side_label(side)).decrement(1.0);
        match &closed.error {
            Some(Error::Timeout(Timeout::Pong)) => counter!(PING_TIMEOUTS).increment(1),
            Some(Error::Limit(LimitError::MessageRate(_))) => rate_limited("messages"),
            Some(Error::Limit(LimitError::ServerBytes { .. })) => counter!(CLOSED_FOR_MEMORY).increment(1),
            _ => {}
        }
    }

    pub(crate) fn refused(status: u16) {
        describe();
        counter!(REFUSED, "status" => status.to_string()).increment(1);
    }

    pub(crate) fn dropped(why: Dropped) {
        describe();
        counter!(DROPPED, "why" => why.label()).increment(1);
    }

    pub(crate) fn rate_limited_connection() {
        describe();
        rate_limited("connections");
    }

    fn rate_limited(what: &'static str) {
        counter!(RATE_LIMITED, "what" => what).increment(1);
    }

    pub(crate) fn panicked() {
        describe();
        counter!(PANICS).increment(1);
    }

    pub(crate) fn published() {
        describe();
        counter!(PUBLISHED).increment(1);
    }

    pub(crate) fn delivered(messages: u64) {
        counter!(DELIVERED).increment(messages);
    }

    pub(crate) fn skipped(messages: u64) {
        counter!(SKIPPED).increment(messages);
    }

    pub(crate) fn closed_as_slow() {
        counter!(CLOSED_AS_SLOW).increment(1);
    }

    pub(crate) fn received(tally: Tally) {
        tell(tally, RECEIVED, RECEIVED_BYTES);
    }

    pub(crate) fn sent(tally: Tally) {
        tell(tally, SENT, SENT_BYTES);
    }

    fn tell(tally: Tally, messages: &'static str, bytes: &'static str) {
        if tally.messages > 0 {
            counter!(messages).increment(u64::from(tally.messages));
            counter!(bytes).increment(u64::from(tally.bytes));
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod told {
    use super::{Closed, Dropped, Side, Tally};

    pub(crate) fn opened(_: Side) {}
    pub(crate) fn closed(_: Side, _: &Closed) {}
    pub(crate) fn refused(_: u16) {}
    pub(crate) fn dropped(_: Dropped) {}
    pub(crate) fn rate_limited_connection() {}
    pub(crate) fn panicked() {}
    pub(crate) fn published() {}
    pub(crate) fn delivered(_: u64) {}
    pub(crate) fn skipped(_: u64) {}
    pub(crate) fn closed_as_slow() {}
    pub(crate) fn received(_: Tally) {}
    pub(crate) fn sent(_: Tally) {}
}

pub(crate) use told::{
    closed, closed_as_slow, delivered, dropped, opened, panicked, published, rate_limited_connection,
    received, refused, sent, skipped,
};
