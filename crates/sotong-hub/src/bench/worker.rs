//! One thread with a runtime of its own: it opens its connections, keeps them busy and closes them.

use std::sync::Arc;
use std::time::Duration;

use sotong::{Client, CloseCode, ConnectError, Events, MessageRef, Sender};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};

use super::crew::{Crew, Form, Line, Note, Plan, Shared, lock};
use super::dial::CLOSE_TIMEOUT;
use super::metronome::Metronome;
use super::settings::{Exchange, Load};
use super::tally::{Tally, Window};

/// How many connects of a thread are going on at a time: servers have queues, and to fill them is not to measure.
const CONNECTS_AT_ONCE: usize = 64;
/// How often is looked at what waits too long.
const TICK: Duration = Duration::from_millis(20);
pub(super) const TICK_NANOSECONDS: u64 = 20_000_000;
/// How often is looked whether the last answer is there.
const DRAIN_TICK: Duration = Duration::from_millis(2);
/// After a connect has failed, so that failing is not all that is done.
const PAUSE: Duration = Duration::from_millis(10);

/// What one thread is to do.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) plan: Arc<Plan>,
    pub(super) client: Client,
    pub(super) url: Arc<str>,
    /// Which connections are its own.
    pub(super) indices: Vec<usize>,
    pub(super) ramp: Duration,
    pub(super) orders: watch::Receiver<Order>,
    pub(super) notes: mpsc::UnboundedSender<Note>,
    pub(super) metronome: Option<Metronome>,
}

/// What all threads are told while they work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) window: Window,
    /// How long to wait for the last answers.
    pub(super) patience: Duration,
}

/// Does it, and tells what was counted.
pub(super) async fn work(job: Job) {
    let notes = job.notes.clone();
    let crew: Shared = Arc::new(std::sync::Mutex::new(Crew::new(Arc::clone(&job.plan), notes.clone())));
    let tally = match job.plan.exchange {
        Exchange::Connect => connect_again_and_again(&job, &crew).await,
        _ => converse(&job, &crew).await,
    };
    // Nobody listens when the run is given up.
    let _ = notes.send(Note::Done(Box::new(tally)));
}

async fn converse(job: &Job, crew: &Shared) -> Tally {
    let connecting = async {
        open(job, crew).await;
        let _ = job.notes.send(Note::Ready);
        std::future::pending::<()>().await;
    };
    // All but the first have no end; dropped, what still connects is given up.
    tokio::select! {
        () = over(job, crew) => {}
        () = connecting => {}
        () = keep_pace(job, crew) => {}
        () = tick(crew) => {}
    }
    drain(job, crew).await;
    let tally = lock(crew).finish();
    let senders = lock(crew).senders();
    close(senders).await;
    tally
}

/// Waits for the last answers.
async fn drain(job: &Job, crew: &Shared) {
    lock(crew).drain();
    let begin = Instant::now();
    loop {
        // Not as long after Ctrl-C, which may come now.
        let patience = job.orders.borrow().patience;
        if lock(crew).waiting() == 0 || begin.elapsed() >= patience {
            return;
        }
        sleep(DRAIN_TICK).await;
        lock(crew).tick();
    }
}

/// Opens all connections of this thread. Ready when each is there or has failed.
async fn open(job: &Job, crew: &Shared) {
    let begin = Instant::now();
    let permits = Arc::new(Semaphore::new(CONNECTS_AT_ONCE));
    let mut connects = JoinSet::new();
    for &index in &job.indices {
        let share = index as f64 / job.plan.connections as f64;
        sleep_until(begin + job.ramp.mul_f64(share)).await;
        let permit = Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
        let (crew, client, url) = (Arc::clone(crew), job.client.clone(), Arc::clone(&job.url));
        let (clock, form) = (job.plan.clock, job.plan.form);
        connects.spawn(async move {
            let began = clock.now();
            let line = Line::new(Arc::clone(&crew), index);
            let connected = match form {
                Form::Events => by_events(&client, &url, line, &crew, began).await,
                Form::Pull => by_pull(&client, &url, line, &crew, began).await,
            };
            if let Err(error) = connected {
                lock(&crew).not_connected(&error);
            }
            drop(permit);
        });
    }
    while connects.join_next().await.is_some() {}
}

