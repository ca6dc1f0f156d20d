//! The servers of docs/guide.md, run as programs. Their pages and the guide's scripts are run by `./test guide`.

#[path = "support/plain.rs"]
mod plain;
mod support;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use sotong::{CloseCode, Message, WebSocket};
use support::{Peer, soon};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// An example that runs, and what it says.
struct Example {
    address: SocketAddr,
    said: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Example {
    async fn start(name: &str) -> Example {
        let mut child = command(name)
            .await
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it runs");
        let mut said = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let first = soon(said.next_line()).await.expect("it speaks").expect("it says where it listens");
        let (_, address) = first.split_once("://").unwrap_or_else(|| panic!("an address: {first}"));
        Example { address: address.parse().expect("it listens at an address"), said, _child: child }
    }

    async fn connect(&self, path: &str) -> WebSocket {
        soon(sotong::connect(&format!("ws://{}{path}", self.address))).await.expect("it accepts")
    }

    async fn expect_line(&mut self, begin: &str) {
        let line = soon(self.said.next_line()).await.expect("it speaks").expect("it has not ended");
        assert!(line.starts_with(begin), "{line}");
    }
}

/// The example's program. Cargo has built it beside this test, unless only this test was asked for.
async fn command(name: &str) -> Command {
    let here = std::env::current_exe().expect("a test is a file");
    let target = here.parent().and_then(|deps| deps.parent()).expect("it is in target/debug/deps");
    let program: PathBuf = target.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    if !program.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--offline", "-p", "sotong", "--example", name, "--target-dir"])
            .arg(target.parent().expect("it is in the target folder"))
            .status()
            .await;
        assert!(built.expect("cargo runs").success(), "example {name} builds");
    }
    Command::new(program)
}

async fn next(socket: &mut WebSocket) -> Message {
    soon(socket.recv()).await.expect("the connection holds").expect("it is open")
}

async fn expect_text(socket: &mut WebSocket, text: &str) {
    assert_eq!(next(socket).await.as_text(), Some(text));
}

#[tokio::test]
async fn the_first_server_speaks_first_and_answers() {
    let mut example = Example::start("guide_echo").await;
    let mut socket = example.connect("/").await;
    example.expect_line("open: 127.0.0.1:").await;
    expect_text(&mut socket, "hello").await;
    socket.send("소통").await.expect("it is open");
    expect_text(&mut socket, "소통").await;
    socket.send(vec![1, 2, 250]).await.expect("it is open");
    assert_eq!(next(&mut socket).await, Message::binary(vec![1, 2, 250]));
    let closed = soon(socket.close(CloseCode::new(4001).expect("it may travel"), "tea is ready")).await;
    assert_eq!((closed.code(), closed.clean), (4001, true));
}

#[tokio::test]
async fn a_port_is_for_one_server_and_port_0_is_any_that_is_free() {
    let taken = Example::start("guide_echo").await;
    let places = [taken.address.to_string(), "127.0.0.1:0".to_owned(), "192.0.2.1:9001".to_owned()];
    let output = soon(command("guide_bind").await.args(&places).output()).await.expect("it runs");
    let text = String::from_utf8(output.stdout).expect("it says text");
    let [first, second, third] = text.lines().collect::<Vec<_>>()[..] else { panic!("three lines: {text}") };
    assert!(first.starts_with(&format!("{}: cannot listen on ", places[0])), "{first}");
    let free = second.strip_prefix("127.0.0.1:0: bound, as ").and_then(|address| address.parse().ok());
    assert!(free.is_some_and(|free: SocketAddr| free.port() != 0), "{second}");
    assert!(third.starts_with("192.0.2.1:9001: cannot listen on "), "the address is not ours: {third}");
}

