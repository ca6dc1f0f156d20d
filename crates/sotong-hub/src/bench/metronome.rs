//! Wakes a task at a time that is exact to some tens of microseconds.
//!
//! The runtime's own timers go by whole milliseconds: what was sent by them would be late by half a millisecond, and
//! that would be counted as the server's latency. A thread that sleeps in the kernel is woken more exactly, and burns
//! nothing meanwhile.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use tokio::sync::Notify;

/// Dropped, its thread ends.
#[derive(Debug)]
pub(super) struct Metronome {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    order: Mutex<Order>,
    changed: Condvar,
    woken: Notify,
}

/// What the thread is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Order {
    #[default]
    Nothing,
    WakeAt(Instant),
    End,
}

impl Shared {
    fn order(&self) -> MutexGuard<'_, Order> {
        // It is one value: no panic leaves it half changed.
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_time(&self) {
        let mut order = self.order();
        loop {
            order = match *order {
                Order::End => return,
                Order::Nothing => self.changed.wait(order).unwrap_or_else(PoisonError::into_inner),
                Order::WakeAt(due) => match due.checked_duration_since(Instant::now()) {
                    Some(rest) if !rest.is_zero() => {
                        self.changed.wait_timeout(order, rest).unwrap_or_else(PoisonError::into_inner).0
                    }
                    _ => {
                        *order = Order::Nothing;
                        self.woken.notify_one();
                        order
                    }
                },
            };
        }
    }
}

impl Metronome {
    pub(super) fn start() -> io::Result<Metronome> {
        let shared = Arc::new(Shared::default());
        let keeper = Arc::clone(&shared);
        thread::Builder::new().name("metronome".to_owned()).spawn(move || keeper.keep_time())?;
        Ok(Metronome { shared })
    }

    /// Ready at this time, and now and then before it. For one task at a time.
    pub(super) async fn until(&self, due: Instant) {
        *self.shared.order() = Order::WakeAt(due);
        self.shared.changed.notify_one();
        self.shared.woken.notified().await;
    }
}

impl Drop for Metronome {
    fn drop(&mut self) {
        *self.shared.order() = Order::End;
        self.shared.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn never_early_and_also_for_times_that_are_past() {
        let metronome = Metronome::start().unwrap();
        for wait in [5, 0, 1] {
            let due = Instant::now() + Duration::from_millis(wait);
            metronome.until(due).await;
            assert!(Instant::now() >= due);
        }
        metronome.until(Instant::now() - Duration::from_millis(1)).await;
    }
}
