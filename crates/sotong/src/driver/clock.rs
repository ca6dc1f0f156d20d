//! The time for the core, and one alarm clock for all connections of a worker.
//!
//! A connection has a deadline nearly always (its keep-alive) and nearly never reaches it. So deadlines live in a
//! coarse [wheel](super::wheel) that costs a connection a few bytes, instead of a timer each.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use sotong_proto::{Codecs, Time};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::budget::Budget;
use super::wheel::{Slot, Wheel};
use crate::topics::Topics;
use crate::topics::mailroom::Mailroom;

/// The clock of one runtime: where the core's time comes from, and who wakes a driver when a deadline is due.
///
/// The time is the system's coarse one, which moves with its timer interrupt, every 1 to 10 ms: deadlines live on
/// ticks of 32 ms, and an exact clock is a tenth of what a driver's turn costs besides its system calls. Where tokio's
/// clock runs ahead of the system's, because a test has paused it, the time follows.
pub(crate) struct Clock {
    start: Instant,
    /// What the coarse clock showed at the start; earlier by as much as tokio's clock was seen to be ahead.
    start_coarse: AtomicU64,
    /// How far the time may be behind; it is never ahead, so nothing is due too early.
    lag: Duration,
    wheel: Mutex<Wheel>,
    /// Tells the task that turns the wheel about an earlier deadline.
    earlier: Arc<Notify>,
    shutdown: OnceLock<Shutdown>,
    /// The server's, for the drivers that this clock serves.
    budget: Arc<Budget>,
    /// Where publications come in for the connections of this runtime; only a server's have topics.
    mailroom: Option<Arc<Mailroom>>,
    /// Lent to the connections of this runtime.
    codecs: Arc<Codecs>,
}

/// A shutdown in progress: every connection closes at a moment of its own within the window.
struct Shutdown {
    begun: Time,
    window: Duration,
}

impl Clock {
    /// Starts the clock of a server's connections on the current runtime. Its tasks end with it.
    pub(crate) fn start(budget: &Arc<Budget>, topics: &Topics) -> Arc<Clock> {
        let codecs = Codecs::new(budget.codecs().clone());
        let clock = Clock::new(budget, Some(mailroom(topics, budget, &codecs)), codecs);
        tokio::spawn(turn(Arc::downgrade(&clock), clock.earlier.clone()));
        clock
    }

