//! The connections of one thread, and what they do when something comes or is due.
//!
//! All of it happens on one thread, behind one lock that nobody contends for: callbacks of the library and the tasks of
//! `worker.rs` take turns.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sotong::{Closed, ConnectError, Error, Events, MessageRef, Sender};
use tokio::sync::mpsc;

use super::fault;
use super::flow::{Answers, Flow, Heard};
use super::pace::Pace;
use super::payload::Payload;
use super::settings::{Exchange, Load, WAITING_MAX};
use super::tally::{Row, Tally, Window};

/// How much of the rate is caught up with before others get their turn.
const BATCH: usize = 256;

/// So much at most waits to be sent in event form, well below what stops its reading (64 KiB); see `form` in `mod.rs`.
const UNSENT_BYTES_MAX: usize = 32 << 10;
/// Messages that are larger than this are for the pull form.
pub(super) const SMALL_BYTES_MAX: usize = 16 << 10;

/// Which form of the library a connection has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The faster one.
    Events,
    /// Reads whatever waits to be sent.
    Pull,
}

/// What all threads have in common.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) exchange: Exchange,
    pub(super) load: Load,
    pub(super) connections: usize,
    pub(super) form: Form,
    pub(super) payload: Payload,
    /// Whether the message is one that was typed.
    pub(super) is_given: bool,
    pub(super) answer_timeout: Duration,
    pub(super) clock: Clock,
    pub(super) gauges: Gauges,
}

/// The run's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Clock {
        Clock(Instant::now())
    }

    /// Nanoseconds since the start.
    pub(super) fn now(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }

    pub(super) fn at(self, time: u64) -> Instant {
        self.0 + Duration::from_nanos(time)
    }
}

/// Numbers that are looked at while the run goes on.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    pub(super) open: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) done: AtomicU64,
}

/// What a thread tells while it works.
#[derive(Debug)]
pub(super) enum Note {
    /// Each of its connections is there or has failed.
    Ready,
    /// A second of the window is over.
    Row(Row),
    /// It has ended.
    Done(Box<Tally>),
}

/// The connections of one thread.
#[derive(Debug)]
pub(super) struct Crew {
    plan: Arc<Plan>,
    lanes: Vec<Lane>,
    /// When which lane is to send next, each of them once.
    dues: BinaryHeap<Reverse<(u64, usize)>>,
    window: Window,
    waiting: u64,
    tally: Tally,
    scratch: Vec<u8>,
    notes: mpsc::UnboundedSender<Note>,
    stage: Stage,
}

/// How far the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Sending,
    /// Nothing new is sent; what is on its way may come back.
    Draining,
    /// Connections end because we end them.
    Closing,
}

/// One connection.
#[derive(Debug)]
struct Lane {
    sender: Sender,
    flow: Flow,
    pace: Option<Pace>,
    /// It is in the heap of what is due. One that is not, and is to send at a rate, is blocked: it has to wait for an
    /// answer, or for room.
    is_queued: bool,
    is_open: bool,
}

impl Crew {
    pub(super) fn new(plan: Arc<Plan>, notes: mpsc::UnboundedSender<Note>) -> Crew {
        Crew {
            plan,
            lanes: Vec::new(),
            dues: BinaryHeap::new(),
            window: Window::AHEAD,
            waiting: 0,
            tally: Tally::new(),
            scratch: Vec::new(),
            notes,
            stage: Stage::Sending,
        }
    }

    fn now(&self) -> u64 {
        self.plan.clock.now()
    }

    pub(super) fn set_window(&mut self, window: Window) {
        self.window = window;
    }

    /// Sends what became due at the last moment, and nothing after that.
    pub(super) fn drain(&mut self) {
        if matches!(self.plan.load, Load::Rate(_)) {
            while self.send_due().is_some_and(|next| next <= self.now()) {}
        }
        self.stage = Stage::Draining;
    }

    pub(super) fn waiting(&self) -> u64 {
        self.waiting
    }

    pub(super) fn senders(&self) -> Vec<Sender> {
        self.lanes.iter().filter(|lane| lane.is_open).map(|lane| lane.sender.clone()).collect()
    }

