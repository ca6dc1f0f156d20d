//! Small proxies for tests: every byte of them is the test's, or they carry as real ones do.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use super::support::soon;

/// Reads a head from any stream, to its empty line and not further.
pub async fn head_of(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match soon(stream.read_u8()).await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).expect("a head is ASCII")
}

/// Takes `CONNECT`, says yes with this answer, and carries between the two. The request's head.
pub async fn tunnel(
    mut near: impl AsyncRead + AsyncWrite + Unpin,
    answer: &str,
    target: SocketAddr,
) -> String {
    let head = head_of(&mut near).await;
    let mut far = TcpStream::connect(target).await.expect("the server listens");
    near.write_all(answer.as_bytes()).await.expect("the client reads");
    // However it ends: what matters is what the client sees.
    let _ = copy_bidirectional(&mut near, &mut far).await;
    head
}

/// Exactly so many bytes.
pub async fn bytes<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> [u8; N] {
    let mut bytes = [0; N];
    soon(stream.read_exact(&mut bytes)).await.expect("so many bytes before the end");
    bytes
}

/// What a SOCKS5 client asked for, after it was let in without credentials.
pub async fn socks_request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Vec<u8> {
    let [5, count] = bytes(stream).await else { panic!("SOCKS5") };
    let mut methods = vec![0; usize::from(count)];
    stream.read_exact(&mut methods).await.expect("so many");
    assert!(methods.contains(&0), "{methods:?}");
    stream.write_all(&[5, 0]).await.expect("the client reads");
    socks_command(stream).await
}

/// The bytes of a SOCKS5 request.
pub async fn socks_command(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Vec<u8> {
    let mut request = bytes::<4>(stream).await.to_vec();
    let length = match request[3] {
        1 => 4,
        4 => 16,
        3 => {
            let [length] = bytes(stream).await;
            request.push(length);
            usize::from(length)
        }
        other => panic!("no type of address: {other}"),
    };
    let start = request.len();
    request.resize(start + length + 2, 0);
    soon(stream.read_exact(&mut request[start..])).await.expect("so many");
    request
}
