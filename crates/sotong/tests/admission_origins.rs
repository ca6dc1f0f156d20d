//! Who may connect: pages of the same origin, allowed ones, and everybody who is no browser (security.md, origin).

#[path = "support/plain.rs"]
mod plain;
mod support;

use plain::ask;
use sotong::handshake::danger;
use sotong::{Config, Error, Server, WebSocket};
use support::Running;

async fn start(set_up: impl Fn(Server) -> Server) -> Running {
    let (server, address) = support::server(Config::default()).await;
    Running::start(address, set_up(server).serve(async |_socket: WebSocket| Ok::<(), Error>(())))
}

/// Whether a browser that shows a page of `origin`, and believes the server to be `host`, gets in.
async fn gets_in(running: &Running, host: &str, origin: Option<&str>) -> bool {
    let origin = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{origin}\r\n"
    );
    let mut stream = tokio::net::TcpStream::connect(running.address).await.expect("the server listens");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.expect("the server reads");
    let head = support::read_head(&mut stream).await;
    match head.get(9..12) {
        Some("101") => true,
        Some("403") => {
            // And again, to see that it is a whole answer after which nothing comes.
            assert_eq!(ask(running.address, request).await.status, 403);
            false
        }
        _ => panic!("{host} {origin}: {head}"),
    }
}

async fn let_in(running: &Running, cases: &[(&str, &str)], expected: bool) {
    for (host, origin) in cases {
        assert_eq!(gets_in(running, host, Some(origin)).await, expected, "host {host}, origin {origin}");
    }
}

#[tokio::test]
async fn pages_of_the_same_origin_get_in_and_others_do_not() {
    let running = start(|server| server).await;
    let own = running.address.to_string();
    let other_port = format!("http://127.0.0.1:{}", running.address.port() ^ 1);
    let same = format!("http://{own}");
    let_in(
        &running,
        &[
            (&own, &same),
            ("localhost:8000", "http://localhost:8000"),
            ("LOCALHOST:8000", "http://localhost:8000"),
            // TLS may end in front of us.
            ("localhost", "https://localhost"),
            ("app.localhost:1", "http://app.localhost:1"),
            ("[::1]:8000", "http://[::1]:8000"),
            ("192.0.2.7", "http://192.0.2.7:80"),
        ],
        true,
    )
    .await;
    let_in(
        &running,
        &[
            (&own, &other_port),
            (&own, "http://evil.example"),
            (&own, "null"),
            (&own, "http://127.0.0.1.evil.example"),
            (&own, "file://"),
            ("localhost:8000", "http://localhost"),
            ("localhost:8000", "http://localhost:8001"),
            ("localhost:8000", "http://evil-localhost:8000"),
            ("localhost:8000", "http://localhost:8000.evil.example"),
            ("localhost:8000", "http://localhost:8000@evil.example"),
            ("localhost:8000", "chrome-extension://localhost:8000"),
        ],
        false,
    )
    .await;
    running.stop().await;
}

/// DNS rebinding: the page's own name points to our address now, so origin and host agree. But it is not our name.
#[tokio::test]
async fn a_host_that_is_no_name_of_ours_does_not_get_in_although_the_origin_agrees() {
    let running = start(|server| server).await;
    let_in(
        &running,
        &[
            ("evil.example", "http://evil.example"),
            ("evil.example:8000", "http://evil.example:8000"),
            ("localhost.evil.example", "http://localhost.evil.example"),
            ("127.0.0.1.evil.example", "http://127.0.0.1.evil.example"),
            ("evillocalhost", "http://evillocalhost"),
        ],
        false,
    )
    .await;
    running.stop().await;
}

#[tokio::test]
async fn allowed_origins_get_in_exactly() {
    let allow = ["https://example.com", "http://example.net:8080"];
    let running = start(|server| server.with_allowed_origins(allow).expect("these are origins")).await;
    let own = running.address.to_string();
    let_in(
        &running,
        &[
            (&own, "https://example.com"),
            (&own, "https://EXAMPLE.com:443"),
            (&own, "http://example.net:8080"),
            // The server's own pages still do.
            (&own, &format!("http://{own}")),
        ],
        true,
    )
    .await;
    let_in(
        &running,
        &[
            (&own, "http://example.com"),
            (&own, "https://example.com:8443"),
            (&own, "https://sub.example.com"),
            (&own, "https://evil-example.com"),
            (&own, "https://example.com.evil.example"),
            (&own, "https://example.co"),
            (&own, "null"),
            // An allowed origin is no allowed host.
            ("evil.example", "http://evil.example"),
        ],
        false,
    )
    .await;
    running.stop().await;
}

#[tokio::test]
async fn allowed_hosts_are_names_of_the_server() {
    let running = start(|server| server.with_allowed_hosts(["chat.example.com"]).expect("a host")).await;
    let_in(
        &running,
        &[
            ("chat.example.com", "https://chat.example.com"),
            ("chat.example.com:8000", "http://chat.example.com:8000"),
            ("Chat.Example.com", "http://chat.example.com"),
            ("localhost", "http://localhost"),
        ],
        true,
    )
    .await;
    let_in(
        &running,
        &[
            ("chat.example.com", "https://example.com"),
            ("example.com", "https://example.com"),
            ("evilchat.example.com", "http://evilchat.example.com"),
            ("chat.example.com.evil.example", "http://chat.example.com.evil.example"),
        ],
        false,
    )
    .await;
    running.stop().await;
}

#[tokio::test]
async fn clients_that_are_no_browsers_get_in_under_any_name() {
    let running = start(|server| server).await;
    for host in ["localhost", "example.com:8000", "10.1.2.3", "whatever"] {
        assert!(gets_in(&running, host, None).await, "{host}");
    }
    running.stop().await;
}

#[tokio::test]
async fn everybody_gets_in_by_the_dangerous_policy_only() {
    let running = start(|server| server.with_origin_policy(danger::any_origin())).await;
    let_in(&running, &[("a.example", "http://evil.example"), ("localhost", "null")], true).await;
    running.stop().await;
}

#[tokio::test]
async fn a_policy_that_would_not_do_what_it_says_is_an_error_at_once() {
    for bad in ["example.com", "*", "https://*.example.com", "https://example.com/", ""] {
        assert!(Server::detached().with_allowed_origins([bad]).is_err(), "{bad:?}");
    }
    for bad in ["https://example.com", "example.com:80", "*.example.com", ""] {
        assert!(Server::detached().with_allowed_hosts([bad]).is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn an_origin_is_asked_for_once() {
    let running = start(|server| server).await;
    let request = support::handshake(
        running.address,
        "/",
        &format!("Origin: http://{}\r\nOrigin: http://evil.example\r\n", running.address),
    );
    assert_eq!(ask(running.address, request).await.status, 400);
    running.stop().await;
}
