//! `sotong connect` at a terminal: a pseudo-terminal, with what a person types and sees.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod opposite;
mod program;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use opposite::{BINARY, Opposite, PING, PONG, TEXT, exit_code};
use program::{DEADLINE, sotong};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use sotong_hub::cli::Exit;

const UP: &str = "\x1b[A";
const LEFT: &str = "\x1b[D";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

/// A person in front of a terminal.
struct Person {
    child: Child,
    keys: File,
    /// The terminal's other side, to ask about its mode.
    terminal: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Person {
    fn connect(url: &str, options: &[&str]) -> Person {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap().into_string().unwrap();
        let terminal = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let end = || Stdio::from(OwnedFd::from(terminal.try_clone().unwrap()));
        let child = sotong()
            .args(["connect", url])
            .args(options)
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("the binary starts");
        let keys = File::from(keys);
        let (send, screen) = mpsc::channel();
        let mut output = keys.try_clone().unwrap();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if send.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Person { child, keys, terminal, screen, seen: String::new() }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until these words are on the screen, and forgets what stood up to their end.
    #[track_caller]
    fn sees(&mut self, words: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(at) = self.seen.find(words) {
                let rest = self.seen.split_off(at + words.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = DEADLINE.saturating_sub(start.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{words:?} is not in {:?}", self.seen),
            }
        }
    }

    /// Its exit code; the terminal must be as it was.
    #[track_caller]
    fn ends(&mut self) -> Option<i32> {
        let code = exit_code(&mut self.child);
        let mode = rustix::termios::tcgetattr(&self.terminal).unwrap();
        let cooked = rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO;
        assert!(mode.local_modes.contains(cooked), "the terminal was not given back");
        code
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn lines_are_edited_and_called_back() {
    let opposite = Opposite::new();
    let mut person = Person::connect(&opposite.url(), &[]);
    let mut server = opposite.accept();
    person.sees(&format!("* connected to {}", opposite.url()));
    person.sees("/help");
    person.sees("> ");
    person.types("helo");
    person.types(LEFT);
    person.types("l\r");
    assert_eq!(server.frame(), (TEXT, b"hello".to_vec()));
    server.send(TEXT, b"welcome");
    person.sees("< welcome\r\n");
    // The history.
    person.types("other\r");
    assert_eq!(server.frame(), (TEXT, b"other".to_vec()));
    person.types(&format!("{UP}{UP}\r"));
    assert_eq!(server.frame(), (TEXT, b"hello".to_vec()));
    // Ctrl-D on an empty line.
    person.types(CTRL_D);
    assert_eq!(server.finish(), 1000);
    person.sees("* closed: 1000 (normal); the server answered 1000 (normal)");
    assert_eq!(person.ends(), Some(0));
}

#[test]
fn what_comes_does_not_tear_the_line_that_is_typed() {
    let opposite = Opposite::new();
    let mut person = Person::connect(&opposite.url(), &[]);
    let mut server = opposite.accept();
    person.sees("> ");
    person.types("half a li");
    person.sees("half a li");
    server.send(TEXT, b"in between");
    // Above the line, which is then drawn again.
    person.sees("\r\x1b[K< in between\r\n> half a li");
    person.types("ne\r");
    assert_eq!(server.frame(), (TEXT, b"half a line".to_vec()));
    // Many at once, while a line is sent: all are shown, the last one before the end.
    for number in 0..500 {
        server.send(TEXT, format!("number {number}.").as_bytes());
    }
    person.types("sent meanwhile\r");
    assert_eq!(server.frame(), (TEXT, b"sent meanwhile".to_vec()));
    server.close(1000, "enough");
    assert_eq!(server.expect_close(), 1000);
    drop(server);
    for number in [0, 100, 250, 499] {
        person.sees(&format!("< number {number}.\r\n"));
    }
    person.sees("* closed by the server: 1000 (normal) \"enough\"");
    assert_eq!(person.ends(), Some(0));
}

#[test]
fn what_a_server_sends_commands_nothing() {
    let opposite = Opposite::new();
    let mut person = Person::connect(&opposite.url(), &[]);
    let asked = opposite.request();
    let mut server = asked.accept("");
    person.sees("> ");
    server.send(TEXT, "\x1b]0;title\x07\x1b[2J\u{9b}31m\u{202e}\r* closed\n* closed".as_bytes());
    person.sees("< \\e]0;title\\u{7}\\e[2J\\u{9b}31m\\u{202e}\\r* closed\r\n  * closed\r\n");
    server.send(BINARY, b"\x1b[2J\0");
    person.sees("< binary, 5 bytes\r\n  00000000  1b 5b 32 4a 00 ");
    person.sees("|.[2J.|\r\n");
    server.close(4000, "\x1b[31mred");
    assert_eq!(server.expect_close(), 4000);
    drop(server);
    person.sees("closed by the server: 4000 \"\\e[31mred\"");
    assert_eq!(person.ends(), Some(i32::from(Exit::Abnormal.code())));
}

#[test]
fn a_connection_that_is_made_again_says_so_among_the_messages() {
    let opposite = Opposite::new();
    let place = opposite.url()["ws://".len()..].trim_end_matches('/').to_owned();
    let mut person = Person::connect(&opposite.url(), &["--reconnect"]);
    let asked = opposite.request();
    // Before there is a connection one may type already.
    person.sees("> ");
    person.types("/ping\r");
    person.sees("* there is no connection to ping just now");
    person.types("said early\r");
    let mut server = asked.accept("");
    person.sees(&format!("* connected to ws://{place}/ ({place})\r\n"));
    assert_eq!(server.frame(), (TEXT, b"said early".to_vec()));
    server.answer_ping();
    person.types("/ping\r");
    server.answer_ping();
    person.sees("* pong after ");
    // A message and the end of its connection, told in their order.
    server.send(TEXT, b"back soon");
    server.close(1012, "");
    assert_eq!(server.expect_close(), 1012);
    drop(server);
    person.sees("< back soon\r\n");
    person.sees("* closed by the server: 1012 (service restart); try 1 in ");
    let server = opposite.request();
    person.sees("* connecting again, try 1\r\n");
    let server = server.accept("");
    person.sees("* connected to ");
    person.types(CTRL_D);
    assert_eq!(server.finish(), 1000);
    person.sees("* closed: 1000 (normal); the server answered 1000 (normal)");
    assert_eq!(person.ends(), Some(0));
}

#[test]
fn commands_begin_with_a_slash() {
    let opposite = Opposite::new();
    let mut person = Person::connect(&opposite.url(), &["--show-frames"]);
    let mut server = opposite.accept();
    person.sees("> ");
    person.types("/ping\r");
    let (opcode, payload) = server.frame();
    assert_eq!(opcode, PING);
    server.send(PONG, &payload);
    person.sees("* pong after ");
    person.types("/hex 00 ff\r");
    assert_eq!(server.frame(), (BINARY, vec![0, 255]));
    person.sees("* → binary, 2 bytes\r\n");
    person.types("//ping\r");
    assert_eq!(server.frame(), (TEXT, b"/ping".to_vec()));
    person.types("/dance\r");
    person.sees("* there is no command /dance");
    person.types("/help\r");
    person.sees("* /ping");
    person.types("/close 4001 see you\r");
    assert_eq!(server.expect_close(), 4001);
    server.close(4001, "");
    drop(server);
    person.sees("* → close, 4001 \"see you\"\r\n* ← close, 4001\r\n");
    person.sees("* closed: 4001 \"see you\"; the server answered 4001\r\n");
    assert_eq!(person.ends(), Some(0), "the code is our own");
}

#[test]
fn ctrl_c_closes_and_again_does_not_wait() {
    let opposite = Opposite::new();
    let mut person = Person::connect(&opposite.url(), &[]);
    let server = opposite.accept();
    person.sees("> ");
    person.types("not sent");
    person.types(CTRL_C);
    assert_eq!(server.finish(), 1001);
    assert_eq!(person.ends(), Some(0));

    let mut person = Person::connect(&opposite.url(), &[]);
    let mut server = opposite.accept();
    person.sees("> ");
    person.types(CTRL_C);
    assert_eq!(server.expect_close(), 1001);
    person.types(CTRL_C);
    person.sees("sotong: ended at once");
    assert_eq!(person.ends(), Some(i32::from(Exit::Interrupted.code())));
}

#[test]
fn json_and_quiet_at_a_terminal() {
    let opposite = Opposite::new();
    let mut person = Person::connect(&opposite.url(), &["--json"]);
    let mut server = opposite.accept();
    person.sees("{\"event\":\"open\"");
    server.send(TEXT, "\u{9b}2J".as_bytes());
    person.sees("\"data\":\"\\u009b2J\"}");
    // The system's own line editing.
    person.types("typed\n");
    assert_eq!(server.frame(), (TEXT, b"typed".to_vec()));
    person.types(CTRL_D);
    assert_eq!(server.finish(), 1000);
    person.sees("{\"event\":\"close\"");
    assert_eq!(person.ends(), Some(0));

    let mut person = Person::connect(&opposite.url(), &["--quiet", "--binary"]);
    let mut server = opposite.accept();
    person.sees("> ");
    person.types("bytes\r");
    assert_eq!(server.frame(), (BINARY, b"bytes".to_vec()));
    server.close(1000, "");
    assert_eq!(server.expect_close(), 1000);
    drop(server);
    assert_eq!(person.ends(), Some(0));
    assert!(!person.seen.contains("* "), "{}", person.seen);
}

#[test]
fn a_window_of_another_size_keeps_what_was_typed() {
    let opposite = Opposite::new();
    let mut person = Person::connect(&opposite.url(), &[]);
    let mut server = opposite.accept();
    person.sees("> ");
    person.types("half");
    person.sees("half");
    let size = rustix::termios::Winsize { ws_row: 24, ws_col: 40, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&person.terminal, size).unwrap();
    let id = person.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-s", "WINCH", &id]).status().unwrap().success());
    person.types(" a line\r");
    assert_eq!(server.frame(), (TEXT, b"half a line".to_vec()));
}
