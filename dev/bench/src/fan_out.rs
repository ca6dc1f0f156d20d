//! CPU per delivery: one speaker, many subscribers, some publications in flight. Every server once per round, one right
//! after the other.
//!
//! The speaker sends its publications in one write. When all subscribers have all of them, it sends the next. Each
//! publication has a number, and each subscriber must get each number once, in order.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;

use crate::connection::PATIENCE;
use crate::cores;
use crate::deflate;
use crate::dialer::{Dialer, Target};
use crate::failure::{Failure, Result, While};
use crate::flight;
use crate::frame::{self, Opcode};
use crate::handshake::{self, Offer};
use crate::machine;
use crate::page::{self, Part, Section};
use crate::plot::{Bar, Plot};
use crate::process;
use crate::recipe::{self, Recipe};
use crate::server::Server;
use crate::settings::FanOutSettings;
use crate::spread::Spread;

/// The first bytes of a payload are the number of the publication.
const NUMBER_BYTES: usize = 8;

/// The subcommand `fan-out`.
pub(crate) fn run(settings: &FanOutSettings) -> Result<()> {
    let recipes = recipe::fan_out_recipes(settings.others, settings.compress, &settings.peers)?;
    cores::raise_open_files(settings.subscribers + 64)?;
    println!("{}", machine::facts());
    println!(
        "{} subscribers, {} bytes, {} runs of {:?} after {:?} of warm-up; us of server CPU per delivery",
        settings.subscribers, settings.payload_bytes, settings.runs, settings.window, settings.warm_up
    );
    println!("times best: divided by the least of the peers in the same round\n");
    println!(
        "{:<10} {:<12} {:>24} {:>22} {:>14}",
        "in flight", "server", "us/delivery", "times best", "deliveries/s"
    );
    let mut parts = Vec::new();
    for &depth in &settings.depths {
        let mut lines = Vec::new();
        let mut rounds: Vec<Vec<(f64, f64)>> = Vec::with_capacity(settings.runs);
        while rounds.len() < settings.runs {
            let measure = |recipe: &Recipe| {
                let sample = measure(settings, recipe, depth).map_err(|failure| {
                    Failure::new(format!("{}, {depth} in flight: {failure}", recipe.name))
                })?;
                eprintln!("{depth} in flight: {:<12} {:.3} us", recipe.name, sample.0);
                Ok(sample)
            };
            rounds.push(recipes.iter().map(measure).collect::<Result<_>>()?);
        }
        for (index, recipe) in recipes.iter().enumerate() {
            let samples = || rounds.iter().map(move |round| round[index]);
            let ratios = rounds.iter().filter_map(|round| {
                let others = recipes.iter().zip(round).filter(|(recipe, _)| !recipe::shown(&recipe.name).1);
                let peers = others.map(|(_, (cpu, _))| *cpu);
                peers.min_by(f64::total_cmp).map(|best| round[index].0 / best)
            });
            let (cpu, ratio) = (Spread::of(samples().map(|(cpu, _)| cpu)), Spread::of(ratios));
            lines.extend(cpu.map(|cpu| (recipe.name.as_str(), cpu, ratio)));
            let show = |spread: Option<Spread>| spread.map_or_else(String::new, |spread| spread.show());
            println!(
                "{depth:<10} {:<12} {:>24} {:>22} {:>14.0}",
                recipe.name,
                show(cpu),
                show(ratio),
                Spread::of(samples().map(|(_, rate)| rate)).map_or(0.0, |spread| spread.median)
            );
        }
        parts.push(part(settings, depth, lines));
    }
    let Some(page) = &settings.page else { return Ok(()) };
    let how = format!(
        "{} rounds of {:?} after {:?} of warm-up, medians (least–most)",
        settings.runs, settings.window, settings.warm_up
    );
    let facts = page::facts(how, &recipes)?;
    let name = if settings.compress { "fan-out-compressed" } else { "fan-out" };
    Section { name: name.into(), facts, parts }.write(page)
}

