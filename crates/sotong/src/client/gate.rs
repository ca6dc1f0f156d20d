//! One connect at a time to one address (RFC 6455, section 4.1, 2).
//!
//! "If multiple connections to the same IP address are attempted simultaneously, the client MUST serialize them": so
//! that whoever makes a program connect often (a page, a retry without a pause) cannot turn it against a server.
//! The RFC speaks of the IP address and not of the port, and so do we. Where only a proxy knows the address, each host
//! name counts as one of its own, and all of them together are limited, as the same section has it. What a whole process connects to counts together; what
//! nobody connects to takes no memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Host;

/// The process's gate.
static GATE: LazyLock<Gate> = LazyLock::new(Gate::default);

/// Whom a connect may have to wait for others to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Remote {
    Address(IpAddr),
    /// A name that a proxy resolves.
    Name(Box<str>),
}

/// How many connects may be under way through proxies, "a reasonably low number" (RFC 6455, section 4.1, 2): names cost
/// nothing, so whoever makes them up could otherwise turn a proxy against whatever they lead to.
const BEHIND_PROXIES_MAX: usize = 64;

/// Lets one connect at a time through to each remote end.
struct Gate {
    queues: Mutex<HashMap<Remote, Queue>>,
    behind_proxies: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        Gate { queues: Mutex::default(), behind_proxies: Arc::new(Semaphore::new(BEHIND_PROXIES_MAX)) }
    }
}

/// Who connects to one remote end, and who waits for that.
struct Queue {
    /// A single permit, given away in the order in which it was asked for.
    passes: Arc<Semaphore>,
    /// How many have the pass or wait for it. The queue goes with the last of them.
    places: usize,
}

impl Gate {
    fn queues(&self) -> MutexGuard<'_, HashMap<Remote, Queue>> {
        // No panic comes between two changes that belong together.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&'static self, remote: Remote) -> (Place, Arc<Semaphore>) {
        let mut queues = self.queues();
        let queue = queues
            .entry(remote.clone())
            .or_insert_with(|| Queue { passes: Arc::new(Semaphore::new(1)), places: 0 });
        queue.places += 1;
        (Place { gate: self, remote }, queue.passes.clone())
    }
}

/// A place in a queue; given up when it is dropped.
struct Place {
    gate: &'static Gate,
    remote: Remote,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.gate.queues();
        if let Some(queue) = queues.get_mut(&self.remote) {
            queue.places -= 1;
            if queue.places == 0 {
                queues.remove(&self.remote);
                if queues.is_empty() {
                    // A burst of connects to many addresses leaves nothing behind.
                    queues.shrink_to_fit();
                }
            }
        }
    }
}

