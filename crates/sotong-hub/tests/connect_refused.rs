//! `sotong connect` that does not connect: one clear line, and the exit code that says whose fault it is.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod opposite;
mod program;

use std::net::TcpListener;
use std::thread;

use opposite::{Client, Opposite, run};
use program::{one_line, sotong};
use serde_json::{Value, json};
use sotong_hub::cli::Exit;

#[test]
fn a_url_without_its_scheme_is_not_repeated_with_its_secrets() {
    for url in [
        "user:hunter2@127.0.0.1:1/chat",
        "user:hun/hunter2@127.0.0.1:1/chat?hunter2",
        "127.0.0.1:1/chat#hunter2",
    ] {
        let output = sotong().args(["connect", url]).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("ws://127.0.0.1:1/chat") && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn each_wrong_command_line_gets_one_line() {
    let url = "ws://127.0.0.1:1/";
    let table: &[(&[&str], &[&str])] = &[
        (&["localhost:9001"], &["URL 'localhost:9001'", "the scheme is missing", "ws://localhost:9001"]),
        (&["http://127.0.0.1/"], &["http://", "write ws://"]),
        (&["ftp://127.0.0.1/"], &["ftp", "ws or wss"]),
        (&["ws://127.0.0.1/#here"], &["fragment"]),
        (&["ws://"], &["URL", "host"]),
        (&["ws://127.0.0.1:70000/"], &["URL", "port"]),
        (&["ws://a\nb/"], &["URL", "control character"]),
        (&[""], &["URL"]),
        (&[], &["the URL is missing"]),
        (&[url, "-H", "secret"], &["--header", "a colon is missing"]),
        (&[url, "-H", "A: b\r\nC: d"], &["--header", "control character"]),
        (&[url, "-H", "A B: c"], &["--header"]),
        (&[url, "-H", ": c"], &["--header"]),
        (&[url, "-H", "Host: x"], &["--header", "written by the handshake"]),
        (&[url, "-H", "Sec-WebSocket-Key: x"], &["--header", "written by the handshake"]),
        (&[url, "--origin", "a\nb"], &["--origin", "control character"]),
        (
            &[url, "-H", "origin: a", "--origin", "b"],
            &["--header 'Origin: …' and --origin", "give one of them"],
        ),
        (
            &[url, "-H", "authorization: Basic hunter2", "--auth", "me:secret"],
            &["--header 'Authorization: …' and --auth", "give one of them"],
        ),
        (&[url, "--protocol", "a b"], &["--protocol", "not a token"]),
        (&[url, "--protocol", "a", "--protocol", "a"], &["--protocol"]),
        (&[url, "--ca", "no such file"], &["--ca", "no such file"]),
        (&[url, "--insecure"], &["--danger-accept-any-certificate", "--ca"]),
        (&[url, "--wait", "long"], &["--wait 'long'", "a number of seconds from 0 to 86400"]),
        (&[url, "--ping-interval", "0"], &["--ping-interval '0'", "from 0.01"]),
        (&[url, "--ping-interval", "-1"], &["--ping-interval '-1'"]),
        (&[url, "--connect-timeout", "0"], &["--connect-timeout '0'"]),
        (&[url, "--message-bytes-max", "0"], &["--message-bytes-max '0'"]),
        (&[url, "--quiet", "--show-frames"], &["--quiet", "--show-frames"]),
        (&[url, "--listen", "127.0.0.1:0"], &["unknown option '--listen'"]),
    ];
    for (arguments, words) in table {
        let output = sotong().arg("connect").args(*arguments).output().unwrap();
        one_line(&output, Exit::Usage, words);
    }
}

#[test]
fn a_secret_in_a_wrong_header_is_not_repeated() {
    for header in ["Bearer hunter2", "A: hunter2\nB: c", "Bad Name: hunter2"] {
        let output = run("ws://127.0.0.1:1/", &["-H", header], b"");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"), "{output:?}");
    }
}

#[test]
fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = run(&format!("ws://127.0.0.1:{port}"), &[], b"");
    one_line(&output, Exit::Unreachable, &[&format!("127.0.0.1:{port}"), "refused"]);
}

#[test]
fn no_such_host() {
    // The top-level domain is reserved to hold no name (RFC 6761, section 6.4).
    let output = run("ws://nobody.invalid/", &[], b"");
    one_line(&output, Exit::Unreachable, &["nobody.invalid", "cannot be resolved"]);
}

#[test]
fn a_server_that_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let output = run(&url, &["--connect-timeout", "0.05"], b"");
    one_line(&output, Exit::Unreachable, &["the WebSocket handshake took longer than --connect-timeout"]);
}

