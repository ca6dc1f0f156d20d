//! What weakens TLS. Each function says what an attacker gains.

use std::path::Path;

use super::client::ClientTls;
use super::error::TlsError;
use super::pem::Dates;
use super::server::ServerTls;

/// A client that takes any certificate, of anybody, for any name, expired or not.
///
/// **Whoever is between you and the server can read and change everything**, tokens and passwords included: TLS
/// keeps out only those who merely listen. For tests against a server of your own, it is better to trust that
/// server's certificate: [`ClientTls::with_roots_pem`].
///
/// ```
/// use sotong::tls::{ClientTls, danger};
///
/// let tls = danger::accept_any_certificate(ClientTls::new());
/// ```
#[must_use]
pub fn accept_any_certificate(tls: ClientTls) -> ClientTls {
    tls.accept_anybody()
}

/// A server that shows its certificate even if it has expired or is not valid yet; otherwise as
/// [`ServerTls::from_pem_files`].
///
/// **Clients refuse it**, unless they are made to check nothing, which is what an attacker hopes for. It is for those
/// who test how clients behave.
///
/// # Errors
/// As [`ServerTls::from_pem_files`], but for the dates.
pub fn from_pem_files_of_any_date(
    chain: impl AsRef<Path>,
    key: impl AsRef<Path>,
) -> Result<ServerTls, TlsError> {
    ServerTls::from_files(chain.as_ref(), key.as_ref(), Dates::Ignored)
}
