//! CPU per message: every server in every cell, interleaved, each against the floor that was measured beside it.

use std::time::Duration;

use crate::cell::Cell;
use crate::cores::{self, Pinning};
use crate::failure::{Failure, Result};
use crate::handshake::Offer;
use crate::load::{self, Load};
use crate::machine;
use crate::page::{self, Part, Section};
use crate::plot::{Bar, Plot};
use crate::process;
use crate::recipe::{self, Recipe, Threads};
use crate::server::Server;
use crate::settings::RunSettings;
use crate::spread::Spread;

/// One server in one cell, once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Microseconds of server CPU per echoed message.
    pub(crate) cpu: f64,
    messages_per_second: f64,
    wire_bytes: f64,
    /// Shares of the window: the server on its core; the server and the load generator ready, but kept from theirs.
    busy: f64,
    waited: f64,
    load_waited: f64,
}

/// Whether something else ran on one of the two cores: then caches were lost and batches changed their size.
fn is_disturbed(settings: &RunSettings, recipe: &Recipe, sample: &Sample) -> bool {
    let server = if recipe.threads == Threads::One { sample.waited } else { 0.0 };
    server.max(sample.load_waited) > settings.waited_max
}

/// The subcommand `run`.
pub(crate) fn run(settings: &RunSettings) -> Result<()> {
    let offer = Offer::alone_if(settings.compress);
    let recipes =
        recipe::recipes(&settings.servers, &settings.peers, settings.sotong.as_ref(), offer, settings.tls)?;
    let most = settings.cells.iter().map(|cell| cell.connections).max().unwrap_or(0);
    cores::raise_open_files(most + 64)?;
    print_heading(settings, &recipes);
    let mut parts = Vec::new();

    for &cell in &settings.cells {
        let mut samples = vec![Vec::with_capacity(settings.runs); recipes.len()];
        // As many rounds may be thrown away as are wanted; after that, disturbed ones are taken, and the table shows it.
        let mut spare = settings.runs;
        while samples[0].len() < settings.runs {
            let round = measure_round(settings, &recipes, cell)?;
            let mut both = recipes.iter().zip(&round);
            if spare > 0 && both.any(|(recipe, sample)| is_disturbed(settings, recipe, sample)) {
                spare -= 1;
                eprintln!("{cell}: disturbed by other work on the two cores, once more");
                continue;
            }
            samples.iter_mut().zip(round).for_each(|(samples, sample)| samples.push(sample));
        }
        print_cell(cell, &recipes, &samples);
        parts.push(part(settings, cell, &recipes, &samples));
    }
    match &settings.page {
        Some(page) => {
            Section { name: settings.subject().into(), facts: facts(settings, &recipes)?, parts }.write(page)
        }
        None => Ok(()),
    }
}

/// What stands above the tables.
pub(crate) fn facts(settings: &RunSettings, recipes: &[Recipe]) -> Result<Vec<String>> {
    let how = format!(
        "{} rounds of {:?} after {:?} of warm-up, {} messages, medians (least–most)",
        settings.runs,
        settings.window,
        settings.warm_up,
        settings.kind.word()
    );
    page::facts(how, recipes)
}

/// The cell as a table for the documentation, cheapest first, and as a picture.
fn part(settings: &RunSettings, cell: Cell, recipes: &[Recipe], samples: &[Vec<Sample>]) -> Part {
    let floor = floor(recipes);
    let mut lines: Vec<(Bar, Vec<String>)> = Vec::new();
    for (recipe, own) in recipes.iter().zip(samples) {
        let spread = |of: &dyn Fn(&Sample) -> f64| Spread::of(own.iter().map(of));
        let ratios = own.iter().zip(&samples[floor]).map(|(sample, floor)| sample.cpu / floor.cpu);
        let Some((cpu, ratio)) = spread(&|sample| sample.cpu).zip(Spread::of(ratios)) else { continue };
        let (label, is_ours) = recipe::shown(&recipe.name);
        let mut row = vec![label.clone(), ratio.show(), cpu.show()];
        if settings.compress {
            row.extend(spread(&|sample| sample.wire_bytes).map(|bytes| format!("{:.0}", bytes.median)));
        }
        lines.push((Bar { label, spread: ratio, is_ours }, row));
    }
    lines.sort_by(|(a, _), (b, _)| a.spread.median.total_cmp(&b.spread.median));
    let (bars, rows) = lines.into_iter().unzip();
    let Cell { connections, depth, payload_bytes } = cell;
    let kind = match (settings.compress, settings.tls) {
        (true, _) => "JSON, compressed".into(),
        (false, true) => format!("{}, TLS", settings.kind.word()),
        (false, false) => settings.kind.word().into(),
    };
    let what = format!("{connections} connections × {depth} in flight × {payload_bytes} bytes, {kind}");
    let floor = recipe::shown(&recipes[floor].name).0;
    let mut heads = vec![what.clone(), format!("times {floor}"), "µs of server CPU per message".into()];
    heads.extend(settings.compress.then(|| "bytes of an echo".into()));
    let name = format!("{}-{cell}", settings.subject());
    Part {
        heads,
        rows,
        plot: Plot { name, title: format!("Server CPU per message, times {floor}: {what}"), bars },
    }
}

