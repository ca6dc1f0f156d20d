//! What is told to the facade of the crate `metrics`, and that it adds up.
#![cfg(feature = "metrics")]

#[path = "support/proxied.rs"]
mod proxied;
mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use proxied::{connect_from, request_from, request_on};
use sotong::{Config, Error, Events, MessageRef, ProxyProtocol, Refusal, Request, Sender, WebSocket};
use support::{CLOSE, Peer, Running, soon};

/// Keeps every value under `name{label=value,…}`. It is the recorder of the test's thread only, on which everything
/// happens.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    counters: BTreeMap<String, Arc<AtomicU64>>,
    gauges: BTreeMap<String, Arc<Level>>,
    described: BTreeMap<String, usize>,
}

#[derive(Default)]
struct Level(AtomicI64);

impl GaugeFn for Level {
    fn increment(&self, value: f64) {
        self.0.fetch_add(value as i64, Ordering::Relaxed);
    }
    fn decrement(&self, value: f64) {
        self.0.fetch_sub(value as i64, Ordering::Relaxed);
    }
    fn set(&self, value: f64) {
        self.0.store(value as i64, Ordering::Relaxed);
    }
}

fn shown(key: &Key) -> String {
    let labels: Vec<String> =
        key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
    format!("{}{{{}}}", key.name(), labels.join(","))
}

impl Book {
    fn describe(&self, name: &KeyName) {
        *self.0.lock().expect("no panic").described.entry(name.as_str().to_owned()).or_default() += 1;
    }

    fn count(&self, shown: &str) -> u64 {
        let pages = self.0.lock().expect("no panic");
        pages.counters.get(shown).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    fn level(&self, shown: &str) -> i64 {
        let pages = self.0.lock().expect("no panic");
        pages.gauges.get(shown).map_or(0, |level| level.0.load(Ordering::Relaxed))
    }

    /// Waits until it says so: counts are told a moment later, or many messages later.
    async fn becomes(&self, shown: &str, wanted: u64) {
        let waiting = async {
            while self.count(shown) != wanted {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(support::SOON, waiting).await.is_err() {
            panic!("{shown} is {}, not {wanted}", self.count(shown));
        }
    }
}

impl Recorder for Book {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name);
    }
    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name);
    }
    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name);
    }
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut pages = self.0.lock().expect("no panic");
        let counter = pages.counters.entry(shown(key)).or_default().clone();
        Counter::from_arc(counter)
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut pages = self.0.lock().expect("no panic");
        let gauge = pages.gauges.entry(shown(key)).or_default().clone();
        Gauge::from_arc(gauge)
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// Echoes in event form; panics when it is asked to.
struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        assert_ne!(message.as_bytes(), b"panic", "on purpose");
        let _ = socket.try_send(message);
    }
}

async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        assert_ne!(message.as_bytes(), b"panic", "on purpose");
        socket.send(message).await?;
    }
    Ok(())
}

fn quick() -> Config {
    Config::default().with_close_timeout(Duration::from_millis(100))
}

#[tokio::test]
async fn messages_are_counted_exactly_in_both_forms() {
    let book = Book::default();
    let _recorder = metrics::set_default_local_recorder(&book);
    let by_events = support::events(quick(), |_| Echo).await;
    let by_pull = support::pull(quick(), echo).await;
    let mut messages = 0;
    for server in [by_events, by_pull] {
        let mut peer = server.connect().await;
        assert_eq!(book.level("sotong_connections{side=server}"), 1);
        // More than two batches, and some.
        for _ in 0..2500 {
            peer.text("four").await;
            peer.expect_text("four").await;
        }
        messages += 2500;
        let told = book.count("sotong_messages_received_total{}");
        assert!(told >= messages - 1024 && told <= messages, "batches of 1024: {told}");
        peer.close().await;
        // The end tells the rest.
        book.becomes("sotong_messages_received_total{}", messages).await;
        book.becomes("sotong_messages_sent_total{}", messages).await;
        book.becomes("sotong_received_bytes_total{}", messages * 4).await;
        book.becomes("sotong_sent_bytes_total{}", messages * 4).await;
        server.stop().await;
    }
    assert_eq!(book.count("sotong_connections_opened_total{side=server}"), 2);
    assert_eq!(book.count("sotong_connections_closed_total{side=server,code=1000}"), 2);
    assert_eq!(book.level("sotong_connections{side=server}"), 0);
}

