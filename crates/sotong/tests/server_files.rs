//! Running out of open files: the server neither dies nor spins, and goes on when there are files again.
//!
//! The limit is the process's, so this file holds a single test.
#![cfg(target_os = "linux")]

#[path = "support/log.rs"]
mod log;
mod support;

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsRawFd;
use std::time::Duration;

use log::Log;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sotong::{Config, Error, WebSocket};
use support::{Peer, Running, SOON, handshake, soon};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

fn set_limit(current: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum })
        .expect("a soft limit may be lowered");
}

/// How much time the process has had, in clock ticks of 10 ms. The file stays open: there may be no place for another.
fn processor_ticks(stat: &mut File) -> u64 {
    let mut text = String::new();
    stat.rewind().and_then(|()| stat.read_to_string(&mut text)).expect("the kernel tells");
    let (_, fields) = text.rsplit_once(')').expect("the name is in brackets");
    // utime and stime are the fields 14 and 15, and the name was the second (proc(5)).
    fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

#[tokio::test]
async fn running_out_of_files_neither_spins_nor_hurts_and_passes() {
    const WAITING: usize = 30;
    let log = Log::default();
    let _here = tracing::subscriber::set_default(log.clone());

    let hard = getrlimit(Resource::Nofile).maximum;
    set_limit(256);
    let (server, address) = support::server(Config::default()).await;
    assert_eq!(getrlimit(Resource::Nofile).current, hard, "the server has raised the limit");
    assert!(log.has("INFO", &["raised the limit of open files", "256"]), "{:?}", log.lines());

    let running = Running::start(
        address,
        server.serve(async |mut socket: WebSocket| {
            while let Some(message) = socket.recv().await? {
                socket.send(message).await?;
            }
            Ok::<(), Error>(())
        }),
    );
    let mut peers = [running.connect().await, running.connect().await];
    // The clients' ends are files of this process too, so they are made before.
    let sockets: Vec<_> = (0..WAITING).map(|_| TcpSocket::new_v4().expect("there are files")).collect();
    let mut stat = File::open("/proc/self/stat").expect("Linux has it");
    // The kernel gives out the lowest free number, and none from the limit on; those above stay open.
    let lowest_free = File::open("/dev/null").expect("there are files").as_raw_fd();
    set_limit(u64::try_from(lowest_free).expect("a descriptor is not negative") + 5);

    let mut clients = Vec::new();
    for socket in sockets {
        let mut stream = socket.connect(address).await.expect("the kernel takes it");
        stream.write_all(handshake(address, "/", "").as_bytes()).await.expect("the kernel takes it");
        clients.push(stream);
    }
    soon(async {
        while !log.has("WARN", &["cannot accept connections", "pause_ms"]) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;

    // Half a second without files.
    let before = processor_ticks(&mut stat);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let used = processor_ticks(&mut stat) - before;
    assert!(used < 25, "{used} ticks of 50: it spins");
    let complaints = log.lines().iter().filter(|line| line.starts_with("WARN")).count();
    assert!(complaints < 20, "it complains {complaints} times");
    for peer in &mut peers {
        peer.text("still here").await;
        peer.expect_text("still here").await;
    }

    // Places that become free are taken, without a new limit.
    let mut answered = 0;
    let all = async {
        for mut stream in clients {
            let head = support::read_head(&mut stream).await;
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            answered += 1;
            drop(stream);
        }
    };
    tokio::time::timeout(3 * SOON, all)
        .await
        .unwrap_or_else(|_| panic!("{answered} of {WAITING} were let in"));

    set_limit(hard.unwrap_or(1 << 20));
    for peer in peers {
        peer.close().await;
    }
    Peer::connect(address).await.close().await;
    running.stop().await;
}
