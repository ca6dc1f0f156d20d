//! The options about TLS that `serve` and `echo` share, and the signal that loads the files anew.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use sotong::tls::{ServerTls, TlsError};

use super::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(super) struct Tls {
    /// Speaks TLS with this certificate: a PEM file, with its chain
    ///
    /// The server's own certificate comes first, then those that vouch for
    /// it (Let's Encrypt: fullchain.pem). Needs --tls-key. The files are
    /// looked at every five seconds, and at SIGHUP; a new certificate is
    /// shown to new connections, and nobody is disconnected. If the new
    /// files are no good, one line says so and the old ones stay in use.
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert: a PEM file, not encrypted
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Speaks TLS with a certificate that is made now, for tests
    ///
    /// For localhost and every address and host name given here. Nobody
    /// vouches for it: browsers warn, and other clients have to be told
    /// (curl -k, sotong connect --danger-accept-any-certificate).
    #[arg(long, verbatim_doc_comment)]
    tls_self_signed: bool,
    /// Lets in only clients with a certificate of these authorities (PEM)
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,
}

impl Tls {
    /// What the server is to speak; `None` for no TLS. Reads the files.
    pub(super) fn check(
        &self,
        listen: &[SocketAddr],
        hosts: &[String],
    ) -> Result<Option<ServerTls>, Failure> {
        let wrong = |line: &str| Err(Exit::Usage.because(line));
        let tls = match (&self.tls_cert, &self.tls_key, self.tls_self_signed) {
            (Some(_), _, true) | (_, Some(_), true) => {
                return wrong(
                    "--tls-self-signed makes a certificate and its key itself: leave out --tls-cert and --tls-key",
                );
            }
            (Some(_), None, false) => {
                return wrong(
                    "--tls-cert is given without --tls-key: the file with its private key is wanted, too",
                );
            }
            (None, Some(_), false) => {
                return wrong(
                    "--tls-key is given without --tls-cert: the file with its certificate is wanted, too",
                );
            }
            (Some(chain), Some(key), false) => ServerTls::from_pem_files(chain, key)
                .map_err(|error| unusable("--tls-cert, --tls-key", &error))?,
            (None, None, true) => ServerTls::self_signed(names(listen, hosts))
                .map_err(|error| unusable("--tls-self-signed", &error))?,
            (None, None, false) if self.tls_client_ca.is_some() => {
                return wrong("--tls-client-ca is given without TLS: add --tls-cert and --tls-key");
            }
            (None, None, false) => return Ok(None),
        };
        match &self.tls_client_ca {
            Some(file) => {
                tls.with_client_roots_file(file).map_err(|error| unusable("--tls-client-ca", &error))
            }
            None => Ok(tls),
        }
        .map(Some)
    }
}

fn unusable(options: &str, error: &TlsError) -> Failure {
    Exit::Usage.because(format_args!("{options}: {error}"))
}

/// All that a browser on this machine or in the network may call us.
fn names(listen: &[SocketAddr], hosts: &[String]) -> Vec<String> {
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let addresses = listen.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified());
    for name in addresses.map(|ip| ip.to_string()).chain(hosts.iter().cloned()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The scheme for an address to print: plain, or inside TLS.
pub(super) fn scheme<'a>(tls: &Option<ServerTls>, plain: &'a str, secure: &'a str) -> &'a str {
    if tls.is_some() { secure } else { plain }
}

/// Loads the files at every SIGHUP: that is what `systemctl reload` and the hooks of certbot know how to send. Without
/// files, SIGHUP ends the program as it always does: it may be that the terminal was closed.
pub(super) fn reload_at_signal(tls: Option<&ServerTls>) -> std::io::Result<()> {
    #[cfg(unix)]
    if let Some(tls) = tls.filter(|tls| tls.is_reloadable()).cloned() {
        use tokio::signal::unix::{SignalKind, signal};
        let mut signal = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                match tls.reload() {
                    Ok(()) => tracing::info!("SIGHUP: the certificate was loaded anew"),
                    Err(error) => tracing::error!("SIGHUP: the old certificate stays in use: {error}"),
                }
            }
        });
    }
    #[cfg(not(unix))]
    let _ = tls;
    Ok(())
}
