//! `sotong bench`: a load tester for any WebSocket server.
//!
//! ```text
//!   settings.rs ──► mod.rs ── limits.rs: what would stop it        one thread of several:
//!                     │                                            worker.rs: opens, waits, closes
//!                     ├──── Order: when is measured ──────────────►   │  metronome.rs: when something is due
//!                     │◄─── Note: seconds, at the end a tally ─────   └► crew.rs: its connections
//!                     │                                                   payload.rs  flow.rs  pace.rs  (pure)
//!                     │                                                   tally.rs, fault.rs: what is counted
//!                     └► report.rs ──► text.rs, page.rs with chart.rs, JSON
//! ```
//!
//! At a rate the latency of a message begins when it was due, not when it could be sent: a server that stalls cannot
//! hide it by not being asked meanwhile ("coordinated omission").

mod chart;
mod crew;
mod dial;
mod fault;
mod flow;
mod limits;
mod machine;
mod metronome;
mod pace;
mod page;
mod payload;
mod progress;
mod report;
mod settings;
mod tally;
mod text;
mod worker;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sotong::{Client, CloseCode};
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, timeout};

use crew::{Clock, Form, Gauges, Note, Plan};
use machine::Machine;
use metronome::Metronome;
use payload::Payload;
use progress::Progress;
use report::{Asked, Connections, Measured, Reached, Report, Spread};
pub use settings::{Exchange, Kind, Load, Settings, Shown, Sizes, Target};
use tally::{Tally, Timeline, Window};
use worker::{Job, Order};

use crate::connect::{self, Trouble, escape};

/// How often the line about progress is written.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// After Ctrl-C the last answers are waited for so long.
const HURRY: Duration = Duration::from_millis(500);

/// Why a run did not end well.
#[derive(Debug)]
pub enum Unfit {
    /// The server cannot be reached, or something typed cannot be meant.
    Trouble(Trouble),
    /// A limit of this machine is in the way.
    Limit(String),
    /// There was a run, and nothing was measured. The result has been told.
    Nothing(String),
    /// The result, or a thread's start, has failed.
    Io(String),
    /// Stopped for the second time.
    Interrupted,
}

impl From<Trouble> for Unfit {
    fn from(trouble: Trouble) -> Unfit {
        Unfit::Trouble(trouble)
    }
}

/// Measures, and tells the result. The first message from `stops` ends it early and still tells; the second one does
/// not.
///
/// # Errors
/// When there is nothing to tell, or it cannot be told.
pub async fn run(settings: Settings, mut stops: mpsc::Receiver<()>) -> Result<(), Unfit> {
    let threads = threads(&settings);
    if let Some(line) = limits::files(settings.connections, threads).map_err(|way| Unfit::Limit(way.0))? {
        tell(&settings, &line);
    }
    let payload = match &settings.message {
        Some(message) => Payload::given(settings.kind, message),
        None => Payload::made(settings.kind, settings.sizes.clone()),
    };
    let client = dial::client(&settings, payload.bytes_max())?;
    let page = create_page(&settings)?;
    let reached = tokio::select! {
        reached = probe(&client, &settings) => reached?,
        Some(()) = stops.recv() => return Err(Unfit::Interrupted),
    };
    limits::ports(settings.connections, reached.0).map_err(|way| Unfit::Limit(way.0))?;
    let run = Run::start(&settings, threads, client, payload)?;
    let report = run.finish(&settings, reached.1, &mut stops).await?;
    show(&settings, &report)?;
    if let Some((mut file, path)) = page {
        let text = page::page(&report);
        let written = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
        written.map_err(|error| no_page(path, &error))?;
    }
    match report.is_empty() && !report.interrupted {
        true => Err(Unfit::Nothing(report.why_empty())),
        false => Ok(()),
    }
}

/// Before anything starts: a result that cannot be kept is not worth the time. What stands in the file stays until
/// there is a new result.
fn create_page(settings: &Settings) -> Result<Option<(File, &Path)>, Unfit> {
    let Some(path) = &settings.shown.html else { return Ok(None) };
    let options = File::options().write(true).create(true).truncate(false).open(path);
    let file = options.map_err(|error| no_page(path, &error))?;
    Ok(Some((file, path)))
}

fn no_page(path: &Path, error: &io::Error) -> Unfit {
    Unfit::Io(format!("--html {}: cannot be written: {error}", path.display()))
}

/// Half the cores: the server may need the others, and one thread is enough for most.
fn threads(settings: &Settings) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    settings.threads.unwrap_or((cores / 2).max(1)).min(settings.connections)
}

