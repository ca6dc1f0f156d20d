//! The measuring commands, as short as can be: the tables have their rows. Never a time.

use std::process::Command;

fn output(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sotong-bench")).args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn run_has_a_row_for_each_server_in_each_cell() {
    let quick = ["--runs", "2", "--seconds", "0.1", "--warm-up", "0", "--no-pin", "--waited-max", "100"];
    let what = ["run", "--servers", "raw,raw-again", "--cells", "2x1x16,2x4x300"];
    let text = output(&[&what[..], &quick[..]].concat());
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("2x")).collect();
    let starts: Vec<Vec<&str>> =
        rows.iter().map(|row| row.split_ascii_whitespace().take(2).collect()).collect();
    assert_eq!(
        starts,
        [["2x1x16", "raw"], ["2x1x16", "raw-again"], ["2x4x300", "raw"], ["2x4x300", "raw-again"]],
        "{text}"
    );
    assert!(rows[0].contains("1.00 (1.00–1.00)"), "the floor against itself: {text}");
}

#[test]
fn messages_one_way_have_a_row_for_the_floor_and_each_form() {
    let quick = ["--runs", "1", "--seconds", "0.1", "--warm-up", "0", "--no-pin", "--connections", "2"];
    for way in ["receive", "send"] {
        let text = output(&[&[way][..], &quick[..]].concat());
        for server in ["raw ", "event ", "pull "] {
            let row = text.lines().find(|line| line.starts_with(server)).expect("a row");
            let rate = row.split_ascii_whitespace().rev().nth(1).and_then(|word| word.parse().ok());
            assert!(rate.is_some_and(|rate: f64| rate > 0.0), "{way}: {text}");
        }
    }
}

#[test]
fn the_floor_echoes_over_tls_as_well() {
    let quick = ["--runs", "1", "--seconds", "0.1", "--warm-up", "0", "--no-pin", "--waited-max", "100"];
    let what = ["run", "--servers", "raw", "--tls", "--cells", "3x4x1024,2x4x70000"];
    let text = output(&[&what[..], &quick[..]].concat());
    for cell in ["3x4x1024 ", "2x4x70000 "] {
        assert!(text.lines().any(|line| line.starts_with(cell) && line.contains("raw")), "{text}");
    }
}

#[test]
fn two_threads_beside_one() {
    let quick = ["--runs", "1", "--seconds", "0.1", "--warm-up", "0"];
    let text = output(&[&["threads", "--servers", "raw", "--cells", "4x2x16"][..], &quick[..]].concat());
    let row = text.lines().find(|line| line.starts_with("4x2x16 ")).expect("a row");
    assert!(row.ends_with("1.00 (1.00–1.00)"), "the floor against itself: {text}");
}

/// The raw server keeps nothing for an idle connection but its place in a list.
#[test]
fn memory_of_the_raw_server_is_next_to_nothing() {
    let text = output(&["memory", "--servers", "raw", "--connections", "300", "--idle", "0", "--no-pin"]);
    let row = text.lines().find(|line| line.starts_with("raw ")).expect("a row");
    let bytes: u64 =
        row.split_ascii_whitespace().last().and_then(|word| word.parse().ok()).expect("a number");
    assert!(bytes < 4096, "{text}");
}

#[test]
fn fan_out_has_a_row_for_each_form_at_each_depth() {
    let quick = ["--runs", "1", "--seconds", "0.1", "--warm-up", "0", "--no-pin"];
    let what = ["fan-out", "--subscribers", "5", "--in-flight", "1,3"];
    let text = output(&[&what[..], &quick[..]].concat());
    let starts: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().take(2).collect::<Vec<_>>().try_into().ok())
        .filter(|[_, server]: &[&str; 2]| matches!(*server, "event" | "pull"))
        .collect();
    assert_eq!(starts, [["1", "event"], ["1", "pull"], ["3", "event"], ["3", "pull"]], "{text}");
}

/// Of a megabyte their sockets take a part: copies would show.
#[test]
fn slow_readers_of_one_publication_share_it() {
    let text = output(&["fan-out-memory", "--subscribers", "30", "--bytes", "1000000", "--idle", "0.2"]);
    for form in ["event ", "pull "] {
        let row = text.lines().find(|line| line.starts_with(form)).expect("a row");
        let each: f64 =
            row.split_ascii_whitespace().last().and_then(|word| word.parse().ok()).expect("a number");
        assert!(each < 100_000.0, "{text}");
    }
}

#[test]
fn a_binary_that_is_missing_is_named_with_the_command_that_builds_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_sotong-bench"))
        .args(["run", "--servers", "event", "--sotong", "no/such/sotong"])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("no/such/sotong") && said.contains("cargo build --release"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
