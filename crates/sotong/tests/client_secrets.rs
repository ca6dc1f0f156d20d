//! What a client is told in confidence stays out of errors, of `Debug` and of logs; and what it is told cannot write
//! header lines of its own.

#[path = "support/log.rs"]
mod log;
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::error::Error as _;
use std::time::Duration;

use log::Log;
use scripted::Scripted;
use sotong::handshake::{HeaderError, RequestError};
use sotong::{Client, ConnectError, ConnectTimeouts, Proxy};
use support::soon;
use tokio::io::AsyncWriteExt;

const SECRETS: [&str; 5] = ["hunter2", "s3cr3t", "t0ken", "l0cation", "c00kie"];

fn check(what: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} shows {secret}: {text}");
    }
}

fn check_error(error: &ConnectError) {
    check("Display", &error.to_string());
    check("Debug", &format!("{error:?} {error:#?}"));
    let mut source = error.source();
    while let Some(error) = source {
        check("source", &format!("{error} {error:?}"));
        source = error.source();
    }
}

fn client() -> Client {
    Client::new()
        .with_header("Authorization", "Bearer s3cr3t")
        .and_then(|client| client.with_header("Cookie", "session=c00kie"))
        .expect("good headers")
}

#[tokio::test]
async fn no_secret_is_shown_whatever_happens() {
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let server = Scripted::start().await;
    let place = format!("user:hunter2@{}/chat?token=t0ken", server.address);
    let url = format!("ws://{place}");
    let client = client().with_protocols(["chat", "bearer.t0ken"]).expect("two tokens");
    check("Client", &format!("{client:?} {client:#?}"));

    for answer in [
        "HTTP/1.1 302 Found\r\nLocation: /l0cation?t0ken\r\nSet-Cookie: c00kie\r\nContent-Length: 7\r\n\r\nhunter2",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 99\r\n\r\nt0ken",
        "HTTP/1.1 101 Swi",
        "SSH-2.0-",
    ] {
        let connecting = tokio::spawn(client.connect(&url));
        let asked = server.request().await;
        assert!(asked.head.contains("s3cr3t") && asked.head.contains("token=t0ken"), "it was sent");
        drop(asked.say(answer).await);
        check_error(&soon(connecting).await.expect("no panic").expect_err("it is no consent"));
    }
    // The deadline passes.
    let timeouts = ConnectTimeouts::default().with_handshake(Duration::from_millis(100));
    let connecting = tokio::spawn(client.clone().with_timeouts(timeouts).connect(&url));
    let asked = server.request().await;
    check_error(&soon(connecting).await.expect("no panic").expect_err("nobody answers"));
    drop(asked);
    // It is a connection.
    let connecting = tokio::spawn(client.connect(&url));
    let served = server.request().await.open("Set-Cookie: c00kie\r\n").await;
    let socket = soon(connecting).await.expect("no panic").expect("connected");
    check("WebSocket", &format!("{socket:?} {:?} {:?}", socket.sender(), socket.request()));
    drop(served);
    soon(socket.sender().closed()).await;
    // What never gets to the network.
    for url in [
        format!("http://{place}"),
        format!("ws://{place}#fragment"),
        format!("ws://{place}\n"),
        "wss://user:hunter2@exa mple/?t0ken".to_owned(),
        "user:hunter2@example/?t0ken".to_owned(),
        // No name server is asked for a name that cannot be one.
        format!("ws://user:hunter2@{}.invalid/?t0ken", "x".repeat(64)),
    ] {
        check_error(&soon(client.connect(&url)).await.expect_err("it leads nowhere"));
    }
    drop(server);
    check_error(&soon(client.connect(&url)).await.expect_err("nobody listens"));

    assert!(log.has("DEBUG", &["connected"]), "{:?}", log.lines());
    check("the log", &log.lines().join("\n"));
}

