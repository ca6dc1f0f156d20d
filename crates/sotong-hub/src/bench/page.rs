//! The result as a page: one file, no script, nothing loaded from anywhere.

use std::fmt::Write as _;

use super::chart::{Series, chart};
use super::report::{Report, Spread, bytes, date, grouped, time};
use super::tally::Second;
use super::text;

/// Light and dark as the system says; readable on a phone.
const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#faf9f6;--card:#fff;--ink:#1c2427;--soft:#5a666b;--line:#e2dfd7;--a:#087466;--b:#a8471b}
@media(prefers-color-scheme:dark){:root{--paper:#131719;--card:#1a1f22;--ink:#e6e9e8;--soft:#9aa6aa;--line:#2c3437;--a:#54c9b4;--b:#f0976a}}
*{box-sizing:border-box}
body{margin:0 auto;padding:16px;max-width:960px;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.35rem;line-height:1.3;margin:.5rem 0}
h2{font-size:1rem;margin:0 0 .5rem}
h2::first-letter{text-transform:uppercase}
p{margin:.25rem 0;color:var(--soft)}
.grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:16px;margin:16px 0}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 16px;margin:16px 0}
.grid2 section{margin:0}
.big{display:grid;grid-template-columns:repeat(auto-fill,minmax(125px,1fr));gap:8px 16px}
.big b{display:block;font-size:1.5rem;line-height:1.25;font-variant-numeric:tabular-nums}
.big span,.key{color:var(--soft);font-size:.875rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:3px 0 3px 12px;border-top:1px solid var(--line);font-weight:400}
tr:first-child>*{border-top:0}
th:first-child,td:first-child{text-align:left;padding-left:0}
.numbers td,.numbers th{white-space:nowrap}
thead th{color:var(--soft);font-size:.875rem}
ul{margin:0;padding-left:20px}
svg{display:block;width:100%;height:auto}
svg text{fill:var(--soft);font:12.5px system-ui,sans-serif}
.grid{stroke:var(--line);fill:none}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.a{stroke:var(--a)}.b{stroke:var(--b);stroke-dasharray:1 3.5}
i{display:inline-block;width:18px;height:0;border-top:3px solid var(--a);vertical-align:middle;margin:0 6px 0 0}
i.b{border-top:3px dotted var(--b);margin-left:16px}
";

