//! Behind a proxy: whose word counts, and for what.

#[path = "support/proxied.rs"]
mod proxied;
mod support;

use proxied::{WhoAmI, connect_from, request_from, request_on, told, who_am_i};
use sotong::{Carrier, Config, ForwardedHeader, ProxyProtocol, Refusal, Request, Server};
use std::future::IntoFuture;
use std::time::Duration;
use support::{Peer, handshake, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// 127.0.0.2 is the proxy; 127.0.0.3 is a stranger.
fn behind(server: Server) -> Server {
    server.with_trusted_proxies(["127.0.0.2", "10.0.0.0/8"]).expect("these are proxies")
}

#[tokio::test]
async fn only_a_trusted_proxy_is_believed() {
    let server = who_am_i(behind).await;
    let says = "X-Forwarded-For: 203.0.113.9, 192.0.2.7, 10.1.1.1\r\n";
    for (last, wanted) in [(2, "192.0.2.7"), (3, "127.0.0.3"), (1, "127.0.0.1")] {
        assert_eq!(told(request_from(last, server.address, says).await).await, wanted);
    }
    assert_eq!(told(request_from(2, server.address, "").await).await, "127.0.0.2", "it says nothing");
    server.stop().await;
}

#[tokio::test]
async fn nobody_is_trusted_by_default() {
    let server = who_am_i(|server| server).await;
    let says = "X-Forwarded-For: 192.0.2.7\r\nForwarded: for=192.0.2.7\r\n";
    assert_eq!(told(request_from(2, server.address, says).await).await, "127.0.0.2");
    server.stop().await;
}

#[tokio::test]
async fn what_a_proxy_cannot_have_meant_leaves_its_own_address() {
    let server = who_am_i(behind).await;
    for field in [
        "X-Forwarded-For: garbage\r\n",
        "X-Forwarded-For: 192.0.2.7, \r\n",
        "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: unknown\r\n",
        "X-Forwarded-For: \x1b[31m\r\n",
        "X-Forwarded-For: \u{e9}\r\n",
    ] {
        // Whatever it is, it is no reason to fall over: let in as the proxy, or refused as malformed HTTP.
        let answer = told(request_from(2, server.address, field).await).await;
        assert!(answer == "127.0.0.2" || answer.contains(" 400 "), "{field:?}: {answer}");
    }
    assert_eq!(told(request_from(2, server.address, "X-Forwarded-For: x\r\n").await).await, "127.0.0.2");
    server.stop().await;
}

#[tokio::test]
async fn a_client_cannot_pass_for_its_proxy_by_a_field_that_the_proxy_passes_on() {
    let server = who_am_i(behind).await;
    let says = "X-Forwarded-Proto: \"\r\nX-Forwarded-For: 192.0.2.7\r\n";
    assert_eq!(told(request_from(2, server.address, says).await).await, "192.0.2.7");
    server.stop().await;
    let server = who_am_i(|server| behind(server).with_forwarded_header(ForwardedHeader::Forwarded)).await;
    let says = "Forwarded: for=\"\r\nForwarded: for=192.0.2.7\r\n";
    assert_eq!(told(request_from(2, server.address, says).await).await, "192.0.2.7");
    server.stop().await;
}

#[tokio::test]
async fn forwarded_is_believed_when_it_was_chosen() {
    let server = who_am_i(|server| behind(server).with_forwarded_header(ForwardedHeader::Forwarded)).await;
    let both = "Forwarded: for=203.0.113.9;proto=http, for=\"[2001:db8::7]:4711\";proto=https\r\n\
                X-Forwarded-For: 192.0.2.7\r\n";
    assert_eq!(told(request_from(2, server.address, both).await).await, "2001:db8::7");
    assert_eq!(told(request_from(3, server.address, both).await).await, "127.0.0.3");
    let unclosed = "Forwarded: for=\"203.0.113.9, for=192.0.2.7\r\n";
    assert_eq!(told(request_from(2, server.address, unclosed).await).await, "127.0.0.2");
    server.stop().await;
}

#[tokio::test]
async fn a_unix_socket_is_a_proxy_only_if_it_was_named_and_memory_never_is() {
    let folder = std::env::temp_dir().join(format!("sotong-operator-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
    for (proxy, wanted) in [("unix", "192.0.2.7"), ("127.0.0.2", "nobody")] {
        let path = folder.join(proxy);
        let server = Server::bind_unix(&path).expect("the path is free");
        let server = server.with_trusted_proxies([proxy]).expect("a proxy");
        let serve = server.serve_events(|_: &Request| Ok::<_, Refusal>(WhoAmI));
        let handle = serve.handle();
        let (near, far) = sotong::memory();
        handle.accept(far, Vec::new()).expect("the server is there");
        let running = tokio::spawn(serve.into_future());
        let unix = soon(tokio::net::UnixStream::connect(&path)).await.expect("the server listens");
        for (mut stream, wanted) in [(Carrier::from(unix), wanted), (near, "nobody")] {
            let any = "127.0.0.1:80".parse().expect("an address");
            let request = handshake(any, "/", "X-Forwarded-For: 192.0.2.7\r\n");
            stream.write_all(request.as_bytes()).await.expect("the server reads");
            let mut answer = Vec::new();
            while !answer.ends_with(wanted.as_bytes()) {
                answer.push(soon(stream.read_u8()).await.expect(wanted));
            }
        }
        running.abort();
        let _ = running.await;
    }
    std::fs::remove_dir_all(&folder).expect("it was ours");
}

async fn status(peer: Peer) -> u16 {
    peer.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect(&peer.head)
}

#[tokio::test]
async fn a8_the_public_origin_is_what_the_browser_sees() {
    let server =
        who_am_i(|server| server.with_public_origin("https://chat.example.com").expect("an origin")).await;
    for (origin, wanted) in [
        ("https://chat.example.com", 101),
        ("https://chat.example.com:443", 101),
        ("http://chat.example.com", 403),
        ("https://chat.example.com:8443", 403),
        ("https://evil-chat.example.com", 403),
        ("https://chat.example.com.evil.example", 403),
        ("null", 403),
        ("https://127.0.0.1", 403),
    ] {
        let peer = request_from(1, server.address, &format!("Origin: {origin}\r\n")).await;
        assert_eq!(status(peer).await, wanted, "{origin}");
    }
    // The own page at the very address of the server is another origin now.
    let own = format!("Origin: http://{}\r\n", server.address);
    assert_eq!(status(request_from(1, server.address, &own).await).await, 403);
    assert_eq!(status(request_from(1, server.address, "").await).await, 101, "not a browser");
    server.stop().await;
}

#[tokio::test]
async fn a8_a_trusted_proxy_tells_scheme_and_host_and_a_stranger_does_not() {
    let server =
        who_am_i(|server| behind(server).with_allowed_hosts(["chat.example.com"]).expect("a name")).await;
    let seen = |origin: &str, scheme: &str, host: &str| {
        format!(
            "X-Forwarded-For: 192.0.2.7\r\nOrigin: {origin}\r\nX-Forwarded-Proto: {scheme}\r\nX-Forwarded-Host: {host}\r\n"
        )
    };
    let own = "https://chat.example.com";
    for (last, fields, wanted) in [
        (2, seen(own, "https", "chat.example.com"), 101),
        (2, seen(own, "wss", "chat.example.com:443"), 101),
        (2, seen(own, "http", "chat.example.com"), 403),
        (2, seen(own, "https", "chat.example.com:8443"), 403),
        (2, seen("http://chat.example.com", "https", "chat.example.com"), 403),
        (2, seen("https://evil.example", "https", "evil.example"), 403),
        (2, seen("null", "https", "chat.example.com"), 403),
        (3, seen(own, "https", "chat.example.com"), 403),
    ] {
        let peer = request_from(last, server.address, &fields).await;
        assert_eq!(status(peer).await, wanted, "127.0.0.{last}: {fields}");
    }
    server.stop().await;
}

fn spoken(server: Server) -> Server {
    behind(server).with_proxy_protocol(ProxyProtocol::Required)
}

const INET: [u8; 28] =
    *b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x01\x0f\xa0\x01\xbb";
const LOCAL: [u8; 16] = *b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

#[tokio::test]
async fn the_proxy_protocol_names_the_client() {
    let server = who_am_i(spoken).await;
    for (header, wanted) in [
        (&b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 443\r\n"[..], "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4000 443\r\n", "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.2"),
        (&INET, "192.0.2.7"),
        (&LOCAL, "127.0.0.2"),
    ] {
        // The header is believed, and what the client says by itself is not.
        for fields in ["", "X-Forwarded-For: 203.0.113.9\r\n"] {
            if wanted == "127.0.0.2" && !fields.is_empty() {
                continue;
            }
            let stream = connect_from(2, server.address).await;
            let peer = request_on(stream, server.address, header, fields).await;
            assert_eq!(told(peer).await, wanted, "{header:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_proxy_behind_a_proxy_is_believed_as_far_as_it_is_trusted() {
    let server = who_am_i(spoken).await;
    // The outer one speaks HTTP, the inner one passes its bytes on.
    let header = b"PROXY TCP4 10.0.0.8 192.0.2.1 4000 443\r\n";
    let stream = connect_from(2, server.address).await;
    let peer = request_on(stream, server.address, header, "X-Forwarded-For: 192.0.2.7\r\n").await;
    assert_eq!(told(peer).await, "192.0.2.7");
    server.stop().await;
}

#[tokio::test]
async fn wherever_the_proxy_header_is_cut_the_client_is_the_same() {
    let server = who_am_i(spoken).await;
    let v1 = b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 443\r\n";
    for header in [&v1[..], &INET] {
        for cut in 1..header.len() {
            let mut stream = connect_from(2, server.address).await;
            stream.set_nodelay(true).expect("TCP can do that");
            stream.write_all(&header[..cut]).await.expect("the server reads");
            tokio::task::yield_now().await;
            let peer = request_on(stream, server.address, &header[cut..], "").await;
            assert_eq!(told(peer).await, "192.0.2.7", "cut at {cut}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_proxy_that_does_not_begin_with_its_header_is_dropped() {
    let server = who_am_i(spoken).await;
    for before in [&b""[..], b"PROXY TCP4 nonsense\r\n", b"\r\n\r\n\0\r\nQUIT\nxxxxx"] {
        let stream = connect_from(2, server.address).await;
        let peer = request_on(stream, server.address, before, "X-Forwarded-For: 192.0.2.7\r\n").await;
        assert_eq!(peer.head, "", "not a word");
    }
    // A stranger is served as if there were no such thing, and what it claims is malformed HTTP.
    assert_eq!(told(request_from(3, server.address, "").await).await, "127.0.0.3");
    let stream = connect_from(3, server.address).await;
    let peer = request_on(stream, server.address, b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 443\r\n", "").await;
    assert_eq!(status(peer).await, 400);
    server.stop().await;
}

#[tokio::test]
async fn deadline_handshake_the_proxy_header_must_come_in_time_as_well() {
    let config = Config::default().with_handshake_timeout(Duration::from_millis(100));
    let server = who_am_i(|server| spoken(server).with_config(config)).await;
    let mut stream = connect_from(2, server.address).await;
    stream.write_all(b"PROXY TCP4 192.0").await.expect("the server reads");
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
    assert_eq!(rest, b"");
    server.stop().await;
}
