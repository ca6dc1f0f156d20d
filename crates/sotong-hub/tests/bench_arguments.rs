//! `sotong bench` with a wrong command line: one clear line, and nothing is started.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod program;

use program::{one_line, sotong};
use sotong_hub::cli::Exit;

#[test]
fn each_wrong_command_line_gets_one_line() {
    let url = "ws://127.0.0.1:1/";
    let table: &[(&[&str], &[&str])] = &[
        (&[], &["the URL is missing"]),
        (&["localhost:9001"], &["URL 'localhost:9001'", "ws://localhost:9001"]),
        (&["http://127.0.0.1/"], &["http://", "write ws://"]),
        (&[url, "--connections", "0"], &["--connections '0'", "from 1 to 1000000"]),
        (&[url, "--connections", "1000001"], &["--connections '1000001'"]),
        (&[url, "--in-flight", "0"], &["--in-flight '0'", "from 1 to 65536"]),
        (&[url, "--in-flight", "1", "--rate", "1"], &["--in-flight", "--rate"]),
        (&[url, "--rate", "0"], &["--rate '0'", "messages a second"]),
        (&[url, "--rate", "-1"], &["--rate '-1'"]),
        (&[url, "--size", "1k"], &["--size '1k'", "16-4096"]),
        (&[url, "--size", "67108865"], &["--size '67108865'"]),
        (&[url, "--text", "--binary"], &["--text", "--binary"]),
        (&[url, "--duration", "0"], &["--duration '0'", "from 0.1"]),
        (&[url, "--duration", "86401"], &["--duration '86401'"]),
        (&[url, "--ramp", "-1"], &["--ramp '-1'"]),
        (&[url, "--warm-up", "x"], &["--warm-up 'x'"]),
        (&[url, "--timeout", "0"], &["--timeout '0'"]),
        (&[url, "--threads", "0"], &["--threads '0'"]),
        (&[url, "--reply", "--push"], &["--reply", "--push"]),
        (&[url, "--receive", "--rate", "1"], &["--receive", "--rate"]),
        (&[url, "--connect-only", "--in-flight", "1"], &["--connect-only", "--in-flight"]),
        (&[url, "--message", "x", "--size", "1"], &["--message", "--size"]),
        (&[url, "-H", "secret"], &["--header", "a colon is missing"]),
        (&[url, "-H", "Host: x"], &["--header", "written by the handshake"]),
        (&[url, "--origin", "a\nb"], &["--origin", "control character"]),
        (&[url, "--protocol", "a b"], &["--protocol", "not a token"]),
        (&[url, "--ca", "no such file"], &["--ca", "no such file"]),
        (&[url, "--insecure"], &["--danger-accept-any-certificate", "--ca"]),
        (&[url, "--compress=zip"], &["--compress 'zip'"]),
        (&[url, "--listen", "127.0.0.1:0"], &["unknown option '--listen'"]),
    ];
    for (arguments, words) in table {
        let output = sotong().arg("bench").args(*arguments).output().unwrap();
        one_line(&output, Exit::Usage, words);
    }
}