fn tell(settings: &Settings, line: &str) {
    if !settings.shown.quiet {
        let _ = writeln!(io::stderr(), "sotong bench: {line}");
    }
}

/// Connects once before anything starts: what keeps one away would keep all away.
async fn probe(
    client: &Client,
    settings: &Settings,
) -> Result<(Option<std::net::SocketAddr>, Reached), Trouble> {
    let socket = client.connect(&settings.target.url).await.map_err(|error| connect::trouble(&error))?;
    let sender = socket.sender();
    let header = |wanted: &str| {
        let headers = sender.response()?.headers();
        let mut values = headers.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        values.next().map(|(_, value)| escape::bytes(value))
    };
    let reached = Reached {
        url: report::shown_url(&settings.target.url),
        address: sender.peer_addr().map(|address| address.to_string()),
        server: header("server"),
        extensions: header("sec-websocket-extensions"),
        protocol: sender.protocol().map(str::to_owned),
    };
    sender.close(CloseCode::NORMAL, "");
    let _ = timeout(dial::CLOSE_TIMEOUT, sender.closed()).await;
    Ok((sender.peer_addr(), reached))
}

/// In event form a connection does not read while much of its own waits to be sent: that bounds what a callback may
/// answer. Against a server that does the same both would wait for each other for ever, so it is for what is small.
fn form(exchange: Exchange, bytes: usize) -> Form {
    match exchange {
        Exchange::Push => Form::Pull,
        Exchange::Echo | Exchange::Reply if bytes > crew::SMALL_BYTES_MAX => Form::Pull,
        _ => Form::Events,
    }
}

/// A run that goes on.
struct Run {
    plan: Arc<Plan>,
    threads: usize,
    orders: watch::Sender<Order>,
    notes: mpsc::UnboundedReceiver<Note>,
    timeline: Timeline,
    tally: Tally,
    ready: usize,
    done: usize,
    interrupted: bool,
    connected_after: Duration,
}

