//! The pages, asked for by raw HTTP.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod program;

use std::io::{Read, Write};

use program::Program;

fn get(program: &Program, path: &str) -> String {
    program.request(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", program.address))
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap();
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

#[test]
fn each_page_comes_with_its_type_and_its_guards() {
    let program = Program::serve(&[]);
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/chat", "text/html; charset=utf-8"),
        ("/chat?room=%EB%B0%A9", "text/html; charset=utf-8"),
        ("/game", "text/html; charset=utf-8"),
        ("/chat.js", "text/javascript; charset=utf-8"),
        ("/socket.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
        ("/nowhere", "text/plain; charset=utf-8"),
    ] {
        let answer = get(&program, path);
        assert_eq!(header(&answer, "content-type"), Some(content_type), "{path}: {answer}");
        assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"));
        assert_eq!(header(&answer, "referrer-policy"), Some("no-referrer"));
        assert_eq!(header(&answer, "cache-control"), Some("no-cache"));
        let policy = header(&answer, "content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
    }
}

#[test]
fn the_first_page_leads_to_the_chat() {
    let program = Program::serve(&[]);
    let answer = get(&program, "/");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("href=\"/chat\""));
}

/// The page tells somebody who pastes too much before the hub does, which may have to end the connection instead.
#[test]
fn the_chat_knows_the_limit_of_the_hub() {
    let program = Program::serve(&[]);
    let script = get(&program, "/chat.js");
    let limit =
        script.split("const DATA_BYTES_MAX = ").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
    assert_eq!(limit.replace('_', ""), sotong_hub::core::Limits::default().data_bytes_max.to_string());
}

#[test]
fn head_is_get_without_the_body() {
    let program = Program::serve(&[]);
    let get = get(&program, "/");
    let head = program.request(&format!("HEAD / HTTP/1.1\r\nHost: {}\r\n\r\n", program.address));
    let (get_head, get_body) = get.split_once("\r\n\r\n").unwrap();
    let (head, body) = head.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "");
    assert_eq!(header(get_head, "content-length"), Some(&*get_body.len().to_string()));
    for name in ["content-length", "content-type", "etag", "content-security-policy"] {
        assert_eq!(header(head, name), header(get_head, name), "{name}");
    }
}

#[test]
fn what_is_not_there_is_404() {
    let program = Program::serve(&[]);
    for path in ["/nowhere", "/chat/", "/../Cargo.toml", "/%2e%2e/chat.js", "/CHAT", "//"] {
        let answer = get(&program, path);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        assert!(answer.ends_with("there is no such page; the first one is at /\n"), "{answer}");
    }
}

#[test]
fn other_methods_are_405() {
    let program = Program::serve(&[]);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let request =
            format!("{method} / HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", program.address);
        let answer = program.request(&request);
        assert!(answer.starts_with("HTTP/1.1 405 "), "{method}: {answer}");
        assert_eq!(header(&answer, "allow"), Some("GET, HEAD"));
    }
}

#[test]
fn a_page_that_the_browser_has_is_304() {
    let program = Program::serve(&[]);
    let fresh = get(&program, "/style.css");
    let etag = header(&fresh, "etag").unwrap();
    let ask = |tags: &str| {
        let head =
            format!("GET /style.css HTTP/1.1\r\nHost: {}\r\nIf-None-Match: {tags}\r\n\r\n", program.address);
        program.request(&head)
    };
    for tags in [etag.to_owned(), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let answer = ask(&tags);
        assert!(answer.starts_with("HTTP/1.1 304 "), "{tags}: {answer}");
        assert!(answer.ends_with("\r\n\r\n"), "no body");
    }
    assert!(ask("\"0000000000000000\"").starts_with("HTTP/1.1 200 "));
}

#[test]
fn the_end_point_says_what_it_speaks() {
    let program = Program::serve(&[]);
    let answer = get(&program, "/ws");
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert_eq!(header(&answer, "upgrade"), Some("websocket"));
    assert_eq!(header(&answer, "connection"), Some("upgrade, close"));
    assert_eq!(header(&answer, "sec-websocket-version"), Some("13"));
}

/// A proxy that pools connections must never find one that hyper keeps: its next request on it could be for a
/// WebSocket. `request` itself shows it, too: it reads until the connection ends.
#[test]
fn a_page_connection_ends_with_its_answer() {
    let program = Program::serve(&[]);
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        program.address
    );
    let page =
        format!("GET /favicon.svg HTTP/1.1\r\nHost: {}\r\nConnection: keep-alive\r\n\r\n", program.address);
    let answer = program.request(&format!("{page}{upgrade}"));
    assert_eq!(header(&answer, "connection"), Some("close"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered() {
    let program = Program::serve(&[]);
    let mut stream = std::net::TcpStream::connect(program.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(program::DEADLINE)).unwrap();
    for byte in format!("GET /favicon.svg HTTP/1.1\r\nHost: {}\r\n\r\n", program.address).bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}
