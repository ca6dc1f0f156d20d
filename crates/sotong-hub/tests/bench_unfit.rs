//! `sotong bench` against servers that cannot be loaded, limits in the way, and Ctrl-C.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod load;
mod opposite;
mod program;

use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::mpsc;

use load::{bench, echo, json, number, parsed, server};
use opposite::{Opposite, TEXT};
use program::{DEADLINE, one_line};
use sotong_hub::cli::Exit;

#[track_caller]
fn fails(output: &Output, exit: Exit, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(i32::from(exit.code())), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is not in {stderr:?}");
    }
}

#[test]
fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = bench(&format!("ws://127.0.0.1:{port}"), &[]).output().unwrap();
    one_line(&output, Exit::Unreachable, &["refused"]);
}

#[test]
fn a_server_that_refuses_is_quoted_before_anything_starts() {
    let opposite = Opposite::new();
    let url = opposite.url();
    let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 12\r\nConnection: close\r\n\r\nnot \x1b[2J you";
    let server = std::thread::spawn(move || opposite.answer(answer));
    let output = bench(&url, &[]).output().unwrap();
    fails(&output, Exit::Refused, &["403", "\\e[2J"]);
    assert!(output.stdout.is_empty() && !output.stderr.contains(&0x1b));
    server.join().unwrap();
}

/// The first connect is answered, all others are refused: told by kind, with an example.
#[test]
fn refusals_are_counted_by_kind() {
    let opposite = Opposite::new();
    let url = opposite.url();
    std::thread::spawn(move || {
        let mut first = opposite.accept();
        let (opcode, payload) = first.frame();
        first.send(opcode, &payload);
        loop {
            opposite.answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let output = bench(&url, &["--json"]).output().unwrap();
    fails(&output, Exit::Failed, &["nothing was measured", "503"]);
    let report = parsed(&output);
    assert_eq!(report["faults"]["connect: refused with status 503"]["count"], 3, "{report:#}");
    assert_eq!(number(&report["connections"]["failed"]), 3);
    assert_eq!(number(&report["connections"]["opened"]), 0);
}

#[test]
fn a_server_that_says_something_else_is_no_echo() {
    let url = server(|conversation, _, _, _| conversation.send(TEXT, b"\x1b[2Jhello"));
    let output = bench(&url, &["--timeout", "0.1"]).output().unwrap();
    fails(&output, Exit::Failed, &["the server does not echo", "\\e[2Jhello", "--reply"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("the server does not echo") && !text.contains('\x1b'), "{text}");
}

#[test]
fn a_server_that_says_nothing_is_no_echo() {
    let url = server(|_, _, _, _| {});
    let output = bench(&url, &["--timeout", "0.1"]).output().unwrap();
    fails(&output, Exit::Failed, &["the server does not echo", "--push"]);
    let output = bench(&url, &["--timeout", "0.1", "--reply", "--rate", "50"]).output().unwrap();
    fails(&output, Exit::Failed, &["the server does not answer"]);
}

#[test]
fn a_certificate_is_checked_unless_told_otherwise() {
    let (program, _) = echo(&["--tls-self-signed"]);
    let url = format!("wss://{}/", program.address);
    let output = bench(&url, &[]).output().unwrap();
    fails(&output, Exit::Unreachable, &["certificate"]);
    let report = json(&mut bench(&url, &["--danger-accept-any-certificate"]));
    assert!(number(&report["window"]["done"]) > 0, "{report:#}");
}

/// Two greetings before the answers, and one answer with a changed byte.
#[test]
fn messages_that_are_no_answers_are_counted_and_shown() {
    let url = server(|conversation, before, opcode, payload| {
        if before == 0 {
            conversation.send(TEXT, b"welcome");
            conversation.send(TEXT, b"news");
        }
        conversation.send(opcode, payload);
    });
    let report = json(&mut bench(&url, &["--connections", "1"]));
    assert_eq!(report["messages"]["foreign"], 2, "{report:#}");
    assert_eq!(report["foreign_example"], "text \"welcome\"");
    let url = server(|conversation, before, opcode, payload| {
        let mut payload = payload.to_vec();
        payload[100] ^= u8::from(before == 5);
        conversation.send(opcode, &payload);
    });
    let report = json(&mut bench(&url, &["--connections", "1", "--in-flight", "2", "--timeout", "1"]));
    assert_eq!(report["messages"]["foreign"], 1, "{report:#}");
    assert_eq!(report["messages"]["timed_out"], 1, "{report:#}");
}

#[test]
fn a_connection_that_the_server_closes_is_told_with_its_code() {
    let url = server(|conversation, before, opcode, payload| match before {
        3 => conversation.close(4123, "enough"),
        _ => conversation.send(opcode, payload),
    });
    let report = json(&mut bench(&url, &[]));
    assert_eq!(report["faults"]["closed by the server with 4123"]["count"], 3, "{report:#}");
    let example = report["faults"]["closed by the server with 4123"]["example"].as_str().unwrap();
    assert!(example.contains("enough"), "{example}");
    assert_eq!(report["messages"]["answered"], 9);
    assert_eq!(report["messages"]["lost_with_connection"], 3);
    let text = String::from_utf8(bench(&url, &[]).output().unwrap().stdout).unwrap();
    assert!(text.contains("3 x  closed by the server with 4123"), "{text}");
}

/// The shell sets the limit, and becomes the program.
#[cfg(unix)]
fn limited(ulimit: &str, bench: &Command) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{ulimit}; exec \"$@\""), "sh"])
        .arg(bench.get_program())
        .args(bench.get_args());
    command.stdin(std::process::Stdio::null());
    command
}

#[cfg(unix)]
#[test]
fn the_limit_of_open_files_is_told_before_it_starts() {
    let wanted = bench("ws://127.0.0.1:1/", &["--connections", "100", "--threads", "1"]);
    let output = limited("ulimit -n 100", &wanted).output().unwrap();
    one_line(&output, Exit::Limit, &["open files", "100 connections need 120", "may have 100", "at most 80"]);
    let wanted = bench("ws://127.0.0.1:1/", &["--connections", "80", "--threads", "1"]);
    let output = limited("ulimit -n 100", &wanted).output().unwrap();
    one_line(&output, Exit::Unreachable, &["refused"]);
}

#[cfg(unix)]
#[test]
fn the_soft_limit_of_open_files_is_raised_and_that_is_told() {
    let (_program, url) = echo(&[]);
    let mut wanted = bench(&url, &["--connections", "60"]);
    let output = limited("ulimit -S -n 40", &wanted).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.contains("allowed were 40: raised to"), "{stderr}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("60 of 60"), "{text}");
    let output = limited("ulimit -S -n 40", wanted.arg("--quiet")).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_early_and_still_tells() {
    let (tell, told) = mpsc::channel();
    let url = server(move |conversation, before, opcode, payload| {
        conversation.send(opcode, payload);
        if before == 10 {
            tell.send(()).unwrap();
        }
    });
    let child = bench(&url, &["--duration", "600", "--connections", "1", "--json"]).spawn().unwrap();
    told.recv_timeout(DEADLINE).unwrap();
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = parsed(&output);
    assert_eq!(report["interrupted"], true);
    assert!(number(&report["messages"]["answered"]) > 10, "{report:#}");
    assert!(report["window"]["seconds"].as_f64().unwrap() < 60.0);
    assert!(report["notes"][0].as_str().unwrap().starts_with("ended early"), "{report:#}");
}