/// One depth as a table for the documentation, cheapest first, and as a picture.
fn part(settings: &FanOutSettings, depth: usize, mut lines: Vec<(&str, Spread, Option<Spread>)>) -> Part {
    lines.sort_by(|(_, a, _), (_, b, _)| a.median.total_cmp(&b.median));
    let compressed = if settings.compress { " of JSON, compressed" } else { "" };
    let what = format!(
        "{} subscribers, {} bytes{compressed}, {depth} in flight",
        settings.subscribers, settings.payload_bytes
    );
    let row = |(name, cpu, ratio): &(&str, Spread, Option<Spread>)| {
        vec![recipe::shown(name).0, cpu.show(), ratio.map_or_else(String::new, |ratio| ratio.show())]
    };
    let bar = |(name, cpu, _): &(&str, Spread, Option<Spread>)| {
        let (label, is_ours) = recipe::shown(name);
        Bar { label, spread: *cpu, is_ours }
    };
    let title = format!("Server CPU per delivery, µs: {what}");
    Part {
        heads: vec![what, "µs of server CPU per delivery".into(), "times the best of the others".into()],
        rows: lines.iter().map(row).collect(),
        plot: Plot {
            name: format!("fan-out{}-{depth}", if settings.compress { "-compressed" } else { "" }),
            title,
            bars: lines.iter().map(bar).collect(),
        },
    }
}

/// Microseconds per delivery, and deliveries per second.
fn measure(settings: &FanOutSettings, recipe: &Recipe, depth: usize) -> Result<(f64, f64)> {
    let server = Server::start_beside(recipe, settings.pinning)?;
    let mut audience =
        Audience::gather(&server.target(), settings, depth, Offer::alone_if(recipe.compresses))?;
    audience.listen_until(Instant::now() + settings.warm_up)?;
    let (begin, delivered_before, before) =
        (Instant::now(), audience.delivered, process::cpu_use(server.pid())?);
    audience.listen_until(begin + settings.window)?;
    let after = process::cpu_use(server.pid())?;
    let (elapsed, delivered) = (begin.elapsed(), audience.delivered - delivered_before);
    if delivered == 0 {
        return Err(Failure::new("nothing was delivered inside the measured window"));
    }
    let busy = after.busy.saturating_sub(before.busy);
    Ok((busy.as_secs_f64() * 1e6 / delivered as f64, delivered as f64 / elapsed.as_secs_f64()))
}

/// Room for the number, and then dots; JSON if it is to be compressed.
fn payload(settings: &FanOutSettings) -> Vec<u8> {
    let bytes = settings.payload_bytes.max(NUMBER_BYTES);
    if !settings.compress {
        return vec![b'.'; bytes];
    }
    let mut payload = vec![0; NUMBER_BYTES];
    payload.extend(flight::json(bytes - NUMBER_BYTES));
    payload
}

/// One who listens.
struct Subscriber {
    stream: TcpStream,
    /// What came of a frame that is not complete.
    rest: Vec<u8>,
    /// The number of the publication that must come next.
    next: u64,
}

/// Everybody who listens, and the one who speaks.
struct Audience {
    speaker: TcpStream,
    subscribers: Vec<Subscriber>,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    scratch: Vec<u8>,
    payload: Vec<u8>,
    depth: usize,
    /// Publications that were sent.
    said: u64,
    /// Deliveries of them that have not come.
    owed: usize,
    delivered: u64,
}

