//! The server's half of a handshake.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::error::TlsError;
use super::server::ServerTls;
use crate::carrier::Carrier;

/// How much is read to see who is there. A client's first words are shorter, mostly.
const FIRST_BYTES: usize = 2048;
/// The peer, in error lines.
const CLIENT: &str = "the client";
/// The answer to HTTP in the clear on a port of TLS, as nginx and Apache httpd give it.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 57\r\nConnection: close\r\n\r\n\
    This port speaks TLS: use https:// or wss:// in the URL.\n";

/// What came of a handshake.
pub(crate) enum Accepted {
    Tls(Carrier),
    /// Somebody who speaks HTTP without TLS, and what to say.
    Plain(Carrier, &'static [u8]),
}

impl ServerTls {
    /// Speaks TLS over `stream`, from which `read` was read already.
    ///
    /// # Cancel safety
    /// If it is dropped, so is the stream.
    pub(crate) async fn accept(&self, mut stream: Carrier, mut read: Vec<u8>) -> Result<Accepted, TlsError> {
        let failed = |error: io::Error| TlsError::of_handshake(error, CLIENT);
        if read.is_empty() {
            read.reserve(FIRST_BYTES);
            if stream.read_buf(&mut read).await.map_err(failed)? == 0 {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        // A record of TLS begins with 22, a request of HTTP with a method in capitals.
        if read[0].is_ascii_uppercase() {
            return Ok(Accepted::Plain(stream, SPEAK_TLS));
        }
        let mut first = Ok(());
        let mut alert = Vec::new();
        let mut accept = TlsAcceptor::from(self.config.clone()).accept_with(stream, |connection| {
            first = feed(connection, &read);
            if first.is_err() {
                // It says what is wrong. Writing to memory does not fail.
                let _ = connection.write_tls(&mut alert);
            }
        });
        drop(read);
        if let Err(error) = first {
            if let Some(stream) = accept.get_mut() {
                // Who does not speak TLS may not listen either.
                let _ = stream.write_all(&alert).await;
                let _ = stream.shutdown().await;
            }
            return Err(TlsError::of_rustls(&error, CLIENT));
        }
        Ok(Accepted::Tls(Carrier::new(accept.await.map_err(failed)?)))
    }
}

/// Gives the connection what was read before it was there.
fn feed(connection: &mut rustls::ServerConnection, mut read: &[u8]) -> Result<(), rustls::Error> {
    while !read.is_empty() {
        match connection.read_tls(&mut read) {
            Ok(0) => break,
            Ok(_) => connection.process_new_packets()?,
            Err(error) => return Err(rustls::Error::General(error.to_string())),
        };
    }
    Ok(())
}
