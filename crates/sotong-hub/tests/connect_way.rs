//! `sotong connect` on its way: proxies, redirects, logins, the code that it closes with.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod opposite;
mod program;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use opposite::{Client, Opposite, TEXT, run};
use program::{DEADLINE, Program, one_line, sotong};
use serde_json::{Value, json};
use sotong_hub::cli::Exit;

/// A name that nobody but a proxy can resolve (RFC 6761, section 6.4).
const URL: &str = "ws://server.invalid:81/";

fn echo() -> Program {
    Program::start(sotong().args(["echo", "--listen", "127.0.0.1:0", "--log", "off"]))
}

/// A proxy for one connection, which carries to `target` whatever it was asked for. The head that came.
fn http_proxy(target: &Program) -> (String, JoinHandle<String>) {
    let (listener, target) = (TcpListener::bind("127.0.0.1:0").unwrap(), target.address);
    let address = listener.local_addr().unwrap().to_string();
    let carrying = thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        near.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut near = BufReader::new(near);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(near.read_line(&mut head).unwrap(), 0, "the head ended early: {head}");
        }
        let mut near = near.into_inner();
        near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        carry(near, TcpStream::connect(target).unwrap());
        head
    });
    (address, carrying)
}

fn socks_proxy(target: &Program) -> (String, JoinHandle<Vec<u8>>) {
    let (listener, target) = (TcpListener::bind("127.0.0.1:0").unwrap(), target.address);
    let address = listener.local_addr().unwrap().to_string();
    let carrying = thread::spawn(move || {
        let (mut near, _) = listener.accept().unwrap();
        near.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut hello = [0; 3];
        near.read_exact(&mut hello).unwrap();
        assert_eq!(hello, [5, 1, 0]);
        near.write_all(&[5, 0]).unwrap();
        let mut request = vec![0; 5 + "server.invalid".len() + 2];
        near.read_exact(&mut request).unwrap();
        near.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        carry(near, TcpStream::connect(target).unwrap());
        request
    });
    (address, carrying)
}

