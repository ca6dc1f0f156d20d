//! CPU per connection: connect, shake hands, close, one after the other. Every server once per round, one right after the
//! other.

use std::time::{Duration, Instant};

use crate::arguments::ConnectsSettings;
use crate::connection::Connection;
use crate::cores::{self, Pinning};
use crate::dialer::Dialer;
use crate::failure::{Failure, Result};
use crate::flight::Flight;
use crate::frame::Kind;
use crate::handshake::Offer;
use crate::machine;
use crate::page::{Part, Section};
use crate::plot::{Bar, Plot};
use crate::process;
use crate::server::{self, Recipe, Server};
use crate::spread::Spread;

/// The subcommand `connects`.
pub(crate) fn run(settings: &ConnectsSettings) -> Result<()> {
    let recipes =
        server::recipes(&settings.servers, &settings.peers, settings.sotong.as_ref(), Offer::Nothing)?;
    println!("{}", machine::facts());
    println!(
        "{} runs of {:?} after {:?} of warm-up; connect, shake hands, close, one at a time",
        settings.runs, settings.window, settings.warm_up
    );
    println!("{:<22} {:>24} {:>22}", "server", "us/connection", format!("times {}", recipes[0].name));
    let mut rounds: Vec<Vec<f64>> = Vec::with_capacity(settings.runs);
    for _ in 0..settings.runs {
        let round = recipes.iter().map(|recipe| {
            measure(settings, recipe).map_err(|failure| Failure::new(format!("{}: {failure}", recipe.name)))
        });
        rounds.push(round.collect::<Result<_>>()?);
    }
    let mut lines = Vec::new();
    for (index, recipe) in recipes.iter().enumerate() {
        let cpu = Spread::of(rounds.iter().map(|round| round[index]));
        let ratio = Spread::of(rounds.iter().map(|round| round[index] / round[0]));
        let Some((cpu, ratio)) = cpu.zip(ratio) else { continue };
        println!("{:<22} {:>24} {:>22}", recipe.name, cpu.show(), ratio.show());
        lines.push((recipe.name.as_str(), cpu, ratio));
    }
    match &settings.page {
        Some(page) => section(settings, &recipes, lines)?.write(page),
        None => Ok(()),
    }
}

/// Microseconds of server CPU per connection.
fn measure(settings: &ConnectsSettings, recipe: &Recipe) -> Result<f64> {
    if let Pinning::Cores { server, .. } = settings.pinning {
        cores::pin(server)?;
    }
    let server = Server::start(recipe)?;
    if let Pinning::Cores { load, .. } = settings.pinning {
        cores::pin(load)?;
    }
    let target = server.target();
    let (mut dialer, flight) = (Dialer::new(target.address), Flight::new(Kind::Binary, 1, 0));
    let mut scratch = vec![0; 4096];
    let mut connect_for = |window: Duration| -> Result<u64> {
        let (begin, mut connections) = (Instant::now(), 0);
        while begin.elapsed() < window || connections == 0 {
            Connection::open(&mut dialer, &target, recipe.wire, &flight)?.close(&mut scratch)?;
            connections += 1;
        }
        Ok(connections)
    };
    connect_for(settings.warm_up)?;
    let before = process::cpu_use(server.pid())?;
    let connections = connect_for(settings.window)?;
    let after = process::cpu_use(server.pid())?;
    Ok(after.busy.saturating_sub(before.busy).as_secs_f64() * 1e6 / connections as f64)
}

/// For the documentation, cheapest first.
fn section(
    settings: &ConnectsSettings,
    recipes: &[Recipe],
    mut lines: Vec<(&str, Spread, Spread)>,
) -> Result<Section> {
    lines.sort_by(|(_, a, _), (_, b, _)| a.median.total_cmp(&b.median));
    let mut facts = vec![
        machine::day(),
        machine::facts(),
        format!("{} rounds of {:?}, medians (least–most)", settings.runs, settings.window),
    ];
    facts.extend(Some(server::versions(recipes)?).filter(|versions| !versions.is_empty()));
    let row =
        |(name, cpu, ratio): &(&str, Spread, Spread)| vec![server::shown(name).0, cpu.show(), ratio.show()];
    let bar = |(name, cpu, _): &(&str, Spread, Spread)| {
        let (label, is_ours) = server::shown(name);
        Bar { label, spread: *cpu, is_ours }
    };
    let part = Part {
        heads: vec![
            "server".into(),
            "µs of server CPU per connection".into(),
            format!("times {}", server::shown(&recipes[0].name).0),
        ],
        rows: lines.iter().map(row).collect(),
        plot: Plot {
            name: "connects".into(),
            title: "Server CPU per connection: connect, handshake, close; µs".into(),
            bars: lines.iter().map(bar).collect(),
        },
    };
    Ok(Section { name: "connects".into(), facts, parts: vec![part] })
}
