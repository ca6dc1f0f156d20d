//! A client for URLs of strangers: what an address policy keeps it from (server-side request forgery).

#[path = "support/proxies.rs"]
mod proxies;
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use futures_util::FutureExt;
use proxies::socks_request;
use scripted::Scripted;
use sotong::{AddressError, AddressPolicy, Client, ConnectError, Proxy, WebSocket};
use support::soon;

fn guarded() -> Client {
    Client::new().with_address_policy(AddressPolicy::public())
}

fn but(allowed: &str) -> Client {
    Client::new().with_address_policy(AddressPolicy::public().with_allowed([allowed]).expect("a network"))
}

fn nobody_came(server: &Scripted) {
    assert!(server.listener.accept().now_or_never().is_none(), "somebody came");
}

async fn refused(connecting: impl Future<Output = Result<WebSocket, ConnectError>>) -> AddressError {
    match soon(connecting).await {
        Err(ConnectError::Address { error, .. }) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_way_to_write_this_machine_is_refused_before_anything_is_sent() {
    let server = Scripted::start().await;
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "127。0。0。1",
        "10.0.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
    ] {
        let error = refused(guarded().connect(&format!("ws://{host}:{port}/"))).await;
        assert!(
            matches!(&error, AddressError::Refused { addresses } if addresses.len() == 1),
            "{host}: {error:?}"
        );
    }
    // Also by a name, whose addresses are looked at when they are known.
    let error = refused(guarded().connect(&format!("ws://localhost:{port}/"))).await;
    let AddressError::Refused { addresses } = &error else { panic!("{error:?}") };
    assert!(!addresses.is_empty() && addresses.iter().all(|address| address.is_loopback()), "{error:?}");
    assert!(error.to_string().contains(&addresses[0].to_string()), "{error}");
    nobody_came(&server);
}

#[tokio::test]
async fn what_is_allowed_is_connected_to_and_what_is_not_is_left_out() {
    let server = Scripted::start().await;
    // Of the name's addresses only one is allowed, whichever the system puts first.
    for url in [server.url(), format!("ws://localhost:{}/", server.address.port())] {
        let connecting = tokio::spawn(but("127.0.0.1").connect(&url));
        let _served = server.open().await;
        let socket = soon(connecting).await.expect("no panic").expect("connected");
        assert_eq!(socket.peer_addr(), Some(server.address));
    }
    // Nothing is dialled that is not allowed: of the name's failures only the allowed address is told.
    let port = server.address.port();
    drop(server);
    let error = soon(but("127.0.0.1").connect(&format!("ws://localhost:{port}/"))).await.expect_err("gone");
    let ConnectError::Tcp { attempts, .. } = &error else { panic!("{error:?}") };
    assert!(attempts.iter().all(|(address, _)| address.ip().to_string() == "127.0.0.1"), "{error}");
}

/// The first URL is fine, the second one comes from whoever serves it.
#[tokio::test]
async fn a_redirect_is_looked_at_as_well() {
    let (server, inner) =
        (Scripted::start_at("127.0.0.71:0").await, Scripted::start_at("127.0.0.72:0").await);
    let client = but("127.0.0.71").with_redirects_max(5);
    for location in [
        format!("ws://{}/", inner.address),
        format!("http://localhost:{}/", inner.address.port()),
        format!("ws://[::ffff:127.0.0.72]:{}/", inner.address.port()),
    ] {
        let connecting = tokio::spawn(client.connect(&server.url()));
        let answer = format!("HTTP/1.1 302 x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        drop(server.request().await.say(answer).await);
        let error = refused(async { connecting.await.expect("no panic") }).await;
        assert!(matches!(error, AddressError::Refused { .. }), "{error:?}");
        nobody_came(&inner);
    }
}

#[tokio::test]
async fn behind_a_proxy_addresses_are_looked_at_and_names_are_refused_unless_they_are_let() {
    let proxy = Scripted::start().await;
    let named = Proxy::parse(&format!("socks5://{}", proxy.address)).expect("a proxy");
    // The proxy itself was named, and may be anywhere.
    let client = guarded().with_proxy(named.clone());
    for url in ["ws://127.0.0.1/", "ws://[::ffff:10.0.0.1]/", "ws://169.254.169.254/"] {
        assert!(matches!(refused(client.connect(url)).await, AddressError::Refused { .. }), "{url}");
    }
    let error = refused(client.connect("ws://server.invalid/")).await;
    assert_eq!(error, AddressError::BehindProxy);
    assert!(error.to_string().contains("with_names_for_proxies"), "{error}");
    nobody_came(&proxy);

    let connecting = tokio::spawn(client.connect("ws://8.8.8.8/"));
    assert_eq!(socks_request(&mut proxy.accept().await).await, [5, 1, 0, 1, 8, 8, 8, 8, 0, 80]);
    connecting.abort();

    let policy = AddressPolicy::public().with_names_for_proxies();
    let client = Client::new().with_address_policy(policy).with_proxy(named);
    let connecting = tokio::spawn(client.connect("ws://server.invalid/"));
    let request = socks_request(&mut proxy.accept().await).await;
    assert_eq!(request[..5], [5, 1, 0, 3, 14]);
    connecting.abort();
    assert!(matches!(refused(client.connect("ws://10.0.0.1/")).await, AddressError::Refused { .. }));
}
