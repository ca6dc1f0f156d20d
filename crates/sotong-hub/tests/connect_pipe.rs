//! `sotong connect` between pipes: lines in, lines out, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod opposite;
mod program;

use std::process::Stdio;

use opposite::{BINARY, CLOSE, Client, Opposite, PING, PONG, TEXT, exit_code, run};
use program::{Program, sotong};
use serde_json::{Value, json};
use sotong_hub::cli::Exit;

fn echo() -> (Program, String) {
    let echo = Program::start(sotong().args(["echo", "--listen", "127.0.0.1:0", "--log", "off"]));
    let url = format!("ws://{}", echo.address);
    (echo, url)
}

#[test]
fn lines_in_and_their_answers_out() {
    let (_echo, url) = echo();
    for (input, expected) in [
        ("hi\n", "hi\n"),
        ("hi", "hi\n"),
        ("", ""),
        ("\n\n", "\n\n"),
        ("소통\r\n여섯\n", "소통\n여섯\n"),
        ("/close\n//\n", "/close\n//\n"),
    ] {
        let output = run(&url, &[], input.as_bytes());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing to be told");
        assert_eq!(output.status.code(), Some(0));
    }
}

/// More than any buffer on the way holds, so that both directions push back.
#[test]
fn a_long_input_comes_back_whole_and_in_order() {
    let (_echo, url) = echo();
    let input: String =
        (0..20_000).map(|number| format!("{number} {}\n", "x".repeat(number % 700))).collect();
    let output = run(&url, &[], input.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == input.as_bytes(), "{} of {} bytes", output.stdout.len(), input.len());
}

#[test]
fn what_comes_after_our_close_is_still_printed() {
    let opposite = Opposite::new();
    let mut client = Client::start(&opposite.url(), &[]);
    let mut server = opposite.accept();
    client.write("hi\n");
    client.end_of_input();
    assert_eq!(server.frame(), (TEXT, b"hi".to_vec()));
    assert_eq!(server.expect_close(), 1000);
    server.send(TEXT, b"late");
    server.send(BINARY, b"\0later\n");
    server.close(1000, "");
    drop(server);
    assert_eq!(client.wait(), (Some(0), vec!["late".into(), "\0later".into()], vec![]));
}

#[test]
fn waiting_after_the_end_of_input() {
    let opposite = Opposite::new();
    let mut client = Client::start(&opposite.url(), &["--wait", "forever"]);
    let mut server = opposite.accept();
    client.end_of_input();
    // Had a Close been sent, it would come before the Pong.
    server.send(PING, b"?");
    assert_eq!(server.frame(), (PONG, b"?".to_vec()));
    server.send(TEXT, b"pushed");
    assert_eq!(client.line(), "pushed");
    server.close(1001, "that is all");
    assert_eq!(server.expect_close(), 1001);
    drop(server);
    let (code, _, errors) = client.wait();
    assert_eq!(code, Some(0));
    assert_eq!(errors, ["sotong: closed by the server: 1001 (going away) \"that is all\""]);

    // With a time, the Close comes by itself.
    let mut client = Client::start(&opposite.url(), &["--wait", "0.05"]);
    let server = opposite.accept();
    client.end_of_input();
    assert_eq!(server.finish(), 1000);
    assert_eq!(client.wait().0, Some(0));
}

#[test]
fn the_code_of_the_close_decides_about_the_exit() {
    let opposite = Opposite::new();
    for (code, exit, words) in [
        (1000, Exit::Fine, "closed by the server: 1000 (normal) \"so\\e long\""),
        (1008, Exit::Abnormal, "closed by the server: 1008 (policy violation) \"so\\e long\""),
        (4321, Exit::Abnormal, "closed by the server: 4321 \"so\\e long\""),
    ] {
        let client = Client::start(&opposite.url(), &[]);
        let mut server = opposite.accept();
        server.close(code, "so\x1b long");
        assert_eq!(server.expect_close(), code);
        drop(server);
        let errors = vec![format!("sotong: {words}")];
        assert_eq!(client.wait(), (Some(i32::from(exit.code())), vec![], errors));
    }
    // A Close without a code is regular, and one that is missing is not.
    let client = Client::start(&opposite.url(), &["--quiet"]);
    let mut server = opposite.accept();
    server.send(CLOSE, b"");
    assert_eq!(server.frame().0, CLOSE);
    drop(server);
    assert_eq!(client.wait(), (Some(0), vec![], vec![]));
    let client = Client::start(&opposite.url(), &["--quiet"]);
    let mut server = opposite.accept();
    server.send(TEXT, b"and then nothing");
    drop(server);
    let (code, lines, errors) = client.wait();
    assert_eq!((code, lines), (Some(i32::from(Exit::Abnormal.code())), vec!["and then nothing".to_owned()]));
    assert_eq!(errors, ["sotong: the server vanished without a close frame (1006)"]);
}

