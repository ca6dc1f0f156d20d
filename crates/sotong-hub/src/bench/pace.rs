//! When messages are due that are sent at a rate, whatever the server does. Pure.

const SECOND: f64 = 1e9;

/// The times at which one of several connections is to send: all of them together have the rate, evenly spread.
///
/// Nothing but the number of the next message is kept: what is late stays due, however much that is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    per_second: f64,
    connection: u64,
    connections: u64,
    round: u64,
}

impl Pace {
    /// The times of the connection with this index, from this time on (nanoseconds).
    pub(super) fn new(per_second: f64, connection: usize, connections: usize, from: u64) -> Pace {
        let mut pace =
            Pace { per_second, connection: connection as u64, connections: connections as u64, round: 0 };
        let rounds = from as f64 / SECOND * per_second / connections as f64;
        pace.round = (rounds as u64).saturating_sub(1);
        while pace.due() < from {
            pace.round += 1;
        }
        pace
    }

    /// When the next message is due.
    pub(super) fn due(&self) -> u64 {
        let turn = self.connection as f64 + self.round as f64 * self.connections as f64;
        (turn * SECOND / self.per_second) as u64
    }

    /// The next message was sent.
    pub(super) fn advance(&mut self) {
        self.round += 1;
    }

    /// How many messages are due before this time and not sent.
    pub(super) fn overdue(&self, time: u64) -> u64 {
        match self.due() {
            due if due >= time => 0,
            due => {
                let step = self.connections as f64 * SECOND / self.per_second;
                ((time - due) as f64 / step).ceil() as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_turns_and_have_the_rate_together() {
        let mut dues = Vec::new();
        for connection in 0..4 {
            let mut pace = Pace::new(1000.0, connection, 4, 0);
            while pace.due() < 1_000_000_000 {
                dues.push(pace.due());
                pace.advance();
            }
        }
        dues.sort_unstable();
        assert_eq!(dues, (0..1000).map(|turn| turn * 1_000_000).collect::<Vec<u64>>());
    }

    #[test]
    fn who_comes_later_keeps_its_turn() {
        let mut pace = Pace::new(10.0, 1, 2, 250_000_000);
        assert_eq!(pace.due(), 300_000_000);
        pace.advance();
        assert_eq!(pace.due(), 500_000_000);
        assert_eq!(Pace::new(10.0, 1, 2, 300_000_000).due(), 300_000_000);
        assert_eq!(Pace::new(10.0, 1, 2, 300_000_001).due(), 500_000_000);
    }

    #[test]
    fn what_is_late_stays_due() {
        let mut pace = Pace::new(100.0, 0, 1, 0);
        assert_eq!(pace.overdue(0), 0);
        assert_eq!(pace.overdue(1), 1);
        assert_eq!(pace.overdue(1_000_000_000), 100);
        for _ in 0..100 {
            assert!(pace.due() < 1_000_000_000);
            pace.advance();
        }
        assert_eq!(pace.overdue(1_000_000_000), 0);
    }

    #[test]
    fn slow_and_fast_rates() {
        assert_eq!(Pace::new(0.5, 0, 1, 1).due(), 2_000_000_000);
        let mut fast = Pace::new(1e6, 0, 1, 86_400_000_000_000);
        let first = fast.due();
        fast.advance();
        assert!((999..=1001).contains(&(fast.due() - first)));
    }
}
