//! The task of a reconnecting client: connect, carry both ways, lose, wait, again.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sotong_proto::{CloseCode, Closed};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::arrivals::Arrivals;
use super::backoff::Outage;
use super::ending::{Decision, End, Ending};
use super::settings::{HookError, Reconnect, State, Target, Try};
use super::socket::{ReconnectingSocket, Shared};
use crate::driver::random;
use crate::error::{SendError, TrySendError};
use crate::outgoing::Uncompressed;
use crate::sender::Sender;
use crate::socket::WebSocket;

pub(super) fn start(settings: Reconnect) -> ReconnectingSocket {
    let shared = Arc::new(Shared::new(&settings));
    let (arrivals, received) = Arrivals::new(shared.clone());
    let task = Task { settings, shared: shared.clone(), started: Instant::now() };
    ReconnectingSocket::new(shared, received, tokio::spawn(task.run(arrivals)))
}

struct Task {
    settings: Reconnect,
    shared: Arc<Shared>,
    started: Instant,
}

/// How a connection is over.
enum Over {
    /// This end closed it.
    Here(Arc<Closed>),
    Lost(Ending),
}

impl Task {
    async fn run(self, mut arrivals: Arrivals) {
        let end = self.stay(&mut arrivals).await;
        self.finish(end);
        // Until all is taken, or nobody takes any more.
        arrivals.hand_on().await;
    }

    /// Until it is over.
    async fn stay(&self, arrivals: &mut Arrivals) -> End {
        let mut outage = Outage::new(self.settings.backoff.clone());
        let mut number = 0;
        let mut last = None;
        loop {
            self.tell(State::Connecting { number });
            let tried = tokio::select! {
                biased;
                () = self.leaving() => return End::Closed(None),
                tried = arrivals.hand_on_beside(self.attempt(number, last)) => tried,
            };
            let (ending, lived) = match tried {
                Err(ending) => (ending, None),
                Ok(socket) => {
                    let opened = Instant::now();
                    match self.converse(socket, arrivals).await {
                        Over::Here(closed) => return End::Closed(Some(closed)),
                        Over::Lost(ending) => (ending, Some(opened.elapsed())),
                    }
                }
            };
            if self.shared.farewell.borrow().is_some() {
                return End::Closed(None);
            }
            if (self.settings.decide)(&ending) == Decision::Stop {
                return End::Final(ending);
            }
            // A system without randomness cannot make a nonce either: the try after the longest delay will say so.
            let random = random::bytes().map_or(u64::MAX, u64::from_ne_bytes);
            let Some((next, delay)) = outage.lost(self.started.elapsed(), lived, random) else {
                return End::Exhausted { last: ending };
            };
            self.tell(State::Waiting { number: next, delay, because: ending.clone() });
            tokio::select! {
                () = self.leaving() => return End::Closed(None),
                () = async {
                    arrivals.hand_on_beside(sleep(delay)).await;
                    arrivals.hand_on_above(self.settings.kept_bytes_max).await;
                } => {}
            }
            (number, last) = (next, Some(ending));
        }
    }

    /// One try.
    async fn attempt(&self, number: u32, last: Option<Ending>) -> Result<WebSocket, Ending> {
        let settings = &self.settings;
        let mut target = Target { client: settings.client.clone(), url: settings.url.clone(), carrier: None };
        if let Some(refresh) = &settings.refresh {
            let refreshed = timeout(settings.refresh_timeout, refresh(Try { number, target, last })).await;
            let allowed = settings.refresh_timeout;
            target = refreshed
                .unwrap_or_else(|_| Err(format!("took longer than refresh_timeout = {allowed:?}").into()))
                .map_err(|error: HookError| Ending::Refresh(error.into()))?;
        }
        let connected = match target.carrier {
            None => target.client.connect(&target.url).await,
            Some(carrier) => target.client.connect_over(carrier, &target.url).await,
        };
        connected.map_err(|error| Ending::Connect(error.into()))
    }

    /// Carries both ways until the connection is over.
    async fn converse(&self, mut socket: WebSocket, arrivals: &mut Arrivals) -> Over {
        let sender = socket.sender();
        let connection = {
            let mut inside = self.shared.lock();
            inside.connection = Some(sender.clone());
            let counters = inside.queue.counters_mut();
            counters.connections += 1;
            counters.connections
        };
        self.tell(State::Open { connection });
        let over = tokio::select! {
            // The sending half first: an answer that came before the end still confirms.
            biased;
            closed = self.transmit(&sender) => Over::Here(closed),
            // Whether anybody takes what has come or not.
            over = sender.over() => Over::Lost(Ending::Lost { closed: over.closed, error: over.error }),
            never = async {
                arrivals.receive(&mut socket).await;
                pending().await
            } => never,
        };
        arrivals.keep(socket).await;
        {
            let mut inside = self.shared.lock();
            inside.connection = None;
            inside.queue.lose(self.settings.unconfirmed);
        }
        self.shared.make_room();
        over
    }

