//! Whom a client trusts: each way in which a server's certificate can be wrong is told apart (spec.md, B3).
#![cfg(feature = "tls")]

#[path = "support/authority.rs"]
mod authority;
mod support;

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};

use authority::{Authority, Dates, LOCAL, Pair, foreign_server, self_signed};
use rcgen::ExtendedKeyUsagePurpose;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sotong::tls::{ClientTls, ServerTls, TlsError, danger};
use sotong::{Client, ConnectError, Error, Server, WebSocket};
use support::{Running, soon};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// An echo server that speaks TLS.
async fn echo(tls: ServerTls) -> Running {
    let server = Server::bind("127.0.0.1:0").await.expect("loopback has a free port").with_tls(tls);
    let address = server.local_addr().expect("a listener has an address");
    let serve = server.serve(async |mut socket: WebSocket| {
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
        Ok::<(), Error>(())
    });
    Running::start(address, serve)
}

/// Trusts only this.
fn trusting(roots: &str) -> ClientTls {
    ClientTls::new().without_platform_roots().with_roots_pem(roots.as_bytes()).expect("PEM of ours")
}

async fn connect(tls: ClientTls, url: &str) -> Result<WebSocket, ConnectError> {
    soon(Client::new().with_tls(tls).connect(url)).await
}

/// Connects by name, and sends a message there and back.
async fn works(tls: ClientTls, url: &str) {
    let mut socket = connect(tls, url).await.expect("a good certificate");
    socket.send("hello").await.expect("the server is there");
    let back = soon(socket.recv()).await.expect("the server is there").expect("an answer");
    assert_eq!(back.as_text(), Some("hello"));
}

/// What is wrong, and its line.
async fn refused(tls: ClientTls, url: &str) -> (TlsError, String) {
    match connect(tls, url).await {
        Err(ConnectError::Tls { error, .. }) => {
            let line = error.to_string();
            assert_eq!(line.lines().count(), 1, "{line}");
            (error, line)
        }
        Err(other) => panic!("it is about TLS: {other}"),
        Ok(_) => panic!("the certificate is wrong"),
    }
}

#[tokio::test]
async fn b3_a_server_of_an_own_authority_is_trusted_by_name_and_by_address() {
    let authority = Authority::new("ours");
    let server = echo(authority.issue(LOCAL).tls()).await;
    let port = server.address.port();
    works(trusting(&authority.pem()), &format!("wss://localhost:{port}/")).await;
    works(trusting(&authority.pem()), &format!("wss://127.0.0.1:{port}/")).await;
    // With the platform's roots beside it.
    let both = ClientTls::new().with_roots_pem(authority.pem().as_bytes()).expect("PEM of ours");
    works(both, &format!("wss://localhost:{port}/")).await;
    server.stop().await;
}

#[tokio::test]
async fn b3_ipv6_literals_are_compared_with_the_addresses_in_the_certificate() {
    let authority = Authority::new("ours");
    let Ok(server) = Server::bind("[::1]:0").await else {
        eprintln!("this machine has no IPv6");
        return;
    };
    let server = server.with_tls(authority.issue(LOCAL).tls());
    let address = server.local_addr().expect("a listener has an address");
    let serve = server.serve(async |mut socket: WebSocket| {
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
        Ok::<(), Error>(())
    });
    let running = Running::start(address, serve);
    works(trusting(&authority.pem()), &format!("wss://[::1]:{}/", address.port())).await;
    running.stop().await;
}

#[tokio::test]
async fn b3_a_certificate_of_another_host_is_refused() {
    let authority = Authority::new("ours");
    let server = echo(authority.issue(["example.com", "127.0.0.2"]).tls()).await;
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("wss://{host}:{}/", server.address.port());
        let (error, line) = refused(trusting(&authority.pem()), &url).await;
        assert!(matches!(error, TlsError::WrongHost { .. }), "{error:?}");
        let expected = format!("wrong host: the certificate is for example.com, 127.0.0.2, not for {host}");
        assert_eq!(line, expected);
    }
    server.stop().await;
}

