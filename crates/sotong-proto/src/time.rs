//! The clock of the core: a number that the driver counts up.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment, as the duration since the driver started its clock.
///
/// The core never reads a clock. It is told the time with each input, so that a run can be replayed, and so that
/// it works where [`std::time::Instant`] does not (WebAssembly).
///
/// Kept in nanoseconds in 64 bits, which last for 584 years; arithmetic saturates.
///
/// ```
/// use sotong_proto::Time;
/// use std::time::Duration;
///
/// let later = Time::ZERO + Duration::from_millis(1500);
/// assert!(later > Time::ZERO);
/// assert_eq!(later - Time::ZERO, Duration::from_millis(1500));
/// assert_eq!(Time::ZERO - later, Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The moment at which the driver's clock started.
    pub const ZERO: Time = Time(0);
    /// A moment that never comes: a timer that is not set.
    pub(crate) const NEVER: Time = Time(u64::MAX);

    /// The moment that lies this many nanoseconds after the start of the driver's clock.
    #[inline]
    pub const fn from_nanoseconds(since_start: u64) -> Self {
        // The last number stands for a moment that never comes.
        Time(if since_start > LAST { LAST } else { since_start })
    }

    /// The moment that lies `since_start` after the start of the driver's clock.
    pub fn from_start(since_start: Duration) -> Self {
        Time(nanoseconds(since_start))
    }
}

/// The last moment that comes. A deadline of `Duration::MAX` is then, and is still a deadline that is set.
const LAST: u64 = u64::MAX - 1;

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).map_or(LAST, |nanoseconds| nanoseconds.min(LAST))
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(nanoseconds(duration)).min(LAST))
    }
}

impl Sub for Time {
    type Output = Duration;

    /// How long after `earlier` this moment is; zero if it is not after it.
    fn sub(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Time::NEVER {
            return f.write_str("never");
        }
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}
