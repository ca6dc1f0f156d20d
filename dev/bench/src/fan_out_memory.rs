//! What a large publication costs the server while its readers are slow: memory of its own, for many who do not read.
//!
//! 1. The subscribers come. Each hears a small publication, so that what a first one makes exists. Now the baseline is read.
//! 2. A large one is published, and nobody reads: what the two kernels do not take waits in the server. The growth of
//!    resident anonymous memory, without the message itself, divided by the subscribers, is the figure.
//! 3. Some read, and check what they get; then all are gone. What is resident above the baseline is what stays.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::connection::PATIENCE;
use crate::cores;
use crate::dialer::{Dialer, Target};
use crate::failure::{Failure, Result, While};
use crate::frame::{self, Opcode};
use crate::handshake::{self, Offer};
use crate::machine;
use crate::process;
use crate::recipe::{self, Recipe};
use crate::server::Server;
use crate::settings::FanOutMemorySettings;

/// Of so many subscribers one reads the large publication at last: all of it for all would be ten gigabytes.
const READS_ONE_IN: usize = 50;
const SMALL: &[u8] = b"is everybody here?";
/// Memory that grows less between two readings has settled.
const SETTLED_KIB: u64 = 64;

/// All in KiB of resident anonymous memory.
struct Readings {
    baseline: u64,
    full: u64,
    emptied: u64,
}

/// The subcommand `fan-out-memory`.
pub(crate) fn run(settings: &FanOutMemorySettings) -> Result<()> {
    let recipes = recipe::fan_out_recipes(false, false, &settings.peers)?;
    cores::raise_open_files(settings.subscribers + 64)?;
    println!("{}", machine::facts());
    println!(
        "{} subscribers that do not read, one publication of {} bytes",
        settings.subscribers, settings.payload_bytes
    );
    println!(
        "Resident anonymous memory of the server in KiB; bytes each = (full - baseline - message) / subscribers.\n"
    );
    println!("{:<12} {:>10} {:>10} {:>10} {:>12}", "server", "baseline", "full", "emptied", "bytes each");
    for recipe in &recipes {
        let readings = measure(settings, recipe)
            .map_err(|failure| Failure::new(format!("{}: {failure}", recipe.name)))?;
        let grown = (readings.full as f64 - readings.baseline as f64) * 1024.0;
        println!(
            "{:<12} {:>10} {:>10} {:>10} {:>12.0}",
            recipe.name,
            readings.baseline,
            readings.full,
            readings.emptied,
            (grown - settings.payload_bytes as f64) / settings.subscribers as f64
        );
    }
    Ok(())
}

fn measure(settings: &FanOutMemorySettings, recipe: &Recipe) -> Result<Readings> {
    let server = Server::start(recipe)?;
    let target = server.target();
    let mut dialer = Dialer::new(target.address);
    let mut open = |path: &str| {
        let mut stream = dialer.dial()?;
        stream.set_read_timeout(Some(PATIENCE)).during("setting a read timeout")?;
        let early =
            handshake::shake(&mut stream, &Target { path: path.into(), ..target.clone() }, Offer::Nothing)?;
        if early.is_empty() { Ok(stream) } else { Err(Failure::new("something came before it was said")) }
    };
    let mut subscribers: Vec<TcpStream> =
        (0..settings.subscribers).map(|_| open("/")).collect::<Result<_>>()?;
    let mut speaker = open("/speak")?;

    say(&mut speaker, SMALL)?;
    let mut scratch = vec![0; 64 << 10];
    for subscriber in &mut subscribers {
        hear(subscriber, SMALL, &mut scratch)?;
    }
    let baseline = settled(server.pid(), settings.idle)?;

    let message: Vec<u8> = (0..settings.payload_bytes).map(|at| (at % 251) as u8).collect();
    say(&mut speaker, &message)?;
    let full = settled(server.pid(), settings.idle)?;

    for subscriber in subscribers.iter_mut().step_by(READS_ONE_IN) {
        hear(subscriber, &message, &mut scratch)?;
    }
    drop(subscribers);
    let emptied = settled(server.pid(), settings.idle)?;
    Ok(Readings { baseline, full, emptied })
}

fn say(speaker: &mut TcpStream, payload: &[u8]) -> Result<()> {
    let mut frames = Vec::new();
    frame::write_masked(&mut frames, Opcode::Binary, *b"key!", payload);
    speaker.write_all(&frames).during("speaking")
}

/// Reads one message, which has to be `expected`.
fn hear(subscriber: &mut TcpStream, expected: &[u8], scratch: &mut [u8]) -> Result<()> {
    let mut head_bytes = Vec::new();
    let head = loop {
        if let Some(head) = frame::Head::parse(&head_bytes)? {
            break head;
        }
        let mut byte = [0];
        subscriber.read_exact(&mut byte).during("reading a head")?;
        head_bytes.extend_from_slice(&byte);
    };
    if head.payload_bytes != expected.len() as u64 {
        return Err(Failure::new(format!("{} bytes came for {}", head.payload_bytes, expected.len())));
    }
    for expected in expected.chunks(scratch.len()) {
        let part = &mut scratch[..expected.len()];
        subscriber.read_exact(part).during("reading a publication")?;
        if part != expected {
            return Err(Failure::new("a subscriber got something else than was said"));
        }
    }
    Ok(())
}

/// Anonymous memory when it grows no more.
fn settled(pid: u32, idle: Duration) -> Result<u64> {
    let deadline = Instant::now() + PATIENCE;
    let mut last = process::anonymous_kib(pid)?;
    loop {
        std::thread::sleep(idle);
        let now = process::anonymous_kib(pid)?;
        if now.abs_diff(last) <= SETTLED_KIB || Instant::now() > deadline {
            return Ok(now);
        }
        last = now;
    }
}
