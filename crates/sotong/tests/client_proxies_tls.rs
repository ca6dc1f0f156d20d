//! TLS through an HTTP proxy: the server's inside of the tunnel, the proxy's around it (spec.md, B14).
#![cfg(feature = "tls")]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/proxies.rs"]
mod proxies;
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::time::Duration;

use authority::{Authority, LOCAL, accept, foreign_server};
use proxies::{head_of, tunnel};
use scripted::Scripted;
use sotong::tls::{ClientTls, TlsError};
use sotong::{
    Client, ConnectError, ConnectStep, ConnectTimeouts, Error, Proxy, Server, TunnelError, WebSocket,
};
use support::{Running, soon};
use tokio::io::AsyncWriteExt;

const YES: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

fn through(proxy: &Scripted) -> Client {
    Client::new().with_proxy(Proxy::parse(&format!("http://{}", proxy.address)).expect("a proxy"))
}

/// A proxy that speaks TLS, by its name.
fn secured(proxy: &Scripted) -> Proxy {
    Proxy::parse(&format!("https://user:password@localhost:{}", proxy.address.port())).expect("a proxy")
}

/// An echo server whose certificate is for `server.invalid`.
async fn echo(authority: &Authority) -> Running {
    let server = Server::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = server.local_addr().expect("a listener has an address");
    let server = server.with_tls(authority.issue(["server.invalid"]).tls());
    let serve = server.with_allowed_hosts(["server.invalid"]).expect("a host").serve(
        async |mut socket: WebSocket| {
            while let Some(message) = socket.recv().await? {
                socket.send(message).await?;
            }
            Ok::<(), Error>(())
        },
    );
    Running::start(address, serve)
}

async fn echoes(socket: &mut WebSocket, text: &str) {
    socket.send(text).await.expect("the server is there");
    let back = soon(socket.recv()).await.expect("the server is there").expect("an answer");
    assert!(back.as_text() == Some(text), "{} bytes", back.len());
}

fn trusting(authority: &Authority) -> ClientTls {
    let roots = authority.pem();
    ClientTls::new().without_platform_roots().with_roots_pem(roots.as_bytes()).expect("PEM of ours")
}

/// The proxy carries bytes that it cannot read: TLS is spoken with the server, by the name in the URL.
#[tokio::test]
async fn b14_tls_of_the_server_runs_inside_the_tunnel() {
    let authority = Authority::new("ours");
    let server = echo(&authority).await;
    let target = server.address;
    let proxy = Scripted::start().await;
    let client = through(&proxy).with_tls(trusting(&authority));
    let connecting = tokio::spawn(client.connect("wss://server.invalid/"));
    let near = proxy.accept().await;
    let carrying = tokio::spawn(async move { tunnel(near, YES, target).await });
    let mut socket = soon(connecting).await.expect("no panic").expect("connected");
    echoes(&mut socket, "hello").await;
    drop(socket);
    let head = soon(carrying).await.expect("no panic");
    assert!(head.starts_with("CONNECT server.invalid:443 HTTP/1.1\r\n"), "{head}");

    // The proxy cannot stand in for the server: its certificate would have to be for the server's name.
    let connecting = tokio::spawn(client.connect("wss://server.invalid/"));
    let mut near = proxy.accept().await;
    let _head = head_of(&mut near).await;
    near.write_all(YES.as_bytes()).await.expect("the client reads");
    let accepting = tokio::spawn(accept(foreign_server(&authority.issue(["proxy.invalid"])), near));
    let error = soon(connecting).await.expect("no panic").expect_err("another name");
    let ConnectError::Tls { host, .. } = &error else { panic!("{error:?}") };
    assert_eq!(host, "server.invalid:443");
    drop(accepting);
    server.stop().await;
}

/// Bytes of the server that came with the proxy's answer belong to TLS as well.
#[tokio::test]
async fn b14_early_bytes_inside_tls_are_not_lost() {
    let proxy = Scripted::start().await;
    let connecting = tokio::spawn(through(&proxy).connect("wss://server.invalid/"));
    // An alert of TLS, right behind the answer.
    let alert = b"\x15\x03\x03\x00\x02\x02\x28";
    let _served = proxy.request().await.say([YES.as_bytes(), alert].concat()).await;
    let error = soon(connecting).await.expect("no panic").expect_err("the server refuses");
    let ConnectError::Tls { error, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(error, TlsError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn b14_a_proxy_inside_tls_and_the_servers_tls_inside_of_that() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = echo(&ours).await;
    let target = server.address;
    let proxy = Scripted::start().await;
    let client =
        Client::new().with_proxy(secured(&proxy)).with_proxy_tls(trusting(&theirs)).with_tls(trusting(&ours));
    let connecting = tokio::spawn(client.connect("wss://server.invalid/"));
    let near = proxy.accept().await;
    let config = foreign_server(&theirs.issue(LOCAL));
    let carrying = tokio::spawn(async move {
        let near = accept(config, near).await.expect("the client trusts it");
        tunnel(near, YES, target).await
    });
    let mut socket = soon(connecting).await.expect("no panic").expect("connected");
    echoes(&mut socket, "hello").await;
    // More than a record of either TLS holds, there and back.
    echoes(&mut socket, &"소통 ".repeat(50_000)).await;
    drop(socket);
    let head = soon(carrying).await.expect("no panic");
    assert!(head.contains("\r\nProxy-Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n"), "{head}");
    server.stop().await;
}

/// A proxy is not trusted because the server is, nor the other way round.
#[tokio::test]
async fn b14_a_proxy_with_a_wrong_certificate_gets_nothing() {
    let authority = Authority::new("ours");
    let proxy = Scripted::start().await;
    let client = Client::new().with_proxy(secured(&proxy)).with_tls(trusting(&authority));
    let connecting = tokio::spawn(client.connect("ws://server.invalid/"));
    let near = proxy.accept().await;
    let accepting = tokio::spawn(accept(foreign_server(&authority.issue(LOCAL)), near));
    let error = soon(connecting).await.expect("no panic").expect_err("nobody said that it is to be trusted");
    let ConnectError::Proxy { error: TunnelError::Unreachable(inner), .. } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(**inner, ConnectError::Tls { .. }), "{inner:?}");
    assert!(soon(accepting).await.expect("no panic").is_err(), "the client has hung up");
}

#[tokio::test]
async fn b14_a_proxy_that_does_not_speak_tls_meets_the_deadline_or_says_so() {
    let proxy = Scripted::start().await;
    let timeouts = ConnectTimeouts::default().with_tls(Duration::from_millis(100));
    let client = Client::new().with_proxy(secured(&proxy)).with_timeouts(timeouts);
    let connecting = tokio::spawn(client.connect("ws://server.invalid/"));
    let _silent = proxy.accept().await;
    let error = soon(connecting).await.expect("no panic").expect_err("it is silent");
    let ConnectError::Timeout { step, host, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*step, &**host), (ConnectStep::Tls, &*format!("https://localhost:{}", proxy.address.port())));
}
