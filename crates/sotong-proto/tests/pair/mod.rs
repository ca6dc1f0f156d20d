//! Two ends of a connection, joined by a network as bad as TCP allows, on a clock that the test owns.
//!
//! ```text
//!  client: End ──► Link ──► server: End       each End is turned as a driver turns it:
//!         ▲                    │              write, deadlines, hang up, read
//!         └───────── Link ◄────┘
//! ```
//!
//! Nothing here waits: `run_for` jumps from one deadline or arrival to the next.

#![allow(dead_code, reason = "each file of tests uses a part of it")]

pub(crate) mod end;
pub(crate) mod oracle;
pub(crate) mod random;
pub(crate) mod wire;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Duration;

use sotong_proto::{CarrierState, Closed, Config, Side, Time};

pub(crate) use end::{End, Seen};
use random::Random;

/// How many turns a run may take before it counts as one that never ends.
const TURNS_MAX: usize = 200_000;

/// One direction of TCP.
#[derive(Debug)]
pub(crate) struct Link {
    random: Random,
    /// What is on its way, with the moment of its arrival.
    pieces: VecDeque<(Time, Vec<u8>)>,
    in_flight_bytes: usize,
    end_of_stream: Option<Time>,
    pub(crate) delay: Duration,
    /// Writes are cut into pieces of at most so many bytes.
    pub(crate) piece_bytes_max: usize,
    /// How much may be on its way before a write takes nothing (the buffers of two kernels).
    pub(crate) in_flight_bytes_max: usize,
    /// The cable is cut: writes are taken, nothing arrives, and nobody is told.
    pub(crate) is_cut: bool,
    /// The reader does not read.
    pub(crate) reader_stalls: bool,
}

impl Link {
    fn new(seed: u64) -> Link {
        Link {
            random: Random(seed),
            pieces: VecDeque::new(),
            in_flight_bytes: 0,
            end_of_stream: None,
            delay: Duration::ZERO,
            piece_bytes_max: usize::MAX,
            in_flight_bytes_max: usize::MAX,
            is_cut: false,
            reader_stalls: false,
        }
    }

    /// Takes as much as there is room for, at most one piece.
    fn write(&mut self, runs: &[IoSlice<'_>], now: Time) -> usize {
        let room = self.in_flight_bytes_max - self.in_flight_bytes;
        let mut count = runs.iter().map(|run| run.len()).sum::<usize>().min(room);
        if count > 1 && self.piece_bytes_max != usize::MAX {
            count = 1 + self.random.below(count.min(self.piece_bytes_max));
        }
        if count > 0 && !self.is_cut {
            self.in_flight_bytes += count;
            let mut bytes = Vec::with_capacity(count);
            for run in runs {
                bytes.extend_from_slice(&run[..run.len().min(count - bytes.len())]);
            }
            self.pieces.push_back((now + self.delay, bytes));
        }
        count
    }

    fn read(&mut self, now: Time) -> Option<Vec<u8>> {
        if self.reader_stalls || self.pieces.front()?.0 > now {
            return None;
        }
        let (_, piece) = self.pieces.pop_front()?;
        self.in_flight_bytes -= piece.len();
        Some(piece)
    }

    fn hang_up(&mut self, now: Time) {
        if !self.is_cut && self.end_of_stream.is_none() {
            self.end_of_stream = Some(now + self.delay);
        }
    }

    fn has_ended(&self, now: Time) -> bool {
        self.pieces.is_empty() && self.end_of_stream.is_some_and(|end| end <= now)
    }

    fn next_arrival(&self) -> Option<Time> {
        if self.reader_stalls {
            return None;
        }
        self.pieces.front().map(|(arrival, _)| *arrival).or(self.end_of_stream)
    }
}

#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) now: Time,
    pub(crate) client: End,
    pub(crate) server: End,
    pub(crate) to_client: Link,
    pub(crate) to_server: Link,
    seed: u64,
}

impl Pair {
    /// Over a network that delivers at once and whole.
    pub(crate) fn new(config: &Config) -> Pair {
        Pair::with_seed(config, 0)
    }

