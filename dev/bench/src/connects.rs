//! CPU per connection: connecting with the handshake, and closing, apart. One connection after the other is opened until a
//! batch stands, then each is closed. Every server once per round, one right after the other.

use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::dialer::Dialer;
use crate::echo_reader::Wire;
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
use crate::settings::ConnectsSettings;
use crate::spread::Spread;

/// How many connections are opened before they are closed: so many that the two readings of the server's CPU time beside
/// them do not count, and far fewer than any server lets in.
const BATCH: u64 = 64;

/// What a floor, which knows no handshake, is given to echo instead: as many bytes as a request's head has (158 of them),
/// and an answer's (129).
const HEAD_BYTES: usize = 136;

/// Microseconds of server CPU per connection.
#[derive(Clone, Copy)]
struct Cost {
    open: f64,
    close: f64,
}

/// A server's costs in all rounds.
struct Line<'a> {
    name: &'a str,
    open: Spread,
    /// `open` beside that of the first server in the same round.
    ratio: Spread,
    close: Spread,
}

/// The subcommand `connects`.
pub(crate) fn run(settings: &ConnectsSettings) -> Result<()> {
    let recipes = recipe::recipes(
        &settings.servers,
        &settings.peers,
        settings.sotong.as_ref(),
        Offer::Nothing,
        settings.tls,
    )?;
    println!("{}", machine::facts());
    println!(
        "{} runs of {:?} after {:?} of warm-up; {BATCH} connections are opened one at a time, then closed",
        settings.runs, settings.window, settings.warm_up
    );
    let beside = format!("times {}", recipes[0].name);
    println!("{:<22} {:>24} {beside:>22} {:>24}", "server", "us to open", "us to close");
    let mut rounds: Vec<Vec<Cost>> = Vec::with_capacity(settings.runs);
    for _ in 0..settings.runs {
        let round = recipes.iter().map(|recipe| {
            measure(settings, recipe).map_err(|failure| Failure::new(format!("{}: {failure}", recipe.name)))
        });
        rounds.push(round.collect::<Result<_>>()?);
    }
    let mut lines = Vec::new();
    for (index, recipe) in recipes.iter().enumerate() {
        let open = Spread::of(rounds.iter().map(|round| round[index].open));
        let ratio = Spread::of(rounds.iter().map(|round| round[index].open / round[0].open));
        let close = Spread::of(rounds.iter().map(|round| round[index].close));
        let (Some(open), Some(ratio), Some(close)) = (open, ratio, close) else { continue };
        println!("{:<22} {:>24} {:>22} {:>24}", recipe.name, open.show(), ratio.show(), close.show());
        lines.push(Line { name: &recipe.name, open, ratio, close });
    }
    match &settings.page {
        Some(page) => section(settings, &recipes, lines)?.write(page),
        None => Ok(()),
    }
}

fn measure(settings: &ConnectsSettings, recipe: &Recipe) -> Result<Cost> {
    let server = Server::start_beside(recipe, settings.pinning)?;
    let target = server.target();
    let (mut dialer, flight) = (Dialer::new(target.address), Flight::new(Kind::Binary, 1, HEAD_BYTES));
    let mut scratch = vec![0; 4096];
    let mut connect_for = |window: Duration| -> Result<Cost> {
        let (begin, mut connections) = (Instant::now(), 0);
        let (mut opening, mut closing) = (Duration::ZERO, Duration::ZERO);
        while begin.elapsed() < window || connections == 0 {
            let before = process::cpu_use(server.pid())?.busy;
            let open = (0..BATCH).map(|_| {
                let mut connection = Connection::open(&mut dialer, &target, recipe.wire, &flight)?;
                if recipe.wire == Wire::Raw {
                    connection.round_trip(&mut scratch, &flight)?;
                }
                Ok(connection)
            });
            let open: Vec<Connection> = open.collect::<Result<_>>()?;
            let between = process::cpu_use(server.pid())?.busy;
            open.into_iter().try_for_each(|connection| connection.close(&mut scratch))?;
            let after = process::cpu_use(server.pid())?.busy;
            opening += between.saturating_sub(before);
            closing += after.saturating_sub(between);
            connections += BATCH;
        }
        let each = |all: Duration| all.as_secs_f64() * 1e6 / connections as f64;
        Ok(Cost { open: each(opening), close: each(closing) })
    };
    connect_for(settings.warm_up)?;
    connect_for(settings.window)
}

/// For the documentation, cheapest first.
fn section(settings: &ConnectsSettings, recipes: &[Recipe], mut lines: Vec<Line<'_>>) -> Result<Section> {
    lines.sort_by(|a, b| a.open.median.total_cmp(&b.open.median));
    let how = format!(
        "{} rounds of {:?}, {BATCH} connections open at most, medians (least–most)",
        settings.runs, settings.window
    );
    let facts = page::facts(how, recipes)?;
    let row = |line: &Line<'_>| {
        vec![recipe::shown(line.name).0, line.open.show(), line.ratio.show(), line.close.show()]
    };
    let bar = |line: &Line<'_>| {
        let (label, is_ours) = recipe::shown(line.name);
        Bar { label, spread: line.open, is_ours }
    };
    let (name, shaken) = match settings.tls {
        true => ("connects-wss".to_string(), "both handshakes"),
        false => ("connects".to_string(), "handshake"),
    };
    let part = Part {
        heads: vec![
            "server".into(),
            format!("µs of server CPU for connect and {shaken}"),
            format!("times {}", recipe::shown(&recipes[0].name).0),
            "µs to close".into(),
        ],
        rows: lines.iter().map(row).collect(),
        plot: Plot {
            name: name.clone(),
            title: format!("Server CPU per connection: connect and {shaken}; µs"),
            bars: lines.iter().map(bar).collect(),
        },
    };
    Ok(Section { name, facts, parts: vec![part] })
}
