//! What the server logs about TLS. In a file of its own: a line that was passed by once without a listener, in another
//! test of the same process, may be off for good (`tracing` keeps who is interested).
#![cfg(feature = "tls")]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/log.rs"]
mod log;
mod support;

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::Duration;

use authority::{Authority, Folder, LOCAL};
use log::Log;
use sotong::tls::{ClientTls, ServerTls};
use sotong::{Client, Error, Server, WebSocket};
use support::{read_head, soon};
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
async fn a_broken_new_file_keeps_the_old_certificate_and_logs_one_line() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let folder = Folder::new();
    let (chain, key) = folder.write_pair(&before.issue(LOCAL));
    let interval = Duration::from_millis(10);
    let tls = ServerTls::from_pem_files(&chain, key).expect("a good pair").with_reload_interval(interval);
    let log = Log::default();
    let _listening = tracing::subscriber::set_default(log.clone());
    let (server, address) = bind(tls).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serve = server.serve(echo_back).with_shutdown_window(Duration::ZERO).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let task = tokio::spawn(serve.into_future());

    folder.write("cert.pem", "broken");
    let said = ["the new certificate is not used, the old one stays: no certificate in", "cert.pem"];
    soon(async {
        while !log.has("ERROR", &said) {
            tokio::time::sleep(interval).await;
        }
    })
    .await;
    there_and_back(&mut connect(&before.pem(), address).await).await;
    // A good pair is taken when it comes, and that line is the next one: nothing was repeated in between.
    folder.write_pair(&after.issue(LOCAL));
    until_shown(&after.pem(), address).await;
    let lines: Vec<String> =
        log.lines().into_iter().filter(|line| line.contains("the new certificate")).collect();
    let told = lines.iter().filter(|line| line.contains("no certificate in"));
    assert_eq!(told.count(), 1, "{lines:#?}");
    assert!(lines.last().is_some_and(|line| line.contains("the new certificate is in use")), "{lines:#?}");
    drop(stop);
    soon(task).await.expect("the server did not panic").expect("the server ended well");
}

#[tokio::test]
async fn http_in_the_clear_on_a_port_of_tls_is_told_so() {
    let log = Log::default();
    let _listening = tracing::subscriber::set_default(log.clone());
    let (server, address) = bind(ServerTls::self_signed(LOCAL).expect("names of hosts")).await;
    let task = tokio::spawn(server.serve(echo_back).into_future());
    for method in ["GET", "POST", "OPTIONS"] {
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        let request = format!("{method} / HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        let mut body = String::new();
        soon(stream.read_to_string(&mut body)).await.expect("the server ends it");
        assert_eq!(body, "This port speaks TLS: use https:// or wss:// in the URL.\n");
        let length = head.split_once("Content-Length: ").and_then(|(_, rest)| rest.split_once("\r\n"));
        assert_eq!(length.map(|(length, _)| length.parse()), Some(Ok(body.len())), "{head}");
    }
    assert!(log.has("DEBUG", &["plain HTTP on a port of TLS"]), "{:#?}", log.lines());
    task.abort();
}
