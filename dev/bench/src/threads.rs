//! What a second worker thread costs: CPU per message with two beside one, of the floor and in either form.
//!
//! Neither side is bound to a core, since two threads on one core would not run at the same time. On a machine with two
//! cores the load generator then competes with the server for them, and messages come to each thread by fewer at a time.
//! So the floor is measured with one thread and with two as well: what it loses is not the library's.

use crate::cell::Cell;
use crate::cores;
use crate::failure::{Failure, Result};
use crate::machine;
use crate::page::{Part, Section};
use crate::plot::{Bar, Plot};
use crate::recipe::{self, Recipe};
use crate::run;
use crate::settings::{RunSettings, ThreadsSettings};
use crate::spread::Spread;

/// One form in one cell: with one thread, with several, and the ratio of neighbours in time.
struct Line {
    cell: Cell,
    name: String,
    one: Spread,
    several: Spread,
    ratio: Spread,
    /// That ratio divided by the first server's in the same round.
    beside: Spread,
}

/// The subcommand `threads`.
pub(crate) fn run(settings: &ThreadsSettings) -> Result<()> {
    let ThreadsSettings { run: how, threads } = settings;
    let forms = how.servers.iter().map(|name| {
        let [one, several] =
            [1, *threads].map(|threads| recipe::threaded(name, threads, how.sotong.as_ref()));
        Ok((name.as_str(), one?, several?))
    });
    let forms: Vec<(&str, Recipe, Recipe)> = forms.collect::<Result<_>>()?;
    let most = how.cells.iter().map(|cell| cell.connections).max().unwrap_or(0);
    cores::raise_open_files(most + 64)?;
    println!("{}", machine::facts());
    println!(
        "{} runs of {:?} after {:?} of warm-up, {} messages, nothing bound to a core\n",
        how.runs,
        how.window,
        how.warm_up,
        how.kind.word()
    );
    let (several, first) = (format!("us with {threads} threads"), format!("times that of {}", forms[0].0));
    println!(
        "{:<14} {:<8} {:>24} {several:>24} {:>22} {first:>22}",
        "cell", "server", "us with 1 thread", "times"
    );
    let mut lines = Vec::new();
    for &cell in &how.cells {
        let mut costs_of_all: Vec<Vec<[f64; 2]>> = vec![Vec::new(); forms.len()];
        for _ in 0..how.runs {
            for ((_, one, several), costs) in forms.iter().zip(&mut costs_of_all) {
                costs.push([cost(how, one, cell)?, cost(how, several, cell)?]);
            }
        }
        for ((name, ..), costs) in forms.iter().zip(&costs_of_all) {
            let of = |what: &dyn Fn(&[f64; 2]) -> f64| Spread::of(costs.iter().map(what));
            let spreads = (of(&|[one, _]| *one), of(&|[_, two]| *two), of(&|[one, two]| two / one));
            let (Some(one), Some(several), Some(ratio)) = spreads else { continue };
            let first = costs_of_all[0].iter().map(|[one, two]| two / one);
            let ratios = costs.iter().map(|[one, two]| two / one);
            let Some(beside) = Spread::of(ratios.zip(first).map(|(own, first)| own / first)) else {
                continue;
            };
            println!(
                "{cell:<14} {name:<8} {:>24} {:>24} {:>22} {:>22}",
                one.show(),
                several.show(),
                ratio.show(),
                beside.show()
            );
            lines.push(Line { cell, name: (*name).into(), one, several, ratio, beside });
        }
    }
    match &how.page {
        Some(page) => section(settings, &lines)?.write(page),
        None => Ok(()),
    }
}

fn cost(how: &RunSettings, recipe: &Recipe, cell: Cell) -> Result<f64> {
    let sample = run::measure(how, recipe, cell)
        .map_err(|failure| Failure::new(format!("{} in {cell}: {failure}", recipe.name)))?;
    eprintln!("{cell}: {:<22} {:.3} us", recipe.name, sample.cpu);
    Ok(sample.cpu)
}

fn section(ThreadsSettings { run: how, threads }: &ThreadsSettings, lines: &[Line]) -> Result<Section> {
    let facts = run::facts(how, &[])?;
    let label = |line: &Line| {
        let Cell { connections, depth, payload_bytes } = line.cell;
        format!("{connections} × {depth} × {payload_bytes}, {}", recipe::shown(&line.name).0)
    };
    let row = |line: &Line| {
        let beside = line.beside.show();
        vec![label(line), line.ratio.show(), beside, line.one.show(), line.several.show()]
    };
    // What is ours is bold, and there is no room for more.
    let short = |line: &Line| label(line).replace(" × ", "×").replace("Sotong, ", "");
    let bar =
        |line: &Line| Bar { label: short(line), spread: line.ratio, is_ours: recipe::shown(&line.name).1 };
    let part = Part {
        heads: vec![
            "connections × in flight × bytes".into(),
            format!("{threads} threads, times one"),
            format!("times that of {}", recipe::shown(&how.servers[0]).0),
            "µs of server CPU per message with one".into(),
            format!("µs with {threads}"),
        ],
        rows: lines.iter().map(row).collect(),
        plot: Plot {
            name: "threads".into(),
            title: format!("Server CPU per message with {threads} threads, times one thread"),
            bars: lines.iter().map(bar).collect(),
        },
    };
    Ok(Section { name: "threads".into(), facts, parts: vec![part] })
}