#[test]
fn a_server_that_breaks_the_protocol_is_named_and_told() {
    let opposite = Opposite::new();
    let client = Client::start(&opposite.url(), &["--json"]);
    let mut server = opposite.accept();
    server.send(TEXT, b"\xff");
    assert_eq!(server.expect_close(), 1007);
    drop(server);
    assert_eq!(client.json()["event"], "open");
    let error = client.json();
    assert_eq!((&error["event"], &error["kind"]), (&json!("error"), &json!("abnormal")));
    let close = client.json();
    assert_eq!(close["sent"]["code"], 1007);
    assert_eq!(close["code"], 1006);
    let (code, _, errors) = client.wait();
    assert_eq!(code, Some(i32::from(Exit::Abnormal.code())));
    assert!(errors[0].contains("text message is not UTF-8"), "{errors:?}");
}

#[test]
fn bytes_go_out_and_come_in_as_they_are() {
    let (_echo, url) = echo();
    let bytes: Vec<u8> = (0..=255).collect();
    let output = run(&url, &["--binary", "--whole"], &bytes);
    assert_eq!((output.stdout, output.status.code()), (bytes, Some(0)));
    let output = run(&url, &["--binary", "--json"], b"a\xff\nb\r\n");
    let data: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["event"] == "message")
        .collect();
    let message = |base64| json!({"event": "message", "type": "binary", "base64": base64});
    assert_eq!(data, [message("Yf8="), message("Yg0=")]);
}

#[test]
fn json_tells_everything_in_order() {
    let opposite = Opposite::new();
    let options =
        ["--json", "--show-frames", "--protocol", "chat.v2", "--protocol", "chat.v1", "-H", "X-Token:  a b "];
    let mut client = Client::start(&opposite.url(), &options);
    let asked = opposite.request();
    assert_eq!(asked.header("Sec-WebSocket-Protocol"), Some("chat.v2, chat.v1"));
    assert_eq!(asked.header("X-Token"), Some("a b"));
    let mut server = asked.accept("Sec-WebSocket-Protocol: chat.v1\r\nServer: \u{202e}x\r\n");
    let open = client.json();
    assert_eq!(open["event"], "open");
    assert_eq!((&open["url"], &open["protocol"]), (&json!(opposite.url()), &json!("chat.v1")));
    assert_eq!(open["headers"]["server"], json!(["\u{202e}x"]));

    client.write("hi\n");
    assert_eq!(client.json(), json!({"event": "sent", "type": "text", "bytes": 2}));
    assert_eq!(server.frame(), (TEXT, b"hi".to_vec()));
    server.send(TEXT, "a\nb\u{9b}2J".as_bytes());
    let line = client.line();
    assert!(line.contains("a\\nb\\u009b2J"), "{line:?}");
    let message: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(message, json!({"event": "message", "type": "text", "data": "a\nb\u{9b}2J"}));
    server.close(4000, "done");
    assert_eq!(server.expect_close(), 4000);
    drop(server);
    let said = json!({"code": 4000, "reason": "done"});
    let close = client.json();
    assert_eq!(
        close,
        json!({"event": "close", "code": 4000, "reason": "done", "first": "server", "clean": true,
               "sent": close["sent"], "received": said, "error": null})
    );
    let (code, lines, _) = client.wait();
    assert_eq!((code, lines), (Some(i32::from(Exit::Abnormal.code())), vec![]));
}

#[test]
fn pings_show_their_latency() {
    let opposite = Opposite::new();
    let client = Client::start(&opposite.url(), &["--json", "--ping-interval", "0.02"]);
    let mut server = opposite.accept();
    assert_eq!(client.json()["event"], "open");
    for _ in 0..3 {
        let (opcode, payload) = server.frame();
        assert_eq!(opcode, PING);
        server.send(PONG, &payload);
        let pong = client.json();
        assert_eq!(pong["event"], "pong");
        assert!(pong["latency_ms"].as_f64().unwrap() >= 0.0, "{pong}");
    }
    // Otherwise the notice is on stderr, where it cannot be taken for a message.
    let client = Client::start(&opposite.url(), &["--ping-interval", "0.02"]);
    let mut server = opposite.accept();
    let (_, payload) = server.frame();
    server.send(PONG, &payload);
    let notice = client.error_line();
    assert!(notice.starts_with("sotong: pong after ") && notice.ends_with(" ms"), "{notice}");
}

#[test]
fn frames_are_shown_beside_the_messages() {
    let (_echo, url) = echo();
    let output = run(&url, &["--show-frames"], b"hi\n");
    assert_eq!(output.stdout, b"hi\n");
    let stderr = String::from_utf8(output.stderr).unwrap();
    for words in ["→ text, 2 bytes", "← text, 2 bytes", "→ close, 1000 (normal)", "← close, 1000 (normal)"]
    {
        assert!(stderr.contains(&format!("sotong: {words}\n")), "{words} is not in {stderr}");
    }
}

