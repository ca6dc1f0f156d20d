//! What connections without a server live by: the clients of a runtime, and what somebody else's server has upgraded.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use tokio::runtime::{self, Handle};

use crate::driver::budget::Budget;
use crate::driver::clock::Clock;
use crate::live::{Guard, Live};

/// How much they may hold together, as [`Server::with_buffered_bytes_max`](crate::Server::with_buffered_bytes_max)
/// has it for a server's.
const BUFFERED_BYTES_MAX: usize = 1 << 30;

/// The clock of each runtime that has such connections.
static CLOCKS: Mutex<Vec<(runtime::Id, Weak<Clock>)>> = Mutex::new(Vec::new());
static BUDGET: OnceLock<Arc<Budget>> = OnceLock::new();
static ALIVE: OnceLock<Arc<Live>> = OnceLock::new();

/// What a connection lives by.
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<Clock>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) guard: Guard,
}

impl Surroundings {
    /// Those of the current runtime. A clock starts with the first connection of a runtime, and ends with the last.
    pub(crate) fn current() -> Surroundings {
        let budget = BUDGET.get_or_init(|| Budget::new(BUFFERED_BYTES_MAX)).clone();
        let id = Handle::current().id();
        let mut clocks = CLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
        let running =
            clocks.iter().find(|(runtime, _)| *runtime == id).and_then(|(_, clock)| clock.upgrade());
        let clock = running.unwrap_or_else(|| {
            let clock = Clock::start_and_keep(&budget);
            clocks.retain(|(_, clock)| clock.strong_count() > 0);
            clocks.push((id, Arc::downgrade(&clock)));
            clock
        });
        drop(clocks);
        let alive = ALIVE.get_or_init(Arc::default);
        let guard = alive.enter(usize::MAX).expect("there is no limit");
        Surroundings { clock, budget, guard }
    }
}