pub(super) fn page(report: &Report) -> String {
    let title = escaped(&format!("sotong bench {}", report.target.url));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    let _ = writeln!(page, "<p>{}</p>", escaped(&text::asked(report)));
    figures(&mut page, report);
    charts(&mut page, report);
    latency(&mut page, report);
    faults(&mut page, report);
    if !report.notes.is_empty() {
        let _ = writeln!(page, "<section>\n<h2>Notes</h2>\n<ul>");
        for note in &report.notes {
            let _ = writeln!(page, "<li>{}</li>", escaped(note));
        }
        let _ = writeln!(page, "</ul>\n</section>");
    }
    surroundings(&mut page, report);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// The figures that are looked for first.
fn figures(page: &mut String, report: &Report) {
    let window = &report.window;
    let mut figures =
        vec![(grouped(window.done_per_second.round() as u64), format!("{} a second", report.asked.unit))];
    if let Some(latency) = &report.latency {
        for (name, value) in [("p50", latency.p50_ms), ("p99", latency.p99_ms), ("max", latency.max_ms)] {
            figures.push((time(value), format!("latency, {name}")));
        }
    }
    figures.push((grouped(window.done), format!("{} in {:.1} s", report.asked.unit, window.seconds)));
    let faults: u64 = report.faults.values().map(|seen| seen.count).sum();
    figures.push((grouped(faults), "faults".to_owned()));
    let _ = writeln!(page, "<section class=\"big\">");
    for (value, name) in figures {
        let _ = writeln!(page, "<div><b>{}</b><span>{}</span></div>", escaped(&value), escaped(&name));
    }
    let _ = writeln!(page, "</section>");
}

fn charts(page: &mut String, report: &Report) {
    if report.seconds.is_empty() {
        return;
    }
    let length = report.window.seconds;
    let of = |value: fn(&Second) -> Option<f64>| report.seconds.iter().map(value).collect();
    let done = Series {
        class: "a",
        values: of(|second| (second.seconds > 0.0).then(|| second.done as f64 / second.seconds)),
    };
    let title = format!("{} a second", report.asked.unit);
    let drawing = chart(&title, length, &[done], |value| grouped(value as u64));
    let _ =
        writeln!(page, "<div class=\"grid2\">\n<section>\n<h2>{}</h2>\n{drawing}</section>", escaped(&title));
    if report.latency.is_some() {
        let lines = [
            Series { class: "a", values: of(|second| second.p50_ms) },
            Series { class: "b", values: of(|second| second.p99_ms) },
        ];
        let drawing = chart("Latency in each second", length, &lines, |value| {
            if value == 0.0 { "0".to_owned() } else { time(value) }
        });
        let _ = writeln!(
            page,
            "<section>\n<h2>Latency in each second</h2>\n{drawing}<div class=\"key\"><i></i>p50<i class=\"b\"></i>p99\
             </div>\n</section>"
        );
    }
    let _ = writeln!(page, "</div>");
}

fn latency(page: &mut String, report: &Report) {
    let is_connect = report.asked.exchange == "connect";
    let columns: Vec<(&str, Spread)> = [
        ("latency", report.latency),
        ("sent late by", report.lateness),
        ("connecting", report.connections.latency.filter(|_| !is_connect)),
    ]
    .into_iter()
    .filter_map(|(name, spread)| Some((name, spread?)))
    .collect();
    let Some((_, first)) = columns.first() else { return };
    let _ = write!(page, "<section>\n<h2>Percentiles</h2>\n<table class=\"numbers\">\n<thead><tr><th></th>");
    for (name, _) in &columns {
        let _ = write!(page, "<th>{name}</th>");
    }
    let _ = writeln!(page, "</tr></thead>\n<tbody>");
    for (row, (name, _)) in first.table().iter().enumerate() {
        let _ = write!(page, "<tr><td>{name}</td>");
        for (_, spread) in &columns {
            let _ = write!(page, "<td>{}</td>", time(spread.table()[row].1));
        }
        let _ = writeln!(page, "</tr>");
    }
    let _ = write!(page, "<tr><td>counted</td>");
    for (_, spread) in &columns {
        let _ = write!(page, "<td>{}</td>", grouped(spread.count));
    }
    let _ = writeln!(page, "</tr>\n</tbody>\n</table>\n</section>");
}

fn faults(page: &mut String, report: &Report) {
    if report.faults.is_empty() {
        return;
    }
    let _ = writeln!(page, "<section>\n<h2>Faults</h2>\n<table>");
    for (kind, seen) in &report.faults {
        let _ = writeln!(
            page,
            "<tr><td>{}<p>{}</p></td><td>{}</td></tr>",
            escaped(kind),
            escaped(&seen.example),
            grouped(seen.count)
        );
    }
    let _ = writeln!(page, "</table>\n</section>");
}

/// Whom, where and when: figures mean nothing without it.
fn surroundings(page: &mut String, report: &Report) {
    let (target, machine, window) = (&report.target, &report.machine, &report.window);
    let mut rows = vec![
        ("when", date(report.started_unix_seconds)),
        ("server", target.server.clone().unwrap_or_else(|| "does not say".to_owned())),
        ("extensions", target.extensions.clone().unwrap_or_else(|| "none".to_owned())),
        (
            "connected",
            format!("{} of {}", grouped(report.connections.opened), grouped(report.asked.connections as u64)),
        ),
        (
            "payload",
            format!(
                "{}/s out, {}/s in",
                bytes(window.bytes_sent_per_second),
                bytes(window.bytes_received_per_second)
            ),
        ),
        ("load from", format!("{}, {} cores, {}", machine.processor, machine.cores, machine.system)),
        ("by", format!("sotong {}", report.version)),
    ];
    if let Some(address) = &target.address {
        rows.insert(1, ("address", address.clone()));
    }
    if report.asked.exchange == "connect" {
        rows.retain(|(name, _)| !matches!(*name, "connected" | "payload"));
    }
    let _ = writeln!(page, "<section>\n<h2>Measured</h2>\n<table>");
    for (name, value) in rows {
        let _ = writeln!(page, "<tr><td>{name}</td><td>{}</td></tr>", escaped(&value));
    }
    let _ = writeln!(page, "</table>\n</section>");
}

/// Safe between tags and inside quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for each in text.chars() {
        match each {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_markup_is_not() {
        assert_eq!(
            escaped("<b a=\"1\" c='2'>&amp;</b>"),
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;&lt;/b&gt;"
        );
    }
}