impl Audience {
    fn gather(target: &Target, settings: &FanOutSettings, depth: usize, offer: Offer) -> Result<Self> {
        let mut dialer = Dialer::new(target.address);
        let mut open = |path: &str| {
            let mut stream = dialer.dial()?;
            stream.set_read_timeout(Some(PATIENCE)).during("setting a read timeout")?;
            let at = Target { path: path.into(), ..target.clone() };
            let early = handshake::shake(&mut stream, &at, offer)?;
            Ok::<_, Failure>((stream, early))
        };
        let epoll = epoll::create(CreateFlags::CLOEXEC).during("making an epoll")?;
        let mut subscribers = Vec::with_capacity(settings.subscribers);
        for index in 0..settings.subscribers {
            let (stream, rest) = open("/")?;
            stream.set_nonblocking(true).during("making a socket non-blocking")?;
            epoll::add(&epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)
                .during("adding to an epoll")?;
            subscribers.push(Subscriber { stream, rest, next: 0 });
        }
        let (speaker, _) = open("/speak")?;
        Ok(Self {
            speaker,
            subscribers,
            epoll,
            events: Vec::with_capacity(1024),
            scratch: vec![0; 64 << 10],
            payload: payload(settings),
            depth,
            said: 0,
            owed: 0,
            delivered: 0,
        })
    }

    fn listen_until(&mut self, end: Instant) -> Result<()> {
        loop {
            self.speak()?;
            self.hear_all()?;
            if Instant::now() >= end {
                return Ok(());
            }
        }
    }

    fn speak(&mut self) -> Result<()> {
        let mut frames = Vec::new();
        for _ in 0..self.depth {
            self.payload[..NUMBER_BYTES].copy_from_slice(&self.said.to_be_bytes());
            frame::write_masked(&mut frames, Opcode::Binary, *b"key!", &self.payload);
            self.said += 1;
        }
        self.owed = self.depth * self.subscribers.len();
        self.speaker.write_all(&frames).during("speaking")
    }

    fn hear_all(&mut self) -> Result<()> {
        const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let mut deadline = Instant::now() + PATIENCE;
        while self.owed > 0 {
            self.events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&TICK)) {
                Ok(0) if Instant::now() > deadline => {
                    return Err(Failure::new(format!(
                        "{} deliveries did not come within {PATIENCE:?}",
                        self.owed
                    )));
                }
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => deadline = Instant::now() + PATIENCE,
                Err(error) => return Err(error).during("waiting for readiness"),
            }
            for position in 0..self.events.len() {
                let index = self.events[position].data.u64() as usize;
                let heard = self.subscribers[index].hear(&mut self.scratch, self.payload.len())?;
                self.owed = self
                    .owed
                    .checked_sub(heard)
                    .ok_or_else(|| Failure::new("a subscriber heard something that nobody said"))?;
                self.delivered += heard as u64;
            }
        }
        Ok(())
    }
}

impl Subscriber {
    /// Reads once; how many publications that completed.
    fn hear(&mut self, scratch: &mut [u8], payload_bytes: usize) -> Result<usize> {
        let count = match self.stream.read(scratch) {
            Ok(0) => return Err(Failure::new("the server hung up on a subscriber")),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(Failure::new(format!("reading publications: {error}"))),
        };
        if self.rest.is_empty() {
            let (heard, used) = self.take(&scratch[..count], payload_bytes)?;
            self.rest.extend_from_slice(&scratch[used..count]);
            return Ok(heard);
        }
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(&scratch[..count]);
        let (heard, used) = self.take(&all, payload_bytes)?;
        self.rest = all.split_off(used);
        Ok(heard)
    }

    /// How many publications there are, and how many bytes of them.
    fn take(&mut self, bytes: &[u8], payload_bytes: usize) -> Result<(usize, usize)> {
        let (mut heard, mut at) = (0, 0);
        while let Some(head) = frame::Head::parse(&bytes[at..])? {
            let end = at + head.head_bytes + head.payload_bytes as usize;
            let Some(payload) = bytes.get(at + head.head_bytes..end) else { break };
            at = end;
            if head.opcode.is_control() {
                continue;
            }
            let inflated =
                if head.compressed { Some(deflate::inflate(payload, payload_bytes)?) } else { None };
            let payload = inflated.as_deref().unwrap_or(payload);
            let number =
                payload.get(..NUMBER_BYTES).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
            if number != Some(self.next) || payload.len() != payload_bytes {
                return Err(Failure::new(format!(
                    "a subscriber heard {number:?} where {} was due",
                    self.next
                )));
            }
            self.next += 1;
            heard += 1;
        }
        Ok((heard, at))
    }
}
