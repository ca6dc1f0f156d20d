//! How long a connect and each of its steps may take.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::error::ConnectError;

/// How long a connect may take: the whole, and each step of it.
///
/// Whichever deadline comes first ends the connect with [`ConnectError::Timeout`], which names the step.
/// `Duration::MAX` is for ever.
///
/// ```
/// use sotong::ConnectTimeouts;
/// use std::time::Duration;
///
/// let timeouts = ConnectTimeouts::default().with_total(Duration::from_secs(5));
/// assert_eq!(timeouts.total, Duration::from_secs(5));
/// assert_eq!(timeouts.handshake, Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectTimeouts {
    /// Everything, from the call to the connection. Default: 30 seconds, about as long as a person waits.
    ///
    /// The wait for other connects to the same address counts, too; it has no deadline of its own.
    pub total: Duration,
    /// Finding the addresses of a name, of the proxy's if there is one. Default: 10 seconds, enough for a resolver to ask its second server.
    pub resolve: Duration,
    /// The TCP connection, all addresses of the name together. Default: 15 seconds.
    ///
    /// Without it a host that drops packets costs what the system's retries take: more than two minutes on Linux.
    pub tcp: Duration,
    /// Asking a proxy for a way to the server, once there is a connection to it: from the first byte to the last of its
    /// answer. Default: 20 seconds, because the proxy finds the server's address and connects to it meanwhile.
    pub proxy: Duration,
    /// A TLS handshake: the server's, for `wss:`, and before that the proxy's, if its URL begins with `https:`; each has
    /// this much. Default: 10 seconds.
    pub tls: Duration,
    /// The WebSocket handshake: from the request to the last byte of the server's answer. Default: 10 seconds.
    ///
    /// It stands for [`Config::handshake_timeout`](crate::Config::handshake_timeout), which is the server's. Raise it
    /// for servers that start only when they are asked.
    pub handshake: Duration,
}

impl Default for ConnectTimeouts {
    fn default() -> Self {
        ConnectTimeouts {
            total: Duration::from_secs(30),
            resolve: Duration::from_secs(10),
            tcp: Duration::from_secs(15),
            proxy: Duration::from_secs(20),
            tls: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
        }
    }
}

macro_rules! setters {
    ($($setter:ident, $field:ident;)*) => {
        $(
            #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
            #[must_use]
            pub fn $setter(mut self, $field: Duration) -> Self {
                self.$field = $field;
                self
            }
        )*
    };
}

impl ConnectTimeouts {
    setters! {
        with_total, total;
        with_resolve, resolve;
        with_tcp, tcp;
        with_proxy, proxy;
        with_tls, tls;
        with_handshake, handshake;
    }
}

/// A step of a connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectStep {
    /// Waiting until another connect to the same address is through (RFC 6455, section 4.1, 2).
    Gate,
    /// Finding the addresses of a name.
    Resolve,
    /// Connecting by TCP.
    Tcp,
    /// Asking a proxy for a way to the server.
    Proxy,
    /// The TLS handshake, of the server or of a proxy.
    Tls,
    /// The WebSocket handshake.
    Handshake,
}

impl fmt::Display for ConnectStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectStep::Gate => "waiting for other connects to the same address",
            ConnectStep::Resolve => "finding the addresses of the host",
            ConnectStep::Tcp => "connecting by TCP",
            ConnectStep::Proxy => "asking the proxy for a way to the server",
            ConnectStep::Tls => "the TLS handshake",
            ConnectStep::Handshake => "the WebSocket handshake",
        })
    }
}

/// Which deadline has passed, and how long it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectDeadline {
    /// That of the step.
    Step(Duration),
    /// That of the whole: [`ConnectTimeouts::total`].
    Total(Duration),
}

/// The deadlines of one connect that is going on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    begun: Instant,
    timeouts: ConnectTimeouts,
}

/// A deadline, and what to say when it has passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    at: Instant,
    step: ConnectStep,
    deadline: ConnectDeadline,
}

impl Deadlines {
    /// The whole begins now.
    pub(super) fn begin(timeouts: ConnectTimeouts) -> Self {
        Deadlines { begun: Instant::now(), timeouts }
    }

    /// A step begins now.
    pub(super) fn step(&self, step: ConnectStep) -> Due {
        let total = Due {
            at: after(self.begun, self.timeouts.total),
            step,
            deadline: ConnectDeadline::Total(self.timeouts.total),
        };
        let allowed = match step {
            ConnectStep::Gate => return total,
            ConnectStep::Resolve => self.timeouts.resolve,
            ConnectStep::Tcp => self.timeouts.tcp,
            ConnectStep::Proxy => self.timeouts.proxy,
            ConnectStep::Tls => self.timeouts.tls,
            ConnectStep::Handshake => self.timeouts.handshake,
        };
        let at = after(Instant::now(), allowed);
        if at < total.at { Due { at, step, deadline: ConnectDeadline::Step(allowed) } } else { total }
    }
}

impl Due {
    /// Waits for `future` until the deadline.
    pub(super) async fn bound<T>(
        self,
        host: &str,
        future: impl Future<Output = T>,
    ) -> Result<T, ConnectError> {
        timeout_at(self.at, future).await.map_err(|_elapsed| ConnectError::Timeout {
            host: host.to_owned(),
            step: self.step,
            deadline: self.deadline,
            attempts: Vec::new(),
        })
    }
}

/// `duration` after `start`, or what stands for never.
fn after(start: Instant, duration: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    start + duration.min(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    async fn passed(due: Due) -> (ConnectStep, ConnectDeadline) {
        match due.bound("example.com:80", pending::<()>()).await {
            Err(ConnectError::Timeout { step, deadline, host, .. }) => {
                assert_eq!(host, "example.com:80");
                (step, deadline)
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_two_deadlines_holds_and_the_error_says_which() {
        let seconds = Duration::from_secs;
        let begun = Instant::now();
        let deadlines = Deadlines::begin(ConnectTimeouts::default());
        let resolve = passed(deadlines.step(ConnectStep::Resolve)).await;
        assert_eq!(resolve, (ConnectStep::Resolve, ConnectDeadline::Step(seconds(10))));
        let tcp = passed(deadlines.step(ConnectStep::Tcp)).await;
        assert_eq!(tcp, (ConnectStep::Tcp, ConnectDeadline::Step(seconds(15))));
        // 25 of 30 seconds are gone.
        let tls = passed(deadlines.step(ConnectStep::Tls)).await;
        assert_eq!(tls, (ConnectStep::Tls, ConnectDeadline::Total(seconds(30))));
        assert_eq!(begun.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn for_ever_is_possible() {
        let timeouts = ConnectTimeouts { total: Duration::MAX, tls: Duration::MAX, ..Default::default() };
        let deadlines = Deadlines::begin(timeouts);
        let ten_years = Duration::from_secs(10 * 365 * 24 * 60 * 60);
        for step in [ConnectStep::Gate, ConnectStep::Tls] {
            let waited = tokio::time::timeout(ten_years, passed(deadlines.step(step))).await;
            assert!(waited.is_err(), "{step:?}");
        }
        assert_eq!(
            passed(deadlines.step(ConnectStep::Tcp)).await.1,
            ConnectDeadline::Step(Duration::from_secs(15))
        );
    }
}
