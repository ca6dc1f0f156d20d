//! Listening, with TLS if `TLS_CERT` and `TLS_KEY` name PEM files.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::Ended;

/// What a connection runs over.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Carrier for S {}

/// What is done with a connection before and after its handshake.
pub(crate) trait Serve: Clone + 'static {
    async fn serve(self, stream: impl Carrier) -> Result<(), Ended>;
}

pub(crate) async fn run(serve: impl Serve) -> Result<(), Ended> {
    let acceptor = acceptor()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (serve, acceptor) = (serve.clone(), acceptor.clone());
        tokio::task::spawn_local(async move {
            // A connection that was cut at the end of a round is no news.
            let _ = match acceptor {
                None => serve.serve(stream).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => serve.serve(stream).await,
                    Err(error) => Err(error.into()),
                },
            };
        });
    }
}

fn acceptor() -> Result<Option<TlsAcceptor>, Ended> {
    let Some(certificates) = std::env::var_os("TLS_CERT") else { return Ok(None) };
    let certificates = CertificateDer::pem_file_iter(certificates)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(std::env::var("TLS_KEY")?)?;
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificates, key)?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}
