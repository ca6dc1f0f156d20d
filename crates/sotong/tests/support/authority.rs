//! An authority that issues certificates, and TLS by rustls itself to test ours against.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Names and addresses of this machine.
pub const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Somebody who issues certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    pub chain: String,
    pub key: String,
}

/// When a certificate is valid.
#[derive(Clone, Copy)]
pub enum Dates {
    Now,
    Past,
    Future,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("there is randomness");
        Authority(CertifiedIssuer::self_signed(params, key).expect("the parameters are fine"))
    }

    /// What those who trust it need.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names.
    pub fn issue<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) -> Pair {
        self.issue_for(names, Dates::Now, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate of a client.
    pub fn issue_client(&self, name: &str) -> Pair {
        self.issue_for([name], Dates::Now, ExtendedKeyUsagePurpose::ClientAuth)
    }

    pub fn issue_for<N: Into<String>>(
        &self,
        names: impl IntoIterator<Item = N>,
        dates: Dates,
        usage: ExtendedKeyUsagePurpose,
    ) -> Pair {
        let params = params(names, dates, usage);
        let key = KeyPair::generate().expect("there is randomness");
        let certificate = params.signed_by(&key, &self.0).expect("the parameters are fine");
        Pair { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A certificate that nobody but its owner vouches for; as `openssl req -x509` makes it, it is marked as an authority.
pub fn self_signed<N: Into<String>>(names: impl IntoIterator<Item = N>, is_ca: bool) -> Pair {
    let mut params = params(names, Dates::Now, ExtendedKeyUsagePurpose::ServerAuth);
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.extended_key_usages.clear();
    }
    let key = KeyPair::generate().expect("there is randomness");
    let certificate = params.self_signed(&key).expect("the parameters are fine");
    Pair { chain: certificate.pem(), key: key.serialize_pem() }
}

fn params<N: Into<String>>(
    names: impl IntoIterator<Item = N>,
    dates: Dates,
    usage: ExtendedKeyUsagePurpose,
) -> CertificateParams {
    let names: Vec<String> = names.into_iter().map(Into::into).collect();
    let mut params = CertificateParams::new(names).expect("names of hosts");
    params.distinguished_name.push(DnType::CommonName, "somebody");
    params.extended_key_usages = vec![usage];
    let (from, to) = match dates {
        Dates::Now => (2020, 2099),
        Dates::Past => (2019, 2020),
        Dates::Future => (2098, 2099),
    };
    params.not_before = rcgen::date_time_ymd(from, 1, 2);
    params.not_after = rcgen::date_time_ymd(to, 3, 4);
    params
}

impl Pair {
    /// What our server speaks with it.
    pub fn tls(&self) -> sotong::tls::ServerTls {
        sotong::tls::ServerTls::from_pem(self.chain.as_bytes(), self.key.as_bytes()).expect("a good pair")
    }

    /// Both parts, for rustls.
    pub fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes());
        let chain = chain.collect::<Result<_, _>>().expect("PEM of ours");
        (chain, PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("PEM of ours"))
    }
}

/// Files that go with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sotong-tls-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("there is room for temporary files");
        Folder(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let file = self.file(name);
        std::fs::write(&file, content).expect("there is room for temporary files");
        file
    }

    pub fn write_pair(&self, pair: &Pair) -> (PathBuf, PathBuf) {
        (self.write("cert.pem", &pair.chain), self.write("key.pem", &pair.key))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It is a temporary file.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A client of rustls that trusts one authority (or one certificate).
pub fn foreign_client(roots: &str) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(certificate.expect("PEM of ours")).expect("a certificate of ours");
    }
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for all versions")
        .with_root_certificates(store)
        .with_no_client_auth()
}

/// The stream of such a client.
pub type ForeignStream = tokio_rustls::client::TlsStream<Tap<TcpStream>>;

/// Connects with it to `localhost`.
pub async fn dial(config: ClientConfig, address: std::net::SocketAddr) -> io::Result<ForeignStream> {
    let stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("TCP can do that");
    let name = ServerName::try_from("localhost").expect("a name");
    super::support::soon(TlsConnector::from(Arc::new(config)).connect(name, Tap::new(stream))).await
}

/// A server of rustls that asks nobody for a certificate.
pub fn foreign_server(pair: &Pair) -> ServerConfig {
    let (chain, key) = pair.parts();
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for all versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a good pair")
}

/// The server's half of a handshake over `stream`.
pub async fn accept(
    config: ServerConfig,
    stream: TcpStream,
) -> io::Result<tokio_rustls::server::TlsStream<Tap<TcpStream>>> {
    super::support::soon(TlsAcceptor::from(Arc::new(config)).accept(Tap::new(stream))).await
}

/// A stream that keeps a list of the TLS records that come in by it: of what kind, and how long.
#[derive(Debug)]
pub struct Tap<S> {
    stream: S,
    records: Records,
    /// Header bytes of the next record, so far.
    header: Vec<u8>,
    /// How much of the last record is still to come.
    left: usize,
}

/// Content type and length of each.
pub type Records = Arc<Mutex<Vec<(u8, usize)>>>;

pub const ALERT: u8 = 21;
pub const APPLICATION_DATA: u8 = 23;
/// What encryption adds in TLS 1.3: the real content type and the tag (RFC 8446, section 5.2).
pub const RECORD_OVERHEAD: usize = 1 + 16;

impl<S> Tap<S> {
    pub fn new(stream: S) -> Tap<S> {
        Tap { stream, records: Records::default(), header: Vec::new(), left: 0 }
    }

    pub fn records(&self) -> Records {
        self.records.clone()
    }

    pub fn inner(&mut self) -> &mut S {
        &mut self.stream
    }

    fn watch(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let count = self.left.min(bytes.len());
                self.left -= count;
                bytes = &bytes[count..];
                continue;
            }
            self.header.push(bytes[0]);
            bytes = &bytes[1..];
            if let [kind, _, _, high, low] = self.header[..] {
                self.left = usize::from(u16::from_be_bytes([high, low]));
                self.records.lock().expect("nobody panics").push((kind, self.left));
                self.header.clear();
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        let new = buffer.filled()[before..].to_vec();
        self.watch(&new);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    /// As TCP does it: what rustls says last leaves in one call or not at all.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
