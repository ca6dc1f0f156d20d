//! Small rules that no linter knows. Each returns its complaints.

use crate::rust::blank_comments_and_literals;
use crate::tree::File;

/// Above this a file probably holds two ideas.
pub const LINES_MAX: usize = 800;
/// What a longer file says, followed by its reason.
pub const LONG_FILE_MARK: &str = "longer than 800 lines because";

/// A file that is too long and does not say why.
pub fn too_long(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    (lines > LINES_MAX && !file.text.contains(LONG_FILE_MARK))
        .then(|| format!("{}: {lines} lines; split it, or say \"{LONG_FILE_MARK} …\"", file.path))
}

/// Macros that stand for work not done.
pub fn left_overs(file: &File) -> Vec<String> {
    let code = blank_comments_and_literals(&file.text);
    code.lines()
        .enumerate()
        .flat_map(|(index, line)| {
            ["todo!", "unimplemented!", "dbg!"]
                .into_iter()
                .filter(move |word| line.match_indices(word).any(|(at, _)| !ends_in_name(&line[..at])))
                .map(move |word| (index + 1, word))
        })
        .map(|(line, word)| format!("{}:{line}: {word}", file.path))
        .collect()
}

fn ends_in_name(before: &str) -> bool {
    before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Where `unsafe` may stand: a benchmark pays for it, and a safe twin is tested beside it.
pub const UNSAFE_FILES: [&str; 1] = ["crates/sotong-proto/src/mask/unmask.rs"];

/// `unsafe` in any other file of a crate.
pub fn unsafe_elsewhere(file: &File) -> Vec<String> {
    if UNSAFE_FILES.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let code = blank_comments_and_literals(&file.text);
    let is_word = |line: &str, at: usize| {
        let after = line[at + "unsafe".len()..].chars().next();
        !ends_in_name(&line[..at]) && !after.is_some_and(|next| next.is_alphanumeric() || next == '_')
    };
    code.lines()
        .enumerate()
        .filter(|(_, line)| line.match_indices("unsafe").any(|(at, _)| is_word(line, at)))
        .map(|(index, _)| format!("{}:{}: unsafe", file.path, index + 1))
        .collect()
}

/// Folders of one machine, and hosts that a package manager wrote down. Neither means anything to a reader.
pub fn traces_of_a_machine(file: &File) -> Vec<String> {
    // Put together here, so that this file does not complain about itself.
    let words = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["/ho", "me/"],
        ["/Us", "ers/"],
        ["\"reso", "lved\":"],
        ["index-", "url"],
    ];
    file.text
        .lines()
        .enumerate()
        .flat_map(|(index, line)| {
            words
                .iter()
                .map(|parts| parts.concat())
                .filter(|word| line.contains(word.as_str()))
                .map(move |word| (index + 1, word))
        })
        .map(|(line, word)| format!("{}:{line}: contains {word}", file.path))
        .collect()
}

/// The commands in the fenced shell blocks of a README, without prompts and comments.
pub fn shell_commands(markdown: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut in_shell = false;
    for line in markdown.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            in_shell = !in_shell && matches!(language.trim(), "sh" | "bash" | "shell" | "console");
        } else if in_shell {
            let command = line.split(" #").next().unwrap_or(line).trim().trim_start_matches("$ ");
            if !command.is_empty() && !command.starts_with('#') {
                commands.push(command.to_string());
            }
        }
    }
    commands
}
