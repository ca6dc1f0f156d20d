//! How much memory all connections of a server may hold together, and what happens when that is reached.
//!
//! Counted is what waits: to be sent, to be taken by the application, and of messages that are not complete; what many
//! connections share, once. From
//! seven eighths on, new connections are refused (503); beyond the limit those that hold most are closed (1013),
//! half as much each round, until it fits.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use sotong_proto::{CodecBudget, LimitError};
use tokio::sync::Notify;

use super::clock::Clock;

/// What a connection holds is counted in steps of this many bytes, so that small queues cost no shared counter.
pub(crate) const STEP_BYTES: usize = 16 * 1024;
/// How long a round of closing may take to show.
const ROUND: Duration = Duration::from_millis(10);

/// One per server.
pub(crate) struct Budget {
    bytes_max: usize,
    /// In steps.
    held: AtomicUsize,
    /// Connections that hold at least this much are to close. `usize::MAX`: none.
    demanded: AtomicUsize,
    exceeded: Notify,
    closed: AtomicU64,
    clocks: Mutex<Vec<Weak<Clock>>>,
    /// For compression, counted apart.
    codecs: Arc<CodecBudget>,
}

/// Bytes that a budget knows of until this is dropped.
pub(crate) struct Charge {
    budget: Arc<Budget>,
    steps: u32,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.change(self.steps, 0);
    }
}

impl Budget {
    pub(crate) fn new(bytes_max: usize, codec_bytes_max: usize) -> Arc<Budget> {
        Arc::new(Budget {
            bytes_max,
            held: AtomicUsize::new(0),
            demanded: AtomicUsize::new(usize::MAX),
            exceeded: Notify::new(),
            closed: AtomicU64::new(0),
            clocks: Mutex::default(),
            codecs: CodecBudget::new(codec_bytes_max),
        })
    }

    pub(crate) fn codecs(&self) -> &Arc<CodecBudget> {
        &self.codecs
    }

    /// How many bytes are held, by its coarse count.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed).saturating_mul(STEP_BYTES)
    }

    /// Whether new work is to be refused: the last eighth is for what is here already.
    pub(crate) fn is_tight(&self) -> bool {
        self.held_bytes() >= self.bytes_max - self.bytes_max / 8
    }

    /// How many connections were closed to make room.
    pub(crate) fn closed(&self) -> u64 {
        self.closed.load(Ordering::Relaxed)
    }

    pub(crate) fn is_exceeded(&self) -> bool {
        self.held_bytes() > self.bytes_max
    }

    /// A connection holds `after` steps instead of `before`.
    pub(crate) fn change(&self, before: u32, after: u32) {
        if after > before {
            self.held.fetch_add((after - before) as usize, Ordering::Relaxed);
            if self.is_exceeded() {
                self.exceeded.notify_one();
            }
        } else {
            self.held.fetch_sub((before - after) as usize, Ordering::Relaxed);
        }
    }

    /// Counts bytes that many connections may hold together, as long as what is returned lives. Nothing for few: they
    /// are not worth a shared counter.
    pub(crate) fn charge(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let steps = u32::try_from(bytes / STEP_BYTES).unwrap_or(u32::MAX);
        if steps == 0 {
            return None;
        }
        self.change(0, steps);
        Some(Charge { budget: self.clone(), steps })
    }

    /// Whether a connection that holds so many steps is to close. They are counted only when some have to.
    #[inline]
    pub(crate) fn demands(&self, steps: impl FnOnce() -> u32) -> bool {
        let demanded = self.demanded.load(Ordering::Relaxed);
        demanded != usize::MAX && steps() as usize >= demanded
    }

    /// A connection closes to make room: counts it, and says why.
    pub(crate) fn give_way(&self) -> LimitError {
        self.closed.fetch_add(1, Ordering::Relaxed);
        LimitError::ServerBytes { seen: self.held_bytes() as u64, max: self.bytes_max as u64 }
    }

    /// Remembers whom to wake when connections are to close.
    pub(crate) fn add_clock(&self, clock: &Arc<Clock>) {
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        clocks.retain(|clock| clock.strong_count() > 0);
        clocks.push(Arc::downgrade(clock));
    }

    /// Waits for the budget to be exceeded and has connections closed until it is not; for ever.
    pub(crate) async fn keep(&self) {
        loop {
            self.exceeded.notified().await;
            let closed_before = self.closed();
            let mut demanded = self.held.load(Ordering::Relaxed).next_power_of_two();
            while self.is_exceeded() && demanded > 0 {
                self.demanded.store(demanded, Ordering::Relaxed);
                let clocks: Vec<_> = self.clocks.lock().unwrap_or_else(PoisonError::into_inner).clone();
                clocks.iter().filter_map(Weak::upgrade).for_each(|clock| clock.wake_all());
                tokio::time::sleep(ROUND).await;
                demanded /= 2;
            }
            self.demanded.store(usize::MAX, Ordering::Relaxed);
            let closed = self.closed() - closed_before;
            tracing::warn!(closed, bytes_max = self.bytes_max, "connections held too much memory together");
        }
    }
}