async fn by_events(
    client: &Client,
    url: &str,
    line: Line,
    crew: &Shared,
    began: u64,
) -> Result<(), ConnectError> {
    let crew = Arc::clone(crew);
    let connected = client.connect_events(url, move |_| {
        lock(&crew).connected(began);
        line
    });
    connected.await.map(drop)
}

/// The same calls, made by a task that ends with the connection.
async fn by_pull(
    client: &Client,
    url: &str,
    mut line: Line,
    crew: &Shared,
    began: u64,
) -> Result<(), ConnectError> {
    let mut socket = client.connect(url).await?;
    lock(crew).connected(began);
    tokio::spawn(async move {
        let sender = socket.sender();
        line.open(&sender);
        loop {
            match socket.recv().await {
                Ok(Some(message)) => line.message(&sender, message.as_ref()),
                Ok(None) => break,
                Err(error) => {
                    line.error(&sender, &error);
                    break;
                }
            }
        }
        line.close(&sender.closed().await);
    });
    Ok(())
}

/// Ready when the window is over.
async fn over(job: &Job, crew: &Shared) {
    let mut orders = job.orders.clone();
    loop {
        let window = orders.borrow_and_update().window;
        lock(crew).set_window(window);
        let until = async {
            match window.until {
                u64::MAX => std::future::pending().await,
                until => sleep_until(job.plan.clock.at(until).into()).await,
            }
        };
        tokio::select! {
            () = until => return,
            changed = orders.changed() => if changed.is_err() { return },
        }
    }
}

/// Sends what is due, to the end of the window.
async fn keep_pace(job: &Job, crew: &Shared) {
    let (Load::Rate(_), Some(metronome)) = (job.plan.load, &job.metronome) else {
        return std::future::pending().await;
    };
    loop {
        let next = lock(crew).send_due();
        match next {
            None => return std::future::pending().await,
            Some(next) => match job.plan.clock.at(next) {
                // There is more than one turn may do. Others first.
                next if next <= std::time::Instant::now() => tokio::task::yield_now().await,
                next => metronome.until(next).await,
            },
        }
    }
}

async fn tick(crew: &Shared) {
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
        lock(crew).tick();
    }
}

async fn close(senders: Vec<Sender>) {
    for sender in &senders {
        sender.close(CloseCode::NORMAL, "");
    }
    // A server that does not answer the Close is no reason to wait much longer than its deadline.
    let _ = timeout(CLOSE_TIMEOUT * 2, async {
        for sender in &senders {
            sender.closed().await;
        }
    })
    .await;
}

/// A connection that is opened to be closed.
struct Silent;

impl Events for Silent {
    fn message(&mut self, _socket: &Sender, _message: MessageRef<'_>) {}
}

async fn connect_again_and_again(job: &Job, crew: &Shared) -> Tally {
    let _ = job.notes.send(Note::Ready);
    let mut loops = JoinSet::new();
    for &index in &job.indices {
        let share = index as f64 / job.plan.connections as f64;
        let begin = Instant::now() + job.ramp.mul_f64(share);
        let (crew, client, url) = (Arc::clone(crew), job.client.clone(), Arc::clone(&job.url));
        let clock = job.plan.clock;
        loops.spawn(async move {
            sleep_until(begin).await;
            loop {
                let began = clock.now();
                let for_latency = Arc::clone(&crew);
                let connected = client.connect_events(&url, move |_| {
                    lock(&for_latency).connected(began);
                    Silent
                });
                match connected.await {
                    Ok(sender) => {
                        sender.close(CloseCode::NORMAL, "");
                        sender.closed().await;
                    }
                    Err(error) => {
                        lock(&crew).not_connected(&error);
                        sleep(PAUSE).await;
                    }
                }
            }
        });
    }
    tokio::select! {
        () = over(job, crew) => {}
        () = tick(crew) => {}
    }
    loops.abort_all();
    while loops.join_next().await.is_some() {}
    lock(crew).finish()
}
