//! Limits per address: how many connections at a time, and how fast new ones may come.
//!
//! People are counted, as far as addresses tell them apart: an IPv6 address by its first 64 bits, because one
//! household has all of the rest; an IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`) as IPv4.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sotong_proto::Rate;
use sotong_proto::handshake::Refusal;
use tokio::time::Instant;

/// Beyond its limits an address gets this many connections at a time, to be told so; others are dropped.
const REFUSED_AT_ONCE: u32 = 8;
/// Of how many addresses each half of the table of rates knows when they came last. Together 6 MiB at most.
const BUCKETS_MAX: usize = 64 * 1024;
/// When the place of a connection may become free, nobody knows.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// Below this a table is not worth shrinking.
const CAPACITY_MIN: usize = 64;

/// Whom an address stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Network {
    V4(u32),
    /// The first 64 bits.
    V6(u64),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Network::V4(address.to_bits()),
            IpAddr::V6(address) => Network::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// How fast connections of one address may come: one each `interval`, and `burst` at once after a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) interval: Duration,
    pub(super) burst: u32,
}

impl From<Rate> for Pace {
    fn from(rate: Rate) -> Self {
        Pace { interval: Duration::from_secs(1) / rate.per_second.max(1), burst: rate.burst.max(1) }
    }
}

/// The connections of all addresses, and their limits.
pub(super) struct Addresses {
    connections_max: Option<u32>,
    pace: Option<Pace>,
    start: Instant,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table<S = RandomState> {
    /// Of addresses that have a connection, so there are not more entries than connections.
    counts: HashMap<Network, Count, S>,
    buckets: Buckets<S>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    served: u32,
    /// Only to be told that they are too many.
    refused: u32,
}

/// How an address that came is received.
#[derive(Debug)]
pub(super) enum Entry {
    Welcome(Place),
    /// It may be told why not.
    Refused(Place, TooMany),
    /// There are too many to wait for their requests and tell them.
    Dropped(TooMany),
}

/// What an address has too many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooMany {
    /// Connections at a time.
    Connections { max: u32 },
    /// New connections.
    New { retry_after: Duration },
}

impl TooMany {
    /// 429 (RFC 6585, section 4).
    pub(super) fn refusal(self) -> Refusal {
        let (reason, retry_after) = match self {
            TooMany::Connections { max } => (
                format!("all connections_per_ip_max = {max} connections of your address are in use\n"),
                RETRY_AFTER,
            ),
            TooMany::New { retry_after } => {
                ("new connections come too fast from your address\n".to_owned(), retry_after)
            }
        };
        // Whole seconds, and rounded up: who comes back earlier is refused again.
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        let refusal = Refusal::new(429, reason);
        refusal.clone().with_header("Retry-After", seconds.max(1).to_string()).unwrap_or(refusal)
    }
}

