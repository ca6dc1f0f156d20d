//! `sotong bench` under test, and servers to load that are made of nothing but sockets.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;

use serde_json::Value;

use crate::opposite::{CLOSE, Conversation, Opposite};
use crate::program::{Program, sotong};

/// A run against this URL, a short one unless the options say something else: no warm-up, a fifth of a second, three
/// connections.
pub(crate) fn bench(url: &str, options: &[&str]) -> Command {
    let mut command = sotong();
    command.args(["bench", url]).args(options);
    for (option, value) in
        [("--warm-up", "0"), ("--duration", "0.2"), ("--connections", "3"), ("--timeout", "20")]
    {
        if !options.contains(&option) {
            command.args([option, value]);
        }
    }
    command
}

/// The binary's echo server, and its URL.
pub(crate) fn echo(options: &[&str]) -> (Program, String) {
    let program =
        Program::start(sotong().args(["echo", "--listen", "127.0.0.1:0", "--log", "off"]).args(options));
    let url = format!("ws://{}/", program.address);
    (program, url)
}

/// The result of a run that has to end well, as JSON.
#[track_caller]
pub(crate) fn json(command: &mut Command) -> Value {
    let output = command.arg("--json").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    parsed(&output)
}

#[track_caller]
pub(crate) fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("a number was expected: {value}"))
}

/// What a server does with a message that came on a connection: this many were there before it.
pub(crate) trait Answer: Fn(&mut Conversation, u64, u8, &[u8]) + Send + Sync + 'static {}

impl<A: Fn(&mut Conversation, u64, u8, &[u8]) + Send + Sync + 'static> Answer for A {}

/// Starts a server that does this with each message, and closes when it is asked to. Returns its URL.
pub(crate) fn server(answer: impl Answer) -> String {
    let opposite = Opposite::new();
    let url = opposite.url();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        loop {
            let mut conversation = opposite.accept();
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                for before in 0.. {
                    match conversation.frame() {
                        (CLOSE, payload) => return conversation.send(CLOSE, &payload),
                        (opcode, payload) => answer(&mut conversation, before, opcode, &payload),
                    }
                }
            });
        }
    });
    url
}