/// The limit holds both ways, at it and one past it.
#[test]
fn a_message_at_the_limit_and_one_past_it() {
    let (_echo, url) = echo();
    let output = run(&url, &["--message-bytes-max", "5"], b"12345\n");
    assert_eq!((output.stdout, output.status.code()), (b"12345\n".to_vec(), Some(0)));
    let output = run(&url, &["--message-bytes-max", "5"], b"one\n123456\nthree\n");
    assert_eq!((output.stdout, output.status.code()), (b"one\n".to_vec(), Some(1)));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("line 2 of stdin is longer than 5 bytes"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");

    let opposite = Opposite::new();
    let client = Client::start(&opposite.url(), &["--message-bytes-max", "5"]);
    let mut server = opposite.accept();
    server.send(TEXT, b"12345");
    assert_eq!(client.line(), "12345");
    server.send(TEXT, b"123456");
    assert_eq!(server.expect_close(), 1009);
    drop(server);
    let (code, _, errors) = client.wait();
    assert_eq!(code, Some(i32::from(Exit::Abnormal.code())));
    assert!(errors[0].contains("message of 6 bytes exceeds --message-bytes-max = 5"), "{errors:?}");
}

#[test]
fn input_that_is_not_utf8_is_named_by_its_line() {
    let (_echo, url) = echo();
    let output = run(&url, &[], b"a\nb\xff\nc\n");
    assert_eq!((output.stdout, output.status.code()), (b"a\n".to_vec(), Some(1)));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("sotong: line 2 of stdin is not UTF-8"), "{stderr}");
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let opposite = Opposite::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut child = sotong()
        .args(["connect", &opposite.url()])
        .stdin(Stdio::piped())
        .stdout(writer)
        .spawn()
        .expect("the binary starts");
    let mut server = opposite.accept();
    drop(reader);
    // Not always the first: a program that another test starts at this moment holds the pipe, too, until it is that
    // other program. Whoever still writes answers pings.
    loop {
        server.send(TEXT, b"one");
        server.send(PING, b"");
        let (opcode, payload) = server.frame();
        if opcode == CLOSE {
            assert_eq!(payload, 1000_u16.to_be_bytes());
            break server.close(1000, "");
        }
        assert_eq!(opcode, PONG, "{payload:?}");
    }
    assert_eq!(exit_code(&mut child), Some(0));
    assert_eq!(std::io::read_to_string(child.stderr.take().unwrap()).unwrap(), "");
}

#[cfg(unix)]
#[test]
fn the_first_signal_closes_and_the_second_does_not_wait() {
    let opposite = Opposite::new();
    for signal in ["INT", "TERM"] {
        let client = Client::start(&opposite.url(), &[]);
        let mut server = opposite.accept();
        server.send(TEXT, b"open");
        assert_eq!(client.line(), "open");
        client.signal(signal);
        assert_eq!(server.expect_close(), 1001);
        // What comes before the server's Close is still shown.
        server.send(TEXT, b"bye");
        server.close(1001, "");
        drop(server);
        assert_eq!(client.wait(), (Some(0), vec!["bye".into()], vec![]));

        let client = Client::start(&opposite.url(), &[]);
        let mut server = opposite.accept();
        server.send(TEXT, b"open");
        assert_eq!(client.line(), "open");
        client.signal(signal);
        assert_eq!(server.expect_close(), 1001);
        client.signal(signal);
        let (code, _, errors) = client.wait();
        assert_eq!(code, Some(i32::from(Exit::Interrupted.code())));
        assert_eq!(errors, ["sotong: ended at once, without a closing handshake"]);
    }
}

/// Nothing is read from stdin that cannot be sent: a server that does not read stops us, and not our memory.
#[cfg(target_os = "linux")]
#[test]
fn a_server_that_does_not_read_stops_the_input() {
    use std::io::Write;

    let opposite = Opposite::new();
    let (mut child, server) = {
        let mut command = sotong();
        command.args(["connect", &opposite.url()]).stdin(Stdio::piped());
        let child = command.spawn().expect("the binary starts");
        (child, opposite.accept())
    };
    let id = child.id();
    let mut stdin = child.stdin.take().unwrap();
    let (written, progress) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        // 256 MiB: far more than sockets and limits hold.
        for _ in 0..256 * 1024 {
            if stdin.write_all(&line).is_err() || written.send(()).is_err() {
                return;
            }
        }
    });
    let mut kib = 0;
    // It stalls: nothing more is taken for a while.
    while progress.recv_timeout(std::time::Duration::from_secs(1)).is_ok() {
        kib += 1;
        assert!(kib < 200 * 1024, "all of it was taken");
    }
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak").trim();
    let peak_kib: u64 = peak.split(' ').next().unwrap().parse().unwrap();
    assert!(peak_kib < 64 * 1024, "{peak_kib} KiB for {kib} KiB of input");
    drop(server);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The closing handshake is what counts; some servers leave TCP open for long after it.
#[test]
fn a_server_that_leaves_tcp_open_is_not_waited_for() {
    let opposite = Opposite::new();
    let client = Client::start(&opposite.url(), &[]);
    let mut server = opposite.accept();
    server.send(TEXT, b"hi");
    server.close(1000, "");
    let start = std::time::Instant::now();
    let (code, lines, errors) = client.wait();
    assert_eq!((code, lines), (Some(0), vec!["hi".to_owned()]));
    assert_eq!(errors, ["sotong: closed by the server: 1000 (normal)"]);
    assert!(start.elapsed().as_secs() < 8, "{:?}", start.elapsed());
    drop(server);
}
