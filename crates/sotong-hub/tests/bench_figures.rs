//! What `sotong bench` counts: it adds up, in each way to load a server.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod load;
mod opposite;
mod program;

use load::{bench, echo, json, number, server};
use opposite::TEXT;
use serde_json::Value;

/// The sums that hold for every run.
#[track_caller]
fn adds_up(report: &Value) {
    let (window, messages) = (&report["window"], &report["messages"]);
    let seconds = report["seconds"].as_array().unwrap();
    for field in ["sent", "done", "bytes_sent", "bytes_received"] {
        let sum: u64 = seconds.iter().map(|second| number(&second[field])).sum();
        assert_eq!(sum, number(&window[field]), "{field} of {report:#}");
    }
    let length: f64 = seconds.iter().map(|second| second["seconds"].as_f64().unwrap()).sum();
    assert!((length - window["seconds"].as_f64().unwrap()).abs() < 1e-6, "{report:#}");
    let ends = ["answered", "timed_out", "lost_with_connection", "unanswered_at_end"];
    if matches!(report["asked"]["exchange"].as_str(), Some("echo" | "reply")) {
        let ended: u64 = ends.iter().map(|end| number(&messages[*end])).sum();
        assert_eq!(ended, number(&messages["sent"]), "{report:#}");
        assert_eq!(
            number(&messages["answered"]) + number(&messages["foreign"]),
            number(&messages["received"]),
            "{report:#}"
        );
    }
}

#[track_caller]
fn is_clean(report: &Value) {
    adds_up(report);
    assert!(number(&report["window"]["done"]) > 0, "{report:#}");
    assert_eq!(report["faults"], serde_json::json!({}), "{report:#}");
    for field in ["timed_out", "lost_with_connection", "unanswered_at_end", "foreign", "out_of_order"] {
        assert_eq!(report["messages"][field], 0, "{field} of {report:#}");
    }
}

#[test]
fn every_kind_of_message_comes_back_from_an_echo() {
    let (_program, url) = echo(&["--compress"]);
    let table: &[&[&str]] = &[
        &[],
        &["--in-flight", "20"],
        &["--size", "0"],
        &["--size", "1", "--in-flight", "3"],
        &["--size", "7,200,70000", "--binary"],
        &["--size", "16-3000", "--in-flight", "5", "--threads", "2"],
        &["--rate", "300", "--threads", "2"],
        &["--message", "소통 <&>"],
        &["--compress", "--size", "1000"],
    ];
    for options in table {
        let report = json(&mut bench(&url, options));
        is_clean(&report);
        assert_eq!(report["connections"]["opened"], 3, "{options:?}");
        let latency = &report["latency"];
        let values =
            ["min_ms", "p50_ms", "p75_ms", "p90_ms", "p95_ms", "p99_ms", "p99_9_ms", "p99_99_ms", "max_ms"]
                .map(|field| latency[field].as_f64().unwrap());
        assert!(values.is_sorted() && values[0] > 0.0, "{latency}");
        assert_eq!(report["target"]["extensions"].is_string(), options.contains(&"--compress"), "{report:#}");
    }
}

/// 300 a second for 200 ms: what is due is known to the message.
#[test]
fn a_rate_is_kept_to_the_message() {
    let (_program, url) = echo(&[]);
    let report = json(&mut bench(&url, &["--rate", "300"]));
    is_clean(&report);
    // Latency counts what was due inside the window, whose border may lie on a message.
    let counted = number(&report["latency"]["count"]);
    assert!((59..=61).contains(&counted), "{report:#}");
    assert_eq!(number(&report["lateness"]["count"]), counted);
    assert_eq!(report["messages"]["not_sent"], 0);
}

#[test]
fn any_answer_will_do_if_asked_for() {
    let url = server(|conversation, _, _, _| conversation.send(TEXT, b"{\"ok\":true}"));
    let report = json(&mut bench(&url, &["--reply", "--message", "{\"get\":1}", "--in-flight", "4"]));
    is_clean(&report);
    assert_eq!(report["asked"]["exchange"], "reply");
}

#[test]
fn answers_in_another_order_are_still_matched() {
    let url = server(|conversation, before, opcode, payload| {
        // Every second message overtakes the one before, which is held back.
        thread_local!(static HELD: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) });
        if before % 2 == 0 {
            HELD.set(payload.to_vec());
        } else {
            conversation.send(opcode, payload);
            conversation.send(opcode, &HELD.take());
        }
    });
    let report = json(&mut bench(&url, &["--in-flight", "2", "--timeout", "1"]));
    adds_up(&report);
    assert!(number(&report["messages"]["out_of_order"]) > 0, "{report:#}");
    assert_eq!(report["messages"]["foreign"], 0);
}

#[test]
fn sending_alone_listening_alone_and_connecting_alone() {
    let url = server(|conversation, before, _, _| {
        if before == 0 {
            for _ in 0..100 {
                conversation.send(TEXT, b"12345");
            }
        }
    });
    let report = json(&mut bench(&url, &["--push"]));
    is_clean(&report);
    assert_eq!(report["window"]["done"], report["window"]["sent"]);
    let report = json(&mut bench(&url, &["--push", "--rate", "300"]));
    is_clean(&report);
    assert!(number(&report["window"]["done"]) <= 61);

    let (_program, url) = echo(&[]);
    let report = json(&mut bench(&url, &["--connect-only"]));
    is_clean(&report);
    assert_eq!(report["window"]["done"], report["seconds"][0]["done"]);
    assert!(report["latency"]["p50_ms"].as_f64().unwrap() > 0.0);
}

#[test]
fn what_a_server_sends_unasked_is_counted() {
    let url = server(|conversation, _, _, payload| {
        assert_eq!(payload, b"begin");
        // Until the Close, so that some come inside the window, whenever that is; at a pace that a log can take.
        while !conversation.has_more() {
            conversation.send(TEXT, b"12345");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    });
    let report = json(&mut bench(&url, &["--receive", "--message", "begin"]));
    adds_up(&report);
    let done = number(&report["window"]["done"]);
    assert!(done > 0, "{report:#}");
    assert_eq!(number(&report["window"]["bytes_received"]), done * 5);
    assert_eq!(report["messages"]["sent"], 3);
}

#[test]
fn text_has_the_figures_and_says_what_a_closed_loop_means() {
    let (_program, url) = echo(&[]);
    let output = bench(&url.replace("ws://", "ws://me:hidden@"), &[]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for words in
        ["answers", "a second", "p99.9", "3 of 3", "closed loop", "3 connections, 1 in flight", "cores"]
    {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    assert!(!text.contains("hidden"), "{text}");
    let output = bench(&url, &["--rate", "100"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("sent late by") && !text.contains("closed loop"), "{text}");
}
