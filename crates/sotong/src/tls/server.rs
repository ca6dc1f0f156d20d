//! TLS of a server.

use std::fmt;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use rustls::pki_types::ServerName;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::certificates::Certificates;
use super::error::{SECONDS_PER_DAY, TlsError, civil};
use super::pem::{self, Dates, Pem};
use super::{HTTP_1_1, provider};

/// How often files are looked at. Rare enough to cost nothing, and soon enough for whoever has just renewed one.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
/// How long a self-signed certificate is valid: what browsers take at most.
const SELF_SIGNED_DAYS: u64 = 397;

/// Who a server is, by certificate and private key.
///
/// Cheap to clone; clones share the certificate in use.
///
/// ```
/// use sotong::tls::ServerTls;
///
/// // For a test, or a machine of your own.
/// let tls = ServerTls::self_signed(["localhost", "127.0.0.1", "::1"])?;
/// // What a client has to trust to talk to it.
/// assert!(tls.certificate_pem().starts_with("-----BEGIN CERTIFICATE-----"));
/// # Ok::<(), sotong::tls::TlsError>(())
/// ```
#[derive(Clone)]
pub struct ServerTls {
    pub(super) config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
    reload_interval: Duration,
}

impl ServerTls {
    /// The certificate's chain (the server's first, then those that vouch for it) and its private key, from PEM
    /// files.
    ///
    /// While a [`Server`](crate::Server) runs with it, the files are looked at every five seconds
    /// ([`with_reload_interval`](Self::with_reload_interval)), and what has changed is loaded when it has been at rest
    /// for one interval. Connections are not dropped; they keep what they have. If the new files are no good, the
    /// old certificate stays and one line is logged. [`reload`](Self::reload) does it at once.
    ///
    /// # Errors
    /// When a file cannot be read or has no certificate or key in it, when the two do not belong together, when the
    /// certificate has expired or is not valid yet. The error names the file.
    pub fn from_pem_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<ServerTls, TlsError> {
        ServerTls::from_files(chain.as_ref(), key.as_ref(), Dates::Checked)
    }

    pub(super) fn from_files(chain: &Path, key: &Path, dates: Dates) -> Result<ServerTls, TlsError> {
        ServerTls::new(Certificates::from_files(chain, key, dates)?)
    }

    /// The certificate's chain and its private key, as PEM. Never reloaded.
    ///
    /// # Errors
    /// As [`from_pem_files`](Self::from_pem_files).
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<ServerTls, TlsError> {
        let pair = pem::certified_key(&Pem::given(chain), &Pem::given(key), Dates::Checked)?;
        ServerTls::new(Certificates::given(pair))
    }

    /// A new certificate for these host names and IP addresses, signed by itself, valid for 397 days, in memory only.
    ///
    /// Nobody trusts it without being told to: browsers warn, and clients need its
    /// [`certificate_pem`](Self::certificate_pem) among their roots.
    ///
    /// # Errors
    /// When a name is neither a host name nor an IP address.
    pub fn self_signed<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Result<ServerTls, TlsError> {
        let unusable =
            |error: rcgen::Error| TlsError::UnusableCertificate { file: None, why: error.to_string() };
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        for name in &names {
            // A wildcard stands for one label.
            let bare = name.strip_prefix("*.").unwrap_or(name);
            if ServerName::try_from(bare).is_err() {
                return Err(TlsError::BadHostName { host: name.clone() });
            }
        }
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, "sotong self-signed");
        let mut params = CertificateParams::new(names).map_err(unusable)?;
        params.distinguished_name = subject;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let today = since.as_secs() / SECONDS_PER_DAY;
        let date = |day| {
            let (year, month, day) = civil(day);
            date_time_ymd(i32::try_from(year).unwrap_or(i32::MAX), month, day)
        };
        // From yesterday on: clocks differ.
        params.not_before = date(today.saturating_sub(1));
        params.not_after = date(today + SELF_SIGNED_DAYS - 1);
        let key = KeyPair::generate().map_err(unusable)?;
        let certificate = params.self_signed(&key).map_err(unusable)?;
        let pair = pem::generated(certificate.der().clone(), key.serialize_der())?;
        ServerTls::new(Certificates::given(pair))
    }

    fn new(certificates: Certificates) -> Result<ServerTls, TlsError> {
        let certificates = Arc::new(certificates);
        let config = Arc::new(config(&certificates, WebPkiClientVerifier::no_client_auth())?);
        Ok(ServerTls { config, certificates, reload_interval: RELOAD_INTERVAL })
    }

    /// Lets only those in who show a certificate issued by one of the authorities in `pem` (mutual TLS).
    ///
    /// # Errors
    /// When there is no certificate in it, or one that cannot be used.
    pub fn with_client_roots_pem(self, pem: &[u8]) -> Result<Self, TlsError> {
        self.with_client_roots(&Pem::given(pem))
    }

    /// The same as [`with_client_roots_pem`](Self::with_client_roots_pem), from a file, which is read once.
    ///
    /// # Errors
    /// When it cannot be read, and as above. The error names the file.
    pub fn with_client_roots_file(self, file: impl AsRef<Path>) -> Result<Self, TlsError> {
        self.with_client_roots(&Pem::read(file.as_ref())?)
    }

    fn with_client_roots(mut self, pem: &Pem) -> Result<Self, TlsError> {
        let certificates = pem.certificates()?;
        pem.check_roots(&certificates)?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| TlsError::NoRoots { why: error.to_string() })?;
        let alpn = self.config.alpn_protocols.clone();
        let mut config = config(&self.certificates, verifier)?;
        config.alpn_protocols = alpn;
        self.config = Arc::new(config);
        Ok(self)
    }

    /// The protocols that are spoken inside TLS (ALPN), in order of preference. Default: `http/1.1`. A client that
    /// knows ALPN and offers none of them is refused; one that offers nothing gets in.
    #[must_use]
    pub fn with_alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// How often the files are looked at. Default: 5 seconds.
    #[must_use]
    pub fn with_reload_interval(mut self, interval: Duration) -> Self {
        self.reload_interval = interval;
        self
    }

    /// Loads the files now, whether they have changed or not; for a signal, say. Does nothing when there are none.
    ///
    /// It reads files: a few microseconds where they are local.
    ///
    /// # Errors
    /// As [`from_pem_files`](Self::from_pem_files). The old certificate stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.certificates.reload()
    }

    /// Whether there are files to load anew.
    pub fn is_reloadable(&self) -> bool {
        self.certificates.has_files()
    }

    /// The certificate in use, the server's own without those that vouch for it, as PEM. Public, of course.
    pub fn certificate_pem(&self) -> String {
        self.certificates.pem()
    }

    /// Looks after the files, for ever.
    pub(crate) async fn keep(&self) {
        if !self.certificates.has_files() {
            pending::<()>().await;
        }
        loop {
            tokio::time::sleep(self.reload_interval).await;
            self.certificates.look();
        }
    }
}

fn config(
    certificates: &Arc<Certificates>,
    verifier: Arc<dyn ClientCertVerifier>,
) -> Result<ServerConfig, TlsError> {
    let protocol =
        |error: rustls::Error| TlsError::Protocol { peer: "any client".to_owned(), why: error.to_string() };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(protocol)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificates.clone());
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    // A session that is resumed costs a tenth. Who may resume is told by the ticket, so that we remember nobody.
    config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(protocol)?;
    Ok(config)
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("reloads", &self.certificates.has_files())
            .field("reload_interval", &self.reload_interval)
            .finish_non_exhaustive()
    }
}
