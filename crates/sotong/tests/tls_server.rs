//! TLS on the server's end: what is wrong with certificates is said before anybody connects, files are reloaded while
//! connections live on, and who speaks no TLS is told so.
#![cfg(feature = "tls")]

#[path = "support/authority.rs"]
mod authority;
mod support;

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::Duration;

use authority::{Authority, Dates, Folder, ForeignStream, LOCAL, dial, foreign_client};
use rcgen::ExtendedKeyUsagePurpose;
use sotong::tls::{ClientTls, ServerTls, TlsError, danger};
use sotong::{Carrier, Client, Config, Error, Server, WebSocket};
use support::{Running, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn bind(tls: ServerTls) -> (Server, SocketAddr) {
    let server = Server::bind("127.0.0.1:0").await.expect("loopback has a free port").with_tls(tls);
    let address = server.local_addr().expect("a listener has an address");
    (server, address)
}

async fn echo_back(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn echo(tls: ServerTls) -> Running {
    let (server, address) = bind(tls).await;
    Running::start(address, server.serve(echo_back))
}

fn trusting(roots: &str) -> ClientTls {
    ClientTls::new().without_platform_roots().with_roots_pem(roots.as_bytes()).expect("PEM of ours")
}

async fn connect(roots: &str, address: SocketAddr) -> WebSocket {
    let client = Client::new().with_tls(trusting(roots));
    soon(client.connect(&format!("wss://{address}/"))).await.expect("a good certificate")
}

async fn there_and_back(socket: &mut WebSocket) {
    socket.send("hello").await.expect("the server is there");
    let back = soon(socket.recv()).await.expect("the server is there").expect("an answer");
    assert_eq!(back.as_text(), Some("hello"));
}

/// Asks for something over TLS and returns the head of the answer.
async fn ask(stream: &mut ForeignStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match soon(stream.read_u8()).await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).expect("a head is ASCII")
}

fn upgrade(headers: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

#[test]
fn what_is_wrong_with_our_own_files_is_one_clear_line() {
    let authority = Authority::new("ours");
    let (good, other) = (authority.issue(LOCAL), authority.issue(LOCAL));
    let dated = |dates| authority.issue_for(LOCAL, dates, ExtendedKeyUsagePurpose::ServerAuth);
    let (past, future) = (dated(Dates::Past), dated(Dates::Future));
    let folder = Folder::new();
    let name = |file: &str| folder.file(file).display().to_string();
    folder.write("cert.pem", &good.chain);
    folder.write("key.pem", &good.key);
    folder.write("other.pem", &other.key);
    folder.write("empty.pem", "");
    folder.write("text.pem", "what is this?\n");
    folder.write("cut.pem", &good.chain[..good.chain.len() / 2]);
    folder.write("cutkey.pem", &good.key[..good.key.len() / 2]);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    folder.write("encrypted.pem", encrypted);
    folder.write("noise.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    folder.write("noisecert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    folder.write("past.pem", &past.chain);
    folder.write("past.key", &past.key);
    folder.write("future.pem", &future.chain);
    folder.write("future.key", &future.key);

    let table: &[(&str, &str, String)] = &[
        ("none.pem", "key.pem", format!("cannot read '{}': No such file", name("none.pem"))),
        ("cert.pem", "none.pem", format!("cannot read '{}': No such file", name("none.pem"))),
        (".", "key.pem", format!("cannot read '{}': ", name("."))),
        ("empty.pem", "key.pem", format!("no certificate in '{}' ('-----BEGIN", name("empty.pem"))),
        ("text.pem", "key.pem", format!("no certificate in '{}'", name("text.pem"))),
        ("key.pem", "key.pem", format!("no certificate in '{}'", name("key.pem"))),
        ("cut.pem", "key.pem", format!("'{}' is not PEM: a section has no end", name("cut.pem"))),
        ("cert.pem", "empty.pem", format!("no private key in '{}' ('-----BEGIN", name("empty.pem"))),
        ("cert.pem", "cert.pem", format!("no private key in '{}'", name("cert.pem"))),
        ("cert.pem", "cutkey.pem", format!("'{}' is not PEM: a section has no end", name("cutkey.pem"))),
        ("cert.pem", "encrypted.pem", format!("the private key in '{}' is encrypted", name("encrypted.pem"))),
        ("cert.pem", "noise.pem", format!("the private key in '{}' cannot be used: ", name("noise.pem"))),
        (
            "noisecert.pem",
            "key.pem",
            format!("the certificate in '{}' cannot be used: ", name("noisecert.pem")),
        ),
        (
            "cert.pem",
            "other.pem",
            format!(
                "the private key in '{}' does not belong to the certificate in '{}'",
                name("other.pem"),
                name("cert.pem")
            ),
        ),
        ("past.pem", "past.key", format!("the certificate in '{}' expired on 2020-03-04", name("past.pem"))),
        (
            "future.pem",
            "future.key",
            format!("the certificate in '{}' is not valid before 2098-01-02", name("future.pem")),
        ),
    ];
    for (chain, key, expected) in table {
        let error = ServerTls::from_pem_files(folder.file(chain), folder.file(key)).expect_err("it is wrong");
        let line = error.to_string();
        assert!(line.starts_with(expected), "{chain}, {key}: {line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
    // The same without a file.
    let error = ServerTls::from_pem(b"", good.key.as_bytes()).expect_err("it is empty").to_string();
    assert!(error.starts_with("no certificate in the PEM that was given"), "{error}");
    let error = ServerTls::self_signed(["no host\n"]).expect_err("it is no name");
    assert!(matches!(error, TlsError::BadHostName { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "no certificate can be for 'no host\\n': neither a host name nor an IP address"
    );
    // Who insists gets it.
    danger::from_pem_files_of_any_date(folder.file("past.pem"), folder.file("past.key"))
        .expect("dates aside");
    danger::from_pem_files_of_any_date(folder.file("cert.pem"), folder.file("other.pem"))
        .expect_err("it is about dates only");
}

/// Connects with these roots until it works.
async fn until_shown(roots: &str, address: SocketAddr) {
    let client = Client::new().with_tls(trusting(roots));
    soon(async {
        while client.connect(&format!("wss://{address}/")).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_and_old_connections_live_on() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let folder = Folder::new();
    let (chain, key) = folder.write_pair(&before.issue(LOCAL));
    let tls = ServerTls::from_pem_files(chain, key).expect("a good pair");
    let running = echo(tls.with_reload_interval(Duration::from_millis(20))).await;
    let mut old = connect(&before.pem(), running.address).await;
    there_and_back(&mut old).await;

    folder.write_pair(&after.issue(LOCAL));
    until_shown(&after.pem(), running.address).await;
    there_and_back(&mut connect(&after.pem(), running.address).await).await;
    there_and_back(&mut old).await;
    let refused = Client::new().with_tls(trusting(&before.pem()));
    refused
        .connect(&format!("wss://{}/", running.address))
        .await
        .expect_err("the old one is not shown any more");
    running.stop().await;
}

#[tokio::test]
async fn a_reload_by_hand_is_at_once_and_a_broken_one_changes_nothing() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let folder = Folder::new();
    let (chain, key) = folder.write_pair(&before.issue(LOCAL));
    let tls = ServerTls::from_pem_files(&chain, key).expect("a good pair");
    let tls = tls.with_reload_interval(Duration::from_secs(3600));
    let running = echo(tls.clone()).await;
    there_and_back(&mut connect(&before.pem(), running.address).await).await;

    assert!(tls.is_reloadable() && !after.issue(LOCAL).tls().is_reloadable());
    folder.write("cert.pem", "");
    assert!(matches!(tls.reload(), Err(TlsError::NoCertificate { file: Some(file) }) if file == chain));
    folder.write("cert.pem", &after.issue(LOCAL).chain);
    assert!(matches!(tls.reload(), Err(TlsError::KeyMismatch { .. })));
    folder.write_pair(&after.issue_for(LOCAL, Dates::Past, ExtendedKeyUsagePurpose::ServerAuth));
    assert!(matches!(tls.reload(), Err(TlsError::OwnExpired { .. })));
    std::fs::remove_file(&chain).expect("it is there");
    assert!(matches!(tls.reload(), Err(TlsError::Unreadable { .. })));
    there_and_back(&mut connect(&before.pem(), running.address).await).await;

    folder.write_pair(&after.issue(LOCAL));
    tls.reload().expect("a good pair");
    there_and_back(&mut connect(&after.pem(), running.address).await).await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_no_tls_at_all_gets_an_end() {
    let running = echo(ServerTls::self_signed(LOCAL).expect("names of hosts")).await;
    for noise in
        [&b"\x00\x01\x02\x03\x04\x05\x06\x07"[..], b"\x16\x03\x01\x00\x05hello", b"\xff\xff\xff\xff\xff"]
    {
        let mut stream = TcpStream::connect(running.address).await.expect("the server listens");
        stream.write_all(noise).await.expect("the server reads");
        let mut answer = Vec::new();
        soon(stream.read_to_end(&mut answer)).await.expect("the server ends it");
        assert!(answer.first().is_none_or(|kind| *kind == authority::ALERT), "{noise:?} got {answer:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_slow_tls_handshake_has_the_handshakes_deadline() {
    let config = Config::default().with_handshake_timeout(Duration::from_millis(100));
    let (server, address) = bind(ServerTls::self_signed(LOCAL).expect("names of hosts")).await;
    let running = Running::start(address, server.with_config(config).serve(echo_back));
    // Nothing at all, a first byte, half a hello.
    for begun in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        stream.write_all(begun).await.expect("the server reads");
        let mut rest = Vec::new();
        // A reset is an end as well.
        let _ = soon(stream.read_to_end(&mut rest)).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn one_deadline_covers_tls_and_http() {
    let config = Config::default().with_handshake_timeout(Duration::from_secs(1));
    let tls = ServerTls::self_signed(LOCAL).expect("names of hosts");
    let root = tls.certificate_pem();
    let (server, address) = bind(tls).await;
    let running = Running::start(address, server.with_config(config).serve(echo_back));
    let mut stream = dial(foreign_client(&root), address).await.expect("a good certificate");
    let head = ask(&mut stream, "GET / HTTP/1.1\r\n").await;
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    running.stop().await;
}

#[tokio::test]
async fn alpn_is_http_1_1_and_who_offers_something_else_is_refused() {
    let authority = Authority::new("ours");
    let running = echo(authority.issue(LOCAL).tls()).await;
    let offering = |protocols: &[&str]| {
        let mut config = foreign_client(&authority.pem());
        config.alpn_protocols = protocols.iter().map(|each| each.as_bytes().to_vec()).collect();
        dial(config, running.address)
    };
    let agreed = |stream: &ForeignStream| stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    let browser = offering(&["h2", "http/1.1"]).await.expect("they have one in common");
    assert_eq!(agreed(&browser), Some(b"http/1.1".to_vec()));
    let mut silent = offering(&[]).await.expect("nothing has to be offered");
    assert_eq!(agreed(&silent), None);
    assert!(ask(&mut silent, &upgrade("")).await.starts_with("HTTP/1.1 101 "));
    let error = offering(&["h2"]).await.expect_err("they have none in common").to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    drop((browser, silent));
    running.stop().await;

    let running = echo(authority.issue(LOCAL).tls().with_alpn(["x"])).await;
    let mut config = foreign_client(&authority.pem());
    config.alpn_protocols = vec![b"x".to_vec()];
    let stream = dial(config, running.address).await.expect("they have one in common");
    assert_eq!(agreed(&stream), Some(b"x".to_vec()));
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_and_no_older_one() {
    let authority = Authority::new("ours");
    let running = echo(authority.issue(LOCAL).tls()).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = rustls::RootCertStore::empty();
        let root = rustls::pki_types::pem::PemObject::from_pem_slice(authority.pem().as_bytes());
        roots.add(root.expect("PEM of ours")).expect("a certificate of ours");
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("ring has ciphers for it")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut stream = dial(config, running.address).await.expect("a version in common");
        assert!(ask(&mut stream, &upgrade("")).await.starts_with("HTTP/1.1 101 "));
    }
    running.stop().await;
}

/// By a ticket that the client keeps: the server remembers nobody, so that it works for any number of clients.
#[tokio::test]
async fn the_second_connection_of_a_client_resumes_its_session() {
    let authority = Authority::new("ours");
    let running = echo(authority.issue(LOCAL).tls()).await;
    let config = foreign_client(&authority.pem());
    for kind in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
        let mut stream = dial(config.clone(), running.address).await.expect("a good certificate");
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind));
        // The ticket comes before the answer.
        assert!(ask(&mut stream, &upgrade("")).await.starts_with("HTTP/1.1 101 "));
    }
    running.stop().await;
}

#[tokio::test]
async fn a_client_without_a_certificate_does_not_get_in_where_one_is_asked_for() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let folder = Folder::new();
    let roots = folder.write("clients.pem", &clients.pem());
    let tls = servers.issue(LOCAL).tls().with_client_roots_file(&roots).expect("PEM of ours");
    let running = echo(tls).await;
    // With TLS 1.3 it learns of it after its own half of the handshake.
    let mut stream = dial(foreign_client(&servers.pem()), running.address).await.expect("it is not told yet");
    let _ = stream.write_all(upgrade("").as_bytes()).await;
    let mut answer = Vec::new();
    let error = soon(stream.read_to_end(&mut answer)).await.expect_err("an alert").to_string();
    assert!(error.contains("CertificateRequired"), "{error}");
    assert_eq!(answer, b"");
    running.stop().await;

    let error = servers.issue(LOCAL).tls().with_client_roots_file(folder.file("none.pem"));
    assert!(matches!(error, Err(TlsError::Unreadable { .. })));
    let error = servers.issue(LOCAL).tls().with_client_roots_pem(b"");
    assert!(matches!(error, Err(TlsError::NoCertificate { file: None })));
}

#[tokio::test]
async fn pages_get_what_is_inside_tls() {
    let authority = Authority::new("ours");
    let (server, address) = bind(authority.issue(LOCAL).tls()).await;
    let server = server.with_pages(async |mut carrier: Carrier, read: Vec<u8>, peer: Option<SocketAddr>| {
        assert!(read.starts_with(b"GET /page HTTP/1.1\r\n"), "{read:?}");
        assert!(peer.is_some(), "TLS does not hide who it is");
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        carrier.write_all(answer).await.expect("the client reads");
        carrier.flush().await.expect("the client reads");
        carrier.shutdown().await.expect("the client reads");
    });
    let running = Running::start(address, server.serve(echo_back));
    let mut stream = dial(foreign_client(&authority.pem()), address).await.expect("a good certificate");
    let head = ask(&mut stream, "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    running.stop().await;
}

/// A page that came without TLS may have been changed on its way, so it is not the server's own.
#[tokio::test]
async fn pages_of_an_http_origin_are_not_the_servers_own() {
    let authority = Authority::new("ours");
    let running = echo(authority.issue(LOCAL).tls()).await;
    for (origin, status) in [("https://localhost", "101"), ("http://localhost", "403")] {
        let mut stream =
            dial(foreign_client(&authority.pem()), running.address).await.expect("a good certificate");
        let head = ask(&mut stream, &upgrade(&format!("Origin: {origin}\r\n"))).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{origin}: {head}");
    }
    running.stop().await;
}

/// Bytes that somebody has read before handing the stream on come first, in one piece or in many.
#[tokio::test]
async fn a_stream_can_be_handed_on_with_the_hello_read() {
    let authority = Authority::new("ours");
    let serve = Server::detached().with_tls(authority.issue(LOCAL).tls()).serve(echo_back);
    let handle = serve.handle();
    let task = tokio::spawn(serve.into_future());
    for taken in [1, 5, 100, 4096] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let hand_on = async {
            let (mut stream, _) = listener.accept().await.expect("a listener accepts");
            let mut read = vec![0; taken];
            let count = soon(stream.read(&mut read)).await.expect("the client begins");
            read.truncate(count);
            handle.accept(stream, read).expect("the server runs");
        };
        let roots = authority.pem();
        let (mut socket, ()) = tokio::join!(connect(&roots, address), hand_on);
        there_and_back(&mut socket).await;
    }
    task.abort();
}

#[tokio::test]
async fn worker_threads_speak_tls() {
    let authority = Authority::new("ours");
    let (server, address) = bind(authority.issue(LOCAL).tls()).await;
    let running = Running::start(address, server.serve(echo_back).with_threads(2));
    for _ in 0..4 {
        there_and_back(&mut connect(&authority.pem(), address).await).await;
    }
    running.stop().await;
}

/// A key must not end up in a log.
#[test]
fn debug_shows_no_keys() {
    let pair = Authority::new("ours").issue(LOCAL);
    let client = ClientTls::new().with_client_certificate(pair.chain.as_bytes(), pair.key.as_bytes());
    let shown = format!("{:?} {:?}", pair.tls(), client.expect("a good pair"));
    assert_eq!(
        shown,
        "ServerTls { reloads: false, reload_interval: 5s, .. } \
         ClientTls { trust: PlatformAndOwn, own_roots: 0, has_certificate: true, .. }"
    );
}
