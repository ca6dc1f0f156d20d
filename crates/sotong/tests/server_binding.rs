//! What a server listens on, and streams that it is handed.

mod support;

use std::future::IntoFuture;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sotong::{Config, Error, Handle, MessageRef, Sender, Serve, Server, WebSocket};
use support::{Peer, Running, TEXT, frame, handshake, read_head, soon};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn echoes(address: SocketAddr) {
    let mut peer = Peer::connect(address).await;
    peer.text("hello").await;
    peer.expect_text("hello").await;
    peer.close().await;
}

async fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok()
}

#[tokio::test]
async fn binds_to_ipv4_with_a_port_that_the_system_chooses() {
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
    let address = server.local_addr().expect("a listener has an address");
    assert!(address.ip() == IpAddr::from(Ipv4Addr::LOCALHOST) && address.port() != 0, "{address}");
    let running = Running::start(address, server.serve(echo));
    echoes(address).await;
    running.stop().await;
}

#[tokio::test]
async fn binds_to_ipv6() {
    if !has_ipv6().await {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let server = Server::bind("[::1]:0").await.expect("loopback has a free port");
    let address = server.local_addr().expect("a listener has an address");
    assert!(address.is_ipv6() && address.port() != 0, "{address}");
    let running = Running::start(address, server.serve(echo));
    echoes(address).await;
    running.stop().await;
}

#[tokio::test]
async fn serves_every_address_that_it_is_bound_to() {
    let mut addresses = vec![SocketAddr::from(([127, 0, 0, 1], 0)), SocketAddr::from(([127, 0, 0, 1], 0))];
    if has_ipv6().await {
        addresses.push(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)));
    }
    let server = Server::bind(&addresses[..]).await.expect("loopback has free ports");
    let bound = server.local_addrs().expect("listeners have addresses");
    assert_eq!(bound.len(), addresses.len());
    assert_eq!(bound[0], server.local_addr().expect("a listener has an address"));
    let running = Running::start(bound[0], server.serve(echo));
    for address in bound {
        echoes(address).await;
        echoes(address).await;
    }
    running.stop().await;
}

/// Binds to addresses with a port that was free a moment ago. Another process may have taken it since, or have it in
/// the other family; then another one is tried.
async fn bind_to_one_port(addresses: impl Fn(u16) -> Vec<SocketAddr>) -> (Server, Vec<SocketAddr>) {
    for _ in 0..50 {
        let free = Server::bind("127.0.0.1:0").await.and_then(|server| server.local_addr());
        let addresses = addresses(free.expect("loopback has a free port").port());
        if let Ok(server) = Server::bind(&addresses[..]).await {
            return (server, addresses);
        }
    }
    panic!("no port could be shared");
}

#[tokio::test]
async fn both_families_share_a_port() {
    if !has_ipv6().await {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let both = |port| {
        vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))]
    };
    let (server, addresses) = bind_to_one_port(both).await;
    assert_eq!(server.local_addrs().expect("listeners have addresses"), addresses);
    let running = Running::start(addresses[0], server.serve(echo));
    for address in addresses {
        echoes(address).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn binds_to_a_host_name() {
    let server = Server::bind("localhost:0").await.expect("localhost is loopback");
    let address = server.local_addr().expect("a listener has an address");
    assert!(address.ip().is_loopback(), "{address}");
    let running = Running::start(address, server.serve(echo));
    echoes(address).await;
    running.stop().await;
}

#[tokio::test]
async fn an_address_that_is_given_twice_is_listened_on_once() {
    let (server, addresses) =
        bind_to_one_port(|port| vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port)); 2]).await;
    assert_eq!(server.local_addrs().expect("listeners have addresses"), addresses[..1]);
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_the_address() {
    let taken = Server::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = taken.local_addr().expect("a listener has an address");
    let error = Server::bind(address).await.expect_err("the port is in use");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address.to_string()), "{error}");

    let foreign = Server::bind("192.0.2.1:0").await.expect_err("an address for documentation is nobody's");
    assert!(foreign.to_string().contains("192.0.2.1:0"), "{foreign}");
}

#[tokio::test]
async fn a_name_that_stands_for_nothing_is_an_error() {
    // No name server is asked for a name that cannot be one.
    let too_long = format!("{}.invalid:0", "x".repeat(64));
    for bad in [&*too_long, "no\0name:0", "127.0.0.1", "127.0.0.1:65536", ""] {
        let error = soon(Server::bind(bad)).await.expect_err(bad);
        assert!(!error.to_string().is_empty(), "{bad}");
    }
    let error = Server::bind(&[][..] as &[SocketAddr]).await.expect_err("no address at all");
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
}

