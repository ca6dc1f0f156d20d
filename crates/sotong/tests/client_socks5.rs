//! Through a SOCKS5 proxy: what it is asked, and everything that it can answer (spec.md, B14; RFC 1928 and 1929).

#[path = "support/proxies.rs"]
mod proxies;
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::time::Duration;

use proxies::{bytes, socks_command, socks_request};
use scripted::{Asked, Scripted};
use sotong::{Client, Config, ConnectError, ConnectStep, ConnectTimeouts, Proxy, TunnelError};
use support::{pull_echo, soon};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

/// A name that only the proxy could resolve (RFC 6761, section 6.4).
const URL: &str = "ws://server.invalid:9001/chat";
/// Connected, from 192.0.2.1:1.
const YES: &[u8] = &[5, 0, 0, 1, 192, 0, 2, 1, 0, 1];

fn through(proxy: &Scripted) -> Client {
    Client::new().with_proxy(Proxy::parse(&format!("socks5://{}", proxy.address)).expect("a proxy"))
}

fn with_credentials(proxy: &Scripted) -> Client {
    let proxy = Proxy::parse(&format!("socks5://{}", proxy.address)).expect("a proxy");
    Client::new().with_proxy(proxy.with_credentials("user", "secret").expect("they may be sent"))
}

/// Why there is no way, when the proxy does this.
async fn failed(
    client: impl FnOnce(&Scripted) -> Client,
    play: impl AsyncFnOnce(&mut TcpStream),
) -> (TunnelError, String) {
    let proxy = Scripted::start().await;
    let connecting = tokio::spawn(client(&proxy).connect(URL));
    let mut near = proxy.accept().await;
    play(&mut near).await;
    near.shutdown().await.expect("it is open");
    let error = soon(connecting).await.expect("no panic").expect_err("there is no way");
    let text = error.to_string();
    assert!(text.starts_with(&format!("proxy socks5://{}: ", proxy.address)), "{text}");
    assert!(!format!("{text} {error:?}").contains("secret"));
    match error {
        ConnectError::Proxy { error, .. } => (error, text),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn b14_a_conversation_goes_through_and_the_name_is_resolved_there() {
    let server = pull_echo(Config::default()).await;
    // The address from which the proxy connected, of each kind.
    let name = [&[5, 0, 0, 3, 4][..], b"here", &[0, 1]].concat();
    let six = [&[5, 0, 0, 4][..], &[0; 18]].concat();
    let no_name = vec![5, 0, 0, 3, 0, 0, 1];
    for answer in [YES.to_vec(), name, six, no_name] {
        let proxy = Scripted::start().await;
        let target = server.address;
        let connecting = tokio::spawn(through(&proxy).connect(URL));
        let mut near = proxy.accept().await;
        let request = socks_request(&mut near).await;
        assert_eq!(request, [&[5, 1, 0, 3, 14][..], b"server.invalid", &[0x23, 0x29]].concat());
        tokio::spawn(async move {
            let mut far = TcpStream::connect(target).await.expect("the server listens");
            // Byte by byte, which must make no difference.
            for byte in answer {
                near.write_all(&[byte]).await.expect("the client reads");
            }
            let _ = copy_bidirectional(&mut near, &mut far).await;
        });
        let mut socket = soon(connecting).await.expect("no panic").expect("connected");
        socket.send("hello").await.expect("the server is there");
        let back = soon(socket.recv()).await.expect("the server is there").expect("an answer");
        assert_eq!(back.as_text(), Some("hello"));
        assert_eq!(socket.sender().peer_addr(), Some(proxy.address));
    }
    server.stop().await;
}

#[tokio::test]
async fn b14_addresses_in_the_url_go_as_addresses() {
    for (url, expected) in [
        ("ws://192.0.2.7/", vec![5, 1, 0, 1, 192, 0, 2, 7, 0, 80]),
        ("ws://[2001:db8::7]:81/", [&[5, 1, 0, 4, 0x20, 1, 0xd, 0xb8][..], &[0; 11], &[7, 0, 81]].concat()),
    ] {
        let proxy = Scripted::start().await;
        let connecting = tokio::spawn(through(&proxy).connect(url));
        let mut near = proxy.accept().await;
        assert_eq!(socks_request(&mut near).await, expected, "{url}");
        connecting.abort();
    }
}

/// The answer is read to its last byte and no further: what is in the same packet is the server's.
#[tokio::test]
async fn b14_bytes_behind_the_answer_are_the_servers() {
    let proxy = Scripted::start().await;
    let connecting = tokio::spawn(through(&proxy).connect(URL));
    let mut near = proxy.accept().await;
    let _request = socks_request(&mut near).await;
    near.write_all(&[YES, b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"].concat())
        .await
        .expect("it reads");
    let error = soon(connecting).await.expect("no panic").expect_err("the server refuses");
    assert!(matches!(&error, ConnectError::Refused(refused) if refused.status() == 503), "{error:?}");
}

#[tokio::test]
async fn b14_user_and_password_are_sent_when_they_are_asked_for() {
    // Asked for, and not asked for.
    for method in [2, 0] {
        let proxy = Scripted::start().await;
        let connecting = tokio::spawn(with_credentials(&proxy).connect(URL));
        let mut near = proxy.accept().await;
        assert_eq!(bytes(&mut near).await, [5, 2, 0, 2]);
        near.write_all(&[5, method]).await.expect("it reads");
        if method == 2 {
            assert_eq!(bytes::<13>(&mut near).await, *b"\x01\x04user\x06secret");
            near.write_all(&[1, 0]).await.expect("it reads");
        }
        let _request = socks_command(&mut near).await;
        near.write_all(YES).await.expect("it reads");
        let _served = Asked::read(near).await.open("").await;
        soon(connecting).await.expect("no panic").expect("connected");
    }
}

#[tokio::test]
async fn b14_without_credentials_none_are_offered() {
    let proxy = Scripted::start().await;
    let connecting = tokio::spawn(through(&proxy).connect(URL));
    let mut near = proxy.accept().await;
    assert_eq!(bytes(&mut near).await, [5, 1, 0]);
    connecting.abort();
}

#[tokio::test]
async fn b14_logins_that_fail() {
    let (error, text) = failed(through, async |near| {
        let _ = bytes::<3>(near).await;
        near.write_all(&[5, 0xff]).await.expect("it reads");
    })
    .await;
    assert!(matches!(error, TunnelError::NoMethod { with_credentials: false }), "{error:?}");
    assert!(text.contains("no user name is set"), "{text}");

    let (error, _) = failed(with_credentials, async |near| {
        let _ = bytes::<4>(near).await;
        near.write_all(&[5, 0xff]).await.expect("it reads");
    })
    .await;
    assert!(matches!(error, TunnelError::NoMethod { with_credentials: true }), "{error:?}");

    for status in [1, 0xff] {
        let (error, text) = failed(with_credentials, async |near| {
            let _ = bytes::<4>(near).await;
            near.write_all(&[5, 2]).await.expect("it reads");
            let _ = bytes::<13>(near).await;
            near.write_all(&[1, status]).await.expect("it reads");
        })
        .await;
        assert!(matches!(error, TunnelError::Credentials), "{error:?}");
        assert!(text.contains("does not take this user name and password"), "{text}");
    }
}

#[tokio::test]
async fn b14_each_code_of_the_reply_is_told() {
    for (code, words) in [
        (1, "general failure"),
        (2, "not allowed by its rules"),
        (3, "network unreachable"),
        (4, "host unreachable"),
        (5, "connection refused"),
        (6, "TTL expired"),
        (7, "does not know the command"),
        (8, "type of address"),
        (9, "code 9"),
        (255, "code 255"),
    ] {
        // Some hang up without the rest of the answer.
        for rest in [&[0, 1, 0, 0, 0, 0, 0, 0][..], &[]] {
            let (error, text) = failed(through, async |near| {
                let _ = socks_request(near).await;
                near.write_all(&[&[5, code], rest].concat()).await.expect("it reads");
            })
            .await;
            assert!(matches!(error, TunnelError::Reply { code: told } if told == code), "{error:?}");
            assert!(text.contains(words), "{text}");
        }
    }
}

#[tokio::test]
async fn b14_what_is_not_socks5_is_told() {
    for garbage in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[4, 0], &[0, 0x5a], &[5, 1], &[5, 2], &[5, 3]]
    {
        let (error, _) = failed(through, async |near| {
            let _ = bytes::<3>(near).await;
            near.write_all(garbage).await.expect("it reads");
        })
        .await;
        assert!(matches!(error, TunnelError::NotSocks { .. }), "{garbage:?}: {error:?}");
    }
    let (error, _) = failed(with_credentials, async |near| {
        let _ = bytes::<4>(near).await;
        near.write_all(&[5, 2]).await.expect("it reads");
        let _ = bytes::<13>(near).await;
        near.write_all(&[5, 0]).await.expect("it reads");
    })
    .await;
    assert!(matches!(error, TunnelError::NotSocks { .. }), "{error:?}");
    for garbage in [&[4, 0][..], &[5, 0, 0, 2], &[5, 0, 0, 0]] {
        let (error, _) = failed(through, async |near| {
            let _ = socks_request(near).await;
            near.write_all(garbage).await.expect("it reads");
        })
        .await;
        assert!(matches!(error, TunnelError::NotSocks { .. }), "{garbage:?}: {error:?}");
    }
}

#[tokio::test]
async fn b14_half_an_answer_is_none() {
    for count in 0..2 {
        let (error, text) = failed(through, async |near| {
            let _ = bytes::<3>(near).await;
            near.write_all(&[5, 0][..count]).await.expect("it reads");
        })
        .await;
        assert!(matches!(error, TunnelError::Ended), "{error:?}");
        assert!(text.contains("hung up"), "{text}");
    }
    for count in 0..YES.len() {
        let (error, _) = failed(through, async |near| {
            let _ = socks_request(near).await;
            near.write_all(&YES[..count]).await.expect("it reads");
        })
        .await;
        assert!(matches!(error, TunnelError::Ended), "after {count} bytes: {error:?}");
    }
}

#[tokio::test]
async fn b14_a_slow_proxy_meets_its_deadline_at_every_point() {
    let patience = Duration::from_millis(60);
    let timeouts = ConnectTimeouts::default().with_proxy(patience);
    for said in [&[][..], &[5], &[5, 0], &[5, 0, 5], &[5, 0, 5, 0, 0, 3, 200, 1]] {
        let proxy = Scripted::start().await;
        let connecting = tokio::spawn(through(&proxy).with_timeouts(timeouts).connect(URL));
        let mut near = proxy.accept().await;
        near.write_all(said).await.expect("it reads");
        let error = soon(connecting).await.expect("no panic").expect_err("it is too slow");
        let ConnectError::Timeout { step, host, .. } = &error else { panic!("{error:?}") };
        assert_eq!((*step, &**host), (ConnectStep::Proxy, &*format!("socks5://{}", proxy.address)));
    }
}

#[tokio::test]
async fn b14_a_name_that_is_too_long_is_not_sent() {
    let label = "a".repeat(63);
    let name = [&*label, &label, &label, &label, "bb"].join(".");
    assert_eq!(name.len(), 258);
    let proxy = Scripted::start().await;
    let connecting = tokio::spawn(through(&proxy).connect(&format!("ws://{name}/")));
    let mut near = proxy.accept().await;
    let error = soon(connecting).await.expect("no panic").expect_err("it is too long");
    let ConnectError::Proxy { error, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(error, TunnelError::HostBytes { bytes: 258, max: 255 }), "{error:?}");
    use tokio::io::AsyncReadExt;
    assert_eq!(near.read(&mut [0; 1]).await.ok(), Some(0), "nothing was said");
}
