//! Counts what is alive, to limit it and to wait for its end.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A count of live things of one kind.
#[derive(Debug, Default)]
pub(crate) struct Live {
    count: AtomicUsize,
    none_left: Notify,
}

impl Live {
    /// Counts one more until the guard is dropped; `None` if there are `max` already.
    pub(crate) fn enter(self: &Arc<Self>, max: usize) -> Option<Guard> {
        let entered = self
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < max).then_some(count + 1));
        entered.is_ok().then(|| Guard { live: self.clone(), keeps: None })
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Ready when none is left.
    pub(crate) async fn none_left(&self) {
        loop {
            let notified = self.none_left.notified();
            if self.count() == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// One live thing.
#[derive(Debug)]
pub(crate) struct Guard {
    live: Arc<Live>,
    keeps: Option<Box<dyn Any + Send + Sync>>,
}

impl Guard {
    /// Keeps something else for as long.
    pub(crate) fn keeping(mut self, kept: impl Any + Send + Sync) -> Guard {
        self.keeps = Some(Box::new(kept));
        self
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.keeps = None;
        if self.live.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.live.none_left.notify_waiters();
        }
    }
}
