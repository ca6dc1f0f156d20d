//! Through an HTTP proxy: what it is asked, and everything that it can answer (spec.md, B14; RFC 9110, section 9.3.6).

#[path = "support/proxies.rs"]
mod proxies;
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::time::Duration;

use proxies::tunnel;
use scripted::Scripted;
use sotong::{
    Client, Config, ConnectDeadline, ConnectError, ConnectStep, ConnectTimeouts, Proxy, TunnelError,
    WebSocket,
};
use sotong_proto::handshake::ResponseError;
use support::{pull_echo, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A name that only the proxy could resolve (RFC 6761, section 6.4).
const URL: &str = "ws://server.invalid:9001/chat";
const YES: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

fn through(proxy: &Scripted) -> Client {
    Client::new().with_proxy(Proxy::parse(&format!("http://{}", proxy.address)).expect("a proxy"))
}

async fn echoes(socket: &mut WebSocket) {
    socket.send("hello").await.expect("the server is there");
    let back = soon(socket.recv()).await.expect("the server is there").expect("an answer");
    assert_eq!(back.as_text(), Some("hello"));
}

/// Why there is no way, when the proxy answers with this and hangs up.
async fn answered(answer: impl AsRef<[u8]>) -> (TunnelError, String) {
    let proxy = Scripted::start().await;
    let connecting = tokio::spawn(through(&proxy).connect(URL));
    drop(proxy.request().await.say(answer).await);
    let error = soon(connecting).await.expect("no panic").expect_err("there is no way");
    let text = error.to_string();
    assert!(text.starts_with(&format!("proxy http://{}: ", proxy.address)), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    match error {
        ConnectError::Proxy { error, .. } => (error, text),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn b14_a_conversation_goes_through_the_tunnel() {
    let server = pull_echo(Config::default()).await;
    for answer in [
        YES,
        "HTTP/1.0 200 OK\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n",
        // What would frame a body means nothing here, and MUST be ignored.
        "HTTP/1.1 204 Fine\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let proxy = Scripted::start().await;
        let target = server.address;
        let connecting = tokio::spawn(through(&proxy).connect(URL));
        let near = proxy.accept().await;
        let carrying = tokio::spawn(async move { tunnel(near, answer, target).await });
        let mut socket = soon(connecting).await.expect("no panic").expect("connected");
        echoes(&mut socket).await;
        assert_eq!(socket.sender().peer_addr(), Some(proxy.address), "the proxy is who is at the other end");
        drop(socket);
        let head = soon(carrying).await.expect("no panic");
        assert_eq!(
            head, "CONNECT server.invalid:9001 HTTP/1.1\r\nHost: server.invalid:9001\r\n\r\n",
            "the name goes there as it is, and no header that is for the server"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn b14_the_request_names_host_and_port_always() {
    for (url, authority) in [
        ("ws://server.invalid/", "server.invalid:80"),
        ("ws://192.0.2.1/", "192.0.2.1:80"),
        ("ws://[2001:DB8::1]:81/", "[2001:db8::1]:81"),
        ("ws://소통.invalid/", "xn--9l4bo90a.invalid:80"),
        // A proxy that was named is used for this machine, too.
        ("ws://127.0.0.1:1/", "127.0.0.1:1"),
    ] {
        let proxy = Scripted::start().await;
        let connecting = tokio::spawn(through(&proxy).connect(url));
        let asked = proxy.request().await;
        assert_eq!(asked.request_line(), format!("CONNECT {authority} HTTP/1.1"));
        assert_eq!(asked.fields("Host"), [authority]);
        connecting.abort();
    }
}

#[tokio::test]
async fn b14_credentials_are_for_the_proxy_only_and_those_of_the_server_for_the_server_only() {
    let proxy = Scripted::start().await;
    let named = Proxy::parse(&format!("http://us%65r:p%40ss@{}", proxy.address)).expect("a proxy");
    let client = Client::new().with_proxy(named).with_bearer_token("for-the-server").expect("a token");
    let connecting = tokio::spawn(client.connect(URL));
    let mut asked = proxy.request().await;
    // user:p@ss
    assert_eq!(asked.fields("Proxy-Authorization"), ["Basic dXNlcjpwQHNz"]);
    assert_eq!(asked.fields("Authorization"), [""; 0]);
    asked.stream.write_all(YES.as_bytes()).await.expect("the client reads");
    let inner = scripted::Asked::read(asked.stream).await;
    assert_eq!(inner.request_line(), "GET /chat HTTP/1.1");
    assert_eq!(inner.fields("Host"), ["server.invalid:9001"]);
    assert_eq!(inner.fields("Authorization"), ["Bearer for-the-server"]);
    assert_eq!(inner.fields("Proxy-Authorization"), [""; 0]);
    let _served = inner.open("").await;
    soon(connecting).await.expect("no panic").expect("connected");
}

#[tokio::test]
async fn b14_a_refusal_tells_status_headers_and_body() {
    let (error, text) = answered(
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"a\"\r\n\
         Content-Length: 7\r\n\r\nlog in!",
    )
    .await;
    let TunnelError::Refused(refused) = &error else { panic!("{error:?}") };
    assert_eq!((refused.status(), refused.body()), (407, &b"log in!"[..]));
    assert_eq!(refused.header("Proxy-Authenticate"), Some("Basic realm=\"a\""));
    assert!(text.contains("407 Proxy Authentication Required; it wants a user name"), "{text}");

    for (answer, status, words) in [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403, "does it allow CONNECT"),
        // What tinyproxy says about a wrong password.
        ("HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n", 401, "; it wants a user name"),
        ("HTTP/1.0 503 Service Unavailable\r\n\r\n", 503, "it got no further itself"),
        ("HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n", 302, "it answered 302 Found"),
        ("HTTP/1.1 404 \r\n\r\n", 404, "it answered 404"),
    ] {
        let (error, text) = answered(answer).await;
        assert!(matches!(&error, TunnelError::Refused(refused) if refused.status() == status), "{error:?}");
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn b14_what_is_no_answer_is_told() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1 << 20));
    for (answer, words) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n\r\n"[..], "not an HTTP/1 response"),
        (b"\x05\xff", "not an HTTP/1 response"),
        (b"\x15\x03\x03\x00\x02\x02\x16", "does this port speak TLS"),
        (b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n", "malformed"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "status 101"),
        (b"HTTP/1.1 200", "after 12 bytes"),
        (endless.as_bytes(), "more than head_bytes_max"),
    ] {
        let (error, text) = answered(answer).await;
        assert!(matches!(error, TunnelError::Answer(_)), "{error:?}");
        assert!(text.contains(words), "{text}");
    }
    let (error, _) = answered("").await;
    assert!(matches!(error, TunnelError::Answer(ResponseError::Ended { received: 0 })), "{error:?}");
}

/// The proxy has no business to say anything behind its answer; what stands there is the server's.
#[tokio::test]
async fn b14_bytes_behind_the_answer_are_the_servers() {
    let proxy = Scripted::start().await;
    let connecting = tokio::spawn(through(&proxy).connect(URL));
    let early = "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno";
    let served = proxy.request().await.say(format!("{YES}{early}")).await;
    let error = soon(connecting).await.expect("no panic").expect_err("the server refuses");
    let ConnectError::Refused(refused) = &error else { panic!("{error:?}") };
    assert_eq!((refused.status(), refused.body()), (503, &b"no"[..]));
    drop(served);
}

#[tokio::test]
async fn b14_a_silent_proxy_meets_its_deadline_and_is_left() {
    let patience = Duration::from_millis(100);
    let timeouts = ConnectTimeouts::default().with_proxy(patience);
    for said in ["", "HTTP/1.1 200 OK\r\nX: "] {
        let proxy = Scripted::start().await;
        let connecting = tokio::spawn(through(&proxy).with_timeouts(timeouts).connect(URL));
        let mut served = proxy.request().await.say(said).await;
        let error = soon(connecting).await.expect("no panic").expect_err("it says nothing");
        let ConnectError::Timeout { host, step, deadline, .. } = &error else { panic!("{error:?}") };
        assert_eq!((&**host, *step), (&*format!("http://{}", proxy.address), ConnectStep::Proxy));
        assert_eq!(*deadline, ConnectDeadline::Step(patience));
        assert!(error.to_string().contains("ConnectTimeouts::proxy = 100ms"), "{error}");
        served.expect_end().await;
    }
    // A refusal is known when its head is, whatever its body does.
    let proxy = Scripted::start().await;
    let connecting = tokio::spawn(through(&proxy).with_timeouts(timeouts).connect(URL));
    let _served = proxy.request().await.say("HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nbeca").await;
    let error = soon(connecting).await.expect("no panic").expect_err("it refuses");
    let ConnectError::Proxy { error: TunnelError::Refused(refused), .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((refused.body(), refused.body_is_whole()), (&b"beca"[..], false));
}

/// The steps behind the tunnel have their own deadlines, and name the server.
#[tokio::test]
async fn b14_the_handshake_has_its_deadline_behind_the_tunnel() {
    let proxy = Scripted::start().await;
    let timeouts = ConnectTimeouts::default().with_handshake(Duration::from_millis(100));
    let connecting = tokio::spawn(through(&proxy).with_timeouts(timeouts).connect(URL));
    let _served = proxy.request().await.say(YES).await;
    let error = soon(connecting).await.expect("no panic").expect_err("nobody answers");
    let ConnectError::Timeout { host, step, .. } = &error else { panic!("{error:?}") };
    assert_eq!((&**host, *step), ("server.invalid:9001", ConnectStep::Handshake));
}

#[tokio::test]
async fn b14_a_proxy_that_cannot_be_reached_is_named() {
    let gone = Scripted::start().await;
    let client = through(&gone);
    let address = gone.address;
    drop(gone);
    let error = soon(client.connect(URL)).await.expect_err("nobody listens");
    let text = error.to_string();
    assert!(text.starts_with(&format!("proxy http://{address}: no TCP connection to ")), "{text}");
    let ConnectError::Proxy { error: TunnelError::Unreachable(inner), .. } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(&**inner, ConnectError::Tcp { attempts, .. } if attempts.len() == 1), "{inner:?}");

    let proxy = Proxy::parse("http://user:secret@proxy.invalid").expect("a proxy");
    let error = soon(Client::new().with_proxy(proxy).connect(URL)).await.expect_err("no such host");
    let ConnectError::Proxy { error: TunnelError::Unreachable(inner), .. } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(**inner, ConnectError::Resolve { .. }), "{inner:?}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("secret") && !shown.contains("user:"), "{shown}");
}

#[tokio::test]
async fn b14_dropped_on_the_way_nothing_stays_open() {
    let proxy = Scripted::start().await;
    let connecting = tokio::spawn(through(&proxy).connect(URL));
    let mut asked = proxy.request().await;
    connecting.abort();
    let mut rest = Vec::new();
    // A reset is an end, too.
    let _ = soon(asked.stream.read_to_end(&mut rest)).await;
    assert_eq!(rest, b"");
    // And the next connect to that name may begin.
    let connecting = tokio::spawn(through(&proxy).connect(URL));
    let _asked = proxy.request().await;
    connecting.abort();
}

/// RFC 6455, section 4.1, 2: where only the proxy knows addresses, each name is a remote end of its own.
#[tokio::test]
async fn b6_behind_a_proxy_connects_to_one_name_wait_for_each_other() {
    let proxy = Scripted::start().await;
    let client = through(&proxy);
    let first = tokio::spawn(client.connect("ws://one.invalid/"));
    let first_asked = proxy.request().await;
    let second = tokio::spawn(client.connect("ws://ONE.invalid.:81/"));
    let other = tokio::spawn(client.connect("ws://two.invalid/"));
    // Of the two that begin now only the one to another name comes through.
    assert_eq!(proxy.request().await.request_line(), "CONNECT two.invalid:80 HTTP/1.1");
    first.abort();
    assert_eq!(proxy.request().await.request_line(), "CONNECT one.invalid.:81 HTTP/1.1");
    drop(first_asked);
    second.abort();
    other.abort();

    // Unless that was lifted.
    let client = client.with_simultaneous_connects();
    let (first, second) = (
        tokio::spawn(client.connect("ws://three.invalid/")),
        tokio::spawn(client.connect("ws://three.invalid/")),
    );
    let _both = (proxy.request().await, proxy.request().await);
    first.abort();
    second.abort();
}

#[tokio::test]
async fn without_a_proxy_the_server_is_dialled() {
    let server = Scripted::start().await;
    let elsewhere = Proxy::parse("http://127.0.0.1:1").expect("a proxy");
    let client = Client::new().with_proxy(elsewhere).without_proxy();
    let connecting = tokio::spawn(client.connect(&server.url()));
    let _served = server.open().await;
    soon(connecting).await.expect("no panic").expect("connected");
}
