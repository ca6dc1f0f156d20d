//! TLS on both ends, by rustls, with a crypto provider built in: nothing has to be installed in the process first, and
//! nothing that is installed there is used.
//!
//! ```text
//!  ClientTls ─► verify.rs: issuer, dates, purpose, name ─┐
//!     └ roots.rs: the platform's, your own               ├─► engine.rs: rustls ─► stream.rs, for the driver's carrier
//!  ServerTls ─► certificates.rs: the pair in use, reloads┘
//!     └ pem.rs: out of files, fit for use               error.rs: one line for each thing that is wrong
//! ```
//!
//! TLS 1.2 and 1.3 are spoken, with the default cipher suites of rustls; there is no early data (0-RTT), which could be
//! replayed.
//!
//! # A client
//!
//! `wss://` needs no setting: the platform's roots are trusted, name and dates are checked. For more see [`ClientTls`].
//!
//! # A server
//!
//! ```no_run
//! use sotong::tls::ServerTls;
//! use sotong::{Server, WebSocket};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let tls = ServerTls::from_pem_files("/etc/sotong/cert.pem", "/etc/sotong/key.pem")?;
//! Server::bind("0.0.0.0:443")
//!     .await?
//!     .with_tls(tls)
//!     .serve(async |mut socket: WebSocket| {
//!         while let Some(message) = socket.recv().await? {
//!             socket.send(message).await?;
//!         }
//!         Ok::<(), sotong::Error>(())
//!     })
//!     .await?;
//! # Ok(())
//! # }
//! ```

mod accept;
mod certificates;
mod client;
pub mod danger;
mod engine;
mod error;
mod pem;
mod roots;
mod server;
mod stream;
mod verify;

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

pub(crate) use accept::Accepted;
pub use client::ClientTls;
pub use error::TlsError;
pub use server::ServerTls;

/// What is spoken inside TLS, told to the peer by ALPN (RFC 7301).
const HTTP_1_1: &[u8] = b"http/1.1";

/// Ours, handed to rustls wherever it would look for the process's default, and panic if there is none.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    PROVIDER.clone()
}
