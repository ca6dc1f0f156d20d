//! Whom a client trusts.

use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::error::TlsError;

/// The platform's roots, read once in a process: they are a few hundred KB of files, and 140 certificates to parse.
static PLATFORM: OnceLock<Arc<RootCertStore>> = OnceLock::new();

/// The roots of the platform. Reads files the first time. A failure is not remembered, so that the next connection
/// looks again.
pub(super) fn platform() -> Result<Arc<RootCertStore>, TlsError> {
    if let Some(roots) = PLATFORM.get() {
        return Ok(roots.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A platform has some that are broken or of an old kind. Nobody can do anything about them here.
    let (usable, unusable) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(usable, unusable, errors = found.errors.len(), "read the platform's root certificates");
    if usable == 0 {
        let why = found.errors.first().map_or_else(
            || "this machine has none (Debian's package ca-certificates has them)".to_owned(),
            ToString::to_string,
        );
        return Err(TlsError::NoRoots { why });
    }
    Ok(PLATFORM.get_or_init(|| Arc::new(roots)).clone())
}

/// These roots, besides the platform's or alone.
pub(super) fn with_own(
    platform: Option<Arc<RootCertStore>>,
    own: &[CertificateDer<'static>],
) -> Result<Arc<RootCertStore>, TlsError> {
    match platform {
        Some(platform) if own.is_empty() => Ok(platform),
        None if own.is_empty() => {
            Err(TlsError::NoRoots { why: "the platform's are turned off, and none was added".to_owned() })
        }
        platform => {
            let mut roots = platform.map_or_else(RootCertStore::empty, |platform| (*platform).clone());
            for certificate in own {
                // They were checked when they were given.
                let _ = roots.add(certificate.clone());
            }
            Ok(Arc::new(roots))
        }
    }
}