/// Nobody else in this process connects to that remote end while this value lives.
pub(super) struct Pass {
    /// For a name that a proxy resolves.
    _behind_proxy: Option<OwnedSemaphorePermit>,
    // The order matters: who is next has the permit before the place is given up.
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

/// Waits for the pass to connect to `address`; first come, first served.
///
/// Dropped before it is ready, the place in the queue is given up, and nobody waits longer for it.
pub(super) async fn pass(address: IpAddr) -> Pass {
    pass_of(&GATE, address).await
}

/// The same for a host that only a proxy connects to: its name, or its address if the URL has one.
pub(super) async fn pass_behind_proxy(host: &Host<String>) -> Pass {
    pass_behind_proxy_of(&GATE, host).await
}

async fn pass_behind_proxy_of(gate: &'static Gate, host: &Host<String>) -> Pass {
    let remote = match host {
        Host::Domain(name) => Remote::Name(name.strip_suffix('.').unwrap_or(name).into()),
        Host::Ipv4(address) => Remote::Address(IpAddr::V4(*address)),
        Host::Ipv6(address) => Remote::Address(IpAddr::V6(*address).to_canonical()),
    };
    let mut pass = pass_to(gate, remote).await;
    // After the wait for its own name: who waits for that takes nothing from others.
    let permit = gate.behind_proxies.clone().acquire_owned().await;
    pass._behind_proxy = Some(permit.expect("the semaphore is never closed"));
    pass
}

async fn pass_of(gate: &'static Gate, address: IpAddr) -> Pass {
    // `::ffff:192.0.2.1` is 192.0.2.1 by another name.
    pass_to(gate, Remote::Address(address.to_canonical())).await
}

async fn pass_to(gate: &'static Gate, remote: Remote) -> Pass {
    let (place, passes) = gate.join(remote);
    let permit = passes.acquire_owned().await.expect("the semaphore is never closed");
    Pass { _behind_proxy: None, _permit: permit, _place: place }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::Poll;

    /// A gate of the test's own.
    fn gate() -> &'static Gate {
        Box::leak(Box::default())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    async fn is_ready<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let mut future = Some(future);
        std::future::poll_fn(|context| {
            let future = future.as_mut().expect("polled once");
            Poll::Ready(match future.as_mut().poll(context) {
                Poll::Ready(value) => Some(value),
                Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn b6_one_at_a_time_for_each_address_in_order() {
        let gate = gate();
        let first = pass_of(gate, address("192.0.2.1")).await;
        let mut second = pin!(pass_of(gate, address("192.0.2.1")));
        let mut third = pin!(pass_of(gate, address("::ffff:192.0.2.1")));
        assert!(is_ready(second.as_mut()).await.is_none());
        assert!(is_ready(third.as_mut()).await.is_none());
        let other = pass_of(gate, address("192.0.2.2")).await;
        assert_eq!(gate.queues().len(), 2);
        drop(first);
        assert!(is_ready(third.as_mut()).await.is_none());
        let second = is_ready(second.as_mut()).await.expect("it is its turn");
        assert!(is_ready(third.as_mut()).await.is_none());
        drop(second);
        drop(is_ready(third.as_mut()).await.expect("it is its turn"));
        drop(other);
        assert_eq!(gate.queues().capacity(), 0);
    }

    #[tokio::test]
    async fn b6_who_leaves_the_queue_holds_nobody_up() {
        let gate = gate();
        let first = pass_of(gate, address("::1")).await;
        let mut last = Box::pin(pass_of(gate, address("::1")));
        {
            let mut leaving = Box::pin(pass_of(gate, address("::1")));
            assert!(is_ready(leaving.as_mut()).await.is_none());
            assert!(is_ready(last.as_mut()).await.is_none());
            drop(first);
            // Its turn has come, but it goes without having looked.
        }
        drop(is_ready(last.as_mut()).await.expect("it is its turn"));
        assert_eq!(gate.queues().len(), 0);
    }

    #[tokio::test]
    async fn b6_behind_proxies_so_many_connects_at_once_and_one_more_waits() {
        let gate = gate();
        let name = |number: usize| Host::Domain(format!("{number}.example"));
        let mut passes = Vec::new();
        for number in 0..BEHIND_PROXIES_MAX {
            let host = name(number);
            let mut pass = Box::pin(pass_behind_proxy_of(gate, &host));
            passes.push(is_ready(pass.as_mut()).await.expect("there is room"));
            // A task that takes much at once is sent to the back of the line by tokio; that is not what is tested.
            tokio::task::yield_now().await;
        }
        let host = name(BEHIND_PROXIES_MAX);
        let mut waiting = Box::pin(pass_behind_proxy_of(gate, &host));
        assert!(is_ready(waiting.as_mut()).await.is_none());
        // Whoever dials by itself does not wait for that.
        drop(is_ready(Box::pin(pass_of(gate, address("::1"))).as_mut()).await.expect("it is free"));
        passes.pop();
        drop(is_ready(waiting.as_mut()).await.expect("there is room again"));
        drop(passes);
        assert_eq!(gate.queues().capacity(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn b6_nothing_stays_when_thousands_come_and_go_on_two_threads() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let gate = gate();
        let inside: &'static [AtomicUsize; 3] = Box::leak(Box::default());
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                tokio::spawn(async move {
                    for round in 0..500usize {
                        let number = (task + round) % 3;
                        let mut pass = Box::pin(pass_of(gate, IpAddr::from([192, 0, 2, number as u8])));
                        if round % 7 == 0 {
                            // It goes again, whether its turn had come or not.
                            drop(is_ready(pass.as_mut()).await);
                            continue;
                        }
                        let _pass = pass.await;
                        assert_eq!(inside[number].fetch_add(1, Ordering::SeqCst), 0);
                        tokio::task::yield_now().await;
                        inside[number].fetch_sub(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("nobody met anybody inside");
        }
        assert_eq!(gate.queues().capacity(), 0);
    }
}
