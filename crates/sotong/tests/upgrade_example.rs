//! The example for axum, run as a program: its page, its JSON, both forms, and its end.
#![cfg(feature = "axum")]

#[path = "support/plain.rs"]
mod plain;
mod support;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use support::{BINARY, Peer, TEXT, soon};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The example's program. Cargo has built it beside this test, unless only this test was asked for.
async fn program() -> PathBuf {
    let here = std::env::current_exe().expect("a test is a file");
    let target = here.parent().and_then(|deps| deps.parent()).expect("it is in target/debug/deps");
    let program = target.join("examples").join("axum").with_extension(std::env::consts::EXE_EXTENSION);
    if !program.exists() {
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--offline",
                "-p",
                "sotong",
                "--features",
                "axum",
                "--example",
                "axum",
                "--target-dir",
            ])
            .arg(target.parent().expect("it is in the target folder"))
            .status()
            .await;
        assert!(built.expect("cargo runs").success(), "the example builds");
    }
    program
}

async fn start() -> (Child, SocketAddr) {
    let mut child = Command::new(program().await)
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let line = soon(lines.next_line()).await.expect("it speaks").expect("it says where it listens");
    let address = line.strip_prefix("listening on http://").and_then(|rest| rest.strip_suffix('/'));
    (child, address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("an address: {line}")))
}

async fn page(address: SocketAddr, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = plain::ask(address, request).await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn the_example_serves_pages_json_and_both_forms_on_one_port() {
    let (mut child, address) = start().await;
    let (status, html) = page(address, "/").await;
    assert_eq!(status, 200);
    assert!(html.contains("new WebSocket("), "{html}");
    assert_eq!(page(address, "/nothing").await.0, 404);
    assert_eq!(page(address, "/echo").await.0, 426);

    let mut echo = Peer::request(address, "/echo", "").await;
    echo.text("hello").await;
    echo.expect_text("hello").await;
    let large = vec![0x5a; 1 << 20];
    echo.send(BINARY, &large).await;
    assert!(echo.next().await.expect("an answer").payload == large);

    // As a browser does it: with the page's own origin.
    let origin = format!("Origin: http://{address}\r\n");
    let mut first = Peer::request(address, "/chat", &origin).await;
    let came = first.next().await.expect("a frame").text().to_owned();
    let mut second = Peer::request(address, "/chat", &origin).await;
    assert_ne!(first.next().await.expect("a frame").text(), came);
    let (one, _) = came.split_once(' ').expect("a name");
    second.next().await.expect("its own coming");
    first.text("good day").await;
    for peer in [&mut first, &mut second] {
        peer.expect_text(&format!("{one}: good day")).await;
    }
    assert_eq!(page(address, "/status").await, (200, r#"{"connections":3,"people":2}"#.to_owned()));
    second.close().await;
    let went = first.next().await.expect("a frame");
    assert!(went.opcode == TEXT && went.text().ends_with(" went"), "{went:?}");

    let foreign = support::handshake(address, "/chat", "Origin: http://evil.example\r\n");
    assert_eq!(plain::ask(address, foreign).await.status, 403);

    let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().expect("a process id")));
    kill_process(pid.expect("it runs"), Signal::INT).expect("it is ours");
    for mut peer in [echo, first] {
        assert_eq!(peer.expect_close().await.0, 1001);
    }
    let status = soon(child.wait()).await.expect("it ends");
    assert!(status.success(), "{status}");
}