#[tokio::test]
async fn each_way_to_end_is_told_by_its_type() {
    let mut example = Example::start("guide_limits").await;
    let socket = example.connect("/").await;
    socket.send("x".repeat(1024)).await.expect("it is open");
    example.expect_line("1024 bytes").await;
    socket.send("x".repeat(1025)).await.expect("it is open");
    example.expect_line("Some(1009): message of 1025 bytes exceeds message_bytes_max = 1024").await;
    let closed = soon(socket.sender().closed()).await;
    assert_eq!(closed.code(), 1009);

    let socket = example.connect("/").await;
    soon(socket.close(CloseCode::NORMAL, "")).await;
    example.expect_line("closed, as it should be").await;

    drop(Peer::connect(example.address).await); // without a word
    example.expect_line("gone without a word").await;
}

#[tokio::test]
async fn who_is_in_a_room_hears_what_is_said_there() {
    let example = Example::start("guide_chat").await;
    let request = format!("GET /tea HTTP/1.1\r\nHost: {}\r\n\r\n", example.address);
    let page = plain::ask(example.address, request).await;
    assert_eq!((page.status, page.body.as_str()), (200, include_str!("../examples/guide_chat.html")));

    let mut ada = example.connect("/tea").await;
    ada.send("Ada").await.expect("it is open");
    expect_text(&mut ada, "Ada came").await;
    let mut other = example.connect("/coffee").await;
    other.send("Cleo").await.expect("it is open");
    expect_text(&mut other, "Cleo came").await;
    let mut bora = Peer::request(example.address, "/tea", "").await;
    bora.text("보라").await;
    bora.expect_text("보라 came").await;
    bora.text("안녕").await;
    bora.expect_text("보라: 안녕").await;
    drop(bora); // without a word
    for text in ["보라 came", "보라: 안녕", "보라 went"] {
        expect_text(&mut ada, text).await;
    }
}

#[tokio::test]
async fn prices_come_without_being_asked() {
    let example = Example::start("guide_prices").await;
    let mut socket = example.connect("/").await;
    let mut seen = std::collections::BTreeMap::<String, Vec<String>>::new();
    while seen.len() < 4 || seen.values().any(|prices| prices.len() < 3) {
        let message = next(&mut socket).await;
        let text = message.as_text().expect("prices are text");
        let price = text.strip_prefix(r#"{"symbol":""#).and_then(|text| text.strip_suffix('}'));
        let (symbol, price) = price.and_then(|text| text.split_once(r#"","price":"#)).expect("one price");
        price.parse::<f64>().expect("a price is a number");
        seen.entry(symbol.to_owned()).or_default().push(price.to_owned());
    }
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["BADA", "GAON", "MARU", "SOL"]);
}

/// Where the players are, when the next picture comes that shows it like this.
async fn until(socket: &mut WebSocket, is: impl Fn(&[[u8; 3]]) -> bool) {
    soon(async {
        loop {
            let message = socket.recv().await.expect("the connection holds").expect("it is open");
            let (players, rest) = message.as_bytes().as_chunks();
            assert!(rest.is_empty(), "three bytes for each");
            if is(players) {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn players_see_each_other_move_and_go() {
    let example = Example::start("guide_game").await;
    let mut ada = example.connect("/").await;
    expect_text(&mut ada, "0").await;
    let mut bora = example.connect("/").await;
    expect_text(&mut bora, "1").await;
    until(&mut ada, |players| players == [[0, 128, 128], [1, 128, 128]]).await;
    ada.send(vec![1 | 8]).await.expect("it is open");
    until(&mut bora, |players| players == [[0, 0, 255], [1, 128, 128]]).await;
    drop(ada);
    until(&mut bora, |players| players == [[1, 128, 128]]).await;
    let mut late = example.connect("/").await;
    expect_text(&mut late, "0").await;
    until(&mut bora, |players| players == [[0, 128, 128], [1, 128, 128]]).await;
}

#[tokio::test]
async fn the_pages_object_in_a_program_says_what_the_page_says() {
    let server = Example::start("guide_echo").await;
    let url = format!("ws://{}", server.address);
    let output = soon(command("guide_same").await.arg(url).output()).await.expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let same = include_str!("../../../docs/guide/same.txt");
    assert_eq!(String::from_utf8_lossy(&output.stdout), same);
}
