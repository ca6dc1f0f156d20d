//! What an idle connection costs the server in memory of its own (the kernel's socket buffers are not counted).
//!
//! 1. A rehearsal: some connections come, are used once and go. Scratch buffers, first pages of pools and the like
//!    exist from now on.
//! 2. As many come and stay: they fill again what the rehearsal left free. Now the baseline is read.
//! 3. The crowd comes; each shakes hands, sends one message, gets its echo and is idle. The growth of resident
//!    anonymous memory since the baseline, divided by the crowd, is the figure.
//! 4. All close. What is resident above the state after the rehearsal is what stays.

use std::time::{Duration, Instant};

use crate::connection::{Connection, PATIENCE};
use crate::cores;
use crate::dialer::Dialer;
use crate::failure::{Failure, Result};
use crate::flight::Flight;
use crate::frame::Kind;
use crate::handshake::Offer;
use crate::machine;
use crate::page::{self, Part, Section};
use crate::plot::{Bar, Plot};
use crate::process;
use crate::recipe::{self, Recipe};
use crate::server::Server;
use crate::settings::MemorySettings;
use crate::spread::Spread;

/// Step 1 and 2.
const REHEARSAL: usize = 200;

const PAYLOAD_BYTES: usize = 64;
/// Compressed, as much JSON goes both ways as fills the windows that are usual.
const COMPRESSED_BYTES: usize = 20_000;

/// All in KiB of resident anonymous memory.
#[derive(Clone, Copy, Debug)]
struct Readings {
    started: u64,
    rehearsed: u64,
    baseline: u64,
    full: u64,
    emptied: u64,
}

/// The subcommand `memory`.
pub(crate) fn run(settings: &MemorySettings) -> Result<()> {
    let recipes = recipe::recipes(
        &settings.servers,
        &settings.peers,
        settings.sotong.as_ref(),
        settings.offer,
        settings.tls,
    )?;
    cores::raise_open_files(settings.connections + REHEARSAL + 64)?;
    println!("{}", machine::facts());
    println!(
        "{} connections, one message of {} each, then idle; baseline with {REHEARSAL} others open",
        settings.connections,
        message(settings.offer)
    );
    println!(
        "Resident anonymous memory of the server in KiB; bytes per connection = (full - baseline) / connections."
    );
    println!();
    println!(
        "{:<10} {:>8} {:>10} {:>9} {:>9} {:>9} {:>12} {:>17}",
        "server", "started", "rehearsed", "baseline", "full", "emptied", "stays", "bytes/connection"
    );
    let mut each = Vec::new();
    for recipe in &recipes {
        let readings = measure(settings, recipe)
            .map_err(|failure| Failure::new(format!("{} with idle connections: {failure}", recipe.name)))?;
        let grown = readings.full.saturating_sub(readings.baseline) * 1024;
        println!(
            "{:<10} {:>8} {:>10} {:>9} {:>9} {:>9} {:>12} {:>17}",
            recipe.name,
            readings.started,
            readings.rehearsed,
            readings.baseline,
            readings.full,
            readings.emptied,
            readings.emptied.saturating_sub(readings.rehearsed),
            grown / settings.connections as u64
        );
        each.push((recipe.name.as_str(), grown / settings.connections as u64));
    }
    match &settings.page {
        Some(page) => section(settings, &recipes, each)?.write(page),
        None => Ok(()),
    }
}

/// For the documentation, least first.
fn section(settings: &MemorySettings, recipes: &[Recipe], mut each: Vec<(&str, u64)>) -> Result<Section> {
    each.sort_by_key(|(_, bytes)| *bytes);
    let how =
        format!("{} connections, each used once with {}", settings.connections, message(settings.offer));
    let facts = page::facts(how, recipes)?;
    let rows = each.iter().map(|(name, bytes)| vec![recipe::shown(name).0, bytes.to_string()]).collect();
    let bar = |(name, bytes): &(&str, u64)| {
        let ((label, is_ours), figure) = (recipe::shown(name), *bytes as f64);
        Bar { label, spread: Spread { median: figure, least: figure, most: figure }, is_ours }
    };
    let bars = each.iter().map(bar).collect();
    let name = match settings.offer {
        _ if settings.tls => "memory-wss",
        Offer::Nothing => "memory",
        Offer::Alone => "memory-shared",
        Offer::Windows => "memory-windowed",
    };
    let title = format!("User memory per idle connection, bytes; used with {}", message(settings.offer));
    let part = Part {
        heads: vec!["server".into(), "bytes per idle connection".into()],
        rows,
        plot: Plot { name: name.into(), title, bars },
    };
    Ok(Section { name: name.into(), facts, parts: vec![part] })
}

