//! Floors: what tokio alone costs, and rustls on it.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::Ended;

/// As much as the raw server reads at a time.
const BUFFER_BYTES: usize = 512 * 1024;

pub(crate) async fn tcp(stream: TcpStream) -> Result<(), Ended> {
    echo(stream).await
}

pub(crate) async fn tls(stream: TcpStream, acceptor: TlsAcceptor) -> Result<(), Ended> {
    echo(acceptor.accept(stream).await?).await
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), Ended> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
        stream.flush().await?;
    }
}

/// From the files that `TLS_CERT` and `TLS_KEY` name.
pub(crate) fn acceptor() -> Result<TlsAcceptor, Ended> {
    let certificates =
        CertificateDer::pem_file_iter(std::env::var("TLS_CERT")?)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(std::env::var("TLS_KEY")?)?;
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificates, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
