//! The server's examples in each form, run as programs and talked to by our own client.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sotong::{CloseCode, Message, WebSocket};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(60);

/// An example that runs until it is dropped.
struct Example {
    program: Child,
    output: BufReader<std::process::ChildStdout>,
    url: String,
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Example {
    /// Starts it on a free port. Cargo has built it beside this test, unless only this test was asked for.
    fn start(example: &str) -> Example {
        let here = std::env::current_exe().expect("a test is a file");
        let target = here.parent().and_then(|deps| deps.parent()).expect("it is in target/debug/deps");
        let program: PathBuf =
            target.join("examples").join(example).with_extension(std::env::consts::EXE_EXTENSION);
        if !program.exists() {
            let built = Command::new(env!("CARGO"))
                .args(["build", "--offline", "-p", "sotong", "--example", example, "--target-dir"])
                .arg(target.parent().expect("it is in the target folder"))
                .status();
            assert!(built.expect("cargo runs").success(), "example {example} builds");
        }
        let mut program =
            Command::new(program).arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().expect("it runs");
        let output = BufReader::new(program.stdout.take().expect("it is piped"));
        let mut example = Example { program, output, url: String::new() };
        let line = example.line();
        example.url = line.strip_prefix("listening on ").expect("it says where").to_owned();
        example
    }

    /// The next line that it prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it prints text");
        line.trim_end().to_owned()
    }

    async fn connect(&self, path: &str) -> WebSocket {
        timeout(DEADLINE, sotong::connect(&format!("{}{path}", self.url)))
            .await
            .expect("in time")
            .expect("it listens")
    }
}

async fn next(socket: &mut WebSocket) -> Message {
    timeout(DEADLINE, socket.recv()).await.expect("in time").expect("it is well").expect("it is open")
}

async fn echoes(example: &Example) {
    let mut socket = example.connect("/").await;
    for message in [Message::from("소통"), Message::from(vec![0, 1, 2])] {
        socket.send(message.clone()).await.expect("it is open");
        assert_eq!(next(&mut socket).await, message);
    }
    let closed = socket.close(CloseCode::NORMAL, "").await;
    assert_eq!(closed.code(), 1000);
}

#[tokio::test]
async fn the_pull_form() {
    echoes(&Example::start("echo")).await;
}

#[tokio::test]
async fn the_event_form() {
    let mut example = Example::start("events");
    echoes(&example).await;
    let line = example.line();
    assert!(line.starts_with("2 messages, then: ") && line.contains("1000"), "{line}");
}

#[tokio::test]
async fn topics() {
    let mut example = Example::start("topics");
    let one = example.connect("/room").await;
    assert_eq!(example.line(), "somebody is in /room");
    // A room of their own says when they have come in.
    let (mut two, other) = (example.connect("/room").await, example.connect("/other").await);
    assert_eq!(example.line(), "somebody is in /other");
    // Until the second one has subscribed, it hears nothing.
    let heard = loop {
        one.send("to everybody else").await.expect("it is open");
        if let Ok(message) = timeout(Duration::from_millis(200), two.recv()).await {
            break message.expect("it is well").expect("it is open");
        }
    };
    assert_eq!(heard, Message::from("to everybody else"));
    for socket in [one, two, other] {
        socket.close(CloseCode::NORMAL, "").await;
    }
    let mut left = [example.line(), example.line()];
    left.sort();
    assert_eq!(left, ["nobody is in /other any more", "nobody is in /room any more"]);
}