    /// A connect is through: counted, and that is all.
    pub(super) fn connected(&mut self, began: u64) {
        let now = self.now();
        self.roll(now);
        let counts = self.plan.exchange == Exchange::Connect;
        self.tally.connected(self.window, began, now, counts);
        if counts {
            self.plan.gauges.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn not_connected(&mut self, error: &ConnectError) {
        self.tally.faults.connect(error);
        self.plan.gauges.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection is open. Returns its place here.
    fn opened(&mut self, index: usize, sender: &Sender) -> usize {
        let now = self.now();
        let pace = match self.plan.load {
            Load::Rate(rate) if self.plan.exchange != Exchange::Receive => {
                Some(Pace::new(rate, index, self.plan.connections, now))
            }
            _ => None,
        };
        let place = self.lanes.len();
        let lane =
            Lane { sender: sender.clone(), flow: Flow::default(), pace, is_queued: false, is_open: true };
        self.lanes.push(lane);
        self.plan.gauges.open.fetch_add(1, Ordering::Relaxed);
        if self.plan.exchange == Exchange::Receive && self.plan.is_given {
            self.send(place, now, now);
        }
        self.serve(place, now);
        place
    }

    fn heard(&mut self, place: usize, message: MessageRef<'_>) {
        let now = self.now();
        self.roll(now);
        self.tally.counts.received += 1;
        let (exchange, bytes) = (self.plan.exchange, message.len());
        match exchange {
            Exchange::Echo | Exchange::Reply => {
                let answers = if exchange == Exchange::Echo { Answers::Echo } else { Answers::Any };
                let sent = match self.lanes[place].flow.heard(&self.plan.payload, answers, message) {
                    Heard::Answer(sent) => sent,
                    Heard::OutOfOrder(sent) => {
                        self.tally.counts.out_of_order += 1;
                        sent
                    }
                    Heard::Foreign => return self.foreign(message),
                };
                self.waiting -= 1;
                self.tally.answered(self.window, now, sent.due, bytes);
                self.plan.gauges.done.fetch_add(1, Ordering::Relaxed);
                self.serve(place, now);
            }
            Exchange::Receive => {
                self.tally.came(self.window, now, bytes);
                self.plan.gauges.done.fetch_add(1, Ordering::Relaxed);
            }
            Exchange::Push | Exchange::Connect => {}
        }
    }

    fn foreign(&mut self, message: MessageRef<'_>) {
        self.tally.counts.foreign += 1;
        if self.tally.foreign_example.is_none() {
            self.tally.foreign_example = Some(match message {
                MessageRef::Text(text) => format!("text \"{}\"", fault::shortened(text)),
                MessageRef::Binary(bytes) => format!("{} bytes, binary", bytes.len()),
            });
        }
    }

    fn closed(&mut self, place: usize, closed: &Closed, error: Option<&Error>) {
        self.plan.gauges.open.fetch_sub(1, Ordering::Relaxed);
        let lane = &mut self.lanes[place];
        lane.is_open = false;
        let lost = lane.flow.give_up_all();
        self.waiting -= lost;
        self.tally.counts.lost_with_connection += lost;
        if self.stage != Stage::Closing {
            self.tally.faults.closed(closed, error);
        }
    }

    /// Sends what a lane is to send now.
    fn serve(&mut self, place: usize, now: u64) {
        match (self.plan.exchange, self.plan.load) {
            _ if self.stage != Stage::Sending => {}
            (Exchange::Receive | Exchange::Connect, _) => {}
            (_, Load::Rate(_)) => self.catch_up(place, now),
            // A task of its own pushes: see `push`.
            (Exchange::Push, Load::InFlight(_)) => {}
            (_, Load::InFlight(in_flight)) => {
                while self.lanes[place].flow.waiting() < in_flight
                    && !self.window.is_over(now)
                    && self.send(place, now, now)
                {}
            }
        }
    }

    /// Sends as much as is taken. Returns whether it is worth to go on.
    pub(super) fn push(&mut self, place: usize) -> bool {
        for _ in 0..BATCH {
            let now = self.now();
            if self.window.is_over(now) || !self.lanes[place].is_open {
                return false;
            }
            self.roll(now);
            if !self.send(place, now, now) {
                break;
            }
        }
        true
    }

    /// Sends what is due on a lane, and queues the rest unless it is blocked.
    fn catch_up(&mut self, place: usize, now: u64) {
        for _ in 0..BATCH {
            let Some(due) = self.lanes[place].pace.map(|pace| pace.due()) else { return };
            if due > now || self.window.is_over(due) {
                break;
            }
            if !self.send(place, due, now) {
                return;
            }
            if let Some(pace) = &mut self.lanes[place].pace {
                pace.advance();
            }
        }
        let lane = &mut self.lanes[place];
        if let (Some(pace), false) = (lane.pace, lane.is_queued) {
            lane.is_queued = true;
            self.dues.push(Reverse((pace.due(), place)));
        }
    }

    /// Sends what is due on all lanes, or some of it. Returns when to come again; `None` when the window is over.
    pub(super) fn send_due(&mut self) -> Option<u64> {
        let now = self.now();
        self.roll(now);
        for _ in 0..BATCH {
            match self.dues.peek() {
                Some(Reverse((due, _))) if self.window.is_over(*due) => return None,
                Some(Reverse((due, place))) if *due <= now => {
                    let place = *place;
                    self.dues.pop();
                    self.lanes[place].is_queued = false;
                    if self.lanes[place].is_open {
                        self.catch_up(place, now);
                    }
                }
                Some(Reverse((due, _))) => return Some(*due),
                None => return (!self.window.is_over(now)).then_some(now + super::worker::TICK_NANOSECONDS),
            }
        }
        Some(now)
    }

    /// Sends one message. False if that is not possible now.
    fn send(&mut self, place: usize, due: u64, now: u64) -> bool {
        let lane = &mut self.lanes[place];
        if !lane.is_open || lane.flow.waiting() >= WAITING_MAX {
            return false;
        }
        let message = self.plan.payload.make(lane.flow.next(), &mut self.scratch);
        let bytes = message.len();
        if self.plan.form == Form::Events && lane.sender.buffered_bytes() + bytes > UNSENT_BYTES_MAX {
            return false;
        }
        if lane.sender.try_send(message).is_err() {
            return false;
        }
        match self.plan.exchange.has_answers() {
            true => {
                lane.flow.sent(due, now);
                self.waiting += 1;
            }
            false => lane.flow.sent_without_answer(),
        }
        self.tally.sent(self.window, now, due, bytes);
        if self.plan.exchange == Exchange::Push {
            self.tally.pushed(self.window, now);
            self.plan.gauges.done.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// Now and then: gives up what waits too long, and tries again what was blocked.
    pub(super) fn tick(&mut self) {
        let now = self.now();
        self.roll(now);
        let oldest = now.saturating_sub(self.plan.answer_timeout.as_nanos() as u64);
        for place in 0..self.lanes.len() {
            let lane = &mut self.lanes[place];
            let given_up = lane.flow.give_up_before(oldest);
            self.waiting -= given_up;
            self.tally.counts.timed_out += given_up;
            if !lane.is_queued && lane.is_open {
                self.serve(place, now);
            }
        }
    }

    fn roll(&mut self, now: u64) {
        if self.stage == Stage::Closing {
            // What a server still sends counts for nothing, and the seconds were told.
            return;
        }
        // Nobody listens when the run is given up.
        self.tally.roll(self.window, now, |row| drop(self.notes.send(Note::Row(row))));
    }

    /// What was counted; nothing is counted any more.
    pub(super) fn finish(&mut self) -> Tally {
        self.roll(u64::MAX - 1);
        for lane in &mut self.lanes {
            self.tally.counts.unanswered_at_end += lane.flow.give_up_all();
            if let Some(pace) = lane.pace.filter(|_| self.window != Window::AHEAD) {
                self.tally.counts.not_sent += pace.overdue(self.window.until);
            }
        }
        self.waiting = 0;
        self.stage = Stage::Closing;
        std::mem::replace(&mut self.tally, Tally::new())
    }
}

/// A crew, as its callbacks and tasks hold it.
pub(super) type Shared = Arc<Mutex<Crew>>;

pub(super) fn lock(crew: &Shared) -> MutexGuard<'_, Crew> {
    crew.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value behind one connection.
pub(super) struct Line {
    crew: Shared,
    /// Which of all connections.
    index: usize,
    place: Option<usize>,
    error: Option<Error>,
}

impl Line {
    pub(super) fn new(crew: Shared, index: usize) -> Line {
        Line { crew, index, place: None, error: None }
    }
}

impl Events for Line {
    fn open(&mut self, socket: &Sender) {
        let place = lock(&self.crew).opened(self.index, socket);
        self.place = Some(place);
        push_if_asked(&self.crew, place, socket);
    }

    fn message(&mut self, _socket: &Sender, message: MessageRef<'_>) {
        if let Some(place) = self.place {
            lock(&self.crew).heard(place, message);
        }
    }

    fn error(&mut self, _socket: &Sender, error: &Error) {
        self.error = Some(error.clone());
    }

    fn close(&mut self, closed: &Arc<Closed>) {
        if let Some(place) = self.place {
            lock(&self.crew).closed(place, closed, self.error.as_ref());
        }
    }
}

/// In a closed loop without answers it is the kernel that says when to go on.
fn push_if_asked(crew: &Shared, place: usize, socket: &Sender) {
    let (exchange, load) = {
        let crew = lock(crew);
        (crew.plan.exchange, crew.plan.load)
    };
    if let (Exchange::Push, Load::InFlight(_)) = (exchange, load) {
        let (crew, socket) = (Arc::clone(crew), socket.clone());
        // It ends with the connection or with the window, and the runtime ends after both.
        tokio::spawn(async move {
            loop {
                let goes_on = lock(&crew).push(place);
                if !goes_on || socket.flushed().await.is_err() {
                    return;
                }
            }
        });
    }
}
