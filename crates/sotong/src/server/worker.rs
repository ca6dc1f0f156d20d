//! Worker threads: each with a runtime of its own, so that a connection stays on one core.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{mpsc, oneshot};

use super::admission::{Admission, Incoming};
use super::serve::{Stop, wait_for_the_end};
use crate::carrier::Parked;
use crate::driver::clock::Clock;
use crate::live::Guard;
use crate::peer::Peer;

/// After how many turns a thread asks the system what is new. A turn is short, and it asks anyway when none is left.
const EVENT_INTERVAL: u32 = 128;
/// How much longer than its wait for connections a thread may take to end.
const TEARDOWN: Duration = Duration::from_secs(1);

/// The threads, and the way to each.
pub(super) struct Workers {
    threads: Vec<Worker>,
    /// Whose turn it is.
    next: AtomicUsize,
}

struct Worker {
    incoming: mpsc::UnboundedSender<(Parked, Peer, Vec<u8>, Guard)>,
    stop: oneshot::Sender<Stop>,
    ended: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

impl Workers {
    /// Starts `count` threads.
    pub(super) fn start(count: usize, admission: &Arc<Admission>) -> io::Result<Workers> {
        let threads =
            (0..count).map(|index| Worker::start(index, admission.clone())).collect::<io::Result<_>>()?;
        Ok(Workers { threads, next: AtomicUsize::new(0) })
    }

    /// Hands a connection to the next worker.
    pub(super) fn admit(&self, incoming: Incoming, handshake: Guard) {
        let worker = &self.threads[self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len()];
        let Incoming { carrier, peer, read } = incoming;
        let id = peer.id;
        // It leaves this runtime's poller to join the worker's.
        let sent = carrier.park().map(|parked| worker.incoming.send((parked, peer, read, handshake)).is_ok());
        if !matches!(sent, Ok(true)) {
            tracing::error!(connection = id, "a worker thread is gone; a connection was dropped");
        }
    }

    /// Closes all connections, spread over the window, and waits for the threads, in bounded time.
    pub(super) async fn stop(self, stop: Stop) {
        // The threads hold the time themselves, unless a handler blocks one.
        let wait = stop.wait.saturating_add(TEARDOWN);
        let mut stopped = Vec::new();
        for worker in self.threads {
            drop(worker.incoming);
            // A worker that is gone has nothing to stop.
            let _ = worker.stop.send(stop);
            stopped.push((worker.ended, worker.thread));
        }
        let all_ended = async {
            for (ended, thread) in stopped {
                // Dropped at the thread's end, also when it panics.
                let _ = ended.await;
                if thread.join().is_err() {
                    tracing::error!("a worker thread panicked");
                }
            }
        };
        if tokio::time::timeout(wait, all_ended).await.is_err() {
            tracing::error!("a worker thread is blocked by a handler; it was left behind");
        }
    }
}

impl Worker {
    fn start(index: usize, admission: Arc<Admission>) -> io::Result<Worker> {
        let runtime =
            runtime::Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build()?;
        let (incoming, mut arrivals) = mpsc::unbounded_channel::<(Parked, Peer, Vec<u8>, Guard)>();
        let (stop, stopping) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let work = async move {
            let clock = Clock::start(&admission.budget, &admission.settings.topics);
            while let Some((parked, peer, read, handshake)) = arrivals.recv().await {
                match parked.resume() {
                    Ok(carrier) => {
                        let incoming = Incoming { carrier, peer, read };
                        tokio::spawn(admission.clone().admit(incoming, clock.clone(), handshake));
                    }
                    Err(error) => tracing::error!(%peer, %error, "a connection could not join its worker"),
                }
            }
            // The server was dropped rather than stopped: then at once.
            let stop: Stop = stopping.await.unwrap_or_default();
            wait_for_the_end(&admission, &clock, stop).await;
        };
        let thread = std::thread::Builder::new().name(format!("sotong-{index}")).spawn(move || {
            runtime.block_on(work);
            // What is left after the wait is torn down here, not waited for.
            runtime.shutdown_timeout(Duration::ZERO);
            drop(end);
        })?;
        Ok(Worker { incoming, stop, ended, thread })
    }
}