/// Each server once, one right after the other.
fn measure_round(settings: &RunSettings, recipes: &[Recipe], cell: Cell) -> Result<Vec<Sample>> {
    let measure_one = |recipe: &Recipe| {
        let sample = measure(settings, recipe, cell)
            .map_err(|failure| Failure::new(format!("{} in {cell}: {failure}", recipe.name)))?;
        eprintln!(
            "{cell}: {:<10} {:.3} us, server waited {:.1} %, load {:.1} %",
            recipe.name,
            sample.cpu,
            sample.waited * 100.0,
            sample.load_waited * 100.0
        );
        Ok(sample)
    };
    recipes.iter().map(measure_one).collect()
}

/// A new process for each sample: no server profits or suffers from what it did before.
pub(crate) fn measure(settings: &RunSettings, recipe: &Recipe, cell: Cell) -> Result<Sample> {
    let server = Server::start_beside(recipe, settings.pinning)?;
    let load = Load {
        target: server.target(),
        wire: recipe.wire,
        kind: settings.kind,
        cell,
        compress: settings.compress,
        warm_up: settings.warm_up,
        window: settings.window,
    };
    let pids = [server.pid(), std::process::id()];
    let measured = load::run(&load, || Ok([process::cpu_use(pids[0])?, process::cpu_use(pids[1])?]))?;
    let ([before, load_before], [after, load_after]) = (measured.before, measured.after);
    let (messages, seconds) = (measured.messages as f64, measured.elapsed.as_secs_f64());
    let busy = after.busy.saturating_sub(before.busy).as_secs_f64();
    let share = |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64() / seconds;
    Ok(Sample {
        cpu: busy * 1e6 / messages,
        messages_per_second: messages / seconds,
        wire_bytes: measured.wire_bytes,
        busy: busy / seconds,
        waited: share(before.waited, after.waited),
        load_waited: share(load_before.waited, load_after.waited),
    })
}

fn print_heading(settings: &RunSettings, recipes: &[Recipe]) {
    println!("{}", machine::facts());
    println!(
        "{} runs of {:?} after {:?} of warm-up, {} messages, server {}",
        settings.runs,
        settings.window,
        settings.warm_up,
        settings.kind.word(),
        match settings.pinning {
            Pinning::Cores { server, load } => format!("on core {server}, load on core {load}"),
            Pinning::Free => "and load not pinned".into(),
        }
    );
    if cfg!(debug_assertions) {
        println!("This harness is a debug build: its raw server is slower than it should be.");
    }
    println!("us/message: server CPU, user and system. Medians, least and most in brackets.");
    println!(
        "busy: the server on its core. waited: server / load ready, but kept from its core by something else."
    );
    println!();
    println!(
        "{:<14} {:<10} {:>24} {:>22} {:>12} {:>6} {:>13}",
        "cell",
        "server",
        "us/message",
        format!("times {}", recipes[floor(recipes)].name),
        "messages/s",
        "busy",
        "waited"
    );
}

fn print_cell(cell: Cell, recipes: &[Recipe], samples: &[Vec<Sample>]) {
    let floor = &samples[floor(recipes)];
    for (recipe, samples) in recipes.iter().zip(samples) {
        let median =
            |of: fn(&Sample) -> f64| Spread::of(samples.iter().map(of)).map_or(0.0, |spread| spread.median);
        let show = |spread: Option<Spread>| spread.map_or_else(String::new, |spread| spread.show());
        // Each ratio is of two neighbours in time, so that what slows the machine for a while slows both.
        let ratios = samples.iter().zip(floor).map(|(sample, floor)| sample.cpu / floor.cpu);
        println!(
            "{:<14} {:<10} {:>24} {:>22} {:>12.0} {:>4.0} % {:>5.1} / {:.1} %",
            cell,
            recipe.name,
            show(Spread::of(samples.iter().map(|sample| sample.cpu))),
            show(Spread::of(ratios)),
            median(|sample| sample.messages_per_second),
            median(|sample| sample.busy) * 100.0,
            median(|sample| sample.waited) * 100.0,
            median(|sample| sample.load_waited) * 100.0
        );
    }
}

/// What the others are compared with: `raw`, or the first when it is left out.
fn floor(recipes: &[Recipe]) -> usize {
    recipes.iter().position(|recipe| recipe.name == "raw").unwrap_or(0)
}
