//! A crowd: 64 play, others watch the game or the prices. Whoever keeps up misses nothing, what is left out for one who does
//! not is told and counted, and the server's memory stays as it was.
//!
//! Here it is a small crowd for some seconds. A thousand for a minute:
//!
//! ```sh
//! SOTONG_CROWD=1000 SOTONG_CROWD_SECONDS=60 cargo test --release -p sotong-hub --test game_crowd -- --nocapture
//! ```

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod program;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use program::{DEADLINE, Program};
use serde_json::Value;
use sotong::{Message, WebSocket};
use sotong_hub::arena::{
    ClientFrame, Delta, Direction, PLAYERS_MAX, PlayerName, ServerFrame, Viewed, Viewer,
};
use tokio::sync::Semaphore;

/// Much more than a minute's frames for one of them would be, and much less than for all.
const GROWTH_KIB_MAX: u64 = 16 * 1024;

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |value| value.parse().expect("a number"))
}

/// What all of them have seen.
struct Seen {
    /// One permit for each who has come in.
    entered: Semaphore,
    is_over: AtomicBool,
    ticks: AtomicU64,
    prices: AtomicU64,
    missed_ticks: AtomicU64,
    missed_prices: AtomicU64,
    told_prices: AtomicU64,
}

impl Seen {
    fn new() -> Seen {
        let counter = || AtomicU64::new(0);
        Seen {
            entered: Semaphore::new(0),
            is_over: AtomicBool::new(false),
            ticks: counter(),
            prices: counter(),
            missed_ticks: counter(),
            missed_prices: counter(),
            told_prices: counter(),
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn count(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }
}

async fn bytes(socket: &mut WebSocket) -> ServerFrame {
    let message = socket.recv().await.unwrap().expect("the server does not close");
    let Message::Binary(bytes) = &message else { panic!("{message:?}") };
    ServerFrame::decode(bytes).unwrap_or_else(|| panic!("{bytes:02x?}"))
}

/// Plays, or only watches.
async fn game(address: SocketAddr, number: usize, seen: Arc<Seen>) {
    let mut socket = sotong::connect(&format!("ws://{address}/game")).await.unwrap();
    let say = |frame: ClientFrame| drop(socket.sender().try_send(frame.encode()));
    let plays = number < PLAYERS_MAX;
    if plays {
        say(ClientFrame::Name(PlayerName::new(format!("p{number}").as_bytes()).unwrap()));
    }
    let sender = socket.sender();
    let mut viewer = Viewer::default();
    let mut has_entered = false;
    while !seen.is_over() {
        let known = viewer.picture.as_ref().map_or(0, |picture| picture.tick);
        let frame = bytes(&mut socket).await;
        let viewed = viewer.hear(&frame);
        match (&frame, viewed) {
            (ServerFrame::Delta(Delta { tick, .. }), Viewed::Gap) => {
                Seen::count(&seen.missed_ticks, u64::from(tick - known - 1));
                drop(sender.try_send(ClientFrame::Resync.encode()));
            }
            // What it has passed over since it asked was not lost.
            (ServerFrame::Delta(Delta { tick, .. }), Viewed::Applied) => {
                Seen::count(&seen.ticks, 1);
                if plays && (*tick as usize + number).is_multiple_of(10) {
                    let keys = (*tick as usize / 10 + number) % 16;
                    let steer = ClientFrame::Steer(Direction::from_bits(keys as u8).unwrap());
                    drop(sender.try_send(steer.encode()));
                    drop(sender.try_send(ClientFrame::Ping(*tick).encode()));
                }
            }
            _ => {}
        }
        if !has_entered && viewer.picture.is_some() && viewer.you.is_some() == plays {
            has_entered = true;
            seen.entered.add_permits(1);
        }
    }
}

/// Follows two prices.
async fn prices(address: SocketAddr, seen: Arc<Seen>) {
    let target = format!("ws://{address}/ws?sub=ticker:MARU&sub=ticker:BADA");
    let mut socket = sotong::connect(&target).await.unwrap();
    let mut offsets: HashMap<String, u64> = HashMap::new();
    let mut has_entered = false;
    while !seen.is_over() {
        let message = socket.recv().await.unwrap().expect("the server does not close");
        if !has_entered {
            has_entered = true;
            seen.entered.add_permits(1);
        }
        let heard: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
        let push = &heard["push"];
        if let Some(count) = push["skipped"]["count"].as_u64() {
            Seen::count(&seen.told_prices, count);
        }
        let (Some(channel), Some(offset)) = (push["channel"].as_str(), push["pub"]["offset"].as_u64()) else {
            continue;
        };
        Seen::count(&seen.prices, 1);
        if let Some(before) = offsets.insert(channel.to_owned(), offset) {
            assert!(offset > before, "{channel}: {offset} after {before}");
            Seen::count(&seen.missed_prices, offset - before - 1);
        }
    }
}

/// The memory of the server, in KiB.
fn memory(program: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// How many messages the server has left out so far.
fn skipped(metrics: SocketAddr) -> u64 {
    let mut stream = TcpStream::connect(metrics).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let line = answer.lines().find_map(|line| line.strip_prefix("sotong_published_skipped_total "));
    line.map_or(0, |count| count.trim().parse().unwrap())
}

#[test]
fn a_crowd_misses_nothing_and_leaves_no_memory() {
    let crowd = number("SOTONG_CROWD", 160);
    let seconds = number("SOTONG_CROWD_SECONDS", 6) as u64;
    let mut program = Program::serve(&["--metrics", "127.0.0.1:0"]);
    let line = program.next_line();
    let metrics = line.split_once("http://").unwrap().1.split('/').next().unwrap().parse().unwrap();
    let seen = Arc::new(Seen::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (before, after) = runtime.block_on(async {
        let mut people = tokio::task::JoinSet::new();
        for number in 0..crowd {
            let (address, seen) = (program.address, seen.clone());
            if number < PLAYERS_MAX || number % 2 == 0 {
                people.spawn(game(address, number, seen));
            } else {
                people.spawn(prices(address, seen));
            }
        }
        // Everybody is there, and has been for a while.
        let arrived = seen.entered.acquire_many(crowd as u32);
        tokio::time::timeout(DEADLINE, arrived).await.expect("all come in").unwrap().forget();
        tokio::time::sleep(Duration::from_secs(seconds / 3)).await;
        let before = memory(&program);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let after = memory(&program);
        seen.is_over.store(true, Ordering::Relaxed);
        let ends = async {
            while let Some(end) = people.join_next().await {
                end.unwrap();
            }
        };
        tokio::time::timeout(DEADLINE, ends).await.expect("the next message tells everybody that it is over");
        (before, after)
    });
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    eprintln!(
        "{crowd} for {seconds} s: {} ticks and {} prices heard, {} and {} missed; memory {before} KiB, then {after} KiB",
        of(&seen.ticks),
        of(&seen.prices),
        of(&seen.missed_ticks),
        of(&seen.missed_prices),
    );
    assert!(of(&seen.ticks) > 0 && of(&seen.prices) > 0);
    let (missed, told) = (of(&seen.missed_prices), of(&seen.told_prices));
    assert!(missed <= told, "what is left out is told: {missed} were missed, {told} told");
    let (missed, start) = (of(&seen.missed_ticks), Instant::now());
    // Counters are told now and then.
    while missed > 0 && skipped(metrics) < missed {
        assert!(start.elapsed() < DEADLINE, "{missed} ticks were lost, and not left out");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(after <= before + GROWTH_KIB_MAX, "memory grows: {before} KiB, then {after} KiB");
}
