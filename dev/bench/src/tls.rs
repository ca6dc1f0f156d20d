//! TLS at the harness's own ends: a certificate for one run, and a stream that reads much at a time, so that the load
//! generator is not slower than the servers.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fd::{AsFd, BorrowedFd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use crate::failure::{Failure, Result, While};

/// How much ciphertext one read takes.
const SCRATCH_BYTES: usize = 512 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// A certificate for 127.0.0.1 that signs itself, in two files that are removed in the end.
#[derive(Debug)]
pub(crate) struct Certificate {
    folder: PathBuf,
    client: Arc<ClientConfig>,
}

impl Certificate {
    pub(crate) fn make() -> Result<Arc<Self>> {
        let folder = std::env::temp_dir().join(format!("sotong-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).during(format_args!("making {}", folder.display()))?;
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".into()]);
        let made = made.map_err(|error| Failure::new(format!("making a certificate: {error}")))?;
        let mut roots = RootCertStore::empty();
        let added = roots.add(made.cert.der().clone());
        added.map_err(|error| Failure::new(format!("trusting the certificate: {error}")))?;
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let this = Self { folder, client: Arc::new(client) };
        fs::write(this.chain(), made.cert.pem()).during("writing the certificate")?;
        fs::write(this.key(), made.signing_key.serialize_pem()).during("writing its key")?;
        Ok(Arc::new(this))
    }

    pub(crate) fn chain(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    /// What trusts it, and nothing else.
    pub(crate) fn client(&self) -> &Arc<ClientConfig> {
        &self.client
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// The settings of a server with the certificate and the key of these files.
pub(crate) fn server_config(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let unusable = |path: &Path, error: &dyn std::fmt::Display| {
        Failure::new(format!("reading {}: {error}", path.display()))
    };
    let certificates: std::result::Result<_, _> =
        CertificateDer::pem_file_iter(chain).and_then(Iterator::collect);
    let certificates = certificates.map_err(|error| unusable(chain, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, private);
    config.map(Arc::new).map_err(|error| unusable(chain, &error))
}

/// A TCP stream, with TLS or without.
#[derive(Debug)]
pub(crate) enum Carrier {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

impl Carrier {
    /// The client's end. Shakes hands, so the stream must block.
    pub(crate) fn client(stream: TcpStream, config: Option<&Arc<ClientConfig>>) -> Result<Self> {
        let Some(config) = config else { return Ok(Self::Plain(stream)) };
        let ip: IpAddr = stream.peer_addr().during("asking for the server's address")?.ip();
        let session = ClientConnection::new(config.clone(), ServerName::from(ip));
        let session = session.map_err(|error| Failure::new(format!("beginning TLS: {error}")))?;
        let mut stream = TlsStream { stream, session: session.into(), unread: Vec::new() };
        while stream.session.is_handshaking() {
            stream.session.complete_io(&mut stream.stream).during("shaking hands for TLS")?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// The server's end. Hands are shaken while it is read and written.
    pub(crate) fn server(stream: TcpStream, config: Option<&Arc<ServerConfig>>) -> Result<Self> {
        let Some(config) = config else { return Ok(Self::Plain(stream)) };
        let session = ServerConnection::new(config.clone());
        let session = session.map_err(|error| Failure::new(format!("beginning TLS: {error}")))?;
        Ok(Self::Tls(Box::new(TlsStream { stream, session: session.into(), unread: Vec::new() })))
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_nonblocking(nonblocking),
            Self::Tls(stream) => stream.stream.set_nonblocking(nonblocking),
        }
    }

    /// Whether something that was accepted has not left: then writability is of interest, and [`flush`](Self::flush).
    pub(crate) fn is_behind(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.session.wants_write(),
        }
    }
}

impl Read for Carrier {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Carrier {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.push(),
        }
    }
}

impl AsFd for Carrier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.stream.as_fd(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct TlsStream {
    stream: TcpStream,
    session: rustls::Connection,
    /// Ciphertext that was read and has not been looked at: there was no room for what is in it.
    unread: Vec<u8>,
}

impl TlsStream {
    /// Reads from the kernel until there is plaintext or nothing more.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = self.take(buffer)?;
        if filled == 0 && !self.unread.is_empty() {
            let unread = std::mem::take(&mut self.unread);
            filled = self.decrypt(&unread, buffer)?;
        }
        while filled == 0 {
            filled = SCRATCH.with_borrow_mut(|scratch| match self.stream.read(scratch)? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.decrypt(&scratch[..count], buffer),
            })?;
            // Handshakes are answered here.
            match self.push() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                pushed => pushed?,
            }
        }
        Ok(filled)
    }

    fn decrypt(&mut self, mut ciphertext: &[u8], buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while !ciphertext.is_empty() {
            if filled == buffer.len() {
                self.unread.extend_from_slice(ciphertext);
                break;
            }
            self.session.read_tls(&mut ciphertext)?;
            let processed = self.session.process_new_packets();
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            filled += self.take(&mut buffer[filled..])?;
        }
        Ok(filled)
    }

    /// Plaintext that is there; 0 if there is none.
    fn take(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.session.reader().read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Takes all, but only when all before has left.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push()?;
        self.session.set_buffer_limit(None);
        let count = self.session.writer().write(bytes)?;
        match self.push() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(count),
            pushed => pushed.map(|()| count),
        }
    }

    /// Offers ciphertext to the kernel until it has all.
    fn push(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.stream)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// More than the kernel takes at once, both ways at the same time, read in odd pieces.
    #[test]
    fn what_goes_in_comes_out() {
        let certificate = Certificate::make().expect("a certificate");
        let config = server_config(&certificate.chain(), &certificate.key()).expect("its files");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let echo = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("the client");
            let mut carrier = Carrier::server(stream, Some(&config)).expect("a session");
            let (mut buffer, mut echoed) = (vec![0; 70_001], 0);
            while echoed < 3_000_000 {
                let count = carrier.read(&mut buffer).expect("bytes");
                carrier.write_all(&buffer[..count]).expect("room");
                carrier.flush().expect("room");
                echoed += count;
            }
        });
        let stream = TcpStream::connect(address).expect("it listens");
        let mut carrier = Carrier::client(stream, Some(certificate.client())).expect("it is trusted");
        let sent: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
        let (mut came, mut piece) = (Vec::new(), vec![0; 777]);
        for part in sent.chunks(100_000) {
            carrier.write_all(part).expect("room");
            let until = came.len() + part.len();
            while came.len() < until {
                let count = carrier.read(&mut piece).expect("bytes");
                came.extend_from_slice(&piece[..count]);
            }
        }
        assert!(came == sent, "{} bytes came", came.len());
        assert!(!carrier.is_behind());
        echo.join().expect("no panic");
    }
}