    /// Starts a clock where no server keeps the budget: it does.
    pub(crate) fn start_and_keep(budget: &Arc<Budget>, topics: Option<&Topics>) -> Arc<Clock> {
        let codecs = Codecs::new(budget.codecs().clone());
        let clock = Clock::new(budget, topics.map(|topics| mailroom(topics, budget, &codecs)), codecs);
        let (turn, budget) = (turn(Arc::downgrade(&clock), clock.earlier.clone()), budget.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = turn => {}
                () = budget.keep() => {}
            }
        });
        clock
    }

    pub(super) fn new(
        budget: &Arc<Budget>,
        mailroom: Option<Arc<Mailroom>>,
        codecs: Arc<Codecs>,
    ) -> Arc<Clock> {
        let clock = Arc::new(Clock {
            start: Instant::now(),
            // It may stand as much as a step behind already.
            start_coarse: (coarse::nanoseconds() + coarse::resolution().as_nanos() as u64).into(),
            lag: coarse::resolution() * 2,
            wheel: Mutex::new(Wheel::default()),
            earlier: Arc::new(Notify::new()),
            shutdown: OnceLock::new(),
            budget: budget.clone(),
            mailroom,
            codecs,
        });
        budget.add_clock(&clock);
        clock
    }

    /// The time for the core.
    #[inline]
    pub(crate) fn now(&self) -> Time {
        // Wrapping, for a start that was moved to before that of the system.
        let since = coarse::nanoseconds().wrapping_sub(self.start_coarse.load(Ordering::Relaxed));
        Time::from_nanoseconds(since.cast_signed().max(0).cast_unsigned())
    }

    /// Makes up for a jump of tokio's clock. For the one task that turns the wheel.
    fn catch_up(&self) {
        let behind = self.start.elapsed().saturating_sub(self.now() - Time::ZERO);
        if behind > AHEAD_MAX + self.lag {
            let behind = u64::try_from(behind.as_nanos()).unwrap_or(u64::MAX);
            let start = self.start_coarse.load(Ordering::Relaxed);
            self.start_coarse.store(start.wrapping_sub(behind), Ordering::Relaxed);
        }
    }

    /// A moment of the core's time, as tokio has it: then [`now`](Self::now) has come to it, too.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        self.start + (time - Time::ZERO) + self.lag
    }

    fn wheel(&self) -> MutexGuard<'_, Wheel> {
        // A panic while the wheel was locked leaves at worst a deadline that is early.
        self.wheel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place on the wheel for one connection.
    pub(crate) fn slot(&self) -> Slot {
        self.wheel().insert()
    }

    /// Gives the place back.
    pub(crate) fn release(&self, slot: Slot) {
        self.wheel().remove(slot);
    }

    /// Wakes `waker` at `due`, or earlier if that is far away; returns when.
    pub(crate) fn arm(&self, slot: Slot, due: Time, waker: &Waker) -> Time {
        let (armed, is_first) = self.wheel().arm(slot, due, self.now(), waker);
        if is_first {
            self.earlier.notify_one();
        }
        armed
    }

    #[inline]
    pub(crate) fn mailroom(&self) -> Option<&Arc<Mailroom>> {
        self.mailroom.as_ref()
    }

    pub(crate) fn codecs(&self) -> &Arc<Codecs> {
        &self.codecs
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Wakes every connection: there is something to look at.
    pub(crate) fn wake_all(&self) {
        let wakers = self.wheel().wakers();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Begins a shutdown: wakes every connection, each at its own moment within the window.
    pub(crate) fn begin_shutdown(&self, window: Duration) {
        let begun = self.now();
        if self.shutdown.set(Shutdown { begun, window }).is_ok() {
            self.wheel().rearm_all(begun, |slot| self.shutdown_due(slot).unwrap_or(begun));
            self.earlier.notify_one();
        }
    }

    /// When the connection in `slot` is to close because of a shutdown, if there is one.
    #[inline]
    pub(crate) fn shutdown_due(&self, slot: Slot) -> Option<Time> {
        let shutdown = self.shutdown.get()?;
        Some(shutdown.begun + shutdown.window.mul_f64(slot.fraction()))
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.earlier.notify_one();
    }
}

/// Starts the mailroom of the current runtime. Its task ends with it.
fn mailroom(topics: &Topics, budget: &Arc<Budget>, codecs: &Arc<Codecs>) -> Arc<Mailroom> {
    let has_one_thread = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
    let mailroom = Mailroom::new(topics.registry().clone(), budget.clone(), codecs.clone(), has_one_thread);
    let weak = Arc::downgrade(&mailroom);
    tokio::spawn(poll_fn(move |context| match weak.upgrade() {
        Some(mailroom) => mailroom.poll_rounds(context),
        None => Poll::Ready(()),
    }));
    mailroom
}

/// How far ahead of the system's clock tokio's may seem to be: far more than it ever is, unless a test has moved it.
const AHEAD_MAX: Duration = Duration::from_secs(1);

/// Turns the wheel: sleeps until something may be due, wakes it, and so on.
async fn turn(clock: Weak<Clock>, earlier: Arc<Notify>) {
    loop {
        let next = {
            let Some(clock) = clock.upgrade() else { return };
            clock.catch_up();
            let mut due = Vec::new();
            let now = clock.now();
            let next = clock.wheel().expire(now, &mut due);
            // Outside the lock: a waker may run code that arms again.
            due.into_iter().for_each(Waker::wake);
            // Counted from here, so that every round sleeps, whatever the two clocks think of each other.
            next.map(|time| Instant::now() + (time - now) + clock.lag)
        };
        match next {
            Some(next) => {
                tokio::select! {
                    () = earlier.notified() => {}
                    () = tokio::time::sleep_until(next) => {}
                }
            }
            None => earlier.notified().await,
        }
    }
}

/// The system's coarse clock.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod coarse {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_getres, clock_gettime};

    #[inline]
    pub(super) fn nanoseconds() -> u64 {
        let now = clock_gettime(ClockId::MonotonicCoarse);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }

    pub(super) fn resolution() -> Duration {
        Duration::try_from(clock_getres(ClockId::MonotonicCoarse)).unwrap_or(Duration::from_millis(10))
    }
}

/// Where there is none, the exact one.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod coarse {
    use std::sync::LazyLock;
    use std::time::Duration;

    use tokio::time::Instant;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub(super) fn nanoseconds() -> u64 {
        u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn resolution() -> Duration {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::Wake;

    use super::*;

    struct Ring(Notify);

    impl Wake for Ring {
        fn wake(self: Arc<Self>) {
            self.0.notify_one();
        }
    }

    /// A test of a program that uses us may pause tokio's clock, which then jumps from deadline to deadline.
    #[test]
    fn deadlines_fire_when_a_test_has_paused_tokios_clock() {
        let (done, is_done) = mpsc::channel();
        // A thread of its own: a clock that spins would let nothing else run.
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().start_paused(true);
            runtime.build().expect("a runtime").block_on(async {
                let clock = Clock::start(&Budget::new(1 << 20, 0), &Topics::new());
                let slot = clock.slot();
                let ring = Arc::new(Ring(Notify::new()));
                for seconds in [0, 30, 45] {
                    let begun = Instant::now();
                    let due = clock.now() + Duration::from_secs(seconds);
                    clock.arm(slot, due, &ring.clone().into());
                    ring.0.notified().await;
                    assert!(clock.now() >= due);
                    let late = begun.elapsed().saturating_sub(Duration::from_secs(seconds));
                    assert!(late < Duration::from_secs(2), "{late:?} late");
                }
            });
            let _ = done.send(());
        });
        is_done.recv_timeout(Duration::from_secs(20)).expect("it ends in time");
    }
}