/// Our own server does not start with such a certificate, so it is another one that shows it.
#[tokio::test]
async fn b3_an_expired_certificate_is_refused_and_so_is_one_of_the_future() {
    let authority = Authority::new("ours");
    let issue = |dates| authority.issue_for(LOCAL, dates, ExtendedKeyUsagePurpose::ServerAuth);
    let server = Foreign::start(foreign_server(&issue(Dates::Past))).await;
    let (error, line) = refused(trusting(&authority.pem()), &server.url()).await;
    assert!(matches!(error, TlsError::Expired { .. }), "{error:?}");
    assert_eq!(line, "the certificate of localhost expired on 2020-03-04");

    let server = Foreign::start(foreign_server(&issue(Dates::Future))).await;
    let (error, line) = refused(trusting(&authority.pem()), &server.url()).await;
    assert!(matches!(error, TlsError::NotYetValid { .. }), "{error:?}");
    assert_eq!(line, "the certificate of localhost is not valid yet, only from 2098-01-02 on");
}

#[tokio::test]
async fn b3_self_signed_is_told_apart_from_an_unknown_issuer() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    for is_ca in [false, true] {
        let server = echo(self_signed(LOCAL, is_ca).tls()).await;
        let url = format!("wss://localhost:{}/", server.address.port());
        let (error, line) = refused(trusting(&ours.pem()), &url).await;
        assert!(matches!(error, TlsError::SelfSigned { .. }), "{error:?}");
        assert!(line.contains("localhost is self-signed"), "{line}");
        server.stop().await;
    }
    let server = echo(theirs.issue(LOCAL).tls()).await;
    let url = format!("wss://localhost:{}/", server.address.port());
    let (error, line) = refused(trusting(&ours.pem()), &url).await;
    assert!(matches!(error, TlsError::UnknownIssuer { .. }), "{error:?}");
    assert!(line.contains("localhost comes from an unknown issuer"), "{line}");
    // The platform does not know it either.
    let (error, _) = refused(ClientTls::new(), &url).await;
    assert!(matches!(error, TlsError::UnknownIssuer { .. } | TlsError::NoRoots { .. }), "{error:?}");
    server.stop().await;
}

#[tokio::test]
async fn b3_a_certificate_made_for_clients_is_no_servers() {
    let authority = Authority::new("ours");
    let pair = authority.issue_for(LOCAL, Dates::Now, ExtendedKeyUsagePurpose::ClientAuth);
    let server = Foreign::start(foreign_server(&pair)).await;
    let (error, line) = refused(trusting(&authority.pem()), &server.url()).await;
    assert!(matches!(error, TlsError::BadCertificate { .. }), "{line}: {error:?}");
}

/// Also one that is marked as an authority, as `openssl req -x509` marks it. The name still counts.
#[tokio::test]
async fn a_self_signed_certificate_can_be_trusted_itself() {
    for is_ca in [false, true] {
        let pair = self_signed(["localhost"], is_ca);
        let server = echo(pair.tls()).await;
        let port = server.address.port();
        works(trusting(&pair.chain), &format!("wss://localhost:{port}/")).await;
        let (error, _) = refused(trusting(&pair.chain), &format!("wss://127.0.0.1:{port}/")).await;
        assert!(matches!(error, TlsError::WrongHost { .. }), "{error:?}");
        // Another one of the same name is another one.
        let other = self_signed(["localhost"], is_ca);
        let (error, line) = refused(trusting(&other.chain), &format!("wss://localhost:{port}/")).await;
        assert!(!matches!(error, TlsError::WrongHost { .. }), "{line}");
        server.stop().await;
    }
    // And the one that the library makes.
    let tls = ServerTls::self_signed(LOCAL).expect("names of hosts");
    let root = tls.certificate_pem();
    let server = echo(tls).await;
    works(trusting(&root), &format!("wss://127.0.0.1:{}/", server.address.port())).await;
    server.stop().await;
}

