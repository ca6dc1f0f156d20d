//! `sotong connect` under test, and what stands opposite of it: a WebSocket server made of nothing but a socket, which
//! does what it is told and no more.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::program::{DEADLINE, sotong};

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A server that takes one connection after another.
pub(crate) struct Opposite(TcpListener);

impl Opposite {
    pub(crate) fn new() -> Opposite {
        Opposite(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.0.local_addr().unwrap())
    }

    /// Takes a connection and its request, and answers nothing yet.
    pub(crate) fn request(&self) -> Asked {
        let (stream, _) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0, "the head ended early: {head}");
        }
        Asked { stream, head }
    }

    /// Takes a connection, and opens it as the RFC has it.
    pub(crate) fn accept(&self) -> Conversation {
        self.request().accept("")
    }

    /// Takes a connection, and answers its request with this.
    pub(crate) fn answer(&self, answer: &str) {
        let mut asked = self.request();
        asked.stream.get_mut().write_all(answer.as_bytes()).unwrap();
    }
}

/// A request that waits for its answer.
pub(crate) struct Asked {
    stream: BufReader<TcpStream>,
    pub(crate) head: String,
}

impl Asked {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn accept(mut self, headers: &str) -> Conversation {
        let key = self.header("Sec-WebSocket-Key").expect("a key").to_owned();
        let accept = STANDARD.encode(Sha1::digest(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
        );
        self.stream.get_mut().write_all(answer.as_bytes()).unwrap();
        Conversation(self.stream)
    }
}

/// An open connection.
pub(crate) struct Conversation(BufReader<TcpStream>);

impl Conversation {
    /// Sends one frame.
    pub(crate) fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..=125 => frame.push(length as u8),
            length @ 126..=0xffff => {
                frame.push(126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        self.0.get_mut().write_all(&frame).unwrap();
    }

    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        self.send(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat());
    }

    /// The next frame, of any kind.
    pub(crate) fn frame(&mut self) -> (u8, Vec<u8>) {
        let [first, second] = self.bytes();
        assert_eq!(first & 0xf0, 0x80, "one whole frame, no extension");
        assert_eq!(second & 0x80, 0x80, "a client masks");
        let length = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes(self.bytes())),
            127 => u64::from_be_bytes(self.bytes()),
            length => u64::from(length),
        };
        let key: [u8; 4] = self.bytes();
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).unwrap();
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        (first & 0x0f, payload)
    }

    /// Whether something has come that was not taken yet.
    pub(crate) fn has_more(&self) -> bool {
        let stream = self.0.get_ref();
        stream.set_nonblocking(true).unwrap();
        let has_come = stream.peek(&mut [0]).is_ok();
        stream.set_nonblocking(false).unwrap();
        has_come || !self.0.buffer().is_empty()
    }

    /// The code of the Close that must come next.
    pub(crate) fn expect_close(&mut self) -> u16 {
        let (opcode, payload) = self.frame();
        assert_eq!(opcode, CLOSE, "{payload:?}");
        u16::from_be_bytes([payload[0], payload[1]])
    }

    /// The code of the next Close; Pings before it are answered.
    pub(crate) fn expect_close_skipping_pings(&mut self) -> u16 {
        loop {
            match self.frame() {
                (PING, payload) => self.send(PONG, &payload),
                (CLOSE, payload) => return u16::from_be_bytes([payload[0], payload[1]]),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Answers the Ping that must come next.
    pub(crate) fn answer_ping(&mut self) {
        let (opcode, payload) = self.frame();
        assert_eq!(opcode, PING, "{payload:?}");
        self.send(PONG, &payload);
    }

    /// Answers the Close that must come next.
    pub(crate) fn finish(mut self) -> u16 {
        let code = self.expect_close();
        self.close(code, "");
        code
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}

/// `sotong connect`, with pipes at all three ends. Killed when dropped.
pub(crate) struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Client {
    pub(crate) fn start(url: &str, options: &[&str]) -> Client {
        let mut command = sotong();
        command.arg("connect").arg(url).args(options).stdin(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Client { stdin: child.stdin.take(), child, stdout, stderr }
    }

    pub(crate) fn write(&mut self, input: impl AsRef<[u8]>) {
        self.stdin.as_mut().expect("stdin is open").write_all(input.as_ref()).unwrap();
    }

    pub(crate) fn end_of_input(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn line(&self) -> String {
        self.stdout.recv_timeout(DEADLINE).expect("another line on stdout")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    pub(crate) fn error_line(&self) -> String {
        self.stderr.recv_timeout(DEADLINE).expect("another line on stderr")
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Its exit code, and what is left of stdout and stderr.
    pub(crate) fn wait(mut self) -> (Option<i32>, Vec<String>, Vec<String>) {
        let code = exit_code(&mut self.child);
        (code, self.stdout.iter().collect(), self.stderr.iter().collect())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of a program, which has to come by itself.
#[track_caller]
pub(crate) fn exit_code(child: &mut Child) -> Option<i32> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(start.elapsed() < DEADLINE, "the program does not end");
        // There is no waiting with a deadline in std; this looks again.
        thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Runs `sotong connect` with this input to its end.
#[track_caller]
pub(crate) fn run(url: &str, options: &[&str], input: &[u8]) -> Output {
    let mut command = sotong();
    command.arg("connect").arg(url).args(options).stdin(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // One that ends early does not read all of it.
    thread::spawn(move || stdin.write_all(&input));
    let (stdout, stderr) = (all(child.stdout.take().unwrap()), all(child.stderr.take().unwrap()));
    exit_code(&mut child);
    let status = child.wait().unwrap();
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn all(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}
