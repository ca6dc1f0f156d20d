//! What connections without a server live by: the clients of a runtime.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use sotong_proto::CodecBudget;
use tokio::runtime::{self, Handle};

use crate::driver::budget::Budget;
use crate::driver::clock::Clock;
use crate::live::{Guard, Live};
use crate::topics::Topics;

/// How much they may hold together, as [`Server::with_buffered_bytes_max`](crate::Server::with_buffered_bytes_max)
/// has it for a server's.
const BUFFERED_BYTES_MAX: usize = 1 << 30;

/// The clock of each runtime that has such connections.
static CLOCKS: Clocks = Clocks::new();
static BUDGET: OnceLock<Arc<Budget>> = OnceLock::new();
static ALIVE: OnceLock<Arc<Live>> = OnceLock::new();

/// What a connection lives by.
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<Clock>,
    pub(crate) guard: Guard,
}

impl Surroundings {
    /// Those of the current runtime.
    pub(crate) fn current() -> Surroundings {
        let budget = BUDGET.get_or_init(|| Budget::new(BUFFERED_BYTES_MAX, CodecBudget::BYTES_MAX)).clone();
        let clock = CLOCKS.current(&budget, None);
        let alive = ALIVE.get_or_init(Arc::default);
        let guard = alive.enter(usize::MAX).expect("there is no limit");
        Surroundings { clock, guard }
    }
}

/// A clock for each runtime that has connections of one kind. It starts with the first of them, and ends with the last.
pub(crate) struct Clocks(Mutex<Vec<(runtime::Id, Weak<Clock>)>>);

impl Clocks {
    pub(crate) const fn new() -> Clocks {
        Clocks(Mutex::new(Vec::new()))
    }

    /// That of the current runtime.
    pub(crate) fn current(&self, budget: &Arc<Budget>, topics: Option<&Topics>) -> Arc<Clock> {
        let id = Handle::current().id();
        let mut clocks = self.lock();
        let running =
            clocks.iter().find(|(runtime, _)| *runtime == id).and_then(|(_, clock)| clock.upgrade());
        running.unwrap_or_else(|| {
            let clock = Clock::start_and_keep(budget, topics);
            clocks.retain(|(_, clock)| clock.strong_count() > 0);
            clocks.push((id, Arc::downgrade(&clock)));
            clock
        })
    }

    /// All that run.
    #[cfg(feature = "hyper")]
    pub(crate) fn running(&self) -> Vec<Arc<Clock>> {
        self.lock().iter().filter_map(|(_, clock)| clock.upgrade()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(runtime::Id, Weak<Clock>)>> {
        // A panic while it was locked leaves at worst a clock too few, which is started again.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