#[test]
fn no_tls_where_there_should_be() {
    let opposite = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}/", opposite.local_addr().unwrap());
    let server = thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = opposite.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Kept open until the other end has seen it.
        std::io::copy(&mut stream, &mut std::io::sink())
    });
    one_line(&run(&url, &[], b""), Exit::Unreachable, &["TLS"]);
    let _ = server.join().unwrap();
}

const FORBIDDEN: &str =
    "HTTP/1.1 403 Forbidden\r\nX-Why: not\u{1b}[31m you\r\nContent-Length: 12\r\n\r\nno\u{1b}[2J\nentry";
const FORBIDDEN_CLEAN: &str =
    "HTTP/1.1 403 Forbidden\r\nX-Why: not you\r\nContent-Length: 15\r\n\r\nno\u{1b}[2J\nentry\u{202e}";

#[test]
fn a_refused_handshake_shows_the_answer_escaped() {
    let opposite = Opposite::new();
    let url = opposite.url();
    let server = thread::spawn(move || {
        for _ in 0..3 {
            opposite.answer(FORBIDDEN_CLEAN);
        }
        opposite.answer(FORBIDDEN);
    });
    let output = run(&url, &[], b"hi\n");
    assert_eq!(output.status.code(), Some(i32::from(Exit::Refused.code())));
    assert!(output.stdout.is_empty());
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "sotong: the server answered 403 Forbidden instead of 101\n  X-Why: not you\n  Content-Length: 15\n\n  \
         no\\e[2J\n  entry\\u{202e}\n"
    );
    one_line(&run(&url, &["--quiet"], b""), Exit::Refused, &["403 Forbidden"]);
    let output = run(&url, &["--json"], b"");
    let event: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        event,
        json!({"event": "error", "kind": "refused", "message": "the server answered 403 Forbidden instead of 101",
               "status": 403, "headers": {"x-why": ["not you"], "content-length": ["15"]},
               "body": "no\u{1b}[2J\nentry\u{202e}", "body_is_whole": true})
    );
    // Control characters in a head are no HTTP; whatever is said about it, none of them gets through.
    let output = run(&url, &[], b"");
    assert_eq!(output.status.code(), Some(i32::from(Exit::Refused.code())));
    assert!(!output.stderr.contains(&0x1b), "{}", String::from_utf8_lossy(&output.stderr));
    server.join().unwrap();
}

#[test]
fn answers_that_break_the_rules() {
    let opposite = Opposite::new();
    let url = opposite.url();
    let answers = [
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "",
    ];
    let server = thread::spawn(move || answers.map(|answer| opposite.answer(answer)));
    for answer in answers {
        let output = run(&url, &[], b"");
        // An end without any answer may be told as the network's.
        let exit = if answer.is_empty() { output.status.code() } else { Some(5) };
        assert_eq!(output.status.code(), exit, "{answer}");
        assert_ne!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
    }
    server.join().unwrap();
}

#[cfg(unix)]
#[test]
fn a_signal_while_connecting_ends_at_once() {
    let opposite = Opposite::new();
    let client = Client::start(&opposite.url(), &[]);
    let asked = opposite.request();
    client.signal("INT");
    let (code, _, errors) = client.wait();
    assert_eq!(code, Some(i32::from(Exit::Interrupted.code())));
    assert_eq!(errors, ["sotong: ended before there was a connection"]);
    drop(asked);
}
