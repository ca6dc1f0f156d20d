//! Why a try or a connection is over, and whether it is worth to try again.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use sotong_proto::Closed;

use crate::client::ConnectError;
use crate::error::Error;

/// Whether to connect again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// After the delay that [`Backoff`](super::Backoff) gives, as long as there is a budget.
    Again,
    /// Never: the client ends.
    Stop,
}

/// Why a connection, or a try to make one, is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Ending {
    /// There was a connection.
    Lost {
        /// Who closed, and what was said.
        closed: Arc<Closed>,
        /// What went wrong; `None` after a regular close.
        error: Option<Error>,
    },
    /// There was none.
    Connect(Arc<ConnectError>),
    /// The hook [`with_refresh`](super::Reconnect::with_refresh) failed, or took too long.
    Refresh(Arc<dyn StdError + Send + Sync>),
}

impl Ending {
    /// What is decided without a hook.
    ///
    /// | what | decision |
    /// | --- | --- |
    /// | no Close came: 1006, a timeout, a violation of the protocol that we saw | again |
    /// | 1001, 1005 (a Close without a code), 1011–1014 | again |
    /// | 1000: the purpose is fulfilled | stop |
    /// | 1002, 1003, 1007–1010: the server refuses what we say, and would refuse it again | stop |
    /// | 3000–3499, 4000–4499 | again |
    /// | 3500–3999, 4500–4999: for good, as hubs such as ours mean it | stop |
    /// | no connection: the network, DNS, a deadline; status 408, 425, 429, 5xx, of a proxy, too | again |
    /// | no connection: other answers, such as 401, 403, 407 or a redirect; a wrong certificate, URL or header | stop |
    /// | the refresh hook failed | again |
    ///
    /// ```
    /// use sotong::reconnect::{Decision, Ending};
    /// use sotong::Closed;
    ///
    /// let vanished = Ending::Lost { closed: Closed::vanished().into(), error: None };
    /// assert_eq!(vanished.decision(), Decision::Again);
    /// ```
    #[must_use]
    pub fn decision(&self) -> Decision {
        let is_worth_it = match self {
            Ending::Lost { closed, .. } => matches!(
                closed.code(),
                1001 | 1005 | 1006 | 1011..=1014 | 3000..=3499 | 4000..=4499
            ),
            Ending::Connect(error) => error.may_pass(),
            Ending::Refresh(_) => true,
        };
        if is_worth_it { Decision::Again } else { Decision::Stop }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Lost { closed, error } => match error {
                // Tells who closed, too.
                Some(error) if closed.first.is_none() => error.fmt(f),
                _ => closed.fmt(f),
            },
            Ending::Connect(error) => error.fmt(f),
            Ending::Refresh(error) => write!(f, "the refresh hook: {error}"),
        }
    }
}

/// How a reconnecting client ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum End {
    /// This end closed; with how, when there was a connection to close.
    Closed(Option<Arc<Closed>>),
    /// It was decided that it is not worth to try again.
    Final(Ending),
    /// The budget of [`Backoff`](super::Backoff) is spent.
    Exhausted {
        /// Why the last one is over.
        last: Ending,
    },
    /// Its task is gone: a hook panicked, or the runtime was shut down.
    Aborted,
}

impl End {
    /// Whether nothing is wrong: this end closed, or the peer did with 1000.
    #[must_use]
    pub fn is_regular(&self) -> bool {
        match self {
            End::Closed(_) => true,
            End::Final(Ending::Lost { closed, error: None }) => closed.code() == 1000,
            _ => false,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Closed(Some(closed)) => closed.fmt(f),
            End::Closed(None) => f.write_str("closed by this end while there was no connection"),
            End::Final(ending) => write!(f, "not tried again: {ending}"),
            End::Exhausted { last } => write!(f, "gave up, the budget of tries is spent: {last}"),
            End::Aborted => {
                f.write_str("the task of the client is gone: a hook panicked, or its runtime ended")
            }
        }
    }
}

impl StdError for End {}

#[cfg(test)]
mod tests {
    use sotong_proto::{Close, CloseCode};

    use super::*;
    use crate::client::{TunnelError, UrlError};

    fn lost(close: Close) -> Ending {
        let mut closed = Closed::vanished();
        closed.received = Some(close);
        Ending::Lost { closed: closed.into(), error: None }
    }

    #[test]
    fn each_code_is_decided_as_the_table_says() {
        let again = |code: u16| matches!(code, 1001 | 1011 | 1012 | 1013 | 1014 | 3000..=3499 | 4000..=4499);
        let mut count = 0;
        for code in 0..=u16::MAX {
            let Some(close) = CloseCode::new(code) else { continue };
            count += 1;
            let expected = if again(code) { Decision::Again } else { Decision::Stop };
            assert_eq!(lost(close.into()).decision(), expected, "{code}");
        }
        assert_eq!(count, 2012, "all that may travel");
        assert_eq!(lost(Close::empty()).decision(), Decision::Again);
    }

    #[test]
    fn what_a_proxy_says_is_decided_as_what_a_server_says() {
        let proxy = |error| {
            Ending::Connect(ConnectError::Proxy { proxy: "socks5://a:1080".to_owned(), error }.into())
                .decision()
        };
        let gone = ConnectError::Resolve { host: "a".to_owned(), error: std::io::ErrorKind::NotFound.into() };
        let wrong = ConnectError::Url(UrlError::Fragment);
        assert_eq!(proxy(TunnelError::Unreachable(gone.into())), Decision::Again);
        assert_eq!(proxy(TunnelError::Unreachable(wrong.into())), Decision::Stop);
        assert_eq!(proxy(TunnelError::Ended), Decision::Again);
        assert_eq!(proxy(TunnelError::Credentials), Decision::Stop);
        assert_eq!(proxy(TunnelError::NoMethod { with_credentials: true }), Decision::Stop);
        for (code, decision) in [
            (1, Decision::Again),
            (2, Decision::Stop),
            (3, Decision::Again),
            (4, Decision::Again),
            (5, Decision::Again),
            (6, Decision::Again),
            (7, Decision::Stop),
            (8, Decision::Stop),
            (9, Decision::Stop),
        ] {
            assert_eq!(proxy(TunnelError::Reply { code }), decision, "{code}");
        }
    }

    #[test]
    fn only_a_close_with_1000_is_a_regular_end() {
        assert!(End::Final(lost(CloseCode::NORMAL.into())).is_regular());
        assert!(!End::Final(lost(CloseCode::POLICY_VIOLATION.into())).is_regular());
        assert!(!End::Exhausted { last: lost(CloseCode::NORMAL.into()) }.is_regular());
        assert!(End::Closed(None).is_regular());
    }
}