fn carry(near: TcpStream, far: TcpStream) {
    let (mut from_near, mut to_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    let there = thread::spawn(move || {
        let _ = std::io::copy(&mut from_near, &mut to_far);
        let _ = to_far.shutdown(std::net::Shutdown::Write);
    });
    let (mut from_far, mut to_near) = (far, near);
    let _ = std::io::copy(&mut from_far, &mut to_near);
    let _ = to_near.shutdown(std::net::Shutdown::Write);
    there.join().unwrap();
}

/// A file that is gone when the value is.
struct Secret(PathBuf);

impl Secret {
    fn new(name: &str, content: &str) -> Secret {
        let file = std::env::temp_dir().join(format!("sotong-{}-{name}", std::process::id()));
        fs::write(&file, content).unwrap();
        Secret(file)
    }

    fn argument(&self) -> String {
        format!("@{}", self.0.display())
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Runs `sotong connect` in an environment of its own: `hi` goes in.
fn run_with(variables: &[(&str, &str)], options: &[&str]) -> Output {
    let mut command = sotong();
    command.arg("connect").args(options).envs(variables.iter().copied()).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hi\n").unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn has_echoed(output: &Output) {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"hi\n"[..]));
}

#[test]
fn through_an_http_proxy_with_a_password_from_a_file() {
    let echo = echo();
    let (address, carrying) = http_proxy(&echo);
    let secret = Secret::new("proxy", &format!("http://user:p%40ss@{address}\n"));
    has_echoed(&run(URL, &["--proxy", &secret.argument()], b"hi\n"));
    let head = carrying.join().unwrap();
    assert!(head.starts_with("CONNECT server.invalid:81 HTTP/1.1\r\n"), "{head}");
    // user:p@ss
    assert!(head.contains("\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n"), "{head}");
}

#[test]
fn through_a_socks_proxy_by_both_options() {
    let echo = echo();
    for by_url in [false, true] {
        let (address, carrying) = socks_proxy(&echo);
        let option = match by_url {
            true => ["--proxy", &format!("socks5h://{address}")],
            false => ["--socks5", &address],
        };
        has_echoed(&run(URL, &option, b"hi\n"));
        assert_eq!(carrying.join().unwrap(), [&[5, 1, 0, 3, 14][..], b"server.invalid", &[0, 81]].concat());
    }
}

#[test]
fn the_environment_names_proxies_and_exceptions() {
    let echo = echo();
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        let (address, carrying) = http_proxy(&echo);
        has_echoed(&run_with(&[(name, &address)], &[URL]));
        carrying.join().unwrap();
    }
    // In all of these nobody asks the proxy, and the name has no address.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    for (variables, options) in [
        (&[("HTTP_PROXY", &*address), ("NO_PROXY", "server.invalid")][..], &[URL][..]),
        (&[("HTTP_PROXY", &address), ("no_proxy", "*")], &[URL]),
        (&[("HTTP_PROXY", &address)], &[URL, "--no-proxy"]),
        (&[("HTTPS_PROXY", &address)], &[URL]),
        (&[("HTTP_PROXY", &address), ("REQUEST_METHOD", "GET")], &[URL]),
        (&[("HTTP_PROXY", "")], &[URL]),
    ] {
        let output = run_with(variables, options);
        one_line(&output, Exit::Unreachable, &["server.invalid", "cannot be resolved"]);
    }
    nobody.set_nonblocking(true).unwrap();
    assert!(nobody.accept().is_err(), "somebody came");
    // This machine is reached directly, unless a proxy was named here.
    let url = format!("ws://{}", echo.address);
    has_echoed(&run_with(&[("HTTP_PROXY", &address), ("ALL_PROXY", &address)], &[&url]));
    let (address, carrying) = http_proxy(&echo);
    has_echoed(&run_with(&[], &[&url, "--proxy", &address]));
    carrying.join().unwrap();
}

#[test]
fn a_variable_that_cannot_be_read_is_named_and_its_value_is_not() {
    let output = run_with(&[("HTTP_PROXY", "http://user:hunter2@pro xy")], &[URL]);
    one_line(&output, Exit::Usage, &["environment variable HTTP_PROXY", "--no-proxy"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"));
}

#[test]
fn a_proxy_that_refuses_shows_its_answer() {
    let proxy = Opposite::new();
    let address = proxy.url()["ws://".len()..].trim_end_matches('/').to_owned();
    let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 7\r\n\r\nlog in!";
    let server = thread::spawn(move || [proxy.answer(answer), proxy.answer(answer)]);
    let output = run(URL, &["--proxy", &format!("http://user:hunter2@{address}")], b"");
    assert_eq!(output.status.code(), Some(i32::from(Exit::Unreachable.code())));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!(
            "sotong: proxy http://{address}: it answered 407 Proxy Authentication Required; it wants a user name and a \
             password, or others than these\n  Proxy-Authenticate: Basic\n  Content-Length: 7\n\n  log in!\n"
        )
    );
    let output = run(URL, &["--proxy", &address, "--json"], b"");
    let event: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&event["event"], &event["kind"], &event["status"]),
        (&json!("error"), &json!("proxy"), &json!(407))
    );
    server.join().unwrap();
}

#[test]
fn wrong_values_get_one_line_and_secrets_are_not_repeated() {
    let two_lines = Secret::new("two", "user:hunter2\nmore\n");
    let no_colon = Secret::new("no-colon", "hunter2\n");
    let too_large = Secret::new("too-large", &"hunter2:".repeat(8193));
    let table: &[(&[&str], &[&str])] = &[
        (&["--proxy", "ftp://hunter2@a"], &["--proxy: ", "allowed are http, https and socks5"]),
        (&["--proxy", "http://user:hunter2@a/b"], &["--proxy: ", "a path"]),
        (&["--proxy", "http://user:hunter2@"], &["--proxy: ", "malformed"]),
        (&["--proxy", "@no such file"], &["--proxy '@no such file'", "cannot be read"]),
        (&["--proxy", "a", "--socks5", "b"], &["--proxy", "--socks5"]),
        (&["--proxy", "a", "--no-proxy"], &["--proxy", "--no-proxy"]),
        (&["--socks5", "a", "--no-proxy"], &["--socks5", "--no-proxy"]),
        (&["--socks5", "socks5://user:hunter2@a"], &["--socks5: ", "a URL goes to --proxy"]),
        (&["--socks5", "user:hunter2@"], &["--socks5: ", "malformed"]),
        (&["--follow=0"], &["--follow '0'", "from 1 to 100"]),
        (&["--follow=many"], &["--follow 'many'"]),
        (&["--auth", "hunter2"], &["--auth: ", "USER:PASSWORD", "Bearer"]),
        (&["--auth", "user:hunter2\n"], &["--auth: ", "control character"]),
        (&["--auth", "Bearer hun ter2"], &["--auth: ", "the token"]),
        (&["--auth", "@no such file"], &["--auth '@no such file'", "cannot be read"]),
        (&["--auth", &two_lines.argument()], &["--auth '@", "one line"]),
        (&["--auth", &no_colon.argument()], &["--auth: ", "no colon"]),
        (&["--auth", &too_large.argument()], &["--auth '@", "more than 65536 bytes"]),
        (&["--auth-env", "SOTONG_NOT_SET"], &["--auth-env 'SOTONG_NOT_SET'", "not set"]),
        (&["--auth", "a:b", "--auth-env", "X"], &["--auth", "--auth-env"]),
        (&["--reconnect=0"], &["--reconnect '0'"]),
        (&["--close", "1005"], &["--close '1005'", "3000-4999"]),
        (&["--close", "bye"], &["--close 'bye'", "4000:bye"]),
        (&["--close", &format!("4000:{}", "x".repeat(124))], &["--close: ", "124 bytes", "123"]),
    ];
    for (options, words) in table {
        let output = run("ws://127.0.0.1:1/", options, b"");
        one_line(&output, Exit::Usage, words);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"), "{options:?}");
    }
}

