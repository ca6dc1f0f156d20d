//! Certificates and keys out of PEM, and whether they can be used.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use rustls::InconsistentKeys;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::sign::CertifiedKey;

use super::error::{TlsError, moment};
use super::provider;

/// A file of certificates or keys has a few KiB, the platform's roots have a few hundred; what is longer is none.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// PEM, and where it is from.
pub(super) struct Pem {
    bytes: Vec<u8>,
    file: Option<PathBuf>,
}

impl Pem {
    pub(super) fn given(bytes: &[u8]) -> Pem {
        Pem { bytes: bytes.to_vec(), file: None }
    }

    pub(super) fn read(file: &Path) -> Result<Pem, TlsError> {
        let read = || {
            let length = fs::metadata(file)?.len();
            if length > FILE_BYTES_MAX {
                return Err(std::io::Error::other(format!("{length} bytes are too many for it")));
            }
            fs::read(file)
        };
        let bytes = read().map_err(|error| TlsError::unreadable(file, error))?;
        Ok(Pem { bytes, file: Some(file.to_owned()) })
    }

    /// All certificates in it; one at least.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found = CertificateDer::pem_slice_iter(&self.bytes)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| self.not_pem(error))?;
        if found.is_empty() {
            return Err(TlsError::NoCertificate { file: self.file.clone() });
        }
        Ok(found)
    }

    /// Whether each of these certificates, which are from here, can be somebody's root.
    pub(super) fn check_roots(&self, certificates: &[CertificateDer<'static>]) -> Result<(), TlsError> {
        for certificate in certificates {
            webpki::anchor_from_trusted_cert(certificate).map_err(|error| TlsError::UnusableCertificate {
                file: self.file.clone(),
                why: error.to_string(),
            })?;
        }
        Ok(())
    }

    /// The first private key in it.
    fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let encrypted = [&b"ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"];
        match PrivateKeyDer::from_pem_slice(&self.bytes) {
            _ if encrypted.iter().any(|mark| self.contains(mark)) => {
                Err(TlsError::EncryptedKey { file: self.file.clone() })
            }
            Ok(key) => Ok(key),
            Err(pem::Error::NoItemsFound) => Err(TlsError::NoKey { file: self.file.clone() }),
            Err(error) => Err(self.not_pem(error)),
        }
    }

    fn contains(&self, mark: &[u8]) -> bool {
        self.bytes.windows(mark.len()).any(|window| window == mark)
    }

    fn not_pem(&self, error: pem::Error) -> TlsError {
        let why = match error {
            pem::Error::MissingSectionEnd { .. } => "a section has no end".to_owned(),
            pem::Error::IllegalSectionStart { .. } => "a section's first line is broken".to_owned(),
            pem::Error::Base64Decode(_) => "a section is not base64".to_owned(),
            other => other.to_string(),
        };
        TlsError::NotPem { file: self.file.clone(), why }
    }
}

/// Whether a certificate outside its dates is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dates {
    Checked,
    Ignored,
}

/// A chain and its key, fit for use: the key is the first certificate's, and today is within its dates.
pub(super) fn certified_key(chain: &Pem, key: &Pem, dates: Dates) -> Result<Arc<CertifiedKey>, TlsError> {
    let certificates = chain.certificates()?;
    let private = key.key()?;
    let unusable =
        |error: &dyn ToString| TlsError::UnusableKey { file: key.file.clone(), why: error.to_string() };
    let private = provider().key_provider.load_private_key(private).map_err(|error| unusable(&error))?;
    let certified = CertifiedKey::new(certificates, private);
    let file = || chain.file.clone();
    match certified.keys_match() {
        // Nobody can tell with some hardware keys; ours are all from PEM.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(TlsError::KeyMismatch { certificate: file(), key: key.file.clone() });
        }
        Err(error) => return Err(TlsError::UnusableCertificate { file: file(), why: error.to_string() }),
    }
    if dates == Dates::Checked {
        check_dates(&certified, file())?;
    }
    Ok(Arc::new(certified))
}

/// A certificate and its key that we have made ourselves.
pub(super) fn generated(
    certificate: CertificateDer<'static>,
    pkcs8: Vec<u8>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let key = provider()
        .key_provider
        .load_private_key(PrivatePkcs8KeyDer::from(pkcs8).into())
        .map_err(|error| TlsError::UnusableKey { file: None, why: error.to_string() })?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate], key)))
}

/// Whether now is within the dates of the first certificate.
pub(super) fn check_dates(certified: &CertifiedKey, file: Option<PathBuf>) -> Result<(), TlsError> {
    let unusable =
        |why: &dyn ToString| TlsError::UnusableCertificate { file: file.clone(), why: why.to_string() };
    let first = certified.end_entity_cert().map_err(|error| unusable(&error))?;
    match dates(first, UnixTime::now()) {
        Ok(()) => Ok(()),
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            Err(TlsError::OwnExpired { file, not_after: moment(not_after) })
        }
        Err(webpki::Error::CertNotValidYet { not_before, .. }) => {
            Err(TlsError::OwnNotYetValid { file, not_before: moment(not_before) })
        }
        Err(error) => Err(unusable(&error)),
    }
}

/// Checks the dates of a certificate, and that it can be read, and nothing else.
pub(super) fn dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), webpki::Error> {
    let certificate = webpki::EndEntityCert::try_from(certificate)?;
    // There is no other way to the dates than a verification. They come first in it; without a root it fails later.
    let server = webpki::KeyUsage::server_auth();
    match certificate.verify_for_usage(&[], &[], &[], now, server, None, None) {
        Err(
            error @ (webpki::Error::CertExpired { .. }
            | webpki::Error::CertNotValidYet { .. }
            | webpki::Error::InvalidCertValidity),
        ) => Err(error),
        _ => Ok(()),
    }
}

/// A certificate as PEM (RFC 7468, section 5).
pub(super) fn encode(certificate: &[u8]) -> String {
    const LINE: usize = 64;
    let mut rest = &*base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    while !rest.is_empty() {
        // base64 is ASCII.
        let (line, more) = rest.split_at(LINE.min(rest.len()));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}
