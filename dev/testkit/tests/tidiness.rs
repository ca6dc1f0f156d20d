//! The sources are tidy: rules of `CONTRIBUTING.md` that no linter knows.

use sotong_testkit::manifest::workspace_dependencies_without_reason;
use sotong_testkit::tidiness::{
    LINES_MAX, LONG_FILE_MARK, UNSAFE_FILES, left_overs, shell_commands, too_long, traces_of_a_machine,
    unsafe_elsewhere,
};
use sotong_testkit::tree::{self, File};

fn file(text: &str) -> File {
    File { path: "crates/x/src/a.rs".to_string(), text: text.to_string() }
}

fn rust_files(folder: &str) -> Vec<File> {
    let files: Vec<File> =
        tree::files(folder).into_iter().filter(|file| file.path.ends_with(".rs")).collect();
    assert!(!files.is_empty(), "{folder} holds sources");
    files
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    assert_none(&rust_files("crates").iter().filter_map(too_long).collect::<Vec<_>>());
    assert!(too_long(&file(&"\n".repeat(LINES_MAX + 1))).is_some());
    assert!(too_long(&file(&"\n".repeat(LINES_MAX))).is_none());
    assert!(
        too_long(&file(&format!("// {LONG_FILE_MARK} it is one table.\n{}", "\n".repeat(LINES_MAX))))
            .is_none()
    );
}

#[test]
fn nothing_is_left_undone() {
    let files = [rust_files("crates"), rust_files("dev")].concat();
    assert_none(&files.iter().flat_map(left_overs).collect::<Vec<_>>());
    assert_eq!(left_overs(&file("fn f() {\n    todo!(\"later\")\n}")), ["crates/x/src/a.rs:2: todo!"]);
    assert!(left_overs(&file("// todo! in a comment, my_todo!()")).is_empty());
}

#[test]
fn unsafe_is_where_it_is_paid_for() {
    assert_none(&rust_files("crates").iter().flat_map(unsafe_elsewhere).collect::<Vec<_>>());
    let text = "// unsafe\n#![forbid(unsafe_code)]\nlet s = \"unsafe\";\nfn f() { unsafe { g() } }\n";
    assert_eq!(unsafe_elsewhere(&file(text)), ["crates/x/src/a.rs:4: unsafe"]);
    for path in UNSAFE_FILES {
        let text = tree::read(path).expect("a file that may have it is there");
        assert!(text.contains("SAFETY"), "{path}");
    }
}

#[test]
fn no_file_carries_traces_of_a_machine() {
    assert_none(&tree::files("").iter().flat_map(traces_of_a_machine).collect::<Vec<_>>());
    let folder = ["/ho", "me/me/sotong"].concat();
    assert_eq!(traces_of_a_machine(&file(&format!("let path = {folder:?};"))).len(), 1);
    let lock = ["\"reso", "lved\": \"https://registry.example/ws.tgz\""].concat();
    assert_eq!(traces_of_a_machine(&file(&lock)).len(), 1);
}

#[test]
fn each_dependency_has_its_reason() {
    let manifest = tree::read("Cargo.toml").expect("the workspace has a Cargo.toml");
    assert_none(&workspace_dependencies_without_reason(&manifest));
    assert_eq!(workspace_dependencies_without_reason("[workspace.dependencies]\nx = \"1\"\n").len(), 1);
}

#[test]
fn both_readmes_name_the_same_commands() {
    let english = tree::read("README.md").expect("README.md is there");
    let korean = tree::read("README.ko.md").expect("README.ko.md is there");
    assert_eq!(shell_commands(&english), shell_commands(&korean));
    let commands = shell_commands(&english).join("\n");
    assert!(commands.contains("cargo run --release -- serve"), "README.md tells how to start:\n{commands}");
    assert!(commands.contains("./test"), "README.md tells how to test:\n{commands}");
}

#[test]
fn commands_are_read_from_shell_blocks_only() {
    let markdown =
        "```rust\nlet a = 1;\n```\ntext\n```sh\n$ cargo run   # starts\n\n# a remark\n./test\n```\n";
    assert_eq!(shell_commands(markdown), ["cargo run", "./test"]);
}
