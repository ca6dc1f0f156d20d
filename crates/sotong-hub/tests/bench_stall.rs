//! A server that stalls once, for a known time: at a rate, all who would have come meanwhile have waited.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod load;
mod opposite;
mod program;

use std::thread;
use std::time::Duration;

use load::{bench, echo, json, number, server};

const STALL: Duration = Duration::from_millis(400);

/// Echoes, and stops once for so long before it answers the 20th message.
fn stalling() -> String {
    server(|conversation, before, opcode, payload| {
        if before == 20 {
            thread::sleep(STALL);
        }
        conversation.send(opcode, payload);
    })
}

/// 100 messages, 40 of which are due while nothing is answered: the last of them waits for nothing, the first one for
/// all of it. All bounds are from below, so that a busy machine cannot break them.
#[test]
fn at_a_rate_a_stall_is_seen_by_all_who_would_have_come() {
    let report = json(&mut bench(&stalling(), &["--connections", "1", "--duration", "1", "--rate", "100"]));
    assert!((99..=101).contains(&number(&report["latency"]["count"])), "{report:#}");
    let latency = |field: &str| report["latency"][field].as_f64().unwrap();
    let at_least = |ms: f64, field: &str| assert!(latency(field) >= ms, "{field} of {report:#}");
    at_least(400.0, "max_ms");
    // A tenth of all waited for more than three quarters of it, a fifth for more than half of it; less a message or two.
    at_least(270.0, "p90_ms");
    at_least(370.0, "p99_ms");
    at_least(80.0, "mean_ms");
}

/// The same server, asked only when it has answered: one message in hundreds has waited. This is what makes such
/// figures wrong for users who come unasked, and the result says so.
#[test]
fn in_a_closed_loop_one_message_sees_it() {
    let output = bench(&stalling(), &["--connections", "1", "--duration", "1"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("closed loop") && text.contains("--rate"), "{text}");
}

/// What a server does not take in time stays due, and its latency goes on; and what comes back is read meanwhile, so
/// that it and a server that waits for that do not wait for each other.
#[test]
fn much_on_the_way_is_late_and_comes_back() {
    let url = server(|conversation, before, opcode, payload| {
        if before == 2 {
            thread::sleep(STALL);
        }
        conversation.send(opcode, payload);
    });
    let options = ["--connections", "1", "--duration", "1", "--rate", "40", "--size", "300000"];
    let report = json(&mut bench(&url, &options));
    assert!(report["latency"]["max_ms"].as_f64().unwrap() >= 400.0, "{report:#}");
    assert_eq!(report["messages"]["answered"], report["messages"]["sent"], "{report:#}");

    // Both ends have more to say than all buffers between them take.
    let (_program, url) = echo(&[]);
    for options in [["--in-flight", "40", "--size", "1000000"], ["--in-flight", "20000", "--size", "1000"]] {
        let report = json(&mut bench(&url, &[&options[..], &["--connections", "1"]].concat()));
        assert!(number(&report["messages"]["answered"]) >= 40, "{report:#}");
        assert_eq!(report["messages"]["answered"], report["messages"]["sent"], "{report:#}");
    }
}
