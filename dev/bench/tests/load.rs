//! The load generator against servers that are right and servers that are wrong. Counts are checked, times never.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sotong-bench");

struct RawServer {
    child: Child,
    address: String,
}

impl RawServer {
    fn start() -> Self {
        let mut child =
            Command::new(PROGRAM).arg("raw").stdout(Stdio::piped()).spawn().expect("the raw server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("its first line");
        let address = line.strip_prefix("listening on ").expect("the address").trim().to_string();
        Self { child, address }
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs `load` for a moment.
fn load(target: &str, more: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(["load", target, "--seconds", "0.2", "--warm-up", "0.05"]).args(more);
    command.output().expect("the load generator runs")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `(inside the window, in all)`.
fn counts(text: &str) -> (u64, u64) {
    let number = |before: &str, after: &str| {
        let rest = &text[text.find(before).expect("the words before") + before.len()..];
        rest[..rest.find(after).expect("the words after")].parse().expect("a number")
    };
    (number(": ", " messages in "), number("in all ", " messages sent and back"))
}

#[test]
fn raw_server_and_raw_load_agree() {
    let server = RawServer::start();
    for cell in ["3x1x16", "5x32x16", "2x8x1024", "2x4x65536", "1x2x4000000"] {
        let output =
            load(&server.address, &["--raw", "--cell", cell, "--server-pid", &server.child.id().to_string()]);
        let text = stdout(&output);
        let (inside, all) = counts(&text);
        assert!(0 < inside && inside <= all, "{text}");
        assert!(text.contains("of CPU per message"), "{text}");
    }
}

/// How the stand-in server below answers.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Right,
    /// Every message in three frames, with a ping before and between.
    Fragments,
    OneByteShort,
    OneByteChanged,
    /// Each message twice.
    Twice,
    /// The tenth message is dropped and the connection closed in order.
    Leaves,
}

/// A WebSocket echo, slow and plain: a thread per connection, for as long as the test lasts.
struct StandIn {
    address: SocketAddr,
    messages: Arc<AtomicU64>,
    pongs: Arc<AtomicU64>,
}

impl StandIn {
    fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (messages, pongs) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let stand_in = Self { address, messages: Arc::clone(&messages), pongs: Arc::clone(&pongs) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (messages, pongs) = (Arc::clone(&messages), Arc::clone(&pongs));
                // Ends with an error when the client goes, as it always does.
                std::thread::spawn(move || serve(stream?, manner, &messages, &pongs));
            }
        });
        stand_in
    }
}

fn serve(
    mut stream: TcpStream,
    manner: Manner,
    messages: &AtomicU64,
    pongs: &AtomicU64,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
    }
    stream.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    )?;
    loop {
        let mut head = [0; 2];
        reader.read_exact(&mut head)?;
        assert!(head[1] & 0x80 != 0, "clients mask");
        let length = match head[1] & 0x7F {
            126 => u64::from(u16::from_be_bytes(read(&mut reader)?)),
            127 => u64::from_be_bytes(read(&mut reader)?),
            length => u64::from(length),
        };
        let key: [u8; 4] = read(&mut reader)?;
        let mut payload = vec![0; length as usize];
        reader.read_exact(&mut payload)?;
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        match head[0] {
            0x81 | 0x82 => {}
            0x8A => {
                assert_eq!(payload, b"?");
                pongs.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            other => panic!("the load generator sent a frame that begins with {other:#x}"),
        }
        let seen = messages.fetch_add(1, Ordering::SeqCst) + 1;
        let opcode = head[0] & 0x0F;
        let third = payload.len() / 3;
        let answer = match manner {
            Manner::Right => frame(0x80 | opcode, &payload),
            Manner::Twice => frame(0x80 | opcode, &payload).repeat(2),
            Manner::OneByteShort => frame(0x80 | opcode, &payload[..payload.len() - 1]),
            Manner::OneByteChanged => {
                payload[0] ^= 1;
                frame(0x80 | opcode, &payload)
            }
            Manner::Leaves if seen == 10 => frame(0x88, &1001u16.to_be_bytes()),
            Manner::Leaves => frame(0x80 | opcode, &payload),
            Manner::Fragments => [
                frame(0x89, b"?"),
                frame(opcode, &payload[..third]),
                frame(0x00, &payload[third..2 * third]),
                frame(0x89, b"?"),
                frame(0x80, &payload[2 * third..]),
            ]
            .concat(),
        };
        stream.write_all(&answer)?;
    }
}

fn read<const N: usize>(reader: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length @ 126..=0xFFFF => {
            frame.push(126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// The server has seen exactly as many messages as the load generator says came back: none lost, none invented.
#[test]
fn websocket_counts_are_those_of_the_server() {
    for (cell, kind) in
        [("3x1x16", "text"), ("4x32x0", "binary"), ("2x8x1024", "text"), ("2x4x65536", "binary")]
    {
        let server = StandIn::start(Manner::Right);
        let text = stdout(&load(&format!("ws://{}", server.address), &["--cell", cell, "--kind", kind]));
        let (inside, all) = counts(&text);
        assert!(0 < inside && inside <= all, "{text}");
        assert_eq!(all, server.messages.load(Ordering::SeqCst), "{cell}: {text}");
    }
}

#[test]
fn fragments_count_once_and_pings_are_answered() {
    let server = StandIn::start(Manner::Fragments);
    let text = stdout(&load(&format!("ws://{}", server.address), &["--cell", "2x8x300"]));
    assert_eq!(counts(&text).1, server.messages.load(Ordering::SeqCst), "{text}");
    // The pongs for the last message may still be on their way when the load generator leaves.
    assert!(server.pongs.load(Ordering::SeqCst) > 0);
}

#[test]
fn servers_that_are_wrong_fail_the_run() {
    for (manner, because) in [
        (Manner::OneByteShort, "an echo of 15 bytes came back for a message of 16 bytes"),
        (Manner::OneByteChanged, "contents"),
        (Manner::Twice, "nobody asked for"),
        (Manner::Leaves, "Close frame"),
    ] {
        let server = StandIn::start(manner);
        let output = load(&format!("ws://{}", server.address), &["--cell", "1x1x16"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{manner:?}: {output:?}");
        assert!(said.contains(because), "{manner:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let output = load(&free.to_string(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("connecting to"), "{output:?}");
}

#[test]
fn wrong_arguments_take_one_line_and_exit_code_2() {
    for arguments in
        [&["run", "--cells", "1x1"][..], &["memory", "--connections", "many"], &[], &["load", "ws://name:1"]]
    {
        let output = Command::new(PROGRAM).args(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{arguments:?}: {output:?}");
    }
}
