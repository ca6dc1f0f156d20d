//! `serve` and `echo` with TLS: the options, the printed address, pages and WebSockets, and certificates that are
//! replaced while the program runs.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod program;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use program::{DEADLINE, Program, sotong};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sotong::tls::{ClientTls, danger};
use sotong::{Client, WebSocket};
use sotong_hub::cli::Exit;

/// A certificate for this machine and its key, in files that go with the value.
struct Files {
    folder: PathBuf,
    root: String,
}

impl Files {
    fn new(name: &str) -> Files {
        let folder = std::env::temp_dir().join(format!("sotong-hub-tls-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut files = Files { folder, root: String::new() };
        files.renew();
        files
    }

    /// Another certificate in the same files.
    fn renew(&mut self) {
        let key = KeyPair::generate().unwrap();
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        self.root = certificate.pem();
        fs::write(self.folder.join("cert.pem"), &self.root).unwrap();
        fs::write(self.folder.join("key.pem"), key.serialize_pem()).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    fn options(&self) -> [String; 4] {
        ["--tls-cert".to_owned(), self.path("cert.pem"), "--tls-key".to_owned(), self.path("key.pem")]
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // They are temporary.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn start(command: &str, options: &[impl AsRef<str>]) -> Program {
    let options = options.iter().map(AsRef::as_ref);
    Program::start(sotong().args([command, "--listen", "127.0.0.1:0", "--log", "off"]).args(options))
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, future).await.expect("in time") })
}

fn trusting(root: &str) -> Client {
    let tls = ClientTls::new().without_platform_roots().with_roots_pem(root.as_bytes()).unwrap();
    Client::new().with_tls(tls)
}

async fn there_and_back(socket: &mut WebSocket) {
    socket.send("hello").await.unwrap();
    assert_eq!(socket.recv().await.unwrap().unwrap().as_text(), Some("hello"));
}

/// One request over TLS, and the whole answer.
fn https(program: &Program, root: &str, request: &str) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(program.address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // An error here would be an end without TLS's own good-bye.
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[track_caller]
fn one_line(output: &Output, words: &[&str]) {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(i32::from(Exit::Usage.code())), "{stderr}");
    assert!(output.stdout.is_empty());
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is not in {stderr:?}");
    }
}

#[test]
fn what_makes_no_sense_gets_one_line() {
    let (files, others) = (Files::new("one-line"), Files::new("one-line-others"));
    let (cert, key, other) = (&*files.path("cert.pem"), &*files.path("key.pem"), &*others.path("key.pem"));
    let none = &*files.path("none.pem");
    let empty = &*files.path("empty.pem");
    fs::write(empty, "").unwrap();
    let table: &[(&[&str], &[&str])] = &[
        (&["--tls-cert", cert], &["--tls-cert is given without --tls-key"]),
        (&["--tls-key", key], &["--tls-key is given without --tls-cert"]),
        (&["--tls-self-signed", "--tls-cert", cert], &["--tls-self-signed", "leave out"]),
        (&["--tls-self-signed", "--tls-key", key], &["--tls-self-signed", "leave out"]),
        (&["--tls-self-signed", "--tls-cert", cert, "--tls-key", key], &["--tls-self-signed", "leave out"]),
        (&["--tls-client-ca", cert], &["--tls-client-ca is given without TLS"]),
        (&["--tls-cert", none, "--tls-key", key], &["cannot read", none]),
        (&["--tls-cert", cert, "--tls-key", none], &["cannot read", none]),
        (&["--tls-cert", empty, "--tls-key", key], &["no certificate in", empty]),
        (&["--tls-cert", cert, "--tls-key", empty], &["no private key in", empty]),
        (&["--tls-cert", cert, "--tls-key", other], &[other, "does not belong to the certificate in", cert]),
        (&["--tls-self-signed", "--tls-client-ca", empty], &["--tls-client-ca", "no certificate in", empty]),
        (&["--ca", cert], &["unknown option '--ca'", "sotong connect"]),
    ];
    for command in ["serve", "echo"] {
        for (options, words) in table {
            let output = sotong().arg(command).args(*options).output().unwrap();
            one_line(&output, words);
        }
    }
}

#[test]
fn echo_with_a_certificate_for_tests() {
    let program = start("echo", &["--tls-self-signed"]);
    assert!(
        program.first_line.starts_with("sotong echo: listening on wss://127.0.0.1:"),
        "{}",
        program.first_line
    );
    let url = program.first_line.trim().rsplit(' ').next().unwrap();
    block_on(async {
        Client::new().connect(url).await.expect_err("nobody vouches for it");
        let careless = Client::new().with_tls(danger::accept_any_certificate(ClientTls::new()));
        there_and_back(&mut careless.connect(url).await.unwrap()).await;
    });
    let answer = program.request("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https:// or wss://"), "{answer}");
}

#[test]
fn serve_shows_pages_over_https_and_speaks_wss() {
    let files = Files::new("serve");
    let program = start("serve", &files.options());
    assert!(
        program.first_line.starts_with("sotong serve: open https://127.0.0.1:"),
        "{}",
        program.first_line
    );
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = https(&program, &files.root, request);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("</html>\n"), "the whole page: {answer}");
    block_on(async {
        let url = format!("wss://localhost:{}/ws?sub=chat:lobby", program.address.port());
        let mut socket = trusting(&files.root).connect(&url).await.unwrap();
        let hello = socket.recv().await.unwrap().unwrap();
        assert!(hello.as_text().is_some_and(|text| text.contains("connect")), "{hello:?}");
    });
}

#[test]
fn only_clients_with_a_certificate_get_in() {
    let (files, clients) = (Files::new("servers"), Files::new("clients"));
    let ca = clients.path("cert.pem");
    let options = [&files.options()[..], &["--tls-client-ca".to_owned(), ca]].concat();
    let program = start("echo", &options);
    let url = format!("wss://localhost:{}/", program.address.port());
    block_on(async {
        let line = trusting(&files.root).connect(&url).await.expect_err("it has none").to_string();
        assert!(line.contains("wants a client certificate"), "{line}");
    });
}

#[cfg(unix)]
#[test]
fn sighup_loads_the_certificate_and_drops_nobody() {
    let mut files = Files::new("sighup");
    let program = start("echo", &files.options());
    let url = format!("wss://localhost:{}/", program.address.port());
    let before = files.root.clone();
    block_on(async {
        let mut old = trusting(&before).connect(&url).await.unwrap();
        there_and_back(&mut old).await;
        files.renew();
        program.signal("HUP");
        let mut new = loop {
            match trusting(&files.root).connect(&url).await {
                Ok(new) => break new,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        there_and_back(&mut new).await;
        there_and_back(&mut old).await;
        trusting(&before).connect(&url).await.expect_err("it is another one now");

        fs::write(files.path("cert.pem"), "broken").unwrap();
        program.signal("HUP");
        there_and_back(&mut trusting(&files.root).connect(&url).await.unwrap()).await;
        there_and_back(&mut old).await;
    });
}
