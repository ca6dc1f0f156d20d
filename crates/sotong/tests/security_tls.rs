//! TLS handshakes that never come to an end (security.md, CPU: CVE-2026-75596, a ClientHello put together from tiny
//! records): given up after so many bytes, on both ends, whatever the deadline is.
#![cfg(feature = "tls")]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use authority::{Authority, Dates, LOCAL, foreign_server};
use rcgen::ExtendedKeyUsagePurpose;
use scripted::Scripted;
use sotong::tls::{ClientTls, ServerTls, TlsError};
use sotong::{Carrier, Client, Config, ConnectError, ConnectTimeouts, Error, Server, WebSocket};
use support::soon;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A handshake message has 64 KiB at the most; in records of one byte that is six times as much on the wire.
const MOST: usize = 6 * 64 * 1024 + 64 * 1024;

/// The bytes of a handshake message of `kind` that announces `length` bytes, in records of one byte each.
fn tiny_records(kind: u8, length: u32) -> impl Iterator<Item = u8> {
    let [_, high, middle, low] = length.to_be_bytes();
    let message = [kind, high, middle, low].into_iter().chain(std::iter::repeat(0));
    message.flat_map(|byte| [22, 3, 3, 0, 1, byte])
}

/// Records without anything in them.
fn empty_records() -> impl Iterator<Item = u8> {
    std::iter::repeat([22, 3, 3, 0, 0]).flatten()
}

type Bytes = Box<dyn Iterator<Item = u8> + Send>;

fn hellos(kind: u8) -> Vec<(&'static str, Bytes)> {
    vec![
        ("as long as may be", Box::new(tiny_records(kind, 0xffff))),
        ("longer than may be", Box::new(tiny_records(kind, 0xff_ffff))),
        ("empty records", Box::new(empty_records())),
    ]
}

/// A peer that sends for ever, as fast as it is read, and tells at its end how many bytes that were.
struct Endless {
    bytes: Bytes,
    given: usize,
    told: Option<oneshot::Sender<usize>>,
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        // As a real stream it lets others have their turn.
        let turn = std::task::ready!(tokio::task::coop::poll_proceed(context));
        let count = buffer.remaining();
        buffer.put_slice(&self.bytes.by_ref().take(count).collect::<Vec<_>>());
        self.given += count;
        turn.made_progress();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        if let Some(told) = self.told.take() {
            let _ = told.send(self.given);
        }
    }
}

#[tokio::test]
async fn a_hello_without_end_is_given_up_after_so_many_bytes() {
    let config = Config::default().with_handshake_timeout(Duration::from_secs(3600));
    let tls = ServerTls::self_signed(LOCAL).expect("names of hosts");
    let serve =
        Server::detached().with_tls(tls).with_config(config).serve(async |_: WebSocket| Ok::<(), Error>(()));
    let handle = serve.handle();
    let task = tokio::spawn(serve.into_future());
    for (what, bytes) in hellos(1) {
        let (told, given) = oneshot::channel();
        let peer = Endless { bytes, given: 0, told: Some(told) };
        handle.accept(Carrier::new(peer), Vec::new()).expect("the server runs");
        let given = tokio::time::timeout(support::SOON, given).await;
        let given = given.unwrap_or_else(|_| panic!("{what}: it is read on and on")).expect("it is told");
        assert!(given <= MOST, "{what}: {given} bytes");
    }
    task.abort();
}

/// The client's end: what a server has sent may wait in the kernel, so only the end is checked here.
#[tokio::test]
async fn a_servers_hello_without_end_is_given_up() {
    let timeouts = ConnectTimeouts::default().with_tls(Duration::from_secs(3600));
    let timeouts = timeouts.with_total(Duration::from_secs(3600));
    let client = Client::new().with_tls(ClientTls::new()).with_timeouts(timeouts);
    for (what, bytes) in hellos(2) {
        let server = Scripted::start().await;
        let url = format!("wss://127.0.0.1:{}/", server.address.port());
        let connecting = tokio::spawn(client.connect(&url));
        let mut stream = server.accept().await;
        let sending = tokio::spawn(async move {
            let mut bytes = bytes;
            loop {
                let piece: Vec<u8> = bytes.by_ref().take(60_000).collect();
                if stream.write_all(&piece).await.is_err() {
                    break;
                }
            }
        });
        let error = soon(connecting).await.expect("no panic").expect_err("it is no server");
        assert!(matches!(error, ConnectError::Tls { .. }), "{what}: {error:?}");
        soon(sending).await.expect("no panic");
    }
}

/// CVE-2020-11050 and its like, by the back door: a certificate that was itself given as a root is trusted for its
/// names and in its time, and for nothing else.
#[tokio::test]
async fn b3_a_certificate_that_is_a_root_itself_is_checked_all_the_same() {
    let authority = Authority::new("ours");
    let usage = || ExtendedKeyUsagePurpose::ServerAuth;
    for (names, dates) in
        [(LOCAL, Dates::Past), (LOCAL, Dates::Future), (["example.com", "127.0.0.2", "::2"], Dates::Now)]
    {
        let pair = authority.issue_for(names, dates, usage());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("wss://{}/", listener.local_addr().expect("a listener has an address"));
        let roots = ClientTls::new().without_platform_roots().with_roots_pem(pair.chain.as_bytes());
        let client = Client::new().with_tls(roots.expect("PEM of ours"));
        let connecting = tokio::spawn(client.connect(&url));
        let (stream, _) = soon(listener.accept()).await.expect("a listener accepts");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(foreign_server(&pair)));
        let serving = tokio::spawn(acceptor.accept(stream).into_fallible());
        let refused = soon(connecting).await.expect("no panic").expect_err("it is not to be trusted");
        let ConnectError::Tls { error, .. } = refused else { panic!("{refused:?}") };
        let told = match dates {
            Dates::Past => matches!(error, TlsError::Expired { .. }),
            Dates::Future => matches!(error, TlsError::NotYetValid { .. }),
            Dates::Now => matches!(error, TlsError::WrongHost { .. }),
        };
        assert!(told, "{error:?}");
        assert!(soon(serving).await.expect("no panic").is_err(), "nothing was said to it");
    }
}
