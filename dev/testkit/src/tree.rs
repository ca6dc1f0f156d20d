//! The files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 3] = ["target", ".git", "node_modules"];

/// The root of the workspace.
pub fn root() -> PathBuf {
    let testkit = Path::new(env!("CARGO_MANIFEST_DIR"));
    testkit.ancestors().nth(2).expect("this crate lies in dev/testkit").to_path_buf()
}

/// A text file: its path below the root, with `/`, and what is in it.
#[derive(Debug, Clone)]
pub struct File {
    /// For example `crates/sotong/src/lib.rs`.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// All text files below `folder` of the workspace (`""` for all), in the order of their paths.
pub fn files(folder: &str) -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    collect(&root, &root.join(folder), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The text of one file below the root.
pub fn read(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace can be read") {
        let entry = entry.expect("an entry of a folder can be read");
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if !FOREIGN.iter().any(|foreign| name == *foreign) {
                collect(root, &path, found);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            // What is not UTF-8 is a picture or a build product, not a source.
            let path = path.strip_prefix(root).expect("the walk started at the root");
            found.push(File { path: path.to_string_lossy().replace('\\', "/"), text });
        }
    }
}
