//! The table of layers in `ARCHITECTURE.md`, and who breaks it.
//!
//! A row names folders or files, what they may import from outside, and what they keep out. For each file the row with
//! the longest matching path holds, and for each path in the file the longest matching entry. Without an entry `std` and
//! the crate's own modules are free, and every other crate is forbidden.

use crate::manifest::Dependencies;
use crate::rust::named_paths;
use crate::tree::File;
use std::collections::{BTreeMap, BTreeSet};

/// The heading of the table, by which it is found.
const HEADING: [&str; 4] = ["layer", "where", "may import", "keeps out"];

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its name, for complaints.
    pub name: String,
    /// Folders or files below the root.
    pub places: Vec<String>,
    /// Paths that may be imported, as Rust writes them.
    pub may_import: Vec<String>,
    /// Paths that may not.
    pub keeps_out: Vec<String>,
}

/// The whole table.
#[derive(Debug, Clone)]
pub struct Table {
    layers: Vec<Layer>,
}

impl Table {
    /// Reads the table out of the text of `ARCHITECTURE.md`. Entries are what stands between backticks.
    ///
    /// # Errors
    ///
    /// When there is no such table, or a row is incomplete.
    pub fn parse(markdown: &str) -> Result<Self, String> {
        let mut lines = markdown.lines().skip_while(|line| cells(line) != HEADING);
        lines.next().ok_or_else(|| format!("no table with the heading {HEADING:?}"))?;
        let mut layers = Vec::new();
        for line in lines.skip(1).take_while(|line| line.starts_with('|')) {
            let row = cells(line);
            let [name, places, may_import, keeps_out] = row.as_slice() else {
                return Err(format!("a row without four cells: {line}"));
            };
            let layer = Layer {
                name: (*name).to_string(),
                places: backticked(places),
                may_import: backticked(may_import),
                keeps_out: backticked(keeps_out),
            };
            if layer.places.is_empty() {
                return Err(format!("a row that names no place: {line}"));
            }
            layers.push(layer);
        }
        if layers.is_empty() { Err("the table has no rows".to_string()) } else { Ok(Self { layers }) }
    }

    /// Complaints about one file of `crates/*/src`. `external` are all crates that the workspace can name.
    pub fn check_file(&self, file: &File, external: &BTreeSet<String>) -> Vec<String> {
        let Some(layer) = self.layer_of(&file.path) else {
            return vec![format!("{}: no row of the table covers it", file.path)];
        };
        let own = module_of(&file.path);
        named_paths(&file.text)
            .into_iter()
            .filter_map(|path| {
                let resolved = resolve(&path.segments, &own);
                (!layer.allows(&resolved, external)).then(|| {
                    format!(
                        "{}:{}: `{}` is not for the layer {:?}",
                        file.path,
                        path.line,
                        path.text(),
                        layer.name
                    )
                })
            })
            .collect()
    }

    /// Complaints about the dependencies of the crate in the folder `krate`, such as `crates/sotong`.
    ///
    /// What the rows of a crate import from outside is exactly what its `Cargo.toml` names, so that the table stays true
    /// in both directions. A test may not depend on a crate above its own either.
    pub fn check_dependencies(&self, krate: &str, dependencies: &Dependencies) -> Vec<String> {
        let allowed = self.external_of(krate);
        let own = krate.rsplit('/').next().unwrap_or(krate).replace('-', "_");
        let mut complaints = Vec::new();
        for name in dependencies.normal.difference(&allowed) {
            complaints
                .push(format!("{krate}/Cargo.toml: the table does not let this crate depend on {name}"));
        }
        for name in allowed.difference(&dependencies.normal).filter(|name| **name != own) {
            complaints.push(format!(
                "ARCHITECTURE.md: {krate} may import {name}, which its Cargo.toml does not name"
            ));
        }
        for name in &dependencies.dev {
            if self.external_of(&format!("crates/{}", name.replace('_', "-"))).contains(&own) {
                complaints
                    .push(format!("{krate}/Cargo.toml: its tests depend on {name}, which stands above it"));
            }
        }
        complaints
    }

    /// Complaints about rows that no file among `paths` belongs to.
    pub fn check_rows(&self, paths: &[&str]) -> Vec<String> {
        let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
        for layer in &self.layers {
            for place in &layer.places {
                uses.insert(place, paths.iter().filter(|path| lies_in(path, place)).count());
            }
        }
        uses.into_iter()
            .filter(|(_, files)| *files == 0)
            .map(|(place, _)| format!("ARCHITECTURE.md: there is nothing in {place}"))
            .collect()
    }

    fn layer_of(&self, path: &str) -> Option<&Layer> {
        self.layers
            .iter()
            .flat_map(|layer| layer.places.iter().map(move |place| (layer, place)))
            .filter(|(_, place)| lies_in(path, place))
            .max_by_key(|(_, place)| place.len())
            .map(|(layer, _)| layer)
    }

    /// The crates that the rows of a crate may import.
    fn external_of(&self, krate: &str) -> BTreeSet<String> {
        let below = format!("{krate}/");
        self.layers
            .iter()
            .filter(|layer| layer.places.iter().any(|place| place.starts_with(&below)))
            .flat_map(|layer| &layer.may_import)
            .map(|path| path.split("::").next().unwrap_or(path).to_string())
            .filter(|name| !matches!(name.as_str(), "std" | "core" | "alloc" | "crate"))
            .collect()
    }
}

impl Layer {
    fn allows(&self, path: &[String], external: &BTreeSet<String>) -> bool {
        let longest = |entries: &[String]| entries.iter().filter_map(|entry| match_length(path, entry)).max();
        match (longest(&self.may_import), longest(&self.keeps_out)) {
            (Some(allowed), Some(kept_out)) => allowed > kept_out,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => !external.contains(&path[0]),
        }
    }
}

/// How many segments of `path` the entry matches, if it matches. `a::b` matches `a::b` and `a::b::C`; an import of
/// everything (`a::*`) also matches entries below `a`, for it brings them in.
fn match_length(path: &[String], entry: &str) -> Option<usize> {
    let entry: Vec<&str> = entry.split("::").collect();
    let glob = path.last().is_some_and(|last| last == "*");
    let known = if glob { &path[..path.len() - 1] } else { path };
    let shared = known.iter().zip(&entry).take_while(|(a, b)| a == *b).count();
    (shared == entry.len() || (glob && shared == known.len())).then_some(entry.len())
}

/// The path from the root of the crate, for `self`, `super` and `crate`; others stay as they are.
fn resolve(segments: &[String], own: &[String]) -> Vec<String> {
    let from_root = |module: &[String], rest: &[String]| {
        std::iter::once("crate".to_string())
            .chain(module.iter().cloned())
            .chain(rest.iter().cloned())
            .collect()
    };
    match segments[0].as_str() {
        "self" => from_root(own, &segments[1..]),
        "super" => {
            let ups = segments.iter().take_while(|segment| *segment == "super").count();
            from_root(&own[..own.len().saturating_sub(ups)], &segments[ups..])
        }
        _ => segments.to_vec(),
    }
}

/// `crates/x/src/a/b.rs` and `crates/x/src/a/b/mod.rs` are the module `a::b`.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.split_once("/src/").map_or(path, |(_, inside)| inside);
    let mut module: Vec<String> = inside.trim_end_matches(".rs").split('/').map(str::to_string).collect();
    if module.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

fn lies_in(path: &str, place: &str) -> bool {
    path.strip_prefix(place.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_start_matches('|').trim_end_matches('|').split('|').map(str::trim).collect()
}

fn backticked(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_string).collect()
}