impl Addresses {
    pub(super) fn new(connections_max: Option<usize>, pace: Option<Pace>) -> Arc<Addresses> {
        Arc::new(Addresses {
            connections_max: connections_max.map(|max| u32::try_from(max).unwrap_or(u32::MAX)),
            pace,
            start: Instant::now(),
            table: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // A panic while it was locked leaves at worst a count that is one too high.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is anything to count.
    pub(super) fn is_limited(&self) -> bool {
        self.connections_max.is_some() || self.pace.is_some()
    }

    /// A connection came from `address`.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Entry {
        let network = Network::from(address);
        let now = self.start.elapsed();
        let mut table = self.lock();
        let table = &mut *table;
        let count = table.counts.entry(network).or_default();
        let too_many = match (self.connections_max, self.pace) {
            (Some(max), _) if count.served >= max => Some(TooMany::Connections { max }),
            (_, Some(pace)) => match table.buckets.take(network, pace, now) {
                Ok(()) => None,
                Err(retry_after) => Some(TooMany::New { retry_after }),
            },
            _ => None,
        };
        let place = |is_served| Place { addresses: self.clone(), network, is_served };
        match too_many {
            None => {
                count.served += 1;
                Entry::Welcome(place(true))
            }
            Some(too_many) if count.refused < REFUSED_AT_ONCE => {
                count.refused += 1;
                Entry::Refused(place(false), too_many)
            }
            // It is on the table, since those that are refused are.
            Some(too_many) => Entry::Dropped(too_many),
        }
    }

    fn leave(&self, network: Network, was_served: bool) {
        let mut table = self.lock();
        if let Some(count) = table.counts.get_mut(&network) {
            let side = if was_served { &mut count.served } else { &mut count.refused };
            *side = side.saturating_sub(1);
            if *count == Count::default() {
                table.counts.remove(&network);
                shrink(&mut table.counts);
            }
        }
    }

    /// How many addresses have a connection, for how many there is room, and of how many the pace is known.
    #[cfg(test)]
    fn sizes(&self) -> (usize, usize, usize) {
        let table = self.lock();
        (table.counts.len(), table.counts.capacity(), table.buckets.len())
    }
}

/// One connection of an address; counted until this is dropped.
pub(super) struct Place {
    addresses: Arc<Addresses>,
    network: Network,
    is_served: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.addresses.leave(self.network, self.is_served);
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("network", &self.network).field("is_served", &self.is_served).finish()
    }
}

/// A token bucket per address, each as one number (GCRA: the moment at which the bucket is full again).
///
/// A bucket that is full again is as good as none. So there are two halves of the table: what is written goes into
/// the young one, and once everything in the old one must be full it is thrown away as a whole and the young one
/// grows old. That costs nothing per entry. It also happens when the young half is full: memory is bounded, and
/// what an attacker with a hundred thousand addresses gains is a new burst for those that came longest ago.
#[derive(Default)]
struct Buckets<S = RandomState> {
    young: HashMap<Network, Duration, S>,
    old: HashMap<Network, Duration, S>,
    turned: Duration,
}

impl<S: BuildHasher + Default> Buckets<S> {
    /// Takes a token at the moment `now`, or tells how long there is none.
    fn take(&mut self, network: Network, pace: Pace, now: Duration) -> Result<(), Duration> {
        let Pace { interval, burst } = pace;
        let depth = interval.saturating_mul(burst.saturating_sub(1));
        if now.saturating_sub(self.turned) > interval.saturating_mul(burst) || self.young.len() >= BUCKETS_MAX
        {
            self.old = std::mem::take(&mut self.young);
            self.turned = now;
        }
        let full = self.young.get(&network).or_else(|| self.old.get(&network)).copied().unwrap_or_default();
        let full = full.max(now);
        match (full - now).checked_sub(depth) {
            Some(early) if !early.is_zero() => Err(early),
            _ => {
                self.young.insert(network, full.saturating_add(interval));
                Ok(())
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

/// Gives memory back when a table is nearly empty after a rush.
fn shrink<K: Eq + Hash, V, S: BuildHasher>(table: &mut HashMap<K, V, S>) {
    if table.capacity() > CAPACITY_MIN && table.len() < table.capacity() / 8 {
        table.shrink_to(table.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn welcome(addresses: &Arc<Addresses>, address: &str) -> Place {
        match addresses.enter(ip(address)) {
            Entry::Welcome(place) => place,
            other => panic!("{address}: {other:?}"),
        }
    }

    fn refused(addresses: &Arc<Addresses>, address: &str) -> (Place, TooMany) {
        match addresses.enter(ip(address)) {
            Entry::Refused(place, why) => (place, why),
            other => panic!("{address}: {other:?}"),
        }
    }

    #[test]
    fn an_address_has_so_many_connections_at_a_time_and_not_one_more() {
        let addresses = Addresses::new(Some(3), None);
        let mut places: Vec<Place> = (0..3).map(|_| welcome(&addresses, "192.0.2.1")).collect();
        let (_place, why) = refused(&addresses, "192.0.2.1");
        assert_eq!(why, TooMany::Connections { max: 3 });
        let _other = welcome(&addresses, "192.0.2.2");
        places.pop();
        let _place = welcome(&addresses, "192.0.2.1");
    }

    #[test]
    fn ipv6_is_counted_by_the_first_64_bits_and_mapped_ipv4_as_ipv4() {
        let addresses = Addresses::new(Some(1), None);
        let _six = welcome(&addresses, "2001:db8:1:2::1");
        refused(&addresses, "2001:db8:1:2:ffff:ffff:ffff:ffff");
        let _neighbour = welcome(&addresses, "2001:db8:1:3::1");
        let _four = welcome(&addresses, "192.0.2.1");
        refused(&addresses, "::ffff:192.0.2.1");
        let _mapped = welcome(&addresses, "::ffff:192.0.2.2");
        // The first 64 bits of an address that only looks like IPv4 are all zero, which is a network as well.
        let _zero = welcome(&addresses, "::1");
        refused(&addresses, "::192.0.2.3");
    }

    #[test]
    fn beyond_the_limit_a_few_are_told_and_the_rest_is_dropped() {
        let addresses = Addresses::new(Some(1), None);
        let _served = welcome(&addresses, "192.0.2.1");
        let mut told: Vec<_> = (0..REFUSED_AT_ONCE).map(|_| refused(&addresses, "192.0.2.1")).collect();
        assert!(matches!(addresses.enter(ip("192.0.2.1")), Entry::Dropped(_)));
        told.pop();
        refused(&addresses, "192.0.2.1");
    }

    #[tokio::test(start_paused = true)]
    async fn new_connections_come_in_bursts_and_at_a_pace() {
        let pace = Pace { interval: Duration::from_millis(500), burst: 4 };
        let addresses = Addresses::new(None, Some(pace));
        for _ in 0..4 {
            // They are gone at once: what counts is that they came.
            welcome(&addresses, "192.0.2.1");
        }
        let (_, why) = refused(&addresses, "192.0.2.1");
        assert_eq!(why, TooMany::New { retry_after: Duration::from_millis(500) });
        welcome(&addresses, "192.0.2.2");
        tokio::time::advance(Duration::from_millis(499)).await;
        refused(&addresses, "192.0.2.1");
        tokio::time::advance(Duration::from_millis(1)).await;
        welcome(&addresses, "192.0.2.1");
        refused(&addresses, "192.0.2.1");
        // A long silence saves no more than one burst.
        tokio::time::advance(Duration::from_secs(3600)).await;
        for _ in 0..4 {
            welcome(&addresses, "192.0.2.1");
        }
        refused(&addresses, "192.0.2.1");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_for_coming_too_fast_does_not_pay_for_it() {
        let pace = Pace { interval: Duration::from_secs(1), burst: 1 };
        let addresses = Addresses::new(None, Some(pace));
        welcome(&addresses, "192.0.2.1");
        for _ in 0..9 {
            tokio::time::advance(Duration::from_millis(100)).await;
            refused(&addresses, "192.0.2.1");
        }
        tokio::time::advance(Duration::from_millis(100)).await;
        welcome(&addresses, "192.0.2.1");
    }

    #[test]
    fn the_table_of_counts_is_empty_and_small_again_when_all_are_gone() {
        let addresses = Addresses::new(Some(1), None);
        let places: Vec<_> =
            (0..50_000u32).map(|bits| addresses.enter(IpAddr::from(bits.to_be_bytes()))).collect();
        assert_eq!(addresses.sizes().0, 50_000);
        drop(places);
        let (entries, capacity, _) = addresses.sizes();
        assert_eq!(entries, 0);
        assert!(capacity <= 2 * CAPACITY_MIN, "{capacity}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_of_paces_is_bounded_and_forgets() {
        let pace = Pace { interval: Duration::from_secs(1), burst: 10 };
        let addresses = Addresses::new(None, Some(pace));
        for bits in 0..3 * BUCKETS_MAX as u128 {
            // A hundred thousand networks of one attacker.
            drop(addresses.enter(IpAddr::from((bits << 64).to_be_bytes())));
        }
        let (counts, _, buckets) = addresses.sizes();
        assert_eq!(counts, 0);
        assert!(buckets > BUCKETS_MAX && buckets <= 2 * BUCKETS_MAX, "{buckets}");
        // Once all of them must be full, two more connections are enough to forget them.
        for _ in 0..2 {
            tokio::time::advance(Duration::from_secs(11)).await;
            welcome(&addresses, "192.0.2.1");
        }
        assert_eq!(addresses.sizes().2, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn turning_the_table_forgets_nobody_who_is_still_paying() {
        let pace = Pace { interval: Duration::from_secs(1), burst: 10 };
        let addresses = Addresses::new(None, Some(pace));
        // Just before the table turns, so that it grows old when it is a moment old.
        tokio::time::advance(Duration::from_secs(10)).await;
        for _ in 0..10 {
            welcome(&addresses, "192.0.2.1");
        }
        tokio::time::advance(Duration::from_millis(1)).await;
        welcome(&addresses, "192.0.2.2");
        refused(&addresses, "192.0.2.1");
        tokio::time::advance(Duration::from_millis(999)).await;
        welcome(&addresses, "192.0.2.1");
        refused(&addresses, "192.0.2.1");
    }

    #[test]
    fn a_rate_of_nothing_is_one() {
        assert_eq!(Pace::from(Rate::new(0, 0)), Pace { interval: Duration::from_secs(1), burst: 1 });
        assert_eq!(Pace::from(Rate::new(20, 5)), Pace { interval: Duration::from_millis(50), burst: 5 });
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let after = |millis| TooMany::New { retry_after: Duration::from_millis(millis) }.refusal();
        for (millis, seconds) in [(1, "1"), (1000, "1"), (1001, "2"), (0, "1")] {
            let refusal = after(millis);
            assert_eq!(refusal.status(), 429);
            assert!(refusal.headers().eq([("Retry-After", seconds)]), "{millis}: {refusal:?}");
        }
        let refusal = TooMany::Connections { max: 7 }.refusal();
        assert!(refusal.body().contains("connections_per_ip_max = 7"), "{refusal:?}");
    }
}
