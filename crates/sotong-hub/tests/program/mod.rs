//! The binary `sotong` under test, and a WebSocket client made of nothing but a socket, so that what is tested is not
//! also what tests.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sotong_hub::cli::Exit;

/// Long enough for a loaded machine. Only a test that fails waits for it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The binary, which knows nothing of the proxies of whoever runs the tests.
pub(crate) fn sotong() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sotong"));
    for name in ["http", "https", "all", "no"].map(|kind| format!("{kind}_proxy")) {
        command.env_remove(name.to_uppercase()).env_remove(name);
    }
    command.env_remove("REQUEST_METHOD");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Nothing on stdout, one line on stderr that has these words, and this exit code.
#[track_caller]
pub(crate) fn one_line(output: &Output, exit: Exit, words: &[&str]) {
    let stderr = str::from_utf8(&output.stderr).expect("lines are text");
    assert_eq!(output.status.code(), Some(i32::from(exit.code())), "{stderr}");
    assert!(output.stdout.is_empty());
    assert!(stderr.starts_with("sotong: ") && stderr.ends_with('\n'), "{stderr:?}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is not in {stderr:?}");
    }
}

/// A running server. Killed when dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) first_line: String,
    pub(crate) address: SocketAddr,
    // Kept, so that the program can go on printing.
    stdout: BufReader<ChildStdout>,
    _stderr: ChildStderr,
}

impl Program {
    /// Starts `sotong serve` on a free port.
    pub(crate) fn serve(options: &[&str]) -> Program {
        Program::start(sotong().args(["serve", "--listen", "127.0.0.1:0", "--log", "off"]).args(options))
    }

    /// Starts a server and waits until it says where it listens.
    pub(crate) fn start(command: &mut Command) -> Program {
        let mut child = command.spawn().expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = child.stderr.take().unwrap();
        let mut first_line = String::new();
        stdout.read_line(&mut first_line).unwrap();
        let address = first_line.split("://").nth(1).map(|rest| rest.trim_end().trim_end_matches('/'));
        let address = address.unwrap_or_else(|| panic!("no address in {first_line:?}"));
        let address = address.parse().unwrap_or_else(|_| panic!("no address in {first_line:?}"));
        Program { child, first_line, address, stdout, _stderr: stderr }
    }

    /// The next line that it prints.
    pub(crate) fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// How it ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < DEADLINE, "the program does not end");
            // There is no waiting with a deadline in std; this looks again.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a request as it is and returns the whole answer.
    pub(crate) fn request(&self, request: &str) -> String {
        let mut stream = connect(self.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn peer(&self, target: &str) -> Peer {
        Peer::open(self.address, target, "").unwrap_or_else(|answer| panic!("refused: {answer}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// A WebSocket client.
pub(crate) struct Peer {
    stream: BufReader<TcpStream>,
    last_id: u64,
}

/// What the server sent.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Text(String),
    Close(u16, String),
}

impl Peer {
    /// Opens a WebSocket; an error is the answer that refused it.
    pub(crate) fn open(address: SocketAddr, target: &str, headers: &str) -> Result<Peer, String> {
        let mut stream = BufReader::new(connect(address));
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0, "the head ended early: {head}");
        }
        if !head.starts_with("HTTP/1.1 101 ") {
            stream.read_to_string(&mut head).unwrap();
            return Err(head);
        }
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "the answer of RFC 6455, section 1.3: {head}");
        Ok(Peer { stream, last_id: 0 })
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.frame(1, text.as_bytes());
    }

    /// Sends one frame, masked with a key of zeros.
    pub(crate) fn frame(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..=125 => frame.push(0x80 | length as u8),
            length @ 126..=0xffff => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.get_mut().write_all(&frame).unwrap();
    }

    /// Reads up to the first bytes of a close frame.
    pub(crate) fn wait_for_close_without_answering(&mut self) {
        let [first, _] = self.bytes();
        assert_eq!(first, 0x88, "the next frame is a close");
    }

    /// The next text or close; pings are passed over, a close is answered.
    pub(crate) fn hear(&mut self) -> Heard {
        loop {
            let [first, second] = self.bytes();
            assert_eq!(first & 0xf0, 0x80, "one whole frame, no extension");
            assert_eq!(second & 0x80, 0, "a server does not mask");
            let length = match second {
                126 => u64::from(u16::from_be_bytes(self.bytes())),
                127 => u64::from_be_bytes(self.bytes()),
                length => u64::from(length),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut payload).unwrap();
            match first & 0x0f {
                1 => return Heard::Text(String::from_utf8(payload).unwrap()),
                8 => {
                    let code = u16::from_be_bytes([payload[0], payload[1]]);
                    let reason = String::from_utf8(payload[2..].to_vec()).unwrap();
                    self.frame(8, &payload);
                    return Heard::Close(code, reason);
                }
                9 => {}
                other => panic!("opcode {other}"),
            }
        }
    }

    /// The next text, as JSON.
    pub(crate) fn next(&mut self) -> Value {
        match self.hear() {
            Heard::Text(text) => serde_json::from_str(&text).unwrap(),
            close => panic!("expected a text: {close:?}"),
        }
    }

    /// The code and the reason of the close; texts before it are passed over.
    pub(crate) fn close(&mut self) -> (u16, String) {
        loop {
            if let Heard::Close(code, reason) = self.hear() {
                return (code, reason);
            }
        }
    }

    /// Sends a command, and returns its reply and the pushes that came before it.
    pub(crate) fn ask(&mut self, mut command: Value) -> (Value, Vec<Value>) {
        self.last_id += 1;
        command["id"] = self.last_id.into();
        self.send(&command.to_string());
        let mut pushes = Vec::new();
        loop {
            let mut heard = self.next();
            if heard["id"] == self.last_id {
                heard.as_object_mut().unwrap().remove("id");
                return (heard, pushes);
            }
            assert!(heard.get("push").is_some(), "neither the reply nor a push: {heard}");
            pushes.push(heard["push"].take());
        }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }
}