#[tokio::test]
async fn serves_a_listener_of_the_callers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a listener has an address");
    let server = Server::from_listener(listener);
    assert_eq!(server.local_addr().expect("the same one"), address);
    let running = Running::start(address, server.serve(echo));
    echoes(address).await;
    running.stop().await;
}

/// Two ends of a connection that a server knows nothing of, and the address that the client took.
async fn stream_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a listener has an address");
    let client = TcpStream::connect(address).await.expect("it listens");
    let (served, _) = listener.accept().await.expect("somebody connects");
    (client, served)
}

const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

fn detached(threads: usize) -> (Running, Handle) {
    let server = Server::detached();
    assert_eq!(server.local_addr().expect_err("it listens on nothing").kind(), ErrorKind::NotConnected);
    let serve: Serve = server.serve(echo).with_threads(threads);
    let handle = serve.handle();
    (Running::start(NOWHERE, serve), handle)
}

#[tokio::test]
async fn a_detached_server_serves_the_streams_that_it_is_handed() {
    for threads in [0, 2] {
        let (running, handle) = detached(threads);
        for _ in 0..4 {
            let (mut client, served) = stream_pair().await;
            let expected = client.local_addr().expect("it is connected");
            assert_eq!(served.peer_addr().expect("it is connected"), expected);
            handle.accept(served, Vec::new()).expect("the server is there");
            client.write_all(handshake(NOWHERE, "/", "").as_bytes()).await.expect("the server reads");
            let mut peer = Peer { head: read_head(&mut client).await, stream: client };
            assert!(peer.head.starts_with("HTTP/1.1 101 "), "{}", peer.head);
            peer.text("hello").await;
            peer.expect_text("hello").await;
            peer.close().await;
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn bytes_that_were_read_already_come_first_wherever_they_were_cut() {
    let (running, handle) = detached(0);
    let mut whole = handshake(NOWHERE, "/", "").into_bytes();
    let head = whole.len();
    whole.extend(frame(TEXT, true, b"first"));
    whole.extend(frame(TEXT, true, b"second"));
    for cut in [1, 16, head - 1, head, head + 1, head + 7, head + 11, whole.len()] {
        let (mut client, served) = stream_pair().await;
        handle.accept(served, whole[..cut].to_vec()).expect("the server is there");
        client.write_all(&whole[cut..]).await.expect("the server reads");
        let mut peer = Peer { head: read_head(&mut client).await, stream: client };
        assert!(peer.head.starts_with("HTTP/1.1 101 "), "{}", peer.head);
        peer.expect_text("first").await;
        peer.expect_text("second").await;
        peer.close().await;
    }
    running.stop().await;
}

#[tokio::test]
async fn what_is_handed_over_before_the_server_works_is_served_then() {
    let serve = Server::detached().serve(echo);
    let handle = serve.handle();
    let (mut client, served) = stream_pair().await;
    handle.accept(served, handshake(NOWHERE, "/", "").into_bytes()).expect("the server will be there");
    let running = Running::start(NOWHERE, serve);
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101 "));
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn a_stream_for_a_server_that_is_gone_is_an_error_and_not_silence() {
    let (running, handle) = detached(0);
    running.stop().await;
    let (_client, served) = stream_pair().await;
    let error = handle.accept(served, Vec::new()).expect_err("the server is gone");
    assert_eq!(error.kind(), ErrorKind::NotConnected);

    let serve = Server::detached().serve(echo);
    let handle = serve.handle();
    drop(serve.into_future());
    let (_client, served) = stream_pair().await;
    handle.accept(served, Vec::new()).expect_err("the server was never there");
}

#[tokio::test]
async fn a_server_that_drains_takes_no_more_streams() {
    let server = Server::detached().with_config(Config::default());
    let serve = server.serve_events(|_: &sotong::Request| Ok::<_, sotong::Refusal>(Quiet));
    let handle = serve.handle();
    let mut running = Running::start(NOWHERE, serve);
    let (mut client, served) = stream_pair().await;
    handle.accept(served, handshake(NOWHERE, "/", "").into_bytes()).expect("the server is there");
    let mut peer = Peer { head: read_head(&mut client).await, stream: client };
    running.begin_stop();
    let close = peer.next().await.expect("a close frame");
    assert_eq!(close.close_code(), Some(1001));
    // This peer has not answered yet, so the server is still there, draining.
    let (_client, served) = stream_pair().await;
    let error = handle.accept(served, Vec::new()).expect_err("the server takes no more");
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    drop(peer);
    running.stop().await;
}

struct Quiet;

impl sotong::Events for Quiet {
    fn message(&mut self, _socket: &Sender, _message: MessageRef<'_>) {}
}
