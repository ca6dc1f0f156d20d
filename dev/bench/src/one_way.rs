//! CPU per message where messages go one way: streamed in and counted (`receive`), or sent by one task in a loop (`send`).
//! Every server once per round, one right after the other.
//!
//! What is compared is the difference to the floor, in nanoseconds: a message costs next to nothing where hundreds of them
//! share a system call, so that a ratio would be about the kernel's share alone.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::machine;
use crate::one_way_load::Streams;
use crate::one_way_server::{TEXT, Way};
use crate::page::{self, Part, Section};
use crate::plot::{Bar, Plot};
use crate::process::{self, Calls};
use crate::recipe::{self, Recipe};
use crate::server::Server;
use crate::settings::OneWaySettings;
use crate::spread::Spread;

/// How long system calls are counted, after what is measured.
const COUNTING: Duration = Duration::from_millis(300);

/// One server, once.
#[derive(Clone, Copy)]
struct Sample {
    /// Nanoseconds of server CPU per message.
    cpu: f64,
    messages_per_second: f64,
    /// Bytes on the wire for each of the server's system calls, if they could be counted.
    call_bytes: Option<f64>,
}

/// One server in all rounds.
struct Line<'a> {
    name: &'a str,
    cpu: Spread,
    /// Nanoseconds more than the floor in the same round.
    above: Spread,
    rate: Spread,
    call_bytes: Option<Spread>,
}

/// The subcommands `receive` and `send`.
pub(crate) fn run(settings: &OneWaySettings) -> Result<()> {
    let recipes = recipe::one_way_recipes(settings.way, settings.others, &settings.peers)?;
    println!("{}", machine::facts());
    println!(
        "{}, {} runs of {:?} after {:?} of warm-up\n",
        what(settings),
        settings.runs,
        settings.window,
        settings.warm_up
    );
    let head = ["ns/message", "above raw", "messages/s", "bytes/call"];
    println!("{:<24} {:>24} {:>24} {:>14} {:>12}", "server", head[0], head[1], head[2], head[3]);
    let mut rounds: Vec<Vec<Sample>> = Vec::with_capacity(settings.runs);
    for _ in 0..settings.runs {
        let round = recipes.iter().map(|recipe| {
            let sample = measure(settings, recipe)
                .map_err(|failure| Failure::new(format!("{}: {failure}", recipe.name)))?;
            eprintln!("{:<24} {:.1} ns", recipe.name, sample.cpu);
            Ok(sample)
        });
        rounds.push(round.collect::<Result<_>>()?);
    }
    let lines: Vec<Line<'_>> =
        recipes.iter().enumerate().filter_map(|(at, each)| line(each, at, &rounds)).collect();
    for line in &lines {
        println!(
            "{:<24} {:>24} {:>24} {:>14.0} {:>12}",
            line.name,
            line.cpu.show(),
            line.above.show(),
            line.rate.median,
            line.call_bytes.map_or_else(|| "-".into(), |bytes| bytes.show_median())
        );
    }
    match &settings.page {
        Some(page) => section(settings, &recipes, lines)?.write(page),
        None => Ok(()),
    }
}

fn what(settings: &OneWaySettings) -> String {
    let connections = match settings.connections {
        1 => "one connection".into(),
        many => format!("{many} connections"),
    };
    let done = match settings.way {
        Way::Receive => "received",
        Way::Send => "sent",
    };
    format!("text messages of {} bytes, {done} on {connections}", TEXT.len())
}

fn line<'a>(recipe: &'a Recipe, at: usize, rounds: &[Vec<Sample>]) -> Option<Line<'a>> {
    let of = |what: &dyn Fn(&Sample) -> f64| Spread::of(rounds.iter().map(|round| what(&round[at])));
    Some(Line {
        name: &recipe.name,
        cpu: of(&|sample| sample.cpu)?,
        above: Spread::of(rounds.iter().map(|round| round[at].cpu - round[0].cpu))?,
        rate: of(&|sample| sample.messages_per_second)?,
        call_bytes: Spread::of(rounds.iter().filter_map(|round| round[at].call_bytes)),
    })
}

fn measure(settings: &OneWaySettings, recipe: &Recipe) -> Result<Sample> {
    let server = Server::start_beside(recipe, settings.pinning)?;
    let mut streams = Streams::connect(&server.target(), recipe.wire, settings.way, settings.connections)?;
    streams.run_for(settings.warm_up)?;
    streams.settle()?;
    let (begin, messages_before) = (Instant::now(), streams.messages());
    let before = process::cpu_use(server.pid())?.busy;
    streams.run_for(settings.window)?;
    streams.settle()?;
    let after = process::cpu_use(server.pid())?.busy;
    let (elapsed, messages) = (begin.elapsed(), (streams.messages() - messages_before) as f64);
    let call_bytes = match settings.way {
        Way::Receive => None,
        Way::Send => count(&mut streams, server.pid())?,
    };
    Ok(Sample {
        cpu: after.saturating_sub(before).as_secs_f64() * 1e9 / messages,
        messages_per_second: messages / elapsed.as_secs_f64(),
        call_bytes,
    })
}

/// What goes over the wire for each system call of the server, whatever the call is for.
fn count(streams: &mut Streams, pid: u32) -> Result<Option<f64>> {
    let Some(mut calls) = Calls::count(pid, COUNTING)? else { return Ok(None) };
    let (begin, bytes_before) = (Instant::now(), streams.bytes());
    while !calls.is_over()? {
        streams.run_for(Duration::from_millis(20))?;
    }
    // The counting began a little later and ended a little earlier than this: rates are compared, not sums.
    let rate = (streams.bytes() - bytes_before) as f64 / begin.elapsed().as_secs_f64();
    Ok(calls.counted()?.map(|calls| rate * COUNTING.as_secs_f64() / calls as f64))
}

/// For the documentation, cheapest first.
fn section(settings: &OneWaySettings, recipes: &[Recipe], mut lines: Vec<Line<'_>>) -> Result<Section> {
    lines.sort_by(|a, b| a.cpu.median.total_cmp(&b.cpu.median));
    let how = format!(
        "{} rounds of {:?} after {:?} of warm-up, medians (least–most)",
        settings.runs, settings.window, settings.warm_up
    );
    let facts = page::facts(how, recipes)?;
    let is_send = settings.way == Way::Send;
    let shown = |name: &str| match (name, settings.way) {
        ("raw", Way::Receive) => ("raw epoll reader".into(), false),
        ("raw", Way::Send) => ("raw epoll writer".into(), false),
        _ => recipe::shown(name),
    };
    let row = |line: &Line<'_>| {
        let mut row = vec![shown(line.name).0, line.cpu.show(), line.above.show()];
        let calls = || line.call_bytes.map_or_else(|| "not counted".into(), |bytes| bytes.show_median());
        row.extend(is_send.then(calls));
        row
    };
    let bar = |line: &Line<'_>| {
        let (label, is_ours) = shown(line.name);
        Bar { label, spread: line.cpu, is_ours }
    };
    let mut heads = vec![what(settings), "ns of server CPU per message".into(), "ns more than raw".into()];
    heads.extend(is_send.then(|| "bytes per system call".into()));
    let name = settings.way.word().to_string();
    let plot = Plot {
        name: name.clone(),
        title: format!("Server CPU per message, ns: {}", what(settings)),
        bars: lines.iter().map(bar).collect(),
    };
    Ok(Section { name, facts, parts: vec![Part { heads, rows: lines.iter().map(row).collect(), plot }] })
}
