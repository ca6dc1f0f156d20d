//! Compressors and decompressors, lent for a message and then given back.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::deflater::{Deflater, Kind};
use super::inflater::{INFLATER_BYTES, Inflater};
use super::settings::{CompressionLevel, WindowBits};

/// How many idle codecs of either sort a pool keeps. One is in use at a time where one thread does all the work; others
/// that send from threads of their own have one each.
const IDLE_MAX: usize = 4;

/// How much memory all codecs of a process may take, lent and idle. Shared by the pools that it was given to.
///
/// ```
/// use sotong_proto::{CodecBudget, Codecs};
///
/// let budget = CodecBudget::new(64 << 20);
/// let pools = [Codecs::new(budget.clone()), Codecs::new(budget.clone())]; // one for each worker
/// assert_eq!(budget.used_bytes(), 0); // a pool is empty until somebody needs a codec
/// # let _ = pools;
/// ```
#[derive(Debug)]
pub struct CodecBudget {
    bytes_max: usize,
    used_bytes: AtomicUsize,
}

impl CodecBudget {
    /// The default: 64 MiB.
    ///
    /// A compressor takes 370 to 500 KiB, a decompressor 64 KiB, and a worker thread needs one of each. Compressed
    /// messages that are large and have come in part hold a decompressor each.
    pub const BYTES_MAX: usize = 64 << 20;

    /// At most `bytes_max` bytes.
    ///
    /// When it is used up, messages are sent uncompressed, and what comes in compressed is kept as it is until its
    /// message is complete. Then it is inflated with one decompressor beyond the budget, one at a time for each thread.
    pub fn new(bytes_max: usize) -> Arc<CodecBudget> {
        Arc::new(CodecBudget { bytes_max, used_bytes: AtomicUsize::new(0) })
    }

    /// How much memory the codecs take now.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    fn reserve(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.bytes_max);
        self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn reserve_regardless(&self, bytes: usize) {
        self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn release(&self, bytes: usize) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A pool of codecs: for each thread that drives connections one. Connections are lent a codec for the time of a
/// message.
pub struct Codecs {
    budget: Arc<CodecBudget>,
    idle: Mutex<Idle>,
}

#[derive(Default)]
pub(super) struct Idle {
    inflaters: Vec<Inflater>,
    deflaters: Vec<Deflater>,
}

impl Codecs {
    /// An empty pool.
    pub fn new(budget: Arc<CodecBudget>) -> Arc<Codecs> {
        Arc::new(Codecs { budget, idle: Mutex::default() })
    }

    /// The budget that it goes by.
    pub fn budget(&self) -> &Arc<CodecBudget> {
        &self.budget
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        // Under the lock codecs are only moved.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A decompressor, unless the budget is used up.
    pub(super) fn lend_inflater(self: &Arc<Self>) -> Option<Lent<Inflater>> {
        let idle = self.idle().inflaters.pop();
        let codec = match idle {
            Some(codec) => codec,
            None => self.reserve(INFLATER_BYTES).then(Inflater::new)?,
        };
        Some(Lent { codec: Some(codec), codecs: self.clone() })
    }

    /// A decompressor in any case: for a message that is complete, so that it is back soon.
    pub(super) fn lend_inflater_regardless(self: &Arc<Self>) -> Lent<Inflater> {
        self.lend_inflater().unwrap_or_else(|| {
            self.budget.reserve_regardless(INFLATER_BYTES);
            Lent { codec: Some(Inflater::new()), codecs: self.clone() }
        })
    }

    /// A compressor, unless the budget is used up.
    pub(super) fn lend_deflater(self: &Arc<Self>, kind: Kind) -> Option<Lent<Deflater>> {
        let mut idle = self.idle();
        let at = idle.deflaters.iter().rposition(|codec| codec.kind() == kind);
        let codec = at.map(|at| idle.deflaters.swap_remove(at));
        drop(idle);
        let codec = match codec {
            Some(codec) => codec,
            None => self.reserve(kind.bytes()).then(|| Deflater::new(kind))?,
        };
        Some(Lent { codec: Some(codec), codecs: self.clone() })
    }

    /// Compresses one message that stands alone and hands it to `frame`; `None` if it does not get smaller, or no
    /// compressor may be made.
    pub(crate) fn compress(
        self: &Arc<Self>,
        window_bits: WindowBits,
        level: CompressionLevel,
        plain: &[u8],
        frame: impl FnOnce(&[u8]),
    ) -> Option<()> {
        let mut deflater = self.lend_deflater(Kind { window_bits, level })?;
        deflater.compress(&[], plain).map(frame)
    }

    /// Makes room in the budget; if need be by giving up codecs that are idle.
    fn reserve(&self, bytes: usize) -> bool {
        self.budget.reserve(bytes) || {
            self.forget_idle();
            self.budget.reserve(bytes)
        }
    }

    fn forget_idle(&self) {
        let idle = std::mem::take(&mut *self.idle());
        let deflaters: usize = idle.deflaters.iter().map(|codec| codec.kind().bytes()).sum();
        self.budget.release(deflaters + idle.inflaters.len() * INFLATER_BYTES);
    }
}

impl Drop for Codecs {
    fn drop(&mut self) {
        self.forget_idle();
    }
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codecs").field("budget", &self.budget).finish_non_exhaustive()
    }
}

/// A codec that goes back to its pool when this is dropped.
pub(super) struct Lent<C: Pooled> {
    /// `None` only while it is dropped.
    codec: Option<C>,
    codecs: Arc<Codecs>,
}

/// A sort of codec.
pub(super) trait Pooled: Sized {
    /// What it costs the budget.
    fn bytes(&self) -> usize;
    /// Gets ready for a rest.
    fn rest(&mut self) {}
    /// Where the idle ones of its sort are.
    fn of(idle: &mut Idle) -> &mut Vec<Self>;
}

impl Pooled for Inflater {
    fn bytes(&self) -> usize {
        INFLATER_BYTES
    }

    fn of(idle: &mut Idle) -> &mut Vec<Self> {
        &mut idle.inflaters
    }
}

impl Pooled for Deflater {
    fn bytes(&self) -> usize {
        self.kind().bytes()
    }

    fn rest(&mut self) {
        self.shrink();
    }

    fn of(idle: &mut Idle) -> &mut Vec<Self> {
        &mut idle.deflaters
    }
}

impl<C: Pooled> Deref for Lent<C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.codec.as_ref().expect("it is there until the drop")
    }
}

impl<C: Pooled> DerefMut for Lent<C> {
    fn deref_mut(&mut self) -> &mut C {
        self.codec.as_mut().expect("it is there until the drop")
    }
}

impl<C: Pooled> Drop for Lent<C> {
    fn drop(&mut self) {
        let Some(mut codec) = self.codec.take() else { return };
        codec.rest();
        let bytes = codec.bytes();
        let is_within = self.codecs.budget.used_bytes() <= self.codecs.budget.bytes_max;
        let mut idle = self.codecs.idle();
        let kept = C::of(&mut idle);
        if kept.len() < IDLE_MAX && is_within {
            kept.push(codec);
        } else {
            drop(idle);
            drop(codec);
            self.codecs.budget.release(bytes);
        }
    }
}