#[test]
fn redirects_are_followed_when_they_may_be() {
    let (first, second) = (Opposite::new(), Opposite::new());
    let (from, to) = (first.url(), second.url());
    let found = format!("HTTP/1.1 302 Found\r\nLocation: {to}chat\r\nContent-Length: 0\r\n\r\n");
    let circle = format!("HTTP/1.1 302 Found\r\nLocation: {from}\r\nContent-Length: 0\r\n\r\n");
    let server = thread::spawn(move || {
        first.answer(&found);
        let asked = second.request();
        assert!(asked.head.starts_with("GET /chat HTTP/1.1\r\n"), "{}", asked.head);
        assert_eq!(asked.header("Authorization"), None);
        asked.accept("").finish();
        // Not without the option.
        first.answer(&found);
        // In a circle.
        (0..3).for_each(|_| first.answer(&circle));
    });
    let output = run(&from, &["--follow", "--auth", "user:hunter2"], b"");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = run(&from, &[], b"");
    assert_eq!(output.status.code(), Some(i32::from(Exit::Refused.code())));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("302 Found") && told.contains("--follow") && told.contains("Location: ws://"),
        "{told}"
    );
    let output = run(&from, &["--follow=2"], b"");
    assert_eq!(output.status.code(), Some(i32::from(Exit::Refused.code())));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("more than 2 redirects (--follow)"), "{told}");
    server.join().unwrap();
}

#[test]
fn logins_by_option_file_variable_and_url() {
    let opposite = Opposite::new();
    let url = opposite.url();
    let place = url["ws://".len()..].to_owned();
    let (basic, token) = (Secret::new("basic", "user:p@ss\n"), Secret::new("token", "Bearer t0ken\r\n"));
    let cases = [
        (url.clone(), vec!["--auth".to_owned(), "user:p@ss".to_owned()], "Basic dXNlcjpwQHNz"),
        (url.clone(), vec!["--auth".to_owned(), basic.argument()], "Basic dXNlcjpwQHNz"),
        (url.clone(), vec!["--auth".to_owned(), "bearer t0ken".to_owned()], "Bearer t0ken"),
        (url.clone(), vec!["--auth".to_owned(), token.argument()], "Bearer t0ken"),
        (url, vec!["--auth-env".to_owned(), "SOTONG_TEST_AUTH".to_owned()], "Bearer from-env"),
        (format!("ws://user:p%40ss@{place}"), vec!["--show-frames".to_owned()], "Basic dXNlcjpwQHNz"),
    ];
    for (url, options, expected) in cases {
        let mut command: Command = sotong();
        command.arg("connect").arg(&url).args(&options).env("SOTONG_TEST_AUTH", "Bearer from-env");
        let child = command.spawn().unwrap();
        let asked = opposite.request();
        assert_eq!(asked.header("Authorization"), Some(expected), "{options:?}");
        asked.accept("").finish();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!told.contains("p%40ss") && !told.contains("p@ss"), "{told}");
    }
}

#[test]
fn the_code_and_the_reason_to_close_with() {
    let opposite = Opposite::new();
    for (option, expected) in [("4000", &[15, 160][..]), ("3000:see you: later", b"\x0b\xb8see you: later")] {
        let mut client = Client::start(&opposite.url(), &["--close", option]);
        let mut server = opposite.accept();
        client.write("hi\n");
        client.end_of_input();
        assert_eq!(server.frame(), (TEXT, b"hi".to_vec()));
        let (opcode, payload) = server.frame();
        assert_eq!((opcode, &*payload), (opposite::CLOSE, expected));
        server.send(opposite::CLOSE, &payload);
        drop(server);
        assert_eq!(client.wait().0, Some(0), "this end said it first");
    }
}