#[tokio::test]
async fn few_messages_are_told_when_a_deadline_is_looked_at() {
    let book = Book::default();
    let _recorder = metrics::set_default_local_recorder(&book);
    let config = quick().with_ping_interval(Some(Duration::from_millis(50)));
    let by_events = support::events(config.clone(), |_| Echo).await;
    let by_pull = support::pull(config, echo).await;
    let mut messages = 0;
    for server in [by_events, by_pull] {
        let mut peer = server.connect().await;
        peer.text("one").await;
        peer.expect_text("one").await;
        messages += 1;
        // It stays open.
        book.becomes("sotong_messages_received_total{}", messages).await;
        book.becomes("sotong_messages_sent_total{}", messages).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn ends_are_counted_by_their_code_and_codes_that_peers_choose_are_few() {
    let book = Book::default();
    let _recorder = metrics::set_default_local_recorder(&book);
    let server = support::events(quick().with_message_bytes_max(10), |_| Echo).await;
    for (code, label) in [(1000u16, "1000"), (1001, "1001"), (3000, "3xxx"), (3999, "3xxx"), (4242, "4xxx")] {
        let mut peer = server.connect().await;
        peer.send(CLOSE, &code.to_be_bytes()).await;
        while peer.next().await.is_some() {}
        drop(peer);
        let shown = format!("sotong_connections_closed_total{{side=server,code={label}}}");
        let wanted = book.count(&shown).max(1);
        soon(async {
            while book.count(&shown) < wanted || book.level("sotong_connections{side=server}") > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
    assert_eq!(book.count("sotong_connections_closed_total{side=server,code=3xxx}"), 2);
    // Vanished; a limit; a panic.
    drop(server.connect().await);
    book.becomes("sotong_connections_closed_total{side=server,code=1006}", 1).await;
    let mut peer = server.connect().await;
    peer.text("longer than ten bytes").await;
    assert_eq!(peer.expect_close().await.0, 1009);
    drop(peer);
    book.becomes("sotong_connections_closed_total{side=server,code=1009}", 1).await;
    let mut peer = server.connect().await;
    peer.text("panic").await;
    assert_eq!(peer.expect_close().await.0, 1011);
    drop(peer);
    book.becomes("sotong_connections_closed_total{side=server,code=1011}", 1).await;
    assert_eq!(book.count("sotong_handler_panics_total{}"), 1);
    assert_eq!(book.level("sotong_connections{side=server}"), 0);
    server.stop().await;
}

#[tokio::test]
async fn who_does_not_get_in_is_counted() {
    let book = Book::default();
    let _recorder = metrics::set_default_local_recorder(&book);
    let (server, address) = support::server(quick()).await;
    let server = server
        .with_paths(["/"])
        .with_connections_per_ip_max(1)
        .with_trusted_proxies(["127.0.0.2"])
        .expect("a proxy")
        .with_proxy_protocol(ProxyProtocol::Required);
    let server = Running::start(address, server.serve_events(|_: &Request| Ok::<_, Refusal>(Echo)));
    assert!(Peer::request(address, "/nowhere", "").await.head.starts_with("HTTP/1.1 404 "));
    book.becomes("sotong_handshakes_refused_total{status=404}", 1).await;
    let _first = request_from(3, address, "").await;
    assert!(request_from(3, address, "").await.head.starts_with("HTTP/1.1 429 "));
    book.becomes("sotong_handshakes_refused_total{status=429}", 1).await;
    assert_eq!(book.count("sotong_rate_limited_total{what=connections}"), 1);
    let stream = connect_from(2, address).await;
    assert_eq!(request_on(stream, address, b"no header", "").await.head, "");
    book.becomes("sotong_connections_dropped_total{why=proxy_protocol}", 1).await;
    let silent: Vec<_> = futures_util::future::join_all((0..20).map(|_| connect_from(3, address))).await;
    book.becomes("sotong_connections_dropped_total{why=address}", 12).await;
    drop(silent);
    server.stop().await;
}

#[tokio::test]
async fn deadlines_and_rates_are_counted() {
    let book = Book::default();
    let _recorder = metrics::set_default_local_recorder(&book);
    let short = Duration::from_millis(50);
    let config = quick().with_ping_interval(Some(short)).with_pong_timeout(short);
    let server = support::events(config, |_| Echo).await;
    let silent = server.connect().await;
    book.becomes("sotong_ping_timeouts_total{}", 1).await;
    drop(silent);
    server.stop().await;

    let config = quick().with_message_rate(Some(sotong::Rate::new(1, 1)));
    let server = support::events(config, |_| Echo).await;
    let mut peer = server.connect().await;
    for _ in 0..5 {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &support::frame(1, true, b"x")).await;
    }
    while peer.next().await.is_some_and(|frame| frame.opcode != CLOSE) {}
    drop(peer);
    book.becomes("sotong_rate_limited_total{what=messages}", 1).await;
    server.stop().await;
}
