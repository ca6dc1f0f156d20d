//! The path of a message through the core, so and so many times: what `dev/bench/instructions` counts under callgrind.
//!
//! `path WORK COUNT`; each WORK is what a server does for one message of 16 or 1,024 bytes, or for one of 40 bytes of text.
#![allow(clippy::print_stderr, reason = "a tool: it says what is wrong")]

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;

use sotong_proto::{Config, Connection, Cork, Event, MessageRef, Outbox, Side, Time};

/// How many messages one read brings.
const BATCH: usize = 32;

/// Frames of a client, masked with zeros so that they stay as they are.
fn frames(opcode: u8, bytes: usize) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    if bytes < 126 {
        frame.push(0x80 | bytes as u8);
    } else {
        frame.push(0x80 | 126);
        frame.extend((bytes as u16).to_be_bytes());
    }
    frame.extend([0; 4]);
    frame.extend(std::iter::repeat_n(b'a', bytes));
    frame.repeat(BATCH)
}

fn parse(count: usize, mut bytes: Vec<u8>, mut take: impl FnMut(MessageRef<'_>), mut turn: impl FnMut()) {
    let config = Arc::new(Config::default());
    // Nothing in these frames is answered by the core.
    let mut answers = Outbox::server(config.clone());
    let mut connection = Connection::new(Side::Server, config, Time::ZERO);
    for _ in 0..count / BATCH {
        let mut received = connection.receive(black_box(&mut bytes), Time::ZERO);
        while let Some(Event::Message(message)) = received.next(&mut answers) {
            take(message);
        }
        turn();
    }
}

fn echo(count: usize, bytes: Vec<u8>) {
    let cork = std::cell::RefCell::new(Cork::new());
    parse(count, bytes, |message| cork.borrow_mut().send(message), || cork.borrow_mut().clear());
    black_box(cork.borrow().len());
}

fn send(count: usize) {
    let mut outbox = Outbox::server(Arc::new(Config::default()));
    for _ in 0..count {
        outbox.send(black_box(MessageRef::Binary(&[7; 16]))).expect("there is room");
        let room = outbox.advance_and_give_back(outbox.len());
        outbox.lend(room);
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((work, Ok(count))) = words.first().zip(words.get(1).map(|count| count.parse())) else {
        eprintln!(
            "path: say what, and how often: parse-text-40, echo-16, echo-1024 or send-16, and a number"
        );
        return ExitCode::from(2);
    };
    match work.as_str() {
        "parse-text-40" => parse(
            count,
            frames(1, 40),
            |message| {
                black_box(message);
            },
            || (),
        ),
        "echo-16" => echo(count, frames(2, 16)),
        "echo-1024" => echo(count, frames(2, 1024)),
        "send-16" => send(count),
        _ => {
            eprintln!("path: no work is called {work}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