impl Run {
    fn start(settings: &Settings, threads: usize, client: Client, payload: Payload) -> Result<Run, Unfit> {
        let plan = Arc::new(Plan {
            exchange: settings.exchange,
            load: settings.load,
            form: form(settings.exchange, payload.bytes_max()),
            connections: settings.connections,
            payload,
            is_given: settings.message.is_some(),
            answer_timeout: settings.answer_timeout,
            clock: Clock::start(),
            gauges: Gauges::default(),
        });
        let (orders, listens) =
            watch::channel(Order { window: Window::AHEAD, patience: settings.answer_timeout });
        let (tells, notes) = mpsc::unbounded_channel();
        let url: Arc<str> = settings.target.url.as_str().into();
        for number in 0..threads {
            let job = Job {
                plan: Arc::clone(&plan),
                client: client.clone(),
                url: Arc::clone(&url),
                indices: (number..settings.connections).step_by(threads).collect(),
                ramp: settings.ramp,
                orders: listens.clone(),
                notes: tells.clone(),
                metronome: match settings.load {
                    Load::Rate(_) => Some(Metronome::start().map_err(io_failed)?),
                    Load::InFlight(_) => None,
                },
            };
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io_failed)?;
            let thread = thread::Builder::new().name(format!("load-{number}"));
            thread.spawn(move || runtime.block_on(worker::work(job))).map_err(io_failed)?;
        }
        Ok(Run {
            plan,
            threads,
            orders,
            notes,
            timeline: Timeline::new(threads),
            tally: Tally::new(),
            ready: 0,
            done: 0,
            interrupted: false,
            connected_after: Duration::ZERO,
        })
    }

    fn window(&self) -> Window {
        self.orders.borrow().window
    }

    /// Ends the window, or what would have become one, now.
    fn end_now(&self, patience: Duration) {
        let now = self.plan.clock.now();
        self.orders.send_modify(|order| {
            order.window.from = order.window.from.min(now);
            order.window.until = order.window.until.min(now);
            order.patience = order.patience.min(patience);
        });
    }

    async fn finish(
        mut self,
        settings: &Settings,
        reached: Reached,
        stops: &mut mpsc::Receiver<()>,
    ) -> Result<Report, Unfit> {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut progress = Progress::new(settings.shown.quiet);
        let mut ticks = interval(PROGRESS_INTERVAL);
        while self.done < self.threads {
            tokio::select! {
                note = self.notes.recv() => match note {
                    Some(note) => self.note(settings, note),
                    None => return Err(Unfit::Io("a thread has ended without a word".to_owned())),
                },
                _ = ticks.tick() => {
                    let (window, now) = (self.window(), self.plan.clock.now());
                    let unit = settings.exchange.unit();
                    progress.show(&self.plan.gauges, window, now, self.timeline.last(), unit);
                    self.look_for_nobody(settings);
                }
                Some(()) = stops.recv() => {
                    if self.interrupted {
                        return Err(Unfit::Interrupted);
                    }
                    self.interrupted = true;
                    self.end_now(HURRY);
                }
            }
        }
        progress.end();
        Ok(self.report(settings, reached, started))
    }

    fn note(&mut self, settings: &Settings, note: Note) {
        match note {
            Note::Row(row) => self.timeline.add(row),
            Note::Done(tally) => {
                self.done += 1;
                self.tally.add(*tally);
            }
            Note::Ready => {
                self.ready += 1;
                if self.ready < self.threads || self.interrupted {
                    return;
                }
                let clock = self.plan.clock;
                self.connected_after = Duration::from_nanos(clock.now());
                let mut ramp = Duration::ZERO;
                if settings.exchange == Exchange::Connect {
                    ramp = settings.ramp;
                }
                let from = clock.now() + (ramp + settings.warm_up).as_nanos() as u64;
                let until = from + settings.duration.as_nanos() as u64;
                self.orders.send_modify(|order| order.window = Window { from, until });
            }
        }
    }

    /// When all connections have ended there is nothing to wait for.
    fn look_for_nobody(&self, settings: &Settings) {
        let is_ready = self.ready == self.threads && settings.exchange != Exchange::Connect;
        if is_ready && self.plan.gauges.open.load(Ordering::Relaxed) == 0 {
            self.end_now(Duration::ZERO);
        }
    }

    fn report(self, settings: &Settings, reached: Reached, started: u64) -> Report {
        let length = self.window().length();
        let Tally { latency, lateness, connecting, counts, faults, foreign_example, .. } = self.tally;
        let seconds = self.timeline.finish(length);
        let mut report = Report {
            shape: Report::SHAPE,
            version: env!("CARGO_PKG_VERSION"),
            started_unix_seconds: started,
            interrupted: self.interrupted,
            machine: Machine::look(),
            target: reached,
            asked: asked(settings, self.threads),
            window: Measured::of(&seconds, length as f64 / tally::SECOND as f64),
            latency: Spread::of(&latency),
            lateness: Spread::of(&lateness).filter(|_| matches!(settings.load, Load::Rate(_))),
            connections: Connections {
                opened: connecting.len(),
                failed: self.plan.gauges.failed.load(Ordering::Relaxed),
                seconds: self.connected_after.as_secs_f64(),
                latency: Spread::of(&connecting),
            },
            messages: counts,
            faults: faults.into_kinds(),
            foreign_example,
            seconds,
            notes: Vec::new(),
        };
        report.find_notes();
        report
    }
}

fn asked(settings: &Settings, threads: usize) -> Asked {
    let has_load = !matches!(settings.exchange, Exchange::Receive | Exchange::Connect);
    let is_flight = has_load && settings.exchange.has_answers();
    Asked {
        exchange: settings.exchange.name(),
        unit: settings.exchange.unit(),
        connections: settings.connections,
        in_flight: match settings.load {
            Load::InFlight(count) if is_flight => Some(count),
            _ => None,
        },
        rate: match settings.load {
            Load::Rate(rate) if has_load => Some(rate),
            _ => None,
        },
        kind: match settings.kind {
            Kind::Text => "text",
            Kind::Binary => "binary",
        },
        bytes: match (&settings.message, &settings.sizes) {
            (Some(message), _) => message.len().to_string(),
            (None, Sizes::Range(first, last)) => format!("{first}-{last}"),
            (None, Sizes::Turns(sizes)) => sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
        },
        duration_seconds: settings.duration.as_secs_f64(),
        warm_up_seconds: settings.warm_up.as_secs_f64(),
        ramp_seconds: settings.ramp.as_secs_f64(),
        threads,
    }
}

/// Tells the result.
fn show(settings: &Settings, report: &Report) -> Result<(), Unfit> {
    let shown = match settings.shown.json {
        true => serde_json::to_string_pretty(report).map_err(io_failed)? + "\n",
        false => text::text(report),
    };
    let mut stdout = io::stdout().lock();
    match stdout.write_all(shown.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Unfit::Io(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

fn io_failed(error: impl std::fmt::Display) -> Unfit {
    Unfit::Io(error.to_string())
}