#[tokio::test]
async fn whoever_accepts_any_certificate_said_danger() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let careless = || danger::accept_any_certificate(trusting(&ours.pem()));
    let expired = theirs.issue_for(["example.com"], Dates::Past, ExtendedKeyUsagePurpose::ServerAuth);
    let server = Foreign::start(foreign_server(&expired)).await;
    works(careless(), &server.url()).await;
    let server = echo(self_signed(["example.com"], true).tls()).await;
    works(careless(), &format!("wss://127.0.0.1:{}/", server.address.port())).await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_it_is_asked_for() {
    let (servers, clients, others) =
        (Authority::new("servers"), Authority::new("clients"), Authority::new("o"));
    let tls =
        servers.issue(LOCAL).tls().with_client_roots_pem(clients.pem().as_bytes()).expect("PEM of ours");
    let server = echo(tls).await;
    let url = format!("wss://localhost:{}/", server.address.port());
    let showing = |pair: &Pair| {
        let tls = trusting(&servers.pem());
        tls.with_client_certificate(pair.chain.as_bytes(), pair.key.as_bytes()).expect("a good pair")
    };
    works(showing(&clients.issue_client("me")), &url).await;

    let (error, line) = refused(trusting(&servers.pem()), &url).await;
    assert!(matches!(error, TlsError::CertificateWanted { .. }), "{error:?}");
    assert_eq!(line, "localhost wants a client certificate, and none was given");

    let (error, line) = refused(showing(&others.issue_client("me")), &url).await;
    assert!(matches!(error, TlsError::Refused { .. }), "{error:?}");
    assert!(line.starts_with("localhost refused the TLS handshake: "), "{line}");
    server.stop().await;
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls_is_told_apart() {
    let plain = support::pull_echo(sotong::Config::default()).await;
    let authority = Authority::new("ours");
    let url = format!("wss://127.0.0.1:{}/", plain.address.port());
    let (error, line) = refused(trusting(&authority.pem()), &url).await;
    assert!(matches!(error, TlsError::NotTls { .. }), "{error:?}");
    assert_eq!(line, "127.0.0.1 does not speak TLS");
    plain.stop().await;

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("wss://{}/", listener.local_addr().expect("a listener has an address"));
    let hang_up = async { drop(listener.accept().await.expect("a listener accepts")) };
    let (hung_up, ()) = tokio::join!(refused(trusting(&authority.pem()), &url), hang_up);
    assert!(matches!(hung_up.0, TlsError::Io { .. }), "{hung_up:?}");
}

#[tokio::test]
async fn what_cannot_be_trusted_is_said_at_once() {
    let line = |result: Result<ClientTls, TlsError>| result.expect_err("it is broken").to_string();
    let new = ClientTls::new;
    assert!(line(new().with_roots_pem(b"")).starts_with("no certificate in the PEM that was given"));
    assert!(line(new().with_roots_file("no/such.pem")).starts_with("cannot read 'no/such.pem': "));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let line = line(new().with_roots_pem(broken.as_bytes()));
    assert!(line.starts_with("the certificate in the PEM that was given cannot be used: "), "{line}");
    // Nothing is left to trust.
    let server = echo(ServerTls::self_signed(LOCAL).expect("names of hosts")).await;
    let url = format!("wss://127.0.0.1:{}/", server.address.port());
    let (error, line) = refused(new().without_platform_roots(), &url).await;
    assert!(matches!(error, TlsError::NoRoots { .. }), "{line}");
}

/// The system's list of roots may be missing on a machine; here it is named by the environment, in a process of its own.
#[test]
fn b3_the_platforms_roots_are_the_default() {
    const MARK: &str = "SOTONG_TEST_TLS_PORT";
    if let Ok(port) = std::env::var(MARK) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(works(ClientTls::default(), &format!("wss://localhost:{port}/")));
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let authority = Authority::new("the platform's");
    let folder = authority::Folder::new();
    let roots = folder.write("roots.pem", &authority.pem());
    let server = runtime.block_on(echo(authority.issue(LOCAL).tls()));
    let this = std::env::current_exe().expect("a test knows itself");
    let ended = std::process::Command::new(this)
        .args(["--exact", "b3_the_platforms_roots_are_the_default", "--nocapture"])
        .env(MARK, server.address.port().to_string())
        .env("SSL_CERT_FILE", roots)
        .env_remove("SSL_CERT_DIR")
        .output()
        .expect("a test starts");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    runtime.block_on(server.stop());
}

/// Keeps what clients say about the host.
#[derive(Debug)]
struct Names {
    pair: Arc<CertifiedKey>,
    heard: Mutex<Vec<(Option<String>, Vec<String>)>>,
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let alpn = hello.alpn().into_iter().flatten();
        let alpn = alpn.map(|protocol| String::from_utf8_lossy(protocol).into_owned()).collect();
        self.heard.lock().expect("nobody panics").push((hello.server_name().map(str::to_owned), alpn));
        Some(self.pair.clone())
    }
}