    /// Hands over what waits, and sees that it is confirmed. Ready when this end has closed.
    async fn transmit(&self, sender: &Sender) -> Arc<Closed> {
        let mut asked: Option<Asked> = None;
        let mut deadline = None;
        loop {
            let (is_full, is_done) = self.hand_over(sender, &mut asked);
            let farewell = self.shared.farewell.borrow().clone();
            if let Some((code, reason)) = farewell {
                let due = *deadline.get_or_insert_with(|| Instant::now() + self.settings.close_timeout);
                if is_done || Instant::now() >= due {
                    return say_goodbye(sender, code, &reason).await;
                }
            }
            tokio::select! {
                biased;
                answer = answered(&mut asked) => if let Some(count) = answer {
                    self.shared.lock().queue.confirm(count);
                    self.shared.make_room();
                },
                () = self.shared.work.notified() => {}
                () = has_room(sender, is_full) => {}
                () = self.leaving(), if deadline.is_none() => {}
                () = until(deadline) => {}
            }
        }
    }

    /// As much as the connection takes. Whether it is full, and whether nothing is left to be done.
    fn hand_over(&self, sender: &Sender, asked: &mut Option<Asked>) -> (bool, bool) {
        let mut inside = self.shared.lock();
        let mut is_full = false;
        while let Some(front) = inside.queue.front() {
            let message = front.message.clone();
            let handed = match front.is_uncompressed {
                true => sender.try_send(Uncompressed(message)),
                false => sender.try_send(message),
            };
            match handed {
                Ok(()) => inside.queue.mark_sent(),
                Err(TrySendError::Full(_)) => {
                    is_full = true;
                    break;
                }
                // The receiving half will say why.
                Err(TrySendError::Closed(_)) => break,
            }
        }
        let count = inside.queue.unconfirmed();
        if count > 0 && asked.is_none() && !sender.is_closed() {
            let sender = sender.clone();
            *asked = Some(Asked { count, answer: Box::pin(async move { sender.ping().await }) });
        }
        (is_full, inside.queue.is_empty())
    }

    /// Ready when this end wants to close.
    async fn leaving(&self) {
        let mut farewell = self.shared.farewell.subscribe();
        // An error is that the sending half is gone, which we hold.
        let _ = farewell.wait_for(Option::is_some).await;
    }

    fn tell(&self, state: State) {
        self.shared.lock().state = state.clone();
        (self.settings.on_state)(&state);
    }

    fn finish(&self, end: End) {
        {
            let mut inside = self.shared.lock();
            inside.queue.end();
            inside.state = State::Ended(end.clone());
        }
        self.shared.make_room();
        (self.settings.on_state)(&State::Ended(end));
    }
}

impl Drop for Task {
    /// However it ends, whoever waits is told.
    fn drop(&mut self) {
        let mut inside = self.shared.lock();
        if !matches!(inside.state, State::Ended(_)) {
            inside.queue.end();
            inside.connection = None;
            inside.state = State::Ended(End::Aborted);
            drop(inside);
            self.shared.make_room();
        }
    }
}

/// A Ping behind so many messages that are not confirmed.
struct Asked {
    count: usize,
    answer: Pin<Box<dyn Future<Output = Result<Duration, SendError>> + Send>>,
}

/// Ready with how many messages are confirmed. Never, when nothing was asked or the connection is over.
async fn answered(asked: &mut Option<Asked>) -> Option<usize> {
    let Some(Asked { count, answer }) = asked else { return pending().await };
    let count = *count;
    let answer = answer.as_mut().await;
    *asked = None;
    answer.ok().map(|_| count)
}

async fn has_room(sender: &Sender, is_full: bool) {
    match is_full {
        // An error is that it is over, which the receiving half says.
        true => match poll_fn(|context| sender.shared().poll_room(context)).await {
            Ok(()) => {}
            Err(_) => pending().await,
        },
        false => pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

async fn say_goodbye(sender: &Sender, code: CloseCode, reason: &str) -> Arc<Closed> {
    sender.close(code, reason);
    sender.closed().await
}
