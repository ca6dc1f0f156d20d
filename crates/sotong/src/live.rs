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
    /// What the one guard of this count keeps besides: see [`Guard::keeping`]. Dropped in this order.
    _keeps: Option<(Box<dyn Any + Send + Sync>, Guard)>,
}

impl Live {
    /// Counts one more until the guard is dropped; `None` if there are `max` already.
    pub(crate) fn enter(self: &Arc<Self>, max: usize) -> Option<Guard> {
        let entered = self
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < max).then_some(count + 1));
        entered.is_ok().then(|| Guard(self.clone()))
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
pub(crate) struct Guard(Arc<Live>);

impl Guard {
    /// Keeps something else for as long. It is one pointer still: most connections have nothing else to keep.
    pub(crate) fn keeping(self, kept: impl Any + Send + Sync) -> Guard {
        let _keeps = Some((Box::new(kept) as Box<dyn Any + Send + Sync>, self));
        Guard(Arc::new(Live { count: AtomicUsize::new(1), none_left: Notify::new(), _keeps }))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none_left.notify_waiters();
        }
    }
}
