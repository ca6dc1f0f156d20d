//! The client's examples, run as programs against our own server.

mod support;

use std::path::PathBuf;
use std::process::{Command, Output};

use sotong::Config;

/// Runs the example with this argument. Cargo has built it beside this test, unless only this test was asked for.
fn run(example: &str, url: &str) -> Output {
    let here = std::env::current_exe().expect("a test is a file");
    let target = here.parent().and_then(|deps| deps.parent()).expect("it is in target/debug/deps");
    let program: PathBuf =
        target.join("examples").join(example).with_extension(std::env::consts::EXE_EXTENSION);
    if !program.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--offline", "-p", "sotong", "--example", example, "--target-dir"])
            .arg(target.parent().expect("it is in the target folder"))
            .status();
        assert!(built.expect("cargo runs").success(), "example {example} builds");
    }
    Command::new(program).arg(url).output().expect("it runs")
}

async fn check(example: &'static str) {
    let server = support::pull_echo(Config::default()).await;
    let url = format!("ws://{}/", server.address);
    let output = tokio::task::spawn_blocking(move || run(example, &url)).await.expect("no panic");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert_eq!(lines[0], "connected");
    assert_eq!(lines[1..4], ["text \"message 1\"", "text \"message 2\"", "text \"message 3\""]);
    assert!(lines[4].contains("1000"), "how it ended: {text}");
    server.stop().await;

    let gone = support::server(Config::default()).await.1;
    let output =
        tokio::task::spawn_blocking(move || run(example, &format!("ws://{gone}/"))).await.expect("no panic");
    assert!(!output.status.success(), "nobody listens");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.starts_with(&format!("no TCP connection to {gone}: ")), "{text}");
}

#[tokio::test]
async fn the_pull_form() {
    check("client").await;
}

#[tokio::test]
async fn the_event_form() {
    check("client_events").await;
}

#[tokio::test]
async fn the_browsers_object() {
    check("web").await;
}

#[tokio::test]
async fn the_one_that_reconnects() {
    let server = support::pull_echo(Config::default()).await;
    let url = format!("ws://{}/", server.address);
    let output = tokio::task::spawn_blocking(move || run("reconnect", &url)).await.expect("no panic");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["connecting", "connection 1 is open", "text \"message 1\""], "{text}");
    assert_eq!(lines.last(), Some(&"3 confirmed, 0 may be lost"), "{text}");
    server.stop().await;
}