    /// Over a network whose cuts come from `seed`, once `piece_bytes_max` is set.
    pub(crate) fn with_seed(config: &Config, seed: u64) -> Pair {
        Pair {
            now: Time::ZERO,
            client: End::new(Side::Client, config),
            server: End::new(Side::Server, config),
            to_client: Link::new(seed),
            to_server: Link::new(!seed),
            seed,
        }
    }

    pub(crate) fn links(&mut self) -> [&mut Link; 2] {
        [&mut self.to_client, &mut self.to_server]
    }

    pub(crate) fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// The direction to `side`.
    pub(crate) fn link_to(&mut self, side: Side) -> &mut Link {
        match side {
            Side::Client => &mut self.to_client,
            Side::Server => &mut self.to_server,
        }
    }

    /// Ends the stream to `side`, without a Close.
    pub(crate) fn hang_up_to(&mut self, side: Side) {
        let now = self.now;
        self.link_to(side).hang_up(now);
    }

    /// Lets everything happen that happens without the passing of time.
    pub(crate) fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            let client = turn(&mut self.client, &mut self.to_server, &mut self.to_client, self.now);
            let server = turn(&mut self.server, &mut self.to_client, &mut self.to_server, self.now);
            if !client && !server {
                return;
            }
        }
        panic!("no rest after {TURNS_MAX} turns at {:?}", self.now);
    }

    /// Lets time pass, from one thing that is due to the next.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..TURNS_MAX {
            self.settle();
            let deadlines = [&self.client, &self.server]
                .into_iter()
                .filter(|end| end.over.is_none())
                .filter_map(|end| end.connection.deadline());
            let arrivals = [(&self.to_client, &self.client), (&self.to_server, &self.server)]
                .into_iter()
                .filter(|(_, reader)| reader.over.is_none())
                .filter_map(|(link, _)| link.next_arrival());
            match deadlines.chain(arrivals).min() {
                Some(next) if next <= end => {
                    assert!(next > self.now, "at {:?} something is due that did not happen", self.now);
                    self.now = next;
                }
                _ => {
                    self.now = end;
                    return self.settle();
                }
            }
        }
        panic!("more than {TURNS_MAX} steps up to {:?}", self.now);
    }

    /// How each end closed, the client's first; both must have.
    pub(crate) fn closed(&self) -> [&Closed; 2] {
        [&self.client, &self.server].map(|end| match &end.over {
            Some((closed, _)) => closed,
            None => panic!("the {:?} is not over at {:?}: {:?}", end.side, self.now, end.connection),
        })
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed of this network was {}", self.seed);
        }
    }
}

/// What a driver does in one turn; true if anything happened.
fn turn(end: &mut End, out: &mut Link, into: &mut Link, now: Time) -> bool {
    if end.over.is_some() {
        return false;
    }
    let mut busy = false;
    // Write what waits.
    let mut progressed = false;
    while !end.outbox.is_empty() {
        // In one vectored write, which may end in the middle of any of its runs.
        let mut slices = [IoSlice::new(&[]); 3];
        let used = end.outbox.io_slices(&mut slices);
        let count = out.write(&slices[..used], now);
        end.outbox.advance(count);
        progressed |= count > 0;
        if count == 0 {
            break;
        }
    }
    end.connection.wrote(end.outbox.len(), progressed, now);
    busy |= progressed;
    // Deadlines.
    if end.connection.deadline().is_some_and(|due| due <= now) {
        end.handle_timeout(now);
        busy = true;
    }
    match end.connection.carrier() {
        CarrierState::Drop => {
            out.hang_up(now);
            end.over = Some((end.closed(false), now));
            return true;
        }
        CarrierState::Finish
            if end.outbox.is_empty() && end.connection.hangs_up_first() && !end.has_hung_up =>
        {
            end.has_hung_up = true;
            out.hang_up(now);
            busy = true;
        }
        CarrierState::Finish | CarrierState::Run => {}
    }
    // Read once.
    if let Some(piece) = into.read(now) {
        if end.connection.wants_input() {
            end.read(&piece, now);
        }
        return true;
    }
    if !into.reader_stalls && into.has_ended(now) {
        out.hang_up(now);
        end.over = Some((end.closed(true), now));
        return true;
    }
    busy
}
