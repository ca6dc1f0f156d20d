//! From a name to a socket: one connect at a time to one address (RFC 6455, section 4.1, 2), and what a connect that is
//! dropped leaves behind.
//!
//! Each test has an address of its own: the gate is the whole process's.
#![cfg(target_os = "linux")]

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::time::Duration;

use futures_util::FutureExt;
use scripted::Scripted;
use socket2::{Domain, Socket, Type};
use sotong::{Client, ConnectError, ConnectStep, ConnectTimeouts};
use support::soon;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Lets every task of this thread go as far as it can without news from outside.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn b6_connects_to_one_address_wait_for_each_other_in_order() {
    let (one, two) = (Scripted::start_at("127.0.0.31:0").await, Scripted::start_at("127.0.0.31:0").await);
    let first = tokio::spawn(sotong::connect(&one.url()));
    let first_asked = one.request().await;
    // Another port is the same address, and another name for it would be, too.
    let second = tokio::spawn(sotong::connect(&two.url()));
    settle().await;
    let third = tokio::spawn(sotong::connect(&one.url()));
    settle().await;
    assert!(two.listener.accept().now_or_never().is_none(), "the second waits");
    assert!(one.listener.accept().now_or_never().is_none(), "the third waits");

    let _first_served = first_asked.open("").await;
    let _first = soon(first).await.expect("no panic").expect("connected");
    let second_asked = two.request().await;
    settle().await;
    assert!(one.listener.accept().now_or_never().is_none(), "the third waits for the second");
    // Failing lets the next one in as well.
    drop(second_asked.say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await);
    let refused = soon(second).await.expect("no panic").expect_err("it was refused");
    assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");
    let _third_served = one.open().await;
    soon(third).await.expect("no panic").expect("connected");
}

#[tokio::test]
async fn b6_connects_to_different_addresses_run_side_by_side() {
    let (one, two) = (Scripted::start_at("127.0.0.32:0").await, Scripted::start_at("127.0.0.33:0").await);
    let first = tokio::spawn(sotong::connect(&one.url()));
    let second = tokio::spawn(sotong::connect(&two.url()));
    let (first_asked, second_asked) = (one.request().await, two.request().await);
    let _served = (second_asked.open("").await, first_asked.open("").await);
    soon(second).await.expect("no panic").expect("connected");
    soon(first).await.expect("no panic").expect("connected");
}

#[tokio::test]
async fn b6_simultaneous_connects_can_be_allowed() {
    let server = Scripted::start_at("127.0.0.34:0").await;
    let client = Client::new().with_simultaneous_connects();
    let connecting: Vec<_> = (0..3).map(|_| tokio::spawn(client.connect(&server.url()))).collect();
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(server.request().await);
    }
    let mut served = Vec::new();
    for asked in asked {
        served.push(asked.open("").await);
    }
    for connecting in connecting {
        soon(connecting).await.expect("no panic").expect("connected");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b6_never_two_at_once_on_any_thread_or_runtime() {
    const CONNECTS: usize = 60;
    let server = Scripted::start_at("127.0.0.41:0").await;
    let url = server.url();
    let here: Vec<_> = (0..CONNECTS / 2).map(|_| tokio::spawn(sotong::connect(&url))).collect();
    let elsewhere = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let connecting: Vec<_> = (0..CONNECTS / 2).map(|_| tokio::spawn(sotong::connect(&url))).collect();
            for connecting in connecting {
                soon(connecting).await.expect("no panic").expect("connected");
            }
        });
    });
    let mut served = Vec::new();
    for _ in 0..CONNECTS {
        let asked = server.request().await;
        // Whoever came too early would be in the listener's queue by now.
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(server.listener.accept().now_or_never().is_none(), "one at a time");
        served.push(asked.open("").await);
    }
    for connecting in here {
        soon(connecting).await.expect("no panic").expect("connected");
    }
    tokio::task::spawn_blocking(|| elsewhere.join()).await.expect("no panic").expect("no panic");
}

