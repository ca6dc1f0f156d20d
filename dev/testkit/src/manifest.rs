//! Finds the dependencies that a `Cargo.toml` names. The manifests here are plain, one dependency per line.

use std::collections::BTreeSet;

/// What a crate depends on; names with `_`, as Rust code writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// Of the crate itself, for any target.
    pub normal: BTreeSet<String>,
    /// Of its tests, examples and benchmarks.
    pub dev: BTreeSet<String>,
}

/// Reads the dependencies of one crate.
pub fn dependencies(manifest: &str) -> Dependencies {
    let mut found = Dependencies::default();
    for (section, line) in entries(manifest) {
        let names = match section {
            _ if section == "dependencies" || section.ends_with(".dependencies") => &mut found.normal,
            _ if section == "dev-dependencies" || section.ends_with(".dev-dependencies") => &mut found.dev,
            _ => continue,
        };
        let name = line.split(['.', '=', ' ']).next().expect("a split has a first part");
        names.insert(name.replace('-', "_"));
    }
    found
}

/// The lines of `[workspace.dependencies]` that say in no comment why they are there. Our own crates need no reason.
pub fn workspace_dependencies_without_reason(manifest: &str) -> Vec<String> {
    entries(manifest)
        .filter(|(section, line)| *section == "workspace.dependencies" && !line.contains("path ="))
        .filter(|(_, line)| line.split_once('#').is_none_or(|(_, reason)| reason.trim().len() < 10))
        .map(|(_, line)| line.to_string())
        .collect()
}

/// Each line that is neither blank nor a comment nor inside a longer value, with the name of its section.
fn entries(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut section = "";
    manifest.lines().filter_map(move |line| {
        if let Some(name) = line.strip_prefix('[') {
            section = name.split(']').next().expect("a split has a first part");
            return None;
        }
        (line.starts_with(|c: char| c.is_alphanumeric())).then_some((section, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_of_all_kinds_are_found() {
        let found = dependencies(
            "[package]\nname = \"x\"\n[dependencies]\n# why\nbytes.workspace = true\nrand-core = { workspace = true }\n\
             [target.'cfg(unix)'.dependencies]\nrustix = \"1\"\n[dev-dependencies]\nproptest.workspace = true\n[lints]\nworkspace = true\n",
        );
        assert_eq!(found.normal.iter().collect::<Vec<_>>(), ["bytes", "rand_core", "rustix"]);
        assert_eq!(found.dev.iter().collect::<Vec<_>>(), ["proptest"]);
    }

    #[test]
    fn a_dependency_without_reason_is_seen() {
        let manifest = "[workspace.dependencies]\nours = { path = \"ours\" }\ngood = \"1\"  # because it is needed\nbad = \"1\"\nworse = \"1\" #\n";
        assert_eq!(workspace_dependencies_without_reason(manifest), ["bad = \"1\"", "worse = \"1\" #"]);
    }
}
