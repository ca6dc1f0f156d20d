//! One end of a connection, without a network: the core's two halves and what it told its application.

use std::sync::Arc;

use sotong_proto::{
    Close, Closed, Config, Connection, Error, Event, Initiator, MessageRef, Outbox, Replies, Seed, Side, Time,
};

/// An event that owns what it holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Close),
    Failed(Error),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Seen {
        match event {
            Event::Message(MessageRef::Text(text)) => Seen::Text(text.to_owned()),
            Event::Message(MessageRef::Binary(bytes)) => Seen::Binary(bytes.to_owned()),
            Event::Ping(payload) => Seen::Ping(payload.to_owned()),
            Event::Pong(payload) => Seen::Pong(payload.to_owned()),
            Event::Close(close) => Seen::Close(close),
            Event::Failed(error) => Seen::Failed(error),
        }
    }
}

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) side: Side,
    pub(crate) connection: Connection,
    pub(crate) outbox: Outbox,
    /// All that happened, in order.
    pub(crate) seen: Vec<Seen>,
    /// When each of it happened.
    pub(crate) seen_at: Vec<Time>,
    /// Whether our direction of TCP is shut down.
    pub(crate) has_hung_up: bool,
    /// How it ended, and when.
    pub(crate) over: Option<(Closed, Time)>,
}

impl End {
    pub(crate) fn new(side: Side, config: &Config) -> End {
        let config = Arc::new(config.clone());
        let outbox = match side {
            Side::Client => Outbox::client(config.clone(), Seed([7; 32])),
            Side::Server => Outbox::server(config.clone()),
        };
        End {
            side,
            connection: Connection::new(side, config, Time::ZERO),
            outbox,
            seen: Vec::new(),
            seen_at: Vec::new(),
            has_hung_up: false,
            over: None,
        }
    }

    /// One read.
    pub(crate) fn read(&mut self, bytes: &[u8], now: Time) {
        let mut bytes = bytes.to_vec();
        let mut received = self.connection.receive(&mut bytes, now);
        while let Some(event) = received.next(&mut self.outbox) {
            self.seen.push(event.into());
            self.seen_at.push(now);
        }
    }

    /// The same for those who have no use for a clock.
    pub(crate) fn read_at_once(&mut self, bytes: &[u8]) {
        self.read(bytes, Time::ZERO);
    }

    /// The application closes.
    pub(crate) fn close(&mut self, close: Close, now: Time) {
        self.outbox.close(close, Initiator::Local);
        self.connection.close_sent(now);
    }

    /// Looks at the timers, and holds the core to its word that it will not want to again at once.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if let Some(error) = self.connection.handle_timeout(now, &mut self.outbox) {
            self.seen.push(Seen::Failed(error));
            self.seen_at.push(now);
        }
        let next = self.connection.deadline();
        assert!(next.is_none_or(|next| next > now), "at {now:?} the next deadline is {next:?}: this spins");
    }

    pub(crate) fn take_seen(&mut self) -> Vec<Seen> {
        self.seen_at.clear();
        std::mem::take(&mut self.seen)
    }

    /// How it would have ended if TCP ended now.
    pub(crate) fn closed(&self, end_of_stream: bool) -> Closed {
        self.connection.closed(&self.outbox, end_of_stream)
    }

    /// The error that the connection was given up for, if it was.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.seen.iter().find_map(|seen| match seen {
            Seen::Failed(error) => Some(error),
            _ => None,
        })
    }
}
