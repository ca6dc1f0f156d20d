//! Snippets of a page that are cut from files which tests run.
//!
//! A page says before a fence where its text comes from: `<!-- cut: docs/guide/close.js#close -->`, or without `#…` the
//! whole file. A file marks a region by two comments of their own lines, `// guide: close` and `// guide: end`, or the same
//! in `<!-- … -->`. What is cut loses the indentation that all its lines have.

use std::collections::BTreeSet;

use crate::tree::File;

/// Languages whose fences must be cut from somewhere.
const LANGUAGES: [&str; 4] = ["html", "javascript", "js", "rust"];

/// A fenced block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The number of its first line, from 1: the one with the three backticks.
    pub line: usize,
    /// What stands behind the backticks.
    pub language: String,
    /// Where it says that it is cut from.
    pub cut: Option<String>,
    /// What is between the fences, with its line ends.
    pub text: String,
}

/// All fenced blocks of a page, in order.
pub fn fences(page: &str) -> Vec<Fence> {
    let mut fences = Vec::new();
    let mut open: Option<Fence> = None;
    let mut before = "";
    for (index, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                let cut = between(before, "<!-- cut: ", " -->").map(str::to_owned);
                let language = language.trim().to_owned();
                open = Some(Fence { line: index + 1, language, cut, text: String::new() });
            }
            (Some(_), Some(_)) => fences.extend(open.take()),
            (Some(fence), None) => fence.text.extend([line, "\n"]),
            (None, None) => {}
        }
        before = line;
    }
    fences
}

/// The regions that a file marks: each name with its text. An error names the line.
pub fn regions(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut regions: Vec<(String, String)> = Vec::new();
    let mut open: Option<(String, Vec<&str>)> = None;
    for (index, line) in text.lines().enumerate() {
        match (mark(line), &mut open) {
            (Some("end"), _) => match open.take() {
                Some((name, lines)) => regions.push((name, dedented(&lines))),
                None => return Err(format!("line {}: an end without a beginning", index + 1)),
            },
            (Some(name), None) if regions.iter().any(|(other, _)| other == name) => {
                return Err(format!("line {}: a second region {name}", index + 1));
            }
            (Some(name), None) => open = Some((name.to_owned(), Vec::new())),
            (Some(name), Some((outer, _))) => {
                return Err(format!("line {}: {name} begins inside {outer}", index + 1));
            }
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    match open {
        Some((name, _)) => Err(format!("region {name} has no end")),
        None => Ok(regions),
    }
}

/// What a fence with this cut has to hold.
pub fn source(cut: &str, read: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let (path, region) = cut.split_once('#').map_or((cut, None), |(path, region)| (path, Some(region)));
    let text = read(path).ok_or_else(|| format!("there is no file {path}"))?;
    let Some(region) = region else { return Ok(text) };
    let regions = regions(&text).map_err(|error| format!("{path}: {error}"))?;
    let found = regions.into_iter().find(|(name, _)| name == region);
    found.map(|(_, text)| text).ok_or_else(|| format!("{path} has no region {region}"))
}

/// What is wrong with the snippets of a page.
pub fn complaints(page: &File, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let about = |fence: &Fence| {
        let Some(cut) = &fence.cut else {
            let is_code = LANGUAGES.contains(&fence.language.split(',').next().unwrap_or_default());
            return is_code.then(|| "code that is cut from nowhere".to_owned());
        };
        match source(cut, &read) {
            Ok(text) if text == fence.text => None,
            Ok(_) => Some(format!("not what {cut} has; `cargo run -p sotong-testkit --bin cut` mends it")),
            Err(error) => Some(error),
        }
    };
    let complaint = |fence: &Fence| Some(format!("{}:{}: {}", page.path, fence.line, about(fence)?));
    fences(&page.text).iter().filter_map(complaint).collect()
}

/// The cuts that a page makes, in order.
pub fn cuts(page: &str) -> Vec<String> {
    fences(page).into_iter().filter_map(|fence| fence.cut).collect()
}

/// What files offer and no page shows: regions of code, and whole texts.
pub fn unused(files: &[File], shown: &BTreeSet<String>) -> Vec<String> {
    let offered = files.iter().flat_map(|file| {
        if file.path.ends_with(".txt") {
            return vec![file.path.clone()];
        }
        let names = regions(&file.text).unwrap_or_default().into_iter();
        names.map(|(name, _)| format!("{}#{name}", file.path)).collect()
    });
    offered.filter(|cut| !shown.contains(cut)).map(|cut| format!("{cut}: no page shows it")).collect()
}

/// The page with every cut as its source has it now.
pub fn refreshed(page: &str, read: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut fences = fences(page).into_iter().peekable();
    let mut fresh = String::new();
    let mut lines = page.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        fresh.extend([line, "\n"]);
        let Some(fence) = fences.next_if(|fence| fence.line == index + 1) else { continue };
        let old = lines.by_ref().take(fence.text.lines().count()).count();
        debug_assert_eq!(old, fence.text.lines().count(), "a fence has its lines");
        fresh += &fence.cut.map_or(Ok(fence.text), |cut| source(&cut, &read))?;
        fresh.extend(lines.next().map(|(_, end)| format!("{end}\n")));
    }
    Ok(fresh)
}

/// The name in a line that begins or ends a region.
fn mark(line: &str) -> Option<&str> {
    let line = line.trim();
    line.strip_prefix("// guide: ").or_else(|| between(line, "<!-- guide: ", " -->"))
}

fn between<'a>(line: &'a str, before: &str, after: &str) -> Option<&'a str> {
    line.trim().strip_prefix(before)?.strip_suffix(after)
}

fn dedented(lines: &[&str]) -> String {
    let indent = |line: &&str| line.len() - line.trim_start_matches(' ').len();
    let shared = lines.iter().filter(|line| !line.is_empty()).map(indent).min().unwrap_or(0);
    lines.iter().map(|line| format!("{}\n", line.get(shared..).unwrap_or_default())).collect()
}
