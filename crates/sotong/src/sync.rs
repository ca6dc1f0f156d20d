//! Locks and atomics of what senders and the driver share. Under `--cfg sotong_shuttle` they are shuttle's, which
//! plays the threads of a test in many orders (`driver/handover.rs`).

#[cfg(not(sotong_shuttle))]
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError, atomic};

#[cfg(sotong_shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
#[cfg(sotong_shuttle)]
pub(crate) use std::sync::PoisonError;