/// What each connection is used with.
fn message(offer: Offer) -> String {
    match offer {
        Offer::Nothing => format!("{PAYLOAD_BYTES} bytes"),
        Offer::Alone => format!("{COMPRESSED_BYTES} bytes of JSON, compressed without windows"),
        Offer::Windows => format!("{COMPRESSED_BYTES} bytes of JSON, compressed with windows"),
    }
}

fn measure(settings: &MemorySettings, recipe: &Recipe) -> Result<Readings> {
    let server = Server::start_beside(recipe, settings.pinning)?;
    let pid = server.pid();
    let mut crowd = Crowd::new(&server, recipe, settings.offer);
    let started = settled(pid, settings.idle)?;

    // Files are counted beside a connection that was used: a server may open some of its own only then.
    let first = crowd.admit(1)?;
    let files = process::open_files(pid)?.saturating_sub(first.len());
    crowd.dismiss(first)?;
    wait_for_files(pid, files)?;

    let rehearsal = crowd.admit(REHEARSAL)?;
    crowd.dismiss(rehearsal)?;
    wait_for_files(pid, files)?;
    let rehearsed = settled(pid, settings.idle)?;

    let mut all = crowd.admit(REHEARSAL)?;
    let baseline = settled(pid, settings.idle)?;

    all.append(&mut crowd.admit(settings.connections)?);
    let held = process::open_files(pid)?;
    if held < files + all.len() {
        return Err(Failure::new(format!(
            "{} connections are open, but the server holds {held} files",
            all.len()
        )));
    }
    let full = settled(pid, settings.idle)?;

    crowd.dismiss(all)?;
    wait_for_files(pid, files)?;
    let emptied = settled(pid, settings.idle)?;
    Ok(Readings { started, rehearsed, baseline, full, emptied })
}

struct Crowd<'a> {
    server: &'a Server,
    recipe: &'a Recipe,
    dialer: Dialer,
    flight: Flight,
    scratch: Vec<u8>,
}

impl<'a> Crowd<'a> {
    fn new(server: &'a Server, recipe: &'a Recipe, offer: Offer) -> Self {
        let dialer = Dialer::new(server.target().address);
        let flight = match offer {
            Offer::Nothing => Flight::new(Kind::Binary, 1, PAYLOAD_BYTES),
            Offer::Alone => Flight::compressed(Kind::Text, 1, COMPRESSED_BYTES),
            Offer::Windows => Flight::windowed(Kind::Text, 1, COMPRESSED_BYTES),
        };
        Self { server, recipe, dialer, flight, scratch: vec![0; 64 << 10] }
    }

    /// One after the other: what a connection costs while it comes is not what is asked here.
    fn admit(&mut self, count: usize) -> Result<Vec<Connection>> {
        let target = self.server.target();
        (0..count)
            .map(|_| {
                let mut connection =
                    Connection::open(&mut self.dialer, &target, self.recipe.wire, &self.flight)?;
                connection.round_trip(&mut self.scratch, &self.flight)?;
                Ok(connection)
            })
            .collect()
    }

    fn dismiss(&mut self, connections: Vec<Connection>) -> Result<()> {
        connections.into_iter().try_for_each(|connection| connection.close(&mut self.scratch))
    }
}

/// Waits until the server has let go of its sockets.
fn wait_for_files(pid: u32, files: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let open = process::open_files(pid)?;
        if open <= files {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!(
                "the server still holds {} sockets of closed connections",
                open - files
            )));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Anonymous memory after the server had `idle` time to itself, in which it may give memory back.
fn settled(pid: u32, idle: Duration) -> Result<u64> {
    std::thread::sleep(idle);
    process::anonymous_kib(pid)
}
