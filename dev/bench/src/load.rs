//! The load generator: one thread, one epoll, a fixed number of messages in flight on each connection.
//!
//! On each readiness it reads once, counts the echoes that are complete and sends as many messages in one write. What
//! it does is the same for every server; in raw mode only the counting is simpler.

use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;

use crate::cell::Cell;
use crate::connection::{Connection, PATIENCE};
use crate::cores;
use crate::dialer::{Dialer, Target};
use crate::echo_reader::{SAMPLE, Wire};
use crate::failure::{Failure, Result, While};
use crate::flight::Flight;
use crate::frame::Kind;
use crate::process;
use crate::settings::LoadSettings;

/// As large as the buffer of the raw server: a read takes all that is there in every usual cell.
const SCRATCH_BYTES: usize = 512 << 10;

#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) target: Target,
    pub(crate) wire: Wire,
    pub(crate) kind: Kind,
    pub(crate) cell: Cell,
    /// Whether messages are JSON and compressed.
    pub(crate) compress: bool,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
}

/// What happened, with what the caller's probe saw at both ends of the measured window.
#[derive(Debug)]
pub(crate) struct Measured<P> {
    /// Echoes that came back inside the window.
    pub(crate) messages: u64,
    pub(crate) elapsed: Duration,
    pub(crate) before: P,
    pub(crate) after: P,
    /// Echoes with those of the warm-up and of the end: each message that was sent came back.
    pub(crate) total: u64,
    /// Payload bytes of an echo as it came, on average.
    pub(crate) wire_bytes: f64,
}

/// The subcommand `load`.
pub(crate) fn print(settings: &LoadSettings) -> Result<()> {
    cores::raise_open_files(settings.load.cell.connections + 64)?;
    let pid = settings.server_pid;
    let measured = run(&settings.load, || pid.map(process::cpu_use).transpose())?;
    let seconds = measured.elapsed.as_secs_f64();
    println!(
        "{}: {} messages in {seconds:.3} s, {:.0} messages/s",
        settings.load.cell,
        measured.messages,
        measured.messages as f64 / seconds
    );
    if let (Some(before), Some(after)) = (measured.before, measured.after) {
        let used = (after.busy - before.busy).as_secs_f64();
        println!("server: {:.3} us of CPU per message", used * 1e6 / measured.messages as f64);
    }
    println!("in all {} messages sent and back; contents of one in {SAMPLE} compared", measured.total);
    Ok(())
}

/// Connects, warms up, measures, and then waits until every message in flight is back.
pub(crate) fn run<P>(load: &Load, mut probe: impl FnMut() -> Result<P>) -> Result<Measured<P>> {
    let make = if load.compress { Flight::compressed } else { Flight::new };
    let flight = make(load.kind, load.cell.depth, load.cell.payload_bytes);
    let mut crowd = Crowd::connect(load, &flight)?;
    crowd.start()?;
    crowd.exchange_until(Instant::now() + load.warm_up)?;

    let before = probe()?;
    let (begin, echoes_before) = (Instant::now(), crowd.echoes);
    crowd.exchange_until(begin + load.window)?;
    let (elapsed, messages) = (begin.elapsed(), crowd.echoes - echoes_before);
    let after = probe()?;

    crowd.drain()?;
    if messages == 0 {
        return Err(Failure::new("no message came back inside the measured window"));
    }
    let wire_bytes: u64 = crowd.connections.iter().map(Connection::wire_bytes).sum();
    let wire_bytes = wire_bytes as f64 / crowd.echoes as f64;
    Ok(Measured { messages, elapsed, before, after, total: crowd.echoes, wire_bytes })
}

/// All connections of a run.
struct Crowd<'a> {
    flight: &'a Flight,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    events: Vec<epoll::Event>,
    scratch: Vec<u8>,
    echoes: u64,
}

/// Whether an echo is answered by the next message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refill {
    Yes,
    No,
}

const READ: EventFlags = EventFlags::IN;
const READ_AND_WRITE: EventFlags = EventFlags::IN.union(EventFlags::OUT);

impl<'a> Crowd<'a> {
    fn connect(load: &Load, flight: &'a Flight) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).during("making an epoll")?;
        let mut dialer = Dialer::new(load.target.address);
        let mut connections = Vec::with_capacity(load.cell.connections);
        for index in 0..load.cell.connections {
            let connection = Connection::open(&mut dialer, &load.target, load.wire, flight)?;
            connection.set_nonblocking()?;
            epoll::add(&epoll, &connection, EventData::new_u64(index as u64), READ)
                .during("adding to an epoll")?;
            connections.push(connection);
        }
        let events = Vec::with_capacity(1024);
        Ok(Self { flight, epoll, connections, events, scratch: vec![0; SCRATCH_BYTES], echoes: 0 })
    }

    fn start(&mut self) -> Result<()> {
        for index in 0..self.connections.len() {
            self.connections[index].send(self.flight.depth(), self.flight)?;
            if self.connections[index].is_blocked() {
                self.watch(index, READ_AND_WRITE)?;
            }
        }
        Ok(())
    }

    fn exchange_until(&mut self, end: Instant) -> Result<()> {
        let (mut last_progress, mut last_echoes) = (Instant::now(), self.echoes);
        loop {
            self.turn(Refill::Yes)?;
            let now = Instant::now();
            if self.echoes != last_echoes {
                (last_progress, last_echoes) = (now, self.echoes);
            } else if now - last_progress > PATIENCE {
                return Err(self.lost());
            }
            if now >= end {
                return Ok(());
            }
        }
    }

    /// Sends nothing more and waits for what is in flight: a lost message shows here.
    fn drain(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.in_flight() > 0 {
            if Instant::now() > deadline {
                return Err(self.lost());
            }
            self.turn(Refill::No)?;
        }
        Ok(())
    }

    fn in_flight(&self) -> usize {
        self.connections.iter().map(Connection::in_flight).sum()
    }

    fn lost(&self) -> Failure {
        Failure::new(format!("{} messages did not come back within {PATIENCE:?}", self.in_flight()))
    }

    /// Waits once and serves what is ready.
    fn turn(&mut self, refill: Refill) -> Result<()> {
        const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&TICK)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).during("waiting for readiness"),
        }
        for position in 0..self.events.len() {
            let event = self.events[position];
            let (flags, index) = (event.flags, event.data.u64() as usize);
            let connection = &mut self.connections[index];
            let was_blocked = connection.is_blocked();
            let completed = if flags == EventFlags::OUT {
                0
            } else {
                connection.receive(&mut self.scratch, self.flight)?
            };
            self.echoes += completed as u64;
            match refill {
                Refill::Yes => connection.send(completed, self.flight)?,
                Refill::No => connection.flush(self.flight)?,
            }
            match (was_blocked, connection.is_blocked()) {
                (false, true) => self.watch(index, READ_AND_WRITE)?,
                (true, false) => self.watch(index, READ)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn watch(&self, index: usize, interest: EventFlags) -> Result<()> {
        epoll::modify(&self.epoll, &self.connections[index], EventData::new_u64(index as u64), interest)
            .during("changing an epoll interest")
    }
}