#[tokio::test]
async fn b6_waiting_at_the_gate_has_the_deadline_of_the_whole() {
    let server = Scripted::start_at("127.0.0.35:0").await;
    let first = tokio::spawn(sotong::connect(&server.url()));
    let asked = server.request().await;
    let timeouts = ConnectTimeouts::default().with_total(Duration::from_millis(50));
    let error =
        soon(Client::new().with_timeouts(timeouts).connect(&server.url())).await.expect_err("it waits");
    assert!(matches!(error, ConnectError::Timeout { step: ConnectStep::Gate, .. }), "{error:?}");
    assert!(error.to_string().contains("with_simultaneous_connects"), "{error}");
    let _served = asked.open("").await;
    soon(first).await.expect("no panic").expect("connected");
}

/// The server's end is closed: nothing holds the client's socket any more.
async fn is_closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = soon(stream.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn a_connect_that_is_dropped_in_its_handshake_gives_back_its_pass_and_its_socket() {
    let server = Scripted::start_at("127.0.0.36:0").await;
    let connecting = tokio::spawn(sotong::connect(&server.url()));
    let asked = server.request().await;
    connecting.abort();
    assert!(connecting.await.expect_err("it was dropped").is_cancelled());
    is_closed(asked.stream).await;
    let next = tokio::spawn(sotong::connect(&server.url()));
    let _served = server.open().await;
    soon(next).await.expect("no panic").expect("connected");
}

#[tokio::test]
async fn a_connect_that_is_dropped_while_it_waits_holds_nobody_up() {
    let server = Scripted::start_at("127.0.0.37:0").await;
    let first = tokio::spawn(sotong::connect(&server.url()));
    let asked = server.request().await;
    let waiting = tokio::spawn(sotong::connect(&server.url()));
    settle().await;
    let next = tokio::spawn(sotong::connect(&server.url()));
    settle().await;
    waiting.abort();
    assert!(waiting.await.expect_err("it was dropped").is_cancelled());
    let _served = asked.open("").await;
    soon(first).await.expect("no panic").expect("connected");
    let _served = server.open().await;
    soon(next).await.expect("no panic").expect("connected");
    assert!(server.listener.accept().now_or_never().is_none(), "the one that was dropped never came");
}

/// A listener whose queue is full: to connect to it takes until somebody accepts.
fn full() -> (Socket, std::net::SocketAddr, Vec<Socket>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("TCP is there");
    let address: std::net::SocketAddr = "127.0.0.38:0".parse().expect("an address");
    listener.bind(&address.into()).expect("loopback has a free port");
    listener.listen(0).expect("it is bound");
    let address = listener.local_addr().expect("it is bound").as_socket().expect("IPv4");
    let queue = (0..2).map(|_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("TCP is there");
        socket.set_nonblocking(true).expect("TCP can do that");
        // Begun, and as far as it gets.
        let _ = socket.connect(&address.into());
        socket
    });
    let queue = queue.collect();
    (listener, address, queue)
}

