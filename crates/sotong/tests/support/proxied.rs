//! Peers with addresses of their own: all of 127.0.0.0/8 is this machine.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use sotong::{Config, Events, MessageRef, Refusal, Request, Sender, Server};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use super::support::{self, Peer, Running, handshake, read_head, soon};

/// A connection from 127.0.0.`last`.
pub async fn connect_from(last: u8, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("there are files left");
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).expect("all of 127/8 is local");
    soon(socket.connect(server)).await.expect("the server listens")
}

/// Asks for a WebSocket from 127.0.0.`last`, with more header lines.
pub async fn request_from(last: u8, server: SocketAddr, headers: &str) -> Peer {
    request_on(connect_from(last, server).await, server, b"", headers).await
}

/// Asks for a WebSocket on a stream, after something else.
pub async fn request_on(mut stream: TcpStream, server: SocketAddr, before: &[u8], headers: &str) -> Peer {
    stream.set_nodelay(true).expect("TCP can do that");
    let request = [before, handshake(server, "/", headers).as_bytes()].concat();
    // A server that drops the connection may do so before it has read everything.
    let _ = soon(stream.write_all(&request)).await;
    let head = read_head(&mut stream).await;
    Peer { stream, head }
}

/// Says for whom it believes the connection to come, then echoes.
pub struct WhoAmI;

impl Events for WhoAmI {
    fn open(&mut self, socket: &Sender) {
        let client = socket.client_ip().map_or("nobody".to_owned(), |client| client.to_string());
        let _ = socket.try_send(client.as_str());
    }

    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        let _ = socket.try_send(message);
    }
}

/// A server of that kind.
pub async fn who_am_i(set: impl FnOnce(Server) -> Server) -> Running {
    // Most of these peers do not answer a Close.
    let config = Config::default().with_close_timeout(Duration::from_millis(100));
    let (server, address) = support::server(config).await;
    Running::start(address, set(server).serve_events(|_: &Request| Ok::<_, Refusal>(WhoAmI)))
}

/// What a peer that was let in was told; the head if it was not.
pub async fn told(mut peer: Peer) -> String {
    if !peer.head.starts_with("HTTP/1.1 101 ") {
        return peer.head.lines().next().unwrap_or("dropped").to_owned();
    }
    let frame = peer.next().await.expect("the server speaks first");
    frame.text().to_owned()
}
