//! TLS of a client.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock, OnceLock};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};

use super::engine::Engine;
use super::error::TlsError;
use super::pem::{self, Dates, Pem};
use super::stream::TlsStream;
use super::verify::{Anybody, Verifier};
use super::{HTTP_1_1, provider, roots};

/// Whom a client trusts, and who it says it is.
///
/// By default the platform's roots are trusted (on Linux the bundle of the system, or what `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` name; on macOS and Windows the system's store), the certificate's issuer, dates, purpose and name are
/// checked, and no certificate of ours is shown. The platform's roots are read at the first connection, once in a
/// process, which blocks for a few milliseconds. What is revoked is not looked up.
///
/// The name of the host is always sent (SNI), so that a server of many names shows the right certificate; an IP
/// address in the URL is not, because RFC 6066, section 3, forbids that. The certificate must then be for the address.
///
/// Cheap to clone. Clones share what TLS remembers to resume a session, so that the second connection to a server is
/// faster than the first.
///
/// ```
/// use sotong::tls::ClientTls;
///
/// # fn example(pem: &[u8]) -> Result<ClientTls, sotong::tls::TlsError> {
/// // Only the servers of our own authority, and none that the platform trusts.
/// let tls = ClientTls::new().without_platform_roots().with_roots_pem(pem)?;
/// # Ok(tls)
/// # }
/// ```
#[derive(Clone)]
pub struct ClientTls {
    trust: Trust,
    own_roots: Vec<CertificateDer<'static>>,
    certificate: Option<Arc<CertifiedKey>>,
    alpn: Vec<Vec<u8>>,
    /// Made from the above at the first connection.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    PlatformAndOwn,
    OwnOnly,
    Anybody,
}

impl ClientTls {
    /// The platform's roots, no certificate of ours.
    pub fn new() -> ClientTls {
        // One for the process, so that connections with default settings resume each other's sessions.
        static DEFAULT: LazyLock<ClientTls> = LazyLock::new(|| ClientTls {
            trust: Trust::PlatformAndOwn,
            own_roots: Vec::new(),
            certificate: None,
            alpn: vec![HTTP_1_1.to_vec()],
            config: Arc::default(),
        });
        DEFAULT.clone()
    }

    /// Trusts the certificates in `pem`, besides the platform's roots: authorities, and also single servers, whose
    /// self-signed certificate is then as good as any for the names and the dates in it.
    ///
    /// # Errors
    /// When there is no certificate in it, or one that cannot be used.
    pub fn with_roots_pem(self, pem: &[u8]) -> Result<Self, TlsError> {
        self.with_roots(&Pem::given(pem))
    }

    /// The same as [`with_roots_pem`](Self::with_roots_pem), from a file.
    ///
    /// # Errors
    /// When it cannot be read, and as above. The error names the file.
    pub fn with_roots_file(self, file: impl AsRef<Path>) -> Result<Self, TlsError> {
        self.with_roots(&Pem::read(file.as_ref())?)
    }

    fn with_roots(mut self, pem: &Pem) -> Result<Self, TlsError> {
        let certificates = pem.certificates()?;
        pem.check_roots(&certificates)?;
        self.own_roots.extend(certificates);
        Ok(self.changed())
    }

    /// Trusts no root of the platform, only those that were added.
    #[must_use]
    pub fn without_platform_roots(mut self) -> Self {
        if self.trust == Trust::PlatformAndOwn {
            self.trust = Trust::OwnOnly;
        }
        self.changed()
    }

    /// Shows this certificate to servers that ask for one: its chain and its private key, both as PEM.
    ///
    /// # Errors
    /// When either is missing or cannot be used, when they do not belong together, when the certificate has expired.
    pub fn with_client_certificate(self, chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        self.with_certificate(&Pem::given(chain), &Pem::given(key))
    }

    /// The same as [`with_client_certificate`](Self::with_client_certificate), from files.
    ///
    /// # Errors
    /// When they cannot be read, and as above. The error names the file.
    pub fn with_client_certificate_files(
        self,
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        self.with_certificate(&Pem::read(chain.as_ref())?, &Pem::read(key.as_ref())?)
    }

    fn with_certificate(mut self, chain: &Pem, key: &Pem) -> Result<Self, TlsError> {
        self.certificate = Some(pem::certified_key(chain, key, Dates::Checked)?);
        Ok(self.changed())
    }

    /// The same, with no certificate to show: for servers that are not to know who we are.
    pub(crate) fn without_client_certificate(&self) -> Self {
        match self.certificate {
            // It shares what TLS remembers.
            None => self.clone(),
            Some(_) => ClientTls { certificate: None, ..self.clone() }.changed(),
        }
    }

    /// The protocols that are offered inside TLS (ALPN), in order of preference. Default: `http/1.1`, which is what a
    /// WebSocket begins with. None at all offers nothing.
    ///
    /// A server that knows ALPN and none of these refuses the connection.
    #[must_use]
    pub fn with_alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self.changed()
    }

    pub(super) fn accept_anybody(mut self) -> Self {
        self.trust = Trust::Anybody;
        self.changed()
    }

    /// Forgets the configuration that was made from other settings.
    fn changed(mut self) -> Self {
        self.config = Arc::default();
        self
    }

    /// Speaks TLS over `stream` with `host`, as it stands in the URL.
    ///
    /// # Cancel safety
    /// If it is dropped, so is the stream.
    pub(crate) async fn connect<S>(&self, host: &str, stream: S) -> Result<TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // An IPv6 address stands in brackets in a URL.
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| TlsError::BadHostName { host: host.to_owned() })?;
        let engine =
            Engine::client(self.config()?, name).map_err(|error| TlsError::of_rustls(&error, host))?;
        let mut stream = TlsStream::new(engine, stream, Vec::new());
        stream.handshake().await.map_err(|error| TlsError::of_handshake(error, host))?;
        Ok(stream)
    }

    fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let config = self.make_config()?;
        // Two connections at once may both have made one.
        Ok(self.config.get_or_init(|| Arc::new(config)).clone())
    }

    fn make_config(&self) -> Result<ClientConfig, TlsError> {
        let verifier: Arc<dyn ServerCertVerifier> = match self.trust {
            Trust::Anybody => Arc::new(Anybody),
            Trust::PlatformAndOwn => self.verifier(Some(roots::platform()))?,
            Trust::OwnOnly => self.verifier(None)?,
        };
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Protocol { peer: "any server".to_owned(), why: error.to_string() })?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.certificate {
            Some(certificate) => {
                let certificate: Arc<dyn ResolvesClientCert> =
                    Arc::new(SingleCertAndKey::from(certificate.clone()));
                config.with_client_cert_resolver(certificate)
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        config.enable_sni = true;
        Ok(config)
    }

    fn verifier(
        &self,
        platform: Option<Result<Arc<RootCertStore>, TlsError>>,
    ) -> Result<Arc<Verifier>, TlsError> {
        let platform = match platform {
            // A machine without roots of its own can still talk to those that were named.
            Some(Err(error)) if !self.own_roots.is_empty() => {
                tracing::debug!(%error, "only the roots that were added are trusted");
                None
            }
            other => other.transpose()?,
        };
        let roots = roots::with_own(platform, &self.own_roots)?;
        Verifier::new(roots, self.own_roots.clone())
    }
}

impl Default for ClientTls {
    fn default() -> Self {
        ClientTls::new()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("trust", &self.trust)
            .field("own_roots", &self.own_roots.len())
            .field("has_certificate", &self.certificate.is_some())
            .finish_non_exhaustive()
    }
}
