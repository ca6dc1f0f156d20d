//! `sotong serve` behind proxies, and what one client may have.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod program;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use program::{DEADLINE, Peer, Program, sotong};

const CHAT: &str = "/ws?sub=chat:lobby";

#[test]
fn each_wrong_option_gets_one_line_and_exit_code_2() {
    for (options, words) in [
        (&["--public-origin", "chat.example.com"][..], &["--public-origin", "not an origin"][..]),
        (&["--public-origin", "wss://chat.example.com"], &["--public-origin", "not an origin"]),
        (&["--trusted-proxy", "nginx"], &["--trusted-proxy", "\"nginx\"", "10.0.0.0/8"]),
        (&["--trusted-proxy", "10.1.2.3/8"], &["--trusted-proxy", "did you mean 10.0.0.0/8?"]),
        (&["--trusted-proxy", "0.0.0.0/0"], &["--trusted-proxy", "everybody"]),
        (&["--proxy-protocol"], &["--proxy-protocol", "--trusted-proxy"]),
        (&["--forwarded-header", "via"], &["--forwarded-header", "x-forwarded-for or forwarded"]),
        (&["--connections-max", "0"], &["--connections-max", "from 1 on"]),
        (&["--connections-per-ip-max", "-1"], &["--connections-per-ip-max", "from 1 on"]),
        (&["--connection-rate-per-ip", "10"], &["--connection-rate-per-ip", "10:100"]),
        (&["--message-rate", "fast"], &["--message-rate", "10:100"]),
        (&["--metrics", "9464"], &["--metrics", "127.0.0.1:8000"]),
    ] {
        let output = sotong().arg("serve").args(options).output().expect("the binary starts");
        let text = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{options:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{options:?}: {text}");
        assert!(words.iter().all(|word| text.contains(word)), "{options:?}: {text}");
    }
}

#[test]
fn a_metrics_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it has one").to_string();
    let output = sotong().args(["serve", "--listen", "127.0.0.1:0", "--metrics", &address]).output();
    let output = output.expect("the binary starts");
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains(&address) && text.contains("for metrics"), "{text}");
}

#[test]
fn the_public_origin_gets_in_and_others_do_not() {
    let program = Program::serve(&["--public-origin", "https://chat.example.com"]);
    for (origin, wanted) in [
        ("https://chat.example.com", true),
        ("http://chat.example.com", false),
        ("https://chat.example.com.evil.example", false),
        ("null", false),
    ] {
        let opened = Peer::open(program.address, CHAT, &format!("Origin: {origin}\r\n"));
        assert_eq!(opened.is_ok(), wanted, "{origin}");
        if let Err(answer) = opened {
            assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        }
    }
}

#[test]
fn behind_a_trusted_proxy_limits_are_about_its_clients() {
    let program = Program::serve(&["--trusted-proxy", "127.0.0.1", "--connections-per-ip-max", "1"]);
    let from = |client: &str| Peer::open(program.address, CHAT, &format!("X-Forwarded-For: {client}\r\n"));
    let _first = from("192.0.2.1").expect("it is the first");
    let _second = from("192.0.2.2").expect("another client");
    let answer = from("203.0.113.1, 192.0.2.1").err().expect("it is the second of its address");
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("\r\nRetry-After: "), "{answer}");
    // Pages behind a proxy are the proxy's business.
    assert!(program.request("GET / HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_client_that_sends_too_fast_is_closed() {
    let program = Program::serve(&["--message-rate", "1:3"]);
    let mut peer = program.peer(CHAT);
    for _ in 0..50 {
        peer.send(r#"{"id":1,"history":{"channel":"chat:lobby"}}"#);
    }
    assert_eq!(peer.close().0, 1008);
}

fn page(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket can do that");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn metrics_are_served_on_an_address_of_their_own() {
    let mut command = sotong();
    command.args(["serve", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
    let mut child = command.spawn().expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut address = |words: &str| -> SocketAddr {
        let line = lines.next().expect("a line").expect("text");
        let rest = line.split_once(words).unwrap_or_else(|| panic!("{words:?} in {line:?}")).1;
        let address = rest.split('/').next().expect("there is a first part");
        address.parse().unwrap_or_else(|_| panic!("an address in {line:?}"))
    };
    let server = address("sotong serve: open http://");
    let metrics = address("sotong serve: metrics at http://");
    let peer = Peer::open(server, CHAT, "").unwrap_or_else(|answer| panic!("{answer}"));
    assert!(Peer::open(server, CHAT, "Origin: http://evil.example\r\n").is_err());
    let answer = page(metrics, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for line in [
        "# TYPE sotong_connections gauge",
        "sotong_connections{side=\"server\"} 1",
        "sotong_connections_opened_total{side=\"server\"} 1",
        "sotong_handshakes_refused_total{status=\"403\"} 1",
    ] {
        assert!(answer.contains(&format!("\n{line}\n")), "{line}\n{answer}");
    }
    let answer = page(metrics, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("/metrics"), "{answer}");
    let answer = page(metrics, "POST /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    drop(peer);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}