#[tokio::test]
async fn a_connect_that_is_dropped_while_tcp_connects_gives_back_its_pass_and_its_socket() {
    let (listener, address, queue) = full();
    let url = format!("ws://{address}/");
    let timeouts = ConnectTimeouts::default().with_tcp(Duration::from_millis(50));
    let error = soon(Client::new().with_timeouts(timeouts).connect(&url)).await.expect_err("nobody accepts");
    assert!(matches!(error, ConnectError::Timeout { step: ConnectStep::Tcp, .. }), "{error:?}");
    let connecting = tokio::spawn(sotong::connect(&url));
    settle().await;
    let gone = Scripted::start_at("127.0.0.38:0").await.url();
    let waiting = tokio::spawn(sotong::connect(&gone));
    settle().await;
    assert!(!waiting.is_finished(), "it waits for its pass");
    connecting.abort();
    assert!(connecting.await.expect_err("it was dropped").is_cancelled());
    // It has its pass: that listener is gone.
    let error = soon(waiting).await.expect("no panic").expect_err("nobody listens");
    assert!(matches!(error, ConnectError::Tcp { .. }), "{error:?}");
    drop((listener, queue));
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_server_that_does_not_answer_in_tls_meets_a_deadline_and_a_dropped_connect_hangs_up() {
    let server = Scripted::start_at("127.0.0.40:0").await;
    let url = format!("wss://{}/", server.address);
    let timeouts = ConnectTimeouts::default().with_tls(Duration::from_millis(50));
    let connecting = tokio::spawn(Client::new().with_timeouts(timeouts).connect(&url));
    let mute = server.accept().await;
    let error = soon(connecting).await.expect("no panic").expect_err("it says nothing");
    assert!(matches!(error, ConnectError::Timeout { step: ConnectStep::Tls, .. }), "{error:?}");
    is_closed(mute).await;

    let connecting = tokio::spawn(sotong::connect(&url));
    let mute = server.accept().await;
    connecting.abort();
    assert!(connecting.await.expect_err("it was dropped").is_cancelled());
    is_closed(mute).await;
    let next = tokio::spawn(sotong::connect(&server.url()));
    let _served = server.open().await;
    soon(next).await.expect("no panic").expect("connected");
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn without_tls_wss_is_refused_before_anything_is_sent() {
    let server = Scripted::start_at("127.0.0.40:0").await;
    let error = soon(sotong::connect(&format!("wss://{}/", server.address))).await.expect_err("no TLS");
    assert!(matches!(error, ConnectError::Url(sotong::UrlError::WithoutTls)), "{error:?}");
    assert!(server.listener.accept().now_or_never().is_none());
}

#[tokio::test]
async fn nobody_listening_is_said_in_one_line() {
    let gone = Scripted::start_at("127.0.0.39:0").await.address;
    let error =
        soon(sotong::connect(&format!("ws://{gone}/?token=secret"))).await.expect_err("nobody listens");
    let shown = error.to_string();
    assert!(
        shown.starts_with(&format!("no TCP connection to {gone}: {gone}: Connection refused")),
        "{shown}"
    );
    assert!(shown.ends_with("(is a server listening on this port?)"), "{shown}");
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn a_name_without_an_address_is_said_in_one_line() {
    // No name server is asked for a name that cannot be one.
    let name = format!("{}.invalid", "x".repeat(64));
    let error =
        soon(sotong::connect(&format!("ws://{name}:9001/?token=secret"))).await.expect_err("nobody has it");
    assert!(matches!(&error, ConnectError::Resolve { host, .. } if *host == name), "{error:?}");
    assert!(error.to_string().starts_with(&format!("host \"{name}\" cannot be resolved: ")), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn a_name_is_found_and_said_in_host() {
    // Some systems try ::1 first, where nobody listens.
    let server = Scripted::start_at("127.0.0.1:0").await;
    let port = server.address.port();
    let connecting = tokio::spawn(sotong::connect(&format!("ws://LocalHost:{port}/")));
    let asked = server.request().await;
    assert_eq!(asked.fields("Host"), [format!("localhost:{port}")]);
    let _served = asked.open("").await;
    let socket = soon(connecting).await.expect("no panic").expect("connected");
    assert_eq!(socket.peer_addr(), Some(server.address));
}

#[tokio::test]
async fn ipv6_literals_are_connected_to() {
    let Ok(listener) = tokio::net::TcpListener::bind("[::1]:0").await else {
        return; // This machine has no IPv6.
    };
    let address = listener.local_addr().expect("it is bound");
    let server = Scripted { listener, address };
    let connecting = tokio::spawn(sotong::connect(&server.url()));
    let asked = server.request().await;
    assert_eq!(asked.fields("Host"), [address.to_string()]);
    let _served = asked.open("").await;
    soon(connecting).await.expect("no panic").expect("connected");
}