/// RFC 6455, section 4.1: SNI is a MUST. RFC 6066, section 3: not with an address.
#[tokio::test]
async fn b3_the_host_is_named_to_the_server_and_http_1_1_is_offered() {
    let authority = Authority::new("ours");
    let (chain, key) = authority.issue(LOCAL).parts();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("a key of ours");
    let pair = Arc::new(CertifiedKey::new(chain, key));
    let names = Arc::new(Names { pair, heard: Mutex::default() });
    let mut config = foreign_server(&authority.issue(LOCAL));
    config.cert_resolver = names.clone();
    let server = Foreign::start(config).await;
    works(trusting(&authority.pem()), &format!("wss://localhost:{}/", server.port)).await;
    works(trusting(&authority.pem()), &format!("wss://127.0.0.1:{}/", server.port)).await;
    works(trusting(&authority.pem()).with_alpn(["x"]), &format!("wss://localhost:{}/", server.port)).await;
    let none: [&str; 0] = [];
    works(trusting(&authority.pem()).with_alpn(none), &format!("wss://localhost:{}/", server.port)).await;
    let heard = names.heard.lock().expect("nobody panics");
    let localhost = || Some("localhost".to_owned());
    let http = || vec!["http/1.1".to_owned()];
    assert_eq!(
        *heard,
        [(localhost(), http()), (None, http()), (localhost(), vec!["x".to_owned()]), (localhost(), vec![])]
    );
}

#[tokio::test]
async fn a_server_of_another_protocol_refuses_us() {
    let authority = Authority::new("ours");
    let mut config = foreign_server(&authority.issue(LOCAL));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let server = Foreign::start(config).await;
    let (error, line) = refused(trusting(&authority.pem()), &server.url()).await;
    assert!(matches!(error, TlsError::Refused { .. }), "{error:?}");
    assert!(line.contains("does not offer http/1.1"), "{line}");
}

/// rustls panics where it looks for the process's provider and there is none. It never looks.
#[tokio::test]
async fn no_provider_has_to_be_installed() {
    let authority = Authority::new("ours");
    let clients = Authority::new("clients");
    let pair = clients.issue_client("me");
    let tls =
        authority.issue(LOCAL).tls().with_client_roots_pem(clients.pem().as_bytes()).expect("PEM of ours");
    let server = echo(tls).await;
    let url = format!("wss://localhost:{}/", server.address.port());
    let client = trusting(&authority.pem())
        .with_client_certificate(pair.chain.as_bytes(), pair.key.as_bytes())
        .expect("a good pair");
    works(client.clone(), &url).await;
    works(danger::accept_any_certificate(client), &url).await;
    let _ = ServerTls::self_signed(LOCAL).expect("names of hosts");
    // The default roots, whatever comes of them.
    let _ = connect(ClientTls::default(), &url).await;
    server.stop().await;
    assert!(CryptoProvider::get_default().is_none(), "nothing in this process has installed one");
}

/// A server whose TLS is not ours; behind it is an echo of ours.
struct Foreign {
    port: u16,
    task: JoinHandle<()>,
}

impl Foreign {
    async fn start(config: ServerConfig) -> Foreign {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let port = listener.local_addr().expect("a listener has an address").port();
        let serve = Server::detached().serve(async |mut socket: WebSocket| {
            while let Some(message) = socket.recv().await? {
                socket.send(message).await?;
            }
            Ok::<(), Error>(())
        });
        let handle = serve.handle();
        let task = tokio::spawn(async move {
            let accepting = async {
                loop {
                    let (stream, _) = listener.accept().await.expect("a listener accepts");
                    match authority::accept(config.clone(), stream).await {
                        Ok(stream) => {
                            handle.accept(sotong::Carrier::new(stream), Vec::new()).expect("the server runs");
                        }
                        Err(error) => eprintln!("the client has gone: {error}"),
                    }
                }
            };
            tokio::select! {
                () = accepting => {}
                result = serve.into_future() => result.expect("the server ends well"),
            }
        });
        Foreign { port, task }
    }

    fn url(&self) -> String {
        format!("wss://localhost:{}/", self.port)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.task.abort();
    }
}
