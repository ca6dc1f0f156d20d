//! `sotong connect --reconnect`: it stays connected, and says when it is not.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod opposite;
mod program;

use opposite::{Client, Opposite, TEXT, run};
use serde_json::json;
use sotong_hub::cli::Exit;

#[test]
fn lines_go_on_across_connections_and_each_change_is_told() {
    let opposite = Opposite::new();
    let place = opposite.url()["ws://".len()..].trim_end_matches('/').to_owned();
    let mut client = Client::start(&opposite.url(), &["--reconnect"]);
    let mut server = opposite.accept();
    assert_eq!(client.error_line(), format!("sotong: connected to ws://{place}/ ({place})"));
    client.write("one\n");
    assert_eq!(server.frame(), (TEXT, b"one".to_vec()));
    server.send(TEXT, b"from the first");
    server.close(1012, "restart");
    assert_eq!(server.expect_close_skipping_pings(), 1012);
    drop(server);
    assert_eq!(client.line(), "from the first");
    let told = client.error_line();
    let start = "sotong: closed by the server: 1012 (service restart) \"restart\"; try 1 in ";
    assert!(told.starts_with(start) && told.ends_with(" s"), "{told}");
    // What is said meanwhile waits.
    client.write("two\n");
    client.end_of_input();
    let mut server = opposite.accept();
    assert_eq!(client.error_line(), "sotong: connecting again, try 1");
    assert!(client.error_line().starts_with("sotong: connected to "));
    assert_eq!(server.frame(), (TEXT, b"two".to_vec()));
    server.answer_ping();
    server.send(TEXT, b"from the second");
    assert_eq!(client.line(), "from the second");
    assert_eq!(server.finish(), 1000);
    let (code, lines, errors) = client.wait();
    assert_eq!(lines, [""; 0]);
    // What the first connection took was never confirmed, and that is told.
    assert_eq!(code, Some(i32::from(Exit::Abnormal.code())), "{errors:?}");
    assert!(errors.iter().any(|line| line.contains("1 message was not confirmed")), "{errors:?}");
}

#[test]
fn changes_are_events_of_json() {
    let opposite = Opposite::new();
    let url = opposite.url();
    let mut client = Client::start(&url, &["--reconnect", "--json", "--wait", "forever"]);
    let mut server = opposite.accept();
    let open = client.json();
    assert_eq!((&open["event"], &open["url"]), (&json!("open"), &json!(url)));
    server.close(1013, "");
    assert_eq!(server.expect_close(), 1013);
    drop(server);
    let waiting = client.json();
    assert_eq!(
        (&waiting["event"], &waiting["try"], &waiting["code"]),
        (&json!("waiting"), &json!(1), &json!(1013))
    );
    assert!(waiting["delay_ms"].as_u64().unwrap() <= 5000 && waiting["because"].is_string(), "{waiting}");
    let mut server = opposite.accept();
    assert_eq!(client.json(), json!({"event": "connecting", "try": 1}));
    assert_eq!(client.json()["event"], "open");
    client.end_of_input();
    // 1000 says that there is nothing to come back for.
    server.close(1000, "done");
    assert_eq!(server.expect_close(), 1000);
    drop(server);
    let close = client.json();
    assert_eq!(
        (&close["event"], &close["code"], &close["reason"]),
        (&json!("close"), &json!(1000), &json!("done"))
    );
    assert_eq!(client.wait().0, Some(0));
}

#[test]
fn what_would_be_refused_again_ends_it_and_so_does_the_number_of_tries() {
    let opposite = Opposite::new();
    let url = opposite.url();
    let server = std::thread::spawn(move || {
        opposite.answer("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        (0..2).for_each(|_| opposite.answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"));
    });
    let output = run(&url, &["--reconnect"], b"hi\n");
    assert_eq!(output.status.code(), Some(i32::from(Exit::Refused.code())));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("sotong: the server answered 403 Forbidden"), "{told}");
    // Also if there is nothing to say.
    let output = run(&url, &["--reconnect=1"], b"");
    assert_eq!(output.status.code(), Some(i32::from(Exit::Refused.code())));
    let told = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("sotong: not connected: the server answered 503 Busy"), "{told}");
    assert_eq!(lines[1], "sotong: connecting again, try 1");
    assert!(lines[2].starts_with("sotong: gave up: the server answered 503 Busy"), "{told}");
    server.join().unwrap();
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_while_it_waits() {
    let opposite = Opposite::new();
    let url = opposite.url();
    let client = Client::start(&url, &["--reconnect"]);
    opposite.answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    // Nobody listens from now on, so that it goes on waiting whenever it tries.
    drop(opposite);
    assert!(client.error_line().contains("not connected: "));
    client.signal("INT");
    let (code, lines, _) = client.wait();
    assert_eq!((code, lines), (Some(0), vec![]));
}