/// Behind a proxy there are two who are told secrets, and neither hears those of the other.
#[tokio::test]
async fn no_secret_of_a_proxy_is_shown_either() {
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let server = Scripted::start().await;
    let url = "ws://user:hunter2@server.invalid/chat?token=t0ken";
    let answers = [
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: c00kie\r\nContent-Length: 7\r\n\r\nhunter2",
        "SSH-2.0-",
        "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 302 Found\r\nLocation: ftp://l0cation/?t0ken\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 302 Found\r\nLocation: ws://x:hunter2@other.invalid/l0cation\r\nContent-Length: 0\r\n\r\n",
    ];
    for scheme in ["http", "socks5"] {
        let proxy =
            Proxy::parse(&format!("{scheme}://proxyuser:hunter2@{}", server.address)).expect("a proxy");
        check("Proxy", &format!("{proxy} {proxy:?} {proxy:#?}"));
        let client = client().with_proxy(proxy).with_redirects_max(1);
        check("Client", &format!("{client:?} {client:#?}"));
        for answer in answers {
            let connecting = tokio::spawn(client.connect(url));
            let mut stream = server.accept().await;
            stream.write_all(answer.as_bytes()).await.expect("the client reads");
            // The redirect comes back here, and finds nobody.
            stream.shutdown().await.expect("the client reads");
            if answer.contains("other.invalid") && scheme == "http" {
                drop(server.accept().await);
            }
            check_error(&soon(connecting).await.expect("no panic").expect_err("there is no way"));
        }
    }
    assert!(log.has("DEBUG", &["the proxy has opened a way"]), "{:?}", log.lines());
    assert!(log.has("DEBUG", &["redirected", "other.invalid"]), "{:?}", log.lines());
    let lines = log.lines().join("\n");
    check("the log", &lines);
    assert!(!lines.contains("proxyuser"), "{lines}");
}

/// CVE-2020-35678, CVE-2026-1527.
#[test]
fn header_injection_is_refused_before_anything_is_sent() {
    for value in ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "\r\n\r\nGET / HTTP/1.1", "\x1b[2J", "\x7f"] {
        let error = Client::new().with_header("X-Good", value).expect_err("a control character");
        assert!(matches!(error, HeaderError::Value { .. }), "{error:?}");
        assert!(error.to_string().contains("X-Good"), "{error}");
    }
    for name in ["", "X Y", "X:Y", "X\r\nY", "X\n", "é", "(x)"] {
        let error = Client::new().with_header(name, "v").expect_err("no token");
        assert!(matches!(error, HeaderError::Name { .. }), "{error:?}");
    }
    for name in [
        "Host",
        "upgrade",
        "CONNECTION",
        "Sec-WebSocket-Key",
        "sec-websocket-protocol",
        "Content-Length",
        "Transfer-Encoding",
    ] {
        let error = Client::new().with_header(name, "v").expect_err("the handshake's own");
        assert!(matches!(error, HeaderError::Managed { .. }), "{error:?}");
        // `?` makes it an error of connecting.
        assert!(matches!(ConnectError::from(error), ConnectError::Header(_)));
    }
    for protocols in [&["a b"][..], &[""], &["a\r\nX: y"], &["a,b"], &["é"], &["a", "a"]] {
        let error =
            Client::new().with_protocols(protocols.iter().copied()).expect_err("not tokens, or not unique");
        assert!(
            matches!(error, RequestError::Protocol { .. } | RequestError::ProtocolTwice { .. }),
            "{error:?}"
        );
        assert!(matches!(ConnectError::from(error), ConnectError::Protocol(_)));
    }
    Client::new().with_protocols(["a", "A"]).expect("they differ");
}

#[tokio::test]
async fn urls_cannot_write_header_lines_either() {
    for url in [
        "ws://127.0.0.1:1/\r\nX-Evil: 1",
        "ws://127.0.0.1:1/?a\nb",
        "ws://127.0.0.1:1\r\nX-Evil: 1/",
        "ws://127.0.0.1:1/\0",
        "ws://a\"b/",
        "ws://a{b}/",
        "ws://a`b/",
    ] {
        let error = soon(sotong::connect(url)).await.expect_err("it is no URL");
        assert!(matches!(error, ConnectError::Url(_)), "{url:?}: {error:?}");
    }
}

#[tokio::test]
async fn http_urls_are_told_what_to_write() {
    for (url, text) in [
        ("http://example.com/", "the URL begins with http://; write ws:// for a WebSocket"),
        ("https://example.com/", "the URL begins with https://; write wss:// for a WebSocket"),
        ("example.com/chat", "the URL does not begin with ws:// or wss://"),
        ("localhost:9001", "the URL does not begin with ws:// or wss://"),
    ] {
        let error = soon(sotong::connect(url)).await.expect_err("it is no WebSocket's URL");
        assert_eq!(error.to_string(), text);
        assert!(matches!(error, ConnectError::Url(_)));
    }
}
