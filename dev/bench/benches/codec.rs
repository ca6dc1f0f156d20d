//! The codec alone, on one core: `cargo bench -p sotong-bench`. What one pass saves against two is measured by
//! `sotong-bench codec`, which takes turns.
//!
//! Frames are masked with a key of zeros, which is as much work as any other and leaves the text as it is, so that the same
//! buffer can be read again and again.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sotong_proto::{Config, Connection, Cork, Event, Outbox, Side, Time};

/// A text frame of a client.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
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
    frame.extend(text.as_bytes());
    frame
}

fn ascii(bytes: usize) -> String {
    (0..bytes).map(|index| char::from(b' ' + (index % 89) as u8)).collect()
}

fn korean(bytes: usize) -> String {
    "소통은 서로 통하는 것이다. "
        .chars()
        .cycle()
        .scan(0, |length, letter| {
            *length += letter.len_utf8();
            (*length <= bytes).then_some(letter)
        })
        .collect()
}

/// How many messages are in the bytes, and that they are messages.
fn read((connection, outbox): &mut (Connection, Outbox), bytes: &mut [u8]) -> usize {
    let mut received = connection.receive(bytes, Time::ZERO);
    let mut messages = 0;
    while let Some(event) = received.next(outbox) {
        match black_box(event) {
            Event::Message(_) => messages += 1,
            other => panic!("{other:?}"),
        }
    }
    messages
}

/// A server's end. Nothing in these frames is answered by the core.
fn server() -> (Connection, Outbox) {
    let config = Arc::new(Config::default().with_message_rate(None).with_idle_timeout(None));
    (Connection::new(Side::Server, config.clone(), Time::ZERO), Outbox::server(config))
}

fn large_messages(criterion: &mut Criterion) {
    for (language, text) in [("ASCII", ascii as fn(usize) -> String), ("Korean", korean)] {
        for bytes in [256, 1024, 65_536] {
            let text = text(bytes);
            let mut group = criterion.benchmark_group(format!("text of {bytes} bytes, {language}"));
            group.throughput(Throughput::Bytes(bytes as u64));
            let (mut server, mut whole) = (server(), frame(&text));
            group.bench_function("one pass", |bencher| {
                bencher.iter(|| assert_eq!(read(&mut server, black_box(&mut whole)), 1));
            });
        }
    }
}

fn small_messages(criterion: &mut Criterion) {
    const MESSAGES: usize = 1000;
    let mut group = criterion.benchmark_group("messages of 40 bytes");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    let (mut server, mut bytes) = (server(), frame(&ascii(40)).repeat(MESSAGES));
    group.bench_function("text, parsed and borrowed", |bencher| {
        bencher.iter(|| assert_eq!(read(&mut server, black_box(&mut bytes)), MESSAGES));
    });
    let mut cork = Cork::new();
    group.bench_function("text, parsed and corked", |bencher| {
        bencher.iter(|| {
            cork.clear();
            let (connection, outbox) = &mut server;
            let mut received = connection.receive(black_box(&mut bytes), Time::ZERO);
            while let Some(Event::Message(message)) = received.next(outbox) {
                cork.send(message);
            }
            black_box(cork.len())
        });
    });
}

criterion_group!(codec, large_messages, small_messages);
criterion_main!(codec);
