//! `sotong connect wss://…`: whom it believes.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod opposite;
mod program;

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use opposite::run;
use sotong::tls::ServerTls;
use sotong::{Error, Server, WebSocket};
use sotong_hub::cli::Exit;

/// An echo server whose certificate nobody has signed but itself. Lives as long as the tests.
fn echo(names: &[&str]) -> (String, String) {
    let (send, receive) = mpsc::channel();
    let tls = ServerTls::self_signed(names.iter().copied()).unwrap();
    let pem = tls.certificate_pem();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::bind("127.0.0.1:0").await.unwrap().with_tls(tls);
            send.send(server.local_addr().unwrap()).unwrap();
            let served = server.serve(async |mut socket: WebSocket| {
                while let Some(message) = socket.recv().await? {
                    socket.send(message).await?;
                }
                Ok::<(), Error>(())
            });
            served.await.unwrap();
        });
    });
    let address = receive.recv().unwrap();
    (format!("wss://localhost:{}/", address.port()), pem)
}

/// A file that is gone when the test is.
struct Certificate(PathBuf);

impl Certificate {
    fn new(name: &str, pem: &str) -> Certificate {
        let path = std::env::temp_dir().join(format!("sotong-connect-{}-{name}.pem", std::process::id()));
        std::fs::write(&path, pem).unwrap();
        Certificate(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for() {
    let (url, pem) = echo(&["localhost"]);
    let output = run(&url, &[], b"hi\n");
    assert_eq!(output.status.code(), Some(i32::from(Exit::Unreachable.code())));
    assert!(output.stdout.is_empty(), "nothing was sent, so nothing came back");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("certificate"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");

    // Whoever has the certificate can vouch for it.
    let file = Certificate::new("own", &pem);
    let output = run(&url, &["--ca", file.path()], b"hi\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!((output.stdout, output.status.code()), (b"hi\n".to_vec(), Some(0)));

    let output = run(&url, &["--danger-accept-any-certificate"], b"hi\n");
    assert_eq!((output.stdout, output.status.code()), (b"hi\n".to_vec(), Some(0)));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("sotong: warning: no certificate is checked"), "{stderr}");
}

#[test]
fn a_certificate_for_another_name() {
    let (url, pem) = echo(&["elsewhere.example"]);
    let file = Certificate::new("other", &pem);
    let output = run(&url, &["--ca", file.path(), "--json"], b"");
    assert_eq!(output.status.code(), Some(i32::from(Exit::Unreachable.code())));
    let event: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(event["kind"], "tls");
    let message = event["message"].as_str().unwrap();
    assert!(message.contains("localhost") && message.contains("elsewhere.example"), "{message}");
}

#[test]
fn a_file_without_a_certificate() {
    let file = Certificate::new("empty", "this is none\n");
    let output = run("wss://localhost:1/", &["--ca", file.path()], b"");
    assert_eq!(output.status.code(), Some(i32::from(Exit::Usage.code())));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("sotong: --ca: ") && stderr.contains(file.path()), "{stderr}");
}
