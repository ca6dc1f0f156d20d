//! The server's half of a handshake.

use std::io;

use tokio::io::AsyncReadExt;

use super::engine::Engine;
use super::error::TlsError;
use super::server::ServerTls;
use super::stream::TlsStream;
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
        let engine =
            Engine::server(self.config.clone()).map_err(|error| TlsError::of_rustls(&error, CLIENT))?;
        let mut stream = TlsStream::new(engine, stream, read);
        stream.handshake().await.map_err(failed)?;
        Ok(Accepted::Tls(Carrier::new(stream)))
    }
}
