//! When to try again, and how often: pure numbers.

use std::time::Duration;

/// How long to wait before the next try, and when to give up.
///
/// The delay is drawn from the whole span between zero and a bound ("full jitter"), because clients that lost one server
/// together must not come back together. The first bound is [`first`](Self::first), 0 to 5 seconds as RFC 6455, section
/// 7.2.3 has it; it doubles with each try that fails, up to [`longest`](Self::longest).
///
/// ```
/// use sotong::reconnect::Backoff;
/// use std::time::Duration;
///
/// let backoff = Backoff::default().with_longest(Duration::from_secs(30)).with_tries_max(Some(100));
/// assert_eq!(backoff.bound(1), Duration::from_secs(5));
/// assert_eq!(backoff.bound(2), Duration::from_secs(10));
/// assert_eq!(backoff.bound(9), Duration::from_secs(30));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The bound of the first delay. Default: 5 s (RFC 6455, section 7.2.3). Shorter is for a server that can take all
    /// its clients at once.
    pub first: Duration,
    /// The largest bound. Default: 60 s: the mean is 30 s, which is how long a user waits after a long outage.
    pub longest: Duration,
    /// How long a connection has to live until the tries before it are forgotten. Default: 30 s. A server that accepts
    /// and closes at once would otherwise be asked every few seconds for ever.
    pub stable_after: Duration,
    /// How many tries in a row may follow a loss. Default: no limit of their number.
    pub tries_max: Option<u32>,
    /// How long an outage may last, from the first loss until a connection is stable. Default: a day. A try that would
    /// begin later is not made.
    pub outage_max: Option<Duration>,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            first: Duration::from_secs(5),
            longest: Duration::from_secs(60),
            stable_after: Duration::from_secs(30),
            tries_max: None,
            outage_max: Some(Duration::from_secs(24 * 60 * 60)),
        }
    }
}

impl Backoff {
    /// Sets [`first`](Self::first).
    #[must_use]
    pub fn with_first(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// Sets [`longest`](Self::longest).
    #[must_use]
    pub fn with_longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Sets [`stable_after`](Self::stable_after).
    #[must_use]
    pub fn with_stable_after(mut self, stable_after: Duration) -> Self {
        self.stable_after = stable_after;
        self
    }

    /// Sets [`tries_max`](Self::tries_max).
    #[must_use]
    pub fn with_tries_max(mut self, tries_max: Option<u32>) -> Self {
        self.tries_max = tries_max;
        self
    }

    /// Sets [`outage_max`](Self::outage_max).
    #[must_use]
    pub fn with_outage_max(mut self, outage_max: Option<Duration>) -> Self {
        self.outage_max = outage_max;
        self
    }

    /// The longest that the delay before this try may be; the first try after a loss is number 1.
    #[must_use]
    pub fn bound(&self, number: u32) -> Duration {
        let factor = 1_u32.checked_shl(number.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

/// Where in an outage we are. Times are since the start of the client.
#[derive(Debug)]
pub(super) struct Outage {
    backoff: Backoff,
    /// Tries since the last stable connection.
    tries: u32,
    since: Option<Duration>,
}

impl Outage {
    pub(super) fn new(backoff: Backoff) -> Self {
        Outage { backoff, tries: 0, since: None }
    }

    /// The delay before the next try, and its number; `None` when the budget is spent. `lived`: how long the connection
    /// did that was lost, if there was one.
    pub(super) fn lost(
        &mut self,
        now: Duration,
        lived: Option<Duration>,
        random: u64,
    ) -> Option<(u32, Duration)> {
        if lived.is_some_and(|lived| lived >= self.backoff.stable_after) {
            (self.tries, self.since) = (0, None);
        }
        let since = *self.since.get_or_insert(now);
        if self.backoff.tries_max.is_some_and(|max| self.tries >= max) {
            return None;
        }
        self.tries = self.tries.saturating_add(1);
        let delay = part(self.backoff.bound(self.tries), random);
        let ends = now.saturating_sub(since).saturating_add(delay);
        match self.backoff.outage_max {
            Some(max) if ends > max => None,
            _ => Some((self.tries, delay)),
        }
    }
}

/// As much of `whole` as `random` is of all its values.
fn part(whole: Duration, random: u64) -> Duration {
    let nanos = (whole.as_nanos().min(u128::from(u64::MAX)) * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_delay_is_anywhere_between_zero_and_the_bound() {
        let first = || Outage::new(Backoff::default()).lost(SECOND, None, 0);
        assert_eq!(first(), Some((1, Duration::ZERO)));
        let delay = |random| Outage::new(Backoff::default()).lost(SECOND, None, random).expect("a budget").1;
        assert_eq!(delay(1 << 63), Duration::from_millis(2500));
        assert!(delay(u64::MAX) < seconds(5) && delay(u64::MAX) > Duration::from_millis(4999));
    }

    #[test]
    fn the_bound_doubles_up_to_the_longest() {
        let mut outage = Outage::new(Backoff::default());
        let halves: Vec<u64> = (0..7)
            .map(|_| outage.lost(SECOND, None, 1 << 63).expect("a budget").1.as_millis() as u64)
            .collect();
        assert_eq!(halves, [2500, 5000, 10_000, 20_000, 30_000, 30_000, 30_000]);
        assert_eq!(Backoff::default().bound(u32::MAX), seconds(60), "and nothing overflows");
        assert_eq!(Backoff::default().bound(0), seconds(5));
    }

    #[test]
    fn a_stable_while_forgets_the_tries_and_one_shorter_does_not() {
        for (lived, number) in [(Duration::from_millis(29_999), 3), (seconds(30), 1)] {
            let mut outage = Outage::new(Backoff::default());
            let _ = outage.lost(SECOND, None, 0);
            let _ = outage.lost(SECOND, None, 0);
            assert_eq!(outage.lost(seconds(40), Some(lived), 0).expect("a budget").0, number, "{lived:?}");
        }
    }

    #[test]
    fn as_many_tries_as_allowed_and_none_more() {
        let mut outage = Outage::new(Backoff::default().with_tries_max(Some(2)));
        assert!(outage.lost(SECOND, None, 0).is_some());
        assert!(outage.lost(SECOND, None, 0).is_some());
        assert_eq!(outage.lost(SECOND, None, 0), None);
        assert_eq!(Outage::new(Backoff::default().with_tries_max(Some(0))).lost(SECOND, None, 0), None);
    }

    #[test]
    fn an_outage_as_long_as_allowed_and_no_longer() {
        let backoff = Backoff::default().with_outage_max(Some(seconds(10)));
        let mut outage = Outage::new(backoff);
        assert!(outage.lost(seconds(100), None, 0).is_some());
        assert!(outage.lost(seconds(110), None, 0).is_some(), "a try at the limit");
        assert_eq!(outage.lost(seconds(110), None, 1 << 63), None, "the delay counts");
        assert_eq!(outage.lost(seconds(111), None, 0), None);
    }
}
