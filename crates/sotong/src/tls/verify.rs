//! How a client checks a server's certificate: as rustls does, with two differences.
//!
//! - A certificate that was itself given as a root is trusted for the names in it, also if it is marked as an
//!   authority, as `openssl req -x509` marks all. webpki refuses authorities as servers; whoever gives exactly this
//!   certificate means exactly this server.
//! - A self-signed certificate is told apart from one of an unknown issuer.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore, SignatureScheme,
};

use super::error::TlsError;
use super::{pem, provider};

/// Checks a server's certificate: issuer, dates, purpose, name.
#[derive(Debug)]
pub(super) struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    /// Certificates that were given as roots one by one.
    own: Vec<CertificateDer<'static>>,
}

impl Verifier {
    pub(super) fn new(
        roots: Arc<RootCertStore>,
        own: Vec<CertificateDer<'static>>,
    ) -> Result<Arc<Verifier>, TlsError> {
        let webpki = WebPkiServerVerifier::builder_with_provider(roots, provider())
            .build()
            .map_err(|error| TlsError::NoRoots { why: error.to_string() })?;
        Ok(Arc::new(Verifier { webpki, own }))
    }

    /// Checks a certificate that we were told to trust itself: its name and its dates are left.
    fn verify_own(
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        pem::dates(certificate, now).map_err(|error| match error {
            webpki::Error::CertExpired { time, not_after } => {
                CertificateError::ExpiredContext { time, not_after }
            }
            webpki::Error::CertNotValidYet { time, not_before } => {
                CertificateError::NotValidYetContext { time, not_before }
            }
            _ => CertificateError::BadEncoding,
        })?;
        let parsed = rustls::server::ParsedCertificate::try_from(certificate)?;
        rustls::client::verify_server_name(&parsed, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.own.iter().any(|own| own == certificate) {
            return Verifier::verify_own(certificate, name, now);
        }
        self.webpki.verify_server_cert(certificate, intermediates, name, ocsp, now).map_err(|error| {
            let is_unvouched = matches!(
                error,
                rustls::Error::InvalidCertificate(
                    CertificateError::UnknownIssuer | CertificateError::Other(_)
                )
            );
            if is_unvouched && is_self_issued(certificate) {
                CertificateError::Other(OtherError(Arc::new(SelfSigned))).into()
            } else {
                error
            }
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.webpki.root_hint_subjects()
    }
}

/// Whether it names itself as its issuer. Only how we word a refusal hangs on it.
fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate).is_ok_and(|parsed| parsed.issuer() == parsed.subject())
}

/// The reason of a refusal, through rustls and back to [`TlsError`].
#[derive(Debug)]
pub(super) struct SelfSigned;

impl fmt::Display for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("self-signed")
    }
}

impl std::error::Error for SelfSigned {}

/// Takes whatever a server shows. See [`danger`](super::danger).
#[derive(Debug)]
pub(super) struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    // The peer has at least the key of the certificate that it shows.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
