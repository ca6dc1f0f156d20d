//! Limits per address: what one may have, what the next one is told, and who is counted.

#[path = "support/log.rs"]
mod log;
#[path = "support/plain.rs"]
mod plain;
#[path = "support/proxied.rs"]
mod proxied;
mod support;

use plain::answer;
use proxied::{connect_from, request_from, who_am_i};
use sotong::{Carrier, Config, Rate, Server};
use std::net::SocketAddr;
use std::time::Duration;
use support::{Peer, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn three(server: Server) -> Server {
    server.with_connections_per_ip_max(3).with_trusted_proxies(["127.0.0.2"]).expect("a proxy")
}

/// Let in.
async fn enters(peer: Peer) -> Peer {
    assert!(peer.head.starts_with("HTTP/1.1 101 "), "{}", peer.head);
    peer
}

fn refused(peer: &Peer) -> u64 {
    assert!(peer.head.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{}", peer.head);
    let after = peer.head.lines().find_map(|line| line.strip_prefix("Retry-After: "));
    after.and_then(|seconds| seconds.parse().ok()).expect(&peer.head)
}

/// Tries until it is let in: the server learns by and by that others have gone.
async fn enters_soon(last: u8, server: SocketAddr, headers: &str) -> Peer {
    soon(async {
        loop {
            let peer = request_from(last, server, headers).await;
            if peer.head.starts_with("HTTP/1.1 101 ") {
                return peer;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn one_address_has_three_connections_and_others_have_theirs() {
    let server = who_am_i(three).await;
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(enters(request_from(3, server.address, "").await).await);
    }
    assert!(refused(&request_from(3, server.address, "").await) >= 1);
    let _other = enters(request_from(4, server.address, "").await).await;
    // 127.0.0.1 is an address like any other.
    for _ in 0..3 {
        peers.push(enters(request_from(1, server.address, "").await).await);
    }
    refused(&request_from(1, server.address, "").await);
    drop(peers);
    let _again = enters_soon(3, server.address, "").await;
    server.stop().await;
}

#[tokio::test]
async fn behind_a_proxy_its_clients_are_counted_and_not_the_proxy() {
    let server = who_am_i(three).await;
    let client = |number: u8| format!("X-Forwarded-For: 192.0.2.{number}\r\n");
    let mut peers = Vec::new();
    for number in 1..=20 {
        peers.push(enters(request_from(2, server.address, &client(number)).await).await);
    }
    for _ in 0..2 {
        peers.push(enters(request_from(2, server.address, &client(7)).await).await);
    }
    refused(&request_from(2, server.address, &client(7)).await);
    // Not by another way, either.
    refused(&request_from(2, server.address, "X-Forwarded-For: ::ffff:192.0.2.7\r\n").await);
    refused(&request_from(2, server.address, "X-Forwarded-For: 203.0.113.1, 192.0.2.7\r\n").await);
    // What cannot be understood counts as the proxy, which is no way around the limit.
    for _ in 0..3 {
        peers.push(enters(request_from(2, server.address, "X-Forwarded-For: ?\r\n").await).await);
    }
    refused(&request_from(2, server.address, "X-Forwarded-For: ?\r\n").await);
    server.stop().await;
}

#[tokio::test]
async fn ipv6_is_counted_by_the_first_64_bits() {
    let server = who_am_i(three).await;
    let client = |address: &str| format!("X-Forwarded-For: {address}\r\n");
    let mut peers = Vec::new();
    for address in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1"] {
        peers.push(enters(request_from(2, server.address, &client(address)).await).await);
    }
    refused(&request_from(2, server.address, &client("2001:db8::3")).await);
    peers.push(enters(request_from(2, server.address, &client("2001:db8:0:1::1")).await).await);
    server.stop().await;
}

#[tokio::test]
async fn handshakes_that_nobody_finishes_count_as_well() {
    let server = who_am_i(three).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(connect_from(3, server.address).await);
    }
    // Until the server has taken all three, the next one may be in time.
    soon(async {
        loop {
            let peer = request_from(3, server.address, "").await;
            if peer.head.starts_with("HTTP/1.1 429 ") {
                break;
            }
            enters(peer).await.close().await;
        }
    })
    .await;
    drop(silent);
    let _again = enters_soon(3, server.address, "").await;
    server.stop().await;
}

#[tokio::test]
async fn who_comes_with_hundreds_is_not_even_told() {
    let server = who_am_i(three).await;
    let mut silent: Vec<TcpStream> = Vec::new();
    for _ in 0..200 {
        silent.push(connect_from(3, server.address).await);
    }
    // Three have their places, eight wait to be told, and all others end at once, without an answer.
    let mut ended = 0;
    for stream in silent.iter_mut().rev().take(180) {
        let mut rest = Vec::new();
        let _ = soon(stream.read_to_end(&mut rest)).await;
        assert_eq!(rest, b"");
        ended += 1;
    }
    assert_eq!(ended, 180);
    let _other = enters(request_from(4, server.address, "").await).await;
    server.stop().await;
}

#[tokio::test]
async fn streams_of_pages_count_too() {
    let server = who_am_i(|server| {
        three(server).with_pages(|mut carrier: Carrier, _read, _peer| async move {
            let mut rest = [0; 16];
            let _ = carrier.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            let _ = carrier.read(&mut rest).await;
        })
    })
    .await;
    let mut pages = Vec::new();
    for _ in 0..3 {
        let mut page = connect_from(3, server.address).await;
        page.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("the server reads");
        assert!(support::read_head(&mut page).await.starts_with("HTTP/1.1 200 "));
        pages.push(page);
    }
    refused(&request_from(3, server.address, "").await);
    let mut page = connect_from(3, server.address).await;
    page.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("the server reads");
    assert_eq!(answer(&mut page).await.status, 429);
    drop(pages);
    let _again = enters_soon(3, server.address, "").await;
    server.stop().await;
}

#[tokio::test]
async fn new_connections_come_at_a_pace() {
    // Ten in a second would be let in again too soon for a slow machine; one in a second is not.
    let server = who_am_i(|server| {
        server
            .with_connection_rate_per_ip(Rate::new(1, 5))
            .with_trusted_proxies(["127.0.0.2"])
            .expect("a proxy")
    })
    .await;
    let begun = std::time::Instant::now();
    let mut entered = 0;
    let mut refusals = 0;
    for _ in 0..20 {
        let peer = request_from(3, server.address, "").await;
        if peer.head.starts_with("HTTP/1.1 101 ") {
            entered += 1;
        } else {
            assert!((1..=2).contains(&refused(&peer)), "{}", peer.head);
            refusals += 1;
        }
    }
    let seconds = begun.elapsed().as_secs();
    assert!((5..=5 + seconds + 1).contains(&entered), "{entered} in {seconds} s");
    assert!(refusals >= 1 || seconds > 10, "{refusals}");
    // Others do not wait for it, and it is let in when it has waited.
    enters(request_from(4, server.address, "").await).await;
    enters(request_from(2, server.address, "X-Forwarded-For: 192.0.2.1\r\n").await).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _again = enters_soon(3, server.address, "").await;
    server.stop().await;
}

#[tokio::test]
async fn on_worker_threads_it_is_one_count() {
    let config = Config::default().with_close_timeout(Duration::from_millis(100));
    let (server, address) = support::server(config).await;
    let serve = three(server)
        .serve_events(|_: &sotong::Request| Ok::<_, sotong::Refusal>(proxied::WhoAmI))
        .with_threads(3);
    let server = support::Running::start(address, serve);
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(enters(request_from(3, address, "").await).await);
    }
    refused(&request_from(3, address, "").await);
    drop(peers);
    let _again = enters_soon(3, address, "").await;
    server.stop().await;
}

#[tokio::test]
async fn a_limit_that_a_proxy_reaches_says_so_once() {
    let log = log::Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let server = who_am_i(|server| server.with_connections_per_ip_max(1)).await;
    let _peer = enters(request_from(3, server.address, "").await).await;
    for _ in 0..3 {
        refused(&request_from(3, server.address, "X-Forwarded-For: 192.0.2.1\r\n").await);
    }
    let hints = log.lines().into_iter().filter(|line| line.contains("--trusted-proxy")).count();
    assert_eq!(hints, 1, "{:?}", log.lines());
    assert!(log.has("WARN", &["127.0.0.3", "with_trusted_proxies"]));
    server.stop().await;
}
